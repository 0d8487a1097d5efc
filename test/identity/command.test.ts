/** Programs of the user's that sign: real processes, each wrong in one way. */
import { spawnSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto'
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { loadSigningCommand, wordsOf } from '../../src/identity/command.ts'
import { FORMS, type SigningAlg } from '../../src/identity/signing.ts'
import { ToolError } from '../../src/record/errors.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const BYTES = Buffer.from('header.payload')

let folder: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-command-')))
  const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' })
  await writeFile(join(folder, 'rsa.key'), pem(rsa))
  await writeFile(join(folder, 'ec.key'), pem(p256))
  await writeFile(join(folder, 'other.key'), pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey))
  // Signs as its arguments say: file of the key, form of the output, hash, padding, length of the salt.
  await writeFile(
    join(folder, 'sign.mjs'),
    `import { constants, createHash, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
const [file, form, hash = 'sha256', padding = 'pss', salt = 'digest'] = process.argv.slice(2)
const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const input = form === 'twice' ? createHash('sha256').update(Buffer.concat(chunks)).digest() : Buffer.concat(chunks)
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt === 'digest' ? -1 : Number(salt) }
const more = { pss, pkcs1: {}, p1363: { dsaEncoding: 'ieee-p1363' }, der: {} }[padding]
const signature = sign(hash, input, { key: readFileSync(file), ...more })
process.stdout.write(['raw', 'twice'].includes(form) ? signature : signature.toString(form) + '\\n')
`,
  )
  await writeFile(join(folder, 'odd.mjs'), ODD)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const ODD = `const [what] = process.argv.slice(2)
if (what === 'fails') { process.stderr.write('the card says no\\nAuthorization: Bearer canary0123456789canary\\n' + 'x'.repeat(1000)); process.exitCode = 3 }
if (what === 'hangs') setInterval(() => {}, 1000)
if (what === 'floods') process.stdout.write('x'.repeat(100000))
if (what === 'length') process.stdout.write(Buffer.alloc(256, 7))
if (what === 'lies') process.stdout.write('c2lnbmF0dXJl')
`

function load(line: string, alg: SigningAlg = 'PS256', timeoutMs = 20_000) {
  const jwk = JSON.stringify(createPublicKey(alg === 'ES256' ? p256 : rsa).export({ format: 'jwk' }))
  return loadSigningCommand({ command: { line, folder }, alg, kid: 'kid-1', jwk, timeoutMs })
}

const node = (line: string) => `"${process.execPath}" ${line}`

test.for([
  ['PS256', 'sign.mjs rsa.key raw'],
  ['PS256', 'sign.mjs rsa.key base64'],
  ['PS256', 'sign.mjs rsa.key base64url'],
  ['PS256', 'sign.mjs rsa.key hex'],
  ['RS256', 'sign.mjs rsa.key raw sha256 pkcs1'],
  ['ES256', 'sign.mjs ec.key raw sha256 der'],
  ['ES256', 'sign.mjs ec.key base64 sha256 der'],
  ['ES256', 'sign.mjs ec.key base64 sha256 p1363'],
] as const)('a %s signature of a program is used: %s', async ([alg, line]) => {
  const { publicKey, sign, secret } = await load(node(line), alg)

  expect(verify('sha256', BYTES, { key: publicKey, ...FORMS[alg] }, await sign(BYTES))).toBe(true)
  expect(secret).toBeUndefined()
})

test.for([
  ['sign.mjs rsa.key raw sha256 pkcs1', 'an RS256 signature (PKCS#1 v1.5 padding)'],
  [
    'sign.mjs rsa.key raw sha256 pss 20',
    'a PS256 signature whose salt is not as long as the hash (openssl: -sigopt rsa_pss_saltlen:digest)',
  ],
  ['sign.mjs rsa.key raw sha512 pkcs1', 'a signature with sha512'],
  ['sign.mjs rsa.key twice', 'a signature over the hash of the input, hashed twice'],
  ['sign.mjs ec.key base64', expect.stringMatching(/^\d+ bytes$/)],
  ['sign.mjs other.key base64', 'a signature of the right length, made with another key or of other bytes'],
  ['odd.mjs length', 'a signature of the right length, made with another key or of other bytes'],
  ['odd.mjs lies', '12 bytes'],
] as const)('a signature that the public key does not verify is not used: %s', async ([line, found]) => {
  expect(await problemOf(line)).toMatchObject({
    code: 'KEY_UNUSABLE',
    message: 'the program of SIGNING_COMMAND wrote no PS256 signature of its input that the public key verifies',
    found,
  })
})

test.for([
  ['odd.mjs fails', 'ended with exit code 3'],
  ['odd.mjs hangs', 'did not end within 1500 ms'],
  ['odd.mjs floods', 'wrote more than 65536 bytes'],
  ['odd.mjs nothing', 'wrote no signature to its standard output'],
] as const)('a program that does not sign is told: %s', async ([line, reason]) => {
  const problem = await problemOf(line, line.endsWith('hangs') ? 1500 : 20_000)

  expect(problem?.message).toBe(`the program of SIGNING_COMMAND ${reason}`)
  expect(JSON.stringify(problem)).not.toContain('canary')
  if (line.endsWith('fails')) expect(problem?.found).toMatch(/^on its standard error: "the card says no .{200,}…"$/)
  expect((problem?.found ?? '').length).toBeLessThan(400)
})

test('a program that does not exist, and a command without its public key, are told', async () => {
  const command = { line: './nowhere --sign', folder }
  const signer = await loadSigningCommand({
    command,
    alg: 'PS256',
    kid: 'k',
    jwk: JSON.stringify(createPublicKey(rsa).export({ format: 'jwk' })),
  })

  await expect(signer.sign(BYTES)).rejects.toThrow('the program of SIGNING_COMMAND names a program that does not exist')
  await expect(loadSigningCommand({ command, alg: 'PS256', kid: 'k' })).rejects.toMatchObject({ code: 'ENV_MISSING' })
  await expect(
    loadSigningCommand({
      command,
      alg: 'ES256',
      kid: 'k',
      jwk: JSON.stringify(createPublicKey(rsa).export({ format: 'jwk' })),
    }),
  ).rejects.toThrow('the public key of SIGNING_COMMAND does not fit ES256')
})

test('a command is split into words as a shell splits it', () => {
  expect(wordsOf(`"C:\\Program Files\\sign.exe" --key 'a b' --pin=" x"y`)).toEqual([
    'C:\\Program Files\\sign.exe',
    '--key',
    'a b',
    '--pin= xy',
  ])
  expect(wordsOf('sign "open')).toBeUndefined()
})

const OPENSSL = 'openssl'

test.skipIf(spawnSync(OPENSSL, ['version']).status !== 0)('the documented command of openssl signs', async () => {
  const page = await readFile(fileURLToPath(new URL('../../docs/environment.md', import.meta.url)), 'utf8')
  const line = /^SIGNING_COMMAND=(.+)$/m.exec(page)?.[1] ?? ''
  const now = Date.now()
  const authority = await createAuthority('CN=Test CA', new Date(now - 1000), new Date(now + 86_400_000))
  const own = await authority.issue({
    subject: 'CN=signing',
    use: 'any',
    notBefore: new Date(now - 1000),
    notAfter: new Date(now + 80_000_000),
  })
  await writeFile(join(folder, 'signing.key'), own.key)
  const certificateFile = join(folder, 'signing.crt')
  await writeFile(certificateFile, own.certificate)

  const signer = await loadSigningCommand({ command: { line, folder }, alg: 'PS256', kid: 'k', certificateFile })

  expect(verify('sha256', BYTES, { key: signer.publicKey, ...FORMS.PS256 }, await signer.sign(BYTES))).toBe(true)
})

async function problemOf(line: string, timeoutMs = 20_000) {
  const error = await (await load(node(line), 'PS256', timeoutMs)).sign(BYTES).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ToolError)) throw error ?? new Error('the signature was used')
  return error.problems[0]
}
