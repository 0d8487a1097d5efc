/** What a run is to do, once each name, file and flag that was typed is looked up. */
import type { Environment } from '../environment/index.ts'
import type { Registration } from '../vault/index.ts'
import type { Decisions } from './decisions.ts'
import type { Selection } from './selection.ts'

/** What a person allows although the guard asks or refuses by itself. */
export interface Permissions {
  /** --confirm: the client id, repeated where the run changes a client that is in use */
  readonly confirm?: string | undefined
  /** --register-again: a client that the vault holds may be registered over */
  readonly registerAgain?: boolean | undefined
  /** the client was registered elsewhere: the vault need not hold its registration */
  readonly registeredElsewhere?: boolean | undefined
  /** the registration that was judged before the run was asked for: where the vault holds another by now, nothing is changed */
  readonly judged?: Registration | undefined
}

/** What a run is to do. */
export interface RunRequest extends Selection {
  readonly environment: Environment
  /** whether flows were named; without names each flow file runs on an embedded twin of its own */
  readonly isNamed: boolean
  readonly inputs: ReadonlyMap<string, string>
  readonly client: ClientNames
  readonly permissions: Permissions
  /** of the user's project for this environment */
  readonly decisions: Decisions | undefined
  /** folders that hold `flows/` and `fixtures/`; the first match wins */
  readonly folders: readonly string[]
}

/** The client that a run is about, by the names that Thredd knows it by. */
export interface ClientNames {
  readonly clientId: string | undefined
  readonly softwareId: string | undefined
  readonly organisation: string | undefined
}

/** By the same precedence as the workflow inputs of these names. */
export function clientNames(environment: Environment, inputs: ReadonlyMap<string, string>): ClientNames {
  const named = (name: string) => {
    const value = inputs.get(name) ?? environment.setting(name)?.value
    return typeof value === 'string' ? value : undefined
  }
  return { clientId: named('client_id'), softwareId: named('software_id'), organisation: named('org_id') }
}
