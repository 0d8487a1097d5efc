/** Schemas of API descriptions: what cannot be read is refused before anything is sent, and judging never throws. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { faultsWithin, type Schema, schemasOf } from '../../src/flow/openapi/schema.ts'
import { judgeValue } from '../../src/flow/openapi/validator.ts'
import { ToolError } from '../../src/record/errors.ts'
import { play } from '../support/script.ts'

/** The schema stands on line 10 from column 89, or on line 4 as the component X. */
const description = (schema: string, { version = '3.1.0', x = 'true' } = {}) => `openapi: ${version}
info: { title: Odd, version: 1.0.0 }
components:
  schemas: { Y: true, X: ${x} }
paths:
  /odd:
    get:
      operationId: odd
      responses:
        '200': { description: ok, content: { text/json: {}, application/json: { schema: ${schema} } } }
  /other:
    get: { operationId: other, responses: { '200': { description: ok } } }
`
const FLOW = `
  - workflowId: one
    x-dcr: { effect: read }
    steps: [{ stepId: a, operationId: $sourceDescriptions.odd.odd }]`

async function outcome(text: string, body: unknown = {}): Promise<readonly string[]> {
  const script = {
    sources: '{ name: odd, url: odd.openapi.yaml }',
    files: { 'odd.openapi.yaml': text },
    settings: 'SERVER_ODD=https://odd.example',
    replies: { 'GET /odd': [{ body }] },
  }
  try {
    const { workflows, sent } = await play(FLOW, script)
    expect(sent).toEqual(['GET /odd'])
    const checks = workflows[0]?.steps[0]?.checks ?? []
    return checks
      .filter(({ id }) => id.startsWith('schema'))
      .map(({ id, status, actual }) => `${id} ${status}: ${actual}`)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return error.problems.map(({ code, at }) => `${code} ${at?.line}:${at?.column}`)
  }
}

const FITS = ['schema pass: fits']

const REFUSED: readonly (readonly [schema: string, ...places: string[]])[] = [
  ['{ required: true }', 'FLOW_STRUCTURE 10:101'],
  ['{ properties: { a: { required: true, type: string } } }', 'FLOW_STRUCTURE 10:120'],
  ['{ required: }', 'FLOW_STRUCTURE 10:101'],
  ['{ enum: [] }', 'FLOW_STRUCTURE 10:97'],
  ['{ enum: }', 'FLOW_STRUCTURE 10:97'],
  ['{ enum: active }', 'FLOW_STRUCTURE 10:97'],
  ['{ items: }', 'FLOW_STRUCTURE 10:98'],
  ['{ items: [{ type: string }] }', 'FLOW_STRUCTURE 10:98'],
  ['{ anyOf: }', 'FLOW_STRUCTURE 10:98'],
  ['{ oneOf: [] }', 'FLOW_STRUCTURE 10:98'],
  ['{ allOf: [{ type: object }, null] }', 'FLOW_STRUCTURE 10:98'],
  ['{ not: }', 'FLOW_STRUCTURE 10:96'],
  ['{ not: yes }', 'FLOW_STRUCTURE 10:96'],
  ['{ $ref: }', 'FLOW_STRUCTURE 10:97'],
  ['{ $ref: 7 }', 'FLOW_STRUCTURE 10:97'],
  ["{ $ref: '#/components/schemas/Z' }", 'FLOW_REFERENCE 10:97'],
  ["{ $ref: '#/info/title' }", 'FLOW_STRUCTURE 10:97'],
  ['{ $ref: other.yaml }', 'FLOW_UNSUPPORTED 10:97'],
  ['{ type: text }', 'FLOW_STRUCTURE 10:97'],
  ['{ type: null }', 'FLOW_STRUCTURE 10:97'],
  ['{ type: [] }', 'FLOW_STRUCTURE 10:97'],
  ['{ type: [string, null] }', 'FLOW_STRUCTURE 10:97'],
  ['{ exclusiveMinimum: true, minimum: 0 }', 'FLOW_STRUCTURE 10:109'],
  ['{ minLength: .inf }', 'FLOW_STRUCTURE 10:102'],
  ['{ maxLength: -1 }', 'FLOW_STRUCTURE 10:102'],
  ['{ minItems: 1.5 }', 'FLOW_STRUCTURE 10:101'],
  ['{ multipleOf: 0 }', 'FLOW_STRUCTURE 10:103'],
  ['{ uniqueItems: "true" }', 'FLOW_STRUCTURE 10:104'],
  ['{ pattern: "[" }', 'FLOW_STRUCTURE 10:100'],
  ['{ pattern: [a] }', 'FLOW_STRUCTURE 10:100'],
  ['{ patternProperties: { "(": true } }', 'FLOW_STRUCTURE 10:112'],
  ['{ propertyNames: { pattern: "a**" } }', 'FLOW_STRUCTURE 10:119'],
  ['{ dependentRequired: { a: b } }', 'FLOW_STRUCTURE 10:110'],
  ['{ dependentSchemas: [a] }', 'FLOW_STRUCTURE 10:109'],
  ['{ properties: [name] }', 'FLOW_STRUCTURE 10:103'],
  ['{ additionalProperties: no }', 'FLOW_STRUCTURE 10:113'],
  ["{ $dynamicRef: '#node' }", 'FLOW_UNSUPPORTED 10:104'],
  ["{ $id: 'https://example.com/a', properties: { a: { $ref: '#/components/schemas/Y' } } }", 'FLOW_STRUCTURE 10:146'],
  ['a text', 'FLOW_STRUCTURE 10:89'],
]

test.for(REFUSED)(
  'a documented answer with the schema %s is refused at its place, and nothing is sent',
  async ([schema, ...places]) => {
    expect(await outcome(description(schema))).toEqual(places)
  },
)

const X = "{ $ref: '#/components/schemas/X' }"
const NULLABLE = '{ items: { type: string, nullable: true } }'
const READ: readonly (readonly [what: string, text: string, body: unknown, checks: readonly string[]])[] = [
  ['true', description('true'), 7, FITS],
  ['false', description('false'), 7, ['schema fail: 7']],
  ['nothing in it', description('{}'), [null], FITS],
  ['an $id without references', description("{ $id: 'https://example.com/a', type: object }"), {}, FITS],
  [
    'a reference inside a schema with an $id',
    description("{ $id: a, $defs: { n: { type: number } }, properties: { a: { $ref: '#/$defs/n' } } }"),
    { a: 'x' },
    ['schema /a fail: string "x"'],
  ],
  [
    'a recursive one',
    description(X, { x: `{ properties: { a: ${X}, n: { type: number } } }` }),
    { a: { a: { n: 'x' } } },
    ['schema /a/a/n fail: string "x"'],
  ],
  ['an unknown format', description('{ format: colour }'), 'blue', FITS],
  ['contentEncoding', description('{ type: string, contentEncoding: base64 }'), '!', FITS],
  ['nullable of 3.0 in 3.1', description(NULLABLE), [null], ['schema /0 fail: null']],
  ['nullable of 3.0', description(NULLABLE, { version: '3.0.3' }), [null], FITS],
  [
    'exclusiveMinimum of 3.0',
    description('{ minimum: 0, exclusiveMinimum: true }', { version: '3.0.3' }),
    0,
    ['schema fail: 0'],
  ],
  [
    'a property of 3.0 with the name of data',
    description('{ properties: { default: { type: string, nullable: true } } }', { version: '3.0.3' }),
    { default: null },
    FITS,
  ],
  ['a list of types', description('{ items: { type: [string, "null"] } }'), [null], FITS],
  [
    'unevaluatedProperties',
    description('{ allOf: [{ properties: { a: true } }], unevaluatedProperties: false }'),
    { a: 1, b: 2 },
    ['schema /b fail: 2'],
  ],
  [
    'dependentSchemas',
    description('{ dependentSchemas: { a: { required: [b] } } }'),
    { a: 1 },
    ['schema /b fail: absent'],
  ],
  ['a huge minLength', description('{ minLength: 1e30 }'), 'x', ['schema fail: "x"']],
  [
    'two examples with one id',
    description("{ type: object, examples: [{ $id: 'https://a.example/' }, { $id: 'https://a.example/' }] }"),
    {},
    FITS,
  ],
  ['an example that is no URL', description("{ type: object, example: { id: 'http://[' } }"), {}, FITS],
  ['a reference in an example', description('{ type: object, default: { $ref: nowhere } }'), {}, FITS],
  ['a reference in a const', description('{ const: { $ref: 7, type: 8 } }'), { $ref: 7, type: 8 }, FITS],
  ['an unknown keyword', description('{ x-rules: { required: true, $id: 7 }, rules: { enum: [] } }'), {}, FITS],
  ['a pattern without the u flag', description("{ pattern: '^\\d{2}\\-\\d{2}$' }"), '01-02', FITS],
  ['a class with a hyphen', description("{ pattern: '^[\\w-. ]+$' }"), 'a-b', FITS],
  [
    'a pattern that backtracks',
    description("{ pattern: '^(a+)+$' }"),
    `${'a'.repeat(5_000)}!`,
    ['schema fail: a string of 5001 characters'],
  ],
  ['white space of ECMA-262', description("{ pattern: '^\\s[^\\s]$' }"), '\u00a0x', FITS],
  [
    'the name of a member called __proto__',
    description('{ required: [__proto__] }'),
    {},
    ['schema /__proto__ fail: absent'],
  ],
  [
    'a fault in an operation that no flow calls',
    description('true').replace(
      "'200': { description: ok } } }",
      "'200': { description: ok, content: { application/json: { schema: { enum: } } } } } }",
    ),
    1,
    FITS,
  ],
]

test.for(READ)('a documented answer with %s is judged', async ([, text, body, checks]) => {
  expect(await outcome(text, body)).toEqual(checks)
})

test.for([
  ['a lookaround', "'^(?!a).*$'"],
  ['a backreference', "'(a)\\1'"],
  ['a repetition beyond 1000', "'^.{1,2048}$'"],
])('a pattern with %s is not judged, which is no pass', async ([, pattern]) => {
  const [check, ...others] = await outcome(description(`{ type: string, pattern: ${pattern} }`), 'b')

  expect(check).toMatch(/^schema warn: not judged: the pattern /)
  expect(others).toEqual([])
  // Not needed for a verdict: another alternative holds, the value is no text, or another keyword refuses it.
  expect(await outcome(description(`{ anyOf: [{ pattern: ${pattern} }, { minLength: 1 }] }`), 'b')).toEqual(FITS)
  expect(await outcome(description(`{ pattern: ${pattern} }`), 7)).toEqual(FITS)
  expect(await outcome(description(`{ pattern: ${pattern}, maxLength: 0 }`), 'b')).toEqual(['schema fail: "b"'])
  // Needed: what is not known is not known by its contrary either.
  expect((await outcome(description(`{ not: { pattern: ${pattern} } }`), 'b'))[0]).toMatch(/^schema warn: not judged/)
})

test.for([
  ['itself', X],
  ['itself in a list', `{ allOf: [{ anyOf: [${X}] }] }`],
  ['itself by its contrary', `{ not: ${X} }`],
])('a schema that leads back to %s without a step into the value is refused', async ([, x]) => {
  expect(await outcome(description(X, { x }))).toEqual([expect.stringMatching(/^FLOW_STRUCTURE 4:/)])
})

test('an answer of any size is judged with work that grows with it, and lists the first violations', () => {
  const schema: Schema = { uniqueItems: true, items: { type: 'string' } }
  const many = Array.from({ length: 100_000 }, (_, index) => index)

  expect(judgeValue(schema, many.map(String), schema)).toEqual({ violations: [], beyond: 0, unjudged: [] })
  const { violations, beyond } = judgeValue(schema, many, schema)
  expect([violations.length, beyond]).toEqual([50, 99_950])
})

test('work without end is given up, and is no verdict', () => {
  const twice = (to: string) => ({ anyOf: [{ $ref: `#/$defs/${to}` }, { $ref: `#/$defs/${to}` }] })
  const $defs: Record<string, Schema> = { s60: { type: 'number' } }
  for (let index = 0; index < 60; index += 1) $defs[`s${index}`] = twice(`s${index + 1}`)
  const root = { $defs, ...twice('s0') }
  const deep = { $defs: { a: { items: { $ref: '#/$defs/a' } } }, $ref: '#/$defs/a' }
  let nested: unknown = []
  for (let depth = 0; depth < 5_000; depth += 1) nested = [nested]

  expect(judgeValue(root, 'x', root).unjudged).toEqual(['its schema takes too much work on this value'])
  expect(judgeValue(deep, nested, deep).unjudged).toEqual(['the value and its schema are nested too deep'])
})

interface Suite {
  readonly files: Readonly<
    Record<
      string,
      readonly {
        readonly description: string
        readonly schema: Schema
        readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[]
      }[]
    >
  >
}
const SUITE = JSON.parse(
  readFileSync(new URL('../golden/flow/json-schema-2020-12.json', import.meta.url), 'utf8'),
) as Suite

/** What keeps a schema from being read: an empty enum, a URI in references, a long name of a property in a pattern. */
const NOT_READ = /"\$(?:id|dynamicRef)":|"\$ref":"http|"enum":\[\]|\\\\p\{\w{3,}/

test.for(Object.keys(SUITE.files))('the JSON Schema Test Suite: %s', (file) => {
  const different: string[] = []
  for (const { description: group, schema, tests } of SUITE.files[file] ?? []) {
    if (faultsWithin([schemasOf(schema).read(schema, [])]).length > 0) {
      if (!NOT_READ.test(JSON.stringify(schema))) different.push(`${group}: not read`)
      continue
    }
    for (const { description: name, data, valid } of tests) {
      const { violations, unjudged } = judgeValue(schema, data, schema)
      if (violations.length > 0 === valid || unjudged.length > 0) different.push(`${group}: ${name}`)
    }
  }
  expect(different).toEqual([])
})
