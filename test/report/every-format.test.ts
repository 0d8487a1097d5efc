/** Console, HTML, JUnit, CTRF, Markdown and the manifest of a pack say the same of a run, number by number. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeField, changeHeader, changeStatus, loseAnswer } from '../../mocks/index.ts'
import { RECORD_FILE, type RunRecord } from '../../src/record/index.ts'
import { COLUMNS, type Column, columnOf } from '../../src/report/gate.ts'
import { verifyPack, writePack } from '../../src/report/pack.ts'
import { ctrf, html, junit, markdown, summaryOf } from '../support/reports.ts'
import { type RunOnTwinOptions, runOnTwin } from '../support/run.ts'

/** Twenty runs, no two alike. */
const RUNS: readonly (readonly [what: string, options: RunOnTwinOptions])[] = [
  ['all flows', { flows: [] }],
  ...[
    'discover',
    'register',
    'access-token',
    'read-registration',
    'delete-registration',
    'store-and-reuse',
    'scope-beyond-role',
  ].map((flow) => [flow, { flows: [flow] }] as const),
  ['two flows', { flows: ['register', 'discover'] }],
  ['one step', { flows: ['register'], step: 'register' }],
  ['another member', { faults: [changeField('registerClient', '/token_endpoint_auth_method', 'client_secret_basic')] }],
  ['a missing member', { faults: [changeField('registerClient', '/registration_client_uri', undefined)] }],
  ['a refusal', { faults: [changeStatus('registerClient', 400)] }],
  ['a server error', { faults: [changeStatus('cardsSmoke', 503)] }],
  ['a lost answer', { faults: [loseAnswer('registerClient')] }],
  ['a token that may be cached', { faults: [changeHeader('issueToken', 'cache-control', undefined)] }],
  ['metadata never set', { switches: { metadataSet: 'when-asked' }, unaided: true }],
  ['strict scopes', { flows: ['scope-beyond-role'], switches: { scopeMode: 'strict' } }],
  [
    'another issuer',
    { flows: ['discover'], faults: [changeField('authorizationDiscovery', '/issuer', 'https://other.example')] },
  ],
  ['another update', { flows: ['lifecycle'], inputs: { update_body: 'rfc' } }],
]

/** How many there are in the run as a whole. */
interface Numbers {
  readonly workflows: number
  readonly steps: number
  readonly checks: number
  readonly failed: number
  readonly warnings: number
}

interface Said {
  readonly scope: string
  readonly numbers: Readonly<Partial<Numbers>>
  readonly goLive: string | undefined
  readonly counts: Readonly<Partial<Record<Column, number>>>
  /** by requirement; absent where the format has none */
  readonly verdicts?: Readonly<Record<string, string>>
}

let folder: string
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = { alg: 'ES256' as const, privateKey }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-formats-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test.for(RUNS)('every format says the same of a run: %s', async ([what, options]) => {
  await using ran = await runOnTwin(options)
  const { record } = ran
  const { complete, answer, requirements } = summaryOf(record)
  const steps = record.workflows.flatMap((workflow) => workflow.steps)
  const checks = steps.flatMap((step) => step.checks)
  const numbers: Numbers = {
    workflows: record.workflows.length,
    steps: steps.length,
    checks: checks.length,
    failed: checks.filter(({ status }) => status === 'fail').length,
    warnings: checks.filter(({ status }) => status === 'warn').length,
  }
  const verdicts = Object.fromEntries(requirements.map((one) => [one.requirement.id, columnOf(one)]))
  const counts = Object.fromEntries(
    COLUMNS.map((column) => [column, Object.values(verdicts).filter((one) => one === column).length]),
  )
  const truth = { scope: complete ? 'COMPLETE' : 'PARTIAL', numbers, goLive: answer.headline, counts, verdicts }

  expect(saidByHtml(record)).toEqual(truth)
  expect(saidByJunit(record)).toEqual(truth)
  expect(saidByCtrf(record)).toEqual(truth)
  expect(saidByMarkdown(record)).toEqual(truth)
  expect(await saidByPack(record, what)).toEqual({ ...truth, numbers: { ...numbers, workflows: undefined } })
  const { verdicts: _, goLive: __, ...shown } = truth
  expect(saidByConsole(ran.screen)).toEqual(shown)
})

test('a verdict that is edited in record.json changes every format made from it, and verify fails', async () => {
  await using ran = await runOnTwin({
    faults: [changeField('registerClient', '/token_endpoint_auth_method', 'client_secret_basic')],
  })
  const pack = join(folder, 'edited')
  await writePack(ran.record, { pack, key, now: new Date() })
  const edited = structuredClone(ran.record)
  const wrong =
    edited.workflows[0]?.steps.flatMap(({ checks }) => checks).filter(({ status }) => status === 'fail') ?? []
  for (const check of wrong) check.status = 'pass'
  expect(wrong.length).toBeGreaterThan(0)

  for (const said of [saidByHtml, saidByJunit, saidByCtrf, saidByMarkdown]) {
    expect(said(ran.record).verdicts).toMatchObject({ 'THREDD-DCR-3.3.2-07': 'failed' })
    expect(said(edited).verdicts).toMatchObject({ 'THREDD-DCR-3.3.2-07': 'proven' })
  }
  await writeFile(join(pack, RECORD_FILE), JSON.stringify(edited))
  const { problems } = await verifyPack(pack)
  expect(problems.join('\n')).toMatch(/"record\.json" .*\n.*the verdicts on requirements is said to be/s)
  // Also where the record was edited before the pack was made of it.
  const late = join(folder, 'edited before')
  await writePack(edited, { pack: late, key, now: new Date() })
  expect((await verifyPack(late)).problems.join('\n')).toMatch(/its checks say otherwise: was it edited\?/)
})

function filled(counts: Readonly<Partial<Record<string, number>>>): Said['counts'] {
  return Object.fromEntries(COLUMNS.map((column) => [column, counts[column] ?? 0]))
}

function saidByHtml(record: RunRecord): Said {
  const page = html(record)
  const foot = /<tfoot>.*?<\/tfoot>/s.exec(page)?.[0] ?? ''
  const counts = [...foot.matchAll(/data-k="([^"]+)".*?<u>(\d+)<\/u>/g)].map(([, column, number]) => [
    column,
    Number(number),
  ])
  const rows = [...page.matchAll(/<tr id="requirement-([^"]+)" data-k="([^"]+)"/g)].map(([, id, column]) => [
    id,
    column,
  ])
  const [, scope = '', sizes = ''] =
    /<span class="stamp(?: partial)?">(COMPLETE|PARTIAL)<\/span> ([^<]*)/.exec(page) ?? []
  return {
    scope,
    numbers: numbersIn(sizes, 'remarks?'),
    goLive: /<span class="headline \w+">.*?<\/svg>([^<]+)<\/span>/.exec(page)?.[1],
    counts: filled(Object.fromEntries(counts)),
    verdicts: Object.fromEntries(rows),
  }
}

function saidByJunit(record: RunRecord): Said {
  const xml = junit(record)
  const property = (name: string) => new RegExp(`<property name="${name}" value="([^"]*)"/>`).exec(xml)?.[1]
  const suite = /<testsuite name="requirements".*?<\/testsuite>/s.exec(xml)?.[0] ?? ''
  const rows = [...suite.matchAll(/<property name="([^"]+)" value="([^"]+)"\/>/g)].map(([, id, column]) => [id, column])
  return {
    scope: property('scope') ?? '',
    numbers: {
      workflows: xml.split('<testsuite ').length - 2,
      steps: xml.split('<testcase ').length - 1 - xml.split('name="(the workflow)"').length + 1,
      ...ofChecks({ pass: property('checks pass'), warn: property('checks warn'), fail: property('checks fail') }),
    },
    goLive: property('goLive'),
    counts: filled(Object.fromEntries(COLUMNS.map((column) => [column, Number(property(`requirements ${column}`))]))),
    verdicts: Object.fromEntries(rows),
  }
}

function saidByCtrf(record: RunRecord): Said {
  const { summary, tests } = JSON.parse(ctrf(record)).results
  const { extra } = summary
  const steps = tests.filter(({ name }: { name: string }) => name !== '(the workflow)')
  const checks = steps.flatMap((one: { steps: unknown[] }) => one.steps)
  expect(checks).toHaveLength(ofChecks(extra.checks).checks)
  return {
    scope: extra.scope,
    numbers: { workflows: summary.suites, steps: steps.length, ...ofChecks(extra.checks) },
    goLive: extra.goLive,
    counts: extra.requirements.counts,
    verdicts: extra.requirements.verdicts,
  }
}

function saidByMarkdown(record: RunRecord): Said {
  const text = markdown(record)
  const lines = [...text.matchAll(/^\| `.*` \| (?:passed|failed|errored|skipped) \|(.*)\|$/gm)].map(([, cells = '']) =>
    cells.split('|').map(Number),
  )
  const rows = [...text.matchAll(/^- ([a-zA-Z ]+) \((\d+)\): (.*)$/gm)].map(([, column = '', number, ids = '']) => ({
    column,
    number,
    ids: ids.split(', '),
  }))
  return {
    scope: /^\*\*(COMPLETE|PARTIAL)\*\*/m.exec(text)?.[1] ?? '',
    numbers: {
      workflows: lines.length,
      steps: sumOf(lines, 0),
      checks: sumOf(lines, 1),
      failed: sumOf(lines, 2),
      warnings: sumOf(lines, 3),
    },
    goLive: /May we go live\? (.*)$/m.exec(text)?.[1],
    counts: filled(Object.fromEntries(rows.map(({ column, number }) => [column, Number(number)]))),
    verdicts: Object.fromEntries(rows.flatMap(({ column, ids }) => ids.map((id) => [id, column]))),
  }
}

async function saidByPack(record: RunRecord, what: string): Promise<Said> {
  const pack = join(folder, what)
  await writePack(record, { pack, key, now: new Date() })
  const { problems, manifest } = await verifyPack(pack)
  expect(problems).toEqual([])
  const judged: { id: string; verdict: string }[] = JSON.parse(await readFile(join(pack, 'judged.json'), 'utf8'))
  expect(Object.fromEntries(judged.map(({ id, verdict }) => [id, verdict]))).toEqual(manifest.requirements)
  const { scope, goLive, requirements: verdicts, counts: sizes } = manifest
  const counts = Object.fromEntries(
    COLUMNS.map((column) => [column, Object.values(verdicts).filter((one) => one === column).length]),
  )
  const steps = Object.values(sizes.steps).reduce((sum, one) => sum + one, 0)
  return { scope, numbers: { steps, ...ofChecks(sizes.checks) }, goLive, counts, verdicts }
}

function saidByConsole(screen: string): Said {
  const [, scope = '', text = ''] = /^scope\s+(COMPLETE|PARTIAL) · requirements: (.*(?:\n\s+.*)*)/m.exec(screen) ?? []
  const counts = text
    .replace(/\s+/g, ' ')
    .split(' · ')
    .map((one) => /^(\d+) (.+?)(?: \(.*\))?\s*$/.exec(one))
    .flatMap((one) => (one === null ? [] : [[one[2], Number(one[1])]]))
  const sizes = /^.*\d+ workflows? · .*$/m.exec(screen)?.[0] ?? ''
  return { scope, numbers: numbersIn(sizes, 'warnings?'), counts: filled(Object.fromEntries(counts)) } as Said
}

/** "1 workflow, 2 steps, 3 checks, 1 failed, 1 warning", in which what is 0 may be left out. */
function numbersIn(text: string, warnings: string): Said['numbers'] {
  const of = (word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(text)?.[1] ?? 0)
  return {
    workflows: of('workflows?'),
    steps: of('steps?'),
    checks: of('checks?'),
    failed: of('failed'),
    warnings: of(warnings),
  }
}

function ofChecks(counts: Readonly<Record<string, unknown>>): Pick<Numbers, 'checks' | 'failed' | 'warnings'> {
  const [pass, warn, fail] = [Number(counts.pass), Number(counts.warn), Number(counts.fail)] as const
  return { checks: pass + warn + fail, failed: fail, warnings: warn }
}

function sumOf(rows: readonly (readonly number[])[], column: number): number {
  return rows.reduce((sum, row) => sum + (row[column] ?? 0), 0)
}
