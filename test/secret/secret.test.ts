import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Redactor, Secret } from '../../src/secret/index.ts'

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
  ['a long part of a known value', `a ${TOKEN.slice(5, 21)} b`, 'a [token#] b'],
  ['a short part of a known value', TOKEN.slice(0, 10), TOKEN.slice(0, 10)],
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
  const redactor = knowing(['short', TOKEN], ['long', `${TOKEN}.${SIGNATURE}`])

  expect(unnumbered(redactor.text(`${TOKEN}.${SIGNATURE} / ${TOKEN}.`))).toBe('[long#] / [short#].')
})

test('secrets that begin alike are told apart', () => {
  const redactor = knowing(['one', 'secret-08154-one'], ['two', 'secret-08154-two'])

  expect(unnumbered(redactor.text('secret-08154-two secret-08154-one secret-08154-six'))).toBe(
    '[two#] [one#] secret-08154-six',
  )
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
  expect(redactor.find(JSON.stringify({ text: PEM }))).toEqual(['signing_key', 'private keys'])
})

test('values too short to be told from chance are left alone', () => {
  const redactor = knowing(['pin', '12345'])

  expect(redactor.text('12345')).toBe('12345')
  expect(redactor.secretsKnown).toBe(0)
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
  ['the credentials of a member', { authorization: `Bearer ${TOKEN}` }, TOKEN],
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
  ['another name', { my_client_secret_hint: TOKEN, note: `my-client_secret_hint=${TOKEN}` }, undefined],
  ['a word about a secret', { errors: { client_secret: 'missing', client_assertion: ['is not valid.'] } }, undefined],
  ['a sentence about a secret', 'client_assertion: signature is wrong', undefined],
  ['the type of a token', { token_type: 'Bearer', client_secret_expires_at: 1234567890 }, undefined],
]

test.for(LEARNED)('learns secrets from %s', ([, value, secret]) => {
  const redactor = new Redactor(KEY)

  redactor.learn(value)

  expect(redactor.secretsKnown).toBe(secret === undefined ? 0 : 1)
  if (secret !== undefined) expect(redactor.text(`<${secret}>`)).toMatch(/^<\[[\w-]+#[0-9a-f]{8}\]>$/)
})

test('the last search names each secret it finds once, and nothing where there is none', () => {
  const redactor = knowing(['one', TOKEN], ['two', `${TOKEN}x`], ['three', 'something else'])

  expect(redactor.find(`${TOKEN}x ${Buffer.from(TOKEN).toString('base64')}`)).toEqual(['two', 'one'])
  expect(redactor.find('nothing')).toEqual([])
})

const CARD_NUMBERS: readonly (readonly [what: string, text: string, cleaned: string])[] = [
  ['alone', '4111111111111111', '[card_number]'],
  ['of American Express', '378282246310005', '[card_number]'],
  ['of Mastercard, second series', '2223003122003222', '[card_number]'],
  ['of UnionPay, 19 digits', '6212345678900000003', '[card_number]'],
  ['in groups as on the card', 'card 4111 1111 1111 1111.', 'card [card_number].'],
  ['in groups of American Express', '3782-822463-10005', '[card_number]'],
  ['in groups in a form', 'pan=4111+1111+1111+1111&x=1', 'pan=[card_number]&x=1'],
  ['in a path', 'https://host.example/cards/4111111111111111/pin', 'https://host.example/cards/[card_number]/pin'],
  ['after an escape of a URL', '?q=card%204111111111111111', '?q=card%20[card_number]'],
  ['in groups with escapes', '?q=4111%201111%201111%201111', '?q=[card_number]'],
  [
    'in JSON',
    '{"pan":"4111111111111111","pans":[4111111111111111,378282246310005]}',
    '{"pan":"[card_number]","pans":[[card_number],[card_number]]}',
  ],
  ['after a line break written out', '"a\\n4111111111111111"', '"a\\n[card_number]"'],
  ['after an underscore', 'pan_4111111111111111', 'pan_[card_number]'],
  ['after another number', 'no. 12 4111 1111 1111 1111', 'no. 12 [card_number]'],
]

test.for(CARD_NUMBERS)('a card number is removed, and counted: %s', ([, text, cleaned]) => {
  const redactor = new Redactor(KEY)

  expect(redactor.text(text)).toBe(cleaned)
  expect(redactor.cardNumbers).toBe(cleaned.split('[card_number]').length - 1)
  expect(redactor.find(text)).toEqual(['digits that have the shape of a card number'])
  expect(redactor.find(cleaned)).toEqual([])
})

const NO_CARD_NUMBERS: readonly (readonly [what: string, text: string])[] = [
  ['another check digit', '4111111111111112'],
  ['12 digits', '411111111117'],
  ['20 digits', '41111111111111111115'],
  ['part of a longer run, as a key id has it', '168204862922955553537641261407229193357'],
  ['within a hash', '6a4111111111111111b7'],
  ['at the end of a hash', 'c04111111111111111'],
  ['milliseconds of today', '1795449936123'],
  ['milliseconds of 2035', '2051222400005'],
  ['microseconds of today', '1795449936000005'],
  ['nanoseconds of today', '1795449936000000008'],
  ['a time as text', '2024-08-13T13:43:29.619067912Z'],
  ['digits of a fraction', '0.4111111111111111'],
  ['digits before a fraction', '4111111111111111.5'],
  ['a UUID of nothing but digits', '41111111-1111-4111-8111-111111111111'],
  ['an id of an application', 'b9f04639-cdeb-425b-a310-450d3d293fd4'],
  ['nothing but zeros', '0000000000000000'],
  ['a base64url text', 'x41111111111111113-_A'],
]

test.for(NO_CARD_NUMBERS)('what is no card number stays: %s', ([, text]) => {
  const redactor = new Redactor(KEY)

  expect(redactor.text(text)).toBe(text)
  expect(redactor.find(text)).toEqual([])
})

test('a card number that is a number of JSON is removed, also where its last digits were lost', () => {
  const redactor = new Redactor(KEY)
  const value = JSON.parse(
    '{"a":4111111111111111,"b":6212345678900000003,"c":1795449936123,"d":4111111111111112,"e":-4111111111111111}',
  )

  expect(redactor.value(value)).toEqual({
    a: '[card_number]',
    b: '[card_number]',
    c: 1_795_449_936_123,
    d: 4_111_111_111_111_112,
    e: -4_111_111_111_111_111,
  })
})

test('claims of a JWT with a card number are removed as a whole, and its signature as ever', () => {
  const redactor = new Redactor(KEY)
  const [header, claims] = [part({ alg: 'PS256' }), part({ sub: 'client', pan: '4111111111111111' })]

  expect(unnumbered(redactor.text(`${header}.${claims}.${SIGNATURE}`))).toBe(`${header}.[card_number].[signature#]`)
  expect(redactor.find(`${header}.${claims}.[signature#01234567]`)).toEqual([
    'digits that have the shape of a card number',
  ])
})

test('the rules count what they replace', () => {
  const redactor = knowing(['token', TOKEN])

  redactor.value({
    a: TOKEN,
    b: [TOKEN, JWT],
    client_secret: 'x',
    text: 'Bearer abcdef0123456789',
    note: PEM,
    n: '4111111111111111',
  })
  redactor.headers([['set-cookie', 'a=b']])

  expect(redactor.replaced).toEqual({
    'known values, in every encoding': 2,
    'slots: members, fields, headers, cookies, elements and parameters with a secret name': 2,
    'signatures of JWTs': 1,
    'claims of JWTs with a secret member': 0,
    'credentials after the name of a scheme': 1,
    'private keys': 1,
    'digits that have the shape of a card number': 1,
    'random texts after an answer with more secrets than are learned': 0,
    'texts encoded more deeply than is decoded': 0,
  })
})

test('further names of secrets are masked, learnt and found like the known ones', () => {
  const redactor = new Redactor(KEY, ['X-Door', 'emboss_line'])

  expect(unnumbered(redactor.headers([['x-door', 'abc']]))).toEqual([['x-door', '[x-door#]']])
  expect(unnumbered(redactor.value({ EMBOSS_LINE: '04A1B2C3D4E5F607' }))).toEqual({ EMBOSS_LINE: '[EMBOSS_LINE#]' })
  redactor.learn('https://host.example/?emboss_line=04A1B2C3D4E5F607')
  expect(unnumbered(redactor.text('it was 04A1B2C3D4E5F607'))).toBe('it was [emboss_line#]')
  expect(new Redactor(KEY).value({ emboss_line: '04A1B2C3D4E5F607' })).toEqual({ emboss_line: '04A1B2C3D4E5F607' })
})

test('an artifact with a signature or a private key of somebody is found out', () => {
  expect(new Redactor(KEY).find(`x ${JWT} y`)).toEqual(['signatures of JWTs'])
  expect(new Redactor(KEY).find(JSON.stringify({ PEM }))).toEqual(['private keys'])
})
