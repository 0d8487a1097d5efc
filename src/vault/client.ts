/**
 * What is known of one client, worked out of what has happened to it, event by event. Pure. Nothing derived is stored, so
 * nothing can go stale.
 */
import { sha256base64url } from '../identity/jwt.ts'
import { Secret } from '../secret/index.ts'
import { credentialsIn, fingerprint, isRegistrationAnswer } from './answer.ts'
import type { AnswerEvent, ClientEvent } from './event.ts'

/** What is known of one client, from the newest answers that said it. */
export interface Registration {
  /** as the server issued it */
  readonly clientId: string
  /** the newest; undefined only where no answer ever held a usable one */
  readonly registrationAccessToken: Secret | undefined
  /** those that may still work, newest first: a server may have answered with a token that it did not keep */
  readonly fallbacks: readonly Secret[]
  /** when the current token was first seen to work after it was issued */
  readonly workedAt: string | undefined
  /** byte for byte as the server gave it (RFC 7592 appendix B) */
  readonly registrationClientUri: string | undefined
  /** the newest answer without its secrets and without the two members above */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly scopes: readonly string[]
  /** SHA-256 of the software statement in base64url */
  readonly softwareStatementSha256: string | undefined
  /** UTC, RFC 3339; when the newest answer was kept, and by which run and step */
  readonly keptAt: string
  readonly runId: string
  readonly step: string
  readonly deletedAt: string | undefined
  /** the answer that this client began with, since it was last deleted */
  readonly origin: Origin
}

/** The beginning of a client, and what its run meant to do with it. */
export interface Origin {
  readonly at: string
  readonly runId: string
  readonly step: string
  readonly purpose: Purpose
}

/**
 * What a run means to do with the client that it registers: keep it, or delete it before it ends. Temporary is a client only
 * if all that registered it meant to delete it; what nobody knows the purpose of is kept.
 */
export type Purpose = 'kept' | 'temporary'

/** A registration access token that this client was ever given. */
export interface HeldToken {
  readonly fingerprint: string
  /** current · fallback: replaced, and the newer one has not worked yet · superseded: a newer one has worked, or the client was deleted */
  readonly state: 'current' | 'fallback' | 'superseded'
  /** UTC, RFC 3339; when, by which run and step it came */
  readonly at: string
  readonly runId: string
  readonly step: string
  /** when it was last seen to work for the first time after it became current */
  readonly workedAt: string | undefined
  /** fingerprint of the token that took its place, and when */
  readonly replacedBy: string | undefined
  readonly replacedAt: string | undefined
}

/** One line of a client's history. Tokens by fingerprint only. */
export interface HistoryEvent {
  readonly at: string
  readonly what: 'registered' | 'rotated' | 'answered' | 'worked' | 'deleted' | 'settled' | 'known'
  readonly runId: string | undefined
  readonly step: string | undefined
  readonly status: number | undefined
  readonly token: string | undefined
  /** how an open call was settled, or what was done with the answer */
  readonly note: string | undefined
}

export interface Life extends Origin {
  readonly deletedAt: string | undefined
  /** who registered it, as long as that lock is held */
  readonly writer: string | undefined
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
  readonly events: ClientEvent[] = []
  /** the ids that the environment had when the client was registered */
  readonly askedAs = new Set<string>()
  readonly softwareIds = new Set<string>()
  readonly history: HistoryEvent[] = []
  readonly lives: Life[] = []
  /** all there ever were, by fingerprint */
  readonly #tokens = new Map<string, Held>()
  #newest: AnswerEvent | undefined
  #current: Held | undefined
  /** issued before the current one and not yet known to be dead, newest first */
  #earlier: Held[] = []
  #uri: string | undefined
  #deletedAt: string | undefined

  constructor(id: string) {
    this.id = id
  }

  /** An answer was kept that says something, and the client was not deleted since. */
  get isLive(): boolean {
    return this.#newest !== undefined && this.#deletedAt === undefined
  }

  get newestAnswer(): AnswerEvent | undefined {
    return this.#newest
  }

  /** In order of time. */
  take(event: ClientEvent): void {
    this.events.push(event)
    if (event.kind === 'worked') this.#worked(event)
    else if (event.kind === 'deleted' || isDeletion(event)) this.#deleted(event)
    else this.#answered(event)
  }

  /** A call of this client that was open is so no longer. */
  settled(at: string, note: string): void {
    this.history.push({ ...NOTHING, at, what: 'settled', note })
  }

  holds(token: string): boolean {
    return [this.#current, ...this.#earlier].some((one) => one?.value.reveal() === token)
  }

  tokens(): readonly HeldToken[] {
    return [...this.#tokens.values()].map((token) => {
      const { value: _, isFromServer: __, ...facts } = token
      const state =
        this.#deletedAt !== undefined
          ? 'superseded'
          : token === this.#current
            ? 'current'
            : this.#earlier.includes(token)
              ? 'fallback'
              : 'superseded'
      return { ...facts, state }
    })
  }

  /** Undefined where no answer was ever kept. */
  registration(): Registration | undefined {
    const newest = this.#newest
    const life = this.lives.at(-1)
    if (newest === undefined || life === undefined) return undefined
    const { members = {} } = credentialsIn(newest)
    const statement = members.software_statement
    return {
      clientId: this.id,
      registrationAccessToken: this.#current?.value,
      fallbacks: this.#earlier.map(({ value }) => value),
      workedAt: this.#current?.workedAt,
      registrationClientUri: this.#uri,
      metadata: withoutSecrets(members),
      scopes: scopesIn(members),
      softwareStatementSha256:
        typeof statement === 'string' && statement !== '' ? sha256base64url(statement) : undefined,
      keptAt: newest.at,
      runId: newest.runId,
      step: newest.step,
      deletedAt: this.#deletedAt,
      origin: { at: life.at, runId: life.runId, step: life.step, purpose: life.purpose },
    }
  }

  #answered(answer: AnswerEvent): void {
    const { at, runId, step, status, purpose = 'kept', askedAs, softwareId } = answer
    const said = credentialsIn(answer)
    const print = said.token === undefined ? undefined : fingerprint(said.token)
    for (const id of [softwareId, said.softwareId]) if (id !== undefined) this.softwareIds.add(id)
    if (askedAs !== undefined) this.askedAs.add(askedAs)
    const known = print === undefined ? undefined : this.#tokens.get(print)
    const event = { ...NOTHING, at, runId, step, status, token: print }
    if (answer.imported && known !== undefined) {
      // What a person kept outside may be old; what the vault has seen since is newer.
      if (this.isLive) this.#uri ??= said.uri
      this.history.push({ ...event, what: 'known', note: 'imported again' })
      return
    }
    if (print === undefined && said.uri === undefined && this.#newest !== undefined) {
      this.history.push({ ...event, what: 'answered' })
      return
    }
    this.#begin(answer)
    const isNew = print !== undefined && print !== this.#current?.fingerprint
    const what = !isNew ? 'answered' : this.#current === undefined ? 'registered' : 'rotated'
    this.history.push({ ...event, what })
    if (isNew) {
      const value = new Secret(said.token ?? '', 'registration_access_token')
      const token = known ?? { fingerprint: print, at, runId, step, value, isFromServer: false, ...UNPROVEN }
      if (!answer.imported) token.isFromServer = true
      this.#tokens.set(print, token)
      this.#issue(token, at, answer.imported === true)
    }
    const isCurrent = print !== undefined && print === this.#current?.fingerprint
    if (!answer.imported || this.#newest === undefined || isCurrent) {
      this.#uri = said.uri ?? this.#uri
      this.#newest = answer
    } else this.#uri ??= said.uri
    const life = this.lives.at(-1)
    if (life !== undefined && purpose === 'kept' && answer.effect === 'register')
      this.lives[this.lives.length - 1] = { ...life, purpose }
  }

  /** An answer with one of the two members leaves the other as it was, but never takes it from a deleted client. */
  #begin({ at, runId, step, purpose = 'kept', writer }: AnswerEvent): void {
    if (this.#newest !== undefined && this.#deletedAt === undefined) return
    this.lives.push({ at, runId, step, purpose, writer, deletedAt: undefined })
    this.#newest = undefined
    this.#current = undefined
    this.#earlier = []
    this.#uri = undefined
    this.#deletedAt = undefined
  }

  #issue(token: Held, at: string, imported: boolean): void {
    const current = this.#current
    const others = this.#earlier.filter((one) => one !== token)
    if (imported && (current?.workedAt !== undefined || current?.isFromServer)) {
      // Nobody knows how old a token is that a person kept: it is tried where the current one is refused.
      this.#earlier = [token, ...others]
      return
    }
    if (current !== undefined) {
      current.replacedBy = token.fingerprint
      current.replacedAt = at
    }
    this.#earlier = [...(current === undefined ? [] : [current]), ...others]
    Object.assign(token, UNPROVEN)
    this.#current = token
  }

  #worked({ at, runId, step, token: print }: Extract<ClientEvent, { kind: 'worked' }>): void {
    this.history.push({ ...NOTHING, at, what: 'worked', runId, step, token: print })
    const current = this.#current
    const proven = [current, ...this.#earlier].find((one) => one?.fingerprint === print)
    if (proven === undefined) return
    for (const one of this.#earlier) {
      one.replacedBy ??= print
      one.replacedAt ??= at
    }
    // An older token that works shows that the newer one was never taken into use: it stays as what to try next.
    this.#earlier = proven === current || current === undefined ? [] : [current]
    Object.assign(proven, UNPROVEN, { workedAt: at })
    this.#current = proven
  }

  #deleted({ at, runId, step }: ClientEvent & { runId?: string | undefined; step?: string | undefined }): void {
    const life = this.lives.at(-1)
    if (life === undefined || life.deletedAt !== undefined) return
    this.lives[this.lives.length - 1] = { ...life, deletedAt: at }
    this.#deletedAt = at
    this.history.push({ ...NOTHING, at, what: 'deleted', runId, step })
  }
}

/** The answer to a DELETE that holds no registration. */
function isDeletion(event: AnswerEvent): boolean {
  return event.effect === 'delete' && !isRegistrationAnswer(event)
}

const UNPROVEN = { workedAt: undefined, replacedBy: undefined, replacedAt: undefined }
const NOTHING = { runId: undefined, step: undefined, status: undefined, token: undefined, note: undefined }

function withoutSecrets(members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const clean = (value: unknown, depth: number): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (depth === DEEPEST) return '…'
    if (Array.isArray(value)) return value.map((one) => clean(one, depth + 1))
    const kept = Object.entries(value).filter(([name]) => !WITHHELD.has(name))
    return Object.fromEntries(kept.map(([name, one]) => [name, clean(one, depth + 1)]))
  }
  return clean(members, 0) as Readonly<Record<string, unknown>>
}

/** Metadata are shown to people; what lies deeper is in the raw answer. */
const DEEPEST = 20

/** The product answers with a list, RFC 7591 with a text. */
function scopesIn({ scopes, scope }: Readonly<Record<string, unknown>>): readonly string[] {
  if (Array.isArray(scopes)) return scopes.filter((one) => typeof one === 'string')
  return typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : []
}
