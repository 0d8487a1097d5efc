/** The same record for machines and for other eyes: CTRF, HAR, Markdown, a comparison; and stored records that are bad. */
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Validator } from '@cfworker/json-schema'
import { type CTRFReport, calculateSummary, validate } from 'ctrf'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { performReport } from '../../src/front/cli/report.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { compare, comparisonText } from '../../src/report/compare.ts'
import { FORMATS } from '../../src/report/index.ts'
import {
  asked,
  check,
  ctrf,
  everyOutcome,
  exchange,
  har,
  hostileRecord,
  html,
  junit,
  longRecord,
  markdown,
  recordOf,
  registration,
  reported,
  sampleRecord,
  whole,
} from '../support/reports.ts'
import { ROOT, runOnTwin } from '../support/run.ts'

const NO_WORKFLOW = { ...sampleRecord(), workflows: [] }
const RECORDS: readonly (readonly [name: string, record: RunRecord])[] = [
  ['a good run', sampleRecord()],
  ['every outcome', everyOutcome()],
  ['hostile servers', hostileRecord()],
  ['no workflow', NO_WORKFLOW],
  [
    'an error beyond the steps',
    {
      ...sampleRecord(),
      workflows: sampleRecord().workflows.map((one) => ({
        ...one,
        status: 'errored',
        error: { code: 'STEP_BUDGET', message: 'no end' },
      })),
    },
  ],
  ['many steps', longRecord(40)],
]

test.for(RECORDS)(
  'CTRF is what its reference implementation accepts, and its summary counts its tests: %s',
  ([, record]) => {
    const report = JSON.parse(ctrf(record)) as CTRFReport

    expect(validate(report)).toEqual({ valid: true, errors: [] })
    const { tests, summary } = report.results
    const { start, stop, duration, extra, suites, ...counted } = summary
    expect(counted).toEqual(pick(calculateSummary(tests), Object.keys(counted)))
  },
)

test.for(RECORDS)('HAR fits its schema: %s', ([, record]) => {
  expect(violations(har(record))).toEqual([])
})

test('the schemas refuse what the formats do not know', () => {
  const report = JSON.parse(ctrf(sampleRecord()))
  const archive = JSON.parse(har(sampleRecord()))

  expect(validate({ ...report, reportFormat: 'other' }).valid).toBe(false)
  report.results.tests[0].status = 'warned'
  expect(validate(report).valid).toBe(false)
  delete archive.log.entries[0].timings.wait
  expect(violations(JSON.stringify(archive))).not.toEqual([])
})

test('who ran it, the ticket and the job are in every report that a person reads', () => {
  const origin = { operator: 'Release <manager>', reference: 'CHG-1', job: 'https://ci.example/7' }
  const record = sampleRecord({ origin })

  for (const [report, operator] of [
    [html(record), 'Release &lt;manager&gt;'],
    [markdown(record), '`Release <manager>`'],
    [junit(record), 'name="operator" value="Release &lt;manager&gt;"'],
  ] as const)
    for (const text of [operator, 'CHG-1', 'https://ci.example/7']) expect(report).toContain(text)
  expect(markdown(sampleRecord())).not.toContain('operator')
})

test('a real run fits both schemas', async () => {
  await using ran = await runOnTwin({ kind: 'tls' })

  expect(validate(JSON.parse(ctrf(ran.record)))).toEqual({ valid: true, errors: [] })
  expect(violations(har(ran.record))).toEqual([])
})

test('CTRF counts add up, and warnings and missing verdicts are not lost', () => {
  const { results } = JSON.parse(ctrf(everyOutcome()))

  expect(results.summary).toMatchObject({ tests: 5, passed: 2, failed: 1, skipped: 1, pending: 0, other: 1, suites: 1 })
  expect(results.tests.map(({ name, status, rawStatus }: Record<string, string>) => [name, status, rawStatus])).toEqual(
    [
      ['passes', 'passed', 'pass'],
      ['warns', 'passed', 'warn'],
      ['fails', 'failed', 'fail'],
      ['errs', 'other', 'inconclusive'],
      ['waits', 'skipped', 'skip'],
    ],
  )
  expect(results.tests[2]).toMatchObject({
    message: 'POST /oauth2/register: expected status 201, got 200',
    tags: ['RFC7591-3.2.1'],
    suite: ['register'],
  })
  expect(results.summary.extra).toMatchObject({ verdict: 'non-conformant', scope: 'COMPLETE', checks: { warn: 1 } })
})

test('the same record always gives the same report', () => {
  for (const { convert } of Object.values(FORMATS))
    expect(whole(convert(reported(everyOutcome())))).toBe(whole(convert(reported(everyOutcome()))))
})

test('a HAR entry holds the call, its times, and a form as a form', () => {
  const form = JSON.stringify({ grant_type: 'client_credentials', scope: ['a b', 'c'] })
  const request = {
    method: 'POST',
    url: 'https://auth.example/token?probe=1&probe=2',
    headers: [['content-type', 'application/x-www-form-urlencoded'] as [string, string]],
    body: { text: form, bytes: 99, sha256: '44'.repeat(32) },
  }
  const [entry] = JSON.parse(har(recordOf([registration({ exchanges: [exchange({ request })] })]))).log.entries

  expect(entry.request).toEqual({
    method: 'POST',
    url: 'https://auth.example/token?probe=1&probe=2',
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers: [{ name: 'content-type', value: 'application/x-www-form-urlencoded' }],
    queryString: [
      { name: 'probe', value: '1' },
      { name: 'probe', value: '2' },
    ],
    postData: {
      mimeType: 'application/x-www-form-urlencoded',
      params: [
        { name: 'grant_type', value: 'client_credentials' },
        { name: 'scope', value: 'a b' },
        { name: 'scope', value: 'c' },
      ],
      text: 'grant_type=client_credentials&scope=a%20b&scope=c',
      comment: `99 bytes on the wire, sha256 ${'44'.repeat(32)}`,
    },
    headersSize: -1,
    bodySize: 99,
  })
  expect(entry.timings).toEqual({ blocked: -1, dns: -1, connect: 40, send: 0, wait: 60, receive: 20, ssl: 40 })
  expect(entry.time).toBe(120)
})

test('a call without an answer has status 0 in HAR, and says whether it was sent', () => {
  const { log } = JSON.parse(har(everyOutcome()))
  const lost = log.entries.find(({ response }: { response: { status: number } }) => response.status === 0)

  expect(lost.response).toMatchObject({ status: 0, statusText: 'TIMEOUT', bodySize: -1, _error: 'TIMEOUT' })
  expect(lost.comment).toContain('no answer; sent: unknown; TIMEOUT: no answer')
})

test('a large body is cut, and its hash stays', () => {
  const text = 'x'.repeat(65_536)
  const response = {
    status: 200,
    headers: [],
    body: { text, bytes: 1_000_000, sha256: '55'.repeat(32), truncated: true },
  }
  const record = recordOf([registration({ exchanges: [exchange({ response })] })])

  const page = html(record)
  expect(page).not.toContain('x'.repeat(20_000))
  expect(page).toContain(
    `1000000 bytes on the wire, shown in part, SHA-256 <span class="mono">${'55'.repeat(32)}</span>`,
  )
  expect(JSON.parse(har(record)).log.entries[0].response.content).toMatchObject({
    size: 1_000_000,
    comment: `cut; 1000000 bytes on the wire, sha256 ${'55'.repeat(32)}`,
  })
})

test('the Markdown summary answers, lists findings and names what a person must do', () => {
  const text = markdown(everyOutcome())

  expect(text).toContain('## ❌ May we go live? No\n')
  expect(text).toContain('**COMPLETE** · non-conformant · environment `uat` (uat)')
  expect(text).toContain('| `register` | failed | 5 |')
  expect(text).toContain(
    '- ❌ **failed** `register / fails`: `POST /oauth2/register: expected status 201, got 200`  \n  means: a condition of the flow does not hold  \n',
  )
  expect(text).not.toContain('Contact Thredd now.')
  expect(markdown(sampleRecord())).toContain('- `register`: Contact Thredd now.')
  expect(text).toMatch(/^- not tested \(\d+\): THREDD-DCR-/m)
  expect(markdown(sampleRecord({ leftOut: ['lifecycle'] }))).toContain('**PARTIAL**')
})

test('a hostile server puts no tag, link, mention or table cell into the Markdown', () => {
  const outsideCode = markdown(hostileRecord()).replace(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, '')

  expect(outsideCode).not.toMatch(/(?<!\\)<(?!\/?(?:details|summary)>)/)
  expect(outsideCode).not.toMatch(/@\w/)
  expect(outsideCode).not.toMatch(/(?<!\\)\]\(/)
  const rows = markdown(hostileRecord())
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  expect(rows.map((row) => row.match(/(?<!\\)\|/g)?.length)).toEqual([8, 4])
})

test('a comparison tells new failures from what was fixed, and changed evidence from both', () => {
  const good = registration({ checks: [check(), check({ id: 'criterion 1', title: 'the id is ours' })] })
  const bad = registration({
    status: 'failed',
    checks: [check(), check({ id: 'criterion 1', title: 'the id is ours', status: 'fail' })],
  })
  const other = registration({
    ...good,
    exchanges: [exchange({ response: { status: 200, headers: [], body: { bytes: 0 } } })],
  })
  const at = { workflowId: 'register', stepId: 'register' }

  expect(compare(recordOf([good]), recordOf([bad])).failing).toEqual([
    { ...at, check: 'the id is ours', before: 'pass', after: 'fail' },
  ])
  expect(compare(recordOf([bad]), recordOf([good])).fixed).toEqual([
    { ...at, check: 'the id is ours', before: 'fail', after: 'pass' },
  ])
  expect(compare(recordOf([good]), recordOf([other])).evidence).toEqual([
    { ...at, check: 'status', before: '201', after: '200' },
  ])
  expect(compare(recordOf([good]), recordOf([])).removed).toEqual([{ ...at, before: 'pass', after: 'absent' }])
  expect(compare(recordOf([]), recordOf([good])).added).toEqual([{ ...at, before: 'absent', after: 'pass' }])
  expect(comparisonText(compare(recordOf([good]), recordOf([bad])))).toBe(
    'new failures: 1\n  register / register · the id is ours: pass -> fail\nfixed: 0\nchanged evidence: 0\nnew steps: 0\nsteps that are gone: 0\n',
  )
})

test('the same run twice differs in nothing', async () => {
  await using first = await runOnTwin()
  await using second = await runOnTwin()

  expect(compare(first.record, second.record)).toEqual({ failing: [], fixed: [], evidence: [], added: [], removed: [] })
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-report-'))
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

test('thredd report renders the newest run again, another by a piece of its name, or a file', async () => {
  await store('2026-01-01T00-00-00Z-register-aaaaaa', sampleRecord())
  await store('2026-01-02T00-00-00Z-lifecycle-bbbbbb', everyOutcome())

  expect(await report('--format', 'md')).toEqual({
    code: 0,
    shown: 'reports/2026-01-02T00-00-00Z-lifecycle-bbbbbb/report.md\n',
  })
  expect(await report('aaaaaa', '--format', 'html,ctrf', '--out', 'here')).toEqual({
    code: 0,
    shown: 'here/report.html\nhere/ctrf.json\n',
  })
  expect(await report('reports/2026-01-01T00-00-00Z-register-aaaaaa/record.json', '--out', 'all')).toMatchObject({
    code: 0,
  })
  expect((await readdir(join(folder, 'all'))).sort()).toEqual(['junit.xml', 'report.html'])
})

test('thredd report compares two runs and fails for a new failure alone', async () => {
  await store('a', sampleRecord())
  await store(
    'b',
    recordOf([
      registration({
        status: 'failed',
        checks: [check({ title: '$statusCode == 201', id: 'criterion 1', status: 'fail' })],
      }),
    ]),
  )

  expect(await report('b', '--compare', 'a')).toMatchObject({
    code: 1,
    shown: expect.stringContaining('new failures: 1\n'),
  })
  expect(await report('a', '--compare', 'b')).toMatchObject({ code: 0, shown: expect.stringContaining('fixed: 1\n') })
})

test('thredd report --index lists the runs, also one that cannot be read', async () => {
  await store('good', sampleRecord())
  await store('cut', '{"recordVersion": 2, "runId"')

  expect(await report('--index')).toEqual({ code: 0, shown: 'reports/index.html\n' })
  const page = await readFile(join(folder, 'reports', 'index.html'), 'utf8')
  expect(page).toContain('href="good/report.html"')
  expect(page).toContain('&quot;record.json&quot; is cut')
  expect(await readdir(join(folder, 'reports', 'good'))).toEqual(['record.json', 'report.html'])
})

/** What is wrong with a stored record, and what is said about it. */
const BAD: readonly (readonly [title: string, text: string, message: string, found: string])[] = [
  ['cut', JSON.stringify(sampleRecord()).slice(0, -9), '"FILE" is cut: it ends before the record does', ''],
  ['empty', '', '"FILE" is cut: it ends before the record does', 'an empty file'],
  ['no JSON', 'hello }', '"FILE" is not JSON', '7 characters'],
  [
    'of a later version',
    JSON.stringify({ ...sampleRecord(), recordVersion: 3 }),
    '"FILE" is a record of another version',
    'recordVersion 3',
  ],
  [
    'of an earlier version',
    JSON.stringify({ ...sampleRecord(), recordVersion: 1 }),
    '"FILE" is a record of another version',
    'recordVersion 1',
  ],
  ['another document', '{"log": {}}', '"FILE" is no run record', 'no recordVersion'],
  ['a list', '[]', '"FILE" is no run record', 'no recordVersion'],
  [
    'edited',
    JSON.stringify({ ...sampleRecord(), verdict: 'fine', durationMs: 'long' }),
    '"FILE" does not have the shape of a run record',
    '2 faults, the first at durationMs',
  ],
]

test.for(BAD)(
  'a stored record that is %s is refused, and nothing is written over',
  async ([, text, message, found]) => {
    const file = await store('run', text)
    await writeFile(join(folder, 'reports', 'run', 'report.md'), 'the good one')

    const attempt = report('run')
    await expect(attempt).rejects.toMatchObject({
      code: 'RECORD_UNREADABLE',
      message: message.replace('FILE', file),
      problems: [{ found: expect.stringContaining(found) }],
    })
    expect(await readdir(join(folder, 'reports', 'run'))).toEqual(['record.json', 'report.md'])
    expect(await readFile(join(folder, 'reports', 'run', 'report.md'), 'utf8')).toBe('the good one')
  },
)

test('a run that is not there, an ambiguous name and an unknown format are told', async () => {
  await expect(report()).rejects.toMatchObject({
    code: 'RECORD_UNREADABLE',
    message: `"${join(folder, 'reports')}" holds no run`,
  })
  await store('2026-a', sampleRecord())
  await store('2026-b', sampleRecord())

  await expect(report('2026')).rejects.toMatchObject({
    code: 'RECORD_UNREADABLE',
    message: '"2026" is the name of 2 runs',
  })
  await expect(report('2026-c')).rejects.toMatchObject({ problems: [{ hint: 'did you mean "2026-b"?' }] })
  await expect(report('2026-a', '--format', 'htm')).rejects.toMatchObject({
    code: 'USAGE',
    problems: [{ hint: 'did you mean "html"?' }],
  })
})

test('of a run that was killed it is said what there is of it', async () => {
  const killed = join(folder, 'reports', '2026-killed')
  await mkdir(killed, { recursive: true })
  await writeFile(join(killed, 'workflows.jsonl'), '{}')

  for (const name of ['2026-killed', killed]) {
    await expect(report(name)).rejects.toMatchObject({
      code: 'RECORD_UNREADABLE',
      message: `"${killed}" is of a run that was killed before its record was written, or is still going on`,
      problems: [{ found: expect.stringContaining('workflows.jsonl') }],
    })
  }
})

async function store(name: string, record: RunRecord | string): Promise<string> {
  const file = join(folder, 'reports', name, 'record.json')
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, typeof record === 'string' ? record : JSON.stringify(record))
  return file
}

async function report(...argv: string[]): Promise<{ code: number; shown: string }> {
  let shown = ''
  const write = (text: string) => {
    shown += text
  }
  const code = await performReport(asked(...argv), { here: folder, write, home: folder })
  return { code, shown }
}

function violations(archive: string): string[] {
  const schema = JSON.parse(readFileSync(join(ROOT, 'fixtures', 'schemas', 'har.schema.json'), 'utf8'))
  return new Validator(schema, '2020-12', false)
    .validate(JSON.parse(archive))
    .errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`)
}

function pick(value: object, names: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)))
}
