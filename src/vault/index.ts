/** What others may use of the vault, and where that of an environment lies. */
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Secret } from '../secret/index.ts'
import { Files } from './files.ts'
import { keySource } from './key.ts'
import type { VaultOptions } from './store.ts'
import { Vault } from './vault.ts'

export { fingerprint, provesDeletion, rawOf } from './answer.ts'
export { askThredd, type OpenCall } from './call.ts'
export type { Registration } from './client.ts'
export { type FilePort, openMode, UNSYNCED } from './files.ts'
export type { LedgerEntry } from './ledger.ts'
export { type Found, registrationMember, registrationsIn } from './outside.ts'
export { isExport, openExport, sealExport, toVariables } from './portable.ts'
export { type Probe, type Proof, proveToken, recover } from './recover.ts'
export type { StoredToken, Vault } from './vault.ts'

/** Where a test puts failing files, or dies. */
export type VaultPorts = Pick<VaultOptions, 'files'>

/** The vault of an environment; nothing is read or written yet. @throws VAULT_KEY */
export function vaultOf(
  environment: {
    readonly name: string
    readonly flags: readonly string[]
    readonly class: 'mock' | 'uat' | 'prod'
    /** of the project */
    readonly folder?: string | undefined
    readonly setting?: (inputName: string) => { readonly value?: unknown } | undefined
    readonly vault: {
      readonly folder: string
      readonly key?: Secret | undefined
      readonly keyFile?: string | undefined
    }
  },
  { now, ports = {} }: { readonly now: () => Date; readonly ports?: VaultPorts | undefined },
): Vault {
  const { name, flags, vault } = environment
  const { folder, key, keyFile } = vault
  // Registrations on the twin are worth nothing, so their key may lie beside the vault; real ones have theirs in the home folder.
  const keyFolder = environment.class === 'mock' ? dirname(folder) : join(homedir(), '.config', 'thredd-dcr')
  const keys = keySource({ key, keyFile, keyFolder, vaultDir: folder }, new Files(ports.files))
  const project = environment.class === 'mock' ? undefined : environment.folder
  const usualFolder = project && join(project, '.vault', name)
  const text = (inputName: string) => {
    const value = environment.setting?.(inputName)?.value
    return typeof value === 'string' ? value : undefined
  }
  const application = environment.setting && { clientId: text('client_id'), softwareId: text('software_id') }
  return new Vault({ folder, usualFolder, key: keys, environment: name, flags, application, now, ...ports })
}
