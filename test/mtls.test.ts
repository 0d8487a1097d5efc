import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { createTransport } from '../src/transport/index.ts'
import type { Transport } from '../src/transport/transport.ts'
import { makeTestPki, makeWrongServers, SERVER_NAME, type TestPki } from './support/certificates.ts'
import { startHttps, startTcp } from './support/servers.ts'

let made: TestPki
let wrong: Awaited<ReturnType<typeof makeWrongServers>>

beforeAll(async () => {
  ;[made, wrong] = await Promise.all([makeTestPki(), makeWrongServers()])
})
afterAll(async () => {
  await made[Symbol.asyncDispose]()
})

afterEach(() => {
  vi.unstubAllEnvs()
})

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

function transportTo(port: number, ca: string): Transport {
  return createTransport({
    identities: made.identities,
    ca: [ca],
    minTlsVersion: 'TLSv1.2',
    allowedHosts: new Set([SERVER_NAME]),
    connectTo: () => ({ host: '127.0.0.1', port }),
    maxBodyBytes: 1000,
  })
}

function send(transport: Transport, identity: string) {
  const request = { method: 'GET', url: `https://${SERVER_NAME}/`, headers: [] }
  return transport.send(request, { identity, timeoutMs: 10_000, signal: new AbortController().signal })
}

const BROKEN_HANDSHAKE = `"${SERVER_NAME}" closed the connection during the TLS handshake; `
const BROKEN_LATER = `"${SERVER_NAME}" closed the connection without an answer; `
const VALID = (name: string) => `it may have refused the certificate of identity "${name}" (valid until <date>)`
const EXPIRED = 'most likely because the certificate of identity "expired" expired on <date>'
const EARLY = 'most likely because the certificate of identity "not-yet-valid" is not valid before <date>'
const BARE = (alert: string) =>
  `"${SERVER_NAME}" demands a client certificate and identity "none" presents none (TLS alert "${alert}")`

/** What a strict server makes of each certificate, and the sentence a person reads. */
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
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  const { certificate, key } = wrong.servers['unknown CA']
  await using server = await startHttps({ cert: certificate, key }, (_, response) => response.end())
  await using transport = transportTo(server.port, wrong.ca)
  expect(await send(transport, 'transport')).toMatchObject({ problem: { code: 'TLS_SERVER_UNTRUSTED' } })
  expect(server.requests).toEqual([])
})

/** RFC 8446 section 6.2; what real gateways answer, and Node's own server never does. */
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
