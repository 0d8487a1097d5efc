/**
 * Compares the twin with a bare node:https server that has the same options and sends the same bytes (but for the time, and the id
 * of the answer, which the twin makes at random): each in a process of its own,
 * with 16 kept-alive mutual TLS connections, measured in short turns. Prints requests per second, processor time per request, and
 * the medians of the ratios turn by turn. `node bench/twin.ts [requests per turn] [turns]`
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { ensurePki, HOSTS, type Pki, startTwin } from '../mocks/index.ts'

const HOST = 'uat-thredd.mtls.eu.authz.cloudentity.io'
const PATH = '/uat-thredd/confidential-clients/.well-known/openid-configuration'
const CONCURRENCY = 16
const WARM_UP = 15_000
const REQUEST = `GET ${PATH} HTTP/1.1\r\nhost: ${HOST}\r\naccept: application/json\r\n\r\n`

const [first = '500', second = '101', folder = ''] = process.argv.slice(2)
if (first === 'serve') await serve(second, folder)
else await compare(Number(first), Number(second))

async function compare(requests: number, turns: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
  const pki = await ensurePki(join(folder, 'pki'), { hosts: HOSTS })
  const servers = await Promise.all(['twin', 'bare'].map((kind) => start(kind, folder, pki)))
  try {
    const answers = servers.map(({ answer }) => answer.replace(/^(?:date|x-trace-id): .*\r\n/gim, ''))
    if (answers[0] !== answers[1]) throw new Error(`the answers of twin and bare server differ:\n${answers.join('\n')}`)
    const rates: number[][] = [[], []]
    const costs: number[][] = [[], []]
    // Until the code of both has been compiled; together, since a server ends connections that are idle for long.
    await Promise.all(servers.map(({ load }) => load(WARM_UP)))
    for (let turn = 0; turn < turns; turn += 1) {
      // Each is the first in every second turn.
      for (const index of turn % 2 === 0 ? [0, 1] : [1, 0]) {
        const measured = await servers[index]?.load(requests)
        rates[index]?.push(measured?.rate ?? Number.NaN)
        costs[index]?.push(measured?.cost ?? Number.NaN)
      }
    }
    const lines = ['twin', 'bare'].map((name, index) => {
      const [rate = [], cost = []] = [rates[index], costs[index]]
      return `${name}  ${median(rate).toFixed(0)} requests/s, ${median(cost).toFixed(1)} µs of processor each\n`
    })
    // Turn by turn, so that other load of the machine affects both.
    const byRate = median(pairs(rates).map(([twin, bare]) => twin / bare))
    const byCost = median(pairs(costs).map(([twin, bare]) => bare / twin))
    process.stdout.write(
      `${lines.join('')}ratio ${byRate.toFixed(2)} by rate, ${byCost.toFixed(2)} by processor time; ` +
        `medians of ${turns} turns of ${requests} requests\n`,
    )
  } finally {
    for (const { stop } of servers) stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function start(kind: string, folder: string, pki: Pki) {
  const child = fork(fileURLToPath(import.meta.url), ['serve', kind, folder])
  const [port] = (await once(child, 'message')) as [number]
  const connections = await Promise.all(Array.from({ length: CONCURRENCY }, () => open(port, pki)))
  const cpu = async (): Promise<number> => {
    child.send('cpu')
    const [used] = (await once(child, 'message')) as [number]
    return used
  }
  return {
    answer: (await connections[0]?.ask())?.toString('latin1') ?? '',
    /** Sends that many requests over the connections together: requests per second, microseconds of processor each. */
    async load(requests: number): Promise<{ readonly rate: number; readonly cost: number }> {
      const before = await cpu()
      const begun = performance.now()
      let left = requests
      await Promise.all(
        connections.map(async ({ ask }) => {
          while (left > 0) {
            left -= 1
            await ask()
          }
        }),
      )
      const rate = (requests / (performance.now() - begun)) * 1000
      return { rate, cost: ((await cpu()) - before) / requests }
    },
    stop() {
      for (const { socket } of connections) socket.destroy()
      child.kill()
    },
  }
}

async function serve(kind: string, folder: string): Promise<void> {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
  const pki = await ensurePki(join(folder, 'pki'), { hosts: HOSTS })
  const twin = await startTwin({ pki })
  if (kind === 'twin') {
    process.send?.(twin.port)
    return
  }
  const connection = await open(twin.port, pki)
  const answer = await connection.ask()
  connection.socket.destroy()
  await twin.close()
  const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
  const server = createServer(
    {
      cert: pki.server.certificate,
      key: pki.server.key,
      ca: pki.ca,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      keepAliveTimeout: 30_000,
      optimizeEmptyRequests: true,
    },
    (_, outgoing) => {
      outgoing.writeHead(200, {
        'content-type': 'application/json',
        'content-length': String(body.length),
        'x-trace-id': '0'.repeat(32),
      })
      outgoing.end(body)
    },
  )
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.(typeof address === 'object' ? address?.port : undefined)
  })
}

/** A connection for one request after another. Every answer has the length of the first. */
async function open(port: number, pki: Pki) {
  const { certificate, keyFile } = pki.identities.transport
  const key = await readFile(keyFile)
  const socket = connect({ host: '127.0.0.1', port, servername: HOST, ca: pki.ca, cert: certificate, key })
  await once(socket, 'secureConnect')
  let size = 0
  let chunks: Buffer[] = []
  let received = 0
  let answered = (_: Buffer): void => {}
  let failed = (_: Error): void => {}
  socket.on('data', (chunk) => {
    if (size === 0) size = sizeOf(chunk)
    chunks.push(chunk)
    received += chunk.length
    if (received < size) return
    const whole = chunks
    chunks = []
    received = 0
    answered(whole.length === 1 ? chunk : Buffer.concat(whole))
  })
  socket.on('error', (error) => failed(error))
  socket.on('close', () => failed(new Error('the connection has ended')))
  return {
    socket,
    ask: () =>
      new Promise<Buffer>((resolve, reject) => {
        answered = resolve
        failed = reject
        // The server ends idle connections; a write to an ended one would never be answered.
        if (socket.destroyed) reject(new Error('the connection has ended'))
        else socket.write(REQUEST)
      }),
  }
}

function sizeOf(start: Buffer): number {
  const head = start.subarray(0, start.indexOf('\r\n\r\n') + 4)
  const length = /^content-length: (\d+)/im.exec(head.toString('latin1'))?.[1]
  if (length === undefined) throw new Error('an answer without a length')
  return head.length + Number(length)
}

function pairs([ours = [], theirs = []]: readonly (readonly number[])[]): [number, number][] {
  return ours.map((value, index) => [value, theirs[index] ?? Number.NaN])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
