/** A company's proxy between us and the platform: real processes, a CONNECT proxy on this machine, mutual TLS through it. */
import { readdir, readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cli, type Ended } from '../support/cli.ts'
import { type LocalPki, localFiles, makeLocalPki, writeLocalFiles } from '../support/local.ts'
import { type HttpsTestServer, startHttps, startTcp, startTls, type TestServer } from '../support/servers.ts'

const PASSWORD = 'p@ss/word:4815162342'
const USER = `someone:${encodeURIComponent(PASSWORD)}`
const STEPS = [{ stepId: 'call', operationId: 'mutual' }]

let pki: LocalPki
/** Demands a client certificate. */
let server: HttpsTestServer

beforeAll(async () => {
  pki = await makeLocalPki()
  const mutual = { ...pki.server, ca: pki.ca, requestCert: true, rejectUnauthorized: true }
  server = await startHttps(mutual, (_, response) => response.end())
})
afterAll(() => server[Symbol.asyncDispose]())

test.for(['HTTPS_PROXY', 'https_proxy'])('%s is asked for a tunnel with its credentials', async (variable) => {
  await using proxy = await startProxy()

  const { ended, requests, texts } = await run({ [variable]: `http://${USER}@localhost:${proxy.port}` }, ['--wire'])

  expect([ended.stderr, ended.code]).toEqual(['', 0])
  expect(requests.map(({ path, client }) => [path, client])).toEqual([['/mutual', 'client']])
  expect(proxy.asked).toEqual([`CONNECT localhost:${server.port} HTTP/1.1`])
  expect(proxy.credentials).toEqual([Buffer.from(`someone:${PASSWORD}`).toString('base64')])
  expect(leaks(texts)).toEqual([])
  expect(texts.get('record.json')).toContain('"identity": "transport"')
})

test('a proxy that is itself met over TLS never sees the client certificate', async () => {
  const clients: (string | undefined)[] = []
  const asked: string[] = []
  await using proxy = await startTls(
    { ...pki.server, ca: pki.ca, requestCert: true, rejectUnauthorized: false },
    (socket) => {
      clients.push(socket.getPeerX509Certificate()?.subject)
      tunnel(socket, asked)
    },
  )

  const { ended, requests } = await run({ HTTPS_PROXY: `https://localhost:${proxy.port}` })

  expect([ended.stderr, ended.code]).toEqual(['', 0])
  expect(requests.map(({ client }) => client)).toEqual(['client'])
  expect(asked).toHaveLength(1)
  expect(clients).toEqual([undefined])
})

test.for([
  ['localhost', true],
  ['example.com, LOCALHOST', true],
  ['*', true],
  ['local', false],
  ['localhost:1', false],
] as const)('with NO_PROXY "%s" the server is called directly: %s', async ([NO_PROXY, isDirect]) => {
  await using proxy = await startProxy()

  const { ended, requests } = await run({ HTTPS_PROXY: `http://localhost:${proxy.port}`, NO_PROXY })

  expect(ended.code).toBe(0)
  expect(requests).toHaveLength(1)
  expect(proxy.asked).toHaveLength(isDirect ? 0 : 1)
})

test.for([
  [
    'asks for other credentials',
    (socket: Socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n'),
    'CONNECT: no connection to "localhost:<port>": proxy "localhost:<port>" answered 407',
  ],
  [
    'forbids the host',
    (socket: Socket) => socket.end('HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\n\r\n<html>'),
    'CONNECT: no connection to "localhost:<port>": proxy "localhost:<port>" answered 403',
  ],
  [
    'hangs up',
    (socket: Socket) => socket.destroy(),
    'CONNECT: no connection to "localhost:<port>": proxy "localhost:<port>" cannot be reached',
  ],
  ['keeps silent', () => {}, 'TIMEOUT: no TLS connection to "localhost:<port>" within 2000 ms'],
  [
    'answers like a server',
    (socket: Socket) => socket.end('220 mail.example ESMTP\r\n'),
    'CONNECT: no connection to "localhost:<port>": proxy "localhost:<port>" cannot be reached',
  ],
] as const)('a proxy that %s: exit 3, one sentence, no password, no request', async ([, talk, sentence]) => {
  await using proxy = await startTcp((socket) => {
    socket.once('data', () => talk(socket))
  })

  const { ended, requests, texts } = await run({ HTTPS_PROXY: `http://${USER}@localhost:${proxy.port}` })

  expect([ended.stderr, ended.code]).toEqual(['', 3])
  expect(ended.stdout.replaceAll(/localhost:\d+/g, 'localhost:<port>')).toContain(`      ${sentence}\n`)
  expect(requests).toEqual([])
  expect(leaks(texts)).toEqual([])
})

test('a proxy that is not there is said to be the one that is missing', async () => {
  const gone = await startTcp(() => {})
  await gone[Symbol.asyncDispose]()

  const { ended, texts } = await run({ HTTPS_PROXY: `http://${USER}@localhost:${gone.port}` })

  expect(ended.code).toBe(3)
  expect(ended.stdout).toContain(`proxy "localhost:${gone.port}" cannot be reached`)
  expect(leaks(texts)).toEqual([])
})

test('a server that we do not trust is refused through a proxy too', async () => {
  const stranger = await makeLocalPki()
  await using proxy = await startProxy()

  const { ended, requests } = await run({ HTTPS_PROXY: `http://localhost:${proxy.port}` }, [], {
    'ca.crt': stranger.ca,
  })

  expect(ended.code).toBe(3)
  expect(ended.stdout).toContain('TLS_SERVER_UNTRUSTED')
  expect(requests).toEqual([])
})

test('the offline twin is on this machine and met without the proxy', async () => {
  await using proxy = await startProxy()
  await using cli = await Cli.make()

  const { code } = await cli.run(['run', 'register'], { variables: { HTTPS_PROXY: `http://localhost:${proxy.port}` } })

  expect(code).toBe(0)
  expect(proxy.asked).toEqual([])
})

interface Ran {
  readonly ended: Ended
  /** what the server was asked */
  readonly requests: HttpsTestServer['requests']
  /** all that a person or a later program can read, by name */
  readonly texts: ReadonlyMap<string, string>
}

async function run(
  variables: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
  files: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const before = server.requests.length
  await using cli = await Cli.make()
  const settings = { TIMEOUT_MS: '2000' }
  await writeLocalFiles(cli.folder, { ...localFiles(pki, { port: server.port, steps: STEPS, settings }), ...files })
  const ended = await cli.run(['run', 'own', ...flags], { variables })
  const reports = join(cli.folder, 'reports', 'latest')
  const names = await readdir(reports)
  const written = names.map(async (name) => [name, await readFile(join(reports, name), 'utf8')] as const)
  const texts = new Map([...(await Promise.all(written)), ['stdout', ended.stdout], ['stderr', ended.stderr]])
  return { ended, requests: server.requests.slice(before), texts }
}

/** Where the password of the proxy stands, in any form it is likely to have. */
function leaks(texts: ReadonlyMap<string, string>): string[] {
  const base64 = Buffer.from(`someone:${PASSWORD}`).toString('base64')
  const forms = [PASSWORD, encodeURIComponent(PASSWORD), base64, 'someone:']
  return [...texts].flatMap(([name, text]) => (forms.some((form) => text.includes(form)) ? [name] : []))
}

interface TestProxy extends TestServer {
  /** first lines */
  readonly asked: readonly string[]
  /** of proxy-authorization, after "Basic" */
  readonly credentials: readonly string[]
}

async function startProxy(): Promise<TestProxy> {
  const asked: string[] = []
  const credentials: string[] = []
  const started = await startTcp((socket) => tunnel(socket, asked, credentials))
  return { ...started, asked, credentials }
}

/** Waits for CONNECT and then passes on every byte. */
function tunnel(socket: Duplex, asked: string[], credentials: string[] = []): void {
  socket.once('data', (head: Buffer) => {
    const text = head.toString('latin1')
    asked.push(text.split('\r\n')[0] ?? '')
    credentials.push(...(/^proxy-authorization: Basic (.*)$/im.exec(text)?.slice(1) ?? []))
    const onward = connect(Number(/:(\d+) /.exec(text)?.[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    socket.once('close', () => onward.destroy())
  })
}
