/** What an answer says that was kept as it came. Worked out when it is read, so that a mistake in reading it loses nothing. */
import { sha256base64url } from '../identity/jwt.ts'
import { readable } from '../record/coding.ts'
import { readJson, withTexts } from '../record/json.ts'
import { onceForEach } from '../record/once.ts'
import { isPage } from '../record/page.ts'
import type { AnswerEvent } from './event.ts'

/** An answer as it came, before it is parsed or judged. */
export interface RawAnswer {
  readonly status: number
  /** the raw text, or the raw bytes */
  readonly body: string | Uint8Array
  /** Content-Encoding, where the body was not decoded */
  readonly coding?: string | undefined
  /** the body is a whole message that no HTTP parser took: where its own body begins, and whether that comes in chunks */
  readonly message?: AnswerEvent['message']
}

type Raw = Pick<AnswerEvent, 'body' | 'encoding' | 'coding' | 'message'>

/** The two members that cannot be fetched again, and the client they belong to, where the answer has them in usable form. */
export interface Credentials {
  /** the object that holds them, at whatever depth, else the whole answer; undefined where it is no JSON object */
  readonly members: Readonly<Record<string, unknown>> | undefined
  readonly clientId: string | undefined
  readonly softwareId: string | undefined
  readonly token: string | undefined
  readonly uri: string | undefined
}

/** The bytes of an answer: their text, or in base64 where they are no UTF-8. Nothing is parsed or decoded. */
export function rawOf({ body, coding, message }: Omit<RawAnswer, 'status'>): Raw {
  const rest = { ...(coding === undefined ? {} : { coding }), ...(message === undefined ? {} : { message }) }
  if (typeof body === 'string') return { body, ...rest }
  try {
    return { body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body), ...rest }
  } catch {
    return { body: Buffer.from(body).toString('base64'), encoding: 'base64', ...rest }
  }
}

/** Generous: an answer that is cut, wrapped or cannot be decoded may still hold the only copy of the token. */
export function isRegistrationAnswer(answer: Raw & { readonly status: number }): boolean {
  if (answer.status < 200 || answer.status > 299) return false
  const { token, uri, members } = credentialsIn(answer)
  if (token !== undefined || uri !== undefined) return true
  if (members !== undefined && MEMBERS.some((name) => Object.hasOwn(members, name))) return true
  const { text, isWhole } = readableIn(answer)
  return isWhole ? namesMember(text) : answer.body !== ''
}

/**
 * Whether an answer to a DELETE says that the client is deleted: 204 does (RFC 7592 2.3), and so does any other success of a
 * server that keeps less to the RFC, but for 202, which says that it is still to come (RFC 9110 15.3.3), and a page for people.
 */
export function provesDeletion(answer: Raw & { readonly status: number }): boolean {
  const { status } = answer
  if (status === 204) return true
  if (status < 200 || status > 299 || status === 202 || isRegistrationAnswer(answer)) return false
  return !isPage([], readableIn(answer).text)
}

/** With its headers. */
export type SeenAnswer = RawAnswer & { readonly headers: readonly (readonly [name: string, value: string])[] }

export function isSeenAsPage({ headers, ...answer }: SeenAnswer): boolean {
  return isPage(headers, readableIn(rawOf(answer)).text)
}

/**
 * Whether the registration endpoint itself says that it does not know the token or the client: 401 with a challenge for a
 * bearer token (RFC 7592 2.1, RFC 6750 3) or with an OAuth error, or 404 with one, as the product documents it. A
 * firewall or a load balancer in front of it answers with the same status, but in another form; 403 is for a client that is there.
 */
export function deniesToken(answer: SeenAnswer): boolean {
  const { status, headers } = answer
  if ((status !== 401 && status !== 404) || isSeenAsPage(answer)) return false
  const isChallenge = headers.some(
    ([name, value]) => name.toLowerCase() === 'www-authenticate' && /(?:^|,)\s*bearer(?:[\s,]|$)/i.test(value),
  )
  if (status === 401 && isChallenge) return true
  const root = jsonValue(readableIn(rawOf(answer)).text)
  const error = isObject(root) ? text(root.error) : undefined
  // The name of a status is what gateways write there.
  return error !== undefined && !/^(?:unauthorized|not found)$/i.test(error)
}

/** What a kept answer says; each look at a client asks for it again. */
export const credentialsIn = onceForEach((answer: Raw): Credentials => {
  const { text: whole } = readableIn(answer)
  const root = jsonValue(whole)
  const place = holderIn(root) ?? (isObject(root) ? { members: root, clientId: undefined } : undefined)
  const members = place?.members ?? membersIn(whole)
  return {
    members,
    clientId: text(members?.client_id) ?? place?.clientId,
    softwareId: text(members?.software_id),
    token: text(members?.registration_access_token),
    uri: text(members?.registration_client_uri),
  }
})

/** Same text, same fingerprint; the text cannot be worked out of it. */
export function fingerprint(token: string): string {
  return sha256base64url(token).slice(0, 16)
}

/** Undefined where it is no JSON, or nested beyond all measure. */
export function jsonValue(body: string): unknown {
  const json = readJson(body.replace(/^\uFEFF/, ''))
  return json.ok ? withTexts(json.value) : undefined
}

/** Of a text that was cut, is too large, or is JSON within something else: the members that stand in it with both quotes. */
function membersIn(whole: string): Readonly<Record<string, unknown>> | undefined {
  if (!namesMember(whole)) return undefined
  const found = [...MEMBERS, 'client_id', 'software_id'].flatMap((name): [string, unknown][] => {
    const value = new RegExp(`"${name}"\\s*:\\s*("(?:[^"\\\\]|\\\\.)*")`).exec(whole)?.[1]
    return value === undefined ? [] : [[name, jsonValue(value)]]
  })
  return found.some(([name]) => MEMBERS.includes(name)) ? Object.fromEntries(found) : undefined
}

const MEMBERS = ['registration_access_token', 'registration_client_uri']

function namesMember(text: string): boolean {
  return MEMBERS.some((name) => text.includes(`"${name}"`))
}

/** The text of a kept answer as far as it can be read; what its coding does not fit may be the plain text that it seems to be. */
function readableIn({ body, encoding, coding, message }: Raw): ReturnType<typeof readable> {
  const isPlain = coding === undefined && encoding === undefined && message === undefined
  if (isPlain && !body.includes('\0')) return { text: body, isWhole: true }
  const bytes = Buffer.from(body, encoding ?? 'utf8')
  return readable(message === undefined ? bytes : bytes.subarray(message.bodyAt), { ...message, coding })
}

/** The first object, from the outside in, that holds one of the members; with the client that those around it name. */
function holderIn(
  root: unknown,
): { readonly members: Readonly<Record<string, unknown>>; readonly clientId: string | undefined } | undefined {
  let level: { value: unknown; clientId: string | undefined }[] = [{ value: root, clientId: undefined }]
  while (level.length > 0) {
    const next: typeof level = []
    for (const { value, clientId } of level) {
      // Not spread into one push: a long list would be more arguments than the stack holds.
      if (Array.isArray(value)) for (const one of value) next.push({ value: one, clientId })
      if (!isObject(value)) continue
      if (MEMBERS.some((name) => Object.hasOwn(value, name))) return { members: value, clientId }
      const named = text(value.client_id) ?? clientId
      for (const one of Object.values(value)) next.push({ value: one, clientId: named })
    }
    level = next
  }
  return undefined
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
