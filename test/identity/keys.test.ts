/** Keys and certificates in every form that people have, and what is said of a form that cannot be used. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Authority, createAuthority } from '../../mocks/authority.ts'
import { type IdentitySpec, loadAuthorities, loadIdentity } from '../../src/identity/certificate.ts'
import { loadSigningKey, type SigningAlg } from '../../src/identity/signing.ts'
import { type Problem, ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'
import { integer, makePfx, octets, oid, sequence } from '../support/pfx.ts'

const DAY_MS = 86_400_000
const NOW = new Date()
const PASSPHRASE = 'correct horse'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8') =>
  key.export({ type, format: 'pem' }).toString()
const der = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8') => key.export({ type, format: 'der' })
const encrypted = (key: KeyObject, type: 'pkcs8' | 'pkcs1' = 'pkcs8') =>
  key.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE }).toString()
const jwk = (key: KeyObject, more = {}) => ({ ...key.export({ format: 'jwk' }), ...more })
const publicPem = createPublicKey(rsa).export({ type: 'spki', format: 'pem' }).toString()
const publicJwk = jwk(createPublicKey(rsa))
const without = (text: string, line: number) => text.split('\n').toSpliced(line, 1).join('\n')
const oneLine = (text: string) => text.trim().replaceAll('\n', ' ')

let folder: string
let own: Awaited<ReturnType<Authority['issue']>>
let authority: Authority

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-keys-'))
  authority = await createAuthority(
    'CN=Test CA',
    new Date(NOW.getTime() - DAY_MS),
    new Date(NOW.getTime() + 99 * DAY_MS),
  )
  own = await issue('client')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function issue(use: 'client' | 'server' | 'any', days = 90) {
  const notBefore = new Date(NOW.getTime() - DAY_MS)
  return authority.issue({ subject: 'CN=ours', use, notBefore, notAfter: new Date(NOW.getTime() + days * DAY_MS) })
}

const KEYS: readonly (readonly [form: string, content: string | Buffer, alg?: SigningAlg])[] = [
  ['PKCS#8 in PEM', pem(rsa)],
  ['PKCS#1 in PEM', pem(rsa, 'pkcs1')],
  ['SEC 1 in PEM', pem(p256, 'sec1'), 'ES256'],
  ['PEM with line ends written as \\n', pem(rsa).replaceAll('\n', '\\n')],
  ['PEM with Windows line ends', pem(rsa).replaceAll('\n', '\r\n')],
  ['PEM on one line', oneLine(pem(rsa))],
  ['PEM on one line without blanks', pem(rsa).replaceAll('\n', '')],
  ['indented PEM', pem(rsa).replaceAll(/^/gm, '    ')],
  ['PEM in UTF-16', Buffer.from(`\ufeff${pem(rsa)}`, 'utf16le')],
  ['PEM under the label of another form', pem(rsa, 'pkcs1').replaceAll('RSA PRIVATE KEY', 'PRIVATE KEY')],
  [
    'PEM behind parameters of its curve',
    `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${pem(p256, 'sec1')}`,
    'ES256',
  ],
  ['PEM behind a damaged certificate', `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${pem(rsa)}`],
  ['two keys, of which one fits', pem(p256) + pem(rsa)],
  ['base64 of PEM', Buffer.from(pem(rsa)).toString('base64')],
  ['base64 of PEM in lines', Buffer.from(pem(rsa)).toString('base64').replace(/.{76}/g, '$&\n')],
  ['base64 of DER', der(rsa).toString('base64')],
  ['base64url of DER', der(rsa).toString('base64url')],
  ['a JWK', JSON.stringify(jwk(rsa))],
  ['base64 of a JWK', Buffer.from(JSON.stringify(jwk(rsa), null, 2)).toString('base64')],
  ['a JWK of an elliptic curve', JSON.stringify(jwk(p256)), 'ES256'],
  ['a JWK set with one that fits', JSON.stringify({ keys: [publicJwk, jwk(p256), jwk(rsa)] })],
  [
    'a JWK set with two that fit, one of them by its kid',
    JSON.stringify({
      keys: [
        jwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, { kid: 'old' }),
        jwk(rsa, { kid: 'kid-1' }),
      ],
    }),
  ],
  ['PKCS#8 in DER', der(rsa)],
  ['PKCS#1 in DER', der(rsa, 'pkcs1')],
  ['SEC 1 in DER', der(p256, 'sec1'), 'ES256'],
  ['encrypted PKCS#8 in PEM', encrypted(rsa)],
  ['encrypted PKCS#8 in PEM on one line', oneLine(encrypted(rsa))],
  ['encrypted PKCS#1 in PEM, as older OpenSSL writes it', encrypted(rsa, 'pkcs1')],
  ['the same on one line', oneLine(encrypted(rsa, 'pkcs1'))],
  [
    'encrypted PKCS#8 in DER',
    rsa.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: PASSPHRASE }),
  ],
]

test.for(KEYS)('a signing key is read from %s', async ([, content, alg = 'PS256']) => {
  const file = join(folder, 'signing.key')
  await writeFile(file, content)
  const spec = { alg, kid: 'kid-1', passphrase: new Secret(PASSPHRASE, 'SIGNING_PASSPHRASE') }
  const given = typeof content === 'string' ? [file, new Secret(content, 'SIGNING_KEY')] : [file]

  for (const one of given) {
    const key = await loadSigningKey({ given: one, ...spec })
    expect(key.publicKey.equals(createPublicKey(alg === 'ES256' ? p256 : rsa))).toBe(true)
  }
})

test('certificate and key as text make an identity, in the forms of a CI variable', async () => {
  const { certificate, key } = own
  const pfx = makePfx({ certificate, key, passphrase: PASSPHRASE, cipher: 'aes' })
  const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64')
  const specs: readonly Omit<IdentitySpec, 'name'>[] = [
    { certificateText: secret(certificate), keyText: secret(key) },
    { certificateText: secret(oneLine(certificate)), keyText: secret(key.replaceAll('\n', '\\n')) },
    { certificateText: secret(base64(certificate)), keyText: secret(base64(key)) },
    {
      certificateText: secret(base64(new X509Certificate(certificate).raw)),
      keyText: secret(JSON.stringify(jwk(createPrivateKey(key)))),
    },
    { certificateText: secret(certificate + key), keyText: secret(certificate + key) },
    // Of several keys the one that belongs to the certificate.
    { certificateText: secret(certificate), keyText: secret(pem(rsa) + key) },
    { pfxText: secret(base64(pfx)), passphrase: secret(PASSPHRASE) },
  ]

  for (const spec of specs) {
    const { identity, warnings } = await loadIdentity({ name: 'transport', ...spec }, NOW)
    expect(identity.certificate.fingerprint256).toBe(new X509Certificate(certificate).fingerprint256)
    expect(warnings).toEqual([])
  }
  expect(await loadAuthorities(secret(base64(authority.certificate), 'CA'))).toHaveLength(1)
})

/** A PKCS#8 key and a PEM block whose ciphers OpenSSL refuses, so what they hold is never decrypted. */
const md5Des = sequence(
  sequence(oid('1.2.840.113549.1.5.3'), sequence(octets(Buffer.alloc(8)), integer(1))),
  octets(Buffer.alloc(64)),
)
const rc2 = sequence(
  sequence(oid('1.2.840.113549.1.12.1.6'), sequence(octets(Buffer.alloc(8)), integer(1))),
  octets(Buffer.alloc(64)),
)
const desPem = `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,0011223344556677\n\n${'A'.repeat(64)}\n-----END RSA PRIVATE KEY-----\n`
const block = (label: string, content = 'AAAA') => `-----BEGIN ${label}-----\n${content}\n-----END ${label}-----\n`

const COPY = 'copy the key again, every line of it'
const UNUSABLE: readonly (readonly [
  form: string,
  content: string | Buffer,
  what: string,
  found: string | undefined,
  hint: string,
])[] = [
  ['an empty text', ' \n', 'holds no private key', 'an empty file', 'name the private key in SIGNING_KEY_FILE'],
  [
    'a certificate',
    block('CERTIFICATE', 'MAA='),
    'holds no private key',
    'a certificate',
    'name the private key in SIGNING_KEY_FILE',
  ],
  [
    'a request',
    block('CERTIFICATE REQUEST', 'MAA='),
    'holds no private key',
    'a certificate signing request',
    'the certificate is downloaded where the request was uploaded; the key was made with the request',
  ],
  ['a public key', publicPem, 'holds no private key', 'a public key', 'name the private key that belongs to it'],
  [
    'a public key in DER',
    createPublicKey(rsa).export({ type: 'spki', format: 'der' }),
    'holds no private key',
    'a public key',
    'name the private key that belongs to it',
  ],
  [
    'a public JWK',
    JSON.stringify(publicJwk),
    'holds no private key',
    'a public JWK',
    'name the private key that belongs to it',
  ],
  [
    'a symmetric JWK',
    '{"kty":"oct","k":"c2VjcmV0"}',
    'holds no private key',
    'a symmetric JWK',
    'name the private key that belongs to it',
  ],
  [
    'an OpenSSH key',
    block('OPENSSH PRIVATE KEY'),
    'holds no private key',
    'an OpenSSH key',
    'convert a copy of it: ssh-keygen -p -m PKCS8 -f <copy>',
  ],
  [
    'a PGP key',
    block('PGP PRIVATE KEY BLOCK', 'lQOY\n=aaaa'),
    'holds no private key',
    'a PGP key',
    'name the key that was made with the certificate signing request',
  ],
  [
    'a key of PuTTY',
    'PuTTY-User-Key-File-3: ssh-rsa\n',
    'holds no private key',
    'a key of PuTTY',
    'export it in PuTTYgen (Conversions > Export OpenSSH key)',
  ],
  [
    'a public key of SSH',
    'ssh-rsa AAAAB3NzaC1yc2E= me',
    'holds no private key',
    'a public key of SSH',
    'name the private key in SIGNING_KEY_FILE',
  ],
  [
    'a page',
    '<!DOCTYPE html><p>sign in</p>',
    'holds no private key',
    'an HTML or XML page',
    'download the file again: a browser shows such a page',
  ],
  [
    'JSON without a key',
    '{"error":"none"}',
    'holds no private key',
    'JSON that is no JWK and no JWK set',
    'name the private key in SIGNING_KEY_FILE',
  ],
  [
    'a Java key store',
    Buffer.from('feedfeed00000002', 'hex'),
    'holds no private key',
    'a Java key store (JKS)',
    'convert it: keytool -importkeystore -srckeystore <file> -destkeystore converted.p12 -deststoretype PKCS12, and name converted.p12 as the PFX file',
  ],
  [
    'a PKCS#12 file',
    sequence(integer(3), sequence(oid('1.2.840.113549.1.7.1'), Buffer.of(0xa0, 0x02, 0x04, 0x00))),
    'holds no private key',
    'a PKCS#12 file',
    'name it in the setting that ends in PFX_FILE, without certificate and key beside it',
  ],
  [
    'the name of a file',
    'keys/canary.key',
    'holds no private key',
    'what looks like the name of a file',
    'a file is named in the setting that ends in _FILE',
  ],
  ['a word', 'canary', 'holds no private key', 'neither PEM, DER nor JWK', 'name the private key in SIGNING_KEY_FILE'],
  [
    'a key cut short',
    pem(rsa).slice(0, 900),
    'holds a private key that is damaged',
    'its last lines are missing',
    COPY,
  ],
  [
    'a key that lacks a line',
    without(pem(rsa), 5),
    'holds a private key that is damaged',
    'lines of it are missing',
    COPY,
  ],
  [
    'a key with an ellipsis',
    block('PRIVATE KEY', 'MIIE…'),
    'holds a private key that is damaged',
    'it holds characters that are no base64',
    COPY,
  ],
  [
    'a JWK without its primes',
    JSON.stringify({ ...jwk(rsa), p: undefined }),
    'holds a private key that is damaged',
    'the JWK lacks p, q, dp, dq or qi',
    COPY,
  ],
  [
    'an outdated cipher of PKCS#8',
    block('ENCRYPTED PRIVATE KEY', md5Des.toString('base64')),
    'is encrypted with an outdated cipher, DES (PBE-MD5-DES)',
    undefined,
    CONVERT(),
  ],
  [
    'an outdated cipher of PKCS#12 in DER',
    rc2,
    'is encrypted with an outdated cipher, RC2 (PBE-SHA1-RC2-40)',
    undefined,
    CONVERT(),
  ],
  ['an outdated cipher of PEM', desPem, 'is encrypted with an outdated cipher, DES (DES-CBC)', undefined, CONVERT()],
]

function CONVERT(): string {
  return 'convert it: openssl pkcs8 -topk8 -provider legacy -provider default -in <key file> -out converted.key'
}

test.for(UNUSABLE)('%s in place of the private key is told', async ([, content, what, found, hint]) => {
  const file = join(folder, 'unusable.key')
  await writeFile(file, content)

  const [problem] = await problemsOf(loadSigningKey({ given: file, alg: 'PS256', kid: 'kid-1' }))

  expect(problem).toMatchObject({ code: 'KEY_UNUSABLE', message: `signing key file "${file}" ${what}`, hint })
  expect(problem?.found).toBe(found)
  expect(JSON.stringify({ ...problem, message: '' })).not.toContain('canary')
})

test('a wrong passphrase is told as such, also where it decrypts to bytes that are no key', async () => {
  const key = encrypted(rsa)
  const wrong = 'wrong'
  // One in some hundreds leaves a valid padding behind, and OpenSSL then reports another error.
  const lucky = Array.from({ length: 4000 }, (_, index) => `${wrong}${index}`).find((passphrase) => {
    try {
      createPrivateKey({ key, passphrase })
      return false
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== 'ERR_OSSL_BAD_DECRYPT'
    }
  })

  for (const passphrase of [wrong, lucky]) {
    const [problem] = await problemsOf(
      loadSigningKey({
        given: secret(key, 'SIGNING_KEY'),
        alg: 'PS256',
        kid: 'k',
        passphrase: passphrase === undefined ? undefined : secret(passphrase),
      }),
    )
    expect(problem).toEqual({
      code: 'KEY_UNUSABLE',
      message: 'SIGNING_KEY cannot be decrypted with the passphrase that is set',
      hint: 'correct SIGNING_PASSPHRASE',
    })
  }
  expect(lucky).toBeDefined()
})

test('two keys that both fit are told', async () => {
  const given = secret(pem(rsa) + pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey), 'SIGNING_KEY')

  expect(await problemsOf(loadSigningKey({ given, alg: 'PS256', kid: 'k' }))).toEqual([
    {
      code: 'KEY_UNUSABLE',
      message: 'SIGNING_KEY holds 2 private keys that fit PS256',
      expected: 'one key, or a JWK set in which one has the kid of SIGNING_KID',
      hint: 'name a file that holds the key of the signing certificate alone',
    },
  ])
})

test('a damaged certificate of several is told by its number, and a key in place of a certificate is told', async () => {
  const lacking = without(authority.certificate, 2)
  const keyText = secret(own.key)

  const damaged = await problemsOf(
    load({ certificateText: secret(own.certificate + lacking, 'TRANSPORT_CERT'), keyText }),
  )
  const swapped = await problemsOf(
    load({ certificateText: secret(own.key, 'TRANSPORT_CERT'), keyText: secret(own.certificate, 'TRANSPORT_KEY') }),
  )

  expect(damaged).toMatchObject([
    { message: 'TRANSPORT_CERT holds a damaged certificate', found: 'lines of it are missing (number 2 of 2)' },
  ])
  expect(swapped).toMatchObject([
    { message: 'TRANSPORT_KEY holds no private key', found: 'a certificate' },
    { message: 'TRANSPORT_CERT holds no certificate', found: 'a private key' },
  ])
})

test('a certificate without clientAuth, as signing certificates are, gives a warning', async () => {
  const { certificate, key } = await issue('any')

  const { warnings } = await load({ certificateText: secret(certificate), keyText: secret(key) })

  expect(warnings).toEqual([
    'the certificate of identity "transport" has no extended key usage clientAuth, like a signing certificate (rtssigning); if the server refuses it, take the transport certificate (rtstransport)',
  ])
})

function secret(text: string, name = 'text'): Secret {
  return new Secret(text, name)
}

function load(spec: Omit<IdentitySpec, 'name'>) {
  return loadIdentity({ name: 'transport', ...spec }, NOW)
}

async function problemsOf(work: Promise<unknown>): Promise<readonly Problem[]> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ToolError)) throw error ?? new Error('nothing was refused')
  return error.problems
}
