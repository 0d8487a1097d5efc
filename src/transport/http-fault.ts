/** Says in words which rule of HTTP an answer breaks that undici's parser has refused. Pure. */
import { headOf, nameOf, valueIn } from './received.ts'

/**
 * Undefined where the answer has ended too early, which is no fault of its form. `bytes` are what arrived of it.
 *
 * undici says of each refused answer with a Content-Length that its body is too short, so its headers are looked at first.
 */
export function httpFault(error: unknown, bytes: Buffer): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { name, message } = error
  const code = 'code' in error ? String(error.code) : ''
  if (message === 'bad upgrade') return 'it switches to another protocol (101), which was not requested'
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return faultOfHeaders(bytes)
  if (name !== 'HTTPParserError' || /\bEOF\b/.test(message)) return undefined
  const reason = /\((.+)\)$/.exec(message)?.[1] ?? 'no reason given'
  return faultOfHeaders(bytes) ?? `${reason.charAt(0).toLowerCase()}${reason.slice(1)}`
}

/** The rule that the headers of an answer break, in words; undefined where none is found. */
function faultOfHeaders(bytes: Buffer): string | undefined {
  const { lines, hasBareFeed } = headOf(bytes)
  const [statusLine = '', ...headers] = lines
  if (!statusLine.startsWith('HTTP/')) return undefined
  if (!/^HTTP\/1\.[01] /.test(statusLine)) return `its version is ${shown(statusLine.split(' ')[0] ?? '')}`
  if (!/^HTTP\/1\.[01] [1-9]\d\d(?: |$)/.test(statusLine)) return `its status line is ${shown(statusLine)}`
  if (hasBareFeed) return 'a line of its headers ends with LF alone instead of CR LF'
  for (const line of headers) {
    const fault = faultOfHeader(line)
    if (fault !== undefined) return fault
  }
  return faultOfFraming(headers)
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

function faultOfHeader(line: string): string | undefined {
  if (/^[ \t]/.test(line)) return 'a header is folded over several lines'
  if (!line.includes(':')) return `a line of its headers has no colon: ${shown(line)}`
  const name = nameOf(line)
  if (name === '') return 'a header has no name'
  if (/\s/.test(name)) return `the header name ${shown(name)} holds a blank`
  if (!TOKEN.test(name)) return `the header name ${shown(name)} holds a character that no name may have`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for (RFC 9110 section 5.5)
  return /[\0-\x08\x0a-\x1f\x7f]/.test(valueIn(line))
    ? `the value of header "${name}" holds a control character`
    : undefined
}

/** How long the body is (RFC 9112 section 6). */
function faultOfFraming(headers: readonly string[]): string | undefined {
  const of = (name: string) => headers.filter((line) => nameOf(line).toLowerCase() === name).map(valueIn)
  const lengths = of('content-length')
  const odd = lengths.find((length) => !/^\d{1,15}$/.test(length))
  if (odd !== undefined) return `its Content-Length is ${shown(odd)}`
  if (lengths.length > 1) return `Content-Length stands ${lengths.length} times: ${lengths.join(', ')}`
  if (lengths.length === 1 && of('transfer-encoding').length > 0)
    return 'it has both Content-Length and Transfer-Encoding'
  return undefined
}

/** In quotes, short, and with nothing in it that is not printable ASCII. */
function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text).replace(
    /[^\x20-\x7e…]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
