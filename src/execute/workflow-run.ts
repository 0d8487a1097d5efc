/**
 * One run of a workflow: its steps along the path that their actions choose, with retries, cases and nested workflows, and at
 * the end the steps marked `finally`.
 */

import { expressionsIn, nestedSteps } from '../flow/arazzo/needs.ts'
import type { Context, Expression } from '../flow/expression/expression.ts'
import type { Dependency, Invocation, Step, Target } from '../flow/index.ts'
import { workflowEffect } from '../plan/effect.ts'
import {
  type PlannedCall,
  type PlannedInput,
  type PlannedStep,
  type PlannedWorkflow,
  plainValue,
} from '../plan/index.ts'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import type { Exchange, StepRecord } from '../record/index.ts'
import { FILE_LIMITS } from '../record/limits.ts'
import { Call, type Outcome } from './call.ts'
import { casesCheck, runCases, sumOf } from './cases.ts'
import { Deadline } from './deadline.ts'
import type { RunEvent } from './events.ts'
import { contextOf } from './inputs.ts'
import { judgeNested, type NestedResult, runNested, type Transfer, withArguments } from './nested.ts'
import { delayBefore, type FollowUp, followUp, nextAction } from './next.ts'
import type { Ports, Readable } from './ports.ts'
import { problemOf, redactedProblem } from './problems.ts'
import { evaluate } from './request.ts'
import { plainInputs, type WorkflowResult, WorkflowResults } from './results.ts'
import { WORDS } from './statuses.ts'
import { notRun, round, skippedIfNothingToUndo, withHint } from './step-record.ts'

/** More steps than any sensible flow takes: an endless loop ends here. */
export const STEP_BUDGET = FILE_LIMITS.steps.value
/** How many workflows may run within each other. */
const DEEPEST = FILE_LIMITS.nestedWorkflows.value
/** How long the steps marked `finally` may take together once the run is interrupted. */
const LAST_STEPS_MS = FILE_LIMITS.lastSteps.value

/** What all the workflows share that run within each other, and the place of this one among them. */
interface Shared {
  readonly ports: Ports
  readonly signal: AbortSignal
  /** steps that may still be run, counted over all workflows that run each other */
  readonly budget: { left: number }
  /** retries made so far, by step and action, of the steps that are being run */
  readonly retries: Map<string, Map<string, number>>
  readonly results: WorkflowResults
  /** before the step ids of a workflow that another one runs */
  readonly prefix: string
  readonly depth: number
}

/** What came of a step, and what happens next. */
type Result = Outcome & { readonly next?: FollowUp | undefined }

/** `results` are those of the workflows that the step ran; a repetition runs them again. */
type Attempt = Outcome & { readonly nestedSteps: readonly StepRecord[]; readonly results: WorkflowResults }

export class WorkflowRun {
  readonly steps: StepRecord[] = []
  /** why the workflow did not end as its steps did */
  error: Problem | undefined
  outputs: Readonly<Record<string, unknown>> = {}
  /** the workflow to which control was transferred */
  transfer: Transfer | undefined
  readonly #planned: PlannedWorkflow
  readonly #readable: Readable
  readonly #shared: Shared
  /** workflows that ran before this one or within it */
  readonly #workflows: Map<string, Pick<WorkflowResult, 'inputs' | 'outputs'>>
  readonly #outputs = new Map<string, { readonly outputs: Readonly<Record<string, unknown>> }>()
  /** with those of steps that did not pass, for the steps that undo them */
  readonly #allOutputs = new Map<string, { readonly outputs: Readonly<Record<string, unknown>> }>()
  #hasBegun = false

  constructor(planned: PlannedWorkflow, inputs: ReadonlyMap<string, PlannedInput>, shared: Shared) {
    this.#planned = planned
    this.#shared = shared
    this.#workflows = new Map(shared.results.of(planned.flow))
    this.#readable = { inputs, outputs: this.#outputs, workflows: this.#workflows, document: planned }
  }

  async *run(): AsyncGenerator<RunEvent, void> {
    const { redactor } = this.#shared.ports
    for (const [name, input] of this.#readable.inputs) {
      if (input.kind !== 'value') continue
      if (input.secret) redactor.add({ value: plainValue(input), name })
      // What is no secret may hold some.
      else redactor.learn({ [name]: input.value })
    }
    const because = yield* this.#runToEnd()
    yield* this.#skipRest(because, (step) => !step.finally)
    yield* this.#lastSteps(because)
    if (this.status === 'passed') this.#readOutputs()
  }

  /** Records all steps as skipped. */
  async *skip(because: string): AsyncGenerator<RunEvent, void> {
    yield* this.#skipRest(because, () => true)
  }

  get status(): 'passed' | 'failed' | 'errored' {
    if (this.steps.some((step) => step.status === 'failed')) return 'failed'
    if (this.error !== undefined || this.steps.some((step) => step.status === 'errored')) return 'errored'
    return 'passed'
  }

  /** What other workflows can read of it. */
  get result(): WorkflowResult {
    const { prefix } = this.#shared
    const passed = this.steps
      .filter((step) => step.status === 'passed')
      .map(({ stepId }) => stepId.slice(prefix.length))
    const { status, outputs } = this
    return { status, inputs: plainInputs(this.#readable.inputs), outputs, passed: new Set(passed) }
  }

  /** The steps marked `finally` come next whatever happens here. */
  async *#runToEnd(): AsyncGenerator<RunEvent, string> {
    try {
      return yield* this.#runSteps()
    } catch (error) {
      this.error = problemOf(error)
      return this.error.message
    }
  }

  /** Runs the steps along their path to its end. Returns why the other steps were not reached. */
  async *#runSteps(): AsyncGenerator<RunEvent, string> {
    const steps = this.#planned.steps.filter(({ step }) => !step.finally)
    const { signal, budget } = this.#shared
    for (let index = 0; index < steps.length; ) {
      const planned = steps[index]
      if (planned === undefined) break
      if (signal.aborted) return this.#interrupted(signal)
      if (budget.left <= 0) return this.#exhausted()
      this.#hasBegun = true
      const { step, next, context } = yield* this.#step(planned, signal)
      if (signal.aborted && step.status === 'errored') return this.#interrupted(signal)
      const name = planned.step.stepId
      if (next?.type === 'end') return `step "${name}" ended the workflow`
      if (next?.type === 'goto') {
        const { to } = next
        if (to.kind === 'workflow') return await this.#leave(to.invocation, name, context)
        index = steps.findIndex((one) => one.step.stepId === to.stepId)
      } else if (step.status === 'passed') index++
      else return `step "${name}" ${step.status}`
    }
    return 'the path taken did not lead here'
  }

  async #leave(invocation: Invocation, stepId: string, context: Context): Promise<string> {
    try {
      this.transfer = await this.#withArguments(invocation, `step "${stepId}"`, context)
      return `step "${stepId}" went on to workflow "${invocation.workflowId}"`
    } catch (error) {
      this.error = problemOf(error)
      return this.error.message
    }
  }

  /** Whoever stops a run with a reason is quoted. */
  #interrupted({ reason }: AbortSignal): string {
    this.error =
      reason instanceof ToolError ? reason.problems[0] : { code: 'INTERRUPTED', message: 'the run was interrupted' }
    return this.error.message
  }

  #exhausted(): string {
    this.error = {
      code: 'STEP_BUDGET',
      message: `the workflow did not end within ${STEP_BUDGET} steps`,
      hint: 'a goto leads back to an earlier step without a way out',
    }
    return this.error.message
  }

  async *#skipRest(because: string, which: (step: Step) => boolean): AsyncGenerator<RunEvent, void> {
    const { flow, workflow } = this.#planned
    for (const { id, step, outermost } of nestedSteps(flow, workflow)) {
      const stepId = this.#shared.prefix + id
      if (!which(outermost) || this.steps.some((one) => one.stepId === stepId)) continue
      yield* this.#finished({ ...notRun({ step }), stepId, status: 'skipped', because })
    }
  }

  /** The steps marked `finally`; an interruption of the run only limits their time. */
  async *#lastSteps(because: string): AsyncGenerator<RunEvent, void> {
    const last = this.#planned.steps.filter(({ step }) => step.finally)
    if (!this.#hasBegun && last.length > 0) yield* this.#skipRest(because, () => true)
    if (!this.#hasBegun || last.length === 0) return
    const { signal, ports } = this.#shared
    using deadline = Deadline.after(signal, ports, LAST_STEPS_MS)
    for (const planned of last) yield* this.#step(planned, deadline.signal)
  }

  /** A step with all its cases or retries, and the action that follows. An unexpected error ends no more than the step. */
  async *#step(planned: PlannedStep, signal: AbortSignal): AsyncGenerator<RunEvent, Result> {
    try {
      return yield* this.#stepOrCases(planned, signal)
    } catch (failure) {
      const error = redactedProblem(failure, this.#shared.ports.redactor)
      const stepId = this.#shared.prefix + planned.step.stepId
      const step = yield* this.#finished({ ...notRun(planned), stepId, status: 'errored', error })
      return { step, context: contextOf(this.#readable), values: {} }
    }
  }

  async *#stepOrCases(planned: PlannedStep, signal: AbortSignal): AsyncGenerator<RunEvent, Result> {
    const missing = planned.step.dependsOn.find((one) => !this.#isMet(one))
    if (missing !== undefined) {
      const { workflow, stepId: id } = missing
      const name = workflow === undefined ? id : `${workflow.workflowId} / ${id}`
      const message = `it depends on step "${name}", which has not passed`
      const error: Problem = { code: 'VALUE_UNDEFINED', message, at: planned.step.at }
      const stepId = this.#shared.prefix + planned.step.stepId
      const step = yield* this.#finished(
        skippedIfNothingToUndo(planned, { ...notRun(planned), stepId, status: 'errored', error }),
      )
      const context = contextOf(this.#readable)
      return { step, context, values: {}, next: this.#followUp(planned.step, step, context) }
    }
    if (planned.kind === 'call' && planned.step.cases.length > 0) return yield* this.#cases(planned, signal)
    return yield* this.#attempts(planned, signal)
  }

  #isMet({ workflow, stepId }: Dependency): boolean {
    if (workflow !== undefined)
      return this.#shared.results.find(this.#planned.flow, workflow)?.passed.has(stepId) === true
    const name = this.#shared.prefix + stepId
    return this.steps.findLast((step) => step.stepId === name)?.status === 'passed'
  }

  /** A step with its retries: the exchanges of all attempts, and the checks of the last. */
  async *#attempts(
    planned: PlannedStep,
    signal: AbortSignal,
    note: Partial<StepRecord> = {},
  ): AsyncGenerator<RunEvent, Result> {
    const { retries } = this.#shared
    const { flow, workflow } = this.#planned
    const key = JSON.stringify([flow.file, workflow.workflowId, planned.step.stepId])
    // A step that its own retry leads back to goes on counting: retryLimit bounds the step as a whole.
    const outer = retries.get(key)
    const used = outer ?? new Map<string, number>()
    retries.set(key, used)
    try {
      return yield* this.#untilSettled(planned, signal, note, used)
    } finally {
      if (outer === undefined) retries.delete(key)
    }
  }

  async *#untilSettled(
    planned: PlannedStep,
    signal: AbortSignal,
    note: Partial<StepRecord>,
    used: Map<string, number>,
  ): AsyncGenerator<RunEvent, Result> {
    const { budget, prefix, ports } = this.#shared
    const { step } = planned
    const stepId = prefix + step.stepId
    const earlier: Exchange[] = []
    yield { type: 'step-started', stepId }
    for (;;) {
      budget.left--
      const outcome =
        planned.kind === 'call' ? await this.#call(planned, signal) : yield* this.#workflow(planned, signal)
      if (outcome.kept !== undefined) {
        yield { type: 'registration-kept', stepId, ...ports.redactor.record(outcome.kept) }
      }
      const { action, hint, error } = this.#choose(planned, outcome, used, signal)
      if (error !== undefined) {
        const step: StepRecord = { ...outcome.step, status: 'errored', error }
        return yield* this.#finishAttempts(planned, { ...outcome, step, earlier, note, hint, next: undefined })
      }
      if (action?.type === 'retry') {
        const attempt = (used.get(action.name) ?? 0) + 1
        used.set(action.name, attempt)
        const delayMs = delayBefore(action, outcome.answer, ports.now())
        yield { type: 'retry', stepId, attempt, delayMs }
        await ports.wait(delayMs, signal)
        const failed = action.through && (yield* this.#through(action.through, planned, signal))
        if (failed === undefined) {
          earlier.push(...outcome.nestedSteps.flatMap(({ exchanges }) => exchanges), ...outcome.step.exchanges)
          continue
        }
        return yield* this.#finishAttempts(planned, { ...outcome, earlier, note, hint: failed, next: undefined })
      }
      return yield* this.#finishAttempts(planned, { ...outcome, earlier, note, hint, next: action })
    }
  }

  async *#finishAttempts(
    planned: PlannedStep,
    {
      earlier,
      note,
      hint,
      next,
      nestedSteps,
      results,
      ...outcome
    }: Attempt & {
      readonly earlier: readonly Exchange[]
      readonly note: Partial<StepRecord>
      readonly hint: string | undefined
      readonly next: Result['next']
    },
  ): AsyncGenerator<RunEvent, Result> {
    this.steps.push(...nestedSteps)
    this.#shared.results.addAll(results)
    const { step } = outcome
    const exchanges = [...earlier, ...step.exchanges]
    const stepId = this.#shared.prefix + step.stepId
    const record = yield* this.#finished(
      skippedIfNothingToUndo(planned, withHint({ ...step, ...note, stepId, exchanges }, hint)),
    )
    if (record.status === 'passed') this.#outputs.set(step.stepId, { outputs: outcome.values })
    this.#allOutputs.set(step.stepId, { outputs: outcome.values })
    return { ...outcome, step: record, next }
  }

  #choose(
    { step }: PlannedStep,
    outcome: Outcome,
    used: ReadonlyMap<string, number>,
    signal: AbortSignal,
  ): ReturnType<typeof nextAction> & { readonly error?: Problem } {
    if (signal.aborted) return { action: undefined, hint: undefined }
    const hasBudget = this.#shared.budget.left > 0
    const invoked = step.kind === 'workflow' ? this.#planned.invoked.get(step.invocation) : undefined
    const again = invoked === undefined ? [] : [...this.#shared.results.missingDependencies(invoked), invoked]
    try {
      return nextAction(step, outcome, {
        mayRetry: (action) => action.type === 'retry' && hasBudget && (used.get(action.name) ?? 0) < action.retryLimit,
        isReadOnly: again.every(({ flow, workflow }) => workflowEffect(flow, workflow) === 'read'),
      })
    } catch (error) {
      return { action: undefined, hint: undefined, error: redactedProblem(error, this.#shared.ports.redactor) }
    }
  }

  #followUp(step: Step, record: StepRecord, context: Context): FollowUp | undefined {
    return this.#shared.signal.aborted ? undefined : followUp(step, record, context)
  }

  async *#finished(step: StepRecord): AsyncGenerator<RunEvent, StepRecord> {
    this.steps.push(step)
    yield { type: 'step-finished', step }
    return step
  }

  async #call(planned: PlannedCall, signal: AbortSignal): Promise<Attempt> {
    const readable = planned.step.finally ? { ...this.#readable, outputs: this.#allOutputs } : this.#readable
    const outcome = await new Call(planned, readable, this.#shared.ports, signal).run()
    return { ...outcome, nestedSteps: [], results: new WorkflowResults() }
  }

  /** Runs the step or workflow that a retry runs first. Returns why the step must not be repeated then, if it must not. */
  async *#through(target: Target, by: PlannedStep, signal: AbortSignal): AsyncGenerator<RunEvent, string | undefined> {
    const from = `the retry of step "${by.step.stepId}"`
    if (target.kind === 'step') {
      const planned = this.#planned.steps.find(({ step }) => step.stepId === target.stepId)
      if (planned === undefined || signal.aborted) return undefined
      const { step } = yield* this.#step(planned, signal)
      return step.status === 'passed' ? undefined : `it was not repeated: step "${target.stepId}" ${step.status}`
    }
    const { workflowId } = target.invocation
    try {
      const transfer = await this.#withArguments(target.invocation, from, contextOf(this.#readable))
      const { status, steps } = yield* this.#nested(transfer, target.invocation, {
        prefix: `${by.step.stepId}/retry/`,
        signal,
        results: this.#shared.results,
      })
      this.steps.push(...steps)
      return status === 'passed' ? undefined : `it was not repeated: workflow "${workflowId}" ${WORDS[status]}`
    } catch (error) {
      return `it was not repeated: ${problemOf(error).message}`
    }
  }

  /** A step that runs a workflow. */
  async *#workflow(
    planned: Extract<PlannedStep, { kind: 'workflow' }>,
    signal: AbortSignal,
  ): AsyncGenerator<RunEvent, Attempt> {
    const { step, timeoutMs } = planned
    const { ports } = this.#shared
    const { invocation } = step
    const startedAt = ports.now().toISOString()
    const start = ports.clock()
    using deadline = Deadline.within(signal, ports.wait, timeoutMs)
    const base = { ...notRun(planned), startedAt }
    const results = new WorkflowResults(this.#shared.results)
    const took = () => round(ports.clock() - start)
    try {
      const transfer = await this.#withArguments(invocation, `step "${step.stepId}"`, contextOf(this.#readable))
      const nested = yield* this.#nested(transfer, invocation, {
        prefix: `${step.stepId}/`,
        signal: deadline.signal,
        results,
      })
      const late: Problem = {
        code: 'TIMEOUT',
        message: `workflow "${invocation.workflowId}" did not end within ${timeoutMs} ms`,
        at: step.at,
      }
      const verdict = judgeNested(
        step,
        { ...nested, error: deadline.isLate ? late : nested.error },
        this.#readable,
        ports.redactor,
      )
      return { ...verdict, step: { ...base, ...verdict.step, durationMs: took() }, nestedSteps: nested.steps, results }
    } catch (error) {
      const problem = redactedProblem(error, ports.redactor)
      const failed: StepRecord = { ...base, status: 'errored', error: problem, durationMs: took() }
      return { step: failed, context: contextOf(this.#readable), values: {}, nestedSteps: [], results }
    }
  }

  /** Runs a workflow within this one. From then on `$workflows` reads what it returned. */
  async *#nested(
    first: Transfer,
    { source, workflowId }: Invocation,
    { prefix, ...own }: Pick<Shared, 'prefix' | 'signal' | 'results'>,
  ): AsyncGenerator<RunEvent, NestedResult> {
    const { depth } = this.#shared
    if (depth >= DEEPEST) {
      fail({
        code: 'STEP_BUDGET',
        message: `workflows run each other more than ${DEEPEST} levels deep`,
        hint: 'a workflow runs itself without a way out',
      })
    }
    const shared = { ...this.#shared, ...own, depth: depth + 1 }
    const start = ({ planned, inputs }: Transfer, deeper: string) =>
      new WorkflowRun(planned, inputs, { ...shared, prefix: shared.prefix + prefix + deeper })
    const nested = yield* runNested(first, own.results, start)
    if (source === undefined)
      this.#workflows.set(workflowId, { inputs: plainInputs(first.inputs), outputs: nested.outputs })
    return nested
  }

  async #withArguments(invocation: Invocation, by: string, context: Context): Promise<Transfer> {
    const planned = this.#planned.invoked.get(invocation)
    if (planned === undefined) throw new Error(`workflow "${invocation.workflowId}" was not planned`)
    return await withArguments(planned, invocation, {
      by,
      context,
      inputs: this.#readable.inputs,
      ports: this.#shared.ports,
    })
  }

  /** A step with cases: each case is a run of its own, and the step has the outputs of the last control. */
  async *#cases(planned: PlannedCall, signal: AbortSignal): AsyncGenerator<RunEvent, Result> {
    const { step } = planned
    const { prefix, ports } = this.#shared
    const startedAt = ports.now().toISOString()
    const start = ports.clock()
    yield { type: 'step-started', stepId: prefix + step.stepId }
    const results = yield* runCases(step, {
      isInterrupted: () => signal.aborted,
      run: (one, note) => this.#attempts({ ...planned, step: one.step }, signal, note),
      skip: (one, record) => this.#finished({ ...notRun({ ...planned, step: one.step }), ...record }),
      prefix,
    })
    const { status, error, control, decisive } = sumOf(results)
    const context = decisive?.context ?? contextOf(this.#readable)
    const record = yield* this.#finished({
      ...notRun(planned),
      stepId: prefix + step.stepId,
      startedAt,
      status,
      error,
      checks: [casesCheck(step, results, status)],
      outputs: control?.step.outputs ?? {},
      durationMs: round(ports.clock() - start),
    })
    const values = control?.values ?? {}
    if (status === 'passed') this.#outputs.set(step.stepId, { outputs: values })
    this.#allOutputs.set(step.stepId, { outputs: values })
    return { step: record, context, values, next: this.#followUp(step, record, context) }
  }

  /** Outputs that read a step or a workflow which has not run are left out; Arazzo calls the others applicable. */
  #readOutputs(): void {
    const context = contextOf(this.#readable)
    const hasRun = (one: Expression) =>
      one.kind === 'steps'
        ? this.#outputs.has(one.stepId)
        : one.kind !== 'workflows' || this.#workflows.has(one.workflowId)
    const applicable = [...this.#planned.workflow.outputs].filter(([, value]) => expressionsIn(value).every(hasRun))
    try {
      this.outputs = Object.fromEntries(
        applicable.map(([name, value]) => [name, evaluate(value, context, this.#readable.inputs)]),
      )
    } catch (error) {
      this.error = problemOf(error)
    }
  }
}
