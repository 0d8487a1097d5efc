/**
 * The vault as one run uses it: which calls are written down before they leave, what is kept of their answers, and which
 * changes of a client the run has made.
 */

import type { Kept, Ports } from '../execute/index.ts'
import { decoded } from '../record/coding.ts'
import { fail } from '../record/errors.ts'
import type { Command } from '../record/hints.ts'
import type { Registration, Vault } from '../vault/index.ts'
import { changesOf, deletesItself, type Selected } from './confirmation.ts'
import type { ChangeMade } from './message.ts'

type VaultPort = Ports['vault']

export interface RunVaultOptions {
  readonly vault: Vault
  readonly runId: string
  /** the client and the application that the run is about, as the environment names them */
  readonly clientId: string | undefined
  readonly softwareId: string | undefined
  readonly now: () => Date
  /** the commands that a warning names, with the environment of the run */
  readonly command: Command
  /** called with each successful answer that changes no registration, unredacted */
  readonly onAnswer?: ((answer: { readonly step: string; readonly body: Uint8Array }) => void) | undefined
}

/** For the calls to one counterparty. */
export class RunVault {
  /** changes of a client that the calls made or may have made, oldest first */
  readonly changes: ChangeMade[] = []
  /** problems that kept no answer from being kept, in words */
  readonly warnings: string[] = []
  readonly port: VaultPort
  readonly #options: RunVaultOptions
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

  async #manages({ url, authorization }: Parameters<VaultPort['manages']>[0]): Promise<boolean> {
    return await this.#options.vault.manages(url, bearerIn(authorization))
  }

  async #begin(call: Parameters<VaultPort['begin']>[0]): ReturnType<VaultPort['begin']> {
    const { step, effect, method, url, authorization } = call
    const { vault, runId, clientId, softwareId } = this.#options
    if (effect === 'delete') this.#demandOwn()
    const before = await this.#registration()
    const purpose = this.#workflow !== undefined && deletesItself(this.#workflow) ? 'temporary' : 'kept'
    const token = bearerIn(authorization)
    const intent = await vault.begin({ effect, method, url, token, step, runId, clientId, softwareId, purpose })
    const about = { change: effect, clientId: intent.clientId, scopesBefore: before?.scopes }
    return {
      keep: async (answer) => {
        const kept = await intent.keep(answer)
        const outcome = outcomeOf(answer)
        if (effect === 'register' && outcome === undefined)
          this.warnings.push(whatTheVaultHolds(before, about.clientId, this.#options.command))
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
    const { vault, runId, clientId, softwareId, onAnswer } = this.#options
    const news = this.#newsOf(await vault.keep({ ...answer, runId, clientId, softwareId }), answer.status)
    const content = decoded(answer.body, answer.coding)
    onAnswer?.({ step: answer.step, body: content.ok ? content.bytes : answer.body })
    return news
  }

  async #worked(authorization: string, step: string): Promise<void> {
    const { vault, runId } = this.#options
    const registration = await this.#registration()
    const token = [registration?.registrationAccessToken, ...(registration?.fallbacks ?? [])].find(
      (one) => one !== undefined && authorization === `Bearer ${one.reveal()}`,
    )
    if (registration !== undefined && token !== undefined)
      await vault.worked(registration.clientId, { token, runId, step })
  }

  async #read(member: Parameters<VaultPort['read']>[0]): Promise<string | undefined> {
    const registration = await this.#registration()
    return member === 'registration_client_uri'
      ? registration?.registrationClientUri
      : registration?.registrationAccessToken?.reveal()
  }

  async #registration(): ReturnType<Vault['current']> {
    const { vault, clientId, softwareId } = this.#options
    return await vault.current({ clientId, softwareId })
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

function bearerIn(authorization: string | undefined): string | undefined {
  return authorization?.replace(/^Bearer\s+/i, '')
}

/** What the status of an answer says of a change; undefined: it was refused. It is 0 where it cannot be told. */
function outcomeOf({ status }: { readonly status: number }): ChangeMade['outcome'] | undefined {
  if (status >= 200 && status <= 299) return 'done'
  return status >= 500 || status === 408 || status < 200 ? 'unknown' : undefined
}

/** A server that refuses a registration seldom says whether the client is there; what the vault holds helps to tell. */
function whatTheVaultHolds(registration: Registration | undefined, clientId: string, command: Command): string {
  if (registration !== undefined) {
    const { keptAt, runId } = registration
    return `the registration was refused; the vault holds a registration of "${registration.clientId}", kept at ${keptAt} by run ${runId}`
  }
  return `the registration was refused, and the vault holds none of "${clientId}": if the client was registered elsewhere, for example with Postman, ${command('import')} brings its registration variables; a client that Thredd alone can delete: ${command('askToDelete')}`
}
