import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { demandAllowed } from '../../src/guard/hosts.ts'
import { type Identity, type IdentitySpec, loadAuthorities, loadIdentity } from '../../src/identity/certificate.ts'
import { ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'
import { createTransport } from '../../src/transport/index.ts'
import { makeTestPki, SERVER_NAME, type TestPki } from '../support/certificates.ts'
import { makePfx } from '../support/pfx.ts'
import { startHttps } from '../support/servers.ts'

const DAY_MS = 86_400_000
const SECRET = new Secret('correct horse', 'transport_passphrase')
const WRONG = new Secret('wrong battery', 'transport_passphrase')

let made: TestPki
/** Files by plain names, relative to the test's folder. */
let at: (name: string) => string

beforeAll(async () => {
  made = await makeTestPki()
  at = (name) => join(made.folder, name)
  const { certificateFile, keyFile, certificate } = made.pki.identities.transport
  const pem = await readFile(keyFile, 'utf8')
  const key = createPrivateKey(pem)
  const passphrase = SECRET.reveal()
  const encrypted = { cipher: 'aes-256-cbc', passphrase }
  const pfx = { certificate, key: pem, passphrase }
  const files: Record<string, string | Buffer> = {
    'certificate.der': new X509Certificate(certificate).raw,
    'chain.pem': certificate + made.pki.ca,
    'chain-upside-down.pem': made.pki.ca + certificate,
    'pkcs8.der': key.export({ type: 'pkcs8', format: 'der' }),
    'pkcs1.der': key.export({ type: 'pkcs1', format: 'der' }),
    'pkcs1.pem': key.export({ type: 'pkcs1', format: 'pem' }),
    'encrypted.pem': key.export({ type: 'pkcs8', format: 'pem', ...encrypted }),
    'encrypted.der': key.export({ type: 'pkcs8', format: 'der', ...encrypted }),
    'encrypted-pkcs1.pem': key.export({ type: 'pkcs1', format: 'pem', ...encrypted }),
    'both.pem': certificate + pem,
    'new.pfx': makePfx({ ...pfx, cipher: 'aes' }),
    '3des.pfx': makePfx({ ...pfx, cipher: '3des' }),
    'old.pfx': makePfx({ ...pfx, cipher: 'rc2' }),
    'mixed.pfx': makePfx({ ...pfx, certificate: made.pki.identities.other.certificate, cipher: 'aes' }),
    'no-date.der': withoutDate(new X509Certificate(certificate).raw),
    'empty.pem': '',
    'page.pem': '<!DOCTYPE html><html>sign in</html>',
    'request.pem': '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n',
    'notes.txt': 'the key is in the safe',
  }
  for (const [name, content] of Object.entries(files)) await writeFile(at(name), content)
  await writeFile(at('transport.crt'), await readFile(certificateFile))
  await writeFile(at('transport.key'), pem)
})
afterAll(async () => {
  await made[Symbol.asyncDispose]()
})

/** The validity, two UTCTimes of 13 characters (RFC 5280 section 4.1.2.5), with the first one no time. */
function withoutDate(der: Buffer): Buffer {
  const at = der.indexOf(Buffer.from([0x30, 0x1e, 0x17, 0x0d])) + 4
  return Buffer.concat([der.subarray(0, at), Buffer.from('xxxxxxxxxxxxx'), der.subarray(at + 13)])
}

test('a certificate whose date is damaged is named, as a file and beside its key', async () => {
  const problems = await problemsOf({ certificateFile: at('no-date.der'), keyFile: at('transport.key') })

  expect(problems).toContainEqual({
    code: 'IDENTITY_UNREADABLE',
    message: 'the certificate of identity "transport" has a date that cannot be read',
    hint: "take the certificate as Thredd's CA issued it: this one is damaged",
  })
})

async function problemsOf(spec: Omit<IdentitySpec, 'name'>, now = new Date()) {
  const error = await loadIdentity({ name: 'transport', ...spec }, now).catch((reason: unknown) => reason)
  if (!(error instanceof ToolError)) throw new Error('the identity was accepted', { cause: error })
  return error.problems.map((problem) => JSON.parse(JSON.stringify(problem).replaceAll(`${made.folder}/`, '')))
}

test.for([
  ['transport.crt', 'transport.key', undefined],
  ['certificate.der', 'pkcs8.der', undefined],
  ['certificate.der', 'pkcs1.der', undefined],
  ['chain.pem', 'pkcs1.pem', undefined],
  ['both.pem', 'both.pem', undefined],
  ['transport.crt', 'encrypted.pem', SECRET],
  ['transport.crt', 'encrypted.der', SECRET],
  ['transport.crt', 'encrypted-pkcs1.pem', SECRET],
  // A passphrase that is not needed is no error: one setting may be used for several files.
  ['transport.crt', 'transport.key', SECRET],
] as const)('certificate %s with key %s opens with passphrase %s', async ([certificate, key, passphrase]) => {
  const spec = { name: 'transport', certificateFile: at(certificate), keyFile: at(key), passphrase }
  const { identity, warnings } = await loadIdentity(spec, new Date())
  const facts = new X509Certificate(made.pki.identities.transport.certificate)
  expect(warnings).toEqual([])
  expect(identity.record).toEqual({
    name: 'transport',
    subject: 'C=GB, O=thredd, OU=99b2b599-8cc2-499e-b805-e3d84233ae8e, CN=b9f04639-cdeb-425b-a310-450d3d293fd4',
    issuer: 'C=GB, O=Thredd UK Limited, OU=Offline Twin Directory, CN=Offline Twin Issuing CA',
    serial: facts.serialNumber,
    sha256: facts.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: facts.validFromDate.toISOString(),
    notAfter: facts.validToDate.toISOString(),
    daysLeft: 349,
    key: { kind: 'RSA 2048', spkiSha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
  })
  expect(JSON.stringify(identity)).not.toContain('PRIVATE KEY')
})

test('a chain in the opposite order is sent with the own certificate first', async () => {
  const spec = { name: 'transport', certificateFile: at('chain-upside-down.pem'), keyFile: at('transport.key') }
  const { identity } = await loadIdentity(spec, new Date())
  const { transport } = made.pki.identities
  expect(identity.credentials.chain).toBe(transport.certificate + made.pki.ca)
})

test.for(['new.pfx', '3des.pfx'])(
  'PFX file %s tells its certificate, and a server sees that certificate',
  async (file) => {
    const spec = { name: 'transport', pfxFile: at(file), passphrase: SECRET }
    const { identity } = await loadIdentity(spec, new Date())
    expect(identity.record).toEqual(made.identities.get('transport')?.record)

    const { certificate: cert, key } = made.pki.server
    await using server = await startHttps(
      { cert, key, ca: made.pki.ca, requestCert: true, rejectUnauthorized: true },
      (_, response) => response.end(),
    )
    await using transport = createTransport({
      identities: new Map([['transport', identity]]),
      ca: await loadAuthorities(made.pki.caFile),
      minTlsVersion: 'TLSv1.3',
      demandAllowed: demandAllowed(new Set([SERVER_NAME])),
      connectTo: () => ({ host: '127.0.0.1', port: server.port }),
      maxBodyBytes: 1000,
    })
    await transport.send(
      { method: 'GET', url: `https://${SERVER_NAME}/`, headers: [] },
      { identity: 'transport', timeoutMs: 10_000, signal: new AbortController().signal },
    )
    expect(server.requests.map(({ client }) => client)).toEqual(['b9f04639-cdeb-425b-a310-450d3d293fd4'])
  },
)

test('of several keys in a PFX file the one for client authentication is taken, or the one that is named', async () => {
  const now = Date.now()
  const authority = await createAuthority('CN=Some CA', new Date(now - DAY_MS), new Date(now + DAY_MS))
  const issue = (subject: string, use: 'any' | 'client') =>
    authority.issue({ subject, use, notBefore: new Date(now - DAY_MS), notAfter: new Date(now + 99 * DAY_MS) })
  const [signing, first, second] = [
    { ...(await issue('CN=signing', 'any')), name: 'signing' },
    { ...(await issue('CN=first', 'client')), name: 'First Transport' },
    { ...(await issue('CN=second', 'client')) },
  ]
  const pfx = { passphrase: SECRET.reveal(), cipher: 'aes', authorities: [authority.certificate] } as const
  await writeFile(at('two.pfx'), makePfx({ ...pfx, ...signing, more: [first] }))
  await writeFile(at('three.pfx'), makePfx({ ...pfx, ...signing, more: [first, second] }))
  const chosen = async (file: string, pfxAlias?: string) => {
    const { identity } = await loadIdentity(
      { name: 'transport', pfxFile: at(file), passphrase: SECRET, pfxAlias },
      new Date(),
    )
    expect(identity.credentials.chain).toBe(identity.certificate.toString() + authority.certificate)
    return identity.certificate.subject
  }
  const fingerprint = new X509Certificate(second.certificate).fingerprint256

  expect(await chosen('two.pfx')).toBe('CN=first')
  expect(await chosen('two.pfx', 'signing')).toBe('CN=signing')
  expect(await chosen('three.pfx', 'first transport')).toBe('CN=first')
  expect(await chosen('three.pfx', fingerprint.slice(0, 23))).toBe('CN=second')
  const short = (certificate: string) =>
    new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase().slice(0, 16)
  const expected = 'TRANSPORT_PFX_ALIAS with the name or the SHA-256 of one of them'
  const found = `"signing" (SHA-256 ${short(signing.certificate)}…), "First Transport" (SHA-256 ${short(first.certificate)}…), "CN=second" (SHA-256 ${short(second.certificate)}…)`
  const spec = { pfxFile: at('three.pfx'), passphrase: SECRET }
  expect(await problemsOf(spec)).toMatchObject([
    { message: expect.stringContaining('none of them alone is for client authentication'), expected, found },
  ])
  expect(await problemsOf({ ...spec, pfxAlias: 'third' })).toMatchObject([
    { message: expect.stringContaining('holds no key that TRANSPORT_PFX_ALIAS names'), expected, found },
  ])
})

test('the CA certificates of a PFX file are sent, and no server is trusted because of them', async () => {
  const { certificate, keyFile } = made.pki.identities.transport
  const key = await readFile(keyFile, 'utf8')
  const archive = makePfx({ certificate, key, passphrase: SECRET.reveal(), cipher: 'aes', authorities: [made.pki.ca] })
  await writeFile(at('with-ca.pfx'), archive)
  const spec = { name: 'transport', pfxFile: at('with-ca.pfx'), passphrase: SECRET }
  const { identity } = await loadIdentity(spec, new Date())

  expect(await deliveryTo(identity, [])).toMatchObject({ kind: 'failed', problem: { code: 'TLS_SERVER_UNTRUSTED' } })
  expect(await deliveryTo(identity, [made.pki.ca])).toMatchObject({ kind: 'answered' })
})

test('a certificate in CA_FILE that is no root is trusted by itself', async () => {
  const identity = made.identities.get('transport') as Identity

  expect(await deliveryTo(identity, [made.pki.server.certificate])).toMatchObject({ kind: 'answered' })
})

/** What comes of a request to a server with a certificate of the made authority, where `ca` is trusted. */
async function deliveryTo(identity: Identity, ca: readonly string[]) {
  const { certificate: cert, key } = made.pki.server
  await using server = await startHttps({ cert, key }, (_, response) => response.end())
  await using transport = createTransport({
    identities: new Map([['transport', identity]]),
    ca,
    minTlsVersion: 'TLSv1.3',
    demandAllowed: demandAllowed(new Set([SERVER_NAME])),
    connectTo: () => ({ host: '127.0.0.1', port: server.port }),
    maxBodyBytes: 1000,
  })
  return await transport.send(
    { method: 'GET', url: `https://${SERVER_NAME}/`, headers: [] },
    { identity: 'transport', timeoutMs: 10_000, signal: new AbortController().signal },
  )
}

test('a certificate in the file that is no issuer, and an issuer outside its dates, give a warning', async () => {
  const now = Date.now()
  const [ended, stranger] = [
    await createAuthority('CN=Old CA', new Date(now - 9 * DAY_MS), new Date(now - DAY_MS)),
    await createAuthority('CN=Somebody Else', new Date(now - DAY_MS), new Date(now + DAY_MS)),
  ]
  const own = await ended.issue({
    subject: 'CN=ours',
    use: 'client',
    notBefore: new Date(now - 9 * DAY_MS),
    notAfter: new Date(now + 99 * DAY_MS),
  })
  await writeFile(at('odd-chain.pem'), own.certificate + stranger.certificate + ended.certificate + own.certificate)
  await writeFile(at('odd-chain.key'), own.key)
  const spec = { name: 'transport', certificateFile: at('odd-chain.pem'), keyFile: at('odd-chain.key') }

  const { warnings } = await loadIdentity(spec, new Date())

  expect(warnings).toEqual([
    'the certificate file of identity "transport" holds "CN=Somebody Else", which is no issuer of its certificate',
    `the issuer "CN=Old CA" in the chain of identity "transport" expired on ${new Date(now - DAY_MS).toISOString().slice(0, 10)}`,
  ])
  const whole = { name: 'transport', certificateFile: at('chain.pem'), keyFile: at('transport.key') }
  expect((await loadIdentity(whole, new Date())).warnings).toEqual([])
})

test('everything wrong with both files is reported at once', async () => {
  expect(await problemsOf({ certificateFile: at('request.pem'), keyFile: at('missing.key') })).toEqual([
    {
      code: 'IDENTITY_UNREADABLE',
      message: 'key file "missing.key" of identity "transport" does not exist',
      hint: 'correct TRANSPORT_KEY_FILE',
    },
    {
      code: 'IDENTITY_UNREADABLE',
      message: 'certificate file "request.pem" of identity "transport" holds no certificate',
      expected: 'an X.509 certificate in PEM or DER, or one of these in base64',
      found: 'a certificate signing request',
      hint: 'the certificate is downloaded where the request was uploaded; the key was made with the request',
    },
  ])
})

test.for([
  ['empty.pem', 'an empty file'],
  ['page.pem', 'an HTML or XML page'],
  ['notes.txt', 'neither PEM, DER nor JWK'],
  ['pkcs8.der', 'a private key'],
  ['transport.key', 'a private key'],
])('%s is no certificate: found %s', async ([file, found]) => {
  const [problem] = await problemsOf({ certificateFile: at(file as string), keyFile: at('transport.key') })
  expect(problem).toMatchObject({ code: 'IDENTITY_UNREADABLE', found })
})

test.for([
  ['encrypted.pem', undefined, 'is encrypted and no passphrase is set', 'set TRANSPORT_PASSPHRASE'],
  ['encrypted.der', undefined, 'is encrypted and no passphrase is set', 'set TRANSPORT_PASSPHRASE'],
  ['encrypted-pkcs1.pem', undefined, 'is encrypted and no passphrase is set', 'set TRANSPORT_PASSPHRASE'],
  ['encrypted.pem', WRONG, 'cannot be decrypted with the passphrase that is set', 'correct TRANSPORT_PASSPHRASE'],
  ['encrypted.der', WRONG, 'cannot be decrypted with the passphrase that is set', 'correct TRANSPORT_PASSPHRASE'],
  ['encrypted-pkcs1.pem', WRONG, 'cannot be decrypted with the passphrase that is set', 'correct TRANSPORT_PASSPHRASE'],
  ['transport.crt', undefined, 'holds no private key', 'name the private key in TRANSPORT_KEY_FILE'],
  ['notes.txt', undefined, 'holds no private key', 'name the private key in TRANSPORT_KEY_FILE'],
] as const)('key %s with passphrase %s %s', async ([file, passphrase, words, hint]) => {
  const problems = await problemsOf({ certificateFile: at('transport.crt'), keyFile: at(file), passphrase })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatchObject({
    code: 'IDENTITY_UNREADABLE',
    message: `key file "${file}" of identity "transport" ${words}`,
    hint,
  })
  expect(JSON.stringify(problems)).not.toContain('battery')
})

test('a key of another certificate is refused', async () => {
  const { keyFile } = made.pki.identities.other
  expect(await problemsOf({ certificateFile: at('transport.crt'), keyFile })).toEqual([
    {
      code: 'IDENTITY_MISMATCH',
      message: 'the key of identity "transport" does not belong to its certificate',
      expected:
        'the private key of certificate "C=GB, O=thredd, OU=99b2b599-8cc2-499e-b805-e3d84233ae8e, CN=b9f04639-cdeb-425b-a310-450d3d293fd4" in "transport.crt"',
      found: 'another RSA key in "pki/other.key"',
      hint: 'take the key file that was made together with the certificate signing request',
    },
  ])
})

test.for([
  ['new.pfx', WRONG, 'cannot be opened with the passphrase that is set'],
  ['new.pfx', undefined, 'is encrypted and no passphrase is set'],
  ['old.pfx', SECRET, 'is encrypted with an outdated cipher (usually RC2)'],
  ['old.pfx', WRONG, 'cannot be opened with the passphrase that is set'],
  ['mixed.pfx', SECRET, 'holds no certificate with its private key'],
  ['both.pem', undefined, 'holds no certificate with its private key'],
  ['missing.pfx', undefined, 'does not exist'],
] as const)('PFX file %s with passphrase %s %s', async ([file, passphrase, words]) => {
  const problems = await problemsOf({ pfxFile: at(file), passphrase })
  expect(problems.map(({ code, message }) => [code, message])).toEqual([
    ['IDENTITY_UNREADABLE', `PFX file "${file}" of identity "transport" ${words}`],
  ])
})

test('an old PFX file comes with the commands that convert it', async () => {
  const [problem] = await problemsOf({ pfxFile: at('old.pfx'), passphrase: SECRET })
  expect(problem.hint).toBe(
    'convert it: openssl pkcs12 -legacy -in "old.pfx" -out converted.pem && openssl pkcs12 -export -in converted.pem -out converted.pfx; then name converted.pfx in TRANSPORT_PFX_FILE',
  )
})

test('an expired and a not yet valid certificate stop the run unless a refusal is to be tested', async () => {
  const { expired, 'not-yet-valid': early } = made.pki.identities
  const day = (certificate: string, end: 'validFromDate' | 'validToDate') =>
    new X509Certificate(certificate)[end].toISOString().slice(0, 10)

  expect(await problemsOf(expired)).toMatchObject([
    {
      code: 'IDENTITY_EXPIRED',
      message: `the certificate of identity "transport" expired on ${day(expired.certificate, 'validToDate')}`,
      hint: "request a new certificate from Thredd's CA and name it in TRANSPORT_CERT_FILE",
    },
  ])
  expect(await problemsOf(early)).toMatchObject([
    {
      code: 'IDENTITY_EXPIRED',
      message: `the certificate of identity "transport" is not valid before ${day(early.certificate, 'validFromDate')}`,
      hint: 'check the clock of this machine, or take the certificate that is valid now',
    },
  ])
  const allowed = await loadIdentity({ name: 'expired', ...expired, allowInvalidDates: true }, new Date())
  expect(allowed.warnings).toEqual([])
  expect(allowed.identity.record.daysLeft).toBe(-2)
})

test.for([
  [61, []],
  [60, ['in 60 days']],
  [1, ['in 1 day']],
  [0, ['today']],
] as const)('with %i days left the warnings are %j', async ([days, expected]) => {
  const { certificateFile, keyFile, certificate } = made.pki.identities.transport
  const end = new X509Certificate(certificate).validToDate
  const now = new Date(end.getTime() - days * DAY_MS)
  const { warnings } = await loadIdentity({ name: 'transport', certificateFile, keyFile }, now)
  const instant = `${end.toISOString().slice(0, 16)}Z`
  expect(warnings).toEqual(
    expected.map(
      (when) => `the certificate of identity "transport" expires ${when} (${instant}); request its replacement`,
    ),
  )
})

test('a certificate made for servers is refused as a client identity', async () => {
  await writeFile(at('server.crt'), made.pki.server.certificate)
  await writeFile(at('server.key'), made.pki.server.key)
  expect(await problemsOf({ certificateFile: at('server.crt'), keyFile: at('server.key') })).toEqual([
    {
      code: 'IDENTITY_USAGE',
      message: 'the certificate of identity "transport" is not made for TLS clients',
      expected: 'extended key usage clientAuth (1.3.6.1.5.5.7.3.2)',
      found: '1.3.6.1.5.5.7.3.1',
      hint: 'take the transport certificate',
    },
  ])
})

test('the certificate of a CA, which may sign nothing but certificates, is refused as a client identity', async () => {
  const now = Date.now()
  const authority = await createAuthority('CN=Some CA', new Date(now - DAY_MS), new Date(now + DAY_MS))
  await writeFile(at('ca.crt'), authority.certificate)
  await writeFile(at('ca.key'), authority.key)
  expect(await problemsOf({ certificateFile: at('ca.crt'), keyFile: at('ca.key') })).toMatchObject([
    { code: 'IDENTITY_USAGE', expected: 'key usage digitalSignature', found: 'a key usage without it' },
  ])
})

test('a missing file is reported with the setting for it', async () => {
  const error = await loadIdentity({ name: 'second-bank', keyFile: 'x' }, new Date()).catch((reason: unknown) => reason)
  expect(error).toMatchObject({
    problems: [
      {
        code: 'ENV_MISSING',
        message: 'identity "second-bank" has no certificate',
        hint: 'set IDENTITY_SECOND_BANK_CERT_FILE, or IDENTITY_SECOND_BANK_PFX_FILE alone',
      },
    ],
  })
})

test('a CA file gives all its certificates; one without any is refused', async () => {
  expect(await loadAuthorities(at('chain.pem'))).toHaveLength(2)
  await expect(loadAuthorities(at('notes.txt'))).rejects.toMatchObject({
    code: 'IDENTITY_UNREADABLE',
    problems: [{ found: 'neither PEM, DER nor JWK' }],
  })
  await expect(loadAuthorities(at('missing.crt'))).rejects.toMatchObject({
    problems: [
      {
        message: `CA file "${at('missing.crt')}" does not exist`,
        hint: 'correct CA_FILE',
      },
    ],
  })
})

test('an elliptic curve key of another certificate is named as such', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeFile(at('ec.key'), privateKey.export({ type: 'sec1', format: 'der' }))
  expect(await problemsOf({ certificateFile: at('transport.crt'), keyFile: at('ec.key') })).toMatchObject([
    { code: 'IDENTITY_MISMATCH', found: 'another EC key in "ec.key"' },
  ])
})
