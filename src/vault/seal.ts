/**
 * One text sealed under one key: compact JWE, `dir` with A256GCM. Synchronous, which jose is not: while a line is sealed
 * and written nothing else of this process may write. Any JOSE library opens what this seals, and a test holds that.
 *
 * @see [RFC 7516 §7.1](https://www.rfc-editor.org/rfc/rfc7516.html#section-7.1), [RFC 7518 §4.5 and §5.3](https://www.rfc-editor.org/rfc/rfc7518.html#section-4.5)
 */
import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { Undecryptable } from '../identity/jwt.ts'

const CIPHER = 'aes-256-gcm'
/** https://www.rfc-editor.org/rfc/rfc7518.html#section-5.3: 96 bits of vector, 128 bits of tag */
const VECTOR_BYTES = 12
const TAG_BYTES = 16
export const TAG_CHARACTERS = 22

type Unsealed =
  | { readonly ok: true; readonly plaintext: Buffer; readonly key: Uint8Array }
  | { readonly ok: false; readonly because: Undecryptable }

export function seal(plaintext: Uint8Array, key: Uint8Array): string {
  const { header, secret } = prepared(key)
  const vector = randomBytes(VECTOR_BYTES)
  const cipher = createCipheriv(CIPHER, secret, vector).setAAD(Buffer.from(header))
  const content = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return [header, '', ...[vector, content, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

/** The reverse, with that one of the keys which it was sealed with; never throws. Any change of any bit is found. */
export function unseal(jwe: string, keys: readonly Uint8Array[]): Unsealed {
  const parts = jwe.split('.')
  const [header = '', encryptedKey, ...rest] = parts
  if (parts.length !== 5 && !jwe.startsWith(JSON_OBJECT_START)) return { ok: false, because: 'foreign' }
  if (parts.length < 5 || (rest[2] ?? '').length < TAG_CHARACTERS) return { ok: false, because: 'cut' }
  // Decoders ignore the unused bits of a last character, and authentication covers the decoded bytes only.
  const [vector, content, tag] = rest.map(canonical)
  const isWhole = parts.length === 5 && encryptedKey === '' && canonical(header) !== undefined
  if (!isWhole || vector?.length !== VECTOR_BYTES || content === undefined || tag?.length !== TAG_BYTES)
    return { ok: false, because: 'damaged' }
  const key = keys.find((one) => prepared(one).header === header)
  if (key === undefined) {
    // The header may be what was changed: then the rest still opens with one of the keys.
    if (keys.some((one) => decrypted(one, vector, content, tag) !== undefined)) return { ok: false, because: 'damaged' }
    return { ok: false, because: isOfOurKind(header) ? 'other-key' : 'foreign' }
  }
  const plaintext = decrypted(key, vector, content, tag)
  return plaintext === undefined ? { ok: false, because: 'damaged' } : { ok: true, plaintext, key }
}

/** Every JSON object starts with `{"`, which base64url turns into this. */
const JSON_OBJECT_START = 'eyJ'

function decrypted(key: Uint8Array, vector: Buffer, content: Buffer, tag: Buffer): Buffer | undefined {
  try {
    const { header, secret } = prepared(key)
    const decipher = createDecipheriv(CIPHER, secret, vector).setAAD(Buffer.from(header)).setAuthTag(tag)
    return Buffer.concat([decipher.update(content), decipher.final()])
  } catch {
    return undefined
  }
}

interface Prepared {
  readonly header: string
  readonly secret: KeyObject
}

/** By its bytes, which nobody changes: a key is used for each line. */
const known = new WeakMap<Uint8Array, Prepared>()

/** The header's kid is the thumbprint of the key (RFC 7638 §3.2), so that another key is told apart from damage. */
function prepared(key: Uint8Array): Prepared {
  const there = known.get(key)
  if (there !== undefined) return there
  const jwk = JSON.stringify({ k: Buffer.from(key).toString('base64url'), kty: 'oct' })
  const kid = createHash('sha256').update(jwk).digest('base64url')
  const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid })).toString('base64url')
  const made = { header, secret: createSecretKey(key) }
  known.set(key, made)
  return made
}

function isOfOurKind(header: string): boolean {
  try {
    const { alg, enc, kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    return alg === 'dir' && enc === 'A256GCM' && typeof kid === 'string'
  } catch {
    return false
  }
}

/** Undefined where another text would give the same bytes: only a last, incomplete group has bits that are not used. */
function canonical(text: string): Buffer | undefined {
  if (!/^[\w-]*$/.test(text)) return undefined
  const last = text.slice(text.length - (text.length % 4))
  return Buffer.from(last, 'base64url').toString('base64url') === last ? Buffer.from(text, 'base64url') : undefined
}
