/**
 * JUnit XML for CI systems: a suite for each workflow, a case for each step. A failed check is a failure, a missing
 * verdict an error; warnings, which the format does not know, stand in the suite's properties.
 */
import { render } from '../errors.ts'
import type { CheckRecord, RunRecord, StepRecord, WorkflowRecord } from '../record.ts'

export function junit(record: RunRecord): string {
  const suites = record.workflows.map((workflow) => suite(workflow, record))
  const { skipped: _, ...all } = counts(record.workflows.flatMap((workflow) => workflow.steps))
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: 'thredd', ...all, time: seconds(record.durationMs) })}>`,
    ...suites.flat(),
    '</testsuites>',
    '',
  ].join('\n')
}

function suite(workflow: WorkflowRecord, record: RunRecord): string[] {
  const { skipped, ...rest } = counts(workflow.steps)
  const properties = [
    ['environment', `${record.environment.name} (${record.environment.class})`],
    ['counterparty', record.counterparty],
    ['runId', record.runId],
    ['verdict', record.verdict],
    ['flow', workflow.flow.file],
    ...workflow.clauses.map((clause) => ['clause', clause]),
    ...workflow.steps.flatMap((step) =>
      step.checks.filter(isWarning).map((check) => [`warning ${step.stepId}: ${check.id}`, sentence(check)]),
    ),
  ]
  return [
    `  <testsuite${attributes({ name: workflow.workflowId, ...rest, skipped, time: seconds(workflow.durationMs), timestamp: workflow.startedAt.slice(0, 19) })}>`,
    '    <properties>',
    ...properties.map(([name, value]) => `      <property${attributes({ name, value })}/>`),
    '    </properties>',
    ...workflow.steps.flatMap((step) => testcase(step, workflow)),
    '  </testsuite>',
  ]
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
    errored: [
      element(
        'error',
        { message: step.error?.message ?? '', type: step.error?.code ?? '' },
        step.error === undefined ? '' : render(step.error),
      ),
    ],
    skipped: [`      <skipped${attributes({ message: step.because ?? '' })}/>`],
  }[step.status]
  const log = step.checks.map((check) => `${check.status.padEnd(4)} ${sentence(check)}`).join('\n')
  return [open, ...outcome, ...(log === '' ? [] : [element('system-out', {}, log)]), '    </testcase>']
}

function isWarning(check: CheckRecord): boolean {
  return check.status === 'warn'
}

function sentence({ title, expected, actual, status, clauses }: CheckRecord): string {
  const where = clauses.length === 0 ? '' : ` [${clauses.join(', ')}]`
  return status === 'pass' ? `${title}${where}` : `${title}: expected ${expected}, found ${actual}${where}`
}

function counts(steps: readonly StepRecord[]): Record<'tests' | 'failures' | 'errors' | 'skipped', number> {
  const of = (status: StepRecord['status']) => steps.filter((step) => step.status === status).length
  return { tests: steps.length, failures: of('failed'), errors: of('errored'), skipped: of('skipped') }
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
  '\t': '&#9;',
}

/** Characters that XML 1.0 cannot hold at all (§2.2) become the replacement character, so that one odd answer spoils no report. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[&<>"\n\t]/g, (character) => ENTITIES[character] ?? character)
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
}
