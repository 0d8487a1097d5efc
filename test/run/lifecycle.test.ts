/** Register, update, read, delete and prove dead: both forms of the PUT, both forms of the URL, tokens that rotate. */
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import { changeField, type Fault } from '../../mocks/index.ts'
import { course, type Kind, notPassed, runOnTwin, stepOf, type TwinRun } from '../support/run.ts'

const CLIENT = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
const CUSTOM = 'https://auth.uat.threddid.com/confidential-clients/oauth2/register/'
const OLD = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients/oauth2/register/'

const bodies = ['acp', 'rfc'] as const
const addresses = [
  { uriForm: 'raw', uriHost: 'custom', uri: `${CUSTOM}${CLIENT}` },
  { uriForm: 'encoded', uriHost: 'old', uri: `${OLD}${encodeURIComponent(CLIENT)}` },
] as const
const kinds: readonly Kind[] = ['tls', 'in-process']

test.for(bodies.flatMap((body) => addresses.flatMap((address) => kinds.map((kind) => ({ body, kind, ...address })))))(
  'the lifecycle holds with UPDATE_BODY=$body and a $uriForm registration_client_uri: $kind',
  async (one) => {
    const { body, kind, uri, ...switches } = one
    await using ran = await runOnTwin({ flows: ['lifecycle'], kind, switches, settings: { UPDATE_BODY: body } })

    expect(ran.record.workflows.flatMap(({ steps }) => steps).flatMap(notPassed)).toEqual([])
    expect(ran.record.verdict).toBe('conformant')
    const [taken, other] = body === 'acp' ? ['update-acp', 'update-rfc'] : ['update-rfc', 'update-acp']
    expect(course(ran.record)).toContain(`${taken} passed`)
    expect(course(ran.record)).toContain(`${other} skipped: the path taken did not lead here`)
    // Byte for byte as the server gave it (RFC 7592 appendix B), for every management call.
    expect(managed(ran).map(({ url }) => url)).toEqual([uri, uri, uri, uri, uri])
  },
)

test.for(bodies)('a %s update carries what RFC 7592 section 2.2 demands and nothing that it forbids', async (body) => {
  await using ran = await runOnTwin({ flows: ['lifecycle'], settings: { UPDATE_BODY: body } })

  const sent = JSON.parse(ran.traffic.find(({ operation }) => operation === 'updateClient')?.requestBody ?? '')
  expect(sent).toMatchObject({ client_id: CLIENT, scopes: ['cards.read', 'pin.read', 'pin.write', 'cvv.read'] })
  const forbidden = [
    'registration_access_token',
    'registration_client_uri',
    'client_secret_expires_at',
    'client_id_issued_at',
  ]
  expect(forbidden.filter((member) => member in sent)).toEqual([])
  const statements = ran.traffic.filter(({ operation }) => operation === 'getSoftwareStatementAssertion')
  expect(sent.software_statement).toBe(statements.at(-1)?.responseBody)
})

test.for([
  [false, false, 1],
  [true, false, 3],
  [false, true, 2],
  [true, true, 4],
] as const)(
  'tokens that rotate on GET (%s) and on PUT (%s) are followed: %i tokens',
  async ([read, update, tokens]) => {
    const switches = { rotateOnRead: read, rotateOnUpdate: update }
    await using ran = await runOnTwin({ flows: ['lifecycle'], switches })

    expect(ran.record.verdict).toBe('conformant')
    const used = managed(ran).map(
      ({ requestHeaders }) => requestHeaders.find(([name]) => name === 'authorization')?.[1],
    )
    // GET, PUT, GET, DELETE, and the GET that must be refused.
    expect(used).toHaveLength(5)
    expect(new Set(used).size).toBe(tokens)
    expect(used[4]).toBe(used[3])
  },
)

test('a deleted client is marked deleted in the vault, so that the next run starts clean', async () => {
  await using first = await runOnTwin({ flows: ['lifecycle'] })
  await using second = await runOnTwin({ flows: ['lifecycle'], folder: first.folder, twin: first.twin })

  expect(second.record.verdict).toBe('conformant')
})

/** What may still live after the DELETE, and the step that must find it. */
const ALIVE: readonly (readonly [what: string, operation: string, answer: object, step: string, red: string])[] = [
  ['the registration', 'readClient', { client_id: CLIENT }, 'registration-token-is-dead', '$statusCode == 401'],
  [
    'the client',
    'token',
    { access_token: 'alive-4815162342', token_type: 'Bearer', expires_in: 600 },
    'client-is-dead',
    '$statusCode == 401 || $statusCode == 400',
  ],
]

test.for(ALIVE)('%s that outlives its deletion is found', async ([what, operation, answer, stepId, red]) => {
  await using ran = await runOnTwin({ flows: ['lifecycle'], faults: [afterDelete(what, operation, answer)] })

  expect(ran.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1 })
  expect(course(ran.record)).toContain('delete passed')
  const checks = notPassed(stepOf(ran.record, stepId)).filter(({ status }) => status === 'fail')
  expect(checks).toContainEqual(expect.objectContaining({ title: red, actual: '200' }))
})

test('an API access token that outlives its client is a warning: RFC 7592 section 2.3 only says should', async () => {
  await using ran = await runOnTwin({ flows: ['lifecycle'], switches: { tokensAfterDelete: 'alive' } })

  expect(ran.record.exitCode).toBe(0)
  expect(notPassed(stepOf(ran.record, 'api-token-is-dead'))).toEqual([
    {
      id: 'criterion 1',
      status: 'warn',
      title: '$statusCode == 401',
      expected: '401',
      actual: '200',
    },
  ])
})

test('an update that the server ignores is found by reading back', async () => {
  const ignored = changeField('updateClient', '/scopes', ['cards.read', 'cards.write', 'pin.read'])
  await using ran = await runOnTwin({ flows: ['lifecycle'], faults: [ignored] })

  // What the PUT answers is a warning only; what a later GET shows decides.
  const update = ran.record.workflows[0]?.steps.find(({ stepId }) => stepId === 'update-acp')
  expect(update?.checks.find(({ id }) => id === 'scopes')).toMatchObject({
    status: 'warn',
    actual: '3, without pin.write cvv.read, with cards.write',
  })
})

function managed(ran: TwinRun) {
  return ran.traffic.filter(({ operation }) => ['readClient', 'updateClient', 'deleteClient'].includes(operation ?? ''))
}

/** Answers 200 once a client was deleted, as if it was not. */
function afterDelete(what: string, operation: string, answer: object): Fault {
  return {
    name: `${what} alive`,
    what: `${what} outlives the deletion`,
    handlers: (twin) => [
      http.all(
        ({ request }) =>
          twin.operationOf(request) === operation &&
          twin.log.some(({ method, status }) => method === 'DELETE' && status === 204),
        () => HttpResponse.json(answer),
      ),
    ],
  }
}
