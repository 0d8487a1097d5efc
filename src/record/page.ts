/**
 * Whether an answer is a page for people: a firewall, a load balancer or a portal in front of a server answers with one, no
 * OAuth endpoint does. `text` counts as well, since such a page may come under another type, or its headers are not known.
 */
export function isPage(headers: readonly (readonly [name: string, value: string])[], text = ''): boolean {
  return (
    headers.some(([name, value]) => name.toLowerCase() === 'content-type' && /html/i.test(value)) || /^\s*</.test(text)
  )
}
