/** The OAuth server of the directory: discovery, keys, and tokens for the directory API. */

import { exportJWK, SignJWT } from 'jose'
import discovery from '../../fixtures/thredd/well-known-directory.json' with { type: 'json' }
import { authenticate } from '../assertion.ts'
import { type Answer, json } from '../content.ts'
import { subjectOf, thumbprint } from '../digest.ts'
import { hostOf, hostsOf } from '../hosts.ts'
import type { Application } from '../model.ts'
import { publishedDocument } from '../publish.ts'
import { refuse } from '../refusals.ts'
import { type Call, NO_STORE, type Route, readForm } from '../route.ts'

const SCOPE = 'directory:software'
const PLAIN = hostsOf('directory').filter((host) => hostOf(host)?.certificate === 'none')

export const directoryRoutes: readonly Route[] = [
  {
    operation: 'directoryDiscovery',
    method: 'GET',
    hosts: PLAIN,
    path: /^\/\.well-known\/openid-configuration$/,
    handle: publishedDocument(discovery),
  },
  {
    operation: 'directoryJwks',
    method: 'GET',
    hosts: PLAIN,
    path: /^\/jwks$/,
    /** Inferred: no page says where the key of software statements is published. */
    async handle(call) {
      const jwk = await exportJWK(call.state.ssaSigner.publicKey)
      return json({ keys: [{ ...jwk, kid: 'signer', use: 'sig', alg: 'PS256' }] })
    },
  },
  {
    operation: 'directoryToken',
    method: 'POST',
    // The discovery document names the plain host as token_endpoint; a client that ignores the mTLS alias calls it.
    hosts: hostsOf('directory'),
    path: /^\/token$/,
    handle: token,
  },
]

async function token(call: Call): Promise<Answer> {
  const naming = (parameter: string) => ({ error_description: `'${parameter}' parameter must not be provided twice` })
  const form = await readForm(call, { form: 'directoryForm', repeated: 'directoryRepeated', naming })
  const application = await client(call, form)
  if (form.grant_type === undefined) refuse('directoryGrantAbsent', 'grant_type is missing')
  if (form.grant_type !== 'client_credentials') {
    const isKnown = discovery.grant_types_supported.includes(form.grant_type)
    refuse(isKnown ? 'directoryGrantForbidden' : 'directoryGrant', 'grant_type is not client_credentials')
  }
  const scope = form.scope ?? SCOPE
  if (scope !== SCOPE) refuse('directoryScope', 'a scope other than directory:software', { scope })
  if (call.certificate === undefined && !call.breaks('certificate-is-needed')) {
    refuse('directoryClient', 'no certificate to bind the token to')
  }

  const { state, switches } = call
  const bound = call.certificate === undefined ? '' : thumbprint(call.certificate)
  const accessToken =
    switches.directoryTokenForm === 'opaque' ? state.token() : await jwt(call, application.clientId, bound)
  state.directoryTokens.set(accessToken, {
    clientId: application.clientId,
    organisationId: application.organisationId,
    thumbprint: bound,
    expiresAt: state.now().getTime() + switches.directoryTokenSeconds * 1000,
  })
  call.note(`directory token for ${application.clientId}, bound to the certificate`)
  const body = { access_token: accessToken, expires_in: switches.directoryTokenSeconds, token_type: 'Bearer', scope }
  return json(body, 200, NO_STORE)
}

/** @see [RFC 9068 2.2](https://www.rfc-editor.org/rfc/rfc9068.html#section-2.2) */
async function jwt({ state, switches, publish }: Call, clientId: string, bound: string): Promise<string> {
  const now = state.seconds()
  return await new SignJWT({
    iss: publish(discovery.issuer),
    sub: clientId,
    aud: hostsOf('directory-api').map((host) => publish(`https://${host}`)),
    client_id: clientId,
    scope: SCOPE,
    cnf: { 'x5t#S256': bound },
    jti: state.uuid(),
    iat: now,
    exp: now + switches.directoryTokenSeconds,
  })
    .setProtectedHeader({ alg: 'PS256', kid: 'signer', typ: 'at+jwt' })
    .sign(state.ssaSigner.privateKey)
}

async function client(call: Call, form: Readonly<Record<string, string>>): Promise<Application> {
  const method = form.client_assertion === undefined ? 'tls_client_auth' : 'private_key_jwt'
  const { directoryAuthMethod } = call.switches
  if (directoryAuthMethod !== 'either' && directoryAuthMethod !== method) {
    refuse('directoryClient', `the application authenticates with ${directoryAuthMethod}, not ${method}`)
  }
  const others = [call.request.headers.has('authorization'), form.client_secret !== undefined].filter(Boolean).length
  if (others > 1) refuse('directoryTwoWays', 'two ways of client authentication in one request')
  if (method === 'tls_client_auth' && others > 0) refuse('directoryClient', 'the application has no secret')
  if (method === 'tls_client_auth') return byCertificate(call, form)
  return await authenticate(call, form, {
    server: 'directory',
    algorithms: discovery.token_endpoint_auth_signing_alg_values_supported,
    issuers: [discovery.issuer],
    endpoints: [discovery.token_endpoint, discovery.mtls_endpoint_aliases.token_endpoint],
    refusal: 'directoryClient',
    twoWays: 'directoryTwoWays',
  })
}

/** RFC 8705 2.1: the subject of the certificate must be the registered one: OU is the organisation, CN the application. */
function byCertificate(call: Call, form: Readonly<Record<string, string>>): Application {
  const clientId = form.client_id
  if (clientId === undefined) refuse('directoryUnidentified', 'client_id is missing')
  const application = call.state.applicationOfClient(clientId)
  if (application === undefined) refuse('directoryClient', 'client_id is unknown')
  if (call.certificate === undefined && call.breaks('certificate-is-needed')) return application
  if (call.certificate === undefined) refuse('directoryClient', 'no client certificate')
  const { OU, CN } = subjectOf(call.certificate)
  const isOwn = OU === application.organisationId && CN === application.softwareId
  if (!isOwn && !call.breaks('certificate-subject-is-checked')) {
    refuse('directoryClient', 'the certificate belongs to another application')
  }
  return application
}
