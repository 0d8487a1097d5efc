/** What lies where a command reads or writes may be a pipe, a device or a link: nothing hangs, and nothing follows a link. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Cli, type Ended, ROOT } from '../support/cli.ts'

const onLinux = test.skipIf(process.platform !== 'linux')

/** A folder with a pipe, an endless device under the name of an archive, and a folder. */
async function odd(): Promise<Cli> {
  const cli = await Cli.make({})
  onTestFinished(() => cli[Symbol.asyncDispose]())
  execFileSync('mkfifo', [join(cli.folder, 'pipe')])
  await symlink('/dev/zero', join(cli.folder, 'endless.zip'))
  await mkdir(join(cli.folder, 'folder'))
  return cli
}

/** A command that hangs fails here and does not outlive the test. */
async function within(cli: Cli, ...args: string[]): Promise<Ended> {
  const running = cli.start(args)
  const limit = setTimeout(() => running.process.kill('SIGKILL'), 60_000)
  try {
    return await running.ended
  } finally {
    clearTimeout(limit)
  }
}

/** Each way by which a command line names a file. */
const READING: readonly (readonly string[])[] = [
  ['vault', 'import', '<file>'],
  ['vault', 'import', 'clients.jwe', '--passphrase-file', '<file>'],
  ['run', 'register', '--env', './<file>'],
  ['lint', '<file>'],
  ['verify', '<file>'],
  ['mock', '--port', '0', '--seed', '<file>'],
  ['mock', '--port', '0', '--switches', '<file>'],
  ['mock', '--port', '0', '--state', '<file>'],
]

onLinux.for(READING)('thredd %s %s %s %s: a pipe and a device are refused in words', async (args) => {
  const cli = await odd()
  // An export of this tool, so that its passphrase is asked for.
  await cli.write('clients.jwe', `${['eyJhbGciOiJQQkVTMi1IUzI1NitBMjU2S1cifQ', 'a', 'b', 'c', 'd'].join('.')}\n`)

  for (const [name, said] of [
    ['pipe', /it is a pipe, not a file|"pipe" is no file/],
    ['endless.zip', /it is a device, not a file|"endless.zip" is no file/],
  ] as const) {
    const { code, stdout, stderr } = await within(cli, ...args.map((word) => word.replace('<file>', name)))
    expect(stdout + stderr).toMatch(said)
    expect(code).toBe(args.includes('--state') ? 3 : 2)
  }
})

onLinux('a pipe among the flows, as package.json or as an environment holds nothing up', async () => {
  const cli = await odd()
  await mkdir(join(cli.folder, 'flows'))
  for (const name of ['package.json', 'flows/notes.yaml']) execFileSync('mkfifo', [join(cli.folder, name)])
  await cli.write(
    'flows/one.arazzo.yaml',
    (await readFile(join(ROOT, 'flows/discover.arazzo.yaml'), 'utf8')).replaceAll(
      'url: apis/',
      `url: ${ROOT}flows/apis/`,
    ),
  )

  expect((await within(cli, 'lint', 'flows')).code).toBe(0)
  expect(await within(cli, 'list')).toMatchObject({ code: 0, stderr: '' })
  execFileSync('mkfifo', [join(cli.folder, '.env.mock')])
  expect((await within(cli, 'list')).stderr).toContain('".env.mock" cannot be read: it is a pipe, not a file')
})

test('reports, packs and exports are not written where a link leads', async () => {
  const cli = await odd()
  const victim = join(cli.folder, 'victim')
  await writeFile(victim, 'untouched')
  expect((await cli.run(['run', 'register'])).code).toBe(0)
  const [run = ''] = (await readdir(join(cli.folder, 'reports'))).filter((name) => name !== 'latest')
  const links = [
    'out.env',
    'pack',
    'pack.zip',
    'pack.zip.part',
    'report.key',
    `reports/${run}/report.html`,
    `reports/${run}/report.html.part`,
    'reports/index.html',
  ]
  for (const link of links) {
    await rm(join(cli.folder, link), { force: true })
    await symlink(victim, join(cli.folder, link))
  }

  const ended = [
    await cli.run(['vault', 'export', '--format', 'dotenv', '--reveal', '--out', 'out.env']),
    await cli.run(['report', '--pack', 'pack']),
    await cli.run(['report', '--pack', 'pack.zip']),
    await cli.run(['report', '--pack', 'other', '--key', 'report.key']),
    await cli.run(['report', run, '--format', 'html']),
    await cli.run(['report', '--index']),
  ]

  expect(await readFile(victim, 'utf8')).toBe('untouched')
  expect(ended.map(({ code }) => code)).toEqual([2, 3, 3, 2, 0, 0])
  expect(ended[0]?.stderr).toContain('file "out.env" cannot be written: it exists')
  expect((await lstat(join(cli.folder, 'reports', run, 'report.html'))).isFile()).toBe(true)
})

test('latest is replaced where it leads elsewhere, and a vault that is a link is not used', async () => {
  const cli = await odd()
  await mkdir(join(cli.folder, 'reports'))
  await symlink(join(cli.folder, 'folder'), join(cli.folder, 'reports/latest'))
  expect((await cli.run(['run', 'discover'])).code).toBe(0)
  expect((await cli.record()).workflows.map(({ workflowId }) => workflowId)).toEqual(['discover'])
  expect(await readdir(join(cli.folder, 'folder'))).toEqual([])

  await rm(join(cli.folder, 'vault/mock.log'))
  const victim = join(cli.folder, 'victim')
  await writeFile(victim, '')
  await symlink(victim, join(cli.folder, 'vault/mock.log'))
  const { code, stderr } = await cli.run(['run', 'register'])

  expect(await readFile(victim, 'utf8')).toBe('')
  expect(code).not.toBe(0)
  expect(stderr).toContain('a symbolic link, which is not followed')
})

test('the files of the twin replace the links that lie in their place', async () => {
  const cli = await odd()
  const victim = join(cli.folder, 'victim')
  await writeFile(victim, 'untouched')
  await mkdir(join(cli.folder, 'twin'))
  const names = [
    '.gitignore',
    '.env.twin',
    '..env.twin.tmp',
    'curl.sh',
    '.curl.sh.tmp',
    'twin.postman_environment.json',
  ]
  for (const name of [...names, 'state.json']) await symlink(victim, join(cli.folder, 'twin', name))
  const twin = cli.start(['mock', '--port', '0', '--out', 'twin'])
  const limit = setTimeout(() => twin.process.kill('SIGKILL'), 60_000)
  await new Promise<void>((resolve) => {
    let said = ''
    twin.process.stdout.on('data', (text: string) => {
      said += text
      if (said.includes('run flows against it with')) resolve()
    })
    twin.process.once('close', () => resolve())
  })
  clearTimeout(limit)
  twin.process.kill('SIGTERM')
  await once(twin.process, 'close').catch(() => undefined)

  expect((await twin.ended).code).toBe(0)
  expect(await readFile(victim, 'utf8')).toBe('untouched')
  for (const name of ['.gitignore', '.env.twin', 'curl.sh', 'twin.postman_environment.json'])
    expect((await lstat(join(cli.folder, 'twin', name))).isFile(), name).toBe(true)
})
