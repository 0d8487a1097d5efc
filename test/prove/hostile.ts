/**
 * The lifecycle, over mutual TLS, against the twin behind a server that changes its answers: a secret is issued somewhere and
 * repeated elsewhere in another spelling, in answers of odd shapes and broken HTTP. Fails if a run hangs or crashes, leaves its
 * client behind or an unreadable record, or if a secret is found in anything that was written or printed.
 * Says too how long the event loop was held at most, and that 100,000 scopes cost less than six times as much as 20,000.
 * `node test/prove/hostile.ts [--runs 300] [--minutes 0] [--seed text] [--only text]`; the seed is new each time, and printed.
 * `--only` leaves out the answers in whose names the text does not stand.
 */
import { randomBytes, type X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { parseArgs } from 'node:util'
import { createTwin, type Pki, type Twin } from '../../mocks/index.ts'
import { Console } from '../../src/front/cli/console.ts'
import { fulfilOn } from '../../src/front/twin.ts'
import { ToolError } from '../../src/record/errors.ts'
import { runRecord } from '../../src/record/schema.ts'
import { resolve, run } from '../../src/run/index.ts'
import { makeFolder, ROOT, variables } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'
import { type Hostile, hostileAnswer, manyScopes, type Sent } from './hostile/answers.ts'
import { findCanary } from './hostile/spellings.ts'
import { Turns } from './hostile/turns.ts'

/** A run takes a second or two; a machine with other work to do is no hang. */
const LONGEST_RUN_MS = 120_000
const AT_ONCE = 2

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '300' },
    minutes: { type: 'string', default: '0' },
    seed: { type: 'string', default: randomBytes(6).toString('hex') },
    only: { type: 'string', default: '' },
  },
})
const turns = new Turns()
process.exitCode = await prove(values.seed, Number(values.runs), Number(values.minutes))

interface Outcome {
  /** what was wrong; none of it may be */
  readonly faults: readonly ('hang' | 'crash' | 'client left behind' | 'record unreadable' | 'canary found')[]
  readonly told: string
  /** whether the server had sent the secret in a form that the search finds */
  readonly isProof: boolean
}

async function prove(seed: string, runs: number, minutes: number): Promise<number> {
  say(`seed ${seed}`)
  const pki = await sharedPki()
  const until = Date.now() + minutes * 60_000
  const counts = new Map<string, number>()
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1)
  let next = 0
  const work = async () => {
    while (next < runs || Date.now() < until) {
      const hostile = hostileAnswer(`${seed}/${next++}`)
      if (!hostile.name.includes(values.only)) continue
      const outcome = await attempt(pki, hostile)
      count('runs')
      if (outcome.isProof) count('with a secret that the search finds in what the server sent')
      for (const fault of outcome.faults) {
        count(fault)
        say(`${fault}: ${hostile.name}\n  ${outcome.told}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const of = (what: string) => counts.get(what) ?? 0
  const proofs = of('with a secret that the search finds in what the server sent')
  const [hangs, crashes, left] = [of('hang'), of('crash'), of('client left behind')]
  const [unreadable, found] = [of('record unreadable'), of('canary found')]
  say(
    `${of('runs')} runs, ${proofs} of them with a secret that the search finds in what the server sent; hangs ${hangs}, ` +
      `crashes ${crashes}, clients left behind ${left}, records unreadable ${unreadable}, canaries found ${found}`,
  )
  say(`the event loop was held for ${turns.longest} ms of processor time at most (${turns.longestDuring})`)
  const isLinear = values.only !== '' || (await proveScopes(pki))
  turns.end()
  // Most secrets must reach the tool, or nothing is proven.
  return isLinear && hangs + crashes + left + unreadable + found === 0 && proofs > of('runs') / 3 ? 0 : 1
}

/** Whether the processor time of a run grows no faster than the scopes of an answer; twice, and the lesser counts. */
async function proveScopes(pki: Pki): Promise<boolean> {
  let isLinear = true
  for (const as of ['list', 'text'] as const) {
    const least = { 20000: Number.POSITIVE_INFINITY, 100000: Number.POSITIVE_INFINITY }
    for (const count of [20_000, 100_000, 20_000, 100_000] as const) {
      const before = turns.used
      const { faults, told } = await attempt(pki, manyScopes(count, as))
      if (faults.length > 0) say(`${faults.join()}: ${count} scopes as ${as}\n  ${told}`)
      isLinear &&= faults.length === 0
      least[count] = Math.min(least[count], turns.used - before)
    }
    const times = least[100_000] / least[20_000]
    say(
      `scopes as ${as}: 20,000 in ${Math.round(least[20_000])} ms of processor time, 100,000 in ${times.toFixed(1)} times as much`,
    )
    isLinear &&= times < 6
  }
  return isLinear
}

async function attempt(pki: Pki, hostile: Hostile): Promise<Outcome> {
  const folder = await makeFolder()
  const twin = createTwin({ pki })
  const sent: string[] = []
  await using server = await startHostile(pki, twin, hostile, sent)
  let screen = ''
  const shown = new Console({ stream: new PassThrough(), write: (text) => (screen += text) })
  const faults: Outcome['faults'][number][] = []
  let told = ''
  try {
    const controller = new AbortController()
    turns.during = hostile.name
    const ended = await within(LONGEST_RUN_MS, () => once(folder, pki, twin, server.port, shown, controller.signal))
    if (ended === undefined) {
      controller.abort()
      faults.push('hang')
    } else {
      if (ended.error !== undefined && !(ended.error instanceof ToolError)) faults.push('crash')
      if (ended.error !== undefined) told = String((ended.error as Error).stack ?? ended.error)
      if (ended.exitCode === 70) faults.push('crash')
      if (twin.state.clients.size > 0) faults.push('client left behind')
      if (ended.error === undefined && !turns.without(() => isReadable(ended.file))) faults.push('record unreadable')
    }
    // A mistake of this proof: an answer that could not be made proves nothing.
    if (server.failures.length > 0) throw server.failures[0]
    const places = [...filesBelow(join(folder, 'reports')).map((file) => [file, readFileSync(file, 'utf8')] as const)]
    for (const [place, text] of [...places, ['the console', screen] as const, ['the error', told] as const]) {
      const how = turns.without(() => findCanary(hostile.canary, text))
      if (how === undefined) continue
      faults.push('canary found')
      told = `${hostile.canary} as ${how} in ${place}`
      break
    }
    const isProof = sent.some((text) => turns.without(() => findCanary(hostile.canary, text)) !== undefined)
    return { faults, told, isProof }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

type Ended = { readonly exitCode: number; readonly file: string; readonly error?: unknown }

async function once(
  folder: string,
  pki: Pki,
  twin: Twin,
  port: number,
  shown: Console,
  signal: AbortSignal,
): Promise<Ended> {
  try {
    const request = await resolve({
      selection: { flows: ['lifecycle'], step: undefined, tags: undefined, folders: [ROOT] },
      environment: { env: 'mock', folder, fallback: ROOT, variables: variables(pki, { TIMEOUT_MS: '30000' }) },
      inputs: new Map(),
    })
    const { head, file } = await run(request, {
      out: join(folder, 'reports'),
      version: '0.0.0-test',
      twin: async () => ({
        kind: 'twin',
        connectTo: () => ({ host: '127.0.0.1', port }),
        fulfil: fulfilOn(twin, pki),
        async [Symbol.asyncDispose]() {},
      }),
      signal,
      onEvent: (event) => shown.show(event),
    })
    shown.summary(head, file)
    return { exitCode: head.exitCode, file }
  } catch (error) {
    return { exitCode: 70, file: '', error }
  }
}

async function within<T>(milliseconds: number, work: () => Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((done) => (timer = setTimeout(() => done(undefined), milliseconds)))
  try {
    return await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}

function isReadable(file: string): boolean {
  try {
    runRecord.parse(JSON.parse(readFileSync(file, 'utf8')))
    return true
  } catch {
    return false
  }
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  } catch {
    return []
  }
}

/** The twin under its documented names; `sent` gets each answer that was changed, as text. */
async function startHostile(
  pki: Pki,
  twin: Twin,
  hostile: Hostile,
  sent: string[],
): Promise<AsyncDisposable & { readonly port: number; readonly failures: readonly unknown[] }> {
  const failures: unknown[] = []
  const { certificate: cert, key } = pki.server
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const socket = incoming.socket as TLSSocket
    const request = new Request(`https://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers: Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]),
      ...(body.length > 0 ? { body } : {}),
    })
    const operation = twin.operationOf(request) ?? ''
    const peer: X509Certificate | undefined = socket.getPeerX509Certificate()
    const response = await twin.answer(request, socket.authorized ? peer : undefined)
    const plain: Sent = {
      status: response.status,
      headers: [...response.headers],
      body: Buffer.from(await response.arrayBuffer()),
    }
    const changed = turns.without(() => hostile.change(operation, plain))
    if (changed !== undefined) turns.without(() => sent.push(textOf(changed)))
    send(changed ?? plain, outgoing)
  }
  const server = createServer(
    { cert, key, ca: pki.ca, requestCert: true, rejectUnauthorized: false },
    (incoming, outgoing) =>
      void answer(incoming, outgoing).catch((error: unknown) => {
        failures.push(error)
        incoming.socket.destroy()
      }),
  )
  const port = await listening(server)
  return {
    port,
    failures,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

function textOf({ headers, body, raw }: Sent): string {
  return raw === undefined ? `${headers.map((header) => header.join(': ')).join('\n')}\n${body}` : raw.toString()
}

function send({ status, headers, body, raw }: Sent, outgoing: ServerResponse): void {
  if (raw !== undefined) {
    outgoing.socket?.end(raw)
    return
  }
  const hasBody = status !== 204 && status !== 304
  const shown = headers.filter(([name]) => name !== 'content-length' && name !== 'transfer-encoding')
  outgoing.writeHead(status, [...shown, ['content-length', hasBody ? body.length : 0]].flat() as string[])
  outgoing.end(hasBody ? body : undefined)
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
