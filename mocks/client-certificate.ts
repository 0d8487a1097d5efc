/** Judges the client certificate of a request by the twin's CA and clock, as TLS would. */
import { X509Certificate } from 'node:crypto'

/** Whether a host's TLS demands, merely asks for, or never asks for a client certificate. */
export type Demand = 'required' | 'optional' | 'none'

export interface PresentedCertificate {
  readonly certificate: X509Certificate | undefined
  /** why the TLS layer does not trust the certificate, or that there is none; absent where no TLS was involved */
  readonly distrust?: string | undefined
}

interface Clock {
  now(): Date
  /** whether a hook has ended the validity of the certificate */
  isExpired(certificate: X509Certificate): boolean
}

export interface CertificateJudge {
  /** Why the request must be refused, in words; undefined where it may pass. */
  objection(demand: Demand, presented: PresentedCertificate): string | undefined
  /** The subject on one line. */
  subjectOf(certificate: X509Certificate): string
}

/** `authorities`: PEM of the CA certificates. */
export function certificateJudge(authorities: string, clock: Clock): CertificateJudge {
  const inspect = inspection(certificatesIn(authorities))
  return {
    subjectOf: (certificate) => inspect(certificate).subject,
    objection(demand, { certificate, distrust }) {
      if (demand === 'none') return undefined
      if (certificate === undefined) return demand === 'required' ? 'no client certificate' : undefined
      if (distrust !== undefined) return distrust
      // Checked here too: a request in this process has passed no TLS, and the twin's clock may have been advanced.
      const { isSigned, from, to } = inspect(certificate)
      if (!isSigned) return 'not signed by the CA'
      const now = clock.now().getTime()
      if (to < now || clock.isExpired(certificate)) return 'the certificate has expired'
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
