/**
 * Writes the files of one run. Each is searched for secrets while it is written, block by block, and gets its name only when
 * it is whole and none was found. `latest` points at the newest run.
 */
import { mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fail } from '../record/errors.ts'
import type { Redactor } from '../secret/index.ts'

export interface Artifacts {
  /** undefined: nothing is written */
  readonly folder: string | undefined
  /** Returns the file's path. Throws REPORT_UNWRITABLE, or SECRET_LEAK; then there is no file of that name. */
  write(name: string, pieces: Iterable<string>): Promise<string>
  /** Points `latest` at this run. */
  publish(): Promise<void>
}

/** Throws REPORT_UNWRITABLE. */
export async function createArtifacts(reports: string, runFolder: string, redactor: Redactor): Promise<Artifacts> {
  const folder = join(reports, runFolder)
  await orUnwritable(folder, () => mkdir(folder, { recursive: true }))
  return {
    folder,
    async write(name, pieces) {
      const file = join(folder, name)
      await orUnwritable(file, () => writeSearched(file, pieces, redactor))
      return file
    },
    async publish() {
      const link = join(reports, 'latest')
      const fresh = `${link}.${basename(folder)}`
      await orUnwritable(link, async () => {
        await rm(fresh, { force: true })
        await symlink(basename(folder), fresh, 'dir')
        await rename(fresh, link)
      })
    },
  }
}

/** Searches the same and writes nothing: for a record that another process will write. */
export function searchOnly(redactor: Redactor): Artifacts {
  return {
    folder: undefined,
    async write(name, pieces) {
      await search(name, pieces, redactor)
      return name
    },
    async publish() {},
  }
}

async function writeSearched(file: string, pieces: Iterable<string>, redactor: Redactor): Promise<void> {
  const part = `${file}.part`
  await rm(part, { force: true })
  try {
    // "wx" follows no link that lies there.
    await using handle = await open(part, 'wx')
    await search(basename(file), pieces, redactor, async (block) => await handle.writeFile(block))
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await rename(part, file)
}

/**
 * This much of the end of a block, in whole lines, is searched again with the next: a secret of several lines, such as a
 * PEM key, is shorter. In characters.
 */
const OVERLAP = 16 * 1024

/** Hands the pieces on as blocks after searching them. Throws SECRET_LEAK after all of them were searched. */
async function search(
  name: string,
  pieces: Iterable<string>,
  redactor: Redactor,
  write?: (block: string) => Promise<unknown>,
): Promise<void> {
  const found = new Set<string>()
  let before = ''
  for (const block of blocksOf(pieces)) {
    const text = before + block
    for (const secret of redactor.find(text)) found.add(secret)
    before = text.length <= OVERLAP ? text : text.slice(text.lastIndexOf('\n', text.length - OVERLAP) + 1)
    await write?.(block)
  }
  if (found.size === 0) return
  fail({
    code: 'SECRET_LEAK',
    message: `"${name}" would have held a secret and was not written: ${[...found].join(', ')}`,
    hint: 'this is a bug of this tool; please report it with the flow, without the secret',
  })
}

/** In characters. */
const BLOCK = 256 * 1024

/**
 * The pieces joined to blocks. A block ends at the end of a line, so that nothing in one line is searched in two parts: half
 * a number may look like a card number.
 */
export function* blocksOf(pieces: Iterable<string>): Generator<string> {
  let block = ''
  for (const piece of pieces) {
    const lineEnd = piece.lastIndexOf('\n') + 1
    block += piece
    if (block.length < BLOCK || lineEnd === 0) continue
    const end = block.length - piece.length + lineEnd
    yield block.slice(0, end)
    block = block.slice(end)
  }
  if (block !== '') yield block
}

async function orUnwritable<T>(file: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (cause) {
    // Only an error of the file system says that the file cannot be written.
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    return fail(
      {
        code: 'REPORT_UNWRITABLE',
        message: `"${file}" cannot be written: ${(cause as NodeJS.ErrnoException).code ?? 'unknown reason'}`,
        hint: 'free some space or choose another folder with --out',
      },
      cause,
    )
  }
}
