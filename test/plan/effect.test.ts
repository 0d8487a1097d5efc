/** What a call does to a client: whatever a flow calls itself, and however the request is written. */
import { copyFile, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readFlow } from '../../src/flow/index.ts'
import {
  changingSteps,
  type Leaving,
  mayManage,
  plannedEffect,
  sentEffect,
  workflowEffect,
} from '../../src/plan/effect.ts'
import { ToolError } from '../../src/record/errors.ts'

const HOST = 'https://as.example'
const METADATA = { client_name: 'ours', software_statement: 'a.b.c' }

function sent(method: string, path: string, more: Partial<Leaving> = {}, mark?: 'safe' | 'create', known = false) {
  const url = path.startsWith('https:') ? path : `${HOST}${path}`
  return sentEffect({ method, url, headers: [], ...more }, { mark, method }, known)
}

test('what a description says of an operation does not hold for another method', () => {
  const request = { method: 'PATCH', url: `${HOST}/oauth2/register/X`, headers: [] }

  expect(sentEffect(request, { mark: 'read', method: 'GET' }, false)).toBe('update')
  expect(sentEffect({ ...request, method: 'GET' }, { mark: 'safe', method: 'POST' }, false)).toBe('read')
})

test.each([
  ['POST', '/oauth2/register', 'register'],
  ['PUT', '/oauth2/register/X', 'update'],
  ['PATCH', '/oauth2/register/X', 'update'],
  ['DELETE', '/oauth2/register/X', 'delete'],
  ['delete', '/oauth2/register/X', 'delete'],
  ['GET', '/oauth2/register/X', 'read'],
  ['POST', '/client-registration', 'register'],
  ['POST', '/clients-registrations/openid-connect', 'register'],
  ['POST', '/reg', 'register'],
  ['DELETE', '/clients/X', 'delete'],
  ['POST', '/cards', 'other'],
  ['DELETE', '/cards/1', 'other'],
  ['POST', '/cards/registered', 'other'],
  ['GET', '/cards', 'none'],
  ['LOCK', '/oauth2/register/X', 'other'],
])('%s %s is sent as %s', (method, path, effect) => {
  expect(sent(method, path)).toBe(effect)
})

test.each([
  'https://as.example/oauth2/%72egister/X',
  'https://as.example/oauth2/%2572egister/X',
  'https://as.example/oauth2/Register/X',
  'https://as.example/oauth2//register//X',
  'https://as.example/cards/../register/X',
  'https://as.example/cards/%2e%2e/register/X',
  'https://as.example/cards/..%2fregister%2fX',
  'https://as.example/oauth2\\register\\X',
  'https://as.example/oauth2/register;v=1/X',
  'https://as.example/oauth2/register.json/X',
  'https://as.example/oauth2/reg\tister/X',
  'https://user@as.example:8443/register/X?a=/cards',
  'https:/as.example/register/X#cards',
])('a path of a registration is known in the spelling %j', (url) => {
  expect(sent('DELETE', url)).toBe('delete')
})

test('a host or a query that has the word is no path of a registration', () => {
  expect(sent('POST', 'https://register.example/cards')).toBe('other')
  expect(sent('POST', 'https://as.example/cards?next=/register')).toBe('other')
})

test.each([
  ['an object as JSON', JSON.stringify(METADATA)],
  ['JSON with blanks and a byte order mark', `\uFEFF  ${JSON.stringify(METADATA, null, 2)}`],
  ['escaped names after a byte order mark', '\uFEFF{"software\\u005fstatement":"a.b.c"}'],
  ['its method of authentication alone', '{"token_endpoint_auth_method":"private_key_jwt"}'],
  ['JSON with escaped names', '{"software\\u005fstatement":"a.b.c"}'],
  ['JSON within a JSON text', JSON.stringify(JSON.stringify(METADATA))],
  ['JSON that only a lenient server reads', "{'software_statement': 'a.b.c',}"],
  ['a form', 'client_name=ours&redirect_uris=https%3A%2F%2Fa.example'],
  ['a form with encoded names', 'software%5Fstatement=a.b.c'],
  ['a form of lists', 'redirect_uris[]=https://a.example'],
  ['a form of parts', '--x\r\nContent-Disposition: form-data; name="grant_types"\r\n\r\na\r\n--x--\r\n'],
])('client metadata are known at any address as %s', (_, body) => {
  expect([sent('POST', '/cards', { body }), sent('PUT', '/cards/1', { body })]).toEqual(['register', 'update'])
})

test.each([
  ['a token request', 'grant_type=client_credentials&client_assertion=a.b.c'],
  ['an API call', '{"amount":1,"note":"grant_types"}'],
  ['nothing', undefined],
])('%s is no registration', (_, body) => {
  expect([sent('POST', '/token', { body }), sent('POST', '/token', { body }, 'safe')]).toEqual(['other', 'none'])
})

test('a mark of an operation says what is not seen, and hides nothing that is', () => {
  expect(sent('POST', '/enrol', {}, 'create')).toBe('register')
  expect(sent('POST', '/search/clients', {}, 'safe')).toBe('none')
  expect(sent('POST', '/register', {}, 'safe')).toBe('register')
  expect(sent('POST', '/search', { body: JSON.stringify(METADATA) }, 'safe')).toBe('register')
  expect(sent('DELETE', '/search', {}, 'safe', true)).toBe('delete')
})

test('a header that stands for another method counts like the method', () => {
  const headers = [['X-HTTP-Method-Override', 'delete']] as const

  expect(sent('POST', '/register/X', { headers })).toBe('delete')
  expect([mayManage({ method: 'POST', headers }), mayManage({ method: 'POST', headers: [] })]).toEqual([true, false])
})

test('what goes to a client that is known is a change of it, wherever that is', () => {
  expect([sent('PUT', '/x/1', {}, undefined, true), sent('DELETE', '/x/1', {}, undefined, true)]).toEqual([
    'update',
    'delete',
  ])
  expect(sent('GET', '/x/1', {}, undefined, true)).toBe('none')
})

let folder: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-effect-')))
  await copyFile(
    fileURLToPath(new URL('../golden/flow/clients.openapi.yaml', import.meta.url)),
    join(folder, 'ours.yaml'),
  )
  await writeFile(join(folder, 'foreign.yaml'), JSON.stringify(FOREIGN))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A description of somebody else, without an operationId, and one of which x-dcr says what its operations do. */
const RESPONSES = { responses: { 200: { description: 'done' } } }
const FOREIGN = {
  openapi: '3.1.0',
  info: { title: 'Foreign', version: '1' },
  paths: {
    '/reg/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
      put: RESPONSES,
      delete: { operationId: 'remove', ...RESPONSES },
    },
    '/enrol': { post: { operationId: 'enrol', 'x-dcr': { registration: 'create' }, ...RESPONSES } },
    '/search': { post: { operationId: 'search', 'x-dcr': { safe: true }, ...RESPONSES } },
    '/payments': {
      post: {
        operationId: 'pay',
        requestBody: { content: { 'application/json': {}, 'text/plain': {}, 'application/x-www-form-urlencoded': {} } },
        ...RESPONSES,
      },
      put: { operationId: 'repay', requestBody: { content: { 'application/json': {} } }, ...RESPONSES },
    },
  },
}

async function flowWith(...steps: readonly object[]) {
  const file = join(folder, 'one.arazzo.yaml')
  const document = {
    arazzo: '1.1.0',
    info: { title: 'One', version: '1' },
    sourceDescriptions: [
      { name: 'ours', url: 'ours.yaml' },
      { name: 'foreign', url: 'foreign.yaml' },
    ],
    workflows: [
      {
        workflowId: 'one',
        'x-dcr': { effect: 'read' },
        inputs: {
          type: 'object',
          properties: { x: { type: 'string' }, extended: { type: 'string', 'x-dcr': { when: '1 == 2' } } },
        },
        steps: steps.map((step, index) => ({ stepId: `step-${index}`, ...step })),
      },
    ],
  }
  await writeFile(file, JSON.stringify(document))
  return await readFlow(file)
}

async function planned(step: object) {
  const flow = await flowWith(step)
  const [only] = flow.workflows[0]?.steps ?? []
  return only?.kind === 'call' ? plannedEffect(only) : undefined
}

test('a workflow does at least what it says of itself', async () => {
  const flow = await flowWith({ operationId: '$sourceDescriptions.ours.status' })
  const [workflow] = flow.workflows
  if (workflow === undefined) throw new Error('the flow has no workflow')

  const effects = (['read', 'delete'] as const).map((effect) => workflowEffect(flow, { ...workflow, effect }))
  expect(effects).toEqual(['read', 'delete'])
})

const PAY = { operationId: '$sourceDescriptions.foreign.pay' }
const body = (payload: unknown, contentType = 'application/json') => ({ requestBody: { contentType, payload } })
const idIn = { parameters: [{ name: 'id', in: 'path', value: '$inputs.x' }] }
const clientIdIn = { parameters: [{ name: 'client_id', in: 'path', value: '$inputs.x' }] }

test.each([
  ['an operationId', { operationId: '$sourceDescriptions.ours.deleteClient', ...clientIdIn }, 'delete'],
  [
    'an operationPath',
    { operationPath: '{$sourceDescriptions.ours.url}#/paths/~1clients~1{client_id}/delete', ...clientIdIn },
    'delete',
  ],
  ['an x-operation', { 'x-operation': { url: `${HOST}/%72egister/X`, method: 'delete' } }, 'delete'],
  ['an x-operation elsewhere', { 'x-operation': { url: `${HOST}/cards`, method: 'post' } }, 'other'],
  ['an x-operation of a base URL', { 'x-operation': { url: '{$inputs.x}/register/1', method: 'put' } }, 'update'],
  ['an x-operation that is not known', { 'x-operation': { url: '{$inputs.x}1', method: 'delete' } }, 'delete'],
  ['a foreign operation', { operationId: '$sourceDescriptions.foreign.remove', ...idIn }, 'delete'],
  [
    'a foreign operation by its path',
    { operationPath: '{$sourceDescriptions.foreign.url}#/paths/~1reg~1{id}/put', ...idIn },
    'update',
  ],
  [
    'a POST that may stand for any method',
    {
      'x-operation': { url: `${HOST}/cards`, method: 'post' },
      parameters: [{ name: 'X-HTTP-Method-Override', in: 'header', value: '$inputs.x' }],
      requestBody: { contentType: 'application/json', payload: '$inputs.x' },
    },
    'delete',
  ],
  [
    'a POST that stands for another method',
    {
      'x-operation': { url: `${HOST}/register/1`, method: 'post' },
      parameters: [{ name: 'X-HTTP-Method-Override', in: 'header', value: 'DELETE' }],
    },
    'delete',
  ],
  [
    'a POST that is altered to stand for another method',
    {
      'x-operation': { url: `${HOST}/register/1`, method: 'post' },
      'x-dcr': { alter: [{ set: 'header', name: 'X-HTTP-Method-Override', value: 'DELETE' }], expect: 'refused' },
    },
    'delete',
  ],
  ['a marked operation', { operationId: '$sourceDescriptions.foreign.enrol' }, 'register'],
  ['an operation marked as safe', { operationId: '$sourceDescriptions.foreign.search' }, 'none'],
  ['an operation that nothing marks', PAY, 'other'],
  ['a URL of its own', { ...PAY, 'x-dcr': { url: '$inputs.x' } }, 'register'],
  [
    'a URL of its own, with a safe method',
    { operationId: '$sourceDescriptions.ours.status', 'x-dcr': { url: '$inputs.x' } },
    'none',
  ],
  ['a read', { operationId: '$sourceDescriptions.ours.readClient', ...clientIdIn }, 'read'],
])('%s is planned as %s', async (_, step, effect) => {
  expect(await planned(step)).toBe(effect)
})

test.each([
  ['known members', body({ amount: '$inputs.x' }), 'other'],
  ['members of client metadata', body({ redirect_uris: '$inputs.x' }), 'register'],
  ['a text that is JSON', body('{"software_statement":"{$inputs.x}"}'), 'register'],
  ['a text that is a form', body('grant_types=a', 'application/x-www-form-urlencoded'), 'register'],
  ['a text that is neither', body('pay {$inputs.x}', 'text/plain'), 'other'],
  ['an expression', body('$inputs.x'), 'register'],
  ['a selected value', body({ context: '$inputs.x', selector: '$.a', type: 'jsonpath' }), 'register'],
  ['a number', body(1), 'other'],
  [
    'a replaced member',
    {
      requestBody: {
        contentType: 'application/json',
        payload: {},
        replacements: [{ target: '/grant_types', value: 'a' }],
      },
    },
    'register',
  ],
  [
    'a replaced document',
    {
      requestBody: { contentType: 'application/json', payload: {}, replacements: [{ target: '', value: '$inputs.x' }] },
    },
    'register',
  ],
  [
    'a replacement that may be anywhere',
    {
      requestBody: {
        contentType: 'application/json',
        payload: {},
        replacements: [{ target: '$..a', targetSelectorType: 'jsonpath', value: 'a' }],
      },
    },
    'register',
  ],
  [
    'an altered member',
    { ...body({}), 'x-dcr': { alter: [{ set: 'body', at: '/grant_types', value: ['a'] }] } },
    'register',
  ],
  [
    'an altered field',
    {
      ...body({}, 'application/x-www-form-urlencoded'),
      'x-dcr': { alter: [{ set: 'form', name: 'grant_types', value: 'a' }] },
    },
    'register',
  ],
  [
    'an alteration of one case',
    {
      ...body({}),
      'x-dcr': {
        cases: [{ id: 'a', expect: 'refused', alter: [{ set: 'body', at: '/grant_types', value: ['a'] }] }],
      },
    },
    'register',
  ],
  [
    'a member that is taken away',
    { ...body({}), 'x-dcr': { alter: [{ remove: 'body', at: '/grant_types' }] } },
    'other',
  ],
])('a body with %s is planned as the worst that it may become', async (_, step, effect) => {
  expect(await planned({ ...PAY, ...step })).toBe(effect)
})

test('the steps that change a client are found by what they call', async () => {
  const flow = await flowWith(
    { operationId: '$sourceDescriptions.ours.registerClient', ...body({}) },
    { operationId: '$sourceDescriptions.ours.status' },
    { operationId: '$sourceDescriptions.foreign.remove', ...idIn },
  )
  const [workflow] = flow.workflows
  const changing = workflow && changingSteps(flow, workflow)

  expect(changing?.map(({ step, change }) => `${step.stepId} ${change}`)).toEqual(['step-0 register', 'step-2 delete'])
})

test.each([
  [{ safe: 'yes' }],
  [{ registration: 'create', safe: true }],
  [{ registration: 'delete' }],
  [{ registration: 'constructor' }],
  [{ effect: 'read' }],
  ['safe'],
])('a mark that says nothing clear is refused: %j', async (mark) => {
  const description = { ...FOREIGN, paths: { '/x': { post: { operationId: 'pay', 'x-dcr': mark, ...RESPONSES } } } }
  await writeFile(join(folder, 'foreign.yaml'), JSON.stringify(description))

  const error = await flowWith(PAY).catch((reason: unknown) => reason)

  await writeFile(join(folder, 'foreign.yaml'), JSON.stringify(FOREIGN))
  if (!(error instanceof ToolError)) throw error
  expect(error.problems[0]).toMatchObject({
    code: 'FLOW_STRUCTURE',
    message: 'x-dcr of POST does not say what the operation does to a client',
    found: JSON.stringify(mark),
  })
})

test.each(['lifecycle', 'add-scope-with-put', 'add-role-then-put'])(
  'of the two forms of an update that flow %s has, one is sent, and one is counted',
  async (name) => {
    const flow = await readFlow(fileURLToPath(new URL(`../../flows/${name}.arazzo.yaml`, import.meta.url)))
    const [workflow] = flow.workflows
    const changes = workflow === undefined ? [] : changingSteps(flow, workflow).map(({ change }) => change)

    expect(changes.filter((change) => change === 'update')).toEqual(['update'])
    expect(changes.filter((change) => change === 'delete')).toHaveLength(name === 'lifecycle' ? 2 : 0)
  },
)
