/**
 * The twin behind real mutual TLS on loopback: one port, which demands a client certificate for the server names whose documented
 * host does. Holds sockets and limits, and converts between node's HTTP and web requests.
 */
import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { readGreeting } from './client-hello.ts'
import { Answer } from './content.ts'
import { documentedAddress, loopbackAddress } from './loopback.ts'
import { openStore, type Store } from './store.ts'
import { createServers, type Given, type Peer, peerOf, serverFor } from './tls.ts'
import { createTwin, type ReceivedRequest, type Twin, type TwinOptions } from './twin.ts'

interface ServerLimits {
  /** longest request body; a longer one is answered 413 */
  readonly bodyBytes: number
  /** longest time for the handshake, for a request, between requests, and until an answer is read */
  readonly timeoutMs: number
  readonly connections: number
}

export interface StartOptions extends TwinOptions {
  /** 0 takes any free port */
  readonly port?: number
  /** the address to listen on; default 127.0.0.1 */
  readonly host?: string
  /**
   * documented: answers contain the documented addresses, so a client must reach those names here.
   * loopback: answers contain https://localhost:PORT/<documented host>/… instead, and requests to such a path are taken for
   * the documented host; `publish` is then not used.
   */
  readonly urls?: 'documented' | 'loopback'
  /** a file that keeps the servers' state (JSON, mode 0600); the twin starts with the state in it */
  readonly stateFile?: string | undefined
  readonly limits?: Partial<ServerLimits>
  /** the highest version of TLS that it speaks */
  readonly maxTlsVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

export interface RunningTwin extends AsyncDisposable {
  readonly port: number
  /** the address for clients on this machine: https://localhost:PORT */
  readonly origin: string
  /** the one that answers now */
  readonly twin: Twin
  /** Another twin answers from now on, as at the start: without clients, and without faults. Connections stay open. */
  startOver(): void
  /** A documented URL as the address under which the twin is reached. */
  publish(url: string): string
  /** Resolves when the state file, if there is one, holds the servers' state of now. */
  keep(): Promise<void>
  /** Ends every connection, also idle ones kept alive, and frees the port. */
  close(): Promise<void>
}

const LIMITS: ServerLimits = { bodyBytes: 1024 * 1024, timeoutMs: 30_000, connections: 1000 }
/** A ClientHello with post-quantum key shares is some 2 KiB. */
const GREETING_BYTES = 16 * 1024

/** Rejects where the port is taken or the state file cannot be read. */
export async function startTwin(options: StartOptions): Promise<RunningTwin> {
  const { host = '127.0.0.1', urls = 'documented', stateFile } = options
  const limits = { ...LIMITS, ...options.limits }
  const store = stateFile === undefined ? undefined : await openStore(stateFile)
  let origin = ''
  const publish = urls === 'loopback' ? (url: string) => loopbackAddress(url, origin) : (options.publish ?? String)
  const fresh = () => createTwin({ ...options, publish, snapshot: store?.kept ?? options.snapshot })
  let twin = fresh()
  const { pki, maxTlsVersion = 'TLSv1.3' } = options
  const given = {
    pki,
    maxTlsVersion,
    timeoutMs: limits.timeoutMs,
    record: (entry) => twin.record(entry),
  } satisfies Given
  const servers = createServers(given, (incoming, outgoing) => {
    const context: Context = { twin, limits, store, isLoopback: urls === 'loopback' }
    serve(incoming, outgoing, context).catch(() => incoming.socket.destroy())
  })
  const sockets = new Set<Socket>()

  // node can demand a certificate per server, not per server name, so the ClientHello is read first to choose the server.
  const dispatcher = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    readServerName(socket, limits, (name) => serverFor(name, twin, servers).emit('connection', socket))
  })
  dispatcher.maxConnections = limits.connections
  await new Promise<void>((resolve, reject) => {
    dispatcher.once('error', reject)
    dispatcher.listen(options.port ?? 0, host, () => {
      dispatcher.off('error', reject)
      resolve()
    })
  })
  const address = dispatcher.address()
  if (address === null || typeof address === 'string') throw new Error('the twin has no port')

  origin = `https://${nameOf(host)}:${address.port}`

  const keep = async () => await store?.flush(() => twin.state.snapshot())
  const close = async () => {
    const closed = new Promise<void>((resolve) => dispatcher.close(() => resolve()))
    for (const server of Object.values(servers)) server.close()
    for (const socket of sockets) socket.destroy()
    await closed
    await keep()
  }
  return {
    port: address.port,
    origin,
    get twin() {
      return twin
    },
    startOver: () => {
      twin = fresh()
    },
    publish,
    keep,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Passes on the socket with its bytes unread, and the server name of its ClientHello. */
function readServerName(socket: Socket, { timeoutMs }: ServerLimits, onName: (name: string | undefined) => void): void {
  let greeting = Buffer.alloc(0)
  // For the whole ClientHello, even where it arrives byte by byte.
  const deadline = setTimeout(() => socket.destroy(), timeoutMs)
  socket.once('close', () => clearTimeout(deadline))
  const read = (chunk: Buffer) => {
    greeting = Buffer.concat([greeting, chunk])
    const seen = readGreeting(greeting)
    if (seen.kind === 'partial') {
      if (greeting.length > GREETING_BYTES) socket.destroy()
      return
    }
    socket.off('data', read)
    socket.pause()
    clearTimeout(deadline)
    socket.unshift(greeting)
    onName(seen.name)
  }
  socket.on('data', read)
}

interface Context {
  readonly twin: Twin
  readonly limits: ServerLimits
  readonly store: Store | undefined
  /** whether the first part of a path may name the documented host */
  readonly isLoopback: boolean
}

/** The name clients of this machine use. A server that listens on all addresses is reached as localhost too. */
function nameOf(host: string): string {
  if (['127.0.0.1', 'localhost', '::1', '0.0.0.0', '::'].includes(host)) return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}

async function serve(incoming: IncomingMessage, outgoing: ServerResponse, context: Context): Promise<void> {
  const { twin, limits, store } = context
  const { socket } = incoming
  if (!(socket instanceof TLSSocket)) throw new Error('a request without TLS')
  const body = hasBody(incoming) ? await readBody(incoming, limits) : NOTHING
  if (body === undefined) {
    complain(outgoing, 413, 'the body is too large')
    return
  }
  const address = addressOf(incoming, context)
  const response =
    address === undefined ? undefined : await twin.exchange(new Received(incoming, address, peerOf(socket), body))
  if (response === undefined) {
    complain(outgoing, 400, 'the request line or a header cannot be understood')
    return
  }
  // Saved before the answer is sent, so that no client is told of a change that a crash could lose; a large state soon after.
  if (store !== undefined) await store.save(() => twin.state.snapshot())
  // Answers to requests that came together leave together, at the end of this turn of the event loop: the first wakes the client,
  // which costs more than the rest of an answer, and the others find it awake.
  await setImmediate()
  const isHead = incoming.method === 'HEAD'
  // By the clock of the twin, which a hook may have advanced.
  const date = twin.state.now().toUTCString()
  if (response instanceof Answer) {
    outgoing.writeHead(response.status, { date, ...response.headings })
    outgoing.end(isHead ? undefined : response.body)
    return
  }
  // A response that has its own replaces it.
  outgoing.setHeader('date', date)
  await send(response, outgoing, isHead)
}

const NOTHING = new Uint8Array(0)

/** @see [RFC 9112 6.3](https://www.rfc-editor.org/rfc/rfc9112.html#section-6.3) */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** Undefined where it is too large. Rejects where the connection ends first. */
async function readBody(incoming: IncomingMessage, limits: ServerLimits): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  // The request is not destroyed when it is too large: the answer must still be sent.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limits.bodyBytes) return undefined
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/**
 * The documented address of a request, byte for byte: `//` and `%2F` stay as they were sent. Undefined for a request that a
 * `Request` object cannot express.
 */
function addressOf({ method, url = '', headers }: IncomingMessage, { twin, isLoopback }: Context): string | undefined {
  // https://fetch.spec.whatwg.org/#forbidden-method
  if (method === 'CONNECT' || method === 'TRACE') return undefined
  if (!url.startsWith('/')) return url.startsWith('https://') ? url : undefined
  const meant = isLoopback ? documentedAddress(url, twin.hosts) : undefined
  return meant ?? `https://${headers.host ?? ''}${url}`
}

/** A request of node's HTTP server, as the twin takes it. */
class Received implements ReceivedRequest {
  readonly method: string
  readonly address: string
  readonly certificate: X509Certificate | undefined
  readonly distrust: string | undefined
  readonly isResumed: boolean
  readonly #rawHeaders: readonly string[]
  readonly #body: Uint8Array<ArrayBuffer>
  #request: Request | undefined

  constructor({ method = 'GET', rawHeaders }: IncomingMessage, address: string, peer: Peer, body: typeof NOTHING) {
    this.method = method
    this.address = address
    this.certificate = peer.certificate
    this.distrust = peer.distrust
    this.isResumed = peer.isResumed
    this.#rawHeaders = rawHeaders
    this.#body = body
  }

  get request(): Request {
    this.#request ??= new Request(this.address, {
      method: this.method,
      headers: this.#headers(),
      ...(this.#body.length > 0 && this.method !== 'GET' && this.method !== 'HEAD' ? { body: this.#body } : {}),
    })
    return this.#request
  }

  #headers(): [string, string][] {
    const raw = this.#rawHeaders
    return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index] ?? '', raw[2 * index + 1] ?? ''])
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
  if (response.headers.has('date')) outgoing.removeHeader('date')
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value)
  if (response.body === null || isHead) {
    if (response.status !== 204 && response.status !== 304 && !isHead) outgoing.setHeader('content-length', '0')
    outgoing.end()
    return
  }
  // Where the body fails half-way this rejects, and the caller ends the connection.
  for await (const chunk of response.body) {
    if (!outgoing.write(chunk)) await drained(outgoing)
    if (outgoing.destroyed) return
  }
  outgoing.end()
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      outgoing.off('drain', go)
      outgoing.off('close', go)
      resolve()
    }
    outgoing.once('drain', go)
    outgoing.once('close', go)
  })
}

function complain(outgoing: ServerResponse, status: number, description: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  outgoing.end(JSON.stringify({ error: 'invalid_request', error_description: description }))
}
