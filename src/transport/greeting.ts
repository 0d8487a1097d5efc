/** A handshake for its own sake: what a server shows of itself, and what it agrees to where a client offers little. */
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Problem } from '../record/errors.ts'
import type { Connections } from './connections.ts'
import { ConnectFailure, failureOf, GaveUp } from './failure.ts'
import type { TlsEvidence } from './handshake.ts'
import type { Target } from './target.ts'
import type { Greeting, Offer, Reached } from './transport.ts'

/** What is offered, in OpenSSL's terms. Security level 0, since the library would not offer the outdated otherwise. */
const OFFERS = {
  'TLS 1.0': { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
  'TLS 1.1': { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  'TLS 1.2 or newer': { minVersion: 'TLSv1.2' },
  // RFC 9325 4.1 and 4.2: static RSA, and block ciphers whose authentication is separate.
  'outdated suites': {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers:
      'AES128-SHA:AES256-SHA:AES128-SHA256:AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA@SECLEVEL=0',
  },
  'suites of BCP 195': {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers:
      'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384',
  },
} as const satisfies Readonly<Record<Offer, SecureContextOptions>>

interface GreetOptions {
  readonly base: SecureContextOptions
  readonly offer: Offer
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly now: Date
}

/** Never rejects. The connection is ended at once. */
export async function greet(
  connections: Connections,
  target: Target,
  { base, offer, ...limits }: GreetOptions,
): Promise<Greeting> {
  let context: ReturnType<typeof createSecureContext>
  try {
    context = createSecureContext({ ...base, ...OFFERS[offer] })
  } catch (error) {
    return { kind: 'unknown', problem: notOffered(offer, error) }
  }
  try {
    const { protocol, cipher } = await opened(connections, target, context, limits)
    return { kind: 'agreed', protocol, cipher }
  } catch (error) {
    const failed = (): Greeting => ({ kind: 'unknown', problem: problemOf(error, target, limits) })
    if (!(error instanceof ConnectFailure) || error.phase !== 'tls') return failed()
    // Our own check of the server's certificate comes after it has agreed.
    const { tls, keysAgreed } = error
    if (tls !== undefined || keysAgreed)
      return { kind: 'agreed', protocol: tls?.protocol ?? '', cipher: tls?.cipher ?? '' }
    const code = String((error.cause as NodeJS.ErrnoException | null)?.code ?? '')
    if (code === 'ERR_SSL_NO_PROTOCOLS_AVAILABLE' || code === 'ERR_SSL_NO_CIPHERS_AVAILABLE')
      return { kind: 'unknown', problem: notOffered(offer, error.cause) }
    return code === 'ETIMEDOUT' ? failed() : { kind: 'refused', by: code || 'a closed connection' }
  }
}

/** A connection as every request has it. Never rejects; it is ended at once. */
export async function reach(
  connections: Connections,
  target: Target,
  { context, ...limits }: Limits & { readonly context: SecureContext },
): Promise<Reached> {
  try {
    return { kind: 'reached', tls: await opened(connections, target, context, limits) }
  } catch (error) {
    return { kind: 'failed', problem: problemOf(error, target, limits) }
  }
}

interface Limits {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly now: Date
}

/** The evidence of a connection that was opened and ended. Rejects with ConnectFailure or GaveUp. */
async function opened(
  connections: Connections,
  { host, identity }: Target,
  context: SecureContext,
  { timeoutMs, signal }: Limits,
): Promise<TlsEvidence> {
  const { hostname, port } = new URL(`https://${host}`)
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const ended = Promise.withResolvers<never>()
  const end = () => ended.reject(new GaveUp(signal.aborted ? 'interrupted' : 'timeout'))
  bounded.addEventListener('abort', end, { once: true })
  try {
    const opening = connections.open(hostname, Number(port || 443), context, identity)
    const wire = await Promise.race([opening, ended.promise])
    const tls = connections.tlsOf(wire)
    wire.destroy()
    return tls ?? { protocol: '', cipher: '' }
  } finally {
    bounded.removeEventListener('abort', end)
  }
}

function problemOf(error: unknown, { host, identity }: Target, { now, timeoutMs }: Limits): Problem {
  return failureOf(error, { host, identity, stage: 'connecting', reused: false, now, timeoutMs, maxBodyBytes: 0 })
    .problem
}

function notOffered(offer: Offer, error: unknown): Problem {
  const why = error instanceof Error ? error.message : String(error)
  return { code: 'TLS_HANDSHAKE', message: `the TLS library of this machine cannot offer ${offer}: ${why}` }
}
