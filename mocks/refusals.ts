/**
 * Every refusal the servers give: status, headers and body. The bodies are those of fixtures/thredd/error-examples.json;
 * a few that the fixture lacks follow the same clause.
 */
import examples from '../fixtures/thredd/error-examples.json' with { type: 'json' }
import { type Answer, empty, type Headings, json, text } from './content.ts'
import type { Switches } from './switches.ts'

interface Example {
  readonly case: string
  readonly http: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readonly<Record<string, unknown>> | null
}

/** Refusals taken from the fixture: its section, and its case. */
const DOCUMENTED = {
  directoryClient: ['directory_token', 'no or untrusted client certificate, or unknown client_id'],
  directoryGrant: ['directory_token', 'grant_type other than client_credentials'],
  directoryGrantForbidden: ['directory_token', 'grant type of the server that the application may not use'],
  directoryScope: ['directory_token', 'scope other than directory:software'],
  directoryGrantAbsent: ['directory_token', 'grant_type missing'],
  directoryUnidentified: ['directory_token', 'no client identification'],
  directoryTwoWays: ['directory_token', 'two ways of client authentication'],
  directoryRepeated: ['directory_token', 'parameter sent twice'],
  directoryForm: ['directory_token', 'body is not a form'],
  assertionIdentifier: ['directory_assertion', 'malformed identifier'],
  assertionToken: ['directory_assertion', 'missing, expired or unbound bearer token'],
  assertionOrganisation: ['directory_assertion', 'token of another organisation'],
  statementAbsent: ['as_register_post', 'software_statement absent'],
  statementInvalid: ['as_register_post', 'software_statement signature or issuer wrong'],
  statementUnapproved: ['as_register_post', 'application or organisation not Active'],
  scopeNotCovered: ['as_register_post', "scope not covered by the application's roles (strict mode)"],
  alreadyRegistered: ['as_register_post', 'client_id of the software statement already registered'],
  conflict: ['as_register_post', 'client_id of the software statement in conflict'],
  redirectUri: ['as_register_post', 'bad redirect URI'],
  notFound: ['as_register_post', 'workspace or tenant unknown'],
  registrationTokenAbsent: ['as_register_manage', 'no bearer token'],
  registrationTokenInvalid: ['as_register_manage', 'wrong, rotated or revoked token'],
  clientDeleted: ['as_register_manage', 'client was deleted'],
  registrationTokenForeign: ['as_register_manage', 'token of another client'],
  metadataInvalid: ['as_register_manage', 'PUT body invalid'],
  client: ['as_token', 'assertion wrong (signature, kid, aud, exp, replayed jti) or client unknown'],
  scope: ['as_token', 'scope beyond registration'],
  certificateAbsent: ['as_token', 'no client certificate although the client has certificate-bound tokens'],
  apiValidation: ['cards_api', 'validation error'],
  apiToken: ['cards_api', 'certificate of the request differs from cnf of the token'],
  apiScope: ['cards_api', 'scope missing from the token'],
} as const

/** Refusals that the fixture does not hold, in the shape of those it does. */
const FURTHER = {
  /** @see [RFC 6749 5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2) */
  request: {
    http: 400,
    body: {
      error: 'invalid_request',
      error_description:
        'The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than once, or is otherwise malformed.',
      status_code: 400,
    },
  },
  grantUnknown: {
    http: 400,
    body: {
      error: 'unsupported_grant_type',
      error_description: 'The authorization grant type is not supported by the authorization server.',
      status_code: 400,
    },
  },
  grantNotRegistered: {
    http: 400,
    body: {
      error: 'unauthorized_client',
      error_description: 'The client is not authorized to request a token using this method.',
      status_code: 400,
    },
  },
  /** Inferred: codes and wording of the library whose error names the product has; RFC 7523 3.2 demands invalid_client. */
  assertionReplayed: {
    http: 400,
    body: { error: 'jti_known', error_description: 'The jti was already used.', status_code: 400 },
  },
  /** Inferred: the front of the directory's API is a gateway of a cloud provider, and these are its answers. */
  gatewayUnauthorized: { http: 401, body: { message: 'Unauthorized' } },
  gatewayDenied: { http: 403, body: { Message: 'User is not authorized to access this resource' } },
  gatewayForbidden: { http: 403, body: { message: 'Forbidden' } },
  /** @see [RFC 6750 3](https://www.rfc-editor.org/rfc/rfc6750.html#section-3) */
  initialTokenAbsent: {
    http: 401,
    headers: { 'www-authenticate': 'Bearer' },
    body: { error: 'invalid_token', error_description: 'initial access token is required', status_code: 401 },
  },
  initialTokenInvalid: {
    http: 401,
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    body: { error: 'invalid_token', error_description: 'initial access token is not valid', status_code: 401 },
  },
  /** RFC 6750 3.1: no error code where no token was sent at all. */
  apiTokenAbsent: { http: 401, headers: { 'www-authenticate': 'Bearer' }, body: null },
  /** Shape of the API's validation errors; that it refuses at all is a guess. */
  apiMetadata: {
    http: 403,
    body: {
      type: 'about:blank',
      title: 'Programme Manager metadata is not set for this client',
      status: 403,
      traceId: '',
      errors: {},
    },
  },
} as const

export type RefusalName = keyof typeof DOCUMENTED | keyof typeof FURTHER

/** A request that is turned down; thrown by handlers, answered by the twin. */
export class Refusal extends Error {
  readonly refusal: RefusalName
  readonly changes: Readonly<Record<string, unknown>>

  constructor(refusal: RefusalName, reason: string, changes: Readonly<Record<string, unknown>>) {
    super(reason)
    this.name = 'Refusal'
    this.refusal = refusal
    this.changes = changes
  }
}

/** Turns the request down. `reason` goes to the log in words; `changes` replace members of the example body, status_code the status too. */
export function refuse(refusal: RefusalName, reason: string, changes: Readonly<Record<string, unknown>> = {}): never {
  throw new Refusal(refusal, reason, changes)
}

/** The answer, in the shape that the switches give it; `accept` is the header of the request. */
export function answerTo(refusal: Refusal, switches: Switches, accept = ''): Answer {
  const { http, headers, body } = exampleOf(refusal.refusal)
  const headings = { 'cache-control': 'no-store', ...headers }
  if (body === null || body === undefined) return empty(http, headings)
  const { status_code = http } = refusal.changes
  const status = Number(status_code)
  const changed: Readonly<Record<string, unknown>> = { ...body, ...refusal.changes }
  if (!isOfDirectory(refusal.refusal)) return json(shaped(changed, switches.errorShape), status, headings)
  if (switches.directoryErrors === 'oauth') return json({ error: changed.error }, status, headings)
  return prefersHtml(accept) ? errorPage(String(changed.error), status, headings) : json(changed, status, headings)
}

function isOfDirectory(name: RefusalName): boolean {
  return name in DOCUMENTED && DOCUMENTED[name as keyof typeof DOCUMENTED][0] === 'directory_token'
}

/** Whether no type of the header has a greater weight than text/html, and none of the same stands before it (RFC 9110 12.5.1). */
function prefersHtml(accept: string): boolean {
  const ranges = accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return { type, weight: Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1) }
  })
  return ranges.toSorted((one, other) => other.weight - one.weight)[0]?.type === 'text/html'
}

/** Holds nothing of the request, so there is nothing to escape. */
function errorPage(error: string, status: number, headings: Headings): Answer {
  const page = `<!DOCTYPE html><html><head><title>oops! something went wrong</title></head><body><h1>${error}</h1></body></html>`
  return text(page, status, { ...headings, 'content-type': 'text/html; charset=utf-8' })
}

function exampleOf(name: RefusalName): Omit<Example, 'case'> {
  if (name in FURTHER) return FURTHER[name as keyof typeof FURTHER]
  const [section, title] = DOCUMENTED[name as keyof typeof DOCUMENTED]
  // The file's entries differ in their optional members; Example is what they have in common.
  const found = (examples[section] as readonly Example[]).find((example) => example.case === title)
  if (found === undefined) throw new Error(`fixtures/thredd/error-examples.json has no case "${title}"`)
  return found
}

/** Only bodies of the authorization server carry status_code, so only they change their shape. */
function shaped(body: Readonly<Record<string, unknown>>, shape: Switches['errorShape']): Record<string, unknown> {
  const { status_code, error_hint: _, ...oauth } = body
  if (status_code === undefined || shape === 'acp') return { ...body }
  if (shape === 'oauth') return oauth
  if (shape === 'administrative') {
    return { error: body.error_description, error_code: String(status_code), status_code, details: {} }
  }
  return { error: body.error_description, error_code: status_code, error_hint: body.error_hint ?? body.error }
}
