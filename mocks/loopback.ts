/**
 * Addresses for clients that cannot reach the documented names: all on one origin, with the documented host as the first part of
 * the path. Converts in both directions.
 */

/** `https://auth.uat.threddid.com/a` as `https://localhost:8443/auth.uat.threddid.com/a`, the rest byte for byte. */
export function loopbackAddress(url: string, origin: string): string {
  return url.replace(/^https:\/\//, () => `${origin}/`)
}

/**
 * The documented address for a request target on the loopback origin; undefined where its first part is not a documented host.
 * The rest is kept as it is: where a proxy has collapsed or decoded it, the handler has to cope with that.
 */
export function documentedAddress(target: string, hosts: readonly string[]): string | undefined {
  const [, host = '', rest = ''] = /^\/+([A-Za-z0-9.-]+)(.*)$/s.exec(target) ?? []
  const name = host.toLowerCase()
  if (!hosts.includes(name)) return undefined
  return `https://${name}${rest.startsWith('/') ? '' : '/'}${rest}`
}
