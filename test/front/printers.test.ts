/**
 * Every command and every report format prints texts of servers and files: each is given hostile ones, and nothing of them is
 * read as a command by a terminal or a CI system's log, or as markup by a reader of the file.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestModule } from 'vitest/node'
import { validateXML } from 'xmllint-wasm'
import { loadEnvironment } from '../../src/environment/index.ts'
import { cleanUp } from '../../src/front/cli/cleanup.ts'
import type { Invocation, Program } from '../../src/front/cli/command.ts'
import { COMMANDS } from '../../src/front/cli/commands.ts'
import { completionOf } from '../../src/front/cli/completion.ts'
import { Console } from '../../src/front/cli/console.ts'
import { performCsr } from '../../src/front/cli/csr.ts'
import { writeRows } from '../../src/front/cli/doctor.ts'
import { performImport } from '../../src/front/cli/import.ts'
import { performInit } from '../../src/front/cli/init.ts'
import { performLint } from '../../src/front/cli/lint.ts'
import { writeList } from '../../src/front/cli/list.ts'
import { requestLine } from '../../src/front/cli/mock.ts'
import { comparisonText } from '../../src/front/cli/mock-compare.ts'
import { Printer } from '../../src/front/cli/printer.ts'
import { performReport } from '../../src/front/cli/report.ts'
import { writeDetails } from '../../src/front/cli/show.ts'
import { printToken } from '../../src/front/cli/token.ts'
import { performVault } from '../../src/front/cli/vault.ts'
import { performVerify } from '../../src/front/cli/verify.ts'
import { curlScript, harArchive, postmanCollection } from '../../src/front/export/formats.ts'
import { requestsOfPreview } from '../../src/front/export/requests.ts'
import { embeddedTwin } from '../../src/front/twin.ts'
import { report } from '../../src/front/vitest/reporter.ts'
import { errorOf } from '../../src/front/vitest/tests.ts'
import { ToolError } from '../../src/record/errors.ts'
import { json, lines } from '../../src/record/foreign.ts'
import { commandsFor } from '../../src/record/hints.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { githubAnnotations, gitlabCodeQuality } from '../../src/report/annotations.ts'
import { curl } from '../../src/report/curl.ts'
import { factsOf } from '../../src/report/history/facts.ts'
import { type History, historyOf, type Stored } from '../../src/report/history/index.ts'
import { historyJson, historyMarkdown } from '../../src/report/history/text.ts'
import { historyPage } from '../../src/report/html/history.ts'
import { runsPage } from '../../src/report/html/runs.ts'
import { FORMATS } from '../../src/report/index.ts'
import { requestedMessage } from '../../src/report/message.ts'
import { writePack } from '../../src/report/pack.ts'
import { jsonLine } from '../../src/report/stream.ts'
import { examine } from '../../src/run/examine.ts'
import { rehearse, resolve } from '../../src/run/index.ts'
import { detailsOf, overviewOf } from '../../src/run/overview.ts'
import { Secret } from '../../src/secret/index.ts'
import type { Vault } from '../../src/vault/index.ts'
import { toVariables } from '../../src/vault/portable.ts'
import { ROOT } from '../support/cli.ts'
import { commandsIn, elementsOf, HARMLESS, HOSTILE, marksOf, steeringIn } from '../support/hostile.ts'
import { asked, everyOutcome, hostileRecord, reported, spoilt, whole } from '../support/reports.ts'
import { body, call, temporaryFolder, vaultIn } from '../support/vault.ts'

const record = hostileRecord(HOSTILE)
const { workflows, ...head } = record
/** A file name cannot hold all of the hostile text. */
const NAME = 'x\u001b[2J\n::error::y \u202e ##vso[z] $(id)'

let root: string
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'thredd-printers-')))
})
afterAll(async () => await rm(root, { recursive: true, force: true }))

function invocation(words: readonly string[], flags: Readonly<Record<string, string | true>> = {}): Invocation {
  const texts = (name: string) => [flags[name] ?? []].flat().filter((one) => typeof one === 'string')
  return {
    words,
    has: (name) => flags[name] !== undefined,
    texts,
    text: (name) => texts(name)[0],
    pairs: () => new Map(),
  }
}

/** What is written to a screen; a problem that is thrown is printed as the command line prints it. */
async function screen(print: (write: (text: string) => void, out: Console) => unknown): Promise<string> {
  let text = ''
  const write = (part: string) => {
    text += part
  }
  const out = new Console({ stream: new PassThrough(), write, detail: 'wire' })
  try {
    await print(write, out)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    out.warnings(error.warnings)
    out.problems(error.problems, new Map(error.problems.map(({ at }) => [at?.file ?? '', HOSTILE])))
  }
  return text
}

const selection = { flows: ['register'], folders: [ROOT] }
const environment = async () => await loadEnvironment({ env: 'mock', folder: ROOT, here: ROOT, variables: {} })
const surveyed = async () => ({ environment: await environment(), inputs: new Map(), selection })
const on = (write: (text: string) => void) => ({ stream: new PassThrough(), write })

const SPOILT = { name: HOSTILE, class: 'mock' } as const
const examined = async () =>
  (await examine({ ...(await surveyed()), minDays: 9999 })).map((row) => ({
    ...row,
    what: HOSTILE,
    sentence: HOSTILE,
    remedy: HOSTILE,
  }))

async function dryRun() {
  const request = await resolve({
    environment: { env: 'mock', folder: ROOT, here: ROOT, variables: {} },
    selection,
    inputs: new Map(),
  })
  const caller = { version: '0', twin: () => embeddedTwin(join(ROOT, 'fixtures', 'pki'), 'twin-in-process') }
  return spoilt(await rehearse(request, caller), HOSTILE) as Awaited<ReturnType<typeof rehearse>>
}

async function lintedFlow(flags: Readonly<Record<string, true>>): Promise<string> {
  const file = join(root, `${NAME.replaceAll('/', '')}.arazzo.yaml`)
  const flow = {
    arazzo: '1.0.1',
    info: { title: HOSTILE, version: HOSTILE, [HOSTILE]: 1 },
    sourceDescriptions: [{ name: HOSTILE, url: HOSTILE, type: HOSTILE }],
    workflows: [{ workflowId: HOSTILE, dependsOn: [HOSTILE], steps: [{ stepId: HOSTILE, operationId: HOSTILE }] }],
  }
  await writeFile(file, JSON.stringify(flow, null, 1))
  return await screen((write) => {
    const program = { here: '/', project: '/', root: '/', stdout: Object.assign(new PassThrough(), { write }), write }
    return performLint(invocation([file], flags), program as unknown as Program)
  })
}

/** A collection and an environment in which each name and text is hostile. */
async function imported(flags: Readonly<Record<string, true>>): Promise<string> {
  const folder = await temporaryFolder()
  const url = { raw: 'https://api.example.com/x', host: ['https://api.example.com'], path: ['x', HOSTILE] }
  const collection = {
    info: { name: HOSTILE, schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
    item: [
      { name: HOSTILE, request: { method: 'GET', url, header: [{ key: HOSTILE, value: HOSTILE }] } },
      { name: HOSTILE, request: { method: HOSTILE, url: HOSTILE }, [HOSTILE]: HOSTILE },
    ],
  }
  const environment = {
    name: HOSTILE,
    values: [
      { key: 'kid', value: 'k' },
      { key: HOSTILE, value: HOSTILE },
    ],
  }
  const name = join(folder, `${NAME.replaceAll('/', '')}.json`)
  await writeFile(name, JSON.stringify(collection))
  await writeFile(join(folder, 'e.json'), JSON.stringify(environment))
  return await screen((write) => {
    const streams = { stdin: {}, stdout: new PassThrough(), stderr: new PassThrough(), write, warn: write }
    const program = { here: folder, project: folder, root: ROOT, variables: {}, ...streams }
    return performImport(invocation(['postman', name, join(folder, 'e.json')], flags), program as unknown as Program)
  })
}

/** In a folder with a hostile name. */
async function initialised(flags: Readonly<Record<string, true>>): Promise<string> {
  const folder = await temporaryFolder()
  const project = join(folder, NAME.replaceAll('/', ''))
  await mkdir(project)
  return await screen((write) => {
    const streams = { stdin: {}, stdout: new PassThrough(), stderr: new PassThrough(), write, warn: write }
    const program = { here: folder, project, root: ROOT, variables: {}, ...streams }
    return performInit(invocation([], flags), program as unknown as Program)
  })
}

async function hostileVault(): Promise<Vault> {
  const vault = vaultIn(await temporaryFolder())
  const begun = await vault.begin({ ...call('register'), clientId: HOSTILE, step: HOSTILE, runId: HOSTILE })
  const text = body('token-1', { client_id: HOSTILE, scopes: [HOSTILE], [HOSTILE]: HOSTILE, scope: HOSTILE })
  await begun.keep({ status: 201, body: text })
  await begun.close('answered')
  const lost = { ...call('update'), clientId: HOSTILE, step: HOSTILE, runId: HOSTILE }
  await (await vault.begin(lost)).close('unknown')
  return vault
}

/** `thredd vault …` at a vault whose client, calls and server are hostile. */
async function vaultSays(word: string, ...rest: string[]): Promise<string> {
  const flags = { reveal: true, confirm: HOSTILE, ...(word === 'export' ? { format: 'postman' } : {}) } as const
  const vault = await hostileVault()
  return await screen(
    async (write) =>
      await performVault(
        [word, ...rest.filter((one) => one !== '--json')],
        invocation([], rest.includes('--json') ? { ...flags, json: true } : flags),
        {
          write,
          warn: write,
          isTerminal: true,
          folder: root,
          now: () => new Date(0),
          runId: HOSTILE,
          open: async () => ({ vault, environment: HOSTILE, class: 'mock', clientId: HOSTILE }),
          passphrase: async () => new Secret('correct horse battery staple', 'passphrase'),
          probe: async () => ({ kind: 'failed', problem: { code: 'DNS', message: HOSTILE, hint: HOSTILE } }),
        },
      ),
  )
}

async function importSays(): Promise<string> {
  const file = join(root, 'saved.json')
  await writeFile(
    file,
    body('token-2', { client_id: HOSTILE, registration_client_uri: `https://a.example/${HOSTILE}` }),
  )
  return await vaultSays('import', file)
}

async function cleanUpSays(flags: Readonly<Record<string, true>>): Promise<string> {
  const vault = await hostileVault()
  return await screen(
    async (write) =>
      await cleanUp(invocation([], flags), {
        write,
        environment: HOSTILE,
        isOnTwin: false,
        vault,
        openReader: async () => ({
          probe: async () => ({ kind: 'failed', problem: { code: 'DNS', message: HOSTILE } }),
          [Symbol.asyncDispose]: async () => {},
        }),
        remove: async () => 0,
      }),
  )
}

async function tokenSays(flags: Readonly<Record<string, true>>): Promise<string> {
  return await screen((write) =>
    printToken(invocation([], flags), {
      write,
      warn: write,
      now: () => new Date(0),
      clientId: HOSTILE,
      server: HOSTILE,
      thumbprint: undefined,
      openVault: async () => undefined,
      request: async () => ({
        body: Buffer.from(JSON.stringify({ access_token: HOSTILE, scope: HOSTILE, expires_in: 60 })),
        exitCode: 0,
      }),
    }),
  )
}

/** `thredd report …` of a stored run in a folder that anybody may have named. */
async function reportSays(...args: string[]): Promise<string> {
  const reports = await mkdtemp(join(root, `${NAME}-`))
  const of = (outcome: RunRecord['workflows'][number]['steps'][number]['checks'][number]['status']): RunRecord => ({
    ...everyOutcome(),
    runId: HOSTILE,
    workflows: everyOutcome().workflows.map((workflow) => ({
      ...workflow,
      workflowId: HOSTILE,
      steps: workflow.steps.map((step) => ({
        ...step,
        stepId: `${step.stepId}${HOSTILE}`,
        checks: step.checks.map((check) => ({ ...check, title: HOSTILE, actual: HOSTILE, status: outcome })),
      })),
    })),
  })
  const stored: readonly [string, RunRecord][] = [
    [NAME, of('fail')],
    ['before', of('pass')],
  ]
  for (const [folder, run] of stored) {
    await mkdir(join(reports, folder))
    await writeFile(join(reports, folder, 'record.json'), JSON.stringify(run))
  }
  await mkdir(join(reports, 'broken'))
  await writeFile(join(reports, 'broken', 'record.json'), JSON.stringify({ recordVersion: HOSTILE }))
  let text = ''
  const write = (part: string) => {
    text += part
  }
  await performReport(asked(...args, '--reports', reports), { here: root, write, home: root })
  return text
}

async function verifySays(): Promise<string> {
  const pack = await mkdtemp(join(root, 'pack-'))
  const key = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const
  await writePack({ ...everyOutcome(), runId: HOSTILE }, { pack: join(pack, 'p'), key, now: new Date(0) })
  const whole = await screen((write) => performVerify(asked('p'), { here: pack, write }))
  await writeFile(join(pack, 'p', NAME), '')
  return whole + (await screen((write) => performVerify(asked('p'), { here: pack, write })))
}

const difference = { step: HOSTILE, what: 'member', of: HOSTILE, recorded: HOSTILE, twin: HOSTILE } as const
const change = { clientId: HOSTILE, scopes: [HOSTILE], at: '2026-01-01T00:00:00Z' }
const application = { environment: HOSTILE, authorizationServer: HOSTILE, organisation: HOSTILE, application: HOSTILE }

/** By the command that prints it; the name of a row begins with the words and flags that are typed. */
const PRINTERS: Readonly<Record<string, () => Promise<string>>> = {
  run: () =>
    screen((_, out) => {
      for (const workflow of workflows) {
        for (const step of workflow.steps) out.show({ type: 'step-finished', step })
        out.show({ type: 'retry', stepId: HOSTILE, attempt: 1, delayMs: 1 })
        out.show({ type: 'workflow-finished', workflow })
      }
      const text = { ...head.messagesToThredd?.[0], text: HOSTILE } as NonNullable<
        RunRecord['messagesToThredd']
      >[number]
      out.summary({ ...head, warnings: [HOSTILE], messagesToThredd: [text] }, `${NAME}/record.json`)
    }),
  'run --dry-run': () => screen(async (_, out) => out.preview(await dryRun())),
  'run --json': async () =>
    jsonLine({ type: 'dry-run', ...(await dryRun()) }) +
    workflows.flatMap(({ steps }) => steps.map((step) => jsonLine({ type: 'step-finished', step }))).join(''),
  list: () =>
    screen(async (write) =>
      writeList(
        spoilt(await overviewOf(await surveyed()), HOSTILE) as Parameters<typeof writeList>[0],
        on(write),
        commandsFor([]),
      ),
    ),
  'list --json': async () => json(spoilt(await overviewOf(await surveyed()), HOSTILE)),
  show: () =>
    screen(async (write) =>
      writeDetails(spoilt(await detailsOf(await surveyed()), HOSTILE) as Parameters<typeof writeDetails>[0], on(write)),
    ),
  'show --json': async () => json(spoilt(await detailsOf(await surveyed()), HOSTILE)),
  doctor: () => screen(async (write) => writeRows(await examined(), SPOILT, { screen: on(write), online: false })),
  'doctor --json': async () => json({ ...SPOILT, rows: await examined() }),
  csr: () =>
    screen((write) => {
      const program = { root: ROOT, here: root, project: root, variables: {}, stdout: new PassThrough(), write }
      const flags = {
        out: `csr ${NAME}`,
        name: 'a',
        subject: `/O=${HOSTILE.replaceAll(/[\p{Cc}/\\]/gu, '').slice(0, 60)}/CN=a`,
      }
      return performCsr(invocation(['transport'], flags), program as unknown as Program)
    }),
  completion: () =>
    screen((write) => completionOf(COMMANDS)(invocation([HOSTILE]), { root: ROOT, write } as unknown as Program)),
  token: () => tokenSays({}),
  'token --reveal': () => tokenSays({ reveal: true }),
  'token --json': () => tokenSays({ json: true, reveal: true }),
  message: async () => requestedMessage('delete-client', change, application),
  report: () => reportSays(NAME, '--format', 'md'),
  'report --compare': () => reportSays(NAME, '--compare', 'before'),
  'report --index': () => reportSays('--index'),
  'report --pack': () => reportSays(NAME, '--pack', NAME),
  verify: verifySays,
  mock: async () =>
    requestLine({
      time: '2026-01-01T00:00:00Z',
      method: HOSTILE,
      url: HOSTILE,
      certificate: `CN=${HOSTILE}`,
      status: 0,
      decision: HOSTILE,
    } as Parameters<typeof requestLine>[0]),
  'mock compare': async () =>
    comparisonText(
      { runId: HOSTILE, counterparty: 'network' },
      { differences: [difference], switches: new Map([[difference, HOSTILE]]), left: [difference] },
    ),
  'vault list': () => vaultSays('list'),
  'vault show': () => vaultSays('show'),
  'vault history': () => vaultSays('history'),
  'vault export': () => vaultSays('export'),
  'vault import': importSays,
  'vault rotate-key': () => vaultSays('rotate-key', HOSTILE),
  'vault forget': () => vaultSays('forget'),
  'vault recover': () => vaultSays('recover'),
  'vault check': () => vaultSays('check'),
  'vault --json': async () =>
    (await Promise.all(['list', 'show', 'history', 'check'].map((word) => vaultSays(word, '--json')))).join(''),
  cleanup: () => cleanUpSays({}),
  'cleanup --json': () => cleanUpSays({ json: true }),
  export: async () => {
    const exported = requestsOfPreview((await dryRun()).workflows)
    const named = { title: HOSTILE, toSet: [HOSTILE] }
    const after = { status: 200, captures: [{ variable: 'v', expression: HOSTILE }] }
    const collection = postmanCollection(exported, named, () => after)
    return `${collection}${harArchive(exported, HOSTILE)}${lines(curlScript(exported, named, () => after))}`
  },
  init: () => initialised({}),
  'init --dry-run': () => initialised({ 'dry-run': true }),
  import: () => imported({}),
  'import --dry-run': () => imported({ 'dry-run': true }),
  lint: () => lintedFlow({}),
  'lint --json': () => lintedFlow({ json: true }),
}

/** What is typed of a command: itself, the words in its usage, and its flags that change how or what it prints. */
const TYPED = Object.entries(COMMANDS).flatMap(([name, { usage, flags }]) => {
  const words = /^thredd (?:vault|mock) \[([a-z|-]+)[\] ]/.exec(usage)?.[1]?.split('|') ?? []
  const printing = ['json', 'reveal', 'dry-run', 'compare', 'index', 'pack'].filter((flag) => flag in flags)
  return [
    ...(words.length > 1 ? [] : [name]),
    ...words.map((word) => `${name} ${word}`),
    // A secret is shown with its command, and what is left behind with that of the clean-up.
    ...(['vault', 'cleanup'].includes(name) ? ['json'] : printing).map((flag) => `${name} --${flag}`),
  ]
})

test('every command, and every way in which it prints, is among the printers', () => {
  expect(Object.keys(PRINTERS).toSorted()).toEqual(TYPED.toSorted())
})

test.each(Object.entries(PRINTERS))('thredd %s prints no command for a terminal or a log', async (_, print) => {
  const text = await print()

  expect(text).toMatch(/u001b|u202e/)
  expect(commandsIn(text)).toEqual([])
})

test('an error, and warnings', async () => {
  const at = { file: HOSTILE, line: 1, column: 1 }
  const problem = { code: HOSTILE, message: HOSTILE, at, expected: HOSTILE, found: HOSTILE, hint: HOSTILE }
  const printer = new Printer({ stream: new PassThrough(), write() {} })

  expect(commandsIn(printer.problem({ ...problem, code: 'FLOW_YAML' }, HOSTILE))).toEqual([])
  expect(commandsIn(await screen((_, out) => out.warnings([HOSTILE])))).toEqual([])
})

test('what vitest is told of a flow', async () => {
  const settings = { folder: root, root, environment: 'mock' } as unknown as Parameters<typeof errorOf>[1]
  const problem = { code: 'FLOW_YAML', message: HOSTILE, hint: HOSTILE }
  const error = errorOf([problem], settings, undefined, [HOSTILE]) as AggregateError
  const told: string[] = []
  const module = { project: { name: NAME }, moduleId: 'a', meta: () => ({ thredd: [record] }) } as unknown as TestModule
  await report([module], { projects: [NAME], root, out: NAME, log: (text) => told.push(text) })

  expect(told.length).toBeGreaterThan(0)
  expect(commandsIn([...error.errors.map(({ stack }) => stack as string), ...told].join('\n'))).toEqual([])
})

/** The readers of the report files: what each file says of its form must be the same for a hostile and a harmless record. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  html: elementsOf,
  junit: elementsOf,
  md: marksOf,
  ctrf: (text) => JSON.parse(text) && steeringIn(''),
  har: (text) => JSON.parse(text) && steeringIn(''),
}

test('every report format has a reader', () => {
  expect(Object.keys(READERS).toSorted()).toEqual(Object.keys(FORMATS).toSorted())
})

test.each(Object.entries(FORMATS))('%s has the same form whatever the texts in it are', (name, { convert }) => {
  const [hostile, harmless] = [HOSTILE, HARMLESS].map((text) =>
    READERS[name]?.(whole(convert(reported(hostileRecord(text))))),
  )

  expect(hostile).toEqual(harmless)
})

/** A run and one that cannot be read, and what they are joined to. */
function storedAs(text: string, run: RunRecord): [readonly Stored[], readonly History[]] {
  const stored = [
    { folder: text, facts: factsOf(text, run) },
    { folder: 'a', problem: text },
  ]
  const environment = { ...run.environment, name: text }
  const { startedAt: now, runId: baseline } = run
  const named = [{ folder: text, facts: factsOf(text, { ...run, environment }) }, ...stored.slice(1)]
  const history = historyOf(named, { environment, now, baseline, decisions: decidedAs(text) })
  return [stored, history === undefined ? [] : [history]]
}

function decidedAs(text: string): RunRecord['decisions'] {
  const date = '2026-01-01'
  return {
    ...{ file: text, sha256: '00'.repeat(32), rows: [] },
    accepted: [{ requirements: ['DISC-09', 'REG-01'], reason: text, owner: text, until: '2999-01-01' }],
    confirmations: [{ requirement: 'REGN-01', who: text, date, note: text, reference: text }],
    reviews: [{ requirement: 'THREDD-DCR-3.3.2-01', reviewer: text, date, note: text }],
    signOff: [{ name: text, role: text, date, note: text }],
  }
}

test('the joined runs have the same form whatever the texts in them are', () => {
  const [[, [hostile]], [, [harmless]]] = [storedAs(HOSTILE, record), storedAs(HARMLESS, hostileRecord(HARMLESS))]
  if (hostile === undefined || harmless === undefined) throw new Error('nothing was joined')

  expect(elementsOf(whole(historyPage(hostile)))).toEqual(elementsOf(whole(historyPage(harmless))))
  expect(marksOf(whole(historyMarkdown(hostile)))).toEqual(marksOf(whole(historyMarkdown(harmless))))
  expect(steeringIn(whole(historyPage(hostile)))).toEqual([])
  expect(steeringIn(json(historyJson(hostile)))).toEqual([])
})

test('HTML and Markdown have no hidden character of the server, and Markdown mentions nobody', () => {
  const page = whole(FORMATS.html.convert(reported(record)))
  const markdown = whole(FORMATS.md.convert(reported(record)))
  const index = whole(runsPage(...storedAs(HOSTILE, record)))
  const other = whole(runsPage(...storedAs(HARMLESS, hostileRecord(HARMLESS))))

  expect(elementsOf(index)).toEqual(elementsOf(other))
  for (const text of [page, index, markdown.replaceAll('@\u200b', '@')]) expect(steeringIn(text)).toEqual([])
})

test('junit.xml is well-formed for a parser of XML', async () => {
  const contents = whole(FORMATS.junit.convert(reported(record)))

  expect(await validateXML({ xml: [{ fileName: 'junit.xml', contents }], normalization: 'format' })).toMatchObject({
    valid: true,
  })
})

test('workflow commands for GitHub are ours alone, one a line; the list for GitLab is JSON', () => {
  const commands = githubAnnotations(
    { ...head, environment: { ...head.environment, class: 'uat' }, warnings: [HOSTILE] },
    workflows,
  )
  const isOurs = /^::(?:error|warning) (?:file=[^,:\n]*,line=\d+,title=[^,:\n]*|title=thredd)::[^\n\r]*$/

  expect(commands.length).toBeGreaterThan(1)
  expect(commands.filter((one) => !isOurs.test(one))).toEqual([])
  expect(commandsIn(commands.join('\n').replaceAll(/^::/gm, ''))).toEqual([])
  expect(() => JSON.parse(whole(gitlabCodeQuality(head, workflows)))).not.toThrow()
})

test('a shell that is given the curl command of a call runs nothing else', async () => {
  const owned = join(root, 'owned')
  const text = `'; touch ${owned}; '$(touch ${owned})\`touch ${owned}\`\n touch ${owned}\n`
  const step = hostileRecord(text).workflows[0]?.steps[0]?.exchanges[0]
  if (step === undefined) throw new Error('the record holds an exchange')
  const { request } = step
  const cut = { ...request, method: text, body: { ...request.body, truncated: true as const, sha256: text } }
  const command = curl({ ...step, request: cut }, { identity: text, ownAuthorities: true })

  execFileSync('/bin/sh', ['-c', `curl() { :; }\n${command}`])
  expect(existsSync(owned)).toBe(false)
})

test('a variable of a registration in Postman is JSON, whatever the server sent', async () => {
  const registration = (await (await hostileVault()).list()).registrations[0]
  if (registration === undefined) throw new Error('the vault holds a client')

  expect(JSON.parse(toVariables(registration, 'postman', HOSTILE))).toMatchObject({
    values: [{ key: 'client_id', value: registration.clientId }, {}, {}],
  })
  expect(() => toVariables(registration, 'dotenv', HOSTILE)).toThrow('no .env file carries safely')
})
