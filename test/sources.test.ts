/** What the architecture is checked with, on made-up sources and trees. */
import { expect, test } from 'vitest'
import { changesIn } from './support/changes.ts'
import { cyclesOf, floorsOf, importsOf, pathOf, reachedFrom } from './support/imports.ts'

const specifiers = (text: string) => importsOf(text, 'src/room/file.ts').map(({ specifier }) => specifier)

test.each([
  ['a value', `import { a } from './x.ts'`],
  ['a type', `import type { A } from './x.ts'`],
  ['a type among values', `import { type A } from './x.ts'`],
  ['several lines', `import {\n  a,\n  b,\n} from "./x.ts"`],
  ['everything', `import * as x from './x.ts'`],
  ['the default', `import x from './x.ts'`],
  ['data', `import x from './x.ts' with { type: 'json' }`],
  ['its side effects alone', `import './x.ts'`],
  ['a re-export', `export { a } from './x.ts'`],
  ['a re-export of a type', `export type { A } from './x.ts'`],
  ['a re-export of everything', `export * from './x.ts'`],
  ['an import at run time', `const a = await import('./x.ts')`],
  ['an import at run time, over lines', `const a = await import(\n  './x.ts'\n)`],
  ['a type by its file', `type A = import('./x.ts').A`],
  ['a type of a module', `let a: typeof import('./x.ts')`],
  ['require in TypeScript', `import x = require('./x.ts')`],
  ['a require made and named', `const load = createRequire(import.meta.url)\nload('./x.ts')`],
  ['a require made by a module', `const load = module.createRequire(import.meta.url)\nload('./x.ts')`],
  ['a require made and used at once', `const { a } = createRequire(import.meta.url)('./x.ts')`],
  ['a module of Node', `const a = process.getBuiltinModule('./x.ts')`],
])('%s is an import', (_, text) => {
  expect(specifiers(text)).toEqual(['./x.ts'])
})

test.each([
  [`import { a } from './x.ts'`, true],
  [`import './x.ts'`, true],
  [`export * from './x.ts'`, true],
  [`import { type A, b } from './x.ts'`, true],
  [`const load = createRequire(import.meta.url)\nload('./x.ts')`, true],
  [`import type { A } from './x.ts'`, false],
  [`export type { A } from './x.ts'`, false],
  [`const a = await import('./x.ts')`, false],
  [`type A = import('./x.ts').A`, false],
])('%s loads the file at once: %s', (text, isLoadedAtOnce) => {
  expect(importsOf(text, 'a.ts')).toMatchObject([{ specifier: './x.ts', isLoadedAtOnce }])
})

test('what only looks like an import is none', () => {
  const text = `// import './a.ts'\nconst a = "import './b.ts'"\nexport const b = 1\nexport { a }\nload('./c.ts')`

  expect(specifiers(text)).toEqual([])
})

test('what nobody can read is said with its line', () => {
  expect(importsOf('const name = 1\nawait import(name)', 'a.ts')).toMatchObject([{ specifier: undefined, line: 2 }])
  expect(() => importsOf('import {', 'src/a.ts')).toThrow('src/a.ts cannot be parsed')
})

test('a relative specifier is a path from the root, a package is none', () => {
  expect(pathOf('../b/c.ts', 'src/a/x.ts')).toBe('src/b/c.ts')
  expect(pathOf('../../mocks/index.ts', 'src/a/x.ts')).toBe('mocks/index.ts')
  expect([pathOf('zod', 'src/a.ts'), pathOf('node:fs', 'src/a.ts')]).toEqual([undefined, undefined])
})

/** `a>b` is a file that imports another. */
function treeOf(...edges: readonly string[]) {
  const pairs = edges.map((edge) => edge.split('>') as [string, string])
  return new Map([...Map.groupBy(pairs, ([from]) => from)].map(([from, list]) => [from, list.map(([, to]) => to)]))
}

test.each([
  ['nothing', [], []],
  ['a line', ['a>b', 'b>c'], []],
  ['two ways to one file', ['a>b', 'a>c', 'b>d', 'c>d'], []],
  ['a file that imports itself', ['a>a'], ['a -> a']],
  ['two files', ['a>b', 'b>a'], ['a -> b -> a']],
  ['three files', ['a>b', 'b>c', 'c>a'], ['a -> b -> c -> a']],
  ['a cycle that others lead to', ['x>a', 'a>b', 'b>a', 'b>y'], ['a -> b -> a']],
  ['two cycles apart', ['a>b', 'b>a', 'c>d', 'd>c'], ['a -> b -> a', 'c -> d -> c']],
  ['two cycles with one file in common', ['a>b', 'b>a', 'a>c', 'c>a'], ['a -> b -> a', 'a -> c -> a']],
  ['a cycle behind a way that was walked', ['a>b', 'b>c', 'a>d', 'd>c', 'c>e', 'e>c'], ['c -> e -> c']],
])('cycles of a tree with %s', (_, edges, cycles) => {
  expect(cyclesOf(treeOf(...edges))).toEqual(cycles)
})

test('floors of a tree, and what is reached from a file of it', () => {
  const tree = treeOf('a>b', 'b>d', 'a>c', 'c>b', 'e>a')

  expect(Object.fromEntries(floorsOf(tree))).toEqual({ d: 1, b: 2, c: 3, a: 4, e: 5 })
  expect([...reachedFrom('c', tree)]).toEqual(['c', 'b', 'd'])
  expect([...reachedFrom('x', treeOf('x>y', 'y>x'))]).toEqual(['x', 'y'])
})

test.each([
  ['process.exitCode', 'process.exitCode = 1'],
  ['process.env.NAME', "process.env.NAME = 'x'"],
  ['process.env.[…]', "delete process.env['NAME']"],
  ['globalThis.count', 'globalThis.count++'],
  ['String.prototype.trim', 'String.prototype.trim = () => 1'],
  ['Thing.prototype', 'class Thing {}\nObject.assign(Thing.prototype, {})'],
  ['Uint8Array.prototype', "Object.defineProperty(Uint8Array.prototype, 'a', {})"],
  ['tls', "import tls from 'node:tls'\nObject.assign(tls, { DEFAULT_MAX_VERSION: 'TLSv1.2' })"],
  ['tls.DEFAULT_MAX_VERSION', "import * as tls from 'node:tls'\n(tls as any).DEFAULT_MAX_VERSION = 'TLSv1.2'"],
  ['format.uri', "import { format } from 'a-library'\nformat.uri = () => true"],
  ['stubEnv', "vi.stubEnv('A', 'b')"],
  ['setFlagsFromString', "setFlagsFromString('--a')"],
])('a change of what is not its own: %s', (what, text) => {
  expect(changesIn(text, 'a.ts').map((change) => change.what)).toEqual([what])
})

test.each([
  ['a variable of its own', 'let a = 1\na = 2'],
  ['an object of its own', 'const a = { b: 1 }\na.b = 2\nObject.assign(a, { c: 1 })'],
  ['a parameter', 'function f(process: { a: number }) { process.a = 1 }'],
  ['a member of the class', 'class A { #a = 1; b() { this.#a = 2 } }'],
  ['a name that hides a global', 'const [name, { status }] = f()\nname.a = 1\nstatus.b = 2'],
  ['a prototype that is read', 'const { toString } = Object.prototype'],
])('no change of what is not its own: %s', (_, text) => {
  expect(changesIn(text, 'a.ts')).toEqual([])
})
