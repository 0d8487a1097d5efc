/**
 * Whether the vault and its key outlive the machine. The token of a registration is issued once: where it dies with a build
 * machine, nobody can manage the client any more. What is looked at comes as an argument.
 */
import { resolve, sep } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { enumerated, type Problem } from '../record/errors.ts'

/** What is known of the machine and of the process. */
export interface Machine {
  readonly variables: Readonly<Record<string, string | undefined>>
  /** the user's home folder; undefined where there is none */
  readonly home: string | undefined
  /** folders that are emptied, absolute */
  readonly temporary: readonly string[]
  readonly exists: (path: string) => boolean
  readonly isWritable: (path: string) => boolean
}

/** Files that container engines make in each container. */
const CONTAINER_FILES = ['/.dockerenv', '/run/.containerenv']

/** Why it will not last, each in a few words. */
export function fleetingBy({ variables, home, temporary, exists, isWritable }: Machine): readonly string[] {
  const { CI: ci = '', KUBERNETES_SERVICE_HOST: pod = '' } = variables
  const container = CONTAINER_FILES.find(exists)
  return [
    ...(ci !== '' && ci !== 'false' ? ['CI is set'] : []),
    ...(container === undefined ? [] : [`"${container}" is there, as in a container`]),
    ...(pod === '' ? [] : ['KUBERNETES_SERVICE_HOST is set, as in a container']),
    ...homeIsFleeting({ home, temporary, exists, isWritable }),
  ]
}

/** At most one reason: a folder that is not there lies nowhere, and one that is emptied is not asked whether it can be written to. */
function homeIsFleeting({ home, temporary, exists, isWritable }: Omit<Machine, 'variables'>): readonly string[] {
  if (home === undefined || !exists(home)) return ['there is no home folder']
  const emptied = temporary.find((folder) => isWithin(home, folder))
  if (emptied !== undefined) return [`the home folder lies in "${emptied}", which is emptied`]
  return isWritable(home) ? [] : ['the home folder cannot be written to']
}

function isWithin(path: string, folder: string): boolean {
  return `${resolve(path)}${sep}`.startsWith(`${resolve(folder)}${sep}`)
}

/** None where somebody has said where the vault and its key are kept. */
export function lastingObjections(environment: Environment, machine: Machine, what: string): readonly Problem[] {
  const isSet = (name: string) => environment.setting(name) !== undefined
  const missing = [
    ...(isSet('vault_dir') ? [] : ['VAULT_DIR']),
    ...(isSet('vault_key') || isSet('vault_key_file') ? [] : ['VAULT_KEY (or VAULT_KEY_FILE)']),
  ]
  const reasons = fleetingBy(machine)
  if (reasons.length === 0 || missing.length === 0) return []
  return [
    {
      code: 'VAULT_FLEETING',
      message: `${what} would leave the only token of the client in a vault that may not last: ${enumerated(reasons)}; nothing was sent`,
      expected: enumerated(missing).replace(', VAULT_KEY', ' and VAULT_KEY'),
      found: 'the place that the tool chooses by itself',
      hint: 'set VAULT_DIR to a folder that is kept and VAULT_KEY to a secret of the CI system (32 random bytes, base64url), as THREDD_VAULT_DIR and THREDD_VAULT_KEY; or run it on a machine of your own',
    },
  ]
}
