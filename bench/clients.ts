/**
 * What the twin needs for each client: a server as `thredd mock` starts it, in a process of its own, gets clients over kept-alive
 * mutual TLS, each of an application of its own. At some numbers: memory after garbage was collected, and how long a POST and a
 * GET take (medians of one after the other); then all clients are deleted. Ends with 1 where a call is not answered as documented
 * or a client is missing. `node bench/clients.ts [--clients 10000]`
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { devNull, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { importPKCS8, SignJWT } from 'jose'
import { Agent, request } from 'undici'
import { ensurePki, HOSTS, readSeed, startTwin } from '../mocks/index.ts'
import { requestLine } from '../src/front/cli/mock.ts'
import { clientId, numbers, softwareId } from '../test/support/rows.ts'
import { median } from './measure.ts'
import { METADATA } from './metadata.ts'

const ORGANISATION = '99b2b599-8cc2-499e-b805-e3d84233ae8e'
const DIRECTORY = 'https://matls-auth.directory.sandbox.threddid.com'
const STATEMENTS = 'https://matls-api.directory.sandbox.threddid.com'
const REGISTER = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients/oauth2/register'
const CONNECTIONS = 8
/** Calls of a kind that are timed at each number. */
const TIMED = 200
/** Memory for each further client that stays within this factor is the same for each. */
const FLAT = 1.25

const { values, positionals } = parseArgs({
  options: { clients: { type: 'string', default: '10000' } },
  allowPositionals: true,
})
const [folder] = positionals
if (folder === undefined) await compare(Number(values.clients))
else await serve(folder, Number(values.clients))

interface Memory {
  readonly bytes: number
  readonly rssMiB: number
  readonly clients: number
}

/** What the process of the server is asked for over its channel. */
async function serve(place: string, clients: number): Promise<void> {
  const pki = await ensurePki(place, { hosts: HOSTS })
  const output = createWriteStream(devNull)
  const onRequest = (entry: Parameters<typeof requestLine>[0]) => void output.write(`${requestLine(entry)}\n`)
  const running = await startTwin({ pki, urls: 'loopback', onRequest })
  const { state } = running.twin
  for (const number of numbers(clients)) {
    const entry = { name: 'bench', org_id: ORGANISATION, software_id: softwareId(number), client_id: clientId(number) }
    const [{ claims } = { claims: undefined }] = readSeed(JSON.stringify({ applications: [entry] })).applications
    if (claims !== undefined) state.addApplication(claims)
  }
  process.on('message', () => {
    globalThis.gc?.()
    const { heapUsed, external, rss } = process.memoryUsage()
    process.send?.({ bytes: heapUsed + external, rssMiB: rss / 2 ** 20, clients: state.clients.size } satisfies Memory)
  })
  process.send?.(running.origin)
}

async function compare(clients: number): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
  const child = fork(fileURLToPath(import.meta.url), [place, '--clients', String(clients)], {
    execArgv: ['--expose-gc'],
  })
  try {
    const [origin] = (await once(child, 'message')) as [string]
    const memory = async () => {
      child.send('memory')
      return ((await once(child, 'message')) as [Memory])[0]
    }
    await measure(clients, await callerOf(place, origin), memory)
  } finally {
    child.kill()
    await rm(place, { recursive: true, force: true })
  }
}

type Caller = Awaited<ReturnType<typeof callerOf>>
/** Where a client is managed, and with which token. */
type Registered = readonly [uri: string, token: string]

async function measure(clients: number, { register, read, remove }: Caller, memory: () => Promise<Memory>) {
  const steps = [0.1, 0.25, 0.5, 1].map((part) => Math.round(clients * part))
  const all: Registered[] = []
  line(['clients', 'MiB', 'RSS MiB', 'KiB each further', 'POST ms', 'GET ms'])
  let last = await memory()
  line(['0', mebibytes(last), last.rssMiB.toFixed(0)])
  const each: number[] = []
  for (const step of steps) {
    const timed = Math.min(TIMED, step - all.length)
    await together(
      numbers(step - timed).slice(all.length),
      async (number) => void all.push((await register(number))[0]),
    )
    const posts: number[] = []
    for (const number of numbers(step).slice(all.length)) {
      const [registered, ms] = await register(number)
      all.push(registered)
      posts.push(ms)
    }
    const gets: number[] = []
    // Spread over old and new ones; the factor has no divisor in common with a number of clients that ends with 0.
    for (const number of numbers(timed)) gets.push(await read(all[(number * 7919) % all.length] as Registered))
    const now = await memory()
    if (now.clients !== step) throw new Error(`the twin holds ${now.clients} clients, not ${step}`)
    each.push((now.bytes - last.bytes) / (step - last.clients) / 1024)
    const times = [posts, gets].map((all) => median(all).toFixed(1))
    line([String(step), mebibytes(now), now.rssMiB.toFixed(0), each.at(-1)?.toFixed(1) ?? '', ...times])
    last = now
  }
  await together(all, async (one) => void (await remove(one)))
  const end = await memory()
  if (end.clients !== 0) throw new Error(`the twin still holds ${end.clients} clients`)
  line(['0, deleted', mebibytes(end), end.rssMiB.toFixed(0)])
  const [first = 0, latest = 0] = [each[0], each.at(-1)]
  const growth = (latest / first).toFixed(2)
  process.stdout.write(
    first <= 0
      ? 'too few clients to tell whether memory is flat\n'
      : `the last clients take ${growth} times the memory of the first: ${latest <= FLAT * first ? 'flat' : 'NOT FLAT'}\n`,
  )
}

async function callerOf(place: string, origin: string) {
  const read = (file: string) => readFileSync(join(place, file))
  const dispatcher = new Agent({
    connections: CONNECTIONS,
    connect: { ca: read('ca.crt'), cert: read('transport.crt'), key: read('transport.key') },
  })
  const at = (url: string) => url.replace('https:/', origin)
  const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, status: number, options: object) => {
    const start = performance.now()
    const { statusCode, body } = await request(url, { method, dispatcher, ...options })
    const text = await body.text()
    if (statusCode !== status) throw new Error(`${method} ${url}: ${statusCode}, expected ${status}: ${text}`)
    return [text, performance.now() - start] as const
  }
  const [token] = await call(
    'POST',
    at(`${DIRECTORY}/token`),
    200,
    await tokenRequest(read('signing.key').toString(), at),
  )
  const { access_token: directoryToken } = JSON.parse(token) as { access_token: string }
  const bearer = (value: string) => ({ headers: { authorization: `Bearer ${value}` } })
  return {
    /** with the milliseconds of the POST */
    async register(number: number): Promise<readonly [Registered, number]> {
      const path = `/organisations/${ORGANISATION}/softwarestatements/${softwareId(number)}/assertion`
      const [statement] = await call('GET', at(STATEMENTS + path), 200, bearer(directoryToken))
      const [answer, ms] = await call('POST', at(REGISTER), 201, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...METADATA, scopes: ['cards.read', 'cards.write'], software_statement: statement }),
      })
      const { registration_client_uri: uri, registration_access_token: own } = JSON.parse(answer) as Answer
      return [[uri, own], ms]
    },
    read: async ([uri, own]: Registered) => (await call('GET', uri, 200, bearer(own)))[1],
    remove: async ([uri, own]: Registered) => await call('DELETE', uri, 204, bearer(own)),
  }
}

interface Answer {
  readonly registration_client_uri: string
  readonly registration_access_token: string
}

/** The token of one application reads the statements of all in its organisation. */
async function tokenRequest(key: string, at: (url: string) => string): Promise<object> {
  const application = `https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4`
  const assertion = await new SignJWT({ jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'PS256', kid: 'offline-twin-signing', typ: 'JWT' })
    .setIssuer(application)
    .setSubject(application)
    .setAudience(at(`${DIRECTORY}/token`))
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(await importPKCS8(key, 'PS256'))
  return {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'directory:software',
      client_id: application,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }).toString(),
  }
}

/** As many at a time as there are connections. */
async function together<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = all.values()
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      for (const one of left) await work(one)
    }),
  )
}

function mebibytes({ bytes }: Memory): string {
  return (bytes / 2 ** 20).toFixed(1)
}

function line(cells: readonly string[]): void {
  const text = cells.map((cell, at) => (at === 0 ? cell.padEnd(12) : cell.padStart(at === 3 ? 18 : 10))).join('')
  process.stdout.write(`${text}\n`)
}
