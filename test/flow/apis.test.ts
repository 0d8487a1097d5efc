import { readdirSync, readFileSync } from 'node:fs'
import { Validator } from '@cfworker/json-schema'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

type Json = null | boolean | number | string | Json[] | JsonObject
interface JsonObject {
  [name: string]: Json
}

interface Sample {
  readonly name: string
  readonly file: string
  /** an operation with "request" or the status of an answer, or a component schema */
  readonly of:
    | { readonly operation: string; readonly part: string; readonly type?: string }
    | { readonly schema: string }
  readonly document: Json
  /** what the schema must not let be missing, and who says so; every other member may be left out */
  readonly required: Readonly<Record<string, string>>
  /** members that may have another type, with the reason; each other member keeps its own */
  readonly retyped?: Readonly<Record<string, string>>
}

const APIS = new URL('../../flows/apis/', import.meta.url)
const FIXTURES = new URL('../../fixtures/thredd/', import.meta.url)
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']
const FORM = 'application/x-www-form-urlencoded'

const apis = new Map(
  readdirSync(APIS)
    .sort()
    .map((file) => [file, parse(readFileSync(new URL(file, APIS), 'utf8')) as JsonObject]),
)
const august = object(fixture('dcr-response-2024-08.json'))
const september = object(fixture('dcr-response-2024-09.json'))
const errors = object(fixture('error-examples.json'))

/** What must be there. Whatever a standard or the page leaves open may be missing, and that is no failure. */
const REQUIRED = {
  metadata: {
    issuer: 'RFC 8414 section 2',
    authorization_endpoint: 'OpenID Connect Discovery 1.0 section 3',
    token_endpoint: 'OpenID Connect Discovery 1.0 section 3',
    jwks_uri: 'OpenID Connect Discovery 1.0 section 3',
    response_types_supported: 'RFC 8414 section 2',
    subject_types_supported: 'OpenID Connect Discovery 1.0 section 3',
    id_token_signing_alg_values_supported: 'OpenID Connect Discovery 1.0 section 3',
  },
  token: { access_token: 'RFC 6749 section 5.1', token_type: 'RFC 6749 section 5.1' },
  client: {
    client_id: 'RFC 7591 section 3.2.1',
    client_secret_expires_at: 'RFC 7591 section 3.2.1, beside a client_secret',
    registration_access_token: 'RFC 7592 section 3, and Thredd, section 3.3.3',
    registration_client_uri: 'RFC 7592 section 3, and Thredd, section 3.3.3',
    'jwks.keys': 'RFC 7517 section 5.1',
  },
  products: { '0.productID': 'relied on', '0.productName': 'relied on' },
  keys: {
    keys: 'RFC 7517 section 5.1',
    'keys.0.kty': 'RFC 7517 section 4.1',
    'keys.0.n': 'RFC 7518 section 6.3.1',
    'keys.0.e': 'RFC 7518 section 6.3.1',
  },
  jwtHeader: { alg: 'RFC 7515 section 4.1.1' },
  statement: { iss: 'RFC 7591 section 2.3' },
  boundToken: { cnf: 'RFC 8705 section 3.1', 'cnf.x5t#S256': 'RFC 8705 section 3.1' },
  registration: {
    grant_types: 'without it the product registers another kind of client',
    application_type: 'the same',
    token_endpoint_auth_method: 'the same',
    scopes: 'the same',
    tls_client_certificate_bound_access_tokens: 'the same',
    response_types: 'the same',
    software_statement: 'the credential',
  },
  tokenRequest: {
    grant_type: 'RFC 6749 section 4.4.2',
    client_assertion_type: 'RFC 7521 section 4.2',
    client_assertion: 'RFC 7521 section 4.2',
  },
  directoryRequest: {
    grant_type: 'RFC 6749 section 4.4.2',
    scope: 'the directory grants none by itself',
    client_id: 'RFC 8705 section 2',
  },
  error: { error: 'RFC 6749 section 5.2' },
  errors: { errors: 'the one member' },
  none: {},
} as const

/** error_code is a text in the third shape of Cloudentity ACP, a number in the second. */
const RETYPED = { error_code: 'two shapes of Cloudentity ACP have it' } as const

const ANSWERS: readonly Sample[] = [
  answer('directory.openapi.yaml', 'directoryDiscovery', '200', 'well-known-directory.json', REQUIRED.metadata),
  answer('directory.openapi.yaml', 'directoryToken', '200', 'directory-token-response.json', REQUIRED.token),
  answer(
    'authorization.openapi.yaml',
    'authorizationDiscovery',
    '200',
    'well-known-authorization-server.json',
    REQUIRED.metadata,
  ),
  answer('authorization.openapi.yaml', 'registerClient', '201', 'dcr-response-2024-08.json', REQUIRED.client),
  answer('authorization.openapi.yaml', 'registerClient', '201', 'dcr-response-2024-09.json', REQUIRED.client),
  answer('authorization.openapi.yaml', 'readClient', '200', 'dcr-response-2024-08.json', REQUIRED.client),
  answer('authorization.openapi.yaml', 'readClient', '200', 'dcr-response-2024-09.json', REQUIRED.client),
  answer('authorization.openapi.yaml', 'updateClient', '200', 'dcr-response-2024-08.json', REQUIRED.client),
  answer('authorization.openapi.yaml', 'updateClient', '200', 'dcr-response-2024-09.json', REQUIRED.client),
  answer('authorization.openapi.yaml', 'token', '200', 'token-response.json', REQUIRED.token),
  answer('cards.openapi.yaml', 'cardsSmoke', '200', 'products.json', REQUIRED.products),
  answer('api-hub.openapi.yaml', 'listProducts', '200', 'products.json', REQUIRED.products),
  ...operations('keystore.openapi.yaml')
    .filter(({ id }) => id.endsWith('Jwks'))
    .map(({ id }) => answer('keystore.openapi.yaml', id, '200', 'keystore-application-jwks.json', REQUIRED.keys)),
  {
    name: 'redirect URIs of the 2024-08 answer',
    file: 'keystore.openapi.yaml',
    of: { operation: 'redirectUris', part: '200' },
    document: august.redirect_uris ?? null,
    required: REQUIRED.none,
  },
]

const TOKENS: readonly Sample[] = [
  ...['ssa-claims-2024-08.json', 'ssa-claims-2024-09.json'].flatMap((name) => [
    claims(name, 'header', 'directory-api.openapi.yaml', 'SoftwareStatementHeader', REQUIRED.jwtHeader),
    claims(name, 'payload', 'directory-api.openapi.yaml', 'SoftwareStatementClaims', REQUIRED.statement),
  ]),
  claims('access-token-claims.json', 'header', 'authorization.openapi.yaml', 'AccessTokenHeader', REQUIRED.jwtHeader),
  claims('access-token-claims.json', 'payload', 'authorization.openapi.yaml', 'AccessTokenClaims', REQUIRED.boundToken),
]

const REQUESTS: readonly Sample[] = [
  ...['dcr-request-example.json', 'dcr-request-eds.json'].flatMap((name) =>
    ['registerClient', 'updateClient'].map((operation) => ({
      name,
      file: 'authorization.openapi.yaml',
      of: { operation, part: 'request' },
      document: { ...object(fixture(name)), software_statement: september.software_statement ?? null },
      required: REQUIRED.registration,
    })),
  ),
  {
    name: 'directory token request with the certificate alone',
    file: 'directory.openapi.yaml',
    of: { operation: 'directoryToken', part: 'request', type: FORM },
    document: {
      grant_type: 'client_credentials',
      scope: 'directory:software',
      client_id: september.client_id ?? null,
    },
    required: REQUIRED.directoryRequest,
  },
  {
    name: 'API token request',
    file: 'authorization.openapi.yaml',
    of: { operation: 'token', part: 'request', type: FORM },
    document: {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: september.software_statement ?? null,
      client_id: september.client_id ?? null,
      scope: 'cards.read cards.write',
    },
    required: REQUIRED.tokenRequest,
  },
]

const ERRORS: readonly Sample[] = [
  ...refusals('directory_token', 'directory.openapi.yaml', ['directoryToken'], REQUIRED.error),
  ...refusals('directory_assertion', 'directory-api.openapi.yaml', ['getSoftwareStatementAssertion'], REQUIRED.errors),
  ...refusals('as_register_post', 'authorization.openapi.yaml', ['registerClient'], REQUIRED.error, RETYPED),
  ...refusals(
    'as_register_manage',
    'authorization.openapi.yaml',
    ['readClient', 'updateClient', 'deleteClient'],
    REQUIRED.error,
    RETYPED,
  ),
  ...refusals('as_token', 'authorization.openapi.yaml', ['token'], REQUIRED.error, RETYPED),
  ...refusals('cards_api', 'cards.openapi.yaml', ['cardsSmoke'], REQUIRED.none),
  ...refusals('cards_api', 'api-hub.openapi.yaml', ['listProducts'], REQUIRED.none),
]

describe.each([
  ['answer', ANSWERS],
  ['token', TOKENS],
  ['request', REQUESTS],
  ['error', ERRORS],
])('each documented %s', (_, samples) => {
  test.each(samples.map((sample) => [`${sample.name} (${label(sample)})`, sample] as const))(
    '%s fits its schema; what is required must be there, the rest may be missing, and each member keeps its type',
    (_name, sample) => {
      const validator = validatorFor(sample)
      expect(validator.validate(sample.document).errors).toEqual([])

      const all = changes(sample.document)
      const refused = all.filter(({ document }) => !validator.validate(document).valid)
      const of = (kind: string, list: readonly { readonly change: string }[]) =>
        list.flatMap(({ change }) => (change.endsWith(` ${kind}`) ? change.slice(0, -kind.length - 1) : [])).sort()
      const present = new Set(of('removed', all))
      const required = Object.keys(sample.required).filter((member) => present.has(member))
      const free = Object.keys(sample.retyped ?? {})
      expect(of('removed', refused)).toEqual(required.sort())
      expect(of('retyped', refused)).toEqual(of('retyped', all).filter((member) => !free.includes(member)))
    },
  )
})

test('each required member is in some sample', () => {
  const all = [ANSWERS, TOKENS, REQUESTS, ERRORS].flat()
  const present = new Set(all.flatMap(({ document }) => changes(document).map(({ change }) => change)))
  const named = Object.values(REQUIRED).flatMap((members) => Object.keys(members))
  expect(named.filter((member) => !present.has(`${member} removed`))).toEqual([])
})

test('a software statement is a compact JWT as text or as a JSON string, and nothing else', () => {
  for (const type of ['application/jwt', 'application/json']) {
    const validator = validatorFor({
      name: 'software statement',
      file: 'directory-api.openapi.yaml',
      of: { operation: 'getSoftwareStatementAssertion', part: '200', type },
      document: null,
      required: REQUIRED.none,
    })
    const jwt = String(august.software_statement)
    const accepted = [jwt, String(september.software_statement), `${jwt}\n`]
    const refused = ['', jwt.slice(0, jwt.lastIndexOf('.')), `${jwt}.`, `"${jwt}"`, `${jwt} ${jwt}`, '<html></html>']
    const others = [7, true, null, [jwt], { software_statement: jwt }]
    expect(accepted.filter((body) => !validator.validate(body).valid)).toEqual([])
    expect([...refused, ...others].filter((body) => validator.validate(body).valid)).toEqual([])
  }
})

test('a registration answer needs its handle: empty identifiers, relative addresses and loose times are refused', () => {
  const validator = validatorFor(answer('authorization.openapi.yaml', 'registerClient', '201', 'token-response.json'))
  const faults: JsonObject = {
    client_id: '',
    registration_access_token: '',
    registration_client_uri: '/oauth2/register/1',
    jwks_uri: 'http://keystore.directory.sandbox.threddid.com/application.jwks',
    client_id_issued_at: 1723556609.5,
    client_secret_expires_at: -1,
    created_at: '2024-08-13 13:43:29Z',
    updated_at: '2024-08-13T13:43:29.6190679121Z',
    software_statement: '{{ssa}}',
    scopes: ['cards.read cards.write'],
  }
  const unnoticed = Object.entries(faults).filter(
    ([name, value]) => validator.validate({ ...august, [name]: value }).valid,
  )
  expect(unnoticed).toEqual([])
})

test('what the documentation leaves open is let through', () => {
  const validator = validatorFor(answer('authorization.openapi.yaml', 'registerClient', '201', 'token-response.json'))
  const open: JsonObject = {
    client_id: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
    registration_access_token: 'any-shape',
    registration_access_token_expires_in: 2592000,
    created_at: '2024-08-13T13:43:29Z',
    token_exchange: { actor_claims: ['sub'] },
    privacy: { scopes: {} },
    authorization_details_types: [],
    a_member_of_tomorrow: true,
  }
  expect(validator.validate({ ...august, ...open }).errors).toEqual([])
})

test('a secret in a later answer comes with the time at which it expires', () => {
  const validator = validatorFor(answer('authorization.openapi.yaml', 'readClient', '200', 'token-response.json'))
  const { client_secret_expires_at: _expires, ...withoutTime } = august
  const { client_secret: _secret, ...withoutSecret } = withoutTime
  expect(validator.validate(withoutTime).valid).toBe(false)
  expect(validator.validate(withoutSecret).errors).toEqual([])
})

test('an update may name the client and must not carry what only the server may say', () => {
  const [request] = REQUESTS.filter(({ of }) => 'operation' in of && of.operation === 'updateClient')
  if (request === undefined) throw new Error('no update request')
  const validator = validatorFor(request)
  const body = object(request.document)
  expect(validator.validate({ ...body, client_id: september.client_id, response_types: ['token'] }).errors).toEqual([])
  for (const name of [
    'registration_access_token',
    'registration_client_uri',
    'client_secret_expires_at',
    'client_id_issued_at',
  ]) {
    expect(validator.validate({ ...body, [name]: september[name] }).valid).toBe(false)
  }
})

test('a key set that publishes a private key is refused', () => {
  const keystore = answer('keystore.openapi.yaml', 'applicationJwks', '200', 'keystore-application-jwks.json')
  const [key] = array(object(keystore.document).keys)
  expect(validatorFor(keystore).validate({ keys: [{ ...object(key), d: 'AQAB' }] }).valid).toBe(false)

  const server = validatorFor(answer('authorization.openapi.yaml', 'authorizationJwks', '200', 'token-response.json'))
  const point = { kty: 'EC', kid: '53344971388360104015018833561929981121', crv: 'P-256', x: 'AQAB', y: 'AQAB' }
  expect(server.validate({ keys: [point] }).errors).toEqual([])
  const { y: _y, ...half } = point
  for (const wrong of [{ ...point, d: 'AQAB' }, { ...point, k: 'AQAB' }, half, { kty: 'RSA', kid: '1', n: 'AQAB' }]) {
    expect(server.validate({ keys: [wrong] }).valid).toBe(false)
  }
})

test('the registration answer has the 67 members of both samples, with the types the product publishes', () => {
  const members = object(component('authorization.openapi.yaml', 'ClientInformation').properties)
  expect(Object.keys(members)).toEqual(Object.keys(august))
  expect(Object.keys(members)).toEqual(Object.keys(september))
  expect(Object.keys(members)).toHaveLength(67)

  const product = object(fixture('acp-dcr-fields.json'))
  const published = { ...object(product.request), ...object(product.response_only) }
  const KINDS: Readonly<Record<string, string>> = { $RedirectURIs: 'array', $ResponseTypes: 'array' }
  const different = Object.entries(members).filter(([name, member]) => {
    const kind = String(object(published[name]).type)
    const expected = KINDS[kind] ?? (kind.startsWith('$') ? 'object' : kind.replace(/<.*/, ''))
    const { type } = object(followed('authorization.openapi.yaml', member))
    return ![type].flat().includes(expected)
  })
  expect(different.map(([name]) => name)).toEqual([])
})

test.each([...apis])(
  '%s is OpenAPI 3.1 whose references and path parameters all resolve within the file',
  (file, api) => {
    expect(api.openapi).toMatch(/^3\.1\.\d+$/)
    for (const reference of references(api)) expect(() => resolve(file, reference)).not.toThrow()
    for (const { path, item, operation, id } of operations(file)) {
      const declared = [...list(item.parameters), ...list(operation.parameters)]
        .map((parameter) => object(followed(file, parameter)))
        .filter((parameter) => parameter.in === 'path')
        .map(({ name, required }) => ({ name, required }))
      const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => ({ name, required: true }))
      expect({ id, parameters: declared }).toEqual({ id, parameters: named })
      expect(Object.keys(object(operation.responses)).filter((status) => /^2\d\d$/.test(status))).toHaveLength(1)
    }
  },
)

test('each operation has an id that no other file uses', () => {
  const ids = [...apis.keys()].flatMap((file) => operations(file).map(({ id }) => id))
  expect(ids.sort()).toEqual([
    'applicationJwks',
    'authorizationDiscovery',
    'authorizationJwks',
    'cardsSmoke',
    'deleteClient',
    'directoryDiscovery',
    'directoryJwks',
    'directoryToken',
    'getSoftwareStatementAssertion',
    'inactiveApplicationJwks',
    'inactiveTransportJwks',
    'introspect',
    'listProducts',
    'organisationApplicationJwks',
    'organisationInactiveApplicationJwks',
    'organisationInactiveTransportJwks',
    'organisationTransportJwks',
    'readClient',
    'redirectUris',
    'registerClient',
    'revoke',
    'token',
    'transportJwks',
    'updateClient',
  ])
})

test('mutual TLS is declared wherever the host asks for the certificate, and bearer tokens where one is sent', () => {
  const needed: Record<string, string[]> = {}
  for (const [file, api] of apis) {
    for (const { id, operation } of operations(file)) {
      const [requirement] = list(operation.security ?? api.security ?? [])
      const schemes = Object.keys(object(requirement ?? {}))
      const kind = schemes
        .map((name) => object(resolve(file, `#/components/securitySchemes/${name}`)))
        .map(({ type, scheme }) => [type, scheme].filter((part) => part !== undefined).join(' '))
        .join(' + ')
      needed[kind] = [...(needed[kind] ?? []), id]
    }
  }
  expect(needed).toEqual({
    'mutualTLS + http bearer': [
      'listProducts',
      'readClient',
      'updateClient',
      'deleteClient',
      'cardsSmoke',
      'getSoftwareStatementAssertion',
    ],
    mutualTLS: [
      'authorizationDiscovery',
      'authorizationJwks',
      'registerClient',
      'token',
      'introspect',
      'revoke',
      'directoryToken',
    ],
    '': [
      'directoryDiscovery',
      'directoryJwks',
      'applicationJwks',
      'transportJwks',
      'inactiveApplicationJwks',
      'inactiveTransportJwks',
      'redirectUris',
      'organisationApplicationJwks',
      'organisationTransportJwks',
      'organisationInactiveApplicationJwks',
      'organisationInactiveTransportJwks',
    ],
  })
})

test('the HTML page of a proxy that misses the certificate is expected wherever the certificate is', () => {
  const surprised = [...apis].flatMap(([file, api]) =>
    operations(file)
      .filter(({ operation }) => list(operation.security ?? api.security).length > 0)
      .filter(({ operation }) => {
        const refusal = object(followed(file, object(operation.responses)['400']))
        return !('text/html' in object(refusal.content))
      })
      .map(({ id }) => id),
  )
  expect(surprised).toEqual([])
})

test('each server is a host of the catalogue and says whether it is documented or inferred', () => {
  const catalogue = Object.values(object(object(fixture('hosts.json')).environments)).flatMap((environment) =>
    Object.values(object(environment)).map((host) => object(host)),
  )
  for (const server of [...apis.values()].flatMap(servers)) {
    const host = catalogue.find(({ value }) => value === server.url || String(value).startsWith(`${server.url}/`))
    const mark = String(host?.status).split(' ')[0]
    expect(server).toEqual({ url: server.url, description: expect.stringContaining(`[${mark}`) })
  }
})

test('members that hold a secret are marked as such', () => {
  const SECRETS = new Set([
    'access_token',
    'client_assertion',
    'client_secret',
    'hashed_secret',
    'registration_access_token',
    'software_statement',
  ])
  const unmarked = [...apis.values()]
    .flatMap((api) => Object.entries(object(object(api.components).schemas ?? {})))
    .flatMap(([schema, definition]) =>
      Object.entries(object(object(definition).properties ?? {}))
        .filter(([name, member]) => SECRETS.has(name) && member !== false && object(member).format !== 'password')
        .map(([name]) => `${schema}.${name}`),
    )
  expect(unmarked).toEqual([])
})

/** Every document that differs from `document` in one member: left out, or of another type; and in the type of one item. */
function changes(document: Json): { change: string; document: Json }[] {
  const below = (name: string, value: Json, rebuild: (value: Json) => Json) => [
    { change: `${name} retyped`, document: rebuild(retyped(value)) },
    ...changes(value).map((inner) => ({ change: `${name}.${inner.change}`, document: rebuild(inner.document) })),
  ]
  if (Array.isArray(document)) {
    return document.flatMap((item, index) => below(String(index), item, (value) => document.with(index, value)))
  }
  if (typeof document !== 'object' || document === null) return []
  return Object.entries(document).flatMap(([name, member]) => {
    const { [name]: _removed, ...rest } = document
    return [
      { change: `${name} removed`, document: rest },
      ...below(name, member, (value) => ({ ...document, [name]: value })),
    ]
  })
}

function retyped(value: Json): Json {
  if (value === null || typeof value === 'string') return 7
  return typeof value === 'object' ? 'another type' : String(value)
}

function answer(
  file: string,
  operation: string,
  part: string,
  name: string,
  required: Sample['required'] = {},
): Sample {
  return { name, file, of: { operation, part }, document: fixture(name), required }
}

function claims(
  name: string,
  part: 'header' | 'payload',
  file: string,
  schema: string,
  required: Sample['required'],
): Sample {
  return { name: `${part} of ${name}`, file, of: { schema }, document: object(fixture(name))[part] ?? null, required }
}

function refusals(
  group: string,
  file: string,
  names: readonly string[],
  required: Sample['required'],
  retyped: Sample['retyped'] = {},
): Sample[] {
  return list(errors[group])
    .map((example) => object(example))
    .filter(({ body }) => body !== null)
    .flatMap((example) =>
      names.map((operation) => ({
        name: String(example.case),
        file,
        of: { operation, part: String(example.http) },
        document: example.body ?? null,
        required,
        retyped,
      })),
    )
}

function validatorFor({ file, of }: Sample): Validator {
  const { components = null } = apis.get(file) ?? {}
  if ('schema' in of) return new Validator({ $ref: `#/components/schemas/${of.schema}`, components }, '2020-12', false)
  const operation = operations(file).find(({ id }) => id === of.operation)?.operation
  const part = of.part === 'request' ? operation?.requestBody : object(operation?.responses)[of.part]
  const media = object(object(object(followed(file, part)).content)[of.type ?? 'application/json'])
  return new Validator({ ...object(media.schema), components }, '2020-12', false)
}

function label({ file, of }: Sample): string {
  return 'schema' in of ? of.schema : `${file.replace('.openapi.yaml', '')}: ${of.operation} ${of.part}`
}

function operations(file: string) {
  return Object.entries(object(apis.get(file)?.paths)).flatMap(([path, entry]) => {
    const item = object(entry)
    return METHODS.filter((method) => method in item).map((method) => {
      const operation = object(item[method])
      return { path, item, operation, id: String(operation.operationId) }
    })
  })
}

function servers(api: JsonObject): JsonObject[] {
  const paths = Object.values(object(api.paths)).map((item) => object(item))
  return [api, ...paths].flatMap((owner) => list(owner.servers)).map((server) => object(server))
}

function references(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(references)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    name === '$ref' && typeof member === 'string' ? [member] : references(member),
  )
}

function resolve(file: string, reference: string): Json {
  if (!reference.startsWith('#/')) throw new Error(`"${reference}" leaves the file`)
  let value: Json = apis.get(file) ?? null
  for (const name of reference.slice(2).split('/')) value = object(value)[name] ?? null
  if (value === null) throw new Error(`"${reference}" does not exist`)
  return value
}

function followed(file: string, value: Json | undefined): Json {
  const { $ref } = object(value)
  return typeof $ref === 'string' ? followed(file, resolve(file, $ref)) : object(value)
}

function component(file: string, name: string): JsonObject {
  return object(resolve(file, `#/components/schemas/${name}`))
}

function fixture(name: string): Json {
  return JSON.parse(readFileSync(new URL(name, FIXTURES), 'utf8')) as Json
}

function object(value: Json | undefined): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('expected an object')
  return value
}

function array(value: Json | undefined): Json[] {
  if (!Array.isArray(value)) throw new Error('expected an array')
  return value
}

function list(value: Json | undefined): Json[] {
  return value === undefined ? [] : array(value)
}
