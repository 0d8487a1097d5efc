/**
 * `thredd token`: an API access token in one command, from the vault while it lives, else by a step of the flow
 * "access-token". Without --reveal it prints facts about the token; with it, the token alone on stdout and the facts on stderr.
 */
import { relative } from 'node:path'
import { type EnvironmentOptions, loadEnvironment } from '../../environment/index.ts'
import { decode } from '../../identity/jwt.ts'
import { fail } from '../../record/errors.ts'
import { json, line, oneLine } from '../../record/foreign.ts'
import { transportThumbprint } from '../../run/credentials.ts'
import { type Caller, resolve, run, usesTwin } from '../../run/index.ts'
import { Secret } from '../../secret/index.ts'
import { fingerprint, type StoredToken, type Vault, vaultOf } from '../../vault/index.ts'
import type { Invocation, Program } from './command.ts'
import { type Console, consoleOn } from './console.ts'
import { callerOf, clientIdOf, environmentOptions, flowOfPackage, untilStopped } from './run-options.ts'

export interface TokenIo {
  readonly write: (text: string) => void
  /** to stderr: everything but the token and the facts about it */
  readonly warn: (text: string) => void
  readonly now: () => Date
  readonly clientId: string | undefined
  /** base URL of the authorization server */
  readonly server: string | undefined
  /** x5t#S256 of the certificate that a token is bound to */
  readonly thumbprint: string | undefined
  /** undefined on the embedded twin, whose tokens end with the run */
  readonly openVault: () => Promise<Vault | undefined>
  /** Asks the server for a token and prints what went wrong; the body is undefined where no token came. */
  readonly request: (
    scope: string | undefined,
  ) => Promise<{ readonly body: Uint8Array | undefined; readonly exitCode: number }>
}

type Flags = Pick<Invocation, 'has' | 'texts'>

export async function performToken(invocation: Invocation, program: Program): Promise<number> {
  const { write, warn } = program
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  const isOnTwin = usesTwin(environment)
  return await untilStopped(async (signal) => {
    const options = environmentOptions(invocation, program)
    const caller = callerOf(invocation, program, { signal })
    return await printToken(invocation, {
      write,
      warn,
      now: () => new Date(),
      clientId: clientIdOf(environment),
      server: environment.servers.get('authorization'),
      thumbprint: isOnTwin ? undefined : await transportThumbprint(environment),
      openVault: async () => (isOnTwin ? undefined : vaultOf(environment, { now: () => new Date() })),
      request: (scope) => requestToken(scope, options, { caller, program }),
    })
  })
}

/** The body of the token response. Events of the run are printed only where it went wrong, since a token was asked for. */
async function requestToken(
  scope: string | undefined,
  environment: EnvironmentOptions,
  { caller, program }: { readonly caller: Caller; readonly program: Program },
) {
  const step = scope === undefined ? 'api-token' : 'narrow-token'
  const events: Parameters<Console['show']>[0][] = []
  let body: Uint8Array | undefined
  const request = await resolve({
    environment,
    selection: { ...flowOfPackage('access-token', program), step },
    inputs: new Map(scope === undefined ? [] : [['scope', scope]]),
    permissions: { registeredElsewhere: true },
  })
  const { head, file } = await run(request, {
    ...caller,
    onAnswer: (answer) => {
      if (answer.step === step) body = answer.body
    },
    onEvent: (event) => events.push(event),
  })
  const { exitCode } = head
  if (exitCode !== 0) {
    const out = consoleOn(program.stderr, program)
    for (const event of events) out.show(event)
    out.summary(head, relative(program.here, file))
  }
  return { body, exitCode }
}

/** Exit code: 0 with a token, else that of the run which got none. */
export async function printToken(flags: Flags, io: TokenIo): Promise<number> {
  const { clientId, server, thumbprint, now } = io
  if (clientId === undefined)
    fail({
      code: 'ENV_MISSING',
      message: 'CLIENT_ID is not set',
      hint: 'set it in the environment: a token is issued to one client',
    })
  const scopes = flags.texts('scope').flatMap((text) => text.split(/[\s,]+/).filter((word) => word !== ''))
  const scope = scopes.length === 0 ? undefined : [...new Set(scopes)].sort().join(' ')
  const use = { clientId, server, scope, thumbprint: thumbprint ?? 'none' }
  const vault = await io.openVault()
  const stored = flags.has('fresh') ? undefined : await vault?.accessToken(use)
  if (stored !== undefined && isGood(stored, now())) return print(stored, { flags, io, clientId, isNew: false })

  const receivedAt = now()
  const { body, exitCode } = await io.request(scope)
  const token = body && tokenIn(body, receivedAt)
  if (token === undefined) return exitCode === 0 ? 3 : exitCode
  // Without expires_in it cannot be told whether a stored token is still good.
  if (token.expiresAt !== token.receivedAt) await vault?.keepAccessToken(use, token)
  return print(token, { flags, io, clientId, isNew: true })
}

/** Seconds; no token lives for ten years, and some numbers make no date. */
const LONGEST_LIFE = 10 * 365 * 24 * 60 * 60
/** A token must outlive the call that it is used for, and clocks differ. */
const LEAST_LIFE_MS = 30_000

function isGood({ receivedAt, expiresAt }: StoredToken, now: Date): boolean {
  const life = Date.parse(expiresAt) - Date.parse(receivedAt)
  const left = Date.parse(expiresAt) - now.getTime()
  // Before the moment it was received the clock has been put back, and the rest of its life is unknown.
  return left > Math.max(LEAST_LIFE_MS, life / 10) && now.getTime() >= Date.parse(receivedAt)
}

/** The life of the token is counted from before the request, so that it is never taken for longer than it is (RFC 6749 §5.1). */
function tokenIn(body: Uint8Array, receivedAt: Date): StoredToken | undefined {
  const answer = jsonIn(body)
  const { access_token: accessToken, expires_in: seconds, scope } = answer
  if (typeof accessToken !== 'string' || accessToken === '') return undefined
  const life = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, LONGEST_LIFE) : 0
  return {
    accessToken: new Secret(accessToken, 'access_token'),
    receivedAt: receivedAt.toISOString(),
    expiresAt: new Date(receivedAt.getTime() + life * 1000).toISOString(),
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

function print(
  { accessToken, receivedAt, expiresAt, scope }: StoredToken,
  { flags, io, clientId, isNew }: { flags: Flags; io: TokenIo; clientId: string; isNew: boolean },
): number {
  const claims = decode(accessToken.reveal())?.payload ?? {}
  const cnf = claims.cnf as { readonly 'x5t#S256'?: unknown } | undefined
  const bound = typeof cnf?.['x5t#S256'] === 'string' ? cnf['x5t#S256'] : undefined
  const scopes = Array.isArray(claims.scp) ? claims.scp.map(String) : (scope?.split(' ') ?? [])
  const known = expiresAt !== receivedAt
  const seconds = Math.round((Date.parse(expiresAt) - io.now().getTime()) / 1000)
  const isRevealed = flags.has('reveal')
  if (bound !== undefined && io.thumbprint !== undefined && bound !== io.thumbprint)
    io.warn('warning the token is bound to another certificate than the one of this environment\n')
  if (flags.has('json')) {
    const facts = {
      clientId,
      ...(known ? { expiresAt, expiresIn: seconds } : {}),
      scopes,
      cnf,
      fingerprint: fingerprint(accessToken.reveal()),
      new: isNew,
      ...(isRevealed ? { accessToken: accessToken.reveal() } : {}),
    }
    io.write(`${json(facts)}\n`)
    return 0
  }
  const rows: readonly (readonly [string, string])[] = [
    ['client', clientId],
    ['expires', known ? `${expiresAt}, in ${seconds} s` : 'the server did not say'],
    ['scopes', scopes.length === 0 ? 'none that can be read' : scopes.join(' ')],
    ['bound to', bound === undefined ? 'no certificate that can be read' : `certificate ${bound}`],
    [
      'token',
      `#${fingerprint(accessToken.reveal())}, ${isNew ? 'new' : 'kept from before'}${isRevealed ? '' : ' (hidden; --reveal prints it)'}`,
    ],
  ]
  const facts = rows.map(([name, value]) => `${name.padEnd(9)}${oneLine(value)}\n`).join('')
  if (isRevealed) io.write(line`${accessToken.reveal()}\n`)
  if (isRevealed) io.warn(facts)
  else io.write(facts)
  return 0
}
