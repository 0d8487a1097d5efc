/** The user's files belong to the user's project: where it is looked for, and where nothing is ever put. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { installedFolder, projectFolder } from '../../src/environment/project.ts'

let base: string
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'thredd-project-'))
})
afterAll(() => rm(base, { recursive: true, force: true }))

const OURS = JSON.stringify({ name: 'thredd-dcr' })
const DEPENDS = JSON.stringify({ devDependencies: { 'thredd-dcr': '1.0.0' } })

test.each<[what: string, files: Record<string, string>, start: string, project: string]>([
  ['a clone of this package', { 'package.json': OURS }, 'flows', '.'],
  ['a project that depends on this package', { 'package.json': DEPENDS }, 'a/b/c', '.'],
  ['the nearest of two', { 'package.json': DEPENDS, 'a/package.json': DEPENDS }, 'a/b', 'a'],
  ['a folder with a vault', { '.vault/uat/log': '' }, 'a/b', '.'],
  ['another project: the current folder', { 'package.json': '{"dependencies":{"other":"1"}}' }, 'a', 'a'],
  ['a package.json that is no JSON: the current folder', { 'package.json': '{' }, 'a', 'a'],
  ['a package.json that is a list: the current folder', { 'package.json': '[]' }, 'a', 'a'],
  ['nothing above the root of a repository', { 'package.json': DEPENDS, 'repo/.git/HEAD': '' }, 'repo/a', 'repo/a'],
  ['the root of a repository itself', { 'repo/package.json': DEPENDS, 'repo/.git/HEAD': '' }, 'repo/a', 'repo'],
  ['nothing in the home folder', { 'home/.vault/uat/log': '' }, 'home/a', 'home/a'],
  [
    'never a folder inside node_modules',
    { 'package.json': DEPENDS, 'node_modules/thredd-dcr/package.json': OURS },
    'node_modules/thredd-dcr/flows',
    '.',
  ],
])('the project is %s', async (what, files, start, project) => {
  const folder = join(base, what.replaceAll(/\W+/g, '-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  await mkdir(join(folder, start), { recursive: true })

  expect(projectFolder(join(folder, start), { home: join(folder, 'home') })).toBe(join(folder, project))
})

test.each([
  ['by its name', 'uat'],
  ['by its path', 'node_modules/thredd-dcr/.env.uat'],
])('an environment of the package, named %s, has its secrets, files and vault in the project', async (_, env) => {
  const folder = await mkdtemp(join(base, 'installed-'))
  const root = join(folder, 'node_modules/thredd-dcr')
  await mkdir(root, { recursive: true })
  await writeFile(join(root, '.env.uat'), 'ENV_CLASS=uat\nCA_FILE=pki/ca.crt\n')
  await writeFile(join(root, '.env.uat.local'), 'ORG_ID=of-the-package\n')
  await writeFile(join(folder, '.env.uat.local'), 'CLIENT_ID=of-the-project\n')

  const environment = await loadEnvironment({ env, folder, fallback: root, variables: {} })

  expect(environment.setting('client_id')?.value).toBe('of-the-project')
  expect(environment.setting('org_id')?.value).toBeUndefined()
  expect(environment.ca).toBe(join(folder, 'pki/ca.crt'))
  expect(environment.vault.folder).toBe(join(folder, '.vault/uat'))
  expect(environment.localFile).toBe(join(folder, '.env.uat.local'))
})

test('a package is found in the project and, as a workspace has it, above', async () => {
  const folder = join(base, 'workspace')
  for (const name of ['node_modules/vitest', 'node_modules/thredd-dcr', 'packages/a/node_modules/vitest']) {
    await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, name, 'package.json'), '{}')
  }

  expect(installedFolder(join(folder, 'packages/a'))).toBe(join(folder, 'node_modules/thredd-dcr'))
  expect(installedFolder(join(folder, 'packages/a'), 'vitest')).toBe(join(folder, 'packages/a/node_modules/vitest'))
  expect(installedFolder(join(folder, 'packages/b'), 'vitest')).toBe(join(folder, 'node_modules/vitest'))
  expect(installedFolder(join(folder, 'packages/a'), 'no-such-package')).toBeUndefined()
})
