/**
 * What the refusal of a registration says, by its status and the family of its error. The wording is the server's own affair:
 * products and languages differ. Pure.
 */

/** The cause that a refused POST or PUT of RFC 7591 and RFC 7592 points to. */
export type Refusal = 'statement unapproved' | 'statement' | 'scope' | 'member' | 'registered'

interface Family {
  readonly means: Refusal
  readonly status: readonly number[]
  /** `error` of the body is one of these; absent: whatever the body is */
  readonly errors?: readonly string[]
  /** the member of the metadata that the description or the hint names */
  readonly names?: RegExp
}

/** Members of client metadata (RFC 7591 section 2, RFC 8705 section 3.4) by which a server says what it refuses. */
const MEMBERS =
  /\b(?:redirect_uris?|grant_types?|response_types?|application_types?|jwks(?:_uri)?|subject_type|[a-z_]+_auth_method|[a-z_]+_alg|[a-z_]+_enc|tls_client_[a-z_]+)\b/i

/**
 * The first that fits counts. `invalid_client_metadata` stands for anything in the request, so what it names comes first; what
 * is left of it is how servers refuse a software statement that has a client already (RFC 7591 section 3.2.2).
 */
const FAMILIES: readonly Family[] = [
  { means: 'statement unapproved', status: [400, 403], errors: ['unapproved_software_statement'] },
  { means: 'statement', status: [400], errors: ['invalid_software_statement'] },
  { means: 'scope', status: [400], errors: ['invalid_scope'] },
  // The policy of a workspace refuses so, and roles are its likeliest content.
  { means: 'scope', status: [403], errors: ['access_denied', 'request_forbidden'] },
  { means: 'scope', status: [400], errors: ['invalid_client_metadata', 'invalid_request'], names: /scope/i },
  { means: 'statement', status: [400], errors: ['invalid_request'], names: /software.?statement/i },
  { means: 'member', status: [400], errors: ['invalid_client_metadata', 'invalid_request'], names: MEMBERS },
  { means: 'registered', status: [409] },
  { means: 'registered', status: [400], errors: ['invalid_client_metadata', 'invalid_request'] },
]

/** Undefined where status and error point to none of them. `body` is the text of the answer. */
export function refusalOf({ status, body }: { readonly status: number; readonly body: string }): Refusal | undefined {
  const { error, error_description: description, error_hint: hint } = membersOf(body)
  const said = `${description ?? ''} ${hint ?? ''}`
  return FAMILIES.find(
    ({ status: statuses, errors, names }) =>
      statuses.includes(status) &&
      (errors === undefined || (typeof error === 'string' && errors.includes(error))) &&
      (names === undefined || names.test(said)),
  )?.means
}

function membersOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
