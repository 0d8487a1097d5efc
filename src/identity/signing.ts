/** The key that signs: read from a file or a setting, and proven to fit its algorithm. */
import { constants, createPublicKey, type KeyObject, type SignKeyObjectInput, sign as signBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { fail, type Problem } from '../record/errors.ts'
import { Secret } from '../secret/index.ts'
import { privateKeysOf, type ReadKey } from './keys.ts'
import { type Given, readSource } from './source.ts'

export type SigningAlg = 'PS256' | 'RS256' | 'ES256'

/** What signs with one algorithm: a private key, or a program that has one. */
export interface SigningKey {
  readonly alg: SigningAlg
  /** opaque, as the key store lists it */
  readonly kid: string
  readonly publicKey: KeyObject
  /** the private key in PEM, so that no report shows it; undefined where a program keeps it */
  readonly secret: Secret | undefined
  /** A signature in the form of RFC 7518 §3.3 to 3.5. Throws KEY_UNUSABLE. */
  readonly sign: (bytes: Uint8Array) => Promise<Uint8Array>
}

/** Which keys fit each algorithm. */
export const ALGORITHMS: Record<SigningAlg, { readonly needs: string; readonly fits: (key: KeyObject) => boolean }> = {
  PS256: { needs: 'an RSA key of at least 2048 bits', fits: isLargeRsa },
  RS256: { needs: 'an RSA key of at least 2048 bits', fits: isLargeRsa },
  ES256: {
    needs: 'an EC key on the curve P-256',
    fits: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  },
}

interface SigningSpec {
  readonly given: Given
  readonly alg: SigningAlg
  readonly kid: string
  readonly passphrase?: Secret | undefined
  /** of the names of its settings, for messages */
  readonly prefix?: '' | 'RENEWED_'
}

/**
 * Reads a private key in any of its usual forms. Of several keys the one with this kid (JWK), else the only one that fits `alg`.
 *
 * @throws KEY_UNUSABLE, which says what was given instead
 * @see [RFC 7518 §3.3–3.5](https://www.rfc-editor.org/rfc/rfc7518.html#section-3.3)
 */
export async function loadSigningKey({ given, alg, kid, passphrase, prefix = '' }: SigningSpec): Promise<SigningKey> {
  const code = 'KEY_UNUSABLE'
  const source = await readSource(given, { what: 'signing key file', setting: `${prefix}SIGNING_KEY_FILE`, code })
  const settings = { own: source.setting, passphrase: `${prefix}SIGNING_PASSPHRASE` }
  const result = privateKeysOf(source.material, passphrase, settings)
  if ('fault' in result) {
    const { what, ...more } = result.fault
    return fail({ code, message: `${source.subject} ${what}`, ...more })
  }
  const named = result.read.filter((one) => one.kid === kid)
  const candidates: readonly ReadKey[] = named.length > 0 ? named : result.read
  const fitting = candidates.filter(({ key }) => ALGORITHMS[alg].fits(key))
  const [first, second] = fitting
  if (first === undefined) return fail(misfit(source.subject, alg, (candidates[0] ?? result.read[0]).key))
  if (second !== undefined) {
    return fail({
      code,
      message: `${source.subject} holds ${fitting.length} private keys that fit ${alg}`,
      expected: 'one key, or a JWK set in which one has the kid of SIGNING_KID',
      hint: 'name a file that holds the key of the signing certificate alone',
    })
  }
  return keySigner(first.key, { alg, kid })
}

/** What signs with a private key of this process. */
export function keySigner(privateKey: KeyObject, { alg, kid }: Pick<SigningKey, 'alg' | 'kid'>): SigningKey {
  return {
    alg,
    kid,
    publicKey: createPublicKey(privateKey),
    secret: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'signing_key'),
    sign: (bytes) => signatureOf(bytes, alg, privateKey),
  }
}

/** RFC 7518 §3.3 to 3.5. Made on another thread, so that other calls go on: with RSA it takes longer than sending one. */
export async function signatureOf(bytes: Uint8Array, alg: SigningAlg, key: KeyObject): Promise<Buffer> {
  return await signed('sha256', bytes, { key, ...FORMS[alg] })
}
const signed = promisify(signBytes) as (hash: string, bytes: Uint8Array, key: SignKeyObjectInput) => Promise<Buffer>

/** How node:crypto makes and verifies the signatures of each algorithm. */
export const FORMS = {
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  RS256: { padding: constants.RSA_PKCS1_PADDING },
  ES256: { dsaEncoding: 'ieee-p1363' },
} as const

/** The problem of a key, private or public, that does not fit the algorithm. */
export function misfit(subject: string, alg: SigningAlg, key: KeyObject): Problem {
  const other = (Object.keys(ALGORITHMS) as SigningAlg[]).find((name) => ALGORITHMS[name].fits(key))
  return {
    code: 'KEY_UNUSABLE',
    message: `${subject} does not fit ${alg}`,
    expected: ALGORITHMS[alg].needs,
    found: describe(key),
    hint:
      other === undefined
        ? 'make a new key and signing certificate; the CA asks for RSA 2048'
        : `this key can sign ${other}: change the algorithm, or name the other key`,
  }
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
