/**
 * Common Test Report Format: a test for each step. The format has no warnings and no steps without a verdict: `rawStatus` and
 * `extra` name them.
 */
import { createHash } from 'node:crypto'
import { type Command, commandsAbout } from '../record/hints.ts'
import type { RecordHead, StepRecord, WorkflowRecord } from '../record/index.ts'
import { findingOfWorkflow, findingsOf, headlineOf, textOf } from './findings.ts'
import { columnsById } from './gate.ts'
import { jsonWithList } from './json.ts'
import { STANDINGS, type Standing, standingOf } from './standing.ts'
import { clausesOf, type ReportedRun, type Summary } from './summary.ts'
import { rowsNotStarted, workflowInWords } from './words.ts'

const STATUS: Readonly<Record<Standing, 'passed' | 'failed' | 'skipped' | 'other'>> = {
  pass: 'passed',
  warn: 'passed',
  fail: 'failed',
  inconclusive: 'other',
  skip: 'skipped',
}

export function ctrf(run: ReportedRun): Iterable<string> {
  const { head, summary } = run
  const { tool } = head
  return jsonWithList(
    {
      reportFormat: 'CTRF',
      specVersion: '0.0.0',
      reportId: uuidOf(`ctrf ${head.runId}`),
      timestamp: summary.endedAt,
      generatedBy: `${tool.name} ${tool.version}`,
      results: {
        tool: { name: tool.name, version: tool.version },
        summary: counts(head, summary),
        tests: [],
        environment: environment(head),
        extra: extra(head, summary),
      },
    },
    { name: 'tests', depth: 2 },
    tests(run),
  )
}

function counts(head: RecordHead, summary: Summary) {
  const { answer, checkCounts, complete, gate, requirements, stepCounts, steps, workflows } = summary
  const ownErrors = workflows.filter(({ hasOwnError }) => hasOwnError).length
  const number = (status: string) =>
    STANDINGS.reduce((sum, standing) => sum + (STATUS[standing] === status ? stepCounts[standing] : 0), 0)
  const notStarted = head.rows?.notStarted.length ?? 0
  const start = Date.parse(head.startedAt)
  const duration = Math.round(head.durationMs)
  return {
    tests: steps.length + ownErrors + notStarted,
    passed: number('passed'),
    failed: number('failed'),
    skipped: number('skipped') + notStarted,
    pending: 0,
    other: number('other') + ownErrors,
    suites: workflows.length,
    start,
    stop: start + duration,
    duration,
    extra: {
      verdict: head.verdict,
      exitCode: head.exitCode,
      scope: complete ? 'COMPLETE' : 'PARTIAL',
      goLive: answer.headline,
      checks: checkCounts,
      requirements: { counts: gate.all.counts, verdicts: columnsById(requirements) },
      ...(head.decisions === undefined ? {} : { acceptedDeviations: head.decisions.rows.length }),
    },
  }
}

function environment({ counterparty, environment: { name, class: kind }, origin, tool }: RecordHead) {
  return {
    reportName: 'DCR conformance',
    testEnvironment: name,
    osPlatform: tool.platform,
    ...(tool.commit === undefined ? {} : { commit: tool.commit }),
    ...(origin?.job === undefined ? {} : { buildUrl: origin.job }),
    extra: { class: kind, counterparty, node: tool.node, openssl: tool.openssl },
  }
}

function extra({ identities, recordVersion, runId }: RecordHead, { requirements }: Summary) {
  return {
    runId,
    recordVersion,
    requirements: requirements.map(({ requirement: { id, clause, level }, standing }) => ({
      id,
      clause,
      level,
      standing,
    })),
    certificates: identities.map(({ name, sha256, notAfter, daysLeft }) => ({ name, sha256, notAfter, daysLeft })),
  }
}

/** One for each step, then one for each row that was not started and for each workflow with an error of its own. */
function* tests({ head, workflows, summary }: ReportedRun) {
  for (const workflow of workflows)
    for (const step of workflow.steps)
      yield test(step, workflowInWords(workflow), commandsAbout(workflow.row, head.environment))
  for (const { number, because } of rowsNotStarted(head))
    yield {
      ...{ name: `row ${number}`, status: STATUS.skip, duration: 0, suite: ['rows not started'] },
      ...{ message: because, rawStatus: 'skip', type: 'e2e' },
    }
  if (!summary.workflows.some(({ hasOwnError }) => hasOwnError)) return
  let index = 0
  for (const workflow of workflows) {
    if (summary.workflows[index]?.hasOwnError) yield workflowTest(workflow)
    index += 1
  }
}

function test(step: StepRecord, suite: string, command: Command) {
  const standing = standingOf(step)
  const findings = findingsOf(step, command).filter(({ standing: one }) => one !== 'warn')
  const message = findings[0] === undefined ? step.because : headlineOf(findings[0])
  const trace = findings.map(textOf).join('\n\n')
  const start = step.startedAt === undefined ? undefined : Date.parse(step.startedAt)
  const retries = Math.max(0, step.exchanges.length - 1)
  const clauses = clausesOf(step)
  return {
    name: step.stepId,
    status: STATUS[standing],
    duration: Math.round(step.durationMs),
    ...(start === undefined ? {} : { start, stop: start + Math.round(step.durationMs) }),
    suite: [suite],
    ...(message === undefined ? {} : { message }),
    ...(trace === '' ? {} : { trace }),
    rawStatus: standing,
    ...(clauses.length === 0 ? {} : { tags: clauses }),
    type: 'e2e',
    filePath: step.at.file,
    line: step.at.line,
    retries,
    flaky: retries > 0 && step.status === 'passed',
    steps: step.checks.map((check) => ({
      name: check.title,
      status: check.status === 'fail' ? 'failed' : 'passed',
      extra: {
        id: check.id,
        verdict: check.status,
        level: check.level,
        clauses: check.clauses,
        ...(check.member === undefined ? {} : { member: check.member }),
        expected: check.expected,
        actual: check.actual,
      },
    })),
    extra: {
      ...(step.operation === undefined ? {} : { operation: `${step.operation.source}.${step.operation.operationId}` }),
      ...(step.identity === undefined ? {} : { identity: step.identity }),
      ...(step.alterations === undefined ? {} : { alterations: step.alterations }),
      ...(step.scopes === undefined ? {} : { scopes: step.scopes }),
      ...(step.notJudged === undefined ? {} : { notJudged: step.notJudged }),
      ...(step.differences === undefined ? {} : { differences: step.differences }),
    },
  }
}

/** An error of the workflow itself belongs to no step: without a test of its own nothing would count it. */
function workflowTest(workflow: WorkflowRecord) {
  const own = findingOfWorkflow(workflow)
  return {
    name: '(the workflow)',
    status: 'other',
    duration: 0,
    suite: [workflowInWords(workflow)],
    message: own && headlineOf(own),
    trace: own && textOf(own),
    rawStatus: 'inconclusive',
    type: 'e2e',
    filePath: workflow.flow.file,
  }
}

/** A UUID made from a text (RFC 9562 version 8), so that the same record always gives the same report. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
