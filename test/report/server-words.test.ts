/** Whatever a server answers in place of what was asked for, its own words come first, and nothing of them breaks a report. */
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { Fault } from '../../mocks/index.ts'
import { inOneLine, wordsOf } from '../../src/report/server-words.ts'
import { github, junit, markdown } from '../support/reports.ts'
import { runOnTwin, stepOf } from '../support/run.ts'

const JSON_TYPE = 'application/json'

/** status, content type, body, and the first line of the finding. */
const ANSWERS: readonly (readonly [what: string, status: number, type: string, body: string, said: string])[] = [
  ['an error nobody knows', 400, JSON_TYPE, '{"error":"zorp"}', '400 zorp'],
  [
    'a description in another language',
    400,
    JSON_TYPE,
    '{"error":"invalid_client_metadata","error_description":"Der angeforderte Geltungsbereich „eds“ fehlt – 範囲外"}',
    '400 invalid_client_metadata “Der angeforderte Geltungsbereich „eds“ fehlt – 範囲外”',
  ],
  ['a page', 404, 'text/html', '<html><title>404 Not\nFound</title><body>nginx</body></html>', '404 “404 Not Found”'],
  [
    'a page without a title',
    401,
    'text/html',
    '<style>p{}</style><p>No &amp; <b>never</b></p>',
    '401 “No &amp; never”',
  ],
  ['a text', 400, 'text/plain', 'bad request', '400 “bad request”'],
  ['nothing', 401, JSON_TYPE, '', '401'],
  ['error as a number', 400, JSON_TYPE, '{"error":42,"error_description":null}', '400 42'],
  ['error as an object', 400, JSON_TYPE, '{"error":{"code":"E1","message":"no"}}', '400 E1 “no”'],
  ['error as a list', 400, JSON_TYPE, '{"error":["a","b"]}', '400 a; b'],
  ['a list of data', 400, JSON_TYPE, '[{"a":1}]', '400 “[{"a":1}]”'],
  ['a list of texts', 400, JSON_TYPE, '["too long","no name"]', '400 · hint “too long; no name”'],
  ['a list of errors', 400, JSON_TYPE, '[{"code":"E1","message":"no"},{"code":"E2"}]', '400 E1 “no”'],
  ['a text in JSON', 400, JSON_TYPE, '"no"', '400 “no”'],
  ['null', 400, JSON_TYPE, 'null', '400 “null”'],
  ['broken JSON', 400, JSON_TYPE, '{"error":"inv', '400 “{"error":"inv”'],
  [
    'problem details',
    422,
    JSON_TYPE,
    '{"type":"about:blank","title":"Unprocessable","status":422,"errors":{"name":["too long"]}}',
    '422 “Unprocessable” · hint “{"name":["too long"]}”',
  ],
  ['what steers a terminal', 400, JSON_TYPE, '{"error":"\\u001b[31m::error::x"}', '400 \\u001b[31m::error::x'],
  ['__proto__', 400, JSON_TYPE, '{"__proto__":{"error":"x"},"error":"y"}', '400 y'],
]

test.for(ANSWERS)('%s', async ([, status, type, body, said]) => {
  await using ran = await runOnTwin({ faults: [answering('registerClient', status, { type, body })] })

  const step = stepOf(ran.record, 'register')
  expect(step.status).toBe('failed')
  expect(step.notJudged?.length).toBeGreaterThan(5)
  expect(step.checks.filter((check) => check.status === 'fail').every(({ member }) => member === 'status')).toBe(true)
  expect(ran.screen).toContain(`failed ${said}`)
  const [line = ''] = github(ran.record).filter((one) => one.includes('register / register'))
  expect(line).toMatch(/^::error file=/)
  expect(junit(ran.record)).toContain('failures="1"')
  expect(markdown(ran.record)).toContain('❌ **failed** `register / register`: ')
})

test('the trace id of the answer stands beside its words; a success says nothing', () => {
  const response = (status: number, name: string) => ({
    status,
    headers: [[name, 'abc']] as [string, string][],
    body: { bytes: 2, text: '{"error":"x"}' },
  })
  const words = wordsOf(response(400, 'X-Trace-ID'))
  expect(words && inOneLine(words)).toBe('400 x · X-Trace-ID abc')
  expect(wordsOf(response(201, 'X-Trace-ID'))).toBeUndefined()
})

test.for([
  ['no date', undefined, undefined],
  ['a date in the far past', 'Thu, 01 Jan 1970 00:00:00 GMT', /\d+ days ahead of/],
  ['a date that is none', 'yesterday', undefined],
  ['the time of now', 'now', undefined],
] as const)('a refused assertion, with %s', async ([, date, said]) => {
  const body = '{"error":"invalid_client"}'
  const headers = date === undefined ? {} : { date: date === 'now' ? new Date().toUTCString() : date }
  await using ran = await runOnTwin({ faults: [answering('token', 401, { type: JSON_TYPE, body, headers })] })

  if (said === undefined) expect(ran.screen).not.toContain('the clock of this machine')
  else expect(ran.screen).toMatch(said)
})

function answering(
  operation: string,
  status: number,
  {
    type,
    body,
    headers = {},
  }: { readonly type: string; readonly body: string; readonly headers?: Record<string, string> },
): Fault {
  return {
    name: operation,
    what: operation,
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === operation,
        () => new HttpResponse(body, { status, headers: { 'content-type': type, ...headers } }),
      ),
    ],
  }
}
