/**
 * JSONPath (RFC 9535), limited so that no query and no answer can block a run. The only file that imports json-p3; refuses
 * the invalid queries that json-p3 accepts and those that it would evaluate for too long.
 * @see [RFC 9535](https://www.rfc-editor.org/rfc/rfc9535.html)
 */
import {
  FunctionExpressionType,
  JSONPathEnvironment,
  JSONPathError,
  type JSONPathNode,
  JSONPathNodeList,
  JSONPathQuery,
  type JSONValue,
  jsonpath,
  TokenKind,
} from 'json-p3'
import { nearest } from '../../record/errors.ts'
import { exactNumber } from '../../record/json.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { onceForEach } from '../../record/once.ts'
import { clip, ExpressionError, quote, tooLong } from './expression.ts'
import { MAX_WORK, type Pattern, parsePattern } from './pattern.ts'

const { FilterQuery, FunctionExtension, InfixExpression, NumberLiteral, PrefixExpression, RootQuery, StringLiteral } =
  jsonpath.expressions
const { FilterSelector } = jsonpath.selectors
type Filter = jsonpath.expressions.FilterExpression

/** UTF-16 units of a query. */
const MAX_PATH = FILE_LIMITS.jsonPathCharacters.value
/** Segments, selectors, brackets and operators of a query; limits every recursion over a query. */
const MAX_PARTS = FILE_LIMITS.jsonPathParts.value
/** Levels of arrays and objects in a value; limits every recursion over a value. */
const MAX_LEVELS = FILE_LIMITS.jsonPathLevels.value
/** A visit by ".." takes so many times as long as another. */
const DESCENT = 2
/** Nodes one query may visit: about half a second of work. */
const MAX_VISITS = FILE_LIMITS.jsonPathVisits.value

export interface JsonPath {
  /** instructions of the patterns in it */
  readonly size: number
  /** The values of the nodes it selects, in the order of the document. Throws ExpressionError at a limit. */
  readonly select: (value: unknown) => unknown[]
  /** The places of those nodes: member names and indexes from the root. Throws as `select` does. */
  readonly locate: (value: unknown) => (readonly string[])[]
  /** The fixed paths from the root that the query starts with, so that a report can show what is there. */
  readonly seen: (value: unknown) => readonly { readonly text: string; readonly value: unknown }[]
}

/** Parses a query and checks its types (RFC 9535 §2.4.3). Throws ExpressionError. */
export function parseJsonPath(text: string): JsonPath {
  checkParts(text)
  const environment = new JSONPathEnvironment({ maxRecursionDepth: MAX_LEVELS + 2 })
  const patterns = new Patterns(environment)
  const query = compile(environment, text)
  checkTypes(query, text, patterns)
  countVisits(query, ORDINARY)
  const starts = new Map(rootStarts(query).map((start) => [start.toString(), start]))
  const nodes = <T>(value: unknown, take: (node: JSONPathNode) => T): T[] => {
    countVisits(query, measure(value))
    patterns.work = 0
    try {
      return Array.from(query.lazyQuery(value as JSONValue), take)
    } catch (cause) {
      if (cause instanceof ExpressionError) throw cause
      throw new ExpressionError({ offset: 0, message: 'the value is too large for the JSONPath' }, cause)
    }
  }
  return {
    size: [...patterns.compiled.values()].reduce((sum, pattern) => sum + pattern.size, 0),
    select: (value) => nodes(value, (node) => node.value),
    locate: (value) => nodes(value, (node) => node.location.map(String)),
    seen: (value) =>
      Array.from(starts, ([path, start]) => ({ text: path, value: start.match(value as JSONValue)?.value })),
  }
}

/** Strings are matched to be skipped: what is in their quotes is no part of the query. */
const PART = /'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"|([[(!,.:]|&&|\|\||[=<>]+)/g

function checkParts(text: string): void {
  if (text.length > MAX_PATH) throw tooLong('JSONPath', text.length, MAX_PATH)
  const beyond = [...text.matchAll(PART)].filter((match) => match[1] !== undefined)[MAX_PARTS]
  if (beyond !== undefined) throw mistake(text, beyond.index, `at most ${MAX_PARTS} segments, brackets and operators`)
}

/** The functions match and search, with patterns that are compiled once and take linear time. */
class Patterns {
  readonly compiled = new Map<string, Pattern>()
  /** of all calls of one query together */
  work = 0

  constructor({ functionRegister }: JSONPathEnvironment) {
    const { ValueType, LogicalType } = FunctionExpressionType
    for (const name of ['match', 'search']) {
      const call = (subject: unknown, source: unknown): boolean => {
        if (typeof subject !== 'string') return false
        const pattern = this.compile(name, String(source))
        this.work += pattern.size * subject.length
        if (this.work > MAX_WORK) {
          throw new ExpressionError({ offset: 0, message: `${name}(…) takes too long on this value` })
        }
        return pattern.test(subject)
      }
      functionRegister.set(name, { argTypes: [ValueType, ValueType], returnType: LogicalType, call })
    }
  }

  compile(name: string, source: string): Pattern {
    const key = `${name} ${source}`
    const pattern = this.compiled.get(key) ?? parsePattern(source, { dialect: 'i-regexp', whole: name === 'match' })
    this.compiled.set(key, pattern)
    return pattern
  }
}

/** What the library takes although RFC 9535 §2.4.3 does not, as in `!@.a == 1` or `length(@.a) && @.b`; and patterns. */
function checkTypes(query: JSONPathQuery, text: string, patterns: Patterns): void {
  for (const filter of filtersOf(query)) {
    if (!isTest(filter)) throw mistake(text, filter.token.index, 'a comparison or a query')
    for (const each of withParts(filter)) {
      const takesTests = each instanceof PrefixExpression || (each instanceof InfixExpression && each.logical)
      const wrong = partsOf(each).find((part) =>
        takesTests ? !isTest(part) : part instanceof PrefixExpression || part instanceof InfixExpression,
      )
      if (wrong !== undefined) {
        throw mistake(
          text,
          wrong.token.index,
          takesTests ? 'a comparison or a query' : 'a query, a literal or a function',
        )
      }
      if (each instanceof NumberLiteral) makeExact(each, text)
      if (each instanceof InfixExpression) compareExactly(each)
      if (each instanceof FilterQuery) checkTypes(each.path, text, patterns)
      if (each instanceof FunctionExtension && isPattern(each)) checkPattern(each, patterns)
    }
  }
}

/** The library rounds the numbers of a query; those of a value are bigint beyond 2^53. */
function makeExact(literal: InstanceType<typeof NumberLiteral>, text: string): void {
  const value = exactNumber(literal.token.value)
  if (value === undefined) throw mistake(text, literal.token.index, 'a number that can be kept as it is written')
  Object.assign(literal, { value })
}

/** The library puts no bigint in order; it lists all members of two structures for each comparison, and takes lists for objects. */
function compareExactly(comparison: InstanceType<typeof InfixExpression>): void {
  const holds = ORDERS[comparison.operator]
  const sides = [comparison.left, comparison.right]
  const isEquality = /^[=!]=$/.test(comparison.operator) && sides.every((part) => part instanceof FilterQuery)
  if (holds === undefined && !isEquality) return
  const asBefore = comparison.evaluate.bind(comparison)
  const evaluate: typeof asBefore = (context) => {
    const [left, right] = sides.map((part): unknown => {
      const result: unknown = part.evaluate(context)
      return result instanceof JSONPathNodeList && result.nodes.length === 1 ? result.nodes[0]?.value : result
    })
    if (isEquality && isData(left) && isData(right)) return isSameData(left, right) === (comparison.operator === '==')
    const isBig = typeof left === 'bigint' || typeof right === 'bigint'
    return holds && isBig && isNumeric(left) && isNumeric(right) ? holds(left, right) : asBefore(context)
  }
  Object.assign(comparison, { evaluate })
}

/** An object or a list of a value. */
function isData(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof JSONPathNodeList)
}

/** Counted once for each value, since one may be compared with many. */
const membersOf = onceForEach((value: object) => Object.keys(value).length)

function isSameData(one: unknown, other: unknown): boolean {
  if (!isData(one) || !isData(other)) return one === other
  if (Array.isArray(one) !== Array.isArray(other) || membersOf(one) !== membersOf(other)) return false
  return Object.entries(one).every(
    ([name, member]) => Object.hasOwn(other, name) && isSameData(member, other[name as keyof typeof other]),
  )
}

type Numeric = number | bigint

const ORDERS: Readonly<Record<string, ((one: Numeric, other: Numeric) => boolean) | undefined>> = {
  '<': (one, other) => one < other,
  '>': (one, other) => one > other,
  '<=': (one, other) => one <= other,
  '>=': (one, other) => one >= other,
}

function isNumeric(value: unknown): value is Numeric {
  return typeof value === 'number' || typeof value === 'bigint'
}

function isTest(filter: Filter): boolean {
  const isCall = filter instanceof FunctionExtension && isPattern(filter)
  return isCall || [PrefixExpression, InfixExpression, FilterQuery].some((kind) => filter instanceof kind)
}

function isPattern({ name }: { readonly name: string }): boolean {
  return name === 'match' || name === 'search'
}

function checkPattern({ name, args: [, pattern], token }: InstanceType<typeof FunctionExtension>, patterns: Patterns) {
  if (!(pattern instanceof StringLiteral)) {
    // RFC 9535 lets a pattern come from the value; but a pattern from an answer can be slow, or silently wrong.
    const message = `the pattern of ${name}(…) is not written out`
    const offset = pattern?.token.index ?? token.index
    throw new ExpressionError({ offset, message, unsupported: true, expected: 'a string in quotes' })
  }
  try {
    patterns.compile(name, pattern.value)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    throw new ExpressionError({ ...error, message: error.message, offset: pattern.token.index + error.offset })
  }
}

interface Measure {
  /** nodes of a value */
  readonly size: number
  readonly levels: number
}

/** A query that is too slow on a body like this is refused when the flow is read. */
const ORDINARY: Measure = { size: 1_000, levels: 10 }

function measure(value: unknown): Measure {
  let size = 0
  let levels = 0
  for (let nodes = [value]; nodes.length > 0; nodes = nodes.flatMap(childrenOf)) {
    size += nodes.length
    if (++levels > MAX_LEVELS) {
      const message = 'the value is nested too deep for a JSONPath'
      throw new ExpressionError({ offset: 0, message, expected: `at most ${MAX_LEVELS} levels` })
    }
  }
  return { size, levels }
}

function childrenOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

/**
 * Bounds the visits from above. A segment visits each node of the value at most once for each copy in its input, and
 * only several selectors or ".." make copies. What filters ask of "@" lies in disjoint parts of the value and adds up
 * to one more pass; what they ask of "$" is asked again for each node, and costs a pass each time unless it is names
 * and indexes beside something else. So queries are linear but for ".." in a row, and "$" with a filter in a filter:
 * those work where the value is small.
 */
function countVisits(query: JSONPathQuery, measured: Measure): number {
  const { size, levels } = measured
  let copies = 1
  let visits = 0
  const visitsOf = (part: Filter): number => {
    if (part instanceof InfixExpression && part.left instanceof RootQuery && part.right instanceof RootQuery) {
      return size * size
    }
    if (!(part instanceof FilterQuery) || part.path.singularQuery()) return size
    return countVisits(part.path, measured) * (part instanceof RootQuery ? size : 1)
  }
  for (const { selectors, token } of query.segments) {
    copies *= selectors.length * (token.kind === TokenKind.DDOT ? levels : 1)
    const parts = selectors.flatMap(filterOf).flatMap(withParts)
    const slower = token.kind === TokenKind.DDOT ? DESCENT : 1
    visits += slower * copies * parts.reduce((sum, part) => sum + visitsOf(part), size)
    if (visits > MAX_VISITS) throw tooSlow(token.index, size)
  }
  return visits
}

/** The longest starts of names and indexes, of the queries from "$" in its filters or else of the query itself. */
function rootStarts(query: JSONPathQuery): JSONPathQuery[] {
  const inside = filtersOf(query).flatMap(withParts)
  const found = inside.flatMap((part) => (part instanceof RootQuery ? rootStarts(part.path) : []))
  if (found.length > 0) return found
  const starts = query.segments.map(
    (_, index) => new JSONPathQuery(query.environment, query.segments.slice(0, index + 1)),
  )
  return starts.filter((start) => start.singularQuery()).slice(-1)
}

function filtersOf(query: JSONPathQuery): Filter[] {
  return query.segments.flatMap((segment) => segment.selectors.flatMap(filterOf))
}

function filterOf(selector: jsonpath.selectors.JSONPathSelector): Filter[] {
  return selector instanceof FilterSelector ? [selector.expression.expression] : []
}

function withParts(filter: Filter): Filter[] {
  return [filter, ...partsOf(filter).flatMap(withParts)]
}

function partsOf(filter: Filter): Filter[] {
  if (filter instanceof PrefixExpression) return [filter.right]
  if (filter instanceof InfixExpression) return [filter.left, filter.right]
  return filter instanceof FunctionExtension ? filter.args : []
}

function compile(environment: JSONPathEnvironment, text: string): JSONPathQuery {
  try {
    return environment.compile(text)
  } catch (error) {
    if (!(error instanceof JSONPathError)) throw error
    const offset = error.token.index
    if (/^unexpected (?:filter|')/.test(error.message)) throw oddWord(text, offset)
    const expected = EXPECTED.find(([form]) => form.test(error.message))?.[1] ?? 'the syntax of RFC 9535'
    const near = /^no such/.test(error.message) && nearest(error.token.value, environment.functionRegister.keys())
    const hint = near ? `did you mean "${near}"?` : comparisonHint(text, offset)
    throw mistake(text, offset, offset === 0 ? '"$", the root' : expected, hint)
  }
}

/** The correction to suggest, by the error message of the library. */
const EXPECTED: readonly (readonly [RegExp, string])[] = [
  [/^expected '\.'|^unexpected token 'TOKEN_ERROR/, 'a segment or the end'],
  [/^can't backup|^bald|^unexpected (?:descend|shorthand|whitespace)/, 'a member name or "*"'],
  [/^unexpected token|^empty bracketed/, 'a quoted name, an index, a slice, "*" or a filter "?"'],
  [/^unclosed bracketed|^expected token|trailing comma/, '"," or "]"'],
  [/^leading zero|^index out/, 'an integer without leading zero, at most 2^53-1'],
  [/^unclosed string/, 'a quote at the end of the string'],
  [/escape|surrogate|codepoint|^invalid character/, 'an escape as in JSON strings'],
  [/^invalid number|^a fractional/, 'a number as in JSON, and between 0 and 1 with an exponent: 5e-1'],
  [/^unbalanced/, '"(" and ")" in pairs'],
  [/^no such/, 'a function of RFC 9535: length, count, value, match or search'],
  [/takes 2/, 'two arguments: a value and a pattern'],
  [/takes 1/, 'one argument'],
  [/NodesType/, 'a query as argument'],
  [/ValueType|^non-singular/, 'a query for a single node (names and indexes only)'],
  [/is not comparable/, 'a test on its own, which is not compared'],
  [/must be compared/, 'a comparison or a query'],
  [/end of expression/, 'a query, a literal or a function'],
]

const WORDS: Readonly<Record<string, string>> = {
  and: '"and" is written "&&"',
  '&': '"and" is written "&&"',
  or: '"or" is written "||"',
  '|': '"or" is written "||"',
  not: '"not" is written "!"',
  '=': 'equality is written "=="',
}

/** Inside a filter the library stops at a character, or after a word; the author meant the word. */
function oddWord(text: string, offset: number): ExpressionError {
  const start = offset - (/[\w-]*$/.exec(text.slice(0, offset))?.[0].length ?? 0)
  const word = /^(?:[\w-]+|[\s\S]?)/.exec(text.slice(start))?.[0] ?? ''
  const quoted = /\w/.test(word) ? `a string needs quotes: '${clip(word)}'` : undefined
  const hint = Object.hasOwn(WORDS, word) ? WORDS[word] : quoted
  return mistake(text, start, 'a query, a literal, a function or an operator', hint, word)
}

/** What a comparison outside a filter was meant to say; `!= null` also holds where nothing is, so existence is meant. */
function comparisonHint(text: string, offset: number): string | undefined {
  const rest = text.slice(offset)
  const path = clip(text.slice(0, offset).trim())
  if (/^!=\s*null\s*$/.test(rest)) return `a query holds where it finds something: ${path}`
  return /^(?:[=!]=|[<>]=?)/.test(rest) ? `a comparison stands in a filter: $[?${clip(text)}]` : undefined
}

function mistake(text: string, offset: number, expected: string, hint?: string, found?: string): ExpressionError {
  const message = `"${clip(text)}" is not a JSONPath of RFC 9535`
  return new ExpressionError({ message, offset, expected, found: quote(found ?? text.slice(offset, offset + 1)), hint })
}

function tooSlow(offset: number, size: number): ExpressionError {
  const message = `the JSONPath takes too long on a value of ${size} nodes`
  return new ExpressionError({
    offset,
    message,
    hint: 'name the members on the way instead of ".." and nested filters',
  })
}
