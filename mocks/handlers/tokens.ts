/** Access tokens at the authorization server: issue, introspection, revocation. */
import { decodeProtectedHeader, SignJWT } from 'jose'
import sampleToken from '../../fixtures/thredd/access-token-claims.json' with { type: 'json' }
import discovery from '../../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import { authenticate } from '../assertion.ts'
import { type Answer, empty, json } from '../content.ts'
import { digestOf, thumbprint } from '../digest.ts'
import { AUTHORIZATION } from '../hosts.ts'
import type { AccessToken, Application, Client } from '../model.ts'
import { refuse } from '../refusals.ts'
import { type Call, NO_STORE, readForm } from '../route.ts'
import { isOwnCertificate } from './statement.ts'

/** Not the discovery document's issuer: the sample token comes from the name without mTLS. */
const TOKEN_ISSUER = sampleToken.payload.iss
const RESOURCE_AUDIENCE = sampleToken.payload.aud[1] ?? ''

/** @see [RFC 6749 4.4](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.4) */
export async function token(call: Call): Promise<Answer> {
  const { state, switches } = call
  const form = await readForm(call, { form: 'request', repeated: 'request' })
  const grant = form.grant_type
  if (grant === undefined) refuse('request', 'grant_type is missing')
  const client = await authenticatedClient(call, form)
  const isAnyGrant = call.breaks('grant-is-registered')
  if (!isAnyGrant && !discovery.grant_types_supported.includes(grant))
    refuse('grantUnknown', 'the grant type is not supported')
  const registered = client.members.grant_types as readonly string[]
  if (!isAnyGrant && (grant !== 'client_credentials' || !registered.includes(grant))) {
    refuse('grantNotRegistered', 'the grant type is not registered for the client')
  }
  const { certificate } = call
  if (certificate === undefined && !call.breaks('certificate-is-needed')) {
    refuse('certificateAbsent', 'no certificate to bind the token to')
  }
  if (form.scope === undefined && switches.unscopedToken === 'refused') refuse('scope', 'no scope is asked for')
  const asked = form.scope?.split(' ') ?? client.scopes
  const beyond = asked.find((scope) => !client.scopes.includes(scope))
  if (beyond !== undefined && !call.breaks('scope-is-registered'))
    refuse('scope', 'a scope is not registered for the client')

  const scopes = [...new Set(asked)].sort()
  const now = state.seconds()
  const claims = sorted({
    ...sampleToken.payload,
    ...(switches.pmClaims ? client.metadata : {}),
    aud: [client.clientId, RESOURCE_AUDIENCE],
    cnf: { 'x5t#S256': certificate === undefined ? '' : thumbprint(certificate) },
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
  const isThere = state.clients.get(client.clientId) === client
  if (!isThere && !call.breaks('deleted-client-gets-no-token')) refuse('client', 'the client was deleted meanwhile')
  state.accessTokens.set(digestOf(accessToken), {
    clientId: client.clientId,
    // Stored with the documented address of the issuer, whatever the address of the twin is now.
    claims: { ...claims, iss: TOKEN_ISSUER },
    expiresAt: (now + switches.accessTokenSeconds) * 1000,
  })
  call.note(`access token for ${client.clientId} with ${scopes.length} scopes, bound to the certificate`)
  return json(
    {
      access_token: accessToken,
      // One second less than the life of the token, as in the sample.
      expires_in: Math.max(0, switches.accessTokenSeconds - 1),
      scope: scopes.join(' '),
      token_type: 'bearer',
    },
    200,
    NO_STORE,
  )
}

/** RFC 7662 2.2: another client's token is answered as not active. */
export async function introspect(call: Call): Promise<Answer> {
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

/** RFC 7009 2.2: an unknown token is answered 200 too. */
export async function revoke(call: Call): Promise<Answer> {
  const found = await ownToken(call)
  if (found !== undefined) call.state.accessTokens.delete(found.digest)
  call.note(found === undefined ? 'no such token to revoke' : `token of ${found.clientId} revoked`)
  return empty(200, NO_STORE)
}

async function ownToken(call: Call): Promise<(AccessToken & { readonly digest: string }) | undefined> {
  const form = await readForm(call, { form: 'request', repeated: 'request' })
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
    twoWays: 'request',
  })
  const found = call.state.clients.get(application.clientId)
  const client = found ?? (call.breaks('deleted-client-gets-no-token') ? formerClient(application) : undefined)
  if (client === undefined) refuse('client', 'the application has no registered client')
  const registered = client.members.token_endpoint_auth_signing_alg
  const { client_assertion: assertion } = form
  const isOther = registered !== '' && assertion !== undefined && decodeProtectedHeader(assertion).alg !== registered
  if (isOther && !call.breaks('registered-algorithm-is-demanded')) {
    refuse('client', 'the assertion is not signed with the registered algorithm')
  }
  if (!isOwnCertificate(call, application)) refuse('client', 'the certificate belongs to another organisation')
  return client
}

/** For a server that does not see that the client was deleted: what all clients of the platform had. */
function formerClient({ clientId, softwareId }: Application): Client {
  return {
    clientId,
    softwareId,
    registrationClientUri: '',
    members: { grant_types: ['client_credentials'], token_endpoint_auth_signing_alg: '' },
    scopes: ['cards.read'],
    registrationToken: { value: '', expiresAt: undefined, thumbprint: undefined },
    metadata: undefined,
  }
}

/** The sample token's claims are in alphabetical order. */
function sorted<Claims extends object>(claims: Claims): Claims {
  return Object.fromEntries(Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1))) as Claims
}
