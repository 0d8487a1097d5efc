/**
 * JUnit XML for CI systems: a suite for each workflow, a case for each step. A failed check is a failure, a missing
 * verdict an error; warnings, which the format does not know, stand in the suite's properties.
 */
import { render } from '../record/errors.ts'
import {
  type CheckRecord,
  type ErrorRecord,
  errorBeyondSteps,
  type RunRecord,
  type StepRecord,
  type WorkflowRecord,
} from '../record/index.ts'
import { account } from './account.ts'

export function* junit(record: RunRecord): Generator<string> {
  const { stepCounts, steps, workflows } = account(record)
  const whole = workflows.filter(({ hasOwnError }) => hasOwnError).length
  const { fail, inconclusive } = stepCounts
  const all = { tests: steps.length + whole, failures: fail, errors: inconclusive + whole }
  yield '<?xml version="1.0" encoding="UTF-8"?>\n'
  yield `<testsuites${attributes({ name: 'thredd', ...all, time: seconds(record.durationMs) })}>\n`
  for (const workflow of record.workflows)
    yield suite(workflow, record)
      .map((line) => `${line}\n`)
      .join('')
  yield '</testsuites>\n'
}

function suite(workflow: WorkflowRecord, record: RunRecord): string[] {
  const error = errorBeyondSteps(workflow)
  const counts = countsOf(workflow, error !== undefined)
  const properties = [
    ['environment', `${record.environment.name} (${record.environment.class})`],
    ['counterparty', record.counterparty],
    ['runId', record.runId],
    ['verdict', record.verdict],
    ['flow', workflow.flow.file],
    ...workflow.clauses.map((clause) => ['clause', clause]),
    ...record.warnings.map((warning) => ['warning', cut(warning)]),
    ...workflow.steps.flatMap((step) =>
      step.checks.filter(isWarning).map((check) => [`warning ${step.stepId}: ${check.id}`, sentence(check)]),
    ),
  ]
  return [
    `  <testsuite${attributes({ name: workflow.workflowId, ...counts, time: seconds(workflow.durationMs), timestamp: workflow.startedAt.slice(0, 19) })}>`,
    '    <properties>',
    ...properties.map(([name, value]) => `      <property${attributes({ name, value })}/>`),
    '    </properties>',
    ...workflow.steps.flatMap((step) => testcase(step, workflow)),
    // Without a case of its own it would be missing where machines count: no step is to blame for it.
    ...(error === undefined
      ? []
      : [
          `    <testcase${attributes({ name: WHOLE, classname: workflow.workflowId })}>`,
          errorElement(error),
          CASE_END,
        ]),
    '  </testsuite>',
  ]
}

/** Each suite repeats the warnings of the run, of which some name all its workflows. */
const LONGEST_WARNING = 1000

function cut(warning: string): string {
  return warning.length <= LONGEST_WARNING ? warning : `${warning.slice(0, LONGEST_WARNING)}…`
}

function testcase(step: StepRecord, workflow: WorkflowRecord): string[] {
  const open = `    <testcase${attributes({ name: step.stepId, classname: workflow.workflowId, time: seconds(step.durationMs) })}>`
  const failed = step.checks.filter((check) => check.status === 'fail')
  const outcome = {
    passed: [],
    failed: [
      element(
        'failure',
        { message: failed[0] === undefined ? '' : sentence(failed[0]), type: failed[0]?.id ?? '' },
        failed.map(sentence).join('\n'),
      ),
    ],
    errored: [errorElement(step.error)],
    skipped: [`      <skipped${attributes({ message: step.because ?? '' })}/>`],
  }[step.status]
  const log = step.checks.map((check) => `${check.status.padEnd(4)} ${sentence(check)}`).join('\n')
  return [open, ...outcome, ...(log === '' ? [] : [element('system-out', {}, log)]), CASE_END]
}

/** The case of a workflow that did not end as its steps did. */
const WHOLE = '(the workflow)'
const CASE_END = '    </testcase>'

function errorElement(error: ErrorRecord | undefined): string {
  const { message, code } = error ?? { message: '', code: '' }
  return element('error', { message, type: code }, error === undefined ? '' : render(error))
}

function isWarning(check: CheckRecord): boolean {
  return check.status === 'warn'
}

function sentence({ title, expected, actual, status, clauses }: CheckRecord): string {
  const where = clauses.length === 0 ? '' : ` [${clauses.join(', ')}]`
  return status === 'pass' ? `${title}${where}` : `${title}: expected ${expected}, found ${actual}${where}`
}

function countsOf(
  { steps }: WorkflowRecord,
  hasOwnError: boolean,
): Record<'tests' | 'failures' | 'errors' | 'skipped', number> {
  const of = (status: StepRecord['status']) => steps.filter((step) => step.status === status).length
  const whole = hasOwnError ? 1 : 0
  return {
    tests: steps.length + whole,
    failures: of('failed'),
    errors: of('errored') + whole,
    skipped: of('skipped'),
  }
}

function element(name: string, attribute: Record<string, string>, text: string): string {
  return `      <${name}${attributes(attribute)}>${escaped(text)}</${name}>`
}

function attributes(values: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value ?? ''))}"`)
    .join('')
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
}

/** Whatever is changed below; most texts have none of it. */
const REMARKABLE = /[&<>"\p{Cc}\p{Cs}\uFFFE\uFFFF]/u

/** Characters that XML 1.0 cannot hold at all (§2.2) become the replacement character, so that one odd answer spoils no report. */
function escaped(text: string): string {
  if (!REMARKABLE.test(text)) return text
  return text
    .toWellFormed()
    .replace(/[&<>"\n\r\t]/g, (character) => ENTITIES[character] ?? character)
    .replace(/[^\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
}
