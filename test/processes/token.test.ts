/** `thredd token` as a person types it: what the server is asked, what is kept, and where the token is in clear. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { changeStatus } from '../../mocks/index.ts'
import { Cli } from '../support/cli.ts'
import { person, spoil } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

test('one call of the server, then none; nothing in clear but what was asked for', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  const calls = () =>
    who.network.twin.log.filter(({ url }) => url.endsWith('/oauth2/token') && url.includes('authz')).length
  const before = calls()

  const first = await who.thredd('token', '--reveal')
  const second = await who.thredd('token', '--reveal')

  expect([first.code, calls() - before, second.stdout]).toEqual([0, 1, first.stdout])
  const token = first.stdout.trim()
  expect(token).toMatch(/^eyJ[\w.-]+$/)
  expect(first.stderr).not.toContain(token)
  expect((await who.thredd('token')).stdout).not.toContain(token)
  const files = await readdir(who.cli.folder, { recursive: true, withFileTypes: true })
  for (const file of files.filter((one) => one.isFile()))
    expect(await readFile(join(file.parentPath, file.name), 'utf8')).not.toContain(token)
  expect((await who.thredd('vault', 'check')).code).toBe(0)

  const narrow = JSON.parse((await who.thredd('token', '--scope', 'cards.read', '--json')).stdout)
  expect(narrow).toMatchObject({ clientId: CLIENT_ID, scopes: ['cards.read'], new: true })
})

test('a client that was registered elsewhere gets its token too; a refusal is shown on stderr alone', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  await (await who.vault()).forget(CLIENT_ID)

  expect((await who.thredd('token', '--reveal')).stdout).toMatch(/^eyJ[\w.-]+\n$/)

  spoil(who.network, changeStatus('token', 401))
  const { code, stdout, stderr } = await who.thredd('token', '--fresh', '--reveal')
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('✗ api-token')
})

test('the embedded twin gives a token too, which is not kept', async () => {
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(['token'])

  expect([stderr, code]).toEqual(['', 0])
  expect(stdout).toMatch(/^client {3}https:\S+\nexpires {2}\S+Z, in \d+ s\n/)
})
