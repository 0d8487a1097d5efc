import { expect, test } from 'vitest'
import {
  type Context,
  ExpressionError,
  evaluate,
  type MessageParts,
  parseExpression,
  parsePointer,
  parseTemplate,
  render,
} from '../../src/flow/expression/expression.ts'

const request: MessageParts = {
  headers: [['Accept', 'application/json']],
  query: { page: 2, 'a b': 'spaced', constructor: 'own' },
  path: { id: 'client-1' },
  body: { user: { uuid: 'u-1' } },
}

const response: MessageParts = {
  headers: [
    ['Content-Type', 'application/json'],
    ['X-Hint', 'one'],
    ['x-hint', 'two'],
  ],
  body: {
    status: 'ok',
    empty: '',
    none: null,
    no: false,
    zero: 0,
    items: [{ id: 'first' }, { id: 'second' }],
    'a/b': 'slash',
    'm~n': 'tilde',
    '~1': 'tilde and one',
    '': 'nameless',
    ' ': 'blank',
    '01': 'leading zero',
  },
}

const context: Context = {
  url: 'https://auth.example.com/register',
  method: 'POST',
  statusCode: 201,
  self: 'https://example.com/flow.arazzo.yaml',
  request,
  response,
  inputs: (name) =>
    new Map<string, unknown>([
      ['client_id', 'abc'],
      ['n', 3],
      ['deep', { a: [true] }],
      ['a.b', 'dotted'],
    ]).get(name),
  outputs: { token: 'out' },
  steps: new Map([['get-token', { outputs: { access_token: 'at', 'set.of': [1, 2] } }]]),
  workflows: new Map([['register', { inputs: { id: 7 }, outputs: { uri: 'https://x', nested: { name: 'n' } } }]]),
  sourceDescriptions: new Map([['directory', { url: 'directory.openapi.yaml', type: 'openapi' }]]),
}

const read = (text: string) => evaluate(parseExpression(text), context)

function mistakeOf(parse: () => unknown): ExpressionError {
  try {
    parse()
  } catch (error) {
    if (error instanceof ExpressionError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test.each<[string, unknown]>([
  ['$url', 'https://auth.example.com/register'],
  ['$method', 'POST'],
  ['$statusCode', 201],
  ['$self', 'https://example.com/flow.arazzo.yaml'],
  ['$request.header.accept', 'application/json'],
  ['$request.query.page', 2],
  ['$request.query.a b', 'spaced'],
  ['$request.query.\\u0070age', 2],
  ['$request.path.id', 'client-1'],
  ['$request.body', request.body],
  ['$request.body#/user/uuid', 'u-1'],
  ['$response.header.content-type', 'application/json'],
  ['$response.header.CONTENT-TYPE', 'application/json'],
  ['$response.header.X-Hint', 'one, two'],
  ['$response.body', response.body],
  ['$response.body#', response.body],
  ['$response.body#/status', 'ok'],
  ['$response.body#/items/1/id', 'second'],
  ['$response.body#/none', null],
  ['$response.body#/no', false],
  ['$response.body#/zero', 0],
  ['$response.body#/empty', ''],
  ['$inputs.client_id', 'abc'],
  ['$inputs.a.b', 'dotted'],
  ['$inputs.deep#/a/0', true],
  ['$outputs.token', 'out'],
  ['$steps.get-token.outputs.access_token', 'at'],
  ['$steps.get-token.outputs.set.of#/1', 2],
  ['$workflows.register.inputs.id', 7],
  ['$workflows.register.outputs.nested#/name', 'n'],
  ['$sourceDescriptions.directory.url', 'directory.openapi.yaml'],
])('Arazzo 1.1 § Runtime Expressions: %s has the value %j, with its type', (text, value) => {
  expect(read(text)).toStrictEqual(value)
})

test.each<[string, unknown]>([
  ['/a~1b', 'slash'],
  ['/m~0n', 'tilde'],
  ['/~01', 'tilde and one'],
  ['/', 'nameless'],
  ['/ ', 'blank'],
  ['/01', 'leading zero'],
  ['/items/00/id', undefined],
  ['/items/-', undefined],
  ['/items/2', undefined],
  ['/items/length', undefined],
  ['/status/0', undefined],
  ['/status/length', undefined],
  ['/none/x', undefined],
])('RFC 6901 §4: the pointer "%s" leads to %j', (pointer, value) => {
  expect(read(`$response.body#${pointer}`)).toBe(value)
})

test.each([
  '$response.header.location',
  '$response.query.page',
  '$response.body#/absent',
  '$request.query.absent',
  '$inputs.absent',
  '$outputs.absent',
  '$steps.get-token.outputs.absent',
  '$steps.other.outputs.access_token',
  '$workflows.other.outputs.uri',
  '$sourceDescriptions.directory.registerClient',
  '$components.parameters.page',
])('what an exchange does not have has no value: %s', (text) => {
  expect(read(text)).toBeUndefined()
})

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
  'the prototype name "%s" has no value unless it was sent',
  (name) => {
    expect(read(`$response.body#/${name}`)).toBeUndefined()
    expect(read(`$response.body#/items/${name}`)).toBeUndefined()
    expect(read(`$outputs.${name}`)).toBeUndefined()
    expect(read(`$steps.get-token.outputs.${name}`)).toBeUndefined()
    expect(read(`$steps.${name}.outputs.x`)).toBeUndefined()
    const sent = JSON.parse(`{"${name}":"sent"}`) as unknown
    expect(
      evaluate(parseExpression(`$response.body#/${name}`), { ...context, response: { headers: [], body: sent } }),
    ).toBe('sent')
  },
)

const SOURCES =
  'one of "url", "method", "statusCode", "self", "request", "response", "inputs", "outputs", "steps", "workflows", "sourceDescriptions", "components"'
const PARTS = 'one of "header", "query", "path", "body"'

test.each<[string, number, string, string, string | undefined]>([
  ['', 0, '"$"', 'the end', undefined],
  ['statusCode', 0, '"$"', '"s"', undefined],
  ['$', 1, SOURCES, 'the end', undefined],
  ['$statuscode', 1, SOURCES, '"statuscode"', 'did you mean "$statusCode"?'],
  ['$respnse.body', 1, SOURCES, '"respnse"', 'did you mean "$response"?'],
  ['$statusCode ', 11, 'the end', '" "', undefined],
  ['$url#/a', 4, 'the end', '"#"', undefined],
  ['$response', 9, '"."', 'the end', undefined],
  ['$response.bdoy', 10, PARTS, '"bdoy"', 'did you mean "$response.body"?'],
  ['$response.headers.Location', 10, PARTS, '"headers"', 'did you mean "$response.header"?'],
  ['$response.header.', 17, 'a header name', 'the end', undefined],
  ['$response.header.a b', 18, 'the end', '" "', undefined],
  ['$response.body.count', 14, 'the end or "#" with a JSON Pointer', '"."', 'did you mean "$response.body#/count"?'],
  [
    '$response.body.items[0].id',
    14,
    'the end or "#" with a JSON Pointer',
    '"."',
    'did you mean "$response.body#/items/0/id"?',
  ],
  ['$response.body#status', 15, '"/" at its start', '"s"', 'did you mean "/status"?'],
  ['$response.body#/a~2', 17, '"~0" for a tilde or "~1" for a slash', '"~2"', undefined],
  ['$response.body#/a{b', 17, 'a JSON Pointer without braces', '"{"', undefined],
  ['$request.query.', 15, 'a parameter name', 'the end', undefined],
  ['$request.query.a"b', 16, 'an escape as in JSON strings', '"""', undefined],
  ['$request.query.a\\x', 16, 'an escape as in JSON strings', '"\\"', undefined],
  ['$request.path.{id}', 14, 'a character of a name', '"{"', undefined],
  ['$inputs.', 8, 'the name of an input', 'the end', undefined],
  ['$inputs.a b', 9, 'the end', '" "', undefined],
  ['$steps.a b.outputs.c', 8, '"."', '" "', undefined],
  ['$steps.a.output.b', 9, '"outputs"', '"output"', 'did you mean "$steps.a.outputs"?'],
  ['$steps.a.outputs', 16, '"."', 'the end', undefined],
  ['$workflows.a.steps.b', 13, 'one of "inputs", "outputs"', '"steps"', undefined],
  ['$sourceDescriptions.a', 21, '"."', 'the end', undefined],
  [
    '$components.parameter.x',
    12,
    'one of "parameters", "successActions", "failureActions"',
    '"parameter"',
    'did you mean "$components.parameters"?',
  ],
  ['$components.parameters.x#/value', 24, 'the end', '"#"', undefined],
])('Arazzo 1.1 § Runtime Expressions: "%s" is refused at offset %i', (text, offset, expected, found, hint) => {
  const mistake = mistakeOf(() => parseExpression(text))

  expect({ ...mistake }).toMatchObject({ offset, expected, found, hint, unsupported: false })
  expect(mistake.message).toMatch(/^".*" is not a (runtime expression|JSON Pointer)$/)
})

test.each([
  ['$message.payload#/id', '"$message" is not supported'],
  ['$message.header.Server', '"$message" is not supported'],
  ['$request.payload', '"$request.payload" is not supported'],
  ['$response.payload#/a', '"$response.payload" is not supported'],
])('Arazzo 1.1 § Runtime Expressions: %s belongs to AsyncAPI and is unsupported, not wrong', (text, message) => {
  const mistake = mistakeOf(() => parseExpression(text))

  expect(mistake).toMatchObject({ message, offset: 0, unsupported: true })
  expect(mistake.hint).toBe('it reads AsyncAPI messages; for HTTP write "$request.body" or "$response.body"')
})

test.each([
  '$5.00',
  '$',
  '$$',
  '$.data',
  '$USD',
  '$ref',
  '$url is the address',
  '$inputs are read',
  'costs $inputs.client_id',
  '{"a": {"b": 1}}',
  '{}',
  '{$5}',
  '{ $inputs.n }',
  '\\d{3}',
  '',
])('a string value that has not the form of an expression stays a literal: "%s"', (text) => {
  const template = parseTemplate(text)

  expect(template).toStrictEqual({ kind: 'literal', text, references: [] })
  expect(render(template, context)).toStrictEqual({ ok: true, value: text })
})

test.each([
  ['$response.bdoy', 10],
  ['$inputs', 7],
  ['$metod', 1],
  ['$env.CLIENT_ID', 1],
  ['a {$foo} b', 4],
  ['a {$response.bdoy} b', 13],
  ['{$inputs.client_id', 18],
  ['{$inputs.{$inputs.n}}', 9],
  ['{$response.body.a}', 15],
])('a string value that is surely meant as an expression is refused: "%s" at offset %i', (text, offset) => {
  expect(mistakeOf(() => parseTemplate(text)).offset).toBe(offset)
})

test.each<[string, unknown]>([
  ['$inputs.n', 3],
  ['$response.body#/none', null],
  ['$inputs.deep', { a: [true] }],
  ['{$inputs.n}', '3'],
  ['Bearer {$steps.get-token.outputs.access_token}', 'Bearer at'],
  ['{$inputs.client_id}-{$inputs.n}', 'abc-3'],
  ['{$response.body#/none}/{$response.body#/no}', 'null/false'],
  ['v={$inputs.deep}', 'v={"a":[true]}'],
  ['{$response.body#/items}', '[{"id":"first"},{"id":"second"}]'],
  ['{"id": "{$inputs.client_id}", "of": {"n": {$inputs.n}}}', '{"id": "abc", "of": {"n": 3}}'],
  ['filter={$request.query.a b}&x', 'filter=spaced&x'],
])('Arazzo 1.1 § Runtime Expressions: "%s" becomes %j; a lone expression keeps its type', (text, value) => {
  expect(render(parseTemplate(text), context)).toStrictEqual({ ok: true, value })
})

test.each([
  ['$inputs.absent', '$inputs.absent', 0],
  ['id {$inputs.n} {$response.body#/absent}', '$response.body#/absent', 16],
])(
  'an expression without value is reported with its place, never replaced by an empty string: "%s"',
  (text, missing, offset) => {
    expect(render(parseTemplate(text), context)).toMatchObject({ ok: false, missing: { text: missing, offset } })
  },
)

test('a template names every expression it reads, in order', () => {
  const template = parseTemplate('{$inputs.a}/{$steps.s.outputs.o#/x}/{$inputs.a}')

  expect(template.references.map(({ kind, text, offset }) => [kind, text, offset])).toStrictEqual([
    ['inputs', '$inputs.a', 1],
    ['steps', '$steps.s.outputs.o#/x', 13],
    ['inputs', '$inputs.a', 37],
  ])
})

test('an expression that is too long is refused by its length', () => {
  const mistake = mistakeOf(() => parseExpression(`$response.body#/${'a'.repeat(10_000)}`))

  expect(mistake).toMatchObject({
    message: 'the runtime expression is too long',
    expected: 'at most 8192 characters',
    found: '10016',
  })
})

test('a string value of megabytes is refused, one below the limit is read', () => {
  expect(mistakeOf(() => parseTemplate('x'.repeat(2_000_000))).message).toBe('the string value is too long')

  const many = '{$inputs.n} '.repeat(50_000)
  expect(render(parseTemplate(many), context)).toStrictEqual({ ok: true, value: '3 '.repeat(50_000) })
})

test('a value nested without end is an error with a reason, not a stack overflow', () => {
  const body = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`) as unknown
  const deep = { ...context, response: { headers: [], body } }

  expect(mistakeOf(() => render(parseTemplate('x {$response.body}'), deep)).message).toBe(
    'a value is nested too deep to be written as JSON',
  )
  expect(evaluate(parseExpression(`$response.body#${'/0'.repeat(3_000)}`), deep)).toBeDefined()
})

test('a mistake in a pointer on its own is counted from the given offset', () => {
  expect(mistakeOf(() => parsePointer('/a~', 10))).toMatchObject({ offset: 12, found: '"~"' })
})
