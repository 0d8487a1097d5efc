/**
 * Lists the keys and certificates of a PKCS#12 file. Node opens such files for TLS only: of several keys it takes the first, and
 * the file's CA certificates it trusts.
 *
 * @see [RFC 7292 §4](https://www.rfc-editor.org/rfc/rfc7292.html#section-4)
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { decrypted } from './ciphers.ts'
import { childrenOf, type Element, elementAt, octetsOf, oidOf } from './der.ts'

export interface Archive {
  readonly keys: readonly { readonly key: KeyObject; readonly name: string | undefined }[]
  readonly certificates: readonly { readonly certificate: X509Certificate; readonly name: string | undefined }[]
}

const DATA = '1.2.840.113549.1.7.1'
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6'
const FRIENDLY_NAME = '1.2.840.113549.1.9.20'
const BAG = '1.2.840.113549.1.12.10.1'

interface Bag {
  readonly type: string
  readonly value: Element | undefined
  readonly name: string | undefined
}

/** Throws for anything that is no PKCS#12 file, for a wrong passphrase, and for a cipher that is not supported. */
export function readArchive(bytes: Buffer, passphrase: string): Archive {
  const [, authSafe] = childrenOf(elementAt(bytes))
  const bags = contentsOf(elementAt(octetsOf(contentOf(authSafe, DATA)))).flatMap((info) => bagsOf(info, passphrase))
  const of = (...types: readonly number[]) => bags.filter(({ type }) => types.some((one) => type === `${BAG}.${one}`))
  return {
    keys: of(1, 2).flatMap(({ type, value, name }) =>
      value === undefined ? [] : [{ key: keyOf(value, type.endsWith('.2') ? passphrase : undefined), name }],
    ),
    certificates: of(3).map(({ value, name }) => ({
      certificate: new X509Certificate(octetsOf(childrenOf(childrenOf(value)[1])[0])),
      name,
    })),
  }
}

function contentsOf(safe: Element | undefined): readonly Element[] {
  if (safe === undefined) throw new Error('no PKCS#12 file')
  return childrenOf(safe)
}

/** The content of a ContentInfo of this type. */
function contentOf(info: Element | undefined, type: string): Element | undefined {
  const [found, content] = childrenOf(info)
  return oidOf(found) === type ? childrenOf(content)[0] : undefined
}

function bagsOf(info: Element, passphrase: string): readonly Bag[] {
  const plain = contentOf(info, DATA)
  if (plain !== undefined) return bagsIn(octetsOf(plain))
  const [, encrypted] = childrenOf(contentOf(info, ENCRYPTED_DATA))
  const [, algorithm, content] = childrenOf(encrypted)
  if (content === undefined) throw new Error('a part of the file is encrypted in another way')
  return bagsIn(decrypted(algorithm, octetsOf(content), passphrase))
}

function bagsIn(bytes: Buffer): readonly Bag[] {
  return contentsOf(elementAt(bytes)).flatMap((bag) => {
    const [type, value, attributes] = childrenOf(bag)
    const [inner] = childrenOf(value)
    if (oidOf(type) === `${BAG}.6`) return inner === undefined ? [] : bagsIn(inner.whole)
    const named = childrenOf(attributes).find((one) => oidOf(childrenOf(one)[0]) === FRIENDLY_NAME)
    const [text] = childrenOf(childrenOf(named)[1])
    const name = text === undefined ? undefined : Buffer.from(text.content).swap16().toString('utf16le')
    return [{ type: oidOf(type), value: inner, name }]
  })
}

function keyOf({ whole }: Element, passphrase: string | undefined): KeyObject {
  return createPrivateKey({
    key: whole,
    format: 'der',
    type: 'pkcs8',
    ...(passphrase === undefined ? {} : { passphrase }),
  })
}
