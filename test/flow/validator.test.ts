import { expect, test } from 'vitest'
import { mostSpecific } from '../../src/flow/openapi/media-type.ts'
import { judgeValue } from '../../src/flow/openapi/validator.ts'
import { FILE_LIMITS } from '../../src/record/limits.ts'
import { play } from '../support/script.ts'

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

  expect(judgeValue(schema, uri, schema).violations.length === 0).toBe(isOne)
})

test('what takes too much work is not judged, and nothing is said against it but what was found before', () => {
  const long = { b: `https://x.example/${'a'.repeat(9_000_000)}` }
  const names = Array.from({ length: 300 }, (_, index) => `m${index}`)
  const items = Array.from({ length: 16_000 }, () => ({ a: 1 }))

  expect(judgeValue({ properties: { b: { format: 'uri' } } }, long, {})).toEqual({
    violations: [],
    beyond: 0,
    unjudged: ['a text of more than 65536 characters is compared with no format'],
  })
  expect(judgeValue({ items: { required: names } }, items, {}).unjudged).toEqual([
    'its schema takes too much work on this value',
  ])
})

const TYPES: readonly (readonly [answer: string, documented: readonly string[], key: string | undefined])[] = [
  ['application/json', ['application/json'], 'application/json'],
  ['application/json; charset=utf-8', ['application/json'], 'application/json'],
  ['application/json; charset=utf-8', ['application/json; charset=utf-8'], 'application/json; charset=utf-8'],
  ['Application/JSON;Charset="UTF-8"', ['application/json; charset=utf-8'], 'application/json; charset=utf-8'],
  // RFC 8259 §11: a charset of JSON has no meaning.
  ['application/json', ['application/json; charset=utf-8'], 'application/json; charset=utf-8'],
  ['text/plain', ['text/plain; charset=utf-8'], undefined],
  ['text/plain; charset=latin1', ['text/plain; charset=utf-8'], undefined],
  ['text/plain; charset=utf-8', ['text/plain', 'text/plain; charset=utf-8'], 'text/plain; charset=utf-8'],
  ['text/plain; charset=latin1', ['text/plain; charset=utf-8', 'text/plain'], 'text/plain'],
  [
    'application/ld+json; profile="https://a.example/B"',
    ['application/ld+json; profile="https://a.example/b"'],
    undefined,
  ],
  ['text/html', ['*/*', 'text/*', 'application/json'], 'text/*'],
  ['text/html', ['*/*', 'text/html; level=1'], '*/*'],
  ['image/png', ['text/*'], undefined],
]

test.for(TYPES)(
  'of an answer %s the documented %j that speaks is %s (OpenAPI 3.1 §4.8.17, RFC 9110 §8.3.1)',
  ([answer, documented, key]) => {
    expect(mostSpecific(documented, answer)).toBe(key)
  },
)

const PAGE = (type: string) => `openapi: 3.1.0
info: { title: Page, version: 1.0.0 }
paths:
  /page:
    get:
      operationId: page
      responses: { '200': { description: ok, content: { '${type}': { schema: { type: object, required: [id] } } } } }
`
const flow = `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.page.page }]`
const judged = async (documented: string, type: string, body: unknown) => {
  const { workflows } = await play(flow, {
    sources: '{ name: page, url: page.openapi.yaml }',
    files: { 'page.openapi.yaml': PAGE(documented) },
    settings: 'SERVER_PAGE=https://page.example',
    replies: { 'GET /page': [{ headers: { 'content-type': type }, body }] },
  })
  return workflows[0]?.steps[0]?.checks.map(({ id, status, actual }) => `${id} ${status}: ${actual}`)
}

test('an answer of a media type that is documented with a charset is judged by that schema', async () => {
  const type = 'application/json; charset=utf-8'

  expect(await judged(type, type, { id: 1 })).toContain('schema pass: fits')
  expect(await judged(type, type, {})).toContain('schema /id fail: absent')
  expect(await judged('text/plain; charset=utf-8', 'text/plain; charset=latin1', 'x')).toContain(
    'content-type fail: text/plain; charset=latin1',
  )
})

/** A description whose only answer stands behind so many references. */
const behind = (references: number) => {
  const names = Array.from({ length: references }, (_, index) => `r${index}`)
  const responses = Object.fromEntries(
    names.map((name, index) => [
      name,
      index + 1 < references ? { $ref: `#/components/responses/r${index + 1}` } : { description: 'ok' },
    ]),
  )
  return JSON.stringify({
    openapi: '3.1.0',
    info: { title: 'Page', version: '1' },
    paths: { '/page': { get: { operationId: 'page', responses: { 200: { $ref: '#/components/responses/r0' } } } } },
    components: { responses },
  })
}
const asked = async (references: number) =>
  await play(flow, {
    sources: '{ name: page, url: page.openapi.yaml }',
    files: { 'page.openapi.yaml': behind(references) },
    settings: 'SERVER_PAGE=https://page.example',
  })

test('references of a description are followed as far as the limit says', async () => {
  const most = FILE_LIMITS.references.value

  expect((await asked(most)).course).toEqual(['one passed', '  a passed'])
  await expect(asked(most + 1)).rejects.toThrow('the reference of the answer "200" cannot be followed')
})
