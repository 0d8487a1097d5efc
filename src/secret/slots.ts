/**
 * Slots: places whose name says that they hold a secret. Tables of these names, and the rule that looks a name up in them.
 */

import { RememberedTexts } from './remembered.ts'

/**
 * What is hidden in a slot: any value; or, as its name is also used for other things, only a value that is random (opaque).
 */
export type Slot = 'any' | 'opaque'

/** A name is a slot if its last word is one of these. */
export const LAST_WORDS: Readonly<Record<string, Slot>> = {
  ...words(
    'any',
    'token tokens secret secrets password passwords passwd pwd passphrase passphrases passcode assertion',
  ),
  ...words('any', 'credential credentials cookie cookies authorization otp totp pin pins cvv cvv2 cvc cvc2 csc apikey'),
  ...words('opaque', 'key code session signature sig jwt bearer verifier pem ticket'),
}

/** A name is also a slot if it is, or ends in, one of these. */
export const WHOLE_NAMES: Readonly<Record<string, Slot>> = {
  software_statement: 'any',
  private_key: 'any',
  signing_key: 'any',
  secret_key: 'any',
  access_key: 'any',
  api_key: 'any',
  api_keys: 'any',
  pin_block: 'any',
  session_id: 'opaque',
  auth_req_id: 'opaque',
  user_code: 'any',
  device_code: 'any',
  authorization_code: 'any',
  verification_code: 'any',
  security_code: 'any',
  pass_code: 'any',
  otp_code: 'any',
  code_verifier: 'any',
}

/** Names that are no slot, although their last word is in the table. */
export const NO_SLOTS: readonly string[] = [
  'public_key',
  'status_code',
  'error_code',
  'reason_code',
  'response_code',
  'result_code',
  'country_code',
  'currency_code',
  'language_code',
  'postal_code',
  'zip_code',
  'exit_code',
  'server_authorization',
  'audience_authorization',
  'identity_for_authorization',
]

/** Examples of how names end that are no slot, such as `token_endpoint`; printed in docs/redaction.md. */
export const ENDINGS_THAT_STAY: readonly string[] = [
  '_alg, _enc, _alg_values_supported, _supported',
  '_endpoint, _uri, _url',
  '_method, _methods, _methods_supported',
  '_type, _types',
  '_expires_in, _expires_at, _issued_at, _required, _parameter, _mode, _id, _name, _hint',
]

/** Private members of a JSON Web Key, which is an object with a text "kty" (RFC 7517, RFC 7518 section 6). */
export const PRIVATE_JWK_MEMBERS: readonly string[] = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** Headers of credentials: their value is a scheme and the secret. Headers of cookies: their value is names and secrets. */
export const CREDENTIAL_HEADERS: readonly string[] = ['authorization', 'proxy-authorization']
export const COOKIE_HEADERS: readonly string[] = ['cookie', 'set-cookie']

/**
 * Schemes of authorization that are recognised in any text. In an Authorization header the value is hidden whatever its
 * scheme.
 */
export const SCHEMES: readonly string[] = [
  'Basic',
  'Bearer',
  'DPoP',
  'Digest',
  'Token',
  'ApiKey',
  'Negotiate',
  'NTLM',
  'HOBA',
  'Mutual',
  'GNAP',
  'PrivateToken',
  'SCRAM-SHA-1',
  'SCRAM-SHA-256',
  'vapid',
  'MAC',
  'Hawk',
  'Signature',
  'OAuth',
  'SSWS',
  'AWS4-HMAC-SHA256',
]

/** Where slots occur, an example of each, and what is hidden there; printed in docs/redaction.md. */
export const PLACES: readonly (readonly [place: string, looks: string, hidden: string])[] = [
  [
    'JSON member',
    '`"client_secret": "…"`, also of JSON in a text, and cut',
    'a text or number; a list or object as a whole',
  ],
  ['name and value', '`{"name": "client_secret", "value": "…"}`', 'the value'],
  ['form field', '`client_secret=…&`', 'the value'],
  ['query', '`?access_token=…`', 'the value'],
  ['fragment', '`#access_token=…`', 'the value'],
  ['userinfo', '`https://user:…@host`', 'the password, and a user name that is random'],
  ['header', '`X-Api-Key: …`, also in a text', 'the value; of credentials not the name of their scheme'],
  ['option of a command', '`--client-secret …`, `-u user:…`, `-H "X-Api-Key: …"`', 'the value; of a user its password'],
  ['variable of a shell', '`PGPASSWORD=…`', 'the value'],
  ['cookie', '`Cookie: name=…`, `Set-Cookie: name=…`', 'everything'],
  ['XML or HTML element', '`<access_token>…</access_token>`', 'the text within'],
  ['HTML input', '`<input name="access_token" value="…">`, in either order', 'the value'],
  ['sentence', '`client_secret: …`, `token is …`, `token => …`', 'a value that is not an ordinary word'],
  ['JWT', '`header.claims.signature`', 'the signature; the claims where one of them is a slot or a card number'],
  [
    'JSON Web Key',
    '`{"kty": "RSA", "d": "…"}`',
    `the members ${PRIVATE_JWK_MEMBERS.map((one) => `\`${one}\``).join(', ')}`,
  ],
  ['PEM', '`-----BEGIN PRIVATE KEY-----`', 'the key'],
  ['input of a flow', '`format: password`', 'its value, of any type of JSON'],
]

function words(slot: Slot, list: string): Record<string, Slot> {
  return Object.fromEntries(list.split(' ').map((word) => [word, slot]))
}

/** Cyrillic letters that look like Latin ones. */
const LOOK_ALIKES: Readonly<Record<string, string>> = Object.fromEntries(
  [...'аеорсухіѕјԁ'].map((letter, index) => [letter, [...'aeopcyxisjd'][index] ?? '']),
)
/** Finds the last word of names without separators, such as "accesstoken". No ordinary word ends in one of these. */
const ENDS_IN_WORD = /(?:token|tokens|secret|secrets|password|passwd|passphrase|passcode|apikey|privatekey)$/

/** The name in lower case, its words joined by "_": accessToken, access-token and ACCESS_TOKEN become access_token. */
export function normalName(name: string): string {
  if (/^[a-z][a-z0-9_]*[a-z0-9]$/.test(name) && !name.includes('__')) return name
  return name
    .normalize('NFKC')
    .replace(/[аеорсухіѕјԁ]/g, (letter) => LOOK_ALIKES[letter] ?? letter)
    .replace(/\p{Cf}/gu, '')
    .replace(/([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, '$1$3_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')
    .toLowerCase()
}

/** Looks names up in the tables, and in `further`, names that the user has added. */
export class Slots {
  readonly #further: ReadonlySet<string>
  readonly #cache = new Map<string, Slot | undefined>()
  /** texts without a slot */
  readonly withoutSlot = new RememberedTexts()

  constructor(further: readonly string[] = []) {
    this.#further = new Set(further.map(normalName))
  }

  /** Undefined for a name that is no slot. */
  of(name: string): Slot | undefined {
    if (name.length > LONGEST_NAME) return undefined
    if (this.#cache.has(name)) return this.#cache.get(name)
    const slot = this.#find(normalName(name))
    if (this.#cache.size < MOST_CACHED) this.#cache.set(name, slot)
    return slot
  }

  #find(name: string): Slot | undefined {
    if (this.#further.has(name)) return 'any'
    const ends = endsOf(name)
    if (ends.some((end) => NO_SLOTS.includes(end))) return undefined
    const whole = ends.find((end) => Object.hasOwn(WHOLE_NAMES, end))
    if (whole !== undefined) return WHOLE_NAMES[whole]
    const last = name.slice(name.lastIndexOf('_') + 1)
    const bare = last.replace(/[0-9]+$/, '')
    if (Object.hasOwn(LAST_WORDS, last)) return LAST_WORDS[last]
    if (Object.hasOwn(LAST_WORDS, bare)) return LAST_WORDS[bare]
    return ENDS_IN_WORD.test(bare) ? 'any' : undefined
  }
}

/** Limits of the cache, since names come from servers. */
const MOST_CACHED = 10_000
const LONGEST_NAME = 128

/** The most words that a name in the tables above has. */
const MOST_WORDS = 3

/** The last two and the last three words of a name: `access_token` and `my_access_token`. */
function endsOf(name: string): readonly string[] {
  const ends: string[] = []
  let at = name.lastIndexOf('_')
  for (let words = 2; at > 0 && words <= MOST_WORDS; words += 1) {
    at = name.lastIndexOf('_', at - 1)
    ends.push(name.slice(at + 1))
  }
  return ends
}
