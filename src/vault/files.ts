/**
 * The files of a vault: their names, their locks, their encryption, and how what the journals say moves into the records.
 * Owns the layout of the folder:
 *
 * - `<client>.jwe` the record of a client, whole, put in place by a rename
 * - `<client>.<writer>-<number>.journal` what an opened vault, the writer, has written down of a client since
 * - `<writer>.lock`, `<writer>.room` say that the writer lives, and keep space for what it may have to write
 * - `<client>.lock`, `<client>.run.lock`, `vault.lock` are held while a client is changed, looked after, a record written
 *
 * Knows nothing of what calls and answers mean.
 */
import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import { z } from '../record/shape.ts'
import { Disk, errnoOf, found, TEMPORARY, unwritable } from './disk.ts'
import { extended, type Journal, type Line, newJournal, readJournal, UNDECRYPTABLE } from './journal.ts'
import { decrypted, encrypted, type KeyRing, ringOf } from './key.ts'
import { type Lock, tryLock, waitForLock } from './lock.ts'
import { compacted, joined, readFormat, VAULT_VERSION } from './record.ts'
import { recordSchema, type State, stateOf, type VaultRecord } from './state.ts'
import type { Vault, VaultOptions } from './vault.ts'
import { ROOM, Writer, writerIn } from './writer.ts'

const RECORD = '.jwe'
const JOURNAL = '.journal'
const TOKEN = '.token'
const LOCK = '.lock'
const WRITE_LOCK = `vault${LOCK}`
const RUN_LOCK = `.run${LOCK}`
const LOCK_WAIT_MS = 30_000
/** A run that ends does not wait long: what it leaves in its journals, the next one moves. */
const FOLD_WAIT_MS = 1000
/** A larger journal moves into the record while the process goes on. */
const JOURNAL_CHARACTERS = 256 * 1024
/** Journals that are gone, of which a record still knows that it has them all. */
const REMEMBERED = 20

interface Client {
  readonly environment: string
  readonly clientId: string
  readonly record: VaultRecord | undefined
  readonly journals: readonly Journal[]
  readonly state: State
}

const tokenSchema = z.looseObject({
  vaultVersion: z.literal(VAULT_VERSION),
  accessToken: z.string(),
  receivedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  scope: z.optional(z.string()),
})
type StoredTokenFile = z.infer<typeof tokenSchema>

/** A record as it was last read or written. */
interface Held {
  readonly jwe: string
  readonly record: VaultRecord
  readonly withFirst: boolean
}

export class VaultFiles {
  readonly folder: string
  readonly #ring: KeyRing
  readonly #environment: string
  readonly #lockWaitMs: number
  readonly #disk: Disk
  readonly #checkpoint: NonNullable<VaultOptions['checkpoint']>
  /** the last of what this vault has been asked to write */
  #queue: Promise<unknown> = Promise.resolve()
  readonly #writer: Writer
  /** the file that the next line goes to, by client */
  readonly #last = new Map<string, string>()
  // A step asks for the same client several times: what was written here, or read and worked out, is not read again.
  readonly #journals = new Map<string, Journal>()
  readonly #records = new Map<string, Held>()
  readonly #clients = new Map<string, Client>()
  /** clients that a call of this vault is changing, by name of their record */
  readonly #changing = new Set<string>()

  constructor({ folder, key, environment, lockWaitMs = LOCK_WAIT_MS, files, checkpoint }: VaultOptions) {
    this.folder = resolve(folder)
    this.#ring = key instanceof Uint8Array ? ringOf(key) : key
    this.#environment = environment
    this.#lockWaitMs = lockWaitMs
    this.#disk = new Disk(files, checkpoint)
    this.#checkpoint = checkpoint ?? (() => {})
    this.#writer = new Writer(this.#disk, this.folder, () => this.#reload())
  }

  /** One task after the other, in the order in which they were asked for: what came later must end up as the newer. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task).catch((error: unknown) => {
      throw unwritable(this.folder, error)
    })
    this.#queue = result.catch(() => undefined)
    return result
  }

  /** In turn, and one process at a time: for what changes other files than the own journals. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.inTurn(() => this.#locked(task, this.#lockWaitMs))
  }

  /** One process at a time changes one client; another waits, then fails. */
  async lockClient(clientId: string): Promise<Lock> {
    const name = this.#name(clientId)
    const path = this.#path(name + LOCK)
    try {
      await this.#disk.makeFolder(this.folder)
      await this.#disk.makeLockFile(path)
    } catch (error) {
      throw unwritable(this.folder, error)
    }
    const lock = await waitForLock(path, this.#lockWaitMs)
    if (lock === undefined) {
      fail({
        code: 'VAULT_UNWRITABLE',
        message: `client "${clientId}" is being changed by another process`,
        found: `lock file "${path}", still in use`,
        hint: 'let the other run end, or stop it; nothing was sent',
      })
    }
    return this.#changed(name, lock)
  }

  async withClient<T>(clientId: string, task: () => Promise<T>): Promise<T> {
    using _ = await this.lockClient(clientId)
    return await task()
  }

  /** Runs `task` unless another process is changing the client. */
  async whileFree(clientId: string, task: () => Promise<void>): Promise<void> {
    const name = this.#name(clientId)
    if (this.#changing.has(name)) return task()
    const path = this.#path(name + LOCK)
    await this.#disk.makeLockFile(path)
    const lock = tryLock(path)
    if (lock === undefined) return
    using _ = this.#changed(name, lock)
    await task()
  }

  async isFree(clientId: string): Promise<boolean> {
    return !this.#changing.has(this.#name(clientId)) && !(await this.#isHeld(this.#name(clientId) + LOCK))
  }

  /** Held by a run for as long as it looks after the client; undefined where another one does. */
  async attend(clientId: string): Promise<Lock | undefined> {
    const path = this.#path(this.#name(clientId) + RUN_LOCK)
    await this.#disk.makeFolder(this.folder)
    await this.#disk.makeLockFile(path)
    return tryLock(path)
  }

  isAttended(clientId: string): Promise<boolean> {
    return this.#isHeld(this.#name(clientId) + RUN_LOCK)
  }

  /** @throws VAULT_UNREADABLE */
  async load(clientId: string): Promise<State> {
    const client = await this.#client(this.#name(clientId), await this.#names())
    return client?.state ?? stateOf(clientId, undefined, [])
  }

  /** All clients of this environment, as far as they can be read. */
  async scan(): Promise<{
    readonly clients: ReadonlyMap<string, State>
    readonly unreadable: readonly Problem[]
  }> {
    const names = await this.#names()
    const clients = new Map<string, State>()
    const unreadable: Problem[] = []
    for (const name of new Set(names.filter(isContent).map(clientIn))) {
      const client = await this.#client(name, names, unreadable)
      if (client?.environment === this.#environment) clients.set(client.clientId, client.state)
    }
    return { clients, unreadable }
  }

  /**
   * Writes a line down; in turn. Durable when it resolves, unless nothing is lost with it. A journal that could not be
   * written to is left alone from then on: the line goes to a new one, into the space that was kept for it.
   */
  async append(
    clientId: string,
    line: Line,
    {
      what,
      durable = true,
      environment = this.#environment,
    }: { readonly what: string; readonly durable?: boolean; readonly environment?: string },
  ): Promise<void> {
    const of = { environment, clientId }
    const name = recordName(environment, clientId)
    const write = async () => {
      await this.#writer.begin()
      const last = this.#written(this.#last.get(name) ?? '')
      const before = last ?? newJournal(`${name}.${await this.#writer.newName()}${JOURNAL}`)
      const { journal, added } = await extended(before, line, of, this.#ring)
      const length = before.text.length
      await this.#disk.append(this.#path(journal.file), added, { length, durable: durable || length === 0, what })
      this.#journals.set(journal.file, journal)
      this.#last.set(name, journal.file)
      return journal
    }
    const { text } = await write().catch(async (error: unknown) => {
      if (errnoOf(error) === undefined) throw error
      this.#last.delete(name)
      await this.#writer.giveRoomBack()
      return await write()
    })
    if (text.length > JOURNAL_CHARACTERS) await this.#foldOwn([name], 0)
  }

  /** Keeps disk space for what may have to be written after a call has left; in turn. */
  makeRoom(): Promise<void> {
    return this.#writer.makeRoom()
  }

  /** Moves the journals of dead processes into the records, and clears away what else they left. Proves that room can be made. */
  async restore(): Promise<void> {
    await this.exclusively(async () => {
      using locks = new DisposableStack()
      const names = await this.#names()
      const dead = await this.#writer.deadAmong(names, locks)
      // What cannot be read is left as it is, and said by whoever reads it.
      for (const name of new Set(names.filter((file) => file.endsWith(JOURNAL)).map(clientIn)))
        await this.#fold(name, dead).catch(unlessUnreadable)
      for (const file of names) {
        const isLeft = !isContent(file) && dead.has(writerIn(file) ?? '')
        if (isLeft || file.endsWith(TEMPORARY)) await this.#disk.discard(this.#path(file))
      }
      await this.makeRoom()
    })
  }

  /** Moves what this vault has written into the records and lets go; what fails is left to the next `restore`. */
  async close(): Promise<void> {
    await this.inTurn(async () => {
      for (let left = true; left; ) {
        const own = (await this.#names().catch(() => [])).filter(
          (file) => file.endsWith(JOURNAL) && this.#writer.isOwn(file),
        )
        left = own.length > 0 && (await this.#foldOwn([...new Set(own.map(clientIn))], FOLD_WAIT_MS))
      }
      await this.#writer.end()
    })
  }

  /** Destroys a client's record and all that lies beside it, durably; exclusively. */
  async forget(clientId: string): Promise<void> {
    const name = this.#name(clientId)
    using locks = new DisposableStack()
    const files = (await this.#names()).filter((file) => isContent(file) && clientIn(file) === name)
    const dead = await this.#writer.deadAmong(files, locks)
    if (!files.every((file) => file.endsWith(RECORD) || this.#isOver(file, dead))) {
      fail({
        code: 'VAULT_UNWRITABLE',
        message: `another process has written down answers of client "${clientId}"; its record is not destroyed`,
        hint: 'let the other run end, or stop it',
      })
    }
    // The record, which sorts last, goes last.
    for (const file of files) await this.#remove(file)
    await this.#disk.syncFolder(this.folder)
  }

  /** Undefined where there is none that can be read: another one is easily had. */
  async token(name: string): Promise<StoredTokenFile | undefined> {
    const jwe = await this.#disk.read(this.#path(name + TOKEN)).catch(() => undefined)
    const result = jwe ? await decrypted(jwe, this.#ring) : undefined
    if (result?.ok !== true) return undefined
    const read = readFormat(result.plaintext, tokenSchema)
    return read.ok ? read.value : undefined
  }

  async writeToken(name: string, token: Omit<StoredTokenFile, 'vaultVersion'>): Promise<void> {
    await this.#reload()
    await this.#write(name + TOKEN, { vaultVersion: VAULT_VERSION, ...token }, 'token')
  }

  /** Everything with a new key; exclusively. See Vault.rotateKey. */
  async rotateKey(dropEarlier: boolean): ReturnType<Vault['rotateKey']> {
    await this.#ring.reload()
    this.#records.clear()
    this.#journals.clear()
    await this.#demandAlone()
    const records = async () => {
      const held: (Held & { readonly file: string })[] = []
      for (const file of (await this.#names()).filter((name) => name.endsWith(RECORD))) {
        const one = await this.#record(file)
        if (one !== undefined) held.push({ ...one, file })
      }
      return held
    }
    const before = await records()
    // Only to drop the earlier keys, or to finish what was cut short, no new one is needed.
    const made = !(dropEarlier && this.#ring.keys.length > 1) && before.every(({ withFirst }) => withFirst)
    if (made) await this.#ring.add()
    await this.#checkpoint('key: added')
    this.#records.clear()
    for (const { file, record, withFirst } of await records()) if (!withFirst) await this.#writeRecord(file, record)
    // Who began to write before the new key was there may still use the old one.
    await this.#demandAlone()
    if (dropEarlier) await this.#ring.dropEarlier()
    return { files: before.length, made }
  }

  async count(): Promise<number> {
    return (await this.#names()).filter(isContent).length
  }

  /** What a process that died has left, in words. */
  async leftovers(): Promise<readonly string[]> {
    using locks = new DisposableStack()
    const names = await this.#names()
    const dead = await this.#writer.deadAmong(names, locks)
    const left = names.filter(
      (file) => file.endsWith(TEMPORARY) || (file.endsWith(ROOM) && dead.has(writerIn(file) ?? '')),
    )
    const torn = [...this.#journals.values()].filter(({ file, isTorn }) => isTorn && names.includes(file))
    return [
      ...left.map((file) => `"${this.#path(file)}" was left by a process that died, or is being written`),
      ...torn.map(({ file }) => `"${this.#path(file)}" ends in an unfinished line, which counts as never written`),
    ]
  }

  /** Warnings in words. */
  async openPermissions(): Promise<readonly string[]> {
    const warnings: string[] = []
    const warn = async (what: string, path: string, close: string) => {
      const mode = await this.#disk.openMode(path).catch(() => undefined)
      if (mode !== undefined)
        warnings.push(`${what} "${path}" is open to other users (mode ${mode}); close it with chmod ${close}`)
    }
    await warn('vault folder', this.folder, '700')
    for (const file of (await this.#names()).filter(isContent)) await warn('vault record', this.#path(file), '600')
    return warnings
  }

  async #locked<T>(task: () => Promise<T>, waitMs: number): Promise<T> {
    const path = this.#path(WRITE_LOCK)
    await this.#disk.makeFolder(this.folder)
    await this.#disk.makeLockFile(path)
    const lock = await waitForLock(path, waitMs)
    if (lock === undefined) {
      return fail({
        code: 'VAULT_UNWRITABLE',
        message: 'the vault has been locked by another process for too long',
        found: `lock file "${path}", still in use`,
        hint: 'let the other run end, or stop it',
      })
    }
    using _ = lock
    // Awaited here, or the lock would be gone before the task begins.
    return await task()
  }

  #isOver(file: string, dead: ReadonlySet<string>): boolean {
    return this.#writer.isOwn(file) || dead.has(writerIn(file) ?? '')
  }

  /** False where it has to be left to the next `restore`. */
  async #foldOwn(names: readonly string[], waitMs: number): Promise<boolean> {
    try {
      await this.#locked(async () => {
        for (const name of names) await this.#fold(name, new Set())
      }, waitMs)
      return true
    } catch (error) {
      if (error instanceof ToolError || errnoOf(error) !== undefined) return false
      throw error
    }
  }

  /** What the journals of a client say moves into its record, and those go that nobody writes to any more. */
  async #fold(name: string, dead: ReadonlySet<string>): Promise<void> {
    const names = await this.#names()
    const over = names.filter((file) => clientIn(file) === name && file.endsWith(JOURNAL) && this.#isOver(file, dead))
    const client = over.length === 0 ? undefined : await this.#client(name, names)
    if (client !== undefined) {
      const { environment, clientId, record, journals, state } = client
      for (const { clientId: other, entry } of state.elsewhere) {
        const known = (await this.#client(recordName(environment, other), names))?.state.entries ?? []
        if (joined(known, [entry]).length > known.length)
          await this.append(other, { entries: [entry] }, { what: 'entry', environment })
      }
      // A file that is gone may come back with a crash, and a reader may have it still: the last ones are remembered.
      const gone = Object.entries(record?.folded ?? {}).slice(-REMEMBERED)
      const folded = Object.fromEntries([...gone, ...journals.map(({ file, lines }) => [file, lines.length] as const)])
      const { entries, open: intents } = state
      if (record !== undefined || entries.length + intents.length > 0)
        await this.#writeRecord(name + RECORD, {
          vaultVersion: VAULT_VERSION,
          environment,
          clientId,
          entries: [...compacted(entries)],
          intents: [...intents],
          folded,
        })
    }
    for (const file of over) await this.#remove(file)
  }

  async #remove(file: string): Promise<void> {
    await this.#disk.remove(this.#path(file), file.endsWith(JOURNAL) ? 'journal' : 'record')
    this.#journals.delete(file)
    if (this.#last.get(clientIn(file)) === file) this.#last.delete(clientIn(file))
  }

  /**
   * Undefined where there is nothing of it. What cannot be read is thrown, or added to `unreadable`.
   *
   * @throws VAULT_UNREADABLE
   */
  async #client(name: string, names: readonly string[], unreadable?: Problem[]): Promise<Client | undefined> {
    const read = async <T>(reading: Promise<T>): Promise<T | undefined> =>
      await reading.catch((error: unknown) => {
        if (unreadable === undefined || !(error instanceof ToolError)) throw error
        unreadable.push(...error.problems)
        return undefined
      })
    const journals: Journal[] = []
    for (const file of names) {
      if (!file.endsWith(JOURNAL) || clientIn(file) !== name) continue
      const journal = this.#written(file) ?? (await read(this.#journal(file)))
      if (journal !== undefined) journals.push(journal)
    }
    // The record last: what vanishes from a journal in the meantime has moved into it.
    const record = (await read(this.#record(name + RECORD)))?.record
    const of = record ?? journals.find((journal) => journal.of !== undefined)?.of
    if (of === undefined) return undefined
    const known = this.#clients.get(name)
    const isKnown =
      known?.journals.length === journals.length && journals.every((one, at) => one === known.journals[at])
    if (known !== undefined && known.record === record && isKnown) return known
    const { environment, clientId } = of
    const lines = journals.flatMap((journal) => journal.lines.slice(record?.folded[journal.file] ?? 0))
    const client = { environment, clientId, record, journals, state: stateOf(clientId, record, lines) }
    this.#clients.set(name, client)
    return client
  }

  /** What this vault has written itself need not be read. */
  #written(file: string): Journal | undefined {
    return this.#writer.isOwn(file) ? this.#journals.get(file) : undefined
  }

  /** Undefined where there is no such file. */
  async #journal(file: string): Promise<Journal | undefined> {
    const text = await this.#text(file, `vault journal "${this.#path(file)}"`)
    const known = this.#journals.get(file)
    if (text === undefined) return undefined
    if (known?.text === text) return known
    const result = await readJournal(file, text, this.#ring, known)
    if (!result.ok)
      return refuse(`line ${result.line} of vault journal "${this.#path(file)}" ${result.is}`, result.rest)
    this.#journals.set(file, result.journal)
    return result.journal
  }

  /** Undefined where there is no such file. */
  async #record(file: string): Promise<Held | undefined> {
    const what = `vault record "${this.#path(file)}"`
    const jwe = await this.#text(file, what)
    if (jwe === undefined) return undefined
    const last = this.#records.get(file)
    if (last?.jwe === jwe) return last
    if (jwe === '') return refuse(`${what} is empty`, { hint: UNDECRYPTABLE.cut[1] })
    const result = await decrypted(jwe, this.#ring)
    if (!result.ok) {
      const [is, hint] = UNDECRYPTABLE[result.because]
      return refuse(`${what} ${is}`, { hint })
    }
    const read = readFormat(result.plaintext, recordSchema)
    if (!read.ok) return refuse(`${what} ${read.is}`, read.rest)
    const { environment, clientId } = read.value
    if (file !== recordName(environment, clientId) + RECORD) {
      return refuse(`${what} has the name of another record`, {
        found: `the record of client "${clientId}" in environment "${environment}"`,
        hint: 'it was renamed or copied; put it back where it came from',
      })
    }
    const held = { jwe, record: read.value, withFirst: result.withFirst }
    this.#records.set(file, held)
    return held
  }

  async #text(file: string, what: string): Promise<string | undefined> {
    try {
      return await this.#disk.read(this.#path(file))
    } catch (error) {
      return refuse(`${what} cannot be read`, found(error), error)
    }
  }

  async #writeRecord(file: string, record: VaultRecord): Promise<void> {
    const jwe = await this.#write(file, record, 'record')
    this.#records.set(file, { jwe, record, withFirst: true })
  }

  async #write(file: string, content: object, what: string): Promise<string> {
    const jwe = await encrypted(Buffer.from(JSON.stringify(content)), this.#ring)
    await this.#disk.write(this.#path(file), jwe, what)
    return jwe
  }

  /** Another process may have changed the key; where it cannot be read now, the one at hand does. */
  async #reload(): Promise<void> {
    await this.#ring.reload().catch(() => undefined)
  }

  /** Everything is in the records, and nobody is about to write more. */
  async #demandAlone(): Promise<void> {
    using locks = new DisposableStack()
    const names = await this.#names()
    const dead = await this.#writer.deadAmong(names, locks)
    const isAlive = (file: string) => writerIn(file) !== undefined && !this.#isOver(file, dead)
    if (this.#changing.size > 0 || names.some(isAlive)) {
      fail({
        code: 'VAULT_UNWRITABLE',
        message: 'the vault key cannot be changed while another process writes to the vault',
        hint: 'let the other run end, or stop it',
      })
    }
    for (const name of new Set(names.filter((file) => file.endsWith(JOURNAL)).map(clientIn)))
      await this.#fold(name, dead)
  }

  #changed(name: string, lock: Lock): Lock {
    this.#changing.add(name)
    const release = () => {
      this.#changing.delete(name)
      lock.release()
    }
    return { release, [Symbol.dispose]: release }
  }

  async #isHeld(file: string): Promise<boolean> {
    const path = this.#path(file)
    if (!(await this.#disk.exists(path))) return false
    const lock = tryLock(path)
    lock?.release()
    return lock === undefined
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await this.#disk.names(this.folder)
    } catch (error) {
      return refuse(`vault folder "${this.folder}" cannot be read`, found(error), error)
    }
  }

  #name(clientId: string): string {
    return recordName(this.#environment, clientId)
  }

  #path(file: string): string {
    return join(this.folder, file)
  }
}

/** Client ids are URLs, and no name in the folder should say who the clients are. */
function recordName(environment: string, clientId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([environment, clientId]))
    .digest('hex')
    .slice(0, 32)
}

function isContent(file: string): boolean {
  return file.endsWith(RECORD) || file.endsWith(JOURNAL)
}

/** The name of the client that a record or journal belongs to. */
function clientIn(file: string): string {
  return file.endsWith(RECORD) ? file.slice(0, -RECORD.length) : (file.split('.', 1)[0] ?? '')
}

function unlessUnreadable(error: unknown): void {
  if (!(error instanceof ToolError)) throw error
}

function refuse(message: string, rest: Partial<Problem>, cause?: unknown): never {
  return fail({ code: 'VAULT_UNREADABLE', message, ...rest }, cause)
}
