/** What `thredd cleanup` says of clients that it does not delete. */
import { expect, test } from 'vitest'
import { cleanUp } from '../../src/front/cli/cleanup.ts'
import { fail } from '../../src/record/errors.ts'
import type { Vault } from '../../src/vault/index.ts'
import { body, call, clock, temporaryFolder, vaultIn } from '../support/vault.ts'

async function register(
  vault: Vault,
  {
    clientId,
    purpose = 'temporary',
    token = `token of ${clientId}`,
  }: {
    readonly clientId: string
    readonly purpose?: 'kept' | 'temporary'
    readonly token?: string
  },
): Promise<void> {
  const intent = await vault.begin({ ...call('register'), clientId, purpose })
  await intent.keep({ status: 201, body: body(token, { client_id: clientId, registration_client_uri: clientId }) })
  await intent.close('answered')
}

test('each client that is not deleted is named, with its own id to confirm it', async () => {
  const folder = await temporaryFolder()
  const ids = ['https://rp.example/one', 'https://rp.example/two']
  const vault = vaultIn(folder)
  for (const clientId of ids) await register(vault, { clientId })
  await vault.close()
  let text = ''
  const flags = { has: () => false, texts: () => [ids[0] ?? ''], text: () => undefined }

  await cleanUp(flags, {
    write: (more) => {
      text += more
    },
    ...{ environment: 'uat', isOnTwin: false, vault: vaultIn(folder) },
    openReader: async () => expect.unreachable('nothing is open'),
    remove: async ({ clientId }) =>
      fail({ code: 'USAGE', message: 'no', ...(clientId === ids[1] && { expected: '--confirm <client_id>' }) }),
  })

  expect(text).toContain(
    [
      `not deleted  ${ids[0]}`,
      'error[USAGE]: no',
      `not deleted  ${ids[1]}`,
      'error[USAGE]: no',
      `   = expected --confirm ${ids[1]}`,
    ].join('\n'),
  )
})

test.each([
  ['deleted', async () => undefined, /it was deleted since it was listed as left behind, at 2026\S+\n/],
  [
    'deleted, and registered to stay',
    async (vault: Vault, clientId: string) => await register(vault, { clientId, purpose: 'kept', token: 'new' }),
    /it was registered again since it was listed as left behind, to stay\n/,
  ],
  [
    'deleted, and registered by a run that is going on',
    async (vault: Vault, clientId: string) => await register(vault, { clientId, token: 'new' }),
    /it was registered again since it was listed as left behind, at 2026\S+ by step "register" of run run-register\n/,
  ],
])('a client that others have %s while another one is removed is left alone', async (_, then, said) => {
  const folder = await temporaryFolder()
  const [first, second] = ['https://rp.example/one', 'https://rp.example/two'] as const
  const now = clock()
  const vault = vaultIn(folder, { now })
  for (const clientId of [first, second]) await register(vault, { clientId })
  await vault.close()
  const colleague = vaultIn(folder, { now })
  const removed: string[] = []
  let text = ''

  await cleanUp(
    { has: () => false, texts: () => [first, second] },
    {
      write: (more) => (text += more),
      ...{ environment: 'uat', isOnTwin: false, vault: vaultIn(folder, { now }) },
      openReader: async () => expect.unreachable('nothing is open'),
      remove: async ({ clientId }) => {
        removed.push(clientId)
        await colleague.remove(first)
        await colleague.remove(second)
        await then(colleague, second)
        return 0
      },
    },
  )

  expect(removed).toEqual([first])
  expect(text).toMatch(new RegExp(`\nleft alone {3}${second}\n  ${said.source}`))
})

test('the JSON says of each client that is left why, and of one that changed meanwhile what it is now', async () => {
  const folder = await temporaryFolder()
  const ids = ['https://rp.example/one', 'https://rp.example/two'] as const
  const now = clock()
  const vault = vaultIn(folder, { now })
  for (const clientId of ids) await register(vault, { clientId })
  await vault.close()
  const colleague = vaultIn(folder, { now })
  let text = ''

  const exit = await cleanUp(
    { has: (name) => name === 'json', texts: () => [] },
    {
      write: (more) => (text += more),
      ...{ environment: 'uat', isOnTwin: false, vault: vaultIn(folder, { now }) },
      openReader: async () => expect.unreachable('nothing is open'),
      remove: async () => {
        await colleague.remove(ids[1])
        await register(colleague, { clientId: ids[1], purpose: 'kept', token: 'new' })
        return fail({ code: 'REPORT_UNWRITABLE', message: 'no room' })
      },
    },
  )

  expect([exit, JSON.parse(text)]).toMatchObject([
    3,
    {
      removed: [ids[1]],
      left: [{ clientId: ids[0], problems: [{ code: 'REPORT_UNWRITABLE', message: 'no room' }] }],
      leftAlone: [{ clientId: ids[1], state: 'kept' }],
    },
  ])
})
