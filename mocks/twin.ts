/**
 * The counterparty in one function: a request and its client certificate go in, the answer of the documented server comes
 * out. Applies the faults in use and writes the log.
 */
import type { X509Certificate } from 'node:crypto'
import { getResponse, http, type RequestHandler } from 'msw'
import examples from '../fixtures/thredd/error-examples.json' with { type: 'json' }
import {
  type CertificateJudge,
  certificateJudge,
  type Demand,
  type PresentedCertificate,
} from './client-certificate.ts'
import { type Answer, json, text, whole, withHeading } from './content.ts'
import { BrokenRule, HandshakeRefusal, RouteHandler } from './handler.ts'
import { AUTHORIZATION, HOSTS, hostOf, type Server } from './hosts.ts'
import type { Snapshot } from './model.ts'
import type { Pki } from './pki.ts'
import { pooledRandom } from './random.ts'
import { answerTo, Refusal } from './refusals.ts'
import type { Call } from './route.ts'
import { createRouter, type Match, type Router, type Target } from './routing.ts'
import type { Rule } from './rules.ts'
import type { Seed } from './seed.ts'
import { State } from './state.ts'
import { type Switches, settle } from './switches.ts'

export interface TwinOptions {
  readonly pki: Pki
  /** the switches that differ from the defaults of SWITCHES */
  readonly switches?: Partial<Switches>
  /** applications and roles beside the documented ones; the PKI must have been made for its applications too */
  readonly seed?: Seed | undefined
  /** the state of an earlier twin, from `state.snapshot()` */
  readonly snapshot?: Snapshot | undefined
  /** the time before any advance of the clock */
  readonly now?: () => Date
  /** `size` unpredictable bytes: the source of every id, token and secret */
  readonly random?: (size: number) => Uint8Array
  /** a documented URL as the address under which the twin is reached; default: unchanged */
  readonly publish?: (url: string) => string
  /** called once for each request, when it has been answered */
  readonly onRequest?: (entry: LogEntry) => void
}

/** One request and its outcome. Holds no token, no secret and no query value. */
export interface LogEntry {
  /** RFC 3339, by the twin's clock */
  readonly time: string
  readonly method: string
  /** as sent, the values of its query left out */
  readonly url: string
  /** the subject seen, whether or not it was accepted */
  readonly certificate: string
  /** 0 where the connection was ended without an answer */
  readonly status: number
  /** the twin's decision, in words */
  readonly decision: string
}

/** A request as a server received it. */
export interface ReceivedRequest extends PresentedCertificate {
  readonly method: string
  /** as sent, byte for byte; a parsed URL may differ from it */
  readonly address: string
  /** made when it is first read: most handlers need neither headers nor body */
  readonly request: Request
}

export interface Twin {
  /** documented host names that are answered */
  readonly hosts: readonly string[]
  readonly state: State
  readonly switches: Switches
  /** the newest requests, oldest first */
  readonly log: readonly LogEntry[]
  /**
   * Answers as the documented server would. Never rejects. A response of `type` "error" means a connection that
   * ends without an answer.
   */
  answer(request: Request, certificate: X509Certificate | undefined): Promise<Response>
  /**
   * The same for server.ts; a Response is the answer of a handler given to `use`. Undefined where the address is not one that a
   * web request can have.
   */
  exchange(received: ReceivedRequest): Promise<Answer | Response | undefined>
  /** For a handler given to `use`: the answer of the handlers after it and of the documented server, to `sent` if it is given. */
  pass(request: Request, sent?: Request): Promise<Response>
  /** The operationId a request is for, if any. */
  operationOf(request: Request): string | undefined
  /** The documented operations, each with the hosts that offer it. */
  readonly operations: ReadonlyMap<string, readonly string[]>
  /** Whether a fault in use makes the host end every handshake. */
  refusesHandshake(host: string): boolean
  /** Whether a fault in use makes an operation of the host break the rule. */
  breaksAt(host: string, rule: Rule): boolean
  /** Puts handlers before all others; the last given come first. */
  use(...handlers: readonly RequestHandler[]): void
  /** Removes what `use` added. The servers' state stays. */
  reset(): void
  /** Whether the host's TLS demands, merely asks for, or never asks for a client certificate. */
  demandOf(host: string): Demand
  /** Logs something that is no request, such as a refused handshake. */
  record(entry: Omit<LogEntry, 'time'>): void
}

const LOG_LIMIT = 10_000

type Servers = Pick<Call, 'state' | 'switches' | 'publish'>

/** One request while the twin answers it, with everything its handler may use. */
class ActiveCall implements Call {
  readonly received: ReceivedRequest
  readonly target: Target
  readonly match: Match | undefined
  readonly state: State
  readonly switches: Switches
  readonly publish: Call['publish']
  certificate: X509Certificate | undefined
  /** the handlers of faults and tests that have not been tried yet */
  overrides: readonly RequestHandler[]
  decision = ''
  #trace: string | undefined
  readonly #broken: readonly Rule[]

  constructor(received: ReceivedRequest, target: Target, overrides: readonly RequestHandler[], servers: Servers) {
    this.received = received
    this.target = target
    // RFC 9110 9.3.2: HEAD is GET without the content.
    const method = received.method === 'HEAD' ? 'GET' : received.method
    const broken = overrides.filter((one) => one instanceof BrokenRule)
    const isAnyMethod = ({ route }: Match) =>
      broken.some((one) => one.rule === 'method-is-offered' && one.operation === route.operation)
    this.match = target.matches.find(({ route }) => route.method === method) ?? target.matches.find(isAnyMethod)
    this.overrides = overrides
    const operation = this.match?.route.operation
    this.#broken = broken.flatMap((one) => (one.operation === operation ? one.rule : []))
    this.state = servers.state
    this.switches = servers.switches
    this.publish = servers.publish
  }

  get request(): Request {
    return this.received.request
  }

  get url(): URL {
    return this.target.url
  }

  get trace(): string {
    this.#trace ??= traceOf(this)
    return this.#trace
  }

  get params(): Call['params'] {
    return this.match?.params ?? {}
  }

  breaks(rule: Rule): boolean {
    return this.#broken.includes(rule)
  }

  note(decision: string): void {
    this.decision = this.decision === '' ? decision : `${this.decision}; ${decision}`
  }
}

/** A fresh set of servers, with the two sample applications and no registered client. */
export function createTwin(options: TwinOptions): Twin {
  return new OfflineTwin(options)
}

class OfflineTwin implements Twin {
  readonly hosts = HOSTS
  readonly state: State
  readonly switches: Switches
  readonly log: LogEntry[] = []
  readonly #publish: Call['publish']
  readonly #onRequest: TwinOptions['onRequest']
  readonly #router: Router
  readonly #judge: CertificateJudge
  readonly #unanswered = new RouteHandler<ActiveCall>('unanswered', explainUnanswered)
  /** of the requests that a handler given to `use` has seen, so that it can ask for the answer without it */
  readonly #calls = new WeakMap<Request, ActiveCall>()
  #overrides: readonly RequestHandler[] = []

  constructor(options: TwinOptions) {
    const { pki, now = () => new Date(), random = pooledRandom(), snapshot, seed } = options
    this.switches = settle(options.switches)
    this.state = new State({ pki, now, random, snapshot, seed })
    this.#publish = options.publish ?? String
    this.#onRequest = options.onRequest
    this.#router = createRouter(this.switches)
    this.#judge = certificateJudge(pki.ca, this.state)
  }

  get operations(): Twin['operations'] {
    return this.#router.operations
  }

  async answer(request: Request, certificate: X509Certificate | undefined): Promise<Response> {
    const { method, url } = request
    const response = await this.exchange({ method, address: url, certificate, request })
    return response === undefined ? Response.error() : whole(response, method)
  }

  async exchange(received: ReceivedRequest): Promise<Answer | Response | undefined> {
    const call = this.#begin(received)
    if (call === undefined) return undefined
    const { method, certificate } = received
    const response = await this.#answered(call, this.demandOf(call.url.hostname))
    this.record({
      method,
      url: call.target.printed,
      certificate: certificate === undefined ? 'none' : this.#judge.subjectOf(certificate),
      status: response.status,
      decision: call.decision === '' ? 'answered' : call.decision,
    })
    return response
  }

  async pass(request: Request, sent: Request = request): Promise<Response> {
    const call = this.#callOf(request)
    if (sent === request) return whole(await this.#proceed(call))
    const { method, url: address } = sent
    const changed = this.#begin({ ...call.received, method, address, request: sent })
    if (changed === undefined) throw new Error(`"${address}" is no address of a documented server`)
    changed.overrides = call.overrides
    changed.certificate = call.certificate
    try {
      return whole(await this.#proceed(changed))
    } finally {
      if (changed.decision !== '') call.note(changed.decision)
    }
  }

  operationOf(request: Request): string | undefined {
    return this.#callOf(request).match?.route.operation
  }

  refusesHandshake(host: string): boolean {
    return this.#overrides.some((handler) => handler instanceof HandshakeRefusal && handler.hosts.includes(host))
  }

  breaksAt(host: string, rule: Rule): boolean {
    return this.#overrides.some(
      (one) =>
        one instanceof BrokenRule && one.rule === rule && this.operations.get(one.operation)?.includes(host) === true,
    )
  }

  use(...added: readonly RequestHandler[]): void {
    this.#overrides = [...added, ...this.#overrides]
  }

  reset(): void {
    this.#overrides = []
  }

  demandOf(host: string): Demand {
    if (host === 'auth.uat.threddid.com') return this.switches.customDomainCertificate
    return hostOf(host)?.certificate ?? 'none'
  }

  record(entry: Omit<LogEntry, 'time'>): void {
    const complete = { time: this.state.now().toISOString(), ...entry, decision: printable(entry.decision) }
    if (this.log.length >= LOG_LIMIT) this.log.splice(0, LOG_LIMIT / 10)
    this.log.push(complete)
    this.#onRequest?.(complete)
  }

  #begin(received: ReceivedRequest): ActiveCall | undefined {
    const target = this.#router.targetOf(received.address)
    const { state, switches } = this
    return target && new ActiveCall(received, target, this.#overrides, { state, switches, publish: this.#publish })
  }

  #callOf(request: Request): ActiveCall {
    const known = this.#calls.get(request)
    if (known !== undefined) return known
    const { method, url: address } = request
    const call = this.#begin({ method, address, certificate: undefined, request })
    if (call === undefined) throw new Error(`"${address}" is no address of a documented server`)
    this.#calls.set(request, call)
    return call
  }

  /** The answer, or the refusal of the certificate. Never rejects. */
  async #answered(call: ActiveCall, demand: Demand): Promise<Answer | Response> {
    const { certificate } = call.received
    const objection = this.#judge.objection(demand, call.received, {
      presence: !isExcused(call),
      authority: !call.breaks('certificate-authority-is-checked'),
      dates: !call.breaks('certificate-dates-are-checked'),
    })
    if (objection !== undefined) {
      call.note(`certificate refused: ${objection}`)
      return this.switches.refuse === 'handshake' ? Response.error() : htmlRefusal(certificate)
    }
    if (demand !== 'none') call.certificate = certificate
    try {
      return await this.#proceed(call)
    } catch (error) {
      call.note(`fault of the twin: ${error instanceof Error ? error.message : String(error)}`)
      return json({ error: 'twin_error', error_description: 'the twin failed to answer; its log says why' }, 500)
    }
  }

  /** The answer of the first override that gives one, else that of the documented server. */
  async #proceed(call: ActiveCall): Promise<Answer | Response> {
    for (;;) {
      const [handler, ...rest] = call.overrides
      if (handler === undefined) return await this.#documentedAnswer(call)
      call.overrides = rest
      const { request } = call
      this.#calls.set(request, call)
      const response = await getResponse([handler], request)
      if (response !== undefined) return response
    }
  }

  async #documentedAnswer(call: ActiveCall): Promise<Answer> {
    try {
      const answer = await (call.match?.handler.respond(call) ?? this.#unanswered.respond(call))
      if (answer === undefined) throw new Error('a handler of the twin has not answered')
      return traced(answer, call)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      call.note(`refused: ${error.message}`)
      const answer = answerTo(error, this.switches, call.request.headers.get('accept') ?? undefined)
      if (!call.breaks('refusal-names-an-error')) return traced(answer, call)
      return traced(json({ message: error.message }, answer.status), call)
    }
  }
}

/** Whether a server that breaks a rule goes on without a certificate: it takes a header for one (RFC 9440 4), or a session. */
function isExcused(call: ActiveCall): boolean {
  if (call.breaks('certificate-is-needed')) return true
  // The request is made when it is first read, so that comes last.
  if (call.breaks('certificate-header-is-ignored') && call.request.headers.has('client-cert')) return true
  return call.received.isResumed === true && call.breaks('resumed-session-is-checked')
}

/** The header in which each server names the request, in every answer; the others name none. */
const TRACES: Partial<Record<Server, string>> = {
  'directory-api': 'x-fapi-interaction-id',
  authorization: 'x-trace-id',
  cards: 'x-trace-id',
  'api-hub': 'x-trace-id',
}

function traced(answer: Answer, call: ActiveCall): Answer {
  const name = TRACES[serverOf(call) ?? 'entities']
  return name === undefined ? answer : withHeading(answer, name, call.trace)
}

/** The id of the client where the server takes one; else of the server: at the APIs a W3C traceparent, as in the documented sample. */
function traceOf(call: ActiveCall): string {
  const { state } = call
  switch (serverOf(call)) {
    case 'directory-api':
      return call.request.headers.get('x-fapi-interaction-id') ?? state.uuid()
    case 'authorization':
      return state.hex(16)
    default:
      return `00-${state.hex(16)}-${state.hex(8)}-00`
  }
}

/** The server that the documented operation belongs to, whichever host answers. */
function serverOf({ match, url }: ActiveCall): Server | undefined {
  return hostOf(match?.route.hosts[0] ?? url.hostname)?.server
}

/** For an msw set-up of a test: one handler that answers for every documented host, as to a client with `certificate`. */
export function threddHandlers(twin: Twin, certificate?: X509Certificate): RequestHandler[] {
  return [
    http.all(
      ({ request }) => twin.hosts.includes(new URL(request.url).hostname),
      ({ request }) => twin.answer(request, certificate),
    ),
  ]
}

/** The page a reverse proxy shows, as documented; for a wrong certificate with the proxy's other sentence. */
function htmlRefusal(certificate: X509Certificate | undefined): Answer {
  const page = examples.transport[0]?.body_text ?? ''
  const sentence = 'No required SSL certificate was sent'
  return text(certificate === undefined ? page : page.replaceAll(sentence, 'The SSL certificate error'), 400, {
    'content-type': 'text/html',
  })
}

function explainUnanswered(call: ActiveCall): Answer {
  const { url, target } = call
  const { hostname, pathname } = url
  if (hostOf(hostname) === undefined) {
    call.note('the host is not documented')
    return json({ error: 'unknown_host', error_description: `the twin does not stand for host "${hostname}"` }, 404)
  }
  if (target.matches.length > 0) {
    call.note('the method is not offered there')
    const methods = target.matches.flatMap(({ route: { method } }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    const allow = [...new Set(methods)].join(', ')
    const body = { error: 'method_not_allowed', error_description: `the method must be one of: ${allow}` }
    return json(body, 405, { allow })
  }
  call.note('nothing is documented there')
  if (hostOf(hostname)?.server === 'authorization' && !isWorkspace(hostname, pathname)) {
    const hint = 'no such tenant or workspace'
    return traced(answerTo(new Refusal('notFound', hint, { error_hint: hint }), call.switches), call)
  }
  const description = `the twin does not answer "${pathname}" on host "${hostname}"`
  return json({ error: 'not_implemented', error_description: description }, 501)
}

/** Each name of the authorization server has its own path of the workspace, which the other does not answer. */
function isWorkspace(hostname: string, pathname: string): boolean {
  return Object.values(AUTHORIZATION).some((base) => {
    const workspace = new URL(base)
    return workspace.hostname === hostname && pathname.startsWith(`${workspace.pathname}/`)
  })
}

/** One line of at most 500 characters, whatever a client put into its request. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ').slice(0, 500)
}
