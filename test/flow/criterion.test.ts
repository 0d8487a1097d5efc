import { expect, test } from 'vitest'
import { type Condition, exactCondition, judge, parseCondition } from '../../src/flow/expression/criterion.ts'
import { type Context, ExpressionError } from '../../src/flow/expression/expression.ts'
import { parseSelector, select } from '../../src/flow/expression/selector.ts'

const inputs: Readonly<Record<string, unknown>> = {
  threshold: 5,
  statusPattern: '4\\d\\d',
  unbalanced: '(top-secret-value',
  server_directory: 'https://Directory.example.com',
  hostile: "' || 1 == 1 || $.x == '",
  quotes: `it's "q" \\ and
a line`,
  member: 'issuer',
  list: ['a', 'b'],
}

const context: Context = {
  url: 'https://auth.example.com/register',
  method: 'POST',
  statusCode: 400,
  inputs: (name) => inputs[name],
  steps: new Map([['a', { outputs: { b: 'x', 'b.c': 'dotted' } }]]),
  response: {
    headers: [['X-Count', '12']],
    body: {
      error: 'Invalid_Request',
      issuer: 'https://Directory.example.com',
      quoted: inputs.quotes,
      count: 7,
      text: '7',
      yes: true,
      nothing: null,
      items: [{ id: 'first' }],
      'a.b': 1,
    },
  },
}

function mistakeOf(parse: () => unknown): ExpressionError {
  try {
    parse()
  } catch (error) {
    if (error instanceof ExpressionError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const simple = (condition: string) => judge(parseCondition({ condition }), context)
const onBody = (type: string, condition: string) =>
  judge(parseCondition({ type, condition, context: '$response.body' }), context)

test.each([
  ['$statusCode == 400', true],
  ['$statusCode == 200', false],
  ['$statusCode != 200', true],
  ['$statusCode != 400', false],
  ['$statusCode < 401', true],
  ['$statusCode < 400', false],
  ['$statusCode <= 400', true],
  ['$statusCode <= 399', false],
  ['$statusCode > 399.5', true],
  ['$statusCode > 4e2', false],
  ['$statusCode >= 400', true],
  ['$statusCode >= 401', false],
  ['$statusCode > -1', true],
  ['!($statusCode == 200)', true],
  ['!!true', true],
  ['!$response.body.yes', false],
  ['true && true', true],
  ['true && false', false],
  ['false || true', true],
  ['false || false', false],
  ['$response.body.count > $inputs.threshold', true],
  ['$response.body#/count>$inputs.threshold', true],
  ["$response.body.items[0].id == 'first'", true],
  ["$response.body#/items[0].id == 'first'", true],
  ["$response.body#/items/0/id=='first'", true],
  ['$response.body#/a.b == 1', true],
  ["$steps.a.outputs.b.c == 'dotted'", true],
  ['  $statusCode\n==\t400  ', true],
])('Arazzo 1.1 § Operators: %j is %s', (condition, pass) => {
  expect(simple(condition)).toMatchObject({ pass })
  expect(simple(condition).error).toBeUndefined()
})

test.each([
  ['false && false || true', true],
  ['true || false && false', true],
  ['(true || false) && false', false],
  ['!false && false', false],
  ['!(false && false)', true],
  ['1 < 2 == true', true],
  ['true == 1 < 2', true],
  ['1 == 1 && 2 == 2 || false', true],
  ['((($statusCode == 400)))', true],
  ['true && true && false', false],
  ['false || false || true', true],
])(
  'Arazzo 1.1 § Operators: "!" binds before comparison, comparison before "&&", "&&" before "||": %s is %s',
  (condition, pass) => {
    expect(simple(condition).pass).toBe(pass)
  },
)

test.each([
  ["$response.body.error == 'invalid_request'", true],
  ["$response.body.error != 'INVALID_REQUEST'", false],
  ["'a' < 'B'", true],
  ["'B' > 'a'", true],
  ["'it''s' == 'IT''S'", true],
  ["'' == ''", true],
  ["$method == 'post'", true],
])('Arazzo 1.1 § Operators: strings are compared without case: %s is %s', (condition, pass) => {
  expect(simple(condition).pass).toBe(pass)
})

test.each([
  ['$response.header.x-count == 12', true],
  ['$response.header.x-count > 7', true],
  ["$response.body.text < '12'", true],
  ["$response.body.text == '7.0'", false],
  ["$response.body.count == '7.0'", true],
  ["$response.body.count == 'seven'", false],
  ["$response.body.yes == 'true'", false],
  ["$response.body.count == ''", false],
])(
  'Arazzo 1.1 § Simple Conditions: a numeric string counts as a number beside a number or in an order: %s is %s',
  (condition, pass) => {
    expect(simple(condition).pass).toBe(pass)
  },
)

test.each([
  ['null == null', true],
  ['null != null', false],
  ['$response.body.nothing == null', true],
  ['$response.body.nothing != null', false],
  ['$response.body.items != null', true],
  ['$response.body.items == null', false],
  ['$response.body.absent == null', true],
  ['null != $response.body.absent', false],
  ['$response.body.count == null', false],
  ['null < 1', false],
  ['1 >= null', false],
  ['$response.body.nothing', false],
  ['null', false],
  ['null || true', true],
])(
  'Arazzo 1.1 § Simple Conditions: null equals itself, and what is missing counts as null beside it: %s is %s',
  (condition, pass) => {
    expect(simple(condition)).toMatchObject({ pass })
    expect(simple(condition).error).toBeUndefined()
  },
)

test.each([
  ["$response.body.absent == 'x'", '$response.body.absent has no value'],
  ["$response.body.absent != 'x'", '$response.body.absent has no value'],
  ['!$response.body.absent', '$response.body.absent has no value'],
  ['$response.body.absent', '$response.body.absent has no value'],
  ['$response.header.retry-after > 1', '$response.header.retry-after has no value'],
  ['$response.body#/items/constructor == 1', '$response.body#/items/constructor has no value'],
  ['$response.body.__proto__ != 1', '$response.body.__proto__ has no value'],
  ['$response.body.items.length == 1', '$response.body.items.length has no value'],
  ['$response.body.items[1].id == 1', '$response.body.items[1].id has no value'],
  ["$response.body.items != 'x'", '$response.body.items is an array; only single values are compared'],
  ['$response.body == $response.body', '$response.body is an object; only single values are compared'],
  ["$response.body.count < 'seven'", 'a number and a string have no order'],
  ['$response.body.yes < true', 'a boolean and a boolean have no order'],
  ['$response.body.count && true', '$response.body.count is a number, which is neither true nor false'],
  ['$response.body.count', 'the condition is a number, not true or false'],
  ["'true'", 'the condition is a string, not true or false'],
])('Arazzo 1.1 § Evaluation Errors: %s fails and says why: %s', (condition, error) => {
  expect(simple(condition)).toMatchObject({ pass: false, error })
})

test('"&&" and "||" do not evaluate what no longer matters', () => {
  expect(simple('$statusCode == 400 || $response.body.absent == 1').pass).toBe(true)
  expect(simple('$statusCode == 200 && $response.body.absent == 1')).toStrictEqual({
    pass: false,
    expected: '$statusCode == 200 && $response.body.absent == 1',
    actual: '$statusCode is 400',
  })
})

const OPERAND = 'a runtime expression, a literal, "!" or "("'
const OPERATOR = 'an operator or the end'

test.each<[string, number, string, string, string | undefined]>([
  ['', 0, OPERAND, 'the end', undefined],
  ['$statusCode = 200', 12, OPERATOR, '"="', 'equality is written "=="'],
  ['$statusCode === 200', 12, OPERATOR, '"==="', 'equality is written "=="'],
  ['$statusCode !== 200', 12, OPERATOR, '"!=="', 'inequality is written "!="'],
  ['$statusCode ==', 14, OPERAND, 'the end', undefined],
  ['$statusCode == "200"', 15, OPERAND, '"""', "a string stands in single quotes: 'text'"],
  ['$statusCode == created', 15, OPERAND, '"created"', "a string stands in single quotes: 'created'"],
  ['$statusCode == 01', 15, OPERAND, '"01"', undefined],
  ["$method == 'POST", 11, "a single quote at the end of the string; '' is a quote within it", 'the end', undefined],
  ['true and true', 5, OPERATOR, '"and"', '"and" is written "&&"'],
  ['true & true', 5, OPERATOR, '"&"', '"and" is written "&&"'],
  ['true or true', 5, OPERATOR, '"or"', '"or" is written "||"'],
  ['true | true', 5, OPERATOR, '"|"', '"or" is written "||"'],
  ['not true', 0, OPERAND, '"not"', '"not" is written "!"'],
  ['(true', 5, 'an operator or ")"', 'the end', undefined],
  ['true)', 4, OPERATOR, '")"', undefined],
  ['()', 1, OPERAND, '")"', undefined],
  ['&& true', 0, OPERAND, '"&&"', '"and" is written "&&"'],
  ['{$statusCode} == 1', 0, OPERAND, '"{"', 'a simple condition takes the expression without braces'],
  ['$response.body.items[x] == 1', 20, OPERATOR, '"["', 'an index is a number from 0: [0]'],
  ['$response.body/a == 1', 14, OPERATOR, '"/"', undefined],
  ['$response.boddy == 1', 10, 'one of "header", "query", "path", "body"', '"boddy"', 'did you mean "$response.body"?'],
  [
    "$url == 'https://{$inputs.host}'",
    17,
    'a string without embedded expressions',
    '"{"',
    'compare with the bare expression, or use a jsonpath criterion, which embeds',
  ],
])('Arazzo 1.1 § Simple Conditions: "%s" is refused at offset %i', (condition, offset, expected, found, hint) => {
  const mistake = mistakeOf(() => parseCondition({ condition }))

  expect({ ...mistake }).toMatchObject({ offset, expected, found, hint, field: 'condition' })
})

test.each<[string, string, boolean, string]>([
  ['$statusCode', '^4\\d{2}$', true, '$statusCode is 400'],
  ['$statusCode', '^2\\d{2}$', false, '$statusCode is 400'],
  ['$response.body#/error', 'invalid', false, "$response.body#/error is 'Invalid_Request'"],
  ['$response.body#/error', 'Request', true, "$response.body#/error is 'Invalid_Request'"],
  ['$response.body#/items', '"id":"first"', true, '$response.body#/items is [{"id":"first"}]'],
  ['$response.body#/nothing', '.*', false, '$response.body#/nothing is null'],
  ['$response.body#/absent', '.*', false, '$response.body#/absent has no value'],
  ['$statusCode', '^({$inputs.statusPattern})$', true, "$statusCode is 400, $inputs.statusPattern is '4\\d\\d'"],
])('Arazzo 1.1 § Regex Conditions: %s against %s passes: %s', (at, condition, pass, actual) => {
  const verdict = judge(parseCondition({ type: 'regex', context: at, condition }), context)

  expect(verdict).toStrictEqual({ pass, expected: `${at} matches ${condition}`, actual })
})

test.each<[string, boolean, string]>([
  ['$.issuer', true, "it selects 1 node: $.issuer is 'https://Directory.example.com'"],
  ['$.absent', false, 'it selects nothing: $.absent has no value'],
  ['$.nothing', true, 'it selects 1 node: $.nothing is null'],
  ['$.items[*]', true, 'it selects 1 node: $.items is [{"id":"first"}]'],
  ['$..nowhere', false, 'it selects nothing: $response.body is {"error":"Invalid_Request",'],
  ['$[?$.issuer == "https://directory.example.com"]', false, "$.issuer is 'https://Directory.example.com'"],
  ['$[?$.absent == 1 && $.count == 7]', false, 'it selects nothing: $.absent has no value, $.count is 7'],
  ["$[?$.issuer == '{$inputs.server_directory}']", true, "$inputs.server_directory is 'https://Directory.example.com'"],
  ['$[?($.issuer == "{$inputs.server_directory}")]', true, "$.issuer is 'https://Directory.example.com'"],
  ['$[?$.count > {$inputs.threshold}]', true, '$inputs.threshold is 5'],
  ['$.{$inputs.member}', true, "$inputs.member is 'issuer'"],
])('Arazzo 1.1 § JSONPath Conditions: %s passes: %s', (condition, pass, part) => {
  const verdict = onBody('jsonpath', condition)

  expect(verdict).toMatchObject({ pass, expected: `${condition} selects a node of $response.body` })
  expect(verdict.actual).toContain(part)
})

test.each([
  ["$response.body#/error == 'Invalid_Request'", true],
  ["$response.body#/error == 'invalid_request'", false],
  ['$inputs.server_directory == $response.body.issuer', true],
  ["'https://directory.example.com' == $response.body.issuer", false],
  ['$response.body#/count == 7', true],
  ["$response.body#/count == '7'", false],
  ['$response.body#/text == 7', false],
  ["$response.body#/text == '7'", true],
  ['$response.body#/yes == true', true],
  ["$response.body#/yes == 'true'", false],
  ['$response.body#/nothing == null', true],
  ['$response.body#/absent == null', false],
  ["$response.body#/absent == 'x'", false],
  ['$response.body#/items == $response.body#/items', false],
] as const)('an exact criterion minds case and type: %s is %s', (condition, pass) => {
  const exact = exactCondition(parseCondition({ condition }))

  expect(exact && judge(exact, context)).toMatchObject({ pass, expected: `${condition}, in case and type too` })
})

test.each([
  { condition: '$statusCode != 400' },
  { condition: '!($statusCode == 400)' },
  { condition: '$statusCode == 400 && $response.body.yes' },
  { condition: '$statusCode == 400 == true' },
  { condition: '$statusCode >= 400' },
  { condition: '$response.body.yes' },
  { condition: '$.error', type: 'jsonpath', context: '$response.body' },
  { condition: '^a$', type: 'regex', context: '$response.body' },
])('only a single == can be exact, not $condition', (source) => {
  expect(exactCondition(parseCondition(source))).toBeUndefined()
})

test('Arazzo 1.1 § JSONPath Conditions: no body or a null body fails', () => {
  const condition = parseCondition({ type: 'jsonpath', context: '$response.body', condition: '$' })
  const withBody = (body: unknown) => judge(condition, { ...context, response: { headers: [], body } })

  expect(withBody(undefined)).toMatchObject({ pass: false, actual: '$response.body has no value' })
  expect(withBody(null)).toMatchObject({ pass: false, actual: '$response.body is null' })
})

test.each([
  ["$[?$.quoted == '{$inputs.quotes}']", true],
  ['$[?$.quoted == "{$inputs.quotes}"]', true],
  ["$[?$.error == '{$inputs.hostile}']", false],
  ['$[?$.error == "{$inputs.hostile}"]', false],
])('an embedded value stays a value whatever quotes it holds: %s passes: %s', (condition, pass) => {
  expect(onBody('jsonpath', condition)).toMatchObject({ pass })
  expect(onBody('jsonpath', condition).error).toBeUndefined()
})

test.each([
  [
    'jsonpath',
    '$[?$.count == {$inputs.hostile}]',
    '$inputs.hostile stands outside quotes in a JSONPath, where only a number, true, false, null or a name can be embedded',
  ],
  ['jsonpath', "$[?$.a == '{$inputs.absent}']", '$inputs.absent has no value'],
  [
    'jsonpath',
    '$[?{$inputs.member} == 1]',
    'with its values the condition is not a JSONPath: expected a query, a literal, a function or an operator',
  ],
  ['regex', '{$inputs.unbalanced}', 'with its values the condition is not a regular expression: expected ")"'],
  ['regex', '{$inputs.absent}', '$inputs.absent has no value'],
  [
    'jsonpath',
    "$[?match($.error, 'x') || search('a', '{$inputs.unbalanced}')]",
    'with its values the condition is not a JSONPath: expected ")"',
  ],
])(
  'Arazzo 1.1 § Evaluation Errors: %s %s fails, and the reason quotes no piece of a value',
  (type, condition, error) => {
    expect(onBody(type, condition)).toMatchObject({ pass: false, error })
  },
)

test.each<[string, string, number, string]>([
  ['jsonpath', "$.status == 'accepted'", 9, "a comparison stands in a filter: $[?$.status == 'accepted']"],
  ['jsonpath', "$[?$.a == '{$inputs.member}' & 1]", 29, '"and" is written "&&"'],
  ['jsonpath', "$[?$.a == '\\{$inputs.member}']", 12, ''],
  ['jsonpath', "$[?$.a == '{$input.member}']", 13, 'did you mean "$inputs"?'],
  ['regex', '^(\\d{3}$', 8, ''],
  ['regex', '{$response.bodi}', 11, 'did you mean "$response.body"?'],
])(
  'a %s condition with a mistake is refused when the flow is read: %s at offset %i',
  (type, condition, offset, hint) => {
    const mistake = mistakeOf(() => parseCondition({ type, condition, context: '$response.body' }))

    expect({ offset: mistake.offset, hint: mistake.hint ?? '', field: mistake.field }).toStrictEqual({
      offset,
      hint,
      field: 'condition',
    })
  },
)

test.each([
  ['regex', '(?=a)', 'a lookaround is not supported: it can take endless time'],
  ['regex', '(a)\\1', 'a backreference is not supported: it can take endless time'],
  ['xpath', '/a', 'XPath is not supported'],
])('a %s condition %s is unsupported, not wrong: %s', (type, condition, message) => {
  expect(mistakeOf(() => parseCondition({ type, condition, context: '$url' }))).toMatchObject({
    message,
    unsupported: true,
  })
})

test.each<[Parameters<typeof parseCondition>[0], string, string, boolean]>([
  [{ condition: '$.a', type: 'jsonpath' }, 'a criterion with type "jsonpath" needs a context', 'type', false],
  [{ condition: 'true', type: 'simple' }, 'a criterion with type "simple" needs a context', 'type', false],
  [{ condition: 'a', type: 'jsnpath', context: '$url' }, '"jsnpath" is not a type of expressions', 'type', false],
  [
    { condition: 'a', type: 'jsonpointer', context: '$url' },
    '"jsonpointer" is not a type of expressions',
    'type',
    false,
  ],
  [{ condition: 'a', type: 'regex', context: '$uri' }, '"$uri" is not a runtime expression', 'context', false],
  [
    { condition: '$', type: { type: 'jsonpath', version: 'draft-goessner-dispatch-jsonpath-00' }, context: '$url' },
    'version "draft-goessner-dispatch-jsonpath-00" of jsonpath is not supported',
    'type',
    true,
  ],
  [
    { condition: '$', type: { type: 'jsonpath', version: 'rfc9536' }, context: '$url' },
    'version "rfc9536" of jsonpath is unknown',
    'type',
    false,
  ],
  [
    { condition: '/a', type: { type: 'xpath', version: 'xpath-30' }, context: '$url' },
    'XPath is not supported',
    'type',
    true,
  ],
  [
    { condition: 'a', type: { type: 'regex', version: '1' }, context: '$url' },
    '"regex" is not a type of Expression Type Objects',
    'type',
    false,
  ],
])('Arazzo 1.1 § Criterion Object: %j is refused: %s', (source, message, field, unsupported) => {
  expect(mistakeOf(() => parseCondition(source))).toMatchObject({ message, field, unsupported })
})

test('a condition on a context without a type says that a type is missing', () => {
  const mistake = mistakeOf(() => parseCondition({ condition: '$.access_token', context: '$response.body' }))

  expect(mistake.hint).toBe('a condition on a context has a type: regex or jsonpath')
})

test('Arazzo 1.1 § Expression Type Object: rfc9535 and rfc6901 are the supported versions', () => {
  const at = { context: '$response.body' }
  const path = parseCondition({ ...at, condition: '$.count', type: { type: 'jsonpath', version: 'rfc9535' } })
  const pointer = (condition: string) =>
    judge(parseCondition({ ...at, condition, type: { type: 'jsonpointer', version: 'rfc6901' } }), context)

  expect(judge(path, context).pass).toBe(true)
  expect(pointer('/items/0/id')).toStrictEqual({
    pass: true,
    expected: '$response.body#/items/0/id has a value',
    actual: "$response.body#/items/0/id is 'first'",
  })
  expect(pointer('/items/1')).toMatchObject({ pass: false, actual: '$response.body#/items/1 has no value' })
})

test('a condition names every expression it reads, in order', () => {
  const read = (condition: Condition) => condition.references.map(({ text, offset }) => [text, offset])

  expect(
    read(parseCondition({ condition: '$statusCode == 1 || !$inputs.a && $steps.s.outputs.o.x > 1' })),
  ).toStrictEqual([
    ['$statusCode', 0],
    ['$inputs.a', 21],
    ['$steps.s.outputs.o.x', 34],
  ])
  expect(
    read(parseCondition({ type: 'jsonpath', context: '$response.body', condition: "$[?@.a == '{$inputs.a}']" })),
  ).toStrictEqual([
    ['$response.body', 0],
    ['$inputs.a', 12],
  ])
})

test('an input is read once for one judgement, so that a minted one is not made twice', () => {
  let reads = 0
  const counting = { ...context, inputs: () => ++reads }

  judge(parseCondition({ condition: '$inputs.jwt == 1 && $inputs.jwt == 2' }), counting)

  expect(reads).toBe(1)
})

test('a long value is described in the report, never cut: half a secret is not recognised as one', () => {
  const long = { ...context, response: { headers: [], body: { token: 's'.repeat(5_000), n: 1 } } }
  const actual = (condition: string) => judge(parseCondition({ condition }), long).actual

  expect(actual("$response.body.token == 'x'")).toBe('$response.body.token is a string of 5000 characters')
  expect(actual('$response.body == null')).toBe('$response.body is an object of token, n')
})

test.each([
  ['simple', '('.repeat(2_000), '"!" and "(" nested at most 64 deep'],
  ['simple', `${'!'.repeat(2_000)}true`, '"!" and "(" nested at most 64 deep'],
  ['simple', `1${'==1'.repeat(20)}`, 'at most 8 comparisons in a row'],
  ['simple', 'true &&'.repeat(2_000), 'at most 8192 characters'],
  ['regex', '('.repeat(2_001), 'at most 2000 characters'],
  ['jsonpath', `$[?${'('.repeat(2_000)}`, 'at most 256 segments, brackets and operators'],
])('hostile input: a %s condition without measure is refused, not followed', (type, condition, expected) => {
  expect(mistakeOf(() => parseCondition({ type, condition, context: '$response.body' })).expected).toBe(expected)
})

test('hostile input: a long chain of && is judged', () => {
  expect(simple(Array(1_000).fill('true').join('&&')).pass).toBe(true)
})

test.each<[string, string, boolean, string | undefined]>([
  ['regex', '(a+)+$', false, undefined],
  ['regex', '(a|aa)+$', false, undefined],
  ['regex', '^(.*a){12}b', false, undefined],
  ['regex', '(?:a?){900}a{900}b', false, 'the regular expression takes too long on this text'],
  ['jsonpath', "$[?search(@, '(a+)+$')]", false, undefined],
])('hostile input: the explosive %s %s ends, with a verdict or a reason', (type, condition, pass, error) => {
  const subject = `${'a'.repeat(50_000)}!`
  const criterion = parseCondition({
    type,
    condition,
    context: type === 'regex' ? '$response.body#/0' : '$response.body',
  })

  const verdict = judge(criterion, { ...context, response: { headers: [], body: [subject] } })

  expect({ pass: verdict.pass, error: verdict.error }).toStrictEqual({ pass, error })
})

test('hostile input: large and deep bodies are bounded and reported', () => {
  const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown
  const on = (body: unknown, type: string, condition: string) =>
    judge(parseCondition({ type, condition, context: '$response.body' }), {
      ...context,
      response: { headers: [], body },
    })

  expect(on(deep, 'regex', 'y').error).toBe('a value is nested too deep to be written as JSON')
  expect(on(deep, 'jsonpath', '$..a')).toMatchObject({
    pass: false,
    actual: '$response.body is an array of 1',
    error: 'the value is nested too deep for a JSONPath',
  })
  expect(on(Array(300_000).fill({ a: 1 }), 'jsonpath', '$..b')).toStrictEqual({
    pass: false,
    expected: '$..b selects a node of $response.body',
    actual: 'it selects nothing: $response.body is an array of 300000',
  })
})

const selected = (selector: string, type: Parameters<typeof parseSelector>[0]['type'], at = '$response.body') =>
  select(parseSelector({ context: at, selector, type }), context)

test.each<[string, Parameters<typeof selected>[1], unknown]>([
  ['$.items[0].id', 'jsonpath', 'first'],
  ['$.items', 'jsonpath', [{ id: 'first' }]],
  ["$['error','count']", 'jsonpath', ['Invalid_Request', 7]],
  ['$.absent', 'jsonpath', undefined],
  ['$.nothing', 'jsonpath', null],
  ['/items/0/id', 'jsonpointer', 'first'],
  ['/a.b', { type: 'jsonpointer', version: 'rfc6901' }, 1],
  ['', 'jsonpointer', context.response?.body],
  ['/absent', 'jsonpointer', undefined],
  ['/constructor', 'jsonpointer', undefined],
])('Arazzo 1.1 § Selector Object: "%s" (%j) selects %j; of several nodes an array', (selector, type, value) => {
  expect(selected(selector, type)).toStrictEqual(value)
})

test('Arazzo 1.1 § Selector Object: a context that is not structured data has nothing to select', () => {
  expect(selected('$', 'jsonpath', '$statusCode')).toBeUndefined()
  expect(selected('', 'jsonpointer', '$response.body#/absent')).toBeUndefined()
})

test.each<[Parameters<typeof parseSelector>[0], string, string, number]>([
  [{ context: 'body', selector: '$.a', type: 'jsonpath' }, 'context', '"body" is not a runtime expression', 0],
  [{ context: '$url', selector: '.a', type: 'jsonpath' }, 'selector', '".a" is not a JSONPath of RFC 9535', 0],
  [{ context: '$url', selector: 'a', type: 'jsonpointer' }, 'selector', '"a" is not a JSON Pointer', 0],
  [{ context: '$url', selector: '/a', type: 'xpath' }, 'type', 'XPath is not supported', 0],
  [{ context: '$url', selector: '/a', type: 'regex' }, 'type', '"regex" is not a type of expressions', 0],
  [
    { context: '$url', selector: "$[?@ == '{$inputs.a}']", type: 'jsonpath' },
    'selector',
    'a selector has no embedded expressions',
    9,
  ],
])('Arazzo 1.1 § Selector Object: %j is refused in its %s', (source, field, message, offset) => {
  expect(mistakeOf(() => parseSelector(source))).toMatchObject({ field, message, offset })
})
