/**
 * What workflows are given before they begin: made on the embedded twin, looked up in the vault, or left to a person. Owns
 * which of the three it is and what is said about it; how the twin makes it so is the twin's to know.
 */

import { GIVEN, type Given } from '../flow/arazzo/given.ts'
import type { Workflow } from '../flow/index.ts'
import { isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import type { GivenRecord, WorkflowRecord } from '../record/index.ts'

/** What one workflow will find, as it can be said before the run. */
export interface Expectation extends Pick<GivenRecord, 'workflowId' | 'name' | 'means' | 'how'> {
  readonly remedy: string
}

/** Makes a word true on the embedded twin, as Thredd and its CA would; `registration` is the flow's work, not its. */
export type Fulfil = (
  name: Exclude<Given, 'registration'>,
  about: { readonly clientId: string | undefined; readonly softwareId: string | undefined },
) => Promise<void>

export function expectationsOf(workflows: readonly Workflow[], isOnTwin: boolean): readonly Expectation[] {
  return workflows.flatMap(({ workflowId, given }) =>
    given.map((name): Expectation => {
      const how = isOnTwin ? 'made on the twin' : name === 'registration' ? 'in the vault' : 'not checked'
      const { means, remedy } = GIVEN[name]
      return { workflowId, name, means, remedy, how }
    }),
  )
}

/** Throws INPUT_MISSING for each workflow that would begin without a registration, before anything is sent. */
export function demandRegistration(
  workflows: readonly Workflow[],
  { registered, environment }: { readonly registered: boolean; readonly environment: string },
): void {
  const problems: Problem[] = []
  let expected = registered
  for (const { workflowId, given, effect, at } of workflows) {
    if (given.includes('registration') && !expected) {
      problems.push({
        code: 'INPUT_MISSING',
        message: `workflow "${workflowId}" needs a registration of this application, and the vault of "${environment}" holds none; nothing was sent`,
        at,
        hint: `${GIVEN.registration.remedy}; a client whose registration_access_token is lost only Thredd can delete: thredd show recreate-after-thredd-deletes`,
      })
    }
    if (effect === 'register') expected = true
  }
  if (isNonEmpty(problems)) throw new ToolError(problems)
}

export interface ProviderOptions {
  /** present where the embedded twin answers */
  readonly fulfil: Fulfil | undefined
  readonly about: Parameters<Fulfil>[1]
  /** whether the vault holds a registration of the client now */
  readonly isRegistered: () => Promise<boolean>
  /** the run of the flow that `madeBy` names, on the same twin */
  readonly setUp: () => Promise<readonly WorkflowRecord[]>
  /** told to whoever watches, when a word of a workflow is known to hold */
  readonly onGiven: (given: GivenRecord) => void
}

/** Sees to what workflows are given while one counterparty answers. */
export class Provider {
  readonly #options: ProviderOptions
  /** what an earlier twin has registered, this one does not know */
  #isRegisteredHere = false

  constructor(options: ProviderOptions) {
    this.#options = options
  }

  /** The counterparty has registered the client. */
  registered(): void {
    this.#isRegisteredHere = true
  }

  /** Why the workflow cannot begin, if it cannot. */
  async provide({ workflowId, given }: Workflow): Promise<string | undefined> {
    const { fulfil, onGiven } = this.#options
    for (const name of given) {
      const { means } = GIVEN[name]
      const base = { workflowId, name, means }
      if (fulfil !== undefined) {
        const made = await this.#make(name, fulfil)
        onGiven({ ...base, ...made })
        if (made.problem !== undefined) return `it could not be made so on the twin that ${means}: ${made.problem}`
      } else if (name !== 'registration') onGiven({ ...base, how: 'not checked' })
      else if (await this.#options.isRegistered()) onGiven({ ...base, how: 'in the vault' })
      else return `the vault holds no registration: ${GIVEN.registration.remedy}`
    }
    return undefined
  }

  async #make(name: Given, fulfil: Fulfil): Promise<Pick<GivenRecord, 'how' | 'setUp' | 'problem'>> {
    const how = 'made on the twin'
    const isThere = this.#isRegisteredHere && (await this.#options.isRegistered())
    const setUp = 'madeBy' in GIVEN[name] && !isThere ? [...(await this.#options.setUp())] : undefined
    const failed = setUp?.find(({ status }) => status !== 'passed')
    if (failed !== undefined) return { how, setUp, problem: `workflow "${failed.workflowId}" ${failed.status}` }
    if (name === 'registration') return isThere ? { how: 'in the vault' } : { how, setUp }
    try {
      await fulfil(name, this.#options.about)
      return { how, setUp }
    } catch (error) {
      return { how, setUp, problem: error instanceof Error ? error.message : String(error) }
    }
  }
}
