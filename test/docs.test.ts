/** Generated pages are what a fresh generation gives, and what a page shows as a flow runs. */

import { existsSync, globSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { type Schema, Validator } from '@cfworker/json-schema'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { clausesOfArazzo, conformancePage } from './support/conformance.ts'
import { expectFile } from './support/golden.ts'
import { PAGES } from './support/pages.ts'
import { notPassed, ROOT, runOnTwin } from './support/run.ts'
import { decisionsSchema, flowSchema } from './support/schema.ts'

const SCHEMA = 'docs/schema/flow.schema.json'
const GENERATED = {
  ...PAGES,
  'docs/arazzo-conformance.md': conformancePage,
  [SCHEMA]: flowSchema,
  'docs/schema/decisions.schema.json': decisionsSchema,
}

test.each(Object.entries(GENERATED))('%s says what the source says', (file, page) => {
  expectFile(page(), file)
})

const FORMAT = readFileSync(join(ROOT, 'docs/flow-format.md'), 'utf8')
const blocks = (language: string) =>
  [...FORMAT.matchAll(/^```yaml (\w+)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '')
const [head = ''] = blocks('head')
const samples = blocks('flow').map((text) => ({ id: /workflowId: ([\w-]+)/.exec(text)?.[1] ?? '', text: head + text }))
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-docs-'))
  for (const part of ['apis', 'parts']) await cp(join(ROOT, 'flows', part), join(folder, part), { recursive: true })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each(samples)(
  'the sample "$id" of docs/flow-format.md runs on the twin and is conformant',
  async ({ id, text }) => {
    const file = join(folder, `${id}.arazzo.yaml`)
    await writeFile(file, text)

    await using ran = await runOnTwin({ flows: [file] })

    expect(ran.record.workflows.flatMap(({ steps }) => steps.flatMap(notPassed))).toEqual([])
    expect(ran.record).toMatchObject({ verdict: 'conformant', exitCode: 0 })
  },
)

test('each member of x-dcr is in a sample that runs', () => {
  const { $defs } = JSON.parse(flowSchema()) as { $defs: Record<string, SchemaNode> }
  const members = Object.entries($defs).flatMap(([name, { properties = {} }]) =>
    name.startsWith('x-dcr-') ? Object.keys(properties).map((member) => `${name}: ${member}`) : [],
  )

  const used = new Set(samples.flatMap(({ text }) => [...membersIn(parse(text), { $ref: '#/$defs/document' }, $defs)]))
  expect(members.filter((member) => !used.has(member))).toEqual([])
})

interface SchemaNode {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: SchemaNode | boolean
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
}

/** The members of a value, each as `kind of object: member`; the schema says which kind an object is by where it stands. */
function* membersIn(
  value: unknown,
  { $ref, properties, additionalProperties, items, anyOf = [] }: SchemaNode,
  $defs: Readonly<Record<string, SchemaNode>>,
  kind = '',
): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  const name = $ref?.replace('#/$defs/', '')
  if (name !== undefined) yield* membersIn(value, $defs[name] ?? {}, $defs, name)
  for (const one of anyOf) yield* membersIn(value, one, $defs)
  if (Array.isArray(value)) for (const one of value) yield* membersIn(one, items ?? {}, $defs)
  else
    for (const [member, inner] of Object.entries(value)) {
      yield `${kind}: ${member}`
      const rest = typeof additionalProperties === 'object' ? additionalProperties : {}
      yield* membersIn(inner, properties?.[member] ?? rest, $defs)
    }
}

/** Like those that editors use: it runs lookarounds. */
const editor = new Validator(JSON.parse(flowSchema()) as Schema, '2020-12', false)

test.each([...globSync('flows/{,parts/}*.arazzo.yaml', { cwd: ROOT }), ...samples.map(({ id }) => id)])(
  'the schema for editors accepts %s',
  async (name) => {
    const sample = samples.find(({ id }) => id === name)
    const text = sample?.text ?? (await readFile(join(ROOT, name), 'utf8'))

    expect(editor.validate(parse(text)).errors).toEqual([])
  },
)

test.each([
  ['a misspelt member', (flow: Draft) => Object.assign(flow.workflows[0] ?? {}, { stpes: [] })],
  ['a member that is not run', (flow: Draft) => Object.assign(flow.workflows[0] ?? {}, { action: 'send' })],
  ['a wrong word', (flow: Draft) => Object.assign(flow.workflows[0]?.['x-dcr'] ?? {}, { effect: 'wipe' })],
  ['x-dcr where it has no meaning', (flow: Draft) => Object.assign(flow.info, { 'x-dcr': {} })],
  ['no steps', (flow: Draft) => Object.assign(flow.workflows[0] ?? {}, { steps: [] })],
])('the schema for editors refuses %s', (_, change) => {
  const flow = parse(samples[0]?.text ?? '') as Draft
  change(flow)

  expect(editor.validate(flow).valid).toBe(false)
})

interface Draft {
  readonly info: object
  readonly workflows: { readonly 'x-dcr': object }[]
}

test.each(globSync('flows/{,parts/}*.arazzo.yaml', { cwd: ROOT }))('%s names its schema for editors', async (file) => {
  const [first] = (await readFile(join(ROOT, file), 'utf8')).split('\n')

  expect(first).toBe(`# yaml-language-server: $schema=${relative(dirname(file), SCHEMA)}`)
})

test('every clause of Arazzo has a test that shows it, or an error that says it is not run', () => {
  expect(clausesOfArazzo().flatMap(({ clause, shown }) => (shown.length === 0 ? [clause] : []))).toEqual([])
})

test.each(['docs/architecture.md', 'CONTRIBUTING.md'])('each file that %s names is there', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const named = [...text.matchAll(/`((?:src|mocks|test|flows|fixtures|docs|bin)\/[\w./-]+)`/g)].map(
    ([, file = '']) => file,
  )

  expect(named.length).toBeGreaterThan(0)
  expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
})

/** As GitHub makes them of headings. */
const anchorsOf = (page: string) =>
  [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )

test.each([...globSync('*.md', { cwd: ROOT }), ...globSync('docs/**/*.md', { cwd: ROOT })])(
  'each link of %s within the repository leads somewhere',
  (page) => {
    const links = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:)([^)\s]+)\)/g)]
    const broken = links.flatMap(([, link = '']) => {
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? join(ROOT, page) : join(ROOT, dirname(page), file)
      return existsSync(target) && (anchor === undefined || anchorsOf(target).includes(anchor)) ? [] : [link]
    })

    expect(broken).toEqual([])
  },
)
