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

test('a package outside a repository has no commit, and no operator is named unless a variable for it is set', async () => {
  const { tool, origin } = await provenanceOf(folder, { USER: 'somebody' })

  expect(JSON.parse(JSON.stringify({ tool, origin }))).toEqual({ tool: {}, origin: {} })
})

test('the lockfile is named by its hash', async () => {
  await writeFile(join(folder, 'package-lock.json'), '{}')

  const { tool } = await provenanceOf(folder, {})

  expect(tool.lockfileSha256).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
})

test('operator and job are read from the variables of a CI system', async () => {
  const github = {
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'a/b',
    GITHUB_RUN_ID: '7',
    GITHUB_ACTOR: 'octo',
  }
  const gitlab = {
    CI_JOB_URL: 'https://gitlab.example/jobs/1',
    CI_JOB_IMAGE: 'node@sha256:0123',
    GITLAB_USER_LOGIN: 'tanuki',
    THREDD_REFERENCE: 'CHG-1',
    THREDD_SUPERSEDES: '01a2',
  }

  expect((await provenanceOf(folder, github)).origin).toMatchObject({
    operator: 'octo',
    job: 'https://github.com/a/b/actions/runs/7',
  })
  expect((await provenanceOf(folder, gitlab)).origin).toEqual({
    operator: 'tanuki',
    reference: 'CHG-1',
    supersedes: '01a2',
    image: 'node@sha256:0123',
    job: 'https://gitlab.example/jobs/1',
  })
  expect((await provenanceOf(folder, { ...gitlab, THREDD_OPERATOR: 'me' })).origin.operator).toBe('me')
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
