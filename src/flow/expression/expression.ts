/**
 * Runtime expressions: parses the text after a `$`, finds its value, and fills strings with embedded expressions.
 * One grammar for 1.0.x and 1.1 documents, that of Arazzo 1.1: it reads in one way what 1.0.x leaves ambiguous.
 * Errors give an offset into the text; the caller maps it to a line of the file.
 * @see [Arazzo 1.1 Runtime Expressions](https://spec.openapis.org/arazzo/v1.1.0.html#runtime-expressions)
 */
import { nearest } from '../../record/errors.ts'
import { writeJson } from '../../record/json.ts'
import { FILE_LIMITS } from '../../record/limits.ts'

/** UTF-16 units; far longer than any expression a person writes. Limits every scan below. */
const MAX_EXPRESSION = FILE_LIMITS.expressionCharacters.value
/** UTF-16 units of a string that may hold embedded expressions, a payload at most. */
const MAX_TEMPLATE = FILE_LIMITS.templateCharacters.value

interface Mistake {
  readonly message: string
  /** UTF-16 units from the start of the parsed text */
  readonly offset: number
  readonly expected?: string | undefined
  readonly found?: string | undefined
  readonly hint?: string | undefined
  readonly unsupported?: boolean | undefined
  readonly field?: string | undefined
}

/** An expression, template or condition that cannot be parsed, or not be evaluated. The caller adds the file. */
export class ExpressionError extends Error {
  readonly offset: number
  readonly expected: string | undefined
  readonly found: string | undefined
  readonly hint: string | undefined
  /** valid by the standard, but not supported by this version */
  readonly unsupported: boolean
  /** the member of a Criterion or Selector Object that `offset` counts in, where there are several */
  readonly field: string | undefined

  constructor(mistake: Mistake, cause?: unknown) {
    super(mistake.message, cause === undefined ? undefined : { cause })
    this.name = 'ExpressionError'
    this.offset = mistake.offset
    this.expected = mistake.expected
    this.found = mistake.found
    this.hint = mistake.hint
    this.unsupported = mistake.unsupported ?? false
    this.field = mistake.field
  }
}

type Source =
  | { readonly kind: 'url' | 'method' | 'statusCode' | 'self' }
  | { readonly kind: 'request' | 'response'; readonly part: 'body' }
  | { readonly kind: 'request' | 'response'; readonly part: 'header' | 'query' | 'path'; readonly name: string }
  | { readonly kind: 'inputs' | 'outputs'; readonly name: string }
  | { readonly kind: 'steps'; readonly stepId: string; readonly name: string }
  | {
      readonly kind: 'workflows'
      readonly workflowId: string
      readonly field: 'inputs' | 'outputs'
      readonly name: string
    }
  | { readonly kind: 'sourceDescriptions'; readonly source: string; readonly reference: string }
  | {
      readonly kind: 'components'
      readonly component: 'parameters' | 'successActions' | 'failureActions'
      readonly name: string
    }

export type Expression = Source & {
  /** the expression as written, with its `$` */
  readonly text: string
  /** where it starts in the text that was parsed, in UTF-16 units */
  readonly offset: number
  /** reference tokens after `#`, unescaped; empty for the whole value */
  readonly pointer: readonly string[]
}

/** A string value of a payload or parameter. `references` are the expressions it reads. */
export type Template = { readonly text: string; readonly references: readonly Expression[] } & (
  | { readonly kind: 'literal' }
  /** the whole string is one expression: its value keeps its type */
  | { readonly kind: 'expression'; readonly expression: Expression }
  /** expressions in braces within a string: the value is a string */
  | { readonly kind: 'embedded'; readonly parts: readonly (string | Expression)[] }
)

export interface MessageParts {
  readonly headers: readonly (readonly [string, string])[]
  /** parameters by name, as they were bound */
  readonly query?: Readonly<Record<string, unknown>> | undefined
  readonly path?: Readonly<Record<string, unknown>> | undefined
  /** parsed where its media type says JSON, else text; undefined for no body */
  readonly body?: unknown
}

/** Everything an expression can read at one moment. What is absent has no value. */
export interface Context {
  readonly url?: string | undefined
  readonly method?: string | undefined
  readonly statusCode?: number | undefined
  readonly request?: MessageParts | undefined
  readonly response?: MessageParts | undefined
  /** a function, because a minted input is fresh each time it is read */
  readonly inputs: (name: string) => unknown
  readonly outputs?: Readonly<Record<string, unknown>> | undefined
  readonly steps: ReadonlyMap<string, { readonly outputs: Readonly<Record<string, unknown>> }>
  readonly workflows?:
    | ReadonlyMap<
        string,
        { readonly inputs: Readonly<Record<string, unknown>>; readonly outputs: Readonly<Record<string, unknown>> }
      >
    | undefined
  readonly sourceDescriptions?: ReadonlyMap<string, Readonly<Record<string, unknown>>> | undefined
  readonly self?: string | undefined
}

type Rendered =
  | { readonly ok: true; readonly value: unknown }
  /** an expression that has no value; never replaced by an empty string */
  | { readonly ok: false; readonly missing: Expression }

/** Parses a text that is one bare expression. Throws ExpressionError. */
export function parseExpression(text: string): Expression {
  const scanned = scanExpression(text, 0, text.length)
  if (scanned.end < text.length) throw trailing(scanned.expression, text.slice(scanned.end), scanned.end)
  return scanned.expression
}

/**
 * Parses a string value: one bare expression, a string with embedded expressions, or a literal.
 * A string that starts with `$` is a literal unless it has the form of an expression, so "$5" and "$USD" can be
 * written and "$response.bdoy" is refused. A brace without `$` and a letter after it is text, as JSON payloads need.
 */
export function parseTemplate(text: string): Template {
  if (text.length > MAX_TEMPLATE) throw tooLong('string value', text.length, MAX_TEMPLATE)
  if (meansExpression(text)) {
    const expression = parseExpression(text)
    return { kind: 'expression', text, expression, references: [expression] }
  }
  const parts = parseEmbedded(text)
  const references = parts.filter((part) => typeof part !== 'string')
  return references.length === 0 ? { kind: 'literal', text, references } : { kind: 'embedded', text, parts, references }
}

/** Splits a text into literal pieces and the expressions in its braces. */
export function parseEmbedded(text: string): (string | Expression)[] {
  const parts: (string | Expression)[] = []
  const opening = /\{(?=\$[A-Za-z])/g
  let done = 0
  for (let open = opening.exec(text); open !== null; open = opening.exec(text)) {
    const start = open.index + 1
    const close = text.indexOf('}', start)
    if (close === -1) throw unclosed(text, start)
    const { expression, end } = scanExpression(text, start, close)
    if (end < close) throw trailing(expression, text.slice(end, close), end)
    if (open.index > done) parts.push(text.slice(done, open.index))
    parts.push(expression)
    done = close + 1
    opening.lastIndex = done
  }
  if (done < text.length) parts.push(text.slice(done))
  return parts
}

/** The value of an expression; undefined means that it has none. */
export function evaluate(expression: Expression, context: Context): unknown {
  return resolvePointer(sourceValue(expression, context), expression.pointer)
}

/** The value of a template. Throws ExpressionError where a value cannot be written as JSON (nested too deep). */
export function render(template: Template, context: Context): Rendered {
  if (template.kind === 'literal') return { ok: true, value: template.text }
  if (template.kind === 'expression') {
    const value = evaluate(template.expression, context)
    return value === undefined ? { ok: false, missing: template.expression } : { ok: true, value }
  }
  let value = ''
  for (const part of template.parts) {
    const piece = typeof part === 'string' ? part : evaluate(part, context)
    if (piece === undefined) return { ok: false, missing: part as Expression }
    value += asText(piece)
  }
  return { ok: true, value }
}

/** How a value is embedded: a string as it is, scalars by their JSON text, structures as JSON (RFC 8259). */
export function asText(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return writeJson(value) ?? ''
  } catch (cause) {
    throw new ExpressionError({ offset: 0, message: 'a value is nested too deep to be written as JSON' }, cause)
  }
}

/**
 * Reference tokens of a JSON Pointer (RFC 6901), unescaped. Arazzo forbids braces in pointers only within expressions, so
 * that an embedded expression ends at the first one. `offset` is where the pointer starts, for the error's place.
 */
export function parsePointer(pointer: string, offset = 0): readonly string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) {
    throw new ExpressionError({
      offset,
      message: `"${clip(pointer)}" is not a JSON Pointer`,
      expected: '"/" at its start',
      found: quote(pointer[0] ?? ''),
      hint: `did you mean "/${clip(pointer.replace(/^[.$]+/, '').replaceAll('.', '/'))}"?`,
    })
  }
  const tilde = /~(?![01])/.exec(pointer)
  if (tilde !== null) {
    throw new ExpressionError({
      offset: offset + tilde.index,
      message: `"${clip(pointer)}" is not a JSON Pointer`,
      expected: '"~0" for a tilde or "~1" for a slash',
      found: quote(pointer.slice(tilde.index, tilde.index + 2)),
    })
  }
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The value a pointer leads to: own members and existing elements only; anything else has no value (RFC 6901 §4). */
export function resolvePointer(value: unknown, pointer: readonly string[]): unknown {
  let current = value
  for (const token of pointer) {
    if (Array.isArray(current)) current = /^(?:0|[1-9]\d*)$/.test(token) ? current[Number(token)] : undefined
    else current = own(current, token)
  }
  return current
}

/** A member that the value itself has; never one of its prototype, so `constructor` has no value unless sent. */
export function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
    return undefined
  }
  return (value as Readonly<Record<string, unknown>>)[name]
}

export function quote(text: string): string {
  return text === '' ? 'the end' : `"${clip(text)}"`
}

export function clip(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}

export function tooLong(what: string, length: number, limit: number): ExpressionError {
  return new ExpressionError({
    offset: 0,
    message: `the ${what} is too long`,
    expected: `at most ${limit} characters`,
    found: `${length}`,
  })
}

const FIXED = ['url', 'method', 'statusCode', 'self'] as const
const DOTTED = ['request', 'response', 'inputs', 'outputs', 'steps', 'workflows', 'sourceDescriptions', 'components']
/** Valid by the ABNF, but only in documents with AsyncAPI sources. */
const ASYNC_ONLY = ['message', 'payload']
const HEADS = [...FIXED, ...DOTTED]

function meansExpression(text: string): boolean {
  const [, head, next] = /^\$([A-Za-z]+)([\s\S]?)/.exec(text) ?? []
  if (head === undefined || next === undefined) return false
  if (HEADS.includes(head)) return next === '' || next === '.' || next === '#'
  // A dotted word without blanks can only be meant as an expression, a lone word only if it is nearly one.
  if (next === '.') return /^\S+$/.test(text)
  return next === '' && head.length > 3 && nearest(head, HEADS) !== undefined
}

/**
 * Parses the expression that starts at `offset` and must not reach beyond `limit`. `end` is where it stops: names and
 * pointers take everything up to `limit`, the other forms stop by themselves and the caller decides what may follow.
 */
export function scanExpression(text: string, offset: number, limit: number): { expression: Expression; end: number } {
  if (limit - offset > MAX_EXPRESSION) throw tooLong('runtime expression', limit - offset, MAX_EXPRESSION)
  const scanner = new Scanner(text.slice(0, limit), offset)
  const source = scanSource(scanner)
  const pointed = !(source.kind === 'request' || source.kind === 'response') || source.part === 'body'
  const pointer = pointed && scanner.at('#') && !UNPOINTED.has(source.kind) ? scanner.pointer() : []
  const expression = { ...source, text: text.slice(offset, scanner.position), offset, pointer }
  return { expression, end: scanner.position }
}

const UNPOINTED: ReadonlySet<string> = new Set([...FIXED, 'sourceDescriptions', 'components'])
const IDENTIFIER = /[A-Za-z0-9._-]+/y
const IDENTIFIER_STRICT = /[A-Za-z0-9_-]+/y
/** RFC 9110 §5.6.2 */
const TOKEN = /[!#$%&'*+.^_`|~A-Za-z0-9-]+/y

function scanSource(scanner: Scanner): Source {
  scanner.expect('$')
  const head = scanner.word([...HEADS, 'message'])
  switch (head) {
    case 'url':
    case 'method':
    case 'statusCode':
    case 'self':
      return { kind: head }
    case 'request':
    case 'response': {
      scanner.expect('.')
      const part = scanner.word(['header', 'query', 'path', 'body', 'payload'])
      if (part === 'payload') throw scanner.unsupported(`$${head}.payload`)
      if (part === 'body') return { kind: head, part }
      scanner.expect('.')
      if (part === 'header') return { kind: head, part, name: scanner.name(TOKEN, 'a header name') }
      return { kind: head, part: part as 'query' | 'path', name: scanner.characters('a parameter name') }
    }
    case 'inputs':
    case 'outputs':
      scanner.expect('.')
      return { kind: head, name: scanner.name(IDENTIFIER, `the name of an ${head.slice(0, -1)}`) }
    case 'steps': {
      scanner.expect('.')
      const stepId = scanner.name(IDENTIFIER_STRICT, 'a stepId')
      scanner.expect('.')
      scanner.word(['outputs'])
      scanner.expect('.')
      return { kind: head, stepId, name: scanner.name(IDENTIFIER, 'the name of an output') }
    }
    case 'workflows': {
      scanner.expect('.')
      const workflowId = scanner.name(IDENTIFIER_STRICT, 'a workflowId')
      scanner.expect('.')
      const field = scanner.word(['inputs', 'outputs']) as 'inputs' | 'outputs'
      scanner.expect('.')
      return { kind: head, workflowId, field, name: scanner.name(IDENTIFIER, `the name of an ${field.slice(0, -1)}`) }
    }
    case 'sourceDescriptions': {
      scanner.expect('.')
      const source = scanner.name(IDENTIFIER_STRICT, 'the name of a source description')
      scanner.expect('.')
      return { kind: head, source, reference: scanner.characters('an operationId, a workflowId or a field') }
    }
    case 'components': {
      scanner.expect('.')
      const component = scanner.word(['parameters', 'successActions', 'failureActions'])
      scanner.expect('.')
      const name = scanner.name(IDENTIFIER, 'the name of a component')
      return { kind: head, component: component as 'parameters' | 'successActions' | 'failureActions', name }
    }
    default:
      throw scanner.unsupported('$message')
  }
}

class Scanner {
  readonly text: string
  readonly start: number
  position: number

  constructor(text: string, start: number) {
    this.text = text
    this.start = start
    this.position = start
  }

  at(character: string): boolean {
    return this.text[this.position] === character
  }

  expect(character: string): void {
    if (!this.at(character)) throw this.mistake(quote(character), this.rest().slice(0, 1))
    this.position++
  }

  /** One of the words of the grammar, with the nearest of them as the hint. */
  word(words: readonly string[]): string {
    const found = this.match(/[A-Za-z]+/y)
    if (words.includes(found)) return found
    const offset = this.position - found.length
    const near = found.length > 40 ? undefined : nearest(found, words)
    const shown = words.filter((word) => !ASYNC_ONLY.includes(word)).map((word) => `"${word}"`)
    this.position = offset
    throw this.mistake(
      shown.length === 1 ? `${shown[0]}` : `one of ${shown.join(', ')}`,
      found || this.rest().slice(0, 1),
      {
        hint: near === undefined ? undefined : `did you mean "${this.text.slice(this.start, offset)}${near}"?`,
      },
    )
  }

  name(form: RegExp, what: string): string {
    const found = this.match(form)
    if (found === '') throw this.mistake(what, this.rest().slice(0, 1))
    return found
  }

  /** `1*CHAR` up to the limit, unescaped. The ABNF lets a parameter name be empty; here that is a mistake. */
  characters(what: string): string {
    const found = this.match(/(?:[ !#-[\]-z|~-\u{10ffff}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*/uy)
    const odd = this.rest().slice(0, 1)
    if (odd !== '' && (odd < ' ' || '"\\{}'.includes(odd))) {
      throw this.mistake(odd === '"' || odd === '\\' ? 'an escape as in JSON strings' : 'a character of a name', odd)
    }
    if (found === '') throw this.mistake(what, this.rest().slice(0, 1))
    return found.includes('\\') ? String(JSON.parse(`"${found}"`)) : found
  }

  pointer(): readonly string[] {
    this.position++
    const pointer = this.rest()
    const brace = pointer.search(/[{}]/)
    if (brace !== -1) {
      this.position += brace
      throw this.mistake('a JSON Pointer without braces', pointer[brace] ?? '')
    }
    const tokens = parsePointer(pointer, this.position)
    this.position = this.text.length
    return tokens
  }

  mistake(expected: string, found: string, more: Partial<Mistake> = {}): ExpressionError {
    const message = `"${clip(this.text.slice(this.start))}" is not a runtime expression`
    return new ExpressionError({ message, offset: this.position, expected, found: quote(found), ...more })
  }

  unsupported(what: string): ExpressionError {
    return new ExpressionError({
      message: `"${what}" is not supported`,
      offset: this.start,
      unsupported: true,
      hint: 'it reads AsyncAPI messages; for HTTP write "$request.body" or "$response.body"',
    })
  }

  private rest(): string {
    return this.text.slice(this.position)
  }

  private match(form: RegExp): string {
    form.lastIndex = this.position
    const found = form.exec(this.text)?.[0] ?? ''
    this.position += found.length
    return found
  }
}

function trailing(expression: Expression, rest: string, offset: number): ExpressionError {
  const isBody = (expression.kind === 'request' || expression.kind === 'response') && expression.part === 'body'
  const path = /^[.[]/.test(rest) ? rest.replace(/\[(\d+)\]/g, '.$1').replaceAll('.', '/') : undefined
  const takesPointer = isBody || ['inputs', 'outputs', 'steps', 'workflows'].includes(expression.kind)
  return new ExpressionError({
    message: `"${clip(expression.text + rest)}" is not a runtime expression`,
    offset,
    expected: isBody ? 'the end or "#" with a JSON Pointer' : 'the end',
    found: quote(rest.slice(0, 1)),
    hint: path !== undefined && takesPointer ? `did you mean "${clip(`${expression.text}#${path}`)}"?` : undefined,
  })
}

function unclosed(text: string, start: number): ExpressionError {
  return new ExpressionError({
    message: `the embedded expression "${clip(text.slice(start))}" does not end`,
    offset: text.length,
    expected: '"}"',
    found: 'the end',
  })
}

function sourceValue(expression: Expression, context: Context): unknown {
  switch (expression.kind) {
    case 'url':
    case 'method':
    case 'statusCode':
    case 'self':
      return context[expression.kind]
    case 'request':
    case 'response': {
      const message = context[expression.kind]
      if (expression.part === 'body') return message?.body
      if (expression.part === 'header') return headerValue(message, expression.name)
      return own(message?.[expression.part], expression.name)
    }
    case 'inputs':
      return context.inputs(expression.name)
    case 'outputs':
      return own(context.outputs, expression.name)
    case 'steps':
      return own(context.steps.get(expression.stepId)?.outputs, expression.name)
    case 'workflows':
      return own(context.workflows?.get(expression.workflowId)?.[expression.field], expression.name)
    case 'sourceDescriptions':
      // Arazzo looks for an operationId or workflowId first. Those are resolved before the run, so this is a field.
      return own(context.sourceDescriptions?.get(expression.source), expression.reference)
    case 'components':
      // Components are put in place while the flow is read; they have no value at run time.
      return undefined
    default:
      return expression satisfies never
  }
}

/** Names without case, repeated lines joined as one list (RFC 9110 §5.3). */
function headerValue(message: MessageParts | undefined, name: string): string | undefined {
  const values = (message?.headers ?? []).filter(([each]) => each.toLowerCase() === name.toLowerCase())
  return values.length === 0 ? undefined : values.map(([, value]) => value).join(', ')
}
