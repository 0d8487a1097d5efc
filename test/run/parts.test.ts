/** A part that flows share is never met alone, and nothing that is true of a flow is lost because a part of it is shared. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeField } from '../../mocks/index.ts'
import { loadEnvironment } from '../../src/environment/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import { lint } from '../../src/flow/lint/index.ts'
import { flowProjects } from '../../src/front/vitest/index.ts'
import { moduleOf } from '../../src/front/vitest/module.ts'
import { classObjections } from '../../src/guard/confirmation.ts'
import { plannedEffect } from '../../src/plan/effect.ts'
import { summarise } from '../../src/report/summary.ts'
import { detailsOf } from '../../src/run/overview.ts'
import { choose } from '../../src/run/selection.ts'
import { ROOT, runOnTwin, stepOf, workflowOf } from '../support/run.ts'

const PART = 'flows/parts/software-statement.arazzo.yaml'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-parts-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('without names no part is chosen; by its path it is refused with the flows that run it', async () => {
  const all = await choose({ flows: [], folders: [ROOT] })
  const one = choose({ flows: [PART], folders: [ROOT] })

  expect(all.filter(({ flow }) => flow.file.includes('parts'))).toEqual([])
  await expect(one).rejects.toMatchObject({
    problems: [
      {
        code: 'USAGE',
        message: `"${join(ROOT, PART)}" is a part that flows share, and is not run alone`,
        hint: expect.stringMatching(
          /^run a flow that uses it: add-role-then-put, .*register-with-role, register, scope-beyond-role$/,
        ),
      },
    ],
  })
})

test('a part is linted as a document, and its tests are those of the flows that run it', async () => {
  const { files, findings } = await lint({ paths: [], folders: [ROOT], effectOf: plannedEffect })
  expect(files).toContain(join(ROOT, PART))
  expect(findings).toEqual([])

  expect(flowProjects().map(({ test: project }) => project?.exclude?.includes('**/parts/*.arazzo.yaml'))).not.toContain(
    false,
  )
  const file = join(ROOT, 'flows/register.arazzo.yaml')
  const settings = {
    file,
    folder: ROOT,
    root: ROOT,
    environment: 'mock',
    isNamed: false,
    version: '0',
    provenance: undefined,
  }
  const { code, files: watched } = await moduleOf(settings, 'self')
  const tests = [...code.matchAll(/test\("([^"]+)"/g)].map(([, name]) => name)
  expect(tests.slice(2, 6)).toEqual([
    'software-statement/directory-token',
    'software-statement/statement',
    'software-statement',
    'register',
  ])
  const line = (await readFile(file, 'utf8'))
    .split('\n')
    .findIndex((text) => text.includes('stepId: software-statement'))
  expect(code.split('\n')[line]?.match(/test\(/g)).toHaveLength(3)
  expect(watched).toContain(join(ROOT, PART))
})

test('what a part needs is what the flow needs', async () => {
  // A vault of its own: that of the clone may be of another version.
  const variables = { THREDD_VAULT_DIR: join(folder, 'vault') }
  const environment = await loadEnvironment({ env: 'mock', folder: ROOT, variables })
  const [details] = await detailsOf({
    selection: { flows: ['scope-beyond-role'], folders: [ROOT] },
    environment,
    inputs: new Map([['org_id', 'ours']]),
    twinFolder: join(folder, 'pki'),
  })

  expect(details).toMatchObject({ settings: ['CLIENT_ID', 'ORG_ID', 'SOFTWARE_ID'], signs: false, ready: true })
  expect(details?.inputs.find(({ name }) => name === 'org_id')).toMatchObject({ source: '--input', value: 'ours' })
})

test('the record has the inputs and the hash of a part, and its checks decide requirements', async () => {
  await using ran = await runOnTwin()
  const { inputs, flow } = workflowOf(ran.record)
  const part = await readFlow(join(ROOT, PART))

  expect(inputs.find(({ name }) => name === 'org_id')).toMatchObject({ source: '.env.mock' })
  expect(flow.parts).toEqual([{ file: PART, sha256: part.sha256 }])
  expect(ran.record.leftOut).not.toContain(basename(PART))
  const { requirements } = summarise(ran.finished.head, ran.finished.workflows)
  const decided = requirements.find(({ requirement }) => requirement.id === 'THREDD-DCR-3.3.2-10')
  expect(decided).toMatchObject({
    standing: 'pass',
    steps: { first: [{ stepId: 'software-statement/directory-token' }, { stepId: 'software-statement/statement' }] },
  })
})

test('what is wrong within a part is one finding, at the call where it went wrong', async () => {
  await using ran = await runOnTwin({ faults: [changeField('directoryToken', '/token_type', 'DPoP')] })

  const { findings, findingCounts, checkCounts } = summarise(ran.finished.head, ran.finished.workflows)
  expect(stepOf(ran.record, 'software-statement').status).toBe('failed')
  expect(findings.map(({ step, title }) => `${step?.stepId}: ${title}`)).toEqual([
    'software-statement/directory-token: token_type: expected Bearer, got DPoP',
  ])
  expect([findingCounts.fail, checkCounts.fail]).toEqual([1, 3])
})

test('a safety class of what a flow runs counts as one of the flow', async () => {
  await mkdir(join(folder, 'parts'))
  const document = (workflow: string, sources = '') => `arazzo: 1.1.0
info: { title: Guarded, version: 1.0.0 }
sourceDescriptions:
  - { name: directory, url: '${join(ROOT, 'flows/apis/directory.openapi.yaml')}', type: openapi }
${sources}workflows:
${workflow}`
  const part = `  - workflowId: part
    x-dcr: { effect: read, safety: X }
    steps: [{ stepId: a, operationId: $sourceDescriptions.directory.directoryDiscovery }]
`
  const own = `  - workflowId: own
    x-dcr: { effect: read, safety: A }
    steps: [{ stepId: b, workflowId: $sourceDescriptions.other.part }]
`
  await writeFile(join(folder, 'parts/part.arazzo.yaml'), document(part))
  await writeFile(
    join(folder, 'own.arazzo.yaml'),
    document(own, '  - { name: other, url: parts/part.arazzo.yaml, type: arazzo }\n'),
  )
  await writeFile(join(folder, '.env.uat'), 'ENV_CLASS=uat\n')
  const environment = await loadEnvironment({ env: 'uat', folder, variables: {} })
  const flow = await readFlow(join(folder, 'own.arazzo.yaml'))
  const [workflow] = flow.workflows
  if (workflow === undefined) throw new Error('no workflow')

  const said = classObjections([{ flow, workflow }], { environment })

  expect(said.map(({ message }) => message)).toEqual([
    '"own" is of safety class X: it runs on the offline twin alone; nothing was sent',
  ])
})
