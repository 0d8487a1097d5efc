/**
 * Files that survive a crash: written beside, synchronised, renamed, folder synchronised. Owns what a file error means in
 * words. Knows nothing of what is in the files. On Windows modes and the fsync of folders do not exist: both are left out.
 */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { platform } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { ToolError } from '../record/errors.ts'

/** The file functions that are used, as `node:fs/promises` has them; a test puts failing ones in their place. */
export interface FilePort {
  open(path: string, flags: 'wx' | 'r' | typeof APPENDING, mode?: number): Promise<OpenFile>
  readFile(path: string, encoding: 'latin1'): Promise<string>
  readdir(path: string): Promise<string[]>
  stat(path: string): Promise<{ readonly size: number; readonly mode: number }>
  realpath(path: string): Promise<string>
  mkdir(path: string, options: { readonly recursive: true; readonly mode: number }): Promise<string | undefined>
  rename(from: string, to: string): Promise<void>
  link(path: string, name: string): Promise<void>
  unlink(path: string): Promise<void>
}

interface OpenFile {
  writeFile(content: string | Uint8Array): Promise<void>
  truncate(length: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** A file that was removed meanwhile is not made again. */
const APPENDING = constants.O_WRONLY | constants.O_APPEND

/**
 * Small files nearby, a hundred times for each client that is registered: a thread would take ten times as long to be asked
 * as the disk takes to answer. Whoever reads in a loop still lets others have their turn.
 */
const FILES: FilePort = {
  async open(path, flags, mode) {
    const file = openSync(path, flags, mode)
    return {
      writeFile: async (content) => writeFileSync(file, content),
      truncate: async (length) => ftruncateSync(file, length),
      sync: async () => fsyncSync(file),
      close: async () => closeSync(file),
    }
  },
  async readFile(path, encoding) {
    await turn()
    return readFileSync(path, encoding)
  },
  readdir: async (path) => readdirSync(path),
  stat: async (path) => statSync(path),
  realpath: async (path) => realpathSync(path),
  mkdir: async (path, options) => mkdirSync(path, options),
  rename: async (from, to) => renameSync(from, to),
  link: async (path, name) => linkSync(path, name),
  unlink: async (path) => unlinkSync(path),
}

/** Called at each moment at which a process may die; the default does nothing. */
export type Checkpoint = (name: string) => void | Promise<void>

export const IS_WINDOWS = platform() === 'win32'
/** every right of anyone but the owner */
const OTHERS = 0o077
export const TEMPORARY = '.tmp'

const FILE_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'something else with the name of the folder',
  EFBIG: 'a limit on the size of files',
  EIO: 'an error of the disk',
  EISDIR: 'a folder where a file should be',
  ENOSPC: 'a full disk',
  ENOTDIR: 'a file where a folder should be',
  EPERM: 'no permission',
  EROFS: 'a read-only file system',
}

export class Disk {
  readonly #files: FilePort
  readonly #checkpoint: Checkpoint

  constructor(files: FilePort = FILES, checkpoint: Checkpoint = () => {}) {
    this.#files = files
    this.#checkpoint = checkpoint
  }

  /** Nobody sees half a file, and the new one survives a crash when this resolves. `what` names it for checkpoints. */
  async write(path: string, content: string | Uint8Array, what: string): Promise<void> {
    const temporary = `${path}.${randomUUID()}${TEMPORARY}`
    try {
      await this.writeNew(temporary, content, what)
      await this.#files.rename(temporary, path)
    } catch (error) {
      await this.discard(temporary)
      throw error
    }
    await this.#checkpoint(`${what}: renamed`)
    await this.syncFolder(dirname(path))
    await this.#checkpoint(`${what}: durable`)
  }

  /**
   * Adds to a file of `length` bytes (0: a new one), by one write; durable when it resolves, unless it may be lost. What a
   * failure leaves is taken away as far as that can be done.
   */
  async append(
    path: string,
    content: string | Uint8Array,
    { length, durable, what }: { readonly length: number; readonly durable: boolean; readonly what: string },
  ): Promise<void> {
    const file = await this.#files.open(path, length === 0 ? 'wx' : APPENDING, 0o600)
    try {
      await this.#checkpoint(`${what}: opened`)
      await file.writeFile(content)
      await this.#checkpoint(`${what}: written`)
      if (!durable) return
      await file.sync()
      if (length === 0) await this.syncFolder(dirname(path))
    } catch (error) {
      if (length === 0) await this.discard(path)
      else await file.truncate(length).catch(() => undefined)
      throw error
    } finally {
      await file.close()
    }
    await this.#checkpoint(`${what}: durable`)
  }

  /** Fails where the file exists. Durable only when its folder is synchronised too. */
  async writeNew(path: string, content: string | Uint8Array, what: string): Promise<void> {
    const handle = await this.#files.open(path, 'wx', 0o600)
    try {
      await this.#checkpoint(`${what}: made`)
      await handle.writeFile(content)
      await this.#checkpoint(`${what}: written`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await this.#checkpoint(`${what}: synchronised`)
  }

  /** Gives a file a second name; EEXIST where that is taken. */
  async link(path: string, name: string): Promise<void> {
    await this.#files.link(path, name)
  }

  /**
   * An empty file, if there is none; one that exists is never opened: a process that closes any handle on a file loses its
   * POSIX locks on it.
   */
  async makeLockFile(path: string): Promise<void> {
    while (!(await this.exists(path))) {
      const temporary = `${path}.${randomUUID()}${TEMPORARY}`
      try {
        const handle = await this.#files.open(temporary, 'wx', 0o600)
        await handle.close()
        await this.#files.link(temporary, path)
      } catch (error) {
        // Another process was first, or cleared the new file away as a leftover.
        const isLink = error instanceof Error && 'syscall' in error && error.syscall === 'link'
        if (!isLink || !['EEXIST', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error
      } finally {
        await this.discard(temporary)
      }
    }
  }

  async makeFolder(folder: string): Promise<void> {
    const first = await this.#files.mkdir(folder, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    // A new folder survives a crash only when its name is on disk too.
    for (let path = folder; ; path = dirname(path)) {
      await this.syncFolder(dirname(path))
      if (path === first) return
    }
  }

  async syncFolder(folder: string): Promise<void> {
    if (IS_WINDOWS) return
    const handle = await this.#files.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** Durable when its folder is synchronised; a file that is not there is no error. */
  async remove(path: string, what: string): Promise<void> {
    try {
      await this.#files.unlink(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
    await this.#checkpoint(`${what}: removed`)
  }

  /** Removes what is of no use to anybody; a failure is of no interest. */
  async discard(path: string): Promise<void> {
    await this.#files.unlink(path).catch(() => undefined)
  }

  /** Names in the folder, sorted; none where there is no folder. */
  async names(folder: string): Promise<readonly string[]> {
    try {
      return (await this.#files.readdir(folder)).sort()
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
  }

  /** Undefined where there is no such file. */
  async read(path: string): Promise<string | undefined> {
    try {
      // latin1 keeps every byte apart; UTF-8 would turn many different ones into U+FFFD.
      return await this.#files.readFile(path, 'latin1')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async exists(path: string): Promise<boolean> {
    return this.#files.stat(path).then(
      () => true,
      () => false,
    )
  }

  /** The mode, in octal, where others than the owner have any right; undefined on Windows, where modes say nothing. */
  async openMode(path: string): Promise<string | undefined> {
    if (IS_WINDOWS) return undefined
    const { mode } = await this.#files.stat(path)
    return (mode & OTHERS) === 0 ? undefined : (mode & 0o777).toString(8)
  }

  /** The real path of what exists, with the rest as written. */
  async realPath(path: string): Promise<string> {
    try {
      return await this.#files.realpath(path)
    } catch {
      return path === dirname(path) ? path : join(await this.realPath(dirname(path)), basename(path))
    }
  }
}

/** Passes on what is no file error: that is a problem of its own, or a bug. */
export function unwritable(folder: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error
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
  const errno = errnoOf(error) ?? 'an unknown error'
  const words = FILE_ERRORS[errno]
  return { found: words === undefined ? errno : `${words} (${errno})` }
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined
}
