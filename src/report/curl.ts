/**
 * Requests as curl commands for a POSIX shell. Each secret is a shell variable in the command, which the user sets before running
 * it; in a record secrets are masked.
 */
import { identitySetting } from '../identity/settings.ts'
import { oneLine } from '../record/foreign.ts'
import type { Exchange } from '../record/index.ts'
import { readJson, writeJson } from '../record/json.ts'

/** A text in parts that follow each other. */
export type Parts = readonly (string | { readonly variable: string })[]

export interface Command {
  readonly method: string
  readonly url: Parts
  readonly identity: string
  readonly ownAuthorities: boolean
  readonly headers: readonly (readonly [name: string, value: Parts])[]
  /** fields are encoded; a body is sent as it stands */
  readonly fields: readonly (readonly [name: string, value: Parts])[]
  readonly body: Parts | undefined
}

/** One command on several lines. A shell expands its variables and nothing else. */
export function curlCommand({ method, url, identity, ownAuthorities, headers, fields, body }: Command): string {
  const pair = (name: string, between: string, value: Parts) => quoted([`${name}${between}`, ...value])
  const lines = [
    `curl --request ${word(method)} ${quoted(url)}`,
    ...certificate(identity),
    ...(ownAuthorities ? [`--cacert ${quoted([{ variable: 'CA_FILE' }])}`] : []),
    ...headers.map(([name, value]) => `--header ${pair(name, ': ', value)}`),
    ...fields.map(([name, value]) => `--data-urlencode ${pair(name, '=', value)}`),
    ...(body === undefined ? [] : [`--data-raw ${quoted(body)}`]),
  ]
  return lines.join(' \\\n  ')
}

/** The prefix keeps it apart from what the shell of the reader has, such as PATH or HOME. */
export function shellVariable(name: string): string {
  return `DCR_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`
}

/** The settings that hold the certificate of an identity and its key; none for "none". */
export function certificateSettings(identity: string): readonly string[] {
  return identity === 'none' ? [] : [identitySetting(identity, 'CERT_FILE'), identitySetting(identity, 'KEY_FILE')]
}

function certificate(identity: string): string[] {
  const [cert, key] = certificateSettings(identity)
  if (cert === undefined || key === undefined) return []
  return [`--cert ${quoted([{ variable: cert }])} --key ${quoted([{ variable: key }])}`]
}

/** In single quotes, within which a shell expands nothing; variables in double quotes. */
function quoted(parts: Parts): string {
  let [words, text] = ['', '']
  for (const part of parts) {
    if (typeof part === 'string') text += part
    else {
      words += `${single(text)}"$${shellVariable(part.variable)}"`
      text = ''
    }
  }
  return `${words}${single(text)}` || "''"
}

function single(text: string): string {
  return text === '' ? '' : `'${text.replaceAll("'", `'\\''`)}'`
}

/** A method: quoted unless it consists of capital letters. */
function word(text: string): string {
  return /^[A-Z]+$/.test(text) ? text : single(text)
}

/** An exchange of a record. */
export function curl(
  { request, tls }: Exchange,
  options: { readonly identity: string; readonly ownAuthorities: boolean },
): string {
  const { method, url, headers, body } = request
  const sent = headers.filter(([name]) => !LEFT_TO_CURL.has(name.toLowerCase()))
  const command = curlCommand({
    method,
    url: maskedParts(url),
    identity: tls?.configured?.identity ?? (tls === undefined ? options.identity : 'none'),
    ownAuthorities: options.ownAuthorities,
    headers: sent.map(([name, value]) => [name, maskedParts(value, name)]),
    ...contentOf(body, isForm(headers)),
  })
  const cut = body.truncated
    ? `# the body is cut; it had ${body.bytes} bytes, sha256 ${oneLine(body.sha256 ?? 'not kept')}\n`
    : ''
  return `${cut}${command}`
}

const LEFT_TO_CURL = new Set(['connection', 'content-length', 'host', 'transfer-encoding', 'user-agent'])

function isForm(headers: Exchange['request']['headers']): boolean {
  return headers.some(
    ([name, value]) => name.toLowerCase() === 'content-type' && value.startsWith('application/x-www-form-urlencoded'),
  )
}

/** The record has a form as JSON. */
function contentOf({ text }: Exchange['request']['body'], form: boolean): Pick<Command, 'fields' | 'body'> {
  const value = text === undefined ? undefined : parsed(text)
  if (!form || typeof value !== 'object' || value === null)
    return {
      fields: [],
      body: text === undefined ? undefined : maskedParts(value === undefined ? text : writeJson(value)),
    }
  const fields = Object.entries(value).flatMap(([name, member]) =>
    [member].flat().map((one) => [name, maskedParts(String(one), name)] as const),
  )
  return { fields, body: undefined }
}

/** The mask that the redactor puts in place of a secret, or a JWT whose signature is masked. */
const MASKED = /(?:"(?<member>\w+)":\s*")?(?<secret>(?:eyJ[\w-]*\.[\w-]*\.)?\[(?<mask>[\w-]+)(?:#[0-9a-f]{8}|: \w+)\])/g

/** A masked secret is a variable, named by its mask, its member or its header. */
function maskedParts(text: string, context?: string): Parts {
  const parts: (string | { readonly variable: string })[] = []
  let end = 0
  for (const match of text.matchAll(MASKED)) {
    const { member, secret = '', mask = '' } = match.groups ?? {}
    const start = match.index + match[0].length - secret.length
    const variable = member ?? (['jwt', 'signature'].includes(mask) ? (context ?? mask) : mask)
    parts.push(text.slice(end, start), { variable })
    end = start + secret.length
  }
  return [...parts, text.slice(end)]
}

function parsed(text: string): unknown {
  const json = readJson(text)
  return json.ok ? json.value : undefined
}
