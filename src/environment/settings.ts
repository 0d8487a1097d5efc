/**
 * The value of each setting and its origin. Highest first: --server, THREDD_ variables, the .local file, the file, the
 * default. An empty value sets nothing.
 */
import { basename, dirname, isAbsolute, resolve } from 'node:path'
import { identityPartOf } from '../identity/settings.ts'
import type { Problem, SourceLocation } from '../record/errors.ts'
import { Secret } from '../secret/index.ts'
import type { EnvironmentFile } from './file.ts'
import { placeToWrite } from './project.ts'
import { FILES_FIRST, FILES_ONLY, SERVER, VARIABLES, type VariableName } from './variables.ts'

export interface EnvironmentOptions {
  /** a name (`uat` for `.env.uat`) or a path to a file */
  readonly env: string
  /** where the file is looked for, and where relative paths of process variables start */
  readonly folder: string
  /** where an environment is looked for that `folder` does not have */
  readonly fallback?: string | undefined
  /** where the path of an environment file starts (default: folder) */
  readonly here?: string | undefined
  /** process variables; those with the prefix THREDD_ win over the files */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** `--server source=url`; wins over everything */
  readonly servers?: ReadonlyMap<string, string> | undefined
  /** --allow-env: a process variable may name another client or vault than the files */
  readonly allowEnv?: boolean | undefined
}

/** Where a value came from: a file and line, or a process variable. */
export interface ValueOrigin {
  readonly label: string
  readonly at?: SourceLocation | undefined
}

export interface Setting {
  readonly value: string | Secret
  readonly origin: ValueOrigin
  /** where a relative path in the value starts */
  readonly folder: string
  /** the value of the layer below that this one overrides, where they differ */
  readonly instead: string | undefined
}

export type Settings = ReadonlyMap<string, Setting>

const PREFIX = 'THREDD_'
export const DEFAULT: ValueOrigin = { label: 'default' }

/** `files`: the one that wins comes first. */
export function settingsOf(
  files: readonly EnvironmentFile[],
  { env, folder, servers, variables, allowEnv = false }: EnvironmentOptions,
): { readonly settings: Settings; readonly warnings: string[]; readonly problems: readonly Problem[] } {
  const settings = new Map<string, Setting>()
  const warnings: string[] = []
  const problems: Problem[] = []
  const isLive = files.map(({ values }) => values.get('ENV_CLASS')?.text).find((text) => text) !== 'mock'
  const put = (key: string, given: string, origin: ValueOrigin, start: string) => {
    // A path is appended to it, which begins with a slash.
    const text = SERVER.pattern.test(key) ? given.replace(/\/+$/, '') : given
    if (text === '') return
    const above = settings.get(key)
    if (above === undefined)
      settings.set(key, {
        value: isSecret(key) ? new Secret(text, key) : text,
        origin,
        folder: start,
        instead: undefined,
      })
    else if (above.value !== text && origin !== DEFAULT && above.instead === undefined)
      settings.set(key, { ...above, instead: text })
  }
  for (const [source, url] of servers ?? [])
    put(`SERVER_${source.toUpperCase().replaceAll('-', '_')}`, url, { label: '--server' }, folder)
  for (const [variable, text] of Object.entries(variables)) {
    if (!variable.startsWith(PREFIX) || variable === `${PREFIX}ENV` || text === undefined) continue
    const key = variable.slice(PREFIX.length)
    if (text !== '' && isLive && (SERVER.pattern.test(key) || (FILES_ONLY.includes(key) && key !== 'REDACT')))
      problems.push(notFromProcess(variable, key, env))
    else if (FILES_ONLY.includes(key))
      warnings.push(`${variable} is ignored: ${key} is read from the environment files alone`)
    else put(key, text, { label: variable }, folder)
  }
  for (const { file, values } of files) {
    for (const [key, { text, line }] of values)
      put(key, text, { label: basename(file), at: { file, line, column: 1 } }, placeToWrite(dirname(file), folder))
  }
  if (isLive && !allowEnv) problems.push(...contradictions(settings, env))
  for (const [key, variable] of Object.entries(VARIABLES)) {
    if ('default' in variable) put(key, variable.default, DEFAULT, folder)
  }
  return { settings, warnings, problems }
}

/** Of a process variable that sets what the guard decides by: on UAT and production only files and the command line may. */
function notFromProcess(variable: string, key: string, env: string): Problem {
  const source = SERVER.pattern.exec(key)?.[1]?.toLowerCase()
  const [and, or] = source === undefined ? ['', ''] : [' and --server', `, or use --server ${source}=<url>`]
  return {
    code: 'ENV_INVALID',
    message: `${variable} is set in this process, but "${env}" takes ${key} from its files${and} alone; nothing was sent`,
    hint: `unset ${variable}; if it is meant, write ${key} into the file of the environment${or}`,
  }
}

function contradictions(settings: Settings, env: string): readonly Problem[] {
  return FILES_FIRST.flatMap((key): Problem[] => {
    const { value, origin, instead } = settings.get(key) ?? {}
    if (origin === undefined || origin.at !== undefined || instead === undefined) return []
    return [
      {
        code: 'ENV_INVALID',
        message: `${origin.label} contradicts the files of "${env}"; nothing was sent`,
        expected: `"${instead}", as ${key} is in the files`,
        found: `"${value}"`,
        hint: `unset ${origin.label}, or add --allow-env if it is meant`,
      },
    ]
  })
}

/**
 * Of settings that stand for one thing the one that counts, by its key: that of the higher layer, so that a variable of CI
 * replaces a file that the environment names. Two of the same layer are a problem.
 */
export function chosenOf(settings: Settings, keys: readonly string[], problems: Problem[]): string | undefined {
  const [first, second] = [...settings].filter(([key]) => keys.includes(key))
  if (first === undefined) return undefined
  const { origin } = first[1]
  if (second !== undefined && second[1].origin.at?.file === origin.at?.file) {
    problems.push({
      code: 'ENV_INVALID',
      message: `${first[0]} and ${second[0]} are both set`,
      at: second[1].origin.at,
      expected: `one of ${keys.join(', ')}`,
      hint: 'remove the one that is not meant',
    })
  }
  return first[0]
}

export function isDefault(setting: Setting | undefined): boolean {
  return setting === undefined || setting.origin === DEFAULT
}

export function isSecret(key: string): boolean {
  if (Object.hasOwn(VARIABLES, key)) return 'secret' in VARIABLES[key as VariableName]
  if (/(?:PASSPHRASE|PASSWORD|SECRET|TOKEN|PRIVATE_KEY)$/.test(key)) return true
  return ['CERT', 'KEY', 'PFX'].includes(identityPartOf(key)?.part ?? '')
}

export function reveal(value: string | Secret): string {
  return value instanceof Secret ? value.reveal() : value
}

export function secretOf(setting: Setting | undefined): Secret | undefined {
  return setting?.value instanceof Secret ? setting.value : undefined
}

/** The value as an absolute path. */
export function pathOf(setting: Setting | undefined): string | undefined {
  if (setting === undefined || setting.value instanceof Secret) return undefined
  return isAbsolute(setting.value) ? setting.value : resolve(setting.folder, setting.value)
}
