import { expect, test } from 'vitest'
import { ExpressionError } from '../src/flow/expression.ts'
import { parseJsonPath } from '../src/flow/jsonpath.ts'
import { comparedValues, selectNodes } from '../src/flow/jsonpath-select.ts'

const body = {
  client_id: 'abc',
  scopes: ['openid', 'cards:read', 'cards:write'],
  keys: [
    { kid: 'k1', use: 'sig', alg: 'PS256', n: 1 },
    { kid: 'k2', use: 'enc', alg: 'RSA-OAEP', n: 2 },
    { kid: 'k3', use: 'sig', n: 3, nested: { use: 'x' } },
  ],
  "it's": 1,
  none: null,
  map: { a: 1, b: { use: 'y' } },
}

const query = (text: string, value: unknown = body) => selectNodes(parseJsonPath(text), value)
const kids = (text: string) => query(text).map((node) => (node as { kid: string }).kid)

test.each<[string, unknown[]]>([
  ['$', [body]],
  ['$.client_id', ['abc']],
  ['$["client_id"]', ['abc']],
  ["$['it\\'s']", [1]],
  ['$["it\\u0027s"]', [1]],
  ['$.none', [null]],
  ['$.absent', []],
  ['$.client_id.length', []],
  ['$.constructor', []],
  ['$.__proto__', []],
  ['$.scopes[0]', ['openid']],
  ['$.scopes[-1]', ['cards:write']],
  ['$.scopes[3]', []],
  ['$.scopes[0, 2]', ['openid', 'cards:write']],
  ['$.scopes[1:]', ['cards:read', 'cards:write']],
  ['$.scopes[:-1]', ['openid', 'cards:read']],
  ['$.scopes[::-1]', ['cards:write', 'cards:read', 'openid']],
  ['$.scopes[::0]', []],
  ['$.map.*', [1, { use: 'y' }]],
  ['$.map[*]', [1, { use: 'y' }]],
  ['$..use', ['sig', 'enc', 'sig', 'x', 'y']],
  ['$ .keys [ 1 ] .kid', ['k2']],
  ['$.keys[*][?@ == 3]', [3]],
])('RFC 9535 §2.3, §2.5: %s selects %j', (text, nodes) => {
  expect(query(text)).toStrictEqual(nodes)
})

test.each<[string, string[]]>([
  ['$.keys[?@.alg]', ['k1', 'k2']],
  ['$.keys[?!@.alg]', ['k3']],
  ["$.keys[?@.use == 'sig']", ['k1', 'k3']],
  ['$.keys[?@.use != "sig"]', ['k2']],
  ['$.keys[?@.n < 2]', ['k1']],
  ['$.keys[?@.n <= 2]', ['k1', 'k2']],
  ['$.keys[?@.n > 2 || @.n < 2]', ['k1', 'k3']],
  ["$.keys[?@.use == 'sig' && @.alg && @.n == 3]", []],
  ["$.keys[?@.use == 'sig' && @.n && @.n == 3]", ['k3']],
  ["$.keys[?@.use == 'enc' || @.use == 'sig' && @.n == 3]", ['k2', 'k3']],
  ["$.keys[?(@.use == 'enc' || @.use == 'sig') && @.n == 3]", ['k3']],
  ["$.keys[?!(@.use == 'sig')]", ['k2']],
  ['$.keys[?@.n == $.keys[0].n]', ['k1']],
  ["$.keys[?@['n'] == 2]", ['k2']],
  ['$.keys[?@.nested.use]', ['k3']],
  ['$.keys[?@.alg == @.absent]', ['k3']],
  ['$.keys[?length(@.alg) == 5]', ['k1']],
  ['$.keys[?count(@.*) == 4]', ['k1', 'k2', 'k3']],
  ['$.keys[?value(@..use) == "enc"]', ['k2']],
  ["$.keys[?match(@.alg, 'PS.*')]", ['k1']],
  ["$.keys[?match(@.alg, 'S')]", []],
  ["$.keys[?search(@.alg, 'S')]", ['k1', 'k2']],
  ["$.keys[?!search(@.alg, 'S')]", ['k3']],
])('RFC 9535 §2.3.5, §2.4: %s selects the keys %j', (text, selected) => {
  expect(kids(text)).toStrictEqual(selected)
})

test.each([
  ['$[?@ == 1.0]', [1], [1]],
  ['$[?@ == "1"]', [1], []],
  ['$[?@ == $[0]]', [{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, { a: [1] }], 2],
  ['$[?@ < "b"]', ['a', 'B', 'c', 1], ['a', 'B']],
  ['$[?@ < "\u{1f600}"]', ['\uffff'], ['\uffff']],
  ['$[?@ <= null]', [null, 0], [null]],
  ['$[?@ != null]', [null, 0], [0]],
  ['$[?@.a != null]', [{}, { a: null }], [{}]],
  ['$[?length(@) == 1]', ['\u{1f600}', [1], { a: 1 }, 'ab', 1], ['\u{1f600}', [1], { a: 1 }]],
] as const)('RFC 9535 §2.3.5.2.2: %s compares without conversion', (text, value, selected) => {
  const nodes = query(text, value)

  if (typeof selected === 'number') expect(nodes).toHaveLength(selected)
  else expect(nodes).toStrictEqual(selected)
})

const MISTAKES: readonly (readonly [string, number, string, string?])[] = [
  ['', 0, '"$", the root'],
  [' $.a', 0, '"$", the root'],
  ['.a', 0, '"$", the root'],
  ['$.', 2, 'a member name or "*"'],
  ['$.a ', 3, 'a segment or the end'],
  ['$.1', 2, 'a member name or "*"'],
  ['$.a-b', 3, 'a segment or the end'],
  ['$[', 2, 'a quoted name, an index, a slice, "*" or a filter "?"'],
  ['$[a]', 2, 'a quoted name, an index, a slice, "*" or a filter "?"'],
  ['$[0', 3, '"," or "]"'],
  ['$[01]', 2, 'an integer without leading zero, at most 2^53-1'],
  ['$[-0]', 2, 'an integer without leading zero, at most 2^53-1'],
  ['$[9007199254740992]', 2, 'an integer without leading zero, at most 2^53-1'],
  ["$['a]", 2, "' at the end of the string"],
  ["$['\\x']", 3, 'an escape as in JSON strings'],
  ["$['\\ud800']", 2, 'whole surrogate pairs in the string'],
  ['$[?@.a == b]', 10, 'a query, a literal or a function', "a string needs quotes: 'b'"],
  ['$[?@.a = 1]', 7, '"," or "]"'],
  ['$[?true]', 3, 'a comparison or a query'],
  ['$[?@.* == 1]', 3, 'a query for a single node (names and indexes only)'],
  ['$[?(@.a)==1]', 8, '"," or "]"'],
  ['$[?!@.a == 1]', 8, '"," or "]"'],
  ['$[?(@.a]', 7, '")"'],
  ['$[?@.a == 01]', 10, 'a number as in JSON'],
  ['$[?upper(@.a) == 1]', 3, 'a function of RFC 9535: length, count, value, match or search'],
  ['$[?searc(@.a, "b")]', 3, 'a function of RFC 9535: length, count, value, match or search', 'did you mean "search"?'],
  ['$[?length(@.a)]', 3, 'a comparison with length(…)'],
  ['$[?length(@.*) == 1]', 10, 'a query for a single node (names and indexes only)'],
  ['$[?count(1) == 1]', 9, 'a query as argument of count'],
  ['$[?match(@.a) == true]', 12, '"," and another argument of match'],
  ['$[?match(@.a, "b") == true]', 3, 'match(…) on its own: it is a test, not a value'],
  ['$[?match(@.a, "b", "c")]', 17, '")" after the arguments of match'],
  ['$[?match(@.a, "(b")]', 17, '")"'],
  ['$.access_token != null', 14, 'a segment or the end', 'a query holds where it finds something: $.access_token'],
  ["$.status == 'ok'", 8, 'a segment or the end', "a comparison stands in a filter: $[?$.status == 'ok']"],
]

test.for(MISTAKES)(
  'RFC 9535 §2.1: "%s" is refused at offset %i, before anything runs',
  ([text, offset, expected, hint]) => {
    expect(() => parseJsonPath(text)).toThrow(
      expect.objectContaining({ name: 'ExpressionError', offset, expected, hint }),
    )
  },
)

test('a pattern that comes from the answer and is none matches nothing; an explosive one ends', () => {
  expect(
    query('$[?match(@.a, @.p)]', [
      { a: 'x', p: '(' },
      { a: 'x', p: '.' },
    ]),
  ).toHaveLength(1)
  expect(query('$[?search(@.a, @.p)]', [{ a: 'a'.repeat(30_000), p: '(a+)+b' }])).toStrictEqual([])
})

test('a query that would visit nodes without end is stopped', () => {
  const wide = Array(3_000).fill(0)

  expect(() => query('$[?count($[?count($[?@ == 1]) == 0]) == 1]', wide)).toThrow(ExpressionError)
})

test('the values that a query compares can be told', () => {
  const path = parseJsonPath("$[?$.client_id == 'x' && !($.keys[0].kid == @.a || $.absent == 1)]")

  expect(comparedValues(path, body)).toStrictEqual([
    { text: '$.client_id', value: 'abc' },
    { text: '$.keys[0].kid', value: 'k1' },
    { text: '$.absent', value: undefined },
  ])
})
