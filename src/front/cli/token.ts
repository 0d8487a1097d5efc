/**
 * `thredd token`: an API access token in one command, from the vault while it lives, else by a step of the flow
 * "access-token". Without --reveal it says what the token is; with it, the token alone is data and all else goes to stderr.
 */

import { decode } from '../../identity/jwt.ts'
import { fail } from '../../record/errors.ts'
import { Secret } from '../../secret/index.ts'
import { fingerprint, type StoredToken, type Vault } from '../../vault/index.ts'
import { harmless } from './console.ts'

export interface TokenIo {
  readonly write: (text: string) => void
  /** never data */
  readonly warn: (text: string) => void
  readonly now: () => Date
  readonly clientId: string | undefined
  /** x5t#S256 of the certificate that a token is bound to */
  readonly thumbprint: string | undefined
  /** undefined where a token dies with the run that got it */
  readonly openVault: () => Promise<Vault | undefined>
  /** Asks for a token. What went wrong is said by then; the body is undefined where no token came. */
  readonly request: (
    scope: string | undefined,
  ) => Promise<{ readonly body: Uint8Array | undefined; readonly exitCode: number }>
}

interface Flags {
  has(flag: string): boolean
  texts(flag: string): readonly string[]
}

/** Exit code: 0 with a token, else that of the run which got none. */
export async function performToken(flags: Flags, io: TokenIo): Promise<number> {
  const { clientId, thumbprint, now } = io
  if (clientId === undefined)
    fail({ code: 'ENV_MISSING', message: 'CLIENT_ID is not set', hint: 'an API access token is of one client' })
  const scopes = flags.texts('scope').flatMap((text) => text.split(/[\s,]+/).filter((word) => word !== ''))
  const scope = scopes.length === 0 ? undefined : [...new Set(scopes)].sort().join(' ')
  const use = { clientId, scope, thumbprint: thumbprint ?? 'none' }
  const vault = await io.openVault()
  const stored = flags.has('fresh') ? undefined : await vault?.accessToken(use)
  if (stored !== undefined && isGood(stored, now())) return tell(stored, { flags, io, clientId, isNew: false })

  const receivedAt = now()
  const { body, exitCode } = await io.request(scope)
  const token = body && tokenIn(body, receivedAt)
  if (token === undefined) return exitCode === 0 ? 3 : exitCode
  // One whose end nobody knows is not worth keeping.
  if (token.expiresAt !== token.receivedAt) await vault?.keepAccessToken(use, token)
  return tell(token, { flags, io, clientId, isNew: true })
}

/** It must outlive the call that it is meant for, and clocks differ. */
const LEAST_LIFE_MS = 30_000

function isGood({ receivedAt, expiresAt }: StoredToken, now: Date): boolean {
  const life = Date.parse(expiresAt) - Date.parse(receivedAt)
  const left = Date.parse(expiresAt) - now.getTime()
  // A clock that was put back says nothing good.
  return left > Math.max(LEAST_LIFE_MS, life / 10) && now.getTime() >= Date.parse(receivedAt)
}

/** Counted from before the request, so that it is never thought to live longer than it does (RFC 6749 §5.1). */
function tokenIn(body: Uint8Array, receivedAt: Date): StoredToken | undefined {
  const answer = jsonIn(body)
  const { access_token: accessToken, expires_in: seconds, scope } = answer
  if (typeof accessToken !== 'string' || accessToken === '') return undefined
  const life = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : 0
  return {
    accessToken: new Secret(accessToken, 'access_token'),
    receivedAt: receivedAt.toISOString(),
    expiresAt: new Date(receivedAt.getTime() + life).toISOString(),
    ...(typeof scope === 'string' ? { scope } : {}),
  }
}

function jsonIn(body: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body))
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

function tell(
  { accessToken, receivedAt, expiresAt, scope }: StoredToken,
  { flags, io, clientId, isNew }: { flags: Flags; io: TokenIo; clientId: string; isNew: boolean },
): number {
  const claims = decode(accessToken.reveal())?.payload ?? {}
  const cnf = claims.cnf as { readonly 'x5t#S256'?: unknown } | undefined
  const bound = typeof cnf?.['x5t#S256'] === 'string' ? cnf['x5t#S256'] : undefined
  const scopes = Array.isArray(claims.scp) ? claims.scp.map(String) : (scope?.split(' ') ?? [])
  const known = expiresAt !== receivedAt
  const seconds = Math.round((Date.parse(expiresAt) - io.now().getTime()) / 1000)
  const print = fingerprint(accessToken.reveal())
  const isRevealed = flags.has('reveal')
  if (bound !== undefined && io.thumbprint !== undefined && bound !== io.thumbprint)
    io.warn('warning the token is bound to another certificate than the one of this environment\n')
  if (flags.has('json')) {
    const facts = {
      clientId,
      ...(known ? { expiresAt, expiresIn: seconds } : {}),
      scopes,
      cnf,
      fingerprint: print,
      new: isNew,
      ...(isRevealed ? { accessToken: accessToken.reveal() } : {}),
    }
    io.write(`${JSON.stringify(facts, null, 2)}\n`)
    return 0
  }
  const rows: readonly (readonly [string, string])[] = [
    ['client', clientId],
    ['expires', known ? `${expiresAt}, in ${seconds} s` : 'the server did not say'],
    ['scopes', scopes.length === 0 ? 'none that can be read' : scopes.join(' ')],
    ['bound to', bound === undefined ? 'no certificate that can be read' : `certificate ${bound}`],
    ['token', `#${print}, ${isNew ? 'new' : 'kept from before'}${isRevealed ? '' : ' (hidden; --reveal prints it)'}`],
  ]
  const facts = rows.map(([name, value]) => `${name.padEnd(9)}${harmless(value)}\n`).join('')
  if (isRevealed) io.write(`${accessToken.reveal()}\n`)
  if (isRevealed) io.warn(facts)
  else io.write(facts)
  return 0
}
