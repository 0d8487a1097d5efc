/** The JWTs of a record: each distinct one once, header and claims decoded, without its signature. */
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

export interface Tokens {
  readonly all: readonly Token[]
  /** those that occur in a text, without repetition */
  in(text: string): readonly Token[]
  /** the text with each JWT cut to its beginning and what stands for its signature */
  shortened(text: string): string
}

/** A signature is a mask; one that is none is a text that only looks like a JWT, or a record of another tool. */
const JWT =
  /(?:"(?<member>\w+)":\s*"|(?<scheme>Bearer )|\b(?<field>\w+)[=:]\s*)?(?<jwt>eyJ[\w-]{4,}\.[\w-]{2,}\.(?:\[[\w-]+#[0-9a-f]{8}\]|[\w-]*))/g

const UNNAMED = 'JWT'

export function tokensOf(record: RunRecord): Tokens {
  const known = new Map<string, Token>()
  const find = (text: string): readonly Token[] => [
    ...new Set(
      [...text.matchAll(JWT)].flatMap(({ groups = {} }) => {
        const { jwt = '', member, scheme, field } = groups
        const name = member ?? field ?? (scheme === undefined ? UNNAMED : 'bearer token')
        const seen = known.get(unsigned(jwt))
        // A name found later is better than none.
        const token =
          seen === undefined ? tokenOf(jwt, name, known.size + 1) : seen.name === UNNAMED ? { ...seen, name } : seen
        if (token !== undefined) known.set(unsigned(jwt), token)
        return token ?? []
      }),
    ),
  ]
  for (const { steps } of record.workflows) {
    for (const { exchanges } of steps)
      for (const exchange of exchanges) for (const text of textsOf(exchange)) find(text)
  }
  return {
    all: [...known.values()],
    in: find,
    shortened: (text) =>
      text.replace(JWT, (whole, ...rest) => {
        const { jwt = '' } = rest.at(-1) as Record<string, string>
        const [header = '', , signature = ''] = jwt.split('.')
        const mask = signature.startsWith('[') ? signature : '[signature]'
        return `${whole.slice(0, whole.length - jwt.length)}${header.slice(0, 10)}….${mask}`
      }),
  }
}

export function textsOf({ request, response }: Exchange): string[] {
  const headers = [...request.headers, ...(response?.headers ?? [])].map(([name, value]) => `${name}: ${value}`)
  return [...headers, request.body.text ?? '', response?.body.text ?? '']
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

function unsigned(jwt: string): string {
  return jwt.slice(0, jwt.lastIndexOf('.'))
}
