/**
 * One walk through a workflow: steps along the path that their actions choose, with their retries, cases and the workflows
 * they run, and at the end what always runs.
 */

import { expressionsIn } from '../flow/arazzo/needs.ts'
import { asText, type Context, type Expression } from '../flow/expression/expression.ts'
import type { Dependency, Invocation, Step, Target } from '../flow/index.ts'
import {
  type PlannedCall,
  type PlannedInput,
  type PlannedStep,
  type PlannedWorkflow,
  plainValue,
} from '../plan/index.ts'
import { fail, type Problem } from '../record/errors.ts'
import type { Exchange, StepRecord, WorkflowRecord } from '../record/index.ts'
import { blank, Call, contextOf, type Kept, type Known, type Outcome, type Ports, problemOf, round } from './call.ts'
import { type Ended, EndedWorkflows } from './ended.ts'
import { type Inside, judgeInner, prepare, runInside, type Transfer } from './inner.ts'
import { delayBefore, followUp, nextAction, type OneWay } from './next.ts'
import { evaluate } from './request.ts'
import { type CaseResult, casesCheck, WORDS, worst } from './verdict.ts'

export type RunEvent =
  | { readonly type: 'workflow-started'; readonly planned: PlannedWorkflow }
  | { readonly type: 'step-started'; readonly stepId: string }
  | ({ readonly type: 'registration-kept'; readonly stepId: string } & Kept)
  | { readonly type: 'retry'; readonly stepId: string; readonly attempt: number; readonly delayMs: number }
  | { readonly type: 'step-finished'; readonly step: StepRecord }
  | { readonly type: 'workflow-finished'; readonly workflow: WorkflowRecord }

/** More steps than any sensible flow takes: an endless loop ends here. */
export const STEP_BUDGET = 1000
/** Workflows that run each other. */
const DEEPEST = 32
/** How long the steps that always run may take together once the run is interrupted. */
const LAST_STEPS_MS = 30_000

interface Surroundings {
  readonly ports: Ports
  readonly signal: AbortSignal
  /** steps that may still be run, counted over all workflows that run each other */
  readonly budget: { left: number }
  /** retries made so far, by step and action, of the steps that are being run */
  readonly retries: Map<string, Map<string, number>>
  readonly ended: EndedWorkflows
  /** stands before the step ids of a workflow that runs as a step of another */
  readonly prefix: string
  readonly depth: number
}

/** What came of a step, what happens next, and the steps of the workflow that it ran. */
type Result = Outcome & { readonly next?: OneWay | undefined }

/** `ended` are the workflows that it ran: a repetition runs them again. */
type Attempt = Outcome & { readonly inner: readonly StepRecord[]; readonly ended: EndedWorkflows }

/** One walk through a workflow. */
export class Course {
  readonly steps: StepRecord[] = []
  /** what keeps the workflow from ending as its steps did */
  error: Problem | undefined
  outputs: Readonly<Record<string, unknown>> = {}
  /** where control goes on instead of back */
  transfer: Transfer | undefined
  readonly #planned: PlannedWorkflow
  readonly #known: Known
  readonly #around: Surroundings
  /** workflows that have ended before, or ran as a step of this one */
  readonly #workflows: Map<string, Pick<Ended, 'inputs' | 'outputs'>>
  readonly #produced = new Map<string, { readonly outputs: Readonly<Record<string, unknown>> }>()
  #hasBegun = false

  constructor(planned: PlannedWorkflow, inputs: ReadonlyMap<string, PlannedInput>, around: Surroundings) {
    this.#planned = planned
    this.#around = around
    this.#workflows = new Map(around.ended.of(planned.flow))
    this.#known = { inputs, outputs: this.#produced, workflows: this.#workflows, document: planned }
  }

  async *run(): AsyncGenerator<RunEvent, void> {
    const { redactor } = this.#around.ports
    for (const [name, input] of this.#known.inputs) {
      if (input.kind !== 'value' || !input.secret) continue
      for (const value of [plainValue(input)].flat()) redactor.add({ value: asText(value), name })
    }
    const because = yield* this.#walk()
    yield* this.#skipRest(because, (step) => !step.finally)
    yield* this.#lastSteps(because)
    if (this.status === 'passed') this.#readOutputs()
  }

  /** Runs nothing. */
  async *skip(because: string): AsyncGenerator<RunEvent, void> {
    yield* this.#skipRest(because, () => true)
  }

  get status(): 'passed' | 'failed' | 'errored' {
    if (this.steps.some((step) => step.status === 'failed')) return 'failed'
    if (this.error !== undefined || this.steps.some((step) => step.status === 'errored')) return 'errored'
    return 'passed'
  }

  /** What others can read of it. */
  get ended(): Ended {
    const { prefix } = this.#around
    const passed = this.steps
      .filter((step) => step.status === 'passed')
      .map(({ stepId }) => stepId.slice(prefix.length))
    const { status, outputs } = this
    return { status, inputs: plainInputs(this.#known.inputs), outputs, passed: new Set(passed) }
  }

  /** Runs steps until one of them, or their end, says stop. Returns why the others were not reached. */
  async *#walk(): AsyncGenerator<RunEvent, string> {
    const steps = this.#planned.steps.filter(({ step }) => !step.finally)
    const { signal, budget } = this.#around
    for (let index = 0; index < steps.length; ) {
      const planned = steps[index]
      if (planned === undefined) break
      if (signal.aborted) return this.#interrupted()
      if (budget.left <= 0) return this.#exhausted()
      this.#hasBegun = true
      const { step, next, context } = yield* this.#step(planned, signal)
      if (signal.aborted && step.status === 'errored') return this.#interrupted()
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
      this.transfer = await this.#prepare(invocation, `step "${stepId}"`, context)
      return `step "${stepId}" went on to workflow "${invocation.workflowId}"`
    } catch (error) {
      this.error = problemOf(error)
      return this.error.message
    }
  }

  #interrupted(): string {
    this.error = { code: 'INTERRUPTED', message: 'the run was interrupted' }
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
    for (const planned of this.#planned.steps) {
      const { step } = planned
      const stepId = this.#around.prefix + step.stepId
      if (!which(step) || this.steps.some((one) => one.stepId === stepId)) continue
      yield* this.#finished({ ...blank(planned), stepId, status: 'skipped', because })
    }
  }

  /** They run on a signal of their own, which bounds them once the run is interrupted. */
  async *#lastSteps(because: string): AsyncGenerator<RunEvent, void> {
    const last = this.#planned.steps.filter(({ step }) => step.finally)
    if (!this.#hasBegun && last.length > 0) yield* this.#skipRest(because, () => true)
    if (!this.#hasBegun || last.length === 0) return
    const { signal, ports } = this.#around
    const [own, over] = [new AbortController(), new AbortController()]
    const bound = () => void ports.wait(LAST_STEPS_MS, over.signal).then(() => own.abort())
    if (signal.aborted) bound()
    else signal.addEventListener('abort', bound, { once: true })
    try {
      for (const planned of last) yield* this.#step(planned, own.signal)
    } finally {
      signal.removeEventListener('abort', bound)
      over.abort()
    }
  }

  /** A step with all its cases or retries, and the action that follows. */
  async *#step(planned: PlannedStep, signal: AbortSignal): AsyncGenerator<RunEvent, Result> {
    const missing = planned.step.dependsOn.find((one) => !this.#isMet(one))
    if (missing !== undefined) {
      const { workflow, stepId: id } = missing
      const name = workflow === undefined ? id : `${workflow.workflowId} / ${id}`
      const message = `it depends on step "${name}", which has not passed`
      const error: Problem = { code: 'VALUE_UNDEFINED', message, at: planned.step.at }
      const stepId = this.#around.prefix + planned.step.stepId
      const step = yield* this.#finished(settled(planned, { ...blank(planned), stepId, status: 'errored', error }))
      const context = contextOf(this.#known)
      return { step, context, values: {}, next: this.#followUp(planned.step, step, context) }
    }
    if (planned.kind === 'call' && planned.step.cases.length > 0) return yield* this.#cases(planned, signal)
    return yield* this.#attempts(planned, signal)
  }

  #isMet({ workflow, stepId }: Dependency): boolean {
    if (workflow !== undefined)
      return this.#around.ended.find(this.#planned.flow, workflow)?.passed.has(stepId) === true
    const name = this.#around.prefix + stepId
    return this.steps.findLast((step) => step.stepId === name)?.status === 'passed'
  }

  /** One step with its retries: the exchanges of all attempts, the verdict of the last. */
  async *#attempts(
    planned: PlannedStep,
    signal: AbortSignal,
    note: Partial<StepRecord> = {},
  ): AsyncGenerator<RunEvent, Result> {
    const { retries } = this.#around
    const { flow, workflow } = this.#planned
    const key = JSON.stringify([flow.file, workflow.workflowId, planned.step.stepId])
    // A step that its own retry leads back to goes on counting: retryLimit bounds the step as a whole.
    const outer = retries.get(key)
    const used = outer ?? new Map<string, number>()
    retries.set(key, used)
    try {
      return yield* this.#attempted(planned, signal, note, used)
    } finally {
      if (outer === undefined) retries.delete(key)
    }
  }

  async *#attempted(
    planned: PlannedStep,
    signal: AbortSignal,
    note: Partial<StepRecord>,
    used: Map<string, number>,
  ): AsyncGenerator<RunEvent, Result> {
    const { budget, prefix, ports } = this.#around
    const { step } = planned
    const stepId = prefix + step.stepId
    const earlier: Exchange[] = []
    yield { type: 'step-started', stepId }
    for (;;) {
      budget.left--
      const outcome =
        planned.kind === 'call' ? await this.#call(planned, signal) : yield* this.#workflow(planned, signal)
      if (outcome.kept !== undefined) {
        yield { type: 'registration-kept', stepId, ...ports.redactor.value(outcome.kept) }
      }
      const { action, hint } = this.#choose(planned, outcome, used, signal)
      if (action?.type === 'retry') {
        const attempt = (used.get(action.name) ?? 0) + 1
        used.set(action.name, attempt)
        const delayMs = delayBefore(action, outcome.answer, ports.now())
        yield { type: 'retry', stepId, attempt, delayMs }
        await ports.wait(delayMs, signal)
        const failed = action.through && (yield* this.#through(action.through, planned, signal))
        if (failed === undefined) {
          earlier.push(...outcome.inner.flatMap(({ exchanges }) => exchanges), ...outcome.step.exchanges)
          continue
        }
        return yield* this.#settle(planned, { ...outcome, earlier, note, hint: failed, next: undefined })
      }
      return yield* this.#settle(planned, { ...outcome, earlier, note, hint, next: action })
    }
  }

  async *#settle(
    planned: PlannedStep,
    {
      earlier,
      note,
      hint,
      next,
      inner,
      ended,
      ...outcome
    }: Attempt & {
      readonly earlier: readonly Exchange[]
      readonly note: Partial<StepRecord>
      readonly hint: string | undefined
      readonly next: Result['next']
    },
  ): AsyncGenerator<RunEvent, Result> {
    this.steps.push(...inner)
    this.#around.ended.take(ended)
    const { step } = outcome
    const exchanges = [...earlier, ...step.exchanges]
    const stepId = this.#around.prefix + step.stepId
    const record = yield* this.#finished(settled(planned, withHint({ ...step, ...note, stepId, exchanges }, hint)))
    if (record.status === 'passed') this.#produced.set(step.stepId, { outputs: outcome.values })
    return { ...outcome, step: record, next }
  }

  #choose(
    { step }: PlannedStep,
    outcome: Outcome,
    used: ReadonlyMap<string, number>,
    signal: AbortSignal,
  ): ReturnType<typeof nextAction> {
    if (signal.aborted) return { action: undefined, hint: undefined }
    const hasBudget = this.#around.budget.left > 0
    const invoked = step.kind === 'workflow' ? this.#planned.invoked.get(step.invocation) : undefined
    const again = invoked === undefined ? [] : [...this.#around.ended.awaitedBy(invoked), invoked]
    return nextAction(step, outcome, {
      mayRetry: (action) => action.type === 'retry' && hasBudget && (used.get(action.name) ?? 0) < action.retryLimit,
      isReadOnly: again.every(({ workflow }) => workflow.effect === 'read'),
    })
  }

  #followUp(step: Step, record: StepRecord, context: Context): OneWay | undefined {
    return this.#around.signal.aborted ? undefined : followUp(step, record, context)
  }

  async *#finished(step: StepRecord): AsyncGenerator<RunEvent, StepRecord> {
    this.steps.push(step)
    yield { type: 'step-finished', step }
    return step
  }

  async #call(planned: PlannedCall, signal: AbortSignal): Promise<Attempt> {
    const outcome = await new Call(planned, this.#known, this.#around.ports, signal).run()
    return { ...outcome, inner: [], ended: new EndedWorkflows() }
  }

  /** Runs what a retry leads through and comes back. Returns why the retry has lost its sense, if it has. */
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
      const transfer = await this.#prepare(target.invocation, from, contextOf(this.#known))
      const { status, steps } = yield* this.#inside(transfer, target.invocation, {
        prefix: `${by.step.stepId}/retry/`,
        signal,
        ended: this.#around.ended,
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
    const { ports } = this.#around
    const { invocation } = step
    const startedAt = ports.now().toISOString()
    const start = ports.clock()
    const [own, over] = [new AbortController(), new AbortController()]
    const stop = () => own.abort()
    let isLate = false
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    if (timeoutMs !== undefined) {
      void ports.wait(timeoutMs, over.signal).then(() => {
        isLate = !over.signal.aborted
        own.abort()
      })
    }
    const base = { ...blank(planned), startedAt }
    const ended = new EndedWorkflows(this.#around.ended)
    const took = () => round(ports.clock() - start)
    try {
      const transfer = await this.#prepare(invocation, `step "${step.stepId}"`, contextOf(this.#known))
      const inside = yield* this.#inside(transfer, invocation, { prefix: `${step.stepId}/`, signal: own.signal, ended })
      const late: Problem = {
        code: 'TIMEOUT',
        message: `workflow "${invocation.workflowId}" did not end within ${timeoutMs} ms`,
        at: step.at,
      }
      const verdict = judgeInner(step, { ...inside, error: isLate ? late : inside.error }, this.#known, ports.redactor)
      return { ...verdict, step: { ...base, ...verdict.step, durationMs: took() }, inner: inside.steps, ended }
    } catch (error) {
      const problem = ports.redactor.value(problemOf(error))
      const failed: StepRecord = { ...base, status: 'errored', error: problem, durationMs: took() }
      return { step: failed, context: contextOf(this.#known), values: {}, inner: [], ended }
    } finally {
      signal.removeEventListener('abort', stop)
      over.abort()
    }
  }

  /** A workflow within this one. From now on `$workflows` reads what it returned. */
  async *#inside(
    first: Transfer,
    { source, workflowId }: Invocation,
    { prefix, ...own }: Pick<Surroundings, 'prefix' | 'signal' | 'ended'>,
  ): AsyncGenerator<RunEvent, Inside> {
    const { depth } = this.#around
    if (depth >= DEEPEST) {
      fail({
        code: 'STEP_BUDGET',
        message: `workflows run each other more than ${DEEPEST} levels deep`,
        hint: 'a workflow runs itself without a way out',
      })
    }
    const around = { ...this.#around, ...own, depth: depth + 1 }
    const begin = ({ planned, inputs }: Transfer, deeper: string) =>
      new Course(planned, inputs, { ...around, prefix: around.prefix + prefix + deeper })
    const inside = yield* runInside(first, own.ended, begin)
    if (source === undefined)
      this.#workflows.set(workflowId, { inputs: plainInputs(first.inputs), outputs: inside.outputs })
    return inside
  }

  async #prepare(invocation: Invocation, by: string, context: Context): Promise<Transfer> {
    const planned = this.#planned.invoked.get(invocation)
    if (planned === undefined) throw new Error(`workflow "${invocation.workflowId}" was not planned`)
    return await prepare(planned, invocation, { by, context, inputs: this.#known.inputs, ports: this.#around.ports })
  }

  /**
   * The runs of a step with cases. A control that does not hold says that the request was never good, so that a refusal of
   * an altered one proves nothing.
   */
  async *#cases(planned: PlannedCall, signal: AbortSignal): AsyncGenerator<RunEvent, Result> {
    const { step } = planned
    const { prefix, ports } = this.#around
    const startedAt = ports.now().toISOString()
    const start = ports.clock()
    const results: CaseResult[] = []
    let because: string | undefined
    yield { type: 'step-started', stepId: prefix + step.stepId }
    for (const one of step.cases) {
      const variant = { ...planned, step: one.step }
      const note = { case: { of: prefix + step.stepId, id: one.id, control: one.isControl } }
      if (because !== undefined) {
        const stepId = prefix + one.step.stepId
        yield* this.#finished({ ...blank(variant), ...note, stepId, status: 'skipped', because })
        continue
      }
      const result = yield* this.#attempts(variant, signal, note)
      results.push({ one, result })
      if (signal.aborted) because = 'the run was interrupted'
      else if (one.isControl && result.step.status !== 'passed')
        because = `the unaltered request ${result.step.status}, so a refusal would prove nothing`
    }
    const wrong = results.filter(({ result }) => result.step.status !== 'passed')
    const status = worst(wrong.map(({ result }) => result.step.status)) as 'passed' | 'failed' | 'errored'
    const control = results.findLast(({ one, result }) => one.isControl && result.step.status === 'passed')?.result
    const decisive = (wrong[0] ?? results.at(-1))?.result
    const context = decisive?.context ?? contextOf(this.#known)
    const record = yield* this.#finished({
      ...blank(planned),
      stepId: prefix + step.stepId,
      startedAt,
      status,
      error: status === 'errored' ? wrong.find(({ result }) => result.step.error)?.result.step.error : undefined,
      checks: [casesCheck(step, results, status)],
      outputs: control?.step.outputs ?? {},
      durationMs: round(ports.clock() - start),
    })
    const values = control?.values ?? {}
    if (status === 'passed') this.#produced.set(step.stepId, { outputs: values })
    return { step: record, context, values, next: this.#followUp(step, record, context) }
  }

  /** Those that read a step or a workflow which the path did not lead to have no value; Arazzo calls the others applicable. */
  #readOutputs(): void {
    const context = contextOf(this.#known)
    const hasRun = (one: Expression) =>
      one.kind === 'steps'
        ? this.#produced.has(one.stepId)
        : one.kind !== 'workflows' || this.#workflows.has(one.workflowId)
    const applicable = [...this.#planned.workflow.outputs].filter(([, value]) => expressionsIn(value).every(hasRun))
    try {
      this.outputs = Object.fromEntries(
        applicable.map(([name, value]) => [name, evaluate(value, context, this.#known.inputs)]),
      )
    } catch (error) {
      this.error = problemOf(error)
    }
  }
}

/** A step that always runs has nothing to do where what it would undo was never done. */
function settled({ step }: PlannedStep, record: StepRecord): StepRecord {
  if (!step.finally || record.status !== 'errored' || record.exchanges.length > 0) return record
  if (record.error?.code !== 'VALUE_UNDEFINED') return record
  const { error, ...rest } = record
  return { ...rest, status: 'skipped', because: `nothing to do: ${error.message}` }
}

function withHint(step: StepRecord, hint: string | undefined): StepRecord {
  return step.error === undefined || hint === undefined ? step : { ...step, error: { ...step.error, hint } }
}

export function plainInputs(inputs: ReadonlyMap<string, PlannedInput>): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...inputs].map(([name, input]) => [name, plainValue(input)]))
}
