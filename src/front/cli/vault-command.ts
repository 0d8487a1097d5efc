/** Opens the vault of an environment for `thredd vault`. */
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { oneLine } from '../../record/foreign.ts'
import { vaultOf } from '../../vault/index.ts'
import { proxyOf } from '../provenance.ts'
import type { Invocation, Program } from './command.ts'
import { readNewPassphrase, readPassphrase } from './passphrase.ts'
import { clientIdOf, environmentOptions, typedClientId } from './run-options.ts'
import { performVault } from './vault.ts'
import type { VaultIo } from './vault-call.ts'

export async function performVaultCommand(invocation: Invocation, program: Program): Promise<number> {
  const { version, variables } = program
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  await using stack = new AsyncDisposableStack()
  const reader = !invocation.has('online')
    ? undefined
    : stack.use(
        await (await import('../../run/reader.ts')).openReader(environment, { version, proxy: proxyOf(variables) }),
      )
  return await performVault(invocation.words, invocation, {
    ...vaultIo(environment, program),
    runId: 'vault',
    passphrase: (question, isNew = false) =>
      (isNew ? readNewPassphrase : readPassphrase)(question, invocation.text('passphrase-file'), program),
    ask: program.stdin.isTTY ? (clientId) => askForClient(clientId, program) : undefined,
    probe: reader?.probe,
  })
}

/** What every command on a vault needs of the process. */
export function vaultIo(
  environment: Environment,
  { here, write, warn, stdout }: Program,
): Pick<VaultIo, 'write' | 'warn' | 'isTerminal' | 'folder' | 'now' | 'open' | 'openFolder'> {
  const now = () => new Date()
  return {
    ...{ write, warn, now, isTerminal: stdout.isTTY === true, folder: here },
    openFolder: (folder) => vaultOf({ ...environment, vault: { ...environment.vault, folder } }, { now }),
    open: async () => ({
      vault: vaultOf(environment, { now }),
      environment: environment.name,
      class: environment.class,
      clientId: clientIdOf(environment),
    }),
  }
}

async function askForClient(clientId: string, program: Program): Promise<string | undefined> {
  program.warn(`this changes what the vault holds of a client that may be live:\n  ${oneLine(clientId)}\n`)
  return await typedClientId(program)
}
