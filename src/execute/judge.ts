/** Judges an answer against its OpenAPI operation and compares requested with granted scopes. Pure. */

import { parsePointer } from '../flow/expression/expression.ts'
import { memberOf } from '../flow/expression/terms.ts'
import type { CallStep, Step } from '../flow/index.ts'
import { documentedAnswer, type Operation } from '../flow/openapi/description.ts'
import { mostSpecific } from '../flow/openapi/media-type.ts'
import { type Judgement, judgeValue } from '../flow/openapi/validator.ts'
import type { Problem } from '../record/errors.ts'
import type { CheckRecord, Exchange, ScopeDifference } from '../record/index.ts'
import type { ParsedAnswer } from './answer.ts'

/** Status, content type and body against the documented answers; one record for each rule, one for each violated member. */
export function judgeAnswer(operation: Operation, answer: ParsedAnswer): CheckRecord[] {
  if (operation.description === undefined) return []
  const documented = documentedAnswer(operation, answer.status)
  const statuses = [...operation.responses.keys()].join(', ')
  const status = {
    ...check(
      'status',
      'the status is a documented one',
      documented !== undefined,
      `one of ${statuses}`,
      String(answer.status),
    ),
    member: 'status',
  }
  if (documented === undefined) return [status]

  const type = mediaType(answer.headers)
  if (documented.size === 0) {
    // A description without content says nothing about a body, except where HTTP itself forbids one (RFC 9110 §15.3.5).
    if (answer.status !== 204) return [status]
    return [
      status,
      check('content-type', 'the answer has no body', answer.body === undefined, 'no body', type ?? 'a body'),
    ]
  }
  const key = type === undefined ? undefined : mostSpecific(documented.keys(), type)
  const match = key === undefined ? undefined : documented.get(key)
  const accepted = [...documented.keys()].join(' or ')
  const checks = [
    status,
    {
      ...check('content-type', 'the content type is the documented one', match !== undefined, accepted, type ?? 'none'),
      member: 'header Content-Type',
    },
  ]
  if (match === undefined) return checks
  if (answer.malformed !== undefined) {
    const { expected, found } = answer.malformed
    return [...checks, check('schema', 'the body is what its content type says', false, expected, found)]
  }

  return [...checks, ...schemaChecks(judgeValue(match, answer.body ?? null, operation.description.document.data))]
}

/** One record for each violated member that is listed. What could not be judged is a warning, and never a pass. */
function schemaChecks({ violations, beyond, unjudged }: Judgement): CheckRecord[] {
  const expected = 'the documented schema'
  const open = `not judged: ${unjudged.join('; ')}`
  const unread: CheckRecord[] =
    unjudged.length === 0
      ? []
      : [{ ...check('schema', 'the body fits its schema', false, expected, open), status: 'warn' }]
  if (violations.length === 0 && beyond === 0)
    return unread.length > 0 ? unread : [check('schema', 'the body fits its schema', true, expected, 'fits')]
  return [
    ...unread,
    ...violations.map(({ pointer, expected, actual }) => ({
      ...check(
        pointer === '' ? 'schema' : `schema ${pointer}`,
        `${pointer === '' ? 'the body' : pointer} fits its schema`,
        false,
        expected,
        actual,
      ),
      member: pointer === '' ? 'body' : memberOf(parsePointer(pointer)),
    })),
    ...(beyond === 0
      ? []
      : [check('schema', 'the body fits its schema', false, expected, `${beyond} more members do not`)]),
  ]
}

function check(id: string, title: string, holds: boolean, expected: string, actual: string): CheckRecord {
  return { id, status: holds ? 'pass' : 'fail', level: 'must', clauses: [], title, expected, actual }
}

function mediaType(headers: readonly (readonly [string, string])[]): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
}

/**
 * Scopes asked for in a request body against those in the answer, from `scopes` (array) or `scope` (text).
 * Undefined unless both sides name scopes. Never a failure: the server may add and drop (RFC 7591 §3.2.1).
 */
export function compareScopes(request: unknown, response: unknown): ScopeDifference | undefined {
  const requested = scopesOf(request)
  const granted = scopesOf(response)
  if (requested === undefined || granted === undefined) return undefined
  const [asked, given] = [new Set(requested), new Set(granted)]
  return {
    requested,
    granted,
    missing: requested.filter((scope) => !given.has(scope)),
    unrequested: granted.filter((scope) => !asked.has(scope)),
  }
}

/** A step with `expect: refused` holds on a TLS alert, a reset after the ClientHello, or a 4xx that gives nothing away. */
export function refusalCheck(refused: boolean, found: string, step: Step): CheckRecord {
  return {
    id: 'refused',
    status: refused ? 'pass' : 'fail',
    level: 'must',
    clauses: [...step.clauses],
    title: 'the server refuses',
    expected: 'a TLS alert, a closed connection, or a 4xx without a token or client_id',
    actual: found,
    at: step.at,
  }
}

export function scopeCheck({ requested, granted, missing, unrequested }: ScopeDifference): CheckRecord {
  const differences = [
    ...(missing.length > 0 ? [`without ${named(missing)}`] : []),
    ...(unrequested.length > 0 ? [`with ${named(unrequested)}`] : []),
  ]
  return {
    id: 'scopes',
    status: differences.length === 0 ? 'pass' : 'warn',
    level: 'policy',
    clauses: ['RFC7591-3.2.1'],
    title: 'the granted scopes are the requested ones',
    member: 'scopes',
    expected: `the ${requested.length} that were asked for`,
    actual: differences.length === 0 ? `the same ${granted.length}` : `${granted.length}, ${differences.join(', ')}`,
  }
}

const MOST_NAMED = 20

function named(scopes: readonly string[]): string {
  const beyond = scopes.length - MOST_NAMED
  return `${scopes.slice(0, MOST_NAMED).join(' ')}${beyond > 0 ? ` and ${beyond} more` : ''}`
}

function scopesOf(body: unknown): string[] | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { scopes, scope } = body as { scopes?: unknown; scope?: unknown }
  if (Array.isArray(scopes)) return scopes.filter((item) => typeof item === 'string')
  return typeof scope === 'string' ? scope.split(' ').filter((item) => item !== '') : undefined
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** A 4xx that gives nothing away. Throttling is no refusal. */
export function isRefusal({ status, body }: ParsedAnswer): boolean {
  if (status < 400 || status >= 500 || status === 408 || status === 429) return false
  const members = typeof body === 'object' && body !== null ? Object.keys(body) : []
  return !members.some((name) => ['access_token', 'client_id', 'registration_access_token'].includes(name))
}

export function refusalFacts({ status, body }: ParsedAnswer): string {
  const error =
    typeof body === 'object' && body !== null && 'error' in body ? `, error ${JSON.stringify(body.error)}` : ''
  return `${status}${error}`
}

/**
 * Answers that say nothing about the client or the server's conformance: it is overloaded or broken, or a proxy in front
 * of it speaks. A step that expects such an answer states it in its criteria, and then no check fails.
 */
export function noVerdict(
  { status, headers }: ParsedAnswer,
  url: string,
  step: CallStep,
  protocol: string | undefined,
): Problem | undefined {
  const header = (name: string) => headers.find(([one]) => one.toLowerCase() === name)?.[1]
  const host = URL.parse(url)?.host ?? url
  const wait = header('retry-after')
  const hint = wait === undefined ? undefined : `it asks to wait: Retry-After ${wait}`
  if (status === 408) return { code: 'TIMEOUT', message: `"${host}" answered 408: the request took too long` }
  if (status === 429) return { code: 'THROTTLED', message: `"${host}" answered 429: too many requests`, hint }
  if (status >= 500) return { code: 'SERVER_ERROR', message: `"${host}" answered ${status}, which is no verdict`, hint }
  const isRefusing = status === 400 || status === 403
  if (isRefusing && step.operation.mutualTls && header('content-type')?.startsWith('text/html')) {
    return {
      code: 'TLS_CLIENT_REFUSED',
      message: `"${host}" answered ${status} with an HTML page instead of its own error; a proxy there seems to ${
        step.identity === 'none'
          ? 'demand a client certificate, and none was presented'
          : `refuse the certificate of identity "${step.identity}"`
      }`,
      hint: status === 403 && protocol === 'TLSv1.3' ? ASKED_LATE : CHECK_CERTIFICATE,
    }
  }
  return undefined
}

const CHECK_CERTIFICATE = 'check that the certificate is the one Thredd issued for this host and is within its dates'
/** Node does not support authentication after the handshake (RFC 8446 section 4.6.2). */
const ASKED_LATE =
  'where it asks for the certificate only after the request, as some servers do for a part of a site, set TLS_MAX_VERSION=1.2; else check that the certificate is the one Thredd issued for this host'

/** Arazzo leaves a step without criteria open; ours holds on a 2xx. */
export function successCheck(status: number, step: CallStep): CheckRecord {
  return {
    id: 'success',
    status: isSuccess(status) ? 'pass' : 'fail',
    level: 'must',
    clauses: [],
    title: 'the call succeeds',
    member: 'status',
    expected: 'a 2xx status',
    actual: String(status),
    at: step.at,
  }
}

/**
 * A warning where a certificate is configured for an operation that demands mutual TLS and its server did not ask for one:
 * then nothing was authenticated by it. Undefined where the server asked, and where it is not known.
 */
export function certificateCheck(
  { operation, at }: CallStep,
  { certificateRequested, configured }: Partial<NonNullable<Exchange['tls']>> = {},
): CheckRecord | undefined {
  if (!operation.mutualTls || configured === undefined || certificateRequested !== false) return undefined
  return {
    id: 'certificate-requested',
    status: 'warn',
    level: 'must',
    clauses: ['THREDD-DCR-3.3.1-03'],
    title: 'the server asks for the client certificate',
    expected: `a request for the certificate of identity "${configured.identity}" in the TLS handshake`,
    actual: 'the server asked for none, so it authenticated nobody by a certificate',
    at,
  }
}

/** Members of the body that the step sends another value of on purpose; its criteria say what it expects then. */
export function alteredMembers({ alterations }: CallStep): ReadonlySet<string> {
  return new Set(
    alterations.flatMap(({ place, ...change }) =>
      place === 'body' && 'tokens' in change && change.tokens[0] !== undefined ? [change.tokens[0]] : [],
    ),
  )
}
