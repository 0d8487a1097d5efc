/** Whether a key set of a server holds a signing key, under its kid and with the same public key, or a certificate. Pure. */
import { createPublicKey, type JsonWebKeyInput } from 'node:crypto'
import { enumerated } from '../record/errors.ts'
import { publicKeyFacts } from './facts.ts'
import type { SigningKey } from './signing.ts'

/** What a key set says of a key; `because` is one sentence without its full stop. */
export type Listing = { readonly is: 'listed' } | { readonly is: 'missing' | 'not known'; readonly because: string }

/**
 * `document` is a JWK set (RFC 7517 section 5), from a server: anything else may be in it. `settings` is what the names of
 * the key's settings begin with.
 */
export function listingOf(
  document: unknown,
  { kid, publicKey }: Pick<SigningKey, 'kid' | 'publicKey'>,
  settings: 'SIGNING' | 'RENEWED_SIGNING',
): Listing {
  const keys = keysOf(document)
  if (keys === undefined) return NO_KEY_SET
  const named = keys.filter((key) => key.kid === kid)
  if (named.length === 0) {
    const kids = keys.map((key) => `"${String(key.kid).slice(0, LONGEST_KID)}"`)
    const others = kids.length === 0 ? 'it lists no key' : `it lists ${enumerated(kids, MOST_KIDS)}`
    return { is: 'missing', because: `${others}, and not ${settings}_KID "${kid}"` }
  }
  const hashes = named.map(hashOf)
  const own = publicKeyFacts(publicKey).spkiSha256
  if (hashes.includes(own)) return { is: 'listed' }
  if (hashes.includes(undefined)) return { is: 'not known', because: `its key "${kid}" cannot be read` }
  return {
    is: 'missing',
    because: `it lists ${settings}_KID "${kid}" with another public key than that of ${settings}_KEY_FILE`,
  }
}

/** Whether it lists the certificate of IDENTITY_RENEWED_CERT_FILE; `thumbprint` is an x5t#S256 (RFC 7517 section 4.9). */
export function certificateListingOf(document: unknown, thumbprint: string): Listing {
  const thumbprints = keysOf(document)?.map((key) => key['x5t#S256'])
  if (thumbprints === undefined) return NO_KEY_SET
  if (thumbprints.includes(thumbprint)) return { is: 'listed' }
  if (!thumbprints.every((one) => typeof one === 'string'))
    return { is: 'not known', because: 'it lists a key without the thumbprint of a certificate' }
  const others = thumbprints.length === 1 ? 'certificate' : 'certificates'
  return {
    is: 'missing',
    because: `it lists ${thumbprints.length} ${others}, and not that of IDENTITY_RENEWED_CERT_FILE`,
  }
}

const NO_KEY_SET: Listing = { is: 'not known', because: 'its answer is no JWK set' }

function keysOf(document: unknown): readonly Readonly<Record<string, unknown>>[] | undefined {
  return isObject(document) && Array.isArray(document.keys) ? document.keys.filter(isObject) : undefined
}

const MOST_KIDS = 5
/** in characters */
const LONGEST_KID = 80

function hashOf(jwk: Readonly<Record<string, unknown>>): string | undefined {
  try {
    return publicKeyFacts(createPublicKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput)).spkiSha256
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
