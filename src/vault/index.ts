/**
 * Keeps what is registered: what each call and answer means for a client's record and its journal, in an order that no
 * crash can spoil. Knows nothing of flows or of the network; the files are files.ts's.
 */
import { randomUUID } from 'node:crypto'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fail, isNonEmpty, type Problem, ToolError } from '../errors.ts'
import { sha256base64url } from '../jwt.ts'
import { Secret } from '../secret.ts'
import { Disk, unwritable } from './disk.ts'
import { VaultFiles } from './files.ts'
import {
  clientOf,
  entryOf,
  newIntent,
  type OpenIntent,
  openIntent,
  outcomeOf,
  type StoredIntent,
  withAnswer,
} from './journal.ts'
import { type KeyRing, resolveVaultKey } from './key.ts'
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
  periodsOf,
  type Registration,
  rawBody,
  readableBody,
  readRecord,
  registrationOf,
  VAULT_VERSION,
} from './record.ts'
import type {
  By,
  Intent,
  Kept,
  LedgerEntry,
  ReceivedAnswer,
  StoredToken,
  TokenUse,
  Vault,
  VaultOptions,
} from './vault.ts'

export type { FilePort } from './disk.ts'
export { type OpenIntent, registrationEffect } from './journal.ts'
export { type KeyRing, resolveVaultKey } from './key.ts'
export { openBundle, sealBundle, toVariables } from './portable.ts'
export type { Registration } from './record.ts'
export { fingerprint } from './record.ts'
export { type Probe, type Proof, proveToken, recover } from './recover.ts'
export type { LedgerEntry, StoredToken, Vault } from './vault.ts'

/** Where a test puts failing files, or dies. */
export type VaultPorts = Pick<VaultOptions, 'files' | 'checkpoint'>

export async function openVault(options: VaultOptions): Promise<Vault> {
  return new EncryptedVault(options)
}

/**
 * The vault of an environment and its key. The key file is made where there is none and `makeKey` is not false: then
 * nothing can be written, and an empty vault is an empty vault.
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
  {
    now,
    makeKey = true,
    ports = {},
  }: { readonly now: () => Date; readonly makeKey?: boolean; readonly ports?: VaultPorts | undefined },
): Promise<{ readonly vault: Vault; readonly ring: KeyRing; readonly warnings: readonly string[] }> {
  const { folder, key, keyFile } = environment.vault
  // Registrations on the twin are worth nothing, so its key may lie beside its vault; real ones have theirs in the home folder.
  const defaultKeyFile =
    environment.class === 'mock'
      ? `${folder}.key`
      : join(homedir(), '.config', 'thredd-dcr', `vault-${environment.name}.key`)
  const disk = new Disk(ports.files, ports.checkpoint)
  const { ring, made } = await resolveVaultKey({ key, keyFile, defaultKeyFile, vaultDir: folder, disk, make: makeKey })
  return {
    vault: await openVault({ folder, key: ring, environment: environment.name, now, ...ports }),
    ring,
    warnings: made === undefined ? [] : [`a vault key was made: ${made}; without this file the vault cannot be read`],
  }
}

interface Loaded {
  readonly entries: readonly Entry[]
  /** how many of them stand in the record itself; the others were found beside it */
  readonly stored: number
  readonly asides: Awaited<ReturnType<VaultFiles['asides']>>
}

class EncryptedVault implements Vault {
  readonly #files: VaultFiles
  readonly #environment: string
  readonly #now: () => Date

  constructor(options: VaultOptions) {
    this.#files = new VaultFiles(options)
    this.#environment = options.environment
    this.#now = options.now
  }

  async prepare(clientId?: string): Promise<readonly string[]> {
    try {
      await this.#files.exclusively(async () => {
        await this.#files.sweep()
        await this.#files.probe()
      })
      if (clientId !== undefined) await this.#load(clientId)
      const { intents, unreadable } = await this.#files.intents()
      for (const intent of intents) {
        if (intent.answer !== undefined) await this.#files.whileFree(intent.clientId, () => this.#conclude(intent))
      }
      const open = await this.unsettled()
      return [
        ...(await this.#files.openPermissions()),
        ...unreadable.map(({ message, hint }) => `${message}${hint === undefined ? '' : `; ${hint}`}`),
        ...open.map(({ effect, clientId: of, known, next }) => `open ${effect} of client "${of}": ${known}; ${next}`),
      ]
    } catch (error) {
      throw unwritable(this.#files.folder, error)
    }
  }

  async begin(call: Parameters<Vault['begin']>[0]): Promise<Intent> {
    const { effect, method, url, step, runId, purpose } = call
    const clientId = call.clientId ?? unknownClient(call)
    const lock = await this.#files.lockClient(clientId)
    const id = randomUUID()
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
      ...(effect === 'register' ? { purpose: purpose ?? 'kept' } : {}),
    })
    try {
      // A record that cannot be read could not take the answer.
      await this.#load(clientId)
      await this.#files.makeRoom(intent)
      await this.#files.writeIntent(intent)
    } catch (error) {
      await this.#files.giveRoomBack(intent)
      await this.#files.removeIntent(intent).catch(() => undefined)
      lock.release()
      throw unwritable(this.#files.folder, error)
    }

    let kept = false
    let closed = false
    const close = async (outcome: 'answered' | 'not-sent' | 'unknown') => {
      if (closed) return
      closed = true
      try {
        await this.#files.giveRoomBack(intent)
        if (outcome === 'not-sent') await this.#files.removeIntent(intent)
        else if (outcome === 'answered' && kept) await this.#conclude(intent)
      } catch (error) {
        throw unwritable(this.#files.folder, error)
      } finally {
        lock.release()
      }
    }
    return {
      id,
      close,
      [Symbol.asyncDispose]: () => close('unknown'),
      keep: async (answer) => {
        const answered = withAnswer(intent, answer, this.#time())
        await this.#files.giveRoomBack(intent)
        let failure: unknown
        try {
          await this.#files.writeIntent(answered, 'answer')
          intent = answered
          kept = true
        } catch (error) {
          failure = error
        }
        const entry = entryOf(answered)
        if (entry === undefined) {
          if (failure !== undefined) throw unwritable(this.#files.folder, failure)
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

  async accessToken(of: TokenUse): Promise<StoredToken | undefined> {
    const stored = await this.#files.token(tokenName(this.#environment, of))
    if (stored === undefined) return undefined
    const { accessToken, ...rest } = stored
    return { ...rest, accessToken: new Secret(accessToken, 'access_token') }
  }

  async keepAccessToken(of: TokenUse, { accessToken, ...rest }: StoredToken): Promise<void> {
    const name = tokenName(this.#environment, of)
    await this.#files.exclusively(() => this.#files.writeToken(name, { ...rest, accessToken: accessToken.reveal() }))
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
    const { intents } = await this.#files.intents()
    const open: OpenIntent[] = []
    for (const intent of intents) {
      const inFlight = !(await this.#files.isFree(intent.clientId))
      if (outcomeOf(intent) !== 'open' && !inFlight) continue
      const registration = await this.#load(clientOf(intent)).then(
        ({ entries }) => registrationOf(intent.clientId, entries),
        () => undefined,
      )
      open.push(openIntent(intent, registration, inFlight))
    }
    return open.sort((a, b) => (a.begunAt < b.begunAt ? -1 : 1))
  }

  async attend(clientId: string): Promise<Disposable> {
    try {
      return (await this.#files.attend(clientId)) ?? { [Symbol.dispose]: () => {} }
    } catch (error) {
      throw unwritable(this.#files.folder, error)
    }
  }

  async ledger(): Promise<readonly LedgerEntry[]> {
    const { clients } = await this.#scan()
    const open = await this.unsettled()
    const registered = [...clients].flatMap(([clientId, entries]) =>
      periodsOf(entries).map((period, index, all) => ({
        clientId,
        ...period,
        // What is open of a client concerns the newest of its lives.
        open: index === all.length - 1 ? open.filter((intent) => intent.clientId === clientId) : [],
      })),
    )
    const entries = registered.map(async (one): Promise<LedgerEntry> => {
      if (one.deletedAt !== undefined) return { ...one, state: 'deleted' }
      if (one.open.length > 0) return { ...one, state: 'unknown' }
      if (one.purpose === 'kept') return { ...one, state: 'kept' }
      return { ...one, state: (await this.#files.isAttended(one.clientId)) ? 'registered' : 'left behind' }
    })
    // A POST of which nothing else is known yet, or that came after the last deletion.
    const announced = open.flatMap((intent): LedgerEntry[] => {
      const isKnown = registered.some(
        ({ clientId, deletedAt }) => clientId === intent.clientId && deletedAt === undefined,
      )
      if (intent.effect !== 'register' || isKnown) return []
      const { clientId, runId, step, begunAt: at, purpose, way } = intent
      const state = way === 'wait' ? 'announced' : 'unknown'
      return [{ clientId, runId, step, at, purpose, state, deletedAt: undefined, open: [intent] }]
    })
    return [...(await Promise.all(entries)), ...announced].sort((a, b) => (a.at < b.at ? -1 : 1))
  }

  async settle(id: string, how: string): Promise<void> {
    const { intents } = await this.#files.intents()
    const intent = intents.find((one) => one.id === id)
    if (intent === undefined) fail({ code: 'USAGE', message: `there is no open intent "${id}"` })
    await this.#files.withClient(intent.clientId, () => this.#settle([intent], how))
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
      throw unwritable(this.#files.folder, error)
    }
  }

  async forget(clientId: string): Promise<void> {
    await this.#files.withClient(clientId, () =>
      this.#files.exclusively(async () => {
        const { intents } = await this.#files.intents(clientId)
        if (intents.length > 0) {
          fail({
            code: 'USAGE',
            message: `a call of client "${clientId}" is open; its record is not destroyed`,
            hint: `settle it first: thredd vault recover "${clientId}"`,
          })
        }
        await this.#load(clientId)
        await this.#files.removeRecord(clientId)
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

  async rotateKey({ dropEarlier = false }: Parameters<Vault['rotateKey']>[0] = {}): ReturnType<Vault['rotateKey']> {
    try {
      return await this.#files.exclusively(() => this.#files.rotateKey(dropEarlier))
    } catch (error) {
      throw unwritable(this.#files.folder, error)
    }
  }

  async check(): Promise<Awaited<ReturnType<Vault['check']>>> {
    const { unreadable } = await this.#scan()
    const leftovers = await this.#files.leftovers()
    return {
      files: await this.#files.count(),
      problems: unreadable,
      warnings: [
        ...(await this.#files.openPermissions()),
        ...leftovers.map((path) => `"${path}" was left by a process that died, or is being written`),
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
      try {
        await this.#files.writeAside(clientId, [entry])
      } catch (cause) {
        throw unwritable(this.#files.folder, cause)
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
    await this.#files.dropIntent(intent)
  }

  async #settleOthers(intent: StoredIntent, how: string): Promise<void> {
    const { intents } = await this.#files.intents(intent.clientId)
    const others = intents.filter(({ id, begunAt }) => id !== intent.id && begunAt <= intent.begunAt)
    await this.#settle(others, how)
  }

  async #noteRefusal(intent: StoredIntent, retried: { readonly at: string; readonly status: number }): Promise<void> {
    const { intents } = await this.#files.intents(intent.clientId)
    for (const other of intents) {
      if (other.id === intent.id || other.effect !== 'register' || other.begunAt > intent.begunAt) continue
      await this.#files.writeIntent({ ...other, retried })
    }
  }

  /** What other processes are at is left to them. */
  async #settleAll(clientId: string, how: string): Promise<void> {
    const { intents } = await this.#files.intents(clientId)
    if (intents.length > 0) await this.#files.whileFree(clientId, () => this.#settle(intents, how))
  }

  async #settle(intents: readonly StoredIntent[], how: string): Promise<void> {
    for (const intent of intents) {
      const { id, effect, begunAt, runId, step, clientId } = intent
      await this.#append(clientId, (entries) =>
        entries.some((entry) => entry.kind === 'settled' && entry.intent === id)
          ? []
          : [{ kind: 'settled', keptAt: this.#time(), intent: id, effect, begunAt, runId, step, how }],
      )
      await this.#files.removeIntent(intent)
    }
  }

  async #load(clientId: string): Promise<Loaded> {
    const asides = await this.#files.asides(clientId)
    const { intents } = await this.#files.intents(clientId)
    const late = [
      ...asides.flatMap(({ record }) => record.entries),
      ...intents.flatMap((intent) => (clientOf(intent) === clientId ? (entryOf(intent) ?? []) : [])),
    ]
    // The record last: what vanishes from beside it in the meantime has moved into it.
    const stored = (await this.#files.record(clientId))?.entries ?? []
    return { entries: joined(stored, inOrder(late)), stored: stored.length, asides }
  }

  async #scan(): Promise<{
    readonly clients: ReadonlyMap<string, readonly Entry[]>
    readonly unreadable: readonly Problem[]
  }> {
    const whole = new Map<string, readonly Entry[]>()
    const late = new Map<string, Entry[]>()
    const { intents, unreadable } = await this.#files.intents()
    const add = (clientId: string, entries: readonly Entry[]) =>
      late.set(clientId, [...(late.get(clientId) ?? []), ...entries])
    for (const intent of intents) add(clientOf(intent), [entryOf(intent) ?? []].flat())
    const stored = await this.#files.records()
    for (const { isAside, record } of stored.records) {
      if (isAside) add(record.clientId, record.entries)
      else whole.set(record.clientId, record.entries)
    }
    const clients = new Map(
      [...new Set([...whole.keys(), ...late.keys()])].map((clientId) => [
        clientId,
        joined(whole.get(clientId) ?? [], inOrder(late.get(clientId) ?? [])),
      ]),
    )
    return { clients, unreadable: [...unreadable, ...stored.unreadable] }
  }

  /** Adds what `next` makes of the present entries; returns the entries as they are then on disk. */
  async #append(
    clientId: string,
    next: (entries: readonly Entry[]) => readonly Entry[] | { readonly replaceWith: readonly Entry[] },
  ): Promise<readonly Entry[]> {
    return this.#files.exclusively(async () => {
      const { entries, stored, asides } = await this.#load(clientId)
      const change = next(entries)
      const all = compacted('replaceWith' in change ? change.replaceWith : [...entries, ...change])
      // Entries are only ever added.
      if (all.length > stored) await this.#files.writeRecord(clientId, all)
      await this.#files.discard(asides)
      return all
    })
  }

  #time(): string {
    return this.#now().toISOString()
  }
}

/** Says nothing of client and scope to whoever sees the folder. */
function tokenName(environment: string, { clientId, scope, thumbprint }: TokenUse): string {
  return sha256base64url(JSON.stringify([environment, clientId, scope ?? null, thumbprint])).slice(0, 32)
}

function unknownClient({ runId, step }: By): string {
  return `unknown (run ${runId}, step ${step})`
}

function inOrder(entries: readonly Entry[]): readonly Entry[] {
  return entries.toSorted((a, b) => (a.keptAt < b.keptAt ? -1 : a.keptAt > b.keptAt ? 1 : 0))
}

function without(entries: readonly Entry[], entry: Entry): readonly Entry[] {
  return entries.filter((one) => identityOf(one) !== identityOf(entry))
}

function keptOf(clientId: string, entries: readonly Entry[], earlier: readonly Entry[], problem?: Problem): Kept {
  const registration = registrationOf(clientId, entries)
  if (registration === undefined) throw new TypeError('an answer was kept, but no registration follows from it')
  const before = registrationOf(clientId, earlier)
  const oldToken = before?.deletedAt === undefined ? before?.registrationAccessToken?.reveal() : undefined
  const rotated = oldToken !== undefined && oldToken !== registration.registrationAccessToken?.reveal()
  return { registration, rotated, problem }
}
