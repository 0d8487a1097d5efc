/** A handshake for its own sake: what the server agrees to where a client offers only certain versions or suites of TLS. */
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Problem } from '../record/errors.ts'
import type { Connections } from './connections.ts'
import { ConnectFailure, failureOf, GaveUp } from './failure.ts'
import type { Target } from './target.ts'
import type { Greeting, Offer } from './transport.ts'

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
  { host, identity }: Target,
  { base, offer, timeoutMs, signal, now }: GreetOptions,
): Promise<Greeting> {
  const failed = (error: unknown): Greeting => {
    const situation = { host, identity, stage: 'connecting', reused: false, now, timeoutMs, maxBodyBytes: 0 } as const
    return { kind: 'unknown', problem: failureOf(error, situation).problem }
  }
  let context: ReturnType<typeof createSecureContext>
  try {
    context = createSecureContext({ ...base, ...OFFERS[offer] })
  } catch (error) {
    return { kind: 'unknown', problem: notOffered(offer, error) }
  }
  const { hostname, port } = new URL(`https://${host}`)
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const ended = Promise.withResolvers<never>()
  const end = () => ended.reject(new GaveUp(signal.aborted ? 'interrupted' : 'timeout'))
  bounded.addEventListener('abort', end, { once: true })
  try {
    const opening = connections.open(hostname, Number(port || 443), context, identity)
    const wire = await Promise.race([opening, ended.promise])
    const { protocol = '', cipher = '' } = connections.tlsOf(wire) ?? {}
    wire.destroy()
    return { kind: 'agreed', protocol, cipher }
  } catch (error) {
    if (!(error instanceof ConnectFailure) || error.phase !== 'tls') return failed(error)
    // Our own check of the server's certificate comes after it has agreed.
    const { tls, keysAgreed } = error
    if (tls !== undefined || keysAgreed)
      return { kind: 'agreed', protocol: tls?.protocol ?? '', cipher: tls?.cipher ?? '' }
    const code = String((error.cause as NodeJS.ErrnoException | null)?.code ?? '')
    if (code === 'ERR_SSL_NO_PROTOCOLS_AVAILABLE' || code === 'ERR_SSL_NO_CIPHERS_AVAILABLE')
      return { kind: 'unknown', problem: notOffered(offer, error.cause) }
    return code === 'ETIMEDOUT' ? failed(error) : { kind: 'refused', by: code || 'a closed connection' }
  } finally {
    bounded.removeEventListener('abort', end)
  }
}

function notOffered(offer: Offer, error: unknown): Problem {
  const why = error instanceof Error ? error.message : String(error)
  return { code: 'TLS_HANDSHAKE', message: `the TLS library of this machine cannot offer ${offer}: ${why}` }
}
