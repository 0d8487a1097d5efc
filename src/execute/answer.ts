/** Reads an answer as it came: its content coding is taken off, its JSON parsed. Pure. */
import { decoded } from '../record/coding.ts'
import type { Problem } from '../record/errors.ts'
import { readJson } from '../record/json.ts'
import type { Answer } from '../transport/transport.ts'

/** An answer as the checks and expressions see it: JSON parsed, other text as text. */
export interface ParsedAnswer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** undefined for an empty body, and for one that cannot be read */
  readonly body: unknown
  /** of a body that claims to be JSON and is not: what was expected and what it is, in words */
  readonly malformed?: { readonly expected: string; readonly found: string } | undefined
  /** why the body cannot be read, so that nothing can be said of the answer */
  readonly unreadable?: Problem | undefined
  /** JSON that is too large to be judged: what must be undone may be named in it */
  readonly beyond?: unknown
}

/** `host` is named where the answer cannot be read. */
export function readAnswer({ status, headers, body }: Answer, host: string): ParsedAnswer {
  const content = decoded(body, codingOf(headers))
  const unreadable = (is: string, what: string): ParsedAnswer => ({
    ...{ status, headers, body: undefined },
    unreadable: {
      code: is === 'too large' ? 'TOO_LARGE' : 'ANSWER_UNREADABLE',
      message: `the answer of "${host}" is ${what}`,
    },
  })
  if (!content.ok) return unreadable(content.is, content.what)
  if (content.bytes.length === 0) return { status, headers, body: undefined }
  if (!isJson(headers)) return { status, headers, body: new TextDecoder().decode(content.bytes).trim() }
  const text = asUtf8(content.bytes)
  const lossy = () => new TextDecoder().decode(content.bytes)
  if (text === undefined) return { status, headers, body: lossy(), malformed: notUtf8(headers) }
  // Of a byte order mark alone nothing is left.
  if (text === '') return { status, headers, body: undefined }
  const json = readJson(text)
  if (json.ok) return { status, headers, body: json.value }
  if (json.is === 'too large') return { ...unreadable(json.is, `JSON ${json.what}`), beyond: parsedSoon(text) }
  if (json.is === 'not exact') {
    const what = `JSON with the number ${json.what}, which cannot be kept as it is written`
    return { ...unreadable(json.is, what), beyond: parsedSoon(text) }
  }
  const isOther = charsetOf(headers) !== undefined || text.includes('\0')
  return { status, headers, body: text, malformed: isOther ? notUtf8(headers) : { expected: 'JSON', found: json.what } }
}

/** JSON of any depth that is parsed in some milliseconds. */
function parsedSoon(text: string): unknown {
  try {
    return text.length > 1024 * 1024 ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether a media type holds JSON (RFC 6839 section 3.1). */
export function isJson(headers: ParsedAnswer['headers']): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(headerOf(headers, 'content-type') ?? '')
}

/** Content-Encoding; undefined where there is none. */
export function codingOf(headers: ParsedAnswer['headers']): string | undefined {
  return headerOf(headers, 'content-encoding')
}

/** A header that is repeated is one list (RFC 9110 section 5.3). */
function headerOf(headers: ParsedAnswer['headers'], wanted: string): string | undefined {
  const values = headers.flatMap(([name, value]) => (name.toLowerCase() === wanted ? [value] : []))
  return values.length === 0 ? undefined : values.join(', ')
}

function asUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The charset that the content type names, where it is another than UTF-8. */
function charsetOf(headers: ParsedAnswer['headers']): string | undefined {
  const charset = /;\s*charset="?([^\s;"]+)/i.exec(headerOf(headers, 'content-type') ?? '')?.[1]
  return charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset) ? undefined : charset
}

function notUtf8(headers: ParsedAnswer['headers']): NonNullable<ParsedAnswer['malformed']> {
  const charset = charsetOf(headers)
  return {
    expected: 'JSON in UTF-8 (RFC 8259 section 8.1)',
    found: `text that is not in UTF-8${charset === undefined ? '' : `; its charset is said to be "${charset}"`}`,
  }
}
