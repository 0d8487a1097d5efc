import { expect, test } from 'vitest'
import { violationsOf } from '../src/checks.ts'

const URIS: readonly (readonly [uri: string, isOne: boolean])[] = [
  ['https://as.example/register/client?a=b%20c#d', true],
  ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer', true],
  ['https://[::1]:8443/token', true],
  ['mailto:ops@example.com', true],
  ['/register/client', false],
  ['//as.example/register', false],
  ['https://as.example/a client', false],
  ['https://as.example/%zz', false],
  ['https://as.example/ü', false],
  ['https://as.example/#a#b', false],
  ['https://[::zz]/', false],
]

test.for(URIS)('by the format "uri", %s: %s (RFC 3986)', ([uri, isOne]) => {
  const schema = { type: 'string', format: 'uri' }

  expect(violationsOf(schema, uri, schema).length === 0).toBe(isOne)
})
