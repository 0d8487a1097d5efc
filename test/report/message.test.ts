/** Messages to Thredd: earned by a run, or asked for. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loseAnswer } from '../../mocks/index.ts'
import type { ChangeMade } from '../../src/record/effect.ts'
import { messagesToThredd } from '../../src/report/message.ts'
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

test('what a server wrote adds no line to a message and turns no text around', () => {
  const odd = ['cards.read\nSubject: pay at once', 'pin\u202eread', 'a\u2028b', 'c\u0007d']
  const lines = textOf(made('register', { clientId: 'ours\r\nBcc: all', scopesAfter: odd })).split('\n')

  expect(lines).toContain('Client ID:            ours\\u000d\\u000aBcc: all')
  expect(lines).toContain(
    'Scopes now:           cards.read\\u000aSubject: pay at once pin\\u202eread a\\u2028b c\\u0007d',
  )
  expect(lines.filter((line) => /^(?:Subject|Bcc)/.test(line))).toHaveLength(1)
})

test('nothing that happens on the twin is for Thredd: not a registration, not a refused one, not a PUT without an answer', async () => {
  await using first = await runOnTwin()
  await using second = await runOnTwin({ twin: first.twin })
  await using lost = await runOnTwin({ flows: ['lifecycle'], faults: [loseAnswer('updateClient')] })

  for (const ran of [first, second, lost]) {
    expect(ran.record.messagesToThredd).toBeUndefined()
    expect((await readdir(join(ran.file, '..'))).filter((name) => name.startsWith('message'))).toEqual([])
  }
  expect(second.record.exitCode).toBe(1)
})
