/** Hooks do what Thredd's staff and its CA do by hand: as library calls, and on the admin port. */
import { connect } from 'node:net'
import { decodeJwt } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import errorExamples from '../../fixtures/thredd/error-examples.json' with { type: 'json' }
import { HOOKS, type Pki, performHook, startAdmin, startTwin } from '../../mocks/index.ts'
import { outsideClient } from '../support/outside.ts'
import { type Bench, CLIENT_ID, type Json, makeBench, OTHER, SOFTWARE, sharedPki, URLS } from '../support/twin.ts'

let pki: Pki
beforeAll(async () => {
  pki = await sharedPki()
})

const perform = (bench: Bench, name: string, parameters?: Json) => performHook(bench.twin.state, name, parameters)
const decision = (bench: Bench) => bench.twin.log.at(-1)?.decision

/** Each hook, with a check of its effect. */
const EFFECTS: { readonly [Name in keyof typeof HOOKS]: (bench: Bench) => Promise<void> } = {
  async 'set-metadata'(bench) {
    expect(() => perform(bench, 'set-metadata')).toThrow(`no client "${CLIENT_ID}" is registered`)
    await bench.register()
    expect(decodeJwt(await bench.token())).not.toHaveProperty('pmid')
    perform(bench, 'set-metadata', { pmid: '42' })
    expect(decodeJwt(await bench.token())).toMatchObject({ pmid: '42', pmcode: 'TST', issuerid: '1', internalid: '1' })
  },
  async 'delete-client'(bench) {
    const client = await bench.register()
    perform(bench, 'delete-client')
    const url = String(client.registration_client_uri)
    expect((await bench.send(url, { bearer: String(client.registration_access_token) })).status).toBe(401)
    expect((await bench.askRegistration()).status).toBe(201)
    expect(() => perform(bench, 'delete-client', { client_id: 'nobody' })).toThrow('no client "nobody" is registered')
  },
  async 'grant-role'(bench) {
    perform(bench, 'grant-role', { role: 'eds' })
    expect(await bench.register({ scopes: ['eds.read'] })).toMatchObject({ scopes: ['eds.read'] })
  },
  async 'revoke-role'(bench) {
    perform(bench, 'revoke-role', { role: 'bulk-cards' })
    expect(await bench.register({ scopes: ['cards.read', 'bulkcard.read'] })).toMatchObject({ scopes: ['cards.read'] })
  },
  async lock(bench) {
    perform(bench, 'lock')
    const locked = `application "${SOFTWARE}" is locked; unlock it first`
    expect(() => perform(bench, 'grant-role', { role: 'eds' })).toThrow(locked)
    expect(() => perform(bench, 'revoke-role', { role: 'ws' })).toThrow(locked)
    expect(() => perform(bench, 'lock', { software_id: 'x' })).toThrow('the twin has no application "x"')
  },
  async unlock(bench) {
    perform(bench, 'lock')
    perform(bench, 'unlock')
    perform(bench, 'grant-role', { role: 'eds' })
    expect(bench.twin.state.application(SOFTWARE).roles).toContain('eds')
  },
  async 'generate-statement'(bench) {
    perform(bench, 'generate-statement')
    expect(() => perform(bench, 'grant-role', { role: 'eds' })).toThrow(`application "${SOFTWARE}" is locked`)
  },
  async 'list-certificate'(bench) {
    const { certificate } = pki.identities.renewed
    perform(bench, 'list-certificate', { use: 'tls', certificate })
    perform(bench, 'list-certificate', { use: 'sig', certificate, kid: 'another' })
    const listed = async (name: string) => {
      const answer = await bench.send(`${URLS.keystore}/${name}.jwks`, { as: 'none' })
      return ((await answer.json()) as { keys: Json[] }).keys.map(({ kid }) => kid)
    }
    expect(await listed('transport')).toHaveLength(2)
    expect(await listed('application')).toEqual([pki.signingKid, 'another'])
  },
  async 'expire-certificates'(bench) {
    await bench.register()
    perform(bench, 'expire-certificates', { use: 'sig' })
    expect((await bench.askToken()).status).toBe(401)
    expect(decision(bench)).toBe('refused: the key id is not in the keystore of the client')
    const inactive = await bench.send(`${URLS.keystore}/inactive/application.jwks`, { as: 'none' })
    expect(((await inactive.json()) as { keys: Json[] }).keys).toHaveLength(1)
    expect((await bench.askDirectoryToken()).status).toBe(200)
    perform(bench, 'expire-certificates', { use: 'tls' })
    expect((await bench.askDirectoryToken()).type).toBe('error')
    expect(decision(bench)).toBe('certificate refused: the certificate has expired')
    expect((await bench.askDirectoryToken({}, {}, 'other')).status).toBe(200)
  },
  async 'expire-statements'(bench) {
    const software_statement = await bench.statement()
    const foreign = await bench.statement('other')
    perform(bench, 'expire-statements')
    const refused = await bench.askRegistration({ software_statement })
    expect(await refused.json()).toEqual(errorExamples.as_register_post[1]?.body)
    expect(decision(bench)).toBe('refused: the software statement has expired')
    expect((await bench.askRegistration()).status).toBe(201)
    expect((await bench.askRegistration({ software_statement: foreign }, {}, 'other')).status).toBe(201)
  },
  async 'set-application-status'(bench) {
    perform(bench, 'set-application-status', { status: 'Inactive' })
    const refused = await bench.askRegistration()
    expect(await refused.json()).toMatchObject({ error: 'unapproved_software_statement' })
    perform(bench, 'set-application-status', { status: 'Active' })
    expect((await bench.askRegistration()).status).toBe(201)
  },
  async 'set-organisation-status'(bench) {
    perform(bench, 'set-organisation-status', { organisation_id: OTHER.organisation, status: 'Inactive' })
    expect((await bench.askRegistration()).status).toBe(201)
    expect((await bench.askRegistration({}, {}, 'other')).status).toBe(400)
    expect(() => perform(bench, 'set-organisation-status', { organisation_id: 'x', status: 'Active' })).toThrow(
      'the twin has no organisation "x"',
    )
  },
  async 'advance-clock'(bench) {
    await bench.register()
    const bearer = await bench.token()
    const earliest = bench.twin.state.now().getTime() + 601_000
    const { now } = perform(bench, 'advance-clock', { seconds: 601 }) as { now: string }
    expect(Date.parse(now)).toBeGreaterThanOrEqual(earliest)
    expect(Date.parse(now)).toBeLessThanOrEqual(bench.twin.state.now().getTime())
    expect((await bench.send(URLS.cards, { bearer })).status).toBe(401)
    expect(() => perform(bench, 'advance-clock', { seconds: -1 })).toThrow(
      '"seconds" must be a whole number from 0 to 3155760000; found "-1"',
    )
  },
  async 'issue-initial-access-token'(bench) {
    expect(perform(bench, 'issue-initial-access-token')).toEqual({
      initial_access_token: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect([...bench.twin.state.initialAccessTokens.values()]).toEqual([0])
  },
}

test.each(Object.entries(EFFECTS))('hook %s does what it says', async (_, check) => {
  await check(makeBench(pki))
})

test('an error names what is wrong with the call of a hook', () => {
  const bench = makeBench(pki)
  const wrong = (name: string, parameters?: Json) => () => perform(bench, name, parameters)

  expect(Object.keys(EFFECTS)).toEqual(Object.keys(HOOKS))
  expect(wrong('explode')).toThrow('unknown hook "explode"; known are set-metadata, delete-client,')
  expect(wrong('toString')).toThrow('unknown hook "toString"')
  expect(wrong('lock', { softwareId: 'x' })).toThrow('hook "lock" has no parameter "softwareId"')
  expect(wrong('lock', { toString: 'x' })).toThrow('hook "lock" has no parameter "toString"')
  expect(wrong('grant-role')).toThrow('hook "grant-role" needs "role": role')
  expect(wrong('grant-role', { role: ['eds'] })).toThrow('hook "grant-role": "role" must be a text or a number')
  expect(wrong('expire-certificates', { use: 'both' })).toThrow(
    'hook "expire-certificates": "use" must be tls or sig; found "both"',
  )
})

test('the admin port is open only on request, on this machine, and only with the token', async () => {
  await using running = await startTwin({ pki })
  await using admin = await startAdmin(running.twin)
  const send = (method: string, path: string, body?: string, token: string | undefined = admin.token) =>
    fetch(`${admin.origin}${path}`, {
      method,
      headers: token === '' ? {} : { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body }),
    })
  const told = async (answer: Promise<Response>) => {
    const response = await answer
    return { status: response.status, body: (await response.json()) as unknown }
  }
  const stranger = { status: 401, body: { error: 'the bearer token is missing or wrong' } }

  expect(admin.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(admin.token).toMatch(/^[\w-]{43}$/)
  expect(await told(send('GET', '/hooks', undefined, ''))).toEqual(stranger)
  expect(await told(send('POST', '/hooks/lock', '{}', 'wrong'))).toEqual(stranger)
  expect(running.twin.state.application(SOFTWARE).locked).toBe(false)
  expect(await told(send('GET', '/hooks'))).toEqual({ status: 200, body: HOOKS })
  expect(await told(send('POST', '/hooks/lock'))).toEqual({ status: 200, body: {} })
  expect(await told(send('POST', '/hooks/grant-role', '{"role": "eds"}'))).toEqual({
    status: 400,
    body: { error: `application "${SOFTWARE}" is locked; unlock it first` },
  })
  for (const body of ['{', '[]', 'null', '"x"']) expect((await send('POST', '/hooks/unlock', body)).status).toBe(400)
  expect((await send('POST', '/hooks/unlock', `{"software_id": "${'x'.repeat(70_000)}"}`)).status).toBe(400)
  expect((await send('POST', '/hooks/..%2flog')).status).toBe(404)
  const state = await told(send('GET', '/state'))
  expect(state).toMatchObject({
    status: 200,
    body: { clients: [], applications: [{ locked: true }, { locked: false }] },
  })
  expect(await told(send('GET', '/log'))).toEqual({ status: 200, body: [] })

  const ask = outsideClient(pki, running.port)
  const discovery = `${URLS.directory}/.well-known/openid-configuration`
  const fault = await told(send('POST', '/faults', '{"fault": "unavailable:directoryDiscovery=502"}'))
  expect(fault).toEqual({ status: 200, body: { faults: ['instead of directoryDiscovery: unavailable 502'] } })
  expect((await ask(discovery, { as: 'none' })).status).toBe(502)
  expect((await send('POST', '/faults', '{"fault": "nothing"}')).status).toBe(400)
  expect(await told(send('DELETE', '/faults'))).toEqual({ status: 200, body: {} })
  expect((await ask(discovery, { as: 'none' })).status).toBe(200)
})

test('a web page under another host name cannot use the admin port', async () => {
  await using admin = await startAdmin(makeBench(pki).twin)
  const socket = connect(Number(new URL(admin.origin).port), '127.0.0.1')
  const authorization = `Bearer ${admin.token}`
  socket.write(
    `GET /state HTTP/1.1\r\nhost: evil.example\r\nauthorization: ${authorization}\r\nconnection: close\r\n\r\n`,
  )
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk

  expect(text).toMatch(/^HTTP\/1\.1 403 /)
})
