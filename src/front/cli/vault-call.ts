/** What a `thredd vault` command works with. Effects on the process are arguments, so that a test sees all. */
import type { Secret } from '../../secret/index.ts'
import type { Probe, Vault } from '../../vault/index.ts'
import type { Invocation } from './command.ts'

export interface VaultIo {
  readonly write: (text: string) => void
  /** warnings and questions; never data */
  readonly warn: (text: string) => void
  /** whether the output is a terminal; otherwise secrets are not printed */
  readonly isTerminal: boolean
  /** relative paths start here */
  readonly folder: string
  readonly now: () => Date
  readonly runId: string
  readonly open: () => Promise<{
    readonly vault: Vault
    readonly environment: string
    readonly class: 'mock' | 'uat' | 'prod'
    /** CLIENT_ID of the environment: meant where no client is named */
    readonly clientId?: string | undefined
  }>
  /** import: the vault of the same environment in another folder */
  readonly openFolder?: ((folder: string) => Vault) | undefined
  /** asks the person at a terminal to type the client id; absent where there is none */
  readonly ask?: ((clientId: string) => Promise<string | undefined>) | undefined
  /** asks without echo, of a new one twice, or reads the file of --passphrase-file */
  readonly passphrase: (question: string, isNew?: boolean) => Promise<Secret>
  /** import: the text of the file, where it does not lie on disk as it is to be read */
  readonly given?: string | undefined
  /** present with --online */
  readonly probe?: Probe | undefined
}

/** Switches, and flags with a value. */
export type VaultFlags = Pick<Invocation, 'has' | 'text' | 'texts'>

/** One command, with the vault that it is about. */
export interface VaultCall extends Omit<VaultIo, 'open'>, Awaited<ReturnType<VaultIo['open']>> {
  readonly flags: VaultFlags
  readonly words: readonly string[]
  has(flag: string): boolean
}
