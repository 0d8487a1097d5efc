/**
 * Writes the files of one run. Each is searched for secrets while it is written, block by block, and gets its name only when
 * it is whole. `latest` points at the newest run.
 */
import { mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fail } from '../record/errors.ts'
import { demandOrdinaryFolder, remedyFor, whyUnread } from '../record/regular-file.ts'
import type { Redactor, Structure } from '../secret/index.ts'

export interface Artifacts {
  /** undefined: nothing is written */
  readonly folder: string | undefined
  /** Returns the file's path. What should not be in the file is hidden there. Throws REPORT_UNWRITABLE. */
  write(name: string, pieces: Iterable<string>): Promise<string>
  /** Points `latest` at this run. Called before its first call and again at its end, since another run may have moved it. */
  publish(): Promise<void>
}

/** `warn` is told of a secret that was hidden in a finished file. Throws REPORT_UNWRITABLE. */
export async function createArtifacts(
  reports: string,
  runFolder: string,
  { redactor, warn }: { readonly redactor: Redactor; readonly warn: (text: string) => void },
): Promise<Artifacts> {
  const folder = join(reports, runFolder)
  await orUnwritable(folder, async () => {
    demandOrdinaryFolder(reports)
    await mkdir(folder, { recursive: true })
  })
  return {
    folder,
    async write(name, pieces) {
      const file = join(folder, name)
      const hidden = await orUnwritable(file, () => writeCleaned(file, pieces, redactor))
      if (hidden.length > 0)
        warn(
          `"${name}" would have held ${hidden.join(', ')}: it was hidden there; please report this, without the secret`,
        )
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

/** Searches the same and writes nothing: for a record that another process will write. Throws SECRET_LEAK. */
export function searchOnly(redactor: Redactor): Artifacts {
  return {
    folder: undefined,
    async write(name, pieces) {
      const hidden = await clean(name, pieces, redactor)
      if (hidden.length === 0) return name
      return fail({
        code: 'SECRET_LEAK',
        message: `"${name}" would have held a secret and was not written: ${hidden.join(', ')}`,
        hint: 'this is a bug of this tool; please report it with the flow, without the secret',
      })
    },
    async publish() {},
  }
}

async function writeCleaned(file: string, pieces: Iterable<string>, redactor: Redactor): Promise<readonly string[]> {
  const part = `${file}.part`
  await rm(part, { force: true })
  let hidden: readonly string[]
  try {
    // "wx" follows no link that lies there.
    await using handle = await open(part, 'wx')
    hidden = await clean(basename(file), pieces, redactor, async (block) => await handle.writeFile(block))
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await rename(part, file)
  return hidden
}

/**
 * This much of the end of a block, in whole lines, is searched again with the next: a secret of several lines, such as a
 * PEM key, is shorter. In characters.
 */
const OVERLAP = 16 * 1024

/** Hands the pieces on as blocks without secrets. Returns the names of what was hidden in them. */
async function clean(
  name: string,
  pieces: Iterable<string>,
  redactor: Redactor,
  write?: (block: string) => Promise<unknown>,
): Promise<readonly string[]> {
  const hidden = new Set<string>()
  const structure = structureOf(name)
  let held = ''
  for (const block of blocksOf(pieces)) {
    const { text, found } = redactor.cleanFile(held + block, structure)
    for (const secret of found) hidden.add(secret)
    const end = text.length <= OVERLAP ? 0 : text.lastIndexOf('\n', text.length - OVERLAP) + 1
    held = text.slice(end)
    if (end > 0) await write?.(text.slice(0, end))
  }
  if (held !== '') await write?.(held)
  return [...hidden]
}

/** A name in JSON before its colon; what stands there is ours. */
const MEMBER = /^\s*"(?:[^"\\]|\\.)*"\s*:\s*/

/** Characters. Shorter lines are searched about as fast as they are read. */
const LONG_LINE = 512

/** Indented as all of ours is. Numbers are no values: those of servers stand in texts. */
const JSON_FILE: Structure = {
  between: /\n|(?<!\\)"/,
  end: '\n',
  textIn: (line) => {
    if (line.length < LONG_LINE) return undefined
    const value = /"(?=,?$)/.test(line) ? line.slice(MEMBER.exec(line)?.[0].length ?? 0).replace(/,$/, '') : ''
    try {
      const text: unknown = JSON.parse(value)
      return typeof text === 'string' ? text : undefined
    } catch {
      return undefined
    }
  },
  isValue: (line, place) => {
    const value = MEMBER.exec(line)?.[0].length ?? 0
    return place >= value && (line[value] === '"' || (value === 0 && /^\s*"/.test(line)))
  },
}
const MARKUP_FILE: Structure = { between: /[<>"]/, end: '<', isValue: () => true }

function structureOf(file: string): Structure | undefined {
  if (/\.(?:json|har)$/.test(file)) return JSON_FILE
  return /\.(?:xml|html)$/.test(file) ? MARKUP_FILE : undefined
}

/** In characters. */
const BLOCK = 64 * 1024

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
        message: `"${file}" cannot be written: ${whyUnread(cause)}`,
        hint: `${remedyFor(cause)}, or name another folder with --out`,
      },
      cause,
    )
  }
}
