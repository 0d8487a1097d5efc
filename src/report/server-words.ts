/**
 * What a server says of its refusal, in its own words: the members of the error bodies that Thredd's servers and those in front
 * of them are known to send, and of others of the same kind. Servers differ in them, and any member may have any type. Pure.
 */
import type { Exchange } from '../record/index.ts'

export interface ServerWords {
  readonly status: number
  readonly error?: string | undefined
  readonly description?: string | undefined
  readonly hint?: string | undefined
  /** a header by which the server's operators find the call, and its value */
  readonly trace?: string | undefined
}

/** Each with the error bodies that have it; the first that is there counts. */
const ERROR = ['error', 'code', 'errorCode', 'error_code']
const DESCRIPTION = ['error_description', 'errorDescription', 'detail', 'message', 'Message', 'title', 'description']
const HINT = ['error_hint', 'cause', 'errors', 'validationErrors', 'errorDetails', 'details']
/** The authorization server's own, then what other servers, gateways and proxies send. */
const TRACE = [
  'x-trace-id',
  'x-fapi-interaction-id',
  'x-correlation-id',
  'x-request-id',
  'x-amzn-requestid',
  'x-amzn-trace-id',
  'traceparent',
  'cf-ray',
]

/** What was said in an answer that is no success; undefined for a success. */
export function wordsOf(response: NonNullable<Exchange['response']>): ServerWords | undefined {
  const { status, headers, body } = response
  if (status < 400) return undefined
  const trace = TRACE.flatMap((wanted) => headers.find(([name]) => name.toLowerCase() === wanted) ?? [])
  const [name, value] = trace
  const members = membersOf(body.text ?? '') ?? ofChallenge(headers)
  return {
    status,
    ...(members === undefined ? { description: prose(body.text ?? '') } : ofMembers(members)),
    trace: name === undefined ? undefined : `${name} ${clipped(value ?? '')}`,
  }
}

/** In one line: the status, the error, then what explains it in quotes. */
export function inOneLine({ status, error, description, hint, trace }: ServerWords): string {
  const parts = [[String(status), error, description && `“${description}”`], [hint && `hint “${hint}”`], [trace]].map(
    (words) => words.filter((word) => word !== undefined && word !== '').join(' '),
  )
  return parts.filter((part) => part !== '').join(' · ')
}

type Members = Readonly<Record<string, unknown>>

function ofMembers(members: Members): Omit<ServerWords, 'status' | 'trace'> {
  const error = firstOf(members, ERROR)
  const inner = isObject(members.error) ? ofMembers(members.error) : undefined
  return {
    error: inner?.error ?? error,
    description: firstOf(members, DESCRIPTION) ?? inner?.description,
    hint: firstOf(members, HINT) ?? inner?.hint,
  }
}

function firstOf(members: Members, names: readonly string[]): string | undefined {
  for (const name of names) {
    const text = Object.hasOwn(members, name) ? textOf(members[name]) : undefined
    if (text !== undefined) return text
  }
  return undefined
}

/** Undefined for what says nothing: no value, an empty text, list or object. */
function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined || value === '') return undefined
  if (typeof value === 'string') return clipped(value)
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value) && value.every((one) => typeof one === 'string'))
    return clipped(value.join('; ')) || undefined
  return Object.keys(value).length === 0 ? undefined : clipped(JSON.stringify(value))
}

function membersOf(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'string') return { message: value }
    return isObject(value) ? value : Array.isArray(value) ? ofList(value) : undefined
  } catch {
    return undefined
  }
}

/** A list of texts, or its first object with words. A list of anything else may be data: what came, and no hint of the server. */
function ofList(list: readonly unknown[]): Members {
  if (list.length === 0 || list.every((one) => typeof one === 'string')) return { errors: list }
  const known = [...ERROR, ...DESCRIPTION, ...HINT]
  return (
    list.filter(isObject).find((one) => known.some((name) => Object.hasOwn(one, name))) ?? {
      message: JSON.stringify(list),
    }
  )
}

/** Of an answer without a body: error and error_description of WWW-Authenticate (RFC 6750 section 3). */
function ofChallenge(headers: NonNullable<Exchange['response']>['headers']): Members | undefined {
  const challenge = headers.find(([name]) => name.toLowerCase() === 'www-authenticate')?.[1] ?? ''
  const found = [...challenge.matchAll(/\b(error|error_description)="([^"]*)"/g)]
  return found.length === 0 ? undefined : Object.fromEntries(found.map(([, name, value]) => [name, value]))
}

/** The words of a page or a text: its title, else its beginning without tags. */
function prose(whole: string): string | undefined {
  const text = whole.slice(0, MOST_READ)
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1]
  const words = (title ?? text.replace(/<(style|script)\b[\s\S]*?<\/\1>|<[^>]*>/gi, ' ')).replace(/\s+/g, ' ').trim()
  return words === '' ? undefined : clipped(words)
}

/** In characters. */
const LONGEST = 400
const MOST_READ = 20_000

function clipped(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST).toWellFormed()}…`
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
