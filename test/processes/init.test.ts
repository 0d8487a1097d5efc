/** `thredd init` in a project that depends on the package: what it makes, what it leaves alone, and that what it made runs. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Cli, type Ended, ROOT } from '../support/cli.ts'
import { installPacked, projectWith } from '../support/project.ts'

const MADE = ['flows/README.md', 'flows/ready-to-register.arazzo.yaml', 'vitest.config.mts']

test('it makes a flow and a configuration whose tests pass on the twin, and nothing is written below node_modules', async () => {
  await using project = await projectWith({}, installPacked)
  const before = modulesOf(project)

  const shown = await thredd(project, ['init', '--dry-run'])
  expect(MADE.filter((file) => shown.stdout.includes(`${file}\n`))).toEqual(MADE)
  expect(readdirSync(project.folder).sort()).toEqual(['node_modules', 'package.json'])
  const first = await thredd(project, ['init'])
  expect([first.stderr, first.code]).toEqual(['', 0])
  expect(first.stdout.replaceAll(/\d+ to mend, 0 of \d+/g, 'N to mend, 0 of N')).toBe(FIRST)
  const texts = () => MADE.map((file) => readFileSync(join(project.folder, file), 'utf8'))
  const [, , configuration] = texts()
  expect(readFileSync(join(ROOT, 'docs/testing.md'), 'utf8')).toContain(configuration)

  const vitest = await project.run(['run'], { launcher: join(project.folder, 'node_modules/vitest/vitest.mjs') })
  expect([vitest.stderr, vitest.code]).toEqual(['', 0])
  const ran = await thredd(project, ['run', 'register', '--env', 'mock'])
  expect(ran.code).toBe(0)
  const listed = await thredd(project, ['list', '--env', 'mock'])
  expect(listed.stdout).toMatch(/^✓ ready-to-register /m)
  expect(listed.stdout).toMatch(/^✓ register /m)
  const linted = await thredd(project, ['lint'])
  expect([linted.stdout, linted.code]).toEqual(['1 file: nothing found\n', 0])
  expect(modulesOf(project)).toEqual(before)

  await project.write('flows/README.md', 'mine\n')
  await project.write(
    'flows/ready-to-register.arazzo.yaml',
    texts()[1]?.replace('Is everything', 'Mine: is everything') ?? '',
  )
  const kept = texts()
  const again = await thredd(project, ['init', '--set', 'ORG_ID=o-1'])
  expect([again.code, texts()]).toEqual([0, kept])
  expect(again.stdout.split('\n')[0]).toBe('.env.uat.local')
})

test('a configuration of the project stays, and what to add to it is said until it is there', async () => {
  const own = "export default { test: { include: ['mine/*.test.ts'] } }\n"
  await using project = await projectWith(
    { 'vite.config.js': own, 'flows/mine.arazzo.yaml': 'arazzo: 1.1.0\n' },
    installPacked,
  )

  const said = await thredd(project, ['init'])
  await project.write('vite.config.js', `import { flowProjects } from 'thredd-dcr/vitest'\n${own}`)
  const then = await thredd(project, ['init'])

  expect(said.code).toBe(0)
  expect(said.stdout).toContain('vite.config.js stays as it is; to run flows as tests add to it:\n')
  expect(readdirSync(join(project.folder, 'flows'))).toEqual(['mine.arazzo.yaml'])
  expect(readdirSync(project.folder)).not.toContain('vitest.config.mts')
  expect(then.stdout).not.toContain('stays as it is')
})

test('settings that contradict each other are written and said, and the exit code is that of the writing', async () => {
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(['init', '--set', 'TRANSPORT_CERT_FILE=client.crt'])

  expect([stderr, code]).toEqual(['', 0])
  expect(stdout).toContain(
    'environment uat: 1 to mend\n  files: .env.uat.local:3: identity "transport" needs one certificate with its key',
  )
  // A folder that is no project of the package gets its settings alone.
  expect(readdirSync(cli.folder).sort()).toEqual(['.env.uat.local', '.gitignore'])
})

const FIRST = `.gitignore
.env.uat.local
flows/ready-to-register.arazzo.yaml
flows/README.md
vitest.config.mts
to be filled in, in .env.uat.local: CLIENT_ID, ORG_ID, SOFTWARE_ID, ROLES, TRANSPORT_CERT_FILE, TRANSPORT_KEY_FILE, SIGNING_KID, SIGNING_KEY_FILE
environment uat: N to mend, 0 of N workflows ready
  transport: no certificate for mutual TLS is configured
  signing: SIGNING_KEY_FILE, SIGNING_KID are not set
next: npx thredd run register --env mock
next: npx vitest run
next: npx thredd doctor --env uat
`

async function thredd(project: Cli, args: readonly string[]): Promise<Ended> {
  return await project.run(args, { launcher: join(project.folder, 'node_modules/thredd-dcr/bin/thredd.js') })
}

/** Every file of the package with its size and time. */
function modulesOf({ folder }: Cli): readonly string[] {
  const root = join(folder, 'node_modules', 'thredd-dcr')
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => [name, statSync(join(root, name))] as const)
    .filter(([, facts]) => facts.isFile())
    .map(([name, { size, mtimeMs }]) => `${name} ${size} ${mtimeMs}`)
    .sort()
}
