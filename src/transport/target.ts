/** The check before every request, of both transports: where it goes, whether it may, and whether its identity is configured. */

import type { Identity } from '../identity/certificate.ts'
import { fail } from '../record/errors.ts'
import type { Outgoing } from './transport.ts'

export interface Gate {
  readonly identities: ReadonlyMap<string, Identity>
  /** throws for a host to which nothing may be sent: lower-case, without the default port, an IPv6 address in brackets */
  readonly demandAllowed: (host: string) => void
}

export interface Target {
  /** lower-case, without the default port: as in the Host header */
  readonly host: string
  /** path and query as they were written, never normalised */
  readonly path: string
  /** undefined: present no certificate */
  readonly identity: Identity | undefined
}

/** @throws ToolError HOST_NOT_ALLOWED or IDENTITY_MISSING */
export function targetOf(
  request: Pick<Outgoing, 'url'>,
  identityName: string,
  { identities, demandAllowed }: Gate,
): Target {
  const identity = identityName === 'none' ? undefined : identities.get(identityName)
  if (identity === undefined && identityName !== 'none') {
    fail({
      code: 'IDENTITY_MISSING',
      message: `identity "${identityName}" is not in this environment; nothing was sent`,
      found: identities.size === 0 ? 'no identity' : [...identities.keys()].map((name) => `"${name}"`).join(', '),
    })
  }
  // Split by hand, since URL would fold "..", "//" and percent-encodings of a path that must go out byte for byte.
  const parts = /^https:\/\/([^/?#\\]+)([^#]*)/i.exec(request.url)
  const authority = parts?.[1] ?? ''
  const url = authority.includes('@') ? null : URL.parse(`https://${authority}`)
  if (parts === null || url === null) {
    // The URL itself stays out of the message: a query or user information may hold a secret.
    fail({
      code: 'HOST_NOT_ALLOWED',
      message: 'a request is not for an absolute https URL without user information; nothing was sent',
      found: /^[a-z][a-z0-9+.-]*:/i.exec(request.url)?.[0].concat('…') ?? 'a relative reference',
    })
  }
  demandAllowed(url.host)
  const rest = parts[2] ?? ''
  return { host: url.host, path: rest.startsWith('/') ? rest : `/${rest}`, identity }
}
