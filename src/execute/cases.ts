/** The cases of a step: each is one run of it with other alterations; a control is a run without any. */
import type { CallStep, Case, Step } from '../flow/index.ts'
import type { CheckRecord, StepRecord } from '../record/index.ts'
import type { Outcome } from './call.ts'
import { worst } from './statuses.ts'

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

/** How cases are run and skipped, with events of type E. */
interface Runner<E> {
  run(one: Case, note: Partial<StepRecord>): AsyncGenerator<E, Outcome>
  skip(one: Case, record: Partial<StepRecord> & Pick<StepRecord, 'stepId' | 'status'>): AsyncGenerator<E, StepRecord>
  isInterrupted(): boolean
  /** before the step ids */
  readonly prefix: string
}

/**
 * Runs the cases in their order. Once a control does not pass, the rest is skipped: the request was never good, so that the
 * refusal of an altered one would prove nothing.
 */
export async function* runCases<E>(
  { stepId, cases }: CallStep,
  { run, skip, isInterrupted, prefix }: Runner<E>,
): AsyncGenerator<E, readonly CaseResult[]> {
  const results: CaseResult[] = []
  let because: string | undefined
  for (const one of cases) {
    const note = { case: { of: prefix + stepId, id: one.id, control: one.isControl } }
    if (because !== undefined) {
      yield* skip(one, { ...note, stepId: prefix + one.step.stepId, status: 'skipped', because })
      continue
    }
    const result = yield* run(one, note)
    results.push({ one, result })
    if (isInterrupted()) because = 'the run was interrupted'
    else if (one.isControl && result.step.status !== 'passed')
      because = `the unaltered request ${result.step.status}, so a refusal would prove nothing`
  }
  return results
}

/** What the cases mean for the step: `decisive` is the first that did not pass, else the last. */
export function sumOf(results: readonly CaseResult[]) {
  const wrong = results.filter(({ result }) => result.step.status !== 'passed')
  const status = worst(wrong.map(({ result }) => result.step.status)) as 'passed' | 'failed' | 'errored'
  return {
    status,
    error: status === 'errored' ? wrong.find(({ result }) => result.step.error)?.result.step.error : undefined,
    control: results.findLast(({ one, result }) => one.isControl && result.step.status === 'passed')?.result,
    decisive: (wrong[0] ?? results.at(-1))?.result,
  }
}
