/** `thredd import postman`: shows what it would write, asks where something would be replaced, writes it, and says what comes next. */
import { existsSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { type Environment, isSetting, loadEnvironment, nearestSetting } from '../../environment/index.ts'
import { readFlowDocument } from '../../flow/document/document.ts'
import { writeDocument } from '../../flow/document/write.ts'
import { exitCode, lint } from '../../flow/lint/index.ts'
import { plannedEffect } from '../../plan/effect.ts'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { readTextFile, whyUnread } from '../../record/regular-file.ts'
import { count } from '../../report/words.ts'
import { registrationsIn } from '../../vault/index.ts'
import { environmentFile, type FileToWrite, ignoreFile, ordinaryFile, pathFrom, writeFiles } from '../import/files.ts'
import { shortList, wholeList } from '../import/list.ts'
import { type ImportPlan, planImport, type Target } from '../import/plan.ts'
import { type Setting, unusable } from '../import/settings.ts'
import { readSource, type Source } from '../import/source.ts'
import { slug } from '../import/values.ts'
import type { Invocation, Program } from './command.ts'
import { consoleOn } from './console.ts'
import { clientIdOf, environmentOptions, foldersOf, typedClientId, typedWord } from './run-options.ts'
import { pathOfFlows } from './scaffold.ts'
import { performVault } from './vault.ts'
import { vaultIo } from './vault-command.ts'

const LIST = 'postman-import.md'

export async function performImport(invocation: Invocation, program: Program): Promise<number> {
  const [format, ...names] = invocation.words
  if (format !== 'postman') {
    fail({
      code: 'USAGE',
      message: format === undefined ? 'the import needs a format' : `"${format}" is not imported`,
      expected: 'thredd import postman <collection.json> [environment.json …]',
      hint: 'collections of Postman alone are imported; Bruno and Insomnia can export one',
    })
  }
  return await importPostman(names, invocation, program)
}

/** Also for `thredd init --from-postman`. */
export async function importPostman(
  names: readonly string[],
  invocation: Invocation,
  program: Program,
): Promise<number> {
  if (names.length === 0)
    fail({
      code: 'USAGE',
      message: 'the import needs a file',
      expected: 'thredd import postman <collection.json> [environment.json …]',
    })
  const sources = names.map((name) => readSource(readText(name, program), name))
  const environment = await loadEnvironment({
    ...environmentOptions(invocation, program),
    env: environmentName(invocation, program),
  })
  const plan = planImport(sources, await targetOf(environment, program))
  const given = settingsGiven(invocation, environment, program)
  const files = filesOf(plan, { environment, given, program })
  const registration = registrationOf(plan, sources)
  const { write, warn } = program
  for (const warning of plan.warnings) warn(line`warning ${warning}\n`)
  write(`${planWords(plan, { environment, files, given, registration, program })}\n`)
  if (invocation.has('dry-run')) {
    write('nothing was written\n')
    return 0
  }
  await demandPermission({ files, registration, environment, invocation, program })
  await writeFiles(files)
  const imported = registration === undefined ? 0 : await intoVault(registration, invocation, program)
  const findings = await lintImported(files, program)
  write(`${nextWords(plan, { environment, program })}\n`)
  return Math.max(imported, findings)
}

/** The environment that is meant: UAT unless another one is named, since the twin needs nothing from Postman. */
export function environmentName(invocation: Invocation, { variables }: Program): string {
  return invocation.text('env') ?? (variables.THREDD_ENV || 'uat')
}

function readText(name: string, { here }: Program): string {
  try {
    return readTextFile(resolve(here, name), FILE_LIMITS.importBytes.value)
  } catch (cause) {
    return fail({ code: 'IMPORT', message: `file "${name}" cannot be read: ${whyUnread(cause)}` }, cause)
  }
}

async function targetOf(environment: Environment, { root, project }: Program): Promise<Target> {
  const document = await readFlowDocument(join(root, 'flows', 'register.arazzo.yaml'), 'flow')
  const { workflows } = document.data as {
    workflows: { steps: { stepId: string; requestBody?: { payload: Record<string, unknown> } }[] }[]
  }
  const body = workflows[0]?.steps.find(({ stepId }) => stepId === 'register')?.requestBody?.payload ?? {}
  return {
    name: environment.name,
    class: environment.class,
    valueOf: (name) => {
      const value = environment.setting(name.toLowerCase())?.value
      return typeof value === 'string' ? value : undefined
    },
    flows: pathOfFlows(join(project, 'flows', 'imported'), { root, project }),
    registerBody: body,
  }
}

/** `--set NAME=value`: what is in no file of Postman, such as the certificates for each host. */
export function settingsGiven(
  invocation: Invocation,
  { localFile }: Environment,
  { here }: Program,
): readonly Setting[] {
  return [...invocation.pairs('set')].map(([name, text]) => {
    if (!isSetting(name)) {
      const meant = nearestSetting(name)
      fail({
        code: 'USAGE',
        message: `"--set ${name}" names no setting`,
        hint: meant === undefined ? 'docs/environment.md lists them' : `did you mean "--set ${meant}=…"?`,
      })
    }
    const value = /_FILE$|_DIR$/.test(name) ? pathFrom(localFile, isAbsolute(text) ? text : resolve(here, text)) : text
    const expected = unusable(name, value)
    if (expected !== undefined) fail({ code: 'USAGE', message: `"--set ${name}" cannot have this value`, expected })
    return { name, value, from: 'given on the command line' }
  })
}

interface Around {
  readonly environment: Environment
  readonly given: readonly Setting[]
  readonly program: Program
}

function filesOf(plan: ImportPlan, { environment, given, program }: Around): readonly FileToWrite[] {
  const { localFile, name, folder } = environment
  const names = new Set(given.map((one) => one.name))
  const keys = plan.carried.files.filter((one) => !names.has(one.name))
  const keyFiles = keys.map((key) => ({ ...key, path: join(folder, 'keys', `${name}-${key.file}`) }))
  const settings = [
    ...plan.settings.filter((one) => !names.has(one.name)),
    ...keyFiles.map(({ name: setting, path, from }) => ({ name: setting, value: pathFrom(localFile, path), from })),
    ...given,
  ]
  const into = join(program.project, 'flows', 'imported')
  const { flow, descriptions } = plan.imported
  return [
    ...ignoreFile(dirname(localFile)),
    ...keyFiles.flatMap(({ path, value }) => ordinaryFile(path, keyText(value), 0o600)),
    ...environmentFile(localFile, settings),
    ...(flow === undefined
      ? []
      : ordinaryFile(join(into, `${slug(plan.collection ?? '', '-')}.arazzo.yaml`), writeDocument(flow))),
    ...[...descriptions].flatMap(([file, data]) => ordinaryFile(join(into, 'apis', file), writeDocument(data))),
    ...ordinaryFile(join(program.project, LIST), wholeList(plan)).map((one) => ({ ...one, replaces: undefined })),
  ]
}

/** A key that was copied into one line has its line ends as \n. */
function keyText(text: string): string {
  const lines = text.includes('\n') ? text : text.replaceAll('\\r', '').replaceAll('\\n', '\n')
  return lines.endsWith('\n') ? lines : `${lines}\n`
}

/** As JSON that the import of the vault reads: the variables, or the file with the saved answer. */
function registrationOf({ carried }: ImportPlan, sources: readonly Source[]): string | undefined {
  if (carried.registration !== undefined) return JSON.stringify(carried.registration)
  for (const { name, data } of sources) {
    const text = JSON.stringify(data.item ?? [])
    if (registrationsIn(text, { name, dotenv: () => ({}) }).length > 0) return text
  }
  return undefined
}

interface Planned extends Around {
  readonly files: readonly FileToWrite[]
  readonly registration: string | undefined
}

function planWords(plan: ImportPlan, { environment, files, given, registration, program }: Planned): string {
  const shown = (file: string) => relative(program.here, file) || basename(file)
  const settings = [...plan.settings, ...given].map(({ name, value, from }) => {
    const isShown = name.startsWith('SERVER_') || /_(?:ALG|METHOD|REGION)$/.test(name)
    return line`  ${name}${isShown ? ` ${value}` : ''}, from ${from}`
  })
  const documented = plan.requests.filter((one) => one.documented !== undefined)
  return [
    line`into environment "${environment.name}" (class ${environment.class}):`,
    ...settings,
    ...plan.carried.files.map(({ name, from }) => line`  ${name}, a file of its own, from ${from}`),
    ...(plan.same.length === 0
      ? []
      : [line`  as they are there already: ${plan.same.map(({ name }) => name).join(', ')}`]),
    ...(registration === undefined
      ? []
      : ['  the registration (registration_access_token, registration_client_uri), into the vault']),
    ...documented.map(
      ({ request, documented }) => line`  request ${JSON.stringify(request.name)}: flow ${documented?.flow}`,
    ),
    ...plan.imported.workflows.map(
      ({ workflowId, requests }) =>
        line`  new workflow ${workflowId}: ${requests.map((one) => JSON.stringify(one)).join(', ')}`,
    ),
    'files:',
    ...files.map(
      ({ file, replaces }) => line`  ${shown(file)}${replaces === undefined ? '' : `, which replaces ${replaces}`}`,
    ),
    shortList(plan),
  ].join('\n')
}

interface Asking extends Omit<Planned, 'given'> {
  readonly invocation: Invocation
}

/** Before anything is written. @throws ToolError USAGE where a person has not agreed */
async function demandPermission({ files, registration, environment, invocation, program }: Asking): Promise<void> {
  const replaced = files.filter(({ replaces }) => replaces !== undefined)
  const clientId = clientIdOf(environment) ?? clientIdIn(registration, files)
  const mustConfirm =
    registration !== undefined && environment.class !== 'mock' && !invocation.texts('confirm').includes(clientId ?? '')
  const canAsk = program.stdin.isTTY === true && program.stderr.isTTY === true
  const mustAsk = replaced.length > 0 && !invocation.has('yes')
  if (!canAsk && (mustAsk || mustConfirm)) {
    const flags = [...(mustAsk ? ['--yes'] : []), ...(mustConfirm ? [`--confirm ${clientId ?? '<client_id>'}`] : [])]
    fail({
      code: 'USAGE',
      message: `${[...(mustAsk ? [`${count(replaced.length, 'file')} would be replaced`] : []), ...(mustConfirm ? ['the vault would take in a registration of a client that may be live'] : [])].join(', and ')}; nothing was written`,
      hint: `read above what would be done, then repeat the command with ${flags.join(' ')}`,
    })
  }
  await demandReplacement(files, invocation, program)
}

/** @throws ToolError USAGE where a file would be replaced, and neither --yes nor a typed yes allows it */
export async function demandReplacement(
  files: readonly FileToWrite[],
  invocation: Invocation,
  program: Program,
): Promise<void> {
  const replaced = files.filter(({ replaces }) => replaces !== undefined)
  if (replaced.length === 0 || invocation.has('yes')) return
  if (program.stdin.isTTY !== true)
    fail({
      code: 'USAGE',
      message: `${count(replaced.length, 'file')} would be replaced; nothing was written`,
      hint: 'read above what would be done, then repeat the command with --yes',
    })
  program.warn(`${count(replaced.length, 'file')} would be replaced, as said above\n`)
  if ((await typedWord('Type yes to go on: ', program)) !== 'yes')
    fail({ code: 'USAGE', message: 'not agreed to; nothing was written' })
}

/** CLIENT_ID as the environment file will have it. */
function clientIdIn(registration: string | undefined, files: readonly FileToWrite[]): string | undefined {
  const written = files.map(({ text }) => /^CLIENT_ID='?([^'\n]+)'?$/m.exec(text)?.[1]).find((one) => one !== undefined)
  if (written !== undefined || registration === undefined) return written
  const found = registrationsIn(registration, { name: 'import', dotenv: () => ({}) })
  return found.find((one) => one.clientId !== undefined)?.clientId
}

async function intoVault(text: string, invocation: Invocation, program: Program): Promise<number> {
  const environment = await loadEnvironment({
    ...environmentOptions(invocation, program),
    env: environmentName(invocation, program),
  })
  return await performVault(['import', 'Postman'], invocation, {
    ...vaultIo(environment, program),
    runId: 'import',
    given: text,
    passphrase: async () => fail({ code: 'USAGE', message: 'an export of this tool is not imported from Postman' }),
    ask: program.stdin.isTTY ? () => typedClientId(program) : undefined,
  })
}

/** The exit code of lint for the flow that was written. */
async function lintImported(files: readonly FileToWrite[], program: Program): Promise<number> {
  const flows = files.map(({ file }) => file).filter((file) => file.endsWith('.arazzo.yaml'))
  if (flows.length === 0) return 0
  const report = await lint({ paths: flows, folders: foldersOf(program), effectOf: plannedEffect })
  const problems = report.findings
    .filter(({ level }) => level !== 'hint')
    .map(({ rule, ...finding }) => ({ code: rule, ...finding }))
  if (problems.length > 0) consoleOn(program.stderr, program).problems(problems, report.sources)
  return exitCode(report, { strict: false })
}

/** What every customer has to say for UAT or production, and where it is found. */
export const ASKED: readonly (readonly [name: string, where: string])[] = [
  ['CLIENT_ID', 'Thredd CA > Applications > (your application) > Details: the client id, whole'],
  ['ORG_ID', 'the id of the organisation in Thredd CA'],
  ['SOFTWARE_ID', 'the id of the application in Thredd CA'],
  ['ROLES', 'its roles, separated by spaces'],
  ['TRANSPORT_CERT_FILE', 'the transport certificate (…-rtstransport): Thredd CA > Certificates'],
  ['TRANSPORT_KEY_FILE', 'its private key'],
  ['SIGNING_KID', 'Thredd CA > App Certificates, key type rtssigning'],
  ['SIGNING_KEY_FILE', 'the private key of the signing certificate'],
]

function nextWords(plan: ImportPlan, { environment, program }: Omit<Around, 'given'>): string {
  const text = existsSync(environment.localFile) ? readTextFile(environment.localFile) : ''
  const isSet = (name: string) =>
    new RegExp(`^${name}=.`, 'm').test(text) || environment.setting(name.toLowerCase()) !== undefined
  const missing = ASKED.map(([name]) => name).filter((name) => !isSet(name))
  const flows = [...new Set(plan.requests.flatMap(({ documented }) => documented?.flow ?? []))]
  const asked = [...new Set(plan.imported.workflows.flatMap((one) => one.asked))]
  return [
    line`everything that was not carried over: ${relative(program.here, join(program.project, LIST))}`,
    ...(missing.length === 0
      ? []
      : [line`not in the files, to be set in ${relative(program.here, environment.localFile)}: ${missing.join(', ')}`]),
    ...(missing.some((name) => name.startsWith('TRANSPORT'))
      ? [
          'certificates for each host stand in the settings of Postman (Settings > Certificates): one certificate and key serve all hosts here; for one host alone see IDENTITY_FOR_<SOURCE>',
        ]
      : []),
    ...(asked.length === 0 ? [] : [line`inputs without a value, for --input: ${asked.join(', ')}`]),
    `next: ${commandsFor(environment.flags)('compareKeys')}`,
    ...(flows.length === 0 ? [] : [line`flows that make the documented calls: ${flows.join(', ')}`]),
  ].join('\n')
}
