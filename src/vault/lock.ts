/**
 * Exclusive locks between processes. Owns node:sqlite, of which nothing is used but its file lock: the operating system
 * holds it and drops it with the process, so no lock is ever stale and none is waited for that a dead process held.
 * Knows nothing of records.
 */
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fail } from '../record/errors.ts'

// Node can be built or started without it, and then the reason should be one sentence.
const sqlite = await import('node:sqlite').catch(() => undefined)

export interface Lock extends Disposable {
  release(): void
}

const POLL_MS = 5
/** https://sqlite.org/rescode.html: the low byte is the primary code */
const BUSY = 5
const NOT_A_DATABASE = 26

/** Undefined where another holder, in this process or another, has it. The file must exist; it stays empty. */
export function tryLock(path: string): Lock | undefined {
  if (sqlite === undefined) {
    fail({
      code: 'VAULT_UNWRITABLE',
      message: 'the vault cannot be locked: this Node has no "node:sqlite", whose file locks it uses',
      hint: 'use the Node that "npm ci" brings along, or another one of version 24, without --no-experimental-sqlite',
    })
  }
  let database: DatabaseSync | undefined
  try {
    database = new sqlite.DatabaseSync(path, { timeout: 0 })
    // No journal file beside the lock: nothing is ever written.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    const code = codeOf(error)
    if (code === BUSY) return undefined
    fail(
      {
        code: 'VAULT_UNWRITABLE',
        message: `vault lock "${path}" cannot be taken`,
        found: code === NOT_A_DATABASE ? 'a file that is no lock of this tool' : String((error as Error).message),
        hint:
          code === NOT_A_DATABASE
            ? 'move the file out of the vault folder'
            : 'the file system must support file locks; name another folder with VAULT_DIR',
      },
      error,
    )
  }
  let held: DatabaseSync | undefined = database
  const release = () => {
    held?.close()
    held = undefined
  }
  return { release, [Symbol.dispose]: release }
}

/** Waits up to `waitMs` for the holder to release it or to die. */
export async function waitForLock(path: string, waitMs: number): Promise<Lock | undefined> {
  for (let waited = 0; ; waited += POLL_MS) {
    const lock = tryLock(path)
    if (lock !== undefined || waited >= waitMs) return lock
    await sleep(POLL_MS)
  }
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined
}
