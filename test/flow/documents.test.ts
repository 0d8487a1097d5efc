/** Several documents as one description, what a step calls in them, and how values are written into a request. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readFlow } from '../../src/flow/index.ts'
import { play, problemsOf } from '../support/script.ts'

const OTHER = (workflows: string, head = '') => `arazzo: 1.1.0
${head}
info: { title: Other, version: 1.0.0 }
sourceDescriptions: [{ name: clients, url: clients.openapi.yaml }]
workflows:${workflows}`

const LOGIN = OTHER(`
  - workflowId: login
    x-dcr: { effect: read }
    inputs: { type: object, required: [id], properties: { id: { type: string } } }
    steps:
      - stepId: read
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: $inputs.id }]
        outputs: { name: $response.body#/name }
    outputs: { name: $steps.read.outputs.name }`)

const OTHERS = {
  sources: '{ name: other, url: other.arazzo.yaml, type: arazzo }',
  files: { 'other.arazzo.yaml': LOGIN },
}

/** An operation for each way to write a parameter. */
const STYLES = `openapi: 3.2.0
info: { title: Styles, version: 1.0.0 }
servers: [{ url: 'https://{region}.example/v1', variables: { region: { default: eu } } }]
paths:
  /a/{list}/{object}/b:
    parameters:
      - { name: list, in: path, required: true, style: matrix, explode: true }
      - { name: object, in: path, required: true, style: label, explode: true }
    get:
      operationId: paths
      responses: { '200': { description: ok } }
  /q:
    get:
      operationId: queries
      parameters:
        - { name: form, in: query }
        - { name: comma, in: query, explode: false }
        - { name: pipe, in: query, style: pipeDelimited, explode: false }
        - { name: space, in: query, style: spaceDelimited, explode: false }
        - { name: deep, in: query, style: deepObject, explode: true }
        - { name: reserved, in: query, allowReserved: true }
        - { name: json, in: query, content: { application/json: {} } }
        - { name: X-List, in: header }
        - { name: session, in: cookie }
        - { name: raw, in: cookie, style: cookie }
        - { name: X-Json, in: header, content: { application/json: {} } }
        - { name: text, in: query, content: { text/plain: {} } }
        - { name: list, in: cookie, explode: false }
      responses: { '200': { description: ok } }
  /j/{json}:
    get:
      operationId: json
      parameters:
        - { name: json, in: path, required: true, content: { application/json: {} } }
        - { name: kept, in: cookie, content: { application/vnd.any+json: {} } }
        - { name: matrix, in: query, style: form, explode: true, allowReserved: true, schema: { type: array } }
      responses: { '200': { description: ok } }
  /s:
    get:
      operationId: search
      parameters: [{ name: q, in: querystring, content: { application/x-www-form-urlencoded: {} } }]
      responses: { '200': { description: ok } }
    post:
      responses: { '200': { description: ok } }
`
const WITH_STYLES = {
  sources: '{ name: styles, url: styles.openapi.yaml }',
  files: { 'styles.openapi.yaml': STYLES },
  settings: 'SERVER_STYLES=https://styles.example/base',
}

test('Arazzo 1.1 § Source Description Object type arazzo: a step runs a workflow of another document, with inputs and outputs', async () => {
  const { course, sent, workflows } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: login
        workflowId: $sourceDescriptions.other.login
        parameters: [{ name: id, value: abc }]
        successCriteria: [{ condition: $outputs.name == 'x' }]
        outputs: { name: $outputs.name }
      - { stepId: next, operationId: readClient, parameters: [{ name: client_id, in: path, value: $steps.login.outputs.name }] }`,
    { ...OTHERS, replies: { 'GET /clients/abc': [{ body: { name: 'x' } }] } },
  )

  expect(course).toEqual(['one passed', '  login/read passed', '  login passed', '  next passed'])
  expect(sent).toEqual(['GET /clients/abc', 'GET /clients/x'])
  expect(workflows[0]?.steps[1]?.workflowId).toBe('login')
})

test('Arazzo 1.1 § Workflow Object dependsOn: a workflow of another document comes first', async () => {
  const { course } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    dependsOn: [$sourceDescriptions.other.login]
    steps: [{ stepId: a, operationId: status, dependsOn: [$sourceDescriptions.other.login.steps.read] }]`,
    { ...OTHERS, inputs: { id: '1' }, replies: { 'GET /clients/1': [{ body: { name: 'x' } }] } },
  )

  expect(course).toEqual(['login passed', '  read passed', 'one passed', '  a passed'])
})

test('Arazzo 1.1 § Failure Action Object type goto workflowId: control goes on in another document', async () => {
  const { course } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        operationId: status
        onFailure:
          - { name: away, type: goto, workflowId: $sourceDescriptions.other.login, parameters: [{ name: id, value: z }] }`,
    { ...OTHERS, replies: { 'GET /status': [{ status: 404 }], 'GET /clients/z': [{ body: { name: 'x' } }] } },
  )

  expect(course).toEqual(['one failed', '  a failed', 'login passed', '  read passed'])
})

test('Arazzo 1.1 § Parsing Documents: documents may lead to each other, and what is wrong in any is said with its file', async () => {
  const circular = OTHER(`
  - workflowId: inner
    x-dcr: { effect: read }
    steps: [{ stepId: i, operationId: status }]
  - workflowId: back
    x-dcr: { effect: read }
    steps: [{ stepId: b, workflowId: $sourceDescriptions.first.one }]`).replace(
    '}]\n',
    '}, { name: first, url: scripted.arazzo.yaml, type: arazzo }]\n',
  )
  const flow = `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, workflowId: $sourceDescriptions.other.inner }]`
  const { course } = await play(flow, { ...OTHERS, files: { 'other.arazzo.yaml': circular } })

  expect(course).toEqual(['one passed', '  a/i passed', '  a passed'])
  expect(
    await problemsOf(flow, {
      ...OTHERS,
      files: { 'other.arazzo.yaml': circular.replace('operationId: status', 'operationId: stats') },
    }),
  ).toEqual([expect.stringContaining('step "i" calls operation "stats", which "clients" does not have')])
})

test('Arazzo 1.1 § Workflow Object dependsOn: a circle through another document is refused', async () => {
  const circular = OTHER(`
  - workflowId: back
    x-dcr: { effect: read }
    dependsOn: [$sourceDescriptions.first.one]
    steps: [{ stepId: b, operationId: status }]`).replace(
    '}]\n',
    '}, { name: first, url: scripted.arazzo.yaml, type: arazzo }]\n',
  )

  expect(
    await problemsOf(
      `
  - workflowId: one
    x-dcr: { effect: read }
    dependsOn: [$sourceDescriptions.other.back]
    steps: [{ stepId: a, operationId: status }]`,
      { ...OTHERS, files: { 'other.arazzo.yaml': circular } },
    ),
  ).toEqual([expect.stringContaining('workflows "one", "back" depend on each other')])
})

test('Arazzo 1.1 § Step Object workflowId: each name that leads nowhere in another document is refused', async () => {
  const problems = await problemsOf(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, workflowId: $sourceDescriptions.other.logn }
      - { stepId: b, workflowId: $sourceDescriptions.clients.status }
      - { stepId: c, workflowId: $sourceDescriptions.othr.login }
      - { stepId: d, workflowId: $workflows.one }
      - { stepId: e, workflowId: $sourceDescriptions.other.login, parameters: [{ name: idd, value: x }] }
      - { stepId: f, operationId: $sourceDescriptions.other.login }
      - { stepId: g, operationId: status, dependsOn: [$sourceDescriptions.other.login.steps.read] }`,
    OTHERS,
  )

  expect(problems).toEqual([
    'FLOW_REFERENCE 5: there is no workflow "logn" in "other"',
    'FLOW_REFERENCE 6: source description "clients" is an API description, which has no workflows',
    'FLOW_REFERENCE 7: there is no source description "othr"',
    'FLOW_REFERENCE 8: "$workflows.one" does not name a workflow',
    'FLOW_REFERENCE 9: there is no input "idd" of workflow "login"',
    'FLOW_REFERENCE 10: source description "other" is an Arazzo document, which has workflows and no operations',
    'FLOW_REFERENCE 11: step "g" depends on workflow "login", which this workflow does not wait for',
  ])
})

test('Arazzo 1.1 § Arazzo Specification Object $self: it is the base of relative references, and can be read', async () => {
  const flow = `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: '{$self}|{$sourceDescriptions.other.url}|{$sourceDescriptions.other.type}' }]
      - { stepId: b, workflowId: $sourceDescriptions.other.login, parameters: [{ name: id, value: x }] }`
  const script = {
    sources: '{ name: other, url: ../shared/login.arazzo.yaml, type: arazzo }',
    head: '$self: https://flows.example/team/scripted.arazzo.yaml',
    files: { 'anything.yaml': LOGIN.replace('\n\n', '\n$self: https://flows.example/shared/login.arazzo.yaml\n') },
    replies: { 'GET /clients/x': [{ body: { name: 'x' } }] },
  }
  const { sent, course } = await play(flow, script)

  const expected = 'https://flows.example/team/scripted.arazzo.yaml|../shared/login.arazzo.yaml|arazzo'
  expect(sent).toEqual([`GET /clients/${encodeURIComponent(expected)}`, 'GET /clients/x'])
  expect(course.at(-1)).toBe('  b passed')
  const files = { 'anything.yaml': script.files['anything.yaml'].replace('shared', 'elsewhere') }
  expect(await problemsOf(flow, { ...script, files })).toEqual([
    'FLOW_UNSUPPORTED -1: source description "other" is not a file',
  ])
})

test('Arazzo 1.1 § Source Description Expression Resolution: a field is a value, an operation or workflow is none', async () => {
  const problems = await problemsOf(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, operationId: status, outputs: { x: $sourceDescriptions.clients.status, y: $sourceDescriptions.clients.ulr, z: $self } }
      - { stepId: b, operationId: status, outputs: { x: $sourceDescriptions.other.login, y: $sourceDescriptions.othr.url } }`,
    OTHERS,
  )

  expect(problems).toEqual([
    'FLOW_REFERENCE 5: "$sourceDescriptions.clients.status" names something to call, which is no value',
    'FLOW_REFERENCE 5: there is no field "ulr" of "clients"',
    'FLOW_REFERENCE 5: the document does not say its own URI',
    'FLOW_REFERENCE 6: "$sourceDescriptions.other.login" names something to call, which is no value',
    'FLOW_REFERENCE 6: there is no source description "othr"',
  ])
})

test.each([
  ["'{$sourceDescriptions.styles.url}#/paths/~1s/post'", 'POST /base/s'],
  ['$sourceDescriptions.styles#/paths/~1s/get', 'GET /base/s'],
  ["'{$sourceDescriptions.clients.url}#/paths/~1status/get'", 'GET /status'],
  ["'{$sourceDescriptions.clients.url}#/paths/%7E1status/get'", 'GET /status'],
  ["'{$sourceDescriptions.clients.url}#/paths/~1clients~1%7Bclient_id%7D/get'", 'GET /clients/1'],
  ["'{$sourceDescriptions.clients.url}#/paths/~1clients~1{client_id}/get'", 'GET /clients/1'],
])('Arazzo 1.1 § Step Object operationPath: %s is %s', async (path, expected) => {
  const parameters = expected.endsWith('/1') ? ', parameters: [{ name: client_id, in: path, value: "1" }]' : ''
  const { sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationPath: ${path}${parameters} }]`,
    WITH_STYLES,
  )

  expect(sent).toEqual([expected])
})

test('Arazzo 1.1 § Step Object operationPath: one that leads nowhere is refused', async () => {
  const problems = await problemsOf(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, operationPath: '{$sourceDescriptions.styles.url}#/paths/~1t/post' }
      - { stepId: b, operationPath: '{$sourceDescriptions.nothing.url}#/paths/~1s/post' }
      - { stepId: c, operationPath: '#/paths/~1s/post' }
      - { stepId: d, operationPath: '{$sourceDescriptions.styles.url}#/paths/~1s/post', operationId: search }`,
    WITH_STYLES,
  )

  expect(problems).toEqual([
    'FLOW_REFERENCE 5: there is no operation "POST /t" in "styles"',
    'FLOW_REFERENCE 6: there is no source description "nothing"',
    'FLOW_EXPRESSION 7: operationPath of step "c" does not lead to an operation',
    'FLOW_STRUCTURE 8: step "d" says twice what to call',
    'FLOW_REFERENCE 8: step "d" calls "search" without saying of which source description',
  ])
})

test.each([
  ['form', '[1, "a b"]', 'form=1&form=a%20b'],
  ['form', '{ a: 1, b: [2] }', 'a=1&b=%5B2%5D'],
  ['comma', '[1, "a,b"]', 'comma=1,a%2Cb'],
  ['comma', '{ a: 1, b: 2 }', 'comma=a,1,b,2'],
  ['pipe', '[1, 2]', 'pipe=1%7C2'],
  ['space', '[1, 2]', 'space=1%202'],
  ['deep', '{ a: 1, b: x }', 'deep%5Ba%5D=1&deep%5Bb%5D=x'],
  ['form', '[]', ''],
  ['space', '{ a: 1, b: 2 }', 'space=a%201%20b%202'],
  ['text', 'a b', 'text=a%20b'],
  ['reserved', 'a/b?c=%20&d é', 'reserved=a/b?c=%20&d%20%C3%A9'],
  ['json', '{ a: [1] }', 'json=%7B%22a%22%3A%5B1%5D%7D'],
])('OpenAPI § Style Values: query parameter "%s" with %s is written as %s', async (name, value, expected) => {
  const { sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.queries, parameters: [{ name: ${name}, in: query, value: ${value} }] }]`,
    WITH_STYLES,
  )

  expect(sent).toEqual([`GET /base/q${expected === '' ? '' : `?${expected}`}`])
})

test('OpenAPI § Style Values: paths, headers and cookies are written by their style', async () => {
  const { sent, requests } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        operationId: $sourceDescriptions.styles.paths
        parameters: [{ name: list, in: path, value: [x, "y/z"] }, { name: object, in: path, value: { a: 1, b: 2 } }]
      - stepId: b
        operationId: $sourceDescriptions.styles.queries
        parameters: [{ name: x-list, in: header, value: [1, 2] }, { name: X-Json, in: header, value: { a: [1] } }, { name: session, in: cookie, value: { a: 1, b: 'x; y' } }, { name: raw, in: cookie, value: 'a"b' }, { name: list, in: cookie, value: [1, 2] }]`,
    WITH_STYLES,
  )

  expect(sent).toEqual(['GET /base/a/;list=x;list=y%2Fz/.a=1.b=2/b', 'GET /base/q'])
  expect(Object.fromEntries(requests[1]?.headers ?? [])).toMatchObject({
    'x-list': '1,2',
    'x-json': '{"a":[1]}',
    cookie: 'a=1; b=x%3B%20y; raw=a"b; list=1,2',
  })
})

test('OpenAPI § Parameter Object: one with content is JSON, in a path and in a cookie too', async () => {
  const { sent, requests } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.json, parameters: [{ name: json, in: path, value: { a: '/' } }, { name: kept, in: cookie, value: [1] }, { name: matrix, in: query, value: [a/b, c] }] }]`,
    WITH_STYLES,
  )

  expect(sent).toEqual(['GET /base/j/%7B%22a%22%3A%22%2F%22%7D?matrix=a/b&matrix=c'])
  expect(Object.fromEntries(requests[0]?.headers ?? [])).toMatchObject({ cookie: 'kept=[1]' })
})

test('OpenAPI § Parameter Object: a structure is not written as a media type that is no JSON', async () => {
  const problems = await problemsOf(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.queries, parameters: [{ name: text, in: query, value: [1] }] }]`,
    WITH_STYLES,
  )

  expect(problems).toEqual([
    'FLOW_UNSUPPORTED 4: parameter "text" of step "a" is no text, and nothing else can be written as "text/plain"',
  ])
})

test('OpenAPI § Schema Object default: it is for the server to take, so one that is required is not sent by itself', async () => {
  const flow = (operationId: string) => `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.${operationId} }]`
  const described = (required: boolean) => ({
    ...WITH_STYLES,
    files: {
      'styles.openapi.yaml': STYLES.replace(
        '- { name: form, in: query }',
        `- { name: form, in: query, required: ${required}, schema: { default: [x] } }`,
      ),
    },
  })
  const refused = await play(flow('queries'), described(true)).catch(({ problems }) => problems)

  expect((await play(flow('queries'), described(false))).sent).toEqual(['GET /base/q'])
  expect(refused).toMatchObject([
    {
      code: 'FLOW_REFERENCE',
      message: 'step "a" lacks the query parameter "form" that "queries" requires',
      hint: 'a default is what the server takes where it is not sent, and required means sent: write value: ["x"]',
    },
  ])
})

test('Arazzo 1.1 § Parameter Object in querystring: the whole query is one text, beside which there is no other', async () => {
  const flow = (parameters: string) => `
  - workflowId: one
    x-dcr: { effect: read }
    inputs: { type: object, properties: { filter: { type: string, default: 'a b' } } }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.search, parameters: [${parameters}] }]`
  const { sent } = await play(flow("{ name: q, in: querystring, value: 'f={$inputs.filter}&limit=20' }"), WITH_STYLES)
  const wrong = await play(flow('{ name: q, in: querystring, value: { a: 1 } }'), WITH_STYLES)

  expect(sent).toEqual(['GET /base/s?f=a%20b&limit=20'])
  expect(wrong.workflows[0]?.steps[0]?.error?.message).toBe('the query string "q" is not a text')
  expect(
    await problemsOf(flow('{ name: q, in: querystring, value: a }, { name: r, in: query, value: b }'), WITH_STYLES),
  ).toEqual([
    'FLOW_STRUCTURE 5: step "a" has a query string and parameters of the query',
    'FLOW_REFERENCE 5: operation "search" of step "a" has no query parameter "r"',
  ])
})

test.each([
  ['is a number', 'name: 42, in: query'],
  ['is an object', 'name: { a: b }, in: query'],
  ['is missing', 'in: query'],
])(
  'OpenAPI 3.2 § Parameter Object: a description in which the name %s is refused with its place',
  async (_, spoilt) => {
    const flow = `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.queries, parameters: [{ name: forms, in: query, value: 1 }] }]`
    const files = { 'styles.openapi.yaml': STYLES.replace('name: form, in: query', spoilt) }

    expect(await problemsOf(flow, { ...WITH_STYLES, files })).toEqual([
      // line 16 of the description, less the head of the flow
      'FLOW_STRUCTURE 12: the parameter has no name',
      'FLOW_REFERENCE 4: operation "queries" of step "a" has no query parameter "forms"',
    ])
  },
)

test('Arazzo 1.1 § Selector Object: it stands wherever a value does', async () => {
  const { sent, requests } = await play(
    `
  - workflowId: one
    x-dcr: { effect: register, notice: none }
    inputs: { type: object, properties: { user: { type: object, default: { id: 7, tags: [{ n: a }, { n: b }] } } } }
    steps:
      - stepId: a
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: { context: $inputs.user, selector: $.id, type: jsonpath } }]
        outputs: { all: { context: $response.body, selector: $.list, type: { type: jsonpath, version: rfc9535 } } }
      - stepId: b
        operationId: registerClient
        requestBody:
          contentType: application/json
          payload:
            tags: { context: $inputs.user, selector: '$.tags[*].n', type: jsonpath }
            name: none
          replacements:
            - { target: /name, value: { context: $steps.a.outputs.all, selector: /0, type: jsonpointer } }`,
    { replies: { 'GET /clients/7': [{ body: { list: ['first'] } }] } },
  )

  expect(sent[0]).toBe('GET /clients/7')
  expect(requests[1]?.body).toBe('{"tags":["a","b"],"name":"first"}')
})

test.each([
  [
    'payload: { items: [{ sku: A, n: 1 }, { sku: B, n: 2 }] }',
    '{ target: "$.items[?@.sku==\'B\'].n", targetSelectorType: jsonpath, value: 5 }',
    '{"items":[{"sku":"A","n":1},{"sku":"B","n":5}]}',
  ],
  [
    'payload: { items: [{ n: 1 }, { n: 2 }] }',
    '{ target: "$.items[*].n", targetSelectorType: { type: jsonpath, version: rfc9535 }, value: 0 }',
    '{"items":[{"n":0},{"n":0}]}',
  ],
  ['payload: { a: 1 }', '{ target: /a, targetSelectorType: jsonpointer, value: [1] }', '{"a":[1]}'],
  ['payload: \'{ "a": { "b": 1 } }\'', '{ target: /a/b, value: 2 }', '{"a":{"b":2}}'],
  ['', '{ target: /a, value: 1 }', '{"a":1}'],
])('Arazzo 1.1 § Payload Replacement Object: %s with %s becomes %s', async (payload, replacement, expected) => {
  const { requests } = await play(`
  - workflowId: one
    x-dcr: { effect: register, notice: none }
    steps: [{ stepId: a, operationId: registerClient, requestBody: { contentType: application/json, ${payload === '' ? '' : `${payload}, `}replacements: [${replacement}] } }]`)

  expect(requests[0]?.body).toBe(expected)
})

test('Arazzo 1.1 § Payload Replacement Object: a place that is not there is no verdict, XPath and what is no selector are refused', async () => {
  const flow = (replacement: string) => `
  - workflowId: one
    x-dcr: { effect: register, notice: none }
    steps: [{ stepId: a, operationId: registerClient, requestBody: { contentType: application/json, payload: { a: 1 }, replacements: [${replacement}] } }]`
  const { workflows } = await play(flow('{ target: $.b, targetSelectorType: jsonpath, value: 1 }'))

  expect(workflows[0]?.steps[0]?.error).toMatchObject({
    code: 'VALUE_UNDEFINED',
    message: 'the payload has nothing at "$.b" to replace',
  })
  expect(await problemsOf(flow('{ target: /a, targetSelectorType: xpath, value: 1 }'))).toEqual([
    'FLOW_UNSUPPORTED 4: XPath is not supported',
  ])
  expect(
    await problemsOf(flow('{ target: a, value: 1 }, { target: "$[", targetSelectorType: jsonpath, value: 1 }')),
  ).toEqual(['FLOW_EXPRESSION 4: "a" is not a JSON Pointer', 'FLOW_EXPRESSION 4: "$[" is not a JSONPath of RFC 9535'])
})

test.each([
  ['application/x-www-form-urlencoded', "'a={$inputs.id}&b=2'", 'a=x y&b=2', 'token'],
  ['application/json', '\'{ "id": "{$inputs.id}" }\'', '{ "id": "x y" }', 'registerClient'],
  ['text/plain', "'Dear {$inputs.id}'", 'Dear x y', 'uploadLogo'],
  ['text/plain', 'as it is', 'as it is', 'uploadLogo'],
])(
  'Arazzo 1.1 § Request Body Object: %s may be written as the text %s',
  async (contentType, payload, expected, operationId) => {
    const { requests } = await play(`
  - workflowId: one
    x-dcr: { effect: register, notice: none }
    inputs: { type: object, properties: { id: { type: string, default: x y } } }
    steps: [{ stepId: a, operationId: ${operationId}, requestBody: { contentType: ${contentType}, payload: ${payload} } }]`)

    expect(requests[0]?.body).toBe(expected)
    expect(requests[0]?.headers).toContainEqual(['content-type', contentType])
  },
)

test('Redocly x-operation: a call that no description knows, to a host that is allowed', async () => {
  const flow = (url: string) => `
  - workflowId: one
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string, default: x/y } } }
    steps:
      - stepId: a
        x-operation: { url: '${url}', method: get }
        parameters: [{ name: id, in: path, value: $inputs.id }, { name: q, in: query, value: [1, 2] }, { name: X-Any, in: header, value: h }]
        successCriteria: [{ condition: $statusCode == 418 }]
        outputs: { any: $response.header.X-Any }`
  const replies = { 'GET /v1/x%2Fy?z=1&q=1&q=2': [{ status: 418, headers: { 'x-any': 'thing' } }] }
  const { course, sent, workflows } = await play(flow('https://api.example/v1/{id}?z=1'), { replies })
  const byServer = await play(flow('{$sourceDescriptions.clients.servers.0.url}/v1/{id}?z=1'), { replies })

  expect(course).toEqual(['one passed', '  a passed'])
  expect(sent).toEqual(Object.keys(replies))
  expect(workflows[0]?.steps[0]?.checks.map(({ id }) => id)).toEqual(['criterion 1'])
  expect(byServer.sent).toEqual(sent)
  await expect(play(flow('https://elsewhere.example/{id}'))).rejects.toThrow(
    'calls host "elsewhere.example", which is not in',
  )
  await expect(play(flow('{$inputs.none}/x'))).rejects.toThrow('there is no input "none"')
  expect(await problemsOf(flow('https://api.example/').replace('method: get', 'method: send'))).toEqual([
    'FLOW_STRUCTURE 7: "method" of x-operation of step "a" has an unknown value',
  ])
})

test('a source description with a hyphen has its server under a name without', async () => {
  const { sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.my-styles.search }]`,
    {
      ...WITH_STYLES,
      sources: '{ name: my-styles, url: styles.openapi.yaml }',
      settings: 'SERVER_MY_STYLES=https://styles.example',
    },
  )

  expect(sent).toEqual(['GET /s'])
})

test('OpenAPI § Parameter Object: headers that are described elsewhere are not demanded of a step', async () => {
  const files = {
    'styles.openapi.yaml': STYLES.replace(
      'parameters: [{ name: q,',
      'parameters: [{ name: Content-Type, in: header, required: true }, { name: q,',
    ),
  }
  const { course } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.styles.search }]`,
    { ...WITH_STYLES, files },
  )

  expect(course).toEqual(['one passed', '  a passed'])
})

const OLD = `openapi: 3.0.3
info: { title: Old, version: 1.0.0 }
paths:
  /old:
    get:
      operationId: old
      responses:
        '200':
          description: ok
          content:
            application/json:
              schema:
                properties:
                  name: { type: string, nullable: true, enum: [a] }
                  count: { type: integer, minimum: 0, exclusiveMinimum: true }
                  share: { type: number, maximum: 1, exclusiveMaximum: false }
                  nullable: { type: string, nullable: false }
                  data: { enum: [{ type: a, nullable: true }] }
`

test.each([
  [{ name: null, count: 1, share: 1, nullable: 'x', data: { type: 'a', nullable: true } }, []],
  [{ name: 'a', count: 0 }, ['schema /count']],
  [{ name: 'b', share: 2, nullable: null }, ['schema /name', 'schema /share', 'schema /nullable']],
])('OpenAPI § Schema Object of 3.0: %j is judged by its words for null and for bounds', async (body, failed) => {
  const flow = `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.old.old }]`
  const { workflows } = await play(flow, {
    sources: '{ name: old, url: old.openapi.yaml }',
    files: { 'old.openapi.yaml': OLD },
    settings: 'SERVER_OLD=https://old.example',
    replies: { 'GET /old': [{ body }] },
  })

  const checks = workflows[0]?.steps[0]?.checks ?? []
  expect(checks.filter(({ status }) => status === 'fail').map(({ id }) => id)).toEqual(failed)
})

/** Keys of the description's security, of an operation's own, and of none. */
const KEYS = `openapi: 3.1.0
info: { title: Keys, version: 1.0.0 }
security: [{ header: [] }, { query: [], cookie: [] }]
paths:
  /all: { get: { operationId: all, responses: { '200': { description: ok } } } }
  /own: { get: { operationId: own, security: [{ query: [] }], responses: { '200': { description: ok } } } }
  /none: { get: { operationId: none, security: [], responses: { '200': { description: ok } } } }
components:
  securitySchemes:
    header: { type: apiKey, in: header, name: X-Key }
    query: { type: apiKey, in: query, name: api_key }
    cookie: { type: apiKey, in: cookie, name: sid }
`
const WITH_KEYS = {
  sources: '{ name: keys, url: keys.openapi.yaml }',
  files: { 'keys.openapi.yaml': KEYS },
  settings: 'SERVER_KEYS=https://keys.example',
}
const withKeys = (...steps: readonly string[]) => `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
${steps.map((step) => `      - { ${step} }`).join('\n')}`
const key = (place: string, name: string) => `{ name: ${name}, in: ${place}, value: key-of-the-test }`

test('OpenAPI 3.1 § Security Scheme Object apiKey: the keys of an operation can be sent as parameters, and are secrets', async () => {
  const all = [key('header', 'x-key'), key('query', 'api_key'), key('cookie', 'sid')].join(', ')
  const { requests, workflows } = await play(
    withKeys(`stepId: a, operationId: $sourceDescriptions.keys.all, parameters: [${all}]`),
    { ...WITH_KEYS, replies: { 'GET /all?api_key=key-of-the-test': [{ body: { echo: 'key-of-the-test' } }] } },
  )

  expect(requests[0]?.url).toBe('https://keys.example/all?api_key=key-of-the-test')
  expect(requests[0]?.headers).toEqual(
    expect.arrayContaining([
      ['x-key', 'key-of-the-test'],
      ['cookie', 'sid=key-of-the-test'],
    ]),
  )
  expect(JSON.stringify(workflows)).not.toContain('key-of-the-test')
})

test('OpenAPI 3.1 § Operation Object security: its own replaces that of the description, an empty list takes it away', async () => {
  const problems = await problemsOf(
    withKeys(
      `stepId: a, operationId: $sourceDescriptions.keys.own, parameters: [${key('query', 'api_key')}]`,
      `stepId: b, operationId: $sourceDescriptions.keys.own, parameters: [${key('header', 'X-Key')}]`,
      `stepId: c, operationId: $sourceDescriptions.keys.none, parameters: [${key('query', 'api_key')}]`,
    ),
    WITH_KEYS,
  )

  expect(problems).toEqual([
    'FLOW_REFERENCE 6: operation "own" of step "b" has no header parameter "X-Key"',
    'FLOW_REFERENCE 7: operation "none" of step "c" has no query parameter "api_key"',
  ])
})

test('a description that has changed is read anew by the next flow, and its faults are said by each', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-documents-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const flow = join(folder, 'a.arazzo.yaml')
  const describe = (path: string, operationId = 'readClient') =>
    writeFile(
      join(folder, 'clients.openapi.yaml'),
      `openapi: 3.1.0
info: { title: Clients, version: 1.0.0 }
servers: [{ url: 'https://a.example' }]
paths:
  /${path}:
    get: { operationId: ${operationId}, responses: { '200': { description: ok } } }
  /other:
    get: { operationId: readOther, responses: { '200': { description: ok } } }
`,
    )
  const text = OTHER(`
  - workflowId: read
    x-dcr: { effect: read }
    steps: [{ stepId: read, operationId: readClient }]`)
  await writeFile(flow, text)
  const pathOf = async () => {
    const [step] = (await readFlow(flow)).workflows[0]?.steps ?? []
    return step?.kind === 'call' ? step.operation.path : undefined
  }

  await describe('before')
  expect(await pathOf()).toBe('/before')
  expect(await pathOf()).toBe('/before')
  await describe('after')
  expect(await pathOf()).toBe('/after')

  await describe('after', 'readOther')
  for (let time = 0; time < 2; time += 1) await expect(readFlow(flow)).rejects.toThrow('occurs twice')
})
