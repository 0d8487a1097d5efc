/**
 * Regular expressions in the syntax of RE2, whose time grows linearly with the text: no lookaround, no backreference,
 * repetitions up to 1000. The only file that imports re2js.
 * @see [RE2 syntax](https://github.com/google/re2/wiki/Syntax)
 */
import { RE2JS, RE2JSSyntaxException } from 're2js'
import { FILE_LIMITS } from '../../record/limits.ts'
import { clip, ExpressionError, quote, tooLong } from './expression.ts'

/** UTF-16 units of a pattern: with every repetition written out it still compiles in well under a second. */
const MAX_PATTERN = FILE_LIMITS.patternCharacters.value
/** Instructions of the compiled pattern times UTF-16 units of the text, about two seconds. */
export const MAX_WORK = FILE_LIMITS.patternWork.value

/** How many texts are remembered with what came of them: most answers hold the same software statement, which takes a millisecond. */
const ANSWERS_REMEMBERED = 16
/** UTF-16 units. */
const UNITS_REMEMBERED = 16 * 1024

export interface Pattern {
  /** Whether the pattern is found in the text. Throws ExpressionError where a limit is reached. */
  readonly test: (text: string) => boolean
  /** instructions of the compiled pattern: a test costs at most this much for each UTF-16 unit of the text */
  readonly size: number
}

interface PatternOptions {
  /** the whole text must match, not a part of it */
  readonly whole?: boolean
  /** in an I-Regexp (RFC 9485) a dot excludes carriage returns too; ECMA-262 has more white space and line breaks */
  readonly dialect?: 're2' | 'i-regexp' | 'ecma-262'
}

/** Parses a pattern. Throws ExpressionError, `unsupported` where other engines know the construct. */
export function parsePattern(source: string, { whole = false, dialect = 're2' }: PatternOptions = {}): Pattern {
  if (source.length > MAX_PATTERN) throw tooLong('regular expression', source.length, MAX_PATTERN)
  const pattern = compile(source, TRANSLATIONS[dialect](source))
  const size = pattern.programSize()
  const answers = new Map<string, boolean>()
  const answered = (text: string): boolean => {
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = whole ? pattern.testExact(text) : pattern.test(text)
    if (answers.size >= ANSWERS_REMEMBERED) answers.clear()
    if (text.length <= UNITS_REMEMBERED) answers.set(text, answer)
    return answer
  }
  const test = (text: string): boolean => {
    if (size * text.length > MAX_WORK) {
      const message = 'the regular expression takes too long on this text'
      throw new ExpressionError({ offset: 0, message, expected: `at most ${Math.floor(MAX_WORK / size)} characters` })
    }
    return answered(text)
  }
  return { test, size }
}

/** A dot, and the constructs in which a dot is a literal. */
const DOT = /\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\./g
const DOTS: Readonly<Record<string, string>> = { '.': '[^\\n\\r]' }

const TRANSLATIONS: Readonly<Record<NonNullable<PatternOptions['dialect']>, (source: string) => string>> = {
  re2: (source) => source,
  'i-regexp': (source) => source.replace(DOT, (part) => DOTS[part] ?? part),
  'ecma-262': fromEcma,
}

/**
 * Parses a pattern of JSON Schema, which is one of ECMA-262. Throws ExpressionError: `unsupported` where ECMA-262 knows the
 * pattern and RE2 doesn't (a lookaround, a backreference, a repetition beyond 1000), else the pattern is wrong.
 */
export function parseSchemaPattern(source: string): Pattern {
  try {
    return parsePattern(source, { dialect: 'ecma-262' })
  } catch (error) {
    if (!(error instanceof ExpressionError) || error.unsupported || !isEcma(source)) throw error
    const { offset, expected = 'a smaller one' } = error
    throw new ExpressionError({ message: `RE2 cannot run it, and expects ${expected}`, offset, unsupported: true })
  }
}

/** Only compiles it. Descriptions write patterns for either mode of the engine. */
function isEcma(source: string): boolean {
  return ['u', ''].some((flags) => {
    try {
      new RegExp(source, flags)
      return true
    } catch {
      return false
    }
  })
}

/** White space of ECMA-262 (§22.2.2.9), as members of a class, and everything else. */
const SPACE = '\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}'
const NO_SPACE =
  '\\x00-\\x08\\x0e-\\x1f!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
  '\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}'
/** How RE2 writes what means something else there; inside a class, and outside of one. */
const IN_CLASS: Readonly<Record<string, string>> = { '\\s': SPACE, '\\S': NO_SPACE, '\\b': '\\x08', '[': '\\[' }
const OUTSIDE: Readonly<Record<string, string>> = {
  '\\s': `[${SPACE}]`,
  '\\S': `[${NO_SPACE}]`,
  '.': '[^\\n\\r\\x{2028}\\x{2029}]',
}

/** Two escaped halves of one code point above U+FFFF, which RE2 knows as a whole only. */
const PAIR = /\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/gi

function fromEcma(source: string): string {
  const whole = source.replace(PAIR, (_, high: string, low: string) => {
    const point = String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low, 16)).codePointAt(0) ?? 0
    return `\\u{${point.toString(16)}}`
  })
  let isInside = false
  return RE2JS.translateRegExp(
    whole.replace(/\\[\s\S]|\[\^?\]?|\]|\./g, (part) => {
      // The empty classes "[]" and "[^]" are left to the library.
      if (!isInside && part.startsWith('[')) {
        isInside = !part.endsWith(']')
        return part
      }
      if (!isInside) return OUTSIDE[part] ?? part
      if (part.endsWith(']') && !part.startsWith('\\')) isInside = false
      return part.startsWith('[') ? part.replace('[', '\\[') : (IN_CLASS[part] ?? part)
    }),
  )
}

function compile(source: string, translated: string): RE2JS {
  try {
    return RE2JS.compile(translated)
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error
    throw mistake(source, error.error, error.input ?? '')
  }
}

/** Constructs that need backtracking, by their first characters. */
const UNSUPPORTED: readonly (readonly [RegExp, string, string | undefined])[] = [
  [/^\(\?<?[=!]/, 'a lookaround', "write the condition with JSONPath's !search(…)"],
  [/^\(\?>/, 'an atomic group', 'write "(?:"; here no group can take endless time'],
  [/^\\[1-9k]/, 'a backreference', undefined],
]

/** What the pattern should have at the mistake, by the error message of the engine. */
const MISTAKES: readonly (readonly [RegExp, string])[] = [
  [/closing \)/, '")"'],
  [/unexpected \)/, '"(" before each ")", or "\\)" for the character itself'],
  [/closing \]/, '"]" at the end of the character class'],
  [/missing argument/, 'something to repeat before it, or a backslash for the character itself'],
  [/nested repetition/, 'one repetition, not two in a row'],
  [/repeat count/, 'a repetition from the smaller number to the larger, within each other at most 1000'],
  [/class range/, 'a character class of RE2'],
  [/trailing backslash/, 'a character after the backslash'],
  [/escape/, 'an escape of RE2'],
  [/named capture|duplicate/, 'a name of letters, digits and "_", once: (?<name>…)'],
  [/Perl/, 'a group of RE2: (…), (?:…), (?<name>…) or a flag such as (?i)'],
]
const HINTS: Readonly<Record<string, string>> = {
  '\\u': 'RE2 writes a code point in braces: \\x{20AC}',
  '\\c': 'RE2 writes a control character by its number: \\x0A',
  '\\Z': 'RE2 writes the end of the text as \\z',
}

function mistake(source: string, error: string, fragment: string): ExpressionError {
  // The engine names the place by the rest of the text, and where something is missing by all of it.
  const end = /closing \)|trailing/.test(error)
  const offset = end ? source.length : Math.max(source.indexOf(fragment), 0)
  for (const [form, what, hint] of UNSUPPORTED) {
    if (!form.test(fragment)) continue
    const message = `${what} is not supported: it can take endless time`
    return new ExpressionError({ message, offset, unsupported: true, hint })
  }
  if (/large|depth/.test(error))
    return new ExpressionError({ offset: 0, message: 'the regular expression is too large' })
  return new ExpressionError({
    message: `"${clip(source)}" is not a regular expression`,
    offset,
    expected: MISTAKES.find(([form]) => form.test(error))?.[1] ?? 'the syntax of RE2',
    found: quote(end ? '' : fragment),
    hint: Object.hasOwn(HINTS, fragment) ? HINTS[fragment] : undefined,
  })
}
