/** Certificates and keys in the forms people have them: named in an environment file, used in a real run on the twin. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Pki, startTwin } from '../../mocks/index.ts'
import { ToolError } from '../../src/record/errors.ts'
import { resolve, run } from '../../src/run/index.ts'
import { Cli } from '../support/cli.ts'
import { makePfx } from '../support/pfx.ts'
import { ROOT } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

const PASSPHRASE = 'correct horse battery'

let pki: Pki
let folder: string
let at: (name: string) => string

beforeAll(async () => {
  pki = await sharedPki()
  folder = await mkdtemp(join(tmpdir(), 'thredd-files-'))
  at = (name) => join(folder, name)
  const { certificate, keyFile } = pki.identities.transport
  const pem = await readFile(keyFile, 'utf8')
  const key = createPrivateKey(pem)
  const encrypted = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE }
  const pfx = { certificate, key: pem, passphrase: PASSPHRASE }
  const files: Record<string, string | Buffer> = {
    'transport.cer': new X509Certificate(certificate).raw,
    'transport.p8': key.export({ type: 'pkcs8', format: 'der' }),
    'chain.pem': certificate + pki.ca,
    'encrypted.pem': key.export({ type: 'pkcs8', format: 'pem', ...encrypted }),
    'encrypted.p8': key.export({ type: 'pkcs8', format: 'der', ...encrypted }),
    'new.pfx': makePfx({ ...pfx, cipher: 'aes' }),
    '3des.p12': makePfx({ ...pfx, cipher: '3des' }),
    'old.p12': makePfx({ ...pfx, cipher: 'rc2' }),
  }
  for (const [name, content] of Object.entries(files)) await writeFile(at(name), content)
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const CERTIFICATE = 'TRANSPORT_CERT_FILE'
const KEY = 'TRANSPORT_KEY_FILE'
const PFX = 'TRANSPORT_PFX_FILE'
const OWN = '<pki>/transport.crt'
const OWN_KEY = '<pki>/transport.key'

test.for([
  ['DER', { [CERTIFICATE]: 'transport.cer', [KEY]: 'transport.p8' }, false],
  ['an encrypted PEM key', { [CERTIFICATE]: 'chain.pem', [KEY]: 'encrypted.pem' }, true],
  ['an encrypted DER key', { [CERTIFICATE]: 'transport.cer', [KEY]: 'encrypted.p8' }, true],
  ['PFX', { [PFX]: 'new.pfx' }, true],
  ['PFX with triple DES', { [PFX]: '3des.p12' }, true],
] as const)('a registration with %s works, and its passphrase stays where it was', async ([, files, isSecret]) => {
  await using cli = await Cli.make(await environment(files))
  // As it is meant: secrets in the file that is not committed.
  if (isSecret) await cli.write('.env.own.local', `TRANSPORT_PASSPHRASE="${PASSPHRASE}"\n`)

  const { stdout, stderr, code } = await cli.run(['run', 'register', '--env', 'own'])

  expect([stderr, code]).toEqual(['', 0])
  const record = await cli.record()
  expect(record).toMatchObject({ counterparty: 'twin', verdict: 'conformant' })
  const sha256 = new X509Certificate(pki.identities.transport.certificate).fingerprint256
  expect(record.identities.map(({ name, sha256: found }) => [name, found])).toEqual([
    ['transport', sha256.replaceAll(':', '').toLowerCase()],
  ])
  expect(stdout + JSON.stringify(record)).not.toContain(PASSPHRASE)
})

/** Everything that keeps an identity from being used, by the settings that name it. */
const WRONG: readonly (readonly [
  title: string,
  settings: Readonly<Record<string, string>>,
  code: string,
  message: string,
])[] = [
  [
    'a wrong certificate path',
    { [CERTIFICATE]: 'nowhere.crt', [KEY]: OWN_KEY },
    'IDENTITY_UNREADABLE',
    'certificate file "<folder>/nowhere.crt" of identity "transport" does not exist',
  ],
  [
    'a wrong key path',
    { [CERTIFICATE]: OWN, [KEY]: 'nowhere.key' },
    'IDENTITY_UNREADABLE',
    'key file "<folder>/nowhere.key" of identity "transport" does not exist',
  ],
  [
    'a wrong PFX path',
    { [PFX]: 'nowhere.pfx' },
    'IDENTITY_UNREADABLE',
    'PFX file "<folder>/nowhere.pfx" of identity "transport" does not exist',
  ],
  [
    'the key of another certificate',
    { [CERTIFICATE]: OWN, [KEY]: '<pki>/other.key' },
    'IDENTITY_MISMATCH',
    'the key of identity "transport" does not belong to its certificate',
  ],
  [
    'a missing passphrase',
    { [CERTIFICATE]: OWN, [KEY]: 'encrypted.pem' },
    'IDENTITY_UNREADABLE',
    'key file "<folder>/encrypted.pem" of identity "transport" is encrypted and no passphrase is set',
  ],
  [
    'a wrong passphrase',
    { [CERTIFICATE]: OWN, [KEY]: 'encrypted.pem', TRANSPORT_PASSPHRASE: 'wrong battery' },
    'IDENTITY_UNREADABLE',
    'key file "<folder>/encrypted.pem" of identity "transport" cannot be decrypted with the passphrase that is set',
  ],
  [
    'a wrong passphrase of a PFX file',
    { [PFX]: 'new.pfx', TRANSPORT_PASSPHRASE: 'wrong battery' },
    'IDENTITY_UNREADABLE',
    'PFX file "<folder>/new.pfx" of identity "transport" cannot be opened with the passphrase that is set',
  ],
  [
    'a PFX file from long ago',
    { [PFX]: 'old.p12', TRANSPORT_PASSPHRASE: PASSPHRASE },
    'IDENTITY_UNREADABLE',
    'PFX file "<folder>/old.p12" of identity "transport" is encrypted with an outdated cipher (usually RC2)',
  ],
  [
    'an expired certificate',
    { [CERTIFICATE]: '<pki>/expired.crt', [KEY]: '<pki>/expired.key' },
    'IDENTITY_EXPIRED',
    'the certificate of identity "transport" expired on <date>',
  ],
  [
    'a certificate from the future',
    { [CERTIFICATE]: '<pki>/not-yet-valid.crt', [KEY]: '<pki>/not-yet-valid.key' },
    'IDENTITY_EXPIRED',
    'the certificate of identity "transport" is not valid before <date>',
  ],
  [
    'a certificate for servers',
    { [CERTIFICATE]: '<pki>/server.crt', [KEY]: '<pki>/server.key' },
    'IDENTITY_USAGE',
    'the certificate of identity "transport" is not made for TLS clients',
  ],
  [
    'a text file as a certificate',
    { [CERTIFICATE]: '<root>/README.md', [KEY]: OWN_KEY },
    'IDENTITY_UNREADABLE',
    'certificate file "<root>/README.md" of identity "transport" holds no certificate',
  ],
]

test.for(WRONG)(
  '%s stops the run before any call, as the log of the twin proves',
  async ([, settings, code, message]) => {
    const places = { '<folder>': folder, '<pki>': pki.folder, '<root>': ROOT.replace(/\/$/, '') }
    await using cli = await Cli.make(await environment(settings, places))
    await using running = await startTwin({ pki })

    const request = await resolve({
      selection: { flows: ['register'], folders: [cli.folder, ROOT] },
      environment: { env: 'own', folder: cli.folder, variables: {} },
    })
    const error = await run(request, {
      out: join(cli.folder, 'reports'),
      version: '0.0.0-test',
      twin: async () => ({
        kind: 'twin',
        connectTo: () => ({ host: '127.0.0.1', port: running.port }),
        async [Symbol.asyncDispose]() {},
      }),
    }).catch((reason: unknown) => reason)

    if (!(error instanceof ToolError)) throw new Error('the run was not refused', { cause: error })
    const said = Object.entries(places).reduce(
      (text, [name, place]) => text.replaceAll(place, name),
      error.problems.map((problem) => `${problem.code}: ${problem.message}`).join('\n'),
    )
    expect(said.replace(/\d{4}-\d\d-\d\d/, '<date>')).toBe(`${code}: ${message}`)
    expect(running.twin.log).toEqual([])
    // Nor did it leave a vault or a report behind.
    expect(await readdir(cli.folder)).toEqual(['.env.own'])
  },
)

/** `.env.own`: the environment of the offline twin with another identity; files without a place lie in `folder`. */
async function environment(
  identity: Readonly<Record<string, string>>,
  places: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const mock = await readFile(join(ROOT, '.env.mock'), 'utf8')
  const others = mock
    .split('\n')
    .filter((line) => !line.startsWith('TRANSPORT_'))
    .join('\n')
    .replaceAll('fixtures/pki', pki.folder)
  const own = Object.entries(identity).map(([name, value]) => {
    if (name === 'TRANSPORT_PASSPHRASE') return `${name}="${value}"`
    const place = Object.entries(places).find(([word]) => value.startsWith(word))
    return `${name}=${place === undefined ? at(value) : value.replace(...place)}`
  })
  return { '.env.own': `${others}\n${own.join('\n')}\n` }
}
