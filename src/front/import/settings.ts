/** What everybody who leaves Postman needs first: hosts, ids, kid, keys and the registration, from variables into settings. Pure. */

import type { ServerName } from '../../environment/hosts.ts'
import { whyUnusable } from '../../environment/index.ts'
import { certificatesOf, privateKeysOf } from '../../identity/keys.ts'
import { isEncrypted, materialOf } from '../../identity/material.ts'
import { dotenv } from '../../record/foreign.ts'
import { registrationMember } from '../../vault/index.ts'
import type { CallName, ReadRequest } from './recognise.ts'
import { isObject, type Source } from './source.ts'
import { referencesIn, type Variable, type Variables } from './variables.ts'

export interface Setting {
  readonly name: string
  readonly value: string
  /** where it stands in the files, in words */
  readonly from: string
}

/** The text of a key or certificate, which becomes a file that a setting names. */
export interface KeyFile extends Setting {
  /** the last part of its name: `signing.key` */
  readonly file: string
}

export interface Carried {
  readonly settings: readonly Setting[]
  readonly files: readonly KeyFile[]
  /** as lines of NAME=value would have it; undefined without a registration access token or registration_client_uri */
  readonly registration: Readonly<Record<string, string>> | undefined
  /** what a person has to mend before it can be carried over */
  readonly warnings: readonly string[]
}

/** How people spell what a setting holds, without what separates the words. */
const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  ORG_ID: ['orgid', 'organisationid', 'organizationid', 'raidiamorgid'],
  SOFTWARE_ID: ['ssaid', 'softwareid', 'softwarestatementid', 'appid', 'applicationid'],
  CLIENT_ID: ['clientid', 'oauthclientid', 'dcrclientid'],
  SIGNING_KID: ['kid', 'signingkid', 'keyid', 'signingkeyid'],
  X_REGION: ['xregion'],
}
const SETTING_OF = new Map(Object.entries(SPELLINGS).flatMap(([name, all]) => all.map((one) => [one, name] as const)))

/** Variables that need not be carried over, and why. */
const NOT_NEEDED: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:rc|directory|api|dir)?accesstoken$|^(?:bearer|id|refresh)?token$/,
    'a token of a short life: each run gets its own',
  ],
  [/^(?:client|rc|directory)?(?:assertion|jwt)$/, 'signed anew for each call (mint: client_assertion)'],
  [
    /^(?:rc)?(?:ssa|softwarestatement)(?:assertion)?$/,
    'fetched anew by each run: a software statement is valid for a short time',
  ],
  [
    /^(?:token|registration|introspection|authorization|jwks)?(?:endpoint|uri)$|^rc.*endpoint$/,
    'read from the discovery document, or made from the SERVER_ setting',
  ],
  [/jsrsasign|pmlib|forge/, 'a library for signing in Postman: flows sign by themselves'],
  [/clientsecret/, 'a client of this registration authenticates by private_key_jwt and has no secret'],
  [
    /passphrase|password/,
    'a passphrase: write it to the environment file as SIGNING_PASSPHRASE or TRANSPORT_PASSPHRASE yourself',
  ],
]

/** What a setting of an environment file expects instead of this value; undefined where it can have it. */
export function unusable(name: string, value: string): string | undefined {
  return (
    whyUnusable(name, value) ?? (dotenv(value) === undefined ? 'a value without quotes and line breaks' : undefined)
  )
}

export function settingsIn(
  sources: readonly Source[],
  variables: Variables,
  requests: readonly ReadRequest[],
): Carried {
  const found: Found = { settings: new Map(), files: new Map(), registration: new Map(), warnings: [] }
  const { settings, files, registration, warnings } = found
  for (const variable of variables.all()) ofVariable(variable, variables, found)
  for (const { name, value, from } of [...serversOf(requests), ...ofRequests(requests)])
    if (!settings.has(name) && unusable(name, value) === undefined) settings.set(name, { name, value, from })
  for (const source of sources) listDescriptions(source)
  return {
    settings: [...settings.values()],
    files: [...files.values()],
    registration: registrationOf(registration, settings.get('CLIENT_ID')?.value, warnings),
    warnings,
  }
}

/** Token and address of a registration are of use together only. */
function registrationOf(
  registration: Found['registration'],
  clientId: string | undefined,
  warnings: string[],
): Carried['registration'] {
  const lacking = REGISTRATION.filter((member) => !registration.has(member))
  if (lacking.length === 0) {
    const members = [...registration].map(([member, { value }]) => [member, value])
    return { ...(clientId === undefined ? {} : { client_id: clientId }), ...Object.fromEntries(members) }
  }
  for (const [member, { variable }] of registration) {
    variable.source.account.list(variable.at, `${member} cannot be used without ${lacking[0]}, which no file has`)
    warnings.push(
      `${member} is there and ${lacking[0]} is not, so no registration is taken over: write ${lacking[0]} into the environment in Postman (it stands beside it in the answer of the registration), and repeat the command`,
    )
  }
  return undefined
}

/** The setting that a variable of this name holds. */
export function settingSpelt(plain: string): string | undefined {
  return SETTING_OF.get(plain)
}

/** As an answer to a registration has them. */
const REGISTRATION = ['registration_access_token', 'registration_client_uri'] as const

/** The member of a registration that a variable of this name holds. */
export function vaultMember(name: string): string | undefined {
  return REGISTRATION.find((one) => one === registrationMember(name))
}

/** Whether an input is read from the vault. */
export function isOfRegistration(input: string): boolean {
  return REGISTRATION.some((one) => one === input)
}

interface Found {
  readonly settings: Map<string, Setting>
  readonly files: Map<string, KeyFile>
  readonly registration: Map<string, { readonly value: string; readonly variable: Variable; readonly from: string }>
  readonly warnings: string[]
}

function ofVariable(variable: Variable, variables: Variables, found: Found): void {
  const { account } = variable.source
  const value = variables.resolved(variable.value)
  if (isEmpty(value.trim())) account.list(variable.at, 'has no value')
  else if (!ofKey(variable, value, found)) ofSetting(variable, value.trim(), found)
}

/** Of two variables for one thing the nearest counts, as in Postman. */
function ofSetting(variable: Variable, value: string, { settings, registration, warnings }: Found): void {
  const { name, source, at } = variable
  const plain = plainName(name)
  const from = `"${name}" of ${source.name}`
  const setting = SETTING_OF.get(plain)
  const member = vaultMember(name)
  const already = settings.get(setting ?? '') ?? registration.get(member ?? '')
  const expected = setting === undefined ? undefined : unusable(setting, value)
  const reason = NOT_NEEDED.find(([pattern]) => pattern.test(plain))?.[1]
  if (already !== undefined) {
    source.account.list(at, `${setting ?? member} is taken from ${already.from}`)
    if (already.value !== value)
      warnings.push(`${from} is another ${setting ?? member} than ${already.from}, which counts`)
  } else if (expected !== undefined) source.account.list(at, `${setting} cannot have this value; expected: ${expected}`)
  else if (setting !== undefined) {
    settings.set(setting, { name: setting, value, from })
    source.account.carry(at, setting)
  } else if (member !== undefined) {
    registration.set(member, { value, variable, from })
    source.account.carry(at, 'the vault')
  } else if (reason !== undefined) source.account.list(at, reason)
}

/** Whether it was a key or certificate; one that cannot be read is named and not written. */
function ofKey({ name, source, at }: Variable, value: string, { files, warnings }: Found): boolean {
  const key = keyFileOf(name, value)
  if (key === undefined) return false
  const from = `"${name}" of ${source.name}`
  const already = files.get(key.name)
  const fault = whyUnread(key.name, value)
  if (fault !== undefined) {
    source.account.list(at, `${key.name} cannot be made of it: it ${fault}`)
    warnings.push(`${from} ${fault}: export it again, or name the file by --set ${key.name}=<file>`)
  } else if (already !== undefined) {
    source.account.list(at, `${key.name} is taken from ${already.from}`)
    if (already.value !== value) warnings.push(`${from} is another ${key.name} than ${already.from}, which counts`)
  } else {
    files.set(key.name, { ...key, value, from })
    source.account.carry(at, `the file of ${key.name}`)
  }
  return true
}

export function plainName(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .replace(/^thredd/, '')
}

/** Empty, or left as the author of the collection wrote it for others to fill in. */
export function isEmpty(value: string): boolean {
  return value === '' || /^\{\{[^{}]*\}\}$|^<[^<>]*>$|^(?:your|change|todo)[-_ ][\w -]*$|^x{3,}$/i.test(value)
}

/** Also cut: what begins as one is one that is broken. */
const BEGINS = /-----BEGIN/
const CERTIFICATE = /-----BEGIN (?:TRUSTED )?CERT/
const NAMES_KEY = /(?:private|signing|transport|tls|ssl|mtls)key(?:pem)?$/

/** A text that is no key counts as one by the name of its variable. */
function keyFileOf(name: string, value: string): Pick<KeyFile, 'name' | 'file'> | undefined {
  const isTransport = /transport|tls|ssl|client_?cert/i.test(name)
  if (CERTIFICATE.test(value)) {
    if (isTransport) return { name: 'TRANSPORT_CERT_FILE', file: 'transport.crt' }
    if (/sign/i.test(name)) return { name: 'SIGNING_CERT_FILE', file: 'signing.crt' }
    return /(?:^|_)ca(?:_|$)|root|authority/i.test(name) ? { name: 'CA_FILE', file: 'ca.crt' } : undefined
  }
  if (!BEGINS.test(value) && !isPrivateJwk(value) && !NAMES_KEY.test(plainName(name))) return undefined
  return isTransport
    ? { name: 'TRANSPORT_KEY_FILE', file: 'transport.key' }
    : { name: 'SIGNING_KEY_FILE', file: 'signing.key' }
}

/** What is wrong with a key or certificate, as the end of a sentence; one that is encrypted is not looked into. */
function whyUnread(setting: string, text: string): string | undefined {
  const material = materialOf(Buffer.from(text))
  if (material.blocks.some((block) => 'der' in block && isEncrypted(block))) return undefined
  const read = setting.endsWith('KEY_FILE')
    ? privateKeysOf(material, undefined, { own: setting, passphrase: '' })
    : certificatesOf(material, setting)
  if ('read' in read) return undefined
  const { what, found } = read.fault
  return `${what}${found === undefined ? '' : ` (${found})`}`
}

function isPrivateJwk(value: string): boolean {
  const parsed = value.startsWith('{') ? jsonOf(value) : undefined
  return isObject(parsed) && typeof parsed.kty === 'string' && typeof parsed.d === 'string'
}

function serversOf(requests: readonly ReadRequest[]): readonly Setting[] {
  const servers = new Map<ServerName, Setting>()
  for (const { request, documented } of requests) {
    const server = documented?.server
    if (server === undefined || server.url.includes('{{')) continue
    for (const { source, at } of referencesIn(request.url).flatMap((name) => request.variables.get(name) ?? []))
      if (source.account.isOpen(at)) source.account.carry(at, `SERVER_${server.name}`)
    if (servers.has(server.name)) continue
    servers.set(server.name, {
      name: `SERVER_${server.name}`,
      value: server.url,
      from: `the address of "${request.name}"`,
    })
  }
  return [...servers.values()]
}

/** What stands in the documented calls themselves. */
function ofRequests(requests: readonly ReadRequest[]): readonly Setting[] {
  return requests.flatMap(({ request, url, documented, scripts }) => {
    const from = `"${request.name}"`
    const all = READERS[documented?.call ?? '']?.({ request, url, signs: scripts.signs.length > 0 }) ?? []
    const region = request.headers.find(({ name }) => name.toLowerCase() === 'x-region')
    const value = region && request.variables.resolved(region.value)
    const ofRegion = value !== undefined && /^[012]$/.test(value) ? [{ name: 'X_REGION', value }] : []
    return [...all, ...ofRegion].map((one) => ({ ...one, from }))
  })
}

interface Call {
  readonly request: ReadRequest['request']
  readonly url: string
  readonly signs: boolean
}

type Reader = (call: Call) => readonly Pick<Setting, 'name' | 'value'>[]

const READERS: Readonly<Partial<Record<CallName | '', Reader>>> = {
  statement: ({ url }) => {
    const [, org = '', software = ''] =
      /\/organisations\/([^/{]+)\/softwarestatements\/([^/{]+)\/assertion/.exec(url) ?? []
    return org === ''
      ? []
      : [
          { name: 'ORG_ID', value: org },
          { name: 'SOFTWARE_ID', value: software },
        ]
  },
  'directory-token': ({ request, signs }) => [
    ...(request.body?.entries.some(({ name }) => name === 'client_assertion')
      ? [{ name: 'DIRECTORY_AUTH_METHOD', value: 'private_key_jwt' }]
      : []),
    ...(signs ? algorithmOf(request, 'DIRECTORY_SIGNING_ALG') : []),
  ],
  'api-token': ({ request, signs }) => (signs ? algorithmOf(request, 'SIGNING_ALG') : []),
  register: ({ request }) => {
    const scopes = registeredScopes(request)
    return scopes === undefined ? [] : [{ name: 'SCOPES', value: scopes.join(',') }]
  },
}

function algorithmOf({ scripts }: ReadRequest['request'], name: string): ReturnType<Reader> {
  const text = scripts.flatMap(({ lines }) => lines.map((line) => line.text)).join('\n')
  const value = /['"](PS256|RS256|ES256)['"]/.exec(text)?.[1]
  return value === undefined ? [] : [{ name, value }]
}

/** The list of scopes that the body of a POST or PUT of the registration asks for. */
export function registeredScopes({ body }: ReadRequest['request']): readonly string[] | undefined {
  const metadata = jsonOf(body?.text ?? '')
  if (!isObject(metadata)) return undefined
  const { scopes, scope } = metadata
  if (Array.isArray(scopes)) return scopes.map(String).filter((one) => /^[\w.:-]+$/.test(one))
  return typeof scope === 'string' ? scope.split(/\s+/).filter((one) => /^[\w.:-]+$/.test(one)) : undefined
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** They may hold anything, passwords too, and are of no use to a run. */
function listDescriptions({ leaves, account }: Source): void {
  for (const leaf of leaves) {
    const [, place] = /^(.*\/description)(?:\/(?:content|type|version))?$/.exec(leaf) ?? []
    if (place !== undefined) account.list(place, 'a description: it may hold anything, and a run does not read it')
  }
}
