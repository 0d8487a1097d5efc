/** Workflows within workflows: what must run before them, what they are told, how often they run and what they leave. */
import { expect, test } from 'vitest'
import type { ToolError } from '../src/record/errors.ts'
import { play, problemsOf } from './support/script.ts'

const ALIVE = 'operationId: status'
const read = (id: string) => `operationId: readClient, parameters: [{ name: client_id, in: path, value: ${id} }]`
const BUSY = { status: 503 }
const WRONG = { status: 404 }

/** "child" needs "setup"; what runs "child" is up to the test. */
const CHILD = `
  - workflowId: child
    x-dcr: { effect: read }
    dependsOn: [setup]
    steps: [{ stepId: c, ${read("'{$workflows.setup.outputs.name}'")} }]
  - workflowId: setup
    x-dcr: { effect: read }
    steps: [{ stepId: s, ${read("'1'")}, outputs: { name: $response.body#/name } }]
    outputs: { name: $steps.s.outputs.name }`
const main = (steps: string, more = '') => `
  - workflowId: main
    x-dcr: { effect: read }
    ${more}
    steps:
${steps.replace(/^/gm, '      ')}${CHILD}`
const NAMED = { 'GET /clients/1': [{ body: { name: 'x' } }] }
/** Of the first workflow alone. */
const ofMain = (course: readonly string[]) =>
  course.slice(
    0,
    course.findIndex((line, index) => index > 0 && !line.startsWith(' ')),
  )

test('Arazzo 1.1 § Workflow Object dependsOn: it runs before a workflow that runs as a step, once for all steps', async () => {
  const { course, sent } = await play(
    main(`- { stepId: one, workflowId: child }\n- { stepId: two, workflowId: child }`),
    {
      replies: NAMED,
    },
  )

  expect(ofMain(course)).toEqual([
    'main passed',
    '  one/dependsOn/setup/s passed',
    '  one/c passed',
    '  one passed',
    '  two/c passed',
    '  two passed',
  ])
  expect(sent.slice(0, 3)).toEqual(['GET /clients/1', 'GET /clients/x', 'GET /clients/x'])
})

test('Arazzo 1.1 § Workflow Object dependsOn: one that has run before is completed and not run again', async () => {
  const asStep = await play(main('- { stepId: first, workflowId: setup }\n- { stepId: one, workflowId: child }'), {
    replies: NAMED,
  })
  const ofOuter = await play(main('- { stepId: one, workflowId: child }', 'dependsOn: [setup]'), { replies: NAMED })

  expect(ofMain(asStep.course)).toEqual([
    'main passed',
    '  first/s passed',
    '  first passed',
    '  one/c passed',
    '  one passed',
  ])
  expect(ofOuter.course.slice(0, 5)).toEqual([
    'setup passed',
    '  s passed',
    'main passed',
    '  one/c passed',
    '  one passed',
  ])
})

test('a dry run shows what runs before a workflow that runs as a step, once', async () => {
  const { previewed } = await play(main(`- { stepId: one, workflowId: child }\n- { stepId: two, workflowId: child }`), {
    replies: NAMED,
  })
  const { previewed: after } = await play(main('- { stepId: one, workflowId: child }', 'dependsOn: [setup]'))

  expect(Object.keys(previewed.main ?? {})).toEqual(['one/dependsOn/setup/s', 'one/c', 'two/c'])
  expect(Object.keys(after.main ?? {})).toEqual(['one/c'])
})

test('Arazzo 1.1 § Workflow Object dependsOn: where it does not pass, the workflow does not begin and the step has no verdict', async () => {
  const { course, sent, workflows } = await play(main('- { stepId: one, workflowId: child }'), {
    replies: { 'GET /clients/1': [WRONG] },
  })

  expect(ofMain(course)).toEqual([
    'main failed',
    '  one/dependsOn/setup/s failed',
    '  one errored',
    '  one/c skipped: step "one" errored',
  ])
  expect(workflows[0]?.steps[1]?.error?.message).toBe(
    'workflow "child" did not begin: it depends on workflow "setup", which failed',
  )
  expect(sent).not.toContain('GET /clients/x')
})

test('Arazzo 1.1 § Workflow Object dependsOn: it is repeated with the step, and only where that does no harm', async () => {
  const flow = (effect: string) =>
    main('- { stepId: one, workflowId: child, onFailure: [{ name: again, type: retry }] }').replaceAll(
      'effect: read',
      `effect: ${effect}`,
    )
  const replies = { 'GET /clients/1': [BUSY, { body: { name: 'x' } }] }
  const harmless = await play(flow('read'), { replies, step: 'one' })
  const guarded = await play(flow('register').replace(/(child\n {4}x-dcr: { effect: )register/, '$1read'), {
    replies,
    step: 'one',
  })

  expect(harmless.sent).toEqual(['GET /clients/1', 'GET /clients/1', 'GET /clients/x'])
  expect(ofMain([...harmless.course, 'end'])).toEqual([
    'main passed',
    '  one/dependsOn/setup/s passed',
    '  one/c passed',
    '  one passed',
  ])
  expect(guarded.sent).toEqual(['GET /clients/1'])
})

test('Arazzo 1.1 § Workflow Object dependsOn: it runs before a workflow that a retry leads through', async () => {
  const { course, sent } = await play(
    main(`- { stepId: one, ${ALIVE}, onFailure: [{ name: again, type: retry, workflowId: child }] }`),
    { replies: { ...NAMED, 'GET /status': [BUSY, {}] }, step: 'one' },
  )

  expect(sent).toEqual(['GET /status', 'GET /clients/1', 'GET /clients/x', 'GET /status'])
  expect(course.slice(1)).toEqual(['  one/retry/dependsOn/setup/s passed', '  one/retry/c passed', '  one passed'])
})

test('Arazzo 1.1 § Workflow Object dependsOn: it runs before a workflow to which control goes on, and the one that ended counts', async () => {
  const { course, sent } = await play(
    `${main(`- { stepId: one, ${ALIVE}, onSuccess: [{ name: on, type: goto, workflowId: child }] }`)}
  - workflowId: other
    x-dcr: { effect: read }
    steps: [{ stepId: o, ${ALIVE}, onSuccess: [{ name: on, type: goto, workflowId: after }] }]
  - { workflowId: after, x-dcr: { effect: read }, dependsOn: [other], steps: [{ stepId: a, ${ALIVE} }] }`,
    { replies: NAMED },
  )

  expect(course.slice(0, 6)).toEqual([
    'main passed',
    '  one passed',
    'setup passed',
    '  s passed',
    'child passed',
    '  c passed',
  ])
  expect(sent.slice(0, 3)).toEqual(['GET /status', 'GET /clients/1', 'GET /clients/x'])
  const other = course.indexOf('other passed')
  expect(course.slice(other, other + 4)).toEqual(['other passed', '  o passed', 'after passed', '  a passed'])
})

test('Arazzo 1.1 § Workflow Object dependsOn: what runs a workflow cannot be what that waits for, and says the effect of both', async () => {
  const problems = await problemsOf(`
  - { workflowId: one, x-dcr: { effect: read }, steps: [{ stepId: a, workflowId: two }] }
  - { workflowId: two, x-dcr: { effect: read }, dependsOn: [one], steps: [{ stepId: b, ${ALIVE} }] }
  - { workflowId: three, x-dcr: { effect: read }, steps: [{ stepId: c, workflowId: four }] }
  - { workflowId: four, x-dcr: { effect: read }, dependsOn: [five], steps: [{ stepId: d, ${ALIVE} }] }
  - { workflowId: five, x-dcr: { effect: register }, steps: [{ stepId: e, ${ALIVE} }] }`)

  expect(problems).toEqual([
    'FLOW_STRUCTURE 2: workflow "one" runs "two", which depends on "one" and would have to wait for its end',
    'FLOW_STRUCTURE 4: workflow "three" says effect: read, but runs "five" with effect: register',
  ])
})

const TAKES_ID = `
  - workflowId: inner
    x-dcr: { effect: read }
    inputs: { type: object, properties: { id: { type: string, default: none } } }
    steps: [{ stepId: i, ${read('$inputs.id')} }]`

test.for([
  ['of a step', 'parameters: [{ name: id, in: query, value: "7" }]', ''],
  ['of a component', 'parameters: [{ reference: $components.parameters.id }]', ''],
  ['of the workflow', 'description: none', 'parameters: [{ name: id, in: query, value: "7" }]'],
  [
    'of the workflow, beside one without',
    'description: none',
    'parameters: [{ name: id, value: "7" }, { name: id, in: query, value: "8" }]',
  ],
  [
    'of the workflow, overridden',
    'parameters: [{ name: id, value: "7" }]',
    'parameters: [{ name: id, in: query, value: "8" }]',
  ],
])(
  'Arazzo 1.1 § Parameter Object in: all parameters %s map to inputs where a step runs a workflow',
  async ([, own, shared]) => {
    const flow = `
  - workflowId: outer
    x-dcr: { effect: read }
    ${shared}
    steps:
      - stepId: run
        workflowId: inner
        ${own}${TAKES_ID}`
    const more = 'components: { parameters: { id: { name: id, in: header, value: "7" } } }'

    expect((await play(flow, { more, step: 'run' })).sent).toEqual(['GET /clients/7'])
  },
)

test('Arazzo 1.1 § Parameter Object in: two that would become one input are refused', async () => {
  const problems = await problemsOf(`
  - workflowId: outer
    x-dcr: { effect: read }
    parameters:
      - { name: id, in: query, value: "7" }
      - { name: id, in: header, value: "8" }
    steps: [{ stepId: run, workflowId: inner }]${TAKES_ID}`)

  expect(problems).toEqual(['FLOW_STRUCTURE 6: two parameters "id" become one input of workflow "inner"'])
})

test.for([
  [
    'names itself',
    '- { stepId: one, operationId: status, onFailure: [{ name: x, type: retry, retryLimit: 2, stepId: one }] }',
  ],
  ['inherits one', '- { stepId: one, operationId: status }'],
  [
    'is led through its own workflow',
    '- { stepId: one, operationId: status, onFailure: [{ name: x, type: retry, retryLimit: 2, workflowId: main }] }',
  ],
])(
  'Arazzo 1.1 § Failure Action Object retryLimit: a step whose retry %s runs three times at most',
  async ([, steps = '']) => {
    const { sent, workflows } = await play(
      `
  - workflowId: main
    x-dcr: { effect: read }
    failureActions: [{ name: x, type: retry, retryLimit: 2, stepId: one }]
    steps:
      ${steps}`,
      { replies: { 'GET /status': [BUSY] } },
    )

    expect(sent).toHaveLength(3)
    expect(workflows[0]?.status).toBe('errored')
  },
)

test('Arazzo 1.1 § Failure Action Object retryLimit: two steps that lead through each other do not multiply', async () => {
  const { sent } = await play(
    `
  - workflowId: main
    x-dcr: { effect: read }
    steps:
      - { stepId: a, ${ALIVE}, onFailure: [{ name: x, type: retry, retryLimit: 2, stepId: b }] }
      - { stepId: b, ${read("'1'")}, onFailure: [{ name: x, type: retry, retryLimit: 2, stepId: a }] }`,
    { replies: { 'GET /status': [BUSY], 'GET /clients/1': [BUSY] } },
  )

  expect(sent.filter((line) => line === 'GET /status')).toHaveLength(3)
  expect(sent.filter((line) => line === 'GET /clients/1')).toHaveLength(2)
})

test('Arazzo 1.1 § Failure Action Object retryLimit: each run of a step has all its retries', async () => {
  const { sent, course } = await play(
    `
  - workflowId: main
    x-dcr: { effect: read }
    steps:
      - { stepId: token, ${ALIVE}, onFailure: [{ name: x, type: retry }] }
      - { stepId: a, ${read("'1'")}, onFailure: [{ name: x, type: retry, retryLimit: 2, stepId: token }] }`,
    {
      replies: {
        'GET /status': [BUSY, {}, BUSY, {}, BUSY, {}],
        'GET /clients/1': [{ status: 401 }, { status: 401 }, {}],
      },
    },
  )

  expect(course[0]).toBe('main passed')
  expect(sent.filter((line) => line === 'GET /status')).toHaveLength(6)
})

test.for([
  ['its step', (retry: string) => ['', `, onFailure: [${retry}]`]],
  ['a component', () => ['', ', onFailure: [{ reference: $components.failureActions.repair }]']],
  ['the whole workflow', (retry: string) => [`failureActions: [${retry}]`, '']],
] as const)(
  'Arazzo 1.1 § Runtime Expressions: $workflows reads a workflow that a retry of %s has run',
  async ([, actionsOf]) => {
    const retry = '{ name: repair, type: retry, retryLimit: 1, workflowId: repair }'
    const [shared = '', own = ''] = actionsOf(retry)
    const flow = `
  - workflowId: main
    x-dcr: { effect: read }
    ${shared}
    steps: [{ stepId: call, ${ALIVE}${own} }]
    outputs: { repaired: $workflows.repair.outputs.name }
  - workflowId: repair
    x-dcr: { effect: read }
    steps: [{ stepId: s, ${read("'1'")}, outputs: { name: $response.body#/name } }]
    outputs: { name: $steps.s.outputs.name }`
    const more = `components: { failureActions: { repair: ${retry} } }`
    const repaired = await play(flow, { more, replies: { ...NAMED, 'GET /status': [WRONG, {}] } })
    const good = await play(flow, { more, replies: NAMED })

    expect(repaired.workflows[0]).toMatchObject({ status: 'passed', outputs: { repaired: 'x' } })
    expect(good.workflows[0]).toMatchObject({ status: 'passed', outputs: {} })
  },
)

test('Arazzo 1.1 § Runtime Expressions: of a dotted name that is none, the hint points to a member of the value', async () => {
  const flow = `
  - workflowId: main
    x-dcr: { effect: read }
    dependsOn: [other]
    inputs: { type: object, properties: { in.put: {} } }
    steps:
      - { stepId: a, ${ALIVE}, outputs: { user: $response.body } }
      - { stepId: b, ${ALIVE}, outputs: { id: $steps.a.outputs.user.id.x#/y } }
      - { stepId: c, ${ALIVE}, outputs: { id: $inputs.in.put.id } }
      - { stepId: d, ${ALIVE}, outputs: { id: $workflows.other.outputs.user.id } }
      - { stepId: e, workflowId: other, outputs: { id: $outputs.user.id } }
      - { stepId: f, ${ALIVE}, outputs: { id: $steps.a.outputs.usr.id } }
  - { workflowId: other, x-dcr: { effect: read }, steps: [{ stepId: o, ${ALIVE} }], outputs: { user: x } }`
  const refused = await play(flow).catch((error: ToolError) => error.problems)

  expect(refused).toMatchObject([
    {
      message: 'there is no output "user.id.x" of step "a"',
      hint: pointer('output "user"', '$steps.a.outputs.user#/id/x/y'),
    },
    { message: 'there is no input "in.put.id"', hint: pointer('input "in.put"', '$inputs.in.put#/id') },
    {
      message: 'there is no output "user.id" of workflow "other"',
      hint: pointer('output "user"', '$workflows.other.outputs.user#/id'),
    },
    { message: 'there is no output "user.id" of the workflow', hint: pointer('output "user"', '$outputs.user#/id') },
    { message: 'there is no output "usr.id" of step "a"' },
  ])
})

const pointer = (what: string, text: string) => `a member of ${what} is read by a pointer: ${text}`
