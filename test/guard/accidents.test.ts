/** Nothing by accident: one application has one client, and what touches it must be asked for. */
import { globSync } from 'node:fs'
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { render, ToolError } from '../../src/record/errors.ts'
import { type Caller, rehearse, resolve, run, type Typed } from '../../src/run/index.ts'
import type { Registration } from '../../src/vault/index.ts'
import { Vault } from '../../src/vault/vault.ts'
import { expectGolden } from '../support/golden.ts'
import { recordIn } from '../support/run.ts'
import { type HttpsTestServer, startHttps } from '../support/servers.ts'

const DESCRIPTION = fileURLToPath(new URL('../golden/flow/clients.openapi.yaml', import.meta.url))
const EFFECTS = { register: 'registerClient', read: 'status', delete: 'deleteClient' } as const

/** A registration is told from other calls by its members (RFC 7591 section 2). */
const METADATA = { client_name: '$inputs.client_id', grant_types: ['client_credentials'] }

/** Stands for the platform: answers everything well, and remembers what it was asked. */
let server: HttpsTestServer
let ca: string
let folder: string
/** what the vault of "uat" held of calls without an answer when the last request came in */
let openCalls: readonly { readonly effect: string; readonly method: string; readonly way: string }[]
let losesAnswers: boolean
/** how registrations are refused: status and `error`; undefined: they are not */
let refusedBy: readonly [status: number, error: string] | undefined
/** how many tokens the server has issued */
let issued = 0
/** registrations are answered when this resolves */
let answersWhen: Promise<void> | undefined

beforeAll(async () => {
  const day = 86_400_000
  const [notBefore, notAfter] = [new Date(Date.now() - day), new Date(Date.now() + day)]
  const authority = await createAuthority('CN=Test CA', notBefore, notAfter)
  const { certificate, key } = await authority.issue({
    subject: 'CN=localhost',
    use: 'server',
    notBefore,
    notAfter,
    hosts: ['localhost'],
  })
  ca = authority.certificate
  server = await startHttps({ cert: certificate, key }, async ({ method }, response) => {
    openCalls = await (await vaultOf('uat')).unsettled()
    if (method === 'POST') await answersWhen
    if (losesAnswers) response.destroy()
    else if (method === 'POST' && refusedBy !== undefined)
      response.writeHead(refusedBy[0], { 'content-type': 'application/json' }).end(`{"error":"${refusedBy[1]}"}`)
    else if (method === 'GET') response.end()
    else if (method === 'DELETE') response.writeHead(204).end()
    else {
      const registration = {
        client_id: 'ours',
        registration_access_token: `token-of-the-client-${++issued}`,
        registration_client_uri: `https://localhost:${server.port}/clients/ours`,
      }
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(registration))
    }
  })
})
afterAll(() => server[Symbol.asyncDispose]())

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-accidents-')))
  losesAnswers = false
  refusedBy = undefined
  answersWhen = undefined
  await writeFile(join(folder, 'ca.crt'), ca)
  await flows('register', 'read', 'delete')
  for (const env of ['mock', 'uat', 'prod']) await environment(env)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('without names everything runs on class mock', async () => {
  expect(await sent({ env: 'mock' })).toEqual(['GET /status', 'POST /clients', 'DELETE /clients/ours'])
})

test.each(['uat', 'prod'])('without names only what reads runs on %s', async (env) => {
  expect(await sent({ env })).toEqual(['GET /status'])
})

test.each(['uat', 'prod'])('a named flow that reads runs on %s unasked', async (env) => {
  expect(await sent({ env, flows: ['read'] })).toEqual(['GET /status'])
})

test.each(['register', 'delete'])(
  'on prod flow "%s" is refused without --confirm, and nothing is sent',
  async (flow) => {
    expectGolden(await refusal({ env: 'prod', flows: [flow] }), `accidents/prod-${flow}.txt`)
  },
)

test('on prod another client id does not confirm, and the right one does', async () => {
  const wrong = await refusal({ env: 'prod', flows: ['register'], confirm: 'theirs' })

  expectGolden(wrong, 'accidents/other-client.txt')
  expect(await sent({ env: 'prod', flows: ['register'], confirm: 'ours' })).toEqual(['POST /clients'])
})

test('on uat a named registration runs the first time and must be confirmed once the vault holds the client', async () => {
  expect(await sent({ env: 'uat', flows: ['register'] })).toEqual(['POST /clients'])

  const again = await refusal({ env: 'uat', flows: ['register'] })

  expectGolden(again, 'accidents/uat-again.txt')
  expect(await sent({ env: 'uat', flows: ['delete', 'read'], confirm: 'ours' })).toEqual([
    'GET /status',
    'DELETE /clients/ours',
  ])
})

test('a call that changes the client is written down before it leaves, and its answer settles it', async () => {
  await sent({ env: 'uat', flows: ['register'] })
  expect(openCalls).toMatchObject([{ effect: 'register', method: 'POST', way: 'wait' }])
  await sent({ env: 'uat', flows: ['delete'], confirm: 'ours' })
  expect(openCalls).toMatchObject([{ effect: 'delete', method: 'DELETE', way: 'wait' }])
  await sent({ env: 'uat', flows: ['read'] })
  expect(openCalls).toEqual([])
})

test('a registration whose answer is lost stays in the vault as one that may have taken place', async () => {
  losesAnswers = true

  const { head } = await start({ env: 'uat', flows: ['register'] })

  expect(head.verdict).toBe('inconclusive')
  expect(await (await vaultOf('uat')).unsettled()).toMatchObject([{ effect: 'register', method: 'POST', way: 'retry' }])
})

test('a registration that the vault holds is not registered over unless that is said', async () => {
  await sent({ env: 'uat', flows: ['register'] })

  const said = await refusal({ env: 'uat', flows: ['register'], confirm: 'ours' })

  expectGolden(said, 'accidents/register-over.txt')
  expect(await sent({ env: 'uat', flows: ['register'], confirm: 'ours', registerAgain: true })).toEqual([
    'POST /clients',
  ])
})

test('of two runs that register at once the second looks again when the first has ended, and sends nothing', async () => {
  const { promise, resolve: answer } = Promise.withResolvers<void>()
  answersWhen = promise
  const before = server.requests.length
  const first = start({ env: 'uat', flows: ['register'] })
  await expect.poll(() => server.requests.length - before).toBe(1)

  const [request, caller] = await startOf({ env: 'uat', flows: ['register'] })
  const second = run(request, { ...caller, onEvent: ({ type }) => type === 'step-started' && answer() })

  expect((await first).head.verdict).toBe('conformant')
  const { workflows, exitCode } = recordIn((await second).file)
  expect([exitCode, server.requests.length - before]).toEqual([3, 1])
  expect(workflows[0]?.steps[0]?.error).toMatchObject({
    code: 'CLIENT_CHANGED',
    message: 'client "ours" was registered or changed by another run since this one began; nothing was sent',
  })
})

test('a deletion that was confirmed for one registration is not sent for a newer one', async () => {
  await sent({ env: 'uat', flows: ['register'] })
  const ask = async () => {
    await sent({ env: 'uat', flows: ['register'], confirm: 'ours', registerAgain: true })
    return 'ours'
  }
  const before = server.requests.length

  const record = recordIn((await start({ env: 'uat', flows: ['delete'], ask })).file)

  expect(record.workflows[0]?.steps[0]?.error?.code).toBe('CLIENT_CHANGED')
  expect(server.requests.slice(before).map(({ method }) => method)).toEqual(['POST'])
  expect(await sent({ env: 'uat', flows: ['delete'], confirm: 'ours' })).toEqual(['DELETE /clients/ours'])
})

test('a deletion that was asked for when the client was another is not sent, however late that changed', async () => {
  await sent({ env: 'uat', flows: ['register'] })
  const judged = await (await vaultOf('uat')).current('ours')
  await sent({ env: 'uat', flows: ['register'], confirm: 'ours', registerAgain: true })
  const before = server.requests.length

  const record = recordIn((await start({ env: 'uat', flows: ['delete'], confirm: 'ours', judged })).file)

  expect(record.workflows[0]?.steps[0]?.error?.code).toBe('CLIENT_CHANGED')
  expect(server.requests.length).toBe(before)
})

/** Registers, and deletes in the end whatever happened: the pattern of a test that leaves nothing behind. */
const passing = () => {
  const [register] = workflowOf('register').steps
  const [remove] = workflowOf('delete').steps
  const last = { ...remove, stepId: 'undo', 'x-dcr': { identity: 'none', finally: true } }
  return { ...workflowOf('delete'), workflowId: 'passing', steps: [register, last] }
}

test('a workflow that registers and deletes leaves a client alone that another workflow of the run has registered', async () => {
  await flow('passing', passing())
  const [request, caller] = await startOf({ env: 'uat', flows: ['register', 'passing'] })
  const before = server.requests.length

  const { file } = await run(request, {
    ...caller,
    onEvent: ({ type }) => {
      if (type === 'workflow-finished') refusedBy = [400, 'invalid_request']
    },
  })

  expect(server.requests.slice(before).map(({ method }) => method)).toEqual(['POST', 'POST'])
  expect(recordIn(file).workflows[1]?.steps.at(-1)).toMatchObject({
    status: 'skipped',
    because: 'nothing to do: "passing" has registered no client in this run, and leaves the one that is there alone',
  })
})

test('a confirmation is for what a workflow is named for, and not for the client that it finds in place of its own', async () => {
  await flow('passing', passing())
  await sent({ env: 'uat', flows: ['register'] })
  refusedBy = [400, 'invalid_request']
  const before = server.requests.length

  await start({ env: 'uat', flows: ['passing'], confirm: 'ours', registerAgain: true })

  expect(server.requests.slice(before).map(({ method }) => method)).toEqual(['POST'])
})

test('a workflow that registers and deletes deletes what it has registered itself, unasked', async () => {
  await flow('passing', passing())

  expect(await sent({ env: 'uat', flows: ['passing'] })).toEqual(['POST /clients', 'DELETE /clients/ours'])
})

test('a client that the vault does not hold is not deleted unconfirmed', async () => {
  const said = await refusal({ env: 'uat', flows: ['delete'] })

  expect(said).toContain('"delete" (delete) would change a live client on "uat"; nothing was sent')
  expect(await refusal({ env: 'uat', flows: ['register', 'delete'] })).toContain('would change a live client')
  expect(await sent({ env: 'uat', flows: ['delete'], confirm: 'ours' })).toEqual(['DELETE /clients/ours'])
})

test('a deletion that turns out to be of another client than was confirmed is not sent', async () => {
  await sent({ env: 'uat', flows: ['register'] })
  const [call] = workflowOf('delete').steps
  const other = { ...call, 'x-dcr': { identity: 'none', url: `https://localhost:${server.port}/clients/ours` } }
  await environment('uat', 'CLIENT_ID=theirs')
  await flow('other', { ...workflowOf('delete'), steps: [other] })
  const before = server.requests.length

  const record = recordIn((await start({ env: 'uat', flows: ['other'], confirm: 'theirs' })).file)

  expect(server.requests.length - before).toBe(0)
  expect(record.workflows[0]?.steps[0]?.error).toMatchObject({ code: 'NOT_OWN_CLIENT', expected: '--confirm ours' })
})

test('what deletes first registers over nothing, if it is one workflow: of two, the one that registers goes first', async () => {
  await sent({ env: 'uat', flows: ['register'] })
  const [deletes, registers] = [workflowOf('delete'), workflowOf('register')]
  await flow('anew', {
    ...deletes,
    workflowId: 'anew',
    steps: [...deletes.steps, ...registers.steps.map((step) => ({ ...step, stepId: 'anew' }))],
  })

  const refused = await refusal({ env: 'uat', flows: ['delete', 'register'], confirm: 'ours' })

  expect(refused).toContain('"register" would register over the client')
  expect(await sent({ env: 'uat', flows: ['anew'], confirm: 'ours' })).toEqual([
    'DELETE /clients/ours',
    'POST /clients',
  ])
})

test('a part that only reads is judged by what it sends, and asks nobody for anything', async () => {
  const [step] = workflowOf('read').steps
  const whole = { ...workflowOf('register'), 'x-dcr': { effect: 'register', notice: 'Contact Thredd' } }
  await flow('register', { ...whole, steps: [{ ...step, stepId: 'look' }, ...whole.steps] })
  await sent({ env: 'uat', flows: ['register'] })

  const record = recordIn((await start({ env: 'uat', flows: ['register'], step: 'look' })).file)

  expect(record.workflows.map(({ effect, notice, status }) => [effect, notice, status])).toEqual([
    ['read', undefined, 'passed'],
  ])
  expect(await refusal({ env: 'prod', flows: ['register'], step: 'call' })).toContain('would change a live client')
})

test('a workflow that says it reads is judged by what it calls, and by the workflows that it runs', async () => {
  await rm(join(folder, 'flows'), { recursive: true })
  await flows('read')
  await flow('mislabelled', { ...workflowOf('delete'), 'x-dcr': { effect: 'read' } })
  await flow(
    'indirect',
    { workflowId: 'indirect', 'x-dcr': { effect: 'read' }, steps: [{ stepId: 'run', workflowId: 'register' }] },
    { ...workflowOf('register'), 'x-dcr': { effect: 'read' } },
  )

  expect(await sent({ env: 'uat' })).toEqual(['GET /status'])
  for (const name of ['mislabelled', 'indirect'])
    expect(await refusal({ env: 'prod', flows: [name] })).toContain('would change a live client on "prod"')
})

const FORM = 'application/x-www-form-urlencoded'
const PARTS = 'multipart/form-data; boundary=x'

test.each([
  ['an object', FORM, { grant_types: 'client_credentials' }],
  ['a text that is a form', FORM, 'grant_types=client_credentials'],
  ['a text that is JSON', FORM, '{"software_statement":"a.b.c"}'],
])(
  'client metadata at any address, as %s, are refused in a workflow that says it reads',
  async (_, contentType, payload) => {
    await flow('odd', { ...workflowOf('read'), steps: [tokenStep({ contentType, payload })] })

    const said = await refusal({ env: 'uat', flows: ['odd'] })

    expect(said).toContain('step "call" can register a client, but workflow "read" says effect: read; nothing was sent')
  },
)

test.each([
  ['a form', FORM, 'a=b{$inputs.client_id}', '&software_statement=a.b.c'],
  ['JSON', FORM, ' {$inputs.client_id}', '{"software_statement":"a.b.c"}'],
])('a call that turns out to register, by %s, is not sent', async (_, contentType, payload, value) => {
  await flow('odd', { ...workflowOf('read'), steps: [tokenStep({ contentType, payload })] })
  const before = server.requests.length

  const record = recordIn((await start({ env: 'uat', flows: ['odd'], inputs: { client_id: value } })).file)

  expect([record.exitCode, server.requests.length - before]).toEqual([2, 0])
  expect(record.workflows[0]?.steps[0]).toMatchObject({
    effect: { planned: 'none', sent: 'register' },
    error: {
      code: 'EFFECT_UNPLANNED',
      message: 'step "call" would register a client, and its flow does not show that; nothing was sent',
    },
  })
})

test.each([
  ['the encoded path of a registration', '/status/{$inputs.client_id}', '..%2Fclients%2F1'],
  ['another path', '/{$inputs.client_id}', 'register/1'],
])('a DELETE that turns out to go to %s is not sent', async (_, path, value) => {
  const url = `https://localhost:${server.port}${path}`
  const step = { stepId: 'call', 'x-operation': { url, method: 'delete' }, 'x-dcr': { identity: 'none' } }
  await flow('odd', { ...workflowOf('read'), steps: [step] })
  const before = server.requests.length

  const record = recordIn((await start({ env: 'uat', flows: ['odd'], inputs: { client_id: value } })).file)

  expect([record.exitCode, server.requests.length - before]).toEqual([2, 0])
  expect(record.workflows[0]?.steps[0]).toMatchObject({ effect: { planned: 'other', sent: 'delete' } })
})

test.each([
  ['an object', 'application/json', METADATA],
  ['a text', 'application/json', JSON.stringify({ grant_types: ['client_credentials'] })],
  ['a form', FORM, { grant_types: 'client_credentials' }],
  ['a form of parts', PARTS, { grant_types: 'client_credentials' }],
  ['what is altered', FORM, { alter: 'me' }],
])('a registration written as %s is written down before it leaves', async (_, contentType, payload) => {
  losesAnswers = true
  const alter = [{ set: 'form', name: 'grant_types', value: 'client_credentials' }]
  const step = {
    stepId: 'call',
    'x-operation': { url: `https://localhost:${server.port}/enrol`, method: 'post' },
    'x-dcr': { identity: 'none', ...('alter' in Object(payload) ? { alter } : {}) },
    requestBody: { contentType, payload },
  }
  await flow('odd', { ...workflowOf('register'), steps: [step] })

  const record = recordIn((await start({ env: 'uat', flows: ['odd'] })).file)

  expect(openCalls).toMatchObject([{ effect: 'register', method: 'POST', way: 'wait' }])
  expect(record.workflows[0]?.steps[0]?.effect).toEqual({ planned: 'register', sent: 'register' })
})

test.each(['uat', 'prod'])(
  'on %s a call that nothing marks as safe is named and confirmed like a change',
  async (env) => {
    const pay = { stepId: 'call', 'x-operation': { url: `https://localhost:${server.port}/pay`, method: 'post' } }
    await rm(join(folder, 'flows'), { recursive: true })
    await flows('read', 'register')
    await flow('pay', { ...workflowOf('read'), workflowId: 'pay', steps: [{ ...pay, 'x-dcr': { identity: 'none' } }] })
    if (env === 'uat') await sent({ env, flows: ['register'] })

    expect(await sent({ env })).toEqual(['GET /status'])
    expect(await refusal({ env, flows: ['pay'] })).toContain('"pay" (other) would change')
    expect(await sent({ env, flows: ['pay'], confirm: 'ours' })).toEqual(['POST /pay'])
  },
)

test.each([
  ['ours', true],
  ['theirs', false],
  [undefined, false],
])('at a terminal the client id is asked for: "%s" typed, and it runs: %s', async (typed, runs) => {
  const asked: unknown[] = []
  const ask = async (question: unknown) => {
    asked.push(question)
    return typed
  }
  const situation = { env: 'prod', flows: ['register', 'read'], ask }

  if (runs) expect(await sent(situation)).toEqual(['GET /status', 'POST /clients'])
  else expect(await refusal(situation)).toContain('would change a live client on "prod"')
  const changes = [{ workflowId: 'register', effect: 'register' }]
  expect(asked).toEqual([{ environment: 'prod', clientId: 'ours', changes }])
})

test('nobody is asked where no answer could help, where nothing is at stake, and where --confirm is given', async () => {
  const ask = () => expect.unreachable('it was asked')
  await sent({ env: 'uat', flows: ['register'], ask })
  await sent({ env: 'uat', flows: ['read'], ask })

  expect(await refusal({ env: 'uat', flows: ['register'], ask })).toContain('would register over the client')
  expect(await refusal({ env: 'prod', flows: ['delete'], confirm: 'theirs', ask })).toContain('another client id')
})

const LOOPBACK = 'loopback: SERVER_CLIENTS is on this machine: what answers there is not Thredd'

test('a dry run shows what it would take instead of refusing', async () => {
  await sent({ env: 'uat', flows: ['register'] })
  const before = server.requests.length

  const { warnings, workflows } = await rehearse(...(await startOf({ env: 'uat', flows: ['register'] })))

  expect(workflows.map(({ workflowId }) => workflowId)).toEqual(['register'])
  expect(warnings).toEqual([
    LOOPBACK,
    '"register" would register over the client that the vault of "uat" holds; expected no registration of "ours"',
    '"register" (register) would change a live client on "uat"; expected --confirm <client_id> with the CLIENT_ID of the environment',
  ])
  expect(server.requests.length).toBe(before)
})

test('a PUT says before it is sent that it wipes what Thredd keeps of the client', async () => {
  const update = { ...workflowOf('read'), workflowId: 'change', 'x-dcr': { effect: 'update' } }
  await flow('change', update)
  const seen: string[] = []
  const [request, caller] = await startOf({ env: 'uat', flows: ['change'] })
  const said =
    '"change" sends a DCR PUT: it wipes the Programme Manager (or Issuer) metadata that Thredd keeps of the client, and the APIs may refuse it until Thredd has set the metadata again'

  const { head } = await run(request, {
    ...caller,
    onEvent: (event) => {
      if (event.type === 'prepared') seen.push(...event.warnings)
      if (event.type === 'step-started') seen.push('sent')
    },
  })

  expect(seen).toEqual([said, LOOPBACK, 'sent'])
  expect(head.warnings).toEqual([said, LOOPBACK])
  expect((await rehearse(request, caller)).warnings).toEqual([said, LOOPBACK])
})

test('a flow that may cost the client its credentials needs a client that nobody uses, and some run on the twin alone', async () => {
  const classed = (safety: string) => ({ ...workflowOf('read'), 'x-dcr': { effect: 'read', safety } })
  await flow('risky', classed('D'))
  await flow('attack', classed('X'))

  expect(await refusal({ env: 'uat', flows: ['risky'] })).toContain('expected SACRIFICIAL_CLIENT=true')
  expect(await refusal({ env: 'uat', flows: ['attack'] })).toContain('"read" is of safety class X')
  expect(await sent({ env: 'mock', flows: ['risky', 'attack'] })).toEqual(['GET /status', 'GET /status'])
  await environment('uat', 'SACRIFICIAL_CLIENT=true')
  expect(await refusal({ env: 'uat', flows: ['risky'] })).toContain('"read" (read) may harm a client')
  expect(await sent({ env: 'uat', flows: ['risky'], confirm: 'ours' })).toEqual(['GET /status'])
  expect(await refusal({ env: 'uat', flows: ['attack'] })).toContain('"read" is of safety class X')
})

test('where nothing may run unnamed, that is said instead of a verdict about nothing', async () => {
  await rm(join(folder, 'flows', 'read.arazzo.yaml'))

  const all = await refusal({ env: 'uat' })
  const one = await refusal({ env: 'uat', workflow: 'register' })

  expect([all, one].map((said) => said.split(':')[0])).toEqual(['error[USAGE]', 'error[USAGE]'])
})

test('a client named with --input is as well guarded as the one of the environment', async () => {
  await flows('register')
  await sent({ env: 'uat', flows: ['register'], inputs: { client_id: 'ours' } })

  const said = await refusal({
    env: 'uat',
    flows: ['register'],
    inputs: { client_id: 'ours' },
  })

  expect(said).toContain('error[USAGE]')
})

test('no process variable makes prod a mock or opens another host', async () => {
  const variables = {
    THREDD_ENV_CLASS: 'mock',
    THREDD_ALLOWED_HOSTS: 'localhost',
    THREDD_SERVER_CLIENTS: `https://localhost:${server.port}/x`,
  }

  const said = await refusal({ env: 'prod', flows: ['register'], variables, confirm: 'ours' })

  for (const variable of Object.keys(variables)) expect(said).toContain(`${variable} is set in this process`)
})

test('an error of whoever watches a run is thrown when the run has ended and its record is written', async () => {
  const onEvent = ({ type }: { readonly type: string }) => {
    if (type === 'step-started') throw new TypeError('not drawn')
  }
  const [request, caller] = await startOf({ env: 'uat', flows: ['register'] })

  await expect(run(request, { ...caller, onEvent, runId: 'run-1' })).rejects.toThrow('not drawn')

  const [file = ''] = globSync(join(folder, 'reports', '*-run-1', 'record.json'))
  expect(recordIn(file).workflows.map(({ status }) => status)).toEqual(['passed'])
})

test('while one flow of several has a mistake nothing of any is sent', async () => {
  const broken = join(folder, 'flows', 'delete.arazzo.yaml')
  await writeFile(broken, flowText('delete').replace('deleteClient', 'deleteCleint'))

  expect(await refusal({ env: 'mock' })).toContain('error[FLOW_REFERENCE]')
})

test('a registration leaves the message for Thredd in the record and in a file', async () => {
  const { file } = await start({ env: 'uat', flows: ['register'] })

  const [message] = recordIn(file).messagesToThredd ?? []
  expect(message).toMatchObject({ clientId: 'ours', asks: 'set-metadata' })
  expect(await readFile(join(file, '..', 'message-to-thredd.txt'), 'utf8')).toBe(message?.text)
})

const REFUSED = 'the registration was refused as servers refuse a second client of one application'
const DUPLICATES = [
  [400, 'invalid_client_metadata'],
  [400, 'invalid_request'],
  [409, 'conflict'],
] as const

test.for(DUPLICATES)('a duplicate (%i %s) asks Thredd for nothing, and says what the vault holds', async (refused) => {
  refusedBy = refused
  const empty = recordIn((await start({ env: 'uat', flows: ['register'] })).file)
  expect(empty.messagesToThredd).toBeUndefined()
  expect(empty.warnings.join()).toContain(
    `${REFUSED}, and the vault holds none of "ours": if the client was registered elsewhere, for example with Postman, thredd vault import <file> --env uat brings`,
  )

  refusedBy = undefined
  await start({ env: 'uat', flows: ['register'] })
  refusedBy = refused
  const again = recordIn((await start({ env: 'uat', flows: ['register'], confirm: 'ours', registerAgain: true })).file)
  expect(again.messagesToThredd).toBeUndefined()
  expect(again.warnings.join()).toContain(`${REFUSED}; the vault holds a registration of "ours", kept at `)
})

test.for([
  [400, 'invalid_software_statement'],
  [400, 'unapproved_software_statement'],
  [400, 'invalid_scope'],
  [401, 'invalid_token'],
  [403, 'access_denied'],
  [404, 'not_found'],
  [429, 'slow_down'],
] as const)('another refusal (%i %s) says nothing of a client that would be there', async (refused) => {
  refusedBy = refused
  const { file } = await start({ env: 'uat', flows: ['register'] })

  expect(recordIn(file).warnings.join()).not.toMatch(/was refused|vault import|message delete/)
  expect(recordIn(file).messagesToThredd).toBeUndefined()
})

interface Situation {
  readonly env: string
  readonly flows?: readonly string[]
  readonly workflow?: string
  readonly step?: string
  readonly confirm?: string
  readonly inputs?: Readonly<Record<string, string>>
  readonly variables?: Readonly<Record<string, string>>
  readonly ask?: Caller['ask']
  readonly registerAgain?: boolean
  readonly judged?: Registration | undefined
}

async function startOf({ ask, ...situation }: Situation): Promise<Parameters<typeof run>> {
  return [await resolve(typed(situation)), { ask, out: join(folder, 'reports'), version: '0.0.0-test' }]
}

function typed({
  env,
  flows = [],
  workflow,
  step,
  inputs = {},
  variables = {},
  confirm,
  registerAgain,
  judged,
}: Situation): Typed {
  return {
    environment: { env, folder, variables },
    selection: { flows, workflow, step, folders: [folder] },
    inputs: new Map(Object.entries(inputs)),
    permissions: { confirm, registerAgain, judged },
  }
}

async function vaultOf(env: string) {
  return new Vault({
    folder: join(folder, '.vault', env),
    key: new Uint8Array(Buffer.from('a key of tests, 32 bytes of text')),
    environment: env,
    now: () => new Date(),
  })
}

async function start(situation: Situation) {
  return await run(...(await startOf(situation)))
}

/** What the server was asked by a run that passes. */
async function sent(situation: Situation): Promise<string[]> {
  const before = server.requests.length
  const { head } = await start(situation)
  expect(head.verdict).toBe('conformant')
  return server.requests.slice(before).map(({ method, path }) => `${method} ${path}`)
}

/** What is said of a run that is refused; nothing may have been sent. */
async function refusal(situation: Situation): Promise<string> {
  const before = server.requests.length
  const error = await start(situation).then(
    ({ head }) => new Error(`it ran, and the verdict is ${head.verdict}`),
    (reason: unknown) => reason,
  )
  expect(server.requests.length).toBe(before)
  if (!(error instanceof ToolError)) throw error
  return `${error.problems.map((problem) => render(problem)).join('\n\n')}\n`
    .replaceAll(`${folder}/`, '')
    .replaceAll(/\d{4}-\S+Z/g, '<time>')
}

async function environment(name: string, ...more: readonly string[]): Promise<void> {
  const lines = [
    `ENV_CLASS=${name}`,
    `SERVER_CLIENTS=https://localhost:${server.port}`,
    'CA_FILE=ca.crt',
    'CLIENT_ID=ours',
    'VAULT_KEY_FILE=vault.key',
    ...more,
  ]
  await writeFile(join(folder, `.env.${name}`), lines.join('\n'))
  await writeFile(join(folder, 'vault.key'), Buffer.from('a key of tests, 32 bytes of text').toString('base64url'), {
    mode: 0o600,
  })
}

async function flows(...names: readonly (keyof typeof EFFECTS)[]): Promise<void> {
  await cp(DESCRIPTION, join(folder, 'flows', 'clients.openapi.yaml'))
  for (const name of names) await writeFile(join(folder, 'flows', `${name}.arazzo.yaml`), flowText(name))
}

async function flow(name: string, ...workflows: readonly object[]): Promise<void> {
  await writeFile(join(folder, 'flows', `${name}.arazzo.yaml`), documentOf(...workflows))
}

function flowText(effect: keyof typeof EFFECTS): string {
  return documentOf(workflowOf(effect))
}

function workflowOf(effect: keyof typeof EFFECTS) {
  const clientId = { name: 'client_id', in: 'path', value: '$inputs.client_id' }
  return {
    workflowId: effect,
    'x-dcr': { effect },
    inputs: {
      type: 'object',
      required: ['client_id'],
      properties: { client_id: { type: 'string' }, extended: { type: 'string', 'x-dcr': { when: '1 == 2' } } },
    },
    steps: [
      {
        stepId: 'call',
        operationId: EFFECTS[effect],
        'x-dcr': { identity: 'none' },
        ...(effect === 'delete' ? { parameters: [clientId] } : {}),
        ...(effect === 'register' ? { requestBody: { contentType: 'application/json', payload: METADATA } } : {}),
      },
    ],
  }
}

function tokenStep(requestBody: { readonly contentType: string; readonly payload: unknown }) {
  return { stepId: 'call', operationId: 'token', 'x-dcr': { identity: 'none' }, requestBody }
}

function documentOf(...workflows: readonly object[]): string {
  return JSON.stringify({
    arazzo: '1.1.0',
    info: { title: 'Own', version: '1.0.0' },
    sourceDescriptions: [{ name: 'clients', url: 'clients.openapi.yaml' }],
    workflows,
  })
}
