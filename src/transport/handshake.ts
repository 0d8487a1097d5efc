/**
 * Follows the TLS handshake of a client socket: the evidence of the connection, or how far it came. Evidence is copied at once,
 * since a socket that the peer has closed no longer gives it.
 */
import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { Identity } from '../identity/certificate.ts'
import { factsOf } from '../identity/facts.ts'
import type { Exchange } from '../record/index.ts'
import { ConnectFailure, GaveUp } from './failure.ts'

export type TlsEvidence = NonNullable<Exchange['tls']>

/** The callbacks run in the turn of the socket's event, so that no later event is missed. */
interface HandshakeOptions {
  /** the identity whose certificate is configured on the socket */
  readonly identity: Identity | undefined
  /** whether TCP ended at a proxy, whose address is then not the server's */
  readonly tunnelled: boolean
  readonly timeoutMs: number
  readonly onSecure: (tls: TlsEvidence) => void
  readonly onFailure: (failure: ConnectFailure) => void
  /** after success or failure */
  readonly onEnd: () => void
  /** an error of the socket after the handshake */
  readonly onLaterError: (error: unknown) => void
}

export function handshake(socket: TLSSocket, options: HandshakeOptions): void {
  const { identity, tunnelled, timeoutMs, onSecure, onFailure, onEnd, onLaterError } = options
  let phase: 'tcp' | 'tls' = tunnelled ? 'tls' : 'tcp'
  let keysAgreed = false
  let isSecure = false
  let tls: TlsEvidence | undefined
  let serverCertificate: X509Certificate | undefined
  const tooLate = () => socket.destroy(Object.assign(new Error('too late'), { code: 'ETIMEDOUT' }))
  const limit = setTimeout(tooLate, timeoutMs)
  const end = () => {
    clearTimeout(limit)
    socket.off('keylog', agreed)
    onEnd()
  }
  // The event alone matters: OpenSSL has derived keys. Its line is a secret and is dropped.
  const agreed = () => {
    keysAgreed = true
  }
  socket.on('keylog', agreed)
  socket.once('connect', () => {
    phase = 'tls'
  })
  // Before Node's own listener, which destroys a socket whose server it does not trust.
  socket.prependOnceListener('secure', () => {
    const chain = peerChain(socket)
    serverCertificate = chain[0]
    tls = evidenceOf(socket, chain, { identity, tunnelled })
  })
  socket.once('secureConnect', () => {
    end()
    isSecure = true
    onSecure(tls ?? evidenceOf(socket, peerChain(socket), { identity, tunnelled }))
  })
  socket.on('error', (cause) => {
    end()
    if (isSecure) return onLaterError(cause)
    // Typed as an Error, but a code such as CERT_HAS_EXPIRED where our check of the server failed, else null.
    const reason: unknown = socket.authorizationError
    const untrusted = typeof reason === 'string' ? { authorizationError: reason, tls } : {}
    onFailure(new ConnectFailure({ phase, keysAgreed, serverCertificate, ...untrusted }, cause))
  })
  socket.once('close', () => {
    end()
    if (!isSecure) onFailure(new ConnectFailure({ phase, keysAgreed }, new GaveUp('interrupted')))
  })
}

function evidenceOf(
  socket: TLSSocket,
  [server, ...issuers]: readonly X509Certificate[],
  { identity, tunnelled }: Pick<HandshakeOptions, 'identity' | 'tunnelled'>,
): TlsEvidence {
  const { alpnProtocol, remoteAddress, remotePort } = socket
  return {
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName,
    ...(alpnProtocol ? { alpn: alpnProtocol } : {}),
    ...(tunnelled || remoteAddress === undefined ? {} : { address: remoteAddress, port: remotePort }),
    ...(server === undefined ? {} : { server: factsOf(server), chain: issuers.map(factsOf) }),
    // OpenSSL fills this list on the client from the server's CertificateRequest, and from nothing else.
    certificateRequested: socket.getSharedSigalgs().length > 0,
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
