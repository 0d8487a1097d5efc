/** The switches: behaviours of the servers that no published page settles, each with its values, default, meaning and source. */

interface Switch {
  /** the allowed words, or the kind of value: seconds are whole and not negative, scopes are separated by spaces */
  readonly values: readonly string[] | 'boolean' | 'seconds' | 'scopes'
  readonly default: string | number | boolean
  readonly meaning: string
  /** whether the default is documented or inferred; no page settles the behaviour itself */
  readonly mark: 'documented' | 'inferred'
  readonly source: string
}

export const SWITCHES = {
  refuse: {
    values: ['handshake', 'html400'],
    default: 'handshake',
    meaning:
      'how a missing or foreign client certificate is refused: the connection ends, or an HTML page with status 400',
    mark: 'inferred',
    source: 'RFC 8446 6.2; the HTML page is documented by Thredd for a customer endpoint',
  },
  customDomainCertificate: {
    values: ['required', 'optional'],
    default: 'required',
    meaning: 'whether auth.uat.threddid.com demands the client certificate or merely accepts one',
    mark: 'inferred',
    source: 'the name is documented only inside a registration_client_uri',
  },
  directoryApiHost: {
    values: ['matls-api', 'matls-auth'],
    default: 'matls-api',
    meaning: 'which host of the directory answers with software statements',
    mark: 'inferred',
    source: 'matls-api in other deployments of the same product; Thredd lists only matls-auth among the mTLS hosts',
  },
  directoryAuthMethod: {
    values: ['either', 'tls_client_auth', 'private_key_jwt'],
    default: 'either',
    meaning: 'how an application authenticates at the directory token endpoint',
    mark: 'inferred',
    source: 'the directory advertises both methods',
  },
  directoryTokenForm: {
    values: ['opaque', 'jwt'],
    default: 'opaque',
    meaning: 'a directory access token is 43 random characters, or a JWT of RFC 9068 with cnf',
    mark: 'inferred',
    source: 'opaque in a token response of another deployment of the same product, a JWT in its newer documents',
  },
  directoryTokenSeconds: {
    values: 'seconds',
    default: 600,
    meaning: 'life of a directory access token',
    mark: 'inferred',
    source: 'a token response of another deployment of the same product',
  },
  directoryErrors: {
    values: ['library', 'oauth'],
    default: 'library',
    meaning:
      "error body of the directory's token endpoint: library has the texts of one server library, and an HTML page for a request that prefers text/html; oauth has the error code alone",
    mark: 'inferred',
    source: "the directory's addresses are the defaults of that library; RFC 6749 5.2 requires the code alone",
  },
  directoryApiErrors: {
    values: ['empty', 'gateway'],
    default: 'empty',
    meaning:
      "how the directory's API refuses a token: 401 or 403 without content, or the JSON of a cloud provider's gateway, which has 403 for a token it does not know",
    mark: 'documented',
    source: 'without content in the description of another deployment; its gateway is described there too',
  },
  requireGenerate: {
    values: 'boolean',
    default: false,
    meaning:
      'a software statement can be read only after it has been generated in the dashboard (hook generate-statement), and again after each unlock',
    mark: 'inferred',
    source: 'Thredd asks to generate it first; the directory product generates it when it is read',
  },
  lockOnSsaRead: {
    values: 'boolean',
    default: false,
    meaning: 'reading a software statement locks the application against role changes until it is unlocked',
    mark: 'inferred',
    source: 'documented for generating one in the user interface; the directory product generates one when it is read',
  },
  rolesInSsa: {
    values: ['empty', 'listed'],
    default: 'empty',
    meaning: 'whether the software statement lists the roles of the application',
    mark: 'documented',
    source: 'both sample software statements carry none',
  },
  ssaForm: {
    values: ['jwt', 'json'],
    default: 'jwt',
    meaning: 'the software statement comes as application/jwt, or as a JSON string',
    mark: 'documented',
    source: 'the directory product lists application/jwt first and application/json as well',
  },
  ssaMaxAgeSeconds: {
    values: 'seconds',
    default: 0,
    meaning: 'oldest software statement the authorization server accepts; 0 is any',
    mark: 'inferred',
    source: 'the 2024-09 sample was more than seven hours old when it was accepted',
  },
  initialAccessToken: {
    values: ['off', 'required'],
    default: 'off',
    meaning: 'whether registration needs a one-time initial access token besides the software statement',
    mark: 'inferred',
    source: 'RFC 7591 3.1; a setting of the product, not mentioned by Thredd',
  },
  idempotencyKey: {
    values: 'boolean',
    default: false,
    meaning:
      'a second registration within a minute with the same X-Idempotency-Key (32 to 255 characters) is answered like the first, with X-Idempotent-Replayed: true',
    mark: 'inferred',
    source: 'the product does so since April 2025; unknown for the version Thredd runs',
  },
  certificateMatch: {
    values: ['organisation', 'none'],
    default: 'organisation',
    meaning: 'whether registration and token requests must come with a certificate of the same organisation',
    mark: 'inferred',
    source: 'the stricter choice; RFC 8705 does not demand it for private_key_jwt',
  },
  scopeMode: {
    values: ['filter', 'strict'],
    default: 'filter',
    meaning: 'a requested scope that no role covers is dropped (filter) or refused with 400 (strict)',
    mark: 'inferred',
    source: 'documented as "not accepted" without saying how',
  },
  defaultScopes: {
    values: ['roles', 'none'],
    default: 'roles',
    meaning: 'what a registration without scopes gets: all that its roles cover, or nothing',
    mark: 'inferred',
    source: 'the product has a set of default scopes',
  },
  unrequestedScopes: {
    values: 'scopes',
    default: '',
    meaning: 'scopes that are granted without being requested',
    mark: 'documented',
    source: 'the 2024-08 sample holds internal.read internal.write issuer.read issuer.write',
  },
  scopeRefusal: {
    values: ['invalid_client_metadata', 'invalid_scope', 'access_denied', 'request_forbidden'],
    default: 'invalid_client_metadata',
    meaning: 'error of a registration with a scope that no role covers: the first two with 400, the others with 403',
    mark: 'inferred',
    source: "RFC 7591 3.2.2; a refusal by the product's registration policy may be access_denied or request_forbidden",
  },
  secondRegistrationStatus: {
    values: ['400', '409'],
    default: '400',
    meaning:
      'answer to a registration of an application that has a client already: 400 invalid_client_metadata, or 409 in the generic shape',
    mark: 'inferred',
    source:
      "the client_id comes from the software statement, so it must collide; RFC 7591 3.2.2, or the product's model",
  },
  uriForm: {
    values: ['raw', 'encoded'],
    default: 'raw',
    meaning: 'how the client_id is written in registration_client_uri',
    mark: 'documented',
    source: 'raw in the 2024-08 sample, encoded in the 2024-09 sample',
  },
  uriHost: {
    values: ['custom', 'old'],
    default: 'custom',
    meaning: 'which name of the authorization server is used in registration_client_uri',
    mark: 'documented',
    source: 'the custom domain in the 2024-08 sample, the old name in the 2024-09 sample',
  },
  rotateOnRead: {
    values: 'boolean',
    default: false,
    meaning: 'GET answers with a new registration access token and the old one no longer works',
    mark: 'inferred',
    source: 'RFC 7592 2.1 allows it',
  },
  rotateOnUpdate: {
    values: 'boolean',
    default: true,
    meaning: 'PUT answers with a new registration access token and the old one no longer works',
    mark: 'inferred',
    source: 'the product rotates unless told otherwise; RFC 7592 2.2 allows it',
  },
  registrationTokenSeconds: {
    values: 'seconds',
    default: 0,
    meaning: 'life of a registration access token; 0 never ends',
    mark: 'documented',
    source: 'registration_access_token_expires_in of both samples',
  },
  certBoundRegistrationToken: {
    values: 'boolean',
    default: false,
    meaning: 'a registration access token works only with the certificate that registered the client',
    mark: 'inferred',
    source: 'a setting of the product',
  },
  registrationTokenManagement: {
    values: 'boolean',
    default: true,
    meaning:
      'a registration access token may read, update and delete its client; if false, it is answered 403, and an access token of the client with scope dcr_manage (see unrequestedScopes) may do so instead',
    mark: 'inferred',
    source: 'a setting of the product; RFC 7592 2.1 to 2.3 name the 403; dcr_manage is in scopes_supported',
  },
  foreignTokenStatus: {
    values: ['403', '401'],
    default: '403',
    meaning: "status for another client's registration access token",
    mark: 'inferred',
    source: 'RFC 7592 2.1 to 2.3 allow both',
  },
  unknownClientStatus: {
    values: ['401', '404'],
    default: '401',
    meaning: 'status at the configuration URL of a client that is deleted or never existed',
    mark: 'inferred',
    source: '401 by RFC 7592 2.1 to 2.3; the product also documents 404',
  },
  updateBody: {
    values: ['either', 'rfc', 'acp'],
    default: 'either',
    meaning:
      'PUT body: rfc demands client_id and forbids the four members of RFC 7592 2.2, acp ignores all five, either forbids the four and lets client_id be absent',
    mark: 'inferred',
    source: 'no PUT body is published; the product uses its POST model',
  },
  updateNeedsStatement: {
    values: 'boolean',
    default: true,
    meaning: 'PUT must carry a software statement',
    mark: 'inferred',
    source: 'POST must',
  },
  audience: {
    values: ['legacy', 'strict'],
    default: 'legacy',
    meaning:
      'assertion audience: legacy takes the issuer or an endpoint of the server, alone or in a list; strict the issuer alone',
    mark: 'inferred',
    source: 'RFC 7523 3 allows the token endpoint; draft-ietf-oauth-rfc7523bis the issuer only',
  },
  requireKid: {
    values: 'boolean',
    default: false,
    meaning: 'an assertion must name its key; otherwise every active signing key of the client is tried',
    mark: 'inferred',
    source: 'OPTIONAL by RFC 7515 4.1.4',
  },
  requireIat: {
    values: 'boolean',
    default: false,
    meaning: 'an assertion must say when it was made',
    mark: 'inferred',
    source: 'optional by RFC 7523 3; the product lists it among the claims to send',
  },
  requireJti: {
    values: 'boolean',
    default: false,
    meaning: 'an assertion must have an id; without one it can be used again',
    mark: 'inferred',
    source: 'optional by RFC 7523 3; the product lists it among the claims to send',
  },
  assertionErrors: {
    values: ['uniform', 'specific'],
    default: 'uniform',
    meaning:
      'answer of the authorization server to a wrong assertion: always 401 invalid_client, or 400 invalid_request for an unknown kid and 400 jti_known for a jti used before',
    mark: 'inferred',
    source: 'RFC 7523 3.2; the codes of the library whose error names the product has',
  },
  assertionMaxLifeSeconds: {
    values: 'seconds',
    default: 300,
    meaning: 'how far ahead the exp of an assertion may be',
    mark: 'documented',
    source: 'docs.thredd.com "Requesting a Signing Certificate for Private Key JWT"',
  },
  clockSkewSeconds: {
    values: 'seconds',
    default: 30,
    meaning: 'tolerance for exp, nbf and iat',
    mark: 'inferred',
    source: 'FAPI 2.0 5.3.2.1: 10 s ahead must pass, 60 s must not',
  },
  accessTokenSeconds: {
    values: 'seconds',
    default: 600,
    meaning: 'exp minus iat of an API access token; expires_in says one second less',
    mark: 'documented',
    source: 'sample token response',
  },
  unscopedToken: {
    values: ['registered', 'refused'],
    default: 'registered',
    meaning: 'a token request without scope gets all scopes of the client, or invalid_scope',
    mark: 'inferred',
    source: 'RFC 6749 3.3 allows both',
  },
  pmClaims: {
    values: 'boolean',
    default: true,
    meaning: 'access tokens carry the Programme Manager metadata of their client as claims',
    mark: 'inferred',
    source:
      'claims_supported lists pmid, pmcode, issuerid and internalid; the sample token comes before Thredd could set them',
  },
  tokensAfterDelete: {
    values: ['revoked', 'alive'],
    default: 'revoked',
    meaning: 'whether access tokens outlive the deletion of their client',
    mark: 'inferred',
    source: 'RFC 7592 2.3 wants them revoked',
  },
  tokensAfterUpdate: {
    values: ['alive', 'revoked'],
    default: 'alive',
    meaning: 'whether access tokens outlive an update of their client',
    mark: 'inferred',
    source: 'not documented; RFC 7592 2.2 does not ask for revocation',
  },
  metadataSet: {
    values: ['when-asked', 'at-once'],
    default: 'when-asked',
    meaning:
      'when Thredd sets the Programme Manager metadata of a client: with the hook set-metadata, or with every POST; a PUT wipes it in both. The twin that a run brings along sets it at once',
    mark: 'documented',
    source: 'Using DCR Endpoint Data, section 3.3.2: Thredd must be asked',
  },
  requirePmMetadata: {
    values: 'boolean',
    default: false,
    meaning: 'the APIs refuse a client whose Programme Manager metadata Thredd has not set',
    mark: 'inferred',
    source: 'documented is only that Thredd must be asked to set it after every POST and PUT',
  },
  errorShape: {
    values: ['acp', 'oauth', 'generic', 'administrative'],
    default: 'acp',
    meaning:
      'error body of the authorization server: acp has error, error_description, status_code and, where there is one, error_hint; oauth the first two alone; generic a sentence as error, an integer error_code and error_hint; administrative a string as error_code',
    mark: 'inferred',
    source: 'the product documents all but the second, each for other calls',
  },
} as const satisfies Readonly<Record<string, Switch>>

type Table = typeof SWITCHES
type SwitchName = keyof Table
type ValueOf<V> = V extends readonly (infer Word)[]
  ? Word
  : V extends 'boolean'
    ? boolean
    : V extends 'seconds'
      ? number
      : string
export type Switches = { readonly [Name in SwitchName]: ValueOf<Table[Name]['values']> }

/** All switches: the given values, defaults for the rest. Throws a plain Error that names an unknown switch or a wrong value. */
export function settle(given: Partial<Switches> = {}): Switches {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(SWITCHES, name)) throw new Error(`unknown switch "${name}"`)
    const { values } = SWITCHES[name as SwitchName] as Switch
    if (value !== undefined && !isAllowed(value, values)) {
      throw new Error(`switch "${name}" cannot be ${JSON.stringify(value)}; expected ${describe(values)}`)
    }
  }
  const defaults = Object.entries(SWITCHES).map(([name, row]) => [name, row.default])
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries([...defaults, ...set]) as Switches
}

/** Switches from texts `name=value`, as on a command line. Throws a plain Error that names an unknown switch or a wrong value. */
export function switchesOf(settings: Iterable<string>): Partial<Switches> {
  const given: Record<string, unknown> = {}
  for (const setting of settings) {
    const equals = setting.indexOf('=')
    if (equals < 0) throw new Error(`switch "${setting}" has no value; write name=value`)
    const name = setting.slice(0, equals).trim()
    given[name] = parsed(name, setting.slice(equals + 1).trim())
  }
  settle(given as Partial<Switches>)
  return given as Partial<Switches>
}

/** Switches from the text of a file: a JSON object, or lines of `name=value`; lines that begin with `#` are comments. */
export function readSwitches(text: string): Partial<Switches> {
  if (!text.trimStart().startsWith('{')) {
    const lines = text.split(/\r?\n/).map((line) => line.trim())
    return switchesOf(lines.filter((line) => line !== '' && !line.startsWith('#')))
  }
  const given = JSON.parse(text) as Partial<Switches>
  settle(given)
  return given
}

function parsed(name: string, text: string): unknown {
  const values = Object.hasOwn(SWITCHES, name) ? SWITCHES[name as SwitchName].values : undefined
  if (values === 'boolean' && /^(?:true|false)$/.test(text)) return text === 'true'
  if (values === 'seconds' && /^\d+$/.test(text)) return Number(text)
  return text
}

function isAllowed(value: unknown, values: Switch['values']): boolean {
  switch (values) {
    case 'boolean':
      return typeof value === 'boolean'
    case 'seconds':
      return Number.isSafeInteger(value) && Number(value) >= 0
    case 'scopes':
      return typeof value === 'string'
    default:
      return values.includes(String(value))
  }
}

/** The allowed values in words. */
export function describe(values: Switch['values']): string {
  switch (values) {
    case 'boolean':
      return 'true or false'
    case 'seconds':
      return 'a whole number of seconds'
    case 'scopes':
      return 'scopes separated by spaces'
    default:
      return values.map((value) => `"${value}"`).join(' or ')
  }
}
