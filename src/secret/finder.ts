/**
 * Finds many values in a text, whatever encodings it uses: decodes the text and looks up the values in each decoded part.
 */
import { type Decoding, decode } from './encodings.ts'
import { latin1, type ToSource, unescaped } from './escapes.ts'
import { bytesOf, freeMemory, takeMemory } from './memory.ts'
import { SHORTEST_SEARCHABLE } from './randomness.ts'
import { RememberedTexts } from './remembered.ts'
import { type Found, LOOSE, STRICT, ValueIndex } from './value-index.ts'

/** Encodings within each other. */
const DEEPEST = 6
/** The decoded bytes of one text are limited to this multiple of its size, and never to fewer than `ALWAYS_DECODED`. */
const MOST_DECODED = 16
const ALWAYS_DECODED = 64 * 1024
/** Runs of base64 without a secret that are remembered. */
const MOST_REMEMBERED = 1000

/** Full-width, mathematical and circled letters. */
const ODD_LETTERS = /[\u2460-\u24ff\uff00-\uffef\u{1d400}-\u{1d7ff}]/u

/** Tags of HTML and XML, and colour codes of terminals: a reader does not see them, so a secret may have some within it. */
const MARKUP = new RegExp(`</?[A-Za-z][^<>]{0,200}>|${String.fromCharCode(27)}\\[[0-9;]{0,16}m`, 'g')
/** Bytes. Markup is removed from shorter texts only: longer ones are our own reports. */
const LONGEST_WITH_MARKUP = 128 * 1024

export interface Findings<T> {
  /** in bytes of UTF-8, in order, without overlaps */
  readonly found: readonly Found<T>[]
  /** whether a part of the text was not decoded because of a limit */
  readonly isPartial: boolean
}

const NOTHING = { found: [], isPartial: false } as const

/** Each value has a label, which is returned with each place where the value is found. */
export class Finder<T> {
  readonly #loose = new ValueIndex<T>(LOOSE)
  readonly #strict = new ValueIndex<T>(STRICT)
  readonly #isExempt: (form: string) => boolean
  /** long runs of base64 that were decoded and hold none of the values */
  readonly #emptyRuns = new Set<string>()
  /** what was found in texts */
  readonly #findings = new RememberedTexts<Findings<T>>()
  #revision = 0

  /** `isExempt`: whether a text in normal form is never reported, even if it is a value or a piece of one. */
  constructor(isExempt: (form: string) => boolean) {
    this.#isExempt = isExempt
  }

  /** Changes when a value is added that a text which was searched before may hold. */
  get revision(): number {
    return this.#revision
  }

  /** Returns false if the value has too few characters to be searched for in either normal form. */
  add(text: string, label: T): boolean {
    freeMemory()
    const plain = unescaped(bytesOf(text)).bytes
    const isSearched = this.#loose.add(plain, label) || this.#strict.add(plain, label)
    if (this.#loose.mayHaveMet || this.#strict.mayHaveMet) this.#forget()
    return isSearched
  }

  #forget(): void {
    this.#revision += 1
    this.#emptyRuns.clear()
    this.#findings.clear()
    this.#loose.forget()
    this.#strict.forget()
  }

  find(text: string): Findings<T> {
    if (text.length < SHORTEST_SEARCHABLE) return NOTHING
    const known = this.#findings.get(text)
    if (known !== undefined) return known
    const findings = this.#findInAnyLetters(text)
    this.#findings.set(text, findings.found.length === 0 && !findings.isPartial ? NOTHING : findings)
    return findings
  }

  /** Whether a text was searched and holds none of the values. */
  isKnownEmpty(text: string): boolean {
    return this.#findings.get(text) === NOTHING
  }

  /** Call it when other texts are exempt than before. */
  exemptionsChanged(): void {
    this.#findings.clear()
  }

  #findInAnyLetters(text: string): Findings<T> {
    const findings = this.#findExact(text)
    if (!ODD_LETTERS.test(text)) return findings
    const { plain, toSource } = inUsualLetters(text)
    const { found, isPartial } = this.#findExact(plain)
    const inText = found.map(({ start, end, label }) => {
      const [from, to] = toSource(start, end)
      return { start: from, end: to, label }
    })
    return { found: merged([...findings.found, ...inText]), isPartial: findings.isPartial || isPartial }
  }

  #findExact(text: string): Findings<T> {
    if (this.#loose.isEmpty && this.#strict.isEmpty) return NOTHING
    const found: Found<T>[] = []
    freeMemory()
    const bytes = bytesOf(text)
    const decoding = {
      found,
      isKnownEmpty: (run: string) => this.#emptyRuns.has(run),
      rememberEmpty: (run: string) => {
        if (this.#emptyRuns.size < MOST_REMEMBERED) this.#emptyRuns.add(run)
      },
      archives: 0,
      isPartial: false,
      bytesLeft: Math.max(ALWAYS_DECODED, MOST_DECODED * bytes.length),
    }
    this.#search(bytes, (start, end) => [start, end], { found, decoding, depth: 0 })
    return { found: merged(found), isPartial: decoding.isPartial }
  }

  #search(
    bytes: Uint8Array,
    toSource: ToSource,
    state: { readonly found: Found<T>[]; readonly decoding: Decoding & { bytesLeft: number }; readonly depth: number },
  ): void {
    const { found, decoding, depth } = state
    decoding.bytesLeft -= bytes.length
    const plain = unescaped(bytes)
    decoding.isPartial ||= plain.isTooDeep || depth > DEEPEST || decoding.bytesLeft < 0
    if (depth > DEEPEST || decoding.bytesLeft < 0) return
    const outer: ToSource = (start, end) => toSource(...plain.toSource(start, end))
    for (const index of [this.#loose, this.#strict])
      for (const { start, end, label } of index.find(plain.bytes, this.#isExempt)) {
        const [from, to] = outer(start, end)
        found.push({ start: from, end: to, label })
      }
    if (depth === 0) {
      const visible = withoutMarkup(plain.bytes)
      if (visible !== undefined)
        this.#search(visible.bytes, (start, end) => outer(...visible.toSource(start, end)), {
          found,
          decoding,
          depth: 1,
        })
    }
    decode(plain.bytes, decoding, (inner, toPlain) =>
      this.#search(inner, (start, end) => outer(...toPlain(start, end)), { found, decoding, depth: depth + 1 }),
    )
  }
}

/** Undefined if the text has no markup or is too long. */
function withoutMarkup(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly toSource: ToSource } | undefined {
  if (bytes.length > LONGEST_WITH_MARKUP || !(bytes.includes(0x3c) || bytes.includes(0x1b))) return undefined
  const parts: number[] = []
  let end = 0
  for (const { 0: whole, index } of latin1(bytes).matchAll(MARKUP)) {
    parts.push(end, index)
    end = index + whole.length
  }
  if (parts.length === 0) return undefined
  parts.push(end, bytes.length)
  const visible = takeMemory(bytes.length)
  const places = new Uint32Array(bytes.length)
  let length = 0
  for (let part = 0; part < parts.length; part += 2)
    for (let at = parts[part] as number; at < (parts[part + 1] as number); at += 1) {
      places[length] = at
      visible[length++] = bytes[at] as number
    }
  const toSource: ToSource = (start, to) => [places[start] as number, (places[to - 1] as number) + 1]
  return { bytes: visible.subarray(0, length), toSource }
}

/** Letters with what NFKC joins to them: accents, and the marks and vowels of half-width Japanese and Korean. */
const CLUSTERS = /[^\p{M}][\p{M}\uff9e\uff9f\uffa0-\uffdc\u1160-\u11ff]*|[\s\S]/gu

/** A reader takes odd letters for the usual ones. The ranges are in bytes of UTF-8. */
function inUsualLetters(text: string): { readonly plain: string; readonly toSource: ToSource } {
  const [letters, places]: [string[], number[]] = [[], []]
  let at = 0
  for (const [character] of text.matchAll(CLUSTERS)) {
    const letter = character.normalize('NFKC')
    letters.push(letter)
    for (let byte = Buffer.byteLength(letter); byte > 0; byte -= 1) places.push(at)
    at += Buffer.byteLength(character)
  }
  places.push(at)
  const toSource: ToSource = (start, end) => {
    let after = end
    // One character may become several letters, of which only some belong to the range.
    while (places[after] === places[end - 1]) after += 1
    return [places[start] as number, places[after] as number]
  }
  return { plain: letters.join(''), toSource }
}

/** Sorts the ranges and merges those that overlap. A merged range has the label of the longest. */
function merged<T>(found: readonly Found<T>[]): Found<T>[] {
  const result: Found<T>[] = []
  for (const one of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.at(-1)
    if (last === undefined || one.start >= last.end) result.push(one)
    else {
      const { label } = one.end - one.start > last.end - last.start ? one : last
      result[result.length - 1] = { start: last.start, end: Math.max(last.end, one.end), label }
    }
  }
  return result
}
