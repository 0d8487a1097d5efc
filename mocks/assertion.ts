/** Client authentication with private_key_jwt at both token servers: every check on the assertion. */
import { createHmac, type KeyObject } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader, type JWTPayload, type ProtectedHeaderParameters } from 'jose'
import type { Application, ListedCertificate } from './model.ts'
import { type RefusalName, refuse } from './refusals.ts'
import type { Call } from './route.ts'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export interface AssertionRules {
  /** the server's name; each server keeps the ids of the assertions it has seen */
  readonly server: string
  readonly algorithms: readonly string[]
  readonly issuers: readonly string[]
  readonly endpoints: readonly string[]
  /** the answer to every failed check */
  readonly refusal: RefusalName
  readonly twoWays: RefusalName
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
  const wrong: (reason: string, hint?: string) => never = (reason, hint) =>
    refuse(rules.refusal, reason, hinted(hint, rules))
  // RFC 6749 2.3: one way of authenticating per request.
  const isTwofold = call.request.headers.has('authorization') || form.client_secret !== undefined
  if (isTwofold && !call.breaks('one-way-to-authenticate')) {
    refuse(rules.twoWays, 'two ways of client authentication in one request')
  }
  const { client_assertion: assertion, client_assertion_type: type } = form
  if (assertion === undefined) {
    const owner = call.breaks('assertion-is-needed') ? call.state.ownerOf(call.certificate) : undefined
    return owner ?? wrong('no client assertion')
  }
  if (type !== ASSERTION_TYPE && !call.breaks('assertion-type-is-checked')) {
    wrong('client_assertion_type is missing or wrong')
  }

  const { header, claims } = decoded(assertion) ?? wrong('the assertion is not a JWT')
  const { alg, kid } = header
  if (typeof alg !== 'string') wrong('the assertion names no alg')
  if (!rules.algorithms.includes(alg) && !isTolerated(alg, call)) wrong(`the assertion is signed with "${alg}"`)
  if (kid === undefined && call.switches.requireKid) wrong('the assertion has no kid')
  if (header.typ !== 'JWT' && header.typ !== undefined && call.breaks('assertion-type-is-optional')) wrong('typ is new')
  const subject = call.breaks('assertion-subject-is-checked') ? claims.iss : claims.sub
  if (typeof subject !== 'string') wrong('sub is missing', HINTS.sub)
  const application = call.state.applicationOfClient(subject) ?? wrong('the subject is not a known client')
  const listed = application.certificates.filter((entry) => entry.use === 'sig' && entry.active)
  const counted = call.breaks('every-listed-key-counts') ? listed.slice(0, 1) : listed
  const keys = counted.filter((entry) => kid === undefined || entry.kid === kid)
  if (!call.breaks('assertion-signature-is-checked')) {
    if (keys.length === 0) unknownKey(kid, call, rules)
    if (!(await isSignedByOne(assertion, keys, header, { call, rules }))) {
      wrong('the signature of the assertion does not verify', HINTS.signature)
    }
  }
  checkClaims(claims, application, call, rules)
  const isOther = form.client_id !== undefined && form.client_id !== application.clientId
  if (isOther && !call.breaks('client-id-is-the-subject')) wrong('client_id is not the subject of the assertion')
  // The last check, with no await after it: of several replays at the same time exactly one is accepted.
  useOnce(claims, application, call, rules)
  return application
}

/** Inferred: wording of the library whose error names the product has. */
const HINTS = {
  iss: "Claim 'iss' from 'client_assertion' must match the 'client_id' of the OAuth 2.0 Client.",
  sub: "Claim 'sub' from 'client_assertion' must match the 'client_id' of the OAuth 2.0 Client.",
  jti: "Claim 'jti' from 'client_assertion' must be set but is not.",
  signature: "Unable to verify the integrity of the 'client_assertion' value.",
} as const

/** Only the authorization server has hints. */
function hinted(hint: string | undefined, { server }: AssertionRules): { readonly error_hint?: string } {
  return hint === undefined || server === 'directory' ? {} : { error_hint: hint }
}

function unknownKey(kid: unknown, call: Call, rules: AssertionRules): never {
  const hint = `The JSON Web Token uses signing key with kid '${kid}', which could not be found.`
  const isSpecific = call.switches.assertionErrors === 'specific' && rules.server === 'authorization'
  return refuse(
    isSpecific ? 'request' : rules.refusal,
    'the key id is not in the keystore of the client',
    hinted(hint, rules),
  )
}

/** Algorithms that only a server which breaks a rule takes. */
function isTolerated(alg: string, call: Call): boolean {
  if (alg === 'none') return call.breaks('unsigned-assertion-is-refused')
  return alg === 'HS256' && call.breaks('public-key-is-no-secret')
}

async function isSignedByOne(
  assertion: string,
  keys: readonly ListedCertificate[],
  { alg, crit = [] }: ProtectedHeaderParameters,
  { call, rules }: { readonly call: Call; readonly rules: AssertionRules },
): Promise<boolean> {
  if (alg === 'none') return isTolerated('none', call)
  const understood = call.breaks('critical-headers-are-understood')
  for (const { certificate } of keys) {
    const { publicKey } = certificate
    if (isWeak(publicKey)) continue
    if (alg === 'HS256' && isKeyedWith(assertion, publicKey)) return true
    const options = {
      algorithms: [...rules.algorithms],
      ...(understood ? { crit: Object.fromEntries(crit.map((name) => [name, true])) } : {}),
    }
    if (await compactVerify(assertion, publicKey, options).catch(() => undefined)) return true
  }
  return false
}

/** Whether its signature is HS256 with the public key's PEM as the secret (RFC 8725 2.1). */
export function isKeyedWith(jwt: string, publicKey: KeyObject): boolean {
  const [header, payload, signature] = jwt.split('.')
  const secret = publicKey.export({ type: 'spki', format: 'pem' })
  return createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url') === signature
}

function isWeak({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < 2048
}

/** RFC 7523 3: iss, sub, aud and exp are required; iat, nbf and jti may be left out unless a switch demands them. */
function checkClaims(claims: JWTPayload, application: Application, call: Call, rules: AssertionRules): void {
  const wrong: (reason: string, hint?: string) => never = (reason, hint) =>
    refuse(rules.refusal, reason, hinted(hint, rules))
  const { requireIat, requireJti, assertionMaxLifeSeconds } = call.switches
  const skew = call.breaks('clock-skew-is-allowed') ? 0 : call.switches.clockSkewSeconds
  const now = call.state.seconds()
  if (claims.iss !== application.clientId && !call.breaks('assertion-issuer-is-checked'))
    wrong('iss is not the client_id', HINTS.iss)
  if (!isAudience(claims.aud, call, rules)) {
    const endpoint = call.publish(rules.endpoints[0] ?? '')
    wrong(
      'aud does not name this server',
      `Claim 'audience' from 'client_assertion' must match the authorization server's token endpoint '${endpoint}'.`,
    )
  }
  const { exp, iat, nbf, jti }: Readonly<Record<string, unknown>> = claims
  if (!call.breaks('assertion-expiry-is-checked')) {
    if (typeof exp !== 'number') wrong('exp is missing or not a number')
    if (exp <= now - skew) wrong('the assertion has expired')
    if (exp > now + assertionMaxLifeSeconds + skew) wrong('exp is too far ahead')
  }
  if (!call.breaks('assertion-time-is-checked')) {
    if (iat === undefined ? requireIat : typeof iat !== 'number') wrong('iat is missing or not a number')
    if (Number(iat) > now + skew) wrong('iat lies in the future')
    if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + skew)) wrong('nbf lies in the future')
  }
  if (jti === undefined ? requireJti : typeof jti !== 'string' || jti === '') {
    wrong('jti is missing or not a text', HINTS.jti)
  }
}

/** An assertion without a jti may be used again until it expires. */
function useOnce({ jti, exp = 0 }: JWTPayload, application: Application, call: Call, rules: AssertionRules): void {
  if (jti === undefined || call.breaks('assertion-is-used-once')) return
  const until = exp + call.switches.clockSkewSeconds
  if (call.state.useAssertion(`${rules.server} ${application.clientId} ${jti}`, until)) return
  const isSpecific = call.switches.assertionErrors === 'specific' && rules.server === 'authorization'
  refuse(isSpecific ? 'assertionReplayed' : rules.refusal, 'the jti was used before')
}

function decoded(assertion: string): { header: ProtectedHeaderParameters; claims: JWTPayload } | undefined {
  try {
    return { header: decodeProtectedHeader(assertion), claims: decodeJwt(assertion) }
  } catch {
    return undefined
  }
}

/** Compared as they are written: a trailing slash or another case is another audience (RFC 3986 6.2.1). */
function isAudience(written: unknown, call: Call, rules: AssertionRules): boolean {
  if (call.breaks('assertion-audience-is-checked')) return true
  const issuers = rules.issuers.map(call.publish)
  const isLoose = call.breaks('audience-is-compared-as-written')
  const audience = isLoose && typeof written === 'string' ? written.replace(/[/#]$/, '') : written
  if (call.breaks('issuer-is-an-audience') && issuers.includes(String(audience))) return false
  if (call.switches.audience === 'strict') return typeof audience === 'string' && issuers.includes(audience)
  const accepted = [...issuers, ...rules.endpoints.map(call.publish)]
  const named: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  return named.every((one) => typeof one === 'string') && named.some((one) => accepted.includes(String(one)))
}
