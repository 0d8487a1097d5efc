/** Judges the client certificate of a request by the twin's CA and clock, as TLS would. */
import { X509Certificate } from 'node:crypto'
import type { ListedCertificate } from './model.ts'

/** Whether a host's TLS demands, merely asks for, or never asks for a client certificate. */
export type Demand = 'required' | 'optional' | 'none'

export interface PresentedCertificate {
  readonly certificate: X509Certificate | undefined
  /** why the TLS layer does not trust the certificate, or that there is none; absent where no TLS was involved */
  readonly distrust?: string | undefined
  /** the TLS session is an earlier one: some servers take that for a proof by itself */
  readonly isResumed?: boolean | undefined
}

/** What is looked at; a fault leaves one out. */
export interface Inspections {
  readonly presence: boolean
  readonly authority: boolean
  readonly dates: boolean
}

/** What the directory knows of certificates: the state of the twin. */
interface Directory {
  now(): Date
  /** once for each use that the certificate is listed for */
  listings(certificate: X509Certificate): readonly Pick<ListedCertificate, 'use' | 'expired'>[]
}

export interface CertificateJudge {
  /** Why the request must be refused, in words; undefined where it may pass. */
  objection(demand: Demand, presented: PresentedCertificate, looksAt: Inspections): string | undefined
  /** The subject on one line. */
  subjectOf(certificate: X509Certificate): string
}

/** `authorities`: PEM of the CA certificates. */
export function certificateJudge(authorities: string, directory: Directory): CertificateJudge {
  const inspect = inspection(certificatesIn(authorities))
  return {
    subjectOf: (certificate) => inspect(certificate).subject,
    objection(demand, { certificate, distrust }, looksAt) {
      if (demand === 'none') return undefined
      if (certificate === undefined)
        return demand === 'required' && looksAt.presence ? 'no client certificate' : undefined
      if (distrust !== undefined && looksAt.authority && looksAt.dates) return distrust
      // Checked here too: a request in this process has passed no TLS, and the twin's clock may have been advanced.
      const { isSigned, from, to } = inspect(certificate)
      if (!isSigned && looksAt.authority) return 'not signed by the CA'
      const now = directory.now().getTime()
      const listings = directory.listings(certificate)
      const hasExpired = to < now || listings.some(({ expired }) => expired)
      if (hasExpired && looksAt.dates) return 'the certificate has expired'
      // TLS alone sees no difference where the certificate has no extended key usage (RFC 5280 4.2.1.12).
      if (listings.length > 0 && listings.every(({ use }) => use === 'sig'))
        return 'a signing certificate, not one for transport'
      return from > now ? 'the certificate is not yet valid' : undefined
    },
  }
}

function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

interface Inspected {
  readonly isSigned: boolean
  /** validity in milliseconds */
  readonly from: number
  readonly to: number
  readonly subject: string
}

/** Verifies the signature of a certificate once, since a connection presents the same one with every request. */
function inspection(authorities: readonly X509Certificate[]): (certificate: X509Certificate) => Inspected {
  const known = new WeakMap<X509Certificate, Inspected>()
  return (certificate) => {
    const found = known.get(certificate)
    if (found !== undefined) return found
    const inspected = {
      isSigned: authorities.some((issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)),
      from: certificate.validFromDate.getTime(),
      to: certificate.validToDate.getTime(),
      subject: certificate.subject.split('\n').join(', '),
    }
    known.set(certificate, inspected)
    return inspected
  }
}
