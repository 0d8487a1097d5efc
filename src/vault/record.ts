/**
 * What a client's record says: an append-only list of entries, and everything that follows from it. Pure: knows no file,
 * no key, no clock. What is current is worked out when it is read, so nothing derived can go stale.
 */

import { sha256base64url } from '../identity/jwt.ts'
import type { Problem } from '../record/errors.ts'
import { shapeOf, z } from '../record/shape.ts'
import { Secret } from '../secret/index.ts'

/** What is known of one client, from the newest answers that said it. */
export interface Registration {
  readonly clientId: string
  /** the newest; undefined only where no answer ever held a usable one */
  readonly registrationAccessToken: Secret | undefined
  /** the one before, until the newest has worked: a server may have answered with a token it did not keep */
  readonly fallback: Secret | undefined
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
  /** how often it was registered and deleted before all that is still known of it */
  readonly past: Past | undefined
}

/** Lives of a client of which nothing is left but their number. */
export interface Past {
  readonly lives: number
  /** UTC, RFC 3339; when the first began */
  readonly firstAt: string
  /** when the last was deleted */
  readonly lastAt: string
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

/** One line of a client's history. Tokens by fingerprint only. */
export interface HistoryEvent {
  readonly at: string
  readonly what: 'registered' | 'rotated' | 'answered' | 'worked' | 'deleted' | 'settled' | 'counted'
  readonly runId: string | undefined
  readonly step: string | undefined
  readonly status: number | undefined
  readonly token: string | undefined
  /** how an open intent was settled, or why the answer stands here by its fingerprint alone */
  readonly note: string | undefined
}

export const VAULT_VERSION = 3
/** Raw answers that stay whole: a server that rotates at each GET would add 11 kB every time. */
const NEWEST_KEPT = 5
/** Lives that stay in the history: a client of tests is registered and deleted many times a day. */
const NEWEST_LIVES = 20

const purpose = z.optional(z.enum(['kept', 'temporary']))

// Loose objects: a later release may add members, and an older one must not drop them when it rewrites the record.
const answerEntry = z.looseObject({
  kind: z.literal('answer'),
  keptAt: z.iso.datetime(),
  runId: z.string(),
  step: z.string(),
  status: z.int(),
  /** raw and unparsed: whatever else is stored can be worked out of it */
  body: z.string(),
  /** present where the bytes were no UTF-8 text */
  encoding: z.optional(z.literal('base64')),
  /** of the answer to a registration */
  purpose,
})
/** An old answer, of which only what may be asked later is left. */
const reducedEntry = z.looseObject({
  kind: z.literal('reduced'),
  keptAt: z.iso.datetime(),
  runId: z.string(),
  step: z.string(),
  status: z.int(),
  sha256: z.string(),
  token: z.optional(z.string()),
  purpose,
})
const deletedEntry = z.looseObject({
  kind: z.literal('deleted'),
  keptAt: z.iso.datetime(),
  runId: z.optional(z.string()),
  step: z.optional(z.string()),
})
const workedEntry = z.looseObject({
  kind: z.literal('worked'),
  keptAt: z.iso.datetime(),
  runId: z.optional(z.string()),
  step: z.optional(z.string()),
  /** fingerprint */
  token: z.string(),
})
const settledEntry = z.looseObject({
  kind: z.literal('settled'),
  keptAt: z.iso.datetime(),
  intent: z.string(),
  effect: z.string(),
  begunAt: z.iso.datetime(),
  runId: z.optional(z.string()),
  step: z.optional(z.string()),
  how: z.string(),
})
/** Stands for all that was before it; `keptAt` is when the last of these lives was deleted. */
const pastEntry = z.looseObject({
  kind: z.literal('past'),
  keptAt: z.iso.datetime(),
  lives: z.int(),
  firstAt: z.string(),
})
export const entrySchema = z.discriminatedUnion('kind', [
  answerEntry,
  reducedEntry,
  deletedEntry,
  workedEntry,
  settledEntry,
  pastEntry,
])
export type Entry = z.infer<typeof entrySchema>
export type AnswerEntry = z.infer<typeof answerEntry>

/** Left out of the metadata: credentials, and what a registration holds as members of its own. */
const WITHHELD = new Set([
  'registration_access_token',
  'registration_client_uri',
  'client_secret',
  'hashed_secret',
  'rotated_secrets',
  'hashed_rotated_secrets',
  'software_statement',
])

/** A decrypted file as the thing `schema` describes, or what is wrong with its format. */
export function readFormat<T>(
  plaintext: Uint8Array,
  schema: z.ZodMiniType<T>,
):
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly is: string; readonly rest: Partial<Problem> } {
  const content = jsonObject(Buffer.from(plaintext).toString('utf8'))
  const version = content?.vaultVersion
  if (typeof version === 'number' && version > VAULT_VERSION) {
    return {
      ok: false,
      is: 'was written by a newer version of this tool',
      rest: {
        expected: `format ${VAULT_VERSION}`,
        found: `format ${version}`,
        hint: 'update the tool; the record is left as it is',
      },
    }
  }
  if (typeof version === 'number' && version < VAULT_VERSION) {
    return {
      ok: false,
      is: 'was written by an older version of this tool, whose format is no longer read',
      rest: {
        expected: `format ${VAULT_VERSION}`,
        found: `format ${version}`,
        hint: 'read it with that version; the record is left as it is',
      },
    }
  }
  const shaped = shapeOf(schema, content)
  if (shaped.ok) return shaped
  const faults = shaped.faults.map(({ path: member, message }) => `${member}: ${message}`).join('; ')
  return {
    ok: false,
    is: 'opens with this key but is no record of this tool',
    rest: { found: faults, hint: 'move it out of the vault folder' },
  }
}

/** Generous: an answer that is cut or wrapped may still hold the only copy of the token. */
export function isRegistrationAnswer({ status, body }: Pick<AnswerEntry, 'status' | 'body'>): boolean {
  if (status < 200 || status > 299) return false
  const members = jsonObject(body)
  return ['registration_access_token', 'registration_client_uri'].some(
    (name) => (members !== undefined && Object.hasOwn(members, name)) || body.includes(`"${name}"`),
  )
}

/** The two members that cannot be fetched again, and the client they belong to, where the answer has them in usable form. */
export function credentialsIn(body: string): {
  /** undefined where it is no JSON object */
  readonly members: Readonly<Record<string, unknown>> | undefined
  readonly clientId: string | undefined
  readonly token: string | undefined
  readonly uri: string | undefined
} {
  const members = jsonObject(body)
  return {
    members,
    clientId: text(members?.client_id),
    token: text(members?.registration_access_token),
    uri: text(members?.registration_client_uri),
  }
}

/** Undefined where no answer was ever kept. */
export function registrationOf(clientId: string, entries: readonly Entry[]): Registration | undefined {
  return folded(clientId, entries)?.registration
}

/** Each time the client was registered, oldest first, and when it was deleted. */
export function periodsOf(entries: readonly Entry[]): readonly Period[] {
  const periods: Period[] = []
  for (const entry of entries) {
    const last = periods.at(-1)
    if (entry.kind === 'deleted') {
      if (last !== undefined) periods[periods.length - 1] = { ...last, deletedAt: last.deletedAt ?? entry.keptAt }
    } else if (entry.kind === 'answer' || entry.kind === 'reduced') {
      const { keptAt: at, runId, step, purpose } = entry
      if (last === undefined || last.deletedAt !== undefined)
        periods.push({ at, runId, step, purpose: purpose ?? 'kept', deletedAt: undefined })
      else if (purpose === 'kept') periods[periods.length - 1] = { ...last, purpose }
    }
  }
  return periods
}

export interface Period extends Origin {
  readonly deletedAt: string | undefined
}

export function historyOf(entries: readonly Entry[]): readonly HistoryEvent[] {
  let before: string | undefined
  return entries.map((entry): HistoryEvent => {
    const at = entry.keptAt
    const unsaid = { runId: undefined, step: undefined, status: undefined, token: undefined, note: undefined }
    if (entry.kind === 'past') return { ...unsaid, at, what: 'counted', note: pastInWords(pastOf([entry])) }
    const { runId, step } = entry
    const event = { ...unsaid, at, runId, step }
    if (entry.kind === 'deleted') {
      before = undefined
      return { ...event, what: 'deleted' }
    }
    if (entry.kind === 'worked') return { ...event, what: 'worked', token: entry.token }
    if (entry.kind === 'settled') {
      const note = `${entry.effect} of ${entry.begunAt}: ${entry.how}`
      return { ...event, what: 'settled', note }
    }
    const token = tokenOf(entry)
    const what = token === undefined || token === before ? 'answered' : before === undefined ? 'registered' : 'rotated'
    before = token ?? before
    const note = entry.kind === 'reduced' ? 'only its fingerprint is kept' : undefined
    return { ...event, what, status: entry.status, token, note }
  })
}

/** What replaces what: an answer that a server only repeats adds nothing. */
export function isRepeated(entries: readonly Entry[], answer: AnswerEntry): boolean {
  const newest = entries.findLast(({ kind }) => kind !== 'worked' && kind !== 'settled')
  return newest?.kind === 'answer' && newest.body === answer.body && newest.encoding === answer.encoding
}

/** What there is to say of the lives that are only counted. */
export function pastOf(entries: readonly Entry[]): Past | undefined {
  const past = entries.filter((entry) => entry.kind === 'past').toSorted((a, b) => b.lives - a.lives)[0]
  return past && { lives: past.lives, firstAt: past.firstAt, lastAt: past.keptAt }
}

export function pastInWords(past: Past | undefined): string | undefined {
  return past && `registrations before: ${past.lives}, the first of ${past.firstAt}; only their number is kept`
}

/**
 * The newest lives; of those before only their number. Old answers by fingerprint; the first, the newest, and all that the
 * registration rests on stay whole.
 */
export function compacted(all: readonly Entry[]): readonly Entry[] {
  const entries = withoutOldLives(all)
  const answers = entries.filter((entry) => entry.kind === 'answer')
  if (answers.length <= NEWEST_KEPT + 1) return entries
  const whole = new Set<Entry>([...answers.slice(0, 1), ...answers.slice(-NEWEST_KEPT)])
  for (const source of folded('', entries)?.sources ?? []) whole.add(source)
  return entries.map((entry): Entry => {
    if (entry.kind !== 'answer' || whole.has(entry)) return entry
    const { keptAt, runId, step, status, body, purpose } = entry
    const sha256 = sha256base64url(body)
    return { kind: 'reduced', keptAt, runId, step, status, sha256, token: tokenOf(entry), purpose }
  })
}

function withoutOldLives(entries: readonly Entry[]): readonly Entry[] {
  const ends = entries.flatMap(({ kind }, index) => (kind === 'deleted' ? [index] : []))
  const cut = (ends.at(-NEWEST_LIVES - 1) ?? -1) + 1
  if (cut === 0) return entries
  const old = entries.slice(0, cut)
  const [earlier, periods] = [pastOf(old), periodsOf(old)]
  const firstAt = earlier?.firstAt ?? periods[0]?.at ?? old[0]?.keptAt ?? ''
  const keptAt = old.at(-1)?.keptAt ?? firstAt
  return [{ kind: 'past', keptAt, lives: (earlier?.lives ?? 0) + periods.length, firstAt }, ...entries.slice(cut)]
}

/** Entries found outside the record join it at their time; those it has already, whole or reduced, are dropped. */
export function joined(entries: readonly Entry[], late: readonly Entry[]): readonly Entry[] {
  const all = [...entries]
  const seen = new Set(entries.map(identityOf))
  for (const entry of late) {
    const identity = identityOf(entry)
    if (seen.has(identity)) continue
    seen.add(identity)
    all.splice(all.findLastIndex(({ keptAt }) => keptAt <= entry.keptAt) + 1, 0, entry)
  }
  return all
}

export function fingerprint(token: string): string {
  return sha256base64url(token).slice(0, 16)
}

/** The text of an answer as it came; its bytes in base64 where they are no UTF-8. Nothing is parsed. */
export function rawBody(body: string | Uint8Array): Pick<AnswerEntry, 'body' | 'encoding'> {
  if (typeof body === 'string') return { body }
  try {
    return { body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body) }
  } catch {
    return { body: Buffer.from(body).toString('base64'), encoding: 'base64' }
  }
}

export function readableBody({ body, encoding }: Pick<AnswerEntry, 'body' | 'encoding'>): string {
  return encoding === undefined ? body : Buffer.from(body, 'base64').toString('utf8')
}

interface Folded {
  readonly registration: Registration
  /** the answers that the registration was worked out of */
  readonly sources: ReadonlySet<Entry>
}

interface Token {
  readonly value: string
  readonly from: Entry
}

function folded(clientId: string, entries: readonly Entry[]): Folded | undefined {
  let newest: AnswerEntry | undefined
  let token: Token | undefined
  /** issued before the current one and not yet known to be dead, newest first */
  let earlier: Token[] = []
  /** the newest that was seen to work */
  let lastProven: Token | undefined
  let uri: Token | undefined
  let workedAt: string | undefined
  let deletedAt: string | undefined

  for (const entry of entries) {
    if (entry.kind === 'deleted') {
      deletedAt = newest && entry.keptAt
    } else if (entry.kind === 'worked') {
      const proven = [token, ...earlier].find((one) => one !== undefined && fingerprint(one.value) === entry.token)
      if (proven === undefined) continue
      // An older token that works shows that the newer one was never taken into use: it stays as what to try next.
      earlier = proven === token || token === undefined ? [] : [token]
      token = proven
      lastProven = proven
      workedAt = entry.keptAt
    } else if (entry.kind === 'answer') {
      const issued = issuedBy(entry)
      if (issued.token === undefined && issued.uri === undefined && newest !== undefined) continue
      // An answer with one of the two leaves the other as it was, but never takes it from a deleted client.
      if (deletedAt !== undefined) {
        token = undefined
        earlier = []
        lastProven = undefined
        uri = undefined
        workedAt = undefined
        deletedAt = undefined
      }
      if (issued.token !== undefined && issued.token !== token?.value) {
        earlier = [token, ...earlier].filter((one) => one !== undefined && one.value !== issued.token) as Token[]
        token = { value: issued.token, from: entry }
        workedAt = undefined
      }
      if (issued.uri !== undefined) uri = { value: issued.uri, from: entry }
      newest = entry
    }
  }
  if (newest === undefined) return undefined
  const { members = {} } = issuedBy(newest)
  const statement = text(members.software_statement)
  const fallback = earlier[0]
  return {
    registration: {
      clientId,
      registrationAccessToken: token && new Secret(token.value, 'registration_access_token'),
      fallback: fallback && new Secret(fallback.value, 'registration_access_token'),
      workedAt,
      registrationClientUri: uri?.value,
      metadata: Object.fromEntries(Object.entries(members).filter(([name]) => !WITHHELD.has(name))),
      scopes: scopesIn(members),
      softwareStatementSha256: statement && sha256base64url(statement),
      keptAt: newest.keptAt,
      runId: newest.runId,
      step: newest.step,
      deletedAt,
      origin: originOf(entries, newest),
      past: pastOf(entries),
    },
    sources: new Set(
      [newest, token?.from, fallback?.from, lastProven?.from, uri?.from].filter((one) => one !== undefined),
    ),
  }
}

function originOf(entries: readonly Entry[], { keptAt, runId, step }: AnswerEntry): Origin {
  const { deletedAt: _, ...origin } = periodsOf(entries).at(-1) ?? { at: keptAt, runId, step, deletedAt: undefined }
  return { purpose: 'kept', ...origin }
}

/** The product answers with a list, RFC 7591 with a text. */
function scopesIn({ scopes, scope }: Readonly<Record<string, unknown>>): readonly string[] {
  if (Array.isArray(scopes)) return scopes.filter((one) => typeof one === 'string')
  return typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : []
}

function tokenOf(entry: Entry): string | undefined {
  if (entry.kind === 'reduced') return entry.token
  if (entry.kind !== 'answer') return undefined
  const { token } = issuedBy(entry)
  return token && fingerprint(token)
}

/** The same for an entry whole and reduced. Entries never change, and each is asked many times. */
export const identityOf = onceForEach((entry: Entry): string => {
  if (entry.kind !== 'answer' && entry.kind !== 'reduced') return JSON.stringify(entry)
  const { keptAt, runId, step, status } = entry
  return JSON.stringify([
    keptAt,
    runId,
    step,
    status,
    entry.kind === 'answer' ? sha256base64url(entry.body) : entry.sha256,
  ])
})

/** What an answer that is kept says; each look at a client asks for it again. */
export const issuedBy = onceForEach((answer: Pick<AnswerEntry, 'body' | 'encoding'>) =>
  credentialsIn(readableBody(answer)),
)

/** What follows from a thing that never changes is worked out once. */
export function onceForEach<E extends object, T>(work: (entry: E) => T): (entry: E) => T {
  const known = new WeakMap<E, T>()
  return (entry) => {
    if (!known.has(entry)) known.set(entry, work(entry))
    return known.get(entry) as T
  }
}

export function jsonObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.replace(/^\uFEFF/, ''))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
