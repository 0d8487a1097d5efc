/** What lint finds, in the exact words; what it lets pass; and what it does with files that were made to hurt it. */
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exitCode, type LintOptions, type LintReport, lint } from '../../src/flow/lint/index.ts'
import { RULES } from '../../src/flow/lint/rules.ts'
import { plannedEffect } from '../../src/plan/effect.ts'
import { render } from '../../src/record/errors.ts'
import { ROOT } from '../support/cli.ts'
import { expectGolden } from '../support/golden.ts'
import { flowOfOneStep } from '../support/one-step.ts'

const GOLDEN = fileURLToPath(new URL('../golden/lint/', import.meta.url))
const samples = globSync('*.arazzo.yaml', { cwd: GOLDEN })
  .map((file) => basename(file, '.arazzo.yaml'))
  .sort()
/** Made here, so that nothing that looks like a secret is committed. */
const base64url = (text: string) => Buffer.from(text).toString('base64url')
const MADE: Readonly<Record<string, string>> = {
  '<JWT>': [base64url('{"alg":"none"}'), base64url('{"sub":"nobody at all"}'), ''].join('.'),
  '<PEM>': `-----BEGIN ${'PRIVATE'} KEY-----`,
}
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-lint-'))
  for (const file of globSync('*.yaml', { cwd: GOLDEN })) {
    const text = await readFile(join(GOLDEN, file), 'utf8')
    await writeFile(
      join(folder, file),
      text.replace(/<JWT>|<PEM>/g, (name) => MADE[name] ?? name),
    )
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each(samples)('sample "%s" is answered with every mistake at its place', async (name) => {
  expectGolden(`${printed(await linted(`${name}.arazzo.yaml`))}\n`, `lint/${name}.txt`)
})

test('every golden output belongs to a sample', () => {
  const outputs = globSync('*.txt', { cwd: GOLDEN }).map((file) => basename(file, '.txt'))

  expect(outputs.sort()).toEqual(samples)
})

test.each(Object.keys(RULES))('the sample of rule "%s" is found by it', async (rule) => {
  const { findings } = await linted(`${rule}.arazzo.yaml`)

  expect(findings.map((finding) => finding.rule)).toContain(rule)
})

test('every rule has a sample, and every sample that is named like a rule is one', () => {
  const others = ['effect-unknown', 'extension-guard', 'five-mistakes', 'reading']

  expect(samples).toEqual([...Object.keys(RULES), ...others].sort())
})

test('a flow with five mistakes reports all five at once, whoever finds them', async () => {
  const { findings } = await linted('five-mistakes.arazzo.yaml')

  expect(findings.map(({ rule, at }) => `${at?.line} ${rule}`)).toEqual([
    '7 effect-too-weak',
    '13 unused-input',
    '19 FLOW_REFERENCE',
    '22 compared-without-case',
    '23 null-in-filter',
  ])
})

test('the flows of the repository have nothing against them', async () => {
  const report = await lint({ paths: [], folders: [ROOT], effectOf: plannedEffect })

  expect(report.files.length).toBeGreaterThan(0)
  expect(report.findings.map(({ rule, at }) => `${rule} ${at?.file}:${at?.line}`)).toEqual([])
})

test('what looks like a secret is found and shown nowhere', async () => {
  const report = await linted('secret-literal.arazzo.yaml')
  const secrets = [...Object.values(MADE), 'hunter2', 'Y2xpZW50', 'pa$$word', '0123456789abcdef']

  const output = printed(report) + JSON.stringify([...report.findings, ...report.sources.values()])

  expect(secrets.filter((secret) => output.includes(secret))).toEqual([])
})

test.each([
  ['$[?@.a != null]', '$.a'],
  ['$[?(@.a.b != null)]', '$.a.b'],
  ["$[?@['a b'] == null]", "$[?!$['a b']]"],
  ['$.keys[?@.kid != null]', '$.keys[?@.kid]'],
  ['$.keys[?@.kid == null && @.kty]', '$.keys[?!@.kid && @.kty]'],
])('instead of the filter %s it suggests %s', async (condition, better) => {
  const { findings } = await lintedFlow([{ context: '$response.body', type: 'jsonpath', condition }])

  expect(findings.map(({ rule, hint }) => [rule, hint?.replace(/^.*?: /, '')])).toEqual([['null-in-filter', better]])
  const again = await lintedFlow([{ context: '$response.body', type: 'jsonpath', condition: better }])
  expect(again.findings).toEqual([])
})

test.each([
  ["$response.body#/client_id == 'It''s mine'", `$[?$.client_id == 'It\\'s mine']`],
  ["$response.body.keys[0].kid == 'a\\b'", `$[?$.keys[0].kid == 'a\\\\b']`],
  ['$inputs.client_id != $response.body#/a~1b/sub', "$[?$['a/b'].sub != '{$inputs.client_id}']"],
  ['$request.header.ETag == $inputs.client_id', '^\\Q{$inputs.client_id}\\E$'],
])('what it suggests in a flow of other tools instead of %s can be pasted', async (condition, better) => {
  const { findings: all } = await lintedText(flowWith([{ condition }]).replaceAll('x-dcr', 'x-other'))
  const findings = all.filter(({ rule }) => rule === 'compared-without-case')
  const pasted = findings[0]?.hint?.replace('write: ', '') ?? ''

  const again = await lintedText(flowWith([]).replace('successCriteria: []', `successCriteria: [${pasted}]`))
  expect(again.findings).toEqual([])
  expect(pasted).toContain(JSON.stringify(better))
})

test('in a flow with x-dcr it suggests an exact comparison where one can be, and is silent about it', async () => {
  const hints = async (criterion: object) => (await lintedFlow([criterion])).findings.map(({ hint }) => hint)

  expect(await hints({ condition: '$response.body#/client_id == $inputs.client_id' })).toEqual([
    'add to the criterion: x-dcr: { exact: true }',
  ])
  expect(
    await hints({ condition: '$response.body#/client_id == $inputs.client_id', 'x-dcr': { exact: true } }),
  ).toEqual([])
  expect(await hints({ condition: "$statusCode == 200 && $response.body#/client_id == 'a'" })).toEqual([
    expect.stringMatching(/^write: .*jsonpath/),
  ])
})

test('a step reached only by a retry, a failure action, a shared action or for cleaning up can run', async () => {
  const steps = [
    {
      stepId: 'one',
      onFailure: [{ name: 'a', type: 'retry', stepId: 'three' }],
      onSuccess: [{ name: 'b', type: 'end' }],
    },
    { stepId: 'two', 'x-dcr': { finally: true } },
    { stepId: 'three', onSuccess: [{ name: 'c', type: 'end' }] },
    { stepId: 'four' },
  ]

  const unreachable = async (more: object) => {
    const flow = JSON.parse(flowWith([{ condition: '$statusCode == 200' }])) as { workflows: Record<string, unknown>[] }
    Object.assign(flow.workflows[0] as object, { steps, ...more })
    const { findings } = await lintedText(JSON.stringify(flow))
    return findings.filter(({ rule }) => rule === 'unreachable-step').map(({ message }) => message)
  }

  expect(await unreachable({})).toEqual(['step "four" can never run'])
  expect(await unreachable({ failureActions: [{ name: 'd', type: 'goto', stepId: 'four' }] })).toEqual([])
})

test('below a folder it reads flows by their ending or by their member "arazzo", and nothing else', async () => {
  const place = join(folder, 'tree')
  const files = {
    'a.arazzo.yaml': '',
    'deep/er/b.arazzo.json': '{}',
    'c.yaml': '# a comment\narazzo: 1.0.0\n',
    'd.json': '{ "info": {}, "arazzo": "1.0.0" }',
    'not-a-flow.yaml': 'title: arazzo\nnested:\n  arazzo: 1.0.0\n',
    'nested.json': '{ "x": { "arazzo": 1 } }',
    'openapi.yaml': 'openapi: 3.1.0\n',
    'arazzo.md': 'arazzo: 1.0.0\n',
    'node_modules/e.arazzo.yaml': '',
    '.hidden/f.arazzo.yaml': '',
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(place, name, '..'), { recursive: true })
    await writeFile(join(place, name), text)
  }

  const report = await lint({ paths: ['tree', 'tree/c.yaml'], folders: [folder], effectOf: plannedEffect })

  expect(report.files.map((file) => file.slice(place.length + 1))).toEqual([
    'a.arazzo.yaml',
    'c.yaml',
    'd.json',
    'deep/er/b.arazzo.json',
  ])
})

test('a document of another tool is judged as Arazzo: what it lacks for thredd is a warning', async () => {
  const foreign = (url: string) => `arazzo: 1.0.1
info: { title: Foreign, version: 1.0.0 }
sourceDescriptions: [{ name: pets, url: '${url}', type: openapi }]
workflows:
  - workflowId: one
    steps: [{ stepId: one, operationId: getPets, successCriteria: [{ condition: $statusCode == 200 }] }]
`
  const outcome = async (url: string, options: Partial<LintOptions> = {}) => {
    const report = await lintedText(foreign(url), options)
    return [...report.findings.map(({ rule, level }) => `${level} ${rule}`), exitCode(report, { strict: false })]
  }

  expect(await outcome('https://pets.example/openapi.yaml')).toEqual(['warning not-run', 'warning effect-missing', 0])
  expect(await outcome('missing.yaml')).toEqual(['error FLOW_FILE', 'warning effect-missing', 2])
  expect(await outcome('missing.yaml', { structureOnly: true })).toEqual(['warning effect-missing', 0])
})

test('a flow of ours that cannot run has an error, unless just the structure is asked for', async () => {
  const flow = flowWith([{ context: '$response.body', type: 'regex', condition: '^(?=a)' }])
  const outcome = async (structureOnly: boolean) =>
    (await lintedText(flow, { structureOnly })).findings.map(({ rule, level }) => `${level} ${rule}`)

  expect(await outcome(false)).toEqual(['error not-run'])
  expect(await outcome(true)).toEqual(['warning not-run'])
})

test.each([
  ['FLOW_REFERENCE', '$response.body#/a == $inputs.unknown'],
  ['FLOW_EXPRESSION', '$response.body.a == 1 &&'],
  ['criterion-always-holds', '1 == 1'],
])('%s is only a warning where just the structure is asked for', async (rule, condition) => {
  const levels = async (structureOnly: boolean) =>
    (await lintedText(flowWith([{ condition }]), { structureOnly })).findings.map((one) => `${one.level} ${one.rule}`)

  expect(await levels(false)).toEqual([`error ${rule}`])
  expect(await levels(true)).toEqual([`warning ${rule}`])
})

test.each([
  ['simple', 'simple is the default: leave out the type'],
  ['regex', undefined],
  ['jsonpath', undefined],
])(
  'Arazzo 1.1 § Criterion Object context: type %s without one is refused, also where just the structure is asked for',
  async (type, hint) => {
    const criteria = [{ type, condition: '$statusCode == 200' }]
    const report = async (structureOnly: boolean) =>
      (await lintedText(flowWith(criteria), { structureOnly })).findings.filter(({ level }) => level === 'error')

    expect(await report(true)).toMatchObject([{ rule: 'arazzo-structure', hint }])
    expect(await report(false)).toHaveLength(1)
  },
)

test('Arazzo 1.1 § Workflow Object inputs: what is no JSON Schema is refused, also where just the structure is asked for', async () => {
  const flow = JSON.parse(flowWith([{ condition: '$statusCode == 200' }]))
  flow.workflows[0].inputs = { type: 'object', properties: { word: { type: 'string', required: true } } }
  const { findings } = await lintedText(JSON.stringify(flow), { structureOnly: true })

  const errors = findings.filter(({ level }) => level === 'error')
  expect(errors).toMatchObject([{ rule: 'FLOW_STRUCTURE', hint: 'write required: [word] beside "properties"' }])
})

const HOSTILE: Readonly<Record<string, () => string>> = {
  'an alias bomb': () =>
    [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...[...'bcdefghi'].map((name, index) => `${name}: &${name} [${`*${'abcdefgh'[index]}, `.repeat(9)}]`),
    ].join('\n'),
  'deep nesting': () => '['.repeat(100_000),
  'deep nesting in a payload': () =>
    flowWith([]).replace('successCriteria: []', `requestBody: { payload: ${'['.repeat(5_000)}${']'.repeat(5_000)} }`),
  'a text that is too large': () => `# ${'x'.repeat(5 * 1024 * 1024)}`,
  'a megabyte in one condition': () => flowWith([{ condition: `$statusCode == '${'x'.repeat(1024 * 1024)}'` }]),
  'a regular expression that explodes': () =>
    flowWith([{ context: '$response.body', type: 'regex', condition: '^(a+)+$(?=b)' }]),
  'names of the prototype': () => flowWith([{ condition: '$inputs.constructor == $steps.__proto__.outputs.toString' }]),
  'thousands of mistakes': () => flowWith(Array.from({ length: 4_000 }, () => ({ condition: 'true' }))),
  'thousands of large regular expressions': () =>
    flowWith(
      Array.from({ length: 300 }, (_, index) => ({
        context: '$response.body',
        type: 'regex',
        condition: `^((a{1,100}|b{3,99}){1,9}x${index})$`,
      })),
    ),
  'tens of thousands of steps': () =>
    flowWith([]).replace(
      '"steps":[',
      `"steps":[${Array.from({ length: 12_000 }, (_, index) => `{"stepId":"s${index}","operationId":"status","description":""},`).join('')}`,
    ),
  'thousands of workflows in a circle': () =>
    flowWith([]).replace(
      '"workflows":[',
      `"workflows":[${Array.from({ length: 2_000 }, (_, index) => `{"workflowId":"w${index}","x-dcr":{"effect":"read"},"dependsOn":["w${(index + 1) % 2_000}"],"steps":[{"stepId":"a","operationId":"status"}]},`).join('')}`,
    ),
  'thousands of names of thousands of others': () =>
    flowWith([]).replace(
      'successCriteria: []',
      `"outputs":{${Array.from({ length: 5_000 }, (_, index) => `"o${index}":"$steps.another${index}.outputs.x"`).join()}}`,
    ),
  'thousands of secrets': () =>
    flowWith(
      Array.from({ length: 4_000 }, (_, index) => ({ condition: '$statusCode == 1', password: `secret-${index}-` })),
    ),
}

test.each(Object.entries(HOSTILE))('%s is refused, briefly', async (_, made) => {
  const report = await lintedText(made())

  expect(exitCode(report, { strict: false })).toBe(2)
  expect(report.findings.length).toBeLessThanOrEqual(200)
  expect(printed(report).length).toBeLessThan(400_000)
  expect(printed(report)).not.toContain('secret-1-')
})

test('findings beyond those that are listed are counted', async () => {
  const report = await lintedText(
    flowWith(Array.from({ length: 300 }, (_, index) => ({ condition: `${index} == ${index}` }))),
  )

  expect([report.findings.length, [...report.beyond.values()]]).toEqual([200, [100]])
})

/** A flow of one step with these criteria, and nothing else that could be found. */
function flowWith(criteria: readonly object[]): string {
  return flowOfOneStep({ successCriteria: criteria }).replace('"successCriteria":[]', 'successCriteria: []')
}

async function lintedFlow(criteria: readonly object[]): Promise<LintReport> {
  return await lintedText(flowWith(criteria))
}

async function lintedText(text: string, options: Partial<LintOptions> = {}): Promise<LintReport> {
  await writeFile(join(folder, 'made.yaml'), text)
  return await lint({ paths: ['made.yaml'], folders: [folder], effectOf: plannedEffect, ...options })
}

async function linted(name: string): Promise<LintReport> {
  return await lint({ paths: [name], folders: [folder], effectOf: plannedEffect })
}

/** As the command line prints it in the folder of the samples. */
function printed({ findings, sources }: LintReport): string {
  return findings
    .map(({ rule, ...finding }) => render({ code: rule, ...finding }, finding.at && sources.get(finding.at.file)))
    .join('\n\n')
    .replaceAll(`${folder}/`, '')
}
