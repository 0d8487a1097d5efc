/**
 * Runs a plan: workflows in their order, and for each the record of its course. Every effect is an argument, every result a
 * value; nothing is printed and nothing is written here. Events tell progress, the last of a workflow has its record; of
 * what was told nothing is kept that no expression can read.
 */

import type { Plan, PlannedInput, PlannedWorkflow } from '../plan/index.ts'
import type { WorkflowRecord } from '../record/index.ts'
import type { Redactor } from '../secret/index.ts'
import { type Ports, round } from './call.ts'
import { EndedWorkflows } from './ended.ts'
import type { Transfer } from './inner.ts'
import { worst } from './verdict.ts'
import { Course, plainInputs, type RunEvent, STEP_BUDGET } from './workflow-run.ts'

export type { Kept, Ports } from './call.ts'
export type { RunEvent } from './workflow-run.ts'

export async function* execute(plan: Plan, ports: Ports, signal: AbortSignal): AsyncGenerator<RunEvent, void> {
  const before = new EndedWorkflows()
  for (const first of plan.workflows) {
    const ended = new EndedWorkflows(before)
    const shared = { ports, signal, budget: { left: STEP_BUDGET }, retries: new Map(), ended, prefix: '', depth: 0 }
    const statuses: WorkflowRecord['status'][] = []
    const passed = new Set<string>()
    let outputs: Readonly<Record<string, unknown>> = {}
    const next = toRun({ planned: first, inputs: first.inputs }, ended)
    for (let one = next.shift(); one !== undefined; one = next.shift()) {
      const { planned, inputs } = one
      yield { type: 'workflow-started', planned }
      const course = new Course(planned, inputs, shared)
      const blocked = ended.obstacle(planned) ?? (await ports.given(planned.workflow))
      const record: WorkflowRecord = yield* recorded(course, planned, inputs, ports, blocked)
      yield { type: 'workflow-finished', workflow: record }
      ended.add(planned.flow, planned.workflow.workflowId, { ...course.ended, status: record.status })
      statuses.push(record.status)
      for (const { status, stepId } of record.steps) if (status === 'passed') passed.add(stepId)
      if (planned === first) outputs = course.outputs
      // A transfer is one way: the workflow it leads to is one of its own.
      if (course.transfer !== undefined) next.unshift(...toRun(course.transfer, ended))
    }
    before.add(first.flow, first.workflow.workflowId, {
      status: worst(statuses),
      inputs: plainInputs(first.inputs),
      outputs,
      passed,
    })
  }
}

async function* recorded(
  course: Course,
  { flow, workflow }: PlannedWorkflow,
  inputs: ReadonlyMap<string, PlannedInput>,
  { now, clock, redactor }: Ports,
  blocked: string | undefined,
): AsyncGenerator<RunEvent, WorkflowRecord> {
  const startedAt = now().toISOString()
  const start = clock()
  if (blocked === undefined) yield* course.run()
  else yield* course.skip(blocked)
  return {
    workflowId: workflow.workflowId,
    summary: workflow.summary,
    flow: { file: flow.file, sha256: flow.sha256, title: flow.title },
    effect: workflow.effect,
    safety: workflow.safety,
    clauses: [...workflow.clauses],
    notice: workflow.notice,
    status: blocked === undefined ? course.status : 'skipped',
    inputs: [...inputs].map(([name, input]) => ({ name, source: input.origin.label, value: shown(input, redactor) })),
    steps: course.steps,
    outputs: redactor.value(course.outputs),
    error: redactor.value(course.error),
    startedAt,
    durationMs: round(clock() - start),
  }
}

/** The workflow, after those that it depends on and that have not run (Arazzo 1.1 Workflow Object dependsOn). */
function toRun(transfer: Transfer, ended: EndedWorkflows): Transfer[] {
  const before = ended.awaitedBy(transfer.planned).map((planned) => ({ planned, inputs: planned.inputs }))
  return [...before, transfer]
}

function shown(input: PlannedInput, redactor: Redactor): unknown {
  if (input.kind !== 'value') return `(${input.kind})`
  return input.secret ? '[secret]' : redactor.value(input.value)
}
