/** docs/conformance.md names places at which requirements are decided. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { proofsIn, REQUIREMENTS } from '../src/record/requirements.ts'
import { ROOT } from './support/run.ts'

test('each place of the page decides a requirement', () => {
  const page = readFileSync(join(ROOT, 'docs', 'conformance.md'), 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('|'))
  const named = rows.flatMap((row) => [...row.matchAll(/`([\w-]+(?:\/[\w-]+)+)`/g)].flatMap(([, place]) => place ?? []))
  const decisive = new Set(REQUIREMENTS.flatMap(({ proof }) => proofsIn(proof).flatMap(({ at }) => at)))

  expect(named.length).toBeGreaterThan(60)
  expect(named.filter((place) => !decisive.has(place))).toEqual([])
})
