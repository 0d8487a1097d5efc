/**
 * The vault as a run uses it: which calls are written down before they leave, what an answer means for the client, and what
 * the run has changed. Knows the workflow that is running; nothing of how it is run.
 */

import type { Kept, Ports } from '../execute/index.ts'
import { fail } from '../record/errors.ts'
import { registrationEffect, type Vault } from '../vault/index.ts'
import { changesOf, deletesItself, effectOf, type Selected } from './confirmation.ts'
import type { ChangeMade } from './message.ts'

export interface KeeperOptions {
  readonly vault: Vault
  readonly runId: string
  /** the client that the run is about */
  readonly clientId: string | undefined
  readonly now: () => Date
  /** a client was registered in this run */
  readonly onRegistered: () => void
  readonly warn: (text: string) => void
  /** told of each successful answer to a call that is not written down */
  readonly onAnswer?: ((answer: { readonly step: string; readonly body: Uint8Array }) => void) | undefined
}

/** Disposing it says that the run no longer looks after the clients that it was to delete. */
export class Keeper implements Disposable {
  /** what has become of the client, in order of time */
  readonly changes: ChangeMade[] = []
  /** what is running now; one workflow runs at a time */
  current: Selected | undefined
  readonly port: Ports['vault']
  readonly #options: KeeperOptions
  readonly #attended = new Map<string, Disposable>()

  constructor(options: KeeperOptions) {
    this.#options = options
    const { vault, runId, clientId } = options
    this.port = {
      begin: (call) => this.#begin(call),
      keep: async (answer) => {
        const news = this.#newsOf(await vault.keep({ ...answer, runId, clientId }), answer.status)
        options.onAnswer?.(answer)
        return news
      },
      worked: async (authorization, step) => {
        const registration = clientId === undefined ? undefined : await vault.current(clientId)
        const token = [registration?.registrationAccessToken, registration?.fallback].find(
          (one) => one !== undefined && authorization === `Bearer ${one.reveal()}`,
        )
        if (clientId !== undefined && token !== undefined) await vault.worked(clientId, { token, runId, step })
      },
      read: async (member) => {
        const registration = clientId === undefined ? undefined : await vault.current(clientId)
        return member === 'registration_client_uri'
          ? registration?.registrationClientUri
          : registration?.registrationAccessToken?.reveal()
      },
    }
  }

  [Symbol.dispose](): void {
    for (const attended of this.#attended.values()) attended[Symbol.dispose]()
  }

  async #begin({ step, ...request }: Parameters<Ports['vault']['begin']>[0]): ReturnType<Ports['vault']['begin']> {
    const { vault, runId, clientId, now } = this.#options
    const { method, url } = request
    // Only what manages a client is told by its token; the vault need not be read for every other call.
    const isManagement = clientId !== undefined && (method === 'PUT' || method === 'DELETE')
    const registration = isManagement ? await vault.current(clientId) : undefined
    const effect = registrationEffect(request, registration)
    if (effect === undefined) return undefined
    demandEffect(this.current, effect, step)
    if (effect === 'delete') this.#demandOwn()
    const before = registration ?? (clientId === undefined ? undefined : await vault.current(clientId))
    const purpose = this.current !== undefined && deletesItself(this.current) ? 'temporary' : 'kept'
    if (effect === 'register' && purpose === 'temporary' && clientId !== undefined && !this.#attended.has(clientId))
      this.#attended.set(clientId, await vault.attend(clientId))
    const intent = await vault.begin({ effect, method, url, step, runId, clientId, purpose })
    const note = (change: Pick<ChangeMade, 'outcome'> & Partial<ChangeMade>) =>
      this.changes.push({
        change: effect,
        clientId: clientId ?? '',
        at: now().toISOString(),
        scopesBefore: before?.scopes,
        scopesAfter: undefined,
        ...change,
      })
    return {
      keep: async (answer) => {
        const kept = await intent.keep(answer)
        const { clientId: named, scopes } = kept?.registration ?? {}
        if (answer.status >= 200 && answer.status <= 299)
          note({ outcome: 'done', scopesAfter: scopes, ...(named === undefined ? {} : { clientId: named }) })
        else if (answer.status >= 500 || answer.status === 408) note({ outcome: 'unknown' })
        else if (effect === 'register' && before === undefined && saysItExists(answer)) note({ outcome: 'exists' })
        return this.#newsOf(kept, answer.status)
      },
      close: async (outcome) => {
        if (outcome === 'unknown') note({ outcome })
        await intent.close(outcome)
      },
    }
  }

  /** A workflow that registers first deletes what it has registered, and nothing that was there before. */
  #demandOwn(): void {
    const isOwn = this.changes.some(({ change, outcome }) => change === 'register' && outcome === 'done')
    if (this.current === undefined || isOwn || changesOf(this.current)[0] !== 'register') return
    fail({
      code: 'VALUE_UNDEFINED',
      message: 'this run has registered no client, and leaves the one that is there alone',
    })
  }

  #newsOf(kept: Awaited<ReturnType<Vault['keep']>>, status: number): Kept | undefined {
    if (kept?.problem !== undefined) this.#options.warn(kept.problem.message)
    if (kept === undefined || (status !== 201 && !kept.rotated)) return undefined
    if (status === 201) this.#options.onRegistered()
    const news = status === 201 ? 'registered' : 'rotated'
    return { clientId: kept.registration.clientId, news, problem: kept.problem }
  }
}

/** A call is known by its content too: one at an address that nobody takes for a registration's is refused here. */
function demandEffect(current: Selected | undefined, change: string, step: string): void {
  if (current === undefined || effectOf(current) !== 'read') return
  fail({
    code: 'FLOW_STRUCTURE',
    message: `step "${step}" would ${change} a client, but workflow "${current.workflow.workflowId}" says that it only reads; nothing was sent`,
    at: current.workflow.at,
    expected: `x-dcr: { effect: ${change} }`,
    found: 'x-dcr: { effect: read }',
  })
}

/** RFC 7591 has no code for it; the words are the product's. */
function saysItExists({ status, body }: { readonly status: number; readonly body: Uint8Array }): boolean {
  return status === 409 || (status === 400 && /already|exists/i.test(new TextDecoder().decode(body)))
}
