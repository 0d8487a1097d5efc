/** The folder of a vault: made for its owner alone, never followed as a link, and changed by one process at a time. */
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fail } from '../record/errors.ts'
import { remedyFor } from '../record/regular-file.ts'
import { type Files, found, isFileError } from './files.ts'
import { FileLock } from './lock.ts'

export const POLL_MS = 5

export class Folder {
  readonly path: string
  readonly #files: Files
  readonly #lockPath: string
  readonly #waitMs: number
  /** with the file that it was opened on: another one with its name is another lock */
  #lock: { readonly file: FileLock; readonly ino: number | undefined } | undefined

  constructor(path: string, { files, lockPath, waitMs }: { files: Files; lockPath: string; waitMs: number }) {
    this.path = path
    this.#files = files
    this.#lockPath = lockPath
    this.#waitMs = waitMs
  }

  /** One process at a time. The task is synchronous, so this process does nothing else meanwhile. @throws VAULT_UNWRITABLE */
  exclusively<T>(task: () => T): Promise<T> {
    return this.writing(async () => {
      for (let waited = 0; ; waited += POLL_MS) {
        const lock = this.#opened()
        if (lock.take()) {
          try {
            return task()
          } finally {
            lock.release()
          }
        }
        if (waited >= this.#waitMs) {
          fail({
            code: 'VAULT_UNWRITABLE',
            message: 'the vault has been locked by another process for too long',
            found: `lock file "${this.#lockPath}", still in use`,
            hint: 'let the other run end, or stop it',
          })
        }
        await sleep(POLL_MS)
      }
    })
  }

  /** @throws VAULT_UNWRITABLE in place of an error of the file system */
  async writing<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (error) {
      if (!isFileError(error)) throw error
      const hint = `${remedyFor(error)}, or name another folder with VAULT_DIR`
      const message = `${this.#whatIn(error as NodeJS.ErrnoException)} cannot be written`
      return fail({ code: 'VAULT_UNWRITABLE', message, ...found(error), hint }, error)
    }
  }

  /** A file that is there and cannot be opened, else the folder. */
  #whatIn({ code, path }: NodeJS.ErrnoException): string {
    const isFile = code === 'EACCES' && path !== undefined && this.#files.factsOf(path)?.isFile() === true
    return isFile ? `vault file "${path}"` : `vault folder "${this.path}"`
  }

  /** So that nobody commits what lies here. */
  ignoreInGit(): void {
    const folder = isDefault(this.path) ? dirname(this.path) : this.path
    this.#files.writeMissing(join(folder, '.gitignore'), Buffer.from('*\n'))
  }

  close(): void {
    this.#lock?.file[Symbol.dispose]()
    this.#lock = undefined
  }

  #opened(): FileLock {
    const ino = this.#files.factsOf(this.#lockPath)?.ino
    if (this.#lock === undefined || this.#lock.ino !== ino) {
      this.close()
      for (const folder of isDefault(this.path) ? [dirname(this.path), this.path] : [this.path])
        this.#demandNoLink(folder)
      this.#files.makeFolder(this.path)
      this.#files.makeEmpty(this.#lockPath)
      this.#lock = { file: new FileLock(this.#lockPath), ino: this.#files.factsOf(this.#lockPath)?.ino }
    }
    return this.#lock.file
  }

  #demandNoLink(folder: string): void {
    if (!this.#files.factsOf(folder)?.isSymbolicLink()) return
    fail({
      code: 'VAULT_UNWRITABLE',
      message: `vault folder "${folder}" is a symbolic link, through which nothing is written`,
      hint: 'name the folder that it leads to with VAULT_DIR',
    })
  }
}

/** `.vault/<environment>` */
function isDefault(folder: string): boolean {
  return basename(dirname(folder)) === '.vault'
}
