/**
 * `thredd init`: writes the user's own environment file (empty lines to fill in, values from flags, or an import from Postman),
 * makes a first flow and a vitest configuration in a project that depends on this package, and ends with what doctor finds. The
 * only question it asks is whether to replace what is there.
 */
import { existsSync } from 'node:fs'
import { basename, dirname, relative } from 'node:path'
import { type Environment, type EnvironmentOptions, loadEnvironment } from '../../environment/index.ts'
import { fail, ToolError } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { examine } from '../../run/examine.ts'
import { type Examined, rowsOfRefusal } from '../../run/examined.ts'
import { environmentFile, type FileToWrite, ignoreFile, writeFiles } from '../import/files.ts'
import type { Setting } from '../import/settings.ts'
import type { Invocation, Program } from './command.ts'
import { ASKED, demandReplacement, environmentName, importPostman, settingsGiven } from './import.ts'
import { environmentOptions, selectionOf, twinFolder } from './run-options.ts'
import { type Scaffold, scaffoldOf } from './scaffold.ts'

/** What doctor finds changes no exit code: certificates and ids that are still missing are the usual state at this point. */
export async function performInit(invocation: Invocation, program: Program): Promise<number> {
  const options = { ...environmentOptions(invocation, program), env: environmentName(invocation, program) }
  const collections = invocation.texts('from-postman')
  const made = scaffoldOf(program)
  const code =
    collections.length > 0
      ? await importPostman([...collections, ...invocation.words], invocation, program)
      : await writeSettings(options, made, invocation, program)
  if (collections.length > 0 && made !== undefined)
    await write([...ignoreFile(program.project, made.ignored), ...made.files], invocation, program)
  program.write((made?.byHand ?? []).map((one) => line`${one}\n`).join(''))
  if (invocation.has('dry-run')) return code
  const [flags, found] = await survey(options, invocation, program)
  const command = commandsFor(flags)
  const isReady = found.every(({ state }) => state !== 'wrong')
  const next = [
    ...(made === undefined ? [] : ['npx thredd run register --env mock', made.test]),
    `npx ${command(isReady ? 'compareKeys' : 'doctor')}`,
  ]
  program.write(next.map((one) => line`next: ${one}\n`).join(''))
  return code
}

async function writeSettings(
  options: EnvironmentOptions,
  made: Scaffold | undefined,
  invocation: Invocation,
  program: Program,
): Promise<number> {
  if (invocation.words.length > 0) {
    fail({
      code: 'USAGE',
      message: `"thredd init" takes no "${invocation.words[0]}"`,
      hint: 'files of Postman stand after --from-postman',
    })
  }
  const environment = await loadEnvironment(options)
  const { localFile: file } = environment
  const given = settingsGiven(invocation, environment, program)
  const ignored = ignoreFile(dirname(file), made?.ignored)
  await write([...ignored, ...localFile(environment, given), ...(made?.files ?? [])], invocation, program)
  const names = environment.class === 'mock' ? [] : missing(environment, given).map(([name]) => name)
  if (names.length > 0) program.write(line`to be filled in, in ${relative(program.here, file)}: ${names.join(', ')}\n`)
  return 0
}

/** Lists the files, and writes them unless it is a dry run. */
async function write(files: readonly FileToWrite[], invocation: Invocation, program: Program): Promise<void> {
  announce(files, program)
  if (invocation.has('dry-run')) return program.write('nothing was written\n')
  await demandReplacement(files, invocation, program)
  await writeFiles(files)
}

function announce(files: readonly FileToWrite[], { here, write }: Program): void {
  for (const { file, replaces } of files)
    write(line`${relative(here, file)}${replaces === undefined ? '' : `, which replaces ${replaces}`}\n`)
}

/** What doctor would find, in short: what is to be mended, without the flows that wait for it. */
async function survey(
  options: EnvironmentOptions,
  invocation: Invocation,
  program: Program,
): Promise<readonly [flags: readonly string[], rows: readonly Examined[]]> {
  const [flags, rows] = await examined(options, invocation, program)
  const wrong = rows.filter(({ state }) => state === 'wrong')
  const ready = rows.find(({ area, what }) => area === 'flows' && what === 'ready')
  const shown = wrong.filter(({ area }) => area !== 'flows')
  program.write(
    [
      line`environment ${basename(options.env).replace(/^\.env\./, '')}: ${wrong.length === 0 ? 'nothing to mend' : `${wrong.length} to mend`}${ready === undefined ? '' : `, ${ready.sentence} ready`}\n`,
      ...shown.map(({ what, sentence }) => line`  ${what}: ${sentence}\n`),
    ].join(''),
  )
  return [flags, rows]
}

async function examined(
  options: EnvironmentOptions,
  invocation: Invocation,
  program: Program,
): Promise<readonly [flags: readonly string[], rows: readonly Examined[]]> {
  try {
    const environment = await loadEnvironment(options)
    const selection = { ...selectionOf(invocation, program), flows: [] }
    const rows = await examine({
      environment,
      inputs: new Map(),
      twinFolder: twinFolder(program),
      selection,
      minDays: undefined,
    })
    return [environment.flags, rows]
  } catch (error) {
    // Settings that contradict each other: the file is written, and is mended by hand.
    if (!(error instanceof ToolError)) throw error
    return [['--env', options.env], rowsOfRefusal(error)]
  }
}

/** Those that neither the environment nor a flag sets. */
function missing({ setting }: Environment, given: readonly Setting[]): typeof ASKED {
  return ASKED.filter(([name]) => !given.some((one) => one.name === name) && setting(name.toLowerCase()) === undefined)
}

/** The settings that are given, and a line to fill in for each of the others. */
function localFile(environment: Environment, given: readonly Setting[]): readonly FileToWrite[] {
  const { localFile: file } = environment
  if (existsSync(file)) return environmentFile(file, given)
  const open = missing(environment, given).map(([name, where]) => `# ${where}\n${name}=`)
  const [made] = environmentFile(file, given)
  const head = made?.text ?? '# Values of your own for this environment. Git-ignored: it may hold secrets.\n'
  return [{ file, text: `${head}${open.join('\n')}${open.length === 0 ? '' : '\n'}`, mode: 0o600 }]
}
