/**
 * What the scripts of Postman do in their common forms: tests of the status and of members, captures of the answer into
 * variables, and signing. What is not of a known form is left to a person. Nothing is run. Pure.
 */
import type { Script } from './collection.ts'

export interface Capture {
  readonly variable: string
  /** a JSON Pointer into the body, `body` for all of it, or the name of a header */
  readonly from: { readonly pointer: string } | 'body' | { readonly header: string }
}

/** What a test demands, in the terms of a criterion. */
export type Demand =
  | { readonly is: 'status'; readonly anyOf: readonly number[] }
  | { readonly is: 'success' }
  | { readonly is: 'member'; readonly pointer: string; readonly value: string | number | boolean | undefined }
  | { readonly is: 'variable'; readonly pointer: string; readonly variable: string }

export interface Understood {
  readonly captures: readonly Capture[]
  readonly demands: readonly Demand[]
  /** variables that are signed JWTs */
  readonly signs: readonly string[]
  /** pointers of the lines that are carried over, with what becomes of them */
  readonly carried: ReadonlyMap<string, string>
  /** pointers of the other lines that do something, with the reason */
  readonly left: ReadonlyMap<string, string>
}

interface Found {
  captures: Capture[]
  demands: Demand[]
  signs: string[]
  carried: Map<string, string>
  left: Map<string, string>
}

export function understood(scripts: readonly Script[]): Understood {
  const found: Found = { captures: [], demands: [], signs: [], carried: new Map(), left: new Map() }
  for (const script of scripts) {
    if (SIGNS.test(script.lines.map(({ text }) => text).join('\n'))) signing(script, found)
    else if (script.when === 'prerequest')
      leave(script, 'a script that runs before the request: write what it prepares as an input of the flow', found)
    else test(script, found)
  }
  return found
}

const SIGNS = /\bKJUR\b|\bJWS\.sign\b|jsonwebtoken|\bjwt\.sign\(|\bSignJWT\b|RSA-PSS|subtle\.sign/
const SET =
  /^(?:pm\.(?:environment|globals|collectionVariables|variables)\.set|postman\.set(?:Environment|Global)Variable)\(\s*(['"`])([^'"`]+)\1\s*,\s*([\s\S]+)\)$/

/** A script that signs a client assertion: `mint` of a flow does all of it. */
function signing(script: Script, found: Found): void {
  for (const { text, at } of script.lines) {
    const [, , variable] = SET.exec(text.trim().replace(/;\s*$/, '')) ?? []
    if (variable !== undefined && !/jsrsasign/i.test(variable)) found.signs.push(variable)
    if (text.trim() !== '')
      found.carried.set(at, 'replaced by mint: client_assertion, which signs with the key of the settings')
  }
}

function leave(script: Script, reason: string, { left }: Found): void {
  for (const { text, at } of script.lines) if (!isNothing(text)) left.set(at, reason)
}

function isNothing(text: string): boolean {
  return /^\s*(?:\/\/.*|\/\*.*\*\/)?\s*$/.test(text)
}

/** A test script, statement by statement. A line is carried over where all that stands in it is. */
function test(script: Script, found: Found): void {
  const lines = script.lines
  const names = new Names()
  const fate = lines.map(({ text }): 'nothing' | 'carried' | 'left' => (isNothing(text) ? 'nothing' : 'carried'))
  for (const { text, first, last } of statementsOf(lines.map((line) => line.text).join('\n'))) {
    if (read(text, names, found)) continue
    for (let line = first; line <= last; line++) if (fate[line] === 'carried') fate[line] = 'left'
  }
  for (const [index, { at }] of lines.entries()) {
    if (fate[index] === 'carried') found.carried.set(at, 'criteria and outputs of the step')
    else if (fate[index] === 'left')
      found.left.set(at, 'a script of no known form: write it as criteria or outputs of the step')
  }
}

/** Names of the body as parsed JSON. */
class Names {
  readonly #names = new Set<string>()

  add(name: string): void {
    this.#names.add(name)
  }

  /** The pointer that an expression such as `j.a['b'][0]` leads to. */
  pointerOf(expression: string): string | undefined {
    const text = expression.trim()
    const start = /^(?:pm\.response\.json\(\)|JSON\.parse\((?:responseBody|pm\.response\.text\(\))\))/.exec(text)?.[0]
    const name = start ?? /^[A-Za-z_$][\w$]*/.exec(text)?.[0]
    if (name === undefined || (start === undefined && !this.#names.has(name))) return undefined
    let pointer = ''
    let rest = text.slice(name.length)
    while (rest !== '') {
      const part = /^(?:\?)?\.([A-Za-z_$][\w$]*)|^\[\s*(\d+)\s*\]|^\[\s*(['"])([^'"]+)\3\s*\]/.exec(rest)
      if (part === null) return undefined
      const member = part[1] ?? part[2] ?? part[4] ?? ''
      if (!/^[\w-]+$/.test(member)) return undefined
      pointer += `/${member}`
      rest = rest.slice(part[0].length)
    }
    return pointer
  }
}

/** In characters: a longer one is of no known form. */
const LONGEST = 20_000

/** Whether all that the statement does is understood. */
function read(statement: string, names: Names, found: Found): boolean {
  const text = statement.trim().replace(/;$/, '').trim()
  if (text.length > LONGEST) return false
  if (text === '' || isNothing(text) || /^(?:console\.\w+\(|(['"])use strict\1$)/.test(text)) return true
  return readers.some((reader) => reader(text, names, found))
}

type ReadStatement = (text: string, names: Names, found: Found) => boolean

const readers: readonly ReadStatement[] = [readTest, readName, readCapture, readCondition, readLegacy, readDemand]

function block(text: string, names: Names, found: Found): boolean {
  // Each one, so that what can be read is.
  return statementsOf(text)
    .map((one) => read(one.text, names, found))
    .every(Boolean)
}

function readTest(text: string, names: Names, found: Found): boolean {
  const [, , head = '', body] =
    /^pm\.test\(\s*(['"`])[\s\S]*?\1\s*,\s*((?:async\s+)?function\s*\w*\s*\([^)]*\)\s*|\([^)]*\)\s*=>\s*)([\s\S]*)\)$/.exec(
      text,
    ) ?? []
  if (body === undefined) return false
  const inner = body.trim()
  if (inner.startsWith('{') && inner.endsWith('}')) return block(inner.slice(1, -1), names, found)
  return head.includes('=>') && read(inner, names, found)
}

function readName(text: string, names: Names): boolean {
  const [, name, value] = /^(?:(?:const|let|var)\s+)?([A-Za-z_$][\w$]*)\s*=\s*([\s\S]+)$/.exec(text) ?? []
  if (name === undefined || value === undefined || names.pointerOf(value) !== '') return false
  names.add(name)
  return true
}

function readCapture(text: string, names: Names, { captures }: Found): boolean {
  const [, , variable, value] = SET.exec(text) ?? []
  if (variable === undefined || value === undefined) return false
  const header = /^(?:pm\.response\.headers\.get|postman\.getResponseHeader)\(\s*(['"])([\w-]+)\1\s*\)$/.exec(
    value.trim(),
  )?.[2]
  const pointer = names.pointerOf(value)
  if (/^(?:pm\.response\.text\(\)|responseBody)$/.test(value.trim())) captures.push({ variable, from: 'body' })
  else if (header !== undefined) captures.push({ variable, from: { header } })
  else if (pointer !== undefined) captures.push({ variable, from: { pointer } })
  else return false
  return true
}

/** `if (j.token) pm.environment.set('token', j.token)`: an output that may be missing. */
function readCondition(text: string, names: Names, found: Found): boolean {
  const [, condition = '', then] = /^if\s*\(([^()]*(?:\(\)[^()]*)*)\)\s*([\s\S]+)$/.exec(text) ?? []
  if (
    then === undefined ||
    (names.pointerOf(condition) === undefined &&
      !/^(?:pm\.response\.code|responseCode\.code)\s*={2,3}\s*\d{3}$/.test(condition.trim()))
  )
    return false
  const inner = then.trim()
  const statements = inner.startsWith('{') && inner.endsWith('}') ? inner.slice(1, -1) : inner
  return statementsOf(statements).every((one) => readCapture(one.text.trim().replace(/;$/, ''), names, found))
}

/** `tests["…"] = …` */
function readLegacy(text: string, names: Names, found: Found): boolean {
  const [, , value] = /^tests\[\s*(['"`])[\s\S]*?\1\s*\]\s*=\s*([\s\S]+)$/.exec(text) ?? []
  const [, left = '', right] = /^([\s\S]+?)\s*={2,3}\s*([\s\S]+)$/.exec(value ?? '') ?? []
  if (right === undefined) return false
  if (/^(?:responseCode\.code|pm\.response\.code)$/.test(left.trim()) && /^\d{3}$/.test(right.trim())) {
    found.demands.push({ is: 'status', anyOf: [Number(right)] })
    return true
  }
  return compared(names.pointerOf(left), right, found)
}

function readDemand(text: string, names: Names, found: Found): boolean {
  const { demands } = found
  const status = /^pm\.response\.to\.have\.status\(\s*(\d{3})\s*\)$/.exec(text)?.[1]
  const [, subject = '', verb = '', value = ''] =
    /^pm\.expect\(([\s\S]+?)\)\.(to\.[\w.]+)\(\s*([\s\S]*?)\s*\)$/.exec(text) ?? []
  if (status !== undefined) demands.push({ is: 'status', anyOf: [Number(status)] })
  else if (/^pm\.response\.to\.be\.(?:ok|success)(?:\(\))?$/.test(text)) demands.push({ is: 'success' })
  else if (/^(?:pm\.response\.code|responseCode\.code)$/.test(subject.trim())) {
    const codes = value.match(/^\[?(\s*\d{3}\s*,?)+\]?$/) ? (value.match(/\d{3}/g) ?? []).map(Number) : []
    if (codes.length === 0 || !/^to\.(?:be\.oneOf|(?:deep\.)?equals?|eq|eql|be\.equal|be\.eql)$/.test(verb))
      return false
    demands.push({ is: 'status', anyOf: codes })
  } else if (/^to\.(?:deep\.)?(?:equals?|eq|eql|be\.equal|be\.eql)$/.test(verb))
    return compared(names.pointerOf(subject), value, found)
  else if (/^to\.have\.(?:own\.)?property$/.test(verb)) {
    const pointer = names.pointerOf(subject)
    const member = literal(value)
    if (pointer === undefined || typeof member !== 'string' || !/^[\w-]+$/.test(member)) return false
    demands.push({ is: 'member', pointer: `${pointer}/${member}`, value: undefined })
  } else return false
  return true
}

function compared(pointer: string | undefined, right: string, { demands }: Found): boolean {
  const variable = /^pm\.(?:environment|globals|collectionVariables|variables)\.get\(\s*(['"])([^'"]+)\1\s*\)$/.exec(
    right.trim(),
  )?.[2]
  const value = literal(right)
  if (pointer === undefined || pointer === '') return false
  if (variable !== undefined) demands.push({ is: 'variable', pointer, variable })
  else if (value !== undefined) demands.push({ is: 'member', pointer, value })
  else return false
  return true
}

function literal(text: string): string | number | boolean | undefined {
  const trimmed = text.trim()
  const quoted = /^(['"])([^'"\\]*)\1$/.exec(trimmed)?.[2]
  if (quoted !== undefined) return quoted
  if (trimmed === 'true' || trimmed === 'false') return trimmed === 'true'
  return /^-?\d{1,15}(?:\.\d+)?$/.test(trimmed) ? Number(trimmed) : undefined
}

interface Statement {
  readonly text: string
  /** lines, from 0 */
  readonly first: number
  readonly last: number
}

/** The same text with its comments as blanks. */
function withoutComments(text: string): string {
  return text.replace(/(['"])(?:\\.|(?!\1)[^\\\n])*\1|`(?:\\[\s\S]|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (part) =>
    part.startsWith('/') ? part.replace(/[^\n]/g, ' ') : part,
  )
}

/** Divides at semicolons and at line ends outside of brackets and texts. */
function statementsOf(written: string): readonly Statement[] {
  const text = withoutComments(written)
  const statements: Statement[] = []
  let depth = 0
  let quote = ''
  let start = 0
  let line = 0
  let first = 0
  const end = (at: number) => {
    const part = text.slice(start, at)
    const lead = part.length - part.trimStart().length
    const leading = part.slice(0, lead).split('\n').length - 1
    if (part.trim() !== '') statements.push({ text: part.trim(), first: first + leading, last: line })
    start = at + 1
  }
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (quote !== '') {
      if (character === '\\') at += 1
      else if (character === quote || (character === '\n' && quote !== '`')) quote = ''
      if (text[at] === '\n') line += 1
      continue
    }
    if (`'"\``.includes(character)) quote = character
    else if ('([{'.includes(character)) depth += 1
    else if (')]}'.includes(character)) depth -= 1
    if (character !== ';' && character !== '\n') continue
    const continues = character === '\n' && /^\s*[.)\]}]/.test(text.slice(at + 1, at + 100))
    if (depth <= 0 && !continues) {
      end(at)
      first = character === '\n' ? line + 1 : line
      depth = 0
    }
    if (character === '\n') line += 1
  }
  end(text.length)
  return statements
}
