/** The import table is the design: a new edge is a decision, and an allowed edge that nobody uses is a lie. */
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { changesIn } from './support/changes.ts'
import { cyclesOf, importsOf, pathOf } from './support/imports.ts'

/** module → modules of src and npm packages it may import. A folder of src is one module. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  record: ['fixtures', 'zod'],
  secret: [],
  identity: ['jose', 'record', 'secret'],
  flow: ['@cfworker/json-schema', 'json-p3', 're2js', 'record', 'yaml'],
  environment: ['dotenv', 'identity', 'record', 'secret'],
  transport: ['identity', 'record', 'secret', 'undici'],
  plan: ['environment', 'flow', 'identity', 'record', 'secret'],
  execute: ['flow', 'identity', 'plan', 'record', 'secret', 'transport'],
  vault: ['identity', 'record', 'secret'],
  guard: ['environment', 'execute', 'flow', 'plan', 'record', 'vault'],
  report: ['identity', 'record', 'secret'],
  run: [
    'environment',
    'execute',
    'flow',
    'guard',
    'identity',
    'plan',
    'record',
    'report',
    'secret',
    'transport',
    'vault',
  ],
  front: [
    'environment',
    'execute',
    'flow',
    'guard',
    'identity',
    'mocks',
    'record',
    'report',
    'run',
    'secret',
    'vault',
    'vitest',
  ],
}

interface Edge {
  readonly file: string
  readonly line: number
  /** the module that imports */
  readonly from: string
  /** a module of src, another folder of the repository, or an npm package */
  readonly to: string
  /** the file that is imported, from the root of the repository; absent for a package */
  readonly path?: string | undefined
  readonly specifier: string
}

const files = sourcesIn('src')
const edges = files.flatMap(edgesOf)

test.each(files)('%s imports only what its module may', (file) => {
  const strangers = edges.filter(
    ({ file: importer, from, to }) => importer === file && from !== to && !MAY_IMPORT[from]?.includes(to),
  )

  expect(strangers.map(({ line, from, to }) => `line ${line}: ${from} -> ${to}`)).toEqual([])
})

test('every allowed edge is used', () => {
  const used = new Set(edges.map(({ from, to }) => `${from} -> ${to}`))
  const allowed = Object.entries(MAY_IMPORT).flatMap(([from, list]) => list.map((to) => `${from} -> ${to}`))

  expect(allowed.filter((edge) => !used.has(edge))).toEqual([])
})

test('modules of src form no cycle', () => {
  expect(cyclesOf(new Map(Object.entries(MAY_IMPORT)))).toEqual([])
})

test.each(['src', 'mocks', 'test', 'bench'])('files of %s form no cycle, types included', (folder) => {
  const all = sourcesIn(folder).map((file): [string, string[]] => [
    file,
    edgesOf(file).flatMap(({ path = [] }) => path),
  ])

  expect(all.length).toBeGreaterThan(1)
  expect(cyclesOf(new Map(all))).toEqual([])
})

test('each npm package has one owning module', () => {
  const owners = Map.groupBy(
    edges.filter(({ path }) => path === undefined),
    ({ to }) => to,
  )

  expect([...owners].filter(([, list]) => new Set(list.map(({ from }) => from)).size > 1)).toEqual([])
})

test('a package is imported by a name that it exports', () => {
  const inner = edges.filter(
    ({ path, to, specifier }) => path === undefined && to !== specifier && !isExported(to, specifier),
  )

  expect(inner.map(({ file, line, specifier }) => `${file}:${line} ${specifier}`)).toEqual([])
})

test('the twin shares no code with the client', () => {
  const shared = sourcesIn('mocks')
    .flatMap(edgesOf)
    .filter(({ path }) => path?.startsWith('src/'))

  expect(shared).toEqual([])
})

test('only the front ends, command line and vitest, touch the process and the console', () => {
  const touching = files.filter((file) => !/^src\/front\//.test(file) && PROCESS.test(code(file)))

  expect(touching).toEqual([])
})

/** What all files of a process share; the exit code is there to be set. */
const MAY_CHANGE: readonly string[] = [
  // Its library cannot be loaded without; see there.
  'mocks/pki.ts Reflect',
  'src/front/cli/main.ts process.exitCode',
  'src/front/vitest/index.ts process.exitCode',
  // V8 collects earlier: docs/decisions/0005-v8-flags.md.
  'src/front/cli/run.ts setFlagsFromString',
]

test('nothing changes a prototype, a global, or what another module exports', () => {
  const all = ['src', 'mocks', 'test', 'bench'].flatMap(sourcesIn).filter((file) => !file.startsWith('test/prove/'))
  const changes = all.flatMap((file) =>
    changesIn(readFileSync(file, 'utf8'), file).map(({ line, what }) => ({ change: `${file} ${what}`, line })),
  )

  expect(changes.filter(({ change }) => !MAY_CHANGE.includes(change))).toEqual([])
  expect(MAY_CHANGE.filter((one) => !changes.some(({ change }) => change === one))).toEqual([])
})

test('no code is generated at run time', () => {
  expect(files.filter((file) => /\beval\(|new Function\(/.test(code(file)))).toEqual([])
})

/** Facts about the process (versions, platform) are data; arguments, environment, streams and exit are effects. */
const PROCESS = /(?<![-\w/])(?:console\.|process\.(?!versions\b|platform\b|arch\b))/

function sourcesIn(folder: string): string[] {
  return globSync(`${folder}/**/*.ts`, { exclude: (path) => path.includes('node_modules') })
    .map((file) => file.replaceAll('\\', '/'))
    .sort()
}

/** Modules of Node are left out: everybody may use them. */
function edgesOf(file: string): Edge[] {
  return importsOf(readFileSync(file, 'utf8'), file).flatMap(({ specifier, line }): Edge[] => {
    if (specifier === undefined)
      throw new Error(`${file}:${line}: nobody can say what is imported; write it as a plain text`)
    if (specifier.startsWith('node:')) return []
    const path = pathOf(specifier, file)
    return [
      {
        file,
        line,
        from: moduleOf(file),
        to: path === undefined ? packageOf(specifier) : moduleOf(path),
        path,
        specifier,
      },
    ]
  })
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Of a file in src the first part of its path below it, of any other its folder at the top. */
function moduleOf(path: string): string {
  return (path.replace(/^src\//, '').split('/')[0] ?? '').replace(/\.ts$/, '')
}

function isExported(name: string, specifier: string): boolean {
  const { exports } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { exports?: object }
  // Of a package that says what it exports, Node finds nothing else.
  return exports !== undefined && import.meta.resolve(specifier) !== ''
}

function code(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
