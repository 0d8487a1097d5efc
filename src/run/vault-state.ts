/** What the vault of an environment holds of a client before a run, and whether it can be used. Nothing is written yet. */
import type { Environment } from '../environment/index.ts'
import { attempt, type Problem } from '../record/errors.ts'
import { type Registration, type Vault, type VaultPorts, vaultOf } from '../vault/index.ts'
import type { ClientNames } from './request.ts'

export interface VaultState extends AsyncDisposable {
  /** undefined: it cannot be used */
  readonly vault: Vault | undefined
  readonly registration: Registration | undefined
  readonly warnings: readonly string[]
  /** why the vault cannot be used */
  readonly problems: readonly Problem[]
}

/** On the embedded twin no client outlives a run, so what its vault holds of them need not grow for ever. */
const LARGEST_ON_TWIN = 1024 * 1024

/** None is made where there is none: a run that is refused leaves no vault and no key behind. */
export async function vaultState(
  environment: Environment,
  { client, ports }: { readonly client: ClientNames; readonly ports?: VaultPorts | undefined },
): Promise<VaultState> {
  const { value, problems } = await attempt(async () => {
    const vault = vaultOf(environment, { now: () => new Date(), ports })
    return { vault, registration: await vault.current(client), warnings: await vault.warnings() }
  })
  const state = value ?? { vault: undefined, registration: undefined, warnings: [] }
  return { ...state, problems, [Symbol.asyncDispose]: async () => await state.vault?.close() }
}

/** The same vault, as it is for another client. */
export async function stateFor(client: ClientNames, state: VaultState): Promise<VaultState> {
  const { vault } = state
  if (vault === undefined) return state
  const { value, problems } = await attempt(() => vault.current(client))
  return { ...state, registration: value, problems }
}

/** Makes it where there is none, and proves that an answer can be kept. Returns warnings. */
export async function prepareVault(vault: Vault, isOnTwin: boolean): Promise<readonly string[]> {
  const warnings = await vault.prepare()
  // Where another run is at it, a later one does it.
  if (isOnTwin && vault.size > LARGEST_ON_TWIN) await attempt(() => vault.forget())
  return warnings
}

/** The keys of a vault, base64url: secrets of the run that uses it. */
export function keysOf(vault: Vault | undefined): readonly string[] {
  return (vault?.ring?.keys ?? []).map((key) => Buffer.from(key).toString('base64url'))
}
