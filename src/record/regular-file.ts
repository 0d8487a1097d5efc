/**
 * Reads what a user names: regular files alone, and none that is larger than what is expected there. A pipe would be waited
 * for, a device never ends, and a file of /proc is made while it is read.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statfsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** In bytes. */
const LARGEST = 512 * 1024 * 1024
/** Types of file systems whose files are no data on a disk: proc, sysfs (linux/magic.h). */
const OF_THE_KERNEL: readonly number[] = [0x9fa0, 0x62656572]

/**
 * All of it. A link to a file is followed.
 *
 * @throws an error of the file system, or one whose code says in words why the file is not read
 */
export function readRegularFile(path: string, largest = LARGEST): Buffer<ArrayBuffer> {
  // Opening a named pipe without O_NONBLOCK blocks until another process opens it for writing.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const facts = fstatSync(file)
    const is = kindOf(facts)
    if (is === 'a folder') throw Object.assign(new Error(`"${path}" is a folder`), { code: 'EISDIR' })
    if (is !== undefined) throw notRead(`it is ${is}, not a file`)
    if (isOfKernel(path)) throw notRead('it is made by the operating system, not a file on a disk')
    if (facts.size > largest) throw notRead(`it is larger than ${largest} bytes`)
    return readFileSync(file)
  } finally {
    closeSync(file)
  }
}

/** The same as UTF-8 text. */
export function readTextFile(path: string, largest = LARGEST): string {
  return readRegularFile(path, largest).toString('utf8')
}

/** The same, to look whether it is what somebody searches; empty where it cannot be read. */
export function textIfReadable(path: string, largest = LARGEST): string {
  try {
    return readTextFile(path, largest)
  } catch {
    return ''
  }
}

/** Why one of these did not read a file. */
export function whyUnread(cause: unknown): string {
  const { code = 'unknown reason' } = cause as NodeJS.ErrnoException
  return REASONS[code] ?? code
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'access is denied',
  EEXIST: 'a file is in the way',
  ENOTDIR: 'a file is in the way',
  EROFS: 'the disk is read-only',
  EPERM: 'access is denied',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'a limit on the size of files is reached',
}

/** What helps where the file system does not let a file be written. */
export function remedyFor(cause: unknown): string {
  return REMEDIES[(cause as NodeJS.ErrnoException).code ?? ''] ?? 'make room or give access'
}

const GIVE_ACCESS = 'give this user the right to write there'
const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: GIVE_ACCESS,
  EPERM: GIVE_ACCESS,
  EROFS: 'make its disk writable',
  ENOSPC: 'make room there',
  EDQUOT: 'make room there',
  EFBIG: 'lift that limit (ulimit -f)',
}

/** Where a folder is to be made: not where the operating system makes up what is there. @throws the same */
export function demandOrdinaryFolder(path: string): void {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const facts = statSync(folder, { throwIfNoEntry: false })
    if (facts === undefined && dirname(folder) !== folder) continue
    if (facts !== undefined && !facts.isDirectory()) throw notRead(`"${folder}" is no folder`)
    if (isOfKernel(folder)) throw notRead(`"${folder}" is made by the operating system, not a folder on a disk`)
    return
  }
}

function isOfKernel(path: string): boolean {
  return process.platform === 'linux' && OF_THE_KERNEL.includes(statfsSync(path).type)
}

function kindOf(facts: Stats): string | undefined {
  if (facts.isFile()) return undefined
  if (facts.isDirectory()) return 'a folder'
  if (facts.isFIFO()) return 'a pipe'
  if (facts.isSocket()) return 'a socket'
  return 'a device'
}

function notRead(why: string): Error {
  return Object.assign(new Error(why), { code: why, syscall: 'open' })
}
