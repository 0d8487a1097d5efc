/** Which server a call goes to: the environment's, however many ways documents have to name one. */
import { expect, test } from 'vitest'
import type { Problem } from '../../src/record/errors.ts'
import { play, problemsOf, type Script } from '../support/script.ts'

const PLACES = `openapi: 3.1.0
info: { title: Places, version: 1.0.0 }
servers:
  - { url: 'https://{region}.example/{version}/', variables: { region: { default: eu, enum: [eu, us] }, version: { default: v2 } } }
  - { url: https://sandbox.example }
paths:
  /a:
    get:
      operationId: a
      responses: { '200': { description: ok } }
    put:
      operationId: upload
      servers: [{ url: https://files.example }]
      responses: { '200': { description: ok } }
  /b:
    servers: [{ url: 'https://{host}.example', variables: { host: { default: path } } }]
    get:
      operationId: b
      responses: { '200': { description: ok } }
    post:
      operationId: same
      servers: [{ url: https://sandbox.example/ }]
      responses: { '200': { description: ok } }
`
const scriptOf = (settings: string, { text = PLACES, more = '' } = {}) => ({
  sources: `{ name: places, url: places.openapi.yaml${more} }, { name: files, url: places.openapi.yaml }`,
  files: { 'places.openapi.yaml': text },
  settings,
})
const flowOf = (...operations: readonly string[]) => `
  - workflowId: one
    x-dcr: { effect: delete, notice: none }
    steps:${operations.map((name, index) => `\n      - { stepId: s${index}, operationId: $sourceDescriptions.${name} }`).join('')}`

async function refusal(flow: string, script: Script): Promise<Problem> {
  return await play(flow, script).then(
    ({ sent }) => expect.fail(`it sent ${sent.join(', ')}`),
    ({ problems: [problem] }) => problem,
  )
}

test('Server choice: a server that is not set is asked for with what the description says, variables filled in', async () => {
  expect(await refusal(flowOf('places.a'), scriptOf(''))).toMatchObject({
    code: 'ENV_MISSING',
    message: 'SERVER_PLACES is not set; step "s0" calls source description "places"',
    expected: 'a URL; the description says https://eu.example/v2 or https://sandbox.example',
    hint: expect.stringMatching(
      /^write SERVER_PLACES=https:\/\/eu\.example\/v2 into .*\.env\.test\.local, or use --server places=https:\/\/eu\.example\/v2$/,
    ),
  })
})

test.each([
  ['https://eu.example/v2/a', 'places.a', '/a', 'https://eu.example/v2'],
  ['https://eu.example/a/', 'places.a', '/a', 'https://eu.example'],
])('Server choice: %s repeats the beginning of a path', async (url, operation, repeated, expected) => {
  expect(await refusal(flowOf(operation), scriptOf(`SERVER_PLACES=${url}`))).toMatchObject({
    code: 'ENV_INVALID',
    message: `SERVER_PLACES ends with "${repeated}", with which the path of "a" begins as well`,
    expected,
    hint: `take "${repeated}" from the end of SERVER_PLACES`,
  })
})

test('for production no server of a description is proposed', async () => {
  const problem = await refusal(flowOf('places.a'), { ...scriptOf(''), environmentClass: 'prod' as const })

  expect(problem.message).toBe('SERVER_PLACES is not set; step "s0" calls source description "places"')
  expect(problem.hint).toMatch(/^write SERVER_PLACES=https:\/\/… into .*, or use --server places=https:\/\/…$/)
  expect(problem.expected).toBeUndefined()
})

test.each([
  ['places.upload', 'https://files.example'],
  ['places.b', 'https://path.example'],
  ['places.same', 'https://sandbox.example'],
])(
  'Server choice: of %s the servers of the operation come before those of its path and of the document',
  async (name, url) => {
    expect(await refusal(flowOf(name), scriptOf(''))).toMatchObject({
      expected: `a URL; the description says ${url}`,
      hint: expect.stringContaining(`--server places=${url}`),
    })
  },
)

test.each([
  ['servers: [{ url: /v2 }]', 'a URL; the description says /v2', '--server places=https://…/v2'],
  ['servers: [{ url: v2 }]', 'a URL; the description says v2', '--server places=https://…'],
  ['servers: []', undefined, '--server places=https://…'],
  ['', undefined, '--server places=https://…'],
])(
  'Server choice: with %s in the description the host is for the environment to say',
  async (servers, expected, hint) => {
    const text = PLACES.replace(/servers:\n.*\n.*sandbox\.example \}\n/, `${servers}\n`)
    const problem = await refusal(flowOf('places.a'), scriptOf('', { text }))

    expect([problem.expected, problem.hint?.replace(/^.*or use /, '')]).toEqual([expected, hint])
  },
)

test('Server choice: the path of a server comes before the path of the operation', async () => {
  const { requests } = await play(flowOf('places.a'), scriptOf('SERVER_PLACES=https://eu.example/v2/'))

  expect(requests.map(({ url }) => url)).toEqual(['https://eu.example/v2/a'])
})

test('Server choice: an operation with servers of its own is not sent to the server of the others', async () => {
  const expected = {
    code: 'ENV_INVALID',
    expected: 'https://files.example',
    hint: expect.stringMatching(
      /^name the description once more, sourceDescriptions: \[\{ name: other, url: places\.openapi\.yaml \}\], call \$sourceDescriptions\.other\.upload, and write SERVER_OTHER=https:\/\/files\.example into .*, or use --server other=https:\/\/files\.example$/,
    ),
  }

  expect(
    await refusal(flowOf('places.a', 'places.upload'), scriptOf('SERVER_PLACES=https://twin.example')),
  ).toMatchObject({
    ...expected,
    message: 'SERVER_PLACES is the server of "a" of step "s0", and "upload" of step "s1" is served elsewhere',
    found: 'https://eu.example/v2 or https://sandbox.example',
    at: { line: 10 },
  })
  expect(await refusal(flowOf('places.upload'), scriptOf('SERVER_PLACES=https://eu.example/v2'))).toMatchObject({
    ...expected,
    message: 'SERVER_PLACES is the server of other operations, and "upload" of step "s0" is served elsewhere',
    found: 'https://eu.example/v2',
  })
})

test('Server choice: under a name of its own it is sent to a server of its own, one that all share is shared', async () => {
  const settings = 'SERVER_PLACES=https://twin.example\nSERVER_FILES=https://files.example'
  const { requests } = await play(flowOf('places.a', 'files.upload', 'places.same'), scriptOf(settings))

  expect(requests.map(({ url }) => url)).toEqual([
    'https://twin.example/a',
    'https://files.example/a',
    'https://twin.example/b',
  ])
})

test('Redocly x-serverUrl: it stands for all servers of the description', async () => {
  const script = (settings: string) => scriptOf(settings, { more: ', x-serverUrl: https://all.example' })
  const { requests } = await play(flowOf('places.a', 'places.upload'), script('SERVER_PLACES=https://twin.example'))

  expect(requests.map(({ url }) => url)).toEqual(['https://twin.example/a', 'https://twin.example/a'])
  expect(await refusal(flowOf('places.upload'), script(''))).toMatchObject({
    expected: 'a URL; the description says https://all.example',
    hint: expect.stringContaining('--server places=https://all.example'),
  })
})

test('Redocly servers.0.url: it is the server of the environment; another one has no name', async () => {
  const flow = (expression: string) => `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, x-operation: { url: '{${expression}}/z', method: get } }]`
  const { requests } = await play(
    flow('$sourceDescriptions.places.servers.0.url'),
    scriptOf('SERVER_PLACES=https://twin.example/v1'),
  )

  expect(requests.map(({ url }) => url)).toEqual(['https://twin.example/v1/z'])
  expect(await refusal(flow('$sourceDescriptions.places.servers.0.url'), scriptOf(''))).toMatchObject({
    code: 'ENV_MISSING',
    message: 'SERVER_PLACES is not set; step "a" calls "{$sourceDescriptions.places.servers.0.url}/z"',
    hint: expect.stringContaining('or use --server places=https://…'),
  })
  expect(await problemsOf(flow('$sourceDescriptions.places.servers.1.url'), scriptOf(''))).toEqual([
    'FLOW_UNSUPPORTED 4: "$sourceDescriptions.places.servers.1.url" is no server: the environment has one for each source description',
  ])
})
