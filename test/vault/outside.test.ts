/** What people keep a registration in, and what is read from it: each form, each spelling, nothing that is switched off. */
import { expect, test } from 'vitest'
import { variablesOf } from '../../src/environment/index.ts'
import { registrationsIn } from '../../src/vault/index.ts'
import { CLIENT_ID, thrown, URI } from '../support/vault.ts'

const read = (content: unknown) =>
  registrationsIn(typeof content === 'string' ? content : JSON.stringify(content), {
    name: 'file',
    dotenv: variablesOf,
  })

const ANSWER = { client_id: CLIENT_ID, registration_access_token: 'token-1', registration_client_uri: URI }
const VARIABLES = [
  { key: 'client_id', value: CLIENT_ID },
  { key: 'registration_access_token', value: 'token-1', type: 'secret' },
  { key: 'registration_client_uri', value: URI },
]
const REQUEST = { name: 'Register', request: { method: 'POST', url: '{{registration_endpoint}}' } }

test.each<[string, unknown]>([
  ['an environment of Postman', { name: 'UAT', values: VARIABLES, _postman_variable_scope: 'environment' }],
  ['globals of Postman', { values: VARIABLES, _postman_variable_scope: 'globals' }],
  ['variables of a collection', { info: { name: 'DCR' }, item: [REQUEST], variable: VARIABLES }],
  ['variables of a folder in it', { info: {}, item: [{ name: 'UAT', item: [REQUEST], variable: VARIABLES }] }],
  ['a collection as the API of Postman gives it', { collection: { info: {}, item: [], variable: VARIABLES } }],
  ['a backup of Postman', { version: 1, collections: [], environments: [{ name: 'UAT', values: VARIABLES }] }],
  ['a saved answer', ANSWER],
  ['a saved answer with a byte order mark', `\uFEFF${JSON.stringify(ANSWER)}`],
  ['an answer in an envelope', { data: { attributes: ANSWER } }],
  [
    'an answer in an envelope that names the client',
    { client_id: CLIENT_ID, data: { ...ANSWER, client_id: undefined } },
  ],
  [
    'an answer that was saved in a collection',
    { info: {}, item: [{ ...REQUEST, response: [{ name: 'Created', code: 201, body: JSON.stringify(ANSWER) }] }] },
  ],
  [
    'lines of a .env file with comments and quotes',
    [
      '# kept since June',
      `export CLIENT_ID='${CLIENT_ID}' # ours`,
      'REGISTRATION_ACCESS_TOKEN="token-1" # of the POST',
      `REGISTRATION_CLIENT_URI = ${URI} # its own address`,
    ].join('\r\n'),
  ],
])('%s is read', (_, content) => {
  expect(read(content)).toMatchObject([{ clientId: CLIENT_ID, token: 'token-1', uri: URI }])
})

test.each([
  ['registration_access_token', 'registration_client_uri', 'client_id'],
  ['REGISTRATION_ACCESS_TOKEN', 'REGISTRATION_CLIENT_URI', 'CLIENT_ID'],
  ['registrationAccessToken', 'registrationClientUri', 'clientId'],
  ['Registration-Access-Token', 'registrationClientURL', 'dcr_client_id'],
  ['rat', 'registration_uri', 'oauth.client.id'],
  ['THREDD_REGISTRATION_ACCESS_TOKEN', 'THREDD_REGISTRATION_CLIENT_URI', 'THREDD_CLIENT_ID'],
])('the spelling %s is known', (token, uri, client) => {
  const values = [
    { key: token, value: 'token-1' },
    { key: uri, value: URI },
    { key: client, value: CLIENT_ID },
  ]

  expect(read({ values })).toMatchObject([{ clientId: CLIENT_ID, token: 'token-1', uri: URI }])
})

test.each<[string, unknown]>([
  ['a variable that is switched off', { values: [{ ...VARIABLES[1], enabled: false }] }],
  ['a variable of a collection that is switched off', { variable: [{ ...VARIABLES[1], disabled: true }] }],
  ['a reference to another variable', { values: [{ key: 'registration_access_token', value: '{{vault:rat}}' }] }],
  ['a home page', { client_id: CLIENT_ID, client_uri: 'https://home.example' }],
  ['the address that clients are registered at', 'REGISTRATION_ENDPOINT=https://auth.example/register'],
  ['an access token', { access_token: 'token-1' }],
  ['an empty value', 'REGISTRATION_ACCESS_TOKEN='],
  ['something nested beyond all measure', `${'['.repeat(5000)}${']'.repeat(5000)}`],
])('%s is no registration', (_, content) => {
  expect(read(content)).toEqual([])
})

test('the one that is switched on counts; of two that are, neither', async () => {
  const old = { ...VARIABLES[1], value: 'token-0' }
  expect(read({ values: [{ ...old, enabled: false }, ...VARIABLES] })).toMatchObject([{ token: 'token-1' }])
  expect(read({ values: [...VARIABLES, { key: 'rat', value: 'token-1' }] })).toMatchObject([{ token: 'token-1' }])

  const error = await thrown((async () => read({ name: 'UAT', values: [{ ...old, key: 'rat' }, ...VARIABLES] }))())
  expect(error.problems).toEqual([
    {
      code: 'VAULT_UNREADABLE',
      message: 'import "file" holds 2 values of registration_access_token in "UAT"',
      expected: 'one',
      found: '"rat", "registration_access_token"',
      hint: 'disable or remove those that are old, and import again',
    },
  ])
})

test('an answer keeps its other members, and says where it lay', () => {
  const answer = { ...ANSWER, scopes: ['cards.read'] }
  const response = [{ name: 'Created', body: JSON.stringify(answer) }]

  expect(read({ info: { name: 'DCR' }, item: [{ ...REQUEST, response }] })).toEqual([
    { place: '"Register" › "Created"', clientId: CLIENT_ID, token: 'token-1', uri: URI, answer },
  ])
})
