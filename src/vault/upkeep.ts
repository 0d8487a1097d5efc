/** What a person does with a whole vault: take out, bring in, destroy, and change its key. */
import { fail } from '../record/errors.ts'
import { shapeOf, z } from '../record/shape.ts'
import { Client } from './client.ts'
import { byTime, type ClientEvent, clientEventSchema, inWords } from './event.ts'
import type { Store } from './store.ts'

/**
 * Writes the log anew without this client (default: without any).
 *
 * @throws VAULT_UNREADABLE, VAULT_UNWRITABLE; USAGE where a call of the client is open, or any is on the way
 */
export async function forget(store: Store, clientId?: string): Promise<void> {
  await store.exclusively(() => {
    store.demandReadable()
    const all = store.state.open()
    const [open] = clientId === undefined ? all.filter((one) => store.isOnTheWay(one)) : store.state.openOf(clientId)
    if (open !== undefined) {
      fail({
        code: 'USAGE',
        message: `a call of client "${open.clientId}" is open; its record is not destroyed`,
        hint: `settle it first: ${store.command('readClient', { client: open.clientId })}`,
      })
    }
    if (!store.log.exists) return
    store.log.replace(store.without(clientId ?? null))
  })
}

/** Everything there is of these clients (default: all); nothing unreadable is passed over. @throws VAULT_UNREADABLE */
export function exported(
  store: Store,
  clientIds?: readonly string[],
): readonly { clientId: string; entries: readonly unknown[] }[] {
  return store
    .readable()
    .clients()
    .filter(({ id, events }) => events.length > 0 && (clientIds === undefined || clientIds.includes(id)))
    .map(({ id, events }) => ({ clientId: id, entries: [...events] }))
}

/** What `import` would make of a client, and how many entries it would add. @throws VAULT_UNREADABLE */
export function previewed(
  store: Store,
  clientId: string,
  imported: readonly unknown[],
): { readonly added: number; readonly before: Client; readonly after: Client } {
  const before = store.readable().client(clientId) ?? new Client(clientId)
  const added = newEntries(clientId, imported, before)
  const after = new Client(clientId)
  for (const event of [...before.events, ...added].sort(byTime)) after.take(event)
  return { added: added.length, before, after }
}

/** Adds what is not there yet; returns how many entries that were. @throws VAULT_UNREADABLE */
export async function importInto(store: Store, clientId: string, imported: readonly unknown[]): Promise<number> {
  return await store.exclusively(() => {
    store.ensure()
    store.demandReadable()
    const added = newEntries(clientId, imported, store.state.client(clientId))
    for (const [index, event] of added.entries()) store.log.append(event, { durable: index === added.length - 1 })
    return added.length
  })
}

/**
 * Writes the log anew with a new key; at each moment both are in the key file. One that was cut short is finished with the
 * key it had made. `dropEarlier` then forgets the earlier keys: whatever else is sealed with them can no longer be read.
 *
 * @throws VAULT_UNWRITABLE, also while a call is on the way; VAULT_UNREADABLE, VAULT_KEY
 */
export async function rotateKey(
  store: Store,
  { dropEarlier = false } = {},
): Promise<{ readonly lines: number; readonly made: boolean }> {
  return await store.exclusively(() => {
    store.ensure()
    store.demandReadable()
    const call = store.state.open().find((one) => store.isOnTheWay(one))
    if (call !== undefined) {
      fail({
        code: 'VAULT_UNWRITABLE',
        message: 'the vault key cannot be changed while a call is on the way',
        found: `step "${call.step}" of run ${call.runId}`,
        hint: 'let the run end, and try again',
      })
    }
    const made = store.log.rotate(store.without(undefined), { dropEarlier })
    return { lines: store.log.lines, made }
  })
}

function newEntries(clientId: string, imported: readonly unknown[], present: Client | undefined): ClientEvent[] {
  const shaped = shapeOf(z.array(clientEventSchema), imported)
  if (!shaped.ok) {
    const message = `the import of client "${clientId}" holds what is no entry of a vault`
    return fail({ code: 'VAULT_UNREADABLE', message, found: inWords(shaped.faults) })
  }
  const there = new Set(present?.events.map((event) => JSON.stringify(event)))
  return shaped.value.filter((event) => !there.has(JSON.stringify(event)))
}
