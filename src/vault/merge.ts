/**
 * What one log holds and another does not. Events are never replaced: all of them are kept, and the state follows from them in
 * the order of their times, so that of two registrations or tokens of a client the newer counts. Pure.
 */
import { type Event, inOrder } from './event.ts'
import { clientOf, State } from './state.ts'

export interface Difference {
  /** in their order */
  readonly added: readonly Event[]
  /** ids of clients that only the other log has */
  readonly clients: readonly string[]
  /** ids of clients of which it has further answers */
  readonly changed: readonly string[]
  /** calls that stay open and are new */
  readonly open: number
}

/** What `theirs` adds to `ours`; both are of this environment. */
export function difference(ours: readonly Event[], theirs: readonly Event[], environment: string): Difference {
  const there = new Set(ours.map(inOrder))
  const added = theirs.filter((event) => event.kind !== 'vault' && !there.has(inOrder(event)))
  const [before, after] = [stateOf(ours, environment), stateOf([...ours, ...added], environment)]
  const answered = [...new Set(added.flatMap((event) => (event.kind === 'answer' ? [clientOf(event)] : [])))]
  const isKnown = (id: string) => before.client(id) !== undefined
  return {
    added,
    clients: answered.filter((id) => !isKnown(id)),
    changed: answered.filter(isKnown),
    open: Math.max(0, after.open().length - before.open().length),
  }
}

function stateOf(events: readonly Event[], environment: string): State {
  const state = new State(environment, () => events)
  for (const event of events) if (state.fault(event) === undefined) state.event(event)
  return state
}
