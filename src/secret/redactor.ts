/**
 * Takes secrets out of what is kept of a run: out of data from servers and files leaf by leaf, by slot and by value; out of
 * our own sentences by value. The member names, verdicts, numbers and times of our own record are never touched.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { isPanNumber } from './card-number.ts'
import { Finder, formOf } from './finder.ts'
import { DEEPEST, eachLeaf, parsedJson, type Search, secretsIn, secretsInHeaders, slotOf } from './learn.ts'
import { SECRET_LIMITS as LIMITS } from './limits.ts'
import { Secret } from './secret.ts'
import { PAN_MASK, type Replace, RULES, type Rule, shapesOfSecrets, signatureOf, withoutShapes } from './shapes.ts'
import { normalName, SCHEMES, type Slot, Slots } from './slots.ts'
import { replaced, slotsIn } from './texts.ts'
import { bitsOf, isSearched } from './worth.ts'

/** The version of the rules, which is printed in the record. */
export const REDACTION_VERSION = 'v3'

/** Of one secret: characters that are searched for. */
const LONGEST_SECRET = LIMITS.secretCharacters.value
/** Of a value that is hidden wherever it is a whole leaf: a shorter one is any number or word. */
const [SHORTEST_WORD, SHORTEST_NUMBER] = [3, 4]
/** Of items that may make a secret together: how many, and how long each may be. */
const [LONGEST_LIST, LONGEST_PIECE] = [4096, 24]
/** Characters that a member or an element counts as. */
const EACH = 4
/** Characters of a name that is shown. */
const LONGEST_NAME = 64
/** What may stay before what is hidden: the name of a scheme, header and claims of a JWT. */
const SHOWN = new RegExp(
  `^(?:(?:${SCHEMES.join('|')}) )?(?:eyJ[\\w-]+\\.(?:[\\w-]+|\\[[\\w-]+(?:#[0-9a-f]{8})?\\])\\.)?`,
  'i',
)
const TOO_DEEP = '[nested too deeply to be searched]'
const TOO_LONG = '[not shown: too much in one value]'
const TOO_ENCODED = '[encoded too deeply to be searched]'
const UNKNOWN = '[not shown: an answer held more secrets than are learned]'

interface Known {
  readonly mask: string
  readonly name: string
}

export class Redactor {
  readonly #fingerprintKey: KeyObject
  readonly #slots: Slots
  readonly #values = new Set<string>()
  readonly #finder: Finder<Known>
  /** values that are too ordinary to be searched for, by which they are called: they are hidden where they are a whole leaf */
  readonly #ordinary = new Map<string, string>()
  /** forms of what is ours and no secret, whatever a server calls it */
  #own = ''
  readonly #ownSeen = new Set<string>()
  /** not every secret of the answers is known */
  #hasMissed = false
  /** characters that the value at hand may still have */
  #left = Number.POSITIVE_INFINITY
  readonly #masks = new Set<string>()
  readonly #replaced = Object.fromEntries(Object.keys(RULES).map((rule) => [rule, 0])) as Record<Rule, number>

  /**
   * `fingerprintKey` is random for each run: equality of two secrets shows, but no dictionary can be tried on them. `names`
   * are further ones of secret members, headers and parameters.
   */
  constructor(fingerprintKey: Uint8Array, names: readonly string[] = []) {
    // A key that is made once: there are thousands of masks, and making it takes longer than one of them.
    this.#fingerprintKey = createSecretKey(fingerprintKey)
    this.#slots = new Slots(names)
    this.#finder = new Finder((form) => this.#own.includes(form))
  }

  /** How often each rule has replaced something, by what the rule says. */
  get replaced(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(RULES).map(([rule, about]) => [about, this.#replaced[rule as Rule]]))
  }

  /** How many numbers with the shape of a card number were removed. */
  get cardNumbers(): number {
    return this.#replaced.pan
  }

  /** How many replacements there were of all rules: what has changed nothing has hidden nothing. */
  get hidden(): number {
    return Object.values(this.#replaced).reduce((sum, number) => sum + number, 0)
  }

  /** How many different secrets are searched for. */
  get size(): number {
    return this.#values.size
  }

  /** Ids, URLs and hashes that are ours: the texts in a value, at any depth. */
  own(value: unknown): void {
    const forms: string[] = []
    eachLeaf(value, (leaf) => {
      if (typeof leaf !== 'string' || this.#ownSeen.has(leaf)) return
      this.#ownSeen.add(leaf)
      forms.push(formOf(leaf))
    })
    if (forms.length > 0) this.#own = [this.#own, ...forms].join('\n')
  }

  /** A secret of ours, of any type of JSON. */
  add(secret: Secret | { readonly value: unknown; readonly name: string }): void {
    const { name } = secret
    eachLeaf(secret instanceof Secret ? secret.reveal() : secret.value, (leaf) => {
      const text = String(leaf)
      const shortest = typeof leaf === 'number' ? SHORTEST_NUMBER : SHORTEST_WORD
      if (this.#search(text, name) || typeof leaf === 'boolean' || text.length < shortest) return
      this.#ordinary.set(text, name)
    })
  }

  /** Whether a value is searched for, once it is known, wherever it occurs. */
  searches(value: unknown): boolean {
    return typeof value === 'string' && isSearched(value)
  }

  /** False where the value is too ordinary to be told from others. */
  #search(value: string, name: string): boolean {
    const whole = signatureOf(value) ?? value
    if (!isSearched(whole)) return false
    if (whole.length > LONGEST_SECRET) this.missed()
    const secret = whole.slice(0, LONGEST_SECRET)
    if (this.#values.has(secret)) return true
    this.#values.add(secret)
    const found = { mask: this.#mask(secret, name), name: shownName(name) }
    const key = /-----BEGIN [^-]+-----([\s\S]+)-----END/.exec(secret)?.[1]?.replace(/\s/g, '')
    if (key !== undefined) this.#finder.add(key, found)
    return this.#finder.add(secret, found)
  }

  /**
   * Takes note of the secrets in a request or an answer; call it before any of it is kept. `unread` is the whole text of an
   * answer, also of one that cannot be parsed.
   */
  learn(value: unknown, headers: readonly (readonly [string, string])[] = [], unread = ''): void {
    let [count, characters]: [number, number] = [LIMITS.secrets.value, LIMITS.learnedCharacters.value]
    const note = (text: string, name: string) => {
      if (count === 0 || characters <= 0) {
        if (!isSearched(text) || this.#values.has(text)) return
        search.isFull = true
        this.missed()
      } else if (this.#search(text, normalName(name))) {
        count -= 1
        characters -= text.length
      }
    }
    const search: Search = { slots: this.#slots, note, isFull: false, left: LIMITS.searchedCharacters.value }
    secretsInHeaders(headers, search)
    // A text is read once; long data that was parsed tells its secrets by its members.
    const isData = typeof value === 'object' && value !== null
    if (isData) secretsIn(value, search)
    if (!isData || unread.length < search.left) secretsIn(unread === '' ? value : unread, search)
    if (search.left < 0) this.missed()
  }

  /** Of an answer more was left out than can be learned from: from now on a text of a server that may be a secret is hidden. */
  missed(): void {
    this.#hasMissed = true
  }

  /** A text of ours that may quote others: without every known secret, JWT signature, credential, private key and PAN. */
  text(text: string): string {
    return withoutShapes(this.#withoutKnown(text), this.#slots, this.#replace)
  }

  /** A sentence that tells what a server or a file holds: its slots too, and in quotes what is too ordinary to be searched. */
  sentence(text: string): string {
    const named = this.#withoutSlots(text)
    if (this.#ordinary.size === 0 && !this.#hasMissed) return this.text(named)
    const quoted = named.replace(
      /'([^'\n]{1,256})'|"([^"\n]{1,256})"|\bis (-?[0-9]{1,20})\b/g,
      (whole, single?: string, double?: string, number?: string) => {
        const value = single ?? double ?? number ?? ''
        const name = this.#ordinary.get(value)
        if (name !== undefined) return whole.replace(value, () => this.#replace('named', value, name))
        if (!this.#hasMissed || number !== undefined || !this.#mayBeSecret(value)) return whole
        return whole.replace(value, () => this.#count('unknown', UNKNOWN))
      },
    )
    return this.text(quoted)
  }

  /** A deep copy of our own record or of a part of it: its texts are cleaned, and nothing else is touched. */
  record<T>(value: T): T {
    return this.#inTexts(value, 0) as T
  }

  /** The same for what was checked, which quotes what servers sent. */
  checks<T extends { readonly id: string; readonly actual: string }>(checks: readonly T[]): T[] {
    return checks.map((check) => {
      const slot = check.id.startsWith('schema /') && this.#slots.of(check.id.slice(check.id.lastIndexOf('/') + 1))
      const shown = slot === 'any' && check.actual !== 'absent' ? 'a value that is hidden' : check.actual
      return { ...this.record(check), actual: this.sentence(shown) }
    })
  }

  #inTexts(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.text(value)
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Secret) return this.#mask(value.reveal(), value.name)
    if (depth > DEEPEST) return TOO_DEEP
    if (Array.isArray(value)) return value.map((item) => this.#inTexts(item, depth + 1))
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, this.#inTexts(member, depth + 1)]))
  }

  /**
   * A deep copy of data from a server or a file, with the same shape. What is hidden stays as it is when it comes again; where
   * there is too much of it, the rest of its texts is left out.
   */
  value<T>(value: T): T {
    const left = this.#left
    // A text is a body, of which the beginning is shown.
    const most = typeof value === 'string' ? LIMITS.searchedCharacters.value : LIMITS.shownCharacters.value
    this.#left = Math.min(left, most)
    const copy = this.#redact(value, undefined, '', 0) as T
    this.#left = left
    return copy
  }

  #redact(value: unknown, slot: Slot | undefined, name: string, depth: number): unknown {
    this.#left -= typeof value === 'string' ? value.length : EACH
    if (this.#left < 0) return TOO_LONG
    if (typeof value === 'string') return slot === undefined ? this.#leaf(value) : this.#inSlot(value, slot, name)
    if (typeof value === 'number') return this.#number(value, slot, name)
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Secret) return this.#mask(value.reveal(), value.name)
    if (depth > DEEPEST) return TOO_DEEP
    if (slot === 'any' && Object.keys(value).length > 0)
      return this.#count('named', this.#issued(`[${shownName(name)}: ${Array.isArray(value) ? 'array' : 'object'}]`))
    if (Array.isArray(value)) return this.#inPieces(value) ?? this.#items(value, slot, name, depth)
    const copy: [string, unknown][] = []
    for (const [key, member] of Object.entries(value)) {
      this.#left -= key.length
      if (this.#left < 0) return Object.fromEntries([...copy, [TOO_LONG, '']])
      copy.push([this.#leaf(key), this.#redact(member, slotOf(key, value, this.#slots), key, depth + 1)])
    }
    return Object.fromEntries(copy)
  }

  #items(items: readonly unknown[], slot: Slot | undefined, name: string, depth: number): unknown[] {
    const copy: unknown[] = []
    for (const item of items) {
      copy.push(this.#redact(item, slot, name, depth + 1))
      if (this.#left < 0) break
    }
    return copy
  }

  /** What stands in the place of a list whose items make a secret together: its pieces, or the numbers of its characters. */
  #inPieces(items: readonly unknown[]): unknown {
    if (items.length < 2 || items.length > LONGEST_LIST) return undefined
    const isNumbers = items.every((item) => typeof item === 'number' && item >= 0 && item <= 0x10ffff)
    if (!isNumbers && !items.every((item) => typeof item === 'string' && item.length <= LONGEST_PIECE)) return undefined
    if (items.some((item) => this.#finder.in(String(item)).found.length > 0)) return undefined
    const text = isNumbers ? String.fromCodePoint(...(items as number[]).map(Math.trunc)) : items.join('')
    const [found] = this.#finder.in(text).found
    return found === undefined ? undefined : [this.#count('known', found.of.mask)]
  }

  #number(value: number, slot: Slot | undefined, name: string): unknown {
    const text = String(value)
    if (slot === 'any') return this.#count('named', this.#issued(`[${shownName(name)}: number]`))
    if (isPanNumber(value)) return this.#count('pan', PAN_MASK)
    const called = this.#ordinary.get(text)
    if (called !== undefined) return this.#replace('named', text, called)
    const cleaned = isSearched(text) ? this.#withoutKnown(text) : text
    return cleaned === text ? value : cleaned
  }

  /** Its own mask where it is known, its header and claims where it is a JWT; else nothing of it is left. */
  #inSlot(value: string, slot: Slot, name: string): string {
    if (value === '' || this.#masks.has(value)) return value
    if (slot === 'opaque' && !isSearched(value) && !/^[0-9]{6,8}$/.test(value)) return this.#leaf(value)
    const text = this.text(value)
    return this.#masks.has(text.replace(SHOWN, '')) ? text : this.#replace('named', value, name)
  }

  /** A text from elsewhere, which may itself hold data or slots. */
  #leaf(text: string): string {
    const name = this.#ordinary.get(text)
    if (name !== undefined) return this.#replace('named', text, name)
    const parsed = parsedJson(text)
    if (parsed !== undefined) {
      const before = this.hidden
      const cleaned = this.value(parsed)
      if (this.hidden !== before) return JSON.stringify(cleaned)
    }
    const shown = this.text(this.#withoutSlots(text))
    return this.#hasMissed && shown === text && this.#mayBeSecret(text) ? this.#count('unknown', UNKNOWN) : shown
  }

  #mayBeSecret(text: string): boolean {
    return isSearched(text) && !this.#own.includes(formOf(text))
  }

  /** The URL of a request. Where it goes is shown also where nothing else of it may be. */
  url(url: string): string {
    const shown = this.#leaf(url)
    return URL.canParse(shown) ? shown : `${URL.parse(url)?.origin ?? ''}/${shown}`
  }

  headers(headers: readonly (readonly [string, string])[]): [string, string][] {
    return headers.map(([name, value]) => {
      const slot = this.#slots.of(name)
      return [this.text(name), slot === undefined ? this.#leaf(value) : this.#inSlot(value, slot, name)]
    })
  }

  #withoutSlots(text: string): string {
    const found = slotsIn(text, this.#slots)
    if (found.length === 0) return text
    return replaced(
      text,
      found.map((one) => ({ ...one, by: signatureOf(one.value) ? undefined : () => this.#inPlace(one) })),
    )
  }

  #inPlace({ value, name }: { readonly value: string; readonly name: string }): string {
    return this.#inSlot(value, 'any', name)
  }

  #withoutKnown(text: string): string {
    const { found, isPartial } = this.#finder.in(text)
    if (isPartial) return this.#count('partial', TOO_ENCODED)
    if (found.length === 0) return text
    return replaced(
      text,
      found.map(({ start, end, of }) => ({ start, end, by: () => this.#count('known', of.mask) })),
    )
  }

  /**
   * The text of a finished file without what should not be in it, and the names of what that was; the last line of defence,
   * and the only one where the secrets are not known any more.
   */
  finished(text: string, structure?: Structure): { readonly text: string; readonly found: readonly string[] } {
    const shapes = shapesOfSecrets(text)
    const known = this.#finder.in(text).found
    if (known.length === 0 && shapes.length === 0) return { text, found: [] }
    const bytes = Buffer.from(text)
    const found = known.filter(
      ({ start, end }) =>
        structure === undefined ||
        (!structure.between.test(bytes.toString('latin1', start, end)) &&
          structure.isValue(...placeInLine(bytes, start))),
    )
    const cleaned = replaced(
      text,
      found.map(({ start, end, of }) => ({ start, end, by: () => this.#count('known', of.mask) })),
    )
    if (shapes.length === 0) return { text: cleaned, found: namesOf(found) }
    const before = this.hidden
    // A key has several lines, but in a file with a structure none.
    const lines = structure === undefined ? [cleaned] : cleaned.split('\n')
    const shaped = lines.map((line) =>
      structure === undefined || structure.isValue(line, line.length)
        ? withoutShapes(line, this.#slots, this.#replace)
        : line,
    )
    return { text: shaped.join('\n'), found: [...namesOf(found), ...(this.hidden === before ? [] : shapes)] }
  }

  /** Names of the secrets that occur in `text` in any encoding, and the rules by whose shape something is left in it. */
  find(text: string): readonly string[] {
    const known = this.#finder.in(text).found.map(({ of: { name } }) => name)
    return [...new Set([...known, ...shapesOfSecrets(text)])]
  }

  readonly #replace: Replace = (rule, value, name) =>
    this.#count(rule, rule === 'pan' ? PAN_MASK : rule === 'key' ? '[private_key]' : this.#mask(value, name))

  #count(rule: Rule, replacement: string): string {
    this.#replaced[rule] += 1
    return replacement
  }

  #mask(value: string, name: string): string {
    const print = createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8)
    return this.#issued(`[${shownName(name)}#${print}]`)
  }

  #issued(mask: string): string {
    this.#masks.add(mask)
    return mask
  }
}

function namesOf(found: readonly { readonly of: Known }[]): readonly string[] {
  return [...new Set(found.map(({ of }) => of.name))]
}

function placeInLine(bytes: Buffer, place: number): [line: string, place: number] {
  const start = place === 0 ? 0 : bytes.lastIndexOf(10, place - 1) + 1
  const end = bytes.indexOf(10, place)
  return [bytes.toString('latin1', start, end === -1 ? bytes.length : end), place - start]
}

/** Where a file of some format has values, in which a secret may stand, and what is the format's own. */
export interface Structure {
  /** what stands between values: no secret reaches across it */
  readonly between: RegExp
  /** whether a place of a line, counted in bytes of UTF-8, is within a value; `line` has a character for each of them */
  readonly isValue: (line: string, place: number) => boolean
}

/** A name from a server may hold a secret itself. */
function shownName(name: string): string {
  const shown = name.replace(/[^\w-]/g, '')
  if (shown.length <= LONGEST_NAME && bitsOf(shown) < 48 && shown !== '') return shown
  return normalName(name).split('_').at(-1)?.slice(0, 16) || 'secret'
}
