/** What Thredd's staff must be told after a change: printed, in the record and in a file of its own. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { changeStatus, loseAnswer } from '../../mocks/index.ts'
import { type ChangeMade, messagesToThredd } from '../../src/guard/message.ts'
import { expectGolden } from '../support/golden.ts'
import { runOnTwin } from '../support/run.ts'

const CLIENT = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
const APPLICATION = {
  environment: 'uat',
  authorizationServer: 'https://as.example/confidential-clients',
  organisation: '99b2b599-8cc2-499e-b805-e3d84233ae8e',
  application: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
}
const [BEFORE, AFTER] = [
  ['cards.read', 'cards.write'],
  ['cards.read', 'pin.read'],
]

const made = (change: ChangeMade['change'], more: Partial<ChangeMade> = {}): ChangeMade => ({
  change,
  outcome: 'done',
  clientId: CLIENT,
  at: '2026-01-02T03:04:05.678Z',
  scopesBefore: undefined,
  scopesAfter: undefined,
  ...more,
})
const textOf = (...changes: readonly ChangeMade[]) =>
  messagesToThredd(changes, APPLICATION)
    .map(({ text }) => text)
    .join('---\n')

test.each([
  ['register', [made('register', { scopesAfter: AFTER })]],
  ['update', [made('update', { scopesBefore: BEFORE, scopesAfter: AFTER })]],
  [
    'recreate',
    [
      made('delete', { scopesBefore: BEFORE }),
      made('register', { scopesAfter: AFTER, at: '2026-01-02T03:04:07.000Z' }),
    ],
  ],
  ['update-unknown', [made('update', { scopesBefore: BEFORE, outcome: 'unknown' })]],
  ['token-lost', [made('register', { outcome: 'exists' })]],
] as const)('the message after "%s" is exactly this', (name, changes) => {
  expectGolden(textOf(...changes), `message/${name}.txt`)
})

test('nothing is asked of Thredd for a client that is deleted again, or whose registration was lost on the way', () => {
  expect(textOf(made('register'), made('update'), made('delete'))).toBe('')
  expect(textOf(made('register', { outcome: 'unknown' }))).toBe('')
})

test('each client has a message of its own', () => {
  expect(messagesToThredd([made('register'), made('update', { clientId: 'another' })], APPLICATION)).toMatchObject([
    { clientId: CLIENT, asks: 'set-metadata' },
    { clientId: 'another', asks: 'set-metadata' },
  ])
})

test('a registration leaves the message in the record and in a file, with what was granted', async () => {
  await using ran = await runOnTwin()

  const [message, ...others] = ran.record.messagesToThredd ?? []
  expect(others).toEqual([])
  expect(message).toMatchObject({
    clientId: CLIENT,
    asks: 'set-metadata',
    organisation: APPLICATION.organisation,
    scopesAfter: ran.record.workflows[0]?.outputs.granted_scopes,
  })
  const file = join(ran.file, '..', 'message-to-thredd.txt')
  expect(await readFile(file, 'utf8')).toBe(message?.text)
  expect(ran.screen).toContain(`message ${file}\n`)
})

test('a run that leaves no client behind leaves no message', async () => {
  await using ran = await runOnTwin({ flows: ['lifecycle'] })

  expect(ran.record.messagesToThredd).toBeUndefined()
  expect((await readdir(join(ran.file, '..'))).filter((name) => basename(name).startsWith('message'))).toEqual([])
})

test('a PUT whose answer is lost or says nothing is told too: the metadata may be gone', async () => {
  for (const fault of [loseAnswer('updateClient'), changeStatus('updateClient', 503)]) {
    await using ran = await runOnTwin({ flows: ['lifecycle'], faults: [fault] })

    expect(ran.record.messagesToThredd).toMatchObject([{ asks: 'set-metadata' }])
    expect(ran.record.messagesToThredd?.[0]).not.toHaveProperty('scopesBefore')
    expect(ran.record.messagesToThredd?.[0]?.text).toContain('its answer was lost')
  }
})

test('a registration that is refused because the client exists, and whose token nobody has, asks for its deletion', async () => {
  await using first = await runOnTwin()
  await using ran = await runOnTwin({ twin: first.twin })

  expect(ran.record.exitCode).toBe(1)
  expect(ran.record.messagesToThredd).toMatchObject([{ clientId: CLIENT, asks: 'delete-client' }])
})
