import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { alterJwt, decode, type JwtChanges, mintClientAssertion, sha256base64url } from '../../src/identity/jwt.ts'
import { loadSigningKey, type SigningAlg } from '../../src/identity/signing.ts'
import type { ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'

const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/0c5b8a59-4f0b-4f6b-9d2c-4a6e3a1c7a11'
const AUDIENCE = 'https://auth.example/oauth2/token'
const NOW = new Date('2026-01-02T03:04:05.678Z')

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const load = (pem: string, alg: SigningAlg = 'PS256', passphrase?: string) =>
  loadSigningKey({
    given: new Secret(pem, 'SIGNING_KEY'),
    alg,
    kid: 'kid-1',
    passphrase: passphrase === undefined ? undefined : new Secret(passphrase, 'SIGNING_PASSPHRASE'),
  })
const problemOf = async (promise: Promise<unknown>) => {
  const error = (await promise.then(
    () => expect.unreachable('nothing was thrown'),
    (thrown: unknown) => thrown,
  )) as ToolError
  return error.problems[0]
}

test.each([
  ['PS256', rsa],
  ['RS256', rsa],
  ['ES256', p256],
] as const)(
  'a client assertion signed with %s holds the claims of RFC 7523 section 3 and verifies',
  async (alg, key) => {
    const signingKey = await load(pkcs8(key), alg)

    const assertion = await mintClientAssertion(
      signingKey,
      { clientId: CLIENT_ID, audience: AUDIENCE, lifetimeSeconds: 300 },
      { now: NOW, jti: 'jti-1' },
    )

    const verified = await jwtVerify(assertion.reveal(), createPublicKey(key), { currentDate: NOW })
    expect(verified.protectedHeader).toEqual({ alg, kid: 'kid-1', typ: 'JWT' })
    expect(verified.payload).toEqual({
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      aud: AUDIENCE,
      jti: 'jti-1',
      iat: 1767323045,
      exp: 1767323345,
    })
  },
)

const UNCHANGED: JwtChanges = { header: new Map(), claims: new Map() }
const CLAIMS = { clientId: CLIENT_ID, audience: AUDIENCE, lifetimeSeconds: 300 }
const MINTED = { now: NOW, jti: 'jti-1' }

test.each([
  ['PS256', rsa],
  ['RS256', rsa],
  ['ES256', p256],
] as const)('an assertion with other claims and another header is signed with %s as it then is', async (alg, key) => {
  const changes = {
    header: new Map<string, unknown>([
      ['kid', 'nobody'],
      ['typ', undefined],
    ]),
    claims: new Map<string, unknown>([
      ['exp', 1],
      ['sub', undefined],
      ['extra', { a: [1] }],
    ]),
  }

  const altered = await mintClientAssertion(await load(pkcs8(key), alg), CLAIMS, MINTED, changes)

  // It has expired, as the change says.
  const currentDate = new Date(0)
  const verified = await jwtVerify(altered.reveal(), createPublicKey(key), { currentDate })
  expect(verified.protectedHeader).toEqual({ alg, kid: 'nobody' })
  expect(verified.payload).toEqual({
    iss: CLIENT_ID,
    aud: AUDIENCE,
    jti: 'jti-1',
    iat: Math.floor(NOW.getTime() / 1000),
    exp: 1,
    extra: { a: [1] },
  })
})

test.each([
  ['PS256', rsa],
  ['ES256', p256],
] as const)('an assertion with another signature keeps header and claims: %s', async (alg, key) => {
  const signingKey = await load(pkcs8(key), alg)
  const original = (await mintClientAssertion(signingKey, CLAIMS, MINTED)).reveal().split('.')
  const verify = (jwt: string) => jwtVerify(jwt, createPublicKey(key), { currentDate: NOW })

  for (const changes of [{ signature: 'damaged' }, { key: 'other' }] as const) {
    const minted = (await mintClientAssertion(signingKey, CLAIMS, MINTED, { ...UNCHANGED, ...changes })).reveal()
    const altered = (await alterJwt(original.join('.'), { ...UNCHANGED, ...changes })).reveal()
    for (const jwt of [minted, altered]) {
      const parts = jwt.split('.')
      expect(parts.slice(0, 2)).toEqual(original.slice(0, 2))
      expect(parts[2]).toHaveLength(original[2]?.length ?? 0)
      await expect(verify(jwt)).rejects.toThrow('signature verification failed')
    }
  }
})

test('an unsigned JWT says so in its header and has nothing after the last dot', async () => {
  const signingKey = await load(pkcs8(rsa))
  const changes = { ...UNCHANGED, signature: 'none' } as const
  const minted = (await mintClientAssertion(signingKey, CLAIMS, MINTED, changes)).reveal()
  const signed = (await mintClientAssertion(signingKey, CLAIMS, MINTED)).reveal()
  const altered = (await alterJwt(signed, changes)).reveal()

  expect(decode(minted)?.header).toEqual({ alg: 'none', kid: 'kid-1', typ: 'JWT' })
  expect(minted).toBe(altered)
  expect(minted.split('.').slice(1)).toEqual([signed.split('.')[1], ''])
})

test('a text that is no JWT, and one with an algorithm that we have no keys for, cannot be altered', async () => {
  const foreign = [{ alg: 'EdDSA' }, {}].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))

  expect(await problemOf(alterJwt('nothing', { ...UNCHANGED, signature: 'damaged' }))).toEqual({
    code: 'VALUE_UNDEFINED',
    message: 'the value to be changed is not a JWT',
  })
  expect(await problemOf(alterJwt(`${foreign.join('.')}.c2ln`, { ...UNCHANGED, key: 'other' }))).toEqual({
    code: 'KEY_UNUSABLE',
    message: 'a JWT with alg "EdDSA" cannot be signed with another key',
    expected: 'PS256, RS256, ES256',
  })
})

test('an assertion and a signing key print neither themselves nor the key', async () => {
  const signingKey = await load(pkcs8(rsa))
  const assertion = await mintClientAssertion(
    signingKey,
    { clientId: CLIENT_ID, audience: AUDIENCE, lifetimeSeconds: 300 },
    { now: NOW, jti: 'jti-1' },
  )

  expect([String(assertion), JSON.stringify({ assertion }), inspect({ assertion })]).toEqual([
    '[client_assertion]',
    '{"assertion":"[client_assertion]"}',
    '{ assertion: [client_assertion] }',
  ])
  expect(JSON.stringify(signingKey)).toBe('{"alg":"PS256","kid":"kid-1","publicKey":{},"secret":"[signing_key]"}')
  expect(inspect(signingKey, { depth: 9, showHidden: true })).not.toContain('PRIVATE KEY')
})

const NEW_KEY = 'make a new key and signing certificate; the CA asks for RSA 2048'
const RSA_2048 = 'an RSA key of at least 2048 bits'
test.each([
  [
    'PS256',
    'RSA 1024',
    generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
    RSA_2048,
    'an RSA key of 1024 bits',
    NEW_KEY,
  ],
  [
    'RS256',
    'a PSS-only key',
    generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey,
    RSA_2048,
    'an RSA key limited to PSS by its own parameters',
    NEW_KEY,
  ],
  [
    'ES256',
    'P-384',
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    'an EC key on the curve P-256',
    'an EC key on the curve secp384r1',
    NEW_KEY,
  ],
  ['PS256', 'Ed25519', generateKeyPairSync('ed25519').privateKey, RSA_2048, 'a key of type ed25519', NEW_KEY],
  [
    'PS256',
    'P-256',
    p256,
    RSA_2048,
    'an EC key on the curve prime256v1',
    'this key can sign ES256: change the algorithm, or name the other key',
  ],
  [
    'ES256',
    'RSA 2048',
    rsa,
    'an EC key on the curve P-256',
    'an RSA key of 2048 bits',
    'this key can sign PS256: change the algorithm, or name the other key',
  ],
] as const)('%s refuses %s and says what it needs', async (alg, _, key, expected, found, hint) => {
  expect(await problemOf(load(pkcs8(key), alg))).toEqual({
    code: 'KEY_UNUSABLE',
    message: `SIGNING_KEY does not fit ${alg}`,
    expected,
    found,
    hint,
  })
})

test('a JWT is decoded for reading without being verified; anything else is not', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

  expect(decode(`${part({ alg: 'PS256' })}.${part({ iss: 'thredd sandbox SSA issuer' })}.AAAA`)).toEqual({
    header: { alg: 'PS256' },
    payload: { iss: 'thredd sandbox SSA issuer' },
  })
  const others = [
    '',
    'opaque',
    'a.b',
    'a.b.c',
    `${part([])}.${part({})}.x`,
    `${part({})}.${part('text')}.x`,
    'a.b.c.d.e',
  ]
  expect(others.map(decode)).toEqual(others.map(() => undefined))
})

// https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values: SHA-256 of "abc"
test('a SHA-256 in base64url has the published value', () => {
  expect(sha256base64url('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0')
  expect(sha256base64url(new Uint8Array([0x61, 0x62, 0x63]))).toBe(sha256base64url('abc'))
})

test('a JWT brings along the key that signed it, whoever signed it before', async () => {
  const signingKey = await load(pkcs8(rsa))
  const minted = (await mintClientAssertion(signingKey, CLAIMS, MINTED, { ...UNCHANGED, key: 'embedded' })).reveal()
  const signed = (await mintClientAssertion(signingKey, CLAIMS, MINTED)).reveal()
  const altered = (await alterJwt(signed, { ...UNCHANGED, key: 'embedded' })).reveal()

  for (const jwt of [minted, altered]) {
    const { jwk } = decode(jwt)?.header ?? {}
    const key = createPublicKey({ key: jwk as never, format: 'jwk' })
    const { payload } = await jwtVerify(jwt, key, { currentDate: NOW })
    expect(payload.sub).toBe(CLIENT_ID)
    expect(Object.keys(jwk as object)).not.toContain('d')
    await expect(jwtVerify(jwt, createPublicKey(rsa), { currentDate: NOW })).rejects.toThrow('verification failed')
  }
})

test('of a JWT that others signed the public key is taken from their key set, by its kid', async () => {
  const signingKey = await load(pkcs8(rsa))
  const signed = (await mintClientAssertion(signingKey, CLAIMS, MINTED)).reveal()
  const own = { ...createPublicKey(rsa).export({ format: 'jwk' }), kid: 'kid-1' }
  const foreign = { ...createPublicKey(p256).export({ format: 'jwk' }), kid: 'kid-2' }

  const altered = await alterJwt(signed, { ...UNCHANGED, key: 'public', jwks: { keys: [foreign, own] } })
  const secret = Buffer.from(createPublicKey(rsa).export({ type: 'spki', format: 'pem' }))
  expect((await jwtVerify(altered.reveal(), secret, { currentDate: NOW })).protectedHeader.alg).toBe('HS256')
  const without = { ...UNCHANGED, key: 'public', jwks: { keys: [foreign, { ...foreign, kid: 'kid-3' }] } } as const
  expect(await problemOf(alterJwt(signed, without))).toEqual({
    code: 'VALUE_UNDEFINED',
    message: 'the key set has no public key with the kid "kid-1" of the JWT',
  })
})

test('a claim that is a time is set in seconds from now', async () => {
  const secondsAhead = new Map([['iat', 8]])
  const minted = await mintClientAssertion(await load(pkcs8(rsa)), CLAIMS, MINTED, { ...UNCHANGED, secondsAhead })

  expect(decode(minted.reveal())?.payload.iat).toBe(Math.floor(NOW.getTime() / 1000) + 8)
})
