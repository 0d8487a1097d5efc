/** Our one extension key: alterations, cases with their controls, steps that always run, and a step by itself. */
import { createHmac, createPublicKey } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTwin, faultsOf } from '../../mocks/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import type { ToolError } from '../../src/record/errors.ts'
import { rehearse, resolve } from '../../src/run/index.ts'
import { attemptOnTwin, course, ROOT, type RunOnTwinOptions, runOnTwin, stepOf } from '../support/run.ts'
import { play, problemsOf } from '../support/script.ts'
import { sharedPki } from '../support/twin.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-x-dcr-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const HEAD = `arazzo: 1.1.0
info: { title: Extensions, version: 1.0.0 }
sourceDescriptions:
  - { name: authorization, url: '${join(ROOT, 'flows/apis/authorization.openapi.yaml')}', type: openapi }
  - { name: directory_mtls, url: '${join(ROOT, 'flows/apis/directory.openapi.yaml')}', type: openapi }
  - { name: directory_api, url: '${join(ROOT, 'flows/apis/directory-api.openapi.yaml')}', type: openapi }
workflows:
`
const INPUTS = `
    inputs:
      type: object
      required: [client_id, org_id, software_id]
      properties:
        client_id: { type: string }
        org_id: { type: string }
        software_id: { type: string }
        assertion:
          type: string
          format: password
          x-dcr: { mint: client_assertion }`

const TOKEN = `
        operationId: $sourceDescriptions.directory_mtls.directoryToken
        requestBody:
          contentType: application/x-www-form-urlencoded
          payload:
            grant_type: client_credentials
            scope: directory:software
            client_id: $inputs.client_id
            client_assertion_type: urn:ietf:params:oauth:client-assertion-type:jwt-bearer
            client_assertion: $inputs.assertion
        successCriteria: [{ condition: $statusCode == 200 }]
        outputs: { access_token: $response.body#/access_token }`

async function onTwin(workflow: string, options: RunOnTwinOptions = {}) {
  const file = join(folder, 'extension.arazzo.yaml')
  await writeFile(file, HEAD + workflow)
  return await runOnTwin({ flows: [file], settings: { DIRECTORY_AUTH_METHOD: 'private_key_jwt' }, ...options })
}

/** One change each to an otherwise good client assertion (RFC 7523 §3). */
const ASSERTION_CASES = {
  expired: '{ set: jwt, in: client_assertion, claim: exp, value: 1 }',
  'no-exp': '{ remove: jwt, in: client_assertion, claim: exp }',
  'no-jti': '{ remove: jwt, in: client_assertion, claim: jti }',
  'from-the-future': '{ set: jwt, in: client_assertion, claim: iat, value: 4102444800 }',
  'other-audience': '{ set: jwt, in: client_assertion, claim: aud, value: https://elsewhere.example }',
  'other-issuer': "{ set: jwt, in: client_assertion, claim: iss, value: '{$inputs.client_id}x' }",
  'no-subject': '{ remove: jwt, in: client_assertion, claim: sub }',
  'unknown-kid': '{ set: jwt, in: client_assertion, header: kid, value: nobody }',
  'no-kid': '{ remove: jwt, in: client_assertion, header: kid }',
  'other-alg': '{ set: jwt, in: client_assertion, header: alg, value: HS256 }',
  unsigned: '{ set: jwt, in: client_assertion, signature: none }',
  damaged: '{ set: jwt, in: client_assertion, signature: damaged }',
  'other-key': '{ set: jwt, in: client_assertion, key: other }',
  'public-key-as-secret': '{ set: jwt, in: client_assertion, key: public }',
  'no-jwt': '{ set: form, name: client_assertion, value: none }',
  'other-type': '{ set: form, name: client_assertion_type, value: none }',
} as const

test('each alteration of a client assertion is refused by the twin, and the unaltered one is accepted before and after', async () => {
  const cases = Object.entries(ASSERTION_CASES).map(
    ([id, change]) => `
            - { id: ${id}, clauses: [RFC7523-3], alter: [${change}], expect: refused }`,
  )
  await using ran = await onTwin(
    `
  - workflowId: assertions
    x-dcr: { effect: read }${INPUTS}
    steps:
      - stepId: token
        x-dcr:
          cases:${cases.join('')}${TOKEN}
    outputs: { token: $steps.token.outputs.access_token }`,
    // Both are optional by the standards.
    { switches: { requireKid: true, requireJti: true } },
  )

  expect(course(ran.record)).toEqual([
    'token/control-before passed',
    ...Object.keys(ASSERTION_CASES).map((id) => `token/${id} passed`),
    'token/control-after passed',
    'token passed',
  ])
  expect(ran.record).toMatchObject({ verdict: 'conformant' })
  expect(stepOf(ran.record, 'token/expired')).toMatchObject({
    case: { of: 'token', id: 'expired', control: false },
    alterations: ['set claim exp of the JWT in client_assertion = 1'],
    clauses: ['RFC7523-3'],
    checks: [{ id: 'refused', status: 'pass', clauses: ['RFC7523-3'] }],
  })
  expect(stepOf(ran.record, 'token').checks).toMatchObject([{ id: 'cases', status: 'pass', actual: 'all 16 passed' }])
  expect(ran.record.workflows[0]?.outputs).toEqual({ token: expect.stringMatching(/^\[access_token#/) })
})

test('each altered assertion differs in just the one thing, with a signature that fits the rest', async () => {
  await using ran = await onTwin(`
  - workflowId: one
    x-dcr: { effect: read }${INPUTS}
    steps:
      - stepId: token
        x-dcr:
          alter:
            - { set: jwt, in: client_assertion, claim: aud, value: 'x-{$inputs.software_id}' }
            - { set: jwt, in: client_assertion, claim: nested, value: { a: [1, true] } }
          expect: refused${TOKEN.replace(/\n {8}successCriteria[\s\S]*/, '')}`)

  const form = new URLSearchParams(ran.traffic[0]?.requestBody)
  const [header, claims] = (form.get('client_assertion') ?? '')
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')))
  expect(header).toEqual({ alg: 'PS256', kid: 'offline-twin-signing', typ: 'JWT' })
  expect(claims).toMatchObject({ aud: expect.stringMatching(/^x-/), nested: { a: [1, true] }, jti: expect.any(String) })
  expect(course(ran.record)).toEqual(['token passed'])
})

test('key: public signs by HS256 with the public key, as a server that trusts the header would verify it', async () => {
  await using ran = await onTwin(`
  - workflowId: one
    x-dcr: { effect: read }${INPUTS}
    steps:
      - stepId: token
        x-dcr: { alter: [{ set: jwt, in: client_assertion, key: public }], expect: refused }${TOKEN.replace(/\n {8}successCriteria[\s\S]*/, '')}`)

  const jwt = new URLSearchParams(ran.traffic[0]?.requestBody).get('client_assertion') ?? ''
  const [header = '', claims = '', signature] = jwt.split('.')
  const { signing } = (await sharedPki()).identities
  const secret = createPublicKey(await readFile(signing.keyFile)).export({ type: 'spki', format: 'pem' })
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({ alg: 'HS256', typ: 'JWT' })
  expect(signature).toBe(createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url'))
  expect(course(ran.record)).toEqual(['token passed'])
})

test('a JWT in a header is changed where it stands, whoever signed it', async () => {
  const {
    requests,
    signed,
    course: steps,
  } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    inputs:
      type: object
      properties:
        theirs: { type: string, default: Bearer eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiIxIn0.AAAA }
        ours: { type: string, x-dcr: { mint: client_assertion, audience: a, alg: PS256 } }
    steps:
      - stepId: a
        ${ALIVE}
        parameters:
          - { name: Authorization, in: header, value: $inputs.theirs }
          - { name: Accept, in: header, value: 'JWT {$inputs.ours}' }
        x-dcr:
          expect: refused
          alter:
            - { set: jwt, name: authorization, signature: damaged }
            - { set: jwt, name: Accept, claim: exp, value: 1 }`,
    { replies: { 'GET /status': [{ status: 401 }] } },
  )

  expect(steps).toEqual(['one passed', '  a passed'])
  const headers = Object.fromEntries(requests[0]?.headers ?? [])
  expect(headers.authorization).toBe(
    'Bearer eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiIxIn0.AAAA with {"header":{},"claims":{},"signature":"damaged"}',
  )
  expect(headers.accept).toMatch(/^JWT eyJ/)
  expect(signed.at(-1)?.changes?.claims).toEqual(new Map([['exp', 1]]))
})

test('a case may present another certificate, or none; its identities are checked before the run', async () => {
  const flow = (identity: string) => `
  - workflowId: one
    x-dcr: { effect: read }${STRICT}
    steps:
      - stepId: a
        ${ALIVE}
        x-dcr:
          control: before
          cases: [{ id: other, identity: ${identity}, expect: refused }]`
  const { course: steps, workflows } = await play(flow('none'), {
    replies: { 'GET /status': [{}, { status: 401 }] },
  })

  expect(steps).toEqual(['one passed', '  a/control-before passed', '  a/other passed', '  a passed'])
  expect(workflows[0]?.steps.map(({ identity }) => identity)).toEqual(['transport', 'none', 'transport'])
  await expect(play(flow('stranger'))).rejects.toThrow('step "a/other" presents identity "stranger"')
})

test('a dry run shows each case as it would be sent, and the steps of a workflow that runs as a step', async () => {
  const file = join(folder, 'dry.arazzo.yaml')
  await writeFile(
    file,
    `${HEAD}
  - workflowId: outer
    x-dcr: { effect: read }
    inputs: { type: object, required: [client_id], properties: { client_id: { type: string } } }
    steps:
      - { stepId: inner, workflowId: inner, parameters: [{ name: id, value: 'x-{$inputs.client_id}' }] }
      - { stepId: again, workflowId: outer }
  - workflowId: inner
    x-dcr: { effect: read }
    inputs:
      type: object
      properties:
        id: { type: string }
        assertion: { type: string, x-dcr: { mint: client_assertion, audience: a, alg: PS256 } }
    steps:
      - stepId: token
        operationId: $sourceDescriptions.directory_mtls.directoryToken
        requestBody:
          contentType: application/x-www-form-urlencoded
          payload: { client_id: $inputs.id, client_assertion: $inputs.assertion }
        x-dcr:
          control: after
          cases:
            - id: late
              alter: [{ set: jwt, in: client_assertion, claim: exp, value: 1 }, { set: form, name: client_id, value: y }]
              expect: refused`,
  )

  const request = await resolve({
    selection: { flows: [file], workflow: 'outer', folders: [ROOT] },
    // A vault of its own: that of the clone may be of another version.
    environment: {
      env: 'mock',
      folder: ROOT,
      variables: { THREDD_CLIENT_ID: '1', THREDD_VAULT_DIR: join(folder, 'vault') },
    },
  })
  const { workflows } = await rehearse(request, {
    out: folder,
    version: '0',
    twin: async () => ({
      kind: 'twin-in-process',
      answer: async () => new Response(),
      async [Symbol.asyncDispose]() {},
    }),
  })

  expect(workflows.flatMap(({ steps }) => steps.map(({ stepId, body }) => [stepId, body]))).toEqual([
    ['inner/token/late', 'client_id=y\nclient_assertion=[set claim exp of the JWT in client_assertion = 1]'],
    ['inner/token/control-after', 'client_id=x-1\nclient_assertion=[assertion]'],
  ])
})

const SSA = `
      - stepId: token${TOKEN}
      - stepId: statement
        operationId: $sourceDescriptions.directory_api.getSoftwareStatementAssertion
        parameters:
          - { name: organisation_id, in: path, value: $inputs.org_id }
          - { name: software_statement_id, in: path, value: $inputs.software_id }
          - { name: Authorization, in: header, value: 'Bearer {$steps.token.outputs.access_token}' }
        outputs: { statement: $response.body }`

test('a software statement assertion without its own signature is refused, then the good one registers', async () => {
  await using ran = await onTwin(`
  - workflowId: statements
    x-dcr: { effect: register }${INPUTS}
    steps:${SSA}
      - stepId: register
        operationId: $sourceDescriptions.authorization.registerClient
        x-dcr:
          control: after
          cases:
            - { id: damaged, alter: [{ set: jwt, in: software_statement, signature: damaged }], expect: refused }
            - { id: unsigned, alter: [{ set: jwt, in: software_statement, signature: none }], expect: refused }
            - id: other-key
              alter: [{ set: jwt, in: software_statement, key: other }]
              criteria:
                - condition: $statusCode == 400
                - condition: $response.body#/error == 'invalid_software_statement'
            - { id: absent, alter: [{ remove: body, at: /software_statement }], expect: refused }
        requestBody:
          contentType: application/json
          payload:
            grant_types: [client_credentials]
            application_types: [service, dcr]
            application_type: service
            token_endpoint_auth_method: private_key_jwt
            id_token_signed_response_alg: RS256
            scopes: [cards.read]
            tls_client_certificate_bound_access_tokens: true
            request_object_signing_alg: RS256
            response_types: token
            software_statement: $steps.statement.outputs.statement`)

  expect(course(ran.record)).toEqual([
    'token passed',
    'statement passed',
    'register/damaged passed',
    'register/unsigned passed',
    'register/other-key passed',
    'register/absent passed',
    'register/control-after passed',
    'register passed',
  ])
  const sent = ran.traffic
    .filter(({ operation }) => operation === 'registerClient')
    .map(({ requestBody }) => String(JSON.parse(requestBody).software_statement ?? '').split('.'))
  const [damaged, unsigned, other, , good] = sent
  expect([damaged?.[0], damaged?.[1]]).toEqual([good?.[0], good?.[1]])
  expect(damaged?.[2]).toHaveLength(good?.[2]?.length ?? 0)
  expect([unsigned?.[1], unsigned?.[2]]).toEqual([good?.[1], ''])
  expect([other?.[0], other?.[1], other?.[2] === good?.[2]]).toEqual([good?.[0], good?.[1], false])
})

test('what is to be changed must be there: an absent assertion is no verdict, and nothing is sent', async () => {
  const workflow = `
  - workflowId: one
    x-dcr: { effect: read }${INPUTS}
    steps:
      - stepId: token
        x-dcr: { alter: [{ set: jwt, in: client_assertion, claim: exp, value: 1 }], expect: refused }${TOKEN}`
  await using ran = await onTwin(workflow, { inputs: { assertion: 'given-by-hand' } })

  expect(ran.traffic).toEqual([])
  expect(stepOf(ran.record, 'token')).toMatchObject({
    status: 'errored',
    error: {
      code: 'VALUE_UNDEFINED',
      message: 'the JWT in "client_assertion" is not minted in this run, so it cannot be signed anew',
    },
  })
})

const ALIVE = 'operationId: status'
const STRICT = `
    inputs: { type: object, properties: { guard: { type: string, x-dcr: { when: 1 == 2 } } } }`
const CASES = `
  - workflowId: one
    x-dcr: { effect: read }${STRICT}
    steps:
      - stepId: read
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: '1' }, { name: X-Request-Id, in: header, value: good }]
        onFailure: [{ name: on, type: goto, stepId: after }]
        x-dcr:
          cases:
            - { id: a, alter: [{ set: header, name: X-Request-Id, value: bad }], expect: refused }
            - { id: b, alter: [{ remove: header, name: X-Request-Id }], expect: refused, criteria: [{ condition: $statusCode == 401 }] }
      - { stepId: after, ${ALIVE} }`
const REFUSED = { status: 401 }

test('a case that the server does not refuse fails by itself and fails the step', async () => {
  const { course: steps, workflows } = await play(CASES, { replies: { 'GET /clients/1': [{}, {}, REFUSED, {}] } })

  expect(steps).toEqual([
    'one failed',
    '  read/control-before passed',
    '  read/a failed',
    '  read/b passed',
    '  read/control-after passed',
    '  read failed',
    '  after passed',
  ])
  expect(workflows[0]?.steps[4]?.checks).toMatchObject([{ id: 'cases', status: 'fail', actual: 'a failed' }])
})

test('where the unaltered request does not hold, no case is run, since its refusal would prove nothing', async () => {
  const before = await play(CASES, { replies: { 'GET /clients/1': [{ status: 503 }] } })
  const after = await play(CASES, { replies: { 'GET /clients/1': [{}, REFUSED, REFUSED, { status: 503 }] } })

  expect(before.course).toEqual([
    'one errored',
    '  read/control-before errored',
    '  read/a skipped: the unaltered request errored, so a refusal would prove nothing',
    '  read/b skipped: the unaltered request errored, so a refusal would prove nothing',
    '  read/control-after skipped: the unaltered request errored, so a refusal would prove nothing',
    '  read errored',
    '  after passed',
  ])
  expect(after.course.slice(-3)).toEqual(['  read/control-after errored', '  read errored', '  after passed'])
})

test('a case is repeated as the step is, and by nothing else', async () => {
  const { sent } = await play(
    CASES.replace(
      'onFailure: [',
      'onFailure: [{ name: busy, type: retry, criteria: [{ condition: $statusCode == 503 }] }, ',
    ),
    { replies: { 'GET /clients/1': [{}, { status: 503 }, REFUSED, REFUSED, {}] } },
  )

  expect(sent).toHaveLength(6)
})

test('every mistake in alterations and cases is found where it stands', async () => {
  const problems = await problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }
    inputs:
      type: object
      properties: { assertion: { type: string, x-dcr: { mint: client_assertion, audience: a, alg: PS256 } } }
    steps:
      - stepId: token
        operationId: token
        requestBody: { contentType: application/x-www-form-urlencoded, payload: { ours: $inputs.assertion, theirs: 'a.b.c' } }
        x-dcr:
          expect: refused
          alter:
            - { set: jwt, in: ours, claim: exp, header: kid, value: 1 }
            - { set: jwt, in: oursx, claim: exp, value: 1 }
            - { set: jwt, in: theirs, claim: exp, value: 1 }
            - { remove: jwt, in: ours, claim: exp, value: 1 }
            - { set: jwt, in: ours, signature: broken }
            - { set: jwt, in: ours }
            - { set: header, name: a }
            - { remove: form, at: /a }
            - { set: jtw, in: ours, signature: none }
          cases:
            - { id: a, alter: [] , expect: refused }
            - { id: b, alter: [{ set: jwt, in: theirs, key: public }, { set: jwt, name: Accept, key: other }], expect: refused }
            - { id: a b, alter: [{ remove: form, name: ours }] }
            - { id: a, alter: [{ remove: form, name: ours }], expect: refused }
            - { id: control-after, alter: [{ remove: form, name: ours }], expect: refused }
      - { stepId: b, ${ALIVE}, x-dcr: { control: after } }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 12: step "token" expects a refusal, but its unaltered request is the control of its cases',
    'FLOW_STRUCTURE 14: alteration 1 of step "token" is not whole',
    'FLOW_REFERENCE 15: there is no member "oursx" in the payload',
    'FLOW_STRUCTURE 16: alteration 3 of step "token" changes a JWT that others signed',
    'FLOW_STRUCTURE 17: alteration 4 of step "token" is not whole',
    'FLOW_STRUCTURE 18: "signature" of alteration 5 of step "token" has an unknown value',
    'FLOW_STRUCTURE 19: alteration 6 of step "token" is not whole',
    'FLOW_STRUCTURE 20: alteration 7 of step "token" is not whole',
    'FLOW_STRUCTURE 21: alteration 8 of step "token" is not whole',
    'FLOW_STRUCTURE 22: alteration 9 of step "token" is not whole',
    'FLOW_STRUCTURE 22: "set" of alteration 9 of step "token" has an unknown value',
    'FLOW_STRUCTURE 24: case "a" of step "token" changes nothing',
    'FLOW_STRUCTURE 25: alteration 1 of case "b" of step "token" changes a JWT that others signed',
    'FLOW_REFERENCE 25: there is no header "Accept" among the parameters',
    'FLOW_STRUCTURE 26: case "a b" of step "token" does not say what the server should answer',
    'FLOW_STRUCTURE 26: case id "a b" is not usable',
    'FLOW_STRUCTURE 27: case "a" of step "token" occurs twice',
    'FLOW_STRUCTURE 28: case "control-after" of step "token" occurs twice',
    'FLOW_STRUCTURE 29: "control" of step "b" has no meaning without "cases"',
  ])
})

test.each([
  ['alter', 'alter: [{ remove: header, name: x }]'],
  ['cases', 'cases: [{ id: a, alter: [{ remove: header, name: x }], expect: refused }]'],
  ['finally', 'finally: true'],
  ['expect', 'expect: refused'],
  ['identity', 'identity: none'],
])('a workflow that uses "%s" must have an input that a strict foreign runner cannot satisfy', async (member, text) => {
  const workflow = (inputs: string) => `
  - workflowId: one
    x-dcr: { effect: read }${inputs}
    steps: [{ stepId: a, ${ALIVE}, x-dcr: { ${text} } }]`

  expect(await problemsOf(workflow(''))).toEqual([
    `FLOW_STRUCTURE 4: workflow "one" uses "${member}" but declares no input with x-dcr`,
  ])
  expect(await problemsOf(workflow(STRICT))).toEqual([])
  expect(
    await problemsOf(workflow(`\n    inputs: { $ref: '#/components/inputs/own' }`), {
      more: 'components: { inputs: { own: { properties: { a: { x-dcr: { when: 1 == 2 } } } } } }',
    }),
  ).toEqual([])
})

/** Registers, tidies up in two steps, and does something in between. */
const TIDY = (between: string) => `
  - workflowId: one
    x-dcr: { effect: delete }${STRICT}
    steps:
      - stepId: register
        operationId: registerClient
        requestBody: { contentType: application/json, payload: {} }
        outputs: { id: $response.body#/id }
      - stepId: delete
        operationId: deleteClient
        parameters: [{ name: client_id, in: path, value: $steps.register.outputs.id }]
        x-dcr: { finally: true }
      - stepId: look
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: $steps.register.outputs.id }]
        x-dcr: { finally: true }
      - { stepId: work, ${ALIVE}${between} }
      - { stepId: more, ${ALIVE} }`
const REGISTERED = { body: { id: 'c1' } }

test('final steps run after the others, the last written first', async () => {
  const { course: steps, sent } = await play(TIDY(''), { replies: { 'POST /clients': [REGISTERED] } })

  expect(sent).toEqual(['POST /clients', 'GET /status', 'GET /status', 'GET /clients/c1', 'DELETE /clients/c1'])
  expect(steps).toEqual([
    'one passed',
    '  register passed',
    '  work passed',
    '  more passed',
    '  look passed',
    '  delete passed',
  ])
})

test.each([
  ['a failure', '', { status: 404 }, 'one failed', 'failed', 'step "work" failed'],
  ['an end', ', onSuccess: [{ name: x, type: end }]', {}, 'one passed', 'passed', 'step "work" ended the workflow'],
  [
    'no answer',
    '',
    { error: { code: 'CONNECT', message: 'no connection' } as const },
    'one errored',
    'errored',
    'step "work" errored',
  ],
])('final steps run after %s too', async (_, between, reply, whole, status, because) => {
  const { course: steps } = await play(TIDY(between), {
    replies: { 'POST /clients': [REGISTERED], 'GET /status': [reply] },
  })

  expect(steps).toEqual([
    whole,
    '  register passed',
    `  work ${status}`,
    `  more skipped: ${because}`,
    '  look passed',
    '  delete passed',
  ])
})

test('on Ctrl-C the final steps still run, on a signal of their own', async () => {
  const { course: steps, sent } = await play(TIDY(''), {
    replies: { 'POST /clients': [REGISTERED], 'GET /status': [{ interrupt: true }] },
  })

  expect(sent.slice(2)).toEqual(['GET /clients/c1', 'DELETE /clients/c1'])
  expect(steps).toEqual([
    'one errored: the run was interrupted',
    '  register passed',
    '  work errored',
    '  more skipped: the run was interrupted',
    '  look passed',
    '  delete passed',
  ])
})

test('Ctrl-C while an answer is judged: the rest is not judged, and what it registered is undone', async () => {
  const { course: steps, sent } = await play(TIDY(''), {
    replies: { 'POST /clients': [{ ...REGISTERED, interrupt: 'answered' }] },
  })

  expect(sent).toEqual(['POST /clients', 'GET /clients/c1', 'DELETE /clients/c1'])
  expect(steps.slice(0, 2)).toEqual(['one errored: the run was interrupted', '  register errored'])
})

test('Ctrl-C while a call is under way that changes a client: its answer is waited for, and what it registered is undone', async () => {
  const { course: steps, sent } = await play(TIDY(''), {
    replies: { 'POST /clients': [{ ...REGISTERED, interrupt: true }] },
  })

  expect(sent).toEqual(['POST /clients', 'GET /clients/c1', 'DELETE /clients/c1'])
  expect(steps).toEqual([
    'one errored: the run was interrupted',
    '  register errored',
    '  work skipped: the run was interrupted',
    '  more skipped: the run was interrupted',
    '  look passed',
    '  delete passed',
  ])
})

test('a call that looks at a client is waited for too, since its answer may hold a new token', async () => {
  const waitedFor: string[] = []
  const { sent } = await play(TIDY(''), {
    replies: { 'POST /clients': [REGISTERED] },
    ports: (own) => ({
      ...own,
      transport: {
        ...own.transport,
        send: async (request, options) => {
          if (options.cut !== undefined) waitedFor.push(`${request.method} ${new URL(request.url).pathname}`)
          return await own.transport.send(request, options)
        },
      },
    }),
  })
  expect(waitedFor).toEqual(sent.filter((one) => one !== 'GET /status'))
})

test('a second Ctrl-C cuts that call off too, and no final step is sent', async () => {
  const { course: steps, sent } = await play(TIDY(''), {
    replies: { 'POST /clients': [REGISTERED], 'DELETE /clients/c1': [{ interrupt: 'twice' }] },
  })
  const early = await play(TIDY(''), { replies: { 'POST /clients': [{ ...REGISTERED, interrupt: 'twice' }] } })

  expect(sent.at(-1)).toBe('DELETE /clients/c1')
  expect(steps.slice(-2)).toEqual(['  look passed', '  delete errored'])
  expect(early.sent.filter((one) => one.startsWith('DELETE'))).toEqual([])
  expect(early.course[0]).toBe('one errored: the run was interrupted')
})

test('on Ctrl-C the final steps have 30 seconds', async () => {
  const { course: steps } = await play(TIDY(''), {
    replies: {
      'POST /clients': [REGISTERED],
      'GET /status': [{ interrupt: true }],
      'GET /clients/c1': [{ takes: 31_000 }],
    },
  })

  expect(steps.slice(-2)).toEqual(['  look errored', '  delete errored'])
})

test('Ctrl-C in the middle of a final step leaves it time to end', async () => {
  const { course: steps } = await play(TIDY(''), {
    replies: { 'POST /clients': [REGISTERED], 'GET /clients/c1': [{ interrupt: true }] },
  })

  expect(steps.slice(-2)).toEqual(['  look passed', '  delete passed'])
})

test('a final step has nothing to do where what it would undo was never done', async () => {
  const { course: steps, sent } = await play(TIDY(''), { replies: { 'POST /clients': [{ status: 400 }] } })

  expect(sent).toEqual(['POST /clients'])
  expect(steps.slice(-2)).toEqual([
    '  look skipped: nothing to do: "$steps.register.outputs.id" has no value',
    '  delete skipped: nothing to do: "$steps.register.outputs.id" has no value',
  ])
})

test('a final step that depends on another has nothing to do without it; a failed one counts', async () => {
  const flow = `
  - workflowId: one
    x-dcr: { effect: read }${STRICT}
    steps:
      - { stepId: a, ${ALIVE} }
      - { stepId: z, operationId: readClient, parameters: [{ name: client_id, in: path, value: '1' }], dependsOn: [a], x-dcr: { finally: true } }`

  const without = await play(flow, { replies: { 'GET /status': [{ status: 404 }] } })
  const failed = await play(flow, { replies: { 'GET /clients/1': [{ status: 404 }] } })

  expect(without.course.at(-1)).toBe('  z skipped: nothing to do: it depends on step "a", which has not passed')
  expect(failed.course).toEqual(['one failed', '  a passed', '  z failed'])
})

test('the final steps of a workflow that runs as a step run when that workflow ends', async () => {
  const { course: steps } = await play(`
  - { workflowId: outer, x-dcr: { effect: read }, steps: [{ stepId: i, workflowId: inner }, { stepId: b, ${ALIVE} }] }
  - workflowId: inner
    x-dcr: { effect: read }${STRICT}
    steps: [{ stepId: z, ${ALIVE}, x-dcr: { finally: true } }, { stepId: a, ${ALIVE} }]`)

  expect(steps.slice(0, 5)).toEqual(['outer passed', '  i/a passed', '  i/z passed', '  i passed', '  b passed'])
})

test('a final step leads nowhere, nothing leads to it, and steps before it cannot read it', async () => {
  const problems = await problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }${STRICT}
    steps:
      - { stepId: a, ${ALIVE}, onSuccess: [{ name: x, type: goto, stepId: z }] }
      - { stepId: b, operationId: readClient, parameters: [{ name: client_id, in: path, value: $steps.z.outputs.s }] }
      - { stepId: z, ${ALIVE}, outputs: { s: $statusCode }, onFailure: [{ name: y, type: end }], x-dcr: { finally: true } }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 6: success action 1 of step "a" leads to "z", which runs at the end whatever happens',
    'FLOW_REFERENCE 7: step "z" has not run yet where "$steps.z.outputs.s" stands',
    'FLOW_STRUCTURE 8: step "z" always runs, so it leads nowhere',
  ])
})

const LONG = `
  - workflowId: one
    x-dcr: { effect: delete }
    inputs:
      type: object
      required: [only_by_far]
      properties: { only_by_far: { type: string }, guard: { type: string, x-dcr: { when: 1 == 2 } } }
    steps:
      - { stepId: far, operationId: readClient, parameters: [{ name: client_id, in: path, value: $inputs.only_by_far }] }
      - { stepId: source, ${ALIVE}, outputs: { status: $statusCode } }
      - stepId: register
        operationId: registerClient
        requestBody: { contentType: application/json, payload: { at: '{$steps.source.outputs.status}' } }
        outputs: { id: $response.body#/id }
      - { stepId: waits, ${ALIVE}, dependsOn: [register], onSuccess: [{ name: x, type: goto, stepId: end }] }
      - stepId: url
        operationId: readClient
        x-dcr: { url: 'https://api.example/clients/{$steps.register.outputs.id}?x' }
      - { stepId: end, ${ALIVE} }
      - stepId: delete
        operationId: deleteClient
        parameters: [{ name: client_id, in: path, value: $steps.register.outputs.id }]
        x-dcr: { finally: true }
    outputs: { id: $steps.register.outputs.id, status: $steps.source.outputs.status }`

test.each([
  ['source', ['  source passed']],
  ['register', ['  source passed', '  register passed', '  delete passed']],
  ['waits', ['  source passed', '  register passed', '  waits passed', '  delete passed']],
  ['url', ['  source passed', '  register passed', '  url passed', '  delete passed']],
])('--step %s runs just the steps that it needs, and tidies up after them', async (step, expected) => {
  const { course: steps } = await play(LONG, { step, replies: { 'POST /clients': [REGISTERED] } })

  expect(steps).toEqual(['one passed', ...expected])
})

test('--step runs the workflow whose outputs the step reads', async () => {
  const { course: steps } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE} }
      - { stepId: i, workflowId: inner }
      - { stepId: b, operationId: readClient, parameters: [{ name: client_id, in: path, value: '{$workflows.inner.outputs.status}' }] }
  - workflowId: inner
    x-dcr: { effect: read }
    steps: [{ stepId: c, ${ALIVE}, outputs: { status: $statusCode } }]
    outputs: { status: $steps.c.outputs.status }`,
    { step: 'b' },
  )

  expect(steps).toEqual(['one passed', '  i/c passed', '  i passed', '  b passed'])
})

test('--step takes one case of a step, which runs with its controls', async () => {
  const flow = `
  - workflowId: one
    x-dcr: { effect: read }${STRICT}
    steps:
      - { stepId: before, ${ALIVE} }
      - stepId: a
        ${ALIVE}
        x-dcr:
          cases:
            - { id: x, identity: none, expect: refused }
            - { id: y, identity: none, expect: refused }`
  const replies = { 'GET /status': [{}, { status: 401 }, {}] }

  const { course: steps } = await play(flow, { step: 'a/y', replies })

  expect(steps).toEqual([
    'one passed',
    '  a/control-before passed',
    '  a/y passed',
    '  a/control-after passed',
    '  a passed',
  ])
  await expect(play(flow, { step: 'a/yy', replies })).rejects.toThrow('no step "a/yy" in the selected workflows')
})

test('--step names a step that is there, and asks only for the inputs that are read', async () => {
  await expect(play(LONG, { step: 'wait' })).rejects.toThrow('no step "wait" in the selected workflows')
  await expect(play(LONG, { step: 'far' })).rejects.toThrow('input "only_by_far" has no value')
})

test('a workflow that is run before what changes a request keeps other runners out as an input with x-dcr does', async () => {
  const changes = `{ stepId: b, x-dcr: { identity: none, expect: refused }, operationId: $sourceDescriptions.authorization.authorizationDiscovery }`
  const runs = '{ stepId: a, workflowId: strict }'
  const problemsOf = async (steps: string) => {
    const file = join(folder, 'strict.arazzo.yaml')
    await writeFile(
      file,
      `${HEAD}
  - { workflowId: own, x-dcr: { effect: read }, steps: [${steps}] }
  - workflowId: strict
    x-dcr: { effect: read }
    inputs: { type: object, properties: { only_for_thredd: { type: string, x-dcr: { when: 1 == 2 } } } }
    steps: [{ stepId: c, operationId: $sourceDescriptions.authorization.authorizationDiscovery }]
`,
    )
    return await readFlow(file).then(
      () => [],
      (error: unknown) => (error as ToolError).problems.map(({ message }) => message),
    )
  }

  expect(await problemsOf(`${runs}, ${changes}`)).toEqual([])
  expect(await problemsOf(`${changes}, ${runs}`)).toEqual([
    'workflow "own" uses "expect" but declares no input with x-dcr',
  ])
})

test('--step on the twin: a step of a part is run with all of it, and the message says how', async () => {
  for (const step of ['statement', 'software-statement/statement']) {
    const attempt = await attemptOnTwin({ flows: ['register'], step })
    expect((attempt as { error: ToolError }).error.problems).toEqual([
      {
        code: 'USAGE',
        message:
          'step "software-statement/statement" is part of what step "software-statement" of workflow "register" runs, and that is run whole',
        hint: 'run it with all its steps: --step software-statement',
      },
    ])
    expect(attempt.traffic).toEqual([])
  }
})

test('--step on the twin: the registration needs a token and a statement, and nothing else', async () => {
  const attempt = await attemptOnTwin({ flows: ['register'], step: 'register' })
  await using ran = attempt
  if ('error' in attempt) throw attempt.error

  expect(course(attempt.record)).toEqual([
    'software-statement/directory-token passed',
    'software-statement/statement passed',
    'software-statement passed',
    'register passed',
  ])
  expect(ran.traffic).toHaveLength(3)
})

test('where an optional member is missing its criterion warns, and where it has another value it fails', async () => {
  const { operations } = createTwin({ pki: await sharedPki() })
  const discover = async (fault: string) => {
    await using ran = await runOnTwin({ flows: ['discover'], faults: faultsOf(fault, operations) })
    const { checks } =
      ran.record.workflows[0]?.steps.find((step) => step.checks.some((one) => one.status !== 'pass')) ?? {}
    const { status, level, actual } = checks?.find((one) => one.status !== 'pass') ?? {}
    return { verdict: ran.record.verdict, status, level, actual }
  }

  for (const member of ['registration_endpoint', 'grant_types_supported', 'tls_client_certificate_bound_access_tokens'])
    expect(await discover(`missing:authorizationDiscovery=/${member}`)).toMatchObject({
      verdict: 'conformant',
      status: 'warn',
      level: 'should',
    })
  expect(await discover('missing:directoryDiscovery=/mtls_endpoint_aliases')).toMatchObject({ status: 'warn' })
  expect(await discover('member:authorizationDiscovery=/grant_types_supported=["implicit"]')).toMatchObject({
    verdict: 'non-conformant',
    status: 'fail',
    level: 'must',
  })
})
