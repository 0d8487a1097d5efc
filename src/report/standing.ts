/** How a step of a run came out: the one word that every report has for it. */
import type { CheckRecord, RecordHead, StepRecord, WorkflowRecord } from '../record/index.ts'

export const STANDINGS = ['fail', 'inconclusive', 'warn', 'pass', 'skip'] as const
/** worst first; `inconclusive` is a step without a verdict, `skip` one that was not run */
export type Standing = (typeof STANDINGS)[number]

/** Refers to a step of the record. */
export interface StepRef {
  readonly workflowId: string
  /** of a run of rows */
  readonly row?: WorkflowRecord['row']
  readonly stepId: string
  /** indexes in the record, from 0 */
  readonly position: readonly [workflow: number, step: number]
  readonly standing: Standing
}

export function standingOf(step: StepRecord): Standing {
  if (step.status !== 'passed')
    return ({ failed: 'fail', errored: 'inconclusive', skipped: 'skip' } as const)[step.status]
  return step.checks.some(({ status }) => status === 'warn') ? 'warn' : 'pass'
}

const CHECK_STATUSES = ['pass', 'warn', 'fail'] as const

export type CheckCounts = Readonly<Record<CheckRecord['status'], number>>

/** Every check that the record has of these steps, those that add up others among them. */
export function checkCountsOf(steps: readonly Pick<StepRecord, 'checks'>[]): CheckCounts {
  return countOf(
    CHECK_STATUSES,
    steps.flatMap(({ checks }) => checks.map(({ status }) => status)),
  )
}

/** How often each name occurs among the values. */
export function countOf<T extends string>(names: readonly T[], values: readonly T[]): Record<T, number> {
  const counts = names.map((name) => [name, values.filter((value) => value === name).length] as const)
  return Object.fromEntries(counts) as Record<T, number>
}

/** What the counts have in all, by name. */
export function sumOf<T extends string>(names: readonly T[], counts: readonly Readonly<Record<T, number>>[]) {
  const sums = names.map((name) => [name, counts.reduce((sum, one) => sum + one[name], 0)] as const)
  return Object.fromEntries(sums) as Record<T, number>
}

export function sumOfChecks(counts: readonly CheckCounts[]): CheckCounts {
  return sumOf(CHECK_STATUSES, counts)
}

export function wasInterrupted({ error, steps }: WorkflowRecord): boolean {
  return [error, ...steps.map((step) => step.error)].some((one) => one?.code === 'INTERRUPTED')
}

/** All flows ran to their end; false for a run whose record does not say. */
export function isComplete({ leftOut, rows }: Pick<RecordHead, 'leftOut' | 'rows'>, interrupted: boolean): boolean {
  const hasAllRows =
    rows === undefined || (rows.shard === undefined && rows.leftOut.length + rows.notStarted.length === 0)
  return leftOut?.length === 0 && hasAllRows && !interrupted
}
