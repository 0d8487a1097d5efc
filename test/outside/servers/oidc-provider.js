// An authorization server of other people, node-oidc-provider, over mutual TLS on loopback, with registration (RFC 7591) and
// management (RFC 7592): `node oidc-provider.js <folder of certificates> <client id> <scopes>`. Prints its origin, and ends with its input.
// In front of it stands what a platform adds: a certificate is demanded, an API takes its tokens, and Thredd's form of a
// registration is written in that of RFC 7591. The software statement is taken as it comes: the server knows none.
import { createHash, createPublicKey, randomUUID, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import * as jose from 'jose'
import { Provider } from 'oidc-provider'

const [pki = '', clientId = '', SCOPES = ''] = process.argv.slice(2)
const read = (file) => readFileSync(join(pki, file), 'utf8')
const API = 'urn:thredd:cards'
const KEYS = {
  keys: [
    {
      ...createPublicKey(read('signing.crt')).export({ format: 'jwk' }),
      kid: 'offline-twin-signing',
      use: 'sig',
    },
  ],
}

const signing = await Promise.all(['ES256', 'RS256'].map(newKey))
const published = jose.createLocalJWKSet({
  keys: signing.map(({ kty, kid, use, alg, crv, x, y, n, e }) => ({ kty, kid, use, alg, crv, x, y, n, e })),
})
const server = createServer({
  ca: read('ca.crt'),
  cert: read('server.crt'),
  key: read('server.key'),
  requestCert: true,
  rejectUnauthorized: true,
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `https://localhost:${server.address().port}`
const provider = providerAt(origin)
provider.use(dialect)
const answer = provider.callback()
server.on('request', (request, response) => {
  const own = { '/api/v1/products': api, '/oauth2/introspect': introspection }[request.url?.split('?')[0] ?? '']
  void (own ?? answer)(request, response)
})
/** What staff add to a client after it was registered, and an update wipes. */
let programme = 'a programme'
process.stdout.write(`${origin}\n`)
process.stdin.resume().once('end', () => process.exit(0))

async function newKey(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true })
  return { ...(await jose.exportJWK(privateKey)), kid: randomUUID(), use: 'sig', alg }
}

function providerAt(issuer) {
  return new Provider(issuer, {
    jwks: { keys: signing },
    cookies: { keys: [randomUUID()] },
    routes: {
      token: '/oauth2/token',
      registration: '/oauth2/register',
      jwks: '/.well-known/jwks.json',
      introspection: '/oauth2/introspect',
      revocation: '/oauth2/revoke',
    },
    scopes: SCOPES.split(' '),
    clientAuthMethods: ['private_key_jwt', 'tls_client_auth'],
    enabledJWA: {
      clientAuthSigningAlgValues: ['PS256', 'ES256'],
      idTokenSigningAlgValues: ['ES256', 'RS256'],
    },
    extraClientMetadata: { properties: ['software_id', 'software_statement'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      requestObjects: { enabled: true },
      registration: { enabled: true, idFactory: () => clientId },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: ({ socket }) => socket.getPeerX509Certificate()?.toString(),
        certificateAuthorized: ({ socket }) => socket.authorized,
        certificateSubjectMatches: ({ socket }, property, expected) =>
          property === 'tls_client_auth_subject_dn' &&
          socket.getPeerX509Certificate()?.subject.split('\n').reverse().join(',') === expected,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => API,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: SCOPES,
          audience: API,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
}

/** Registrations in the form of Thredd's page, for a server that has the form of RFC 7591. */
async function dialect(context, next) {
  const { method, path } = context
  if (!path.startsWith('/oauth2/register')) return await next()
  if (['POST', 'PUT'].includes(method) && context.is('application/json')) await translated(context)
  // It would also revoke the token, and nothing could be tried after it.
  const [, named] = /^\/oauth2\/register\/(.+)$/.exec(path) ?? []
  if (named !== undefined && (await provider.Client.find(decodeURIComponent(named))) === undefined) {
    context.set('WWW-Authenticate', 'Bearer error="invalid_token"')
    context.status = 401
    context.body = { error: 'invalid_token' }
    return
  }
  await next()
  if (context.status === 201) programme = 'a programme'
  if (method === 'PUT' && context.status === 200) programme = undefined
  const { body } = context
  if (typeof body === 'object' && typeof body?.client_id === 'string')
    context.body = {
      ...body,
      application_type: 'service',
      scopes: (body.scope ?? '').split(' ').filter((scope) => scope !== ''),
    }
}

async function translated({ req, request }) {
  const chunks = []
  for await (const chunk of req) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  let body
  try {
    body = JSON.parse(text)
  } catch {
    body = text
  }
  // What has been parsed is taken from here; a text is then refused as no JSON object.
  req.body = typeof body === 'object' && body !== null && !Array.isArray(body) ? inTermsOfTheStandard(body) : text
  request.body = req.body
}

function inTermsOfTheStandard({ scopes, application_types: _, application_type: kind, ...body }) {
  const { client_name, software_id } = claimsOf(body.software_statement)
  return {
    ...body,
    ...(kind === undefined || kind === 'service' ? {} : { application_type: kind }),
    ...(body.response_types === 'token' ? { response_types: [] } : {}),
    ...(scopes === undefined ? {} : { scope: Array.isArray(scopes) ? scopes.join(' ') : scopes }),
    ...(client_name === undefined ? {} : { client_name }),
    ...(software_id === undefined ? {} : { software_id }),
    ...(body.jwks === undefined && body.jwks_uri === undefined ? { jwks: KEYS } : {}),
    redirect_uris: body.redirect_uris ?? [],
  }
}

function claimsOf(statement) {
  try {
    return jose.decodeJwt(statement)
  } catch {
    return {}
  }
}

/** The server introspects no token that is a JWT. */
async function introspection(request, response) {
  const chunks = await request.toArray()
  const token = new URLSearchParams(Buffer.concat(chunks).toString('utf8')).get('token') ?? ''
  const claims = await jose.jwtVerify(token, published, { audience: API }).then(
    ({ payload }) => ({ active: true, token_type: 'Bearer', ...payload, ...(programme && { pmid: programme }) }),
    () => ({ active: false }),
  )
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(claims))
}

/** The API: a token of this server, in the header, for the certificate of the connection. */
async function api(request, response) {
  const [, token] = /^bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  const certificate = request.socket.getPeerX509Certificate()
  try {
    const { payload } = await jose.jwtVerify(token ?? '', published, { audience: API })
    const thumbprint = createHash('sha256').update(new X509Certificate(certificate.raw).raw).digest('base64url')
    if (payload.cnf?.['x5t#S256'] !== thumbprint) throw new Error('the token is of another certificate')
    response.writeHead(200, { 'content-type': 'application/json' }).end('[]')
  } catch {
    response
      .writeHead(401, { 'content-type': 'application/json', 'www-authenticate': 'Bearer error="invalid_token"' })
      .end('{"error":"invalid_token"}')
  }
}
