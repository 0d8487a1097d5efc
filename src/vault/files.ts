/**
 * Files as the vault needs them: regular ones, open to the owner alone, never through a symbolic link. Every operation goes
 * through one port, so that a test sees their order and can make each of them fail. All but one are synchronous, so that nothing
 * of this process comes between them. On Windows there are no modes and no fsync of folders: both are left out.
 */
import * as fs from 'node:fs'
import { platform } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { fail } from '../record/errors.ts'

export type FileFacts = Pick<
  fs.Stats,
  'ino' | 'size' | 'mtimeMs' | 'mode' | 'isFile' | 'isDirectory' | 'isSymbolicLink'
>

/** The file functions that are used; a test puts others in their place. */
export type FilePort = Readonly<typeof FILES>

const FILES = {
  open: (path: string, flags: number, mode?: number): number => fs.openSync(path, flags, mode),
  close: (file: number): void => fs.closeSync(file),
  facts: (file: number): FileFacts => fs.fstatSync(file),
  /** everything from `position` on */
  read(file: number, position: number): Buffer {
    const content = Buffer.alloc(Math.max(0, fs.fstatSync(file).size - position))
    let length = 0
    while (length < content.length) {
      const count = fs.readSync(file, content, length, content.length - length, position + length)
      if (count === 0) break
      length += count
    }
    return content.subarray(0, length)
  },
  /** all of it, at the end of the file where it was opened so */
  write: (file: number, content: Uint8Array): void => fs.writeFileSync(file, content),
  fsync: (file: number): void => fs.fsyncSync(file),
  /** the same while this process goes on */
  flush: promisify(fs.fsync) as (file: number) => Promise<void>,
  /** of the name itself, not of what a link leads to */
  lstat: (path: string): FileFacts => fs.lstatSync(path),
  realpath: (path: string): string => fs.realpathSync(path),
  readdir: (path: string): string[] => fs.readdirSync(path),
  mkdir: (path: string, mode: number): unknown => fs.mkdirSync(path, { mode }),
  chmod: (path: string, mode: number): void => fs.chmodSync(path, mode),
  rename: (from: string, to: string): void => fs.renameSync(from, to),
  unlink: (path: string): void => fs.unlinkSync(path),
}

/** The same without waiting for the disk: for clients that are gone when the process is, such as those of the embedded twin. */
export const UNSYNCED: FilePort = { ...FILES, fsync: () => {}, flush: async () => {} }

const IS_WINDOWS = platform() === 'win32'
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_WRONLY } = fs.constants
/** every right of anyone but the owner */
const OTHERS = 0o077
/** on a folder that several users share, such as /tmp */
const STICKY = 0o1000

const FILE_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'something else with that name',
  EFBIG: 'a limit on the size of files',
  EIO: 'an error of the disk',
  EISDIR: 'a folder where a file should be',
  ELOOP: 'a symbolic link, which is not followed',
  ENAMETOOLONG: 'a name that is too long',
  ENOENT: 'no such file',
  ENOSPC: 'a full disk',
  ENOTDIR: 'a file where a folder should be',
  EPERM: 'no permission',
  EROFS: 'a read-only file system',
}

export class Files {
  readonly #port: FilePort

  constructor(port: FilePort = FILES) {
    this.#port = port
  }

  /** Undefined where nothing has that name. */
  factsOf(path: string): FileFacts | undefined {
    return ifThere(() => this.#port.lstat(path))
  }

  /** From `position` on; undefined where there is no file. `mayBeLink`: container platforms lay out keys as links. */
  read(
    path: string,
    { position = 0, mayBeLink = false, most = Number.POSITIVE_INFINITY } = {},
  ): { readonly content: Buffer; readonly facts: FileFacts } | undefined {
    const flags = O_RDONLY | O_NONBLOCK | (mayBeLink ? 0 : O_NOFOLLOW)
    return ifThere(() =>
      this.#opened(path, flags, (file) => {
        const facts = this.#port.facts(file)
        demandFile(facts)
        if (facts.size > most) throw notOfThatKind(`a file of ${facts.size} bytes`)
        return { content: this.#port.read(file, position), facts }
      }),
    )
  }

  /** Adds to a file that is there, by one write; on disk when it returns, unless it may be lost. */
  append(path: string, content: Uint8Array, { durable }: { readonly durable: boolean }): FileFacts {
    return this.#opened(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK, (file) => {
      demandFile(this.#port.facts(file))
      this.#port.write(file, content)
      if (durable) this.#port.fsync(file)
      return this.#port.facts(file)
    })
  }

  /** All that was written to a file until now is on disk when it resolves; this process goes on meanwhile. */
  async flush(path: string): Promise<void> {
    const file = this.#port.open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      await this.#port.flush(file)
    } finally {
      this.#port.close(file)
    }
  }

  /** Fails where anything has that name. The name is not on disk yet when it returns. */
  writeNew(path: string, content: Uint8Array, { durable }: { durable: boolean }): void {
    this.#opened(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, (file) => {
      if (content.byteLength > 0) this.#port.write(file, content)
      if (durable) this.#port.fsync(file)
    })
  }

  /** The same, but leaves what has that name. */
  writeMissing(path: string, content: Uint8Array): void {
    try {
      this.writeNew(path, content, { durable: false })
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  }

  /** Whoever reads it sees the old file or the new one; the new one is on disk when this returns. Needs the lock. */
  replace(path: string, content: Uint8Array): void {
    const beside = `${path}.new`
    this.discard(beside)
    try {
      this.writeNew(beside, content, { durable: true })
      this.#port.rename(beside, path)
    } catch (error) {
      this.discard(beside)
      throw error
    }
    this.syncFolder(dirname(path))
  }

  syncFolder(folder: string): void {
    if (!IS_WINDOWS) this.#opened(folder, O_RDONLY, (file) => this.#port.fsync(file))
  }

  /** Makes what is missing of a folder; each new one is on disk when it returns. */
  makeFolder(folder: string): void {
    if (this.factsOf(folder) !== undefined) return
    const parent = dirname(folder)
    if (parent !== folder) this.makeFolder(parent)
    try {
      this.#port.mkdir(folder, 0o700)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    this.syncFolder(parent)
  }

  /** An empty file, where there is none. */
  makeEmpty(path: string): void {
    const facts = this.factsOf(path)
    if (facts === undefined) this.writeMissing(path, new Uint8Array())
    else demandFile(facts)
  }

  names(folder: string): readonly string[] {
    return ifThere(() => this.#port.readdir(folder)) ?? []
  }

  /** Removes a file that is not needed any more. Returns whether it is gone; one that cannot be removed is left. */
  discard(path: string): boolean {
    try {
      this.#port.unlink(path)
      return true
    } catch (error) {
      return errnoOf(error) === 'ENOENT'
    }
  }

  /** Undefined where nobody but the owner has a right. `close` takes those rights away. */
  openTo(path: string): { readonly mode: string; close(): void } | undefined {
    const facts = this.factsOf(path)
    const mode = facts && openMode(facts)
    if (facts === undefined || mode === undefined) return undefined
    const close = () => {
      if ((facts.mode & STICKY) !== 0) {
        fail({
          code: 'VAULT_UNWRITABLE',
          message: `vault folder "${path}" is one that several users share`,
          expected: 'a folder of your own',
          found: `mode ${(facts.mode & 0o7777).toString(8)}`,
          hint: 'name a folder in it with VAULT_DIR',
        })
      }
      this.#port.chmod(path, facts.isDirectory() ? 0o700 : 0o600)
    }
    return { mode, close }
  }

  /** The real path of what exists, with the rest as written. */
  realPath(path: string): string {
    try {
      return this.#port.realpath(path)
    } catch {
      return path === dirname(path) ? path : join(this.realPath(dirname(path)), basename(path))
    }
  }

  #opened<T>(path: string, flags: number, task: (file: number) => T): T {
    const file = this.#port.open(path, flags, 0o600)
    try {
      return task(file)
    } finally {
      this.#port.close(file)
    }
  }
}

/** The mode in octal where others than the owner have a right; undefined on Windows too, where modes say nothing. */
export function openMode({ mode }: Pick<FileFacts, 'mode'>): string | undefined {
  return IS_WINDOWS || (mode & OTHERS) === 0 ? undefined : (mode & 0o777).toString(8)
}

function ifThere<T>(task: () => T): T | undefined {
  try {
    return task()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A device or a pipe would be read, or written to, without end. */
function demandFile(facts: FileFacts): void {
  if (facts.isSymbolicLink()) throw notOfThatKind('a symbolic link, which is not followed')
  if (facts.isDirectory()) throw notOfThatKind('a folder where a file should be')
  if (!facts.isFile()) throw notOfThatKind('a device, pipe or socket where a file should be')
}

/** With the words in place of a code, as a file operation fails. */
function notOfThatKind(code: string): Error {
  return Object.assign(new Error(code), { code, syscall: 'open' })
}

/** Whether a file operation failed, rather than this program. */
export function isFileError(error: unknown): boolean {
  return errnoOf(error) !== undefined
}

export function found(error: unknown): { readonly found: string } {
  const errno = errnoOf(error) ?? 'an unknown error'
  return { found: Object.hasOwn(FILE_ERRORS, errno) ? `${FILE_ERRORS[errno]} (${errno})` : errno }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined
}
