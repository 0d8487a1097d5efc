/** Vaults in temporary folders, and the answers that are kept in them. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compactDecrypt } from 'jose/jwe/compact/decrypt'
import { expect, onTestFinished } from 'vitest'
import type { ToolError } from '../../src/record/errors.ts'
import type { VaultOptions } from '../../src/vault/store.ts'
import { Vault } from '../../src/vault/vault.ts'

export const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/0c5b8a59'
export const URI = 'https://auth.example/register/https%3A%2F%2Frp.example%2F0c5b8a59?x=%7e'
/** Of tests alone: anybody can read it here. */
export const KEY = new Uint8Array(Buffer.from('a key of tests, 32 bytes of text'))

/** A clock that moves on by a second each time it is read. */
export function clock(): () => Date {
  let seconds = Date.parse('2026-01-02T03:04:05.000Z') / 1000
  return () => new Date(seconds++ * 1000)
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vault-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Of environment "uat", with its log in `uat.log`. */
export function vaultIn(folder: string, more: Partial<VaultOptions> = {}): Vault {
  const vault = new Vault({ folder, key: KEY, environment: 'uat', now: clock(), lockWaitMs: 200, ...more })
  onTestFinished(() => vault.close())
  return vault
}

export const logIn = (folder: string) => join(folder, 'uat.log')

export const body = (token: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({ client_id: CLIENT_ID, registration_access_token: token, registration_client_uri: URI, ...more })

export const call = (effect: 'register' | 'update' | 'delete') => ({
  effect,
  method: { register: 'POST', update: 'PUT', delete: 'DELETE' }[effect],
  url: effect === 'register' ? 'https://auth.example/register' : URI,
  step: effect,
  runId: `run-${effect}`,
  clientId: CLIENT_ID,
})

/** An answer to a call that is not written down. */
export const answer = (text: string, more: Partial<Parameters<Vault['keep']>[0]> = {}) => ({
  body: text,
  status: 200,
  step: 'read',
  runId: 'run-read',
  ...more,
})

/** Keeps a registration with this token. */
export async function register(vault: Vault, token = 'token-1'): Promise<void> {
  await ended(vault, 'register', 201, body(token))
}

/** A call with its answer; without a status it is given up, as a process that died would leave it. */
export async function ended(
  vault: Vault,
  effect: 'register' | 'update' | 'delete',
  status?: number,
  text = '',
): Promise<void> {
  const intent = await vault.begin(call(effect))
  if (status === undefined) return intent.close('unknown')
  await intent.keep({ status, body: text })
  return intent.close('answered')
}

/** Headers of an answer to a token that the server does not know (RFC 6750 section 3). */
export const CHALLENGE = [['www-authenticate', 'Bearer error="invalid_token"']] as const

/** What a probe presents, where the environment has no other certificate. */
export const PRESENTED = { identity: 'transport', thumbprint: 'certificate-1', isOnly: true }

export const token = async (vault: Vault) => (await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()
export const fallbacks = async (vault: Vault) => (await vault.current(CLIENT_ID))?.fallbacks.map((one) => one.reveal())

/** What the lines of a log say, by the library's own means rather than the vault's. */
export async function eventsIn(log: string, key = KEY): Promise<Record<string, unknown>[]> {
  const [, ...lines] = (await readFile(log, 'latin1')).split('\n').slice(0, -1)
  const opened = lines.map(async (line) => {
    const { plaintext } = await compactDecrypt(line.slice(line.lastIndexOf('!') + 1), key)
    return JSON.parse(Buffer.from(plaintext).toString()).event
  })
  return await Promise.all(opened)
}

/** The folder as it would be if all processes had died now: the locks that they hold are not copied along. */
export async function asLeft(folder: string): Promise<string> {
  const copy = join(await temporaryFolder(), 'vault')
  await cp(folder, copy, { recursive: true })
  return copy
}

export async function thrown(promise: Promise<unknown>): Promise<ToolError> {
  return (await promise.then(
    () => expect.unreachable('nothing was thrown'),
    (error: unknown) => error,
  )) as ToolError
}
