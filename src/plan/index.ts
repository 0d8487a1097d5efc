/**
 * Flow + environment to a Plan: every input has its source, every step its server, identity and key. Pure but for nothing:
 * the vault is not read here, only named. After planning nothing can be "not found".
 */

import type { Environment, ValueOrigin } from '../environment/index.ts'
import { SIGNING_ALGORITHMS } from '../environment/variables.ts'
import { invocationsOf, withDependencies, withInvoked, workflowOf } from '../flow/arazzo/needs.ts'
import { type Condition, judge } from '../flow/expression/criterion.ts'
import { type Context, render, type Template } from '../flow/expression/expression.ts'
import type { CallStep, Flow, Input, Invocation, Step, Workflow, WorkflowStep } from '../flow/index.ts'
import { violationsOf } from '../flow/openapi/validator.ts'
import { identitySetting } from '../identity/settings.ts'
import { isNonEmpty, type Problem, suggestion, ToolError } from '../record/errors.ts'
import { Secret } from '../secret/index.ts'
import { askFor, hostNamedBy, ServerChoice, serverHint, settingOf, sourcesOf } from './servers.ts'

export interface Plan {
  readonly workflows: readonly PlannedWorkflow[]
  /** identities that some step presents */
  readonly identities: ReadonlySet<string>
  /** the algorithms that client assertions are signed with; empty if none is minted */
  readonly signingAlgorithms: ReadonlySet<string>
}

export interface PlannedWorkflow {
  readonly flow: Flow
  readonly workflow: Workflow
  readonly inputs: ReadonlyMap<string, PlannedInput>
  readonly steps: readonly PlannedStep[]
  /** source descriptions by name: their fields as written, and the servers that the environment names */
  readonly sources: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** the workflows that steps and actions run, planned for what they are told */
  readonly invoked: ReadonlyMap<Invocation, PlannedWorkflow>
  /** the workflows that must have passed before, at any distance, the first to run first */
  readonly dependencies: readonly PlannedWorkflow[]
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

/**
 * Where an input's value comes from. `vault` and `minted` are read anew at each use, `passed` is known when another
 * workflow runs this one.
 */
export type PlannedInput =
  | { readonly kind: 'value'; readonly value: unknown; readonly secret: boolean; readonly origin: ValueOrigin }
  | { readonly kind: 'vault'; readonly member: VaultMember; readonly secret: boolean; readonly origin: ValueOrigin }
  | { readonly kind: 'minted'; readonly assertion: AssertionPlan; readonly secret: true; readonly origin: ValueOrigin }
  | { readonly kind: 'passed'; readonly secret: boolean; readonly origin: ValueOrigin }
  | { readonly kind: 'absent'; readonly secret: boolean; readonly origin: ValueOrigin }

/** RFC 7523 §3: what a client assertion will say. */
export interface AssertionPlan {
  readonly clientId: string
  readonly audience: string
  readonly alg: string
  readonly lifetimeSeconds: number
}

export type VaultMember = 'registration_access_token' | 'registration_client_uri'
const VAULT_MEMBERS: readonly string[] = [
  'registration_access_token',
  'registration_client_uri',
] satisfies VaultMember[]

export interface PlanOptions {
  /** `--input name=value` */
  readonly inputs: ReadonlyMap<string, string>
  /** whether the vault holds a registration of this client; its inputs then have a source */
  readonly registered: boolean
  /** x5t#S256 of the certificate of identity "transport" (RFC 8705 §3.1), for the input TRANSPORT_THUMBPRINT names */
  readonly thumbprint?: string | undefined
}

/** The input that holds the thumbprint which a bound token must carry. */
const TRANSPORT_THUMBPRINT = 'transport_thumbprint'

/** As far as the environment allows: what is missing or unusable, by what it is about (a variable, an identity, a host). */
export function survey(
  { flow, workflow }: { readonly flow: Flow; readonly workflow: Workflow },
  environment: Environment,
  options: PlanOptions,
): { readonly planned: PlannedWorkflow; readonly problems: ReadonlyMap<string, Problem> } {
  const planner = new Planner(environment, options)
  const planned = planner.workflow(flow, workflow, new Set())
  return { planned, problems: planner.problems.bySubject }
}

/** Throws ToolError with everything that is missing or unusable, before any call. */
export function plan(
  selection: readonly { readonly flow: Flow; readonly workflow: Workflow }[],
  environment: Environment,
  options: PlanOptions,
): Plan {
  const planner = new Planner(environment, options)
  const workflows = selection.map(({ flow, workflow }) => planner.workflow(flow, workflow, new Set()))
  const { problems } = planner
  const all = selection.flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
  const sources = new Set(
    all.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === 'call' ? [step.source] : []))),
  )
  const inputs = new Set(all.flatMap((workflow) => workflow.inputs.map(({ name }) => name)))
  for (const source of environment.servers.keys()) {
    if (environment.setting(`server_${source}`)?.origin.label !== '--server') continue
    if ([...sources].some((name) => settingOf(name) === source)) continue
    problems.add(`--server ${source}`, {
      code: 'INPUT_INVALID',
      message: `--server ${source} is no source description that a selected workflow calls`,
      hint: suggestion(source, sources),
    })
  }
  for (const name of options.inputs.keys()) {
    if (inputs.has(name)) continue
    problems.add(`--input ${name}`, {
      code: 'INPUT_INVALID',
      message: `--input ${name} is no input of a selected workflow`,
      hint: suggestion(name, inputs),
    })
  }
  const list = [...problems.bySubject.values()]
  if (isNonEmpty(list)) throw new ToolError(list)

  const planned = [...planner.planned.values()]
  const assertions = planned.flatMap((one) => [...one.inputs.values()].filter((input) => input.kind === 'minted'))
  const calls = planned.flatMap(({ steps }) => steps.flatMap((one) => (one.kind === 'call' ? runsOf(one.step) : [])))
  return {
    workflows,
    identities: new Set(calls.map(({ identity }) => identity).filter((name) => name !== 'none')),
    signingAlgorithms: new Set(assertions.map(({ assertion }) => assertion.alg)),
  }
}

/** Plans each workflow once for each set of inputs that it is passed; workflows may run each other. */
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

/** One missing setting is one problem, however many steps and workflows miss it. */
class Problems {
  readonly bySubject = new Map<string, Problem>()

  /** `subject` is what is wrong: a variable, an identity, a host. */
  add(subject: string, problem: Problem): void {
    if (!this.bySubject.has(subject)) this.bySubject.set(subject, problem)
  }
}

interface Surroundings {
  readonly environment: Environment
  readonly problems: Problems
  readonly choice: ServerChoice
  readonly flow: Flow
  /** what is known before the run */
  readonly known: Context
}

function planStep(step: Step, around: Surroundings): PlannedStep | undefined {
  if (step.kind === 'workflow') return { kind: 'workflow', step, timeoutMs: step.timeoutMs }
  const { environment, problems, flow } = around
  for (const one of runsOf(step)) checkIdentity(one, environment, problems)
  const server = step.source === '' ? hostNamedBy(step, around) : around.choice.serverOf(step, flow)
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

/** The step itself, or its cases. */
function runsOf(step: CallStep): readonly CallStep[] {
  return step.cases.length === 0 ? [step] : step.cases.map((one) => one.step)
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
  if (step.identity === 'none' && step.operation.mutualTls && !step.expectRefused) {
    problems.add(`${step.identityAt.file}:${step.identityAt.line}`, {
      code: 'IDENTITY_MISSING',
      message: `step "${step.stepId}" presents no certificate, but operation "${step.operation.operationId}" demands mutual TLS`,
      at: step.identityAt,
      hint: 'remove identity: none, or say expect: refused if that is what the step tests',
    })
  }
}

function planInputs(
  workflow: Workflow,
  passed: ReadonlySet<string>,
  environment: Environment,
  options: PlanOptions,
  problems: Problems,
): ReadonlyMap<string, PlannedInput> {
  const planned = new Map<string, PlannedInput>()
  // Minted inputs and conditions speak of other inputs, so those with a plain value come first.
  const later = (input: Input) => (input.mint === undefined ? 0 : 2) + (input.when === undefined ? 0 : 1)
  for (const input of [...workflow.inputs].sort((a, b) => later(a) - later(b))) {
    planned.set(
      input.name,
      passed.has(input.name)
        ? { kind: 'passed', secret: input.secret, origin: { label: 'passed' } }
        : planInput(input, planned, environment, options, problems),
    )
  }
  return planned
}

function planInput(
  input: Input,
  planned: ReadonlyMap<string, PlannedInput>,
  environment: Environment,
  options: PlanOptions,
  problems: Problems,
): PlannedInput {
  const context = knownInputs(planned)
  if (input.when !== undefined && !holds(input.when, context))
    return { kind: 'absent', secret: input.secret, origin: { label: 'not needed here' } }

  const given = options.inputs.get(input.name)
  if (given !== undefined) return typed(input, given, input.secret, { label: '--input' }, problems)

  const setting = environment.setting(input.name)
  if (setting !== undefined) {
    const secret = input.secret || setting.value instanceof Secret
    return typed(
      input,
      setting.value instanceof Secret ? setting.value.reveal() : setting.value,
      secret,
      setting.origin,
      problems,
    )
  }
  if (input.name === TRANSPORT_THUMBPRINT && options.thumbprint !== undefined)
    return valued(input, options.thumbprint, input.secret, { label: 'certificate' })
  if (VAULT_MEMBERS.includes(input.name) && (options.registered || !input.required)) {
    return { kind: 'vault', member: input.name as VaultMember, secret: input.secret, origin: { label: 'vault' } }
  }
  if (input.mint !== undefined) {
    const assertion = planAssertion(input, input.mint, environment, context, problems)
    return assertion === undefined
      ? absent(input)
      : { kind: 'minted', assertion, secret: true, origin: { label: 'minted' } }
  }
  if (input.default !== undefined)
    return { kind: 'value', value: input.default, secret: input.secret, origin: { label: 'default' } }
  if (input.required) problems.add(input.name.toUpperCase(), missing(input, environment))
  return absent(input)
}

function planAssertion(
  input: Input,
  mint: NonNullable<Input['mint']>,
  environment: Environment,
  context: Context,
  problems: Problems,
): AssertionPlan | undefined {
  const write = (variable: string) => `write ${variable}=… into ${environment.localFile}`
  const resolved = (template: Template, what: string) => {
    const result = render(template, context)
    if (result.ok) return String(result.value)
    const name = result.missing.kind === 'inputs' ? result.missing.name : ''
    problems.add(name.toUpperCase(), {
      code: 'INPUT_MISSING',
      message: `the ${what} of minted input "${input.name}" has no value: "${result.missing.text}" has none`,
      at: input.at,
      hint: [write(name.toUpperCase()), environment.about(name)].filter((part) => part !== undefined).join(': '),
    })
    return undefined
  }
  const audience = resolved(mint.audience, 'audience')
  const alg = resolved(mint.alg, 'algorithm')
  if (alg !== undefined && !SIGNING_ALGORITHMS.some((known) => known === alg)) {
    problems.add(`algorithm ${alg}`, {
      code: 'INPUT_INVALID',
      message: `minted input "${input.name}" cannot be signed with "${alg}"`,
      at: input.at,
      expected: SIGNING_ALGORITHMS.join(', '),
    })
  }
  const clientId = context.inputs('client_id') ?? environment.setting('client_id')?.value
  const needed = {
    SIGNING_KEY_FILE: environment.signing.keyFile ?? environment.signing.key,
    SIGNING_KID: environment.signing.kid,
  }
  for (const [variable, value] of Object.entries({ CLIENT_ID: clientId, ...needed })) {
    if (value !== undefined) continue
    problems.add(variable, {
      code: 'ENV_MISSING',
      message: `${variable} is not set; client assertions need it: ${environment.about(variable)}`,
      at: input.at,
      hint: write(variable),
    })
  }
  if (audience === undefined || alg === undefined || typeof clientId !== 'string') return undefined
  return { clientId, audience, alg, lifetimeSeconds: mint.lifetimeSeconds }
}

/** Text from outside becomes what the input's schema asks for, and must fit it. */
function typed(input: Input, text: string, secret: boolean, origin: ValueOrigin, problems: Problems): PlannedInput {
  const value = fromText(text, typeof input.schema === 'object' ? input.schema.type : undefined)
  for (const { pointer, problem } of misfits(input, value, secret, origin))
    problems.add(`input ${input.name} ${pointer} ${origin.label}`, problem)
  return valued(input, value, secret, origin)
}

/** The value that a workflow is passed by another one. Throws INPUT_INVALID where it does not fit the input's schema. */
export function passedInput(input: Input, value: unknown, by: string): PlannedInput {
  const origin = { label: by }
  const problems = misfits(input, value, input.secret, origin).map(({ problem }) => problem)
  if (isNonEmpty(problems)) throw new ToolError(problems)
  return valued(input, value, input.secret, origin)
}

function misfits(
  input: Input,
  value: unknown,
  secret: boolean,
  origin: ValueOrigin,
): readonly { readonly pointer: string; readonly problem: Problem }[] {
  return violationsOf(input.schema, value, input.root).map(({ pointer, expected, actual }) => ({
    pointer,
    problem: {
      code: 'INPUT_INVALID',
      message: `${pointer === '' ? '' : `"${pointer}" of `}input "${input.name}" from ${origin.label} does not fit its schema`,
      at: origin.at ?? input.at,
      expected,
      found: secret ? 'a secret value' : actual,
    },
  }))
}

function valued(input: Input, value: unknown, secret: boolean, origin: ValueOrigin): PlannedInput {
  return {
    kind: 'value',
    value: secret && typeof value === 'string' ? new Secret(value, input.name) : value,
    secret,
    origin,
  }
}

function fromText(text: string, type: unknown): unknown {
  if (type === 'array') return /^\s*\[/.test(text) ? json(text) : text.split(/[\s,]+/).filter((item) => item !== '')
  if (type === 'integer' || type === 'number' || type === 'boolean' || type === 'object') return json(text)
  return text
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function missing(input: Input, environment: Environment): Problem {
  const variable = input.name.toUpperCase()
  const about = environment.about(input.name) ?? input.description
  const server = /^server_(.+)$/.exec(input.name)?.[1]
  return {
    code: 'INPUT_MISSING',
    message: `input "${input.name}" has no value${about === undefined ? '' : `: ${about}`}`,
    at: input.at,
    hint: VAULT_MEMBERS.includes(input.name)
      ? 'the vault holds no registration of this client; without its token only Thredd can delete it (section 3.3.2, Thredd Deletes a Client)'
      : server === undefined
        ? // A secret on a command line stands in the history of the shell.
          `write ${variable}=… into ${environment.localFile}, set THREDD_${variable}${input.secret ? '' : `, or use --input ${input.name}=…`}${askFor(variable)}`
        : serverHint(server, environment),
  }
}

function absent(input: Input): PlannedInput {
  return { kind: 'absent', secret: input.secret, origin: { label: 'none' } }
}

/** The value of an input that has a plain one; a secret is revealed here, where requests are built. */
export function plainValue(input: PlannedInput | undefined): unknown {
  if (input?.kind !== 'value') return undefined
  return input.value instanceof Secret ? input.value.reveal() : input.value
}

function holds(condition: Condition, context: Context): boolean {
  return judge(condition, context).pass
}

function knownInputs(planned: ReadonlyMap<string, PlannedInput>): Context {
  return {
    inputs: (name) => plainValue(planned.get(name)),
    steps: new Map(),
  }
}
