/** What a step makes of its answer: checks of the description, of the criteria and of what was asked for; outputs where it passed. */
import { WAITS_FOR } from '../flow/arazzo/waits.ts'
import { judge } from '../flow/expression/criterion.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { CallStep } from '../flow/index.ts'
import type { Effect } from '../record/effect.ts'
import type { Problem } from '../record/errors.ts'
import type { CheckRecord, Exchange, StepRecord } from '../record/index.ts'
import { withTexts } from '../record/json.ts'
import { LIMITS } from '../record/limits.ts'
import type { Redactor } from '../secret/index.ts'
import type { ParsedAnswer } from './answer.ts'
import { type Comparison, compareAsked, lifetimeCheck, notSaidYet } from './asked.ts'
import { criterionCheck, hiddenInputs, judgeable } from './criteria.ts'
import {
  alteredMembers,
  certificateCheck,
  compareScopes,
  isRefusal,
  isSuccess,
  judgeAnswer,
  noVerdict,
  refusalCheck,
  refusalFacts,
  scopeCheck,
  successCheck,
} from './judge.ts'
import type { Readable } from './ports.ts'
import { redactedProblem } from './problems.ts'
import { type BuiltRequest, evaluate } from './request.ts'

export type StepResult = Partial<StepRecord> & Pick<StepRecord, 'status'>

export interface Judged {
  readonly step: CallStep
  readonly request: BuiltRequest
  readonly answer: ParsedAnswer
  readonly context: Context
  readonly inputs: Readable['inputs']
  readonly redactor: Redactor
  /** what the call did */
  readonly sent: Effect | undefined
  readonly tls: Exchange['tls']
  /** lets a signal through, such as that of Ctrl-C: a large answer takes its time. Throws INTERRUPTED */
  readonly turn: () => Promise<void>
}

/** `values` are the outputs, unredacted; undefined where the step did not pass. */
export async function judgeCall(
  judged: Judged,
): Promise<{ readonly result: StepResult; readonly values?: Readonly<Record<string, unknown>> }> {
  const { step, request, answer, context, inputs, redactor, tls } = judged
  const asked = isSuccess(answer.status) ? compare(judged) : undefined
  const unasked = certificateCheck(step, tls)
  const own = [...(await checksOf(judged)), ...(unasked === undefined ? [] : [unasked])]
  const all = [...own, ...notSaidYet(asked?.checks ?? [], own)]
  const { checks, notJudged } = judgeable(step, answer.status, all)
  const shown = {
    checks: redactor.checks(checks),
    ...(notJudged === undefined ? {} : { notJudged: redactor.record(notJudged) }),
    scopes: redactor.value(asked?.scopes),
    ...(asked?.differences === undefined || asked.differences.length === 0
      ? {}
      : { differences: [...asked.differences] }),
  }
  if (checks.some((check) => check.status === 'fail')) {
    const problem = noVerdict(answer, request.outgoing.url, step, tls?.protocol) ?? waiting(step, context)
    if (problem !== undefined) return { result: { status: 'errored', error: redactor.record(problem) } }
    return { result: { status: 'failed', ...shown } }
  }
  try {
    const values = Object.fromEntries(
      [...step.outputs].map(([name, value]) => [name, evaluate(value, context, inputs)]),
    )
    return { result: { status: 'passed', ...shown, outputs: redactor.value(withTexts(values)) }, values }
  } catch (error) {
    return { result: { status: 'errored', ...shown, error: redactedProblem(error, redactor) } }
  }
}

/** What the description of the operation and the criteria of the step say of the answer. */
async function checksOf({ step, answer, context, inputs, redactor, turn }: Judged): Promise<CheckRecord[]> {
  const hidden = hiddenInputs(inputs, redactor)
  await turn()
  const checks = [
    ...(step.expectRefused
      ? [refusalCheck(isRefusal(answer), refusalFacts(answer), step)]
      : judgeAnswer(step.operation, answer)),
    ...(step.criteria.length === 0 && !step.expectRefused ? [successCheck(answer.status, step)] : []),
  ]
  for (const [index, criterion] of step.criteria.entries()) {
    await turn()
    checks.push(criterionCheck(criterion, index, context, { hidden, redactor }))
  }
  return checks
}

/** What was asked for against what came. */
function compare({
  step,
  request: { body },
  answer,
  redactor,
  sent,
}: Judged): Partial<Comparison> & Pick<StepRecord, 'scopes'> {
  const except = alteredMembers(step)
  const scopes = compareScopes(body, answer.body)
  const isRegistration = sent === 'register' || sent === 'update'
  const asked = isRegistration ? compareAsked(body, answer.body, { except, redactor }) : undefined
  const lifetime = lifetimeCheck(answer.body)
  const checks = [
    ...(asked?.checks ?? []),
    ...(scopes === undefined || except.has('scopes') ? [] : [scopeCheck(scopes)]),
    ...(lifetime === undefined ? [] : [lifetime]),
  ]
  const isShown = scopes !== undefined && scopes.granted.length <= LIMITS.scopes.value
  return {
    scopes: isShown ? scopes : undefined,
    checks,
    ...(asked === undefined ? {} : { differences: asked.differences }),
  }
}

/** Where the first criterion that fails is one that waits for Thredd: what Thredd has not done yet. */
function waiting({ criteria }: CallStep, context: Context): Problem | undefined {
  const first = criteria.find(({ condition }) => !judge(condition, context).pass)
  if (first?.waitsFor === undefined) return undefined
  return { code: 'WAITING_FOR_THREDD', message: WAITS_FOR[first.waitsFor].means, at: first.at }
}
