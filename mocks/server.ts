/**
 * The twin behind real mutual TLS on loopback: one port, and per server name the documented demand for a client
 * certificate. Owns sockets, limits and the bridge between node's HTTP and web requests; knows nothing of the answers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer, type ServerOptions } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { readGreeting } from './client-hello.ts'
import { createTwin, type Twin, type TwinOptions } from './twin.ts'

interface ServerLimits {
  /** of a request body; a larger one is answered 413 */
  readonly bodyBytes: number
  /** for the handshake, for a body, and between requests */
  readonly timeoutMs: number
  readonly connections: number
}

export interface StartOptions extends TwinOptions {
  /** 0 takes any free port */
  readonly port?: number
  readonly limits?: Partial<ServerLimits>
}

export interface RunningTwin extends AsyncDisposable {
  /** on 127.0.0.1 */
  readonly port: number
  readonly twin: Twin
  /** Ends every connection, also idle ones kept alive, and frees the port. */
  close(): Promise<void>
}

const LIMITS: ServerLimits = { bodyBytes: 1024 * 1024, timeoutMs: 30_000, connections: 1000 }
/** A ClientHello with post-quantum key shares is some 2 KiB. */
const GREETING_BYTES = 16 * 1024

/** Listens on 127.0.0.1; rejects where the port is taken. */
export async function startTwin(options: StartOptions): Promise<RunningTwin> {
  const limits = { ...LIMITS, ...options.limits }
  const twin = createTwin(options)
  const servers = createServers(twin, options.pki, limits)
  const sockets = new Set<Socket>()

  // node can demand a certificate per server, not per server name: a look at the ClientHello chooses the server.
  const dispatcher = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.setTimeout(limits.timeoutMs, () => socket.destroy())
    let greeting = Buffer.alloc(0)
    const read = (chunk: Buffer) => {
      greeting = Buffer.concat([greeting, chunk])
      const seen = readGreeting(greeting)
      if (seen.kind === 'partial') {
        if (greeting.length > GREETING_BYTES) socket.destroy()
        return
      }
      socket.off('data', read)
      socket.pause()
      socket.setTimeout(0)
      socket.unshift(greeting)
      serverFor(seen.name, twin, servers).emit('connection', socket)
    }
    socket.on('data', read)
  })
  dispatcher.maxConnections = limits.connections
  await new Promise<void>((resolve, reject) => {
    dispatcher.once('error', reject)
    dispatcher.listen(options.port ?? 0, '127.0.0.1', () => {
      dispatcher.off('error', reject)
      resolve()
    })
  })
  const address = dispatcher.address()
  if (address === null || typeof address === 'string') throw new Error('the twin has no port')

  const close = async () => {
    const closed = new Promise<void>((resolve) => dispatcher.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { port: address.port, twin, close, [Symbol.asyncDispose]: close }
}

interface Servers {
  /** ends the handshake of whoever has no good certificate */
  readonly strict: HttpsServer
  /** asks for a certificate and leaves the judgement to the twin */
  readonly asking: HttpsServer
  /** never asks */
  readonly plain: HttpsServer
}

function createServers(twin: Twin, pki: StartOptions['pki'], limits: ServerLimits): Servers {
  const base: ServerOptions = {
    cert: pki.server.certificate,
    key: pki.server.key,
    ca: pki.ca,
    minVersion: 'TLSv1.2',
    handshakeTimeout: limits.timeoutMs,
    keepAliveTimeout: limits.timeoutMs,
  }
  const make = (demand: Pick<ServerOptions, 'requestCert' | 'rejectUnauthorized'>): HttpsServer => {
    const server = createHttpsServer({ ...base, ...demand }, (incoming, outgoing) => {
      serve(incoming, outgoing, twin, limits).catch(() => incoming.socket.destroy())
    })
    server.setTimeout(limits.timeoutMs, (socket) => socket.destroy())
    server.on('tlsClientError', (error, socket) => {
      twin.record({
        method: '-',
        url: `https://${serverNameOf(socket) ?? 'unnamed'}`,
        certificate: presented(socket)?.subject.split('\n').join(', ') ?? 'none',
        status: 0,
        decision: `handshake refused: ${reasonOf(error, socket)}`,
      })
      socket.destroy()
    })
    server.on('clientError', (_, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      else socket.destroy()
    })
    return server
  }
  return {
    strict: make({ requestCert: true, rejectUnauthorized: true }),
    asking: make({ requestCert: true, rejectUnauthorized: false }),
    plain: make({ requestCert: false }),
  }
}

function serverFor(name: string | undefined, twin: Twin, servers: Servers): HttpsServer {
  const demand = name === undefined ? 'optional' : twin.demandOf(name)
  if (demand === 'none') return servers.plain
  return demand === 'required' && twin.switches.refuse === 'handshake' ? servers.strict : servers.asking
}

async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  twin: Twin,
  limits: ServerLimits,
): Promise<void> {
  const { socket } = incoming
  if (!(socket instanceof TLSSocket)) throw new Error('a request without TLS')
  const body = await readBody(incoming, limits.bodyBytes)
  if (body === undefined) {
    complain(outgoing, 413, 'the body is too large')
    return
  }
  const request = toRequest(incoming, body)
  if (request === undefined) {
    complain(outgoing, 400, 'the request line or a header cannot be understood')
    return
  }
  const certificate = presented(socket)
  // On a resumed TLS 1.3 session node calls a client without a certificate authorized: only both together count.
  const isTrusted = socket.authorized && certificate !== undefined
  const response = await twin.answer(request, certificate, {
    target: incoming.url ?? '',
    distrust: isTrusted ? undefined : String(socket.authorizationError ?? 'no certificate was presented'),
  })
  await send(response, outgoing, incoming.method === 'HEAD')
}

/** Undefined where it is too large. */
async function readBody(incoming: IncomingMessage, limit: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  // Not destroyed when it is too large: the answer must still go out.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) return undefined
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/** Undefined for what no web request can express. `//` and `%2F` in the target stay as they were sent. */
function toRequest(incoming: IncomingMessage, body: Uint8Array<ArrayBuffer>): Request | undefined {
  const target = incoming.url ?? ''
  const address = target.startsWith('/') ? `https://${incoming.headers.host ?? ''}${target}` : target
  const method = incoming.method ?? 'GET'
  try {
    const url = new URL(address)
    if (url.protocol !== 'https:') return undefined
    const headers = new Headers()
    for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
      headers.append(incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '')
    }
    const hasBody = body.length > 0 && method !== 'GET' && method !== 'HEAD'
    return new Request(url, { method, headers, ...(hasBody ? { body } : {}) })
  } catch {
    return undefined
  }
}

async function send(response: Response, outgoing: ServerResponse, isHead: boolean): Promise<void> {
  if (response.type === 'error') {
    outgoing.socket?.destroy()
    return
  }
  outgoing.statusCode = response.status
  if (response.statusText !== '') outgoing.statusMessage = response.statusText
  // Iterating gives each set-cookie apart; append keeps them so.
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value)
  if (response.body === null || isHead) {
    if (response.status !== 204 && response.status !== 304 && !isHead) outgoing.setHeader('content-length', '0')
    outgoing.end()
    return
  }
  // A body that fails half-way rejects, and the caller cuts the connection.
  for await (const chunk of response.body) {
    if (!outgoing.write(chunk)) await drained(outgoing)
    if (outgoing.destroyed) return
  }
  outgoing.end()
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    outgoing.once('drain', resolve)
    outgoing.once('close', resolve)
  })
}

function complain(outgoing: ServerResponse, status: number, description: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  outgoing.end(JSON.stringify({ error: 'invalid_request', error_description: description }))
}

function presented(socket: TLSSocket) {
  return socket.destroyed ? undefined : socket.getPeerX509Certificate()
}

function serverNameOf(socket: TLSSocket): string | undefined {
  const { servername } = socket as { readonly servername?: unknown }
  return typeof servername === 'string' ? servername : undefined
}

function reasonOf(error: Error, socket: TLSSocket): string {
  if (socket.authorizationError) return String(socket.authorizationError)
  return 'code' in error ? String(error.code) : error.message
}
