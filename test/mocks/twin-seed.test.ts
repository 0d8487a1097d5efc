/** Applications beside the two documented ones: from a file, in the library, and after a restart. */
import { X509Certificate } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { ensurePki, HOSTS, type Pki, readSeed, startTwin } from '../../mocks/index.ts'
import { outsideAssertion, outsideClient } from '../support/outside.ts'
import { CLIENT_ID, type Json, ORGANISATION, sharedPki, URLS } from '../support/twin.ts'

const PAYMENTS = { org_id: '6f1f3b3e-0000-4000-8000-000000000001', software_id: '6f1f3b3e-0000-4000-8000-000000000002' }
const LOYALTY = { org_id: ORGANISATION, software_id: '6f1f3b3e-0000-4000-8000-000000000003' }
const SEED = readSeed(
  JSON.stringify({
    applications: [
      {
        name: 'payments',
        ...PAYMENTS,
        client_id: PAYMENTS.software_id,
        roles: ['eds'],
        redirect_uris: ['https://p.test'],
      },
      { name: 'loyalty', ...LOYALTY },
    ],
    roles: { eds: ['eds.read', 'openid'], auditor: ['cards.read'] },
  }),
)

let folder: string
let pki: Pki
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-seed-'))
  pki = await ensurePki(join(folder, 'pki'), { hosts: HOSTS, applications: SEED.applications })
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

/** The documented calls as one of the seeded applications makes them. */
function clientOf(name: 'payments' | 'loyalty', port: number) {
  const seeded = SEED.applications.find((one) => one.name === name)
  const held = pki.applications[name]
  if (seeded === undefined || held === undefined) throw new Error(`no application "${name}"`)
  const { client_id, org_id, software_id } = seeded.claims
  const ask = outsideClient({ ...pki, identities: { ...pki.identities, transport: held.transport } }, port)
  const read = async (...asked: Parameters<typeof ask>) => JSON.parse((await ask(...asked)).text) as Json
  return {
    ask,
    async statement(owner = { org_id, software_id }) {
      const form = { grant_type: 'client_credentials', client_id }
      const bearer = String((await read(`${URLS.directoryMtls}/token`, { form })).access_token)
      const path = `/organisations/${owner.org_id}/softwarestatements/${owner.software_id}/assertion`
      return await ask(`${URLS.directoryApi}${path}`, { bearer })
    },
    register: async (software_statement: string, scopes: readonly string[]) =>
      await read(`${URLS.old}/oauth2/register`, { json: { ...documentedRequest, software_statement, scopes } }),
    async token() {
      const { signing, signingKid } = held
      const assertion = await outsideAssertion(
        { ...pki, signingKid, identities: { ...pki.identities, signing } },
        URLS.old,
        client_id,
      )
      const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
      const form = { grant_type: 'client_credentials', client_assertion_type, client_assertion: assertion }
      return await read(`${URLS.old}/oauth2/token`, { form })
    },
  }
}

test('a seeded application has certificates, keys and a statement of its own, and registers beside the others', async () => {
  await using running = await startTwin({ pki, seed: SEED })
  const payments = clientOf('payments', running.port)
  const loyalty = clientOf('loyalty', running.port)

  const statement = (await payments.statement()).text
  expect(decodeJwt(statement)).toMatchObject({
    ...PAYMENTS,
    client_id: PAYMENTS.software_id,
    client_name: 'payments',
    redirect_uris: ['https://p.test'],
    jwks_uri: `https://keystore.directory.sandbox.threddid.com/${PAYMENTS.org_id}/${PAYMENTS.software_id}/application.jwks`,
  })
  expect(await payments.register(statement, ['eds.read', 'eds.write', 'openid', 'cards.read'])).toMatchObject({
    client_id: PAYMENTS.software_id,
    registration_client_uri: `${URLS.custom}/oauth2/register/${PAYMENTS.software_id}`,
    scopes: ['eds.read', 'openid'],
  })
  const clientId = CLIENT_ID.replace(/[^/]+$/, LOYALTY.software_id)
  expect(await loyalty.register((await loyalty.statement()).text, ['cards.read'])).toMatchObject({
    client_id: clientId,
    scopes: ['cards.read'],
  })
  expect(await payments.token()).toMatchObject({ scope: 'eds.read openid' })
  const { access_token } = await loyalty.token()
  expect(decodeJwt(String(access_token)).sub).toBe(clientId)
  expect((await loyalty.ask(URLS.cards, { bearer: String(access_token) })).status).toBe(200)
  expect((await payments.ask(URLS.cards, { bearer: String(access_token) })).status).toBe(401)
  // A token reads the statements of its own organisation only.
  expect((await loyalty.statement({ org_id: ORGANISATION, software_id: CLIENT_ID.slice(-36) })).status).toBe(200)
  expect((await payments.statement(LOYALTY)).status).toBe(403)
  const keys = await payments.ask(`https://keystore.directory.sandbox.threddid.com/${ORGANISATION}/transport.jwks`)
  expect((JSON.parse(keys.text) as { keys: Json[] }).keys).toHaveLength(2)
})

test('after a restart a seeded application keeps its state, and a new one is added', async () => {
  const stateFile = join(folder, 'state.json')
  const [payments, loyalty] = SEED.applications
  if (payments === undefined || loyalty === undefined) throw new Error('the seed is empty')
  const first = await startTwin({ pki, stateFile, seed: { ...SEED, applications: [payments] } })
  first.twin.state.grantRole(PAYMENTS.software_id, 'ws')
  await first.close()

  await using second = await startTwin({ pki, stateFile, seed: SEED })

  expect([...second.twin.state.application(PAYMENTS.software_id).roles]).toEqual(['eds', 'ws'])
  expect(second.twin.state.application(PAYMENTS.software_id).certificates).toHaveLength(2)
  expect((await clientOf('loyalty', second.port).statement()).status).toBe(200)
})

test('a new application keeps the certificates of the others, and a kept state works with new certificates', async () => {
  await expect(startTwin({ pki: await sharedPki(), seed: SEED })).rejects.toThrow(
    'the PKI has no certificates for application "payments"',
  )
  const ours = pki
  onTestFinished(() => {
    pki = ours
  })
  await cp(ours.folder, join(folder, 'kept'), { recursive: true })
  pki = await ensurePki(join(folder, 'kept'), { applications: SEED.applications })
  const stateFile = join(folder, 'kept.json')
  const old = await startTwin({ pki, stateFile, seed: SEED })
  const before = clientOf('loyalty', old.port)
  await before.register((await before.statement()).text, ['cards.read'])
  await old.close()
  const further = { name: 'further', claims: { ...PAYMENTS, software_id: '6f1f3b3e-0000-4000-8000-000000000004' } }
  // The name alone does not make it the same application.
  const moved = { name: 'payments', claims: { ...PAYMENTS, org_id: ORGANISATION } }
  const first = pki.ca

  expect(await ensurePki(pki.folder, { applications: SEED.applications })).toEqual(pki)
  pki = await ensurePki(pki.folder, { applications: [further, moved] })

  expect(pki.ca).not.toBe(first)
  expect(Object.keys(pki.applications).sort()).toEqual(['further', 'loyalty', 'payments'])
  const { subject } = new X509Certificate(pki.applications.payments?.transport.certificate ?? '')
  expect(subject).toBe(`C=GB\nO=thredd\nOU=${ORGANISATION}\nCN=${PAYMENTS.software_id}`)
  await using running = await startTwin({ pki, stateFile, seed: SEED })
  expect(await clientOf('loyalty', running.port).token()).toMatchObject({ scope: 'cards.read' })
})

test('an error names what is wrong with a seed, and where', () => {
  const good = { name: 'a', ...PAYMENTS }
  const wrong =
    (...applications: unknown[]) =>
    () =>
      readSeed(JSON.stringify({ applications }))

  expect(readSeed('{}')).toEqual({ applications: [], roles: {} })
  expect(() => readSeed('null')).toThrow('the seed must be a JSON object')
  expect(() => readSeed('{"clients": []}')).toThrow('the seed has no member "clients"')
  expect(() => readSeed('{"applications": {}}')).toThrow('"applications" of the seed must be a list')
  expect(() => readSeed('{"roles": []}')).toThrow('"roles" of the seed must be an object')
  expect(() => readSeed('{"roles": {"eds": "eds.read"}}')).toThrow('roles.eds of the seed must be a list of scopes')
  expect(wrong(1)).toThrow('applications[0] of the seed is not a JSON object')
  for (const name of ['../a', 'A', '', 'twin', 7]) {
    expect(wrong({ ...good, name })).toThrow('applications[0].name of the seed must be of lower-case letters')
  }
  expect(wrong({ ...good, org_id: '1' })).toThrow('applications[0].org_id of the seed must be a UUID')
  expect(wrong(good, { ...good, name: 'b', software_id: 'x' })).toThrow('applications[1].software_id of the seed')
  expect(wrong({ ...good, roles: 'eds' })).toThrow('applications[0].roles of the seed must be a list of roles')
  expect(wrong({ ...good, redirect_uris: 'x' })).toThrow('applications[0].redirect_uris of the seed must be a list')
  for (const key of ['iat', 'jwks_uri', 'status', 'colour', '__proto__x']) {
    expect(wrong({ ...good, [key]: 'x' })).toThrow(`applications[0].${key} of the seed cannot be set`)
  }
  expect(wrong(good, { ...LOYALTY, name: 'a' })).toThrow('the seed has name "a" more than once')
  expect(wrong(good, { ...good, name: 'b' })).toThrow(
    `the seed has software_id "${PAYMENTS.software_id}" more than once`,
  )
  expect(wrong({ ...good, client_id: CLIENT_ID })).toThrow(`the seed has client_id "${CLIENT_ID}" more than once`)
})
