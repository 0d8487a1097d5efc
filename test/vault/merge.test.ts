/** The vault of another machine is taken in: every token of both is there afterwards, whichever is taken into which. */
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { importFolder } from '../../src/front/cli/vault-merge.ts'
import type { Vault } from '../../src/vault/index.ts'
import {
  body,
  CLIENT_ID,
  call,
  ended,
  fallbacks,
  logIn,
  register,
  temporaryFolder,
  thrown,
  token,
  vaultIn,
} from '../support/vault.ts'

/** A clock that begins at this second. */
function from(second: number): () => Date {
  let seconds = Date.parse('2026-01-02T03:00:00.000Z') / 1000 + second
  return () => new Date(seconds++ * 1000)
}

async function pair(seconds: readonly [ours: number, theirs: number] = [0, 1000]) {
  const folders = [await temporaryFolder(), await temporaryFolder()] as const
  const [ours, theirs] = folders.map((folder, index) => vaultIn(folder, { now: from(seconds[index] ?? 0) })) as [
    Vault,
    Vault,
  ]
  return { ours, theirs, folders }
}

async function registerAs(vault: Vault, clientId: string, value: string): Promise<void> {
  const intent = await vault.begin({ ...call('register'), clientId })
  await intent.keep({ status: 201, body: body(value, { client_id: clientId }) })
  await intent.close('answered')
}

test('clients of the other vault are there with their tokens, and nothing of ours is changed', async () => {
  const { ours, theirs } = await pair()
  await registerAs(ours, 'c-1', 'token-1')
  await registerAs(theirs, 'c-2', 'token-2')
  await registerAs(theirs, 'c-3', 'token-3')
  await theirs.remove('c-3')

  const events = await theirs.events()
  expect(await ours.difference(events)).toMatchObject({ clients: ['c-2', 'c-3'], changed: [], open: 0 })
  await ours.merge(events)

  const held = (await ours.list()).registrations.map((one) => [
    one.clientId,
    one.registrationAccessToken?.reveal(),
    one.deletedAt === undefined,
  ])
  expect(held).toEqual([
    ['c-1', 'token-1', true],
    ['c-2', 'token-2', true],
    ['c-3', 'token-3', false],
  ])
  expect((await ours.check()).problems).toEqual([])
})

test.each<[string, readonly [number, number], string]>([
  ['theirs is newer', [0, 1000], 'theirs'],
  ['ours is newer', [1000, 0], 'ours'],
])('of a client that both hold the newer token counts, and the other is kept: %s', async (_, seconds, newer) => {
  const { ours, theirs } = await pair(seconds)
  await register(ours, 'token-ours')
  await register(theirs, 'token-theirs')

  await ours.merge(await theirs.events())

  expect(await token(ours)).toBe(`token-${newer}`)
  const all = (await ours.tokens(CLIENT_ID)).length
  expect(all).toBe(2)
  // Into the other it is the same.
  await theirs.merge(await ours.events())
  expect(await token(theirs)).toBe(`token-${newer}`)
  expect(await fallbacks(theirs)).toEqual(await fallbacks(ours))
})

test('two machines that wrote at the same time hold the same after each has taken the other in', async () => {
  for (let time = 0; time < 4; time += 1) {
    const { ours, theirs } = await pair([0, 0])
    await register(ours, `token-ours-${time}`)
    await register(theirs, `token-theirs-${time}`)

    await ours.merge(await theirs.events())
    await theirs.merge(await ours.events())

    expect(await token(theirs)).toBe(await token(ours))
    expect(await fallbacks(theirs)).toEqual(await fallbacks(ours))
  }
})

test('taken in twice, nothing is added; an export read afterwards has everything', async () => {
  const { ours, theirs, folders } = await pair()
  await register(theirs, 'token-1')
  await ended(theirs, 'update', 200, body('token-2'))
  await ours.merge(await theirs.events())
  const once = await readFile(logIn(folders[0]), 'latin1')

  expect((await ours.difference(await theirs.events())).added).toEqual([])
  await ours.merge(await theirs.events())

  expect(await readFile(logIn(folders[0]), 'latin1')).toBe(once)
  expect(await token(ours)).toBe('token-2')
})

test('a call whose answer was lost is open here too, and an answer of ours to a later one settles it', async () => {
  const { ours, theirs } = await pair([1000, 0])
  await ended(theirs, 'register')
  expect((await theirs.unsettled()).map(({ effect }) => effect)).toEqual(['register'])

  await ours.merge(await theirs.events())
  expect((await ours.unsettled()).map(({ clientId }) => clientId)).toEqual([CLIENT_ID])

  await register(ours, 'token-1')
  expect(await ours.unsettled()).toEqual([])
})

test('while a call is on the way there, nothing is taken in; nor where there is no vault', async () => {
  const { ours, theirs } = await pair()
  const none = await thrown(theirs.events())
  expect(none.code).toBe('VAULT_UNREADABLE')
  await register(theirs)
  const intent = await theirs.begin(call('update'))
  const busy = await thrown(theirs.events())
  expect(busy.message).toContain('is on the way in vault')
  await intent.close('not-sent')
  await ours.merge(await theirs.events())
  expect(await token(ours)).toBe('token-1')
})

test('the command says what it would do and, on UAT, does it only when the environment is repeated', async () => {
  const { ours, theirs, folders } = await pair()
  await registerAs(theirs, 'c-2', 'token-2')
  await theirs.close()
  let written = ''
  const write = (text: string) => {
    written += text
  }
  const typed = async (...confirm: readonly string[]) =>
    await importFolder('shard-2', {
      ...{ vault: ours, environment: 'uat', class: 'uat', folder: join(folders[1], '..'), words: ['shard-2'] },
      ...{ write, warn: write, isTerminal: false, now: () => new Date(), runId: 'vault', has: () => false },
      flags: { has: () => false, text: () => confirm[0], texts: () => confirm },
      passphrase: async () => await Promise.reject(new Error('not asked')),
      openFolder: () => vaultIn(folders[1]),
    })

  const refused = await thrown(typed())
  expect([refused.code, refused.problems[0].expected]).toEqual(['USAGE', '--confirm uat'])
  expect(written).toContain('shard-2: 1 client that this vault does not hold, 0 open calls')
  expect((await ours.list()).registrations).toEqual([])

  expect(await typed('uat')).toBe(0)
  expect(written).not.toContain('token-2')
  expect((await ours.list()).registrations.map(({ clientId }) => clientId)).toEqual(['c-2'])
  expect(await typed('uat')).toBe(0)
  expect(written).toMatch(/nothing new\n$/)
  expect(written).not.toContain('warning')

  // The other machine died while it wrote.
  await theirs.close()

  await appendFile(logIn(folders[1]), 'eyJhbGciOi')
  expect(await typed('uat')).toBe(0)
  expect(written).toMatch(/warning line \d+ of vault ".*" was not finished: a process died while it wrote/)
})
