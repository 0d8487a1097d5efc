/** The effects that execution needs, each an argument. */
import type { Context } from '../flow/expression/expression.ts'
import type { Workflow } from '../flow/index.ts'
import type { JwtChanges } from '../identity/jwt.ts'
import type { AssertionPlan, PlannedInput, PlannedWorkflow, VaultMember } from '../plan/index.ts'
import type { Change } from '../record/effect.ts'
import type { Problem } from '../record/errors.ts'
import type { Redactor, Secret } from '../secret/index.ts'
import type { Transport } from '../transport/transport.ts'

/** News of a registration that the vault has kept. */
export interface Kept {
  readonly clientId: string
  /** a first registration, or a token that replaces an earlier one */
  readonly news: 'registered' | 'rotated'
  /** earlier entries of the client could not be read; the answer is kept all the same */
  readonly problem?: Problem | undefined
}

/** As it came, before it is parsed, decoded or judged. */
export interface RawAnswer {
  readonly status: number
  readonly body: Uint8Array
  /** Content-Encoding */
  readonly coding: string | undefined
  /** the body is a whole message that no HTTP parser took: where its own body begins, and whether that comes in chunks */
  readonly message?: { readonly bodyAt: number; readonly isChunked: boolean } | undefined
}

/** A call that the vault has written down, and that stays open until it is known how it ended. */
export interface Intent {
  /** Durable when it resolves; `onWritten` is called before, as soon as it is written: then others may look at it. */
  keep(answer: RawAnswer, onWritten?: () => void): Promise<Kept | undefined>
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/** The step that calls. */
interface Caller {
  readonly step: string
  /** the one that it presents: a configured identity's name, or "none" */
  readonly identity: string
}

/** The effects that execution needs. Time and ids are among them, so that tests can fix both. */
export interface Ports {
  readonly transport: Transport
  /** a freshly signed client assertion with an unused jti */
  readonly sign: (assertion: AssertionPlan, changes?: JwtChanges) => Promise<Secret>
  /** a JWT that others signed, with another signature */
  readonly alter: (jwt: string, changes: JwtChanges) => Promise<Secret>
  readonly vault: {
    /** Whether a call goes to the URI of a client that is known, or carries its token. */
    manages(call: { readonly url: string; readonly authorization: string | undefined }): Promise<boolean>
    /** Writes a call down that changes a registration, durably, before it leaves. */
    begin(
      call: Caller & {
        readonly effect: Change
        readonly method: string
        readonly url: string
        readonly authorization: string | undefined
        /** the step holds when the server refuses the call */
        readonly mustBeRefused: boolean
      },
    ): Promise<Intent>
    /** Durable when it resolves; undefined for an answer that registers nothing new. */
    keep(answer: RawAnswer & Caller, onWritten?: () => void): Promise<Kept | undefined>
    /** A call with these credentials succeeded and brought no new ones. */
    worked(authorization: string, by: Caller): Promise<void>
    read(member: VaultMember): Promise<string | undefined>
  }
  /** Establishes what a workflow is given. Returns why the workflow cannot begin, if it cannot. */
  readonly given: (workflow: Workflow) => Promise<string | undefined>
  readonly redactor: Redactor
  readonly userAgent: string
  readonly now: () => Date
  /** monotonic milliseconds */
  readonly clock: () => number
  /** Resolves after that time or, at once, when the signal is aborted. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** aborted: the calls that change a client end too although they have been sent, and so do the steps marked `finally` */
  readonly cut: AbortSignal
}

/** What the expressions of a workflow can read at one moment. */
export interface Readable {
  readonly inputs: ReadonlyMap<string, PlannedInput>
  readonly outputs: ReadonlyMap<string, { readonly outputs: Readonly<Record<string, unknown>> }>
  readonly workflows: NonNullable<Context['workflows']>
  /** what the document says of itself and of its sources */
  readonly document: {
    readonly flow: { readonly self?: string | undefined }
    readonly sources: PlannedWorkflow['sources']
  }
}
