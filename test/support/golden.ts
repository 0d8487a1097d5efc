/** Exact outputs kept in test/golden. `UPDATE_GOLDEN=1` writes them anew; review the difference like code. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What differs from run to run, by name: a pattern, and what stands in its place. */
const VOLATILE = {
  durations: [/\b\d+(?:\.\d)? m?s\b/g, '<duration>'],
  'run folders': [/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-([\w+-]*)-[0-9a-f]{6}/g, '<time>-$1-<id>'],
  dates: [/\b\d{4}-\d\d-\d\d\b/g, '<date>'],
  ports: [/\b(localhost|127\.0\.0\.1):\d+/g, '$1:<port>'],
} as const satisfies Record<string, readonly [RegExp, string]>

/** `places` are folders by the name that stands for them. */
export function stable(text: string, places: Readonly<Record<string, string>> = {}): string {
  const named = Object.entries({ ...places, repository: ROOT.replace(/[\\/]$/, '') })
    // The longest first, since one may lie within another.
    .toSorted(([, a], [, b]) => b.length - a.length)
    .reduce((result, [name, path]) => result.replaceAll(path, `<${name}>`), text)
  return Object.values(VOLATILE).reduce((result, [pattern, place]) => result.replace(pattern, place), named)
}

/** Expects `actual` to be the text of `file`, a path from the root of the repository. */
export function expectFile(actual: string, file: string): void {
  const path = `${ROOT}${file}`
  if (process.env.UPDATE_GOLDEN === '1') {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, actual)
  }
  expect(actual).toBe(readFileSync(path, 'utf8'))
}

export function expectGolden(actual: string, name: string): void {
  expectFile(actual, `test/golden/${name}`)
}
