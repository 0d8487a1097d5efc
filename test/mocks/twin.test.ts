import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  importPKCS8,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { getResponse, http } from 'msw'
import { beforeAll, expect, test } from 'vitest'
import sampleToken from '../../fixtures/thredd/access-token-claims.json' with { type: 'json' }
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import sampleResponse from '../../fixtures/thredd/dcr-response-2024-08.json' with { type: 'json' }
import errorExamples from '../../fixtures/thredd/error-examples.json' with { type: 'json' }
import sampleKeys from '../../fixtures/thredd/keystore-application-jwks.json' with { type: 'json' }
import products from '../../fixtures/thredd/products.json' with { type: 'json' }
import sampleStatement from '../../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import authorizationDiscovery from '../../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import directoryDiscovery from '../../fixtures/thredd/well-known-directory.json' with { type: 'json' }
import {
  changeContentType,
  changeField,
  changeHeader,
  changeStatus,
  createTwin,
  HOSTS,
  loseAnswer,
  type Pki,
  replaceBody,
  SWITCHES,
  type Switches,
  threddHandlers,
} from '../../mocks/index.ts'
import type { Bench, Json, Sending } from '../support/twin.ts'
import { CLIENT_ID, makeBench, ORGANISATION, OTHER, SOFTWARE, sharedPki, URLS } from '../support/twin.ts'

let pki: Pki
beforeAll(async () => {
  pki = await sharedPki()
})

const ASSERTION_URL = `${URLS.directoryApi}/organisations/${ORGANISATION}/softwarestatements/${SOFTWARE}/assertion`

/** Status and body of a documented error example. */
function example(
  section: Exclude<keyof typeof errorExamples, 'note'>,
  text: string,
): { status: number; body: unknown } {
  const found = (errorExamples[section] as readonly { case: string; http: number | null; body?: unknown }[]).find(
    (entry) => entry.case.includes(text),
  )
  if (found === undefined) throw new Error(`no example "${text}"`)
  return { status: found.http ?? 0, body: found.body ?? null }
}

async function seen(response: Response): Promise<{ status: number; body: unknown }> {
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

function lastDecision(bench: Bench): string | undefined {
  return bench.twin.log.at(-1)?.decision
}

/** A registration, with the token and URL to manage it. */
async function registered(bench: Bench, who: 'ours' | 'other' = 'ours') {
  const client = await bench.register({}, who)
  const as = who === 'ours' ? ('transport' as const) : ('other' as const)
  const url = String(client.registration_client_uri)
  const bearer = String(client.registration_access_token)
  return { client, url, bearer, manage: (sending: Sending = {}) => bench.send(url, { as, bearer, ...sending }) }
}

async function updateBody(bench: Bench, changes: Json = {}): Promise<Json> {
  return { ...documentedRequest, client_id: CLIENT_ID, software_statement: await bench.statement(), ...changes }
}

test('both discovery documents are the documented ones, member for member', async () => {
  const bench = makeBench(pki)

  const directory = await bench.send(`${URLS.directory}/.well-known/openid-configuration`, { as: 'none' })
  const authorization = await bench.send(`${URLS.old}/.well-known/openid-configuration`)

  expect(await directory.text()).toBe(JSON.stringify(directoryDiscovery))
  expect(await authorization.text()).toBe(JSON.stringify(authorizationDiscovery))
})

test('the custom domain serves the discovery document with its own addresses', async () => {
  const answer = await makeBench(pki).send(`${URLS.custom}/.well-known/openid-configuration`)
  const document = (await answer.json()) as typeof authorizationDiscovery

  expect(Object.keys(document)).toEqual(Object.keys(authorizationDiscovery))
  expect(document.issuer).toBe(URLS.custom)
  expect(document.mtls_endpoint_aliases.registration_endpoint).toBe(`${URLS.custom}/oauth2/register`)
})

test('the documented registration runs from certificate to API call, and the log describes each call', async () => {
  const bench = makeBench(pki)

  await bench.register()
  await bench.send(URLS.cards, { bearer: await bench.token() })

  const subject = `C=GB, O=thredd, OU=${ORGANISATION}, CN=${SOFTWARE}`
  const line = (method: string, url: string, status: number, decision: string) => ({
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    method,
    url,
    certificate: subject,
    status,
    decision,
  })
  expect(bench.twin.log).toEqual([
    line('POST', `${URLS.directoryMtls}/token`, 200, `directory token for ${CLIENT_ID}, bound to the certificate`),
    line('GET', ASSERTION_URL, 200, `software statement of ${SOFTWARE}`),
    line('POST', `${URLS.old}/oauth2/register`, 201, `registered ${CLIENT_ID} with 14 scopes, 14 asked`),
    line(
      'POST',
      `${URLS.old}/oauth2/token`,
      200,
      `access token for ${CLIENT_ID} with 14 scopes, bound to the certificate`,
    ),
    line('GET', URLS.cards, 200, `token of ${CLIENT_ID} accepted`),
  ])
})

test('the registration response has the 67 documented members in order, with the types and constants of the sample', async () => {
  const bench = makeBench(pki)
  const statement = await bench.statement()

  const answer = await bench.askRegistration({ software_statement: statement })
  const client = (await answer.json()) as typeof sampleResponse

  expect(answer.status).toBe(201)
  expect(answer.headers.get('content-type')).toBe('application/json')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('pragma')).toBe('no-cache')
  expect(Object.keys(client)).toEqual(Object.keys(sampleResponse))
  expect(Object.keys(client)).toHaveLength(67)
  const scopes = documentedRequest.scopes
  expect(client).toEqual({
    ...sampleResponse,
    scope: scopes.join(' '),
    scopes,
    software_statement: statement,
    client_id_issued_at: Math.floor(Date.parse(client.created_at) / 1000),
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/),
    updated_at: client.created_at,
    client_secret: expect.stringMatching(/^[\w-]{43}$/),
    hashed_secret: expect.stringMatching(/^[0-9a-f]{256}$/),
    registration_access_token: expect.stringMatching(/^[\w-]{43}\.[\w-]{43}$/),
  })
})

test('a certificate that is missing, foreign, cloned or out of date ends the connection at every mTLS host', async () => {
  const bench = makeBench(pki)
  const outcomes: string[] = []
  for (const as of ['none', 'rogue', 'clone', 'expired', 'not-yet-valid', 'other'] as const) {
    for (const host of HOSTS.filter((name) => bench.twin.demandOf(name) === 'required')) {
      const response = await bench.send(`https://${host}/`, { as })
      if (host === HOSTS[1]) outcomes.push(`${as}: ${response.type} ${lastDecision(bench)}`)
      expect(response.type === 'error').toBe(as !== 'other')
    }
  }

  expect(outcomes).toEqual([
    'none: error certificate refused: no client certificate',
    'rogue: error certificate refused: not signed by the CA',
    'clone: error certificate refused: not signed by the CA',
    'expired: error certificate refused: the certificate has expired',
    'not-yet-valid: error certificate refused: the certificate is not yet valid',
    'other: default nothing is documented there',
  ])
})

test('a certificate in a header is ignored', async () => {
  const pem = encodeURIComponent(pki.identities.transport.certificate)
  const answer = await makeBench(pki).askDirectoryToken({}, { as: 'none', headers: { 'x-ssl-client-cert': pem } })

  expect(answer.type).toBe('error')
})

test('the directory token answer is the documented one', async () => {
  const answer = await makeBench(pki).askDirectoryToken()

  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(await answer.json()).toEqual({
    access_token: expect.stringMatching(/^[\w-]{43}$/),
    expires_in: 600,
    token_type: 'Bearer',
    scope: 'directory:software',
  })
})

test('the directory refuses each wrong token request with the documented body', async () => {
  const bench = makeBench(pki)
  const unauthenticated = example('directory_token', 'untrusted client certificate')
  const jwt = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  const signed = async (changes: Parameters<Bench['assertion']>[1]) => ({
    client_assertion_type: jwt,
    client_assertion: await bench.assertion(URLS.directory, changes),
  })
  const rows: readonly [Json, Sending, ReturnType<typeof example>, string][] = [
    [{}, { as: 'other' }, unauthenticated, 'refused: the certificate belongs to another application'],
    [{ client_id: 'unknown' }, {}, unauthenticated, 'refused: client_id is unknown'],
    [{ client_id: '' }, {}, example('directory_token', 'no client identification'), 'refused: client_id is missing'],
    [{ grant_type: '' }, {}, example('directory_token', 'grant_type missing'), 'refused: grant_type is missing'],
    [
      {},
      { headers: { 'content-type': 'text/plain' } },
      example('directory_token', 'not a form'),
      'refused: the body is not a form',
    ],
    [
      { ...(await signed({})), client_secret: 'x' },
      {},
      example('directory_token', 'two ways'),
      'refused: two ways of client authentication in one request',
    ],
    [
      { grant_type: 'password' },
      {},
      example('directory_token', 'grant_type other'),
      'refused: grant_type is not client_credentials',
    ],
    [
      { grant_type: 'refresh_token' },
      {},
      example('directory_token', 'application may not use'),
      'refused: grant_type is not client_credentials',
    ],
    [{}, { headers: { authorization: 'Basic eDp5' } }, unauthenticated, 'refused: the application has no secret'],
    [
      { client_secret: 'x' },
      { headers: { authorization: 'Basic eDp5' } },
      example('directory_token', 'two ways'),
      'refused: two ways of client authentication in one request',
    ],
    [
      { scope: 'cards.read' },
      {},
      example('directory_token', 'scope other'),
      'refused: a scope other than directory:software',
    ],
    [await signed({ header: { alg: 'RS256' } }), {}, unauthenticated, 'refused: the assertion is signed with "RS256"'],
    [await signed({ claims: { aud: URLS.old } }), {}, unauthenticated, 'refused: aud does not name this server'],
  ]
  for (const [form, sending, expected, decision] of rows) {
    expect(await seen(await bench.askDirectoryToken(form, sending))).toEqual(expected)
    expect(lastDecision(bench)).toBe(decision)
  }

  const repeated = 'grant_type=client_credentials&grant_type=client_credentials'
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await bench.send(`${URLS.directoryMtls}/token`, { body: repeated, headers })
  expect(await seen(answer)).toEqual(example('directory_token', 'sent twice'))
  const scopes = await bench.send(`${URLS.directoryMtls}/token`, { body: 'scope=a&client_id=b&scope=c', headers })
  expect(await scopes.json()).toMatchObject({ error_description: "'scope' parameter must not be provided twice" })
  // The plain token_endpoint of the discovery document cannot see a certificate.
  const plain = await bench.send(`${URLS.directory}/token`, {
    form: { grant_type: 'client_credentials', client_id: CLIENT_ID },
  })
  expect(await seen(plain)).toEqual(unauthenticated)
})

test('the directory takes a PS256 assertion for its issuer or either of its token endpoints', async () => {
  const bench = makeBench(pki)
  const audiences = [URLS.directory, `${URLS.directory}/token`, `${URLS.directoryMtls}/token`]
  const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  for (const audience of audiences) {
    const client_assertion = await bench.assertion(audience)
    const answer = await bench.askDirectoryToken({ client_assertion_type, client_assertion })
    expect(answer.status).toBe(200)
  }
})

test('the software statement has the documented header and claims in order, with a fresh iat and the sender id echoed', async () => {
  const bench = makeBench(pki)
  const bearer = await bench.directoryToken()

  const answer = await bench.send(ASSERTION_URL, { bearer, headers: { 'x-fapi-interaction-id': 'probe-1' } })
  const jwt = await answer.text()

  expect(answer.headers.get('content-type')).toBe('application/jwt')
  expect(answer.headers.get('x-fapi-interaction-id')).toBe('probe-1')
  expect(decodeProtectedHeader(jwt)).toEqual(sampleStatement.header)
  const claims = decodeJwt(jwt)
  expect(Object.keys(claims)).toEqual(Object.keys(sampleStatement.payload))
  expect(claims).toEqual({ ...sampleStatement.payload, iat: expect.any(Number) })
  expect(Math.abs((claims.iat ?? 0) - Date.now() / 1000)).toBeLessThan(60)
  expect(jwt.length).toBeLessThanOrEqual(4000)
  const keys = createRemoteJWKSet(new URL(`${URLS.directory}/jwks`), {
    [customFetch]: (url) => bench.send(String(url), { as: 'none' }),
  })
  await jwtVerify(jwt, keys, { algorithms: ['PS256'] })
})

test('the directory API refuses a token that is missing, unknown, expired, of another certificate or organisation', async () => {
  const bench = makeBench(pki)
  const bearer = await bench.directoryToken()
  const invalid = example('directory_assertion', 'missing, expired')
  const path = (organisation: string, software: string) =>
    `${URLS.directoryApi}/organisations/${organisation}/softwarestatements/${software}/assertion`
  const rows: readonly [string, Sending, { status: number; body: unknown }, string][] = [
    [ASSERTION_URL, {}, invalid, 'refused: no bearer token'],
    [ASSERTION_URL, { bearer: 'x' }, invalid, 'refused: the token is unknown'],
    [ASSERTION_URL, { bearer, as: 'other' }, invalid, 'refused: the token is bound to another certificate'],
    [
      path(OTHER.organisation, OTHER.software),
      { bearer },
      example('directory_assertion', 'token of another organisation'),
      'refused: the token is of another organisation',
    ],
    [
      path(ORGANISATION, 'x'.repeat(41)),
      { bearer },
      { status: 400, body: { errors: ['the identifier is malformed'] } },
      'refused: an identifier is malformed',
    ],
    [
      path(ORGANISATION, OTHER.software),
      { bearer },
      { status: 400, body: { errors: ['the software statement does not exist'] } },
      'refused: the organisation has no such software statement',
    ],
  ]
  for (const [url, sending, expected, decision] of rows) {
    expect(await seen(await bench.send(url, sending))).toEqual(expected)
    expect(lastDecision(bench)).toBe(decision)
  }
  bench.twin.state.advance(600_000)
  expect(await seen(await bench.send(ASSERTION_URL, { bearer }))).toEqual(invalid)
  expect(lastDecision(bench)).toBe('refused: the token has expired')
})

test('the keystore publishes certificates as keys with the documented members in order', async () => {
  const bench = makeBench(pki)
  const get = async (path: string) => await bench.send(`${URLS.keystore}${path}`, { as: 'none' })

  const { keys } = (await (await get('/application.jwks')).json()) as typeof sampleKeys
  const [key] = keys
  const [sample] = sampleKeys.keys
  expect(keys).toHaveLength(1)
  expect(Object.keys(key ?? {})).toEqual(Object.keys(sample ?? {}))
  expect(key?.kid).toBe(pki.signingKid)
  expect(key?.x5dn).toBe(`CN=${SOFTWARE},OU=${ORGANISATION},O=thredd,C=GB`)
  const pem = await (await bench.send(String(key?.x5u), { as: 'none' })).text()
  expect(pem.trim()).toBe(pki.identities.signing.certificate.trim())

  const transport = (await (await get('/transport.jwks')).json()) as typeof sampleKeys
  const der = new X509Certificate(pki.identities.transport.certificate).raw.toString('base64')
  expect(transport.keys.map(({ x5c }) => x5c)).toEqual([[der]])
  expect(await seen(await get('/inactive/application.jwks'))).toEqual({ status: 200, body: { keys: [] } })
  expect(await seen(await get('/inactive/transport.jwks'))).toEqual({ status: 200, body: { keys: [] } })
  expect(await seen(await get('/redirect_uris.json'))).toEqual({ status: 200, body: ['https://example.com/cb'] })
  const ofOrganisation = await bench.send(`${new URL('..', URLS.keystore)}${ORGANISATION}/application.jwks`, {
    as: 'none',
  })
  expect(await ofOrganisation.json()).toEqual({ keys })
  const unknown = await bench.send(URLS.keystore.replace(SOFTWARE, OTHER.software).concat('/application.jwks'))
  expect(unknown.status).toBe(404)
})

test('registration refuses each wrong request with the documented body, and registers nothing', async () => {
  const bench = makeBench(pki)
  const statement = await bench.statement()
  const invalid = (hint?: string) => {
    const { status, body } = example('as_register_manage', 'PUT body invalid')
    return { status, body: { ...(body as Json), ...(hint === undefined ? {} : { error_hint: hint }) } }
  }
  const rows: readonly [Json, Sending, { status: number; body: unknown }][] = [
    [{ software_statement: undefined }, {}, example('as_register_post', 'software_statement absent')],
    [{ software_statement: 7 }, {}, example('as_register_post', 'software_statement absent')],
    [{ redirect_uris: ['https://evil.example/cb'] }, {}, example('as_register_post', 'bad redirect URI')],
    [{ grant_types: ['password'] }, {}, invalid('grant_types')],
    [{ grant_types: 'client_credentials' }, {}, invalid('grant_types')],
    [{ response_types: ['code'] }, {}, invalid('response_types')],
    [{ token_endpoint_auth_method: 'none' }, {}, invalid('token_endpoint_auth_method')],
    [{ token_endpoint_auth_signing_alg: 'HS256' }, {}, invalid('token_endpoint_auth_signing_alg')],
    [{ id_token_signed_response_alg: 'none' }, {}, invalid('id_token_signed_response_alg')],
    [{ tls_client_certificate_bound_access_tokens: 'yes' }, {}, invalid('tls_client_certificate_bound_access_tokens')],
    [{ description: 7 }, {}, invalid('description')],
    [{ scopes: ['cards.read', 7] }, {}, invalid('scopes')],
    [{ scopes: ['two words'] }, {}, invalid('scopes')],
    [{ jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }, {}, invalid('jwks')],
    [{ jwks: { keys: [{ kty: 'RSA' }] }, jwks_uri: 'https://example.com/jwks' }, {}, invalid('jwks')],
    [{ jwks: 'none' }, {}, invalid('jwks')],
    [{ jwks: { keys: [rsa(1024)] } }, {}, invalid('jwks')],
    [{ jwks: { keys: [{ kty: 'EC', crv: 'P-192' }] } }, {}, invalid('jwks')],
    [{ jwks: { keys: [{ kty: 'RSA' }] } }, {}, invalid('jwks')],
    [{}, { json: undefined, body: '{}', headers: { 'content-type': 'text/plain' } }, invalid()],
    [{}, { json: null }, invalid()],
    [{}, { json: [] }, invalid()],
    [{}, { json: 'x' }, invalid()],
    [{}, { json: undefined, body: '{', headers: { 'content-type': 'application/json' } }, invalid()],
    [{}, { as: 'other' }, example('as_register_post', 'signature or issuer wrong')],
  ]
  for (const [changes, sending, expected] of rows) {
    const answer = await bench.askRegistration({ software_statement: statement, ...changes }, sending)
    expect({ changes, ...(await seen(answer)) }).toEqual({ changes, ...expected })
    expect(answer.headers.get('cache-control')).toBe('no-store')
  }

  expect(bench.twin.state.clients.size).toBe(0)
  // The software statement names jwks_uri, so keys in the body are beside it (RFC 7591 2). The documented answer has no keys.
  const strong = { keys: [rsa(2048), { kty: 'EC', crv: 'P-256' }] }
  const beside = await bench.askRegistration({ software_statement: statement, jwks: strong })
  expect(await seen(beside)).toEqual(invalid('jwks'))
  expect(lastDecision(bench)).toBe('refused: jwks and jwks_uri exclude each other (RFC 7591 2)')
  const empty = { keys: [] }
  expect((await bench.askRegistration({ software_statement: statement, jwks: empty })).status).toBe(201)
})

function rsa(modulusLength: number) {
  return generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
}

test('a software statement that is damaged, unsigned, self-made, foreign or confused in its algorithm registers nothing', async () => {
  const bench = makeBench(pki)
  const good = await bench.statement()
  const claims = decodeJwt(good)
  const [header = '', payload = '', signature = ''] = good.split('.')
  const signer = await importPKCS8(pki.ssaSigner.privateKey, 'PS256')
  const sign = (changes: Json, alg = 'PS256') =>
    new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg, kid: 'signer', typ: 'JWT' })
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    { name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  )
  const jwk = await crypto.subtle.exportKey('jwk', publicKey)
  const publicPem = new TextEncoder().encode(
    bench.twin.state.ssaSigner.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  )
  const { client_id: _, ...anonymous } = claims
  const attacks: Readonly<Record<string, string>> = {
    damaged: `${header}.${payload}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`,
    'changed claims': `${header}.${Buffer.from(JSON.stringify({ ...claims, org_name: 'x' })).toString('base64url')}.${signature}`,
    unsigned: new UnsecuredJWT(claims).encode(),
    'own key': await sign({}).sign(privateKey),
    'own key in the header': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'PS256', kid: 'signer', jwk: { kty: 'RSA', n: jwk.n ?? '', e: jwk.e ?? '' } })
      .sign(privateKey),
    'HS256 with the public key': await sign({}, 'HS256').sign(publicPem),
    'other issuer': await sign({ iss: 'another issuer' }).sign(signer),
    'no issuer': await sign({ iss: undefined }).sign(signer),
    'no iat': await sign({ iat: undefined }).sign(signer),
    'iat ahead': await sign({ iat: Math.floor(Date.now() / 1000) + 600 }).sign(signer),
    expired: await sign({ exp: Math.floor(Date.now() / 1000) - 1 }).sign(signer),
    'no JWT': 'not.a.jwt',
  }
  for (const [name, software_statement] of Object.entries(attacks)) {
    const answer = await bench.askRegistration({ software_statement })
    expect({ name, ...(await seen(answer)) }).toEqual({
      name,
      ...example('as_register_post', 'signature or issuer wrong'),
    })
  }
  const unapproved = {
    inactive: await sign({ status: 'Inactive' }).sign(signer),
    'inactive organisation': await sign({ org_status: 'Withdrawn' }).sign(signer),
    'no client_id': await new SignJWT(anonymous).setProtectedHeader({ alg: 'PS256' }).sign(signer),
  }
  for (const software_statement of Object.values(unapproved)) {
    expect(await seen(await bench.askRegistration({ software_statement }))).toEqual(
      example('as_register_post', 'not Active'),
    )
  }
  expect(bench.twin.state.clients.size).toBe(0)
})

test('values of the software statement win over the body; unknown members, ids and secrets in the body are ignored', async () => {
  const client = await makeBench(pki).register({
    client_name: 'Mine',
    jwks_uri: 'https://evil.example/jwks',
    client_id: 'mine',
    client_secret: 'mine',
    x_probe: 1,
    description: 'ours to choose',
    application_types: ['single_page'],
  })

  expect(client).toMatchObject({
    client_name: 'Test Org 4',
    jwks_uri: sampleResponse.jwks_uri,
    client_id: CLIENT_ID,
    client_secret: expect.stringMatching(/^[\w-]{43}$/),
    description: 'ours to choose',
    application_types: ['service', 'dcr'],
    id_token_signed_response_alg: 'ES256',
  })
  expect(client).not.toHaveProperty('x_probe')
})

test('scopes come back in request order, and those that no role covers are dropped until the role is granted', async () => {
  const scopes = ['pin.read', 'eds.read', 'cards.read', 'nonsense']
  const bench = makeBench(pki)

  expect(await bench.register({ scopes })).toMatchObject({
    scope: 'pin.read cards.read',
    scopes: ['pin.read', 'cards.read'],
  })
  bench.twin.state.deleteClient(CLIENT_ID)
  bench.twin.state.grantRole(SOFTWARE, 'eds')
  expect(await bench.register({ scopes })).toMatchObject({ scopes: ['pin.read', 'eds.read', 'cards.read'] })
})

test('a second registration is refused and changes nothing; of several at once exactly one succeeds', async () => {
  const bench = makeBench(pki)
  const software_statement = await bench.statement()

  const answers = await Promise.all(Array.from({ length: 8 }, () => bench.askRegistration({ software_statement })))

  expect(answers.map(({ status }) => status).sort()).toEqual([201, 400, 400, 400, 400, 400, 400, 400])
  const refused = answers.find(({ status }) => status === 400)
  expect(await seen(refused ?? Response.error())).toEqual(example('as_register_post', 'already registered'))
  const client = (await answers.find(({ status }) => status === 201)?.json()) as Json
  const read = await bench.send(String(client.registration_client_uri), {
    bearer: String(client.registration_access_token),
  })
  expect(await read.json()).toEqual(client)
})

test('both forms of the configuration URL lead to the client, also collapsed or decoded by a proxy, at both names', async () => {
  const bench = makeBench(pki)
  const { client, bearer } = await registered(bench)
  const encoded = encodeURIComponent(CLIENT_ID)
  const forms = [CLIENT_ID, encoded, CLIENT_ID.replace('//', '/'), encoded.replace('%2F%2F', '%2F')]
  forms.push(encoded.replaceAll('%2F', '/'), encoded.toLowerCase())
  for (const base of [URLS.old, URLS.custom]) {
    for (const form of forms) {
      const answer = await bench.send(`${base}/oauth2/register/${form}`, { bearer })
      expect({ form, body: await answer.json() }).toEqual({ form, body: client })
    }
  }
})

test('management refuses a token that is missing, wrong or of another client, and leaves both clients as they were', async () => {
  const bench = makeBench(pki)
  const ours = await registered(bench)
  const other = await registered(bench, 'other')
  const missing = example('as_register_manage', 'no bearer token')
  const wrong = example('as_register_manage', 'wrong, rotated')
  const json = await updateBody(bench)
  const apiToken = await bench.token()
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const body = method === 'PUT' ? { json } : {}
    const absent = await ours.manage({ method, ...body, bearer: undefined })
    expect(absent.headers.get('www-authenticate')).toBe('Bearer')
    expect(await seen(absent)).toEqual(missing)
    const bad = await ours.manage({ method, ...body, bearer: 'x.y' })
    expect(bad.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    expect(await seen(bad)).toEqual(wrong)
    expect(await seen(await ours.manage({ method, ...body, bearer: apiToken }))).toEqual(wrong)
    expect(await seen(await ours.manage({ method, ...body, bearer: other.bearer }))).toEqual(
      example('as_register_manage', 'token of another client'),
    )
    const nowhere = `${URLS.old}/oauth2/register/unknown`
    expect(await seen(await bench.send(nowhere, { method, ...body, bearer: ours.bearer }))).toEqual(wrong)
    const inQuery = `${ours.url}?access_token=${ours.bearer}`
    expect(await seen(await bench.send(inQuery, { method, ...body }))).toEqual(missing)
  }
  expect(await (await ours.manage()).json()).toEqual(ours.client)
  expect(await (await other.manage()).json()).toEqual(other.client)
})

test('an update replaces everything, drops what is omitted, removes the metadata and rotates the token', async () => {
  const bench = makeBench(pki)
  const before = await bench.register({ description: 'first', app_url: 'https://example.com/app' })
  bench.twin.state.setMetadata(CLIENT_ID)
  const url = String(before.registration_client_uri)
  const bearer = String(before.registration_access_token)
  const json = await updateBody(bench, { scopes: ['cards.read'], app_url: null })

  const answer = await bench.send(url, { method: 'PUT', bearer, json })
  const after = (await answer.json()) as Json

  expect(answer.status).toBe(200)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(Object.keys(after)).toEqual(Object.keys(sampleResponse))
  expect(after).toEqual({
    ...before,
    description: '',
    app_url: '',
    scope: 'cards.read',
    scopes: ['cards.read'],
    software_statement: json.software_statement,
    updated_at: expect.any(String),
    registration_access_token: expect.stringMatching(/^[\w-]{43}\.[\w-]{43}$/),
  })
  expect(after.registration_access_token).not.toBe(bearer)
  expect(after.updated_at).not.toBe(before.updated_at)
  expect(bench.twin.state.clients.get(CLIENT_ID)?.metadata).toBeUndefined()
  expect(await seen(await bench.send(url, { bearer }))).toEqual(example('as_register_manage', 'wrong, rotated'))
  const read = await bench.send(url, { bearer: String(after.registration_access_token) })
  expect(await read.json()).toEqual(after)
})

test('an update made of the last response without its server-made members changes nothing else', async () => {
  const bench = makeBench(pki)
  const { client, manage } = await registered(bench)
  const made = [
    'registration_access_token',
    'registration_client_uri',
    'client_id_issued_at',
    'client_secret_expires_at',
  ]
  const json = Object.fromEntries(Object.entries(client).filter(([name]) => !made.includes(name)))

  const after = (await (await manage({ method: 'PUT', json })).json()) as Json

  expect(after).toEqual({
    ...client,
    updated_at: after.updated_at,
    registration_access_token: after.registration_access_token,
  })
})

test('a wrong update is refused and nothing of it is applied', async () => {
  const bench = makeBench(pki)
  const { client, manage } = await registered(bench)
  const good = await updateBody(bench, { description: 'changed' })
  const { software_statement: _, ...unstated } = good
  const statementInvalid = example('as_register_post', 'signature or issuer wrong')
  const invalid = (hint: string) => ({
    status: 400,
    body: { ...(example('as_register_manage', 'PUT body invalid').body as Json), error_hint: hint },
  })
  const rows: readonly [Json, { status: number; body: unknown }][] = [
    [{ ...good, registration_access_token: 'x' }, invalid('registration_access_token')],
    [{ ...good, registration_client_uri: 'x' }, invalid('registration_client_uri')],
    [{ ...good, client_secret_expires_at: 0 }, invalid('client_secret_expires_at')],
    [{ ...good, client_id_issued_at: 0 }, invalid('client_id_issued_at')],
    [{ ...good, client_id: OTHER.clientId }, invalid('client_id')],
    [{ ...good, client_secret: 'mine' }, invalid('client_secret')],
    [{ ...good, grant_types: ['password'] }, invalid('grant_types')],
    [{ ...good, software_statement: `${good.software_statement}x` }, statementInvalid],
    [{ ...good, software_statement: await bench.statement('other') }, statementInvalid],
    [unstated, example('as_register_post', 'software_statement absent')],
  ]
  for (const [json, expected] of rows) expect(await seen(await manage({ method: 'PUT', json }))).toEqual(expected)

  expect(await (await manage()).json()).toEqual(client)
  const patch = await manage({ method: 'PATCH', json: good })
  expect(patch.status).toBe(405)
  expect(patch.headers.get('allow')).toBe('GET, HEAD, PUT, DELETE')
})

test('deletion ends the client, its access tokens and its registration token; a new registration starts afresh', async () => {
  const bench = makeBench(pki)
  const { client, bearer, manage } = await registered(bench)
  const json = await updateBody(bench)
  const apiToken = await bench.token()

  const answer = await manage({ method: 'DELETE' })

  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(await seen(answer)).toEqual({ status: 204, body: null })
  const gone = example('as_register_manage', 'client was deleted')
  const read = await manage()
  expect(read.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  expect(await seen(read)).toEqual(gone)
  expect(await seen(await manage({ method: 'PUT', json }))).toEqual(gone)
  expect(await seen(await manage({ method: 'DELETE' }))).toEqual(gone)
  expect(await seen(await bench.askToken())).toEqual(example('as_token', 'client unknown'))
  expect(await seen(await bench.send(URLS.cards, { bearer: apiToken }))).toEqual(example('cards_api', 'cnf'))
  const again = await bench.register()
  expect(again.client_id).toBe(CLIENT_ID)
  expect(again.client_secret).not.toBe(client.client_secret)
  expect(again.registration_access_token).not.toBe(bearer)
})

test('a client that is deleted while its token is made gets none', async () => {
  const bench = makeBench(pki)
  await bench.register()
  const { state } = bench.twin
  const uuid = state.uuid.bind(state)
  // The jti of the token is made last, after all checks.
  state.uuid = () => {
    state.deleteClient(CLIENT_ID)
    return uuid()
  }

  expect((await bench.askToken()).status).toBe(401)
  expect(lastDecision(bench)).toBe('refused: the client was deleted meanwhile')
  expect(state.accessTokens.size).toBe(0)
})

test('the API access token has the documented answer, header and claims', async () => {
  const bench = makeBench(pki)
  await bench.register()

  const answer = await bench.askToken({ form: { client_id: CLIENT_ID, scope: 'pin.read cards.read' } })
  const body = (await answer.json()) as { access_token: string }

  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('pragma')).toBe('no-cache')
  expect(Object.keys(body)).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
  expect(body).toMatchObject({ expires_in: 599, scope: 'cards.read pin.read', token_type: 'bearer' })
  expect(Object.keys(decodeProtectedHeader(body.access_token))).toEqual(Object.keys(sampleToken.header))
  const keys = createRemoteJWKSet(new URL(`${URLS.old}/.well-known/jwks.json`), {
    [customFetch]: (url) => bench.send(String(url)),
  })
  const { payload } = await jwtVerify(body.access_token, keys, { algorithms: ['ES256'] })
  expect(Object.keys(payload)).toEqual(Object.keys(sampleToken.payload))
  const issued = payload.iat ?? 0
  const x5t = await crypto.subtle.digest('SHA-256', new X509Certificate(pki.identities.transport.certificate).raw)
  expect(payload).toEqual({
    ...sampleToken.payload,
    aud: [CLIENT_ID, sampleToken.payload.aud[1]],
    cnf: { 'x5t#S256': Buffer.from(x5t).toString('base64url') },
    iat: issued,
    nbf: issued,
    exp: issued + 600,
    jti: expect.any(String),
    scp: ['cards.read', 'pin.read'],
    sub: CLIENT_ID,
  })
})

test('metadata that Thredd sets is in the next token', async () => {
  const bench = makeBench(pki)
  await bench.register()
  bench.twin.state.setMetadata(CLIENT_ID, { pmid: '42', pmcode: 'ABC', issuerid: '7', internalid: '9' })

  expect(decodeJwt(await bench.token())).toMatchObject({ pmid: '42', pmcode: 'ABC', issuerid: '7', internalid: '9' })
})

test('the token endpoint refuses each wrong assertion with the same error, and the log has the reason', async () => {
  const bench = makeBench(pki)
  await bench.register()
  await bench.register({}, 'other')
  const now = bench.twin.state.seconds()
  const refused = example('as_token', 'assertion wrong')
  const endpoint = `${URLS.old}/oauth2/token`
  const replayed = await bench.assertion(endpoint)
  expect((await bench.askToken({ form: { client_assertion: replayed } })).status).toBe(200)
  const [head = '', payload = ''] = replayed.split('.')
  const confused = await new SignJWT(decodeJwt(replayed))
    .setProtectedHeader({ alg: 'HS256', kid: pki.signingKid })
    .sign(new TextEncoder().encode(pki.identities.signing.certificate))
  const critical = `${Buffer.from(JSON.stringify({ ...decodeProtectedHeader(replayed), crit: ['x'], x: 1 })).toString('base64url')}.${payload}.AAAA`
  const rows: readonly [NonNullable<Parameters<Bench['askToken']>[0]>, string, Sending?][] = [
    [{ form: { client_assertion: replayed } }, 'the jti was used before'],
    [{ form: { client_assertion: `${head}.${payload}.AAAA` } }, 'the signature of the assertion does not verify'],
    [{ form: { client_assertion: critical } }, 'the signature of the assertion does not verify'],
    [
      { form: { client_assertion: new UnsecuredJWT({ sub: CLIENT_ID }).encode() } },
      'the assertion is signed with "none"',
    ],
    [
      { form: { client_assertion: `${Buffer.from('{"kid":"x"}').toString('base64url')}.${payload}.AAAA` } },
      'the assertion names no alg',
    ],
    [{ form: { client_assertion: 'no.jwt' } }, 'the assertion is not a JWT'],
    [{ form: { client_assertion: confused } }, 'the assertion is signed with "HS256"'],
    [{ form: { client_assertion: '', a: 'b' } }, 'no client assertion'],
    [{ form: { client_assertion_type: 'x' } }, 'client_assertion_type is missing or wrong'],
    [{ key: 'rogue' }, 'the signature of the assertion does not verify'],
    [{ header: { kid: 'unknown' } }, 'the key id is not in the keystore of the client'],
    [{ claims: { iss: OTHER.clientId } }, 'iss is not the client_id'],
    [{ without: ['iss'] }, 'iss is not the client_id'],
    [{ claims: { sub: OTHER.clientId } }, 'the key id is not in the keystore of the client'],
    [{ claims: { sub: 'unknown' } }, 'the subject is not a known client'],
    [{ without: ['sub'] }, 'sub is missing'],
    [{ form: { client_id: OTHER.clientId } }, 'client_id is not the subject of the assertion'],
    [{ audience: URLS.directory }, 'aud does not name this server'],
    [{ audience: `${endpoint}/` }, 'aud does not name this server'],
    [{ audience: [endpoint, 7] }, 'aud does not name this server'],
    [{ without: ['aud'] }, 'aud does not name this server'],
    [{ claims: { exp: now - 60 } }, 'the assertion has expired'],
    [{ without: ['exp'] }, 'exp is missing or not a number'],
    [{ claims: { exp: now + 86_400 } }, 'exp is too far ahead'],
    [{ claims: { iat: now + 120 } }, 'iat lies in the future'],
    [{ claims: { iat: 'now' as unknown as number } }, 'iat is missing or not a number'],
    [{ claims: { nbf: now + 120 } }, 'nbf lies in the future'],
    [{ claims: { jti: '' } }, 'jti is missing or not a text'],
    [{}, 'the certificate belongs to another organisation', { as: 'other' }],
  ]
  for (const [changes, decision, sending] of rows) {
    const answer = await bench.askToken(changes, sending)
    const { status, body } = await seen(answer)
    const { error_hint: _, ...unhinted } = body as Json
    expect({ decision: lastDecision(bench), status, body: unhinted }).toEqual({
      decision: `refused: ${decision}`,
      ...refused,
    })
  }
  const parallel = await bench.assertion(endpoint)
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => bench.askToken({ form: { client_assertion: parallel } })),
  )
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
})

test('kid, iat and jti of an assertion may be left out; without kid every active signing key of the client is tried', async () => {
  const bench = makeBench(pki)
  await bench.register()
  for (const changes of [{ header: { kid: undefined } }, { without: ['iat'] }, { without: ['jti'] }]) {
    expect((await bench.askToken(changes)).status).toBe(200)
  }
  expect((await bench.askToken({ header: { kid: undefined }, key: 'rogue' })).status).toBe(401)
  expect(lastDecision(bench)).toBe('refused: the signature of the assertion does not verify')
  bench.twin.state.listCertificate(SOFTWARE, 'sig', pki.identities.renewed.certificate)
  expect((await bench.askToken({ header: { kid: undefined }, key: 'renewed' })).status).toBe(200)
})

test('a refusal by the authorization server has the hints of its product and the id of the request', async () => {
  const bench = makeBench(pki)
  await bench.register()
  const hintOf = async (changes: Parameters<Bench['askToken']>[0]) => {
    const answer = await bench.askToken(changes)
    expect(answer.headers.get('x-trace-id')).toMatch(/^[0-9a-f]{32}$/)
    return ((await answer.json()) as Json).error_hint
  }

  expect(await hintOf({ claims: { iss: OTHER.clientId } })).toBe(
    "Claim 'iss' from 'client_assertion' must match the 'client_id' of the OAuth 2.0 Client.",
  )
  expect(await hintOf({ header: { kid: 'k1' } })).toBe(
    "The JSON Web Token uses signing key with kid 'k1', which could not be found.",
  )
  expect(await hintOf({ key: 'rogue' })).toBe("Unable to verify the integrity of the 'client_assertion' value.")
  expect(await hintOf({ audience: URLS.directory })).toBe(
    `Claim 'audience' from 'client_assertion' must match the authorization server's token endpoint '${URLS.old}/oauth2/token'.`,
  )
  expect(await hintOf({ form: { scope: 'eds.read' } })).toBe(undefined)
  const answer = await bench.askToken()
  expect([answer.status, answer.headers.get('x-trace-id')]).toEqual([200, expect.stringMatching(/^[0-9a-f]{32}$/)])
})

test('every answer of the directory API names the interaction, refusals too', async () => {
  const bench = makeBench(pki)
  const headers = { 'x-fapi-interaction-id': 'probe-1' }
  expect((await bench.send(ASSERTION_URL, { headers })).headers.get('x-fapi-interaction-id')).toBe('probe-1')
  expect((await bench.send(ASSERTION_URL)).headers.get('x-fapi-interaction-id')).toMatch(/^[0-9a-f-]{36}$/)
})

test('the directory answers with a page where text/html is preferred, as its server library does', async () => {
  const bench = makeBench(pki)
  const typeFor = async (accept: string) => {
    const answer = await bench.askDirectoryToken({ client_id: 'unknown' }, { headers: { accept } })
    expect(answer.status).toBe(401)
    return answer.headers.get('content-type')
  }
  expect(await typeFor('text/html,application/xhtml+xml,*/*;q=0.8')).toBe('text/html; charset=utf-8')
  for (const accept of ['*/*', 'application/json', 'application/json, text/html', 'text/html;q=0.5, */*'])
    expect(await typeFor(accept)).toBe('application/json')
})

test('HEAD is answered like GET, without content, and changes nothing', async () => {
  const bench = makeBench(pki, { rotateOnRead: true, lockOnSsaRead: true })
  const bearer = await bench.directoryToken()
  const { manage } = await registered(bench)
  bench.twin.state.unlock(SOFTWARE)

  for (const ask of [
    (method: string) => bench.send(`${URLS.old}/.well-known/jwks.json`, { method }),
    (method: string) => bench.send(ASSERTION_URL, { method, bearer }),
    (method: string) => manage({ method }),
  ]) {
    const head = await ask('HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(bench.twin.state.application(SOFTWARE).locked).toBe(false)
    const get = await ask('GET')
    const names = (response: Response) => [...response.headers.keys()]
    expect(names(head)).toEqual(names(get))
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'))
    bench.twin.state.unlock(SOFTWARE)
  }
  const none = await bench.send(`${URLS.old}/oauth2/token`, { method: 'HEAD' })
  expect([none.status, none.headers.get('allow')]).toEqual([405, 'POST'])
})

test('a signing certificate is refused for transport; one that is listed for both uses is not', async () => {
  const bench = makeBench(pki)
  expect((await bench.askDirectoryToken({}, { as: 'signing' })).type).toBe('error')
  expect(lastDecision(bench)).toBe('certificate refused: a signing certificate, not one for transport')
  expect((await bench.askDirectoryToken({}, {}, 'other')).status).toBe(200)
})

test('the token endpoint takes RS256 as well, the issuer as audience, and a clock a little ahead', async () => {
  const bench = makeBench(pki)
  await bench.register()
  const now = bench.twin.state.seconds()
  for (const changes of [
    { header: { alg: 'RS256' } },
    { audience: URLS.old },
    { audience: URLS.custom },
    { audience: [`${URLS.custom}/oauth2/token`] },
    { claims: { iat: now + 8, nbf: now + 8 } },
    { header: { typ: 'client-authentication+jwt' } },
  ]) {
    expect((await bench.askToken(changes)).status).toBe(200)
  }
})

test('the token endpoint refuses wrong grants, scopes, forms and second credentials with the codes of RFC 6749', async () => {
  const bench = makeBench(pki)
  await bench.register({ scopes: ['cards.read'], token_endpoint_auth_signing_alg: 'PS256' })
  const code = async (response: Response) => `${response.status} ${((await response.json()) as Json).error}`

  expect(await code(await bench.askToken({ form: { grant_type: '' } }))).toBe('400 invalid_request')
  expect(await code(await bench.askToken({ form: { grant_type: 'password' } }))).toBe('400 unsupported_grant_type')
  const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
  expect(await code(await bench.askToken({ form: { grant_type: exchange } }))).toBe('400 unauthorized_client')
  expect(await code(await bench.askToken({ form: { client_secret: 'x' } }))).toBe('400 invalid_request')
  const basic = { headers: { authorization: 'Basic eDp5' } }
  expect(await code(await bench.askToken({}, basic))).toBe('400 invalid_request')
  expect(await seen(await bench.askToken({ form: { scope: 'cards.read cards.write' } }))).toEqual(
    example('as_token', 'scope beyond'),
  )
  // A registered algorithm is the only one accepted.
  expect(await code(await bench.askToken({ header: { alg: 'RS256' } }))).toBe('401 invalid_client')
  const get = await bench.send(`${URLS.old}/oauth2/token?client_assertion=secret-in-query`)
  expect(get.status).toBe(405)
  expect(JSON.stringify(bench.twin.log)).not.toContain('secret-in-query')
})

test('the APIs demand the bound certificate, the scope and a valid token', async () => {
  const bench = makeBench(pki)
  await bench.register()
  const bearer = await bench.token()
  const unscoped = await bench.token({ scope: 'pin.read' })
  const region = { 'x-region': '0' }
  const unauthorized = example('cards_api', 'cnf')

  for (const url of [URLS.cards, URLS.hub, 'https://uat-mtls.thredd.com/core/api/v1/products']) {
    const answer = await bench.send(url, { bearer, headers: region })
    expect([answer.status, await answer.json()]).toEqual([200, products])
    const lower = { authorization: `bearer ${bearer}`, ...region }
    expect((await bench.send(url, { headers: lower })).status).toBe(200)
    const stolen = await bench.send(url, { as: 'other', bearer, headers: region })
    expect(stolen.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    expect(await seen(stolen)).toEqual(unauthorized)
    const narrow = await bench.send(url, { bearer: unscoped, headers: region })
    expect(narrow.headers.get('www-authenticate')).toBe('Bearer error="insufficient_scope"')
    expect(await seen(narrow)).toEqual(example('cards_api', 'scope missing'))
    expect((await bench.send(`${url}?access_token=${bearer}`, { headers: region })).status).toBe(401)
    expect(await seen(await bench.send(url, { bearer: 'x', headers: region }))).toEqual(unauthorized)
  }
  // The host without mutual TLS cannot see the certificate that the token is bound to.
  const plain = 'https://uat-api.thredd.com/core/api/v1/products'
  expect(await seen(await bench.send(plain, { bearer, headers: region }))).toEqual(unauthorized)
  const regionless = await bench.send(URLS.hub, { bearer })
  expect(regionless.status).toBe(400)
  const validation = example('cards_api', 'validation').body as Json
  expect(Object.keys((await regionless.json()) as Json)).toEqual(Object.keys(validation))
  bench.twin.state.advance(601_000)
  expect(await seen(await bench.send(URLS.cards, { bearer }))).toEqual(unauthorized)
})

test('a client learns the state of its own tokens only, and can revoke them', async () => {
  const bench = makeBench(pki)
  await bench.register()
  await bench.register({}, 'other')
  const bearer = await bench.token({ scope: 'cards.read' })
  const ask = async (endpoint: string, token: string, who: 'ours' | 'other' = 'ours') =>
    await bench.send(`${URLS.old}/oauth2/${endpoint}`, {
      as: who === 'ours' ? 'transport' : 'other',
      form: {
        token,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await bench.assertion(`${URLS.old}/oauth2/${endpoint}`, {}, who),
      },
    })

  expect(await (await ask('introspect', bearer)).json()).toMatchObject({
    active: true,
    client_id: CLIENT_ID,
    scope: 'cards.read',
    token_type: 'bearer',
    cnf: decodeJwt(bearer).cnf,
  })
  expect(await (await ask('introspect', bearer, 'other')).json()).toEqual({ active: false })
  expect(await (await ask('introspect', 'unknown')).json()).toEqual({ active: false })
  expect(await seen(await ask('revoke', bearer, 'other'))).toEqual({ status: 200, body: null })
  expect((await bench.send(URLS.cards, { bearer })).status).toBe(200)
  expect(await seen(await ask('revoke', bearer))).toEqual({ status: 200, body: null })
  expect(await (await ask('introspect', bearer)).json()).toEqual({ active: false })
  expect((await bench.send(URLS.cards, { bearer })).status).toBe(401)
  const anonymous = await bench.send(`${URLS.old}/oauth2/introspect`, { form: { token: bearer } })
  expect(anonymous.status).toBe(401)
})

/** Each switch, with a check of the difference to its default. */
const SWITCHED: { readonly [Name in keyof Switches]: (bench: (given: Partial<Switches>) => Bench) => Promise<void> } = {
  async refuse(bench) {
    const html = await bench({ refuse: 'html400' }).askDirectoryToken({}, { as: 'none' })
    expect([html.status, html.headers.get('content-type')]).toEqual([400, 'text/html'])
    expect(await html.text()).toBe(errorExamples.transport[0]?.body_text)
    const rogue = await bench({ refuse: 'html400' }).askDirectoryToken({}, { as: 'rogue' })
    expect(await rogue.text()).toContain('The SSL certificate error')
  },
  async customDomainCertificate(bench) {
    const optional = bench({ customDomainCertificate: 'optional' })
    expect((await optional.send(`${URLS.custom}/.well-known/jwks.json`, { as: 'none' })).status).toBe(200)
    expect((await optional.send(`${URLS.custom}/.well-known/jwks.json`, { as: 'rogue' })).type).toBe('error')
    await optional.register()
    const answer = await optional.send(`${URLS.custom}/oauth2/token`, {
      as: 'none',
      form: {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await optional.assertion(URLS.custom),
      },
    })
    expect(await seen(answer)).toEqual(example('as_token', 'no client certificate'))
  },
  async directoryApiHost(bench) {
    const elsewhere = bench({ directoryApiHost: 'matls-auth' })
    const bearer = await elsewhere.directoryToken()
    const path = new URL(ASSERTION_URL).pathname
    expect((await elsewhere.send(`${URLS.directoryMtls}${path}`, { bearer })).status).toBe(200)
    expect((await elsewhere.send(ASSERTION_URL, { bearer })).status).toBe(501)
    expect(elsewhere.twin.operations.get('getSoftwareStatementAssertion')).toEqual([
      new URL(URLS.directoryMtls).hostname,
    ])
    const usual = bench({})
    expect((await usual.send(`${URLS.directoryMtls}${path}`, { bearer: await usual.directoryToken() })).status).toBe(
      501,
    )
  },
  async directoryAuthMethod(bench) {
    const jwtOnly = bench({ directoryAuthMethod: 'private_key_jwt' })
    expect((await jwtOnly.askDirectoryToken()).status).toBe(401)
    const tlsOnly = bench({ directoryAuthMethod: 'tls_client_auth' })
    const client_assertion = await tlsOnly.assertion(URLS.directory)
    expect((await tlsOnly.askDirectoryToken({ client_assertion })).status).toBe(401)
    expect((await tlsOnly.askDirectoryToken()).status).toBe(200)
  },
  async directoryTokenForm(bench) {
    expect(await bench({}).directoryToken()).toMatch(/^[\w-]{43}$/)
    const { send, statement, directoryToken } = bench({ directoryTokenForm: 'jwt' })
    const bearer = await directoryToken()
    const keys = await send(`${URLS.directory}/jwks`, { as: 'none' })
    const { payload, protectedHeader } = await jwtVerify(
      bearer,
      createLocalJWKSet((await keys.json()) as JSONWebKeySet),
      { issuer: URLS.directory, subject: CLIENT_ID, audience: URLS.directoryApi, typ: 'at+jwt' },
    )
    expect(protectedHeader.alg).toBe('PS256')
    expect(payload).toMatchObject({ scope: 'directory:software', client_id: CLIENT_ID })
    const certificate = new X509Certificate(pki.identities.transport.certificate)
    expect(payload.cnf).toEqual({ 'x5t#S256': createHash('sha256').update(certificate.raw).digest('base64url') })
    expect((await send(ASSERTION_URL, { bearer })).status).toBe(200)
    expect((await send(ASSERTION_URL, { bearer: `${bearer}x` })).status).toBe(401)
    expect(await statement()).toMatch(/^ey/)
  },
  async directoryTokenSeconds(bench) {
    const short = bench({ directoryTokenSeconds: 5 })
    expect(await (await short.askDirectoryToken()).json()).toMatchObject({ expires_in: 5 })
    const bearer = await short.directoryToken()
    short.twin.state.advance(5000)
    expect((await short.send(ASSERTION_URL, { bearer })).status).toBe(401)
  },
  async directoryErrors(bench) {
    const bare = bench({ directoryErrors: 'oauth' })
    const unknown = await bare.askDirectoryToken({ client_id: 'unknown' }, { headers: { accept: 'text/html' } })
    expect(await seen(unknown)).toEqual({ status: 401, body: { error: 'invalid_client' } })
    expect(await seen(await bare.askDirectoryToken({ scope: 'x' }))).toEqual({
      status: 400,
      body: { error: 'invalid_scope' },
    })
  },
  async directoryApiErrors(bench) {
    const gateway = bench({ directoryApiErrors: 'gateway' })
    const bearer = await gateway.directoryToken()
    const ask = async (url: string, sending: Sending) => await seen(await gateway.send(url, sending))
    const denied = { status: 403, body: { Message: 'User is not authorized to access this resource' } }
    expect(await ask(ASSERTION_URL, {})).toEqual({ status: 401, body: { message: 'Unauthorized' } })
    expect(await ask(ASSERTION_URL, { bearer: 'x' })).toEqual(denied)
    expect(await ask(ASSERTION_URL, { bearer, as: 'other' })).toEqual(denied)
    expect(await ask(ASSERTION_URL.replace(ORGANISATION, OTHER.organisation), { bearer })).toEqual({
      status: 403,
      body: { message: 'Forbidden' },
    })
    gateway.twin.state.advance(600_000)
    expect(await ask(ASSERTION_URL, { bearer })).toEqual(denied)
  },
  async requireGenerate(bench) {
    const careful = bench({ requireGenerate: true })
    const bearer = await careful.directoryToken()
    const ask = async () => await seen(await careful.send(ASSERTION_URL, { bearer }))
    const refused = { status: 400, body: { errors: ['no assertion of the software statement has been generated'] } }
    expect(await ask()).toEqual(refused)
    careful.twin.state.generateStatement(SOFTWARE)
    expect((await careful.send(ASSERTION_URL, { bearer })).status).toBe(200)
    careful.twin.state.unlock(SOFTWARE)
    expect(await ask()).toEqual(refused)
  },
  async lockOnSsaRead(bench) {
    const locking = bench({ lockOnSsaRead: true })
    await locking.statement()
    expect(() => locking.twin.state.grantRole(SOFTWARE, 'eds')).toThrow(
      `application "${SOFTWARE}" is locked; unlock it first`,
    )
    locking.twin.state.unlock(SOFTWARE)
    locking.twin.state.grantRole(SOFTWARE, 'eds')
  },
  async rolesInSsa(bench) {
    const listing = bench({ rolesInSsa: 'listed' })
    const old = await listing.statement()
    expect(decodeJwt(old)).toMatchObject({ roles: ['ws', 'programme-manager', 'bulk-cards'] })
    listing.twin.state.grantRole(SOFTWARE, 'eds')
    // A statement lists the roles of its time: the new role needs a fresh one.
    expect(await listing.register({ scopes: ['cards.read', 'eds.read'], software_statement: old })).toMatchObject({
      scopes: ['cards.read'],
    })
    listing.twin.state.deleteClient(CLIENT_ID)
    expect(await listing.register({ scopes: ['eds.read'] })).toMatchObject({ scopes: ['eds.read'] })
  },
  async ssaForm(bench) {
    const quoting = bench({ ssaForm: 'json' })
    const answer = await quoting.send(ASSERTION_URL, { bearer: await quoting.directoryToken() })
    expect(answer.headers.get('content-type')).toBe('application/json')
    const software_statement = (await answer.json()) as string
    expect((await quoting.askRegistration({ software_statement })).status).toBe(201)
  },
  async ssaMaxAgeSeconds(bench) {
    const strict = bench({ ssaMaxAgeSeconds: 60 })
    const software_statement = await strict.statement()
    strict.twin.state.advance(61_000)
    expect((await strict.askRegistration({ software_statement })).status).toBe(400)
    expect(lastDecision(strict)).toBe('refused: the software statement is too old')
    const lenient = bench({})
    const old = await lenient.statement()
    lenient.twin.state.advance(8 * 3600 * 1000)
    expect((await lenient.askRegistration({ software_statement: old })).status).toBe(201)
  },
  async initialAccessToken(bench) {
    const guarded = bench({ initialAccessToken: 'required' })
    const absent = await guarded.askRegistration()
    expect([absent.status, absent.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect((await guarded.askRegistration({}, { bearer: 'wrong' })).status).toBe(401)
    const bearer = guarded.twin.state.issueInitialAccessToken()
    expect((await guarded.askRegistration({ grant_types: ['password'] }, { bearer })).status).toBe(400)
    expect((await guarded.askRegistration({}, { bearer })).status).toBe(201)
    guarded.twin.state.deleteClient(CLIENT_ID)
    expect((await guarded.askRegistration({}, { bearer })).status).toBe(401)
    const short = guarded.twin.state.issueInitialAccessToken(60)
    guarded.twin.state.advance(60_000)
    const late = await guarded.askRegistration({}, { bearer: short })
    expect([late.status, late.headers.get('www-authenticate')]).toEqual([401, 'Bearer error="invalid_token"'])
    expect(lastDecision(guarded)).toBe('refused: the initial access token has expired')
  },
  async idempotencyKey(bench) {
    const idempotent = bench({ idempotencyKey: true })
    const software_statement = await idempotent.statement()
    const ask = async (key: string, changes: Json = {}) =>
      await idempotent.askRegistration({ software_statement, ...changes }, { headers: { 'x-idempotency-key': key } })
    const key = 'k'.repeat(32)
    expect((await ask('too short')).status).toBe(400)
    // A refusal is not kept.
    expect((await ask(key, { grant_types: ['password'] })).status).toBe(400)
    const [first, second] = await Promise.all([ask(key), ask(key)])
    expect([first.status, first.headers.get('x-idempotent-replayed')]).toEqual([201, null])
    expect([second.status, second.headers.get('x-idempotent-replayed')]).toEqual([201, 'true'])
    expect(await second.json()).toEqual(await first.json())
    expect((await ask(key, { description: 'another' })).status).toBe(400)
    idempotent.twin.state.advance(60_000)
    expect(await seen(await ask(key))).toEqual(example('as_register_post', 'already registered'))
    // Without the switch the header is ignored.
    const plain = bench({})
    const statement = await plain.statement()
    const headers = { 'x-idempotency-key': key }
    expect((await plain.askRegistration({ software_statement: statement }, { headers })).status).toBe(201)
    expect((await plain.askRegistration({ software_statement: statement }, { headers })).status).toBe(400)
  },
  async certificateMatch(bench) {
    const open = bench({ certificateMatch: 'none' })
    expect((await open.askRegistration({}, { as: 'other' })).status).toBe(201)
    expect((await open.askToken({}, { as: 'other' })).status).toBe(200)
  },
  async scopeMode(bench) {
    const scopes = ['cards.read', 'eds.read', 'nonsense']
    const answer = await bench({ scopeMode: 'strict' }).askRegistration({ scopes })
    const { status, body } = example('as_register_post', 'strict mode')
    expect(await seen(answer)).toEqual({ status, body: { ...(body as Json), error_hint: 'eds.read' } })
    // Where no scope is left, filter refuses too.
    expect((await bench({}).askRegistration({ scopes: ['eds.read'] })).status).toBe(400)
  },
  async defaultScopes(bench) {
    expect(await bench({ defaultScopes: 'none' }).register({ scopes: undefined })).toMatchObject({
      scope: '',
      scopes: [],
    })
    const all = await bench({}).register({ scopes: undefined })
    expect(all.scopes).toEqual(expect.arrayContaining([...documentedRequest.scopes, 'ws']))
  },
  async unrequestedScopes(bench) {
    const extra = 'internal.read internal.write issuer.read issuer.write'
    const client = await bench({ unrequestedScopes: extra }).register()
    expect([...(client.scopes as string[])].sort()).toEqual(sampleResponse.scopes)
  },
  async scopeRefusal(bench) {
    const ask = async (scopeRefusal: Switches['scopeRefusal']) =>
      await seen(await bench({ scopeMode: 'strict', scopeRefusal }).askRegistration({ scopes: ['eds.read'] }))
    const hint = { error_hint: 'eds.read' }
    expect(await ask('invalid_scope')).toEqual({
      status: 400,
      body: { ...(example('as_token', 'scope beyond').body as Json), ...hint },
    })
    expect(await ask('access_denied')).toEqual({
      status: 403,
      body: {
        error: 'access_denied',
        error_description: 'The resource owner or authorization server denied the request.',
        ...hint,
        status_code: 403,
      },
    })
    expect(await ask('request_forbidden')).toMatchObject({
      status: 403,
      body: { error: 'request_forbidden', error_description: 'The request is not allowed.' },
    })
  },
  async secondRegistrationStatus(bench) {
    const conflicting = bench({ secondRegistrationStatus: '409' })
    await conflicting.register()
    const { body } = example('as_register_post', 'in conflict')
    expect(await seen(await conflicting.askRegistration())).toEqual({
      status: 409,
      body: { ...(body as Json), error_hint: `Object with ID ${CLIENT_ID} exists` },
    })
  },
  async uriForm(bench) {
    const client = await bench({ uriForm: 'encoded', uriHost: 'old' }).register()
    expect(client.registration_client_uri).toBe(`${URLS.old}/oauth2/register/${encodeURIComponent(CLIENT_ID)}`)
  },
  async uriHost(bench) {
    const client = await bench({ uriHost: 'old' }).register()
    expect(client.registration_client_uri).toBe(`${URLS.old}/oauth2/register/${CLIENT_ID}`)
  },
  async rotateOnRead(bench) {
    const { bearer, manage } = await registered(bench({ rotateOnRead: true }))
    const read = (await (await manage()).json()) as Json
    expect(read.registration_access_token).not.toBe(bearer)
    expect((await manage()).status).toBe(401)
    expect((await manage({ bearer: String(read.registration_access_token) })).status).toBe(200)
  },
  async rotateOnUpdate(bench) {
    const steady = bench({ rotateOnUpdate: false })
    const { bearer, manage } = await registered(steady)
    const after = (await (await manage({ method: 'PUT', json: await updateBody(steady) })).json()) as Json
    expect(after.registration_access_token).toBe(bearer)
  },
  async registrationTokenSeconds(bench) {
    const ageing = bench({ registrationTokenSeconds: 60 })
    const { client, manage } = await registered(ageing)
    expect(client.registration_access_token_expires_in).toBe(60)
    expect((await manage()).status).toBe(200)
    ageing.twin.state.advance(60_000)
    expect(await seen(await manage())).toEqual(example('as_register_manage', 'wrong, rotated'))
  },
  async certBoundRegistrationToken(bench) {
    const { manage } = await registered(bench({ certBoundRegistrationToken: true }))
    expect((await manage({ as: 'other' })).status).toBe(401)
    expect((await manage()).status).toBe(200)
    const unbound = await registered(bench({}))
    expect((await unbound.manage({ as: 'other' })).status).toBe(200)
  },
  async registrationTokenManagement(bench) {
    const closed = bench({ registrationTokenManagement: false })
    const { manage } = await registered(closed)
    for (const method of ['GET', 'DELETE']) {
      expect(await seen(await manage({ method }))).toEqual(example('as_register_manage', 'token of another client'))
    }
    expect((await manage({ bearer: 'wrong' })).status).toBe(401)
    // The registration access token is refused, and an access token too unless it has the scope.
    expect(await seen(await manage({ bearer: await closed.token() }))).toEqual(
      example('as_register_manage', 'token of another client'),
    )
    expect(lastDecision(closed)).toBe('refused: the access token lacks scope dcr_manage')

    const byScope = bench({ registrationTokenManagement: false, unrequestedScopes: 'dcr_manage' })
    const ours = await registered(byScope)
    await byScope.register({}, 'other')
    const bearer = await byScope.token({ scope: 'dcr_manage' })
    const foreign = await byScope.token({ scope: 'dcr_manage' }, 'other')
    expect((await ours.manage({ bearer, as: 'other' })).status).toBe(401)
    expect((await ours.manage({ bearer: foreign, as: 'other' })).status).toBe(403)
    expect(await (await ours.manage({ bearer })).json()).toEqual(ours.client)
    const put = await ours.manage({ method: 'PUT', bearer, json: await updateBody(byScope, { scopes: ['pin.read'] }) })
    expect(await put.json()).toMatchObject({ scopes: ['pin.read', 'dcr_manage'] })
    expect((await ours.manage({ method: 'DELETE', bearer })).status).toBe(204)
    expect((await ours.manage({ bearer })).status).toBe(401)
    // By default no access token may manage a client.
    const usual = bench({ unrequestedScopes: 'dcr_manage' })
    const { manage: managing } = await registered(usual)
    expect((await managing({ bearer: await usual.token() })).status).toBe(401)
  },
  async foreignTokenStatus(bench) {
    const alike = bench({ foreignTokenStatus: '401' })
    const ours = await registered(alike)
    const other = await registered(alike, 'other')
    expect(await seen(await ours.manage({ bearer: other.bearer }))).toEqual(
      example('as_register_manage', 'wrong, rotated'),
    )
  },
  async unknownClientStatus(bench) {
    const product = bench({ unknownClientStatus: '404' })
    const { manage } = await registered(product)
    await manage({ method: 'DELETE' })
    expect(await seen(await manage())).toEqual({
      status: 404,
      body: {
        error: 'The requested resource could not be found',
        error_code: 404,
        error_hint: `Object with ID ${CLIENT_ID} does not exist`,
      },
    })
  },
  async updateBody(bench) {
    const rfc = bench({ updateBody: 'rfc' })
    const strict = await registered(rfc)
    const { client_id: _, ...anonymous } = await updateBody(rfc)
    expect((await strict.manage({ method: 'PUT', json: anonymous })).status).toBe(400)
    const acp = bench({ updateBody: 'acp' })
    const lenient = await registered(acp)
    const json = await updateBody(acp, { client_id: 'ignored', client_id_issued_at: 0 })
    expect((await lenient.manage({ method: 'PUT', json })).status).toBe(200)
    const either = bench({})
    const usual = await registered(either)
    const { client_id: __, ...without } = await updateBody(either)
    expect((await usual.manage({ method: 'PUT', json: without })).status).toBe(200)
  },
  async updateNeedsStatement(bench) {
    const lenient = bench({ updateNeedsStatement: false })
    const { client, manage } = await registered(lenient)
    const { software_statement: _, ...json } = await updateBody(lenient, { scopes: ['pin.read'] })
    const after = (await (await manage({ method: 'PUT', json })).json()) as Json
    expect(after).toMatchObject({ software_statement: client.software_statement, scopes: ['pin.read'] })
  },
  async audience(bench) {
    const strict = bench({ audience: 'strict' })
    await strict.register()
    expect((await strict.askToken()).status).toBe(401)
    expect((await strict.askToken({ audience: [URLS.old] })).status).toBe(401)
    expect((await strict.askToken({ audience: URLS.old })).status).toBe(200)
  },
  async requireKid(bench) {
    const strict = bench({ requireKid: true })
    await strict.register()
    expect((await strict.askToken({ header: { kid: undefined } })).status).toBe(401)
    expect(lastDecision(strict)).toBe('refused: the assertion has no kid')
  },
  async requireIat(bench) {
    const strict = bench({ requireIat: true })
    await strict.register()
    expect((await strict.askToken({ without: ['iat'] })).status).toBe(401)
    expect(lastDecision(strict)).toBe('refused: iat is missing or not a number')
  },
  async requireJti(bench) {
    const strict = bench({ requireJti: true })
    await strict.register()
    const answer = await strict.askToken({ without: ['jti'] })
    expect(await answer.json()).toMatchObject({
      error_hint: "Claim 'jti' from 'client_assertion' must be set but is not.",
    })
    expect(lastDecision(strict)).toBe('refused: jti is missing or not a text')
  },
  async assertionErrors(bench) {
    const specific = bench({ assertionErrors: 'specific' })
    await specific.register()
    const code = async (changes: Parameters<Bench['askToken']>[0]) => {
      const answer = await specific.askToken(changes)
      return `${answer.status} ${((await answer.json()) as Json).error}`
    }
    expect(await code({ header: { kid: 'unknown' } })).toBe('400 invalid_request')
    const used = { form: { client_assertion: await specific.assertion(`${URLS.old}/oauth2/token`) } }
    expect((await specific.askToken(used)).status).toBe(200)
    expect(await code(used)).toBe('400 jti_known')
    expect(await code({ key: 'rogue' })).toBe('401 invalid_client')
    // The directory has one answer for all.
    const client_assertion = await specific.assertion(URLS.directory, { header: { kid: 'unknown' } })
    const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    expect(await seen(await specific.askDirectoryToken({ client_assertion_type, client_assertion }))).toEqual(
      example('directory_token', 'untrusted client certificate'),
    )
  },
  async assertionMaxLifeSeconds(bench) {
    const long = bench({ assertionMaxLifeSeconds: 3600 })
    await long.register()
    expect((await long.askToken({ claims: { exp: long.twin.state.seconds() + 3600 } })).status).toBe(200)
  },
  async clockSkewSeconds(bench) {
    const exact = bench({ clockSkewSeconds: 0 })
    await exact.register()
    expect((await exact.askToken({ claims: { iat: exact.twin.state.seconds() + 8 } })).status).toBe(401)
  },
  async accessTokenSeconds(bench) {
    const short = bench({ accessTokenSeconds: 5 })
    await short.register()
    expect(await (await short.askToken()).json()).toMatchObject({ expires_in: 4 })
    const bearer = await short.token()
    short.twin.state.advance(6000)
    expect((await short.send(URLS.cards, { bearer })).status).toBe(401)
  },
  async unscopedToken(bench) {
    const exact = bench({ unscopedToken: 'refused' })
    await exact.register()
    expect(await seen(await exact.askToken())).toEqual(example('as_token', 'scope beyond'))
    expect((await exact.askToken({ form: { scope: 'cards.read' } })).status).toBe(200)
  },
  async pmClaims(bench) {
    const silent = bench({ pmClaims: false })
    await silent.register()
    silent.twin.state.setMetadata(CLIENT_ID)
    expect(decodeJwt(await silent.token())).not.toHaveProperty('pmid')
  },
  async tokensAfterDelete(bench) {
    const surviving = bench({ tokensAfterDelete: 'alive' })
    const { manage } = await registered(surviving)
    const bearer = await surviving.token()
    await manage({ method: 'DELETE' })
    expect((await surviving.send(URLS.cards, { bearer })).status).toBe(200)
  },
  async tokensAfterUpdate(bench) {
    for (const [tokensAfterUpdate, status] of [
      ['alive', 200],
      ['revoked', 401],
    ] as const) {
      const updating = bench({ tokensAfterUpdate })
      const { manage } = await registered(updating)
      const bearer = await updating.token()
      await manage({ method: 'PUT', json: await updateBody(updating) })
      expect((await updating.send(URLS.cards, { bearer })).status).toBe(status)
    }
  },
  async metadataSet(bench) {
    const claims = async (given: Partial<Switches>) => {
      const twin = bench(given)
      const { manage } = await registered(twin)
      const before = decodeJwt(await twin.token()).pmid
      await manage({ method: 'PUT', json: await updateBody(twin) })
      return [before, decodeJwt(await twin.token()).pmid].map((pmid) => pmid !== undefined)
    }
    expect(await claims({ metadataSet: 'at-once' })).toEqual([true, false])
    expect(await claims({})).toEqual([false, false])
  },
  async requirePmMetadata(bench) {
    const demanding = bench({ requirePmMetadata: true })
    await demanding.register()
    const bearer = await demanding.token()
    const refused = await demanding.send(URLS.cards, { bearer })
    expect(refused.status).toBe(403)
    expect(await refused.json()).toMatchObject({ title: 'Programme Manager metadata is not set for this client' })
    demanding.twin.state.setMetadata(CLIENT_ID)
    expect((await demanding.send(URLS.cards, { bearer })).status).toBe(200)
  },
  async errorShape(bench) {
    const ask = async (errorShape: Switches['errorShape']) =>
      await (await bench({ errorShape }).askRegistration({ software_statement: undefined })).json()
    expect(await ask('oauth')).toEqual({
      error: 'invalid_software_statement',
      error_description: 'software_statement is required',
    })
    expect(await ask('generic')).toEqual({
      error: 'software_statement is required',
      error_code: 400,
      error_hint: 'invalid_software_statement',
    })
    expect(await ask('administrative')).toEqual({
      error: 'software_statement is required',
      error_code: '400',
      status_code: 400,
      details: {},
    })
  },
}

test.each(Object.entries(SWITCHED))('switch %s changes the behaviour that it names', async (_, check) => {
  await check((given) => makeBench(pki, given))
})

test('every switch has a default that is one of its values, and an error names a wrong one', () => {
  expect(Object.keys(SWITCHED)).toEqual(Object.keys(SWITCHES))
  createTwin({ pki, switches: Object.fromEntries(Object.entries(SWITCHES).map(([name, row]) => [name, row.default])) })

  // Values that a file or a flag could hold, though the types do not allow them.
  const wrong = (given: Json) => () => createTwin({ pki, switches: given as Partial<Switches> })
  expect(wrong({ colour: 'red' })).toThrow('unknown switch "colour"')
  expect(wrong({ scopeMode: 'x' })).toThrow('switch "scopeMode" cannot be "x"; expected "filter" or "strict"')
  expect(wrong({ rotateOnRead: 1 })).toThrow('switch "rotateOnRead" cannot be 1; expected true or false')
  expect(wrong({ ssaMaxAgeSeconds: -1 })).toThrow(
    'switch "ssaMaxAgeSeconds" cannot be -1; expected a whole number of seconds',
  )
  expect(wrong({ unrequestedScopes: [] })).toThrow(
    'switch "unrequestedScopes" cannot be []; expected scopes separated by spaces',
  )
})

test('a host, path, method or workspace that the twin does not have is answered with a sentence', async () => {
  const bench = makeBench(pki)

  expect(await seen(await bench.send('https://example.com/'))).toEqual({
    status: 404,
    body: { error: 'unknown_host', error_description: 'the twin does not stand for host "example.com"' },
  })
  expect(await seen(await bench.send(`${URLS.old}/par`))).toEqual({
    status: 501,
    body: {
      error: 'not_implemented',
      error_description:
        'the twin does not answer "/uat-thredd/confidential-clients/par" on host "uat-thredd.mtls.eu.authz.cloudentity.io"',
    },
  })
  expect(await seen(await bench.send(`${URLS.old}/oauth2/register`))).toEqual({
    status: 405,
    body: { error: 'method_not_allowed', error_description: 'the method must be one of: POST' },
  })
  // The path of one name on the host of the other.
  const mixed = `${new URL(URLS.custom).origin}${new URL(URLS.old).pathname}/oauth2/token`
  expect((await bench.send(mixed)).status).toBe(404)
})

test('a fault changes, adds or removes one member of one operation until it is reset; the state changes as without it', async () => {
  const bench = makeBench(pki)
  const use = (...faults: ReturnType<typeof changeField>[]) => {
    bench.twin.reset()
    for (const fault of faults) bench.twin.use(...fault.handlers(bench.twin))
  }

  use(changeField('directoryDiscovery', '/mtls_endpoint_aliases/token_endpoint', 'https://evil.example/token'))
  const discovery = await bench.send(`${URLS.directory}/.well-known/openid-configuration`, { as: 'none' })
  expect(await discovery.json()).toEqual({
    ...directoryDiscovery,
    mtls_endpoint_aliases: {
      ...directoryDiscovery.mtls_endpoint_aliases,
      token_endpoint: 'https://evil.example/token',
    },
  })

  use(changeField('registerClient', '/client_id', undefined), changeField('registerClient', '/scopes/0', undefined))
  const client = await bench.register()
  expect(client).not.toHaveProperty('client_id')
  expect(client.scopes).toEqual(documentedRequest.scopes.slice(1))
  expect(bench.twin.state.clients.has(CLIENT_ID)).toBe(true)

  use(changeField('token', '/added', { deep: [1] }))
  expect(await (await bench.askToken()).json()).toMatchObject({ added: { deep: [1] }, expires_in: 599 })
  use(changeStatus('token', 503))
  expect((await bench.askToken()).status).toBe(503)
  use(changeContentType('token', 'text/html'))
  expect((await bench.askToken()).headers.get('content-type')).toBe('text/html')
  use(changeHeader('token', 'cache-control', undefined))
  expect((await bench.askToken()).headers.get('cache-control')).toBeNull()
  use(replaceBody('token', '{"half'))
  expect(await (await bench.askToken()).text()).toBe('{"half')
  use(loseAnswer('deleteClient'))
  const url = String(client.registration_client_uri)
  const lost = await bench.send(url, { method: 'DELETE', bearer: String(client.registration_access_token) })
  expect(lost.type).toBe('error')
  expect(bench.twin.state.clients.size).toBe(0)
  use()
  await bench.register()
  expect(await (await bench.askToken()).json()).toMatchObject({ token_type: 'bearer' })
})

test('every fault describes what it does', () => {
  const faults = [
    changeField('token', '/expires_in', '599'),
    changeField('token', '/scope', undefined),
    changeStatus('token', 500),
    changeContentType('token', 'text/html'),
    changeHeader('token', 'pragma', undefined),
    replaceBody('token', ''),
    loseAnswer('token'),
  ]

  expect(faults.map(({ name, what }) => `${name} | ${what}`)).toEqual([
    'token /expires_in is "599" | member /expires_in of the answer of token is "599"',
    'token /scope is missing | member /scope of the answer of token is missing',
    'token status 500 | token answers with status 500',
    'token content-type is "text/html" | header content-type of token is "text/html"',
    'token pragma is missing | header pragma of token is missing',
    'token body | the body of token is another text',
    'token answer lost | the answer of token is lost after it took effect',
  ])
})

test('a handler that throws gives an answer 500 and a log entry; the request does not hang', async () => {
  const bench = makeBench(pki)
  bench.twin.use(
    http.all('*', () => {
      throw new Error('out of order\nsecond line')
    }),
  )

  const answer = await bench.askDirectoryToken()

  expect(answer.status).toBe(500)
  expect(lastDecision(bench)).toBe('fault of the twin: out of order second line')
  bench.twin.reset()
  bench.twin.use(...changeField('directoryToken', '/nowhere/deep', 1).handlers(bench.twin))
  expect((await bench.askDirectoryToken()).status).toBe(500)
  expect(lastDecision(bench)).toContain('the answer has no member for "/nowhere/deep"')
})

test('the log holds no token, secret, assertion or software statement', async () => {
  const bench = makeBench(pki)
  const software_statement = await bench.statement()
  const client_assertion = await bench.assertion(`${URLS.old}/oauth2/token`)
  const { client, manage } = await registered(bench)
  const bearer = await bench.token({ client_assertion })
  await bench.send(`${URLS.cards}?access_token=${bearer}`)
  await manage({ method: 'DELETE' })
  await manage()

  const log = JSON.stringify(bench.twin.log)
  const secrets = [software_statement, client_assertion, bearer, client.client_secret, client.registration_access_token]
  for (const secret of [...secrets, ...software_statement.split('.')]) expect(log).not.toContain(secret)
  expect(log).toContain('?access_token=…')
})

test('ids, tokens and times come from the given sources, and answers contain the given addresses', async () => {
  let count = 0
  const twin = createTwin({
    pki,
    now: () => new Date('2031-01-02T03:04:05.678Z'),
    random: (size) => new Uint8Array(size).fill(count++),
    publish: (url) => url.replace(/^https:\/\/([^/]+)/, 'https://localhost:8443/$1'),
  })

  expect(twin.state.now().toISOString()).toBe('2031-01-02T03:04:05.678Z')
  expect(twin.state.uuid()).toBe('01010101-0101-4101-8101-010101010101')
  expect(twin.state.token(3)).toBe('AgIC')
  const answer = await twin.answer(new Request(`${URLS.directory}/.well-known/openid-configuration`), undefined)
  expect(await answer.json()).toMatchObject({
    issuer: 'https://localhost:8443/auth.directory.sandbox.threddid.com',
    mtls_endpoint_aliases: { token_endpoint: 'https://localhost:8443/matls-auth.directory.sandbox.threddid.com/token' },
  })
  // By the twin's clock, a certificate of today is expired or not yet valid.
  const certificate = new X509Certificate(pki.identities.transport.certificate)
  const late = await twin.answer(new Request(`${URLS.old}/.well-known/jwks.json`), certificate)
  expect([late.type, twin.log.at(-1)?.decision]).toEqual(['error', 'certificate refused: the certificate has expired'])
})

test('in an msw set-up of a test one handler answers for the documented hosts and leaves other requests alone', async () => {
  const { twin } = makeBench(pki)
  const handlers = threddHandlers(twin, new X509Certificate(pki.identities.transport.certificate))

  const known = await getResponse(handlers, new Request(`${URLS.old}/.well-known/openid-configuration`))
  const unknown = await getResponse(handlers, new Request('https://example.com/'))

  expect(known?.status).toBe(200)
  expect(unknown).toBeUndefined()
})
