/** One request and its answer through undici, with what was sent, when, and on which connection. */
import type { Agent, Dispatcher } from 'undici'
import type { Connection, Connections } from './connections.ts'
import { ConnectFailure, failureOf, GaveUp, type Situation } from './failure.ts'
import { interimHeaders, receivedFrom } from './received.ts'
import type { Target } from './target.ts'
import type { Delivery, Outgoing, SendOptions } from './transport.ts'

interface ExchangeOptions extends SendOptions {
  readonly maxBodyBytes: number
  readonly now: () => Date
}

/** Never rejects: a failure is a Delivery too. */
export function exchange(
  agent: Agent,
  connections: Connections,
  target: Target,
  request: Outgoing,
  options: ExchangeOptions,
): Promise<Delivery> {
  const running = new RunningExchange(connections, target, request, options)
  if (options.signal.aborted) running.giveUp('interrupted')
  else {
    agent.dispatch(
      {
        origin: `https://${target.host}`,
        path: target.path,
        method: request.method as Dispatcher.HttpMethod,
        headers: headerList(request),
        body: request.body ?? null,
      },
      running,
    )
  }
  return running.delivery
}

class RunningExchange implements Dispatcher.DispatchHandler {
  readonly delivery: Promise<Delivery>
  readonly #resolve: (delivery: Delivery) => void
  readonly #connections: Connections
  readonly #target: Target
  readonly #request: Outgoing
  readonly #options: ExchangeOptions
  readonly #startedAt: string
  readonly #start = performance.now()
  readonly #timer: NodeJS.Timeout
  readonly #interrupt = () => {
    const { cut } = this.#options
    if (this.#stage === 'connecting' || cut === undefined || cut.aborted) this.giveUp('interrupted')
  }
  #stage: Situation['stage'] = 'connecting'
  #connection: Connection | undefined
  #reused = false
  #sentHeaders: Delivery['sentHeaders']
  #sentAt = this.#start
  #firstByteMs: number | undefined
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: [string, string][] = []
  #trailers: [string, string][] = []
  readonly #chunks: Buffer[] = []
  #size = 0
  #isSettled = false

  constructor(connections: Connections, target: Target, request: Outgoing, options: ExchangeOptions) {
    const { promise, resolve } = Promise.withResolvers<Delivery>()
    this.delivery = promise
    this.#resolve = resolve
    this.#connections = connections
    this.#target = target
    this.#request = request
    this.#options = options
    this.#startedAt = options.now().toISOString()
    this.#timer = setTimeout(() => this.giveUp('timeout'), options.timeoutMs)
    for (const signal of this.#signals) signal.addEventListener('abort', this.#interrupt, { once: true })
  }

  get #signals(): readonly AbortSignal[] {
    const { signal, cut } = this.#options
    return cut === undefined ? [signal] : [signal, cut]
  }

  giveUp(reason: GaveUp['reason']): void {
    const error = new GaveUp(reason)
    this.#settle({ error })
    this.#controller?.abort(error)
  }

  onRequestStart(started: Dispatcher.DispatchController): void {
    this.#controller = started
    if (this.#isSettled) {
      // Given up while connecting: stopped here, before the first byte.
      started.abort(new GaveUp('interrupted'))
      return
    }
    this.#stage = 'sent'
    this.#sentAt = performance.now()
    this.#connections.expectHeaders((connection, head) => {
      this.#connection = connection
      this.#sentHeaders = headersOf(head, this.#request)
      this.#reused = connection.exchanges > 0
      connection.exchanges += 1
    })
  }

  onResponseStarted(): void {
    this.#stage = 'answering'
    this.#firstByteMs ??= performance.now() - this.#sentAt
  }

  onResponseStart(started: Dispatcher.DispatchController, statusCode: number): void {
    this.#status = statusCode
    this.#headers = pairs(started.rawHeaders)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > this.#options.maxBodyBytes) this.giveUp('too-large')
    else if (!this.#isSettled) this.#chunks.push(chunk)
  }

  onResponseEnd(ended: Dispatcher.DispatchController): void {
    this.#trailers = pairs(ended.rawTrailers)
    this.#settle('answered')
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#settle({ error: this.#connection?.error ?? error })
  }

  #settle(outcome: { readonly error: unknown } | 'answered'): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#timer)
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#interrupt)
    if (outcome === 'answered') {
      const { wire } = this.#connection ?? {}
      const beside = [...(wire?.interim ? interimHeaders(wire.received) : []), ...this.#trailers]
      wire?.forget()
      const answer = { status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks), beside }
      const delivery = { kind: 'answered' as const, answer, ...this.#evidence(undefined) }
      // undici frees the connection one turn after the answer; a request sent sooner would open another one.
      queueMicrotask(() => setImmediate(this.#resolve, delivery))
      return
    }
    void this.#fail(outcome.error)
  }

  async #fail(error: unknown): Promise<void> {
    const evidence = this.#evidence(error)
    await this.#connection?.wire.rest
    const { host, identity } = this.#target
    const { now, timeoutMs, maxBodyBytes } = this.#options
    const { received: bytes = Buffer.alloc(0), interim = 0 } = this.#connection?.wire ?? {}
    const failure = failureOf(error, {
      ...{ host, identity, stage: this.#stage, reused: this.#reused, arrived: { bytes, interim } },
      ...{ now: now(), timeoutMs, maxBodyBytes },
    })
    const received = bytes.length === 0 ? {} : { received: receivedFrom(bytes) }
    this.#resolve({ kind: 'failed', ...failure, ...received, ...evidence })
  }

  #evidence(error: unknown): Pick<Delivery, 'tls' | 'sentHeaders' | 'timing'> {
    const tls = this.#connection?.tls ?? (error instanceof ConnectFailure ? error.tls : undefined)
    return {
      ...(tls === undefined ? {} : { tls }),
      ...(this.#sentHeaders === undefined ? {} : { sentHeaders: this.#sentHeaders }),
      timing: {
        startedAt: this.#startedAt,
        ...(this.#connection === undefined || this.#reused ? {} : { connectMs: this.#connection.connectMs }),
        ...(this.#firstByteMs === undefined ? {} : { firstByteMs: this.#firstByteMs }),
        totalMs: performance.now() - this.#start,
      },
    }
  }
}

/** Compression would hide what was on the wire, so it is declined unless the flow asks for it. */
function headerList({ headers }: Outgoing): string[] {
  const list = headers.flat()
  return headers.some(([name]) => name.toLowerCase() === 'accept-encoding')
    ? list
    : [...list, 'accept-encoding', 'identity']
}

/** The headers that undici wrote, and the length of the body, which it adds to them afterwards (RFC 9110 section 8.6). */
function headersOf(head: string, { method, body }: Outgoing): [string, string][] {
  const written = head.split('\r\n').flatMap((line, index): [string, string][] => {
    const colon = line.indexOf(':')
    return index === 0 || colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]]
  })
  const expectsBody = /^(?:POST|PUT|PATCH)$/.test(method)
  if (body === undefined && !expectsBody) return written
  return [...written, ['content-length', String(Buffer.byteLength(body ?? ''))]]
}

function pairs(raw: Dispatcher.DispatchController['rawHeaders']): [string, string][] {
  const list = Array.isArray(raw) ? raw.map((text) => text.toString('latin1')) : []
  return Array.from({ length: list.length / 2 }, (_, index) => [
    (list[2 * index] ?? '').toLowerCase(),
    list[2 * index + 1] ?? '',
  ])
}
