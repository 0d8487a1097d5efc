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
