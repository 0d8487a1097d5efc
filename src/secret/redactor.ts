/**
 * Removes secrets from everything that is kept of a run: from data of servers and files leaf by leaf, by slot and by value;
 * from our own sentences by value. It never changes member names, verdicts, numbers and times of our own record.
 */
import { isPanNumber } from './card-number.ts'
import { Finder } from './finder.ts'
import {
  DEEPEST,
  eachLeaf,
  parsedJson,
  type SecretSearch,
  secretsIn,
  secretsInHeaders,
  secretsInText,
  slotOf,
} from './learn.ts'
import { SECRET_LIMITS as LIMITS } from './limits.ts'
import { Masks, shownName } from './masks.ts'
import { isSearchable } from './randomness.ts'
import { RememberedTexts } from './remembered.ts'
import { Secret } from './secret.ts'
import {
  isUnsigned,
  PAN_MASK,
  type Replace,
  RULES,
  type Rule,
  shapesOfSecrets,
  signatureOf,
  withoutShapes,
} from './shapes.ts'
import { normalName, SCHEMES, type Slot, Slots } from './slots.ts'
import { isInValue, piecesOf, type Structure } from './structure.ts'
import { replaceRanges, slotsIn } from './texts.ts'
import { type Found, formOf } from './value-index.ts'

/** The version of the rules; the record has it. */
export const REDACTION_VERSION = 'v3'

/** Characters of a secret that are searched for, from its beginning. */
const LONGEST_SECRET = LIMITS.secretCharacters.value
/** Characters. A shorter word or number is not hidden as a whole leaf, since it occurs everywhere. */
const [SHORTEST_WORD, SHORTEST_NUMBER] = [3, 4]
/** A secret may be split into a list of so many items, each of so many characters. */
const [LONGEST_LIST, LONGEST_PIECE] = [4096, 24]
/** Characters that a member or an element counts as, beside those of its text. */
const CHARACTERS_PER_VALUE = 4
/** What may be printed before a mask: the name of a scheme; the header and the claims of a JWT. */
const BEFORE_MASK = new RegExp(
  `^(?:(?:${SCHEMES.join('|')}) )?(?:eyJ[\\w-]+\\.(?:[\\w-]+|\\[[\\w-]+(?:#[0-9a-f]{8})?\\])\\.)?`,
  'i',
)
/**
 * Names of JWTs that say who somebody is. Without a signature they prove nothing and are no secret; their claims, which are those
 * of every other such JWT, stay readable.
 */
const ASSERTIONS: ReadonlySet<string> = new Set(['client_assertion', 'assertion', 'software_statement', 'altered_jwt'])
/** No encoding goes on beyond it: after a line break alone, the next part would be taken for more of the one before. */
const BETWEEN_PARTS = '"\n'
const UNESCAPED_QUOTE = /(?<!\\)"/
const TOO_DEEP = '[nested too deeply to be searched]'
const TOO_LONG = '[not shown: too much in one value]'
const TOO_ENCODED = '[encoded too deeply to be searched]'
const UNSEARCHED = 'a text that is encoded too deeply to be searched'
const UNKNOWN = '[not shown: an answer held more secrets than are learned]'

/** A secret that is searched for. */
interface Known {
  readonly mask: string
  readonly name: string
}

export class Redactor {
  readonly #masks: Masks
  readonly #slots: Slots
  /** the secrets that are searched for, each with its mask */
  readonly #secrets = new Map<string, string>()
  readonly #finder: Finder<Known>
  /** secrets too ordinary to be searched for, each with its name: hidden where they are a whole leaf or quoted */
  readonly #ordinary = new Map<string, string>()
  /** texts that no rule changes that goes by shape */
  readonly #withoutShape = new RememberedTexts()
  /** lines and values without a secret that is known; most of those of a record come more than once */
  readonly #cleanParts = new RememberedTexts()
  /** the normal forms of all texts in `#exempt`, one a line */
  #exemptForms = ''
  /** texts that are ours and never hidden, even if a server sends them in a slot */
  readonly #exempt = new Set<string>()
  /** whether random texts of servers are hidden, since not all secrets were learned */
  #hidesRandomTexts = false
  /** how many more characters of the current value may be shown */
  #charactersLeft = Number.POSITIVE_INFINITY
  readonly #replaced = Object.fromEntries(Object.keys(RULES).map((rule) => [rule, 0])) as Record<Rule, number>

  /**
   * `fingerprintKey` is random for each run: a reader sees which secrets are equal, but cannot try guesses. `names` are
   * further names of slots.
   */
  constructor(fingerprintKey: Uint8Array, names: readonly string[] = []) {
    this.#masks = new Masks(fingerprintKey)
    this.#slots = new Slots(names)
    this.#finder = new Finder((form) => this.#exemptForms.includes(form))
  }

  /** How many values each rule has replaced, by the description of the rule. */
  get replaced(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Object.entries(RULES).map(([rule, description]) => [description, this.#replaced[rule as Rule]]),
    )
  }

  /** How many numbers with the shape of a card number were removed. */
  get cardNumbers(): number {
    return this.#replaced.pan
  }

  /** How many values all rules have replaced. If the number is the same after a call, the call has hidden nothing. */
  get replacements(): number {
    return Object.values(this.#replaced).reduce((sum, number) => sum + number, 0)
  }

  /** Changes when a secret is learned that may stand in a text which was searched before. */
  get revision(): number {
    return this.#finder.revision
  }

  /** How many different secrets are searched for. */
  get secretsKnown(): number {
    return this.#secrets.size
  }

  /** Never hides the texts in a value, at any depth: ids, URLs and hashes that are ours. */
  exempt(value: unknown): void {
    const forms: string[] = []
    eachLeaf(value, (leaf) => {
      if (typeof leaf !== 'string' || this.#exempt.has(leaf)) return
      this.#exempt.add(leaf)
      forms.push(formOf(leaf))
    })
    if (forms.length === 0) return
    this.#exemptForms = [this.#exemptForms, ...forms].join('\n')
    this.#finder.exemptionsChanged()
  }

  /** Adds a secret of ours: each leaf of it, if it is data. */
  add(secret: Secret | { readonly value: unknown; readonly name: string }): void {
    const { name } = secret
    eachLeaf(secret instanceof Secret ? secret.reveal() : secret.value, (leaf) => {
      const text = String(leaf)
      const shortest = typeof leaf === 'number' ? SHORTEST_NUMBER : SHORTEST_WORD
      if (this.#addSearched(text, name) || typeof leaf === 'boolean' || text.length < shortest) return
      this.#ordinary.set(text, name)
    })
  }

  /** Whether a secret with this value would be searched for in all texts, and not only be hidden in its slot. */
  searches(value: unknown): boolean {
    return typeof value === 'string' && isSearchable(value)
  }

  /** Searches for this secret from now on. Returns false if it is too ordinary for that. */
  #addSearched(value: string, name: string): boolean {
    const whole = signatureOf(value) ?? value
    if (this.#secrets.has(whole) || (ASSERTIONS.has(name) && isUnsigned(value))) return true
    if (!isSearchable(whole)) return false
    if (whole.length > LONGEST_SECRET) this.hideRandomTexts()
    const secret = whole.slice(0, LONGEST_SECRET)
    if (this.#secrets.has(secret)) return true
    const found = { mask: this.#masks.fingerprint(secret, name), name: shownName(name) }
    this.#secrets.set(secret, found.mask)
    const { revision } = this.#finder
    const key = /-----BEGIN [^-]+-----([\s\S]+)-----END/.exec(secret)?.[1]?.replace(/\s/g, '')
    if (key !== undefined) this.#finder.add(key, found)
    const isSearched = this.#finder.add(secret, found)
    if (this.#finder.revision !== revision) this.#cleanParts.clear()
    return isSearched
  }

  /**
   * Searches from now on for the secrets in the slots of a request or an answer. Call it before any of it is kept. `value` is
   * the parsed body, and `body` its text.
   */
  learn(value: unknown, headers: readonly (readonly [string, string])[] = [], body = ''): void {
    let [count, characters]: [number, number] = [LIMITS.secrets.value, LIMITS.learnedCharacters.value]
    const onSecret = (text: string, name: string) => {
      if (count === 0 || characters <= 0) {
        if (!isSearchable(text) || this.#secrets.has(text)) return
        search.isFull = true
        this.hideRandomTexts()
      } else if (this.#addSearched(text, normalName(name))) {
        count -= 1
        characters -= text.length
      }
    }
    const search: SecretSearch = {
      slots: this.#slots,
      onSecret,
      isFull: false,
      charactersLeft: LIMITS.searchedCharacters.value,
    }
    secretsInHeaders(headers, search)
    // If the text of parsed data is too long, only its members are searched.
    const isData = typeof value === 'object' && value !== null
    if (isData) secretsIn(value, search)
    if (isData && body !== '' && isTextOf(body, value)) {
      if (body.length < search.charactersLeft) secretsInText(body, search)
    } else if (!isData || body.length < search.charactersLeft) secretsIn(body === '' ? value : body, search)
    if (search.charactersLeft < 0) this.hideRandomTexts()
  }

  /**
   * From now on hides every text of a server that is random. Call it when not all secrets of an answer could be learned.
   */
  hideRandomTexts(): void {
    this.#hidesRandomTexts = true
  }

  /** Removes known secrets, JWT signatures, credentials, private keys and card numbers from a text of ours. */
  text(text: string): string {
    const cleaned = this.#withoutKnown(text)
    if (this.#withoutShape.has(cleaned)) return cleaned
    const shown = withoutShapes(cleaned, this.#slots, this.#replace)
    if (shown === cleaned) this.#withoutShape.set(cleaned, true)
    return shown
  }

  /**
   * The same for a sentence about what a server or a file holds. Also hides values in slots, and ordinary secrets in quotes.
   */
  sentence(text: string): string {
    const named = this.#withoutSlots(text)
    if (this.#ordinary.size === 0 && !this.#hidesRandomTexts) return this.text(named)
    const quoted = named.replace(
      /'([^'\n]{1,256})'|"([^"\n]{1,256})"|\bis (-?[0-9]{1,20})\b/g,
      (whole, single?: string, double?: string, number?: string) => {
        const value = single ?? double ?? number ?? ''
        const name = this.#ordinary.get(value)
        if (name !== undefined) return whole.replace(value, () => this.#replace('named', value, name))
        if (!this.#hidesRandomTexts || number !== undefined || !this.#mayBeSecret(value)) return whole
        return whole.replace(value, () => this.#count('unknown', UNKNOWN))
      },
    )
    return this.text(quoted)
  }

  /** A deep copy of our own record, or of a part of it, with `text` applied to each of its texts. */
  record<T>(value: T): T {
    return this.#cleanTexts(value, 0) as T
  }

  /** The same for checks. What they quote of servers is cleaned as a sentence. */
  checks<T extends { readonly id: string; readonly actual: string }>(checks: readonly T[]): T[] {
    return checks.map((check) => {
      const slot = check.id.startsWith('schema /') && this.#slots.of(check.id.slice(check.id.lastIndexOf('/') + 1))
      const shown = slot === 'any' && check.actual !== 'absent' ? 'a value that is hidden' : check.actual
      return { ...this.record(check), actual: this.sentence(shown) }
    })
  }

  #cleanTexts(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.text(value)
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Secret) return this.#masks.fingerprint(value.reveal(), value.name)
    if (depth > DEEPEST) return TOO_DEEP
    if (Array.isArray(value)) return value.map((item) => this.#cleanTexts(item, depth + 1))
    const entries = Object.entries(value)
    for (const entry of entries) entry[1] = this.#cleanTexts(entry[1], depth + 1)
    return Object.fromEntries(entries)
  }

  /**
   * A deep copy of data from a server or a file, without secrets. Masks in it stay. Beyond the limit of characters its texts
   * are left out.
   */
  value<T>(value: T): T {
    const left = this.#charactersLeft
    // A text is a whole body: more of it is read than of one list or object.
    const most = typeof value === 'string' ? LIMITS.searchedCharacters.value : LIMITS.shownCharacters.value
    this.#charactersLeft = Math.min(left, most)
    const copy = this.#redact(value, undefined, '', 0) as T
    this.#charactersLeft = left
    return copy
  }

  #redact(value: unknown, slot: Slot | undefined, name: string, depth: number): unknown {
    this.#charactersLeft -= typeof value === 'string' ? value.length : CHARACTERS_PER_VALUE
    if (this.#charactersLeft < 0) return TOO_LONG
    if (typeof value === 'string') return slot === undefined ? this.#leaf(value) : this.#inSlot(value, slot, name)
    if (typeof value === 'number') return this.#number(value, slot, name)
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Secret) return this.#masks.fingerprint(value.reveal(), value.name)
    if (depth > DEEPEST) return TOO_DEEP
    if (slot === 'any' && Object.keys(value).length > 0)
      return this.#count('named', this.#masks.type(Array.isArray(value) ? 'array' : 'object', name))
    if (Array.isArray(value)) return this.#joined(value) ?? this.#items(value, slot, name, depth)
    const copy: [string, unknown][] = []
    for (const [key, member] of Object.entries(value)) {
      this.#charactersLeft -= key.length
      if (this.#charactersLeft < 0) return Object.fromEntries([...copy, [TOO_LONG, '']])
      copy.push([this.#leaf(key), this.#redact(member, slotOf(key, value, this.#slots), key, depth + 1)])
    }
    return Object.fromEntries(copy)
  }

  #items(items: readonly unknown[], slot: Slot | undefined, name: string, depth: number): unknown[] {
    const copy: unknown[] = []
    for (const item of items) {
      copy.push(this.#redact(item, slot, name, depth + 1))
      if (this.#charactersLeft < 0) break
    }
    return copy
  }

  /** If the items of a list are the pieces or the character codes of a secret: a list with its mask. Else undefined. */
  #joined(items: readonly unknown[]): unknown {
    if (items.length < 2 || items.length > LONGEST_LIST) return undefined
    const isNumbers = items.every((item) => typeof item === 'number' && item >= 0 && item <= 0x10ffff)
    if (!isNumbers && !items.every((item) => typeof item === 'string' && item.length <= LONGEST_PIECE)) return undefined
    if (items.some((item) => this.#finder.find(String(item)).found.length > 0)) return undefined
    const text = isNumbers ? String.fromCodePoint(...(items as number[]).map(Math.trunc)) : items.join('')
    const [found] = this.#finder.find(text).found
    return found === undefined ? undefined : [this.#count('known', found.label.mask)]
  }

  #number(value: number, slot: Slot | undefined, name: string): unknown {
    const text = String(value)
    if (slot === 'any') return this.#count('named', this.#masks.type('number', name))
    if (isPanNumber(value)) return this.#count('pan', PAN_MASK)
    const ordinary = this.#ordinary.get(text)
    if (ordinary !== undefined) return this.#replace('named', text, ordinary)
    const cleaned = isSearchable(text) ? this.#withoutKnown(text) : text
    return cleaned === text ? value : cleaned
  }

  /**
   * Hides a text in a slot as a whole, except what may be printed before a mask: a scheme, or the header and claims of a
   * JWT.
   */
  #inSlot(value: string, slot: Slot, name: string): string {
    if (value === '' || this.#masks.has(value)) return value
    if (slot === 'opaque' && !isSearchable(value) && !/^[0-9]{6,8}$/.test(value)) return this.#leaf(value)
    const text = this.text(value)
    return this.#masks.has(text.replace(BEFORE_MASK, '')) ? text : this.#replace('named', value, name)
  }

  /** Cleans a text of a server or a file; it may hold JSON or slots. */
  #leaf(text: string): string {
    const name = this.#ordinary.get(text)
    if (name !== undefined) return this.#replace('named', text, name)
    const parsed = parsedJson(text)
    if (parsed !== undefined) {
      const before = this.replacements
      const cleaned = this.value(parsed)
      if (this.replacements !== before) return JSON.stringify(cleaned)
    }
    const shown = this.text(this.#withoutSlots(text))
    return this.#hidesRandomTexts && shown === text && this.#mayBeSecret(text) ? this.#count('unknown', UNKNOWN) : shown
  }

  #mayBeSecret(text: string): boolean {
    return isSearchable(text) && !this.#exemptForms.includes(formOf(text))
  }

  /** The URL of a request. Its origin is shown even if the whole URL is hidden. */
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
    return replaceRanges(
      text,
      found.map((one) => ({
        ...one,
        by: signatureOf(one.value) ? undefined : () => this.#inSlot(one.value, 'any', one.name),
      })),
    )
  }

  #withoutKnown(text: string): string {
    const mask = this.#secrets.get(text)
    if (mask !== undefined && !this.#exemptForms.includes(formOf(text))) return this.#count('known', mask)
    const { found, isPartial } = this.#finder.find(text)
    if (isPartial) return this.#count('partial', TOO_ENCODED)
    return this.#masked(text, found)
  }

  /** Replaces the secrets that were found in a text with their masks. */
  #masked(text: string, found: readonly Found<Known>[]): string {
    return replaceRanges(
      text,
      found.map(({ start, end, label }) => ({ start, end, by: () => this.#count('known', label.mask) })),
    )
  }

  /**
   * Removes secrets from the text of a file of a run, and returns their names too. There should be none: everything in the file
   * has been redacted before. `structure` tells where the file may hold a secret; without it, anywhere.
   */
  cleanFile(text: string, structure?: Structure): { readonly text: string; readonly found: readonly string[] } {
    if (structure !== undefined) {
      // What was searched when it was recorded stands there as it is, or escaped.
      const parts = text.split(structure.end).filter((part) => !this.#isKnownClean(structure.textIn?.(part)))
      if (this.#areClean(parts)) return { text, found: [] }
    }
    const shapes = shapesOfSecrets(text)
    const { found: known, isPartial } = this.#finder.find(text)
    if (known.length === 0 && shapes.length === 0 && !isPartial) return { text, found: [] }
    const bytes = Buffer.from(text)
    const found = known.filter((one) => structure === undefined || isInValue(bytes, one, structure))
    const masked = this.#masked(text, found)
    const rest = isPartial ? this.#cleanPieces(masked, structure) : { text: masked, found: [] }
    const cleaned = rest.text
    const names = [...namesOf(found), ...rest.found]
    if (shapes.length === 0) return { text: cleaned, found: names }
    const before = this.replacements
    // Without a structure the text is cleaned as a whole, since a private key has several lines.
    const lines = structure === undefined ? [cleaned] : cleaned.split('\n')
    const shaped = lines.map((line) =>
      structure === undefined || structure.isValue(line, line.length)
        ? withoutShapes(line, this.#slots, this.#replace)
        : line,
    )
    return { text: shaped.join('\n'), found: [...names, ...(this.replacements === before ? [] : shapes)] }
  }

  /** Where there was too much to decode in one search: each piece by itself. What is still too much for one is hidden. */
  #cleanPieces(text: string, structure?: Structure): { readonly text: string; readonly found: readonly string[] } {
    const names: string[] = []
    const cleaned = piecesOf(text, structure).map(({ piece, isValue }) => {
      if (!isValue) return piece
      const { found, isPartial } = this.#finder.find(piece)
      if (isPartial && structure !== undefined && piece.includes('\n')) {
        const lines = this.#cleanPieces(piece)
        names.push(...lines.found)
        return lines.text
      }
      names.push(...namesOf(found), ...(isPartial ? [UNSEARCHED] : []))
      return isPartial ? this.#count('partial', TOO_ENCODED) : this.#masked(piece, found)
    })
    return { text: cleaned.join(''), found: names }
  }

  /** Whether JSON may hold a known secret, in any encoding, or one that is found by its shape. No value goes on in another. */
  mayHoldSecret(json: string): boolean {
    return !this.#areClean(json.split(UNESCAPED_QUOTE))
  }

  #isKnownClean(text: string | undefined): boolean {
    return text !== undefined && this.#withoutShape.has(text) && this.#finder.isKnownEmpty(text)
  }

  /** Whether no part of a text holds a secret, where none may go on in another part. */
  #areClean(parts: readonly string[]): boolean {
    const fresh = new Set(parts.filter((part) => !this.#cleanParts.has(part)))
    const rest = [...fresh].join(BETWEEN_PARTS)
    const { found, isPartial } = this.#finder.find(rest)
    if (found.length > 0 || isPartial || shapesOfSecrets(rest).length > 0) return false
    for (const part of fresh) this.#cleanParts.set(part, true)
    return true
  }

  /** Names of the known secrets in a text, in any encoding, and the rules that find a secret in it by its shape. */
  find(text: string): readonly string[] {
    return [...new Set([...namesOf(this.#finder.find(text).found), ...shapesOfSecrets(text)])]
  }

  readonly #replace: Replace = (rule, value, name) =>
    this.#count(
      rule,
      rule === 'pan' ? PAN_MASK : rule === 'key' ? '[private_key]' : this.#masks.fingerprint(value, name),
    )

  #count(rule: Rule, replacement: string): string {
    this.#replaced[rule] += 1
    return replacement
  }
}

/** Whether a text is that of parsed data: what it says besides its slots is searched with the data. */
function isTextOf(text: string, data: object): boolean {
  try {
    return text.trimEnd() === JSON.stringify(data)
  } catch {
    // A number that is a bigint.
    return false
  }
}

function namesOf(found: readonly Found<Known>[]): readonly string[] {
  return [...new Set(found.map(({ label }) => label.name))]
}
