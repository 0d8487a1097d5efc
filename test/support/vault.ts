/** Vaults in temporary folders, and the answers that are kept in them. */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { ToolError } from '../../src/record/errors.ts'
import { openVault, type Vault } from '../../src/vault/index.ts'

export const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/0c5b8a59'
export const URI = 'https://auth.example/register/https%3A%2F%2Frp.example%2F0c5b8a59?x=%7e'

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

export async function vaultIn(folder: string, more: Partial<Parameters<typeof openVault>[0]> = {}): Promise<Vault> {
  const key = Buffer.alloc(32, 7)
  return openVault({ folder, key, environment: 'uat', now: clock(), lockWaitMs: 200, ...more })
}

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

/** Keeps a registration with this token. */
export async function register(vault: Vault, token = 'token-1'): Promise<void> {
  await using intent = await vault.begin(call('register'))
  await intent.keep({ status: 201, body: body(token) })
  await intent.close('answered')
}

/** Records and journals, and what a process that died has left: not the locks, which are empty, nor the space that is kept. */
export async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.endsWith('.lock') && !name.endsWith('.room'))
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
