import { X509Certificate } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { demandAllowed } from '../../src/guard/hosts.ts'
import { sha256Of } from '../../src/identity/facts.ts'
import { ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'
import { inProcess } from '../../src/transport/in-process.ts'
import { createTransport, type TransportOptions } from '../../src/transport/index.ts'
import type { Delivery, Outgoing, SendOptions, Transport } from '../../src/transport/transport.ts'
import { makeTestPki, SERVER_NAME, type TestPki } from '../support/certificates.ts'
import { startHttps, startTcp, startTls } from '../support/servers.ts'

let made: TestPki

beforeAll(async () => {
  made = await makeTestPki()
})
afterAll(async () => {
  await made[Symbol.asyncDispose]()
})

function transportTo(port: number | undefined, changes: Partial<TransportOptions> = {}): Transport {
  return createTransport({
    identities: made.identities,
    ca: [made.pki.ca],
    minTlsVersion: 'TLSv1.2',
    demandAllowed: demandAllowed(new Set([SERVER_NAME])),
    ...(port === undefined ? {} : { connectTo: () => ({ host: '127.0.0.1', port }) }),
    maxBodyBytes: 1000,
    ...changes,
  })
}

function send(transport: Transport, request: Partial<Outgoing> = {}, options: Partial<SendOptions> = {}) {
  return transport.send(
    { method: 'GET', url: `https://${SERVER_NAME}/`, headers: [], ...request },
    { identity: 'transport', timeoutMs: 10_000, signal: new AbortController().signal, ...options },
  )
}

/** Code, `sent` and message of a failure, without dates, which depend on the day the certificates were made. */
function failure(delivery: Delivery) {
  if (delivery.kind !== 'failed') throw new Error(`answered with ${delivery.answer.status}`)
  const { code, message } = delivery.problem
  return { code, sent: delivery.sent, message: message.replace(/\d{4}-\d\d-\d\d/, '<date>') }
}

const server = () => ({ cert: made.pki.server.certificate, key: made.pki.server.key })
const mutual = () => ({ ...server(), ca: made.pki.ca, requestCert: true, rejectUnauthorized: false })

test('path, query, headers and body arrive byte for byte, and the answer comes back as it was sent', async () => {
  await using https = await startHttps(mutual(), (_, response) => {
    response.writeHead(201, [
      ['X-Repeated', 'one'],
      ['X-Repeated', 'two'],
    ])
    response.end('créé')
  })
  await using transport = transportTo(https.port)
  const path = '//a/../b/%2F%2e%2E/./c;p=1?x=%20y&&z=[]'

  const delivery = await send(transport, {
    method: 'PUT',
    url: `https://${SERVER_NAME.toUpperCase()}${path}#fragment`,
    headers: [
      ['content-type', 'text/plain'],
      ['x-mixed', 'A b'],
    ],
    body: 'grüße',
  })

  expect(https.requests).toEqual([
    {
      method: 'PUT',
      path,
      headers: {
        host: SERVER_NAME,
        connection: 'keep-alive',
        'content-type': 'text/plain',
        'x-mixed': 'A b',
        'accept-encoding': 'identity',
        'content-length': '7',
      },
      body: 'grüße',
      client: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
      isSessionReused: false,
    },
  ])
  if (delivery.kind !== 'answered') throw new Error(delivery.problem.message)
  expect(delivery.answer.status).toBe(201)
  expect(delivery.answer.headers.slice(0, 2)).toEqual([
    ['x-repeated', 'one'],
    ['x-repeated', 'two'],
  ])
  expect(Buffer.from(delivery.answer.body).toString()).toBe('créé')
})

test.for([
  ['https://server.example', '/'],
  ['https://server.example?a=b', '/?a=b'],
  ['https://server.example/#part', '/'],
])('the URL "%s" asks for "%s"', async ([url, path]) => {
  await using https = await startHttps(server(), (_, response) => response.end())
  await using transport = transportTo(https.port)
  await send(transport, { url: url as string })
  expect(https.requests.map((request) => request.path)).toEqual([path])
})

const ISSUER = 'C=GB, O=Thredd UK Limited, OU=Offline Twin Directory, CN=Offline Twin Issuing CA'
const HEX = expect.stringMatching(/^[0-9a-f]{64}$/)
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)

test('the evidence names protocol, cipher, server certificate and the configured certificate', async () => {
  await using https = await startHttps(mutual(), (_, response) => response.end())
  await using transport = transportTo(https.port, { now: () => new Date('2026-01-02T03:04:05.678Z') })

  const first = await send(transport)
  const second = await send(transport)

  expect(first.tls).toEqual({
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    alpn: 'http/1.1',
    address: '127.0.0.1',
    port: https.port,
    server: {
      subject: 'C=GB, O=Offline Twin, CN=localhost',
      issuer: ISSUER,
      sha256: HEX,
      validFrom: INSTANT,
      validTo: INSTANT,
      key: { kind: 'RSA 2048', spkiSha256: HEX },
    },
    chain: [
      {
        subject: ISSUER,
        issuer: ISSUER,
        sha256: sha256Of(new X509Certificate(made.pki.ca)),
        validFrom: INSTANT,
        validTo: INSTANT,
        key: { kind: 'RSA 2048', spkiSha256: HEX },
      },
    ],
    certificateRequested: true,
    configured: { identity: 'transport', sha256: made.identities.get('transport')?.record.sha256 },
  })
  expect(first.timing).toEqual({
    startedAt: '2026-01-02T03:04:05.678Z',
    connectMs: expect.any(Number),
    firstByteMs: expect.any(Number),
    totalMs: expect.any(Number),
  })
  // Kept alive: the second request has the same evidence and no time of connecting.
  expect(second.tls).toEqual(first.tls)
  expect(Object.keys(second.timing).sort()).toEqual(['firstByteMs', 'startedAt', 'totalMs'])
  expect(https.connections).toHaveLength(1)
})

test.each([
  [{ method: 'POST', body: 'é=1' }, [['content-length', '4']]],
  [{ method: 'PUT' }, [['content-length', '0']]],
  [{ method: 'DELETE' }, []],
] as const)(
  'the headers of %o are those that the server receives, with those that are added',
  async (request, added) => {
    await using https = await startHttps(server(), (_, response) => response.end())
    await using transport = transportTo(https.port)

    const { sentHeaders } = await send(transport, { ...request, headers: [['x-probe', 'a: b']] })

    expect(sentHeaders).toEqual([
      ['host', 'server.example'],
      ['connection', 'keep-alive'],
      ['x-probe', 'a: b'],
      ['accept-encoding', 'identity'],
      ...added,
    ])
    expect(https.requests.map(({ headers }) => headers)).toEqual([Object.fromEntries(sentHeaders ?? [])])
  },
)

test('each identity has connections of its own, and "none" presents no certificate', async () => {
  await using https = await startHttps(mutual(), (_, response) => response.end())
  await using transport = transportTo(https.port)

  for (const identity of ['transport', 'none', 'other', 'none', 'transport']) await send(transport, {}, { identity })

  const [ours, theirs] = ['b9f04639-cdeb-425b-a310-450d3d293fd4', '38b2f9a4-1bf0-4d84-832f-853529d88ad7']
  expect(https.requests.map(({ client }) => client)).toEqual([ours, undefined, theirs, undefined, ours])
  expect(https.connections).toHaveLength(3)
})

test('a redirect is an answer like any other and is not followed', async () => {
  await using https = await startHttps(server(), (_, response) =>
    response.writeHead(302, { location: `https://${SERVER_NAME}/elsewhere` }).end(),
  )
  await using transport = transportTo(https.port)
  const delivery = await send(transport)
  expect(delivery).toMatchObject({ kind: 'answered', answer: { status: 302 } })
  expect(https.requests).toHaveLength(1)
})

test.for([
  ['https://evil.example/', 'host "evil.example" is not in ALLOWED_HOSTS; nothing was sent'],
  [
    'https://server.example.evil.example/',
    'host "server.example.evil.example" is not in ALLOWED_HOSTS; nothing was sent',
  ],
  ['https://server.example:8443/', 'host "server.example:8443" is not in ALLOWED_HOSTS; nothing was sent'],
  ['http://server.example/', 'a request is not for an absolute https URL without user information; nothing was sent'],
  [
    'https://user:pass@server.example/',
    'a request is not for an absolute https URL without user information; nothing was sent',
  ],
  ['https://evil.example\\@server.example/', 'host "evil.example" is not in ALLOWED_HOSTS; nothing was sent'],
  ['//server.example/', 'a request is not for an absolute https URL without user information; nothing was sent'],
  ['/register', 'a request is not for an absolute https URL without user information; nothing was sent'],
])('"%s" is refused before a connection: %s', async ([url, message]) => {
  let connections = 0
  await using tcp = await startTcp(() => {
    connections += 1
  })
  const gate = { identities: made.identities, demandAllowed: demandAllowed(new Set([SERVER_NAME])), maxBodyBytes: 1000 }
  await using overTls = transportTo(tcp.port)
  await using direct = inProcess({ ...gate, answer: () => Promise.reject(new Error('answered')) })

  for (const transport of [overTls, direct]) {
    const error = await send(transport, { url: url as string }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ToolError)
    expect(error).toMatchObject({ code: 'HOST_NOT_ALLOWED', message })
  }
  expect(connections).toBe(0)
})

test('an identity that the environment does not have is an error; no request is sent without a certificate instead', async () => {
  await using https = await startHttps(server(), (_, response) => response.end())
  await using transport = transportTo(https.port)
  await expect(send(transport, {}, { identity: 'trasport' })).rejects.toMatchObject({
    code: 'IDENTITY_MISSING',
    message: 'identity "trasport" is not in this environment; nothing was sent',
  })
  expect(https.connections).toEqual([])
})

test.for([
  [{ headers: [['x-bad', 'a\r\nx-smuggled: 1']] }, 'invalid x-bad header'],
  [{ headers: [['bad name', 'a']] }, 'invalid header key'],
  [{ url: `https://${SERVER_NAME}/a b` }, 'invalid request path'],
  [{ method: 'GE T' }, 'invalid request method'],
] as const)('what HTTP cannot carry is not sent: %j', async ([request, reason]) => {
  await using https = await startHttps(server(), (_, response) => response.end())
  await using transport = transportTo(https.port)
  expect(failure(await send(transport, request))).toEqual({
    code: 'INPUT_INVALID',
    sent: 'no',
    message: `the request to "${SERVER_NAME}" cannot be put into HTTP: ${reason}`,
  })
  expect(https.requests).toEqual([])
})

const SUSPICION = 'it may have refused the certificate of identity "transport" (valid until <date>)'

interface Expected {
  readonly title: string
  readonly code: string
  readonly message: string
  readonly timeoutMs?: number
}

/** What a server sends after the handshake, when it has the request. */
const ANSWERS: readonly (Expected & { readonly talk: (socket: TLSSocket, tcp: Socket) => unknown })[] = [
  {
    title: 'a server that closes in the middle of a body of known length',
    talk: (socket: TLSSocket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
    code: 'PEER_CLOSED',
    message: '"server.example" closed the connection in the middle of its answer',
  },
  {
    title: 'a server that closes in the middle of a chunked body',
    talk: (socket: TLSSocket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf'),
    code: 'PEER_CLOSED',
    message: '"server.example" closed the connection in the middle of its answer',
  },
  {
    title: 'a server that closes in the middle of the last chunked body',
    talk: (socket: TLSSocket) =>
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf'),
    code: 'PEER_CLOSED',
    message: '"server.example" closed the connection in the middle of its answer',
  },
  {
    title: 'a server that closes in the middle of the last body of known length',
    talk: (socket: TLSSocket) => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\nhalf'),
    code: 'PEER_CLOSED',
    message: 'the body of the answer of "server.example" is not as long as its content-length says',
  },
  {
    title: 'a server that closes in the middle of its headers',
    talk: (socket: TLSSocket) => socket.end('HTTP/1.1 200 OK\r\ncontent-'),
    code: 'PEER_CLOSED',
    message: '"server.example" closed the connection in the middle of its answer',
  },
  {
    title: 'a server that closes without an answer',
    talk: (socket: TLSSocket) => socket.end(),
    code: 'PEER_CLOSED',
    message: `"server.example" closed the connection without an answer; ${SUSPICION}`,
  },
  {
    title: 'a server that resets the connection',
    talk: (_: TLSSocket, tcp: Socket) => tcp.resetAndDestroy(),
    code: 'PEER_CLOSED',
    message: `"server.example" closed the connection without an answer; ${SUSPICION}`,
  },
  {
    title: 'an endless body',
    talk: (socket: TLSSocket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n${'x'.repeat(1001)}`),
    code: 'TOO_LARGE',
    message: 'the answer of "server.example" is larger than 1000 bytes',
  },
  {
    title: 'endless headers',
    talk: (socket: TLSSocket) => socket.write(`HTTP/1.1 200 OK\r\nx-large: ${'x'.repeat(300_000)}\r\n`),
    code: 'TOO_LARGE',
    message: 'the headers of the answer of "server.example" are too large',
  },
  {
    title: 'an answer that is not HTTP',
    talk: (socket: TLSSocket) => socket.end('220 mail.example ESMTP\r\n'),
    code: 'PROTOCOL',
    message: 'the answer of "server.example" is not HTTP',
  },
  {
    title: 'an HTTP/2 answer to an HTTP/1.1 request',
    talk: (socket: TLSSocket) => socket.end(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])),
    code: 'PROTOCOL',
    message: 'the answer of "server.example" is not HTTP',
  },
  {
    title: 'a switch of protocols that was not requested',
    talk: (socket: TLSSocket) => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    code: 'PROTOCOL',
    message:
      'the answer of "server.example" breaks a rule of HTTP: it switches to another protocol (101), which was not requested',
  },
]

test.for(ANSWERS)('$title is inconclusive: $code, $message', async ({ talk, code, message }) => {
  await using tls = await startTls(server(), (socket, tcp) => {
    socket.once('data', () => talk(socket, tcp))
  })
  await using transport = transportTo(tls.port)
  expect(failure(await send(transport))).toEqual({ code, sent: 'unknown', message })
})

test.for([
  ['never answers', '', 'did not answer'],
  [
    'stops in the middle of its body',
    'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf',
    'did not finish its answer',
  ],
])('a server that %s is given up in time', async ([, text = '', what]) => {
  await using tls = await startTls(server(), (socket) => {
    socket.once('data', () => {
      socket.once('data', () => socket.write(text))
      socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    })
  })
  await using transport = transportTo(tls.port)
  // The connection stands before time is limited: on a busy machine a handshake takes long.
  expect((await send(transport)).kind).toBe('answered')
  expect(failure(await send(transport, {}, { timeoutMs: 1000 }))).toEqual({
    code: 'TIMEOUT',
    sent: 'unknown',
    message: `"server.example" ${what} within 1000 ms`,
  })
})

/** What a server does instead of a TLS handshake. */
const HANDSHAKES: readonly (Expected & { readonly talk: (socket: Socket) => unknown })[] = [
  {
    title: 'a server that accepts and says nothing',
    talk: () => {},
    timeoutMs: 300,
    code: 'TIMEOUT',
    message: 'no TLS connection to "server.example" within 300 ms',
  },
  {
    title: 'a server that closes after the ClientHello',
    talk: (socket: Socket) => socket.once('data', () => socket.end()),
    code: 'PEER_CLOSED',
    message: `"server.example" closed the connection during the TLS handshake; ${SUSPICION}`,
  },
  {
    title: 'a server that resets after the ClientHello',
    talk: (socket: Socket) => socket.once('data', () => socket.resetAndDestroy()),
    code: 'PEER_CLOSED',
    message: `"server.example" closed the connection during the TLS handshake; ${SUSPICION}`,
  },
  {
    title: 'a server without TLS',
    talk: (socket: Socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    code: 'TLS_HANDSHAKE',
    message: '"server.example" does not speak TLS',
  },
]

test.for(HANDSHAKES)('$title gets no request: $code, $message', async ({ talk, code, message, timeoutMs = 10_000 }) => {
  await using tcp = await startTcp(talk)
  await using transport = transportTo(tcp.port)
  expect(failure(await send(transport, {}, { timeoutMs }))).toEqual({ code, sent: 'no', message })
})

test('no newer TLS is spoken than allowed', async () => {
  await using https = await startHttps(server(), (_, response) => response.end())
  await using transport = transportTo(https.port, { maxTlsVersion: 'TLSv1.2' })

  expect(await send(transport)).toMatchObject({ kind: 'answered', tls: { protocol: 'TLSv1.2' } })
})

test('a server with only older TLS than allowed gets no request', async () => {
  await using https = await startHttps({ ...server(), maxVersion: 'TLSv1.2' }, (_, response) => response.end())
  await using transport = transportTo(https.port, { minTlsVersion: 'TLSv1.3' })
  expect(failure(await send(transport))).toEqual({
    code: 'TLS_HANDSHAKE',
    sent: 'no',
    message: '"server.example" ended the TLS handshake with the alert "protocol version"',
  })
})

test('a port on which no server listens is not taken for the refusal of a certificate', async () => {
  const port = await closedPort()
  await using transport = transportTo(port)
  expect(failure(await send(transport))).toEqual({
    code: 'CONNECT',
    sent: 'no',
    message: 'no connection to "server.example": the connection was refused',
  })
})

test('the message names a host that does not resolve', async () => {
  await using transport = transportTo(undefined, { demandAllowed: demandAllowed(new Set(['does-not-exist.invalid'])) })
  expect(failure(await send(transport, { url: 'https://does-not-exist.invalid/' }))).toEqual({
    code: 'DNS',
    sent: 'no',
    message: 'host name "does-not-exist.invalid" does not resolve',
  })
})

test('a close of a kept connection is not blamed on the certificate that was accepted before', async () => {
  let answered = 0
  await using tls = await startTls(server(), (socket) => {
    socket.on('data', () => {
      answered += 1
      if (answered === 1) socket.write('HTTP/1.1 204 No Content\r\n\r\n')
      else socket.destroy()
    })
  })
  await using transport = transportTo(tls.port)
  expect(await send(transport)).toMatchObject({ kind: 'answered', answer: { status: 204 } })
  expect(failure(await send(transport))).toEqual({
    code: 'PEER_CLOSED',
    sent: 'unknown',
    message: '"server.example" closed a connection that it had kept open, without an answer',
  })
})

test('an abort ends the wait for an answer at once, and nothing is sent after it', async () => {
  const control = new AbortController()
  await using tls = await startTls(server(), (socket) => {
    socket.once('data', () => control.abort())
  })
  await using transport = transportTo(tls.port)
  const stopped = { code: 'INTERRUPTED', message: 'the request to "server.example" was stopped' }
  expect(failure(await send(transport, {}, { signal: control.signal }))).toEqual({ ...stopped, sent: 'unknown' })
  expect(failure(await send(transport, {}, { signal: control.signal }))).toEqual({ ...stopped, sent: 'no' })
})

test('a request given up while connecting is never sent, even if the connection is established later', async () => {
  const arrived: string[] = []
  const control = new AbortController()
  await using tls = await startTls(server(), (socket) => {
    socket.on('data', (data) => arrived.push(data.toString()))
  })
  const held: (() => void)[] = []
  // A relay that lets the handshake through only after the request was given up.
  await using relay = await startTcp((socket) => {
    const onward = connect(tls.port, '127.0.0.1')
    onward.on('error', () => {})
    held.push(() => socket.pipe(onward).pipe(socket))
    control.abort()
  })
  await using transport = transportTo(relay.port)
  const delivery = await send(transport, {}, { signal: control.signal })
  for (const release of held) release()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(failure(delivery).sent).toBe('no')
  expect(arrived).toEqual([])
})

test('a request with an answer that must not be lost is stopped before it was sent, and then by nothing but a cut', async () => {
  for (const [when, end] of [
    ['before it was sent', { code: 'INTERRUPTED', sent: 'no' }],
    ['once it was sent', 'answered'],
    ['cut', { code: 'INTERRUPTED', sent: 'unknown' }],
  ] as const) {
    const [stop, cut] = [new AbortController(), new AbortController()]
    await using https = await startHttps(server(), (_, response) => {
      stop.abort()
      if (when === 'cut') cut.abort()
      setImmediate(() => response.end('late'))
    })
    await using transport = transportTo(https.port)
    if (when === 'before it was sent') stop.abort()
    const delivery = await send(transport, {}, { signal: stop.signal, cut: cut.signal })
    if (end === 'answered') expect(delivery.kind, when).toBe('answered')
    else expect(failure(delivery), when).toMatchObject(end)
  }
})

test('disposing the transport ends what is still running', async () => {
  const asked = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  await using silent = await startTls(server(), (socket) => socket.once('data', () => asked.resolve()))
  await using mute = await startTcp(() => reached.resolve())
  for (const [port, isThere, sent] of [
    [silent.port, asked.promise, 'unknown'],
    [mute.port, reached.promise, 'no'],
  ] as const) {
    const transport = transportTo(port)
    const running = send(transport)
    await isThere
    await transport[Symbol.asyncDispose]()
    const message = 'the request to "server.example" was stopped'
    expect(failure(await running)).toEqual({ code: 'INTERRUPTED', sent, message })
  }
})

test('a proxy is asked for a tunnel, and the certificate goes through it to the server', async () => {
  await using https = await startHttps(mutual(), (_, response) => response.end('through'))
  const asked: string[] = []
  await using proxy = await startTcp((socket) => {
    socket.once('data', (head) => {
      asked.push(head.toString())
      const onward = connect(https.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      onward.on('error', () => socket.destroy())
    })
  })
  const httpsProxy = new Secret(`http://user:p%40ss@127.0.0.1:${proxy.port}`, 'https_proxy')
  await using transport = transportTo(undefined, { proxy: { httpsProxy } })

  expect(await send(transport)).toMatchObject({
    kind: 'answered',
    answer: { status: 200 },
    tls: { configured: { identity: 'transport' } },
  })
  expect(https.requests.map(({ client }) => client)).toEqual(['b9f04639-cdeb-425b-a310-450d3d293fd4'])
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatch(/^CONNECT server\.example:443 HTTP\/1\.1\r\n/)
  expect(asked[0]).toContain(`proxy-authorization: Basic ${Buffer.from('user:p@ss').toString('base64')}`)
})

test.for([
  ['HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n', 'answered 407'],
  ['', 'cannot be reached'],
] as const)('a proxy that answers "%s" is named without its password', async ([answer, reason]) => {
  await using proxy = await startTcp((socket) => socket.once('data', () => socket.end(answer)))
  const httpsProxy = new Secret(`http://user:hidden@127.0.0.1:${proxy.port}`, 'https_proxy')
  await using transport = transportTo(undefined, { proxy: { httpsProxy } })
  expect(failure(await send(transport))).toEqual({
    code: 'CONNECT',
    sent: 'no',
    message: `no connection to "server.example": proxy "127.0.0.1:${proxy.port}" ${reason}`,
  })
})

/** A call to a server of this machine by that name, where a proxy is set: how it ended, and how often the proxy was asked. */
async function besideProxy(name: string, noProxy: string) {
  await using https = await startHttps(mutual(), (_, response) => response.end())
  let asked = 0
  await using proxy = await startTcp((socket) => {
    asked += 1
    socket.end()
  })
  const httpsProxy = new Secret(`127.0.0.1:${proxy.port}`, 'https_proxy')
  const host = `${name}:${https.port}`
  await using transport = transportTo(undefined, {
    demandAllowed: demandAllowed(new Set([host])),
    proxy: { httpsProxy, noProxy },
  })
  const { kind } = await send(transport, { url: `https://${host}/` })
  return { kind, asked }
}

test.for([
  ['localhost', true],
  ['.local, localhost:1', false],
  ['*', true],
  ['other.example host', false],
] as const)('NO_PROXY "%s" exempts localhost: %s', async ([noProxy, isDirect]) => {
  const { kind, asked } = await besideProxy('localhost', noProxy)

  expect(kind).toBe(isDirect ? 'answered' : 'failed')
  expect(asked).toBe(isDirect ? 0 : 1)
})

test.for([
  ['127.0.0.0/8', true],
  ['10.0.0.0/8 192.168.0.0/16', false],
  ['127.0.0.1/99', false],
  ['::/0', false],
  ['[::1]/128', false],
] as const)('NO_PROXY "%s" exempts the address 127.0.0.1: %s', async ([noProxy, isDirect]) => {
  const { asked } = await besideProxy('127.0.0.1', noProxy)

  expect(asked).toBe(isDirect ? 0 : 1)
})

test('in process the certificate travels beside the request, and the contract is the same', async () => {
  const seen: unknown[] = []
  await using transport = inProcess({
    identities: made.identities,
    demandAllowed: demandAllowed(new Set([SERVER_NAME])),
    maxBodyBytes: 1000,
    async answer(request, certificate) {
      seen.push([request.method, request.url, await request.text(), certificate?.fingerprint256])
      return new Response('ok', { status: 201, headers: { 'X-Answer': 'yes' } })
    },
  })
  const request = { method: 'POST', url: `https://${SERVER_NAME}/a?b=c`, body: 'text' }

  const delivery = await send(transport, request)
  await send(transport, request, { identity: 'none' })

  expect(delivery).toEqual({
    kind: 'answered',
    answer: {
      status: 201,
      headers: [
        ['content-type', 'text/plain;charset=UTF-8'],
        ['x-answer', 'yes'],
      ],
      body: Buffer.from('ok'),
    },
    timing: { startedAt: expect.any(String), totalMs: expect.any(Number) },
  })
  const fingerprint = made.identities.get('transport')?.certificate.fingerprint256
  expect(seen).toEqual([
    ['POST', request.url, 'text', fingerprint],
    ['POST', request.url, 'text', undefined],
  ])
})

test('in process a network error, a long wait and an abort are failures as over the network', async () => {
  const gate = { identities: made.identities, demandAllowed: demandAllowed(new Set([SERVER_NAME])), maxBodyBytes: 1000 }
  await using broken = inProcess({ ...gate, answer: () => Promise.resolve(Response.error()) })
  await using silent = inProcess({ ...gate, answer: () => new Promise(() => {}) })
  expect(failure(await send(broken))).toEqual({
    code: 'PEER_CLOSED',
    sent: 'unknown',
    message:
      '"server.example" closed the connection without an answer; it may have refused the certificate of identity "transport" (valid until <date>)',
  })
  expect(failure(await send(silent, {}, { timeoutMs: 20 }))).toEqual({
    code: 'TIMEOUT',
    sent: 'unknown',
    message: '"server.example" did not answer within 20 ms',
  })
  expect(failure(await send(silent, {}, { signal: AbortSignal.abort() }))).toEqual({
    code: 'INTERRUPTED',
    sent: 'no',
    message: 'the request to "server.example" was stopped',
  })
})

test('in process a body that fails, never ends or is too large is a failure as over the network', async () => {
  const gate = { identities: made.identities, demandAllowed: demandAllowed(new Set([SERVER_NAME])), maxBodyBytes: 1000 }
  let read = 0
  let isCancelled = false
  const cancel = () => {
    isCancelled = true
  }
  const answering = (pull: (controller: ReadableStreamDefaultController<Uint8Array>) => Promise<void> | void) =>
    inProcess({ ...gate, answer: async () => new Response(new ReadableStream({ pull, cancel })) })
  const piece = new Uint8Array(600)
  await using failing = answering((controller) => {
    if (read++ === 0) controller.enqueue(piece)
    else controller.error(new Error('cut'))
  })
  await using stuck = answering(() => new Promise(() => {}))
  await using endless = answering((controller) => controller.enqueue(piece))

  expect(failure(await send(failing))).toEqual({
    code: 'PEER_CLOSED',
    sent: 'unknown',
    message: '"server.example" closed the connection in the middle of its answer',
  })
  expect(failure(await send(stuck, {}, { timeoutMs: 20 }))).toEqual({
    code: 'TIMEOUT',
    sent: 'unknown',
    message: '"server.example" did not finish its answer within 20 ms',
  })
  expect(failure(await send(endless))).toEqual({
    code: 'TOO_LARGE',
    sent: 'unknown',
    message: 'the answer of "server.example" is larger than 1000 bytes',
  })
  expect(isCancelled).toBe(true)
})

async function closedPort(): Promise<number> {
  await using tcp = await startTcp(() => {})
  return tcp.port
}
