/** Values of an answer as a check may quote them: redacted, and plain enough to be read in a sentence. */
import type { Terms } from '../flow/expression/terms.ts'
import { isLargerThan, shortJson } from '../record/json.ts'
import { LIMITS } from '../record/limits.ts'
import type { Redactor } from '../secret/index.ts'

/** What a check has to say of one member of an answer. */
interface Told {
  readonly member: string
  readonly expected: string
  readonly actual: string
}

/** The same as texts without secrets. */
export function told({ member, slot, relation, wanted, got }: Terms, redactor: Redactor): Told {
  const values = wanted.map((one) => shown(one, slot, redactor)).join(' or ')
  const expected = [relation, values].filter((part) => part !== '').join(' ')
  const actual = got === undefined ? NONE[/^header /.test(member) ? 'header' : 'member'] : shown(got, slot, redactor)
  return { member, expected, actual }
}

const NONE = { header: 'no such header', member: 'no such member' } as const

/** Characters of a text, and items of a list, that are quoted; never shortened, since half a secret would not be known. */
const LONGEST = 300
const MOST_ITEMS = 40

/** A value as a check prints it, redacted by the name of the member or header that holds it (`slot`). */
export function shown(value: unknown, slot: string, redactor: Redactor): string {
  if (isLargerThan(value, LIMITS.quoted.value)) return inShort(value)
  const safe: unknown = redactor.value({ [slot]: value })[slot]
  if (!Array.isArray(safe)) return scalar(safe, redactor)
  if (safe.length === 0) return 'an empty list'
  const isShort = safe.length <= MOST_ITEMS && safe.every((item) => typeof item !== 'object' || item === null)
  return isShort ? safe.map((item) => scalar(item, redactor)).join(', ') : `a list of ${safe.length}`
}

/** What a value is that is too long to be quoted. */
export function inShort(value: unknown): string {
  if (typeof value === 'string') return `a text of ${value.length} characters`
  return Array.isArray(value) ? `a list of ${value.length}` : 'an object'
}

function scalar(value: unknown, redactor: Redactor): string {
  if (typeof value === 'string') return text(value, redactor)
  // Only after "is" a number is taken for one that may be a secret.
  if (typeof value === 'number' || typeof value === 'bigint') return redactor.sentence(`is ${value}`).slice(3)
  if (typeof value !== 'object' || value === null) return String(value)
  const json = shortJson(value, LONGEST)
  return json === undefined ? 'an object' : redactor.sentence(json)
}

/** In quotes where it could be mistaken: with blanks at an end, or as a number, true, false or null. */
function text(value: string, redactor: Redactor): string {
  if (value.length > LONGEST) return inShort(value)
  const quoted = JSON.stringify(value)
  const safe = redactor.sentence(quoted)
  const isPlain = /^\S+(?: \S+)*$/.test(value) && !/^(?:true|false|null|-?[\d.]+)$/.test(value)
  return isPlain || safe !== quoted ? safe.slice(1, -1) : safe
}
