/**
 * What a file or a text holds of keys and certificates, in the forms that people have: PEM as it should be, on one line, indented
 * or with `\n` written out; DER; JWK and JWK sets; any of these in base64. Nothing that a message says repeats the content.
 */
import type { JsonWebKey } from 'node:crypto'
import { decodeText } from './bytes.ts'
import { childrenOf, elementAt, TAG } from './der.ts'

export type Block =
  /** `label` as PEM has it; that of DER without PEM is found by its structure */
  | { readonly label: string; readonly der: Buffer; readonly encryption: PemEncryption | undefined }
  | { readonly label: 'JWK'; readonly jwk: JsonWebKey & { readonly kid?: unknown } }
  /** a block that begins, and has no end or no bytes of its kind */
  | { readonly label: string; readonly damage: string }

/** The cipher and initial value of a `DEK-Info` header (RFC 1421 §4.6.1.3), which older OpenSSL writes into PEM. */
interface PemEncryption {
  readonly cipher: string
  readonly start: string
}

/** Whether it can be read with its passphrase only. */
export function isEncrypted({ label, encryption }: Extract<Block, { der: Buffer }>): boolean {
  return encryption !== undefined || label === 'ENCRYPTED PRIVATE KEY'
}

export interface Material {
  readonly blocks: readonly Block[]
  /** what it is where there is no block: "an empty file", "a Java key store" */
  readonly otherwise: Described
}

export interface Described {
  readonly found: string
  /** what to do about it, where it is known */
  readonly hint?: string | undefined
}

export function materialOf(bytes: Uint8Array): Material {
  return { blocks: blocksOf(Buffer.from(bytes), 2), otherwise: otherForm(bytes) }
}

function blocksOf(bytes: Buffer, depth: number): readonly Block[] {
  if (bytes[0] === TAG.sequence && elementAt(bytes) !== undefined) {
    return [{ label: labelOf(bytes) ?? 'ASN.1', der: bytes, encryption: undefined }]
  }
  const text = decodeText(bytes).text.trim()
  if (text.includes('-----BEGIN')) return pemBlocks(text.replaceAll('\\r', '').replaceAll('\\n', '\n'))
  if (text.startsWith('{')) return jwkBlocks(text)
  return depth > 0 && isBase64(text) ? blocksOf(Buffer.from(text, 'base64'), depth - 1) : []
}

/** At least as long as the shortest key. */
function isBase64(text: string): boolean {
  return text.length >= 64 && /^[A-Za-z0-9+/_\s-]+=*\s*$/.test(text)
}

const PEM = /-----BEGIN ([A-Z0-9 #]+?)-----([\s\S]*?)(?:-----END \1-----|(?=-----BEGIN )|$)/g
const HEADERS = /^\s*Proc-Type:\s*4,\s*ENCRYPTED\s+DEK-Info:\s*([A-Z0-9-]+),([0-9A-F]+)/i

function pemBlocks(text: string): readonly Block[] {
  return [...text.matchAll(PEM)].map(([whole, label = '', inside = '']): Block => {
    // Blocks of another kind are only named.
    if (!/(?:PRIVATE KEY|CERTIFICATE)$/.test(label) || label.startsWith('OPENSSH'))
      return { label, der: Buffer.of(), encryption: undefined }
    const headers = HEADERS.exec(inside)
    const encryption = headers === null ? undefined : { cipher: headers[1] ?? '', start: headers[2] ?? '' }
    const body = inside.slice(headers?.[0].length ?? 0).replace(/\s+/g, '')
    if (!whole.endsWith(`-----END ${label}-----`)) return { label, damage: 'its last lines are missing' }
    if (body === '') return { label, damage: 'nothing is between its first and its last line' }
    if (!/^[A-Za-z0-9+/]+=*$/.test(body)) return { label, damage: 'it holds characters that are no base64' }
    const der = Buffer.from(body, 'base64')
    // What old OpenSSL encrypted has no length to compare with; trust settings follow in a TRUSTED CERTIFICATE.
    if (encryption !== undefined) return { label, der, encryption }
    const element = elementAt(der)
    const isWhole = element?.whole.length === der.length || (element !== undefined && label.startsWith('TRUSTED'))
    return isWhole ? { label, der: element.whole, encryption } : { label, damage: 'lines of it are missing' }
  })
}

function jwkBlocks(text: string): readonly Block[] {
  try {
    const parsed: { readonly keys?: unknown; readonly kty?: unknown } = JSON.parse(text)
    const keys: readonly unknown[] = Array.isArray(parsed.keys) ? parsed.keys : [parsed]
    return keys.flatMap((jwk) =>
      typeof jwk === 'object' && jwk !== null && 'kty' in jwk
        ? [{ label: 'JWK' as const, jwk: jwk as JsonWebKey }]
        : [],
    )
  } catch {
    return []
  }
}

/** The tags of the first elements, and the label that PEM gives to such a structure. The first row that fits counts. */
const STRUCTURES: readonly (readonly [label: string, ...tags: (number | readonly number[])[]])[] = [
  ['ENCRYPTED PRIVATE KEY', [TAG.oid], TAG.octets],
  ['PUBLIC KEY', [TAG.oid], TAG.bitString],
  ['RSA PRIVATE KEY', TAG.integer, TAG.integer, TAG.integer, TAG.integer],
  ['PRIVATE KEY', TAG.integer, [TAG.oid], TAG.octets],
  ['EC PRIVATE KEY', TAG.integer, TAG.octets],
  ['PKCS12', TAG.integer, [TAG.oid, TAG.context0]],
  ['RSA PUBLIC KEY', TAG.integer, TAG.integer],
  ['PKCS7', TAG.oid, TAG.context0],
  ['CERTIFICATE', [TAG.context0], [TAG.oid], TAG.bitString],
  ['CERTIFICATE REQUEST', [TAG.integer, TAG.sequence, TAG.sequence], [TAG.oid], TAG.bitString],
]

/** An array of tags stands for a SEQUENCE that begins with them. */
export function labelOf(der: Buffer): string | undefined {
  const elements = childrenOf(elementAt(der))
  const fits = (tags: readonly (number | readonly number[])[]) =>
    tags.every((tag, index) => {
      const element = elements[index]
      if (typeof tag === 'number') return element?.tag === tag
      const inner = childrenOf(element)
      return element?.tag === TAG.sequence && tag.every((one, at) => inner[at]?.tag === one)
    })
  return STRUCTURES.find(([, ...tags]) => fits(tags))?.[0]
}

const CONVERT_JKS =
  'convert it: keytool -importkeystore -srckeystore <file> -destkeystore converted.p12 -deststoretype PKCS12, and name converted.p12 as the PFX file'

/** Other forms by the hexadecimal of their first bytes. */
const BINARY: readonly (readonly [start: string, found: string, hint: string | undefined])[] = [
  ['feedfeed', 'a Java key store (JKS)', CONVERT_JKS],
  ['cececece', 'a Java key store (JCEKS)', CONVERT_JKS],
  ['504b0304', 'a zip archive', 'unpack it and name the file in it'],
  ['30', 'another binary (ASN.1) structure', undefined],
]

/** Other forms by their text. */
const TEXTUAL: readonly (readonly [form: RegExp, found: string, hint?: string])[] = [
  [/^\s*$/, 'an empty file'],
  [/^\s*<(?:!doctype|html|\?xml)/i, 'an HTML or XML page', 'download the file again: a browser shows such a page'],
  [/^PuTTY-User-Key-File/, 'a key of PuTTY', 'export it in PuTTYgen (Conversions > Export OpenSSH key)'],
  [/^(?:ssh-|ecdsa-sha2-)\S+ /, 'a public key of SSH'],
  [/^\s*\{/, 'JSON that is no JWK and no JWK set'],
  [
    /^(?=[^\r\n]{1,400}$)(?:[~.]{0,2}[\\/]|[A-Za-z]:\\|[^\r\n]*\.(?:pem|key|crt|cer|der|p12|pfx|jwks?|json)$)/i,
    'what looks like the name of a file',
    'a file is named in the setting that ends in _FILE',
  ],
]

function otherForm(bytes: Uint8Array): Described {
  const start = Buffer.from(bytes.subarray(0, 4)).toString('hex')
  const [, ofBinary, binaryHint] = BINARY.find(([one]) => start.startsWith(one)) ?? []
  if (ofBinary !== undefined) return { found: ofBinary, hint: binaryHint }
  const { text } = decodeText(bytes)
  const [, found = 'neither PEM, DER nor JWK', hint] = TEXTUAL.find(([form]) => form.test(text.trim())) ?? []
  return { found, hint }
}

/** Words for the blocks of a file, by label, and what to do where another kind was wanted. */
const LABELS: Readonly<Record<string, readonly [words: string, hint?: string]>> = {
  CERTIFICATE: ['a certificate'],
  'X509 CERTIFICATE': ['a certificate'],
  'TRUSTED CERTIFICATE': ['a certificate'],
  'CERTIFICATE REQUEST': [
    'a certificate signing request',
    'the certificate is downloaded where the request was uploaded; the key was made with the request',
  ],
  'NEW CERTIFICATE REQUEST': ['a certificate signing request', 'the certificate is downloaded where it was uploaded'],
  'PRIVATE KEY': ['a private key'],
  'RSA PRIVATE KEY': ['a private key'],
  'EC PRIVATE KEY': ['a private key'],
  'ENCRYPTED PRIVATE KEY': ['an encrypted private key'],
  'PUBLIC KEY': ['a public key', 'name the private key that belongs to it'],
  'RSA PUBLIC KEY': ['a public key', 'name the private key that belongs to it'],
  'OPENSSH PRIVATE KEY': ['an OpenSSH key', 'convert a copy of it: ssh-keygen -p -m PKCS8 -f <copy>'],
  'PGP PRIVATE KEY BLOCK': ['a PGP key', 'name the key that was made with the certificate signing request'],
  'PGP PUBLIC KEY BLOCK': ['a PGP key', 'name the key that was made with the certificate signing request'],
  'DSA PRIVATE KEY': ['a DSA key', 'make a new key: the CA asks for RSA 2048'],
  'EC PARAMETERS': ['parameters of an elliptic curve'],
  'DH PARAMETERS': ['Diffie-Hellman parameters'],
  PKCS12: ['a PKCS#12 file', 'name it in the setting that ends in PFX_FILE, without certificate and key beside it'],
  PKCS7: [
    'a PKCS#7 file',
    'convert it: openssl pkcs7 -print_certs -in <file> -out converted.pem (DER: with -inform DER)',
  ],
  JWK: ['a JWK'],
  'ASN.1': ['another binary (ASN.1) structure'],
}

/** What it is, for a message where something else was wanted. Holds nothing of the content. */
export function describe({ blocks, otherwise }: Material): Described {
  if (blocks.length === 0) return otherwise
  const rows = blocks.map((block): readonly [string, string | undefined] => {
    const [words, hint] = wordsOf(block)
    return 'damage' in block
      ? [`${words} that is damaged: ${block.damage}`, 'copy the file again, every line of it']
      : [words, hint]
  })
  const counted = [...Map.groupBy(rows, ([words]) => words)]
  const found = counted
    .map(([words, all]) => (all.length === 1 ? words : `${words} (${all.length} times)`))
    .join(' and ')
  return { found, hint: rows.find(([, hint]) => hint !== undefined)?.[1] }
}

function wordsOf(block: Block): readonly [words: string, hint?: string] {
  if ('jwk' in block && block.jwk.d === undefined)
    return [block.jwk.kty === 'oct' ? 'a symmetric JWK' : 'a public JWK', 'name the private key that belongs to it']
  return LABELS[block.label] ?? ['PEM of another kind']
}
