/** The command line from outside: exact output and exit code of real processes. */

import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cp, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import type { Pki } from '../../mocks/index.ts'
import { Cli, ROOT } from '../support/cli.ts'
import { expectGolden, stable } from '../support/golden.ts'
import { type HttpsTestServer, startHttps } from '../support/servers.ts'
import { sharedPki } from '../support/twin.ts'

/** The program of util-linux that runs a command at a terminal. */
const SCRIPT = ['script'].join()

let pki: Pki
/** A server on this machine that our client trusts by `ca`, and that answers only to /clients. */
let server: HttpsTestServer
let ca: string

beforeAll(async () => {
  pki = await sharedPki()
  const day = 86_400_000
  const [from, to] = [new Date(Date.now() - day), new Date(Date.now() + day)]
  const authority = await createAuthority('CN=Test CA', from, to)
  const { certificate, key } = await authority.issue({
    subject: 'CN=localhost',
    use: 'server',
    notBefore: from,
    notAfter: to,
    hosts: ['localhost'],
  })
  ca = authority.certificate
  server = await startHttps({ cert: certificate, key }, ({ path }, response) => {
    if (path === '/status') response.end()
  })
})
afterAll(() => server[Symbol.asyncDispose]())

test.each([
  ['help', ['--help']],
  ['help', ['-h']],
  ['help', ['help']],
  ['help', []],
  ['help-run', ['run', '--help']],
  ['help-run', ['run', 'register', '-h', '--env', 'prod']],
  ['help-run', ['help', 'run']],
])('%s is what "thredd %j" prints', async (name, args) => {
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(args)

  expect([stderr, code]).toEqual(['', 0])
  expectGolden(stdout.replace(await version(), '<version>'), `cli/${name}.txt`)
})

test.each([[['--version']], [['-V']], [['version']]])('thredd %j prints the version and nothing else', async (args) => {
  await using cli = await Cli.make()

  expect(await cli.run(args)).toEqual({ stdout: `${await version()}\n`, stderr: '', code: 0 })
})

const MISTAKES: readonly (readonly string[])[] = [
  ['rnu'],
  ['deploy'],
  ['help', 'rnu'],
  ['--env', 'uat', 'run'],
  ['run', '--evn', 'uat'],
  ['run', '--colour'],
  ['run', '-x'],
  ['run', 'register', '--env'],
  ['run', 'register', '--env='],
  ['run', '--env', '--input', 'a=b'],
  ['run', '--help=yes'],
  ['run', 'register', '--input', 'canary-secret'],
  ['run', 'register', '--input', 'a=b', '--input', '=canary-secret'],
  ['run', 'register', '--server', 'cards'],
  ['run', 'register', '--server', 'cards=http://cards.example'],
  ['run', 'register', '--server', 'card=https://cards.example'],
  ['run', 'register', '--input', 'org=1'],
  ['run', 'regsiter'],
  ['run', 'something-else'],
  ['run', './missing.arazzo.yaml'],
  ['run', 'register', '--workflow', 'regsiter'],
  ['run', 'register', '--env', 'utz'],
  ['run', 'register', '--env', './missing.env'],
]

test('each mistake on the command line gives one message and exit code 2, and nothing else happens', async () => {
  await using cli = await Cli.make({ '.env.uat': 'ENV_CLASS=uat' })

  const said: string[] = []
  for (const args of MISTAKES) {
    const { stdout, stderr, code } = await cli.run(args)
    expect({ args, stdout, code }).toEqual({ args, stdout: '', code: 2 })
    said.push(`$ thredd ${args.join(' ')}\n${stderr}`)
  }

  const text = said.join('\n')
  expect(text.replaceAll(/^\$.*$/gm, '')).not.toContain('canary')
  expectGolden(stable(text, { folder: cli.folder }), 'cli/mistakes.txt')
  expect(await cli.record().catch((error) => error.code)).toBe('ENOENT')
})

test('the registration on the offline twin shows every step and ends with 0', async () => {
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(['run', 'register'])

  expect([stderr, code]).toEqual(['', 0])
  expectGolden(stable(withoutFirstUse(stdout), { folder: cli.folder }), 'cli/run-register.txt')
  const { verdict, workflows } = await cli.record()
  expect([verdict, workflows.map(({ status }) => status)]).toEqual(['conformant', ['passed']])
  expect(stdout).toContain('reports/')
  expect(stdout).not.toMatch(/eyJ[\w-]{20}/)
})

test('run without names runs everything on the twin', async () => {
  await using cli = await Cli.make({ ...(await ownFlow('alive', [])), ...(await ownFlow('read', [])) })
  await cli.write('.env.mock', local())

  const { stdout, code } = await cli.run(['run'])

  expect([code, [...stdout.matchAll(/^\w+(?= {2}Own)/gm)].join()]).toEqual([0, 'alive,read'])
})

test('a criterion that does not hold ends with 1 and names itself, its place, what was expected and found', async () => {
  await using cli = await Cli.make({
    ...(await ownFlow('teapot', [{ condition: '$statusCode == 418' }])),
    '.env.mock': local(),
  })

  const { stdout, stderr, code } = await cli.run(['run', 'teapot'])

  expect([stderr, code]).toEqual(['', 1])
  expectGolden(stable(withoutFirstUse(stdout), { folder: cli.folder }), 'cli/non-conformant.txt')
})

test('a server that cannot be reached gives exit code 3 and a message', async () => {
  const port = await closedPort()
  await using cli = await Cli.make({
    ...(await ownFlow('alive', [])),
    '.env.uat': `ENV_CLASS=uat\nSERVER_CLIENTS=https://localhost:${port}`,
  })

  const { stdout, stderr, code } = await cli.run(['run', 'alive', '--env', 'uat'])

  expect([stderr, code]).toEqual(['', 3])
  expectGolden(stable(withoutFirstUse(stdout), { folder: cli.folder }), 'cli/unreachable.txt')
  expect((await cli.record()).verdict).toBe('inconclusive')
})

test('a certificate that the server refuses ends with 3 and one sentence that names identity and host', async () => {
  await using cli = await Cli.make()
  const { certificateFile, keyFile } = pki.identities.rogue

  const { stdout, stderr, code } = await cli.run(['run', 'register'], {
    variables: { THREDD_TRANSPORT_CERT_FILE: certificateFile, THREDD_TRANSPORT_KEY_FILE: keyFile },
  })

  expect([stderr, code]).toEqual(['', 3])
  expectGolden(stable(withoutFirstUse(stdout), { folder: cli.folder }), 'cli/certificate-refused.txt')
})

test('everything missing for a first run on UAT is reported at once, and nothing is sent', async () => {
  await using cli = await Cli.make()
  await cp(join(ROOT, '.env.uat'), join(cli.folder, '.env.uat'))

  const { stdout, stderr, code } = await cli.run(['run', 'register', '--env', 'uat'])

  expect([stdout, code]).toEqual(['', 2])
  expectGolden(stable(stderr, { folder: cli.folder }), 'cli/first-run-on-uat.txt')
})

test('a flow with mistakes is shown with its lines', async () => {
  const mistakes = join(ROOT, 'test/golden/flow/five-mistakes.arazzo.yaml')
  await using cli = await Cli.make({ 'flows/mine.arazzo.yaml': await readFile(mistakes, 'utf8') })
  await cp(join(ROOT, 'test/golden/flow/clients.openapi.yaml'), join(cli.folder, 'flows/clients.openapi.yaml'))

  const { stdout, stderr, code } = await cli.run(['run', 'mine'])

  expect([stdout, code]).toEqual(['', 2])
  const golden = await readFile(join(ROOT, 'test/golden/flow/five-mistakes.txt'), 'utf8')
  const here = golden.replaceAll(/five-mistakes(?=\.arazzo)/g, 'flows/mine').replaceAll('(clients.', '(flows/clients.')
  expect(stderr).toBe(here)
})

test('THREDD_ENV names the environment, --env wins, and an empty one is none', async () => {
  await using cli = await Cli.make({ ...(await ownFlow('alive', [])), '.env.mock': local(), '.env.other': local() })
  const environmentOf = async (args: readonly string[], THREDD_ENV: string) => {
    const { stdout } = await cli.run(['run', 'alive', ...args], { variables: { THREDD_ENV } })
    return /^environment (\S+)/.exec(stdout)?.[1]
  }

  expect(await environmentOf([], 'other')).toBe('other')
  expect(await environmentOf(['--env', 'mock'], 'other')).toBe('mock')
  expect(await environmentOf([], '')).toBe('mock')
})

test('a relative path in a variable starts at the current folder, also with an environment of the repository', async () => {
  await using cli = await Cli.make()

  const { stderr, code } = await cli.run(['run', 'register'], {
    variables: { THREDD_TRANSPORT_CERT_FILE: 'my.crt', THREDD_TRANSPORT_KEY_FILE: 'my.key' },
  })

  expect(code).toBe(2)
  expect(stderr).toContain('"my.crt"')
})

test('without a terminal the output has no escape codes; FORCE_COLOR asks for them', async () => {
  await using cli = await Cli.make({ ...(await ownFlow('alive', [])), '.env.mock': local() })
  const escapes = async (variables: Record<string, string>) =>
    (await cli.run(['run', 'alive'], { variables })).stdout.includes('\u001b')

  expect(await escapes({})).toBe(false)
  expect(await escapes({ FORCE_COLOR: '1' })).toBe(true)
})

test('control characters of a file do not reach the terminal', async () => {
  await using cli = await Cli.make({ 'evil.arazzo.yaml': 'arazzo: "\\e]0;title\\a"\ninfo: "\u001b[2J"\n' })

  const { stderr, code } = await cli.run(['run', './evil.arazzo.yaml'])

  expect(code).toBe(2)
  expect([...stderr].filter((character) => character < ' ' && character !== '\n')).toEqual([])
  expect(stderr).toContain('\\u001b')
})

test('a second Ctrl-C during a slow answer to a POST ends the run with 3 and a record', async () => {
  await using cli = await Cli.make({ ...(await ownFlow('register', [])), '.env.mock': local('TIMEOUT_MS=600000') })
  const before = server.requests.length
  const running = cli.start(['run', 'register'])
  await requestsBeyond(before)

  await Cli.interrupt(running, 'stopping')
  await Cli.interrupt(running, 'cutting off')

  const { stdout, code } = await running.ended
  expect(code).toBe(3)
  const unnamed = stdout.replaceAll(/[0-9a-f-]{36}/g, '<id>').replaceAll(/left at \S+Z/g, 'left at <instant>')
  expectGolden(stable(withoutFirstUse(unnamed), { folder: cli.folder }), 'cli/interrupted.txt')
  const { verdict, exitCode, workflows } = await cli.record()
  expect([verdict, exitCode, workflows[0]?.error?.code]).toEqual(['inconclusive', 3, 'INTERRUPTED'])
})

test('at a real terminal the client id is typed, and nothing is sent before', async ({ skip }) => {
  if (!(await hasScript())) return skip('there is no program "script" that makes a terminal')
  await using cli = await Cli.make({
    ...(await ownFlow('register', [])),
    '.env.prod': local('CLIENT_ID=ours').replace('mock', 'prod'),
  })
  const line = `"${process.execPath}" "${join(ROOT, 'bin', 'thredd.js')}" run register --env prod`
  const typing = async (answer: string) => {
    const { PATH } = process.env
    const vault = { THREDD_VAULT_DIR: 'vault', THREDD_VAULT_KEY: randomBytes(32).toString('base64url') }
    const env = { PATH, HOME: cli.folder, ...vault, NO_COLOR: '1' }
    const child = spawn(SCRIPT, ['-qec', line, '/dev/null'], { cwd: cli.folder, env })
    let seen = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text))
    while (!seen.includes('Type its client id to go on: ')) await once(child.stdout, 'data')
    const before = server.requests.length
    child.stdin.write(`${answer}\n`)
    return { child, before, ended: once(child, 'close').then(([code]) => ({ code, seen: seen.replaceAll('\r', '') })) }
  }

  const wrong = await (await typing('theirs')).ended
  expect(wrong.code).toBe(2)
  expect(wrong.seen).toContain('"register" (register) would change a live client on "prod":\n  ours\n')
  expect(wrong.seen).toContain('= got another client id')

  const right = await typing('ours')
  await requestsBeyond(right.before)
  right.child.kill('SIGKILL')
})

test('a reader that goes away does not end the run', async () => {
  await using cli = await Cli.make({ ...(await ownFlow('alive', [])), '.env.mock': local() })
  const running = cli.start(['run', 'alive'])
  running.process.stdout.destroy()

  const { stderr, code } = await running.ended

  expect([stderr, code]).toEqual(['', 0])
  expect((await cli.record()).verdict).toBe('conformant')
})

test('a reports folder that cannot be written is refused before the first call', async () => {
  await using cli = await Cli.make({ ...(await ownFlow('alive', [])), '.env.mock': local(), taken: 'a file' })
  const before = server.requests.length

  const { stdout, stderr, code } = await cli.run(['run', 'alive', '--out', 'taken'])

  expect([stdout, code]).toEqual(['', 3])
  expectGolden(stable(stderr, { folder: cli.folder }), 'cli/unwritable.txt')
  expect(server.requests.length).toBe(before)
})

test.skipIf(process.platform === 'win32')(
  'where a report is too large for the disk the record that is there is named, and what was done',
  async () => {
    await using cli = await Cli.make({})
    const script = `ulimit -f 280; exec "${process.execPath}" "${join(ROOT, 'bin', 'thredd.js')}" "$@"`
    await cli.write('start.sh', script)
    const launch = { node: '/bin/bash', launcher: join(cli.folder, 'start.sh') }

    const { stdout, stderr, code } = await cli.run(['run', 'register'], launch)

    expect(code, stderr).toBe(3)
    expect(stdout).toMatch(/\nconformant .*(?:\n.*)*\nrecord {2}reports\/\S+-register-\w+\/record\.json\n/)
    expect(stderr).toMatch(
      /^error\[REPORT_UNWRITABLE\]: "\S+report\.html" cannot be written: a limit on the size of files/m,
    )
    expect(stderr).toContain('= lift that limit (ulimit -f), or name another folder with --out')
  },
)

test('before it is built the launcher says what to do', async () => {
  await using cli = await Cli.make({ 'package.json': '{ "type": "module" }' })
  await cp(join(ROOT, 'bin'), join(cli.folder, 'bin'), { recursive: true })

  expect(await cli.run(['run'], { launcher: join(cli.folder, 'bin', 'thredd.js') })).toEqual({
    stdout: '',
    stderr: 'thredd is not built yet: run "npm ci" (or "npm run prepare") in the repository.\n',
    code: 2,
  })
})

test('an old Node gets a sentence instead of a stack trace', async ({ skip }) => {
  const old = await oldNode()
  if (old === undefined) return skip('there is no Node older than 24 on the PATH')
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(['run', 'register'], { node: old.path })

  expect([stdout, code]).toEqual(['', 2])
  expectGolden(stderr.replace(old.version, '<version>'), 'cli/old-node.txt')
})

/** Certificates and keys are made at the first use in a folder, which prints a line; later uses print none. */
function withoutFirstUse(stdout: string): string {
  return stdout.replaceAll(/^warning a vault key was made.*\n/gm, '')
}

async function version(): Promise<string> {
  return JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).version
}

/** An environment of class mock with one server on this machine, which is called instead of the twin. */
function local(...more: readonly string[]): string {
  return ['ENV_CLASS=mock', `SERVER_CLIENTS=https://localhost:${server.port}`, 'CA_FILE=ca.crt', ...more].join('\n')
}

/** A flow of one step, with the description it calls and the CA of its server. */
async function ownFlow(workflowId: string, successCriteria: readonly unknown[]): Promise<Record<string, string>> {
  const calls: Record<string, object> = {
    register: {
      operationId: 'registerClient',
      requestBody: { contentType: 'application/json', payload: { client_name: 'own' } },
    },
  }
  const flow = {
    arazzo: '1.1.0',
    info: { title: 'Own', version: '1.0.0' },
    sourceDescriptions: [{ name: 'clients', url: 'clients.openapi.yaml' }],
    workflows: [
      {
        workflowId,
        summary: 'Own flow',
        'x-dcr': { effect: workflowId === 'register' ? 'register' : 'read' },
        steps: [
          {
            stepId: 'call',
            ...(calls[workflowId] ?? { operationId: 'status' }),
            'x-dcr': { identity: 'none' },
            ...(successCriteria.length === 0 ? {} : { successCriteria }),
          },
          { stepId: 'after', operationId: 'status', 'x-dcr': { identity: 'none' } },
        ],
        inputs: { type: 'object', properties: { extended: { type: 'string', 'x-dcr': { when: '1 == 2' } } } },
      },
    ],
  }
  const description = await readFile(join(ROOT, 'test/golden/flow/clients.openapi.yaml'), 'utf8')
  return {
    [`flows/${workflowId}.arazzo.yaml`]: JSON.stringify(flow, null, 2),
    'flows/clients.openapi.yaml': description,
    'ca.crt': ca,
  }
}

async function hasScript(): Promise<boolean> {
  return await promisify(execFile)(SCRIPT, ['-qec', 'true', '/dev/null']).then(
    () => true,
    () => false,
  )
}

async function requestsBeyond(count: number): Promise<void> {
  while (server.requests.length <= count) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function closedPort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The machine's own Node where it is older than ours needs. */
async function oldNode(): Promise<{ path: string; version: string } | undefined> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  for (const folder of folders) {
    const path = join(folder, 'node')
    const found = await promisify(execFile)(path, ['--version']).catch(() => undefined)
    const version = found?.stdout.trim() ?? ''
    if (/^v\d+\./.test(version) && Number.parseInt(version.slice(1), 10) < 24) return { path, version }
  }
  return undefined
}
