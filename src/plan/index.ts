/**
 * Makes a plan of flow and environment: the source of every input, the server and identity of every step. Everything missing is
 * reported at once, before a run sends anything. Pure: an option says whether the vault holds a registration.
 */

import type { Environment } from '../environment/index.ts'
import { invocationsOf, runsOf, withDependencies, withInvoked, workflowOf } from '../flow/arazzo/needs.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { CallStep, Flow, Invocation, Step, Workflow, WorkflowStep } from '../flow/index.ts'
import { identitySetting } from '../identity/settings.ts'
import { isNonEmpty, type Problem, suggestion, ToolError } from '../record/errors.ts'
import { type AssertionPlan, keyId } from './assertions.ts'
import { withIdentity } from './identity.ts'
import { knownInputs, type PlannedInput, type PlanOptions, planInputs } from './inputs.ts'
import { Problems } from './problems.ts'
import { hostNamedBy, ServerChoice, settingOf, sourcesOf } from './servers.ts'

export { type AssertionPlan, keyId, signingNeeds } from './assertions.ts'
export {
  isSecretInput,
  OF_ROLES,
  type PlannedInput,
  type PlanOptions,
  passedInput,
  plainValue,
  type VaultMember,
} from './inputs.ts'

export interface Plan {
  readonly workflows: readonly PlannedWorkflow[]
  /** identities that some step presents */
  readonly identities: ReadonlySet<string>
  /** what client assertions are signed with, by keyId; empty if none is minted */
  readonly signing: ReadonlyMap<string, Pick<AssertionPlan, 'key' | 'alg'>>
}

export interface PlannedWorkflow {
  readonly flow: Flow
  readonly workflow: Workflow
  readonly inputs: ReadonlyMap<string, PlannedInput>
  readonly steps: readonly PlannedStep[]
  /** source descriptions by name: their fields as written, and the servers that the environment names */
  readonly sources: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** the workflows that steps and actions run, planned with the inputs that are passed to them */
  readonly invoked: ReadonlyMap<Invocation, PlannedWorkflow>
  /** the workflows that must have passed before, with those that these depend on, in the order in which they run */
  readonly dependencies: readonly PlannedWorkflow[]
}

/** The workflow and those that it runs, planned for what they are passed, with what those depend on. */
export function plannedWithin(planned: PlannedWorkflow): readonly PlannedWorkflow[] {
  const found = new Set([planned])
  for (const one of found)
    for (const inner of one.invoked.values()) for (const each of [inner, ...inner.dependencies]) found.add(each)
  return [...found]
}

/** The inputs of a workflow and, but for what they are passed, of those that it runs. */
export function inputsWithin(
  planned: PlannedWorkflow,
  inputs: PlannedWorkflow['inputs'] = planned.inputs,
): PlannedWorkflow['inputs'] {
  const all = new Map(inputs)
  for (const one of plannedWithin(planned)) {
    for (const [name, input] of one.inputs) if (input.kind !== 'passed' && !all.has(name)) all.set(name, input)
  }
  return all
}

export type PlannedStep = PlannedCall | PlannedWorkflowStep

export interface PlannedCall {
  readonly kind: 'call'
  readonly step: CallStep
  /** base URL without trailing slash */
  readonly server: string
  readonly timeoutMs: number
}

interface PlannedWorkflowStep {
  readonly kind: 'workflow'
  readonly step: WorkflowStep
  readonly timeoutMs: number | undefined
}

type Selection = readonly { readonly flow: Flow; readonly workflow: Workflow }[]

/** Throws ToolError with everything that is missing or unusable, before any call. */
export function plan(selection: Selection, environment: Environment, options: PlanOptions): Plan {
  const { plan, problems } = tryPlan(selection, environment, options)
  const all = [...problems.values(), ...unknownNames(selection, environment, options)]
  if (isNonEmpty(all)) throw new ToolError(all)
  return plan
}

/**
 * As far as the environment allows, and what is missing or unusable by what it is about (a variable, an identity, a host).
 * A plan with problems lacks steps and values, so nothing may be sent by it.
 */
export function tryPlan(
  selection: Selection,
  environment: Environment,
  options: PlanOptions,
): { readonly plan: Plan; readonly problems: ReadonlyMap<string, Problem> } {
  const planner = new Planner(environment, options)
  const workflows = selection.map(({ flow, workflow }) => planner.workflow(flow, workflow, new Set()))
  const planned = [...planner.planned.values()]
  const inputsPlanned = planned.flatMap((one) => [...one.inputs.values()])
  const assertions = inputsPlanned.flatMap((input) => (input.kind === 'minted' ? [...input.assertions.values()] : []))
  const calls = planned.flatMap(({ steps }) => steps.flatMap((one) => (one.kind === 'call' ? runsOf(one.step) : [])))
  const plan: Plan = {
    workflows,
    identities: new Set(calls.map(({ identity }) => identity).filter((name) => name !== 'none')),
    signing: new Map(assertions.map((one) => [keyId(one), one])),
  }
  return { plan, problems: planner.problems.bySubject }
}

/** What `--server` and `--input` name although no selected workflow has it. */
export function unknownNames(
  selection: Selection,
  environment: Environment,
  { inputs: given }: Pick<PlanOptions, 'inputs'>,
): readonly Problem[] {
  const all = selection.flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
  const calls = all.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === 'call' ? [step.source] : [])))
  const [sources, inputs] = [new Set(calls), new Set(all.flatMap((one) => one.inputs.map(({ name }) => name)))]
  const servers = [...environment.servers.keys()].filter(
    (source) =>
      environment.setting(`server_${source}`)?.origin.label === '--server' &&
      ![...sources].some((name) => settingOf(name) === source),
  )
  return [
    ...servers.map(
      (source): Problem => ({
        code: 'INPUT_INVALID',
        message: `--server ${source} is no source description that a selected workflow calls`,
        hint: suggestion(source, sources),
      }),
    ),
    ...[...given.keys()]
      .filter((name) => !inputs.has(name))
      .map(
        (name): Problem => ({
          code: 'INPUT_INVALID',
          message: `--input ${name} is no input of a selected workflow`,
          hint:
            environment.about(name) === undefined
              ? suggestion(name, inputs)
              : `it is a setting: set THREDD_${name.toUpperCase()}, or write ${name.toUpperCase()}=… into ${environment.localFile}`,
        }),
      ),
  ]
}

/** Plans each workflow once for each set of inputs that is passed to it, since workflows may run each other. */
class Planner {
  readonly problems = new Problems()
  readonly planned = new Map<string, PlannedWorkflow>()
  readonly #environment: Environment
  readonly #options: PlanOptions
  readonly #choice: ServerChoice

  constructor(environment: Environment, options: PlanOptions) {
    this.#environment = environment
    this.#options = options
    this.#choice = new ServerChoice(environment, this.problems)
  }

  workflow(flow: Flow, workflow: Workflow, passed: ReadonlySet<string>): PlannedWorkflow {
    const key = JSON.stringify([flow.file, workflow.workflowId, [...passed].sort()])
    const known = this.planned.get(key)
    if (known?.workflow === workflow) return known
    const invoked = new Map<Invocation, PlannedWorkflow>()
    const dependencies: PlannedWorkflow[] = []
    const inputs = planInputs(workflow, passed, this.#environment, this.#options, this.problems)
    const sources = sourcesOf(flow, this.#environment)
    const context: Context = { ...knownInputs(inputs), self: flow.self, sourceDescriptions: sources }
    const planned: PlannedWorkflow = {
      flow,
      workflow,
      inputs,
      sources,
      steps: workflow.steps.flatMap(
        (step) =>
          planStep(step, {
            environment: this.#environment,
            problems: this.problems,
            choice: this.#choice,
            flow,
            known: context,
          }) ?? [],
      ),
      invoked,
      dependencies,
    }
    this.planned.set(key, planned)
    for (const invocation of invocationsOf(workflow)) {
      const called = workflowOf(flow, invocation)
      if (called === undefined) continue
      invoked.set(invocation, this.workflow(called.flow, called.workflow, new Set(invocation.arguments.keys())))
    }
    for (const one of withDependencies(flow, workflow)) {
      if (one.workflow !== workflow) dependencies.push(this.workflow(one.flow, one.workflow, new Set()))
    }
    return planned
  }
}

interface StepContext {
  readonly environment: Environment
  readonly problems: Problems
  readonly choice: ServerChoice
  readonly flow: Flow
  /** what is known before the run */
  readonly known: Context
}

function planStep(written: Step, context: StepContext): PlannedStep | undefined {
  if (written.kind === 'workflow') return { kind: 'workflow', step: written, timeoutMs: written.timeoutMs }
  const { environment, problems, flow } = context
  const step = withIdentity(written, environment)
  for (const one of runsOf(step)) checkIdentity(one, environment, problems)
  const server = step.source === '' ? hostNamedBy(step, context) : context.choice.serverOf(step, flow)
  if (server === undefined) return undefined
  const { host } = new URL(server)
  if (!environment.allowedHosts.has(host)) {
    problems.add(`host ${host}`, {
      code: 'HOST_NOT_ALLOWED',
      message: `step "${step.stepId}" calls host "${host}", which is not in ALLOWED_HOSTS; nothing was sent`,
      at: step.at,
      expected: [...environment.allowedHosts].map((allowed) => `"${allowed}"`).join(', '),
      hint: 'add the host to ALLOWED_HOSTS if it belongs to the platform under test',
    })
  }
  return { kind: 'call', step, server, timeoutMs: step.timeoutMs ?? environment.timeoutMs }
}

function checkIdentity(step: CallStep, environment: Environment, problems: Problems): void {
  if (step.identity !== 'none' && !environment.identities.has(step.identity)) {
    problems.add(`identity ${step.identity}`, {
      code: 'IDENTITY_MISSING',
      message: `step "${step.stepId}" presents identity "${step.identity}", which environment "${environment.name}" does not have`,
      at: step.identityAt,
      hint: `write ${identitySetting(step.identity, 'CERT_FILE')} and ${identitySetting(step.identity, 'KEY_FILE')} into ${environment.localFile}`,
    })
  }
  if (step.identity === 'none' && step.operation.mutualTls && !step.expectRefused && !step.probe) {
    problems.add(`${step.identityAt.file}:${step.identityAt.line}`, {
      code: 'IDENTITY_MISSING',
      message: `step "${step.stepId}" presents no certificate, but operation "${step.operation.operationId}" demands mutual TLS`,
      at: step.identityAt,
      hint:
        environment.identityFor.get(settingOf(step.source)) === 'none'
          ? `remove IDENTITY_FOR_${settingOf(step.source).toUpperCase()}=none`
          : 'remove identity: none, or say expect: refused if that is what the step tests',
    })
  }
}
