/** How the ends of several steps, cases or workflows add up to one, and what a sentence calls them. */

import type { Case, Step } from '../flow/index.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import type { Outcome } from './call.ts'

export const WORDS = {
  passed: 'passed',
  failed: 'failed',
  errored: 'came to no verdict',
  skipped: 'has not run',
} as const

export function worst(statuses: readonly WorkflowRecord['status'][]): WorkflowRecord['status'] {
  return (['failed', 'errored', 'skipped'] as const).find((status) => statuses.includes(status)) ?? 'passed'
}

export interface CaseResult {
  readonly one: Case
  readonly result: Outcome
}

export function casesCheck(step: Step, results: readonly CaseResult[], status: StepRecord['status']): CheckRecord {
  const wrong = results.filter(({ result }) => result.step.status !== 'passed')
  const count = results.filter(({ one }) => !one.isControl).length
  return {
    id: 'cases',
    status: status === 'failed' ? 'fail' : status === 'errored' ? 'warn' : 'pass',
    level: 'must',
    clauses: [...step.clauses],
    title: 'the unaltered request holds and every case is as expected',
    expected: 'all passed',
    actual:
      wrong.length === 0
        ? `all ${count} passed`
        : wrong.map(({ one, result }) => `${one.id} ${result.step.status}`).join(', '),
    at: step.at,
  }
}
