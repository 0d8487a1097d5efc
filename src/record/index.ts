/** The vocabulary of results: one run record, of which every report is a pure conversion. */
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

export const RECORD_VERSION: RunRecord['recordVersion'] = 1

/** In the folder of a run after which Thredd's staff must be told something. */
export const MESSAGE_FILE = 'message-to-thredd.txt'

/** In the folder of a run while it goes on, and of one that was killed: the workflows that had ended, redacted. */
export const SPOOL_FILE = 'record.spool'

export type ScopeDifference = NonNullable<StepRecord['scopes']>

/** Where TCP went, as in a URL; undefined where that is not known. */
export function peerOf({ address, port }: NonNullable<Exchange['tls']>): string | undefined {
  return address && `${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** What kept a workflow from ending as its steps did, unless one of them says the same. */
export function errorBeyondSteps({ error, steps }: WorkflowRecord): ErrorRecord | undefined {
  return steps.some((step) => step.error?.code === error?.code) ? undefined : error
}

/**
 * A failure is a verdict and wins over what kept another verdict from being reached; an errored workflow leads where its
 * error's code leads, usually to inconclusive.
 */
export function verdictOf(workflows: readonly WorkflowRecord[]): { verdict: RunRecord['verdict']; exitCode: number } {
  const exitCode = worstExit(workflows.flatMap(exitsOf))
  return { verdict: ({ 0: 'conformant', 1: 'non-conformant' } as const)[exitCode] ?? 'inconclusive', exitCode }
}

function exitsOf(workflow: WorkflowRecord): number[] {
  if (workflow.status === 'passed') return [0]
  const errors = [workflow.error, ...workflow.steps.map((step) => step.error)].filter((error) => error !== undefined)
  const exits = errors.map(({ code }) => (code in CODES ? CODES[code as ErrorCode].exit : 3))
  return workflow.status === 'failed' ? [1, ...exits] : exits.length === 0 ? [3] : exits
}
