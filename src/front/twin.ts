/** The embedded twin as the counterparty of a run. Beside cli/mock.ts the only import of mocks/ in src, loaded only where it is needed. */
import {
  createTwin,
  ensurePki,
  faultsOf,
  HOSTS,
  type Pki,
  performHook,
  readSeed,
  SWITCHES,
  type Switches,
  startTwin,
  type Twin,
} from '../../mocks/index.ts'
import type { Fulfil } from '../guard/given.ts'
import { fail } from '../record/errors.ts'
import { remedyFor, whyUnread } from '../record/regular-file.ts'
import type { Counterparty } from '../run/index.ts'

export type { Switches }

/** Nobody can be asked while a run waits: the twin does at once what Thredd does on request. */
const AS_THREDD = { metadataSet: 'at-once' } as const

/** Makes the twin's certificates at first use and answers for the documented hosts, on a loopback port or in this process. */
export async function embeddedTwin(
  pkiFolder: string,
  kind: Counterparty['kind'] = 'twin',
  switches: Partial<Switches> = AS_THREDD,
  further?: Application,
): Promise<Counterparty> {
  const pki = await pkiIn(pkiFolder, { hosts: HOSTS })
  if (kind === 'twin-in-process') {
    const fresh = () => withApplication(createTwin({ pki, switches }), pki, further)
    let twin = fresh()
    return {
      kind,
      answer: (request, certificate) => twin.answer(request, certificate),
      fulfil: (name, about) => fulfilOn(twin, pki)(name, about),
      startOver: () => {
        twin = fresh()
      },
      async [Symbol.asyncDispose]() {},
    }
  }
  const running = await startTwin({ pki, switches })
  withApplication(running.twin, pki, further)
  return {
    kind,
    connectTo: () => ({ host: '127.0.0.1', port: running.port }),
    fulfil: (name, about) => fulfilOn(running.twin, pki)(name, about),
    startOver: () => {
      running.startOver()
      withApplication(running.twin, pki, further)
    },
    [Symbol.asyncDispose]: () => running.close(),
  }
}

/** The twin's certificates in this folder, made where there are none. @throws ToolError TWIN where they cannot be made */
async function pkiIn(folder: string, demand: Parameters<typeof ensurePki>[1]): Promise<Pki> {
  return await ensurePki(folder, demand).catch((cause: unknown) => {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    return fail(
      {
        code: 'TWIN',
        message: `the certificates of the offline twin cannot be made in "${folder}": ${whyUnread(cause)}`,
        hint: remedyFor(cause),
      },
      cause,
    )
  })
}

/** An application of a list, by the ids that the list has for it. */
interface Application {
  readonly clientId: string | undefined
  readonly softwareId: string | undefined
  readonly organisation: string | undefined
}

/** With the certificates of the documented application. The twin does not know one whose ids no Thredd CA would give. */
function withApplication(twin: Twin, { identities, signingKid }: Pki, application: Application | undefined): Twin {
  const { state } = twin
  const { clientId, softwareId = '', organisation = '' } = application ?? {}
  if (state.applications.has(softwareId) || ![softwareId, organisation].every((id) => UUID.test(id))) return twin
  const client = clientId === undefined ? {} : { client_id: clientId }
  const entry = { name: 'of-a-row', org_id: organisation, software_id: softwareId, ...client }
  for (const { claims } of readSeed(JSON.stringify({ applications: [entry] })).applications) {
    state.addApplication(claims)
    state.listCertificate(softwareId, 'tls', identities.transport.certificate)
    state.listCertificate(softwareId, 'sig', identities.signing.certificate, signingKid)
  }
  // Its subject names the documented application, and the directory is the one server that looks at it.
  for (const fault of faultsOf('breaks:directoryToken=certificate-subject-is-checked', twin.operations))
    twin.use(...fault.handlers(twin))
  return twin
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * Each switch with each value that it does not have yet. Seconds are tried that were seen in an answer, and one more, since
 * expires_in may say one less than a token lives; scopes that were seen too.
 */
export function switchesToTry(
  given: Partial<Switches>,
  seen: readonly { readonly what: string; readonly recorded: string }[],
): readonly Partial<Switches>[] {
  const numbers = seen.flatMap(({ recorded }) =>
    /^\d{1,9}$/.test(recorded) ? [Number(recorded), Number(recorded) + 1] : [],
  )
  const scopes = seen.flatMap(({ what, recorded }) => (what === 'scopes' && recorded !== 'none' ? [recorded] : []))
  return Object.entries(SWITCHES).flatMap(([name, { values, default: standing }]) => {
    const all: Readonly<Record<string, readonly unknown[]>> = { boolean: [true, false], seconds: numbers, scopes }
    const possible = typeof values === 'string' ? (all[values] ?? []) : values
    const current = given[name as keyof Switches] ?? standing
    return [...new Set(possible)].filter((value) => value !== current).map((value) => ({ [name]: value }))
  })
}

/** Does before a workflow what Thredd's staff or a person at the dashboard of its CA would do, through the twin's hooks. */
export function fulfilOn({ state, switches }: Twin, { identities, renewedSigningKid }: Pki): Fulfil {
  return async (name, { clientId, softwareId }) => {
    const software = softwareId === undefined ? {} : { software_id: softwareId }
    const client = clientId === undefined ? {} : { client_id: clientId }
    const { certificate } = identities.renewed
    switch (name) {
      case 'signing_key_listed':
      case 'renewed_signing_key_listed':
      case 'renewed_transport_certificate_listed':
        // It lists the keys that it made, and the certificate once it is renewed.
        return
      case 'client_deleted_by_thredd':
        return void performHook(state, 'delete-client', client)
      case 'statement_unlocked':
        return void performHook(state, 'unlock', software)
      case 'statement_generated':
        // Elsewhere reading it generates it, and nothing is locked before.
        return switches.requireGenerate ? void performHook(state, 'generate-statement', software) : undefined
      case 'statement_expired':
        return void performHook(state, 'expire-statements', software)
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
        return void performHook(state, 'list-certificate', {
          ...software,
          use: 'sig',
          certificate: identities['renewed-signing'].certificate,
          kid: renewedSigningKid,
        })
      default:
        return name satisfies never
    }
  }
}
