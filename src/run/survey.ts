/**
 * What flows there are, what each does and needs, and whether an environment is ready for it. Reads flows, environment,
 * certificates and the vault; sends nothing and writes nothing.
 */
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { Environment, ValueOrigin } from '../environment/index.ts'
import { withInvoked } from '../flow/arazzo/needs.ts'
import type { Criterion, Flow, Step, Workflow } from '../flow/index.ts'
import type { Effect } from '../flow/openapi/effect.ts'
import { effectOf, mustConfirm, type Selected } from '../guard/confirmation.ts'
import { type Expectation, expectationsOf } from '../guard/given.ts'
import { loadIdentity } from '../identity/certificate.ts'
import { loadSigningKey, type SigningAlg } from '../identity/jwt.ts'
import { type PlannedInput, type PlannedWorkflow, plainValue, survey } from '../plan/index.ts'
import { type Problem, ToolError } from '../record/errors.ts'
import { openVaultOf } from '../vault/index.ts'
import { signingKeyText, thumbprintOf } from './index.ts'
import { choose, mayRunUnnamed, type SelectionOptions } from './selection.ts'

/** One workflow of a flow, as a person chooses it. */
export interface WorkflowOverview {
  /** what `thredd run` takes */
  readonly flow: string
  readonly file: string
  readonly workflowId: string
  readonly title: string
  readonly summary: string | undefined
  readonly effect: Effect
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
  readonly missing: readonly { readonly what: string; readonly message: string; readonly hint?: string | undefined }[]
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

export interface StepDetails {
  readonly stepId: string
  readonly description: string | undefined
  /** method and address; expressions stand as they are written */
  readonly method: string
  readonly url: string
  readonly identity: string | undefined
  readonly finally: boolean
  /** the workflow that it runs */
  readonly workflowId: string | undefined
  readonly cases: readonly string[]
  readonly clauses: readonly string[]
  readonly criteria: readonly (Pick<Criterion, 'text' | 'level' | 'clauses'> & { readonly line: number })[]
}

export interface InputDetails {
  readonly name: string
  readonly description: string | undefined
  readonly required: boolean
  /** where the value comes from here: a file and line, a variable, the vault, minted, the default, none */
  readonly source: string
  /** as it may be shown; undefined for a secret, and where nobody knows it yet */
  readonly value: unknown
}

export interface OverviewOptions {
  readonly selection: SelectionOptions
  readonly environment: Environment
  /** `--input name=value` */
  readonly inputs: ReadonlyMap<string, string>
  /** the embedded twin answers: it makes its certificates at first use, and what workflows are given */
  readonly isOnTwin: boolean
  readonly now: () => Date
}

/** Throws ToolError for a flow that cannot be read, and for names that nothing has. */
export async function overviewOf(options: OverviewOptions): Promise<Overview> {
  const { environment } = options
  const chosen = await choose(options.selection)
  const look = await lookAt(options)
  return {
    environment: environment.name,
    class: environment.class,
    workflows: await Promise.all(chosen.map(async (one) => (await look(one)).overview)),
  }
}

/** The same with all that stands in the files. */
export async function detailsOf(options: OverviewOptions): Promise<readonly WorkflowDetails[]> {
  const { environment } = options
  const chosen = await choose(options.selection)
  const look = await lookAt(options)
  return await Promise.all(
    chosen.map(async (one) => {
      const { flow, workflow } = one
      const { overview, planned } = await look(one)
      return {
        ...overview,
        description: workflow.description ?? flow.description,
        clauses: workflow.clauses,
        notice: workflow.notice,
        steps: workflow.steps.map((step) => stepDetails(step, environment)),
        inputs: [...planned.inputs].map(([name, input]) => inputDetails(name, input, workflow)),
        outputs: [...workflow.outputs.keys()],
      }
    }),
  )
}

/** Reads once what is the same for all workflows. */
async function lookAt({ environment, inputs, isOnTwin, now }: OverviewOptions) {
  const id = inputs.get('client_id') ?? environment.setting('client_id')?.value
  const clientId = typeof id === 'string' ? id : undefined
  const vault = existsSync(environment.vault.folder)
    ? (await openVaultOf(environment, { now, makeKey: false })).vault
    : undefined
  const registration = clientId === undefined ? undefined : await vault?.current(clientId)
  const certificates = new Map<string, Promise<Problem | undefined>>()
  // Where the certificate cannot be read, that alone is said.
  const thumbprint = await transportThumbprint(environment, now()).catch(() => undefined)
  const problemWith = (name: string) => {
    const known = certificates.get(name) ?? identityProblem(environment, name, now())
    certificates.set(name, known)
    return known
  }

  let signingKey: Promise<Problem | undefined> | undefined

  return async (one: Selected): Promise<{ overview: WorkflowOverview; planned: PlannedWorkflow }> => {
    const { flow, workflow } = one
    const given = expectationsOf([workflow], isOnTwin)
    const expected = given.some(({ name }) => name === 'registration')
    const isRegistered = registration !== undefined
    const { planned, problems } = survey(one, environment, {
      inputs: relevant(inputs, workflow),
      registered: isRegistered || expected,
      thumbprint: thumbprint ?? '',
    })
    const identities = identitiesOf(flow, workflow)
    const signs = workflow.inputs.some(({ mint }) => mint !== undefined)
    const missing = [...problems].map(([what, problem]) => missed(what, problem))
    if (!isOnTwin) {
      for (const name of identities) {
        const problem = await problemWith(name)
        if (problem !== undefined) missing.push(missed(`certificate ${name}`, problem))
      }
      if (signs) signingKey ??= signingKeyProblem(environment)
      const problem = signs ? await signingKey : undefined
      if (problem !== undefined) missing.push(missed('signing key', problem))
      const registering = given.find(({ name }) => name === 'registration')
      if (registering !== undefined && !isRegistered)
        missing.push({
          what: 'a registration in the vault',
          message: 'the vault holds no registration of this client',
          hint: registering.remedy,
        })
    }
    const circumstances = {
      environment,
      clientId,
      registration,
      confirm: undefined,
      registerAgain: true,
      forgets: isOnTwin,
    }
    return {
      planned,
      overview: {
        flow: basename(flow.file).replace(/\.arazzo\.\w+$/, ''),
        file: flow.file,
        workflowId: workflow.workflowId,
        title: flow.title,
        summary: workflow.summary,
        effect: effectOf(one),
        safety: workflow.safety,
        tags: workflow.tags,
        settings: settingsOf(planned, environment),
        identities,
        signs,
        given,
        ready: missing.length === 0,
        missing,
        confirm: mustConfirm([one], circumstances),
        unnamed: mayRunUnnamed(one, environment),
      },
    }
  }
}

/** An input that only other workflows have is no mistake here. */
function relevant(inputs: ReadonlyMap<string, string>, workflow: Workflow): ReadonlyMap<string, string> {
  const names = new Set(workflow.inputs.map(({ name }) => name))
  return new Map([...inputs].filter(([name]) => names.has(name)))
}

function missed(what: string, { message, hint }: Problem) {
  return { what: what.replace(/^identity /, 'certificate '), message, hint }
}

/** x5t#S256 (RFC 8705 §3.1); undefined where no certificate is configured. @throws ToolError */
export async function transportThumbprint(environment: Environment, now: Date): Promise<string | undefined> {
  const spec = environment.identities.get('transport')
  return spec && thumbprintOf(new Map([['transport', (await loadIdentity(spec, now)).identity]]))
}

async function identityProblem(environment: Environment, name: string, now: Date): Promise<Problem | undefined> {
  const spec = environment.identities.get(name)
  // One that is not configured is among what the plan misses.
  return spec && (await problemOf(loadIdentity(spec, now)))
}

async function signingKeyProblem(environment: Environment): Promise<Problem | undefined> {
  const { kid } = environment.signing
  const alg = String(environment.setting('signing_alg')?.value) as SigningAlg
  return await problemOf(
    signingKeyText(environment).then((pem) =>
      pem === undefined || kid === undefined ? undefined : loadSigningKey({ pem, alg, kid }),
    ),
  )
}

async function problemOf(work: Promise<unknown>): Promise<Problem | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return error.problems[0]
  }
}

function identitiesOf(flow: Flow, workflow: Workflow): readonly string[] {
  const steps = withInvoked(flow, workflow).flatMap((one) => one.steps)
  const names = steps.flatMap((step) => (step.kind === 'call' && !step.expectRefused ? [step.identity] : []))
  return [...new Set(names)].filter((name) => name !== 'none')
}

/** Variables without which it cannot run. */
function settingsOf({ workflow, inputs }: PlannedWorkflow, environment: Environment): readonly string[] {
  const settings = workflow.inputs.flatMap(({ name, required, mint }) => {
    const isOfVault = inputs.get(name)?.kind === 'vault' || name.startsWith('registration_')
    const hasDefault = environment.setting(name)?.origin.label === 'default'
    const isRead = inputs.get(name)?.origin.label === 'certificate'
    const isSetting =
      required && !isRead && mint === undefined && !isOfVault && !hasDefault && !name.startsWith('server_')
    return isSetting ? [name.toUpperCase()] : []
  })
  // RFC 7523 §3: the client is the issuer and the subject of what is minted.
  const isMinted = workflow.inputs.some(({ mint }) => mint !== undefined)
  return [...new Set([...(isMinted ? ['CLIENT_ID'] : []), ...settings])]
}

function stepDetails(step: Step, environment: Environment): StepDetails {
  const { stepId, description, clauses, finally: isFinal } = step
  const criteria = step.criteria.map(({ text, level, clauses: of, at }) => ({
    text,
    level,
    clauses: of,
    line: at.line,
  }))
  const base = { stepId, description, clauses, criteria, finally: isFinal }
  if (step.kind === 'workflow') {
    const { workflowId } = step.invocation
    return { ...base, workflowId, method: 'RUN', url: `workflow "${workflowId}"`, identity: undefined, cases: [] }
  }
  const { operation, source, identity, url, cases } = step
  const server = environment.servers.get(source.toLowerCase()) ?? `{SERVER_${source.toUpperCase()}}`
  return {
    ...base,
    workflowId: undefined,
    method: operation.method,
    url: url === undefined ? `${server}${operation.path}` : url.text,
    identity,
    cases: cases.filter(({ isControl }) => !isControl).map(({ id }) => id),
  }
}

function inputDetails(name: string, input: PlannedInput, workflow: Workflow): InputDetails {
  const declared = workflow.inputs.find((one) => one.name === name)
  return {
    name,
    description: declared?.description,
    required: declared?.required === true,
    source: sourceOf(input.origin),
    value: input.secret ? undefined : plainValue(input),
  }
}

function sourceOf({ label, at }: ValueOrigin): string {
  return at === undefined ? label : `${basename(at.file)}:${at.line}`
}
