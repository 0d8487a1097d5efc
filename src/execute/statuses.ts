/** The status of several steps, cases or workflows together, and the words for a status in a sentence. */

import type { WorkflowRecord } from '../record/index.ts'

export const WORDS = {
  passed: 'passed',
  failed: 'failed',
  errored: 'came to no verdict',
  skipped: 'has not run',
} as const

export function worst(statuses: readonly WorkflowRecord['status'][]): WorkflowRecord['status'] {
  return (['failed', 'errored', 'skipped'] as const).find((status) => statuses.includes(status)) ?? 'passed'
}
