/**
 * The folder of one run: every artifact is written as it is made, read back and searched for secrets; `latest` is the
 * newest. Nothing is held as a whole.
 */
import { mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { encoded, Search } from './chunks.ts'
import { fail } from './errors.ts'
import type { Redactor } from './secret.ts'

export interface Artifacts {
  readonly folder: string
  /** Throws REPORT_UNWRITABLE, or SECRET_LEAK after removing what was written. Returns the file's path. */
  write(name: string, chunks: Iterable<string>): Promise<string>
  /** Points `latest` at this run. */
  publish(): Promise<void>
}

export async function createArtifacts(reports: string, runFolder: string, redactor: Redactor): Promise<Artifacts> {
  const folder = join(reports, runFolder)
  await guarded(folder, () => mkdir(folder, { recursive: true }))
  return {
    folder,
    async write(name, chunks) {
      const file = join(folder, name)
      const draft = `${file}.part`
      // Atomic: a report is there whole or not at all.
      await guarded(file, async () => {
        try {
          await written(draft, chunks)
          await rename(draft, file)
        } catch (error) {
          await rm(draft, { force: true })
          throw error
        }
      })
      const leaked = await searched(file, redactor)
      if (leaked.length > 0) {
        await rm(file, { force: true })
        failLeaked(`"${name}" held a secret after it was written and was removed`, leaked)
      }
      return file
    },
    async publish() {
      const link = join(reports, 'latest')
      const fresh = `${link}.${basename(folder)}`
      await guarded(link, async () => {
        await rm(fresh, { force: true })
        await symlink(basename(folder), fresh, 'dir')
        await rename(fresh, link)
      })
    },
  }
}

/** Searches as the other, and writes nothing: for a record that another process will write. */
export function withoutFolder(redactor: Redactor): Omit<Artifacts, 'folder'> & { readonly folder: undefined } {
  return {
    folder: undefined,
    async write(name, chunks) {
      const search = searchWith(redactor)
      for (const chunk of chunks) search.add(chunk)
      const leaked = search.end()
      if (leaked.length > 0) failLeaked(`"${name}" would have held a secret and was not written`, leaked)
      return name
    },
    async publish() {},
  }
}

async function written(file: string, chunks: Iterable<string>): Promise<void> {
  await using handle = await open(file, 'w')
  await encoded(chunks, async (bytes) => await handle.writeFile(bytes))
}

/** Reads what was written, in the same memory piece by piece. */
async function searched(file: string, redactor: Redactor): Promise<readonly string[]> {
  const search = searchWith(redactor)
  const memory = Buffer.allocUnsafeSlow(READ_AT_ONCE)
  const decoder = new StringDecoder('utf8')
  await using handle = await open(file, 'r')
  for (;;) {
    const { bytesRead } = await handle.read(memory)
    if (bytesRead === 0) break
    search.add(decoder.write(memory.subarray(0, bytesRead)))
  }
  search.add(decoder.end())
  return search.end()
}

const READ_AT_ONCE = 128 * 1024

function searchWith(redactor: Redactor): Search {
  return new Search((text) => redactor.find(text))
}

function failLeaked(message: string, leaked: readonly string[]): never {
  return fail({
    code: 'SECRET_LEAK',
    message: `${message}: ${leaked.join(', ')}`,
    hint: 'this is a bug of this tool; please report it with the flow, without the secret',
  })
}

async function guarded(file: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write()
  } catch (cause) {
    // What is wrong with a text is not wrong with the disk.
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    fail(
      {
        code: 'REPORT_UNWRITABLE',
        message: `"${file}" cannot be written: ${(cause as NodeJS.ErrnoException).code ?? 'unknown reason'}`,
        hint: 'free some space or choose another folder with --out',
      },
      cause,
    )
  }
}
