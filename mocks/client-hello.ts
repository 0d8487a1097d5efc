/** Reads the server name from a TLS ClientHello. Anything it cannot read is left for OpenSSL to accept or refuse. */

export type Greeting =
  /** more bytes are needed */
  | { readonly kind: 'partial' }
  /** `name` is undefined where the client named no server, or did not speak TLS */
  | { readonly kind: 'whole'; readonly name: string | undefined }

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0

/** The first bytes of a connection. @see [RFC 8446 4.1.2](https://www.rfc-editor.org/rfc/rfc8446.html#section-4.1.2) */
export function readGreeting(bytes: Buffer): Greeting {
  const fragments: Buffer[] = []
  // A hello may be spread over several records (RFC 8446 5.1).
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE) return { kind: 'whole', name: undefined }
    if (bytes.length < at + 5) return { kind: 'partial' }
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    fragments.push(bytes.subarray(at + 5, Math.min(end, bytes.length)))
    const hello = Buffer.concat(fragments)
    if (hello.length > 0 && hello[0] !== CLIENT_HELLO) return { kind: 'whole', name: undefined }
    if (hello.length >= 4) {
      const length = hello.readUIntBE(1, 3)
      if (hello.length >= 4 + length) return { kind: 'whole', name: serverName(hello.subarray(4, 4 + length)) }
    }
    at = end
  }
  return { kind: 'partial' }
}

function serverName(hello: Buffer): string | undefined {
  try {
    let at = 2 + 32
    at += 1 + hello.readUInt8(at)
    at += 2 + hello.readUInt16BE(at)
    at += 1 + hello.readUInt8(at)
    const end = at + 2 + hello.readUInt16BE(at)
    at += 2
    while (at + 4 <= end) {
      const type = hello.readUInt16BE(at)
      const length = hello.readUInt16BE(at + 2)
      at += 4
      // RFC 6066 3: a list of names, of which only host_name (0) exists.
      if (type === SERVER_NAME && hello.readUInt8(at + 2) === 0) {
        return hello.toString('latin1', at + 5, at + 5 + hello.readUInt16BE(at + 3)).toLowerCase()
      }
      at += length
    }
  } catch (error) {
    // Lengths that point past the end: no name.
    if (!(error instanceof RangeError)) throw error
  }
  return undefined
}
