/** A workflow that another one runs: the inputs it is told, and what its end says of the step that ran it. */
import { contextOf, criterionCheck, freshInputs, type Known, type Outcome, type Ports, problemOf } from '../call.ts'
import { fail, type Problem } from '../errors.ts'
import type { Context } from '../flow/expression.ts'
import type { Invocation, WorkflowStep } from '../flow/index.ts'
import { expressionsIn } from '../flow/needs.ts'
import { type PlannedInput, type PlannedWorkflow, passedInput } from '../plan.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record.ts'
import { evaluate, OMITTED } from '../request.ts'
import type { Redactor } from '../secret.ts'
import { WORDS } from './verdict.ts'

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
