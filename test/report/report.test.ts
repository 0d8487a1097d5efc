/** Reports are pure conversions of the record: fixed records in, exact texts out, and every text valid for who reads it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { validateXML } from 'xmllint-wasm'
import {
  type CheckRecord,
  RECORD_VERSION,
  type RunRecord,
  type StepRecord,
  type WorkflowRecord,
} from '../../src/record/index.ts'
import { runRecord } from '../../src/record/schema.ts'
import { shapeOf } from '../../src/record/shape.ts'
import { expectGolden } from '../support/golden.ts'
import { github, gitlab, junit } from '../support/reports.ts'
import { ROOT, runOnTwin } from '../support/run.ts'

/** Text that has broken reports before: markup, quotes, controls, half a character, what XML cannot hold at all. */
const NASTY =
  'a "quote" \'apostrophe\' <b>&amp;</b> ]]> \u0000\u0007\u001b[31m\u007f \ud800 \ufffe tab\there\r\nnext 💳 % :,'

const FLOW = 'flows/every-outcome.arazzo.yaml'

const RECORD: RunRecord = {
  recordVersion: RECORD_VERSION,
  runId: '01990000-0000-7000-8000-000000000000',
  tool: { name: 'thredd-dcr', version: '1.2.3', node: '24.0.0', openssl: '3.5.0', platform: 'linux-x64' },
  environment: { name: 'uat', class: 'uat', files: ['.env.uat.local', '.env.uat'] },
  counterparty: 'network',
  startedAt: '2026-01-02T03:04:05.678Z',
  durationMs: 4321,
  identities: [],
  warnings: ['the certificate of identity "transport" expires in 9 days (2026-01-11T00:00Z); request its replacement'],
  workflows: [
    workflow('every-outcome', 'failed', [
      step('passes', 'passed', {
        checks: [
          check('status', 'pass', { title: 'the status is a documented one' }),
          check('criterion 2', 'warn', { level: 'should', clauses: ['RFC7591-3.2.1'], at: at(21) }),
        ],
      }),
      step('fails', 'failed', {
        checks: [
          check('status', 'pass', { title: 'the status is a documented one' }),
          check('criterion 1', 'fail', { clauses: ['RFC7592-2.1', 'RFC6750-2.1'], at: at(31) }),
          check('schema /client_id', 'fail', { title: '/client_id fits its schema', actual: NASTY }),
        ],
      }),
      step('errs', 'errored', {
        error: {
          code: 'TIMEOUT',
          message: '"api.example" did not answer within 300 ms',
          at: at(41),
          hint: 'raise TIMEOUT_MS if the host is known to be slow',
        },
      }),
      step('is-odd', 'errored', { error: { code: 'PROTOCOL', message: NASTY, found: NASTY } }),
      step('is-skipped', 'skipped', { because: `step "fails" failed: ${NASTY}` }),
    ]),
    workflow('never-ends', 'errored', [step('again', 'passed')], {
      error: {
        code: 'STEP_BUDGET',
        message: 'the workflow did not end within 1000 steps',
        hint: 'a goto leads back to an earlier step without a way out',
      },
    }),
    workflow('is-stopped', 'errored', [step('waits', 'errored', { error: stopped('the request was stopped') })], {
      error: stopped('the run was interrupted'),
    }),
  ],
  redaction: { rules: 'v1', secretsKnown: 0 },
  verdict: 'non-conformant',
  exitCode: 1,
}

test('the record of these tests has the published shape', () => {
  expect(shapeOf(runRecord, RECORD)).toEqual({ ok: true, value: RECORD })
})

test('junit.xml has a suite for each workflow and a case for each step, whatever characters they hold', async () => {
  const xml = junit(RECORD)

  expectGolden(xml, 'report/junit.xml')
  expect(await faultsOf(xml)).toEqual([])
})

test('junit.xml keeps apart what failed, what could not be judged and what was not reached', () => {
  const xml = junit(RECORD)

  const outcomes = [...xml.matchAll(/<testcase name="([^"]+)"[^>]*>\n *<(\w[\w-]*)/g)].map(([, name, element]) => [
    name,
    element,
  ])
  expect(outcomes).toEqual([
    ['passes', 'system-out'],
    ['fails', 'failure'],
    ['errs', 'error'],
    ['is-odd', 'error'],
    ['is-skipped', 'skipped'],
    // No step is to blame for an endless loop; that an interrupted step tells the same is not counted twice.
    ['(the workflow)', 'error'],
    ['waits', 'error'],
  ])
  expect(xml).toContain('<testsuites name="thredd" tests="8" failures="1" errors="4" time="4.321">')
})

test('warnings of a check and of the run stand in the properties of junit.xml', () => {
  const properties = [...junit(RECORD).matchAll(/<property name="(warning[^"]*)" value="([^"]*)"/g)]

  const expiry =
    'the certificate of identity &quot;transport&quot; expires in 9 days (2026-01-11T00:00Z); request its replacement'
  expect(properties.map(([, name, value]) => [name, value])).toEqual([
    ['warning', expiry],
    ['warning passes: criterion 2', '$statusCode == 201: expected $statusCode == 201, got 200'],
    ['warning', expiry],
    ['warning', expiry],
  ])
})

test.each([
  [
    'an element nobody knows',
    (xml: string) => xml.replace('<system-out>', '<output>').replace('</system-out>', '</output>'),
  ],
  ['a number that is none', (xml: string) => xml.replace(/tests="\d+"/, 'tests="many"')],
  ['a missing name', (xml: string) => xml.replace(/<testcase name="[^"]+"/, '<testcase')],
  ['a time in words', (xml: string) => xml.replace(/timestamp="[^"]+"/, 'timestamp="today"')],
  ['a tag left open', (xml: string) => xml.replace('</testsuite>', '')],
  ['a bare ampersand', (xml: string) => xml.replace('&quot;', '& ')],
  ['a control character', (xml: string) => xml.replace('\ufffd', '\u0007')],
])('the validation of junit.xml finds %s', async (_, spoil) => {
  const xml = junit(RECORD)
  const spoilt = spoil(xml)

  expect(spoilt).not.toBe(xml)
  expect(await faultsOf(spoilt)).not.toEqual([])
})

test('junit.xml of a run without workflows is valid too', async () => {
  expect(await faultsOf(junit({ ...RECORD, workflows: [] }))).toEqual([])
})

test('GitHub shows each finding at the line of its flow and the warnings of the run; one line each', () => {
  const lines = github(RECORD)

  expectGolden(`${lines.join('\n')}\n`, 'report/github-annotations.txt')
  expect(
    lines.filter((line) => !/^::(?:error|warning) [^\p{Cc}]*::[^\p{Cc}]+$/u.test(line.replaceAll('\t', ' '))),
  ).toEqual([])
})

test('GitLab gets the findings as its code quality report, each with a fingerprint of its own', () => {
  const text = gitlab(RECORD)

  expectGolden(text, 'report/gl-code-quality-report.json')
  const issues = JSON.parse(text) as { fingerprint: string; location: { path: string } }[]
  expect(new Set(issues.map(({ fingerprint }) => fingerprint)).size).toBe(issues.length)
  expect(issues.filter(({ location }) => location.path.startsWith('/'))).toEqual([])
})

test('a clean run has no annotations', () => {
  const clean = { ...RECORD, warnings: [], workflows: [workflow('clean', 'passed', [step('passes', 'passed')])] }

  expect(github(clean)).toEqual([])
  expect(gitlab(clean)).toBe('[]\n')
})

test('a real run writes a valid junit.xml beside its record, and no report names a folder of the machine', async () => {
  await using ran = await runOnTwin({
    flows: ['lifecycle'],
    inputs: { scopes: 'cards.read eds.read' },
    formats: ['html', 'junit'],
  })
  const xml = readFileSync(join(ran.file, '..', 'junit.xml'), 'utf8')

  expect(await faultsOf(xml)).toEqual([])
  expect(xml).toBe(junit(ran.record))
  expect(ran.record.workflows.map(({ flow }) => flow.file)).toEqual(['flows/lifecycle.arazzo.yaml'])
  const places = ran.record.workflows.flatMap(({ steps }) =>
    steps.flatMap(({ at, checks }) => [at.file, ...checks.flatMap((one) => one.at?.file ?? [])]),
  )
  expect([...new Set(places)].sort()).toEqual([
    'flows/lifecycle.arazzo.yaml',
    'flows/parts/software-statement.arazzo.yaml',
  ])
  const texts = [readFileSync(ran.file, 'utf8'), xml, ...github(ran.record), gitlab(ran.record)]
  expect(texts.filter((text) => text.includes(ROOT))).toEqual([])
})

/** What is wrong with a document by the common schema. */
async function faultsOf(xml: string): Promise<string[]> {
  const schema = readFileSync(join(ROOT, 'fixtures/schemas/junit.xsd'), 'utf8')
  const { valid, errors } = await validateXML({ xml: { fileName: 'junit.xml', contents: xml }, schema })
  return valid ? [] : [...errors.map(({ message }) => message), 'invalid']
}

function workflow(
  workflowId: string,
  status: WorkflowRecord['status'],
  steps: StepRecord[],
  more: Partial<WorkflowRecord> = {},
): WorkflowRecord {
  return {
    workflowId,
    flow: { file: FLOW, sha256: '00', title: 'Every outcome' },
    effect: 'read',
    clauses: ['RFC7592-2.1'],
    status,
    inputs: [],
    steps,
    outputs: {},
    startedAt: '2026-01-02T03:04:05.678Z',
    durationMs: 1234,
    ...more,
  }
}

function step(stepId: string, status: StepRecord['status'], more: Partial<StepRecord> = {}): StepRecord {
  return {
    stepId,
    at: at(11),
    status,
    operation: { source: 'clients', operationId: 'readClient', method: 'GET', path: '/clients' },
    identity: 'transport',
    durationMs: 56.7,
    exchanges: [],
    checks: [],
    outputs: {},
    ...more,
  }
}

function check(id: string, status: CheckRecord['status'], more: Partial<CheckRecord> = {}): CheckRecord {
  return {
    id,
    status,
    level: 'must',
    clauses: [],
    title: '$statusCode == 201',
    expected: '$statusCode == 201',
    actual: '200',
    ...more,
  }
}

function at(line: number) {
  return { file: FLOW, line, column: 9 }
}

function stopped(message: string) {
  return { code: 'INTERRUPTED', message }
}
