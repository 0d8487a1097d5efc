/**
 * The JWTs of a run: each distinct one once, header and claims decoded, without its signature. Of very many the first
 * are kept.
 */
import { hash } from 'node:crypto'
import { decode } from '../../identity/jwt.ts'
import type { Exchange, StepRecord } from '../../record/index.ts'

export interface Token {
  /** counts from 1, in order of occurrence */
  readonly number: number
  /** the member or header it was found in */
  readonly name: string
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/** An answer of the directory with a software statement. */
interface Statement {
  readonly token: Token
  /** when it was asked for */
  readonly at: string
  /** of the answer's bytes */
  readonly hash: string | undefined
}

/** A signature is a mask; one that is none is a text that only looks like a JWT, or a record of another tool. */
const JWT =
  /(?<=(?:"(?<member>\w+)":\s*"|(?<scheme>Bearer )|\b(?<field>\w+)[=:]\s*|))(?<jwt>eyJ[\w-]{4,}\.[\w-]{2,}\.(?:\[[\w-]+#[0-9a-f]{8}\]|[\w-]*))/g

/** of every JWT: a JSON object in base64url */
const BEGINNING = 'eyJ'
const UNNAMED = 'JWT'

const MOST_TOKENS = 500
const MOST_STATEMENTS = 50

export class Tokens {
  readonly statements: Statement[] = []
  /** by a hash of the text without its signature; of those that are only counted nothing else is known */
  readonly #known = new Map<string, Token | undefined>()
  #answers = 0

  add({ operation }: StepRecord, exchange: Exchange): void {
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

  /** how many others there are */
  get more(): number {
    return this.#known.size - this.all.length
  }

  get moreStatements(): number {
    return this.#answers - this.statements.length
  }

  /** Those that occur in a text, without repetition. */
  in(text: string): readonly Token[] {
    if (!text.includes(BEGINNING)) return []
    const tokens = Array.from(text.matchAll(JWT), ({ groups = {} }) => this.#token(groups))
    return [...new Set(tokens.filter((one) => one !== undefined))]
  }

  /** The text with each JWT cut to its beginning and what stands for its signature. */
  shortened(text: string): string {
    return text.includes(BEGINNING) ? text.replace(JWT, shortenedOne) : text
  }

  #token({ jwt = '', member, scheme, field }: Readonly<Record<string, string | undefined>>): Token | undefined {
    const name = member ?? field ?? (scheme === undefined ? UNNAMED : 'bearer token')
    // Not the text itself: a part of a text keeps the whole of it in memory.
    const key = hash('sha1', jwt.slice(0, jwt.lastIndexOf('.')), 'base64')
    const seen = this.#known.get(key)
    if (seen === undefined && this.#known.has(key)) return undefined
    const number = this.#known.size + 1
    const isCounted = seen === undefined && number > MOST_TOKENS
    // A name found later is better than none.
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

/** One statement may carry another. */
function withoutSignatures<T>(value: T): T {
  const text = JSON.stringify(value).replace(/(eyJ[\w-]{4,}\.[\w-]+\.)[\w-]{16,}/g, '$1[signature]')
  return JSON.parse(text) as T
}
