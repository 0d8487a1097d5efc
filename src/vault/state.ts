/**
 * What follows from the events of a log: clients, calls whose end is not known, API access tokens. Pure. What follows (a call
 * is settled, a token superseded) is never written down, so a process that dies leaves nothing half done.
 */
import { fail } from '../record/errors.ts'
import { credentialsIn } from './answer.ts'
import { type Call, isSuccess, outcomeOf } from './call.ts'
import { Client } from './client.ts'
import { type AnswerEvent, byTime, type ClientEvent, type Event, faultIn, type TokenEvent } from './event.ts'
import type { Fault, LogReader } from './log.ts'

/** Whom a call is about: by the id that the environment names, and by the application that clients are registered for. */
export interface About {
  readonly clientId?: string | undefined
  readonly softwareId?: string | undefined
}

export class State implements LogReader {
  readonly #environment: string
  readonly #all: () => readonly Event[]
  /** false: an event came that is older than others, and all has to be worked out anew */
  #isInOrder = true
  #newestAt = ''
  #clients = new Map<string, Client>()
  #open = new Map<string, Call>()
  /** calls that have an answer */
  #answered = new Set<string>()
  #tokens: TokenEvent[] = []

  /** `all` returns every event that was taken: where one is older than others, all are read again, in the order of their times. */
  constructor(environment: string, all: () => readonly Event[]) {
    this.#environment = environment
    this.#all = all
  }

  restart(): void {
    this.#clear()
  }

  fault(value: unknown): Fault | undefined {
    const fault = faultIn(value)
    if (fault !== undefined) return fault
    const event = value as Event
    if (event.kind !== 'vault' || event.environment === this.#environment) return undefined
    return {
      is: `is of environment "${event.environment}"`,
      rest: {
        expected: `environment "${this.#environment}"`,
        hint: 'name that environment with --env, or another folder with VAULT_DIR; nothing was sent',
      },
    }
  }

  event(value: unknown): void {
    const event = value as Event
    // An import may bring older ones, and those of another log that have the same time.
    if (event.at <= this.#newestAt) this.#isInOrder = false
    else if (this.#isInOrder) this.#take(event)
  }

  /** UTC, RFC 3339; later than all that is known. */
  after(now: Date): string {
    const at = now.toISOString()
    this.#inOrder()
    return at > this.#newestAt ? at : new Date(Date.parse(this.#newestAt) + 1).toISOString()
  }

  clients(): readonly Client[] {
    this.#inOrder()
    return [...this.#clients.values()]
  }

  client(id: string): Client | undefined {
    this.#inOrder()
    return this.#clients.get(id)
  }

  /** In the order in which they left. */
  open(): readonly Call[] {
    this.#inOrder()
    return [...this.#open.values()]
  }

  /** Calls of a client that are open, under whatever id they left. */
  openOf(clientId: string): readonly Call[] {
    const open = this.open()
    const names = new Set<string | undefined>([clientId, ...(this.#clients.get(clientId)?.askedAs ?? [])])
    return open.filter((call) => names.has(call.clientId) || names.has(call.askedAs))
  }

  tokens(): readonly TokenEvent[] {
    this.#inOrder()
    return this.#tokens
  }

  /**
   * The live client with this id; else the one that was registered when the environment named this id, or for this
   * application; else a deleted one.
   *
   * @throws USAGE where there are several
   */
  find(about: About): Client | undefined {
    const candidates = this.candidates(about)
    if (candidates.length > 1) {
      fail({
        code: 'USAGE',
        message: `the vault of "${this.#environment}" holds ${candidates.length} clients of this application; nothing was sent`,
        found: candidates.map(({ id }) => `"${id}"`).join(', '),
        hint: 'set CLIENT_ID to the one that is meant',
      })
    }
    return candidates[0]
  }

  /**
   * Of all clients: the one that this address manages, else this token. A server that takes the token of one client at the
   * address of another changes that other.
   */
  managed(url: string, token: string | undefined): Client | undefined {
    this.#inOrder()
    let byToken: Client | undefined
    for (const client of this.#clients.values()) {
      if (!client.isLive) continue
      if (client.uri === url) return client
      if (byToken === undefined && token !== undefined && client.holds(token)) byToken = client
    }
    return byToken
  }

  /** The live client with this id, or that was registered when the environment named this id. */
  liveAs(id: string): Client | undefined {
    return this.candidates({ clientId: id }).find(({ isLive }) => isLive)
  }

  /** All that `find` chooses from. */
  candidates({ clientId = '', softwareId = '' }: About): readonly Client[] {
    const exact = this.client(clientId)
    if (exact?.isLive) return [exact]
    const live = this.clients().filter(({ isLive }) => isLive)
    const asked = live.filter(({ askedAs }) => askedAs.has(clientId))
    const candidates = asked.length > 0 ? asked : live.filter(({ softwareIds }) => softwareIds.has(softwareId))
    return candidates.length > 0 || exact === undefined ? candidates : [exact]
  }

  #inOrder(): void {
    if (this.#isInOrder) return
    this.#clear()
    for (const event of this.#all().toSorted(byTime)) this.#take(event)
  }

  #clear(): void {
    this.#isInOrder = true
    this.#newestAt = ''
    this.#clients = new Map()
    this.#open = new Map()
    this.#answered = new Set()
    this.#tokens = []
  }

  #take(event: Event): void {
    this.#newestAt = event.at
    switch (event.kind) {
      case 'vault':
        break
      case 'token':
        this.#tokens.push(event)
        break
      case 'call':
        this.#open.set(event.id, event)
        break
      case 'ended':
        this.#ended(event)
        break
      case 'answer':
        if (event.effect === undefined) this.#kept(event)
        else this.#answer(event, event.effect)
        break
      case 'worked':
      case 'deleted': {
        this.#made(event.clientId).take(event)
        const how = event.kind === 'worked' ? 'the stored token works' : 'the client is deleted'
        this.#settle(event.settles, event.clientId, event.at, how)
        break
      }
      default:
        event satisfies never
    }
  }

  #ended({ call: id, how }: Extract<Event, { kind: 'ended' }>): void {
    const call = this.#open.get(id)
    if (call === undefined) return
    if (how === 'not-sent') this.#open.delete(id)
    else this.#open.set(id, { ...call, isOver: true })
  }

  #kept(answer: AnswerEvent): void {
    const id = clientOf(answer)
    this.#made(id).take(answer)
    this.#settle(answer.settles, id, answer.at, `a later call was answered with status ${answer.status}`)
  }

  /** An answer says how its call ended, and so how earlier ones did: one process at a time changes a client. */
  #answer(answer: AnswerEvent, effect: Call['effect']): void {
    const { call: id = '', at, status } = answer
    if (this.#answered.has(id)) return
    this.#answered.add(id)
    const call = this.#open.get(id)
    const clientId = clientOf(answer)
    if (isSuccess(status)) this.#made(clientId).take(answer)
    const outcome = outcomeOf(effect, answer)
    if (outcome === 'open') {
      if (call !== undefined) this.#open.set(id, { ...call, clientId, answer })
      return
    }
    this.#open.delete(id)
    const earlier = this.openOf(clientId)
    const how = `a later ${effect} was answered with status ${status}`
    if (outcome === 'done')
      this.#settle(
        earlier.map((one) => one.id),
        clientId,
        at,
        how,
      )
    else if (effect === 'register')
      for (const one of earlier)
        if (one.effect === 'register') this.#open.set(one.id, { ...one, retried: { at, status } })
  }

  #settle(calls: readonly string[] | undefined, clientId: string, at: string, how: string): void {
    for (const id of calls ?? []) {
      const call = this.#open.get(id)
      if (call === undefined) continue
      this.#open.delete(id)
      this.#made(clientId).settled(at, `${call.effect} of ${call.at}: ${how}`)
    }
  }

  #made(id: string): Client {
    const client = this.#clients.get(id) ?? new Client(id)
    this.#clients.set(id, client)
    return client
  }
}

/** Those that are not of this client (null: of any), without API access tokens that have expired. */
export function without(
  events: readonly Event[],
  { clientId, now }: { readonly clientId: string | null | undefined; readonly now: Date },
): readonly Event[] {
  const idOf = (one: Event) => (one.kind === 'call' && one.clientId === clientId ? [one.id] : [])
  const calls = new Set(events.flatMap(idOf))
  const isOf = (event: Event) => {
    if (event.kind === 'vault') return false
    if (clientId === null) return true
    if (event.kind === 'ended') return calls.has(event.call)
    if (event.kind === 'answer') return clientOf(event) === clientId || calls.has(event.call ?? '')
    return event.clientId === clientId
  }
  const isOver = (event: Event) => event.kind === 'token' && Date.parse(event.expiresAt) <= now.getTime()
  return events.filter((event) => !isOf(event) && !isOver(event))
}

/** What is known of each client, by its id, in the order of time. */
export function clientEvents(events: readonly Event[]): ReadonlyMap<string, readonly ClientEvent[]> {
  const known = new Map<string, ClientEvent[]>()
  const answered = new Set<string>()
  for (const event of events.toSorted(byTime)) {
    if (event.kind !== 'answer' && event.kind !== 'worked' && event.kind !== 'deleted') continue
    if (event.kind === 'answer' && event.effect !== undefined) {
      // One that was written twice counts once.
      if (answered.has(event.call ?? '') || !isSuccess(event.status)) continue
      answered.add(event.call ?? '')
    }
    const id = event.kind === 'answer' ? clientOf(event) : event.clientId
    const entries = known.get(id)
    if (entries === undefined) known.set(id, [event])
    else entries.push(event)
  }
  return known
}

/** The client that the answer says it is about, else the one the call was about. */
export function clientOf(answer: AnswerEvent): string {
  return credentialsIn(answer).clientId ?? answer.clientId
}
