/** A process that writes to a vault: its lock shows that it lives, and a file keeps disk space for an answer. */
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import type { Files } from './files.ts'
import { FileLock } from './lock.ts'

/** For each call under way. A registration answer with its software statement is about 8 KiB, and a third more when sealed. */
const ROOM_OF_CALL = 128 * 1024
/** A large answer must fit. */
const SMALLEST_ROOM = 256 * 1024
const LOCK = '.lock'
const ROOM = '.room'
const OF_WRITER = /^([0-9a-f]{16})\.(?:lock|room)$/
let room: Uint8Array | undefined

export class Writer {
  readonly #files: Files
  /** what the names of all files of the vault begin with */
  readonly #path: string
  #held: { readonly id: string; readonly lock: FileLock } | undefined
  /** bytes that are set aside */
  #room = 0

  constructor(path: string, files: Files) {
    this.#path = path
    this.#files = files
  }

  get id(): string | undefined {
    return this.#held?.id
  }

  /** Lives from now on; under another id where its files were taken away with the folder. */
  begin(): string {
    if (this.#held !== undefined && this.#files.factsOf(this.#file(this.#held.id, LOCK)) !== undefined)
      return this.#held.id
    this.end()
    const id = randomBytes(8).toString('hex')
    this.#files.makeEmpty(this.#file(id, LOCK))
    const lock = new FileLock(this.#file(id, LOCK))
    lock.take()
    this.#held = { id, lock }
    return id
  }

  /** For so many answers. Where there is no room for them, nothing may be sent. */
  makeRoom(calls: number): void {
    const id = this.begin()
    const needed = Math.max(SMALLEST_ROOM, calls * ROOM_OF_CALL)
    if (this.#room >= needed) return
    const path = this.#file(id, ROOM)
    // Random, so that no file system stores it in less; the same each time, since making it takes longer than writing it.
    room ??= randomBytes(ROOM_OF_CALL)
    const added = Buffer.alloc(needed - this.#room, room)
    try {
      if (this.#room === 0) this.#files.writeNew(path, added, { durable: false })
      else this.#files.append(path, added, { durable: false })
    } catch (error) {
      // What was there before is for the calls that have been sent.
      if (this.#room === 0) this.#files.discard(path)
      throw error
    }
    this.#room = needed
  }

  giveRoomBack(): void {
    if (this.#held === undefined) return
    // In a folder that is read-only by now the file stays, and what it keeps with it.
    if (this.#files.discard(this.#file(this.#held.id, ROOM))) this.#room = 0
  }

  /** Whether this process or another is at what that writer has begun. */
  isAlive(id: string): boolean {
    if (id === this.#held?.id) return true
    const path = this.#file(id, LOCK)
    if (this.#files.factsOf(path) === undefined) return false
    using lock = new FileLock(path)
    return !lock.take()
  }

  /** Paths of what writers that died have left. A folder may hold the vaults of several environments. */
  leftovers(): readonly string[] {
    const [folder, own] = [dirname(this.#path), `${basename(this.#path)}.`]
    return this.#files.names(folder).flatMap((name) => {
      const id = name.startsWith(own) ? OF_WRITER.exec(name.slice(own.length))?.[1] : undefined
      return id === undefined || this.isAlive(id) ? [] : [join(folder, name)]
    })
  }

  end(): void {
    const held = this.#held
    if (held === undefined) return
    this.giveRoomBack()
    this.#room = 0
    this.#held = undefined
    held.lock[Symbol.dispose]()
    this.#files.discard(this.#file(held.id, LOCK))
  }

  #file(id: string, extension: string): string {
    return `${this.#path}.${id}${extension}`
  }
}
