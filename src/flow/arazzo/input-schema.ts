/**
 * Reads the JSON Schema of an input: resolves its references and checks its keywords. Validates no value.
 */
import { nearest, type Problem, suggestion } from '../../record/errors.ts'
import type { Path } from '../document/document.ts'
import { isRecord } from '../document/fields.ts'
import { resolvePointer } from '../expression/expression.ts'
import { unescaped } from '../openapi/description.ts'
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
const JSON_TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']

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
      const form = FORMS.get(keyword)
      if (form !== undefined && !form.holds(content)) {
        refuseForm(reader, { keyword, content, what, path: own, expected: form.expected })
        return [keyword, content]
      }
      if (DATA_KEYWORDS.has(keyword)) return [keyword, content]
      if (FOREIGN_BASES.includes(keyword) && typeof content === 'string') {
        const message = `"${keyword}" in the schema of ${what} is not supported`
        reader.add({ code: 'FLOW_UNSUPPORTED', message, hint: 'name a schema by "$anchor" or its place' }, own)
      }
      if (keyword === 'pattern' && typeof content === 'string' && !isPattern(content)) {
        reader.add({ code: 'FLOW_STRUCTURE', message: `the pattern of ${what} is not a regular expression` }, own)
      } else if (keyword === 'type' && (typeof content === 'string' || Array.isArray(content))) {
        checkType(reader, content, what, own)
        return [keyword, content]
      }
      return [keyword, checkedSchema(reader, content, { ...context, path: own, isNamed: BY_NAME.includes(keyword) })]
    }),
  )
}

function refuseForm(
  reader: Reader,
  {
    keyword,
    content,
    what,
    path,
    expected,
  }: { keyword: string; content: unknown; what: string; path: Path; expected: string },
): void {
  // Elsewhere, as in OpenAPI parameters, "required" is a flag of the member itself.
  const isRequired = keyword === 'required' && typeof content === 'boolean'
  const [name, parent] = [path.at(-2), path.at(-3)]
  const list = `required: [${String(parent === 'properties' ? name : '<name>')}]`
  const hint =
    content === true ? `write ${list} beside "properties"` : 'what no list names is not required: leave it out'
  reader.add(
    {
      code: 'FLOW_STRUCTURE',
      message: `"${keyword}" in the schema of ${what} has the wrong type`,
      expected,
      found: JSON.stringify(content)?.slice(0, 60),
      hint: isRequired ? hint : undefined,
    },
    path,
  )
}

/** Keywords whose members are schemas, by names that are no keywords. */
const BY_NAME = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']

interface Form {
  readonly expected: string
  readonly holds: (content: unknown) => boolean
}

const isTexts = (content: unknown) => Array.isArray(content) && content.every((item) => typeof item === 'string')
const isCount = (content: unknown) => Number.isInteger(content) && Number(content) >= 0
const isNumber = (content: unknown) => typeof content === 'number'
const isSchema = (content: unknown) => isRecord(content) || typeof content === 'boolean'
const isSchemas = (content: unknown) => items(content).length > 0 && items(content).every(isSchema)

/**
 * What the value of a keyword must be.
 * @see [JSON Schema Validation 2020-12](https://json-schema.org/draft/2020-12/json-schema-validation)
 */
const RULES: readonly (Form & { readonly keywords: string })[] = [
  { keywords: 'required', expected: 'a list of names', holds: isTexts },
  { keywords: 'enum', expected: 'a list of values', holds: Array.isArray },
  { keywords: BY_NAME.join(' '), expected: 'an object with a schema for each name', holds: isRecord },
  { keywords: 'allOf anyOf oneOf prefixItems', expected: 'a list of schemas, at least one', holds: isSchemas },
  {
    keywords:
      'items not if then else contains additionalProperties propertyNames unevaluatedItems unevaluatedProperties',
    expected: 'a schema',
    holds: isSchema,
  },
  {
    keywords: 'minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains',
    expected: 'a whole number, at least 0',
    holds: isCount,
  },
  { keywords: 'minimum maximum exclusiveMinimum exclusiveMaximum', expected: 'a number', holds: isNumber },
  {
    keywords: 'multipleOf',
    expected: 'a number above 0',
    holds: (content) => isNumber(content) && Number(content) > 0,
  },
  { keywords: 'uniqueItems', expected: 'true or false', holds: (content) => typeof content === 'boolean' },
  { keywords: 'pattern format', expected: 'a text', holds: (content) => typeof content === 'string' },
]

const FORMS = new Map(
  RULES.flatMap(({ keywords, ...form }) => keywords.split(' ').map((keyword): [string, Form] => [keyword, form])),
)

function checkType(reader: Reader, content: string | readonly unknown[], what: string, path: Path): void {
  const unknown = [content].flat().find((type) => !JSON_TYPES.includes(String(type)))
  if (unknown === undefined) return
  const meant = nearest(String(unknown), JSON_TYPES)
  reader.add(
    {
      code: 'FLOW_STRUCTURE',
      message: `the schema of ${what} has an unknown type`,
      expected: JSON_TYPES.join(', '),
      found: `"${String(unknown)}"`,
      hint: meant && `did you mean "${meant}"?`,
    },
    path,
  )
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u')
    return true
  } catch {
    return false
  }
}
