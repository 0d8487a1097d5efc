/**
 * Who writes to a vault: a lock says that a process lives which may have a call on the way, and a file keeps disk space for
 * the answer. The operating system drops the lock with the process.
 */
import { randomBytes } from 'node:crypto'
import type { Files } from './files.ts'
import { FileLock, isFree } from './lock.ts'

/** A registration answer with its software statement is about 8 KiB; a large one must fit. */
const ROOM_BYTES = 256 * 1024
const LOCK = '.lock'
const ROOM = '.room'

export class Writer {
  readonly #files: Files
  /** what the names of all files of the vault begin with */
  readonly #path: string
  #held: { readonly id: string; readonly lock: FileLock } | undefined
  #hasRoom = false

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

  /** Where there is no room for an answer, nothing may be sent. */
  makeRoom(): void {
    const id = this.begin()
    if (this.#hasRoom) return
    const path = this.#file(id, ROOM)
    try {
      this.#files.writeNew(path, room(), { durable: false })
    } catch (error) {
      this.#files.discard(path)
      throw error
    }
    this.#hasRoom = true
  }

  giveRoomBack(): void {
    if (this.#held !== undefined) this.#files.discard(this.#file(this.#held.id, ROOM))
    this.#hasRoom = false
  }

  /** Whether this process or another is at what that writer has begun. */
  isAlive(id: string): boolean {
    if (id === this.#held?.id) return true
    const path = this.#file(id, LOCK)
    return this.#files.factsOf(path) !== undefined && !isFree(path)
  }

  /** Files of writers that died, among these names. */
  leftovers(names: readonly string[]): readonly string[] {
    const own = names.flatMap((name) => NAMES.exec(name)?.[1] ?? [])
    const dead = [...new Set(own)].filter((id) => !this.isAlive(id))
    return names.filter((name) => dead.includes(NAMES.exec(name)?.[1] ?? ''))
  }

  end(): void {
    const held = this.#held
    if (held === undefined) return
    this.giveRoomBack()
    this.#held = undefined
    held.lock[Symbol.dispose]()
    this.#files.discard(this.#file(held.id, LOCK))
  }

  #file(id: string, extension: string): string {
    return `${this.#path}.${id}${extension}`
  }
}

const NAMES = /\.([0-9a-f]{16})\.(?:lock|room)$/

/** Random, so that no file system can store it in less; the same each time, since making it takes longer than writing it. */
const room = (() => {
  let bytes: Uint8Array | undefined
  return () => {
    bytes ??= randomBytes(ROOM_BYTES)
    return bytes
  }
})()
