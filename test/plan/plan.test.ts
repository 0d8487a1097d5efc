/** The plan of a flow in an environment: the source of each value, and everything that is missing, reported at once. */
import { cp, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import { inputsWithin, type Plan, plan } from '../../src/plan/index.ts'
import { render, ToolError } from '../../src/record/errors.ts'
import { expectGolden } from '../support/golden.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
let folder: string

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-plan-')))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test.each(['uat', 'prod'])('a first run on %s reports at once what has to be set, and where', async (env) => {
  const said = await refusal({ flow: join(ROOT, 'flows/register.arazzo.yaml'), env: join(ROOT, `.env.${env}`) })

  expectGolden(said, `plan/first-run-on-${env}.txt`)
})

test('the whole registration can be planned on the offline twin', async () => {
  const planned = await planFor({ flow: join(ROOT, 'flows/register.arazzo.yaml'), env: join(ROOT, '.env.mock') })

  expect([...planned.identities]).toEqual(['transport'])
  expect([...planned.signing.keys()]).toEqual(['current PS256'])
  expect(sourcesOf(planned)).toMatchObject({
    client_id: 'value from .env.mock',
    scopes: 'value from default',
    directory_auth_method: 'value from default',
    directory_assertion: 'absent from not needed here',
    directory_assertion_type: 'absent from not needed here',
    client_assertion: 'minted from minted',
  })
})

test('a source gets the certificate that IDENTITY_FOR names, and a step that names one itself keeps it', async () => {
  const situation = { flow: join(ROOT, 'flows/register.arazzo.yaml'), env: join(ROOT, '.env.mock') }
  const variables = { THREDD_IDENTITY_FOR_CARDS: 'RENEWED' }
  const presented = (planned: Plan) =>
    planned.workflows.flatMap(({ steps }) =>
      steps.flatMap(({ step }) => (step.kind === 'call' ? [[step.source, step.identity]] : [])),
    )
  const usual = presented(await planFor(situation))

  const planned = await planFor({ ...situation, variables })

  expect(usual.some(([source]) => source === 'cards')).toBe(true)
  expect(presented(planned)).toEqual(
    usual.map(([source, identity]) => [source, source === 'cards' ? 'renewed' : identity]),
  )
  expect([...planned.identities].sort()).toEqual(['renewed', 'transport'])
  const rotation = {
    ...situation,
    registered: true,
    inputs: { renewed_thumbprint: 'x5t' },
    flow: join(ROOT, 'flows/rotate-transport-certificate.arazzo.yaml'),
  }
  const renewing = {
    THREDD_IDENTITY_SPARE_PFX_FILE: 'spare.p12',
    THREDD_IDENTITY_FOR_CARDS: 'spare',
    THREDD_IDENTITY_FOR_AUTHORIZATION: 'spare',
  }
  const own = (planned: Plan) => presented(planned).filter(([, identity]) => identity === 'renewed')
  expect(own(await planFor(rotation)).length).toBeGreaterThan(0)
  expect(own(await planFor({ ...rotation, variables: renewing }))).toEqual(own(await planFor(rotation)))
  expect(await refusal({ ...situation, variables: { THREDD_IDENTITY_FOR_CARDS: 'nobody' } })).toContain(
    'IDENTITY_FOR_CARDS names identity "nobody", which is not configured',
  )
  // What takes the certificate away is named where it is set.
  expect(await refusal({ ...situation, variables: { THREDD_IDENTITY_FOR_CARDS: 'none' } })).toContain(
    'remove IDENTITY_FOR_CARDS=none',
  )
})

test('whether an input is needed depends on the values of others', async () => {
  const planned = await planFor({
    flow: join(ROOT, 'flows/register.arazzo.yaml'),
    env: join(ROOT, '.env.mock'),
    inputs: { directory_auth_method: 'private_key_jwt' },
  })

  expect(sourcesOf(planned)).toMatchObject({
    directory_assertion: 'minted from minted',
    directory_assertion_type: 'value from default',
  })
  const [workflow] = planned.workflows
  expect(workflow && inputsWithin(workflow).get('directory_assertion')).toEqual({
    kind: 'minted',
    assertions: new Map([
      [
        'directory_mtls',
        {
          clientId:
            'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4',
          audience: 'https://matls-auth.directory.sandbox.threddid.com/token',
          alg: 'PS256',
          key: 'current',
          lifetimeSeconds: 300,
        },
      ],
    ]),
    secret: true,
    origin: { label: 'minted' },
  })
})

const TOKEN = { registration_access_token: { type: 'string', format: 'password', default: 'a default' } }

test.each([
  [
    '--input, whatever else there is',
    { inputs: { registration_access_token: 'x' }, set: true, registered: true },
    'value from --input',
  ],
  ['then the environment', { set: true, registered: true }, 'value from .env.test'],
  ['then the vault', { registered: true }, 'vault from vault'],
] as const)('a value comes from %s', async (_, { registered = false, ...options }, source) => {
  const set = 'set' in options ? 'REGISTRATION_ACCESS_TOKEN=y' : ''
  const inputs = 'inputs' in options ? options.inputs : {}

  const planned = await planFor({
    flow: await flowWith(TOKEN, ['registration_access_token']),
    settings: [set],
    inputs,
    registered,
  })

  expect(sourcesOf(planned)).toEqual({ registration_access_token: source })
})

test('without a registration in the vault the message says what to do', async () => {
  const said = await refusal({
    flow: await flowWith({ registration_access_token: { type: 'string' } }, ['registration_access_token']),
  })

  expectGolden(said, 'plan/no-registration.txt')
})

test.each([
  ['array', { scopes: 'a, b  c' }, ['a', 'b', 'c']],
  ['array', { scopes: '["a b", "c"]' }, ['a b', 'c']],
  ['array', { scopes: '' }, []],
  ['integer', { scopes: '42' }, 42],
  ['number', { scopes: '4.2e1' }, 42],
  ['boolean', { scopes: 'false' }, false],
  ['object', { scopes: '{"a": {"b": []}}' }, { a: { b: [] } }],
  ['string', { scopes: '42' }, '42'],
  ['string', { scopes: '["a"]' }, '["a"]'],
])('text becomes what the schema asks for: %s from %o', async (type, inputs, value) => {
  const planned = await planFor({ flow: await flowWith({ scopes: { type } }, ['scopes']), inputs })

  expect(planned.workflows[0]?.inputs.get('scopes')).toMatchObject({ kind: 'value', value })
})

test('values that do not fit are refused together, with their places and without secrets', async () => {
  const inputs = {
    scopes: { type: 'array', items: { enum: ['cards.read', 'pin.read'] }, minItems: 2 },
    count: { type: 'integer', maximum: 5 },
    flag: { type: 'boolean' },
    details: { type: 'object', required: ['id'] },
    kind: { enum: ['a', 'b'] },
    secret: { type: 'string', minLength: 40, format: 'password' },
    passphrase: { type: 'string', maxLength: 3 },
  }

  const said = await refusal({
    flow: await flowWith(inputs, Object.keys(inputs)),
    settings: ['SCOPES=cards.reed', 'KIND=c', 'PASSPHRASE=canary-passphrase'],
    variables: { THREDD_COUNT: '6' },
    inputs: { flag: 'yes', details: '{', secret: 'canary-secret' },
  })

  expect(said).not.toContain('canary')
  expectGolden(said, 'plan/invalid-inputs.txt')
})

test('unknown names on the command line are refused, with the nearest known one', async () => {
  const said = await refusal({
    flow: await flowWith({ client_id: { type: 'string' } }),
    settings: ['CLIENT_ID=1'],
    inputs: { clientid: '1', audience: '2', signing_alg: 'PS256' },
    servers: { client: 'https://api.example', tokens: 'https://api.example' },
  })

  expectGolden(said, 'plan/unknown-names.txt')
})

const ASSERTION = {
  client_id: { type: 'string' },
  audience: { type: 'string' },
  assertion: {
    type: 'string',
    'x-dcr': { mint: 'client_assertion', audience: '{$inputs.audience}/token', alg: '$inputs.signing_alg' },
  },
  signing_alg: { type: 'string' },
}

test('settings that a client assertion needs are reported before anything is sent', async () => {
  const flow = await flowWith(ASSERTION)

  const nothing = await refusal({ flow })
  const algorithm = await refusal({
    flow,
    settings: ['CLIENT_ID=1', 'AUDIENCE=https://as.example', 'SIGNING_KEY=k', 'SIGNING_KID=k'],
    inputs: { signing_alg: 'HS256' },
  })

  expectGolden([nothing, algorithm].join('\n'), 'plan/assertion.txt')
})

test('a client assertion is for the client of the flow', async () => {
  const planned = await planFor({
    flow: await flowWith(ASSERTION),
    settings: ['CLIENT_ID=of-the-environment', 'AUDIENCE=https://as.example', 'SIGNING_KEY=k', 'SIGNING_KID=k'],
    inputs: { client_id: 'of-the-command-line' },
  })

  expect(planned.workflows[0]?.inputs.get('assertion')).toMatchObject({
    assertions: new Map([
      ['', expect.objectContaining({ clientId: 'of-the-command-line', audience: 'https://as.example/token' })],
    ]),
  })
})

const SENT = {
  stepId: 'sent',
  operationId: 'token',
  requestBody: { payload: { client_assertion: '$inputs.assertion' } },
}
const MINTED = { assertion: { type: 'string', 'x-dcr': { mint: 'client_assertion' } } }
const SIGNING = ['CLIENT_ID=1', 'SIGNING_KEY=k', 'SIGNING_KID=k', 'TRANSPORT_CERT_FILE=c', 'TRANSPORT_KEY_FILE=k']

test('for whom an assertion is and how it is signed follows from the source that a step sends it to', async () => {
  const flow = await flowWith(MINTED, [], [SENT])
  const known = ['ASSERTION_AUDIENCE_CLIENTS=https://clients.example', 'SIGNING_ALG=RS256', ...SIGNING]

  const planned = await planFor({ flow, settings: known })

  const assertion = { clientId: '1', audience: 'https://clients.example', alg: 'RS256', lifetimeSeconds: 300 }
  expect(planned.workflows[0]?.inputs.get('assertion')).toMatchObject({ assertions: new Map([['clients', assertion]]) })
  expect([...planned.signing.keys()]).toEqual(['current RS256'])
  const unread = await planFor({ flow: await flowWith(MINTED), settings: SIGNING })
  expect(unread.workflows[0]?.inputs.get('assertion')).toMatchObject({ assertions: new Map() })
})

test('one input is minted for each of the sources that steps send it to, by the settings of each', async () => {
  const send = (stepId: string, operation: string) => ({
    stepId,
    operationId: `$sourceDescriptions.${operation}`,
    requestBody: {
      contentType: 'application/x-www-form-urlencoded',
      payload: { grant_type: 'client_credentials', scope: 'directory:software', client_assertion: '$inputs.assertion' },
    },
  })
  const file = join(folder, 'both.arazzo.json')
  const source = (name: string, api: string) => ({ name, url: join(ROOT, 'flows/apis', `${api}.openapi.yaml`) })
  const flow = {
    arazzo: '1.1.0',
    info: { title: 'Both', version: '1.0.0' },
    sourceDescriptions: [source('authorization', 'authorization'), source('directory_mtls', 'directory')],
    workflows: [
      {
        workflowId: 'both',
        'x-dcr': { effect: 'read' },
        inputs: { type: 'object', properties: MINTED },
        steps: [send('directory', 'directory_mtls.directoryToken'), send('api', 'authorization.token')],
      },
    ],
  }
  await writeFile(file, JSON.stringify(flow))

  const planned = await planFor({
    flow: file,
    env: join(ROOT, '.env.mock'),
    variables: { THREDD_DIRECTORY_SIGNING_ALG: 'ES256', THREDD_ASSERTION_AUDIENCE_AUTHORIZATION: 'https://as.example' },
  })

  const input = planned.workflows[0]?.inputs.get('assertion')
  const said =
    input?.kind === 'minted' ? [...input.assertions].map(([name, { audience, alg }]) => [name, audience, alg]) : []
  expect(said).toEqual([
    ['directory_mtls', 'https://matls-auth.directory.sandbox.threddid.com/token', 'ES256'],
    ['authorization', 'https://as.example', 'PS256'],
  ])
})

test('a source of which nobody says for whom an assertion to it is has to be told', async () => {
  const nobody = await refusal({ flow: await flowWith(MINTED, [], [SENT]), settings: SIGNING })
  const anywhere = {
    stepId: 'sent',
    'x-operation': { url: 'https://api.example/token?a={$inputs.assertion}', method: 'GET' },
  }
  const ownUrl = await refusal({ flow: await flowWith(MINTED, [], [anywhere]), settings: SIGNING })

  expectGolden([nobody, ownUrl].join('\n'), 'plan/assertion-of-source.txt')
})

test('a certificate, a server or a host that the environment does not have is one problem, not one for each step', async () => {
  const step = { operationId: 'status', 'x-dcr': { identity: 'other-bank' } }
  const flow = await flowWith(
    {},
    [],
    [
      { ...step, stepId: 'first' },
      { ...step, stepId: 'second' },
      { stepId: 'third', operationId: 'status' },
      { stepId: 'fourth', operationId: 'status', 'x-dcr': { identity: 'none' } },
    ],
  )

  const noServer = await refusal({ flow, settings: ['SERVER_CLIENTS='] })
  const noHost = await refusal({ flow, settings: ['ALLOWED_HOSTS=other.example'] })

  expectGolden([noServer, noHost].join('\n'), 'plan/step-needs.txt')
})

test('a step that presents nothing to an operation of mutual TLS is refused', async () => {
  const flow = await flowWith({}, [], [{ stepId: 'quiet', operationId: 'mutual', 'x-dcr': { identity: 'none' } }])

  expectGolden(await refusal({ flow }), 'plan/no-certificate.txt')
})

interface Situation {
  readonly flow: string
  /** default: an environment file with `settings` */
  readonly env?: string
  readonly settings?: readonly string[]
  readonly variables?: Readonly<Record<string, string>>
  readonly inputs?: Readonly<Record<string, string>>
  readonly servers?: Readonly<Record<string, string>>
  readonly registered?: boolean
}

async function planFor(situation: Situation): Promise<Plan> {
  const { flow: file, env = '.env.test', settings = [], variables = {}, inputs = {}, servers = {} } = situation
  await writeFile(
    join(folder, '.env.test'),
    [
      'ENV_CLASS=uat',
      ...(settings.some((line) => line.startsWith('SERVER_')) ? [] : ['SERVER_CLIENTS=https://api.example']),
      ...settings,
    ].join('\n'),
  )
  const environment = await loadEnvironment({ env, folder, variables, servers: new Map(Object.entries(servers)) })
  const flow = await readFlow(file)
  return plan(
    flow.workflows.map((workflow) => ({ flow, workflow })),
    environment,
    { inputs: new Map(Object.entries(inputs)), registered: situation.registered ?? false },
  )
}

/** What the command line would print, without the lines of the files. */
async function refusal(situation: Situation): Promise<string> {
  const error = await planFor(situation).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ToolError)) throw error ?? new Error('the plan was not refused')
  return `${error.problems.map((problem) => render(problem)).join('\n\n')}\n`
    .replaceAll(`${folder}/`, '')
    .replaceAll(ROOT, '')
}

function sourcesOf({ workflows }: Plan): Record<string, string> {
  const inputs = workflows.flatMap((workflow) => [...inputsWithin(workflow)]).filter(([name]) => name !== 'guard')
  return Object.fromEntries(inputs.map(([name, { kind, origin }]) => [name, `${kind} from ${origin.label}`]))
}

async function flowWith(
  inputs: Readonly<Record<string, unknown>>,
  required: readonly string[] = [],
  steps: readonly unknown[] = [{ stepId: 'alive', operationId: 'status', 'x-dcr': { identity: 'none' } }],
): Promise<string> {
  await cp(join(ROOT, 'test/golden/flow/clients.openapi.yaml'), join(folder, 'clients.openapi.yaml'))
  const file = join(folder, 'own.arazzo.json')
  const workflow = {
    workflowId: 'own',
    'x-dcr': { effect: 'read' },
    // A workflow that presents another identity must have an input that only this tool understands.
    inputs: { type: 'object', required, properties: { ...inputs, guard: { 'x-dcr': { when: '1 == 2' } } } },
    steps,
  }
  const content = {
    arazzo: '1.1.0',
    info: { title: 'Own', version: '1.0.0' },
    sourceDescriptions: [{ name: 'clients', url: 'clients.openapi.yaml' }],
    workflows: [workflow],
  }
  await writeFile(file, JSON.stringify(content, null, 2))
  return file
}
