/** Judges the criteria of a step, and says which answers they presuppose. Pure. */
import { type Condition, judge, termsOf } from '../flow/expression/criterion.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { CallStep, Criterion } from '../flow/index.ts'
import { documentedAnswer } from '../flow/openapi/description.ts'
import { type PlannedInput, plainValue } from '../plan/index.ts'
import type { CheckRecord, StepRecord } from '../record/index.ts'
import type { Redactor } from '../secret/index.ts'
import { isSuccess } from './judge.ts'
import { told } from './terms.ts'

/** Names of secret inputs that are too ordinary to be searched for: what a criterion reads of them is not shown. */
export function hiddenInputs(inputs: ReadonlyMap<string, PlannedInput>, redactor: Redactor): ReadonlySet<string> {
  const hidden = [...inputs].filter(
    ([, input]) => input.secret && input.kind === 'value' && !redactor.searches(plainValue(input)),
  )
  return new Set(hidden.map(([name]) => name))
}

export function criterionCheck(
  criterion: Criterion,
  index: number,
  context: Context,
  { hidden, redactor }: { readonly hidden: ReadonlySet<string>; readonly redactor: Redactor },
): CheckRecord {
  const { condition } = criterion
  const verdict = judge(condition, context)
  const secret = condition.references.find((one) => one.kind === 'inputs' && hidden.has(one.name))
  const actual = secret === undefined ? verdict.actual : `${secret.text} is a secret, so what was read is not shown`
  const terms = verdict.pass || secret !== undefined ? undefined : termsOf(condition, context)
  const isMissing = criterion.optional && terms !== undefined && terms.got === undefined
  const level = isMissing && criterion.level === 'must' ? 'should' : criterion.level
  return {
    id: `criterion ${index + 1}`,
    status: verdict.pass ? 'pass' : level === 'must' ? 'fail' : 'warn',
    level,
    clauses: [...criterion.clauses],
    title: criterion.text,
    expected: verdict.expected,
    actual: verdict.error === undefined ? actual : `${actual} (${verdict.error})`,
    ...(terms === undefined ? {} : told(terms, redactor)),
    at: criterion.at,
  }
}

/**
 * Without what cannot be judged: of an answer whose status is of a class that the step does not presuppose, only the status
 * is judged, and of one whose body cannot be read, nothing that is about the body. It would fail, or hold, for that reason alone.
 */
export function judgeable(
  step: CallStep,
  status: number,
  checks: readonly CheckRecord[],
): Pick<StepRecord, 'notJudged'> & { readonly checks: CheckRecord[] } {
  const isOther = isOfOtherClass(step, status)
  const isUnread = checks.some((check) => check.status === 'fail' && OF_FORM.has(check.id))
  if (!isOther && !isUnread) return { checks: [...checks] }
  const mayBeJudged = ({ condition }: Criterion) => (isOther ? readsStatus(condition) : !readsBody(condition))
  const judged = new Set([
    ...['status', 'success', 'refused', 'certificate-requested'],
    ...(isOther ? [] : OF_FORM),
    ...step.criteria.flatMap((one, index) => (mayBeJudged(one) ? [`criterion ${index + 1}`] : [])),
  ])
  const rest = checks.filter(({ id }) => !judged.has(id))
  return {
    checks: checks.filter(({ id }) => judged.has(id)),
    ...(rest.length === 0 ? {} : { notJudged: rest.map(({ id, title, clauses }) => ({ id, title, clauses })) }),
  }
}

/** Checks of the body as a whole: that of a member has its place in its id. */
const OF_FORM: ReadonlySet<string> = new Set(['content-type', 'schema'])

/** Whether no status of this one's class (RFC 9110 section 15) could be what the step waits for. */
function isOfOtherClass({ criteria, operation, expectRefused }: CallStep, status: number): boolean {
  const ofClass = Array.from({ length: 100 }, (_, index) => status - (status % 100) + index)
  const about = criteria.filter(({ condition, level }) => level === 'must' && readsStatus(condition, 'alone'))
  if (about.length > 0)
    return !ofClass.some((one) => about.every(({ condition }) => judge(condition, withStatus(one)).pass))
  if (expectRefused) return status < 400 || status >= 500
  if (criteria.length === 0) return !isSuccess(status)
  return operation.description !== undefined && !ofClass.some((one) => documentedAnswer(operation, one) !== undefined)
}

function readsBody({ references }: Condition): boolean {
  return references.some((one) => one.kind === 'response' && one.part === 'body')
}

function readsStatus({ references }: Condition, alone?: 'alone'): boolean {
  const kinds = references.map(({ kind }) => kind === 'statusCode')
  return kinds.includes(true) && (alone === undefined || !kinds.includes(false))
}

function withStatus(statusCode: number): Context {
  return { statusCode, inputs: () => undefined, steps: new Map() }
}
