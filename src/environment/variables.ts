/** The table of settings: every variable an environment file may hold, its shape, its default and what it is for. */
import { wordsOf } from '../identity/command.ts'
import { PROFILE } from '../record/profile.ts'
import { z } from '../record/shape.ts'

const text = z.string()
const httpsUrl = z.string().check(
  z.refine((value) => {
    const url = URL.parse(value)
    return url?.protocol === 'https:' && `${url.username}${url.password}` === '' && url.search === '' && url.hash === ''
  }, 'an https:// URL without user, query or fragment'),
)
const list = z.pipe(
  text,
  z.transform((value) => value.split(/[\s,]+/).filter((item) => item !== '')),
)
/** A path. The key itself, which people paste here, is refused: messages print paths. */
const path = text.check(
  z.refine((value) => !isContent(value), 'the path of a file, not its content (that is set without _FILE)'),
  z.refine(
    (value) => !/^~|^%\w+%|^\$/.test(value),
    'a path without ~ and without variables, which only a shell replaces',
  ),
)

const CONTENT: readonly RegExp[] = [
  /-----BEGIN|[\r\n]/,
  // JSON, or the start of a key, a certificate, PEM or JSON in base64.
  /^\s*\{/,
  /^(?:MI[A-Z]|MH[a-z]|LS0tLS1|ewog|eyJ)[A-Za-z0-9+/_=-]{56,}$/,
  // 32 bytes: the key of a vault.
  /^(?:[A-Za-z0-9+_-][A-Za-z0-9+/_-]{42}=?|[0-9a-fA-F]{64})$/,
]

/** Whether a value is a key or certificate rather than the name of a file. */
export function isContent(value: string): boolean {
  return CONTENT.some((form) => form.test(value))
}
const hosts = z.pipe(
  text,
  z.pipe(
    z.transform((value: string) =>
      value.split(/[\s,]+/).flatMap((item) => (item === '' ? [] : [item.toLowerCase().replace(/:443$/, '')])),
    ),
    z.array(
      text.check(
        z.regex(/^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/, 'host names, each with a port if it is not 443'),
      ),
    ),
  ),
)
const integer = (least: number, most: number) =>
  z.pipe(
    text.check(z.regex(/^\d{1,9}$/, `a whole number from ${least} to ${most}`)),
    z.pipe(
      z.transform(Number),
      z
        .int()
        .check(
          z.gte(least, `a whole number from ${least} to ${most}`),
          z.lte(most, `a whole number from ${least} to ${most}`),
        ),
    ),
  )
const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, `${values.map((value) => `"${value}"`).join(' or ')}`)

/** JWS algorithms of client assertions (RFC 7518 §3.1). */
export const SIGNING_ALGORITHMS = ['PS256', 'RS256', 'ES256'] as const
const signingAlgorithm = oneOf(...SIGNING_ALGORITHMS)

/** Settings by name. `default` is used where the variable is not set. */
export const VARIABLES = {
  ENV_CLASS: {
    shape: oneOf('mock', 'uat', 'prod'),
    about: 'what the environment is; decides how careful the runner must be',
  },
  ALLOWED_HOSTS: {
    shape: hosts,
    about:
      'hosts that may be called; default: those of all SERVER_* and the documented names of the authorization server',
  },
  CLIENT_ID: {
    shape: text,
    about: 'the client id of the application, whole: Thredd CA > Applications > (application) > Details',
  },
  ORG_ID: { shape: text, about: "the organisation's id in Thredd CA (Postman: org_id)" },
  SOFTWARE_ID: { shape: text, about: "the application's id in Thredd CA (Postman: ssa_id)" },
  ROLES: {
    shape: list,
    about:
      'the roles of the application in Thredd CA; on UAT and production a registration asks for the scopes that they cover, where SCOPES and --input scopes say nothing',
  },
  SIGNING_KEY_FILE: {
    shape: path,
    about: 'private key of the signing certificate: PEM (PKCS#8, PKCS#1, SEC 1), DER, JWK, or one of these in base64',
    file: true,
  },
  SIGNING_KEY: { shape: text, about: 'the same as text, for CI secret stores', secret: true },
  SIGNING_PASSPHRASE: { shape: text, about: 'passphrase of the signing key', secret: true },
  SIGNING_COMMAND: {
    shape: text.check(
      z.refine((value) => wordsOf(value) !== undefined, 'a program and its arguments, with quotes that are closed'),
    ),
    about:
      'a program that signs instead, for a key that may not be a file: it gets the bytes on its standard input and writes the signature; see below',
  },
  SIGNING_JWK: {
    shape: text,
    about: 'public key of SIGNING_COMMAND, as JWK or PEM, where SIGNING_CERT_FILE is not set',
  },
  SIGNING_KID: {
    shape: text,
    about: 'key id of the signing certificate: Thredd CA > App Certificates, type rtssigning (Postman: kid)',
  },
  SIGNING_CERT_FILE: {
    shape: path,
    about: 'its certificate, for the inventory of a report and a warning before it expires; not needed to sign',
    file: true,
  },
  RENEWED_SIGNING_KID: {
    shape: text,
    about:
      'key id of a further signing certificate, only while the signing key is being replaced (run rotate-signing-key)',
  },
  RENEWED_SIGNING_KEY_FILE: {
    shape: path,
    about: 'its private key, in one of the forms of SIGNING_KEY_FILE',
    file: true,
  },
  RENEWED_SIGNING_KEY: { shape: text, about: 'the same as text', secret: true },
  RENEWED_SIGNING_PASSPHRASE: { shape: text, about: 'passphrase of that key', secret: true },
  RENEWED_SIGNING_COMMAND: {
    shape: text.check(
      z.refine((value) => wordsOf(value) !== undefined, 'a program and its arguments, with quotes that are closed'),
    ),
    about: 'a program that signs with that key, as SIGNING_COMMAND does; needs RENEWED_SIGNING_CERT_FILE',
  },
  RENEWED_SIGNING_CERT_FILE: { shape: path, about: 'the further signing certificate', file: true },
  SIGNING_ALG: {
    shape: signingAlgorithm,
    default: PROFILE.signing_alg,
    about: 'algorithm of the client assertion at the authorization server',
  },
  DIRECTORY_SIGNING_ALG: {
    shape: signingAlgorithm,
    default: PROFILE.directory_signing_alg,
    about: 'algorithm of the client assertion at the directory, which lists PS256 only',
  },
  DIRECTORY_AUTH_METHOD: {
    shape: oneOf('tls_client_auth', 'private_key_jwt'),
    default: PROFILE.directory_auth_method,
    about: 'how the application authenticates at the directory',
  },
  ASSERTION_AUDIENCE_DIRECTORY: {
    shape: text,
    about: "aud of the assertion for the directory; default: the directory's mTLS token endpoint",
  },
  ASSERTION_AUDIENCE_AUTHORIZATION: {
    shape: text,
    about: 'aud of the assertion for the authorization server; default: its token endpoint',
  },
  UPDATE_BODY: {
    shape: oneOf('acp', 'rfc'),
    default: PROFILE.update_body,
    about: 'form of the DCR PUT body: like the POST with client_id, or RFC 7592',
  },
  REGISTRATION_TOKEN_ROTATION: {
    shape: oneOf('any', 'every-update', 'never'),
    default: PROFILE.registration_token_rotation,
    about: 'whether a PUT answers with a new registration access token: any where nobody has said',
  },
  X_REGION: {
    shape: oneOf('0', '1', '2'),
    about: 'X-Region of calls to the API Hub: 0 default, 1 EMEA, 2 APAC; where it is not set, 0',
  },
  EXPECTED_TOKEN_ISSUER: { shape: text, about: 'iss of the API access tokens; it differs from the discovery issuer' },
  SACRIFICIAL_CLIENT: {
    shape: oneOf('true', 'false'),
    default: 'false',
    about: 'true only for a client that is used for tests alone: allows tests after which its token may be lost',
  },
  PAUSE_MS: {
    shape: integer(0, 60_000),
    about:
      'ms between two calls, of rows between two calls to a host; default: on UAT and production 200 where flows of flows/conformance or rows run, else none',
  },
  MOST_CALLS: {
    shape: integer(1, 1_000_000),
    about:
      'the calls of a run, after which it ends; default: on UAT and production 1000 where flows of flows/conformance run',
  },
  TRANSPORT_CERT_FILE: {
    shape: path,
    about: 'client certificate for mutual TLS, PEM or DER; its chain may follow',
    file: true,
  },
  TRANSPORT_CERT: { shape: text, about: 'the same as text, for CI secret stores', secret: true },
  TRANSPORT_KEY_FILE: { shape: path, about: 'its private key, in one of the forms of SIGNING_KEY_FILE', file: true },
  TRANSPORT_KEY: { shape: text, about: 'the same as text', secret: true },
  TRANSPORT_PFX_FILE: { shape: path, about: 'certificate and key in one PKCS#12 file instead', file: true },
  TRANSPORT_PFX: { shape: text, about: 'the same in base64', secret: true },
  TRANSPORT_PFX_ALIAS: {
    shape: text,
    about:
      'which of several keys of the PKCS#12 file: its name there, or the start of the SHA-256 of its certificate; default: the one for client authentication',
  },
  TRANSPORT_PASSPHRASE: { shape: text, about: 'passphrase of the key or PKCS#12 file', secret: true },
  CA_FILE: {
    shape: path,
    about:
      'further certificate authorities to trust for servers, PEM or DER; an intermediate one is enough. Those in a PKCS#12 file are not trusted',
    file: true,
  },
  CA: { shape: text, about: 'the same as text', secret: true },
  TLS_MIN_VERSION: { shape: oneOf('1.2', '1.3'), default: '1.2', about: 'lowest TLS version' },
  TLS_MAX_VERSION: {
    shape: oneOf('1.2', '1.3'),
    about:
      'highest TLS version, where it is not the newest; 1.2 for a server that asks for the certificate only after the request',
  },
  REDACT: {
    shape: list,
    about: 'further names of members, headers and parameters whose values are secret, besides those known to be',
  },
  TIMEOUT_MS: { shape: integer(100, 600_000), default: '30000', about: 'longest wait for one answer, in milliseconds' },
  VAULT_DIR: { shape: path, about: 'folder of the vault; default: .vault/<environment>', file: true },
  VAULT_KEY: { shape: text, about: 'vault key, 32 bytes as base64url', secret: true },
  VAULT_KEY_FILE: { shape: path, about: 'file that holds the vault key', file: true },
} as const satisfies Record<string, Variable>

interface Variable {
  readonly shape: z.ZodMiniType
  readonly about: string
  readonly default?: string
  /** the value is a path, relative to the file that names it */
  readonly file?: true
  readonly secret?: true
}

export type VariableName = keyof typeof VARIABLES

/** Families of variables: `SERVER_<SOURCE>`, and `IDENTITY_<NAME>_<PART>`, whose names identity/settings.ts makes and reads. */
export const SERVER = { pattern: /^SERVER_([A-Z0-9_]+)$/, shape: httpsUrl, about: 'base URL of a source description' }
export const IDENTITY = { shape: path, about: 'a further identity for a step that names it' }

/** `IDENTITY_FOR_<SOURCE>`: the name of an identity, as in `IDENTITY_<NAME>_CERT_FILE`. */
export const IDENTITY_FOR = {
  pattern: /^IDENTITY_FOR_([A-Z0-9_]+)$/,
  shape: text.check(z.regex(/^[A-Za-z0-9_-]+$/, 'the name of an identity, or none')),
  about:
    'the identity that calls to this source present instead of "transport"; steps that name one themselves keep it',
}

/** Of the source descriptions in flows/; other flows name others. */
export const DOCUMENTED_SERVERS: readonly string[] = [
  'SERVER_DIRECTORY',
  'SERVER_DIRECTORY_MTLS',
  'SERVER_DIRECTORY_API',
  'SERVER_KEYSTORE',
  'SERVER_AUTHORIZATION',
  'SERVER_CARDS',
  'SERVER_API_HUB',
]

/** Settings for which no public page has a value everywhere, with the question of docs/ask-thredd.md that asks for it. */
export const OPEN_QUESTIONS: Readonly<Record<string, number>> = {
  SERVER_AUTHORIZATION: 2,
  EXPECTED_TOKEN_ISSUER: 2,
  SERVER_DIRECTORY: 3,
  SERVER_DIRECTORY_MTLS: 3,
  SERVER_DIRECTORY_API: 3,
  ROLES: 10,
}

/** Read from the files alone, so that a variable left over in a shell cannot switch a guard off or run a program. */
export const FILES_ONLY: readonly string[] = [
  'ENV_CLASS',
  'ALLOWED_HOSTS',
  'SACRIFICIAL_CLIENT',
  'REDACT',
  'SIGNING_COMMAND',
  'RENEWED_SIGNING_COMMAND',
] satisfies VariableName[]

/** On UAT and production a variable may set these, but not contradict a file without --allow-env. */
export const FILES_FIRST: readonly string[] = ['VAULT_DIR', 'CLIENT_ID'] satisfies VariableName[]

/** Whether the setting decides where calls go, whom they trust, or what may be done there: the same for all rows of a run. */
export function isGuardFact(name: string): boolean {
  return (
    [SERVER, IDENTITY_FOR].some(({ pattern }) => pattern.test(name)) ||
    [...FILES_ONLY, ...FILES_FIRST].includes(name) ||
    /^(?:VAULT_KEY(?:_FILE)?|CA(?:_FILE)?|TLS_(?:MIN|MAX)_VERSION)$/.test(name)
  )
}

/** The documented names of the authorization server; registration_client_uri may carry either. */
export const AUTHORIZATION_HOSTS = {
  mock: ['uat-thredd.mtls.eu.authz.cloudentity.io', 'auth.uat.threddid.com'],
  uat: ['uat-thredd.mtls.eu.authz.cloudentity.io', 'auth.uat.threddid.com'],
  prod: [],
} as const
