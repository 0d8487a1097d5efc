/** Pauses between calls, a most of calls, and what ends a run before a server locks the client out. */
import { expect, test } from 'vitest'
import type { Problem } from '../../src/record/errors.ts'
import { type Care, careful, stopper } from '../../src/run/careful.ts'
import type { Delivery, Transport } from '../../src/transport/transport.ts'

const TIMING = { startedAt: '2026-01-02T03:04:05.000Z', totalMs: 1 }
const CARE: Care = {
  pauseMs: 0,
  isByHost: false,
  mostCalls: 100,
  watches: 'all signs',
  identities: new Set(['transport']),
}

const SIGNAL = new AbortController().signal

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
  const { send, stops } = play([answered(503), answered(429)], { watches: 'nothing' })

  await send()
  await send()

  expect(stops).toEqual([])
})

test('a server that is unwell stops no other row, one that is about to lock the client out does', async () => {
  const { send, stops } = play([answered(503), answered(500), answered(429)], { watches: 'limits' })

  for (let calls = 0; calls < 2; calls++) await send()
  expect(stops).toEqual([])
  await send()
  expect(stops).toHaveLength(1)
})

test('rows that call one host at the same time begin one pause apart, in the order in which they came', async () => {
  const { together, begun } = play([], { pauseMs: 200, isByHost: true })

  await together(['https://one.example/a', 'https://one.example/b', 'https://two.example/', 'https://one.example/c'])

  expect(begun).toEqual([
    ['https://one.example/a', 0],
    ['https://one.example/b', 200],
    ['https://two.example/', 0],
    ['https://one.example/c', 400],
  ])
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
  const begun: [url: string, at: number][] = []
  const wrapped = careful(
    { ...CARE, ...care },
    {
      clock: () => now,
      wait: async (milliseconds) => {
        waits.push(milliseconds)
        now += milliseconds
      },
      stop: (problem) => void stops.push(problem),
    },
  )(transport)
  const request = { method: 'GET', url: 'https://auth.example/x', headers: [] }
  return {
    waits,
    stops,
    begun,
    /** At the same time: the clock of the test stands still, and only the waits are counted. */
    together: async (urls: readonly string[]) => {
      const still = careful(
        { ...CARE, ...care },
        { clock: () => 0, wait: async (milliseconds) => void waits.push(milliseconds), stop: () => undefined },
      )({ ...transport, send: async () => answered(200) })
      await Promise.all(
        urls.map(async (url) => {
          const sent = still.send({ ...request, url }, { identity: 'transport', timeoutMs: 1, signal: SIGNAL })
          begun.push([url, waits.at(-1) ?? 0])
          await sent
        }),
      )
    },
    send: async (identity = 'transport') => {
      const delivery = await wrapped.send(request, { identity, timeoutMs: 1, signal: SIGNAL })
      return delivery.kind === 'answered' ? delivery.answer.status : undefined
    },
  }
}
