/**
 * Simple conditions: literals, operators and runtime expressions, with the loose comparisons of Arazzo.
 * criterion.ts has the other kinds of criteria.
 * @see [Arazzo 1.1 Criterion Object](https://spec.openapis.org/arazzo/v1.1.0.html#criterion-object)
 */
import { exactNumber } from '../../record/json.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { clip, type Expression, ExpressionError, own, quote, scanExpression } from './expression.ts'

const MAX_DEPTH = FILE_LIMITS.conditionDepth.value
const MAX_CHAIN = FILE_LIMITS.conditionChain.value

export type SimpleNode =
  | { readonly kind: 'literal'; readonly value: string | number | bigint | boolean | null }
  | SimpleValue
  | { readonly kind: 'not'; readonly operand: SimpleNode; readonly offset: number }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly SimpleNode[] }
  | {
      readonly kind: 'compare'
      readonly operator: Operator
      readonly left: SimpleNode
      readonly right: SimpleNode
      readonly offset: number
      /** case and type must match too; with "==" alone */
      readonly exact?: true
    }

/** A runtime expression and what is de-referenced of it: `$response.body.items[0].id`. */
export interface SimpleValue {
  readonly kind: 'value'
  readonly expression: Expression
  readonly path: readonly (string | number)[]
  /** as written, with the de-references */
  readonly text: string
  readonly offset: number
}

type Operator = '==' | '!=' | '<' | '<=' | '>' | '>='

/** Parses a condition; `references` are the expressions it reads, from left to right. Throws ExpressionError. */
export function parseSimple(text: string): { root: SimpleNode; references: readonly Expression[] } {
  const parser = new SimpleParser(text)
  return { root: parser.parse(), references: parser.references }
}

/** The comparison made exact, so that case and type must match too; undefined where it is not a single `==`. */
export function exactly(root: SimpleNode): SimpleNode | undefined {
  if (root.kind !== 'compare' || root.operator !== '==') return undefined
  const sides = [root.left, root.right]
  return sides.every(({ kind }) => kind === 'value' || kind === 'literal') ? { ...root, exact: true } : undefined
}

/**
 * Evaluates a condition from left to right; `&&` and `||` stop as soon as the result is known. Throws ExpressionError
 * where the condition cannot be evaluated: that fails a criterion and never passes it.
 */
export function evaluateSimple(root: SimpleNode, read: (expression: Expression) => unknown): unknown {
  return new SimpleEvaluator(read).evaluate(root)
}

/** The value of an operand, given that of its expression. */
export function dereference({ path }: SimpleValue, value: unknown): unknown {
  let current = value
  for (const step of path) {
    if (typeof step === 'string') current = own(current, step)
    else current = Array.isArray(current) ? current[step] : undefined
  }
  return current
}

const BLANK = /\s*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.$])/y
const WORD = /[A-Za-z_][\w-]*/y
const STRING = /'((?:[^']|'')*)'/y
const MEMBER = /\.([\w-]+)/y
const INDEX = /\[(\d{1,9})\]/y
const EQUALITY = /(?:==|!=)(?!=)/y
const RELATION = /<=|>=|<|>/y
/** Where names and pointers end in a condition, though their own grammar would take more. */
const BOUNDARY = /[\s()[\]<>=]|!=|&&|\|\|/g

/** Operators of other languages that people write, and what to write here instead. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/^===/, 'equality is written "=="'],
  [/^!==/, 'inequality is written "!="'],
  [/^=/, 'equality is written "=="'],
  [/^(?:&|and\b)/i, '"and" is written "&&"'],
  [/^(?:\||or\b)/i, '"or" is written "||"'],
  [/^not\b/i, '"not" is written "!"'],
  [/^"/, "a string stands in single quotes: 'text'"],
  [/^\{\$/, 'a simple condition takes the expression without braces'],
  [/^\[/, 'an index is a number from 0: [0]'],
]

class SimpleParser {
  readonly text: string
  readonly references: Expression[] = []
  position = 0
  depth = 0

  constructor(text: string) {
    this.text = text
  }

  parse(): SimpleNode {
    const root = this.or()
    this.read(BLANK)
    if (this.position < this.text.length) throw this.mistake('an operator or the end')
    return root
  }

  private or(): SimpleNode {
    return this.list('||', () => this.list('&&', () => this.equality(), 'and'), 'or')
  }

  private list(separator: string, operand: () => SimpleNode, kind: 'and' | 'or'): SimpleNode {
    const first = operand()
    const operands = [first]
    while (this.take(separator)) operands.push(operand())
    return operands.length === 1 ? first : { kind, operands }
  }

  private equality(): SimpleNode {
    return this.comparison(EQUALITY, () => this.comparison(RELATION, () => this.unary()))
  }

  private comparison(operators: RegExp, operand: () => SimpleNode): SimpleNode {
    let left = operand()
    for (let chained = 0; ; chained++) {
      this.read(BLANK)
      const offset = this.position
      const operator = this.read(operators) as Operator | undefined
      if (operator === undefined) return left
      if (chained >= MAX_CHAIN) throw this.mistake(`at most ${MAX_CHAIN} comparisons in a row`)
      left = { kind: 'compare', operator, left, right: operand(), offset }
    }
  }

  private unary(): SimpleNode {
    this.read(BLANK)
    const offset = this.position
    if (this.text[offset] === '!' && this.text[offset + 1] !== '=') {
      return this.nested(() => ({ kind: 'not', operand: this.unary(), offset }))
    }
    if (this.text[offset] === '(') {
      return this.nested(() => {
        const node = this.or()
        if (!this.take(')')) throw this.mistake('an operator or ")"')
        return node
      })
    }
    return this.operand()
  }

  /** Steps over the opening character, one level deeper. */
  private nested(parse: () => SimpleNode): SimpleNode {
    if (++this.depth > MAX_DEPTH) throw this.mistake(`"!" and "(" nested at most ${MAX_DEPTH} deep`)
    this.position++
    const node = parse()
    this.depth--
    return node
  }

  private operand(): SimpleNode {
    const next = this.text[this.position]
    if (next === '$') return this.value()
    if (next === "'") return this.string()
    const start = this.position
    const number = this.read(NUMBER)
    if (number !== undefined) return { kind: 'literal', value: exactNumber(number) ?? Number(number) }
    const word = this.read(WORD)
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' }
    if (word === 'null') return { kind: 'literal', value: null }
    this.position = start
    throw this.mistake('a runtime expression, a literal, "!" or "("', {
      hint: foreign(this.text.slice(start)) ?? (word && `a string stands in single quotes: '${clip(word)}'`),
    })
  }

  private string(): SimpleNode {
    const start = this.position
    const text = this.read(STRING)
    if (text === undefined) {
      throw this.mistake("a single quote at the end of the string; '' is a quote within it", { found: 'the end' })
    }
    const embedded = /\{\$[A-Za-z]/.exec(text)
    if (embedded !== null) {
      this.position = start + embedded.index
      const hint = 'compare with the bare expression, or use a jsonpath criterion, which embeds'
      throw this.mistake('a string without embedded expressions', { hint })
    }
    return { kind: 'literal', value: text.slice(1, -1).replaceAll("''", "'") }
  }

  /** Dots that the grammar makes part of a name or pointer stay there: `$steps.a.outputs.b.c` is the output "b.c". */
  private value(): SimpleNode {
    const offset = this.position
    BOUNDARY.lastIndex = offset
    const { expression, end } = scanExpression(this.text, offset, BOUNDARY.exec(this.text)?.index ?? this.text.length)
    this.references.push(expression)
    this.position = end
    const path: (string | number)[] = []
    for (;;) {
      const step = this.read(MEMBER) ?? this.read(INDEX)
      if (step === undefined) break
      path.push(step.startsWith('.') ? step.slice(1) : Number(step.slice(1, -1)))
    }
    // What touches an expression belongs to it: `$statusCodes`, `$response.body/a` and `.items[x]` are mistakes.
    if (this.position < this.text.length && !/[\s)<>=!&|]/.test(this.text[this.position] ?? '')) {
      throw this.mistake('an operator or the end')
    }
    return { kind: 'value', expression, path, text: this.text.slice(offset, this.position), offset }
  }

  private take(text: string): boolean {
    this.read(BLANK)
    if (!this.text.startsWith(text, this.position)) return false
    this.position += text.length
    return true
  }

  private read(form: RegExp): string | undefined {
    form.lastIndex = this.position
    const found = form.exec(this.text)?.[0]
    this.position += found?.length ?? 0
    return found
  }

  private mistake(expected: string, more: { hint?: string | undefined; found?: string } = {}): ExpressionError {
    const rest = this.text.slice(this.position)
    return new ExpressionError({
      message: `"${clip(this.text)}" is not a simple condition`,
      offset: this.position,
      expected,
      found: more.found ?? quote(/^(?:[\w-]+|[=!<>&|]+|.)/u.exec(rest)?.[0] ?? ''),
      hint: more.hint ?? foreign(rest),
    })
  }
}

function foreign(rest: string): string | undefined {
  return FOREIGN.find(([form]) => form.test(rest))?.[1]
}

class SimpleEvaluator {
  readonly read: (expression: Expression) => unknown

  constructor(read: (expression: Expression) => unknown) {
    this.read = read
  }

  evaluate(node: SimpleNode): unknown {
    switch (node.kind) {
      case 'literal':
        return node.value
      case 'value':
        return dereference(node, this.read(node.expression))
      case 'not':
        return !this.truth(node.operand)
      case 'and':
        return node.operands.every((operand) => this.truth(operand))
      case 'or':
        return node.operands.some((operand) => this.truth(operand))
      case 'compare':
        return this.compare(node)
      default:
        return node satisfies never
    }
  }

  /** An operand of a logical operator: true, false, or null, which counts as false as it does for a criterion. */
  private truth(node: SimpleNode): boolean {
    const value = this.evaluate(node)
    if (value === undefined) throw noValue(node)
    if (typeof value === 'boolean' || value === null) return value === true
    throw failure(node, `${textOf(node)} is ${kindOf(value)}, which is neither true nor false`)
  }

  private compare(node: Extract<SimpleNode, { kind: 'compare' }>): boolean {
    const { operator } = node
    const left = this.evaluate(node.left)
    const right = this.evaluate(node.right)
    // Compared with null, a missing value counts as null: an example in Arazzo tests for data with `!= null`.
    // Anywhere else it is an error, since `$response.body#/misspelt != 'x'` must not pass.
    if ((left === null || right === null) && !node.exact) {
      const same = (left ?? null) === (right ?? null)
      return operator === '!=' ? !same : same && operator !== '<' && operator !== '>'
    }
    if (left === undefined) throw noValue(node.left)
    if (right === undefined) throw noValue(node.right)
    for (const [side, value] of [
      [node.left, left],
      [node.right, right],
    ] as const) {
      if (typeof value === 'object' && value !== null) {
        throw failure(side, `${textOf(side)} is ${kindOf(value)}; only single values are compared`)
      }
    }
    if (node.exact) return left === right
    const [one, other] = comparables(left, right, operator)
    const areNumbers = isNumber(one) && isNumber(other)
    if (areNumbers || (typeof one === 'string' && typeof other === 'string'))
      return ordered(operator, one < other ? -1 : Number(one > other))
    if (operator === '==') return one === other
    if (operator === '!=') return one !== other
    throw failure(node, `${kindOf(left)} and ${kindOf(right)} have no order`)
  }
}

const NUMERIC = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/**
 * Strings are compared without case, always. A numeric string counts as a number where the other side is a number, and
 * where two of them are put in order; two strings are equal only as strings, so '1.0' is not '1'.
 */
function comparables(left: unknown, right: unknown, operator: Operator): [unknown, unknown] {
  const isEquality = operator === '==' || operator === '!='
  const asNumber = isNumber(left) || isNumber(right) || (!isEquality && isNumeric(left, right))
  const [one, other] = asNumber && isNumeric(left, right) ? [numberOf(left), numberOf(right)] : [left, right]
  return [typeof one === 'string' ? one.toLowerCase() : one, typeof other === 'string' ? other.toLowerCase() : other]
}

function isNumeric(...values: readonly unknown[]): boolean {
  return values.every((value) => isNumber(value) || (typeof value === 'string' && NUMERIC.test(value)))
}

/** A bigint is a whole number that no other number of JavaScript can hold; both are compared by what they are worth. */
function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function numberOf(value: unknown): number | bigint {
  return isNumber(value) ? value : (exactNumber(String(value)) ?? Number(value))
}

function ordered(operator: Operator, difference: number): boolean {
  if (operator === '==') return difference === 0
  if (operator === '!=') return difference !== 0
  if (operator === '<') return difference < 0
  if (operator === '>') return difference > 0
  return operator === '<=' ? difference <= 0 : difference >= 0
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${isNumber(value) ? 'number' : typeof value}`
}

function textOf(node: SimpleNode): string {
  return node.kind === 'value' ? node.text : 'an operand'
}

function noValue(node: SimpleNode): ExpressionError {
  return failure(node, `${textOf(node)} has no value`)
}

function failure(node: SimpleNode, message: string): ExpressionError {
  return new ExpressionError({ message, offset: 'offset' in node ? node.offset : 0 })
}
