/**
 * The log: what has happened, line by line, in one file that only grows. Owns the form of a line, and how each is chained to
 * the one before, so that none can be changed, moved, doubled or taken out unnoticed. What the lines say is not its matter.
 *
 * The first line is the vault's id in clear. Each other line is a JWE of `{ event, after }`; `after` is the hash of the line
 * before as it stands in the file. A line that a dying process did not finish stays where it is: the next one follows it
 * behind a "!", and holds its hash as `unfinished`.
 */
import { hash, randomBytes } from 'node:crypto'
import type { Problem } from '../record/errors.ts'
import type { FileFacts, Files } from './files.ts'
import type { KeyRing, KeySource } from './key.ts'
import { seal, TAG_CHARACTERS, unseal } from './seal.ts'

/** What is made of the events, in the order of the log. */
export interface LogReader {
  /** before all that is in the log is told anew */
  restart(): void
  /** why it cannot be taken, where that is so */
  event(event: unknown): Fault | undefined
}

export interface Fault {
  readonly is: string
  readonly rest: Partial<Problem>
}

interface Sealed {
  readonly event: unknown
  /** hash of the line before */
  readonly after: string
  /** hash of what an earlier process began to write in its place */
  readonly unfinished?: string
}

/** How far the log is taken in. */
interface Known {
  /** which file, and as it was then */
  readonly facts: Pick<FileFacts, 'ino' | 'size' | 'mtimeMs'>
  /** in bytes; behind the last line that counts */
  readonly offset: number
  readonly lines: number
  /** of the last line */
  readonly hash: string
  /** the last line was changed, so what follows it cannot hold its hash */
  readonly isBroken: boolean
  /** what follows the last line: one that is not finished */
  readonly unfinished: string
  /** the last line counts, and lacks its line break */
  readonly needsBreak: boolean
}

const FORMAT = 'thredd-vault 1 '
const ID = /^[0-9a-f]{32}$/
const MARK = '!'

const BACKUP = 'put the file back from a backup'
const UNREADABLE = {
  foreign: ['is no line of a vault', BACKUP],
  cut: ['is cut short', BACKUP],
  'other-key': ['was made with another key', 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with'],
  damaged: ['was changed after it was written', BACKUP],
  misplaced: ['does not follow the line before it', BACKUP],
  'no-vault': ['is not the first line of a vault', 'move the file out of the vault folder'],
} as const

export class Log {
  readonly path: string
  readonly #files: Files
  readonly #keys: KeySource
  readonly #reader: LogReader
  #ring: KeyRing | undefined
  #id: string | undefined
  #known: Known | undefined
  #problem: Problem | undefined
  /** some line is sealed with another than the first key */
  #hasEarlierKey = false

  constructor(path: string, { files, keys, reader }: { files: Files; keys: KeySource; reader: LogReader }) {
    this.path = path
    this.#files = files
    this.#keys = keys
    this.#reader = reader
  }

  get ring(): KeyRing | undefined {
    return this.#ring
  }

  get exists(): boolean {
    return this.#known !== undefined
  }

  /** lines with something in them, those that cannot be read among them */
  get lines(): number {
    return Math.max(0, (this.#known?.lines ?? 0) - 1)
  }

  get size(): number {
    return this.#known?.facts.size ?? 0
  }

  /** The first line that cannot be read; those after it are read as far as that goes. */
  get problem(): Problem | undefined {
    return this.#problem
  }

  /** What a dying process left, if the log ends with it; asked while nobody writes. */
  get unfinished(): string | undefined {
    const { unfinished = '', lines = 0 } = this.#known ?? {}
    if (unfinished === '') return undefined
    const line = `line ${lines + 1} of vault "${this.path}"`
    return `${line} was not finished: a process died while it wrote; it is set aside, and counts as never written`
  }

  /** Takes in what has been added since; everything anew where it is another file, or was changed. */
  refresh(): void {
    const facts = this.#files.factsOf(this.path)
    const known = this.#known
    if (facts === undefined) {
      if (known !== undefined) this.#restart()
      return
    }
    const isSameFile = known?.facts.ino === facts.ino
    if (isSameFile && known.facts.size === facts.size && known.facts.mtimeMs === facts.mtimeMs) return
    if (isSameFile && facts.size > known.facts.size && this.#problem === undefined) {
      this.#take(known)
      if (this.#problem === undefined) return
    }
    this.#restart()
    this.#take(undefined)
  }

  /** Begins a log with this event where there is none. Returns the key file that was made. One process at a time. */
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

  /** Adds one line. One process at a time, with everything taken in. */
  append(event: unknown, { durable }: { readonly durable: boolean }): void {
    const { known, ring } = this.#opened()
    const { unfinished, needsBreak } = known
    const sealedLine = sealed({ event, after: known.hash, ...(unfinished && { unfinished: hashOf(unfinished) }) }, ring)
    const before = needsBreak ? '\n' : unfinished === '' ? '' : MARK
    const added = Buffer.from(`${before}${sealedLine}\n`)
    const facts = this.#files.append(this.path, added, { durable })
    // Whoever wrote meanwhile without the lock is found by reading.
    if (facts.ino !== known.facts.ino || facts.size !== known.facts.size + added.length) {
      this.refresh()
      return
    }
    const hash = hashOf(unfinished === '' ? sealedLine : unfinished + MARK + sealedLine)
    const end = { offset: facts.size, unfinished: '', needsBreak: false, isBroken: false }
    this.#known = { ...end, facts, hash, lines: known.lines + 1 }
    this.#reader.event(event)
  }

  /** Puts another log with these events in its place, sealed with the first key. One process at a time. */
  replace(events: readonly unknown[]): void {
    this.#write(this.#id ?? '', this.#opened().ring, events)
  }

  /**
   * The same with a new key. One change that was cut short, and earlier keys that are only to be dropped, need no new one.
   * Returns whether one was made.
   */
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
      line = sealed({ event, after: hashOf(line) }, ring)
      lines.push(line)
    }
    this.#files.replace(this.path, Buffer.from(`${lines.join('\n')}\n`))
    this.refresh()
  }

  #restart(): void {
    this.#known = undefined
    this.#problem = undefined
    this.#hasEarlierKey = false
    this.#reader.restart()
  }

  /** From the beginning, or what follows what is known. */
  #take(known: Known | undefined): void {
    const read = this.#files.read(this.path, known?.offset)
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
    if (!ID.test(id)) this.#fault(1, 'no-vault')
    else if (this.#id !== id || this.#ring === undefined) {
      this.#ring = this.#keys.of(id)
      this.#id = id
    }
    const facts = { ino: 0, size: 0, mtimeMs: 0 }
    return { facts, offset: 0, lines: 1, hash: hashOf(line), isBroken: false, unfinished: '', needsBreak: false }
  }

  #line(line: string, known: Known): Known {
    const opened = this.#open(line, known)
    const lines = known.lines + 1
    const fault = opened.ok ? this.#reader.event(opened.event) : this.#fault(lines, opened.because)
    if (fault !== undefined) this.#refuse(lines, fault)
    return { ...known, lines, hash: hashOf(line), isBroken: !opened.ok && opened.because !== 'misplaced' }
  }

  #open(line: string, { hash, isBroken }: Known): Opened {
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
    const isInPlace = isBroken || after === hash
    const isWhole = unfinished === (mark === -1 ? undefined : hashOf(line.slice(0, mark)))
    return isInPlace && isWhole ? { ok: true, event } : { ok: false, because: 'misplaced' }
  }

  #fault(line: number, because: keyof typeof UNREADABLE): undefined {
    const [is, hint] = UNREADABLE[because]
    this.#refuse(line, { is, rest: { hint } })
  }

  #refuse(line: number, { is, rest }: Fault): void {
    const message = `line ${line} of vault "${this.path}" ${is}`
    this.#problem ??= { code: 'VAULT_UNREADABLE', message, ...rest }
  }
}

type Opened =
  | { readonly ok: true; readonly event: unknown }
  | { readonly ok: false; readonly because: keyof typeof UNREADABLE }

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

function hashOf(line: string): string {
  return hash('sha256', line, 'base64url')
}

/**
 * Whether a line may have begun so: a changed line break must not make a finished line look unfinished. Zeros are space that
 * the file system had given and not filled.
 */
function isBeginning(text: string): boolean {
  const begun = text.slice(text.lastIndexOf(MARK) + 1)
  if (begun.includes('\0')) return true
  const [, , , , tag = '', ...more] = begun.split('.')
  return /^[\w.-]*$/.test(begun) && tag.length < TAG_CHARACTERS && more.length === 0
}
