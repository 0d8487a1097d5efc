/** The documents of the package as they are shipped: parsed when it is built. */
import { globSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compile, fromCompiled } from '../../src/flow/document/compiled.ts'
import { readDocument } from '../../src/flow/document/document.ts'
import type { Document, Path } from '../../src/flow/document/model.ts'

const FILES = globSync('flows/**/*.yaml')

test.each(FILES)('%s has the same data and places compiled as parsed', async (file) => {
  const parsed = await readDocument(file, 'document', undefined, { exactNumbers: true })
  const compiled = fromCompiled(compile(parsed), parsed, () => expect.unreachable('nothing is parsed'))
  expect(compiled.data).toEqual(parsed.data)
  const paths = pathsIn(parsed.data)
  expect(paths.length).toBeGreaterThan(20)
  const placed = (document: Document) => paths.map((path) => [document.at(path), document.keyAt(path)])
  expect(placed(compiled)).toEqual(placed(parsed))
})

test('what only an error needs is found in the text', async () => {
  const [file = ''] = FILES
  const parsed = await readDocument(file, 'document')
  const compiled = fromCompiled(compile(parsed), parsed, () => parsed)
  expect(compiled.at(['info', 'title'], 4)).toEqual(parsed.at(['info', 'title'], 4))
})

/** Of all values, and of one in each that does not exist. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  const own: Path[] = [path, [...path, 'missing'], [...path, 999, 'missing']]
  if (typeof value !== 'object' || value === null) return own
  return own.concat(
    Object.entries(value).flatMap(([key, member]) =>
      pathsIn(member, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  )
}
