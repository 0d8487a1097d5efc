/**
 * Collects from the calls of a run: the hosts, their certificates, the endpoints, and what was done to each client. What is
 * kept grows with the number of different hosts, endpoints and clients, not with the number of calls.
 */
import type { Effect } from '../record/effect.ts'
import { type CertificateFacts, type Exchange, peerOf, type RecordHead, type StepRecord } from '../record/index.ts'
import { clockOffsetOf } from './clock.ts'
import type { StepRef } from './standing.ts'

export interface Host {
  readonly host: string
  readonly calls: number
  /** address and port of the TCP connections; these and the following are distinct, in the order of the calls */
  readonly addresses: readonly string[]
  readonly protocols: readonly string[]
  readonly identities: readonly string[]
  /** whether the server asked for a client certificate: in each connection the same, as a rule */
  readonly asked: readonly boolean[]
  /** the server's clock minus ours, by its Date headers, which have whole seconds */
  readonly clockOffsetSeconds?: number | undefined
}

/** A server's certificate with its issuers, and the hosts that presented it. */
export interface ServerCertificate {
  readonly certificate: CertificateFacts
  readonly chain: readonly CertificateFacts[]
  readonly hosts: readonly string[]
}

/** A URL that was called, without its query, and where it came from. */
export interface Endpoint {
  readonly method: string
  readonly url: string
  /** the setting of its base URL, with file and line; absent where a flow gave the whole URL */
  readonly configured?: { readonly source: string; readonly from: string } | undefined
  /** the first member of an answer that has it as its value */
  readonly named?: { readonly member: string; readonly step: StepRef } | undefined
}

/** What the run did to one OAuth client. */
export interface ClientHistory {
  readonly client: string
  readonly uri?: string | undefined
  readonly events: readonly { readonly what: string; readonly step: StepRef }[]
  readonly outcome: 'left registered' | 'deleted' | 'deleted and found dead' | 'unknown'
}

export class CallCollector {
  readonly #servers: NonNullable<RecordHead['environment']['servers']>
  readonly #hosts = new Map<string, HostCalls>()
  readonly #certificates = new Map<string, Omit<ServerCertificate, 'hosts'> & { readonly hosts: Set<string> }>()
  readonly #endpoints = new Map<string, Endpoint>()
  /** by URL */
  readonly #named = new Map<string, NonNullable<Endpoint['named']>>()
  readonly #clients: OpenHistory[] = []
  /** the latest client at each registration_client_uri */
  readonly #clientAt = new Map<string, OpenHistory>()

  constructor({ environment: { servers = [] } }: RecordHead) {
    this.#servers = servers
  }

  add(exchange: Exchange, step: StepRecord, ref: StepRef): void {
    const answer = jsonObject(exchange.response?.body.text)
    const host = URL.parse(exchange.request.url)?.host ?? exchange.request.url
    this.#addHost(host, exchange)
    this.#addCertificate(host, exchange)
    this.#addEndpoint(exchange, step)
    this.#addNamed(answer, ref)
    this.#addClient(exchange, { answer, effect: step.effect?.sent, ref })
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts].map(([host, { calls, addresses, protocols, identities, asked, offsets }]) => ({
      host,
      calls,
      addresses: [...addresses],
      protocols: [...protocols],
      identities: [...identities],
      asked: [...asked],
      clockOffsetSeconds: offsets.median,
    }))
  }

  get certificates(): readonly ServerCertificate[] {
    return [...this.#certificates.values()].map((one) => ({ ...one, hosts: [...one.hosts] }))
  }

  get endpoints(): readonly Endpoint[] {
    // An answer may name an endpoint that was called before it.
    return [...this.#endpoints.values()].map((one) => ({ ...one, named: one.named ?? this.#named.get(one.url) }))
  }

  get clients(): readonly ClientHistory[] {
    return this.#clients
  }

  #addHost(host: string, exchange: Exchange): void {
    const known = this.#hosts.get(host) ?? {
      calls: 0,
      addresses: new Set(),
      protocols: new Set(),
      identities: new Set(),
      asked: new Set(),
      offsets: new MedianSample(),
    }
    this.#hosts.set(host, known)
    known.calls += 1
    const offset = clockOffsetOf(exchange)
    if (offset !== undefined) known.offsets.add(offset)
    const { tls } = exchange
    if (tls === undefined) return
    const peer = peerOf(tls)
    if (peer !== undefined) known.addresses.add(peer)
    known.protocols.add(`${tls.protocol}, ${tls.cipher}${tls.alpn ? `, ${tls.alpn}` : ''}`)
    known.identities.add(tls.configured?.identity ?? 'none')
    if (tls.certificateRequested !== undefined) known.asked.add(tls.certificateRequested)
  }

  #addCertificate(host: string, { tls: { server, chain = [] } = {} as NonNullable<Exchange['tls']> }: Exchange): void {
    if (server === undefined) return
    const known = this.#certificates.get(server.sha256)
    if (known === undefined)
      this.#certificates.set(server.sha256, { certificate: server, chain, hosts: new Set([host]) })
    else known.hosts.add(host)
  }

  #addEndpoint({ request }: Exchange, step: StepRecord): void {
    const url = request.url.replace(/[?#].*/s, '')
    const key = `${request.method} ${url}`
    if (this.#endpoints.has(key)) return
    const source = step.operation?.source
    const server = this.#servers.find((one) => one.source === source && url.startsWith(one.url))
    const configured = server && { source: server.source, from: server.from }
    this.#endpoints.set(key, { method: request.method, url, configured, named: this.#named.get(url) })
  }

  #addNamed(answer: JsonObject, step: StepRef): void {
    for (const [member, url] of urlsIn(answer)) if (!this.#named.has(url)) this.#named.set(url, { member, step })
  }

  #addClient({ request: { url }, response, sent }: Exchange, { answer, effect, ref: step }: ClientCall): void {
    if (response === undefined) {
      const events = [{ what: 'asked for, no answer', step }]
      // A step that expected the refusal has passed: what it must not have done is judged by its flow.
      const isExpected = step.standing === 'pass' || step.standing === 'warn'
      if (effect === 'register' && sent !== 'no' && !isExpected)
        this.#addHistory({ client: 'not known', events, outcome: 'unknown' })
      return
    }
    const succeeded = response.status >= 200 && response.status < 300
    const uri = textOf(answer.registration_client_uri)
    if (effect === 'register' && succeeded) {
      const client = textOf(answer.client_id) ?? 'not known'
      this.#addHistory({ client, uri, events: [{ what: 'registered', step }], outcome: 'left registered' })
      return
    }
    const known = this.#clientAt.get(url)
    if (succeeded && (effect === 'update' || effect === 'delete')) {
      const client = textOf(answer.client_id) ?? 'registered before this run'
      const history = known ?? this.#addHistory({ client, uri: url, events: [], outcome: 'left registered' })
      history.events.push({ what: effect === 'update' ? 'updated' : 'deleted', step })
      if (effect === 'delete') history.outcome = 'deleted'
    } else if (known?.outcome === 'deleted' && (response.status === 401 || response.status === 404)) {
      known.events.push({ what: `found dead (${response.status})`, step })
      known.outcome = 'deleted and found dead'
    }
  }

  #addHistory(history: OpenHistory): OpenHistory {
    this.#clients.push(history)
    if (history.uri !== undefined) this.#clientAt.set(history.uri, history)
    return history
  }
}

interface HostCalls {
  calls: number
  readonly addresses: Set<string>
  readonly protocols: Set<string>
  readonly identities: Set<string>
  readonly asked: Set<boolean>
  readonly offsets: MedianSample
}

interface ClientCall {
  readonly answer: JsonObject
  /** what the call did, or would have done */
  readonly effect: Effect | undefined
  readonly ref: StepRef
}

/** A client's history while it is collected. */
interface OpenHistory {
  readonly client: string
  readonly uri?: string | undefined
  readonly events: { what: string; step: StepRef }[]
  outcome: ClientHistory['outcome']
}

/** The median of many numbers in little memory: of more than a thousand, every second, fourth, eighth … is kept. */
class MedianSample {
  #numbers: number[] = []
  #step = 1
  #count = 0

  add(number: number): void {
    if (this.#count % this.#step === 0) this.#numbers.push(number)
    this.#count += 1
    if (this.#numbers.length < 1024) return
    this.#numbers = this.#numbers.filter((_, index) => index % 2 === 0)
    this.#step *= 2
  }

  get median(): number | undefined {
    return this.#numbers.toSorted((a, b) => a - b)[Math.floor(this.#numbers.length / 2)]
  }
}

type JsonObject = Readonly<Record<string, unknown>>

/** The URLs in an answer, each with the path of the member that holds it. */
function* urlsIn(value: JsonObject, parent = ''): Generator<readonly [member: string, url: string]> {
  for (const [name, member] of Object.entries(value)) {
    const path = parent === '' ? name : `${parent}.${name}`
    if (typeof member === 'string' && member.startsWith('https://')) yield [path, member]
    else if (typeof member === 'object' && member !== null && !Array.isArray(member))
      yield* urlsIn(member as JsonObject, path)
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function jsonObject(text: string | undefined): JsonObject {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
  } catch {
    return {}
  }
}
