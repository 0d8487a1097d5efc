/** What a workflow is given before it begins: made on the embedded twin, demanded elsewhere, and told either way. */
import { expect, test } from 'vitest'
import { changeField, changeStatus } from '../../mocks/index.ts'
import { ToolError } from '../../src/record/errors.ts'
import { askKeystore } from '../../src/run/keystore.ts'
import { attemptOnTwin, course, ROOT, runOnTwin } from '../support/run.ts'

test('on the embedded twin a registration is made first, told in one line and recorded beside the verdict', async () => {
  await using ran = await runOnTwin({ flows: ['read-registration'] })

  expect(ran.record.verdict).toBe('conformant')
  expect(ran.record.workflows.map(({ workflowId }) => workflowId)).toEqual(['read-registration'])
  expect(ran.record.given).toMatchObject([
    { workflowId: 'register', name: 'statement_generated', how: 'made on the twin' },
    {
      workflowId: 'read-registration',
      name: 'registration',
      means: 'a registration of this application is in the vault',
      how: 'made on the twin',
      setUp: [{ workflowId: 'register', status: 'passed' }],
    },
  ])
  expect(ran.screen).toContain(
    '  given  a registration of this application is in the vault: made on the twin by flow "register", 10 steps\n',
  )
  expect(ran.screen).not.toContain('✓ register')
})

test('where it cannot be made, the workflow is skipped with the reason, the run has no verdict, and the steps are shown', async () => {
  await using ran = await runOnTwin({ flows: ['read-registration'], faults: [changeStatus('registerClient', 418)] })

  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
  expect(course(ran.record)).toEqual([
    'read skipped: it could not be made so on the twin that a registration of this application is in the vault: workflow "register" failed',
  ])
  expect(ran.screen).toContain('✗ register')
})

test('a server that is not the embedded twin is asked nothing without a registration in the vault', async () => {
  const attempt = await attemptOnTwin({ flows: ['read-registration'], unaided: true })

  expect(attempt.traffic).toEqual([])
  const { problems } = (attempt as { error: ToolError }).error
  expect(problems.map(({ code, message }) => `${code}: ${message}`)).toEqual([
    'PRECONDITION: workflow "read-registration" is waiting for a registration of this application: the vault of "mock" holds none; nothing was sent',
  ])
  expect((attempt as { error: ToolError }).error.exitCode).toBe(3)
  expect(problems[0]?.hint).toContain('thredd run register')
})

test('there the registration of an earlier run is used', async () => {
  await using first = await runOnTwin({ unaided: true })
  const { folder, twin } = first
  await using second = await runOnTwin({ flows: ['read-registration'], unaided: true, folder, twin })

  expect(second.record.verdict).toBe('conformant')
  expect(second.record.given?.map(({ how }) => how)).toEqual(['in the vault'])
})

test('there a flow named before it may register; where that fails, the other is skipped', async () => {
  const flows = ['register', 'read-registration']
  await using good = await runOnTwin({ flows, unaided: true })
  await using bad = await runOnTwin({
    flows,
    unaided: true,
    faults: [changeField('authorizationDiscovery', '/issuer', 'https://elsewhere.example')],
  })

  expect(good.record.workflows.map(({ status }) => status)).toEqual(['passed', 'passed'])
  expect(bad.record.workflows.map(({ status }) => status)).toEqual(['failed', 'skipped'])
})

test('flows that are named together share the twin: what one has registered the next is given', async () => {
  await using ran = await runOnTwin({ flows: ['register', 'read-registration'] })

  expect(ran.record.verdict).toBe('conformant')
  expect(ran.record.given?.map(({ name, how }) => `${name} ${how}`)).toEqual([
    'statement_generated made on the twin',
    'registration in the vault',
  ])
})

test.each([true, false])(
  'the software statement is generated before it is read, where it must be: %s',
  async (requireGenerate) => {
    await using ran = await runOnTwin({ flows: ['register', 'add-role-then-put'], switches: { requireGenerate } })

    expect(ran.record.exitCode).toBe(0)
    expect(
      ran.traffic.some(({ operation, status }) => operation === 'getSoftwareStatementAssertion' && status >= 400),
    ).toBe(false)
  },
)

test('a problem with an input is said without the one that is given', async () => {
  const attempt = await attemptOnTwin({
    flows: [`${ROOT}/flows/read-registration.arazzo.yaml`],
    inputs: { regitration_client_uri: 'x' },
  })

  expect((attempt as { error: ToolError }).error).toBeInstanceOf(ToolError)
  expect((attempt as { error: ToolError }).error.problems.map(({ message }) => message)).toEqual([
    '--input regitration_client_uri is no input of a selected workflow',
  ])
})

const keysAnswered = (keys: unknown) => changeField('applicationJwks', '/keys', keys)

test.for([
  [
    'under another kid',
    (keys: readonly Jwk[]) => keys.map((key) => ({ ...key, kid: 'another' })),
    'it lists "another"',
  ],
  ['not at all', () => [], 'it lists no key, and not SIGNING_KID'],
  [
    'with another key',
    (keys: readonly Jwk[]) => keys.map((key) => ({ ...key, n: Buffer.alloc(256, 0xab).toString('base64url') })),
    'with another public key than that of SIGNING_KEY_FILE',
  ],
] as const)(
  'a signing key that the keystore lists %s stops the workflow before it registers',
  async ([, change, said]) => {
    await using listed = await runOnTwin({ flows: ['discover'] })
    const answer = listed.traffic.find(({ operation }) => operation === 'applicationJwks')
    const { keys } = JSON.parse(answer?.responseBody ?? '') as { keys: readonly Jwk[] }

    await using ran = await runOnTwin({ unaided: true, faults: [keysAnswered(change(keys))] })

    expect(ran.traffic.map(({ operation }) => operation)).toEqual(['applicationJwks'])
    expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
    expect(ran.screen.match(/waiting for the signing key in the keystore: /g)).toHaveLength(1)
    expect(ran.screen).toContain('waiting for the same')
    expect(ran.screen).toContain(said)
    expect(ran.screen).toContain('thredd run discover reads the keystore')
  },
)

type Jwk = Readonly<Record<string, unknown>>

test('a listed signing key is in the record, and a keystore that cannot be asked stops nothing', async () => {
  await using listed = await runOnTwin({ unaided: true })
  await using silent = await runOnTwin({ unaided: true, faults: [changeStatus('applicationJwks', 503)] })
  await using odd = await runOnTwin({ unaided: true, faults: [keysAnswered('none')] })

  const means = 'the keystore lists the public key of SIGNING_KEY_FILE under SIGNING_KID'
  const base = { workflowId: 'register', name: 'signing_key_listed', means }
  expect(listed.record.given).toContainEqual({ ...base, how: 'in the keystore' })
  expect(silent.record.given).toContainEqual({
    ...base,
    how: 'not checked',
    problem: '"keystore.directory.sandbox.threddid.com" answered 503',
  })
  expect(odd.record.given).toContainEqual({ ...base, how: 'not checked', problem: 'its answer is no JWK set' })
  for (const ran of [listed, silent, odd]) expect(ran.record.verdict).toBe('conformant')
})

test('without a keystore, a key or ids nothing is asked', async () => {
  const question = {
    environment: { servers: new Map(), setting: () => undefined, timeoutMs: 1 },
    ...{
      softwareId: 'a',
      which: 'current' as const,
      survey: { signing: { keys: new Map() }, identities: new Map() },
      userAgent: '',
      signal: new AbortController().signal,
    },
    transport: { send: () => Promise.reject(new Error('sent')), async [Symbol.asyncDispose]() {} },
  }

  expect(await askKeystore(question)).toBeUndefined()
})
