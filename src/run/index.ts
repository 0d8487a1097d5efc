/**
 * Composition: reads environment and flows, plans, opens vault, identities and transport, executes, and writes the record.
 * All problems of the input are reported at once, and nothing is sent while there is one.
 */
import { randomBytes, randomUUID, randomUUIDv7, type X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, parse, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Environment, type EnvironmentOptions, loadEnvironment } from '../environment/index.ts'
import { execute, type Ports, type RunEvent } from '../execute/index.ts'
import { GIVEN, rolesWith } from '../flow/arazzo/given.ts'
import { withInvoked } from '../flow/arazzo/needs.ts'
import type { CallStep } from '../flow/index.ts'
import {
  type Circumstances,
  effectOf,
  guard,
  mustConfirm,
  objections,
  type Selected,
  warningsOf,
} from '../guard/confirmation.ts'
import { demandRegistration, type Expectation, expectationsOf, type Fulfil, Provider } from '../guard/given.ts'
import { type Application, messagesToThredd } from '../guard/message.ts'
import { readRoles, type ScopeRequest, scopeWarnings } from '../guard/roles.ts'
import { Keeper } from '../guard/run-vault.ts'
import { type Identity, loadAuthorities, loadIdentity, loadSigningCertificate } from '../identity/certificate.ts'
import { alterJwt, loadSigningKey, mintClientAssertion, type SigningAlg, type SigningKey } from '../identity/jwt.ts'
import { type Plan, type PlannedWorkflow, plan } from '../plan/index.ts'
import { CATALOGUE } from '../record/clauses.ts'
import { fail } from '../record/errors.ts'
import {
  exitCodeOf,
  FINISHED_FILE,
  type GivenRecord,
  type IdentityRecord,
  RECORD_VERSION,
  type RecordHead,
  type RunRecord,
  verdictOf,
  type WorkflowRecord,
} from '../record/index.ts'
import { createArtifacts, searchOnly } from '../report/artifacts.ts'
import { writeReports } from '../report/write.ts'
import { REDACTION_VERSION, Redactor, Secret } from '../secret/index.ts'
import { inProcess } from '../transport/in-process.ts'
import { createTransport } from '../transport/index.ts'
import type { Transport } from '../transport/transport.ts'
import { openVaultOf, type Probe, type Vault, type VaultPorts } from '../vault/index.ts'
import { environmentRecord, securityRecord, signingKeyRecords } from './circumstances.ts'
import { FinishedWorkflows } from './finished.ts'
import { type PreviewedWorkflow, preview, scopesAskedBy } from './preview.ts'
import { folderName, leftOut, type SelectionOptions, select, together } from './selection.ts'

/** Who answers instead of the named hosts: the twin behind TLS on a loopback port, or the twin without sockets. */
export type Counterparty = AsyncDisposable & {
  /** makes so what workflows are given; without it a counterparty is met as any server is */
  readonly fulfil?: Fulfil
} & (
    | {
        readonly kind: 'twin'
        readonly connectTo: (host: string, port: number) => { host: string; port: number } | undefined
      }
    | {
        readonly kind: 'twin-in-process'
        answer(request: Request, certificate: X509Certificate | undefined): Promise<Response>
      }
  )

export interface RunOptions extends SelectionOptions {
  readonly environment: EnvironmentOptions
  readonly inputs: ReadonlyMap<string, string>
  /** the reports folder; without one nothing is written, and what would be is searched for secrets all the same */
  readonly out?: string | undefined
  /** default: a new one */
  readonly runId?: string | undefined
  /** the client id, repeated where the run changes a client that matters */
  readonly confirm?: string | undefined
  /** asks the person at a terminal to type the client id, where it must be repeated and was not */
  readonly ask?: ((question: Question) => Promise<string | undefined>) | undefined
  /** register although the vault holds a registration of the client */
  readonly registerAgain?: boolean | undefined
  /** a client that the vault does not know may be used all the same: it was registered elsewhere */
  readonly registeredElsewhere?: boolean | undefined
  /** Told of each successful answer that registers nothing, raw: whoever asks for it keeps its secrets. */
  readonly onAnswer?: ((answer: { readonly step: string; readonly body: Uint8Array }) => void) | undefined
  readonly version: string
  /** starts the offline twin; asked for only in an environment of class mock whose servers are not on this machine */
  readonly twin?: ((environment: Environment) => Promise<Counterparty>) | undefined
  readonly onEvent?: ((event: RunEvent | PreparedEvent | GivenEvent) => void) | undefined
  /**
   * Called once the reports are written. The workflows are read from a file as they are iterated, and only during the call:
   * they may be too many to hold in memory.
   */
  readonly onFinished?: ((head: RecordHead, workflows: Iterable<WorkflowRecord>) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** as the variables HTTPS_PROXY and NO_PROXY have it; the twin is met without a proxy */
  readonly proxy?: { readonly httpsProxy: string | undefined; readonly noProxy: string | undefined } | undefined
  /** also write GitLab's code quality report */
  readonly codeQuality?: boolean | undefined
  /** for the proof that nothing is lost: disks that fail, moments at which the process dies */
  readonly vault?: VaultPorts | undefined
  /** what only the command line knows of the tool and of who runs it */
  readonly provenance?: Promise<Provenance> | undefined
}

/** What is about to happen to which client. */
export interface Question {
  readonly environment: string
  readonly clientId: string
  readonly changes: readonly { readonly workflowId: string; readonly effect: string }[]
}

export interface Provenance {
  readonly tool: Pick<RunRecord['tool'], 'commit' | 'dirty' | 'lockfileSha256'>
  readonly origin: NonNullable<RunRecord['origin']>
}

/** Everything is read and checked; the first call comes next. */
export interface PreparedEvent {
  readonly type: 'prepared'
  readonly environment: Environment
  readonly counterparty: RunRecord['counterparty']
  readonly warnings: readonly string[]
  readonly given: readonly Expectation[]
}

/** A workflow that has started finds what it is given. */
export interface GivenEvent {
  readonly type: 'given'
  readonly given: GivenRecord
}

const LARGEST_BODY = 10 * 1024 * 1024

/**
 * Returns the record without its workflows, and the path of the record (its name where there is no reports folder). Throws
 * ToolError for anything wrong with the input; an unreachable server or a failed check is in the record.
 */
export async function run(options: RunOptions): Promise<{ readonly head: RecordHead; readonly file: string }> {
  const startedAt = new Date()
  const start = performance.now()
  const environment = await loadEnvironment(options.environment)
  await using stack = new AsyncDisposableStack()
  const counterparty = await meet(environment, options)
  if (counterparty !== undefined) stack.use(counterparty)

  const redactor = new Redactor(randomBytes(32), environment.secretNames)
  const { runId = randomUUIDv7() } = options
  const prepared = await prepare(environment, options, { redactor, counterparty, stack })
  await confirmed(prepared, options)
  const vault = await prepared.openVault()
  // Before the first call: a run whose record cannot be written should not change anything.
  const artifacts =
    options.out === undefined
      ? searchOnly(redactor)
      : await createArtifacts(options.out, runFolder(startedAt, folderName(prepared.selection), runId), redactor)
  const clientId = idOf('client_id', environment, options)
  const about = { clientId, softwareId: idOf('software_id', environment, options) }
  const kind = counterparty?.kind ?? 'network'
  options.onEvent?.({
    type: 'prepared',
    environment,
    counterparty: kind,
    warnings: prepared.warnings,
    given: prepared.given,
  })

  const warnings = [...prepared.warnings]
  const signal = options.signal ?? new AbortController().signal
  const given: GivenRecord[] = []
  let provider: Provider | undefined
  const keeper = stack.use(
    new Keeper({
      vault,
      runId,
      clientId,
      now: () => new Date(),
      onRegistered: () => provider?.registered(),
      warn: (text) => warnings.push(text),
      onAnswer: options.onAnswer,
    }),
  )
  const portsTo = (transport: Transport): Ports => ({
    transport,
    redactor,
    sign: (assertion, changes) => {
      const key = prepared.keys.get(assertion.alg)
      if (key === undefined) throw new Error(`no key was loaded for ${assertion.alg}`)
      return mintClientAssertion(key, assertion, { now: new Date(), jti: randomUUID() }, changes)
    },
    alter: alterJwt,
    vault: keeper.port,
    given: async (workflow) => await provider?.provide(workflow),
    userAgent: userAgent(options),
    now: () => new Date(),
    clock: () => performance.now(),
    wait: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }).catch(() => undefined),
  })
  const setUp = async (ports: Ports) => {
    const [given, told] = [keeper.current, keeper.changes.length]
    try {
      if (prepared.setUp === undefined) return []
      const workflows: WorkflowRecord[] = []
      for await (const event of execute(prepared.setUp, ports, signal)) {
        if (event.type === 'workflow-started') keeper.current = event.planned
        if (event.type === 'workflow-finished') workflows.push(event.workflow)
      }
      return workflows
    } finally {
      keeper.current = given
      // What a workflow finds is the twin's to say, and nobody has to be told of it.
      keeper.changes.length = told
    }
  }
  const withoutFolders = removing(options.folders)
  using finished = new FinishedWorkflows({
    file: artifacts.folder && join(artifacts.folder, FINISHED_FILE),
    redactor,
    withoutFolders,
  })
  const exitCodes: number[] = []
  for (const planned of partsOf(prepared.plan, options, counterparty)) {
    await using part = new AsyncDisposableStack()
    // The first part meets the twin that is there, each other a fresh one, so that no flow finds what another has left.
    const met = exitCodes.length === 0 ? counterparty : part.use((await meet(environment, options)) as Counterparty)
    const ports = portsTo(part.use(open(environment, prepared, met)))
    provider = new Provider({
      fulfil: met?.fulfil,
      about,
      isRegistered: async () =>
        options.registeredElsewhere === true ||
        (clientId !== undefined && (await vault.current(clientId)) !== undefined),
      setUp: async () => await setUp(ports),
      onGiven: (one) => {
        given.push(one)
        options.onEvent?.({ type: 'given', given: redactor.value(one) })
      },
    })
    for await (const event of execute({ ...prepared.plan, workflows: planned }, ports, signal)) {
      if (event.type === 'workflow-started') keeper.current = event.planned
      if (event.type === 'workflow-finished') {
        finished.add(event.workflow)
        exitCodes.push(exitCodeOf(event.workflow))
      }
      options.onEvent?.(event)
    }
  }
  const provenance = await options.provenance
  const messages = messagesToThredd(keeper.changes, applicationOf(environment, options))
  finished.redactAgain()
  const told = redactor.value({
    recordVersion: RECORD_VERSION,
    runId,
    tool: {
      name: 'thredd-dcr',
      version: options.version,
      node: process.versions.node,
      openssl: process.versions.openssl ?? '',
      platform: `${process.platform}-${process.arch}`,
      ...provenance?.tool,
    },
    catalogue: CATALOGUE,
    origin: provenance?.origin,
    environment: environmentRecord(environment),
    security: securityRecord({
      environment,
      counterparty: kind,
      authorities: prepared.authorities,
      proxy: kind === 'network' && Boolean(options.proxy?.httpsProxy),
      variables: options.environment.variables,
    }),
    leftOut: await leftOut(prepared.selection, options),
    counterparty: kind,
    startedAt: startedAt.toISOString(),
    durationMs: Math.round(performance.now() - start),
    identities: [...prepared.identities.values()].map((identity) => identity.record),
    signingKeys: signingKeyRecords([...prepared.keys.values()], prepared.signingCertificate),
    warnings: JSON.parse(withoutFolders(JSON.stringify(warnings))) as string[],
    ...(given.length === 0 ? {} : { given: JSON.parse(withoutFolders(JSON.stringify(given))) as GivenRecord[] }),
    messagesToThredd: messages.length === 0 ? undefined : messages,
    ...verdictOf(exitCodes),
  } satisfies Omit<RecordHead, 'redaction'>)
  const { size: secretsKnown, replaced, cardNumbers } = redactor
  const head: RecordHead = {
    ...told,
    warnings: [...told.warnings, ...cardNumberWarning(cardNumbers)],
    redaction: { rules: REDACTION_VERSION, secretsKnown, replaced, names: [...environment.secretNames], cardNumbers },
  }
  const file = await writeReports(head, finished, { artifacts, codeQuality: options.codeQuality })
  options.onFinished?.(head, finished)
  return { head, file }
}

function cardNumberWarning(number: number): string[] {
  if (number === 0) return []
  const what =
    number === 1
      ? '1 number with the shape of a card number was'
      : `${number} numbers with the shape of a card number were`
  return [`${what} removed from what is kept of the run; a live card number must not be used in a test`]
}

/** What a run would do. */
export interface Rehearsal {
  readonly environment: string
  readonly warnings: readonly string[]
  readonly given: readonly Expectation[]
  readonly workflows: readonly PreviewedWorkflow[]
}

/** Checks everything a run checks and returns what it would send. Nothing is sent, written or made. */
export async function rehearse(options: RunOptions): Promise<Rehearsal> {
  const environment = await loadEnvironment(options.environment)
  await using stack = new AsyncDisposableStack()
  // Its certificates are made at first use, and a plan reads them.
  const counterparty = await meet(environment, options)
  if (counterparty !== undefined) stack.use(counterparty)
  const redactor = new Redactor(randomBytes(32))
  const prepared = await prepare(environment, options, { redactor, counterparty, stack })
  const { plan: planned, selection, circumstances, given } = prepared
  const refused = objections(selection, circumstances).map(
    ({ message, expected }) => `${message.replace(/; nothing was sent$/, '')}; expected ${expected}`,
  )
  return {
    environment: environment.name,
    warnings: [...prepared.warnings, ...refused],
    given,
    workflows: preview(planned, userAgent(options)),
  }
}

function userAgent({ version }: RunOptions): string {
  return `thredd-dcr/${version}`
}

/**
 * Takes the paths of these folders out of JSON texts, so that files in them have relative paths: a record says nothing about
 * the machine it was made on.
 */
function removing(folders: readonly string[]): (json: string) => string {
  const beginnings = folders
    .map((folder) => join(folder, sep))
    // In the root folder every slash would go, those of URLs too.
    .filter((folder) => folder !== parse(folder).root)
    .map((folder) => JSON.stringify(folder).slice(1, -1))
  return (json) => beginnings.reduce((text, beginning) => text.replaceAll(beginning, ''), json)
}

/** The name of the folder that a run's reports are in. */
export function runFolder(startedAt: Date, what: string, runId: string): string {
  return `${startedAt.toISOString().slice(0, 19).replaceAll(':', '-')}Z-${what}-${runId.slice(-6)}`
}

/** What one counterparty answers: all of a run, or of one that names no flows each file on an embedded twin of its own. */
function partsOf(
  { workflows }: Plan,
  { flows }: RunOptions,
  counterparty: Counterparty | undefined,
): readonly (readonly PlannedWorkflow[])[] {
  if (flows.length > 0 || counterparty?.fulfil === undefined) return [workflows]
  return [...Map.groupBy(workflows, ({ flow }) => flow).values()]
}

/** Whether the embedded twin answers, which begins without clients at each run and takes them along when it ends. */
export function forgets(environment: Environment): boolean {
  return environment.class === 'mock' && ![...environment.servers.values()].every(isLoopback)
}

/** In class mock nothing leaves this machine: servers on loopback are called, every other name is the twin's. */
async function meet(environment: Environment, options: RunOptions): Promise<Counterparty | undefined> {
  if (!forgets(environment)) return undefined
  if (options.twin !== undefined) return options.twin(environment)
  return fail({
    code: 'TWIN',
    message: `environment "${environment.name}" is of class mock, and there is no twin to answer for its servers`,
    hint: 'name servers on localhost, or run without --env on the embedded twin',
  })
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname)
}

interface Prepared {
  readonly selection: readonly Selected[]
  readonly circumstances: Circumstances
  readonly plan: Plan
  /** what makes a registration on the embedded twin, where a workflow is given one */
  readonly setUp: Plan | undefined
  readonly given: readonly Expectation[]
  readonly identities: ReadonlyMap<string, Identity>
  readonly authorities: readonly string[]
  readonly proxy: { readonly httpsProxy: Secret | undefined; readonly noProxy: string | undefined } | undefined
  readonly keys: ReadonlyMap<string, SigningKey>
  readonly signingCertificate: IdentityRecord | undefined
  /** Made only when a run is about to begin: one that is refused leaves no vault and no key behind. */
  readonly openVault: () => Promise<Vault>
  readonly warnings: readonly string[]
}

async function prepare(
  environment: Environment,
  options: RunOptions,
  {
    redactor,
    counterparty,
    stack,
  }: {
    readonly redactor: Redactor
    readonly counterparty: Counterparty | undefined
    readonly stack: AsyncDisposableStack
  },
): Promise<Prepared> {
  const warnings = [...environment.warnings]
  const clientId = idOf('client_id', environment, options)
  const isOnTwin = counterparty?.fulfil !== undefined
  const openIt = () => openPreparedVault(environment, { clientId, warnings, redactor, ports: options.vault, stack })
  const [selection, existing, authorities] = await together(
    select(options, environment),
    existsSync(environment.vault.folder) ? openIt() : Promise.resolve(undefined),
    environment.caFile === undefined ? Promise.resolve([]) : loadAuthorities(environment.caFile),
  )
  const registration = clientId === undefined ? undefined : await existing?.current(clientId)
  const registered = registration !== undefined
  const selected = selection.map(({ workflow }) => workflow)
  const given = expectationsOf(selected, isOnTwin)
  const makers = isOnTwin ? [...new Set(selected.flatMap(({ given }) => given.flatMap(madeBy)))] : []
  const setUpFlows = makers.length === 0 ? [] : await select({ ...options, ...ALL, flows: makers }, environment)
  const workflows = [...selection, ...setUpFlows].flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
  const steps = workflows.flatMap((workflow) => workflow.steps.filter((step) => step.kind === 'call'))
  const minting = workflows.some((workflow) => workflow.inputs.some((input) => input.mint !== undefined))
  // What is given counts as there: that it is missing is said once, by whoever knows what to do about it.
  const isGiven = registered || given.some(({ name }) => name === 'registration')
  const loading = identitiesOf(environment, steps, warnings)
  const [planned, setUp, identities, pem] = await together(
    (async () => {
      // Where a certificate cannot be read, that alone is said.
      const thumbprint = await loading.then(thumbprintOf, () => '')
      return plan(selection, environment, { inputs: options.inputs, registered: isGiven, thumbprint })
    })(),
    (async () => planSetUp(setUpFlows, environment, options))(),
    loading,
    minting ? signingKeyText(environment) : Promise.resolve(undefined),
    (async () =>
      isOnTwin ||
      options.registeredElsewhere ||
      demandRegistration(selected, { registered, environment: environment.name }))(),
  )
  const { kid } = environment.signing
  const keys = new Map<string, SigningKey>()
  if (pem !== undefined && kid !== undefined) {
    redactor.add(pem)
    for (const alg of new Set([...planned.signingAlgorithms, ...(setUp?.signingAlgorithms ?? [])]))
      keys.set(alg, await loadSigningKey({ pem, alg: alg as SigningAlg, kid }))
  }
  const signingCertificate = await signingCertificateOf(environment, [...keys.values()], warnings)
  for (const { passphrase } of environment.identities.values()) if (passphrase !== undefined) redactor.add(passphrase)
  for (const identity of identities.values())
    if (identity.credentials.kind === 'pem') redactor.add(identity.credentials.key)
  const proxy = options.proxy && { ...options.proxy, httpsProxy: proxySecret(options.proxy.httpsProxy, redactor) }
  warnings.push(...warningsOf(selection), ...(await roleWarnings(planned, environment, options, isOnTwin)))
  const { confirm, registerAgain = false } = options
  const forgets = counterparty !== undefined
  return {
    selection,
    circumstances: { environment, clientId, registration, confirm, registerAgain, forgets },
    plan: planned,
    setUp,
    given,
    identities,
    authorities,
    proxy,
    keys,
    signingCertificate,
    openVault: async () => existing ?? (await openIt()),
    warnings,
  }
}

/** Throws what speaks against the run; on a terminal the client id can be typed instead of given. */
async function confirmed({ selection, circumstances }: Prepared, { ask }: RunOptions): Promise<void> {
  const { clientId, confirm, environment } = circumstances
  if (ask === undefined || clientId === undefined || confirm !== undefined || !mustConfirm(selection, circumstances))
    return guard(selection, circumstances)
  // What no answer can change is said first.
  guard(selection, { ...circumstances, confirm: clientId })
  const changes = selection
    .map((one) => ({ workflowId: one.workflow.workflowId, effect: effectOf(one) }))
    .filter(({ effect }) => effect !== 'read')
  guard(selection, { ...circumstances, confirm: await ask({ environment: environment.name, clientId, changes }) })
}

/** Requested scopes against the roles of the application, which on the embedded twin are those that a flow is given. */
async function roleWarnings(
  planned: Plan,
  environment: Environment,
  options: RunOptions,
  isOnTwin: boolean,
): Promise<readonly string[]> {
  const setting = environment.setting('roles')?.value
  const roles = typeof setting === 'string' ? setting.split(/[\s,]+/).filter((role) => role !== '') : undefined
  const requests = preview(planned, userAgent(options)).flatMap(({ workflowId, steps }): ScopeRequest[] => {
    const scopes = [...new Set(steps.flatMap(scopesAskedBy))]
    const given = planned.workflows.find(({ workflow }) => workflow.workflowId === workflowId)?.workflow.given ?? []
    return scopes.length === 0 ? [] : [{ workflowId, scopes, roles: isOnTwin ? rolesWith(given, roles ?? []) : roles }]
  })
  return requests.length === 0 ? [] : scopeWarnings(requests, await readRoles(options.folders))
}

/** A whole flow, whatever part of the selected ones is to run. */
const ALL = { workflow: undefined, step: undefined } as const

function madeBy(name: keyof typeof GIVEN): readonly string[] {
  const row = GIVEN[name]
  return 'madeBy' in row ? [row.madeBy] : []
}

/** With the inputs of the run that say whose client it is; where the flow has a value of its own, that one stands. */
function planSetUp(selection: readonly Selected[], environment: Environment, { inputs }: RunOptions): Plan | undefined {
  if (selection.length === 0) return undefined
  const open = new Set(
    selection.flatMap(({ workflow }) =>
      workflow.inputs.flatMap((input) => (input.default === undefined ? [input.name] : [])),
    ),
  )
  const theirs = new Map([...inputs].filter(([name]) => open.has(name)))
  return plan(selection, environment, { inputs: theirs, registered: false })
}

async function openPreparedVault(
  environment: Environment,
  {
    clientId,
    warnings,
    redactor,
    ports,
    stack,
  }: {
    clientId: string | undefined
    warnings: string[]
    redactor: Redactor
    ports: VaultPorts | undefined
    stack: AsyncDisposableStack
  },
): Promise<Vault> {
  const { vault, ring, warnings: news } = await openVaultOf(environment, { now: () => new Date(), ports })
  stack.defer(() => vault.close())
  for (const key of ring.keys) redactor.add({ value: Buffer.from(key).toString('base64url'), name: 'vault_key' })
  warnings.push(...news, ...(await vault.prepare(clientId)))
  return vault
}

async function identitiesOf(
  environment: Environment,
  steps: readonly CallStep[],
  warnings: string[],
): Promise<ReadonlyMap<string, Identity>> {
  // What is missing altogether is the planner's to say, with the step that needs it.
  const specs = [...new Set(steps.map((step) => step.identity))].flatMap((name) => {
    const spec = environment.identities.get(name)
    // An expired certificate is what a test of refusal presents on purpose.
    const allowInvalidDates = steps.every((step) => step.identity !== name || step.expectRefused)
    return spec === undefined ? [] : [{ ...spec, allowInvalidDates }]
  })
  const loaded = (await together(...specs.map((spec) => loadIdentity(spec, new Date())))) as Awaited<
    ReturnType<typeof loadIdentity>
  >[]
  for (const one of loaded) warnings.push(...one.warnings)
  return new Map(loaded.map(({ identity }) => [identity.name, identity]))
}

/** Any of the keys will do: they are one key for several algorithms. */
async function signingCertificateOf(
  { signing }: Environment,
  [key]: readonly SigningKey[],
  warnings: string[],
): Promise<IdentityRecord | undefined> {
  if (key === undefined || signing.certificateFile === undefined) return undefined
  const loaded = await loadSigningCertificate(signing.certificateFile, key.privateKey, new Date())
  warnings.push(...loaded.warnings)
  return loaded.record
}

/** x5t#S256 of the transport certificate. @see [RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705.html#section-3.1) */
export function thumbprintOf(identities: ReadonlyMap<string, Identity>): string | undefined {
  const transport = identities.get('transport')
  return transport && Buffer.from(transport.record.sha256, 'hex').toString('base64url')
}

/** Undefined where none is configured. @throws KEY_UNUSABLE */
export async function signingKeyText(environment: Environment): Promise<Secret | undefined> {
  const { key, keyFile } = environment.signing
  if (key !== undefined) return key
  if (keyFile === undefined) return undefined
  try {
    return new Secret(await readFile(keyFile, 'utf8'), 'signing_key')
  } catch (cause) {
    return fail(
      {
        code: 'KEY_UNUSABLE',
        message: `signing key "${keyFile}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? 'unknown reason'}`,
        hint: 'set SIGNING_KEY_FILE to the PKCS#8 PEM of the signing key (not the transport key)',
      },
      cause,
    )
  }
}

function open(
  environment: Environment,
  { identities, authorities, proxy }: Prepared,
  counterparty: Counterparty | undefined,
): Transport {
  const gate = { identities, allowedHosts: environment.allowedHosts, maxBodyBytes: LARGEST_BODY }
  if (counterparty?.kind === 'twin-in-process')
    return inProcess({ ...gate, answer: (request, certificate) => counterparty.answer(request, certificate) })
  return createTransport({
    ...gate,
    ca: authorities,
    // The twin's certificate is its own authority's; to load all others takes longer than to answer.
    onlyOwnAuthorities: environment.class === 'mock',
    minTlsVersion: environment.minTlsVersion,
    connectTo: counterparty?.connectTo,
    proxy: counterparty === undefined ? proxy : undefined,
  })
}

/** The whole URL is a secret where it carries a password, and so are the password and what becomes of it in a header. */
function proxySecret(url: string | undefined, redactor?: Redactor): Secret | undefined {
  if (url === undefined || url === '') return undefined
  const { username = '', password = '' } = URL.parse(url) ?? {}
  if (password !== '' && redactor !== undefined) {
    const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)]
    redactor.add({ value: secret, name: 'proxy_password' })
    redactor.add({ value: Buffer.from(`${user}:${secret}`).toString('base64'), name: 'proxy_credentials' })
  }
  return new Secret(url, 'HTTPS_PROXY')
}

/** Whom the run is about, by the same precedence as the input of that name. */
function idOf(
  name: 'client_id' | 'org_id' | 'software_id',
  environment: Environment,
  { inputs }: RunOptions,
): string | undefined {
  const value = inputs.get(name) ?? environment.setting(name)?.value
  return typeof value === 'string' ? value : undefined
}

function applicationOf(environment: Environment, options: RunOptions): Application {
  return {
    environment: environment.name,
    authorizationServer: environment.servers.get('authorization'),
    organisation: idOf('org_id', environment, options),
    application: idOf('software_id', environment, options),
  }
}

/** Reads clients at their registration_client_uri for `thredd vault … --online`. Only the network or a server on this machine is asked. */
export async function openReader(
  environment: Environment,
  { version, proxy }: Pick<RunOptions, 'version' | 'proxy'>,
): Promise<AsyncDisposable & { readonly probe: Probe }> {
  if (forgets(environment)) {
    fail({
      code: 'TWIN',
      message: `environment "${environment.name}" is of class mock: no server has its clients once a run has ended`,
      hint: 'start one with thredd mock and name it with --server',
    })
  }
  const spec = environment.identities.get('transport')
  const [identity, authorities] = await Promise.all([
    spec === undefined ? undefined : loadIdentity(spec, new Date()),
    environment.caFile === undefined ? [] : loadAuthorities(environment.caFile),
  ])
  const transport = createTransport({
    identities: new Map(identity === undefined ? [] : [['transport', identity.identity]]),
    allowedHosts: environment.allowedHosts,
    ca: authorities,
    minTlsVersion: environment.minTlsVersion,
    maxBodyBytes: LARGEST_BODY,
    proxy: proxy && { ...proxy, httpsProxy: proxySecret(proxy.httpsProxy) },
  })
  return {
    probe: async (url, token) => {
      const headers = [
        ['accept', 'application/json'],
        ['user-agent', `thredd-dcr/${version}`],
        ['authorization', `Bearer ${token.reveal()}`],
      ] as const
      const delivery = await transport.send(
        { method: 'GET', url, headers },
        { identity: 'transport', timeoutMs: environment.timeoutMs, signal: new AbortController().signal },
      )
      return delivery.kind === 'failed'
        ? { kind: 'failed', problem: delivery.problem }
        : { kind: 'answered', status: delivery.answer.status, body: delivery.answer.body }
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
