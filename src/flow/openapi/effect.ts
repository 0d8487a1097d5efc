/** What a call does to a registration, by method and path, before anything is known of an answer. */
import type { Operation } from './description.ts'

/** What a call or a workflow does to the customer's one client, the lightest first. */
export const EFFECTS = ['read', 'register', 'update', 'delete'] as const
export type Effect = (typeof EFFECTS)[number]

export type Change = Exclude<Effect, 'read'>

/** RFC 7591 and RFC 7592 name no paths; these are the ones that servers have. */
const REGISTRATION = /\/(?:register|registrations?|dcr|clients?)(?:\/|$)/i
const CHANGE_OF: Readonly<Record<string, Change>> = {
  POST: 'register',
  PUT: 'update',
  PATCH: 'update',
  DELETE: 'delete',
}

export function effectOfOperation({ method, path }: Pick<Operation, 'method' | 'path'>): Effect {
  return (REGISTRATION.test(path) ? CHANGE_OF[method] : undefined) ?? 'read'
}

/** The heavier of two. */
export function heavier(one: Effect, other: Effect): Effect {
  return EFFECTS.indexOf(one) < EFFECTS.indexOf(other) ? other : one
}
