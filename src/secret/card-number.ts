/**
 * Digits that have the shape of a card number (PAN, ISO/IEC 7812): 13 to 19 of them, in one run or in the groups printed on
 * cards, with a Luhn check digit. Knows what else looks like that; knows nothing of redaction.
 */

/** The text with each such number replaced. */
export function withoutPans(text: string, replace: (digits: string) => string): string {
  if (!MANY_DIGITS.test(text)) return text
  return text.replace(CANDIDATE, (digits) =>
    isPan(digits.replaceAll('%20', '').replace(/\D/g, '')) ? replace(digits) : digits,
  )
}

/** A number of JSON: beyond what a double can hold the last digits are gone, so that the first ones have to do. */
export function isPanNumber(value: number): boolean {
  return (
    Number.isInteger(value) && (Number.isSafeInteger(value) ? isPan(String(value)) : PAN.test(BigInt(value).toString()))
  )
}

/** Where this is not, there is no candidate; it is looked for in a tenth of the time. */
const MANY_DIGITS = /\d{13}|\d{4}(?:[ +-]|%20)\d{4}/
/** A run of digits, or groups: 4-4-4-4 and longer, 4-6-5 (American Express), 4-6-4 (Diners Club). */
const DIGITS = /\d{13,19}|\d{4}([ +-]|%20)(?:\d{4}\1\d{4}\1\d{1,7}|\d{6}\1\d{4,5})/
/** No letter before or after, as in ids and hashes; an escape of URL or JSON is no letter. */
const BEFORE = /(?<=^|[^A-Za-z0-9%]|%[0-9A-Fa-f]{2}|\\[nrtbf])(?<!%[0-9A-Fa-f]?)(?<!\d\.)/
const AFTER = /(?![A-Za-z0-9])(?!\.\d)/
const CANDIDATE = new RegExp(`(?=\\d)${BEFORE.source}(?:${DIGITS.source})${AFTER.source}`, 'g')

/** First digits of card schemes; 0, 1 and 7 are those of other industries, and of times since 1970. */
const PAN = /^[2-689]\d{12,18}$/
/** Thirteen digits that are milliseconds of this century; no scheme issues such short numbers any more. */
const LAST_MILLISECOND = Date.UTC(2100)

function isPan(digits: string): boolean {
  if (!PAN.test(digits) || (digits.length === 13 && Number(digits) < LAST_MILLISECOND)) return false
  // Every second digit from the right counts double, and of two digits their sum (ISO/IEC 7812-1 annex B).
  const sum = [...digits].reverse().reduce((total, character, index) => {
    const digit = Number(character) * (index % 2 === 0 ? 1 : 2)
    return total + (digit > 9 ? digit - 9 : digit)
  }, 0)
  return sum % 10 === 0
}
