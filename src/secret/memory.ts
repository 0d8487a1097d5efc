/**
 * A buffer for the bytes of one text while it is decoded. The next text reuses it, so that the garbage collector has less to
 * do.
 */

const SMALLEST = 256 * 1024
const LARGEST = 64 * 1024 * 1024

let memory = Buffer.allocUnsafeSlow(SMALLEST)
let used = 0
let requested = 0

/** Call this before a new text: everything `takeMemory` has returned so far may be overwritten. */
export function freeMemory(): void {
  if (requested > memory.length && requested <= LARGEST) memory = Buffer.allocUnsafeSlow(2 * requested)
  used = 0
  requested = 0
}

/** Returns `length` bytes with arbitrary content. */
export function takeMemory(length: number): Buffer {
  requested += length
  if (used + length > memory.length) return Buffer.allocUnsafeSlow(length)
  used += length
  return memory.subarray(used - length, used)
}

/** The text in UTF-8, in memory of `takeMemory`. */
export function bytesOf(text: string): Buffer {
  const bytes = takeMemory(3 * text.length)
  const length = bytes.write(text)
  // Releases the bytes that were not needed, unless they come from a buffer of their own.
  if (bytes.buffer === memory.buffer) used -= bytes.length - length
  return bytes.subarray(0, length)
}
