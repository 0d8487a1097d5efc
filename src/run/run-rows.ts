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
import { notStartedInWords } from '../report/words.ts'
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
  /** one of those that do not go, where none does */
  readonly staying: Prepared | undefined
  readonly fromVault: readonly VaultClient[]
  /** what a person repeats to confirm the list */
  readonly confirmation: string
  readonly leftOut: LeftOut
  readonly waiting: readonly number[]
  readonly warnings: readonly string[]
}

/** @throws ToolError with what is wrong with any of them, and where none may run, unless it is a shard's */
export async function checkedRows(
  { environment, client, rows }: RequestOfRows,
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<CheckedRows> {
  // The other shards are merged with what one says of its rows, so it says it also where none runs.
  const mayBeNone = rows.record.shard !== undefined
  const none = { clientId: undefined, softwareId: undefined, organisation: undefined }
  const shared = await open({ environment, client: rows.record.file === undefined ? client : none }, caller, stack)
  const { all, problems, unready } = await prepareAll(rows.rows, caller, shared, mayBeNone)
  const waiting = [...new Set(problems.map(({ row }) => row.facts.number))]
  const warnings = [
    ...new Set([...rows.warnings, ...problems.map(whyNotStarted), ...all.flatMap(({ prepared }) => prepared.warnings)]),
  ]
  const { going, leftOut } = await withWarnings(warnings, () => allowed(all, mayBeNone))
  const fromVault = clientsFromVault(going)
  return {
    ...{ going, leftOut, waiting, fromVault, warnings },
    staying: unready ?? all[0]?.prepared,
    confirmation: confirmationOf(rows, { fromVault, waiting }),
  }
}

/** @throws ToolError with what speaks against any of them */
export async function admitRows(
  request: RequestOfRows,
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<AdmittedRows> {
  const checked = await checkedRows(request, caller, stack)
  const { going, staying, leftOut, waiting, confirmation, warnings } = checked
  return await withWarnings(warnings, async () => {
    const prepared = inOne(going.length > 0 ? going.map((one) => one.prepared) : [staying], request)
    const confirmed = await demandList({ going, confirmation }, request, caller)
    const { vault, warnings: ofVault } = await openVault(prepared)
    const all = [...new Set([...warnings, ...ofVault])]
    return { prepared, vault, warnings: all, rows: going, leftOut, waiting, confirmed }
  })
}

/** What each of them waits for takes many lines. */
const MOST_WAITING = 10

interface RowProblem {
  readonly row: Row
  readonly problem: Problem
}

/**
 * Each row as a run of its own would be prepared; equal rows once. One that is not given what it needs waits, while the others
 * run. @throws ToolError where no row is left, unless there may be none, and for any other problem
 */
async function prepareAll(
  rows: readonly Row[],
  caller: Caller,
  shared: Shared,
  mayBeNone: boolean,
): Promise<{
  readonly all: readonly PreparedRow[]
  readonly problems: readonly RowProblem[]
  /** the first row, where none is ready */
  readonly unready: Prepared | undefined
}> {
  const credentials = new Map([['', shared.credentials]])
  const done = new Map<RunRequest, Prepared>()
  const all: PreparedRow[] = []
  const problems: RowProblem[] = []
  const one = async ({ request, ...row }: Row, mayWait = false): Promise<Prepared> => {
    const own = credentials.get(row.credentials) ?? new Credentials(request.environment)
    credentials.set(row.credentials, own)
    const vault = row.place === undefined ? shared.vault : await stateFor(request.client, shared.vault)
    return await prepare(request, caller, { ...shared, credentials: own, vault }, { mayWait })
  }
  for (const row of rows) {
    const { request } = row
    const read = await attempt(async () => done.get(request) ?? (await one(row)))
    for (const problem of read.problems) problems.push({ row, problem })
    if (read.value === undefined) continue
    done.set(request, read.value)
    all.push({ row, prepared: read.value })
  }
  const wrong = problems.filter(({ problem }) => problem.code !== 'PRECONDITION')
  const isNone = all.length === 0 && wrong.length === 0
  if (wrong.length > 0) demandNone(inRows(problems, rows.length))
  else if (isNone && !mayBeNone) demandNone(inRows(problems, rows.length), MOST_WAITING)
  const [first] = rows
  return { all, problems, unready: isNone && first !== undefined ? await one(first, true) : undefined }
}

/** Why a row did not begin. */
export function whyNotStarted({ row, problem: { message, hint } }: RowProblem): string {
  const why = message.replace(/; nothing was sent$/, '')
  return `${notStartedInWords(row.facts.number)}${why}${hint === undefined ? '' : `; ${hint}`}`
}

/** Each problem with its row and what to do for it; one that all rows have is said once. */
function inRows(problems: readonly RowProblem[], count: number): readonly Problem[] {
  const alike = Map.groupBy(problems, ({ problem: { message, hint } }) => `${message}\n${hint}`)
  return [...alike.values()].flatMap((same) => {
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
 * some of its rows were done. @throws ToolError where no row is left, unless there may be none, and for any other objection
 */
function allowed(
  all: readonly PreparedRow[],
  mayBeNone: boolean,
): {
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
  demandNone(inRows(over.length === all.length && !mayBeNone ? over : others, all.length))
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
  if (going.length === 0) return false
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
function inOne(all: readonly (Prepared | undefined)[], request: RunRequest): Prepared {
  const [first] = all
  if (first === undefined) throw new TypeError('a list without rows')
  const surveys = [...new Set(all.flatMap((one) => one?.survey ?? []))]
  const identities = new Map(
    surveys.flatMap(({ identities: own }) =>
      [...own.values()].map((one) => [one.identity.record.sha256, one] as const),
    ),
  )
  const keys = new Map(
    surveys.flatMap(({ signing }) => [...signing.keys].map(([id, key]) => [`${id} ${key.kid}`, key] as const)),
  )
  const { survey } = first
  return {
    ...first,
    request,
    environment: request.environment,
    survey: { ...survey, identities, signing: { ...survey.signing, keys } },
  }
}

/** Why a row is left out of a registration. */
export function registeredEarlier({ registration }: GuardFacts): string {
  return `registered by an earlier run at ${registration?.keptAt}, not proven here`
}
