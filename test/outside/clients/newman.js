// Runs a Postman collection with newman: `node newman.js <folder written by thredd mock> [collection]`, by default that of the
// documented requests. Assertions are minted before the run, as Postman's own sandbox has no RSA-PSS: one for each variable of
// the collection that begins with client_assertion.
import { constants, createPrivateKey, randomUUID, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import newman from 'newman'

const [folder = '.twin', file = new URL('thredd.postman_collection.json', import.meta.url)] = process.argv.slice(2)
const collection = JSON.parse(readFileSync(file, 'utf8'))
const environment = JSON.parse(readFileSync(join(folder, 'twin.postman_environment.json'), 'utf8'))
const setting = Object.fromEntries(environment.values.map(({ key, value }) => [key, value]))
const minted = (collection.variable ?? []).map(({ key }) => key).filter((key) => key.startsWith('client_assertion'))
for (const key of minted.length === 0 ? ['client_assertion'] : minted)
  environment.values.push({ key, value: assertion(), enabled: true })

newman.run(
  {
    collection,
    environment,
    sslClientCert: join(folder, 'pki/transport.crt'),
    sslClientKey: join(folder, 'pki/transport.key'),
    sslExtraCaCerts: join(folder, 'pki/ca.crt'),
  },
  (error, summary) => {
    if (error) throw error
    for (const { item, response, assertions = [] } of summary.run.executions) {
      const failed = assertions.filter((one) => one.error).map((one) => one.error.message)
      console.log(
        `${item.name}: ${response?.code ?? 'no answer'}${failed.length === 0 ? '' : ` (${failed.join('; ')})`}`,
      )
    }
    if (summary.run.failures.length > 0) process.exitCode = 1
  },
)

function assertion() {
  const now = Math.floor(Date.now() / 1000)
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: setting.client_id, sub: setting.client_id, aud: `${setting.authorization}/oauth2/token` }
  const signed = `${encode({ alg: 'PS256', typ: 'JWT', kid: setting.kid })}.${encode({ ...claims, jti: randomUUID(), iat: now, exp: now + 300 })}`
  const key = createPrivateKey(setting.private_key)
  const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return `${signed}.${sign('sha256', Buffer.from(signed), options).toString('base64url')}`
}
