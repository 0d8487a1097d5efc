/**
 * One call of a step: JWTs signed, the request built, altered and sent, the answer kept before it is judged. Every effect is
 * an argument.
 */

import { setImmediate } from 'node:timers/promises'
import { inputsReadBy } from '../flow/arazzo/needs.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { CallStep, JwtHolder } from '../flow/index.ts'
import { mayManage, plannedEffect, sentEffect } from '../plan/effect.ts'
import type { PlannedCall } from '../plan/index.ts'
import { readable } from '../record/coding.ts'
import { type Effect, isChange, isStronger } from '../record/effect.ts'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import type { Exchange, StepRecord } from '../record/index.ts'
import { isPage } from '../record/page.ts'
import type { Answer, Delivery, Outgoing, Received } from '../transport/transport.ts'
import { codingOf, type ParsedAnswer, readAnswer } from './answer.ts'
import { bareExchangeOf, exchangeOf } from './exchange.ts'
import { assertionFor, contextOf, freshInputs, needsTheKey } from './inputs.ts'
import { isSuccess, refusalCheck } from './judge.ts'
import type { Intent, Kept, Ports, RawAnswer, Readable } from './ports.ts'
import { probe } from './probe.ts'
import { redactedProblem } from './problems.ts'
import { type BuiltRequest, buildRequest, evaluate, jwtAlterations, jwtChanges, jwtIn, nameIn } from './request.ts'
import { notRun, round } from './step-record.ts'
import { judgeCall, type StepResult } from './verdict.ts'

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
    const { stepId: step, identity } = this.#step
    const managesKnown = mayManage(request.outgoing) && (await vault.manages({ url, authorization }))
    const effect = sentEffect(request.outgoing, this.#step.operation, managesKnown)
    this.#sent = effect
    demandPlanned(this.#step, effect)
    const mustBeRefused = this.#step.expectRefused
    if (this.#step.probe !== undefined) return await this.#probe(request)
    const intent = isChange(effect)
      ? await vault.begin({ effect, method, url, authorization, step, identity, mustBeRefused })
      : undefined
    // A server may answer with a new token whenever a client is looked at.
    const delivery = await this.#send(request, intent, { mayBringToken: effect === 'read' || isChange(effect) })
    if (delivery.kind === 'failed') {
      const [news] = await Promise.allSettled([this.#keepReceived(delivery, intent)])
      this.#takeFailed(request.outgoing, delivery)
      if (news.status === 'rejected') throw news.reason
      return this.#judgeFailure(
        news.value === undefined ? delivery : { ...delivery, problem: { ...delivery.problem, ...news.value } },
      )
    }
    const { status } = delivery.answer
    const answer = await this.#takeOnceWritten(request.outgoing, delivery, intent)
    // A page was sent by a firewall or a load balancer, not by the server; and a deleted client has no token that works.
    const text = typeof answer.body === 'string' ? answer.body : ''
    const isAccepted = isSuccess(status) && effect !== 'delete' && !isPage(answer.headers, text)
    if (isAccepted && authorization !== undefined && this.#kept === undefined)
      await vault.worked(authorization, { step, identity })
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

  async #send(
    request: BuiltRequest,
    intent: Intent | undefined,
    { mayBringToken }: { readonly mayBringToken: boolean },
  ): Promise<Delivery> {
    const { transport, cut } = this.#ports
    try {
      return await transport.send(request.outgoing, {
        identity: this.#step.identity,
        timeoutMs: this.#planned.timeoutMs,
        signal: this.#signal,
        // Its answer may hold the only token of a client.
        cut: mayBringToken ? cut : undefined,
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
  ): Promise<Pick<Problem, 'message'> | undefined> {
    if (received === undefined) {
      await intent?.close(sent === 'no' ? 'not-sent' : 'unknown')
      return undefined
    }
    const { bytes, status, coding, bodyAt, isChunked } = received
    this.#kept = await this.#keep({ status, body: bytes, coding, message: { bodyAt, isChunked } }, intent)
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
    const raw = { status, body, coding: codingOf(headers) }
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

  async #keep(answer: RawAnswer, intent: Intent | undefined, onWritten?: () => void): Promise<Kept | undefined> {
    if (intent === undefined) {
      if (!isSuccess(answer.status)) return undefined
      const { stepId: step, identity } = this.#step
      return await this.#ports.vault.keep({ ...answer, step, identity }, onWritten)
    }
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
    const { result, values } = await judgeCall({
      ...{ step: this.#step, request, answer, context: this.#context(), inputs: this.#readable.inputs },
      ...{ redactor: this.#ports.redactor, sent: this.#sent, tls: this.#exchanges.at(-1)?.tls },
      turn: async () => {
        await setImmediate()
        if (this.#signal.aborted)
          fail({ code: 'INTERRUPTED', message: 'the run was interrupted while the answer was judged' })
      },
    })
    if (values !== undefined) this.#values = values
    return result
  }

  #redacted(problem: Problem): Problem {
    return this.#ports.redactor.record(problem)
  }
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
