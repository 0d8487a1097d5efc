/**
 * What the vault promises: every client information response, encrypted and on disk before anything else looks at it, and a
 * journal of the calls whose answer may still come. No effects here; nothing of flows or of the network.
 *
 * Nothing that cannot be read is ever overwritten. Readers need no lock: they see a file before or after, never half.
 */
import type { Problem } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import type { Checkpoint, FilePort } from './disk.ts'
import type { Effect, OpenIntent } from './intent.ts'
import type { KeyRing } from './key.ts'
import type { HistoryEvent, Purpose, Registration } from './record.ts'

/** A response as it came, before it is parsed or judged. */
export interface ReceivedAnswer {
  /** the raw text, or the raw bytes */
  readonly body: string | Uint8Array
  readonly status: number
  readonly step: string
  readonly runId: string
  /** the client the request was about; used where the body names none */
  readonly clientId?: string | undefined
}

export interface Kept {
  readonly registration: Registration
  /** an earlier token was replaced by a different one */
  readonly rotated: boolean
  /** what else there is of the client could not be read; the answer is safe all the same */
  readonly problem: Problem | undefined
}

/** A call that changes a registration, written down before it leaves. Disposing it unclosed leaves it open. */
export interface Intent extends AsyncDisposable {
  readonly id: string
  /**
   * Makes the answer durable before anything parses it, then adds it to the client's record. Undefined where it registers
   * nothing.
   *
   * @throws VAULT_UNWRITABLE where it could be put nowhere; the intent then stays open
   */
  keep(answer: { readonly status: number; readonly body: string | Uint8Array }): Promise<Kept | undefined>
  /**
   * `answered`: settled by the answer that was kept, unless that does not say how the call ended (a 5xx, a registration
   * without its token). A success of DELETE marks the client deleted. `not-sent`: only where the transport says that
   * nothing left. `unknown`: stays open. The first call counts.
   */
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/** Who did it, for the history. */
export interface By {
  readonly runId: string
  readonly step: string
}

export interface Vault {
  /**
   * Proves, before anything is sent, that an answer can be kept: what a killed process left is put in its place, the
   * folder is written to, and the record of `clientId`, if there is one, can be read. Returns warnings in words: open
   * permissions, what cannot be read, each open intent with its next step.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE
   */
  prepare(clientId?: string): Promise<readonly string[]>
  /**
   * Writes down, durably, that a call is about to leave, and sets disk space for its answer aside. One process at a time
   * changes one client: another waits.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE; then nothing may be sent
   */
  begin(call: {
    readonly effect: Effect
    readonly method: string
    readonly url: string
    readonly step: string
    readonly runId: string
    readonly clientId?: string | undefined
    /** of a registration: whether the run means to delete the client again; default: it is kept */
    readonly purpose?: Purpose | undefined
  }): Promise<Intent>
  /**
   * Says, until it is disposed of or the process dies, that a run is going on which will delete this client itself, so that
   * nobody takes it for left behind.
   */
  attend(clientId: string): Promise<Disposable>
  /**
   * Keeps any 2xx answer that carries registration_access_token or registration_client_uri, whatever else is odd about
   * it. The answer is durable (file and folder synchronised) when this resolves. Undefined: it carries neither.
   *
   * @throws VAULT_UNWRITABLE
   */
  keep(answer: ReceivedAnswer): Promise<Kept | undefined>
  /**
   * A management call with this token (default: the current one) succeeded, and its answer brought no other: the tokens
   * before it are superseded, and open intents of the client are settled. A fallback that works becomes current again.
   *
   * @throws VAULT_UNREADABLE, VAULT_UNWRITABLE
   */
  worked(clientId: string, by?: By & { readonly token?: Secret | undefined }): Promise<void>
  /** Undefined for a client that is unknown or marked deleted. @throws VAULT_UNREADABLE */
  current(clientId: string): Promise<Registration | undefined>
  /** An API access token that was kept for these, if it can be read; whether it is still good is the caller's to judge. */
  accessToken(of: TokenUse): Promise<StoredToken | undefined>
  /** Keeps one until the next; losing it costs nothing but a call. @throws VAULT_UNWRITABLE */
  keepAccessToken(of: TokenUse, token: StoredToken): Promise<void>
  /** All clients of this environment, deleted ones too, and each file that cannot be read. */
  list(): Promise<{ readonly registrations: readonly Registration[]; readonly unreadable: readonly Problem[] }>
  /** Oldest first; empty for an unknown client. @throws VAULT_UNREADABLE */
  history(clientId: string): Promise<readonly HistoryEvent[]>
  /** Calls that may have changed a registration, oldest first, with what is known and what to do. */
  unsettled(): Promise<readonly OpenIntent[]>
  /**
   * Every client that a run has registered or may have, oldest first: by which run, whether that was to delete it, and what
   * has become of it. The journal and the records say it; there is no other list.
   */
  ledger(): Promise<readonly LedgerEntry[]>
  /** Closes an open intent for a reason found outside; it stays in the client's history. @throws VAULT_UNWRITABLE */
  settle(id: string, how: string): Promise<void>
  /** Marks the client deleted after a proven DELETE; its history stays. @throws VAULT_UNREADABLE, VAULT_UNWRITABLE */
  remove(clientId: string, by?: By): Promise<void>
  /** Destroys the record of a client. @throws VAULT_UNREADABLE, VAULT_UNWRITABLE, USAGE where an intent is open */
  forget(clientId: string): Promise<void>
  /** Everything there is of these clients (default: all); nothing unreadable is passed over. @throws VAULT_UNREADABLE */
  export(clientIds?: readonly string[]): Promise<readonly { clientId: string; entries: readonly unknown[] }[]>
  /** Adds what is not there yet, in order of time; returns how many entries that were. @throws VAULT_UNREADABLE */
  import(clientId: string, entries: readonly unknown[]): Promise<number>
  /**
   * Encrypts everything with a new key; at each moment both are in the key file. One that was cut short is finished with
   * the key it had made. Refused while a call is in flight.
   */
  rotateKey(options?: {
    /** then forgets the earlier keys; other vaults that share the key file must have been changed before */
    readonly dropEarlier?: boolean
  }): Promise<{ readonly files: number; readonly made: boolean }>
  /** Proves that every file decrypts; lists what cannot be read, open permissions and leftovers. */
  check(): Promise<{
    readonly files: number
    readonly problems: readonly Problem[]
    readonly warnings: readonly string[]
  }>
  /**
   * Moves what was written down into the records, and says that this process is done. Never fails: what is not moved now, the
   * next `prepare` moves. What is kept after it is safe too.
   */
  close(): Promise<void>
}

/** Whose API access token, for what, and bound to which certificate. */
export interface TokenUse {
  readonly clientId: string
  /** as asked for; absent: all registered scopes */
  readonly scope?: string | undefined
  /** x5t#S256 of the certificate (RFC 8705 §3.1) */
  readonly thumbprint: string
}

export interface StoredToken {
  readonly accessToken: Secret
  /** UTC, RFC 3339 */
  readonly receivedAt: string
  readonly expiresAt: string
  /** as the server answered, where it did */
  readonly scope?: string | undefined
}

export interface LedgerEntry {
  readonly clientId: string
  /** the run and step that registered it, and when the answer (or, without one, the call) was written down */
  readonly runId: string
  readonly step: string
  readonly at: string
  readonly purpose: Purpose
  /**
   * announced: its POST is on the way · registered: it is there until its run deletes it · kept: it is there to stay · left
   * behind: it is there although its run was to delete it · deleted · unknown: a call left, and no answer says how it ended
   */
  readonly state: 'announced' | 'registered' | 'kept' | 'left behind' | 'deleted' | 'unknown'
  readonly deletedAt: string | undefined
  /** the calls that are open, with what is known and what to do */
  readonly open: readonly OpenIntent[]
}

export interface VaultOptions {
  readonly folder: string
  /** 32 bytes, or a ring of them */
  readonly key: Uint8Array | KeyRing
  readonly environment: string
  now(): Date
  /** how long to wait for another process; default 30000 */
  readonly lockWaitMs?: number
  readonly files?: FilePort
  readonly checkpoint?: Checkpoint
}
