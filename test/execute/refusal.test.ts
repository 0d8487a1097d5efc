/** `expect: refused`: what counts as a refusal of the certificate, what does not, and what says nothing about it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeStatus, type Fault, replaceBody, type Switches } from '../../mocks/index.ts'
import type { StepRecord } from '../../src/record/index.ts'
import { type LocalPki, makeLocalPki, runLocally } from '../support/local.ts'
import { attemptOnTwin, notPassed, ROOT, runOnTwin, type TwinRun } from '../support/run.ts'
import { startHttps, startTcp, startTls } from '../support/servers.ts'
import { sharedPki } from '../support/twin.ts'

const OURS = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
const AUTHORIZATION = '"uat-thredd.mtls.eu.authz.cloudentity.io"'
const TITLE = 'the server refuses'
const EXPECTED = 'a TLS alert, a closed connection, or a 4xx without a token or client_id'

/** Identities of the environment besides "transport", as its files name them. */
let identities: Readonly<Record<string, string>>
let local: LocalPki
let folder: string

beforeAll(async () => {
  const [pki, made] = await Promise.all([sharedPki(), makeLocalPki()])
  local = made
  folder = await mkdtemp(join(tmpdir(), 'thredd-refusal-'))
  identities = Object.fromEntries(
    (['expired', 'not-yet-valid', 'rogue', 'clone', 'other'] as const).flatMap((name) => {
      const { certificateFile, keyFile } = pki.identities[name]
      const prefix = `IDENTITY_${name.replaceAll('-', '_').toUpperCase()}`
      return [
        [`${prefix}_CERT_FILE`, certificateFile],
        [`${prefix}_KEY_FILE`, keyFile],
      ]
    }),
  )
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const CLOSED = `${AUTHORIZATION} closed the connection without an answer; `

/** What the twin does with each certificate at a host that demands one, and what the record says of it. */
const REFUSED: readonly (readonly [identity: string, refuse: Switches['refuse'], found: string])[] = [
  [
    'none',
    'handshake',
    `${AUTHORIZATION} demands a client certificate and identity "none" presents none (TLS alert "certificate required")`,
  ],
  ['expired', 'handshake', `${CLOSED}most likely because the certificate of identity "expired" expired on <date>`],
  [
    'not-yet-valid',
    'handshake',
    `${CLOSED}most likely because the certificate of identity "not-yet-valid" is not valid before <date>`,
  ],
  ['rogue', 'handshake', `${CLOSED}it may have refused the certificate of identity "rogue" (valid until <date>)`],
  ['clone', 'handshake', `${CLOSED}it may have refused the certificate of identity "clone" (valid until <date>)`],
  ['none', 'html400', '400'],
  ['expired', 'html400', '400'],
  ['not-yet-valid', 'html400', '400'],
  ['rogue', 'html400', '400'],
  ['clone', 'html400', '400'],
]

test.for(REFUSED)('identity "%s" is refused (%s), and that is what the step waits for: %s', async (row) => {
  const [identity, refuse, found] = row
  await using ran = await refusalOnTwin(DISCOVERY(identity), { switches: { refuse } })

  const step = stepOf(ran)
  expect(step.status).toBe('passed')
  expect(
    step.checks.map(({ id, title, expected, actual }) => ({ id, title, expected, actual: undated(actual) })),
  ).toEqual([{ id: 'refused', title: TITLE, expected: EXPECTED, actual: found }])
  expect(ran.record).toMatchObject({ verdict: 'conformant', exitCode: 0 })
  // The twin saw who came and let nobody in.
  expect(ran.twin.log.filter(({ status, decision }) => status !== 0 && !decision.includes('refused'))).toEqual([])
  expect(ran.twin.log.length).toBe(1)
})

test('the certificate of another client is good for TLS and refused by the rules of the server', async () => {
  await using ran = await refusalOnTwin(TOKEN('other'))

  expect(stepOf(ran)).toMatchObject({
    status: 'passed',
    checks: [{ id: 'refused', actual: '401, error "invalid_client"' }],
  })
  expect(ran.twin.log.map(({ status, decision }) => [status, decision.startsWith('refused: ')])).toEqual([[401, true]])
})

test('the record says which certificate was configured, and claims of none that it was presented', async () => {
  const pki = await sharedPki()
  for (const identity of ['none', 'expired', 'clone', 'other']) {
    await using ran = await refusalOnTwin(identity === 'other' ? TOKEN(identity) : DISCOVERY(identity))

    const [exchange] = stepOf(ran).exchanges
    const facts = ran.record.identities.find(({ name }) => name === identity)
    expect(exchange?.tls?.configured).toEqual(identity === 'none' ? undefined : { identity, sha256: facts?.sha256 })
    expect(stepOf(ran).identity).toBe(identity)
    expect(JSON.stringify(ran.record)).not.toMatch(/presented/)
  }
  expect(Object.keys(pki.identities)).toContain('expired')
})

test('a flow may use several identities, each for its step, with the good one beside them', async () => {
  await using ran = await refusalOnTwin(
    DISCOVERY('none'),
    DISCOVERY('rogue'),
    DISCOVERY('transport', false),
    TOKEN('other'),
  )

  expect(ran.record.exitCode).toBe(0)
  expect(ran.record.workflows[0]?.steps.map(({ identity, status }) => [identity, status])).toEqual([
    ['none', 'passed'],
    ['rogue', 'passed'],
    ['transport', 'passed'],
    ['other', 'passed'],
  ])
  expect(ran.record.identities.map(({ name }) => name).sort()).toEqual(['other', 'rogue', 'transport'])
})

/** Answers that are no refusal, though one was expected. */
const ACCEPTED: readonly (readonly [title: string, step: () => object, faults: readonly Fault[], found: string])[] = [
  ['a host that asks for no certificate answers "none"', () => DIRECTORY('none'), [], '200'],
  ["another client's certificate reads what is open to all clients", () => DISCOVERY('other'), [], '200'],
  [
    'a 401 that hands out a token',
    () => TOKEN('other'),
    [changeStatus('directoryToken', 401), replaceBody('directoryToken', '{"access_token":"4815162342"}')],
    '401',
  ],
  [
    'a 400 that names a registered client',
    () => TOKEN('other'),
    [changeStatus('directoryToken', 400), replaceBody('directoryToken', '{"client_id":"ours"}')],
    '400',
  ],
  ['a redirect', () => TOKEN('other'), [changeStatus('directoryToken', 302)], '302, error "invalid_client"'],
]

test.for(ACCEPTED)('%s: that is no refusal, and the run fails', async ([, step, faults, found]) => {
  await using ran = await refusalOnTwin(step(), { faults })

  expect(ran.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1 })
  expect(stepOf(ran).status).toBe('failed')
  expect(notPassed(stepOf(ran))).toEqual([
    { id: 'refused', status: 'fail', title: TITLE, expected: EXPECTED, actual: found },
  ])
})

const EXPECT_REFUSED = { stepId: 'call', operationId: 'mutual', 'x-dcr': { expect: 'refused' } }

test('a name that does not resolve refuses nobody: inconclusive', async () => {
  const settings = {
    ENV_CLASS: 'uat',
    SERVER_CLIENTS: 'https://does-not-exist.invalid',
    VAULT_KEY: Buffer.from('a key of tests, 32 bytes of text').toString('base64url'),
  }

  expect(await outcomeOf(1, settings)).toBe('errored DNS: host name "does-not-exist.invalid" does not resolve')
})

test('a port where nobody listens refuses no certificate: inconclusive', async () => {
  const server = await startTcp(() => {})
  await server[Symbol.asyncDispose]()

  expect(await outcomeOf(server.port)).toBe('errored CONNECT: no connection to "<host>": the connection was refused')
})

test('a server that keeps silent refuses nobody: inconclusive', async () => {
  await using mute = await startTcp(() => {})
  await using silent = await startTls(local.server, () => {})
  const settings = { TIMEOUT_MS: '2000' }

  expect(await outcomeOf(mute.port, settings)).toBe('errored TIMEOUT: no TLS connection to "<host>" within 2000 ms')
  expect(await outcomeOf(silent.port, settings)).toBe('errored TIMEOUT: "<host>" did not answer within 2000 ms')
})

test('a server that is not the right one is refused by us and refuses nobody: inconclusive', async () => {
  const stranger = await makeLocalPki()
  await using server = await startHttps(stranger.server, (_, response) => response.writeHead(401).end())

  expect(await outcomeOf(server.port)).toBe(
    'errored TLS_SERVER_UNTRUSTED: the certificate of "<host>" was refused: its issuer "CN=Test CA" is not trusted; nothing was sent',
  )
  expect(server.requests).toEqual([])
})

test.for([
  [429, 'errored THROTTLED: "<host>" answered 429: too many requests'],
  [408, 'errored TIMEOUT: "<host>" answered 408: the request took too long'],
  [500, 'errored SERVER_ERROR: "<host>" answered 500, which is no verdict'],
  [403, 'passed 403'],
  [404, 'passed 404'],
] as const)('an answer with status %i where a refusal is expected: %s', async ([status, outcome]) => {
  await using server = await startHttps(local.server, (_, response) => response.writeHead(status).end())

  expect(await outcomeOf(server.port)).toBe(outcome)
})

test('a connection that ends in the middle of an answer is no refusal: inconclusive', async () => {
  await using server = await startTls(local.server, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{'))
  })

  expect(await outcomeOf(server.port)).toBe(
    'errored PEER_CLOSED: "<host>" closed the connection in the middle of its answer',
  )
})

test('the end of a connection that had carried an earlier exchange refuses no certificate: inconclusive', async () => {
  let calls = 0
  await using server = await startHttps(local.server, (_, response) => {
    // Kept open after the first answer, ended without one at the second request.
    if (calls++ === 0) response.writeHead(200).end()
    else response.socket?.destroy()
  })
  const good = { ...EXPECT_REFUSED, stepId: 'good', 'x-dcr': {} }

  const { record, steps } = await runLocally(local, { port: server.port, steps: [good, EXPECT_REFUSED] })

  expect(calls).toBe(2)
  expect(steps.map(({ status, error }) => [status, error?.code])).toEqual([
    ['passed', undefined],
    ['errored', 'PEER_CLOSED'],
  ])
  expect(record.exitCode).toBe(3)
})

test('an expired certificate is allowed for refusals alone: any other step stops the run before a call', async () => {
  const flow = await flowOf(DISCOVERY('expired'), DISCOVERY('expired', false))
  await using ran = await attemptOnTwin({ kind: 'tls', flows: [flow], settings: identities })

  expect(ran).toHaveProperty('error.code', 'IDENTITY_EXPIRED')
  expect(ran.twin.log).toEqual([])
})

test('an identity that the environment does not have stops the run before a call', async () => {
  const flow = await flowOf(DISCOVERY('trasport'))
  await using ran = await attemptOnTwin({ kind: 'tls', flows: [flow], settings: identities })

  expect(ran).toHaveProperty('error.code', 'IDENTITY_MISSING')
  expect(ran.twin.log).toEqual([])
})

function DISCOVERY(identity: string, isRefusal = true): object {
  return step('authorization.authorizationDiscovery', identity, isRefusal)
}

function DIRECTORY(identity: string): object {
  return step('directory.directoryDiscovery', identity)
}

/** Our client's id with somebody's certificate. */
function TOKEN(identity: string): object {
  const payload = { grant_type: 'client_credentials', scope: 'directory:software', client_id: OURS }
  return {
    ...step('directory_mtls.directoryToken', identity),
    requestBody: { contentType: 'application/x-www-form-urlencoded', payload },
  }
}

function step(operation: string, identity: string, isRefusal = true): object {
  return {
    operationId: `$sourceDescriptions.${operation}`,
    'x-dcr': { identity, ...(isRefusal ? { expect: 'refused' } : {}) },
  }
}

async function flowOf(...steps: readonly object[]): Promise<string> {
  const api = (name: string, file = name) => ({
    name,
    url: join(ROOT, `flows/apis/${file}.openapi.yaml`),
    type: 'openapi',
  })
  const file = join(folder, 'refusal.arazzo.yaml')
  const flow = {
    arazzo: '1.1.0',
    info: { title: 'Refusals', version: '1.0.0' },
    sourceDescriptions: [api('authorization'), api('directory'), api('directory_mtls', 'directory')],
    workflows: [
      {
        workflowId: 'refusal',
        'x-dcr': { effect: 'read' },
        inputs: { type: 'object', properties: { extended: { type: 'string', 'x-dcr': { when: '1 == 2' } } } },
        steps: steps.map((one, index) => ({ stepId: `step-${index + 1}`, ...one })),
      },
    ],
  }
  await writeFile(file, JSON.stringify(flow, null, 2))
  return file
}

type Circumstances = Pick<Parameters<typeof runOnTwin>[0] & object, 'faults' | 'switches'>

/** The last argument may say how the twin behaves. */
async function refusalOnTwin(...args: readonly (object | Circumstances)[]): Promise<TwinRun> {
  const last = args.at(-1) as Circumstances
  const isStep = 'operationId' in last
  const flow = await flowOf(...(isStep ? args : args.slice(0, -1)))
  return await runOnTwin({ kind: 'tls', flows: [flow], settings: identities, ...(isStep ? {} : last) })
}

function stepOf(ran: TwinRun): StepRecord {
  const [step] = ran.record.workflows[0]?.steps ?? []
  if (step === undefined) throw new Error('no step')
  return step
}

/** Status of the step, and the error or what the check found. */
async function outcomeOf(port: number, settings: Readonly<Record<string, string>> = {}): Promise<string> {
  const { record, steps } = await runLocally(local, { port, steps: [EXPECT_REFUSED], settings })
  const [step] = steps
  const exits = { passed: 0, failed: 1, errored: 3, skipped: undefined }
  expect(record.exitCode).toBe(step && exits[step.status])
  const text = step?.error === undefined ? step?.checks[0]?.actual : `${step.error.code}: ${step.error.message}`
  return `${step?.status} ${text}`.replaceAll(`localhost:${port}`, '<host>')
}

function undated(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\d/, '<date>')
}
