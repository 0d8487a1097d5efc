/** What bounds the reading of a file or the work of a flow stands in one table, from which docs/limits.md is printed. */
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** Numbers that bound what is shown, or what lint says, and refuse nothing. */
const OF_MESSAGES: readonly string[] = [
  'execute/judge.ts MOST_NAMED',
  'execute/terms.ts LONGEST',
  'execute/terms.ts MOST_ITEMS',
  'flow/expression/criterion.ts MAX_SHOWN',
  'flow/lint/criteria.ts LARGEST_PATTERN',
  'flow/lint/criteria.ts MOST_NUMBERS',
  'flow/lint/findings.ts MOST_FINDINGS',
  'flow/openapi/judging.ts LONGEST_SHOWN',
]

test('no other limit of flows, environments and steps stands beside the table', () => {
  const found = globSync('src/{flow,environment,execute}/**/*.ts').flatMap((file) =>
    [
      ...readFileSync(file, 'utf8').matchAll(
        /^(?:export )?const ((?:MAX|MOST|LARGEST|DEEPEST|LONGEST|LAST)\w*|\w+_BUDGET) = \d/gm,
      ),
    ].map(([, name]) => `${file.replaceAll('\\', '/').slice('src/'.length)} ${name}`),
  )

  expect(found.toSorted()).toEqual(OF_MESSAGES)
})
