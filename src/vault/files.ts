/**
 * Files as the vault needs them: never through a symbolic link, never anything but a regular file, open to the owner alone.
 * Every operation goes through one port, so that a test sees their order and can make each of them fail. The port is
 * synchronous: these are small files nearby, and an append must not be interleaved with another. On Windows modes and the
 * fsync of folders do not exist: both are left out.
 */
import * as fs from 'node:fs'
import { platform } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fail, ToolError } from '../record/errors.ts'

export interface FileFacts {
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
  /** with the type of the file, as POSIX has it */
  readonly mode: number
  isFile(): boolean
  isDirectory(): boolean
  isSymbolicLink(): boolean
}

/** The file functions that are used; a test puts others in their place. */
export interface FilePort {
  open(path: string, flags: number, mode?: number): number
  close(file: number): void
  facts(file: number): FileFacts
  /** everything from `position` on */
  read(file: number, position: number): Buffer
  /** all of it, at the end of the file where it was opened so */
  write(file: number, content: Uint8Array): void
  fsync(file: number): void
  /** of the name itself, not of what a link leads to */
  lstat(path: string): FileFacts
  realpath(path: string): string
  readdir(path: string): string[]
  mkdir(path: string, mode: number): void
  chmod(path: string, mode: number): void
  rename(from: string, to: string): void
  unlink(path: string): void
}

const FILES: FilePort = {
  open: fs.openSync,
  close: fs.closeSync,
  facts: (file) => fs.fstatSync(file),
  read(file, position) {
    const content = Buffer.alloc(Math.max(0, fs.fstatSync(file).size - position))
    let length = 0
    while (length < content.length) {
      const count = fs.readSync(file, content, length, content.length - length, position + length)
      if (count === 0) break
      length += count
    }
    return content.subarray(0, length)
  },
  write: (file, content) => fs.writeFileSync(file, content),
  fsync: fs.fsyncSync,
  lstat: (path) => fs.lstatSync(path),
  realpath: (path) => fs.realpathSync(path),
  readdir: (path) => fs.readdirSync(path),
  mkdir: (path, mode) => fs.mkdirSync(path, { mode }),
  chmod: fs.chmodSync,
  rename: fs.renameSync,
  unlink: fs.unlinkSync,
}

const IS_WINDOWS = platform() === 'win32'
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_WRONLY } = fs.constants
/** every right of anyone but the owner */
const OTHERS = 0o077
/** whoever may write to a folder with this bit may not remove what others have in it: such a folder is shared */
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
    try {
      return this.#port.lstat(path)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** The content from `position` on, and what the file was then; undefined where there is none. */
  read(path: string, position = 0): { readonly content: Buffer; readonly facts: FileFacts } | undefined {
    return this.#reading(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, (file, facts) => ({
      content: this.#port.read(file, position),
      facts,
    }))
  }

  /** A key may be reached by a link, as container platforms lay it out; undefined where there is none. */
  readSmall(path: string, most: number): { readonly text: string; readonly mode: number } | undefined {
    return this.#reading(path, O_RDONLY | O_NONBLOCK, (file, { size, mode }) => {
      if (size > most) throw notOfThatKind(`a file of ${size} bytes`)
      return { text: this.#port.read(file, 0).toString('latin1'), mode }
    })
  }

  /** Adds to a file that is there, by one write; on disk when it returns, unless it may be lost. */
  append(path: string, content: Uint8Array, { durable }: { readonly durable: boolean }): FileFacts {
    const file = this.#port.open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK)
    try {
      demandFile(this.#port.facts(file))
      this.#port.write(file, content)
      if (durable) this.#port.fsync(file)
      return this.#port.facts(file)
    } finally {
      this.#port.close(file)
    }
  }

  /** Where anything has that name it fails, or does nothing. The name is not on disk yet when it returns. */
  writeNew(
    path: string,
    content: Uint8Array,
    { durable, orThere = false }: { durable: boolean; orThere?: boolean },
  ): void {
    let file: number
    try {
      file = this.#port.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    } catch (error) {
      if (orThere && errnoOf(error) === 'EEXIST') return
      throw error
    }
    try {
      if (content.byteLength > 0) this.#port.write(file, content)
      if (durable) this.#port.fsync(file)
    } finally {
      this.#port.close(file)
    }
  }

  /** Whoever reads it sees the old file or the new one; the new one is on disk when this returns. One process at a time. */
  replace(path: string, content: Uint8Array): void {
    const beside = `${path}.new`
    this.remove(beside)
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
    if (IS_WINDOWS) return
    const file = this.#port.open(folder, O_RDONLY)
    try {
      this.#port.fsync(file)
    } finally {
      this.#port.close(file)
    }
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
    if (facts !== undefined) demandFile(facts)
    else this.writeNew(path, new Uint8Array(), { durable: false, orThere: true })
  }

  names(folder: string): readonly string[] {
    try {
      return this.#port.readdir(folder)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
  }

  /** What is not there need not be removed. */
  remove(path: string): void {
    try {
      this.#port.unlink(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }

  /** Removes what is of no use to anybody; a failure is of no interest. */
  discard(path: string): void {
    try {
      this.#port.unlink(path)
    } catch {}
  }

  /** The mode in octal where others than the owner have a right; undefined on Windows, where modes say nothing. */
  openMode(path: string): string | undefined {
    const facts = IS_WINDOWS ? undefined : this.factsOf(path)
    return facts === undefined || (facts.mode & OTHERS) === 0 ? undefined : (facts.mode & 0o777).toString(8)
  }

  /** Takes all rights of others away, and says so. Undefined where nobody else had any. */
  close(path: string): string | undefined {
    const mode = this.openMode(path)
    if (mode === undefined) return undefined
    const facts = this.#port.lstat(path)
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
    return `"${path}" was open to other users (mode ${mode}); it is closed now`
  }

  /** The real path of what exists, with the rest as written. */
  realPath(path: string): string {
    try {
      return this.#port.realpath(path)
    } catch {
      return path === dirname(path) ? path : join(this.realPath(dirname(path)), basename(path))
    }
  }

  #reading<T>(path: string, flags: number, take: (file: number, facts: FileFacts) => T): T | undefined {
    let file: number
    try {
      file = this.#port.open(path, flags)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
    try {
      const facts = this.#port.facts(file)
      demandFile(facts)
      return take(file, facts)
    } finally {
      this.#port.close(file)
    }
  }
}

/** A device or a pipe would be read, or written to, without end. */
function demandFile(facts: FileFacts): void {
  if (facts.isSymbolicLink()) throw notOfThatKind('a symbolic link, which is not followed')
  if (facts.isDirectory()) throw notOfThatKind('a folder where a file should be')
  if (!facts.isFile()) throw notOfThatKind('a device, pipe or socket where a file should be')
}

class NotOfThatKind extends Error {}

function notOfThatKind(what: string): Error {
  return new NotOfThatKind(what)
}

/** Whether a file operation failed, rather than this program. */
export function isFileError(error: unknown): boolean {
  return error instanceof NotOfThatKind || errnoOf(error) !== undefined
}

/** Passes on what is no file error: that is a problem of its own, or a bug. */
export function unwritable(folder: string, error: unknown): unknown {
  if (!isFileError(error)) return error
  return new ToolError(
    [
      {
        code: 'VAULT_UNWRITABLE',
        message: `vault folder "${folder}" cannot be written`,
        ...found(error),
        hint: 'make room or give access, or name another folder with VAULT_DIR',
      },
    ],
    error,
  )
}

export function found(error: unknown): { readonly found: string } {
  if (error instanceof NotOfThatKind) return { found: error.message }
  const errno = errnoOf(error) ?? 'an unknown error'
  const words = FILE_ERRORS[errno]
  return { found: words === undefined ? errno : `${words} (${errno})` }
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined
}
