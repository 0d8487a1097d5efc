/** Makes the probe of a step in place of its call, and judges what it saw. Every effect is an argument. */
import type { CallStep } from '../flow/index.ts'
import type { Problem } from '../record/errors.ts'
import type { CheckRecord, StepRecord } from '../record/index.ts'
import type { Delivery, Offer, Outgoing, SendOptions, Transport } from '../transport/transport.ts'
import type { ParsedAnswer } from './answer.ts'
import { isRefusal, isSuccess, refusalFacts } from './judge.ts'

export interface Probing {
  readonly transport: Transport
  readonly options: SendOptions
  /** Learns the secrets of what came, records the exchange, and returns the answer, if there is one. */
  readonly take: (delivery: Delivery) => Promise<ParsedAnswer | undefined>
}

type Result = Omit<Partial<StepRecord>, 'error'> & Pick<StepRecord, 'status'> & { readonly error?: Problem }

export async function probe(step: CallStep, request: Outgoing, probing: Probing): Promise<Result> {
  switch (step.probe) {
    case 'outdated-tls':
      return await byOffers(step, request, probing, ['TLS 1.0', 'TLS 1.1'])
    case 'weak-ciphers':
      return await byOffers(step, request, probing, ['outdated suites'])
    case 'resumed-session':
      return await onOneSession(step, request, probing)
    case 'at-once':
      return await atOnce(step, request, probing)
    case undefined:
      throw new Error(`step "${step.stepId}" has no probe`)
    default:
      return step.probe satisfies never
  }
}

const NO_CONNECTIONS: Result = {
  status: 'skipped',
  because: 'it looks at connections, and in this run the twin answers in the same process',
}

/** The control is an offer that every server of today agrees to. */
async function byOffers(
  step: CallStep,
  { url }: Outgoing,
  { transport: { handshakes }, options }: Probing,
  refused: readonly Offer[],
): Promise<Result> {
  if (handshakes === undefined) return NO_CONNECTIONS
  const checks: CheckRecord[] = []
  for (const offer of ['TLS 1.2 or newer', ...refused] as const) {
    const greeting = await handshakes.greet(url, offer, options)
    if (greeting.kind === 'unknown') return { status: 'errored', error: greeting.problem, checks }
    const shallAgree = !refused.includes(offer)
    checks.push(
      checkOf(step, {
        id: `probe ${offer}`,
        title: `a handshake that offers ${offer} is ${shallAgree ? 'agreed to' : 'refused'}`,
        holds: (greeting.kind === 'agreed') === shallAgree,
        expected: shallAgree ? 'agreed' : 'a TLS alert or a closed connection',
        actual:
          greeting.kind === 'agreed' ? `agreed: ${greeting.protocol} ${greeting.cipher}` : `refused: ${greeting.by}`,
      }),
    )
  }
  return judged(checks)
}

async function onOneSession(
  step: CallStep,
  request: Outgoing,
  { transport: { handshakes }, options, take }: Probing,
): Promise<Result> {
  if (handshakes === undefined) return NO_CONNECTIONS
  const { deliveries, isResumed } = await handshakes.sendOnOneSession(request, options)
  const checks: CheckRecord[] = []
  for (const [index, delivery] of deliveries.entries()) {
    const answer = await take(delivery)
    const inconclusive = noVerdictOf(delivery, answer)
    if (inconclusive !== undefined) return { status: 'errored', error: inconclusive, checks }
    const session = index === 0 ? 'fresh session' : 'resumed session'
    const note = index > 0 && !isResumed ? '; the server gave no session that could be resumed' : ''
    const facts = answer === undefined ? problemIn(delivery)?.message : refusalFacts(answer)
    checks.push(
      checkOf(step, {
        id: `probe ${session}`,
        title: `the request without a certificate is refused on a ${session}`,
        holds: answer === undefined || isRefusal(answer),
        expected: 'a TLS alert, a closed connection, or a 4xx without a token or client_id',
        actual: `${facts}${note}`,
      }),
    )
  }
  return judged(checks)
}

const TIMES = 3

async function atOnce(step: CallStep, request: Outgoing, { transport, options, take }: Probing): Promise<Result> {
  const deliveries = await Promise.all(Array.from({ length: TIMES }, () => transport.send(request, options)))
  const answers: (ParsedAnswer | undefined)[] = []
  for (const delivery of deliveries) answers.push(await take(delivery))
  const failed = deliveries.map(problemIn).find((problem) => problem !== undefined)
  if (failed !== undefined) return { status: 'errored', error: failed }
  const statuses = answers.map((answer) => answer?.status ?? 0)
  return judged([
    checkOf(step, {
      id: 'probe at once',
      title: `of ${TIMES} equal requests at once exactly one succeeds`,
      holds: statuses.filter(isSuccess).length === 1,
      expected: 'one 2xx',
      actual: statuses.join(', '),
    }),
  ])
}

/** An end of the connection is a refusal; that nothing was reached is none. */
function noVerdictOf(delivery: Delivery, answer: ParsedAnswer | undefined): Problem | undefined {
  const problem = problemIn(delivery)
  if (problem !== undefined) return ['TLS_CLIENT_REFUSED', 'PEER_CLOSED'].includes(problem.code) ? undefined : problem
  if (answer === undefined || answer.status < 500) return undefined
  return { code: 'SERVER_ERROR', message: `it answered ${answer.status}, which is no verdict` }
}

function problemIn(delivery: Delivery): Problem | undefined {
  return delivery.kind === 'failed' ? delivery.problem : undefined
}

interface Finding {
  readonly id: string
  readonly title: string
  readonly holds: boolean
  readonly expected: string
  readonly actual: string
}

function checkOf({ clauses, at }: CallStep, { holds, ...found }: Finding): CheckRecord {
  return { ...found, status: holds ? 'pass' : 'fail', level: 'must', clauses: [...clauses], at }
}

function judged(checks: readonly CheckRecord[]): Result {
  return { status: checks.every(({ status }) => status === 'pass') ? 'passed' : 'failed', checks: [...checks] }
}
