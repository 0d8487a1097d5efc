/**
 * What workflows are given before they begin (`x-dcr: given`): made on the embedded twin, looked up in the vault, or left to
 * a person. Decides which of the three it is, and what is said about it.
 */

import type { Environment } from '../environment/index.ts'
import { GIVEN, type Given, remedyOf, roleOf } from '../flow/arazzo/given.ts'
import type { Workflow } from '../flow/index.ts'
import type { Problem } from '../record/errors.ts'
import { commandsFor } from '../record/hints.ts'
import type { GivenRecord, WorkflowRecord } from '../record/index.ts'

/** One thing that a workflow is given, as it can be said before the run. */
export interface Expectation extends Pick<GivenRecord, 'workflowId' | 'name' | 'means' | 'how'> {
  readonly remedy: string
}

/** Makes it so on the embedded twin, as Thredd and its CA would. A registration is made by running a flow instead. */
export type Fulfil = (
  name: Exclude<Given, 'registration'>,
  about: { readonly clientId: string | undefined; readonly softwareId: string | undefined },
) => Promise<void>

export function expectationsOf(
  workflows: readonly Workflow[],
  { environment, isOnTwin }: { readonly environment: Pick<Environment, 'flags'>; readonly isOnTwin: boolean },
): readonly Expectation[] {
  const command = commandsFor(environment.flags)
  return workflows.flatMap(({ workflowId, given }) =>
    given.filter(isOpen(isOnTwin)).map((name): Expectation => {
      const how = isOnTwin ? 'made on the twin' : (LOOKED_UP[name] ?? 'not checked')
      const { means } = GIVEN[name]
      return { workflowId, name, means, remedy: remedyOf(name, command), how }
    }),
  )
}

/** Where a run looks by itself whether it is so. */
const LOOKED_UP: Readonly<Partial<Record<Given, GivenRecord['how']>>> = {
  registration: 'in the vault',
  signing_key_listed: 'in the keystore',
  renewed_signing_key_listed: 'in the keystore',
  renewed_transport_certificate_listed: 'in the keystore',
  renewed_transport_certificate: 'in the files',
  renewed_signing_key: 'in the files',
}

/** Which key or certificate of the files the keystore is asked for. */
export const LISTED: Readonly<Partial<Record<Given, { readonly key: AskedKey; readonly inWords: string }>>> = {
  signing_key_listed: { key: 'current', inWords: 'signing key' },
  renewed_signing_key_listed: { key: 'renewed', inWords: 'renewed signing key' },
  renewed_transport_certificate_listed: { key: 'renewed certificate', inWords: 'renewed transport certificate' },
}

/** The embedded twin lists the keys that it made. */
function isOpen(isOnTwin: boolean): (name: Given) => boolean {
  return (name) => !isOnTwin || LISTED[name] === undefined
}

/** PRECONDITION for each workflow that would begin without the registration it is given. */
export function missingRegistrations(
  workflows: readonly Workflow[],
  {
    registered,
    environment,
  }: { readonly registered: boolean; readonly environment: Pick<Environment, 'name' | 'flags'> },
): readonly Problem[] {
  const command = commandsFor(environment.flags)
  return workflows.flatMap(({ workflowId, given, at }, index): Problem[] => {
    const isMadeBefore = workflows.slice(0, index).some(({ effect }) => effect === 'register')
    if (!given.includes('registration') || registered || isMadeBefore) return []
    return [
      {
        code: 'PRECONDITION',
        message: `workflow "${workflowId}" is waiting for a registration of this application: the vault of "${environment.name}" holds none; nothing was sent`,
        at,
        hint: `${remedyOf('registration', command)}; a client whose registration_access_token is lost only Thredd can delete: ${command('askToDelete')}`,
      },
    ]
  })
}

/** What can be looked up in the files that the environment names. */
const RENEWED: readonly Given[] = ['renewed_signing_key', 'renewed_transport_certificate']

/** PRECONDITION for a workflow that needs a renewed key or certificate: none is configured, or it is the current one. */
export function notYetRenewed(
  { workflowId, at }: Workflow,
  name: Given,
  because: string,
  environment: Pick<Environment, 'flags'>,
): Problem {
  return {
    code: 'PRECONDITION',
    message: `workflow "${workflowId}" is waiting for another key than before: ${because}; nothing was rotated, and nothing was sent`,
    at,
    hint: remedyOf(name, commandsFor(environment.flags)),
  }
}

/** What a workflow is given that no machine can look up: by naming the workflow a person says that it is so. */
export function onlyAPersonKnows({ given }: Workflow, environment: Pick<Environment, 'setting'>): readonly Given[] {
  const roles = String(environment.setting('roles')?.value ?? '').split(/[\s,]+/)
  return given.filter((name) => {
    const role = roleOf(name)
    if (role !== undefined) return !roles.includes(role.name) || (role.alone === true && roles.length > 1)
    return LOOKED_UP[name] === undefined
  })
}

/** Of SIGNING_KEY_FILE, RENEWED_SIGNING_KEY_FILE, or IDENTITY_RENEWED_CERT_FILE. */
export type AskedKey = 'current' | 'renewed' | 'renewed certificate'

/** Whether the keystore lists it; `because` is one sentence without its full stop. */
type Listing = { readonly is: 'listed' } | { readonly is: 'missing' | 'not known'; readonly because: string }

export function waitingForKey(inWords: string, because: string): string {
  return `waiting for the ${inWords} in the keystore: ${because}`
}

export interface PreconditionsOptions {
  readonly environment: Pick<Environment, 'flags'>
  /** present where the embedded twin answers */
  readonly fulfil: Fulfil | undefined
  readonly about: Parameters<Fulfil>[1]
  /** why a workflow cannot begin that is given a renewed key or certificate */
  readonly unmet: (workflow: Workflow) => Problem | undefined
  /** whether the vault holds a registration of the client now */
  readonly isRegistered: () => Promise<boolean>
  /** whether the client was registered with this counterparty: a twin does not know the clients of another twin */
  readonly isRegisteredHere: () => boolean
  /** what the keystore says of a key or certificate; undefined where it cannot be asked */
  readonly keystore: (key: AskedKey) => Promise<Listing | undefined>
  /** runs the flow that `madeBy` names on the same twin */
  readonly setUp: () => Promise<readonly WorkflowRecord[]>
  /** called with each thing that a workflow is given, when it is known to hold */
  readonly onGiven: (given: GivenRecord) => void
}

/** Establishes what workflows are given, with one counterparty. */
export class Preconditions {
  readonly #options: PreconditionsOptions

  constructor(options: PreconditionsOptions) {
    this.#options = options
  }

  /** Why the workflow cannot begin, if it cannot. */
  async establish(workflow: Workflow): Promise<string | undefined> {
    const { workflowId, given } = workflow
    const unmet = this.#options.unmet(workflow)
    if (unmet !== undefined) return unmet.message.replace(/^.*? is (?=waiting for)/, '')
    const { fulfil, onGiven, isRegistered, environment } = this.#options
    for (const name of given.filter(isOpen(fulfil !== undefined))) {
      const { means } = GIVEN[name]
      const base = { workflowId, name, means }
      if (fulfil !== undefined) {
        const made = await this.#make(name, fulfil)
        onGiven({ ...base, ...made })
        if (made.problem !== undefined) return `it could not be made so on the twin that ${means}: ${made.problem}`
      } else if (LISTED[name] !== undefined) {
        const problem = await this.#listingProblem(base, LISTED[name])
        if (problem !== undefined) return problem
      } else if (RENEWED.includes(name)) onGiven({ ...base, how: 'in the files' })
      else if (name !== 'registration') onGiven({ ...base, how: 'not checked' })
      else if (await isRegistered()) onGiven({ ...base, how: 'in the vault' })
      else return `waiting for a registration in the vault: ${remedyOf('registration', commandsFor(environment.flags))}`
    }
    return undefined
  }

  /** Why the key or certificate cannot be used. Where the keystore cannot be asked, the workflow begins all the same. */
  async #listingProblem(
    base: Pick<GivenRecord, 'workflowId' | 'means'> & { readonly name: Given },
    { key, inWords }: NonNullable<(typeof LISTED)[Given]>,
  ): Promise<string | undefined> {
    const { keystore, onGiven, environment } = this.#options
    const listing = await keystore(key)
    if (listing?.is === 'missing') {
      const remedy = remedyOf(base.name, commandsFor(environment.flags))
      return `${waitingForKey(inWords, listing.because)}; ${remedy}`
    }
    if (listing?.is === 'listed') onGiven({ ...base, how: 'in the keystore' })
    else onGiven({ ...base, how: 'not checked', ...(listing === undefined ? {} : { problem: listing.because }) })
    return undefined
  }

  async #make(name: Given, fulfil: Fulfil): Promise<Pick<GivenRecord, 'how' | 'setUp' | 'problem'>> {
    const { isRegistered, isRegisteredHere, setUp: runSetUp, about } = this.#options
    const how = 'made on the twin'
    const isThere = isRegisteredHere() && (await isRegistered())
    const setUp = 'madeBy' in GIVEN[name] && !isThere ? [...(await runSetUp())] : undefined
    const failed = setUp?.find(({ status }) => status !== 'passed')
    if (failed !== undefined) return { how, setUp, problem: `workflow "${failed.workflowId}" ${failed.status}` }
    if (name === 'registration') return isThere ? { how: 'in the vault' } : { how, setUp }
    try {
      await fulfil(name, about)
      return { how, setUp }
    } catch (error) {
      return { how, setUp, problem: error instanceof Error ? error.message : String(error) }
    }
  }
}
