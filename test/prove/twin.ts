/**
 * Sends good and bad requests in a mixture to a twin in a process of its own, over kept-alive mutual TLS, and fails if the
 * twin crashes, hangs, answers 500 or grows. `node test/prove/twin.ts [requests]`, 10,000 by default, a minute at most.
 */
import { fork } from 'node:child_process'
import { createPrivateKey, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SignJWT } from 'jose'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { ensurePki, HOSTS, type Pki, startTwin } from '../../mocks/index.ts'

const CONCURRENCY = 16
const LONGEST_RUN_MS = 60_000
const LONGEST_ANSWER_MS = 10_000
/** What the bounded log and memory of the twin may still take after the first fifth of the requests, in MiB. */
const GROWTH_MIB = 48

const ORGANISATION = '99b2b599-8cc2-499e-b805-e3d84233ae8e'
const SOFTWARE = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
const CLIENT_ID = `https://rp.directory.sandbox.threddid.com/openid_relying_party/${SOFTWARE}`
const AUTHORIZATION = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients'
const CUSTOM = 'https://auth.uat.threddid.com/confidential-clients'
const DIRECTORY = 'https://matls-auth.directory.sandbox.threddid.com/token'
const STATEMENT = `https://matls-api.directory.sandbox.threddid.com/organisations/${ORGANISATION}/softwarestatements/${SOFTWARE}/assertion`
const KEYSTORE = `https://keystore.directory.sandbox.threddid.com/${ORGANISATION}/${SOFTWARE}`
const CARDS = 'https://api.uat.threddpay.com/api/v1/products'

const [first = '10000', folder = ''] = process.argv.slice(2)
if (first === 'serve') await serve(folder)
else process.exitCode = await prove(Number(first))

interface Memory {
  readonly rss: number
  readonly heap: number
}

async function serve(place: string): Promise<void> {
  const pki = await ensurePki(place, { hosts: HOSTS })
  const { port } = await startTwin({ pki })
  process.on('message', () => {
    globalThis.gc?.()
    const { rss, heapUsed } = process.memoryUsage()
    process.send?.({ rss, heap: heapUsed } satisfies Memory)
  })
  process.send?.(port)
}

async function prove(total: number): Promise<number> {
  if (!(Number.isSafeInteger(total) && total >= 100)) {
    process.stderr.write('the number of requests must be a whole number from 100\n')
    return 2
  }
  const place = await mkdtemp(join(tmpdir(), 'thredd-prove-'))
  const pki = await ensurePki(join(place, 'pki'), { hosts: HOSTS })
  const child = fork(fileURLToPath(import.meta.url), ['serve', pki.folder], { execArgv: ['--expose-gc'] })
  let isAlive = true
  child.once('exit', () => {
    isAlive = false
  })
  const [port] = (await once(child, 'message')) as [number]
  const memory = async (): Promise<Memory> => {
    child.send('memory')
    const [answer] = (await once(child, 'message')) as [Memory]
    return answer
  }
  const client = await makeClient(pki, port)
  const outcomes = new Map<string, number>()
  let longest = 0
  let sent = 0
  const start = performance.now()
  const isOver = () => performance.now() - start > LONGEST_RUN_MS || !isAlive
  const until = async (count: number) => {
    await Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        while (sent < count && !isOver()) {
          const number = sent
          sent += 1
          const begun = performance.now()
          const outcome = await client.perform(number)
          longest = Math.max(longest, performance.now() - begun)
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        }
      }),
    )
  }
  try {
    const before = await memory()
    await until(Math.floor(total / 5))
    const warm = isAlive ? await memory() : before
    await until(total)
    const after = isAlive ? await memory() : warm
    const seconds = (performance.now() - start) / 1000
    const growth = (after.heap - warm.heap) / 2 ** 20
    const inMib = ({ rss, heap }: Memory) => `${Math.round(rss / 2 ** 20)} (heap ${Math.round(heap / 2 ** 20)})`
    process.stdout.write(
      [
        `${sent} of ${total} requests in ${seconds.toFixed(1)} s, ${CONCURRENCY} at a time`,
        ...[...outcomes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([outcome, count]) => `  ${outcome}: ${count}`),
        `longest ${Math.round(longest)} ms`,
        `memory in MiB: ${inMib(before)} before, ${inMib(warm)} after a fifth, ${inMib(after)} after all`,
        '',
      ].join('\n'),
    )
    const problems = [
      ...(isAlive ? [] : ['the twin has crashed']),
      ...(sent < total ? ['the requests did not all get out within a minute'] : []),
      ...(growth > GROWTH_MIB
        ? [`the heap grew by ${Math.round(growth)} MiB; at most ${GROWTH_MIB} were expected`]
        : []),
      ...(longest > LONGEST_ANSWER_MS ? [`an answer took longer than ${LONGEST_ANSWER_MS} ms`] : []),
      ...(outcomes.has('500') ? ['the twin answered 500'] : []),
      ...((await client.isSane()) ? [] : ['a good request is no longer answered']),
      // Where a kind of outcome is missing, the mixture was none.
      ...['200', '201', '204', '400', '401', '405', '413', '501', 'ended'].flatMap((outcome) =>
        outcomes.has(outcome) ? [] : [`no request came to ${outcome}`],
      ),
    ]
    for (const problem of problems) process.stdout.write(`FAILED: ${problem}\n`)
    if (problems.length === 0) process.stdout.write('the twin has come through\n')
    return problems.length === 0 ? 0 : 1
  } finally {
    client.close()
    child.kill()
    await rm(place, { recursive: true, force: true })
  }
}

interface Sending {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly anonymous?: boolean
}

async function makeClient(pki: Pki, port: number) {
  const { certificate, keyFile } = pki.identities.transport
  const key = await readFile(keyFile)
  const signingKey = createPrivateKey(await readFile(pki.identities.signing.keyFile))
  const agents = [true, false].map((keepAlive) => new Agent({ keepAlive, maxSockets: CONCURRENCY }))
  const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
  const JSON_TYPE = { 'content-type': 'application/json' }
  const known = { directory: '', statement: '', uri: '', registration: '', token: '', assertion: '' }

  async function send(address: string, { method, headers = {}, body, anonymous = false }: Sending = {}) {
    const url = new URL(address)
    const outgoing = request({
      host: '127.0.0.1',
      port,
      servername: url.hostname,
      ca: pki.ca,
      ...(anonymous ? {} : { cert: certificate, key }),
      agent: agents[anonymous ? 1 : 0],
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      path: address.slice(url.origin.length),
      headers: { host: url.host, ...headers },
      timeout: LONGEST_ANSWER_MS,
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')))
    try {
      const answered = once(outgoing, 'response')
      outgoing.end(body)
      const [incoming] = await answered
      let text = ''
      for await (const chunk of incoming.setEncoding('utf8')) text += chunk
      return { status: String(incoming.statusCode), text }
    } catch {
      return { status: 'ended', text: '' }
    }
  }

  function bearer(value: string): Sending {
    return { headers: { authorization: `Bearer ${value}` } }
  }

  async function assertion(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const all = { iss: CLIENT_ID, sub: CLIENT_ID, aud: AUTHORIZATION, jti: randomUUID(), iat: now, exp: now + 300 }
    return await new SignJWT({ ...all, ...claims })
      .setProtectedHeader({ alg: 'PS256', kid: pki.signingKid, typ: 'JWT' })
      .sign(signingKey)
  }

  async function askToken(value: string) {
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: value,
    }
    const told = await send(`${AUTHORIZATION}/oauth2/token`, { headers: FORM, body: `${new URLSearchParams(form)}` })
    if (told.status === '200') known.token = memberOf(told.text, 'access_token')
    return told.status
  }

  async function directory(changes: Readonly<Record<string, string>> = {}) {
    const form = { grant_type: 'client_credentials', client_id: CLIENT_ID, ...changes }
    const told = await send(DIRECTORY, { headers: FORM, body: `${new URLSearchParams(form)}` })
    if (told.status === '200') known.directory = memberOf(told.text, 'access_token')
    return told.status
  }

  async function statement() {
    const told = await send(STATEMENT, bearer(known.directory))
    if (told.status === '200') known.statement = told.text
    return told.status
  }

  async function register(changes: Readonly<Record<string, unknown>> = {}) {
    const body = JSON.stringify({ ...documentedRequest, software_statement: known.statement, ...changes })
    const told = await send(`${AUTHORIZATION}/oauth2/register`, { headers: JSON_TYPE, body })
    if (told.status === '201') {
      known.uri = memberOf(told.text, 'registration_client_uri')
      known.registration = memberOf(told.text, 'registration_access_token')
    }
    return told.status
  }

  async function manage(method: string, body?: string) {
    const { headers = {} } = bearer(known.registration)
    const uri = known.uri === '' ? `${CUSTOM}/oauth2/register/nobody` : known.uri
    const told = await send(uri, {
      method,
      headers: { ...headers, ...JSON_TYPE },
      ...(body === undefined ? {} : { body }),
    })
    const rotated = told.status === '200' ? memberOf(told.text, 'registration_access_token') : ''
    if (rotated !== '') known.registration = rotated
    return told.status
  }

  const plain = async (address: string, sending?: Sending) => (await send(address, sending)).status
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)))

  /** In turns; what they do to each other, sixteen at a time, is part of it. */
  const turns: readonly (() => Promise<string>)[] = [
    () => directory(),
    () => statement(),
    () => register(),
    () => register(),
    async () => await askToken(await assertion()),
    () => plain(CARDS, bearer(known.token)),
    () => manage('GET'),
    () => plain(`${AUTHORIZATION}/.well-known/openid-configuration`),
    () => plain(`${AUTHORIZATION}/.well-known/jwks.json`),
    () => plain(`${KEYSTORE}/application.jwks`),
    () => plain(`${KEYSTORE}/transport.jwks`, { anonymous: true }),
    () => directory({ client_id: 'nobody' }),
    () => directory({ grant_type: 'password' }),
    () => plain(STATEMENT, bearer('wrong')),
    () => register({ software_statement: `${known.statement}x` }),
    () => register({ grant_types: ['password'] }),
    () => register({ scopes: Array.from({ length: 2000 }, (_, index) => `scope.${index}`) }),
    async () => await askToken(await assertion({ exp: 1 })),
    async () => {
      known.assertion ||= await assertion()
      return await askToken(known.assertion)
    },
    () => plain(CARDS, bearer('a.b.c')),
    () => plain(CARDS, { method: 'DELETE' }),
    () => plain(`${AUTHORIZATION}/nowhere/${'x'.repeat(2000)}`),
    () => plain(`${CUSTOM}/oauth2/register/${'%2F'.repeat(200)}`, bearer('x')),
    () => plain(`${CUSTOM}/oauth2/register/%E0%A4%A`, bearer('x')),
    () => plain(`${AUTHORIZATION}/oauth2/register`, { headers: JSON_TYPE, body: '{"a":'.repeat(5000) }),
    () => plain(`${AUTHORIZATION}/oauth2/register`, { headers: JSON_TYPE, body: '['.repeat(50_000) }),
    () => plain(`${AUTHORIZATION}/oauth2/token`, { headers: FORM, body: noise(4000) }),
    () => plain(`${AUTHORIZATION}/oauth2/token`, { headers: { ...FORM, 'x-long': 'x'.repeat(8000) }, body: 'a=b&a=c' }),
    () => plain(DIRECTORY, { anonymous: true, headers: FORM, body: 'grant_type=client_credentials' }),
    () => garbage(port, noise(600)),
    () => garbage(port, Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), noise(300)])),
    () => manage('PATCH', '{}'),
    () =>
      manage(
        'PUT',
        JSON.stringify({ ...documentedRequest, client_id: CLIENT_ID, software_statement: known.statement }),
      ),
    () => manage('PUT', '{}'),
    () => manage('DELETE'),
  ]
  return {
    async perform(number: number): Promise<string> {
      // Now and then more than the twin takes in.
      if (number % 500 === 499) {
        return await plain(`${AUTHORIZATION}/oauth2/register`, {
          headers: JSON_TYPE,
          body: Buffer.alloc(1_100_000, 32),
        })
      }
      const turn = turns[number % turns.length]
      return turn === undefined ? 'ended' : await turn()
    },
    async isSane(): Promise<boolean> {
      return (await directory()) === '200' && (await statement()) === '200'
    },
    close() {
      for (const agent of agents) agent.destroy()
    },
  }
}

function memberOf(text: string, name: string): string {
  try {
    return String((JSON.parse(text) as Readonly<Record<string, unknown>>)[name] ?? '')
  } catch {
    return ''
  }
}

/** Bytes that are no TLS, or the beginning of some; the connection is given up if the twin waits for more. */
async function garbage(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.setTimeout(50, () => socket.destroy())
  socket.end(bytes)
  socket.resume()
  await once(socket, 'close')
  return 'ended'
}
