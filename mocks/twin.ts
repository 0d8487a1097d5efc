/**
 * The counterparty in one function: a request and the certificate it came with go in, the answer of the documented
 * server comes out. Owns routing, the certificate gate, faults and the log; knows nothing of sockets.
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import { getResponse, http, type RequestHandler } from 'msw'
import examples from '../fixtures/thredd/error-examples.json' with { type: 'json' }
import { json, text, whole } from './content.ts'
import { HandshakeRefusal, RouteHandler } from './handler.ts'
import { apiRoutes } from './handlers/apis.ts'
import { authorizationRoutes } from './handlers/authorization.ts'
import { directoryRoutes } from './handlers/directory.ts'
import { directoryApiRoutes } from './handlers/directory-api.ts'
import { keystoreRoutes } from './handlers/keystore.ts'
import { AUTHORIZATION, HOSTS, hostOf, MTLS_DIRECTORY } from './hosts.ts'
import type { Pki } from './pki.ts'
import { answerTo, Refusal } from './refusals.ts'
import type { Call, Route } from './route.ts'
import type { Seed } from './seed.ts'
import { BoundedMap, type Snapshot, State } from './state.ts'
import { type Switches, settle } from './switches.ts'

export interface TwinOptions {
  readonly pki: Pki
  /** what differs from the defaults of SWITCHES */
  readonly switches?: Partial<Switches>
  /** what there is beside the documented; the PKI must have been made for its applications too */
  readonly seed?: Seed | undefined
  /** what an earlier twin remembered, of `state.snapshot()` */
  readonly snapshot?: Snapshot | undefined
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

/** A request that has come in, of which a Request is made only where somebody reads more of it. */
export interface Arrival {
  readonly method: string
  /** byte for byte, where a parsed URL may differ */
  readonly address: string
  readonly certificate: X509Certificate | undefined
  /** why the TLS layer does not trust the certificate, or the lack of one */
  readonly distrust?: string | undefined
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
   * Answers as the documented server would. Never rejects. A response of `type` "error" stands for a connection that
   * ends without an answer.
   */
  answer(request: Request, certificate: X509Certificate | undefined): Promise<Response>
  /**
   * The same for a server of its own: a body that is known as a whole lies beside the response, for `contentOf`. Undefined
   * where the address is none.
   */
  exchange(arrival: Arrival): Promise<Response | undefined>
  /** For a handler given to `use`: what would have been answered without it and those before it. */
  pass(request: Request): Promise<Response>
  /** The operationId a request is for, if any. */
  operationOf(request: Request): string | undefined
  /** The documented operations, each with the hosts that offer it. */
  readonly operations: ReadonlyMap<string, readonly string[]>
  /** Whether a fault in use makes the host end every handshake. */
  refusesHandshake(host: string): boolean
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
/** Addresses that are kept in mind, and how long they may be. */
const PLACE_LIMIT = 1000
const PLACE_LENGTH = 1000

/** What an address means. */
interface Place {
  readonly url: URL
  /** for the log */
  readonly printed: string
  readonly demand: ReturnType<Twin['demandOf']>
  /** the operations offered there, whatever their method */
  readonly offers: readonly Offer[]
}

interface Offer {
  readonly route: Route
  readonly handler: RouteHandler<Passage>
  readonly params: Call['params']
}

/** One request on its way through the twin, and all that its handler is given. */
class Passage implements Call {
  readonly arrival: Arrival
  readonly place: Place
  readonly offer: Offer | undefined
  readonly overrides: readonly RequestHandler[]
  readonly state: State
  readonly switches: Switches
  readonly publish: Call['publish']
  certificate: X509Certificate | undefined
  /** how far down the list of overrides it has come */
  next = 0
  decision = ''

  constructor(arrival: Arrival, place: Place, overrides: readonly RequestHandler[], servers: Servers) {
    this.arrival = arrival
    this.place = place
    this.offer = place.offers.find(({ route }) => route.method === arrival.method)
    this.overrides = overrides
    this.state = servers.state
    this.switches = servers.switches
    this.publish = servers.publish
  }

  get request(): Request {
    return this.arrival.request
  }

  get url(): URL {
    return this.place.url
  }

  get params(): Call['params'] {
    return this.offer?.params ?? {}
  }

  note(decision: string): void {
    this.decision = this.decision === '' ? decision : `${this.decision}; ${decision}`
  }
}

type Servers = Pick<Call, 'state' | 'switches' | 'publish'>

/** A fresh set of servers that remember nothing but the two sample applications. */
export function createTwin(options: TwinOptions): Twin {
  const { pki, now = () => new Date(), random = randomBytes, publish = (url) => url, onRequest } = options
  const switches = settle(options.switches)
  const state = new State({ pki, now, random, snapshot: options.snapshot, seed: options.seed })
  const servers: Servers = { state, switches, publish }
  const inspect = inspection(authoritiesOf(pki.ca))
  const log: LogEntry[] = []
  const written = timestamps()
  const passages = new WeakMap<Request, Passage>()
  let overrides: readonly RequestHandler[] = []

  // One msw handler a route, found by host and path, so that no request walks the whole list.
  const offered = ROUTES.flatMap((route) => {
    const handler = new RouteHandler<Passage>(route.operation, (passage) => route.handle(passage))
    return route.hosts.map((host) => ({ host: answering(host, switches), route, handler }))
  })
  const byHost = Map.groupBy(offered, ({ host }) => host)
  const operations = new Map(
    [...Map.groupBy(offered, ({ route }) => route.operation)].map(([operation, offers]) => [
      operation,
      [...new Set(offers.map(({ host }) => host))],
    ]),
  )
  const unanswered = new RouteHandler<Passage>('unanswered', explainUnanswered)
  const places = new BoundedMap<string, Place>(PLACE_LIMIT)

  /** Found once: clients ask for the same few addresses again and again. */
  function placeOf(address: string): Place | undefined {
    const known = places.get(address)
    if (known !== undefined) return known
    const url = URL.parse(address)
    // https://fetch.spec.whatwg.org/#dom-request: an address with a user is none.
    if (url === null || url.username !== '' || url.password !== '') return undefined
    const offers = (byHost.get(url.hostname) ?? []).flatMap(({ route, handler }) => {
      const match = route.path.exec(url.pathname)
      return match === null ? [] : [{ route, handler, params: { ...match.groups } }]
    })
    const place = { url, printed: withoutValues(address), demand: twin.demandOf(url.hostname), offers }
    if (address.length <= PLACE_LENGTH) places.set(address, place)
    return place
  }

  /** Of a Request that somebody else made: its address is one. */
  function passageOf(request: Request): Passage {
    const known = passages.get(request)
    if (known !== undefined) return known
    const { method, url } = request
    const place = placeOf(url)
    if (place === undefined) throw new Error(`"${url}" is no address of a documented server`)
    const passage = new Passage({ method, address: url, certificate: undefined, request }, place, overrides, servers)
    passages.set(request, passage)
    return passage
  }

  async function proceed(passage: Passage): Promise<Response> {
    for (;;) {
      const handler = passage.overrides[passage.next]
      if (handler === undefined) break
      passage.next += 1
      const { request } = passage
      // So that the handler can ask what would have been answered without it.
      passages.set(request, passage)
      const response = await getResponse([handler], request)
      if (response !== undefined) return response
    }
    try {
      const response = await (passage.offer?.handler ?? unanswered).respond(passage)
      if (response === undefined) throw new Error('a handler of the twin has not answered')
      return response
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      passage.note(`refused: ${error.message}`)
      return answerTo(error, switches.errorShape)
    }
  }

  /** Why the connection must not come through, if so. */
  function objection(demand: Place['demand'], { certificate, distrust }: Arrival): string | undefined {
    if (demand === 'none') return undefined
    if (certificate === undefined) return demand === 'required' ? 'no client certificate' : undefined
    if (distrust !== undefined) return distrust
    // Checked here too, so that a request that never met TLS is judged alike, by the twin's clock.
    const { isSigned, from, to } = inspect(certificate)
    if (!isSigned) return 'not signed by the CA'
    const today = state.now().getTime()
    if (to < today || state.isExpired(certificate)) return 'the certificate has expired'
    return from > today ? 'the certificate is not yet valid' : undefined
  }

  function record({ method, url, certificate, status, decision }: Omit<LogEntry, 'time'>): void {
    const complete = { time: written(state.now()), method, url, certificate, status, decision: printable(decision) }
    if (log.length >= LOG_LIMIT) log.splice(0, LOG_LIMIT / 10)
    log.push(complete)
    onRequest?.(complete)
  }

  const twin: Twin = {
    hosts: HOSTS,
    operations,
    state,
    switches,
    log,
    async exchange(arrival) {
      const place = placeOf(arrival.address)
      if (place === undefined) return undefined
      const passage = new Passage(arrival, place, overrides, servers)
      const { certificate } = arrival
      const refusal = objection(place.demand, arrival)
      let response: Response
      if (refusal !== undefined) {
        passage.note(`certificate refused: ${refusal}`)
        response = switches.refuse === 'handshake' ? Response.error() : htmlRefusal(certificate)
      } else {
        if (place.demand !== 'none') passage.certificate = certificate
        try {
          response = await proceed(passage)
        } catch (error) {
          passage.note(`fault of the twin: ${error instanceof Error ? error.message : String(error)}`)
          response = json(
            { error: 'twin_error', error_description: 'the twin failed to answer; its log says why' },
            500,
          )
        }
      }
      record({
        method: arrival.method,
        url: place.printed,
        certificate: certificate === undefined ? 'none' : inspect(certificate).subject,
        status: response.status,
        decision: passage.decision === '' ? 'answered' : passage.decision,
      })
      return response
    },
    async answer(request, certificate) {
      const { method, url } = request
      const response = await twin.exchange({ method, address: url, certificate, request })
      return response === undefined ? Response.error() : whole(response)
    },
    async pass(request) {
      return whole(await proceed(passageOf(request)))
    },
    operationOf: (request) => passageOf(request).offer?.route.operation,
    refusesHandshake: (host) =>
      overrides.some((handler) => handler instanceof HandshakeRefusal && handler.hosts.includes(host)),
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

/** Which host answers for the directory's API is a switch. */
function answering(host: string, { directoryApiHost }: Switches): string {
  return directoryApiHost === 'matls-auth' && hostOf(host)?.server === 'directory-api' ? MTLS_DIRECTORY : host
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

interface Inspected {
  readonly isSigned: boolean
  /** validity in milliseconds */
  readonly from: number
  readonly to: number
  /** in words */
  readonly subject: string
}

/** Looks at each certificate once: a connection brings the same one with every request. */
function inspection(authorities: readonly X509Certificate[]): (certificate: X509Certificate) => Inspected {
  const known = new WeakMap<X509Certificate, Inspected>()
  return (certificate) => {
    const found = known.get(certificate)
    if (found !== undefined) return found
    const inspected = {
      isSigned: authorities.some((issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)),
      from: certificate.validFromDate.getTime(),
      to: certificate.validToDate.getTime(),
      subject: certificate.subject.split('\n').join(', '),
    }
    known.set(certificate, inspected)
    return inspected
  }
}

/** The page a reverse proxy shows, as documented; for a wrong certificate with the proxy's other sentence. */
function htmlRefusal(certificate: X509Certificate | undefined): Response {
  const page = examples.transport[0]?.body_text ?? ''
  const sentence = 'No required SSL certificate was sent'
  return text(certificate === undefined ? page : page.replaceAll(sentence, 'The SSL certificate error'), 400, {
    'content-type': 'text/html',
  })
}

function explainUnanswered(passage: Passage): Response {
  const { url, place } = passage
  const { hostname, pathname } = url
  if (hostOf(hostname) === undefined) {
    passage.note('the host is not documented')
    return json({ error: 'unknown_host', error_description: `the twin does not stand for host "${hostname}"` }, 404)
  }
  if (place.offers.length > 0) {
    passage.note('the method is not offered there')
    const allow = [...new Set(place.offers.map(({ route }) => route.method))].join(', ')
    const body = { error: 'method_not_allowed', error_description: `the method must be one of: ${allow}` }
    return json(body, 405, { allow })
  }
  passage.note('nothing is documented there')
  if (hostOf(hostname)?.server === 'authorization' && !isWorkspace(hostname, pathname)) {
    const hint = 'no such tenant or workspace'
    return answerTo(new Refusal('notFound', hint, { error_hint: hint }), 'acp')
  }
  const description = `the twin does not answer "${pathname}" on host "${hostname}"`
  return json({ error: 'not_implemented', error_description: description }, 501)
}

/** The path of one name of the authorization server leads nowhere on the other. */
function isWorkspace(hostname: string, pathname: string): boolean {
  return Object.values(AUTHORIZATION).some((base) => {
    const workspace = new URL(base)
    return workspace.hostname === hostname && pathname.startsWith(`${workspace.pathname}/`)
  })
}

/** As sent, but of a query only the names: a token in a query must not get into a log (RFC 6750 5.3). */
function withoutValues(address: string): string {
  if (!address.includes('?')) return address
  const [path, query = ''] = address.split('?', 2)
  return `${path}?${query.replace(/=[^&]*/g, '=…')}`
}

/** RFC 3339. Writing it out takes longer than the rest of a log entry, and many requests come in one millisecond. */
function timestamps(): (time: Date) => string {
  let [last, text] = [Number.NaN, '']
  return (time) => {
    if (time.getTime() !== last) [last, text] = [time.getTime(), time.toISOString()]
    return text
  }
}

/** A log line stays one line, whatever a client put into its request. */
function printable(text: string): string {
  return (CONTROL.test(text) ? text.replace(/\p{Cc}/gu, ' ') : text).slice(0, 500)
}

const CONTROL = /\p{Cc}/u
