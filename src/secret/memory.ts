/** The memory of one look at a text, used again for the next: what is decoded is short-lived, and there is much of it. */

const LEAST = 256 * 1024
const MOST = 64 * 1024 * 1024

let memory = Buffer.allocUnsafeSlow(LEAST)
let used = 0
let wanted = 0

/** Nothing that was given out before is needed any more. */
export function freeMemory(): void {
  if (wanted > memory.length && wanted <= MOST) memory = Buffer.allocUnsafeSlow(2 * wanted)
  used = 0
  wanted = 0
}

/** So many bytes of any content. */
export function takeMemory(length: number): Buffer {
  wanted += length
  if (used + length > memory.length) return Buffer.allocUnsafeSlow(length)
  used += length
  return memory.subarray(used - length, used)
}

export function bytesOf(text: string): Buffer {
  const bytes = takeMemory(3 * text.length)
  const length = bytes.write(text)
  // The rest is given back where nobody has taken more.
  if (bytes.buffer === memory.buffer) used -= bytes.length - length
  return bytes.subarray(0, length)
}
