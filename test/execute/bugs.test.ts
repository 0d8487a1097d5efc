/** An error of the program itself, at whatever moment of a call: what was done is put away, and what must run still runs. */
import { expect, test } from 'vitest'
import type { Ports } from '../../src/execute/index.ts'
import { exitCodeOf } from '../../src/record/index.ts'
import { play, type Script } from '../support/script.ts'

const FLOW = `
  - workflowId: lifecycle
    x-dcr: { effect: delete }
    inputs:
      type: object
      properties:
        assertion: { type: string, x-dcr: { mint: client_assertion, audience: 'https://api.example', alg: PS256 } }
    steps:
      - stepId: register
        operationId: registerClient
        parameters: [{ name: Authorization, in: header, value: Bearer initial-access-token-0123456789 }]
        requestBody:
          contentType: application/json
          payload: { grant_types: [client_credentials], assertion: $inputs.assertion }
        successCriteria: [{ condition: $statusCode == 201 }]
        outputs: { id: $response.body#/client_id }
      - stepId: look
        operationId: status
      - stepId: tidy
        operationId: deleteClient
        x-dcr: { finally: true, url: 'https://api.example/clients/{$steps.register.outputs.id}' }
        parameters: [{ name: client_id, in: path, value: x }]
`
const SECRET = 'secret-of-the-client-0123456789'
const ANSWER = { client_id: 'ours', registration_client_uri: 'https://api.example/clients/ours', client_secret: SECRET }
const REPLIES = { 'POST /clients': [{ status: 201, body: ANSWER }] }

function bug(): never {
  throw new TypeError(`cannot read "${SECRET}"`)
}

/** Breaks the first use in step "register", and no other. */
function once<T extends unknown[], R>(work: (...parameters: T) => R): (...parameters: T) => R {
  let isBroken = false
  return (...parameters) => {
    if (isBroken) return work(...parameters)
    isBroken = true
    return bug()
  }
}

const BEFORE_IT_LEAVES: readonly (readonly [string, (usual: Ports) => Ports])[] = [
  [
    'while its secrets are learnt',
    (usual) => {
      usual.redactor.learn = once(usual.redactor.learn.bind(usual.redactor))
      return usual
    },
  ],
  ['while its assertion is signed', (usual) => ({ ...usual, sign: async () => bug() })],
  ['while it is written down', (usual) => ({ ...usual, vault: { ...usual.vault, begin: async () => bug() } })],
]

test.each(BEFORE_IT_LEAVES)('an error of a call %s leaves nothing to undo', async (_, ports) => {
  const { workflows, sent, course } = await play(FLOW, { replies: REPLIES, ports })

  expect(sent).toEqual([])
  expect(course.slice(1)).toEqual([
    '  register errored',
    '  look skipped: step "register" errored',
    expect.stringMatching(/^ {2}tidy skipped: nothing to do/),
  ])
  expect(errorsIn(workflows)).toEqual(['INTERNAL'])
  expect(exitCodesOf(workflows)).toEqual([70])
})

/** The answer has come: what it registered must be undone. */
const AFTERWARDS: readonly (readonly [string, (usual: Ports) => Ports])[] = [
  ['while its answer is kept', (usual) => ({ ...usual, vault: { ...usual.vault, begin: broken('keep') } })],
  ['while it is settled', (usual) => ({ ...usual, vault: { ...usual.vault, begin: broken('close') } })],
  ['while its token is found to work', (usual) => ({ ...usual, vault: { ...usual.vault, worked: async () => bug() } })],
  [
    'while the secrets of its answer are learnt',
    (usual) => {
      const learn = usual.redactor.learn.bind(usual.redactor)
      const fails = once(learn)
      usual.redactor.learn = (value, headers) =>
        JSON.stringify(value)?.includes('registration_client_uri') ? fails(value, headers) : learn(value, headers)
      return usual
    },
  ],
  [
    'while it is recorded',
    (usual) => {
      usual.redactor.headers = once(usual.redactor.headers.bind(usual.redactor))
      return usual
    },
  ],
  [
    'while it is judged',
    (usual) => {
      usual.redactor.checks = once(usual.redactor.checks.bind(usual.redactor))
      return usual
    },
  ],
]

test.each(AFTERWARDS)('an error of a call %s leaves no client behind, and is said', async (_, ports) => {
  const { workflows, sent, course } = await play(FLOW, { replies: REPLIES, ports })

  expect(sent).toEqual(['POST /clients', 'DELETE /clients/ours'])
  expect(course.slice(1)).toEqual(['  register errored', '  look skipped: step "register" errored', '  tidy passed'])
  const [register] = workflows[0]?.steps ?? []
  expect(register?.exchanges.map(({ response }) => response?.status)).toEqual([201])
  expect(register?.effect).toEqual({ planned: 'register', sent: 'register' })
  expect(register?.error?.message).toMatch(/^this is a bug: TypeError/)
  expect(register?.error?.found).toMatch(/^(?:src|test)\/|^undefined$/)
  expect(exitCodesOf(workflows)).toEqual([70])
  expect(JSON.stringify(workflows)).not.toContain(SECRET)
})

test('an answer that is too deep to be judged leaves no client behind', async () => {
  const deep = JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`) as unknown
  const replies = { 'POST /clients': [{ status: 201, body: { ...ANSWER, deep } }] }

  const { workflows, sent, course } = await play(FLOW, { replies })

  expect(sent).toEqual(['POST /clients', 'DELETE /clients/ours'])
  expect(course.slice(1)).toEqual(['  register errored', '  look skipped: step "register" errored', '  tidy passed'])
  expect([errorsIn(workflows), exitCodesOf(workflows)]).toEqual([['TOO_LARGE'], [3]])
  expect(JSON.stringify(workflows)).not.toContain(SECRET)
})

test('an error after the answer of a transport leaves the call as one of which nobody knows', async () => {
  const closed: string[] = []
  const intent = { keep: async () => undefined, close: async (outcome: string) => void closed.push(outcome) }
  const { course, workflows } = await play(FLOW, {
    ports: (usual) => ({
      ...usual,
      transport: { ...usual.transport, send: async () => bug() },
      vault: { ...usual.vault, begin: async () => intent },
    }),
  })

  expect([closed, errorsIn(workflows), course[1]]).toEqual([['unknown'], ['INTERNAL'], '  register errored'])
})

test('an error while an action is chosen, or what is given is looked for, is the end of no more than that', async () => {
  const chosen: Script = {
    replies: REPLIES,
    ports: (usual) => ({ ...usual, given: async ({ workflowId }) => (workflowId === 'lifecycle' ? bug() : undefined) }),
  }
  const other = FLOW.replace('workflowId: lifecycle', 'workflowId: other')

  const { course, sent } = await play(`${FLOW}${other}`, chosen)

  expect(course.filter((line) => !line.startsWith(' '))).toEqual([
    expect.stringMatching(/^lifecycle errored: this is a bug: TypeError/),
    'other passed',
  ])
  expect(sent).toEqual(['POST /clients', 'GET /status', 'DELETE /clients/ours'])
})

/** Of a registration; what undoes it is written down. */
function broken(member: 'keep' | 'close'): Ports['vault']['begin'] {
  const whole = { keep: async () => undefined, close: async () => {} }
  return async ({ effect }) => (effect === 'register' ? { ...whole, [member]: async () => bug() } : whole)
}

type Workflows = Awaited<ReturnType<typeof play>>['workflows']

function errorsIn(workflows: Workflows): readonly (string | undefined)[] {
  return workflows.flatMap(({ steps }) => steps.flatMap(({ error }) => (error === undefined ? [] : [error.code])))
}

function exitCodesOf(workflows: Workflows): readonly number[] {
  return workflows.map(exitCodeOf)
}
