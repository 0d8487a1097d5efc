/**
 * `thredd init`: writes the user's own environment file: empty lines to fill in, values from flags, or an import from Postman. The
 * only question it asks is whether to replace what is there.
 */
import { existsSync } from 'node:fs'
import { basename, dirname, relative } from 'node:path'
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { environmentFile, type FileToWrite, ignoreFile, writeFiles } from '../import/files.ts'
import type { Setting } from '../import/settings.ts'
import type { Invocation, Program } from './command.ts'
import { ASKED, demandReplacement, environmentName, importPostman, settingsGiven } from './import.ts'
import { environmentOptions } from './run-options.ts'

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

function nextWords(environment: Environment, given: readonly Setting[], name: string): string {
  const names = environment.class === 'mock' ? [] : missing(environment, given).map(([one]) => one)
  const rest = names.length === 0 ? '' : line`to be filled in, in ${basename(name)}: ${names.join(', ')}\n`
  return `${rest}next: ${commandsFor(environment.flags)('compareKeys')}\n`
}
