/** What the vault of an environment holds of a client before a run, and whether it can be used. */
import { existsSync } from 'node:fs'
import type { Environment } from '../environment/index.ts'
import { attempt, type Problem } from '../record/errors.ts'
import { openVaultOf, type Registration, type Vault, type VaultPorts } from '../vault/index.ts'

export interface VaultState extends AsyncDisposable {
  /** undefined: there is none yet, or it cannot be used */
  readonly vault: Vault | undefined
  /** the keys of the vault, base64url */
  readonly keys: readonly string[]
  readonly registration: Registration | undefined
  readonly warnings: readonly string[]
  /** why the vault cannot be used */
  readonly problems: readonly Problem[]
}

interface Options {
  readonly clientId: string | undefined
  /** look: nothing is written; use: what a killed process left is put in its place, and a missing key is made */
  readonly purpose: 'look' | 'use'
  readonly ports?: VaultPorts | undefined
}

/** Of a vault that exists. None is made: a run that is refused leaves no vault and no key behind. */
export async function vaultState(environment: Environment, options: Options): Promise<VaultState> {
  if (!existsSync(environment.vault.folder)) return { ...NO_VAULT, problems: [] }
  const { value, problems } = await attempt(() => openVaultState(environment, options))
  return value ?? { ...NO_VAULT, problems }
}

/** The same of one that is made where there is none. @throws VAULT_KEY, VAULT_UNWRITABLE, VAULT_UNREADABLE */
export async function openVaultState(
  environment: Environment,
  { clientId, purpose, ports }: Options,
): Promise<VaultState & { readonly vault: Vault }> {
  const isUsed = purpose === 'use'
  const { vault, ring, warnings } = await openVaultOf(environment, { now: () => new Date(), ports, makeKey: isUsed })
  return {
    vault,
    keys: ring.keys.map((key) => Buffer.from(key).toString('base64url')),
    warnings: isUsed ? [...warnings, ...(await vault.prepare(clientId))] : warnings,
    registration: clientId === undefined ? undefined : await vault.current(clientId),
    problems: [],
    [Symbol.asyncDispose]: async () => {
      // Closing it writes.
      if (isUsed) await vault.close()
    },
  }
}

const NO_VAULT = {
  vault: undefined,
  keys: [],
  registration: undefined,
  warnings: [],
  async [Symbol.asyncDispose]() {},
}
