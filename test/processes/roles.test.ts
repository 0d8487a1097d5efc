/** What a registration on UAT asks for where nobody has said which scopes: what the roles of the application cover. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunRecord } from '../../src/record/index.ts'
import { person } from '../support/person.ts'

const BULK = 'bulkcard.read bulkcard.write'

test('the scopes of a registration are those of ROLES, and console, dry run and record say where they come from', async () => {
  const who = await person()
  const run = (roles: string, ...args: string[]) =>
    who.cli.run(['run', 'register', '--env', 'uat', ...args], {
      variables: { ...who.network.variables, THREDD_ROLES: roles },
    })

  const given = await run('bulk-cards', '--dry-run', '--input', 'scopes=ws')
  const unknown = await run('nobody', '--dry-run')
  const rehearsed = await run('bulk-cards', '--dry-run')
  const withRole = await who.cli.run(['run', 'register-with-role', '--env', 'uat', '--dry-run'], {
    variables: { ...who.network.variables, THREDD_ROLES: 'eds bulk-cards' },
  })
  const ran = await run('bulk-cards nobody')

  expect(given.stdout).toMatch(/^ {4}scopes +\["ws"\] {2}--input$/m)
  expect(unknown.stdout).toMatch(/^ {4}scopes +\["3ds.read",.*\] {2}default$/m)
  expect(unknown.stdout).toContain('warning role "nobody" of ROLES is not in fixtures/roles/roles.json')
  expect(rehearsed.stdout).toMatch(/^ {4}scopes +\["bulkcard.read","bulkcard.write"\] {2}ROLES$/m)
  expect(withRole.stdout).toMatch(/^ {4}scopes +\["bulkcard.read","bulkcard.write","eds.read","eds.write"\] {2}ROLES$/m)
  expect(ran.stdout).toContain(`\n  scopes of ROLES: ${BULK}\n`)
  expect(ran.stdout).toContain('scopes: 2 requested, 2 granted')
  const record = JSON.parse(
    await readFile(join(who.cli.folder, 'reports', 'latest', 'record.json'), 'utf8'),
  ) as RunRecord
  expect(record.workflows[0]?.inputs.find(({ name }) => name === 'scopes')).toEqual({
    name: 'scopes',
    source: 'ROLES',
    value: BULK.split(' '),
  })
})
