// The six documented calls with the Arazzo runner of Redocly, as often as wanted, against a server that answers at once:
// `node six-calls-respect.js <port> <folder of certificates> <lifecycles>`. Its document has a workflow for each lifecycle.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConfig } from '@redocly/openapi-core'
import { run } from '@redocly/respect-core/run'
import { Agent, fetch } from 'undici'
import { CLIENT_ID, METADATA, STATEMENT_PATH, TOKEN_REQUEST } from './six-calls.js'

const [port, folder, lifecycles] = process.argv.slice(2)
const origin = `https://localhost:${port}`
const read = (name) => readFileSync(join(folder, name))
const dispatcher = new Agent({
  connect: { ca: read('ca.crt'), cert: read('transport.crt'), key: read('transport.key') },
})
const client = `${origin}/oauth2/register/${encodeURIComponent(CLIENT_ID)}`
const management = bearer('$steps.register.outputs.registration_access_token')
const statement = '$steps.statement.outputs.software_statement'

const steps = [
  call('token', 200, {
    'x-operation': { method: 'post', url: `${origin}/token` },
    requestBody: { contentType: 'application/x-www-form-urlencoded', payload: TOKEN_REQUEST },
    outputs: { access_token: '$response.body#/access_token' },
  }),
  call('statement', 200, {
    'x-operation': { method: 'get', url: origin + STATEMENT_PATH },
    parameters: bearer('$steps.token.outputs.access_token'),
    outputs: { software_statement: '$response.body' },
  }),
  call('register', 201, {
    'x-operation': { method: 'post', url: `${origin}/oauth2/register` },
    requestBody: json({ ...METADATA, scopes: ['cards.read', 'cards.write'], software_statement: statement }),
    outputs: { registration_access_token: '$response.body#/registration_access_token' },
  }),
  call('read', 200, { 'x-operation': { method: 'get', url: client }, parameters: management }),
  call('update', 200, {
    'x-operation': { method: 'put', url: client },
    parameters: management,
    requestBody: json({ ...METADATA, client_id: CLIENT_ID, scopes: ['cards.read'], software_statement: statement }),
    outputs: { registration_access_token: '$response.body#/registration_access_token' },
  }),
  call('delete', 204, {
    'x-operation': { method: 'delete', url: client },
    parameters: bearer('$steps.update.outputs.registration_access_token'),
  }),
]

const temporary = mkdtempSync(join(tmpdir(), 'six-calls-'))
const file = join(temporary, 'six-calls.arazzo.yaml')
const description = {
  openapi: '3.1.0',
  info: { title: 'None', version: '1.0.0' },
  servers: [{ url: origin }],
  paths: {},
}
writeFileSync(join(temporary, 'none.openapi.yaml'), JSON.stringify(description))
writeFileSync(
  file,
  JSON.stringify({
    arazzo: '1.0.1',
    info: { title: 'Six calls', version: '1.0.0' },
    sourceDescriptions: [{ name: 'none', url: 'none.openapi.yaml', type: 'openapi' }],
    workflows: Array.from({ length: Number(lifecycles) }, (_, index) => ({ workflowId: `lifecycle-${index}`, steps })),
  }),
)
const silent = {
  info() {},
  warn() {},
  error() {},
  output() {},
  printNewLine() {},
  indent: (text) => text,
  printSeparator() {},
}
try {
  const [result] = await run({
    files: [file],
    config: await createConfig({}),
    maxSteps: steps.length * Number(lifecycles) + 1,
    maxFetchTimeout: 10_000,
    requestFileLoader: { getFileBody: async (path) => new Blob([await readFile(path)]) },
    logger: silent,
    fetch: (url, options) => fetch(url, { ...options, dispatcher }),
    skipLint: true,
  })
  if (result.hasProblems) throw new Error('a call did not go as planned')
} finally {
  rmSync(temporary, { recursive: true })
}
// The runner leaves timers behind.
process.exit(0)

function bearer(value) {
  return [{ name: 'authorization', in: 'header', value: `Bearer {${value}}` }]
}

function json(payload) {
  return { contentType: 'application/json', payload }
}

function call(stepId, status, rest) {
  return { stepId, ...rest, successCriteria: [{ condition: `$statusCode == ${status}` }] }
}
