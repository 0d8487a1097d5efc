/**
 * The vault as one run uses it: which calls are written down before they leave, what is kept of their answers, and which
 * changes of a client the run has made.
 */

import type { Kept, Ports } from '../execute/index.ts'
import { decoded } from '../record/coding.ts'
import type { Change, ChangeMade } from '../record/effect.ts'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import { type Command, shellWord } from '../record/hints.ts'
import { refusalOf } from '../record/refusals.ts'
import { provesDeletion, type Registration, rawOf, type Vault } from '../vault/index.ts'
import { changesOf, deletesItself, mayDeleteClientOf, type Selected } from './confirmation.ts'

type VaultPort = Ports['vault']

export interface RunVaultOptions {
  readonly vault: Vault
  readonly runId: string
  /** the client and the application that the run is about, as the environment names them */
  readonly clientId: string | undefined
  readonly softwareId: string | undefined
  readonly now: () => Date
  /** x5t#S256 of an identity's certificate (RFC 8705 §3.1), "none" for none; undefined where it is not known */
  readonly thumbprintOf: (identity: string) => string | undefined
  /** the commands that a warning names, with the environment of the run */
  readonly command: Command
  /** absent where the embedded twin answers: its clients are nobody's */
  readonly admission?: Admission | undefined
  /** called with each successful answer that changes no registration, unredacted */
  readonly onAnswer?: ((answer: { readonly step: string; readonly body: Uint8Array }) => void) | undefined
}

/** What the guard went by when it let the run begin. */
export interface Admission {
  /** what the vault held of the client */
  readonly registration: Registration | undefined
  /** the client id that a person repeated, with --confirm or at the terminal */
  readonly confirmed: string | undefined
  /** a client that is there may be deleted by a workflow that says so, without a confirmation: class mock */
  readonly deletesUnconfirmed: boolean
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
  /** the clients that the run has registered, each with the workflow that did it last */
  readonly #registeredBy = new Map<string, Selected>()
  #known: Registration | undefined

  constructor(options: RunVaultOptions) {
    this.#options = options
    this.#known = options.admission?.registration
    this.port = {
      manages: (call) => this.#manages(call),
      begin: (call) => this.#begin(call),
      keep: (answer, onWritten) => this.#keep(answer, onWritten),
      worked: (authorization, by) => this.#worked(authorization, by),
      read: (member) => this.#read(member),
    }
  }

  /** The calls that follow belong to this workflow. */
  enter(workflow: Selected): void {
    this.#workflow = workflow
  }

  /** The client as the guard or this run itself has last seen it. */
  get known(): Registration | undefined {
    return this.#known
  }

  /** Whether one of the calls has registered a client. */
  get hasRegistered(): boolean {
    return this.#hasRegistered
  }

  async #manages({ url, authorization }: Parameters<VaultPort['manages']>[0]): Promise<boolean> {
    return await this.#options.vault.manages(url, bearerIn(authorization))
  }

  async #begin(call: Parameters<VaultPort['begin']>[0]): ReturnType<VaultPort['begin']> {
    const { step, identity, effect, method, url, authorization, mustBeRefused } = call
    const { vault, runId, clientId, softwareId, thumbprintOf } = this.#options
    const purpose = this.#workflow !== undefined && deletesItself(this.#workflow) ? 'temporary' : 'kept'
    const token = bearerIn(authorization)
    const by = { step, runId, thumbprint: thumbprintOf(identity) }
    const intent = await vault
      .begin({ effect, method, url, token, ...by, clientId, softwareId, purpose })
      .catch((error) => failed(error, '; nothing was sent'))
    // From here on no other process changes this client; what one did while this one waited is seen now.
    const before = await this.#registration()
    try {
      this.#demandAsKnown(before)
      if (effect === 'delete') this.#demandOwn(intent.clientId)
    } catch (error) {
      await intent.close('not-sent')
      throw error
    }
    const about = { change: effect, clientId: intent.clientId, scopesBefore: before?.scopes }
    return {
      keep: async (answer, onWritten) => {
        const outcome = outcomeOf(effect, answer)
        const kept = await intent.keep(answer, onWritten).catch(async (error: unknown) => {
          if (outcome !== undefined) this.#note({ ...about, outcome, scopesAfter: undefined })
          if (outcome === 'done') this.#noteRegistered(effect, about.clientId)
          await intent.close('answered')
          const open = (await vault.unsettled().catch(() => [])).find(({ id }) => id === intent.id)
          return notKept(error, { step, status: answer.status, next: open?.next })
        })
        if (effect === 'register' && !mustBeRefused && isDuplicate(answer))
          this.warnings.push(whatTheVaultHolds(before, about.clientId, this.#options.command))
        const { clientId: named = about.clientId, scopes } = kept?.registration ?? {}
        if (outcome !== undefined) this.#note({ ...about, outcome, clientId: named, scopesAfter: scopes })
        if (outcome === 'done') await this.#changed(effect, named, kept?.registration)
        return this.#newsOf(kept, answer.status)
      },
      close: async (outcome) => {
        if (outcome === 'unknown') this.#note({ ...about, outcome, scopesAfter: undefined })
        await intent.close(outcome)
      },
    }
  }

  async #keep(...[{ identity, ...answer }, onWritten]: Parameters<VaultPort['keep']>): ReturnType<VaultPort['keep']> {
    const { vault, runId, clientId, softwareId, thumbprintOf, onAnswer } = this.#options
    const by = { runId, thumbprint: thumbprintOf(identity) }
    const kept = await vault.keep({ ...answer, ...by, clientId, softwareId }, onWritten).catch((error: unknown) =>
      notKept(error, {
        ...answer,
        next: 'a token that it brought is lost; run it again: where the server gave a new token the one in the vault is refused',
      }),
    )
    if (kept !== undefined) await this.#changed('update', kept.registration.clientId, kept.registration)
    const content = decoded(answer.body, answer.coding)
    onAnswer?.({ step: answer.step, body: content.ok ? content.bytes : answer.body })
    return this.#newsOf(kept, answer.status)
  }

  async #worked(...[authorization, { step, identity }]: Parameters<VaultPort['worked']>): Promise<void> {
    const { vault, runId, thumbprintOf } = this.#options
    const registration = await this.#registration()
    const token = [registration?.registrationAccessToken, ...(registration?.fallbacks ?? [])].find(
      (one) => one !== undefined && authorization === `Bearer ${one.reveal()}`,
    )
    if (registration === undefined || token === undefined) return
    await vault
      .worked(registration.clientId, { token, runId, step, thumbprint: thumbprintOf(identity) })
      .catch((error) => failed(error))
    // A fallback that works is the current token again.
    if (isSame(registration, this.#known)) this.#known = { ...registration, registrationAccessToken: token }
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

  /** This run itself has changed a client; of that which the run is about it knows how it is now. */
  async #changed(change: Change, clientId: string, registration: Registration | undefined): Promise<void> {
    this.#noteRegistered(change, clientId)
    const ours = await this.#registration()
    if (ours === undefined || ours.clientId === clientId) this.#known = registration
  }

  #noteRegistered(change: Change, clientId: string): void {
    if (change === 'register' && this.#workflow !== undefined) this.#registeredBy.set(clientId, this.#workflow)
  }

  /** What the guard let pass, it let pass for the client as it was then. */
  #demandAsKnown(now: Registration | undefined): void {
    const problem = this.#options.admission && clientChanged(now, this.#known, this.#options)
    if (problem !== undefined) fail(problem)
  }

  /**
   * A client is deleted by a workflow that has itself registered it, or was given it, or that a person has confirmed it for.
   * One that begins with a registration means its own client: a confirmation was not for what was there before.
   */
  #demandOwn(clientId: string): void {
    const workflow = this.#workflow
    if (workflow === undefined || this.#isOwn(clientId, workflow)) return
    const { admission } = this.#options
    const meansItsOwn = changesOf(workflow)[0] === 'register'
    if (!meansItsOwn && (admission === undefined || admission.deletesUnconfirmed || admission.confirmed === clientId))
      return
    const name = `"${workflow.workflow.workflowId}"`
    fail({
      code: 'NOT_OWN_CLIENT',
      message: meansItsOwn
        ? `${name} has registered no client in this run, and leaves the one that is there alone`
        : `client "${clientId}" was neither registered by ${name} in this run nor confirmed; nothing was sent`,
      expected: meansItsOwn ? undefined : `--confirm ${shellWord(clientId)}`,
    })
  }

  #isOwn(clientId: string, workflow: Selected): boolean {
    const by = this.#registeredBy.get(clientId)
    return by !== undefined && mayDeleteClientOf(workflow, by)
  }

  #newsOf(kept: Awaited<ReturnType<Vault['keep']>>, status: number): Kept | undefined {
    if (kept?.problem !== undefined) this.warnings.push(kept.problem.message)
    if (kept === undefined || (status !== 201 && !kept.rotated)) return undefined
    if (status === 201) this.#hasRegistered = true
    const news = status === 201 ? 'registered' : 'rotated'
    return { clientId: kept.registration.clientId, news, problem: kept.problem }
  }
}

/** Once a run has begun, a vault that cannot be written is no fault of the input. */
function failed(error: unknown, then = ''): never {
  if (!(error instanceof ToolError) || error.code !== 'VAULT_UNWRITABLE') throw error
  const [problem] = error.problems
  const message = problem.message.endsWith(then) ? problem.message : `${problem.message}${then}`
  return fail({ ...problem, code: 'VAULT_FAILED', message }, error)
}

function notKept(
  error: unknown,
  { step, status, next }: { readonly step: string; readonly status: number; readonly next: string | undefined },
): never {
  if (!(error instanceof ToolError) || error.code === 'VAULT_FAILED') throw error
  const [problem] = error.problems
  const first = problem.hint === undefined ? 'mend the vault' : problem.hint
  return fail(
    {
      ...problem,
      code: 'VAULT_FAILED',
      message: `the answer ${status === 0 ? 'that arrived' : status} of step "${step}" could not be kept: ${problem.message}`,
      hint: next === undefined ? first : `${first}; then ${next}`,
    },
    error,
  )
}

function bearerIn(authorization: string | undefined): string | undefined {
  return authorization?.replace(/^Bearer\s+/i, '')
}

/** Why a client may not be changed: others registered or changed it since the run last saw it. */
export function clientChanged(
  now: Registration | undefined,
  known: Registration | undefined,
  run: { readonly runId: string },
): Problem | undefined {
  if (now === undefined || isSame(now, known)) return undefined
  const { clientId, keptAt, runId } = now
  const isOurs = runId === run.runId
  return {
    code: 'CLIENT_CHANGED',
    message: `client "${clientId}" was registered or changed by another ${isOurs ? 'row of this run' : 'run'} since this one began; nothing was sent`,
    found: `a registration kept at ${keptAt} by ${isOurs ? 'this run' : `run ${runId}`}`,
    hint: 'run it again: it is then judged by the client as it is now',
  }
}

/** Neither registered anew nor given another token. */
function isSame(now: Registration, known: Registration | undefined): boolean {
  const token = ({ registrationAccessToken }: Registration) => registrationAccessToken?.reveal()
  return (
    known !== undefined &&
    now.clientId === known.clientId &&
    now.origin.at === known.origin.at &&
    token(now) === token(known)
  )
}

/** What the status of an answer says of a change; undefined: it was refused. It is 0 where it cannot be told. */
function outcomeOf(
  effect: Change,
  { status, ...answer }: Omit<Parameters<VaultPort['keep']>[0], 'step' | 'identity'>,
): ChangeMade['outcome'] | undefined {
  if (status >= 200 && status <= 299)
    return effect !== 'delete' || provesDeletion({ status, ...rawOf(answer) }) ? 'done' : 'unknown'
  return status >= 500 || status === 408 || status < 200 ? 'unknown' : undefined
}

/** Whether a registration was refused as one of a client that is there already. */
function isDuplicate({ status, body, coding }: Omit<Parameters<VaultPort['keep']>[0], 'step' | 'identity'>): boolean {
  const content = decoded(body, coding)
  return content.ok && refusalOf({ status, body: content.bytes.toString('utf8') }) === 'registered'
}

/** A server that refuses a duplicate seldom says which client is there; what the vault holds helps to tell. */
function whatTheVaultHolds(registration: Registration | undefined, clientId: string, command: Command): string {
  const refused = 'the registration was refused as servers refuse a second client of one application'
  if (registration !== undefined) {
    const { keptAt, runId } = registration
    return `${refused}; the vault holds a registration of "${registration.clientId}", kept at ${keptAt} by run ${runId}`
  }
  return `${refused}, and the vault holds none of "${clientId}": if the client was registered elsewhere, for example with Postman, ${command('import')} brings its registration variables; a client that Thredd alone can delete: ${command('askToDelete')}`
}
