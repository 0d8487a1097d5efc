/**
 * Reads the JSON Schema of an input: resolves its references and checks its keywords. Validates no value.
 */
import { type Problem, suggestion } from '../../record/errors.ts'
import { writeJson } from '../../record/json.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { ExpressionError, resolvePointer } from '../expression/expression.ts'
import { parseSchemaPattern } from '../expression/pattern.ts'
import { KEYWORDS, keywordHint } from '../openapi/keywords.ts'
import { unescaped } from '../openapi/reference.ts'
import { items } from './scope.ts'
import type { Reader } from './structure.ts'

/**
 * The place in this document that a reference means: a JSON Pointer from its root, or the name of an `$anchor`
 * (Arazzo 1.1 Resolving URI Fragments), perhaps after the document's own URI (`$self`).
 */
export function referenced(
  reader: Reader,
  reference: string,
  blame: { readonly what: string; readonly path: Path } | undefined,
): Path | undefined {
  const refused = (problem: Omit<Problem, 'message'>, reason: string) => {
    if (blame === undefined) return undefined
    reader.add({ ...problem, message: `reference "${reference}" of ${blame.what} ${reason}` }, blame.path)
    return undefined
  }
  const [uri = '', fragment = ''] = reference.split('#')
  if (uri !== '' && uri !== reader.raw(['$self'])) {
    const hint = 'write the schema out, or put it into the components of this document'
    return refused(
      { code: 'FLOW_UNSUPPORTED', expected: '#/components/inputs/<name>', hint },
      'leads out of the document',
    )
  }
  if (!fragment.startsWith('/')) {
    const found = anchored(reader.document.data, fragment, [])
    if (found.length === 1) return found[0]
    const expected = `one schema with $anchor: ${fragment}`
    return refused({ code: 'FLOW_REFERENCE', expected, found: `${found.length}` }, 'leads nowhere')
  }
  const tokens = fragment.split('/').slice(1).map(unescaped)
  if (resolvePointer(reader.document.data, tokens) !== undefined) return tokens
  const [first, , third = ''] = tokens
  const known = Object.keys((reader.raw(['components', 'inputs']) ?? {}) as object)
  const hint =
    first === 'components'
      ? suggestion(third, known)
      : 'a pointer starts at the root of the document, as #/workflows/0/inputs/$defs/name does'
  return refused({ code: 'FLOW_REFERENCE', hint }, 'leads nowhere')
}

/** The schemas of the document with that `$anchor`. */
function anchored(value: unknown, name: string, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return []
  const inside = Object.entries(value).flatMap(([key, member]) =>
    DATA_KEYWORDS.has(key) ? [] : anchored(member, name, [...path, key]),
  )
  return isRecord(value) && value.$anchor === name ? [path, ...inside] : inside
}

/** Keywords whose values are data and hold no keywords. */
const DATA_KEYWORDS = new Set(['default', 'const', 'enum', 'examples', 'x-dcr'])
/** With these keywords a reference no longer points into the document. */
const FOREIGN_BASES = ['$id', '$dynamicRef', '$dynamicAnchor']

/**
 * The schema with its references resolved. A mistake that the validator would find in the middle of a run is reported
 * now.
 */
export function checkedSchema(
  reader: Reader,
  schema: unknown,
  context: {
    readonly what: string
    readonly path: Path
    /** the references that led here */
    readonly within: readonly string[]
    /** the members are schemas by name */
    readonly isNamed?: boolean
  },
): unknown {
  const { what, path, within, isNamed = false } = context
  if (Array.isArray(schema)) {
    return schema.map((item, index) => checkedSchema(reader, item, { ...context, path: [...path, index] }))
  }
  if (!isRecord(schema)) return schema
  if (typeof schema.$ref === 'string') {
    const reference = schema.$ref
    if (within.includes(reference)) {
      const message = `reference "${reference}" of ${what} leads back to itself`
      reader.add({ code: 'FLOW_STRUCTURE', message }, [...path, '$ref'])
      return true
    }
    const target = referenced(reader, reference, { what, path: [...path, '$ref'] })
    if (target === undefined) return true
    const { $ref: _, ...rest } = schema
    const resolved = checkedSchema(reader, reader.raw(target), {
      what,
      path: target,
      within: [...within, reference],
    })
    if (Object.keys(rest).length === 0) return resolved
    return { ...(checkedSchema(reader, rest, context) as object), allOf: [resolved, ...items(rest.allOf)] }
  }
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, content]) => {
      const own: Path = [...path, keyword]
      if (isNamed) return [keyword, checkedSchema(reader, content, { ...context, path: own, isNamed: false })]
      const form = KEYWORDS.get(keyword)
      if (form !== undefined && !form.fits(content)) {
        const { expected } = form
        const found = writeJson(content)?.slice(0, 60)
        const message = `"${keyword}" in the schema of ${what} has the wrong form`
        const hint = keywordHint(keyword, content, own)
        reader.add({ code: 'FLOW_STRUCTURE', message, expected, found, hint }, own)
        return [keyword, content]
      }
      if (DATA_KEYWORDS.has(keyword)) return [keyword, content]
      if (FOREIGN_BASES.includes(keyword) && typeof content === 'string') {
        const message = `"${keyword}" in the schema of ${what} is not supported`
        reader.add({ code: 'FLOW_UNSUPPORTED', message, hint: 'name a schema by "$anchor" or its place' }, own)
      }
      if (keyword === 'pattern') checkPattern(reader, String(content), what, own)
      return [keyword, checkedSchema(reader, content, { ...context, path: own, isNamed: isByName(keyword) })]
    }),
  )
}

/** A pattern of an input runs in RE2, like those of criteria. */
function checkPattern(reader: Reader, pattern: string, what: string, path: Path): void {
  try {
    parseSchemaPattern(pattern)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const { expected, found, hint, offset } = error
    const code = error.unsupported ? 'FLOW_UNSUPPORTED' : 'FLOW_STRUCTURE'
    reader.add({ code, message: `pattern of ${what}: ${error.message}`, expected, found, hint }, path, offset)
  }
}

/** Keywords whose members are schemas, by names that are no keywords. */
function isByName(keyword: string): boolean {
  return KEYWORDS.get(keyword)?.holds === 'names' || keyword === '$defs' || keyword === 'definitions'
}
