/** What an answer may be at most, so that one is judged in little time whatever a server sends. docs/limits.md is printed from it. */

export interface Limit {
  readonly value: number
  readonly unit: string
  /** what is limited */
  readonly of: string
  /** what happens beyond it */
  readonly beyond: string
}

const TOO_LARGE = 'the step is errored with `TOO_LARGE`'

export const LIMITS = {
  headerBytes: { value: 256 * 1024, unit: 'bytes', of: 'the headers of an answer', beyond: TOO_LARGE },
  bodyBytes: { value: 10 * 1024 * 1024, unit: 'bytes', of: 'the body of an answer, as it arrives', beyond: TOO_LARGE },
} as const satisfies Readonly<Record<string, Limit>>
