/**
 * The vault: every client information response, encrypted and on disk before anything else looks at it, and each call whose
 * answer may still come. What is known stays in memory; before each use it is only looked whether the log has grown.
 * Readers need no lock: what another process is just writing is not yet there for them.
 */
import type { Problem } from '../record/errors.ts'
import type { Command } from '../record/hints.ts'
import { Secret } from '../secret/index.ts'
import { type AnnouncedCall, announce, type By, type CallAbout, type KeptAnswer, keepAnswer } from './announce.ts'
import { fingerprint, type RawAnswer } from './answer.ts'
import type { OpenCall } from './call.ts'
import type { HeldToken, HistoryEvent, Registration } from './client.ts'
import type { Event } from './event.ts'
import type { KeyRing } from './key.ts'
import { type LedgerEntry, ledgerOf } from './ledger.ts'
import type { About } from './state.ts'
import { Store, type VaultOptions } from './store.ts'
import { exported, forget, importInto, previewed, rotateKey } from './upkeep.ts'

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
      this.#store.demandNoOther()
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

  /** @see announce */
  async begin(call: CallAbout): Promise<AnnouncedCall> {
    return await announce(this.#store, call)
  }

  /** @see keepAnswer */
  async keep(answer: RawAnswer & By & About): Promise<KeptAnswer | undefined> {
    return await keepAnswer(this.#store, answer)
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

  /** @see forget */
  async forget(clientId?: string): Promise<void> {
    await forget(this.#store, clientId)
  }

  /** @see exported */
  async export(clientIds?: readonly string[]): Promise<ReturnType<typeof exported>> {
    return exported(this.#store, clientIds)
  }

  /** @see previewed */
  async preview(clientId: string, imported: readonly unknown[]): Promise<ReturnType<typeof previewed>> {
    return previewed(this.#store, clientId, imported)
  }

  /** @see importInto */
  async import(clientId: string, imported: readonly unknown[]): Promise<number> {
    return await importInto(this.#store, clientId, imported)
  }

  /** @see rotateKey */
  async rotateKey(options: { readonly dropEarlier?: boolean } = {}): ReturnType<typeof rotateKey> {
    return await rotateKey(this.#store, options)
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
}
