import { expect, test } from 'vitest'
import { parseJsonPath } from '../../src/flow/expression/jsonpath.ts'

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

const query = (text: string, value: unknown = body) => parseJsonPath(text).select(value)

test.each<[string, unknown[]]>([
  ['$', [body]],
  ['$["client_id"]', ['abc']],
  ["$['it\\'s']", [1]],
  ['$.none', [null]],
  ['$.absent', []],
  ['$.client_id.length', []],
  ['$.constructor', []],
  ['$.__proto__', []],
  ['$.scopes[-1]', ['cards:write']],
  ['$.scopes[0, 2]', ['openid', 'cards:write']],
  ['$.scopes[::-1]', ['cards:write', 'cards:read', 'openid']],
  ['$.map.*', [1, { use: 'y' }]],
  ['$..use', ['sig', 'enc', 'sig', 'x', 'y']],
  ['$.keys[?@.alg].kid', ['k1', 'k2']],
  ["$.keys[?@.use == 'sig' && @.alg && @.n == 3].kid", []],
  ["$.keys[?@.use == 'enc' || @.use == 'sig' && @.n == 3].kid", ['k2', 'k3']],
  ["$.keys[?!(@.use == 'sig')].kid", ['k2']],
  ['$.keys[?@.n == $.keys[0].n].kid', ['k1']],
  ['$.keys[?@.alg == @.absent].kid', ['k3']],
  ['$.keys[?length(@.alg) == 5].kid', ['k1']],
  ['$.keys[?count(@.*) == 4].kid', ['k1', 'k2', 'k3']],
  ['$.keys[?value(@..use) == "enc"].kid', ['k2']],
  ["$.keys[?match(@.alg, 'PS.*')].kid", ['k1']],
  ["$.keys[?match(@.alg, 'S')].kid", []],
  ["$.keys[?!search(@.alg, 'S')].kid", ['k3']],
  ["$.keys[?@.n == '1'].kid", []],
  ["$[?!$.scopes[?@ == 'cards:delete']]", Object.values(body)],
])('RFC 9535: %s selects %j', (text, nodes) => {
  expect(query(text)).toStrictEqual(nodes)
})

const BIG = [{ n: 12345678901234567890n }, { n: 12345678901234567891n }, { n: 5 }]

test.each([
  ['$[?@.n == 12345678901234567890]', [0]],
  ['$[?@.n != 12345678901234567890]', [1, 2]],
  ['$[?@.n > 12345678901234567890]', [1]],
  ['$[?@.n >= 12345678901234567890]', [0, 1]],
  ['$[?@.n < 12345678901234567891]', [0, 2]],
  ['$[?@.n <= 1e1 || @.n == $[1].n]', [1, 2]],
  ['$[?@.n < $[1].n && @.n > 5]', [0]],
  ['$[?!(@.n > -12345678901234567890)]', []],
])('numbers beyond 2^53 are compared as they were written: %s', (text, indexes) => {
  expect(query(text, BIG)).toStrictEqual(indexes.map((index) => BIG[index]))
})

const SINGLE = 'a query for a single node (names and indexes only)'
const SELECTOR = 'a quoted name, an index, a slice, "*" or a filter "?"'
const FUNCTION = 'a function of RFC 9535: length, count, value, match or search'
const OPERAND = 'a query, a literal or a function'
const WORD = 'a query, a literal, a function or an operator'
const TEST = 'a comparison or a query'

const MISTAKES: readonly (readonly [string, number, string, string?])[] = [
  ['', 0, '"$", the root'],
  ['.a', 0, '"$", the root'],
  ['$.', 2, 'a member name or "*"'],
  ['$.a b', 4, 'a segment or the end'],
  ['$[a]', 2, SELECTOR],
  ['$[0', 3, '"," or "]"'],
  ['$[01]', 2, 'an integer without leading zero, at most 2^53-1'],
  ['$[9007199254740992]', 2, 'an integer without leading zero, at most 2^53-1'],
  ["$['a]", 5, 'a quote at the end of the string'],
  ["$['\\x']", 4, 'an escape as in JSON strings'],
  ['$[?@.a == b]', 10, WORD, "a string needs quotes: 'b'"],
  ['$[?@.a = 1]', 7, WORD, 'equality is written "=="'],
  ['$[?@.a and @.b]', 7, WORD, '"and" is written "&&"'],
  ['$[?@.a == ]', 10, OPERAND],
  ['$[?true]', 3, TEST],
  ['$[?!true]', 4, TEST],
  ['$[?@.* == 1]', 3, SINGLE],
  ['$[?!@.a == 1]', 4, OPERAND],
  ['$[?@.a == @.b == 1]', 14, OPERAND],
  ['$[?(@.a]', 7, '"(" and ")" in pairs'],
  ['$[?@.a == 01]', 10, 'a number as in JSON, and between 0 and 1 with an exponent: 5e-1'],
  ['$[?upper(@.a) == 1]', 3, FUNCTION],
  ['$[?searc(@.a, "b")]', 3, FUNCTION, 'did you mean "search"?'],
  ['$[?length(@.a)]', 3, TEST],
  ['$[?length(@.a) && @.b]', 3, TEST],
  ['$[?length(@.*) == 1]', 10, SINGLE],
  ['$[?count(1) == 1]', 9, 'a query as argument'],
  ['$[?match(@.a)]', 3, 'two arguments: a value and a pattern'],
  ['$[?match(@.a, "b") == true]', 3, 'a test on its own, which is not compared'],
  ['$[?match(@.a, "(b")]', 17, '")"'],
  ['$[?@[?length(@.a)]]', 6, TEST],
  ['$.access_token != null', 15, 'a segment or the end', 'a query holds where it finds something: $.access_token'],
  ["$.status == 'ok'", 9, 'a segment or the end', "a comparison stands in a filter: $[?$.status == 'ok']"],
]

test.for(MISTAKES)('"%s" is refused at offset %i, before anything runs', ([text, offset, expected, hint]) => {
  expect(() => parseJsonPath(text)).toThrow(
    expect.objectContaining({ name: 'ExpressionError', offset, expected, hint, unsupported: false }),
  )
})

test('a pattern that an answer brings along is not supported', () => {
  expect(() => parseJsonPath('$[?match(@.a, @.p)]')).toThrow(
    expect.objectContaining({
      message: 'the pattern of match(…) is not written out',
      offset: 14,
      expected: 'a string in quotes',
      unsupported: true,
    }),
  )
})

test.each([
  [`$[?${'('.repeat(2_000)}`, 258, 'at most 256 segments, brackets and operators'],
  [`$[?${'!'.repeat(2_000)}@.a]`, 258, 'at most 256 segments, brackets and operators'],
  [`$[?@.a${'&&@.a'.repeat(300)}]`, 641, 'at most 256 segments, brackets and operators'],
  [`$${'.a'.repeat(300)}`, 513, 'at most 256 segments, brackets and operators'],
  [`$.${'a'.repeat(9_000)}`, 0, 'at most 8192 characters'],
])('hostile input: a query without measure is refused, not followed: %.20s…', (text, offset, expected) => {
  expect(() => parseJsonPath(text)).toThrow(expect.objectContaining({ offset, expected }))
})

test('a list is equal to no object, and structures are compared member by member', () => {
  const one = { a: [1], b: { x: [1, 2], y: null } }
  const other = { a: { 0: 1 }, b: { y: null, x: [1, 2] } }
  const value = { ...{ wanted: one, other, less: { a: [1] } }, list: [one, { ...one, a: [2] }] }

  expect(query('$.list[?@ == $.wanted]', value)).toStrictEqual([one])
  expect(query('$.list[?@.b == $.other.b]', value)).toHaveLength(2)
  expect(query('$.list[?@.a == $.other.a]', value)).toStrictEqual([])
  expect(query('$.list[?@.b != $.less.b]', value)).toHaveLength(2)
})

test('a string may hold what is bounded outside of it', () => {
  expect(query(`$[?@ == '${'[(.'.repeat(300)}']`, ['[(.'.repeat(300), 'b'])).toHaveLength(1)
})

test.each([
  ['$[*,*]'.padEnd(5 * 20 + 1, '[*,*]'), 61],
  ['$..*..*..*..*..*', 10],
  ['$[?$.a[?$.b[?$.c[?@.d]]]]', 6],
])('hostile input: a query that takes long even on a small value is refused where it does: %s', (text, offset) => {
  expect(() => parseJsonPath(text)).toThrow(
    expect.objectContaining({ message: 'the JSONPath takes too long on a value of 1000 nodes', offset }),
  )
})

const nested = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)
const wide = Array(6_000).fill(0)
const large = { a: Array(400_000).fill(0), b: Array(400_000).fill(0) }

test.each<[string, unknown, string]>([
  ['$..a', nested(100_000), 'the value is nested too deep for a JSONPath'],
  ['$[?@ == $]', nested(101), 'the value is nested too deep for a JSONPath'],
  ['$..*..*..*', [nested(97), wide], 'the JSONPath takes too long on a value of 6099 nodes'],
  ['$[?$[?@ == 1]]', wide, 'the JSONPath takes too long on a value of 6001 nodes'],
  ['$.a[?$.a == $.b]', large, 'the JSONPath takes too long on a value of 800003 nodes'],
  ['$[?count(@.*) == 1]', large, 'the value is too large for the JSONPath'],
  ["$[?search($[0], 'a[ab]{500}c')]", Array(1_000).fill('ab'.repeat(1_000)), 'search(…) takes too long on this value'],
])('hostile input: %s on a hostile value ends with a reason', (text, value, message) => {
  expect(() => query(text, value)).toThrow(expect.objectContaining({ name: 'ExpressionError', message }))
})

test('large and deep values within the bounds are answered', () => {
  expect(query('$..b', Array(300_000).fill({ a: 1 }))).toStrictEqual([])
  expect(query('$[*]', Array(300_000).fill(0))).toHaveLength(300_000)
  expect(query('$..*', nested(100))).toHaveLength(99)
  expect(query("$[?search(@, '(a+)+$')]", [`${'a'.repeat(1024 * 1024)}!`])).toStrictEqual([])
})

test.each<[string, [string, unknown][]]>([
  [
    "$[?$.client_id == 'x' && !($.keys[0].kid == @.a || $.absent == 1)]",
    [
      ['$.client_id', 'abc'],
      ['$.keys[0].kid', 'k1'],
      ['$.absent', undefined],
    ],
  ],
  ["$.scopes[?@ == 'x']", [['$.scopes', body.scopes]]],
  ["$[?!($.map[?@ == 'x'])]", [['$.map', body.map]]],
  ["$[?search($.client_id, 'x')]", [['$.client_id', 'abc']]],
  ["$['it\\'s']", [['$["it\'s"]', 1]]],
  ['$..use', []],
])('a report can tell what %s looks at', (text, seen) => {
  expect(
    parseJsonPath(text)
      .seen(body)
      .map((each) => [each.text, each.value]),
  ).toStrictEqual(seen)
})
