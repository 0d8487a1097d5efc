/**
 * Whether workflows are ready to run in an environment and, if not, why. `list`, `run` and the vitest projects all ask here,
 * so the reason that a list gives is the one that a run would give. Reads files and the vault; sends nothing.
 */
import { basename } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { GIVEN, rolesWith } from '../flow/arazzo/given.ts'
import { runsOf, withDependencies, withInvoked } from '../flow/arazzo/needs.ts'
import type { Workflow } from '../flow/index.ts'
import type { Selected } from '../guard/confirmation.ts'
import {
  type Expectation,
  expectationsOf,
  missingRegistrations,
  notYetRenewed,
  onlyAPersonKnows,
} from '../guard/given.ts'
import type { SigningKey } from '../identity/signing.ts'
import { identityOf } from '../plan/identity.ts'
import { keyId, type Plan, type PlanOptions, signingNeeds, tryPlan } from '../plan/index.ts'
import { readRoles, rolesIn, scopesOf } from '../plan/roles.ts'
import { attempt, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import { commandsFor } from '../record/hints.ts'
import { type Credentials, type LoadedIdentity, type LoadedSigningCertificate, thumbprintOf } from './credentials.ts'
import { select } from './selection.ts'
import type { VaultState } from './vault-state.ts'

/** What is looked at besides the workflows themselves. */
export interface Situation {
  readonly environment: Environment
  readonly inputs: ReadonlyMap<string, string>
  readonly folders: readonly string[]
  readonly credentials: Credentials
  readonly vault: VaultState
  /** the embedded twin answers, and makes what workflows are given */
  readonly twinMakesGiven: boolean
  /** the vault need not hold the client's registration */
  readonly registeredElsewhere: boolean
}

/** The facts; all of them are there where there is no problem. */
export interface Survey {
  readonly plan: Plan
  /** registers a client on the embedded twin, for workflows that are given a registration */
  readonly setUp: Plan | undefined
  readonly given: readonly Expectation[]
  readonly identities: ReadonlyMap<string, LoadedIdentity>
  readonly authorities: readonly string[]
  readonly signing: Signing
  /** why a workflow cannot begin that is given a renewed key or certificate */
  readonly unmet: ReadonlyMap<Workflow, Problem>
  /** everything that keeps the workflows from running */
  readonly problems: readonly Obstacle[]
}

interface Signing {
  /** by keyId */
  readonly keys: ReadonlyMap<string, SigningKey>
  readonly certificate: LoadedSigningCertificate | undefined
}

export interface Obstacle {
  /** what is missing or unusable, in a few words: a variable, a certificate, a host */
  readonly what: string
  readonly problem: Problem
}

export async function survey(selection: readonly Selected[], situation: Situation): Promise<Survey> {
  const { environment, credentials, vault, twinMakesGiven } = situation
  const workflows = selection.map(({ workflow }) => workflow)
  const given = expectationsOf(workflows, { environment, isOnTwin: twinMakesGiven })
  const makers = await setUpFlows(workflows, situation)
  const all = [...selection, ...(makers.value ?? [])].flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
  const certificates = await readIdentities(all, environment, credentials)
  const authorities = await credentials.authorities()
  const thumbprints = await thumbprintsOf(environment, certificates.identities, credentials)
  const scopesOfRoles = await attempt(() => scopesToAskFor(situation))
  const known = { thumbprints, scopesOfRoles: scopesOfRoles.value }
  const planned = planBoth(selection, makers.value ?? [], known, situation)
  const { signing, problems: ofKey } = await readSigning(all, planned.uses, credentials)
  const unmet = await notRenewed(workflows, situation)
  const isOfUnmet = unmet.size === 0 ? () => false : ({ what }: Obstacle) => /RENEWED|certificate renewed/.test(what)
  return {
    plan: planned.plan,
    setUp: planned.setUp,
    given,
    identities: certificates.identities,
    authorities: authorities.value ?? [],
    signing,
    unmet,
    problems: [
      ...obstacles('vault', vault.problems),
      ...obstacles('CA_FILE', authorities.problems),
      ...obstacles('set-up on the twin', makers.problems),
      ...obstacles('the catalogue of roles', scopesOfRoles.problems),
      // What is missing of something that a workflow waits for is part of why it waits.
      ...planned.problems.filter((one) => !isOfUnmet(one)),
      ...certificates.problems,
      ...ofKey,
      ...obstacles('another key than before', [...unmet.values()]),
      ...registrationObstacles(workflows, situation),
    ],
  }
}

/** A workflow that is not ready, and why: in words that `run` would give. */
export interface Waiting {
  readonly workflowId: string
  readonly because: string
  readonly hint: string | undefined
}

/**
 * Of a run that names no flows, on named hosts: the workflows that are ready, and why the others are not. What no machine can
 * look up is for a person to say, by naming the workflow. Where none is ready, those with problems are returned, so that all of
 * these are said. @throws ToolError PRECONDITION where none is ready because only a person knows whether it is
 */
export async function readyOnes(
  selection: readonly Selected[],
  situation: Situation,
): Promise<{ readonly ready: readonly Selected[]; readonly waiting: readonly Waiting[] }> {
  const reasons = new Map<Selected, NotReady>()
  for (const one of selection) {
    const because = await notReady(one, situation)
    if (because !== undefined) reasons.set(one, because)
  }
  const isWaiting = ({ flow, workflow }: Selected) =>
    withDependencies(flow, workflow).some((other) => [...reasons.keys()].some((one) => one.workflow === other.workflow))
  const ready = selection.filter((one) => !isWaiting(one))
  if (ready.length === 0) {
    const withProblems = selection.filter((one) => reasons.get(one)?.isProblem)
    if (withProblems.length > 0) return { ready: withProblems, waiting: [] }
    const open = [...reasons.values()].map(
      ({ because: message, hint }): Problem => ({ code: 'PRECONDITION', message, hint }),
    )
    if (isNonEmpty(open)) throw new ToolError(open)
  }
  return {
    ready,
    waiting: selection.filter(isWaiting).map((one) => ({
      workflowId: one.workflow.workflowId,
      because: reasons.get(one)?.because ?? 'a workflow that it depends on is waiting',
      hint: reasons.get(one)?.hint,
    })),
  }
}

interface NotReady extends Pick<Waiting, 'because' | 'hint'> {
  /** false: only a person knows whether it is ready */
  readonly isProblem: boolean
}

async function notReady(one: Selected, situation: Situation): Promise<NotReady | undefined> {
  const { problems } = await survey([one], situation)
  const [first] = problems
  if (first !== undefined) return { because: first.problem.message, hint: first.problem.hint, isProblem: true }
  const { environment } = situation
  const [open] = onlyAPersonKnows(one.workflow, environment)
  if (open === undefined) return undefined
  const flow = basename(one.flow.file).replace(/\.arazzo\.\w+$/, '')
  return {
    isProblem: false,
    because: `only you know whether ${GIVEN[open].means}`,
    hint: `where it is so, name it: ${commandsFor(environment.flags)('runNamed', { flow })}`,
  }
}

export function obstacles(what: string, problems: readonly Problem[]): readonly Obstacle[] {
  return problems.map((problem) => ({ what, problem }))
}

function madeBy(name: keyof typeof GIVEN): readonly string[] {
  const row = GIVEN[name]
  return 'madeBy' in row ? [row.madeBy] : []
}

/** The flows that make on the twin what the workflows are given. */
async function setUpFlows(workflows: readonly Workflow[], { twinMakesGiven, folders, environment }: Situation) {
  const given = twinMakesGiven ? workflows.flatMap((workflow) => workflow.given) : []
  const flows = [...new Set(given.flatMap(madeBy))]
  return await attempt(async () =>
    flows.length === 0 ? [] : (await select({ flows, folders }, environment)).selection,
  )
}

/** The workflows and their set-up; a setting that both miss is one problem. */
function planBoth(
  selection: readonly Selected[],
  setUpFlows: readonly Selected[],
  known: Pick<PlanOptions, 'thumbprints' | 'scopesOfRoles'>,
  { environment, inputs, vault, twinMakesGiven }: Situation,
) {
  // Whether a registration that is given can be had is asked apart, and only once.
  const isGiven = selection.some(({ workflow }) => workflow.given.includes('registration'))
  const registered = isGiven || vault.registration !== undefined || vault.problems.length > 0
  const main = tryPlan(selection, environment, { inputs, registered, ...known })
  const setUp = tryPlan(setUpFlows, environment, { inputs: openInputs(inputs, setUpFlows), registered: false })
  const problems = new Map([...setUp.problems, ...main.problems])
  return {
    plan: main.plan,
    setUp: twinMakesGiven && setUpFlows.length > 0 ? setUp.plan : undefined,
    uses: new Map([...main.plan.signing, ...setUp.plan.signing]),
    problems: [...problems].map(([what, problem]) => ({ what: what.replace(/^identity /, 'certificate '), problem })),
  }
}

/** On class mock the flows ask for what their pages document, whatever the roles. */
async function scopesToAskFor({ environment, folders }: Situation): Promise<PlanOptions['scopesOfRoles']> {
  const roles = environment.class === 'mock' ? undefined : rolesIn(environment.setting('roles')?.value)
  if (roles === undefined) return undefined
  const catalogue = await readRoles(folders)
  return (given) => scopesOf(rolesWith(given, roles), catalogue)
}

/** The inputs of a run that say whose client it is; for the others the set-up has values of its own. */
function openInputs(inputs: ReadonlyMap<string, string>, flows: readonly Selected[]): ReadonlyMap<string, string> {
  const declared = flows.flatMap(({ workflow }) => workflow.inputs)
  const open = new Set(declared.flatMap((input) => (input.default === undefined ? [input.name] : [])))
  return new Map([...inputs].filter(([name]) => open.has(name)))
}

/** One that the environment does not name is missing from the plan, which says which step needs it. */
async function readIdentities(workflows: readonly Workflow[], environment: Environment, credentials: Credentials) {
  const identities = new Map<string, LoadedIdentity>()
  const problems: Obstacle[] = []
  const calls = workflows.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === 'call' ? runsOf(step) : [])))
  for (const [name, steps] of Map.groupBy(calls, (step) => identityOf(step, environment))) {
    // An expired certificate is what a test of refusal presents on purpose.
    const read = await credentials.identity(
      name,
      steps.every((step) => step.expectRefused),
    )
    if (read.value !== undefined) identities.set(name, read.value)
    problems.push(...obstacles(`certificate ${name}`, read.problems))
  }
  return { identities, problems }
}

/**
 * By the name of the input that has it. Empty where a certificate cannot be read, which is a problem of its own; absent where none
 * is configured.
 */
async function thumbprintsOf(
  environment: Environment,
  identities: ReadonlyMap<string, LoadedIdentity>,
  credentials: Credentials,
): Promise<ReadonlyMap<string, string>> {
  const thumbprints = new Map<string, string>()
  // Tokens are bound to the certificate that the authorization server sees.
  const names = {
    transport: identityOf({ identity: 'transport', source: 'authorization' }, environment),
    renewed: 'renewed',
  }
  for (const [input, name] of Object.entries(names)) {
    if (!environment.identities.has(name)) continue
    const loaded = identities.get(name) ?? (await credentials.identity(name, true)).value
    thumbprints.set(`${input}_thumbprint`, loaded === undefined ? '' : thumbprintOf(loaded.identity))
  }
  return thumbprints
}

async function readSigning(workflows: readonly Workflow[], uses: Plan['signing'], credentials: Credentials) {
  const isNeeded = workflows.some(({ inputs }) => inputs.some(({ mint }) => mint !== undefined))
  if (!isNeeded) return { signing: { keys: new Map(), certificate: undefined }, problems: [] }
  const read = await Promise.all(
    [...uses.values()].map(async (use) => [keyId(use), await credentials.signingKey(use)] as const),
  )
  const keys = new Map(read.flatMap(([id, { value }]) => (value === undefined ? [] : [[id, value] as const])))
  const [current] = [...uses.values()].flatMap((use) => (use.key === 'current' ? (keys.get(keyId(use)) ?? []) : []))
  const signing: Signing = {
    keys,
    certificate: current && (await credentials.signingCertificate(current)),
  }
  // What keeps one file from being read is the same for each algorithm.
  const problems = new Map(
    read.flatMap(([, one]) => one.problems.map((problem) => [problem.message, problem] as const)),
  )
  return { signing, problems: obstacles('signing key', [...problems.values()]) }
}

/** PRECONDITION for each workflow that is given a renewed key or certificate where there is none, or the same one. */
async function notRenewed(
  workflows: readonly Workflow[],
  { environment, credentials }: Situation,
): Promise<ReadonlyMap<Workflow, Problem>> {
  const unmet = new Map<Workflow, Problem>()
  for (const workflow of workflows) {
    for (const name of workflow.given) {
      const because =
        name === 'renewed_signing_key'
          ? await sameSigningKey(environment, credentials)
          : name === 'renewed_transport_certificate'
            ? await sameCertificate(environment, credentials)
            : undefined
      if (because !== undefined) unmet.set(workflow, notYetRenewed(workflow, name, because, environment))
    }
  }
  return unmet
}

async function sameSigningKey(environment: Environment, credentials: Credentials): Promise<string | undefined> {
  const absent = Object.entries(signingNeeds(environment, 'renewed')).flatMap(([name, value]) =>
    value === undefined ? [name] : [],
  )
  if (absent.length > 0) return `${absent.join(' and ')} ${absent.length === 1 ? 'is' : 'are'} not set`
  const { signing, renewedSigning } = environment
  if (signing.kid === renewedSigning.kid) return `RENEWED_SIGNING_KID is SIGNING_KID, "${signing.kid}"`
  const alg = String(environment.setting('signing_alg')?.value)
  const [current, renewed] = await Promise.all(
    (['current', 'renewed'] as const).map(async (key) => (await credentials.signingKey({ key, alg })).value),
  )
  // Why one of them cannot be read is a problem of its own.
  const isSame = current !== undefined && renewed !== undefined && current.publicKey.equals(renewed.publicKey)
  return isSame ? `the key of RENEWED_SIGNING_KID "${renewed.kid}" is that of SIGNING_KID "${current.kid}"` : undefined
}

async function sameCertificate(environment: Environment, credentials: Credentials): Promise<string | undefined> {
  if (!environment.identities.has('renewed')) return 'IDENTITY_RENEWED_CERT_FILE is not set'
  const [current, renewed] = await Promise.all(
    ['transport', 'renewed'].map(async (name) => (await credentials.identity(name, true)).value?.identity.record),
  )
  if (current === undefined || renewed === undefined) return undefined
  if (current.sha256 === renewed.sha256)
    return 'the certificate of IDENTITY_RENEWED_CERT_FILE is the current one, that of TRANSPORT_CERT_FILE'
  return current.key !== undefined && current.key.spkiSha256 === renewed.key?.spkiSha256
    ? 'the certificate of IDENTITY_RENEWED_CERT_FILE has the key of the current one'
    : undefined
}

/** None where the vault cannot be read: whether it holds a registration is then not known. */
function registrationObstacles(
  workflows: readonly Workflow[],
  { environment, vault, twinMakesGiven, registeredElsewhere }: Situation,
): readonly Obstacle[] {
  if (twinMakesGiven || registeredElsewhere || vault.problems.length > 0) return []
  const registered = vault.registration !== undefined
  const problems = missingRegistrations(workflows, { registered, environment })
  return obstacles('a registration in the vault', problems)
}
