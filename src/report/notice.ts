/** What a person must do after a workflow, where the run has given reason for it. Pure. */
import { isChange } from '../record/effect.ts'
import type { RunRecord, WorkflowRecord } from '../record/index.ts'

/**
 * The notice of a workflow. Nobody need do anything for the twin; after a workflow that changes a client only where a changing
 * call of it succeeded, and after another one where it passed: its notice says what was proven.
 */
export function noticeOf(
  { effect, notice, steps, status }: WorkflowRecord,
  environment: Pick<RunRecord['environment'], 'class'>,
): string | undefined {
  if (environment.class === 'mock') return undefined
  if (!isChange(effect)) return status === 'passed' ? notice : undefined
  const calls = steps.filter((step) => isChange(step.effect?.sent))
  const statuses = calls.flatMap(({ exchanges }) => exchanges.map(({ response }) => response?.status ?? 0))
  return statuses.some((one) => one >= 200 && one < 300) ? notice : undefined
}
