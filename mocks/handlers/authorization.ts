/**
 * The authorization server under both its names: discovery, registration and its management, tokens. Owns who may do
 * what; the rules of client metadata are metadata.ts's.
 */
import { compactVerify, decodeJwt, decodeProtectedHeader, exportJWK, SignJWT } from 'jose'
import sampleToken from '../../fixtures/thredd/access-token-claims.json' with { type: 'json' }
import sampleStatement from '../../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import discovery from '../../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import { authenticate } from '../assertion.ts'
import { empty, type Headings, json } from '../content.ts'
import { AUTHORIZATION } from '../hosts.ts'
import { type Json, MEMBERS, type Registration, register } from '../metadata.ts'
import { documentedClaims, publishedClaim, publishedDocument } from '../publish.ts'
import { refuse } from '../refusals.ts'
import { bearerToken, type Call, mediaType, NO_STORE, type Route, readForm } from '../route.ts'
import {
  type AccessToken,
  type Application,
  type Client,
  digestOf,
  type RegistrationToken,
  type State,
  subjectOf,
  thumbprint,
} from '../state.ts'

/** Not the discovery document's issuer: the sample token comes from the name without mTLS. */
const TOKEN_ISSUER = sampleToken.payload.iss
const RESOURCE_AUDIENCE = sampleToken.payload.aud[1] ?? ''

/** RFC 7592 2.2: must not be in an update. */
const NOT_IN_UPDATE = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

/** The same operations at both names, whose paths differ by the tenant segment. */
export const authorizationRoutes: readonly Route[] = Object.values(AUTHORIZATION).flatMap((base) => {
  const { hostname, pathname } = new URL(base)
  const at = (path: string) => ({ hosts: [hostname], path: new RegExp(`^${pathname}${path}$`) })
  const configuration = at('/oauth2/register/(?<client>.+)')
  const routes: readonly Route[] = [
    {
      operation: 'authorizationDiscovery',
      method: 'GET',
      ...at('/\\.well-known/openid-configuration'),
      /** The document is published for the old name; the custom domain serves it with its own addresses. */
      handle: publishedDocument(discovery, [AUTHORIZATION.old, base]),
    },
    { operation: 'authorizationJwks', method: 'GET', ...at('/\\.well-known/jwks\\.json'), handle: jwks },
    { operation: 'registerClient', method: 'POST', ...at('/oauth2/register'), handle: create },
    { operation: 'readClient', method: 'GET', ...configuration, handle: read },
    { operation: 'updateClient', method: 'PUT', ...configuration, handle: update },
    { operation: 'deleteClient', method: 'DELETE', ...configuration, handle: remove },
    { operation: 'token', method: 'POST', ...at('/oauth2/token'), handle: token },
    { operation: 'introspect', method: 'POST', ...at('/oauth2/introspect'), handle: introspect },
    { operation: 'revoke', method: 'POST', ...at('/oauth2/revoke'), handle: revoke },
  ]
  return routes
})

async function jwks(call: Call): Promise<Response> {
  const { publicKey, kid } = call.state.tokenSigner
  return json({ keys: [{ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'ES256' }] })
}

/** @see [RFC 7591 3.1](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.1) */
async function create(call: Call): Promise<Response> {
  const initial = initialAccessToken(call)
  const body = await readMetadata(call)
  const key = call.switches.idempotencyKey ? call.request.headers.get('x-idempotency-key') : null
  if (key === null) return information(await enrol(call, body, initial), 201)
  return await once(call, key, body, () => enrol(call, body, initial))
}

/** The product's idempotency: within a minute the same key is answered with the same registration, and marked so. */
async function once(call: Call, key: string, body: Json, act: () => Promise<Json>): Promise<Response> {
  const { state } = call
  if (key.length < 32 || key.length > 255) refuse('request', 'X-Idempotency-Key must have 32 to 255 characters')
  const request = digestOf(JSON.stringify(body))
  const earlier = state.idempotent.get(key)
  if (earlier !== undefined && earlier.until > state.now().getTime()) {
    if (earlier.request !== request) refuse('request', 'the idempotency key was used for another registration')
    const members = await earlier.answer
    call.note('answered again to the same idempotency key')
    return information(members, 201, { 'x-idempotent-replayed': 'true' })
  }
  const answer = act()
  state.idempotent.set(key, { request, answer, until: state.now().getTime() + REPLAY_MS })
  try {
    return information(await answer, 201)
  } catch (error) {
    // A refusal is not kept: the next try with the key is a first one.
    state.idempotent.delete(key)
    throw error
  }
}

const REPLAY_MS = 60_000

async function enrol(call: Call, body: Json, initial: string | undefined): Promise<Json> {
  const { state, switches } = call
  const { application, statement } = await verifyStatement(call, body.software_statement)
  const registration = register(body, statement, coveredBy(rolesOf(application, statement), state), switches)

  // No await from here on: of two parallel registrations exactly one gets through.
  if (state.clients.has(application.clientId)) {
    const status_code = Number(switches.secondRegistrationStatus)
    refuse('alreadyRegistered', 'the application already has a client', { status_code })
  }
  if (initial !== undefined && !state.initialAccessTokens.delete(initial)) {
    refuse('initialTokenInvalid', 'the initial access token was used meanwhile')
  }
  const now = state.now()
  const identifier = switches.uriForm === 'raw' ? application.clientId : encodeURIComponent(application.clientId)
  const client: Client = {
    clientId: application.clientId,
    softwareId: application.softwareId,
    registrationClientUri: `${AUTHORIZATION[switches.uriHost]}/oauth2/register/${identifier}`,
    members: {
      ...registration.members,
      software_statement: body.software_statement,
      client_id_issued_at: Math.floor(now.getTime() / 1000),
      created_at: nanoseconds(call, now),
      updated_at: '',
      client_secret: state.token(),
      hashed_secret: state.hex(128),
    },
    scopes: registration.scopes,
    registrationToken: newRegistrationToken(call),
    metadata: undefined,
  }
  client.members = { ...client.members, updated_at: client.members.created_at }
  state.clients.set(client.clientId, client)
  call.note(`registered ${client.clientId} with ${scopesInWords(registration)}`)
  return membersOf(client, call)
}

function read(call: Call): Response {
  const client = managed(call)
  if (call.switches.rotateOnRead) client.registrationToken = newRegistrationToken(call)
  call.note(`read ${client.clientId}`)
  return information(membersOf(client, call), 200)
}

/** @see [RFC 7592 2.2](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.2) */
async function update(call: Call): Promise<Response> {
  const { state, switches } = call
  const before = managed(call)
  const body = await readMetadata(call)
  checkUpdate(body, before, call)
  const hasStatement = body.software_statement !== undefined || switches.updateNeedsStatement
  // Where it may be left out, the registered one stays in force.
  const stated = hasStatement ? body.software_statement : before.members.software_statement
  const { application, statement } = await verifyStatement(call, stated)
  if (application.clientId !== before.clientId) {
    refuse('statementInvalid', 'the software statement is of another application')
  }
  const registration = register(body, statement, coveredBy(rolesOf(application, statement), state), switches)

  // No await from here on; the client may have been deleted or its token rotated meanwhile.
  const client = managed(call)
  client.members = {
    ...client.members,
    ...registration.members,
    software_statement: stated,
    updated_at: nanoseconds(call, state.now()),
  }
  client.scopes = registration.scopes
  // Documented: what Thredd attached to the client is gone after a PUT.
  client.metadata = undefined
  if (switches.rotateOnUpdate) client.registrationToken = newRegistrationToken(call)
  if (switches.tokensAfterUpdate === 'revoked') state.revokeTokens(client.clientId)
  call.note(`updated ${client.clientId} with ${scopesInWords(registration)}; metadata wiped`)
  return information(membersOf(client, call), 200)
}

/** @see [RFC 7592 2.3](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.3) */
function remove(call: Call): Response {
  const client = managed(call)
  call.state.deleteClient(client.clientId, call.switches.tokensAfterDelete)
  call.note(`deleted ${client.clientId}`)
  return empty(204, NO_STORE)
}

/** @see [RFC 6749 4.4](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.4) */
async function token(call: Call): Promise<Response> {
  const { state, switches } = call
  const form = await readForm(call, 'request')
  const grant = form.grant_type
  if (grant === undefined) refuse('request', 'grant_type is missing')
  const client = await authenticatedClient(call, form)
  if (!discovery.grant_types_supported.includes(grant)) refuse('grantUnknown', 'the grant type is not supported')
  const registered = client.members.grant_types as readonly string[]
  if (grant !== 'client_credentials' || !registered.includes(grant)) {
    refuse('grantNotRegistered', 'the grant type is not registered for the client')
  }
  const { certificate } = call
  if (certificate === undefined) refuse('certificateAbsent', 'no certificate to bind the token to')
  if (form.scope === undefined && switches.unscopedToken === 'refused') refuse('scope', 'no scope is asked for')
  const asked = form.scope?.split(' ') ?? client.scopes
  const beyond = asked.find((scope) => !client.scopes.includes(scope))
  if (beyond !== undefined) refuse('scope', 'a scope is not registered for the client')

  const scopes = [...new Set(asked)].sort()
  const now = state.seconds()
  const claims = sorted({
    ...sampleToken.payload,
    ...(switches.pmClaims ? client.metadata : {}),
    aud: [client.clientId, RESOURCE_AUDIENCE],
    cnf: { 'x5t#S256': thumbprint(certificate) },
    exp: now + switches.accessTokenSeconds,
    iat: now,
    iss: call.publish(TOKEN_ISSUER),
    jti: state.uuid(),
    nbf: now,
    scp: scopes,
    sub: client.clientId,
  })
  const accessToken = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: state.tokenSigner.kid, typ: 'JWT' })
    .sign(state.tokenSigner.privateKey)
  if (state.clients.get(client.clientId) !== client) refuse('client', 'the client was deleted meanwhile')
  state.accessTokens.set(digestOf(accessToken), {
    clientId: client.clientId,
    // The address of the issuer moves with the twin.
    claims: { ...claims, iss: TOKEN_ISSUER },
    expiresAt: (now + switches.accessTokenSeconds) * 1000,
  })
  call.note(`access token for ${client.clientId} with ${scopes.length} scopes, bound to the certificate`)
  return json(
    {
      access_token: accessToken,
      // One less than the token's life, as in the sample.
      expires_in: Math.max(0, switches.accessTokenSeconds - 1),
      scope: scopes.join(' '),
      token_type: 'bearer',
    },
    200,
    NO_STORE,
  )
}

/** RFC 7662 2.2; of another client's token nothing is said. */
async function introspect(call: Call): Promise<Response> {
  const found = await ownToken(call)
  if (found === undefined) {
    call.note('the token is not active')
    return json({ active: false }, 200, NO_STORE)
  }
  const { scp, ...claims } = found.claims
  const body = {
    active: true,
    ...claims,
    iss: call.publish(TOKEN_ISSUER),
    client_id: found.clientId,
    scope: scp.join(' '),
    token_type: 'bearer',
  }
  call.note(`token of ${found.clientId} is active`)
  return json(body, 200, NO_STORE)
}

/** RFC 7009 2.2: 200 also for a token that is not known. */
async function revoke(call: Call): Promise<Response> {
  const found = await ownToken(call)
  if (found !== undefined) call.state.accessTokens.delete(found.digest)
  call.note(found === undefined ? 'no such token to revoke' : `token of ${found.clientId} revoked`)
  return empty(200, NO_STORE)
}

async function ownToken(call: Call): Promise<(AccessToken & { readonly digest: string }) | undefined> {
  const form = await readForm(call, 'request')
  const client = await authenticatedClient(call, form)
  if (form.token === undefined) refuse('request', 'parameter token is missing')
  const found = call.state.livingToken(form.token)
  return found?.clientId === client.clientId ? { ...found, digest: digestOf(form.token) } : undefined
}

async function authenticatedClient(call: Call, form: Readonly<Record<string, string>>): Promise<Client> {
  const application = await authenticate(call, form, {
    server: 'authorization',
    algorithms: ['RS256', 'ES256', 'PS256'],
    issuers: Object.values(AUTHORIZATION),
    endpoints: Object.values(AUTHORIZATION).flatMap((base) =>
      ['token', 'introspect', 'revoke'].map((endpoint) => `${base}/oauth2/${endpoint}`),
    ),
    refusal: 'client',
    malformed: 'request',
  })
  const client = call.state.clients.get(application.clientId)
  if (client === undefined) refuse('client', 'the application has no registered client')
  const registered = client.members.token_endpoint_auth_signing_alg
  if (registered !== '' && decodeProtectedHeader(form.client_assertion ?? '').alg !== registered) {
    refuse('client', 'the assertion is not signed with the registered algorithm')
  }
  if (!isOwnCertificate(call, application)) refuse('client', 'the certificate belongs to another organisation')
  return client
}

/**
 * The registered client of the configuration URL, if the bearer token is its own.
 * @see [RFC 7592 2.1](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.1)
 */
function managed(call: Call): Client {
  const { state, switches, params } = call
  const value = bearerToken(call.request)
  if (value === undefined) refuse('registrationTokenAbsent', 'no registration access token')
  const client = findClient(call, params.client ?? '')
  if (client === undefined && switches.unknownClientStatus === '404') {
    const hint = `Object with ID ${plainIdentifier(params.client ?? '')} does not exist`
    refuse('notFound', 'the client does not exist', { error_hint: hint })
  }
  if (state.deadTokens.has(value)) refuse('clientDeleted', 'the token of a deleted client')
  const owner = [...state.clients.values()].find((one) => one.registrationToken.value === value)
  if (owner === undefined && !switches.registrationTokenManagement) return managedByScope(call, value, client)
  if (owner === undefined || client === undefined) {
    refuse('registrationTokenInvalid', 'the registration access token is unknown')
  }
  const { expiresAt, thumbprint: bound } = owner.registrationToken
  if (expiresAt !== undefined && expiresAt <= state.now().getTime()) {
    refuse('registrationTokenInvalid', 'the registration access token has expired')
  }
  if (!switches.registrationTokenManagement) {
    refuse('registrationTokenForeign', 'management by registration access token is switched off')
  }
  if (owner !== client) refuseForeign(call)
  if (switches.certBoundRegistrationToken) {
    if (call.certificate === undefined || thumbprint(call.certificate) !== bound) {
      refuse('registrationTokenInvalid', 'the registration access token is bound to another certificate')
    }
  }
  return client
}

/** The product's other way, for when registration access tokens manage nothing. */
function managedByScope(call: Call, value: string, client: Client | undefined): Client {
  const { state, certificate } = call
  const token = state.livingToken(value)
  if (token === undefined || client === undefined) refuse('registrationTokenInvalid', 'the access token is unknown')
  const { clientId, claims } = token
  if (certificate === undefined || claims.cnf['x5t#S256'] !== thumbprint(certificate)) {
    refuse('registrationTokenInvalid', 'the access token is bound to another certificate')
  }
  if (!claims.scp.includes('dcr_manage')) refuse('registrationTokenForeign', 'the access token lacks scope dcr_manage')
  if (clientId !== client.clientId) refuseForeign(call)
  return client
}

function refuseForeign({ switches }: Call): never {
  return refuse(
    switches.foreignTokenStatus === '403' ? 'registrationTokenForeign' : 'registrationTokenInvalid',
    "another client's token",
  )
}

/** Both documented forms of the address, and what a proxy makes of them by collapsing `//` or decoding `%2F`. */
function findClient(call: Call, sent: string): Client | undefined {
  const plain = plainIdentifier(sent)
  return [...call.state.clients.values()].find((client) => plainIdentifier(client.clientId) === plain)
}

function plainIdentifier(sent: string): string {
  try {
    return decodeURIComponent(sent).replace(/^(https?:)\/+/, '$1//')
  } catch {
    return sent
  }
}

function checkUpdate(body: Json, client: Client, call: Call): void {
  const { updateBody } = call.switches
  const wrong: (name: string, reason: string) => never = (name, reason) =>
    refuse('metadataInvalid', reason, { error_hint: name })
  if (updateBody !== 'acp') {
    const forbidden = NOT_IN_UPDATE.find((name) => body[name] !== undefined)
    if (forbidden !== undefined) wrong(forbidden, `an update must not carry ${forbidden}`)
    if (updateBody === 'rfc' && body.client_id === undefined) wrong('client_id', 'client_id is missing')
  }
  if (updateBody !== 'acp' && body.client_id !== undefined && body.client_id !== client.clientId) {
    wrong('client_id', 'client_id is of another client')
  }
  const secret = body.client_secret
  if (secret !== undefined && secret !== client.members.client_secret) {
    wrong('client_secret', 'client_secret is not the current one')
  }
}

async function readMetadata(call: Call): Promise<Json> {
  if (mediaType(call.request) !== 'application/json') refuse('metadataInvalid', 'the body is not application/json')
  const body: unknown = await call.request.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    refuse('metadataInvalid', 'the body is no JSON object')
  }
  return body as Json
}

/** The claims of a genuine, current software statement of an application that is approved. */
async function verifyStatement(
  call: Call,
  statement: unknown,
): Promise<{ readonly application: Application; readonly statement: Json }> {
  const { state, switches } = call
  if (typeof statement !== 'string' || statement === '') {
    refuse('statementAbsent', 'no software statement')
  }
  const claims: Json | undefined = await compactVerify(statement, state.ssaSigner.publicKey, {
    algorithms: ['PS256'],
  }).then(
    () => decodeJwt(statement),
    () => undefined,
  )
  if (claims === undefined) refuse('statementInvalid', 'the signature of the software statement does not verify')
  if (state.expiredStatements.has(digestOf(statement))) refuse('statementInvalid', 'the software statement has expired')
  if (claims.iss !== sampleStatement.payload.iss) refuse('statementInvalid', 'the issuer of the statement is unknown')
  const { iat, exp } = claims
  const now = state.seconds()
  if (typeof iat !== 'number' || iat > now + switches.clockSkewSeconds) {
    refuse('statementInvalid', 'iat of the statement is missing or in the future')
  }
  if (switches.ssaMaxAgeSeconds > 0 && now - iat > switches.ssaMaxAgeSeconds) {
    refuse('statementInvalid', 'the software statement is too old')
  }
  if (exp !== undefined && !(typeof exp === 'number' && exp > now)) {
    refuse('statementInvalid', 'the software statement has expired')
  }
  const application = state.applicationOfClient(String(claims.client_id))
  if (application === undefined || claims.status !== 'Active' || claims.org_status !== 'Active') {
    refuse('statementUnapproved', 'application or organisation is not active')
  }
  if (!isOwnCertificate(call, application)) {
    refuse('statementInvalid', 'the certificate belongs to another organisation than the software statement')
  }
  return { application, statement: documentedClaims(claims, application.claims) }
}

function isOwnCertificate(call: Call, application: Application): boolean {
  if (call.switches.certificateMatch === 'none' || call.certificate === undefined) return true
  return subjectOf(call.certificate).OU === application.organisationId
}

/** Roles listed in the statement count; a statement without any leaves it to what the directory says today. */
function rolesOf(application: Application, statement: Json): Iterable<string> {
  const { roles } = statement
  return Array.isArray(roles) && roles.length > 0 ? roles.map(String) : application.roles
}

function coveredBy(roles: Iterable<string>, state: State): ReadonlySet<string> {
  return new Set([...roles].flatMap((role) => state.scopesOf(role)))
}

/** RFC 7591 3: checked before the body is read, used up only by a registration that succeeds. */
function initialAccessToken(call: Call): string | undefined {
  if (call.switches.initialAccessToken === 'off') return undefined
  const value = bearerToken(call.request)
  if (value === undefined) refuse('initialTokenAbsent', 'no initial access token')
  const end = call.state.initialAccessTokens.get(value)
  if (end === undefined) refuse('initialTokenInvalid', 'the initial access token is unknown or used up')
  if (end > 0 && end <= call.state.now().getTime()) {
    refuse('initialTokenInvalid', 'the initial access token has expired')
  }
  return value
}

/** Two times 43 characters, as the samples print them. */
function newRegistrationToken(call: Call): RegistrationToken {
  const { state, switches, certificate } = call
  const life = switches.registrationTokenSeconds
  return {
    value: `${state.token()}.${state.token()}`,
    expiresAt: life === 0 ? undefined : state.now().getTime() + life * 1000,
    thumbprint: certificate === undefined ? undefined : thumbprint(certificate),
  }
}

/**
 * The client information response: the documented members in the documented order.
 * @see [RFC 7592 3](https://www.rfc-editor.org/rfc/rfc7592.html#section-3)
 */
function membersOf(client: Client, call: Call): Json {
  const all: Json = {
    ...client.members,
    registration_access_token: client.registrationToken.value,
    registration_client_uri: call.publish(client.registrationClientUri),
    registration_access_token_expires_in: call.switches.registrationTokenSeconds,
  }
  return Object.fromEntries(MEMBERS.map((name) => [name, publishedClaim(name, all[name], call.publish)]))
}

function information(members: Json, status: number, headings: Headings = {}): Response {
  return json(members, status, { ...NO_STORE, ...headings })
}

/** RFC 3339 with nine fractional digits, of which a clock here knows three. */
function nanoseconds(call: Call, time: Date): string {
  const further = Number.parseInt(call.state.hex(4), 16) % 1_000_000
  return time.toISOString().replace('Z', `${String(further).padStart(6, '0')}Z`)
}

function scopesInWords({ scopes, requested }: Registration): string {
  return requested.length === 0
    ? `${scopes.length} scopes by default`
    : `${scopes.length} scopes, ${requested.length} asked`
}

/** The sample token's claims are in alphabetical order. */
function sorted<Claims extends object>(claims: Claims): Claims {
  return Object.fromEntries(Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1))) as Claims
}
