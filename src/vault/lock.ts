/** Locks between processes, by SQLite's file lock alone. The operating system drops it with the process: none is ever stale. */
import type { DatabaseSync } from 'node:sqlite'
import { fail } from '../record/errors.ts'

// Node can be built or started without it, and then the reason should be one sentence.
const sqlite = await import('node:sqlite').catch(() => undefined)

/** https://sqlite.org/rescode.html: the low byte is the primary code */
const BUSY = 5
const NOT_A_DATABASE = 26

/** A file that exists and stays empty; it is opened by nothing else, since POSIX locks end with any handle on their file. */
export class FileLock implements Disposable {
  readonly #path: string
  readonly #database: DatabaseSync
  #isHeld = false

  constructor(path: string) {
    if (sqlite === undefined) {
      fail({
        code: 'VAULT_UNWRITABLE',
        message: 'the vault cannot be locked: this Node has no "node:sqlite", whose file locks it uses',
        hint: 'use the Node that "npm ci" brings along, or another one of version 24, without --no-experimental-sqlite',
      })
    }
    this.#path = path
    try {
      this.#database = new sqlite.DatabaseSync(path, { timeout: 0 })
    } catch (error) {
      refuse(path, error)
    }
  }

  /** False where another holder, in this process or another, has it. */
  take(): boolean {
    try {
      // No journal file beside the lock: nothing is ever written.
      this.#database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      this.#isHeld = true
      return true
    } catch (error) {
      if (codeOf(error) === BUSY) return false
      return refuse(this.#path, error)
    }
  }

  release(): void {
    if (this.#isHeld) this.#database.exec('ROLLBACK')
    this.#isHeld = false
  }

  [Symbol.dispose](): void {
    this.#isHeld = false
    if (this.#database.isOpen) this.#database.close()
  }
}

function refuse(path: string, error: unknown): never {
  const why =
    codeOf(error) === NOT_A_DATABASE
      ? { found: 'a file that is no lock of this tool', hint: 'move the file out of the vault folder' }
      : {
          found: String((error as Error).message),
          hint: 'the file system must support file locks; name another folder with VAULT_DIR',
        }
  return fail({ code: 'VAULT_UNWRITABLE', message: `vault lock "${path}" cannot be taken`, ...why }, error)
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined
}
