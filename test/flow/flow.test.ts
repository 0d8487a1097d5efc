/** Everything a person can get wrong in a flow file, and the exact words about it. */
import { globSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ARAZZO, type Members, X_DCR } from '../../src/flow/arazzo/structure.ts'
import { readFlow } from '../../src/flow/index.ts'
import { type Problem, render, ToolError } from '../../src/record/errors.ts'
import { expectGolden } from '../support/golden.ts'

const GOLDEN = fileURLToPath(new URL('../golden/flow/', import.meta.url))
const slugs = globSync('*.arazzo.yaml', { cwd: GOLDEN })
  .map((file) => basename(file, '.arazzo.yaml'))
  .sort()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-flow-'))
  await cp(join(GOLDEN, 'clients.openapi.yaml'), join(folder, 'clients.openapi.yaml'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each(slugs)('flow "%s" is refused with every mistake at its place', async (slug) => {
  const problems = await problemsOf(join(GOLDEN, `${slug}.arazzo.yaml`))

  expectGolden(`${problems.map(rendered).join('\n\n')}\n`, `flow/${slug}.txt`)
})

test('every golden output belongs to a flow', () => {
  const outputs = globSync('*.txt', { cwd: GOLDEN }).map((file) => basename(file, '.txt'))

  expect(outputs.sort()).toEqual(slugs)
})

test('a flow without mistakes is read', async () => {
  expect(await problemsIn(document())).toEqual([])
})

test('Arazzo 1.1 § Format: a flow may be JSON, also with a byte order mark and Windows line ends', async () => {
  const file = join(folder, 'windows.arazzo.json')
  await writeFile(file, `\uFEFF${JSON.stringify(document(), null, 2).replaceAll('\n', '\r\n')}`)

  const { title, workflows } = await readFlow(file)

  expect([title, ...workflows.map(({ workflowId }) => workflowId)]).toEqual(['Nothing wrong', 'one'])
})

test('a flow that is no file is named with the reason', async () => {
  const missing = join(folder, 'missing.arazzo.yaml')

  expect(await problemsOf(missing)).toEqual([
    {
      code: 'FLOW_FILE',
      message: `flow "${missing}" cannot be read: there is no such file`,
      at: undefined,
      hint: 'check the path',
    },
  ])
})

test('a file beyond all measure is refused before it is parsed', async () => {
  const file = join(folder, 'large.arazzo.yaml')
  await writeFile(file, `# ${'x'.repeat(5 * 1024 * 1024)}`)

  expect(await problemsOf(file)).toEqual([
    {
      code: 'FLOW_SYNTAX',
      message: `"${file}" is too large`,
      expected: 'at most 4194304 characters',
      found: '5242882',
    },
  ])
})

/** Where in the document below the objects of each table stand. */
const STEP = ['workflows', 0, 'steps', 0] as const
const PLACES = {
  document: [],
  info: ['info'],
  source: ['sourceDescriptions', 0],
  workflow: ['workflows', 0],
  inputs: ['workflows', 0, 'inputs'],
  step: STEP,
  'x-operation': ['workflows', 0, 'steps', 1, 'x-operation'],
  parameter: [...STEP, 'parameters', 0],
  reusable: [...STEP, 'parameters', 2],
  components: ['components'],
  requestBody: [...STEP, 'requestBody'],
  replacement: [...STEP, 'requestBody', 'replacements', 0],
  successAction: [...STEP, 'onSuccess', 0],
  failureAction: [...STEP, 'onFailure', 0],
  criterion: [...STEP, 'successCriteria', 0],
} as const satisfies Record<keyof typeof ARAZZO, readonly (string | number)[]>
const EXTENSIONS = {
  workflow: [...PLACES.workflow, 'x-dcr'],
  step: [...PLACES.step, 'x-dcr'],
  alteration: [...PLACES.step, 'x-dcr', 'alter', 0],
  case: [...PLACES.step, 'x-dcr', 'cases', 0],
  criterion: [...PLACES.criterion, 'x-dcr'],
  input: [...PLACES.inputs, 'properties', 'assertion', 'x-dcr'],
} as const satisfies Record<keyof typeof X_DCR, readonly (string | number)[]>

const unsupported = [
  ...Object.entries(ARAZZO).flatMap(([name, members]) =>
    unsupportedOf(name, members, PLACES[name as keyof typeof PLACES]),
  ),
  ...Object.entries(X_DCR).flatMap(([name, members]) =>
    unsupportedOf(`x-dcr of a ${name}`, members, EXTENSIONS[name as keyof typeof EXTENSIONS]),
  ),
]

test.each(unsupported)('not supported yet and never ignored: $title', async ({ path, member, value, words }) => {
  const wrong = document()
  const target = path.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], wrong) as object
  Object.assign(target, { [member]: value })

  const problems = await problemsIn(wrong)

  const written = `"${member}": ${JSON.stringify(value)}`
  const line =
    JSON.stringify(wrong, null, 2)
      .split('\n')
      .findIndex((text) => text.includes(written)) + 1
  expect(problems.map(({ code, message, at }) => ({ code, message, line: at?.line }))).toEqual([
    { code: 'FLOW_UNSUPPORTED', message: expect.stringContaining(words), line },
  ])
})

const typed = Object.entries(ARAZZO).flatMap(([name, members]) =>
  Object.entries(members as Members)
    .filter(([, { type, unsupported }]) => type !== 'any' && !unsupported)
    .map(([member, { type }]) => ({
      title: `"${member}" of ${name}`,
      path: PLACES[name as keyof typeof PLACES],
      member,
      value: type === 'boolean' || type === 'string' ? 1 : 'a',
    })),
)

test.each(typed)('a value of another type is refused: $title', async ({ path, member, value }) => {
  const wrong = document()
  let place = wrong as unknown as Record<string, unknown>
  for (const key of path) {
    place[key] ??= {}
    place = place[key] as Record<string, unknown>
  }
  place[member] = value

  const problems = await problemsIn(wrong)

  const words = new RegExp(`^"${member.replace('$', '\\$')}" of .* has the wrong type$`)
  expect(problems.map(({ message }) => message)).toContainEqual(expect.stringMatching(words))
})

test('a selector and a criterion with nonsense in place of a type are refused, never a crash', async () => {
  for (const type of [null, 5, [], {}, true]) {
    const wrong = document()
    const [step] = wrong.workflows[0]?.steps ?? []
    Object.assign(step ?? {}, {
      outputs: { x: { context: '$response.body', selector: '$.a', type } },
      successCriteria: [{ context: '$response.body', condition: '$.a', type: type ?? 5 }],
    })

    expect((await problemsIn(wrong)).map(({ code }) => code)).toEqual(['FLOW_EXPRESSION', 'FLOW_EXPRESSION'])
  }
})

test.each(['1.0.0', '1.0.1', '1.1.0', '1.1.7'])('Arazzo 1.1 § Versions: %s is read', async (arazzo) => {
  expect(await problemsIn({ ...document(), arazzo })).toEqual([])
})

test.each(['1.2.0', '2.0.0', '1.0'])('Arazzo 1.1 § Versions: %s is refused', async (arazzo) => {
  expect((await problemsIn({ ...document(), arazzo })).map(({ code }) => code)).toEqual(['FLOW_UNSUPPORTED'])
})

test('Arazzo 1.1 § Specification Extensions: those of other tools are ignored, x-security is refused', async () => {
  const extended = document()
  for (const path of Object.values(PLACES)) {
    const node = path.reduce<unknown>((one, key) => (one as Record<string, unknown> | undefined)?.[key], extended)
    if (typeof node === 'object' && node !== null) Object.assign(node, { 'x-of-another-tool': { any: 'thing' } })
  }
  const secured = document()
  Object.assign(secured.workflows[0]?.steps[0] ?? {}, { 'x-security': [] })

  expect(await problemsIn(extended)).toEqual([])
  expect((await problemsIn(secured)).map(({ message }) => message)).toEqual([
    'step "register" has no member "x-security"',
  ])
})

interface Case {
  readonly title: string
  readonly path: readonly (string | number)[]
  readonly member: string
  readonly value: unknown
  readonly words: string
}

function unsupportedOf(object: string, members: Members, path: readonly (string | number)[]): Case[] {
  const samples = { string: 'a', integer: 1, number: 1, boolean: true, object: {}, array: [], texts: [], any: 'a' }
  return Object.entries(members).flatMap(([member, { unsupported, type, later = [] }]) => [
    ...(unsupported
      ? [{ title: `${object} "${member}"`, path, member, value: samples[type], words: `"${member}" of` }]
      : []),
    ...later.map((value) => ({
      title: `${object} ${member}: ${value}`,
      path,
      member,
      value,
      words: `cannot be "${value}" yet`,
    })),
  ])
}

/** A flow with one of each object and nothing wrong. */
function document() {
  const assertion = {
    type: 'string',
    'x-dcr': { mint: 'client_assertion', audience: 'somebody', alg: 'PS256' },
  }
  const step = {
    stepId: 'register',
    operationId: 'registerClient',
    'x-dcr': {
      clauses: ['RFC7591-3.1'],
      alter: [{ remove: 'header', name: 'x-none' }],
      cases: [{ id: 'a', alter: [{ remove: 'header', name: 'x-none' }], expect: 'refused' }],
    },
    parameters: [
      { name: 'Authorization', in: 'header', value: 'Bearer {$inputs.assertion}' },
      { name: 'Accept', in: 'header', value: 'application/json' },
      { reference: '$components.parameters.agent' },
    ],
    requestBody: {
      contentType: 'application/json',
      payload: { client_name: 'golden' },
      replacements: [{ target: '/client_name', value: 'silver' }],
    },
    onSuccess: [{ name: 'done', type: 'end' }],
    onFailure: [{ name: 'over', type: 'end' }],
    successCriteria: [{ 'x-dcr': { level: 'should' }, condition: '$statusCode == 201' }],
  }
  return {
    arazzo: '1.1.0',
    info: { title: 'Nothing wrong', version: '1.0.0' },
    sourceDescriptions: [{ name: 'clients', url: 'clients.openapi.yaml' }],
    components: { parameters: { agent: { name: 'Content-Type', in: 'header', value: 'a' } } },
    workflows: [
      {
        workflowId: 'one',
        'x-dcr': { effect: 'register' },
        inputs: { type: 'object', properties: { assertion } },
        steps: [step, { stepId: 'outside', 'x-operation': { url: 'https://api.example/', method: 'GET' } }],
      },
    ],
  }
}

async function problemsIn(content: unknown): Promise<readonly Problem[]> {
  const file = join(folder, 'flow.arazzo.json')
  await writeFile(file, JSON.stringify(content, null, 2))
  return await problemsOf(file)
}

async function problemsOf(file: string): Promise<readonly Problem[]> {
  try {
    await readFlow(file)
  } catch (error) {
    if (error instanceof ToolError) return error.problems
    throw error
  }
  return []
}

/** As the command line prints it in the folder of the flows. */
function rendered(problem: Problem): string {
  const source = problem.at && readFileSync(problem.at.file, 'utf8')
  return render(problem, source).replaceAll(GOLDEN, '').replaceAll(GOLDEN.replace(/\/$/, ''), '.')
}
