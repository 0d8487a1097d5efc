/**
 * What follows from the events of a log: clients, calls whose end is not known, API access tokens. Pure. What follows (a call
 * is settled, a token superseded) is never written down, so a process that dies leaves nothing half done.
 */
import { fail } from '../record/errors.ts'
import { credentialsIn } from './answer.ts'
import { type Call, isSuccess, outcomeOf } from './call.ts'
import { Client } from './client.ts'
import { type AnswerEvent, byTime, type Event, faultIn, type TokenEvent } from './event.ts'
import type { Fault, LogReader } from './log.ts'

/** Whom a call is about: by the id that the environment names, and by the application that clients are registered for. */
export interface About {
  readonly clientId?: string | undefined
  readonly softwareId?: string | undefined
}

export class State implements LogReader {
  readonly #environment: string
  #events: Event[] = []
  /** false: an event came that is older than others, and all has to be worked out anew */
  #isInOrder = true
  #newestAt = ''
  #clients = new Map<string, Client>()
  #open = new Map<string, Call>()
  /** calls that have an answer */
  #answered = new Set<string>()
  #tokens: TokenEvent[] = []

  constructor(environment: string) {
    this.#environment = environment
  }

  restart(): void {
    this.#events = []
    this.#clear()
  }

  event(value: unknown): Fault | undefined {
    const fault = faultIn(value)
    if (fault !== undefined) return fault
    const event = value as Event
    if (event.kind === 'vault' && event.environment !== this.#environment) {
      return {
        is: `is of environment "${event.environment}"`,
        rest: {
          expected: `environment "${this.#environment}"`,
          hint: 'name that environment with --env, or another folder with VAULT_DIR; nothing was sent',
        },
      }
    }
    this.#events.push(event)
    // An import may bring older ones.
    if (event.at < this.#newestAt) this.#isInOrder = false
    else if (this.#isInOrder) this.#take(event)
    return undefined
  }

  /** As they are in the log, without those of this client (null: of any), and without API access tokens that have expired. */
  without(clientId: string | undefined | null, now: Date): readonly Event[] {
    const idOf = (one: Event) => (one.kind === 'call' && one.clientId === clientId ? [one.id] : [])
    const calls = new Set(this.#events.flatMap(idOf))
    const isOf = (event: Event) => {
      if (event.kind === 'vault') return false
      if (clientId === null) return true
      if (event.kind === 'ended') return calls.has(event.call)
      if (event.kind === 'answer') return clientOf(event) === clientId || calls.has(event.call ?? '')
      return event.clientId === clientId
    }
    const isOver = (event: Event) => event.kind === 'token' && Date.parse(event.expiresAt) <= now.getTime()
    return this.#events.filter((event) => !isOf(event) && !isOver(event))
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
    const live = this.clients().filter(({ isLive }) => isLive)
    return (
      live.find((client) => client.registration()?.registrationClientUri === url) ??
      live.find((client) => token !== undefined && client.holds(token))
    )
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
    for (const event of this.#events.toSorted(byTime)) this.#take(event)
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

/** The client that the answer says it is about, else the one the call was about. */
export function clientOf(answer: AnswerEvent): string {
  return credentialsIn(answer).clientId ?? answer.clientId
}
