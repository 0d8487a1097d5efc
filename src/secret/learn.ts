/** Finds the secrets in the slots of a request or an answer: in headers, parsed data, and texts of any format. */
import { COOKIE_HEADERS, CREDENTIAL_HEADERS, PRIVATE_JWK_MEMBERS, type Slot, type Slots } from './slots.ts'
import { slotsIn } from './texts.ts'

/** Levels of objects and lists that are searched. Real answers have fewer than a fifth of them. */
export const DEEPEST = 128
/** Characters; a longer text is not parsed as JSON. */
const LONGEST_JSON = 256 * 1024

/** The state of the search of one request or answer. */
export interface SecretSearch {
  readonly slots: Slots
  /** called with each secret and the name of its slot */
  readonly onSecret: (secret: string, name: string) => void
  /** the search stops: no more secrets can be learned */
  isFull: boolean
  /** how many more characters of texts may be searched; below zero if some were not */
  charactersLeft: number
}

type Headers = readonly (readonly [name: string, value: string])[]

export function secretsInHeaders(headers: Headers, search: SecretSearch): void {
  for (const [name, text] of headers) {
    for (const part of partsOfHeader(name, text, search.slots)) search.onSecret(part, name)
    secretsInText(text, search)
  }
}

/**
 * Searches the members of data, and the slots and the JSON of a text. `slot` is the name of the slot that holds the value. A
 * secret in a slot within a slot is reported once, with the name of the outer one.
 */
export function secretsIn(value: unknown, search: SecretSearch, slot?: string, depth = 0): void {
  const { slots } = search
  if (search.isFull) return
  if (slot !== undefined && isLeaf(value)) reportParts(slot, String(value), search)
  if (typeof value === 'string') {
    // The text is searched as well as the parsed JSON, since parsing drops the first of two members with one name.
    secretsInText(value, search)
    const parsed = depth > DEEPEST ? undefined : parsedJson(value)
    if (parsed !== undefined) secretsIn(parsed, search, undefined, depth + 1)
  }
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return
  const isList = Array.isArray(value)
  for (const [name, member] of Object.entries(value)) {
    const isSlot = slot === undefined && !isList && slotOf(name, value, slots) !== undefined
    secretsIn(member, search, isSlot ? name : slot, depth + 1)
  }
}

/** The slots of a text, whatever its format. */
export function secretsInText(text: string, search: SecretSearch): void {
  const part = text.slice(0, Math.max(0, search.charactersLeft))
  search.charactersLeft -= text.length
  for (const { name, value } of slotsIn(part, search.slots)) reportParts(name, value, search)
}

/** If a header splits into no parts, as with a private member of a key, the whole text is the secret. */
function reportParts(name: string, text: string, { slots, onSecret }: SecretSearch): void {
  const parts = partsOfHeader(name, text, slots)
  for (const part of parts.length === 0 ? [text] : parts) onSecret(part, name)
}

/** The slot of the member `name` of the object `owner`. */
export function slotOf(name: string, owner: object, slots: Slots): Slot | undefined {
  if ('kty' in owner && typeof owner.kty === 'string' && PRIVATE_JWK_MEMBERS.includes(name)) return 'any'
  if (name === 'value' && 'name' in owner && typeof owner.name === 'string') return slots.of(owner.name)
  return slots.of(name)
}

/**
 * The secrets in the value of a header or slot: each name and value of cookies, the credentials after a scheme, else all of
 * it.
 */
function partsOfHeader(name: string, text: string, slots: Slots): readonly string[] {
  const lower = name.toLowerCase()
  if (CREDENTIAL_HEADERS.some((one) => lower.endsWith(one))) {
    const credentials = text.replace(/^[A-Za-z][\w-]*\s+/, '')
    const quoted = [...credentials.matchAll(/"([^"]*)"/g)].map(([, part = '']) => part)
    return quoted.length === 0 ? [credentials] : quoted
  }
  if (COOKIE_HEADERS.includes(lower)) {
    const pairs = lower === 'cookie' ? text.split(';') : [text.split(';')[0] ?? '']
    return pairs.flatMap((pair) => {
      const [first = '', ...rest] = pair.trim().split('=')
      return rest.length === 0 ? [first] : [first, rest.join('=')]
    })
  }
  return slots.of(name) === undefined ? [] : [text]
}

function isLeaf(value: unknown): value is string | number | boolean | bigint {
  return (
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
  )
}

/** Calls `visit` with each text, number and boolean in a value. */
export function eachLeaf(value: unknown, visit: (leaf: string | number | boolean) => void, depth = 0): void {
  if (isLeaf(value)) visit(typeof value === 'bigint' ? String(value) : value)
  else if (typeof value === 'object' && value !== null && depth <= DEEPEST)
    for (const member of Object.values(value)) eachLeaf(member, visit, depth + 1)
}

/** The object or list that a text holds as JSON; undefined if it holds none. */
export function parsedJson(text: string): unknown {
  if (!/^\s{0,64}[[{]/.test(text) || text.length > LONGEST_JSON) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
