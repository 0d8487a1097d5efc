/** Which steps of a workflow change a registration. */
import type { Flow, Step, Workflow } from '../flow/arazzo/model.ts'
import { withDependencies, workflowOf } from '../flow/arazzo/needs.ts'
import { type Change, effectOfOperation } from '../flow/openapi/effect.ts'

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
