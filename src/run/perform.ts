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
import type { GivenRecord, RunRecord, WorkflowRecord } from '../record/index.ts'
import { applicationOf, type MessageToThredd, messagesToThredd } from '../report/message.ts'
import type { Transport } from '../transport/transport.ts'
import type { Registration, Vault } from '../vault/index.ts'
import type { Caller, Counterparty, GivenEvent } from './caller.ts'
import { type Care, careful, stopper } from './careful.ts'
import { connect, startCounterparty } from './connect.ts'
import { thumbprintsOf } from './credentials.ts'
import { redactedWorkflow } from './finished.ts'
import { askKeystore, userAgentOf } from './keystore.ts'
import { sharesOf } from './order.ts'
import type { Prepared } from './prepare.ts'

/** What came of a run besides the records of its workflows. */
export interface Performed {
  /** what has become of clients, oldest first */
  readonly changes: readonly ChangeMade[]
  readonly warnings: readonly string[]
  readonly given: readonly GivenRecord[]
  readonly messages: readonly MessageToThredd[]
  /** of a run of rows */
  readonly rows?: RunRecord['rows']
  /** of one row: the client as it has last seen it */
  readonly known?: Registration | undefined
}

/** What a run is carried out with. */
export interface Means {
  readonly vault: Vault
  readonly admission: Admission | undefined
  readonly runId: string
  readonly caller: Caller
  readonly onEvent: (event: RunEvent | GivenEvent) => void
}

/** What rows that run at the same time share beyond that; a run without rows has its own. */
export interface Company {
  /** also of whoever ends the run for all */
  readonly signal: AbortSignal
  readonly careful: (transport: Transport) => Transport
  /** the transport of rows that meet the same servers with the same certificates; undefined: each has its own */
  readonly transport: Transport | undefined
}

export async function perform(prepared: Prepared, means: Means): Promise<Performed> {
  const { caller, vault, runId } = means
  const { signal, why, careful } = company(careOf(prepared), caller)
  const performed = await performRow(prepared, means, { signal, careful, transport: undefined })
  return { ...performed, warnings: [...performed.warnings, ...why(), ...(await openCalls(prepared, vault, runId))] }
}

/** One row with all its counterparties. `counterparty` of what was prepared is the first; else each row starts its own. */
export async function performRow(
  prepared: Prepared,
  means: Means,
  company: Company,
  { startsAnew = false }: { readonly startsAnew?: boolean } = {},
): Promise<Performed> {
  const { environment, request } = prepared
  await using stack = new AsyncDisposableStack()
  const start = async () => {
    const started = await startCounterparty(environment, means.caller, startsAnew ? request.client : undefined)
    return started && stack.use(started)
  }
  const meet = (counterparty: Counterparty | undefined): Meeting => ({
    counterparty,
    transport: company.transport ?? company.careful(stack.use(connectionOf(prepared, counterparty))),
  })
  // The first is there already: it was started to be asked for its certificates.
  let meeting = meet(startsAnew ? await start() : prepared.counterparty)
  const performed: Performed[] = []
  for (const [index, workflows] of shares(prepared).entries()) {
    const startOver = meeting.counterparty?.startOver
    if (index > 0 && startOver === undefined) meeting = meet(await start())
    else if (index > 0) startOver?.()
    performed.push(await performWith(meeting, workflows, prepared, { ...means, ...company }))
  }
  return {
    changes: performed.flatMap(({ changes }) => changes),
    warnings: [...new Set(performed.flatMap(({ warnings }) => warnings))],
    given: performed.flatMap(({ given }) => given),
    messages: performed.flatMap(({ messages }) => messages),
    known: performed.at(-1)?.known,
  }
}

/** What ends the calls of a run, and makes its transports careful. `why` says what ended it, if anything did. */
export function company(care: Care, { signal }: Pick<Caller, 'signal'>) {
  const stopped = stopper()
  return {
    signal: AbortSignal.any([stopped.signal, ...(signal === undefined ? [] : [signal])]),
    careful: careful(care, { clock: now, wait, stop: stopped.stop }),
    why: () => (stopped.signal.reason instanceof ToolError ? [stopped.signal.reason.message] : []),
  }
}

/** On the embedded twin nothing is left to do; what has become unreadable meanwhile was said where a call met it. */
export async function openCalls({ counterparty }: Prepared, vault: Vault, runId: string): Promise<readonly string[]> {
  return counterparty === undefined ? await vault.warnings({ runId }).catch(() => []) : []
}

/** The workflows that meet the same counterparty. */
function shares({ request, survey, counterparty }: Prepared): readonly (readonly PlannedWorkflow[])[] {
  const { workflows } = survey.plan
  return counterparty?.fulfil === undefined ? [workflows] : sharesOf(workflows, request)
}

/** Who answers, and the connections to it. */
interface Meeting {
  readonly counterparty: Counterparty | undefined
  readonly transport: Transport
}

async function performWith(
  { counterparty, transport }: Meeting,
  workflows: readonly PlannedWorkflow[],
  prepared: Prepared,
  { vault, admission, runId, caller, onEvent, signal }: Means & Omit<Company, 'transport'>,
): Promise<Performed> {
  const { survey, request, redactor } = prepared
  const { clientId, softwareId } = request.client
  const command = commandsFor(prepared.environment.flags)
  const thumbprintOf = thumbprintsOf(survey.identities)
  const options = { vault, runId, clientId, softwareId, command, thumbprintOf, now: () => new Date() }
  const runVault = new RunVault({ ...options, admission, onAnswer: caller.onAnswer })
  // Changes that the set-up makes on the twin are no changes to report to Thredd: they are recorded apart, and dropped.
  const setUpVault = new RunVault(options)
  const ownEffects = effects(survey.signing.keys, caller)
  const base = { transport, redactor, ...ownEffects }
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
    onGiven: ({ setUp, ...one }) => {
      const redacted = {
        ...redactor.record(one),
        ...(setUp === undefined ? {} : { setUp: setUp.map((workflow) => redactedWorkflow(workflow, redactor)) }),
      }
      given.push(redacted)
      onEvent({ type: 'given', given: redacted })
    },
  })
  const establish: Ports['given'] = (workflow) => preconditions.establish(workflow)
  const plan = { ...survey.plan, workflows }
  const ports = { ...base, given: establish, vault: runVault.port }
  for await (const event of entering(runVault, execute(plan, ports, signal))) onEvent(event)
  const { changes, known } = runVault
  return {
    ...{ changes, known },
    warnings: [...setUpVault.warnings, ...runVault.warnings],
    given,
    messages: messagesOf(prepared, changes),
  }
}

/** To that counterparty, or to the named hosts. */
export function connectionOf(
  { environment, survey, proxy }: Prepared,
  counterparty: Counterparty | undefined,
): Transport {
  const identities = new Map([...survey.identities].map(([name, { identity }]) => [name, identity]))
  return connect(environment, { identities, authorities: survey.authorities, proxy, counterparty })
}

/** Nothing that happens on the twin concerns Thredd. */
function messagesOf({ environment, request }: Prepared, changes: readonly ChangeMade[]): readonly MessageToThredd[] {
  if (environment.class === 'mock') return []
  const { organisation, softwareId } = request.client
  return messagesToThredd(changes, applicationOf(environment, { organisation, softwareId }))
}

/** Between two calls where others use the servers too, in ms. */
const USUAL_PAUSE_MS = 200

/** On the twin there is nobody to be careful of, unless the environment asks for it. */
export function careOf(
  { environment, selection }: Pick<Prepared, 'environment' | 'selection'>,
  { ofRows = false }: { readonly ofRows?: boolean } = {},
): Care {
  const { pauseMs, mostCalls, identityFor } = environment
  const isLive = environment.class !== 'mock'
  const proves = isLive && selection.some(isConformanceFlow)
  return {
    pauseMs: pauseMs ?? (proves || (isLive && ofRows) ? USUAL_PAUSE_MS : 0),
    isByHost: ofRows,
    mostCalls: mostCalls ?? (proves && !ofRows ? 1000 : Number.POSITIVE_INFINITY),
    watches: proves ? 'all signs' : isLive && ofRows ? 'limits' : 'nothing',
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
function effects(
  keys: ReadonlyMap<string, SigningKey>,
  { version, cut = new AbortController().signal }: Pick<Caller, 'version' | 'cut'>,
) {
  return {
    sign: (assertion, changes) => {
      const key = keys.get(keyId(assertion))
      if (key === undefined) throw new Error(`no key was loaded for ${keyId(assertion)}`)
      return mintClientAssertion(key, assertion, { now: new Date(), jti: randomUUID() }, changes)
    },
    alter: alterJwt,
    userAgent: userAgentOf(version),
    now: () => new Date(),
    clock: now,
    wait,
    cut,
  } satisfies Omit<Ports, 'transport' | 'redactor' | 'vault' | 'given'>
}

const now = () => performance.now()
const wait: Ports['wait'] = (milliseconds, signal) => sleep(milliseconds, undefined, { signal }).catch(() => undefined)
