/** JOSE: the signing key, the JWTs that it signs, detached signatures, and encryption. Time and ids are arguments. */
import {
  constants,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import { compactDecrypt } from 'jose/jwe/compact/decrypt'
import { CompactEncrypt } from 'jose/jwe/compact/encrypt'
import { CompactSign } from 'jose/jws/compact/sign'
import { compactVerify } from 'jose/jws/compact/verify'
import { fail } from '../record/errors.ts'
import { Secret } from '../secret/index.ts'

export type SigningAlg = 'PS256' | 'RS256' | 'ES256'

/** A private key proven to fit its algorithm. It prints as an empty object. */
export interface SigningKey {
  readonly alg: SigningAlg
  /** opaque, as the key store lists it */
  readonly kid: string
  readonly privateKey: KeyObject
}

/**
 * Reads a private key from PEM (PKCS#8, PKCS#1 or SEC 1; a `\n` written out, as in CI variables, counts as a new line)
 * and proves that it fits `alg`.
 *
 * @throws KEY_UNUSABLE, which says what was given instead
 * @see [RFC 7518 §3.3–3.5](https://www.rfc-editor.org/rfc/rfc7518.html#section-3.3)
 */
export async function loadSigningKey(spec: {
  readonly pem: Secret
  readonly alg: SigningAlg
  readonly kid: string
  readonly passphrase?: Secret | undefined
}): Promise<SigningKey> {
  const { pem, alg, kid } = spec
  const privateKey = parsePrivateKey(pem, spec.passphrase)
  const { needs, fits } = ALGORITHMS[alg]
  if (!fits(privateKey)) {
    const other = (Object.keys(ALGORITHMS) as SigningAlg[]).find((name) => ALGORITHMS[name].fits(privateKey))
    fail({
      code: 'KEY_UNUSABLE',
      message: `signing key "${pem.name}" does not fit ${alg}`,
      expected: needs,
      found: describe(privateKey),
      hint:
        other === undefined
          ? 'make a new key and signing certificate; the CA asks for RSA 2048'
          : `this key can sign ${other}: change the algorithm, or name the other key`,
    })
  }
  return { alg, kid, privateKey }
}

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
  /** another value of the same length, or none at all with alg "none" (RFC 7515 appendix A.5) */
  readonly signature?: 'damaged' | 'none' | undefined
  /**
   * `other`: signed with a fresh key of the same kind, while the header keeps the kid. `public`: by HS256, with the public
   * key's PEM as the secret; a server that takes the algorithm from the header verifies it (RFC 8725 §2.1).
   */
  readonly key?: 'other' | 'public' | undefined
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
 * @throws VALUE_UNDEFINED where the text is no JWT, KEY_UNUSABLE for an algorithm we have no keys for
 */
export async function alterJwt(jwt: string, { signature, key }: JwtChanges): Promise<Secret> {
  const decoded = decode(jwt)
  if (decoded === undefined) return fail({ code: 'VALUE_UNDEFINED', message: 'the value to be changed is not a JWT' })
  const [header = '', payload = '', original = ''] = jwt.split('.')
  if (signature === 'none') return new Secret(`${unsigned(decoded.header)}.${payload}.`, 'altered_jwt')
  const alg = String(decoded.header.alg)
  if (key === 'other' && !isSigningAlg(alg)) {
    return fail({
      code: 'KEY_UNUSABLE',
      message: `a JWT with alg "${alg}" cannot be signed with another key`,
      expected: Object.keys(ALGORITHMS).join(', '),
    })
  }
  const input = `${header}.${payload}`
  const own =
    key === 'other' ? signatureOf(input, alg as SigningAlg, await unlistedKey(alg as SigningAlg)) : bytesOf(original)
  return new Secret(`${input}.${encode(signature === 'damaged' ? damaged(own) : own)}`, 'altered_jwt')
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

export function publicKeyOf({ alg, privateKey }: Pick<SigningKey, 'alg' | 'privateKey'>): PublicKey {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
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
  { alg, privateKey }: Pick<SigningKey, 'alg' | 'privateKey'>,
): Promise<string> {
  const { kid } = publicKeyOf({ alg, privateKey })
  const jws = await new CompactSign(payload).setProtectedHeader({ alg, kid }).sign(privateKey)
  const [header, , signature] = jws.split('.')
  return `${header}..${signature}`
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
  return createHash('sha256').update(data).digest('base64url')
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

const ALGORITHMS: Record<SigningAlg, { readonly needs: string; readonly fits: (key: KeyObject) => boolean }> = {
  PS256: { needs: 'an RSA key of at least 2048 bits', fits: isLargeRsa },
  RS256: { needs: 'an RSA key of at least 2048 bits', fits: isLargeRsa },
  ES256: {
    needs: 'an EC key on the curve P-256',
    fits: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  },
}

/** Texts that are pasted instead of the private key, by PEM label: what they are, and what to do. */
const NOT_PRIVATE_KEYS: Readonly<Record<string, readonly [found: string, hint: string]>> = {
  CERTIFICATE: ['a certificate', 'name the private key that was made with its certificate signing request'],
  'CERTIFICATE REQUEST': ['a certificate signing request', 'name the private key that was made with it'],
  'NEW CERTIFICATE REQUEST': ['a certificate signing request', 'name the private key that was made with it'],
  'PUBLIC KEY': ['a public key', 'name the private key that belongs to it'],
  'RSA PUBLIC KEY': ['a public key', 'name the private key that belongs to it'],
  'OPENSSH PRIVATE KEY': ['an OpenSSH key', 'convert a copy with: ssh-keygen -p -m PKCS8 -f <copy>'],
}

function parsePrivateKey(pem: Secret, passphrase: Secret | undefined): KeyObject {
  const text = pem.reveal().replaceAll('\\r', '').replaceAll('\\n', '\n')
  const unusable = (found: string, hint: string, cause?: unknown): never =>
    fail(
      {
        code: 'KEY_UNUSABLE',
        message: `signing key "${pem.name}" is not a usable private key`,
        expected: 'a private key in PEM (PKCS#8, "-----BEGIN PRIVATE KEY-----")',
        found,
        hint,
      },
      cause,
    )

  // A file may hold the certificate or EC parameters beside the key.
  const block = /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(text)
  if (block === null) return unusable(...insteadOfKey(text))
  const encrypted = block[1] === 'ENCRYPTED PRIVATE KEY' || block[0].includes('Proc-Type: 4,ENCRYPTED')
  if (encrypted && passphrase === undefined) {
    return unusable('an encrypted private key', 'remove the passphrase with: openssl pkey -in <file> -out <new file>')
  }
  try {
    return createPrivateKey({ key: block[0], ...(encrypted && { passphrase: passphrase?.reveal() ?? '' }) })
  } catch (cause) {
    return encrypted
      ? unusable('an encrypted private key that the passphrase does not open', 'check the passphrase', cause)
      : unusable('a damaged PEM block', 'copy the key file again, every line of it', cause)
  }
}

function insteadOfKey(text: string): readonly [found: string, hint: string] {
  if (text.trim() === '') return ['nothing', 'name the private key that was made with the signing certificate']
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text)?.[1]
  if (label?.endsWith('PRIVATE KEY') === true && !(label in NOT_PRIVATE_KEYS)) {
    return ['a PEM block without its end', 'copy the key file again, every line of it']
  }
  const known = label === undefined ? undefined : NOT_PRIVATE_KEYS[label]
  return known ?? ['something else', 'convert the key with: openssl pkey -in <file> -out <new file>']
}

function describe(key: KeyObject): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') return `an RSA key of ${modulusLength} bits`
  if (key.asymmetricKeyType === 'rsa-pss') return 'an RSA key limited to PSS by its own parameters'
  if (key.asymmetricKeyType === 'ec') return `an EC key on the curve ${namedCurve}`
  return `a key of type ${key.asymmetricKeyType}`
}

function isLargeRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
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
async function sign({ header, claims }: UnsignedJwt, { privateKey }: SigningKey): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(privateKey)
}

async function signedAsChanged(
  { header, claims }: UnsignedJwt,
  { alg, privateKey }: SigningKey,
  changes: JwtChanges,
): Promise<string> {
  const payload = encode(JSON.stringify(withChanges(claims, changes.claims)))
  const symmetric = changes.key === 'public' ? [['alg', 'HS256'] as const] : []
  const changed = withChanges(header, new Map([...symmetric, ...changes.header]))
  if (changes.signature === 'none') return `${unsigned(changed)}.${payload}.`
  const input = `${encode(JSON.stringify(changed))}.${payload}`
  // Signed without jose, which refuses a header whose alg is not that of the signature.
  const own =
    changes.key === 'public'
      ? createHmac('sha256', createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }))
          .update(input)
          .digest()
      : signatureOf(input, alg, changes.key === 'other' ? await unlistedKey(alg) : privateKey)
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

/** RFC 7518 §3.3 to 3.5. */
function signatureOf(input: string, alg: SigningAlg, key: KeyObject): Buffer {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const form = { PS256: pss, RS256: {}, ES256: { dsaEncoding: 'ieee-p1363' } } as const
  return signBytes('sha256', Buffer.from(input), { key, ...form[alg] })
}

/** A signature of the same length and form that does not verify. */
function damaged(signature: Uint8Array): Uint8Array {
  return signature.map((byte, index) => (index === signature.length >> 1 ? byte ^ 0x55 : byte))
}

/** A new key of the same kind, which no server has listed. */
async function unlistedKey(alg: SigningAlg): Promise<KeyObject> {
  const { privateKey } =
    alg === 'ES256'
      ? await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
      : await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  return privateKey
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
