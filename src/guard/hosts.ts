/** The allow-list of an environment: where requests may go. */
import { fail } from '../record/errors.ts'

/**
 * Stops what is for another host, before anything is sent. `allowed` are `host` (port 443) or `host:port`, lower-case, an
 * IPv6 address in brackets; so is the host that the function gets.
 */
export function demandAllowed(allowed: ReadonlySet<string>): (host: string) => void {
  return (host) => {
    if (allowed.has(host) || (!/:[0-9]+$/.test(host) && allowed.has(`${host}:443`))) return
    fail({
      code: 'HOST_NOT_ALLOWED',
      message: `host "${host}" is not in ALLOWED_HOSTS; nothing was sent`,
      expected: [...allowed].map((one) => `"${one}"`).join(', '),
      hint: 'add the host to ALLOWED_HOSTS if it belongs to the platform under test',
    })
  }
}
