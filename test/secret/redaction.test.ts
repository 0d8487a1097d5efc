/** What is hidden by slot and by value, in which spellings, and what is not; whatever the secret is. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { exchangeOf } from '../../src/execute/exchange.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { runRecord } from '../../src/record/schema.ts'
import { createArtifacts } from '../../src/report/artifacts.ts'
import { recordJson } from '../../src/report/json.ts'
import { FinishedWorkflows } from '../../src/run/finished.ts'
import { Redactor, type Structure } from '../../src/secret/index.ts'
import { SECRET_LIMITS } from '../../src/secret/limits.ts'
import { exchange, sampleRecord } from '../support/reports.ts'
import { ROOT } from '../support/run.ts'

const KEY = new Uint8Array(32)

function fixture(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(`${ROOT}/fixtures/thredd/${name}.json`, 'utf8')) as Record<string, unknown>
}

function redacted(value: unknown): unknown {
  const redactor = new Redactor(KEY)
  redactor.learn(value)
  return redactor.value(value)
}

test.each(['dcr-response-2024-08', 'dcr-response-2024-09'])(
  'of the documented answer %s four members are hidden',
  (name) => {
    const answer = fixture(name)
    const shown = redacted(answer) as Record<string, unknown>

    const changed = Object.keys(answer).filter(
      (member) => JSON.stringify(answer[member]) !== JSON.stringify(shown[member]),
    )
    expect(Object.keys(shown)).toEqual(Object.keys(answer))
    expect(changed).toEqual(['client_secret', 'hashed_secret', 'software_statement', 'registration_access_token'])
    const [header, claims] = String(answer.software_statement).split('.')
    expect(shown.software_statement).toMatch(
      new RegExp(`^${header}\\.${claims}\\.\\[software_statement#[0-9a-f]{8}\\]$`),
    )
  },
)

test.each(['well-known-authorization-server', 'well-known-directory', 'role-scopes', 'ssa-claims-2024-08', 'hosts'])(
  'of the document %s nothing is hidden',
  (name) => {
    expect(redacted(fixture(name))).toEqual(fixture(name))
  },
)

/** A value that nothing but its slot gives away. */
const SHORT = 'ab12'

const SLOTS: readonly (readonly [where: string, value: unknown])[] = [
  ...[
    'token',
    'accessToken',
    'access-token',
    'ACCESS_TOKEN',
    'accesstoken',
    'clientSecret',
    'passwd',
    'pwd',
    'otp',
    'cvv2',
  ].map((name) => [`member ${name}`, { [name]: SHORT }] as const),
  ['member with a blank', { 'access_token ': SHORT }],
  ['member with an invisible character', { 'access_token\u200b': SHORT }],
  ['member with an invisible character within', { 'access_to\u200bken': SHORT }],
  ['member with a letter of another alphabet', { 'access_t\u043eken': SHORT }],
  ['name and value', { name: 'client_secret', value: SHORT }],
  ['name and value in JSON that is cut', `[{"name":"client_secret","value":"${SHORT}","n":[`],
  ['value and name in JSON that is cut', `[{"value":"${SHORT}","name":"client_secret"},[`],
  ['a part of a form', `content-disposition: form-data; name="client_secret"\r\n\r\n${SHORT}\r\n--x`],
  ['a list of properties', `<key>client_secret</key>\n<string>${SHORT}</string>`],
  ['private members of a JWK', { kty: 'oct', k: SHORT }],
  ['private members of a JWK in JSON that is cut', `{"jwk":{"kty":"oct","k":"${SHORT}"},"n":[`],
  ['JSON in a text', { note: JSON.stringify({ a: { password: SHORT } }) }],
  ['JSON in JSON in a text', { note: JSON.stringify({ x: JSON.stringify({ password: SHORT }) }) }],
  ['JSON that is cut', `{"a":1,"password":"${SHORT}`],
  ['JSON that is cut, a number', '{"a":1,"pin":4712'.replace('4712', `4${SHORT.length}712`)],
  ['a form', `grant_type=x&client_secret=${SHORT}&scope=y`],
  ['a query', `https://host.example/?token=${SHORT}&y=1`],
  ['a query with a code', `https://host.example/?code=${SHORT}&y=1`],
  ['a fragment', `https://host.example/#access_token=${SHORT}`],
  ['userinfo', `https://user:${SHORT}@host.example/`],
  ['a form in a URL', `https://host.example/?back=access_token%3D${SHORT}%26x`],
  ['an element', `<access_token>${SHORT}</access_token>`],
  ['an element of a namespace', `<w:Password Type="text">${SHORT}</w:Password>`],
  ['an input', `<input type="hidden" name="access_token" value="${SHORT}">`],
  ['an input, turned round', `<input value='${SHORT}' name=pin>`],
  ['HTML of JSON', `<pre>&quot;client_secret&quot;: &#34;${SHORT}&quot;</pre>`],
  ['a dictionary of Python', `{'access_token': '${SHORT}'}`],
  ['a header in a text', `X-Api-Key: ${SHORT}\nx: y`],
  ['a header in a command', `curl -H 'X-Api-Key: ${SHORT}' x`],
  ['credentials of Digest', `Authorization: Digest username="x", response="${SHORT}"`],
  ['credentials of an unknown scheme', `Authorization: Door ${SHORT}`],
  ['cookies', `Cookie: sid=${SHORT}; b=2\n`],
  ['a cookie that is set', `Set-Cookie: sid=${SHORT}; HttpOnly\n`],
  ['a sentence', `the client_secret is '${SHORT}'`],
  ['a sentence with quotes', `client_secret "${SHORT}" was issued`],
  ['a query with an escaped delimiter', `https://host.example/?token=x%26${SHORT}&y=1`],
  ...[
    `curl -u user:${SHORT} https://host.example`,
    `curl -uuser:${SHORT}`,
    `curl --user "user:${SHORT}"`,
    `curl --proxy-user=me:${SHORT} x`,
    `{"ran": "curl -u 'user:${SHORT}'"`,
    `mysql --password ${SHORT}`,
    `tool --client-secret=${SHORT}; next`,
    `PGPASSWORD=${SHORT} psql`,
    `export DB_PASSWORD="${SHORT}"`,
    `run%20--user%20user%3A${SHORT}`,
  ].map((line) => [line.replace(SHORT, '…'), line] as const),
  ['a form in a query', `https://host.example/?back=token%3D${SHORT}%26y%3D1`],
]

test.each(SLOTS)('a short secret is hidden in its slot: %s', (_, value) => {
  const shown = JSON.stringify(redacted(value))

  expect(shown).not.toContain(SHORT)
  expect(shown).not.toContain('44712')
  expect(shown).toMatch(/\[[\w-]+#[0-9a-f]{8}\]/)
})

test.each([
  ['a text that is longer than is searched', `${'x '.repeat(600_000)}`, 1],
  ['more secrets than are learned', '', 2100],
])('after %s random texts of servers are hidden, and words are not', (_, text, count) => {
  const redactor = new Redactor(KEY)
  const secrets = Array.from({ length: count }, (_, index) => ({ token: `Vq7xM2p-${index}-Lz9Rt4WcK8` }))

  redactor.learn({ text, secrets })

  expect(redactor.value({ a: 'Nb3HdF-Vq7xM2pLz9Rt', error: 'invalid_client', n: 1 })).toEqual({
    ...{ a: '[not shown: an answer held more secrets than are learned]', error: 'invalid_client', n: 1 },
  })
  const url = redactor.url('https://host.example/Nb3HdF-Vq7xM2pLz9Rt')
  expect([URL.parse(url)?.host, url.includes('Nb3HdF')]).toEqual(['host.example', false])
})

test('a private member of a JWK is hidden where it comes again, too', () => {
  const redactor = new Redactor(KEY)
  redactor.learn({ jwk: { kty: 'oct', k: 'VL4_o2OsS32fhcrtBZDurrA-L5jyvMIlGKpWzKYAtqA' } })

  expect(redactor.text('got VL4_o2OsS32fhcrtBZDurrA-L5jyvMIlGKpWzKYAtqA')).toMatch(/^got \[k#\w{8}\]$/)
})

test('headers of credentials are hidden whatever their scheme, and the name of a known one stays', () => {
  const headers: [string, string][] = [
    ['authorization', `Token ${SHORT}`],
    ['authorization', `DPoP ${SHORT}`],
    ['proxy-authorization', `Digest response="${SHORT}"`],
    ['x-original-authorization', SHORT],
    ['x-access-token', SHORT],
    ['location', `https://user:${SHORT}@host.example/?token=${SHORT}&code=${SHORT}`],
  ]

  expect(JSON.stringify(new Redactor(KEY).headers(headers))).not.toContain(SHORT)
})

test.each([
  'curl -u user:@ x',
  "curl -H 'X-Api-Key: @' x",
  'mysql --password @',
  'tool --client-secret=@',
  'tool --token "@"',
  'PGPASSWORD=@ psql',
  'docker run -e DB_PASSWORD=@ x',
])('of a command a secret is hidden that is made of words: %s', (line) => {
  const shown = redacted(line.replace('@', 'hunter-two'))

  expect(shown).toMatch(new RegExp(`^${line.replace('@', '\\[[\\w-]+#\\w{8}\\]')}$`))
})

const STAYS: readonly unknown[] = [
  {
    token_type: 'Bearer',
    expires_in: 3600,
    client_secret_expires_at: 0,
    token_endpoint_auth_method: 'private_key_jwt',
  },
  {
    note: "$inputs.server_authorization is 'https://auth.example/x1'",
    audience_authorization: 'https://auth.example/x1',
  },
  { error_code: 40100, status_code: 401, code: 404, error: 'invalid_token', authority_code: 'TTA' },
  {
    require_pushed_authorization_requests: true,
    access_token: null,
    client_secret: '',
    keys: [{ kty: 'EC', x: 'a1', kid: 'b2' }],
  },
  'client_assertion: signature is wrong',
  'the token is missing, and Bearer authentication is required',
  'https://host.example/oauth2/token?scope=cards.read#top',
  'WWW-Authenticate: Bearer error="invalid_token"',
  'use --user or --token to log in; the --password option is required',
  'TOKEN_TYPE=bearer --token-endpoint https://host.example/token --token-type bearer -u name',
]

test.each(STAYS.map((value) => [JSON.stringify(value), value]))('what is no secret stays: %s', (_, value) => {
  expect(redacted(value)).toEqual(value)
})

/** With everything that an encoding changes, and as servers issue them. */
const SECRETS = [
  'CANARY1+kq/Zw9==&x<y>"Tq\'%7',
  'CANARY2+kq/Zw9aaBB+ccDD/eeFF==',
  'PKW64FAixrjhxewTH9lR26o7m6_GvbL6RKWv0x5mIM.dWPLOrdXw7yGu2R1HAWlx8dSr3Jf',
  'b1946ac92492d2347c6235b4d2611184e99c5fa08bdedc7c87226cd5f75a0798',
  'correct "horse" \\ battery/+ stäple & <co>',
  'korrekte Pferde-Batterie 17',
]

const hex = (text: string) => Buffer.from(text).toString('hex')
const base64 = (text: string) => Buffer.from(text).toString('base64')
const each = (text: string, to: (code: number) => string) =>
  [...text].map((one) => (/[A-Za-z0-9]/.test(one) ? one : to(one.codePointAt(0) ?? 0))).join('')
const all = (text: string, to: (code: number) => string) => [...Buffer.from(text)].map((byte) => to(byte)).join('')

const SPELLINGS: Readonly<Record<string, (text: string) => string>> = {
  itself: (text) => text,
  'upper case': (text) => text.toUpperCase(),
  'lower case': (text) => text.toLowerCase(),
  URL: encodeURIComponent,
  'URL in mixed case': (text) =>
    encodeURIComponent(text)
      .split('%')
      .map((part, index) => (index % 2 === 0 ? part : part.slice(0, 2).toLowerCase() + part.slice(2)))
      .join('%'),
  'URL twice': (text) => encodeURIComponent(encodeURIComponent(text)),
  'URL three times': (text) => encodeURIComponent(encodeURIComponent(encodeURIComponent(text))),
  'URL, every character': (text) => all(text, (byte) => `%${byte.toString(16).padStart(2, '0')}`),
  form: (text) => new URLSearchParams({ v: text }).toString().slice(2),
  'form with blanks for pluses': (text) => text.replaceAll('+', ' '),
  'named entities': (text) =>
    text.replace(
      /[&<>"']/g,
      (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' })[one] ?? '',
    ),
  'decimal entities': (text) => each(text, (code) => `&#${code};`),
  'hexadecimal entities': (text) => each(text, (code) => `&#x${code.toString(16).toUpperCase()};`),
  'entities of entities': (text) => each(text, (code) => `&amp;#${code};`),
  'escapes of JSON': (text) => each(text, (code) => `\\u${code.toString(16).padStart(4, '0')}`),
  'escapes of JSON in upper case': (text) =>
    each(text, (code) => `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`),
  'escaped slashes': (text) => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/'),
  'JSON in JSON': (text) => JSON.stringify(JSON.stringify(text)).slice(3, -3),
  'a URL in JSON in HTML': (text) =>
    each(encodeURIComponent(text), (code) => `\\u00${code.toString(16)}`).replaceAll('\\', '&#92;'),
  base64,
  base64url: (text) => Buffer.from(text).toString('base64url'),
  'base64 after a name': (text) => base64(`client:${text}`),
  'base64 of a URL': (text) => base64(`c:${encodeURIComponent(text)}`),
  'base64 of base64': (text) => base64(base64(text)),
  'base64 of base64url of base64': (text) => base64(Buffer.from(base64(text)).toString('base64url')),
  'base64 in lines': (text) => base64(text).replace(/.{20}/g, '$&\r\n'),
  'base64 of UTF-16': (text) => Buffer.from(text, 'utf16le').toString('base64'),
  'base64 with characters before it': (text) => `x/y-${base64(text)}`,
  'URL of base64': (text) => encodeURIComponent(base64(text)),
  hex,
  'hex in upper case': (text) => hex(text).toUpperCase(),
  'hex with colons': (text) => (hex(text).match(/../g) ?? []).join(':'),
  'hex with hyphens': (text) => (hex(text).match(/../g) ?? []).join('-'),
  'hex with blanks': (text) => (hex(text).match(/../g) ?? []).join(' '),
  'hex of base64': (text) => hex(base64(text)),
  'gzip in base64': (text) => gzipSync(text).toString('base64'),
  'gzip in base64 in a URL': (text) => encodeURIComponent(gzipSync(`say ${text}`).toString('base64')),
}

const CASES = Object.keys(SPELLINGS).flatMap((spelling) =>
  // Of UTF-16 what is no ASCII is not read.
  SECRETS.filter((secret) => !spelling.includes('UTF-16') || !secret.includes('ä')).map(
    (secret) => [spelling, secret] as const,
  ),
)

test.each(CASES)('found in its sentence as %s: %s', (spelling, secret) => {
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: secret })
  const text = `before "${SPELLINGS[spelling]?.(secret)}", after`

  const shown = redactor.text(text)

  expect(shown).toMatch(/^before "[^"]{0,16}(?:\[client_secret#[0-9a-f]{8}\][^"]{0,16})+", after$/)
  expect(redactor.find(shown)).toEqual([])
})

test.each([8, 16, 32, 48, 256])('tokens of %i random bytes are found whole, cut and in pieces', (length) => {
  for (let count = 0; count < 50; count += 1) {
    const token = randomBytes(length).toString(count % 3 === 0 ? 'hex' : 'base64url')
    const redactor = new Redactor(KEY)
    redactor.learn({ registration_access_token: token })
    if (redactor.secretsKnown === 0) continue
    expect(redactor.find(`a ${token} b`), token).toEqual(['registration_access_token'])
    if (token.length < 32) continue
    for (const cut of [token.slice(3), token.slice(0, -5), token.slice(4, 30)])
      expect(redactor.find(`a "${cut}…"`), cut).toEqual(['registration_access_token'])
  }
})

const bytesOf = (text: string) => [...Buffer.from(text)]
const FIVES = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const base32 = (text: string) =>
  (
    bytesOf(text)
      .map((byte) => byte.toString(2).padStart(8, '0'))
      .join('')
      .match(/.{1,5}/g) ?? []
  )
    .map((bits) => FIVES[Number.parseInt(bits.padEnd(5, '0'), 2)])
    .join('')

/** As debuggers, dumps and pages show a value; of one that is long and random. */
const FURTHER: Readonly<Record<string, (text: string) => unknown>> = {
  base32,
  'base32 in lower case': (text) => base32(text).toLowerCase(),
  'base64 in lines with an indentation': (text) => base64(text).replace(/.{20}/g, '$&\r\n    '),
  'base64 in groups': (text) => (base64(text).match(/.{1,4}/g) ?? []).join(' '),
  'lines of YAML': (text) => text.replace(/.{10}/g, '$&\\\n      '),
  'lines of a header': (text) => text.replace(/.{12}/g, '$&\r\n\t'),
  'turned round': (text) => [...text].toReversed().join(''),
  'full width': (text) => text.replace(/[!-~]/g, (one) => String.fromCodePoint((one.codePointAt(0) ?? 0) + 0xfee0)),
  'octal escapes': (text) =>
    bytesOf(text)
      .map((byte) => `\\${byte.toString(8).padStart(3, '0')}`)
      .join(''),
  'escapes of CSS': (text) =>
    bytesOf(text)
      .map((byte) => `\\${byte.toString(16).padStart(6, '0')}`)
      .join(''),
  'escapes of Python': (text) =>
    bytesOf(text)
      .map((byte) => `\\U${byte.toString(16).padStart(8, '0')}`)
      .join(''),
  'a list of bytes in a text': (text) => `[${bytesOf(text).join(', ')}]`,
  'bytes of Go': (text) => `[${bytesOf(text).join(' ')}]`,
  'bytes of C': (text) =>
    bytesOf(text)
      .map((byte) => `0x${byte.toString(16)}`)
      .join(', '),
  'code points': (text) =>
    bytesOf(text)
      .map((byte) => `U+00${byte.toString(16)}`)
      .join(' '),
  'hex of SQL': (text) => `select 0x${hex(text)}`,
  'quoted-printable': (text) => text.replaceAll('=', '=3D').replace(/.{20}/g, '$&=\r\n'),
  'pieces between tags': (text) => text.replace(/.{6}/g, '$&</span><span class="x">'),
  'pieces between colours': (text) => text.replace(/.{6}/g, '$&\u001b[0m'),
  'pieces of a sum': (text) => text.replace(/.{6}/g, '$&" + "'),
  'gzip of gzip': (text) => gzipSync(gzipSync(text)).toString('base64'),
  zlib: (text) => deflateSync(text).toString('base64'),
  'a list of bytes': (text) => ({ type: 'Buffer', data: bytesOf(text) }),
  'a list of characters': (text) => [...text],
  'a list of pieces': (text) => text.match(/.{1,9}/g),
  'a list of pieces in JSON in a text': (text) => JSON.stringify({ a: text.match(/.{1,9}/g) }),
}

test.each(Object.keys(FURTHER).flatMap((spelling) => SECRETS.slice(1, 4).map((secret) => [spelling, secret] as const)))(
  'found as %s: %s',
  (spelling, secret) => {
    const redactor = new Redactor(KEY)
    redactor.learn({ client_secret: secret })
    const value = { note: FURTHER[spelling]?.(secret) }

    const shown = redactor.value(value)

    expect(JSON.stringify(shown)).toMatch(/\[client_secret#[0-9a-f]{8}\]/)
    expect(redactor.value(shown)).toEqual(shown)
  },
)

/** Between its signs no piece is long enough to be known by itself. */
const SIGNS = 'kZ9+x/Qw7=Lm&2pY+v4R/tB8=nC&q3D'

test.each<[how: string, escaped: (code: string) => string]>([
  ['%2b, escaped twelve times', (code) => `%${'25'.repeat(12)}${code}`],
  ['%u002b', (code) => `%u00${code}`],
  ['\\x2b', (code) => `\\x${code}`],
  ['\\u{2b}', (code) => `\\u{${code}}`],
  ['octal', (code) => `\\${Number.parseInt(code, 16).toString(8).padStart(3, '0')}`],
])('a secret of which only the signs are escaped is hidden whole: %s', (_, escaped) => {
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: SIGNS })
  const text = SIGNS.replace(/[^A-Za-z0-9]/g, (sign) => escaped(sign.charCodeAt(0).toString(16)))

  expect(redactor.text(`got ${text} here`)).toMatch(/^got \[client_secret#\w{8}\] here$/)
})

test('a dump in groups of four digits is hidden with its lines', () => {
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: 'kZ9+x/Qw7Lm&2pYv4RtB8=nCqQ3dW1sE' })
  const hex = Buffer.from('kZ9+x/Qw7Lm&2pYv4RtB8=nCqQ3dW1sE').toString('hex')
  const lines = (hex.match(/.{1,32}/g) ?? []).map(
    (line, index) => `${(16 * index).toString(16).padStart(8, '0')}: ${(line.match(/.{4}/g) ?? []).join(' ')}`,
  )

  expect(redactor.text(`at\n${lines.join('\n')}`)).toMatch(/^at\n00000000: \[client_secret#\w{8}\]$/)
})

test('the words of a name are no piece of a secret that has them, and a mask is not masked again', () => {
  const redactor = new Redactor(KEY)
  redactor.learn({ registration_access_token: '3b9aca07-registration-access-token-of-2024' })
  const text = '"name":"registration_access_token","registration_access_token_expires_in":0'

  expect(redactor.text(text)).toBe(text)
  const once = redactor.value({ registration_access_token: '3b9aca07-registration-access-token-of-2024' })
  expect(redactor.value(once)).toEqual(once)
  expect(JSON.stringify(once)).toMatch(/^\{"registration_access_token":"\[registration_access_token#\w{8}\]"\}$/)
})

test('what is encoded more deeply than is decoded is hidden as a whole', () => {
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: SECRETS[1] })
  let text = SECRETS[1] ?? ''
  for (let depth = 0; depth < 12; depth += 1) text = base64(text)

  expect(redactor.value({ a: text, b: 'b' })).toEqual({ a: '[encoded too deeply to be searched]', b: 'b' })
})

/** A million characters each; work that grows with their square would not end within the time of a test. */
const LONG: Readonly<Record<string, string>> = {
  'the beginning of a JWT': 'eyJaaaaaaaaaa-'.repeat(70_000),
  'names of slots': 'token '.repeat(170_000),
  'slots without an end': 'cookie: '.repeat(120_000),
  'credentials without an end': 'Authorization: Bearer eyJ.'.repeat(40_000),
  'inputs without an end': '<input name="token" '.repeat(50_000),
  'lists without an end': '"token":['.repeat(110_000),
  'userinfo without an end': 'https://a:b'.repeat(90_000),
  'percent signs': '%25'.repeat(330_000),
  entities: '&amp;'.repeat(200_000),
  backslashes: '\\'.repeat(1_000_000),
  'one letter of base64': 'a'.repeat(1_000_000),
  'pairs of hex': '3a:'.repeat(330_000),
  'pieces of the secret': `${SECRETS[2]?.slice(0, 11)} `.repeat(80_000),
  'all but the end of the secret': `${SECRETS[4]?.slice(0, -4)} `.repeat(25_000),
  'keys without an end': '-----BEGIN PRIVATE KEY-----'.repeat(37_000),
  digits: '4111 1111 1111 111'.repeat(55_000),
  'archives at every place': 'H4sI'.repeat(250_000),
  'archives in hex at every place': '1f8b08'.repeat(160_000),
}

test.each(Object.entries(LONG))('a long text is searched in time: %s', (_, text) => {
  const redactor = new Redactor(KEY)
  for (const secret of SECRETS) redactor.add({ value: secret, name: 'secret' })

  redactor.learn({ note: text })

  expect(typeof redactor.text(text)).toBe('string')
})

/** Slots within slots, and of each level a secret of its own. */
function nestedSlots(levels: number, leaves: readonly string[]): unknown {
  let value: unknown = leaves
  for (let level = 0; level < levels; level += 1) value = { token: value, password: `${level}-Zq7RtLmW2pYk` }
  return value
}

test('slots within each other are looked at once, however deep they are, and each secret in them is known', () => {
  const leaves = Array.from({ length: 400 }, (_, index) => `x9Lq-${index}-WmTz4`)
  const redactor = new Redactor(KEY)

  redactor.learn(Array.from({ length: 100 }, () => nestedSlots(95, leaves)))

  expect(redactor.secretsKnown).toBe(495)
  expect(redactor.text(`${leaves[399]} 94-Zq7RtLmW2pYk`)).toMatch(/^\[token#\w{8}\] \[password#\w{8}\]$/)
})

test('a secret of any length is known by its beginning, and what may be the rest of it is hidden', () => {
  const secret = randomBytes(3 * 2 ** 20).toString('base64url')
  const redactor = new Redactor(KEY)

  redactor.learn({ client_secret: secret })

  const shown = JSON.stringify(redactor.value({ begin: secret.slice(0, 60), end: secret.slice(-60), word: 'plain' }))
  expect(shown).not.toContain(secret.slice(20, 40))
  expect(shown).not.toContain(secret.slice(-30))
  expect(shown).toContain('plain')
  expect(redactor.sentence(`expected "${secret.slice(-60)}"`)).not.toContain(secret.slice(-30))
})

test('of more secrets than are learned none is shown, by no slot that would tell it', () => {
  const secrets = Array.from({ length: 49_000 }, (_, index) => `kq8Zw9aa${index}BBccDDeeFF`)
  const redactor = new Redactor(KEY)

  redactor.learn(Object.fromEntries(secrets.map((secret, index) => [`part_${index}_secret`, secret])))

  expect(redactor.secretsKnown).toBe(SECRET_LIMITS.secrets.value)
  const shown = [secrets[0], secrets[48_999]].map((one) => redactor.value(`got ${one}`))
  expect(shown).toEqual([
    expect.stringMatching(/^got \[part_0_secret#/),
    '[not shown: an answer held more secrets than are learned]',
  ])
})

test('of one value so much is shown as the limit says, and its shape is that of its beginning', () => {
  const redactor = new Redactor(KEY)
  const long = 'word '.repeat(10_000)

  expect(redactor.value({ a: long, b: [1, long, 2], c: 3 })).toEqual({
    a: long,
    b: [1, '[not shown: too much in one value]'],
    '[not shown: too much in one value]': '',
  })
})

/** A record as a run makes it, whose answer has the value as client_secret and, after it, in a sentence. */
function recordWith(value: unknown, redactor: Redactor) {
  const sample = sampleRecord()
  const [first] = sample.workflows
  if (first === undefined) throw new Error('the sample has a workflow')
  const answer = { client_id: 'one', client_secret: value, registration_access_token: value }
  redactor.exempt([sample, first.workflowId, first.flow])
  redactor.learn(answer)
  const one = exchange()
  const response = one.response
  if (response === undefined) throw new Error('the sample has an answer')
  const body = { bytes: 1, text: JSON.stringify(redactor.value(answer), null, 2) }
  const steps = first.steps.map((step) => ({ ...step, exchanges: [{ ...one, response: { ...response, body } }] }))
  using finished = new FinishedWorkflows({ file: undefined, redactor, withoutFolders: (text) => text })
  const plain = { ...sample, workflows: [{ ...first, steps }] }
  finished.add({ ...first, steps })
  finished.redactAgain()
  const { workflows: _, ...head } = redactor.record({ ...sample, workflows: [] })
  return { pieces: [...recordJson(head, [...finished])], plain }
}

/** Every name, verdict, id, time and number of a record, and what else a server may think of. */
function hostileValues(): unknown[] {
  const found = new Set<unknown>()
  const walk = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) {
        found.add(name)
        walk(member)
      }
    } else if (value !== undefined && value !== null) {
      found.add(value)
      found.add(String(value))
    }
  }
  walk(sampleRecord())
  const words = [
    'passed',
    'failed',
    'errored',
    'skipped',
    'conformant',
    'inconclusive',
    'pass',
    'warn',
    'must',
    'localhost',
  ]
  const odd = [
    '',
    ' ',
    '"',
    '\\',
    '{}',
    '[]',
    ': ',
    '",\n',
    'null',
    'true',
    '0',
    '-1',
    '$&',
    '$1',
    '[client_secret#00000000]',
    '\u0000',
    '\u202e',
    '😀',
  ]
  for (const one of [
    ...words,
    ...odd,
    'passed",\n              "level": "must",\n',
    '": "passed"',
    'localhost:19443',
    '127.0.0.1:19443',
    '19443',
    19443,
    0,
    true,
    null,
  ])
    found.add(one)
  const texts = [...found].filter((one) => typeof one === 'string' && one !== '') as string[]
  for (const text of texts) {
    if (found.size >= 950) break
    for (const one of [text.toUpperCase(), text.toLowerCase(), `${text}x`, `${text} ${text}`, text.repeat(2)])
      found.add(one)
  }
  while (found.size < 1000) found.add(randomBytes(2 + (found.size % 40)).toString('base64url'))
  return [...found]
}

/** One of four, by a seed that is new each time; FUZZ=full is all of them, which .ci/run does. */
const SEED = process.env.FUZZ_SEED ?? randomBytes(6).toString('hex')
const isTried = (value: unknown) =>
  process.env.FUZZ === 'full' ||
  createHash('sha256')
    .update(`${SEED}/${String(value)}`)
    .digest()
    .readUInt8() < 64

test(`seed ${SEED}: whatever a server calls its secret, the record stays whole, its verdicts too, and the secret is gone`, async () => {
  const place = await mkdtemp(join(tmpdir(), 'thredd-hostile-'))
  onTestFinished(() => rm(place, { recursive: true, force: true }))
  const values = hostileValues()
  expect(values.length).toBeGreaterThanOrEqual(1000)
  for (const value of values.filter(isTried)) {
    const redactor = new Redactor(KEY)
    const { pieces, plain } = recordWith(value, redactor)
    const artifacts = await createArtifacts(place, 'run', { redactor, warn: () => undefined })
    const text = await readFile(await artifacts.write('record.json', pieces), 'utf8')
    const record = runRecord.parse(JSON.parse(text))

    const told = JSON.stringify(value)
    expect([told, record.verdict, record.exitCode]).toEqual([told, plain.verdict, plain.exitCode])
    const statuses = (one: RunRecord) =>
      one.workflows.map(({ workflowId, status, steps }) => [
        workflowId,
        status,
        steps.map(({ stepId, status, durationMs, checks }) => [
          stepId,
          status,
          durationMs,
          checks.map((check) => check.status),
        ]),
      ])
    expect([told, statuses(record)]).toEqual([told, statuses(plain)])
    const body = JSON.parse(record.workflows[0]?.steps[0]?.exchanges[0]?.response?.body.text ?? '') as Record<
      string,
      unknown
    >
    if (value === '' || value === null || typeof value === 'boolean') continue
    for (const member of ['client_secret', 'registration_access_token'])
      expect([told, body[member]]).toEqual([told, expect.stringMatching(/^\[[\w-]+(?:#[0-9a-f]{8}|: number)\]$|^eyJ/)])
  }
}, 120_000)

test.each(['localhost', 'passed', 'register', 'status', 'open sesame', 'exitCode'])(
  'our own passphrase "%s" changes nothing that is ours',
  (passphrase) => {
    const redactor = new Redactor(KEY)
    redactor.add({ value: passphrase, name: 'passphrase' })
    const record = sampleRecord()

    expect(redactor.record(record)).toEqual(record)
    expect(redactor.find(JSON.stringify(record))).toEqual([])
  },
)

test('an input with format password is hidden whatever type it has, where it is a whole leaf or in quotes', () => {
  const redactor = new Redactor(KEY)
  redactor.add({ value: { a: 'door1', b: [47_119] }, name: 'door' })
  const check = { id: 'criterion 1', actual: "$steps.a.outputs.b is 'door1', $steps.a.outputs.c is 47119" }

  expect(JSON.stringify(redactor.value({ x: 'door1', y: [47_119], z: 'door1 is open' }))).toMatch(
    /^\{"x":"\[door#\w{8}\]","y":\["\[door#\w{8}\]"\],"z":"door1 is open"\}$/,
  )
  expect(redactor.checks([check])[0]?.actual).toMatch(
    /^\$steps\.a\.outputs\.b is '\[door#\w{8}\]', \$steps\.a\.outputs\.c is \[door#\w{8}\]$/,
  )
})

test('a check on a slot does not tell what stands in it', () => {
  const checks = [
    { id: 'schema /card/pin', actual: 'string "1234"' },
    { id: 'criterion 1', actual: "$response.body#/card/pin is '1234'" },
    { id: 'criterion 2', actual: '$response.body#/card is {"pin":1234,"cvv":"987"}' },
    { id: 'schema /card/name', actual: 'absent' },
  ]

  const shown = new Redactor(KEY).checks(checks)

  expect(JSON.stringify(shown)).not.toMatch(/1234|987/)
  expect(shown.at(-1)).toEqual(checks.at(-1))
})

test('in a finished file a secret is hidden in its sentence, and names and numbers of JSON are left alone', () => {
  const redactor = new Redactor(KEY)
  redactor.add({ value: 'statuscodesandmanymoreletters', name: 'token' })
  redactor.add({ value: 481_516_234_210_899, name: 'pin' })
  redactor.add({ value: '481516234210899', name: 'pin' })
  const text = JSON.stringify(
    { statuscodesandmanymoreletters: 'not statuscodesandmanymoreletters', n: 481_516_234_210_899 },
    null,
    2,
  )
  const structure: Structure = {
    between: /\n|"/,
    end: '\n',
    isValue: (line, place) => place > line.indexOf(': "') && line.includes(': "'),
  }

  const cleaned = redactor.cleanFile(`${text}\n`, structure)

  expect(cleaned.text).toMatch(
    /^\{\n {2}"statuscodesandmanymoreletters": "not \[token#\w{8}\]",\n {2}"n": 481516234210899\n\}\n$/,
  )
  expect(cleaned.found).toEqual(['token'])
})

test.each<[string, Structure | undefined]>([
  ['lines', undefined],
  ['JSON', { between: /\n|"/, end: '\n', isValue: (line, place) => place > line.indexOf(': "') + 2 }],
])('in a finished file all archives are searched, however many, and what cannot be is hidden: %s', (_, structure) => {
  const redactor = new Redactor(KEY)
  redactor.add({ value: 'a-secret-of-twenty-letters', name: 'token' })
  const archive = (text: string) => gzipSync(text).toString('base64')
  const harmless = Array.from({ length: 20 }, (_, index) => archive(`nothing ${index}`))
  const line = (text: string) => `"member": "${text}"\n`
  const file = [...harmless, archive('it is a-secret-of-twenty-letters')].map(line).join('')

  const cleaned = redactor.cleanFile(file, structure)
  expect(cleaned.found).toEqual(['token'])
  expect(cleaned.text).toContain(harmless.map(line).join(''))
  expect(cleaned.text).toMatch(/\n"member": "[^"]*\[token#\w{8}\][^"]*"\n$/)

  const unsearched = redactor.cleanFile(`${line('before')}${line(harmless.join(' '))}${line('after')}`, structure)
  expect(unsearched.found).toEqual(['a text that is encoded too deeply to be searched'])
  expect(unsearched.text).not.toContain('H4sI')
  expect([unsearched.text.startsWith(line('before')), unsearched.text.endsWith(line('after'))]).toEqual([true, true])
})

test('a text that held no secret is searched again when it has become one', () => {
  const secret = randomBytes(24).toString('base64url')
  const texts = [secret, `before ${secret} after`, Buffer.from(`${secret} in an encoding`).toString('base64')]
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: randomBytes(24).toString('base64url') })
  const structure: Structure = { between: /\n|"/, end: '\n', isValue: () => true }
  const file = `${texts.map((text) => `"${text}"`).join('\n')}\n"a line that comes twice"\n"a line that comes twice"\n`
  for (const text of texts) {
    expect(redactor.find(text)).toEqual([])
    expect([redactor.text(text), redactor.value(text)]).toEqual([text, text])
  }
  const json = JSON.stringify({ texts, twice: texts })
  for (let time = 0; time < 2; time += 1) expect(redactor.mayHoldSecret(json)).toBe(false)
  for (let time = 0; time < 2; time += 1) expect(redactor.cleanFile(file, structure)).toEqual({ text: file, found: [] })

  redactor.learn({ registration_access_token: secret })

  for (const text of texts) {
    expect(redactor.find(text)).toEqual(['registration_access_token'])
    expect(redactor.text(text)).toContain('[registration_access_token#')
    expect(redactor.value(text)).toContain('[registration_access_token#')
  }
  for (const text of texts) expect(redactor.mayHoldSecret(JSON.stringify({ 'a "name"': text }))).toBe(true)
  const cleaned = redactor.cleanFile(file, structure)
  expect(cleaned.found).toEqual(['registration_access_token'])
  expect(cleaned.text.match(/\[registration_access_token#/g)).toHaveLength(texts.length)
  expect(cleaned.text).toContain('"a line that comes twice"\n"a line that comes twice"\n')
})

test.each(Object.entries(SPELLINGS))('a secret learned later is found in a text searched before: %s', (_, spelled) => {
  for (let time = 0; time < 20; time += 1) {
    const secret = randomBytes(32).toString('base64url').replace(/[_-]/g, 'x')
    const redactor = new Redactor(KEY)
    redactor.learn({ access_token: randomBytes(32).toString('base64url') })
    const text = `said ${spelled(secret)}.`
    const before = redactor.text(text)
    expect(before).toBe(text)
    expect(redactor.mayHoldSecret(JSON.stringify([text]))).toBe(false)

    redactor.learn({ registration_access_token: secret })
    expect(redactor.text(text)).not.toBe(text)
    expect(redactor.mayHoldSecret(JSON.stringify([text]))).toBe(true)
  }
})

test('what was searched is not searched again for a secret that cannot stand there', () => {
  const redactor = new Redactor(KEY)
  redactor.learn({ access_token: randomBytes(32).toString('base64url') })
  const { revision } = redactor
  expect(redactor.text('a header of every answer')).toBe('a header of every answer')
  redactor.learn({ access_token: 'Kq83-vLs0_tZp14_mYw7-xRb25_cNh96' })
  expect(redactor.revision).toBe(revision)
  // Words that both have are no piece of the secret.
  redactor.learn({ access_token: 'Zx7-header-of-every-answer-81Qw' })
  expect(redactor.revision).toBe(revision)
  expect(redactor.text('a header of every answer')).toBe('a header of every answer')
  expect(redactor.text('a piece: gM5wT-vX8rL-bD3')).toBe('a piece: gM5wT-vX8rL-bD3')
  redactor.learn({ access_token: 'hQ7zN-gM5wT-vX8rL-bD3sK-pF9y' })
  expect(redactor.revision).toBeGreaterThan(revision)
})

test.each(Object.entries(SPELLINGS))('a piece is hidden as well if it was searched before: %s', (_, spelled) => {
  const [begin, times] = process.env.FUZZ === 'full' ? [0, 100] : [randomInt(100), 25]
  let hidden = 0
  for (let time = begin; time < begin + times; time += 1) {
    // Words and digits have less entropy, so that not every piece of it counts.
    const secret = [randomBytes(9), randomBytes(5), randomBytes(9)]
      .map((bytes, index) => bytes.toString(index === 1 ? 'hex' : 'base64url'))
      .join('-of-the-')
    const start = time % 29
    const text = `said ${spelled(secret.slice(start, start + 6 + (time % 31)))} once`
    const known = new Redactor(KEY)
    const later = new Redactor(KEY)
    for (const one of [known, later]) one.learn({ access_token: 'Kq83-vLs0_tZp14_mYw7-xRb25_cNh96' })
    known.learn({ registration_access_token: secret })
    later.text(text)
    later.learn({ registration_access_token: secret })
    expect(later.text(text)).toBe(known.text(text))
    if (known.text(text) !== text) hidden += 1
  }
  expect(hidden).toBeGreaterThan(times / 10)
})

test('a secret that is an id of ours is shown', () => {
  const redactor = new Redactor(KEY)
  const id = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
  redactor.exempt([id])
  redactor.learn({ access_token: id })
  expect(redactor.text(id)).toBe(id)
})

test('an assertion without a signature is no secret, and hides nothing of others with its claims', () => {
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = encoded({ iss: 'https://client.example.com/a-long-name', jti: 'b9f04639-cdeb-425b-a310-450d3d293fd4' })
  const unsigned = `${encoded({ alg: 'none', kid: 'offline-twin-signing' })}.${claims}.`
  const signed = `${encoded({ alg: 'PS256', kid: 'offline-twin-signing' })}.${claims}.${randomBytes(64).toString('base64url')}`
  const redactor = new Redactor(KEY)
  redactor.learn({ client_assertion: unsigned })
  redactor.add({ value: unsigned, name: 'client_assertion' })
  expect(redactor.text(`said ${unsigned}`)).toBe(`said ${unsigned}`)
  expect(redactor.text(`said ${signed}`)).toBe(
    `said ${signed.replace(/[^.]*$/, '')}${redactor.text(signed).split('.')[2]}`,
  )
  expect(redactor.text(signed)).toMatch(new RegExp(`\\.${claims}\\.\\[signature#`))
  // Whoever sends such a token is believed.
  redactor.learn({ access_token: unsigned })
  expect(redactor.text(`said ${unsigned}`)).not.toContain(claims)
})

const HIDDEN = 'kT9vQz4mXw7LpR2hYc8BnJ3d'
const SPELT = { hex: hex(HIDDEN), 'hex in upper case': hex(HIDDEN).toUpperCase(), base32: base32(HIDDEN) }

test.each(Object.entries(SPELT))(
  '%s beside words is found in the line of a workflow, in JSON and in pages',
  (_, spelt) => {
    const redactor = new Redactor(KEY)
    redactor.learn({ client_secret: randomBytes(24).toString('base64url') })
    const json = JSON.stringify({ headers: [['etag', '"x"']], body: { token_type: 'mtls', next: spelt } })
    expect(redactor.mayHoldSecret(json)).toBe(false)
    redactor.learn({ client_secret: HIDDEN })
    expect(redactor.mayHoldSecret(json)).toBe(true)
    for (const [structure, file] of [
      [
        { between: /\n|"/, end: '\n', isValue: () => true },
        JSON.stringify({ type: 'mtls', next: spelt }, undefined, 2),
      ],
      [{ between: /[<>"]/, end: '<', isValue: () => true }, `<b>id</b><span class="mono">id: ${spelt}</span>`],
    ] as const)
      expect(redactor.cleanFile(file, structure).text).not.toContain(spelt)
  },
)

test('a secret in odd letters beside another secret is found, and one beside odd letters hides itself alone', () => {
  const odd = HIDDEN.replace(/[!-~]/g, (one) => String.fromCodePoint((one.codePointAt(0) ?? 0) + 0xfee0))
  const other = 'pQ7rT2vW9xZ4mN6bK8cJ3hG5'
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: other })
  const { revision } = redactor
  expect(redactor.text(`session ${other} for ${odd}`)).toMatch(/^session \[client_secret#\w+\] for /)
  expect(redactor.text(`\u2460 ${other}`)).toMatch(/^\u2460 \[client_secret#\w+\]$/)
  redactor.learn({ access_token: HIDDEN })
  expect(redactor.revision).toBeGreaterThan(revision)
  for (const text of [`session ${other} for ${odd}`, `${other}${odd}`]) expect(redactor.text(text)).not.toContain(odd)
  expect(redactor.text(`\u2460 session ${odd}.`)).toMatch(/^\u2460 session \[access_token#\w+\]\.$/)
})

test('what stands in pieces in a body is hidden in the record, whether it was known or is learned later', () => {
  const pieces = HIDDEN.match(/.{1,8}/g) ?? []
  const bodies = [[pieces.toReversed(), pieces, 7], { parts: [pieces.slice(0, 2), pieces.slice(2)] }, [...HIDDEN, null]]
  for (const body of bodies)
    for (const isKnown of [true, false]) {
      const redactor = new Redactor(KEY)
      redactor.learn({ client_secret: randomBytes(24).toString('base64url') })
      if (isKnown) redactor.learn({ access_token: HIDDEN })
      const finished = new FinishedWorkflows({ file: undefined, redactor, withoutFolders: (json) => json })
      finished.begin()
      const [workflow] = sampleRecord().workflows
      const [step] = workflow?.steps ?? []
      if (workflow === undefined || step === undefined) throw new Error('the sample has a step')
      const text = JSON.stringify(body)
      redactor.learn(body, [], text)
      const headers: [string, string][] = [['content-type', 'application/json']]
      const answer = { status: 200, headers, body: Buffer.from(text), beside: [] }
      const recorded = exchangeOf(
        { method: 'GET', url: 'https://auth.example/x', headers: [] },
        { kind: 'answered', answer, timing: { startedAt: '', totalMs: 1 } } as never,
        { ...answer, body } as never,
        redactor,
      )
      if (!isKnown) redactor.learn({ access_token: HIDDEN })
      finished.add({ ...workflow, steps: [{ ...step, exchanges: [recorded] }] })
      finished.redactAgain()
      const [shown] = finished
      const printed = shown?.steps[0]?.exchanges[0]?.response?.body.text ?? HIDDEN
      expect(printed.replace(/[^A-Za-z0-9]/g, '')).not.toContain(HIDDEN)
    }
})

test.each([
  ['names within a slot', (x: string) => ({ tokens: { [x]: { made: 'today' } } })],
  ['a private member beside its key', (x: string) => ({ jwk: { kty: 'RSA' }, private: { d: x } })],
  ['a name beside its value', (x: string) => ({ Name: 'client_secret', value: x })],
  ['a name with a slot in it', (x: string) => ({ [`x?access_token=${x}&token`]: 'v' })],
])('a secret in JSON that only its text shows: %s', (_, answer) => {
  const secret = randomBytes(24).toString('base64url')
  const redactor = new Redactor(KEY)
  redactor.learn(answer(secret), [], JSON.stringify(answer(secret)))
  expect(redactor.text(`said ${secret} again`)).not.toContain(secret)
})

test('a secret with many signs in a row is found in a text that was searched before', () => {
  const secret = 'Kq7v9!!!!!!!Xz2mT4'
  const redactor = new Redactor(KEY)
  redactor.learn({ client_secret: randomBytes(24).toString('base64url') })
  expect(redactor.text(`said ${secret}`)).toContain(secret)
  redactor.learn({ password: secret })
  expect(redactor.text(`said ${secret}`)).not.toContain(secret)
})

test('letters with marks of their own are found beside odd letters', () => {
  const secret = 'p\u00e4ssw\u00f6rd-Kq83vLs0tZ'
  const redactor = new Redactor(KEY)
  redactor.learn({ password: secret })
  expect(redactor.text(`\u2460 ${secret.normalize('NFD')} end`)).toMatch(/^\u2460 \[password#\w+\] end$/)
})

test('a secret in a line of a body is hidden in the files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-lines-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const redactor = new Redactor(KEY)
  redactor.learn({ access_token: HIDDEN })
  const artifacts = await createArtifacts(folder, 'run', { redactor, warn: () => {} })
  const list =
    Buffer.from(`said ${HIDDEN} twice`)
      .toString('base64')
      .match(/.{1,9}/g) ?? []
  const body = JSON.stringify({ a: 1, said: `it is ${HIDDEN}.`, inLines: list.join('\n'), c: [] }, undefined, 2)
  const path = await artifacts.write('a.json', [JSON.stringify({ body }, undefined, 2)])
  const shown = JSON.parse(JSON.parse(await readFile(path, 'utf8')).body)
  expect(shown).toMatchObject({ a: 1, said: `it is ${redactor.text(HIDDEN)}.`, c: [] })
  expect(Buffer.from(shown.inLines, 'base64').toString()).not.toContain(HIDDEN.slice(0, 12))
})

test.each([
  ['a.json', (text: string) => JSON.stringify({ first: '\u2460', said: [text] }, undefined, 2)],
  ['a.html', (text: string) => `<p>\u2460</p><p>${text}</p>`],
  ['a.xml', (text: string) => `<a first="\u2460"><b>${text}</b></a>`],
])('a secret in odd letters is hidden in %s alone', async (name, file) => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-letters-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const redactor = new Redactor(KEY)
  redactor.learn({ access_token: HIDDEN })
  const odd = HIDDEN.replace(/[!-~]/g, (one) => String.fromCodePoint((one.codePointAt(0) ?? 0) + 0xfee0))
  const artifacts = await createArtifacts(folder, 'run', { redactor, warn: () => {} })
  const path = await artifacts.write(name, [file(odd)])
  const mask = redactor.text(HIDDEN)
  expect(await readFile(path, 'utf8')).toBe(file(mask))
})

test.each([`eyJ+/${HIDDEN}/+eyJhbGciOiJub25lIn0.eyJpc3MiOiJjIn0.`, `eyJhbGciOiJub25lIn0.${HIDDEN}.`])(
  'what only looks like an assertion without a signature is a secret: %s',
  (value) => {
    const redactor = new Redactor(KEY)
    redactor.learn({ client_assertion: value })
    expect(redactor.text(`said ${value}`)).not.toContain(HIDDEN)
  },
)
