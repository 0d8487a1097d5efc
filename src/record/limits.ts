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
  codings: { value: 4, unit: 'codings', of: 'an answer that is compressed, one within the other', beyond: TOO_LARGE },
  jsonDepth: {
    value: 100,
    unit: 'levels',
    of: 'JSON in an answer: objects and lists within each other',
    beyond: TOO_LARGE,
  },
  jsonItems: { value: 50_000, unit: 'members and elements', of: 'JSON in an answer', beyond: TOO_LARGE },
  bodyBytes: {
    value: 10 * 1024 * 1024,
    unit: 'bytes',
    of: 'the body of an answer, as it arrives and when it is decoded',
    beyond: TOO_LARGE,
  },
  shownBody: {
    ...{ value: 256 * 1024, unit: 'bytes', of: 'a body whose text stands in the record' },
    beyond: 'its size stands there alone; it is judged as any other',
  },
  recordedBody: {
    ...{ value: 64 * 1024, unit: 'characters', of: 'a body in the record' },
    beyond: 'its beginning stands in the record, with its size and that it was cut',
  },
  scopes: {
    ...{ value: 1000, unit: 'scopes', of: 'an answer whose scopes stand in the record one by one' },
    beyond: 'the check of scopes tells how many there are, and the first of them',
  },
} as const satisfies Readonly<Record<string, Limit>>
