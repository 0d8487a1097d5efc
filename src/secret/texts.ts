/**
 * Finds slots in a text that is not parsed: JSON that was cut, forms, URLs, headers, commands, XML, HTML, sentences; also where
 * these are escaped. It passes over the text once, and looks back and ahead by a bounded number of characters.
 */
import { latin1, type ToSource, unescaped } from './escapes.ts'
import { bytesOf, freeMemory } from './memory.ts'
import { entropyOf, isSearchable } from './randomness.ts'
import { COOKIE_HEADERS, CREDENTIAL_HEADERS, normalName, PRIVATE_JWK_MEMBERS, type Slot, type Slots } from './slots.ts'

/** A slot in a text, with the name and the value as they are after unescaping. */
export interface SlotInText {
  readonly name: string
  readonly value: string
  /** the range of the value, in bytes of UTF-8 */
  readonly start: number
  readonly end: number
}

const NAME = /[A-Za-z][A-Za-z0-9_.\x80-\xff-]{1,127}/g
/** A text without any of these has no slot: one of them is between name and value. */
const SEPARATOR = /[=:>\s%&\\]/
const USERINFO = /:\/\/([^/?#\s@:"'<>]*)(?::([^/?#\s@"'<>]+))?@/g
/** User and password as an argument of a command: `-u user:…`, `--proxy-user=user:…`. */
const USER_OPTION =
  /(?<![^\s"'`(;|&])(?:-[uU][ \t]{0,4}|--(?:proxy-)?user(?:=|[ \t]{1,4}))["']?[^\s:"'`<>]{0,128}:([^\s"'`<>]{3,512})/g
const PRIVATE_MEMBER = new RegExp(`"(${PRIVATE_JWK_MEMBERS.join('|')})"\\s{0,8}:\\s{0,8}"([\\w-]{1,4096})"`, 'g')
/** The start of an expression of a flow, or of a mask: there is no secret. */
const PLACEHOLDER = /^(?:\{?\$[A-Za-z]|\[[\w-]{1,64}(?:#[0-9a-f]{8}|: \w{1,10}|)\])/
/** Bits of entropy from which a value in a sentence is taken for a secret and not for a word. */
const ENOUGH_BITS = 20

export function slotsIn(text: string, slots: Slots): readonly SlotInText[] {
  if (!SEPARATOR.test(text) || slots.withoutSlot.has(text)) return []
  const { plain, toSource } = plainOf(text)
  const source = Buffer.from(text)
  const isPercent = (place: number) => source[toSource(place, place + 1)[0]] === 0x25
  const found: SlotInText[] = []
  let last = 0
  const put = (name: string, [start, end]: readonly [number, number]) => {
    if (start < last || end <= start) return
    const [from, to] = toSource(start, end)
    found.push({ name, value: Buffer.from(plain.slice(start, end), 'latin1').toString(), start: from, end: to })
    last = end
  }
  for (const { name, range } of rangesIn({ plain, isPercent }, slots)) put(name, range)
  if (found.length === 0) slots.withoutSlot.set(text, true)
  return found
}

/** The text without escapes, as one character for each byte. */
function plainOf(text: string): { readonly plain: string; readonly toSource: ToSource } {
  freeMemory()
  const { bytes, toSource } = unescaped(bytesOf(text))
  return { plain: latin1(bytes), toSource }
}

interface PlainText {
  readonly plain: string
  /** whether the character at a place was written as %xx */
  readonly isPercent: (place: number) => boolean
}

interface Range {
  readonly name: string
  readonly range: readonly [start: number, end: number]
}

/** Sorted by start, so that the caller can leave out a range that begins within another. */
function rangesIn({ plain, isPercent }: PlainText, slots: Slots): readonly Range[] {
  const ranges: Range[] = []
  let until = 0
  for (const { 0: name, index } of plain.matchAll(NAME)) {
    // Skips names within the value of another slot.
    if (index < until) continue
    const slot = slots.of(Buffer.from(name, 'latin1').toString())
    if (slot === undefined) continue
    const range = valueAfter(plain, { start: index, end: index + name.length, slot, name: normalName(name), isPercent })
    if (range === undefined) continue
    until = range[1]
    if (!PLACEHOLDER.test(plain.slice(range[0], range[0] + 80))) ranges.push({ name, range })
  }
  for (const match of plain.matchAll(USERINFO)) {
    const [whole, user = '', password] = match
    const end = match.index + whole.length - 1
    if (password !== undefined) ranges.push({ name: 'userinfo', range: [end - password.length, end] })
    else if (isSearchable(user)) ranges.push({ name: 'userinfo', range: [end - user.length, end] })
  }
  for (const { 0: whole, 1: secret = '', index } of plain.matchAll(USER_OPTION)) {
    const end = index + whole.length
    if (!PLACEHOLDER.test(secret)) ranges.push({ name: 'userinfo', range: [end - secret.length, end] })
  }
  if (plain.includes('"kty"'))
    for (const match of plain.matchAll(PRIVATE_MEMBER)) {
      const end = match.index + match[0].length - 1
      ranges.push({ name: match[1] ?? '', range: [end - (match[2] ?? '').length, end] })
    }
  return ranges.toSorted((a, b) => a.range[0] - b.range[0])
}

/** A name of a slot that occurs in a text, at `[start, end)`. */
interface Named {
  readonly start: number
  readonly end: number
  readonly name: string
  readonly slot: Slot
  readonly isPercent: PlainText['isPercent']
}

/** Returns the range of the value that belongs to a name, if the text around the name has the format of this reader. */
type Reader = (plain: string, named: Named) => readonly [start: number, end: number] | undefined

/** Tried in this order; the first that finds a value decides. */
const READERS: readonly Reader[] = [
  header,
  headerOption,
  option,
  quoted,
  unquotedMember,
  element,
  input,
  pair,
  field,
  sentence,
]

function valueAfter(plain: string, named: Named): readonly [number, number] | undefined {
  for (const read of READERS) {
    const range = read(plain, named)
    if (range !== undefined) return range
  }
  return undefined
}

/** The end of the match of `pattern` (sticky) at `at`; -1 if it does not match there. */
function after(plain: string, pattern: RegExp, at: number): number {
  pattern.lastIndex = at
  return pattern.test(plain) ? pattern.lastIndex : -1
}

/** The next place from `at` on where `pattern` (global) matches; the end of the text if there is none. */
function next(plain: string, pattern: RegExp, at: number): number {
  pattern.lastIndex = at
  return pattern.exec(plain)?.index ?? plain.length
}

const HEADER_COLON = /["']?\s{0,4}[:=]\s{0,4}["']?/y
const LINE_END = /[\r\n]/g
const LINE_END_OR_QUOTE = { '"': /["\r\n]/g, "'": /['\r\n]/g, '': LINE_END } as const
const JWT = /eyJ[\w-]{1,4096}\.[\w-]{1,16384}\.[\w-]{16}/y
const SCHEME = /[A-Za-z][A-Za-z0-9-]{1,31}[ \t]{1,4}/y

/** `Authorization: Digest username="…"`, `Cookie: a=b; c=d`: to the end of the line, or to the quote around it. */
function header(plain: string, { start, end, name }: Named): readonly [number, number] | undefined {
  const known = name.replaceAll('_', '-')
  const isCredentials = CREDENTIAL_HEADERS.some((one) => known.endsWith(one))
  if (!isCredentials && !COOKIE_HEADERS.includes(known)) return undefined
  const from = after(plain, HEADER_COLON, end)
  if (from === -1) return undefined
  const inner = plain[from - 1] ?? ''
  const outer = plain[start - 1] ?? ''
  const quote = isQuote(inner) ? inner : isQuote(outer) && plain[end] !== outer ? outer : ''
  const scheme = isCredentials ? after(plain, SCHEME, from) : -1
  const first = scheme === -1 ? from : scheme
  // Of a JWT only the signature is hidden.
  if (plain.startsWith('eyJ', first) && after(plain, JWT, first) !== -1) return undefined
  const to = next(plain, LINE_END_OR_QUOTE[quote], from)
  const range = [first >= to ? from : first, to] as const
  // If a word follows, this is a sentence about the header and not its value.
  return scheme === -1 && quote === '' && !isNotAWord(plain.slice(...range)) ? undefined : range
}

function isQuote(character: string): character is '"' | "'" {
  return character === '"' || character === "'"
}

const HEADER_OPTION = /(?:-H|--header)[ \t=]{0,4}["']?$/
const COLON = /:[ \t]{0,4}/y
/** `-H "X-Api-Key: …"`: to the quote around it, or to the end of the line. */
function headerOption(plain: string, { start, end, slot }: Named): readonly [number, number] | undefined {
  if (slot !== 'any' || !HEADER_OPTION.test(plain.slice(Math.max(0, start - 16), start))) return undefined
  const from = after(plain, COLON, end)
  if (from === -1) return undefined
  const quote = plain[start - 1] ?? ''
  return [from, next(plain, LINE_END_OR_QUOTE[isQuote(quote) ? quote : ''], from)]
}

const HYPHENS = /(?:^|[\s"'`(;|&])--?$/
const BEFORE_ARGUMENT = /(?:=|[ \t]{1,4})(?=[^\s-])/y
const ARGUMENT_END = /[\s"'`<>;|&)]/g
/** What follows in a sentence about the option, and is no argument. */
const ONE_WORD = /^[a-z]{1,12}[.,:]?$/i

/** `--client-secret …`, `--password=…`: the argument. */
function option(plain: string, { start, end, slot }: Named): readonly [number, number] | undefined {
  if (slot !== 'any' || !HYPHENS.test(plain.slice(Math.max(0, start - 3), start))) return undefined
  const from = after(plain, BEFORE_ARGUMENT, end)
  if (from === -1) return undefined
  const quote = plain[from] ?? ''
  if (isQuote(quote)) return [from + 1, next(plain, CLOSING[quote], from + 1)]
  const to = next(plain, ARGUMENT_END, from)
  return plain[end] !== '=' && ONE_WORD.test(plain.slice(from, to)) ? undefined : [from, to]
}

const BEFORE_QUOTED = /["'`]?(?:\s{0,8}(?::=?|=>?|\bis\b)\s{0,8}|\s{1,4}is\s{1,4})(["'`])/y
/** `token "…"`: a value only if it is not a word. */
const BLANKS_AND_QUOTE = /[ \t]{1,4}(["'`])/y
const CLOSING = { '"': /["\r\n]/g, "'": /['\r\n]/g, '`': /[`\r\n]/g } as const

/** `"token": "…"`, `token = '…'`, `token is "…"`; a text that was cut may have no second quote. */
function quoted(plain: string, { end, slot }: Named): readonly [number, number] | undefined {
  const stated = after(plain, BEFORE_QUOTED, end)
  const from = stated === -1 ? after(plain, BLANKS_AND_QUOTE, end) : stated
  if (from === -1) return undefined
  const to = next(plain, CLOSING[plain[from - 1] as keyof typeof CLOSING], from)
  return (slot === 'any' && stated !== -1) || isNotAWord(plain.slice(from, to)) ? [from, to] : undefined
}

const BEFORE_MEMBER = /["']\s{0,8}:\s{0,8}/y
const NUMBER = /-?[0-9][0-9.eE+-]*/y
const LIST_END = /[\]\r\n]/g
const OBJECT_END = /[}\r\n]/g

/** A number, list or object in JSON that was cut. */
function unquotedMember(plain: string, { end, slot }: Named): readonly [number, number] | undefined {
  const from = after(plain, BEFORE_MEMBER, end)
  if (from === -1 || slot !== 'any') return undefined
  const open = plain[from]
  if (open === '[') return [from + 1, next(plain, LIST_END, from)]
  if (open === '{') return [from + 1, next(plain, OBJECT_END, from)]
  const to = after(plain, NUMBER, from)
  return to === -1 ? undefined : [from, to]
}

const TAG_END = /(?:\s[^<>]{0,512})?>/y
const NEXT_TAG = /</g

/** `<access_token>…<`, `<x:password type="…">…<` */
function element(plain: string, { start, end, slot }: Named): readonly [number, number] | undefined {
  if (!/<(?:\w{1,20}:)?$/.test(plain.slice(Math.max(0, start - 22), start))) return undefined
  const from = after(plain, TAG_END, end)
  if (from === -1 || plain[from - 2] === '/') return undefined
  const to = next(plain, NEXT_TAG, from)
  return slot === 'any' || isNotAWord(plain.slice(from, to).trim()) ? [from, to] : undefined
}

/** What separates name and value: two JSON members, the header of a part of a form, an XML attribute, two elements. */
const BETWEEN =
  /["']\s{0,8},\s{0,8}["']value["']\s{0,8}:\s{0,8}["']|["'][^\r\n]{0,128}\r?\n(?:[A-Za-z-]{1,32}:[^\r\n]{0,128}\r?\n){0,4}\r?\n|["'][^<>]{0,128}>(?=[^<\s])|<\/\w{1,20}>\s{0,32}<\w{1,20}>/y
/** The text before a name: `name="…`, `"name":"…` or `<key>…`. */
const IS_NAMED = /(?:\bname["']?\s{0,4}[:=]\s{0,4}["']|<(?:key|name)>)$/i
const VALUE_END = /["'<\r\n]/g
/** The text before a name that comes after its value. */
const VALUE_BEFORE = /["']value["']\s{0,8}:\s{0,8}"([^"\r\n]{1,400})"\s{0,8},\s{0,8}["']name["']\s{0,8}:\s{0,8}["']$/

/** `{"name":"client_secret","value":"…"}`, in either order, `name="client_secret"` of a part of a form and of XML */
function pair(plain: string, { start, end, slot }: Named): readonly [number, number] | undefined {
  if (!IS_NAMED.test(plain.slice(Math.max(0, start - 16), start))) return undefined
  const from = after(plain, BETWEEN, end)
  if (from !== -1) {
    const to = next(plain, VALUE_END, from)
    return slot === 'any' || isNotAWord(plain.slice(from, to)) ? [from, to] : undefined
  }
  const before = VALUE_BEFORE.exec(plain.slice(Math.max(0, start - TAG_BEFORE), start))
  if (before === null) return undefined
  const first = start - before[0].length + before[0].indexOf(before[1] ?? '', '"value":'.length)
  return [first, first + (before[1] ?? '').length]
}

const NAMED_INPUT = /\b(?:name|id)\s{0,4}=\s{0,4}["']?$/i
const VALUE = /\bvalue\s{0,4}=\s{0,4}(["']?)/i
/** Characters of a tag before and after its name. */
const [TAG_BEFORE, TAG_AFTER] = [512, 1024]

/** `<input name="access_token" value="…">` and `<input value="…" name="access_token">` */
function input(plain: string, { start, end, slot }: Named): readonly [number, number] | undefined {
  if (!NAMED_INPUT.test(plain.slice(Math.max(0, start - 16), start))) return undefined
  const before = plain.slice(Math.max(0, start - TAG_BEFORE), start)
  const first = start - before.length + Math.max(0, before.lastIndexOf('<'))
  const rest = plain.slice(end, end + TAG_AFTER)
  const close = rest.indexOf('>')
  const tag = plain.slice(first, end + (close === -1 ? rest.length : close))
  const match = VALUE.exec(tag)
  if (match === null) return undefined
  const from = match.index + match[0].length
  const quote = match[1] ?? ''
  const length = quote === '' ? tag.slice(from).search(/[\s>]|$/) : tag.slice(from).indexOf(quote)
  const range = [first + from, first + (length === -1 ? tag.length : from + length)] as const
  return slot === 'any' || isNotAWord(plain.slice(...range)) ? range : undefined
}

const FIELD_END = /[&#;\s"'<>\]}]/g

/** The name of a shell variable. */
const IN_CAPITALS = /^[A-Z][A-Z0-9_]*$/

/** `name=value` in a form, in the parameters of a URL or in a shell. */
function field(plain: string, { start, end, slot, isPercent }: Named): readonly [number, number] | undefined {
  if (plain[end] !== '=' || plain[end + 1] === '=') return undefined
  const before = plain[start - 1] ?? '&'
  const isVariable = /[\s"'`]/.test(before) && IN_CAPITALS.test(plain.slice(start, end))
  if (!'?&#;'.includes(before) && !isVariable) return undefined
  let to = next(plain, FIELD_END, end + 1)
  // An & that was written as %26 belongs to the value, unless the = was escaped too.
  while (to < plain.length && isPercent(to) && !isPercent(end)) to = next(plain, FIELD_END, to + 1)
  return slot === 'any' || isNotAWord(plain.slice(end + 1, to)) ? [end + 1, to] : undefined
}

const BEFORE_VALUE = /\s{0,4}(?:=>|:=?|=(?!=))\s{0,4}|\s{1,4}is\s{1,4}/y
const BLANKS = /\s{1,4}/y
const WORD_END = /[\s,;"'`<>&)}\]]/g

/** `client_secret: …`, `token is …`, `token …`: a value only if it is not a word. */
function sentence(plain: string, { end, slot }: Named): readonly [number, number] | undefined {
  const stated = after(plain, BEFORE_VALUE, end)
  const from = stated === -1 ? after(plain, BLANKS, end) : stated
  if (from === -1 || (stated === -1 && slot === 'opaque')) return undefined
  const raw = plain.slice(from, next(plain, WORD_END, from)).replace(/[.!?:]+$/, '')
  const isOne = stated === -1 || slot === 'opaque' ? isSearchable(raw) && /[0-9]/.test(raw) : isNotAWord(raw)
  return isOne && !/^https?:/.test(raw) ? [from, from + raw.length] : undefined
}

/** Whether a value in a sentence is taken for a secret and not for a word. */
function isNotAWord(value: string): boolean {
  return (value.length >= 3 && /[0-9]/.test(value)) || entropyOf(value.slice(0, 512)) >= ENOUGH_BITS
}

interface Replacement {
  /** in bytes of UTF-8 */
  readonly start: number
  readonly end: number
  /** undefined if the range stays as it is */
  readonly by: (() => string) | undefined
}

/** Replaces ranges of a text, which are sorted by start. A range that begins within the one before is skipped. */
export function replaceRanges(text: string, replacements: readonly Replacement[]): string {
  if (replacements.length === 0) return text
  const bytes = Buffer.from(text)
  let result = ''
  let end = 0
  for (const { start, end: next, by } of replacements) {
    if (by === undefined || start < end) continue
    result += bytes.toString('utf8', end, start) + by()
    end = next
  }
  return result + bytes.toString('utf8', end)
}
