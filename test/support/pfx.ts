/**
 * PFX files (PKCS#12, RFC 7292) as people have them, made without openssl: the key bag encrypted with AES, and for the old
 * kind a certificate bag that claims the RC2 of Windows exports, which today's OpenSSL refuses before reading it.
 */
import { createHash, createHmac, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'

export function makePfx(options: {
  readonly certificate: string
  readonly key: string
  readonly passphrase: string
  readonly cipher: 'aes' | 'rc2'
}): Buffer {
  const { certificate, key, passphrase, cipher } = options
  const shrouded = createPrivateKey(key).export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase })
  const keyBag = sequence(oid('1.2.840.113549.1.12.10.1.2'), explicit(0, shrouded))
  const certificateBag = sequence(
    oid('1.2.840.113549.1.12.10.1.3'),
    explicit(0, sequence(oid('1.2.840.113549.1.9.22.1'), explicit(0, octets(new X509Certificate(certificate).raw)))),
  )
  const content = sequence(data(sequence(keyBag)), cipher === 'aes' ? data(sequence(certificateBag)) : rc2Encrypted())

  const salt = randomBytes(8)
  const digest = createHmac('sha256', macKey(passphrase, salt)).update(content).digest()
  const mac = sequence(
    sequence(sequence(oid('2.16.840.1.101.3.4.2.1'), tlv(0x05)), octets(digest)),
    octets(salt),
    integer(1),
  )
  return sequence(integer(3), data(content), mac)
}

/** pbeWithSHAAnd40BitRC2-CBC over bytes that nobody will get to decrypt. */
function rc2Encrypted(): Buffer {
  const algorithm = sequence(oid('1.2.840.113549.1.12.1.6'), sequence(octets(randomBytes(8)), integer(1)))
  const content = sequence(oid('1.2.840.113549.1.7.1'), algorithm, tlv(0x80, randomBytes(64)))
  return sequence(oid('1.2.840.113549.1.7.6'), explicit(0, sequence(integer(0), content)))
}

/** RFC 7292 appendix B.2 for one block of SHA-256, ID 3 (MAC) and a single iteration. */
function macKey(passphrase: string, salt: Buffer): Buffer {
  const block = 64
  const password = Buffer.from(`${passphrase}\0`, 'utf16le').swap16()
  const repeat = (bytes: Buffer) => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes)
  return createHash('sha256')
    .update(Buffer.concat([Buffer.alloc(block, 3), repeat(salt), repeat(password)]))
    .digest()
}

function data(content: Buffer): Buffer {
  return sequence(oid('1.2.840.113549.1.7.1'), explicit(0, octets(content)))
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, ...parts)
}

function explicit(tag: number, content: Buffer): Buffer {
  return tlv(0xa0 + tag, content)
}

function octets(content: Buffer): Buffer {
  return tlv(0x04, content)
}

function integer(value: number): Buffer {
  return tlv(0x02, Buffer.of(value))
}

function oid(dotted: string): Buffer {
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
