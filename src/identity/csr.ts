/**
 * Makes a private key and a certificate signing request (PKCS#10) for Thredd's certificate authority.
 * @see [RFC 2986](https://www.rfc-editor.org/rfc/rfc2986.html)
 */
import { generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509'
import { fail } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'

/** The attributes of a subject that are understood, with their object identifiers (RFC 4519 section 2). */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  C: '2.5.4.6',
  ST: '2.5.4.8',
  L: '2.5.4.7',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  CN: '2.5.4.3',
}

/** sha256WithRSAEncryption, which the documented command asks for (RFC 8017 appendix A.2.4). */
const SHA256_WITH_RSA = '1.2.840.113549.1.1.11'

export const KEY_SIZES = [2048, 3072] as const
export type KeySize = (typeof KEY_SIZES)[number]

/** One attribute of a distinguished name: `["O", "thredd"]`. */
export type SubjectPart = readonly [name: string, value: string]

export interface SigningRequest {
  /** PKCS#8 PEM; encrypted where there is a passphrase */
  readonly key: string
  /** PEM */
  readonly request: string
}

export async function makeSigningRequest(
  subject: readonly SubjectPart[],
  { bits, passphrase }: { readonly bits: KeySize; readonly passphrase: Secret | undefined },
): Promise<SigningRequest> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits })
  return {
    key: privateKey
      .export({
        type: 'pkcs8',
        format: 'pem',
        ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: passphrase.reveal() }),
      })
      .toString(),
    request: pem('CERTIFICATE REQUEST', signed(subject, privateKey, publicKey)),
  }
}

function signed(subject: readonly SubjectPart[], privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const info = new CertificationRequestInfo({
    subject: new Name(subject.map(attribute)),
    subjectPKInfo: AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
  })
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(info)), privateKey)
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: new AlgorithmIdentifier({ algorithm: SHA256_WITH_RSA, parameters: NULL }),
    signature: new Uint8Array(signature).buffer,
  })
  return Buffer.from(AsnConvert.serialize(request))
}

const NULL = new Uint8Array([5, 0]).buffer

/** A country is a PrintableString, everything else UTF-8 (RFC 5280 section 4.1.2.4 and appendix A.1). */
function attribute([name, value]: SubjectPart): RelativeDistinguishedName {
  const encoded = name === 'C' ? { printableString: value } : { utf8String: value }
  const type = ATTRIBUTES[name] ?? ''
  return new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value: new AttributeValue(encoded) })])
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** The longest value of each attribute, in characters (RFC 5280 appendix A.1, the upper bounds ub-…). */
const LONGEST: Readonly<Record<string, number>> = { C: 2, ST: 128, L: 128, O: 64, OU: 64, CN: 64 }

/**
 * Reads a subject as the certificate authority shows it: `/C=GB/O=…/OU=…/CN=…`, the same with commas, or the whole openssl
 * command, whose `-subj` counts. A backslash takes the character after it as it stands.
 * @throws ToolError USAGE
 */
export function parseSubject(text: string): readonly SubjectPart[] {
  const inCommand = /-subj(?:ect)?[ =]+(?:"([^"]*)"|'([^']*)'|(\S+))/.exec(text)
  const subject = (inCommand?.slice(1).find((one) => one !== undefined) ?? text).trim()
  const separator = subject.startsWith('/') ? '/' : ','
  const parts = split(subject.replace(/^\//, ''), separator).map((part) => partOf(part, subject))
  if (!parts.some(([name]) => name === 'CN')) wrong('has no CN', subject)
  return parts
}

function split(text: string, separator: string): readonly string[] {
  const parts = ['']
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === separator) parts.push('')
    else parts.push(parts.pop() + (character === '\\' ? (text[++at] ?? '') : character))
  }
  return parts
}

function partOf(text: string, subject: string): SubjectPart {
  const at = text.indexOf('=')
  const name = text.slice(0, Math.max(at, 0)).trim().toUpperCase()
  const value = text.slice(at + 1).trim()
  if (ATTRIBUTES[name] === undefined) return wrong(`has "${text.trim()}", which is no attribute that is known`, subject)
  if (value === '') return wrong(`has no value for ${name}`, subject)
  if (value.length > (LONGEST[name] ?? 0))
    return wrong(`has a value for ${name} that is longer than ${LONGEST[name]} characters`, subject)
  if (name === 'C' && !/^[A-Z]{2}$/.test(value))
    return wrong('has a country (C) that is not two capital letters', subject)
  if (/\p{Cc}/u.test(value)) return wrong(`has a control character in ${name}`, subject)
  return [name, value]
}

function wrong(what: string, subject: string): never {
  fail({
    code: 'USAGE',
    message: `the subject "${subject}" ${what}`,
    expected: `/C=GB/O=…/OU=…/CN=…, of ${Object.keys(ATTRIBUTES).join(', ')}`,
    hint: 'copy it from the command that Thredd CA shows beside Upload CSR',
  })
}
