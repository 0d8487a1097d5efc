/**
 * Criterion Objects: parses each kind of condition when the flow is read, and judges it against an exchange.
 * A condition that cannot be evaluated fails and says why; it never passes.
 * @see [Arazzo 1.1 Criterion Object](https://spec.openapis.org/arazzo/v1.1.0.html#criterion-object)
 */
import { shortJson } from '../../record/json.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { dereference, evaluateSimple, exactly, kindOf, parseSimple, type SimpleNode } from './condition.ts'
import {
  asText,
  type Context,
  type Expression,
  ExpressionError,
  evaluate,
  parseEmbedded,
  parseExpression,
  parsePointer,
  resolvePointer,
  tooLong,
} from './expression.ts'
import { type JsonPath, parseJsonPath } from './jsonpath.ts'
import { type Pattern, parsePattern } from './pattern.ts'
import { type ExpressionType, selectorKind, within } from './selector.ts'
import { type Terms, termsOfPath, termsOfPattern, termsOfSimple } from './terms.ts'

/** UTF-16 units of a condition as written. */
const MAX_CONDITION = FILE_LIMITS.conditionCharacters.value
/** A longer value is described in a report, not shown. Never shortened: the redaction would not recognise half a secret. */
const MAX_SHOWN = 2_000

export interface ConditionSource {
  readonly condition: string
  readonly type?: ExpressionType | undefined
  readonly context?: string | undefined
}

export type Condition = {
  readonly text: string
  readonly references: readonly Expression[]
  /** instructions of its patterns */
  readonly size: number
} & (
  | { readonly kind: 'simple'; readonly root: SimpleNode }
  | {
      readonly kind: 'regex'
      readonly context: Expression
      readonly parts: readonly (string | Expression)[]
      /** present where nothing is embedded */
      readonly pattern: Pattern | undefined
    }
  | {
      readonly kind: 'jsonpath'
      readonly context: Expression
      readonly parts: readonly PathPart[]
      /** the query, with embedded values left empty; absent where one of them is outside quotes */
      readonly path: JsonPath | undefined
    }
  | { readonly kind: 'jsonpointer'; readonly context: Expression; readonly pointer: readonly string[] }
)

/** A piece of a JSONPath, or an embedded expression with the quotes around it. */
type PathPart = string | { readonly expression: Expression; readonly quotes: '"' | "'" | undefined }

export interface Verdict {
  readonly pass: boolean
  /** sentences for a report; they may hold secrets until they are redacted */
  readonly expected: string
  readonly actual: string
  /** why the condition could not be evaluated; not repeated in `actual` */
  readonly error?: string
}

/** Parses a Criterion Object. Throws ExpressionError, whose `field` is the member with the mistake. */
export function parseCondition(source: ConditionSource): Condition {
  const text = source.condition
  const kind = within('type', () => selectorKind(source.type ?? 'simple', ['simple', 'regex', 'jsonpath', 'xpath']))
  const context =
    source.context === undefined ? undefined : within('context', () => parseExpression(source.context ?? ''))
  if (context === undefined && source.type !== undefined) {
    throw new ExpressionError({
      message: `a criterion with type "${kind}" needs a context`,
      offset: 0,
      expected: '"context", a runtime expression such as $response.body',
      found: 'no context',
      field: 'type',
      hint: kind === 'simple' ? 'simple is the default: leave out the type' : undefined,
    })
  }
  return within('condition', () => {
    if (text.length > MAX_CONDITION) throw tooLong('condition', text.length, MAX_CONDITION)
    if (context === undefined || kind === 'simple') {
      return { kind: 'simple', text, size: 0, ...(context === undefined ? parseSimple(text) : simpleDespite(text)) }
    }
    if (kind === 'jsonpointer')
      return { kind, text, size: 0, context, references: [context], pointer: parsePointer(text) }
    const embedded = parseEmbedded(text)
    const references = [context, ...embedded.filter((part) => typeof part !== 'string')]
    if (kind === 'jsonpath') {
      const parts = quotesAround(embedded)
      const path = checkedPath(parts)
      return { kind, text, size: path?.size ?? 0, context, references, parts, path }
    }
    const pattern = references.length === 1 ? parsePattern(text) : undefined
    return { kind: 'regex', text, size: pattern?.size ?? 0, context, references, parts: embedded, pattern }
  })
}

/** The condition made exact, so that case and type must match too; undefined where it is not a simple `==` alone. */
export function exactCondition(condition: Condition): Condition | undefined {
  const root = condition.kind === 'simple' ? exactly(condition.root) : undefined
  return root && { ...condition, kind: 'simple', root }
}

/** A simple condition reads no context; one that cannot be parsed and has one was meant as another flavour. */
function simpleDespite(text: string): ReturnType<typeof parseSimple> {
  try {
    return parseSimple(text)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const hint = error.hint ?? 'a condition on a context has a type: regex or jsonpath'
    throw new ExpressionError({ ...error, message: error.message, hint })
  }
}

/** Judges a condition. Never throws for what the exchange holds. */
export function judge(condition: Condition, context: Context): Verdict {
  const readings = new Readings(context)
  const expected = expectation(condition)
  try {
    const { pass, actual } = JUDGES[condition.kind](condition as never, readings)
    return { pass, expected, actual }
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const seen = condition.kind === 'simple' ? operandSentences(condition.root, readings) : readings.sentences()
    const actual = [...new Set(seen)].filter((each) => each !== error.message)
    return { pass: false, expected, actual: actual.join(', ') || 'it cannot be evaluated', error: error.message }
  }
}

/** Values by expression, each read once: reading a minted input twice would make two of them. */
class Readings {
  readonly context: Context
  readonly values = new Map<string, unknown>()

  constructor(context: Context) {
    this.context = context
  }

  read = (expression: Expression): unknown => {
    if (!this.values.has(expression.text)) this.values.set(expression.text, evaluate(expression, this.context))
    return this.values.get(expression.text)
  }

  /** The value of an embedded expression; without one the condition cannot be evaluated. */
  embed(expression: Expression): unknown {
    const value = this.read(expression)
    if (value !== undefined) return value
    throw new ExpressionError({ message: sentence(expression.text, value), offset: expression.offset })
  }

  sentences(): string[] {
    return [...this.values].map(([text, value]) => sentence(text, value))
  }
}

/** What a condition asks in the words of the answer, where it is about one member of it. The values are not redacted. */
export function termsOf(condition: Condition, context: Context): Terms | undefined {
  try {
    return termsFrom(condition, new Readings(context))
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return undefined
  }
}

function termsFrom(condition: Condition, readings: Readings): Terms | undefined {
  switch (condition.kind) {
    case 'simple':
      return termsOfSimple(condition.root, readings.read)
    case 'regex':
      return termsOfPattern(condition.context, textOf(condition.parts, readings), readings.read(condition.context))
    case 'jsonpath':
      return termsOfPath(condition.context, pathOf(condition.parts, readings), readings.read(condition.context))
    case 'jsonpointer':
      return undefined
    default:
      return condition satisfies never
  }
}

type Of<Kind extends Condition['kind']> = Extract<Condition, { kind: Kind }>
type Judge<Kind extends Condition['kind']> = (
  condition: Of<Kind>,
  readings: Readings,
) => { readonly pass: boolean; readonly actual: string }

const JUDGES: { readonly [Kind in Condition['kind']]: Judge<Kind> } = {
  simple(condition, readings) {
    const result = evaluateSimple(condition.root, readings.read)
    const actual = [...new Set(operandSentences(condition.root, readings))].join(', ') || `it is ${show(result)}`
    if (typeof result === 'boolean' || result === null) return { pass: result === true, actual }
    const message = result === undefined ? actual : `the condition is ${kindOf(result)}, not true or false`
    throw new ExpressionError({ message, offset: 0 })
  },

  regex(condition, readings) {
    const value = readings.read(condition.context)
    if (value === undefined || value === null) return { pass: false, actual: readings.sentences().join(', ') }
    const pattern = condition.pattern ?? resolvedPattern(condition.parts, readings)
    const pass = pattern.test(asText(value))
    return { pass, actual: readings.sentences().join(', ') }
  },

  jsonpath(condition, readings) {
    const value = readings.read(condition.context)
    if (value === undefined || value === null) return { pass: false, actual: readings.sentences().join(', ') }
    const hasEmbedded = condition.references.length > 1
    const path = hasEmbedded || condition.path === undefined ? resolvedPath(condition.parts, readings) : condition.path
    const { length } = path.select(value)
    const parts = path.seen(value).map((each) => sentence(each.text, each.value))
    const seen = parts.length > 0 ? parts : [sentence(condition.context.text, value)]
    const embedded = condition.references.slice(1).map((each) => sentence(each.text, readings.read(each)))
    const selected = length === 0 ? 'it selects nothing' : `it selects ${length} ${length === 1 ? 'node' : 'nodes'}`
    return { pass: length > 0, actual: `${selected}: ${[...new Set([...seen, ...embedded])].join(', ')}` }
  },

  /** Arazzo does not say when a pointer passes; as with JSONPath, it passes when there is a node. */
  jsonpointer(condition, readings) {
    const value = resolvePointer(readings.read(condition.context), condition.pointer)
    return { pass: value !== undefined, actual: sentence(`${condition.context.text}#${condition.text}`, value) }
  },
}

function expectation(condition: Condition): string {
  switch (condition.kind) {
    case 'simple':
      return isExact(condition.root) ? `${condition.text}, in case and type too` : condition.text
    case 'regex':
      return `${condition.context.text} matches ${condition.text}`
    case 'jsonpath':
      return `${condition.text} selects a node of ${condition.context.text}`
    case 'jsonpointer':
      return `${condition.context.text}#${condition.text} has a value`
    default:
      return condition satisfies never
  }
}

function isExact(root: SimpleNode): boolean {
  return root.kind === 'compare' && root.exact === true
}

/** What the condition read, in its order; operands that were not reached are left out. */
function operandSentences(node: SimpleNode, readings: Readings): string[] {
  switch (node.kind) {
    case 'literal':
      return []
    case 'value': {
      const { text } = node.expression
      return readings.values.has(text) ? [sentence(node.text, dereference(node, readings.values.get(text)))] : []
    }
    case 'not':
      return operandSentences(node.operand, readings)
    case 'and':
    case 'or':
      return node.operands.flatMap((operand) => operandSentences(operand, readings))
    case 'compare':
      return [node.left, node.right].flatMap((operand) => operandSentences(operand, readings))
    default:
      return node satisfies never
  }
}

function sentence(text: string, value: unknown): string {
  return value === undefined ? `${text} has no value` : `${text} is ${show(value)}`
}

function show(value: unknown): string {
  if (typeof value === 'string') {
    return value.length <= MAX_SHOWN ? `'${value}'` : `a string of ${value.length} characters`
  }
  if (Array.isArray(value)) return shortJson(value, MAX_SHOWN) ?? `an array of ${value.length}`
  if (typeof value !== 'object' || value === null) return String(value)
  const names = Object.keys(value)
  return (
    shortJson(value, MAX_SHOWN) ??
    (names.length > 40 ? `an object of ${names.length} members` : `an object of ${names.join(', ')}`)
  )
}

/** Finds the quotes around each embedded expression; a value must not end the string around it. */
function quotesAround(parts: readonly (string | Expression)[]): PathPart[] {
  let quotes: '"' | "'" | undefined
  let escaped = false
  return parts.map((part) => {
    if (typeof part !== 'string') {
      if (!escaped) return { expression: part, quotes }
      const message = 'an embedded expression cannot follow a backslash'
      throw new ExpressionError({ message, offset: part.offset - 1 })
    }
    for (const character of part) {
      if (escaped) escaped = false
      else if (quotes !== undefined && character === '\\') escaped = true
      else if (character === quotes) quotes = undefined
      else if (quotes === undefined && (character === '"' || character === "'")) quotes = character
    }
    return part
  })
}

/** Parses what can be parsed before there are values; a mistake is mapped back to the text as written. */
function checkedPath(parts: readonly PathPart[]): JsonPath | undefined {
  if (parts.some((part) => typeof part !== 'string' && part.quotes === undefined)) return undefined
  try {
    return parseJsonPath(parts.map((part) => (typeof part === 'string' ? part : '')).join(''))
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    let shift = 0
    let position = 0
    for (const part of parts) {
      if (typeof part === 'string') position += part.length
      else if (position < error.offset) shift += part.expression.text.length + 2
    }
    throw new ExpressionError({ ...error, message: error.message, offset: error.offset + shift })
  }
}

/**
 * The query with its values. Arazzo substitutes a value as it is; here one inside a quoted string is escaped,
 * and one outside may only be a number, a literal or a name: a server's answer must not rewrite the check on it.
 */
function resolvedPath(parts: readonly PathPart[], readings: Readings): JsonPath {
  const text = pathOf(parts, readings)
  return filled('a JSONPath', () => parseJsonPath(text))
}

function pathOf(parts: readonly PathPart[], readings: Readings): string {
  return parts.map((part) => (typeof part === 'string' ? part : pathText(part, readings))).join('')
}

/** Arazzo puts a value into the pattern as it is, so that patterns can be inputs. */
function resolvedPattern(parts: readonly (string | Expression)[], readings: Readings): Pattern {
  const text = textOf(parts, readings)
  return filled('a regular expression', () => parsePattern(text))
}

function textOf(parts: readonly (string | Expression)[], readings: Readings): string {
  return parts.map((part) => (typeof part === 'string' ? part : asText(readings.embed(part)))).join('')
}

/** Parses a condition with its values in place. The error must not quote them: they may be secret. */
function filled<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const reason = error.expected === undefined ? error.message : `expected ${error.expected}`
    throw new ExpressionError({ message: `with its values the condition is not ${what}: ${reason}`, offset: 0 })
  }
}

function pathText({ expression, quotes }: Exclude<PathPart, string>, readings: Readings): string {
  const text = asText(readings.embed(expression))
  if (quotes !== undefined) {
    return text.replace(/["'\\]|[^ -\u{10ffff}]/gu, (character) => {
      if (character < ' ') return JSON.stringify(character).slice(1, -1)
      return character === quotes || character === '\\' ? `\\${character}` : character
    })
  }
  if (/^(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[\p{L}_][\p{L}\p{N}_]*)$/u.test(text)) return text
  const message = `${expression.text} stands outside quotes in a JSONPath, where only a number, true, false, null or a name can be embedded`
  throw new ExpressionError({ message, offset: expression.offset })
}
