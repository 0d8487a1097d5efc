/** What certificates say: the facts that a report prints, and when one expires. */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto'
import type { CertificateFacts, IdentityRecord, PublicKeyFacts } from '../record/index.ts'

/** At this many days left or fewer every run warns; Thredd's CA writes to the owner at the same mark. */
export const WARN_DAYS = 60

/** The dates of a certificate as part of a sentence, in UTC: "expired on 2026-01-31". */
export function validity(certificate: X509Certificate, now: Date): string {
  if (now > certificate.validToDate) return `expired on ${day(certificate.validToDate)}`
  if (now < certificate.validFromDate) return `not valid before ${day(certificate.validFromDate)}`
  return `valid until ${day(certificate.validToDate)}`
}

/** By their texts: of a damaged one Node's dates may be any. */
export function hasDates({ validFrom, validTo }: X509Certificate): boolean {
  return [validFrom, validTo].every((date) => !Number.isNaN(Date.parse(date)))
}

/** A date of a certificate as a record has it. Of a damaged one it may be no date. */
export function isoOf(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString()
}

/** SHA-256 of the certificate's DER form: lower-case hexadecimal without colons, as in every record. */
export function sha256Of(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** The facts that a report prints about the certificate of a server or issuer. */
export function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    subject: nameOnOneLine(certificate.subject),
    issuer: nameOnOneLine(certificate.issuer),
    sha256: sha256Of(certificate),
    validFrom: isoOf(certificate.validFromDate),
    validTo: isoOf(certificate.validToDate),
    key: publicKeyFacts(certificate.publicKey),
  }
}

export function publicKeyFacts(key: KeyObject): PublicKeyFacts {
  const spki = key.export({ type: 'spki', format: 'der' })
  return { kind: keyKindAndSize(key), spkiSha256: createHash('sha256').update(spki).digest('hex') }
}

/** OpenSSL's names of curves, and those of the standards. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }

function keyKindAndSize(key: KeyObject): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  const size = modulusLength ?? CURVES[namedCurve ?? ''] ?? namedCurve
  return size === undefined ? keyKind(key) : `${keyKind(key)} ${size}`
}

/** A distinguished name on one line: `C=GB, O=thredd, CN=…`. */
export function nameOnOneLine(name: string): string {
  return name.split('\n').join(', ')
}

/** Whether a distinguished name on one line has an attribute with this value: Thredd CA writes ids into subjects. */
export function nameHolds(name: string, value: string): boolean {
  return name.split(', ').some((part) => part.endsWith(`=${value}`))
}

export function recordOf(name: string, certificate: X509Certificate, now: Date): IdentityRecord {
  return {
    name,
    subject: nameOnOneLine(certificate.subject),
    issuer: nameOnOneLine(certificate.issuer),
    serial: certificate.serialNumber,
    sha256: sha256Of(certificate),
    notBefore: isoOf(certificate.validFromDate),
    notAfter: isoOf(certificate.validToDate),
    daysLeft: Math.floor((certificate.validToDate.getTime() - now.getTime()) / 86_400_000),
    key: publicKeyFacts(certificate.publicKey),
  }
}

export function expiryWarning({ name, daysLeft, notAfter }: IdentityRecord): string[] {
  if (daysLeft > WARN_DAYS || daysLeft < 0) return []
  const when = daysLeft === 0 ? 'today' : daysLeft === 1 ? 'in 1 day' : `in ${daysLeft} days`
  return [`the certificate of identity "${name}" expires ${when} (${notAfter.slice(0, 16)}Z); request its replacement`]
}

/** The issuers of a certificate among others, from its own issuer upwards. */
export function chainOf(own: X509Certificate, others: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  for (let last: X509Certificate | undefined = own; last !== undefined; ) {
    const below: X509Certificate = last
    last = others.find(
      (other) => other !== own && !chain.includes(other) && below.checkIssued(other) && below.verify(other.publicKey),
    )
    if (last !== undefined) chain.push(last)
  }
  return chain
}

/** Faults of the chain in the file are warnings: a server that has the issuers itself accepts the certificate without them. */
export function chainWarnings(
  name: string,
  own: X509Certificate,
  { chain, others }: { readonly chain: readonly X509Certificate[]; readonly others: readonly X509Certificate[] },
  now: Date,
): readonly string[] {
  const strangers = others.filter(({ fingerprint256 }) => fingerprint256 !== own.fingerprint256)
  const outOfDate = chain.filter((issuer) => now < issuer.validFromDate || now > issuer.validToDate)
  return [
    ...strangers.map(
      ({ subject }) =>
        `the certificate file of identity "${name}" holds "${nameOnOneLine(subject)}", which is no issuer of its certificate`,
    ),
    ...outOfDate.map((issuer) => {
      const verb = now > issuer.validToDate ? '' : 'is '
      return `the issuer "${nameOnOneLine(issuer.subject)}" in the chain of identity "${name}" ${verb}${validity(issuer, now)}`
    }),
  ]
}

export function keyKind(key: KeyObject): string {
  return (key.asymmetricKeyType ?? 'private').toUpperCase()
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}
