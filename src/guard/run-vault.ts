/**
 * The vault as one run uses it: which calls are written down before they leave, what is kept of their answers, and which
 * changes of a client the run has made.
 */

import type { Kept, Ports } from '../execute/index.ts'
import { fail } from '../record/errors.ts'
import type { Vault } from '../vault/index.ts'
import { changesOf, deletesItself, type Selected } from './confirmation.ts'
import type { ChangeMade } from './message.ts'

type VaultPort = Ports['vault']

export interface RunVaultOptions {
  readonly vault: Vault
  readonly runId: string
  /** the client that the run is about */
  readonly clientId: string | undefined
  readonly now: () => Date
  /** called with each successful answer that changes no registration, unredacted */
  readonly onAnswer?: ((answer: { readonly step: string; readonly body: Uint8Array }) => void) | undefined
}

/** For the calls to one counterparty. Disposing it says that the run no longer looks after the clients it was to delete. */
export class RunVault implements Disposable {
  /** changes of a client that the calls made or may have made, oldest first */
  readonly changes: ChangeMade[] = []
  /** problems that kept no answer from being kept, in words */
  readonly warnings: string[] = []
  readonly port: VaultPort
  readonly #options: RunVaultOptions
  readonly #attended = new Map<string, Disposable>()
  #workflow: Selected | undefined
  #hasRegistered = false

  constructor(options: RunVaultOptions) {
    this.#options = options
    this.port = {
      manages: (call) => this.#manages(call),
      begin: (call) => this.#begin(call),
      keep: (answer) => this.#keep(answer),
      worked: (authorization, step) => this.#worked(authorization, step),
      read: (member) => this.#read(member),
    }
  }

  /** The calls that follow belong to this workflow. */
  enter(workflow: Selected): void {
    this.#workflow = workflow
  }

  /** Whether one of the calls has registered a client. */
  get hasRegistered(): boolean {
    return this.#hasRegistered
  }

  [Symbol.dispose](): void {
    for (const attended of this.#attended.values()) attended[Symbol.dispose]()
  }

  async #manages({ url, authorization }: Parameters<VaultPort['manages']>[0]): Promise<boolean> {
    const registration = await this.#registration()
    const bearer = authorization?.replace(/^Bearer\s+/i, '')
    const tokens = [registration?.registrationAccessToken, registration?.fallback]
    return (
      url === registration?.registrationClientUri ||
      (bearer !== undefined && tokens.some((token) => token?.reveal() === bearer))
    )
  }

  async #begin({ step, effect, method, url }: Parameters<VaultPort['begin']>[0]): ReturnType<VaultPort['begin']> {
    const { vault, runId, clientId } = this.#options
    if (effect === 'delete') this.#demandOwn()
    const before = await this.#registration()
    const purpose = this.#workflow !== undefined && deletesItself(this.#workflow) ? 'temporary' : 'kept'
    if (effect === 'register' && purpose === 'temporary') await this.#attend()
    const intent = await vault.begin({ effect, method, url, step, runId, clientId, purpose })
    const about = { change: effect, clientId: clientId ?? '', scopesBefore: before?.scopes }
    return {
      keep: async (answer) => {
        const kept = await intent.keep(answer)
        const outcome = outcomeOf(answer, effect === 'register' && before === undefined)
        const { clientId: named = about.clientId, scopes } = kept?.registration ?? {}
        if (outcome !== undefined) this.#note({ ...about, outcome, clientId: named, scopesAfter: scopes })
        return this.#newsOf(kept, answer.status)
      },
      close: async (outcome) => {
        if (outcome === 'unknown') this.#note({ ...about, outcome, scopesAfter: undefined })
        await intent.close(outcome)
      },
    }
  }

  async #keep(answer: Parameters<VaultPort['keep']>[0]): ReturnType<VaultPort['keep']> {
    const { vault, runId, clientId, onAnswer } = this.#options
    const news = this.#newsOf(await vault.keep({ ...answer, runId, clientId }), answer.status)
    onAnswer?.(answer)
    return news
  }

  async #worked(authorization: string, step: string): Promise<void> {
    const { vault, runId, clientId } = this.#options
    const registration = await this.#registration()
    const token = [registration?.registrationAccessToken, registration?.fallback].find(
      (one) => one !== undefined && authorization === `Bearer ${one.reveal()}`,
    )
    if (clientId !== undefined && token !== undefined) await vault.worked(clientId, { token, runId, step })
  }

  async #read(member: Parameters<VaultPort['read']>[0]): Promise<string | undefined> {
    const registration = await this.#registration()
    return member === 'registration_client_uri'
      ? registration?.registrationClientUri
      : registration?.registrationAccessToken?.reveal()
  }

  async #registration(): ReturnType<Vault['current']> {
    const { vault, clientId } = this.#options
    return clientId === undefined ? undefined : await vault.current(clientId)
  }

  async #attend(): Promise<void> {
    const { vault, clientId } = this.#options
    if (clientId !== undefined && !this.#attended.has(clientId))
      this.#attended.set(clientId, await vault.attend(clientId))
  }

  #note(change: Omit<ChangeMade, 'at'>): void {
    this.changes.push({ ...change, at: this.#options.now().toISOString() })
  }

  /** A workflow that registers first deletes only what it has registered, never a client that was there before. */
  #demandOwn(): void {
    const isOwn = this.changes.some(({ change, outcome }) => change === 'register' && outcome === 'done')
    if (this.#workflow === undefined || isOwn || changesOf(this.#workflow)[0] !== 'register') return
    fail({
      code: 'VALUE_UNDEFINED',
      message: 'this run has registered no client, and leaves the one that is there alone',
    })
  }

  #newsOf(kept: Awaited<ReturnType<Vault['keep']>>, status: number): Kept | undefined {
    if (kept?.problem !== undefined) this.warnings.push(kept.problem.message)
    if (kept === undefined || (status !== 201 && !kept.rotated)) return undefined
    if (status === 201) this.#hasRegistered = true
    const news = status === 201 ? 'registered' : 'rotated'
    return { clientId: kept.registration.clientId, news, problem: kept.problem }
  }
}

/** What an answer says of a change; undefined: it was refused. `isFirst`: a registration, and no client was known before. */
function outcomeOf(
  answer: { readonly status: number; readonly body: Uint8Array },
  isFirst: boolean,
): ChangeMade['outcome'] | undefined {
  const { status } = answer
  if (status >= 200 && status <= 299) return 'done'
  if (status >= 500 || status === 408) return 'unknown'
  return isFirst && saysItExists(answer) ? 'exists' : undefined
}

/** RFC 7591 has no error code for it; the words are those of the authorization server's product. */
function saysItExists({ status, body }: { readonly status: number; readonly body: Uint8Array }): boolean {
  return status === 409 || (status === 400 && /already|exists/i.test(new TextDecoder().decode(body)))
}
