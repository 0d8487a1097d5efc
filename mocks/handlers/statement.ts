/** Software statements as the authorization server checks them. */
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import sampleStatement from '../../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import { isKeyedWith } from '../assertion.ts'
import { digestOf, subjectOf } from '../digest.ts'
import type { Json } from '../metadata.ts'
import type { Application } from '../model.ts'
import { documentedClaims } from '../publish.ts'
import { refuse } from '../refusals.ts'
import type { Call } from '../route.ts'

/** The claims of a software statement that is signed, current and of an active application. Refuses any other. */
export async function verifyStatement(
  call: Call,
  statement: unknown,
): Promise<{ readonly application: Application; readonly statement: Json }> {
  const { state, switches } = call
  if (typeof statement !== 'string' || statement === '') {
    const owner = call.breaks('statement-is-needed') ? state.ownerOf(call.certificate) : undefined
    if (owner === undefined) refuse('statementAbsent', 'no software statement')
    return { application: owner, statement: owner.claims }
  }
  const claims = await claimsOf(statement, call)
  if (claims === undefined) refuse('statementInvalid', 'the signature of the software statement does not verify')
  const isAnyAge = call.breaks('statement-is-current')
  if (!isAnyAge && state.expiredStatements.has(digestOf(statement))) {
    refuse('statementInvalid', 'the software statement has expired')
  }
  const isAnyIssuer = call.breaks('statement-issuer-is-trusted')
  if (claims.iss !== sampleStatement.payload.iss && !isAnyIssuer)
    refuse('statementInvalid', 'the issuer of the statement is unknown')
  const { iat, exp } = claims
  const now = state.seconds()
  if (typeof iat !== 'number' || iat > now + switches.clockSkewSeconds) {
    refuse('statementInvalid', 'iat of the statement is missing or in the future')
  }
  if (switches.ssaMaxAgeSeconds > 0 && now - iat > switches.ssaMaxAgeSeconds) {
    refuse('statementInvalid', 'the software statement is too old')
  }
  if (exp !== undefined && !isAnyAge && !(typeof exp === 'number' && exp > now)) {
    refuse('statementInvalid', 'the software statement has expired')
  }
  const application = state.applicationOfClient(String(claims.client_id))
  const isActive = isAnyIssuer || (claims.status === 'Active' && claims.org_status === 'Active')
  if (application === undefined || !isActive) {
    refuse('statementUnapproved', 'application or organisation is not active')
  }
  if (!isOwnCertificate(call, application)) {
    refuse('statementInvalid', 'the certificate belongs to another organisation than the software statement')
  }
  return { application, statement: documentedClaims(claims, application.claims) }
}

async function claimsOf(statement: string, call: Call): Promise<Json | undefined> {
  try {
    if (!(await isTolerated(statement, call))) {
      await compactVerify(statement, call.state.ssaSigner.publicKey, { algorithms: ['PS256'] })
    }
    return decodeJwt(statement)
  } catch {
    return undefined
  }
}

/** A statement that only a server which breaks a rule takes. */
async function isTolerated(statement: string, call: Call): Promise<boolean> {
  const { alg, jwk } = decodeProtectedHeader(statement)
  if (call.breaks('statement-is-signed')) return alg === 'PS256'
  if (alg === 'none') return call.breaks('unsigned-statement-is-refused')
  if (alg === 'HS256') {
    return call.breaks('statement-key-is-no-secret') && isKeyedWith(statement, call.state.ssaSigner.publicKey)
  }
  const options = { algorithms: ['RS256', 'PS256', 'ES256'] }
  if (jwk !== undefined && call.breaks('embedded-key-is-not-trusted')) {
    await compactVerify(statement, jwk, options)
    return true
  }
  const keys = call.state.ownerOf(call.certificate)?.certificates.filter(({ use }) => use === 'sig') ?? []
  if (!call.breaks('statement-issuer-is-trusted')) return false
  const tried = await Promise.allSettled(
    keys.map(({ certificate }) => compactVerify(statement, certificate.publicKey, options)),
  )
  return tried.some(({ status }) => status === 'fulfilled')
}

export function isOwnCertificate(call: Call, application: Application): boolean {
  if (call.switches.certificateMatch === 'none' || call.certificate === undefined) return true
  return subjectOf(call.certificate).OU === application.organisationId
}

/** The scopes of the roles in the statement; where it lists none, of the roles that the application has in the directory now. */
export function coveredScopes(
  application: Application,
  { roles }: Json,
  call: Call,
  asked: unknown,
): ReadonlySet<string> {
  const { state } = call
  const uncovered = call.breaks('scope-is-covered') && Array.isArray(asked) ? asked.map(String) : []
  const current = Array.isArray(roles) && roles.length > 0 ? roles.map(String) : [...application.roles]
  return new Set([...current.flatMap((role) => state.scopesOf(role)), ...uncovered])
}
