/**
 * Addresses for clients that cannot be given the documented names: everything on one origin, the first part of the path
 * naming the documented host. Both directions of that, and nothing else.
 */

/** `https://auth.uat.threddid.com/a` as `https://localhost:8443/auth.uat.threddid.com/a`, the rest byte for byte. */
export function loopbackAddress(url: string, origin: string): string {
  return url.replace(/^https:\/\//, () => `${origin}/`)
}

/**
 * The documented address a request target on the loopback origin means; undefined where its first part is no documented
 * host. A proxy may have collapsed or decoded what follows; that is the business of whoever is meant.
 */
export function documentedAddress(target: string, hosts: readonly string[]): string | undefined {
  const [, host = '', rest = ''] = /^\/+([A-Za-z0-9.-]+)(.*)$/s.exec(target) ?? []
  const name = host.toLowerCase()
  if (!hosts.includes(name)) return undefined
  return `https://${name}${rest.startsWith('/') ? '' : '/'}${rest}`
}
