/** The import table is the design: a new edge is a decision, and an allowed edge that nobody uses is a lie. */
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { changesIn } from './support/changes.ts'
import { cyclesOf, floorsOf, importsOf, pathOf, reachedFrom } from './support/imports.ts'

/** room → other rooms, folders of the repository and npm packages that it may import. A folder of src is a room. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  record: ['fixtures', 'zod'],
  secret: [],
  identity: ['@peculiar/asn1-csr', '@peculiar/asn1-schema', '@peculiar/asn1-x509', 'jose', 'record', 'secret'],
  flow: ['json-p3', 're2js', 'record', 'yaml'],
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
    'plan',
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
  /** the room that imports */
  readonly from: string
  /** a room, another folder of the repository, or an npm package */
  readonly to: string
  /** the file that is imported, from the root of the repository; absent for a package */
  readonly path?: string | undefined
  readonly specifier: string
  readonly isLoadedAtOnce: boolean
}

const files = sourcesIn('src')
const edgesOfAll = new Map(['src', 'mocks', 'test', 'bench'].flatMap(sourcesIn).map((file) => [file, edgesOf(file)]))
const edges = files.flatMap((file) => edgesOfAll.get(file) ?? [])
/** The files of a folder with those that each imports. */
const importsIn = (folder: string, isWanted = (_: Edge) => true) =>
  new Map(
    sourcesIn(folder).map((file) => [
      file,
      (edgesOfAll.get(file) ?? []).filter(isWanted).flatMap(({ path = [] }) => path),
    ]),
  )

test('every file of src lies in a room, and every room has a file', () => {
  expect(new Set(files.map(roomOf))).toEqual(new Set(Object.keys(MAY_IMPORT)))
})

test.each(files)('%s imports only what its room may', (file) => {
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

test('rooms form no cycle, and stand on eight floors at most', () => {
  const graph = new Map(Object.entries(MAY_IMPORT).map(([room, list]) => [room, list.filter((to) => to in MAY_IMPORT)]))

  expect(cyclesOf(graph)).toEqual([])
  expect(Math.max(...floorsOf(graph).values())).toBeLessThanOrEqual(8)
})

test.each(['src', 'mocks', 'test', 'bench'])('files of %s form no cycle, types included', (folder) => {
  const graph = importsIn(folder)

  expect(graph.size).toBeGreaterThan(1)
  expect(cyclesOf(graph)).toEqual([])
})

test('each npm package has one owning room', () => {
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
  const shared = [...importsIn('mocks').values()].flat().filter((path) => path.startsWith('src/'))

  expect(shared).toEqual([])
})

/** What is loaded first, and what is loaded when flows are to be run. */
const ENTRIES = ['cli/main.ts', 'cli/run.ts', 'vitest/index.ts', 'vitest/tests.ts'].map((file) => `src/front/${file}`)

test.each(ENTRIES)('%s does not load the twin before it is needed', (entry) => {
  const reached = [
    ...reachedFrom(
      entry,
      importsIn('src', ({ isLoadedAtOnce }) => isLoadedAtOnce),
    ),
  ]

  expect(files).toContain(entry)
  expect(reached.filter((file) => file.startsWith('mocks/'))).toEqual([])
})

test('only the front ends, command line and vitest, touch the process and the console', () => {
  const touching = files.filter((file) => !/^src\/front\//.test(file) && PROCESS.test(code(file)))

  expect(touching).toEqual([])
})

/** What all files of a process share; the exit code is there to be set. */
const MAY_CHANGE: readonly string[] = [
  // The library for certificates cannot be imported without it; see loadX509.
  'mocks/authority.ts Reflect',
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
  return importsOf(readFileSync(file, 'utf8'), file).flatMap(({ specifier, line, isLoadedAtOnce }): Edge[] => {
    if (specifier === undefined)
      throw new Error(`${file}:${line}: nobody can say what is imported; write it as a plain text`)
    if (specifier.startsWith('node:')) return []
    const path = pathOf(specifier, file)
    return [
      {
        file,
        line,
        from: roomOf(file),
        to: path === undefined ? packageOf(specifier) : roomOf(path),
        path,
        specifier,
        isLoadedAtOnce,
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
function roomOf(path: string): string {
  return path.replace(/^src\//, '').split('/')[0] ?? ''
}

function isExported(name: string, specifier: string): boolean {
  const { exports } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { exports?: object }
  // Of a package that says what it exports, Node finds nothing else.
  return exports !== undefined && import.meta.resolve(specifier) !== ''
}

function code(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
