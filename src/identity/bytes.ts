/** Bytes as text, in the encodings that editors and shells of several systems write. */

export interface Decoded {
  readonly text: string
  /** `latin1`: the bytes are not UTF-8, so each stands for the character of its own number */
  readonly encoding: 'utf-8' | 'utf-16le' | 'utf-16be' | 'latin1'
}

const MARKS: readonly (readonly [mark: readonly number[], encoding: Decoded['encoding']])[] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
]

/** Never throws. A byte order mark decides and is dropped; without one, UTF-16 is told by its zero bytes. */
export function decodeText(bytes: Uint8Array): Decoded {
  const marked = MARKS.find(([mark]) => mark.every((byte, index) => bytes[index] === byte))
  const encoding = marked?.[1] ?? unmarked(bytes)
  const rest = bytes.subarray(marked?.[0].length ?? 0)
  if (encoding !== 'utf-8') return { text: new TextDecoder(encoding).decode(rest), encoding }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(rest), encoding }
  } catch {
    return { text: Buffer.from(rest).toString('latin1'), encoding: 'latin1' }
  }
}

/** ASCII text in UTF-16 has a zero in each pair of bytes, always on the same side. */
function unmarked(bytes: Uint8Array): Decoded['encoding'] {
  const start = bytes.subarray(0, 512)
  const zeros = (side: number) => start.filter((byte, index) => index % 2 === side && byte === 0).length
  const most = start.length >> 1
  if (most > 0 && zeros(1) > most * 0.7 && zeros(0) === 0) return 'utf-16le'
  if (most > 0 && zeros(0) > most * 0.7 && zeros(1) === 0) return 'utf-16be'
  return 'utf-8'
}
