/** Reads ASN.1 in DER, and the indefinite lengths of BER that some key stores write. Knows no structures. */

export interface Element {
  readonly tag: number
  /** the content; for an indefinite length without its end */
  readonly content: Buffer
  /** tag, length and content */
  readonly whole: Buffer
}

export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octets: 0x04,
  oid: 0x06,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  context0: 0xa0,
} as const

/** The element that the bytes begin with; undefined where they do not hold a whole one. */
export function elementAt(bytes: Buffer, start = 0): Element | undefined {
  const [tag, first] = [bytes[start], bytes[start + 1]]
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined
  if (first === 0x80) return indefinite(bytes, start, tag)
  const more = first & 0x80 ? first & 0x7f : 0
  if (more > 4 || start + 2 + more > bytes.length) return undefined
  const length = more === 0 ? first : bytes.readUIntBE(start + 2, more)
  const from = start + 2 + more
  if (from + length > bytes.length) return undefined
  return { tag, content: bytes.subarray(from, from + length), whole: bytes.subarray(start, from + length) }
}

function indefinite(bytes: Buffer, start: number, tag: number): Element | undefined {
  let at = start + 2
  while (bytes[at] !== 0 || bytes[at + 1] !== 0) {
    const inner = elementAt(bytes, at)
    if (inner === undefined) return undefined
    at += inner.whole.length
  }
  return { tag, content: bytes.subarray(start + 2, at), whole: bytes.subarray(start, at + 2) }
}

/** The elements inside; as many as can be read. */
export function childrenOf(element: Element | undefined): readonly Element[] {
  const children: Element[] = []
  const content = element?.content ?? Buffer.of()
  for (let at = 0; at < content.length; ) {
    const child = elementAt(content, at)
    if (child === undefined) break
    children.push(child)
    at += child.whole.length
  }
  return children
}

/** Content of an OCTET STRING; BER may have cut it into several. */
export function octetsOf(element: Element | undefined): Buffer {
  if (element === undefined) return Buffer.of()
  const isCut = (element.tag & 0x20) !== 0
  return isCut ? Buffer.concat(childrenOf(element).map(octetsOf)) : element.content
}

/** An object identifier as `1.2.840.113549.1.7.1`; '' where the element is none. */
export function oidOf(element: Element | undefined): string {
  if (element?.tag !== TAG.oid) return ''
  const arcs: number[] = []
  let arc = 0
  for (const byte of element.content) {
    arc = arc * 128 + (byte & 0x7f)
    if ((byte & 0x80) === 0) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [first = 0, ...rest] = arcs
  const root = Math.min(Math.floor(first / 40), 2)
  return [root, first - root * 40, ...rest].join('.')
}

/** An INTEGER that is small, such as a version or a count; -1 for any other element. */
export function smallInteger(element: Element | undefined): number {
  if (element?.tag !== TAG.integer || element.content.length > 4 || element.content.length === 0) return -1
  return element.content.readIntBE(0, element.content.length)
}
