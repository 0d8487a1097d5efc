import { expect, test } from 'vitest'
import { ExpressionError } from '../src/flow/expression.ts'
import { parsePattern } from '../src/flow/pattern.ts'

const SUBJECTS = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'abab',
  'a b',
  'foo bar',
  'FOO',
  '2024-02-29',
  '400',
  'https://auth.example.com/register/1',
  'eyJhbGciOi.eyJpc3Mi.c2lnbmF0',
  'a\nb',
  'a\u2028b',
  '[]{}()|^$.*+?\\/-',
  'é',
  '😀',
  'x😀y',
  '\t',
]

test.each([
  '',
  'a',
  '^a$',
  '^$',
  'a|b',
  'a||b',
  '^(?:a|ab)b$',
  '^(a+)+$',
  '^(?:ab)*$',
  '^(?:ab){2}$',
  '^a{1,2}b$',
  '^a{2,}b$',
  '^a{0}b$',
  '^a??b',
  'a*?b+?',
  '.',
  '^.$',
  '^..$',
  'a.b',
  '^\\d{3}$',
  '^\\d{4}-\\d{2}-\\d{2}$',
  '\\bfoo\\b',
  '\\Bo',
  'foo\\b.',
  '^\\w+$',
  '\\W',
  '\\s',
  '^\\S+$',
  '[abc]',
  '[^a-z]',
  '^[\\w.-]+$',
  '[\\]\\-]',
  '\\[\\]\\{\\}\\(\\)\\|\\^\\$\\.\\*\\+\\?\\\\\\/',
  '^https://[^/]+/[^/]+/.*$',
  '^[\\w-]+\\.[\\w-]+\\.[\\w-]+$',
  '^\\p{Lu}+$',
  '\\P{ASCII}',
  '\\u{1F600}',
  '\\ud83d\\ude00',
  '^x.y$',
  '\\x61',
  '\\u0062',
  '\\t|\\cJ',
  '(?<year>\\d{4})',
  '(()|a)*b',
  '(?:a*)*$',
  'a$|^b',
  '$',
])('the pattern %j finds what RegExp finds', (source) => {
  const pattern = parsePattern(source)
  const regexp = new RegExp(source, 'u')

  expect(SUBJECTS.filter((subject) => pattern.test(subject))).toStrictEqual(
    SUBJECTS.filter((subject) => regexp.test(subject)),
  )
})

test('I-Regexp (RFC 9485): a dot excludes only line feed and carriage return, and a whole match is anchored', () => {
  expect(parsePattern('a.b', { dialect: 'i-regexp' }).test('a\u2028b')).toBe(true)
  expect(parsePattern('a.b', { dialect: 'i-regexp' }).test('a\rb')).toBe(false)
  expect(parsePattern('a|ab', { whole: true }).test('ab')).toBe(true)
  expect(parsePattern('a|b', { whole: true }).test('ab')).toBe(false)
})

test.each<[string, number, string, string]>([
  ['(a', 2, '")"', 'the end'],
  ['a)', 1, 'the end', '")"'],
  ['[a', 0, '"]" at the end of the character class', 'the end'],
  ['*a', 0, 'something to repeat before "*"', '"*"'],
  ['a**', 2, 'something to repeat before "*"', '"*"'],
  ['^*', 1, 'something to repeat before the quantifier', '"*"'],
  ['a{2,1}', 1, 'a repetition whose first number is the smaller one', '"{2,1}"'],
  ['a{5000}', 1, 'a repetition of at most 1000', '"{5000}"'],
  ['a{x}', 1, '"\\{" for the character itself', '"{"'],
  ['a]', 1, '"\\]" for the character itself', '"]"'],
  ['[z-a]', 0, 'a valid character class or escape', '"[z-a]"'],
  ['\\p{Nope}', 0, 'a valid character class or escape', '"\\p{Nope}"'],
  ['a\\y', 1, 'an escape of ECMAScript with the flag "u"', '"\\y"'],
  ['a\\', 1, 'an escape of ECMAScript with the flag "u"', '"\\"'],
  ['(?i:a)', 0, '"(?:" or "(?<name>"', '"(?i:"'],
])('the pattern %j is refused at offset %i', (source, offset, expected, found) => {
  expect(() => parsePattern(source)).toThrow(
    expect.objectContaining({
      name: 'ExpressionError',
      message: `"${source}" is not a regular expression`,
      offset,
      expected,
      found,
      unsupported: false,
    }),
  )
})

test.each([
  ['a(?=b)', 1],
  ['(?!b)', 0],
  ['(?<=a)b', 0],
  ['(?<!a)b', 0],
  ['(a)\\1', 3],
  ['(?<n>a)\\k<n>', 7],
])('what could take endless time is unsupported: %j at offset %i', (source, offset) => {
  expect(() => parsePattern(source)).toThrow(expect.objectContaining({ offset, unsupported: true }))
})

test.each(['(a+)+b', '(a|aa)+b', '(a*)*b', '(.*a){12}b', 'a*a*a*a*a*a*b', '(x+x+)+y', '^(([a-z])+.)+[A-Z]([a-z])+$'])(
  'the explosive pattern %j answers on a long text',
  (source) => {
    expect(parsePattern(source).test('a'.repeat(20_000))).toBe(false)
  },
)

test('the work of one search and the length of its text are bounded', () => {
  expect(() => parsePattern('(a?){200}a{200}b').test('a'.repeat(60_000))).toThrow(ExpressionError)
  expect(() => parsePattern('a').test('b'.repeat(70_000))).toThrow('the text is too long for a regular expression')
  expect(() => parsePattern('((){1000}){1000}')).toThrow('the regular expression is too large')
})
