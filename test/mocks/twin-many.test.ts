/** The twin with many clients, tokens and assertions: what it keeps, and what it lets go. */
import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createTwin } from '../../mocks/index.ts'
import { addApplications, clientId, numbers, softwareId } from '../support/rows.ts'
import { sharedPki } from '../support/twin.ts'

const MANY = 25_000

test('an assertion is refused a second time while it lives, however many others were used since', async () => {
  const pki = await sharedPki()
  const { state } = createTwin({ pki })
  const until = state.seconds() + 300
  expect(state.useAssertion('the first', until)).toBe(true)
  for (const number of numbers(MANY)) state.useAssertion(`another ${number}`, until)
  expect(state.useAssertion('the first', until)).toBe(false)
})

test('expired assertions and tokens make room', async () => {
  const pki = await sharedPki()
  const { state } = createTwin({ pki })
  const token = { clientId: 'client', organisationId: '', thumbprint: '' }
  const fill = (round: string) => {
    const [until, expiresAt] = [state.seconds() + 300, state.now().getTime() + 300_000]
    for (const number of numbers(MANY)) {
      state.useAssertion(`${round} ${number}`, until)
      state.directoryTokens.set(`${round} ${number}`, { ...token, expiresAt })
    }
  }
  for (const round of ['one', 'two', 'three', 'four']) {
    fill(round)
    state.advance(301_000)
  }
  expect(state.usedAssertions.size).toBeLessThan(3 * MANY)
  expect(state.directoryTokens.size).toBeLessThan(3 * MANY)
})

test('applications and clients are found by any of their names, and a certificate by all that list it', async () => {
  const pki = await sharedPki()
  const twin = createTwin({ pki })
  addApplications({ twin, pki }, numbers(3))
  const { state } = twin
  expect(state.applicationOfClient(clientId(2))?.softwareId).toBe(softwareId(2))
  expect(state.applicationOfClient(softwareId(2))).toBeUndefined()
  const { certificate } = pki.identities.transport
  // Of the documented application and of these three.
  expect(state.listings(new X509Certificate(certificate))).toHaveLength(4)
  expect(state.application(softwareId(1)).certificates[0]?.certificate).toBe(
    state.application(softwareId(3)).certificates[0]?.certificate,
  )
  const again = createTwin({ pki, snapshot: state.snapshot() })
  expect(again.state.listings(new X509Certificate(certificate))).toHaveLength(4)
  expect(again.state.applicationOfClient(clientId(3))?.softwareId).toBe(softwareId(3))
})
