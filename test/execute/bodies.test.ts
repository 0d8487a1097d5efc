/** Bodies of requests: a payload as JSON, as a form, as a form of parts, and as the text that it is. */
import { expect, test } from 'vitest'
import { play, problemsOf } from '../support/script.ts'

const FORMS = `openapi: 3.1.0
info: { title: Forms, version: 1.0.0 }
paths:
  /form:
    post:
      operationId: form
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema: { $ref: '#/components/schemas/fields' }
            encoding:
              comma: { style: form, explode: false }
              pipe: { style: pipeDelimited }
              deep: { style: deepObject, explode: true }
              reserved: { allowReserved: true }
              json: { contentType: application/json }
              xml: { contentType: application/xml }
      responses: { '204': { description: taken } }
  /parts:
    post:
      operationId: parts
      requestBody:
        content:
          multipart/form-data:
            schema:
              properties:
                photo: { type: string, format: binary }
                scan: { type: array, items: { type: string, contentMediaType: image/tiff } }
            encoding:
              logo: { contentType: 'image/*, image/svg+xml', headers: { X-Rate: { $ref: '#/components/headers/rate' }, Content-Type: {} } }
              deep: { style: deepObject }
              traced: { headers: { X-Trace: { required: true, schema: { type: string } }, X-Any: { schema: { type: string } } } }
      responses: { '204': { description: taken } }
  /any:
    post:
      operationId: any
      requestBody: { content: { 'application/*': {}, text/csv: {} } }
      responses: { '204': { description: taken } }
  /range:
    post:
      operationId: range
      requestBody: { content: { '*/*': {} } }
      responses: { '204': { description: taken } }
components:
  schemas:
    fields: { type: object, properties: { comma: { type: array } } }
  headers:
    rate: { schema: { const: 3 } }
`
const SCRIPT = {
  sources: '{ name: forms, url: forms.openapi.yaml }',
  files: { 'forms.openapi.yaml': FORMS },
  settings: 'SERVER_FORMS=https://forms.example',
}

const flowOf = (operationId: string, requestBody: string) => `
  - workflowId: one
    x-dcr: { effect: register, notice: none }
    inputs: { type: object, properties: { id: { type: string, default: a b }, all: { type: object, default: { a: 1 } } } }
    steps: [{ stepId: a, operationId: $sourceDescriptions.forms.${operationId}, requestBody: ${requestBody} }]`

async function sentBy(operationId: string, requestBody: string) {
  const { requests, workflows } = await play(flowOf(operationId, requestBody), SCRIPT)
  const type = requests[0]?.headers.find(([name]) => name === 'content-type')?.[1]
  return { type, body: requests[0]?.body, error: workflows[0]?.steps[0]?.error }
}

test.each([
  ['{ plain: $inputs.id, list: [1, x&y], object: { a: 1 } }', 'plain=a+b&list=1&list=x%26y&object=%7B%22a%22%3A1%7D'],
  ['{ comma: [1, "a,b"] }', 'comma=1,a%2Cb'],
  ['{ pipe: [1, 2] }', 'pipe=1%7C2'],
  ['{ deep: { a: 1, b: x y } }', 'deep%5Ba%5D=1&deep%5Bb%5D=x%20y'],
  ['{ reserved: "a/b?c é", pipe: [] }', 'reserved=a/b?c%20%C3%A9&pipe='],
  ['{ json: [{ a: 1 }, { a: 2 }] }', 'json=%7B%22a%22%3A1%7D&json=%7B%22a%22%3A2%7D'],
  ["{ xml: '<a>{$inputs.id}</a>' }", 'xml=%3Ca%3Ea+b%3C%2Fa%3E'],
  ['$inputs.all', 'a=1'],
])('OpenAPI § Encoding Object: the fields %s of a form are written as %s', async (payload, expected) => {
  expect(await sentBy('form', `{ payload: ${payload} }`)).toEqual({
    type: 'application/x-www-form-urlencoded',
    body: expected,
    error: undefined,
  })
})

test('OpenAPI § Encoding Object: each member is a part, with the type, headers and file name that the description says', async () => {
  const { type, body } = await sentBy(
    'parts',
    `{ payload: { 'na"me': $inputs.id, list: [1, x], object: { a: 1 }, photo: bytes, scan: [s], logo: <svg/>, deep: { a: 1, b: 2 } } }`,
  )

  expect(type).toBe('multipart/form-data; boundary=part-of-form-1')
  expect(body?.split('\r\n')).toEqual([
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="na%22me"', '', 'a b'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="list"', '', '1'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="list"', '', 'x'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="object"', 'Content-Type: application/json'],
    ...['', '{"a":1}'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="photo"; filename="photo"'],
    ...['Content-Type: application/octet-stream', '', 'bytes'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="scan"; filename="scan"'],
    ...['Content-Type: application/octet-stream', '', 's'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="logo"', 'Content-Type: image/svg+xml', 'X-Rate: 3'],
    ...['', '<svg/>'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="deep[a]"', '', '1'],
    ...['--part-of-form-1', 'Content-Disposition: form-data; name="deep[b]"', '', '2'],
    ...['--part-of-form-1--', ''],
  ])
})

test('a form of parts is read by others as it was meant, also where a part contains what stands between parts', async () => {
  const { type = '', body } = await sentBy('parts', '{ payload: { text: "--part-of-form-1", name: ä, name2: "" } }')

  const form = await new Response(body, { headers: { 'content-type': type } }).formData()
  expect(type).toBe('multipart/form-data; boundary=part-of-form-2')
  expect([...form]).toEqual([
    ['text', '--part-of-form-1'],
    ['name', 'ä'],
    ['name2', ''],
  ])
})

test.each([
  ['application/vnd.example+json', '{ a: [1] }', '{"a":[1]}'],
  ['application/xml', "'<a>{$inputs.id}</a>'", '<a>a b</a>'],
  ['application/xml', '$inputs.id', 'a b'],
  ['text/csv', '"a;b"', 'a;b'],
])('Arazzo 1.1 § Request Body Object payload: as %s the payload %s is %s', async (contentType, payload, expected) => {
  expect(await sentBy('any', `{ contentType: ${contentType}, payload: ${payload} }`)).toEqual({
    type: contentType,
    body: expected,
    error: undefined,
  })
})

test('a form of parts may be one text that says its own boundary', async () => {
  const contentType = 'multipart/form-data; boundary=x'
  const { type, body } = await sentBy('parts', `{ contentType: ${contentType}, payload: "--x\\r\\n…--x--" }`)

  expect([type, body]).toEqual([contentType, '--x\r\n…--x--'])
})

test('Arazzo 1.1 § Request Body Object contentType: without one the first that the operation names is taken, a range names none', async () => {
  expect(await sentBy('any', '{ payload: "a;b" }')).toMatchObject({ type: 'text/csv', body: 'a;b' })
  expect(await problemsOf(flowOf('range', '{ payload: x }'), SCRIPT)).toEqual([
    'FLOW_REFERENCE 5: requestBody of step "a" does not say its contentType',
  ])
  expect(await problemsOf(flowOf('any', '{ contentType: image/png, payload: x }'), SCRIPT)).toEqual([
    'FLOW_REFERENCE 5: operation "any" of step "a" does not take "image/png"',
  ])
})

test.each([
  [
    'any',
    '{ contentType: application/xml, payload: { a: 1 } }',
    'FLOW_UNSUPPORTED 5: the payload of step "a" is no text, and nothing else can be written as "application/xml"',
  ],
  [
    'any',
    '{ contentType: text/csv, payload: a, replacements: [{ target: /a, value: 1 }] }',
    'FLOW_UNSUPPORTED 5: "replacements" of step "a" have no meaning in "text/csv"',
  ],
  ['parts', '{ payload: [a] }', 'FLOW_STRUCTURE 5: the form of step "a" is not an object'],
  [
    'parts',
    '{ payload: "--x--" }',
    'FLOW_STRUCTURE 5: the payload of step "a" is the text of a form whose contentType does not say the boundary',
  ],
  [
    'parts',
    '{ payload: { traced: x } }',
    'FLOW_UNSUPPORTED 5: part "traced" of step "a" needs the header "X-Trace", of which no value is known',
  ],
])('a body that cannot be written is refused before the run: %s %s', async (operationId, body, problem) => {
  expect(await problemsOf(flowOf(operationId, body), SCRIPT)).toEqual([problem])
})

test.each([
  ['any', '{ contentType: application/xml, payload: $inputs.all }', 'an object cannot be written as "application/xml"'],
  ['parts', '{ payload: $inputs.id }', 'a text cannot be written as "multipart/form-data"'],
  [
    'form',
    '{ payload: { context: $inputs.all, selector: "$..a", type: jsonpath } }',
    'a number cannot be written as "application/x-www-form-urlencoded"',
  ],
  ['form', '{ payload: { xml: { a: 1 } } }', 'an object cannot be written as "application/xml"'],
])('a value that cannot be written is no verdict, and nothing is sent: %s %s', async (operationId, body, message) => {
  expect(await sentBy(operationId, body)).toEqual({
    type: undefined,
    body: undefined,
    error: expect.objectContaining({ code: 'VALUE_UNDEFINED', message }),
  })
})

test.each([
  ['form', `{ payload: { "a\\ud800": x } }`, 'the payload'],
  ['form', `{ payload: { comma: ["\\udc00"] } }`, 'the payload'],
  ['any', `{ contentType: text/csv, payload: "a\\ud800b" }`, 'the payload'],
  ['any', `{ contentType: application/json, payload: "\\ud800" }`, 'the payload'],
  ['parts', `{ payload: { traced: "\\ud800" } }`.replace('traced', 'deep'), 'the payload'],
])('half a character is no verdict, and nothing is sent: %s %s', async (operationId, body, where) => {
  const message = `${where} holds half a character`
  expect(await sentBy(operationId, body)).toEqual({
    type: undefined,
    body: undefined,
    error: expect.objectContaining({ code: 'VALUE_UNDEFINED', message }),
  })
})

test('a secret in a part is no more in the record than one in a form', async () => {
  const flow = flowOf('parts', '{ payload: { secret: $inputs.key, more: { secret: $inputs.key } } }').replace(
    'id: { type',
    'key: { type: string, format: password, default: s3cr3t-"value"-of-ours }, id: { type',
  )
  const { workflows, requests } = await play(flow, SCRIPT)

  const recorded = workflows[0]?.steps[0]?.exchanges[0]?.request.body.text ?? ''
  expect(requests[0]?.body).toContain('s3cr3t-"value"-of-ours')
  expect(recorded).toContain('name="secret"')
  expect(recorded).not.toContain('s3cr3t')
})

test('an input with the name of a secret is hidden where the flow does not say that it is one', async () => {
  const flow = flowOf('parts', '{ payload: { other: $inputs.my_api_key } }').replace(
    'id: { type',
    'my_api_key: { type: string, default: Zq7Rt9LmW2pYk4aB }, id: { type',
  )
  const { workflows, requests } = await play(flow, SCRIPT)

  expect(requests[0]?.body).toContain('Zq7Rt9LmW2pYk4aB')
  expect(workflows[0]?.inputs).toContainEqual(expect.objectContaining({ name: 'my_api_key', source: 'default' }))
  expect(JSON.stringify(workflows)).not.toContain('Zq7Rt9LmW2pYk4aB')
})
