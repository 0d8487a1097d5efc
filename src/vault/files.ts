/**
 * The files of a vault: their names, their locks, their encryption, and what is done about those that a killed process
 * left. Owns the layout of the folder. Knows nothing of what calls and answers mean.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { join, resolve } from 'node:path'
import { fail, type Problem, ToolError } from '../errors.ts'
import type { Undecryptable } from '../jwt.ts'
import { z } from '../shape.ts'
import { Disk, found, TEMPORARY, unwritable } from './disk.ts'
import { readIntent, type StoredIntent } from './journal.ts'
import { decrypted, encrypted, type KeyRing, ringOf } from './key.ts'
import { type Lock, tryLock, waitForLock } from './lock.ts'
import { type Entry, readFormat, readRecord, VAULT_VERSION, type VaultRecord } from './record.ts'
import type { Vault, VaultOptions } from './vault.ts'

const RECORD = '.jwe'
const INTENT = '.intent'
const ROOM = '.room'
const TOKEN = '.token'
const PROBE = 'probe-'
const WRITE_LOCK = 'vault.lock'
const RUN_LOCK = '.run.lock'
const LOCK_WAIT_MS = 30_000
/** A registration answer with its software statement is about 8 KiB. */
const LARGE_ANSWER_BYTES = 64 * 1024
/** `<record>.jwe.<uuid>.tmp`, `<record>.<16 hex>.jwe.<uuid>.tmp`, `<record>.<id>.intent.<uuid>.tmp` */
const LEFTOVER = /^([0-9a-f]{32})((?:\.[\w-]+)?)\.(jwe|intent)\.[0-9a-f-]{36}\.tmp$/
/** Of files that can be made again. */
const WORTHLESS = /\.(?:lock|token)\.[0-9a-f-]{36}\.tmp$/

const UNDECRYPTABLE: Record<Undecryptable, readonly [is: string, hint: string]> = {
  foreign: ['is not a vault record', 'move it out of the vault folder'],
  cut: ['is cut short', 'put the file back from a backup'],
  'other-key': ['was made with another key', 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with'],
  damaged: ['was changed after it was written', 'put the file back from a backup'],
}

/** A record, or what lies beside one until it can join it. */
interface StoredRecord {
  readonly file: string
  readonly isAside: boolean
  readonly record: VaultRecord
}

const tokenSchema = z.looseObject({
  vaultVersion: z.int(),
  accessToken: z.string(),
  receivedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  scope: z.optional(z.string()),
})
type StoredTokenFile = z.infer<typeof tokenSchema>

interface Plain {
  readonly plaintext: Uint8Array
  readonly withFirst: boolean
  /** what the plaintext says, once it was checked or where it was written here */
  content?: VaultRecord | StoredIntent | undefined
}

export class VaultFiles {
  readonly folder: string
  readonly #ring: KeyRing
  readonly #environment: string
  readonly #lockWaitMs: number
  readonly #disk: Disk
  readonly #checkpoint: NonNullable<VaultOptions['checkpoint']>
  /** the last write; saves tasks of one process from waiting for each other's lock */
  #queue: Promise<unknown> = Promise.resolve()
  /** what the files held when they were last read or written: a step reads the same record several times */
  readonly #last = new Map<string, { readonly jwe: string; readonly plain: Plain }>()
  #room = Buffer.alloc(0)
  /** clients that a call of this vault is changing, by name of their record */
  readonly #changing = new Set<string>()

  constructor({ folder, key, environment, lockWaitMs = LOCK_WAIT_MS, files, checkpoint }: VaultOptions) {
    this.folder = resolve(folder)
    this.#ring = key instanceof Uint8Array ? ringOf(key) : key
    this.#environment = environment
    this.#lockWaitMs = lockWaitMs
    this.#disk = new Disk(files, checkpoint)
    this.#checkpoint = checkpoint ?? (() => {})
  }

  /** One writer at a time in this folder. Queued before the first await: what came later must end up as the newer. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    const path = this.#path(WRITE_LOCK)
    const turn = this.#queue.then(async () => {
      await this.#disk.makeFolder(this.folder)
      await this.#disk.makeLockFile(path)
      const lock = await waitForLock(path, this.#lockWaitMs)
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
    })
    const result = turn.catch((error: unknown) => {
      throw unwritable(this.folder, error)
    })
    this.#queue = result.catch(() => undefined)
    return result
  }

  /** One process at a time changes one client; another waits, then fails. */
  async lockClient(clientId: string): Promise<Lock> {
    const name = this.#name(clientId)
    const path = this.#path(`${name}.lock`)
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
    try {
      return await task()
    } catch (error) {
      throw unwritable(this.folder, error)
    }
  }

  /** Runs `task` unless another process is changing the client. */
  async whileFree(clientId: string, task: () => Promise<void>): Promise<void> {
    const name = this.#name(clientId)
    if (this.#changing.has(name)) return task()
    const path = this.#path(`${name}.lock`)
    await this.#disk.makeLockFile(path)
    const lock = tryLock(path)
    if (lock === undefined) return
    using _ = this.#changed(name, lock)
    await task()
  }

  isFree(clientId: string): Promise<boolean> {
    return this.#isFreeName(this.#name(clientId))
  }

  /** Held by a run for as long as it looks after the client; undefined where another one does. */
  async attend(clientId: string): Promise<Lock | undefined> {
    const path = this.#path(`${this.#name(clientId)}${RUN_LOCK}`)
    await this.#disk.makeFolder(this.folder)
    await this.#disk.makeLockFile(path)
    return tryLock(path)
  }

  async isAttended(clientId: string): Promise<boolean> {
    const path = this.#path(`${this.#name(clientId)}${RUN_LOCK}`)
    if (!(await this.#disk.exists(path))) return false
    const lock = tryLock(path)
    lock?.release()
    return lock === undefined
  }

  /** Writes as much as a large answer and takes it away again. */
  async probe(): Promise<void> {
    const probe = this.#path(`${PROBE}${randomUUID()}`)
    try {
      await this.#disk.writeNew(probe, Buffer.alloc(LARGE_ANSWER_BYTES), 'probe')
      await this.#disk.syncFolder(this.folder)
    } finally {
      await this.#disk.discard(probe)
    }
  }

  /** Puts what a killed process left in its place; nothing that may still hold an answer is removed. */
  async sweep(): Promise<void> {
    for (const file of await this.#names()) {
      if (file.startsWith(PROBE) || WORTHLESS.test(file)) await this.#disk.discard(this.#path(file))
      if (file.endsWith(ROOM) && (await this.#isFreeName(nameIn(file)))) await this.#disk.discard(this.#path(file))
      const leftover = LEFTOVER.exec(file)
      if (leftover === null) continue
      const [, name = '', rest = '', kind] = leftover
      // Records are written under the lock that is held here; journal files under the lock of their client.
      if (kind === 'intent' && !(await this.#isFreeName(name))) continue
      const jwe = await this.#disk.read(this.#path(file))
      const result = jwe ? await decrypted(jwe, this.#ring) : undefined
      if (result?.ok !== true) {
        const isCut = result === undefined || (!result.ok && result.because === 'cut')
        if (isCut && !(kind === 'jwe' && rest !== '')) await this.#disk.discard(this.#path(file))
      } else if (kind === 'jwe') {
        await this.#disk.rename(this.#path(file), this.#path(asideOf(name)))
      } else {
        const read = readIntent(result.plaintext)
        if (!read.ok || read.value.answer === undefined) await this.#disk.discard(this.#path(file))
        else await this.#disk.rename(this.#path(file), this.#path(this.#intentFile(read.value)))
      }
    }
  }

  /** Undefined where there is none. @throws VAULT_UNREADABLE */
  record(clientId: string): Promise<VaultRecord | undefined> {
    return this.#record(`${this.#name(clientId)}${RECORD}`)
  }

  /** What could not join the client's record yet. @throws VAULT_UNREADABLE */
  async asides(clientId: string): Promise<readonly StoredRecord[]> {
    const files = (await this.#files(RECORD)).filter((file) => isAside(file) && nameIn(file) === this.#name(clientId))
    const asides: StoredRecord[] = []
    for (const file of files) {
      const record = await this.#record(file)
      if (record !== undefined) asides.push({ file, isAside: true, record })
    }
    return asides
  }

  /** All of this environment; asides first, since what vanishes from beside a record has moved into it. */
  async records(): Promise<{
    readonly records: readonly StoredRecord[]
    readonly unreadable: readonly Problem[]
  }> {
    const records: StoredRecord[] = []
    const unreadable: Problem[] = []
    for (const file of (await this.#files(RECORD)).toSorted((a, b) => Number(isAside(b)) - Number(isAside(a)))) {
      try {
        const record = await this.#record(file)
        if (record?.environment === this.#environment) records.push({ file, isAside: isAside(file), record })
      } catch (error) {
        if (!(error instanceof ToolError)) throw error
        unreadable.push(...error.problems)
      }
    }
    return { records, unreadable }
  }

  async writeRecord(clientId: string, entries: readonly Entry[]): Promise<void> {
    await this.#write(`${this.#name(clientId)}${RECORD}`, this.#recordOf(clientId, entries), 'record')
  }

  /** For an answer that may exist nowhere else while the record cannot be extended. */
  async writeAside(clientId: string, entries: readonly Entry[]): Promise<void> {
    await this.#write(asideOf(this.#name(clientId)), this.#recordOf(clientId, entries), 'aside')
  }

  async discard(stored: readonly StoredRecord[]): Promise<void> {
    for (const { file } of stored) await this.#disk.discard(this.#path(file))
  }

  /** Destroys a client's record and all that lies beside it, durably. */
  async removeRecord(clientId: string): Promise<void> {
    const files = [...(await this.asides(clientId)).map(({ file }) => file), `${this.#name(clientId)}${RECORD}`]
    for (const file of files) await this.#disk.remove(this.#path(file), 'record')
  }

  /** Of this environment, oldest first; those of one client where one is given. */
  async intents(
    clientId?: string,
  ): Promise<{ readonly intents: readonly StoredIntent[]; readonly unreadable: readonly Problem[] }> {
    const intents: StoredIntent[] = []
    const unreadable: Problem[] = []
    for (const file of await this.#files(INTENT)) {
      if (clientId !== undefined && nameIn(file) !== this.#name(clientId)) continue
      try {
        const intent = await this.#intent(file)
        if (intent?.environment === this.#environment) intents.push(intent)
      } catch (error) {
        if (!(error instanceof ToolError)) throw error
        unreadable.push(...error.problems)
      }
    }
    return { intents: intents.toSorted((a, b) => (a.begunAt < b.begunAt ? -1 : 1)), unreadable }
  }

  async writeIntent(intent: StoredIntent, what: 'intent' | 'answer' = 'intent'): Promise<void> {
    await this.#write(this.#intentFile(intent), intent, what)
  }

  async removeIntent(intent: StoredIntent): Promise<void> {
    const file = this.#intentFile(intent)
    this.#last.delete(file)
    await this.#disk.remove(this.#path(file), 'intent')
  }

  /** One of which everything stands in the record: should a crash bring it back, it is concluded once more. */
  async dropIntent(intent: StoredIntent): Promise<void> {
    const file = this.#intentFile(intent)
    this.#last.delete(file)
    await this.#disk.drop(this.#path(file), 'intent')
  }

  /** Sets disk space aside for the answer of a call and what will be written because of it. */
  async makeRoom(intent: StoredIntent): Promise<void> {
    const recordBytes = await this.#disk.size(this.#path(`${this.#name(intent.clientId)}${RECORD}`))
    const size = recordBytes + 4 * LARGE_ANSWER_BYTES
    // Random, so that no file system can store it in less; the same each time, since making it takes longer than writing it.
    if (this.#room.length < size) this.#room = randomBytes(size)
    await this.#disk.reserve(this.#path(this.#roomFile(intent)), this.#room.subarray(0, size), 'room')
  }

  async giveRoomBack(intent: StoredIntent): Promise<void> {
    await this.#disk.discard(this.#path(this.#roomFile(intent)))
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
    const content = { vaultVersion: VAULT_VERSION, ...token }
    await this.#encrypt(name + TOKEN, Buffer.from(JSON.stringify(content)), 'token')
  }

  /** Everything with a new key; see Vault.rotateKey. */
  async rotateKey(dropEarlier: boolean): ReturnType<Vault['rotateKey']> {
    const files: { readonly file: string; readonly withFirst: boolean }[] = []
    await this.#ring.reload()
    this.#last.clear()
    for (const file of await this.#files(RECORD, INTENT)) {
      if (!(await this.#isFreeName(nameIn(file)))) {
        fail({
          code: 'VAULT_UNWRITABLE',
          message: 'the vault key cannot be changed while a call that changes a client is in flight',
          hint: 'let the other run end, or stop it',
        })
      }
      const plain = await this.#plaintext(file)
      if (plain !== undefined) files.push({ file, withFirst: plain.withFirst })
    }
    // Only to drop the earlier keys, or to finish what was cut short, no new one is needed.
    const made = !(dropEarlier && this.#ring.keys.length > 1) && files.every(({ withFirst }) => withFirst)
    if (made) await this.#ring.add()
    this.#last.clear()
    await this.#checkpoint('key: added')
    for (const { file } of files) {
      const plain = await this.#plaintext(file)
      if (plain === undefined || plain.withFirst) continue
      await this.#encrypt(file, plain.plaintext, 'record')
    }
    if (dropEarlier) await this.#ring.dropEarlier()
    return { files: files.length, made }
  }

  async count(): Promise<number> {
    return (await this.#files(RECORD, INTENT)).length
  }

  async leftovers(): Promise<readonly string[]> {
    const isLeftover = (name: string) => name.endsWith(TEMPORARY) || name.endsWith(ROOM) || name.startsWith(PROBE)
    return (await this.#names()).filter(isLeftover).map((name) => this.#path(name))
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
    for (const file of await this.#files(RECORD, INTENT)) await warn('vault record', this.#path(file), '600')
    return warnings
  }

  async #record(file: string): Promise<VaultRecord | undefined> {
    const plain = await this.#plaintext(file)
    if (plain === undefined) return undefined
    if (plain.content !== undefined) return plain.content as VaultRecord
    const read = readRecord(plain.plaintext)
    if (!read.ok) return this.#refuse(file, read.is, read.rest)
    const { environment, clientId } = read.value
    if (nameIn(file) !== recordName(environment, clientId)) {
      return this.#refuse(file, 'has the name of another record', {
        found: `the record of client "${clientId}" in environment "${environment}"`,
        hint: 'it was renamed or copied; put it back where it came from',
      })
    }
    plain.content = read.value
    return read.value
  }

  /** Undefined where there is no such file. */
  async #intent(file: string): Promise<StoredIntent | undefined> {
    const plain = await this.#plaintext(file)
    if (plain === undefined) return undefined
    if (plain.content !== undefined) return plain.content as StoredIntent
    const read = readIntent(plain.plaintext)
    if (!read.ok) return this.#refuse(file, read.is, read.rest)
    plain.content = read.value
    return read.value
  }

  /** Undefined where there is no such file. */
  async #plaintext(file: string): Promise<Plain | undefined> {
    let jwe: string | undefined
    try {
      jwe = await this.#disk.read(this.#path(file))
    } catch (error) {
      return this.#refuse(file, 'cannot be read', found(error), error)
    }
    if (jwe === undefined) return undefined
    if (jwe === '') return this.#refuse(file, 'is empty', { hint: UNDECRYPTABLE.cut[1] })
    const last = this.#last.get(file)
    if (last?.jwe === jwe) return last.plain
    const result = await decrypted(jwe, this.#ring)
    if (result.ok) {
      this.#last.set(file, { jwe, plain: result })
      return result
    }
    const [is, hint] = UNDECRYPTABLE[result.because]
    return this.#refuse(file, is, { hint })
  }

  #refuse(file: string, is: string, rest: Partial<Problem>, cause?: unknown): never {
    return fail({ code: 'VAULT_UNREADABLE', message: `vault record "${this.#path(file)}" ${is}`, ...rest }, cause)
  }

  async #write(file: string, content: VaultRecord | StoredIntent, what: string): Promise<void> {
    const plain = await this.#encrypt(file, Buffer.from(JSON.stringify(content)), what)
    plain.content = content
  }

  async #encrypt(file: string, plaintext: Uint8Array, what: string): Promise<Plain> {
    // Another process may have changed the key since this one read it; where it cannot be read now, the one at hand does.
    await this.#ring.reload().catch(() => undefined)
    const jwe = await encrypted(plaintext, this.#ring)
    await this.#disk.write(this.#path(file), jwe, what)
    const plain = { plaintext, withFirst: true }
    this.#last.set(file, { jwe, plain })
    return plain
  }

  #recordOf(clientId: string, entries: readonly Entry[]): VaultRecord {
    return { vaultVersion: VAULT_VERSION, environment: this.#environment, clientId, entries: [...entries] }
  }

  #changed(name: string, lock: Lock): Lock {
    this.#changing.add(name)
    const release = () => {
      this.#changing.delete(name)
      lock.release()
    }
    return { release, [Symbol.dispose]: release }
  }

  async #isFreeName(name: string): Promise<boolean> {
    if (this.#changing.has(name)) return false
    const path = this.#path(`${name}.lock`)
    if (!(await this.#disk.exists(path))) return true
    const lock = tryLock(path)
    lock?.release()
    return lock !== undefined
  }

  async #files(...extensions: readonly string[]): Promise<readonly string[]> {
    return (await this.#names()).filter((name) => extensions.some((extension) => name.endsWith(extension)))
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await this.#disk.names(this.folder)
    } catch (error) {
      return fail(
        { code: 'VAULT_UNREADABLE', message: `vault folder "${this.folder}" cannot be read`, ...found(error) },
        error,
      )
    }
  }

  #intentFile({ environment, clientId, id }: StoredIntent): string {
    return `${recordName(environment, clientId)}.${id}${INTENT}`
  }

  #roomFile({ environment, clientId, id }: StoredIntent): string {
    return `${recordName(environment, clientId)}.${id}${ROOM}`
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

/** The name of the record that a file belongs to. */
function nameIn(file: string): string {
  return file.split('.', 1)[0] ?? ''
}

function asideOf(name: string): string {
  return `${name}.${randomBytes(8).toString('hex')}${RECORD}`
}

function isAside(file: string): boolean {
  return file.slice(0, -RECORD.length).includes('.')
}
