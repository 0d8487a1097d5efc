/** What the judges of single keywords share: the place they judge at, and what they may ask for. */
import type { Pattern } from '../expression/pattern.ts'
import type { Rule, SchemaNode } from './schema.ts'

/** undefined: not judged */
export type Answer = boolean | undefined

/** A place in the value; its pointer is written only where it is needed. */
export interface Spot {
  readonly value: unknown
  readonly above?: Spot | undefined
  readonly key?: string | number | undefined
  /** members and items that keywords have judged; undefined where no keyword asks for the others */
  readonly seen?: Set<string | number> | undefined
}

export interface Place {
  readonly spot: Spot
  /** a violation here decides nothing yet, as in one of several alternatives */
  readonly silent: boolean
}

/** One keyword at one place. */
export interface Application extends Place {
  readonly rule: Rule
  readonly node: SchemaNode
}

/** The judging of one value. */
export interface Judging {
  evaluate(node: SchemaNode, spot: Spot, silent: boolean): Answer
  /** Judges a member or an item. */
  below(place: Place, node: SchemaNode, key: string | number): Answer
  /** Judges the same value by another schema. What that has judged counts as judged unless it fails. */
  inPlace(place: Place, node: SchemaNode): Answer
  test(pattern: Pattern, text: string): Answer
  /** Lists a violation of the member at `key` below, or of the value itself. */
  refuse(place: Place, expected: string, more?: { readonly key?: string; readonly actual?: string }): false
  /** Notes why something is not judged. */
  open(reasons: readonly string[]): undefined
  /** Counts work that grows with the value. */
  spend(steps: number): void
}

export function describe(value: unknown, withType = false): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object') return 'an object'
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  // Never shortened: the redaction would not recognise half a secret.
  if (text.length > LONGEST_SHOWN) return `a ${typeof value} of ${text.length - 2} characters`
  return withType ? `${typeof value} ${text}` : text
}

/** Characters of a value that a check quotes; the record holds the whole answer. */
const LONGEST_SHOWN = 300
