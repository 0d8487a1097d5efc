/**
 * Content codings, chunks and characters of two bytes: takes them off the body of an answer. Pure.
 * @see [RFC 9110 section 8.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4)
 */
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { LIMITS } from './limits.ts'

export type Decoded =
  | { readonly ok: true; readonly bytes: Buffer }
  /** `what` in words: `coded as "compress", which is not known` */
  | { readonly ok: false; readonly is: 'unreadable' | 'too large'; readonly what: string }

/** `coding` is the value of Content-Encoding. `isCut`: the body may lack its end, and what can be decoded of it counts. */
export function decoded(body: Uint8Array, coding: string | undefined, { isCut = false } = {}): Decoded {
  const names = (coding ?? '').split(',').flatMap((name) => name.trim().toLowerCase() || [])
  const most = LIMITS.codings.value
  if (names.length > most) return { ok: false, is: 'too large', what: `coded more than ${most} times` }
  let bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  // The last one named was applied last. An answer without a body has nothing that could be coded.
  for (const name of body.length === 0 ? [] : names.reverse()) {
    const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
    if (decode === undefined)
      return { ok: false, is: 'unreadable', what: `coded as "${clip(name)}", which is not known` }
    try {
      bytes = decode(bytes, isCut)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        return { ok: false, is: 'too large', what: `larger than ${maxOutputLength} bytes when it is decoded` }
      return { ok: false, is: 'unreadable', what: `not what its Content-Encoding "${clip(name)}" says` }
    }
  }
  return { ok: true, bytes }
}

/**
 * The text of a body as far as it can be read: decoded as far as that goes, else as it came. `isWhole` is false where it has
 * more of a text than was decoded.
 */
export function readable(
  body: Uint8Array,
  { coding, isChunked = false }: { readonly coding: string | undefined; readonly isChunked?: boolean },
): { readonly text: string; readonly isWhole: boolean } {
  const whole = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const own = isChunked ? withoutChunks(whole) : whole
  // A checksum at its end may be wrong; of what is damaged or too large the beginning is decoded.
  const lengths = [own.length, own.length - LENGTH_OF_CHECKSUM]
  for (let length = own.length >> 1; length > 0; length >>= 1) lengths.push(length)
  for (const length of lengths.filter((one) => one > 0)) {
    const content = decoded(own.subarray(0, length), coding, { isCut: true })
    if (content.ok && content.bytes.length > 0)
      return { text: textOfBytes(content.bytes), isWhole: length >= own.length - LENGTH_OF_CHECKSUM }
  }
  return { text: textOfBytes(own), isWhole: own.length === 0 }
}

/** Of gzip: the checksum and the size (RFC 1952 section 2.3.1). */
const LENGTH_OF_CHECKSUM = 8

/** UTF-8, or UTF-16 where that can be told from its zeros; without its byte order mark, after which no JSON is parsed. */
function textOfBytes(bytes: Buffer): string {
  return (inUtf16(bytes) ?? bytes.toString()).replace(/^\uFEFF/, '')
}

/** JSON begins with an ASCII character, so a zero beside it tells that characters have two bytes; a byte order mark does too. */
function inUtf16(bytes: Buffer): string | undefined {
  if (bytes.length % 2 === 0 && bytes[0] === 0xfe && bytes[1] === 0xff)
    return Buffer.from(bytes).swap16().toString('utf16le')
  if (bytes[1] === 0 || (bytes[0] === 0xff && bytes[1] === 0xfe)) return bytes.toString('utf16le')
  return bytes[0] === 0 && bytes.length % 2 === 0 ? Buffer.from(bytes).swap16().toString('utf16le') : undefined
}

/** As far as its chunks can be told (RFC 9112 section 7.1), and what follows them. */
function withoutChunks(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  let at = 0
  for (;;) {
    const line = /^[\r\n]*([0-9a-f]{1,7})[^\r\n]*\r?\n/i.exec(bytes.toString('latin1', at, at + 100))
    const size = Number.parseInt(line?.[1] ?? '', 16)
    if (line === null || size === 0) return Buffer.concat(line === null ? [...chunks, bytes.subarray(at)] : chunks)
    at += line[0].length
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
}

const maxOutputLength = LIMITS.bodyBytes.value

type Decoder = (bytes: Uint8Array, isCut: boolean) => Buffer

const gzip: Decoder = (bytes, isCut) =>
  gunzipSync(bytes, { maxOutputLength, ...(isCut ? { finishFlush: constants.Z_SYNC_FLUSH } : {}) })

const DECODERS: Readonly<Record<string, Decoder>> = {
  gzip,
  'x-gzip': gzip,
  deflate: inflated,
  br: (bytes, isCut) =>
    brotliDecompressSync(bytes, {
      maxOutputLength,
      ...(isCut ? { finishFlush: constants.BROTLI_OPERATION_FLUSH } : {}),
    }),
  zstd: (bytes, isCut) =>
    zstdDecompressSync(bytes, { maxOutputLength, ...(isCut ? { finishFlush: constants.ZSTD_e_flush } : {}) }),
  identity: (bytes) => Buffer.from(bytes),
}

/** Some servers leave out the zlib header (RFC 9110 section 8.4.1.2). */
function inflated(bytes: Uint8Array, isCut: boolean): Buffer {
  const options = { maxOutputLength, ...(isCut ? { finishFlush: constants.Z_SYNC_FLUSH } : {}) }
  try {
    return inflateSync(bytes, options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw error
    return inflateRawSync(bytes, options)
  }
}

function clip(name: string): string {
  return name.length > 60 ? `${name.slice(0, 59)}…` : name
}
