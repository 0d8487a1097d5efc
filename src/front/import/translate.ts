/** A request that no flow makes yet, as a step and the operation that it calls. */
import { readJson } from '../../record/json.ts'
import { type Auth, type Body, decoded } from './collection.ts'
import type { ReadRequest } from './recognise.ts'
import type { Demand } from './script.ts'
import { concealed, isSecret, isSecretName } from './secrets.ts'
import { isObject } from './source.ts'
import { slug, Untranslatable, type Values } from './values.ts'
import { type Entry, variableParts } from './variables.ts'

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  /** a text, or a list where a name stands several times in a query */
  readonly value: string | readonly string[]
}

/** One call in the terms of Arazzo and OpenAPI. */
export interface Call {
  readonly method: string
  /** the base URL and the name of its source description */
  readonly server: string
  readonly source: string
  /** with its parameters in braces, from `/` on */
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly body: { readonly contentType: string; readonly payload: unknown } | undefined
  readonly criteria: readonly Readonly<Record<string, unknown>>[]
  readonly security: 'bearer' | undefined
  /** what became of each place of the file */
  readonly fates: readonly Fate[]
}

export interface Fate {
  readonly at: string
  readonly is: 'carried' | 'listed'
  readonly words: string
}

/** Of OpenAPI 3.1; a path item has no member for any other. */
const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE']
/** Headers that the connection or the content decides. */
const NOT_SENT = /^(?:host|content-length|connection|transfer-encoding|accept-encoding|user-agent|postman-token)$/i

/** `known` has the base URLs that settings name already. @throws Untranslatable */
export function translated(
  { request, scripts }: ReadRequest,
  values: Values,
  known: ReadonlyMap<string, string>,
): Call {
  if (!METHODS.includes(request.method))
    throw new Untranslatable(`no description can hold the method ${JSON.stringify(request.method.slice(0, 20))}`)
  const { server, rest, word } = addressOf(request)
  const { path, parameters } = pathOf(rest, values)
  const fates: Fate[] = []
  const carry = (at: string, words: string) => fates.push({ at, is: 'carried', words })
  const list = (at: string, words: string) => fates.push({ at, is: 'listed', words })
  carry(`${request.at}/request/method`, 'the operation')
  carry(request.urlAt, 'the path and the SERVER_ setting')
  list(`${request.urlAt}/hash`, 'a fragment, which no request sends')
  const query = queryOf(request.query, values)
  for (const { at } of request.query) if (at !== request.urlAt) carry(at, 'a parameter of the step')
  const headers = headersOf(request, values, { carry, list })
  const auth = authOf(request.auth, values, { carry, list })
  const given = request.headers.findLast(({ name }) => name.toLowerCase() === 'content-type')?.value
  const body = bodyOf(request.body, given && request.variables.resolved(given), values, { carry, list })
  const all = [...parameters, ...query, ...headers, ...auth]
  const call: Call = {
    method: request.method,
    server,
    source: known.get(server) ?? word,
    path,
    parameters: distinct(all),
    body,
    criteria: criteriaOf(scripts.demands, values),
    security: all.some(({ name, value }) => name === 'Authorization' && /^Bearer /.test(String(value)))
      ? 'bearer'
      : undefined,
    fates,
  }
  demandNoSecret({ ...call, server: originOf(server), fates: [] })
  return call
}

/** The flow and its descriptions are committed, so nothing secret stands in them, wherever it came from. @throws Untranslatable */
function demandNoSecret(value: unknown): void {
  if (typeof value === 'string') {
    if (isSecret('', value.replaceAll(EXPRESSION, '{$x}')))
      throw new Untranslatable('a secret stands where no variable can: in a name, a host, a content type or a test')
  } else if (typeof value === 'object' && value !== null)
    for (const [name, member] of Object.entries(value)) {
      demandNoSecret(name)
      demandNoSecret(member)
    }
}

const EXPRESSION = /\{?\$(?:inputs|steps|response)\.[\w.-]+\}?/g

/** The address of a server as a description may show it: a secret in its path stands in the SERVER_ setting alone. */
export function originOf(server: string): string {
  return isSecret('', server) ? (URL.parse(server)?.origin ?? '') : server
}

interface Tell {
  readonly carry: (at: string, words: string) => unknown
  readonly list: (at: string, words: string) => unknown
}

/** The last one of a name, as a header or path parameter can be sent once. */
function distinct(all: readonly Parameter[]): readonly Parameter[] {
  const key = ({ name, in: place }: Parameter) => `${place} ${place === 'header' ? name.toLowerCase() : name}`
  return [...new Map(all.map((one) => [key(one), one])).values()]
}

/** Divides an address into its server, which a setting holds, and what comes after it. */
function addressOf({ url: written, variables }: ReadRequest['request']) {
  const [first] = variableParts(written)
  const start = /^(?:[a-z][a-z+.-]{0,20}:\/\/|\{\{[^{}]*\}\})[^/]*/i.exec(written)?.[0] ?? ''
  const base = variables.resolved(start)
  const rest = written.slice(start.length)
  if (base.includes('{{') || base === '')
    throw new Untranslatable(
      `its address ${JSON.stringify(concealed(written).slice(0, 80))} is known only when a script or another request has run`,
    )
  const server = base.replace(/\/+$/, '')
  const parsed = URL.parse(server)
  if (parsed?.protocol !== 'https:')
    throw new Untranslatable('its address is no https:// address, and nothing is sent in the clear')
  if (parsed.search !== '' || parsed.hash !== '' || `${parsed.username}${parsed.password}` !== '')
    throw new Untranslatable('its server has a user, a query or a fragment, which a SERVER_ setting cannot have')
  const word = slug(typeof first === 'object' ? first.variable : parsed.hostname, '_')
  if (rest !== '') return { server, rest, word }
  return { server: parsed.origin, rest: parsed.pathname, word }
}

function pathOf(rest: string, values: Values): { readonly path: string; readonly parameters: readonly Parameter[] } {
  const parameters: Parameter[] = []
  const segments = rest.split('/').map((segment, index) => {
    const parts = variableParts(segment)
    if (parts.every((part) => typeof part === 'string')) {
      if (/[{}]/.test(segment))
        throw new Untranslatable('its path has a brace, which a description reads as a parameter')
      if (!isSecret('', segment)) return segment.replace(/\s/g, encodeURIComponent)
    }
    const [only] = parts
    const name = parts.length === 1 && typeof only === 'object' ? slug(only.variable, '_') : `part_${index}`
    const own = parameters.some((one) => one.name === name) ? `${name}_${index}` : name
    // What a description has as a parameter is encoded when it is sent.
    parameters.push({ name: own, in: 'path', value: values.of(decoded(segment), own) })
    return `{${own}}`
  })
  return { path: segments.join('/'), parameters }
}

function queryOf(query: readonly Entry[], values: Values): readonly Parameter[] {
  const names = [...new Set(query.map(({ name }) => name))]
  return names.map((name) => {
    const all = query.filter((one) => one.name === name).map(({ value }) => values.of(value, name))
    return { name, in: 'query', value: all.length === 1 ? (all[0] ?? '') : all }
  })
}

function headersOf(
  { headers, body, auth }: ReadRequest['request'],
  values: Values,
  { carry, list }: Tell,
): readonly Parameter[] {
  const last = new Map(headers.map((header) => [header.name.toLowerCase(), header]))
  return headers.flatMap((header): Parameter[] => {
    const { name, value, at } = header
    const lower = name.toLowerCase()
    const reason = NOT_SENT.test(name)
      ? 'the connection decides this header'
      : last.get(lower) !== header
        ? 'the same header stands once more below'
        : lower === 'authorization' && auth !== undefined && auth.type !== 'noauth'
          ? 'the authorization of the request counts instead'
          : lower === 'content-type' && (body === undefined || !['raw', 'graphql'].includes(body.mode))
            ? 'the body decides the content type'
            : undefined
    if (reason !== undefined) {
      list(at, reason)
      return []
    }
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) throw new Untranslatable('a header has a name that HTTP does not allow')
    carry(at, 'a header of the step')
    if (lower === 'content-type') return []
    if (lower === 'authorization') return [{ name: 'Authorization', in: 'header', value: authorization(value, values) }]
    return [{ name, in: 'header', value: values.of(value, name) }]
  })
}

/** The scheme stays readable; what follows it is a secret. */
function authorization(value: string, values: Values, name = 'bearer_token'): string {
  const [, scheme = '', credential] = /^(\w+)\s+(.+)$/.exec(value.trim()) ?? []
  if (credential === undefined) return values.of(value, 'authorization')
  const expression = values.of(credential, name)
  return expression.startsWith('$') ? `${scheme} {${expression}}` : `${scheme} ${expression}`
}

function authOf(auth: Auth | undefined, values: Values, { carry, list }: Tell): readonly Parameter[] {
  if (auth === undefined) return []
  const { type, at } = auth
  const value = (name: string) => auth.values.get(name) ?? ''
  if (type === 'noauth') {
    carry(at, 'nothing is sent')
    return []
  }
  if (type === 'bearer' || (type === 'oauth2' && value('accessToken') !== '')) {
    carry(at, 'the header Authorization of the step')
    return [
      {
        name: 'Authorization',
        in: 'header',
        value: authorization(`Bearer ${value('token') || value('accessToken')}`, values),
      },
    ]
  }
  if (type === 'apikey' && value('key') !== '') {
    carry(at, 'a parameter of the step')
    return [
      {
        name: value('key'),
        in: value('in') === 'query' ? 'query' : 'header',
        // A secret, whatever the parameter is called.
        value: values.of(value('value'), isSecretName(value('key')) ? value('key') : `${value('key')}_key`),
      },
    ]
  }
  if (type === 'basic') {
    carry(at, 'the header Authorization of the step')
    const credentials = values.taken(`${value('username')}:${value('password')}`, 'the header Authorization of a step')
    const isWhole = !credentials.includes('{{')
    if (!isWhole)
      list(at, 'a part of it has no value: the flow asks for input basic_credentials, user:password in base64')
    const encoded = isWhole ? Buffer.from(credentials).toString('base64') : '{{basic_credentials}}'
    return [
      { name: 'Authorization', in: 'header', value: authorization(`Basic ${encoded}`, values, 'basic_credentials') },
    ]
  }
  if (type === 'oauth2') {
    list(at, 'Postman gets the token by itself: the flow asks for it as input access_token')
    return [{ name: 'Authorization', in: 'header', value: `Bearer {${values.reference('access_token')}}` }]
  }
  throw new Untranslatable(
    `authorization of type ${JSON.stringify(type.slice(0, 20))} is not known to flows: write the header Authorization as an input`,
  )
}

type Payload = { readonly contentType: string; readonly payload: unknown }

const LANGUAGES: Readonly<Record<string, string>> = {
  json: 'application/json',
  xml: 'application/xml',
  html: 'text/html',
  text: 'text/plain',
  javascript: 'application/javascript',
}

function bodyOf(body: Body | undefined, given: string | undefined, values: Values, tell: Tell): Payload | undefined {
  if (body === undefined) return undefined
  const { mode, at, text, entries, language } = body
  const { carry } = tell
  const whole = at.slice(0, at.lastIndexOf('/'))
  carry(`${whole}/mode`, 'the content type')
  carry(`${whole}/options`, 'the content type')
  carry(at, 'the body of the step')
  if (mode === 'urlencoded')
    return { contentType: 'application/x-www-form-urlencoded', payload: formOf(entries, values, tell) }
  if (mode === 'formdata') {
    if (entries.some(({ fields }) => fields.type === 'file'))
      throw new Untranslatable('it sends a file, whose content is not in the collection')
    return { contentType: 'multipart/form-data', payload: formOf(entries, values, tell) }
  }
  if (given !== undefined && !/^[\w.+-]+\/[\w.+-]+(?:\s*;.*)?$/.test(given))
    throw new Untranslatable('its content type is no media type')
  if (mode === 'raw') return rawOf(text, given ?? LANGUAGES[language ?? ''], values)
  if (mode === 'graphql') return rawOf(graphqlOf(text), given ?? 'application/json', values)
  throw new Untranslatable(`a body of mode ${JSON.stringify(mode.slice(0, 20))} is not known to flows`)
}

function formOf(entries: readonly Entry[], values: Values, { carry, list }: Tell): Readonly<Record<string, unknown>> {
  const fields = new Map<string, string[]>()
  for (const { name, value, at } of entries) {
    fields.set(name, [...(fields.get(name) ?? []), values.of(value, name)])
    carry(at, 'a field of the body')
    list(`${at}/contentType`, 'a part of a body has no content type of its own here')
  }
  return Object.fromEntries([...fields].map(([name, all]) => [name, all.length === 1 ? all[0] : all]))
}

/** JSON becomes data, so that its members can be read; anything else stays a text. */
function rawOf(text: string, given: string | undefined, values: Values): Payload {
  const isJson = given === undefined ? /^\s*[{[]/.test(text) : /[/+]json\b/.test(given)
  const parsed = isJson ? templateOf(text) : undefined
  if (parsed !== undefined && typeof parsed.data === 'object' && parsed.data !== null)
    return { contentType: given ?? 'application/json', payload: dataOf(parsed.data, '', values, parsed.bare) }
  return { contentType: given ?? 'text/plain', payload: values.of(text, 'body') }
}

/** Postman keeps the variables of a query as a text, and sends them as an object. */
function graphqlOf(text: string): string {
  const read = readJson(text)
  if (!read.ok || !isObject(read.value)) return text
  const { variables, ...others } = read.value
  if (typeof variables !== 'string') return text
  const own = variables.trim() === '' ? '{}' : variables
  return templateOf(own) === undefined ? text : `${JSON.stringify(others).slice(0, -1)},"variables":${own}}`
}

/** JSON in which variables also stand outside of texts, as in `{"amount": {{amount}}}`. */
function templateOf(text: string): { readonly data: unknown; readonly bare: ReadonlyMap<string, string> } | undefined {
  const bare = new Map<string, string>()
  const quoted = text.replace(
    /("(?:\\.|[^"\\])*")|\{\{([^{}]{1,256})\}\}/g,
    (whole, inText?: string, name?: string) => {
      if (inText !== undefined) return whole
      const mark = `\u0000${bare.size}`
      bare.set(mark, name ?? '')
      return JSON.stringify(mark)
    },
  )
  const read = readJson(quoted)
  return read.ok ? { data: read.value, bare } : undefined
}

function dataOf(value: unknown, name: string, values: Values, bare: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') {
    const variable = bare.get(value)
    return variable === undefined ? values.of(value, name) : values.reference(variable.trim(), false)
  }
  if (Array.isArray(value)) return value.map((one) => dataOf(one, name, values, bare))
  if (typeof value === 'number' && isSecret(name, String(value))) return values.secretNumber(value, name)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([member, one]) => [member, dataOf(one, member, values, bare)]))
}

function criteriaOf(demands: readonly Demand[], values: Values): Call['criteria'] {
  const criteria = demands.map((demand): Readonly<Record<string, unknown>> => {
    if (demand.is === 'status') return { condition: demand.anyOf.map((one) => `$statusCode == ${one}`).join(' || ') }
    if (demand.is === 'success') return { condition: '$statusCode >= 200 && $statusCode < 300' }
    const of = `$response.body#${demand.pointer}`
    if (demand.is === 'variable')
      return { condition: `${of} == ${values.reference(demand.variable)}`, 'x-dcr': { exact: true } }
    if (demand.value === undefined) {
      const query = demand.pointer
        .split('/')
        .slice(1)
        .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `['${part}']`))
      return { context: '$response.body', condition: `$${query.join('')}`, type: 'jsonpath' }
    }
    if (isSecret(demand.pointer.split('/').at(-1) ?? '', String(demand.value)))
      throw new Untranslatable('a test compares with a secret that stands in the script')
    if (typeof demand.value !== 'string') return { condition: `${of} == ${demand.value}` }
    return { condition: `${of} == '${demand.value.replaceAll("'", "''")}'`, 'x-dcr': { exact: true } }
  })
  return [...new Map(criteria.map((one) => [JSON.stringify(one), one])).values()]
}
