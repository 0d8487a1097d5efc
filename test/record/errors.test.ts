/** How a problem is printed, what is suggested, and which exit code wins. */
import { expect, test } from 'vitest'
import {
  CODES,
  fail,
  inReadingOrder,
  isNonEmpty,
  nearest,
  type Problem,
  render,
  ToolError,
  worstExit,
} from '../../src/record/errors.ts'

test('a problem is printed with its line, a caret, what was expected and found, and what to do', () => {
  const source = ['arazzo: 1.1.0', 'steps:', '  - operationId: createClient'].join('\n')

  const text = render(
    {
      code: 'FLOW_REFERENCE',
      message: 'there is no operation "createClient"',
      at: { file: 'dcr.arazzo.yaml', line: 3, column: 18 },
      expected: 'one of "registerClient"',
      found: '"createClient"',
      hint: 'did you mean "registerClient"?',
    },
    source,
  )

  expect(text.split('\n')).toEqual([
    'error[FLOW_REFERENCE]: there is no operation "createClient"',
    '  --> dcr.arazzo.yaml:3:18',
    '  |',
    '3 |   - operationId: createClient',
    '  |                  ^',
    '   = expected one of "registerClient"',
    '   = got "createClient"',
    '   = did you mean "registerClient"?',
  ])
})

test('a problem without a place or details is one line', () => {
  expect(render({ code: 'USAGE', message: 'there is no command "rnu"' })).toBe(
    'error[USAGE]: there is no command "rnu"',
  )
})

test('a place without its text stays without a line', () => {
  const problem: Problem = { code: 'ENV_INVALID', message: 'm', at: { file: '.env', line: 7, column: 1 } }

  expect(render(problem)).toBe('error[ENV_INVALID]: m\n  --> .env:7:1')
  expect(render(problem, 'only one line')).toBe('error[ENV_INVALID]: m\n  --> .env:7:1')
})

test('the gutter is as wide as the line number, and Windows line ends do not show', () => {
  const source = `${'\r\n'.repeat(99)}here\r\n`

  expect(caretOf(source, 100, 1)).toEqual(['    |', '100 | here', '    | ^'])
})

test('tabs before the caret stay tabs, so that it stands under its character', () => {
  expect(caretOf('\ta:\tb', 1, 5)).toEqual(['  |', '1 | \ta:\tb', '  | \t  \t^'])
})

test('of a very long line the part around the caret is shown', () => {
  const line = `${'a'.repeat(500)}HERE${'b'.repeat(500)}`

  expect(caretOf(line, 1, 501)).toEqual([
    '  |',
    `1 | …${'a'.repeat(79)}HERE${'b'.repeat(77)}…`,
    `  | ${' '.repeat(80)}^`,
  ])
  expect(caretOf(line, 1, 1)).toEqual(['  |', `1 | ${'a'.repeat(160)}…`, '  | ^'])
  expect(caretOf(line, 1, 1004)).toEqual(['  |', `1 | …${'b'.repeat(160)}`, `  | ${' '.repeat(160)}^`])
})

test.each([
  ['run', ['run', 'rnu'], 'run'],
  ['rnu', ['run', 'mock'], 'run'],
  ['regster', ['register', 'read'], 'register'],
  ['REGISTER', ['register'], 'register'],
  ['evn', ['env', 'input'], 'env'],
  ['succesCriteria', ['successCriteria', 'onSuccess'], 'successCriteria'],
  ['operationID', ['operationId', 'operationPath'], 'operationId'],
  ['xyz', ['register', 'read'], undefined],
  ['E', ['A', 'B'], undefined],
  ['e', ['E'], 'E'],
  ['', ['a'], undefined],
  ['register', [], undefined],
])('for "%s" of %j the suggestion is %s', (word, candidates, suggestion) => {
  expect(nearest(word, candidates)).toBe(suggestion)
})

test.each([
  [[], 0],
  [[0, 0], 0],
  [[0, 3], 3],
  [[3, 1, 0], 1],
  [[1, 3, 2], 2],
  [[2, 1, 70], 70],
])('of the outcomes %j the exit code is %i', (codes, exit) => {
  expect(worstExit(codes)).toBe(exit)
})

test('problems are told file by file from top to bottom, those of the named file last', () => {
  const problem = (file: string | undefined, line: number, column = 1): Problem => ({
    code: 'FLOW_STRUCTURE',
    message: `${file}:${line}:${column}`,
    at: file === undefined ? undefined : { file, line, column },
  })
  const mixed = [problem('flow', 9), problem('api', 2), problem('flow', 9, 0), problem(undefined, 0), problem('api', 1)]

  expect(inReadingOrder(mixed, 'flow').map(({ message }) => message)).toEqual([
    'api:1:1',
    'api:2:1',
    'undefined:0:1',
    'flow:9:0',
    'flow:9:1',
  ])
  expect(inReadingOrder(mixed).map(({ message }) => message)).toEqual([
    'flow:9:0',
    'flow:9:1',
    'api:1:1',
    'api:2:1',
    'undefined:0:1',
  ])
})

test('an error carries all problems, leads with the first and keeps its cause', () => {
  const cause = new Error('ENOENT')
  const error = new ToolError(
    [
      { code: 'ENV_FILE', message: 'first' },
      { code: 'USAGE', message: 'second' },
    ],
    cause,
  )

  expect([error.name, error.code, error.message, error.cause]).toEqual([
    'ToolError',
    'ENV_FILE',
    'first; second',
    cause,
  ])
  expect(() => fail({ code: 'USAGE', message: 'alone' })).toThrow(new ToolError([{ code: 'USAGE', message: 'alone' }]))
  expect([isNonEmpty([]), isNonEmpty([0])]).toEqual([false, true])
})

test.each(Object.entries(CODES))('code %s says what it means and where it leads', (code, { exit, means }) => {
  expect(code).toMatch(/^[A-Z][A-Z_]+$/)
  expect([2, 3, 4, 70]).toContain(exit)
  // Lower-case like every message, and no full stop.
  expect(means).toMatch(/^[a-z].*[^.]$/)
})

function caretOf(source: string, line: number, column: number): string[] {
  const text = render({ code: 'FLOW_SYNTAX', message: 'm', at: { file: 'f', line, column } }, source)
  return text.split('\n').slice(2)
}
