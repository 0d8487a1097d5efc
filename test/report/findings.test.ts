/** One finding for one thing that is wrong, however many checks see it. */
import { expect, test } from 'vitest'
import { changeField, changeStatus, loseAnswer } from '../../mocks/index.ts'
import { compareAsked } from '../../src/execute/asked.ts'
import { Redactor } from '../../src/secret/index.ts'
import { runOnTwin } from '../support/run.ts'

test('a member that schema, criterion and comparison find wrong is one finding, in the words of the criterion', async () => {
  await using ran = await runOnTwin({ faults: [changeField('registerClient', '/token_endpoint_auth_method', 5)] })

  expect(ran.screen.match(/(?<=^ +)failed .*/gm)).toEqual([
    expect.stringMatching(/^failed token_endpoint_auth_method: expected private_key_jwt, got 5 /),
  ])
})

test('of a wrong status the finding names the one that the step waits for, not all that are documented', async () => {
  await using ran = await runOnTwin({ faults: [changeStatus('registerClient', 299)] })

  expect(ran.screen).toContain('failed POST /oauth2/register: expected status 201, got 299')
})

test('a change whose answer is lost is looked up in the vault', async () => {
  await using ran = await runOnTwin({ faults: [loseAnswer('registerClient')] })

  expect(ran.screen).toContain('your turn: thredd vault list says what is open, and the way out')
})

test('what differs is shown without its secrets', () => {
  const redactor = new Redactor(new Uint8Array(32))
  const [asked, came] = ['first-secret-of-the-client-0123456789', 'other-secret-of-the-client-9876543210']
  const { differences } =
    compareAsked({ client_secret: asked }, { client_secret: came }, { except: new Set(), redactor }) ?? {}

  expect(differences?.map(({ member }) => member)).toEqual(['client_secret'])
  expect(JSON.stringify(differences)).not.toMatch(/secret-of-the-client/)
})

test('a member that a check has found is not said again as registered otherwise', async () => {
  await using ran = await runOnTwin({ faults: [changeField('registerClient', '/application_type', 'web')] })

  expect(ran.screen).toContain('failed application_type: expected service, got web')
  expect(ran.screen).not.toContain('registered otherwise application_type')
})

test('a member that the answer leaves out was not registered otherwise: it is not said', async () => {
  await using ran = await runOnTwin({ faults: [changeField('registerClient', '/application_type', undefined)] })

  expect(ran.screen).toContain('warning application_type: expected service, got no such member')
  expect(ran.screen).toContain('means: the answer does not say what was registered')
})

test('a refusal that no page describes is told apart from a condition that does not hold', async () => {
  await using ran = await runOnTwin({ faults: [changeStatus('cardsSmoke', 418)] })

  expect(ran.screen).toContain('means: no page describes this answer')
})
