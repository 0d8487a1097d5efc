/** Dates of a server that no calendar has: each report is written, and says nothing that the date does not. */
import { expect, test } from 'vitest'
import { httpDate, momentOf } from '../../src/record/time.ts'
import { clockOffsetOf } from '../../src/report/clock.ts'
import { FORMATS } from '../../src/report/index.ts'
import { exchange, recordOf, registration, reported, TOKEN, whole } from '../support/reports.ts'

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const [header, , signature] = TOKEN.split('.')

/** The answer of a registration with such times in its members, in the claims of its JWT, and in its header. */
function answered(time: unknown, date: string) {
  const jwt = `${header}.${encoded({ iss: 'a', iat: time, exp: time, nbf: time })}.${signature}`
  const text = JSON.stringify({
    client_id: 'a',
    client_secret_expires_at: time,
    client_id_issued_at: time,
    software_statement: jwt,
  })
  const one = exchange()
  const response = {
    status: 201,
    headers: [['date', date]] as [string, string][],
    body: { text, bytes: text.length, sha256: '22' },
  }
  return { ...one, response }
}

test.each([1e20, -1, -1e20, 'soon', 8_640_000_000_000, 8_640_000_000_001, 0.5, null, [], { a: 1 }, true])(
  'with the time %j in an answer every report is written',
  (time) => {
    const record = recordOf([registration({ exchanges: [answered(time, 'Fri, 02 Jan 275761 03:04:07 GMT')] })])

    for (const { convert } of Object.values(FORMATS))
      expect(whole(convert(reported(record)))).not.toContain('Invalid Date')
  },
)

test('a moment is a date that a calendar has, or none', () => {
  expect([0, -1, 8_640_000_000_000].map(momentOf)).toEqual([
    '1970-01-01T00:00:00.000Z',
    '1969-12-31T23:59:59.000Z',
    '+275760-09-13T00:00:00.000Z',
  ])
  expect([1e20, -1e20, Number.NaN, Number.POSITIVE_INFINITY, 'soon', undefined].map(momentOf)).toEqual(
    Array(6).fill(undefined),
  )
})

test('the three forms of a date in a header are read, and no other (RFC 9110 section 5.6.7)', () => {
  const [imf, old, asctime] = [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ]

  expect([imf, old, asctime].map(httpDate)).toEqual(Array(3).fill(Date.UTC(1994, 10, 6, 8, 49, 37)))
  for (const text of [
    '',
    '-5',
    '1e20',
    'soon',
    '2026-01-02',
    'Fri, 02 Jan 275761 03:04:07 GMT',
    'Fri, 99 Jan 2026 03:04:07 GMT',
  ])
    expect(httpDate(text), text).toBeUndefined()
})

test.each(['-5', '1e20', 'soon', 'Fri, 02 Jan 275761 03:04:07 GMT', ''])(
  'the Date %j says nothing of the clock',
  (date) => {
    expect(clockOffsetOf(answered(0, date))).toBeUndefined()
  },
)
