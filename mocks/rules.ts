/**
 * The rules that the servers keep, as one table: what each says, and the operations in which a fault can make them break it.
 * A handler asks `call.breaks(rule)`; all else about the operation, its status and its schema included, stays as it is.
 */
const TOKEN = ['token']
const TOKENS = ['token', 'directoryToken']
const REGISTRATION = ['registerClient', 'updateClient']
const MANAGEMENT = ['readClient', 'updateClient', 'deleteClient']
/** Those whose hosts demand a client certificate. */
const BEHIND_CERTIFICATES = [...TOKENS, 'registerClient', ...MANAGEMENT, 'cardsSmoke']

interface Row {
  /** what a server that keeps it does */
  readonly keeps: string
  readonly operations: readonly string[]
}

export const RULES = {
  'certificate-is-needed': {
    keeps: 'a caller without a client certificate is refused',
    operations: BEHIND_CERTIFICATES,
  },
  'certificate-authority-is-checked': {
    keeps: 'a client certificate of an unknown authority is refused',
    operations: BEHIND_CERTIFICATES,
  },
  'certificate-dates-are-checked': {
    keeps: 'an expired client certificate is refused',
    operations: BEHIND_CERTIFICATES,
  },
  'certificate-header-is-ignored': {
    keeps: 'a certificate in a request header stands in for none of the handshake',
    operations: BEHIND_CERTIFICATES,
  },
  'certificate-subject-is-checked': {
    keeps: 'the subject of the certificate authenticates its own application alone',
    operations: ['directoryToken'],
  },
  'old-tls-is-refused': { keeps: 'TLS 1.0 and 1.1 are refused', operations: BEHIND_CERTIFICATES },
  'weak-ciphers-are-refused': {
    keeps: 'of TLS 1.2 only suites with forward secrecy and authenticated encryption are spoken',
    operations: BEHIND_CERTIFICATES,
  },
  'resumed-session-is-checked': {
    keeps: 'a caller without a certificate is refused on a resumed session too',
    operations: BEHIND_CERTIFICATES,
  },

  'method-is-offered': {
    keeps: 'a method that is not documented there is answered with 405',
    operations: ['token', 'readClient', 'registerClient'],
  },
  'refusal-names-an-error': {
    keeps: 'a refusal is JSON with an error code',
    operations: ['token', ...REGISTRATION],
  },
  'parameter-is-sent-once': { keeps: 'a parameter that is sent twice is refused', operations: TOKEN },
  'assertion-is-needed': { keeps: 'a token request without client assertion is refused', operations: TOKEN },
  'assertion-type-is-checked': { keeps: 'another client_assertion_type is refused', operations: TOKEN },
  'one-way-to-authenticate': { keeps: 'two ways of client authentication at once are refused', operations: TOKEN },
  'client-id-is-the-subject': { keeps: 'a client_id that is not the subject is refused', operations: TOKEN },
  'assertion-expiry-is-checked': {
    keeps: 'an assertion that has expired, never expires or expires too late is refused',
    operations: TOKEN,
  },
  'assertion-time-is-checked': { keeps: 'an assertion with iat or nbf in the future is refused', operations: TOKEN },
  'clock-skew-is-allowed': { keeps: 'an iat or nbf a few seconds ahead is accepted', operations: TOKEN },
  'assertion-audience-is-checked': { keeps: 'an assertion for another audience is refused', operations: TOKEN },
  'issuer-is-an-audience': { keeps: 'an assertion for the issuer alone is accepted', operations: TOKEN },
  'audience-is-compared-as-written': {
    keeps: 'an audience with a further slash or fragment is another one',
    operations: TOKEN,
  },
  'assertion-issuer-is-checked': { keeps: 'an assertion whose iss is not the client is refused', operations: TOKEN },
  'assertion-subject-is-checked': { keeps: 'an assertion whose sub is not the client is refused', operations: TOKEN },
  'every-listed-key-counts': {
    keeps: 'an assertion by any listed key of the client is accepted, a renewed one among them',
    operations: TOKEN,
  },
  'assertion-signature-is-checked': {
    keeps: 'an assertion that no listed key of the client has signed is refused',
    operations: TOKEN,
  },
  'unsigned-assertion-is-refused': { keeps: 'an assertion with alg none is refused', operations: TOKEN },
  'public-key-is-no-secret': { keeps: 'an assertion by HS256 with the public key is refused', operations: TOKEN },
  'registered-algorithm-is-demanded': {
    keeps: 'an assertion by another algorithm than the registered one is refused',
    operations: TOKEN,
  },
  'critical-headers-are-understood': {
    keeps: 'an assertion with an unknown critical header is refused',
    operations: TOKEN,
  },
  'assertion-type-is-optional': { keeps: 'an assertion is accepted with and without typ', operations: TOKEN },
  'assertion-is-used-once': { keeps: 'an assertion that was used is refused', operations: TOKEN },
  'grant-is-registered': { keeps: 'a grant that the client has not registered is refused', operations: TOKEN },
  'scope-is-registered': { keeps: 'a scope that the client has not registered is refused', operations: TOKEN },
  'deleted-client-gets-no-token': { keeps: 'a deleted client gets no token', operations: TOKEN },

  'token-is-bound-to-the-certificate': {
    keeps: 'a token is refused from another certificate than its own',
    operations: ['cardsSmoke'],
  },
  'api-token-is-needed': { keeps: 'a call without access token is refused', operations: ['cardsSmoke'] },
  'registration-token-opens-no-api': { keeps: 'a registration access token is refused', operations: ['cardsSmoke'] },
  'query-token-is-ignored': {
    keeps: 'a token in the query is not accepted',
    operations: ['cardsSmoke', ...MANAGEMENT],
  },
  'scheme-is-in-any-case': { keeps: 'the name of the scheme is accepted in any case', operations: ['cardsSmoke'] },

  'registration-is-json': { keeps: 'a registration in another content type is refused', operations: REGISTRATION },
  'members-have-their-type': { keeps: 'scopes that are no list are refused', operations: REGISTRATION },
  'unknown-member-is-ignored': { keeps: 'an unknown member does no harm', operations: REGISTRATION },
  'statement-is-needed': { keeps: 'a registration without software statement is refused', operations: REGISTRATION },
  'statement-is-signed': {
    keeps: 'a software statement whose signature does not verify is refused',
    operations: REGISTRATION,
  },
  'unsigned-statement-is-refused': { keeps: 'a software statement with alg none is refused', operations: REGISTRATION },
  'statement-key-is-no-secret': {
    keeps: 'a software statement by HS256 with the public key is refused',
    operations: REGISTRATION,
  },
  'embedded-key-is-not-trusted': {
    keeps: 'a key that a software statement brings along is not trusted',
    operations: REGISTRATION,
  },
  'statement-issuer-is-trusted': {
    keeps: 'a software statement of another issuer is refused',
    operations: REGISTRATION,
  },
  'statement-is-current': { keeps: 'an expired software statement is refused', operations: REGISTRATION },
  'one-client-for-an-application': {
    keeps: 'an application that has a client is not registered again',
    operations: ['registerClient'],
  },
  'redirect-uris-are-in-the-statement': {
    keeps: 'a redirect URI outside the software statement is refused',
    operations: REGISTRATION,
  },
  'keys-have-one-place': { keeps: 'jwks beside jwks_uri is refused', operations: REGISTRATION },
  'keys-are-public': { keeps: 'a private or symmetric key is refused', operations: REGISTRATION },
  'keys-are-strong': { keeps: 'a weak key is refused', operations: REGISTRATION },
  'authentication-method-is-offered': {
    keeps: 'an unknown authentication method is refused',
    operations: REGISTRATION,
  },
  'certificate-subject-is-named': {
    keeps: 'tls_client_auth without a subject is refused',
    operations: REGISTRATION,
  },
  'assertion-algorithm-is-offered': {
    keeps: 'token_endpoint_auth_signing_alg none and HS256 are refused',
    operations: REGISTRATION,
  },
  'response-type-is-offered': { keeps: 'an unknown response type is refused', operations: REGISTRATION },
  'scope-is-covered': { keeps: 'a scope that no role covers is not granted', operations: REGISTRATION },

  'registration-token-is-needed': {
    keeps: 'a call without registration access token is refused',
    operations: MANAGEMENT,
  },
  'registration-token-is-checked': { keeps: 'a wrong registration access token is refused', operations: MANAGEMENT },
  'registration-token-is-known': {
    keeps: 'a registration access token of 40 characters or more is refused where it is unknown',
    operations: MANAGEMENT,
  },
  'registration-token-is-compared-whole': {
    keeps: 'the registration access token with a further character is refused',
    operations: MANAGEMENT,
  },
  'registration-token-is-of-the-client': {
    keeps: 'the registration access token of another client is refused',
    operations: MANAGEMENT,
  },
  'replaced-token-is-dead': {
    keeps: 'a registration access token that was replaced is refused',
    operations: MANAGEMENT,
  },
  'access-token-manages-nothing': { keeps: 'an access token is no registration access token', operations: MANAGEMENT },
  'statement-is-of-the-client': {
    keeps: 'an update with the software statement of another application is refused',
    operations: ['updateClient'],
  },
  'update-takes-effect': { keeps: 'what an update registers is there afterwards', operations: ['updateClient'] },
  'update-replaces': { keeps: 'a scope or member that an update leaves out is gone', operations: ['updateClient'] },
  'update-removes-metadata': {
    keeps: 'an update removes the Programme Manager metadata',
    operations: ['updateClient'],
  },
} as const satisfies Readonly<Record<string, Row>>

export type Rule = keyof typeof RULES

export function isRule(name: string): name is Rule {
  return Object.hasOwn(RULES, name)
}
