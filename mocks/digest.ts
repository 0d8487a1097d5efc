/** Short names for long values: of texts, and of certificates. */
import { createHash, type X509Certificate } from 'node:crypto'

/** A short key for a long text, such as a token. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** RFC 8705 3.1: base64url of the SHA-256 of the DER certificate. */
export function thumbprint(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('base64url')
}

/** A subject as attributes; the documented layout has each once: C, O, OU (organisation), CN (software). */
export function subjectOf(certificate: X509Certificate): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    certificate.subject.split('\n').map((line) => {
      const equals = line.indexOf('=')
      return [line.slice(0, equals), line.slice(equals + 1)]
    }),
  )
}
