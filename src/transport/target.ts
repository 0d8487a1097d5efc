/** The check before every request, of both transports: is its host allowed, and is its identity configured. Refused here, it is not sent. */

import type { Identity } from '../identity/certificate.ts'
import { fail } from '../record/errors.ts'
import type { Outgoing } from './transport.ts'

export interface Gate {
  readonly identities: ReadonlyMap<string, Identity>
  /** `host` (port 443) or `host:port`, lower-case; an IPv6 address in brackets */
  readonly allowedHosts: ReadonlySet<string>
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
export function targetOf(request: Outgoing, identityName: string, { identities, allowedHosts }: Gate): Target {
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
  if (!allowedHosts.has(url.host) && !(url.port === '' && allowedHosts.has(`${url.host}:443`))) {
    fail({
      code: 'HOST_NOT_ALLOWED',
      message: `host "${url.host}" is not in ALLOWED_HOSTS; nothing was sent`,
      expected: [...allowedHosts].map((host) => `"${host}"`).join(', '),
      hint: 'add the host to ALLOWED_HOSTS if it belongs to the platform under test',
    })
  }
  const rest = parts[2] ?? ''
  return { host: url.host, path: rest.startsWith('/') ? rest : `/${rest}`, identity }
}
