/** Software statements as the authorization server checks them. */
import { compactVerify, decodeJwt } from 'jose'
import sampleStatement from '../../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import { digestOf, subjectOf } from '../digest.ts'
import type { Json } from '../metadata.ts'
import type { Application } from '../model.ts'
import { documentedClaims } from '../publish.ts'
import { refuse } from '../refusals.ts'
import type { Call } from '../route.ts'
import type { State } from '../state.ts'

/** The claims of a software statement that is signed, current and of an active application. Refuses any other. */
export async function verifyStatement(
  call: Call,
  statement: unknown,
): Promise<{ readonly application: Application; readonly statement: Json }> {
  const { state, switches } = call
  if (typeof statement !== 'string' || statement === '') {
    refuse('statementAbsent', 'no software statement')
  }
  const claims = await claimsOf(statement, call)
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

async function claimsOf(statement: string, call: Call): Promise<Json | undefined> {
  try {
    if (!call.breaks('statement-is-signed')) {
      await compactVerify(statement, call.state.ssaSigner.publicKey, { algorithms: ['PS256'] })
    }
    return decodeJwt(statement)
  } catch {
    return undefined
  }
}

export function isOwnCertificate(call: Call, application: Application): boolean {
  if (call.switches.certificateMatch === 'none' || call.certificate === undefined) return true
  return subjectOf(call.certificate).OU === application.organisationId
}

/** The scopes of the roles in the statement; where it lists none, of the roles that the application has in the directory now. */
export function coveredScopes(application: Application, { roles }: Json, state: State): ReadonlySet<string> {
  const current = Array.isArray(roles) && roles.length > 0 ? roles.map(String) : [...application.roles]
  return new Set(current.flatMap((role) => state.scopesOf(role)))
}
