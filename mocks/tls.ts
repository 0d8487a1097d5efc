/** The HTTPS servers of the twin: what each demands in the handshake, which of them takes a connection, and what TLS says of its client. */
import type { X509Certificate } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Pki } from './pki.ts'
import type { Rule } from './rules.ts'
import type { Twin } from './twin.ts'

const FAREWELL_MS = 1000

export interface Servers {
  /** ends the handshake of a client without a valid certificate */
  readonly strict: HttpsServer
  /** asks for a certificate and lets the twin judge it */
  readonly asking: HttpsServer
  /** never asks */
  readonly plain: HttpsServer
  /** ends every handshake */
  readonly refusing: HttpsServer
  /** like strict, but speaks outdated versions of TLS, or outdated cipher suites, too */
  readonly old: HttpsServer
  readonly weak: HttpsServer
}

export interface Given {
  readonly pki: Pki
  readonly maxTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly timeoutMs: number
  /** of a refused handshake */
  readonly record: Twin['record']
}

export function createServers({ pki, maxTlsVersion, timeoutMs, record }: Given, answer: RequestListener): Servers {
  const base: ServerOptions = {
    cert: pki.server.certificate,
    key: pki.server.key,
    ca: pki.ca,
    minVersion: 'TLSv1.2',
    maxVersion: maxTlsVersion,
    ciphers: STRONG,
    optimizeEmptyRequests: true,
    handshakeTimeout: timeoutMs,
    headersTimeout: timeoutMs,
    requestTimeout: timeoutMs,
    keepAliveTimeout: timeoutMs,
    connectionsCheckingInterval: Math.min(1000, timeoutMs),
  }
  const strict = { requestCert: true, rejectUnauthorized: true }
  const make = (demand: Partial<ServerOptions>): HttpsServer => {
    const server = createHttpsServer({ ...base, ...demand }, answer)
    server.on('secureConnection', (socket) => endUnread(socket, timeoutMs))
    server.on('tlsClientError', (error, socket) => {
      record({
        method: '-',
        url: `https://${serverNameOf(socket) ?? 'unnamed'}`,
        certificate: peerOf(socket).certificate?.subject.split('\n').join(', ') ?? 'none',
        status: 0,
        decision: `handshake refused: ${reasonOf(error, socket)}`,
      })
      socket.destroy()
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const status = UNREADABLE[error.code ?? ''] ?? '400 Bad Request'
      if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
      // Time to read that; destroyed at once, bytes still under way would take the answer with them.
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref()
    })
    // Starts node's checks for slow requests, which otherwise run only for a server that listens itself.
    server.emit('listening')
    return server
  }
  return {
    strict: make(strict),
    old: make({ ...strict, minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    weak: make({ ...strict, ciphers: 'DEFAULT@SECLEVEL=0' }),
    asking: make({ requestCert: true, rejectUnauthorized: false }),
    plain: make({ requestCert: false }),
    // Trusts only an authority that has signed no certificate, so every client is refused, with a certificate or without.
    refusing: make({ ...strict, ca: pki.identities.rogue.certificate }),
  }
}

/** BCP 195 (RFC 9325 4.2): forward secrecy and authenticated encryption alone. */
const STRONG = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')

/**
 * Ends a connection whose client does not read its answers. Node's own socket timeout would start again with each request, and
 * would also end a connection whose answer is late.
 */
function endUnread(socket: TLSSocket, timeoutMs: number): void {
  let written = 0
  const watch = setInterval(() => {
    if (socket.writableLength > 0 && socket.bytesWritten === written) socket.destroy()
    written = socket.bytesWritten
  }, timeoutMs)
  socket.once('close', () => clearInterval(watch))
}

/** The answer to a request that is never complete, by node's code for the reason. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
}

/** The server for the name of a ClientHello. */
export function serverFor(name: string | undefined, twin: Twin, servers: Servers): HttpsServer {
  // Under a name that is not documented, such as localhost, the path decides which host is meant.
  if (name === undefined || !twin.hosts.includes(name)) return servers.asking
  if (twin.refusesHandshake(name)) return servers.refusing
  const demand = twin.demandOf(name)
  if (demand === 'none') return servers.plain
  if (twin.breaksAt(name, 'old-tls-is-refused')) return servers.old
  if (twin.breaksAt(name, 'weak-ciphers-are-refused')) return servers.weak
  if (CERTIFICATE_RULES.some((rule) => twin.breaksAt(name, rule))) return servers.asking
  return demand === 'required' && twin.switches.refuse === 'handshake' ? servers.strict : servers.asking
}

/** Where a fault breaks one of these, the handshake must let the caller through to the twin. */
const CERTIFICATE_RULES: readonly Rule[] = [
  'certificate-is-needed',
  'certificate-authority-is-checked',
  'certificate-dates-are-checked',
  'certificate-header-is-ignored',
  'resumed-session-is-checked',
]

export interface Peer {
  readonly certificate: X509Certificate | undefined
  /** why TLS does not trust it; undefined where it does */
  readonly distrust: string | undefined
  readonly isResumed: boolean
}

/** Read once for each connection: node makes a new certificate object each time, whose signature would be verified again. */
export function peerOf(socket: TLSSocket): Peer {
  const known = peers.get(socket)
  if (known !== undefined) return known
  const certificate = socket.destroyed ? undefined : socket.getPeerX509Certificate()
  // On a resumed TLS 1.3 session node reports `authorized` for a client without a certificate, so both are checked.
  const isTrusted = socket.authorized && certificate !== undefined
  const peer = {
    certificate,
    isResumed: !socket.destroyed && socket.isSessionReused(),
    distrust: isTrusted ? undefined : String(socket.authorizationError ?? 'no certificate was presented'),
  }
  peers.set(socket, peer)
  return peer
}

const peers = new WeakMap<TLSSocket, Peer>()

function serverNameOf(socket: TLSSocket): string | undefined {
  const { servername } = socket as { readonly servername?: unknown }
  return typeof servername === 'string' ? servername : undefined
}

function reasonOf(error: Error, socket: TLSSocket): string {
  if (socket.authorizationError) return String(socket.authorizationError)
  return 'code' in error ? String(error.code) : error.message
}
