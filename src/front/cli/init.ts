/** `thredd init`: the environment file of a person, from nothing, from flags, or from what stands in Postman. Asks nothing but whether to replace. */
import { existsSync } from 'node:fs'
import { basename, dirname, relative } from 'node:path'
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { environmentFile, type FileToWrite, ignoreFile, writeFiles } from '../import/files.ts'
import type { Setting } from '../import/settings.ts'
import type { Invocation, Program } from './command.ts'
import { demandReplacement, environmentName, importPostman, settingsGiven } from './import.ts'
import { environmentOptions } from './run-options.ts'

/** What every customer has to say for UAT or production, and where it is found. */
const ASKED: readonly (readonly [name: string, where: string])[] = [
  ['CLIENT_ID', 'Thredd CA > Applications > (your application) > Details: the client id, whole'],
  ['ORG_ID', 'the id of the organisation in Thredd CA'],
  ['SOFTWARE_ID', 'the id of the application in Thredd CA'],
  ['ROLES', 'its roles, separated by spaces'],
  ['TRANSPORT_CERT_FILE', 'the transport certificate (…-rtstransport): Thredd CA > Certificates'],
  ['TRANSPORT_KEY_FILE', 'its private key'],
  ['SIGNING_KID', 'Thredd CA > App Certificates, key type rtssigning'],
  ['SIGNING_KEY_FILE', 'the private key of the signing certificate'],
]

export async function performInit(invocation: Invocation, program: Program): Promise<number> {
  const files = invocation.texts('from-postman')
  if (files.length > 0) return await importPostman([...files, ...invocation.words], invocation, program)
  if (invocation.words.length > 0) {
    fail({
      code: 'USAGE',
      message: `"thredd init" takes no "${invocation.words[0]}"`,
      hint: 'files of Postman stand after --from-postman',
    })
  }
  const environment = await loadEnvironment({
    ...environmentOptions(invocation, program),
    env: environmentName(invocation, program),
  })
  const given = settingsGiven(invocation, environment, program)
  const written = [...ignoreFile(dirname(environment.localFile)), ...localFile(environment, given)]
  const name = relative(program.here, environment.localFile)
  program.write(
    written
      .map(
        ({ file, replaces }) =>
          line`${relative(program.here, file)}${replaces === undefined ? '' : `, which replaces ${replaces}`}\n`,
      )
      .join(''),
  )
  if (invocation.has('dry-run')) {
    program.write('nothing was written\n')
    return 0
  }
  await demandReplacement(written, invocation, program)
  await writeFiles(written)
  program.write(nextWords(environment, given, name))
  return 0
}

/** The settings that are given, and a line to fill in for each of the others. */
function localFile({ localFile: file, setting }: Environment, given: readonly Setting[]): readonly FileToWrite[] {
  const isSet = (name: string) => given.some((one) => one.name === name) || setting(name.toLowerCase()) !== undefined
  if (existsSync(file)) return environmentFile(file, given)
  const open = ASKED.filter(([name]) => !isSet(name)).map(([name, where]) => `# ${where}\n${name}=`)
  const [made] = environmentFile(file, given)
  const head = made?.text ?? '# Values of your own for this environment. Git-ignored: it may hold secrets.\n'
  return [{ file, text: `${head}${open.join('\n')}${open.length === 0 ? '' : '\n'}`, mode: 0o600 }]
}

function nextWords(
  { setting, flags, class: environmentClass }: Environment,
  given: readonly Setting[],
  name: string,
): string {
  const isSet = (one: string) => given.some((each) => each.name === one) || setting(one.toLowerCase()) !== undefined
  const missing = environmentClass === 'mock' ? [] : ASKED.filter(([one]) => !isSet(one)).map(([one]) => one)
  const rest = missing.length === 0 ? '' : line`to be filled in, in ${basename(name)}: ${missing.join(', ')}\n`
  return `${rest}next: ${commandsFor(flags)('compareKeys')}\n`
}
