/** Finds the secrets of a request or an answer by the slots in which they stand, in whatever form it has come. Pure. */
import { COOKIE_HEADERS, CREDENTIAL_HEADERS, PRIVATE_JWK_MEMBERS, type Slot, type Slots } from './slots.ts'
import { slotsIn } from './texts.ts'

/** Levels of data: no answer of these servers has a fifth of them. */
export const DEEPEST = 128
/** Characters of JSON in a text that are read as data. */
const LONGEST_JSON = 256 * 1024

/** What is searched for secrets together. */
export interface Search {
  readonly slots: Slots
  /** is told a secret, and what its slot is called */
  readonly note: (secret: string, name: string) => void
  /** no more secrets are wanted */
  isFull: boolean
  /** characters of texts that may still be searched; below zero where there were more */
  left: number
}

type Headers = readonly (readonly [name: string, value: string])[]

export function secretsInHeaders(headers: Headers, search: Search): void {
  for (const [name, text] of headers) {
    for (const part of partsOfHeader(name, text, search.slots)) search.note(part, name)
    secretsInText(text, search)
  }
}

/**
 * Of data its members, of a text its slots and what it holds as JSON. `slot` is the name of the slot in which the value stands;
 * what stands in slots within each other is noted once, by the outermost name.
 */
export function secretsIn(value: unknown, search: Search, slot?: string, depth = 0): void {
  const { slots } = search
  if (search.isFull) return
  if (slot !== undefined && isLeaf(value)) noteParts(slot, String(value), search)
  if (typeof value === 'string') {
    // JSON that has a member twice shows only the second of them when it is parsed.
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

function secretsInText(text: string, search: Search): void {
  const part = text.slice(0, Math.max(0, search.left))
  search.left -= text.length
  for (const { name, value } of slotsIn(part, search.slots)) noteParts(name, value, search)
}

/** A private member of a key has a name that is a slot nowhere else, and is its one part. */
function noteParts(name: string, text: string, { slots, note }: Search): void {
  const parts = partsOfHeader(name, text, slots)
  for (const part of parts.length === 0 ? [text] : parts) note(part, name)
}

/** Of a member of an object. */
export function slotOf(name: string, owner: object, slots: Slots): Slot | undefined {
  if ('kty' in owner && typeof owner.kty === 'string' && PRIVATE_JWK_MEMBERS.includes(name)) return 'any'
  if (name === 'value' && 'name' in owner && typeof owner.name === 'string') return slots.of(owner.name)
  return slots.of(name)
}

/** Of a header that holds more than the secret, the secrets: the values of cookies, the credentials after their scheme. */
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

export function eachLeaf(value: unknown, tell: (leaf: string | number | boolean) => void, depth = 0): void {
  if (isLeaf(value)) tell(typeof value === 'bigint' ? String(value) : value)
  else if (typeof value === 'object' && value !== null && depth <= DEEPEST)
    for (const member of Object.values(value)) eachLeaf(member, tell, depth + 1)
}

/** An object or a list. */
export function parsedJson(text: string): unknown {
  if (!/^\s{0,64}[[{]/.test(text) || text.length > LONGEST_JSON) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
