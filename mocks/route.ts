/** The interface of a handler, and the row that describes one: one row per documented operation. Helpers to read a request. */
import type { X509Certificate } from 'node:crypto'
import type { Answer } from './content.ts'
import { type RefusalName, refuse } from './refusals.ts'
import type { Rule } from './rules.ts'
import type { State } from './state.ts'
import type { Switches } from './switches.ts'

/** One request on its way through the twin. */
export interface Call {
  readonly request: Request
  readonly url: URL
  /** named groups of the route's path, as sent (not decoded) */
  readonly params: Readonly<Record<string, string>>
  /** already checked: signed by the twin's CA, and within its dates */
  readonly certificate: X509Certificate | undefined
  readonly state: State
  readonly switches: Switches
  /** the id under which the server keeps this request */
  readonly trace: string
  /** a documented URL as the address under which the twin is reached */
  readonly publish: (url: string) => string
  /** Whether a fault makes the server break this rule in the operation. */
  breaks(rule: Rule): boolean
  /** Adds the decision, in words and without secrets, to the log entry. */
  note(decision: string): void
}

export interface Route {
  /** operationId of the OpenAPI description */
  readonly operation: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly hosts: readonly string[]
  /** matched against the path as sent; named groups become params */
  readonly path: RegExp
  handle(call: Call): Promise<Answer> | Answer
}

/** RFC 6749 5.1 and RFC 7591 3.2.1: no cache may keep an answer with credentials. */
export const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' } as const

/**
 * The parameters of an `application/x-www-form-urlencoded` body; each may occur once.
 * @see [RFC 6749 3.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-3.2)
 */
export async function readForm(
  call: Call,
  refusals: {
    readonly form: RefusalName
    readonly repeated: RefusalName
    /** members of the body that name the repeated parameter */
    readonly naming?: (parameter: string) => Readonly<Record<string, string>>
  },
): Promise<Readonly<Record<string, string>>> {
  // Reached only by a server that takes any method.
  const isQuery = call.request.method === 'GET'
  if (!isQuery && mediaType(call.request) !== 'application/x-www-form-urlencoded') {
    refuse(refusals.form, 'the body is not a form')
  }
  const entries = [...(isQuery ? call.url.searchParams : new URLSearchParams(await call.request.text()))]
  const names = entries.map(([name]) => name)
  const repeated = names.find((name, index) => names.indexOf(name) !== index)
  if (repeated !== undefined && !call.breaks('parameter-is-sent-once'))
    refuse(refusals.repeated, `parameter "${repeated}" is sent twice`, refusals.naming?.(repeated))
  // RFC 6749 3.1: a parameter without a value counts as omitted.
  return Object.fromEntries(entries.filter(([, value]) => value !== ''))
}

export function mediaType(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** RFC 6750 2.1; the scheme's name is case-insensitive. Undefined where there is none. */
export function bearerToken(call: Pick<Call, 'request' | 'url' | 'breaks'>): string | undefined {
  const authorization = call.request.headers.get('authorization') ?? undefined
  if (call.breaks('scheme-is-in-any-case') && !/^Bearer /.test(authorization ?? '')) return undefined
  const inQuery = call.breaks('query-token-is-ignored') ? call.url.searchParams.get('access_token') : null
  return bearerOf(authorization) ?? inQuery ?? undefined
}

export function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization ?? '')?.[1]
}
