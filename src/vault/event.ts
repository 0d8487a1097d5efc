/** What a line of the log says. Times are UTC, RFC 3339. */
import { z } from '../record/shape.ts'
import type { Fault } from './log.ts'

export const VAULT_VERSION = 4

const [time, text] = [z.iso.datetime(), z.string()]
const maybe = z.optional(text)
const effect = z.enum(['register', 'update', 'delete'])
const purpose = z.optional(z.enum(['kept', 'temporary']))
/** ids of the calls that this event says have ended */
const settles = z.optional(z.array(text))
/** what the environment named when it was written, where the server may have named it otherwise */
const about = { askedAs: maybe, softwareId: maybe }
/** x5t#S256 of the certificate that the call presented (RFC 8705 §3.1), "none" where it presented none; absent: not known */
const thumbprint = maybe

const vault = z.looseObject({ kind: z.literal('vault'), at: time, vaultVersion: z.int(), id: text, environment: text })

const call = z.looseObject({
  ...{ kind: z.literal('call'), at: time, id: text, ...about, thumbprint },
  /** as far as it is known: the client that the call is about, else the one that the environment names */
  clientId: text,
  ...{ effect, method: text, url: text, runId: text, step: text },
  /** what is meant to become of a client that is registered */
  purpose,
  /** who is at it, as long as that lock is held */
  writer: text,
})

const answer = z.looseObject({
  ...{ kind: z.literal('answer'), at: time, runId: text, step: text, status: z.int(), ...about, thumbprint },
  /** raw: nothing was parsed or decoded; in base64 where the bytes are no UTF-8 text */
  body: text,
  encoding: z.optional(z.literal('base64')),
  /** Content-Encoding, as it came */
  coding: maybe,
  /** the body is a whole message that no HTTP parser took: how many bytes stand before its own body, and whether that is in chunks */
  message: z.optional(z.looseObject({ bodyAt: z.int(), isChunked: z.boolean() })),
  /** used where the body names none */
  clientId: text,
  /** of an answer to a call that was written down: all that is needed where the call itself is gone */
  ...{ call: maybe, effect: z.optional(effect), purpose, writer: maybe },
  settles,
  /** from variables that a person kept: what the vault knows of tokens comes before it */
  imported: z.optional(z.literal(true)),
})

/** A call is over, and there is no answer. */
const ended = z.looseObject({ kind: z.literal('ended'), at: time, call: text, how: z.enum(['not-sent', 'unanswered']) })

const done = { at: time, clientId: text, runId: maybe, step: maybe, settles }
const worked = z.looseObject({ kind: z.literal('worked'), token: text, thumbprint, ...done })
const deleted = z.looseObject({ kind: z.literal('deleted'), ...done })

/** An API access token together with what it is for, so that it cannot be taken for another; `asked` is the scope. */
const token = z.looseObject({
  ...{ kind: z.literal('token'), at: time, clientId: text, server: maybe, asked: maybe, thumbprint: text },
  ...{ accessToken: text, receivedAt: time, expiresAt: time, scope: maybe },
})

/** What an export holds of a client, and an import takes in. */
export const clientEventSchema = z.discriminatedUnion('kind', [answer, worked, deleted])
const SCHEMAS = [vault, call, answer, ended, worked, deleted, token] as const

export type Event = z.infer<(typeof SCHEMAS)[number]>
export type ClientEvent = z.infer<typeof clientEventSchema>
export type CallEvent = z.infer<typeof call>
export type AnswerEvent = z.infer<typeof answer>
export type TokenEvent = z.infer<typeof token>

/** The members that are texts, by kind. Only a holder of the key can have written the line, so no more is checked. */
const TEXTS = new Map(
  SCHEMAS.map(({ shape }) => [
    shape.kind.def.values[0] as string,
    Object.entries(shape).flatMap(([name, { def }]) => (def.type === 'string' ? [name] : [])),
  ]),
)

/** Why a line that opens with the key cannot be taken as an event. */
export function faultIn(value: unknown): Fault | undefined {
  const event = Object(value) as Readonly<Record<string, unknown>>
  const { vaultVersion = VAULT_VERSION } = event
  if (vaultVersion !== VAULT_VERSION) return otherVersion(vaultVersion)
  if (TEXTS.get(String(event.kind))?.every((name) => typeof event[name] === 'string')) return undefined
  return { is: 'opens with this key but is no line of this tool', rest: {} }
}

export function otherVersion(version: unknown): Fault {
  const isNewer = typeof version === 'number' && version > VAULT_VERSION
  return {
    is: `was written by ${isNewer ? 'a newer' : 'an older'} version of this tool${isNewer ? '' : ', whose format is no longer read'}`,
    rest: {
      expected: `format ${VAULT_VERSION}`,
      found: `format ${version}`,
      hint: isNewer ? 'update the tool; the vault is left as it is' : 'read it with that version; it is left as it is',
    },
  }
}

export function inWords(faults: readonly { readonly path: string; readonly message: string }[]): string {
  return faults.map(({ path, message }) => `${path}: ${message}`).join('; ')
}

/** Of one log no two have the same time; of two logs some may, and then their content decides, whichever is merged into the other. */
export function byTime(a: Event, b: Event): number {
  if (a.at !== b.at) return a.at < b.at ? -1 : 1
  const [one, other] = [a, b].map(inOrder) as [string, string]
  return one < other ? -1 : one > other ? 1 : 0
}

/** The same for events that are the same, whatever the order of their members. */
export function inOrder(event: Event): string {
  return JSON.stringify(Object.fromEntries(Object.entries(event).sort()))
}
