/**
 * Calls to servers that others use: a pause between them, at most so many of them, and an end of the run at the first sign that
 * a server is unwell or is about to lock the client out.
 */
import { type Problem, ToolError } from '../record/errors.ts'
import { isPage } from '../record/page.ts'
import type { Delivery, SendOptions, Transport } from '../transport/transport.ts'

export interface Care {
  /** from the end of a call to the beginning of the next, in ms */
  readonly pauseMs: number
  /** the pause is between calls to the same host: rows run at the same time */
  readonly isByHost: boolean
  readonly mostCalls: number
  /** signs that end the run: those of a server that is unwell too, or only those that the client is about to be locked out */
  readonly watches: 'all signs' | 'limits' | 'nothing'
  /** the identities of good calls: what answers another certificate, or none, is no such sign */
  readonly identities: ReadonlySet<string>
}

interface Means {
  /** monotonic milliseconds */
  readonly clock: () => number
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** Called once. The calls that are under way then end; those of steps marked `finally` go on. */
  readonly stop: (problem: Problem) => void
}

/** So many calls in a row that end without an answer are a sign; a single one may be chance. */
const MOST_CLOSES = 3

/** Makes transports careful, all of them together: what one of them sends counts for the others. */
export function careful(care: Care, { clock, wait, stop }: Means): (transport: Transport) => Transport {
  let calls = 0
  let closes = 0
  /** when the next call may begin, by host where they have turns of their own */
  const turns = new Map<string, number>()
  let stopped = false
  const stopFor = (message: string, hint: string) => {
    if (stopped) return
    stopped = true
    stop({ code: 'INTERRUPTED', message: `the run was stopped: ${message}`, hint })
  }
  const inTurn = async <Result>(url: string, { signal }: SendOptions, act: () => Promise<Result>): Promise<Result> => {
    if (++calls > care.mostCalls)
      stopFor(`it has made ${care.mostCalls} calls`, 'MOST_CALLS sets how many a run may make; name fewer flows')
    if (care.pauseMs === 0) return await act()
    const host = care.isByHost ? new URL(url).host : ''
    const turn = Math.max(clock(), turns.get(host) ?? 0)
    // Whoever comes next waits behind this one.
    turns.set(host, turn + care.pauseMs)
    await wait(Math.max(0, turn - clock()), signal)
    const result = await act()
    turns.set(host, Math.max(turns.get(host) ?? 0, clock() + care.pauseMs))
    return result
  }
  const look = (delivery: Delivery, url: string, identity: string) => {
    if (care.watches === 'nothing') return
    const { host } = new URL(url)
    const isGood = care.identities.has(identity)
    if (isGood) closes = isClosed(delivery) ? closes + 1 : 0
    const sign =
      closes >= MOST_CLOSES
        ? `has left ${closes} calls in a row unanswered`
        : signOf(delivery, isGood, care.watches === 'all signs')
    if (sign !== undefined)
      stopFor(`"${host}" ${sign}`, 'find out what happened there, from Thredd if it is theirs, before you run again')
  }
  return (transport) => {
    const { handshakes } = transport
    return {
      // What a probe is refused on purpose is no sign of trouble.
      handshakes: handshakes && {
        greet: (url, offer, options) => inTurn(url, options, () => handshakes.greet(url, offer, options)),
        sendOnOneSession: (request, options) =>
          inTurn(request.url, options, () => handshakes.sendOnOneSession(request, options)),
      },
      async send(request, options) {
        const delivery = await inTurn(request.url, options, () => transport.send(request, options))
        look(delivery, request.url, options.identity)
        return delivery
      },
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    }
  }
}

function isClosed(delivery: Delivery): boolean {
  return delivery.kind === 'failed' && ['PEER_CLOSED', 'CONNECT', 'TIMEOUT'].includes(delivery.problem.code)
}

function signOf(delivery: Delivery, isGood: boolean, isUnwellToo: boolean): string | undefined {
  if (delivery.kind === 'failed') return undefined
  const { status, headers } = delivery.answer
  if (status >= 500 && isUnwellToo) return `answered with ${status}`
  if (status === 429) return 'asks to slow down (429)'
  if (status === 423) return 'says that something is locked (423)'
  return status === 403 && isPage(headers) && isGood ? 'answered with 403 and a page, as a firewall does' : undefined
}

/** Aborts with the reason, which the record then has in place of "interrupted". */
export function stopper(): { readonly signal: AbortSignal; readonly stop: (problem: Problem) => void } {
  const controller = new AbortController()
  return { signal: controller.signal, stop: (problem) => controller.abort(new ToolError([problem])) }
}
