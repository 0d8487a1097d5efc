/** Exchanges as text on the console. */
import { expect, test } from 'vitest'
import type { Exchange } from '../../src/record/index.ts'
import { bodyLog } from '../../src/report/wire.ts'

const body = (text: string) => ({ kind: 'json', text, bytes: text.length, truncated: false })
const ASKED = {
  request: {
    method: 'POST',
    url: 'https://auth.example:8443/token?a=1',
    headers: [['authorization', 'x']],
    body: body('{}'),
  },
  sent: 'yes',
  timing: { startedAt: '2026-01-01T00:00:00.000Z', totalMs: 12.4 },
} as unknown as Exchange

test('the short form has method, path with its query, status, time and bodies, and no header', () => {
  const answered = {
    ...ASKED,
    response: { status: 401, headers: [['date', 'x']], body: body('{\n  "error": "no"\n}') },
  }

  expect(bodyLog(answered as unknown as Exchange)).toEqual([
    '> POST /token?a=1',
    '> {}',
    '< 401 in 12 ms',
    '< {',
    '<   "error": "no"',
    '< }',
  ])
})

test('the short form says what was not sent, and what got no answer', () => {
  expect(bodyLog({ ...ASKED, sent: 'no' })).toEqual([
    '> POST /token?a=1',
    '> {}',
    '* sent: no',
    '* no answer, after 12 ms',
  ])
})
