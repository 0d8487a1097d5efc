/** What single members of Arazzo's objects mean to a run, a list or a report, where no other test is about them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import { detailsOf } from '../../src/run/overview.ts'
import { Cli } from '../support/cli.ts'
import { play, problemsOf } from '../support/script.ts'

const READ = 'operationId: readClient, parameters: [{ name: client_id, in: path, value: $inputs.id }]'
const flowOf = (members: string) => `
  - workflowId: one
    x-dcr: { effect: read }
${members.replace(/^/gm, '    ')}`

const TOLD = `arazzo: 1.0.1
info: { title: A title, summary: A summary of all, description: The story, version: 7.0.0 }
sourceDescriptions: [{ name: clients, url: clients.openapi.yaml }]
workflows:
  - workflowId: one
    summary: What the first is for
    x-dcr: { effect: read }
    steps: [{ stepId: a, description: What the step does, operationId: status }]
  - workflowId: two
    description: A story of its own
    x-dcr: { effect: read }
    steps: [{ stepId: b, operationId: status }]
`

test('Arazzo 1.1 § Info Object title, description: list, show and record have them', async () => {
  const [one, two] = await told()

  expect([one?.title, one?.description, two?.title]).toEqual(['A title', 'The story', 'A title'])
  expect((await readFlow(await file())).title).toBe('A title')
})

test('Arazzo 1.1 § Workflow Object summary, description: list and show have them, its own story before that of the document', async () => {
  const [one, two] = await told()

  expect([one?.summary, one?.description, two?.summary, two?.description]).toEqual([
    ...['What the first is for', 'The story', undefined, 'A story of its own'],
  ])
})

test('Arazzo 1.1 § Step Object description: show and record have it', async () => {
  const [one] = await told()
  const { workflows } = await play(flowOf('steps: [{ stepId: a, description: What it does, operationId: status }]'))

  expect(one?.steps[0]?.description).toBe('What the step does')
  expect(workflows[0]?.steps[0]?.description).toBe('What it does')
})

test('Arazzo 1.1 § Info Object summary, version: they are for people who read the file, and shown nowhere', async () => {
  expect(JSON.stringify(await told())).not.toMatch(/A summary of all|7\.0\.0/)
  expect(await problemsOf(flowOf('steps: [{ stepId: a, operationId: status }]'))).toEqual([])
})

let cli: Cli | undefined

async function file(): Promise<string> {
  cli ??= await Cli.make({ '.env.uat': 'ENV_CLASS=uat\nSERVER_CLIENTS=https://clients.example\n' })
  await writeFile(join(cli.folder, 'clients.openapi.yaml'), STATUS)
  await writeFile(join(cli.folder, 'told.arazzo.yaml'), TOLD)
  return join(cli.folder, 'told.arazzo.yaml')
}

async function told() {
  const flow = await file()
  return await detailsOf({
    environment: await loadEnvironment({ env: 'uat', folder: cli?.folder ?? '', variables: {} }),
    inputs: new Map(),
    selection: { flows: [flow], folders: [cli?.folder ?? ''] },
  })
}

const STATUS = `openapi: 3.1.0
info: { title: Clients, version: 1.0.0 }
paths: { /status: { get: { operationId: status, responses: { '200': { description: alive } } } } }
`

test('Arazzo 1.1 § Source Description Object name, url: the name is what steps and SERVER_ variables call the file', async () => {
  const { sent, requests } = await play(
    flowOf('steps: [{ stepId: a, operationId: $sourceDescriptions.second.status }]'),
    {
      sources: '{ name: second, url: ./second.yaml, type: openapi }',
      files: { 'second.yaml': STATUS.replace('/status', '/alive') },
      settings: 'SERVER_SECOND=https://second.example',
    },
  )

  expect(sent).toEqual(['GET /alive'])
  expect(requests[0]?.url).toBe('https://second.example/alive')
})

test('Arazzo 1.1 § Arazzo Specification Object info, sourceDescriptions, workflows: without one, or with none in a list, there is nothing to run', async () => {
  const problems = async (text: string) => {
    await writeFile(await file(), text)
    return await readFlow(join(cli?.folder ?? '', 'told.arazzo.yaml')).catch(({ problems }) =>
      problems.map(({ message }: { message: string }) => message),
    )
  }

  expect(await problems('arazzo: 1.1.0')).toEqual([
    'the document has no "info"',
    'the document has no "sourceDescriptions"',
    'the document has no "workflows"',
  ])
  expect(await problems('arazzo: 1.1.0\ninfo: {}\nsourceDescriptions: []\nworkflows: []')).toEqual([
    'info has no "title"',
    'info has no "version"',
    '"sourceDescriptions" of the document is empty',
    '"workflows" of the document is empty',
  ])
})

test('Arazzo 1.1 § Workflow Object workflowId, steps: all workflows of a document run, each by its steps in order', async () => {
  const { course } = await play(`
  - { workflowId: first, x-dcr: { effect: read }, steps: [{ stepId: z, operationId: status }, { stepId: a, operationId: status }] }
  - { workflowId: second, x-dcr: { effect: read }, steps: [{ stepId: z, operationId: status }] }`)

  expect(course).toEqual(['first passed', '  z passed', '  a passed', 'second passed', '  z passed'])
})

test('Arazzo 1.1 § Workflow Object inputs: their schema says what must be given, and what it may be', async () => {
  const flow =
    flowOf(`inputs: { type: object, required: [id], properties: { id: { type: string, pattern: '^[a-z]+$' } } }
steps: [{ stepId: a, ${READ} }]`)
  const refusal = async (inputs: Record<string, string>) =>
    await play(flow, { inputs }).catch(({ problems: [{ code, message }] }) => `${code}: ${message}`)

  expect((await play(flow, { inputs: { id: 'x' } })).sent).toEqual(['GET /clients/x'])
  expect(await refusal({})).toBe('INPUT_MISSING: input "id" has no value')
  expect(await refusal({ id: '7' })).toBe('INPUT_INVALID: input "id" from --input does not fit its schema')
})

test('Arazzo 1.1 § Workflow Object outputs, Step Object outputs: a step keeps values of its exchange, a workflow gives them on', async () => {
  const { workflows, sent } = await play(
    flowOf(`steps:
  - { stepId: a, operationId: status, outputs: { status: $statusCode, method: $method } }
  - stepId: b
    operationId: readClient
    parameters: [{ name: client_id, in: path, value: '{$steps.a.outputs.method}-{$steps.a.outputs.status}' }]
    outputs: { name: $response.body#/name }
outputs: { all: $steps.b.outputs.name }`),
    { replies: { 'GET /clients/GET-200': [{ body: { name: 'x' } }] } },
  )

  expect(sent).toEqual(['GET /status', 'GET /clients/GET-200'])
  expect(workflows[0]?.outputs).toEqual({ all: 'x' })
})

test('Arazzo 1.1 § Workflow Object parameters, Step Object parameters: those of the workflow go to each step, one of the step by name and place comes before', async () => {
  const { sent, requests } = await play(
    flowOf(`parameters:
  - { name: client_id, in: path, value: shared }
  - { name: fields, in: query, value: shared }
steps:
  - { stepId: a, operationId: readClient }
  - stepId: b
    operationId: readClient
    parameters: [{ name: fields, in: query, value: own }, { name: X-Request-Id, in: header, value: id }]`),
  )

  expect(sent).toEqual(['GET /clients/shared?fields=shared', 'GET /clients/shared?fields=own'])
  expect(requests.map(({ headers }) => new Headers(headers.map(([...pair]) => pair)).get('x-request-id'))).toEqual([
    ...[null, 'id'],
  ])
})

test('Arazzo 1.1 § Parameter Object name, value: a value of any type is bound by name, with case but for headers', async () => {
  const { sent } = await play(
    flowOf(
      `steps: [{ stepId: a, operationId: readClient, parameters: [{ name: client_id, in: path, value: 7 }, { name: fields, in: query, value: [a, true] }, { name: x-request-id, in: header, value: id }] }]`,
    ),
  )

  expect(sent).toEqual(['GET /clients/7?fields=a&fields=true'])
  expect(
    await problemsOf(
      flowOf('steps: [{ stepId: a, operationId: readClient, parameters: [{ name: Client_Id, in: path, value: 7 }] }]'),
    ),
  ).toEqual(['FLOW_REFERENCE 4: operation "readClient" of step "a" has no path parameter "Client_Id"'])
})

test('Arazzo 1.1 § Step Object stepId, operationId: one names the step for others, the other what it calls', async () => {
  const { course, sent } = await play(
    flowOf(
      'steps: [{ stepId: a_B-1, operationId: status }, { stepId: c, operationId: $sourceDescriptions.clients.status, dependsOn: [a_B-1] }]',
    ),
  )

  expect([course.slice(1), sent]).toEqual([
    ['  a_B-1 passed', '  c passed'],
    ['GET /status', 'GET /status'],
  ])
  expect(
    await problemsOf(flowOf("steps: [{ stepId: 'a b', operationId: status }, { stepId: c, operationId: Status }]")),
  ).toEqual([
    'FLOW_STRUCTURE 4: stepId "a b" is not usable',
    'FLOW_REFERENCE 4: step "c" calls operation "Status", which "clients" does not have',
  ])
})

test('Arazzo 1.1 § Step Object requestBody: it is what a call sends, and required where the operation says so', async () => {
  const flow = (body: string) =>
    flowOf(`steps: [{ stepId: a, operationId: registerClient${body} }]`).replace('read', 'register, notice: none')
  const { requests } = await play(flow(', requestBody: { payload: { a: 1 } }'))

  expect(requests[0]?.body).toBe('{"a":1}')
  expect(await problemsOf(flow(''))).toEqual([
    'FLOW_REFERENCE 4: step "a" lacks the body that "registerClient" requires',
  ])
})

test('Arazzo 1.1 § Step Object successCriteria: all must hold; without any, a 2xx is success', async () => {
  const statusOf = async (criteria: string, status: number) => {
    const flow = flowOf(
      `steps: [{ stepId: a, x-operation: { url: https://api.example/status, method: get }${criteria} }]`,
    )
    return (await play(flow, { replies: { 'GET /status': [{ status }] } })).course[1]?.trim()
  }
  const both = ', successCriteria: [{ condition: $statusCode > 399 }, { condition: $statusCode < 500 }]'

  expect([await statusOf('', 200), await statusOf('', 404)]).toEqual(['a passed', 'a failed'])
  expect([await statusOf(both, 404), await statusOf(both, 200)]).toEqual(['a passed', 'a failed'])
  expect(await problemsOf(flowOf('steps: [{ stepId: a, operationId: status, successCriteria: [] }]'))).toEqual([
    'FLOW_STRUCTURE 4: "successCriteria" of step "a" is empty',
  ])
})

test('Arazzo 1.1 § Multiple Criteria: one that does not hold fails the step, and the others are judged as well', async () => {
  const { workflows } = await play(
    flowOf(
      'steps: [{ stepId: a, operationId: status, successCriteria: [{ condition: $method == 1 }, { condition: $statusCode == 200 }, { condition: $method == 2 }] }]',
    ),
  )

  expect(
    workflows[0]?.steps[0]?.checks.filter(({ id }) => id.startsWith('criterion')).map(({ status }) => status),
  ).toEqual([...['fail', 'pass', 'fail']])
})

test('Arazzo 1.1 § Criterion Object context, condition, type: the condition of a type is applied to the context', async () => {
  const holds = async (criterion: string) => {
    const flow = flowOf(
      `steps: [{ stepId: a, operationId: readClient, parameters: [{ name: client_id, in: path, value: x }], successCriteria: [${criterion}] }]`,
    )
    return (await play(flow, { replies: { 'GET /clients/x': [{ body: { name: 'Rex', tags: ['a'] } }] } })).course[0]
  }

  expect(await holds("{ condition: $response.body#/name == 'rex' }")).toBe('one passed')
  expect(await holds("{ context: $response.body#/name, condition: '^rex$', type: regex }")).toBe('one failed')
  expect(await holds('{ context: $response.body, condition: "$.tags[0]", type: jsonpath }')).toBe('one passed')
  expect(
    await holds('{ context: $response.body, condition: $.none, type: { type: jsonpath, version: rfc9535 } }'),
  ).toBe('one failed')
})

test('Arazzo 1.1 § Runtime Expressions in Conditions: bare in a simple one, in braces in the others, evaluated before them', async () => {
  const holds = async (criterion: string) => {
    const flow = flowOf(`inputs: { type: object, properties: { id: { type: string, default: x } } }
steps: [{ stepId: a, ${READ}, successCriteria: [${criterion}] }]`)
    return (await play(flow, { replies: { 'GET /clients/x': [{ body: { id: 'x' } }] } })).course[0]
  }

  expect(await holds('{ condition: $response.body#/id == $inputs.id }')).toBe('one passed')
  expect(await holds("{ context: $response.body#/id, condition: '^{$inputs.id}$', type: regex }")).toBe('one passed')
  expect(await holds(`{ context: $response.body, condition: "$[?$.id == '{$inputs.id}']", type: jsonpath }`)).toBe(
    'one passed',
  )
  expect(await holds(`{ context: $response.body, condition: "$[?$.id == '{$inputs.id}y']", type: jsonpath }`)).toBe(
    'one failed',
  )
})

test('Arazzo 1.1 § Runtime Expressions: $url, $method and $request read what was sent, once it was sent', async () => {
  const { workflows } = await play(
    flowOf(`steps:
  - stepId: a
    operationId: readClient
    parameters: [{ name: client_id, in: path, value: x/y }, { name: fields, in: query, value: [a, b] }, { name: X-Request-Id, in: header, value: id }]
    outputs: { url: $url, path: $request.path.client_id, query: $request.query.fields, header: $request.header.x-request-id }
outputs: { url: $steps.a.outputs.url, path: $steps.a.outputs.path, query: $steps.a.outputs.query, header: $steps.a.outputs.header }`),
  )

  expect(workflows[0]?.outputs).toEqual({
    url: 'https://api.example/clients/x%2Fy?fields=a&fields=b',
    path: 'x/y',
    query: ['a', 'b'],
    header: 'id',
  })
})

test('Arazzo 1.1 § Runtime Expressions: what is read where it has no value is refused at its place', async () => {
  const flow = flowOf(`steps:
  - { stepId: a, operationId: status, parameters: [{ name: a, in: header, value: $url }] }
  - { stepId: b, workflowId: two, successCriteria: [{ condition: $statusCode == 200 }], outputs: { x: $request.body } }
  - { stepId: c, operationId: status, outputs: { x: $components.parameters.any, y: $message.payload } }
outputs: { x: $response.body }`)

  expect(
    await problemsOf(`${flow}
  - { workflowId: two, x-dcr: { effect: read }, steps: [{ stepId: d, operationId: status }] }`),
  ).toEqual([
    'FLOW_REFERENCE 5: operation "status" of step "a" has no header parameter "a"',
    'FLOW_REFERENCE 5: there is no request yet where "$url" stands',
    'FLOW_UNSUPPORTED 6: "$statusCode" is not supported after a workflow that ran as a step',
    'FLOW_UNSUPPORTED 6: "$request.body" is not supported after a workflow that ran as a step',
    'FLOW_UNSUPPORTED 7: "$components.parameters.any" has no value',
    'FLOW_UNSUPPORTED 7: "$message" is not supported',
    'FLOW_REFERENCE 8: there is no answer yet where "$response.body" stands',
  ])
})

test('Arazzo 1.0 § Versions: what only 1.1 has is read in a document of 1.0.x as well', async () => {
  const text = flowOf(`inputs: { type: object, properties: { list: { type: array, default: [x] } } }
steps:
  - { stepId: a, operationId: status, timeout: 500 }
  - stepId: b
    operationId: readClient
    dependsOn: [a]
    parameters: [{ name: client_id, in: path, value: { context: $inputs.list, selector: /0, type: jsonpointer } }]`)

  expect((await play(text, { version: '1.0.1' })).sent).toEqual(['GET /status', 'GET /clients/x'])
})

test('Arazzo 1.0 § Runtime Expressions: names are those of 1.1, so a blank in the name of an input is refused', async () => {
  const flow = flowOf(`inputs: { type: object, properties: { 'a b': { type: string } } }
steps: [{ stepId: a, operationId: status, outputs: { x: '$inputs.a b' } }]`)

  expect(await problemsOf(flow, { version: '1.0.1' })).toEqual([
    'FLOW_EXPRESSION 5: "$inputs.a b" is not a runtime expression',
  ])
})

test('Arazzo 1.0 § Expression Type Object: the one version of JSONPath that 1.0.x can name is refused, its default is that of 1.1', async () => {
  const flow = (type: string) =>
    flowOf(
      `steps: [{ stepId: a, operationId: readClient, parameters: [{ name: client_id, in: path, value: x }], successCriteria: [{ context: $response.body, condition: $.a, type: ${type} }] }]`,
    )
  const replies = { 'GET /clients/x': [{ body: { a: null } }] }

  expect((await play(flow('jsonpath'), { version: '1.0.1', replies })).course[0]).toBe('one passed')
  expect(
    await problemsOf(flow('{ type: jsonpath, version: draft-goessner-dispatch-jsonpath-00 }'), { version: '1.0.1' }),
  ).toEqual(['FLOW_UNSUPPORTED 4: version "draft-goessner-dispatch-jsonpath-00" of jsonpath is not supported'])
})

test.each([
  [
    'a Postman collection',
    '{"info":{"schema":"https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},"item":[]}',
  ],
  ['a Postman environment', '{"name":"x","values":[],"_postman_variable_scope":"environment"}'],
  ['an OpenAPI description', 'openapi: 3.1.0\ninfo: { title: x, version: 1 }\npaths: {}'],
  ['a HAR archive', '{"log":{"version":"1.2","entries":[]}}'],
  ['the record of a run', '{"recordVersion":2}'],
])('%s in place of a flow is named in one error', async (kind, text) => {
  await writeFile(await file(), text)

  const problems = await readFlow(join(cli?.folder ?? '', 'told.arazzo.yaml')).catch((error) => error.problems)

  expect(problems).toMatchObject([{ code: 'FLOW_STRUCTURE', message: `the file is ${kind}, not a flow` }])
})
