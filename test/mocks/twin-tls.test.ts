import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { HttpResponse, http } from 'msw'
import { beforeAll, expect, test } from 'vitest'
import {
  changeField,
  faultsOf,
  type Pki,
  performHook,
  type RunningTwin,
  type StartOptions,
  startTwin,
} from '../../mocks/index.ts'
import type { PkiIdentity } from '../../mocks/pki.ts'
import { CLIENT_ID, SOFTWARE, sharedPki } from '../support/twin.ts'

let pki: Pki
const keys = new Map<string, string>()
beforeAll(async () => {
  pki = await sharedPki()
  for (const [name, { keyFile }] of Object.entries(pki.identities)) keys.set(name, await readFile(keyFile, 'utf8'))
})

const STRICT = 'matls-auth.directory.sandbox.threddid.com'
const CUSTOM = 'auth.uat.threddid.com'
const PLAIN = 'auth.directory.sandbox.threddid.com'
const DISCOVERY = '/.well-known/openid-configuration'
const TOKEN_FORM = new URLSearchParams({ grant_type: 'client_credentials', client_id: CLIENT_ID }).toString()
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

interface Asking extends ConnectionOptions {
  readonly as?: PkiIdentity | 'none'
  /** of the Host header, where it is not the server name */
  readonly named?: string
  readonly agent?: Agent
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Told {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly isSessionReused: boolean
}

function start(options: Omit<StartOptions, 'pki'> = {}): Promise<RunningTwin> {
  return startTwin({ pki, ...options })
}

function tlsOptions(running: RunningTwin, host: string, as: PkiIdentity | 'none'): ConnectionOptions {
  const { port } = running
  const own = as === 'none' ? {} : { cert: pki.identities[as].certificate, key: keys.get(as) }
  return { host: '127.0.0.1', port, servername: host, ca: pki.ca, ...own }
}

/** One request on a connection of its own, unless an agent is given. Rejects when it is refused. */
async function ask(running: RunningTwin, host: string, path: string, asking: Asking = {}): Promise<Told> {
  const { as = 'transport', named = host, agent = new Agent({ maxCachedSessions: 0 }), method, body, ...rest } = asking
  const headers = { host: named, ...asking.headers }
  const outgoing = request({
    ...tlsOptions(running, host, as),
    ...rest,
    path,
    agent,
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
  })
  outgoing.end(body)
  const [incoming] = await once(outgoing, 'response')
  const isSessionReused = (incoming.socket as TLSSocket).isSessionReused()
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk
  if (asking.agent === undefined) agent.destroy()
  return { status: incoming.statusCode, headers: incoming.headers, text, isSessionReused }
}

function askToken(running: RunningTwin, asking: Asking = {}): Promise<Told> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return ask(running, STRICT, '/token', { body: TOKEN_FORM, headers, ...asking })
}

test('the Date of an answer is that of the twin, which a hook may have advanced', async () => {
  await using running = await start()
  performHook(running.twin.state, 'advance-clock', { seconds: 400 })

  const { headers } = await ask(running, PLAIN, DISCOVERY, { as: 'none' })

  const ahead = Date.parse(headers.date ?? '') - Date.now()
  expect(ahead).toBeGreaterThan(300_000)
  expect(ahead).toBeLessThan(401_000)
})

test.each(VERSIONS)(
  'over %s the right certificate is seen and answered, under the documented name',
  async (version) => {
    await using running = await start()

    const answer = await askToken(running, { minVersion: version, maxVersion: version })

    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.text)).toMatchObject({ token_type: 'Bearer' })
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(running.twin.log).toMatchObject([
      { url: `https://${STRICT}/token`, certificate: expect.stringContaining(`CN=${SOFTWARE}`), status: 200 },
    ])
  },
)

test.each(VERSIONS)(
  'over %s no certificate, or one that is foreign, cloned or out of date, ends the handshake',
  async (version) => {
    await using running = await start()
    const at = { minVersion: version, maxVersion: version }

    for (const as of ['none', 'rogue', 'clone', 'expired', 'not-yet-valid'] as const) {
      await expect(askToken(running, { as, ...at })).rejects.toThrow()
    }
    expect((await askToken(running, at)).status).toBe(200)

    expect(running.twin.state.directoryTokens.size).toBe(1)
    const refusals = running.twin.log.filter(({ decision }) => decision.startsWith('handshake refused'))
    expect(refusals.map(({ url, status }) => `${url} ${status}`)).toEqual(Array(5).fill(`https://${STRICT} 0`))
    expect(refusals.map(({ decision }) => decision.slice('handshake refused: '.length))).toEqual([
      'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_SIGNATURE_FAILURE',
      'CERT_HAS_EXPIRED',
      'CERT_NOT_YET_VALID',
    ])
  },
)

test('a plain host answers without a certificate and never asks for one', async () => {
  await using running = await start()

  const answer = await ask(running, PLAIN, DISCOVERY, { as: 'rogue' })

  expect(answer.status).toBe(200)
  expect(running.twin.log).toMatchObject([{ certificate: 'none', status: 200 }])
})

test('with the switch for it, the twin refuses with the documented HTML page instead', async () => {
  await using running = await start({ switches: { refuse: 'html400' } })

  const bare = await askToken(running, { as: 'none' })
  const rogue = await askToken(running, { as: 'rogue' })

  expect([bare.status, bare.headers['content-type']]).toEqual([400, 'text/html'])
  expect(bare.text).toContain('No required SSL certificate was sent')
  expect(rogue.text).toContain('The SSL certificate error')
  expect((await askToken(running)).status).toBe(200)
  expect(running.twin.log.map(({ decision }) => decision)).toEqual([
    'certificate refused: no client certificate',
    'certificate refused: UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    `directory token for ${CLIENT_ID}, bound to the certificate`,
  ])
})

test('a resumed TLS 1.3 session without a certificate is refused like the first', async () => {
  await using running = await start({ switches: { refuse: 'html400' } })
  const agent = new Agent({ keepAlive: false })

  const first = await askToken(running, { as: 'none', agent })
  const second = await askToken(running, { as: 'none', agent })
  agent.destroy()

  expect([first.status, first.isSessionReused]).toEqual([400, false])
  // node reports this connection as authorized, though the client presented no certificate.
  expect([second.status, second.isSessionReused]).toEqual([400, true])
  expect(running.twin.state.directoryTokens.size).toBe(0)
})

test('a session that began without a certificate is refused by a host that demands one', async () => {
  await using running = await start({ switches: { customDomainCertificate: 'optional' } })
  const socket = connectTls(tlsOptions(running, CUSTOM, 'none'))
  socket.write(`GET /confidential-clients/.well-known/jwks.json HTTP/1.1\r\nhost: ${CUSTOM}\r\n\r\n`)
  const [session] = await once(socket, 'session')
  socket.destroy()

  await expect(askToken(running, { as: 'none', session })).rejects.toThrow()
  expect(
    (await ask(running, CUSTOM, '/confidential-clients/.well-known/jwks.json', { as: 'none', session })).status,
  ).toBe(200)
})

test('a host that demands a certificate cannot be reached through the server name of one that does not', async () => {
  await using running = await start()

  await expect(ask(running, PLAIN, '/token', { as: 'transport', named: STRICT, body: TOKEN_FORM })).rejects.toThrow(
    'socket hang up',
  )
  // The same without a server name.
  const unnamed = { servername: '', checkServerIdentity: () => undefined }
  await expect(ask(running, STRICT, '/token', { as: 'none', body: TOKEN_FORM, ...unnamed })).rejects.toThrow()
  expect(running.twin.log.at(-1)?.decision).toBe('certificate refused: no client certificate')
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  expect((await ask(running, STRICT, '/token', { body: TOKEN_FORM, headers, ...unnamed })).status).toBe(200)
})

test('TLS 1.1 is refused', async () => {
  await using running = await start()
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const

  await expect(ask(running, PLAIN, DISCOVERY, old)).rejects.toThrow()
  expect(running.twin.log).toMatchObject([{ decision: 'handshake refused: ERR_SSL_UNSUPPORTED_PROTOCOL' }])
})

test('the path arrives byte for byte, with its double slashes and percent signs', async () => {
  await using running = await start()
  const path = '/confidential-clients/oauth2/register/'
  const forms = [`${path}${CLIENT_ID}`, `${path}${encodeURIComponent(CLIENT_ID)}`, `${path}x/../${CLIENT_ID}`]

  for (const form of forms) expect((await ask(running, CUSTOM, form)).status).toBe(401)

  expect(running.twin.log.map(({ url }) => url)).toEqual(forms.map((form) => `https://${CUSTOM}${form}`))
})

test('faults work over TLS as they do in-process', async () => {
  await using running = await start()
  running.twin.use(...changeField('directoryToken', '/expires_in', 'ten minutes').handlers(running.twin))

  expect(JSON.parse((await askToken(running)).text)).toMatchObject({ expires_in: 'ten minutes', token_type: 'Bearer' })
})

test('repeated headers stay apart, an error response ends the connection, a body that fails ends it half-way', async () => {
  await using running = await start()
  const headers: [string, string][] = [
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2; Path=/'],
  ]
  const url = (path: string) => `https://${PLAIN}${path}`
  running.twin.use(
    http.get(url('/cookies'), () => new HttpResponse('x', { headers })),
    http.get(url('/error'), () => HttpResponse.error()),
    http.get(url('/cut'), () => {
      const body = new ReadableStream({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode('half'))
          controller.error(new Error('cut'))
        },
      })
      return new HttpResponse(body, { headers: { 'content-length': '8' } })
    }),
  )

  expect((await ask(running, PLAIN, '/cookies')).headers['set-cookie']).toEqual(['a=1', 'b=2; Path=/'])
  await expect(ask(running, PLAIN, '/error')).rejects.toThrow('socket hang up')
  await expect(ask(running, PLAIN, '/cut')).rejects.toThrow()
})

test('a body over the limit is answered 413 and never reaches a handler', async () => {
  await using running = await start({ limits: { bodyBytes: 1000 } })

  expect((await askToken(running, { body: 'x'.repeat(1001) })).status).toBe(413)
  expect(running.twin.log).toEqual([])
  expect((await askToken(running)).status).toBe(200)
})

test('garbage, silence and half a ClientHello do not disturb other clients', async () => {
  await using running = await start({ limits: { timeoutMs: 1000 } })
  const talk = async (bytes: Buffer | undefined) => {
    const socket = connectTcp(running.port, '127.0.0.1')
    socket.on('error', () => {})
    if (bytes !== undefined) socket.write(bytes)
    await once(socket.resume(), 'close')
  }
  // A record header for more bytes than are sent, and a ClientHello with lengths that point past its end.
  const promise = Buffer.from([22, 3, 1, 1, 0, 1])
  const broken = Buffer.from([22, 3, 1, 0, 8, 1, 0, 0, 4, 3, 3, 0, 0])

  await Promise.all([
    talk(Buffer.from('GET / HTTP/1.1\r\n\r\n')),
    talk(undefined),
    talk(promise),
    talk(broken),
    talk(Buffer.alloc(20_000, 22)),
  ])
  const smuggled = connectTls(tlsOptions(running, PLAIN, 'none'))
  smuggled.write('GET nowhere HTTP/1.1\r\nhost: x\r\n\r\n')
  const [answer] = await once(smuggled.setEncoding('utf8'), 'data')
  smuggled.destroy()

  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect((await askToken(running)).status).toBe(200)
})

test('a client that sends single bytes without end is disconnected, within TLS after an answer 408', async () => {
  await using running = await start({ limits: { timeoutMs: 1000 } })
  /** What comes back on a connection that never stops sending; resolves when the twin ends it. */
  const trickle = async (socket: Socket, first: Buffer | string, drop: string) => {
    let told = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      told += chunk
    })
    socket.write(first)
    const drops = setInterval(() => socket.write(drop), 10)
    await new Promise((resolve) => socket.once('close', resolve))
    clearInterval(drops)
    return told.split('\r\n', 1)[0]
  }
  const secure = () => connectTls(tlsOptions(running, PLAIN, 'none'))
  const head = `POST /token HTTP/1.1\r\nhost: ${PLAIN}\r\n`

  expect(
    await Promise.all([
      trickle(connectTcp(running.port, '127.0.0.1'), Buffer.from([22, 3, 1, 63, 255, 1]), '\x01'),
      trickle(secure(), `${head}x-slow: `, 'x'),
      trickle(secure(), `${head}content-length: 100000\r\n\r\n`, 'x'),
      trickle(secure(), head, 'x: y\r\n'),
      trickle(secure(), '', ''),
    ]),
  ).toEqual(['', ...Array.from({ length: 4 }, () => 'HTTP/1.1 408 Request Timeout')])
  expect(await trickle(secure(), `${head}x: ${'x'.repeat(20_000)}`, '')).toBe(
    'HTTP/1.1 431 Request Header Fields Too Large',
  )
  expect(running.twin.log).toEqual([])
  expect((await askToken(running)).status).toBe(200)
})

test('a client that does not read its answer is disconnected; one that waits for a late answer is not', async () => {
  await using running = await start({ limits: { timeoutMs: 200 } })
  const use = (text: string) => {
    running.twin.reset()
    for (const fault of faultsOf(text, running.twin.operations)) running.twin.use(...fault.handlers(running.twin))
  }
  use('huge:directoryDiscovery=64')
  const socket = connectTls(tlsOptions(running, PLAIN, 'none'))
  socket.on('error', () => {})
  socket.write(`GET ${DISCOVERY} HTTP/1.1\r\nhost: ${PLAIN}\r\n\r\n`)
  const ended = new Promise((resolve) => socket.once('close', resolve))
  await sleep(1000)
  let received = 0
  socket.on('data', (chunk) => {
    received += chunk.length
  })
  await ended

  expect(received).toBeLessThan(64 * 1024 * 1024)
  use('slow:directoryDiscovery=1000')
  expect((await ask(running, PLAIN, DISCOVERY, { as: 'none' })).status).toBe(200)
})

test('a ClientHello that arrives in single bytes is understood', async () => {
  await using running = await start()
  const tcp = connectTcp({ port: running.port, host: '127.0.0.1', noDelay: true })
  const slow = new Duplex({
    read() {},
    async write(chunk: Buffer, _encoding, done) {
      for (const byte of chunk) {
        tcp.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
      done()
    },
  })
  tcp.on('data', (chunk) => slow.push(chunk))
  const { host: _, port: __, ...options } = tlsOptions(running, STRICT, 'transport')

  const socket = connectTls({ ...options, socket: slow })
  socket.write(`GET / HTTP/1.1\r\nhost: ${STRICT}\r\n\r\n`)
  const [answer] = await once(socket.setEncoding('utf8'), 'data')
  socket.destroy()
  tcp.destroy()

  expect(answer).toMatch(/^HTTP\/1\.1 501 /)
})

test('closing ends idle connections that are kept alive and frees the port', async () => {
  const running = await start()
  const agent = new Agent({ keepAlive: true })
  expect((await askToken(running, { agent })).status).toBe(200)
  const [idle] = Object.values(agent.freeSockets).flat()
  if (idle === undefined) throw new Error('the connection was not kept')
  const ended = once(idle, 'close')

  await running.close()
  await ended

  const refused = connectTcp(running.port, '127.0.0.1')
  const [error] = await once(refused, 'error')
  expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  await running.close()
})

test('a port that is in use is reported', async () => {
  await using running = await start()

  await expect(start({ port: running.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
