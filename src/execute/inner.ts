/**
 * A workflow that another one runs: the inputs it is told, what runs before and after it, and what its end says of the step
 * that ran it.
 */

import { expressionsIn } from '../flow/arazzo/needs.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { Invocation, WorkflowStep } from '../flow/index.ts'
import { type PlannedInput, type PlannedWorkflow, passedInput } from '../plan/index.ts'
import { fail, type Problem } from '../record/errors.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import type { Redactor } from '../secret/index.ts'
import { contextOf, criterionCheck, freshInputs, type Known, type Outcome, type Ports, problemOf } from './call.ts'
import type { Ended, EndedWorkflows } from './ended.ts'
import { evaluate, OMITTED } from './request.ts'
import { WORDS, worst } from './verdict.ts'

/** Where control goes on, with what it is told. */
export interface Transfer {
  readonly planned: PlannedWorkflow
  readonly inputs: ReadonlyMap<string, PlannedInput>
}

/** What came of a workflow within another. */
export interface Inside {
  readonly steps: readonly StepRecord[]
  readonly status: WorkflowRecord['status']
  readonly error: Problem | StepRecord['error']
  readonly outputs: Readonly<Record<string, unknown>>
}

/** One walk through a workflow, with the events of type E that it tells. */
export interface Walk<E> {
  run(): AsyncGenerator<E, void>
  readonly steps: readonly StepRecord[]
  readonly error: Problem | undefined
  /** where control goes on instead of back */
  readonly transfer: Transfer | undefined
  /** what others can read of it once it has run */
  readonly ended: Ended
}

/** How a workflow within another one is begun; the prefix stands before its step ids. */
export type Begin<E> = (transfer: Transfer, prefix: string) => Walk<E>

/**
 * Runs a workflow within another, and those to which it transfers control: what ends last returns. Before each of them run
 * the workflows that it depends on and that have not run.
 * @see [Arazzo 1.1 Workflow Object dependsOn](https://spec.openapis.org/arazzo/v1.1.0.html#workflow-object)
 */
export async function* runInside<E>(
  first: Transfer,
  ended: EndedWorkflows,
  begin: Begin<E>,
): AsyncGenerator<E, Inside> {
  const steps: StepRecord[] = []
  const statuses: WorkflowRecord['status'][] = []
  let error: Inside['error']
  let outputs: Inside['outputs'] = {}
  for (let next: Transfer | undefined = first; next !== undefined; ) {
    const { planned }: Transfer = next
    steps.push(...(yield* runDependencies(planned, ended, begin)))
    const obstacle = ended.obstacle(planned)
    if (obstacle !== undefined) {
      const message = `workflow "${planned.workflow.workflowId}" did not begin: ${obstacle}`
      return { steps, status: 'errored', error: { code: 'VALUE_UNDEFINED', message }, outputs: {} }
    }
    const walk = begin(next, '')
    yield* walk.run()
    ended.add(planned.flow, planned.workflow.workflowId, walk.ended)
    steps.push(...walk.steps)
    statuses.push(walk.ended.status)
    error = walk.error ?? error
    outputs = walk.ended.outputs
    next = walk.transfer
  }
  return { steps, status: worst(statuses), error: error ?? steps.find((step) => step.error)?.error, outputs }
}

/** Stops at the first that does not pass. Returns the steps of all. */
async function* runDependencies<E>(
  planned: PlannedWorkflow,
  ended: EndedWorkflows,
  begin: Begin<E>,
): AsyncGenerator<E, readonly StepRecord[]> {
  const steps: StepRecord[] = []
  for (const one of ended.awaitedBy(planned)) {
    const prefix = `dependsOn/${one.workflow.workflowId}/`
    const transfer = { planned: one, inputs: one.inputs }
    const result = yield* runInside(transfer, ended, (next, deeper) => begin(next, prefix + deeper))
    steps.push(...result.steps)
    if (result.status !== 'passed') break
  }
  return steps
}

/** The workflow with the inputs it is told. Throws ToolError where a value is missing or does not fit. */
export async function prepare(
  planned: PlannedWorkflow,
  invocation: Invocation,
  {
    by,
    context,
    inputs: known,
    ports,
  }: {
    readonly by: string
    readonly context: Context
    readonly inputs: ReadonlyMap<string, PlannedInput>
    readonly ports: Ports
  },
): Promise<Transfer> {
  const inputs = new Map(planned.inputs)
  const read = [...invocation.arguments.values()].flatMap(expressionsIn)
  const names = new Set(read.flatMap((one) => (one.kind === 'inputs' ? [one.name] : [])))
  const fresh = await freshInputs(names, known, ports)
  const complete: Context = { ...context, inputs: (name) => fresh.get(name) ?? context.inputs(name) }
  for (const [name, value] of invocation.arguments) {
    const declared = planned.workflow.inputs.find((input) => input.name === name)
    const passed = evaluate(value, complete, known)
    if (declared === undefined) continue
    if (passed !== OMITTED) inputs.set(name, passedInput(declared, passed, by))
    else if (!declared.required) inputs.set(name, { kind: 'absent', secret: declared.secret, origin: { label: by } })
    else {
      const message = `input "${name}" of workflow "${invocation.workflowId}" has no value`
      fail({ code: 'VALUE_UNDEFINED', message })
    }
  }
  return { planned, inputs }
}

/** The step holds when the workflow passed and its own criteria hold on what that returned. */
export function judgeInner(
  step: WorkflowStep,
  { status, error, outputs }: Inside,
  known: Known,
  redactor: Redactor,
): Omit<Outcome, 'step'> & { readonly step: Partial<StepRecord> & Pick<StepRecord, 'status'> } {
  const { workflowId } = step.invocation
  const context: Context = { ...contextOf(known), outputs }
  if (status === 'errored') {
    const problem = error ?? { code: 'VALUE_UNDEFINED', message: `workflow "${workflowId}" came to no verdict` }
    return { step: { status, error: redactor.value(problem) }, context, values: {} }
  }
  const own: CheckRecord = {
    id: 'workflow',
    status: status === 'passed' ? 'pass' : 'fail',
    level: 'must',
    clauses: [],
    title: `workflow "${workflowId}" passes`,
    expected: 'passed',
    actual: WORDS[status],
    at: step.at,
  }
  const criteria = status === 'passed' ? step.criteria : []
  const checks = [own, ...criteria.map((criterion, index) => criterionCheck(criterion, index, context))]
  const judged = { checks: redactor.value(checks) }
  if (checks.some((check) => check.status === 'fail'))
    return { step: { status: 'failed', ...judged }, context, values: {} }
  try {
    const outcome = [...step.outputs].map(([name, value]) => [name, evaluate(value, context, known.inputs)])
    const values: Readonly<Record<string, unknown>> = Object.fromEntries(outcome)
    return { step: { status: 'passed', ...judged, outputs: redactor.value(values) }, context, values }
  } catch (failure) {
    const problem = redactor.value(problemOf(failure))
    return { step: { status: 'errored', ...judged, error: problem }, context, values: {} }
  }
}
