/** What flows there are, what each does and needs, and whether an environment is ready for it. Sends and writes nothing. */
import { basename } from 'node:path'
import type { Environment, ValueOrigin } from '../environment/index.ts'
import { runsOf, withInvoked } from '../flow/arazzo/needs.ts'
import type { Flow, Workflow } from '../flow/index.ts'
import { classObjections, effectOf, mustConfirm, type Selected } from '../guard/confirmation.ts'
import type { Expectation } from '../guard/given.ts'
import { identityOf } from '../plan/identity.ts'
import { inputsWithin, type PlannedWorkflow, plainValue, plannedWithin } from '../plan/index.ts'
import type { WorkflowEffect } from '../record/effect.ts'
import type { ErrorCode } from '../record/errors.ts'
import { usesTwin } from './connect.ts'
import { Credentials } from './credentials.ts'
import { clientNames } from './request.ts'
import { choose, mayRunUnnamed, type SelectionOptions } from './selection.ts'
import { type StepDetails, storyOf } from './story.ts'
import { type Obstacle, obstacles, type Situation, survey } from './survey.ts'
import { vaultState } from './vault-state.ts'

/** One workflow of a flow, as a person chooses it. */
export interface WorkflowOverview {
  /** what `thredd run` takes */
  readonly flow: string
  readonly file: string
  readonly workflowId: string
  readonly title: string
  readonly summary: string | undefined
  readonly effect: WorkflowEffect
  readonly safety: string | undefined
  readonly tags: readonly string[]
  /** settings that it takes from the environment, by variable */
  readonly settings: readonly string[]
  /** certificates that it presents, by name */
  readonly identities: readonly string[]
  /** a client assertion is signed for it */
  readonly signs: boolean
  readonly given: readonly Expectation[]
  readonly ready: boolean
  /** what keeps it from running here, each with its remedy */
  readonly missing: readonly {
    /** in a few words: a variable, a certificate, a host */
    readonly what: string
    readonly code: ErrorCode
    readonly message: string
    readonly hint?: string | undefined
  }[]
  /** the client id must be repeated here */
  readonly confirm: boolean
  /** `thredd run` without names runs it here */
  readonly unnamed: boolean
}

export interface Overview {
  readonly environment: string
  readonly class: Environment['class']
  readonly workflows: readonly WorkflowOverview[]
}

/** One workflow with all that stands in its file. */
export interface WorkflowDetails extends WorkflowOverview {
  /** the story */
  readonly description: string | undefined
  readonly clauses: readonly string[]
  readonly notice: string | undefined
  readonly steps: readonly StepDetails[]
  readonly inputs: readonly InputDetails[]
  /** the names of what it returns */
  readonly outputs: readonly string[]
}

export interface InputDetails {
  readonly name: string
  readonly description: string | undefined
  readonly required: boolean
  /** where the value comes from here: a file and line, a variable, the vault, minted, the default, none */
  readonly source: string
  /** undefined for a secret, and for a value that only the run will give */
  readonly value: unknown
}

export interface OverviewOptions {
  readonly selection: SelectionOptions
  readonly environment: Environment
  /** `--input name=value` */
  readonly inputs: ReadonlyMap<string, string>
  /** where the embedded twin makes certificates when it starts; one that is not there yet is not missing */
  readonly twinFolder?: string | undefined
}

/** Throws ToolError for a flow that cannot be read, and for names that nothing has. */
export async function overviewOf(options: OverviewOptions): Promise<Overview> {
  const { name, class: environmentClass } = options.environment
  const [chosen, shared] = [await choose({ ...options.selection, everywhere: true }), await sharedBy(options)]
  const workflows = await Promise.all(chosen.map(async (one) => (await lookAt(one, shared)).overview))
  return { environment: name, class: environmentClass, workflows }
}

/** The same with all that stands in the files. */
export async function detailsOf(options: OverviewOptions): Promise<readonly WorkflowDetails[]> {
  const { environment } = options
  const [chosen, shared] = [await choose({ ...options.selection, everywhere: true }), await sharedBy(options)]
  return await Promise.all(
    chosen.map(async (one) => {
      const { flow, workflow } = one
      const { overview, planned } = await lookAt(one, shared)
      return {
        ...overview,
        description: workflow.description ?? flow.description,
        clauses: workflow.clauses,
        notice: workflow.notice,
        steps: storyOf(planned, environment),
        inputs: inputsOf(planned),
        outputs: [...workflow.outputs.keys()],
      }
    }),
  )
}

/** What is the same for all workflows. */
interface Shared {
  readonly situation: Situation
  readonly clientId: string | undefined
}

async function sharedBy({ environment, inputs, selection, twinFolder }: OverviewOptions): Promise<Shared> {
  const client = clientNames(environment, inputs)
  const onTwin = usesTwin(environment)
  const situation: Situation = {
    environment,
    inputs,
    folders: selection.folders,
    credentials: new Credentials(environment, onTwin ? twinFolder : undefined),
    vault: await vaultState(environment, { client }),
    twinMakesGiven: onTwin,
    registeredElsewhere: false,
  }
  return { situation, clientId: client.clientId }
}

async function lookAt(one: Selected, { situation, clientId }: Shared) {
  const { flow, workflow } = one
  const { environment, vault, twinMakesGiven: onTwin } = situation
  const { plan, given, problems } = await survey([one], situation)
  const refused = obstacles('safety class', classObjections([one], { environment }))
  const missing = [...problems, ...refused].map(shown)
  const [planned] = plan.workflows
  if (planned === undefined) throw new Error(`workflow "${workflow.workflowId}" was not planned`)
  const { registration } = vault
  const guardFacts = { environment, clientId, registration, confirm: undefined, registerAgain: true, onTwin }
  const overview: WorkflowOverview = {
    flow: basename(flow.file).replace(/\.arazzo\.\w+$/, ''),
    file: flow.file,
    workflowId: workflow.workflowId,
    title: flow.title,
    summary: workflow.summary,
    effect: effectOf(one),
    safety: workflow.safety,
    tags: workflow.tags,
    settings: settingsOf(planned, environment),
    identities: identitiesOf(flow, workflow, environment),
    signs: mints(planned),
    given,
    ready: missing.length === 0,
    missing,
    confirm: mustConfirm([one], guardFacts),
    unnamed: mayRunUnnamed(one, environment),
  }
  return { planned, overview }
}

/** As a run would say it, which would also say that it has sent nothing. */
function shown({ what, problem: { code, message, hint } }: Obstacle): WorkflowOverview['missing'][number] {
  return { what, code, message: message.replace(/; nothing was sent$/, ''), hint }
}

function identitiesOf(flow: Flow, workflow: Workflow, environment: Environment): readonly string[] {
  const steps = withInvoked(flow, workflow).flatMap((one) => one.steps)
  const names = steps.flatMap((step) =>
    step.kind === 'call'
      ? runsOf(step).flatMap((one) => (one.expectRefused ? [] : [identityOf(one, environment)]))
      : [],
  )
  return [...new Set(names)].filter((name) => name !== 'none')
}

/** A client assertion is signed, by the workflow or by one that it runs. */
function mints(planned: PlannedWorkflow): boolean {
  return plannedWithin(planned).some(({ inputs }) => [...inputs.values()].some(({ kind }) => kind === 'minted'))
}

/** Variables without which it, and what it runs, cannot run. */
function settingsOf(planned: PlannedWorkflow, environment: Environment): readonly string[] {
  const settings = plannedWithin(planned).flatMap(({ workflow, inputs }) =>
    workflow.inputs.flatMap(({ name, required, mint }) => {
      const input = inputs.get(name)
      const isOfVault = input?.kind === 'vault' || name.startsWith('registration_')
      const hasDefault = environment.setting(name)?.origin.label === 'default'
      const isKnown = input?.kind === 'passed' || input?.origin.label === 'certificate'
      const isSetting =
        required && !isKnown && mint === undefined && !isOfVault && !hasDefault && !name.startsWith('server_')
      return isSetting ? [name.toUpperCase()] : []
    }),
  )
  // RFC 7523 §3: the client is the issuer and the subject of what is minted.
  return [...new Set([...(mints(planned) ? ['CLIENT_ID'] : []), ...settings])]
}

function inputsOf(planned: PlannedWorkflow): readonly InputDetails[] {
  const declared = plannedWithin(planned).flatMap(({ workflow }) => workflow.inputs)
  return [...inputsWithin(planned)].map(([name, input]) => {
    const { description, required = false } = declared.find((one) => one.name === name) ?? {}
    const value = input.secret ? undefined : plainValue(input)
    return { name, description, required, source: sourceOf(input.origin), value }
  })
}

function sourceOf({ label, at }: ValueOrigin): string {
  return at === undefined ? label : `${basename(at.file)}:${at.line}`
}
