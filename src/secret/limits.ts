/** What is read of one answer for its secrets, and shown of it, at most. docs/limits.md and docs/redaction.md are printed from it. */

const HIDDEN = 'random texts of servers are hidden for the rest of the run'

export const SECRET_LIMITS = {
  secrets: { value: 2000, unit: 'secrets', of: 'what is learned of one answer', beyond: HIDDEN },
  secretCharacters: {
    ...{ value: 16 * 1024, unit: 'characters', of: 'a secret that is searched for' },
    beyond: `so many of its first characters are searched for; ${HIDDEN}`,
  },
  learnedCharacters: {
    ...{ value: 256 * 1024, unit: 'characters', of: 'all secrets that are learned of one answer' },
    beyond: HIDDEN,
  },
  searchedCharacters: {
    ...{ value: 256 * 1024, unit: 'characters', of: 'the texts of one answer that are read for secrets' },
    beyond: HIDDEN,
  },
  shownCharacters: {
    ...{
      value: 64 * 1024,
      unit: 'characters',
      of: 'one list or object of an answer in the record, with all its members',
    },
    beyond: 'its further texts are left out',
  },
} as const
