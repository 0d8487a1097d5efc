/** A key and a certificate signing request for Thredd CA, and the certificate that comes back. */
import { createPrivateKey } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { parseSubject } from '../../src/identity/csr.ts'
import { Cli } from '../support/cli.ts'

const ORG = '11111111-2222-4333-8444-555555555555'
const SOFTWARE = 'aaaaaaaa-2222-4333-8444-555555555555'
const DAY_MS = 86_400_000
const ENVIRONMENT = `ENV_CLASS=uat\nORG_ID=${ORG}\nSOFTWARE_ID=${SOFTWARE}\n`

const home = async (more = '') => await Cli.make({ '.env.uat': ENVIRONMENT + more, pass: 'correct horse\n' })
const csr = async (cli: Cli, ...args: string[]) => await cli.run(['csr', ...args, '--env', 'uat'])
const read = async (cli: Cli, name: string) => await readFile(join(cli.folder, name), 'utf8')

/** The certificate that the authority issues for a request; it refuses one that is not signed by its own key. */
async function certified(cli: Cli, name: string, days = 350, use: 'any' | 'server' = 'any'): Promise<void> {
  const now = Date.now()
  const authority = await createAuthority('CN=Some CA', new Date(now - DAY_MS), new Date(now + 400 * DAY_MS))
  const dates = {
    use,
    notBefore: new Date(now - 1000),
    notAfter: new Date(now + days * DAY_MS + 60_000),
  } as const
  await cli.write('downloaded.pem', await authority.certify(await read(cli, name), dates))
}

test('key and request are made with the documented subject; the certificate for it is compared and kept', async () => {
  await using cli = await home()

  const made = await csr(cli, 'transport')
  await certified(cli, 'certificates/uat-rtstransport.csr')
  const taken = await csr(cli, 'transport', '--certificate', 'downloaded.pem')

  expect(made).toMatchObject({ code: 0, stderr: '' })
  expect(made.stdout).toContain(`C=GB, O=thredd, OU=${ORG}, CN=${SOFTWARE}`)
  expect(made.stdout).toContain('Upload CSR')
  expect((await stat(join(cli.folder, 'certificates/uat-rtstransport.key'))).mode & 0o777).toBe(0o600)
  expect(await read(cli, 'certificates/.gitignore')).toBe('*\n')
  expect(taken).toMatchObject({ code: 0, stderr: '' })
  expect(taken.stdout).toContain(`subject  C=GB, O=thredd, OU=${ORG}, CN=${SOFTWARE}`)
  expect(taken.stdout).toContain('in 350 days')
  expect(taken.stdout).toContain('TRANSPORT_CERT_FILE=certificates/uat-rtstransport.pem')
  expect(taken.stdout).toContain('thredd doctor --env uat')
  expect(await read(cli, 'certificates/uat-rtstransport.pem')).toContain('BEGIN CERTIFICATE')
})

test('the subject comes from the command that Thredd CA shows; a second one is for a renewal, its key encrypted', async () => {
  await using cli = await home('SIGNING_KID=one\nSIGNING_KEY_FILE=old.key\n')
  const shown =
    'openssl req -new -newkey rsa:2048 -nodes -out a.csr -keyout a.key -subj "/C=GB/O=Acme\\, Ltd/OU=x/CN=y z" -sha256'

  const made = await csr(
    cli,
    'signing',
    '--name',
    'uat-2',
    '--bits',
    '3072',
    '--subject',
    shown,
    '--passphrase-file',
    'pass',
  )
  await certified(cli, 'certificates/uat-2-rtssigning.csr', 20)
  const without = await csr(cli, 'signing', '--name', 'uat-2', '--certificate', 'downloaded.pem')
  const taken = await csr(
    cli,
    'signing',
    '--name',
    'uat-2',
    '--certificate',
    'downloaded.pem',
    '--passphrase-file',
    'pass',
  )

  expect(made.stdout).toContain('RSA 3072, encrypted')
  expect(made.stdout).toContain('--certificate <file> --env uat --name uat-2')
  const key = createPrivateKey({
    key: await read(cli, 'certificates/uat-2-rtssigning.key'),
    passphrase: 'correct horse',
  })
  expect(key.asymmetricKeyDetails?.modulusLength).toBe(3072)
  expect(without).toMatchObject({ code: 2 })
  expect(without.stderr).toContain('passphrase')
  expect(taken.stdout).toContain('subject  C=GB, O=Acme\\, Ltd, OU=x, CN=y z')
  expect(taken.stdout).toContain('expires in 20 days')
  expect(taken.stdout).not.toContain('clientAuth')
  expect(taken.stdout).toContain(`does not hold ORG_ID "${ORG}"`)
  for (const name of [
    'RENEWED_SIGNING_CERT_FILE',
    'RENEWED_SIGNING_KEY_FILE',
    'RENEWED_SIGNING_PASSPHRASE',
    'RENEWED_SIGNING_KID',
  ])
    expect(taken.stdout).toContain(`  ${name}=`)
  expect(taken.stdout).toContain('thredd run rotate-signing-key --env uat')
  expect(taken.stdout + made.stdout).not.toContain('correct horse')
})

test('what a TLS client may do with it matters for a transport certificate, and not for a signing one', async () => {
  await using cli = await home()
  await csr(cli, 'signing')
  await certified(cli, 'certificates/uat-rtssigning.csr', 350, 'server')
  const signing = await csr(cli, 'signing', '--certificate', 'downloaded.pem')
  await csr(cli, 'transport')
  await certified(cli, 'certificates/uat-rtstransport.csr', 350, 'server')
  const transport = await csr(cli, 'transport', '--certificate', 'downloaded.pem')

  expect(signing).toMatchObject({ code: 0, stderr: '' })
  expect(transport).toMatchObject({ code: 2, stderr: expect.stringContaining('IDENTITY_USAGE') })
})

test('nothing is overwritten, and a certificate of another key is refused', async () => {
  await using cli = await home()
  await csr(cli, 'transport')
  const before = await read(cli, 'certificates/uat-rtstransport.key')
  await csr(cli, 'signing')
  await certified(cli, 'certificates/uat-rtssigning.csr')

  const again = await csr(cli, 'transport')
  const others = await csr(cli, 'transport', '--certificate', 'downloaded.pem')

  expect(again).toMatchObject({ code: 2 })
  expect(again.stderr).toContain('is there already, and is not overwritten')
  expect(others).toMatchObject({ code: 2 })
  expect(others.stderr).toContain('IDENTITY_MISMATCH')
  expect(await read(cli, 'certificates/uat-rtstransport.key')).toBe(before)
})

test.each([
  [['csr', 'server'], 'transport, or thredd csr signing'],
  [['csr', 'transport', 'signing'], 'one word too many'],
  [['csr', 'transport', '--bits', '1024'], '2048 or 3072'],
  [['csr', 'transport', '--name', '../x'], 'letters, digits'],
  [['csr', 'transport', '--subject', '/C=GB/O=x'], 'has no CN'],
  [['csr', 'transport', '--subject', '/C=gb/CN=x'], 'two capital letters'],
  [['csr', 'transport', '--subject', 'just words'], 'no attribute that is known'],
  [['csr', 'transport', '--certificate', 'none.pem'], 'none.pem'],
  [['csr', 'transport', '--passphrase-file', 'none'], 'cannot be read'],
  [['csr', 'transport', '--out', 'pass'], 'cannot be written: a file is in the way'],
])('%j is refused in a sentence', async (args, said) => {
  await using cli = await home()

  const { code, stderr } = await cli.run([...args, '--env', 'uat'])

  expect(code).toBe(2)
  expect(stderr).toContain(said)
  expect(stderr).not.toMatch(/\n\s+at /)
})

test('subjects of both forms, with separators that are escaped', () => {
  const parts = [
    ['C', 'GB'],
    ['O', 'a/b, c'],
    ['CN', 'x=y'],
  ]
  expect(parseSubject('/C=GB/O=a\\/b, c/CN=x=y')).toEqual(parts)
  expect(parseSubject('C=GB, O=a/b\\, c, CN=x=y')).toEqual(parts)
})
