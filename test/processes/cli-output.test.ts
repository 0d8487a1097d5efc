/** What the command line shows besides the course of a run: plans, wire logs, event streams, annotations, warnings. */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { createTwin } from '../../mocks/index.ts'
import { rehearse, resolve } from '../../src/run/index.ts'
import { Cli, ROOT } from '../support/cli.ts'
import { expectGolden, stable } from '../support/golden.ts'
import { type LocalPki, localFiles, makeLocalPki, writeLocalFiles } from '../support/local.ts'
import { type HttpsTestServer, startHttps } from '../support/servers.ts'
import { sharedPki } from '../support/twin.ts'

const TOKEN = 'canary-registration-token-4815162342'
const SECRET = 'canary-client-secret-4815162342'

let pki: LocalPki
beforeAll(async () => {
  pki = await makeLocalPki()
})

const REGISTER = {
  stepId: 'register',
  operationId: 'registerClient',
  requestBody: {
    contentType: 'application/json',
    payload: { client_name: 'own', grant_types: ['client_credentials'] },
  },
  outputs: { client_id: '$response.body#/client_id', token: '$response.body#/registration_access_token' },
}
const READ = {
  stepId: 'read',
  operationId: 'readClient',
  parameters: [
    { name: 'client_id', in: 'path', value: '$steps.register.outputs.client_id' },
    { name: 'X-Request-Id', in: 'header', value: 'Bearer {$steps.register.outputs.token}' },
  ],
}
const STATUS = { stepId: 'status', operationId: 'status', 'x-dcr': { identity: 'none' } }
const TEAPOT = {
  ...STATUS,
  successCriteria: [{ condition: '$statusCode == 418' }],
}

test.each(['register', 'lifecycle'])(
  '--dry-run shows all of flow "%s", secrets as names, and leaves nothing behind',
  async (flow) => {
    await using cli = await Cli.make()

    const { stdout, stderr, code } = await cli.run(['run', flow, '--dry-run'])

    expect([stderr, code]).toEqual(['', 0])
    expectGolden(unversioned(stable(stdout)), `cli/dry-run-${flow}.txt`)
    expect(stdout).not.toMatch(/eyJ|-----BEGIN/)
    // No vault, no key of one, no report.
    expect(await readdir(cli.folder)).toEqual([])
  },
)

test.each(['register', 'lifecycle'])('--dry-run of flow "%s" asks the twin for nothing', async (flow) => {
  const twin = createTwin({ pki: await sharedPki() })
  await using cli = await Cli.make({ '.env.mock': await mockEnvironment() })

  const request = await resolve({
    selection: { flows: [flow], folders: [ROOT] },
    environment: { env: 'mock', folder: cli.folder, variables: {} },
  })
  const { workflows } = await rehearse(request, {
    out: join(cli.folder, 'reports'),
    version: '0.0.0-test',
    twin: async () => ({
      kind: 'twin-in-process',
      answer: (request, certificate) => twin.answer(request, certificate),
      async [Symbol.asyncDispose]() {},
    }),
  })

  expect(workflows.map(({ workflowId }) => workflowId)).toEqual([flow])
  expect(twin.log).toEqual([])
})

test('--dry-run does not connect to a server, and shows which certificate each call would use', async () => {
  await using server = await registrar()
  await using cli = await localCli(server, [REGISTER, READ, TEAPOT])

  const { stdout, code } = await cli.run(['run', 'own', '--dry-run'])

  expect(code).toBe(0)
  expect([...stdout.matchAll(/^ {2}(\S+) {2}identity (\S+)/gm)].map(([, step, identity]) => [step, identity])).toEqual([
    ['register', 'transport'],
    ['read', 'transport'],
    ['status', 'none'],
  ])
  expect(stdout).toContain(`GET https://localhost:${server.port}/clients/{$steps.register.outputs.client_id}\n`)
  expect([server.connections, server.requests]).toEqual([[], []])
})

test('--dry-run shows a body that is broken on purpose as it is', async () => {
  await using server = await registrar()
  const requestBody = (contentType: string, payload: string) => ({ requestBody: { contentType, payload } })
  await using cli = await localCli(server, [
    { ...REGISTER, ...requestBody('application/json', '{"scopes": 100% & +') },
    { stepId: 'form', operationId: 'token', ...requestBody('application/x-www-form-urlencoded', 'a=%zz&b=1+2') },
  ])

  const { stdout, stderr, code } = await cli.run(['run', 'own', '--dry-run'])

  expect([stderr, code]).toEqual(['', 0])
  expect(stdout).toContain('    {"scopes": 100% & +\n')
  expect(stdout).toContain('    a=%zz\n    b=1 2\n')
})

test('--dry-run names secret inputs and where they come from, and never shows them', async () => {
  await using cli = await Cli.make()
  const canary = 'canary-assertion-4815162342'

  const { stdout } = await cli.run(['run', 'register', '--dry-run', '--input', `client_assertion=${canary}`])

  expect(stdout).toMatch(/^ +client_assertion +\[client_assertion\] {2}--input$/m)
  expect(stdout).not.toContain('canary')
})

test('--dry-run finds what a run would stumble over, as one of several problems or none', async () => {
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(['run', 'register', '--dry-run'], {
    variables: { THREDD_TRANSPORT_KEY_FILE: 'nowhere.key' },
  })

  expect([stdout, code]).toEqual(['', 2])
  expect(stderr).toContain('error[IDENTITY_UNREADABLE]: key file "nowhere.key" of identity "transport" does not exist')
})

test('--json writes one object a line: the events in their order, the record at the end, no secret', async () => {
  await using server = await registrar()
  await using cli = await localCli(server, [REGISTER, READ])

  const { stdout, stderr, code } = await cli.run(['run', 'own', '--json'])

  expect([stderr, code]).toEqual(['', 0])
  const events = eventsOf(stdout)
  expect(events.map(({ type, stepId, step }) => [type, stepId ?? step?.stepId].filter(Boolean).join(' '))).toEqual([
    'run-started',
    'workflow-started',
    'step-started register',
    'registration-kept register',
    'step-finished register',
    'step-started read',
    'step-finished read',
    'workflow-finished',
    'run-finished',
  ])
  expect(events[0]).toMatchObject({ environment: 'mock', class: 'mock', counterparty: 'network' })
  expect(events.at(-1)).toMatchObject({ verdict: 'conformant', exitCode: 0 })
  expect(JSON.parse(await readFile(join(cli.folder, events.at(-1)?.record ?? ''), 'utf8'))).toMatchObject({
    verdict: 'conformant',
  })
  expect(stdout).not.toContain('canary')
})

test('--json says what a run that is refused stumbles over; its text goes to the other stream', async () => {
  await using cli = await Cli.make()

  for (const flags of [[], ['--dry-run']]) {
    const { stdout, stderr, code } = await cli.run(['run', 'register', '--workflow', 'regsiter', '--json', ...flags])

    expect(code).toBe(2)
    expect(eventsOf(stdout)).toEqual([
      {
        type: 'refused',
        exitCode: 2,
        problems: [
          { code: 'USAGE', message: 'no workflow "regsiter" in the selected flows', hint: 'did you mean "register"?' },
        ],
        warnings: [],
      },
    ])
    expect(stderr).toContain('error[USAGE]')
  }
})

test('--json with --dry-run is one line with the whole plan', async () => {
  await using cli = await Cli.make()

  const { stdout, stderr, code } = await cli.run(['run', 'register', '--dry-run', '--json'])

  expect([stderr, code]).toEqual(['', 0])
  const [plan, ...more] = eventsOf(stdout)
  expect(more).toEqual([])
  expect(plan).toMatchObject({ type: 'dry-run', environment: 'mock', warnings: [] })
  expect(plan?.workflows?.[0]?.steps).toHaveLength(9)
})

test.each([
  ['--verbose', 'bodies'],
  ['--wire', 'wire'],
])('%s shows each exchange, redacted: %s', async (flag, golden) => {
  await using server = await registrar()
  await using cli = await localCli(server, [REGISTER, READ, TEAPOT])

  const { stdout, stderr, code } = await cli.run(['run', 'own', flag])

  expect([stderr, code]).toEqual(['', 1])
  expect(stdout).not.toContain('canary')
  expectGolden(onTheWire(stable(withoutFirstUse(stdout), { folder: cli.folder })), `cli/${golden}.txt`)
})

test('the same secret is recognisable in the wire log without being readable', async () => {
  await using server = await registrar()
  await using cli = await localCli(server, [REGISTER, READ])

  const { stdout } = await cli.run(['run', 'own', '-vv'])

  const issued = /"registration_access_token": "(\[[^\]]+\])"/.exec(stdout)?.[1]
  expect(issued).toMatch(/^\[registration_access_token#[0-9a-f]{8}\]$/)
  expect(stdout).toContain(`x-request-id: Bearer ${issued}`)
})

/** Colour as a stream and the variables decide; the stream stands for a terminal of today. In a process for the variables. */
test.each([
  [true, {}, true],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '1', FORCE_COLOR: '1' }, true],
  [true, { TERM: 'dumb' }, false],
  [false, {}, false],
  [false, { FORCE_COLOR: '1' }, true],
  [false, { FORCE_COLOR: '0' }, false],
])('a terminal (%s) with %j is coloured: %s', async (isTTY, variables, isColoured) => {
  const script = `
    import { PassThrough } from 'node:stream'
    import { WriteStream } from 'node:tty'
    import { Console } from ${JSON.stringify(new URL('../../src/front/cli/console.ts', import.meta.url).href)}
    const { getColorDepth } = WriteStream.prototype
    const stream = Object.assign(new PassThrough(), { isTTY: ${isTTY}, getColorDepth })
    const console = new Console({ stream, write: (part) => process.stdout.write(part) })
    console.preview({ environment: 'mock', warnings: ['look'], given: [], waiting: [], workflows: [] })`

  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { TERM: 'xterm-256color', ...variables },
  })

  expect(stdout.includes('\u001b[')).toBe(isColoured)
  expect(stripVTControlCharacters(stdout)).toBe('environment mock · dry run, nothing is sent\nwarning look\n')
})

test.each([
  [{ NO_COLOR: '1' }, false],
  [{ FORCE_COLOR: '1' }, true],
  [{}, false],
])('a process whose output is no terminal, with %j, is coloured: %s', async (variables, isColoured) => {
  await using server = await registrar()
  await using cli = await localCli(server, [STATUS])

  const { stdout, stderr, code } = await cli.run(['run', 'own'], { variables })

  expect([stderr, code]).toEqual(['', 0])
  expect(stdout.includes('\u001b[')).toBe(isColoured)
})

test('in a job of GitHub findings are annotations at the lines of the flow; elsewhere there are none', async () => {
  await using server = await registrar()
  await using cli = await localCli(server, [TEAPOT])

  const { stdout } = await cli.run(['run', 'own'], { variables: { GITHUB_ACTIONS: 'true' } })
  const elsewhere = await cli.run(['run', 'own'])

  const annotations = stdout.split('\n').filter((line) => line.startsWith('::'))
  expect(annotations).toEqual([
    expect.stringMatching(
      /^::error file=flows\/own\.arazzo\.yaml,line=\d+,title=own \/ status \/ criterion 1::GET \/status: expected status 418, got 200%0A {2}means: /,
    ),
  ])
  const line = Number(/line=(\d+)/.exec(annotations[0] ?? '')?.[1])
  const flow = (await readFile(join(cli.folder, 'flows/own.arazzo.yaml'), 'utf8')).split('\n')
  expect(flow.slice(line - 1, line + 1).join()).toContain('$statusCode == 418')
  expect(elsewhere.stdout).not.toContain('::error')
})

test('annotations do not break the event stream', async () => {
  await using server = await registrar()
  await using cli = await localCli(server, [TEAPOT])

  const { stdout } = await cli.run(['run', 'own', '--json'], { variables: { GITHUB_ACTIONS: 'true' } })

  expect(eventsOf(stdout).at(-1)).toMatchObject({ type: 'run-finished', exitCode: 1 })
})

test('in a job of GitLab the code quality report lies beside the record; elsewhere there is none', async () => {
  await using server = await registrar()
  await using cli = await localCli(server, [TEAPOT])
  const report = join(cli.folder, 'reports', 'latest', 'gl-code-quality-report.json')

  await cli.run(['run', 'own'], { variables: { GITLAB_CI: 'true' } })
  const issues = JSON.parse(await readFile(report, 'utf8')) as unknown
  await cli.run(['run', 'own'])

  expect(issues).toMatchObject([
    { check_name: 'own / status / criterion 1', severity: 'major', location: { path: 'flows/own.arazzo.yaml' } },
  ])
  expect(await readFile(report).catch(({ code }) => code)).toBe('ENOENT')
})

test.each([
  [61, []],
  [60, [60]],
])(
  'with %i days left to a certificate every run says so, whatever its outcome and its form',
  async (days, expected) => {
    const short = await makeLocalPki({ clientDays: days + 0.5 })
    await using server = await startHttps(short.server, (_, response) => response.end())
    const told = (text: string) =>
      [...text.matchAll(/the certificate of identity \\?"transport\\?" expires in (\d+) days/g)].map(([, found]) =>
        Number(found),
      )
    const mutual = { stepId: 'call', operationId: 'mutual' }
    await using good = await localCli(server, [mutual], short)
    await using bad = await localCli(server, [{ ...mutual, successCriteria: TEAPOT.successCriteria }], short)

    const outputs = [
      await good.run(['run', 'own']),
      await good.run(['run', 'own', '--json']),
      await good.run(['run', 'own', '--dry-run']),
      await good.run(['run', 'own', '--dry-run', '--json']),
      await bad.run(['run', 'own']),
    ]

    expect(outputs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 1])
    for (const { stdout } of outputs) expect(told(stdout)).toEqual(expected)
    expect(told((await good.record()).warnings.join('\n'))).toEqual(expected)
    const junit = await readFile(join(good.folder, 'reports', 'latest', 'junit.xml'), 'utf8')
    expect(told(junit.replaceAll('&quot;', '"'))).toEqual(expected)
  },
)

interface StreamedLine {
  readonly type: string
  readonly stepId?: string
  readonly step?: { readonly stepId: string }
  readonly record?: string
  readonly workflows?: readonly { readonly steps: readonly unknown[] }[]
}

/** Every line must be JSON on its own. */
function eventsOf(stdout: string): StreamedLine[] {
  expect(stdout.endsWith('\n')).toBe(true)
  return stdout
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as StreamedLine)
}

/** Registers everybody, with secrets known to the test. */
function registrar(): Promise<HttpsTestServer> {
  const mutual = { ...pki.server, ca: pki.ca, requestCert: true, rejectUnauthorized: false }
  return startHttps(mutual, ({ method, path }, response) => {
    const registration = {
      client_id: 'ours',
      client_secret: SECRET,
      registration_access_token: TOKEN,
      registration_client_uri: `https://localhost/clients/ours`,
    }
    if (path === '/status') response.end()
    else {
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
      response.writeHead(method === 'POST' ? 201 : 200, headers).end(JSON.stringify(registration))
    }
  })
}

async function localCli(server: HttpsTestServer, steps: readonly object[], by: LocalPki = pki): Promise<Cli> {
  const cli = await Cli.make()
  await writeLocalFiles(cli.folder, localFiles(by, { port: server.port, steps }))
  return cli
}

async function mockEnvironment(): Promise<string> {
  const { folder } = await sharedPki()
  return (await readFile(join(ROOT, '.env.mock'), 'utf8')).replaceAll('fixtures/pki', folder)
}

function withoutFirstUse(stdout: string): string {
  return stdout.replaceAll(/^warning a vault key was made.*\n/gm, '')
}

function unversioned(text: string): string {
  return text.replaceAll(/thredd-dcr\/[\d.]+/g, 'thredd-dcr/<version>')
}

/** What differs from one exchange to the next: instants, fingerprints, keys, and what the HTTP server adds. */
function onTheWire(text: string): string {
  return unversioned(text)
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<instant>')
    .replaceAll(/sha256 [0-9a-f]{64}/g, 'sha256 <sha256>')
    .replaceAll(/#[0-9a-f]{8}\]/g, '#<fingerprint>]')
    .replaceAll(/< date: .*/g, '< date: <date>')
}
