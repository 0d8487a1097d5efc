/** How the clock of a server differs from that of this machine, by the Date header of an answer. Pure. */
import type { Exchange } from '../record/index.ts'
import { httpDate } from '../record/time.ts'

/** With a larger difference, a server may refuse a fresh assertion: it seems issued in the future, or expired. In seconds. */
export const MOST_OFFSET_SECONDS = 5

/**
 * The server's clock minus ours in seconds; undefined without a date, or where a cache has kept the answer. The header has
 * whole seconds and is half a second early on average.
 */
export function clockOffsetOf({ response, timing }: Exchange): number | undefined {
  const header = (wanted: string) => response?.headers.find(([name]) => name.toLowerCase() === wanted)?.[1]
  const date = httpDate(header('date') ?? '')
  if (date === undefined || header('age') !== undefined) return undefined
  const answered = Date.parse(timing.startedAt) + (timing.connectMs ?? 0) + (timing.firstByteMs ?? timing.totalMs)
  return (date + 500 - answered) / 1000
}

/** "400 seconds ahead of" or "behind"; undefined where the clocks agree well enough, or nothing is known. */
export function clockDifference(exchange: Exchange): string | undefined {
  const offset = clockOffsetOf(exchange)
  if (offset === undefined || Math.abs(offset) <= MOST_OFFSET_SECONDS) return undefined
  return `${inUnits(Math.abs(offset))} ${offset < 0 ? 'ahead of' : 'behind'}`
}

function inUnits(seconds: number): string {
  const whole = Math.round(seconds)
  return whole < 86_400 * 2 ? `${whole} seconds` : `${Math.round(whole / 86_400)} days`
}
