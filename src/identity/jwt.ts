/** JOSE: the JWTs that the signing key signs, detached signatures, and encryption. Time and ids are arguments. */
import { createHmac, createPublicKey, generateKeyPair, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { compactDecrypt } from 'jose/jwe/compact/decrypt'
import { CompactEncrypt } from 'jose/jwe/compact/encrypt'
import { compactVerify } from 'jose/jws/compact/verify'
import { fail } from '../record/errors.ts'
import { Secret } from '../secret/index.ts'
import { ALGORITHMS, type SigningAlg, type SigningKey, signatureOf } from './signing.ts'

interface AssertionClaims {
  /** whole, even where it is a URL; becomes iss and sub */
  readonly clientId: string
  /** a single string: several audiences would let one server replay the assertion at another */
  readonly audience: string
  readonly lifetimeSeconds: number
}

/** Changes that make a JWT wrong. A header or claim that is undefined is removed. */
export interface JwtChanges {
  readonly header: ReadonlyMap<string, unknown>
  readonly claims: ReadonlyMap<string, unknown>
  /** claims that are times, in seconds from now */
  readonly secondsAhead?: ReadonlyMap<string, number> | undefined
  /** another value of the same length, or none at all with alg "none" (RFC 7515 appendix A.5) */
  readonly signature?: 'damaged' | 'none' | undefined
  /**
   * `other`: signed with a fresh key of the same kind, while the header keeps the kid. `public`: by HS256, with the public
   * key's PEM as the secret; a server that takes the algorithm from the header verifies it (RFC 8725 §2.1). `embedded`:
   * signed with a fresh key that the header brings along as `jwk` (RFC 7515 §4.1.3).
   */
  readonly key?: 'other' | 'public' | 'embedded' | undefined
  /** the key set of a JWT that others signed, which `public` needs */
  readonly jwks?: unknown
}

/**
 * A signed client assertion for private_key_jwt. `jti` must be new each time: servers refuse a replay. With `changes` it is
 * signed as they leave it, so that nothing else is wrong with it.
 *
 * @see [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523.html#section-3)
 */
export async function mintClientAssertion(
  key: SigningKey,
  claims: AssertionClaims,
  ports: { readonly now: Date; readonly jti: string },
  changes?: JwtChanges,
): Promise<Secret> {
  const assertion = clientAssertion(key, claims, ports)
  const jwt = changes === undefined ? await sign(assertion, key) : await signedAsChanged(assertion, key, changes)
  return new Secret(jwt, 'client_assertion')
}

/**
 * A JWT that others signed, with its signature damaged or taken away, or with that of another key. Header and claims stay
 * as they are, byte for byte, but for alg "none".
 *
 * @throws VALUE_UNDEFINED where the text is no JWT or the key set lacks its key, KEY_UNUSABLE for an algorithm we have no keys for
 */
export async function alterJwt(jwt: string, { signature, key, jwks }: JwtChanges): Promise<Secret> {
  const decoded = decode(jwt)
  if (decoded === undefined) return fail({ code: 'VALUE_UNDEFINED', message: 'the value to be changed is not a JWT' })
  const [header = '', payload = '', original = ''] = jwt.split('.')
  if (signature === 'none') return new Secret(`${unsigned(decoded.header)}.${payload}.`, 'altered_jwt')
  if (key === 'public') {
    const altered = { ...decoded.header, alg: 'HS256' }
    return new Secret(keyedWith(publicKeyIn(jwks, decoded.header.kid), altered, payload), 'altered_jwt')
  }
  if (key !== undefined)
    return new Secret(await signedByAnother(decoded.header, { header, payload }, key), 'altered_jwt')
  const own = bytesOf(original)
  return new Secret(`${header}.${payload}.${encode(signature === 'damaged' ? damaged(own) : own)}`, 'altered_jwt')
}

async function signedByAnother(
  { alg: named, ...others }: JsonObject,
  { header, payload }: { readonly header: string; readonly payload: string },
  key: 'other' | 'embedded',
): Promise<string> {
  const alg = String(named)
  if (!isSigningAlg(alg)) {
    return fail({
      code: 'KEY_UNUSABLE',
      message: `a JWT with alg "${alg}" cannot be signed with another key`,
      expected: Object.keys(ALGORITHMS).join(', '),
    })
  }
  const fresh = await unlistedKey(alg)
  const input = `${key === 'embedded' ? withKey({ alg, ...others }, fresh) : header}.${payload}`
  return `${input}.${encode(await signatureOf(Buffer.from(input), alg, fresh))}`
}

/** The header with the public half of the key. */
function withKey(header: JsonObject, key: KeyObject): string {
  return encode(JSON.stringify({ ...header, jwk: createPublicKey(key).export({ format: 'jwk' }) }))
}

/** By HS256 with the public key's PEM as the secret. */
function keyedWith(publicKey: KeyObject, header: JsonObject, payload: string): string {
  const input = `${encode(JSON.stringify(header))}.${payload}`
  const secret = publicKey.export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

/** The key of the set with that kid; of a set with one key, that one. */
function publicKeyIn(jwks: unknown, kid: unknown): KeyObject {
  const keys: readonly unknown[] = Array.isArray(jwks) ? jwks : ((jwks as { keys?: readonly unknown[] })?.keys ?? [])
  const jwk = keys.find((one) => (one as JsonWebKey)?.kid === kid) ?? (keys.length === 1 ? keys[0] : undefined)
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch {
    return fail({
      code: 'VALUE_UNDEFINED',
      message: `the key set has no public key with the kid "${String(kid)}" of the JWT`,
    })
  }
}

type JsonObject = Readonly<Record<string, unknown>>

/** Header and payload of a compact JWS, for reading only: nothing is verified. Undefined where it is none. */
export function decode(token: string): { readonly header: JsonObject; readonly payload: JsonObject } | undefined {
  const parts = token.split('.')
  if (parts.length !== 3) return undefined
  const header = jsonObject(parts[0])
  const payload = jsonObject(parts[1])
  return header === undefined || payload === undefined ? undefined : { header, payload }
}

/** Why a text cannot be decrypted: no JWE of ours; cut short; made with another key; changed. */
export type Undecryptable = 'foreign' | 'cut' | 'other-key' | 'damaged'

type Decrypted =
  | { readonly ok: true; readonly plaintext: Uint8Array }
  | { readonly ok: false; readonly because: Undecryptable }

/**
 * Compact JWE under a passphrase, PBES2-HS512+A256KW with A256GCM: for a file that leaves the machine.
 *
 * @see [RFC 7518 §4.8](https://www.rfc-editor.org/rfc/rfc7518.html#section-4.8)
 */
export async function encryptWithPassphrase(plaintext: Uint8Array, passphrase: Secret): Promise<string> {
  return new CompactEncrypt(plaintext)
    .setProtectedHeader(PASSPHRASE_HEADER)
    .setKeyManagementParameters({ p2c: PASSPHRASE_ROUNDS })
    .encrypt(Buffer.from(passphrase.reveal()))
}

/** The reverse; never throws. `other-key`: another passphrase, or the file was changed: the two cannot be told apart. */
export async function decryptWithPassphrase(jwe: string, passphrase: Secret): Promise<Decrypted> {
  const parts = jwe.split('.')
  const { alg, enc } = jsonObject(parts[0]) ?? {}
  if (alg !== PASSPHRASE_HEADER.alg || enc !== PASSPHRASE_HEADER.enc) return { ok: false, because: 'foreign' }
  if (parts.length < 5 || (parts[4] ?? '').length < TAG_CHARACTERS) return { ok: false, because: 'cut' }
  if (parts.length > 5 || !parts.every(isCanonical)) return { ok: false, because: 'damaged' }
  try {
    const { plaintext } = await compactDecrypt(jwe, Buffer.from(passphrase.reveal()), {
      keyManagementAlgorithms: [PASSPHRASE_HEADER.alg],
      contentEncryptionAlgorithms: [PASSPHRASE_HEADER.enc],
      maxPBES2Count: PASSPHRASE_ROUNDS,
    })
    return { ok: true, plaintext }
  } catch {
    return { ok: false, because: 'other-key' }
  }
}

/** A public key for others. Its kid is the RFC 7638 thumbprint, which a reader can recompute from the key. */
export interface PublicKey {
  readonly alg: SigningAlg
  readonly kid: string
  readonly jwk: Readonly<Record<string, unknown>>
}

export function publicKeyOf({ alg, publicKey }: Pick<SigningKey, 'alg' | 'publicKey'>): PublicKey {
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = thumbprint(jwk)
  return { alg, kid, jwk: { ...jwk, alg, kid, use: 'sig' } }
}

/**
 * A signature over bytes that are kept elsewhere: compact JWS without its payload.
 *
 * @see [RFC 7515 appendix F](https://www.rfc-editor.org/rfc/rfc7515.html#appendix-F)
 */
export async function signDetached(
  payload: Uint8Array,
  key: Pick<SigningKey, 'alg' | 'publicKey' | 'sign'>,
): Promise<string> {
  const header = encode(JSON.stringify({ alg: key.alg, kid: publicKeyOf(key).kid }))
  return `${header}..${encode(await key.sign(Buffer.from(`${header}.${encode(payload)}`)))}`
}

/** The signer's key, if `jws` is its signature over `payload`; never throws. A change of any bit is found. */
export async function verifyDetached(jws: string, payload: Uint8Array, jwk: unknown): Promise<PublicKey | undefined> {
  const [header = '', middle, signature = '', ...rest] = jws.split('.')
  if (middle !== '' || rest.length > 0 || !isCanonical(header) || !isCanonical(signature)) return undefined
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const algorithms = Object.keys(ALGORITHMS).filter((name) => ALGORITHMS[name as SigningAlg].fits(key))
    const { protectedHeader } = await compactVerify(`${header}.${encode(payload)}.${signature}`, key, { algorithms })
    const kid = thumbprint(key.export({ format: 'jwk' }))
    if (protectedHeader.kid !== kid) return undefined
    return { alg: protectedHeader.alg as SigningAlg, kid, jwk: jwk as Readonly<Record<string, unknown>> }
  } catch {
    return undefined
  }
}

/** RFC 7638 §3.2: the required members alone, in lexical order. */
function thumbprint({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return sha256base64url(JSON.stringify(kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }))
}

/** The usual spelling of a thumbprint: `x5t#S256`, RFC 7638, fingerprints of a software statement. */
export function sha256base64url(data: Uint8Array | string): string {
  return hash('sha256', data, 'base64url')
}

/** 128 bits in base64url */
const TAG_CHARACTERS = 22

const PASSPHRASE_HEADER = { alg: 'PBES2-HS512+A256KW', enc: 'A256GCM' } as const
/** OWASP asked for 210000 with this hash in 2023; more is affordable, since an export is seldom opened. */
const PASSPHRASE_ROUNDS = 600_000

interface UnsignedJwt {
  readonly header: JsonObject & { readonly alg: SigningAlg }
  readonly claims: JsonObject
}

function clientAssertion(
  { alg, kid }: SigningKey,
  { clientId, audience, lifetimeSeconds }: AssertionClaims,
  { now, jti }: { readonly now: Date; readonly jti: string },
): UnsignedJwt {
  const issuedAt = Math.floor(now.getTime() / 1000)
  return {
    header: { alg, kid, typ: 'JWT' },
    claims: { iss: clientId, sub: clientId, aud: audience, jti, iat: issuedAt, exp: issuedAt + lifetimeSeconds },
  }
}

/** Signs header and claims as they are. */
async function sign({ header, claims }: UnsignedJwt, key: SigningKey): Promise<string> {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`
  return `${input}.${encode(await key.sign(Buffer.from(input)))}`
}

async function signedAsChanged(
  { header, claims }: UnsignedJwt,
  { alg, publicKey, sign }: SigningKey,
  changes: JwtChanges,
): Promise<string> {
  const times = [...(changes.secondsAhead ?? [])].map(([name, ahead]) => [name, Number(claims.iat) + ahead] as const)
  const payload = encode(JSON.stringify(withChanges(claims, new Map([...changes.claims, ...times]))))
  const symmetric = changes.key === 'public' ? [['alg', 'HS256'] as const] : []
  const changed = withChanges(header, new Map([...symmetric, ...changes.header]))
  if (changes.signature === 'none') return `${unsigned(changed)}.${payload}.`
  if (changes.key === 'public') return keyedWith(publicKey, changed, payload)
  const fresh = changes.key === undefined ? undefined : await unlistedKey(alg)
  const protectedHeader =
    fresh !== undefined && changes.key === 'embedded' ? withKey(changed, fresh) : encode(JSON.stringify(changed))
  const input = `${protectedHeader}.${payload}`
  // Signed without jose, which refuses a header whose alg is not that of the signature.
  const bytes = Buffer.from(input)
  const own = fresh === undefined ? await sign(bytes) : await signatureOf(bytes, alg, fresh)
  return `${input}.${encode(changes.signature === 'damaged' ? damaged(own) : own)}`
}

function withChanges(members: JsonObject, changes: ReadonlyMap<string, unknown>): JsonObject {
  const kept = Object.entries(members).filter(([name]) => !changes.has(name))
  const set = [...changes].filter(([, value]) => value !== undefined)
  return Object.fromEntries([...kept, ...set])
}

function unsigned(header: JsonObject): string {
  return encode(JSON.stringify({ ...header, alg: 'none' }))
}

/** A signature of the same length and form that does not verify. */
function damaged(signature: Uint8Array): Uint8Array {
  return signature.map((byte, index) => (index === signature.length >> 1 ? byte ^ 0x55 : byte))
}

/** A key of the same kind, which no server has listed. Made once: an RSA key takes longer than ten calls. */
async function unlistedKey(alg: SigningAlg): Promise<KeyObject> {
  const kind = alg === 'ES256' ? 'ec' : 'rsa'
  const keys = UNLISTED.get(kind) ?? newKeys(kind)
  UNLISTED.set(kind, keys)
  return (await keys).privateKey
}

const UNLISTED = new Map<'ec' | 'rsa', ReturnType<typeof newKeys>>()

async function newKeys(kind: 'ec' | 'rsa') {
  const generate = promisify(generateKeyPair)
  return await (kind === 'ec' ? generate('ec', { namedCurve: 'P-256' }) : generate('rsa', { modulusLength: 2048 }))
}

function isSigningAlg(alg: string): alg is SigningAlg {
  return Object.hasOwn(ALGORITHMS, alg)
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'base64url')
}

function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

function encode(data: Uint8Array | string): string {
  return Buffer.from(data).toString('base64url')
}

function jsonObject(part: string | undefined): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
  } catch {
    return undefined
  }
}
