/** `thredd report --prune`: what goes, what stays and why, on runs that were made here. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RECORD_FILE } from '../../src/record/index.ts'
import { Cli } from '../support/cli.ts'
import { person } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

const YEARS_AGO = '2024-01-02T03:04:05.000Z'

let cli: Cli
let reports: string
beforeAll(async () => {
  cli = await Cli.make()
  reports = join(cli.folder, 'reports')
  // Three runs; the first two are made old. A date is all that is changed in their records.
  for (let number = 0; number < 3; number++) expect((await cli.run(['run', 'discover'])).code).toBe(0)
  for (const name of (await runs()).slice(0, 2)) {
    const file = join(reports, name, RECORD_FILE)
    const record = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...record, startedAt: YEARS_AGO }))
  }
})
afterAll(async () => await cli[Symbol.asyncDispose]())

test('a run writes its record, HTML and JUnit; other formats are written where they are asked for', async () => {
  const usual = ['junit.xml', 'record.json', 'report.html']
  const newest = (await runs()).at(-1) ?? ''
  expect((await readdir(join(reports, newest))).toSorted()).toEqual(usual)

  expect((await cli.run(['run', 'discover', '--format', 'md,ctrf', '--out', 'other'])).code).toBe(0)
  expect((await readdir(join(cli.folder, 'other', 'latest'))).toSorted()).toEqual(
    ['ctrf.json', 'report.md', ...usual].toSorted(),
  )
  const misspelt = await cli.run(['run', 'discover', '--format', 'ctrff', '--out', 'third'])
  expect(misspelt).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "ctrf"?') })
  expect(existsSync(join(cli.folder, 'third'))).toBe(false)
})

test.each([
  [['--prune'], '--prune needs --older'],
  [['--prune', '--older', '90'], '--older "90" is no duration'],
  [['--prune', '--older', '0d'], '--older "0d" is no duration'],
  [['--prune', '--older', '-1d'], 'older'],
  [['--prune', '--older', '3 months'], '--older "3 months" is no duration'],
  [['--older', '90d'], '--older and --yes belong to --prune'],
])('a duration that is none is refused: %j', async (flags, said) => {
  const before = await runs()
  const { code, stderr } = await cli.run(['report', ...flags])

  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(said) })
  expect(await runs()).toEqual(before)
})

test('old runs are listed first, and go only after a yes; links, other folders and what "latest" names stay', async () => {
  const [first = '', second = '', young = ''] = await runs()
  await writeFile(join(reports, second, 'notes.txt'), 'ours')
  await mkdir(join(reports, 'foreign'))
  await mkdir(join(reports, 'damaged'))
  await writeFile(join(reports, 'damaged', RECORD_FILE), '{')
  await symlink(first, join(reports, 'a-link'), 'dir')
  const before = (await readdir(reports)).toSorted()

  const listed = await cli.run(['report', '--prune', '--older', '90d'])
  expect(listed).toMatchObject({ code: 0, stderr: '' })
  for (const name of [first, second]) expect(listed.stdout).toContain(`would go  ${name}\n`)
  expect(listed.stdout).toContain('stays     damaged: its record cannot be read\n')
  expect(listed.stdout).not.toContain(young)
  expect(listed.stdout).toContain('nothing was deleted')
  expect((await readdir(reports)).toSorted()).toEqual(before)

  const hint = /(thredd report --prune .* --yes)/.exec(listed.stdout)?.[1] ?? ''
  const pruned = await cli.run(hint.split(' ').slice(1))
  expect(pruned.code).toBe(0)
  expect(pruned.stdout).toContain(`stays     ${second}: it holds notes.txt, which no run has written\n`)
  expect(pruned.stdout).toContain('1 run deleted')
  expect((await readdir(reports)).toSorted()).toEqual(before.filter((name) => name !== first))
  expect(await readlink(join(reports, 'latest'))).toBe(young)
})

test('a run stays while its client is registered, and while the decisions name it as the baseline', async () => {
  const who = await person()
  const there = join(who.cli.folder, 'reports')
  await who.thredd('run', 'register')
  await who.thredd('run', 'discover')
  await rm(join(there, 'latest'))
  const names = (await readdir(there)).toSorted()
  const ids: string[] = []
  for (const name of names) {
    const record = JSON.parse(await readFile(join(there, name, RECORD_FILE), 'utf8'))
    ids.push(record.runId)
    await writeFile(join(there, name, RECORD_FILE), JSON.stringify({ ...record, startedAt: YEARS_AGO }))
  }
  await who.cli.write('decisions.uat.yaml', `baseline: ${ids[1]}\n`)
  const prune = async () =>
    await who.cli.run(['report', '--prune', '--older', '1d', '--yes'], { variables: who.network.variables })

  const kept = await prune()
  expect(kept).toMatchObject({ code: 0, stderr: '' })
  expect(kept.stdout).toContain(`stays     ${names[0]}: the client that it registered is still open in the vault\n`)
  expect(kept.stdout).toContain(`stays     ${names[1]}: decisions.uat.yaml names it as the baseline\n`)
  expect(kept.stdout).toContain('no runs older than 1d in reports to delete\n')

  await (await who.vault()).remove(CLIENT_ID, { runId: ids[0] ?? '', step: 'delete' })
  expect((await prune()).stdout).toContain(`would go  ${names[0]}\n`)
  expect(existsSync(join(there, names[0] ?? ''))).toBe(false)
})

/** Names of the folders of runs, oldest first. */
async function runs(): Promise<readonly string[]> {
  return (await readdir(reports)).filter((name) => /^\d{4}-/.test(name)).toSorted()
}
