/**
 * Translates schemas of OpenAPI 3.0 into JSON Schema 2020-12, which later OpenAPI versions use and the validator reads.
 * @see [OpenAPI 3.0 Schema Object](https://spec.openapis.org/oas/v3.0.4.html#schema-object)
 */
import { isRecord } from '../document/fields.ts'

/** Members whose values are data and hold no keywords. */
export const EXAMPLES = new Set(['example', 'examples', 'default', 'const', 'enum'])

/** Translates a whole 3.0 description: `nullable` and the two flags of exclusive bounds, as 2020-12 writes them. */
export function modernized(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(modernized)
  if (!isRecord(value)) return value
  const { nullable, exclusiveMinimum, exclusiveMaximum, ...rest } = value
  const members = Object.entries(rest).map(([key, member]) => [key, EXAMPLES.has(key) ? member : modernized(member)])
  return {
    ...Object.fromEntries(members),
    ...withNull(nullable, value),
    ...bound('exclusiveMinimum', exclusiveMinimum, 'minimum', value),
    ...bound('exclusiveMaximum', exclusiveMaximum, 'maximum', value),
  }
}

/** `nullable` counts only beside a `type`; without one, 3.0 gives it no meaning. */
function withNull(nullable: unknown, { type, enum: values }: Readonly<Record<string, unknown>>): object {
  if (typeof nullable !== 'boolean') return nullable === undefined ? {} : { nullable: modernized(nullable) }
  if (!nullable || typeof type !== 'string') return {}
  return {
    type: [type, 'null'],
    ...(Array.isArray(values) && !values.includes(null) ? { enum: [...values, null] } : {}),
  }
}

/** A boolean applies to the bound beside it; any other value is a property of that name. */
function bound(
  name: string,
  flag: unknown,
  limit: string,
  { [limit]: value }: Readonly<Record<string, unknown>>,
): object {
  if (typeof flag !== 'boolean') return flag === undefined ? {} : { [name]: modernized(flag) }
  return flag ? { [name]: value } : {}
}
