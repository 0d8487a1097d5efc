/**
 * What is known of a client: its record, and what the journals add to it. Pure. Whatever follows from an answer is worked out
 * here each time, so nothing has to be written down to draw a consequence, and nothing is lost between two writes.
 */
import { z } from '../record/shape.ts'
import { clientOf, entryOf, intentSchema, outcomeOf, type StoredIntent } from './intent.ts'
import type { Line } from './journal.ts'
import { type Entry, entrySchema, joined, VAULT_VERSION } from './record.ts'

export const recordSchema = z.looseObject({
  vaultVersion: z.literal(VAULT_VERSION),
  environment: z.string(),
  clientId: z.string(),
  entries: z.array(entrySchema),
  /** those that are open */
  intents: z.array(intentSchema),
  /** how many lines of which journal have moved in here */
  folded: z.record(z.string(), z.int()),
})
export type VaultRecord = z.infer<typeof recordSchema>

export interface State {
  readonly entries: readonly Entry[]
  /** calls of which nobody knows how they ended, in the order in which they left */
  readonly open: readonly StoredIntent[]
  /** answers to calls of this client that say they are another client's */
  readonly elsewhere: readonly { readonly clientId: string; readonly entry: Entry }[]
}

/** `lines` are those that are not in the record yet, each journal's in its order. */
export function stateOf(clientId: string, record: VaultRecord | undefined, lines: readonly Line[]): State {
  const calls = new Map<string, StoredIntent>()
  for (const intent of [...(record?.intents ?? []), ...lines.flatMap((line) => line.intent ?? [])])
    calls.set(intent.id, { ...calls.get(intent.id), ...intent })
  const elsewhere: State['elsewhere'][number][] = []
  const late = lines.flatMap(({ intent, entries = [] }) => {
    const entry = intent && entryOf(intent)
    if (intent === undefined || entry === undefined) return entries
    if (clientOf(intent) === clientId) return [entry, ...entries]
    elsewhere.push({ clientId: clientOf(intent), entry })
    return entries
  })
  const present = joined(record?.entries ?? [], inOrder(late))
  const inTurn = [...calls.values()].toSorted((a, b) => (a.begunAt < b.begunAt ? -1 : a.begunAt > b.begunAt ? 1 : 0))
  const { settled, open } = concluded(inTurn, present)
  return { entries: joined(present, settled), open, elsewhere }
}

/** The entry that closes an open call. */
export function settling(intent: StoredIntent, how: string, keptAt: string): Entry {
  const { id, effect, begunAt, runId, step } = intent
  return { kind: 'settled', keptAt, intent: id, effect, begunAt, runId, step, how }
}

/** An answer may say how the calls before it ended: one process at a time changes a client. */
function concluded(
  calls: readonly StoredIntent[],
  entries: readonly Entry[],
): { readonly settled: readonly Entry[]; readonly open: readonly StoredIntent[] } {
  const closed = new Set(entries.flatMap((entry) => (entry.kind === 'settled' ? [entry.intent] : [])))
  const settled: Entry[] = []
  let open: readonly StoredIntent[] = []
  for (const call of calls) {
    const { answer, effect, id } = call
    const outcome = outcomeOf(call)
    if (answer !== undefined && outcome === 'done') {
      const how = `a later ${effect} was answered with status ${answer.status}`
      settled.push(...open.map((earlier) => settling(earlier, how, answer.keptAt)))
      open = []
    } else if (answer !== undefined && outcome === 'refused' && effect === 'register') {
      const retried = { at: answer.keptAt, status: answer.status }
      open = open.map((earlier) => (earlier.effect === 'register' ? { ...earlier, retried } : earlier))
    } else if (outcome === 'open' && call.closed === undefined && !closed.has(id)) {
      open = [...open, call]
    }
  }
  return { settled, open }
}

function inOrder(entries: readonly Entry[]): readonly Entry[] {
  return entries.toSorted((a, b) => (a.keptAt < b.keptAt ? -1 : a.keptAt > b.keptAt ? 1 : 0))
}
