/**
 * Environment files to one checked value. Every problem is reported at once, with variable, file and remedy. What a flow needs
 * and the environment does not set is reported by the planner.
 */
import { basename, dirname, resolve } from 'node:path'
import type { IdentitySpec } from '../identity/certificate.ts'
import type { SigningCommand } from '../identity/command.ts'
import { identityPartOf, identitySettings } from '../identity/settings.ts'
import type { Given } from '../identity/source.ts'
import { inReadingOrder, isNonEmpty, nearest, type Problem, ToolError } from '../record/errors.ts'
import { fromServers } from '../record/profile.ts'
import { shapeOf, type z } from '../record/shape.ts'
import { Secret } from '../secret/index.ts'
import { odditiesOf } from './characters.ts'
import { isPath, locateEnvironmentFile, readEnvironmentFile, readOptionalFile } from './file.ts'
import { identitiesBySource, identitiesOf } from './identities.ts'
import { placeToWrite } from './project.ts'
import {
  chosenOf,
  DEFAULT,
  type EnvironmentOptions,
  isDefault,
  isSecret,
  pathOf,
  reveal,
  type Setting,
  type Settings,
  secretOf,
  settingsOf,
  type ValueOrigin,
} from './settings.ts'
import {
  AUTHORIZATION_HOSTS,
  DOCUMENTED_SERVERS,
  IDENTITY,
  IDENTITY_FOR,
  isContent,
  SERVER,
  VARIABLES,
  type VariableName,
} from './variables.ts'

export { variablesOf } from './file.ts'
export { type EnvironmentOptions, isSecret as isSecretSetting, type ValueOrigin } from './settings.ts'
export { isGuardFact } from './variables.ts'

/** A setting as it may be printed. */
interface PrintedSetting {
  readonly name: string
  /** of a secret its name, of a path the last part; of a variable that is no setting of ours nothing */
  readonly value: string
  readonly origin: ValueOrigin
  /** the value of the layer below that this one overrides, where they differ */
  readonly instead?: string | undefined
}

/** What signs client assertions. */
export interface SigningSpec {
  /** the private key: a path, or the key itself */
  readonly key?: Given | undefined
  readonly passphrase?: Secret | undefined
  /** signs in place of a key */
  readonly command?: SigningCommand | undefined
  /** the public key of the command */
  readonly jwk?: string | undefined
  readonly kid?: string | undefined
  readonly certificateFile?: string | undefined
}

export interface Environment {
  readonly name: string
  /** what selects it on a command line, as it was typed; nothing for the one that a command uses by itself */
  readonly flags: readonly string[]
  readonly class: 'mock' | 'uat' | 'prod'
  readonly files: readonly string[]
  /** source description name, lower-case → base URL without trailing slash */
  readonly servers: ReadonlyMap<string, string>
  readonly allowedHosts: ReadonlySet<string>
  readonly identities: ReadonlyMap<string, IdentitySpec>
  /** source description name, lower-case → the identity that calls to it present instead of "transport" */
  readonly identityFor: ReadonlyMap<string, string>
  readonly signing: SigningSpec
  /** a further signing key, which is to replace the other */
  readonly renewedSigning: SigningSpec
  /** further authorities: a path, or the certificates themselves */
  readonly ca?: Given | undefined
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  /** undefined: the newest */
  readonly maxTlsVersion: 'TLSv1.2' | undefined
  readonly timeoutMs: number
  /** between two calls; undefined: not set */
  readonly pauseMs: number | undefined
  /** undefined: not set */
  readonly mostCalls: number | undefined
  /** further names of members, headers and parameters whose values are secret */
  readonly secretNames: readonly string[]
  readonly vault: { readonly folder: string; readonly key?: Secret | undefined; readonly keyFile?: string | undefined }
  /** Any setting by the name of a workflow input: `software_id` from SOFTWARE_ID, defaults included. */
  setting(inputName: string): Pick<Setting, 'value' | 'origin'> | undefined
  /** All of them by name, defaults included. */
  readonly settings: readonly PrintedSetting[]
  /** What the setting with an input's name is for; undefined where it is no setting of ours. */
  about(inputName: string): string | undefined
  /** the folder of the user's files; the vault is there unless VAULT_DIR says otherwise */
  readonly folder: string
  /** The file a person should write a missing value to. */
  readonly localFile: string
  readonly warnings: readonly string[]
}

export async function loadEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const file = await locateEnvironmentFile(
    options.env,
    [options.folder, options.fallback ?? options.folder],
    options.here,
  )
  // What the user adds lies in the user's project, also where the environment is that of the package.
  const folder = isPath(options.env) ? placeToWrite(dirname(file), options.folder) : options.folder
  const localFile = resolve(folder, `${basename(file)}.local`)
  const local = await readOptionalFile(localFile)
  const main = await readEnvironmentFile(file)
  const files = local === undefined ? [main] : [local, main]

  const { settings, warnings, problems: refused } = settingsOf(files, options)
  const { values, problems } = checkedValues(settings, warnings)
  problems.push(...refused)
  const environmentClass = values.get('ENV_CLASS') as Environment['class'] | undefined
  if (!settings.has('ENV_CLASS')) {
    problems.push({
      code: 'ENV_MISSING',
      message: 'ENV_CLASS is not set',
      at: { file, line: 1, column: 1 },
      hint: `write ENV_CLASS=mock, uat or prod into ${file}: it decides which changes need a confirmation`,
    })
  }
  if (values.get('TLS_MIN_VERSION') === '1.3' && values.get('TLS_MAX_VERSION') === '1.2') {
    problems.push({
      code: 'ENV_INVALID',
      message: 'TLS_MAX_VERSION is lower than TLS_MIN_VERSION',
      at: settings.get('TLS_MAX_VERSION')?.origin.at,
      found: '1.2 and 1.3',
    })
  }
  const identities = identitiesOf(settings, problems)
  const identityFor = identitiesBySource(settings, identities, problems)
  const signing = signingOf(settings, '', problems)
  const renewedSigning = signingOf(settings, 'RENEWED_', problems)
  const authorities = chosenOf(settings, ['CA_FILE', 'CA'], problems)
  const allWarnings = [...files.flatMap((one) => one.warnings), ...warnings]
  const sorted = inReadingOrder([...files.flatMap((one) => one.problems), ...problems])
  if (isNonEmpty(sorted) || environmentClass === undefined)
    throw new ToolError(sorted as [Problem, ...Problem[]], undefined, allWarnings)

  const name = basename(file).replace(/^\.env\./, '')
  const servers = serversOf(settings)
  const path = (key: VariableName) => pathOf(settings.get(key))
  const secret = (key: VariableName) => secretOf(settings.get(key))
  return {
    name,
    flags: flagsOf(options),
    class: environmentClass,
    files: files.map((entry) => entry.file),
    servers,
    allowedHosts: allowedHosts(values, servers, environmentClass),
    identities,
    identityFor,
    signing,
    renewedSigning,
    ca: givenOf(settings.get(authorities ?? '')),
    minTlsVersion: values.get('TLS_MIN_VERSION') === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    maxTlsVersion: values.get('TLS_MAX_VERSION') === '1.2' ? 'TLSv1.2' : undefined,
    timeoutMs: values.get('TIMEOUT_MS') as number,
    pauseMs: values.get('PAUSE_MS') as number | undefined,
    mostCalls: values.get('MOST_CALLS') as number | undefined,
    secretNames: (values.get('REDACT') as string[] | undefined) ?? [],
    vault: {
      folder: path('VAULT_DIR') ?? resolve(folder, '.vault', name),
      key: secret('VAULT_KEY'),
      keyFile: path('VAULT_KEY_FILE'),
    },
    setting: (inputName) => settings.get(inputName.toUpperCase()) ?? derived(inputName, servers),
    settings: [...settings].map(printed).sort((a, b) => (a.name < b.name ? -1 : 1)),
    about: (inputName) => aboutOf(inputName.toUpperCase()),
    folder,
    localFile,
    warnings: allWarnings,
  }
}

/** What signs, by the settings with this prefix. */
function signingOf(settings: Settings, prefix: '' | 'RENEWED_', problems: Problem[]): SigningSpec {
  const named = (name: string) => settings.get(`${prefix}SIGNING_${name}`)
  const [file, text, command] = [`${prefix}SIGNING_KEY_FILE`, `${prefix}SIGNING_KEY`, `${prefix}SIGNING_COMMAND`]
  const signer = chosenOf(settings, [file, text, command], problems)
  return {
    ...(signer === command
      ? { command: commandOf(settings.get(signer)) }
      : { key: givenOf(settings.get(signer ?? '')) }),
    jwk: plainOf(named('JWK')),
    passphrase: secretOf(named('PASSPHRASE')),
    kid: plainOf(named('KID')),
    certificateFile: pathOf(named('CERT_FILE')),
  }
}

function plainOf(setting: Setting | undefined): string | undefined {
  return setting && reveal(setting.value)
}

/** The content, where the setting holds it; else the path. */
function givenOf(setting: Setting | undefined): Given | undefined {
  return secretOf(setting) ?? pathOf(setting)
}

function commandOf(setting: Setting | undefined): SigningCommand | undefined {
  return setting && { line: reveal(setting.value), folder: setting.folder }
}

function flagsOf({ env, variables, servers = new Map() }: EnvironmentOptions): readonly string[] {
  const byItself = env === 'mock' && servers.size === 0 && (variables.THREDD_ENV || env) === env
  if (byItself) return []
  return ['--env', env, ...[...servers].flatMap(([source, url]) => ['--server', `${source}=${url}`])]
}

/** The values in the shape of their variables. Of variables that are no setting of ours, only a likely misspelling is reported. */
function checkedValues(settings: Settings, warnings: string[]) {
  const values = new Map<string, unknown>()
  const problems: Problem[] = []
  for (const [key, setting] of settings) {
    const { value, origin } = setting
    const shape = shapeFor(key)
    const subject = `${key}${origin.at === undefined ? ` from ${origin.label}` : ''}`
    const oddities = odditiesOf(reveal(value))
    for (const { found, remedy } of oddities) {
      // What may be any text, a passphrase or the name of a client, may hold such a character on purpose.
      if (shape === undefined || isSecret(key)) warnings.push(`${placeOf(origin)}: ${key} holds ${found}`)
      else problems.push({ code: 'ENV_INVALID', message: `${subject} holds ${found}`, at: origin.at, hint: remedy })
    }
    if (shape === undefined) {
      warnings.push(...misspelling(key, settings).map((words) => `${placeOf(origin)}: ${words}`))
      continue
    }
    warnings.push(...withoutServer(key, settings).map((words) => `${placeOf(origin)}: ${words}`))
    const shaped = shapeOf(shape, reveal(value))
    if (shaped.ok) values.set(key, shaped.value)
    else if (oddities.length === 0 || isSecret(key)) {
      problems.push({
        code: 'ENV_INVALID',
        message: `${subject} cannot be used`,
        at: origin.at,
        expected: [...new Set(shaped.faults.map((fault) => fault.message))].join('; '),
        found: value instanceof Secret ? 'a secret value' : quoted(value),
      })
    }
  }
  return { values, problems }
}

/** A name that is nearly that of a setting which is not set. */
function misspelling(key: string, settings: Settings): readonly string[] {
  const plain = key.replace(/^THREDD_/, '').toUpperCase()
  const known = shapeFor(plain) !== undefined
  if (plain !== key && known) {
    const why = key.startsWith('THREDD_')
      ? 'the prefix THREDD_ belongs to process variables'
      : 'names of settings are in upper case'
    return [`${key} sets nothing: ${why}; write ${plain}`]
  }
  const meant = nearestSetting(key)
  if (meant !== undefined && isDefault(settings.get(meant))) return [`${key} is not a setting; did you mean ${meant}?`]
  return key === key.toUpperCase() ? [] : [`${key} sets nothing: inputs are set by their names in upper case`]
}

/** The setting that a name was probably meant for. */
export function nearestSetting(name: string): string | undefined {
  return nearest(name, [...Object.keys(VARIABLES), ...kindred(name)])
}

/** An identity for a source that has no server, so that nothing is called with it. */
function withoutServer(key: string, settings: Settings): readonly string[] {
  const source = IDENTITY_FOR.pattern.exec(key)?.[1]
  if (source === undefined || settings.has(`SERVER_${source}`)) return []
  const servers = [...settings.keys()].filter((name) => SERVER.pattern.test(name))
  const meant = nearest(`SERVER_${source}`, servers)?.replace(/^SERVER_/, 'IDENTITY_FOR_')
  return [`${key} is of no use without SERVER_${source}${meant === undefined ? '' : `; did you mean ${meant}?`}`]
}

/** Names of settings that belong to a family, as far as `key` may be one of them, misspelt. */
function kindred(key: string): readonly string[] {
  const words = key.split('_')
  if (words[0] !== 'IDENTITY') return DOCUMENTED_SERVERS
  return words.flatMap((_, end) => (end < 2 ? [] : identitySettings(words.slice(0, end).join('_'))))
}

/** A setting as reports and lists print it: of a secret its name, of a path its last part. */
function printed([name, { value, origin, instead }]: readonly [string, Setting]): PrintedSetting {
  if (value instanceof Secret) return { name, value: String(value), origin }
  const variable = Object.hasOwn(VARIABLES, name) ? VARIABLES[name as VariableName] : undefined
  if (variable === undefined && shapeFor(name) === undefined) return { name, value: '[not shown]', origin }
  const isPath = identityPartOf(name)?.part.endsWith('_FILE') === true || (variable !== undefined && 'file' in variable)
  return isPath ? { name, value: basename(value), origin } : { name, value, origin, instead }
}

function serversOf(settings: Settings): ReadonlyMap<string, string> {
  const servers = new Map<string, string>()
  for (const [key, { value }] of settings) {
    const source = SERVER.pattern.exec(key)?.[1]
    if (source !== undefined) servers.set(source.toLowerCase(), reveal(value))
  }
  return servers
}

function shapeFor(key: string): z.ZodMiniType | undefined {
  if (Object.hasOwn(VARIABLES, key)) return VARIABLES[key as VariableName].shape
  if (SERVER.pattern.test(key)) return SERVER.shape
  if (IDENTITY_FOR.pattern.test(key)) return IDENTITY_FOR.shape
  const part = identityPartOf(key)?.part
  return part === undefined || isSecret(key)
    ? undefined
    : part === 'PFX_ALIAS'
      ? VARIABLES.CLIENT_ID.shape
      : IDENTITY.shape
}

/** Whether it is the name of a setting of ours. */
export function isSetting(name: string): boolean {
  return shapeFor(name) !== undefined || identityPartOf(name) !== undefined
}

/** What is expected where a setting cannot have the value; undefined where it can. */
export function whyUnusable(name: string, value: string): string | undefined {
  const shape = shapeFor(name)
  const shaped = shape && shapeOf(shape, value)
  if (shaped?.ok === false) return [...new Set(shaped.faults.map(({ message }) => message))].join('; ')
  return odditiesOf(value)[0]?.remedy
}

function aboutOf(key: string): string | undefined {
  if (Object.hasOwn(VARIABLES, key)) return VARIABLES[key as VariableName].about
  return SERVER.pattern.test(key) ? SERVER.about : undefined
}

function allowedHosts(
  values: ReadonlyMap<string, unknown>,
  servers: ReadonlyMap<string, string>,
  environmentClass: Environment['class'],
): ReadonlySet<string> {
  const named = values.get('ALLOWED_HOSTS') as string[] | undefined
  return new Set(named ?? hostsOf({ servers, class: environmentClass }))
}

/** The hosts that an environment needs: those of its servers, and the documented names of the authorization server. */
export function hostsOf({
  servers,
  class: environmentClass,
}: Pick<Environment, 'servers' | 'class'>): readonly string[] {
  return [...[...servers.values()].map((url) => new URL(url).host), ...AUTHORIZATION_HOSTS[environmentClass]]
}

/** Settings whose default is made from the address of a server. */
function derived(
  inputName: string,
  servers: ReadonlyMap<string, string>,
): Pick<Setting, 'value' | 'origin'> | undefined {
  const value = fromServers(inputName, servers)
  return value === undefined ? undefined : { value, origin: DEFAULT }
}

/** File and line, or the process variable. */
export function placeOf({ label, at }: ValueOrigin): string {
  return at === undefined ? label : `${label}:${at.line}`
}

/** A value in quotes for a message, without the password of a URL and without a key that was pasted. */
function quoted(value: string): string {
  if (isContent(value)) return 'a text of several lines, or a key'
  const plain = value.replace(/\/\/.*@/, '//…@').replace(/[?#].*/, '?…')
  return `"${plain.length <= 80 ? plain : `${plain.slice(0, 79)}…`}"`
}
