/** What an answer says that was kept as it came. Worked out when it is read, so that a mistake in reading it loses nothing. */
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { sha256base64url } from '../identity/jwt.ts'
import type { AnswerEvent } from './event.ts'

/** An answer as it came, before it is parsed or judged. */
export interface RawAnswer {
  readonly status: number
  /** the raw text, or the raw bytes */
  readonly body: string | Uint8Array
  /** Content-Encoding, where the body was not decoded */
  readonly coding?: string | undefined
}

type Raw = Pick<AnswerEvent, 'body' | 'encoding' | 'coding'>

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
export function rawOf(body: string | Uint8Array, coding?: string | undefined): Raw {
  const rest = coding === undefined ? {} : { coding }
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
  const text = textOf(answer)
  return text === undefined ? answer.body !== '' : MEMBERS.some((name) => text.includes(`"${name}"`))
}

/** What a kept answer says; each look at a client asks for it again. */
export const credentialsIn = onceForEach((answer: Raw): Credentials => {
  const root = jsonObject(textOf(answer) ?? '')
  const place = root && (holderIn(root) ?? { members: root, clientId: undefined })
  const members = place?.members
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

export function jsonObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.replace(/^\uFEFF/, ''))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const MEMBERS = ['registration_access_token', 'registration_client_uri']
/** An answer that grows beyond this when it is decoded was made to. */
const LARGEST_BYTES = 32 * 1024 * 1024

const DECODERS: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => gunzipSync(bytes, { maxOutputLength: LARGEST_BYTES }),
  'x-gzip': (bytes) => gunzipSync(bytes, { maxOutputLength: LARGEST_BYTES }),
  deflate: (bytes) => inflateSync(bytes, { maxOutputLength: LARGEST_BYTES }),
  br: (bytes) => brotliDecompressSync(bytes, { maxOutputLength: LARGEST_BYTES }),
  zstd: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: LARGEST_BYTES }),
  identity: (bytes) => Buffer.from(bytes),
}

/** Undefined where it cannot be decoded. @see [RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4) */
function textOf({ body, encoding, coding }: Raw): string | undefined {
  const codings = (coding ?? '').split(',').flatMap((name) => name.trim().toLowerCase() || [])
  if (codings.length === 0) return encoding === undefined ? body : Buffer.from(body, 'base64').toString()
  try {
    const bytes = Buffer.from(body, encoding ?? 'utf8')
    return codings
      .reduceRight<Buffer>((content, name) => {
        const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
        if (decode === undefined) throw new Error(name)
        return decode(content)
      }, bytes)
      .toString()
  } catch {
    return undefined
  }
}

/** The first object, from the outside in, that holds one of the members; with the client that those around it name. */
function holderIn(
  root: Readonly<Record<string, unknown>>,
): { readonly members: Readonly<Record<string, unknown>>; readonly clientId: string | undefined } | undefined {
  let level: { value: unknown; clientId: string | undefined }[] = [{ value: root, clientId: undefined }]
  while (level.length > 0) {
    const next: typeof level = []
    for (const { value, clientId } of level) {
      if (Array.isArray(value)) next.push(...value.map((one) => ({ value: one, clientId })))
      if (!isObject(value)) continue
      if (MEMBERS.some((name) => Object.hasOwn(value, name))) return { members: value, clientId }
      const named = text(value.client_id) ?? clientId
      for (const one of Object.values(value)) next.push({ value: one, clientId: named })
    }
    level = next
  }
  return undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** What follows from a thing that never changes is worked out once. */
function onceForEach<E extends object, T>(work: (thing: E) => T): (thing: E) => T {
  const known = new WeakMap<E, T>()
  return (thing) => {
    if (!known.has(thing)) known.set(thing, work(thing))
    return known.get(thing) as T
  }
}
