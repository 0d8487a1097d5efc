/** What calls do to a registration, told by method and path before anything is known of an answer. A table and its use. */
import { EFFECTS, type Effect, type Flow, type Step, type Workflow } from '../arazzo/model.ts'
import { withDependencies, workflowOf } from '../arazzo/needs.ts'
import type { Operation } from './description.ts'

export type Change = Exclude<Effect, 'read'>

/** RFC 7591 and RFC 7592 name no paths; these are the ones that servers have. */
const REGISTRATION = /\/(?:register|registrations?|dcr|clients?)(?:\/|$)/i
const CHANGE_OF: Readonly<Record<string, Change>> = {
  POST: 'register',
  PUT: 'update',
  PATCH: 'update',
  DELETE: 'delete',
}

export function effectOfOperation({ method, path }: Pick<Operation, 'method' | 'path'>): Effect {
  return (REGISTRATION.test(path) ? CHANGE_OF[method] : undefined) ?? 'read'
}

/** The heavier of two. */
export function heavier(one: Effect, other: Effect): Effect {
  return EFFECTS.indexOf(one) < EFFECTS.indexOf(other) ? other : one
}

/** A step that changes a registration. */
export interface ChangingStep {
  readonly step: Step
  readonly change: Change
}

/** In the order in which they run, those of the workflows that steps run, and of what these depend on, in their place. */
export function changingSteps(flow: Flow, workflow: Workflow, within: readonly Workflow[] = []): ChangingStep[] {
  if (within.includes(workflow)) return []
  const hasRun = new Set(withDependencies(flow, workflow).map((one) => one.workflow))
  return workflow.steps.flatMap((step): ChangingStep[] => {
    if (step.kind === 'call') {
      const change = effectOfOperation(step.operation)
      return change === 'read' ? [] : [{ step, change }]
    }
    const invoked = workflowOf(flow, step.invocation)
    const ran = invoked === undefined ? [] : withDependencies(invoked.flow, invoked.workflow)
    return ran
      .filter((one) => !hasRun.has(one.workflow))
      .flatMap((one) => changingSteps(one.flow, one.workflow, [...within, workflow]))
  })
}
