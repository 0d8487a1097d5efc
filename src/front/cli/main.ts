/** `thredd`: the command line of this process, from its arguments to its exit code. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { projectFolder } from '../../environment/project.ts'
import { ToolError } from '../../record/errors.ts'
import { lines } from '../../record/foreign.ts'
import { textIfReadable } from '../../record/regular-file.ts'
import { versionOf } from '../provenance.ts'
import { parseCommandLine } from './arguments.ts'
import type { Command, Program } from './command.ts'
import { COMMANDS } from './commands.ts'

/** Runs the command line of this process and sets its exit code. `root` is the folder of the package. */
export async function main(root: string): Promise<void> {
  // A reader that goes away (| head) must not end a run that changes a client.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const program = programOf(root)
  try {
    process.exitCode = await perform(process.argv.slice(2), program)
  } catch (error) {
    if (error instanceof ToolError) {
      const { consoleOn } = await import('./console.ts')
      const console = consoleOn(process.stderr, program)
      console.warnings(error.warnings)
      console.problems(error.problems, sources(error))
      process.exitCode = error.exitCode
    } else {
      const text = error instanceof Error ? error.stack : String(error)
      program.warn(lines(`This is a bug; please report it.\n${text}\n`))
      process.exitCode = 70
    }
  }
}

async function perform(argv: readonly string[], program: Program): Promise<number> {
  const parsed = parseCommandLine(argv)
  if (parsed.kind === 'version') program.write(`${program.version}\n`)
  else if (parsed.kind === 'help') {
    const { helpText } = await import('./help.ts')
    program.write(await helpText(parsed.topic, program.version))
  } else {
    const { handler }: Command = COMMANDS[parsed.name]
    return await (await handler())(parsed.invocation, program)
  }
  return 0
}

function programOf(root: string): Program {
  const { stdin, stdout, stderr, env: variables } = process
  const here = process.cwd()
  return {
    root,
    version: versionOf(root),
    here,
    project: projectFolder(here, { home: homedir() }),
    variables,
    stdin,
    stdout,
    stderr,
    write: (text) => void stdout.write(text),
    warn: (text) => void stderr.write(text),
  }
}

/** The texts that problems point into, for the line and the caret. Environment files may hold secrets and are left out. */
function sources(error: ToolError): ReadonlyMap<string, string> {
  const files = new Set(
    error.problems.flatMap(({ at }) => (at !== undefined && /\.(?:ya?ml|json)$/.test(at.file) ? [at.file] : [])),
  )
  return new Map([...files].filter((file) => existsSync(file)).map((file) => [file, textIfReadable(file)]))
}
