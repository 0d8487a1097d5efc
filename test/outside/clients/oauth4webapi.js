// Dynamic registration and client credentials over mutual TLS with oauth4webapi, which knows nothing of this project:
// `node oauth4webapi.js <folder written by thredd mock>`. Exits 0 when everything went as the standards say.
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import * as oauth from 'oauth4webapi'

const [folder = '.twin'] = process.argv.slice(2)
const { values } = JSON.parse(readFileSync(join(folder, 'twin.postman_environment.json'), 'utf8'))
const setting = Object.fromEntries(values.map(({ key, value }) => [key, value]))
const tls = {
  ca: readFileSync(join(folder, 'pki/ca.crt')),
  cert: readFileSync(join(folder, 'pki/transport.crt')),
  key: readFileSync(join(folder, 'pki/transport.key')),
}
const options = { [oauth.customFetch]: fetchOverMutualTls }

/** Built-in fetch cannot show a certificate without another package. */
function fetchOverMutualTls(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ...tls, method, headers: Object.fromEntries(new Headers(headers)), agent: false })
    outgoing.once('error', reject)
    outgoing.once('response', async (incoming) => {
      const chunks = await incoming.toArray()
      const whole = incoming.statusCode === 204 ? null : Buffer.concat(chunks)
      resolve(new Response(whole, { status: incoming.statusCode, headers: incoming.headers }))
    })
    outgoing.end(body === undefined || body === null ? undefined : String(body))
  })
}

async function discover(issuer) {
  const identifier = new URL(issuer)
  return await oauth.processDiscoveryResponse(identifier, await oauth.discoveryRequest(identifier, options))
}

const directory = await discover(setting.directory)
const application = { client_id: setting.client_id, use_mtls_endpoint_aliases: true }
const directoryToken = await oauth.processClientCredentialsResponse(
  directory,
  application,
  await oauth.clientCredentialsGrantRequest(
    directory,
    application,
    oauth.TlsClientAuth(),
    { scope: 'directory:software' },
    options,
  ),
)
const statement = await fetchOverMutualTls(
  `${setting.directory_api}/organisations/${setting.org_id}/softwarestatements/${setting.ssa_id}/assertion`,
  { headers: { authorization: `Bearer ${directoryToken.access_token}` } },
)

const server = await discover(setting.authorization)
const registered = await oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(
    server,
    {
      grant_types: ['client_credentials'],
      response_types: ['token'],
      token_endpoint_auth_method: 'private_key_jwt',
      tls_client_certificate_bound_access_tokens: true,
      scope: 'cards.read pin.read',
      software_statement: await statement.text(),
    },
    options,
  ),
)
const der = createPrivateKey(setting.private_key).export({ type: 'pkcs8', format: 'der' })
const key = await crypto.subtle.importKey('pkcs8', der, { name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign'])
const token = await oauth.processClientCredentialsResponse(
  server,
  registered,
  await oauth.clientCredentialsGrantRequest(
    server,
    registered,
    oauth.PrivateKeyJwt({ key, kid: setting.kid }),
    { scope: 'cards.read' },
    options,
  ),
)
const call = await fetchOverMutualTls(`${setting.cards}/api/v1/products`, {
  headers: { authorization: `Bearer ${token.access_token}` },
})
const management = { headers: { authorization: `Bearer ${registered.registration_access_token}` } }
const read = await fetchOverMutualTls(registered.registration_client_uri, management)
const removed = await fetchOverMutualTls(registered.registration_client_uri, { ...management, method: 'DELETE' })

console.log(`registered ${registered.client_id} with scope "${registered.scope}"`)
console.log(`token for "${token.scope}", call ${call.status}, read ${read.status}, delete ${removed.status}`)
if (call.status !== 200 || read.status !== 200 || removed.status !== 204) process.exitCode = 1
