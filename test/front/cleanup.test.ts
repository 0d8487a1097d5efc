/** What `thredd cleanup` says of clients that it does not delete. */
import { expect, test } from 'vitest'
import { cleanUp } from '../../src/front/cli/cleanup.ts'
import { fail } from '../../src/record/errors.ts'
import { body, call, temporaryFolder, vaultIn } from '../support/vault.ts'

test('each client that is not deleted is named, with its own id to confirm it', async () => {
  const folder = await temporaryFolder()
  const ids = ['https://rp.example/one', 'https://rp.example/two']
  const vault = vaultIn(folder)
  for (const clientId of ids) {
    const intent = await vault.begin({ ...call('register'), clientId, purpose: 'temporary' })
    await intent.keep({ status: 201, body: body(`token of ${clientId}`, { client_id: clientId }) })
    await intent.close('answered')
  }
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
