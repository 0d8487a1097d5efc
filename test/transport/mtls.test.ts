/** Every way a certificate can be wrong, on either side of the connection; the matrix is printed when all cells are known. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeHeader, startTwin } from '../../mocks/index.ts'
import { demandAllowed } from '../../src/guard/hosts.ts'
import { createTransport } from '../../src/transport/index.ts'
import type { Delivery, Outgoing, Transport } from '../../src/transport/transport.ts'
import { makeTestPki, makeWrongServers, SERVER_NAME, type TestPki, TOKEN_HOST } from '../support/certificates.ts'
import { startHttps, startTcp } from '../support/servers.ts'

let made: TestPki
let wrong: Awaited<ReturnType<typeof makeWrongServers>>

beforeAll(async () => {
  ;[made, wrong] = await Promise.all([makeTestPki(), makeWrongServers()])
})
afterAll(async () => {
  await made[Symbol.asyncDispose]()
  console.log(matrix())
})

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

function transportTo(port: number, ca: string): Transport {
  return createTransport({
    identities: made.identities,
    ca: [ca],
    minTlsVersion: 'TLSv1.2',
    demandAllowed: demandAllowed(new Set([SERVER_NAME, TOKEN_HOST])),
    connectTo: () => ({ host: '127.0.0.1', port }),
    maxBodyBytes: 1000,
  })
}

const GET: Outgoing = { method: 'GET', url: `https://${SERVER_NAME}/`, headers: [] }

function send(transport: Transport, identity: string, request = GET) {
  return transport.send(request, { identity, timeoutMs: 10_000, signal: new AbortController().signal })
}

const BROKEN_HANDSHAKE = `"${SERVER_NAME}" closed the connection during the TLS handshake; `
const BROKEN_LATER = `"${SERVER_NAME}" closed the connection without an answer; `
const VALID = (name: string) => `it may have refused the certificate of identity "${name}" (valid until <date>)`
const EXPIRED = 'most likely because the certificate of identity "expired" expired on <date>'
const EARLY = 'most likely because the certificate of identity "not-yet-valid" is not valid before <date>'
const BARE = (alert: string) =>
  `"${SERVER_NAME}" demands a client certificate and identity "none" presents none (TLS alert "${alert}")`

/** The answer of a strict server to each certificate, and the message for it. */
const CLIENTS = [
  ['transport', 'TLSv1.2', 'answered'],
  ['transport', 'TLSv1.3', 'answered'],
  ['other', 'TLSv1.2', 'answered'],
  ['other', 'TLSv1.3', 'answered'],
  ['none', 'TLSv1.2', 'TLS_CLIENT_REFUSED', 'no', BARE('handshake failure')],
  ['none', 'TLSv1.3', 'TLS_CLIENT_REFUSED', 'no', BARE('certificate required')],
  ['expired', 'TLSv1.2', 'PEER_CLOSED', 'no', BROKEN_HANDSHAKE + EXPIRED],
  ['expired', 'TLSv1.3', 'PEER_CLOSED', 'unknown', BROKEN_LATER + EXPIRED],
  ['not-yet-valid', 'TLSv1.2', 'PEER_CLOSED', 'no', BROKEN_HANDSHAKE + EARLY],
  ['not-yet-valid', 'TLSv1.3', 'PEER_CLOSED', 'unknown', BROKEN_LATER + EARLY],
  ['rogue', 'TLSv1.2', 'PEER_CLOSED', 'no', BROKEN_HANDSHAKE + VALID('rogue')],
  ['rogue', 'TLSv1.3', 'PEER_CLOSED', 'unknown', BROKEN_LATER + VALID('rogue')],
  ['clone', 'TLSv1.2', 'PEER_CLOSED', 'no', BROKEN_HANDSHAKE + VALID('clone')],
  ['clone', 'TLSv1.3', 'PEER_CLOSED', 'unknown', BROKEN_LATER + VALID('clone')],
] as const

// Each cell connects twice: our client keeps no session, so the second handshake is as full as the first one.
test.for(CLIENTS)('certificate "%s" under %s: %s %s %s', async ([identity, version, outcome, sent, sentence]) => {
  await using server = await startHttps(
    {
      cert: made.pki.server.certificate,
      key: made.pki.server.key,
      ca: made.pki.ca,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    },
    (_, response) => response.writeHead(200, { connection: 'close' }).end('ok'),
  )
  await using transport = transportTo(server.port, made.pki.ca)

  for (const attempt of ['fresh', 'again']) {
    const delivery = await send(transport, identity)
    if (delivery.kind === 'answered') {
      expect({ attempt, outcome: delivery.kind, status: delivery.answer.status }).toEqual({
        attempt,
        outcome,
        status: 200,
      })
      const facts = made.identities.get(identity)?.record
      expect(delivery.tls).toMatchObject({ protocol: version, configured: { identity, sha256: facts?.sha256 } })
      continue
    }
    const { code, message } = delivery.problem
    expect({ attempt, code, sent: delivery.sent, message: message.replace(/\d{4}-\d\d-\d\d/, '<date>') }).toEqual({
      attempt,
      code: outcome,
      sent,
      message: sentence,
    })
  }
  expect(server.requests).toHaveLength(outcome === 'answered' ? 2 : 0)
  expect(server.connections.filter(({ isSessionReused }) => isSessionReused)).toEqual([])
})

const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'

/** A token for our application: the certificate is all that proves who asks (RFC 8705 section 2). */
const TOKEN_REQUEST: Outgoing = {
  method: 'POST',
  url: `https://${TOKEN_HOST}/token`,
  headers: [['content-type', 'application/x-www-form-urlencoded']],
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    scope: 'directory:software',
    client_id: CLIENT_ID,
  }).toString(),
}

/** The twin's decision about each certificate; a request that it accepts and then refuses by its rules has an answer. */
const AT_THE_TWIN: Readonly<Record<(typeof CLIENTS)[number][0], readonly [status: number, decision: RegExp]>> = {
  transport: [200, /bound to the certificate$/],
  other: [401, /^refused: /],
  none: [0, /^handshake refused: .*PEER_DID_NOT_RETURN_A_CERTIFICATE/],
  expired: [0, /^handshake refused: CERT_HAS_EXPIRED/],
  'not-yet-valid': [0, /^handshake refused: CERT_NOT_YET_VALID/],
  rogue: [0, /^handshake refused: UNABLE_TO_/],
  clone: [0, /^handshake refused: CERT_SIGNATURE_FAILURE/],
}

test.for(CLIENTS)('certificate "%s" under %s at the twin: its log shows which requests arrived', async (cell) => {
  const [identity, version, outcome, sent, sentence] = cell
  const [status, decision] = AT_THE_TWIN[identity]
  await using running = await startTwin({ pki: made.pki, maxTlsVersion: version })
  const closing = changeHeader('directoryToken', 'connection', 'close')
  running.twin.use(...closing.handlers(running.twin))
  await using transport = transportTo(running.port, made.pki.ca)

  for (const attempt of ['fresh', 'resumed'] as const) {
    const delivery = await send(transport, identity, TOKEN_REQUEST)
    note(identity, version, attempt, delivery)
    expect({ attempt, ...told(delivery) }).toEqual({
      attempt,
      code: outcome === 'answered' ? String(status) : outcome,
      sent: sent ?? 'yes',
      sentence: sentence?.replaceAll(SERVER_NAME, TOKEN_HOST) ?? '',
    })
    expect(delivery.tls?.protocol ?? version).toBe(version)
  }
  // The second handshake has the result of the first, and no request arrived that had to be refused.
  await expect.poll(() => running.twin.log.length).toBe(2)
  for (const entry of running.twin.log) {
    expect(entry.status).toBe(status)
    expect(entry.decision).toMatch(decision)
  }
  expect(running.twin.log.filter(({ method }) => method !== '-')).toHaveLength(status === 0 ? 0 : 2)
})

const REFUSED_BY_US = `the certificate of "${SERVER_NAME}" was refused: `

const SERVERS = [
  ['wrong name', 'it is made for other names (DNS:elsewhere.example)'],
  ['expired', 'it expired on <date>'],
  ['not yet valid', 'it is not valid before <date>'],
  ['unknown CA', 'its issuer "CN=Unknown CA" is not trusted'],
] as const

test.for(SERVERS.flatMap(([fault, reason]) => VERSIONS.map((version) => [fault, version, reason] as const)))(
  'a server with %s under %s is refused and sees no request: %s',
  async ([fault, version, reason]) => {
    const { certificate, key } = wrong.servers[fault]
    await using server = await startHttps(
      { cert: certificate, key, minVersion: version, maxVersion: version },
      (_, response) => response.end(),
    )
    await using transport = transportTo(server.port, wrong.ca)

    const delivery = await send(transport, 'transport')

    note(`of a server: ${fault}`, version, 'fresh', delivery)
    if (delivery.kind !== 'failed') throw new Error('the server was trusted')
    expect(delivery.sent).toBe('no')
    expect(delivery.problem.code).toBe('TLS_SERVER_UNTRUSTED')
    expect(delivery.problem.message.replace(/\d{4}-\d\d-\d\d/, '<date>')).toBe(
      `${REFUSED_BY_US}${reason}; nothing was sent`,
    )
    expect(delivery.tls?.protocol).toBe(version)
    expect(server.requests).toEqual([])
  },
)

test('an environment variable that disarms TLS checks elsewhere does not disarm ours', async () => {
  const { certificate, key } = wrong.servers['unknown CA']
  await using server = await startHttps({ cert: certificate, key }, (_, response) => response.end())
  // In a process of its own: the variable is read when a connection is opened, by all that a process opens.
  const script = `
    import { createTransport } from ${JSON.stringify(new URL('../../src/transport/index.ts', import.meta.url).href)}
    await using transport = createTransport({
      identities: new Map(),
      ca: [${JSON.stringify(wrong.ca)}],
      minTlsVersion: 'TLSv1.2',
      demandAllowed() {},
      connectTo: () => ({ host: '127.0.0.1', port: ${server.port} }),
      maxBodyBytes: 1000,
    })
    const options = { identity: 'none', timeoutMs: 10_000, signal: new AbortController().signal }
    const { problem } = await transport.send(${JSON.stringify(GET)}, options)
    console.log(problem?.code ?? 'the server was trusted')`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' },
  })

  expect(stdout).toBe('TLS_SERVER_UNTRUSTED\n')
  expect(server.requests).toEqual([])
})

/** Alerts (RFC 8446 section 6.2) that real gateways send and Node's own server does not. */
const ALERTS = [
  [42, 'TLS_CLIENT_REFUSED', 'bad certificate'],
  [44, 'TLS_CLIENT_REFUSED', 'certificate revoked'],
  [45, 'TLS_CLIENT_REFUSED', 'certificate expired'],
  [46, 'TLS_CLIENT_REFUSED', 'certificate unknown'],
  [48, 'TLS_CLIENT_REFUSED', 'unknown ca'],
  [49, 'TLS_CLIENT_REFUSED', 'access denied'],
  [40, 'TLS_HANDSHAKE', 'handshake failure'],
  [70, 'TLS_HANDSHAKE', 'protocol version'],
  [80, 'TLS_HANDSHAKE', 'internal error'],
] as const

test.for(ALERTS)('the TLS alert %i gives %s and is named: %s', async ([number, code, name]) => {
  await using server = await startTcp((socket) => {
    // One alert record (fatal) in answer to the ClientHello.
    socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, number])))
  })
  await using transport = transportTo(server.port, made.pki.ca)

  const delivery = await send(transport, 'transport')

  if (delivery.kind !== 'failed') throw new Error('answered')
  expect(delivery.sent).toBe('no')
  expect(delivery.problem.code).toBe(code)
  expect(delivery.problem.message.replace(/\d{4}-\d\d-\d\d/, '<date>')).toBe(
    code === 'TLS_CLIENT_REFUSED'
      ? `"${SERVER_NAME}" refused the certificate of identity "transport" (valid until <date>) with the TLS alert "${name}"`
      : `"${SERVER_NAME}" ended the TLS handshake with the alert "${name}"`,
  )
})

type Cell = Readonly<Record<'certificate' | 'version' | 'attempt' | 'outcome' | 'sent' | 'sentence', string>>

const cells: Cell[] = []

function note(certificate: string, version: string, attempt: 'fresh' | 'resumed', delivery: Delivery): void {
  const { code, sent, sentence } = told(delivery)
  cells.push({ certificate, version, attempt, outcome: code, sent, sentence: sentence || ANSWERED[code] || '' })
}

const ANSWERED: Readonly<Record<string, string>> = {
  200: `"${TOKEN_HOST}" answered 200`,
  401: `"${TOKEN_HOST}" accepted the certificate for TLS and answered 401: it is another client's`,
}

function told(delivery: Delivery): { code: string; sent: string; sentence: string } {
  if (delivery.kind === 'answered') return { code: String(delivery.answer.status), sent: 'yes', sentence: '' }
  const { code, message } = delivery.problem
  return { code, sent: delivery.sent, sentence: message.replace(/\d{4}-\d\d-\d\d/, '<date>') }
}

/** All cells as a table of plain text. */
function matrix(): string {
  const rows = [
    ['certificate', 'TLS', 'connection', 'outcome', 'sent', 'sentence'],
    ...cells.map((cell) => [cell.certificate, cell.version, cell.attempt, cell.outcome, cell.sent, cell.sentence]),
  ]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const lines = rows.map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  '))
  return [
    '',
    'mutual TLS, cell by cell; "resumed" is a second connection, for which our client offers no session',
    ...lines.map((line) => line.trimEnd()),
    '',
  ].join('\n')
}
