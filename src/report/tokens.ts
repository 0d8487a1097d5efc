/**
 * Collects the JWTs of a run: each different one once, header and claims decoded, without its signature. Only the first few
 * hundred are kept; the others are counted.
 */
import { hash } from 'node:crypto'
import { decode } from '../identity/jwt.ts'
import type { Exchange, StepRecord } from '../record/index.ts'

export interface Token {
  /** from 1, in the order in which they were first seen */
  readonly number: number
  /** the member or header it was found in */
  readonly name: string
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/** An answer of the directory that holds a software statement. */
interface Statement {
  readonly token: Token
  /** when the request was sent */
  readonly at: string
  /** SHA-256 of the answer's body */
  readonly hash: string | undefined
}

/** A JWT as it stands in a record: its signature is replaced by a mask, or, in a record of another tool, may be there. */
const JWT =
  /(?<=(?:"(?<member>\w+)":\s*"|(?<scheme>Bearer )|\b(?<field>\w+)[=:]\s*|))(?<jwt>eyJ[\w-]{4,}\.[\w-]{2,}\.(?:\[[\w-]+#[0-9a-f]{8}\]|[\w-]*))/g

/** how every JWT begins: `{"` in base64url */
const BEGINNING = 'eyJ'
const UNNAMED = 'JWT'

const MOST_TOKENS = 500
const MOST_STATEMENTS = 50

export class Tokens {
  readonly statements: Statement[] = []
  /** by a hash of the JWT without its signature; undefined for those that are only counted */
  readonly #known = new Map<string, Token | undefined>()
  #answers = 0

  add(exchange: Exchange, { operation }: StepRecord): void {
    const { response, timing } = exchange
    for (const text of textsOf(exchange)) this.in(text)
    if (operation?.operationId !== 'getSoftwareStatementAssertion') return
    const [token] = this.in(response?.body.text ?? '')
    if (token === undefined) return
    this.#answers += 1
    if (this.#answers <= MOST_STATEMENTS)
      this.statements.push({ token, at: timing.startedAt, hash: response?.body.sha256 })
  }

  get all(): readonly Token[] {
    return [...this.#known.values()].filter((one) => one !== undefined)
  }

  /** how many more there were */
  get more(): number {
    return this.#known.size - this.all.length
  }

  get moreStatements(): number {
    return this.#answers - this.statements.length
  }

  /** The JWTs in a text, each once. */
  in(text: string): readonly Token[] {
    if (!text.includes(BEGINNING)) return []
    const tokens = Array.from(text.matchAll(JWT), ({ groups = {} }) => this.#token(groups))
    return [...new Set(tokens.filter((one) => one !== undefined))]
  }

  /** The text with each JWT shortened to its beginning and the mask of its signature. */
  shortened(text: string): string {
    return text.includes(BEGINNING) ? text.replace(JWT, shortenedOne) : text
  }

  #token({ jwt = '', member, scheme, field }: Readonly<Record<string, string | undefined>>): Token | undefined {
    const name = member ?? field ?? (scheme === undefined ? UNNAMED : 'bearer token')
    // A hash, since a substring as a key would keep the whole text in memory.
    const key = hash('sha1', jwt.slice(0, jwt.lastIndexOf('.')), 'base64')
    const seen = this.#known.get(key)
    if (seen === undefined && this.#known.has(key)) return undefined
    const number = this.#known.size + 1
    const isCounted = seen === undefined && number > MOST_TOKENS
    // A JWT that was first seen without a name gets the name under which it is seen later.
    const known = seen?.name === UNNAMED ? { ...seen, name } : seen
    const token = isCounted ? undefined : (known ?? tokenOf(jwt, name, number))
    if (token !== undefined || isCounted) this.#known.set(key, token)
    return token
  }
}

export function textsOf({ request, response }: Exchange): string[] {
  const headers = [...request.headers, ...(response?.headers ?? [])].map(([name, value]) => `${name}: ${value}`)
  return [...headers, request.body.text ?? '', response?.body.text ?? '']
}

function shortenedOne(jwt: string): string {
  const [header = '', , signature = ''] = jwt.split('.')
  const mask = signature.startsWith('[') ? signature : '[signature]'
  return `${header.slice(0, 10)}….${mask}`
}

function tokenOf(jwt: string, name: string, number: number): Token | undefined {
  const decoded = decode(jwt)
  if (decoded === undefined) return undefined
  return { number, name, header: withoutSignatures(decoded.header), claims: withoutSignatures(decoded.payload) }
}

/** A claim may hold another JWT. */
function withoutSignatures<T>(value: T): T {
  const text = JSON.stringify(value).replace(/(eyJ[\w-]{4,}\.[\w-]+\.)[\w-]{16,}/g, '$1[signature]')
  return JSON.parse(text) as T
}
