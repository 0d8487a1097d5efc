/** An answer with more scopes than anybody reads: the check counts them, and the record is none the larger. */
import { expect, test } from 'vitest'
import { makeLocalPki, runLocally } from '../support/local.ts'
import { startTls } from '../support/servers.ts'

test('of 20,000 scopes the check names the first, and the record holds no list', async () => {
  const pki = await makeLocalPki()
  const scopes = Array.from({ length: 20_000 }, (_, index) => `s${index}`)
  const body = JSON.stringify({ client_id: 'x', scopes })
  await using server = await startTls(pki.server, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () =>
      socket.end(
        `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ),
    )
  })
  const payload = { client_name: 'own', scopes: ['cards.read'] }
  const step = { stepId: 'call', operationId: 'registerClient', 'x-dcr': { identity: 'none' } }
  const ran = await runLocally(pki, {
    port: server.port,
    steps: [{ ...step, requestBody: { contentType: 'application/json', payload } }],
    settings: { TIMEOUT_MS: '20000' },
  })

  const [call] = ran.steps
  expect(call?.status).toBe('passed')
  expect(call?.scopes).toBeUndefined()
  expect(call?.checks?.find(({ id }) => id === 'scopes')).toMatchObject({
    status: 'warn',
    actual: `20000, without cards.read, with ${scopes.slice(0, 20).join(' ')} and 19980 more`,
  })
})
