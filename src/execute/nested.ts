/**
 * A workflow that another one runs: the inputs that are passed to it, the workflows that run before and after it, and what its
 * result means for the step that ran it.
 */

import { expressionsIn } from '../flow/arazzo/needs.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { Invocation, WorkflowStep } from '../flow/index.ts'
import { type PlannedInput, type PlannedWorkflow, passedInput } from '../plan/index.ts'
import { fail, type Problem } from '../record/errors.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import { withTexts } from '../record/json.ts'
import type { Redactor } from '../secret/index.ts'
import type { Outcome } from './call.ts'
import { criterionCheck, hiddenInputs } from './criteria.ts'
import { contextOf, freshInputs } from './inputs.ts'
import type { Ports, Readable } from './ports.ts'
import { redactedProblem } from './problems.ts'
import { evaluate, OMITTED } from './request.ts'
import type { WorkflowResult, WorkflowResults } from './results.ts'
import { WORDS, worst } from './statuses.ts'

/** A workflow that is to run next, with its inputs. */
export interface Transfer {
  readonly planned: PlannedWorkflow
  readonly inputs: ReadonlyMap<string, PlannedInput>
}

/** The result of a workflow that another one ran, and of those to which it transferred control. */
export interface NestedResult {
  readonly steps: readonly StepRecord[]
  readonly status: WorkflowRecord['status']
  readonly error: Problem | StepRecord['error']
  readonly outputs: Readonly<Record<string, unknown>>
}

/** One run of a workflow, with events of type E. */
export interface Run<E> {
  run(): AsyncGenerator<E, void>
  readonly steps: readonly StepRecord[]
  readonly error: Problem | undefined
  /** the workflow to which it transferred control */
  readonly transfer: Transfer | undefined
  /** once it has run */
  readonly result: WorkflowResult
}

/** Starts a workflow that another one runs; the prefix stands before its step ids. */
export type Start<E> = (transfer: Transfer, prefix: string) => Run<E>

/**
 * Runs a workflow for another one, then those to which it transfers control; the outputs are those of the last. Before each of
 * them run the workflows that it depends on and that have not run.
 * @see [Arazzo 1.1 Workflow Object dependsOn](https://spec.openapis.org/arazzo/v1.1.0.html#workflow-object)
 */
export async function* runNested<E>(
  first: Transfer,
  results: WorkflowResults,
  start: Start<E>,
): AsyncGenerator<E, NestedResult> {
  const steps: StepRecord[] = []
  const statuses: WorkflowRecord['status'][] = []
  let error: NestedResult['error']
  let outputs: NestedResult['outputs'] = {}
  for (let next: Transfer | undefined = first; next !== undefined; ) {
    const { planned }: Transfer = next
    steps.push(...(yield* runDependencies(planned, results, start)))
    const obstacle = results.obstacle(planned)
    if (obstacle !== undefined) {
      const message = `workflow "${planned.workflow.workflowId}" did not begin: ${obstacle}`
      return { steps, status: 'errored', error: { code: 'VALUE_UNDEFINED', message }, outputs: {} }
    }
    const run = start(next, '')
    yield* run.run()
    results.add(planned.flow, planned.workflow.workflowId, run.result)
    steps.push(...run.steps)
    statuses.push(run.result.status)
    error = run.error ?? error
    outputs = run.result.outputs
    next = run.transfer
  }
  return { steps, status: worst(statuses), error: error ?? steps.find((step) => step.error)?.error, outputs }
}

/** Stops at the first that does not pass. Returns the steps of all that ran. */
async function* runDependencies<E>(
  planned: PlannedWorkflow,
  results: WorkflowResults,
  start: Start<E>,
): AsyncGenerator<E, readonly StepRecord[]> {
  const steps: StepRecord[] = []
  for (const one of results.missingDependencies(planned)) {
    const prefix = `dependsOn/${one.workflow.workflowId}/`
    const transfer = { planned: one, inputs: one.inputs }
    const result = yield* runNested(transfer, results, (next, deeper) => start(next, prefix + deeper))
    steps.push(...result.steps)
    if (result.status !== 'passed') break
  }
  return steps
}

/** The workflow with its arguments as inputs. @throws ToolError where a value is missing or does not fit */
export async function withArguments(
  planned: PlannedWorkflow,
  invocation: Invocation,
  {
    by,
    context,
    inputs: own,
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
  const fresh = await freshInputs(names, own, '', ports)
  const complete: Context = { ...context, inputs: (name) => fresh.get(name) ?? context.inputs(name) }
  for (const [name, value] of invocation.arguments) {
    const declared = planned.workflow.inputs.find((input) => input.name === name)
    const passed = evaluate(value, complete, own)
    if (declared === undefined) continue
    const { secret = declared.secret } = planned.inputs.get(name) ?? {}
    if (passed !== OMITTED) inputs.set(name, passedInput(declared, passed, { by, secret }))
    else if (!declared.required) inputs.set(name, { kind: 'absent', secret, origin: { label: by } })
    else {
      const message = `input "${name}" of workflow "${invocation.workflowId}" has no value`
      fail({ code: 'VALUE_UNDEFINED', message })
    }
  }
  return { planned, inputs }
}

/** The step passes when the workflow passed and the step's own criteria hold on what the workflow returned. */
export function judgeNested(
  step: WorkflowStep,
  { status, error, outputs }: NestedResult,
  readable: Readable,
  redactor: Redactor,
): Omit<Outcome, 'step'> & { readonly step: Partial<StepRecord> & Pick<StepRecord, 'status'> } {
  const { workflowId } = step.invocation
  const context: Context = { ...contextOf(readable), outputs }
  if (status === 'errored') {
    const problem = error ?? { code: 'VALUE_UNDEFINED', message: `workflow "${workflowId}" came to no verdict` }
    return { step: { status, error: redactor.record(problem) }, context, values: {} }
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
  const hidden = hiddenInputs(readable.inputs, redactor)
  const checks = [
    own,
    ...criteria.map((criterion, index) => criterionCheck(criterion, index, context, { hidden, redactor })),
  ]
  const judged = { checks: redactor.checks(checks) }
  if (checks.some((check) => check.status === 'fail'))
    return { step: { status: 'failed', ...judged }, context, values: {} }
  try {
    const outcome = [...step.outputs].map(([name, value]) => [name, evaluate(value, context, readable.inputs)])
    const values: Readonly<Record<string, unknown>> = Object.fromEntries(outcome)
    return { step: { status: 'passed', ...judged, outputs: redactor.value(withTexts(values)) }, context, values }
  } catch (failure) {
    const problem = redactedProblem(failure, redactor)
    return { step: { status: 'errored', ...judged, error: problem }, context, values: {} }
  }
}
