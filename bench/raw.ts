/**
 * The six calls written by hand with undici and jose; only the status is checked, nothing is recorded. They go to a server on that
 * port, or to a twin that this process starts. In sequence all lifecycles are of one application; several at once have one each.
 * `node bench/raw.ts <port>|twin <folder of certificates> <lifecycles> [<at once>]`
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { importPKCS8, SignJWT } from 'jose'
import { Agent, request } from 'undici'
import { METADATA } from './metadata.ts'

const [port, folder = '', lifecycles, atOnce] = process.argv.slice(2)
const twin = port === 'twin' ? await startedTwin() : undefined
const [directory, statements, authorization] = [
  'https://matls-auth.directory.sandbox.threddid.com',
  'https://matls-api.directory.sandbox.threddid.com',
  'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients',
].map((url) => twin?.publish(url) ?? `https://localhost:${port}`) as [string, string, string]
const organisation = '99b2b599-8cc2-499e-b805-e3d84233ae8e'
const documented = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
const read = (file: string) => readFileSync(join(folder, file))
const dispatcher = new Agent({
  allowH2: false,
  connect: { ca: read('ca.crt'), cert: read('transport.crt'), key: read('transport.key') },
})
const key = await importPKCS8(read('signing.key').toString(), 'PS256')

const applications = Array.from({ length: Number(lifecycles) }, (_, index) =>
  atOnce === undefined ? documented : documented.slice(0, -12) + String(index).padStart(12, '0'),
).values()
await Promise.all(
  Array.from({ length: Number(atOnce ?? 1) }, async () => {
    for (const software of applications) await lifecycle(software)
  }),
)
await dispatcher.close()
await twin?.close()

async function call(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  url: string,
  expected: number,
  options: { headers: Record<string, string>; body?: string },
): Promise<string> {
  const { statusCode, body } = await request(url, { ...options, method, dispatcher })
  const text = await body.text()
  if (statusCode !== expected) throw new Error(`${method} ${url}: ${statusCode}, expected ${expected}`)
  return text
}

async function lifecycle(software: string): Promise<void> {
  const clientId = `https://rp.directory.sandbox.threddid.com/openid_relying_party/${software}`
  const assertion = await new SignJWT({ jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'PS256', kid: 'offline-twin-signing', typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(`${directory}/token`)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(key)
  const token = await call('POST', `${directory}/token`, 200, {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'directory:software',
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }).toString(),
  })
  const { access_token: directoryToken } = JSON.parse(token) as { access_token: string }
  const statement = await call(
    'GET',
    `${statements}/organisations/${organisation}/softwarestatements/${software}/assertion`,
    200,
    {
      headers: { authorization: `Bearer ${directoryToken}` },
    },
  )
  const registered = await call('POST', `${authorization}/oauth2/register`, 201, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...METADATA, scopes: ['cards.read', 'cards.write'], software_statement: statement }),
  })
  const registration = JSON.parse(registered) as { registration_access_token: string; registration_client_uri: string }
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${registration.registration_access_token}`,
  }
  JSON.parse(await call('GET', registration.registration_client_uri, 200, { headers }))
  const body = { ...METADATA, client_id: clientId, scopes: ['cards.read'], software_statement: statement }
  const updated = await call('PUT', registration.registration_client_uri, 200, { headers, body: JSON.stringify(body) })
  const { registration_access_token: replaced } = JSON.parse(updated) as typeof registration
  await call('DELETE', registration.registration_client_uri, 204, { headers: { authorization: `Bearer ${replaced}` } })
}

/** Loaded only where it is needed: the script by hand would otherwise start slower than it is. */
async function startedTwin() {
  const { ensurePki, HOSTS, startTwin } = await import('../mocks/index.ts')
  const pki = await ensurePki(folder, { hosts: HOSTS })
  return await startTwin({ pki, urls: 'loopback', switches: { metadataSet: 'at-once' } })
}
