/** `thredd verify` on a machine that has nothing of ours but the pack. */
import { generateKeyPairSync } from 'node:crypto'
import { readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writePack } from '../../src/report/pack.ts'
import { Cli } from '../support/cli.ts'
import { sampleRecord } from '../support/reports.ts'

test('a pack is verified by a process that has nothing but the pack: no folder, no home, no environment', async () => {
  await using cli = await Cli.make()
  const alone = { variables: { HOME: join(cli.folder, 'nobody'), THREDD_VAULT_DIR: undefined } }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const options = { key: { alg: 'ES256', privateKey }, now: new Date('2026-01-03T00:00:00Z') } as const
  for (const name of ['pack.zip', 'pack']) await writePack(sampleRecord(), { pack: join(cli.folder, name), ...options })

  for (const name of ['pack.zip', 'pack']) {
    const ended = await cli.run(['verify', name], alone)
    expect(ended).toEqual({
      code: 3,
      stderr: '',
      stdout: expect.stringMatching(
        `^signed by [\\w-]{43} \\(ES256\\)\n${name} is whole and unchanged: 11 files\nrun 019a0000`,
      ),
    })
  }
  await writeFile(join(cli.folder, 'pack', 'report.md'), '')
  expect(await cli.run(['verify', 'pack'], alone)).toMatchObject({ code: 1 })
  await truncate(join(cli.folder, 'pack.zip'), 1000)
  expect(await cli.run(['verify', 'pack.zip'], alone)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/PACK_UNREADABLE/),
  })
  expect((await readdir(cli.folder)).toSorted()).toEqual(['pack', 'pack.zip'])
})
