/** Checks a value against a JSON Schema of a description or an input. The validator generates no code. */
import { type Schema as DraftSchema, dereference, type OutputUnit, validate } from '@cfworker/json-schema'
import type { Schema } from './description.ts'

export interface Violation {
  /** JSON Pointer to the member, "" for the root */
  readonly pointer: string
  readonly expected: string
  readonly actual: string
}

/** Validates `value`; `root` is the document that `#/…` references of the schema point into. Innermost violations only. */
export function violationsOf(schema: Schema, value: unknown, root: unknown): readonly Violation[] {
  const lookup = lookupOf(root)
  // A schema from elsewhere (a workflow's inputs) is not part of the root and is resolved on its own.
  const own =
    typeof schema === 'object' && !('__absolute_uri__' in schema) ? dereference(schema as DraftSchema) : lookup
  const { errors } = validate(value, schema as DraftSchema, '2020-12', own, false)
  const leaves = errors.filter((error) => !WRAPPERS.has(error.keyword) && !isInsideAlternative(error, errors))
  const seen = new Map<string, Violation>()
  for (const error of leaves) {
    const violation = violationFrom(error, schema, value, root)
    if (!seen.has(violation.pointer)) seen.set(violation.pointer, violation)
  }
  return [...seen.values()]
}

const lookups = new WeakMap<object, ReturnType<typeof dereference>>()

/** Indexing a description costs more than validating with it, so it is done once for each document. */
function lookupOf(root: unknown): ReturnType<typeof dereference> {
  if (typeof root !== 'object' || root === null) return {}
  const known = lookups.get(root)
  if (known !== undefined) return known
  const lookup = dereference(root as DraftSchema)
  lookups.set(root, lookup)
  return lookup
}

/** Keywords whose error only repeats an error found deeper in the value. */
const WRAPPERS = new Set([
  'properties',
  'patternProperties',
  'additionalProperties',
  'items',
  'prefixItems',
  '$ref',
  'allOf',
  'if',
])
const ALTERNATIVES = new Set(['anyOf', 'oneOf'])

/** The errors of one branch of an anyOf are left out: the violation is that no branch matched. */
function isInsideAlternative(error: OutputUnit, errors: readonly OutputUnit[]): boolean {
  return errors.some(
    (other) =>
      ALTERNATIVES.has(other.keyword) &&
      error !== other &&
      error.keywordLocation.startsWith(`${other.keywordLocation}/`),
  )
}

function violationFrom(error: OutputUnit, schema: Schema, value: unknown, root: unknown): Violation {
  const pointer = decodeURIComponent(error.instanceLocation.replace(/^#/, ''))
  const rule = at(schema, error.keywordLocation, root)
  const actual = at(value, error.instanceLocation)
  if (error.keyword === 'required' || error.keyword === 'dependentRequired') {
    const name = /does not have (?:required property )?"(.*)"\.$/.exec(error.error)?.[1] ?? ''
    return { pointer: `${pointer}/${escapeToken(name)}`, expected: 'the member to be there', actual: 'absent' }
  }
  return { pointer, expected: expectation(error.keyword, rule), actual: describe(actual, error.keyword) }
}

function expectation(keyword: string, rule: unknown): string {
  const text = JSON.stringify(rule)
  const words: Readonly<Record<string, string>> = {
    type: Array.isArray(rule) ? rule.join(' or ') : String(rule),
    enum: `one of ${Array.isArray(rule) ? rule.map((item) => JSON.stringify(item)).join(', ') : text}`,
    const: String(text),
    pattern: `text that matches ${String(rule)}`,
    format: `a ${String(rule)}`,
    minLength: `at least ${String(rule)} characters`,
    minimum: `at least ${String(rule)}`,
    maximum: `at most ${String(rule)}`,
    minItems: `at least ${String(rule)} items`,
  }
  return words[keyword] ?? `${keyword} ${text ?? ''}`.trim()
}

function describe(value: unknown, keyword: string): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object') return 'an object'
  const text = JSON.stringify(value)
  // Never shortened: the redaction would not recognise half a secret.
  if (text.length > LONGEST_SHOWN) return `a ${typeof value} of ${text.length - 2} characters`
  return keyword === 'type' ? `${typeof value} ${text}` : text
}

/** Characters of a value that a check quotes; the record holds the whole answer. */
const LONGEST_SHOWN = 300

/** Walks a JSON Pointer fragment; where a keyword location passes through `$ref`, the walk goes on at its target. */
function at(start: unknown, location: string, root?: unknown): unknown {
  let node = start
  for (const raw of location.replace(/^#\/?/, '').split('/')) {
    if (raw === '') continue
    const token = decodeURIComponent(raw).replaceAll('~1', '/').replaceAll('~0', '~')
    const next = (node as Record<string, unknown> | undefined)?.[token]
    node = token === '$ref' && typeof next === 'string' ? at(root, next) : next
  }
  return node
}

function escapeToken(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
