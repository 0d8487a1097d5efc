/** Every client that a run has registered or may have, and what has become of it. Pure. */
import type { OpenCall } from './call.ts'
import type { Client, Life, Origin } from './client.ts'

export interface LedgerEntry extends Origin {
  readonly clientId: string
  /**
   * announced: its POST is on the way · registered: it is there until its run deletes it · kept: it is there to stay · left
   * behind: it is there although its run was to delete it · deleted · unknown: a call left, and no answer says how it ended
   */
  readonly state: 'announced' | 'registered' | 'kept' | 'left behind' | 'deleted' | 'unknown'
  readonly deletedAt: string | undefined
  /** the calls that are open, with what is known and what to do */
  readonly open: readonly OpenCall[]
}

export function ledgerOf(
  clients: readonly Client[],
  open: readonly OpenCall[],
  isAlive: (writer: string | undefined) => boolean,
): readonly LedgerEntry[] {
  const registered = clients.flatMap(({ id, askedAs, lives }) =>
    lives.map((life, index): LedgerEntry => {
      const { at, runId, step, purpose, deletedAt } = life
      // What is open of a client concerns the newest of its lives.
      const calls =
        index < lives.length - 1 ? [] : open.filter(({ clientId }) => clientId === id || askedAs.has(clientId))
      const state = stateOf(life, calls, isAlive)
      return { clientId: id, at, runId, step, purpose, deletedAt, open: calls, state }
    }),
  )
  // A POST of which nothing else is known yet, or that came after the last deletion.
  const announced = open.flatMap((call): LedgerEntry[] => {
    const isKnown = registered.some(({ open: known, deletedAt }) => deletedAt === undefined && known.includes(call))
    if (call.effect !== 'register' || isKnown) return []
    const { clientId, runId, step, begunAt: at, purpose, way } = call
    const state = way === 'wait' ? 'announced' : 'unknown'
    return [{ clientId, runId, step, at, purpose, state, deletedAt: undefined, open: [call] }]
  })
  return [...registered, ...announced].sort((a, b) => (a.at < b.at ? -1 : 1))
}

function stateOf(
  { purpose, writer, deletedAt }: Life,
  open: readonly OpenCall[],
  isAlive: (writer: string | undefined) => boolean,
): LedgerEntry['state'] {
  if (deletedAt !== undefined) return 'deleted'
  if (open.length > 0) return 'unknown'
  if (purpose === 'kept') return 'kept'
  return isAlive(writer) ? 'registered' : 'left behind'
}
