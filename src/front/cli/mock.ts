/**
 * `thredd mock`: the twin as a server for any client. Writes what a client needs into a folder, says where it listens, and
 * shows one line a request until it is told to stop. Beside twin.ts the only bridge from src to mocks.
 */
import { readFileSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { basename, join, resolve } from 'node:path'
import {
  type CatalogueEntry,
  describe,
  ensurePki,
  FAULTS,
  faultsOf,
  HOSTS,
  type LogEntry,
  type Pki,
  type RunningAdmin,
  type RunningTwin,
  readSeed,
  readSwitches,
  type SeededApplication,
  SWITCHES,
  startAdmin,
  startTwin,
  switchesOf,
} from '../../../mocks/index.ts'
import { fail } from '../../record/errors.ts'

export interface MockOptions {
  /** where CA, certificates, keys and settings are written; made if missing */
  readonly folder: string
  /** the address to listen on; default 127.0.0.1 */
  readonly host?: string | undefined
  /** default 8443, with documented names 443; "0" takes any free port */
  readonly port?: string | undefined
  /** "loopback" (default) or "documented" */
  readonly urls?: string | undefined
  /** `name=value` each */
  readonly switches?: readonly string[]
  /** JSON, or lines of `name=value` */
  readonly switchesFile?: string | undefined
  /** `name[:operation][=value]` each */
  readonly faults?: readonly string[]
  /** further applications, with certificates and an env file of their own */
  readonly seedFile?: string | undefined
  /** keeps what is registered; in memory without */
  readonly stateFile?: string | undefined
  /** opens the admin port; "0" takes any free one */
  readonly adminPort?: string | undefined
}

export interface MockIo {
  write(text: string): void
  /** aborted to stop */
  readonly signal: AbortSignal
}

/** The twin's switches and faults for `thredd mock --help`. */
export function mockSections(): { readonly title: string; readonly rows: readonly (readonly [string, string])[] }[] {
  return [
    {
      title: 'Switches (default in brackets)',
      rows: Object.entries(SWITCHES).map(([name, row]) => [
        `${name}=${describe(row.values).replaceAll('"', '')}`,
        `${row.meaning} [${row.default === '' ? 'none' : row.default}]`,
      ]),
    },
    {
      title: 'Faults, each for an operation or for all (default value in brackets)',
      rows: Object.entries<CatalogueEntry>(FAULTS).map(([name, { what, value }]) => [
        value === undefined ? name : `${name}=…`,
        value === undefined
          ? what
          : `${what}; value: ${value.about}${value.default === undefined ? '' : ` [${value.default}]`}`,
      ]),
    },
  ]
}

/** Serves until the signal; the exit code. Throws ToolError USAGE for an option and TWIN for a start that fails. */
export async function serveMock(options: MockOptions, io: MockIo): Promise<number> {
  const folder = resolve(options.folder)
  const urls = oneOf('--urls', options.urls ?? 'loopback', ['loopback', 'documented'])
  const host = options.host ?? '127.0.0.1'
  const port = portOf('--port', options.port ?? (urls === 'loopback' ? '8443' : '443'))
  if (urls === 'documented' && port === 0) {
    fail({ code: 'USAGE', message: '"--port 0" goes with "--urls loopback" only', hint: 'name a port, or leave 443' })
  }
  const adminPort = options.adminPort === undefined ? undefined : portOf('--admin', options.adminPort)
  const switches = {
    ...readFrom('--switches', options.switchesFile, readSwitches),
    ...asUsage(() => switchesOf(options.switches ?? [])),
  }
  const seed = readFrom('--seed', options.seedFile, readSeed)
  const applications = [DOCUMENTED, ...(seed?.applications ?? [])]

  await using stack = new AsyncDisposableStack()
  const { running, pki } = await started(async () => {
    await mkdir(folder, { recursive: true })
    // Keys stay out of version control wherever the folder is put.
    await writeFile(join(folder, '.gitignore'), '*\n')
    const names = isIP(host) === 0 || !isAnyOrLoopback(host) ? [...HOSTS, host] : HOSTS
    const pki = await ensurePki(join(folder, 'pki'), { hosts: names, applications: seed?.applications ?? [] })
    const running = stack.use(
      await startTwin({
        pki,
        seed,
        switches,
        host,
        port,
        urls,
        // Addresses as documented, but for the port where it is not the usual one.
        publish: port === 443 ? String : (url) => withPort(url, port),
        stateFile: options.stateFile,
        onRequest: (entry) => io.write(`${line(entry)}\n`),
      }),
    )
    return { running, pki }
  })
  const faults = asUsage(() => (options.faults ?? []).flatMap((text) => faultsOf(text, running.twin.operations)))
  for (const fault of faults) running.twin.use(...fault.handlers(running.twin))
  const admin =
    adminPort === undefined
      ? undefined
      : stack.use(await started(() => startAdmin(running.twin, { port: adminPort, onChange: () => running.keep() })))
  await writeFiles(folder, running, pki, applications)
  io.write(`${greeting({ folder, running, urls, applications, admin, faults: faults.map(({ what }) => what) })}\n`)
  await stopped(io.signal)
  io.write('stopped\n')
  return 0
}

/** Who asked for what, and what was decided; the log entry holds no token and no secret. */
function line({ time, method, url, certificate, status, decision }: LogEntry): string {
  const common = /CN=([^,]+)/.exec(certificate)?.[1]
  const who = common === undefined ? 'no certificate' : `CN=${common}`
  return `${time.slice(11, 19)} ${status === 0 ? '---' : status} ${method} ${url} [${who}] ${decision}`
}

function greeting({
  folder,
  running,
  urls,
  applications,
  admin,
  faults,
}: {
  folder: string
  running: RunningTwin
  urls: 'loopback' | 'documented'
  applications: readonly SeededApplication[]
  admin: RunningAdmin | undefined
  faults: readonly string[]
}): string {
  const lines = [`the offline twin listens on ${running.origin}`, `certificates, keys and settings are in ${folder}`]
  if (urls === 'loopback') {
    for (const { name } of applications) {
      const whose = name === DOCUMENTED.name ? '' : ` as "${name}"`
      lines.push(`run flows against it${whose} with: thredd run register --env ${join(folder, `.env.${name}`)}`)
    }
  } else lines.push('its names are the documented ones; add this line to /etc/hosts:', `127.0.0.1 ${HOSTS.join(' ')}`)
  lines.push(`the documented calls with curl: ${join(folder, CURL_FILE)}; for Postman: ${join(folder, POSTMAN_FILE)}`)
  for (const fault of faults) lines.push(`fault: ${fault}`)
  if (admin !== undefined) lines.push(`admin: ${admin.origin} with "Authorization: Bearer ${admin.token}"`)
  return lines.join('\n')
}

const CURL_FILE = 'curl.sh'
const POSTMAN_FILE = 'twin.postman_environment.json'
const AUTHORIZATION = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients'
/** The application of the documentation's sample response (Using DCR Endpoint Data, 3.3.3). */
const SOFTWARE_ID = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
const ORG_ID = '99b2b599-8cc2-499e-b805-e3d84233ae8e'
const CLIENT_ID = `https://rp.directory.sandbox.threddid.com/openid_relying_party/${SOFTWARE_ID}`
const DOCUMENTED: SeededApplication = {
  name: 'twin',
  roles: ['ws', 'programme-manager', 'bulk-cards'],
  claims: { client_id: CLIENT_ID, org_id: ORG_ID, software_id: SOFTWARE_ID },
}
const SERVERS = {
  DIRECTORY: 'https://auth.directory.sandbox.threddid.com',
  DIRECTORY_MTLS: 'https://matls-auth.directory.sandbox.threddid.com',
  DIRECTORY_API: '',
  KEYSTORE: 'https://keystore.directory.sandbox.threddid.com',
  AUTHORIZATION,
  CARDS: 'https://api.uat.threddpay.com',
  API_HUB: 'https://api-uat.thredd.com',
}

async function writeFiles(
  folder: string,
  running: RunningTwin,
  pki: Pki,
  applications: readonly SeededApplication[],
): Promise<void> {
  // Where software statements are to be had is a switch of the twin.
  const [directoryApi = ''] = running.twin.operations.get('getSoftwareStatementAssertion') ?? []
  const documented = { ...SERVERS, DIRECTORY_API: `https://${directoryApi}` }
  const servers = Object.entries(documented).map(([name, url]) => [name, running.publish(url)] as const)
  const at = Object.fromEntries(servers) as Record<keyof typeof SERVERS, string>
  const files = {
    ...Object.fromEntries(
      applications.map((application) => [`.env.${application.name}`, environment(servers, running, pki, application)]),
    ),
    [CURL_FILE]: curlLines(at, pki),
    [POSTMAN_FILE]: postman(at, pki, await readFile(pki.identities.signing.keyFile, 'utf8')),
  }
  for (const [name, text] of Object.entries(files)) {
    const made = join(folder, `.${name}.tmp`)
    await writeFile(made, text, { mode: name.endsWith('.sh') ? 0o700 : 0o600 })
    await rename(made, join(folder, name))
  }
}

function environment(
  servers: readonly (readonly [string, string])[],
  running: RunningTwin,
  pki: Pki,
  { name, roles, claims }: SeededApplication,
): string {
  const { transport, signing, signingKid } = pki.applications[name] ?? { ...pki.identities, signingKid: pki.signingKid }
  const place = (file: string) => `pki/${basename(file)}`
  return `# Written by thredd mock: the offline twin on ${running.origin}.
ENV_CLASS=mock

${servers.map(([source, url]) => `SERVER_${source}=${url}`).join('\n')}

CLIENT_ID=${claims.client_id}
ORG_ID=${claims.org_id}
SOFTWARE_ID=${claims.software_id}
ROLES=${roles.join(' ')}

TRANSPORT_CERT_FILE=${place(transport.certificateFile)}
TRANSPORT_KEY_FILE=${place(transport.keyFile)}
CA_FILE=pki/ca.crt
IDENTITY_RENEWED_CERT_FILE=pki/renewed.crt
IDENTITY_RENEWED_KEY_FILE=pki/renewed.key

SIGNING_KEY_FILE=${place(signing.keyFile)}
SIGNING_KID=${signingKid}
EXPECTED_TOKEN_ISSUER=${running.publish(AUTHORIZATION.replace('.mtls', ''))}
VAULT_DIR=vault
SACRIFICIAL_CLIENT=true
`
}

/** The documented calls as shell commands, each using what the one before has answered. */
function curlLines(at: Record<keyof typeof SERVERS, string>, pki: Pki): string {
  return `#!/bin/sh
# Written by thredd mock: the documented registration with curl and openssl, then an API access token and a call.
set -eu
cd "$(dirname "$0")"
client_id='${CLIENT_ID}'
call() { curl --silent --show-error --fail-with-body --path-as-is --cacert pki/ca.crt --cert pki/transport.crt --key pki/transport.key "$@"; }
member() { sed -n 's/.*"'"$1"'":"\\([^"]*\\)".*/\\1/p'; }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# 2.1 RC Access Token
directory_token=$(call --data grant_type=client_credentials --data scope=directory:software --data-urlencode "client_id=$client_id" \\
  '${at.DIRECTORY_MTLS}/token' | member access_token)

# 2.2 Get RC SSA
ssa=$(call --header "Authorization: Bearer $directory_token" \\
  '${at.DIRECTORY_API}/organisations/${ORG_ID}/softwarestatements/${SOFTWARE_ID}/assertion')

# 2.3 Dynamic Client Registration
registration=$(call --header 'Content-Type: application/json' --data '{
  "grant_types": ["client_credentials"], "application_types": ["service", "dcr"], "application_type": "service",
  "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "RS256",
  "scopes": ["cards.read", "cards.write", "pin.read"], "tls_client_certificate_bound_access_tokens": true,
  "request_object_signing_alg": "RS256", "response_types": "token", "software_statement": "'"$ssa"'"}' \\
  '${at.AUTHORIZATION}/oauth2/register')
echo "$registration"
registration_access_token=$(echo "$registration" | member registration_access_token)
registration_client_uri=$(echo "$registration" | member registration_client_uri)

# Get Access Token
now=$(date +%s)
header=$(printf '{"alg":"PS256","typ":"JWT","kid":"${pki.signingKid}"}' | base64url)
claims=$(printf '{"iss":"%s","sub":"%s","aud":"%s","jti":"%s","iat":%s,"exp":%s}' "$client_id" "$client_id" \\
  '${at.AUTHORIZATION}/oauth2/token' "$(openssl rand -hex 16)" "$now" "$((now + 300))" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign pki/signing.key \\
  -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -binary | base64url)
access_token=$(call --data grant_type=client_credentials \\
  --data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
  --data "client_assertion=$header.$claims.$signature" '${at.AUTHORIZATION}/oauth2/token' | member access_token)

call --header "Authorization: Bearer $access_token" '${at.CARDS}/api/v1/cards'
echo

# DCR DELETE, so that the script can be run again
call --request DELETE --header "Authorization: Bearer $registration_access_token" "$registration_client_uri"
`
}

/** Variables by the names of the documented Postman collection. Holds the signing key, as that collection does. */
function postman(at: Record<keyof typeof SERVERS, string>, pki: Pki, signingKey: string): string {
  const values = {
    org_id: ORG_ID,
    ssa_id: SOFTWARE_ID,
    client_id: CLIENT_ID,
    kid: pki.signingKid,
    private_key: signingKey,
    directory: at.DIRECTORY,
    directory_mtls: at.DIRECTORY_MTLS,
    directory_api: at.DIRECTORY_API,
    authorization: at.AUTHORIZATION,
    cards: at.CARDS,
    ssa: '',
    registration_access_token: '',
    registration_client_uri: '',
  }
  const secret = ['private_key', 'ssa', 'registration_access_token']
  const document = {
    name: 'Offline twin',
    values: Object.entries(values).map(([key, value]) => ({
      key,
      value,
      type: secret.includes(key) ? 'secret' : 'default',
      enabled: true,
    })),
    _postman_variable_scope: 'environment',
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

function withPort(url: string, port: number): string {
  return url.replace(/^https:\/\/[^/:]+(?=\/|$)/, (origin) => `${origin}:${port}`)
}

function isAnyOrLoopback(host: string): boolean {
  return ['127.0.0.1', '::1', '0.0.0.0', '::'].includes(host)
}

function oneOf<const T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value)
  if (found !== undefined) return found
  return fail({
    code: 'USAGE',
    message: `"${flag} ${value}" cannot be`,
    expected: allowed.join(' or '),
    found: `"${value}"`,
  })
}

function portOf(flag: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  return fail({
    code: 'USAGE',
    message: `flag "${flag}" needs a port`,
    expected: 'a number from 0 to 65535',
    found: `"${text}"`,
  })
}

/** The twin's own words for a wrong setting are what a person should read. */
function asUsage<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    return fail({ code: 'USAGE', message: wordsOf(error), hint: 'see docs/twin.md' }, error)
  }
}

function readFrom<T>(flag: string, file: string | undefined, read: (text: string) => T): T | undefined {
  if (file === undefined) return undefined
  try {
    return read(readFileSync(file, 'utf8'))
  } catch (error) {
    return fail({ code: 'USAGE', message: `"${flag} ${file}": ${wordsOf(error)}`, hint: 'see docs/twin.md' }, error)
  }
}

async function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const hint =
      code === 'EADDRINUSE'
        ? 'another process has the port; choose another with --port, or 0 for any free one'
        : code === 'EACCES'
          ? 'the port or the folder needs rights you do not have; choose another'
          : undefined
    return fail({ code: 'TWIN', message: `the offline twin could not start: ${wordsOf(error)}`, hint }, error)
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
