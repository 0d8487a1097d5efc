/** The only place with effects on the process: arguments in, text and exit code out. Alone may load the twin, lazily. */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { CODES, ToolError, worstExit } from '../errors.ts'
import { helpText, type Invocation, parseCommandLine } from './commands.ts'
import { Console } from './console.ts'

/** Runs the command line of this process and sets its exit code. `root` is the folder of the package. */
export async function main(root: string): Promise<void> {
  // A reader that goes away (| head) must not end a run that changes a client.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const here = process.cwd()
  const near = (text: string) => text.replaceAll(`${here}${sep}`, '')
  const out = new Console({ stream: process.stdout, write: (text) => process.stdout.write(text), near })
  const errors = new Console({ stream: process.stderr, write: (text) => process.stderr.write(text), near })
  try {
    process.exitCode = await perform(parseCommandLine(process.argv.slice(2)), root, out)
  } catch (error) {
    if (error instanceof ToolError) {
      errors.problems(error.problems, sources(error))
      process.exitCode = worstExit(error.problems.map(({ code }) => CODES[code].exit))
    } else {
      process.stderr.write(
        `This is a bug; please report it.\n${error instanceof Error ? error.stack : String(error)}\n`,
      )
      process.exitCode = 70
    }
  }
}

async function perform(invocation: Invocation, root: string, out: Console): Promise<number> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  switch (invocation.command) {
    case 'help':
      process.stdout.write(helpText(invocation.topic, version))
      return 0
    case 'version':
      process.stdout.write(`${version}\n`)
      return 0
    case 'run':
      return performRun(invocation, { root, version, out })
    default:
      return invocation.command satisfies never
  }
}

async function performRun(
  invocation: Invocation,
  { root, version, out }: { root: string; version: string; out: Console },
): Promise<number> {
  const { run } = await import('../run.ts')
  const here = process.cwd()
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const env = invocation.text('env') ?? (process.env.THREDD_ENV || 'mock')
  const { record, file } = await run({
    flows: invocation.words,
    workflow: invocation.text('workflow'),
    inputs: invocation.pairs('input'),
    environment: {
      env,
      folder: here,
      // A folder of one's own wins; the environments of the repository stand in where it has none of that name.
      fallback: root,
      variables: process.env,
      servers: invocation.pairs('server'),
    },
    folders: [here, root],
    out: resolve(here, invocation.text('out') ?? 'reports'),
    confirm: invocation.text('confirm'),
    version,
    twin: async () => (await import('./twin.ts')).embeddedTwin(join(root, 'fixtures', 'pki')),
    signal: stop.signal,
    onEvent: (event) => out.show(event),
  })
  process.off('SIGINT', interrupt)
  process.off('SIGTERM', interrupt)
  out.summary(record, relative(here, file))
  return record.exitCode
}

/** The texts that problems point into, for the line and the caret. Environment files may hold secrets and are left out. */
function sources(error: ToolError): ReadonlyMap<string, string> {
  const files = new Set(
    error.problems.flatMap(({ at }) => (at !== undefined && /\.(?:ya?ml|json)$/.test(at.file) ? [at.file] : [])),
  )
  return new Map([...files].filter((file) => existsSync(file)).map((file) => [file, readFileSync(file, 'utf8')]))
}
