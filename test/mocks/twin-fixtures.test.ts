/**
 * Every documented request and response goes through the twin: same members, types and order. Only ids, times and tokens
 * differ, and they differ where this file says so.
 */

import { createPublicKey, X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import tokenClaims from '../../fixtures/thredd/access-token-claims.json' with { type: 'json' }
import model from '../../fixtures/thredd/acp-dcr-fields.json' with { type: 'json' }
import edsRequest from '../../fixtures/thredd/dcr-request-eds.json' with { type: 'json' }
import exampleRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import responseOfAugust from '../../fixtures/thredd/dcr-response-2024-08.json' with { type: 'json' }
import responseOfSeptember from '../../fixtures/thredd/dcr-response-2024-09.json' with { type: 'json' }
import directoryToken from '../../fixtures/thredd/directory-token-response.json' with { type: 'json' }
import errors from '../../fixtures/thredd/error-examples.json' with { type: 'json' }
import hosts from '../../fixtures/thredd/hosts.json' with { type: 'json' }
import keystore from '../../fixtures/thredd/keystore-application-jwks.json' with { type: 'json' }
import products from '../../fixtures/thredd/products.json' with { type: 'json' }
import roleScopes from '../../fixtures/thredd/role-scopes.json' with { type: 'json' }
import statementOfAugust from '../../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import statementOfSeptember from '../../fixtures/thredd/ssa-claims-2024-09.json' with { type: 'json' }
import tokenResponse from '../../fixtures/thredd/token-response.json' with { type: 'json' }
import authorizationDiscovery from '../../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import directoryDiscovery from '../../fixtures/thredd/well-known-directory.json' with { type: 'json' }
import { faultsOf, HOSTS, type Pki } from '../../mocks/index.ts'
import { CLIENT_ID, type Json, makeBench, ORGANISATION, OTHER, SOFTWARE, sharedPki, URLS } from '../support/twin.ts'

let pki: Pki
beforeAll(async () => {
  pki = await sharedPki()
})

/** The same value with each leaf as its type; members in their order, so that comparing texts compares order too. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(shapeOf(item))))]
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shapeOf(member)]))
}

function expectSameShape(actual: unknown, documented: unknown): void {
  expect(JSON.stringify(shapeOf(actual), undefined, 1)).toBe(JSON.stringify(shapeOf(documented), undefined, 1))
}

/** Pointers of the leaves that differ. */
function differences(actual: unknown, documented: unknown, at = ''): string[] {
  if (typeof actual === 'object' && actual !== null && typeof documented === 'object' && documented !== null) {
    const names = [...new Set([...Object.keys(actual), ...Object.keys(documented)])]
    return names.flatMap((name) =>
      differences((actual as Json)[name], (documented as Json)[name], `${at}/${name.replaceAll('/', '~1')}`),
    )
  }
  return actual === documented ? [] : [at]
}

/** Members of a registration response that are new for each registration. */
const MADE = [
  '/client_id_issued_at',
  '/client_secret',
  '/created_at',
  '/hashed_secret',
  '/registration_access_token',
  '/software_statement',
  '/updated_at',
]

const ROUND_TRIPS: Readonly<Record<string, () => Promise<void> | void>> = {
  async 'access-token-claims.json'() {
    const bench = makeBench(pki)
    await bench.register({ scopes: responseOfSeptember.scopes }, 'other')
    const token = await bench.token({}, 'other')
    const header = decodeProtectedHeader(token)
    expectSameShape(header, tokenClaims.header)
    expect(differences(header, tokenClaims.header)).toEqual(['/kid'])
    const claims = decodeJwt(token)
    expectSameShape(claims, tokenClaims.payload)
    expect(differences(claims, tokenClaims.payload).sort()).toEqual(['/cnf/x5t#S256', '/exp', '/iat', '/jti', '/nbf'])
  },
  async 'acp-dcr-fields.json'() {
    const client = await makeBench(pki).register()
    const known = { ...model.request, ...model.response_only }
    expect(Object.keys(client).filter((name) => !(name in known))).toEqual([])
    for (const [errorShape, documented] of [
      ['acp', model.RFC6749Error],
      ['generic', model.genericError],
      ['administrative', model.Error],
    ] as const) {
      const refused = await makeBench(pki, { errorShape }).askRegistration({ software_statement: undefined })
      for (const [name, value] of Object.entries((await refused.json()) as Json)) {
        const { type } = (documented as Readonly<Record<string, { type: string }>>)[name] ?? {}
        expect([name, typeof value]).toEqual([name, type === 'integer' ? 'number' : type])
      }
    }
  },
  async 'dcr-request-eds.json'() {
    const bench = makeBench(pki)
    bench.twin.state.grantRole(SOFTWARE, 'eds')
    const answer = await bench.askRegistration({ ...edsRequest, software_statement: await bench.statement() })
    expect(answer.status).toBe(201)
    expect(await answer.json()).toMatchObject({ scopes: edsRequest.scopes, scope: edsRequest.scopes.join(' ') })
  },
  async 'dcr-request-example.json'() {
    const bench = makeBench(pki)
    const answer = await bench.askRegistration({ ...exampleRequest, software_statement: await bench.statement() })
    expect(answer.status).toBe(201)
    expect(await answer.json()).toMatchObject({ scopes: exampleRequest.scopes, response_types: ['token'] })
  },
  async 'dcr-response-2024-08.json'() {
    const bench = makeBench(pki, { unrequestedScopes: 'internal.read internal.write issuer.read issuer.write' })
    const client = await bench.register({ ...exampleRequest, software_statement: await bench.statement() })
    expectSameShape(client, responseOfAugust)
    // The sample lists its scopes in alphabetical order; the four that were not requested come last here.
    const scopes = client.scopes as string[]
    expect([...scopes].sort()).toEqual([...responseOfAugust.scopes].sort())
    expect(client.scope).toBe(scopes.join(' '))
    const different = differences({ ...client, scope: '', scopes: [] }, { ...responseOfAugust, scope: '', scopes: [] })
    expect(different.sort()).toEqual(MADE)
  },
  async 'dcr-response-2024-09.json'() {
    const bench = makeBench(pki, { uriForm: 'encoded', uriHost: 'old' })
    const { scopes, description } = responseOfSeptember
    const client = await bench.register({ scopes, description }, 'other')
    expectSameShape(client, responseOfSeptember)
    expect(differences(client, responseOfSeptember).sort()).toEqual(MADE)
  },
  async 'directory-token-response.json'() {
    const token = await (await makeBench(pki).askDirectoryToken()).json()
    expectSameShape(token, directoryToken)
    expect(differences(token, directoryToken)).toEqual(['/access_token'])
  },
  async 'error-examples.json'() {
    // twin.test.ts provokes each of them with a wrong request; here only that none is left out.
    const bench = makeBench(pki)
    for (const fault of faultsOf('throttled:getSoftwareStatementAssertion', bench.twin.operations)) {
      bench.twin.use(...fault.handlers(bench.twin))
    }
    const throttled = errors.directory_assertion.find(({ case: title }) => title === 'throttled')
    const url = `${URLS.directoryApi}/organisations/${ORGANISATION}/softwarestatements/${SOFTWARE}/assertion`
    expect((await bench.send(url)).status).toBe(throttled?.http)
    const documented = Object.values(errors).flatMap((section) =>
      typeof section === 'string' ? [] : section.map(({ case: title }) => title),
    )
    expect([...SENT, 'throttled'].sort()).toEqual(documented.sort())
  },
  'hosts.json'() {
    const uat = Object.entries(hosts.environments.uat).map(([, { value }]) => new URL(value).hostname)
    // A website, and a name that occurs only as the issuer of tokens: no client calls them.
    const uncalled = ['web.directory.sandbox.threddid.com', 'uat-thredd.eu.authz.cloudentity.io']
    expect([...HOSTS, ...uncalled].sort()).toEqual([...new Set(uat)].sort())
  },
  async 'keystore-application-jwks.json'() {
    const answer = await makeBench(pki).send(`${URLS.keystore}/application.jwks`, { as: 'none' })
    const keys = (await answer.json()) as typeof keystore
    expectSameShape(keys, keystore)
    // The twin's key differs from the sample in everything but its kind, and it can be used.
    const [key] = keys.keys
    expect([key?.kty, key?.use, key?.e]).toEqual([keystore.keys[0]?.kty, keystore.keys[0]?.use, keystore.keys[0]?.e])
    const der = Buffer.from(key?.x5c[0] ?? '', 'base64')
    const published = createPublicKey({ key: { kty: 'RSA', n: key?.n ?? '', e: key?.e ?? '' }, format: 'jwk' })
    expect(new X509Certificate(der).publicKey.equals(published)).toBe(true)
  },
  async 'products.json'() {
    const bench = makeBench(pki)
    await bench.register()
    const answer = await bench.send(URLS.cards, { bearer: await bench.token() })
    expect(await answer.text()).toBe(JSON.stringify(products))
  },
  async 'role-scopes.json'() {
    for (const { role, scopes } of roleScopes.roles_named_in_docs) {
      if (scopes === null) continue
      const bench = makeBench(pki)
      const machineName = role.replace(' ', '-')
      for (const old of ['ws', 'programme-manager', 'bulk-cards']) bench.twin.state.revokeRole(SOFTWARE, old)
      bench.twin.state.grantRole(SOFTWARE, machineName)
      expect(await bench.register({ scopes: [...scopes, 'cards.write'] })).toMatchObject({ scopes })
    }
  },
  async 'ssa-claims-2024-08.json'() {
    const statement = await makeBench(pki).statement()
    expect(decodeProtectedHeader(statement)).toEqual(statementOfAugust.header)
    expectSameShape(decodeJwt(statement), statementOfAugust.payload)
    expect(differences(decodeJwt(statement), statementOfAugust.payload)).toEqual(['/iat'])
  },
  async 'ssa-claims-2024-09.json'() {
    const statement = await makeBench(pki).statement('other')
    expect(decodeProtectedHeader(statement)).toEqual(statementOfSeptember.header)
    expectSameShape(decodeJwt(statement), statementOfSeptember.payload)
    expect(differences(decodeJwt(statement), statementOfSeptember.payload)).toEqual(['/iat'])
  },
  async 'token-response.json'() {
    const bench = makeBench(pki)
    await bench.register({ scopes: responseOfSeptember.scopes }, 'other')
    const token = await (await bench.askToken({}, {}, 'other')).json()
    expectSameShape(token, tokenResponse)
    expect(differences(token, tokenResponse)).toEqual(['/access_token'])
  },
  async 'well-known-authorization-server.json'() {
    const answer = await makeBench(pki).send(`${URLS.old}/.well-known/openid-configuration`)
    expect(await answer.text()).toBe(JSON.stringify(authorizationDiscovery))
  },
  async 'well-known-directory.json'() {
    const answer = await makeBench(pki).send(`${URLS.directory}/.well-known/openid-configuration`, { as: 'none' })
    expect(await answer.text()).toBe(JSON.stringify(directoryDiscovery))
  },
}

/** The documented refusals that twin.test.ts and twin-tls.test.ts provoke, each by its wrong request. */
const SENT = [
  'no or untrusted client certificate, or unknown client_id',
  'grant_type other than client_credentials',
  'grant type of the server that the application may not use',
  'scope other than directory:software',
  'grant_type missing',
  'no client identification',
  'two ways of client authentication',
  'parameter sent twice',
  'body is not a form',
  'malformed identifier',
  'missing, expired or unbound bearer token',
  'token of another organisation',
  'software_statement absent',
  'software_statement signature or issuer wrong',
  'application or organisation not Active',
  "scope not covered by the application's roles (strict mode)",
  'client_id of the software statement already registered',
  'client_id of the software statement in conflict',
  'bad redirect URI',
  'workspace or tenant unknown',
  'no bearer token',
  'wrong, rotated or revoked token',
  'client was deleted',
  'token of another client',
  'PUT body invalid',
  'assertion wrong (signature, kid, aud, exp, replayed jti) or client unknown',
  'scope beyond registration',
  'no client certificate although the client has certificate-bound tokens',
  'validation error',
  'certificate of the request differs from cnf of the token',
  'scope missing from the token',
  'no client certificate, terminated by a reverse proxy',
  'no client certificate, refused in the handshake',
]

test.each(Object.entries(ROUND_TRIPS))('%s goes through the twin', async (_, roundTrip) => {
  await roundTrip()
})

test('no documented payload is left out', () => {
  const files = readdirSync(new URL('../../fixtures/thredd', import.meta.url))

  expect(Object.keys(ROUND_TRIPS)).toEqual(files.filter((name) => name.endsWith('.json')).sort())
  expect([CLIENT_ID, OTHER.clientId]).toEqual([responseOfAugust.client_id, responseOfSeptember.client_id])
})
