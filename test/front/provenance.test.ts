/** The provenance in a record: the tool, who ran it, and what was left out of the run. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { provenanceOf } from '../../src/front/provenance.ts'
import { leftOut, select } from '../../src/run/selection.ts'
import { ROOT } from '../support/run.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-provenance-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test('a package outside a repository has no commit, and no operator is named where neither variable nor account names one', async () => {
  const { tool, origin } = await provenanceOf(folder, { USER: 'somebody' })

  expect(JSON.parse(JSON.stringify({ tool, origin }))).toEqual({ tool: {}, origin: {} })
})

test('the lockfile is named by its hash', async () => {
  await writeFile(join(folder, 'package-lock.json'), '{}')

  const { tool } = await provenanceOf(folder, {})

  expect(tool.lockfileSha256).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
})

/** The variables of each CI system, and what a report then says. */
const CI: readonly (readonly [system: string, variables: Readonly<Record<string, string>>, origin: object])[] = [
  [
    'GitHub',
    {
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'a/b',
      GITHUB_RUN_ID: '7',
      GITHUB_ACTOR: 'octo',
    },
    { operator: 'octo', job: 'https://github.com/a/b/actions/runs/7' },
  ],
  [
    'GitLab',
    { CI_JOB_URL: 'https://gitlab.example/jobs/1', CI_JOB_IMAGE: 'node@sha256:0123', GITLAB_USER_LOGIN: 'tanuki' },
    { operator: 'tanuki', job: 'https://gitlab.example/jobs/1', image: 'node@sha256:0123' },
  ],
  [
    'Jenkins',
    { BUILD_URL: 'https://jenkins.example/job/dcr/7/', BUILD_USER_ID: 'butler' },
    { operator: 'butler', job: 'https://jenkins.example/job/dcr/7/' },
  ],
  [
    'Jenkins without the plugin that knows the user',
    { BUILD_URL: 'https://jenkins.example/job/dcr/7/' },
    { operator: 'account', job: 'https://jenkins.example/job/dcr/7/' },
  ],
  [
    'Azure Pipelines',
    {
      SYSTEM_COLLECTIONURI: 'https://dev.azure.com/cards/',
      SYSTEM_TEAMPROJECT: 'OAuth clients',
      BUILD_BUILDID: '42',
      BUILD_REQUESTEDFOR: 'Release manager',
    },
    { operator: 'Release manager', job: 'https://dev.azure.com/cards/OAuth%20clients/_build/results?buildId=42' },
  ],
  ['a terminal', {}, { operator: 'account' }],
  [
    'variables that are empty, as in a job without them',
    { GITHUB_ACTOR: '', BUILD_URL: '', THREDD_REFERENCE: '' },
    { operator: 'account' },
  ],
]

test.for(CI)('on %s the report names operator and job', async ([, variables, expected]) => {
  const { origin } = await provenanceOf(folder, variables, { account: 'account' })

  expect(JSON.parse(JSON.stringify(origin))).toEqual(expected)
})

test('what a person says of a run comes before what its variables say', async () => {
  const variables = {
    GITHUB_ACTOR: 'octo',
    THREDD_OPERATOR: 'me',
    THREDD_REFERENCE: 'CHG-1',
    THREDD_SUPERSEDES: '01a2',
  }

  const said = await provenanceOf(folder, variables, { ticket: 'CHG-2', account: 'account' })
  const { origin } = await provenanceOf(folder, variables)

  expect(said.origin).toMatchObject({ operator: 'me', reference: 'CHG-2', supersedes: '01a2' })
  expect(origin.reference).toBe('CHG-1')
})

/** A choice, and what it leaves out. */
const FILTERS: readonly (readonly [
  title: string,
  filter: { flows: string[]; workflow?: string; step?: string },
  left: RegExp,
])[] = [
  ['everything', { flows: [] }, /^$/],
  [
    'one flow of several',
    { flows: ['register'] },
    /^access-token, .*, lifecycle, (?!.*\bregister,).*wait-for-metadata$/,
  ],
  [
    'one step with those it needs',
    { flows: ['register'], step: 'software-statement' },
    /register \/ register \/ metadata$/,
  ],
]

test.for(FILTERS)('the record of a run of %s lists what was left out', async ([, filter, left]) => {
  const environment = await loadEnvironment({ env: 'mock', folder: ROOT, variables: {} })
  const options = { folders: [ROOT], ...filter }

  expect((await leftOut((await select(options, environment)).selection, options)).join(', ')).toMatch(left)
})
