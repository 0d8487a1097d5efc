// Your tests already use msw: one handler answers every documented host, the rest stays as it is.
import { X509Certificate } from 'node:crypto'
import { setupServer } from 'msw/node'
import { createTwin, ensurePki, HOSTS, threddHandlers } from '../../mocks/index.ts'

const pki = await ensurePki('fixtures/pki', { hosts: HOSTS })
const twin = createTwin({ pki, switches: { scopeMode: 'strict' } })
// Without TLS nobody shows a certificate: this is the one the twin sees.
const certificate = new X509Certificate(pki.identities.transport.certificate)
const server = setupServer(...threddHandlers(twin, certificate))
server.listen({ onUnhandledFrame: 'bypass' })

const answer = await fetch('https://matls-auth.directory.sandbox.threddid.com/token', {
  method: 'POST',
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    scope: 'directory:software',
    client_id: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4',
  }),
})
console.log(answer.status, Object.keys((await answer.json()) as object).join(' '))
console.log(twin.log.at(-1)?.decision)
server.close()
