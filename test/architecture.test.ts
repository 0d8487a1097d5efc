/** The import table is the design: a new edge is a decision, and an allowed edge that nobody uses is a lie. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** module → modules of src and npm packages it may import. A folder of src is one module. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // vocabulary
  errors: [],
  shape: ['zod'],
  needles: [],
  pan: [],
  chunks: [],
  secret: ['needles', 'pan'],
  record: ['errors', 'record-shape'],
  'record-shape': ['shape'],
  clauses: ['fixtures'],
  // what is read
  environment: ['dotenv', 'errors', 'identity', 'secret', 'shape'],
  flow: ['json-p3', 're2js', 'yaml', 'errors'],
  identity: ['errors', 'record', 'secret'],
  // what is done
  plan: ['checks', 'environment', 'errors', 'flow', 'secret', 'servers'],
  servers: ['environment', 'errors', 'flow'],
  checks: ['@cfworker/json-schema', 'flow', 'record'],
  style: ['flow'],
  content: ['errors', 'flow', 'style'],
  request: ['content', 'errors', 'flow', 'jwt', 'plan', 'style', 'transport'],
  evidence: ['checks', 'record', 'secret', 'transport'],
  call: ['checks', 'errors', 'evidence', 'flow', 'jwt', 'plan', 'record', 'request', 'secret', 'transport'],
  execute: ['call', 'checks', 'errors', 'flow', 'plan', 'record', 'request', 'secret'],
  report: ['chunks', 'clauses', 'errors', 'jwt', 'record'],
  transport: ['undici', 'errors', 'identity', 'record', 'secret'],
  jwt: ['jose', 'errors', 'secret'],
  vault: ['errors', 'jwt', 'secret', 'shape'],
  artifacts: ['chunks', 'errors', 'secret'],
  spool: ['chunks', 'errors', 'record', 'secret'],
  stored: ['errors', 'record', 'record-shape', 'shape'],
  zip: [],
  pack: ['clauses', 'errors', 'jwt', 'record', 'report', 'secret', 'shape', 'zip'],
  circumstances: ['environment', 'identity', 'jwt', 'record'],
  // composition
  preview: ['errors', 'flow', 'plan', 'request'],
  given: ['errors', 'flow', 'record'],
  roles: ['errors', 'shape'],
  message: ['flow', 'record'],
  keeper: ['errors', 'execute', 'message', 'safety', 'vault'],
  safety: ['environment', 'errors', 'flow', 'vault'],
  selection: ['environment', 'errors', 'flow', 'safety'],
  overview: [
    'environment',
    'errors',
    'flow',
    'given',
    'identity',
    'jwt',
    'plan',
    'run',
    'safety',
    'selection',
    'vault',
  ],
  lint: ['errors', 'flow'],
  run: [
    'artifacts',
    'circumstances',
    'clauses',
    'environment',
    'errors',
    'execute',
    'flow',
    'given',
    'identity',
    'jwt',
    'keeper',
    'message',
    'plan',
    'preview',
    'record',
    'report',
    'roles',
    'safety',
    'secret',
    'selection',
    'spool',
    'transport',
    'vault',
  ],
  front: ['run'],
  twin: ['given', 'mocks', 'run'],
  vitest: [
    'artifacts',
    'environment',
    'errors',
    'execute',
    'flow',
    'front',
    'record',
    'run',
    'safety',
    'secret',
    'selection',
    'twin',
  ],
  cli: [
    'environment',
    'secret',
    'vault',
    'errors',
    'execute',
    'front',
    'twin',
    'jwt',
    'lint',
    'overview',
    'safety',
    'record',
    'report',
    'run',
    'mocks',
    'artifacts',
    'pack',
    'stored',
  ],
}

const IMPORT = /^(?:import|export|\} )[^'\n]*from '([^'\n]+)'|import\('([^'\n]+)'\)/gm

interface Edge {
  readonly file: string
  readonly from: string
  readonly to: string
}

const files = globSync('src/**/*.ts').map((file) => file.replaceAll('\\', '/'))
const edges = files.flatMap(edgesOf)

test.each(files)('%s imports only what its module may', (file) => {
  const strangers = edges.filter((edge) => edge.file === file && !MAY_IMPORT[edge.from]?.includes(edge.to))

  expect(strangers.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test('every allowed edge is used', () => {
  const used = new Set(edges.map(({ from, to }) => `${from} -> ${to}`))
  const allowed = Object.entries(MAY_IMPORT).flatMap(([from, list]) => list.map((to) => `${from} -> ${to}`))

  expect(allowed.filter((edge) => !used.has(edge))).toEqual([])
})

test('modules of src form no cycle', () => {
  const visit = (module: string, path: readonly string[]): string[] => {
    if (path.includes(module)) return [[...path, module].join(' -> ')]
    return (MAY_IMPORT[module] ?? []).flatMap((next) => visit(next, [...path, module]))
  }

  expect(Object.keys(MAY_IMPORT).flatMap((module) => visit(module, []))).toEqual([])
})

test('each npm package has one owning module', () => {
  const owners = Map.groupBy(
    edges.filter(({ to }) => !(to in MAY_IMPORT) && to !== 'mocks'),
    ({ to }) => to,
  )

  expect([...owners].filter(([, list]) => new Set(list.map(({ from }) => from)).size > 1)).toEqual([])
})

test('the twin shares no code with the client', () => {
  const shared = globSync('mocks/**/*.ts').filter((file) => /from '[./]+\/src\//.test(readFileSync(file, 'utf8')))

  expect(shared).toEqual([])
})

test('only the front ends, command line and vitest, touch the process and the console', () => {
  const touching = files.filter((file) => !/^src\/(?:cli|vitest)\//.test(file) && PROCESS.test(code(file)))

  expect(touching).toEqual([])
})

test('no code is generated at run time', () => {
  expect(files.filter((file) => /\beval\(|new Function\(/.test(code(file)))).toEqual([])
})

/** Facts about the process (versions, platform) are data; arguments, environment, streams and exit are effects. */
const PROCESS = /(?<![-\w/])(?:console\.|process\.(?!versions\b|platform\b|arch\b))/

function edgesOf(file: string): Edge[] {
  const from = moduleOf(file)
  const specifiers = [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '')
  return specifiers
    .filter((specifier) => !specifier.startsWith('node:'))
    .map((specifier) => ({ file, from, to: targetOf(specifier, file) }))
    .filter(({ to }) => to !== from)
}

function targetOf(specifier: string, file: string): string {
  if (!specifier.startsWith('.')) {
    return specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
  }
  const path = normalize(join(dirname(file), specifier)).replaceAll('\\', '/')
  return path.startsWith('mocks/') ? 'mocks' : moduleOf(path)
}

function moduleOf(path: string): string {
  return (path.replace(/^src\//, '').split('/')[0] ?? '').replace(/\.ts$/, '')
}

function code(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
