/**
 * One call of a step: JWTs signed, the request built, altered and sent, the answer kept before it is judged. Every effect is
 * an argument.
 */

import { setImmediate } from 'node:timers/promises'
import { inputsReadBy } from '../flow/arazzo/needs.ts'
import { WAITS_FOR } from '../flow/arazzo/waits.ts'
import { judge } from '../flow/expression/criterion.ts'
import { type Context, ExpressionError } from '../flow/expression/expression.ts'
import type { CallStep, JwtHolder, Workflow } from '../flow/index.ts'
import type { JwtChanges } from '../identity/jwt.ts'
import { mayManage, plannedEffect, sentEffect } from '../plan/effect.ts'
import {
  type AssertionPlan,
  type PlannedCall,
  type PlannedInput,
  type PlannedWorkflow,
  plainValue,
  type VaultMember,
} from '../plan/index.ts'
import { readable } from '../record/coding.ts'
import { type Change, type Effect, isChange, isStronger } from '../record/effect.ts'
import { bugOf, fail, type Problem, ToolError } from '../record/errors.ts'
import type { CheckRecord, Exchange, StepRecord } from '../record/index.ts'
import { withTexts } from '../record/json.ts'
import { LIMITS } from '../record/limits.ts'
import type { Redactor, Secret } from '../secret/index.ts'
import type { Answer, Delivery, Outgoing, Received, Transport } from '../transport/transport.ts'
import { codingOf, type ParsedAnswer, readAnswer } from './answer.ts'
import { type Comparison, compareAsked, lifetimeCheck, notSaidYet } from './asked.ts'
import { criterionCheck, hiddenInputs, judgeable } from './criteria.ts'
import { bareExchangeOf, exchangeOf } from './exchange.ts'
import {
  alteredMembers,
  certificateCheck,
  compareScopes,
  isRefusal,
  isSuccess,
  judgeAnswer,
  noVerdict,
  refusalCheck,
  refusalFacts,
  scopeCheck,
  successCheck,
} from './judge.ts'
import { probe } from './probe.ts'
import { type BuiltRequest, buildRequest, evaluate, jwtAlterations, jwtChanges, jwtIn, nameIn } from './request.ts'
import { notRun, round } from './step-record.ts'

/** News of a registration that the vault has kept. */
export interface Kept {
  readonly clientId: string
  /** a first registration, or a token that replaces an earlier one */
  readonly news: 'registered' | 'rotated'
  /** earlier entries of the client could not be read; the answer is kept all the same */
  readonly problem?: Problem | undefined
}

/** As it came, before it is parsed, decoded or judged. */
interface RawAnswer {
  readonly status: number
  readonly body: Uint8Array
  /** Content-Encoding */
  readonly coding: string | undefined
  /** the body is a whole message that no HTTP parser took: where its own body begins, and whether that comes in chunks */
  readonly message?: { readonly bodyAt: number; readonly isChunked: boolean } | undefined
}

/** A call that the vault has written down, and that stays open until it is known how it ended. */
export interface Intent {
  /** Durable when it resolves; `onWritten` is called before, as soon as it is written: then others may look at it. */
  keep(answer: RawAnswer, onWritten?: () => void): Promise<Kept | undefined>
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/** The effects that execution needs. Time and ids are among them, so that tests can fix both. */
export interface Ports {
  readonly transport: Transport
  /** a freshly signed client assertion with an unused jti */
  readonly sign: (assertion: AssertionPlan, changes?: JwtChanges) => Promise<Secret>
  /** a JWT that others signed, with another signature */
  readonly alter: (jwt: string, changes: JwtChanges) => Promise<Secret>
  readonly vault: {
    /** Whether a call goes to the URI of a client that is known, or carries its token. */
    manages(call: { readonly url: string; readonly authorization: string | undefined }): Promise<boolean>
    /** Writes a call down that changes a registration, durably, before it leaves. */
    begin(call: {
      readonly effect: Change
      readonly method: string
      readonly url: string
      readonly authorization: string | undefined
      readonly step: string
      /** the step holds when the server refuses the call */
      readonly mustBeRefused: boolean
    }): Promise<Intent>
    /** Durable when it resolves; undefined for an answer that registers nothing new. */
    keep(answer: RawAnswer & { readonly step: string }, onWritten?: () => void): Promise<Kept | undefined>
    /** A call with these credentials succeeded and brought no new ones. */
    worked(authorization: string, step: string): Promise<void>
    read(member: VaultMember): Promise<string | undefined>
  }
  /** Establishes what a workflow is given. Returns why the workflow cannot begin, if it cannot. */
  readonly given: (workflow: Workflow) => Promise<string | undefined>
  readonly redactor: Redactor
  readonly userAgent: string
  readonly now: () => Date
  /** monotonic milliseconds */
  readonly clock: () => number
  /** Resolves after that time or, at once, when the signal is aborted. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** aborted: the calls that change a client end too although they have been sent, and so do the steps marked `finally` */
  readonly cut: AbortSignal
}

/** What the expressions of a workflow can read at one moment. */
export interface Readable {
  readonly inputs: ReadonlyMap<string, PlannedInput>
  readonly outputs: ReadonlyMap<string, { readonly outputs: Readonly<Record<string, unknown>> }>
  readonly workflows: NonNullable<Context['workflows']>
  /** what the document says of itself and of its sources */
  readonly document: {
    readonly flow: { readonly self?: string | undefined }
    readonly sources: PlannedWorkflow['sources']
  }
}

export interface Outcome {
  readonly step: StepRecord
  readonly kept?: Kept | undefined
  /** what the criteria of actions may read */
  readonly context: Context
  readonly answer?: ParsedAnswer | undefined
  /** the outputs, unredacted */
  readonly values: Readonly<Record<string, unknown>>
}

/** One attempt at a step that calls an operation. */
export class Call {
  readonly #planned: PlannedCall
  readonly #step: CallStep
  readonly #readable: Readable
  readonly #ports: Ports
  readonly #signal: AbortSignal
  /** minted and stored inputs, read once for this step */
  #fresh: ReadonlyMap<string, string | undefined> = new Map()
  readonly #exchanges: Exchange[] = []
  #kept: Kept | undefined
  #answer: ParsedAnswer | undefined
  #request: BuiltRequest | undefined
  #sent: Effect | undefined
  #values: Readonly<Record<string, unknown>> = {}

  constructor(planned: PlannedCall, readable: Readable, ports: Ports, signal: AbortSignal) {
    this.#planned = planned
    this.#step = planned.step
    this.#readable = readable
    this.#ports = ports
    this.#signal = signal
  }

  async run(): Promise<Outcome> {
    const startedAt = this.#ports.now().toISOString()
    const start = this.#ports.clock()
    let result: StepResult
    try {
      result = await this.#exchange()
    } catch (error) {
      result = { status: 'errored', error: redactedProblem(error, this.#ports.redactor) }
    }
    if (result.status !== 'passed') this.#values = this.#outputsAtHand()
    const durationMs = round(this.#ports.clock() - start)
    return {
      step: {
        ...notRun(this.#planned),
        effect: { planned: plannedEffect(this.#step), sent: this.#sent },
        startedAt,
        exchanges: this.#exchanges,
        ...result,
        durationMs,
      },
      kept: this.#kept,
      context: this.#context(),
      answer: this.#answer,
      values: this.#values,
    }
  }

  async #exchange(): Promise<StepResult> {
    const { redactor, vault, userAgent } = this.#ports
    const jwts = await this.#refresh()
    const request = buildRequest(this.#planned, this.#context(), this.#readable.inputs, userAgent, jwts)
    this.#request = request
    for (const key of request.keys) redactor.add(key)
    // A server may repeat it in its answer.
    redactor.learn([request.body, request.outgoing.url], request.outgoing.headers)
    const { method, url, headers } = request.outgoing
    const authorization = headers.find(([name]) => name === 'authorization')?.[1]
    const step = this.#step.stepId
    const managesKnown = mayManage(request.outgoing) && (await vault.manages({ url, authorization }))
    const effect = sentEffect(request.outgoing, this.#step.operation, managesKnown)
    this.#sent = effect
    demandPlanned(this.#step, effect)
    const mustBeRefused = this.#step.expectRefused
    if (this.#step.probe !== undefined) return await this.#probe(request)
    const intent = isChange(effect)
      ? await vault.begin({ effect, method, url, authorization, step, mustBeRefused })
      : undefined
    const delivery = await this.#send(request, intent)
    if (delivery.kind === 'failed') {
      const [news] = await Promise.allSettled([this.#keepReceived(delivery, intent, step)])
      this.#takeFailed(request.outgoing, delivery)
      if (news.status === 'rejected') throw news.reason
      return this.#judgeFailure(
        news.value === undefined ? delivery : { ...delivery, problem: { ...delivery.problem, ...news.value } },
      )
    }
    const { status } = delivery.answer
    const answer = await this.#takeOnceWritten(request.outgoing, delivery, intent)
    if (isSuccess(status) && authorization !== undefined && this.#kept === undefined)
      await vault.worked(authorization, step)
    if (answer.unreadable !== undefined) return { status: 'errored', error: this.#redacted(answer.unreadable) }
    return await this.#judge(request, answer)
  }

  async #probe({ outgoing }: BuiltRequest): Promise<StepResult> {
    const { transport, redactor } = this.#ports
    const { identity } = this.#step
    const { checks, error, ...result } = await probe(this.#step, outgoing, {
      transport,
      options: { identity, timeoutMs: this.#planned.timeoutMs, signal: this.#signal },
      take: async (delivery) => {
        if (delivery.kind === 'answered') return await this.#take(outgoing, delivery)
        this.#takeFailed(outgoing, delivery)
        return undefined
      },
    })
    return {
      ...result,
      ...(checks === undefined ? {} : { checks: redactor.checks(checks) }),
      ...(error === undefined ? {} : { error: this.#redacted(error) }),
    }
  }

  async #send(request: BuiltRequest, intent: Intent | undefined): Promise<Delivery> {
    const { transport, cut } = this.#ports
    try {
      return await transport.send(request.outgoing, {
        identity: this.#step.identity,
        timeoutMs: this.#planned.timeoutMs,
        signal: this.#signal,
        // Its answer may hold the only token of a client.
        cut: intent && cut,
      })
    } catch (error) {
      // A ToolError of a transport means that nothing was sent; after any other error that is unknown.
      await intent?.close(error instanceof ToolError ? 'not-sent' : 'unknown')
      throw error
    }
  }

  /** What arrived of an answer that cannot be read as HTTP may be the only copy of a registration. */
  async #keepReceived(
    { sent, problem, received }: Extract<Delivery, { kind: 'failed' }>,
    intent: Intent | undefined,
    step: string,
  ): Promise<Pick<Problem, 'message'> | undefined> {
    if (received === undefined) {
      await intent?.close(sent === 'no' ? 'not-sent' : 'unknown')
      return undefined
    }
    const { bytes, status, coding, bodyAt, isChunked } = received
    this.#kept = await this.#keep({ status, body: bytes, coding, message: { bodyAt, isChunked }, step }, intent)
    const isThere = intent !== undefined || this.#kept !== undefined
    return isThere
      ? { message: `${problem.message}; the ${bytes.length} bytes that arrived are in the vault` }
      : undefined
  }

  /**
   * Keeps the answer and takes it. What it registers must be kept whatever happens next: it is parsed only when it is written,
   * and while the disk takes it; the call is not over before it is there.
   */
  async #takeOnceWritten(
    outgoing: Outgoing,
    delivery: Extract<Delivery, { kind: 'answered' }>,
    intent: Intent | undefined,
  ): Promise<ParsedAnswer> {
    const { status, body, headers } = delivery.answer
    const raw = { status, body, coding: codingOf(headers), step: this.#step.stepId }
    const written = Promise.withResolvers<void>()
    const keeping = Promise.allSettled([this.#keep(raw, intent, written.resolve)])
    await Promise.race([written.promise, keeping])
    const [taken] = await Promise.allSettled([this.#take(outgoing, delivery)])
    const [kept] = await keeping
    if (kept.status === 'fulfilled') this.#kept = kept.value
    if (taken.status === 'rejected') throw taken.reason
    if (kept.status === 'rejected') throw kept.reason
    return taken.value
  }

  /** Parses the answer, learns its secrets and records the exchange; where that fails, only what gives nothing away. */
  async #take(outgoing: Outgoing, delivery: Extract<Delivery, { kind: 'answered' }>): Promise<ParsedAnswer> {
    const { redactor } = this.#ports
    try {
      const answer = readAnswer(delivery.answer, URL.parse(outgoing.url)?.host ?? outgoing.url)
      this.#answer = answer
      await setImmediate()
      this.#learn(answer, delivery.answer)
      await setImmediate()
      this.#exchanges.push(exchangeOf(outgoing, delivery, answer, redactor))
      return answer
    } catch (error) {
      this.#exchanges.push(bareExchangeOf(outgoing, delivery))
      const members = Object.entries(Object(this.#answer?.body ?? {}))
      for (const [name, value] of members) if (typeof value === 'string') redactor.add({ value, name })
      throw error
    }
  }

  /** Learns the secrets of what arrived, if anything did, and records the exchange. */
  #takeFailed(outgoing: Outgoing, delivery: Extract<Delivery, { kind: 'failed' }>): void {
    if (delivery.received !== undefined) this.#learnReceived(delivery.received)
    this.#exchanges.push(exchangeOf(outgoing, delivery, undefined, this.#ports.redactor))
  }

  /** The outputs that can be read although the step did not pass: a step marked `finally` may need them to undo it. */
  #outputsAtHand(): Readonly<Record<string, unknown>> {
    if (this.#answer === undefined) return {}
    const { headers, body, beyond } = this.#answer
    const context = { ...this.#context(), response: { headers, body: body ?? beyond } }
    const entries = [...this.#step.outputs].flatMap(([name, value]): [string, unknown][] => {
      try {
        return [[name, evaluate(value, context, this.#readable.inputs)]]
      } catch {
        return []
      }
    })
    return Object.fromEntries(entries)
  }

  async #keep(
    answer: RawAnswer & { readonly step: string },
    intent: Intent | undefined,
    onWritten?: () => void,
  ): Promise<Kept | undefined> {
    if (intent === undefined)
      return isSuccess(answer.status) ? await this.#ports.vault.keep(answer, onWritten) : undefined
    try {
      return await intent.keep(answer, onWritten)
    } finally {
      // Also where it could not be kept: the call then stays open, but no later one may wait for it.
      await intent.close('answered')
    }
  }

  /** Reads what is fresh for each step, and returns the altered JWTs by what holds them. */
  async #refresh(): Promise<ReadonlyMap<JwtHolder, string>> {
    const { redactor, sign, alter } = this.#ports
    const { inputs } = this.#readable
    const { source } = this.#step
    this.#fresh = await freshInputs(inputsReadBy(this.#step), inputs, source, this.#ports)
    const jwts = new Map<JwtHolder, string>()
    for (const [holder, alterations] of jwtAlterations(this.#step)) {
      const [first] = alterations
      if (first === undefined) continue
      const context = this.#context()
      const changes = jwtChanges(alterations, context, inputs)
      const input = first.input === undefined ? undefined : inputs.get(first.input)
      if (input?.kind !== 'minted' && needsTheKey(changes)) {
        fail({
          code: 'VALUE_UNDEFINED',
          message: `the JWT in "${nameIn(holder)}" is not minted in this run, so it cannot be signed anew`,
          at: first.at,
        })
      }
      const altered =
        input?.kind === 'minted'
          ? await sign(assertionFor(input, source), changes)
          : await alter(jwtIn(this.#step, first, context, inputs), changes)
      redactor.add(altered)
      jwts.set(holder, altered.reveal())
    }
    return jwts
  }

  #context(): Context {
    const request = this.#request
    const answer = this.#answer
    return {
      ...contextOf(this.#readable, this.#fresh),
      ...(request && {
        url: request.outgoing.url,
        method: request.outgoing.method,
        request: { headers: request.outgoing.headers, query: request.query, path: request.path, body: request.body },
      }),
      ...(answer && { statusCode: answer.status, response: { headers: answer.headers, body: answer.body } }),
    }
  }

  /** Learns the secrets in an answer, judged or not, before anything of it is kept or shown. */
  #learn(answer: ParsedAnswer, { body, beside }: Answer): void {
    const { redactor } = this.#ports
    const { text, isWhole } = readable(body, { coding: codingOf(answer.headers) })
    redactor.learn(answer.body, [...answer.headers, ...(beside ?? [])], text)
    if (!isWhole) redactor.hideRandomTexts()
    if (typeof answer.body === 'string' && /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(answer.body))
      redactor.add({ value: answer.body, name: 'jwt' })
  }

  /** The same for what arrived of an answer that cannot be read as HTTP. */
  #learnReceived({ bytes, coding, bodyAt, isChunked }: Received): void {
    const { redactor } = this.#ports
    const { text, isWhole } = readable(bytes.subarray(bodyAt), { coding, isChunked })
    redactor.learn(Buffer.from(bytes).toString(), [], text)
    if (!isWhole) redactor.hideRandomTexts()
  }

  /** A call without an answer gives no verdict, unless the step expects its certificate to be refused. */
  #judgeFailure({ problem, timing, tls, received }: Extract<Delivery, { kind: 'failed' }>): StepResult {
    // On a connection with an earlier exchange the certificate was accepted, so that its end is no refusal.
    const reused = tls !== undefined && timing.connectMs === undefined
    const isSilent = timing.firstByteMs === undefined && received === undefined
    const closed = problem.code === 'PEER_CLOSED' && isSilent && !reused
    const refused = problem.code === 'TLS_CLIENT_REFUSED' || closed
    if (!this.#step.expectRefused || !refused) return { status: 'errored', error: this.#redacted(problem) }
    return { status: 'passed', checks: this.#ports.redactor.checks([refusalCheck(true, problem.message, this.#step)]) }
  }

  async #judge(request: BuiltRequest, answer: ParsedAnswer): Promise<StepResult> {
    const { redactor } = this.#ports
    const context = this.#context()
    const asked = isSuccess(answer.status) ? this.#compare(request, answer) : undefined
    const tls = this.#exchanges.at(-1)?.tls
    const unasked = certificateCheck(this.#step, tls)
    const own = [...(await this.#checksOf(answer, context)), ...(unasked === undefined ? [] : [unasked])]
    const all = [...own, ...notSaidYet(asked?.checks ?? [], own)]
    const { checks, notJudged } = judgeable(this.#step, answer.status, all)
    const judged = {
      checks: redactor.checks(checks),
      ...(notJudged === undefined ? {} : { notJudged: redactor.record(notJudged) }),
      scopes: redactor.value(asked?.scopes),
      ...(asked?.differences === undefined || asked.differences.length === 0
        ? {}
        : { differences: [...asked.differences] }),
    }
    if (checks.some((check) => check.status === 'fail')) {
      const problem = noVerdict(answer, request.outgoing.url, this.#step, tls?.protocol) ?? waiting(this.#step, context)
      if (problem !== undefined) return { status: 'errored', error: this.#redacted(problem) }
      return { status: 'failed', ...judged }
    }
    try {
      const outputs = Object.fromEntries(
        [...this.#step.outputs].map(([name, value]) => [name, evaluate(value, context, this.#readable.inputs)]),
      )
      this.#values = outputs
      return { status: 'passed', ...judged, outputs: redactor.value(withTexts(outputs)) }
    } catch (error) {
      return { status: 'errored', ...judged, error: redactedProblem(error, redactor) }
    }
  }

  /** What the description of the operation and the criteria of the step say of the answer. */
  async #checksOf(answer: ParsedAnswer, context: Context): Promise<CheckRecord[]> {
    const step = this.#step
    const { redactor } = this.#ports
    const hidden = hiddenInputs(this.#readable.inputs, redactor)
    await this.#turn()
    const checks = [
      ...(step.expectRefused
        ? [refusalCheck(isRefusal(answer), refusalFacts(answer), step)]
        : judgeAnswer(step.operation, answer)),
      ...(step.criteria.length === 0 && !step.expectRefused ? [successCheck(answer.status, step)] : []),
    ]
    for (const [index, criterion] of step.criteria.entries()) {
      // A large answer takes its time for each of them.
      await this.#turn()
      checks.push(criterionCheck(criterion, index, context, { hidden, redactor }))
    }
    return checks
  }

  /** Lets a signal through, such as that of Ctrl-C; the rest of the answer is then not judged. */
  async #turn(): Promise<void> {
    await setImmediate()
    if (this.#signal.aborted)
      fail({ code: 'INTERRUPTED', message: 'the run was interrupted while the answer was judged' })
  }

  /** What was asked for against what came. */
  #compare({ body }: BuiltRequest, answer: ParsedAnswer): Partial<Comparison> & Pick<StepRecord, 'scopes'> {
    const except = alteredMembers(this.#step)
    const scopes = compareScopes(body, answer.body)
    const isRegistration = this.#sent === 'register' || this.#sent === 'update'
    const asked = isRegistration
      ? compareAsked(body, answer.body, { except, redactor: this.#ports.redactor })
      : undefined
    const lifetime = lifetimeCheck(answer.body)
    const checks = [
      ...(asked?.checks ?? []),
      ...(scopes === undefined || except.has('scopes') ? [] : [scopeCheck(scopes)]),
      ...(lifetime === undefined ? [] : [lifetime]),
    ]
    const isShown = scopes !== undefined && scopes.granted.length <= LIMITS.scopes.value
    return {
      scopes: isShown ? scopes : undefined,
      checks,
      ...(asked === undefined ? {} : { differences: asked.differences }),
    }
  }

  #redacted(problem: Problem): Problem {
    return this.#ports.redactor.record(problem)
  }
}

/** Where the first criterion that fails is one that waits for Thredd: what Thredd has not done yet. */
function waiting({ criteria }: CallStep, context: Context): Problem | undefined {
  const first = criteria.find(({ condition }) => !judge(condition, context).pass)
  if (first?.waitsFor === undefined) return undefined
  return { code: 'WAITING_FOR_THREDD', message: WAITS_FOR[first.waitsFor].means, at: first.at }
}

/** Refuses a request that would change more than was planned: nobody was asked to confirm it. */
function demandPlanned(step: CallStep, effect: Effect): void {
  const planned = plannedEffect(step)
  if (!isStronger(effect, planned)) return
  fail({
    code: 'EFFECT_UNPLANNED',
    message: `step "${step.stepId}" would ${DOES[effect]}, and its flow does not show that; nothing was sent`,
    at: step.at,
    expected: `a call that would at most ${DOES[planned]}`,
    found: `${step.operation.method} with the URL, headers and body of this run`,
    hint: 'where it is meant, mark the operation in its API description: x-dcr: { registration: create | update | delete }',
  })
}

const DOES: Readonly<Record<Effect, string>> = {
  none: 'change nothing',
  read: 'read a client',
  other: 'change something',
  register: 'register a client',
  update: 'update a client',
  delete: 'delete a client',
}

/** What expressions can read before a request is made; `fresh` are the values of minted and stored inputs. */
export function contextOf(
  { inputs, outputs, workflows, document }: Readable,
  fresh: ReadonlyMap<string, string | undefined> = new Map(),
): Context {
  return {
    inputs: (name) => (fresh.has(name) ? fresh.get(name) : plainValue(inputs.get(name))),
    steps: outputs,
    workflows,
    self: document.flow.self,
    sourceDescriptions: document.sources,
  }
}

/** Minted inputs signed for `source` and stored ones read anew; the others have plain values. */
export async function freshInputs(
  names: Iterable<string>,
  inputs: ReadonlyMap<string, PlannedInput>,
  source: string,
  { redactor, sign, vault }: Ports,
): Promise<ReadonlyMap<string, string | undefined>> {
  const fresh = new Map<string, string | undefined>()
  for (const name of names) {
    const input = inputs.get(name)
    if (input?.kind === 'minted') {
      const assertion = await sign(assertionFor(input, source))
      redactor.add(assertion)
      fresh.set(name, assertion.reveal())
    } else if (input?.kind === 'vault') {
      const value = await vault.read(input.member)
      if (value !== undefined && input.member === 'registration_access_token')
        redactor.add({ value, name: input.member })
      fresh.set(name, value)
    }
  }
  return fresh
}

function assertionFor({ assertions }: Extract<PlannedInput, { kind: 'minted' }>, source: string): AssertionPlan {
  const assertion = assertions.get(source) ?? assertions.get('')
  if (assertion === undefined) throw new Error(`no assertion was planned for source "${source}"`)
  return assertion
}

/** Whether only a JWT that is minted in this run can be changed so. */
function needsTheKey({ header, claims, secondsAhead, key, jwks }: JwtChanges): boolean {
  return header.size + claims.size + (secondsAhead?.size ?? 0) > 0 || (key === 'public' && jwks === undefined)
}

type StepResult = Partial<StepRecord> & Pick<StepRecord, 'status'>

/** Every error becomes data, so that what the run has done is put away before it ends. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ToolError) return error.problems[0]
  if (error instanceof ExpressionError) return { code: 'VALUE_UNDEFINED', message: error.message, hint: error.hint }
  return bugOf(error)
}

/** The same as the record may have it. */
export function redactedProblem(error: unknown, redactor: Redactor): Problem {
  try {
    return redactor.record(problemOf(error))
  } catch (other) {
    // Nothing of an error that cannot be redacted may be shown.
    return bugOf(new Error(other instanceof Error ? other.name : ''))
  }
}
