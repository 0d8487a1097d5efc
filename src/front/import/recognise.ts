/**
 * Which requests of a collection are documented calls, by what they call: method, path, grant type and body. One table; each
 * row names the flow that makes the call.
 */

import { mayBeThredd, type ServerName, serverOf } from '../../environment/hosts.ts'
import type { Request } from './collection.ts'
import { type Understood, understood } from './script.ts'
import { referencesIn } from './variables.ts'

export interface Documented {
  readonly call: CallName
  /** the flow that makes it */
  readonly flow: string
  /** the server's address, as far as the file says it */
  readonly server?: { readonly name: ServerName; readonly url: string } | undefined
}

export interface ReadRequest {
  readonly request: Request
  readonly scripts: Understood
  /** the address with every variable that has a value */
  readonly url: string
  readonly documented: Documented | undefined
}

/** The parts of a request that the table of documented calls looks at. */
interface Facts {
  readonly method: string
  readonly url: string
  /** without the server */
  readonly path: string
  /** the address as it is written */
  readonly written: string
  readonly form: ReadonlyMap<string, string>
  readonly body: string
  /** names of variables, and the name of the request */
  readonly words: string
  /** the endpoint of a discovery document that a variable of the address was taken from */
  readonly endpoint: string | undefined
}

interface Row {
  readonly flow: string
  readonly server: ServerName
  /** what of the path belongs to the call and not to the server */
  readonly suffix: RegExp
  readonly is: (facts: Facts) => boolean
}

const WELL_KNOWN = /\/\.well-known\/(?:openid-configuration|oauth-authorization-server)\/?$/
const isOfDirectory = ({ url, words }: Facts) =>
  serverOf(url)?.startsWith('DIRECTORY') ?? /directory|raidiam|connect|\brc\b/i.test(words)
const isToken = ({ method, form }: Facts) => method === 'POST' && form.get('grant_type') === 'client_credentials'
const isRegistrationUri = ({ written, path }: Facts) =>
  /\{\{\s*(?:registration|reg)_?client_?ur[il]\s*\}\}/i.test(written) || /\/(?:oauth2|dcr)\/register\/[^/]+$/.test(path)

export const CALLS = {
  'directory-discovery': {
    flow: 'discover',
    server: 'DIRECTORY',
    suffix: WELL_KNOWN,
    is: (facts) => facts.method === 'GET' && WELL_KNOWN.test(facts.path) && isOfDirectory(facts),
  },
  'authorization-discovery': {
    flow: 'discover',
    server: 'AUTHORIZATION',
    suffix: WELL_KNOWN,
    is: ({ method, path }) => method === 'GET' && WELL_KNOWN.test(path),
  },
  'directory-token': {
    flow: 'register',
    server: 'DIRECTORY_MTLS',
    suffix: /\/token\/?$/,
    is: (facts) =>
      isToken(facts) &&
      (/\bdirectory:software\b/.test(facts.form.get('scope') ?? '') || facts.endpoint === 'directory token'),
  },
  statement: {
    flow: 'register',
    server: 'DIRECTORY_API',
    suffix: /\/organisations\/[^/]+\/softwarestatements\/[^/]+\/assertion\/?$/,
    is: ({ method, path }) =>
      method === 'GET' && /\/organisations\/[^/]+\/softwarestatements\/[^/]+\/assertion\/?$/.test(path),
  },
  register: {
    flow: 'register',
    server: 'AUTHORIZATION',
    suffix: /\/oauth2\/register\/?$/,
    is: ({ method, path, body, endpoint }) =>
      method === 'POST' &&
      /"software_statement"/.test(body) &&
      (endpoint === 'authorization register' || /\/register\/?$|^\{\{/.test(path)),
  },
  read: {
    flow: 'read-registration',
    server: 'AUTHORIZATION',
    suffix: /\/oauth2\/register\/[^/]+$/,
    is: (facts) => facts.method === 'GET' && isRegistrationUri(facts),
  },
  update: {
    flow: 'add-scope-with-put',
    server: 'AUTHORIZATION',
    suffix: /\/oauth2\/register\/[^/]+$/,
    is: (facts) => facts.method === 'PUT' && isRegistrationUri(facts),
  },
  delete: {
    flow: 'delete-registration',
    server: 'AUTHORIZATION',
    suffix: /\/oauth2\/register\/[^/]+$/,
    is: (facts) => facts.method === 'DELETE' && isRegistrationUri(facts),
  },
  'api-token': {
    flow: 'access-token',
    server: 'AUTHORIZATION',
    suffix: /\/oauth2\/token\/?$/,
    is: (facts) =>
      isToken(facts) &&
      (facts.form.has('client_assertion') || facts.endpoint === 'authorization token') &&
      !isOther(facts),
  },
  introspect: {
    flow: 'access-token',
    server: 'AUTHORIZATION',
    suffix: /\/oauth2\/introspect\/?$/,
    is: ({ method, path, form }) => method === 'POST' && /\/oauth2\/introspect\/?$/.test(path) && form.has('token'),
  },
  keystore: {
    flow: 'discover',
    server: 'KEYSTORE',
    suffix: /\/[^/]+\/[^/]+\.jwks\/?$|\/[^/]+\/[^/]+\/application\.jwks\/?$/,
    is: ({ method, path, url }) => method === 'GET' && /\.jwks\/?$/.test(path) && serverOf(url) === 'KEYSTORE',
  },
  cards: {
    flow: 'access-token',
    server: 'CARDS',
    suffix: /\/api\/v1\/(?:products|cards)\/?$/,
    is: ({ method, path, url, words }) =>
      method === 'GET' &&
      /\/api\/v1\/(?:products|cards)\/?$/.test(path) &&
      (serverOf(url) === 'CARDS' || /cards/i.test(words)),
  },
  'api-hub': {
    flow: 'access-token',
    server: 'API_HUB',
    suffix: /\/core\/api\/v1\/products\/?$/,
    is: ({ method, path }) => method === 'GET' && /\/core\/api\/v1\/products\/?$/.test(path),
  },
} as const satisfies Record<string, Row>

export type CallName = keyof typeof CALLS

/** A token of a server that is known to be neither of the two. */
function isOther({ url }: Facts): boolean {
  const server = serverOf(url)
  return server !== undefined && server !== 'AUTHORIZATION'
}

/** Which endpoint a captured member of a discovery document is. */
const ENDPOINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'authorization-discovery': {
    '/token_endpoint': 'authorization token',
    '/mtls_endpoint_aliases/token_endpoint': 'authorization token',
    '/registration_endpoint': 'authorization register',
    '/introspection_endpoint': 'authorization introspect',
  },
  'directory-discovery': {
    '/token_endpoint': 'directory token',
    '/mtls_endpoint_aliases/token_endpoint': 'directory token',
  },
}

export function recognised(requests: readonly Request[]): readonly ReadRequest[] {
  const endpoints = new Map<string, string>()
  const seen = requests.map((request) => {
    const scripts = understood(request.scripts)
    const url = request.variables.resolved(request.url)
    const documented = callOf(request, url, endpoints)
    for (const { variable, from } of documented === undefined ? [] : scripts.captures) {
      const endpoint =
        typeof from === 'object' && 'pointer' in from && ENDPOINTS[documented?.call ?? '']?.[from.pointer]
      if (endpoint) endpoints.set(variable, endpoint)
    }
    return { request, scripts, url }
  })
  // Once more, since a discovery document may stand below the calls of its endpoints.
  return seen.map((one) => ({ ...one, documented: callOf(one.request, one.url, endpoints) }))
}

function callOf(request: Request, url: string, endpoints: ReadonlyMap<string, string>): Documented | undefined {
  if (!mayBeThredd(url)) return undefined
  const facts = factsOf(request, url, endpoints)
  for (const [call, row] of Object.entries<Row>(CALLS)) {
    if (!row.is(facts)) continue
    const isKnown = /^https:\/\//.test(url) && row.suffix.test(facts.path)
    const server = isKnown ? { name: row.server, url: url.replace(row.suffix, '') } : undefined
    return { call: call as CallName, flow: row.flow, server }
  }
  return undefined
}

function factsOf(request: Request, url: string, endpoints: ReadonlyMap<string, string>): Facts {
  const { method, body, name, folders, variables } = request
  const references = referencesIn(request.url)
  return {
    method,
    url,
    path: url.replace(/^https?:\/\/[^/]*/, ''),
    written: request.url,
    form: new Map((body?.entries ?? []).map((entry) => [entry.name, variables.resolved(entry.value)])),
    body: body?.mode === 'raw' ? body.text : '',
    words: [...references, name, ...folders].join(' '),
    endpoint: references.map((one) => endpoints.get(one)).find((one) => one !== undefined),
  }
}
