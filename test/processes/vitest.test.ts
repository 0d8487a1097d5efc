/** Flow files as test files, in projects of their own as a customer has them: real processes of vitest. */
import { cpSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunRecord } from '../../src/record/index.ts'
import { runRecord } from '../../src/record/schema.ts'
import { type Cli, type Ended, ROOT, type Running, type Situation } from '../support/cli.ts'
import { expectFile } from '../support/golden.ts'
import { localFiles, makeLocalPki, writeLocalFiles } from '../support/local.ts'
import { startNetwork } from '../support/network.ts'
import { installPacked, projectWith } from '../support/project.ts'
import { startHttps } from '../support/servers.ts'

const PAGE = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8')
/** The files that the page tells a customer to write. */
const FILES = Object.fromEntries(
  [...PAGE.matchAll(/^```\w+ file=(\S+)\n([\s\S]*?)^```$/gm)].map(([, name = '', text = '']) => [name, text]),
)
const OWN = FILES['flows/directory-is-up.arazzo.yaml'] ?? ''

test('a flow dropped into a project of one’s own is a regression test, just as the page says', async () => {
  await using project = await projectWith(FILES, installPacked)

  const { stdout, stderr, code } = await vitest(project, ['run'])

  expect([stderr, code]).toEqual(['', 0])
  expect(stdout).toMatch(/✓ \|offline\| flows\/directory-is-up\.arazzo\.yaml \(1 test\)/)
  expect(stdout).toMatch(/✓ \|mtls\| flows\/directory-is-up\.arazzo\.yaml \(1 test\)/)
  expect(recordsOf(project).map(({ counterparty, verdict }) => [counterparty, verdict])).toEqual([
    ['twin', 'conformant'],
    ['twin-in-process', 'conformant'],
  ])
})

test('what is wrong is said at its line in the flow file', async () => {
  await using project = await projectWith({
    'vitest.config.mts': FILES['vitest.config.mts'] ?? '',
    'flows/wrong.arazzo.yaml': OWN.replace('$statusCode == 200', '$statusCode == 201').concat(
      '      - { stepId: next, operationId: $sourceDescriptions.directory.directoryDiscovery }\n',
    ),
    'flows/broken.arazzo.yaml': OWN.replace('directoryDiscovery', 'directoryDiscovry'),
    'flows/unclear.arazzo.yaml': `${OWN}        outputs: { nothing: $response.body#/nothing }\n`,
    'flows/unready.arazzo.yaml': OWN.replaceAll('server_directory', 'own_input'),
  })

  const { stdout, stderr, code } = await vitest(project, ['run', '--project', 'offline'])

  expect(code).toBe(1)
  expect(stdout).toMatch(/× well-known \d+ms\n +↓ next \d+ms \[step "well-known" failed\]/)
  expectFile(errorsIn(stderr, project.folder), 'test/golden/vitest/errors.txt')
})

test('tests are listed and filtered without a run of anything', async () => {
  await using project = await projectWith(FILES)

  const { stdout, code } = await vitest(project, ['list', '-t', 'well-known'])

  expect(code).toBe(0)
  expect(stdout.trim().split('\n')).toEqual([
    '[offline] flows/directory-is-up.arazzo.yaml > directory-is-up > well-known',
    '[mtls] flows/directory-is-up.arazzo.yaml > directory-is-up > well-known',
  ])
  expect(recordsOf(project)).toEqual([])
})

test('a chosen test runs its workflow whole, and no other workflow', async () => {
  const [head = '', one = ''] = OWN.split(/(?<=^workflows:\n)/m)
  const other = `${one.replace('directory-is-up', 'other')}      - { stepId: again, operationId: $sourceDescriptions.directory.directoryDiscovery }\n`
  await using project = await projectWith({ ...FILES, 'flows/two.arazzo.yaml': head + one + other })

  const { stdout, code } = await vitest(project, ['run', '--project', 'offline', 'two', '-t', 'other > again'])

  expect(code).toBe(0)
  expect(stdout).toMatch(/Tests +1 passed \| 2 skipped/)
  expect(recordsOf(project)).toMatchObject([
    {
      leftOut: ['directory-is-up', 'two / directory-is-up'],
      workflows: [{ workflowId: 'other', steps: [{ stepId: 'well-known' }, { stepId: 'again' }] }],
    },
  ])
})

test('two shards and their merged blobs make the record that thredd run makes', async () => {
  await using project = await projectWith(FILES)
  for (const name of ['register', 'apis', 'parts'])
    cpSync(flowFile(name), join(project.folder, flowFile(name).slice(ROOT.length)), { recursive: true })
  const blob = (shard: string) => vitest(project, ['run', '--project', 'mtls', '--shard', shard, '--reporter', 'blob'])

  const shards = [await blob('1/2'), await blob('2/2')]
  expect(recordsOf(project)).toEqual([])
  const blobs = globSync(join(project.folder, '.vitest/blob/*')).map((file) => readFileSync(file, 'utf8'))
  expect(blobs.filter((text) => /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20}|PRIVATE KEY/.test(text))).toEqual([])
  expect(blobs.filter((text) => text.includes('[access_token#'))).toHaveLength(1)
  const merged = await vitest(project, ['run', '--merge-reports', '--project', 'mtls'])
  const [fromVitest] = recordsOf(project)
  const ran = await project.run(['run', 'directory-is-up', 'register', '--out', 'other'], { variables: KEY })

  expect([...shards, merged, ran].map(({ code }) => code)).toEqual([0, 0, 0, 0])
  const [fromRun] = recordsOf(project, 'other')
  expect(comparable(fromVitest)).toEqual(comparable(fromRun))
})

test('on UAT only what reads runs unnamed; what is named runs, and wants the client id repeated once it is known', async () => {
  await using network = await startNetwork()
  await using project = await projectWith({ ...FILES, '.env.uat': network.environment })
  for (const name of ['register', 'read-registration', 'wait-for-metadata', 'apis', 'parts'])
    cpSync(flowFile(name), join(project.folder, flowFile(name).slice(ROOT.length)), { recursive: true })
  const variables = { ...network.variables, THREDD_ENV: 'uat' }
  const onUat = (args: readonly string[], more = {}) =>
    vitest(project, ['run', '--project', 'uat', ...args], { variables: { ...variables, ...more } })

  // A part of its path chooses a file and names nothing.
  const unnamed = await onUat(['flows/'])
  expect([unnamed.code, network.changes()]).toEqual([0, []])
  expect(unnamed.stdout).toMatch(/1 passed \| 14 skipped/)
  const named = await onUat(['register'])
  expect([named.code, network.changes()]).toEqual([0, ['POST 201']])
  const again = await onUat(['register'])
  expect([again.code, network.changes()]).toEqual([1, ['POST 201']])
  expect(again.stderr).toContain('"register" (register) would change a live client on "uat"; nothing was sent')
  expect(again.stderr).toContain('"register" would register over the client that the vault of "uat" holds')
})

test('a signal ends a run after the steps that always run', async () => {
  const pki = await makeLocalPki()
  const asked = Promise.withResolvers<void>()
  await using server = await startHttps(pki.server, ({ path }, response) => {
    if (path === '/status') asked.resolve()
    else response.writeHead(200).end()
  })
  await using project = await projectWith({ 'vitest.config.mts': FILES['vitest.config.mts'] ?? '' })
  const steps = [
    { stepId: 'wait', operationId: 'status', successCriteria: [{ condition: '$statusCode == 200' }] },
    { stepId: 'tidy', operationId: 'mutual', 'x-dcr': { finally: true } },
  ]
  await writeLocalFiles(project.folder, localFiles(pki, { port: server.port, steps }))

  const running = start(project, ['run', '--project', 'mtls'])
  await Promise.race([asked.promise, running.ended])
  running.process.kill('SIGINT')

  const { code } = await running.ended
  expect(code).toBe(130)
  expect(server.requests.map(({ path }) => path)).toEqual(['/status', '/mutual'])
  expect(recordsOf(project)).toMatchObject([
    { verdict: 'inconclusive', workflows: [{ error: { code: 'INTERRUPTED' }, steps: [{}, { status: 'passed' }] }] },
  ])
})

const KEY = { THREDD_VAULT_KEY: Buffer.from('a key of tests, 32 bytes of text').toString('base64url') }

function flowFile(name: string): string {
  return join(ROOT, 'flows', ['apis', 'parts'].includes(name) ? name : `${name}.arazzo.yaml`)
}

function start(project: Cli, args: readonly string[], { variables }: Situation = {}): Running {
  const launcher = join(project.folder, 'node_modules', 'vitest', 'vitest.mjs')
  return project.start(args, { launcher, variables: { NO_COLOR: '1', ...variables } })
}

async function vitest(project: Cli, args: readonly string[], situation?: Situation): Promise<Ended> {
  return await start(project, args, situation).ended
}

/** Those of each project, by the names of their folders without the time. */
function recordsOf(project: Cli, reports = 'reports'): RunRecord[] {
  return globSync(join(project.folder, reports, '2*', 'record.json'))
    .sort((a, b) => (a.slice(a.indexOf('Z-')) < b.slice(b.indexOf('Z-')) ? -1 : 1))
    .map((file) => runRecord.parse(JSON.parse(readFileSync(file, 'utf8'))))
}

/** What vitest prints of errors, the message and the excerpt of each; files end in any order. */
function errorsIn(text: string, folder: string): string {
  const lines = text.replaceAll(folder, '<folder>').replaceAll(ROOT, '<package>/').replace(/^⎯.*$/gm, '')
  const errors = lines.split(/^(?= FAIL )/m).map((error) => error.trim())
  return `${errors
    .filter((error) => error !== '')
    .sort()
    .join('\n\n')}\n`
}

/** Without what differs from run to run: times, ids, tokens, and how many secrets runs of their own have met. */
function comparable(record: RunRecord | undefined): unknown {
  const text = JSON.stringify(record, (name, value: unknown) => {
    if (VARYING.has(name)) return undefined
    return name === 'headers' ? (value as [string, string][]).filter(([header]) => !VARYING.has(header)) : value
  })
  return JSON.parse(
    text
      .replace(/#[0-9a-f]{8}\]/g, '#]')
      .replace(/eyJ[\w-]+\.eyJ[\w-]+/g, '<jwt>')
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<instant>')
      .replace(/\b1\d{9}\b/g, '0')
      .replace(/(jti\W+)[0-9a-f-]{36}/g, '$1<id>'),
  )
}

const VARYING = new Set([
  ...['runId', 'startedAt', 'durationMs', 'timing', 'sha256', 'bytes', 'secretsKnown'],
  ...['port', 'date', 'content-length', 'x-fapi-interaction-id', 'x-trace-id'],
])
