/**
 * The vault: every client information response, encrypted and on disk before anything else looks at it, and each call whose
 * answer may still come. The log is read once; before each use it is only looked whether it has grown. Reading needs no lock.
 *
 * Every method that reads throws VAULT_UNREADABLE or VAULT_KEY, every one that writes VAULT_UNWRITABLE too.
 */
import { fail, type Problem } from '../record/errors.ts'
import type { Command } from '../record/hints.ts'
import { shapeOf, z } from '../record/shape.ts'
import { Secret } from '../secret/index.ts'
import {
  type AnnouncedCall,
  announce,
  type CallAbout,
  type KeptAnswer,
  keepAnswer,
  type Presenting,
} from './announce.ts'
import { fingerprint, type RawAnswer } from './answer.ts'
import type { OpenCall } from './call.ts'
import { type By, Client, type HeldToken, type HistoryEvent, type Registration } from './client.ts'
import { byTime, type ClientEvent, clientEventSchema, type Event, inOrder, inWords } from './event.ts'
import type { KeyRing } from './key.ts'
import { type LedgerEntry, ledgerOf } from './ledger.ts'
import { type Difference, difference } from './merge.ts'
import { type About, clientEvents, without } from './state.ts'
import { Store, type VaultOptions } from './store.ts'

/** What an API access token is for. */
export interface TokenUse {
  readonly clientId: string
  /** base URL of the authorization server */
  readonly server?: string | undefined
  /** as asked for; absent: all registered scopes */
  readonly scope?: string | undefined
  /** x5t#S256 of the certificate (RFC 8705 §3.1) */
  readonly thumbprint: string
}

export interface StoredToken {
  readonly accessToken: Secret
  /** UTC, RFC 3339 */
  readonly receivedAt: string
  readonly expiresAt: string
  /** as the server answered, where it did */
  readonly scope?: string | undefined
}

export class Vault {
  readonly #store: Store

  constructor(options: VaultOptions) {
    this.#store = new Store(options)
  }

  /** The commands of hints, with the environment of the vault. */
  get command(): Command {
    return this.#store.command
  }

  /** The same about the application of a client, which may be that of a row. */
  commandAbout(clientId: string): Command {
    return this.#store.commandAbout({ clientId })
  }

  /** Undefined where there is no vault yet. */
  get ring(): KeyRing | undefined {
    return this.#store.log.ring
  }

  /** Of the log, in bytes. */
  get size(): number {
    return this.#store.log.size
  }

  /**
   * Proves, before anything is sent, that everything in the log can be read and that there is room for an answer. Returns
   * warnings: a key that was made, permissions that were open, an unfinished line, each open call with its next step.
   */
  async prepare(): Promise<readonly string[]> {
    return await this.#store.exclusively(() => {
      this.#store.demandNoOther()
      const made = this.#store.ensure()
      this.#store.demandReadable()
      const tidied = this.#store.tidy({ mend: true })
      this.#store.makeRoom()
      return [...made, ...tidied, ...this.#openInWords()]
    })
  }

  /** Each open call with its next step, in words; of a run that ends only its own, and the clients that it leaves behind. */
  async warnings({ runId }: { readonly runId?: string } = {}): Promise<readonly string[]> {
    const clients = this.#store.look().clients()
    const ledger = runId === undefined ? [] : ledgerOf(clients, this.#store.open(), () => false)
    const left = ledger.filter((one) => one.runId === runId && one.state === 'left behind')
    return [
      ...this.#openInWords(runId),
      ...left.map(
        ({ clientId, step }) =>
          `client "${clientId}" was registered by step "${step}" and is still there, although this run was to delete it: ${this.command('cleanUp')}`,
      ),
    ]
  }

  /** @see announce */
  async begin(call: CallAbout): Promise<AnnouncedCall> {
    return await announce(this.#store, call)
  }

  /** @see keepAnswer */
  async keep(answer: RawAnswer & By & About & Presenting, onWritten?: () => void): Promise<KeptAnswer | undefined> {
    return await keepAnswer(this.#store, answer, onWritten)
  }

  /**
   * A management call with this token (default: the current one) succeeded, and its answer brought no other: the tokens
   * before it are superseded, and open calls of the client are settled. A fallback that works becomes current again.
   */
  async worked(
    clientId: string,
    by: Partial<By> & Presenting & { readonly token?: Secret | undefined } = {},
  ): Promise<void> {
    const { token, thumbprint, ...who } = by
    await this.#store.changing(() => {
      const client = this.#store.state.client(clientId)
      const { registrationAccessToken: current, workedAt, thumbprint: known } = client?.registration() ?? {}
      const proven = (token ?? current)?.reveal()
      if (client === undefined || proven === undefined) return
      const settles = this.#store.free(clientId)
      const isOther = proven !== current?.reveal() || (thumbprint !== undefined && thumbprint !== known)
      const isNews = client.isLive && client.holds(proven) && (isOther || workedAt === undefined)
      if (!isNews && settles.length === 0) return
      const event = {
        kind: 'worked',
        at: this.#store.at(),
        clientId,
        token: fingerprint(proven),
        thumbprint,
        ...who,
        settles,
      }
      // Should it be lost, an earlier token stays a little longer.
      this.#store.log.append(event, { durable: settles.length > 0 })
    })
  }

  /** Marks the client deleted after a proven DELETE; its history stays. */
  async remove(clientId: string, by?: By): Promise<void> {
    await this.#store.changing(() => {
      const settles = this.#store.free(clientId)
      if (settles.length === 0 && !this.#store.state.client(clientId)?.isLive) return
      this.#store.log.append({ kind: 'deleted', at: this.#store.at(), clientId, ...by, settles }, { durable: true })
    })
  }

  /** Undefined for a client that is unknown or marked deleted. @throws USAGE where several clients may be meant */
  async current(about: string | About): Promise<Registration | undefined> {
    const client = this.#store.readable().find(typeof about === 'string' ? { clientId: about } : about)
    return client?.isLive ? client.registration() : undefined
  }

  /** SOFTWARE_ID with which the client was registered; undefined where none or several are known. */
  async softwareOf(clientId: string): Promise<string | undefined> {
    const ids = [...(this.#store.readable().client(clientId)?.softwareIds ?? [])]
    return ids.length === 1 ? ids[0] : undefined
  }

  /** Whether this address, or this token, manages a client that is registered. */
  async manages(url: string, token: string | undefined): Promise<boolean> {
    return this.#store.readable().managed(url, token) !== undefined
  }

  /** Every registration access token that the client was ever given, oldest first. */
  async tokens(clientId: string): Promise<readonly HeldToken[]> {
    return this.#store.readable().client(clientId)?.tokens() ?? []
  }

  /** An API access token that was kept for just these; whether it is still good is the caller's to judge. */
  async accessToken({ clientId, server, scope: asked, thumbprint }: TokenUse): Promise<StoredToken | undefined> {
    const stored = this.#store.look().tokens()
    const token = stored.findLast(
      (one) =>
        one.clientId === clientId && one.server === server && one.asked === asked && one.thumbprint === thumbprint,
    )
    if (token === undefined) return undefined
    const { accessToken, receivedAt, expiresAt, scope } = token
    return { accessToken: new Secret(accessToken, 'access_token'), receivedAt, expiresAt, ...(scope && { scope }) }
  }

  /** Losing it costs nothing but a call. */
  async keepAccessToken({ scope: asked, ...use }: TokenUse, { accessToken, ...rest }: StoredToken): Promise<void> {
    await this.#store.exclusively(() => {
      this.#store.ensure()
      const about = { at: this.#store.at(), asked, ...use, ...rest }
      this.#store.log.append({ kind: 'token', ...about, accessToken: accessToken.reveal() }, { durable: false })
    })
  }

  /** All clients, deleted ones too, and what cannot be read. */
  async list(): Promise<{ readonly registrations: readonly Registration[]; readonly unreadable: readonly Problem[] }> {
    const clients = this.#store.look().clients()
    const registrations = clients.flatMap((client) => client.registration() ?? [])
    registrations.sort((a, b) => (a.clientId < b.clientId ? -1 : 1))
    return { registrations, unreadable: this.#store.log.problems }
  }

  /** Oldest first; empty for an unknown client. */
  async history(clientId: string): Promise<readonly HistoryEvent[]> {
    return this.#store.readable().client(clientId)?.history ?? []
  }

  /** Calls that may have changed a registration, oldest first, with what is known and what to do. */
  async unsettled(): Promise<readonly OpenCall[]> {
    this.#store.look()
    return this.#store.open()
  }

  /** Every client that a run has registered or may have, oldest first. There is no other list. */
  async ledger(): Promise<readonly LedgerEntry[]> {
    const clients = this.#store.look().clients()
    return ledgerOf(clients, this.#store.open(), (writer) => writer !== undefined && this.#store.writer.isAlive(writer))
  }

  /** What cannot be read, and, as warnings, what the next run will put right. */
  async check(): Promise<{ lines: number; problems: readonly Problem[]; warnings: readonly string[] }> {
    this.#store.look()
    return {
      lines: this.#store.log.lines,
      problems: this.#store.log.problems,
      warnings: this.#store.tidy({ mend: false }),
    }
  }

  /** Everything there is of these clients (default: all); nothing unreadable is passed over. */
  async export(clientIds?: readonly string[]): Promise<{ clientId: string; entries: unknown[] }[]> {
    this.#store.readable()
    return [...clientEvents(this.#store.events())].flatMap(([clientId, entries]) =>
      (clientIds?.includes(clientId) ?? true) ? [{ clientId, entries: [...entries] }] : [],
    )
  }

  /** What `import` would make of a client, and how many entries it would add. */
  async preview(
    clientId: string,
    imported: readonly unknown[],
  ): Promise<{ added: number; before: Client; after: Client }> {
    const before = this.#store.readable().client(clientId) ?? new Client(clientId)
    const present = this.#present(clientId)
    const added = newEntries(clientId, imported, present)
    const after = new Client(clientId)
    for (const event of [...present, ...added].sort(byTime)) after.take(event)
    return { added: added.length, before, after }
  }

  /** Adds what is not there yet; returns how many entries that were. */
  async import(clientId: string, imported: readonly unknown[]): Promise<number> {
    return await this.#store.exclusively(() => {
      this.#store.ensure()
      this.#store.demandReadable()
      const added = newEntries(clientId, imported, this.#present(clientId))
      for (const [index, event] of added.entries())
        this.#store.log.append(event, { durable: index === added.length - 1 })
      return added.length
    })
  }

  /** Every event, for another vault to take in. @throws VAULT_UNREADABLE where there is none, USAGE while a call is on the way */
  async events(): Promise<readonly Event[]> {
    this.#store.readable()
    if (!this.#store.log.exists)
      fail({
        code: 'VAULT_UNREADABLE',
        message: `"${this.#store.log.path}" does not exist: there is no vault to take in`,
      })
    const call = this.#store.onTheWay()
    if (call !== undefined) {
      fail({
        code: 'USAGE',
        message: `a call of client "${call.clientId}" is on the way in vault "${this.#store.log.path}"; nothing was taken in`,
        hint: 'let the run end, and try again',
      })
    }
    return this.#without()
  }

  /** What `merge` would add. */
  async difference(events: readonly Event[]): Promise<Difference> {
    this.#store.readable()
    return difference(this.#without(), events, this.#store.environment)
  }

  /** Takes in what is not there yet of the events of another vault, in their order; nothing is replaced. */
  async merge(events: readonly Event[]): Promise<void> {
    await this.#store.exclusively(() => {
      this.#store.ensure()
      this.#store.demandReadable()
      const { added } = difference(this.#without(), events, this.#store.environment)
      for (const [index, event] of added.entries())
        this.#store.log.append(event, { durable: index === added.length - 1 })
    })
  }

  /** Writes the log anew without this client (default: any). @throws USAGE while a call of it is open (any: on the way) */
  async forget(clientId?: string): Promise<void> {
    await this.#store.changing(() => {
      const open = clientId === undefined ? this.#store.onTheWay() : this.#store.state.openOf(clientId)[0]
      if (open !== undefined) {
        fail({
          code: 'USAGE',
          message: `a call of client "${open.clientId}" is open; its record is not destroyed`,
          hint: `settle it first: ${this.command('readClient', { client: open.clientId })}`,
        })
      }
      if (this.#store.log.exists) this.#store.log.replace(this.#without(clientId ?? null))
    })
  }

  /**
   * Writes the log anew with a new key; at each moment both are in the key file. A change that was cut short is finished with
   * the key it had made. `dropEarlier` then forgets the earlier keys: whatever else is sealed with them can no longer be read.
   *
   * @throws VAULT_UNWRITABLE also while a call is on the way
   */
  async rotateKey({ dropEarlier = false } = {}): Promise<{ readonly lines: number; readonly made: boolean }> {
    return await this.#store.exclusively(() => {
      this.#store.ensure()
      this.#store.demandReadable()
      const call = this.#store.onTheWay()
      if (call !== undefined) {
        fail({
          code: 'VAULT_UNWRITABLE',
          message: 'the vault key cannot be changed while a call is on the way',
          found: `step "${call.step}" of run ${call.runId}`,
          hint: 'let the run end, and try again',
        })
      }
      const made = this.#store.log.rotate(this.#without(), { dropEarlier })
      return { lines: this.#store.log.lines, made }
    })
  }

  /** This process is done: no call of it is on the way. Never fails. What is kept after it is safe too. */
  async close(): Promise<void> {
    this.#store.close()
  }

  /** The events of the log as they are now. @see without */
  #without(clientId?: string | null): readonly Event[] {
    return without(this.#store.events(), { clientId, now: this.#store.now() })
  }

  #present(clientId: string): readonly ClientEvent[] {
    return clientEvents(this.#store.events()).get(clientId) ?? []
  }

  #openInWords(runId?: string): readonly string[] {
    const open = this.#store.open().filter((one) => runId === undefined || one.runId === runId)
    return open.map(({ effect, clientId, known, next }) => `open ${effect} of client "${clientId}": ${known}; ${next}`)
  }
}

function newEntries(clientId: string, imported: readonly unknown[], present: readonly ClientEvent[]): ClientEvent[] {
  const shaped = shapeOf(z.array(clientEventSchema), imported)
  if (!shaped.ok) {
    const message = `the import of client "${clientId}" holds what is no entry of a vault`
    return fail({ code: 'VAULT_UNREADABLE', message, found: inWords(shaped.faults) })
  }
  const there = new Set(present.map(inOrder))
  return shaped.value.filter((event) => !there.has(inOrder(event)))
}
