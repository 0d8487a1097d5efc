/**
 * Documents of this package as data, with the place of each value: parsed when the package is built, since that takes longer than
 * the calls that they describe. One is found by the hash of its text, so a changed file is parsed again.
 */
import { readFileSync } from 'node:fs'
import type { SourceLocation } from '../../record/errors.ts'
import type { Document, Path } from './model.ts'

/** Line and column of a value; the places within it, by index or by name; and those of the names. */
type Place = readonly [
  line: number,
  column: number,
  within?: readonly Place[] | Readonly<Record<string, Place>>,
  names?: Readonly<Record<string, Place>>,
]

interface Compiled {
  readonly data: unknown
  readonly place: Place
}

/** The file with the compiled form of a text, beside the code of the bundle. */
export function compiledFile(sha256: string): string {
  return `documents/${sha256}.json`
}

export function compile(document: Document): string {
  const { data } = document
  const placeOf = (value: unknown, path: Path): Place => {
    const { line, column } = document.at(path)
    if (Array.isArray(value)) return [line, column, value.map((item, index) => placeOf(item, [...path, index]))]
    if (typeof value !== 'object' || value === null) return [line, column]
    const members = Object.entries(value)
    const within = members.map(([name, member]) => [name, placeOf(member, [...path, name])] as const)
    const names = members.map(([name]): readonly [string, Place] => {
      const key = document.keyAt([...path, name])
      return [name, [key.line, key.column]]
    })
    return [line, column, Object.fromEntries(within), Object.fromEntries(names)]
  }
  return JSON.stringify({ data, place: placeOf(data, []) } satisfies Compiled)
}

/** Undefined where the text is none of this package. */
export function readCompiled(sha256: string): string | undefined {
  try {
    return readFileSync(new URL(`../${compiledFile(sha256)}`, import.meta.url), 'utf8')
  } catch {
    return undefined
  }
}

/** `parse` is asked for what the compiled form lacks: places within a text. Only errors need them. */
export function fromCompiled(
  json: string,
  { file, text, sha256 }: Pick<Document, 'file' | 'text' | 'sha256'>,
  parse: () => Document,
): Document {
  const { data, place } = JSON.parse(json) as Compiled
  let parsed: Document | undefined
  const document = () => (parsed ??= parse())
  return {
    file,
    text,
    sha256,
    data,
    at: (path, offset = 0) => (offset > 0 ? document().at(path, offset) : { file, ...locate(place, path) }),
    keyAt: (path) => {
      const [key = '', parent] = [path.at(-1), found(place, path.slice(0, -1))]
      const name = parent?.[3] !== undefined && Object.hasOwn(parent[3], key) ? parent[3][key] : undefined
      return { file, ...(name === undefined ? locate(place, path) : { line: name[0], column: name[1] }) }
    },
  }
}

/** The place of the value at `path`. */
function found(root: Place, path: Path): Place | undefined {
  let at: Place | undefined = root
  for (const key of path) at = member(at, key)
  return at
}

function member(place: Place | undefined, key: string | number): Place | undefined {
  const within = place?.[2]
  return within !== undefined && Object.hasOwn(within, key)
    ? (within as Readonly<Record<string | number, Place>>)[key]
    : undefined
}

/** Of the value at `path`, or of its nearest existing parent. */
function locate(root: Place, path: Path): Pick<SourceLocation, 'line' | 'column'> {
  let nearest = root
  for (const key of path) {
    const next = member(nearest, key)
    if (next === undefined) break
    nearest = next
  }
  return { line: nearest[0], column: nearest[1] }
}
