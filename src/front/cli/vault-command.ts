/** Opens the vault of an environment for `thredd vault`. */
import { loadEnvironment } from '../../environment/index.ts'
import { oneLine } from '../../record/foreign.ts'
import { vaultOf } from '../../vault/index.ts'
import { proxyOf } from '../provenance.ts'
import type { Invocation, Program } from './command.ts'
import { readPassphrase } from './passphrase.ts'
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
