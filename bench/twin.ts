/**
 * The twin's msw bridge beside a bare node:https server that answers the same bytes: keep-alive mutual TLS, 16
 * connections, both measured in turns within one run, each in a process of its own. Prints requests per second,
 * processor time per request, and the medians of the ratios turn by turn. `node bench/twin.ts [seconds per turn] [turns]`
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
const REQUEST = `GET ${PATH} HTTP/1.1\r\nhost: ${HOST}\r\naccept: application/json\r\n\r\n`

const [first = '0.5', second = '21', folder = ''] = process.argv.slice(2)
if (first === 'serve') await serve(second, folder)
else await compare(Number(first) * 1000, Math.max(5, Number(second)))

async function compare(turnMs: number, turns: number): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
  const pki = await ensurePki(join(place, 'pki'), { hosts: HOSTS })
  const servers = await Promise.all(['twin', 'bare'].map((kind) => start(kind, place)))
  try {
    const rates: number[][] = [[], []]
    const costs: number[][] = [[], []]
    // Both must have been compiled before the first turn counts.
    for (const { port } of servers) await load(port, pki, 3000)
    for (let turn = 0; turn < turns; turn += 1) {
      for (const [index, { port, cpu }] of servers.entries()) {
        const before = await cpu()
        const { count, rate } = await load(port, pki, turnMs)
        rates[index]?.push(rate)
        costs[index]?.push(((await cpu()) - before) / count)
      }
    }
    const lines = ['twin', 'bare'].map((name, index) => {
      const [rate = [], cost = []] = [rates[index], costs[index]]
      const each = rate.map(Math.round).join(' ')
      return `${name}  ${Math.round(median(rate))} requests/s, ${median(cost).toFixed(0)} µs of processor each (${each})\n`
    })
    // Turn by turn, so that what else the machine does is in both.
    const byRate = median(pairs(rates).map(([twin, bare]) => twin / bare))
    const byCost = median(pairs(costs).map(([twin, bare]) => bare / twin))
    process.stdout.write(
      `${lines.join('')}ratio ${byRate.toFixed(2)} by rate, ${byCost.toFixed(2)} by processor time; medians of ${turns} turns\n`,
    )
  } finally {
    for (const { stop } of servers) stop()
    await rm(place, { recursive: true, force: true })
  }
}

async function start(kind: string, place: string) {
  const child = fork(fileURLToPath(import.meta.url), ['serve', kind, place])
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    /** processor time used so far, in microseconds */
    async cpu(): Promise<number> {
      child.send('cpu')
      const [used] = (await once(child, 'message')) as [number]
      return used
    },
    stop: () => child.kill(),
  }
}

async function serve(kind: string, place: string): Promise<void> {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
  const pki = await ensurePki(join(place, 'pki'), { hosts: HOSTS })
  if (kind === 'twin') {
    process.send?.((await startTwin({ pki })).port)
    return
  }
  await using twin = await startTwin({ pki })
  const key = await readFile(pki.identities.transport.keyFile)
  const body = await ask(twin.port, pki, key)
  const server = createServer(
    {
      cert: pki.server.certificate,
      key: pki.server.key,
      ca: pki.ca,
      requestCert: true,
      rejectUnauthorized: true,
    },
    async (incoming, outgoing) => {
      for await (const _ of incoming);
      outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      outgoing.end(body)
    },
  )
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.(typeof address === 'object' ? address?.port : undefined)
  })
}

/** Requests a second over the connections together. Every answer on a connection is as long as its first. */
async function load(port: number, pki: Pki, durationMs: number): Promise<{ count: number; rate: number }> {
  const key = await readFile(pki.identities.transport.keyFile)
  let count = 0
  const start = performance.now()
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      const socket = open(port, pki, key)
      let size = 0
      let received = 0
      socket.on('data', (chunk) => {
        if (size === 0) size = sizeOf(chunk)
        received += chunk.length
        if (received < size) return
        if (received > size) throw new Error('an answer is longer than the first')
        received = 0
        count += 1
        if (performance.now() - start < durationMs) socket.write(REQUEST)
        else socket.destroy()
      })
      socket.write(REQUEST)
      await once(socket, 'close')
    }),
  )
  if (count === 0) throw new Error('no answer came')
  return { count, rate: (count / (performance.now() - start)) * 1000 }
}

function sizeOf(start: Buffer): number {
  const head = start.subarray(0, start.indexOf('\r\n\r\n') + 4)
  const length = /^content-length: (\d+)/im.exec(head.toString('latin1'))?.[1]
  if (length === undefined) throw new Error('an answer without a length')
  return head.length + Number(length)
}

/** The body of one answer. */
async function ask(port: number, pki: Pki, key: Buffer): Promise<Buffer> {
  const socket = open(port, pki, key)
  socket.write(REQUEST.replace('accept:', 'connection: close\r\naccept:'))
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  const whole = Buffer.concat(chunks)
  return whole.subarray(whole.indexOf('\r\n\r\n') + 4)
}

function open(port: number, pki: Pki, key: Buffer) {
  const { certificate } = pki.identities.transport
  return connect({ host: '127.0.0.1', port, servername: HOST, ca: pki.ca, cert: certificate, key })
}

function pairs([ours = [], theirs = []]: readonly (readonly number[])[]): [number, number][] {
  return ours.map((value, index) => [value, theirs[index] ?? Number.NaN])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
