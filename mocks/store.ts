/** Keeps a snapshot of the twin's state in one file, which is always replaced as a whole and which only its owner can read. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { digestOf } from './digest.ts'
import { SNAPSHOT_VERSION, type Snapshot } from './model.ts'

export interface Store {
  /** the snapshot in the file when it was opened */
  readonly kept: Snapshot | undefined
  /**
   * Resolves once what it takes now, or later, is in the file; a large state is written soon after. Calls while a write is under
   * way share the next one. After a write that failed it waits until one succeeds.
   */
  save(take: () => Snapshot): Promise<void>
  /** The same, and waits for a large state too. */
  flush(take: () => Snapshot): Promise<void>
}

/** In characters, some hundred clients. A larger state takes longer to write than all else in a call, so no call waits for it. */
const LARGE = 1024 * 1024
/** Between two writes of a large state, in ms; at least so many times as long as the write took. */
const PAUSE = { least: 1000, times: 10 } as const

/** `after` runs what is to be done later. Throws a plain Error for a file that is no snapshot of this version: it is never overwritten. */
export async function openStore(file: string, after: typeof setTimeout = setTimeout): Promise<Store> {
  const path = resolve(file)
  const kept = await read(path)
  // Its digest, since the text is as large as the state.
  let written = kept === undefined ? '' : digestOf(serialised(kept))
  let waiting: (() => Snapshot) | undefined
  let writing: Promise<void> | undefined
  let isLarge = false
  let tookMs = 0
  let later: NodeJS.Timeout | undefined
  let hasFailed = false

  const drain = async () => {
    while (waiting !== undefined) {
      const start = performance.now()
      const text = serialised(waiting())
      waiting = undefined
      isLarge = text.length > LARGE
      const digest = digestOf(text)
      if (digest === written) continue
      await replace(path, text)
      written = digest
      tookMs = performance.now() - start
    }
  }
  const write = async () => {
    writing ??= drain().finally(() => {
      writing = undefined
    })
    await writing
    hasFailed = false
  }
  const flush = async (take: () => Snapshot) => {
    clearTimeout(later)
    later = undefined
    waiting = take
    await write()
  }
  return {
    kept,
    async save(take) {
      if (!isLarge || hasFailed) return await flush(take)
      waiting = take
      const pauseMs = Math.max(PAUSE.least, PAUSE.times * tookMs)
      later ??= after(() => {
        later = undefined
        write().catch(() => {
          hasFailed = true
        })
      }, pauseMs)
    },
    flush,
  }
}

function serialised(snapshot: Snapshot): string {
  return `${JSON.stringify(snapshot, undefined, 1)}\n`
}

async function read(path: string): Promise<Snapshot | undefined> {
  let text: string
  try {
    // Without O_NONBLOCK opening a pipe waits until somebody writes to it.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    if (!(await file.stat()).isFile()) throw new Error(`state file "${path}" is no file`)
    text = await file.readFile('utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    const snapshot = JSON.parse(text) as Snapshot
    if (snapshot.version === SNAPSHOT_VERSION) return snapshot
  } catch {
    // The error below says so.
  }
  throw new Error(
    `state file "${path}" was not written by this version of the twin; move it away to start with an empty state`,
  )
}

async function replace(path: string, text: string): Promise<void> {
  const made = `${path}.${randomUUID()}.tmp`
  try {
    const file = await open(made, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(made, path)
  } catch (error) {
    await rm(made, { force: true })
    throw error
  }
}
