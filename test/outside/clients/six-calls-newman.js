// The six documented calls with newman, as often as wanted, against a server that answers at once:
// `node six-calls-newman.js <port> <folder of certificates> <lifecycles>`
import { join } from 'node:path'
import newman from 'newman'
import { CLIENT_ID, METADATA, STATEMENT_PATH, TOKEN_REQUEST } from './six-calls.js'

const [port, folder, lifecycles] = process.argv.slice(2)
const origin = `https://localhost:${port}`
const bearer = (name) => ({ key: 'authorization', value: `Bearer {{${name}}}` })
const json = (body) => ({
  header: [{ key: 'content-type', value: 'application/json' }],
  body: { mode: 'raw', raw: JSON.stringify(body) },
})
const management = (rest = { header: [] }) => ({
  ...rest,
  url: '{{registration_client_uri}}',
  header: [...rest.header, bearer('registration_access_token')],
})
const keep = (...names) => names.map((name) => `pm.environment.set('${name}', pm.response.json().${name})`)

const item = [
  call('token', 200, keep('access_token'), {
    method: 'POST',
    url: `${origin}/token`,
    body: { mode: 'urlencoded', urlencoded: Object.entries(TOKEN_REQUEST).map(([key, value]) => ({ key, value })) },
  }),
  call('statement', 200, ["pm.environment.set('software_statement', pm.response.text())"], {
    method: 'GET',
    url: origin + STATEMENT_PATH,
    header: [bearer('access_token')],
  }),
  call('register', 201, keep('registration_access_token', 'registration_client_uri'), {
    method: 'POST',
    url: `${origin}/oauth2/register`,
    ...json({ ...METADATA, scopes: ['cards.read', 'cards.write'], software_statement: '{{software_statement}}' }),
  }),
  call('read', 200, [], { method: 'GET', ...management() }),
  call('update', 200, keep('registration_access_token'), {
    method: 'PUT',
    ...management(
      json({ ...METADATA, client_id: CLIENT_ID, scopes: ['cards.read'], software_statement: '{{software_statement}}' }),
    ),
  }),
  call('delete', 204, [], { method: 'DELETE', ...management() }),
]

newman.run(
  {
    collection: {
      info: { name: 'Six calls', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
      item,
    },
    iterationCount: Number(lifecycles),
    sslClientCert: join(folder, 'transport.crt'),
    sslClientKey: join(folder, 'transport.key'),
    sslExtraCaCerts: join(folder, 'ca.crt'),
  },
  (error, summary) => {
    if (error) throw error
    if (summary.run.failures.length > 0) throw new Error(String(summary.run.failures[0].error))
  },
)

function call(name, status, exec, request) {
  const judged = `pm.test('status', () => pm.response.to.have.status(${status}))`
  return { name, request, event: [{ listen: 'test', script: { type: 'text/javascript', exec: [judged, ...exec] } }] }
}
