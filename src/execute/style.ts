/**
 * A parameter's value as text, by its OpenAPI style: in a path, a query, a header or a cookie. Pure, and knows nothing of
 * where the value comes from.
 * @see [OpenAPI 3.1 Parameter Object](https://spec.openapis.org/oas/v3.1.1.html#style-values)
 */
import { asText } from '../flow/expression/expression.ts'
import { writeJson } from '../record/json.ts'

/** How a value is written. What no description says is written as the default of its place. */
export interface Style {
  readonly style: string
  readonly explode: boolean
  readonly allowReserved: boolean
  /** the value is written as this media type, and style does not apply */
  readonly mediaType?: string | undefined
}

/** What stands in place of `{name}` in a path. */
export function inPath(name: string, value: unknown, how: Style): string {
  const encode = encoder(how)
  if (how.mediaType !== undefined) return encode(json(value))
  const { style, explode } = how
  if (style === 'label') return `.${joined(value, { encode, explode, separator: explode ? '.' : ',' })}`
  if (style !== 'matrix') return joined(value, { encode, explode, separator: ',' })
  if (explode && isStructure(value))
    return pairs(name, value)
      .map(([key, item]) => `;${key}=${encode(item)}`)
      .join('')
  return `;${name}=${joined(value, { encode, explode, separator: ',' })}`
}

/** What stands in a query for one parameter, without a separator before it; '' for an empty list. */
export function inQuery(name: string, value: unknown, how: Style): string {
  const encode = encoder(how)
  const { style, explode, mediaType } = how
  const key = encodeURIComponent(name)
  if (mediaType !== undefined || !isStructure(value))
    return `${key}=${encode(mediaType === undefined ? asText(value) : json(value))}`
  if (style === 'deepObject')
    return members(value)
      .map(([member, item]) => `${key}${encodeURIComponent(`[${member}]`)}=${encode(asText(item))}`)
      .join('&')
  if (explode)
    return pairs(name, value)
      .map(([one, item]) => `${encodeURIComponent(one)}=${encode(item)}`)
      .join('&')
  const separator = { spaceDelimited: '%20', pipeDelimited: '%7C' }[style] ?? ','
  return `${key}=${joined(value, { encode, explode: false, separator })}`
}

/** The value of a header. Nothing is encoded in it. */
export function inHeader(value: unknown, { explode, mediaType }: Style): string {
  if (mediaType !== undefined) return json(value)
  return joined(value, { encode: (text) => text, explode, separator: ',' })
}

/** One or more `name=value` of a cookie header; with style `cookie` of OpenAPI 3.2 nothing is encoded. */
export function inCookie(name: string, value: unknown, how: Style): string {
  if (how.mediaType !== undefined) return `${name}=${json(value)}`
  const encode = how.style === 'cookie' ? (text: string) => text : encoder(how)
  if (how.explode && isStructure(value))
    return pairs(name, value)
      .map(([one, item]) => `${one}=${encode(item)}`)
      .join('; ')
  return `${name}=${joined(value, { encode, explode: false, separator: ',' })}`
}

type Structure = readonly unknown[] | Readonly<Record<string, unknown>>

function isStructure(value: unknown): value is Structure {
  return typeof value === 'object' && value !== null
}

function members(value: Structure): [string, unknown][] {
  return Object.entries(value).filter(([, item]) => item !== undefined)
}

/** A list under the parameter's name, an object under those of its members. */
function pairs(name: string, value: Structure): [string, string][] {
  return members(value).map(([member, item]) => [Array.isArray(value) ? name : member, asText(item)])
}

function joined(
  value: unknown,
  {
    encode,
    explode,
    separator,
  }: { readonly encode: (text: string) => string; readonly explode: boolean; readonly separator: string },
): string {
  if (!isStructure(value)) return encode(asText(value))
  if (Array.isArray(value)) return value.map((item) => encode(asText(item))).join(separator)
  const between = explode ? '=' : separator
  return members(value)
    .map(([member, item]) => `${encode(member)}${between}${encode(asText(item))}`)
    .join(separator)
}

function json(value: unknown): string {
  return typeof value === 'string' ? value : writeJson(value)
}

/** RFC 6570: with `allowReserved` the reserved characters of RFC 3986 §2.2 and what is percent-encoded already stay. */
function encoder({ allowReserved }: Style): (text: string) => string {
  if (!allowReserved) return encodeURIComponent
  return (text) =>
    text.replace(/%[0-9A-Fa-f]{2}|[^%]|%/gu, (part) =>
      /^%[0-9A-Fa-f]{2}$|^[:/?#[\]@!$&'()*+,;=]$/.test(part) ? part : encodeURIComponent(part),
    )
}
