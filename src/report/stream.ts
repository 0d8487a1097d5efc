/** The events of a run as JSON lines for other programs (`--json`). Their values are redacted before they come here. */
import type { Problem } from '../record/errors.ts'
import { json } from '../record/foreign.ts'
import type { GivenRecord, RunRecord, StepRecord, WorkflowRecord } from '../record/index.ts'

type Row = NonNullable<WorkflowRecord['row']>

export type StreamEvent =
  | { readonly type: 'dry-run'; readonly workflows: readonly unknown[] }
  | {
      readonly type: 'run-started'
      readonly environment: string
      readonly class: string
      readonly counterparty: RunRecord['counterparty']
      readonly warnings: readonly string[]
      /** what must be so before each workflow begins, and how that is ensured */
      readonly given: readonly Pick<GivenRecord, 'workflowId' | 'name' | 'means' | 'how'>[]
      readonly waiting: readonly NonNullable<RunRecord['waiting']>[number][]
      /** of a run of rows */
      readonly rows?: object | undefined
    }
  | { readonly type: 'row-started'; readonly row: Row }
  | {
      readonly type: 'row-finished'
      readonly row: Row
      readonly verdict: RunRecord['verdict']
      readonly exitCode: number
    }
  | {
      readonly type: 'given'
      readonly given: Omit<GivenRecord, 'setUp'> & {
        /** ids of the workflows that were run to make it so */
        readonly setUp: readonly string[] | undefined
      }
    }
  | { readonly type: 'workflow-started'; readonly workflowId: string; readonly steps: readonly string[] }
  | { readonly type: 'step-started'; readonly stepId: string }
  | { readonly type: 'retry'; readonly stepId: string; readonly attempt: number; readonly delayMs: number }
  | { readonly type: 'registration-kept'; readonly stepId: string; readonly clientId: string; readonly news: string }
  | { readonly type: 'step-finished'; readonly step: StepRecord }
  | { readonly type: 'workflow-finished'; readonly workflow: Omit<WorkflowRecord, 'steps'> }
  | {
      /** after a run of the whole catalogue */
      readonly type: 'requirements'
      readonly inNumbers: string
      readonly rows: readonly { readonly id: string; readonly standing: string; readonly because: string }[]
    }
  | {
      readonly type: 'run-finished'
      readonly verdict: RunRecord['verdict']
      readonly exitCode: number
      /** ids of the requirements that are accepted deviations */
      readonly accepted: readonly string[]
      /** its path; absent where it could not be written */
      readonly record?: string | undefined
      /** why a report could not be written */
      readonly problems?: readonly Problem[]
      readonly messagesToThredd: NonNullable<RunRecord['messagesToThredd']>
    }
  | {
      readonly type: 'refused'
      readonly exitCode: number
      readonly problems: readonly Problem[]
      /** what was noticed on the way to them, such as a misspelt setting */
      readonly warnings: readonly string[]
    }

/** `rowNumber`: of the row that it is about, in a run of rows. */
export function jsonLine(event: StreamEvent, rowNumber?: number): string {
  return `${json({ ...event, rowNumber }, 0)}\n`
}
