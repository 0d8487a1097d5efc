/** Records of steps: before they have run, and when they are finished. Pure. */
import type { CallStep, WorkflowStep } from '../flow/index.ts'
import { plannedEffect } from '../plan/effect.ts'
import type { PlannedStep } from '../plan/index.ts'
import type { StepRecord } from '../record/index.ts'

/** The record of a step that has not run. */
export function notRun({ step }: Pick<PlannedStep, 'step'>): StepRecord {
  return {
    stepId: step.stepId,
    description: step.description,
    at: step.at,
    clauses: step.clauses.length === 0 ? undefined : [...step.clauses],
    status: 'skipped',
    ...(step.kind === 'workflow' ? invoked(step) : called(step)),
    durationMs: 0,
    exchanges: [],
    checks: [],
    outputs: {},
  }
}

function invoked({ invocation: { workflowId } }: WorkflowStep) {
  const operation = { source: 'workflow', operationId: workflowId, method: 'RUN', path: workflowId }
  return { operation, workflowId, identity: 'none' }
}

function called(step: CallStep) {
  const { source, identity, alterations, probe } = step
  const { operationId, method, path } = step.operation
  return {
    operation: { source, operationId, method, path },
    effect: { planned: plannedEffect(step) },
    identity,
    alterations: alterations.length === 0 ? undefined : alterations.map(({ text }) => text),
    probe,
  }
}

/** A step marked `finally` is skipped where it lacks a value, or would undo what the run has not done. */
export function skippedIfNothingToUndo({ step }: PlannedStep, record: StepRecord): StepRecord {
  if (!step.finally || record.status !== 'errored' || record.exchanges.length > 0) return record
  if (record.error?.code !== 'VALUE_UNDEFINED' && record.error?.code !== 'NOT_OWN_CLIENT') return record
  const { error, ...rest } = record
  return { ...rest, status: 'skipped', because: `nothing to do: ${error.message}` }
}

export function withHint(step: StepRecord, hint: string | undefined): StepRecord {
  return step.error === undefined || hint === undefined ? step : { ...step, error: { ...step.error, hint } }
}

export function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
