/**
 * Owns undici: sends one request over mutual TLS, with one agent for each identity, and copies the evidence of the
 * connection. Follows no redirect, keeps no TLS session, decides nothing about the answer.
 */
import { X509Certificate } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { isIP, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type DetailedPeerCertificate,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { Agent, Client, type Dispatcher } from 'undici'
import type { Identity } from '../identity/certificate.ts'
import { factsOf } from '../identity/facts.ts'
import type { Exchange } from '../record/index.ts'
import type { Secret } from '../secret/index.ts'
import { ConnectFailure, failureOf, GaveUp, type Situation } from './failure.ts'
import { type Gate, type Target, targetOf } from './target.ts'
import type { Delivery, Outgoing, SendOptions, Transport } from './transport.ts'

export interface TransportOptions extends Gate {
  /** PEM texts of CA_FILE */
  readonly ca?: readonly string[] | undefined
  /** true: nobody else is trusted. Else the roots Node trusts by default are too: a platform's hosts may have both kinds. */
  readonly onlyOwnAuthorities?: boolean | undefined
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Where TCP goes instead; server name indication, Host header and certificate check keep the real name. */
  readonly connectTo?: ((host: string, port: number) => { host: string; port: number } | undefined) | undefined
  readonly maxBodyBytes: number
  readonly proxy?: Proxy | undefined
  /** for `startedAt` and for judging dates of certificates */
  readonly now?: (() => Date) | undefined
}

interface Proxy {
  /** the URL of HTTPS_PROXY; its user information becomes the proxy credentials and is never printed */
  readonly httpsProxy?: Secret | undefined
  /** NO_PROXY: names (with their subdomains), `host:port` or `*`, separated by commas */
  readonly noProxy?: string | undefined
}

/** An unfinished connection is given up after this even if nobody waits for it any more. */
const CONNECT_LIMIT_MS = 60_000

export function createTransport(options: TransportOptions): Transport {
  const { now = () => new Date() } = options
  const connections = new Connections(options)
  const agents = new Map<string, Agent>()

  const agentFor = (identity: Identity | undefined): Agent => {
    const name = identity?.name ?? 'none'
    const known = agents.get(name)
    if (known !== undefined) return known
    const context = secureContext(options, identity)
    const agent = new Agent({
      allowH2: false,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: ({ hostname, port }, callback) => {
        connections.open(hostname, Number(port || 443), context, identity).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        )
      },
    })
    agents.set(name, agent)
    return agent
  }

  return {
    async send(request, sendOptions) {
      const target = targetOf(request, sendOptions.identity, options)
      const agent = agentFor(target.identity)
      return await exchange(agent, connections, target, request, { ...sendOptions, ...options, now })
    },
    async [Symbol.asyncDispose]() {
      connections.close()
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
    },
  }
}

function secureContext(
  { ca = [], onlyOwnAuthorities = false, minTlsVersion }: TransportOptions,
  identity: Identity | undefined,
): SecureContext {
  const credentials = identity?.credentials
  const roots = onlyOwnAuthorities ? [] : getCACertificates('default')
  return createSecureContext({
    minVersion: minTlsVersion,
    ...(ca.length === 0 ? {} : { ca: [...roots, ...ca] }),
    ...(credentials?.kind === 'pem' ? { cert: credentials.chain, key: credentials.key.reveal() } : {}),
    ...(credentials?.kind === 'pfx' ? { pfx: Buffer.from(credentials.pfx) } : {}),
    ...(credentials?.kind === 'pfx' && credentials.passphrase !== undefined
      ? { passphrase: credentials.passphrase.reveal() }
      : {}),
  })
}

interface ExchangeOptions extends SendOptions {
  readonly maxBodyBytes: number
  readonly now: () => Date
}

function exchange(
  agent: Agent,
  connections: Connections,
  target: Target,
  request: Outgoing,
  { signal, timeoutMs, maxBodyBytes, now }: ExchangeOptions,
): Promise<Delivery> {
  const { promise, resolve } = Promise.withResolvers<Delivery>()
  const startedAt = now().toISOString()
  const start = performance.now()
  let stage: Situation['stage'] = 'connecting'
  let connection: Connection | undefined
  let reused = false
  let sentHeaders: Delivery['sentHeaders']
  let sentAt = start
  let firstByteMs: number | undefined
  let controller: Dispatcher.DispatchController | undefined
  let status = 0
  let headers: [string, string][] = []
  const chunks: Buffer[] = []
  let size = 0
  let isSettled = false

  const settle = (outcome: { readonly error: unknown } | 'answered') => {
    if (isSettled) return
    isSettled = true
    clearTimeout(timer)
    signal.removeEventListener('abort', interrupt)
    const refusedServer = outcome !== 'answered' && outcome.error instanceof ConnectFailure ? outcome.error : undefined
    const tls = connection?.tls ?? (refusedServer && connections.evidenceOf(refusedServer))
    const evidence = {
      ...(tls === undefined ? {} : { tls }),
      ...(sentHeaders === undefined ? {} : { sentHeaders }),
      timing: {
        startedAt,
        ...(connection === undefined || reused ? {} : { connectMs: connection.connectMs }),
        ...(firstByteMs === undefined ? {} : { firstByteMs }),
        totalMs: performance.now() - start,
      },
    }
    if (outcome === 'answered') {
      const answer = { status, headers, body: Buffer.concat(chunks) }
      // undici frees the connection one turn after the answer; a request sent sooner would open another one.
      queueMicrotask(() => setImmediate(resolve, { kind: 'answered', answer, ...evidence }))
      return
    }
    const { host, identity } = target
    const situation = { host, identity, stage, reused, now: now(), timeoutMs, maxBodyBytes }
    resolve({ kind: 'failed', ...failureOf(outcome.error, situation), ...evidence })
  }
  const giveUp = (reason: GaveUp['reason']) => {
    const error = new GaveUp(reason)
    settle({ error })
    controller?.abort(error)
  }
  const interrupt = () => giveUp('interrupted')
  const timer = setTimeout(giveUp, timeoutMs, 'timeout')
  signal.addEventListener('abort', interrupt, { once: true })
  if (signal.aborted) {
    interrupt()
    return promise
  }

  agent.dispatch(
    {
      origin: `https://${target.host}`,
      path: target.path,
      method: request.method as Dispatcher.HttpMethod,
      headers: headerList(request),
      body: request.body ?? null,
    },
    {
      onRequestStart(started) {
        controller = started
        if (isSettled) {
          // Given up while connecting: stopped here, before the first byte.
          started.abort(new GaveUp('interrupted'))
          return
        }
        stage = 'sent'
        sentAt = performance.now()
        connections.expectHeaders((used, head) => {
          connection = used
          sentHeaders = headersOf(head, request)
          reused = used.exchanges > 0
          used.exchanges += 1
        })
      },
      onResponseStarted() {
        stage = 'answering'
        firstByteMs ??= performance.now() - sentAt
      },
      onResponseStart(started, statusCode) {
        // 1xx answers announce the real one (RFC 9110 section 15.2).
        if (statusCode < 200) return
        status = statusCode
        headers = pairs(started.rawHeaders)
      },
      onResponseData(_, chunk) {
        size += chunk.length
        if (size > maxBodyBytes) giveUp('too-large')
        else if (!isSettled) chunks.push(chunk)
      },
      onResponseEnd() {
        settle('answered')
      },
      onResponseError(_, error) {
        settle({ error: connection?.error ?? error })
      },
    },
  )
  return promise
}

/** Compression would hide what was on the wire, so it is declined unless the flow asks for it. */
function headerList({ headers }: Outgoing): string[] {
  const list = headers.flat()
  return headers.some(([name]) => name.toLowerCase() === 'accept-encoding')
    ? list
    : [...list, 'accept-encoding', 'identity']
}

/** What undici wrote, and the length of the body, which it adds to that afterwards (RFC 9110 section 8.6). */
function headersOf(head: string, { method, body }: Outgoing): [string, string][] {
  const written = head.split('\r\n').flatMap((line, index): [string, string][] => {
    const colon = line.indexOf(':')
    return index === 0 || colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]]
  })
  const expectsBody = /^(?:POST|PUT|PATCH)$/.test(method)
  if (body === undefined && !expectsBody) return written
  return [...written, ['content-length', String(Buffer.byteLength(body ?? ''))]]
}

function pairs(raw: Dispatcher.DispatchController['rawHeaders']): [string, string][] {
  const list = Array.isArray(raw) ? raw.map((text) => text.toString('latin1')) : []
  return Array.from({ length: list.length / 2 }, (_, index) => [
    (list[2 * index] ?? '').toLowerCase(),
    list[2 * index + 1] ?? '',
  ])
}

interface Connection {
  readonly tls: NonNullable<Exchange['tls']>
  readonly connectMs: number
  exchanges: number
  /** the first error of the open socket: a late TLS alert, which undici reports as nothing but a closed connection */
  error: unknown
}

/**
 * Opens TLS connections and remembers the evidence of each: it is copied at once, since a socket that the peer has closed
 * can no longer be asked. Each connection is a full handshake: a resumed session could carry another identity's proof.
 */
class Connections {
  readonly #options: TransportOptions
  readonly #known = new WeakMap<object, Connection>()
  readonly #refused = new WeakMap<ConnectFailure, Connection['tls']>()
  readonly #opening = new Set<{ destroy(): void }>()
  readonly #onSendHeaders = (message: unknown) => this.#headersLeave(message)
  #awaiting: ((connection: Connection, head: string) => void) | undefined

  constructor(options: TransportOptions) {
    this.#options = options
    subscribe(SEND_HEADERS, this.#onSendHeaders)
  }

  close(): void {
    unsubscribe(SEND_HEADERS, this.#onSendHeaders)
    for (const socket of this.#opening) socket.destroy()
  }

  /**
   * Calls back with the connection whose headers leave next, and with these: undici publishes in the same turn as it
   * starts a request.
   */
  expectHeaders(callback: (connection: Connection, head: string) => void): void {
    this.#awaiting = callback
  }

  evidenceOf(failure: ConnectFailure): Connection['tls'] | undefined {
    return this.#refused.get(failure)
  }

  async open(host: string, port: number, context: SecureContext, identity: Identity | undefined): Promise<TLSSocket> {
    const start = performance.now()
    const { connectTo, proxy } = this.#options
    const elsewhere = connectTo?.(host, port)
    // An embedded server is on this machine: no proxy could reach it.
    const tunnel = elsewhere === undefined ? await this.#tunnel(proxy, host, port) : undefined
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
    const socket = connect({
      host,
      port,
      ...elsewhere,
      ...(tunnel === undefined ? {} : { socket: tunnel }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      secureContext: context,
      // Said aloud, since NODE_TLS_REJECT_UNAUTHORIZED in somebody's shell would otherwise disarm the check.
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
    })
    this.#opening.add(socket)
    let phase: 'tcp' | 'tls' = tunnel === undefined ? 'tcp' : 'tls'
    let keysAgreed = false
    let tls: Connection['tls'] | undefined
    let serverCertificate: X509Certificate | undefined
    const limit = setTimeout(
      () => socket.destroy(Object.assign(new Error('too late'), { code: 'ETIMEDOUT' })),
      CONNECT_LIMIT_MS,
    )
    const finish = () => {
      clearTimeout(limit)
      this.#opening.delete(socket)
      socket.off('keylog', agreed)
    }
    // Only that the event comes matters: OpenSSL has derived keys. The line itself is a secret and is dropped.
    const agreed = () => {
      keysAgreed = true
    }
    socket.once('connect', () => {
      phase = 'tls'
    })
    socket.on('keylog', agreed)
    // Before Node's own listener, which destroys a socket whose server it does not trust.
    socket.prependOnceListener('secure', () => {
      const chain = peerChain(socket)
      serverCertificate = chain[0]
      tls = evidenceOf(socket, { chain, identity, tunnelled: tunnel !== undefined })
    })
    socket.once('secureConnect', () => {
      finish()
      tls ??= evidenceOf(socket, { chain: peerChain(socket), identity, tunnelled: tunnel !== undefined })
      this.#known.set(socket, { tls, connectMs: performance.now() - start, exchanges: 0, error: undefined })
      resolve(socket)
    })
    socket.on('error', (cause) => {
      finish()
      const connection = this.#known.get(socket)
      if (connection !== undefined) {
        connection.error ??= cause
        return
      }
      // Typed as an Error, but a code such as CERT_HAS_EXPIRED where our check of the server failed, else null.
      const reason: unknown = socket.authorizationError
      const authorizationError = typeof reason === 'string' ? reason : undefined
      const failure = new ConnectFailure({ phase, keysAgreed, authorizationError, serverCertificate }, cause)
      if (tls !== undefined && authorizationError !== undefined) this.#refused.set(failure, tls)
      reject(failure)
    })
    socket.once('close', () => {
      finish()
      reject(new ConnectFailure({ phase, keysAgreed }, new GaveUp('interrupted')))
    })
    socket.setNoDelay(true).setKeepAlive(true, 60_000)
    return await promise
  }

  async #tunnel(proxy: Proxy | undefined, host: string, port: number): Promise<Socket | undefined> {
    const setting = proxy?.httpsProxy?.reveal() ?? ''
    if (setting === '' || isExempt(host, port, proxy?.noProxy ?? '')) return undefined
    // As curl reads it: a proxy without a scheme is an http one.
    const url = URL.parse(/^https?:/i.test(setting) ? setting : `http://${setting}`)
    if (url === null) throw new ConnectFailure({ phase: 'proxy' }, new Error('HTTPS_PROXY is no URL'))
    const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
    const { ca } = this.#options
    const client = new Client(url.origin, {
      allowH2: false,
      connectTimeout: CONNECT_LIMIT_MS,
      headersTimeout: CONNECT_LIMIT_MS,
      connect: { rejectUnauthorized: true, ca: [...getCACertificates('default'), ...(ca ?? [])] },
    })
    const opening = { destroy: () => void client.destroy() }
    this.#opening.add(opening)
    try {
      const { socket, statusCode } = await client.connect({
        path: authority,
        headers: { host: authority, ...proxyAuthorization(url) },
      })
      if (statusCode === 200) return socket as Socket
      socket.on('error', () => {}).destroy()
      throw new Error(`proxy "${url.host}" answered ${statusCode}`)
    } catch (cause) {
      const isOurs = cause instanceof Error && cause.message.startsWith('proxy ')
      const reason = isOurs ? cause : new Error(`proxy "${url.host}" cannot be reached`, { cause })
      throw new ConnectFailure({ phase: 'proxy' }, reason)
    } finally {
      this.#opening.delete(opening)
      // Rejects where the end of the run came first and destroyed it.
      client.close().catch(() => {})
    }
  }

  #headersLeave(message: unknown): void {
    const awaiting = this.#awaiting
    if (awaiting === undefined) return
    this.#awaiting = undefined
    const { socket, headers } = message as { readonly socket: object; readonly headers: string }
    const connection = this.#known.get(socket)
    if (connection !== undefined) awaiting(connection, headers)
  }
}

const SEND_HEADERS = 'undici:client:sendHeaders'

function evidenceOf(
  socket: TLSSocket,
  {
    chain: [server, ...issuers],
    identity,
    tunnelled,
  }: {
    readonly chain: readonly X509Certificate[]
    readonly identity: Identity | undefined
    readonly tunnelled: boolean
  },
): Connection['tls'] {
  const { alpnProtocol, remoteAddress, remotePort } = socket
  return {
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName,
    ...(alpnProtocol ? { alpn: alpnProtocol } : {}),
    ...(tunnelled || remoteAddress === undefined ? {} : { address: remoteAddress, port: remotePort }),
    ...(server === undefined ? {} : { server: factsOf(server), chain: issuers.map(factsOf) }),
    ...(identity === undefined ? {} : { configured: { identity: identity.name, sha256: identity.record.sha256 } }),
  }
}

/**
 * The server's certificate and its issuers as far as they are known. Not by getPeerX509Certificate: on a client socket it
 * takes the certificate out, and Node's own check then finds none.
 */
function peerChain(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let at: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true)
  // A root names itself as its issuer.
  while (at?.raw !== undefined && chain.at(-1)?.raw.equals(at.raw) !== true) {
    chain.push(new X509Certificate(at.raw))
    at = at.issuerCertificate
  }
  return chain
}

/** NO_PROXY as curl reads it. */
function isExempt(host: string, port: number, noProxy: string): boolean {
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const [name = '', only] = entry.replace(/^\*?\./, '').split(/:(?=\d+$)/)
      return (host === name || host.endsWith(`.${name}`)) && (only === undefined || Number(only) === port)
    })
}

function proxyAuthorization({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '') return {}
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }
}
