/** Carries a prepared run out: its workflows, one after the other, with each counterparty that they need. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { execute, type Ports, type RunEvent } from '../execute/index.ts'
import { isConformanceFlow } from '../guard/confirmation.ts'
import { Preconditions } from '../guard/given.ts'
import { type Admission, RunVault } from '../guard/run-vault.ts'
import { alterJwt, mintClientAssertion } from '../identity/jwt.ts'
import type { SigningKey } from '../identity/signing.ts'
import { keyId, type Plan, type PlannedWorkflow } from '../plan/index.ts'
import type { ChangeMade } from '../record/effect.ts'
import { ToolError } from '../record/errors.ts'
import { commandsFor } from '../record/hints.ts'
import type { GivenRecord, WorkflowRecord } from '../record/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Caller, Counterparty, GivenEvent } from './caller.ts'
import { type Care, careful, stopper } from './careful.ts'
import { connect, startCounterparty } from './connect.ts'
import { askKeystore, userAgentOf } from './keystore.ts'
import { sharesOf } from './order.ts'
import type { Prepared } from './prepare.ts'

/** What came of a run besides the records of its workflows. */
export interface Performed {
  /** what has become of clients, oldest first */
  readonly changes: readonly ChangeMade[]
  readonly warnings: readonly string[]
  readonly given: readonly GivenRecord[]
}

/** What a run is carried out with. */
export interface Means {
  readonly vault: Vault
  readonly admission: Admission | undefined
  readonly runId: string
  readonly caller: Caller
  readonly onEvent: (event: RunEvent | GivenEvent) => void
}

export async function perform(prepared: Prepared, means: Means): Promise<Performed> {
  const performed: Performed[] = []
  for (const [index, workflows] of shares(prepared).entries()) {
    await using stack = new AsyncDisposableStack()
    // The first is there already: it was started to be asked for its certificates.
    const counterparty =
      index === 0 ? prepared.counterparty : await startCounterparty(prepared.environment, means.caller)
    if (index > 0 && counterparty !== undefined) stack.use(counterparty)
    performed.push(await performWith(counterparty, workflows, prepared, means))
  }
  return {
    changes: performed.flatMap(({ changes }) => changes),
    warnings: [...new Set(performed.flatMap(({ warnings }) => warnings))],
    given: performed.flatMap(({ given }) => given),
  }
}

/** The workflows that meet the same counterparty. */
function shares({ request, survey, counterparty }: Prepared): readonly (readonly PlannedWorkflow[])[] {
  const { workflows } = survey.plan
  return counterparty?.fulfil === undefined ? [workflows] : sharesOf(workflows, request)
}

async function performWith(
  counterparty: Counterparty | undefined,
  workflows: readonly PlannedWorkflow[],
  prepared: Prepared,
  { vault, admission, runId, caller, onEvent }: Means,
): Promise<Performed> {
  const { survey, request, redactor } = prepared
  const { clientId, softwareId } = request.client
  await using stack = new AsyncDisposableStack()
  const command = commandsFor(prepared.environment.flags)
  const options = { vault, runId, clientId, softwareId, command, now: () => new Date() }
  const runVault = new RunVault({ ...options, admission, onAnswer: caller.onAnswer })
  // Changes that the set-up makes on the twin are no changes to report to Thredd: they are recorded apart, and dropped.
  const setUpVault = new RunVault(options)
  const identities = new Map([...survey.identities].map(([name, { identity }]) => [name, identity]))
  const { authorities } = survey
  const ownEffects = effects(survey.signing.keys, caller.version)
  const stopped = stopper()
  const connected = stack.use(
    connect(prepared.environment, { identities, authorities, proxy: prepared.proxy, counterparty }),
  )
  const transport = careful(connected, careOf(prepared), { ...ownEffects, stop: stopped.stop })
  const base = { transport, redactor, ...ownEffects }
  const signal = AbortSignal.any([stopped.signal, ...(caller.signal === undefined ? [] : [caller.signal])])
  const given: GivenRecord[] = []
  const preconditions = new Preconditions({
    environment: prepared.environment,
    fulfil: counterparty?.fulfil,
    unmet: (workflow) => survey.unmet.get(workflow),
    about: { clientId, softwareId },
    isRegistered: async () =>
      request.permissions.registeredElsewhere === true || (await vault.current({ clientId, softwareId })) !== undefined,
    isRegisteredHere: () => runVault.hasRegistered || setUpVault.hasRegistered,
    keystore: async (which) => {
      if (prepared.listed?.has(which)) return { is: 'listed' }
      const { environment } = prepared
      const userAgent = userAgentOf(caller.version)
      return await askKeystore({ environment, softwareId, which, survey, transport, userAgent, signal })
    },
    setUp: async () =>
      await runSetUp(survey.setUp, { ...base, given: establish, vault: setUpVault.port }, setUpVault, signal),
    onGiven: (one) => {
      given.push(one)
      onEvent({ type: 'given', given: redactor.record(one) })
    },
  })
  const establish: Ports['given'] = (workflow) => preconditions.establish(workflow)
  const plan = { ...survey.plan, workflows }
  const ports = { ...base, given: establish, vault: runVault.port }
  for await (const event of entering(runVault, execute(plan, ports, signal))) onEvent(event)
  // On the embedded twin nothing is left to do; what has become unreadable meanwhile was said where a call met it.
  const { reason } = stopped.signal
  const why = reason instanceof ToolError ? [reason.message] : []
  const open = counterparty === undefined ? await vault.warnings({ runId }).catch(() => []) : []
  return { changes: runVault.changes, warnings: [...setUpVault.warnings, ...runVault.warnings, ...why, ...open], given }
}

/** On the twin there is nobody to be careful of, unless the environment asks for it. */
function careOf({ environment, selection }: Pick<Prepared, 'environment' | 'selection'>): Care {
  const { pauseMs, mostCalls, identityFor } = environment
  const watches = environment.class !== 'mock' && selection.some(isConformanceFlow)
  return {
    pauseMs: pauseMs ?? (watches ? 200 : 0),
    mostCalls: mostCalls ?? (watches ? 1000 : Number.POSITIVE_INFINITY),
    watches,
    identities: new Set(['transport', ...identityFor.values()]),
  }
}

async function runSetUp(
  plan: Plan | undefined,
  ports: Ports,
  vault: RunVault,
  signal: AbortSignal,
): Promise<readonly WorkflowRecord[]> {
  const workflows: WorkflowRecord[] = []
  if (plan === undefined) return workflows
  for await (const event of entering(vault, execute(plan, ports, signal)))
    if (event.type === 'workflow-finished') workflows.push(event.workflow)
  return workflows
}

/** The same events; the vault learns of each workflow that starts before its first call. */
async function* entering(vault: RunVault, events: AsyncIterable<RunEvent>): AsyncGenerator<RunEvent, void> {
  for await (const event of events) {
    if (event.type === 'workflow-started') vault.enter(event.planned)
    yield event
  }
}

/** What calls need of this machine: signatures, time, waiting. */
function effects(keys: ReadonlyMap<string, SigningKey>, version: string) {
  return {
    sign: (assertion, changes) => {
      const key = keys.get(keyId(assertion))
      if (key === undefined) throw new Error(`no key was loaded for ${keyId(assertion)}`)
      return mintClientAssertion(key, assertion, { now: new Date(), jti: randomUUID() }, changes)
    },
    alter: alterJwt,
    userAgent: userAgentOf(version),
    now: () => new Date(),
    clock: () => performance.now(),
    wait: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }).catch(() => undefined),
  } satisfies Omit<Ports, 'transport' | 'redactor' | 'vault' | 'given'>
}
