/**
 * The vault: every client information response, encrypted and on disk before anything else looks at it, and each call whose
 * answer may still come. What is known stays in memory; before each use it is only looked whether the log has grown.
 * Readers need no lock: what another process is just writing is not yet there for them.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fail, type Problem } from '../record/errors.ts'
import type { Command } from '../record/hints.ts'
import { shapeOf, z } from '../record/shape.ts'
import { Secret } from '../secret/index.ts'
import { credentialsIn, fingerprint, isRegistrationAnswer, type RawAnswer, rawOf } from './answer.ts'
import { type Call, type Effect, isSuccess, type OpenCall } from './call.ts'
import { Client, type HeldToken, type HistoryEvent, type Purpose, type Registration } from './client.ts'
import {
  type AnswerEvent,
  byTime,
  type CallEvent,
  type ClientEvent,
  clientEventSchema,
  type Event,
  inWords,
} from './event.ts'
import { POLL_MS } from './folder.ts'
import type { KeyRing } from './key.ts'
import { type LedgerEntry, ledgerOf } from './ledger.ts'
import { type About, clientOf } from './state.ts'
import { Store, type VaultOptions } from './store.ts'

/** Who did it, for the history. */
export interface By {
  readonly runId: string
  readonly step: string
}

/** A call as it is about to leave; `clientId` and `softwareId` are those that the environment names. */
export interface CallAbout extends By, About {
  readonly effect: Effect
  readonly method: string
  readonly url: string
  /** the registration access token that it carries */
  readonly token?: string | undefined
  /** of a registration: whether the run means to delete the client again; default: it is kept */
  readonly purpose?: Purpose | undefined
}

export interface Kept {
  readonly registration: Registration
  /** an earlier token was replaced by a different one */
  readonly rotated: boolean
  /** something else in the vault cannot be read; the answer is safe all the same */
  readonly problem: Problem | undefined
}

/** A call that changes a registration, written down before it leaves. Disposing it unclosed leaves it open. */
export interface Intent extends AsyncDisposable {
  readonly id: string
  /** the client that it is about, as far as that was known when it left */
  readonly clientId: string
  /**
   * Makes the answer durable before anything parses it. Undefined where it registers nothing.
   *
   * @throws VAULT_UNWRITABLE where it could be put nowhere; the call then stays open
   */
  keep(answer: RawAnswer): Promise<Kept | undefined>
  /**
   * `answered`: settled by the answer that was kept, unless that does not say how the call ended (a 5xx, a registration
   * without its token). `not-sent`: only where the transport says that nothing left. `unknown`: stays open. The first counts.
   */
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/** Whose API access token, from which server, for what, and bound to which certificate. */
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

  /** Undefined where there is no vault yet. */
  get ring(): KeyRing | undefined {
    return this.#store.log.ring
  }

  /**
   * Proves, before anything is sent, that an answer can be kept: everything in the log can be read, and there is room for an
   * answer. Returns warnings in words: a key that was made, permissions that were open, a line that a dying process left,
   * each open call with its next step.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE, VAULT_KEY
   */
  async prepare(): Promise<readonly string[]> {
    return await this.#store.exclusively(() => {
      const made = this.#store.ensure()
      this.#store.demandReadable()
      const tidied = this.#store.tidy()
      this.#store.writer.makeRoom()
      return [...made, ...tidied, ...this.#openInWords()]
    })
  }

  /** Each open call with its next step, in words; of one run only, where that is named. */
  async warnings({ runId }: { readonly runId?: string } = {}): Promise<readonly string[]> {
    this.#store.look()
    return this.#openInWords(runId)
  }

  /**
   * Writes down, durably, that a call is about to leave, with disk space for its answer set aside. One process at a time
   * changes one client: another waits.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE; USAGE where it is not clear which client is meant; then nothing may be sent
   */
  async begin(call: CallAbout): Promise<Intent> {
    for (let waited = 0; ; waited += POLL_MS) {
      const tried = await this.#store.exclusively(() => this.#begin(call))
      if ('intent' in tried) return tried.intent
      if (waited >= this.#store.waitMs) {
        const { clientId, step, runId, at } = tried.busy
        fail({
          code: 'VAULT_UNWRITABLE',
          message: `client "${clientId}" is being changed by another process`,
          found: `step "${step}" of run ${runId}, which left at ${at} and has no answer yet`,
          hint: 'let the other run end, or stop it; nothing was sent',
        })
      }
      await sleep(POLL_MS)
    }
  }

  /**
   * Keeps any 2xx answer that carries registration_access_token or registration_client_uri at whatever depth, whatever else
   * is odd about it. It is durable when this resolves. Undefined: it carries neither.
   *
   * @throws VAULT_UNWRITABLE
   */
  async keep({ status, body, coding, runId, step, ...about }: RawAnswer & By & About): Promise<Kept | undefined> {
    const raw = rawOf(body, coding)
    if (!isRegistrationAnswer({ status, ...raw })) return undefined
    return await this.#store.exclusively(() => {
      this.#store.ensure()
      const { clientId: askedAs, softwareId } = about
      const named = credentialsIn(raw).clientId ?? this.#store.state.found(about)?.id ?? askedAs
      const clientId = named ?? unknownClient({ runId, step })
      const client = this.#store.state.client(clientId)
      const settles = this.#store.free(clientId)
      const event: AnswerEvent = {
        kind: 'answer',
        ...raw,
        clientId,
        askedAs,
        softwareId,
        runId,
        step,
        status,
        settles,
        at: this.#store.at(),
      }
      // A server that is only read says the same each time; the log need not grow by it.
      if (!client?.isLive || !isSame(client.newestAnswer, raw) || settles.length > 0) this.#store.write(event)
      return this.#kept(event)
    })
  }

  /**
   * A management call with this token (default: the current one) succeeded, and its answer brought no other: the tokens
   * before it are superseded, and open calls of the client are settled. A fallback that works becomes current again.
   *
   * @throws VAULT_UNREADABLE, VAULT_UNWRITABLE
   */
  async worked(clientId: string, by: Partial<By> & { readonly token?: Secret | undefined } = {}): Promise<void> {
    const { token, ...who } = by
    await this.#store.exclusively(() => {
      this.#store.demandReadable()
      const client = this.#store.state.client(clientId)
      const { registrationAccessToken: current, workedAt } = client?.registration() ?? {}
      const proven = (token ?? current)?.reveal()
      if (client === undefined || proven === undefined) return
      const settles = this.#store.free(clientId)
      const isNews = client.isLive && client.holds(proven) && (proven !== current?.reveal() || workedAt === undefined)
      if (!isNews && settles.length === 0) return
      const event: Event = {
        kind: 'worked',
        at: this.#store.at(),
        clientId,
        token: fingerprint(proven),
        ...who,
        settles,
      }
      // Should it be lost, an earlier token stays a little longer.
      this.#store.log.append(event, { durable: settles.length > 0 })
    })
  }

  /**
   * Undefined for a client that is unknown or marked deleted.
   *
   * @throws VAULT_UNREADABLE; USAGE where several clients may be meant
   */
  async current(about: string | About): Promise<Registration | undefined> {
    const client = this.#store.readable().find(typeof about === 'string' ? { clientId: about } : about)
    return client?.isLive ? client.registration() : undefined
  }

  /** Whether this address, or this token, manages a client that is registered. @throws VAULT_UNREADABLE */
  async manages(url: string, token: string | undefined): Promise<boolean> {
    return this.#store.readable().managed(url, token) !== undefined
  }

  /** Every registration access token that the client was ever given, oldest first. @throws VAULT_UNREADABLE */
  async tokens(clientId: string): Promise<readonly HeldToken[]> {
    return this.#store.readable().client(clientId)?.tokens() ?? []
  }

  /** An API access token that was kept for just these; whether it is still good is the caller's to judge. */
  async accessToken({ clientId, server, scope: asked, thumbprint }: TokenUse): Promise<StoredToken | undefined> {
    const stored = this.#store
      .look()
      .tokens()
      .findLast(
        (one) =>
          one.clientId === clientId && one.server === server && one.asked === asked && one.thumbprint === thumbprint,
      )
    if (stored === undefined) return undefined
    const { accessToken, receivedAt, expiresAt, scope } = stored
    const token = { accessToken: new Secret(accessToken, 'access_token'), receivedAt, expiresAt }
    return scope === undefined ? token : { ...token, scope }
  }

  /** Losing it costs nothing but a call. @throws VAULT_UNWRITABLE */
  async keepAccessToken({ scope: asked, ...use }: TokenUse, { accessToken, ...rest }: StoredToken): Promise<void> {
    await this.#store.exclusively(() => {
      this.#store.ensure()
      const event: Event = {
        kind: 'token',
        at: this.#store.at(),
        asked,
        ...use,
        ...rest,
        accessToken: accessToken.reveal(),
      }
      this.#store.log.append(event, { durable: false })
    })
  }

  /** All clients, deleted ones too, and what cannot be read. */
  async list(): Promise<{ readonly registrations: readonly Registration[]; readonly unreadable: readonly Problem[] }> {
    const registrations = this.#store
      .look()
      .clients()
      .flatMap((client) => client.registration() ?? [])
      .sort((a, b) => (a.clientId < b.clientId ? -1 : 1))
    return { registrations, unreadable: this.#store.problems }
  }

  /** Oldest first; empty for an unknown client. @throws VAULT_UNREADABLE */
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

  /** Marks the client deleted after a proven DELETE; its history stays. @throws VAULT_UNREADABLE, VAULT_UNWRITABLE */
  async remove(clientId: string, by?: By): Promise<void> {
    await this.#store.exclusively(() => {
      this.#store.demandReadable()
      const settles = this.#store.free(clientId)
      if (settles.length === 0 && !this.#store.state.client(clientId)?.isLive) return
      this.#store.log.append({ kind: 'deleted', at: this.#store.at(), clientId, ...by, settles }, { durable: true })
    })
  }

  /**
   * Writes the log anew without this client (default: without any).
   *
   * @throws VAULT_UNREADABLE, VAULT_UNWRITABLE; USAGE where a call of the client is open, or any is on the way
   */
  async forget(clientId?: string): Promise<void> {
    await this.#store.exclusively(() => {
      this.#store.demandReadable()
      const all = this.#store.state.open()
      const [open] =
        clientId === undefined ? all.filter((one) => this.#store.isOnTheWay(one)) : this.#store.state.openOf(clientId)
      if (open !== undefined) {
        fail({
          code: 'USAGE',
          message: `a call of client "${open.clientId}" is open; its record is not destroyed`,
          hint: `settle it first: ${this.command('readClient', { client: open.clientId })}`,
        })
      }
      if (!this.#store.log.exists) return
      this.#store.log.replace(this.#store.without(clientId ?? null))
    })
  }

  /** Everything there is of these clients (default: all); nothing unreadable is passed over. @throws VAULT_UNREADABLE */
  async export(clientIds?: readonly string[]): Promise<readonly { clientId: string; entries: readonly unknown[] }[]> {
    return this.#store
      .readable()
      .clients()
      .filter(({ id, events }) => events.length > 0 && (clientIds === undefined || clientIds.includes(id)))
      .map(({ id, events }) => ({ clientId: id, entries: [...events] }))
  }

  /** What `import` would make of a client, and how many entries it would add. @throws VAULT_UNREADABLE */
  async preview(
    clientId: string,
    imported: readonly unknown[],
  ): Promise<{ readonly added: number; readonly before: Client; readonly after: Client }> {
    const before = this.#store.readable().client(clientId) ?? new Client(clientId)
    const added = newEntries(clientId, imported, before)
    const after = new Client(clientId)
    for (const event of [...before.events, ...added].sort(byTime)) after.take(event)
    return { added: added.length, before, after }
  }

  /** Adds what is not there yet; returns how many entries that were. @throws VAULT_UNREADABLE */
  async import(clientId: string, imported: readonly unknown[]): Promise<number> {
    return await this.#store.exclusively(() => {
      this.#store.ensure()
      this.#store.demandReadable()
      const added = newEntries(clientId, imported, this.#store.state.client(clientId))
      for (const [index, event] of added.entries())
        this.#store.log.append(event, { durable: index === added.length - 1 })
      return added.length
    })
  }

  /**
   * Writes the log anew with a new key; at each moment both are in the key file. One that was cut short is finished with the
   * key it had made. `dropEarlier` then forgets the earlier keys: whatever else is sealed with them can no longer be read.
   *
   * @throws VAULT_UNWRITABLE, also while a call is on the way; VAULT_UNREADABLE, VAULT_KEY
   */
  async rotateKey({ dropEarlier = false } = {}): Promise<{ readonly lines: number; readonly made: boolean }> {
    return await this.#store.exclusively(() => {
      this.#store.ensure()
      this.#store.demandReadable()
      const call = this.#store.state.open().find((one) => this.#store.isOnTheWay(one))
      if (call !== undefined) {
        fail({
          code: 'VAULT_UNWRITABLE',
          message: 'the vault key cannot be changed while a call is on the way',
          found: `step "${call.step}" of run ${call.runId}`,
          hint: 'let the run end, and try again',
        })
      }
      const made = this.#store.log.rotate(this.#store.without(undefined), { dropEarlier })
      return { lines: this.#store.log.lines, made }
    })
  }

  /** Lists what cannot be read, open permissions and what processes that died have left. */
  async check(): Promise<{
    readonly lines: number
    readonly problems: readonly Problem[]
    readonly warnings: readonly string[]
  }> {
    this.#store.look()
    return { lines: this.#store.log.lines, problems: this.#store.problems, warnings: this.#store.untidy() }
  }

  /** Of the log, in bytes. */
  get size(): number {
    return this.#store.log.size
  }

  /** This process is done: no call of it is on the way. Never fails. What is kept after it is safe too. */
  async close(): Promise<void> {
    this.#store.close()
  }

  #openInWords(runId?: string): readonly string[] {
    return this.#store
      .open()
      .filter((one) => runId === undefined || one.runId === runId)
      .map(({ effect, clientId, known, next }) => `open ${effect} of client "${clientId}": ${known}; ${next}`)
  }

  #begin(call: CallAbout): { readonly intent: Intent } | { readonly busy: Call } {
    const { token, purpose = 'kept', clientId: askedAs, ...rest } = call
    this.#store.ensure()
    this.#store.demandReadable()
    const managed = call.effect === 'register' ? undefined : this.#store.state.managed(call.url, token)
    const clientId = (managed ?? this.#store.state.find(call))?.id ?? askedAs ?? unknownClient(call)
    const busy = this.#store.state.openOf(clientId).find((one) => this.#store.isOnTheWay(one))
    if (busy !== undefined) return { busy }
    this.#store.writer.makeRoom()
    const writer = this.#store.writer.begin()
    const event: CallEvent = {
      ...rest,
      kind: 'call',
      at: this.#store.at(),
      id: randomUUID(),
      clientId,
      askedAs,
      purpose,
      writer,
    }
    this.#store.begin(event)
    return { intent: this.#intent(event) }
  }

  #intent({ id, clientId, askedAs, softwareId, effect, purpose, runId, step, writer }: CallEvent): Intent {
    let isClosed = false
    const close: Intent['close'] = async (outcome) => {
      if (isClosed) return
      isClosed = true
      this.#store.over(id)
      // Any other end follows from the answer that was kept.
      const how = outcome === 'unknown' ? 'unanswered' : outcome
      if (how !== 'answered') await this.#store.exclusively(() => this.#store.end(id, how)).catch(() => undefined)
    }
    const keep = async ({ status, body, coding }: RawAnswer) =>
      await this.#store.exclusively(() => {
        this.#store.ensure()
        // All that is needed of the call, should it be gone.
        const of = { call: id, clientId, askedAs, softwareId, effect, purpose, runId, step, writer }
        const event: AnswerEvent = { kind: 'answer', at: this.#store.at(), status, ...rawOf(body, coding), ...of }
        this.#store.write(event)
        return isSuccess(status) ? this.#kept(event) : undefined
      })
    return { id, clientId, keep, close, [Symbol.asyncDispose]: () => close('unknown') }
  }

  #kept(event: AnswerEvent): Kept | undefined {
    const client = this.#store.state.client(clientOf(event))
    const registration = client?.isLive ? client.registration() : undefined
    if (client === undefined || registration === undefined) return undefined
    const rotated = client.history.some(({ at, what }) => at === event.at && what === 'rotated')
    return { registration, rotated, problem: this.#store.log.problem }
  }
}

function unknownClient({ runId, step }: By): string {
  return `unknown (run ${runId}, step ${step})`
}

function isSame(a: AnswerEvent | undefined, b: Pick<AnswerEvent, 'body' | 'encoding' | 'coding'>): boolean {
  return a?.body === b.body && a.encoding === b.encoding && a.coding === b.coding
}

function newEntries(clientId: string, imported: readonly unknown[], present: Client | undefined): ClientEvent[] {
  const shaped = shapeOf(z.array(clientEventSchema), imported)
  if (!shaped.ok) {
    const message = `the import of client "${clientId}" holds what is no entry of a vault`
    return fail({ code: 'VAULT_UNREADABLE', message, found: inWords(shaped.faults) })
  }
  const there = new Set(present?.events.map((event) => JSON.stringify(event)))
  return shaped.value.filter((event) => !there.has(JSON.stringify(event)))
}
