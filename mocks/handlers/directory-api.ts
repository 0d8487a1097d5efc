/** The directory's API, of which one call is documented: the software statement assertion. */
import { SignJWT } from 'jose'
import { json, text } from '../content.ts'
import { digestOf, thumbprint } from '../digest.ts'
import { hostsOf } from '../hosts.ts'
import type { Application } from '../model.ts'
import { publishedClaim } from '../publish.ts'
import { refuse } from '../refusals.ts'
import { bearerToken, type Call, type Route } from '../route.ts'

/** Identifiers have at most 40 characters. */
const IDENTIFIER = /^[0-9A-Za-z-]{1,40}$/

export const directoryApiRoutes: readonly Route[] = [
  {
    operation: 'getSoftwareStatementAssertion',
    method: 'GET',
    hosts: hostsOf('directory-api'),
    path: /^\/organisations\/(?<organisation>[^/]+)\/softwarestatements\/(?<software>[^/]+)\/assertion$/,
    async handle(call) {
      const application = authorized(call)
      const { state, switches } = call
      if (switches.requireGenerate && !application.generated) {
        const errors = ['no assertion of the software statement has been generated']
        refuse('assertionIdentifier', 'no software statement was generated in the dashboard', { errors })
      }
      if (switches.lockOnSsaRead && call.request.method !== 'HEAD') application.locked = true
      const statement = await new SignJWT(claimsOf(application, call))
        .setProtectedHeader({ kid: 'signer', typ: 'JWT', alg: 'PS256' })
        .sign(state.ssaSigner.privateKey)
      call.note(`software statement of ${application.softwareId}${switches.lockOnSsaRead ? ', now locked' : ''}`)
      state.issuedStatements.set(digestOf(statement), application.softwareId)
      return switches.ssaForm === 'json' ? json(statement) : text(statement, 200, { 'content-type': 'application/jwt' })
    },
  },
]

function authorized(call: Call): Application {
  const { organisation = '', software = '' } = call.params
  const behindGateway = call.switches.directoryApiErrors === 'gateway'
  const denied = behindGateway ? 'gatewayDenied' : 'assertionToken'
  const value = bearerToken(call)
  if (value === undefined) refuse(behindGateway ? 'gatewayUnauthorized' : 'assertionToken', 'no bearer token')
  const token = call.state.directoryTokens.get(value)
  if (token === undefined) refuse(denied, 'the token is unknown')
  if (token.expiresAt <= call.state.now().getTime()) refuse(denied, 'the token has expired')
  if (call.certificate === undefined || thumbprint(call.certificate) !== token.thumbprint) {
    refuse(denied, 'the token is bound to another certificate')
  }
  if (!IDENTIFIER.test(organisation) || !IDENTIFIER.test(software)) {
    refuse('assertionIdentifier', 'an identifier is malformed', { errors: ['the identifier is malformed'] })
  }
  if (token.organisationId !== organisation) {
    refuse(behindGateway ? 'gatewayForbidden' : 'assertionOrganisation', 'the token is of another organisation')
  }
  const application = call.state.applications.get(software)
  if (application === undefined || application.organisationId !== organisation) {
    // No 404 is documented for this call.
    refuse('assertionIdentifier', 'the organisation has no such software statement', {
      errors: ['the software statement does not exist'],
    })
  }
  return application
}

/** All claims in the order of the samples, with the current status and roles. */
function claimsOf(application: Application, call: Call): Record<string, unknown> {
  const { state, switches } = call
  const roles = switches.rolesInSsa === 'listed' ? [...application.roles] : []
  const current: Readonly<Record<string, unknown>> = {
    status: application.status,
    org_status: state.organisations.get(application.organisationId)?.status,
    roles,
    software_statement_roles: roles.map((role) => ({
      role,
      authorisation_domain: 'Thredd',
      status: 'Active',
    })),
    iat: state.seconds(),
  }
  const claims: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(application.claims)) {
    // The samples have iat before this claim.
    if (name === 'jwks_transport_uri') claims.iat = current.iat
    claims[name] = name in current ? current[name] : publishedClaim(name, value, call.publish)
  }
  return claims
}
