/** Everything that a run must know and be allowed before its first call. Reads and asks; sends nothing. */
import { randomBytes } from 'node:crypto'
import type { Environment } from '../environment/index.ts'
import { effectOf, type GuardFacts, guard, mustConfirm, type Selected } from '../guard/confirmation.ts'
import type { AskedKey } from '../guard/given.ts'
import type { Admission } from '../guard/run-vault.ts'
import { unknownNames } from '../plan/index.ts'
import { readRoles } from '../plan/roles.ts'
import { isNonEmpty, type Problem, ToolError, withWarnings } from '../record/errors.ts'
import { Redactor } from '../secret/index.ts'
import { UNSYNCED, type Vault } from '../vault/index.ts'
import type { Caller, Counterparty } from './caller.ts'
import { weaknessWarnings } from './circumstances.ts'
import { type ProxySettings, proxyOf, proxySecrets, startCounterparty, usesTwin } from './connect.ts'
import { Credentials } from './credentials.ts'
import { byEffect } from './order.ts'
import type { RunRequest } from './request.ts'
import { readyOnes, type Survey, survey, type Waiting } from './survey.ts'
import { keysOf, prepareVault, type VaultState, vaultState } from './vault-state.ts'
import { type Facts, scopeRequestsOf, warningsOf } from './warnings.ts'

export interface Prepared extends Facts {
  readonly request: RunRequest
  readonly environment: Environment
  /** in the order in which they go out */
  readonly selection: readonly Selected[]
  /** the flows were named in another order */
  readonly isReordered: boolean
  /** the embedded twin; undefined where the named hosts answer */
  readonly counterparty: Counterparty | undefined
  /** what a run without names leaves out, since it is not ready */
  readonly waiting: readonly Waiting[]
  readonly survey: Survey
  /** what the keystore was found to list before the run: it is not asked again */
  readonly listed?: ReadonlySet<AskedKey>
  readonly vault: VaultState
  readonly proxy: ProxySettings | undefined
  /** has every secret that was read */
  readonly redactor: Redactor
  /** what decides whether the selection may run */
  readonly guardFacts: GuardFacts
  readonly warnings: readonly string[]
}

/** What a run begins with once it may. */
export interface Admitted {
  readonly vault: Vault
  /** absent where the embedded twin answers */
  readonly admission: Admission | undefined
  /** all that were said before the first call */
  readonly warnings: readonly string[]
}

/** What all rows of a run share; that of a run without rows is its own. */
export interface Shared {
  /** the embedded twin, started to be asked for its certificates */
  readonly counterparty: Counterparty | undefined
  readonly vault: VaultState
  readonly credentials: Credentials
  readonly proxy: ProxySettings | undefined
  /** has every secret that was read */
  readonly redactor: Redactor
}

/** Opens what a run needs; `stack` closes it. */
export async function open(
  { environment, client }: Pick<RunRequest, 'environment' | 'client'>,
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<Shared> {
  return await withWarnings(environment.warnings, async () => {
    // First of all: the twin makes its certificates when it starts, and the survey reads them.
    const counterparty = await startCounterparty(environment, caller)
    if (counterparty !== undefined) stack.use(counterparty)
    // A run on the embedded twin leaves this machine through no proxy.
    const proxy = counterparty === undefined ? proxyOf(caller.proxy) : undefined
    const redactor = new Redactor(randomBytes(32), environment.secretNames)
    for (const secret of proxySecrets(proxy)) redactor.add(secret)
    const ports = caller.vault ?? (usesTwin(environment) ? { files: UNSYNCED } : undefined)
    const vault = stack.use(await vaultState(environment, { client, ports }))
    return { counterparty, vault, credentials: new Credentials(environment), proxy, redactor }
  })
}

/**
 * `mayWait`: also where no workflow is given what it needs, for a record that says so.
 *
 * @throws ToolError with every problem at once, and the warnings that may explain them
 */
export async function prepare(
  request: RunRequest,
  caller: Caller,
  shared: Shared,
  { mayWait = false }: { readonly mayWait?: boolean } = {},
): Promise<Prepared> {
  const { environment } = request
  const { counterparty, proxy, redactor } = shared
  const facts = await withWarnings(environment.warnings, () => gather(request, shared))
  const { selection } = facts
  const onTwin = counterparty !== undefined
  const weaknesses = onTwin ? [] : weaknessWarnings({ environment, variables: caller.variables ?? {} })
  const warnings = [...warningsOf(facts), ...weaknesses]
  const problems = [
    ...facts.survey.problems
      .map(({ problem }) => problem)
      .filter(mayWait ? ({ code }) => code !== 'PRECONDITION' : isInTheWayOfAll(selection)),
    ...unknownNames(selection, environment, request),
  ]
  if (isNonEmpty(problems)) throw new ToolError(problems, undefined, warnings)
  const { client, permissions } = request
  const { confirm, registerAgain = false } = permissions
  const { registration } = facts.vault
  for (const secret of secretsOf(facts)) redactor.add(secret)
  return {
    ...facts,
    request,
    proxy,
    redactor,
    guardFacts: {
      environment,
      // What is confirmed is the client that would be changed, by the id that the server issued.
      clientId: registration?.clientId ?? client.clientId,
      registration,
      confirm,
      registerAgain,
      onTwin,
      machine: caller.machine,
    },
    warnings,
  }
}

/** A workflow that is not given what it needs is left waiting while the run goes on, unless no other one is left. */
function isInTheWayOfAll(
  selection: readonly Selected[],
): (problem: Problem, index: number, all: readonly Problem[]) => boolean {
  return ({ code }, _, all) =>
    code !== 'PRECONDITION' || all.filter((other) => other.code === code).length === selection.length
}

/** What a program that signs is tried with: no JWT, so that its signature is of no use to anybody. */
const TRIAL = Buffer.from('thredd-dcr: does this program sign?')

/** Asks where it must and may be asked. The vault that a run needs is made only when nothing speaks against the run. */
export async function admit(prepared: Prepared, { ask }: Caller): Promise<Admitted> {
  return await withWarnings(prepared.warnings, async () => {
    const confirmed = await demandConfirmation(prepared, ask)
    const { vault, warnings } = await openVault(prepared)
    const onTwin = prepared.counterparty !== undefined
    const registration = prepared.request.permissions.judged ?? prepared.vault.registration
    return {
      vault,
      admission: onTwin
        ? undefined
        : { registration, confirmed, deletesUnconfirmed: prepared.environment.class === 'mock' },
      warnings: [...new Set([...prepared.warnings, ...warnings])],
    }
  })
}

/** The last before the first call: proves that everything can be signed, and that answers can be kept. */
export async function openVault({
  vault: { vault },
  redactor,
  survey: { signing },
  counterparty,
}: Prepared): Promise<Pick<Admitted, 'vault' | 'warnings'>> {
  // Found now, and not when a client is registered already.
  for (const { sign, secret } of signing.keys.values()) if (secret === undefined) await sign(TRIAL)
  // Why it cannot be used was among the problems.
  if (vault === undefined) throw new TypeError('a run was prepared without a vault')
  const warnings = await prepareVault(vault, counterparty !== undefined)
  for (const value of keysOf(vault)) redactor.add({ value, name: 'vault_key' })
  return { vault, warnings }
}

async function gather(request: RunRequest, { counterparty, vault, credentials }: Shared) {
  const { environment, permissions, inputs, folders } = request
  const twinMakesGiven = counterparty?.fulfil !== undefined
  const situation = {
    environment,
    inputs,
    folders,
    credentials,
    vault,
    twinMakesGiven,
    registeredElsewhere: permissions.registeredElsewhere === true,
  }
  // The embedded twin knows no client when a run begins.
  const registered = counterparty === undefined && (vault.registration !== undefined || situation.registeredElsewhere)
  const ordered = byEffect(request.selection, { registered })
  const { ready, waiting } =
    request.isNamed || counterparty !== undefined
      ? { ready: ordered, waiting: [] }
      : await readyOnes(ordered, situation)
  const isReordered = request.isNamed && ordered.some((one, index) => one !== request.selection[index])
  const facts = await survey(ready, situation)
  // A plan with problems cannot say which scopes it asks for.
  const isPlanned = facts.problems.length === 0
  const scopeRequests = isPlanned ? scopeRequestsOf(facts.plan, { environment, twinMakesGiven }) : []
  const roles = scopeRequests.length === 0 ? [] : await readRoles(folders)
  return {
    environment,
    selection: ready,
    isReordered,
    waiting,
    counterparty,
    vault,
    survey: facts,
    scopeRequests,
    roles,
  }
}

function secretsOf({ environment, vault, survey }: Facts & Pick<Prepared, 'vault'>) {
  const { identities, signing } = survey
  return [
    ...keysOf(vault.vault).map((value) => ({ value, name: 'vault_key' })),
    ...[...signing.keys.values()].flatMap(({ secret }) => secret ?? []),
    ...[...environment.identities.values()].flatMap(({ passphrase }) => passphrase ?? []),
    ...[...identities.values()].map(({ identity: { credentials } }) => credentials.key),
  ]
}

/** Throws what speaks against the run; on a terminal the client id can be typed instead of given. Returns the id that was. */
async function demandConfirmation(
  { selection, guardFacts }: Pick<Prepared, 'selection' | 'guardFacts'>,
  ask: Caller['ask'],
): Promise<string | undefined> {
  const { clientId, confirm, environment } = guardFacts
  if (ask === undefined || clientId === undefined || confirm !== undefined || !mustConfirm(selection, guardFacts)) {
    guard(selection, guardFacts)
    return confirm
  }
  // What no answer can change is said first.
  guard(selection, { ...guardFacts, confirm: clientId })
  const changes = selection
    .map((one) => ({ workflowId: one.workflow.workflowId, effect: effectOf(one) }))
    .filter(({ effect }) => effect !== 'read')
  const typed = await ask({ environment: environment.name, clientId, changes })
  guard(selection, { ...guardFacts, confirm: typed })
  return typed
}
