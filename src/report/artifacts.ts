/**
 * The folder of one run: every artifact is written as it is made, read back and searched for secrets; `latest` is the
 * newest. Nothing is held as a whole.
 */
import { type FileHandle, mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { fail } from '../record/errors.ts'
import type { Redactor } from '../secret/index.ts'
import { Encoder, Search } from './chunks.ts'

export interface Artifacts {
  readonly folder: string
  /** Throws REPORT_UNWRITABLE, or SECRET_LEAK after removing what was written. Returns the file's path. */
  write(name: string, chunks: Iterable<string>): Promise<string>
  /** The same for several that are made side by side, chunk by chunk in turns: what all of them read is read once. */
  writeAll(files: Iterable<Named>): Promise<readonly string[]>
  /** Points `latest` at this run. */
  publish(): Promise<void>
}

type Named = readonly [name: string, chunks: Iterable<string>]

export async function createArtifacts(reports: string, runFolder: string, redactor: Redactor): Promise<Artifacts> {
  const folder = join(reports, runFolder)
  await guarded(folder, () => mkdir(folder, { recursive: true }))
  const writeAll = async (files: Iterable<Named>) => {
    await using stack = new AsyncDisposableStack()
    const drafts: Draft[] = []
    for (const [name, chunks] of files) drafts.push(stack.use(await Draft.begin(join(folder, name), chunks)))
    for (let open = drafts; open.length > 0; ) {
      const left: Draft[] = []
      for (const draft of open) if (await draft.next()) left.push(draft)
      open = left
    }
    for (const draft of drafts) {
      const { file } = draft
      await draft.finish()
      const leaked = await searched(file, redactor)
      if (leaked.length === 0) continue
      await rm(file, { force: true })
      failLeaked(`"${basename(file)}" held a secret after it was written and was removed`, leaked)
    }
    return drafts.map(({ file }) => file)
  }
  return {
    folder,
    writeAll,
    async write(name, chunks) {
      await writeAll([[name, chunks]])
      return join(folder, name)
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
  const write = async (name: string, chunks: Iterable<string>) => {
    const search = searchWith(redactor)
    for (const chunk of chunks) search.add(chunk)
    const leaked = search.end()
    if (leaked.length > 0) failLeaked(`"${name}" would have held a secret and was not written`, leaked)
    return name
  }
  return {
    folder: undefined,
    write,
    async writeAll(files) {
      const names: string[] = []
      for (const [name, chunks] of files) names.push(await write(name, chunks))
      return names
    },
    async publish() {},
  }
}

/** A file while it is made: it is there whole or not at all. */
class Draft implements AsyncDisposable {
  readonly file: string
  readonly #handle: FileHandle
  readonly #chunks: Iterator<string>
  readonly #encoder: Encoder

  private constructor(file: string, handle: FileHandle, chunks: Iterator<string>) {
    this.file = file
    this.#handle = handle
    this.#chunks = chunks
    this.#encoder = new Encoder(async (bytes) => await handle.writeFile(bytes))
  }

  static async begin(file: string, chunks: Iterable<string>): Promise<Draft> {
    return new Draft(file, await guarded(file, () => open(partOf(file), 'w')), chunks[Symbol.iterator]())
  }

  /** False when there is no more. */
  async next(): Promise<boolean> {
    const { done, value } = this.#chunks.next()
    await guarded(this.file, () => (done ? this.#encoder.end() : this.#encoder.add(value)))
    return !done
  }

  async finish(): Promise<void> {
    await guarded(this.file, async () => {
      await this.#handle.close()
      await rename(partOf(this.file), this.file)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    await rm(partOf(this.file), { force: true })
  }
}

function partOf(file: string): string {
  return `${file}.part`
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

async function guarded<T>(file: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (cause) {
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
