/**
 * Content codings: takes them off the body of an answer. Pure.
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
