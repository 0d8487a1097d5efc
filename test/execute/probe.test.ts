/** What the probes of a step conclude from what a server answers to offers, to a session, and to equal requests at once. */
import { expect, test } from 'vitest'
import { probe } from '../../src/execute/probe.ts'
import type { ProbeName } from '../../src/flow/arazzo/probes.ts'
import type { CallStep } from '../../src/flow/index.ts'
import type { Delivery, Greeting, Offer, Transport } from '../../src/transport/transport.ts'

const REQUEST = { method: 'GET', url: 'https://server.example/x', headers: [] }
const OPTIONS = { identity: 'none', timeoutMs: 1000, signal: new AbortController().signal }
const TIMING = { startedAt: '2026-01-01T00:00:00Z', totalMs: 1 }

/** Two transports in one: greetings by offer, and answers by status; 0 is a closed connection. */
function serverOf({
  greetings = {},
  statuses = [],
  isResumed = true,
}: {
  readonly greetings?: Partial<Record<Offer, Greeting>>
  readonly statuses?: readonly number[]
  readonly isResumed?: boolean
}): Transport {
  const left = [...statuses]
  const next = (): Delivery => {
    const status = left.shift() ?? 0
    const problem = { code: status === -1 ? 'CONNECT' : 'PEER_CLOSED', message: 'no answer' } as const
    return status > 0
      ? { kind: 'answered', answer: { status, headers: [], body: new Uint8Array() }, timing: TIMING }
      : { kind: 'failed', sent: 'unknown', problem, timing: TIMING }
  }
  return {
    handshakes: {
      greet: async (_, offer) => greetings[offer] ?? { kind: 'refused', by: 'an alert' },
      sendOnOneSession: async () => ({ deliveries: [next(), next()], isResumed }),
    },
    send: async () => next(),
    async [Symbol.asyncDispose]() {},
  }
}

async function outcome(name: ProbeName, transport: Transport): Promise<string> {
  const step = { stepId: 'a', probe: name, clauses: [] } as unknown as CallStep
  const take = async (delivery: Delivery) =>
    delivery.kind === 'answered'
      ? { status: delivery.answer.status, headers: [], body: undefined, unreadable: undefined }
      : undefined
  const {
    status,
    checks = [],
    error,
  } = await probe(step, REQUEST, { transport, options: OPTIONS, take: take as never })
  return [status, ...checks.map((check) => `${check.id} ${check.status}`), ...(error ? [error.code] : [])].join(', ')
}

const AGREED = { kind: 'agreed', protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' } as const

test('offers are judged only where the server agrees to TLS of today', async () => {
  const modern = { 'TLS 1.2 or newer': AGREED }

  expect(await outcome('outdated-tls', serverOf({ greetings: modern }))).toBe(
    'passed, probe TLS 1.2 or newer pass, probe TLS 1.0 pass, probe TLS 1.1 pass',
  )
  expect(await outcome('outdated-tls', serverOf({ greetings: { ...modern, 'TLS 1.1': AGREED } }))).toBe(
    'failed, probe TLS 1.2 or newer pass, probe TLS 1.0 pass, probe TLS 1.1 fail',
  )
  expect(await outcome('weak-ciphers', serverOf({}))).toBe(
    'failed, probe TLS 1.2 or newer fail, probe outdated suites pass',
  )
  const unknown = { kind: 'unknown', problem: { code: 'DNS', message: 'no such host' } } as const
  expect(await outcome('weak-ciphers', serverOf({ greetings: { 'TLS 1.2 or newer': unknown } }))).toBe('errored, DNS')
})

test('a session without a certificate must be refused both times, and what was not reached is no refusal', async () => {
  const [fresh, resumed] = ['probe fresh session', 'probe resumed session']

  expect(await outcome('resumed-session', serverOf({ statuses: [0, 400] }))).toBe(
    `passed, ${fresh} pass, ${resumed} pass`,
  )
  expect(await outcome('resumed-session', serverOf({ statuses: [0, 200] }))).toBe(
    `failed, ${fresh} pass, ${resumed} fail`,
  )
  expect(await outcome('resumed-session', serverOf({ statuses: [-1, 400] }))).toBe('errored, CONNECT')
  expect(await outcome('resumed-session', serverOf({ statuses: [503, 400] }))).toBe('errored, SERVER_ERROR')
})

test('of equal requests at once exactly one may succeed', async () => {
  expect(await outcome('at-once', serverOf({ statuses: [401, 200, 401] }))).toBe('passed, probe at once pass')
  expect(await outcome('at-once', serverOf({ statuses: [200, 200, 401] }))).toBe('failed, probe at once fail')
  expect(await outcome('at-once', serverOf({ statuses: [401, 401, 401] }))).toBe('failed, probe at once fail')
  expect(await outcome('at-once', serverOf({ statuses: [200, 0, 401] }))).toBe('errored, PEER_CLOSED')
})

test('without connections a handshake cannot be looked at', async () => {
  const { send, [Symbol.asyncDispose]: dispose } = serverOf({})

  expect(await outcome('outdated-tls', { send, [Symbol.asyncDispose]: dispose })).toBe('skipped')
})
