/** Client authentication with private_key_jwt at both token servers: every check on the assertion. */
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import type { Application } from './model.ts'
import { type RefusalName, refuse } from './refusals.ts'
import type { Call } from './route.ts'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export interface AssertionRules {
  /** the server's name; each server keeps the ids of the assertions it has seen */
  readonly server: string
  readonly algorithms: readonly string[]
  readonly issuers: readonly string[]
  readonly endpoints: readonly string[]
  /** the answer to every failed check, the same for all, so that it does not show which check failed */
  readonly refusal: RefusalName
  readonly malformed: RefusalName
}

/**
 * The application whose key signed the assertion in the form. Refuses everything else.
 * @see [RFC 7523 3](https://www.rfc-editor.org/rfc/rfc7523.html#section-3)
 */
export async function authenticate(
  call: Call,
  form: Readonly<Record<string, string>>,
  rules: AssertionRules,
): Promise<Application> {
  const wrong: (reason: string) => never = (reason) => refuse(rules.refusal, reason)
  // RFC 6749 2.3: one way of authenticating per request.
  if (call.request.headers.has('authorization') || form.client_secret !== undefined) {
    refuse(rules.malformed, 'two ways of client authentication in one request')
  }
  const assertion = form.client_assertion ?? wrong('no client assertion')
  if (form.client_assertion_type !== ASSERTION_TYPE) wrong('client_assertion_type is missing or wrong')

  const { alg, kid, subject } = identify(assertion) ?? wrong('the assertion is not a signed JWT')
  if (!rules.algorithms.includes(alg)) wrong(`the assertion is signed with "${alg}"`)
  const application = call.state.applicationOfClient(subject) ?? wrong('the subject is not a known client')
  const listed = application.certificates.find((entry) => entry.use === 'sig' && entry.active && entry.kid === kid)
  if (listed === undefined) wrong('the key id is not in the keystore of the client')
  const { asymmetricKeyType, asymmetricKeyDetails } = listed.certificate.publicKey
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < 2048) wrong('the key is too weak')
  const verified = await compactVerify(assertion, listed.certificate.publicKey, {
    algorithms: [...rules.algorithms],
  }).catch(() => undefined)
  if (verified === undefined) wrong('the signature of the assertion does not verify')

  const claims = decodeJwt(assertion)
  const now = call.state.seconds()
  const skew = call.switches.clockSkewSeconds
  if (claims.iss !== application.clientId) wrong('iss is not the client_id')
  if (form.client_id !== undefined && form.client_id !== application.clientId) {
    wrong('client_id is not the subject of the assertion')
  }
  if (!isAudience(claims.aud, call, rules)) wrong('aud does not name this server')
  const { exp, iat, nbf, jti } = claims
  if (typeof exp !== 'number') wrong('exp is missing or not a number')
  if (exp <= now - skew) wrong('the assertion has expired')
  if (exp > now + call.switches.assertionMaxLifeSeconds + skew) wrong('exp is too far ahead')
  if (typeof iat !== 'number') wrong('iat is missing or not a number')
  if (iat > now + skew) wrong('iat lies in the future')
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + skew)) wrong('nbf lies in the future')
  if (typeof jti !== 'string' || jti === '') wrong('jti is missing')
  // The last check, with no await after it: of several replays at the same time exactly one is accepted.
  if (!call.state.useAssertion(`${rules.server} ${application.clientId} ${jti}`, exp + skew)) {
    wrong('the jti was used before')
  }
  return application
}

function identify(assertion: string): { alg: string; kid: string; subject: string } | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(assertion)
    const { sub } = decodeJwt(assertion)
    if (typeof alg !== 'string' || typeof kid !== 'string' || typeof sub !== 'string') return undefined
    return { alg, kid, subject: sub }
  } catch {
    return undefined
  }
}

/** Compared as they are written: a trailing slash or another case is another audience (RFC 3986 6.2.1). */
function isAudience(audience: unknown, call: Call, rules: AssertionRules): boolean {
  const issuers = rules.issuers.map(call.publish)
  if (call.switches.audience === 'strict') return typeof audience === 'string' && issuers.includes(audience)
  const accepted = [...issuers, ...rules.endpoints.map(call.publish)]
  const named: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  return named.every((one) => typeof one === 'string') && named.some((one) => accepted.includes(String(one)))
}
