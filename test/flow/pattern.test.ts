import { expect, test } from 'vitest'
import { parsePattern } from '../../src/flow/expression/pattern.ts'

test.each<[string, string[], string[]]>([
  ['^4\\d{2}$', ['400'], ['4000', '40', '400\n']],
  ['no-store', ['no-store', 'private, no-store'], ['NO-STORE']],
  ['(?i)no-store', ['No-Store'], ['store']],
  ['^https:\\/\\/[^/]+/[^/]+/.*$', ['https://auth.example.com/register/1'], ['https://auth.example.com']],
  ['^[\\w-]+\\.[\\w-]+\\.[\\w-]+$', ['eyJhbGciOi.eyJpc3Mi.c2lnbmF0'], ['a.b', 'a.b.c.d']],
  ['\\bfoo\\b', ['a foo b'], ['food']],
  ['^x.y$', ['x😀y', 'x\ry'], ['x\ny']],
  ['^\\p{Lu}\\x{E9}$', ['Éé'], ['éé']],
])('RE2: %s is found in %j and not in %j', (source, found, not) => {
  const pattern = parsePattern(source)

  expect(found.filter((text) => !pattern.test(text))).toStrictEqual([])
  expect(not.filter((text) => pattern.test(text))).toStrictEqual([])
})

test('I-Regexp (RFC 9485): a dot excludes only line feed and carriage return, and a whole match is anchored', () => {
  expect(parsePattern('a.b', { dialect: 'i-regexp' }).test('a\u2028b')).toBe(true)
  expect(parsePattern('a.b', { dialect: 'i-regexp' }).test('a\rb')).toBe(false)
  expect(parsePattern('a[.]\\.', { dialect: 'i-regexp' }).test('a..')).toBe(true)
  expect(parsePattern('a|ab', { whole: true }).test('ab')).toBe(true)
  expect(parsePattern('a|b', { whole: true }).test('ab')).toBe(false)
})

const REPEAT = 'a repetition from the smaller number to the larger, within each other at most 1000'

test.each<[string, number, string, string, string?]>([
  ['(a', 2, '")"', 'the end'],
  ['a)', 0, '"(" before each ")", or "\\)" for the character itself', '"a)"'],
  ['b[a', 1, '"]" at the end of the character class', '"[a"'],
  ['a|*', 2, 'something to repeat before it, or a backslash for the character itself', '"*"'],
  ['a**', 1, 'one repetition, not two in a row', '"**"'],
  ['a{2,1}', 1, REPEAT, '"{2,1}"'],
  ['a{5000}', 1, REPEAT, '"{5000}"'],
  ['[z-a]', 1, 'a character class of RE2', '"z-a"'],
  ['\\p{Nope}', 0, 'a character class of RE2', '"\\p{Nope}"'],
  ['a\\y', 1, 'an escape of RE2', '"\\y"'],
  ['a\\u20ac', 1, 'an escape of RE2', '"\\u"', 'RE2 writes a code point in braces: \\x{20AC}'],
  ['a\\', 2, 'a character after the backslash', 'the end'],
  ['(?#a)', 0, 'a group of RE2: (…), (?:…), (?<name>…) or a flag such as (?i)', '"(?#"'],
  ['(?<a>.)(?<a>.)', 3, 'a name of letters, digits and "_", once: (?<name>…)', '"a"'],
])('the pattern %j is refused at offset %i', (source, offset, expected, found, hint) => {
  const message = `"${source}" is not a regular expression`

  expect(() => parsePattern(source)).toThrow(
    expect.objectContaining({ name: 'ExpressionError', message, offset, expected, found, hint, unsupported: false }),
  )
})

test.each([
  ['a(?=b)', 1, 'a lookaround'],
  ['(?!b)', 0, 'a lookaround'],
  ['(?<=a)b', 0, 'a lookaround'],
  ['(?<!a)b', 0, 'a lookaround'],
  ['(?>a)', 0, 'an atomic group'],
  ['(a)\\1', 3, 'a backreference'],
  ['(?<n>a)\\k<n>', 7, 'a backreference'],
])('what could take endless time is unsupported: %j at offset %i, %s', (source, offset, what) => {
  const message = `${what} is not supported: it can take endless time`

  expect(() => parsePattern(source)).toThrow(expect.objectContaining({ message, offset, unsupported: true }))
})

test('a condition with a lookaround is told what to write instead', () => {
  const hint = "write the condition with JSONPath's !search(…)"

  expect(() => parsePattern('^(?!none)')).toThrow(expect.objectContaining({ hint }))
})

test.each(['(a+)+$', '(a|aa)+$', '(a*)*b', '^(.*a){12}b', 'a*a*a*a*a*a*b', '(x+x+)+y', '^(([a-z])+.)+[A-Z]([a-z])+$'])(
  'the explosive pattern %j answers on a megabyte of text',
  (source) => {
    expect(parsePattern(source).test(`${'a'.repeat(1024 * 1024)}!`)).toBe(false)
  },
)

test('the size of a pattern and the work of one search are bounded', () => {
  expect(() => parsePattern('a'.repeat(3_000))).toThrow('the regular expression is too long')
  expect(() => parsePattern('((){1000}){1000}')).toThrow('the regular expression is too large')
  expect(() => parsePattern('(?:a[ab]{500}){2}c').test('ab'.repeat(100_000))).toThrow(
    expect.objectContaining({
      message: 'the regular expression takes too long on this text',
      expected: 'at most 99502 characters',
    }),
  )
})
