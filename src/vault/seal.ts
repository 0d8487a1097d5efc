/**
 * One text sealed under one key: compact JWE, `dir` with A256GCM. Synchronous, which jose is not: while a line is sealed
 * and written nothing else of this process may write. Any JOSE library opens what this seals, and a test holds that.
 *
 * @see [RFC 7516 §7.1](https://www.rfc-editor.org/rfc/rfc7516.html#section-7.1), [RFC 7518 §4.5 and §5.3](https://www.rfc-editor.org/rfc/rfc7518.html#section-4.5)
 */
import { createCipheriv, createDecipheriv, createSecretKey, hash, randomBytes } from 'node:crypto'
import type { Undecryptable } from '../identity/jwt.ts'
import { onceForEach } from '../record/once.ts'

const CIPHER = 'aes-256-gcm'
/** https://www.rfc-editor.org/rfc/rfc7518.html#section-5.3: 96 bits of vector, 128 bits of tag */
const VECTOR_BYTES = 12
const TAG_BYTES = 16
export const TAG_CHARACTERS = 22

type Unsealed =
  | { readonly ok: true; readonly plaintext: Buffer; readonly key: Uint8Array }
  | { readonly ok: false; readonly because: Undecryptable }

export function seal(plaintext: Uint8Array, key: Uint8Array): string {
  const { header, aad, secret } = prepared(key)
  const vector = randomBytes(VECTOR_BYTES)
  const cipher = createCipheriv(CIPHER, secret, vector).setAAD(aad)
  const content = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return [header, '', ...[vector, content, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

/** The reverse, with that one of the keys which it was sealed with; never throws. Any change of any bit is found. */
export function unseal(jwe: string, keys: readonly Uint8Array[]): Unsealed {
  const parts = jwe.split('.')
  const [header, encryptedKey, ...rest] = parts
  if (parts.length !== 5 && !jwe.startsWith(JSON_OBJECT_START)) return { ok: false, because: 'foreign' }
  if (parts.length < 5 || (rest[2] ?? '').length < TAG_CHARACTERS) return { ok: false, because: 'cut' }
  const [vector, content, tag] = rest.map(canonical)
  const isWhole = parts.length === 5 && encryptedKey === '' && content !== undefined
  if (!isWhole || vector?.length !== VECTOR_BYTES || tag?.length !== TAG_BYTES) return { ok: false, because: 'damaged' }
  const key = keys.find((one) => prepared(one).header === header)
  // Where the header was changed, the rest still opens with one of the keys.
  const isHeaderChanged = () => keys.some((one) => decrypted(one, vector, content, tag) !== undefined)
  if (key === undefined)
    return { ok: false, because: isHeaderChanged() ? 'damaged' : isOfOurKind(header) ? 'other-key' : 'foreign' }
  const plaintext = decrypted(key, vector, content, tag)
  return plaintext === undefined ? { ok: false, because: 'damaged' } : { ok: true, plaintext, key }
}

/** Every JSON object starts with `{"`, which base64url turns into this. */
const JSON_OBJECT_START = 'eyJ'

function decrypted(key: Uint8Array, vector: Buffer, content: Buffer, tag: Buffer): Buffer | undefined {
  try {
    const { aad, secret } = prepared(key)
    const decipher = createDecipheriv(CIPHER, secret, vector).setAAD(aad).setAuthTag(tag)
    const plaintext = decipher.update(content)
    // Nothing is left to come but the verdict on the tag.
    decipher.final()
    return plaintext
  } catch {
    return undefined
  }
}

/** The header's kid is the thumbprint of the key (RFC 7638 §3.2), so that another key is told apart from damage. */
const prepared = onceForEach((key: Uint8Array) => {
  const kid = hash('sha256', JSON.stringify({ k: Buffer.from(key).toString('base64url'), kty: 'oct' }), 'base64url')
  const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid })).toString('base64url')
  return { header, aad: Buffer.from(header), secret: createSecretKey(key) }
})

function isOfOurKind(header = ''): boolean {
  try {
    const { alg, enc, kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    return alg === 'dir' && enc === 'A256GCM' && typeof kid === 'string'
  } catch {
    return false
  }
}

/** Undefined for any other spelling of the same bytes: decoders pass over what they do not know, and over unused bits. */
export function canonical(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
