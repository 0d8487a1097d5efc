/**
 * The JWTs of a record: each distinct one once, header and claims decoded, without its signature. Of very many the first
 * are kept.
 */
import { hash } from 'node:crypto'
import { decode } from '../../jwt.ts'
import type { Exchange, RunRecord } from '../../record.ts'

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

export interface Tokens {
  readonly all: readonly Token[]
  /** how many others there are */
  readonly more: number
  readonly statements: readonly Statement[]
  readonly moreStatements: number
  /** those that occur in a text, without repetition */
  in(text: string): readonly Token[]
  /** the text with each JWT cut to its beginning and what stands for its signature */
  shortened(text: string): string
}

/** A signature is a mask; one that is none is a text that only looks like a JWT, or a record of another tool. */
const JWT =
  /(?<=(?:"(?<member>\w+)":\s*"|(?<scheme>Bearer )|\b(?<field>\w+)[=:]\s*|))(?<jwt>eyJ[\w-]{4,}\.[\w-]{2,}\.(?:\[[\w-]+#[0-9a-f]{8}\]|[\w-]*))/g

/** of every JWT: a JSON object in base64url */
const BEGINNING = 'eyJ'
const UNNAMED = 'JWT'

const MOST_TOKENS = 500
const MOST_STATEMENTS = 50

export function tokensOf(record: RunRecord): Tokens {
  const known = new Map<string, Token | undefined>()
  const tokenIn = ({ jwt = '', member, scheme, field }: Readonly<Record<string, string | undefined>>) => {
    const name = member ?? field ?? (scheme === undefined ? UNNAMED : 'bearer token')
    // Not the text itself: a part of a text keeps the whole of it in memory.
    const key = hash('sha1', jwt.slice(0, jwt.lastIndexOf('.')), 'base64')
    const seen = known.get(key)
    if (seen === undefined && known.has(key)) return undefined
    const number = known.size + 1
    const fresh = () => (number > MOST_TOKENS ? undefined : tokenOf(jwt, name, number))
    // A name found later is better than none.
    const token = seen === undefined ? fresh() : seen.name === UNNAMED ? { ...seen, name } : seen
    if (token !== undefined || number > MOST_TOKENS) known.set(key, token)
    return token
  }
  const find = (text: string) => {
    if (!text.includes(BEGINNING)) return []
    const tokens = Array.from(text.matchAll(JWT), ({ groups = {} }) => tokenIn(groups))
    return [...new Set(tokens.filter((one) => one !== undefined))]
  }
  const statements: Statement[] = []
  let answers = 0
  for (const { steps } of record.workflows) {
    for (const { operation, exchanges } of steps) {
      for (const exchange of exchanges) {
        for (const text of textsOf(exchange)) find(text)
        if (operation?.operationId !== 'getSoftwareStatementAssertion') continue
        const { response, timing } = exchange
        const [token] = find(response?.body.text ?? '')
        if (token === undefined) continue
        answers += 1
        if (answers <= MOST_STATEMENTS) statements.push({ token, at: timing.startedAt, hash: response?.body.sha256 })
      }
    }
  }
  const all = [...known.values()].filter((one) => one !== undefined)
  return {
    all,
    more: known.size - all.length,
    statements,
    moreStatements: answers - statements.length,
    in: find,
    shortened: (text) => (text.includes(BEGINNING) ? text.replace(JWT, shortenedOne) : text),
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
