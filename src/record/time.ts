/** A moment that a server or a file names, UTC as RFC 3339; undefined where no date can be made of it. */
export function momentOf(seconds: unknown): string | undefined {
  const date = new Date(typeof seconds === 'number' ? seconds * 1000 : Number.NaN)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
