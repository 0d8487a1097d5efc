/**
 * Runs a plan: its workflows in their order, each to a record. Every effect is an argument, every result an event; nothing is
 * printed or written here. A record is not kept once its event was read, so that memory does not grow with a run; what later
 * expressions can read is.
 */

import { inputsWithin, type Plan, type PlannedInput, type PlannedWorkflow, plannedWithin } from '../plan/index.ts'
import type { Problem } from '../record/errors.ts'
import type { WorkflowRecord } from '../record/index.ts'
import { withTexts } from '../record/json.ts'
import type { Redactor } from '../secret/index.ts'
import type { RunEvent } from './events.ts'
import type { Transfer } from './nested.ts'
import type { Ports } from './ports.ts'
import { problemOf } from './problems.ts'
import { plainInputs, WorkflowResults } from './results.ts'
import { worst } from './statuses.ts'
import { round } from './step-record.ts'
import { STEP_BUDGET, WorkflowRun } from './workflow-run.ts'

export type { RunEvent } from './events.ts'
export type { Kept, Ports } from './ports.ts'

export async function* execute(plan: Plan, ports: Ports, signal: AbortSignal): AsyncGenerator<RunEvent, void> {
  const before = new WorkflowResults()
  for (const first of plan.workflows) {
    const results = new WorkflowResults(before)
    const shared = { ports, signal, budget: { left: STEP_BUDGET }, retries: new Map(), results, prefix: '', depth: 0 }
    const statuses: WorkflowRecord['status'][] = []
    const passed = new Set<string>()
    let outputs: Readonly<Record<string, unknown>> = {}
    const next = toRun({ planned: first, inputs: first.inputs }, results)
    for (let one = next.shift(); one !== undefined; one = next.shift()) {
      const { planned, inputs } = one
      yield { type: 'workflow-started', planned }
      const workflowRun = new WorkflowRun(planned, inputs, shared)
      const blocked = results.obstacle(planned) ?? (await given(planned, ports, workflowRun))
      const record: WorkflowRecord = yield* recorded(workflowRun, planned, inputs, ports, blocked)
      yield { type: 'workflow-finished', workflow: record }
      results.add(planned.flow, planned.workflow.workflowId, { ...workflowRun.result, status: record.status })
      statuses.push(record.status)
      for (const { status, stepId } of record.steps) if (status === 'passed') passed.add(stepId)
      if (planned === first) outputs = workflowRun.outputs
      // Control does not come back: the workflow that it is transferred to has a record of its own.
      if (workflowRun.transfer !== undefined) next.unshift(...toRun(workflowRun.transfer, results))
    }
    before.add(first.flow, first.workflow.workflowId, {
      status: worst(statuses),
      inputs: plainInputs(first.inputs),
      outputs,
      passed,
    })
  }
}

/** Why the workflow cannot begin; where that could not be found out, it has an error. */
async function given(
  { workflow }: PlannedWorkflow,
  ports: Ports,
  workflowRun: WorkflowRun,
): Promise<string | undefined> {
  try {
    return await ports.given(workflow)
  } catch (error) {
    const problem = problemOf(error)
    workflowRun.error = problem
    return problem.message
  }
}

async function* recorded(
  workflowRun: WorkflowRun,
  planned: PlannedWorkflow,
  inputs: ReadonlyMap<string, PlannedInput>,
  { now, clock, redactor }: Ports,
  blocked: string | undefined,
): AsyncGenerator<RunEvent, WorkflowRecord> {
  const { flow, workflow } = planned
  const startedAt = now().toISOString()
  const start = clock()
  if (blocked === undefined) yield* workflowRun.run()
  else yield* workflowRun.skip(blocked)
  const { error, steps } = workflowRun
  const ranNothing = error === undefined && steps.length > 0 && steps.every(({ status }) => status === 'skipped')
  return {
    workflowId: workflow.workflowId,
    summary: workflow.summary,
    flow: { file: flow.file, sha256: flow.sha256, title: flow.title, parts: partsOf(planned) },
    effect: workflow.effect,
    safety: workflow.safety,
    clauses: [...workflow.clauses],
    notice: workflow.notice,
    status: ranNothing ? 'skipped' : workflowRun.status,
    inputs: [...inputsWithin(planned, inputs)].map(([name, input]) => ({
      name,
      source: input.origin.label,
      value: shown(name, input, redactor),
    })),
    steps: workflowRun.steps,
    outputs: redactor.value(withTexts(workflowRun.outputs)),
    error: redactor.record(ranNothing && blocked === undefined ? notTested(workflowRun) : workflowRun.error),
    startedAt,
    durationMs: round(clock() - start),
  }
}

/** It began, and each of its steps was skipped. */
function notTested({ steps }: WorkflowRun): Problem {
  const because = steps.find((step) => step.because !== undefined)?.because ?? 'no reason was given'
  return { code: 'NOT_TESTED', message: `not tested: ${because}` }
}

/** The workflow, after those that it depends on and that have not run (Arazzo 1.1 Workflow Object dependsOn). */
function toRun(transfer: Transfer, results: WorkflowResults): Transfer[] {
  const before = results.missingDependencies(transfer.planned).map((planned) => ({ planned, inputs: planned.inputs }))
  return [...before, transfer]
}

/** The other files whose workflows it runs. */
function partsOf(planned: PlannedWorkflow): WorkflowRecord['flow']['parts'] {
  const flows = new Map(plannedWithin(planned).map(({ flow: { file, sha256 } }) => [file, { file, sha256 }]))
  flows.delete(planned.flow.file)
  return flows.size === 0 ? undefined : [...flows.values()]
}

/** The value as the record may have it. */
function shown(name: string, input: PlannedInput, redactor: Redactor): unknown {
  if (input.kind !== 'value') return `(${input.kind})`
  return input.secret ? '[secret]' : Object.values(redactor.value({ [name]: withTexts(input.value) }))[0]
}
