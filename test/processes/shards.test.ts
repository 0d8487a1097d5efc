/** Shards of one list, on machines that share nothing, and the record that is made of theirs. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunRecord, WorkflowRecord } from '../../src/record/index.ts'
import { Cli } from '../support/cli.ts'
import { csvOf, numbers } from '../support/rows.ts'

const ROWS = 5

test('merged, the records of the shards are that of one run but for ids and times', async () => {
  await using cli = await Cli.make({ 'clients.csv': csvOf(numbers(ROWS)), 'other.csv': csvOf(numbers(ROWS - 1)) })
  const run = async (out: string, data: string, ...more: string[]) =>
    await cli.run(['run', 'register', '--data', data, '--out', out, ...more], {
      variables: { THREDD_VAULT_DIR: `vault-${out}` },
    })
  const recordIn = async (out: string): Promise<RunRecord> =>
    JSON.parse(await readFile(join(cli.folder, out, 'latest', 'record.json'), 'utf8'))

  for (const index of [1, 2]) expect((await run(`shard-${index}`, 'clients.csv', '--shard', `${index}/2`)).code).toBe(0)
  expect((await run('whole', 'clients.csv')).code).toBe(0)
  const missing = await cli.run(['report', 'merge', 'shard-1'])
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('shard 2 of 2 is missing')])
  const twice = await cli.run(['report', 'merge', 'shard-1', 'shard-2', 'shard-1/latest/record.json'])
  expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('shard 1 of 2 is there 2 times')])
  const none = await cli.run(['report', 'merge', 'shard-1', 'whole'])
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('"whole" is not the record of a shard')])
  await run('other', 'other.csv', '--shard', '2/2')
  const other = await cli.run(['report', 'merge', 'shard-1', 'other'])
  expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('"other" has another list than "shard-1"')])
  const second = await recordIn('shard-2')
  const servers = second.environment.servers?.slice(1)
  for (const [name, what, edited] of [
    ['met', 'counterparty', { ...second, counterparty: 'network' }],
    ['elsewhere', 'set of servers', { ...second, environment: { ...second.environment, servers } }],
  ] as const) {
    await writeFile(join(cli.folder, `${name}.json`), JSON.stringify(edited))
    const { code, stderr } = await cli.run(['report', 'merge', 'shard-1', `${name}.json`])
    expect([code, stderr]).toEqual([2, expect.stringContaining(`"${name}.json" has another ${what} than "shard-1"`)])
  }

  const { rows } = second
  const [, ...others] = second.workflows
  for (const [name, edited, said] of [
    ['short', { ...second, workflows: others }, '"short.json" does not account for each of its rows'],
    ['none', { ...second, workflows: [] }, '"none.json" does not account for each of its rows'],
    [
      'twice',
      { ...second, rows: { ...rows, notStarted: [1], shard: { index: 2, of: 2 } } },
      '1 row of the list is in more than one of them',
    ],
    [
      'older',
      { ...second, workflows: others, rows: { ...rows, shard: { index: 2, of: 2 } } },
      '1 row of the list is in none of the records',
    ],
    [
      'beyond',
      { ...second, rows: { ...rows, notStarted: [ROWS + 1], shard: { index: 2, of: 2 } } },
      `1 row of the list is not of a list of ${ROWS}`,
    ],
  ] as const) {
    await writeFile(join(cli.folder, `${name}.json`), JSON.stringify(edited))
    const { code, stderr } = await cli.run(['report', 'merge', 'shard-1', `${name}.json`])
    expect([code, stderr]).toEqual([2, expect.stringContaining(said)])
  }

  const merged = await cli.run(['report', 'merge', 'shard-2', 'shard-1', '--out', 'merged'])
  expect(merged.code, merged.stderr).toBe(0)
  expect(merged.stdout).toContain('2 shards · 5 rows')
  const [one, of] = [await recordIn('whole'), await recordIn('merged')]
  expect(of.rows?.merged?.map(({ shard }) => shard)).toEqual([1, 2])
  expect(of.workflows.map(({ row }) => row?.number)).toEqual(numbers(ROWS))
  expect(plain(of)).toEqual(plain(one))
  const html = await readFile(join(cli.folder, 'merged', 'latest', 'report.html'), 'utf8')
  expect(html).toContain(`${ROWS} rows of clients.csv: ${ROWS} of ${ROWS} passed`)
})

/** Without what differs from one run to the next: ids, times, sizes and what is random in requests and answers. */
function plain({
  workflows,
  rows: { merged: _, ...rows } = { list: '', total: 0, parallel: 0, leftOut: [], notStarted: [] },
  ...head
}: RunRecord) {
  const { runId, startedAt, durationMs, redaction, environment, ...rest } = head
  // Their vaults lie in folders of their own.
  const { settings = [], settingsSha256, ...place } = environment
  const same = settings.filter(({ name }) => name !== 'VAULT_DIR')
  const warnings = head.warnings.filter((warning) => !warning.includes('a vault key was made'))
  return { ...rest, warnings, rows, environment: place, settings: same, workflows: workflows.map(plainWorkflow) }
}

function plainWorkflow({ startedAt, durationMs, steps, outputs, ...workflow }: WorkflowRecord) {
  return {
    ...workflow,
    outputs: Object.keys(outputs),
    steps: steps.map(({ startedAt: at, durationMs: took, exchanges, checks, outputs: values, ...step }) => ({
      ...step,
      outputs: Object.keys(values),
      checks: checks.map(({ id, status, title, level, clauses, member }) => [
        id,
        status,
        title,
        level,
        clauses,
        member,
      ]),
      exchanges: exchanges.map(({ request, response, sent }) => [request.method, request.url, response?.status, sent]),
    })),
  }
}

test('a shard of a list with fewer clients has nothing to do, and the others are merged without it', async () => {
  await using cli = await Cli.make({ 'clients.csv': csvOf(numbers(2)) })
  const run = async (index: number, ...more: string[]) =>
    await cli.run(
      ['run', 'register', '--data', 'clients.csv', '--out', `shard-${index}`, '--shard', `${index}/3`, ...more],
      { variables: { THREDD_VAULT_DIR: `vault-${index}` } },
    )
  for (const more of [[], ['--dry-run'], ['--json']]) {
    const { code, stderr } = await run(3, ...more)
    expect([code, stderr]).toEqual([0, expect.stringContaining('shard 3 of 3 has none of the 2 rows')])
  }
  for (const index of [1, 2]) expect((await run(index)).code).toBe(0)
  const { code } = await cli.run(['report', 'merge', 'shard-1', 'shard-2', '--out', 'whole'])
  expect(code).toBe(0)
  const short = await cli.run(['report', 'merge', 'shard-1'])
  expect([short.code, short.stderr]).toEqual([2, expect.stringContaining('shards 2, 3 of 3 are missing')])
})
