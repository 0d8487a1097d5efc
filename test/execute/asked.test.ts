/** What was asked for against what came: each rule is broken by a server, and what no rule is about is shown. */
import { expect, test } from 'vitest'
import { changeField } from '../../mocks/index.ts'
import { RULES } from '../../src/execute/asked.ts'
import { notPassed, runOnTwin, stepOf } from '../support/run.ts'

const BROKEN: readonly (readonly [member: string, value: unknown, expected: string, actual: string])[] = [
  ['grant_types', ['client_credentials', 'password'], 'client_credentials', 'client_credentials, password'],
  ['token_endpoint_auth_method', 'client_secret_basic', 'private_key_jwt', 'client_secret_basic'],
  ['request_object_signing_alg', 'none', 'RS256', 'none'],
  ['id_token_signed_response_alg', 'HS256', 'RS256', 'HS256'],
  ['application_type', 'web', 'service', 'web'],
  ['tls_client_certificate_bound_access_tokens', false, 'true', 'false'],
]

test.for(BROKEN)('%s is not what was asked for: one finding names both', async ([member, value, expected, actual]) => {
  await using ran = await runOnTwin({ faults: [changeField('registerClient', `/${member}`, value)] })

  const step = stepOf(ran.record, 'register')
  expect(step.status).toBe('failed')
  expect(notPassed(step)).toMatchObject([{ status: 'fail', expected, actual }])
  expect(step.differences).toContainEqual({
    member,
    asked: member === 'grant_types' ? ['client_credentials'] : member.startsWith('tls') ? true : expected,
    came: value,
  })
  expect(ran.screen).toContain(`failed ${member}: expected ${expected}, got ${actual}`)
})

test('each rule about a member of the documented request is broken above, or holds a criterion', () => {
  const members = [...BROKEN.map(([member]) => member), 'software_statement', 'token_endpoint_auth_signing_alg']
  for (const { members: pattern } of RULES) expect(members.some((member) => pattern.test(member))).toBe(true)
})

test('a member that another one replaces is shown, and fails nothing where no rule is about it', async () => {
  await using ran = await runOnTwin({ faults: [changeField('registerClient', '/application_types', ['service'])] })

  expect(ran.record.exitCode).toBe(0)
  expect(stepOf(ran.record, 'register').differences).toEqual([
    { member: 'application_types', asked: ['service', 'dcr'], came: ['service'] },
    { member: 'id_token_signed_response_alg', asked: 'RS256', came: 'ES256' },
  ])
  expect(ran.screen).toContain('registered otherwise application_types: asked for ["service","dcr"], got ["service"]')
})

test('an update is compared too', async () => {
  await using ran = await runOnTwin({
    flows: ['add-scope-with-put'],
    faults: [changeField('updateClient', '/application_type', 'web')],
  })

  expect(notPassed(stepOf(ran.record, 'update-acp'))).toMatchObject([
    { id: 'asked application_type', status: 'fail', expected: 'service', actual: 'web' },
  ])
})

test.for([
  [599, 0, undefined],
  [7200, 0, 'warn'],
  [600_000_000, 1, 'fail'],
] as const)('an access token that lives %i seconds', async ([seconds, exitCode, status]) => {
  await using ran = await runOnTwin({ faults: [changeField('token', '/expires_in', seconds)] })

  expect(ran.record.exitCode).toBe(exitCode)
  const found = notPassed(stepOf(ran.record, 'api-token')).find(({ id }) => id === 'lifetime')
  expect(found?.status).toBe(status)
})
