/** What a person must do after a workflow, where the run has given reason for it. Pure. */
import { isChange } from '../record/effect.ts'
import type { RunRecord, WorkflowRecord } from '../record/index.ts'

/**
 * The notice of a workflow that passed, since it says what the workflow did; of one that changes a client only where a changing
 * call of it was sent. Nobody need do anything for the twin. After another end the findings and the message to Thredd say more.
 */
export function noticeOf(
  { effect, notice, steps, status }: WorkflowRecord,
  environment: Pick<RunRecord['environment'], 'class'>,
): string | undefined {
  if (environment.class === 'mock' || status !== 'passed') return undefined
  if (!isChange(effect)) return notice
  const calls = steps.filter((step) => isChange(step.effect?.sent))
  const statuses = calls.flatMap(({ exchanges }) => exchanges.map(({ response }) => response?.status ?? 0))
  return statuses.some((one) => one >= 200 && one < 300) ? notice : undefined
}
