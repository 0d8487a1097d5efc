/**
 * Who writes to a vault: a lock says that a process lives which has something to write, and a file keeps disk space for it.
 * Owns the names that carry a writer's id, and what is known of other writers. Knows nothing of what they write.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Disk } from './disk.ts'
import { type Lock, tryLock } from './lock.ts'

const LOCK = '.lock'
export const ROOM = '.room'
/** A registration answer with its software statement is about 8 KiB; a large one must fit, and what it brings with it. */
const ROOM_BYTES = 256 * 1024
const NAMES = /(?:^|\.)([0-9a-f]{16})(?:-\d+\.\w+|\.lock|\.room)$/

export class Writer {
  readonly #disk: Disk
  readonly #folder: string
  readonly #onBegin: () => Promise<void>
  #held: { readonly id: string; readonly lock: Lock } | undefined
  #hasRoom = false
  #names = 0

  /** `onBegin` is called when others know of it, before it writes anything. */
  constructor(disk: Disk, folder: string, onBegin: () => Promise<void>) {
    this.#disk = disk
    this.#folder = folder
    this.#onBegin = onBegin
  }

  /** Lives from now on; under another id where its files were taken away with the folder. */
  async begin(): Promise<string> {
    if (this.#held !== undefined && (await this.#disk.exists(this.#path(this.#held.id, LOCK)))) return this.#held.id
    await this.end()
    await this.#disk.makeFolder(this.#folder)
    while (this.#held === undefined) {
      const id = randomBytes(8).toString('hex')
      const path = this.#path(id, LOCK)
      await this.#disk.makeLockFile(path)
      const lock = tryLock(path)
      // Before it was held, another process may have taken it for one that was left.
      if (lock !== undefined && (await this.#disk.exists(path))) this.#held = { id, lock }
      else lock?.release()
    }
    await this.#onBegin()
    return this.#held.id
  }

  /** A part of a name that nobody has used. */
  async newName(): Promise<string> {
    const id = await this.begin()
    this.#names += 1
    return `${id}-${this.#names}`
  }

  isOwn(file: string): boolean {
    return this.#held !== undefined && writerIn(file) === this.#held.id
  }

  async makeRoom(): Promise<void> {
    const id = await this.begin()
    if (this.#hasRoom) return
    await this.#disk.append(this.#path(id, ROOM), room(), { length: 0, durable: false, what: 'room' })
    this.#hasRoom = true
  }

  async giveRoomBack(): Promise<void> {
    if (this.#held === undefined || !this.#hasRoom) return
    // Where it cannot be taken away, it is still there.
    this.#hasRoom = await this.#disk.remove(this.#path(this.#held.id, ROOM), 'room').then(
      () => false,
      () => true,
    )
  }

  async end(): Promise<void> {
    const held = this.#held
    this.#held = undefined
    this.#hasRoom = false
    if (held === undefined) return
    held.lock.release()
    for (const extension of [ROOM, LOCK]) await this.#disk.discard(this.#path(held.id, extension))
  }

  /** The writers that these files are of and that are no more; as long as `locks` is held, none of them comes to life. */
  async deadAmong(files: readonly string[], locks: DisposableStack): Promise<ReadonlySet<string>> {
    const dead = new Set<string>()
    for (const id of new Set(files.map(writerIn))) {
      if (id === undefined || id === this.#held?.id) continue
      const path = this.#path(id, LOCK)
      const lock = (await this.#disk.exists(path)) ? tryLock(path) : NOTHING
      if (lock === undefined) continue
      locks.use(lock)
      dead.add(id)
    }
    return dead
  }

  #path(id: string, extension: string): string {
    return join(this.#folder, id + extension)
  }
}

/** The id in the name of a writer's file. */
export function writerIn(file: string): string | undefined {
  return NAMES.exec(file)?.[1]
}

const NOTHING: Disposable = { [Symbol.dispose]: () => {} }

/** Random, so that no file system can store it in less; the same each time, since making it takes longer than writing it. */
const room = (() => {
  let bytes: Uint8Array | undefined
  return () => {
    bytes ??= randomBytes(ROOM_BYTES)
    return bytes
  }
})()
