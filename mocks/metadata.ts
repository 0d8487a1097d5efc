/** Client metadata: the rules for a registration or update request (RFC 7591 section 2), and the members of the response. */
import model from '../fixtures/thredd/acp-dcr-fields.json' with { type: 'json' }
import sample from '../fixtures/thredd/dcr-response-2024-08.json' with { type: 'json' }
import discovery from '../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import { refuse } from './refusals.ts'
import type { Call } from './route.ts'
import type { Rule } from './rules.ts'
import type { Switches } from './switches.ts'

export type Json = Readonly<Record<string, unknown>>

/** How the server is set, and which rules a fault makes it break. */
type Server = Pick<Call, 'switches' | 'breaks'>

export interface Registration {
  /** those members of the documented response that are made from request and software statement, in any order */
  readonly members: Json
  /** granted scopes in request order */
  readonly scopes: readonly string[]
  readonly requested: readonly string[]
}

/** The 67 members of the documented response, in its order. */
export const MEMBERS: readonly string[] = Object.keys(sample)

/** RFC 7591 3.1.1: values of the software statement take precedence over those of the body. */
const FROM_STATEMENT = [
  'client_id',
  'client_name',
  'logo_uri',
  'redirect_uris',
  'jwks_uri',
  'sector_identifier_uri',
  'subject_type',
  'software_id',
  'software_version',
] as const

/** Set by the server, whatever the request says (RFC 7591 3.2.1 allows it), with the values of the sample. */
const FIXED = [
  'application_types',
  'revocation_endpoint_auth_method',
  'introspection_endpoint_auth_method',
  'token_exchange',
  'jwks',
  'id_token_signed_response_alg',
  'authorization_signed_response_alg',
  'privacy',
  'authorization_details_types',
  'dynamically_registered',
  'client_secret_expires_at',
] as const

/** Made by the server at registration. */
const MADE = [
  'audience',
  'scope',
  'scopes',
  'software_statement',
  'client_id_issued_at',
  'created_at',
  'updated_at',
  'client_secret',
  'hashed_secret',
  'registration_access_token',
  'registration_client_uri',
  'registration_access_token_expires_in',
] as const

/** The product's defaults for absent members where they differ from the sample, which answers a request with all members. */
const ABSENT: Json = {
  application_type: 'web',
  request_object_signing_alg: 'any',
  tls_client_certificate_bound_access_tokens: false,
}

/** The values of the discovery document, of which there are fewer than in the product's model. */
const OFFERED: Readonly<Record<string, readonly string[]>> = {
  grant_types: discovery.grant_types_supported,
  response_types: [...discovery.response_types_supported, 'none'],
  token_endpoint_auth_method: discovery.token_endpoint_auth_methods_supported,
  // HS256 is advertised too, but private_key_jwt has no shared secret for it.
  token_endpoint_auth_signing_alg: ['RS256', 'ES256', 'PS256'],
}

/**
 * Checks a parsed body against the rules and merges it with the verified statement's claims; `covered` are the scopes of the
 * application's roles. Throws a Refusal.
 */
export function register(body: Json, statement: Json, covered: ReadonlySet<string>, call: Server): Registration {
  checkKeys(body, statement, call)
  if (!call.breaks('redirect-uris-are-in-the-statement')) {
    checkRedirectUris(body.redirect_uris, statement.redirect_uris)
  }
  const { granted, requested } = grant(body, covered, call)
  const members: Record<string, unknown> = {}
  const decided: readonly string[] = [...FROM_STATEMENT, ...FIXED, ...MADE]
  for (const name of MEMBERS) {
    if (!decided.includes(name)) members[name] = settable(name, body[name], call)
  }
  // Values that are not allowed are refused even for members that the server sets itself.
  for (const name of ['id_token_signed_response_alg', 'subject_type', 'application_types'])
    settable(name, body[name], call)
  for (const name of FIXED) members[name] = sample[name]
  for (const name of FROM_STATEMENT) members[name] = statement[name]
  members.audience = [statement.client_id]
  members.scope = granted.join(' ')
  members.scopes = granted
  return { members, scopes: granted, requested }
}

/** Members of which a rule says that only values on offer are taken. */
const OFFER_RULES: Readonly<Record<string, Rule>> = {
  token_endpoint_auth_method: 'authentication-method-is-offered',
  token_endpoint_auth_signing_alg: 'assertion-algorithm-is-offered',
  response_types: 'response-type-is-offered',
}

/** Whether a server that breaks a rule takes the default in place of a value that is not allowed. */
function isPassedOver(name: string, value: unknown, call: Server): boolean {
  const rule = OFFER_RULES[name]
  if (value === 'tls_client_auth' && call.breaks('certificate-subject-is-named')) return true
  return rule !== undefined && call.breaks(rule)
}

/** The value of a member the client may choose, or its default; RFC 7592 2.2: null means omitted. */
function settable(name: string, asked: unknown, call: Server): unknown {
  const fallback = name in ABSENT ? ABSENT[name] : sample[name as keyof typeof sample]
  if (asked === undefined || asked === null || asked === '') return fallback
  // The documented request has response_types as a string, the response as a list.
  const value = name === 'response_types' && typeof asked === 'string' ? [asked] : asked
  const { type, enum: words } = (model.request as Readonly<Record<string, { type: string; enum?: string[] }>>)[
    name
  ] ?? {
    type: 'string',
  }
  const allowed = OFFERED[name] ?? words
  const isRight =
    type === 'boolean'
      ? typeof value === 'boolean'
      : type === 'integer'
        ? Number.isSafeInteger(value)
        : type === 'string'
          ? typeof value === 'string' && (allowed === undefined || allowed.includes(value))
          : Array.isArray(value) &&
            value.every((one) => typeof one === 'string' && (allowed === undefined || allowed.includes(one)))
  if (!isRight && isPassedOver(name, value, call)) return fallback
  if (!isRight) refuse('metadataInvalid', `member "${name}" has a value that is not allowed`, { error_hint: name })
  return value
}

function checkKeys(body: Json, statement: Json, call: Server): void {
  const jwks = body.jwks
  if (jwks === undefined || jwks === null) return
  const keys: unknown = (jwks as { keys?: unknown }).keys
  if (!Array.isArray(keys)) refuse('metadataInvalid', 'jwks is not a key set', { error_hint: 'jwks' })
  for (const key of keys as readonly unknown[]) {
    if (typeof key !== 'object' || key === null || 'd' in key || 'k' in key) {
      if (call.breaks('keys-are-public')) return
      refuse('metadataInvalid', 'jwks holds a private or symmetric key', { error_hint: 'jwks' })
    }
    if (isWeak(key)) {
      if (call.breaks('keys-are-strong')) return
      refuse('metadataInvalid', 'jwks holds a weak key', { error_hint: 'jwks' })
    }
  }
  if (call.breaks('keys-have-one-place')) return
  // The documented answer has an empty set beside jwks_uri, and an update may send back what it was answered.
  if (keys.length > 0 && (body.jwks_uri ?? statement.jwks_uri) !== undefined) {
    refuse('metadataInvalid', 'jwks and jwks_uri exclude each other (RFC 7591 2)', { error_hint: 'jwks' })
  }
}

/** FAPI 2.0 5.4.1: RSA from 2048 bits, elliptic curves from 224. A key of an unknown kind counts as weak. */
function isWeak(key: object): boolean {
  const { kty, n, crv } = key as { kty?: unknown; n?: unknown; crv?: unknown }
  if (kty === 'RSA') {
    const modulus = Buffer.from(typeof n === 'string' ? n : '', 'base64url')
    const leading = modulus.findIndex((byte) => byte !== 0)
    return leading < 0 || (modulus.length - leading) * 8 - Math.clz32(modulus[leading] ?? 0) + 24 < 2048
  }
  return !['P-256', 'P-384', 'P-521', 'Ed25519', 'X25519'].includes(String(crv))
}

function checkRedirectUris(asked: unknown, stated: unknown): void {
  if (asked === undefined || asked === null) return
  const allowed: readonly unknown[] = Array.isArray(stated) ? stated : []
  const uris: readonly unknown[] = Array.isArray(asked) ? asked : [asked]
  for (const uri of uris) {
    if (!allowed.includes(uri)) refuse('redirectUri', 'a redirect URI is not in the software statement')
  }
}

function grant(
  body: Json,
  covered: ReadonlySet<string>,
  call: Server,
): { readonly granted: readonly string[]; readonly requested: readonly string[] } {
  const { switches } = call
  const extra = words(switches.unrequestedScopes)
  const isUntyped = call.breaks('members-have-their-type')
  const asked = body.scopes ?? body.scope
  if (asked === undefined || asked === null) {
    const granted = switches.defaultScopes === 'roles' ? [...covered] : []
    return { granted: [...new Set([...granted, ...extra])], requested: [] }
  }
  const list: unknown = typeof asked === 'string' ? words(asked) : typeof asked === 'number' && isUntyped ? [] : asked
  if (!(Array.isArray(list) && list.every((scope) => typeof scope === 'string' && SCOPE.test(scope)))) {
    refuse('metadataInvalid', 'scopes is not a list of scopes', { error_hint: 'scopes' })
  }
  const requested = [...new Set(list as readonly string[])]
  const beyond = requested.filter((scope) => !covered.has(scope))
  const [first] = beyond
  if (first !== undefined && (switches.scopeMode === 'strict' || beyond.length === requested.length)) {
    refuse('scopeNotCovered', `no role covers scope "${first}"`, {
      error_hint: first,
      ...SCOPE_REFUSALS[switches.scopeRefusal],
    })
  }
  const granted = requested.filter((scope) => covered.has(scope))
  return { granted: [...new Set([...granted, ...extra])], requested }
}

/** Inferred: wording of the library whose error names the product has. */
const SCOPE_REFUSALS: { readonly [Value in Switches['scopeRefusal']]: Json } = {
  invalid_client_metadata: {},
  invalid_scope: {
    error: 'invalid_scope',
    error_description: 'The requested scope is invalid, unknown, or malformed.',
  },
  access_denied: {
    error: 'access_denied',
    error_description: 'The resource owner or authorization server denied the request.',
    status_code: 403,
  },
  request_forbidden: {
    error: 'request_forbidden',
    error_description: 'The request is not allowed.',
    status_code: 403,
  },
}

/** RFC 6749 3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}
