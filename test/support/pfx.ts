/**
 * PFX files (PKCS#12, RFC 7292) as people have them, made without openssl: encrypted with AES, with triple DES, and the
 * oldest kind, whose certificate bag claims the RC2 of Windows exports, which today's OpenSSL refuses before reading it.
 */
import { createCipheriv, createHash, createHmac, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'

export function makePfx(options: {
  readonly certificate: string
  readonly key: string
  readonly passphrase: string
  readonly cipher: 'aes' | '3des' | 'rc2'
  /** the name of the certificate in the file */
  readonly name?: string
  /** further keys with their certificates, behind the first */
  readonly more?: readonly { readonly certificate: string; readonly key: string; readonly name?: string }[]
  /** certificates without keys, PEM */
  readonly authorities?: readonly string[]
}): Buffer {
  const { passphrase, cipher, more = [], authorities = [] } = options
  const entries = [options, ...more]
  const pkcs8 = { type: 'pkcs8', format: 'der' } as const
  const shrouded = (key: string) =>
    cipher === '3des'
      ? sequence(...tripleDes(createPrivateKey(key).export(pkcs8), passphrase, octets))
      : createPrivateKey(key).export({ ...pkcs8, cipher: 'aes-256-cbc', passphrase })
  const keyBags = entries.map(({ key }) => sequence(oid('1.2.840.113549.1.12.10.1.2'), explicit(0, shrouded(key))))
  const certificateBags = sequence(...[...entries, ...authorities.map((certificate) => ({ certificate }))].map(bagOf))
  const certificates = {
    aes: () => data(certificateBags),
    '3des': () => encrypted(...tripleDes(certificateBags, passphrase, (bytes) => tlv(0x80, bytes))),
    rc2: () => encrypted(pbe(6, randomBytes(8)), tlv(0x80, randomBytes(64))),
  }[cipher]()
  const content = sequence(data(sequence(...keyBags)), certificates)

  const salt = randomBytes(8)
  const digest = createHmac('sha256', derived(passphrase, salt, { id: 3, size: 32, hash: 'sha256' }))
    .update(content)
    .digest()
  const mac = sequence(
    sequence(sequence(oid('2.16.840.1.101.3.4.2.1'), tlv(0x05)), octets(digest)),
    octets(salt),
    integer(1),
  )
  return sequence(integer(3), data(content), mac)
}

function bagOf({ certificate, name }: { readonly certificate: string; readonly name?: string }): Buffer {
  const friendlyName = (text: string) =>
    sequence(oid('1.2.840.113549.1.9.20'), tlv(0x31, tlv(0x1e, Buffer.from(text, 'utf16le').swap16())))
  return sequence(
    oid('1.2.840.113549.1.12.10.1.3'),
    explicit(0, sequence(oid('1.2.840.113549.1.9.22.1'), explicit(0, octets(new X509Certificate(certificate).raw)))),
    ...(name === undefined ? [] : [tlv(0x31, friendlyName(name))]),
  )
}

/** EncryptedData (RFC 5652 section 8); the bytes of an RC2 bag are such that nobody will get to decrypt. */
function encrypted(algorithm: Buffer, content: Buffer): Buffer {
  const info = sequence(oid('1.2.840.113549.1.7.1'), algorithm, content)
  return sequence(oid('1.2.840.113549.1.7.6'), explicit(0, sequence(integer(0), info)))
}

/** pbeWithSHAAnd3-KeyTripleDES-CBC is number 3, pbeWithSHAAnd40BitRC2-CBC number 6 (RFC 7292 appendix C). */
function pbe(number: 3 | 6, salt: Buffer): Buffer {
  return sequence(oid(`1.2.840.113549.1.12.1.${number}`), sequence(octets(salt), integer(1)))
}

function tripleDes(plain: Buffer, passphrase: string, wrap: (bytes: Buffer) => Buffer): [Buffer, Buffer] {
  const salt = randomBytes(8)
  const derive = (id: 1 | 2, size: number) => derived(passphrase, salt, { id, size, hash: 'sha1' })
  const cipher = createCipheriv('des-ede3-cbc', derive(1, 24), derive(2, 8))
  return [pbe(3, salt), wrap(Buffer.concat([cipher.update(plain), cipher.final()]))]
}

/** RFC 7292 appendix B.2 with a single iteration; `id` is 1 for a key, 2 for an initial value, 3 for a MAC. */
function derived(
  passphrase: string,
  salt: Buffer,
  { id, size, hash }: { id: 1 | 2 | 3; size: number; hash: 'sha1' | 'sha256' },
): Buffer {
  const block = 64
  const password = Buffer.from(`${passphrase}\0`, 'utf16le').swap16()
  const repeat = (bytes: Buffer) => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes)
  let input = Buffer.concat([repeat(salt), repeat(password)])
  let output = Buffer.of()
  while (output.length < size) {
    const round = createHash(hash)
      .update(Buffer.concat([Buffer.alloc(block, id), input]))
      .digest()
    output = Buffer.concat([output, round])
    const addend = BigInt(`0x${Buffer.alloc(block, round).toString('hex')}`) + 1n
    const blocks = Array.from({ length: input.length / block }, (_, index) => {
      const sum = BigInt(`0x${input.subarray(index * block, (index + 1) * block).toString('hex')}`) + addend
      return Buffer.from((sum % (1n << 512n)).toString(16).padStart(2 * block, '0'), 'hex')
    })
    input = Buffer.concat(blocks)
  }
  return output.subarray(0, size)
}

function data(content: Buffer): Buffer {
  return sequence(oid('1.2.840.113549.1.7.1'), explicit(0, octets(content)))
}

export function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, ...parts)
}

function explicit(tag: number, content: Buffer): Buffer {
  return tlv(0xa0 + tag, content)
}

export function octets(content: Buffer): Buffer {
  return tlv(0x04, content)
}

export function integer(value: number): Buffer {
  return tlv(0x02, Buffer.of(value))
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const arcs = [first * 40 + second, ...rest].map((arc) => {
    const bytes = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) bytes.unshift((left & 0x7f) | 0x80)
    return Buffer.from(bytes)
  })
  return tlv(0x06, ...arcs)
}

function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  if (content.length < 128) return Buffer.concat([Buffer.of(tag, content.length), content])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  const short = length.subarray(length.findIndex((byte) => byte !== 0))
  return Buffer.concat([Buffer.of(tag, 0x80 + short.length), short, content])
}
