/** What waits for Thredd, or for a person, on named hosts: said in a sentence, told apart from a failure, and in the way of nothing else. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { performHook, type Switches } from '../../mocks/index.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { CONFIRM, type Person, person } from '../support/person.ts'

const recordOf = async ({ cli }: Person) =>
  JSON.parse(await readFile(join(cli.folder, 'reports', 'latest', 'record.json'), 'utf8')) as RunRecord

test.each<Partial<Switches>>([{ requirePmMetadata: true }, {}])(
  'a client whose metadata Thredd has not set is registered and waits, until the metadata is there (%o)',
  async (switches) => {
    const who = await person({ metadataSet: 'when-asked', ...switches })

    const registered = await who.thredd('run', 'register')
    const record = await recordOf(who)
    performHook(who.network.twin.state, 'set-metadata')
    const waited = await who.thredd('run', 'wait-for-metadata')

    expect(registered.code).toBe(4)
    expect(registered.stdout).toContain('waiting for Thredd  1 workflow')
    expect(registered.stdout.match(/Thredd has not set the Programme Manager/g)).toHaveLength(1)
    expect(
      record.workflows[0]?.steps.filter(({ error }) => error !== undefined).map(({ error }) => error?.code),
    ).toEqual(['WAITING_FOR_THREDD'])
    expect(waited.code).toBe(0)
    expect(who.network.changes()).toEqual(['POST 201'])
  },
)

test('a run without names runs what is ready, names the rest with the reason, and passes', async () => {
  const who = await person()

  const nothing = await who.thredd('run')
  await who.thredd('run', 'register')
  const all = await who.thredd('run', '--format', 'md')
  const record = await recordOf(who)

  expect([nothing.code, all.code]).toEqual([0, 0])
  expect(nothing.stdout).toContain(
    'waiting read-registration: workflow "read-registration" is waiting for a registration',
  )
  expect(record.workflows.map(({ workflowId }) => workflowId)).toEqual([
    'access-token',
    'discover',
    'read-registration',
    'store-and-reuse',
  ])
  expect(record.waiting?.map(({ workflowId }) => workflowId)).toEqual([
    'rotate-signing-key',
    'rotate-transport-certificate',
    'wait-for-metadata',
  ])
  expect(record.leftOut).toEqual(expect.arrayContaining(['wait-for-metadata', 'register']))
  expect(await readFile(join(who.cli.folder, 'reports', 'latest', 'report.md'), 'utf8')).toContain('**PARTIAL**')
})

test('a deletion that is named beside a registration is of the client that was there before the run', async () => {
  const who = await person()

  const before = await who.thredd('run', 'delete-registration', 'register', ...CONFIRM)
  const again = await who.thredd('run', 'register', 'delete-registration', ...CONFIRM)

  expect([before.code, again.code]).toEqual([3, 0])
  expect(before.stdout).toContain('waiting for a registration')
  expect(who.network.changes()).toEqual(['POST 201', 'DELETE 204', 'POST 201'])
})

test('a named flow that is not ready ends in exit 3 and is in the way of no other', async () => {
  const who = await person()

  const alone = await who.thredd('run', 'read-registration')
  const together = await who.thredd('run', 'read-registration', 'discover')
  const record = await recordOf(who)

  expect([alone.code, together.code]).toEqual([3, 3])
  expect(alone.stderr).toContain('error[PRECONDITION]')
  expect(record.workflows.map(({ workflowId, status }) => `${workflowId} ${status}`)).toEqual([
    'read-registration skipped',
    'discover passed',
  ])
})
