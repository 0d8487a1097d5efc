/** What the front end that starts a run brings along: who answers, who watches and who is asked. Types alone. */
import type { X509Certificate } from 'node:crypto'
import type { Environment } from '../environment/index.ts'
import type { RunEvent } from '../execute/index.ts'
import type { Expectation, Fulfil } from '../guard/given.ts'
import type { Machine } from '../guard/lasting.ts'
import type { GivenRecord, RecordHead, RunRecord, WorkflowRecord } from '../record/index.ts'
import type { FormatName } from '../report/index.ts'
import type { VaultPorts } from '../vault/index.ts'
import type { ClientNames } from './request.ts'
import type { Waiting } from './survey.ts'

export interface Caller {
  /** of the tool */
  readonly version: string
  /** commit and lockfile of the tool, and who runs it */
  readonly provenance?: Promise<Provenance> | undefined
  /** default: a new one */
  readonly runId?: string | undefined
  /** the reports folder; without one nothing is written, and what would be written is still searched for secrets */
  readonly out?: string | undefined
  /** also write GitLab's code quality report */
  readonly codeQuality?: boolean | undefined
  /** report files to write beside the record (default: the usual ones) */
  readonly formats?: readonly FormatName[] | undefined
  /** those of the process; some of them weaken the evidence */
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined
  /** where the run takes place; absent: it is not asked whether the vault lasts there */
  readonly machine?: Machine | undefined
  /** HTTPS_PROXY and NO_PROXY; the twin is called without a proxy */
  readonly proxy?: { readonly httpsProxy: string | undefined; readonly noProxy: string | undefined } | undefined
  /** starts the embedded twin; for a row it knows the application of the row, with the twin's own certificates */
  readonly twin?: ((environment: Environment, ofRow?: ClientNames) => Promise<Counterparty>) | undefined
  /** asks the person at a terminal to type the client id, where it must be repeated and was not */
  readonly ask?: ((question: Question) => Promise<string | undefined>) | undefined
  /** `row`: which row of a run of rows it is about; those of several come mixed */
  readonly onEvent?: ((event: RunEvent | PreparedEvent | GivenEvent, row?: RowFacts) => void) | undefined
  readonly onRow?: ((event: RowEvent) => void) | undefined
  /**
   * Called once the reports are written, or cannot be. The workflows are read from a file as they are iterated, and only during the call:
   * they may be too many to hold in memory.
   */
  readonly onFinished?: ((head: RecordHead, workflows: Iterable<WorkflowRecord>) => void) | undefined
  /** called with each successful answer that changes no registration, unredacted: the caller must keep its secrets */
  readonly onAnswer?: ((answer: { readonly step: string; readonly body: Uint8Array }) => void) | undefined
  /** aborted: the run ends early, after the calls under way that change a client and after the steps that always run */
  readonly signal?: AbortSignal | undefined
  /** aborted after `signal`: it ends at once, and says which of these calls are open */
  readonly cut?: AbortSignal | undefined
  /** for tests of the vault: disks that fail, moments at which the process dies */
  readonly vault?: VaultPorts | undefined
}

/** Who answers in place of the named hosts: the embedded twin, behind TLS on a loopback port or within this process. */
export type Counterparty = AsyncDisposable & {
  /** makes on the twin what workflows are given; without it the twin is treated as any server is */
  readonly fulfil?: Fulfil
  /** from now on it has no clients, as at its start; without it another one is started */
  readonly startOver?: () => void
} & (
    | {
        readonly kind: 'twin'
        readonly connectTo: (host: string, port: number) => { host: string; port: number } | undefined
      }
    | {
        readonly kind: 'twin-in-process'
        answer(request: Request, certificate: X509Certificate | undefined): Promise<Response>
      }
  )

/** What is about to happen to which client. */
export interface Question {
  readonly environment: string
  readonly clientId: string
  readonly changes: readonly { readonly workflowId: string; readonly effect: string }[]
  /** a list of so many rows is confirmed in place of a client, by what stands in `clientId` */
  readonly rows?: number
}

export interface Provenance {
  readonly tool: Pick<RunRecord['tool'], 'commit' | 'dirty' | 'lockfileSha256'>
  readonly origin: NonNullable<RunRecord['origin']>
}

/** Everything is read and checked; the first call comes next. */
export interface PreparedEvent {
  readonly type: 'prepared'
  readonly environment: Environment
  readonly counterparty: RunRecord['counterparty']
  readonly warnings: readonly string[]
  readonly given: readonly Expectation[]
  /** the workflows in the order in which they go out, where they were named in another */
  readonly reordered: readonly string[] | undefined
  /** what a run without names leaves out */
  readonly waiting: readonly Waiting[]
  /** of a run of rows: how many it has, beside those that are left out, and in how many lanes: rows about one client share one */
  readonly rows?:
    | (Omit<NonNullable<RunRecord['rows']>, 'notStarted'> & { readonly running: number; readonly lanes: number })
    | undefined
}

/** A row begins, or has ended. */
export type RowEvent =
  | { readonly type: 'row-started'; readonly row: RowFacts }
  | ({ readonly type: 'row-finished'; readonly row: RowFacts; readonly durationMs: number } & Pick<
      RunRecord,
      'verdict' | 'exitCode'
    >)

/** A row as the record and the reports show it. */
export type RowFacts = NonNullable<WorkflowRecord['row']>

/** Something that a workflow is given holds now, or could not be made so. */
export interface GivenEvent {
  readonly type: 'given'
  readonly given: GivenRecord
}
