/** An answer is the same on the wire whether the twin sends its own object or a Response that a fault's handler was given. */
import { readFile } from 'node:fs/promises'
import { connect } from 'node:tls'
import { http, type RequestHandler } from 'msw'
import { expect, test } from 'vitest'
import { changeField, changeStatus, type Pki, type RunningTwin, startTwin, type Twin } from '../../mocks/index.ts'
import { sharedPki } from '../support/twin.ts'

const AUTHORIZATION = 'uat-thredd.mtls.eu.authz.cloudentity.io'
const WORKSPACE = '/uat-thredd/confidential-clients'
const DISCOVERY = `${WORKSPACE}/.well-known/openid-configuration`
const CLIENT = `${WORKSPACE}/oauth2/register/nobody`
const ASSERTION = '/organisations/o/softwarestatements/s/assertion'
const STATEMENTS = 'matls-api.directory.sandbox.threddid.com'
/** Not earlier, since the certificates have just been made. */
const NOW = new Date()
const CARDS = 'api.uat.threddpay.com'

/** Everything that differs from one start to the next is always the same here: the bytes of tokens and ids, and the time. */
function start(pki: Pki): Promise<RunningTwin> {
  return startTwin({
    pki,
    random: (size) => new Uint8Array(size).fill(0x5a),
    now: () => NOW,
  })
}

/** Sends the request, and reads until the server ends the connection: status line, headers in the order of their names, body. */
async function ask({ port }: RunningTwin, pki: Pki, host: string, line: string, more = ''): Promise<readonly string[]> {
  const { certificate, keyFile } = pki.identities.transport
  const key = await readFile(keyFile)
  const socket = connect({ host: '127.0.0.1', port, servername: host, ca: pki.ca, cert: certificate, key })
  socket.write(`${line} HTTP/1.1\r\nhost: ${host}\r\n${more}connection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) text += chunk
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const [status = '', ...headers] = head.split('\r\n')
  return [status, ...headers.map((header) => header.toLowerCase()).toSorted(), body]
}

const passedOn = (twin: Twin): RequestHandler => http.all(/.+/, ({ request }) => twin.pass(request))

test.each<[string, string, string, string, string]>([
  [AUTHORIZATION, `GET ${DISCOVERY}`, '200', 'a document', ''],
  [AUTHORIZATION, `HEAD ${DISCOVERY}`, '200', 'a document without its content', ''],
  [AUTHORIZATION, `GET ${DISCOVERY}?token=abc`, '200', 'a document, asked for with a query', ''],
  [AUTHORIZATION, `DELETE ${DISCOVERY}`, '405', 'a method that is not offered', ''],
  [AUTHORIZATION, 'GET /elsewhere', '404', 'no workspace', ''],
  [AUTHORIZATION, `GET ${CLIENT}`, '401', 'a refusal with a body', ''],
  [STATEMENTS, `GET ${ASSERTION}`, '401', 'a refusal with the id of the client', 'x-fapi-interaction-id: 7\r\n'],
  [CARDS, 'GET /api/v1/products', '401', 'a refusal without a body', ''],
  [CARDS, 'HEAD /api/v1/products', '401', 'a refusal without a body, to HEAD', ''],
  [CARDS, 'GET /nowhere', '501', 'nothing documented', ''],
])('%s %s gives %s, sent by the twin itself as through a handler: %s', async (host, line, status, _, more) => {
  const pki = await sharedPki()
  await using running = await start(pki)
  const { twin } = running

  const own = await ask(running, pki, host, line, more)
  twin.use(passedOn(twin))
  const passed = await ask(running, pki, host, line, more)

  expect(own[0]).toContain(` ${status} `)
  expect(own).toContain(`date: ${NOW.toUTCString().toLowerCase()}`)
  expect(passed).toEqual(own)
  expect(twin.log).toHaveLength(2)
  expect(twin.log[1]).toEqual(twin.log[0])
})

test('a fault changes an answer that was sent without one before, and only for as long as it is in use', async () => {
  const pki = await sharedPki()
  await using running = await start(pki)
  const { twin } = running
  const get = () => ask(running, pki, AUTHORIZATION, `GET ${DISCOVERY}`)
  const before = await get()

  for (const fault of [
    changeField('authorizationDiscovery', '/issuer', 'https://elsewhere.example'),
    changeStatus('authorizationDiscovery', 503),
  ]) {
    twin.use(...fault.handlers(twin))
    expect(await get()).not.toEqual(before)
    twin.reset()
    expect(await get()).toEqual(before)
  }
})

test('answers to requests that came together stand in their order, and clients that left disturb nobody', async () => {
  const pki = await sharedPki()
  await using running = await start(pki)
  const { certificate, keyFile } = pki.identities.transport
  const key = await readFile(keyFile)
  const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: ${AUTHORIZATION}\r\n${more}\r\n`
  const given = { host: '127.0.0.1', port: running.port, servername: AUTHORIZATION, ca: pki.ca, cert: certificate, key }
  const socket = connect(given)
  const leaving = Array.from({ length: 5 }, () => connect(given))
  for (const one of leaving) one.once('secureConnect', () => one.write(request(DISCOVERY), () => one.destroy()))
  await Promise.all(leaving.map((one) => new Promise((resolve) => one.once('close', resolve))))

  socket.write(`${request(DISCOVERY)}${request('/elsewhere')}${request(CLIENT, 'connection: close\r\n')}`)
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) text += chunk

  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 401'])
})
