/**
 * An exchange as a curl command for a POSIX shell. Secrets were masked in the record; each is a shell variable in the command,
 * which the user sets before running it.
 */
import { identitySetting } from '../identity/settings.ts'
import { oneLine } from '../record/foreign.ts'
import type { Exchange } from '../record/index.ts'
import { readJson, writeJson } from '../record/json.ts'

export function curl(
  { request, tls }: Exchange,
  options: { readonly identity: string; readonly ownAuthorities: boolean },
): string {
  const { method, url, headers, body } = request
  const sent = headers.filter(([name]) => !LEFT_TO_CURL.has(name.toLowerCase()))
  const identity = tls?.configured?.identity ?? (tls === undefined ? options.identity : 'none')
  const lines = [
    `curl --request ${word(method)} ${quoted(url)}`,
    ...certificate(identity),
    ...(options.ownAuthorities ? ['--cacert "$CA_FILE"'] : []),
    ...sent.map(([name, value]) => `--header ${quoted(`${name}: ${value}`, name)}`),
    ...bodyOf(body, isForm(headers)),
  ]
  const cut = body.truncated
    ? `# the body is cut; it had ${body.bytes} bytes, sha256 ${oneLine(body.sha256 ?? 'not kept')}\n`
    : ''
  return `${cut}${lines.join(' \\\n  ')}`
}

const LEFT_TO_CURL = new Set(['connection', 'content-length', 'host', 'transfer-encoding', 'user-agent'])

/** The options for the certificate of an identity; none for "none". */
export function certificate(identity: string): string[] {
  if (identity === 'none') return []
  return [`--cert "$${identitySetting(identity, 'CERT_FILE')}" --key "$${identitySetting(identity, 'KEY_FILE')}"`]
}

function isForm(headers: Exchange['request']['headers']): boolean {
  return headers.some(
    ([name, value]) => name.toLowerCase() === 'content-type' && value.startsWith('application/x-www-form-urlencoded'),
  )
}

/** The record has a form as JSON. */
function bodyOf({ text }: Exchange['request']['body'], form: boolean): string[] {
  if (text === undefined) return []
  const value = parsed(text)
  if (form && typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, member]) =>
      [member].flat().map((one) => `--data-urlencode ${quoted(`${name}=${String(one)}`, name)}`),
    )
  }
  return [`--data-raw ${quoted(value === undefined ? text : writeJson(value))}`]
}

/** The mask that the redactor puts in place of a secret, or a JWT whose signature is masked. */
const MASKED = /(?:"(?<member>\w+)":\s*")?(?<secret>(?:eyJ[\w-]*\.[\w-]*\.)?\[(?<mask>[\w-]+)(?:#[0-9a-f]{8}|: \w+)\])/g

/** The text in single quotes, within which a shell expands nothing; masked secrets as variables in double quotes. */
function quoted(text: string, context?: string): string {
  let result = ''
  let end = 0
  for (const match of text.matchAll(MASKED)) {
    const { member, secret = '', mask = '' } = match.groups ?? {}
    const start = match.index + match[0].length - secret.length
    const name = member ?? (['jwt', 'signature'].includes(mask) ? (context ?? mask) : mask)
    result += `${single(text.slice(end, start))}"$${variable(name)}"`
    end = start + secret.length
  }
  result += single(text.slice(end))
  return result === '' ? "''" : result
}

/** In single quotes, within which a shell expands nothing. */
export function single(text: string): string {
  return text === '' ? '' : `'${text.replaceAll("'", `'\\''`)}'`
}

function variable(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^(?=\d)/, '_')
}

/** A method: quoted unless it consists of capital letters. */
export function word(text: string): string {
  return /^[A-Z]+$/.test(text) ? text : single(text)
}

function parsed(text: string): unknown {
  const json = readJson(text)
  return json.ok ? json.value : undefined
}
