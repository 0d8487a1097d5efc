/** Opens the vault of an environment for `thredd vault`, and reads the passphrase of its exports. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { loadEnvironment } from '../../environment/index.ts'
import { fail } from '../../record/errors.ts'
import { oneLine } from '../../record/foreign.ts'
import { readTextFile, whyUnread } from '../../record/regular-file.ts'
import { Secret } from '../../secret/index.ts'
import { vaultOf } from '../../vault/index.ts'
import { proxyOf } from '../provenance.ts'
import type { Invocation, Program } from './command.ts'
import { clientIdOf, environmentOptions, typedClientId } from './run-options.ts'
import { performVault } from './vault.ts'

export async function performVaultCommand(invocation: Invocation, program: Program): Promise<number> {
  const { version, here, variables, write, warn, stdout } = program
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  await using stack = new AsyncDisposableStack()
  const reader = !invocation.has('online')
    ? undefined
    : stack.use(
        await (await import('../../run/reader.ts')).openReader(environment, { version, proxy: proxyOf(variables) }),
      )
  return await performVault(invocation.words, invocation, {
    write,
    warn,
    isTerminal: stdout.isTTY === true,
    folder: here,
    now: () => new Date(),
    runId: 'vault',
    open: async () => ({
      vault: vaultOf(environment, { now: () => new Date() }),
      environment: environment.name,
      class: environment.class,
      clientId: clientIdOf(environment),
    }),
    passphrase: (question) => readPassphrase(question, invocation.text('passphrase-file'), program),
    ask: program.stdin.isTTY ? (clientId) => askForClient(clientId, program) : undefined,
    probe: reader?.probe,
  })
}

async function askForClient(clientId: string, program: Program): Promise<string | undefined> {
  program.warn(`this changes what the vault holds of a client that may be live:\n  ${oneLine(clientId)}\n`)
  return await typedClientId(program)
}

/** In bytes. */
const LARGEST_PASSPHRASE = 1024 * 1024

/** The first line of a file, or what a person types without echo. */
async function readPassphrase(question: string, file: string | undefined, { stdin, warn }: Program): Promise<Secret> {
  if (file !== undefined) return new Secret(passphraseIn(file), 'passphrase')
  if (!stdin.isTTY) {
    fail({ code: 'USAGE', message: 'no terminal to ask for the passphrase', expected: '--passphrase-file <file>' })
  }
  warn(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silent, terminal: true })
  try {
    return new Secret(await lines.question(''), 'passphrase')
  } finally {
    lines.close()
    warn('\n')
  }
}

/** Its first line. */
function passphraseIn(file: string): string {
  try {
    return readTextFile(file, LARGEST_PASSPHRASE).split(/\r?\n/)[0] ?? ''
  } catch (cause) {
    return fail({ code: 'USAGE', message: `--passphrase-file "${file}" cannot be read: ${whyUnread(cause)}` }, cause)
  }
}
