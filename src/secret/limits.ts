/**
 * How much of one answer is searched for secrets, and how much of it the record shows. docs/limits.md is printed from this
 * table.
 */

const RANDOM_TEXTS_HIDDEN = 'random texts of servers are hidden for the rest of the run'

export const SECRET_LIMITS = {
  secrets: { value: 2000, unit: 'secrets', of: 'what is learned from one answer', beyond: RANDOM_TEXTS_HIDDEN },
  secretCharacters: {
    ...{ value: 16 * 1024, unit: 'characters', of: 'a secret that is searched for' },
    beyond: `only its first characters are searched for, as many as the limit; ${RANDOM_TEXTS_HIDDEN}`,
  },
  learnedCharacters: {
    ...{ value: 256 * 1024, unit: 'characters', of: 'all secrets learned from one answer, together' },
    beyond: RANDOM_TEXTS_HIDDEN,
  },
  searchedCharacters: {
    ...{ value: 256 * 1024, unit: 'characters', of: 'the texts of one answer that are searched for secrets' },
    beyond: RANDOM_TEXTS_HIDDEN,
  },
  shownCharacters: {
    ...{
      value: 64 * 1024,
      unit: 'characters',
      of: 'one list or object of an answer in the record, with all its members',
    },
    beyond: 'the texts after that are left out',
  },
} as const
