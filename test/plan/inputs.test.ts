/** The inputs of a workflow as JSON Schema 2020-12: what a reference in them means, and what is refused. */
import { expect, test } from 'vitest'
import { play, problemsOf } from '../support/script.ts'

const flowOf = (inputs: string) => `
  - workflowId: one
    x-dcr: { effect: read }
    inputs: ${inputs}
    steps: [{ stepId: a, operationId: readClient, parameters: [{ name: client_id, in: path, value: $inputs.id }] }]`
const MORE = `components:
  inputs:
    short: { $anchor: brief, type: string, maxLength: 3, default: abc, $defs: { a/b: { type: string, default: slash } } }
    list: { type: array, items: { $anchor: number, type: integer } }`

test.each([
  ['{ id: { $ref: "#brief" } }', 'abc'],
  ['{ id: { $ref: "#/components/inputs/short" } }', 'abc'],
  ['{ id: { $ref: "#/components/inputs/short/$defs/a~1b" } }', 'slash'],
  ['{ id: { $ref: "#/components/inputs/short/$defs/a%7E1b" } }', 'slash'],
  ['{ id: { $ref: "https://flows.example/own.yaml#brief" } }', 'abc'],
  ['{ id: { $ref: "https://flows.example/own.yaml#/components/inputs/short" } }', 'abc'],
])('Arazzo 1.1 § Resolving URI Fragments: the input of %s has the default %s', async (properties, id) => {
  const { sent } = await play(flowOf(`{ type: object, properties: ${properties} }`), {
    head: '$self: https://flows.example/own.yaml',
    more: MORE,
  })

  expect(sent).toEqual([`GET /clients/${id}`])
})

test.each([
  ['#/workflows/0/inputs/$defs/name', '$defs: { name: { type: string, maxLength: 3 } }'],
  ['#name', '$defs: { any: { $anchor: name, type: string, maxLength: 3 } }'],
])('Arazzo 1.1 § Resolving URI Fragments: %s leads into the $defs of the inputs', async (reference, definitions) => {
  const flow = flowOf(`{ ${definitions}, type: object, properties: { id: { $ref: '${reference}' } } }`)

  expect((await play(flow, { inputs: { id: 'abc' } })).sent).toEqual(['GET /clients/abc'])
  await expect(play(flow, { inputs: { id: 'abcd' } })).rejects.toMatchObject({
    problems: [{ code: 'INPUT_INVALID', message: 'input "id" from --input does not fit its schema' }],
  })
})

test('Arazzo 1.1 § Resolving URI Fragments: a schema of two inputs may have an anchor, and be checked in both', async () => {
  const flow = flowOf(
    "{ type: object, properties: { id: { $ref: '#brief' }, two: { type: array, items: { anyOf: [{ $ref: '#number' }, { $ref: '#number' }] } } } }",
  )

  await expect(play(flow, { more: MORE, inputs: { id: 'abcd', two: '["x"]' } })).rejects.toMatchObject({
    problems: [
      { message: 'input "id" from --input does not fit its schema' },
      { message: '"/0" of input "two" from --input does not fit its schema' },
    ],
  })
})

test.each([
  ['$ref: "#none"', 'FLOW_REFERENCE 5: reference "#none" of input "id" leads nowhere'],
  ['$ref: "#/$defs/a"', 'FLOW_REFERENCE 5: reference "#/$defs/a" of input "id" leads nowhere'],
  [
    '$ref: "#/components/inputs/shrt"',
    'FLOW_REFERENCE 5: reference "#/components/inputs/shrt" of input "id" leads nowhere',
  ],
  ['$ref: "other.yaml#/a"', 'FLOW_UNSUPPORTED 5: reference "other.yaml#/a" of input "id" leads out of the document'],
  ['$id: "https://x.example"', 'FLOW_UNSUPPORTED 5: "$id" in the schema of input "id" is not supported'],
  ['$dynamicRef: "#a"', 'FLOW_UNSUPPORTED 5: "$dynamicRef" in the schema of input "id" is not supported'],
  ['items: { $dynamicAnchor: a }', 'FLOW_UNSUPPORTED 5: "$dynamicAnchor" in the schema of input "id" is not supported'],
])('a schema of an input with { %s } is refused at its place', async (schema, problem) => {
  const flow = flowOf(`\n      { type: object, properties: { id: { ${schema} } } }`)

  expect(await problemsOf(flow, { more: MORE })).toEqual([problem])
})

test.for([
  [
    'required: true',
    '"required" in the schema of input "id" has the wrong form',
    'write required: [id] beside "properties"',
  ],
  [
    'required: false',
    '"required" in the schema of input "id" has the wrong form',
    'what no list names is not required: leave it out',
  ],
  ['required: id', '"required" in the schema of input "id" has the wrong form', undefined],
  ['enum: abc', '"enum" in the schema of input "id" has the wrong form', undefined],
  ['minLength: "3"', '"minLength" in the schema of input "id" has the wrong form', undefined],
  [
    'exclusiveMinimum: true',
    '"exclusiveMinimum" in the schema of input "id" has the wrong form',
    'write the bound itself: exclusiveMinimum: 0',
  ],
  ['anyOf: []', '"anyOf" in the schema of input "id" has the wrong form', undefined],
  [
    'properties: { deep: { required: true } }',
    '"required" in the schema of input "id" has the wrong form',
    'write required: [deep] beside "properties"',
  ],
] as const)('JSON Schema Validation 2020-12 §6: %s is refused at its place', async ([keyword, message, hint]) => {
  const refused = play(flowOf(`{ type: object, properties: { id: { ${keyword} } } }`))

  await expect(refused).rejects.toMatchObject({
    problems: [{ code: 'FLOW_STRUCTURE', message, hint, at: { line: 8 } }],
  })
})

test('JSON Schema 2020-12 §10.3.2.1: names of properties are no keywords', async () => {
  const names =
    '{ required: true, enum: { type: string }, minLength: false, constructor: true, pattern: { type: string } }'

  expect(
    await problemsOf(flowOf(`{ type: object, properties: { id: { type: object, properties: ${names} } } }`)),
  ).toEqual([])
})
