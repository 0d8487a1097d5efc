import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Redactor, Secret } from '../src/secret.ts'

const KEY = new Uint8Array(32)
/** As issued: 43 characters of base64url. */
const TOKEN = 'PKW64FAixrjhxewTH9lR26o7m6_GvbL6RKWv0x5mIM8'
const HEADER_AND_CLAIMS = `${part({ alg: 'PS256' })}.${part({ sub: 'client', scope: 'cards.read' })}`
const SIGNATURE = 'c2lnbmF0dXJlLW9mLXRoaXMtSldULXdpdGgtZW5vdWdoLWNoYXJhY3RlcnM'
const JWT = `${HEADER_AND_CLAIMS}.${SIGNATURE}`
const PEM = `-----BEGIN PRIVATE KEY-----\n${'QUJD'.repeat(16)}\n${'REVG'.repeat(8)}\n-----END PRIVATE KEY-----\n`

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function knowing(...secrets: readonly (readonly [name: string, value: string])[]): Redactor {
  const redactor = new Redactor(KEY)
  for (const [name, value] of secrets) redactor.add({ name, value })
  return redactor
}

/** Fingerprints depend on the run's key alone; their place and name are what is compared. */
function unnumbered<T>(value: T): T {
  return JSON.parse(JSON.stringify(value).replaceAll(/#[0-9a-f]{8}\]/g, '#]')) as T
}

const PRINTED: readonly (readonly [how: string, print: (secret: Secret) => string])[] = [
  ['template', (secret) => `${secret}`],
  ['concatenation', (secret) => `a ${String(secret)}`],
  ['JSON', (secret) => JSON.stringify({ secret })],
  ['inspect', (secret) => inspect({ secret }, { depth: null, showHidden: true })],
  ['members', (secret) => JSON.stringify(Object.entries(secret))],
  ['error', (secret) => new Error(`about ${secret}`).message],
]

test.for(PRINTED)('a secret does not print itself: %s', ([, print]) => {
  const printed = print(new Secret(TOKEN, 'access_token'))

  expect(printed).not.toContain(TOKEN)
  expect(printed).toContain('access_token')
})

test('a secret is revealed only on demand', () => {
  expect(new Secret(TOKEN, 'access_token').reveal()).toBe(TOKEN)
})

const TEXTS: readonly (readonly [what: string, text: string, masked: string])[] = [
  ['a known value', `before ${TOKEN} after`, 'before [token#] after'],
  ['a known value twice', `${TOKEN}${TOKEN}`, '[token#][token#]'],
  ['a known value in a URL', `https://host.example/?t=${TOKEN}&x=1`, 'https://host.example/?t=[token#]&x=1'],
  ['a known value in hex', Buffer.from(TOKEN).toString('hex'), '[token#]'],
  ['a part of a known value', TOKEN.slice(0, 20), TOKEN.slice(0, 20)],
  ['a JWT nobody registered', `a ${JWT}.`, `a ${HEADER_AND_CLAIMS}.[signature#].`],
  ['a bearer token nobody registered', 'Bearer abcdef0123456789', 'Bearer [credentials#]'],
  ['a bearer JWT nobody registered', `Bearer ${JWT}`, `Bearer ${HEADER_AND_CLAIMS}.[signature#]`],
  ['an opaque bearer token that begins like a JWT', 'Bearer eyJhbGciOiJub25lIn0', 'Bearer [credentials#]'],
  ['basic credentials', 'authorization: basic dXNlcjpwYXNzd29yZA==', 'authorization: basic [credentials#]'],
  ['a challenge', 'Bearer error="invalid_token"', 'Bearer error="invalid_token"'],
  ['a sentence about tokens', 'Bearer authentication is required.', 'Bearer authentication is required.'],
  ['a private key', `key: ${PEM}end`, 'key: [private_key]\nend'],
  ['a private key cut short', PEM.slice(0, 60), '[private_key]'],
  ['an RSA private key', PEM.replaceAll('PRIVATE', 'RSA PRIVATE'), '[private_key]\n'],
  ['a certificate', '-----BEGIN CERTIFICATE-----\nQUJD', '-----BEGIN CERTIFICATE-----\nQUJD'],
  ['an empty text', '', ''],
]

test.for(TEXTS)('in a text, %s', ([, text, masked]) => {
  const redactor = knowing(['token', TOKEN])

  expect(unnumbered(redactor.text(text))).toBe(masked)
})

test('a longer secret that begins with a shorter one is masked whole', () => {
  const redactor = knowing(['short', TOKEN], ['long', `${TOKEN}.${TOKEN}`])

  expect(unnumbered(redactor.text(`${TOKEN}.${TOKEN} ${TOKEN}.`))).toBe('[long#] [short#].')
})

test('secrets that begin alike are told apart', () => {
  const redactor = knowing(['one', 'secret-one-1'], ['two', 'secret-two-2'])

  expect(unnumbered(redactor.text('secret-two-2 secret-one-1 secret-six-6'))).toBe('[two#] [one#] secret-six-6')
})

test('a secret made of special characters of regular expressions is found as it is', () => {
  const redactor = knowing(['odd', '$^.*+?()[]{}|\\'])

  expect(unnumbered(redactor.text('a $^.*+?()[]{}|\\ b'))).toBe('a [odd#] b')
})

test('of a JWT only the signature is masked, wherever it stands', () => {
  const redactor = knowing(['client_assertion', JWT])

  expect(unnumbered(redactor.text(`${JWT} ${SIGNATURE}`))).toBe(
    `${HEADER_AND_CLAIMS}.[client_assertion#] [client_assertion#]`,
  )
})

test('a JWT whose signature is too short to be one is masked whole, and nothing else is', () => {
  const redactor = knowing(['access_token', `${HEADER_AND_CLAIMS}.a`])

  expect(unnumbered(redactor.text(`a cat and ${HEADER_AND_CLAIMS}.a`))).toBe('a cat and [access_token#]')
})

test('the bytes of a private key are as secret as its PEM text', () => {
  const redactor = knowing(['signing_key', PEM])
  const bytes = PEM.replace(/-----[^-]+-----|\s/g, '')

  expect(unnumbered(redactor.text(`{"p8":"${bytes}"}`))).toBe('{"p8":"[signing_key#]"}')
  expect(redactor.find(JSON.stringify({ text: PEM }))).toEqual(['signing_key'])
})

test('values too short to be told from chance are left alone', () => {
  const redactor = knowing(['pin', '12345'])

  expect(redactor.text('12345')).toBe('12345')
  expect(redactor.size).toBe(0)
})

test('a fingerprint is the same for the same secret and key, and differs for another of either', () => {
  const mask = (key: Uint8Array, value: string) => {
    const redactor = new Redactor(key)
    redactor.add({ name: 'token', value })
    return redactor.text(value)
  }

  expect(mask(KEY, TOKEN)).toBe(mask(KEY, TOKEN))
  expect(mask(KEY, TOKEN)).not.toBe(mask(KEY, `${TOKEN}x`))
  expect(mask(KEY, TOKEN)).not.toBe(mask(new Uint8Array(32).fill(1), TOKEN))
})

const VALUES: readonly (readonly [what: string, value: unknown, masked: unknown])[] = [
  ['a secret member nobody registered', { client_secret: 'changeme' }, { client_secret: '[client_secret#]' }],
  ['a secret member in other letters', { Client_Secret: TOKEN }, { Client_Secret: '[token#]' }],
  ['a nested secret member', { a: [{ password: 'x' }] }, { a: [{ password: '[password#]' }] }],
  ['a secret member that is a list', { rotated_secrets: ['x'] }, { rotated_secrets: '[rotated_secrets: array]' }],
  ['a secret member that is an object', { client_secret: { a: 1 } }, { client_secret: '[client_secret: object]' }],
  ['a secret member that is a number', { access_token: 1 }, { access_token: '[access_token: number]' }],
  ['an empty secret member', { client_secret: '', id_token: null }, { client_secret: '', id_token: null }],
  ['an empty list of secrets', { rotated_secrets: [] }, { rotated_secrets: [] }],
  ['a secret as the name of a member', { [TOKEN]: 1 }, { '[token#]': 1 }],
  ['a Secret', { key: new Secret(TOKEN, 'key') }, { key: '[key#]' }],
  ['a JWT under a secret name', { access_token: JWT }, { access_token: `${HEADER_AND_CLAIMS}.[signature#]` }],
  ['what is no secret', { a: 1, b: true, c: null, d: ['text'] }, { a: 1, b: true, c: null, d: ['text'] }],
  [
    'names that only resemble',
    { client_secret_expires_at: 0, token_type: 'Bearer' },
    { client_secret_expires_at: 0, token_type: 'Bearer' },
  ],
]

test.for(VALUES)('in a value %s is masked', ([, value, masked]) => {
  const redactor = knowing(['token', TOKEN])

  expect(unnumbered(redactor.value(value))).toEqual(masked)
})

test.for(VALUES)('what is masked stays as it is when it is masked again: %s', ([, value]) => {
  const redactor = knowing(['token', TOKEN])
  const once = redactor.value(value)

  expect(redactor.value(once)).toEqual(once)
})

const HEADERS: readonly (readonly [name: string, value: string, masked: string])[] = [
  ['authorization', `Bearer ${TOKEN}`, 'Bearer [token#]'],
  ['Authorization', 'Custom something', '[Authorization#]'],
  ['set-cookie', 'session=short; HttpOnly', '[set-cookie#]'],
  ['cookie', 'session=short', '[cookie#]'],
  ['proxy-authorization', 'Basic dXNlcjpwYXNzd29yZA==', 'Basic [credentials#]'],
  ['location', `https://host.example/${TOKEN}`, 'https://host.example/[token#]'],
  ['www-authenticate', 'Bearer error="invalid_token"', 'Bearer error="invalid_token"'],
  ['content-type', 'application/json', 'application/json'],
]

test.for(HEADERS)('header %s: %s becomes %s', ([name, value, masked]) => {
  const redactor = knowing(['token', TOKEN])

  expect(unnumbered(redactor.headers([[name, value]]))).toEqual([[name, masked]])
})

/** What an exchange holds, and the secret that must be known afterwards, if any. */
const LEARNED: readonly (readonly [what: string, value: unknown, secret: string | undefined])[] = [
  ['a member', { registration_access_token: TOKEN }, TOKEN],
  ['a nested member', { a: [{ client_secret: TOKEN }] }, TOKEN],
  ['a list', { rotated_secrets: [['x', TOKEN]] }, TOKEN],
  ['an object', { client_secret: { current: { value: TOKEN } } }, TOKEN],
  ['a number', { access_token: 4815162342108 }, '4815162342108'],
  ['the credentials of a header', { authorization: `Bearer ${TOKEN}` }, TOKEN],
  ['a cookie', { 'set-cookie': `id=${TOKEN}; Path=/; HttpOnly` }, TOKEN],
  ['JSON in a text', `{"client_secret":"${TOKEN}"}`, TOKEN],
  ['JSON in a member', { note: `{"client_secret":"${TOKEN}"}` }, TOKEN],
  ['escaped JSON in a text', `got {\\"client_secret\\": \\"${TOKEN}\\"}`, TOKEN],
  ['JSON cut in the middle', `{"a":1,"client_secret":"${TOKEN}","b`, TOKEN],
  ['JSON cut within the secret', `{"a":1,"client_secret":"${TOKEN}`, TOKEN],
  ['JSON in HTML', `<p>&quot;access_token&quot;:&quot;${TOKEN}&quot;</p>`, TOKEN],
  ['JSON in a URL', `%22access_token%22%3A%22${TOKEN}%22`, TOKEN],
  ['a form', `grant_type=x&client_secret=${TOKEN}&scope=y`, TOKEN],
  ['a sentence', `refused client_secret: ${TOKEN}, try again`, TOKEN],
  ['another name', { my_client_secret_hint: TOKEN, note: `my-client_secret=${TOKEN}` }, undefined],
  ['a word about a secret', { errors: { client_secret: 'missing', client_assertion: ['is not valid.'] } }, undefined],
  ['a sentence about a secret', 'client_assertion: signature is wrong', undefined],
  ['the type of a token', { token_type: 'Bearer', client_secret_expires_at: 1234567890 }, undefined],
]

test.for(LEARNED)('learns secrets from %s', ([, value, secret]) => {
  const redactor = new Redactor(KEY)

  redactor.learn(value)

  expect(redactor.size).toBe(secret === undefined ? 0 : 1)
  if (secret !== undefined) expect(redactor.text(`<${secret}>`)).toMatch(/^<\[[\w-]+#[0-9a-f]{8}\]>$/)
})

test('the last search names each secret it finds once, and nothing where there is none', () => {
  const redactor = knowing(['one', TOKEN], ['two', `${TOKEN}x`], ['three', 'something else'])

  expect(redactor.find(`${TOKEN}x ${Buffer.from(TOKEN).toString('base64')}`)).toEqual(['two', 'one'])
  expect(redactor.find('nothing')).toEqual([])
})
