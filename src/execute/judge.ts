/**
 * Judges an answer against its OpenAPI operation and compares requested with granted scopes. Pure: no effects, no order.
 * Owns the JSON Schema validator, which interprets schemas and generates no code.
 */
import { type Schema as DraftSchema, dereference, type OutputUnit, validate } from '@cfworker/json-schema'
import type { Step } from '../flow/index.ts'
import { documentedAnswer, type Operation, type Schema } from '../flow/openapi/description.ts'
import { mostSpecific } from '../flow/openapi/media-type.ts'
import type { CheckRecord, ScopeDifference } from '../record/index.ts'

/** An answer as the checks and expressions see it: JSON parsed, other text as text. */
export interface ParsedAnswer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** undefined for an empty body */
  readonly body: unknown
  /** the body claims to be JSON and is not */
  readonly malformed: boolean
}

export interface Violation {
  /** JSON Pointer to the member, "" for the root */
  readonly pointer: string
  readonly expected: string
  readonly actual: string
}

/** Status, content type and body against the documented answers; one record for each rule, one for each violated member. */
export function judgeAnswer(operation: Operation, answer: ParsedAnswer): CheckRecord[] {
  if (operation.description === undefined) return []
  const documented = documentedAnswer(operation, answer.status)
  const statuses = [...operation.responses.keys()].join(', ')
  const status = check(
    'status',
    'the status is a documented one',
    documented !== undefined,
    `one of ${statuses}`,
    String(answer.status),
  )
  if (documented === undefined) return [status]

  const type = mediaType(answer.headers)
  if (documented.size === 0) {
    // A description without content says nothing about a body, except where HTTP itself forbids one (RFC 9110 §15.3.5).
    if (answer.status !== 204) return [status]
    return [
      status,
      check('content-type', 'the answer has no body', answer.body === undefined, 'no body', type ?? 'a body'),
    ]
  }
  const key = type === undefined ? undefined : mostSpecific(documented.keys(), type)
  const match = key === undefined ? undefined : documented.get(key)
  const accepted = [...documented.keys()].join(' or ')
  const checks = [
    status,
    check('content-type', 'the content type is the documented one', match !== undefined, accepted, type ?? 'none'),
  ]
  if (match === undefined) return checks
  if (answer.malformed)
    return [
      ...checks,
      check('schema', 'the body is what its content type says', false, 'JSON', 'text that is not JSON'),
    ]

  const violations = violationsOf(match, answer.body ?? null, operation.description.document.data)
  if (violations.length === 0)
    return [...checks, check('schema', 'the body fits its schema', true, 'the documented schema', 'fits')]
  return [
    ...checks,
    ...violations.map(({ pointer, expected, actual }) =>
      check(
        pointer === '' ? 'schema' : `schema ${pointer}`,
        `${pointer === '' ? 'the body' : pointer} fits its schema`,
        false,
        expected,
        actual,
      ),
    ),
  ]
}

function check(id: string, title: string, holds: boolean, expected: string, actual: string): CheckRecord {
  return { id, status: holds ? 'pass' : 'fail', level: 'must', clauses: [], title, expected, actual }
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

/** Keywords whose error only repeats that something inside is wrong. */
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

/** What one branch of an anyOf misses says nothing: the alternative as a whole is the violation. */
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
  // Never cut: half a secret is not recognised as one.
  if (text.length > LONGEST_SHOWN) return `a ${typeof value} of ${text.length - 2} characters`
  return keyword === 'type' ? `${typeof value} ${text}` : text
}

/** Characters of a value that a check quotes; the whole answer stands beside it in the record. */
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

function mediaType(headers: readonly (readonly [string, string])[]): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
}

/** Whether a media type holds JSON (RFC 6839 §3.1). */
export function isJson(headers: readonly (readonly [string, string])[]): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(mediaType(headers) ?? '')
}

/**
 * Scopes asked for in a request body against those in the answer, from `scopes` (array) or `scope` (text).
 * Undefined unless both sides name scopes. Never a failure: the server may add and drop (RFC 7591 §3.2.1).
 */
export function compareScopes(request: unknown, response: unknown): ScopeDifference | undefined {
  const requested = scopesOf(request)
  const granted = scopesOf(response)
  if (requested === undefined || granted === undefined) return undefined
  return {
    requested,
    granted,
    missing: requested.filter((scope) => !granted.includes(scope)),
    unrequested: granted.filter((scope) => !requested.includes(scope)),
  }
}

/** A step with `expect: refused` holds on a TLS alert, a reset after the ClientHello, or a 4xx that gives nothing away. */
export function refusalCheck(refused: boolean, found: string, step: Step): CheckRecord {
  return {
    id: 'refused',
    status: refused ? 'pass' : 'fail',
    level: 'must',
    clauses: [...step.clauses],
    title: 'the server refuses',
    expected: 'a TLS alert, a closed connection, or a 4xx without a token or client_id',
    actual: found,
    at: step.at,
  }
}

export function scopeCheck({ requested, granted, missing, unrequested }: ScopeDifference): CheckRecord {
  const differences = [
    ...(missing.length > 0 ? [`not granted: ${missing.join(' ')}`] : []),
    ...(unrequested.length > 0 ? [`granted without being asked for: ${unrequested.join(' ')}`] : []),
  ]
  return {
    id: 'scopes',
    status: differences.length === 0 ? 'pass' : 'warn',
    level: 'policy',
    clauses: ['RFC7591-3.2.1'],
    title: 'the granted scopes are the requested ones',
    expected: `${requested.length} scopes: ${requested.join(' ')}`,
    actual: differences.length === 0 ? `the same ${granted.length}` : differences.join('; '),
  }
}

function scopesOf(body: unknown): string[] | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { scopes, scope } = body as { scopes?: unknown; scope?: unknown }
  if (Array.isArray(scopes)) return scopes.filter((item) => typeof item === 'string')
  return typeof scope === 'string' ? scope.split(' ').filter((item) => item !== '') : undefined
}
