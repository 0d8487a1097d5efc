/** The embedded twin as a counterparty of a run; the one bridge from src to mocks, loaded only where it is needed. */
import { createTwin, ensurePki, HOSTS, startTwin, type Twin } from '../mocks/index.ts'
import type { Fulfil } from './given.ts'
import type { Counterparty } from './run.ts'

/** Makes the twin's certificates at first use and answers for the documented hosts, on a loopback port or in this process. */
export async function embeddedTwin(pkiFolder: string, kind: Counterparty['kind'] = 'twin'): Promise<Counterparty> {
  const pki = await ensurePki(pkiFolder, { hosts: HOSTS })
  if (kind === 'twin-in-process') {
    const twin = createTwin({ pki })
    return {
      kind,
      answer: (request, certificate) => twin.answer(request, certificate),
      fulfil: fulfilOn(twin),
      async [Symbol.asyncDispose]() {},
    }
  }
  const running = await startTwin({ pki })
  return {
    kind,
    connectTo: () => ({ host: '127.0.0.1', port: running.port }),
    fulfil: fulfilOn(running.twin),
    [Symbol.asyncDispose]: () => running.close(),
  }
}

/** What Thredd's staff and a person at the dashboard of its CA do before a workflow begins. */
export function fulfilOn(_twin: Twin): Fulfil {
  return async () => {}
}
