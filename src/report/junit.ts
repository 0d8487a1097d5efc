/**
 * JUnit XML for CI systems: a suite for each workflow, a case for each step. A failed check is a failure; a step without a
 * verdict is an error. The format has no warnings: they are properties of the suite.
 */

import { render } from '../record/errors.ts'
import { xml } from '../record/foreign.ts'
import {
  type CheckRecord,
  type ErrorRecord,
  errorBeyondSteps,
  type RecordHead,
  type StepRecord,
  type WorkflowRecord,
} from '../record/index.ts'
import type { ReportedRun } from './summary.ts'
import { whoRan } from './words.ts'

export function* junit({ head, workflows, summary }: ReportedRun): Generator<string> {
  const ownErrors = summary.workflows.filter(({ hasOwnError }) => hasOwnError).length
  const { fail, inconclusive } = summary.stepCounts
  const all = { tests: summary.steps.length + ownErrors, failures: fail, errors: inconclusive + ownErrors }
  yield '<?xml version="1.0" encoding="UTF-8"?>\n'
  yield `<testsuites${attributes({ name: 'thredd', ...all, time: seconds(head.durationMs) })}>\n`
  for (const workflow of workflows)
    yield suite(workflow, head)
      .map((line) => `${line}\n`)
      .join('')
  yield '</testsuites>\n'
}

function suite(workflow: WorkflowRecord, head: RecordHead): string[] {
  const error = errorBeyondSteps(workflow)
  const counts = countsOf(workflow, error !== undefined)
  const properties = [
    ['environment', `${head.environment.name} (${head.environment.class})`],
    ['counterparty', head.counterparty],
    ['runId', head.runId],
    ['verdict', head.verdict],
    ['flow', workflow.flow.file],
    ...whoRan(head),
    ...workflow.clauses.map((clause) => ['clause', clause]),
    ...head.warnings.map((warning) => ['warning', cut(warning)]),
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
    // An error of the workflow itself belongs to no step: without a case of its own nothing would count it.
    ...(error === undefined
      ? []
      : [
          `    <testcase${attributes({ name: WORKFLOW_CASE, classname: workflow.workflowId })}>`,
          errorElement(error),
          CASE_END,
        ]),
    '  </testsuite>',
  ]
}

/** Every suite repeats the warnings of the run, and some of them name all workflows. In characters. */
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

/** the case for a workflow's own error */
const WORKFLOW_CASE = '(the workflow)'
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
  const ownErrors = hasOwnError ? 1 : 0
  return {
    tests: steps.length + ownErrors,
    failures: of('failed'),
    errors: of('errored') + ownErrors,
    skipped: of('skipped'),
  }
}

function element(name: string, attribute: Record<string, string>, text: string): string {
  return `      <${name}${attributes(attribute)}>${xml(text)}</${name}>`
}

function attributes(values: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${xml(String(value ?? ''))}"`)
    .join('')
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3)
}
