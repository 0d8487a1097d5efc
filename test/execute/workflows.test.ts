/** The documented workflows beyond their happy path: other settings, other servers, other orders, and what may go wrong. */
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import { changeStatus, type Fault, performHook } from '../../mocks/index.ts'
import { exitCodeOf } from '../../src/record/index.ts'
import { course, notPassed, runOnTwin, setStage, type TwinRun } from '../support/run.ts'

const CLIENT = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
const operations = (ran: TwinRun) => ran.traffic.map(({ operation }) => operation)
/** What the flow itself called, after what made it possible. */
const own = (ran: TwinRun) => {
  const before = ran.record.given?.flatMap(({ setUp = [] }) => setUp).flatMap(({ steps }) => steps) ?? []
  return operations(ran).slice(before.flatMap(({ exchanges }) => exchanges).length)
}

test.for(
  ['add-scope-with-put', 'add-role-then-put'].flatMap((flow) =>
    (['acp', 'rfc'] as const).map((body) => [flow, body] as const),
  ),
)('flow %s holds with UPDATE_BODY=%s, and tells the scopes before and after', async ([flow, body]) => {
  await using ran = await runOnTwin({ flows: [flow], settings: { UPDATE_BODY: body } })

  expect(ran.record.workflows.flatMap(({ steps }) => steps).flatMap(notPassed)).toEqual([])
  expect(ran.record.verdict).toBe('conformant')
  const { scopes_before, scopes } = (ran.record.workflows[0]?.outputs ?? {}) as Record<string, string[]>
  const added = flow === 'add-scope-with-put' ? ['ws'] : ['eds.read', 'eds.write']
  expect(scopes?.filter((scope) => !scopes_before?.includes(scope))).toEqual(added)
  expect(scopes_before?.filter((scope) => !scopes?.includes(scope))).toEqual([])
})

test('a statement that reading has locked is unlocked before the role is granted; without that the role cannot be', async () => {
  await using unlocked = await runOnTwin({ flows: ['add-role-then-put'], switches: { lockOnSsaRead: true } })
  await using locked = await runOnTwin({
    flows: ['register-with-role'],
    faults: [
      {
        name: 'locked',
        what: 'the application is locked',
        handlers: (twin) => {
          performHook(twin.state, 'lock')
          return []
        },
      },
    ],
  })

  expect(unlocked.record.verdict).toBe('conformant')
  expect(locked.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
  expect(locked.record.given?.[0]?.problem).toBe(
    'application "b9f04639-cdeb-425b-a310-450d3d293fd4" is locked; unlock it first',
  )
})

test('a scope beyond the role is told whether it was dropped or refused, proven by the same request without it, and undone', async () => {
  await using dropped = await runOnTwin({ flows: ['scope-beyond-role'], switches: { scopeMode: 'filter' } })
  await using refused = await runOnTwin({ flows: ['scope-beyond-role'], switches: { scopeMode: 'strict' } })

  expect(dropped.record.workflows[0]?.outputs).toEqual({
    answer_to_the_request: 201,
    scopes: ['bulkcard.read', 'bulkcard.write'],
  })
  expect(refused.record.workflows[0]?.outputs).toEqual({
    answer_to_the_request: 400,
    scopes: ['bulkcard.read', 'bulkcard.write'],
  })
  expect(dropped.screen).toContain('registered otherwise scopes: asked for 3, got 2, without cards.write')
  expect(course(dropped.record)).toContain('refused-for-that-scope skipped: the path taken did not lead here')
  expect(course(refused.record)).toContain('refused-for-that-scope passed')
  for (const ran of [dropped, refused]) {
    expect(ran.record.verdict).toBe('conformant')
    expect(ran.twin.state.clients.size).toBe(0)
  }
})

test('a server that registers the scope beyond the role fails the flow, and the client is deleted all the same', async () => {
  await using ran = await runOnTwin({ flows: ['scope-beyond-role'], switches: { unrequestedScopes: 'cards.write' } })

  expect(ran.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1 })
  expect(course(ran.record)).toContain('ask-for-more failed')
  expect(ran.twin.state.clients.size).toBe(0)
})

test('a refusal for another reason than the scope proves nothing and fails', async () => {
  await using first = await runOnTwin()
  await using ran = await runOnTwin({ flows: ['scope-beyond-role'], twin: first.twin })

  expect(ran.record.verdict).toBe('non-conformant')
  expect(course(ran.record)).toContain('refused-for-that-scope failed')
  // The client that was there before is nobody's to delete.
  expect(ran.twin.state.clients.has(CLIENT)).toBe(true)
})

const directory: readonly (readonly [string, Fault])[] = [
  ['the directory token', changeStatus('directoryToken', 503)],
  ['the software statement', changeStatus('getSoftwareStatementAssertion', 503)],
]

/** For the calls of the flow alone, not for those that made it possible. */
function afterSetUp(fault: Fault): Fault {
  return {
    ...fault,
    handlers: (twin) => {
      const handlers = fault.handlers(twin)
      return [
        http.all(
          ({ request }) =>
            twin.operationOf(request) !== undefined &&
            twin.state.clients.has(CLIENT) &&
            twin.log.some(({ url }) => url.endsWith('/api/v1/products')),
          async ({ request }) => {
            for (const handler of handlers) {
              const result = await handler.run({ request, requestId: '' })
              if (result?.response) return result.response
            }
            return await twin.pass(request)
          },
        ),
      ]
    },
  }
}

test.for(directory)('where %s fails, delete-and-recreate leaves the client as it was', async ([, fault]) => {
  await using ran = await runOnTwin({ flows: ['delete-and-recreate'], faults: [afterSetUp(fault)] })

  expect(ran.record.exitCode).toBe(3)
  expect(own(ran)).not.toContain('deleteClient')
  expect(ran.twin.state.clients.has(CLIENT)).toBe(true)
})

test('in the order of the page the same failure comes after the DELETE', async () => {
  await using safe = await runOnTwin({ flows: ['delete-and-recreate'] })
  await using literal = await runOnTwin({ flows: ['delete-and-recreate-as-documented'] })

  expect(own(safe).slice(0, 4)).toEqual([
    'directoryToken',
    'getSoftwareStatementAssertion',
    'deleteClient',
    'registerClient',
  ])
  expect(own(literal).slice(0, 4)).toEqual([
    'directoryToken',
    'deleteClient',
    'getSoftwareStatementAssertion',
    'registerClient',
  ])
})

test('a client that Thredd has not deleted yet is not registered over', async () => {
  await using first = await runOnTwin()
  await using ran = await runOnTwin({ flows: ['recreate-after-thredd-deletes'], unaided: true, twin: first.twin })

  expect(course(ran.record)[0]).toBe('client-is-gone failed')
  // The keystore is asked before anything else: a client of which it lacks the key would be of no use.
  expect(operations(ran)).toEqual(['applicationJwks', 'token'])
  expect(ran.screen).toContain(
    'before this run recreate-after-thredd-deletes: Thredd has confirmed that it deleted the OAuth client',
  )
})

test('what one process has stored another uses, also where each read brings a new token', async () => {
  const switches = { rotateOnRead: true }
  await using first = await runOnTwin({ switches, unaided: true })
  const { twin, folder } = first
  await using second = await runOnTwin({ flows: ['store-and-reuse'], unaided: true, twin, folder })
  await using third = await runOnTwin({ flows: ['delete-registration'], unaided: true, twin, folder })

  expect([second, third].map(({ record }) => record.verdict)).toEqual(['conformant', 'conformant'])
  expect(twin.state.clients.size).toBe(0)
})

test('a registration access token that is bound to its certificate is found when the certificate is rotated', async () => {
  await using ran = await runOnTwin({
    flows: ['rotate-transport-certificate'],
    switches: { certBoundRegistrationToken: true },
  })

  expect(course(ran.record).slice(-2)).toEqual(['token-of-the-other-certificate passed', 'renewed-management failed'])
})

test('a signing key that is the only one listed is a warning: services that have not switched would fail', async () => {
  const alone: Fault = {
    name: 'alone',
    what: 'the keystore lists the new key alone',
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === 'applicationJwks',
        async ({ request }) => {
          const { keys } = (await (await twin.pass(request)).json()) as { keys: object[] }
          return HttpResponse.json({ keys: keys.slice(1) })
        },
      ),
    ],
  }
  await using ran = await runOnTwin({ flows: ['rotate-signing-key'], faults: [alone] })

  expect(ran.record.exitCode).toBe(0)
  expect(ran.record.workflows[0]?.steps.flatMap(notPassed)).toMatchObject([{ id: 'criterion 3', status: 'warn' }])
})

test('metadata that Thredd sets later is waited for, with a new token for each look', async () => {
  const waits: number[] = []
  const stage = await setStage('wait-for-metadata', {
    switches: { metadataSet: 'when-asked', requirePmMetadata: true },
    wait: (twin, milliseconds) => {
      waits.push(milliseconds)
      if (waits.length === 3) performHook(twin.state, 'set-metadata')
    },
  })
  const withdrawn: Fault = {
    name: 'metadata missing',
    what: 'Thredd has not set the metadata yet',
    handlers: (twin) => {
      twin.state.setMetadata(CLIENT, undefined)
      const client = twin.state.clients.get(CLIENT)
      if (client !== undefined) client.metadata = undefined
      return []
    },
  }

  const { workflows, traffic } = await stage.play(withdrawn)

  expect(workflows.map(({ status }) => status)).toEqual(['passed'])
  expect(waits).toEqual([60_000, 60_000, 60_000])
  expect(traffic.filter(({ operation }) => operation === 'token')).toHaveLength(4)
  expect(traffic.filter(({ operation }) => operation === 'cardsSmoke').map(({ status }) => status)).toEqual([
    403, 403, 403, 200,
  ])
})

test('waiting heeds Retry-After, ends after two hours, and does not wait for anything but a missing permission', async () => {
  const waits: number[] = []
  const stage = await setStage('wait-for-metadata', { wait: (_, milliseconds) => void waits.push(milliseconds) })
  const refusing = (status: number, headers: Record<string, string> = {}): Fault => ({
    name: `refusing ${status}`,
    what: `the Cards API answers ${status}`,
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === 'cardsSmoke',
        () => new HttpResponse(null, { status, headers }),
      ),
    ],
  })

  const { workflows } = await stage.play(refusing(403, { 'retry-after': '7' }))
  expect(workflows.map(exitCodeOf)).toEqual([4])
  expect(new Set(waits)).toEqual(new Set([7000]))
  expect(waits).toHaveLength(120)
  waits.length = 0
  expect((await stage.play(refusing(401))).workflows.map(({ status }) => status)).toEqual(['failed'])
  expect(waits).toEqual([])
})

test('registering and waiting is one run', async () => {
  await using ran = await runOnTwin({ flows: ['register', 'wait-for-metadata'] })

  expect(ran.record.workflows.map(({ workflowId, status }) => `${workflowId} ${status}`)).toEqual([
    'register passed',
    'wait-for-metadata passed',
  ])
  expect(operations(ran).filter((operation) => operation === 'registerClient')).toHaveLength(1)
})
