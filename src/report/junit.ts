/**
 * JUnit XML for CI systems: a suite for each workflow, a case for each step. A failed step is a failure; a step without a
 * verdict is an error. The format has no warnings: they are properties of the suite.
 */

import { xml } from '../record/foreign.ts'
import { type Command, commandsAbout } from '../record/hints.ts'
import type { RecordHead, StepRecord, WorkflowRecord } from '../record/index.ts'
import {
  differencesOf,
  type Finding,
  findingOfWorkflow,
  findingsOf,
  headlineOf,
  sentenceOf,
  textOf,
} from './findings.ts'
import { columnsById } from './gate.ts'
import type { ReportedRun, Summary } from './summary.ts'
import { rowsNotStarted, whoRan, workflowInWords } from './words.ts'

export function* junit({ head, workflows, summary }: ReportedRun): Generator<string> {
  const ownErrors = summary.workflows.filter(({ hasOwnError }) => hasOwnError).length
  const { fail, inconclusive } = summary.stepCounts
  const notStarted = rowsNotStarted(head)
  const all = {
    tests: summary.steps.length + ownErrors + notStarted.length,
    failures: fail,
    errors: inconclusive + ownErrors,
  }
  yield '<?xml version="1.0" encoding="UTF-8"?>\n'
  yield `<testsuites${attributes({ name: 'thredd', ...all, time: seconds(head.durationMs) })}>\n`
  for (const workflow of workflows)
    yield suite(workflow, { head, summary })
      .map((line) => `${line}\n`)
      .join('')
  yield [...suiteOfRows(notStarted, head), ...requirements(head, summary)].map((line) => `${line}\n`).join('')
  yield '</testsuites>\n'
}

function suite(workflow: WorkflowRecord, { head, summary }: Pick<ReportedRun, 'head' | 'summary'>): string[] {
  const command = commandsAbout(workflow.row, head.environment)
  const own = findingOfWorkflow(workflow)
  const counts = countsOf(workflow, own !== undefined)
  const properties = [
    ['environment', `${head.environment.name} (${head.environment.class})`],
    ['counterparty', head.counterparty],
    ['runId', head.runId],
    ['verdict', head.verdict],
    ...scope(summary),
    ['flow', workflow.flow.file],
    ...whoRan(head),
    ...acceptedIn(head),
    ...workflow.clauses.map((clause) => ['clause', clause]),
    ...head.warnings.map((warning) => ['warning', cut(warning)]),
    ...workflow.steps.flatMap((step) =>
      findingsOf(step, command)
        .filter(({ standing }) => standing === 'warn')
        .map((finding) => [`warning ${step.stepId}: ${finding.about}`, headlineOf(finding)]),
    ),
  ]
  return [
    `  <testsuite${attributes({ name: workflowInWords(workflow), ...counts, time: seconds(workflow.durationMs), timestamp: workflow.startedAt.slice(0, 19) })}>`,
    ...propertiesOf(properties),
    ...workflow.steps.flatMap((step) => testcase(step, workflow, command)),
    // An error of the workflow itself belongs to no step: without a case of its own nothing would count it.
    ...(own === undefined
      ? []
      : [
          `    <testcase${attributes({ name: WORKFLOW_CASE, classname: workflowInWords(workflow) })}>`,
          elementOf('error', [own]),
          CASE_END,
        ]),
    '  </testsuite>',
  ]
}

/** A skipped case for each row of the list that was not started. */
function suiteOfRows(notStarted: ReturnType<typeof rowsNotStarted>, { startedAt }: RecordHead): string[] {
  if (notStarted.length === 0) return []
  const name = 'rows not started'
  const counts = { tests: notStarted.length, failures: 0, errors: 0, skipped: notStarted.length, time: seconds(0) }
  return [
    `  <testsuite${attributes({ name, ...counts, timestamp: startedAt.slice(0, 19) })}>`,
    ...notStarted.flatMap(({ number, because }) => [
      `    <testcase${attributes({ name: `row ${number}`, classname: name, time: seconds(0) })}>`,
      `      <skipped${attributes({ message: because })}/>`,
      CASE_END,
    ]),
    '  </testsuite>',
  ]
}

/** How much the verdict is about. */
function scope({ complete, answer, gate, checkCounts }: Summary): string[][] {
  return [
    ['scope', complete ? 'COMPLETE' : 'PARTIAL'],
    ['goLive', answer.headline],
    ...Object.entries(checkCounts).map(([status, number]) => [`checks ${status}`, String(number)]),
    ...Object.entries(gate.all.counts).map(([column, number]) => [`requirements ${column}`, String(number)]),
  ]
}

/** The verdict on each requirement, in a suite without cases: a requirement is no test, and it is counted by no step. */
function requirements(head: RecordHead, { requirements }: Summary): string[] {
  const none = { tests: 0, failures: 0, errors: 0, skipped: 0, time: seconds(0) }
  return [
    `  <testsuite${attributes({ name: 'requirements', ...none, timestamp: head.startedAt.slice(0, 19) })}>`,
    ...propertiesOf(Object.entries(columnsById(requirements))),
    '  </testsuite>',
  ]
}

function propertiesOf(properties: readonly (readonly (string | undefined)[])[]): string[] {
  return [
    '    <properties>',
    ...properties.map(([name, value]) => `      <property${attributes({ name, value })}/>`),
    '    </properties>',
  ]
}

function acceptedIn({ decisions }: RecordHead): string[][] {
  if (decisions === undefined) return []
  const { accepted, rows } = decisions
  const by = (id: string) => accepted.find(({ requirements }) => requirements.includes(id))
  return [
    ['acceptedDeviations', String(rows.length)],
    ...rows.map((id) => [`accepted ${id}`, `by ${by(id)?.owner} until ${by(id)?.until}: ${by(id)?.reason}`]),
  ]
}

/** Every suite repeats the warnings of the run, and some of them name all workflows. In characters. */
const LONGEST_WARNING = 1000

function cut(warning: string): string {
  return warning.length <= LONGEST_WARNING ? warning : `${warning.slice(0, LONGEST_WARNING)}…`
}

function testcase(step: StepRecord, workflow: WorkflowRecord, command: Command): string[] {
  const open = `    <testcase${attributes({ name: step.stepId, classname: workflowInWords(workflow), time: seconds(step.durationMs) })}>`
  const findings = findingsOf(step, command)
  const outcome = {
    passed: [],
    failed: [
      elementOf(
        'failure',
        findings.filter(({ standing }) => standing === 'fail'),
      ),
    ],
    errored: [
      elementOf(
        'error',
        findings.filter(({ standing }) => standing === 'inconclusive'),
      ),
    ],
    skipped: [`      <skipped${attributes({ message: step.because ?? '' })}/>`],
  }[step.status]
  const log = [
    ...step.checks.map(
      (check) => `${check.status.padEnd(4)} ${check.status === 'pass' ? check.title : sentenceOf(check)}`,
    ),
    ...(step.notJudged ?? []).map(({ title }) => `not judged ${title}`),
    ...differencesOf(step).map((text) => `registered otherwise ${text}`),
  ].join('\n')
  return [open, ...outcome, ...(log === '' ? [] : [element('system-out', {}, log)]), CASE_END]
}

/** the case for a workflow's own error */
const WORKFLOW_CASE = '(the workflow)'
const CASE_END = '    </testcase>'

function elementOf(name: 'failure' | 'error', findings: readonly Finding[]): string {
  const [first] = findings
  const message = first === undefined ? '' : headlineOf(first)
  return element(name, { message, type: first?.about ?? '' }, findings.map(textOf).join('\n\n'))
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
