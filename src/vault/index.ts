/**
 * Keeps what is registered: what is written down for each call and answer, in an order that no crash can spoil. Knows nothing of flows or of the network; the files are files.ts's.
 */
import { randomUUID } from 'node:crypto'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { sha256base64url } from '../identity/jwt.ts'
import { fail, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import { z } from '../record/shape.ts'
import { Secret } from '../secret/index.ts'
import { Disk, unwritable } from './disk.ts'
import { VaultFiles } from './files.ts'
import { clientOf, entryOf, type OpenIntent, openIntent, type StoredIntent, withAnswer } from './intent.ts'
import { type KeyRing, resolveVaultKey } from './key.ts'
import {
  type AnswerEntry,
  credentialsIn,
  type Entry,
  entrySchema,
  fingerprint,
  type HistoryEvent,
  historyOf,
  identityOf,
  isRegistrationAnswer,
  isRepeated,
  joined,
  pastOf,
  periodsOf,
  type Registration,
  rawBody,
  readableBody,
  readFormat,
  registrationOf,
  VAULT_VERSION,
} from './record.ts'
import { type State, settling } from './state.ts'
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
export type { OpenIntent } from './intent.ts'
export { type KeyRing, resolveVaultKey } from './key.ts'
export { openBundle, sealBundle, toVariables } from './portable.ts'
export type { Registration } from './record.ts'
export { fingerprint, pastInWords } from './record.ts'
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
    await this.#files.restore()
    if (clientId !== undefined) await this.#files.load(clientId)
    const { clients, unreadable } = await this.#files.scan()
    const open = await this.#openIn(clients)
    return [
      ...(await this.#files.openPermissions()),
      ...unreadable.map(({ message, hint }) => `${message}${hint === undefined ? '' : `; ${hint}`}`),
      ...open.map(({ effect, clientId: of, known, next }) => `open ${effect} of client "${of}": ${known}; ${next}`),
    ]
  }

  async begin(call: Parameters<Vault['begin']>[0]): Promise<Intent> {
    const { effect, method, url, step, runId, purpose } = call
    const clientId = call.clientId ?? unknownClient(call)
    const lock = await this.#files.lockClient(clientId)
    try {
      return await this.#files.inTurn(async () => {
        // A record that cannot be read could not take the answer.
        const known = await this.#files.load(clientId)
        const intent: StoredIntent = {
          clientId,
          id: randomUUID(),
          effect,
          method,
          url,
          step,
          runId,
          begunAt: this.#after(known),
          ...(effect === 'register' ? { purpose: purpose ?? 'kept' } : {}),
        }
        await this.#files.append(clientId, { intent }, { what: 'intent' })
        try {
          await this.#files.makeRoom()
        } catch (error) {
          await this.#notSent(intent).catch(() => undefined)
          throw error
        }
        return this.#begun(intent, known, lock)
      })
    } catch (error) {
      lock.release()
      throw error
    }
  }

  async keep(answer: ReceivedAnswer): Promise<Kept | undefined> {
    const { status, runId, step } = answer
    const raw = rawBody(answer.body)
    const body = readableBody(raw)
    if (!isRegistrationAnswer({ status, body })) return undefined
    const clientId = credentialsIn(body).clientId ?? answer.clientId ?? unknownClient(answer)
    return await this.#files.inTurn(async () => {
      const { problem, ...known } = await this.#loadIfReadable(clientId)
      const { entries, open } = known
      const entry: AnswerEntry = { kind: 'answer', keptAt: this.#after(known), runId, step, status, ...raw }
      // A server that is only read says the same each time; the record need not grow by it.
      const isNews = !isRepeated(entries, entry)
      if (isNews) await this.#files.append(clientId, { entries: [entry] }, { what: 'answer' })
      await this.#settleFree(clientId, open, `a later call was answered with status ${status}`)
      return keptOf(clientId, isNews ? [...entries, entry] : entries, entries, problem)
    })
  }

  async worked(clientId: string, by: Partial<Parameters<Vault['worked']>[1]> = {}): Promise<void> {
    const { token, ...who } = by
    await this.#files.inTurn(async () => {
      const known = await this.#files.load(clientId)
      const registration = registrationOf(clientId, known.entries)
      const current = registration?.registrationAccessToken
      const proven = token ?? current
      if (registration?.deletedAt === undefined && proven !== undefined) {
        const isKnown = [current, registration?.fallback].some((one) => one?.reveal() === proven.reveal())
        const isNews = proven.reveal() !== current?.reveal() || registration?.workedAt === undefined
        const print = fingerprint(proven.reveal())
        const entry: Entry = { kind: 'worked', keptAt: this.#after(known), ...who, token: print }
        // Should it be lost, an earlier token stays a little longer.
        if (isKnown && isNews)
          await this.#files.append(clientId, { entries: [entry] }, { what: 'entry', durable: false })
      }
      await this.#settleFree(clientId, known.open, 'the stored token works')
    })
  }

  async current(clientId: string): Promise<Registration | undefined> {
    const registration = registrationOf(clientId, (await this.#files.load(clientId)).entries)
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
    const { clients, unreadable } = await this.#files.scan()
    const registrations = [...clients]
      .map(([clientId, { entries }]) => registrationOf(clientId, entries))
      .filter((registration) => registration !== undefined)
      .sort((a, b) => (a.clientId < b.clientId ? -1 : 1))
    return { registrations, unreadable }
  }

  async history(clientId: string): Promise<readonly HistoryEvent[]> {
    return historyOf((await this.#files.load(clientId)).entries)
  }

  async unsettled(): Promise<readonly OpenIntent[]> {
    return await this.#openIn((await this.#files.scan()).clients)
  }

  async attend(clientId: string): Promise<Disposable> {
    try {
      return (await this.#files.attend(clientId)) ?? { [Symbol.dispose]: () => {} }
    } catch (error) {
      throw unwritable(this.#files.folder, error)
    }
  }

  async ledger(): Promise<readonly LedgerEntry[]> {
    const { clients } = await this.#files.scan()
    const open = await this.#openIn(clients)
    const registered = [...clients].flatMap(([clientId, { entries }]) =>
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
    const { clients } = await this.#files.scan()
    const intent = [...clients.values()].flatMap(({ open }) => open).find((one) => one.id === id)
    if (intent === undefined) fail({ code: 'USAGE', message: `there is no open intent "${id}"` })
    await this.#files.withClient(intent.clientId, () =>
      this.#files.inTurn(() => this.#settle(intent.clientId, [intent], how)),
    )
  }

  async remove(clientId: string, by?: By): Promise<void> {
    await this.#files.inTurn(async () => {
      const known = await this.#files.load(clientId)
      const registration = registrationOf(clientId, known.entries)
      const entry: Entry = { kind: 'deleted', keptAt: this.#after(known), ...by }
      if (registration !== undefined && registration.deletedAt === undefined)
        await this.#files.append(clientId, { entries: [entry] }, { what: 'entry' })
      await this.#settleFree(clientId, known.open, 'the client is deleted')
    })
  }

  async forget(clientId: string): Promise<void> {
    await this.#files.withClient(clientId, () =>
      this.#files.exclusively(async () => {
        if ((await this.#files.load(clientId)).open.length > 0) {
          fail({
            code: 'USAGE',
            message: `a call of client "${clientId}" is open; its record is not destroyed`,
            hint: `settle it first: thredd vault recover "${clientId}"`,
          })
        }
        await this.#files.forget(clientId)
      }),
    )
  }

  async export(clientIds?: readonly string[]): Promise<readonly { clientId: string; entries: readonly Entry[] }[]> {
    const { clients, unreadable } = await this.#files.scan()
    if (isNonEmpty(unreadable)) throw new ToolError(unreadable)
    return [...clients]
      .filter(([clientId]) => clientIds === undefined || clientIds.includes(clientId))
      .map(([clientId, { entries }]) => ({ clientId, entries }))
  }

  async import(clientId: string, imported: readonly unknown[]): Promise<number> {
    const read = readFormat(
      Buffer.from(JSON.stringify({ vaultVersion: VAULT_VERSION, entries: imported })),
      importSchema,
    )
    if (!read.ok)
      fail({ code: 'VAULT_UNREADABLE', message: `the import of client "${clientId}" ${read.is}`, ...read.rest })
    return await this.#files.inTurn(async () => {
      const { entries } = await this.#files.load(clientId)
      // What is only counted here is not there, and yet not new.
      const counted = pastOf(entries)?.lastAt ?? ''
      const present = new Set(entries)
      const late = read.value.entries.filter(({ keptAt }) => keptAt > counted)
      const added = joined(entries, late).filter((entry) => !present.has(entry))
      if (added.length > 0) await this.#files.append(clientId, { entries: added }, { what: 'entry' })
      return added.length
    })
  }

  async rotateKey({ dropEarlier = false }: Parameters<Vault['rotateKey']>[0] = {}): ReturnType<Vault['rotateKey']> {
    return await this.#files.exclusively(() => this.#files.rotateKey(dropEarlier))
  }

  async check(): Promise<Awaited<ReturnType<Vault['check']>>> {
    const { unreadable } = await this.#files.scan()
    return {
      files: await this.#files.count(),
      problems: unreadable,
      warnings: [...(await this.#files.openPermissions()), ...(await this.#files.leftovers())],
    }
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  /** A call that is written down, and may leave; `known` is what was known of its client before. */
  #begun(intent: StoredIntent, known: State, lock: Disposable): Intent {
    let isClosed = false
    const close: Intent['close'] = async (outcome) => {
      if (isClosed) return
      isClosed = true
      try {
        // Any other end follows from the answer that was kept, or from there being none.
        if (outcome === 'not-sent') await this.#files.inTurn(() => this.#notSent(intent))
      } finally {
        lock[Symbol.dispose]()
      }
    }
    return {
      id: intent.id,
      close,
      [Symbol.asyncDispose]: () => close('unknown'),
      keep: (answer) =>
        this.#files.inTurn(async () => {
          const answered = withAnswer(intent, answer, this.#after(known))
          await this.#files.append(intent.clientId, { intent: answered }, { what: 'answer' })
          const entry = entryOf(answered)
          if (entry?.kind !== 'answer') return undefined
          const clientId = clientOf(answered)
          // It is safe already; under its own name it is found, too.
          if (clientId !== intent.clientId) await this.#files.append(clientId, { entries: [entry] }, { what: 'entry' })
          const { entries, problem } = await this.#loadIfReadable(clientId)
          const earlier = entries.filter((one) => identityOf(one) !== identityOf(entry))
          return keptOf(clientId, [...earlier, entry], earlier, problem)
        }),
    }
  }

  async #notSent(intent: StoredIntent): Promise<void> {
    await this.#files.append(intent.clientId, { intent: { ...intent, closed: true } }, { what: 'intent' })
  }

  /** What other processes are at is left to them. */
  async #settleFree(clientId: string, open: readonly StoredIntent[], how: string): Promise<void> {
    if (open.length > 0) await this.#files.whileFree(clientId, () => this.#settle(clientId, open, how))
  }

  async #settle(clientId: string, open: readonly StoredIntent[], how: string): Promise<void> {
    const keptAt = this.#after(await this.#files.load(clientId))
    const entries = open.map((intent) => settling(intent, how, keptAt))
    await this.#files.append(clientId, { entries }, { what: 'entry' })
  }

  async #openIn(clients: ReadonlyMap<string, State>): Promise<readonly OpenIntent[]> {
    const open: OpenIntent[] = []
    for (const intent of [...clients.values()].flatMap((state) => state.open)) {
      const inFlight = !(await this.#files.isFree(intent.clientId))
      const registration = registrationOf(intent.clientId, clients.get(clientOf(intent))?.entries ?? [])
      open.push(openIntent(intent, registration, inFlight))
    }
    return open.sort((a, b) => (a.begunAt < b.begunAt ? -1 : 1))
  }

  /** An answer is kept also where nothing that is known of its client can be read. */
  async #loadIfReadable(
    clientId: string,
  ): Promise<Pick<State, 'entries' | 'open'> & { readonly problem?: Problem | undefined }> {
    return await this.#files.load(clientId).catch((error: unknown) => {
      if (!(error instanceof ToolError)) throw error
      return { entries: [], open: [], problem: error.problems[0] }
    })
  }

  /** Now, and after all that is known of the client: what is kept later counts as newer, whatever the clock says. */
  #after({ entries, open }: Pick<State, 'entries' | 'open'>): string {
    const now = this.#now().toISOString()
    const newest = [entries.at(-1)?.keptAt ?? '', open.at(-1)?.begunAt ?? ''].toSorted().at(-1) ?? ''
    return now > newest ? now : new Date(Date.parse(newest) + 1).toISOString()
  }
}

const importSchema = z.object({ vaultVersion: z.literal(VAULT_VERSION), entries: z.array(entrySchema) })

/** Says nothing of client and scope to whoever sees the folder. */
function tokenName(environment: string, { clientId, scope, thumbprint }: TokenUse): string {
  return sha256base64url(JSON.stringify([environment, clientId, scope ?? null, thumbprint])).slice(0, 32)
}

function unknownClient({ runId, step }: By): string {
  return `unknown (run ${runId}, step ${step})`
}

function keptOf(clientId: string, entries: readonly Entry[], earlier: readonly Entry[], problem?: Problem): Kept {
  const registration = registrationOf(clientId, entries)
  if (registration === undefined) throw new TypeError('an answer was kept, but no registration follows from it')
  const before = registrationOf(clientId, earlier)
  const oldToken = before?.deletedAt === undefined ? before?.registrationAccessToken?.reveal() : undefined
  const rotated = oldToken !== undefined && oldToken !== registration.registrationAccessToken?.reveal()
  return { registration, rotated, problem }
}
