/**
 * What the users of a project decided: which rows of the catalogue they accept although they failed or were not tested, what that
 * makes of the verdict on the run, and what was confirmed or reviewed of rows that no run can decide. No verdict on a check or a
 * step changes. Pure.
 */
import type { Acceptance } from '../record/decisions.ts'
import { CODES, enumerated } from '../record/errors.ts'
import {
  exitCodeOf,
  type RecordHead,
  type RunRecord,
  type StepRecord,
  verdictOf,
  type WorkflowRecord,
} from '../record/index.ts'
import { decidedBy, type JudgedRequirement, ProofCollector, rowsAt } from './proofs.ts'
import { standingOf } from './standing.ts'

type Decided = Pick<RecordHead, 'startedAt' | 'decisions' | 'rows'>

/** What may be accepted. */
const OPEN: ReadonlySet<string> = new Set(['fail', 'not tested'] satisfies JudgedRequirement['standing'][])

/**
 * The rows as they stand with the decisions in the record: those of an acceptance that still counted when the run began, and
 * what was confirmed or reviewed of those that no run can decide.
 */
export function withDecisions<T extends JudgedRequirement>(
  rows: readonly T[],
  { decisions, startedAt }: Decided,
): readonly T[] {
  const by = new Map(valid(decisions, startedAt).flatMap((one) => one.requirements.map((id) => [id, one])))
  const said = new Map(saidBy(decisions))
  return rows.map((row) => {
    const { id } = row.requirement
    const statement = said.get(id)
    if (row.standing === 'review' && statement !== undefined) return { ...row, ...statement }
    const acceptance = by.get(id)
    if (acceptance === undefined || !OPEN.has(row.standing)) return row
    const { reason, owner, until } = acceptance
    const because = `${row.standing}, accepted by ${owner} until ${until}: ${reason}`
    return { ...row, standing: 'accepted', because, instead: row.standing, acceptance }
  })
}

type Statement = Pick<JudgedRequirement, 'standing' | 'because'>

/** What people said, by the id of the requirement. */
function saidBy(decisions: RecordHead['decisions']): readonly (readonly [id: string, said: Statement])[] {
  const { confirmations = [], reviews = [] } = decisions ?? {}
  return [
    ...reviews.map(({ requirement, reviewer, date, note }) => {
      const because = `reviewed by ${reviewer} on ${date}: ${note}`
      return [requirement, { standing: 'reviewed', because }] as const
    }),
    ...confirmations.map(({ requirement, who, date, note, reference }) => {
      const because = `confirmed by ${who} on ${date} (${reference}): ${note}`
      return [requirement, { standing: 'confirmed', because }] as const
    }),
  ]
}

function valid(decisions: RecordHead['decisions'], startedAt: string): readonly Acceptance[] {
  return (decisions?.accepted ?? []).filter(({ until }) => startedAt.slice(0, 10) <= until)
}

export interface Judged extends Pick<RunRecord, 'verdict' | 'exitCode'> {
  /** ids of the rows that are accepted */
  readonly rows: readonly string[]
  /** acceptances that are out of date or no longer needed, and failures that are accepted in vain */
  readonly warnings: readonly string[]
}

/**
 * The verdict on a run. A workflow that failed counts as passed where each of its failed checks decides accepted rows alone, and
 * every row that it did not come to is accepted too. One with an error never does.
 */
export function judge(head: Decided, workflows: Iterable<WorkflowRecord>): Judged {
  const { decisions } = head
  if (decisions === undefined) return undecided(Array.from(workflows, exitCodeOf), head)
  const judged = rowsOf(head, workflows)
  const standing = new Map(judged.map((row) => [row.requirement.id, row.standing]))
  const verdicts = Array.from(workflows, (workflow) => ({ workflow, ...coverageOf(workflow, standing) }))
  const exitCodes = verdicts.map(({ workflow, isCovered }) => (isCovered ? 0 : exitCodeOf(workflow)))
  return {
    ...undecided(exitCodes, head),
    rows: judged.filter((row) => row.standing === 'accepted').map(({ requirement }) => requirement.id),
    warnings: [
      ...staleAcceptances(head, standing).map((text) => `${decisions.file}: ${text}`),
      ...verdicts.flatMap(({ workflow, missed }) =>
        missed.length === 0
          ? []
          : [
              `what failed in "${workflow.workflowId}" is accepted, and it fails all the same: it ended before ${enumerated(missed)} could be tested`,
            ],
      ),
    ],
  }
}

/** The verdict on a run for which nothing was decided, by the exit codes of its workflows, and by the rows that it did not run. */
export function undecided(exitCodes: readonly number[], { rows }: Pick<RecordHead, 'rows'>): Judged {
  const ofRows = [
    ...(rows === undefined || rows.notStarted.length === 0 ? [] : [CODES.INTERRUPTED.exit]),
    ...(notProven(rows).length === 0 ? [] : [CODES.NOT_TESTED.exit]),
  ]
  return { ...verdictOf([...exitCodes, ...ofRows]), rows: [], warnings: [] }
}

/** Rows that were left out for what an earlier run did: this one has proven nothing about them. */
export function notProven(
  rows: Pick<NonNullable<RecordHead['rows']>, 'leftOut'> | undefined,
): NonNullable<RecordHead['rows']>['leftOut'] {
  return rows?.leftOut.filter(({ registeredBy }) => registeredBy === undefined) ?? []
}

/** The rows of the catalogue as a run and what was decided leave them. */
export function rowsOf(head: Decided, workflows: Iterable<WorkflowRecord>): readonly JudgedRequirement[] {
  const rows = new RowCollector()
  for (const workflow of workflows) rows.add(workflow)
  return rows.of(head)
}

/** Judges the rows of the catalogue from workflows as they end. */
export class RowCollector {
  readonly #proofs = new ProofCollector()
  #workflows = 0

  add(workflow: WorkflowRecord): void {
    const { workflowId, steps } = workflow
    this.#proofs.addWorkflow(workflow)
    for (const [number, step] of steps.entries()) {
      const position = [this.#workflows, number] as const
      this.#proofs.addStep(step, { workflowId, stepId: step.stepId, position, standing: standingOf(step) })
    }
    this.#workflows += 1
  }

  of(head: Decided): readonly JudgedRequirement[] {
    return withDecisions(this.#proofs.requirements, head)
  }
}

type Standings = ReadonlyMap<string, JudgedRequirement['standing']>

interface Coverage {
  /** accepted deviations explain all that failed */
  readonly isCovered: boolean
  /** rows that are not tested because the workflow ended at an accepted failure */
  readonly missed: readonly string[]
}

function coverageOf(workflow: WorkflowRecord, standings: Standings): Coverage {
  const { status, error, steps, workflowId } = workflow
  const hasError = error !== undefined || steps.some((step) => step.status === 'errored')
  const failed = steps.filter((step) => step.status === 'failed')
  if (status !== 'failed' || hasError || !failed.every((step) => isCovered(step, workflowId, standings)))
    return { isCovered: false, missed: [] }
  const skipped = steps.filter((step) => step.status === 'skipped').flatMap((step) => rowsAt(workflowId, step))
  const missed = [...new Set(skipped)].filter((id) => standings.get(id) === 'not tested')
  return { isCovered: missed.length === 0, missed }
}

/** Checks that add up others, which count themselves. */
const SUMS: ReadonlySet<string> = new Set(['cases', 'workflow'])

function isCovered(step: StepRecord, workflowId: string, standings: Standings): boolean {
  const failed = step.checks.filter(({ status }) => status === 'fail')
  const rows = failed.map((check) => ({
    id: check.id,
    requirements: decidedBy(workflowId, step, [check]).map(({ id }) => id),
  }))
  return isExplained(rows, (id) => standings.get(id) !== 'accepted')
}

/** A check that failed, and the ids of the requirements that it decides. */
export interface FailedCheck {
  readonly id: string
  readonly requirements: readonly string[]
}

/** Whether the failed checks of a step decide requirements, and none that `stands` against them. */
export function isExplained(failed: readonly FailedCheck[], stands: (id: string) => boolean): boolean {
  const own = failed.filter(({ id }) => !SUMS.has(id))
  if (own.length === 0) return failed.length > 0
  const verdicts = own.map(({ id, requirements }) => {
    if (requirements.some(stands)) return 'refused'
    if (requirements.length > 0) return 'explained'
    // That no description documents the status follows from the status, which another check is about.
    return id === 'status' ? 'follows' : 'refused'
  })
  return !verdicts.includes('refused') && verdicts.includes('explained')
}

/** Acceptances that are out of date, and those of what does not fail any more. `startedAt`: of the run, or now for joined runs. */
export function staleAcceptances({ decisions, startedAt }: Decided, standings: Standings): readonly string[] {
  const counting = valid(decisions, startedAt)
  return (decisions?.accepted ?? []).flatMap((one) => {
    const ids = enumerated(one.requirements)
    if (!counting.includes(one)) return [`${ids} was accepted until ${one.until}, and is not any more (${one.owner})`]
    return (['pass', 'warn'] as const).flatMap((standing) => {
      const found = one.requirements.filter((id) => standings.get(id) === standing)
      const what = { pass: 'it is proven', warn: 'no more than a warning is found' }[standing]
      return found.length === 0 ? [] : [`${enumerated(found)} is accepted and did not fail: ${what}, so take it out`]
    })
  })
}
