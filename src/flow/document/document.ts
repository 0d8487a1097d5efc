/** Parses YAML or JSON into plain data and finds the line and column of each value. Beside write.ts the only file that imports yaml. */
import { createHash } from 'node:crypto'
import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument as parseYaml,
  Scalar,
  visit,
  type YAMLMap,
} from 'yaml'
import { fail, isNonEmpty, type Problem, type SourceLocation, ToolError } from '../../record/errors.ts'
import { exactNumber } from '../../record/json.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { readTextFile, whyUnread } from '../../record/regular-file.ts'
import { fromCompiled, readCompiled } from './compiled.ts'
import type { Document, Path } from './model.ts'
import { otherKindOf } from './others.ts'

/** Larger than any hand-written flow or API description; limits hostile files. */
const LARGEST = FILE_LIMITS.flowCharacters.value
/** Aliases may not multiply the document ("billion laughs"). */
const MOST_ALIASES = FILE_LIMITS.yamlAliases.value
/** Deepest nesting of objects and lists, so that code that reads a document may recurse. */
const DEEPEST = FILE_LIMITS.yamlDepth.value
/** Most objects, lists and other values in a flow, counted once for each alias; ten times the count in a long flow. */
const MOST_VALUES = FILE_LIMITS.flowValues.value
const TWICE = 'not valid YAML: a member occurs twice in one object'
const TOO_DEEP = `the file is nested more than ${DEEPEST} levels deep`

export async function readDocument(
  file: string,
  named: string,
  at?: SourceLocation,
  { exactNumbers = false } = {},
): Promise<Document> {
  let text: string
  try {
    text = readTextFile(file)
  } catch (cause) {
    return fail(
      {
        code: 'FLOW_FILE',
        message: `${named} "${file}" cannot be read: ${whyUnread(cause)}`,
        at,
        hint: at === undefined ? 'check the path' : 'check the path; it starts at the folder of the file that names it',
      },
      cause,
    )
  }
  const key = JSON.stringify([file, exactNumbers])
  const known = at === undefined ? undefined : sharedDocuments.get(key)
  if (known?.text === text) return known
  const document = parseDocument(text, file, exactNumbers)
  if (at !== undefined) sharedDocuments.set(key, document)
  return document
}

/** Documents that others name, as they were last read: the flows of a run share a few. */
const sharedDocuments = new Map<string, Document>()

/**
 * Parses a flow. Limits its number of values, so that work for each value or for each pair of values ends soon. A whole number
 * that JavaScript's numbers cannot hold is a bigint.
 */
export async function readFlowDocument(file: string, named: string, at?: SourceLocation): Promise<Document> {
  const document = await readDocument(file, named, at, { exactNumbers: true })
  const other = otherKindOf(document.data)
  if (other !== undefined)
    fail({
      code: 'FLOW_STRUCTURE',
      message: `the file is ${other.is}, not a flow`,
      at: document.at([]),
      expected: 'an Arazzo document: arazzo: 1.0.1, info, sourceDescriptions, workflows',
      hint: other.hint,
    })
  let left = MOST_VALUES
  const open: { readonly value: unknown; readonly path: Path }[] = [{ value: document.data, path: [] }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path } = next
    if (--left < 0) {
      fail({
        code: 'FLOW_STRUCTURE',
        message: 'the document is too large',
        at: document.at(path),
        expected: `at most ${MOST_VALUES} values`,
        hint: 'divide it into several flows',
      })
    }
    if (typeof value !== 'object' || value === null) continue
    for (const [key, child] of Object.entries(value).reverse())
      open.push({ value: child, path: [...path, Array.isArray(value) ? Number(key) : key] })
  }
  return document
}

/** Throws ToolError FLOW_SYNTAX with every syntax problem of the text. */
function parseDocument(text: string, file: string, exactNumbers: boolean): Document {
  if (text.length > LARGEST) {
    fail({
      code: 'FLOW_SYNTAX',
      message: `"${file}" is too large`,
      expected: `at most ${LARGEST} characters`,
      found: `${text.length}`,
    })
  }
  const sha256 = createHash('sha256').update(text).digest('hex')
  const parse = () => parsed(text, file, sha256, exactNumbers)
  const compiled = readCompiled(sha256)
  return compiled === undefined ? parse() : fromCompiled(compiled, { file, text, sha256 }, parse)
}

function parsed(text: string, file: string, sha256: string, exactNumbers: boolean): Document {
  const lines = new LineCounter()
  const place = (offset: number): SourceLocation => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const { document, faults, data } = guarded(file, () => {
    const document = parseYaml(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false, version: '1.2' })
    const faults = faultsOf(document)
    if (exactNumbers) makeExact(document)
    return { document, faults, data: faults.length > 0 ? undefined : document.toJS({ maxAliasCount: MOST_ALIASES }) }
  })
  const problems = faults.map(
    ({ offset, words }): Problem => ({ code: 'FLOW_SYNTAX', message: words, at: place(offset) }),
  )
  // The parser misreads a line after its first mistake, so only that one is reported.
  const first = problems.filter(({ at }, index) => problems.findIndex((other) => other.at?.line === at?.line) === index)
  if (isNonEmpty(first)) throw new ToolError(first)

  const pairs = new WeakMap<object, ReadonlyMap<string, Pair>>()
  /** Uses an index for each object: a linear search for each of a hundred thousand members takes minutes. */
  const pairOf = (map: YAMLMap, key: string | number): Pair | undefined => {
    const known =
      pairs.get(map) ??
      new Map(map.items.map((pair): [string, Pair] => [isScalar(pair.key) ? String(pair.key.value) : '', pair]))
    pairs.set(map, known)
    return known.get(String(key))
  }
  const childOf = (node: unknown, key: string | number): unknown => {
    if (isMap(node)) return pairOf(node, key)?.value
    return isSeq(node) ? node.items[Number(key)] : undefined
  }
  const nodeAt = (path: Path): { node: Node | undefined; whole: boolean } => {
    let node: unknown = document.contents
    let nearest = { node: document.contents as Node | null, length: 0 }
    for (const [index, key] of path.entries()) {
      node = childOf(node, key)
      if (!isNode(node)) break
      if (node.range) nearest = { node, length: index + 1 }
    }
    return { node: nearest.node ?? undefined, whole: nearest.length === path.length }
  }
  return {
    file,
    text,
    sha256,
    data,
    at(path, offset = 0) {
      const { node, whole } = nodeAt(path)
      return place(
        (node?.range?.[0] ?? 0) + (whole && offset > 0 && isScalar(node) ? intoScalar(node, offset, text) : 0),
      )
    },
    keyAt(path) {
      const parent = path.slice(0, -1).reduce<unknown>(childOf, document.contents)
      const pair = isMap(parent) ? pairOf(parent, path.at(-1) ?? '') : undefined
      return isScalar(pair?.key) && pair.key.range ? place(pair.key.range[0]) : this.at(path)
    },
  }
}

interface Fault {
  /** characters from the start of the text */
  readonly offset: number
  readonly words: string
}

/** Problems that stop a text from being read as data. Warnings of the parser (a tag like !include) count as errors here. */
function faultsOf(document: ReturnType<typeof parseYaml>): readonly Fault[] {
  const faults: Fault[] = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    offset: pos[0],
    words: code === 'RESOURCE_EXHAUSTION' ? TOO_DEEP : `not valid YAML: ${FAULTS[code] ?? firstLine(message)}`,
  }))
  const tooDeep = faults.find(({ words }) => words === TOO_DEEP)
  if (tooDeep !== undefined) return [tooDeep]
  const anchors = new Map<string, Node>()
  visit(document, {
    Node(_, node, path) {
      const offset = node.range?.[0] ?? 0
      if (isMap(node)) faults.push(...repeatedNames(node))
      if (isAlias(node)) {
        const [start = 0, end = 0] = anchors.get(node.source)?.range ?? []
        const words = end === 0 ? 'nothing above it' : offset < end ? 'something that it is part of' : undefined
        if (words !== undefined && start <= offset)
          faults.push({ offset, words: `not valid YAML: the alias "*${node.source}" stands for ${words}` })
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node)
      if (path.filter(isCollection).length < DEEPEST) return undefined
      faults.push({ offset, words: TOO_DEEP })
      return visit.BREAK
    },
  })
  return faults
}

/** The parser rounds a number of many digits. */
function makeExact(document: ReturnType<typeof parseYaml>): void {
  visit(document, {
    Scalar(_, node) {
      const { value, source = '' } = node
      if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^[-+]?\d+$/.test(source)) return
      node.value = exactNumber(source.replace('+', '')) ?? value
    },
  })
}

/** The parser's own check compares each name with all others, which takes minutes for a hundred thousand. */
function repeatedNames({ items }: YAMLMap): Fault[] {
  const names = new Set<unknown>()
  return items.flatMap(({ key }) => {
    const name = isScalar(key) ? key.value : key
    if (!names.has(name)) {
      names.add(name)
      return []
    }
    return [{ offset: isNode(key) ? (key.range?.[0] ?? 0) : 0, words: TWICE }]
  })
}

/**
 * From the start of a scalar to a character of its value. Lines are followed through the text, since a line break and the
 * white space around it are one character of the value; an escape in double quotes is counted as one.
 */
function intoScalar(node: Scalar, offset: number, text: string): number {
  const [start = 0, end = 0] = node.range ?? []
  const isBlock = node.type === Scalar.BLOCK_FOLDED || node.type === Scalar.BLOCK_LITERAL
  const isQuoted = node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE
  let position = isBlock ? text.indexOf('\n', start) + 1 : start + (isQuoted ? 1 : 0)
  const indentAt = (from: number) => /^[ \t]*/.exec(text.slice(from, from + 1024))?.[0].length ?? 0
  let indent = isBlock ? indentAt(position) : 0
  for (let left = offset; ; ) {
    const found = text.indexOf('\n', position)
    const lineEnd = found === -1 ? text.length : found
    const length = Math.max(0, text.slice(position + indent, lineEnd).trimEnd().length)
    if (left <= length || lineEnd + 1 >= end) return position + indent + left - start
    const isFolded = node.type !== Scalar.BLOCK_LITERAL && /^[ \t]*\r?\n/.test(text.slice(lineEnd + 1, lineEnd + 1024))
    left -= length + (isFolded ? 0 : 1)
    position = lineEnd + 1
    if (!isBlock) indent = indentAt(position)
  }
}

function guarded<T>(file: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    // The two errors that the parser throws: a text too deep for its own recursion, and aliases beyond MOST_ALIASES.
    if (!(cause instanceof RangeError || cause instanceof ReferenceError)) throw cause
    const message = cause instanceof RangeError ? TOO_DEEP : 'the aliases of the file multiply it beyond all measure'
    return fail({ code: 'FLOW_SYNTAX', message, at: { file, line: 1, column: 1 } }, cause)
  }
}

/** Replaces messages of the parser that do not name the author's mistake. */
const FAULTS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'a member starts in the middle of a line; a text with ": " in it needs quotes',
  MULTIPLE_DOCS: 'the file holds more than one document',
  TAB_AS_INDENT: 'a tab stands where only spaces may indent',
}

function firstLine(message: string): string {
  const unclosed = /^Flow (?:map|sequence) .*end with a ([}\]])$/.exec(message)?.[1]
  if (unclosed !== undefined) return `a "${unclosed === '}' ? '{' : '['}" above this line has no "${unclosed}"`
  const line = (message.split('\n')[0] ?? message).replace(/[.:]$/, '')
  return line.charAt(0).toLowerCase() + line.slice(1)
}
