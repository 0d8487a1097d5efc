/**
 * A payload as the text of its media type: JSON, a form, a form of parts, or the text that it is. Pure: the same payload is
 * always the same text.
 */

import { asText } from '../flow/expression/expression.ts'
import { type BodyKind, bodyKind, boundaryOf, type Encoding } from '../flow/openapi/media-type.ts'
import { fail, type SourceLocation } from '../record/errors.ts'
import { readJson, writeJson } from '../record/json.ts'
import { inQuery } from './style.ts'

/** What is to be written, and where the flow says so. */
export interface Content {
  readonly contentType: string
  /** what the description says of the fields of a form */
  readonly encodings: ReadonlyMap<string, Encoding>
  readonly at: SourceLocation
}

/** The text, and its media type with the boundary of its parts. Throws VALUE_UNDEFINED for what cannot be written so. */
export function written(payload: unknown, content: Content): { readonly contentType: string; readonly text: string } {
  const kind = bodyKind(content.contentType)
  demandFinite(payload, content.at)
  // JSON writes half a character as an escape; any other text would say something else.
  if (kind !== 'json' || typeof payload === 'string') demandWhole(payload, 'the payload', content.at)
  if (typeof payload !== 'string') return WRITERS[kind](payload, content)
  if (kind === 'multipart' && boundaryOf(content.contentType) === undefined) return unwritable(payload, content)
  return { contentType: content.contentType, text: payload }
}

/** JSON has no such numbers, and would say null instead of them (RFC 8259 section 6). */
function demandFinite(payload: unknown, at: SourceLocation, pointer = ''): void {
  if (typeof payload === 'number' && !Number.isFinite(payload)) {
    const where = pointer === '' ? 'the payload' : `"${pointer}" of the payload`
    const expected = 'a number that JSON can write; ".inf", "-.inf" and ".nan" of YAML are none'
    fail({ code: 'VALUE_UNDEFINED', message: `${where} is no finite number`, at, expected, found: String(payload) })
  }
  if (typeof payload !== 'object' || payload === null) return
  for (const [name, member] of Object.entries(payload)) demandFinite(member, at, `${pointer}/${name}`)
}

/** Half a character of UTF-16 has no bytes in UTF-8. */
export function demandWhole(value: unknown, where: string, at: SourceLocation): void {
  if (typeof value === 'string' && !value.isWellFormed()) {
    const expected = 'text that UTF-8 can write'
    const found = `half a character of UTF-16 (${JSON.stringify(/\p{Cs}/u.exec(value)?.[0] ?? '')})`
    fail({ code: 'VALUE_UNDEFINED', message: `${where} holds half a character`, at, expected, found })
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    demandWhole(name, where, at)
    demandWhole(member, where, at)
  }
}

/** A body that is written as a text, as the data that replacements speak of. */
export function structured(payload: unknown, { contentType, at }: Content): unknown {
  if (typeof payload !== 'string') return payload
  const kind = bodyKind(contentType)
  if (kind === 'form') return Object.fromEntries(new URLSearchParams(payload))
  const json = kind === 'json' ? readJson(payload) : undefined
  return json?.ok ? json.value : fail({ code: 'VALUE_UNDEFINED', message: NOT_STRUCTURED, at })
}

const NOT_STRUCTURED = 'the payload is no JSON in which something can be replaced'

type Writer = (payload: unknown, content: Content) => ReturnType<typeof written>

const WRITERS: Readonly<Record<BodyKind, Writer>> = {
  json: (payload, { contentType }) => ({ contentType, text: writeJson(payload) }),
  form: (payload, content) => ({ contentType: content.contentType, text: asForm(fieldsOf(payload, content), content) }),
  multipart: (payload, content) => asParts(fieldsOf(payload, content), content),
  text: (payload, content) =>
    typeof payload === 'object'
      ? unwritable(payload, content)
      : { contentType: content.contentType, text: asText(payload) },
}

function unwritable(payload: unknown, { contentType, at }: Content): never {
  const message = `${Array.isArray(payload) ? 'a list' : (KINDS[typeof payload] ?? 'a truth value')} cannot be written as "${contentType}"`
  return fail({ code: 'VALUE_UNDEFINED', message, at })
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'an object',
  string: 'a text',
  number: 'a number',
  bigint: 'a number',
}

type Fields = readonly (readonly [name: string, value: unknown])[]

function fieldsOf(payload: unknown, content: Content): Fields {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return unwritable(payload, content)
  return Object.entries(payload)
}

/** @see [URL Standard, application/x-www-form-urlencoded](https://url.spec.whatwg.org/#urlencoded-serializing) */
function asForm(fields: Fields, content: Content): string {
  return fields
    .map(([name, value]) => {
      const { style, contentType } = content.encodings.get(name) ?? PLAIN
      if (style !== undefined) return inQuery(name, value, style)
      const items = [value].flat().map((item): [string, string] => [name, itemText(item, contentType, content.at)])
      return new URLSearchParams(items).toString()
    })
    .filter((part) => part !== '')
    .join('&')
}

const PLAIN: Encoding = { headers: [], isFile: false }

/** An object is JSON unless the description says otherwise. */
function itemText(item: unknown, contentType: string | undefined, at: SourceLocation): string {
  return contentType === undefined ? asText(item) : written(item, { contentType, encodings: new Map(), at }).text
}

/** @see [RFC 7578](https://www.rfc-editor.org/rfc/rfc7578) */
function asParts(fields: Fields, { encodings, at }: Content): ReturnType<typeof written> {
  const parts = fields.flatMap(([name, value]) => {
    const encoding = encodings.get(name) ?? PLAIN
    return partsOf(name, value, encoding, at).map(([own, text, contentType]) => {
      const file = encoding.isFile ? `; filename="${quoted(own)}"` : ''
      const headers = [
        `Content-Disposition: form-data; name="${quoted(own)}"${file}`,
        ...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]),
        ...encoding.headers.map(([header, fixed]) => `${header}: ${fixed}`),
      ]
      return `${headers.join('\r\n')}\r\n\r\n${text}\r\n`
    })
  })
  const boundary = boundaryFor(parts)
  const text = `${parts.map((part) => `--${boundary}\r\n${part}`).join('')}--${boundary}--\r\n`
  return { contentType: `multipart/form-data; boundary=${boundary}`, text }
}

type Part = readonly [name: string, text: string, contentType?: string | undefined]

function partsOf(name: string, value: unknown, { style, contentType, isFile }: Encoding, at: SourceLocation): Part[] {
  // By style a field is what a query would have of it, but nothing is percent-encoded between boundaries.
  if (style !== undefined) return [...new URLSearchParams(inQuery(name, value, { ...style, allowReserved: false }))]
  return [value].flat().map((item): Part => {
    const usual = isFile ? 'application/octet-stream' : typeof item === 'object' ? 'application/json' : undefined
    return [name, itemText(item, contentType, at), contentType ?? usual]
  })
}

/** As browsers write names into a Content-Disposition. */
function quoted(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

/** The first that no part contains. Nothing random, so that the same request is the same bytes. */
function boundaryFor(parts: readonly string[]): string {
  for (let number = 1; ; number += 1) {
    const boundary = `part-of-form-${number}`
    if (!parts.some((part) => part.includes(`--${boundary}`))) return boundary
  }
}
