/** What a record says of settings, keys, and of what makes its evidence weaker than it looks. */
import { createPublicKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EnvironmentOptions, loadEnvironment } from '../../src/environment/index.ts'
import { loadSigningCertificate } from '../../src/identity/certificate.ts'
import { loadSigningCommand } from '../../src/identity/command.ts'
import { environmentRecord, securityRecord, weaknessWarnings } from '../../src/run/circumstances.ts'
import { runOnTwin } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-circumstances-'))
  const base = 'ENV_CLASS=uat\nSERVER_AUTHORIZATION=https://auth.example\nTLS_MIN_VERSION=1.3\n'
  await writeFile(join(folder, '.env.strict'), base)
  await writeFile(join(folder, '.env.here'), base.replace('auth.example', 'localhost:8443'))
  await writeFile(join(folder, '.env.wide'), `${base}ALLOWED_HOSTS=auth.example other.example\n`)
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

async function weaknesses(
  { env = 'strict', ...options }: Partial<EnvironmentOptions>,
  met: { readonly proxy?: boolean; readonly counterparty?: 'network' | 'twin' | 'twin-in-process' } = {},
) {
  const { variables = {} } = options
  const environment = await loadEnvironment({ env, folder, variables, ...options })
  const { proxy = false, counterparty = 'network' } = met
  return securityRecord({ environment, counterparty, proxy, authorities: [], variables }).weaknesses
}

test('an environment as its file has it weakens nothing', async () => {
  expect(await weaknesses({})).toEqual([])
  expect(
    await weaknesses({ variables: { NODE_OPTIONS: '--max-old-space-size=4096', NODE_TLS_REJECT_UNAUTHORIZED: '1' } }),
  ).toEqual([])
})

test.for<[title: string, Parameters<typeof weaknesses>, flag: string, means: RegExp]>([
  [
    'a server of the command line',
    [{ servers: new Map([['authorization', 'https://other.example']]) }],
    'SERVER_AUTHORIZATION by --server',
    /^"https:\/\/other\.example" was called in place of "https:\/\/auth\.example"$/,
  ],
  ['more hosts than the servers', [{ env: 'wide' }], 'ALLOWED_HOSTS', /^calls to other\.example were allowed too$/],
  ['a server on this machine', [{ env: 'here' }], 'loopback', /^SERVER_AUTHORIZATION is on this machine/],
  ['a lower TLS version', [{ variables: { THREDD_TLS_MIN_VERSION: '1.2' } }], 'TLS_MIN_VERSION', /^lowered to 1\.2/],
  ['further authorities', [{ variables: { THREDD_CA_FILE: 'ca.pem' } }], 'CA_FILE', /further authorities/],
  ['a proxy', [{}, { proxy: true }], 'HTTPS_PROXY', /proxy/],
  [
    'checks that are off in Node.js',
    [{ variables: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }],
    'NODE_TLS_REJECT_UNAUTHORIZED',
    /^set, without effect/,
  ],
  [
    'authorities of Node.js',
    [{ variables: { NODE_EXTRA_CA_CERTS: '/x.pem' } }],
    'NODE_EXTRA_CA_CERTS',
    /further authorities/,
  ],
  ['authorities of the system', [{ variables: { NODE_USE_SYSTEM_CA: '1' } }], 'NODE_USE_SYSTEM_CA', /operating system/],
  ['a configuration of OpenSSL', [{ variables: { OPENSSL_CONF: '/x' } }], 'OPENSSL_CONF', /weak keys/],
  ['options of Node.js', [{ variables: { NODE_OPTIONS: '-r ./x.js' } }], 'NODE_OPTIONS', /further code/],
  ['the offline twin', [{}, { counterparty: 'twin' }], 'offline twin', /in place of the named servers/],
  [
    'the twin without TLS',
    [{}, { counterparty: 'twin-in-process' }],
    'offline twin without TLS',
    /no evidence|nothing here/,
  ],
])('%s is said to weaken the evidence', async ([, args, flag, means]) => {
  expect(await weaknesses(...args)).toEqual([{ flag, means: expect.stringMatching(means) }])
})

test('what can be told before the first call is warned of on UAT, and not in class mock', async () => {
  const variables = { NODE_EXTRA_CA_CERTS: '/x.pem' }
  const environment = await loadEnvironment({ env: 'here', folder, variables: {} })

  expect(weaknessWarnings({ environment, variables })).toEqual([
    'loopback: SERVER_AUTHORIZATION is on this machine: what answers there is not Thredd',
    'NODE_EXTRA_CA_CERTS: servers with certificates of further authorities were trusted',
  ])
  expect(weaknessWarnings({ environment: { ...environment, class: 'mock' }, variables })).toEqual([])
})

test('settings stand in the record with their origin; a secret by its name, a path by its last part, a value of a flow not at all', async () => {
  await writeFile(
    join(folder, '.env.snapshot'),
    'ENV_CLASS=uat\nCLIENT_ID=client-1\nTRANSPORT_PASSPHRASE=hush hush\nTRANSPORT_PFX_FILE=/home/somebody/transport.pfx\nDOOR=open sesame\n',
  )
  const environment = await loadEnvironment({ env: 'snapshot', folder, variables: { THREDD_TIMEOUT_MS: '500' } })

  const { settings = [], settingsSha256 } = environmentRecord(environment)

  expect(settings.filter(({ from }) => from !== 'default')).toEqual([
    { name: 'CLIENT_ID', value: 'client-1', from: '.env.snapshot:2' },
    { name: 'DOOR', value: '[not shown]', from: '.env.snapshot:5' },
    { name: 'ENV_CLASS', value: 'uat', from: '.env.snapshot:1' },
    { name: 'TIMEOUT_MS', value: '500', from: 'THREDD_TIMEOUT_MS' },
    { name: 'TRANSPORT_PASSPHRASE', value: '[TRANSPORT_PASSPHRASE]', from: '.env.snapshot:3' },
    { name: 'TRANSPORT_PFX_FILE', value: 'transport.pfx', from: '.env.snapshot:4' },
  ])
  expect(settings).toContainEqual({ name: 'SIGNING_ALG', value: 'PS256', from: 'default' })
  expect(settingsSha256).toMatch(/^[0-9a-f]{64}$/)
})

test('the record names the signing key by its thumbprint, and its certificate', async () => {
  await using ran = await runOnTwin()

  const [key] = ran.record.signingKeys ?? []
  expect(key).toMatchObject({
    kid: 'offline-twin-signing',
    algorithms: ['PS256'],
    key: { kind: 'RSA 2048', spkiSha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    thumbprint: expect.stringMatching(/^[\w-]{43}$/),
    certificate: { name: 'signing', daysLeft: expect.any(Number), key: key?.key },
  })
  expect(ran.record.warnings.filter((warning) => warning.includes('signing'))).toEqual([])
})

test.each([
  ['of another key', 'renewed-signing.crt', 'the certificate in "FILE" is not that of the signing key'],
  ['that is none', 'signing.key', 'signing certificate file "FILE" holds no certificate, but a private key'],
  ['that is not there', 'nowhere.crt', 'signing certificate file "FILE" does not exist'],
])('a signing certificate %s is a warning, since the run can do without it', async (_, name, warning) => {
  const file = join((await sharedPki()).folder, name)
  await using ran = await runOnTwin({ settings: { SIGNING_CERT_FILE: file } })

  expect(ran.record.warnings).toContain(warning.replace('FILE', `fixtures/pki/${name}`))
  expect(ran.record.signingKeys).toMatchObject([{ kid: 'offline-twin-signing' }])
  expect(ran.record.signingKeys?.[0]?.certificate).toBeUndefined()
})

test('a signing certificate that has expired is a warning with its date', async () => {
  const { identities } = await sharedPki()
  const key = createPublicKey(await readFile(identities.signing.keyFile, 'utf8'))
  const later = new Date('2099-01-01T00:00:00Z')

  const { record, warnings } = await loadSigningCertificate(identities.signing.certificateFile, {
    key,
    now: later,
    transport: undefined,
  })

  expect(warnings).toEqual([expect.stringMatching(/^the signing certificate expired on \d{4}-\d\d-\d\d$/)])
  expect(record?.daysLeft).toBeLessThan(0)
})

test('a signing certificate that is the transport certificate is told as such; a program signs for none', async () => {
  const { identities } = await sharedPki()
  const { certificateFile, certificate } = identities.transport
  const transport = new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
  const key = createPublicKey(await readFile(identities.signing.keyFile, 'utf8'))
  const said = `the signing certificate file "${certificateFile}" is the transport certificate; name the certificate of the signing key (…-rtssigning)`

  const { record, warnings } = await loadSigningCertificate(certificateFile, { key, now: new Date(), transport })

  expect([record, warnings]).toEqual([undefined, [said]])
  const command = { line: 'sign', folder }
  await expect(
    loadSigningCommand({ command, alg: 'PS256', kid: 'kid', certificateFile, transport }),
  ).rejects.toMatchObject({ code: 'KEY_UNUSABLE', message: said })
})
