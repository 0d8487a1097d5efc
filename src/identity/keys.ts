/** Private keys and certificates out of what a file or a text holds, and what keeps one from being read. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isNonEmpty, type Problem } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import { outdatedCipher, outdatedPemCipher } from './ciphers.ts'
import { childrenOf, elementAt } from './der.ts'
import { type Block, describe, isEncrypted, labelOf, type Material } from './material.ts'

/** `what` completes a sentence whose subject is the file or setting: "is encrypted and no passphrase is set". */
export interface Fault extends Pick<Problem, 'expected' | 'found' | 'hint'> {
  readonly what: string
}

export interface ReadKey {
  readonly key: KeyObject
  /** of a JWK that has one */
  readonly kid: string | undefined
}

export type Read<T> = { readonly read: readonly [T, ...T[]] } | { readonly fault: Fault }

const KEY_FORM = 'a private key: PEM, DER, JWK, or one of these in base64'
const CERTIFICATE_FORM = 'an X.509 certificate in PEM or DER, or one of these in base64'

/** Every private key. `settings` are named in hints. */
export function privateKeysOf(
  material: Material,
  passphrase: Secret | undefined,
  settings: { readonly own: string; readonly passphrase: string },
): Read<ReadKey> {
  const candidates = material.blocks.filter(isPrivate)
  const read: ReadKey[] = []
  const faults: Fault[] = []
  for (const block of candidates) {
    const result = keyOf(block, passphrase, settings.passphrase)
    if ('what' in result) faults.push(result)
    else read.push(result)
  }
  if (isNonEmpty(read)) return { read }
  const { found, hint } = describe(material)
  const none = { what: 'holds no private key', expected: KEY_FORM, found }
  return { fault: faults[0] ?? { ...none, hint: hint ?? `name the private key in ${settings.own}` } }
}

/** Every certificate, in the order of the file. */
export function certificatesOf(material: Material, setting: string): Read<X509Certificate> {
  const blocks = material.blocks.filter(({ label }) => /(?:^| )CERTIFICATE$/.test(label))
  const read: X509Certificate[] = []
  for (const [index, block] of blocks.entries()) {
    const certificate = certificateOf(block)
    if (certificate === undefined) {
      const which = blocks.length === 1 ? '' : ` (number ${index + 1} of ${blocks.length})`
      const found = 'damage' in block ? `${block.damage}${which}` : `bytes that are no certificate${which}`
      return {
        fault: {
          what: 'holds a damaged certificate',
          expected: CERTIFICATE_FORM,
          found,
          hint: 'copy the file again, every line of it',
        },
      }
    }
    read.push(certificate)
  }
  if (isNonEmpty(read)) return { read }
  const { found, hint } = describe(material)
  const download = `name the downloaded certificate in ${setting}`
  return { fault: { what: 'holds no certificate', expected: CERTIFICATE_FORM, found, hint: hint ?? download } }
}

function isPrivate(block: Block): boolean {
  if ('jwk' in block) return block.jwk.d !== undefined && block.jwk.kty !== 'oct'
  return /^(?:RSA |EC |ENCRYPTED )?PRIVATE KEY$/.test(block.label)
}

function certificateOf(block: Block): X509Certificate | undefined {
  if (!('der' in block)) return undefined
  try {
    return new X509Certificate(block.der)
  } catch {
    return undefined
  }
}

function keyOf(block: Block, passphrase: Secret | undefined, setting: string): ReadKey | Fault {
  if ('jwk' in block) return jwkKey(block.jwk)
  if ('damage' in block) return damaged(block.damage)
  const isLocked = isEncrypted(block)
  const outdated = isLocked ? outdatedOf(block) : undefined
  if (outdated !== undefined) {
    return {
      what: `is encrypted with an outdated cipher, ${outdated}`,
      expected: 'a key encrypted with AES or triple DES',
      hint: `convert it: openssl pkcs8 -topk8 -provider legacy -provider default -in <key file> -out converted.key`,
    }
  }
  if (isLocked && passphrase === undefined)
    return { what: 'is encrypted and no passphrase is set', hint: `set ${setting}` }
  try {
    return {
      key: createPrivateKey({ ...inputOf(block), ...(isLocked && { passphrase: passphrase?.reveal() }) }),
      kid: undefined,
    }
  } catch {
    // Some hundredth wrong passphrase decrypts to bytes without an error, which are then no key.
    if (isLocked) return { what: 'cannot be decrypted with the passphrase that is set', hint: `correct ${setting}` }
    return damaged('its bytes are no key')
  }
}

type DerBlock = Extract<Block, { der: Buffer }>

function inputOf({ label, der, encryption }: DerBlock) {
  if (encryption !== undefined) {
    const headers = `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${encryption.cipher},${encryption.start}\n\n`
    const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
    return { key: `-----BEGIN ${label}-----\n${headers}${lines}\n-----END ${label}-----\n`, format: 'pem' as const }
  }
  // By its structure, since a label may have been changed by hand.
  const type = { 'RSA PRIVATE KEY': 'pkcs1', 'EC PRIVATE KEY': 'sec1' }[labelOf(der) ?? ''] ?? 'pkcs8'
  return { key: der, format: 'der' as const, type: type as 'pkcs8' | 'pkcs1' | 'sec1' }
}

function outdatedOf({ der, encryption }: DerBlock): string | undefined {
  return encryption === undefined ? outdatedCipher(childrenOf(elementAt(der))[0]) : outdatedPemCipher(encryption.cipher)
}

function jwkKey(jwk: Extract<Block, { label: 'JWK'; jwk: unknown }>['jwk']): ReadKey | Fault {
  try {
    return {
      key: createPrivateKey({ key: jwk, format: 'jwk' }),
      kid: typeof jwk.kid === 'string' ? jwk.kid : undefined,
    }
  } catch {
    const isShort = jwk.kty === 'RSA' && [jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].includes(undefined)
    return damaged(isShort ? 'the JWK lacks p, q, dp, dq or qi' : 'the members of the JWK are no key')
  }
}

function damaged(damage: string): Fault {
  return {
    what: 'holds a private key that is damaged',
    expected: KEY_FORM,
    found: damage,
    hint: 'copy the key again, every line of it',
  }
}
