/**
 * The log: events, line by line, in one file that only grows. Owns the form of a line and the chain of lines, not what an
 * event means.
 *
 * The first line is the vault's id in clear. Each other line is a JWE of `{ event, after }`. `after` is the end of the line
 * before it: the id, or the authentication tag, which no other line has. So no line can be changed, moved, doubled or taken
 * out unnoticed. A line that a dying process did not finish stays in the file: the next one follows it behind a "!" and
 * holds its hash as `unfinished`.
 */
import { hash, randomBytes } from 'node:crypto'
import type { Problem } from '../record/errors.ts'
import type { FileFacts, Files } from './files.ts'
import type { KeyRing, KeySource } from './key.ts'
import { seal, TAG_CHARACTERS, unseal } from './seal.ts'

/** Takes the events in the order of the log. */
export interface LogReader {
  /** called before all events come again */
  restart(): void
  /** why an event cannot be taken, else undefined */
  fault(event: unknown): Fault | undefined
  /** takes an event that has no fault */
  event(event: unknown): void
}

/** What is wrong with a line; `is` follows "line 7 of vault …" */
export interface Fault {
  readonly is: string
  readonly rest: Partial<Problem>
}

interface Sealed {
  readonly event: unknown
  readonly after: string
  /** SHA-256 of what a dying process left in this place */
  readonly unfinished?: string
}

/** How far the log has been read. */
interface Known {
  /** of the file when it was read */
  readonly facts: Pick<FileFacts, 'ino' | 'size' | 'mtimeMs'>
  /** bytes up to the end of the last line that counts */
  readonly offset: number
  readonly lines: number
  /** the end of the last line */
  readonly link: string
  /** the last line was changed, so its end says nothing */
  readonly isBroken: boolean
  /** an unfinished line after the last one; empty where there is none */
  readonly unfinished: string
  /** the last line counts, and lacks its line break */
  readonly needsBreak: boolean
}

const FORMAT = 'thredd-vault 1 '
const ID = /^[0-9a-f]{32}$/
const MARK = '!'
/** as long as the id, longer than a tag */
const LINK_CHARACTERS = 32
/** of a log whose last line is whole */
const AT_END = { unfinished: '', needsBreak: false, isBroken: false }

const BACKUP = 'put the file back from a backup'
const UNREADABLE = {
  foreign: { is: 'is no line of a vault', rest: { hint: BACKUP } },
  cut: { is: 'is cut short', rest: { hint: BACKUP } },
  'other-key': {
    is: 'was made with another key',
    rest: { hint: 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with' },
  },
  damaged: { is: 'was changed after it was written', rest: { hint: BACKUP } },
  misplaced: { is: 'does not follow the line before it', rest: { hint: BACKUP } },
} as const satisfies Readonly<Record<string, Fault>>
const NO_VAULT = { is: 'is not the first line of a vault', rest: { hint: 'move the file out of the vault folder' } }

export class Log {
  readonly path: string
  readonly #files: Files
  readonly #keys: KeySource
  readonly #reader: LogReader
  #ring: KeyRing | undefined
  #id: string | undefined
  #known: Known | undefined
  #problems: readonly Problem[] = []
  /** some line is sealed with another than the first key */
  #hasEarlierKey = false

  constructor(path: string, { files, keys, reader }: { files: Files; keys: KeySource; reader: LogReader }) {
    this.path = path
    this.#files = files
    this.#keys = keys
    this.#reader = reader
  }

  /** Undefined where there is no log yet. */
  get ring(): KeyRing | undefined {
    return this.#ring
  }

  get exists(): boolean {
    return this.#known !== undefined
  }

  /** without the first; with those that cannot be read */
  get lines(): number {
    return Math.max(0, (this.#known?.lines ?? 0) - 1)
  }

  get size(): number {
    return this.#known?.facts.size ?? 0
  }

  /** The first line that cannot be read, if there is one. Those after it are read where they can be. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** A warning where the log ends with an unfinished line. To be asked while the vault is locked. */
  get unfinished(): readonly string[] {
    const { unfinished = '', lines = 0 } = this.#known ?? {}
    if (unfinished === '') return []
    const line = `line ${lines + 1} of vault "${this.path}"`
    return [`${line} was not finished: a process died while it wrote; it is set aside, and counts as never written`]
  }

  /** Reads what was added since the last time; the whole log where it is another file, or was changed. */
  refresh(): void {
    const facts = this.#files.factsOf(this.path)
    const known = this.#known
    if (facts === undefined) {
      if (known !== undefined) this.#restart()
      return
    }
    const isSameFile = known?.facts.ino === facts.ino
    if (isSameFile && known.facts.size === facts.size && known.facts.mtimeMs === facts.mtimeMs) return
    if (isSameFile && facts.size > known.facts.size && this.#problems.length === 0) {
      this.#take(known)
      if (this.#problems.length === 0) return
    }
    this.#restart()
    this.#take(undefined)
  }

  /** All events without a fault, read anew: in memory they would be more than a long run has use for. */
  events(): readonly unknown[] {
    const events: unknown[] = []
    const reader: LogReader = {
      restart: () => events.splice(0),
      fault: (event) => this.#reader.fault(event),
      event: (event) => events.push(event),
    }
    const keys = { ...this.#keys, of: (id: string) => this.#ring ?? this.#keys.of(id) }
    new Log(this.path, { files: this.#files, keys, reader }).refresh()
    return events
  }

  /** Makes the log with its first event. Returns the path of the key file where one was made. Needs the lock. */
  create(first: (id: string) => unknown): string | undefined {
    const id = this.#id ?? randomBytes(16).toString('hex')
    const { ring, made } = this.#ring === undefined ? this.#keys.make(id) : { ring: this.#ring, made: undefined }
    try {
      this.#write(id, ring, [first(id)])
    } catch (error) {
      // A key that opens nothing would only be in the way.
      if (made !== undefined) this.#files.discard(made)
      throw error
    }
    return made
  }

  /** Adds one line. Needs the lock, and `refresh` before it. */
  append(event: unknown, { durable }: { readonly durable: boolean }): void {
    const { known, ring } = this.#opened()
    const { unfinished, needsBreak } = known
    const sealedLine = sealed({ event, after: known.link, ...(unfinished && { unfinished: hashOf(unfinished) }) }, ring)
    const before = needsBreak ? '\n' : unfinished === '' ? '' : MARK
    const added = Buffer.from(`${before}${sealedLine}\n`)
    const facts = this.#files.append(this.path, added, { durable })
    // Somebody wrote meanwhile without the lock.
    if (facts.ino !== known.facts.ino || facts.size !== known.facts.size + added.length) {
      this.refresh()
      return
    }
    this.#known = { ...AT_END, facts, offset: facts.size, link: linkOf(sealedLine), lines: known.lines + 1 }
    this.#reader.event(event)
  }

  /** Writes the log anew with these events, sealed with the first key. Needs the lock. */
  replace(events: readonly unknown[]): void {
    this.#write(this.#id ?? '', this.#opened().ring, events)
  }

  /** The same with a new key, and whether one was made: not to finish an earlier change, nor only to drop earlier keys. */
  rotate(events: readonly unknown[], { dropEarlier }: { readonly dropEarlier: boolean }): boolean {
    const { ring } = this.#opened()
    const made = !this.#hasEarlierKey && !(dropEarlier && ring.keys.length > 1)
    if (made) ring.add()
    this.replace(events)
    if (dropEarlier && ring.keys.length > 1) ring.dropEarlier()
    return made
  }

  #opened(): { readonly known: Known; readonly ring: KeyRing } {
    if (this.#known === undefined || this.#ring === undefined) throw new TypeError('there is no log')
    return { known: this.#known, ring: this.#ring }
  }

  #write(id: string, ring: KeyRing, events: readonly unknown[]): void {
    let line = FORMAT + id
    const lines = [line]
    for (const event of events) {
      line = sealed({ event, after: linkOf(line) }, ring)
      lines.push(line)
    }
    this.#files.replace(this.path, Buffer.from(`${lines.join('\n')}\n`))
    this.refresh()
  }

  #restart(): void {
    this.#known = undefined
    this.#problems = []
    this.#hasEarlierKey = false
    this.#reader.restart()
  }

  #take(known: Known | undefined): void {
    const read = this.#files.read(this.path, { position: known?.offset ?? 0 })
    if (read === undefined) return
    // latin1 keeps every byte apart; UTF-8 would turn many different ones into U+FFFD.
    const text = read.content.toString('latin1').slice(known?.needsBreak ? 1 : 0)
    const end = text.lastIndexOf('\n') + 1
    const lines = text.slice(0, end).split('\n').slice(0, -1)
    let at = known ?? this.#first(lines.shift() ?? '')
    for (const line of lines) at = this.#line(line, at)
    const rest = text.slice(end)
    const isUnfinished = rest !== '' && isBeginning(rest) && !this.#open(rest, at).ok
    if (rest !== '' && !isUnfinished) at = this.#line(rest, at)
    const size = (known?.offset ?? 0) + read.content.length
    this.#known = {
      ...at,
      facts: { ino: read.facts.ino, mtimeMs: read.facts.mtimeMs, size },
      offset: isUnfinished ? size - rest.length : size,
      unfinished: isUnfinished ? rest : '',
      needsBreak: rest !== '' && !isUnfinished,
    }
  }

  #first(line: string): Known {
    const id = line.startsWith(FORMAT) ? line.slice(FORMAT.length) : ''
    if (!ID.test(id)) this.#refuse(1, NO_VAULT)
    else if (this.#id !== id || this.#ring === undefined) {
      this.#ring = this.#keys.of(id)
      this.#id = id
    }
    const facts = { ino: 0, size: 0, mtimeMs: 0 }
    return { ...AT_END, facts, offset: 0, lines: 1, link: linkOf(line) }
  }

  #line(line: string, known: Known): Known {
    const opened = this.#open(line, known)
    const lines = known.lines + 1
    const fault = opened.ok ? this.#reader.fault(opened.event) : UNREADABLE[opened.because]
    if (fault !== undefined) this.#refuse(lines, fault)
    else if (opened.ok) this.#reader.event(opened.event)
    return { ...known, lines, link: linkOf(line), isBroken: !opened.ok && opened.because !== 'misplaced' }
  }

  #open(line: string, { link, isBroken }: Known): Opened {
    const ring = this.#ring
    if (ring === undefined) return { ok: false, because: 'foreign' }
    const mark = line.lastIndexOf(MARK)
    const jwe = line.slice(mark + 1)
    let result = unseal(jwe, ring.keys)
    if (!result.ok && result.because === 'other-key') {
      ring.reload()
      result = unseal(jwe, ring.keys)
    }
    if (!result.ok) return result
    if (result.key !== ring.keys[0]) this.#hasEarlierKey = true
    const { event, after, unfinished } = contentOf(result.plaintext)
    const isInPlace = isBroken || after === link
    const isWhole = unfinished === (mark === -1 ? undefined : hashOf(line.slice(0, mark)))
    return isInPlace && isWhole ? { ok: true, event } : { ok: false, because: 'misplaced' }
  }

  #refuse(line: number, { is, rest }: Fault): void {
    const message = `line ${line} of vault "${this.path}" ${is}`
    if (this.#problems.length === 0) this.#problems = [{ code: 'VAULT_UNREADABLE', message, ...rest }]
  }
}

type Opened = { ok: true; event: unknown } | { ok: false; because: keyof typeof UNREADABLE }

function sealed(content: Sealed, { keys: [first] }: KeyRing): string {
  if (first === undefined) throw new TypeError('a ring of keys without a key')
  return seal(Buffer.from(JSON.stringify(content)), first)
}

/** What opens with the key and is none of ours follows nothing. */
function contentOf(plaintext: Buffer): Sealed {
  try {
    const content = JSON.parse(plaintext.toString())
    if (typeof content?.after === 'string') return content
  } catch {}
  return { event: undefined, after: '' }
}

function linkOf(line: string): string {
  return line.slice(-LINK_CHARACTERS)
}

function hashOf(unfinished: string): string {
  return hash('sha256', unfinished, 'base64url')
}

/** Not a finished line whose line break was changed. Zeros are space that the file system had given and not filled. */
function isBeginning(text: string): boolean {
  const begun = text.slice(text.lastIndexOf(MARK) + 1)
  if (begun.includes('\0')) return true
  const [, , , , tag = '', ...more] = begun.split('.')
  return /^[\w.-]*$/.test(begun) && tag.length < TAG_CHARACTERS && more.length === 0
}
