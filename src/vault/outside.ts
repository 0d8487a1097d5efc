/** Registrations as people keep them: variables and saved answers of Postman, a .env file, a saved answer by itself. Pure. */
import { enumerated, fail } from '../record/errors.ts'
import { isObject, text } from './answer.ts'

/** A registration in a file, or as much of one as stands together there. */
export interface Found {
  /** where in the file, in words; empty where it is the file itself */
  readonly place: string
  readonly clientId: string | undefined
  readonly token: string | undefined
  readonly uri: string | undefined
  /** the server's answer with all its members, where that was saved */
  readonly answer?: Readonly<Record<string, unknown>> | undefined
}

type Member = 'clientId' | 'token' | 'uri'

/**
 * How the members of a registration are spelt by those who keep them: in any case, with or without what separates the words
 * and a leading THREDD_. `client_uri` is a home page (RFC 7591 §2), and `registration_endpoint` is no client's own address.
 */
const SPELLINGS: Readonly<Record<Member, readonly string[]>> = {
  clientId: ['clientid', 'oauthclientid', 'dcrclientid'],
  token: ['registrationaccesstoken', 'registrationtoken', 'regaccesstoken', 'dcraccesstoken', 'rat'],
  uri: ['registrationclienturi', 'registrationclienturl', 'registrationuri', 'regclienturi', 'regclienturl'],
}

/** As RFC 7591 §3.2.1 spells them. */
const STANDARD: Readonly<Record<Member, string>> = {
  clientId: 'client_id',
  token: 'registration_access_token',
  uri: 'registration_client_uri',
}

const MEMBER_OF = new Map(
  (Object.keys(SPELLINGS) as Member[]).flatMap((member) => SPELLINGS[member].map((name) => [name, member] as const)),
)

/** `dotenv` reads NAME=value lines. @throws VAULT_UNREADABLE where one set of variables holds two values for one member */
export function registrationsIn(
  content: string,
  { name, dotenv }: { readonly name: string; readonly dotenv: (text: string) => Readonly<Record<string, string>> },
): readonly Found[] {
  const at = { file: name, place: '', clientId: undefined }
  const plain = content.replace(/^\uFEFF/, '')
  const json = parsed(plain)
  if (json !== undefined) return inJson(json, at, 0)
  const variables = Object.entries(dotenv(plain)).map(([key, value]) => ({ key, value }))
  return inVariables(variables, at)
}

interface Place {
  /** name of the file */
  readonly file: string
  readonly place: string
  /** that the objects around it name */
  readonly clientId: string | undefined
}

/** No file that people keep is nested deeper. */
const DEEPEST = 100

function inJson(value: unknown, at: Place, depth: number): readonly Found[] {
  if (depth > DEEPEST) return []
  if (Array.isArray(value)) return value.flatMap((one) => inJson(one, at, depth + 1))
  if (!isObject(value)) return []
  const [own] = inVariables(
    Object.entries(value).map(([key, one]) => ({ key, value: one })),
    at,
  )
  if (own !== undefined) return [{ ...own, answer: hasStandardNames(value) ? value : undefined }]
  const clientId = text(value.client_id) ?? at.clientId
  return Object.entries(value).flatMap(([member, one]) => {
    const inside = { ...at, clientId, place: within(at.place, value.name) }
    if (VARIABLES.has(member) && Array.isArray(one)) return inVariables(one.filter(isEnabled), inside)
    if (member === 'response' && Array.isArray(one)) return one.flatMap((saved) => inSavedAnswer(saved, inside, depth))
    return inJson(one, inside, depth + 1)
  })
}

/** Of an environment or globals (values), of a collection, a folder or a request (variable). */
const VARIABLES = new Set(['values', 'variable', 'variables'])

/** https://schema.postman.com/collection/json/v2.1.0/draft-07/docs/index.html: an example that was saved with a request */
function inSavedAnswer(saved: unknown, at: Place, depth: number): readonly Found[] {
  const body = isObject(saved) ? parsed(text(saved.body) ?? '') : undefined
  const name = isObject(saved) ? text(saved.name) : undefined
  return inJson(body, { ...at, place: within(at.place, name === undefined ? 'saved answer' : name) }, depth + 1)
}

function inVariables(variables: readonly unknown[], { file, place, clientId }: Place): readonly Found[] {
  const values = new Map<Member, { readonly name: string; readonly value: string }[]>()
  for (const variable of variables.filter(isObject)) {
    const name = text(variable.key) ?? ''
    const value = text(variable.value)?.trim() ?? ''
    const member = memberOf(name)
    // A reference to another variable is no value.
    if (member === undefined || value === '' || /^\{\{.*\}\}$/.test(value)) continue
    const others = values.get(member) ?? []
    if (!others.some((other) => other.value === value)) values.set(member, [...others, { name, value }])
  }
  const value = (member: Member) => values.get(member)?.[0]?.value
  const [token, uri] = [value('token'), value('uri')]
  if (token === undefined && uri === undefined) return []
  for (const [member, given] of values) {
    if (given.length === 1) continue
    fail({
      code: 'VAULT_UNREADABLE',
      message: `import "${file}" holds ${given.length} values of ${STANDARD[member]}${place === '' ? '' : ` in ${place}`}`,
      expected: 'one',
      found: enumerated(given.map(({ name }) => `"${name}"`)),
      hint: 'disable or remove those that are old, and import again',
    })
  }
  return [{ place, clientId: value('clientId') ?? clientId, token, uri }]
}

/** The member of a registration, as RFC 7591 spells it, that people keep under this name. */
export function registrationMember(name: string): string | undefined {
  const member = memberOf(name)
  return member && STANDARD[member]
}

function memberOf(name: string): Member | undefined {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return MEMBER_OF.get(plain) ?? MEMBER_OF.get(plain.replace(/^thredd/, ''))
}

function isEnabled(variable: unknown): boolean {
  return isObject(variable) && variable.enabled !== false && variable.disabled !== true
}

function hasStandardNames(value: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(value, STANDARD.token) || Object.hasOwn(value, STANDARD.uri)
}

function within(place: string, name: unknown): string {
  const own = text(name)
  if (own === undefined) return place
  return place === '' ? `"${own}"` : `${place} › "${own}"`
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
