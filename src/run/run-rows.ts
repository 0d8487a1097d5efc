/** The rows of a run before the first call: all of them are prepared, checked and admitted. */
import {
  type GuardFacts,
  mustConfirmList,
  objections,
  registersOver,
  type Selected,
  unconfirmedList,
} from '../guard/confirmation.ts'
import { attempt, type Problem, ToolError, withWarnings } from '../record/errors.ts'
import type { RunRecord } from '../record/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Caller } from './caller.ts'
import { Credentials } from './credentials.ts'
import { open, openVault, type Prepared, prepare, type Shared } from './prepare.ts'
import type { RunRequest } from './request.ts'
import { demandNone } from './row-file.ts'
import { confirmationOf, type RequestOfRows, type Row, type VaultClient } from './rows.ts'
import { stateFor } from './vault-state.ts'

export interface PreparedRow {
  readonly row: Row
  readonly prepared: Prepared
}

export type LeftOut = NonNullable<RunRecord['rows']>['leftOut']

/** Rows that may begin. */
export interface AdmittedRows {
  /** what the record says of them all */
  readonly prepared: Prepared
  readonly vault: Vault
  readonly warnings: readonly string[]
  readonly rows: readonly PreparedRow[]
  /** whose client is registered already */
  readonly leftOut: LeftOut
  /** numbers of rows that are not given what they need; the warnings say what */
  readonly waiting: readonly number[]
  readonly confirmed: boolean
}

/** Rows that nothing speaks against but that the list may have to be confirmed. */
export interface CheckedRows {
  readonly going: readonly PreparedRow[]
  readonly fromVault: readonly VaultClient[]
  /** what a person repeats to confirm the list */
  readonly confirmation: string
  readonly leftOut: LeftOut
  readonly waiting: readonly number[]
  readonly warnings: readonly string[]
}

/** @throws ToolError with what is wrong with any of them */
export async function checkedRows(
  { environment, client, rows }: RequestOfRows,
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<CheckedRows> {
  const none = { clientId: undefined, softwareId: undefined, organisation: undefined }
  const shared = await open({ environment, client: rows.record.file === undefined ? client : none }, caller, stack)
  const { all, waiting } = await prepareAll(rows.rows, caller, shared)
  const warnings = [
    ...new Set([
      ...rows.warnings,
      ...waiting.map(notStartedInWords),
      ...all.flatMap(({ prepared }) => prepared.warnings),
    ]),
  ]
  const { going, leftOut } = await withWarnings(warnings, () => allowed(all))
  const fromVault = clientsFromVault(going)
  return {
    ...{ going, leftOut, fromVault, warnings, confirmation: confirmationOf(rows, fromVault) },
    waiting: [...new Set(waiting.map(({ row }) => row.facts.number))],
  }
}

/** @throws ToolError with what speaks against any of them */
export async function admitRows(
  request: RequestOfRows,
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<AdmittedRows> {
  const { going, leftOut, waiting, confirmation, warnings } = await checkedRows(request, caller, stack)
  return await withWarnings(warnings, async () => {
    const prepared = inOne(going, request)
    const confirmed = await demandList({ going, confirmation }, request, caller)
    const { vault, warnings: ofVault } = await openVault(prepared)
    const all = [...new Set([...warnings, ...ofVault])]
    return { prepared, vault, warnings: all, rows: going, leftOut, waiting, confirmed }
  })
}

interface RowProblem {
  readonly row: Row
  readonly problem: Problem
}

/**
 * Each row as a run of its own would be prepared; equal rows once. One that is not given what it needs waits, while the others
 * run. @throws ToolError where no row is left, and for any other problem
 */
async function prepareAll(
  rows: readonly Row[],
  caller: Caller,
  shared: Shared,
): Promise<{ readonly all: readonly PreparedRow[]; readonly waiting: readonly RowProblem[] }> {
  const credentials = new Map([['', shared.credentials]])
  const done = new Map<RunRequest, Prepared>()
  const all: PreparedRow[] = []
  const problems: RowProblem[] = []
  for (const row of rows) {
    const { request } = row
    const own = credentials.get(row.credentials) ?? new Credentials(request.environment)
    credentials.set(row.credentials, own)
    const read = await attempt(
      async () =>
        done.get(request) ??
        (await prepare(request, caller, {
          ...shared,
          credentials: own,
          vault: row.place === undefined ? shared.vault : await stateFor(request.client, shared.vault),
        })),
    )
    for (const problem of read.problems) problems.push({ row, problem })
    if (read.value === undefined) continue
    done.set(request, read.value)
    all.push({ row, prepared: read.value })
  }
  const wrong = problems.filter(({ problem }) => problem.code !== 'PRECONDITION')
  demandNone(inRows(all.length === 0 || wrong.length > 0 ? problems : [], rows.length))
  return { all, waiting: problems }
}

/** Why a row did not begin. */
export function notStartedInWords({ row, problem: { message, hint } }: RowProblem): string {
  const why = message.replace(/; nothing was sent$/, '')
  return `row ${row.facts.number} was not started: ${why}${hint === undefined ? '' : `; ${hint}`}`
}

/** Each problem with its row; one that all rows have is said once. */
function inRows(problems: readonly RowProblem[], count: number): readonly Problem[] {
  return [...Map.groupBy(problems, ({ problem }) => problem.message).values()].flatMap((same) => {
    const [first] = same
    if (first !== undefined && (same.length === count || first.row.place === undefined)) return [first.problem]
    return same.map(({ row, problem }) => ({ ...problem, message: `${row.place}: ${problem.message}` }))
  })
}

/** What guards each row, as if its client had been confirmed: the list is confirmed as a whole. */
export function guarded({
  prepared: { selection, guardFacts },
}: PreparedRow): readonly [readonly Selected[], GuardFacts] {
  return [selection, { ...guardFacts, confirm: guardFacts.clientId }]
}

/** Equal rows are about the same client, which is named once. */
function clientsFromVault(going: readonly PreparedRow[]): readonly VaultClient[] {
  return going.flatMap(({ row, prepared: { guardFacts } }, index) => {
    const { clientId, onTwin } = guardFacts
    const isListed = clientId === undefined || clientId === row.request.client.clientId
    const isRepeated = row.place === undefined && index > 0
    return isListed || isRepeated || onTwin ? [] : [{ row: row.facts.number, clientId }]
  })
}

/** Why a row that names a client may not change the one that the vault holds of its application. */
export function otherClient({ row, prepared: { guardFacts } }: PreparedRow): readonly Problem[] {
  const { registration, onTwin } = guardFacts
  const named = row.facts.values.find(({ name }) => name.toUpperCase() === 'CLIENT_ID')
  if (named === undefined || registration === undefined || onTwin || named.value === registration.clientId) return []
  return [
    {
      code: 'ROWS',
      message: `column "${named.name}": the vault of "${guardFacts.environment.name}" holds another client for the SOFTWARE_ID of the row; nothing was sent`,
      expected: registration.clientId,
      found: named.value,
      hint: 'correct CLIENT_ID or SOFTWARE_ID in the list',
    },
  ]
}

/**
 * A row whose client the vault holds already is left out where it would register over it, so that a list can be run again after
 * some of its rows were done. @throws ToolError where no row is left, and for any other objection
 */
function allowed(all: readonly PreparedRow[]): {
  readonly going: readonly PreparedRow[]
  readonly leftOut: LeftOut
} {
  demandNone(
    inRows(
      all.flatMap((one) => otherClient(one).map((problem) => ({ row: one.row, problem }))),
      Number.POSITIVE_INFINITY,
    ),
  )
  const over = all.flatMap((one) => (registersOver(...guarded(one)) ?? []).map((problem) => ({ ...one, problem })))
  const others = all.flatMap((one) => {
    const isOver = over.some(({ row }) => row === one.row)
    const own = isOver ? [] : objections(...guarded(one))
    return own.map((problem) => ({ row: one.row, problem }))
  })
  demandNone(inRows(over.length === all.length ? over : others, all.length))
  const leftOut = over.map(({ row, prepared: { guardFacts } }) => ({
    number: row.facts.number,
    because: registeredEarlier(guardFacts),
  }))
  return { going: all.filter(({ row }) => over.every((one) => one.row !== row)), leftOut }
}

/** Whether a person has confirmed the list. @throws ToolError where that is needed and was not done, and where another list was */
async function demandList(
  { going, confirmation }: Pick<CheckedRows, 'going' | 'confirmation'>,
  { rows, permissions: { confirm }, selection, environment }: RequestOfRows,
  { ask }: Caller,
): Promise<boolean> {
  const list = { rows: rows.total, confirmation }
  const demand = (typed: string | undefined): true => {
    if (typed === confirmation) return true
    throw new ToolError([unconfirmedList(selection, { environment }, { ...list, confirm: typed })])
  }
  if (confirm !== undefined) return demand(confirm)
  const isNeeded = mustConfirmList(
    selection,
    going.map(({ prepared }) => prepared.guardFacts),
  )
  if (!isNeeded) return false
  if (ask === undefined) return demand(undefined)
  const changes = selection.map(({ workflow }) => ({ workflowId: workflow.workflowId, effect: workflow.effect }))
  return demand(await ask({ environment: environment.name, clientId: confirmation, changes, rows: rows.total }))
}

/** One that has the certificates and keys of all. */
function inOne(all: readonly PreparedRow[], request: RunRequest): Prepared {
  const [first] = all
  if (first === undefined) throw new TypeError('a list without rows')
  const surveys = [...new Set(all.map(({ prepared }) => prepared.survey))]
  const identities = new Map(
    surveys.flatMap(({ identities: own }) =>
      [...own.values()].map((one) => [one.identity.record.sha256, one] as const),
    ),
  )
  const keys = new Map(
    surveys.flatMap(({ signing }) => [...signing.keys].map(([id, key]) => [`${id} ${key.kid}`, key] as const)),
  )
  const { prepared } = first
  const { survey } = prepared
  return {
    ...prepared,
    request,
    environment: request.environment,
    survey: { ...survey, identities, signing: { ...survey.signing, keys } },
  }
}

/** Why a row is left out of a registration. */
export function registeredEarlier({ registration }: GuardFacts): string {
  return `registered by an earlier run at ${registration?.keptAt}, not proven here`
}
