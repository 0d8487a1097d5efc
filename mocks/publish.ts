/** Replaces documented addresses in documents and claims with those under which the twin is reached. */
import { type Answer, json } from './content.ts'
import type { Call } from './route.ts'

/**
 * A handler that answers with a JSON document, every https URL of its strings passed through `publish`; `moved` first takes
 * it to another base. Documents never change and `publish` is one function for as long as a twin lives, so each answer is
 * made once.
 */
export function publishedDocument(
  document: object,
  moved: readonly [from: string, to: string] = ['', ''],
): (call: Call) => Answer {
  const made = new WeakMap<Call['publish'], Answer>()
  return ({ publish }) => {
    const known = made.get(publish)
    if (known !== undefined) return known
    const [from, to] = moved
    const published: unknown = JSON.parse(JSON.stringify(document), (_, member: unknown) =>
      typeof member === 'string' && member.startsWith('https://')
        ? publish(from === '' ? member : member.replace(from, () => to))
        : member,
    )
    const answer = json(published)
    made.set(publish, answer)
    return answer
  }
}

/** A claim or member as the twin answers with it: an address of the keystore is replaced; the client_id is a name, no address. */
export function publishedClaim(name: string, value: unknown, publish: Call['publish']): unknown {
  return isAddress(name) && typeof value === 'string' ? publish(value) : value
}

/** Claims as they are stored: with documented addresses, since the twin may be reached at another address after a restart. */
export function documentedClaims(
  claims: Readonly<Record<string, unknown>>,
  documented: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [name, isAddress(name) ? documented[name] : value]),
  )
}

function isAddress(name: string): boolean {
  return name.includes('jwks') || name === 'sector_identifier_uri'
}
