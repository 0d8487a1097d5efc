/** The control language of Arazzo: which step comes next, how often, and what a failure means. Whole courses of steps. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { select } from '../../src/run/selection.ts'
import { ROOT } from '../support/run.ts'
import { play, problemsOf } from '../support/script.ts'

/** A step that asks whether the server is alive, and one that reads a client. */
const ALIVE = 'operationId: status'
const READ = `operationId: readClient, parameters: [{ name: client_id, in: path, value: '1' }]`
const BUSY = { status: 503 }

test('Arazzo 1.1 § Step Object onSuccess: without actions the next step in order is executed', async () => {
  const { course } = await play(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE} }
      - { stepId: b, ${ALIVE} }`)

  expect(course).toEqual(['one passed', '  a passed', '  b passed'])
})

test('Arazzo 1.1 § Step Object onFailure: without actions the workflow breaks and returns', async () => {
  const { course } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE} }
      - { stepId: b, ${ALIVE} }`,
    { replies: { 'GET /status': [{ status: 404 }] } },
  )

  expect(course).toEqual(['one failed', '  a failed', '  b skipped: step "a" failed'])
})

test('Arazzo 1.1 § Success Action Object: the first action whose criteria all hold is the one that is executed', async () => {
  const { course } = await play(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        ${ALIVE}
        onSuccess:
          - { name: not, type: end, criteria: [{ condition: $statusCode == 200 }, { condition: $statusCode == 201 }] }
          - { name: first, type: goto, stepId: c, criteria: [{ condition: $statusCode == 200 }] }
          - { name: second, type: end }
      - { stepId: b, ${ALIVE} }
      - { stepId: c, ${ALIVE} }`)

  expect(course).toEqual(['one passed', '  a passed', '  c passed', '  b skipped: the path taken did not lead here'])
})

test('Arazzo 1.1 § Success Action Object type end: the workflow ends with the outputs that are applicable', async () => {
  const { course, workflows } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        ${READ.replaceAll(', parameters', '\n        parameters')}
        outputs: { name: $response.body#/name }
        onSuccess: [{ name: enough, type: end }]
      - { stepId: b, ${READ}, outputs: { name: $response.body#/name } }
    outputs: { a: $steps.a.outputs.name, b: $steps.b.outputs.name }`,
    { replies: { 'GET /clients/1': [{ body: { name: 'x' } }] } },
  )

  expect(course).toEqual(['one passed', '  a passed', '  b skipped: step "a" ended the workflow'])
  expect(workflows[0]?.outputs).toEqual({ a: 'x' })
})

test('Arazzo 1.1 § Failure Action Object type goto: control goes on, and the failure still decides the verdict', async () => {
  const { course } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, onFailure: [{ name: on, type: goto, stepId: c }] }
      - { stepId: b, ${ALIVE} }
      - { stepId: c, ${READ} }`,
    { replies: { 'GET /status': [{ status: 404 }] } },
  )

  expect(course).toEqual(['one failed', '  a failed', '  c passed', '  b skipped: the path taken did not lead here'])
})

test('Arazzo 1.1 § Failure Action Object type end: the workflow ends, failed', async () => {
  const { course } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, onFailure: [{ name: over, type: end }] }
      - { stepId: b, ${ALIVE} }`,
    { replies: { 'GET /status': [{ status: 404 }] } },
  )

  expect(course).toEqual(['one failed', '  a failed', '  b skipped: step "a" ended the workflow'])
})

test('Arazzo 1.1 § Failure Action Object type goto workflowId: a one-way transfer with parameters', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        ${ALIVE}
        onFailure:
          - { name: away, type: goto, workflowId: two, parameters: [{ name: id, value: '{$statusCode}-x' }] }
      - { stepId: b, ${ALIVE} }
  - workflowId: two
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string, default: none } } }
    steps:
      - stepId: c
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: $inputs.id }]`,
    { replies: { 'GET /status': [{ status: 404 }] } },
  )

  expect(course).toEqual([
    'one failed',
    '  a failed',
    '  b skipped: step "a" went on to workflow "two"',
    'two passed',
    '  c passed',
    // As a workflow of the file it runs by itself too.
    'two passed',
    '  c passed',
  ])
  expect(sent).toEqual(['GET /status', 'GET /clients/404-x', 'GET /clients/none'])
})

test('Arazzo 1.1 § Failure Action Object type retry: once where no limit is given, and a retry that succeeds heals the step', async () => {
  const flow = `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, onFailure: [{ name: again, type: retry }] }`

  const healed = await play(flow, { replies: { 'GET /status': [BUSY, {}] } })
  const broken = await play(flow, { replies: { 'GET /status': [BUSY, BUSY, {}] } })

  expect(healed.course).toEqual(['one passed', '  a passed'])
  expect(healed.workflows[0]?.steps[0]?.exchanges.map(({ response }) => response?.status)).toEqual([503, 200])
  expect(broken.course).toEqual(['one errored', '  a errored'])
  expect(broken.sent).toHaveLength(2)
})

test('Arazzo 1.1 § Failure Action Object retryLimit: used up, the next action follows', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        ${ALIVE}
        onFailure:
          - { name: never, type: retry, retryLimit: 0 }
          - { name: busy, type: retry, retryLimit: 2, criteria: [{ condition: $statusCode == 503 }] }
          - { name: on, type: goto, stepId: c }
      - { stepId: b, ${ALIVE} }
      - { stepId: c, ${READ} }`,
    { replies: { 'GET /status': [BUSY] } },
  )

  expect(course).toEqual(['one errored', '  a errored', '  c passed', '  b skipped: the path taken did not lead here'])
  expect(sent).toEqual(['GET /status', 'GET /status', 'GET /status', 'GET /clients/1'])
})

test('Arazzo 1.1 § Failure Action Object criteria: an action above a retry comes before it', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        ${ALIVE}
        onFailure:
          - { name: over, type: end, criteria: [{ condition: $statusCode == 404 }] }
          - { name: again, type: retry, retryLimit: 5 }
      - { stepId: b, ${ALIVE} }`,
    { replies: { 'GET /status': [{ status: 404 }] } },
  )

  expect(course).toEqual(['one failed', '  a failed', '  b skipped: step "a" ended the workflow'])
  expect(sent).toHaveLength(1)
})

test('Arazzo 1.1 § Failure Action Object retryAfter: the delay in seconds, overruled by the header Retry-After', async () => {
  const { waits } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, onFailure: [{ name: again, type: retry, retryAfter: 1.5, retryLimit: 4 }] }`,
    {
      replies: {
        'GET /status': [
          BUSY,
          { ...BUSY, headers: { 'retry-after': '7' } },
          { ...BUSY, headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT' } },
          { ...BUSY, headers: { 'retry-after': '86400' } },
          {},
        ],
      },
    },
  )

  expect(waits).toEqual([1500, 7000, 9000, 120_000])
})

test('Arazzo 1.1 § Failure Action Object type retry stepId: the step is executed and control comes back', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: token
        operationId: token
        requestBody: { contentType: application/x-www-form-urlencoded, payload: { grant_type: x } }
        outputs: { id: $response.body#/id }
      - stepId: read
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: $steps.token.outputs.id }]
        onFailure:
          - { name: refresh, type: retry, stepId: token, criteria: [{ condition: $statusCode == 401 }] }
      - { stepId: b, ${ALIVE} }`,
    {
      replies: {
        'POST /token': [{ body: { id: 'old' } }, { body: { id: 'new' } }],
        'GET /clients/old': [{ status: 401 }],
      },
    },
  )

  expect(sent).toEqual(['POST /token', 'GET /clients/old', 'POST /token', 'GET /clients/new', 'GET /status'])
  expect(course).toEqual(['one passed', '  token passed', '  token passed', '  read passed', '  b passed'])
})

test('Arazzo 1.1 § Failure Action Object type retry workflowId: the workflow is executed and control comes back', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: read, ${READ}, onFailure: [{ name: wake, type: retry, retryLimit: 2, workflowId: wake }] }
  - workflowId: wake
    x-dcr: { effect: read }
    steps: [{ stepId: alive, ${ALIVE} }]`,
    { replies: { 'GET /clients/1': [{ status: 401 }, { status: 401 }, {}] } },
  )

  expect(sent.slice(0, 5)).toEqual(['GET /clients/1', 'GET /status', 'GET /clients/1', 'GET /status', 'GET /clients/1'])
  expect(course).toEqual([
    'one passed',
    '  read/retry/alive passed',
    '  read/retry/alive passed',
    '  read passed',
    'wake passed',
    '  alive passed',
  ])
})

test('a retry whose way leads through a failure is not made, and says so', async () => {
  const { course, sent, workflows } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: alive, ${ALIVE} }
      - { stepId: read, ${READ}, onFailure: [{ name: refresh, type: retry, stepId: alive }] }`,
    { replies: { 'GET /status': [{}, { status: 404 }], 'GET /clients/1': [BUSY, {}] } },
  )

  expect(sent).toEqual(['GET /status', 'GET /clients/1', 'GET /status'])
  expect(course).toEqual(['one failed', '  alive passed', '  alive failed', '  read errored'])
  expect(workflows[0]?.steps.at(-1)?.error?.hint).toBe('it was not repeated: step "alive" failed')
})

test('a request that may have changed something is repeated only where x-dcr says that this is harmless', async () => {
  const step = (more: string) => `
  - workflowId: one
    x-dcr: { effect: register }
    steps:
      - stepId: register
        ${more}
        operationId: registerClient
        requestBody: { contentType: application/json, payload: {} }
        onFailure: [{ name: again, type: retry }]`

  const guarded = await play(step('description: guarded'), { replies: { 'POST /clients': [BUSY, {}] } })
  const harmless = await play(step('x-dcr: { retrySafe: true }'), { replies: { 'POST /clients': [BUSY, {}] } })

  expect([guarded.course, guarded.sent.length]).toEqual([['one errored', '  register errored'], 1])
  expect([harmless.course, harmless.sent.length]).toEqual([['one passed', '  register passed'], 2])
})

test('Arazzo 1.1 § Workflow Object successActions, failureActions: they apply to all steps and are overridden by name', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    failureActions:
      - { name: again, type: retry, retryLimit: 2 }
      - { name: over, type: end }
    successActions:
      - { name: jump, type: goto, stepId: d, criteria: [{ condition: $response.header.X-Jump == 'yes' }] }
    steps:
      - { stepId: a, ${ALIVE} }
      - { stepId: b, ${READ}, onSuccess: [{ name: jump, type: goto, stepId: c }] }
      - { stepId: skipped, ${ALIVE} }
      - { stepId: c, ${READ}, onFailure: [{ name: again, type: goto, stepId: d }] }
      - { stepId: missed, ${ALIVE} }
      - { stepId: d, ${ALIVE} }`,
    {
      replies: {
        'GET /status': [BUSY, BUSY, {}, { status: 404 }],
        'GET /clients/1': [{ headers: { 'x-jump': 'yes' } }, { status: 404 }],
      },
    },
  )

  expect(course).toEqual([
    'one failed',
    '  a passed',
    '  b passed',
    '  c failed',
    '  d failed',
    '  skipped skipped: step "d" ended the workflow',
    '  missed skipped: step "d" ended the workflow',
  ])
  expect(sent).toEqual([
    ...['GET /status', 'GET /status', 'GET /status'],
    ...['GET /clients/1', 'GET /clients/1'],
    ...['GET /status', 'GET /status', 'GET /status'],
  ])
})

test('Arazzo 1.1 § Workflow Object dependsOn: dependencies come first, wherever they stand, and their outputs can be read', async () => {
  const { course, sent } = await play(
    `
  - workflowId: late
    x-dcr: { effect: read }
    dependsOn: [early]
    steps:
      - stepId: b
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: '{$workflows.early.inputs.id}-{$workflows.early.outputs.name}' }]
  - workflowId: early
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string, default: x } } }
    steps: [{ stepId: a, ${READ}, outputs: { name: $response.body#/name } }]
    outputs: { name: $steps.a.outputs.name }`,
    { replies: { 'GET /clients/1': [{ body: { name: 'y' } }] } },
  )

  expect(sent).toEqual(['GET /clients/1', 'GET /clients/x-y'])
  expect(course).toEqual(['early passed', '  a passed', 'late passed', '  b passed'])
})

test('Arazzo 1.1 § Workflow Object dependsOn: where a dependency has not passed, the workflow is skipped with the reason', async () => {
  const { course, sent } = await play(
    `
  - { workflowId: a, x-dcr: { effect: read }, steps: [{ stepId: one, ${ALIVE} }] }
  - { workflowId: b, x-dcr: { effect: read }, dependsOn: [a], steps: [{ stepId: two, ${ALIVE} }] }
  - { workflowId: c, x-dcr: { effect: read }, dependsOn: [b], steps: [{ stepId: three, ${ALIVE} }] }`,
    { replies: { 'GET /status': [{ status: 404 }] } },
  )

  expect(sent).toHaveLength(1)
  expect(course).toEqual([
    'a failed',
    '  one failed',
    'b skipped',
    '  two skipped: it depends on workflow "a", which failed',
    'c skipped',
    '  three skipped: it depends on workflow "b", which has not run',
  ])
})

test('Arazzo 1.1 § Workflow Object dependsOn: circles and unknown names are refused', async () => {
  const problems = await problemsOf(`
  - { workflowId: a, x-dcr: { effect: read }, dependsOn: [b], steps: [{ stepId: one, ${ALIVE} }] }
  - { workflowId: b, x-dcr: { effect: read }, dependsOn: [a, bb], steps: [{ stepId: two, ${ALIVE} }] }
  - { workflowId: c, x-dcr: { effect: read }, dependsOn: [c, $sourceDescriptions.x.y], steps: [{ stepId: three, ${ALIVE} }] }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 2: workflows "a", "b" depend on each other',
    'FLOW_REFERENCE 3: there is no workflow "bb"',
    'FLOW_STRUCTURE 4: workflow "c" depends on itself',
    'FLOW_REFERENCE 4: there is no source description "x"',
  ])
})

test('Arazzo 1.1 § Step Object dependsOn: steps run in an order that satisfies explicit and implicit dependencies', async () => {
  const { course } = await play(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: last, ${ALIVE}, dependsOn: [reader] }
      - stepId: reader
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: $steps.source.outputs.status }]
      - { stepId: free, ${ALIVE} }
      - { stepId: source, ${ALIVE}, outputs: { status: $statusCode } }`)

  expect(course).toEqual(['one passed', '  source passed', '  reader passed', '  last passed', '  free passed'])
})

test('Arazzo 1.1 § Step Object dependsOn: it does not trigger the step, so one that has not passed leaves no verdict', async () => {
  const { course, workflows } = await play(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, onSuccess: [{ name: on, type: goto, stepId: c }] }
      - { stepId: b, ${ALIVE} }
      - { stepId: c, ${ALIVE}, dependsOn: [b] }`)

  expect(course).toEqual(['one errored', '  a passed', '  c errored', '  b skipped: step "c" errored'])
  expect(workflows[0]?.steps[1]?.error?.message).toBe('it depends on step "b", which has not passed')
})

test('Arazzo 1.1 § Step Object dependsOn: a step of another workflow is named by $workflows', async () => {
  const { course } = await play(
    `
  - { workflowId: a, x-dcr: { effect: read }, steps: [{ stepId: one, ${ALIVE}, onSuccess: [{ name: x, type: end }] }, { stepId: two, ${ALIVE} }] }
  - workflowId: b
    x-dcr: { effect: read }
    dependsOn: [a]
    steps:
      - { stepId: three, ${ALIVE}, dependsOn: [$workflows.a.steps.one] }
      - { stepId: four, ${ALIVE}, dependsOn: [$workflows.a.steps.two] }`,
  )

  expect(course.slice(3)).toEqual(['b errored', '  three passed', '  four errored'])
})

test('Arazzo 1.1 § Step Object dependsOn: circles, itself and unknown steps are refused', async () => {
  const problems = await problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, dependsOn: [b] }
      - { stepId: b, ${ALIVE}, dependsOn: [a] }
  - workflowId: two
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, dependsOn: [aa] }
      - { stepId: b, ${ALIVE}, dependsOn: [$workflows.one.steps.a] }
      - { stepId: c, ${ALIVE}, dependsOn: [$sourceDescriptions.x.one.steps.a] }
  - { workflowId: three, x-dcr: { effect: read }, steps: [{ stepId: d, ${ALIVE}, dependsOn: [d] }] }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 5: steps "a", "b" wait for each other',
    'FLOW_REFERENCE 10: there is no step "aa"',
    'FLOW_REFERENCE 11: step "b" depends on workflow "one", which this workflow does not wait for',
    'FLOW_REFERENCE 12: there is no source description "x"',
    'FLOW_STRUCTURE 13: step "d" depends on itself',
  ])
})

const CALLER = `
  - workflowId: outer
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string, default: '7' } } }
    parameters: [{ name: greeting, value: hello }]
    steps:
      - stepId: inner
        workflowId: inner
        parameters: [{ name: id, value: 'id-{$inputs.id}' }]
        successCriteria: [{ condition: $outputs.name == 'x' }]
        outputs: { name: $outputs.name }
      - stepId: after
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: $steps.inner.outputs.name }]
  - workflowId: inner
    x-dcr: { effect: read }
    inputs: { type: object, required: [id], properties: { id: { type: string, maxLength: 6 }, greeting: { type: string } } }
    steps:
      - stepId: read
        operationId: readClient
        parameters:
          - { name: client_id, in: path, value: $inputs.id }
          - { name: fields, in: query, value: $inputs.greeting }
        outputs: { name: $response.body#/name }
    outputs: { name: $steps.read.outputs.name }`

test('Arazzo 1.1 § Step Object workflowId: parameters become inputs, $outputs are what the workflow returned', async () => {
  const replies = { 'GET /clients/id-7?fields=hello': [{ body: { name: 'x' } }] }
  const { course, sent, workflows } = await play(CALLER, { replies, inputs: { id: '7' } })

  expect(sent.slice(0, 2)).toEqual(['GET /clients/id-7?fields=hello', 'GET /clients/x'])
  expect(course.slice(0, 4)).toEqual(['outer passed', '  inner/read passed', '  inner passed', '  after passed'])
  expect(workflows[0]?.steps[1]).toMatchObject({
    workflowId: 'inner',
    checks: [
      { id: 'workflow', status: 'pass', title: 'workflow "inner" passes' },
      { id: 'criterion 1', status: 'pass' },
    ],
    outputs: { name: 'x' },
  })
})

test('Arazzo 1.1 § Runtime Expressions: $workflows reads a workflow that ran as a step, from that step on', async () => {
  const { course, sent } = await play(`
  - workflowId: outer
    x-dcr: { effect: read }
    steps:
      - { stepId: a, workflowId: inner, successCriteria: [{ condition: $workflows.inner.outputs.status == 200 }] }
      - stepId: b
        operationId: readClient
        parameters: [{ name: client_id, in: path, value: '{$workflows.inner.outputs.status}-{$workflows.inner.inputs.id}' }]
  - workflowId: inner
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string, default: x } } }
    steps: [{ stepId: c, ${ALIVE}, outputs: { status: $statusCode } }]
    outputs: { status: $steps.c.outputs.status }`)

  expect(course.slice(0, 4)).toEqual(['outer passed', '  a/c passed', '  a passed', '  b passed'])
  expect(sent[1]).toBe('GET /clients/200-x')
})

test('a step whose workflow fails is failed, one whose workflow comes to no verdict is errored', async () => {
  const failed = await play(CALLER, {
    replies: { 'GET /clients/id-7?fields=hello': [{ status: 404 }] },
    inputs: { id: '7' },
  })
  const errored = await play(CALLER, { replies: { 'GET /clients/id-7?fields=hello': [BUSY] }, inputs: { id: '7' } })
  const judged = await play(CALLER, {
    inputs: { id: '7' },
    replies: { 'GET /clients/id-7?fields=hello': [{ body: { name: 'z' } }] },
  })

  expect(failed.course.slice(0, 4)).toEqual([
    'outer failed',
    '  inner/read failed',
    '  inner failed',
    '  after skipped: step "inner" failed',
  ])
  expect(errored.course.slice(0, 3)).toEqual(['outer errored', '  inner/read errored', '  inner errored'])
  expect(judged.course.slice(0, 3)).toEqual(['outer failed', '  inner/read passed', '  inner failed'])
})

test('an argument must fit the schema of the input that it becomes', async () => {
  const { course, workflows, sent } = await play(CALLER, { inputs: { id: '777777' } })

  expect(course.slice(0, 4)).toEqual([
    'outer errored',
    '  inner errored',
    '  inner/read skipped: step "inner" errored',
    '  after skipped: step "inner" errored',
  ])
  expect(workflows[0]?.steps[0]?.error).toMatchObject({
    code: 'INPUT_INVALID',
    message: 'input "id" from step "inner" does not fit its schema',
  })
  expect(sent).toHaveLength(1)
})

test('a workflow that is repeated as a step heals as a whole, and its earlier exchanges stay as evidence', async () => {
  const { course, workflows } = await play(
    `
  - workflowId: outer
    x-dcr: { effect: read }
    steps: [{ stepId: inner, workflowId: inner, onFailure: [{ name: again, type: retry }] }]
  - workflowId: inner
    x-dcr: { effect: read }
    steps: [{ stepId: alive, ${ALIVE} }]`,
    { replies: { 'GET /status': [BUSY, {}] } },
  )

  expect(course.slice(0, 3)).toEqual(['outer passed', '  inner/alive passed', '  inner passed'])
  expect(workflows[0]?.steps[1]?.exchanges.map(({ response }) => response?.status)).toEqual([503])
})

test('Arazzo 1.1 § Parameter Object in: without it a parameter goes to a workflow alone, and an action must not have it', async () => {
  const problems = await problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: a, workflowId: two, onSuccess: [{ name: x, type: goto, workflowId: two, parameters: [{ name: id, in: header, value: 1 }] }] }
      - { stepId: b, workflowId: two, parameters: [{ name: idd, value: 1 }], requestBody: { payload: {} }, x-dcr: { identity: none } }
      - { stepId: c, operationId: readClient, parameters: [{ name: client_id, value: 1 }] }
      - { stepId: d, workflowId: twoo }
      - { stepId: e, workflowId: $sourceDescriptions.other.two }
      - { stepId: f, workflowId: two, operationId: status }
      - { stepId: g, workflowId: two, outputs: { status: $statusCode, name: $outputs.nam } }
  - workflowId: two
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string } } }
    steps: [{ stepId: x, ${ALIVE} }]
    outputs: { name: $inputs.id }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 5: parameter "id" of success action 1 of step "a" says where it goes, which one of an action must not',
    'FLOW_REFERENCE 6: there is no input "idd" of workflow "two"',
    'FLOW_UNSUPPORTED 6: "requestBody" of step "b" is not supported, since it runs a workflow',
    'FLOW_STRUCTURE 6: "identity" of step "b" has no meaning, since it runs a workflow',
    'FLOW_STRUCTURE 6: workflow "one" uses "identity" but declares no input with x-dcr',
    'FLOW_REFERENCE 7: step "c" lacks the path parameter "client_id" that "readClient" requires',
    'FLOW_STRUCTURE 7: parameter "client_id" of step "c" does not say where it goes',
    'FLOW_REFERENCE 8: there is no workflow "twoo"',
    'FLOW_REFERENCE 9: there is no source description "other"',
    'FLOW_STRUCTURE 10: step "f" says twice what to call',
    'FLOW_UNSUPPORTED 11: "$statusCode" is not supported after a workflow that ran as a step',
    'FLOW_REFERENCE 11: there is no output "nam" of the workflow',
  ])
})

test('Arazzo 1.1 § Runtime Expressions: $workflows is read only after it ran, $outputs only of a workflow that ran as a step', async () => {
  const problems = await problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }
    dependsOn: [two]
    steps:
      - { stepId: a, ${ALIVE}, outputs: { x: $workflows.two.outputs.nam, y: $workflows.three.outputs.name, z: $outputs.name } }
  - { workflowId: two, x-dcr: { effect: read }, steps: [{ stepId: b, ${ALIVE} }], outputs: { name: x } }
  - { workflowId: three, x-dcr: { effect: read }, steps: [{ stepId: c, ${ALIVE} }], outputs: { name: x } }`)

  expect(problems).toEqual([
    'FLOW_REFERENCE 6: there is no output "nam" of workflow "two"',
    'FLOW_REFERENCE 6: workflow "three" has not run yet where "$workflows.three.outputs.name" stands',
    'FLOW_REFERENCE 6: "$outputs.name" has no meaning here',
  ])
})

test('a workflow says at least the effect of those that it runs', async () => {
  const problems = await problemsOf(`
  - { workflowId: one, x-dcr: { effect: read }, steps: [{ stepId: a, workflowId: two }] }
  - { workflowId: two, x-dcr: { effect: delete }, steps: [{ stepId: b, ${ALIVE} }] }`)

  expect(problems).toEqual(['FLOW_STRUCTURE 2: workflow "one" says effect: read, but runs "two" with effect: delete'])
})

test('what is minted cannot depend on an argument, which is known too late', async () => {
  const problems = await problemsOf(`
  - { workflowId: one, x-dcr: { effect: read }, steps: [{ stepId: a, workflowId: two, parameters: [{ name: aud, value: x }] }] }
  - workflowId: two
    x-dcr: { effect: read }
    inputs:
      type: object
      properties:
        aud: { type: string }
        assertion: { type: string, x-dcr: { mint: client_assertion, audience: $inputs.aud, alg: PS256 } }
    steps: [{ stepId: b, ${ALIVE} }]`)

  expect(problems).toEqual([
    'FLOW_UNSUPPORTED 2: input "assertion" of workflow "two" is made before the run and cannot depend on "aud", which is passed to it',
  ])
})

test('an assertion for the source that a step sends it to cannot be passed to a workflow, which may send it anywhere', async () => {
  const run = (more: string) =>
    problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }
    inputs: { type: object, properties: { mine: { type: string, x-dcr: { mint: client_assertion${more} } } } }
    steps: [{ stepId: a, workflowId: two, parameters: [{ name: theirs, value: $inputs.mine }] }]
  - workflowId: two
    x-dcr: { effect: read }
    inputs: { type: object, properties: { theirs: { type: string } } }
    steps: [{ stepId: b, ${ALIVE} }]`)

  const problem =
    'FLOW_STRUCTURE 5: input "mine" of workflow "one" is minted for the source that a step sends it to, and cannot be passed to workflow "two"'
  expect(await run('')).toEqual([problem])
  expect(await run(', alg: PS256')).toEqual([problem])
  expect(await run(', audience: a, alg: PS256')).toEqual([])
})

const COMPONENTS = `
components:
  inputs:
    own:
      type: object
      properties:
        id: { type: string, default: from-component }
        size: { $ref: '#/components/inputs/size', default: 3 }
    size: { type: integer, maximum: 5 }
  parameters:
    client: { name: client_id, in: path, value: $inputs.id }
  successActions:
    over: { name: over, type: end }
  failureActions:
    again: { name: again, type: retry, retryLimit: 2, criteria: [{ condition: $statusCode == 503 }] }`

test('Arazzo 1.1 § Components Object: inputs, parameters and actions are put in place, a value replaces that of a parameter', async () => {
  const { course, sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    inputs: { $ref: '#/components/inputs/own' }
    failureActions: [{ reference: $components.failureActions.again }]
    steps:
      - { stepId: a, operationId: readClient, parameters: [{ reference: $components.parameters.client }] }
      - stepId: b
        operationId: readClient
        parameters: [{ reference: $components.parameters.client, value: 'own-{$inputs.size}', anything: is ignored }]
        onSuccess: [{ reference: $components.successActions.over }]
      - { stepId: c, ${ALIVE} }`,
    { more: COMPONENTS, replies: { 'GET /clients/from-component': [BUSY, BUSY, {}] } },
  )

  expect(course).toEqual(['one passed', '  a passed', '  b passed', '  c skipped: step "b" ended the workflow'])
  expect(sent).toEqual([...Array(3).fill('GET /clients/from-component'), 'GET /clients/own-3'])
})

test('Arazzo 1.1 § Reusable Object: a reference that leads nowhere or to another kind is refused, each mistake in a component once', async () => {
  const problems = await problemsOf(
    `
  - workflowId: one
    x-dcr: { effect: read }
    inputs: { type: object, properties: { a: { $ref: '#/components/inputs/sizes' }, b: { $ref: 'other.yaml' }, c: { $ref: '#/components/inputs/loop' } } }
    steps:
      - stepId: a
        ${ALIVE}
        parameters: [{ reference: $components.parameters.clients }, { reference: $components.inputs.own }, { refrence: x }]
        onSuccess: [{ reference: $components.failureActions.again }, { reference: $steps.a.outputs.b }]
      - { stepId: b, ${ALIVE}, onFailure: [{ reference: $components.failureActions.again }] }
      - { stepId: c, ${ALIVE}, onFailure: [{ reference: $components.failureActions.again, value: 1 }] }`,
    {
      more: `
components:
  inputs:
    size: { type: integer }
    loop: { $ref: '#/components/inputs/loop' }
  parameters:
    client: { name: client_id, in: path, value: $inputs.id }
  failureActions:
    again: { name: again, type: retry, criteria: [{ condition: $inputs.nothing == 1 }] }
    unused: { name: unused, type: again }`,
    },
  )

  expect(problems).toEqual([
    'FLOW_REFERENCE 4: reference "#/components/inputs/sizes" of input "a" leads nowhere',
    'FLOW_UNSUPPORTED 4: reference "other.yaml" of input "b" leads out of the document',
    'FLOW_REFERENCE 8: there is no "clients" in components.parameters',
    'FLOW_EXPRESSION 8: "$components.inputs.own" is not a runtime expression',
    'FLOW_STRUCTURE 8: parameter 3 of step "a" has no "name"',
    'FLOW_STRUCTURE 8: parameter 3 of step "a" has no "value"',
    'FLOW_STRUCTURE 8: parameter 3 of step "a" does not say where it goes',
    'FLOW_STRUCTURE 8: parameter 3 of step "a" has no member "refrence"',
    'FLOW_REFERENCE 9: "$components.failureActions.again" is not what can stand here',
    'FLOW_REFERENCE 9: "$steps.a.outputs.b" is not what can stand here',
    'FLOW_STRUCTURE 11: "value" has no meaning here',
    'FLOW_STRUCTURE 16: reference "#/components/inputs/loop" of input "c" leads back to itself',
    'FLOW_REFERENCE 20: there is no input "nothing"',
    'FLOW_STRUCTURE 21: "type" of failure action "unused" of components has an unknown value',
  ])
})

test('Arazzo 1.1 § Success Action Object stepId, workflowId: exactly one of them, and it exists', async () => {
  const problems = await problemsOf(`
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - stepId: a
        ${ALIVE}
        onSuccess:
          - { name: a, type: goto }
          - { name: b, type: goto, stepId: a, workflowId: one }
          - { name: c, type: goto, stepId: aa }
          - { name: d, type: goto, workflowId: onee }
          - { name: e, type: end, stepId: a }
          - { name: f, type: goto, stepId: a, parameters: [{ name: x, value: 1 }] }
          - { name: a, type: end }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 8: success action 1 of step "a" does not say where to go',
    'FLOW_STRUCTURE 9: success action 2 of step "a" names a step and a workflow',
    'FLOW_REFERENCE 10: there is no step "aa"',
    'FLOW_REFERENCE 11: there is no workflow "onee"',
    'FLOW_STRUCTURE 12: success action 5 of step "a" ends the workflow and goes on',
    'FLOW_STRUCTURE 13: success action 6 of step "a" has parameters for no workflow',
    'FLOW_STRUCTURE 14: success action "a" of step "a" occurs twice',
  ])
})

test('Arazzo 1.1 § Step Object timeout: a workflow that takes longer is stopped, and its failure actions apply', async () => {
  const { course, workflows } = await play(
    `
  - workflowId: one
    x-dcr: { effect: read }
    steps:
      - { stepId: slow, workflowId: two, timeout: 500, onFailure: [{ name: on, type: goto, stepId: b }] }
      - { stepId: a, ${ALIVE} }
      - { stepId: b, ${READ} }
  - workflowId: two
    x-dcr: { effect: read }
    steps: [{ stepId: c, ${ALIVE} }, { stepId: d, ${ALIVE} }]`,
    { replies: { 'GET /status': [{ takes: 600 }, {}] } },
  )

  expect(course.slice(0, 6)).toEqual([
    'one errored',
    '  slow/c errored',
    '  slow/d skipped: the run was interrupted',
    '  slow errored',
    '  b passed',
    '  a skipped: the path taken did not lead here',
  ])
  expect(workflows[0]?.steps[2]?.error).toMatchObject({
    code: 'TIMEOUT',
    message: 'workflow "two" did not end within 500 ms',
  })
})

test('Arazzo 1.1 § Step Object timeout: a call is given that many milliseconds, others what the environment says', async () => {
  const { timeouts } = await play(`
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, ${ALIVE}, timeout: 1234 }, { stepId: b, ${ALIVE} }]`)

  expect(timeouts).toEqual([1234, 30_000])
})

test('a workflow that may have changed something is not repeated as a step', async () => {
  const { sent } = await play(
    `
  - workflowId: one
    x-dcr: { effect: register }
    steps: [{ stepId: a, workflowId: two, onFailure: [{ name: again, type: retry }] }]
  - workflowId: two
    x-dcr: { effect: register }
    steps: [{ stepId: b, ${ALIVE} }]`,
    { replies: { 'GET /status': [BUSY] } },
  )

  // The second is that of the workflow by itself.
  expect(sent).toEqual(['GET /status', 'GET /status'])
})

test('a workflow that is chosen brings those it depends on; unnamed, only where none of them changes a client', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-selection-'))
  try {
    await mkdir(join(folder, 'flows'))
    await cp(join(ROOT, 'test/golden/flow/clients.openapi.yaml'), join(folder, 'flows/clients.openapi.yaml'))
    const file = join(folder, 'flows/own.arazzo.yaml')
    await writeFile(
      file,
      `arazzo: 1.1.0
info: { title: Own, version: 1.0.0 }
sourceDescriptions: [{ name: clients, url: clients.openapi.yaml }]
workflows:
  - { workflowId: c, x-dcr: { effect: read }, dependsOn: [b, a], steps: [{ stepId: x, ${ALIVE} }] }
  - { workflowId: b, x-dcr: { effect: read }, dependsOn: [a], steps: [{ stepId: x, ${ALIVE} }] }
  - { workflowId: a, x-dcr: { effect: read }, steps: [{ stepId: x, ${ALIVE} }] }
  - { workflowId: r, x-dcr: { effect: register }, steps: [{ stepId: x, ${ALIVE} }] }
  - { workflowId: d, x-dcr: { effect: read }, dependsOn: [r], steps: [{ stepId: x, ${ALIVE} }] }`,
    )
    await writeFile(join(folder, '.env.own'), 'ENV_CLASS=uat')
    const environment = await loadEnvironment({ env: '.env.own', folder, variables: {} })
    const ids = async (options: { flows: string[]; workflow?: string }) =>
      (await select({ ...options, folders: [folder] }, environment)).selection.map(
        ({ workflow }) => workflow.workflowId,
      )

    expect(await ids({ flows: [file], workflow: 'c' })).toEqual(['a', 'b', 'c'])
    expect(await ids({ flows: [file], workflow: 'd' })).toEqual(['r', 'd'])
    expect(await ids({ flows: [] })).toEqual(['a', 'b', 'c'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('an endless loop ends at the budget of steps, also where workflows lead to each other', async () => {
  const steps = await play(`
  - { workflowId: one, x-dcr: { effect: read }, steps: [{ stepId: a, ${ALIVE}, onSuccess: [{ name: x, type: goto, stepId: a }] }] }`)
  const workflows = await play(`
  - { workflowId: one, x-dcr: { effect: read }, steps: [{ stepId: a, ${ALIVE}, onSuccess: [{ name: x, type: goto, workflowId: one }] }] }`)

  expect([steps.sent.length, steps.course[0]]).toEqual([
    1000,
    'one errored: the workflow did not end within 1000 steps',
  ])
  expect([workflows.sent.length, workflows.course.at(-2)]).toEqual([
    1000,
    'one errored: the workflow did not end within 1000 steps',
  ])
})

test('workflows that run each other end at a limit of levels', async () => {
  const { sent, workflows } = await play(`
  - { workflowId: one, x-dcr: { effect: read }, steps: [{ stepId: a, ${ALIVE} }, { stepId: b, workflowId: one }] }`)

  expect(sent).toHaveLength(33)
  expect(workflows[0]?.status).toBe('errored')
  expect(workflows[0]?.steps.at(-1)?.error?.message).toBe('workflows run each other more than 32 levels deep')
})
