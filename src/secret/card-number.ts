/**
 * Finds digits that have the shape of a card number (PAN, ISO/IEC 7812): 13 to 19 of them, in one run or in the groups
 * printed on cards, with a Luhn check digit. Excludes times, hashes and other numbers that look like one.
 */

/** The text with each card number replaced. */
export function withoutPans(text: string, replace: (digits: string) => string): string {
  if (!MANY_DIGITS.test(text)) return text
  return text.replace(CANDIDATE, (digits) =>
    isPan(digits.replaceAll('%20', '').replace(/\D/g, '')) ? replace(digits) : digits,
  )
}

export function hasPan(text: string): boolean {
  let found = false
  withoutPans(text, (digits) => {
    found = true
    return digits
  })
  return found
}

/** The same for a JSON number. Above 2^53 its last digits are lost, so only its first digit and its length are checked. */
export function isPanNumber(value: number): boolean {
  return (
    Number.isInteger(value) && (Number.isSafeInteger(value) ? isPan(String(value)) : PAN.test(BigInt(value).toString()))
  )
}

/** Every text with a candidate matches this. Testing it first takes a tenth of the time. */
const MANY_DIGITS = /\d{13}|\d{4}(?:[ +-]|%20)\d{4}/
/** A run of digits, or groups: 4-4-4-4 and longer, 4-6-5 (American Express), 4-6-4 (Diners Club). */
const DIGITS = /\d{13,19}|\d{4}([ +-]|%20)(?:\d{4}\1\d{4}\1\d{1,7}|\d{6}\1\d{4,5})/
/**
 * No letter or digit stands directly before or after a card number, as it does in ids and hashes. Escapes of URLs and JSON
 * may.
 */
const BEFORE = /(?<=^|[^A-Za-z0-9%]|%[0-9A-Fa-f]{2}|\\[nrtbf])(?<!%[0-9A-Fa-f]?)(?<!\d\.)/
const AFTER = /(?![A-Za-z0-9])(?!\.\d)/
const CANDIDATE = new RegExp(`(?=\\d)${BEFORE.source}(?:${DIGITS.source})${AFTER.source}`, 'g')

/** Card numbers do not begin with 0, 1 or 7: other industries have these, and times in milliseconds begin with 1. */
const PAN = /^[2-689]\d{12,18}$/
/**
 * Thirteen digits below this are taken for a time in milliseconds; card schemes no longer issue numbers of thirteen digits.
 */
const LAST_MILLISECOND = Date.UTC(2100)

function isPan(digits: string): boolean {
  if (!PAN.test(digits) || (digits.length === 13 && Number(digits) < LAST_MILLISECOND)) return false
  // Every second digit from the right is doubled; the two digits of a result above 9 are added (ISO/IEC 7812-1 annex B).
  const sum = [...digits].reverse().reduce((total, character, index) => {
    const digit = Number(character) * (index % 2 === 0 ? 1 : 2)
    return total + (digit > 9 ? digit - 9 : digit)
  }, 0)
  return sum % 10 === 0
}
