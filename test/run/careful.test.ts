/** Pauses between calls, a most of calls, and what ends a run before a server locks the client out. */
import { expect, test } from 'vitest'
import type { Problem } from '../../src/record/errors.ts'
import { type Care, careful, stopper } from '../../src/run/careful.ts'
import type { Delivery, Transport } from '../../src/transport/transport.ts'

const TIMING = { startedAt: '2026-01-02T03:04:05.000Z', totalMs: 1 }
const CARE: Care = { pauseMs: 0, mostCalls: 100, watches: true, identities: new Set(['transport']) }

const closed: Delivery = {
  kind: 'failed',
  sent: 'unknown',
  problem: { code: 'PEER_CLOSED', message: 'closed' },
  timing: TIMING,
}

test('the next call waits until the pause after the last answer is over', async () => {
  const { send, waits } = play([answered(200), answered(200), answered(200)], { pauseMs: 200 })

  for (let calls = 0; calls < 3; calls++) await send()

  // Each call takes 50 ms by the clock of the test.
  expect(waits).toEqual([0, 200, 200])
})

test('after the most calls the run is stopped, and what undoes the others still goes out', async () => {
  const { send, stops } = play([answered(200), answered(200), answered(204)], { mostCalls: 2 })

  const statuses = [await send(), await send(), await send()]

  expect(statuses).toEqual([200, 200, 204])
  expect(stops.map(({ code, message }) => [code, message])).toEqual([
    ['INTERRUPTED', 'the run was stopped: it has made 2 calls'],
  ])
})

test.each<[string, readonly Delivery[], string | undefined]>([
  ['500', [answered(500)], 'answered with 500'],
  ['503', [answered(503)], 'answered with 503'],
  ['429', [answered(429)], 'asks to slow down (429)'],
  ['423', [answered(423)], 'says that something is locked (423)'],
  ['a page with 403', [answered(403, 'text/html; charset=utf-8')], 'answered with 403 and a page, as a firewall does'],
  ['JSON with 403', [answered(403, 'application/json')], undefined],
  ['401', [answered(401, 'text/html')], undefined],
  ['three closes in a row', [closed, closed, closed], 'has left 3 calls in a row unanswered'],
  ['two closes and an answer', [closed, closed, answered(200), closed, closed], undefined],
])('%s: %#', async (_, deliveries, expected) => {
  const { send, stops } = play(deliveries)

  for (const __ of deliveries) await send()

  expect(stops.map(({ message }) => message)).toEqual(
    expected === undefined ? [] : [`the run was stopped: "auth.example" ${expected}`],
  )
})

test('what answers another certificate, or none, is no sign of trouble but for an error of the server', async () => {
  const { send, stops } = play([closed, closed, closed, answered(403, 'text/html'), answered(502)])

  for (let calls = 0; calls < 4; calls++) await send('none')
  expect(stops).toEqual([])
  await send('none')
  expect(stops).toHaveLength(1)
})

test('without a watch nothing stops a run but its most calls', async () => {
  const { send, stops } = play([answered(503), answered(429)], { watches: false })

  await send()
  await send()

  expect(stops).toEqual([])
})

test('a run is stopped with the reason', () => {
  const { signal, stop } = stopper()

  stop({ code: 'INTERRUPTED', message: 'the run was stopped: it has made 2 calls' })

  expect(signal.aborted).toBe(true)
  expect(signal.reason).toMatchObject({ message: 'the run was stopped: it has made 2 calls' })
})

function answered(status: number, type = 'application/json'): Delivery {
  return {
    kind: 'answered',
    answer: { status, headers: [['content-type', type]], body: new Uint8Array() },
    timing: TIMING,
  }
}

/** Answers with these, each after 50 ms. */
function play(deliveries: readonly Delivery[], care: Partial<Care> = {}) {
  const left = [...deliveries]
  const waits: number[] = []
  const stops: Problem[] = []
  let now = 0
  const transport: Transport = {
    async send() {
      now += 50
      return left.shift() as Delivery
    },
    async [Symbol.asyncDispose]() {},
  }
  const wrapped = careful(
    transport,
    { ...CARE, ...care },
    {
      clock: () => now,
      wait: async (milliseconds) => {
        waits.push(milliseconds)
        now += milliseconds
      },
      stop: (problem) => void stops.push(problem),
    },
  )
  const request = { method: 'GET', url: 'https://auth.example/x', headers: [] }
  return {
    waits,
    stops,
    send: async (identity = 'transport') => {
      const delivery = await wrapped.send(request, { identity, timeoutMs: 1, signal: new AbortController().signal })
      return delivery.kind === 'answered' ? delivery.answer.status : undefined
    },
  }
}
