/** The parts of decoded bytes that may be text. Bytes that were decoded with the wrong encoding rarely have any. */
import type { ToSource } from './escapes.ts'

/** Called with decoded bytes and their places in the source. */
export type OnDecoded = (bytes: Uint8Array, toSource: ToSource) => void

/** Bytes. */
const SHORTEST_TEXT = 8

/**
 * For each byte: how many bytes the character of UTF-8 has that begins with it, or 0. NUL counts as a character, because of
 * UTF-16.
 */
const LENGTHS = new Uint8Array(256).fill(1, 0x20, 0x7f).fill(2, 0xc2, 0xe0).fill(3, 0xe0, 0xf0)
for (const byte of [0, 9, 10, 13]) LENGTHS[byte] = 1

/** Calls `onDecoded` with each part of `bytes` that may be text. */
export function eachText(bytes: Uint8Array, toSource: ToSource, onDecoded: OnDecoded): void {
  for (let start = 0; start < bytes.length; ) {
    let end = start
    while (end < bytes.length) {
      const length = LENGTHS[bytes[end] as number] as number
      if (length === 0 || (length > 1 && !isCharacter(bytes, end, length))) break
      end += length
    }
    const base = start
    if (end - start >= SHORTEST_TEXT)
      onDecoded(bytes.subarray(start, end), (from, to) => toSource(base + from, base + to))
    start = end + 1
  }
}

/** Whether the bytes after the first are those of one character of UTF-8. */
function isCharacter(bytes: Uint8Array, at: number, length: number): boolean {
  for (let next = at + 1; next < at + length; next += 1) if (((bytes[next] ?? 0) & 0xc0) !== 0x80) return false
  return true
}
