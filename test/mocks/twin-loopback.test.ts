/** Every address on https://localhost:PORT, for clients that cannot reach the documented names. */
import { once } from 'node:events'
import { connect } from 'node:tls'
import { decodeJwt } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { HOSTS, type Pki, type StartOptions, startTwin } from '../../mocks/index.ts'
import { type Asked, outsideAssertion, outsideClient, type Told } from '../support/outside.ts'
import { CLIENT_ID, type Json, ORGANISATION, SOFTWARE, sharedPki, URLS } from '../support/twin.ts'

let pki: Pki
beforeAll(async () => {
  pki = await sharedPki()
})

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

async function start(options: Omit<StartOptions, 'pki' | 'urls'> = {}) {
  const running = await startTwin({ pki, urls: 'loopback', ...options })
  const ask = outsideClient(pki)
  return {
    running,
    /** of a documented address */
    ask: (url: string, asked?: Asked) => ask(running.publish(url), asked),
    /** of an address in an answer of the twin */
    follow: (address: unknown, asked?: Asked) => ask(String(address), asked),
    [Symbol.asyncDispose]: () => running.close(),
  }
}

type Started = Awaited<ReturnType<typeof start>>

function parsed({ text }: Told): Json {
  return JSON.parse(text) as Json
}

/** Every address in the twin's answers, without identifiers that only look like one. */
function addressesIn(text: string): string[] {
  return [...text.matchAll(/https:\/\/[^"\\ ]+/g)].map(([address]) => address).filter((address) => !isName(address))
}

function isName(address: string): boolean {
  // client_id (also as audience and subject), and the addresses that the application's owner entered.
  return address.startsWith(CLIENT_ID) || address.startsWith('https://example.com/')
}

async function register({ ask, follow }: Started, changes: Json = {}) {
  const directory = parsed(await ask(`${URLS.directory}/.well-known/openid-configuration`, { as: 'none' }))
  const { token_endpoint } = directory.mtls_endpoint_aliases as Json
  const form = { grant_type: 'client_credentials', scope: 'directory:software', client_id: CLIENT_ID }
  const bearer = String(parsed(await follow(token_endpoint, { form })).access_token)
  const path = `/organisations/${ORGANISATION}/softwarestatements/${SOFTWARE}/assertion`
  const software_statement = (await ask(`${URLS.directoryApi}${path}`, { bearer })).text
  const metadata = parsed(await ask(`${URLS.old}/.well-known/openid-configuration`))
  const json = { ...documentedRequest, software_statement, ...changes }
  const client = parsed(await follow(metadata.registration_endpoint, { json }))
  return { directory, metadata, software_statement, client, bearer: String(client.registration_access_token) }
}

test('a client that follows the addresses in the answers registers, gets a token and calls the API on one origin', async () => {
  await using twin = await start()
  const { directory, metadata, software_statement, client } = await register(twin)
  const form = async (audience: unknown) => ({
    grant_type: 'client_credentials',
    client_assertion_type: JWT_BEARER,
    client_assertion: await outsideAssertion(pki, String(audience)),
  })
  const told = await twin.follow(metadata.token_endpoint, { form: await form(metadata.token_endpoint) })
  const token = String(parsed(told).access_token)
  const keys = await twin.follow(decodeJwt(software_statement).jwks_uri, { as: 'none' })
  const [key] = parsed(keys).keys as Json[]

  const { origin } = twin.running
  const handedOut = [directory, metadata, client, decodeJwt(software_statement), decodeJwt(token), parsed(keys)]
  for (const document of handedOut) {
    const addresses = addressesIn(JSON.stringify(document))
    expect(addresses.length).toBeGreaterThan(0)
    expect(addresses.filter((address) => !address.startsWith(`${origin}/`))).toEqual([])
  }
  expect((await twin.follow(metadata.token_endpoint, { form: await form(metadata.issuer) })).status).toBe(200)
  expect((await twin.follow(metadata.token_endpoint, { form: await form(URLS.old) })).status).toBe(401)
  expect((await twin.follow(key?.x5u, { as: 'none' })).text.trim()).toBe(pki.identities.signing.certificate.trim())
  expect((await twin.follow(metadata.jwks_uri)).status).toBe(200)
  expect((await twin.ask(URLS.cards, { bearer: token })).status).toBe(200)
  expect((await twin.ask(URLS.hub, { bearer: token, headers: { 'x-region': '0' } })).status).toBe(200)
  const ask = { token, client_assertion_type: JWT_BEARER, client_assertion: await outsideAssertion(pki, URLS.old) }
  expect((await twin.follow(metadata.introspection_endpoint, { form: ask })).status).toBe(401)
  expect(twin.running.twin.log.at(-1)).toMatchObject({
    url: `${URLS.old}/oauth2/introspect`,
    decision: 'refused: aud does not name this server',
  })
})

test.each(['raw', 'encoded'] as const)(
  'the registration_client_uri in %s form works as it is, and after a proxy collapsed or decoded it',
  async (uriForm) => {
    for (const uriHost of ['custom', 'old'] as const) {
      await using twin = await start({ switches: { uriForm, uriHost } })
      const { client, bearer } = await register(twin)
      const { origin } = twin.running
      const uri = String(client.registration_client_uri)
      const path = uri.slice(origin.length)

      expect(uri).toBe(
        `${origin}/${URLS[uriHost].slice('https://'.length)}/oauth2/register/${uriForm === 'raw' ? CLIENT_ID : encodeURIComponent(CLIENT_ID)}`,
      )
      for (const form of [path, path.replaceAll('//', '/'), path.replaceAll('%2F', '/'), `/${path}`]) {
        const told = await twin.follow(uri, { bearer, path: form })
        expect({ form, status: told.status }).toEqual({ form, status: 200 })
        expect(parsed(told)).toEqual(client)
      }
      expect((await twin.follow(uri, { bearer, method: 'DELETE' })).status).toBe(204)
      expect((await twin.follow(uri, { bearer })).status).toBe(401)
    }
  },
)

test('each path demands the certificate that its documented host would', async () => {
  await using twin = await start()
  await using html = await start({ switches: { refuse: 'html400' } })
  const demanding = HOSTS.filter((host) => twin.running.twin.demandOf(host) === 'required')

  for (const host of HOSTS) {
    const url = `https://${host}/`
    if (!demanding.includes(host)) {
      expect((await twin.ask(url, { as: 'none' })).status).toBe(501)
      continue
    }
    for (const as of ['none', 'rogue', 'clone', 'expired'] as const) {
      await expect(twin.ask(url, { as })).rejects.toThrow()
      const told = await html.ask(url, { as })
      expect([told.status, told.headers['content-type']]).toEqual([400, 'text/html'])
    }
    expect((await twin.ask(url)).status).toBeGreaterThanOrEqual(404)
  }
  // A host that asks for no certificate ignores the one that the connection has presented.
  const form = { grant_type: 'client_credentials', client_id: CLIENT_ID }
  expect((await twin.ask(`${URLS.directory}/token`, { form })).status).toBe(401)
})

test('a path leads only to the host that it names', async () => {
  await using twin = await start()
  const { origin } = twin.running
  const plain = '/auth.directory.sandbox.threddid.com'
  const strict = '/matls-auth.directory.sandbox.threddid.com'
  const seen = async (path: string) => {
    const told = await twin.follow(`${origin}/`, { as: 'none', path }).catch(() => undefined)
    return `${told?.status ?? 'ended'} ${twin.running.twin.log.at(-1)?.url.replace(origin, '')}`
  }

  // Dots in a path are resolved within the host, so they cannot avoid its demand for a certificate.
  expect(await seen(`${plain}/..${strict}/token`)).toMatch(/^501 https:\/\/auth\./)
  expect(await seen(`${strict}/../auth.directory.sandbox.threddid.com/jwks`)).toMatch(/^ended https:\/\/matls-auth\./)
  expect(await seen(`${strict.toUpperCase()}/token`)).toMatch(/^ended https:\/\/matls-auth\./)
  expect(await seen(`${plain}@evil.example/`)).toBe(`501 https://auth.directory.sandbox.threddid.com/@evil.example/`)
  expect(await seen('/elsewhere.example/')).toBe('404 /elsewhere.example/')
  expect(await seen('/../../etc/passwd')).toBe('404 /../../etc/passwd')
  expect(await seen('/')).toBe('404 /')
})

test('one connection serves all hosts, and one that began without a certificate is refused where a host demands one', async () => {
  await using twin = await start({ switches: { refuse: 'html400' } })
  const { port } = twin.running
  const options = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca }
  const ask = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost:${port}\r\n\r\n`
  const socket = connect(options)
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.write(ask('/auth.directory.sandbox.threddid.com/jwks'))
  const [session] = await once(socket, 'session')
  await expect.poll(() => text).toMatch(/^HTTP\/1\.1 200 /)
  socket.write(ask('/matls-auth.directory.sandbox.threddid.com/'))
  await expect.poll(() => text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400'])
  socket.destroy()

  const resumed = connect({ ...options, session })
  resumed.write(ask('/matls-auth.directory.sandbox.threddid.com/'))
  const [answer] = await once(resumed.setEncoding('utf8'), 'data')
  expect(resumed.isSessionReused()).toBe(true)
  resumed.destroy()

  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
})

test('the documented names are answered on the same port too, with addresses of the one origin', async () => {
  await using twin = await start()
  const ask = outsideClient(pki, twin.running.port)

  const told = await ask(`${URLS.old}/.well-known/openid-configuration`)

  expect(parsed(told).issuer).toBe(twin.running.publish(URLS.old))
})
