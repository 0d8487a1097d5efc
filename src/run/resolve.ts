/** From what was typed to what is meant: each name, file and flag is looked up once, here. */
import { type EnvironmentOptions, loadEnvironment } from '../environment/index.ts'
import { withWarnings } from '../record/errors.ts'
import { readDecisions } from './decisions.ts'
import { clientNames, type Permissions, type RunRequest } from './request.ts'
import { type RowOptions, type Rows, rowsOf } from './rows.ts'
import { choose, type SelectionOptions, select, together } from './selection.ts'

/** What was typed on a command line, or what a test module says in its place. */
export interface Typed {
  readonly environment: EnvironmentOptions
  readonly selection: SelectionOptions
  /** `--input name=value` */
  readonly inputs?: ReadonlyMap<string, string> | undefined
  readonly permissions?: Permissions | undefined
  readonly rows?: RowOptions | undefined
}

/** @throws ToolError for an environment or a flow that cannot be read, and for a name that nothing has */
export async function resolve({
  environment: options,
  selection: wanted,
  inputs = new Map(),
  permissions = {},
  rows,
}: Typed): Promise<RunRequest & { readonly rows?: Rows }> {
  const environment = await loadEnvironment(options)
  const [selected, decisions] = await withWarnings(environment.warnings, () =>
    together(select(wanted, environment), readDecisions(environment)),
  )
  const request = {
    environment,
    ...selected,
    isNamed: wanted.isNamed ?? wanted.flows.length > 0,
    inputs,
    client: clientNames(environment, inputs),
    permissions,
    decisions,
    folders: wanted.folders,
  }
  if (rows === undefined) return request
  // What a list has beside the inputs of the named flows may be for others.
  const others = choose({ flows: [], folders: wanted.folders, everywhere: true })
  const selection = await others.catch(() => selected.selection)
  const more = { variables: options.variables, all: { selection } }
  return { ...request, rows: await withWarnings(environment.warnings, () => rowsOf(request, rows, more)) }
}
