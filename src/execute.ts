/**
 * Runs a plan: one step after the other, each answer kept before it is judged. Every effect is an argument, every result
 * a value; nothing is printed and nothing is written here. Events tell progress, the return value is the record.
 */
import { createHash } from 'node:crypto'
import { compareScopes, isJson, judgeAnswer, type ParsedAnswer, scopeCheck } from './checks.ts'
import { fail, type Problem, ToolError } from './errors.ts'
import { judge } from './flow/criterion.ts'
import { type Context, render } from './flow/expression.ts'
import type { Criterion, Step, Value } from './flow/index.ts'
import { select } from './flow/selector.ts'
import {
  type AssertionPlan,
  inputsReadBy,
  type Plan,
  type PlannedInput,
  type PlannedStep,
  type PlannedWorkflow,
  type VaultMember,
} from './plan.ts'
import type { CheckRecord, Exchange, StepRecord, WorkflowRecord } from './record.ts'
import type { Redactor, Secret } from './secret.ts'
import type { Answer, Delivery, Outgoing, Transport } from './transport/transport.ts'

export type RunEvent =
  | { readonly type: 'workflow-started'; readonly planned: PlannedWorkflow }
  | { readonly type: 'step-started'; readonly stepId: string }
  | ({ readonly type: 'registration-kept'; readonly stepId: string } & Kept)
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

/** Effects the executor needs; golden records are byte-stable because time and ids come from here too. */
export interface Ports {
  readonly transport: Transport
  /** a freshly signed client assertion with an unused jti */
  readonly sign: (assertion: AssertionPlan) => Promise<Secret>
  readonly vault: {
    /** Durable when it resolves; undefined for an answer that registers nothing new. */
    keep(answer: { readonly body: string; readonly status: number; readonly step: string }): Promise<Kept | undefined>
    read(member: VaultMember): Promise<string | undefined>
  }
  readonly redactor: Redactor
  readonly userAgent: string
  readonly now: () => Date
  /** monotonic milliseconds */
  readonly clock: () => number
}

/** Bodies beyond this stand in the record by size and hash alone. */
const LONGEST_RECORDED_BODY = 64 * 1024

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

class WorkflowRun {
  readonly #planned: PlannedWorkflow
  readonly #ports: Ports
  readonly #signal: AbortSignal
  readonly #outputs = new Map<string, { outputs: Readonly<Record<string, unknown>> }>()

  constructor(planned: PlannedWorkflow, ports: Ports, signal: AbortSignal) {
    this.#planned = planned
    this.#ports = ports
    this.#signal = signal
  }

  async *run(): AsyncGenerator<RunEvent, WorkflowRecord> {
    const { flow, workflow, inputs, steps: plannedSteps } = this.#planned
    const { redactor, now, clock } = this.#ports
    const startedAt = now().toISOString()
    const start = clock()
    for (const [name, input] of inputs) {
      if (input.kind !== 'value' || !input.secret) continue
      for (const value of [input.value].flat()) redactor.add({ value: asText(value), name })
    }
    const steps: StepRecord[] = []
    let stopped: string | undefined
    for (const planned of plannedSteps) {
      if (this.#signal.aborted) stopped = 'the run was interrupted'
      if (stopped !== undefined) {
        const step: StepRecord = { ...blank(planned), status: 'skipped', because: stopped }
        steps.push(step)
        yield { type: 'step-finished', step }
        continue
      }
      yield { type: 'step-started', stepId: planned.step.stepId }
      const { step, kept } = await new StepRun(planned, inputs, this.#outputs, this.#ports, this.#signal).run()
      if (kept !== undefined) yield { type: 'registration-kept', stepId: step.stepId, ...redactor.value(kept) }
      steps.push(step)
      yield { type: 'step-finished', step }
      if (step.status !== 'passed') stopped = `step "${step.stepId}" ${step.status}`
    }
    const { outputs, error } = this.#end(steps)
    const status = steps.some((step) => step.status === 'failed')
      ? 'failed'
      : error !== undefined || steps.some((step) => step.status !== 'passed')
        ? 'errored'
        : 'passed'
    return {
      workflowId: workflow.workflowId,
      summary: workflow.summary,
      flow: { file: flow.file, sha256: flow.sha256, title: flow.title },
      effect: workflow.effect,
      safety: workflow.safety,
      clauses: [...workflow.clauses],
      notice: workflow.notice,
      status,
      inputs: [...inputs].map(([name, input]) => ({ name, source: input.origin.label, value: shown(input, redactor) })),
      steps,
      outputs: redactor.value(outputs),
      error: redactor.value(error),
      startedAt,
      durationMs: round(clock() - start),
    }
  }

  #end(steps: readonly StepRecord[]): { outputs: Record<string, unknown>; error: Problem | undefined } {
    if (this.#signal.aborted) return { outputs: {}, error: { code: 'INTERRUPTED', message: 'the run was interrupted' } }
    if (steps.some((step) => step.status !== 'passed')) return { outputs: {}, error: undefined }
    const context: Context = { inputs: (name) => plainValue(this.#planned.inputs.get(name)), steps: this.#outputs }
    try {
      const outputs = [...this.#planned.workflow.outputs].map(([name, value]) => [
        name,
        evaluate(value, context, this.#planned.inputs),
      ])
      return { outputs: Object.fromEntries(outputs), error: undefined }
    } catch (error) {
      return { outputs: {}, error: problemOf(error) }
    }
  }
}

class StepRun {
  readonly #planned: PlannedStep
  readonly #step: Step
  readonly #inputs: ReadonlyMap<string, PlannedInput>
  readonly #outputs: Map<string, { outputs: Readonly<Record<string, unknown>> }>
  readonly #ports: Ports
  readonly #signal: AbortSignal
  /** minted and stored inputs, read once for this step */
  readonly #fresh = new Map<string, string | undefined>()

  constructor(
    planned: PlannedStep,
    inputs: ReadonlyMap<string, PlannedInput>,
    outputs: Map<string, { outputs: Readonly<Record<string, unknown>> }>,
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

  async run(): Promise<{ step: StepRecord; kept: Kept | undefined }> {
    const startedAt = this.#ports.now().toISOString()
    const start = this.#ports.clock()
    const exchanges: Exchange[] = []
    let kept: Kept | undefined
    const finished = (result: Partial<StepRecord> & Pick<StepRecord, 'status'>) => ({
      step: {
        ...blank(this.#planned),
        startedAt,
        exchanges,
        ...result,
        durationMs: round(this.#ports.clock() - start),
      },
      kept,
    })
    try {
      await this.#refresh()
      const request = buildRequest(this.#planned, this.#context(), this.#inputs, this.#ports.userAgent)
      // A server may echo what it was told.
      this.#ports.redactor.learn(request.body)
      for (const [name, value] of request.outgoing.headers) this.#ports.redactor.learn({ [name]: value })
      const delivery = await this.#ports.transport.send(request.outgoing, {
        identity: this.#step.identity,
        timeoutMs: this.#planned.timeoutMs,
        signal: this.#signal,
      })
      if (delivery.kind === 'failed') {
        exchanges.push(exchangeOf(request.outgoing, delivery, undefined, this.#ports.redactor))
        return finished({ status: 'errored', error: this.#redacted(delivery.problem) })
      }
      // Before anything else looks at it: what this answer registers must survive whatever happens next.
      const text = new TextDecoder().decode(delivery.answer.body)
      if (delivery.answer.status >= 200 && delivery.answer.status < 300) {
        kept = await this.#ports.vault.keep({ body: text, status: delivery.answer.status, step: this.#step.stepId })
      }
      const answer = parseAnswer(delivery.answer, text)
      this.#learn(answer)
      exchanges.push(exchangeOf(request.outgoing, delivery, answer, this.#ports.redactor))
      return finished(this.#judge(request, answer))
    } catch (error) {
      return finished({ status: 'errored', error: this.#redacted(problemOf(error)) })
    }
  }

  async #refresh(): Promise<void> {
    for (const name of inputsReadBy(this.#step)) {
      const input = this.#inputs.get(name)
      if (input?.kind === 'minted') {
        const assertion = await this.#ports.sign(input.assertion)
        this.#ports.redactor.add(assertion)
        this.#fresh.set(name, assertion.reveal())
      } else if (input?.kind === 'vault') {
        const value = await this.#ports.vault.read(input.member)
        if (value !== undefined && input.member === 'registration_access_token')
          this.#ports.redactor.add({ value, name: input.member })
        this.#fresh.set(name, value)
      }
    }
  }

  #context(exchange: Partial<Context> = {}): Context {
    return {
      inputs: (name) => (this.#fresh.has(name) ? this.#fresh.get(name) : plainValue(this.#inputs.get(name))),
      steps: this.#outputs,
      ...exchange,
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

  #judge(request: BuiltRequest, answer: ParsedAnswer): Partial<StepRecord> & Pick<StepRecord, 'status'> {
    const { redactor } = this.#ports
    const context = this.#context({
      url: request.outgoing.url,
      method: request.outgoing.method,
      statusCode: answer.status,
      request: { headers: request.outgoing.headers, query: request.query, path: request.path, body: request.body },
      response: { headers: answer.headers, body: answer.body },
    })
    const checks = judgeAnswer(this.#step.operation, answer)
    if (this.#step.criteria.length === 0) checks.push(successCheck(answer.status, this.#step))
    for (const [index, criterion] of this.#step.criteria.entries())
      checks.push(criterionCheck(criterion, index, context))
    const scopes = compareScopes(request.body, answer.body)
    if (scopes !== undefined) checks.push(scopeCheck(scopes))

    const judged = { checks: redactor.value(checks), scopes: redactor.value(scopes) }
    if (checks.some((check) => check.status === 'fail')) return { status: 'failed', ...judged }
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

interface BuiltRequest {
  readonly outgoing: Outgoing
  readonly path: Readonly<Record<string, unknown>>
  readonly query: Readonly<Record<string, unknown>>
  /** the payload before it became text */
  readonly body: unknown
}

function buildRequest(
  { step, server }: PlannedStep,
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
  userAgent: string,
): BuiltRequest {
  const at = (location: string) =>
    step.parameters
      .filter((parameter) => parameter.in === location)
      .flatMap(({ name, value }): [string, unknown][] => {
        const resolved = evaluate(value, context, inputs)
        return resolved === OMITTED ? [] : [[name, resolved]]
      })
  const path = Object.fromEntries(at('path'))
  const query = Object.fromEntries(at('query'))
  const cookies = at('cookie').map(([name, value]) => `${name}=${asText(value)}`)
  const headers = at('header').map(([name, value]): [string, string] => [name.toLowerCase(), asText(value)])
  const payload = step.requestBody === undefined ? undefined : evaluate(step.requestBody.payload, context, inputs)
  const has = (name: string) => headers.some(([header]) => header === name)

  if (!has('accept')) headers.unshift(['accept', acceptedBy(step)])
  if (!has('user-agent')) headers.push(['user-agent', userAgent])
  if (cookies.length > 0) headers.push(['cookie', cookies.join('; ')])
  if (step.requestBody !== undefined && !has('content-type'))
    headers.push(['content-type', step.requestBody.contentType])
  return {
    outgoing: {
      method: step.operation.method,
      url: urlOf(step, server, context, path, query),
      headers,
      body: step.requestBody === undefined ? undefined : serialized(payload, step.requestBody.contentType),
    },
    path,
    query,
    body: payload,
  }
}

function urlOf(
  step: Step,
  server: string,
  context: Context,
  path: Record<string, unknown>,
  query: Record<string, unknown>,
): string {
  const rendered = step.url === undefined ? undefined : render(step.url, context)
  if (rendered !== undefined) {
    if (rendered.ok && typeof rendered.value === 'string') return rendered.value
    fail({ code: 'VALUE_UNDEFINED', message: `the URL of step "${step.stepId}" has no value`, at: step.at })
  }
  const filled = step.operation.path.replace(/\{([^}]+)\}/g, (_, name: string) =>
    encodeURIComponent(asText(path[name])),
  )
  const search = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, asText(value)]),
  ).toString()
  return `${server}${filled}${search === '' ? '' : `?${search}`}`
}

/** The media types that the operation documents for success. */
function acceptedBy(step: Step): string {
  const types = [...step.operation.responses]
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([, content]) => [...content.keys()])
  return types.length === 0 ? '*/*' : [...new Set(types)].join(', ')
}

function serialized(payload: unknown, contentType: string): string {
  if (typeof payload === 'string') return payload
  if (!contentType.startsWith('application/x-www-form-urlencoded')) return JSON.stringify(payload)
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(payload as Record<string, unknown>)) {
    for (const item of Array.isArray(value) ? value : [value]) form.append(name, asText(item))
  }
  return form.toString()
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** A lone reference to an optional input without a value: the member that holds it is left out. */
const OMITTED = Symbol('omitted')

function evaluate(value: Value, context: Context, inputs: ReadonlyMap<string, PlannedInput>): unknown {
  switch (value.kind) {
    case 'literal':
      return value.value
    case 'template': {
      const result = render(value.template, context)
      if (result.ok) return result.value
      const { missing } = result
      const input = missing.kind === 'inputs' ? inputs.get(missing.name) : undefined
      if (value.template.kind === 'expression' && input?.kind === 'absent') return OMITTED
      return fail({
        code: 'VALUE_UNDEFINED',
        message: `"${missing.text}" has no value`,
        at: value.at,
        hint:
          input?.kind === 'vault'
            ? 'the vault holds no registration of this client'
            : 'the answer it is read from does not have it',
      })
    }
    case 'selector': {
      const selected = select(value.selector, context)
      return selected === undefined
        ? fail({ code: 'VALUE_UNDEFINED', message: 'the selector finds nothing', at: value.at })
        : selected
    }
    case 'object': {
      const members = value.members.map(([name, member]) => [name, evaluate(member, context, inputs)])
      return Object.fromEntries(members.filter(([, member]) => member !== OMITTED))
    }
    case 'array':
      return value.items.map((item) => evaluate(item, context, inputs)).filter((item) => item !== OMITTED)
    default:
      return value satisfies never
  }
}

function plainValue(input: PlannedInput | undefined): unknown {
  return input?.kind === 'value' ? input.value : undefined
}

function shown(input: PlannedInput, redactor: Redactor): unknown {
  if (input.kind !== 'value') return `(${input.kind})`
  return input.secret ? '[secret]' : redactor.value(input.value)
}

function parseAnswer(answer: Answer, text: string): ParsedAnswer {
  const { status, headers } = answer
  if (text === '') return { status, headers, body: undefined, malformed: false }
  // The directory answers with the bare assertion, a JSON string or white space around it, depending on version.
  if (!isJson(headers)) return { status, headers, body: text.trim(), malformed: false }
  try {
    return { status, headers, body: JSON.parse(text) as unknown, malformed: false }
  } catch {
    return { status, headers, body: text, malformed: true }
  }
}

/** Arazzo leaves a step without criteria open; ours holds on a 2xx. */
function successCheck(status: number, step: Step): CheckRecord {
  return {
    id: 'success',
    status: status >= 200 && status < 300 ? 'pass' : 'fail',
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

function exchangeOf(
  outgoing: Outgoing,
  delivery: Delivery,
  answer: ParsedAnswer | undefined,
  redactor: Redactor,
): Exchange {
  return {
    request: {
      method: outgoing.method,
      url: redactor.text(outgoing.url),
      headers: redactor.headers(outgoing.headers),
      body: recordedBody(Buffer.from(outgoing.body ?? ''), readRequestBody(outgoing), redactor),
    },
    ...(delivery.kind === 'answered' && answer !== undefined
      ? {
          response: {
            status: answer.status,
            headers: redactor.headers(answer.headers),
            body: recordedBody(delivery.answer.body, answer.body, redactor),
          },
        }
      : {}),
    sent: delivery.kind === 'answered' ? 'yes' : delivery.sent,
    ...(delivery.kind === 'failed' ? { error: redactor.value(delivery.problem) } : {}),
    ...(delivery.tls === undefined ? {} : { tls: delivery.tls }),
    timing: delivery.timing,
  }
}

/** For the record alone; what does not parse is shown as it was sent, since a flow may break a body on purpose. */
function readRequestBody({ headers, body }: Outgoing): unknown {
  const type = headers.find(([name]) => name === 'content-type')?.[1] ?? ''
  if (body === undefined) return undefined
  if (type.startsWith('application/x-www-form-urlencoded')) {
    const form = new URLSearchParams(body)
    return Object.fromEntries([...form.keys()].map((name) => [name, alone(form.getAll(name))]))
  }
  if (!isJson(headers)) return body
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

function alone<T>(items: readonly T[]): T | readonly T[] {
  const [first] = items
  return items.length === 1 && first !== undefined ? first : items
}

/** Size and hash speak of the bytes on the wire; the text is what may be shown of them. */
function recordedBody(bytes: Uint8Array, parsed: unknown, redactor: Redactor): Exchange['request']['body'] {
  if (bytes.length === 0) return { bytes: 0 }
  const redacted = redactor.value(parsed)
  const text = typeof redacted === 'string' ? redacted : JSON.stringify(redacted, null, 2)
  const truncated = text.length > LONGEST_RECORDED_BODY
  return {
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    text: truncated ? text.slice(0, LONGEST_RECORDED_BODY) : text,
    ...(truncated ? { truncated } : {}),
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
  throw error
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
