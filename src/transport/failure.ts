/**
 * From an error of a socket, of OpenSSL or of undici to one plain sentence and the knowledge whether the request left.
 * Pure; holds the tables of codes. Claims no more than the wire shows: a bare close only *may* be a refusal.
 */
import type { X509Certificate } from 'node:crypto'
import type { Identity } from '../identity/certificate.ts'
import { nameOnOneLine, validity } from '../identity/facts.ts'
import type { Problem } from '../record/errors.ts'

/** Thrown by the connector: undici must not see the original code, since it acts on some of them. */
export class ConnectFailure extends Error {
  /** where it ended: at the proxy, before TCP stood, or within the TLS handshake */
  readonly phase: 'proxy' | 'tcp' | 'tls'
  /** keys were agreed, so the server had chosen version and cipher: what it disliked afterwards came from us */
  readonly keysAgreed: boolean
  /** we refused the server: the reason as Node names it */
  readonly authorizationError: string | undefined
  readonly serverCertificate: X509Certificate | undefined

  constructor(
    facts: Pick<ConnectFailure, 'phase'> & Partial<Omit<ConnectFailure, keyof Error | 'phase'>>,
    cause: unknown,
  ) {
    super('connection failed', { cause })
    this.phase = facts.phase
    this.keysAgreed = facts.keysAgreed ?? false
    this.authorizationError = facts.authorizationError
    this.serverCertificate = facts.serverCertificate
  }
}

/** The client's own reasons to give up. */
export class GaveUp extends Error {
  readonly reason: 'timeout' | 'interrupted' | 'too-large'

  constructor(reason: GaveUp['reason']) {
    super(reason)
    this.reason = reason
  }
}

export interface Situation {
  readonly host: string
  readonly identity: Identity | undefined
  /** how far it came: no connection yet, headers on their way, some of an answer received */
  readonly stage: 'connecting' | 'sent' | 'answering'
  /** the connection had carried an earlier exchange, so the server had accepted the certificate */
  readonly reused: boolean
  readonly now: Date
  readonly timeoutMs: number
  readonly maxBodyBytes: number
}

interface Failure {
  readonly sent: 'no' | 'unknown'
  readonly problem: Problem
}

export function failureOf(error: unknown, situation: Situation): Failure {
  const { host, stage, timeoutMs, maxBodyBytes } = situation
  const sent = stage === 'connecting' ? 'no' : 'unknown'
  if (error instanceof ConnectFailure && error.cause instanceof GaveUp) return failureOf(error.cause, situation)
  if (error instanceof ConnectFailure) return { sent: 'no', problem: connectProblem(error, situation) }
  if (error instanceof GaveUp) {
    switch (error.reason) {
      case 'interrupted':
        return { sent, problem: { code: 'INTERRUPTED', message: `the request to "${host}" was stopped` } }
      case 'too-large': {
        const message = `the answer of "${host}" is larger than ${maxBodyBytes} bytes`
        return { sent, problem: { code: 'TOO_LARGE', message } }
      }
      case 'timeout':
        return { sent, problem: { code: 'TIMEOUT', message: late(host, stage, timeoutMs), hint: LATE_HINT } }
      default:
        error.reason satisfies never
    }
  }
  const code = codeOf(error)
  switch (code) {
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return { sent, problem: { code: 'INTERRUPTED', message: `the request to "${host}" was stopped` } }
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
      // Found before a byte leaves; undici's own words name the header, never its value.
      return {
        sent: 'no',
        problem: {
          code: 'INPUT_INVALID',
          message: `the request to "${host}" cannot be put into HTTP: ${wordsOf(error)}`,
        },
      }
    case 'UND_ERR_HEADERS_OVERFLOW':
      return { sent, problem: { code: 'TOO_LARGE', message: `the headers of the answer of "${host}" are too large` } }
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH': {
      const message = `the body of the answer of "${host}" is not as long as its content-length says`
      return { sent, problem: { code: 'PEER_CLOSED', message } }
    }
    default:
  }
  if (isNotHttp(error)) {
    const message = `the answer of "${host}" is not HTTP`
    return { sent, problem: { code: 'PROTOCOL', message, found: wordsOf(error) } }
  }
  if (stage === 'answering') {
    return {
      sent,
      problem: { code: 'PEER_CLOSED', message: `"${host}" closed the connection in the middle of its answer` },
    }
  }
  // TLS 1.3: the server judges our certificate after we believe the handshake done, so its alert meets a sent request.
  // It was refused unread; but on a connection that had served before, an alert says nothing about the certificate.
  const alert = alertOf(code)
  if (alert !== undefined && !situation.reused && isAboutUs(alert, true)) {
    return { sent: 'no', problem: refused(alert, situation) }
  }
  const message = situation.reused
    ? `"${host}" closed a connection that it had kept open, without an answer`
    : `"${host}" closed the connection without an answer; ${suspicion(situation)}`
  return { sent, problem: { code: 'PEER_CLOSED', message } }
}

function connectProblem(failure: ConnectFailure, situation: Situation): Problem {
  const { host } = situation
  const { cause } = failure
  const code = codeOf(cause)
  if (failure.phase === 'proxy') return { code: 'CONNECT', message: `no connection to "${host}": ${wordsOf(cause)}` }
  if (failure.authorizationError !== undefined) return untrusted(failure, failure.authorizationError, situation)
  if (code === 'ETIMEDOUT') {
    return { code: 'TIMEOUT', message: `no TLS connection to "${host}": the attempt took too long`, hint: LATE_HINT }
  }
  if (failure.phase === 'tcp') {
    if (DNS_CODES.has(code)) {
      const name = host.replace(/:\d+$/, '')
      return { code: 'DNS', message: `host name "${name}" does not resolve`, hint: 'check the name and the network' }
    }
    return {
      code: 'CONNECT',
      message: `no connection to "${host}": ${CONNECT_WORDS[code] ?? `the attempt failed (${code || 'no reason given'})`}`,
    }
  }
  const alert = alertOf(code)
  if (alert !== undefined) {
    if (isAboutUs(alert, failure.keysAgreed)) return refused(alert, situation)
    return {
      code: 'TLS_HANDSHAKE',
      message: `"${host}" ended the TLS handshake with the alert "${alert}"`,
      ...(alert === 'protocol version' ? { hint: 'the server speaks no TLS version that TLS_MIN_VERSION allows' } : {}),
    }
  }
  if (CLOSE_CODES.has(code)) {
    const message = `"${host}" closed the connection during the TLS handshake; ${suspicion(situation)}`
    return { code: 'PEER_CLOSED', message }
  }
  const reason = reasonOf(cause)
  if (NOT_TLS.has(code)) return { code: 'TLS_HANDSHAKE', message: `"${host}" does not speak TLS`, found: reason }
  return { code: 'TLS_HANDSHAKE', message: `the TLS handshake with "${host}" failed: ${reason}` }
}

function untrusted(failure: ConnectFailure, reason: string, { host, now }: Situation): Problem {
  const certificate = failure.serverCertificate
  const words = SERVER_FAULTS[reason]
  const issuer = certificate && nameOnOneLine(certificate.issuer)
  const facts: Record<ServerFault, string> = {
    name: `it is made for other names (${certificate?.subjectAltName ?? 'none is in it'})`,
    // An intermediate may be the one outside its dates; only the server's own certificate is at hand.
    dates:
      certificate === undefined || validity(certificate, now).startsWith('valid')
        ? 'a certificate of its chain is outside its dates'
        : `it ${now > certificate.validToDate ? '' : 'is '}${validity(certificate, now)}`,
    issuer: `its issuer "${issuer ?? 'unknown'}" is not trusted`,
    self: 'it is self-signed',
  }
  const hints: Partial<Record<ServerFault, string>> = {
    issuer: 'if it is the right server, name the certificate of its CA in CA_FILE',
    self: 'if it is the right server, name this certificate in CA_FILE',
    name: 'something else than the expected server answers under this name',
  }
  return {
    code: 'TLS_SERVER_UNTRUSTED',
    message: `the certificate of "${host}" was refused: ${words === undefined ? `OpenSSL reports ${reason}` : facts[words]}; nothing was sent`,
    ...(words === undefined || hints[words] === undefined ? {} : { hint: hints[words] }),
  }
}

function refused(alert: string, { host, identity, now }: Situation): Problem {
  return {
    code: 'TLS_CLIENT_REFUSED',
    message:
      identity === undefined
        ? `"${host}" demands a client certificate and identity "none" presents none (TLS alert "${alert}")`
        : `"${host}" refused the certificate of identity "${identity.name}" (${validity(identity.certificate, now)}) with the TLS alert "${alert}"`,
  }
}

function suspicion({ identity, now }: Situation): string {
  if (identity === undefined) return 'it may demand a client certificate, and identity "none" presents none'
  const dates = validity(identity.certificate, now)
  if (dates.startsWith('valid')) {
    return `it may have refused the certificate of identity "${identity.name}" (${dates})`
  }
  const verb = dates.startsWith('not') ? 'is ' : ''
  return `most likely because the certificate of identity "${identity.name}" ${verb}${dates}`
}

function late(host: string, stage: Situation['stage'], timeoutMs: number): string {
  switch (stage) {
    case 'connecting':
      return `no TLS connection to "${host}" within ${timeoutMs} ms`
    case 'sent':
      return `"${host}" did not answer within ${timeoutMs} ms`
    case 'answering':
      return `"${host}" did not finish its answer within ${timeoutMs} ms`
    default:
      return stage satisfies never
  }
}

const LATE_HINT = 'raise TIMEOUT_MS if the host is known to be slow'

const DNS_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME'])
const CLOSE_CODES = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

const CONNECT_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  EHOSTUNREACH: 'the host is unreachable',
  ENETUNREACH: 'the network is unreachable',
  ECONNRESET: 'the connection was reset',
}

/** What OpenSSL says when the first bytes of an answer are no TLS record. */
const NOT_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST'])

type ServerFault = 'name' | 'dates' | 'issuer' | 'self'

/** Reasons for which Node refuses a server, as far as we have better words than the code. */
const SERVER_FAULTS: Readonly<Record<string, ServerFault>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'name',
  CERT_HAS_EXPIRED: 'dates',
  CERT_NOT_YET_VALID: 'dates',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self',
  SELF_SIGNED_CERT_IN_CHAIN: 'issuer',
  UNABLE_TO_GET_ISSUER_CERT: 'issuer',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'issuer',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'issuer',
  CERT_SIGNATURE_FAILURE: 'issuer',
}

/** Alerts that judge the peer's certificate (RFC 8446 section 6.2, RFC 5246 section 7.2.2); from a server, that is ours. */
const CERTIFICATE_ALERTS = new Set([
  'access denied',
  'bad certificate',
  'certificate expired',
  'certificate required',
  'certificate revoked',
  'certificate unknown',
  'decrypt error',
  'no certificate',
  'unknown ca',
  'unsupported certificate',
])

/** "handshake failure" means everything: once keys are agreed only our certificate, or its absence, is left as a cause. */
function isAboutUs(alert: string, keysAgreed: boolean): boolean {
  return CERTIFICATE_ALERTS.has(alert) || (alert === 'handshake failure' && keysAgreed)
}

/** The name of a received alert, from codes like ERR_SSL_TLSV1_ALERT_UNKNOWN_CA, which differ between OpenSSL versions. */
function alertOf(code: string): string | undefined {
  return /^ERR_SSL_.*_ALERT_([A-Z_]+)$/.exec(code)?.[1]?.toLowerCase().replaceAll('_', ' ')
}

/** undici's parser errors have a name and no code; an answer that ends too early is one of them, but a cut one. */
function isNotHttp(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (error.name === 'HTTPParserError' && !/\bEOF\b/.test(error.message)) || error.message === 'bad upgrade'
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'no reason given'
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && 'reason' in error && typeof error.reason === 'string') return error.reason
  return codeOf(error) || 'no reason given'
}
