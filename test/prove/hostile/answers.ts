/** Hostile answers, each made from a number: a secret in a slot, later spelt otherwise, in an answer that is odd itself. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { SPELLINGS } from './spellings.ts'

/** Numbers that follow from a seed, so that a run can be repeated. */
export class Chance {
  readonly #seed: string
  #count = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  bytes(length: number): Buffer {
    const parts: Buffer[] = []
    for (let size = 0; size < length; size += 32)
      parts.push(
        createHash('sha256')
          .update(`${this.#seed}/${this.#count++}`)
          .digest(),
      )
    return Buffer.concat(parts).subarray(0, length)
  }

  below(limit: number): number {
    return this.bytes(4).readUInt32BE() % limit
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}

/** An answer of the twin, as it is about to be sent. */
export interface Sent {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
  /** instead of all that: these bytes, and then the end of the connection */
  readonly raw?: Buffer
}

export interface Hostile {
  readonly name: string
  readonly canary: string
  /** the operation whose answer has the canary in a slot, and the one that repeats it */
  readonly issued: string
  readonly echoed: string
  /** undefined: the answer stays as it is */
  change(operation: string, answer: Sent): Sent | undefined
}

/** Answers with so many scopes, as a list or in one text. */
export function manyScopes(count: number, as: 'list' | 'text'): Hostile {
  const scopes = Array.from({ length: count }, (_, index) => `scope.${index}`)
  const more = as === 'list' ? { scopes } : { scope: scopes.join(' ') }
  return {
    name: `${count} scopes as ${as}`,
    canary: 'qZ7Rt9LmW2pYk4aBx1Cv8',
    issued: '',
    echoed: '',
    change: (operation, answer) =>
      operation === 'readClient' ? json(answer, { ...objectOf(answer), ...more }) : undefined,
  }
}

/** Operations of the flow; the secret is repeated by the same or a later one. */
const OPERATIONS = ['directoryToken', 'registerClient', 'token', 'cardsSmoke', 'readClient', 'updateClient'] as const

/** Their answers bring the token with which alone the client can be removed. */
const ROTATING: readonly string[] = ['registerClient', 'updateClient']
/** Echoes that leave the members of an answer in it, and shapes in which they do not arrive. */
const BESIDE = ['a member', 'a name', 'a header']
const WITHOUT = ['no status line', 'nothing at all']

const MEMBERS = [
  'client_secret',
  'clientSecret',
  'hashed_secret',
  'refresh_token',
  'idToken',
  'password',
  'api_key',
  'x-api-key',
  'private_key',
  'device_code',
  'sessionToken',
  'secret',
  'passphrase',
  'credentials',
  'session',
  'access_token ',
]

/** Where the secret is issued, by how an object or the headers of an answer are changed. */
const SLOTS: Readonly<
  Record<string, (canary: string, member: string) => { json?: object; header?: [string, string] }>
> = {
  member: (canary, member) => ({ json: { [member]: canary } }),
  'member below': (canary, member) => ({ json: { data: { list: [{ [member]: canary }] } } }),
  'list in a member': (canary) => ({ json: { client_secrets: [{ value: canary }] } }),
  'JSON in a text': (canary, member) => ({ json: { note: JSON.stringify({ [member]: canary }) } }),
  'private JSON Web Key': (canary) => ({ json: { jwk: { kty: 'oct', k: canary } } }),
  'query in a text': (canary) => ({
    json: { next: `https://x.example/?access_token=${encodeURIComponent(canary)}&a=1` },
  }),
  sentence: (canary) => ({ json: { error_description: `client_secret "${canary.replaceAll('"', '')}" was issued` } }),
  header: (canary) => ({ header: ['x-access-token', canary] }),
  cookie: (canary) => ({ header: ['set-cookie', `sid=${canary}; Path=/; HttpOnly`] }),
}

type Echo = (spelt: string, answer: Sent) => Sent
const json = (answer: Sent, value: unknown, status = answer.status): Sent => ({
  status,
  headers: typed(answer, 'application/json'),
  body: Buffer.from(JSON.stringify(value)),
})

/** How the secret is repeated: within the answer, or in place of it. */
const ECHOES: Readonly<Record<string, Echo>> = {
  'a member': (spelt, answer) => json(answer, { ...objectOf(answer), echo: spelt }),
  'a name': (spelt, answer) => json(answer, { ...objectOf(answer), [spelt]: 1 }),
  'an error': (spelt, answer) =>
    json(answer, { error: 'invalid_request', error_description: `got ${spelt} here` }, 400),
  'a page': (spelt, answer) => ({
    status: 500,
    headers: typed(answer, 'text/html'),
    body: Buffer.from(`<html><body><h1>Oops</h1><pre>at x(${spelt})\n</pre></body></html>`),
  }),
  'a text': (spelt, answer) => ({
    status: 502,
    headers: typed(answer, 'text/plain'),
    body: Buffer.from(`bad: ${spelt}`),
  }),
  'a header': (spelt, answer) => ({
    ...answer,
    headers: [...answer.headers, ['x-debug', spelt.replace(/[^\x21-\x7e]/g, ' ')]],
  }),
  'JSON that is cut': (spelt, answer) => ({
    status: answer.status,
    headers: typed(answer, 'application/json'),
    body: Buffer.from(`{"a": 1, "note": ${JSON.stringify(spelt)}, "b": [`),
  }),
}

/** What is odd about the answer beside. */
const SHAPES: Readonly<Record<string, (answer: Sent, chance: Chance) => Sent>> = {
  plain: (answer) => answer,
  deep: (answer, chance) => {
    const depth = 20 + chance.below(5000)
    return withBody(answer, `{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`)
  },
  long: (answer, chance) => withBody(answer, `{"long":"${'x'.repeat(1000 + chance.below(1_000_000))}",`),
  many: (answer, chance) => withBody(answer, `{"many":[${'1,'.repeat(chance.below(20_000))}1],`),
  'big numbers': (answer) => withBody(answer, '{"n":123456789012345678901234567890,"m":1e999,"z":-0,'),
  'repeated members': (answer) => withBody(answer, '{"a":1,"a":2,"__proto__":{"b":1},"constructor":3,'),
  latin1: (answer) => ({
    ...answer,
    headers: typed(answer, `${typeOf(answer)}; charset=iso-8859-1`),
    body: Buffer.from(answer.body.toString(), 'latin1'),
  }),
  'byte order mark': (answer) => ({ ...answer, body: Buffer.concat([Buffer.from('\ufeff'), answer.body]) }),
  gzip: (answer) => ({
    ...answer,
    headers: [...answer.headers, ['content-encoding', 'gzip']],
    body: gzipSync(answer.body),
  }),
  'UTF-16': (answer) => ({
    ...answer,
    headers: typed(answer, `${typeOf(answer)}; charset=utf-16`),
    body: Buffer.from(`\ufeff${answer.body}`, 'utf16le'),
  }),
  'gzip with a wrong checksum': (answer) => ({
    ...answer,
    headers: [...answer.headers, ['content-encoding', 'gzip']],
    body: damaged(gzipSync(answer.body)),
  }),
  'many secrets': (answer) =>
    withBody(answer, `{"many":[${Array.from({ length: 3000 }, (_, index) => `{"token":"x7Qd-${index}-Zp"}`).join()}],`),
  'as many secrets as members': (answer) =>
    withBody(
      answer,
      `{${Array.from({ length: 45_000 }, (_, index) => `"p${index}_secret":"x7Qd-${index}-ZpWm4"`).join()},`,
    ),
  'slots within each other': (answer) =>
    withBody(
      answer,
      `{"many":[${Array(100)
        .fill(`${'{"token":'.repeat(90)}"x7Qd-9-ZpWm4"${'}'.repeat(90)}`)
        .join()}],`,
    ),
  'a secret of megabytes': (answer, chance) =>
    withBody(answer, `{"hashed_secret":"${chance.bytes(32).toString('hex').repeat(100_000)}",`),
  'archives at every place': (answer) => withBody(answer, `{"packed":"${'H4sI'.repeat(50_000)}",`),
  'a coding that is none': (answer) => ({ ...answer, headers: [...answer.headers, ['content-encoding', 'br']] }),
  'another type': (answer, chance) => ({
    ...answer,
    headers: typed(answer, chance.of(['text/html', 'application/xml', 'image/png', 'nonsense', 'application/jwt'])),
  }),
  'many headers': (answer) => ({
    ...answer,
    headers: [
      ...answer.headers,
      ...Array.from({ length: 60 }, (_, index) => [`x-h${index}`, 'v'.repeat(100)] as const),
    ],
  }),
  'cut body': (answer) => rawOf(answer, (text) => text.subarray(0, text.length - 5)),
  'more than said': (answer) => rawOf(answer, (text) => Buffer.concat([text, Buffer.from('{"more":1}')])),
  'a header without a colon': (answer) => rawOf(answer, (text) => text, 'this is no header\r\n'),
  'a folded header': (answer) => rawOf(answer, (text) => text, 'x-a: b\r\n c\r\n'),
  'two lengths': (answer) => rawOf(answer, (text) => text, 'content-length: 3\r\n'),
  'no status line': () => ({
    status: 0,
    headers: [],
    body: Buffer.alloc(0),
    raw: Buffer.from('\r\n\r\nnonsense\r\n\r\n'),
  }),
  'nothing at all': () => ({ status: 0, headers: [], body: Buffer.alloc(0), raw: Buffer.alloc(0) }),
  'a chunk that is none': (answer) => ({
    ...answer,
    raw: Buffer.concat([
      Buffer.from(
        `HTTP/1.1 ${answer.status} X\r\ncontent-type: ${typeOf(answer)}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
      ),
      answer.body,
    ]),
  }),
}

const ALPHABETS: readonly ((chance: Chance) => string)[] = [
  (chance) => chance.bytes(24).toString('base64'),
  (chance) => chance.bytes(32).toString('base64url'),
  (chance) => chance.bytes(20).toString('hex'),
  (chance) =>
    chance
      .bytes(27)
      .toString('base64')
      .replace(/[A-Z]/g, (one) => (one < 'E' ? '&' : one)),
]

export function hostileAnswer(seed: string): Hostile {
  const chance = new Chance(seed)
  const canary = chance.of(ALPHABETS)(chance)
  const first = chance.below(OPERATIONS.length)
  const [issued, echoed] = [OPERATIONS[first], OPERATIONS[first + chance.below(OPERATIONS.length - first)]] as [
    string,
    string,
  ]
  const [slot, member] = [chance.of(Object.keys(SLOTS)), chance.of(MEMBERS)]
  const spelling = chance.of(Object.keys(SPELLINGS))
  // Without the token in these answers nobody can remove the client; and a secret that never arrives is none.
  const mustStay = ROTATING.includes(echoed) || echoed === issued
  const echo = chance.of(mustStay ? BESIDE : Object.keys(ECHOES))
  const shapes = Object.keys(SHAPES)
  const shape = chance.of(ROTATING.includes(echoed) ? shapes.filter((one) => !WITHOUT.includes(one)) : shapes)
  const change = (operation: string, answer: Sent): Sent | undefined => {
    let changed: Sent | undefined
    if (operation === issued) changed = withSlot(answer, slot, canary, member)
    if (operation === echoed) {
      const spelt = SPELLINGS[spelling]?.(canary) ?? ''
      changed = ECHOES[echo]?.(spelt, changed ?? answer)
      changed = changed && SHAPES[shape]?.(changed, chance)
    }
    return changed
  }
  const name = `${slot} (${member}) of ${issued}; ${spelling} in ${echo} of ${echoed}; ${shape}`
  return { name, canary, issued, echoed, change }
}

function withSlot(answer: Sent, slot: string, canary: string, member: string): Sent {
  const { json: members, header } = SLOTS[slot]?.(canary, member) ?? {}
  if (header !== undefined) return { ...answer, headers: [...answer.headers, header] }
  return json(answer, { ...objectOf(answer), ...members })
}

function objectOf({ body }: Sent): object {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value }
  } catch {
    return {}
  }
}

function typed({ headers }: Sent, type: string): (readonly [string, string])[] {
  return [...headers.filter(([name]) => name !== 'content-type'), ['content-type', type]]
}

/** Its checksum and its size are wrong (RFC 1952 section 2.3.1). */
export function damaged(gzip: Buffer): Buffer {
  return Buffer.from(gzip).fill(1, gzip.length - 8)
}

function typeOf({ headers }: Sent): string {
  return headers.find(([name]) => name === 'content-type')?.[1] ?? 'application/json'
}

/** `start` is the beginning of an object, which the members of the answer follow. */
function withBody(answer: Sent, start: string): Sent {
  const text = answer.body.toString()
  if (!text.startsWith('{') || text.startsWith('{}')) return answer
  return { ...answer, body: Buffer.from(start + text.slice(1)) }
}

function rawOf(answer: Sent, body: (text: Buffer) => Buffer, headers = ''): Sent {
  const lines = answer.headers
    .filter(([name]) => name !== 'content-length' && name !== 'transfer-encoding')
    .map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${answer.status} X\r\n${headers}${lines.join('')}content-length: ${answer.body.length}\r\n\r\n`
  return { ...answer, raw: Buffer.concat([Buffer.from(head), body(answer.body)]) }
}
