/** What comes after a step: the first of its actions that applies, and whether the step may be tried again. Pure. */

import { judge } from '../flow/expression/criterion.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { Action, Step } from '../flow/index.ts'
import type { StepRecord } from '../record/index.ts'
import { FILE_LIMITS } from '../record/limits.ts'
import { httpDate } from '../record/time.ts'
import type { ParsedAnswer } from './answer.ts'
import type { Outcome } from './call.ts'

export type FollowUp = Exclude<Action, { type: 'retry' }>

/** A server cannot make us wait longer than this before a retry. */
const LONGEST_WAIT_MS = FILE_LIMITS.retryWait.value

/** The first action that applies. A retry that is used up or would do harm gives way to the next (Arazzo 1.1 retryLimit). */
export function nextAction(
  step: Step,
  { step: record, context }: Pick<Outcome, 'step' | 'context'>,
  { mayRetry, isReadOnly }: { readonly mayRetry: (action: Action) => boolean; readonly isReadOnly: boolean },
): { readonly action: Action | undefined; readonly hint: string | undefined } {
  let hint: string | undefined
  for (const action of actionsOf(step, record)) {
    if (!applies(action, context)) continue
    if (action.type !== 'retry') {
      if (!step.finally) return { action, hint }
    } else if (mayRetry(action)) {
      if (isHarmless(step, record, isReadOnly)) return { action, hint }
      hint = NOT_REPEATED
    }
  }
  return { action: undefined, hint }
}

/** The same for a step that is not repeated as a whole. */
export function followUp(step: Step, record: StepRecord, context: Context): FollowUp | undefined {
  if (step.finally) return undefined
  return actionsOf(step, record)
    .filter((action) => action.type !== 'retry')
    .find((action) => applies(action, context))
}

/** What the server asks for goes before what the flow says (Arazzo 1.1 retryAfter). */
export function delayBefore(
  action: Extract<Action, { type: 'retry' }>,
  answer: ParsedAnswer | undefined,
  now: Date,
): number {
  return Math.min(retryAfterMs(answer, now) ?? action.retryAfterMs, LONGEST_WAIT_MS)
}

const NOT_REPEATED =
  'it was not repeated: the server may have acted on it; set x-dcr: { retrySafe: true } where a repetition does no harm'

function actionsOf(step: Step, { status }: StepRecord): readonly Action[] {
  return status === 'passed' ? step.onSuccess : step.onFailure
}

function applies(action: Action, context: Context): boolean {
  return action.criteria.every((condition) => judge(condition, context).pass)
}

/** A request that may have changed something goes out again only if its author says that this is harmless. */
function isHarmless(step: Step, { exchanges, status }: StepRecord, isReadOnly: boolean): boolean {
  if (step.retrySafe || status === 'passed') return true
  if (step.kind === 'workflow') return isReadOnly
  const last = exchanges.at(-1)
  const isSafe = step.operation.method === 'GET' || step.operation.method === 'HEAD'
  return isSafe || last === undefined || last.sent === 'no' || last.response?.status === 429
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(answer: ParsedAnswer | undefined, now: Date): number | undefined {
  const value = answer?.headers.find(([name]) => name.toLowerCase() === 'retry-after')?.[1]
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = httpDate(value)
  return date === undefined ? undefined : Math.max(0, date - now.getTime())
}
