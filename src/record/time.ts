/** A moment that a server or a file names, UTC as RFC 3339; undefined where no date can be made of it. */
export function momentOf(seconds: unknown): string | undefined {
  const date = new Date(typeof seconds === 'number' ? seconds * 1000 : Number.NaN)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** The three forms of a date in a header, of which the last has no zone: it is UTC too. */
const HTTP_DATE =
  /^(?:\w{3}, \d{2} \w{3} \d{4} \d\d:\d\d:\d\d GMT|\w{6,9}, \d{2}-\w{3}-\d{2} \d\d:\d\d:\d\d GMT|\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d (?<year>\d{4}))$/

/**
 * A date of a header in milliseconds since 1970 (RFC 9110 §5.6.7); undefined for any other text. JavaScript's own reader takes
 * "-5" for a day in 2001.
 */
export function httpDate(text: string): number | undefined {
  const match = HTTP_DATE.exec(text)
  if (match === null) return undefined
  const time = Date.parse(match.groups?.year === undefined ? text : `${text} GMT`)
  return Number.isNaN(time) ? undefined : time
}
