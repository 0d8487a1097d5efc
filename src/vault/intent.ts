/**
 * What is written down about a call that changes a registration, from before it leaves until it is settled, and the
 * documented way out where nobody knows how it ended. Pure: the files are files.ts's.
 */
import { z } from '../record/shape.ts'
import {
  type Entry,
  isRegistrationAnswer,
  issuedBy,
  onceForEach,
  type Purpose,
  type Registration,
  rawBody,
  readableBody,
} from './record.ts'

/** What a call does to the client's registration: POST, PUT and DELETE of RFC 7591 and 7592. */
export type Effect = 'register' | 'update' | 'delete'

/** A call that may have changed a registration, and whose result is not known. */
export interface OpenIntent {
  readonly id: string
  readonly clientId: string
  readonly effect: Effect
  readonly method: string
  readonly url: string
  readonly step: string
  readonly runId: string
  /** UTC, RFC 3339 */
  readonly begunAt: string
  readonly purpose: Purpose
  /** the status of an answer that does not say whether the change was made */
  readonly status: number | undefined
  /** wait: a process is at it · read: with the stored token · retry: the same call again · ask: Thredd must delete it */
  readonly way: 'wait' | 'read' | 'retry' | 'ask'
  /** what is known, in a sentence */
  readonly known: string
  /** the documented next step, in words */
  readonly next: string
}

export const intentSchema = z.looseObject({
  clientId: z.string(),
  id: z.string(),
  effect: z.enum(['register', 'update', 'delete']),
  method: z.string(),
  url: z.string(),
  step: z.string(),
  runId: z.string(),
  begunAt: z.iso.datetime(),
  /** what is meant to become of the client that a POST registers */
  purpose: z.optional(z.enum(['kept', 'temporary'])),
  /** raw, before anything looked at it */
  answer: z.optional(
    z.looseObject({
      keptAt: z.iso.datetime(),
      status: z.int(),
      body: z.string(),
      encoding: z.optional(z.literal('base64')),
    }),
  ),
  /** a later attempt that was refused */
  retried: z.optional(z.looseObject({ at: z.string(), status: z.int() })),
  /** nothing was sent */
  closed: z.optional(z.literal(true)),
})
export type StoredIntent = z.infer<typeof intentSchema>

export function withAnswer(
  intent: StoredIntent,
  answer: { readonly status: number; readonly body: string | Uint8Array },
  keptAt: string,
): StoredIntent {
  return { ...intent, answer: { keptAt, status: answer.status, ...rawBody(answer.body) } }
}

/** What an answer adds to its client's record: itself, or that the client is deleted; undefined where it adds nothing. */
export const entryOf = onceForEach(({ effect, runId, step, answer, purpose }: StoredIntent): Entry | undefined => {
  if (answer === undefined) return undefined
  const { keptAt, status, body, encoding } = answer
  const readable = readableBody(answer)
  // An answer that fails every check may be all that is left of a registration.
  if (!isSuccess(status)) return undefined
  if (effect === 'delete' && !isRegistrationAnswer({ status, body: readable }))
    return { kind: 'deleted', keptAt, runId, step }
  return {
    kind: 'answer',
    keptAt,
    runId,
    step,
    status,
    body,
    ...(encoding === undefined ? {} : { encoding }),
    ...(effect === 'register' && purpose !== undefined ? { purpose } : {}),
  }
})

/** The client that the answer says it is about, else the one the call was about. */
export function clientOf({ clientId, answer }: StoredIntent): string {
  return (answer && issuedBy(answer).clientId) ?? clientId
}

/** What an answer settles: done, refused (nothing was changed), or open (it does not say). */
export function outcomeOf({ effect, answer }: StoredIntent): 'done' | 'refused' | 'open' {
  if (answer === undefined) return 'open'
  const { status } = answer
  if (isSuccess(status)) {
    const { members, token, uri } = issuedBy(answer)
    if (effect === 'register') return token !== undefined && uri !== undefined ? 'done' : 'open'
    // An update without a token leaves the old one in force (RFC 7592 2.2); an unreadable one may hide a new token.
    return effect === 'delete' || members !== undefined ? 'done' : 'open'
  }
  // A gateway that gave up does not know what the server behind it did.
  return status >= 500 || status === 408 || status < 200 ? 'open' : 'refused'
}

export function openIntent(
  intent: StoredIntent,
  registration: Registration | undefined,
  inFlight: boolean,
): OpenIntent {
  const { id, clientId, effect, method, url, step, runId, begunAt, purpose = 'kept', answer, retried } = intent
  const live = registration?.deletedAt === undefined ? registration : undefined
  const readable = live?.registrationAccessToken !== undefined && live.registrationClientUri !== undefined
  const way = inFlight
    ? 'wait'
    : readable
      ? 'read'
      : effect === 'register' && answer === undefined && retried === undefined
        ? 'retry'
        : 'ask'
  const call = `${method} of step "${step}" in run ${runId} left at ${begunAt}`
  const came =
    answer === undefined
      ? 'no answer was kept'
      : isSuccess(answer.status)
        ? `the answer ${answer.status} holds no usable registration_access_token and registration_client_uri`
        : `the answer ${answer.status} does not say whether the change was made`
  const then = retried === undefined ? '' : `; a later attempt was refused with status ${retried.status}`
  return {
    id,
    clientId,
    effect,
    method,
    url,
    step,
    runId,
    begunAt,
    purpose,
    status: answer?.status,
    way,
    known: `${call}; ${came}${then}`,
    next: NEXT[way](clientId, effect),
  }
}

/** What is left when no stored token works (THREDD-DCR-3.3.3): only Thredd's staff can delete the client. */
export function askThredd(clientId: string): string {
  return `no usable token is left: ask Thredd to delete the client, quoting Client ID "${clientId}" (Thredd CA > Applications > Details); when Thredd confirms: thredd vault recover "${clientId}" --deleted-by-thredd, then register again`
}

const NEXT: Readonly<Record<OpenIntent['way'], (clientId: string, effect: Effect) => string>> = {
  wait: () => 'another process is at it; let it end',
  read: (clientId, effect) =>
    `read the client with the stored token: thredd vault recover "${clientId}" --online; ${
      effect === 'delete'
        ? 'if the token works, the client was not deleted'
        : 'if the token no longer works, ask Thredd to delete the client, quoting this Client ID'
    }`,
  retry: (clientId) =>
    `register again: where the first registration took place the server refuses the second, and then ask Thredd to delete the client, quoting Client ID "${clientId}"`,
  ask: askThredd,
}

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299
}
