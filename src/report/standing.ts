/** Where a step of a run stands: the one word that every report has for it. */
import type { StepRecord } from '../record/index.ts'

export const STANDINGS = ['fail', 'inconclusive', 'warn', 'pass', 'skip'] as const
/** worst first; `inconclusive` is a step without a verdict, `skip` one that was not run */
export type Standing = (typeof STANDINGS)[number]

/** Names a step, and where it stands in the record: workflow and step count from 0. */
export interface Placed {
  readonly workflowId: string
  readonly stepId: string
  readonly place: readonly [workflow: number, step: number]
  readonly standing: Standing
}

export function standingOf(step: StepRecord): Standing {
  if (step.status !== 'passed')
    return ({ failed: 'fail', errored: 'inconclusive', skipped: 'skip' } as const)[step.status]
  return step.checks.some(({ status }) => status === 'warn') ? 'warn' : 'pass'
}
