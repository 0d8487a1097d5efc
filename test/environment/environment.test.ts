/** What an environment says, from where, and what is said about one that cannot be used. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type EnvironmentOptions, loadEnvironment } from '../../src/environment/index.ts'
import { render, ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'
import { expectGolden } from '../support/golden.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
let folder: string

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-environment-')))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a value comes from --server, then a THREDD_ variable, then the local file, then the file, then the default', async () => {
  await files({
    '.env.uat':
      'ENV_CLASS=uat\nSERVER_CARDS=https://file.example\nTIMEOUT_MS=1000\nSIGNING_ALG=RS256\nTLS_MIN_VERSION=1.3',
    '.env.uat.local': 'SERVER_CARDS=https://local.example\nTIMEOUT_MS=2000\nSIGNING_ALG=ES256',
  })

  const { setting } = await load({
    env: 'uat',
    variables: { THREDD_TIMEOUT_MS: '3000' },
    servers: new Map([['cards', 'https://flag.example']]),
  })

  const names = ['server_cards', 'timeout_ms', 'signing_alg', 'tls_min_version', 'directory_signing_alg']
  expect(names.map((name) => [name, setting(name)?.value, setting(name)?.origin])).toEqual([
    ['server_cards', 'https://flag.example', { label: '--server' }],
    ['timeout_ms', '3000', { label: 'THREDD_TIMEOUT_MS' }],
    [
      'signing_alg',
      'ES256',
      { label: '.env.uat.local', at: { file: join(folder, '.env.uat.local'), line: 3, column: 1 } },
    ],
    ['tls_min_version', '1.3', { label: '.env.uat', at: { file: join(folder, '.env.uat'), line: 5, column: 1 } }],
    ['directory_signing_alg', 'PS256', { label: 'default' }],
  ])
})

test('a variable without the prefix is ignored', async () => {
  await files({ '.env.uat': 'ENV_CLASS=uat' })

  const { setting } = await load({ env: 'uat', variables: { CLIENT_ID: 'ambient', THREDD_ENV: 'prod' } })

  expect([setting('client_id'), setting('env')]).toEqual([undefined, undefined])
})

test('what arms the guards is read from the files alone, and who tries otherwise is told', async () => {
  await files({ '.env.mock': 'ENV_CLASS=mock\nALLOWED_HOSTS=api.example' })

  const environment = await load({
    env: 'mock',
    variables: { THREDD_ENV_CLASS: 'uat', THREDD_ALLOWED_HOSTS: 'elsewhere.example' },
  })

  expect([environment.class, [...environment.allowedHosts]]).toEqual(['mock', ['api.example']])
  expect(environment.warnings).toEqual([
    'THREDD_ENV_CLASS is ignored: ENV_CLASS is read from the environment files alone',
    'THREDD_ALLOWED_HOSTS is ignored: ALLOWED_HOSTS is read from the environment files alone',
  ])
})

test.each(['uat', 'prod'])(
  'on %s a process variable that would change what a guard goes by is refused by name',
  async (env) => {
    await files({
      [`.env.${env}`]: `ENV_CLASS=${env}\nCLIENT_ID=ours\nVAULT_DIR=vault`,
      [`.env.${env}.local`]: 'ORG_ID=1',
    })
    const variables = {
      THREDD_SERVER_AUTHORIZATION: 'https://elsewhere.example',
      THREDD_ENV_CLASS: 'mock',
      THREDD_ALLOWED_HOSTS: 'elsewhere.example',
      THREDD_SACRIFICIAL_CLIENT: 'true',
      THREDD_CLIENT_ID: 'theirs',
      THREDD_VAULT_DIR: 'empty',
      THREDD_ORG_ID: '2',
    }
    const named = async (options: Partial<EnvironmentOptions>) =>
      (await problemsOf({ env, variables, ...options })).map(({ message }) => message.split(' ')[0])
    const never = Object.keys(variables).slice(0, 4)

    expect(await named({})).toEqual([...never, 'THREDD_VAULT_DIR', 'THREDD_CLIENT_ID'])
    expect(await named({ allowEnv: true })).toEqual(never)
    const allowed = { THREDD_CLIENT_ID: 'theirs', THREDD_VAULT_DIR: 'empty' }
    const environment = await load({ env, variables: allowed, allowEnv: true })
    expect([environment.setting('client_id')?.value, environment.vault.folder]).toEqual([
      'theirs',
      join(folder, 'empty'),
    ])
    expect((await load({ env, variables: { THREDD_CLIENT_ID: 'ours', THREDD_SERVER_X: '' } })).warnings).toEqual([])
  },
)

test('a value that no file sets may come from a process variable, as a CI system does it', async () => {
  await files({ '.env.uat': 'ENV_CLASS=uat' })
  const variables = { THREDD_CLIENT_ID: 'ours', THREDD_VAULT_DIR: 'vault' }

  const environment = await load({ env: 'uat', variables })

  expect([environment.setting('client_id')?.value, environment.vault.folder]).toEqual(['ours', join(folder, 'vault')])
})

test('a relative path starts at the file that names it, that of a variable at the current folder', async () => {
  await files({
    'bank/.env.uat': 'ENV_CLASS=uat\nCA_FILE=ca.pem\nTRANSPORT_CERT_FILE=../pki/t.crt\nTRANSPORT_KEY_FILE=/keys/t.key',
    'bank/.env.uat.local': 'SIGNING_KEY_FILE=signing.key',
  })

  const environment = await load({ env: 'bank/.env.uat', variables: { THREDD_VAULT_DIR: 'vault' } })

  expect(environment.ca).toBe(join(folder, 'bank/ca.pem'))
  expect(environment.identities.get('transport')).toEqual({
    name: 'transport',
    certificateFile: join(folder, 'pki/t.crt'),
    keyFile: '/keys/t.key',
  })
  expect(environment.signing.key).toBe(join(folder, 'bank/signing.key'))
  expect(environment.vault.folder).toBe(join(folder, 'vault'))
})

test('an empty value is not a value and hides none', async () => {
  await files({
    '.env.uat': 'ENV_CLASS=uat\nCLIENT_ID=from the file\nORG_ID=\nTIMEOUT_MS=',
    '.env.uat.local': 'CLIENT_ID=\nTRANSPORT_CERT_FILE=',
  })

  const environment = await load({ env: 'uat', variables: { THREDD_CLIENT_ID: '' } })

  expect(environment.setting('client_id')?.value).toBe('from the file')
  expect(environment.setting('org_id')).toBeUndefined()
  expect(environment.timeoutMs).toBe(30_000)
  expect(environment.identities.size).toBe(0)
})

test('any input of a flow may be set by its name in upper case', async () => {
  await files({ '.env.uat': 'ENV_CLASS=uat\nCONTACT_EMAIL=somebody@example.com' })

  const { setting, warnings } = await load({ env: 'uat' })

  expect(setting('contact_email')?.value).toBe('somebody@example.com')
  expect(warnings).toEqual([])
})

test('audiences follow the servers unless they are set', async () => {
  await files({
    '.env.uat': [
      'ENV_CLASS=uat',
      'SERVER_DIRECTORY_MTLS=https://matls.example/',
      'SERVER_AUTHORIZATION=https://as.example/tenant',
      'ASSERTION_AUDIENCE_AUTHORIZATION=https://as.example/other',
    ].join('\n'),
  })

  const { setting, servers } = await load({ env: 'uat' })

  expect([...servers]).toEqual([
    ['directory_mtls', 'https://matls.example'],
    ['authorization', 'https://as.example/tenant'],
  ])
  expect(setting('assertion_audience_directory')?.value).toBe('https://matls.example/token')
  expect(setting('assertion_audience_authorization')?.value).toBe('https://as.example/other')
})

test('allowed hosts are those of the servers and the documented names, or exactly those that are named', async () => {
  await files({
    '.env.uat': 'ENV_CLASS=uat\nSERVER_CARDS=https://API.example:8443/v1',
    '.env.named':
      'ENV_CLASS=uat\nSERVER_CARDS=https://api.example\nALLOWED_HOSTS=API.example:443, other.example:8443 [::1]',
  })

  expect([...(await load({ env: 'uat' })).allowedHosts]).toEqual([
    'api.example:8443',
    'uat-thredd.mtls.eu.authz.cloudentity.io',
    'auth.uat.threddid.com',
  ])
  expect([...(await load({ env: 'named' })).allowedHosts]).toEqual(['api.example', 'other.example:8443', '[::1]'])
})

test('further identities have their own files', async () => {
  await files({
    '.env.uat': 'ENV_CLASS=uat\nIDENTITY_OTHER_BANK_PFX_FILE=other.pfx\nIDENTITY_OTHER_BANK_PASSPHRASE=hush',
  })

  const { identities } = await load({ env: 'uat' })

  expect([...identities.values()]).toEqual([
    { name: 'other-bank', pfxFile: join(folder, 'other.pfx'), passphrase: expect.any(Secret) },
  ])
})

test('secrets are never printed with the environment that holds them', async () => {
  const secrets = ['canary-key', 'canary-passphrase', 'canary-vault', 'canary-token', 'canary-identity']
  await files({
    '.env.uat': [
      'ENV_CLASS=uat',
      'SIGNING_KEY=canary-key',
      'TRANSPORT_CERT_FILE=t.crt',
      'TRANSPORT_KEY_FILE=t.key',
      'TRANSPORT_PASSPHRASE=canary-passphrase',
      'VAULT_KEY=canary-vault',
      'REGISTRATION_ACCESS_TOKEN=canary-token',
      'IDENTITY_X_PFX_FILE=x.pfx',
      'IDENTITY_X_PASSPHRASE=canary-identity',
    ].join('\n'),
  })

  const environment = await load({ env: 'uat' })

  const held = [
    environment.signing.key,
    environment.identities.get('transport')?.passphrase,
    environment.vault.key,
    environment.setting('registration_access_token')?.value,
    environment.identities.get('x')?.passphrase,
  ]
  expect(held.map((secret) => (secret instanceof Secret ? secret.reveal() : secret))).toEqual(secrets)
  const printed = `${JSON.stringify(environment)}${inspect(environment, { depth: 9 })}${inspect(held)}${held.join()}`
  expect(secrets.filter((secret) => printed.includes(secret))).toEqual([])
})

test('a name that is nearly a setting gives a warning with its place', async () => {
  await files({
    '.env.uat': [
      'ENV_CLASS=uat',
      'CLIENT-ID=1',
      'TIMEOUT_MSS=5',
      'ORG_ID=1',
      'ORG_IDS=2',
      'SOMETHING_ELSE=3',
      'SERVR_CARDS=https://cards.example',
      'IDENTITY_OTHER_BANK_CERTFILE=x',
      'THREDD_SOFTWARE_ID=1',
      'contact_email=somebody@example.com',
      'roles=a',
    ].join('\n'),
  })

  const { warnings } = await load({ env: 'uat', variables: { THREDD_SIGNING_KDI: 'k' } })

  expect(warnings).toEqual([
    'THREDD_SIGNING_KDI: SIGNING_KDI is not a setting; did you mean SIGNING_KID?',
    '.env.uat:2: CLIENT-ID is not a setting; did you mean CLIENT_ID?',
    '.env.uat:3: TIMEOUT_MSS is not a setting; did you mean TIMEOUT_MS?',
    '.env.uat:7: SERVR_CARDS is not a setting; did you mean SERVER_CARDS?',
    '.env.uat:8: IDENTITY_OTHER_BANK_CERTFILE is not a setting; did you mean IDENTITY_OTHER_BANK_CERT_FILE?',
    '.env.uat:9: THREDD_SOFTWARE_ID sets nothing: the prefix THREDD_ belongs to process variables; write SOFTWARE_ID',
    '.env.uat:10: contact_email sets nothing: inputs are set by their names in upper case',
    '.env.uat:11: roles sets nothing: names of settings are in upper case; write ROLES',
  ])
})

test('a value that the file format cuts off or overrides gives a warning', async () => {
  await files({
    '.env.uat': 'ENV_CLASS=uat\nCONTACT=abc#def\nORG_ID=1 # a comment\nORG_ID=2\nROLES="a#b" # fine',
  })

  const { setting, warnings } = await load({ env: 'uat' })

  expect(setting('roles')?.value).toBe('a#b')
  expect(warnings).toEqual([
    '.env.uat:2: the value of CONTACT ends before "#"; put it into quotes if "#" is part of it',
    '.env.uat:4: ORG_ID is set again; line 3 no longer counts',
  ])
})

test.for([
  ['UTF-8 with a byte order mark', (text: string) => Buffer.from(`\ufeff${text}`)],
  ['UTF-16, little endian', (text: string) => Buffer.from(text, 'utf16le')],
  ['UTF-16, little endian, with a byte order mark', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')],
  ['UTF-16, big endian', (text: string) => Buffer.from(text, 'utf16le').swap16()],
  ['UTF-16, big endian, with a byte order mark', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
  ['lines that end as on Windows', (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'))],
  ['lines that end as on an old Macintosh', (text: string) => Buffer.from(text.replaceAll('\n', '\r'))],
  ['"export" before each name', (text: string) => Buffer.from(text.replaceAll(/^/gm, 'export '))],
] as const)('a file in %s is read', async ([, encode]) => {
  const text = 'ENV_CLASS=uat\nCLIENT_ID=https://rp.example/1\nORG_ID="a b"'
  await files({ '.env.uat': encode(text) })

  const { setting, warnings } = await load({ env: 'uat' })

  expect(['client_id', 'org_id'].map((name) => [setting(name)?.value, setting(name)?.origin.at?.line])).toEqual([
    ['https://rp.example/1', 2],
    ['a b', 3],
  ])
  expect(warnings).toEqual([])
})

test('a quote that is not closed, or closed too early, is told with its line, and no other line is lost', async () => {
  await files({
    '.env.uat': [
      'ENV_CLASS=nonsense',
      "NOTE='tis mine",
      'CLIENT_ID=\u200b1',
      "# Thredd's organisation",
      'ORG_ID="o" 1',
      'ROLES=`a',
    ].join('\n'),
  })

  expectGolden(await refusal({ env: 'uat' }), 'environment/quotes.txt')
})

test('a value in quotes that takes in what looks like a setting gives a warning', async () => {
  await files({ '.env.uat': "ENV_CLASS=uat\nNOTE='tis mine\nCLIENT_ID=c1\nOTHER=it'\nORG_ID=o1" })

  const { setting, warnings } = await load({ env: 'uat' })

  expect([setting('client_id'), setting('org_id')?.value]).toEqual([undefined, 'o1'])
  expect(warnings).toEqual([
    '.env.uat:2: the value of NOTE ends in line 4, where its quote is closed, and takes in line 3, which looks like a setting',
  ])
})

test('a value may end with a backslash before its closing quote', async () => {
  await files({ '.env.uat': "ENV_CLASS=uat\nNOTE='C:\\keys\\'\nORG_ID=\"it\\'s\"" })

  const { setting } = await load({ env: 'uat' })

  expect([setting('note')?.value, setting('org_id')?.value]).toEqual(['C:\\keys\\', "it\\'s"])
})

test('bytes that are no text are told with their line, except in a comment', async () => {
  const lines = ['# caf\u00e9', 'ENV_CLASS=uat', 'CONTACT=caf\u00e9', 'CLIENT_ID=a\0b']
  await files({ '.env.uat': Buffer.from(lines.join('\n'), 'latin1') })

  expectGolden(await refusal({ env: 'uat' }), 'environment/bytes.txt')
})

test('what was hardly meant is refused in ids, hosts and paths, with its place and without the value', async () => {
  await files({
    '.env.uat': [
      'ENV_CLASS=uat',
      'CLIENT_ID=canary\u200b1',
      'ORG_ID={{canary}}',
      'SOFTWARE_ID=\u201ccanary\u201d',
      'SERVER_CARDS=https://\u0024{CANARY_HOST}',
      'CA_FILE=canary\u00a0ca.pem',
      'SIGNING_KID=canary\u0007',
      'ROLES=<canary roles>',
    ].join('\n'),
  })

  const said = await refusal({ env: 'uat', variables: { THREDD_VAULT_DIR: '$(canary)/vault' } })

  expect(said).not.toMatch(/canary/i)
  expectGolden(said, 'environment/oddities.txt')
})

test('the same in a passphrase or an input is a warning, since it may be meant', async () => {
  await files({
    '.env.uat':
      'ENV_CLASS=uat\nTRANSPORT_PFX_FILE=t.p12\nTRANSPORT_PASSPHRASE=canary\u00a01\nCLIENT_NAME=\u201ccanary\u201d',
  })

  expect((await load({ env: 'uat' })).warnings).toEqual([
    '.env.uat:3: TRANSPORT_PASSPHRASE holds a space that is no ordinary one (U+00A0) at character 7',
    '.env.uat:4: CLIENT_NAME holds a typographic quotation mark (U+201C) at character 1',
  ])
})

test('an identity for a source without a server is warned of', async () => {
  await files({
    '.env.uat':
      'ENV_CLASS=uat\nSERVER_CARDS=https://cards.example\nIDENTITY_FOR_CARDS=none\nIDENTITY_FOR_CARD=none\nIDENTITY_FOR_ELSEWHERE=none',
  })

  expect((await load({ env: 'uat' })).warnings).toEqual([
    '.env.uat:4: IDENTITY_FOR_CARD is of no use without SERVER_CARD; did you mean IDENTITY_FOR_CARDS?',
    '.env.uat:5: IDENTITY_FOR_ELSEWHERE is of no use without SERVER_ELSEWHERE',
  ])
})

test('warnings are told together with the errors that they may explain', async () => {
  await files({ '.env.uat': 'ENV_CLASS=nonsense\nCLIENTID=1\nCA_FILE=my #1/ca.pem\nORG_ID=1\nORG_ID=2' })

  const error = await load({ env: 'uat' }).catch((reason: unknown) => reason)

  expect(error instanceof ToolError && error.warnings).toEqual([
    '.env.uat:3: the value of CA_FILE ends before "#"; put it into quotes if "#" is part of it',
    '.env.uat:5: ORG_ID is set again; line 4 no longer counts',
    '.env.uat:2: CLIENTID is not a setting; did you mean CLIENT_ID?',
  ])
})

test('a key pasted where a file is named is refused without being printed, and so is a path of a shell', async () => {
  const base64 = Buffer.alloc(32, 'canary').toString('base64url')
  await files({
    '.env.uat': [
      'ENV_CLASS=uat',
      `VAULT_KEY_FILE=${base64}`,
      `SIGNING_KEY_FILE=MIIE${base64.repeat(3)}`,
      'TRANSPORT_CERT_FILE=~/canary.crt',
      `TRANSPORT_KEY_FILE={"kty":"RSA","d":"${base64}"}`,
      `CA_FILE=LS0tLS1CRUdJTi${base64.repeat(3)}`,
    ].join('\n'),
  })

  const said = await refusal({ env: 'uat' })

  expect(said).not.toContain(base64)
  expectGolden(said, 'environment/pasted.txt')
})

test('a value of a higher layer replaces the file that a lower one names; both in one layer are refused', async () => {
  await files({
    '.env.uat':
      'ENV_CLASS=uat\nTRANSPORT_CERT_FILE=t.crt\nTRANSPORT_KEY_FILE=t.key\nSIGNING_KEY_FILE=s.key\nCA_FILE=ca.crt',
    '.env.both': 'ENV_CLASS=uat\nCA_FILE=ca.crt\nCA=text',
  })

  const { identities, signing, ca } = await load({
    env: 'uat',
    variables: {
      THREDD_TRANSPORT_CERT: 'certificate',
      THREDD_TRANSPORT_KEY: 'key',
      THREDD_SIGNING_KEY: 'signing',
      THREDD_CA: 'ca',
    },
  })

  const { name, ...materials } = identities.get('transport') ?? { name: undefined }
  expect(name).toBe('transport')
  const texts = [...Object.entries(materials), ['signing', signing.key], ['ca', ca]] as const
  expect(texts.map(([member, given]) => [member, given instanceof Secret && given.reveal()])).toEqual([
    ['certificateText', 'certificate'],
    ['keyText', 'key'],
    ['signing', 'signing'],
    ['ca', 'ca'],
  ])
  expect(await refusal({ env: 'both' })).toContain('CA_FILE and CA are both set')
})

test('a slash at the end of a server is no part of it', async () => {
  await files({ '.env.uat': 'ENV_CLASS=uat\nSERVER_CARDS=https://api.example/v1//' })

  const { setting, servers } = await load({ env: 'uat', servers: new Map([['api-hub', 'https://hub.example/']]) })

  expect([...servers]).toEqual([
    ['api_hub', 'https://hub.example'],
    ['cards', 'https://api.example/v1'],
  ])
  expect(setting('server_cards')?.value).toBe('https://api.example/v1')
})

test('a value of several lines in quotes is one value', async () => {
  await files({ '.env.uat': 'ENV_CLASS=uat\nSIGNING_KEY="first\nNAME=second\nthird"\nSIGNING_KID=kid\n' })

  const environment = await load({ env: 'uat' })

  expect(environment.signing.key instanceof Secret && environment.signing.key.reveal()).toBe(
    'first\nNAME=second\nthird',
  )
  expect(environment.setting('name')).toBeUndefined()
  expect(environment.setting('signing_kid')?.origin.at?.line).toBe(5)
})

test('everything wrong with an environment is reported at once, each with file, line and remedy', async () => {
  await files({
    '.env.uat': [
      'ENV_CLASS=test',
      'SERVER_CARDS=http://cards.example',
      'SERVER_API_HUB=https://user:canary/pass@canary@hub.example/?key=canary-query',
      'SERVER_KEYSTORE=keystore.example',
      'TIMEOUT_MS=30s',
      'SIGNING_ALG=HS256',
      'ALLOWED_HOSTS=https://cards.example, hub.example',
      'TRANSPORT_CERT_FILE=transport.crt',
      'a line that sets nothing',
      'ROLES="bulk-cards',
    ].join('\n'),
    '.env.uat.local': [
      'TLS_MIN_VERSION=1.1',
      'IDENTITY_OTHER_CERT_FILE=other.crt',
      'IDENTITY_OTHER_KEY_FILE=other.key',
      'IDENTITY_OTHER_PFX_FILE=other.pfx',
      'IDENTITY_LONELY_PASSPHRASE=canary-lonely',
      'SIGNING_KEY_FILE="-----BEGIN PRIVATE KEY-----\ncanary-file\n-----END PRIVATE KEY-----"',
      'SIGNING_KEY=-----BEGIN PRIVATE KEY-----',
      'canary-line',
    ].join('\n'),
  })

  const said = await refusal({
    env: 'uat',
    variables: { THREDD_TIMEOUT_MS: '1', THREDD_CA_FILE: '-----BEGIN CERTIFICATE----- canary-variable' },
    servers: new Map([['directory', 'ftp://directory.example']]),
  })

  expect(said).not.toContain('canary')
  expectGolden(said, 'environment/problems.txt')
})

test('an environment without a class is refused', async () => {
  await files({ '.env.uat': 'CLIENT_ID=1' })

  expectGolden(await refusal({ env: 'uat' }), 'environment/no-class.txt')
})

test('an environment that does not exist is refused, with the names of those that do', async () => {
  await files({ '.env.uat': 'ENV_CLASS=uat', '.env.prod': '', '.env.uat.local': '' })

  const near = await refusal({ env: 'uta' })
  const far = await refusal({ env: 'staging' })
  const path = await refusal({ env: './elsewhere/bank.env' })

  expectGolden([near, far, path].join('\n'), 'environment/missing.txt')
})

test('an environment file that cannot be read is refused, an optional one too', async () => {
  await mkdir(join(folder, '.env.folder'))
  await files({ '.env.uat': 'ENV_CLASS=uat' })
  await mkdir(join(folder, '.env.uat.local'))

  expectGolden(
    [await refusal({ env: 'folder' }), await refusal({ env: 'uat' })].join('\n'),
    'environment/unreadable.txt',
  )
})

test.each(['mock', 'uat', 'prod'])(
  'the committed environment "%s" has nothing wrong and holds no secret',
  async (env) => {
    const environment = await loadEnvironment({ env: join(ROOT, `.env.${env}`), folder, variables: {} })

    expect([environment.name, environment.class, environment.warnings]).toEqual([env, env, []])
    expect([
      environment.signing.key instanceof Secret ? environment.signing.key : undefined,
      environment.vault.key,
      environment.identities.get('transport')?.passphrase,
    ]).toEqual([undefined, undefined, undefined])
  },
)

async function files(texts: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}

function load(options: Partial<EnvironmentOptions> & { env: string }) {
  return loadEnvironment({ folder, variables: {}, ...options })
}

/** What the command line would print in the test's folder. */
async function problemsOf(options: Partial<EnvironmentOptions> & { env: string }) {
  const error = await load(options).catch((reason: unknown) => reason)
  if (!(error instanceof ToolError)) throw error
  return error.problems
}

async function refusal(options: Partial<EnvironmentOptions> & { env: string }): Promise<string> {
  const error = await load(options).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ToolError)) throw error ?? new Error('the environment was not refused')
  return `${error.problems.map((problem) => render(problem)).join('\n\n')}\n`.replaceAll(`${folder}/`, '')
}
