/**
 * The vault: every client information response, encrypted and on disk before anything else looks at it, and a journal of
 * the calls whose answer may still come. Owns the files and their locks. Knows nothing of flows or of the network.
 *
 * Nothing that cannot be read is ever overwritten. Readers need no lock: they see a file before or after, never half.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fail, isNonEmpty, type Problem, ToolError } from '../errors.ts'
import type { Undecryptable } from '../jwt.ts'
import type { Secret } from '../secret.ts'
import { type Checkpoint, Disk, type FilePort, found, TEMPORARY, unwritable } from './disk.ts'
import {
  clientOf,
  type Effect,
  entryOf,
  newIntent,
  type OpenIntent,
  openIntent,
  outcomeOf,
  readIntent,
  type StoredIntent,
  withAnswer,
} from './journal.ts'
import { decrypted, encrypted, type KeyRing, resolveVaultKey, ringOf } from './key.ts'
import { type Lock, tryLock, waitForLock } from './lock.ts'
import {
  type AnswerEntry,
  compacted,
  credentialsIn,
  type Entry,
  fingerprint,
  type HistoryEvent,
  historyOf,
  identityOf,
  isRegistrationAnswer,
  isRepeated,
  joined,
  type Registration,
  rawBody,
  readableBody,
  readRecord,
  registrationOf,
  VAULT_VERSION,
  type VaultRecord,
} from './record.ts'

export type { FilePort } from './disk.ts'
export { type OpenIntent, registrationEffect } from './journal.ts'
export { type KeyRing, resolveVaultKey } from './key.ts'
export { openBundle, sealBundle, toVariables } from './portable.ts'
export type { HistoryEvent, Registration } from './record.ts'
export { fingerprint } from './record.ts'
export { type Probe, proveToken, recover } from './recover.ts'

/** A response as it came, before it is parsed or judged. */
interface ReceivedAnswer {
  /** the raw text, or the raw bytes */
  readonly body: string | Uint8Array
  readonly status: number
  readonly step: string
  readonly runId: string
  /** the client the request was about; used where the body names none */
  readonly clientId?: string | undefined
}

interface Kept {
  readonly registration: Registration
  /** an earlier token was replaced by a different one */
  readonly rotated: boolean
  /** why the answer had to go to a file of its own beside the record; it is safe all the same */
  readonly problem: Problem | undefined
}

/** A call that changes a registration, written down before it leaves. Disposing it unclosed leaves it open. */
export interface Intent extends AsyncDisposable {
  readonly id: string
  /**
   * Makes the answer durable before anything parses it, then adds it to the client's record. Undefined where it registers
   * nothing.
   *
   * @throws VAULT_UNWRITABLE where it could be put nowhere; the intent then stays open
   */
  keep(answer: { readonly status: number; readonly body: string | Uint8Array }): Promise<Kept | undefined>
  /**
   * `answered`: settled by the answer that was kept, unless that does not say how the call ended (a 5xx, a registration
   * without its token). A success of DELETE marks the client deleted. `not-sent`: only where the transport says that
   * nothing left. `unknown`: stays open. The first call counts.
   */
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/** Who did it, for the history. */
interface By {
  readonly runId: string
  readonly step: string
}

export interface Vault {
  /**
   * Proves, before anything is sent, that an answer can be kept: what a killed process left is put in its place, the
   * folder is written to, and the record of `clientId`, if there is one, can be read. Returns warnings in words: open
   * permissions, what cannot be read, each open intent with its next step.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE
   */
  prepare(clientId?: string): Promise<readonly string[]>
  /**
   * Writes down, durably, that a call is about to leave, and sets disk space for its answer aside. One process at a time
   * changes one client: another waits.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE; then nothing may be sent
   */
  begin(call: {
    readonly effect: Effect
    readonly method: string
    readonly url: string
    readonly step: string
    readonly runId: string
    readonly clientId?: string | undefined
  }): Promise<Intent>
  /**
   * Keeps any 2xx answer that carries registration_access_token or registration_client_uri, whatever else is odd about
   * it. The answer is durable (file and folder synchronised) when this resolves. Undefined: it carries neither.
   *
   * @throws VAULT_UNWRITABLE
   */
  keep(answer: ReceivedAnswer): Promise<Kept | undefined>
  /**
   * A management call with this token (default: the current one) succeeded, and its answer brought no other: the tokens
   * before it are superseded, and open intents of the client are settled. A fallback that works becomes current again.
   *
   * @throws VAULT_UNREADABLE, VAULT_UNWRITABLE
   */
  worked(clientId: string, by?: By & { readonly token?: Secret | undefined }): Promise<void>
  /** Undefined for a client that is unknown or marked deleted. @throws VAULT_UNREADABLE */
  current(clientId: string): Promise<Registration | undefined>
  /** All clients of this environment, deleted ones too, and each file that cannot be read. */
  list(): Promise<{ readonly registrations: readonly Registration[]; readonly unreadable: readonly Problem[] }>
  /** Oldest first; empty for an unknown client. @throws VAULT_UNREADABLE */
  history(clientId: string): Promise<readonly HistoryEvent[]>
  /** Calls that may have changed a registration, oldest first, with what is known and what to do. */
  unsettled(): Promise<readonly OpenIntent[]>
  /** Closes an open intent for a reason found outside; it stays in the client's history. @throws VAULT_UNWRITABLE */
  settle(id: string, how: string): Promise<void>
  /** Marks the client deleted after a proven DELETE; its history stays. @throws VAULT_UNREADABLE, VAULT_UNWRITABLE */
  remove(clientId: string, by?: By): Promise<void>
  /** Destroys the record of a client. @throws VAULT_UNREADABLE, VAULT_UNWRITABLE, USAGE where an intent is open */
  forget(clientId: string): Promise<void>
  /** Everything there is of these clients (default: all); nothing unreadable is passed over. @throws VAULT_UNREADABLE */
  export(clientIds?: readonly string[]): Promise<readonly { clientId: string; entries: readonly unknown[] }[]>
  /** Adds what is not there yet, in order of time; returns how many entries that were. @throws VAULT_UNREADABLE */
  import(clientId: string, entries: readonly unknown[]): Promise<number>
  /**
   * Encrypts everything with a new key; at each moment both are in the key file. One that was cut short is finished with
   * the key it had made. Refused while a call is in flight.
   */
  rotateKey(options?: {
    /** then forgets the earlier keys; other vaults that share the key file must have been changed before */
    readonly dropEarlier?: boolean
  }): Promise<{ readonly files: number; readonly made: boolean }>
  /** Proves that every file decrypts; lists what cannot be read, open permissions and leftovers. */
  check(): Promise<{
    readonly files: number
    readonly problems: readonly Problem[]
    readonly warnings: readonly string[]
  }>
}

interface VaultOptions {
  readonly folder: string
  /** 32 bytes, or a ring of them */
  readonly key: Uint8Array | KeyRing
  readonly environment: string
  now(): Date
  /** how long to wait for another process; default 30000 */
  readonly lockWaitMs?: number
  readonly files?: FilePort
  readonly checkpoint?: Checkpoint
}

export async function openVault(options: VaultOptions): Promise<Vault> {
  return new VaultFolder(options)
}

/**
 * The vault of an environment and its key, made at first use.
 *
 * @throws VAULT_KEY
 */
export async function openVaultOf(
  environment: {
    readonly name: string
    readonly class: 'mock' | 'uat' | 'prod'
    readonly vault: {
      readonly folder: string
      readonly key?: Secret | undefined
      readonly keyFile?: string | undefined
    }
  },
  now: () => Date,
): Promise<{ readonly vault: Vault; readonly ring: KeyRing; readonly warnings: readonly string[] }> {
  const { folder, key, keyFile } = environment.vault
  // Registrations on the twin are worth nothing, so its key may lie beside its vault; real ones have theirs in the home folder.
  const defaultKeyFile =
    environment.class === 'mock'
      ? `${folder}.key`
      : join(homedir(), '.config', 'thredd-dcr', `vault-${environment.name}.key`)
  const { ring, made } = await resolveVaultKey({ key, keyFile, defaultKeyFile, vaultDir: folder })
  return {
    vault: await openVault({ folder, key: ring, environment: environment.name, now }),
    ring,
    warnings: made === undefined ? [] : [`a vault key was made: ${made}; without this file the vault cannot be read`],
  }
}

const RECORD = '.jwe'
const INTENT = '.intent'
const ROOM = '.room'
const WRITE_LOCK = 'vault.lock'
const LOCK_WAIT_MS = 30_000
/** A registration answer with its software statement is about 8 KiB. */
const LARGE_ANSWER_BYTES = 64 * 1024
/** `<record>.jwe.<uuid>.tmp`, `<record>.<16 hex>.jwe.<uuid>.tmp`, `<record>.<id>.intent.<uuid>.tmp` */
const LEFTOVER = /^([0-9a-f]{32})((?:\.[\w-]+)?)\.(jwe|intent)\.[0-9a-f-]{36}\.tmp$/

const LOCK_LEFTOVER = /\.lock\.[0-9a-f-]{36}\.tmp$/

const UNDECRYPTABLE: Record<Undecryptable, readonly [is: string, hint: string]> = {
  foreign: ['is not a vault record', 'move it out of the vault folder'],
  cut: ['is cut short', 'put the file back from a backup'],
  'other-key': ['was made with another key', 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with'],
  damaged: ['was changed after it was written', 'put the file back from a backup'],
}

interface Loaded {
  readonly entries: readonly Entry[]
  /** how many of them stand in the record itself; the others were found beside it */
  readonly stored: number
  readonly asides: readonly string[]
}

class VaultFolder implements Vault {
  readonly #folder: string
  readonly #ring: KeyRing
  readonly #environment: string
  readonly #now: () => Date
  readonly #lockWaitMs: number
  readonly #disk: Disk
  readonly #checkpoint: Checkpoint
  /** the last write; saves tasks of one process from waiting for each other's lock */
  #queue: Promise<unknown> = Promise.resolve()
  /** clients that a call of this vault is changing, by name of their record */
  readonly #changing = new Set<string>()

  constructor({ folder, key, environment, now, lockWaitMs = LOCK_WAIT_MS, files, checkpoint }: VaultOptions) {
    this.#folder = resolve(folder)
    this.#ring = key instanceof Uint8Array ? ringOf(key) : key
    this.#environment = environment
    this.#now = now
    this.#lockWaitMs = lockWaitMs
    this.#disk = new Disk(files, checkpoint)
    this.#checkpoint = checkpoint ?? (() => {})
  }

  async prepare(clientId?: string): Promise<readonly string[]> {
    try {
      await this.#exclusively(async () => {
        await this.#sweep()
        const probe = this.#path(`probe-${randomUUID()}`)
        try {
          await this.#disk.writeNew(probe, Buffer.alloc(LARGE_ANSWER_BYTES), 'probe')
          await this.#disk.syncFolder(this.#folder)
        } finally {
          await this.#disk.discard(probe)
        }
      })
      if (clientId !== undefined) await this.#load(clientId)
      const { intents, unreadable } = await this.#intents()
      for (const intent of intents) {
        if (intent.answer !== undefined) await this.#whileFree(intent.clientId, () => this.#conclude(intent))
      }
      const open = await this.unsettled()
      return [
        ...(await this.#openPermissions()),
        ...unreadable.map(({ message, hint }) => `${message}${hint === undefined ? '' : `; ${hint}`}`),
        ...open.map(({ effect, clientId: of, known, next }) => `open ${effect} of client "${of}": ${known}; ${next}`),
      ]
    } catch (error) {
      throw unwritable(this.#folder, error)
    }
  }

  async begin(call: Parameters<Vault['begin']>[0]): Promise<Intent> {
    const { effect, method, url, step, runId } = call
    const clientId = call.clientId ?? unknownClient(call)
    const name = recordName(this.#environment, clientId)
    const lock = await this.#lockClient(clientId)
    const id = randomUUID()
    const file = this.#path(`${name}.${id}${INTENT}`)
    const room = this.#path(`${name}.${id}${ROOM}`)
    let intent = newIntent({
      environment: this.#environment,
      clientId,
      id,
      effect,
      method,
      url,
      step,
      runId,
      begunAt: this.#time(),
    })
    try {
      // A record that cannot be read could not take the answer.
      await this.#load(clientId)
      const recordBytes = await this.#disk.size(this.#path(`${name}${RECORD}`))
      await this.#disk.writeNew(room, randomBytes(recordBytes + 4 * LARGE_ANSWER_BYTES), 'room')
      await this.#disk.write(file, await this.#encrypted(intent), 'intent')
    } catch (error) {
      await this.#disk.discard(room)
      await this.#disk.discard(file)
      this.#unlockClient(name, lock)
      throw unwritable(this.#folder, error)
    }

    let kept = false
    let closed = false
    const close = async (outcome: 'answered' | 'not-sent' | 'unknown') => {
      if (closed) return
      closed = true
      try {
        await this.#disk.discard(room)
        if (outcome === 'not-sent') await this.#disk.remove(file, 'intent')
        else if (outcome === 'answered' && kept) await this.#conclude(intent)
      } catch (error) {
        throw unwritable(this.#folder, error)
      } finally {
        this.#unlockClient(name, lock)
      }
    }
    return {
      id,
      close,
      [Symbol.asyncDispose]: () => close('unknown'),
      keep: async (answer) => {
        const answered = withAnswer(intent, answer, this.#time())
        await this.#disk.discard(room)
        let failure: unknown
        try {
          await this.#disk.write(file, await this.#encrypted(answered), 'answer')
          intent = answered
          kept = true
        } catch (error) {
          failure = error
        }
        const entry = entryOf(answered)
        if (entry === undefined) {
          if (failure !== undefined) throw unwritable(this.#folder, failure)
          return undefined
        }
        try {
          const result = await this.#addOf(clientOf(answered), entry)
          intent = answered
          kept = true
          return result
        } catch (error) {
          // The answer is safe in the journal even if nothing else could be written.
          if (failure !== undefined || !(error instanceof ToolError)) throw error
          const { entries } = await this.#load(clientOf(answered)).catch(() => ({ entries: [] }))
          const earlier = without(entries, entry)
          if (entry.kind !== 'answer') return undefined
          return keptOf(clientOf(answered), [...earlier, entry], earlier, error.problems[0])
        }
      },
    }
  }

  async keep(answer: ReceivedAnswer): Promise<Kept | undefined> {
    const { status, runId, step } = answer
    const raw = rawBody(answer.body)
    const body = readableBody(raw)
    if (!isRegistrationAnswer({ status, body })) return undefined
    const clientId = credentialsIn(body).clientId ?? answer.clientId ?? unknownClient(answer)
    const kept = await this.#keepEntry(clientId, { kind: 'answer', keptAt: this.#time(), runId, step, status, ...raw })
    if (kept.problem === undefined) await this.#settleAll(clientId, `a later call was answered with status ${status}`)
    return kept
  }

  async worked(clientId: string, by: Partial<Parameters<Vault['worked']>[1]> = {}): Promise<void> {
    const { token, ...who } = by
    await this.#append(clientId, (entries) => {
      const registration = registrationOf(clientId, entries)
      const current = registration?.registrationAccessToken
      const proven = token ?? current
      if (registration === undefined || registration.deletedAt !== undefined || proven === undefined) return []
      const known = [current, registration.fallback].some((one) => one?.reveal() === proven.reveal())
      const isNews = proven.reveal() !== current?.reveal() || registration.workedAt === undefined
      if (!known || !isNews) return []
      return [{ kind: 'worked', keptAt: this.#time(), ...who, token: fingerprint(proven.reveal()) }]
    })
    await this.#settleAll(clientId, 'the stored token works')
  }

  async current(clientId: string): Promise<Registration | undefined> {
    const registration = registrationOf(clientId, (await this.#load(clientId)).entries)
    return registration?.deletedAt === undefined ? registration : undefined
  }

  async list(): Promise<{ readonly registrations: readonly Registration[]; readonly unreadable: readonly Problem[] }> {
    const { clients, unreadable } = await this.#scan()
    const registrations = [...clients]
      .map(([clientId, entries]) => registrationOf(clientId, entries))
      .filter((registration) => registration !== undefined)
      .sort((a, b) => (a.clientId < b.clientId ? -1 : 1))
    return { registrations, unreadable }
  }

  async history(clientId: string): Promise<readonly HistoryEvent[]> {
    return historyOf((await this.#load(clientId)).entries)
  }

  async unsettled(): Promise<readonly OpenIntent[]> {
    const { intents } = await this.#intents()
    const open: OpenIntent[] = []
    for (const intent of intents) {
      const inFlight = !(await this.#isFree(intent.clientId))
      if (outcomeOf(intent) !== 'open' && !inFlight) continue
      const registration = await this.#load(clientOf(intent)).then(
        ({ entries }) => registrationOf(intent.clientId, entries),
        () => undefined,
      )
      open.push(openIntent(intent, registration, inFlight))
    }
    return open.sort((a, b) => (a.begunAt < b.begunAt ? -1 : 1))
  }

  async settle(id: string, how: string): Promise<void> {
    const { intents } = await this.#intents()
    const intent = intents.find((one) => one.id === id)
    if (intent === undefined) fail({ code: 'USAGE', message: `there is no open intent "${id}"` })
    await this.#withClient(intent.clientId, () => this.#settle([intent], how))
  }

  async remove(clientId: string, by?: By): Promise<void> {
    try {
      await this.#append(clientId, (entries) => {
        const registration = registrationOf(clientId, entries)
        if (registration === undefined || registration.deletedAt !== undefined) return []
        return [{ kind: 'deleted', keptAt: this.#time(), ...by }]
      })
      await this.#settleAll(clientId, 'the client is deleted')
    } catch (error) {
      throw unwritable(this.#folder, error)
    }
  }

  async forget(clientId: string): Promise<void> {
    const name = recordName(this.#environment, clientId)
    await this.#withClient(clientId, () =>
      this.#exclusively(async () => {
        const { intents } = await this.#intents(name)
        if (intents.length > 0) {
          fail({
            code: 'USAGE',
            message: `a call of client "${clientId}" is open; its record is not destroyed`,
            hint: `settle it first: thredd vault recover "${clientId}"`,
          })
        }
        const { asides } = await this.#load(clientId)
        for (const file of [...asides, `${name}${RECORD}`]) await this.#disk.remove(this.#path(file), 'record')
      }),
    )
  }

  async export(clientIds?: readonly string[]): Promise<readonly { clientId: string; entries: readonly Entry[] }[]> {
    const { clients, unreadable } = await this.#scan()
    if (isNonEmpty(unreadable)) throw new ToolError(unreadable)
    return [...clients]
      .filter(([clientId]) => clientIds === undefined || clientIds.includes(clientId))
      .map(([clientId, entries]) => ({ clientId, entries }))
  }

  async import(clientId: string, imported: readonly unknown[]): Promise<number> {
    const content = { vaultVersion: VAULT_VERSION, environment: this.#environment, clientId, entries: imported }
    const read = readRecord(Buffer.from(JSON.stringify(content)))
    if (!read.ok)
      fail({ code: 'VAULT_UNREADABLE', message: `the import of client "${clientId}" ${read.is}`, ...read.rest })
    let added = 0
    await this.#append(clientId, (entries) => {
      const all = joined(entries, read.value.entries)
      added = all.length - entries.length
      return added === 0 ? [] : { replaceWith: all }
    })
    return added
  }

  async rotateKey({ dropEarlier = false }: { readonly dropEarlier?: boolean } = {}): Promise<{
    readonly files: number
    readonly made: boolean
  }> {
    try {
      return await this.#exclusively(async () => {
        const files: { readonly file: string; readonly withFirst: boolean }[] = []
        const busy = new Set<string>()
        await this.#ring.reload()
        for (const file of await this.#files(RECORD, INTENT)) {
          if (!(await this.#isFreeName(file.slice(0, 32)))) busy.add(file)
          const plain = await this.#plaintext(file)
          if (plain !== undefined) files.push({ file, withFirst: plain.withFirst })
        }
        if (busy.size > 0) {
          fail({
            code: 'VAULT_UNWRITABLE',
            message: 'the vault key cannot be changed while a call that changes a client is in flight',
            hint: 'let the other run end, or stop it',
          })
        }
        // Only to drop the earlier keys, or to finish what was cut short, no new one is needed.
        const made = !(dropEarlier && this.#ring.keys.length > 1) && files.every(({ withFirst }) => withFirst)
        if (made) await this.#ring.add()
        await this.#checkpoint('key: added')
        for (const { file } of files) {
          const plain = await this.#plaintext(file)
          if (plain === undefined || plain.withFirst) continue
          await this.#disk.write(this.#path(file), await encrypted(jsonOf(plain.plaintext), this.#ring), 'record')
        }
        if (dropEarlier) await this.#ring.dropEarlier()
        return { files: files.length, made }
      })
    } catch (error) {
      throw unwritable(this.#folder, error)
    }
  }

  async check(): Promise<Awaited<ReturnType<Vault['check']>>> {
    const { unreadable } = await this.#scan()
    const names = await this.#names()
    const leftovers = names.filter(
      (name) => name.endsWith(TEMPORARY) || name.endsWith(ROOM) || name.startsWith('probe-'),
    )
    return {
      files: (await this.#files(RECORD, INTENT)).length,
      problems: unreadable,
      warnings: [
        ...(await this.#openPermissions()),
        ...leftovers.map((name) => `"${this.#path(name)}" was left by a process that died, or is being written`),
      ],
    }
  }

  async #keepEntry(clientId: string, entry: AnswerEntry): Promise<Kept> {
    let earlier: readonly Entry[] = []
    try {
      const entries = await this.#append(clientId, (present) => {
        // The journal may have it already; here it is the newest, whatever the clock says.
        earlier = without(present, entry)
        // A server that is only read says the same each time; the record need not grow by it.
        return { replaceWith: isRepeated(earlier, entry) ? earlier : [...earlier, entry] }
      })
      return keptOf(clientId, entries, earlier)
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      // The record cannot be extended now, and the answer may exist nowhere else: it gets a file of its own.
      const aside = `${recordName(this.#environment, clientId)}.${randomBytes(8).toString('hex')}${RECORD}`
      try {
        await this.#disk.write(this.#path(aside), await this.#sealed(clientId, [entry]), 'aside')
      } catch (cause) {
        throw unwritable(this.#folder, cause)
      }
      return keptOf(clientId, [...earlier, entry], earlier, error.problems[0])
    }
  }

  async #addOf(clientId: string, entry: Entry): Promise<Kept | undefined> {
    if (entry.kind === 'answer') return this.#keepEntry(clientId, entry)
    await this.#append(clientId, (present) => ({ replaceWith: [...without(present, entry), entry] }))
    return undefined
  }

  /** Draws the consequences of an answered intent and removes it, or leaves it open. Can be repeated after a crash. */
  async #conclude(intent: StoredIntent): Promise<void> {
    const outcome = outcomeOf(intent)
    const entry = entryOf(intent)
    const { answer, effect } = intent
    if (answer === undefined) return
    const clientId = clientOf(intent)
    // What is present includes what the journal holds: this writes it into the record, at its time.
    if (entry !== undefined) await this.#append(clientId, () => [])
    if (outcome === 'open') return
    if (outcome === 'done') {
      await this.#settleOthers(intent, `a later ${effect} was answered with status ${answer.status}`)
    } else if (effect === 'register') {
      await this.#noteRefusal(intent, { at: answer.keptAt, status: answer.status })
    }
    await this.#disk.remove(this.#intentPath(intent), 'intent')
  }

  async #settleOthers(intent: StoredIntent, how: string): Promise<void> {
    const { intents } = await this.#intents(recordName(this.#environment, intent.clientId))
    const others = intents.filter(({ id, begunAt }) => id !== intent.id && begunAt <= intent.begunAt)
    await this.#settle(others, how)
  }

  async #noteRefusal(intent: StoredIntent, retried: { readonly at: string; readonly status: number }): Promise<void> {
    const { intents } = await this.#intents(recordName(this.#environment, intent.clientId))
    for (const other of intents) {
      if (other.id === intent.id || other.effect !== 'register' || other.begunAt > intent.begunAt) continue
      await this.#disk.write(this.#intentPath(other), await this.#encrypted({ ...other, retried }), 'intent')
    }
  }

  /** What other processes are at is left to them. */
  async #settleAll(clientId: string, how: string): Promise<void> {
    const name = recordName(this.#environment, clientId)
    const { intents } = await this.#intents(name)
    if (intents.length > 0) await this.#whileFree(clientId, () => this.#settle(intents, how))
  }

  async #settle(intents: readonly StoredIntent[], how: string): Promise<void> {
    for (const intent of intents) {
      const { id, effect, begunAt, runId, step, clientId } = intent
      await this.#append(clientId, (entries) =>
        entries.some((entry) => entry.kind === 'settled' && entry.intent === id)
          ? []
          : [{ kind: 'settled', keptAt: this.#time(), intent: id, effect, begunAt, runId, step, how }],
      )
      await this.#disk.remove(this.#intentPath(intent), 'intent')
    }
  }

  async #load(clientId: string): Promise<Loaded> {
    const name = recordName(this.#environment, clientId)
    const asides = (await this.#files(RECORD)).filter((file) => file.startsWith(`${name}.`) && isAside(file))
    const late: Entry[] = []
    for (const file of asides) late.push(...((await this.#record(file))?.entries ?? []))
    const { intents } = await this.#intents(name)
    for (const intent of intents) late.push(...(clientOf(intent) === clientId ? [entryOf(intent) ?? []].flat() : []))
    // The record last: what vanishes from beside it in the meantime has moved into it.
    const record = await this.#record(`${name}${RECORD}`)
    const stored = record?.entries ?? []
    return { entries: joined(stored, inOrder(late)), stored: stored.length, asides }
  }

  async #scan(): Promise<{
    readonly clients: ReadonlyMap<string, readonly Entry[]>
    readonly unreadable: readonly Problem[]
  }> {
    const whole = new Map<string, readonly Entry[]>()
    const late = new Map<string, Entry[]>()
    const { intents, unreadable } = await this.#intents()
    const problems: Problem[] = [...unreadable]
    const add = (clientId: string, entries: readonly Entry[]) =>
      late.set(clientId, [...(late.get(clientId) ?? []), ...entries])
    for (const intent of intents) add(clientOf(intent), [entryOf(intent) ?? []].flat())
    for (const file of (await this.#files(RECORD)).toSorted((a, b) => Number(isAside(b)) - Number(isAside(a)))) {
      try {
        const record = await this.#record(file)
        if (record?.environment !== this.#environment) continue
        if (isAside(file)) add(record.clientId, record.entries)
        else whole.set(record.clientId, record.entries)
      } catch (error) {
        if (!(error instanceof ToolError)) throw error
        problems.push(...error.problems)
      }
    }
    const clients = new Map(
      [...new Set([...whole.keys(), ...late.keys()])].map((clientId) => [
        clientId,
        joined(whole.get(clientId) ?? [], inOrder(late.get(clientId) ?? [])),
      ]),
    )
    return { clients, unreadable: problems }
  }

  /** Of this environment, oldest first; those with one record name where one is given. */
  async #intents(
    name?: string,
  ): Promise<{ readonly intents: readonly StoredIntent[]; readonly unreadable: readonly Problem[] }> {
    const intents: StoredIntent[] = []
    const unreadable: Problem[] = []
    for (const file of await this.#files(INTENT)) {
      if (name !== undefined && !file.startsWith(`${name}.`)) continue
      try {
        const plain = await this.#plaintext(file)
        if (plain === undefined) continue
        const read = readIntent(plain.plaintext)
        if (!read.ok) this.#refuse(file, read.is, read.rest)
        else if (read.value.environment === this.#environment) intents.push(read.value)
      } catch (error) {
        if (!(error instanceof ToolError)) throw error
        unreadable.push(...error.problems)
      }
    }
    return { intents: intents.toSorted((a, b) => (a.begunAt < b.begunAt ? -1 : 1)), unreadable }
  }

  /** Undefined where there is no such file. */
  async #record(file: string): Promise<VaultRecord | undefined> {
    const plain = await this.#plaintext(file)
    if (plain === undefined) return undefined
    const read = readRecord(plain.plaintext)
    if (!read.ok) return this.#refuse(file, read.is, read.rest)
    const { environment, clientId } = read.value
    if (!file.startsWith(`${recordName(environment, clientId)}.`)) {
      return this.#refuse(file, 'has the name of another record', {
        found: `the record of client "${clientId}" in environment "${environment}"`,
        hint: 'it was renamed or copied; put it back where it came from',
      })
    }
    return read.value
  }

  async #plaintext(file: string): Promise<{ readonly plaintext: Uint8Array; readonly withFirst: boolean } | undefined> {
    let jwe: string | undefined
    try {
      jwe = await this.#disk.read(this.#path(file))
    } catch (error) {
      return this.#refuse(file, 'cannot be read', found(error), error)
    }
    if (jwe === undefined) return undefined
    if (jwe === '') return this.#refuse(file, 'is empty', { hint: UNDECRYPTABLE.cut[1] })
    const result = await decrypted(jwe, this.#ring)
    if (result.ok) return result
    const [is, hint] = UNDECRYPTABLE[result.because]
    return this.#refuse(file, is, { hint })
  }

  #refuse(file: string, is: string, rest: Partial<Problem>, cause?: unknown): never {
    return fail({ code: 'VAULT_UNREADABLE', message: `vault record "${this.#path(file)}" ${is}`, ...rest }, cause)
  }

  /** Adds what `next` makes of the present entries; returns the entries as they are then on disk. */
  async #append(
    clientId: string,
    next: (entries: readonly Entry[]) => readonly Entry[] | { readonly replaceWith: readonly Entry[] },
  ): Promise<readonly Entry[]> {
    return this.#exclusively(async () => {
      const { entries, stored, asides } = await this.#load(clientId)
      const change = next(entries)
      const all = compacted('replaceWith' in change ? change.replaceWith : [...entries, ...change])
      // Entries are only ever added.
      if (all.length > stored) {
        const record = this.#path(`${recordName(this.#environment, clientId)}${RECORD}`)
        await this.#disk.write(record, await this.#sealed(clientId, all), 'record')
      }
      for (const aside of asides) await this.#disk.discard(this.#path(aside))
      return all
    })
  }

  #sealed(clientId: string, entries: readonly Entry[]): Promise<string> {
    return this.#encrypted({ vaultVersion: VAULT_VERSION, environment: this.#environment, clientId, entries })
  }

  async #encrypted(content: unknown): Promise<string> {
    // Another process may have changed the key since this one read it; where it cannot be read now, the one at hand does.
    await this.#ring.reload().catch(() => undefined)
    return encrypted(content, this.#ring)
  }

  /** One writer at a time in this folder. Queued before the first await: what came later must end up as the newer. */
  #exclusively<T>(task: () => Promise<T>): Promise<T> {
    const path = this.#path(WRITE_LOCK)
    const turn = this.#queue.then(async () => {
      await this.#disk.makeFolder(this.#folder)
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
      throw unwritable(this.#folder, error)
    })
    this.#queue = result.catch(() => undefined)
    return result
  }

  async #lockClient(clientId: string): Promise<Lock> {
    const name = recordName(this.#environment, clientId)
    const path = this.#path(`${name}.lock`)
    try {
      await this.#disk.makeFolder(this.#folder)
      await this.#disk.makeLockFile(path)
    } catch (error) {
      throw unwritable(this.#folder, error)
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
    this.#changing.add(name)
    return lock
  }

  #unlockClient(name: string, lock: Lock): void {
    this.#changing.delete(name)
    lock.release()
  }

  async #withClient<T>(clientId: string, task: () => Promise<T>): Promise<T> {
    const lock = await this.#lockClient(clientId)
    try {
      return await task()
    } catch (error) {
      throw unwritable(this.#folder, error)
    } finally {
      this.#unlockClient(recordName(this.#environment, clientId), lock)
    }
  }

  /** Runs `task` unless another process is changing the client. */
  async #whileFree(clientId: string, task: () => Promise<void>): Promise<void> {
    const name = recordName(this.#environment, clientId)
    if (this.#changing.has(name)) return task()
    const path = this.#path(`${name}.lock`)
    await this.#disk.makeLockFile(path)
    const lock = tryLock(path)
    if (lock === undefined) return
    this.#changing.add(name)
    try {
      await task()
    } finally {
      this.#unlockClient(name, lock)
    }
  }

  async #isFree(clientId: string): Promise<boolean> {
    return this.#isFreeName(recordName(this.#environment, clientId))
  }

  async #isFreeName(name: string): Promise<boolean> {
    if (this.#changing.has(name)) return false
    const path = this.#path(`${name}.lock`)
    if (!(await this.#disk.exists(path))) return true
    const lock = tryLock(path)
    lock?.release()
    return lock !== undefined
  }

  /** Puts what a killed process left in its place; nothing that may still hold an answer is removed. */
  async #sweep(): Promise<void> {
    for (const file of await this.#names()) {
      if (file.startsWith('probe-') || LOCK_LEFTOVER.test(file)) await this.#disk.discard(this.#path(file))
      if (file.endsWith(ROOM) && (await this.#isFreeName(file.slice(0, 32)))) await this.#disk.discard(this.#path(file))
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
        await this.#disk.rename(this.#path(file), this.#path(`${name}.${randomBytes(8).toString('hex')}${RECORD}`))
      } else {
        const read = readIntent(result.plaintext)
        if (!read.ok || read.value.answer === undefined) await this.#disk.discard(this.#path(file))
        else await this.#disk.rename(this.#path(file), this.#intentPath(read.value))
      }
    }
  }

  async #openPermissions(): Promise<readonly string[]> {
    const warnings: string[] = []
    const warn = async (what: string, path: string, close: string) => {
      const mode = await this.#disk.openMode(path).catch(() => undefined)
      if (mode !== undefined)
        warnings.push(`${what} "${path}" is open to other users (mode ${mode}); close it with chmod ${close}`)
    }
    await warn('vault folder', this.#folder, '700')
    for (const file of await this.#files(RECORD, INTENT)) await warn('vault record', this.#path(file), '600')
    return warnings
  }

  async #files(...extensions: readonly string[]): Promise<readonly string[]> {
    return (await this.#names()).filter((name) => extensions.some((extension) => name.endsWith(extension)))
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await this.#disk.names(this.#folder)
    } catch (error) {
      return fail(
        { code: 'VAULT_UNREADABLE', message: `vault folder "${this.#folder}" cannot be read`, ...found(error) },
        error,
      )
    }
  }

  #intentPath({ environment, clientId, id }: StoredIntent): string {
    return this.#path(`${recordName(environment, clientId)}.${id}${INTENT}`)
  }

  #path(file: string): string {
    return join(this.#folder, file)
  }

  #time(): string {
    return this.#now().toISOString()
  }
}

/** Client ids are URLs, and no name in the folder should say who the clients are. */
function recordName(environment: string, clientId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([environment, clientId]))
    .digest('hex')
    .slice(0, 32)
}

function unknownClient({ runId, step }: By): string {
  return `unknown (run ${runId}, step ${step})`
}

function isAside(file: string): boolean {
  return file.slice(0, -RECORD.length).includes('.')
}

function inOrder(entries: readonly Entry[]): readonly Entry[] {
  return entries.toSorted((a, b) => (a.keptAt < b.keptAt ? -1 : a.keptAt > b.keptAt ? 1 : 0))
}

function without(entries: readonly Entry[], entry: Entry): readonly Entry[] {
  return entries.filter((one) => identityOf(one) !== identityOf(entry))
}

function jsonOf(plaintext: Uint8Array): unknown {
  return JSON.parse(Buffer.from(plaintext).toString('utf8'))
}

function keptOf(clientId: string, entries: readonly Entry[], earlier: readonly Entry[], problem?: Problem): Kept {
  const registration = registrationOf(clientId, entries)
  if (registration === undefined) throw new TypeError('an answer was kept, but no registration follows from it')
  const before = registrationOf(clientId, earlier)
  const oldToken = before?.deletedAt === undefined ? before?.registrationAccessToken?.reveal() : undefined
  const rotated = oldToken !== undefined && oldToken !== registration.registrationAccessToken?.reveal()
  return { registration, rotated, problem }
}
