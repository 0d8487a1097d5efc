/** What a call does to the OAuth client of an application, the lightest first; plan/effect.ts says it of a call. */
export const EFFECTS = ['none', 'read', 'other', 'register', 'update', 'delete'] as const
/**
 * none: nothing of a client · read: reads its registration · other: may change something, and nothing says that it does not ·
 * register, update, delete: POST, PUT and DELETE of RFC 7591 and RFC 7592
 */
export type Effect = (typeof EFFECTS)[number]

/** What a workflow can say of itself, the lightest first. */
export const DECLARED_EFFECTS = ['read', 'register', 'update', 'delete'] as const
export type DeclaredEffect = (typeof DECLARED_EFFECTS)[number]

/** What a whole workflow comes to: one that reads no registration either is said to read. */
export type WorkflowEffect = Exclude<Effect, 'none'>

export type Change = Exclude<DeclaredEffect, 'read'>

/** A call of the run that changed a registration, or may have. */
export interface ChangeMade {
  readonly change: Change
  readonly outcome: 'done' | 'unknown'
  readonly clientId: string
  /** UTC, RFC 3339, with seconds */
  readonly at: string
  /** of the client before the call, as the vault had it; undefined: the vault held none */
  readonly scopesBefore: readonly string[] | undefined
  /** in the answer */
  readonly scopesAfter: readonly string[] | undefined
}

export function isChange(effect: Effect | undefined): effect is Change {
  return effect === 'register' || effect === 'update' || effect === 'delete'
}

export function isStronger(one: Effect, other: Effect): boolean {
  return EFFECTS.indexOf(one) > EFFECTS.indexOf(other)
}

export function strongest(effects: Iterable<Effect>): Effect {
  return [...effects].reduce((one, other) => (isStronger(other, one) ? other : one), 'none')
}
