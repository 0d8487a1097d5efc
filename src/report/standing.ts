/** How a step of a run came out: the one word that every report has for it. */
import type { RecordHead, StepRecord, WorkflowRecord } from '../record/index.ts'

export const STANDINGS = ['fail', 'inconclusive', 'warn', 'pass', 'skip'] as const
/** worst first; `inconclusive` is a step without a verdict, `skip` one that was not run */
export type Standing = (typeof STANDINGS)[number]

/** Refers to a step of the record. */
export interface StepRef {
  readonly workflowId: string
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

export function wasInterrupted({ error, steps }: WorkflowRecord): boolean {
  return [error, ...steps.map((step) => step.error)].some((one) => one?.code === 'INTERRUPTED')
}

/** All flows ran to their end; false for a run whose record does not say. */
export function isComplete({ leftOut }: Pick<RecordHead, 'leftOut'>, interrupted: boolean): boolean {
  return leftOut?.length === 0 && !interrupted
}
