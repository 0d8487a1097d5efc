/**
 * Reads what arrived of an answer that the HTTP parser has refused, or that ended too early. Pure, and never fails, since its
 * bytes may be the only copy of a registration.
 */
import type { Received } from './transport.ts'

export function receivedFrom(bytes: Buffer): Received {
  const { lines, end } = headOf(bytes)
  const status = Number(/^HTTP\/\d\.\d ([1-9]\d\d)(?!\d)/.exec(lines[0] ?? '')?.[1] ?? 0)
  const lastOf = (name: string) =>
    lines.flatMap((line) => (nameOf(line).trim().toLowerCase() === name ? [valueIn(line)] : [])).at(-1)
  return {
    bytes,
    status,
    bodyAt: end,
    coding: lastOf('content-encoding'),
    isChunked: /\bchunked\b/i.test(lastOf('transfer-encoding') ?? ''),
  }
}

/** Of a line of the headers. */
export function nameOf(line: string): string {
  return line.slice(0, Math.max(0, line.indexOf(':')))
}

export function valueIn(line: string): string {
  return line.slice(line.indexOf(':') + 1).trim()
}

/** Where the answer begins that follows the interim ones. */
function startOfFinal(bytes: Buffer): number {
  let start = 0
  while (/^HTTP\/1\.\d 1(?!01)\d\d/.test(bytes.toString('latin1', start, start + 12))) {
    const end = bytes.indexOf('\r\n\r\n', start)
    if (end === -1) return start
    start = end + 4
  }
  return start
}

/** The headers of the interim answers before the final one. */
export function interimHeaders(bytes: Buffer): [name: string, value: string][] {
  const lines = bytes.toString('latin1', 0, startOfFinal(bytes)).split('\r\n')
  return lines.flatMap((line) => (line.includes(':') ? [[nameOf(line).toLowerCase(), valueIn(line)]] : []))
}

export interface Head {
  /** status line and headers, without what ends a line */
  readonly lines: readonly string[]
  /** where the body begins */
  readonly end: number
  readonly hasBareFeed: boolean
}

/** Status line and headers of the final answer; a line may end with LF alone. */
export function headOf(bytes: Buffer): Head {
  const start = startOfFinal(bytes)
  const text = bytes.toString('latin1', start)
  const blank = /\r?\n\r?\n/.exec(text)
  const end = blank === null ? text.length : blank.index + blank[0].length
  const head = text.slice(0, end)
  return {
    lines: head.split(/\r?\n/).filter((line) => line !== ''),
    end: start + end,
    hasBareFeed: /(?<!\r)\n/.test(head),
  }
}
