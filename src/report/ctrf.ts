/**
 * Common Test Report Format: a test for each step. Warnings and steps without a verdict, which the format does not know,
 * are named in `rawStatus` and in `extra`.
 */
import { createHash } from 'node:crypto'
import { render } from '../record/errors.ts'
import type { RunRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import { account, type WorkflowFacts } from './account.ts'
import { filled, jsonItems } from './chunks.ts'
import { STANDINGS, type Standing, standingOf } from './standing.ts'

const STATUS: Readonly<Record<Standing, 'passed' | 'failed' | 'skipped' | 'other'>> = {
  pass: 'passed',
  warn: 'passed',
  fail: 'failed',
  inconclusive: 'other',
  skip: 'skipped',
}

export function ctrf(record: RunRecord): Iterable<string> {
  const said = account(record)
  const whole = said.workflows.filter(({ hasOwnError }) => hasOwnError).length
  const number = (status: string) =>
    STANDINGS.reduce((sum, standing) => sum + (STATUS[standing] === status ? said.stepCounts[standing] : 0), 0)
  const start = Date.parse(record.startedAt)
  const { tool, environment, origin } = record
  return filled(
    {
      reportFormat: 'CTRF',
      specVersion: '0.0.0',
      reportId: uuidOf(`ctrf ${record.runId}`),
      timestamp: said.endedAt,
      generatedBy: `${tool.name} ${tool.version}`,
      results: {
        tool: { name: tool.name, version: tool.version },
        summary: {
          tests: said.steps.length + whole,
          passed: number('passed'),
          failed: number('failed'),
          skipped: number('skipped'),
          pending: 0,
          other: number('other') + whole,
          suites: record.workflows.length,
          start,
          stop: start + Math.round(record.durationMs),
          duration: Math.round(record.durationMs),
          extra: {
            verdict: record.verdict,
            exitCode: record.exitCode,
            scope: said.complete ? 'COMPLETE' : 'PARTIAL',
            goLive: said.answer.headline,
            warnings: said.checkCounts.warn,
          },
        },
        tests: [],
        environment: {
          reportName: 'DCR conformance',
          testEnvironment: environment.name,
          osPlatform: tool.platform,
          ...(tool.commit === undefined ? {} : { commit: tool.commit }),
          ...(origin?.job === undefined ? {} : { buildUrl: origin.job }),
          extra: {
            class: environment.class,
            counterparty: record.counterparty,
            node: tool.node,
            openssl: tool.openssl,
          },
        },
        extra: {
          runId: record.runId,
          recordVersion: record.recordVersion,
          requirements: said.requirements.map(({ requirement: { id, clause, level }, standing }) => ({
            id,
            clause,
            level,
            standing,
          })),
          certificates: record.identities.map(({ name, sha256, notAfter, daysLeft }) => ({
            name,
            sha256,
            notAfter,
            daysLeft,
          })),
        },
      },
    },
    { name: 'tests', depth: 2 },
    tests(record, said.workflows),
  )
}

/** Those of steps, then those of workflows. */
function* tests({ workflows }: RunRecord, facts: readonly WorkflowFacts[]): Generator<string> {
  for (const { workflowId, steps } of workflows)
    if (steps.length > 0) yield jsonItems(steps.map((step) => test(step, workflowId)))
  for (const [index, workflow] of workflows.entries()) {
    if (facts[index]?.hasOwnError) yield jsonItems([wholeWorkflow(workflow)])
  }
}

function test(step: StepRecord, workflowId: string) {
  const standing = standingOf(step)
  const failed = step.checks.filter(({ status }) => status === 'fail')
  const [first] = failed
  const message =
    step.error?.message ??
    (first && `${first.title}: expected ${first.expected}, found ${first.actual}`) ??
    step.because
  const trace =
    step.error === undefined
      ? failed.map(({ title, expected, actual }) => `${title}: expected ${expected}, found ${actual}`).join('\n')
      : render(step.error)
  const start = step.startedAt === undefined ? undefined : Date.parse(step.startedAt)
  const retries = Math.max(0, step.exchanges.length - 1)
  const clauses = [...new Set([...(step.clauses ?? []), ...step.checks.flatMap((check) => check.clauses)])]
  return {
    name: step.stepId,
    status: STATUS[standing],
    duration: Math.round(step.durationMs),
    ...(start === undefined ? {} : { start, stop: start + Math.round(step.durationMs) }),
    suite: [workflowId],
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
        expected: check.expected,
        actual: check.actual,
      },
    })),
    extra: {
      ...(step.operation === undefined ? {} : { operation: `${step.operation.source}.${step.operation.operationId}` }),
      ...(step.identity === undefined ? {} : { identity: step.identity }),
      ...(step.alterations === undefined ? {} : { alterations: step.alterations }),
      ...(step.scopes === undefined ? {} : { scopes: step.scopes }),
    },
  }
}

/** What kept a workflow from ending belongs to no step, and would be missing where machines count. */
function wholeWorkflow({ workflowId, flow, error }: WorkflowRecord) {
  return {
    name: '(the workflow)',
    status: 'other',
    duration: 0,
    suite: [workflowId],
    message: error?.message,
    trace: error && render(error),
    rawStatus: 'inconclusive',
    type: 'e2e',
    filePath: flow.file,
  }
}

/** The same record always has the same report: the id comes from the run's (RFC 9562 version 8). */
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
