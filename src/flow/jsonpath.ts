/**
 * JSONPath by RFC 9535, parsed and type-checked before anything runs. Written here because the package at hand reads
 * `a && b && c` as `a && (b || c)` and ignores wrong calls: a check that holds by accident is worse than none.
 * Knows nothing of values, criteria, embedded expressions or files.
 * @see [RFC 9535](https://www.rfc-editor.org/rfc/rfc9535.html)
 */
import { nearest } from '../errors.ts'
import { clip, ExpressionError, quote } from './expression.ts'
import { type Pattern, parsePattern } from './pattern.ts'

const MAX_PATH = 64 * 1024
const MAX_DEPTH = 64

export interface JsonPath {
  /** `$` the value that is queried, `@` the node a filter looks at */
  readonly root: '$' | '@'
  readonly segments: readonly Segment[]
  readonly text: string
}

interface Segment {
  readonly descends: boolean
  readonly selectors: readonly Selector[]
}

export type Selector =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'wildcard' }
  | {
      readonly kind: 'slice'
      readonly start: number | undefined
      readonly end: number | undefined
      readonly step: number
    }
  | { readonly kind: 'filter'; readonly test: Logical }

export type Logical =
  | { readonly kind: 'or' | 'and'; readonly operands: readonly Logical[] }
  | { readonly kind: 'not'; readonly operand: Logical }
  | { readonly kind: 'exists'; readonly path: JsonPath }
  | { readonly kind: 'compare'; readonly operator: Operator; readonly left: Operand; readonly right: Operand }
  | Call

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'path'; readonly path: JsonPath }
  | Call

export interface Call {
  readonly kind: 'call'
  readonly name: FunctionName
  readonly arguments: readonly Operand[]
  /** of match and search, where the pattern is written out */
  readonly pattern: Pattern | undefined
}

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>='

/** RFC 9535 §2.4: what a function takes and whether its result is compared or is itself a test. */
const FUNCTIONS = {
  length: { parameters: ['value'], result: 'value' },
  count: { parameters: ['nodes'], result: 'value' },
  value: { parameters: ['nodes'], result: 'value' },
  match: { parameters: ['value', 'value'], result: 'test' },
  search: { parameters: ['value', 'value'], result: 'test' },
} as const

type FunctionName = keyof typeof FUNCTIONS

/** Parses a query and checks its types (RFC 9535 §2.4.3). Throws ExpressionError. */
export function parseJsonPath(text: string): JsonPath {
  if (text.length > MAX_PATH) {
    throw new ExpressionError({
      offset: 0,
      message: 'the JSONPath is too long',
      expected: `at most ${MAX_PATH} characters`,
    })
  }
  return new PathParser(text).parse()
}

const BLANK = /[ \t\n\r]*/y
const NAME = /[A-Za-z_\u{80}-\u{d7ff}\u{e000}-\u{10ffff}][\w\u{80}-\u{d7ff}\u{e000}-\u{10ffff}]*/uy
const INTEGER = /-?\d+/y
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const FUNCTION_NAME = /[a-z][a-z0-9_]*/y
const WORD = /[\w$@-]*/y
const OPERATOR = /==|!=|<=|>=|<|>/y
const ESCAPE = /\\(?:[bfnrt/\\"']|u[0-9A-Fa-f]{4})/y
const ESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

class PathParser {
  readonly text: string
  position = 0
  depth = 0

  constructor(text: string) {
    this.text = text
  }

  parse(): JsonPath {
    if (!this.at('$')) throw this.mistake('"$", the root')
    const path = this.path()
    if (this.position < this.text.length) {
      throw this.mistake('a segment or the end', { hint: comparisonHint(path.text, this.text) })
    }
    return path
  }

  private path(): JsonPath {
    const start = this.position
    const root = this.text[this.position++] === '@' ? '@' : '$'
    const segments: Segment[] = []
    for (;;) {
      const end = this.position
      this.blank()
      if (this.at('[')) segments.push({ descends: false, selectors: this.bracketed() })
      else if (this.take('..')) {
        segments.push({ descends: true, selectors: this.at('[') ? this.bracketed() : [this.dotted()] })
      } else if (this.take('.')) segments.push({ descends: false, selectors: [this.dotted()] })
      else {
        this.position = end
        return { root, segments, text: this.text.slice(start, end) }
      }
    }
  }

  private dotted(): Selector {
    if (this.take('*')) return { kind: 'wildcard' }
    const name = this.read(NAME)
    if (name === undefined) throw this.mistake('a member name or "*"')
    return { kind: 'name', name }
  }

  private bracketed(): Selector[] {
    this.deeper()
    this.position++
    const selectors: Selector[] = []
    do {
      this.blank()
      selectors.push(this.selector())
      this.blank()
    } while (this.take(','))
    if (!this.take(']')) throw this.mistake('"," or "]"')
    this.depth--
    return selectors
  }

  private selector(): Selector {
    const next = this.text[this.position]
    if (next === "'" || next === '"') return { kind: 'name', name: this.string(next) }
    if (this.take('*')) return { kind: 'wildcard' }
    if (this.take('?')) {
      this.blank()
      return { kind: 'filter', test: this.or() }
    }
    const start = this.integer()
    const end = this.position
    this.blank()
    if (!this.take(':')) {
      this.position = end
      if (start === undefined) throw this.mistake('a quoted name, an index, a slice, "*" or a filter "?"')
      return { kind: 'index', index: start }
    }
    this.blank()
    const stop = this.integer()
    this.blank()
    let step: number | undefined
    if (this.take(':')) {
      this.blank()
      step = this.integer()
    }
    return { kind: 'slice', start, end: stop, step: step ?? 1 }
  }

  private or(): Logical {
    return this.list('||', () => this.list('&&', () => this.basic(), 'and'), 'or')
  }

  private list(separator: string, operand: () => Logical, kind: 'or' | 'and'): Logical {
    const first = operand()
    const operands = [first]
    for (;;) {
      const end = this.position
      this.blank()
      if (!this.take(separator)) {
        this.position = end
        return operands.length === 1 ? first : { kind, operands }
      }
      this.blank()
      operands.push(operand())
    }
  }

  private basic(): Logical {
    if (this.take('!')) {
      this.blank()
      return { kind: 'not', operand: this.at('(') ? this.grouped() : this.test(this.position, this.operand()) }
    }
    if (this.at('(')) return this.grouped()
    const start = this.position
    const left = this.operand()
    const end = this.position
    this.blank()
    const operator = this.read(OPERATOR) as Operator | undefined
    if (operator === undefined) {
      this.position = end
      return this.test(start, left)
    }
    this.comparable(start, left)
    this.blank()
    const next = this.position
    const right = this.operand()
    this.comparable(next, right)
    return { kind: 'compare', operator, left, right }
  }

  private grouped(): Logical {
    this.deeper()
    this.position++
    this.blank()
    const logical = this.or()
    this.blank()
    if (!this.take(')')) throw this.mistake('")"')
    this.depth--
    return logical
  }

  private operand(): Operand {
    const next = this.text[this.position]
    if (next === '$' || next === '@') return { kind: 'path', path: this.path() }
    if (next === "'" || next === '"') return { kind: 'literal', value: this.string(next) }
    if (next !== undefined && /[-\d]/.test(next)) return { kind: 'literal', value: this.number() }
    const start = this.position
    const name = this.read(FUNCTION_NAME)
    if (name !== undefined && this.at('(')) return this.call(name, start)
    if (name === 'true' || name === 'false') return { kind: 'literal', value: name === 'true' }
    if (name === 'null') return { kind: 'literal', value: null }
    this.position = start
    const word = this.peek(WORD)
    throw this.mistake('a query, a literal or a function', {
      hint: word === undefined || word === '' ? undefined : `a string needs quotes: '${clip(word)}'`,
    })
  }

  private call(name: string, start: number): Operand {
    if (!Object.hasOwn(FUNCTIONS, name)) {
      const near = nearest(name, Object.keys(FUNCTIONS))
      throw this.mistake('a function of RFC 9535: length, count, value, match or search', {
        offset: start,
        found: quote(name),
        hint: near === undefined ? undefined : `did you mean "${near}"?`,
      })
    }
    const known = name as FunctionName
    this.deeper()
    this.position++
    const operands: Operand[] = []
    let pattern: Pattern | undefined
    for (const [index, parameter] of FUNCTIONS[known].parameters.entries()) {
      this.blank()
      if (index > 0) {
        if (!this.take(',')) throw this.mistake(`"," and another argument of ${name}`)
        this.blank()
      }
      const at = this.position
      const operand = this.operand()
      if (parameter === 'value') this.comparable(at, operand)
      else if (operand.kind !== 'path') throw this.mistake(`a query as argument of ${name}`, { offset: at })
      if (index === 1 && operand.kind === 'literal') pattern = this.pattern(operand.value, known, at)
      operands.push(operand)
    }
    this.blank()
    if (!this.take(')')) throw this.mistake(`")" after the arguments of ${name}`)
    this.depth--
    return { kind: 'call', name: known, arguments: operands, pattern }
  }

  /** RFC 9535 makes a wrong pattern a silent "no"; written out in the query it is a mistake worth its place. */
  private pattern(source: unknown, name: FunctionName, offset: number): Pattern | undefined {
    if (typeof source !== 'string') return undefined
    try {
      return iRegexp(source, name)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      throw new ExpressionError({ ...error, message: error.message, offset: offset + 1 + error.offset })
    }
  }

  /** A test stands alone: a query for existence, or a function that says yes or no. */
  private test(offset: number, operand: Operand): Logical {
    if (operand.kind === 'path') return { kind: 'exists', path: operand.path }
    if (operand.kind === 'call' && FUNCTIONS[operand.name].result === 'test') return operand
    throw this.mistake(operand.kind === 'call' ? `a comparison with ${operand.name}(…)` : 'a comparison or a query', {
      offset,
    })
  }

  /** What is compared has one value at most: a literal, a query for a single node, a function with a value. */
  private comparable(offset: number, operand: Operand): void {
    if (operand.kind === 'path' && !isSingular(operand.path)) {
      throw this.mistake('a query for a single node (names and indexes only)', {
        offset,
        found: quote(operand.path.text),
      })
    }
    if (operand.kind === 'call' && FUNCTIONS[operand.name].result === 'test') {
      throw this.mistake(`${operand.name}(…) on its own: it is a test, not a value`, { offset })
    }
  }

  private string(delimiter: string): string {
    const start = this.position++
    let value = ''
    for (;;) {
      const next = this.text[this.position]
      if (next === undefined)
        throw this.mistake(`${delimiter} at the end of the string`, { offset: start, found: 'the end' })
      if (next === delimiter) break
      if (next === '\\') {
        const escaped = this.peek(ESCAPE)
        const other = delimiter === '"' ? "\\'" : '\\"'
        if (escaped === undefined || escaped === other) throw this.mistake('an escape as in JSON strings')
        this.position += escaped.length
        const code = escaped.slice(1)
        value += code.length > 1 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (ESCAPED[code] ?? code)
      } else {
        if (next < ' ') throw this.mistake('an escape: a string has no control characters')
        value += next
        this.position++
      }
    }
    this.position++
    if (!value.isWellFormed()) throw this.mistake('whole surrogate pairs in the string', { offset: start })
    return value
  }

  private number(): number {
    const start = this.position
    const text = this.read(NUMBER)
    if (text === undefined || /^-?0\d/.test(text)) throw this.mistake('a number as in JSON', { offset: start })
    return Number(text)
  }

  /** An index or a bound of a slice: no leading zero, no `-0`, within the integers of I-JSON (RFC 9535 §2.1). */
  private integer(): number | undefined {
    const start = this.position
    const text = this.read(INTEGER)
    if (text === undefined) return undefined
    if (/^-?0./.test(text) || text === '-0' || !Number.isSafeInteger(Number(text))) {
      throw this.mistake('an integer without leading zero, at most 2^53-1', { offset: start, found: quote(text) })
    }
    return Number(text)
  }

  private deeper(): void {
    if (++this.depth > MAX_DEPTH) throw this.mistake(`brackets nested at most ${MAX_DEPTH} deep`)
  }

  private at(character: string): boolean {
    return this.text[this.position] === character
  }

  private take(text: string): boolean {
    if (!this.text.startsWith(text, this.position)) return false
    this.position += text.length
    return true
  }

  private blank(): void {
    this.read(BLANK)
  }

  private read(form: RegExp): string | undefined {
    const found = this.peek(form)
    this.position += found?.length ?? 0
    return found
  }

  private peek(form: RegExp): string | undefined {
    form.lastIndex = this.position
    return form.exec(this.text)?.[0]
  }

  private mistake(expected: string, more: { offset?: number; found?: string; hint?: string | undefined } = {}) {
    const offset = more.offset ?? this.position
    const message = `"${clip(this.text)}" is not a JSONPath of RFC 9535`
    return new ExpressionError({
      message,
      offset,
      expected,
      found: more.found ?? quote(this.text.slice(offset, offset + 1)),
      hint: more.hint,
    })
  }
}

/** What a comparison outside a filter was meant to say; `!= null` also holds where nothing is, so existence is meant. */
function comparisonHint(path: string, text: string): string | undefined {
  const rest = text.slice(path.length)
  if (/^\s*!=\s*null\s*$/.test(rest)) return `a query holds where it finds something: ${clip(path)}`
  return /^\s*(?:[=!]=|[<>]=?)/.test(rest) ? `a comparison stands in a filter: $[?${clip(text)}]` : undefined
}

function isSingular({ segments }: JsonPath): boolean {
  return segments.every(
    ({ descends, selectors: [first, ...more] }) =>
      !descends && more.length === 0 && (first?.kind === 'name' || first?.kind === 'index'),
  )
}

/** A pattern of match or search: an I-Regexp (RFC 9485), of the whole string for match. */
export function iRegexp(source: string, name: FunctionName): Pattern {
  return parsePattern(source, { dialect: 'i-regexp', whole: name === 'match' })
}
