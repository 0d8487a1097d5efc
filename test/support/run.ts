/** A run against the twin as the command line makes it, but in a folder of its own and with everything in sight. */
import { createHash, randomBytes, randomUUID, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { http, type RequestHandler } from 'msw'
import { createTwin, type Fault, type Pki, type Switches, startTwin, type Twin } from '../../mocks/index.ts'
import { loadEnvironment } from '../../src/environment/index.ts'
import { execute, type Ports, type RunEvent } from '../../src/execute/index.ts'
import { GIVEN, type Given } from '../../src/flow/arazzo/given.ts'
import { type Flow, readFlow } from '../../src/flow/index.ts'
import { Console } from '../../src/front/cli/console.ts'
import { fulfilOn } from '../../src/front/twin.ts'
import { demandAllowed } from '../../src/guard/hosts.ts'
import { loadIdentity } from '../../src/identity/certificate.ts'
import { alterJwt, mintClientAssertion } from '../../src/identity/jwt.ts'
import { loadSigningKey, type SigningAlg } from '../../src/identity/signing.ts'
import { keyId, plan, type VaultMember } from '../../src/plan/index.ts'
import type { CheckRecord, RecordHead, RunRecord, StepRecord, WorkflowRecord } from '../../src/record/index.ts'
import {
  type Caller,
  type Counterparty,
  type GivenEvent,
  type PreparedEvent,
  resolve,
  run,
} from '../../src/run/index.ts'
import { Redactor } from '../../src/secret/index.ts'
import { inProcess } from '../../src/transport/in-process.ts'
import { sharedPki } from './twin.ts'

/** The folder of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export type Kind = 'tls' | 'in-process'

export interface RunOnTwinOptions {
  /** default: the registration */
  readonly flows?: readonly string[]
  /** default: in-process */
  readonly kind?: Kind
  readonly faults?: readonly Fault[]
  readonly switches?: Partial<Switches>
  /** run only this step and what it needs */
  readonly step?: string
  readonly tags?: readonly string[]
  /** where no flow is named: those of flows/conformance too */
  readonly conformance?: boolean
  readonly inputs?: Readonly<Record<string, string>>
  /** settings by name, without the prefix */
  readonly settings?: Readonly<Record<string, string>>
  /** the folder of an earlier run, whose vault and reports are then used again */
  readonly folder?: string
  /** the twin of an earlier run, in-process only: its memory is kept */
  readonly twin?: Twin
  /** default: mock */
  readonly env?: string
  /** report files beside the usual ones */
  /** report files to write beside the record; default: none, since hundreds of runs are judged by their records */
  readonly formats?: Caller['formats']
  /** the twin is met as a server of others: nothing is made so that workflows are given */
  readonly unaided?: boolean
  /** fixes the twin's time and its tokens, ids and secrets */
  readonly random?: (size: number) => Uint8Array
  readonly now?: () => Date
  readonly vault?: Caller['vault']
  readonly signal?: Caller['signal']
  /** told of each event as it happens, and of the folder of reports */
  readonly onEvent?: (event: RunEvent | PreparedEvent | GivenEvent, reports: string) => void
}

/** What the twin received and answered, before faults. */
export interface Traffic {
  readonly operation: string | undefined
  readonly url: string
  readonly requestHeaders: readonly (readonly [string, string])[]
  readonly requestBody: string
  readonly status: number
  readonly responseBody: string
}

export interface TwinRun extends AsyncDisposable {
  /** read from its file */
  readonly record: RunRecord
  /** as `run` hands it over */
  readonly finished: { readonly head: RecordHead; readonly workflows: readonly WorkflowRecord[] }
  /** path of the record */
  readonly file: string
  readonly folder: string
  readonly reports: string
  readonly twin: Twin
  readonly traffic: readonly Traffic[]
  readonly events: readonly (RunEvent | PreparedEvent | GivenEvent)[]
  /** what a person saw, without colour */
  readonly screen: string
}

/** Disposing removes the folder, unless it was given. Rejects as `run` does, after cleaning up. */
export async function runOnTwin(options: RunOnTwinOptions = {}): Promise<TwinRun> {
  const attempt = await attemptOnTwin(options)
  if ('error' in attempt) {
    await attempt[Symbol.asyncDispose]()
    throw attempt.error
  }
  return attempt
}

/** The same where `run` may reject: the error stands in place of the record. */
export async function attemptOnTwin(
  options: RunOnTwinOptions,
): Promise<TwinRun | (Omit<TwinRun, 'record' | 'finished' | 'file'> & { readonly error: unknown })> {
  const pki = await sharedPki()
  const folder = options.folder ?? (await makeFolder())
  const reports = join(folder, 'reports')
  const traffic: Traffic[] = []
  const events: (RunEvent | PreparedEvent | GivenEvent)[] = []
  let screen = ''
  // A stream that is no terminal: no colour, whatever the terminal of the test is.
  const console = new Console({ stream: new PassThrough(), write: (text) => (screen += text) })
  const meetOne = async () => {
    const one = await meet(pki, options)
    one.twin.use(recorder(one.twin, traffic))
    for (const fault of options.faults ?? []) one.twin.use(...fault.handlers(one.twin))
    return one
  }
  const met = await meetOne()
  // Only a run without flow names meets further ones.
  let next: Promise<Counterparty> | undefined = Promise.resolve(met.counterparty)
  const seen = { folder, reports, twin: met.twin, traffic, events }
  const dispose = async () => {
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true })
  }
  try {
    const request = await resolve({
      selection: {
        flows: options.flows ?? ['register'],
        step: options.step,
        tags: options.tags,
        conformance: options.conformance,
        folders: [ROOT],
      },
      environment: { env: options.env ?? 'mock', folder, fallback: ROOT, variables: variables(pki, options.settings) },
      inputs: new Map(Object.entries(options.inputs ?? {})),
    })
    let workflows: readonly WorkflowRecord[] = []
    const { head, file } = await run(request, {
      out: reports,
      version: '0.0.0-test',
      twin: async () => {
        const one = next ?? meetOne().then(({ counterparty }) => counterparty)
        next = undefined
        return await one
      },
      vault: options.vault,
      signal: options.signal,
      formats: options.formats ?? [],
      onEvent: (event) => {
        events.push(event)
        console.show(event)
        options.onEvent?.(event, reports)
      },
      onFinished: (_, finished) => {
        workflows = [...finished]
      },
    })
    console.summary(head, file)
    const record = recordIn(file)
    return { ...seen, record, finished: { head, workflows }, file, screen, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    return { ...seen, error, screen, [Symbol.asyncDispose]: dispose }
  } finally {
    met.twin.reset()
    await met.counterparty[Symbol.asyncDispose]()
  }
}

/** One flow, prepared once: each `play` is then nothing but its calls, so that hundreds of faults take seconds. */
export interface Stage {
  readonly flow: Flow
  /**
   * Runs the flow in-process on a twin that finds it as it is given, with a vault in memory: that of the disk would take
   * most of the time.
   */
  play(...faults: readonly Fault[]): Promise<Played>
  /** The same with a fault for the calls of one step alone; what comes after the step is not run. */
  playAt(stepId: string, fault: Fault): Promise<Played>
}

export interface Played {
  readonly workflows: readonly WorkflowRecord[]
  readonly steps: readonly StepRecord[]
  readonly traffic: readonly Traffic[]
}

export interface StageOptions {
  readonly switches?: Partial<Switches>
  readonly settings?: Readonly<Record<string, string>>
  /** instead of waiting; told what it waits on */
  readonly wait?: (twin: Twin, milliseconds: number) => void
}

export async function setStage(name: string, options: StageOptions = {}): Promise<Stage> {
  const { settings, wait } = options
  const switches: Partial<Switches> = { metadataSet: 'at-once', ...options.switches }
  const pki = await sharedPki()
  const folder = await makeFolder()
  const environment = await loadEnvironment({ env: 'mock', folder, variables: variables(pki, settings) })
  await rm(folder, { recursive: true, force: true })
  const read = async (one: string) => await readFlow(join(ROOT, 'flows', `${one}.arazzo.yaml`))
  const [flow, register] = await Promise.all([read(name), read('register')])
  const identities = new Map(
    await Promise.all(
      (['transport', 'renewed', 'other', 'expired', 'clone'] as const).map(async (one) => {
        const { certificateFile, keyFile, certificate } = pki.identities[one]
        // As of a day on which it was good: that of an expired one is presented on purpose.
        const at = new Date(Math.min(Date.now(), new X509Certificate(certificate).validToDate.getTime() - 1000))
        return [one, (await loadIdentity({ name: one, certificateFile, keyFile }, at)).identity] as const
      }),
    ),
  )
  const thumbprints = new Map(
    (['transport', 'renewed'] as const).map((one) => {
      const der = new X509Certificate(pki.identities[one].certificate).raw
      return [`${one}_thumbprint`, createHash('sha256').update(der).digest('base64url')] as const
    }),
  )
  const planOf = (one: Flow) =>
    plan(
      one.workflows.map((workflow) => ({ flow: one, workflow })),
      environment,
      { inputs: new Map(), registered: true, thumbprints },
    )
  const [planned, setUp] = [planOf(flow), planOf(register)]
  const keys = new Map(
    await Promise.all(
      [...planned.signing.values(), ...setUp.signing.values()].map(async (use) => {
        const [held, kid] =
          use.key === 'renewed'
            ? [pki.identities['renewed-signing'], pki.renewedSigningKid]
            : [pki.identities.signing, pki.signingKid]
        const key = await loadSigningKey({ given: held.keyFile, alg: use.alg as SigningAlg, kid })
        return [keyId(use), key] as const
      }),
    ),
  )
  const portsTo = (twin: Twin, vault: Map<VaultMember, string>): Ports => ({
    transport: inProcess({
      identities,
      demandAllowed: demandAllowed(environment.allowedHosts),
      maxBodyBytes: 10 * 1024 * 1024,
      answer: (request, certificate) => twin.answer(request, certificate),
    }),
    redactor: new Redactor(randomBytes(32)),
    sign: async (assertion, changes) => {
      const key = keys.get(keyId(assertion))
      if (key === undefined) throw new Error(`no key for ${assertion.alg}`)
      return await mintClientAssertion(key, assertion, { now: new Date(), jti: randomUUID() }, changes)
    },
    alter: alterJwt,
    vault: {
      manages: async () => false,
      begin: async () => ({ keep: keepIn(vault), close: async () => {} }),
      keep: keepIn(vault),
      worked: async () => {},
      read: async (member) => vault.get(member),
    },
    given: async () => undefined,
    userAgent: 'test',
    now: () => new Date(),
    clock: () => performance.now(),
    wait: async (milliseconds) => wait?.(twin, milliseconds),
    cut: new AbortController().signal,
  })
  const given = new Set(flow.workflows.flatMap((workflow) => workflow.given))
  const found = await foundBy(given)

  /** What a play finds: the servers' memory, and what the vault holds of it. */
  async function foundBy(words: ReadonlySet<Given>) {
    const twin = createTwin({ pki, switches })
    const vault = new Map<VaultMember, string>()
    const makers = [...words].some((word) => 'madeBy' in GIVEN[word])
    if (makers) for await (const _ of execute(setUp, portsTo(twin, vault), new AbortController().signal));
    const clientId = String(environment.setting('client_id')?.value)
    const softwareId = String(environment.setting('software_id')?.value)
    for (const word of words) {
      if (word !== 'registration') await fulfilOn(twin, pki)(word, { clientId, softwareId })
    }
    return { snapshot: twin.state.snapshot(), vault }
  }

  async function played(faults: readonly Fault[], only?: string): Promise<Played> {
    // A twin goes on with the objects of its snapshot.
    const twin = createTwin({ pki, switches, snapshot: structuredClone(found.snapshot) })
    const traffic: Traffic[] = []
    const steps: StepRecord[] = []
    const watch = () => twin.use(recorder(twin, traffic))
    const fault = () => {
      for (const one of faults) twin.use(...one.handlers(twin))
    }
    watch()
    if (only === undefined) fault()
    const events = execute(planned, portsTo(twin, new Map(found.vault)), new AbortController().signal)
    const workflows: WorkflowRecord[] = []
    for await (const event of events) {
      if (event.type === 'step-started' && event.stepId === only) fault()
      if (event.type === 'workflow-finished') workflows.push(event.workflow)
      if (event.type !== 'step-finished') continue
      steps.push(event.step)
      if (event.step.stepId === only) break
    }
    return { workflows, steps, traffic }
  }
  return {
    flow,
    play: async (...faults) => await played(faults),
    playAt: async (stepId, fault) => await played([fault], stepId),
  }
}

export function recordIn(file: string): RunRecord {
  return JSON.parse(readFileSync(file, 'utf8')) as RunRecord
}

export function workflowOf(record: Pick<RunRecord, 'workflows'>): WorkflowRecord {
  const [workflow] = record.workflows
  if (workflow === undefined) throw new Error('the record has no workflow')
  return workflow
}

export function stepOf(record: Pick<RunRecord, 'workflows'>, stepId: string): StepRecord {
  const step = workflowOf(record).steps.find((one) => one.stepId === stepId)
  if (step === undefined) throw new Error(`the record has no step "${stepId}"`)
  return step
}

/** Checks that are not green, with what they say. */
export function notPassed(step: StepRecord): Pick<CheckRecord, 'id' | 'status' | 'title' | 'expected' | 'actual'>[] {
  return step.checks
    .filter(({ status }) => status !== 'pass')
    .map(({ id, status, title, expected, actual }) => ({ id, status, title, expected, actual }))
}

/** Step ids with their status, and why where there is a reason. */
export function course(record: Pick<RunRecord, 'workflows'>): string[] {
  return workflowOf(record).steps.map(({ stepId, status, because }) =>
    because === undefined ? `${stepId} ${status}` : `${stepId} ${status}: ${because}`,
  )
}

export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-run-'))
  // A copy: vault and made keys then lie in this folder, and no .env.mock.local of a developer has a say.
  await cp(join(ROOT, '.env.mock'), join(folder, '.env.mock'))
  return folder
}

export function variables(pki: Pki, settings: RunOnTwinOptions['settings'] = {}): Record<string, string> {
  const all = {
    TRANSPORT_CERT_FILE: pki.identities.transport.certificateFile,
    TRANSPORT_KEY_FILE: pki.identities.transport.keyFile,
    SIGNING_KEY_FILE: pki.identities.signing.keyFile,
    SIGNING_CERT_FILE: pki.identities.signing.certificateFile,
    ...Object.fromEntries(
      (['renewed', 'other', 'expired', 'clone'] as const).flatMap((name) => [
        [`IDENTITY_${name.toUpperCase()}_CERT_FILE`, pki.identities[name].certificateFile],
        [`IDENTITY_${name.toUpperCase()}_KEY_FILE`, pki.identities[name].keyFile],
      ]),
    ),
    RENEWED_SIGNING_KEY_FILE: pki.identities['renewed-signing'].keyFile,
    CA_FILE: pki.caFile,
    ...settings,
  }
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`THREDD_${name}`, value]))
}

async function meet(
  pki: Pki,
  { kind = 'in-process', switches = {}, twin: known, now, random, unaided = false }: RunOnTwinOptions,
): Promise<{ readonly twin: Twin; readonly counterparty: Counterparty }> {
  const options = {
    pki,
    switches: { metadataSet: 'at-once', ...switches } as Partial<Switches>,
    ...(now === undefined ? {} : { now }),
    ...(random === undefined ? {} : { random }),
  }
  if (kind === 'in-process') {
    const twin = known ?? createTwin(options)
    return {
      twin,
      counterparty: {
        kind: 'twin-in-process',
        answer: (request, certificate) => twin.answer(request, certificate),
        ...(unaided ? {} : { fulfil: fulfilOn(twin, pki) }),
        async [Symbol.asyncDispose]() {},
      },
    }
  }
  const running = await startTwin(options)
  return {
    twin: running.twin,
    counterparty: {
      kind: 'twin',
      connectTo: () => ({ host: '127.0.0.1', port: running.port }),
      ...(unaided ? {} : { fulfil: fulfilOn(running.twin, pki) }),
      [Symbol.asyncDispose]: () => running.close(),
    },
  }
}

/** Given to `use` before the faults, so that it sees what the server would have answered. */
function recorder(twin: Twin, traffic: Traffic[]): RequestHandler {
  return http.all(
    () => true,
    async ({ request }) => {
      const requestBody = await request.clone().text()
      const response = await twin.pass(request)
      traffic.push({
        operation: twin.operationOf(request),
        url: request.url,
        requestHeaders: [...request.headers],
        requestBody,
        status: response.status,
        responseBody: response.type === 'error' ? '' : await response.clone().text(),
      })
      return response
    },
  )
}

/** Keeps of an answer what a vault would. */
function keepIn(vault: Map<VaultMember, string>) {
  return async ({ body }: { readonly body: Uint8Array }) => {
    const text = Buffer.from(body).toString()
    for (const member of ['registration_access_token', 'registration_client_uri'] as const) {
      const value = new RegExp(`"${member}":"([^"]+)"`).exec(text)?.[1]
      if (value !== undefined) vault.set(member, value)
    }
    return undefined
  }
}
