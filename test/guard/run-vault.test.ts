/** What the rows of one run see of each other's changes. */
import { expect, test } from 'vitest'
import { RunVault } from '../../src/guard/run-vault.ts'
import { commandsFor } from '../../src/record/hints.ts'
import { body, CLIENT_ID, temporaryFolder, thrown, vaultIn } from '../support/vault.ts'

test.each([
  ['one', 'was registered or changed by another row of this run since this one began; nothing was sent', 'this run'],
  ['two', 'was registered or changed by another run since this one began; nothing was sent', 'run one'],
])('a client that another row or run has registered meanwhile is not registered over: %s', async (runId, words, by) => {
  const vault = vaultIn(await temporaryFolder())
  const vaultOf = (runId: string) =>
    new RunVault({
      ...{ vault, runId, clientId: CLIENT_ID, softwareId: undefined, now: () => new Date() },
      ...{ thumbprintOf: () => undefined, command: commandsFor([]) },
      admission: { registration: undefined, confirmed: undefined, deletesUnconfirmed: true },
    })
  const begin = async (one: RunVault) =>
    await one.port.begin({
      ...{ step: 'register', identity: 'transport', effect: 'register', method: 'POST', url: 'https://as.example/' },
      ...{ authorization: undefined, mustBeRefused: false },
    })
  const [first, second] = [vaultOf('one'), vaultOf(runId)]
  const intent = await begin(first)
  await intent.keep({ status: 201, body: Buffer.from(body('token-1')), coding: undefined })
  await intent.close('answered')

  expect((await thrown(begin(second))).problems).toMatchObject([
    {
      code: 'CLIENT_CHANGED',
      message: `client "${CLIENT_ID}" ${words}`,
      found: expect.stringMatching(new RegExp(`^a registration kept at \\S+ by ${by}$`)),
    },
  ])
  expect(await vault.unsettled()).toEqual([])
})
