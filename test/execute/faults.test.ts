/**
 * Each check is turned red by a fault of the twin made for it, and by nothing else: every member of every answer, every
 * criterion of the flow, and what the network can do to a run.
 */
import { createServer } from 'node:net'
import { HttpResponse, http } from 'msw'
import { beforeAll, expect, test } from 'vitest'
import {
  changeContentType,
  changeField,
  changeHeader,
  changeStatus,
  type Fault,
  loseAnswer,
  replaceBody,
} from '../../mocks/index.ts'
import { nestedSteps } from '../../src/flow/arazzo/needs.ts'
import type { Criterion, Flow } from '../../src/flow/index.ts'
import { exitCodeOf, verdictOf, type WorkflowRecord } from '../../src/record/index.ts'
import { FILE_LIMITS } from '../../src/record/limits.ts'
import { course, type Kind, notPassed, runOnTwin, type Stage, setStage, stepOf, workflowOf } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage('register')
})

/** Steps whose documented answer is a JSON object, with the operation they call. */
const ANSWERS = [
  ['authorization-discovery', 'authorizationDiscovery'],
  ['directory-discovery', 'directoryDiscovery'],
  ['software-statement/directory-token', 'directoryToken'],
  ['register', 'registerClient'],
  ['read-back', 'readClient'],
  ['api-token', 'token'],
] as const

/** Steps whose members are not changed here: none is described, or a missing one says that the client waits. */
const WITHOUT_MEMBERS = ['software-statement/statement', 'cards-call', 'metadata']

/** The members without which an answer breaks a rule whatever the flow asks; the clauses are in test/flow/apis.test.ts. */
const METADATA = [
  'issuer',
  'authorization_endpoint',
  'token_endpoint',
  'jwks_uri',
  'response_types_supported',
  'subject_types_supported',
  'id_token_signing_alg_values_supported',
]
const REQUIRED: Readonly<Record<(typeof ANSWERS)[number][1], readonly string[]>> = {
  authorizationDiscovery: METADATA,
  directoryDiscovery: METADATA,
  directoryToken: ['access_token', 'token_type'],
  registerClient: [
    'client_id',
    'client_secret_expires_at',
    'jwks/keys',
    'registration_access_token',
    'registration_client_uri',
  ],
  readClient: [
    'client_id',
    'client_secret_expires_at',
    'jwks/keys',
    'registration_access_token',
    'registration_client_uri',
  ],
  token: ['access_token', 'token_type'],
}

const SCOPE = /^\/scopes?(?:\/|$)/

test('the steps with and without described members are all steps of the flow', () => {
  const steps = callsOf(stage.flow).map(({ id }) => id)
  expect([...ANSWERS.map(([stepId]) => stepId), ...WITHOUT_MEMBERS].sort()).toEqual([...steps].sort())
})

test.for(ANSWERS)(
  'in step %s each member of another type turns exactly its checks red',
  async ([stepId, operation]) => {
    const changed = membersOf(await answerOf(operation)).map((member) => ({
      ...member,
      ...criteriaOn(member.pointer, member.value, stepId),
    }))

    const misses: unknown[] = []
    for (const members of playedTogether(changed, ({ red }) => red.length > 0)) {
      const faults = members.map(({ pointer, value }) => changeField(operation, pointer, retyped(value)))
      const { workflows } = await stage.play(...faults)
      const red = members.flatMap((one) => [`schema ${one.pointer}`, ...one.red])
      misses.push(...difference(`${pointersOf(members)} retyped`, workflows, stepId, red, togetherOf(members)))
    }

    expect(misses).toEqual([])
  },
)

test.for(ANSWERS)('in step %s each missing member turns exactly its checks red', async ([stepId, operation]) => {
  // That a list has one item less breaks no rule; what a list must hold is the criteria's to say.
  const removable = membersOf(await answerOf(operation))
    .filter(({ isItem }) => !isItem)
    .map((member) => {
      const { pointer, value } = member
      const isRequired = REQUIRED[operation].includes(pointer.slice(1))
      const { red, warnings } = criteriaOn(pointer, value, stepId, true)
      const asked = operation === 'registerClient' && RULED.includes(pointer) ? [`asked ${pointer.slice(1)}`] : []
      return {
        ...member,
        red: [...(isRequired ? [`schema ${pointer}`] : []), ...red],
        warnings: [...warnings, ...asked],
      }
    })

  const misses: unknown[] = []
  for (const members of playedTogether(removable, ({ red }) => red.length > 0)) {
    const { workflows } = await stage.play(...members.map(({ pointer }) => changeField(operation, pointer, undefined)))
    const red = members.flatMap((one) => one.red)
    misses.push(...difference(`${pointersOf(members)} removed`, workflows, stepId, red, togetherOf(members)))
  }

  expect(misses).toEqual([])
})

interface Changed extends Member {
  readonly red: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * Members whose changes show in checks of their own alone, and hide none of the others, are changed in one run: each check names
 * its member. All others have a run of their own.
 */
function playedTogether(members: readonly Changed[], isAlone: (one: Changed) => boolean): readonly Changed[][] {
  const alone = members.filter(
    (one) => isAlone(one) || one.warnings.length > 0 || SCOPE.test(one.pointer) || membersOf(one.value).length > 0,
  )
  const together = members.filter((one) => !alone.includes(one))
  return [...chunksOf(together, FILE_LIMITS.violations.value), ...alone.map((one) => [one])]
}

function chunksOf<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  )
}

function pointersOf(members: readonly Changed[]): string {
  return members.map(({ pointer }) => pointer).join(', ')
}

function togetherOf(members: readonly Changed[]) {
  return { warnings: members.flatMap(({ warnings }) => warnings), pointer: members[0]?.pointer ?? '' }
}

/** A fault for each criterion of the flow, by step and condition, and all checks that it turns red. */
const CRITERIA: readonly (readonly [step: string, condition: string, fault: Fault, red: readonly string[]])[] = [
  [
    'authorization-discovery',
    '$statusCode == 200',
    changeStatus('authorizationDiscovery', 203),
    ['status', 'criterion 1'],
  ],
  [
    'authorization-discovery',
    '$response.body#/issuer == $inputs.server_authorization',
    changeField('authorizationDiscovery', '/issuer', 'https://elsewhere.example'),
    ['criterion 2'],
  ],
  [
    'authorization-discovery',
    "$[?$.registration_endpoint == '{$inputs.server_authorization}/oauth2/register']",
    changeField('authorizationDiscovery', '/registration_endpoint', 'https://elsewhere.example/oauth2/register'),
    ['criterion 3'],
  ],
  [
    'authorization-discovery',
    "$[?$.token_endpoint == '{$inputs.server_authorization}/oauth2/token']",
    changeField('authorizationDiscovery', '/token_endpoint', 'https://elsewhere.example/oauth2/token'),
    ['criterion 4'],
  ],
  [
    'authorization-discovery',
    "$.token_endpoint_auth_methods_supported[?@ == 'private_key_jwt']",
    changeField('authorizationDiscovery', '/token_endpoint_auth_methods_supported', ['client_secret_basic']),
    ['criterion 5'],
  ],
  [
    'authorization-discovery',
    "$.grant_types_supported[?@ == 'client_credentials']",
    changeField('authorizationDiscovery', '/grant_types_supported', ['implicit']),
    ['criterion 6'],
  ],
  [
    'authorization-discovery',
    '$response.body#/tls_client_certificate_bound_access_tokens == true',
    changeField('authorizationDiscovery', '/tls_client_certificate_bound_access_tokens', false),
    ['criterion 7'],
  ],
  ['directory-discovery', '$statusCode == 200', changeStatus('directoryDiscovery', 203), ['status', 'criterion 1']],
  [
    'directory-discovery',
    '$response.body#/issuer == $inputs.server_directory',
    changeField('directoryDiscovery', '/issuer', 'https://elsewhere.example'),
    ['criterion 2'],
  ],
  [
    'directory-discovery',
    "$[?$.mtls_endpoint_aliases.token_endpoint == '{$inputs.server_directory_mtls}/token']",
    changeField('directoryDiscovery', '/mtls_endpoint_aliases/token_endpoint', 'https://elsewhere.example/token'),
    ['criterion 3'],
  ],
  [
    'directory-discovery',
    "$.scopes_supported[?@ == 'directory:software']",
    changeField('directoryDiscovery', '/scopes_supported', ['openid']),
    ['criterion 4'],
  ],
  [
    'software-statement/directory-token',
    '$statusCode == 200',
    changeStatus('directoryToken', 203),
    ['status', 'criterion 1'],
  ],
  [
    'software-statement/directory-token',
    "$response.body#/token_type == 'Bearer'",
    changeField('directoryToken', '/token_type', 'DPoP'),
    ['schema /token_type', 'criterion 2'],
  ],
  [
    'software-statement/statement',
    '$statusCode == 200',
    changeStatus('getSoftwareStatementAssertion', 203),
    ['status', 'criterion 1'],
  ],
  ['register', '$statusCode == 201', changeStatus('registerClient', 200), ['status', 'criterion 1']],
  [
    'register',
    '$response.body#/client_id == $inputs.client_id',
    changeField('registerClient', '/client_id', 'another-client'),
    ['criterion 2'],
  ],
  [
    'register',
    '$response.body#/software_id == $inputs.software_id',
    changeField('registerClient', '/software_id', 'another-application'),
    ['criterion 3'],
  ],
  [
    'register',
    '$response.body#/software_statement == $steps.software-statement.outputs.software_statement',
    changeField(
      'registerClient',
      '/software_statement',
      'eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJlbHNld2hlcmUifQ.c2lnbmF0dXJl',
    ),
    ['criterion 4'],
  ],
  [
    'register',
    "$.grant_types[?@ == 'client_credentials']",
    changeField('registerClient', '/grant_types', ['authorization_code']),
    ['criterion 5'],
  ],
  [
    'register',
    "$response.body#/token_endpoint_auth_method == 'private_key_jwt'",
    changeField('registerClient', '/token_endpoint_auth_method', 'client_secret_basic'),
    ['criterion 6'],
  ],
  [
    'register',
    '$response.body#/tls_client_certificate_bound_access_tokens == true',
    changeField('registerClient', '/tls_client_certificate_bound_access_tokens', false),
    ['criterion 7'],
  ],
  ['register', 'no-store', changeHeader('registerClient', 'cache-control', 'max-age=60'), ['criterion 8']],
  ['read-back', '$statusCode == 200', changeStatus('readClient', 203), ['status', 'criterion 1']],
  [
    'read-back',
    '$response.body#/client_id == $steps.register.outputs.client_id',
    changeField('readClient', '/client_id', 'another-client'),
    ['criterion 2'],
  ],
  [
    'read-back',
    '$response.body#/registration_client_uri == $steps.register.outputs.registration_client_uri',
    changeField('readClient', '/registration_client_uri', 'https://auth.uat.threddid.com/elsewhere'),
    ['criterion 3'],
  ],
  ['api-token', '$statusCode == 200', changeStatus('token', 203), ['status', 'criterion 1']],
  [
    'api-token',
    "$response.body#/token_type == 'Bearer'",
    changeField('token', '/token_type', 'DPoP'),
    ['schema /token_type', 'criterion 2'],
  ],
  [
    'api-token',
    '$response.body#/expires_in > 0',
    changeField('token', '/expires_in', 0),
    ['schema /expires_in', 'criterion 3'],
  ],
  ['api-token', 'no-store', changeHeader('token', 'cache-control', undefined), ['criterion 4']],
  ['cards-call', '$statusCode == 200', changeStatus('cardsSmoke', 203), ['status', 'criterion 2']],
  ['metadata', '$statusCode == 200', changeStatus('introspect', 203), ['status', 'criterion 1']],
  ['metadata', '$response.body#/active == true', changeField('introspect', '/active', false), ['criterion 2']],
]

/** A fault for each criterion that only Thredd can make hold. */
const WAITING: readonly (readonly [step: string, condition: string, fault: Fault])[] = [
  ['cards-call', '$statusCode != 403', changeStatus('cardsSmoke', 403)],
  ['metadata', '$response.body: $.pmid', changeField('introspect', '/pmid', undefined)],
]

test('every criterion of the flow has a fault that turns it red', () => {
  const criteria = callsOf(stage.flow).flatMap(({ id, step }) =>
    step.criteria.map(({ condition, text, waitsFor }) =>
      waitsFor === undefined ? `${id}: ${condition.text}` : `${id} waits: ${text}`,
    ),
  )
  const rows = [
    ...CRITERIA.map(([step, condition]) => `${step}: ${condition}`),
    ...WAITING.map(([step, condition]) => `${step} waits: ${condition}`),
  ]
  expect(rows.toSorted()).toEqual(criteria.toSorted())
})

test.for(WAITING)(
  'in step %s the condition %s is not red for its fault: Thredd has to act',
  async ([stepId, , fault]) => {
    const { workflows } = await stage.play(fault)

    expect(stepOf({ workflows: [...workflows] }, stepId)).toMatchObject({
      status: 'errored',
      error: { code: 'WAITING_FOR_THREDD' },
    })
  },
)

test.for(CRITERIA)('in step %s the condition %s is red for its fault', async ([stepId, condition, fault, red]) => {
  const { workflows } = await stage.play(fault)

  const checks = notPassed(stepOf({ workflows: [...workflows] }, stepId))
  expect(checks.map(({ id }) => id)).toEqual(red)
  expect(checks.at(-1)?.title.endsWith(condition)).toBe(true)
})

test('a failed "should" is a warning: the run stays conformant and says so', async () => {
  await using ran = await runOnTwin({ faults: [changeHeader('registerClient', 'cache-control', undefined)] })

  expect(ran.record).toMatchObject({ verdict: 'conformant', exitCode: 0 })
  expect(notPassed(stepOf(ran.record, 'register'))).toEqual([
    {
      id: 'criterion 8',
      status: 'warn',
      title: '$response.header.Cache-Control: no-store',
      expected: 'no-store',
      actual: 'no such header',
    },
  ])
  expect(ran.screen).toContain('warning header Cache-Control: expected no-store, got no such header')
  expect(ran.screen).toMatch(/conformant {2}1 workflow · 10 steps · \d+ checks · 1 warning · /)
})

test('a wrong member ends the run in exit 1, named on the screen with what was expected and found', async () => {
  await using ran = await runOnTwin({ faults: [changeField('registerClient', '/client_id_issued_at', 'yesterday')] })

  expect(ran.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1 })
  expect(ran.screen).toContain('failed client_id_issued_at: expected integer, got string "yesterday"')
  expect(course(ran.record)).toEqual([
    'authorization-discovery passed',
    'directory-discovery passed',
    'software-statement/directory-token passed',
    'software-statement/statement passed',
    'software-statement passed',
    'register failed',
    'read-back skipped: step "register" failed',
    'api-token skipped: step "register" failed',
    'cards-call skipped: step "register" failed',
    'metadata skipped: step "register" failed',
  ])
})

/** Answers that are wrong as a whole: step, fault, all red checks. What asks for a member is then not judged. */
const WHOLE: readonly (readonly [title: string, step: string, fault: Fault, red: readonly string[]])[] = [
  ['a status nobody documented', 'register', changeStatus('registerClient', 418), ['status', 'criterion 1']],
  ['a documented refusal', 'cards-call', changeStatus('cardsSmoke', 401), ['criterion 2']],
  ['a content type nobody documented', 'api-token', changeContentType('token', 'text/html'), ['content-type']],
  ['no content type', 'api-token', changeHeader('token', 'content-type', undefined), ['content-type']],
  ['text that is not JSON', 'api-token', replaceBody('token', '{"access_token": '), ['schema']],
  ['an empty body', 'api-token', replaceBody('token', ''), ['schema']],
  ['a list instead of an object', 'api-token', replaceBody('token', '[]'), ['schema']],
  [
    'a software statement that is no JWT',
    'software-statement/statement',
    replaceBody('getSoftwareStatementAssertion', 'no JWT at all'),
    ['schema'],
  ],
  [
    'an empty software statement',
    'software-statement/statement',
    replaceBody('getSoftwareStatementAssertion', ''),
    ['schema'],
  ],
  [
    'a software statement as HTML',
    'software-statement/statement',
    changeContentType('getSoftwareStatementAssertion', 'text/html'),
    ['content-type'],
  ],
]

test.for(WHOLE)('%s fails step %s by exactly the checks that say so', async ([, stepId, fault, red]) => {
  const { workflows } = await stage.play(fault)

  expect(difference(fault.name, workflows, stepId, red)).toEqual([])
})

test('a software statement as a JSON string is accepted', async () => {
  const asJson: Fault = {
    name: 'software statement as JSON',
    what: 'the software statement comes as a JSON string',
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === 'getSoftwareStatementAssertion',
        async ({ request }) => HttpResponse.json(await (await twin.pass(request)).text()),
      ),
    ],
  }

  const { workflows } = await stage.play(asJson)

  expect(verdictOf(workflows.map(exitCodeOf))).toEqual({ verdict: 'conformant', exitCode: 0 })
})

test('a scope that the server drops is a warning with both lists', async () => {
  await using ran = await runOnTwin({ inputs: { scopes: 'cards.read eds.read' } })

  expect(ran.record).toMatchObject({ verdict: 'conformant', exitCode: 0 })
  const step = stepOf(ran.record, 'register')
  expect(step.scopes).toEqual({
    requested: ['cards.read', 'eds.read'],
    granted: ['cards.read'],
    missing: ['eds.read'],
    unrequested: [],
  })
  expect(notPassed(step)).toEqual([
    {
      id: 'scopes',
      status: 'warn',
      title: 'the granted scopes are the requested ones',
      expected: 'the 2 that were asked for',
      actual: '1, without eds.read',
    },
  ])
  expect(ran.screen).toContain('warning scopes: expected the 2 that were asked for, got 1, without eds.read')
})

test('scopes that nobody asked for are a warning too', async () => {
  await using ran = await runOnTwin({ switches: { unrequestedScopes: 'internal.read issuer.read' } })

  expect(ran.record.exitCode).toBe(0)
  expect(stepOf(ran.record, 'register').scopes).toMatchObject({
    missing: [],
    unrequested: ['internal.read', 'issuer.read'],
  })
  expect(ran.screen).toContain('expected the 14 that were asked for, got 16, with internal.read issuer.read')
})

test('a certificate that the server refuses ends in exit 3 with one sentence naming identity and host', async () => {
  const { certificateFile, keyFile } = (await sharedPki()).identities.rogue
  await using ran = await runOnTwin({
    kind: 'tls',
    settings: { TRANSPORT_CERT_FILE: certificateFile, TRANSPORT_KEY_FILE: keyFile },
  })

  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
  expect(course(ran.record).slice(0, 2)).toEqual([
    'authorization-discovery errored',
    'directory-discovery skipped: step "authorization-discovery" errored',
  ])
  const step = stepOf(ran.record, 'authorization-discovery')
  expect(step.checks).toEqual([])
  // Node's own server may or may not get its alert out before it closes.
  expect(step.error?.code).toMatch(/^(?:TLS_CLIENT_REFUSED|PEER_CLOSED)$/)
  expect(step.error?.message).toMatch(
    /^"uat-thredd\.mtls\.eu\.authz\.cloudentity\.io" .*refused the certificate of identity "transport" \(valid until \d{4}-\d\d-\d\d\)/,
  )
  expect(ran.screen).toContain(step.error?.message)
})

test('a certificate that the server refuses in-process ends in exit 3 as well', async () => {
  const { certificateFile, keyFile } = (await sharedPki()).identities.rogue
  await using ran = await runOnTwin({ settings: { TRANSPORT_CERT_FILE: certificateFile, TRANSPORT_KEY_FILE: keyFile } })

  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
  expect(stepOf(ran.record, 'authorization-discovery')).toMatchObject({ status: 'errored', checks: [] })
})

test('a server that cannot be reached ends in exit 3 and names the host', async () => {
  const port = await closedPort()
  const server = `https://localhost:${port}`
  const sources = ['DIRECTORY', 'DIRECTORY_MTLS', 'DIRECTORY_API', 'KEYSTORE', 'AUTHORIZATION', 'CARDS', 'API_HUB']
  await using ran = await runOnTwin({
    settings: Object.fromEntries(sources.map((source) => [`SERVER_${source}`, server])),
  })

  expect(ran.record).toMatchObject({ counterparty: 'network', verdict: 'inconclusive', exitCode: 3 })
  const step = stepOf(ran.record, 'authorization-discovery')
  expect(step).toMatchObject({
    status: 'errored',
    checks: [],
    error: { code: 'CONNECT', message: `no connection to "localhost:${port}": the connection was refused` },
    exchanges: [{ sent: 'no' }],
  })
  expect(ran.screen).toContain(step.error?.message)
})

test.for<Kind>(['tls', 'in-process'])(
  'a lost answer is no verdict: exit 3, and nobody claims it was not sent: %s',
  async (kind) => {
    await using ran = await runOnTwin({ kind, faults: [loseAnswer('registerClient')] })

    expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
    expect(stepOf(ran.record, 'register')).toMatchObject({
      status: 'errored',
      checks: [],
      error: { code: 'PEER_CLOSED' },
      exchanges: [{ sent: 'unknown', request: { method: 'POST' } }],
    })
    expect(stepOf(ran.record, 'read-back')).toMatchObject({ status: 'skipped', because: 'step "register" errored' })
    expect(ran.twin.state.clients.size).toBe(1)
  },
)

test('an answer that does not come in time is no verdict: exit 3', async () => {
  const silence: Fault = {
    name: 'token silent',
    what: 'the token endpoint never answers',
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === 'token',
        () => new Promise<never>(() => {}),
      ),
    ],
  }
  await using ran = await runOnTwin({ faults: [silence], settings: { TIMEOUT_MS: '3000' } })

  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
  expect(stepOf(ran.record, 'api-token')).toMatchObject({
    status: 'errored',
    error: {
      code: 'TIMEOUT',
      message: '"uat-thredd.mtls.eu.authz.cloudentity.io" did not answer within 3000 ms',
    },
    exchanges: [{ sent: 'unknown' }],
  })
})

/** What the twin really answers, as JSON. */
async function answerOf(operation: string): Promise<unknown> {
  const { traffic } = await stage.play()
  const entry = traffic.find((one) => one.operation === operation)
  return JSON.parse(entry?.responseBody ?? '') as unknown
}

interface Member {
  /** RFC 6901 */
  readonly pointer: string
  readonly value: unknown
  readonly isItem: boolean
}

/** Every member below `value`; of a list the first item stands for all. */
function membersOf(value: unknown, pointer = ''): Member[] {
  if (typeof value !== 'object' || value === null) return []
  const isItem = Array.isArray(value)
  const entries = isItem ? Object.entries(value).slice(0, 1) : Object.entries(value)
  return entries.flatMap(([name, member]) => {
    const below = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    return [{ pointer: below, value: member, isItem }, ...membersOf(member, below)]
  })
}

function retyped(value: unknown): unknown {
  return typeof value === 'string' ? 4711 : 'text'
}

/** Members that the request asks for, with a rule about them and no criterion. */
const RULED = ['/application_type', '/request_object_signing_alg', '/id_token_signed_response_alg']

/**
 * The criteria of a step that a change of the member must turn red, by the members their conditions name. Where an optional one
 * is missing its criterion warns.
 */
function criteriaOn(pointer: string, value: unknown, stepId: string, isRemoved = false) {
  const criteria = callsOf(stage.flow).find(({ id }) => id === stepId)?.step.criteria
  const read = (criteria ?? []).flatMap((criterion, index) => {
    const isRead = pointersIn(criterion).some(
      (read) =>
        `${read}/`.startsWith(`${pointer}/`) ||
        // An item of a list that is searched for a value: only the item with that value matters.
        (pointer.startsWith(`${read}/`) && criterion.condition.text.includes(`'${String(value)}'`)),
    )
    const isMissing = pointersIn(criterion).some((read) =>
      isRemoved ? `${read}/`.startsWith(`${pointer}/`) : read.startsWith(`${pointer}/`),
    )
    const isMust = criterion.level === 'must' && !(criterion.optional && isMissing)
    return isRead ? [{ id: `criterion ${index + 1}`, isMust }] : []
  })
  const idsOf = (must: boolean) => read.filter(({ isMust }) => isMust === must).map(({ id }) => id)
  return { red: idsOf(true), warnings: idsOf(false) }
}

function pointersIn({ condition: { text } }: Criterion): string[] {
  const pointers = [...text.matchAll(/\$response\.body#([\w/]+)/g)].map(([, pointer = '']) => pointer)
  const paths = [...text.matchAll(/\$((?:\.\w+)+)/g)].map(([, path = '']) => path.replaceAll('.', '/'))
  return [...pointers, ...paths]
}

/** Nothing where the fault, if it breaks a rule, failed its step by exactly the expected checks, spared the steps before and skipped the rest. */
function difference(
  name: string,
  workflows: readonly WorkflowRecord[],
  stepId: string,
  expected: readonly string[],
  {
    warnings = [],
    pointer = '',
  }: { readonly warnings?: readonly string[] | undefined; readonly pointer?: string } = {},
): unknown[] {
  const { steps } = workflowOf({ workflows: [...workflows] })
  const index = steps.findIndex((step) => step.stepId === stepId)
  const failsAt = expected.length === 0 ? steps.length : index
  const wanted = {
    exitCode: expected.length === 0 ? 0 : 1,
    course: steps.map((step, position) => wantedOf(step.stepId, position - failsAt, stepId)),
    red: [...expected].sort(),
    warnings: [...warnings],
  }
  // Granted scopes that are other than the requested ones are a warning whatever else is wrong with them.
  const isScope = SCOPE.test(pointer)
  const checks = steps[index]?.checks ?? []
  const found = {
    exitCode: verdictOf(workflows.map(exitCodeOf)).exitCode,
    course: course({ workflows: [...workflows] }),
    red: checks
      .filter(({ status }) => status === 'fail')
      .map(({ id }) => id)
      .sort(),
    warnings: checks.filter(({ status, id }) => status === 'warn' && !(isScope && id === 'scopes')).map(({ id }) => id),
  }
  return JSON.stringify(found) === JSON.stringify(wanted) ? [] : [{ name, wanted, found }]
}

/** What becomes of a step, `after` steps after the one that fails. One that a step runs ends that step too. */
function wantedOf(name: string, after: number, failed: string): string {
  const [outer = '', inner] = failed.split('/')
  if (after < 0) return `${name} passed`
  if (after === 0 || name === outer) return `${name} failed`
  return `${name} skipped: step "${inner !== undefined && name.startsWith(`${outer}/`) ? inner : outer}" failed`
}

function callsOf(flow: Flow) {
  return flow.workflows.flatMap((one) => nestedSteps(flow, one)).filter(({ step }) => step.kind === 'call')
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
