/**
 * Runs a plan: workflows in their order, and for each the record of its course. Every effect is an argument, every result a
 * value; nothing is printed and nothing is written here. Events tell progress, the last of a workflow has its record; of
 * what was told nothing is kept that no expression can read.
 */
import { type Ports, round } from '../call.ts'
import type { Plan, PlannedInput, PlannedWorkflow } from '../plan.ts'
import type { WorkflowRecord } from '../record.ts'
import type { Redactor } from '../secret.ts'
import { Course, plainInputs, type RunEvent, STEP_BUDGET } from './course.ts'
import { EndedWorkflows } from './ended.ts'
import type { Transfer } from './inner.ts'
import { WORDS, worst } from './verdict.ts'

export type { Kept, Ports } from '../call.ts'
export type { RunEvent } from './course.ts'

export async function* execute(plan: Plan, ports: Ports, signal: AbortSignal): AsyncGenerator<RunEvent, void> {
  const before = new EndedWorkflows()
  for (const first of plan.workflows) {
    const budget = { left: STEP_BUDGET }
    const statuses: WorkflowRecord['status'][] = []
    const passed = new Set<string>()
    let outputs: Readonly<Record<string, unknown>> = {}
    // A transfer is one way: the workflow it leads to is one of its own.
    for (let next: Transfer | undefined = { planned: first, inputs: first.inputs }; next !== undefined; ) {
      const { planned, inputs }: Transfer = next
      yield { type: 'workflow-started', planned }
      const course = new Course(planned, inputs, { ports, signal, budget, before, prefix: '', depth: 0 })
      const blocked = blockedBy(planned, before) ?? (await ports.given(planned.workflow))
      const record: WorkflowRecord = yield* recorded(course, planned, inputs, ports, blocked)
      yield { type: 'workflow-finished', workflow: record }
      statuses.push(record.status)
      for (const { status, stepId } of record.steps) if (status === 'passed') passed.add(stepId)
      if (planned === first) outputs = course.outputs
      next = course.transfer
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

/** Why a workflow cannot begin: one that it depends on has not passed. */
function blockedBy({ flow, workflow }: PlannedWorkflow, before: EndedWorkflows): string | undefined {
  const missing = workflow.dependsOn.find((name) => before.find(flow, name)?.status !== 'passed')
  if (missing === undefined) return undefined
  const status = before.find(flow, missing)?.status ?? 'skipped'
  return `it depends on workflow "${missing.workflowId}", which ${WORDS[status]}`
}

function shown(input: PlannedInput, redactor: Redactor): unknown {
  if (input.kind !== 'value') return `(${input.kind})`
  return input.secret ? '[secret]' : redactor.value(input.value)
}
