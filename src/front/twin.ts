/** The embedded twin as the counterparty of a run. Beside cli/mock.ts the only import of mocks/ in src, loaded only where it is needed. */
import { createTwin, ensurePki, HOSTS, type Pki, performHook, startTwin, type Twin } from '../../mocks/index.ts'
import type { Fulfil } from '../guard/given.ts'
import type { Counterparty } from '../run/index.ts'

/** Nobody can be asked while a run waits: the twin does at once what Thredd does on request. */
const AS_THREDD = { metadataSet: 'at-once' } as const

/** Makes the twin's certificates at first use and answers for the documented hosts, on a loopback port or in this process. */
export async function embeddedTwin(pkiFolder: string, kind: Counterparty['kind'] = 'twin'): Promise<Counterparty> {
  const pki = await ensurePki(pkiFolder, { hosts: HOSTS })
  if (kind === 'twin-in-process') {
    const twin = createTwin({ pki, switches: AS_THREDD })
    return {
      kind,
      answer: (request, certificate) => twin.answer(request, certificate),
      fulfil: fulfilOn(twin, pki),
      async [Symbol.asyncDispose]() {},
    }
  }
  const running = await startTwin({ pki, switches: AS_THREDD })
  return {
    kind,
    connectTo: () => ({ host: '127.0.0.1', port: running.port }),
    fulfil: fulfilOn(running.twin, pki),
    [Symbol.asyncDispose]: () => running.close(),
  }
}

/** Does before a workflow what Thredd's staff or a person at the dashboard of its CA would do, through the twin's hooks. */
export function fulfilOn({ state }: Twin, { identities }: Pki): Fulfil {
  return async (name, { clientId, softwareId }) => {
    const software = softwareId === undefined ? {} : { software_id: softwareId }
    const client = clientId === undefined ? {} : { client_id: clientId }
    const { certificate } = identities.renewed
    switch (name) {
      case 'client_deleted_by_thredd':
        return void performHook(state, 'delete-client', client)
      case 'statement_unlocked':
        return void performHook(state, 'unlock', software)
      case 'eds_role':
        return void performHook(state, 'grant-role', { ...software, role: 'eds' })
      case 'bulk_cards_role_alone':
        for (const role of state.application(softwareId ?? '').roles) {
          if (role !== 'bulk-cards') performHook(state, 'revoke-role', { ...software, role })
        }
        return
      case 'metadata_requested':
        return void performHook(state, 'set-metadata', client)
      case 'renewed_transport_certificate':
        return void performHook(state, 'list-certificate', { ...software, use: 'tls', certificate })
      case 'renewed_signing_key':
        // The configured key is the new one; the previous one is still listed.
        return void performHook(state, 'list-certificate', { ...software, use: 'sig', certificate, kid: 'previous' })
      default:
        return name satisfies never
    }
  }
}
