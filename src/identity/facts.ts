/** What certificates say: the facts that a report prints, and when one expires. */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto'
import type { CertificateFacts, IdentityRecord, PublicKeyFacts } from '../record/index.ts'

/** At this many days left or fewer every run warns; Thredd's CA writes to the owner at the same mark. */
const WARN_DAYS = 60

/** The dates of a certificate as part of a sentence, in UTC: "expired on 2026-01-31". */
export function validity(certificate: X509Certificate, now: Date): string {
  if (now > certificate.validToDate) return `expired on ${day(certificate.validToDate)}`
  if (now < certificate.validFromDate) return `not valid before ${day(certificate.validFromDate)}`
  return `valid until ${day(certificate.validToDate)}`
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
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
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

export function recordOf(name: string, certificate: X509Certificate, now: Date): IdentityRecord {
  return {
    name,
    subject: nameOnOneLine(certificate.subject),
    issuer: nameOnOneLine(certificate.issuer),
    serial: certificate.serialNumber,
    sha256: sha256Of(certificate),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    daysLeft: Math.floor((certificate.validToDate.getTime() - now.getTime()) / 86_400_000),
    key: publicKeyFacts(certificate.publicKey),
  }
}

export function expiryWarning({ name, daysLeft, notAfter }: IdentityRecord): string[] {
  if (daysLeft > WARN_DAYS || daysLeft < 0) return []
  const when = daysLeft === 0 ? 'today' : daysLeft === 1 ? 'in 1 day' : `in ${daysLeft} days`
  return [`the certificate of identity "${name}" expires ${when} (${notAfter.slice(0, 16)}Z); request its replacement`]
}

/** Faults of the chain in the file are warnings: a server that has the issuers itself accepts the certificate without them. */
export function chainWarnings(
  name: string,
  own: X509Certificate,
  others: readonly X509Certificate[],
  now: Date,
): readonly string[] {
  const chain = [own]
  for (;;) {
    const last = chain.at(-1)
    const issuer = others.find(
      (other) => !chain.includes(other) && last?.checkIssued(other) && last.verify(other.publicKey),
    )
    if (issuer === undefined) break
    chain.push(issuer)
  }
  return others.flatMap((other) => {
    const subject = nameOnOneLine(other.subject)
    if (!chain.includes(other) && other.fingerprint256 !== own.fingerprint256)
      return [`the certificate file of identity "${name}" holds "${subject}", which is no issuer of its certificate`]
    if (now >= other.validFromDate && now <= other.validToDate) return []
    const verb = now > other.validToDate ? '' : 'is '
    return [`the issuer "${subject}" in the chain of identity "${name}" ${verb}${validity(other, now)}`]
  })
}

export function keyKind(key: KeyObject): string {
  return (key.asymmetricKeyType ?? 'private').toUpperCase()
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}
