/** From what was typed to what is meant: each name, file and flag is looked up once, here. */
import { type Environment, type EnvironmentOptions, loadEnvironment } from '../environment/index.ts'
import { withWarnings } from '../record/errors.ts'
import { type Decisions, readDecisions } from './decisions.ts'
import { type Selection, type SelectionOptions, select, together } from './selection.ts'

/** What was typed on a command line, or what a test module says in its place. */
export interface Typed {
  readonly environment: EnvironmentOptions
  readonly selection: SelectionOptions
  /** `--input name=value` */
  readonly inputs?: ReadonlyMap<string, string> | undefined
  readonly permissions?: Permissions | undefined
}

/** What a person allows although the guard asks or refuses by itself. */
export interface Permissions {
  /** --confirm: the client id, repeated where the run changes a client that is in use */
  readonly confirm?: string | undefined
  /** --register-again: a client that the vault holds may be registered over */
  readonly registerAgain?: boolean | undefined
  /** the client was registered elsewhere: the vault need not hold its registration */
  readonly registeredElsewhere?: boolean | undefined
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

/** @throws ToolError for an environment or a flow that cannot be read, and for a name that nothing has */
export async function resolve({
  environment: options,
  selection: wanted,
  inputs = new Map(),
  permissions = {},
}: Typed): Promise<RunRequest> {
  const environment = await loadEnvironment(options)
  const [selected, decisions] = await withWarnings(environment.warnings, () =>
    together(select(wanted, environment), readDecisions(environment)),
  )
  return {
    environment,
    ...selected,
    isNamed: wanted.isNamed ?? wanted.flows.length > 0,
    inputs,
    client: clientNames(environment, inputs),
    permissions,
    decisions,
    folders: wanted.folders,
  }
}

/** By the same precedence as the workflow inputs of these names. */
export function clientNames(environment: Environment, inputs: ReadonlyMap<string, string>): ClientNames {
  const named = (name: string) => {
    const value = inputs.get(name) ?? environment.setting(name)?.value
    return typeof value === 'string' ? value : undefined
  }
  return { clientId: named('client_id'), softwareId: named('software_id'), organisation: named('org_id') }
}
