/**
 * A run from request to record. `resolve` turns what was typed into a request; `run` carries it out; `rehearse` says what it
 * would send.
 */
import { randomUUIDv7 } from 'node:crypto'
import { join } from 'node:path'
import { objections } from '../guard/confirmation.ts'
import type { Expectation } from '../guard/given.ts'
import { exitCodeOf, FINISHED_FILE, type RecordHead } from '../record/index.ts'
import { judge, undecided } from '../report/accepted.ts'
import { createArtifacts, searchOnly } from '../report/artifacts.ts'
import { writeReports } from '../report/write.ts'
import type { Caller } from './caller.ts'
import { decisionsOf, headOf, kindOf, ownNames, withoutFolders } from './collect.ts'
import { FinishedWorkflows } from './finished.ts'
import { userAgentOf } from './keystore.ts'
import { type Performed, perform } from './perform.ts'
import { admit, type Prepared, prepare } from './prepare.ts'
import { type PreviewedWorkflow, preview } from './preview.ts'
import type { RunRequest } from './request.ts'
import { folderName } from './selection.ts'
import type { Waiting } from './survey.ts'
import { withoutUnlisted } from './unlisted.ts'

export type { Caller, Counterparty, GivenEvent, PreparedEvent, Provenance, Question } from './caller.ts'
export { usesTwin } from './connect.ts'
export { type RunRequest, resolve, type Typed } from './request.ts'

/**
 * Returns the record without its workflows, and the path of the record (its name where there is no reports folder).
 *
 * @throws ToolError for anything wrong with the input; an unreachable server or a failed check is in the record. Any other
 *   error is thrown when the record is written
 */
export async function run(
  request: RunRequest,
  caller: Caller,
): Promise<{ readonly head: RecordHead; readonly file: string }> {
  const [startedAt, start] = [new Date(), performance.now()]
  const { runId = randomUUIDv7() } = caller
  await using stack = new AsyncDisposableStack()
  const checked = await prepare(request, caller, stack)
  const { vault, admission, warnings } = await admit(checked, caller)
  const prepared = await withoutUnlisted(checked, caller)
  // Before the first call: a run whose record cannot be written should not change anything.
  const late: string[] = []
  const warn = (text: string) => late.push(text)
  const artifacts = await openArtifacts(prepared, caller, { startedAt, runId, warn })
  // A run that is killed leaves no record, and "latest" must not lead to an older one.
  await artifacts.publish()
  const { redactor, environment, survey } = prepared
  redactor.exempt(ownNames(runId, prepared))
  const counterparty = kindOf(prepared.counterparty)
  caller.onEvent?.({
    type: 'prepared',
    environment,
    counterparty,
    warnings,
    given: survey.given,
    reordered: reorderedOf(prepared),
    waiting: prepared.waiting,
  })

  using finished = new FinishedWorkflows({
    file: artifacts.folder && join(artifacts.folder, FINISHED_FILE),
    redactor,
    withoutFolders: withoutFolders(request.folders),
  })
  const exitCodes: number[] = []
  const failures: unknown[] = []
  const performed = await perform(prepared, {
    vault,
    admission,
    runId,
    caller,
    onEvent: (event) => {
      // Whoever watches a run does not stop it half-way.
      try {
        if (event.type === 'workflow-finished') {
          exitCodes.push(exitCodeOf(event.workflow))
          finished.add(event.workflow)
        }
        caller.onEvent?.(event)
      } catch (error) {
        failures.push(error)
      }
    },
  }).catch((error: unknown): Performed => {
    failures.push(error)
    return { changes: [], warnings: [], given: [] }
  })
  finished.redactAgain()

  const durationMs = performance.now() - start
  const decisions = decisionsOf(request)
  const judged =
    decisions === undefined ? undecided(exitCodes) : judge({ decisions, startedAt: startedAt.toISOString() }, finished)
  const about = { runId, startedAt, durationMs, warnings, judged }
  const head = await headOf(prepared, performed, { about, caller })
  const file = await writeReports(head, finished, {
    artifacts,
    formats: caller.formats,
    codeQuality: caller.codeQuality,
  })
  head.warnings.push(...late)
  caller.onFinished?.(head, finished)
  if (failures.length > 0) throw failures[0]
  return { head, file }
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
  readonly workflows: readonly PreviewedWorkflow[]
}

/** Checks everything a run checks and returns what it would send. Nothing is sent, written or made. */
export async function rehearse(request: RunRequest, caller: Caller): Promise<Rehearsal> {
  await using stack = new AsyncDisposableStack()
  const prepared = await prepare(request, caller, stack)
  const { environment, selection, guardFacts, survey, waiting, warnings } = prepared
  const refused = objections(selection, guardFacts).map(
    ({ message, expected }) => `${message.replace(/; nothing was sent$/, '')}; expected ${expected}`,
  )
  return {
    environment: environment.name,
    warnings: [...warnings, ...refused],
    given: survey.given,
    reordered: reorderedOf(prepared),
    waiting,
    workflows: preview(survey.plan, userAgentOf(caller.version)),
  }
}
