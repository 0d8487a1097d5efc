/**
 * Turns an error of a socket, of OpenSSL or of undici into one plain sentence, and says whether the request was sent. Holds the
 * tables of codes. It claims no more than was seen: a close without an alert only *may* be a refusal of the certificate.
 */
import type { X509Certificate } from 'node:crypto'
import type { Identity } from '../identity/certificate.ts'
import { nameOnOneLine, validity } from '../identity/facts.ts'
import type { Problem } from '../record/errors.ts'
import type { Exchange } from '../record/index.ts'
import { httpFault } from './http-fault.ts'

/** Thrown by the connector in place of the original error, since undici treats some error codes in its own way. */
export class ConnectFailure extends Error {
  /** how far it came: to the proxy, to the TCP connection, or into the TLS handshake */
  readonly phase: 'proxy' | 'tcp' | 'tls'
  /** the server had chosen version and cipher, and keys were agreed: what it refused afterwards is our certificate, or its lack */
  readonly keysAgreed: boolean
  /** we refused the server's certificate: Node's code for the reason */
  readonly authorizationError: string | undefined
  readonly serverCertificate: X509Certificate | undefined
  /** the evidence of a connection whose server we refused */
  readonly tls: Exchange['tls']

  constructor(
    facts: Pick<ConnectFailure, 'phase'> & Partial<Omit<ConnectFailure, keyof Error | 'phase'>>,
    cause: unknown,
  ) {
    super('connection failed', { cause })
    this.phase = facts.phase
    this.keysAgreed = facts.keysAgreed ?? false
    this.authorizationError = facts.authorizationError
    this.serverCertificate = facts.serverCertificate
    this.tls = facts.tls
  }
}

/** The client has given up the request. */
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
  /** how far it came: no connection yet, headers sent, part of an answer received */
  readonly stage: 'connecting' | 'sent' | 'answering'
  /** the connection had carried an earlier exchange, so the server had accepted the certificate */
  readonly reused: boolean
  /** what arrived of the answer, and how many interim answers are among it */
  readonly arrived?: { readonly bytes: Buffer; readonly interim: number } | undefined
  readonly now: Date
  readonly timeoutMs: number
  readonly maxBodyBytes: number
}

const NOTHING = { bytes: Buffer.alloc(0), interim: 0 }

interface Failure {
  readonly sent: 'no' | 'unknown'
  readonly problem: Problem
}

export function failureOf(error: unknown, situation: Situation): Failure {
  const { host, stage } = situation
  if (error instanceof ConnectFailure && error.cause instanceof GaveUp) return failureOf(error.cause, situation)
  if (error instanceof ConnectFailure) return { sent: 'no', problem: connectProblem(error, situation) }
  const sent = stage === 'connecting' ? 'no' : 'unknown'
  if (error instanceof GaveUp) return { sent, problem: gaveUpProblem(error.reason, situation) }
  const code = codeOf(error)
  if (NOT_EXPRESSIBLE.has(code)) {
    // Found before a byte is sent; undici's message names the header, never its value.
    const message = `the request to "${host}" cannot be put into HTTP: ${wordsOf(error)}`
    return { sent: 'no', problem: { code: 'INPUT_INVALID', message } }
  }
  const { bytes, interim } = situation.arrived ?? NOTHING
  const fault = httpFault(error, bytes)
  if (fault !== undefined) {
    const isHttp = bytes.toString('latin1', 0, 5) === 'HTTP/'
    const message = `the answer of "${host}" ${isHttp ? `breaks a rule of HTTP: ${fault}` : 'is not HTTP'}`
    return { sent, problem: { code: 'PROTOCOL', message, ...(isHttp ? {} : { found: wordsOf(error) }) } }
  }
  const known = UNDICI_PROBLEMS[code]
  if (known !== undefined) return { sent, problem: known(host) }
  if (stage === 'answering' || interim > 0) {
    const when = stage === 'answering' ? 'in the middle of its answer' : 'after an interim answer (1xx)'
    return {
      sent,
      problem: { code: 'PEER_CLOSED', message: `"${host}" closed the connection ${when}`, hint: CUT_HINT },
    }
  }
  // With TLS 1.3 the server judges our certificate after the client's handshake has ended, so its alert arrives when the
  // request has been sent; the server has not read it. On a connection that was used before, an alert has another cause.
  const alert = alertOf(code)
  if (alert !== undefined && !situation.reused && isAboutUs(alert, true)) {
    return { sent: 'no', problem: refused(alert, situation) }
  }
  const message = situation.reused
    ? `"${host}" closed a connection that it had kept open, without an answer`
    : `"${host}" closed the connection without an answer; ${suspicion(situation)}`
  return { sent, problem: { code: 'PEER_CLOSED', message, hint: situation.reused ? CUT_HINT : CLOSED_HINT } }
}

const PROXY_HINT = 'check HTTPS_PROXY and NO_PROXY, and that the proxy may reach this host; then run again'
const CONNECT_HINT =
  'check host and port in SERVER_…, and that firewall, VPN and allow-list let this machine through; then run again'
const CLOSED_HINT =
  'where it is closed each time, check that the certificate is the one that Thredd knows and that this machine is on the allow-list'
const CUT_HINT = 'run again; where it is cut each time, send Thredd the time and the trace id of the call'

/** undici's codes for a request that HTTP cannot express. */
const NOT_EXPRESSIBLE = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'])

const interrupted = (host: string): Problem => ({
  code: 'INTERRUPTED',
  message: `the request to "${host}" was stopped`,
})

/** Further codes of undici. */
const UNDICI_PROBLEMS: Readonly<Record<string, (host: string) => Problem>> = {
  UND_ERR_DESTROYED: interrupted,
  UND_ERR_CLOSED: interrupted,
  UND_ERR_HEADERS_OVERFLOW: (host) => ({
    code: 'TOO_LARGE',
    message: `the headers of the answer of "${host}" are too large`,
  }),
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: (host) => ({
    code: 'PEER_CLOSED',
    message: `the body of the answer of "${host}" is not as long as its content-length says`,
    hint: CUT_HINT,
  }),
}

function gaveUpProblem(reason: GaveUp['reason'], { host, stage, timeoutMs, maxBodyBytes }: Situation): Problem {
  switch (reason) {
    case 'interrupted':
      return interrupted(host)
    case 'too-large':
      return { code: 'TOO_LARGE', message: `the answer of "${host}" is larger than ${maxBodyBytes} bytes` }
    case 'timeout':
      return { code: 'TIMEOUT', message: late(host, stage, timeoutMs), hint: LATE_HINT }
    default:
      return reason satisfies never
  }
}

function connectProblem(failure: ConnectFailure, situation: Situation): Problem {
  const { host } = situation
  const { cause } = failure
  const code = codeOf(cause)
  if (failure.phase === 'proxy')
    return { code: 'CONNECT', message: `no connection to "${host}": ${wordsOf(cause)}`, hint: PROXY_HINT }
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
      hint: CONNECT_HINT,
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
    return { code: 'PEER_CLOSED', message, hint: CLOSED_HINT }
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
    // Only the server's own certificate is known here; where it is valid, an issuer in the chain is not.
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

/** OpenSSL's codes where the first bytes of an answer are no TLS record. */
const NOT_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST'])

type ServerFault = 'name' | 'dates' | 'issuer' | 'self'

/** Node's reasons to refuse a server for which we print a sentence instead of the code. */
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

/** "handshake failure" has many causes; once keys are agreed only our certificate, or its absence, is left. */
function isAboutUs(alert: string, keysAgreed: boolean): boolean {
  return CERTIFICATE_ALERTS.has(alert) || (alert === 'handshake failure' && keysAgreed)
}

/** The name of a received alert, from codes like ERR_SSL_TLSV1_ALERT_UNKNOWN_CA, which differ between OpenSSL versions. */
function alertOf(code: string): string | undefined {
  return /^ERR_SSL_.*_ALERT_([A-Z_]+)$/.exec(code)?.[1]?.toLowerCase().replaceAll('_', ' ')
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
