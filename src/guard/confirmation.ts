/**
 * Nothing by accident: what a selection would do to the client, and what a person must confirm before it is done. One
 * application has one client, and its id comes from the software statement, so each change touches what runs there today.
 */
import { basename, dirname } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { withDependencies, withInvoked } from '../flow/arazzo/needs.ts'
import type { Flow, Step, Workflow } from '../flow/index.ts'
import { changingSteps, workflowEffect } from '../plan/effect.ts'
import { type Change, isStronger, type WorkflowEffect } from '../record/effect.ts'
import { enumerated, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import { commandsFor } from '../record/hints.ts'
import type { Registration } from '../vault/index.ts'
import { lastingObjections, type Machine } from './lasting.ts'

/** What an effect means for the client, as a person reads it. */
export const EFFECT_WORDS: Readonly<Record<WorkflowEffect, string>> = {
  read: 'changes nothing',
  other: 'sends a call that may change something',
  register: 'registers the client (POST)',
  update: 'updates the client (PUT)',
  delete: 'deletes the client (DELETE)',
}

export interface Selected {
  readonly flow: Flow
  readonly workflow: Workflow
}

/** The strongest thing a workflow can do: what it says of itself, and what it and the workflows that it runs call. */
export function effectOf({ flow, workflow }: Selected): WorkflowEffect {
  return workflowEffect(flow, workflow)
}

/** Whether the workflow means to delete what it registers: a DELETE follows the POST. */
export function deletesItself({ flow, workflow }: Selected): boolean {
  const changes = changesOf({ flow, workflow })
  const first = changes.indexOf('register')
  return first !== -1 && changes.lastIndexOf('delete') > first
}

/** What the workflow does to the client, in order; what it says of itself where its calls do not show it. */
export function changesOf({ flow, workflow }: Selected): readonly Change[] {
  const changes = changingSteps(flow, workflow).map(({ change }) => change)
  return changes.length > 0 || workflow.effect === 'read' ? changes : [workflow.effect]
}

/** That an update wipes what Thredd has added to the client, for whoever is about to send one, or one that must be refused. */
export function updateWarnings(selection: readonly Selected[]): readonly string[] {
  const updates = selection.map(({ flow, workflow }) => {
    const steps = changingSteps(flow, workflow).flatMap(({ step, change }) => (change === 'update' ? [step] : []))
    const [refused, meant] = [true, false].map((isRefused) =>
      steps.filter((step) => (step.kind === 'call' && step.expectRefused) === isRefused),
    )
    return { workflow, refused, meant: meant ?? [], isMeant: meant?.length !== 0 || workflow.effect === 'update' }
  })
  const updating = updates.flatMap(({ workflow, meant, isMeant }) => (isMeant ? named(workflow, meant) : []))
  const trying = updates.flatMap(({ workflow, refused = [] }) => (refused.length > 0 ? named(workflow, refused) : []))
  const wipes = 'wipes the Programme Manager (or Issuer) metadata that Thredd keeps of the client'
  return [
    ...(updating.length === 0
      ? []
      : [
          `${enumerated(updating)} ${sends(updating)} a DCR PUT: it ${wipes}, and the APIs may refuse it until Thredd has set the metadata again`,
        ]),
    ...(trying.length === 0
      ? []
      : [
          `${enumerated(trying)} ${sends(trying)} a change that the server must refuse; a server that accepts it ${wipes}`,
        ]),
  ]
}

function named({ workflowId }: Workflow, steps: readonly Step[]): string {
  const ids = [...new Set(steps.map(({ stepId }) => stepId))]
  return ids.length === 0 ? `"${workflowId}"` : `"${workflowId}" (step ${ids.join(', ')})`
}

function sends(workflows: readonly string[]): string {
  return workflows.length === 1 ? 'sends' : 'send'
}

/** What decides whether a selection may run. */
export interface GuardFacts {
  readonly environment: Environment
  /** the client that the run is about */
  readonly clientId: string | undefined
  /** what the vault holds of it */
  readonly registration: Registration | undefined
  /** the client id, repeated by the user */
  readonly confirm: string | undefined
  /** --register-again: a client that the vault holds may be registered over */
  readonly registerAgain: boolean
  /** the embedded twin answers, which has no clients when a run begins, whatever the vault holds */
  readonly onTwin: boolean
  /** where the run takes place; absent: it is not asked whether the vault lasts there */
  readonly machine?: Machine | undefined
}

/** Why the selection may not run as it was asked for. */
export function objections(selection: readonly Selected[], guardFacts: GuardFacts): readonly Problem[] {
  return [
    ...classObjections(selection, guardFacts),
    ...(guardFacts.environment.class === 'mock' ? [] : selection.flatMap(labelObjections)),
    ...(registersOver(selection, guardFacts) ?? []),
    ...tokenObjections(selection, guardFacts),
    ...(mustConfirm(selection, guardFacts) ? [unconfirmed(selection, guardFacts)] : []),
  ]
}

/** Whether the client id must be repeated, and was not. */
export function mustConfirm(selection: readonly Selected[], guardFacts: GuardFacts): boolean {
  const { clientId, confirm, environment } = guardFacts
  const changes = selection.some((one) => effectOf(one) !== 'read')
  const risks = environment.class !== 'mock' && selection.some(mayHarm)
  return ((changes && isLive(selection, guardFacts)) || risks) && (confirm === undefined || confirm !== clientId)
}

/** Whether there is a client in use: on production always; on UAT one in the vault, or one that the run would delete. */
function isLive(selection: readonly Selected[], { environment, registration }: GuardFacts): boolean {
  if (environment.class !== 'uat') return environment.class === 'prod'
  return registration !== undefined || selection.some((one, index) => deletesBefore(one, selection.slice(0, index)))
}

/** Whether the workflow deletes a client that neither it nor one of the workflows before it has registered for it. */
function deletesBefore(one: Selected, before: readonly Selected[]): boolean {
  const first = changesOf(one).find((change) => change !== 'update')
  const registers = before.some((other) => changesOf(other).includes('register') && mayDeleteClientOf(one, other))
  return first === 'delete' && !registers
}

/** Whether a client that `by` has registered in a run is there for the workflow to delete in the same run. */
export function mayDeleteClientOf({ flow, workflow }: Selected, by: Selected): boolean {
  const isIn = (all: readonly Workflow[], wanted: Workflow) => all.some((one) => one.workflowId === wanted.workflowId)
  const before = withDependencies(flow, workflow).map((one) => one.workflow)
  // Or `by` has transferred control to it.
  const within = withInvoked(by.flow, by.workflow)
  return workflow.given.includes('registration') || isIn(before, by.workflow) || isIn(within, workflow)
}

/** The list of a run of rows, as a person confirms it. */
export interface ConfirmedList {
  /** of the whole list */
  readonly rows: number
  /** the number of rows and the beginning of a hash of the list */
  readonly confirmation: string
  /** what a person has repeated */
  readonly confirm: string | undefined
}

/** Whether the list must be confirmed: rows change clients elsewhere than on the twin, or one that is in use. */
export function mustConfirmList(selection: readonly Selected[], rows: readonly GuardFacts[]): boolean {
  return rows.some((facts) => {
    const changes = facts.environment.class !== 'mock' && selection.some((one) => effectOf(one) !== 'read')
    return changes || mustConfirm(selection, { ...facts, confirm: undefined })
  })
}

/** Why a list was not confirmed that must be, or is not the one that was. */
export function unconfirmedList(
  selection: readonly Selected[],
  { environment }: Pick<GuardFacts, 'environment'>,
  { rows, confirmation, confirm }: ConfirmedList,
): Problem {
  const isOther = confirm !== undefined && /^\d+-[0-9a-f]{12}$/.test(confirm)
  return {
    code: 'USAGE',
    message: `${inWords(selection)} would run for ${rows} rows on "${environment.name}"; nothing was sent`,
    expected: `--confirm ${confirmation}: the number of rows, and a hash of flows, file, inputs, hosts and clients`,
    found: confirm === undefined ? 'no --confirm' : isOther ? 'the confirmation of another list' : 'another text',
    hint: isOther
      ? 'the rows, their file, a flow, an input, a host or a client in the vault has changed since: look at the list again (--dry-run)'
      : 'look at the list first (--dry-run): each row is about a client that may be in use',
  }
}

/** Throws the objections to the selection, if there are any. */
export function guard(selection: readonly Selected[], guardFacts: GuardFacts): void {
  const problems = objections(selection, guardFacts)
  if (isNonEmpty(problems)) throw new ToolError(problems)
}

/** `"register" (register), "lifecycle" (delete)` */
export function inWords(selection: readonly Selected[]): string {
  return selection.map((one) => `"${one.workflow.workflowId}" (${effectOf(one)})`).join(', ')
}

/** A person who names a workflow goes by what it says of itself. */
function labelObjections({ flow, workflow }: Selected): readonly Problem[] {
  const [hidden] = changingSteps(flow, workflow).filter(({ change }) => isStronger(change, workflow.effect))
  if (hidden === undefined) return []
  const { step, change } = hidden
  return [
    {
      code: 'FLOW_STRUCTURE',
      message: `step "${step.stepId}" can ${change} a client, but workflow "${workflow.workflowId}" says effect: ${workflow.effect}; nothing was sent`,
      at: step.at,
      expected: `x-dcr: { effect: ${change} }`,
      found: `x-dcr: { effect: ${workflow.effect} }`,
      hint: 'if the call changes no client, mark its operation in the API description: x-dcr: { safe: true }',
    },
  ]
}

function unconfirmed(selection: readonly Selected[], { environment, confirm }: GuardFacts): Problem {
  const changing = selection.filter((one) => effectOf(one) !== 'read')
  const what =
    changing.length > 0
      ? `${inWords(changing)} would change a live client`
      : `${inWords(selection.filter(mayHarm))} may harm a client`
  return {
    code: 'USAGE',
    message: `${what} on "${environment.name}"; nothing was sent`,
    expected: '--confirm <client_id> with the CLIENT_ID of the environment',
    found: confirm === undefined ? 'no --confirm' : 'another client id',
    hint: 'one application has one client: registering, updating or deleting it touches what runs there today',
  }
}

/** Why a client that the vault holds is not registered over. The first change decides: what deletes first does not. */
export function registersOver(
  selection: readonly Selected[],
  { registration, registerAgain, onTwin, environment }: GuardFacts,
): readonly [Problem] | undefined {
  if (registration === undefined || registerAgain || onTwin) return undefined
  const [first] = selection.flatMap((one) => changesOf(one).map((change) => ({ one, change })))
  if (first?.change !== 'register') return undefined
  const { clientId, keptAt, scopes } = registration
  const command = commandsFor(environment.flags)
  return [
    {
      code: 'USAGE',
      message: `"${first.one.workflow.workflowId}" would register over the client that the vault of "${environment.name}" holds; nothing was sent`,
      expected: `no registration of "${clientId}"`,
      found: `one of ${keptAt}${scopes.length === 0 ? '' : ` with the scopes ${scopes.join(' ')}`}`,
      hint: `the documented ways to change a client: a PUT (${command('update')}), delete and recreate (${command('recreate')}), or, where its token is lost, ask Thredd to delete it (${command('askToDelete')}). Once Thredd has: ${command('deletedByThredd', { client: clientId })}. --register-again registers all the same`,
    },
  ]
}

/** What a POST or a PUT brings is issued once. */
function tokenObjections(
  selection: readonly Selected[],
  { environment, onTwin, machine }: GuardFacts,
): readonly Problem[] {
  const issuing = selection.filter((one) => changesOf(one).some((change) => change !== 'delete'))
  if (environment.class === 'mock' || onTwin || machine === undefined || issuing.length === 0) return []
  return lastingObjections(environment, machine, inWords(issuing))
}

/** Whether the flow lies in flows/conformance: it may do to a client what no documented workflow does. */
export function isConformanceFlow({ flow }: Pick<Selected, 'flow'>): boolean {
  return basename(dirname(flow.file)) === 'conformance'
}

/** Whether it may run only against a client that nobody uses: class C or D, and class B of a conformance flow. */
function mayHarm(one: Selected): boolean {
  return classesOf(one).some((safety) => safety === 'C' || safety === 'D' || (safety === 'B' && isConformanceFlow(one)))
}

function classesOf({ flow, workflow }: Selected): readonly string[] {
  return [...new Set(withInvoked(flow, workflow).flatMap(({ safety }) => safety ?? []))]
}

const CLASS_WORDS: Readonly<Record<string, string>> = {
  B: 'it registers a client for a test and deletes it',
  C: 'it sends what must be refused, and registers a client where it is not',
  D: 'it may cost the client its credentials',
}

/** Class X runs on the twin alone. What may harm a client needs SACRIFICIAL_CLIENT. */
export function classObjections(
  selection: readonly Selected[],
  { environment }: Pick<GuardFacts, 'environment'>,
): readonly Problem[] {
  if (environment.class === 'mock') return []
  const isSacrificial = environment.setting('sacrificial_client')?.value === 'true'
  return selection.flatMap((one): Problem[] => {
    const { flow, workflow } = one
    const name = `"${workflow.workflowId}"`
    const classes = classesOf(one)
    if (classes.includes('X')) {
      return [
        {
          code: 'USAGE',
          message: `${name} is of safety class X: it runs on the offline twin alone; nothing was sent`,
          hint: commandsFor(environment.flags)('runOnTwin', {
            flow: basename(flow.file).replace(/\.arazzo\.\w+$/, ''),
          }),
        },
      ]
    }
    if (!mayHarm(one) || isSacrificial) return []
    const worst = [...classes].sort().at(-1) ?? ''
    return [
      {
        code: 'USAGE',
        message: `${name} is of safety class ${worst}: ${CLASS_WORDS[worst]}; nothing was sent`,
        expected: 'SACRIFICIAL_CLIENT=true in the environment, for a client that nobody uses',
        found: 'no such setting',
      },
    ]
  })
}
