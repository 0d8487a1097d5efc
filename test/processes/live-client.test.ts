/** What must never happen to a client that is in use, with the real command line on hosts of class uat. */
import { expect, test } from 'vitest'
import { person } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

test('a client that one flow was to keep is not deleted by a later one that could not register its own', async () => {
  const who = await person()

  const { stdout } = await who.thredd('run', 'discover', 'register', 'lifecycle')

  expect(who.network.changes()).toEqual(['POST 201', 'POST 400'])
  expect(who.network.twin.state.clients.has(CLIENT_ID)).toBe(true)
  expect((await who.vault().current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe(
    who.network.twin.state.clients.get(CLIENT_ID)?.registrationToken.value,
  )
  expect(stdout).toContain('"lifecycle" has registered no client in this run, and leaves the one that is there alone')
})

test('on a machine that is thrown away nothing registers, unless somebody has said where the vault is kept', async () => {
  const who = await person()
  const { THREDD_VAULT_KEY: _, ...variables } = who.network.variables
  const thrownAway = { variables: { ...variables, CI: 'true' } }

  const refused = await who.cli.run(['run', 'register', '--env', 'uat'], thrownAway)

  expect([refused.code, who.network.twin.log.length]).toEqual([2, 0])
  expect(refused.stderr).toContain('error[VAULT_FLEETING]: "register" (register) would leave the only token')
  expect((await who.cli.run(['run', 'discover', '--env', 'uat'], thrownAway)).code).toBe(0)
  expect((await who.cli.run(['run', 'register'], { variables: { CI: 'true' } })).code).toBe(0)
  const kept = await person()
  const { variables: own } = kept.network
  const said = { variables: { ...own, CI: 'true', THREDD_VAULT_DIR: 'kept' } }
  expect((await kept.cli.run(['run', 'register', '--env', 'uat'], said)).code).toBe(0)
})
