/**
 * Reads the files of client identities: certificate and key, their match, and whether they may be used today. Everything that
 * is wrong with an identity is found here, before a run sends anything.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { createSecureContext, TLSSocket } from 'node:tls'
import { fail, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import type { IdentityRecord } from '../record/index.ts'
import { readRegularFile } from '../record/regular-file.ts'
import { Secret } from '../secret/index.ts'
import { chainWarnings, expiryWarning, keyKind, nameOnOneLine, recordOf, validity } from './facts.ts'
import { identitySetting } from './settings.ts'

/** The files of an identity as an environment names them: a certificate and a key file, or one PFX file. */
export interface IdentitySpec {
  readonly name: string
  /** PEM (the chain may follow) or DER */
  readonly certificateFile?: string | undefined
  /** PEM or DER; PKCS#8, PKCS#1 or SEC1, encrypted or not */
  readonly keyFile?: string | undefined
  /** PKCS#12 */
  readonly pfxFile?: string | undefined
  readonly passphrase?: Secret | undefined
  /** for tests of refusal: an expired or not yet valid certificate is then no problem */
  readonly allowInvalidDates?: boolean | undefined
}

type Credentials =
  /** `chain` is PEM with the identity's own certificate first; `key` is PKCS#8 PEM */
  | { readonly kind: 'pem'; readonly chain: string; readonly key: Secret }
  | { readonly kind: 'pfx'; readonly pfx: Uint8Array; readonly passphrase: Secret | undefined }

/** A certificate and its key, proven to fit. */
export interface Identity {
  readonly name: string
  /** the identity's own certificate, without its chain */
  readonly certificate: X509Certificate
  readonly credentials: Credentials
  readonly record: IdentityRecord
}

/**
 * Reads one identity; a warning is a plain sentence about a near expiry.
 *
 * @throws ToolError with every problem at once: IDENTITY_UNREADABLE, IDENTITY_MISMATCH, IDENTITY_USAGE, IDENTITY_EXPIRED,
 *   or ENV_MISSING where a file is not named
 */
export async function loadIdentity(
  spec: IdentitySpec,
  now: Date,
): Promise<{ readonly identity: Identity; readonly warnings: readonly string[] }> {
  const problems: Problem[] = []
  const found =
    spec.pfxFile === undefined ? await readPair(spec, problems) : await readArchive(spec, spec.pfxFile, problems)
  if (found !== undefined) problems.push(...checkUse(spec, found.certificate, now))
  if (isNonEmpty(problems)) throw new ToolError(problems)
  if (found === undefined) throw new Error('an identity without a problem was not read')
  const { certificate, credentials, issuers } = found
  const record = recordOf(spec.name, certificate, now)
  return {
    identity: { name: spec.name, certificate, credentials, record },
    warnings: [...expiryWarning(record), ...chainWarnings(spec.name, certificate, issuers, now)],
  }
}

/**
 * The certificate of the signing key. A signature does not need it, but Thredd's key store drops the key when it expires. Since
 * a run can do without it, everything wrong with it is a warning.
 */
export async function loadSigningCertificate(
  file: string,
  key: KeyObject,
  now: Date,
): Promise<{ readonly record?: IdentityRecord; readonly warnings: readonly string[] }> {
  const problems: Problem[] = []
  const bytes = await readBytes(file, `signing certificate file "${file}"`, 'correct SIGNING_CERT_FILE', problems)
  if (bytes === undefined) return { warnings: problems.map(({ message }) => message) }
  let certificates: readonly X509Certificate[]
  try {
    certificates = parseCertificates(bytes)
  } catch {
    return { warnings: [`signing certificate file "${file}" holds no certificate, but ${sniff(bytes)}`] }
  }
  const certificate = certificates.find((one) => one.checkPrivateKey(key))
  if (certificate === undefined) return { warnings: [`the certificate in "${file}" is not that of the signing key`] }
  const record = recordOf('signing', certificate, now)
  const expired = record.daysLeft < 0 ? [`the signing certificate ${validity(certificate, now)}`] : []
  return { record, warnings: [...expired, ...expiryWarning(record)] }
}

/**
 * The certificates in a CA file, each as PEM.
 *
 * @throws ToolError IDENTITY_UNREADABLE
 */
export async function loadAuthorities(file: string): Promise<readonly string[]> {
  const problems: Problem[] = []
  const bytes = await readBytes(file, `CA file "${file}"`, 'set CA_FILE to the CA certificate of the server', problems)
  if (isNonEmpty(problems)) throw new ToolError(problems)
  try {
    return parseCertificates(bytes ?? Buffer.of()).map((certificate) => certificate.toString())
  } catch (cause) {
    const message = `CA file "${file}" holds no certificate`
    fail(
      { code: 'IDENTITY_UNREADABLE', message, expected: CERTIFICATE_FORM, found: sniff(bytes ?? Buffer.of()) },
      cause,
    )
  }
}

interface Found extends Pick<Identity, 'certificate' | 'credentials'> {
  /** the other certificates of the file; empty for a PFX file, of which Node shows the identity's own certificate only */
  readonly issuers: readonly X509Certificate[]
}

async function readPair(spec: IdentitySpec, problems: Problem[]): Promise<Found | undefined> {
  const { name, certificateFile, keyFile } = spec
  if (certificateFile === undefined || keyFile === undefined) {
    const missing = certificateFile === undefined ? 'certificate' : 'key'
    problems.push({
      code: 'ENV_MISSING',
      message: `identity "${name}" has no ${missing} file`,
      hint: `set ${identitySetting(name, missing === 'key' ? 'KEY_FILE' : 'CERT_FILE')}, or ${identitySetting(name, 'PFX_FILE')} alone`,
    })
    return undefined
  }
  const [certificateBytes, keyBytes] = await Promise.all([
    readBytes(
      certificateFile,
      `certificate file "${certificateFile}" of identity "${name}"`,
      `correct ${identitySetting(name, 'CERT_FILE')}`,
      problems,
    ),
    readBytes(
      keyFile,
      `key file "${keyFile}" of identity "${name}"`,
      `correct ${identitySetting(name, 'KEY_FILE')}`,
      problems,
    ),
  ])
  const certificates = certificateBytes && parseChain(spec, certificateFile, certificateBytes, problems)
  const key = keyBytes && parseKey(spec, keyFile, keyBytes, problems)
  if (certificates === undefined || key === undefined) return undefined

  // A chain may be written in either order; TLS wants the identity's own certificate first.
  const certificate = certificates.find((candidate) => candidate.checkPrivateKey(key))
  if (certificate === undefined) {
    problems.push({
      code: 'IDENTITY_MISMATCH',
      message: `the key of identity "${name}" does not belong to its certificate`,
      expected: `the private key of certificate "${nameOnOneLine(certificates[0].subject)}" in "${certificateFile}"`,
      found: `another ${keyKind(key)} key in "${keyFile}"`,
      hint: 'take the key file that was made together with the certificate signing request',
    })
    return undefined
  }
  const issuers = certificates.filter((other) => other !== certificate)
  const cert = [certificate, ...issuers].map((each) => each.toString()).join('')
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  try {
    createSecureContext({ cert, key: pem })
  } catch (error) {
    const reason = error instanceof Error && 'reason' in error ? String(error.reason) : 'no reason given'
    problems.push({
      code: 'IDENTITY_USAGE',
      message: `the certificate of identity "${name}" cannot be used for TLS: ${reason}`,
      hint: 'OpenSSL refuses weak keys and signatures; request a certificate with an RSA key of 2048 bits',
    })
    return undefined
  }
  return { certificate, credentials: { kind: 'pem', chain: cert, key: new Secret(pem, `${name}_key`) }, issuers }
}

function parseChain(
  { name }: IdentitySpec,
  file: string,
  bytes: Buffer,
  problems: Problem[],
): readonly [X509Certificate, ...X509Certificate[]] | undefined {
  try {
    return parseCertificates(bytes)
  } catch {
    problems.push({
      code: 'IDENTITY_UNREADABLE',
      message: `certificate file "${file}" of identity "${name}" holds no certificate`,
      expected: CERTIFICATE_FORM,
      found: sniff(bytes),
      hint: `name the downloaded certificate in ${identitySetting(name, 'CERT_FILE')}`,
    })
    return undefined
  }
}

function parseCertificates(bytes: Buffer): readonly [X509Certificate, ...X509Certificate[]] {
  const text = bytes.toString('latin1')
  const blocks = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[\s\S]+?-----END [A-Z0-9 ]+-----/g) ?? []
  const certificates = blocks.map((block) => new X509Certificate(block))
  return isNonEmpty(certificates) ? certificates : [new X509Certificate(bytes)]
}

function parseKey(spec: IdentitySpec, file: string, bytes: Buffer, problems: Problem[]): KeyObject | undefined {
  const passphrase = spec.passphrase?.reveal()
  const forms = bytes.includes('-----BEGIN')
    ? [{ format: 'pem' as const }]
    : (['pkcs8', 'pkcs1', 'sec1'] as const).map((type) => ({ format: 'der' as const, type }))
  let reason: KeyFault | undefined
  for (const form of forms) {
    try {
      return createPrivateKey({ key: bytes, ...form, ...(passphrase === undefined ? {} : { passphrase }) })
    } catch (error) {
      // Three DER forms are tried; only for the form that the file has does OpenSSL report a missing or wrong passphrase.
      reason ??= KEY_FAULTS[codeOf(error)]
    }
  }
  problems.push({
    code: 'IDENTITY_UNREADABLE',
    message: `key file "${file}" of identity "${spec.name}" ${KEY_FAULT_WORDS[reason ?? 'form']}`,
    ...(reason === undefined
      ? { expected: 'a private key in PEM or DER (PKCS#8, PKCS#1 or SEC1)', found: sniff(bytes) }
      : {}),
    hint:
      reason === undefined
        ? `name the private key in ${identitySetting(spec.name, 'KEY_FILE')}`
        : `set ${identitySetting(spec.name, 'PASSPHRASE')}`,
  })
  return undefined
}

type KeyFault = 'needs' | 'wrong'

/** Node's error codes for an encrypted key without its passphrase. */
const KEY_FAULTS: Readonly<Record<string, KeyFault>> = {
  ERR_MISSING_PASSPHRASE: 'needs',
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: 'needs',
  ERR_OSSL_BAD_DECRYPT: 'wrong',
  ERR_OSSL_EVP_BAD_DECRYPT: 'wrong',
}

const KEY_FAULT_WORDS = {
  needs: 'is encrypted and no passphrase is set',
  wrong: 'cannot be decrypted with the passphrase that is set',
  form: 'holds no private key',
} as const satisfies Record<KeyFault | 'form', string>

async function readArchive(spec: IdentitySpec, file: string, problems: Problem[]): Promise<Found | undefined> {
  const { name, passphrase } = spec
  const what = `PFX file "${file}" of identity "${name}"`
  const pfx = await readBytes(file, what, `correct ${identitySetting(name, 'PFX_FILE')}`, problems)
  if (pfx === undefined) return undefined
  try {
    return { certificate: certificateOf(pfx, passphrase), credentials: { kind: 'pfx', pfx, passphrase }, issuers: [] }
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    if (codeOf(error) === 'ERR_CRYPTO_UNSUPPORTED_OPERATION') {
      problems.push({
        code: 'IDENTITY_UNREADABLE',
        message: `${what} is encrypted with an outdated cipher (usually RC2)`,
        expected: 'a PFX file encrypted with AES or triple DES',
        // Two steps with an encrypted file between them, so that the key is never on the disk unencrypted.
        hint: `convert it: openssl pkcs12 -legacy -in "${file}" -out converted.pem && openssl pkcs12 -export -in converted.pem -out converted.pfx; then name converted.pfx in ${identitySetting(name, 'PFX_FILE')}`,
      })
    } else if (reason.includes('mac verify failure')) {
      const fault = passphrase === undefined ? 'needs' : 'wrong'
      problems.push({
        code: 'IDENTITY_UNREADABLE',
        message: `${what} ${KEY_FAULT_WORDS[fault].replace('decrypted', 'opened')}`,
        hint: `set ${identitySetting(name, 'PASSPHRASE')}`,
      })
    } else {
      problems.push({
        code: 'IDENTITY_UNREADABLE',
        message: `${what} holds no certificate with its private key`,
        expected: 'a PKCS#12 archive (.pfx or .p12) with one certificate and its private key',
        found: sniff(pfx),
      })
    }
    return undefined
  }
}

/** Node reads PFX files for TLS only, so the certificate is read off a TLS socket that is never connected. */
function certificateOf(pfx: Buffer, passphrase: Secret | undefined): X509Certificate {
  const secureContext = createSecureContext({
    pfx,
    ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }),
  })
  const socket = new TLSSocket(new PassThrough(), { secureContext })
  const certificate = socket.getX509Certificate()
  socket.destroy()
  if (certificate === undefined) throw new Error('no certificate')
  return certificate
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_USAGE = '2.5.29.37.0'

function checkUse(spec: IdentitySpec, certificate: X509Certificate, now: Date): Problem[] {
  const problems: Problem[] = []
  // Both usages may be absent, then everything is allowed; the documented signing certificates have no extended one.
  const extended: readonly string[] | undefined = certificate.keyUsage
  if (extended !== undefined && !extended.includes(CLIENT_AUTH) && !extended.includes(ANY_USAGE)) {
    problems.push({
      code: 'IDENTITY_USAGE',
      message: `the certificate of identity "${spec.name}" is not made for TLS clients`,
      expected: `extended key usage clientAuth (${CLIENT_AUTH})`,
      found: extended.join(', '),
      hint: 'take the transport certificate',
    })
  } else if (!allowsSignatures(certificate)) {
    problems.push({
      code: 'IDENTITY_USAGE',
      message: `the certificate of identity "${spec.name}" is not made for TLS clients`,
      expected: 'key usage digitalSignature',
      found: 'a key usage without it',
      hint: 'take the transport certificate',
    })
  }
  const { validFromDate, validToDate } = certificate
  if (spec.allowInvalidDates !== true && (now < validFromDate || now > validToDate)) {
    problems.push({
      code: 'IDENTITY_EXPIRED',
      message: `the certificate of identity "${spec.name}" ${now > validToDate ? '' : 'is '}${validity(certificate, now)}`,
      expected: `${now.toISOString()} between ${validFromDate.toISOString()} and ${validToDate.toISOString()}`,
      hint:
        now > validToDate
          ? `request a new certificate from Thredd's CA and name it in ${identitySetting(spec.name, spec.pfxFile === undefined ? 'CERT_FILE' : 'PFX_FILE')}`
          : 'check the clock of this machine, or take the certificate that is valid now',
    })
  }
  return problems
}

/**
 * Whether key usage, where present, has the digitalSignature bit (RFC 5280 section 4.2.1.3). Node shows only the extended
 * usage, so the extension is found by its object identifier: id-ce-keyUsage, maybe critical, OCTET STRING, BIT STRING.
 */
function allowsSignatures({ raw }: X509Certificate): boolean {
  const identifier = raw.indexOf(Buffer.from('0603551d0f', 'hex'))
  if (identifier === -1) return true
  const rest = raw.subarray(identifier + 5)
  const value = rest[0] === 0x01 ? rest.subarray(3) : rest
  return ((value[5] ?? 0) & 0x80) !== 0
}

async function readBytes(
  file: string,
  what: string,
  hint: string,
  problems: Problem[],
): Promise<Buffer<ArrayBuffer> | undefined> {
  try {
    return readRegularFile(file)
  } catch (error) {
    const reason = { ENOENT: 'does not exist', EACCES: 'may not be read by this user', EISDIR: 'is a folder' }
    const words =
      Object.entries(reason).find(([code]) => code === codeOf(error))?.[1] ?? `cannot be read: ${codeOf(error)}`
    problems.push({ code: 'IDENTITY_UNREADABLE', message: `${what} ${words}`, hint })
    return undefined
  }
}

const CERTIFICATE_FORM = 'an X.509 certificate in PEM or DER'

/** What a file is that is no certificate or key, by its first bytes. Its content is not quoted. */
function sniff(bytes: Buffer): string {
  if (bytes.length === 0) return 'an empty file'
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(bytes.toString('latin1'))?.[1]
  if (label !== undefined) return `a PEM file with "${label}"`
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(bytes.toString('latin1', 0, 200))) return 'an HTML or XML page'
  return bytes[0] === 0x30 ? 'another binary (ASN.1) structure' : 'neither PEM nor DER'
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
