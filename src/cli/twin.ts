/** The embedded twin as a counterparty of a run; the one bridge from src to mocks, loaded only where it is needed. */
import { ensurePki, HOSTS, startTwin } from '../../mocks/index.ts'
import type { Counterparty } from '../run.ts'

/** Makes the twin's certificates at first use and answers for the documented hosts on a loopback port. */
export async function embeddedTwin(pkiFolder: string): Promise<Counterparty> {
  const pki = await ensurePki(pkiFolder, { hosts: HOSTS })
  const running = await startTwin({ pki })
  return {
    kind: 'twin',
    connectTo: () => ({ host: '127.0.0.1', port: running.port }),
    [Symbol.asyncDispose]: () => running.close(),
  }
}
