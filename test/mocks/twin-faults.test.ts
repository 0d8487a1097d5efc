/** Every fault of the catalogue turns the check red that it names, over TLS and in-process, and no step before it. */
import { decodeJwt } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { FAULTS, faultsOf, type Pki, type RULES, startTwin } from '../../mocks/index.ts'
import { outsideClient } from '../support/outside.ts'
import { course, type Kind, notPassed, runOnTwin, stepOf } from '../support/run.ts'
import { type Bench, CLIENT_ID, makeBench, sharedPki, URLS } from '../support/twin.ts'

let pki: Pki
beforeAll(async () => {
  pki = await sharedPki()
})

const KINDS: readonly Kind[] = ['tls', 'in-process']

/** Some rules of the servers, the others are broken by `prove:detection`; each with what a client sees of it: without the fault, and with it. */
const BROKEN = {
  'breaks=registration-token-is-checked': [(bench) => managing(bench, 'PUT', 'short'), [401, 200]],
  'breaks=registration-token-is-known': [
    async (bench) => `${await managing(bench, 'GET', 'x'.repeat(40))} ${await managing(bench, 'GET', 'short')}`,
    ['401 401', '200 401'],
  ],
  'breaks=update-removes-metadata': [
    async (bench) => {
      const { registration_client_uri: url, registration_access_token: bearer } = await bench.register()
      bench.twin.state.setMetadata(CLIENT_ID)
      const json = { ...documentedRequest, software_statement: await bench.statement() }
      await bench.send(String(url), { method: 'PUT', bearer: String(bearer), json })
      return decodeJwt(await bench.token()).pmid
    },
    [undefined, '1'],
  ],
  'breaks=statement-is-signed': [
    async (bench) => {
      const statement = await bench.statement()
      return (await bench.askRegistration({ software_statement: `${statement.slice(0, -8)}AAAAAAAA` })).status
    },
    [400, 201],
  ],
  'breaks=one-client-for-an-application': [
    async (bench) => {
      await bench.register()
      return (await bench.askRegistration()).status
    },
    [400, 201],
  ],
} as const satisfies {
  readonly [Text in `breaks=${keyof typeof RULES}`]?: readonly [
    (bench: Bench) => Promise<unknown>,
    readonly [unknown, unknown],
  ]
}

async function managing(bench: Bench, method: string, bearer: string): Promise<number> {
  bench.twin.state.deleteClient(CLIENT_ID)
  const { registration_client_uri: url } = await bench.register()
  const json = method === 'PUT' ? { ...documentedRequest, software_statement: await bench.statement() } : undefined
  return (await bench.send(String(url), { method, bearer, ...(json && { json }) })).status
}

test.for(Object.entries(BROKEN))(
  'fault %s breaks its rule until it is ended',
  async ([name, [see, [kept, broken]]]) => {
    const seenWith = async (fault: string | undefined) => {
      const bench = makeBench(pki)
      const faults = fault === undefined ? [] : faultsOf(fault, bench.twin.operations)
      for (const one of faults) bench.twin.use(...one.handlers(bench.twin))
      return await see(bench)
    }

    expect([await seenWith(undefined), await seenWith(name)]).toEqual([kept, broken])
    const bench = makeBench(pki)
    bench.twin.use(...faultsOf(name, bench.twin.operations).flatMap((fault) => fault.handlers(bench.twin)))
    bench.twin.reset()
    expect(await see(bench)).toEqual(kept)
  },
)

/** Each fault as it is written, the step it affects, and the failed checks or the error of that step. */
const RED: {
  readonly [Name in Exclude<keyof typeof FAULTS, 'breaks'>]: readonly [
    text: string,
    step: string,
    red: readonly string[] | RegExp,
    flow?: string,
  ]
} = {
  handshake: ['handshake:cardsSmoke', 'cards-call', /^(?:TLS_CLIENT_REFUSED|PEER_CLOSED)$/],
  html400: ['html400:token', 'api-token', /^TLS_CLIENT_REFUSED$/],
  slow: ['slow:token=2500', 'api-token', /^TIMEOUT$/],
  cut: ['cut:token', 'api-token', /^PEER_CLOSED$/],
  reset: ['reset:token', 'api-token', /^PEER_CLOSED$/],
  'answer-lost': ['answer-lost:registerClient', 'register', /^PEER_CLOSED$/],
  throttled: ['throttled:token=7', 'api-token', /^THROTTLED$/],
  unavailable: ['unavailable:token=500', 'api-token', /^SERVER_ERROR$/],
  'unavailable-once': ['unavailable-once:token', 'api-token', /^SERVER_ERROR$/],
  status: ['status:registerClient=200', 'register', ['status', 'criterion 1']],
  'content-type': ['content-type:token', 'api-token', ['content-type']],
  'no-header': ['no-header:token', 'api-token', ['criterion 4']],
  huge: ['huge:token=12', 'api-token', /^TOO_LARGE$/],
  malformed: ['malformed:token', 'api-token', ['schema']],
  empty: ['empty:token', 'api-token', ['schema']],
  missing: ['missing:token=/access_token', 'api-token', ['schema /access_token']],
  member: ['member:token=/expires_in=0', 'api-token', ['schema /expires_in', 'criterion 3']],
  sends: ['sends:token=header authorization=Basic eDp5', 'api-token', ['criterion 1']],
  omits: ['omits:cardsSmoke=header authorization', 'cards-call', ['criterion 2']],
  repeats: ['repeats:token=/client_assertion', 'api-token', ['criterion 1'], 'access-token'],
}

const rows = Object.values(RED).flatMap(([text, step, red, flow = 'register']) =>
  KINDS.map((kind) => [text, step, red, kind, flow] as const),
)

test.for(rows)('fault %s turns step %s red: %s, %s', async ([text, stepId, red, kind, flow]) => {
  const faults = faultsOf(text, makeBench(pki).twin.operations)
  // Short only where the timeout is what is tested: a busy machine needs its time for the other calls.
  const settings = { TIMEOUT_MS: text.startsWith('slow') ? '2000' : '20000' }
  await using ran = await runOnTwin({ flows: [flow], faults, kind, settings })

  const steps = course(ran.record)
  const index = steps.findIndex((line) => line.startsWith(`${stepId} `))
  expect(steps.slice(0, index).filter((line) => !line.endsWith(' passed'))).toEqual([])
  const step = stepOf(ran.record, stepId)
  if (red instanceof RegExp) {
    expect(step).toMatchObject({ status: 'errored', checks: [], error: { code: expect.stringMatching(red) } })
    expect(ran.record.exitCode).toBe(3)
  } else {
    expect(notPassed(step).map(({ id }) => id)).toEqual(red)
    expect(ran.record.exitCode).toBe(1)
  }
})

test('every fault of the catalogue has a check that it turns red', () => {
  expect([...Object.keys(RED), 'breaks']).toEqual(Object.keys(FAULTS))
})

test('a fault in place of an operation leaves the state as it is; one that changes the answer does not', async () => {
  const clientsAfter = async (text: string) => {
    const bench = makeBench(pki)
    for (const fault of faultsOf(text, bench.twin.operations)) bench.twin.use(...fault.handlers(bench.twin))
    await bench.askRegistration()
    return bench.twin.state.clients.size
  }

  for (const text of ['reset', 'html400', 'throttled', 'unavailable', 'unavailable-once', 'handshake']) {
    expect([text, await clientsAfter(`${text}:registerClient`)]).toEqual([text, 0])
  }
  for (const text of ['answer-lost', 'status=500', 'malformed', 'content-type', 'empty']) {
    const [name, value] = text.split('=')
    const written = `${name}:registerClient${value === undefined ? '' : `=${value}`}`
    expect([text, await clientsAfter(written)]).toEqual([text, 1])
  }
})

test('faults that answer: a refused certificate, a rate limit, an outage that ends', async () => {
  const bench = makeBench(pki)
  const use = (text: string) => {
    bench.twin.reset()
    for (const fault of faultsOf(text, bench.twin.operations)) bench.twin.use(...fault.handlers(bench.twin))
  }
  const ask = () => bench.askDirectoryToken()

  use('html400:directoryToken')
  const html = await ask()
  expect([html.status, html.headers.get('content-type')]).toEqual([400, 'text/html'])
  expect(await html.text()).toContain('No required SSL certificate was sent')
  use('throttled:directoryToken=30')
  const throttled = await ask()
  expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '30'])
  use('unavailable-once:directoryToken=502')
  expect([(await ask()).status, (await ask()).status]).toEqual([502, 200])
  use('member:directoryToken=/token_type=DPoP')
  expect(await (await ask()).json()).toMatchObject({ token_type: 'DPoP' })
})

test('a fault without an operation affects every one, and a refused handshake all names of one server', async () => {
  await using running = await startTwin({ pki })
  const ask = outsideClient(pki, running.port)
  const form = { grant_type: 'client_credentials', client_id: CLIENT_ID }
  const everywhere = faultsOf('unavailable', running.twin.operations)
  expect(everywhere).toHaveLength(running.twin.operations.size)
  for (const fault of everywhere) running.twin.use(...fault.handlers(running.twin))
  for (const url of [`${URLS.old}/.well-known/jwks.json`, `${URLS.keystore}/application.jwks`, URLS.cards]) {
    expect((await ask(url)).status).toBe(503)
  }
  running.twin.reset()

  for (const fault of faultsOf('handshake:token', running.twin.operations)) {
    running.twin.use(...fault.handlers(running.twin))
  }
  await expect(ask(`${URLS.old}/.well-known/jwks.json`)).rejects.toThrow()
  await expect(ask(`${URLS.custom}/.well-known/jwks.json`, { as: 'none' })).rejects.toThrow()
  expect(running.twin.log.at(-2)?.decision).toMatch(/^handshake refused: /)
  expect((await ask(`${URLS.directoryMtls}/token`, { form })).status).toBe(200)
  running.twin.reset()
  expect((await ask(`${URLS.old}/.well-known/jwks.json`)).status).toBe(200)
})

test('an error names what is wrong with a fault', () => {
  const { operations } = makeBench(pki).twin
  const wrong = (text: string) => () => faultsOf(text, operations)

  expect(wrong('explode')).toThrow('unknown fault "explode"; known are handshake, html400,')
  expect(wrong('constructor')).toThrow('unknown fault "constructor"')
  expect(wrong('cut:nowhere')).toThrow('unknown operation "nowhere"; known are directoryDiscovery,')
  expect(wrong('breaks:token=update-removes-metadata')).toThrow(
    'fault "breaks:token=update-removes-metadata" does not affect token; it affects updateClient',
  )
  expect(wrong('breaks:token=another')).toThrow('the servers have no rule "another"; they have certificate-is-needed,')
  expect(wrong('cut:token=1')).toThrow('fault "cut" takes no value')
  expect(wrong('status:token')).toThrow('fault "status" needs a value: status')
  expect(wrong('slow:token=soon')).toThrow('fault "slow" needs a whole number; found "soon"')
  expect(wrong('unavailable=200')).toThrow('fault "unavailable" needs a status from 500 to 599, not 200')
  expect(wrong('omits:token=url')).toThrow('fault "omits" needs a header or a member of the body')
  expect(wrong('sends:token=url=nowhere')).toThrow('fault "sends" needs a whole URL for url; found "nowhere"')
  expect(wrong('member:token=/a')).toThrow('fault "member" needs a value: /pointer=value; found "/a"')
})
