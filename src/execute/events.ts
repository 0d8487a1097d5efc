/** What happens while a plan is run, in order. The event of a finished workflow has its record. */
import type { PlannedWorkflow } from '../plan/index.ts'
import type { StepRecord, WorkflowRecord } from '../record/index.ts'
import type { Kept } from './ports.ts'

export type RunEvent =
  | { readonly type: 'workflow-started'; readonly planned: PlannedWorkflow }
  | { readonly type: 'step-started'; readonly stepId: string }
  | ({ readonly type: 'registration-kept'; readonly stepId: string } & Kept)
  | { readonly type: 'retry'; readonly stepId: string; readonly attempt: number; readonly delayMs: number }
  | { readonly type: 'step-finished'; readonly step: StepRecord }
  | { readonly type: 'workflow-finished'; readonly workflow: WorkflowRecord }
