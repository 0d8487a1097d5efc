/** Hands out documents with their URLs as the twin is reached. */

/** The same JSON value with every https URL of its strings passed through `publish`. */
export function publishAll<T>(value: T, publish: (url: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, member: unknown) =>
    typeof member === 'string' && member.startsWith('https://') ? publish(member) : member,
  ) as T
}
