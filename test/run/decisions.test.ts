/** decisions.<environment>.yaml: what it may say, what it makes of a run, and where that is told. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { createTwin, faultsOf } from '../../mocks/index.ts'
import { ToolError } from '../../src/record/errors.ts'
import type { RunRecord, StepRecord, WorkflowRecord } from '../../src/record/index.ts'
import { judge } from '../../src/report/accepted.ts'
import { verifyPack, writePack } from '../../src/report/pack.ts'
import { reportedRun } from '../../src/report/summary.ts'
import { readDecisions } from '../../src/run/decisions.ts'
import { github } from '../support/reports.ts'
import { makeFolder, type RunOnTwinOptions, runOnTwin, type TwinRun } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

/** DISC-09 alone, in the last step of its flow. */
const PRIVATE_KEY_SHOWN = 'member:authorizationJwks=/keys/0/d="c2FtcGxl"'
/** DISC-06 alone, in the first step of four. */
const NO_GRANT = 'member:authorizationDiscovery=/grant_types_supported=["implicit"]'
const NEXT_YEAR = `${new Date().getUTCFullYear() + 1}-01-31`

test('a failed requirement that is accepted leaves the run conformant, and its check failed', async () => {
  await using ran = await runWith(accept(['DISC-09']), { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)

  expect(ran.record).toMatchObject({ verdict: 'conformant', exitCode: 0, decisions: { rows: ['DISC-09'] } })
  expect(ran.record.workflows[0]?.status).toBe('failed')
  expect(ran.screen).toContain('conformant, with 1 accepted deviation')
  // A CI system shows it without turning red.
  expect(github(ran.record).filter((line) => !line.startsWith('::notice '))).toEqual([])
  expect(github(ran.record).length).toBeGreaterThan(0)
})

test('the record keeps the entries and the hash of the file', async () => {
  const text = accept(['DISC-09'])
  await using ran = await runWith(text, { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)

  const { accepted, sha256, file } = ran.record.decisions ?? {}
  expect(file).toBe('decisions.mock.yaml')
  expect(sha256).toMatch(/^[0-9a-f]{64}$/)
  expect(accepted).toEqual([
    { requirements: ['DISC-09'], reason: 'it is a key for tests', owner: 'the platform team', until: NEXT_YEAR },
  ])
})

test('every report has the number of accepted deviations', async () => {
  await using ran = await runWith(accept(['DISC-09', 'REG-01']), { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)
  const read = async (name: string) => await readFile(join(ran.file, '..', name), 'utf8')

  expect(await read('report.md')).toContain('with 2 accepted deviations')
  expect(await read('report.md')).toContain('- REG-01: not tested, accepted by the platform team')
  expect(await read('report.html')).toContain('<h3>2 accepted deviations</h3>')
  expect(await read('junit.xml')).toContain('<property name="acceptedDeviations" value="2"/>')
  expect(JSON.parse(await read('ctrf.json'))).toMatchObject({
    results: { summary: { extra: { verdict: 'conformant', acceptedDeviations: 2 } } },
  })
  const { workflows, ...head } = ran.record
  expect(
    reportedRun(head, workflows).summary.requirements.filter(({ standing }) => standing === 'accepted'),
  ).toMatchObject(
    [
      { requirement: { id: 'REG-01' }, instead: 'not tested' },
      { requirement: { id: 'DISC-09' }, instead: 'fail' },
    ].toSorted((a, b) => rank(ran.record, a.requirement.id) - rank(ran.record, b.requirement.id)),
  )
})

test('a pack names the accepted deviations, and one that was added to the record afterwards is found', async () => {
  await using ran = await runWith(accept(['DISC-09']), { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pack = async (record: RunRecord, name: string) => {
    await writePack(record, { pack: join(ran.folder, name), key: { alg: 'ES256', privateKey }, now: new Date() })
    return await verifyPack(join(ran.folder, name))
  }

  expect(await pack(ran.record, 'good')).toMatchObject({ problems: [], manifest: { accepted: ['DISC-09'] } })
  const { decisions: _, ...undecided } = ran.record
  expect((await pack(undecided, 'undecided')).problems).toEqual([
    'the verdict of the record is said to be "conformant"; the steps of record.json make it "non-conformant"',
  ])
})

test('a failure that nobody accepts counts beside one that is accepted', async () => {
  await using ran = await runWith(
    accept(['DISC-09']),
    { flows: ['metadata'] },
    'member:authorizationJwks=/keys/0={"kty":"oct","k":"AAAA"}',
  )

  expect(
    ran.record.workflows[0]?.steps.at(-1)?.checks.filter(({ status }) => status === 'fail').length,
  ).toBeGreaterThan(0)
  expect(ran.record.exitCode).toBe(0)

  await using other = await runWith(accept(['DISC-06']), { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)
  expect(other.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1, decisions: { rows: ['DISC-06'] } })
})

test('a workflow that ended at an accepted failure fails where that left other requirements untested', async () => {
  await using ran = await runWith(accept(['DISC-06']), { flows: ['discover'] }, NO_GRANT)

  expect(ran.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1 })
  expect(ran.screen).toMatch(
    /what failed in "discover" is accepted, and it fails all the same: it ended before .*DISC-01/,
  )
})

test('an acceptance does not count after its last day, and that is told', async () => {
  await using ran = await runWith(accept(['DISC-09'], '2026-01-31'), { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)

  expect(ran.record).toMatchObject({ exitCode: 1, decisions: { rows: [] } })
  expect(ran.record.warnings).toContain(
    'decisions.mock.yaml: DISC-09 was accepted until 2026-01-31, and is not any more (the platform team)',
  )
})

test('an acceptance of what the run has proven is told, and changes nothing', async () => {
  await using ran = await runWith(accept(['DISC-09']), { flows: ['metadata'] })

  expect(ran.record).toMatchObject({ exitCode: 0, decisions: { rows: [] } })
  expect(ran.record.warnings).toContain(
    'decisions.mock.yaml: DISC-09 is accepted and did not fail: it is proven, so take it out',
  )
})

test('no acceptance covers a call without a verdict', async () => {
  await using ran = await runWith(accept(['DISC-09']), { flows: ['metadata'] }, 'status:authorizationJwks=503')

  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
})

test('a workflow with an accepted failure and a step without a verdict fails', async () => {
  await using ran = await runWith(accept(['DISC-09']), { flows: ['metadata'] }, PRIVATE_KEY_SHOWN)
  const { workflows, ...head } = ran.record
  const [workflow] = workflows as [WorkflowRecord]
  const [first] = workflow.steps as [StepRecord]
  const undecided: StepRecord = { ...first, stepId: 'last', status: 'errored', checks: [] }

  expect(judge(head, workflows).exitCode).toBe(0)
  expect(judge(head, [{ ...workflow, steps: [...workflow.steps, undecided] }]).exitCode).toBe(1)
})

test('a run without a decisions file says nothing of decisions', async () => {
  await using ran = await runWith(undefined, { flows: ['metadata'] })

  expect(ran.record).not.toHaveProperty('decisions')
  expect(await readFile(join(ran.file, '..', 'report.md'), 'utf8')).not.toContain('accepted deviation')
})

test.each([
  [
    'accepted:\n  - requirements: [MGT-80]\n    reason: r\n    owner: o\n    until: 2027-01-31\n',
    ['2:20 there is no requirement "MGT-80"; did you mean "MGT-08"?'],
  ],
  [
    'accepted:\n  - requirements: [DISC-09, DISC-09]\n    reason: r\n    owner: o\n    until: 2027-01-31\n',
    ['2:29 "DISC-09" is accepted twice: line 2 has it too; '],
  ],
  [
    'accept: []\naccepted:\n  - requirements: []\n    reason: ""\n    untill: 2027-01-31\n',
    [
      '1:1 "accept" cannot be used: there is no such member; did you mean "accepted"?',
      '3:5 "accepted[0].owner" is missing: it must be a text; ',
      '3:5 "accepted[0].until" is missing: it must be a date, such as 2027-03-31; ',
      '3:19 "accepted[0].requirements" cannot be used: it must name at least one requirement; ',
      '4:13 "accepted[0].reason" cannot be used: it must not be empty; ',
      '5:5 "accepted[0].untill" cannot be used: there is no such member; did you mean "until"?',
    ],
  ],
  [
    'accepted:\n  - requirements: [DISC-09]\n    reason: r\n    owner: o\n    until: soon\n',
    ['5:12 "accepted[0].until" cannot be used: it must be a date, such as 2027-03-31; '],
  ],
  [
    'confirmations:\n  - requirement: REG-01\n    who: w\n    date: 2026-01-31\n    note: n\n    reference: r\n',
    [
      '2:18 "REG-01" is decided by a run, so nobody can confirm it in its place; take it out; where no run can test it for now, write it under "accepted"',
    ],
  ],
  [
    'reviews:\n  - requirement: REGN-01\n    reviewer: w\n    date: 2026-01-31\n    note: n\n',
    ['2:18 "REGN-01" cannot be reviewed: only Thredd can tell; write under "confirmations" who at Thredd said so'],
  ],
  [
    'confirmations:\n  - requirement: THREDD-DCR-3.3.2-01\n    who: w\n    date: 2026-01-31\n    note: n\n    reference: r\nreviews:\n  - requirement: THREDD-DCR-3.3.2-01\n    reviewer: w\n    date: 2026-01-31\n    note: n\n',
    ['8:18 "THREDD-DCR-3.3.2-01" is confirmed or reviewed twice: line 2 has it too; '],
  ],
  [
    'reviews:\n  - requirement: THREDD-DCR-3.3.2-01\n    reviewer: w\n    date: 2999-01-31\n    note: n\n',
    ['4:11 "reviews[0].date" cannot be used: the day has not come yet; write the day on which it was said'],
  ],
  [
    'baseline: last week\nsign-off:\n  - name: n\n    rôle: r\n    date: 2026-02-30\n',
    [
      '1:11 "baseline" cannot be used: it must be the id of a run, as its report has it; ',
      '3:5 "sign-off[0].role" is missing: it must be a text; ',
      '4:5 "sign-off[0].rôle" cannot be used: there is no such member; did you mean "role"?',
      '5:11 "sign-off[0].date" cannot be used: it must be a date, such as 2027-03-31; ',
    ],
  ],
  ['- one\n', ['1:1 the decisions file cannot be used: it must be an object; ']],
  ['accepted: [\n', ['2:1 not valid YAML: a "[" above this line has no "]"; ']],
])('every problem of %j is said with its place', async (text, expected) => {
  const folder = await makeFolder()
  await writeFile(join(folder, 'decisions.uat.yaml'), text)

  const error = await readDecisions({ name: 'uat', folder }).catch((thrown: unknown) => thrown)

  expect(error).toBeInstanceOf(ToolError)
  const { problems } = error as ToolError
  expect(problems.map(({ at, message, hint = '' }) => `${at?.line}:${at?.column} ${message}; ${hint}`)).toEqual(
    expected,
  )
  expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['DECISIONS']))
})

test('what Thredd confirmed and a person reviewed is in the record and the reports, and stays apart from what the run has proven', async () => {
  await using ran = await runWith(
    `confirmations:
  - requirement: REGN-01
    who: the onboarding team at Thredd
    date: 2026-01-31
    note: no initial access token is needed
    reference: ticket 12
reviews:
  - { requirement: THREDD-DCR-3.3.2-01, reviewer: the platform team, date: 2026-02-01, note: <b>seen</b> }
sign-off:
  - { name: A. Person, role: release manager, date: 2026-02-02 }
baseline: 019a0000-0000-7000-8000-000000000001
`,
    { flows: ['metadata'] },
  )
  const { workflows, ...head } = ran.record
  const { summary } = reportedRun(head, workflows)
  const rows = new Map(summary.requirements.map((row) => [row.requirement.id, row]))

  expect(head.decisions).toMatchObject({
    confirmations: [{ requirement: 'REGN-01' }],
    baseline: '019a0000-0000-7000-8000-000000000001',
  })
  expect(rows.get('REGN-01')).toMatchObject({
    standing: 'confirmed',
    because: 'confirmed by the onboarding team at Thredd on 2026-01-31 (ticket 12): no initial access token is needed',
  })
  expect(rows.get('THREDD-DCR-3.3.2-01')).toMatchObject({
    standing: 'reviewed',
    because: 'reviewed by the platform team on 2026-02-01: <b>seen</b>',
  })
  expect(summary.gate.all).toMatchObject({ counts: { 'by Thredd': 8 }, awaited: 6 })
  const page = await readFile(join(ran.file, '..', 'report.html'), 'utf8')
  expect(page).toContain('reviewed by the platform team on 2026-02-01: &lt;b&gt;seen&lt;/b&gt;')
  expect(page).toContain('<strong>A. Person</strong><br>release manager<br>2026-02-02')
})

test('a requirement that no run decides cannot be accepted', async () => {
  const folder = await makeFolder()
  await writeFile(join(folder, 'decisions.uat.yaml'), accept(['THREDD-DCR-3.3.3-02']))

  await expect(readDecisions({ name: 'uat', folder })).rejects.toThrow(/is not decided by a run/)
})

function accept(requirements: readonly string[], until = NEXT_YEAR): string {
  return `accepted:\n  - requirements: [${requirements.join(', ')}]\n    reason: it is a key for tests\n    owner: the platform team\n    until: ${until}\n`
}

async function runWith(decisions: string | undefined, options: RunOnTwinOptions, fault?: string): Promise<TwinRun> {
  const folder = await makeFolder()
  const file = join(folder, 'decisions.mock.yaml')
  await mkdir(dirname(file), { recursive: true })
  if (decisions !== undefined) await writeFile(file, decisions)
  const { operations } = createTwin({ pki: await sharedPki() })
  const formats = ['html', 'junit', 'md', 'ctrf'] as const
  return await runOnTwin({
    ...options,
    formats,
    folder,
    faults: fault === undefined ? [] : faultsOf(fault, operations),
  })
}

/** Where the row stands in the catalogue. */
function rank(record: RunRecord, id: string): number {
  const { workflows, ...head } = record
  return reportedRun(head, workflows).summary.requirements.findIndex(({ requirement }) => requirement.id === id)
}
