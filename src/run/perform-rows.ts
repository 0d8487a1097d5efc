/**
 * Carries the rows of a run out side by side. One that fails stops no other; a signal lets those that have begun end in good
 * order, and no other begins.
 */
import type { RunEvent } from '../execute/index.ts'
import { objections, registersOver } from '../guard/confirmation.ts'
import { type Admission, clientChanged } from '../guard/run-vault.ts'
import { type Problem, worstExit } from '../record/errors.ts'
import { exitCodeOf, verdictOf } from '../record/index.ts'
import { notProven } from '../report/accepted.ts'
import { count } from '../report/words.ts'
import type { Transport } from '../transport/transport.ts'
import type { Registration, Vault } from '../vault/index.ts'
import type { GivenEvent, RowEvent, RowFacts } from './caller.ts'
import {
  type Company,
  careOf,
  company,
  connectionOf,
  type Means,
  openCalls,
  type Performed,
  performRow,
} from './perform.ts'
import type { Prepared } from './prepare.ts'
import type { Rows } from './rows.ts'
import {
  type AdmittedRows,
  guarded,
  type LeftOut,
  otherClient,
  type PreparedRow,
  registeredEarlier,
  whyNotStarted,
} from './run-rows.ts'
import { stateFor } from './vault-state.ts'

/** What rows are carried out with beyond what a run has. */
export interface RowMeans extends Pick<Means, 'runId' | 'caller'> {
  readonly onEvent: (event: RunEvent | GivenEvent, row?: RowFacts) => void
  readonly onFailure: (error: unknown) => void
}

export interface PerformedRows extends Performed {
  readonly leftOut: LeftOut
  readonly notStarted: readonly number[]
}

export async function performRows(admitted: AdmittedRows, { parallel }: Rows, means: RowMeans): Promise<PerformedRows> {
  const { prepared, vault, rows, confirmed } = admitted
  const { why, ...shared } = company(careOf(prepared, { ofRows: true }), means.caller)
  await using stack = new AsyncDisposableStack()
  const connected = connections(rows, (one) => stack.use(shared.careful(connectionOf(one, undefined))))
  const byRow: (Performed & { readonly number: number })[] = []
  const leftOut = [...admitted.leftOut]
  const notStarted: number[] = [...admitted.waiting]
  const refused: string[] = []
  const oneByOne = async (group: readonly PreparedRow[]): Promise<void> => {
    let before: Before | undefined
    for (const one of group) {
      const { number } = one.row.facts
      const again = shared.signal.aborted || before === undefined ? one : await lookedAtAgain(one, means.runId, before)
      if (shared.signal.aborted) notStarted.push(number)
      else if ('leftOut' in again) leftOut.push(again.leftOut)
      else if ('refused' in again) {
        notStarted.push(number)
        refused.push(whyNotStarted({ row: one.row, problem: again.refused }))
      } else {
        const own = { ...shared, transport: connected(one.prepared) }
        const done = await performOne(again, { vault, confirmed, company: own }, means)
        if (done !== undefined) byRow.push({ number, ...done })
        before = { number, known: done === undefined ? again.prepared.guardFacts.registration : done.known }
      }
    }
  }
  await inLanes(lanes(rows), parallel, oneByOne)
  const { changes, warnings, given, messages } = inAll(byRow)
  return {
    ...{ changes, given, messages },
    warnings: [
      ...new Set([
        ...warnings,
        ...refused,
        ...why(),
        ...notProvenOf(leftOut),
        ...(await openCalls(prepared, vault, means.runId)),
      ]),
    ],
    leftOut: leftOut.toSorted((one, other) => one.number - other.number),
    notStarted: notStarted.toSorted((one, other) => one - other),
  }
}

/** Rows about one client, which run one after another. */
export function lanes(rows: readonly PreparedRow[]): readonly (readonly PreparedRow[])[] {
  return [...Map.groupBy(rows, ({ row }) => row.client ?? row.facts.number).values()]
}

/**
 * The transport of a row: rows with the same certificates share their connections to a host, and others never do. Undefined for a
 * row whose connections end with it, since no other has its certificates, and where each meets an embedded twin of its own.
 */
function connections(rows: readonly PreparedRow[], open: (one: Prepared) => Transport) {
  const certificatesOf = ({ survey: { identities } }: Prepared): string =>
    JSON.stringify([...identities].map(([name, { identity }]) => [name, identity.record.sha256]).toSorted())
  const users = Map.groupBy(rows, ({ prepared }) => certificatesOf(prepared))
  const opened = new Map<string, Transport>()
  return (prepared: Prepared): Transport | undefined => {
    const certificates = certificatesOf(prepared)
    if (prepared.counterparty !== undefined || users.get(certificates)?.length === 1) return undefined
    const transport = opened.get(certificates) ?? open(prepared)
    opened.set(certificates, transport)
    return transport
  }
}

function notProvenOf(leftOut: LeftOut): readonly string[] {
  const { length } = notProven({ leftOut })
  if (length === 0) return []
  return [
    `${count(length, 'row')} left out, whose clients an earlier run has registered: this run proves nothing of them; read-registration over the same list reads each client`,
  ]
}

/** What came of the rows, in their order. */
function inAll(byRow: readonly (Performed & { readonly number: number })[]): Performed {
  const all = byRow.toSorted((one, other) => one.number - other.number)
  return {
    changes: all.flatMap(({ changes }) => changes),
    warnings: all.flatMap(({ warnings }) => warnings),
    given: givenOnce(all),
    messages: all
      .flatMap(({ messages }) => messages)
      .toSorted((one, other) => (one.clientId < other.clientId ? -1 : 1)),
  }
}

/** What rows were given alike is said once; what was run to make it so is not kept. */
function givenOnce(all: readonly Performed[]): Performed['given'] {
  const plain = all.flatMap(({ given }) => given.map(({ setUp: _, ...one }) => one))
  return [...new Map(plain.map((one) => [JSON.stringify(one), one])).values()]
}

/** So many at a time, in their order. */
async function inLanes<T>(all: readonly T[], lanes: number, work: (one: T) => Promise<void>): Promise<void> {
  const left = all.values()
  await Promise.all(
    Array.from({ length: Math.min(lanes, all.length) }, async () => {
      for (const one of left) await work(one)
    }),
  )
}

/** A row that has run, and the client as it last saw it. */
interface Before {
  readonly number: number
  readonly known: Registration | undefined
}

/**
 * After another row about the same client: that client as it is now, or why the row does not begin. It may change the client that
 * was confirmed with the list, or one that a row of this run has registered, and no other that has come meanwhile.
 */
async function lookedAtAgain(
  { row, prepared }: PreparedRow,
  runId: string,
  before: Before,
): Promise<PreparedRow | { readonly leftOut: LeftOut[number] } | { readonly refused: Problem }> {
  const vault = await stateFor(row.request.client, prepared.vault)
  const { registration } = vault
  const clientId = registration?.clientId ?? row.request.client.clientId
  const now = { ...prepared, vault, guardFacts: { ...prepared.guardFacts, registration, clientId } }
  const again = { row, prepared: now }
  const changed = now.guardFacts.onTwin ? undefined : clientChanged(registration, before.known, { runId })
  const [wrong = changed] = [...vault.problems, ...otherClient(again)]
  const problem = wrong ?? objections(...guarded(again))[0]
  if (problem === undefined) return again
  if (wrong !== undefined || registersOver(...guarded(again)) === undefined) return { refused: problem }
  const { number } = row.facts
  return registration?.runId === runId
    ? { leftOut: { number, because: `registered by row ${before.number} of this run`, registeredBy: before.number } }
    : { leftOut: { number, because: registeredEarlier(now.guardFacts) } }
}

async function performOne(
  { row, prepared }: PreparedRow,
  { vault, confirmed, company: own }: { readonly vault: Vault; readonly confirmed: boolean; readonly company: Company },
  { runId, caller, onEvent, onFailure }: RowMeans,
): Promise<Performed | undefined> {
  const { facts } = row
  const start = performance.now()
  const exitCodes: number[] = []
  const isOnTwin = prepared.counterparty !== undefined
  const { registration, clientId } = prepared.guardFacts
  const admission: Admission = {
    registration,
    confirmed: confirmed ? clientId : undefined,
    deletesUnconfirmed: prepared.environment.class === 'mock',
  }
  const tell = (event: RowEvent) => watched(() => caller.onRow?.(event), onFailure)
  tell({ type: 'row-started', row: facts })
  const performed = await performRow(
    prepared,
    {
      ...{ vault, runId, caller, admission: isOnTwin ? undefined : admission },
      onEvent: (event) => {
        if (event.type === 'workflow-finished') exitCodes.push(exitCodeOf(event.workflow))
        onEvent(
          event.type === 'workflow-finished' ? { ...event, workflow: { ...event.workflow, row: facts } } : event,
          facts,
        )
      },
    },
    own,
    { startsAnew: isOnTwin },
  ).catch((error: unknown) => {
    onFailure(error)
    exitCodes.push(70)
    return undefined
  })
  const durationMs = Math.round(performance.now() - start)
  tell({ type: 'row-finished', row: facts, ...verdictOf([worstExit(exitCodes)]), durationMs })
  return performed
}

/** Whoever watches a run does not stop it half-way. */
function watched(tell: () => void, onFailure: (error: unknown) => void): void {
  try {
    tell()
  } catch (error) {
    onFailure(error)
  }
}
