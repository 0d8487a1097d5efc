/** A condition in the words of the answer: what it is about, what was expected and what came. */
import { expect, test } from 'vitest'
import { type ConditionSource, parseCondition, termsOf } from '../../src/flow/expression/criterion.ts'
import type { Context } from '../../src/flow/expression/expression.ts'

const BODY = {
  token_endpoint_auth_method: 'client_secret_basic',
  scopes: ['cards.read', 'cards.write'],
  keys: [{ kid: 'one' }, { kid: 'two' }],
  cnf: { 'x5t#S256': 'Zgls' },
  expires_in: 0,
}
const CONTEXT: Context = {
  statusCode: 400,
  response: { headers: [['cache-control', 'max-age=60']], body: BODY },
  inputs: (name) => ({ wanted: 'private_key_jwt', kid: "o'ne" })[name],
  steps: new Map(),
}
const ofBody = (condition: string): ConditionSource => ({ condition, context: '$response.body', type: 'jsonpath' })

test.for<[ConditionSource, string, string, unknown[], unknown]>([
  [{ condition: '$statusCode == 201' }, 'status', '', [201], 400],
  [{ condition: '$statusCode == 401 || $statusCode == 403' }, 'status', '', [401, 403], 400],
  [{ condition: '$statusCode != 400' }, 'status', 'not', [400], 400],
  [
    { condition: '$response.body#/token_endpoint_auth_method == $inputs.wanted' },
    'token_endpoint_auth_method',
    '',
    ['private_key_jwt'],
    'client_secret_basic',
  ],
  [{ condition: '$response.body#/expires_in > 0' }, 'expires_in', 'more than', [0], 0],
  [{ condition: "$response.body#/keys/0/kid == 'two'" }, 'keys[0].kid', '', ['two'], 'one'],
  [{ condition: "$response.body#/absent == 'x'" }, 'absent', '', ['x'], undefined],
  [
    { condition: 'no-store', context: '$response.header.Cache-Control', type: 'regex' },
    'header Cache-Control',
    '',
    ['no-store'],
    'max-age=60',
  ],
  [
    ofBody("$[?$.token_endpoint_auth_method == '{$inputs.wanted}']"),
    'token_endpoint_auth_method',
    '',
    ['private_key_jwt'],
    'client_secret_basic',
  ],
  [ofBody("$.scopes[?@ == 'eds.read']"), 'scopes', 'with', ['eds.read'], BODY.scopes],
  [ofBody("$[?!($.scopes[?@ == 'cards.write'])]"), 'scopes', 'without', ['cards.write'], BODY.scopes],
  [ofBody("$.keys[?@.kid == 'three']"), 'keys', 'an item with kid', ['three'], ['one', 'two']],
  [ofBody("$.keys[?@.kid != 'one']"), 'keys', 'an item with another kid', ['one'], ['one', 'two']],
  [ofBody("$.cnf[?$.cnf['x5t#S256'] == 'other']"), '', '', [], undefined],
  [ofBody('$.pmid'), 'pmid', 'a value', [], undefined],
])('%o is about one member', ([source, member, relation, wanted, got]) => {
  const terms = termsOf(parseCondition(source), CONTEXT)
  if (member === '') expect(terms).toBeUndefined()
  else expect(terms).toMatchObject({ member, relation, wanted, got })
})

test.for([
  { condition: '$statusCode == 200 && $response.body#/active == true' },
  { condition: "$inputs.wanted == 'x'" },
  { condition: '$response.body#/a == $inputs.absent' },
  ofBody("$.keys[?@.kid == '{$inputs.kid}' && @.use == 'sig']"),
  ofBody('$..kid'),
])('%o is shown as it is written', (source) => {
  expect(termsOf(parseCondition(source), CONTEXT)).toBeUndefined()
})
