/**
 * What the calls of a run say of the other side: hosts, their certificates, where endpoints are named, what became of
 * clients. Taken in call by call; what is kept grows with what is different, not with the calls.
 */
import { type CertificateFacts, type Exchange, peerOf, type RunRecord, type StepRecord } from '../record/index.ts'
import type { Placed } from './standing.ts'

export interface Host {
  readonly host: string
  readonly calls: number
  /** where TCP went; these and the following are distinct and in order of occurrence */
  readonly addresses: readonly string[]
  readonly protocols: readonly string[]
  readonly identities: readonly string[]
  /** the server's clock less ours by its Date headers, which tell whole seconds */
  readonly clockOffsetSeconds?: number | undefined
}

/** A server's certificate with its issuers, and who showed it. */
export interface ServerCertificate {
  readonly certificate: CertificateFacts
  readonly chain: readonly CertificateFacts[]
  readonly hosts: readonly string[]
}

/** A URL that was called, without its query, and where each part of it came from. */
export interface Endpoint {
  readonly method: string
  readonly url: string
  /** the setting of its base URL, with file and line; absent where a flow gave the whole URL */
  readonly configured?: { readonly source: string; readonly from: string } | undefined
  /** the member of an answer that names it, in the run's order the first */
  readonly named?: { readonly member: string; readonly at: Placed } | undefined
}

/** One OAuth client that the run registered, changed or deleted. */
export interface LedgerEntry {
  readonly client: string
  readonly uri?: string | undefined
  readonly events: readonly { readonly what: string; readonly at: Placed }[]
  readonly disposition: 'left registered' | 'deleted' | 'deleted and found dead' | 'unknown'
}

export class Calls {
  readonly #servers: NonNullable<RunRecord['environment']['servers']>
  readonly #hosts = new Map<string, HostFacts>()
  readonly #certificates = new Map<string, Omit<ServerCertificate, 'hosts'> & { readonly hosts: Set<string> }>()
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #named = new Map<string, NonNullable<Endpoint['named']>>()
  readonly #ledger: Entry[] = []
  /** by the client's own URI, the latest */
  readonly #entries = new Map<string, Entry>()

  constructor({ environment: { servers = [] } }: RunRecord) {
    this.#servers = servers
  }

  add(at: Placed, step: StepRecord, exchange: Exchange): void {
    const answered = jsonObject(exchange.response?.body.text)
    const host = URL.parse(exchange.request.url)?.host ?? exchange.request.url
    this.#host(host, exchange)
    this.#certificate(host, exchange)
    this.#endpoint(at, step, exchange, answered)
    this.#client(at, step, exchange, answered)
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts].map(([host, { calls, addresses, protocols, identities, offsets }]) => ({
      host,
      calls,
      addresses: [...addresses],
      protocols: [...protocols],
      identities: [...identities],
      clockOffsetSeconds: offsets.median,
    }))
  }

  get certificates(): readonly ServerCertificate[] {
    return [...this.#certificates.values()].map((one) => ({ ...one, hosts: [...one.hosts] }))
  }

  get endpoints(): readonly Endpoint[] {
    // A document read later may name what was called before it.
    return [...this.#endpoints.values()].map((one) => ({ ...one, named: one.named ?? this.#named.get(one.url) }))
  }

  get ledger(): readonly LedgerEntry[] {
    return this.#ledger
  }

  #host(host: string, exchange: Exchange): void {
    const facts = this.#hosts.get(host) ?? {
      calls: 0,
      addresses: new Set(),
      protocols: new Set(),
      identities: new Set(),
      offsets: new Sample(),
    }
    this.#hosts.set(host, facts)
    facts.calls += 1
    const offset = offsetOf(exchange)
    if (offset !== undefined) facts.offsets.add(offset)
    const { tls } = exchange
    if (tls === undefined) return
    const peer = peerOf(tls)
    if (peer !== undefined) facts.addresses.add(peer)
    facts.protocols.add(`${tls.protocol}, ${tls.cipher}${tls.alpn ? `, ${tls.alpn}` : ''}`)
    facts.identities.add(tls.configured?.identity ?? 'none')
  }

  #certificate(host: string, { tls: { server, chain = [] } = {} as NonNullable<Exchange['tls']> }: Exchange): void {
    if (server === undefined) return
    const known = this.#certificates.get(server.sha256)
    if (known === undefined)
      this.#certificates.set(server.sha256, { certificate: server, chain, hosts: new Set([host]) })
    else known.hosts.add(host)
  }

  /** Base URLs come from the environment; what answers name is compared with them, and followed only where a flow says so. */
  #endpoint(at: Placed, step: StepRecord, { request }: Exchange, answered: Answered): void {
    const url = request.url.replace(/[?#].*/s, '')
    const key = `${request.method} ${url}`
    if (!this.#endpoints.has(key)) {
      const source = step.operation?.source
      const server = this.#servers.find((one) => one.source === source && url.startsWith(one.url))
      const configured = server && { source: server.source, from: server.from }
      this.#endpoints.set(key, { method: request.method, url, configured, named: this.#named.get(url) })
    }
    for (const [member, value] of namedIn(answered)) if (!this.#named.has(value)) this.#named.set(value, { member, at })
  }

  #client(at: Placed, step: StepRecord, { request, response, sent }: Exchange, answered: Answered): void {
    const { method, url } = request
    const isRegistration = step.operation?.operationId === 'registerClient'
    if (response === undefined) {
      const events = [{ what: 'asked for, no answer', at }]
      if (isRegistration && sent !== 'no') this.#enter({ client: 'not known', events, disposition: 'unknown' })
      return
    }
    const succeeded = response.status >= 200 && response.status < 300
    const uri = textOf(answered.registration_client_uri)
    if (method === 'POST' && succeeded && (isRegistration || uri !== undefined)) {
      const client = textOf(answered.client_id) ?? 'not known'
      this.#enter({ client, uri, events: [{ what: 'registered', at }], disposition: 'left registered' })
      return
    }
    const known = this.#entries.get(url)
    if (succeeded && (method === 'PUT' || method === 'DELETE')) {
      const client = textOf(answered.client_id) ?? 'registered before this run'
      const entry = known ?? this.#enter({ client, uri: url, events: [], disposition: 'left registered' })
      entry.events.push({ what: method === 'PUT' ? 'updated' : 'deleted', at })
      if (method === 'DELETE') entry.disposition = 'deleted'
    } else if (known?.disposition === 'deleted' && (response.status === 401 || response.status === 404)) {
      known.events.push({ what: `found dead (${response.status})`, at })
      known.disposition = 'deleted and found dead'
    }
  }

  #enter(entry: Entry): Entry {
    this.#ledger.push(entry)
    if (entry.uri !== undefined) this.#entries.set(entry.uri, entry)
    return entry
  }
}

interface HostFacts {
  calls: number
  readonly addresses: Set<string>
  readonly protocols: Set<string>
  readonly identities: Set<string>
  readonly offsets: Sample
}

interface Entry {
  readonly client: string
  readonly uri?: string | undefined
  readonly events: { what: string; at: Placed }[]
  disposition: LedgerEntry['disposition']
}

/** Numbers of which the median is wanted: all of a thousand, of more every second, fourth, eighth … */
class Sample {
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

/** The Date header is cut to whole seconds, so half a second is what it leaves out on average. */
function offsetOf({ response, timing }: Exchange): number | undefined {
  const header = response?.headers.find(([name]) => name.toLowerCase() === 'date')?.[1]
  const date = Date.parse(header ?? '')
  if (Number.isNaN(date)) return undefined
  const answered = Date.parse(timing.startedAt) + (timing.connectMs ?? 0) + (timing.firstByteMs ?? timing.totalMs)
  return (date + 500 - answered) / 1000
}

type Answered = Readonly<Record<string, unknown>>

/** The URLs of an answer with the names of their members, those of nested objects too. */
function* namedIn(value: Answered, path = ''): Generator<readonly [member: string, url: string]> {
  for (const [name, member] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`
    if (typeof member === 'string' && member.startsWith('https://')) yield [at, member]
    else if (typeof member === 'object' && member !== null && !Array.isArray(member))
      yield* namedIn(member as Answered, at)
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function jsonObject(text: string | undefined): Answered {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Answered) : {}
  } catch {
    return {}
  }
}
