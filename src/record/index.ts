/** The record of a run: its types, the files it is kept in, and the verdict. Every report is made from a record alone. */
import { CODES, type ErrorCode, worstExit } from './errors.ts'
import type { ErrorRecord, Exchange, RunRecord, StepRecord, WorkflowRecord } from './schema.ts'

export type {
  CertificateFacts,
  CheckRecord,
  ErrorRecord,
  Exchange,
  GivenRecord,
  IdentityRecord,
  PublicKeyFacts,
  RunRecord,
  SigningKeyRecord,
  StepRecord,
  WorkflowRecord,
} from './schema.ts'

export const RECORD_VERSION: RunRecord['recordVersion'] = 2

/** The record, in the folder of its run. */
export const RECORD_FILE = 'record.json'

/** The messages to Thredd's staff, in the folder of a run after which there are any. */
export const MESSAGE_FILE = 'message-to-thredd.txt'

/**
 * The finished workflows of a run, redacted, each a line of JSON. It is in the run's folder until the record is written;
 * of a run that was killed it stays.
 */
export const FINISHED_FILE = 'workflows.jsonl'

/** A record without its workflows, which may be too many to hold in memory. */
export type RecordHead = Omit<RunRecord, 'workflows'>

export type ScopeDifference = NonNullable<StepRecord['scopes']>

/** Address and port of the TCP connection, as in a URL; undefined where they are not known. */
export function peerOf({ address, port }: NonNullable<Exchange['tls']>): string | undefined {
  return address && `${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** The error of the workflow itself; undefined where one of its steps has an error with the same code. */
export function errorBeyondSteps({ error, steps }: WorkflowRecord): ErrorRecord | undefined {
  return steps.some((step) => step.error?.code === error?.code) ? undefined : error
}

/** The verdict on a run, from the exit codes of its workflows: the worst of them counts. */
export function verdictOf(exitCodes: readonly number[]): { verdict: RunRecord['verdict']; exitCode: number } {
  const exitCode = worstExit(exitCodes)
  return { verdict: ({ 0: 'conformant', 1: 'non-conformant' } as const)[exitCode] ?? 'inconclusive', exitCode }
}

/** The verdict for people: a run that did all it can, and leaves the rest to Thredd, came to no verdict and is not to be tried again. */
export function verdictInWords({
  verdict,
  exitCode,
  decisions,
}: Pick<RunRecord, 'verdict' | 'exitCode' | 'decisions'>): string {
  const words = exitCode === CODES.WAITING_FOR_THREDD.exit ? 'waiting for Thredd' : verdict
  const accepted = decisions?.rows.length ?? 0
  return accepted === 0 ? words : `${words}, with ${accepted} accepted deviation${accepted === 1 ? '' : 's'}`
}

/** 0 where it passed; 1 where it failed, unless an error counts as worse; else that of its errors, usually 3. */
export function exitCodeOf({ status, error, steps }: WorkflowRecord): number {
  if (status === 'passed') return 0
  const errors = [error, ...steps.map((step) => step.error)].filter((one) => one !== undefined)
  const exitCodes = errors.map(({ code }) => (code in CODES ? CODES[code as ErrorCode].exit : 3))
  if (status === 'failed') return worstExit([1, ...exitCodes])
  return exitCodes.length === 0 ? 3 : worstExit(exitCodes)
}
