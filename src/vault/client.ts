/** What is known of one client, worked out of its events. Pure. */
import { sha256base64url } from '../identity/jwt.ts'
import { onceForEach } from '../record/once.ts'
import { Secret } from '../secret/index.ts'
import { credentialsIn, fingerprint, provesDeletion } from './answer.ts'
import type { AnswerEvent, ClientEvent } from './event.ts'

/** The run and the step that did something, for the history. */
export interface By {
  readonly runId: string
  readonly step: string
}

/** What is known of one client, from the newest answers that said it; run and step are those of the newest. */
export interface Registration extends By {
  /** as the server issued it */
  readonly clientId: string
  /** the newest; undefined only where no answer ever held a usable one */
  readonly registrationAccessToken: Secret | undefined
  /** those that may still work, newest first: a server may have answered with a token that it did not keep */
  readonly fallbacks: readonly Secret[]
  /** when the current token was first seen to work after it was issued */
  readonly workedAt: string | undefined
  /** x5t#S256 of the certificate with which the current token was last issued or seen to work; "none", or not known */
  readonly thumbprint: string | undefined
  /** byte for byte as the server gave it (RFC 7592 appendix B) */
  readonly registrationClientUri: string | undefined
  /** the newest answer without its secrets and without the two members above */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly scopes: readonly string[]
  /** SHA-256 of the software statement in base64url */
  readonly softwareStatementSha256: string | undefined
  /** UTC, RFC 3339; when the newest answer was kept */
  readonly keptAt: string
  readonly deletedAt: string | undefined
  /** the answer that this client began with, since it was last deleted */
  readonly origin: Origin
}

/** The beginning of a client, and what its run meant to do with it. */
export interface Origin extends By {
  readonly at: string
  readonly purpose: Purpose
}

/** Temporary: all runs that registered the client meant to delete it before they end. Where nobody knows, it is kept. */
export type Purpose = 'kept' | 'temporary'

/** A registration access token that this client was ever given, and who got it. */
export interface HeldToken extends By {
  readonly fingerprint: string
  /** current · fallback: replaced, and the newer one has not worked yet · superseded: a newer one has worked, or the client was deleted */
  readonly state: 'current' | 'fallback' | 'superseded'
  /** UTC, RFC 3339; when it came */
  readonly at: string
  /** when it was last seen to work for the first time after it became current */
  readonly workedAt: string | undefined
  /** x5t#S256 of the certificate with which it was last issued or seen to work; "none", or not known */
  readonly thumbprint: string | undefined
  /** fingerprint of the token that took its place, and when */
  readonly replacedBy: string | undefined
  readonly replacedAt: string | undefined
}

/** One line of a client's history. */
export interface HistoryEvent {
  readonly at: string
  readonly what: 'registered' | 'rotated' | 'answered' | 'worked' | 'deleted' | 'settled' | 'known'
  readonly runId?: string | undefined
  readonly step?: string | undefined
  readonly status?: number
  /** fingerprint */
  readonly token?: string | undefined
  /** how an open call was settled, or what was done with the answer */
  readonly note?: string
}

/** From an answer that brings the client to its deletion. */
export interface Life extends Omit<Origin, 'purpose'> {
  purpose: Purpose
  deletedAt: string | undefined
  /** the lock of the process that registered it */
  readonly writer: string | undefined
  /** undefined once another life has begun */
  newest: AnswerEvent | undefined
  current: Held | undefined
  /** issued before the current one and not yet known to be dead, newest first */
  earlier: readonly Held[]
  uri: string | undefined
}

type Held = { -readonly [Name in keyof Omit<HeldToken, 'state'>]: HeldToken[Name] } & {
  readonly value: Secret
  /** a server's answer to this tool brought it, not a person */
  isFromServer: boolean
}

/** Left out of the metadata wherever they are: credentials, and what a registration holds as members of its own. */
const WITHHELD = new Set([
  'registration_access_token',
  'registration_client_uri',
  'client_secret',
  'hashed_secret',
  'rotated_secrets',
  'hashed_rotated_secrets',
  'software_statement',
])

export class Client {
  readonly id: string
  /** the ids that the environment had when the client was registered */
  readonly askedAs = new Set<string>()
  readonly softwareIds = new Set<string>()
  readonly history: HistoryEvent[] = []
  readonly lives: Life[] = []
  /** all there ever were, by fingerprint */
  readonly #tokens = new Map<string, Held>()

  constructor(id: string) {
    this.id = id
  }

  /** An answer was kept that says something, and the client was not deleted since. */
  get isLive(): boolean {
    return this.#live !== undefined
  }

  get newestAnswer(): AnswerEvent | undefined {
    return this.#live?.newest
  }

  get #live(): Life | undefined {
    const life = this.lives.at(-1)
    return life?.deletedAt === undefined ? life : undefined
  }

  /** In order of time. */
  take(event: ClientEvent): void {
    if (event.kind === 'worked') this.#worked(event)
    else if (event.kind === 'deleted' || isDeletion(event)) this.#deleted(event)
    else this.#answered(event)
  }

  /** A call of this client that was open is so no longer. */
  settled(at: string, note: string): void {
    this.history.push({ at, what: 'settled', note })
  }

  /** registration_client_uri */
  get uri(): string | undefined {
    return this.lives.at(-1)?.uri
  }

  holds(token: string): boolean {
    return tokensOf(this.lives.at(-1)).some(({ value }) => value.reveal() === token)
  }

  tokens(): readonly HeldToken[] {
    const [current, ...earlier] = [this.#live?.current, ...(this.#live?.earlier ?? [])]
    return [...this.#tokens.values()].map((token) => {
      const { value: _, isFromServer: __, ...facts } = token
      return { ...facts, state: token === current ? 'current' : earlier.includes(token) ? 'fallback' : 'superseded' }
    })
  }

  /** Undefined where no answer was ever kept. */
  registration(): Registration | undefined {
    const life = this.lives.at(-1)
    if (life?.newest === undefined) return undefined
    const { newest, current, earlier, uri, deletedAt, at, runId, step, purpose } = life
    const { members = NO_MEMBERS } = credentialsIn(newest)
    const statement = members.software_statement
    return {
      clientId: this.id,
      registrationAccessToken: current?.value,
      fallbacks: earlier.map(({ value }) => value),
      workedAt: current?.workedAt,
      thumbprint: current?.thumbprint,
      registrationClientUri: uri,
      metadata: withoutSecrets(members),
      scopes: scopesIn(members),
      softwareStatementSha256:
        typeof statement === 'string' && statement !== '' ? sha256base64url(statement) : undefined,
      keptAt: newest.at,
      runId: newest.runId,
      step: newest.step,
      deletedAt,
      origin: { at, runId, step, purpose },
    }
  }

  #answered(answer: AnswerEvent): void {
    const { at, runId, step, status, askedAs, softwareId, thumbprint, imported: isImported = false } = answer
    const said = credentialsIn(answer)
    const print = said.token === undefined ? undefined : fingerprint(said.token)
    for (const id of [softwareId, said.softwareId]) if (id !== undefined) this.softwareIds.add(id)
    if (askedAs !== undefined) this.askedAs.add(askedAs)
    const known = print === undefined ? undefined : this.#tokens.get(print)
    const event = { at, runId, step, status, token: print }
    if (isImported && known !== undefined) {
      // What a person kept outside may be old; what the vault has seen since is newer.
      if (this.#live !== undefined) this.#live.uri ??= said.uri
      this.history.push({ ...event, what: 'known', note: 'imported again' })
      return
    }
    if (print === undefined && said.uri === undefined && (this.lives.length > 0 || answer.effect === 'delete')) {
      this.history.push({ ...event, what: 'answered' })
      return
    }
    const isFirst = this.#live === undefined
    const life = this.#live ?? this.#begin(answer)
    const isNew = print !== undefined && print !== life.current?.fingerprint
    this.history.push({ ...event, what: !isNew ? 'answered' : life.current === undefined ? 'registered' : 'rotated' })
    if (isNew) {
      const value = new Secret(said.token ?? '', 'registration_access_token')
      const token = known ?? {
        fingerprint: print,
        at,
        runId,
        step,
        value,
        isFromServer: false,
        thumbprint,
        ...UNPROVEN,
      }
      if (!isImported) token.isFromServer = true
      this.#tokens.set(print, token)
      issue(life, token, at, isImported)
    }
    if (print !== undefined && print === life.current?.fingerprint)
      life.current.thumbprint = thumbprint ?? life.current.thumbprint
    if (!isImported || isFirst || (print !== undefined && print === life.current?.fingerprint)) {
      life.uri = said.uri ?? life.uri
      life.newest = answer
    } else life.uri ??= said.uri
    if (answer.effect === 'register' && (answer.purpose ?? 'kept') === 'kept') life.purpose = 'kept'
  }

  /** An answer with one of the two members leaves the other as it was, but takes nothing from a client that was deleted. */
  #begin(answer: AnswerEvent): Life {
    const { at, runId, step, purpose = 'kept', writer } = answer
    const about = { at, runId, step, purpose, writer, newest: answer }
    const before = this.lives.at(-1)
    if (before !== undefined) before.newest = undefined
    const life: Life = { ...about, deletedAt: undefined, current: undefined, earlier: [], uri: undefined }
    this.lives.push(life)
    return life
  }

  #worked({ at, runId, step, token: print, thumbprint }: Extract<ClientEvent, { kind: 'worked' }>): void {
    this.history.push({ at, what: 'worked', runId, step, token: print })
    const life = this.lives.at(-1)
    const proven = tokensOf(life).find((one) => one.fingerprint === print)
    if (life === undefined || proven === undefined) return
    for (const one of life.earlier) {
      one.replacedBy ??= print
      one.replacedAt ??= at
    }
    // An older token that works shows that the newer one was never taken into use: it stays as what to try next.
    life.earlier = proven === life.current || life.current === undefined ? [] : [life.current]
    Object.assign(proven, UNPROVEN, { workedAt: at, thumbprint: thumbprint ?? proven.thumbprint })
    life.current = proven
  }

  #deleted({ at, runId, step }: ClientEvent & { runId?: string | undefined; step?: string | undefined }): void {
    if (this.#live === undefined) return
    this.#live.deletedAt = at
    this.history.push({ at, what: 'deleted', runId, step })
  }
}

function tokensOf(life: Life | undefined): readonly Held[] {
  return [life?.current, ...(life?.earlier ?? [])].filter((one) => one !== undefined)
}

function issue(life: Life, token: Held, at: string, isImported: boolean): void {
  const { current } = life
  const others = life.earlier.filter((one) => one !== token)
  if (isImported && (current?.workedAt !== undefined || current?.isFromServer)) {
    // Nobody knows how old a token is that a person kept: it is tried where the current one is refused.
    life.earlier = [token, ...others]
    return
  }
  if (current !== undefined) Object.assign(current, { replacedBy: token.fingerprint, replacedAt: at })
  life.earlier = [...(current === undefined ? [] : [current]), ...others]
  life.current = Object.assign(token, UNPROVEN)
}

function isDeletion(event: AnswerEvent): boolean {
  return event.effect === 'delete' && provesDeletion(event)
}

const UNPROVEN = { workedAt: undefined, replacedBy: undefined, replacedAt: undefined }

const NO_MEMBERS: Readonly<Record<string, unknown>> = {}
/** Each look at a client asks for it again. */
const withoutSecrets = onceForEach(
  (members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
    JSON.parse(JSON.stringify(members), (name, value) => (WITHHELD.has(name) ? undefined : value)),
)

/** The product answers with a list, RFC 7591 with a text. */
function scopesIn({ scopes, scope }: Readonly<Record<string, unknown>>): readonly string[] {
  if (Array.isArray(scopes)) return scopes.filter((one) => typeof one === 'string')
  return typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : []
}
