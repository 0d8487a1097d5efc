/**
 * The counterparty in one function: a request and the certificate it came with go in, the answer of the documented
 * server comes out. Owns routing, the certificate gate, faults and the log; knows nothing of sockets.
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import { getResponse, type HttpHandler, HttpResponse, http, type RequestHandler } from 'msw'
import examples from '../fixtures/thredd/error-examples.json' with { type: 'json' }
import { apiRoutes } from './handlers/apis.ts'
import { authorizationRoutes } from './handlers/authorization.ts'
import { directoryRoutes } from './handlers/directory.ts'
import { directoryApiRoutes } from './handlers/directory-api.ts'
import { keystoreRoutes } from './handlers/keystore.ts'
import { AUTHORIZATION, HOSTS, hostOf } from './hosts.ts'
import type { Pki } from './pki.ts'
import { answerTo, Refusal } from './refusals.ts'
import type { Route } from './route.ts'
import { State } from './state.ts'
import { type Switches, settle } from './switches.ts'

export interface TwinOptions {
  readonly pki: Pki
  /** what differs from the defaults of SWITCHES */
  readonly switches?: Partial<Switches>
  /** the time before any advance of the clock */
  readonly now?: () => Date
  /** that many unpredictable bytes: the source of every id, token and secret */
  readonly random?: (size: number) => Uint8Array
  /** the address under which a documented URL is handed out; unchanged by default */
  readonly publish?: (url: string) => string
  /** called once a request, after it was answered */
  readonly onRequest?: (entry: LogEntry) => void
}

/** One request and what became of it. Holds no token, no secret and no query value. */
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
  /** what was decided, in words */
  readonly decision: string
}

/** What a connection knows beyond the certificate. */
interface ConnectionFacts {
  /** the request target byte for byte, where a parsed URL may differ */
  readonly target?: string
  /** why the TLS layer does not trust the certificate it was shown */
  readonly distrust?: string | undefined
}

export interface Twin {
  /** documented host names that are answered */
  readonly hosts: readonly string[]
  readonly state: State
  readonly switches: Switches
  /** the newest requests, oldest first */
  readonly log: readonly LogEntry[]
  /**
   * Answers as the documented server would. Never rejects. A response of `type` "error" stands for a connection that
   * ends without an answer.
   */
  answer(request: Request, certificate: X509Certificate | undefined, facts?: ConnectionFacts): Promise<Response>
  /** For a handler given to `use`: what would have been answered without it and those before it. */
  pass(request: Request): Promise<Response>
  /** The operationId a request is for, if any. */
  operationOf(request: Request): string | undefined
  /** Puts handlers before all others; the last given come first. */
  use(...handlers: readonly RequestHandler[]): void
  /** Takes away what `use` added. What the servers remember stays. */
  reset(): void
  /** Whether the host's TLS demands, merely asks for, or never asks for a client certificate. */
  demandOf(host: string): 'required' | 'optional' | 'none'
  /** Logs what never became a request. */
  record(entry: Omit<LogEntry, 'time'>): void
}

/** In any order: the first path and method that match are the only ones that do. */
const ROUTES: readonly Route[] = [
  ...directoryRoutes,
  ...directoryApiRoutes,
  ...keystoreRoutes,
  ...authorizationRoutes,
  ...apiRoutes,
]

const LOG_LIMIT = 10_000

/** A fresh set of servers that remember nothing but the two sample applications. */
export function createTwin(options: TwinOptions): Twin {
  const { pki, now = () => new Date(), random = randomBytes, publish = (url) => url, onRequest } = options
  const switches = settle(options.switches)
  const state = new State({ pki, now, random })
  const authorities = authoritiesOf(pki.ca)
  const log: LogEntry[] = []
  const certificates = new WeakMap<Request, X509Certificate>()
  const decisions = new WeakMap<Request, string[]>()
  /** how far down the list of overrides a request has come */
  const positions = new WeakMap<Request, { readonly overrides: readonly RequestHandler[]; next: number }>()
  let overrides: readonly RequestHandler[] = []

  const note = (request: Request, decision: string) => {
    decisions.set(request, [...(decisions.get(request) ?? []), decision])
  }

  // One msw handler a route, found by host and path, so that no request walks the whole list.
  const handlers = new Map(ROUTES.map((route) => [route, toHandler(route)]))
  const byHost = Map.groupBy(
    ROUTES.flatMap((route) => route.hosts.map((host) => ({ host, route }))),
    ({ host }) => host,
  )
  const unanswered = http.all(
    () => true,
    ({ request }) => explainUnanswered(request, byHost.get(new URL(request.url).hostname) ?? [], note),
  )

  function routeOf(request: Request): Route | undefined {
    const { hostname, pathname } = new URL(request.url)
    const found = byHost
      .get(hostname)
      ?.find(({ route }) => route.method === request.method && route.path.test(pathname))
    return found?.route
  }

  function toHandler(route: Route): HttpHandler {
    // Asked only after routeOf chose it, so it need not look again.
    return http.all(
      () => true,
      async ({ request }) => {
        const url = new URL(request.url)
        try {
          return await route.handle({
            request,
            url,
            params: { ...route.path.exec(url.pathname)?.groups },
            certificate: certificates.get(request),
            state,
            switches,
            publish,
            note: (decision) => note(request, decision),
          })
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          note(request, `refused: ${error.message}`)
          return answerTo(error, switches.errorShape)
        }
      },
    )
  }

  async function proceed(request: Request): Promise<Response> {
    const position = positions.get(request) ?? { overrides, next: 0 }
    positions.set(request, position)
    for (;;) {
      const handler = position.overrides[position.next]
      if (handler === undefined) break
      position.next += 1
      const response = await getResponse([handler], request)
      if (response !== undefined) return response
    }
    const route = routeOf(request)
    const handler = route === undefined ? undefined : handlers.get(route)
    return (await getResponse([handler ?? unanswered], request)) ?? Response.error()
  }

  /** Why the connection must not come through, if so. */
  function objection(
    demand: ReturnType<Twin['demandOf']>,
    certificate: X509Certificate | undefined,
    facts: ConnectionFacts,
  ): string | undefined {
    if (demand === 'none') return undefined
    if (certificate === undefined) return demand === 'required' ? 'no client certificate' : undefined
    return facts.distrust ?? distrust(certificate, authorities, state.now())
  }

  function record(entry: Omit<LogEntry, 'time'>): void {
    const complete = { time: state.now().toISOString(), ...entry, decision: printable(entry.decision) }
    if (log.length >= LOG_LIMIT) log.splice(0, LOG_LIMIT / 10)
    log.push(complete)
    onRequest?.(complete)
  }

  const twin: Twin = {
    hosts: HOSTS,
    state,
    switches,
    log,
    async answer(request, certificate, facts = {}) {
      const { hostname } = new URL(request.url)
      const demand = twin.demandOf(hostname)
      const refusal = objection(demand, certificate, facts)
      let response: Response
      if (refusal === undefined) {
        if (certificate !== undefined && demand !== 'none') certificates.set(request, certificate)
        response = await proceed(request).catch((error: unknown) => {
          note(request, `fault of the twin: ${error instanceof Error ? error.message : String(error)}`)
          return HttpResponse.json(
            { error: 'twin_error', error_description: 'the twin failed to answer; its log says why' },
            { status: 500 },
          )
        })
      } else {
        note(request, `certificate refused: ${refusal}`)
        response = switches.refuse === 'handshake' ? Response.error() : htmlRefusal(certificate)
      }
      record({
        method: request.method,
        url: withoutValues(request.url, facts.target),
        certificate: certificate === undefined ? 'none' : subjectInWords(certificate),
        status: response.status,
        decision: decisions.get(request)?.join('; ') ?? 'answered',
      })
      return response
    },
    pass: proceed,
    operationOf: (request) => routeOf(request)?.operation,
    use(...added) {
      overrides = [...added, ...overrides]
    },
    reset() {
      overrides = []
    },
    demandOf(host) {
      if (host === 'auth.uat.threddid.com') return switches.customDomainCertificate
      return hostOf(host)?.certificate ?? 'none'
    },
    record,
  }
  return twin
}

/** For anyone's msw set-up: one handler that answers every documented host as a client with `certificate` sees it. */
export function threddHandlers(twin: Twin, certificate?: X509Certificate): RequestHandler[] {
  return [
    http.all(
      ({ request }) => twin.hosts.includes(new URL(request.url).hostname),
      ({ request }) => twin.answer(request, certificate),
    ),
  ]
}

function authoritiesOf(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

/** Checked here too, so that a request that never met TLS is judged alike, by the twin's clock. */
function distrust(
  certificate: X509Certificate,
  authorities: readonly X509Certificate[],
  now: Date,
): string | undefined {
  if (!authorities.some((issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey))) {
    return 'not signed by the CA'
  }
  if (certificate.validToDate < now) return 'the certificate has expired'
  if (certificate.validFromDate > now) return 'the certificate is not yet valid'
  return undefined
}

/** The page a reverse proxy shows, as documented; for a wrong certificate with the proxy's other sentence. */
function htmlRefusal(certificate: X509Certificate | undefined): Response {
  const page = examples.transport[0]?.body_text ?? ''
  const sentence = 'No required SSL certificate was sent'
  return HttpResponse.html(certificate === undefined ? page : page.replaceAll(sentence, 'The SSL certificate error'), {
    status: 400,
  })
}

function explainUnanswered(
  request: Request,
  routes: readonly { readonly route: Route }[],
  note: (request: Request, decision: string) => void,
): Response {
  const { hostname, pathname } = new URL(request.url)
  if (hostOf(hostname) === undefined) {
    note(request, 'the host is not documented')
    const description = `the twin does not stand for host "${hostname}"`
    return HttpResponse.json({ error: 'unknown_host', error_description: description }, { status: 404 })
  }
  const methods = routes.filter(({ route }) => route.path.test(pathname)).map(({ route }) => route.method)
  if (methods.length > 0) {
    note(request, 'the method is not offered there')
    const allow = [...new Set(methods)].join(', ')
    const description = `the method must be one of: ${allow}`
    return HttpResponse.json(
      { error: 'method_not_allowed', error_description: description },
      { status: 405, headers: { allow } },
    )
  }
  note(request, 'nothing is documented there')
  if (hostOf(hostname)?.server === 'authorization' && !isWorkspace(hostname, pathname)) {
    const hint = 'no such tenant or workspace'
    return answerTo(new Refusal('notFound', hint, { error_hint: hint }), 'acp')
  }
  const description = `the twin does not answer "${pathname}" on host "${hostname}"`
  return HttpResponse.json({ error: 'not_implemented', error_description: description }, { status: 501 })
}

/** The path of one name of the authorization server leads nowhere on the other. */
function isWorkspace(hostname: string, pathname: string): boolean {
  return Object.values(AUTHORIZATION).some((base) => {
    const workspace = new URL(base)
    return workspace.hostname === hostname && pathname.startsWith(`${workspace.pathname}/`)
  })
}

/** As sent, but of a query only the names: a token in a query must not get into a log (RFC 6750 5.3). */
function withoutValues(url: string, target: string | undefined): string {
  const sent = target?.startsWith('/') ? `${new URL(url).origin}${target}` : url
  const [path = '', query] = sent.split('?', 2)
  if (query === undefined) return path
  return `${path}?${query.replace(/=[^&]*/g, '=…')}`
}

function subjectInWords(certificate: X509Certificate): string {
  return certificate.subject.split('\n').join(', ')
}

/** A log line stays one line, whatever a client put into its request. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ').slice(0, 500)
}
