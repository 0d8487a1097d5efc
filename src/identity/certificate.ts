/**
 * Reads client identities: certificate and key, their match, and whether they may be used today. Everything that is wrong with
 * an identity is found here, before a run sends anything.
 */
import type { KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { attempt, fail, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import type { IdentityRecord } from '../record/index.ts'
import { Secret } from '../secret/index.ts'
import {
  chainOf,
  chainWarnings,
  expiryWarning,
  hasDates,
  isoOf,
  keyKind,
  nameOnOneLine,
  recordOf,
  sha256Of,
  validity,
} from './facts.ts'
import { certificatesOf, type Fault, privateKeysOf } from './keys.ts'
import { describe } from './material.ts'
import { type Archive, readArchive } from './pkcs12.ts'
import { type IdentityPart, identitySetting } from './settings.ts'
import { type Given, readSource, type Source } from './source.ts'

/** An identity as an environment names it: certificate and key, or one PKCS#12 file; each as a path or as the content itself. */
export interface IdentitySpec {
  readonly name: string
  /** the chain may follow */
  readonly certificateFile?: string | undefined
  readonly certificateText?: Secret | undefined
  readonly keyFile?: string | undefined
  readonly keyText?: Secret | undefined
  /** PKCS#12 */
  readonly pfxFile?: string | undefined
  /** the same in base64 */
  readonly pfxText?: Secret | undefined
  /** which of several keys of the PKCS#12 file: the name that the file gives it, or the start of its certificate's SHA-256 */
  readonly pfxAlias?: string | undefined
  readonly passphrase?: Secret | undefined
  /** no server is shown it, as that of a signing key: whether a TLS client may use it does not matter */
  readonly isForSigning?: boolean | undefined
  /** for tests of refusal: an expired or not yet valid certificate is then no problem */
  readonly allowInvalidDates?: boolean | undefined
}

/** A certificate and its key, proven to fit. */
export interface Identity {
  readonly name: string
  /** the identity's own certificate, without its chain */
  readonly certificate: X509Certificate
  /** `chain` is PEM with the identity's own certificate first; `key` is PKCS#8 PEM */
  readonly credentials: { readonly chain: string; readonly key: Secret }
  readonly record: IdentityRecord
}

/**
 * Reads one identity; a warning is a plain sentence.
 *
 * @throws ToolError with every problem at once: IDENTITY_UNREADABLE, IDENTITY_MISMATCH, IDENTITY_USAGE, IDENTITY_EXPIRED,
 *   or ENV_MISSING where certificate or key is not named
 */
export async function loadIdentity(
  spec: IdentitySpec,
  now: Date,
): Promise<{ readonly identity: Identity; readonly warnings: readonly string[] }> {
  const archive = spec.pfxFile ?? spec.pfxText
  const found = archive === undefined ? await readPair(spec) : await readPfx(spec, archive, now)
  const problems = [...checkTls(spec, found), ...checkUse(spec, found.certificate, now)]
  if (isNonEmpty(problems)) throw new ToolError(problems)
  const { certificate, issuers, others, key } = found
  const record = recordOf(spec.name, certificate, now)
  return {
    identity: { name: spec.name, certificate, credentials: credentialsOf(spec, found, key), record },
    warnings: [
      ...expiryWarning(record),
      ...chainWarnings(spec.name, certificate, { chain: issuers, others }, now),
      ...useWarnings(spec, certificate),
    ],
  }
}

/**
 * The certificate of the signing key. A signature does not need it, but Thredd's key store drops the key when it expires. Since
 * a run can do without it, everything wrong with it is a warning.
 */
export async function loadSigningCertificate(
  file: string,
  { key, now, transport }: { readonly key: KeyObject; readonly now: Date; readonly transport: string | undefined },
): Promise<{ readonly record?: IdentityRecord; readonly warnings: readonly string[] }> {
  const { value: certificates, problems } = await attempt(() => loadSigningCertificates(file))
  if (certificates === undefined)
    return {
      warnings: problems.map(({ message, found }) => (found === undefined ? message : `${message}, but ${found}`)),
    }
  if (isTransport(certificates, transport)) return { warnings: [isTheTransportCertificate(file)] }
  const certificate = certificates.find((one) => one.publicKey.equals(key))
  if (certificate === undefined) return { warnings: [`the certificate in "${file}" is not that of the signing key`] }
  const record = recordOf('signing', certificate, now)
  const expired = record.daysLeft < 0 ? [`the signing certificate ${validity(certificate, now)}`] : []
  return { record, warnings: [...expired, ...expiryWarning(record)] }
}

/** Whether the first certificate of a file is the one with the SHA-256 `transport`. */
export function isTransport(certificates: readonly X509Certificate[], transport: string | undefined): boolean {
  return certificates[0] !== undefined && sha256Of(certificates[0]) === transport
}

export function isTheTransportCertificate(file: string): string {
  return `the signing certificate file "${file}" is the transport certificate; name the certificate of the signing key (…-rtssigning)`
}

/** @throws ToolError IDENTITY_UNREADABLE */
export async function loadSigningCertificates(file: string): Promise<readonly [X509Certificate, ...X509Certificate[]]> {
  const setting = 'SIGNING_CERT_FILE'
  return certificatesIn(
    await readSource(file, { what: 'signing certificate file', setting, code: 'IDENTITY_UNREADABLE' }),
  )
}

/**
 * The certificates of CA_FILE or CA, each as PEM.
 *
 * @throws ToolError IDENTITY_UNREADABLE
 */
export async function loadAuthorities(given: Given): Promise<readonly string[]> {
  const source = await readSource(given, { what: 'CA file', setting: 'CA_FILE', code: 'IDENTITY_UNREADABLE' })
  return certificatesIn(source).map((certificate) => certificate.toString())
}

interface Found {
  readonly certificate: X509Certificate
  readonly key: KeyObject
  /** its chain, as far as the file has it, from its issuer upwards */
  readonly issuers: readonly X509Certificate[]
  /** further certificates of a PEM file */
  readonly others: readonly X509Certificate[]
}

async function readPair(spec: IdentitySpec): Promise<Found> {
  const { name, passphrase } = spec
  const given = { certificate: spec.certificateFile ?? spec.certificateText, key: spec.keyFile ?? spec.keyText }
  const missing = given.certificate === undefined ? 'certificate' : 'key'
  if (given.certificate === undefined || given.key === undefined) {
    return fail({
      code: 'ENV_MISSING',
      message: `identity "${name}" has no ${missing}`,
      hint: `set ${identitySetting(name, missing === 'key' ? 'KEY_FILE' : 'CERT_FILE')}, or ${identitySetting(name, 'PFX_FILE')} alone`,
    })
  }
  const { certificate: certificateGiven, key: keyGiven } = given
  const [certificates, keys] = await Promise.all([
    attempt(async () => {
      const source = await readPart(spec, 'CERT_FILE', 'certificate file', certificateGiven)
      return { source, read: certificatesIn(source) }
    }),
    attempt(async () => {
      const source = await readPart(spec, 'KEY_FILE', 'key file', keyGiven)
      const settings = { own: source.setting, passphrase: identitySetting(name, 'PASSPHRASE') }
      const result = privateKeysOf(source.material, passphrase, settings)
      return { source, read: 'fault' in result ? unreadable(source, result.fault) : result.read }
    }),
  ])
  const problems = [...keys.problems, ...certificates.problems]
  if (isNonEmpty(problems)) throw new ToolError(problems)
  if (certificates.value === undefined || keys.value === undefined)
    throw new Error('a pair without a problem was not read')
  // A chain may be written in either order; TLS wants the identity's own certificate first. Of several keys one belongs to it.
  for (const { key } of keys.value.read) {
    const certificate = certificates.value.read.find((candidate) => candidate.checkPrivateKey(key))
    if (certificate === undefined) continue
    const others = certificates.value.read.filter((other) => other !== certificate)
    const issuers = chainOf(certificate, others)
    return { certificate, key, issuers, others: others.filter((other) => !issuers.includes(other)) }
  }
  return mismatch(name, certificates.value, keys.value)
}

async function readPart(spec: IdentitySpec, part: IdentityPart, what: string, given: Given): Promise<Source> {
  const setting = identitySetting(spec.name, part)
  return await readSource(given, { what, of: `identity "${spec.name}"`, setting, code: 'IDENTITY_UNREADABLE' })
}

function mismatch(
  name: string,
  certificates: { readonly source: Source; readonly read: readonly [X509Certificate, ...X509Certificate[]] },
  keys: { readonly source: Source; readonly read: readonly [{ key: KeyObject }, ...{ key: KeyObject }[]] },
): never {
  const [{ key }, ...more] = keys.read
  const place = ({ subject }: Source) => subject.replace(/^.* file ("[^"]*") of .*$/, '$1')
  return fail({
    code: 'IDENTITY_MISMATCH',
    message: `the key of identity "${name}" does not belong to its certificate`,
    expected: `the private key of certificate "${nameOnOneLine(certificates.read[0].subject)}" in ${place(certificates.source)}`,
    found: `${more.length === 0 ? `another ${keyKind(key)} key` : `${more.length + 1} other keys`} in ${place(keys.source)}`,
    hint: 'take the key file that was made together with the certificate signing request',
  })
}

function certificatesIn(source: Source): readonly [X509Certificate, ...X509Certificate[]] {
  const result = certificatesOf(source.material, source.setting)
  return 'fault' in result ? unreadable(source, result.fault) : result.read
}

function unreadable({ subject }: Source, { what, ...more }: Fault): never {
  return fail({ code: 'IDENTITY_UNREADABLE', message: `${subject} ${what}`, ...more })
}

async function readPfx(spec: IdentitySpec, given: Given, now: Date): Promise<Found> {
  const source = await readPart(spec, 'PFX_FILE', 'PFX file', given)
  const bytes = pfxBytes(source)
  let archive: Archive | undefined
  try {
    archive = readArchive(bytes, spec.passphrase?.reveal() ?? '')
  } catch {
    return unreadable(source, pfxFault(spec, source, bytes))
  }
  const { certificate, key } = chosenOf(spec, source, archive, now)
  const others = archive.certificates.map((one) => one.certificate)
  // Certificates of the archive are sent as the chain, and never trusted: CA_FILE says whom to trust.
  return { certificate, key, issuers: chainOf(certificate, others), others: [] }
}

/** The archive itself, where the content is given in base64. */
function pfxBytes({ bytes, material }: Source): Buffer {
  const block = material.blocks.find(({ label }) => label === 'PKCS12')
  return block !== undefined && 'der' in block ? block.der : bytes
}

interface Entry {
  readonly certificate: X509Certificate
  readonly key: KeyObject
  readonly name: string | undefined
}

/**
 * The one key with a certificate; of several the one that is named, else the only one for client authentication, else the only
 * one of these that is valid today.
 */
function chosenOf(spec: IdentitySpec, source: Source, { keys, certificates }: Archive, now: Date): Entry {
  const entries = keys.flatMap(({ key, name }): Entry[] => {
    const own = certificates.find(({ certificate }) => certificate.checkPrivateKey(key))
    return own === undefined ? [] : [{ certificate: own.certificate, key, name: own.name ?? name }]
  })
  const alias = spec.pfxAlias
  const setting = identitySetting(spec.name, 'PFX_ALIAS')
  const list = entries
    .map(
      ({ certificate, name }) =>
        `"${name ?? nameOnOneLine(certificate.subject)}" (SHA-256 ${sha256Of(certificate).slice(0, 16)}…)`,
    )
    .join(', ')
  if (entries.length === 0)
    return unreadable(source, {
      ...NO_PAIR,
      found: `${keys.length} keys and ${certificates.length} certificates, none of which belong together`,
    })
  const named = alias === undefined ? entries : entries.filter((entry) => isNamed(entry, alias))
  const clients = named.filter(({ certificate }) => extendedUsesOf(certificate)?.includes(CLIENT_AUTH))
  const valid = clients.filter(({ certificate }) => now >= certificate.validFromDate && now <= certificate.validToDate)
  const [chosen] = [named, clients, valid].find((some) => some.length === 1) ?? []
  if (chosen !== undefined) return chosen
  return unreadable(source, {
    what:
      named.length === 0
        ? `holds no key that ${setting} names`
        : 'holds several keys, and none of them alone is for client authentication',
    expected: `${setting} with the name or the SHA-256 of one of them`,
    found: list,
    hint: `${named.length === 0 ? 'correct' : 'set'} ${setting}`,
  })
}

function isNamed({ certificate, name }: Entry, alias: string): boolean {
  const hex = alias.replaceAll(':', '').toLowerCase()
  const isFingerprint = /^[0-9a-f]{8,64}$/.test(hex) && sha256Of(certificate).startsWith(hex)
  return isFingerprint || name?.toLowerCase() === alias.toLowerCase()
}

const NO_PAIR = {
  what: 'holds no certificate with its private key',
  expected: 'a PKCS#12 archive (.pfx or .p12) with a certificate and its private key',
}

/** Why the archive cannot be read: Node's own reading, which checks the archive's MAC, tells a wrong passphrase. */
function pfxFault({ name, passphrase }: IdentitySpec, { subject, material }: Source, pfx: Buffer): Fault {
  const setting = identitySetting(name, 'PASSPHRASE')
  try {
    createSecureContext({ pfx, ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }) })
  } catch (error) {
    if (codeOf(error) === 'ERR_CRYPTO_UNSUPPORTED_OPERATION') {
      return {
        what: 'is encrypted with an outdated cipher (usually RC2)',
        expected: 'a PFX file encrypted with AES or triple DES',
        // Two steps with an encrypted file between them, so that the key is never on the disk unencrypted.
        hint: `convert it: openssl pkcs12 -legacy -in ${/"[^"]*"/.exec(subject)?.[0] ?? '<file>'} -out converted.pem && openssl pkcs12 -export -in converted.pem -out converted.pfx; then name converted.pfx in ${identitySetting(name, 'PFX_FILE')}`,
      }
    }
    if (error instanceof Error && error.message.includes('mac verify failure')) {
      return passphrase === undefined
        ? { what: 'is encrypted and no passphrase is set', hint: `set ${setting}` }
        : { what: 'cannot be opened with the passphrase that is set', hint: `correct ${setting}` }
    }
  }
  const { found } = describe(material)
  const isPem = material.blocks.some((block) => block.label !== 'PKCS12' && 'der' in block)
  const instead = `name certificate and key in ${identitySetting(name, 'CERT_FILE')} and ${identitySetting(name, 'KEY_FILE')} instead`
  return { ...NO_PAIR, found, hint: isPem ? instead : undefined }
}

function credentialsOf(
  spec: IdentitySpec,
  { certificate, issuers, others }: Found,
  key: KeyObject,
): Identity['credentials'] {
  const chain = [certificate, ...issuers, ...others].map((each) => each.toString()).join('')
  return { chain, key: new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString(), `${spec.name}_key`) }
}

function checkTls(spec: IdentitySpec, found: Found): Problem[] {
  const { chain, key } = credentialsOf(spec, found, found.key)
  try {
    createSecureContext({ cert: chain, key: key.reveal() })
    return []
  } catch (error) {
    const reason = error instanceof Error && 'reason' in error ? String(error.reason) : 'no reason given'
    return [
      {
        code: 'IDENTITY_USAGE',
        message: `the certificate of identity "${spec.name}" cannot be used for TLS: ${reason}`,
        hint: 'OpenSSL refuses weak keys and signatures; request a certificate with an RSA key of 2048 bits',
      },
    ]
  }
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_USAGE = '2.5.29.37.0'

/** Node calls them `keyUsage`. */
function extendedUsesOf({ keyUsage }: X509Certificate): readonly string[] | undefined {
  return keyUsage
}

/** Every documented signing certificate is without an extended usage, so TLS servers may take it, and Thredd's should not. */
function useWarnings({ name, isForSigning }: IdentitySpec, certificate: X509Certificate): readonly string[] {
  if (isForSigning === true || extendedUsesOf(certificate) !== undefined) return []
  return [
    `the certificate of identity "${name}" has no extended key usage clientAuth, like a signing certificate (rtssigning); if the server refuses it, take the transport certificate (rtstransport)`,
  ]
}

function checkUse(spec: IdentitySpec, certificate: X509Certificate, now: Date): readonly Problem[] {
  const ofTls = spec.isForSigning === true ? [] : checkClientUse(spec, certificate)
  return [...ofTls, ...checkDates(spec, certificate, now)]
}

function checkClientUse(spec: IdentitySpec, certificate: X509Certificate): readonly Problem[] {
  const problems: Problem[] = []
  // Both usages may be absent, then everything is allowed; the documented signing certificates have no extended one.
  const extended = extendedUsesOf(certificate)
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
  return problems
}

function checkDates(spec: IdentitySpec, certificate: X509Certificate, now: Date): readonly Problem[] {
  const problems: Problem[] = []
  const { validFromDate, validToDate } = certificate
  if (!hasDates(certificate)) {
    problems.push({
      code: 'IDENTITY_UNREADABLE',
      message: `the certificate of identity "${spec.name}" has a date that cannot be read`,
      hint: "take the certificate as Thredd's CA issued it: this one is damaged",
    })
  }
  if (spec.allowInvalidDates !== true && (now < validFromDate || now > validToDate)) {
    problems.push({
      code: 'IDENTITY_EXPIRED',
      message: `the certificate of identity "${spec.name}" ${now > validToDate ? '' : 'is '}${validity(certificate, now)}`,
      expected: `${now.toISOString()} between ${isoOf(validFromDate)} and ${isoOf(validToDate)}`,
      hint:
        now > validToDate
          ? `request a new certificate from Thredd's CA and name it in ${identitySetting(spec.name, (spec.pfxFile ?? spec.pfxText) === undefined ? 'CERT_FILE' : 'PFX_FILE')}`
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

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
