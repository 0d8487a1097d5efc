/** What a collection of Postman becomes: settings, flows, and an account of every value. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { writeDocument } from '../../src/flow/document/write.ts'
import { lint } from '../../src/flow/lint/index.ts'
import { writeFiles } from '../../src/front/import/files.ts'
import { leavesOf } from '../../src/front/import/leaves.ts'
import { shortList, wholeList } from '../../src/front/import/list.ts'
import { type ImportPlan, planImport, type Target } from '../../src/front/import/plan.ts'
import { piecesOf } from '../../src/front/import/secrets.ts'
import { readSource } from '../../src/front/import/source.ts'
import { plannedEffect } from '../../src/plan/effect.ts'
import { ToolError } from '../../src/record/errors.ts'
import { ROOT } from '../support/cli.ts'
import { generated } from '../support/postman.ts'
import { ODD } from '../support/postman-odd.ts'

const UAT: Target = {
  name: 'uat',
  class: 'uat',
  valueOf: () => undefined,
  flows: join(ROOT, 'flows'),
  registerBody: {},
}

const collection = (item: unknown, more = {}) => ({
  info: { name: 'Mine', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
  item,
  ...more,
})
const environment = (values: Readonly<Record<string, unknown>>, name = 'UAT') => ({
  name,
  values: Object.entries(values).map(([key, value]) => ({ key, value, enabled: true })),
  _postman_variable_scope: 'environment',
})
const request = (name: string, more: Readonly<Record<string, unknown>>, tests: readonly string[] = []) => ({
  name,
  request: { method: 'GET', header: [], ...more },
  ...(tests.length === 0 ? {} : { event: [{ listen: 'test', script: { exec: tests } }] }),
})

function planned(documents: readonly unknown[], target: Partial<Target> = {}): ImportPlan {
  const sources = documents.map((one, index) => readSource(JSON.stringify(one), `file${index}.json`))
  return planImport(sources, { ...UAT, ...target })
}

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ToolError)
      return error.problems.map(({ code, message, hint, found }) => [code, message, found, hint].join(' | ')).join('\n')
    throw error
  }
  throw new Error('it was not refused')
}

const { privateKey: PEM } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const ENCRYPTED = createPrivateKey(PEM).export({
  ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
}) as string

const settingOf = ({ settings }: ImportPlan, name: string) => settings.find((one) => one.name === name)?.value

describe('files that are not imported are named', () => {
  test.each([
    ['{"info":{"schema":"https://schema.getpostman.com/json/collection/v1.0.0/x"},"item":[]}', 'version 1.0.0'],
    ['{"id":"1","name":"x","order":[],"requests":[]}', 'a Postman collection of version 1'],
    ['{"collections":[],"environments":[]}', 'a backup of a whole Postman account'],
    ['{"_type":"export","__export_format":4,"resources":[]}', 'an Insomnia export'],
    ['type: collection.insomnia.rest/5.0\nname: x', 'an Insomnia export'],
    ['meta {\n  name: x\n}\n', 'a Bruno file'],
    ['{"version":"1","name":"x","type":"collection"}', 'a Bruno collection'],
    ['### one\nGET https://example.com\n', 'a file of HTTP requests'],
    ['GET {{host}}/x HTTP/1.1\n', 'a file of HTTP requests'],
    ['{"log":{"entries":[]}}', 'a HAR archive'],
    ['{"openapi":"3.1.0"}', 'an OpenAPI description'],
    ['openapi: 3.1.0\n', 'an OpenAPI description'],
    ['arazzo: 1.0.1\n', 'an Arazzo document'],
    ['curl https://example.com', 'a curl command'],
    ['CLIENT_ID=x\n', 'an environment file'],
    ['-----BEGIN PRIVATE KEY-----\nSECRETSECRET', 'a key or certificate'],
    ['', 'is empty'],
    ['{"info":{"na', 'ends in the middle'],
    ['{"a": SECRETSECRET}', 'line 1, column'],
    ['[1, 2]', 'no file of Postman that is known'],
    [`${'['.repeat(200)}${']'.repeat(200)}`, 'nested more than 100 levels'],
  ])('%s', (text, words) => {
    const said = refusal(() => readSource(text, 'x.json'))

    expect(said).toContain(words)
    expect(said).toMatch(/^IMPORT/)
    expect(said).not.toContain('SECRETSECRET')
  })
})

test('an environment comes before the collection, which comes before globals; what is disabled does not count', () => {
  const plan = planned([
    collection([], {
      variable: [
        { key: 'org_id', value: 'of-collection' },
        { key: 'kid', value: 'of-collection' },
      ],
    }),
    {
      ...environment({ org_id: 'of-globals', ssa_id: 'of-globals', kid: 'of-globals' }),
      _postman_variable_scope: 'globals',
    },
    {
      ...environment({}),
      values: [
        { key: 'org_id', value: 'of-environment' },
        { key: 'kid', value: 'off', enabled: false },
      ],
    },
  ])

  expect(settingOf(plan, 'ORG_ID')).toBe('of-environment')
  expect(settingOf(plan, 'SIGNING_KID')).toBe('of-collection')
  expect(settingOf(plan, 'SOFTWARE_ID')).toBe('of-globals')
})

test('environments that contradict each other are refused by the names of the variables alone', () => {
  const said = refusal(() =>
    planned([environment({ org_id: 'ONE', kid: 'k' }), environment({ org_id: 'TWO', kid: 'k' })]),
  )

  expect(said).toContain('contradict each other: 1 variable(s)')
  expect(said).toContain('"org_id"')
  expect(said).not.toMatch(/ONE|TWO/)
})

test.each([
  ['uat', 'https://coreapi.threddpay.com', 'production', '--env prod'],
  ['prod', 'https://api.uat.threddpay.com', 'UAT', '--env uat'],
] as const)('addresses of the other class do not go into an environment of class %s', (is, url, words, hint) => {
  const documents = [
    collection([request('Cards', { url: '{{cards_url}}/api/v1/products' })]),
    environment({ cards_url: url }),
  ]
  const said = refusal(() => planned(documents, { class: is } as Partial<Target>))

  expect(said).toContain(`hold addresses of ${words}`)
  expect(said).toContain(hint)
})

test('an environment that is called production is named', () => {
  expect(planned([environment({ kid: 'x' }, 'Thredd Production')]).warnings).toHaveLength(1)
  expect(planned([environment({ kid: 'x' }, 'Pre-production')]).warnings).toEqual([])
})

test('a value that a setting cannot have is listed with what is expected', () => {
  const plan = planned([environment({ 'x-region': '7', org_id: 'a' })])
  const leaf = plan.accounts[0]?.leaves.find(({ pointer }) => pointer === '/values/0/value')

  expect(settingOf(plan, 'X_REGION')).toBeUndefined()
  expect(leaf).toMatchObject({ is: 'listed' })
  expect(leaf?.words).toContain('X_REGION cannot have this value')
})

test('requests that hand values to each other become one workflow, and a documented token a step of ours', () => {
  const token = request(
    'Token',
    {
      method: 'POST',
      url: 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients/oauth2/token',
      body: {
        mode: 'urlencoded',
        urlencoded: ['grant_type=client_credentials', 'client_assertion=x'].map((pair) => ({
          key: pair.split('=')[0],
          value: pair.split('=')[1],
        })),
      },
    },
    ["pm.environment.set('access_token', pm.response.json().access_token);"],
  )
  const create = request(
    'Create card',
    {
      method: 'POST',
      url: '{{base}}/cards',
      auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{access_token}}' }] },
      body: { mode: 'raw', raw: '{"product": {{product}}, "name": "{{name}}"}' },
    },
    [
      "pm.test('made', function () { pm.response.to.have.status(201); });",
      "pm.environment.set('card', pm.response.json().publicToken);",
    ],
  )
  const read = request('Read card', { url: '{{base}}/cards/:id' }, ['tests["ok"] = responseCode.code === 200;'])
  const readIt = {
    ...read,
    request: {
      ...read.request,
      url: {
        raw: '{{base}}/cards/:id',
        host: ['{{base}}'],
        path: ['cards', ':id'],
        variable: [{ key: 'id', value: '{{card}}' }],
      },
    },
  }
  const alone = request('Groups', { url: '{{base}}/groups' })
  const { imported } = planned([
    collection([token, create, readIt, alone]),
    environment({ base: 'https://api.example.com/v1', product: '42', name: 'Test' }),
  ])

  expect(imported.workflows.map(({ workflowId }) => workflowId)).toEqual(['create-card', 'groups'])
  expect(imported.flow).toMatchObject({
    workflows: [
      {
        steps: [
          { stepId: 'api-token' },
          {
            stepId: 'create-card',
            parameters: [{ name: 'Authorization', value: 'Bearer {$steps.api-token.outputs.access_token}' }],
            requestBody: { payload: { product: '$inputs.product', name: '$inputs.name' } },
            successCriteria: [{ condition: '$statusCode == 201' }],
            outputs: { card: '$response.body#/publicToken' },
          },
          { stepId: 'read-card', parameters: [{ in: 'path', value: '$steps.create-card.outputs.card' }] },
        ],
        inputs: { properties: { product: { type: 'number', default: 42 }, name: { default: 'Test' } } },
      },
      { steps: [{ stepId: 'groups' }] },
    ],
  })
  expect(imported.settings).toContainEqual(
    expect.objectContaining({ name: 'SERVER_BASE', value: 'https://api.example.com/v1' }),
  )
})

test('an address that a script builds is listed by its request', () => {
  const plan = planned([collection([request('Built', { url: '{{made_by_script}}/x' })])])

  expect(plan.imported.flow).toBeUndefined()
  expect(plan.imported.left).toMatchObject([{ reason: expect.stringContaining('known only when a script') }])
})

test('a secret in a request goes into the environment file and not into the flow; one in a description goes nowhere', () => {
  const secret = 'sk9Qw7ErTy3UiOp5AsDf1GhJk'
  const plan = planned([
    collection([
      request('Own', {
        url: 'https://api.example.com/x',
        description: `use ${secret}`,
        header: [{ key: 'X-Api-Key', value: secret }],
      }),
    ]),
  ])

  expect(JSON.stringify([plan.imported.flow, [...plan.imported.descriptions]])).not.toContain(secret)
  expect(plan.settings).toContainEqual(expect.objectContaining({ name: 'OWN_X_API_KEY', value: secret }))
  expect(JSON.stringify(plan.accounts)).not.toContain(secret)
})

/** Each by itself: a JWT, tokens of the usual forms, and a password that only the text around it names. */
const SECRETS = {
  jwt: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
  opaque: 'sk9Qw7ErTy3UiOp5AsDf1GhJk',
  hex: '9f86d081884c7d659a2feaa0c55ad015',
  base64: 'q1W2e3R4t5Y6/u7I8o9P0+aZsXdCfVgB==',
  letters: 'KdWqPzLmXrTgBnVcJhYs',
} as const

type Sent = Readonly<Record<string, unknown>>
const sent = (more: Sent) => collection([request('Send', { method: 'POST', url: 'https://a.example.com/x', ...more })])
const raw = (text: string, language = 'text') =>
  sent({ body: { mode: 'raw', raw: text, options: { raw: { language } } } })
const form = (mode: string, key: string, value: string) => sent({ body: { mode, [mode]: [{ key, value }] } })
const called = (name: string) => ({ ...request(name, { url: 'https://a.example.com/x' }) })

/** Places from which a secret goes into the environment file. */
const MOVED: Readonly<Record<string, (secret: string) => unknown>> = {
  'raw text': (secret) => raw(`please take ${secret} and go`),
  'raw text under a name': (secret) => raw(`password: ${secret}\nname: x`),
  XML: (secret) => raw(`<a><field>${secret}</field><other>plain</other></a>`, 'xml'),
  'a member of JSON': (secret) => raw(JSON.stringify({ remark: secret, list: ['plain'] }), 'json'),
  'JSON within JSON': (secret) => raw(JSON.stringify({ inner: `{'note': '${secret}'}` }), 'json'),
  'a GraphQL query': (secret) =>
    sent({ body: { mode: 'graphql', graphql: { query: `{ card(id: '${secret}') { state } }`, variables: '' } } }),
  'a form field': (secret) => form('urlencoded', 'remark', secret),
  'a part of a multipart body': (secret) => form('formdata', 'remark', secret),
  'a query value': (secret) => sent({ url: `https://a.example.com/x?remark=${encodeURIComponent(secret)}` }),
  'a path segment': (secret) => sent({ url: `https://a.example.com/x/${encodeURIComponent(secret)}/y` }),
  'a header': (secret) => sent({ header: [{ key: 'X-Remark', value: secret }] }),
  'a header beside words': (secret) => sent({ header: [{ key: 'X-Remark', value: `use ${secret} now` }] }),
  'a header beside a variable': (secret) =>
    sent({
      header: [
        { key: 'X-Remark', value: `${secret} {{nowhere}}` },
        { key: 'X-Api-Key', value: `x-${secret}{{nowhere}}` },
      ],
    }),
  'a variable of any name': (secret) => ({
    ...sent({ header: [{ key: 'X-Remark', value: '{{remark}}' }] }),
    variable: [{ key: 'remark', value: secret }],
  }),
}

/** Places from which a secret goes nowhere. */
const LEFT_OUT: Readonly<Record<string, (secret: string) => unknown>> = {
  'the name of a query parameter': (secret) => sent({ url: `https://a.example.com/x?${encodeURIComponent(secret)}` }),
  'the name of a member': (secret) => raw(JSON.stringify({ [secret]: 1 }), 'json'),
  'the name of a form field': (secret) => form('urlencoded', secret, 'x'),
  'the name of a request': (secret) => collection([called(`Call ${secret}`)]),
  'the name of a folder': (secret) => collection([{ name: `Folder ${secret}`, item: [called('One')] }]),
  'the name of the collection': (secret) => ({
    ...collection([called('One')]),
    info: { name: secret, schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
  }),
  'the path of a server': (secret) => ({
    ...collection([request('One', { url: '{{base}}/x' })]),
    variable: [{ key: 'base', value: `https://a.example.com/${encodeURIComponent(secret)}` }],
  }),
  'a content type': (secret) =>
    sent({
      header: [{ key: 'Content-Type', value: `text/plain; x=${secret}` }],
      body: { mode: 'raw', raw: 'plain', options: {} },
    }),
  'a comparison of a test': (secret) =>
    collection([
      request('One', { url: 'https://a.example.com/x' }, [`pm.expect(pm.response.json().a).to.eql("${secret}");`]),
    ]),
  'a literal of a script': (secret) =>
    collection([request('One', { url: 'https://a.example.com/x' }, [`pm.environment.set("mine", "${secret}");`])]),
  'descriptions and saved answers': (secret) => ({
    ...collection([
      {
        name: 'Folder',
        description: secret,
        item: [
          {
            ...request('One', { url: 'https://a.example.com/x', description: { content: secret, type: 'text/plain' } }),
            response: [{ name: secret, code: 200, body: secret, header: [{ key: 'X-One', value: secret }] }],
          },
        ],
      },
    ]),
  }),
}

const outside = ({ imported, accounts, requests }: ImportPlan) =>
  `${JSON.stringify([imported.flow, [...imported.descriptions], imported.workflows])}${shortList({ accounts, imported })}${wholeList({ accounts, imported, requests })}`

describe.each(Object.entries(SECRETS))('a secret that nobody named, %s', (_, secret) => {
  test.each(Object.entries(MOVED))('%s: it goes into the environment file', (_place, made) => {
    const plan = planned([made(secret)])

    expect(outside(plan)).not.toContain(secret)
    expect(outside(plan)).not.toContain(encodeURIComponent(secret))
    expect(plan.imported.left.map(({ reason }) => reason)).toEqual([])
    expect(plan.settings.map(({ value }) => value).join('\n')).toContain(secret)
  })

  test.each(Object.entries(LEFT_OUT))('%s: it stands in no file that is committed', (_place, made) => {
    const plan = planned([made(secret)])

    expect(outside(plan)).not.toContain(secret)
    expect(outside(plan).toLowerCase()).not.toContain(secret.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'))
    expect(outside(plan)).not.toContain(encodeURIComponent(secret))
  })
})

test.each([
  'get-all-the-customers-of-programme-manager',
  'createCustomerRegistrationRequestPayload',
  'client_assertion_type_jwt_bearer_value',
  '7b0c2f6e-53f1-4a54-9d57-0d1f3a0f6c11',
  '2026-11-30T10:11:12.123Z',
  'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  'application/vnd.api+json;version=1.2',
  '{ card(id: $id) { publicToken state { name } } }',
  'https://api.example.com/v1/cards?page=1&size=20&sort=asc',
  '1234567890123',
  'Main Street 12, 1234 Anytown',
])('a plain text stays where it is: %s', (text) => {
  const plan = planned([raw(JSON.stringify({ remark: text }), 'json')])

  expect(plan.settings.map(({ name }) => name)).toEqual(['SERVER_A_EXAMPLE_COM'])
  expect(plan.imported.flow).toMatchObject({ workflows: [{ steps: [{ requestBody: { payload: { remark: text } } }] }] })
})

test.each([
  ['one long token', 'aB3dE5fG7hJ9kL2m/'],
  ['tokens', `${SECRETS.opaque} `],
  ['JWTs', `${SECRETS.jwt},`],
  ['keys between credentials', 'Bearer aB3dE5-----BEGIN PRIVATE KEY-----x-----END PRIVATE KEY-----fG7h '],
  ['members', '"password": "x1y2", '],
])('a body of a megabyte of secrets is divided in one pass: %s', (_, part) => {
  const pieces = piecesOf(part.repeat(Math.ceil(1e6 / part.length)))

  expect(pieces.map(({ text }) => text).join('')).toHaveLength(part.length * Math.ceil(1e6 / part.length))
  expect(pieces.some(({ isSecret }) => isSecret)).toBe(true)
})

test('a number under the name of a secret is one', () => {
  const plan = planned([raw('{"pin": 4711, "card": 4111111111111111, "amount": 12}', 'json')])

  expect(plan.settings).toContainEqual(expect.objectContaining({ name: 'SEND_PIN_SECRET', value: '4711' }))
  expect(plan.imported.flow).toMatchObject({
    workflows: [
      {
        steps: [
          {
            requestBody: { payload: { pin: '$inputs.send_pin_secret', card: '$inputs.send_card_secret', amount: 12 } },
          },
        ],
      },
    ],
  })
})

test('the variables of a GraphQL query are sent as an object, as Postman sends them', () => {
  const graphql = (variables: string) => ({ mode: 'graphql', graphql: { query: 'query($id: ID) { x }', variables } })
  const payloadOf = (variables: string) => {
    const { flow } = planned([sent({ body: graphql(variables) })]).imported
    return (flow as { workflows: readonly unknown[] }).workflows[0]
  }

  expect(payloadOf('{"id": {{id}}, "name": "x"}')).toMatchObject({
    steps: [{ requestBody: { payload: { variables: { id: '$inputs.id', name: 'x' } } } }],
  })
  expect(payloadOf('')).toMatchObject({ steps: [{ requestBody: { payload: { variables: {} } } }] })
})

describe('a registration is taken over whole or not at all', () => {
  const [token, uri] = ['rat-Q9w8E7r6T5y4U3i2O1p0', 'https://auth.uat.threddid.com/oauth2/register/1']
  const TOKEN = 'registration_access_token'
  const URI = 'registration_client_uri'

  test.each([
    [{ [TOKEN]: token }, URI],
    [{ [URI]: uri }, TOKEN],
  ])('%o', (values, lacking) => {
    const plan = planned([environment(values)])
    const leaf = plan.accounts[0]?.leaves.find(({ pointer }) => pointer === '/values/0/value')

    expect(plan.carried.registration).toBeUndefined()
    expect(leaf).toMatchObject({ is: 'listed', words: expect.stringContaining(`without ${lacking}`) })
    expect(plan.warnings).toEqual([expect.stringContaining(`write ${lacking} into the environment in Postman`)])
  })

  test('both are carried over, each under one of its names', () => {
    const plan = planned([environment({ RAT: token, regClientUrl: uri })])

    expect(plan.carried.registration).toEqual({ [TOKEN]: token, [URI]: uri })
    expect(plan.warnings).toEqual([])
  })
})

describe('a key that cannot be read is named, and not written as a file', () => {
  test.each<[string, string, string]>([
    ['cut at the end', 'private_key', PEM.slice(0, 900)],
    ['without its end', 'private_key', PEM.replace(/-----END[\s\S]*/, '')],
    ['with other bytes', 'private_key', PEM.replace(/[A-Za-z0-9+/]{40}/, 'A'.repeat(40))],
    ['cut within its first line', 'transport_key', PEM.slice(0, 20)],
    ['a path', 'signingKey', '/home/me/signing.key'],
    ['a certificate that is cut', 'transport_certificate', '-----BEGIN CERTIFICATE-----\nMIIB'],
    ['encrypted and cut', 'private_key', ENCRYPTED.slice(0, 900)],
  ])('%s', (_, name, value) => {
    const plan = planned([environment({ [name]: value })])
    const leaf = plan.accounts[0]?.leaves.find(({ pointer }) => pointer === '/values/0/value')

    expect(plan.carried.files).toEqual([])
    expect(leaf).toMatchObject({ is: 'listed', words: expect.stringContaining('cannot be made of it') })
    expect(plan.warnings).toEqual([expect.stringMatching(new RegExp(`^"${name}" of file0.json .*--set [A-Z_]+_FILE=`))])
    expect(plan.warnings.join('')).not.toMatch(/MII|\/home/)
  })

  test.each([
    ['PEM', PEM],
    ['in one line', PEM.replaceAll('\n', '\\n')],
    ['encrypted', ENCRYPTED],
    ['a JWK', JSON.stringify(createPrivateKey(PEM).export({ format: 'jwk' }))],
  ])('%s: it is written', (_, value) => {
    const plan = planned([environment({ private_key: value })])

    expect(plan.carried.files).toMatchObject([{ name: 'SIGNING_KEY_FILE', value }])
    expect(plan.warnings).toEqual([])
  })
})

test('of two variables for one setting the nearest counts, and the other is listed', () => {
  const plan = planned([
    environment({ org_id: 'near' }),
    { ...environment({ raidiam_org_id: 'far' }), _postman_variable_scope: 'globals' },
  ])

  expect(settingOf(plan, 'ORG_ID')).toBe('near')
  expect(plan.accounts[1]?.leaves.find(({ pointer }) => pointer === '/values/0/value')).toMatchObject({
    words: 'ORG_ID is taken from "org_id" of file0.json',
  })
  expect(plan.warnings).toEqual([
    '"raidiam_org_id" of file1.json is another ORG_ID than "org_id" of file0.json, which counts',
  ])
})

test('only an input that the vault holds makes a registration the condition of a flow', () => {
  const conditionOf = (name: string) => {
    const [workflow] = (
      planned([collection([request('Get', { url: `https://a.example.com/x?a={{${name}}}` })])]).imported.flow as {
        workflows: readonly { readonly 'x-dcr': unknown }[]
      }
    ).workflows
    return workflow?.['x-dcr']
  }

  expect(conditionOf('registration_number')).toEqual({ effect: 'read' })
  expect(conditionOf('registration_access_token')).toEqual({ effect: 'read', given: ['registration'] })
})

test.each([
  ['a path that is a text', { host: 'https://a.example.com', path: '/cards/' }, '/cards/'],
  ['a path of parts', { host: ['https://a.example.com'], path: ['cards', ''] }, '/cards/'],
  ['a text', 'https://a.example.com/cards/', '/cards/'],
  ['none', { host: ['https://a.example.com'], path: ['cards'] }, '/cards'],
])('the slash at the end of an address stays: %s', (_, url, path) => {
  const [description] = planned([collection([request('Get', { url })])]).imported.descriptions.values()

  expect(Object.keys((description as { paths: object }).paths)).toEqual([path])
})

test('a query that stands in the text of an address alone is sent', () => {
  const url = { raw: 'https://a.example.com/x?page=2', host: ['https://a.example.com'], path: ['x'] }

  expect(planned([collection([request('Get', { url })])]).imported.flow).toMatchObject({
    workflows: [{ steps: [{ parameters: [{ name: 'page', in: 'query', value: '2' }] }] }],
  })
})

test('a step of ours is added for requests that are carried over alone', () => {
  const token = request(
    'Token',
    {
      method: 'POST',
      url: 'https://auth.uat.threddid.com/oauth2/token',
      body: {
        mode: 'urlencoded',
        urlencoded: [
          { key: 'grant_type', value: 'client_credentials' },
          { key: 'client_assertion', value: 'x' },
        ],
      },
    },
    ["pm.environment.set('access_token', pm.response.json().access_token);", "pm.environment.set('other', 1);"],
  )
  const using = (name: string, mode: string) =>
    request(name, {
      url: 'https://a.example.com/x?v={{shared}}',
      header: [{ key: 'X-Token', value: mode === 'file' ? '{{access_token}}' : 'plain' }],
      body: { mode, raw: 'x' },
    })
  const giver = request('Give', { url: 'https://a.example.com/g' }, [
    "pm.environment.set('shared', pm.response.json().a);",
  ])
  const { imported } = planned([collection([token, giver, using('File', 'file'), using('Raw', 'raw')])])

  expect(imported.left.map(({ request: { request: one } }) => one.name)).toEqual(['File'])
  expect(imported.flow).toMatchObject({ workflows: [{ steps: [{ stepId: 'give' }, { stepId: 'raw' }] }] })
})

const SEEDS = Array.from({ length: 200 }, (_, index) => `${process.env.SEED ?? 'postman'}/${index}`)

test.each([
  ['header', { url: 'https://a.example.com/x', header: [{ key: 'Ocp-Apim-Subscription-Key', value: 'plain words' }] }],
  ['header', { url: 'https://a.example.com/x', header: [{ key: 'X-Auth', value: 'plain words' }] }],
  ['query', { url: 'https://a.example.com/x?sig=plainwords' }],
  ['query', { url: 'https://a.example.com/x?code=plainwords' }],
])('what a %s under a name of gateways holds is no text of the flow', (_, more) => {
  const plan = planned([collection([request('Get', more)])])

  expect(JSON.stringify(plan.imported.flow)).not.toMatch(/plain ?words/)
  expect(plan.settings.map(({ value }) => value)).toContainEqual(expect.stringMatching(/^plain ?words$/))
})

test('each of two secrets has a name of its own, so that none goes to the other host', () => {
  const asking = (host: string, key: string) =>
    request('List', { url: `https://${host}/items`, header: [{ key: 'X-Api-Key', value: key }] })
  const plan = planned([
    collection([
      { name: 'A', item: [asking('a.example.com', 'first-key-of-a-6f1d')] },
      { name: 'B', item: [asking('b.example.com', 'other-key-of-b-93c2')] },
    ]),
  ])

  const named = new Map(plan.settings.map(({ name, value }) => [value, name]))
  const [first, other] = ['first-key-of-a-6f1d', 'other-key-of-b-93c2'].map((value) => named.get(value) ?? '')
  expect([first, other].map((name) => name?.startsWith('LIST_X_API_KEY'))).toEqual([true, true])
  expect(first).not.toBe(other)
  const text = JSON.stringify(plan.imported.flow)
  for (const name of [first, other]) expect(text).toContain(`$inputs.${name?.toLowerCase()}`)
})

test('two variables whose names differ in their punctuation alone keep their values', () => {
  const plan = planned([
    collection([request('Get', { url: 'https://a.example.com/x?a={{foo-x}}&b={{foo_x}}' })], {
      variable: [
        { key: 'foo-x', value: 'one' },
        { key: 'foo_x', value: 'two' },
      ],
    }),
  ])

  const text = JSON.stringify(plan.imported.flow)
  for (const value of ['one', 'two']) expect(text).toContain(`"default":"${value}"`)
})

test('a number of a body that JavaScript cannot hold stays as it is, and a body that is nested too deeply stays a text', () => {
  const sending = (raw: string) =>
    planned([
      collection([request('Send', { method: 'POST', url: 'https://a.example.com/x', body: { mode: 'raw', raw } })]),
    ])

  const { flow } = sending('{"number": 4111111111111111112}').imported
  expect(writeDocument(flow)).toContain('number: 4111111111111111112')
  expect(sending('['.repeat(5000)).imported.left).toEqual([])
})

test('what an authorization sends is secret, whatever its names are', () => {
  const by = (type: string, values: Readonly<Record<string, string>>) =>
    planned([
      collection([
        request('Get', {
          url: 'https://a.example.com/x',
          auth: { type, [type]: Object.entries(values).map(([key, value]) => ({ key, value })) },
        }),
      ]),
    ])
  const basic = by('basic', { username: 'me', password: 'plain' })
  const key = by('apikey', { key: 'k', value: 'plain', in: 'query' })
  const open = by('basic', { username: 'me', password: '{{nowhere}}' })

  expect(basic.settings).toContainEqual(expect.objectContaining({ value: 'bWU6cGxhaW4=' }))
  expect(key.settings).toContainEqual(expect.objectContaining({ name: 'GET_K_KEY', value: 'plain' }))
  for (const { imported } of [basic, key]) expect(JSON.stringify(imported.flow)).not.toMatch(/plain|bWU6/)
  expect(open.imported.workflows[0]?.asked).toEqual(['basic_credentials'])
})

test('each line of a script that is one text is judged by itself', () => {
  const exec = 'pm.response.to.have.status(200);\npm.sendRequest("https://a.example.com/other");'
  const { accounts } = planned([
    collection([
      { ...request('Get', { url: 'https://a.example.com/x' }), event: [{ listen: 'test', script: { exec } }] },
    ]),
  ])

  const script = accounts.flatMap(({ leaves }) => leaves).find(({ pointer }) => pointer.endsWith('/script/exec'))
  expect(script).toMatchObject({ is: 'listed' })
})

test('a key that a variable refers to is written, not the reference; an empty value takes nothing from another file', () => {
  const plan = planned([
    collection([]),
    environment({ pem: PEM, transport_key: '{{pem}}', org_id: 'abc', 'ssa_id ': 'with-a-space' }),
    environment({ org_id: '' }, 'Second'),
  ])

  expect(plan.carried.files.map(({ value }) => value)).not.toContain('{{pem}}')
  expect(settingOf(plan, 'ORG_ID')).toBe('abc')
  expect(settingOf(plan, 'SOFTWARE_ID')).toBe('with-a-space')
})

test(`every value of 200 generated collections is carried over or listed (SEED=${process.env.SEED ?? 'postman'})`, () => {
  let carriedInAll = 0
  for (const seed of SEEDS) {
    const documents = Object.values(generated(seed))
    const plan = planned(documents)
    const total = documents.reduce((sum, one) => sum + (leavesOf(one)?.length ?? 0), 0)
    const leaves = plan.accounts.flatMap((one) => one.leaves)
    const [carried, listed] = (['carried', 'listed'] as const).map((is) => leaves.filter((one) => one.is === is))
    const written = outputOf(plan)

    expect(`${seed}: ${carried?.length} + ${listed?.length}`).toBe(
      `${seed}: ${leaves.length - (listed?.length ?? 0)} + ${total - (carried?.length ?? 0)}`,
    )
    expect(
      new Set(plan.accounts.flatMap((one) => one.leaves.map(({ pointer }) => `${one.file} ${pointer}`))).size,
    ).toBe(total)
    expect(listed?.filter(({ words }) => words === '')).toEqual([])
    for (const [index, { leaves: own }] of plan.accounts.entries())
      expect([seed, ...missedMarks(documents[index], own, written)]).toEqual([seed])
    carriedInAll += carried?.length ?? 0
  }
  expect(carriedInAll).toBeGreaterThan(2500)
})

/** All that would be written. */
function outputOf({ imported, settings, carried }: ImportPlan): string {
  // User and password of basic authorization stand in base64.
  const decoded = settings.map(({ value }) => Buffer.from(value, 'base64').toString())
  return JSON.stringify([imported.flow, [...imported.descriptions], settings, carried, decoded])
}

/** Marks of values that are said to be carried over, and stand nowhere in what is written. */
function missedMarks(document: unknown, leaves: ImportPlan['accounts'][number]['leaves'], written: string): string[] {
  return leaves.flatMap(({ pointer, is }) => {
    const value = pointer
      .split('/')
      .slice(1)
      .reduce<unknown>(
        (one, part) => (one as Record<string, unknown>)?.[part.replaceAll('~1', '/').replaceAll('~0', '~')],
        document,
      )
    const marks = typeof value === 'string' && is === 'carried' ? (value.match(/mark\d+q/g) ?? []) : []
    return marks.filter((mark) => !written.includes(mark)).map((mark) => `${pointer} ${mark}`)
  })
}

const inFolders = (...types: readonly string[]) => types.flatMap((type) => [`In ${type}`, `Deep ${type}`])

/** Requests of each that no flow can make. */
const LEFT: Readonly<Record<keyof typeof ODD, readonly string[]>> = {
  'every type of authorization, in nested folders': inFolders(
    ...['digest', 'hawk', 'awsv4', 'ntlm', 'oauth1', 'edgegrid', 'jwt', 'asap'],
  ),
  'bodies of every kind': ['File', 'File content', 'Form file', 'Guid'],
  'scripts and events at all levels': [],
  'names that are no names of files, or differ in case alone': [],
  'addresses, certificates, cookies, saved answers, and things that are disabled': [
    ...['User', 'Http', 'Ws', 'No proto', 'Curly', 'Link'],
  ],
}

describe.each(Object.entries(ODD))('a collection written by hand: %s', (name, document) => {
  test('every value is carried over or listed with its reason, and no secret is shown', () => {
    const plan = planned([document])
    const [{ leaves } = { leaves: [] }] = plan.accounts

    expect(leaves.map(({ pointer }) => pointer)).toEqual(leavesOf(document))
    expect(leaves.filter(({ words }) => words === '')).toEqual([])
    expect(outside(plan)).not.toMatch(/hidden|aGlkZGV/)
    expect(plan.imported.left.map(({ request: { request: one } }) => one.name)).toEqual(LEFT[name])
  })

  test('what it becomes is valid by the own lint', async () => expect(await lintOf([planned([document])])).toEqual([]))
})

test('what generated collections become is valid by the own lint', async () => {
  const plans = SEEDS.slice(0, 40).map((seed) => planned(Object.values(generated(seed))))

  expect(plans.filter(({ imported }) => imported.flow !== undefined).length).toBeGreaterThan(20)
  expect(await lintOf(plans)).toEqual([])
})

/** Errors and warnings, each with its place. */
async function lintOf(plans: readonly ImportPlan[]): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-import-'))
  try {
    const files = plans.flatMap(({ imported }, index) => {
      if (imported.flow === undefined) return []
      const file = (name: string, data: unknown) => ({
        file: join(folder, `${index}`, name),
        text: writeDocument(data),
        mode: 0o600,
      })
      return [
        file('flow.arazzo.yaml', imported.flow),
        ...[...imported.descriptions].map(([name, data]) => file(join('apis', name), data)),
      ]
    })
    await writeFiles(files)
    const { findings } = await lint({ paths: [folder], folders: [folder], effectOf: plannedEffect })

    return findings
      .filter(({ level }) => level !== 'hint')
      .map(({ rule, message, at }) => `${rule} ${message} ${at?.file}:${at?.line}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('a file in the place of a folder is named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-import-'))
  try {
    await writeFile(join(folder, 'keys'), '')
    const file = join(folder, 'keys', 'a.key')

    await expect(writeFiles([{ file, text: 'x', mode: 0o600 }])).rejects.toThrow(
      'cannot be written: a file is in the way',
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
