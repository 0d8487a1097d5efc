/** What was asked for against what came: each rule is broken by a server, and what no rule is about is shown. */
import { expect, test } from 'vitest'
import { changeField } from '../../mocks/index.ts'
import { compareAsked, RULES } from '../../src/execute/asked.ts'
import { Redactor } from '../../src/secret/index.ts'
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

const FULL: Readonly<Record<string, unknown>> = {
  grant_types: ['client_credentials'],
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'PS256',
  request_object_signing_alg: 'RS256',
  application_type: 'service',
  tls_client_certificate_bound_access_tokens: true,
  software_statement: 'header.claims.signature',
  scope: 'a b',
  contacts: ['one@example.com', 'two@example.com'],
  client_uri: null,
}

/** What of an answer that is like the request but for `changes` is not passed, by member, and what differs. */
function compared(changes: Readonly<Record<string, unknown>>) {
  const answer = { ...FULL, ...changes }
  const { checks = [], differences = [] } =
    compareAsked(FULL, answer, { except: new Set(), redactor: new Redactor(new Uint8Array(32)) }) ?? {}
  const open = checks.filter(({ status }) => status !== 'pass').map(({ id, status }) => `${id} ${status}`)
  return { open, differ: differences.map(({ member }) => member) }
}

test.for([
  ['grant_types', 'implicit'],
  ['token_endpoint_auth_method', 'client_secret_basic'],
  ['token_endpoint_auth_signing_alg', 'RS256'],
  ['request_object_signing_alg', 'none'],
  ['application_type', 'web'],
  ['tls_client_certificate_bound_access_tokens', false],
  ['software_statement', 'another.claims.signature'],
] as const)(
  'the rule about %s alone fails another value, and warns where the member is left out',
  ([member, value]) => {
    expect(compared({})).toEqual({ open: [], differ: [] })
    expect(compared({ [member]: value })).toEqual({ open: [`asked ${member} fail`], differ: [member] })
    expect(compared({ [member]: undefined })).toEqual({ open: [`asked ${member} warn`], differ: [member] })
  },
)

test('what the request changed on purpose is shown, and not judged', () => {
  const answer = { ...FULL, application_type: 'web' }
  const { checks, differences } =
    compareAsked(FULL, answer, { except: new Set(['application_type']), redactor: new Redactor(new Uint8Array(32)) }) ??
    {}

  expect(checks?.map(({ id }) => id)).not.toContain('asked application_type')
  expect(differences?.map(({ member }) => member)).toEqual(['application_type'])
})

test('an open algorithm of assertions, another order, and one text for a list of it are what was asked for', () => {
  expect(compared({ token_endpoint_auth_signing_alg: '' }).open).toEqual([])
  expect(compared({ contacts: ['two@example.com', 'one@example.com'], scope: 'b a' }).differ).toEqual([])
  expect(compared({ grant_types: 'client_credentials' })).toEqual({ open: [], differ: [] })
  // null asks for nothing (RFC 7592 section 2.2).
  expect(compared({ client_uri: 'https://example.com' }).differ).toEqual([])
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
  [90_000, 1, 'fail'],
  [600_000_000, 1, 'fail'],
] as const)('an access token that lives %i seconds', async ([seconds, exitCode, status]) => {
  await using ran = await runOnTwin({ faults: [changeField('token', '/expires_in', seconds)] })

  expect(ran.record.exitCode).toBe(exitCode)
  const found = notPassed(stepOf(ran.record, 'api-token')).find(({ id }) => id === 'lifetime')
  expect(found?.status).toBe(status)
})
