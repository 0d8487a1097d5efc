/**
 * Registrations on their way in and out: the encrypted export, and variables as dotenv and Postman have them. Pure texts;
 * knows no file and no key but the passphrase it is given.
 */

import { decryptWithPassphrase, encryptWithPassphrase, type Undecryptable } from '../identity/jwt.ts'
import { fail } from '../record/errors.ts'
import { shapeOf, z } from '../record/shape.ts'
import type { Secret } from '../secret/index.ts'
import { jsonObject } from './answer.ts'
import type { Registration } from './client.ts'
import { type AnswerEvent, inWords, otherVersion, VAULT_VERSION } from './event.ts'

/** What an export holds: records whole, as the vault has them. */
export interface Exported {
  readonly environment: string
  /** UTC, RFC 3339 */
  readonly exportedAt: string
  readonly clients: readonly { readonly clientId: string; readonly entries: readonly unknown[] }[]
}

/** `environment` is undefined where the file does not say: variables of Postman or a .env file. */
export type Bundle = Omit<Exported, 'environment'> & { readonly environment: string | undefined }

export type VariableFormat = 'dotenv' | 'postman'

/** An encrypted file that `openBundle` reads with the same passphrase. @throws USAGE for a short one */
export async function sealBundle(exported: Exported, passphrase: Secret): Promise<string> {
  if (passphrase.reveal().length < SHORTEST_PASSPHRASE) {
    fail({
      code: 'USAGE',
      message: 'the passphrase of the export is too short',
      expected: `at least ${SHORTEST_PASSPHRASE} characters`,
      found: `${passphrase.reveal().length}`,
    })
  }
  const content = { vaultVersion: VAULT_VERSION, kind: 'export', ...exported }
  return `${await encryptWithPassphrase(Buffer.from(JSON.stringify(content)), passphrase)}\n`
}

/**
 * An export of this tool, a Postman environment, or lines as in a .env file: what people keep the two values in.
 *
 * @throws VAULT_UNREADABLE
 */
export async function openBundle(
  text: string,
  {
    name,
    passphrase,
    clientId,
    now,
  }: {
    /** of the file, for messages */
    readonly name: string
    /** asked for only where the file is encrypted */
    readonly passphrase: () => Promise<Secret>
    /** the client of variables that name none */
    readonly clientId?: string | undefined
    readonly now: Date
  },
): Promise<Bundle> {
  const trimmed = text.trim()
  const refuse = (is: string, hint?: string): never =>
    fail({ code: 'VAULT_UNREADABLE', message: `import "${name}" ${is}`, hint })
  if (/^eyJ[\w-]*(?:\.|$)/.test(trimmed)) {
    const result = await decryptWithPassphrase(trimmed, await passphrase())
    if (!result.ok) return refuse(...UNOPENED[result.because])
    const content = jsonObject(Buffer.from(result.plaintext).toString())
    const version = content?.vaultVersion
    if (typeof version === 'number' && version !== VAULT_VERSION) return refuse(otherVersion(version).is)
    const read = shapeOf(exportSchema, content)
    return read.ok ? read.value : refuse(`is no export of this tool: ${inWords(read.faults)}`)
  }

  const variables = variablesIn(trimmed)
  const value = (member: string) => variables.get(member) || undefined
  const token = value('registration_access_token')
  const uri = value('registration_client_uri')
  const client = value('client_id') ?? clientId
  if (token === undefined && uri === undefined) {
    return refuse(
      'holds neither registration_access_token nor registration_client_uri',
      'give an export of this tool, a Postman environment, or lines such as REGISTRATION_ACCESS_TOKEN=…',
    )
  }
  if (client === undefined) return refuse('does not say which client it is of', 'add a line CLIENT_ID=…')
  const body = { client_id: client, registration_access_token: token, registration_client_uri: uri }
  const at = now.toISOString()
  const entry: AnswerEvent = {
    kind: 'answer',
    at,
    runId: 'import',
    step: name,
    status: 200,
    body: JSON.stringify(body),
    clientId: client,
    imported: true,
  }
  return { environment: undefined, exportedAt: at, clients: [{ clientId: client, entries: [entry] }] }
}

/** The registration in clear, as other tools read it. */
export function toVariables(registration: Registration, format: VariableFormat, environment: string): string {
  const { clientId, registrationAccessToken, registrationClientUri } = registration
  const variables: readonly (readonly [name: string, value: string, isSecret: boolean])[] = [
    ['client_id', clientId, false],
    ['registration_access_token', registrationAccessToken?.reveal() ?? '', true],
    ['registration_client_uri', registrationClientUri ?? '', false],
  ]
  if (format === 'dotenv') {
    return variables.map(([name, value]) => `${name.toUpperCase()}=${quoted(value)}\n`).join('')
  }
  const values = variables.map(([key, value, isSecret]) => ({
    key,
    value,
    type: isSecret ? 'secret' : 'default',
    enabled: true,
  }))
  return `${JSON.stringify({ name: `thredd ${environment}`, values, _postman_variable_scope: 'environment' }, null, 2)}\n`
}

const SHORTEST_PASSPHRASE = 12

const UNOPENED: Readonly<Record<Undecryptable, readonly [is: string, hint: string]>> = {
  foreign: ['is no export of this tool', 'give the file that thredd vault export wrote'],
  cut: ['is cut short', 'copy the file again'],
  damaged: ['was changed after it was written', 'copy the file again'],
  'other-key': ['does not open with this passphrase', 'check the passphrase; a file that was changed looks the same'],
}

const exportSchema = z.looseObject({
  vaultVersion: z.int(),
  kind: z.literal('export'),
  environment: z.string(),
  exportedAt: z.string(),
  clients: z.array(z.looseObject({ clientId: z.string(), entries: z.array(z.unknown()) })),
})

/** Names in lower case. */
function variablesIn(text: string): ReadonlyMap<string, string> {
  const values = jsonObject(text)?.values
  const pairs = Array.isArray(values)
    ? values.map(({ key, value }: Record<string, unknown>): [string, string] => [String(key), String(value ?? '')])
    : text.split(/\r?\n/).flatMap((line): [string, string][] => {
        const match = /^\s*(?:export\s+)?([\w-]+)\s*=\s*(.*?)\s*$/.exec(line)
        return match === null ? [] : [[match[1] ?? '', unquoted(match[2] ?? '')]]
      })
  return new Map(pairs.map(([name, value]) => [name.toLowerCase(), value]))
}

/** Without quotes a `#` would start a comment; a line break would start a variable of the server's choosing. */
function quoted(value: string): string {
  if (/^[\w:/.%~?&=+-]*$/.test(value)) return value
  return /['\r\n]/.test(value) ? `"${value.replaceAll('\r', '\\r').replaceAll('\n', '\\n')}"` : `'${value}'`
}

function unquoted(value: string): string {
  const match = /^(["'])(.*)\1$/.exec(value)
  return match?.[2] ?? value
}
