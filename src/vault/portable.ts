/** Exports of a vault: encrypted under a passphrase, or in clear as dotenv and Postman have them. Pure. */
import { decryptWithPassphrase, encryptWithPassphrase, type Undecryptable } from '../identity/jwt.ts'
import { fail } from '../record/errors.ts'
import { dotenv } from '../record/foreign.ts'
import { shapeOf, z } from '../record/shape.ts'
import type { Secret } from '../secret/index.ts'
import { isObject, jsonValue } from './answer.ts'
import type { Registration } from './client.ts'
import { inWords, otherVersion, VAULT_VERSION } from './event.ts'

const exportSchema = z.looseObject({
  vaultVersion: z.int(),
  kind: z.literal('export'),
  environment: z.string(),
  /** UTC, RFC 3339 */
  exportedAt: z.string(),
  clients: z.array(z.looseObject({ clientId: z.string(), entries: z.array(z.unknown()) })),
})

/** What an export holds: all events of its clients, as the vault has them. */
type Exported = Pick<z.infer<typeof exportSchema>, 'environment' | 'exportedAt' | 'clients'>

export type VariableFormat = 'dotenv' | 'postman'

/** An encrypted file that `openExport` reads with the same passphrase. @throws USAGE for a short one */
export async function sealExport(exported: Exported, passphrase: Secret): Promise<string> {
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

/** Whether a text is, or once was, an encrypted export. */
export function isExport(text: string): boolean {
  return /^\s*eyJ[\w-]*(?:\.|\s*$)/.test(text)
}

/** `name` is that of the file, for messages. @throws VAULT_UNREADABLE */
export async function openExport(text: string, name: string, passphrase: Secret): Promise<Exported> {
  const refuse = (is: string, hint?: string): never =>
    fail({ code: 'VAULT_UNREADABLE', message: `import "${name}" ${is}`, hint })
  const result = await decryptWithPassphrase(text.trim(), passphrase)
  if (!result.ok) return refuse(...UNOPENED[result.because])
  const content = jsonValue(Buffer.from(result.plaintext).toString())
  const version = isObject(content) ? content.vaultVersion : undefined
  if (typeof version === 'number' && version !== VAULT_VERSION) return refuse(otherVersion(version).is)
  const read = shapeOf(exportSchema, content)
  return read.ok ? read.value : refuse(`is no export of this tool: ${inWords(read.faults)}`)
}

/** The registration in clear, as other tools read it. @throws USAGE where the format cannot carry it */
export function toVariables(registration: Registration, format: VariableFormat, environment: string): string {
  const { clientId, registrationAccessToken, registrationClientUri } = registration
  const variables: readonly (readonly [name: string, value: string, isSecret: boolean])[] = [
    ['client_id', clientId, false],
    ['registration_access_token', registrationAccessToken?.reveal() ?? '', true],
    ['registration_client_uri', registrationClientUri ?? '', false],
  ]
  if (format === 'dotenv') {
    return variables.map(([name, value]) => `${name.toUpperCase()}=${quoted(name, value)}\n`).join('')
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

function quoted(name: string, value: string): string {
  return (
    dotenv(value) ??
    fail({
      code: 'USAGE',
      message: `the server's ${name} holds a quote, a line break or a character that cannot be seen, which no .env file carries safely`,
      hint: 'export it with --format postman, or encrypted',
    })
  )
}
