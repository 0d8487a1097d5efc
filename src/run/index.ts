/**
 * A run from request to record. `resolve` turns what was typed into a request; `run` carries it out; `rehearse` says what it
 * would send.
 */
import { randomUUIDv7 } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { objections } from '../guard/confirmation.ts'
import type { Expectation } from '../guard/given.ts'
import { ToolError, worstExit } from '../record/errors.ts'
import { exitCodeOf, FINISHED_FILE, RECORD_FILE, type RecordHead } from '../record/index.ts'
import { judge, undecided } from '../report/accepted.ts'
import { createArtifacts, searchOnly } from '../report/artifacts.ts'
import { writeReports } from '../report/write.ts'
import type { Caller, PreparedEvent, RowFacts } from './caller.ts'
import { decisionsOf, headOf, kindOf, ownNames, withoutFolders } from './collect.ts'
import { FinishedWorkflows } from './finished.ts'
import { userAgentOf } from './keystore.ts'
import { type Performed, perform } from './perform.ts'
import { lanes, performRows, type RowMeans } from './perform-rows.ts'
import { admit, open, type Prepared, prepare } from './prepare.ts'
import { type PreviewedWorkflow, preview } from './preview.ts'
import type { RunRequest } from './request.ts'
import type { RequestOfRows, Rows, VaultClient } from './rows.ts'
import { admitRows, checkedRows } from './run-rows.ts'
import { folderName } from './selection.ts'
import type { Waiting } from './survey.ts'
import { withoutUnlisted } from './unlisted.ts'

export type {
  Caller,
  Counterparty,
  GivenEvent,
  PreparedEvent,
  Provenance,
  Question,
  RowEvent,
  RowFacts,
} from './caller.ts'
export { usesTwin } from './connect.ts'
export type { RunRequest } from './request.ts'
export { resolve, type Typed } from './resolve.ts'
export { MOST_PARALLEL, rowCount, shardOf } from './rows.ts'

/**
 * Returns the record without its workflows, and the path of the record (its name where there is no reports folder).
 *
 * @throws ToolError for anything wrong with the input; an unreachable server or a failed check is in the record. Unwritten where
 *   the run has ended and its reports cannot be written. Any other error is thrown when the record is written
 */
export async function run(
  request: RunRequest & { readonly rows?: Rows },
  caller: Caller,
): Promise<{ readonly head: RecordHead; readonly file: string }> {
  const [startedAt, start] = [new Date(), performance.now()]
  const { runId = randomUUIDv7() } = caller
  await using stack = new AsyncDisposableStack()
  const ready = await readyFor(request, caller, stack)
  const { prepared, warnings } = ready
  // Before the first call: a run whose record cannot be written should not change anything.
  const late: string[] = []
  const warn = (text: string) => late.push(text)
  const artifacts = await openArtifacts(prepared, caller, { startedAt, runId, warn })
  // A run that is killed leaves no record, and "latest" must not lead to an older one.
  await artifacts.publish()
  const { redactor } = prepared
  redactor.exempt([ownNames(runId, prepared), ready.names])
  caller.onEvent?.(preparedEvent(ready))

  using finished = new FinishedWorkflows({
    file: artifacts.folder && join(artifacts.folder, FINISHED_FILE),
    redactor,
    withoutFolders: withoutFolders(request.folders),
  })
  const exitCodes: number[] = []
  const failures: unknown[] = []
  const performed = await ready
    .perform({
      ...{ runId, caller },
      onFailure: (error) => failures.push(error),
      onEvent: (event, row) => {
        // Whoever watches a run does not stop it half-way.
        try {
          if (event.type === 'workflow-started') finished.begin(row?.number)
          if (event.type === 'workflow-finished') {
            exitCodes.push(exitCodeOf(event.workflow))
            finished.add(event.workflow)
          }
          caller.onEvent?.(event, row)
        } catch (error) {
          failures.push(error)
        }
      },
    })
    .catch((error: unknown): Performed => {
      failures.push(error)
      return { changes: [], warnings: [], given: [], messages: [] }
    })
  finished.redactAgain()

  const durationMs = performance.now() - start
  const decisions = decisionsOf(request)
  const { rows } = performed
  const judged =
    decisions === undefined
      ? undecided(exitCodes, { rows })
      : judge({ decisions, startedAt: startedAt.toISOString(), rows }, finished)
  const about = { runId, startedAt, durationMs, warnings, judged }
  const head = await headOf(prepared, performed, { about, caller })
  const { formats, codeQuality } = caller
  const [written] = await Promise.allSettled([writeReports(head, finished, { artifacts, formats, codeQuality })])
  const unwritten = written.status === 'rejected' ? unwrittenOf(written.reason, head, artifacts.folder) : undefined
  head.warnings.push(...late)
  caller.onFinished?.(head, finished)
  if (failures.length > 0) throw failures[0]
  if (written.status === 'rejected') throw unwritten
  return { head, file: written.value }
}

/** A run has ended, and its reports could not be written, or not all of them. */
export class Unwritten extends ToolError {
  readonly head: RecordHead
  /** the path of the record; undefined where that is missing too */
  readonly file: string | undefined

  constructor({ problems, cause, warnings }: ToolError, head: RecordHead, file: string | undefined) {
    super(problems, cause, warnings)
    this.head = head
    this.file = file
  }

  override get exitCode(): number {
    return worstExit([super.exitCode, this.head.exitCode])
  }
}

function unwrittenOf(error: unknown, head: RecordHead, folder = ''): Unwritten {
  if (!(error instanceof ToolError) || error.code !== 'REPORT_UNWRITABLE') throw error
  const record = join(folder, RECORD_FILE)
  return new Unwritten(error, head, existsSync(record) ? record : undefined)
}

/** A run that may begin. */
interface Ready {
  readonly prepared: Prepared
  /** all that were said before the first call */
  readonly warnings: readonly string[]
  /** what else the run is called by */
  readonly names: unknown
  readonly rows: PreparedEvent['rows']
  perform(means: RowMeans): Promise<Performed>
}

async function readyFor(
  request: RunRequest & { readonly rows?: Rows },
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<Ready> {
  const { rows } = request
  if (rows !== undefined) return await readyRows({ ...request, rows }, caller, stack)
  const checked = await prepare(request, caller, await open(request, caller, stack))
  const { vault, admission, warnings } = await admit(checked, caller)
  const prepared = await withoutUnlisted(checked, caller)
  return {
    ...{ prepared, warnings, names: [], rows: undefined },
    perform: async (means) => await perform(prepared, { ...means, vault, admission }),
  }
}

async function readyRows(request: RequestOfRows, caller: Caller, stack: AsyncDisposableStack): Promise<Ready> {
  const admitted = await admitRows(request, caller, stack)
  const { rows } = request
  const { prepared, warnings, leftOut } = admitted
  return {
    ...{ prepared, warnings, names: rows.rows.map(({ facts: { number, values } }) => ({ number, values })) },
    rows: { ...rows.record, leftOut, running: admitted.rows.length, lanes: lanes(admitted.rows).length },
    perform: async (means) => {
      const { leftOut: left, notStarted, ...performed } = await performRows(admitted, rows, means)
      return { ...performed, rows: { ...rows.record, leftOut: [...left], notStarted: [...notStarted] } }
    },
  }
}

function preparedEvent({ prepared, warnings, rows }: Ready): PreparedEvent {
  return {
    type: 'prepared',
    environment: prepared.environment,
    counterparty: kindOf(prepared.counterparty),
    warnings,
    given: prepared.survey.given,
    reordered: reorderedOf(prepared),
    waiting: prepared.waiting,
    rows,
  }
}

function reorderedOf({ isReordered, selection }: Prepared): readonly string[] | undefined {
  return isReordered ? selection.map(({ workflow }) => workflow.workflowId) : undefined
}

async function openArtifacts(
  { redactor, selection }: Prepared,
  { out }: Caller,
  {
    startedAt,
    runId,
    warn,
  }: { readonly startedAt: Date; readonly runId: string; readonly warn: (text: string) => void },
) {
  if (out === undefined) return searchOnly(redactor)
  return await createArtifacts(out, runFolder(startedAt, folderName(selection), runId), { redactor, warn })
}

/** The name of the folder that a run's reports are in. */
export function runFolder(startedAt: Date, what: string, runId: string): string {
  return `${startedAt.toISOString().slice(0, 19).replaceAll(':', '-')}Z-${what}-${runId.slice(-6)}`
}

/** What a run would do. */
export interface Rehearsal {
  readonly environment: string
  readonly warnings: readonly string[]
  readonly given: readonly Expectation[]
  /** the workflows in the order in which they go out, where they were named in another */
  readonly reordered: readonly string[] | undefined
  /** what a run without names leaves out */
  readonly waiting: readonly Waiting[]
  /** of a run of rows: the first that would run, whose requests are shown, how many there are, and how the list is confirmed */
  readonly rows?:
    | {
        /** undefined: none would run */
        readonly first: RowFacts | undefined
        readonly running: number
        /** how many of them may run at the same time, and how many there are that are not about one client */
        readonly parallel: number
        readonly lanes: number
        readonly leftOut: number
        readonly notStarted: number
        readonly fromVault: readonly VaultClient[]
        readonly confirmation: string
      }
    | undefined
  readonly workflows: readonly PreviewedWorkflow[]
}

/** Checks everything a run checks and returns what it would send. Nothing is sent, written or made. */
export async function rehearse(request: RunRequest & { readonly rows?: Rows }, caller: Caller): Promise<Rehearsal> {
  await using stack = new AsyncDisposableStack()
  const { prepared, rows, warnings } = await rehearsed(request, caller, stack)
  const { environment, selection, guardFacts, survey, waiting } = prepared
  // What speaks against a row was thrown, and the list is confirmed as a whole.
  const refused = (rows === undefined ? objections(selection, guardFacts) : []).map(
    ({ message, expected }) => `${message.replace(/; nothing was sent$/, '')}; expected ${expected}`,
  )
  return {
    environment: environment.name,
    warnings: [...warnings, ...refused],
    given: survey.given,
    reordered: reorderedOf(prepared),
    waiting,
    rows,
    workflows: rows?.running === 0 ? [] : preview(survey.plan, userAgentOf(caller.version)),
  }
}

async function rehearsed(
  request: RunRequest & { readonly rows?: Rows },
  caller: Caller,
  stack: AsyncDisposableStack,
): Promise<{ readonly prepared: Prepared; readonly rows: Rehearsal['rows']; readonly warnings: readonly string[] }> {
  const { rows } = request
  if (rows === undefined) {
    const prepared = await prepare(request, caller, await open(request, caller, stack))
    return { prepared, rows: undefined, warnings: prepared.warnings }
  }
  const { going, staying, leftOut, waiting, fromVault, confirmation, warnings } = await checkedRows(
    { ...request, rows },
    caller,
    stack,
  )
  const [first] = going
  const prepared = first?.prepared ?? staying
  if (prepared === undefined) throw new TypeError('a list without rows')
  return {
    ...{ prepared, warnings },
    rows: {
      ...{ first: first?.row.facts, running: going.length, fromVault, confirmation },
      ...{ leftOut: leftOut.length, notStarted: waiting.length },
      ...{ parallel: rows.parallel, lanes: lanes(going).length },
    },
  }
}
