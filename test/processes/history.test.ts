/** `thredd report --env`: what several real runs on hosts of class uat say together. */
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { faultsOf } from '../../mocks/index.ts'
import { REQUIREMENTS } from '../../src/record/requirements.ts'
import { ROOT } from '../support/cli.ts'
import { type Person, person, spoil } from '../support/person.ts'

/** DISC-09 alone. */
const PRIVATE_KEY_SHOWN = 'member:authorizationJwks=/keys/0/d="c2FtcGxl"'
const NEXT_YEAR = `${new Date().getUTCFullYear() + 1}-01-31`

interface Joined {
  readonly answer: { readonly headline: string; readonly lede: string; readonly reasons: readonly { text: string }[] }
  readonly exitCode: number
  readonly notes: readonly string[]
  readonly leftOut: readonly { readonly folder: string; readonly because: string }[]
  readonly requirements: readonly Row[]
  readonly runs: readonly { readonly runId: string; readonly folder: string }[]
  readonly baseline?: { readonly changes: { readonly columns: readonly unknown[]; readonly others: readonly string[] } }
}

interface Row {
  readonly id: string
  readonly verdict: string
  readonly standing: string
  readonly because: string
  readonly decidedIn: readonly { readonly runId: string; readonly step: string }[]
  readonly last: readonly { readonly runId: string; readonly verdict: string }[]
  readonly unansweredIn?: { readonly runId: string }
  readonly noLongerTested?: { readonly runId: string; readonly verdict: string }
}

test('flows that ran at different times are one answer: the newest verdict on each requirement, and by which run', async () => {
  const who = await cleanly(await person())
  const failed = await who.run(['metadata'], PRIVATE_KEY_SHOWN)
  const discovered = await who.run(['discover'])

  const before = await who.joined()
  expect([failed.code, before.answer.headline, before.exitCode]).toEqual([1, 'No', 1])
  expect(rowOf(before, 'DISC-09')).toMatchObject({ verdict: 'failed', decidedIn: [{ runId: failed.runId }] })
  expect(rowOf(before, 'DISC-01').verdict).toBe('proven')
  expect(new Set(rowOf(before, 'DISC-01').decidedIn.map(({ runId }) => runId))).toEqual(new Set([discovered.runId]))

  const mended = await who.run(['metadata'])
  const unanswered = await who.run(['metadata'], 'status:authorizationJwks=503')
  const after = await who.joined()

  expect([unanswered.code, after.answer.headline, after.exitCode]).toEqual([3, 'Not yet', 3])
  expect(rowOf(after, 'DISC-09')).toMatchObject({
    verdict: 'proven',
    decidedIn: [{ runId: mended.runId }],
    unansweredIn: { runId: unanswered.runId },
    last: [
      { runId: failed.runId, verdict: 'failed' },
      { runId: discovered.runId, verdict: 'open' },
      { runId: mended.runId, verdict: 'proven' },
      { runId: unanswered.runId, verdict: 'no verdict' },
    ],
  })
  // One of its checks is in one flow, the others are in the other.
  expect(new Set(rowOf(after, 'DISC-05').decidedIn.map(({ runId }) => runId)).size).toBe(2)
  expect(rowOf(after, 'DISC-05').verdict).toBe('proven')

  await who.cli.write('decisions.uat.yaml', everythingElse(after, failed.runId))
  const decided = await who.joined()
  // What answers on this machine is not Thredd, and that alone is left.
  expect(decided.answer.lede).toBe('No failure counts. Open: the evidence is weakened.')
  expect([decided.exitCode, decided.notes]).toEqual([3, []])
  expect(decided.baseline?.changes.columns).toContainEqual({ from: 'failed', to: 'proven', ids: ['DISC-09'] })
  expect(decided.baseline?.changes.others).toEqual(['decisions.uat.yaml is new'])
  const shown = await who.thredd('report')
  expect(shown).toMatchObject({ code: 3, stderr: '' })
  expect(shown.stdout).toContain('May we go live on uat?  Not yet')
  expect(shown.stdout).toContain('failed -> proven: DISC-09')
  expect(shown.stdout).toContain('report  reports/environment-uat.html')
})

test('runs that cannot be joined are named with the reason, and take nothing from the others', async () => {
  const who = await cleanly(await person())
  const { folder } = await who.run(['discover'])
  const reports = join(who.cli.folder, 'reports')
  const record = await readFile(join(reports, folder, 'record.json'), 'utf8')
  const store = async (name: string, text: string) => {
    await mkdir(join(reports, name))
    await writeFile(join(reports, name, 'record.json'), text)
  }
  const other = (changes: object) => JSON.stringify({ ...JSON.parse(record), runId: crypto.randomUUID(), ...changes })
  await store('a-cut', record.slice(0, -200))
  await store('b-old', other({ recordVersion: 1 }))
  await store('c-edited', other({ verdict: 'non-conformant' }))
  await store('d-future', other({ startedAt: '2999-01-01T00:00:00.000Z' }))
  await store('e-twin', other({ counterparty: 'twin' }))
  await cp(join(reports, folder), join(reports, 'f-copy'), { recursive: true })
  await mkdir(join(reports, 'g-killed'))
  await writeFile(join(reports, 'g-killed', 'workflows.jsonl'), '')
  // Killed before its first workflow had ended.
  const early = '2026-01-01T00-00-00Z-discover-abcdef'
  await mkdir(join(reports, early))

  const joined = await who.joined()

  expect(joined.runs.map(({ runId }) => runId)).toEqual([JSON.parse(record).runId])
  const reasons = new Map(joined.leftOut.map((one) => [one.folder, one.because]))
  expect([...reasons.keys()].toSorted()).toHaveLength(8)
  expect(reasons.get('a-cut')).toBe('"record.json" is cut: it ends before the record does')
  expect(reasons.get('b-old')).toBe('"record.json" is a record of another version')
  expect(reasons.get('c-edited')).toContain('was it edited?')
  expect(reasons.get('d-future')).toBe('its time lies in the future')
  expect(reasons.get('e-twin')).toBe('it ran on the offline twin')
  expect(reasons.get(folder) ?? reasons.get('f-copy')).toBe('it is a copy of another')
  for (const killed of ['g-killed', early]) expect(reasons.get(killed)).toContain('it was killed')
  expect(await who.thredd('report', '--baseline', 'nothing')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('there is no run "nothing" to compare with'),
  })
})

test('what a flow no longer checks is a group of its own, and never counts as proven', async () => {
  const who = await cleanly(await person())
  const whole = await who.run(['discover'])
  const flow = await readFile(join(ROOT, 'flows', 'discover.arazzo.yaml'), 'utf8')
  const [before = '', rest = ''] = flow.split(/(?= {6}- stepId: directory-discovery)/)
  await who.cli.write(
    'flows/discover.arazzo.yaml',
    before + rest.slice(rest.indexOf('      - stepId: authorization-keys')),
  )
  await cp(join(ROOT, 'flows', 'apis'), join(who.cli.folder, 'flows', 'apis'), { recursive: true })
  const less = await who.run(['discover'])

  const joined = await who.joined('--baseline', whole.folder)

  expect(less.code).toBe(0)
  expect(rowOf(joined, 'DISC-02')).toMatchObject({
    verdict: 'not tested',
    noLongerTested: { runId: whole.runId, verdict: 'proven' },
  })
  expect(joined.baseline?.changes.columns).toContainEqual(
    expect.objectContaining({ from: 'proven', to: 'not tested', ids: expect.arrayContaining(['DISC-02']) }),
  )
  expect((await who.thredd('report', '--out', 'joined.html')).stdout).toMatch(/no longer tested: .*DISC-02/)
  // An earlier answer may be replaced, and nothing else.
  expect((await who.thredd('report', '--out', 'joined.html')).stdout).toContain('joined.html')
  await who.cli.write('precious.yaml', 'kept: true')
  expect(await who.thredd('report', '--out', 'precious.yaml')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('"precious.yaml" is there and holds no joined report; nothing was written'),
  })
  expect(await readFile(join(who.cli.folder, 'joined.html'), 'utf8')).toContain('id="no-longer-tested"')
})

/** Accepts what is not tested, and confirms what only people can. */
function everythingElse({ requirements }: Joined, baseline: string): string {
  const untested = requirements.filter(({ verdict }) => verdict === 'not tested').map(({ id }) => id)
  const awaited = REQUIREMENTS.filter(({ by }) => by === 'thredd' || by === 'person')
  const confirmed = awaited.map(
    ({ id }) => `  - { requirement: ${id}, who: Thredd, date: 2026-01-31, note: agreed, reference: ticket 1 }`,
  )
  return `baseline: ${baseline}
accepted:
  - { requirements: [${untested.join(', ')}], reason: not ours to test, owner: the platform team, until: ${NEXT_YEAR} }
confirmations:
${confirmed.join('\n')}
`
}

function rowOf({ requirements }: Joined, id: string): Row {
  const row = requirements.find((one) => one.id === id)
  if (row === undefined) throw new Error(`no requirement ${id}`)
  return row
}

/** Without git in reach a run does not know whether files of this repository differ from their commit. */
async function cleanly(who: Person) {
  const variables = { ...who.network.variables, PATH: dirname(process.execPath) }
  const thredd = async (...args: string[]) => await who.cli.run([...args, '--env', 'uat'], { variables })
  return {
    cli: who.cli,
    thredd,
    async run(flows: readonly string[], fault?: string) {
      if (fault !== undefined) spoil(who.network, ...faultsOf(fault, who.network.twin.operations))
      const { code } = await thredd('run', ...flows)
      who.network.twin.reset()
      const { runId } = await who.cli.record()
      const names = await readdir(join(who.cli.folder, 'reports'))
      return { code, runId, folder: names.find((name) => name.endsWith(runId.slice(-6))) ?? '' }
    },
    async joined(...args: string[]): Promise<Joined> {
      const { stdout, stderr } = await thredd('report', '--format', 'json', ...args)
      expect(stderr).toBe('')
      return JSON.parse(stdout) as Joined
    },
  }
}
