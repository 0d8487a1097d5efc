/**
 * What a registration or an update asked for, and what the server registered (RFC 7591 section 3.2.1 lets it replace values).
 * Every member that the request set is compared; where a rule is about it, it is judged. Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { CheckRecord } from '../record/index.ts'
import { isLargerThan, withTexts } from '../record/json.ts'
import { LIMITS } from '../record/limits.ts'
import type { Redactor } from '../secret/index.ts'
import { inShort, shown } from './terms.ts'

/** A member that came otherwise than it was asked for. `came` is undefined where the answer has no such member. */
interface Difference {
  readonly member: string
  readonly asked: unknown
  readonly came: unknown
}

interface Rule {
  /** names of members */
  readonly members: RegExp
  readonly title: (member: string) => string
  readonly holds: (asked: unknown, came: unknown) => boolean
  readonly clauses: readonly string[]
}

/** The first that names the member counts. Scopes have a check of their own, which never fails. */
export const RULES: readonly Rule[] = [
  {
    members: /^grant_types$/,
    title: () => 'the registered grant types are those asked for',
    holds: isSame,
    clauses: ['THREDD-DCR-3.3.2', 'RFC7591-2'],
  },
  {
    members: /^token_endpoint_auth_method$/,
    title: () => 'the registered authentication method is the one asked for',
    holds: isSame,
    clauses: ['RFC7591-2'],
  },
  {
    members: /^token_endpoint_auth_signing_alg$/,
    title: () => 'the registered algorithm of client assertions is the one asked for',
    // The server of the documented answer leaves it open with an empty text.
    holds: (asked, came) => came === '' || isSame(asked, came),
    clauses: ['RFC7591-2'],
  },
  {
    members: /_alg$/,
    title: (member) => `the registered ${member} is not weaker than the one asked for`,
    holds: (asked, came) => isSame(asked, came) || !isWeak(came),
    clauses: ['RFC8725-3.2'],
  },
  {
    members: /^application_type$/,
    title: () => 'the registered application type is the one asked for',
    holds: isSame,
    clauses: ['THREDD-DCR-3.3.2'],
  },
  {
    members: /^tls_client_certificate_bound_access_tokens$/,
    title: () => 'access tokens are bound to the certificate as asked for',
    holds: isSame,
    clauses: ['RFC8705-3.4'],
  },
  {
    members: /^software_statement$/,
    title: () => 'the software statement comes back as it was sent',
    holds: isSame,
    clauses: ['RFC7591-3.2.1'],
  },
]

/** No signature, one with the client secret, or any algorithm. */
function isWeak(algorithm: unknown): boolean {
  return typeof algorithm !== 'string' || /^(?:none|any|HS\d+)$/i.test(algorithm)
}

export interface Comparison {
  /** redacted */
  readonly differences: readonly Difference[]
  readonly checks: readonly CheckRecord[]
}

/** `except` are members of which the request has another value on purpose: they are not judged. Undefined where there is nothing to compare. */
export function compareAsked(
  request: unknown,
  response: unknown,
  { except, redactor }: { readonly except: ReadonlySet<string>; readonly redactor: Redactor },
): Comparison | undefined {
  if (!isObject(request) || !isObject(response)) return undefined
  const rows = Object.entries(request)
    // RFC 7592 section 2.2: null means that the member is left out.
    .filter(([, asked]) => asked !== null && asked !== undefined)
    .map(([member, asked]): Difference => ({ member, asked, came: own(response, member) }))
  return {
    differences: rows
      .filter(({ member, asked, came }) => !isSame(...ofMember(member, asked, came)))
      .map((row) => redacted(row, redactor)),
    checks: rows.filter(({ member }) => !except.has(member)).flatMap((row) => judged(row, redactor) ?? []),
  }
}

/** `scope` is a text of words in any order (RFC 6749 section 3.3). */
function ofMember(member: string, asked: unknown, came: unknown): [unknown, unknown] {
  const words = (value: unknown) => (typeof value === 'string' ? value.split(' ') : value)
  return member === 'scope' ? [words(asked), words(came)] : [asked, came]
}

/** Of the comparison only what no other check has found already: a member is named once. */
export function notSaidYet(compared: readonly CheckRecord[], others: readonly CheckRecord[]): readonly CheckRecord[] {
  const said = others.flatMap(({ status, member }) => (status === 'pass' || member === undefined ? [] : [member]))
  return compared.filter(({ member = '' }) => !said.some((one) => one === member || one.startsWith(`${member}[`)))
}

function judged({ member, asked, came }: Difference, redactor: Redactor): CheckRecord | undefined {
  const rule = RULES.find(({ members }) => members.test(member))
  if (rule === undefined) return undefined
  // An answer that leaves a member out does not say what was registered.
  const status = came === undefined ? 'warn' : rule.holds(asked, came) ? 'pass' : 'fail'
  return {
    id: `asked ${member}`,
    status,
    level: 'must',
    clauses: [...rule.clauses],
    title: rule.title(member),
    member,
    expected: shown(asked, member, redactor),
    actual: came === undefined ? 'no such member' : shown(came, member, redactor),
  }
}

function redacted({ member, asked, came }: Difference, redactor: Redactor): Difference {
  const inSlot = (value: unknown): unknown =>
    isLargerThan(value, LIMITS.quoted.value) ? inShort(value) : withTexts(redactor.value({ [member]: value })[member])
  return { member: redactor.text(member), asked: inSlot(asked), came: inSlot(came) }
}

/** Lists without their order; one text is the list of it, as the documented request and answer have `response_types`. */
function isSame(asked: unknown, came: unknown): boolean {
  if (Array.isArray(asked) !== Array.isArray(came)) return isSame([asked].flat(), [came].flat())
  if (!Array.isArray(asked) || !Array.isArray(came)) return isDeepStrictEqual(asked, came)
  const [a, b] = [asked, came].map((list) => [...new Set(list.map((item) => JSON.stringify(item)))].sort())
  return isDeepStrictEqual(a, b)
}

/** In seconds. RFC 6750 section 5.3 advises an hour or less; that a day is the most is our own rule. */
const LIFETIME = { advised: 3600, most: 86_400 } as const

/** Judges the life of an access token; undefined where the answer is none. */
export function lifetimeCheck(response: unknown): CheckRecord | undefined {
  if (!isObject(response) || typeof response.access_token !== 'string') return undefined
  const seconds = response.expires_in
  if (typeof seconds !== 'number') return undefined
  return {
    id: 'lifetime',
    status: seconds > LIFETIME.most ? 'fail' : seconds > LIFETIME.advised ? 'warn' : 'pass',
    level: seconds > LIFETIME.most ? 'must' : 'should',
    clauses: ['RFC6750-5.3'],
    title: 'the access token is short-lived',
    member: 'expires_in',
    expected: `at most ${seconds > LIFETIME.most ? LIFETIME.most : LIFETIME.advised} seconds`,
    actual: `${seconds} seconds`,
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined
}
