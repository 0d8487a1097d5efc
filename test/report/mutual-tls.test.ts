/** "Over mutual TLS" is said of a host where a run has proven it, and of no other. */
import { X509Certificate } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import { beforeAll, expect, test } from 'vitest'
import { type LocalPki, type LocalRun, makeLocalPki, runLocally } from '../support/local.ts'
import { html } from '../support/reports.ts'
import { startHttps } from '../support/servers.ts'

let local: LocalPki
let bound: string

beforeAll(async () => {
  local = await makeLocalPki()
  bound = thumbprintOf(local.client.certificate)
})

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
const CALL = { stepId: 'call', operationId: 'mutual' }
const WITHOUT = { stepId: 'without', operationId: 'mutual', 'x-dcr': { identity: 'none', expect: 'refused' } }
const TOKEN = {
  stepId: 'token',
  operationId: 'token',
  requestBody: { contentType: 'application/x-www-form-urlencoded', payload: { grant_type: 'client_credentials' } },
}
const DEMANDS = { requestCert: true, rejectUnauthorized: true }
const ASKS = { requestCert: true, rejectUnauthorized: false }

/** What the server answers to a call with the common name of this client certificate. */
type Answers = (client: string | undefined, path: string) => readonly [status: number, body?: object]

async function ran(
  options: ServerOptions,
  steps: readonly object[],
  answers: Answers = () => [200],
): Promise<LocalRun> {
  const all = { ...local.server, ca: local.ca, ...options }
  await using server = await startHttps(all, ({ client, path }, response) => {
    const [status, body] = answers(client, path)
    if (body === undefined) response.writeHead(status).end()
    else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  return await runLocally(local, { port: server.port, steps })
}

/** What console and report say of mutual TLS with the one host. */
function said({ screen, record }: LocalRun): {
  readonly screen: string | undefined
  readonly report: string | undefined
} {
  const [, proof] = /^over mutual TLS with localhost:\d+ \(proven by: (.*)\)$/m.exec(screen) ?? []
  const [, cell] = /<td>(proven by: [^<]*|asked for [^<]*|not known)<\/td>/.exec(html(record)) ?? []
  return { screen: proof, report: cell?.replaceAll('&quot;', '"') }
}

const REFUSED = 'step "without" was refused without the certificate'

test.for(VERSIONS)('a host that refused the handshake without the certificate, under %s: proven', async (version) => {
  const limits = { minVersion: version, maxVersion: version }
  const run = await ran({ ...DEMANDS, ...limits }, [CALL, WITHOUT])

  expect(run.record.exitCode).toBe(0)
  expect(said(run)).toEqual({ screen: REFUSED, report: `proven by: ${REFUSED}` })
})

test('a host that answers 401 to the same request without the certificate: proven', async () => {
  const table = { ...CALL, 'x-dcr': { cases: [{ id: 'without', identity: 'none', expect: 'refused' }] } }
  const run = await ran(ASKS, [table], (client) => [client === undefined ? 401 : 200])

  const proof = 'step "call/without" was refused without the certificate'
  expect(run.record.exitCode).toBe(0)
  expect(said(run)).toEqual({ screen: proof, report: `proven by: ${proof}` })
})

test('a token that is bound to the configured certificate: proven for the host that issued it', async () => {
  const run = await ran(ASKS, [TOKEN], () => [200, { access_token: jwt({ cnf: { 'x5t#S256': bound } }) }])

  const proof = 'the token of step "token" is bound to it (cnf)'
  expect(run.record.exitCode).toBe(0)
  expect(said(run)).toEqual({ screen: proof, report: `proven by: ${proof}` })
})

const ASKED = 'asked for a certificate, not proven'

test.for<readonly [title: string, steps: readonly object[], answers: Answers, ServerOptions, report: string]>([
  ['a host that asks and answers', [CALL], () => [200], DEMANDS, ASKED],
  ['a host that asks for no certificate', [CALL], () => [200], {}, 'asked for no certificate'],
  [
    'a 401 without the certificate to a request of its own',
    [CALL, WITHOUT],
    (client) => [client === undefined ? 401 : 200],
    ASKS,
    ASKED,
  ],
  [
    'a token that is bound to another certificate',
    [TOKEN],
    () => [200, { access_token: jwt({ cnf: { 'x5t#S256': 'C'.repeat(43) } }) }],
    ASKS,
    ASKED,
  ],
  ['a token that is bound to nothing', [TOKEN], () => [200, { access_token: jwt({}) }], ASKS, ASKED],
  [
    'a host that refuses those who come without one, and was not called with one',
    [WITHOUT],
    () => [200],
    DEMANDS,
    'asked for a certificate, not proven',
  ],
])('%s: not proven', async ([, steps, answers, options, report]) => {
  const run = await ran(options, steps, answers)

  expect(run.record.exitCode).toBe(0)
  expect(said(run)).toEqual({ screen: undefined, report })
  expect(run.screen).not.toMatch(/mutual TLS/)
})

test('the end of a connection without an alert proves nothing', async () => {
  const table = [CALL, { ...WITHOUT, 'x-dcr': { identity: 'none', expect: 'refused' } }]
  await using server = await startHttps({ ...local.server, ca: local.ca, ...ASKS }, ({ client }, response) => {
    if (client === undefined) response.socket?.destroy()
    else response.writeHead(200).end()
  })
  const run = await runLocally(local, { port: server.port, steps: table })

  expect(run.record.exitCode).toBe(0)
  expect(said(run)).toEqual({ screen: undefined, report: ASKED })
})

test.for(VERSIONS)(
  'where an operation demands mutual TLS and its host asks for no certificate under %s, that is a warning',
  async (version) => {
    const limits = { minVersion: version, maxVersion: version }
    const run = await ran(limits, [CALL])

    expect(run.steps[0]?.checks.filter(({ status }) => status !== 'pass')).toMatchObject([
      { id: 'certificate-requested', status: 'warn', clauses: ['THREDD-DCR-3.3.1-03'] },
    ])
    expect(run.steps[0]?.exchanges[0]?.tls).toMatchObject({ protocol: version, certificateRequested: false })
    expect(run.screen).toContain('the server asked for none, so it authenticated nobody by a certificate')
  },
)

test('no warning where the host asks, nor where the operation demands no certificate', async () => {
  const status = { stepId: 'open', operationId: 'status' }
  const asking = await ran(ASKS, [CALL])
  const open = await ran({}, [status])

  for (const { steps } of [asking, open])
    expect(steps.flatMap(({ checks }) => checks).filter((check) => check.status !== 'pass')).toEqual([])
})

function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'PS256' })}.${part(claims)}.${'c2ln'.repeat(20)}`
}

function thumbprintOf(pem: string): string {
  return Buffer.from(new X509Certificate(pem).fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
}
