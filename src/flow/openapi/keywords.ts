/**
 * The keywords of JSON Schema 2020-12 that thredd reads: the form that the value of each must have, and where in it further
 * schemas stand. Any other member of a schema is no keyword and is not read.
 * @see [JSON Schema Validation 2020-12](https://json-schema.org/draft/2020-12/json-schema-validation)
 */
import { nearest } from '../../record/errors.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'

/** Where the value of a keyword holds schemas: it is one, a list of them, or an object of them by names. */
export type Holds = 'schema' | 'list' | 'names'

export interface Keyword {
  readonly expected: string
  readonly fits: (value: unknown) => boolean
  readonly holds?: Holds
  /** its schemas judge the same value as the schema that they stand in */
  readonly inPlace?: true
}

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']

const isText = (value: unknown) => typeof value === 'string'
const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value)
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)
const isTexts = (value: unknown) => isList(value) && value.every(isText)
const isCount = (value: unknown) => Number.isInteger(value) && Number(value) >= 0
export const isSchema = (value: unknown): boolean => isRecord(value) || typeof value === 'boolean'
const isType = (value: unknown) => TYPES.includes(String(value)) && isText(value)
const isDependency = (value: unknown) => isRecord(value) && Object.values(value).every(isTexts)

const schema = { expected: 'a schema', fits: isSchema, holds: 'schema' } as const
const schemas = {
  expected: 'a list of schemas, at least one',
  fits: (value: unknown) => isList(value) && value.length > 0 && value.every(isSchema),
  holds: 'list',
} as const
const named = {
  expected: 'an object with a schema for each name',
  fits: (value: unknown) => isRecord(value) && Object.values(value).every(isSchema),
  holds: 'names',
} as const
const count = { expected: 'a whole number, at least 0', fits: isCount }
const number = { expected: 'a number', fits: isNumber }
const text = { expected: 'a text', fits: isText }

/** In the order in which they are judged: those that depend on others come last. */
export const KEYWORDS: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ['$ref', { ...text, inPlace: true }],
  [
    'type',
    {
      expected: `one or more of ${TYPES.join(', ')}`,
      fits: (value) => isType(value) || (isList(value) && value.length > 0 && value.every(isType)),
    },
  ],
  ['enum', { expected: 'a list of values, at least one', fits: (value) => isList(value) && value.length > 0 }],
  ['const', { expected: 'a value', fits: () => true }],
  ['required', { expected: 'a list of names', fits: isTexts }],
  ['dependentRequired', { expected: 'an object with a list of names for each name', fits: isDependency }],
  ['minLength', count],
  ['maxLength', count],
  ['pattern', text],
  ['format', text],
  ['minimum', number],
  ['maximum', number],
  ['exclusiveMinimum', number],
  ['exclusiveMaximum', number],
  ['multipleOf', { expected: 'a number above 0', fits: (value) => isNumber(value) && Number(value) > 0 }],
  ['minItems', count],
  ['maxItems', count],
  ['uniqueItems', { expected: 'true or false', fits: (value) => typeof value === 'boolean' }],
  ['minContains', count],
  ['maxContains', count],
  ['minProperties', count],
  ['maxProperties', count],
  ['propertyNames', schema],
  ['allOf', { ...schemas, inPlace: true }],
  ['anyOf', { ...schemas, inPlace: true }],
  ['oneOf', { ...schemas, inPlace: true }],
  ['not', { ...schema, inPlace: true }],
  ['if', { ...schema, inPlace: true }],
  ['then', { ...schema, inPlace: true }],
  ['else', { ...schema, inPlace: true }],
  ['dependentSchemas', { ...named, inPlace: true }],
  ['properties', named],
  ['patternProperties', named],
  ['additionalProperties', schema],
  ['prefixItems', schemas],
  ['items', schema],
  ['contains', schema],
  ['unevaluatedProperties', schema],
  ['unevaluatedItems', schema],
])

/** Valid, but their meaning depends on more than the schema that they stand in. */
export const UNREAD_KEYWORDS: readonly string[] = ['$dynamicRef', '$recursiveRef']

/** How to write what older drafts and common mistakes mean. */
export function keywordHint(keyword: string, value: unknown, path: Path): string | undefined {
  if (value === null) return keyword === 'type' ? 'put "null" into quotes' : 'give it a value, or remove it'
  if (keyword === 'required' && typeof value === 'boolean') {
    return value
      ? `write required: [${String(path.at(-3) === 'properties' ? path.at(-2) : '<name>')}] beside "properties"`
      : 'what no list names is not required: leave it out'
  }
  if (keyword === 'exclusiveMinimum' || keyword === 'exclusiveMaximum')
    return typeof value === 'boolean' ? `write the bound itself: ${keyword}: 0` : undefined
  if (keyword === 'type') {
    const meant = nearest(String([value].flat().find((type) => !isType(type))), TYPES)
    return meant && `did you mean "${meant}"?`
  }
  if (keyword === 'items' && isList(value)) return 'schemas item by item stand in "prefixItems"'
  return undefined
}
