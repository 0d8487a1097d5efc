// Your service speaks mutual TLS: it meets the twin on a port of this machine.
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { ensurePki, faultsOf, HOSTS, performHook, startTwin } from '../../mocks/index.ts'

const pki = await ensurePki('fixtures/pki', { hosts: HOSTS })
await using running = await startTwin({ pki, urls: 'loopback', switches: { rotateOnRead: true } })
performHook(running.twin.state, 'grant-role', { role: 'eds' })
for (const fault of faultsOf('unavailable-once:authorizationJwks', running.twin.operations)) {
  running.twin.use(...fault.handlers(running.twin))
}

const { certificate, keyFile } = pki.identities.transport
const key = await readFile(keyFile)
const workspace = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients'
const address = running.publish(`${workspace}/.well-known/jwks.json`)
for (let attempt = 1; attempt <= 2; attempt += 1) {
  const status = await new Promise((resolve, reject) => {
    const call = request(address, { ca: pki.ca, cert: certificate, key, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    call.once('error', reject).end()
  })
  console.log(`attempt ${attempt}: ${status}`)
}
