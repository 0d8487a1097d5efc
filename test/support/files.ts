/** The files of a vault as a test sees them: what is done with them in which order, and each of it failing. */
import * as fs from 'node:fs'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import type { FilePort } from '../../src/vault/files.ts'

type Operation = Exclude<keyof FilePort, 'close' | 'realpath' | 'flush'>

type Told = (operation: Operation, file: string) => void

/** Files that are really there, with `before` and `after` told of operations on them: the file by the last part of its name. */
export function watched(before: Told, after: Told = () => {}): FilePort {
  const names = new Map<number, string>()
  const name = (path: string) => basename(path)
  const of = (file: number) => names.get(file) ?? ''
  return {
    open(path, flags, mode) {
      before('open', name(path))
      const file = fs.openSync(path, flags, mode)
      names.set(file, name(path))
      return file
    },
    close(file) {
      fs.closeSync(file)
    },
    facts(file) {
      before('facts', of(file))
      return fs.fstatSync(file)
    },
    read(file, position) {
      before('read', of(file))
      const content = Buffer.alloc(Math.max(0, fs.fstatSync(file).size - position))
      return content.subarray(0, fs.readSync(file, content, 0, content.length, position))
    },
    write(file, content) {
      before('write', of(file))
      fs.writeFileSync(file, content)
    },
    fsync(file) {
      before('fsync', of(file))
      fs.fsyncSync(file)
      after('fsync', of(file))
    },
    async flush(file) {
      before('fsync', of(file))
      await promisify(fs.fsync)(file)
      after('fsync', of(file))
    },
    lstat(path) {
      before('lstat', name(path))
      return fs.lstatSync(path)
    },
    realpath: (path) => fs.realpathSync(path),
    readdir(path) {
      before('readdir', name(path))
      return fs.readdirSync(path)
    },
    mkdir(path, mode) {
      before('mkdir', name(path))
      fs.mkdirSync(path, { mode })
    },
    chmod(path, mode) {
      before('chmod', name(path))
      fs.chmodSync(path, mode)
    },
    rename(from, to) {
      before('rename', name(from))
      fs.renameSync(from, to)
    },
    unlink(path) {
      before('unlink', name(path))
      fs.unlinkSync(path)
    },
  }
}

/** The same without waiting for the disk: for what is done hundreds of times. */
export function unsynced(before: Told): FilePort {
  return { ...watched(before), fsync: () => before('fsync', ''), flush: async () => before('fsync', '') }
}

/** As a file operation fails. */
export function fileError(errno: string, syscall = 'write'): Error {
  return Object.assign(new Error(`${errno}: ${syscall}`), { code: errno, syscall })
}
