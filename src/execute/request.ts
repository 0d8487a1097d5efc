/**
 * A planned step and what is known so far to the request that goes out: values evaluated, parameters bound, body written,
 * replacements and alterations applied. Pure; the preview of a dry run and the executor build the same request.
 */

import { asText, type Context, render, resolvePointer } from '../flow/expression/expression.ts'
import { select } from '../flow/expression/selector.ts'
import type { CallStep, JwtAlteration, JwtHolder, MemberAlteration, Replacement, Value } from '../flow/index.ts'
import type { OperationParameter } from '../flow/openapi/description.ts'
import type { JwtChanges } from '../identity/jwt.ts'
import type { PlannedCall, PlannedInput } from '../plan/index.ts'
import { fail } from '../record/errors.ts'
import type { Outgoing } from '../transport/transport.ts'
import { demandWhole, structured, written } from './content.ts'
import { inCookie, inHeader, inPath, inQuery, type Style } from './style.ts'

export interface BuiltRequest {
  readonly outgoing: Outgoing
  readonly path: Readonly<Record<string, unknown>>
  readonly query: Readonly<Record<string, unknown>>
  /** the payload before it became text */
  readonly body: unknown
  /** API keys that it carries (OpenAPI 3.1 §4.8.27) */
  readonly keys: readonly { readonly name: string; readonly value: string }[]
}

/** `jwts` are the altered JWTs by what holds them. */
export function buildRequest(
  { step, server }: PlannedCall,
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
  userAgent: string,
  jwts: ReadonlyMap<JwtHolder, string> = new Map(),
): BuiltRequest {
  const at = (location: string) =>
    step.parameters
      .filter((parameter) => parameter.in === location)
      .flatMap(({ name, value }): [string, unknown][] => {
        const resolved = evaluate(value, context, inputs)
        if (resolved === OMITTED) return []
        demandWhole(resolved, `parameter "${name}"`, step.at)
        return [[name, resolved]]
      })
  const path = Object.fromEntries(at('path'))
  const query = at('query')
  const cookies = at('cookie').map(([name, value]) => inCookie(name, value, styleOf(step, 'cookie', name)))
  const headers = at('header').map(([name, value]): [string, string] => {
    const jwt = jwts.get(`header ${name.toLowerCase()}`)
    const text = inHeader(value, styleOf(step, 'header', name))
    return [name.toLowerCase(), jwt === undefined ? text : text.replace(LAST_WORD, () => jwt)]
  })
  const payload = withJwts(payloadOf(step, context, inputs), jwts)
  alterHeaders(headers, memberAlterations(step), context, inputs)
  const has = (name: string) => headers.some(([header]) => header === name)

  if (!has('accept')) headers.unshift(['accept', acceptedBy(step)])
  if (!has('user-agent')) headers.push(['user-agent', userAgent])
  if (cookies.length > 0) headers.push(['cookie', cookies.join('; ')])
  const body = step.requestBody && written(payload, step.requestBody)
  if (body !== undefined && !has('content-type')) headers.push(['content-type', body.contentType])
  return {
    outgoing: {
      method: methodOf(step),
      url: urlOf(step, server, context, { path, query, querystring: at('querystring') }),
      headers,
      body: body?.text,
    },
    path,
    query: Object.fromEntries(query),
    body: payload,
    keys: step.parameters.flatMap(({ name, in: location, value }) => {
      const key = documentedAt(step, location, name)?.isKey ? evaluate(value, context, inputs) : OMITTED
      return key === OMITTED ? [] : [{ name, value: asText(key) }]
    }),
  }
}

/** What an alteration makes of the operation's method. */
export function methodOf({ operation, alterations }: CallStep): string {
  const set = alterations.flatMap((one) =>
    one.place === 'method' && one.value?.kind === 'literal' ? one.value.value : [],
  )
  return String(set.at(-1) ?? operation.method)
}

interface Bound {
  readonly path: Readonly<Record<string, unknown>>
  readonly query: readonly (readonly [string, unknown])[]
  readonly querystring: readonly (readonly [string, unknown])[]
}

function urlOf(step: CallStep, server: string, context: Context, bound: Bound): string {
  const rendered = step.url === undefined ? undefined : render(step.url, context)
  if (rendered !== undefined && (!rendered.ok || typeof rendered.value !== 'string'))
    fail({ code: 'VALUE_UNDEFINED', message: `the URL of step "${step.stepId}" has no value`, at: step.at })
  const own = rendered?.ok ? String(rendered.value) : undefined
  demandWhole(own, 'the URL', step.at)
  // The URL of a documented operation is one that the server gave: byte for byte.
  if (own !== undefined && step.operation.description !== undefined) return own
  const filled = (own ?? `${server}${step.operation.path}`).replace(/\{([^{}]+)\}/g, (_, name: string) => {
    if (Object.hasOwn(bound.path, name)) return inPath(name, bound.path[name], styleOf(step, 'path', name))
    return fail({ code: 'VALUE_UNDEFINED', message: `path parameter "${name}" has no value`, at: step.at })
  })
  const parts = bound.query.map(([name, value]) => inQuery(name, value, styleOf(step, 'query', name)))
  const search = [...parts, ...bound.querystring.map(([name, value]) => wholeQuery(step, name, value))].filter(
    (part) => part !== '',
  )
  return search.length === 0 ? filled : `${filled}${filled.includes('?') ? '&' : '?'}${search.join('&')}`
}

/** A query string as one value (Arazzo 1.1 Parameter Object): a form as it is, any other media type percent-encoded. */
function wholeQuery(step: CallStep, name: string, value: unknown): string {
  if (typeof value !== 'string')
    return fail({ code: 'VALUE_UNDEFINED', message: `the query string "${name}" is not a text`, at: step.at })
  const { mediaType = FORM } = styleOf(step, 'querystring', name)
  return mediaType.startsWith(FORM) ? value : encodeURIComponent(value)
}

const FORM = 'application/x-www-form-urlencoded'

function documentedAt(step: CallStep, place: OperationParameter['in'], name: string): OperationParameter | undefined {
  const isSame = (other: string) => (place === 'header' ? other.toLowerCase() === name.toLowerCase() : other === name)
  return step.operation.parameters.find((one) => one.in === place && isSame(one.name))
}

/** As the description says, else by the defaults of the place. */
function styleOf(step: CallStep, place: OperationParameter['in'], name: string): Style {
  const isForm = place === 'query' || place === 'cookie'
  return documentedAt(step, place, name) ?? { style: isForm ? 'form' : 'simple', explode: isForm, allowReserved: false }
}

/** The media types that the operation documents for success. */
function acceptedBy(step: CallStep): string {
  const types = [...step.operation.responses]
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([, content]) => [...content.keys()])
  return types.length === 0 ? '*/*' : [...new Set(types)].join(', ')
}

/** A lone reference to an optional input without a value: the member that holds it is left out. */
export const OMITTED = Symbol('omitted')

export function evaluate(value: Value, context: Context, inputs: ReadonlyMap<string, PlannedInput>): unknown {
  switch (value.kind) {
    case 'literal':
      return value.value
    case 'template': {
      const result = render(value.template, context)
      if (result.ok) return result.value
      const { missing } = result
      const input = missing.kind === 'inputs' ? inputs.get(missing.name) : undefined
      if (value.template.kind === 'expression' && input?.kind === 'absent') return OMITTED
      return fail({
        code: 'VALUE_UNDEFINED',
        message: `"${missing.text}" has no value`,
        at: value.at,
        hint:
          input?.kind === 'vault'
            ? 'the vault holds no registration of this client'
            : 'the answer it is read from does not have it',
      })
    }
    case 'selector': {
      const selected = select(value.selector, context)
      return selected === undefined
        ? fail({ code: 'VALUE_UNDEFINED', message: 'the selector finds nothing', at: value.at })
        : selected
    }
    case 'object': {
      const members = value.members.map(([name, member]) => [name, evaluate(member, context, inputs)])
      return Object.fromEntries(members.filter(([, member]) => member !== OMITTED))
    }
    case 'array':
      return value.items.map((item) => evaluate(item, context, inputs)).filter((item) => item !== OMITTED)
    default:
      return value satisfies never
  }
}

/** The JWT alterations of a step by what holds the JWT. */
export function jwtAlterations(step: CallStep): ReadonlyMap<JwtHolder, readonly JwtAlteration[]> {
  return Map.groupBy(
    step.alterations.filter((alteration) => alteration.place === 'jwt'),
    ({ holder }) => holder,
  )
}

/** Alterations of one JWT as values. */
export function jwtChanges(
  alterations: readonly JwtAlteration[],
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
): JwtChanges {
  const members = (part: 'header' | 'claims') =>
    new Map(
      alterations.flatMap(({ change }): [string, unknown][] => {
        if (change.part !== part || 'secondsAhead' in change) return []
        return [[change.name, change.value === undefined ? undefined : evaluate(change.value, context, inputs)]]
      }),
    )
  const signature = alterations.flatMap(({ change }) => (change.part === 'signature' ? [change.to] : [])).at(-1)
  const by = alterations.flatMap(({ change }) => (change.part === 'key' ? [change] : [])).at(-1)
  const jwks = by?.to === 'public' && by.value !== undefined ? evaluate(by.value, context, inputs) : undefined
  const secondsAhead = new Map(
    alterations.flatMap(({ change }): [string, number][] =>
      'secondsAhead' in change ? [[change.name, change.secondsAhead]] : [],
    ),
  )
  return {
    header: members('header'),
    claims: members('claims'),
    ...(secondsAhead.size === 0 ? {} : { secondsAhead }),
    signature,
    key: by?.to,
    ...(jwks === undefined ? {} : { jwks }),
  }
}

/** The JWT that the payload or a header holds before it is altered. */
export function jwtIn(
  step: CallStep,
  { holder, at }: JwtAlteration,
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
): string {
  const name = nameIn(holder)
  if (holder.startsWith('payload ')) {
    const held = resolvePointer(payloadOf(step, context, inputs), [name])
    if (typeof held === 'string') return held
    return fail({ code: 'VALUE_UNDEFINED', message: `the payload has no JWT in "${name}" to change`, at })
  }
  const headers = step.parameters.filter((one) => one.in === 'header' && one.name.toLowerCase() === name)
  const [held] = headers.map(({ value }) => asText(evaluate(value, context, inputs)))
  const jwt = LAST_WORD.exec(held ?? '')?.[0]
  return jwt ?? fail({ code: 'VALUE_UNDEFINED', message: `header "${name}" has no JWT to change`, at })
}

/** A header has a scheme before the JWT, or nothing. */
const LAST_WORD = /\S+$/

export function nameIn(holder: JwtHolder): string {
  return holder.slice(holder.indexOf(' ') + 1)
}

function memberAlterations(step: CallStep): readonly MemberAlteration[] {
  return step.alterations.filter((alteration) => alteration.place !== 'jwt')
}

function withJwts(payload: unknown, jwts: ReadonlyMap<JwtHolder, string>): unknown {
  const members = [...jwts].filter(([holder]) => holder.startsWith('payload '))
  if (members.length === 0 || typeof payload !== 'object') return payload
  return { ...payload, ...Object.fromEntries(members.map(([holder, jwt]) => [nameIn(holder), jwt])) }
}

function payloadOf(step: CallStep, context: Context, inputs: ReadonlyMap<string, PlannedInput>): unknown {
  if (step.requestBody === undefined) return undefined
  const { replacements } = step.requestBody
  const given = evaluate(step.requestBody.payload, context, inputs)
  let payload = replacements.length === 0 ? given : structured(given, step.requestBody)
  for (const { target, text, value, at } of replacements) {
    const places = target.kind === 'jsonpath' ? target.path.locate(payload) : [target.tokens]
    if (places.length === 0)
      fail({ code: 'VALUE_UNDEFINED', message: `the payload has nothing at "${text}" to replace`, at })
    for (const tokens of places) payload = changed(payload, tokens, evaluate(value, context, inputs), at)
  }
  for (const { place, tokens, value, at } of memberAlterations(step)) {
    if (place === 'header' || place === 'method') continue
    payload = changed(payload, tokens, value === undefined ? OMITTED : evaluate(value, context, inputs), at)
  }
  return payload
}

/** A copy with the member at `tokens` set, or removed for OMITTED; everything above it must be there. */
function changed(payload: unknown, tokens: readonly string[], value: unknown, at: Replacement['at']): unknown {
  const [token, ...rest] = tokens
  if (token === undefined) return value
  if (Array.isArray(payload)) {
    const index = Number(token)
    if (!Number.isInteger(index) || index < 0 || index >= payload.length) return unreachable(token, at)
    return payload.flatMap((item, position) => {
      if (position !== index) return [item]
      const next = changed(item, rest, value, at)
      return next === OMITTED ? [] : [next]
    })
  }
  if (typeof payload !== 'object' || payload === null) return unreachable(token, at)
  if (rest.length > 0 && resolvePointer(payload, [token]) === undefined) return unreachable(token, at)
  const next = changed(resolvePointer(payload, [token]), rest, value, at)
  const members = Object.entries(payload).filter(([name]) => name !== token || next !== OMITTED)
  const copy = Object.fromEntries(members)
  return next === OMITTED ? copy : { ...copy, [token]: next }
}

function unreachable(token: string, at: Replacement['at']): never {
  return fail({ code: 'VALUE_UNDEFINED', message: `the payload has no "${token}" to change`, at })
}

function alterHeaders(
  headers: [string, string][],
  alterations: readonly MemberAlteration[],
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
): void {
  for (const { place, tokens, value, at } of alterations) {
    if (place !== 'header') continue
    const name = (tokens[0] ?? '').toLowerCase()
    for (let index = headers.length - 1; index >= 0; index--) if (headers[index]?.[0] === name) headers.splice(index, 1)
    if (value === undefined) continue
    const text = asText(evaluate(value, context, inputs))
    demandWhole(text, `header "${name}"`, at)
    headers.push([name, text])
  }
}
