/** The folder of one run: every artifact is written whole, read back and searched for secrets; `latest` is the newest. */
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fail } from './errors.ts'
import type { Redactor } from './secret.ts'

export interface Artifacts {
  readonly folder: string
  /** Throws REPORT_UNWRITABLE, or SECRET_LEAK after removing what was written. Returns the file's path. */
  write(name: string, text: string): Promise<string>
  /** Points `latest` at this run. */
  publish(): Promise<void>
}

export async function createArtifacts(reports: string, runFolder: string, redactor: Redactor): Promise<Artifacts> {
  const folder = join(reports, runFolder)
  await guarded(folder, () => mkdir(folder, { recursive: true }))
  return {
    folder,
    async write(name, text) {
      const file = join(folder, name)
      // Atomic: a report is there whole or not at all.
      await guarded(file, async () => {
        await writeFile(`${file}.part`, text)
        await rename(`${file}.part`, file)
      })
      const leaked = redactor.find(await readFile(file, 'utf8'))
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
export function withoutFolder(redactor: Redactor): Pick<Artifacts, 'write' | 'publish'> {
  return {
    async write(name, text) {
      const leaked = redactor.find(text)
      if (leaked.length > 0) failLeaked(`"${name}" would have held a secret and was not written`, leaked)
      return name
    },
    async publish() {},
  }
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
