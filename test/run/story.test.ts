/** What `thredd show` tells of a flow: calls of parts in their place, and in words where each value comes from. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { writeDetails } from '../../src/front/cli/show.ts'
import { detailsOf, type WorkflowDetails } from '../../src/run/overview.ts'
import type { StepDetails } from '../../src/run/story.ts'
import { expectGolden } from '../support/golden.ts'
import { ROOT } from '../support/run.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-story-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function detailsFor(flow: string, more: Readonly<Record<string, string>> = {}): Promise<WorkflowDetails> {
  const variables = Object.fromEntries(Object.entries(more).map(([name, value]) => [`THREDD_${name}`, value]))
  const [details] = await detailsOf({
    selection: { flows: [flow], folders: [ROOT] },
    // The environment of the repository, without what a developer has set beside it.
    environment: await loadEnvironment({ env: join(ROOT, '.env.mock'), folder, variables }),
    inputs: new Map([['scope', 'pin.read']]),
    twinFolder: join(folder, 'pki'),
  })
  if (details === undefined) throw new Error('nothing was found')
  return details
}

test.each(['register', 'lifecycle'])('the story of %s is exactly this', async (flow) => {
  let text = ''
  writeDetails([await detailsFor(flow)], {
    write: (line) => (text += line),
    stream: new PassThrough(),
    here: ROOT.replace(/\/$/, ''),
  })

  expectGolden(text, `list/show-${flow}.txt`)
})

const rowsOf = (steps: readonly StepDetails[]): Record<string, string> =>
  Object.fromEntries(
    steps.flatMap((step) => [
      ...step.sends.flatMap(({ as, rows }) => rows.map(({ name, value }) => [`${step.number} ${as} ${name}`, value])),
      ...step.outputs.map(({ name, value }) => [`${step.number} sets ${name}`, value]),
      ...Object.entries(rowsOf(step.steps)),
    ]),
  )

test('words say the source of a value: a file, a variable, the command line, the vault, a certificate, another step', async () => {
  const rotated = rowsOf(
    (await detailsFor('register', { DIRECTORY_AUTH_METHOD: 'private_key_jwt', ORG_ID: 'ours' })).steps,
  )
  expect(rotated).toMatchObject({
    '3.1 form client_assertion':
      'a fresh client assertion, signed with PS256 for https://matls-auth.directory.sandbox.threddid.com/token',
    '3.2 path organisation_id': 'THREDD_ORG_ID',
    '3.2 headers Authorization': 'Bearer <access_token of step 3.1 directory-token>',
    '3 sets software_statement': 'software_statement that it returns',
  })
  const { steps } = await detailsFor('access-token')
  expect(rowsOf(steps)).toMatchObject({
    '1 headers Authorization': 'Bearer <registration_access_token from the vault>',
    '4 form scope': '--input scope',
    '6 headers X-Region': '0 (default of input x_region)',
  })
  expect(steps[0]?.url).toBe('registration_client_uri from the vault')
  expect(steps[2]?.criteria.at(-1)?.words).toBe(
    'cnf.x5t#S256 of the answer is exactly the thumbprint of the transport certificate',
  )
})

test('what a step passes to a workflow stands where that workflow reads it', async () => {
  const file = join(folder, 'passing.arazzo.yaml')
  await writeFile(
    file,
    `arazzo: 1.1.0
info: { title: Passing, version: 1.0.0 }
sourceDescriptions:
  - { name: ssa, url: '${join(ROOT, 'flows/parts/software-statement.arazzo.yaml')}', type: arazzo }
workflows:
  - workflowId: passing
    x-dcr: { effect: read }
    inputs: { type: object, properties: { theirs: { type: string, default: somebody } } }
    steps:
      - stepId: a
        workflowId: $sourceDescriptions.ssa.software-statement
        parameters: [{ name: org_id, value: $inputs.theirs }]
        onFailure: [{ name: again, type: retry, retryAfter: 2, retryLimit: 3, criteria: [{ condition: $inputs.theirs != 'me' }] }]
`,
  )
  const { steps } = await detailsFor(file)

  expect(rowsOf(steps)).toMatchObject({
    '1 passes org_id': 'somebody (default of input theirs)',
    '1.2 path organisation_id': 'somebody (default of input theirs)',
  })
  expect(steps[0]?.next).toEqual([
    'on failure, if input theirs (somebody by default) is not me, tried again after 2 s, at most 3 times',
  ])
})
