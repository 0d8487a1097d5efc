/**
 * Selector Objects: data picked out of a structured value by JSONPath or JSON Pointer, and the types such selectors
 * have.
 * @see [Arazzo 1.1 Selector Object](https://spec.openapis.org/arazzo/v1.1.0.html#selector-object)
 */
import { nearest } from '../../record/errors.ts'
import {
  type Context,
  type Expression,
  ExpressionError,
  evaluate,
  parseExpression,
  parsePointer,
  quote,
  resolvePointer,
} from './expression.ts'
import { type JsonPath, parseJsonPath } from './jsonpath.ts'

/** The member `type` as written: a word, or an Expression Type Object with a version. */
export type ExpressionType = string | { readonly type: string; readonly version: string }

export interface SelectorSource {
  readonly context: string
  readonly selector: string
  readonly type: ExpressionType
}

export type Selector = {
  readonly context: Expression
  readonly references: readonly Expression[]
  /** instructions of its patterns */
  readonly size: number
} & (
  | { readonly kind: 'jsonpath'; readonly path: JsonPath }
  | { readonly kind: 'jsonpointer'; readonly pointer: readonly string[] }
)

/** Parses a Selector Object. Throws ExpressionError, whose `field` is the member with the mistake. */
export function parseSelector(source: SelectorSource): Selector {
  const kind = within('type', () => selectorKind(source.type, ['jsonpath', 'jsonpointer', 'xpath']))
  const context = within('context', () => parseExpression(source.context))
  const parts = { context, references: [context] }
  return within('selector', () => {
    const embedded = /\{\$[A-Za-z]/.exec(source.selector)
    if (embedded !== null) {
      throw new ExpressionError({
        message: 'a selector has no embedded expressions',
        offset: embedded.index,
        hint: 'Arazzo 1.1 embeds them in conditions only',
      })
    }
    if (kind === 'jsonpointer') return { ...parts, size: 0, kind, pointer: parsePointer(source.selector) }
    const path = parseJsonPath(source.selector)
    return { ...parts, size: path.size, kind: 'jsonpath', path }
  })
}

/**
 * The selected value: of one node its value, of several an array of them; undefined where nothing is selected or the
 * context is not structured data. Throws ExpressionError where a query reaches its work limit.
 */
export function select(selector: Selector, context: Context): unknown {
  const value = evaluate(selector.context, context)
  if (typeof value !== 'object' || value === null) return undefined
  if (selector.kind === 'jsonpointer') return resolvePointer(value, selector.pointer)
  const nodes = selector.path.select(value)
  return nodes.length > 1 ? nodes : nodes[0]
}

/** Expression Type Object: versions by type, the first being the one that is supported and the default. */
const VERSIONS: Readonly<Record<string, readonly string[]>> = {
  jsonpath: ['rfc9535', 'draft-goessner-dispatch-jsonpath-00'],
  jsonpointer: ['rfc6901'],
  xpath: ['xpath-31', 'xpath-30', 'xpath-20', 'xpath-10'],
}

/** The kind a type stands for, with its version in mind; `words` are the types that may be written as a word. */
export function selectorKind(type: ExpressionType, words: readonly string[]): string {
  // The file may hold any value here.
  const name = typeof type === 'string' ? type : String((type as { type?: unknown } | null)?.type)
  const allowed = typeof type === 'string' ? words : Object.keys(VERSIONS)
  if (!allowed.includes(name)) {
    const near = nearest(name.slice(0, 40), allowed)
    throw new ExpressionError({
      message: `"${name}" is not a type of ${typeof type === 'string' ? 'expressions' : 'Expression Type Objects'}`,
      offset: 0,
      expected: `one of ${allowed.map((word) => `"${word}"`).join(', ')}`,
      found: quote(name),
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    })
  }
  if (name === 'xpath') {
    throw new ExpressionError({
      message: 'XPath is not supported',
      offset: 0,
      unsupported: true,
      hint: 'the servers answer with JSON: use jsonpath, or regex on the text',
    })
  }
  if (typeof type !== 'string') checkVersion(name, String(type.version))
  return name
}

/** Runs a parser on one member of an object and names that member in its error. */
export function within<T>(field: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof ExpressionError) || error.field !== undefined) throw error
    throw new ExpressionError({ ...error, message: error.message, field })
  }
}

function checkVersion(name: string, version: string): void {
  const versions = VERSIONS[name] ?? []
  const [supported] = versions
  if (version === supported) return
  const isKnown = versions.includes(version)
  throw new ExpressionError({
    message: `version "${version}" of ${name} is ${isKnown ? 'not supported' : 'unknown'}`,
    offset: 0,
    unsupported: isKnown,
    expected: `"${supported}"`,
    found: quote(version),
    hint: isKnown ? `leave the version out: type: ${name} means ${supported}` : undefined,
  })
}
