/** What everybody who leaves Postman needs first: hosts, ids, kid, keys and the registration, from variables into settings. Pure. */
import type { ServerName } from './hosts.ts'
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

const REGISTRATION: Readonly<Record<string, readonly string[]>> = {
  registration_access_token: [
    'registrationaccesstoken',
    'registrationtoken',
    'regaccesstoken',
    'dcraccesstoken',
    'rat',
  ],
  registration_client_uri: [
    'registrationclienturi',
    'registrationclienturl',
    'registrationuri',
    'regclienturi',
    'regclienturl',
  ],
}
const MEMBER_OF = new Map(Object.entries(REGISTRATION).flatMap(([name, all]) => all.map((one) => [one, name] as const)))

/** Why a setting cannot have a value: what is expected instead; undefined where it can. */
export type Unusable = (name: string, value: string) => string | undefined

export function settingsIn(
  sources: readonly Source[],
  variables: Variables,
  requests: readonly ReadRequest[],
  unusable: Unusable,
): Carried {
  const settings = new Map<string, Setting>()
  const files = new Map<string, KeyFile>()
  const registration = new Map<string, string>()
  for (const variable of variables.all()) ofVariable(variable, variables, { settings, files, registration, unusable })
  for (const { name, value, from } of [...serversOf(requests), ...ofRequests(requests)])
    if (!settings.has(name) && unusable(name, value) === undefined) settings.set(name, { name, value, from })
  for (const source of sources) listDescriptions(source)
  const members = Object.fromEntries(registration)
  const clientId = settings.get('CLIENT_ID')?.value
  return {
    settings: [...settings.values()],
    files: [...files.values()],
    registration:
      registration.size === 0 ? undefined : { ...(clientId === undefined ? {} : { client_id: clientId }), ...members },
  }
}

/** The setting that a variable of this name holds. */
export function settingSpelt(plain: string): string | undefined {
  return SETTING_OF.get(plain)
}

/** The member of a registration that a variable of this name holds. */
export function vaultMember(plain: string): string | undefined {
  return MEMBER_OF.get(plain)
}

interface Found {
  readonly settings: Map<string, Setting>
  readonly files: Map<string, KeyFile>
  readonly registration: Map<string, string>
  readonly unusable: Unusable
}

function ofVariable(
  variable: Variable,
  variables: Variables,
  { settings, files, registration, unusable }: Found,
): void {
  const { name, source, at } = variable
  const { account } = source
  const value = variables.resolved(variable.value).trim()
  const plain = plainName(name)
  const from = `"${name}" of ${source.name}`
  const key = keyFileOf(name, value)
  const setting = SETTING_OF.get(plain)
  const member = MEMBER_OF.get(plain)
  if (isEmpty(value)) account.list(at, 'has no value')
  else if (key !== undefined) {
    files.set(key.name, { ...key, value: variables.resolved(variable.value), from })
    account.carry(at, `the file of ${key.name}`)
  } else if (setting !== undefined) {
    const expected = unusable(setting, value)
    if (expected === undefined) settings.set(setting, { name: setting, value, from })
    if (expected === undefined) account.carry(at, setting)
    else account.list(at, `${setting} cannot have this value; expected: ${expected}`)
  } else if (member !== undefined) {
    registration.set(member, value)
    account.carry(at, 'the vault')
  } else {
    const reason = NOT_NEEDED.find(([pattern]) => pattern.test(plain))?.[1]
    if (reason !== undefined) account.list(at, reason)
  }
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

const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/
const CERTIFICATE = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----/

function keyFileOf(name: string, value: string): Pick<KeyFile, 'name' | 'file'> | undefined {
  const isTransport = /transport|tls|ssl|client_?cert/i.test(name)
  if (PRIVATE_KEY.test(value) || isPrivateJwk(value))
    return isTransport
      ? { name: 'TRANSPORT_KEY_FILE', file: 'transport.key' }
      : { name: 'SIGNING_KEY_FILE', file: 'signing.key' }
  if (!CERTIFICATE.test(value)) return undefined
  if (isTransport) return { name: 'TRANSPORT_CERT_FILE', file: 'transport.crt' }
  if (/sign/i.test(name)) return { name: 'SIGNING_CERT_FILE', file: 'signing.crt' }
  return /(?:^|_)ca(?:_|$)|root|authority/i.test(name) ? { name: 'CA_FILE', file: 'ca.crt' } : undefined
}

function isPrivateJwk(value: string): boolean {
  if (!value.startsWith('{')) return false
  try {
    const parsed: unknown = JSON.parse(value)
    return isObject(parsed) && typeof parsed.kty === 'string' && typeof parsed.d === 'string'
  } catch {
    return false
  }
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
