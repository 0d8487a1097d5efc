/** A person is asked to do something only where the run gave reason for it. */
import { expect, test } from 'vitest'
import type { RunRecord, StepRecord, WorkflowRecord } from '../../src/record/index.ts'
import { noticeOf } from '../../src/report/notice.ts'
import { sampleRecord } from '../support/reports.ts'

const [WORKFLOW] = sampleRecord().workflows as [WorkflowRecord]
const [STEP] = WORKFLOW.steps as [StepRecord]
const [EXCHANGE] = STEP.exchanges
const DUE = WORKFLOW.notice

/** A step that sent a call of this effect, answered with this status, or not at all. */
function sent(effect: NonNullable<StepRecord['effect']>['sent'], status?: number): StepRecord {
  const response = status === undefined ? undefined : { status, headers: [], body: { bytes: 0 } }
  return {
    ...STEP,
    effect: { planned: 'register', sent: effect },
    exchanges: EXCHANGE ? [{ ...EXCHANGE, response }] : [],
  }
}

test.for<[string, RunRecord['environment']['class'], WorkflowRecord['effect'], StepRecord[], string | undefined]>([
  ['a registration succeeded', 'uat', 'register', [sent('register', 201)], DUE],
  ['it was refused', 'uat', 'register', [sent('read', 200), sent('register', 400)], undefined],
  ['its answer was lost', 'uat', 'register', [sent('register')], undefined],
  ['it was never sent', 'uat', 'register', [sent('read', 200)], undefined],
  ['a workflow that only reads passed', 'uat', 'read', [sent('read', 200)], DUE],
  ['all was well on the twin', 'mock', 'register', [sent('register', 201)], undefined],
])('%s, class %s', ([, environment, effect, steps, notice]) => {
  expect(DUE).toBe('Contact Thredd now.')
  expect(noticeOf({ ...WORKFLOW, effect, steps }, { class: environment })).toBe(notice)
})

test.each(['read', 'register'] as const)(
  'a workflow of effect %s that has not passed says nothing of itself',
  (effect) => {
    const steps = [sent('register', 201), sent('read', 401)]

    expect(noticeOf({ ...WORKFLOW, effect, status: 'failed', steps }, { class: 'uat' })).toBeUndefined()
  },
)
