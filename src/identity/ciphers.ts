/**
 * The password-based ciphers of keys and PKCS#12 files: which a file uses, whether OpenSSL still opens it, and the decryption of
 * what Node has no call for.
 *
 * @see [RFC 8018 §6](https://www.rfc-editor.org/rfc/rfc8018.html#section-6), [RFC 7292 appendices B and C](https://www.rfc-editor.org/rfc/rfc7292.html#appendix-B)
 */
import { createDecipheriv, createHash, pbkdf2Sync } from 'node:crypto'
import { childrenOf, type Element, octetsOf, oidOf, smallInteger, TAG } from './der.ts'

/** Ciphers that OpenSSL 3, and Node with it, opens no more, by object identifier and by name in a PEM header. */
const OUTDATED: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.5.1': 'DES (PBE-MD2-DES)',
  '1.2.840.113549.1.5.3': 'DES (PBE-MD5-DES)',
  '1.2.840.113549.1.5.4': 'RC2 (PBE-MD2-RC2-64)',
  '1.2.840.113549.1.5.6': 'RC2 (PBE-MD5-RC2-64)',
  '1.2.840.113549.1.5.10': 'DES (PBE-SHA1-DES)',
  '1.2.840.113549.1.5.11': 'RC2 (PBE-SHA1-RC2-64)',
  '1.2.840.113549.1.12.1.1': 'RC4 (PBE-SHA1-RC4-128)',
  '1.2.840.113549.1.12.1.2': 'RC4 (PBE-SHA1-RC4-40)',
  '1.2.840.113549.1.12.1.5': 'RC2 (PBE-SHA1-RC2-128)',
  '1.2.840.113549.1.12.1.6': 'RC2 (PBE-SHA1-RC2-40)',
  '1.2.840.113549.3.2': 'RC2',
  '1.3.14.3.2.7': 'DES',
  'DES-CBC': 'DES (DES-CBC)',
  'RC2-CBC': 'RC2 (RC2-CBC)',
  'RC2-40-CBC': 'RC2 (RC2-40-CBC)',
  'RC2-64-CBC': 'RC2 (RC2-64-CBC)',
  'BF-CBC': 'Blowfish (BF-CBC)',
  'CAST5-CBC': 'CAST5 (CAST5-CBC)',
  'IDEA-CBC': 'IDEA (IDEA-CBC)',
  'SEED-CBC': 'SEED (SEED-CBC)',
}

const PBES2 = '1.2.840.113549.1.5.13'
const PBKDF2 = '1.2.840.113549.1.5.12'

/** Key size and Node's name of the ciphers of PBES2. */
const CIPHERS: Readonly<Record<string, readonly [name: string, size: number]>> = {
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24],
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32],
}

const HMAC_HASHES: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
}

/** Key size in bytes of the ciphers of PKCS#12 itself that are still in use. */
const PKCS12_TRIPLE_DES: Readonly<Record<string, number>> = {
  '1.2.840.113549.1.12.1.3': 24,
  '1.2.840.113549.1.12.1.4': 16,
}

/** The outdated cipher that an AlgorithmIdentifier names, in words; undefined for one in use. */
export function outdatedCipher(algorithm: Element | undefined): string | undefined {
  const [name, parameters] = childrenOf(algorithm)
  const inner = oidOf(name) === PBES2 ? childrenOf(childrenOf(parameters)[1])[0] : undefined
  return OUTDATED[oidOf(name)] ?? OUTDATED[oidOf(inner)]
}

/** The same for the name in a `DEK-Info` header of a PEM file. */
export function outdatedPemCipher(name: string): string | undefined {
  return OUTDATED[name.toUpperCase()]
}

/** Throws where the passphrase is wrong, or the cipher is none of the table. */
export function decrypted(algorithm: Element | undefined, bytes: Buffer, passphrase: string): Buffer {
  const [name, parameters] = childrenOf(algorithm)
  const key = oidOf(name) === PBES2 ? pbes2Key(parameters, passphrase) : pkcs12Key(oidOf(name), parameters, passphrase)
  const decipher = createDecipheriv(key.cipher, key.key, key.start)
  return Buffer.concat([decipher.update(bytes), decipher.final()])
}

interface CipherKey {
  readonly cipher: string
  readonly key: Buffer
  readonly start: Buffer
}

function pbes2Key(parameters: Element | undefined, passphrase: string): CipherKey {
  const [derivation, scheme] = childrenOf(parameters)
  const [method, settings] = childrenOf(derivation)
  const [cipherName, start] = childrenOf(scheme)
  const [cipher, size] = CIPHERS[oidOf(cipherName)] ?? []
  if (oidOf(method) !== PBKDF2 || cipher === undefined || size === undefined) throw new Error('another cipher')
  const [salt, rounds, ...more] = childrenOf(settings)
  const pseudorandom = more.find(({ tag }) => tag === TAG.sequence)
  const hash = pseudorandom === undefined ? 'sha1' : HMAC_HASHES[oidOf(childrenOf(pseudorandom)[0])]
  if (hash === undefined) throw new Error('another hash')
  const key = pbkdf2Sync(passphrase, octetsOf(salt), smallInteger(rounds), size, hash)
  return { cipher, key, start: octetsOf(start) }
}

function pkcs12Key(name: string, parameters: Element | undefined, passphrase: string): CipherKey {
  const size = PKCS12_TRIPLE_DES[name]
  if (size === undefined) throw new Error('another cipher')
  const [salt, rounds] = childrenOf(parameters)
  const derive = (purpose: 1 | 2, length: number) =>
    pkcs12Derived(passphrase, octetsOf(salt), { purpose, length, rounds: smallInteger(rounds) })
  const key = derive(1, size)
  // Two-key triple DES uses its first key again as the third.
  const whole = size === 24 ? key : Buffer.concat([key, key.subarray(0, 8)])
  return { cipher: 'des-ede3-cbc', key: whole, start: derive(2, 8) }
}

/** RFC 7292 appendix B.2 with SHA-1; purpose 1 is a key, 2 an initial value. */
function pkcs12Derived(
  passphrase: string,
  salt: Buffer,
  { purpose, length, rounds }: { readonly purpose: 1 | 2; readonly length: number; readonly rounds: number },
): Buffer {
  const block = 64
  const password = Buffer.from(`${passphrase}\0`, 'utf16le').swap16()
  const repeated = (bytes: Buffer) => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes)
  const input = Buffer.concat([repeated(salt), repeated(password)])
  const made: Buffer[] = []
  for (let have = 0; have < length; have += 20) {
    let digest = Buffer.concat([Buffer.alloc(block, purpose), input])
    for (let round = 0; round < rounds; round++) digest = createHash('sha1').update(digest).digest()
    made.push(digest)
    addToBlocks(input, Buffer.alloc(block, digest), block)
  }
  return Buffer.concat(made).subarray(0, length)
}

/** Adds `addend` and 1 to each block of `input`, as numbers of that many bytes, in place. */
function addToBlocks(input: Buffer, addend: Buffer, block: number): void {
  for (let start = 0; start < input.length; start += block) {
    let carry = 1
    for (let at = block - 1; at >= 0; at--) {
      const sum = (input[start + at] ?? 0) + (addend[at] ?? 0) + carry
      input[start + at] = sum & 0xff
      carry = sum >> 8
    }
  }
}
