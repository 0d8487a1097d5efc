/**
 * Environment files to one checked value. Every problem is listed at once, with variable, file and remedy.
 * Knows nothing of flows: what a flow needs and does not find is the planner's to say.
 */
import { basename, dirname, isAbsolute, resolve } from 'node:path'
import type { IdentitySpec } from '../identity/certificate.ts'
import { inReadingOrder, isNonEmpty, nearest, type Problem, type SourceLocation, ToolError } from '../record/errors.ts'
import { shapeOf, type z } from '../record/shape.ts'
import { Secret } from '../secret/index.ts'
import { type EnvironmentFile, locateEnvironmentFile, readEnvironmentFile, readOptionalFile } from './file.ts'
import { AUTHORIZATION_HOSTS, FILES_ONLY, IDENTITY, SERVER, VARIABLES, type VariableName } from './variables.ts'

/** Where a value came from: a file and line, or a process variable. */
export interface Origin {
  readonly label: string
  readonly at?: SourceLocation | undefined
}

interface Setting {
  readonly value: string | Secret
  readonly origin: Origin
}

/** A setting as others may read it. */
interface Shown {
  readonly name: string
  /** of a secret its name, of a path the last part; nothing of a variable that only a flow knows */
  readonly value: string
  readonly origin: Origin
  /** what the next layer says, where it is something else */
  readonly instead?: string | undefined
}

export interface Environment {
  readonly name: string
  readonly class: 'mock' | 'uat' | 'prod'
  readonly files: readonly string[]
  /** source description name, lower-case → base URL without trailing slash */
  readonly servers: ReadonlyMap<string, string>
  readonly allowedHosts: ReadonlySet<string>
  readonly identities: ReadonlyMap<string, IdentitySpec>
  readonly signing: {
    readonly keyFile?: string | undefined
    readonly key?: Secret | undefined
    readonly kid?: string | undefined
    readonly certificateFile?: string | undefined
  }
  readonly caFile?: string | undefined
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly timeoutMs: number
  /** further names of members, headers and parameters whose values are secret */
  readonly secretNames: readonly string[]
  readonly vault: { readonly folder: string; readonly key?: Secret | undefined; readonly keyFile?: string | undefined }
  /** Any setting by the name of a workflow input: `software_id` from SOFTWARE_ID, defaults included. */
  setting(inputName: string): Setting | undefined
  /** All of them by name, defaults included. */
  readonly settings: readonly Shown[]
  /** What the setting behind an input's name is for, if it is one of ours. */
  about(inputName: string): string | undefined
  /** The file a person should write a missing value to. */
  readonly localFile: string
  readonly warnings: readonly string[]
}

export interface EnvironmentOptions {
  /** a name (`uat` for `.env.uat`) or a path to a file */
  readonly env: string
  /** where the file is looked for, and where relative paths of process variables start */
  readonly folder: string
  /** where an environment is looked for that `folder` does not have */
  readonly fallback?: string | undefined
  /** process variables; those with the prefix THREDD_ win over the files */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** `--server source=url`; wins over everything */
  readonly servers?: ReadonlyMap<string, string> | undefined
}

const PREFIX = 'THREDD_'
const DEFAULT: Origin = { label: 'default' }

export async function loadEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const file = await locateEnvironmentFile(options.env, [options.folder, options.fallback ?? options.folder])
  const name = basename(file).replace(/^\.env\./, '')
  const files: EnvironmentFile[] = [await readEnvironmentFile(file)]
  const local = await readOptionalFile(`${file}.local`)
  if (local !== undefined) files.unshift(local)

  const warnings = files.flatMap((one) => one.warnings)
  const problems = files.flatMap((one) => one.problems)
  const settings = layered(files, options, warnings)
  const values = new Map<string, unknown>()

  for (const [key, { value, origin }] of settings) {
    const shape = shapeFor(key)
    if (shape === undefined) {
      const meant = nearest(key, Object.keys(VARIABLES))
      if (meant !== undefined && isOpen(settings.get(meant)))
        warnings.push(`${placeOf(origin)}: ${key} is not a setting; did you mean ${meant}?`)
      continue
    }
    const shaped = shapeOf(shape, reveal(value))
    if (shaped.ok) values.set(key, shaped.value)
    else {
      problems.push({
        code: 'ENV_INVALID',
        message: `${key}${origin.at === undefined ? ` from ${origin.label}` : ''} cannot be used`,
        at: origin.at,
        expected: [...new Set(shaped.faults.map((fault) => fault.message))].join('; '),
        found: value instanceof Secret ? 'a secret value' : shown(value),
      })
    }
  }

  const environmentClass = values.get('ENV_CLASS') as Environment['class'] | undefined
  if (!settings.has('ENV_CLASS')) {
    problems.push({
      code: 'ENV_MISSING',
      message: 'ENV_CLASS is not set',
      at: { file, line: 1, column: 1 },
      hint: `write ENV_CLASS=mock, uat or prod into ${file}: it decides how careful the runner is`,
    })
  }
  const identities = identitySpecs(settings, problems)
  const sorted = inReadingOrder(problems)
  if (isNonEmpty(sorted) || environmentClass === undefined) throw new ToolError(sorted as [Problem, ...Problem[]])

  const servers = new Map<string, string>()
  for (const [key, { value }] of settings) {
    const source = SERVER.pattern.exec(key)?.[1]
    if (source !== undefined) servers.set(source.toLowerCase(), reveal(value).replace(/\/+$/, ''))
  }
  const path = (key: VariableName) => pathOf(settings.get(key))
  const secret = (key: VariableName) => secretOf(settings.get(key))

  return {
    name,
    class: environmentClass,
    files: files.map((entry) => entry.file),
    servers,
    allowedHosts: allowedHosts(values, servers, environmentClass),
    identities,
    signing: {
      keyFile: path('SIGNING_KEY_FILE'),
      key: secret('SIGNING_KEY'),
      kid: values.get('SIGNING_KID') as string | undefined,
      certificateFile: path('SIGNING_CERT_FILE'),
    },
    caFile: path('CA_FILE'),
    minTlsVersion: values.get('TLS_MIN_VERSION') === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    timeoutMs: values.get('TIMEOUT_MS') as number,
    secretNames: (values.get('REDACT') as string[] | undefined) ?? [],
    vault: {
      folder: path('VAULT_DIR') ?? resolve(dirname(file), '.vault', name),
      key: secret('VAULT_KEY'),
      keyFile: path('VAULT_KEY_FILE'),
    },
    setting: (inputName) => settings.get(inputName.toUpperCase()) ?? derived(inputName, servers),
    settings: [...settings].map(shownSetting).sort((a, b) => (a.name < b.name ? -1 : 1)),
    about: (inputName) => aboutOf(inputName.toUpperCase()),
    localFile: `${file}.local`,
    warnings,
  }
}

interface Layered extends Setting {
  readonly folder: string
  instead: string | undefined
}

/** Highest first: --server, THREDD_ variables, the .local file, the file, defaults. An empty value is not a value. */
function layered(
  files: readonly EnvironmentFile[],
  options: EnvironmentOptions,
  warnings: string[],
): Map<string, Layered> {
  const settings = new Map<string, Layered>()
  const put = (key: string, text: string, origin: Origin, folder: string) => {
    if (text === '') return
    const above = settings.get(key)
    if (above === undefined)
      settings.set(key, { value: isSecret(key) ? new Secret(text, key) : text, origin, folder, instead: undefined })
    else if (above.value !== text && origin !== DEFAULT) above.instead ??= text
  }
  for (const [source, url] of options.servers ?? [])
    put(`SERVER_${source.toUpperCase().replaceAll('-', '_')}`, url, { label: '--server' }, options.folder)
  for (const [variable, text] of Object.entries(options.variables)) {
    if (!variable.startsWith(PREFIX) || variable === `${PREFIX}ENV` || text === undefined) continue
    const key = variable.slice(PREFIX.length)
    if (FILES_ONLY.includes(key))
      warnings.push(`${variable} is ignored: ${key} is read from the environment files alone`)
    else put(key, text, { label: variable }, options.folder)
  }
  for (const { file, values } of files) {
    for (const [key, { text, line }] of values)
      put(key, text, { label: basename(file), at: { file, line, column: 1 } }, dirname(file))
  }
  for (const [key, variable] of Object.entries(VARIABLES)) {
    if ('default' in variable) put(key, variable.default, DEFAULT, options.folder)
  }
  return settings
}

function shownSetting([name, { value, origin, instead }]: readonly [string, Layered]): Shown {
  if (value instanceof Secret) return { name, value: String(value), origin }
  const variable = Object.hasOwn(VARIABLES, name) ? VARIABLES[name as VariableName] : undefined
  if (variable === undefined && shapeFor(name) === undefined) return { name, value: '[not shown]', origin }
  const isPath = IDENTITY.pattern.test(name) || (variable !== undefined && 'file' in variable)
  return isPath ? { name, value: basename(value), origin } : { name, value, origin, instead }
}

function shapeFor(key: string): z.ZodMiniType | undefined {
  if (Object.hasOwn(VARIABLES, key)) return VARIABLES[key as VariableName].shape
  if (SERVER.pattern.test(key)) return SERVER.shape
  return IDENTITY.pattern.test(key) && !isSecret(key) ? IDENTITY.shape : undefined
}

function aboutOf(key: string): string | undefined {
  if (Object.hasOwn(VARIABLES, key)) return VARIABLES[key as VariableName].about
  return SERVER.pattern.test(key) ? SERVER.about : undefined
}

/** Nobody has set it: a variable with a similar name was perhaps meant to. */
function isOpen(setting: Setting | undefined): boolean {
  return setting === undefined || setting.origin === DEFAULT
}

function placeOf({ label, at }: Origin): string {
  return at === undefined ? label : `${label}:${at.line}`
}

/** A value as a message may show it: no password of a URL, no pasted key. */
function shown(value: string): string {
  if (/-----BEGIN|[\r\n]/.test(value)) return 'a text of several lines, or a key'
  const plain = value.replace(/\/\/[^/?#]*@/, '//…@').replace(/[?#].*/, '?…')
  return `"${plain.length <= 80 ? plain : `${plain.slice(0, 79)}…`}"`
}

function isSecret(key: string): boolean {
  if (Object.hasOwn(VARIABLES, key)) return 'secret' in VARIABLES[key as VariableName]
  return /(?:PASSPHRASE|PASSWORD|SECRET|TOKEN|PRIVATE_KEY)$/.test(key)
}

type Draft = { -readonly [K in keyof IdentitySpec]: IdentitySpec[K] } & { origin: Origin }

function identitySpecs(
  settings: ReadonlyMap<string, Setting & { folder: string }>,
  problems: Problem[],
): Map<string, IdentitySpec> {
  const members = {
    CERT_FILE: 'certificateFile',
    KEY_FILE: 'keyFile',
    PFX_FILE: 'pfxFile',
    PASSPHRASE: 'passphrase',
  } as const
  const specs = new Map<string, Draft>()
  for (const [key, setting] of settings) {
    const match = IDENTITY.pattern.exec(key) ?? /^(TRANSPORT)_(CERT_FILE|KEY_FILE|PFX_FILE|PASSPHRASE)$/.exec(key)
    if (match === null) continue
    const name = (match[1] ?? '').toLowerCase().replaceAll('_', '-')
    const spec = specs.get(name) ?? { name, origin: setting.origin }
    const member = members[match[2] as keyof typeof members]
    if (member === 'passphrase') spec.passphrase = secretOf(setting) as Secret
    else spec[member] = pathOf(setting) as string
    specs.set(name, spec)
  }
  for (const { name, origin, certificateFile, keyFile, pfxFile } of specs.values()) {
    const prefix = name === 'transport' ? 'TRANSPORT' : `IDENTITY_${name.toUpperCase().replaceAll('-', '_')}`
    const files = { CERT_FILE: certificateFile, KEY_FILE: keyFile, PFX_FILE: pfxFile }
    const set = Object.entries(files).flatMap(([member, file]) => (file === undefined ? [] : [`${prefix}_${member}`]))
    const isWhole = pfxFile === undefined ? set.length === 2 : set.length === 1
    if (isWhole) continue
    problems.push({
      code: 'ENV_INVALID',
      message: `identity "${name}" needs one certificate with its key`,
      at: origin.at,
      expected: `${prefix}_CERT_FILE with ${prefix}_KEY_FILE, or ${prefix}_PFX_FILE alone`,
      found: set.length === 0 ? `only ${prefix}_PASSPHRASE` : `${set.length === 1 ? 'only ' : ''}${set.join(', ')}`,
    })
  }
  return new Map([...specs].map(([name, { origin: _, ...spec }]) => [name, spec]))
}

function allowedHosts(
  values: ReadonlyMap<string, unknown>,
  servers: ReadonlyMap<string, string>,
  environmentClass: Environment['class'],
): ReadonlySet<string> {
  const named = values.get('ALLOWED_HOSTS') as string[] | undefined
  return new Set(named ?? hostsOf({ servers, class: environmentClass }))
}

/** Those that an environment needs: of its servers, and the documented names of the authorization server. */
export function hostsOf({
  servers,
  class: environmentClass,
}: Pick<Environment, 'servers' | 'class'>): readonly string[] {
  return [...[...servers.values()].map((url) => new URL(url).host), ...AUTHORIZATION_HOSTS[environmentClass]]
}

/** Defaults that follow from other settings. */
function derived(inputName: string, servers: ReadonlyMap<string, string>): Setting | undefined {
  const endpoint = {
    assertion_audience_directory: ['directory_mtls', '/token'],
    assertion_audience_authorization: ['authorization', '/oauth2/token'],
  }[inputName]
  const server = endpoint && servers.get(endpoint[0] ?? '')
  return server === undefined ? undefined : { value: `${server}${endpoint?.[1]}`, origin: DEFAULT }
}

function reveal(value: string | Secret): string {
  return value instanceof Secret ? value.reveal() : value
}

function secretOf(setting: Setting | undefined): Secret | undefined {
  return setting?.value instanceof Secret ? setting.value : undefined
}

function pathOf(setting: (Setting & { folder: string }) | undefined): string | undefined {
  if (setting === undefined || setting.value instanceof Secret) return undefined
  return isAbsolute(setting.value) ? setting.value : resolve(setting.folder, setting.value)
}
