/**
 * Runs a plan: one step after the other, each answer kept before it is judged. Every effect is an argument, every result
 * a value; nothing is printed and nothing is written here. Events tell progress, the return value is the record.
 */
import { compareScopes, judgeAnswer, type ParsedAnswer, refusalCheck, scopeCheck } from './checks.ts'
import { type Problem, ToolError } from './errors.ts'
import { exchangeOf, parseAnswer } from './evidence.ts'
import { judge } from './flow/criterion.ts'
import { type Context, ExpressionError } from './flow/expression.ts'
import type { Action, Criterion, Step } from './flow/index.ts'
import {
  type AssertionPlan,
  inputsReadBy,
  type Plan,
  type PlannedInput,
  type PlannedStep,
  type PlannedWorkflow,
  plainValue,
  type VaultMember,
} from './plan.ts'
import type { CheckRecord, Exchange, StepRecord, WorkflowRecord } from './record.ts'
import { asText, type BuiltRequest, buildRequest, evaluate } from './request.ts'
import type { Redactor, Secret } from './secret.ts'
import type { Delivery, Transport } from './transport/transport.ts'

export type RunEvent =
  | { readonly type: 'workflow-started'; readonly planned: PlannedWorkflow }
  | { readonly type: 'step-started'; readonly stepId: string }
  | ({ readonly type: 'registration-kept'; readonly stepId: string } & Kept)
  | { readonly type: 'retry'; readonly stepId: string; readonly attempt: number; readonly delayMs: number }
  | { readonly type: 'step-finished'; readonly step: StepRecord }
  | { readonly type: 'workflow-finished'; readonly workflow: WorkflowRecord }

/** What the vault made of an answer. */
export interface Kept {
  readonly clientId: string
  /** a first registration, or a token that replaces an earlier one */
  readonly news: 'registered' | 'rotated'
  /** why the answer lies beside the client's record; it is safe all the same */
  readonly problem?: Problem | undefined
}

/** A call that is written down until it is known how it ended. */
export interface Intent {
  /** Durable before anything looks at it. */
  keep(answer: { readonly body: Uint8Array; readonly status: number }): Promise<Kept | undefined>
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/** Effects the executor needs; golden records are byte-stable because time and ids come from here too. */
export interface Ports {
  readonly transport: Transport
  /** a freshly signed client assertion with an unused jti */
  readonly sign: (assertion: AssertionPlan) => Promise<Secret>
  readonly vault: {
    /** Writes a call down that changes a registration, durably, before it leaves; undefined for any other call. */
    begin(call: {
      readonly method: string
      readonly url: string
      readonly authorization: string | undefined
      /** the payload before it became text */
      readonly body: unknown
      readonly step: string
    }): Promise<Intent | undefined>
    /** Durable when it resolves; undefined for an answer that registers nothing new. */
    keep(answer: {
      readonly body: Uint8Array
      readonly status: number
      readonly step: string
    }): Promise<Kept | undefined>
    /** A call with these credentials succeeded and brought no new ones. */
    worked(authorization: string, step: string): Promise<void>
    read(member: VaultMember): Promise<string | undefined>
  }
  readonly redactor: Redactor
  readonly userAgent: string
  readonly now: () => Date
  /** monotonic milliseconds */
  readonly clock: () => number
  /** Resolves after that time or, at once, when the signal is aborted. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

/** More steps than any sensible flow takes: an endless loop ends here. */
const STEP_BUDGET = 1000
/** A server cannot make us wait longer than this before a retry. */
const LONGEST_WAIT_MS = 120_000

export async function* execute(
  plan: Plan,
  ports: Ports,
  signal: AbortSignal,
): AsyncGenerator<RunEvent, WorkflowRecord[]> {
  const records: WorkflowRecord[] = []
  for (const planned of plan.workflows) {
    yield { type: 'workflow-started', planned }
    const workflow = yield* new WorkflowRun(planned, ports, signal).run()
    yield { type: 'workflow-finished', workflow }
    records.push(workflow)
  }
  return records
}

type Outputs = Map<string, { outputs: Readonly<Record<string, unknown>> }>

class WorkflowRun {
  readonly #planned: PlannedWorkflow
  readonly #ports: Ports
  readonly #signal: AbortSignal
  readonly #outputs: Outputs = new Map()
  readonly #steps: StepRecord[] = []
  /** what keeps the workflow from ending as its steps did */
  #error: Problem | undefined

  constructor(planned: PlannedWorkflow, ports: Ports, signal: AbortSignal) {
    this.#planned = planned
    this.#ports = ports
    this.#signal = signal
  }

  async *run(): AsyncGenerator<RunEvent, WorkflowRecord> {
    const { flow, workflow, inputs } = this.#planned
    const { redactor, now, clock } = this.#ports
    const startedAt = now().toISOString()
    const start = clock()
    for (const [name, input] of inputs) {
      if (input.kind !== 'value' || !input.secret) continue
      for (const value of [plainValue(input)].flat()) redactor.add({ value: asText(value), name })
    }
    const because = yield* this.#walk()
    for (const planned of this.#planned.steps) {
      if (this.#steps.some(({ stepId }) => stepId === planned.step.stepId)) continue
      const step: StepRecord = { ...blank(planned), status: 'skipped', because }
      this.#steps.push(step)
      yield { type: 'step-finished', step }
    }
    const outputs = this.#end()
    return {
      workflowId: workflow.workflowId,
      summary: workflow.summary,
      flow: { file: flow.file, sha256: flow.sha256, title: flow.title },
      effect: workflow.effect,
      safety: workflow.safety,
      clauses: [...workflow.clauses],
      notice: workflow.notice,
      status: this.#status(),
      inputs: [...inputs].map(([name, input]) => ({ name, source: input.origin.label, value: shown(input, redactor) })),
      steps: this.#steps,
      outputs: redactor.value(outputs),
      error: redactor.value(this.#error),
      startedAt,
      durationMs: round(clock() - start),
    }
  }

  /** Runs steps until one of them, or their end, says stop. Returns why the others were not reached. */
  async *#walk(): AsyncGenerator<RunEvent, string> {
    const { steps } = this.#planned
    let index = 0
    for (let budget = STEP_BUDGET; index < steps.length; budget--) {
      const planned = steps[index]
      if (planned === undefined) break
      if (this.#signal.aborted) return this.#interrupted()
      if (budget === 0) {
        this.#error = {
          code: 'STEP_BUDGET',
          message: `the workflow did not end within ${STEP_BUDGET} steps`,
          hint: 'a goto leads back to an earlier step without a way out',
        }
        return this.#error.message
      }
      const { step, context } = yield* this.#attempts(planned)
      if (this.#signal.aborted && step.status === 'errored') return this.#interrupted()
      const actions = step.status === 'passed' ? planned.step.onSuccess : planned.step.onFailure
      const action = actions.find((one) => one.type !== 'retry' && applies(one, context))
      if (action?.type === 'end') return `step "${step.stepId}" ended the workflow`
      if (action?.type === 'goto') index = steps.findIndex((one) => one.step.stepId === action.stepId)
      else if (step.status === 'passed') index++
      else return `step "${step.stepId}" ${step.status}`
    }
    return 'the path taken did not lead here'
  }

  #interrupted(): string {
    this.#error = { code: 'INTERRUPTED', message: 'the run was interrupted' }
    return this.#error.message
  }

  /** One step with its retries: the exchanges of all attempts, the verdict of the last. */
  async *#attempts(planned: PlannedStep): AsyncGenerator<RunEvent, StepOutcome> {
    const { step } = planned
    const { redactor, wait } = this.#ports
    const used = new Map<Action, number>()
    const earlier: Exchange[] = []
    yield { type: 'step-started', stepId: step.stepId }
    for (;;) {
      const outcome = await new StepRun(planned, this.#planned.inputs, this.#outputs, this.#ports, this.#signal).run()
      if (outcome.kept !== undefined) {
        yield { type: 'registration-kept', stepId: step.stepId, ...redactor.value(outcome.kept) }
      }
      const retry =
        outcome.step.status === 'passed' || this.#signal.aborted
          ? undefined
          : step.onFailure.find(
              (action) =>
                action.type === 'retry' &&
                (used.get(action) ?? 0) < action.retryLimit &&
                applies(action, outcome.context),
            )
      const forbidden = retry !== undefined && !mayRepeat(step, outcome.step)
      const record = { ...outcome.step, exchanges: [...earlier, ...outcome.step.exchanges] }
      if (retry?.type !== 'retry' || forbidden) {
        const judged = forbidden ? withHint(record, NOT_REPEATED) : record
        this.#steps.push(judged)
        yield { type: 'step-finished', step: judged }
        return { ...outcome, step: judged }
      }
      const attempt = (used.get(retry) ?? 0) + 1
      used.set(retry, attempt)
      earlier.push(...outcome.step.exchanges)
      const delayMs = Math.min(retryAfterMs(outcome.answer, this.#ports.now()) ?? retry.retryAfterMs, LONGEST_WAIT_MS)
      yield { type: 'retry', stepId: step.stepId, attempt, delayMs }
      await wait(delayMs, this.#signal)
    }
  }

  #status(): WorkflowRecord['status'] {
    if (this.#steps.some((step) => step.status === 'failed')) return 'failed'
    if (this.#error !== undefined || this.#steps.some((step) => step.status === 'errored')) return 'errored'
    return 'passed'
  }

  #end(): Record<string, unknown> {
    if (this.#status() !== 'passed') return {}
    const context: Context = { inputs: (name) => plainValue(this.#planned.inputs.get(name)), steps: this.#outputs }
    try {
      const { outputs } = this.#planned.workflow
      return Object.fromEntries(
        [...outputs].map(([name, value]) => [name, evaluate(value, context, this.#planned.inputs)]),
      )
    } catch (error) {
      this.#error = problemOf(error)
      return {}
    }
  }
}

const NOT_REPEATED =
  'it was not repeated: the server may have acted on it; set x-dcr: { retrySafe: true } where a repetition does no harm'

/** A request that may have changed something goes out again only if its author says that this is harmless. */
function mayRepeat(step: Step, { exchanges }: StepRecord): boolean {
  const last = exchanges.at(-1)
  const idempotent = step.operation.method === 'GET' || step.operation.method === 'HEAD'
  return step.retrySafe || idempotent || last === undefined || last.sent === 'no' || last.response?.status === 429
}

function withHint(step: StepRecord, hint: string): StepRecord {
  return step.error === undefined ? step : { ...step, error: { ...step.error, hint } }
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(answer: ParsedAnswer | undefined, now: Date): number | undefined {
  const value = answer?.headers.find(([name]) => name.toLowerCase() === 'retry-after')?.[1]
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime())
}

function applies(action: Action, context: Context): boolean {
  return action.criteria.every((condition) => judge(condition, context).pass)
}

interface StepOutcome {
  readonly step: StepRecord
  readonly kept: Kept | undefined
  /** what the criteria of actions may read */
  readonly context: Context
  readonly answer: ParsedAnswer | undefined
}

class StepRun {
  readonly #planned: PlannedStep
  readonly #step: Step
  readonly #inputs: ReadonlyMap<string, PlannedInput>
  readonly #outputs: Outputs
  readonly #ports: Ports
  readonly #signal: AbortSignal
  /** minted and stored inputs, read once for this step */
  readonly #fresh = new Map<string, string | undefined>()
  readonly #exchanges: Exchange[] = []
  #kept: Kept | undefined
  #answer: ParsedAnswer | undefined
  #request: BuiltRequest | undefined

  constructor(
    planned: PlannedStep,
    inputs: ReadonlyMap<string, PlannedInput>,
    outputs: Outputs,
    ports: Ports,
    signal: AbortSignal,
  ) {
    this.#planned = planned
    this.#step = planned.step
    this.#inputs = inputs
    this.#outputs = outputs
    this.#ports = ports
    this.#signal = signal
  }

  async run(): Promise<StepOutcome> {
    const startedAt = this.#ports.now().toISOString()
    const start = this.#ports.clock()
    let result: Verdict
    try {
      result = await this.#exchange()
    } catch (error) {
      result = { status: 'errored', error: this.#redacted(problemOf(error)) }
    }
    const durationMs = round(this.#ports.clock() - start)
    return {
      step: { ...blank(this.#planned), startedAt, exchanges: this.#exchanges, ...result, durationMs },
      kept: this.#kept,
      context: this.#context(),
      answer: this.#answer,
    }
  }

  async #exchange(): Promise<Verdict> {
    const { redactor, vault, userAgent } = this.#ports
    await this.#refresh()
    const request = buildRequest(this.#planned, this.#context(), this.#inputs, userAgent)
    this.#request = request
    // A server may echo what it was told.
    redactor.learn(request.body)
    for (const [name, value] of request.outgoing.headers) redactor.learn({ [name]: value })
    const { method, url, headers } = request.outgoing
    const authorization = headers.find(([name]) => name === 'authorization')?.[1]
    const step = this.#step.stepId
    const intent = await vault.begin({ method, url, authorization, body: request.body, step })
    const delivery = await this.#send(request, intent)
    if (delivery.kind === 'failed') {
      await intent?.close(delivery.sent === 'no' ? 'not-sent' : 'unknown')
      this.#exchanges.push(exchangeOf(request.outgoing, delivery, undefined, redactor))
      return this.#judgeFailure(delivery)
    }
    // Before anything else looks at it: what this answer registers must survive whatever happens next.
    const { status, body } = delivery.answer
    const [kept] = await Promise.allSettled([this.#keep({ status, body, step }, intent)])
    const text = new TextDecoder().decode(body)
    const answer = parseAnswer(delivery.answer, text)
    this.#answer = answer
    this.#learn(answer)
    this.#exchanges.push(exchangeOf(request.outgoing, delivery, answer, redactor))
    if (kept.status === 'rejected') throw kept.reason
    this.#kept = kept.value
    if (isSuccess(status) && authorization !== undefined && kept.value === undefined)
      await vault.worked(authorization, step)
    return this.#judge(request, answer)
  }

  async #send(request: BuiltRequest, intent: Intent | undefined): Promise<Delivery> {
    try {
      return await this.#ports.transport.send(request.outgoing, {
        identity: this.#step.identity,
        timeoutMs: this.#planned.timeoutMs,
        signal: this.#signal,
      })
    } catch (error) {
      // A transport rejects only before anything left.
      await intent?.close('not-sent')
      throw error
    }
  }

  async #keep(
    answer: { readonly status: number; readonly body: Uint8Array; readonly step: string },
    intent: Intent | undefined,
  ): Promise<Kept | undefined> {
    if (intent === undefined) return isSuccess(answer.status) ? await this.#ports.vault.keep(answer) : undefined
    try {
      return await intent.keep(answer)
    } finally {
      // Also where it could not be kept: the call then stays open, but no later one may wait for it.
      await intent.close('answered')
    }
  }

  async #refresh(): Promise<void> {
    const { redactor, sign, vault } = this.#ports
    for (const name of inputsReadBy(this.#step)) {
      const input = this.#inputs.get(name)
      if (input?.kind === 'minted') {
        const assertion = await sign(input.assertion)
        redactor.add(assertion)
        this.#fresh.set(name, assertion.reveal())
      } else if (input?.kind === 'vault') {
        const value = await vault.read(input.member)
        if (value !== undefined && input.member === 'registration_access_token')
          redactor.add({ value, name: input.member })
        this.#fresh.set(name, value)
      }
    }
  }

  #context(): Context {
    const request = this.#request
    const answer = this.#answer
    return {
      inputs: (name) => (this.#fresh.has(name) ? this.#fresh.get(name) : plainValue(this.#inputs.get(name))),
      steps: this.#outputs,
      ...(request && {
        url: request.outgoing.url,
        method: request.outgoing.method,
        request: { headers: request.outgoing.headers, query: request.query, path: request.path, body: request.body },
      }),
      ...(answer && { statusCode: answer.status, response: { headers: answer.headers, body: answer.body } }),
    }
  }

  /** Secrets that the server issues are secrets from the moment they arrive. */
  #learn(answer: ParsedAnswer): void {
    const { redactor } = this.#ports
    redactor.learn(answer.body)
    for (const [name, value] of answer.headers) redactor.learn({ [name]: value })
    if (typeof answer.body === 'string' && /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(answer.body))
      redactor.add({ value: answer.body, name: 'jwt' })
  }

  /** No answer is no verdict, unless a refusal of the certificate is what the step waits for. */
  #judgeFailure({ problem, timing }: Extract<Delivery, { kind: 'failed' }>): Verdict {
    const refused =
      problem.code === 'TLS_CLIENT_REFUSED' || (problem.code === 'PEER_CLOSED' && timing.firstByteMs === undefined)
    if (!this.#step.expectRefused || !refused) return { status: 'errored', error: this.#redacted(problem) }
    return { status: 'passed', checks: this.#ports.redactor.value([refusalCheck(true, problem.message, this.#step)]) }
  }

  #judge(request: BuiltRequest, answer: ParsedAnswer): Verdict {
    const { redactor } = this.#ports
    const context = this.#context()
    const checks: CheckRecord[] = this.#step.expectRefused
      ? [refusalCheck(isRefusal(answer), refusalFacts(answer), this.#step)]
      : judgeAnswer(this.#step.operation, answer)
    if (this.#step.criteria.length === 0 && !this.#step.expectRefused)
      checks.push(successCheck(answer.status, this.#step))
    for (const [index, criterion] of this.#step.criteria.entries())
      checks.push(criterionCheck(criterion, index, context))
    const scopes = compareScopes(request.body, answer.body)
    if (scopes !== undefined) checks.push(scopeCheck(scopes))

    if (checks.some((check) => check.status === 'fail')) {
      const problem = noVerdict(answer, request.outgoing.url, this.#step)
      if (problem !== undefined) return { status: 'errored', error: this.#redacted(problem) }
      return { status: 'failed', checks: redactor.value(checks), scopes: redactor.value(scopes) }
    }
    const judged = { checks: redactor.value(checks), scopes: redactor.value(scopes) }
    try {
      const outputs = Object.fromEntries(
        [...this.#step.outputs].map(([name, value]) => [name, evaluate(value, context, this.#inputs)]),
      )
      this.#outputs.set(this.#step.stepId, { outputs })
      return { status: 'passed', ...judged, outputs: redactor.value(outputs) }
    } catch (error) {
      return { status: 'errored', ...judged, error: this.#redacted(problemOf(error)) }
    }
  }

  #redacted(problem: Problem): Problem {
    return this.#ports.redactor.value(problem)
  }
}

type Verdict = Partial<StepRecord> & Pick<StepRecord, 'status'>

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** A 4xx that gives nothing away. Throttling is no refusal. */
function isRefusal({ status, body }: ParsedAnswer): boolean {
  if (status < 400 || status >= 500 || status === 408 || status === 429) return false
  const members = typeof body === 'object' && body !== null ? Object.keys(body) : []
  return !members.some((name) => ['access_token', 'client_id', 'registration_access_token'].includes(name))
}

function refusalFacts({ status, body }: ParsedAnswer): string {
  const error =
    typeof body === 'object' && body !== null && 'error' in body ? `, error ${JSON.stringify(body.error)}` : ''
  return `${status}${error}`
}

/**
 * Answers that say nothing about the client or the server's conformance: it is overloaded or broken, or a proxy in front
 * of it speaks. A step that expects such an answer states it in its criteria, and then no check fails.
 */
function noVerdict({ status, headers }: ParsedAnswer, url: string, step: Step): Problem | undefined {
  const header = (name: string) => headers.find(([one]) => one.toLowerCase() === name)?.[1]
  const host = URL.parse(url)?.host ?? url
  const wait = header('retry-after')
  const hint = wait === undefined ? undefined : `it asks to wait: Retry-After ${wait}`
  if (status === 429) return { code: 'THROTTLED', message: `"${host}" answered 429: too many requests`, hint }
  if (status >= 500) return { code: 'SERVER_ERROR', message: `"${host}" answered ${status}, which is no verdict`, hint }
  if (status === 400 && step.operation.mutualTls && header('content-type')?.startsWith('text/html')) {
    return {
      code: 'TLS_CLIENT_REFUSED',
      message: `"${host}" answered 400 with an HTML page instead of its own error; a proxy there seems to refuse the certificate of identity "${step.identity}"`,
      hint: 'check that the certificate is the one Thredd issued for this host and is within its dates',
    }
  }
  return undefined
}

function shown(input: PlannedInput, redactor: Redactor): unknown {
  if (input.kind !== 'value') return `(${input.kind})`
  return input.secret ? '[secret]' : redactor.value(input.value)
}

/** Arazzo leaves a step without criteria open; ours holds on a 2xx. */
function successCheck(status: number, step: Step): CheckRecord {
  return {
    id: 'success',
    status: isSuccess(status) ? 'pass' : 'fail',
    level: 'must',
    clauses: [],
    title: 'the call succeeds',
    expected: 'a 2xx status',
    actual: String(status),
    at: step.at,
  }
}

function criterionCheck(criterion: Criterion, index: number, context: Context): CheckRecord {
  const verdict = judge(criterion.condition, context)
  return {
    id: `criterion ${index + 1}`,
    status: verdict.pass ? 'pass' : criterion.level === 'must' ? 'fail' : 'warn',
    level: criterion.level,
    clauses: [...criterion.clauses],
    title: criterion.text,
    expected: verdict.expected,
    actual: verdict.error === undefined ? verdict.actual : `${verdict.actual} (${verdict.error})`,
    at: criterion.at,
  }
}

function blank({ step }: PlannedStep): StepRecord {
  const { operationId, method, path } = step.operation
  return {
    stepId: step.stepId,
    description: step.description,
    at: step.at,
    status: 'skipped',
    operation: { source: step.source, operationId, method, path },
    identity: step.identity,
    durationMs: 0,
    exchanges: [],
    checks: [],
    outputs: {},
  }
}

/** Anticipated errors become data; anything else is a bug and goes on. */
function problemOf(error: unknown): Problem {
  if (error instanceof ToolError) return error.problems[0]
  if (error instanceof ExpressionError) return { code: 'VALUE_UNDEFINED', message: error.message, hint: error.hint }
  throw error
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
