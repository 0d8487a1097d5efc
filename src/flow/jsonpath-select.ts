/**
 * Evaluates JSONPath queries with a budget, so that no query and no answer can hold a run.
 * Knows nothing of their syntax, of criteria or of files.
 * @see [RFC 9535 §2](https://www.rfc-editor.org/rfc/rfc9535.html#section-2)
 */
import { ExpressionError } from './expression.ts'
import {
  type Call,
  iRegexp,
  type JsonPath,
  type Logical,
  type Operand,
  type Operator,
  type Selector,
} from './jsonpath.ts'
import type { Pattern } from './pattern.ts'

/** Nodes visited and values compared by one query; a body of some megabytes stays below. */
const MAX_WORK = 5_000_000

/** The values of the nodes a query selects, in the order of the document. Throws ExpressionError at the work limit. */
export function selectNodes(path: JsonPath, value: unknown): unknown[] {
  return new Evaluator(value).select(path, value)
}

/** What the query's own comparisons see of `value`, so that a report can say why nothing was selected. */
export function comparedValues(path: JsonPath, value: unknown): { readonly text: string; readonly value: unknown }[] {
  const seen = new Map<string, unknown>()
  const collect = (test: Logical): void => {
    if (test.kind === 'or' || test.kind === 'and') for (const operand of test.operands) collect(operand)
    else if (test.kind === 'not') collect(test.operand)
    else if (test.kind === 'compare') {
      for (const side of [test.left, test.right]) {
        if (side.kind === 'path' && side.path.root === '$') seen.set(side.path.text, selectNodes(side.path, value)[0])
      }
    }
  }
  for (const { selectors } of path.segments) {
    for (const selector of selectors) if (selector.kind === 'filter') collect(selector.test)
  }
  return [...seen].map(([text, each]) => ({ text, value: each }))
}

class Evaluator {
  readonly root: unknown
  work = 0

  constructor(root: unknown) {
    this.root = root
  }

  select(path: JsonPath, current: unknown): unknown[] {
    let nodes = [path.root === '$' ? this.root : current]
    for (const { descends, selectors } of path.segments) {
      const selected: unknown[] = []
      for (const node of nodes) {
        for (const visited of descends ? this.descendants(node) : [node]) {
          this.spend(1)
          for (const selector of selectors) this.apply(selector, visited, selected)
        }
      }
      nodes = selected
    }
    return nodes
  }

  /** The node and everything below it, each before its children. */
  private *descendants(node: unknown): Generator<unknown> {
    const open = [node]
    while (open.length > 0) {
      const next = open.pop()
      yield next
      for (const child of childrenOf(next).reverse()) open.push(child)
    }
  }

  private apply(selector: Selector, node: unknown, selected: unknown[]): void {
    switch (selector.kind) {
      case 'name':
        if (isObject(node) && Object.hasOwn(node, selector.name)) selected.push(node[selector.name])
        return
      case 'index': {
        if (!Array.isArray(node)) return
        const index = selector.index < 0 ? node.length + selector.index : selector.index
        if (index >= 0 && index < node.length) selected.push(node[index])
        return
      }
      case 'slice':
        if (Array.isArray(node)) this.slice(selector, node, selected)
        return
      case 'wildcard':
      case 'filter':
        for (const child of childrenOf(node)) {
          this.spend(1)
          if (selector.kind === 'wildcard' || this.holds(selector.test, child)) selected.push(child)
        }
        return
      default:
        selector satisfies never
    }
  }

  /** RFC 9535 §2.3.4.2.2 */
  private slice(slice: Extract<Selector, { kind: 'slice' }>, node: readonly unknown[], selected: unknown[]): void {
    const { step } = slice
    if (step === 0) return
    const { length } = node
    const normal = (bound: number): number => (bound >= 0 ? bound : length + bound)
    const start = normal(slice.start ?? (step > 0 ? 0 : length - 1))
    const end = slice.end === undefined ? (step > 0 ? length : -1) : normal(slice.end)
    const low = step > 0 ? Math.min(Math.max(start, 0), length) : Math.min(Math.max(end, -1), length - 1)
    const high = step > 0 ? Math.min(Math.max(end, 0), length) : Math.min(Math.max(start, -1), length - 1)
    this.spend(high - low)
    if (step > 0) for (let index = low; index < high; index += step) selected.push(node[index])
    else for (let index = high; index > low; index += step) selected.push(node[index])
  }

  private holds(test: Logical, node: unknown): boolean {
    this.spend(1)
    switch (test.kind) {
      case 'or':
        return test.operands.some((operand) => this.holds(operand, node))
      case 'and':
        return test.operands.every((operand) => this.holds(operand, node))
      case 'not':
        return !this.holds(test.operand, node)
      case 'exists':
        return this.select(test.path, node).length > 0
      case 'compare':
        return this.compare(test.operator, this.valueOf(test.left, node), this.valueOf(test.right, node))
      case 'call':
        return this.matches(test, node)
      default:
        return test satisfies never
    }
  }

  /** undefined is the "Nothing" of RFC 9535 §2.4.1 */
  private valueOf(operand: Operand, node: unknown): unknown {
    if (operand.kind === 'literal') return operand.value
    if (operand.kind === 'path') return this.select(operand.path, node)[0]
    const [argument] = operand.arguments
    if (argument === undefined) return undefined
    if (operand.name === 'length') {
      const value = this.valueOf(argument, node)
      if (typeof value === 'string') return [...value].length
      if (Array.isArray(value)) return value.length
      return isObject(value) ? Object.keys(value).length : undefined
    }
    const nodes = argument.kind === 'path' ? this.select(argument.path, node) : []
    if (operand.name === 'count') return nodes.length
    return nodes.length === 1 ? nodes[0] : undefined
  }

  private matches(call: Call, node: unknown): boolean {
    const [subject, source] = call.arguments.map((argument) => this.valueOf(argument, node))
    if (typeof subject !== 'string' || typeof source !== 'string') return false
    const pattern = call.pattern ?? patternFromValue(source, call)
    if (pattern === undefined) return false
    this.spend(Math.ceil((subject.length * pattern.size) / 8))
    return pattern.test(subject)
  }

  /** RFC 9535 §2.3.5.2.2: values of different types are unequal and have no order. */
  private compare(operator: Operator, left: unknown, right: unknown): boolean {
    switch (operator) {
      case '==':
        return this.equal(left, right)
      case '!=':
        return !this.equal(left, right)
      case '<':
        return isLess(left, right)
      case '>':
        return isLess(right, left)
      case '<=':
        return isLess(left, right) || this.equal(left, right)
      case '>=':
        return isLess(right, left) || this.equal(left, right)
      default:
        return operator satisfies never
    }
  }

  private equal(left: unknown, right: unknown): boolean {
    const open: [unknown, unknown][] = [[left, right]]
    for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
      this.spend(1)
      const [one, other] = pair
      if (Array.isArray(one) && Array.isArray(other)) {
        if (one.length !== other.length) return false
        for (const [index, item] of one.entries()) open.push([item, other[index]])
      } else if (isObject(one) && isObject(other)) {
        const names = Object.keys(one)
        if (names.length !== Object.keys(other).length) return false
        for (const name of names) {
          if (!Object.hasOwn(other, name)) return false
          open.push([one[name], other[name]])
        }
      } else if (one !== other) return false
    }
    return true
  }

  private spend(work: number): void {
    this.work += work
    if (this.work > MAX_WORK) {
      throw new ExpressionError({
        offset: 0,
        message: 'the JSONPath takes too long on this value',
        hint: 'name the members on the way instead of ".." and nested filters',
      })
    }
  }
}

/** A pattern that comes from the value itself and is none matches nothing (RFC 9535 §2.4.6). */
function patternFromValue(source: string, call: Call): Pattern | undefined {
  try {
    return iRegexp(source, call.name)
  } catch (error) {
    if (error instanceof ExpressionError && !error.unsupported) return undefined
    throw error
  }
}

function isLess(left: unknown, right: unknown): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left < right
  return typeof left === 'string' && typeof right === 'string' && byCodePoint(left, right) < 0
}

/** Unicode scalar values, not UTF-16 units (RFC 9535 §2.3.5.2.2). */
function byCodePoint(left: string, right: string): number {
  const one = left[Symbol.iterator]()
  const other = right[Symbol.iterator]()
  for (;;) {
    const [a, b] = [one.next(), other.next()]
    if (a.done === true || b.done === true) return Number(b.done ?? false) - Number(a.done ?? false)
    const difference = (a.value.codePointAt(0) ?? 0) - (b.value.codePointAt(0) ?? 0)
    if (difference !== 0) return difference
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function childrenOf(node: unknown): unknown[] {
  if (Array.isArray(node)) return [...node]
  return isObject(node) ? Object.values(node) : []
}
