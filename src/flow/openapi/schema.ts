/**
 * Reads the schemas of a document into nodes that the validator walks: references followed, patterns compiled, each keyword
 * checked for its form. Only members that are keywords are read, so an example is never taken for a schema. What cannot be
 * read is a fault with its place; the keyword is then left out, and the node says that it is not judged.
 */

import type { ErrorCode } from '../../record/errors.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { ExpressionError } from '../expression/expression.ts'
import { type Pattern, parseSchemaPattern } from '../expression/pattern.ts'
import { type Holds, isSchema, KEYWORDS, keywordHint, UNREAD_KEYWORDS } from './keywords.ts'
import { resolve, type Target } from './reference.ts'

/** A JSON Schema as written in a document. */
export type Schema = boolean | Readonly<Record<string, unknown>>

/** A schema that was read. */
export interface SchemaNode {
  readonly path: Path
  /** false for the schema `false`, which nothing fits */
  readonly open: boolean
  /** by keyword, in the order in which they are judged */
  readonly rules: ReadonlyMap<string, Rule>
  readonly faults: readonly Fault[]
  /** why it is not judged as a whole: in plain words, one for each keyword that was left out */
  readonly unjudged: readonly string[]
}

/** One keyword of a schema. */
export interface Rule {
  readonly keyword: string
  readonly value: unknown
  /** of a keyword that holds a schema, or a list of them */
  readonly nodes: readonly SchemaNode[]
  /** of a keyword that holds schemas by name */
  readonly named: ReadonlyMap<string, SchemaNode>
  /** of `pattern`, and of `patternProperties` in the order of `named` */
  readonly patterns: readonly (Pattern | undefined)[]
  /** why one of the patterns is undefined */
  readonly unjudged: readonly string[]
}

export interface Fault {
  readonly code: ErrorCode
  /** where it is not judged but the schema can be used: lint warns */
  readonly isWarning?: true
  readonly message: string
  readonly path: Path
  /** the place is the last name of the path, not its value */
  readonly isName?: boolean
  readonly offset?: number | undefined
  readonly expected?: string | undefined
  readonly found?: string | undefined
  readonly hint?: string | undefined
}

const readers = new WeakMap<object, SchemaReader>()

/** The reader of the document with that data; it reads each schema once. */
export function schemasOf(root: unknown): SchemaReader {
  const key = isRecord(root) ? root : NOWHERE
  const known = readers.get(key) ?? new SchemaReader(key)
  readers.set(key, known)
  return known
}
const NOWHERE = {}

export class SchemaReader {
  readonly #root: Readonly<Record<string, unknown>>
  /** OpenAPI 3.0 writes some keywords in its own way. */
  readonly #isOld: boolean
  readonly #nodes = new Map<object, SchemaNode>()

  constructor(root: Readonly<Record<string, unknown>>) {
    this.#root = root
    this.#isOld = /^3\.0\./.test(String(root.openapi))
  }

  /** Reads the schema `raw` that stands at `path`; its references start at `base`. */
  read(raw: unknown, path: Path, from?: Target): SchemaNode {
    if (!isRecord(raw)) return this.#plain(raw, path)
    const known = this.#nodes.get(raw)
    if (known !== undefined) return known
    const rules = new Map<string, Rule>()
    const faults: Fault[] = []
    const unjudged: string[] = []
    // Stored before its keywords are read, since a schema may refer to itself.
    const node: SchemaNode = { path, open: true, rules, faults, unjudged }
    this.#nodes.set(raw, node)
    const schema = this.#isOld ? modern(raw) : raw
    // A schema with a URI of its own is where the references inside it start (JSON Schema Core §8.2.1).
    const base = typeof raw.$id === 'string' ? { value: raw, path } : from
    for (const keyword of UNREAD_KEYWORDS) {
      if (schema[keyword] === undefined) continue
      unjudged.push(`"${keyword}" is not supported`)
      faults.push({
        code: 'FLOW_UNSUPPORTED',
        message: `"${keyword}" in a schema is not supported`,
        path: [...path, keyword],
        hint: 'refer to the schema with "$ref"',
      })
    }
    for (const [keyword, { expected, fits, holds }] of KEYWORDS) {
      const value = schema[keyword]
      if (value === undefined) continue
      const place = [...path, keyword]
      if (!fits(value)) {
        faults.push(misfit(keyword, value, expected, place))
        unjudged.push(`"${keyword}" cannot be read`)
        continue
      }
      const rule = this.#rule({ keyword, value, path: place, holds, base })
      faults.push(...rule.faults)
      if (keyword === '$ref' && rule.nodes.length === 0) unjudged.push(`the reference "${String(value)}" leads nowhere`)
      else rules.set(keyword, rule)
    }
    return node
  }

  #plain(raw: unknown, path: Path): SchemaNode {
    const node = { path, rules: new Map<string, Rule>(), faults: [], unjudged: [] }
    if (typeof raw === 'boolean') return { ...node, open: raw }
    const fault = misfit('schema', raw, 'a schema: an object, true or false', path)
    return { ...node, open: true, faults: [fault], unjudged: ['it is no schema'] }
  }

  #rule({ keyword, value, path, holds, base }: Written): Rule & { readonly faults: Fault[] } {
    const nodes: SchemaNode[] = []
    const named = new Map<string, SchemaNode>()
    const patterns: (Pattern | undefined)[] = []
    const faults: Fault[] = []
    if (holds === 'schema') nodes.push(this.read(value, path, base))
    if (holds === 'list')
      for (const [index, item] of (value as unknown[]).entries()) nodes.push(this.read(item, [...path, index], base))
    if (holds === 'names')
      for (const [name, item] of Object.entries(value as object))
        named.set(name, this.read(item, [...path, name], base))
    if (keyword === '$ref') nodes.push(...this.#referenced(String(value), path, base, faults))
    if (keyword === 'pattern') patterns.push(compiled(String(value), path, faults))
    if (keyword === 'patternProperties')
      patterns.push(...[...named.keys()].map((name) => compiled(name, [...path, name], faults, true)))
    return { keyword, value, nodes, named, patterns, faults, unjudged: faults.map(({ message }) => message) }
  }

  #referenced(reference: string, path: Path, base: Target | undefined, faults: Fault[]): readonly SchemaNode[] {
    const target = resolve(base?.value ?? this.#root, reference)
    if ('code' in target) {
      faults.push(base === undefined ? { ...target, path } : elsewhere(reference, path))
      return []
    }
    if (!isSchema(target.value)) {
      faults.push({
        code: 'FLOW_STRUCTURE',
        message: `reference "${reference}" leads to something that is no schema`,
        path,
        expected: 'an object, true or false',
        found: shown(target.value),
      })
      return []
    }
    return [this.read(target.value, [...(base?.path ?? []), ...target.path], base)]
  }
}

/** Every node that can be reached from it, once. */
export function reachable(nodes: Iterable<SchemaNode>): ReadonlySet<SchemaNode> {
  const found = new Set(nodes)
  for (const node of found) for (const rule of node.rules.values()) for (const below of nodesOf(rule)) found.add(below)
  return found
}

export function nodesOf({ nodes, named }: Rule): readonly SchemaNode[] {
  return named.size === 0 ? nodes : [...nodes, ...named.values()]
}

/** What is wrong with the schemas that can be reached: their own faults, and schemas that a value would never leave. */
export function faultsWithin(nodes: Iterable<SchemaNode>): readonly Fault[] {
  const all = reachable(nodes)
  return [...[...all].flatMap(({ faults }) => faults), ...circles(all)]
}

/** Schemas that judge a value by judging that same value by themselves again. */
function circles(nodes: ReadonlySet<SchemaNode>): readonly Fault[] {
  const done = new Set<SchemaNode>()
  const faults: Fault[] = []
  for (const start of nodes) {
    const open: { readonly node: SchemaNode; readonly left: SchemaNode[] }[] = []
    const within = new Set<SchemaNode>()
    const enter = (node: SchemaNode) => {
      if (done.has(node)) return
      done.add(node)
      within.add(node)
      open.push({ node, left: inPlace(node) })
    }
    enter(start)
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const next = top.left.pop()
      if (next === undefined) {
        within.delete(top.node)
        open.pop()
      } else if (within.has(next)) {
        faults.push({ code: 'FLOW_STRUCTURE', message: 'the schema leads back to itself', path: top.node.path })
      } else enter(next)
    }
  }
  return faults
}

function inPlace({ rules }: SchemaNode): SchemaNode[] {
  return [...rules.values()].flatMap((rule) => (KEYWORDS.get(rule.keyword)?.inPlace === true ? nodesOf(rule) : []))
}

function compiled(source: string, path: Path, faults: Fault[], isName = false): Pattern | undefined {
  try {
    return parseSchemaPattern(source)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const { message, offset, expected, found, unsupported } = error
    if (unsupported) {
      faults.push({
        code: 'FLOW_UNSUPPORTED',
        isWarning: true,
        isName,
        message: `the pattern "${clip(source)}" is not judged: ${message}`,
        path,
        hint: 'write the pattern without it, or check the value in a criterion',
      })
    } else {
      faults.push({ code: 'FLOW_STRUCTURE', message, path, isName, offset, expected, found })
    }
    return undefined
  }
}

/** One keyword as written. */
interface Written {
  readonly keyword: string
  readonly value: unknown
  readonly path: Path
  readonly holds: Holds | undefined
  /** the schema around it that has a URI */
  readonly base: Target | undefined
}

function elsewhere(reference: string, path: Path): Fault {
  return {
    code: 'FLOW_STRUCTURE',
    message: `reference "${reference}" starts at the schema around it, which has an "$id", and leads nowhere there`,
    path,
    hint: 'without the "$id" it starts at the whole description',
  }
}

/**
 * A schema of OpenAPI 3.0 as 2020-12 writes it: `nullable`, the flags of exclusive bounds, and nothing beside a reference.
 * @see [OpenAPI 3.0 Schema Object](https://spec.openapis.org/oas/v3.0.4.html#schema-object)
 */
function modern(schema: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (schema.$ref !== undefined) return { $ref: schema.$ref }
  const { type, enum: values, nullable, exclusiveMinimum, exclusiveMaximum } = schema
  // `nullable` counts only beside a `type`; without one, 3.0 gives it no meaning.
  const isNullable = nullable === true && typeof type === 'string'
  return {
    ...schema,
    ...(isNullable && { type: [type, 'null'] }),
    ...(isNullable && Array.isArray(values) && !values.includes(null) && { enum: [...values, null] }),
    ...(typeof exclusiveMinimum === 'boolean' && {
      exclusiveMinimum: exclusiveMinimum ? schema.minimum : undefined,
    }),
    ...(typeof exclusiveMaximum === 'boolean' && {
      exclusiveMaximum: exclusiveMaximum ? schema.maximum : undefined,
    }),
  }
}

function misfit(keyword: string, value: unknown, expected: string, path: Path): Fault {
  const message = keyword === 'schema' ? 'this is no schema' : `"${keyword}" in a schema has the wrong form`
  const hint = keywordHint(keyword, value, path)
  return { code: 'FLOW_STRUCTURE', message, path, expected, found: shown(value), hint }
}

function shown(value: unknown): string {
  return clip(JSON.stringify(value) ?? String(value))
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
