/** One text under one key: opened by any JOSE library, and by nothing once a bit of it has changed. */
import { createDecipheriv, randomBytes } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import { compactDecrypt } from 'jose/jwe/compact/decrypt'
import { expect, test } from 'vitest'
import { sha256base64url } from '../../src/identity/jwt.ts'
import { seal, unseal } from '../../src/vault/seal.ts'

test('what is encrypted is a standard JWE that node:crypto alone can open', async () => {
  const key = randomBytes(32)

  const jwe = seal(Buffer.from('registration'), key)

  const [header = '', encryptedKey, iv = '', ciphertext = '', tag = ''] = jwe.split('.')
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'))
    .setAAD(Buffer.from(header))
    .setAuthTag(Buffer.from(tag, 'base64url'))
  expect(decipher.update(Buffer.from(ciphertext, 'base64url'), undefined, 'utf8') + decipher.final('utf8')).toBe(
    'registration',
  )
  expect(encryptedKey).toBe('')
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
    alg: 'dir',
    enc: 'A256GCM',
    kid: sha256base64url(`{"k":"${key.toString('base64url')}","kty":"oct"}`),
  })
  expect(unseal(jwe, [key])).toEqual({ ok: true, plaintext: Buffer.from('registration'), key })
})

test('the same plaintext is never encrypted to the same text twice', async () => {
  const key = randomBytes(32)

  expect(seal(Buffer.from('same'), key)).not.toBe(seal(Buffer.from('same'), key))
})

test('every flipped bit, every cut and every added character of a JWE is found', async () => {
  const key = randomBytes(32)
  const jwe = seal(Buffer.from('regist'), key)
  const bytes = Buffer.from(jwe, 'latin1')
  const changed: string[] = []
  for (let index = 0; index < bytes.length; index++) {
    changed.push(jwe.slice(0, index))
    for (let bit = 0; bit < 8; bit++) {
      const copy = Buffer.from(bytes)
      copy[index] = (copy[index] ?? 0) ^ (1 << bit)
      changed.push(copy.toString('latin1'))
    }
  }
  changed.push(`${jwe}A`, `${jwe}=`, `${jwe}\n`, ` ${jwe}`, `${jwe}.`)

  const survivors = []
  for (const text of changed) if (unseal(text, [key]).ok) survivors.push(text)

  expect(survivors).toEqual([])
})

test('a spelling that decodes to the same bytes is refused before decryption', async () => {
  const key = randomBytes(32)
  const jwe = seal(Buffer.from('regist'), key)
  const [header, , iv, ciphertext, tag = ''] = jwe.split('.')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const sameBytes = tag.slice(0, -1) + alphabet[alphabet.indexOf(tag.slice(-1)) + 1]

  expect(Buffer.from(sameBytes, 'base64url')).toEqual(Buffer.from(tag, 'base64url'))
  expect(unseal([header, '', iv, ciphertext, sameBytes].join('.'), [key])).toEqual({
    ok: false,
    because: 'damaged',
  })
})

test('another key, damage, a cut and a foreign text are told apart', async () => {
  const key = randomBytes(32)
  const jwe = seal(Buffer.from('registration'), key)
  const [header = '', ...rest] = jwe.split('.')
  const headerText = Buffer.from(header, 'base64url').toString()
  const otherKid = headerText.replace(/"kid":"./, (start) => start.slice(0, -1) + (start.endsWith('A') ? 'B' : 'A'))
  const flippedKid = [Buffer.from(otherKid).toString('base64url'), ...rest].join('.')
  const rsaHeader = Buffer.from('{"alg":"RSA-OAEP-256","enc":"A256GCM"}').toString('base64url')
  const otherKind = await new CompactEncrypt(Buffer.from('x'))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(randomBytes(32))
  const reason = (text: string, candidate = key) => {
    const decrypted = unseal(text, [candidate])
    return decrypted.ok ? 'ok' : decrypted.because
  }

  expect({
    anotherKey: reason(jwe, randomBytes(32)),
    flippedCiphertext: reason(jwe.replace(/\.[^.]*\.[^.]*$/, (end) => end.replace(/[A-Z]/, (c) => c.toLowerCase()))),
    flippedKid: reason(flippedKid),
    cut: reason(jwe.slice(0, -30)),
    text: reason('{"registration_access_token":"x"}'),
    anotherAlgorithm: reason([rsaHeader, ...rest].join('.')),
    anotherTool: reason(otherKind),
    keyOfWrongLength: reason(jwe, randomBytes(16)),
  }).toEqual({
    anotherKey: 'other-key',
    flippedCiphertext: 'damaged',
    flippedKid: 'damaged',
    cut: 'cut',
    text: 'foreign',
    anotherAlgorithm: 'damaged',
    anotherTool: 'foreign',
    keyOfWrongLength: 'other-key',
  })
})

test('jose opens what is sealed, and what jose seals is opened', async () => {
  const key = randomBytes(32)
  const header = JSON.parse(Buffer.from(seal(Buffer.from(''), key).split('.')[0] ?? '', 'base64url').toString())
  const theirs = await new CompactEncrypt(Buffer.from('theirs')).setProtectedHeader(header).encrypt(key)

  expect(Buffer.from((await compactDecrypt(seal(Buffer.from('ours'), key), key)).plaintext).toString()).toBe('ours')
  expect(unseal(theirs, [randomBytes(32), key])).toEqual({ ok: true, plaintext: Buffer.from('theirs'), key })
})

test.each([
  ['no key', (jwe: string) => jwe, 'other-key'],
  ['an encrypted key', (jwe: string) => jwe.replace('..', '.A.'), 'damaged'],
  ['a tag that is cut', (jwe: string) => jwe.slice(0, -1), 'cut'],
  ['a tag that is longer', (jwe: string) => `${jwe}A`, 'damaged'],
  ['a sixth part', (jwe: string) => `${jwe}.A`, 'damaged'],
])('with %s it is not opened, and it is said why', (name, change, because) => {
  const key = randomBytes(32)

  expect(unseal(change(seal(Buffer.from('text'), key)), name === 'no key' ? [] : [key])).toEqual({ ok: false, because })
})
