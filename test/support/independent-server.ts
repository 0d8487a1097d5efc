/**
 * The servers that the flow "register" calls, written from the documents alone and sharing no code with mocks/: what a customer
 * meets, in the form in which the twin answers, but for the ways that are asked for.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { exportPKCS8, generateKeyPair, importPKCS8, SignJWT } from 'jose'
import token from '../../fixtures/thredd/access-token-claims.json' with { type: 'json' }
import registration from '../../fixtures/thredd/dcr-response-2024-08.json' with { type: 'json' }
import products from '../../fixtures/thredd/products.json' with { type: 'json' }
import statement from '../../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import authorization from '../../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import directory from '../../fixtures/thredd/well-known-directory.json' with { type: 'json' }
import { type HttpsTestServer, type LoggedRequest, startHttps } from './servers.ts'

/** The known ways in which it can differ from the twin. */
export const WAYS = [
  'the id is encoded in registration_client_uri',
  'the statement is JSON',
  'API tokens live an hour',
  'directory tokens live five minutes',
  'directory tokens are JWTs',
  'a scope is granted without being asked for',
  'the registration has one member more',
  'the members of the token answer have another order',
  'the token answer has no X-Trace-ID',
  'the Cards API refuses',
] as const
export type Way = (typeof WAYS)[number]

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

/** Its base URLs are paths of one origin, by the names of settings. */
export async function startIndependent(
  tls: { readonly cert: string; readonly key: string },
  ways: readonly Way[],
): Promise<HttpsTestServer & { readonly servers: Readonly<Record<string, string>> }> {
  const differs = (way: Way) => ways.includes(way)
  const keys = {
    PS256: (await generateKeyPair('PS256', { extractable: true })).privateKey,
    ES256: (await generateKeyPair('ES256', { extractable: true })).privateKey,
  }
  const pem = { PS256: await exportPKCS8(keys.PS256), ES256: await exportPKCS8(keys.ES256) }
  const sign = async (alg: 'PS256' | 'ES256', header: object, claims: object) =>
    await new SignJWT({ ...claims }).setProtectedHeader({ ...header, alg }).sign(await importPKCS8(pem[alg], alg))
  let origin = ''
  let registered: Record<string, unknown> = {}
  let claims: Record<string, unknown> = {}
  const moved = (document: object, base: string) =>
    JSON.parse(
      JSON.stringify(document).replaceAll(authorization.issuer, `${origin}/as`).replaceAll(base, `${origin}/directory`),
    )
  const answers: Readonly<Record<string, (request: LoggedRequest) => Promise<Answer> | Answer>> = {
    'GET /as/.well-known/openid-configuration': () => ({ headers: trace(), body: moved(authorization, '\0') }),
    'GET /directory/.well-known/openid-configuration': () => ({
      body: {
        ...directory,
        issuer: `${origin}/directory`,
        mtls_endpoint_aliases: { ...directory.mtls_endpoint_aliases, token_endpoint: `${origin}/matls/token` },
      },
    }),
    'POST /matls/token': async () => ({
      headers: NO_STORE,
      body: {
        access_token: differs('directory tokens are JWTs')
          ? await sign('PS256', { typ: 'at+jwt' }, { sub: 'client', jti: randomUUID() })
          : secret(),
        expires_in: differs('directory tokens live five minutes') ? 300 : 600,
        token_type: 'Bearer',
        scope: 'directory:software',
      },
    }),
    'GET /api/assertion': async () => {
      const { header, payload } = statement
      const jwt = await sign('PS256', header, { ...payload, iat: Math.floor(Date.now() / 1000) })
      const interaction = { 'x-fapi-interaction-id': randomUUID() }
      return differs('the statement is JSON')
        ? { headers: interaction, body: jwt }
        : { headers: { ...interaction, 'content-type': 'application/jwt' }, body: Buffer.from(jwt) }
    },
    'POST /as/oauth2/register': ({ body }) => {
      const asked = JSON.parse(body)
      const scopes = [
        ...asked.scopes,
        ...(differs('a scope is granted without being asked for') ? ['issuer.read'] : []),
      ]
      const id = registration.client_id
      registered = {
        ...registration,
        scopes,
        scope: scopes.join(' '),
        software_statement: asked.software_statement,
        client_secret: secret(),
        registration_access_token: `${secret()}.${secret()}`,
        registration_client_uri: `${origin}/as/oauth2/register/${
          differs('the id is encoded in registration_client_uri') ? encodeURIComponent(id) : id
        }`,
        ...(differs('the registration has one member more') ? { tenant: 'uat' } : {}),
      }
      return { status: 201, headers: { ...NO_STORE, ...trace() }, body: registered }
    },
    'GET /as/oauth2/register': () => ({ headers: { ...NO_STORE, ...trace() }, body: registered }),
    'POST /as/oauth2/token': async () => {
      const lives = differs('API tokens live an hour') ? 3600 : 600
      const now = Math.floor(Date.now() / 1000)
      claims = { ...token.payload, iat: now, nbf: now, exp: now + lives }
      const access_token = await sign('ES256', token.header, claims)
      const [expires_in, scope, token_type] = [lives - 1, registered.scope, 'bearer']
      return {
        headers: { ...NO_STORE, ...(differs('the token answer has no X-Trace-ID') ? {} : trace()) },
        body: differs('the members of the token answer have another order')
          ? { token_type, expires_in, access_token, scope }
          : { access_token, expires_in, scope, token_type },
      }
    },
    'POST /as/oauth2/introspect': () => {
      const { scp: _, ...known } = claims
      const [client_id, scope, token_type] = [registration.client_id, registered.scope, 'bearer']
      return { headers: { ...NO_STORE, ...trace() }, body: { active: true, ...known, client_id, scope, token_type } }
    },
    'GET /cards/api/v1/products': () => {
      if (!differs('the Cards API refuses')) return { headers: trace(), body: products }
      const problem = { type: 'about:blank', title: 'no programme manager', status: 403, traceId: secret(), errors: {} }
      return { status: 403, headers: { 'cache-control': 'no-store', ...trace() }, body: problem }
    },
  }
  const server = await startHttps(tls, async (request, response) => {
    const path = request.path
      .replace(/^(\/as\/oauth2\/register)\/.*/, '$1')
      .replace(/^\/api\/organisations\/.*\/assertion$/, '/api/assertion')
    const answer = await answers[`${request.method} ${path}`]?.(request)
    const { status = 200, headers = {}, body } = answer ?? { status: 404, body: {} }
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(Buffer.isBuffer(body) ? body : JSON.stringify(body))
  })
  origin = `https://localhost:${server.port}`
  const at = {
    DIRECTORY: 'directory',
    DIRECTORY_MTLS: 'matls',
    DIRECTORY_API: 'api',
    AUTHORIZATION: 'as',
    CARDS: 'cards',
  }
  return {
    ...server,
    servers: Object.fromEntries(Object.entries(at).map(([name, path]) => [`SERVER_${name}`, `${origin}/${path}`])),
  }
}

function secret(): string {
  return randomBytes(32).toString('base64url')
}

function trace() {
  return { 'x-trace-id': randomBytes(16).toString('hex') }
}
