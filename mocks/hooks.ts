/**
 * The things that Thredd's staff and the user interface of its CA do, as a table of calls with plain values. The library, the
 * admin port and docs/twin.md are made from it.
 */
import type { State } from './state.ts'

export interface Hook {
  readonly about: string
  /** by name; those with a default may be left out */
  readonly parameters: Readonly<Record<string, Parameter>>
}

interface Parameter {
  readonly about: string
  readonly default?: string | number
  readonly values?: readonly string[]
}

const CLIENT = {
  about: 'the client, whole',
  default: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4',
}
const SOFTWARE = { about: 'the application', default: 'b9f04639-cdeb-425b-a310-450d3d293fd4' }
const ORGANISATION = { about: 'the organisation', default: '99b2b599-8cc2-499e-b805-e3d84233ae8e' }
const STATUS = { about: 'the new status', values: ['Active', 'Inactive'] }

export const HOOKS = {
  'set-metadata': {
    about:
      "sets the Programme Manager metadata of a client, as Thredd does when asked; the next token's claims show it",
    parameters: {
      client_id: CLIENT,
      pmid: { about: 'claim pmid', default: '1' },
      pmcode: { about: 'claim pmcode', default: 'TST' },
      issuerid: { about: 'claim issuerid', default: '1' },
      internalid: { about: 'claim internalid', default: '1' },
    },
  },
  'delete-client': {
    about: 'deletes a client by its id, as Thredd does when the registration access token is lost',
    parameters: { client_id: CLIENT },
  },
  'grant-role': {
    about: 'gives the application a role; refused while it is locked',
    parameters: { software_id: SOFTWARE, role: { about: 'role' } },
  },
  'revoke-role': {
    about: 'takes a role away; refused while it is locked',
    parameters: { software_id: SOFTWARE, role: { about: 'role' } },
  },
  lock: { about: 'locks the application against changes', parameters: { software_id: SOFTWARE } },
  unlock: {
    about: 'unlocks it; its software statement must be generated again',
    parameters: { software_id: SOFTWARE },
  },
  'generate-statement': {
    about: 'generates the software statement in the dashboard, which locks the application',
    parameters: { software_id: SOFTWARE },
  },
  'list-certificate': {
    about: 'lists a further certificate of the application, as the CA does when it issues one',
    parameters: {
      software_id: SOFTWARE,
      use: { about: 'tls (transport) or sig (signing)', values: ['tls', 'sig'] },
      certificate: { about: 'PEM' },
      kid: { about: 'its key id; an opaque one by default', default: '' },
    },
  },
  'expire-certificates': {
    about: 'ends the validity of the certificates of the application, of one use',
    parameters: { software_id: SOFTWARE, use: { about: 'tls (transport) or sig (signing)', values: ['tls', 'sig'] } },
  },
  'expire-statements': {
    about: 'ends the validity of every software statement read so far; a fresh one is good',
    parameters: { software_id: SOFTWARE },
  },
  'set-application-status': {
    about: 'sets the status of the application; software statements read from then on carry it',
    parameters: { software_id: SOFTWARE, status: STATUS },
  },
  'set-organisation-status': {
    about: 'the same for the organisation',
    parameters: { organisation_id: ORGANISATION, status: STATUS },
  },
  'advance-clock': {
    about: "advances the twin's clock",
    parameters: { seconds: { about: 'whole seconds, from 0 to 3155760000' } },
  },
  'issue-initial-access-token': {
    about: 'answers with an initial access token for one registration',
    parameters: { seconds: { about: 'its life; 0 never ends', default: 0 } },
  },
} as const satisfies Readonly<Record<string, Hook>>

export type HookName = keyof typeof HOOKS

/** Performs a hook and returns its answer. Throws a plain Error for an unknown hook, parameter, client or application. */
export function performHook(state: State, name: string, given: Readonly<Record<string, unknown>> = {}): object {
  if (!Object.hasOwn(HOOKS, name)) throw new Error(`unknown hook "${name}"; known are ${Object.keys(HOOKS).join(', ')}`)
  const value = valuesOf(name as HookName, given)
  const [client, software] = [value.client_id ?? '', value.software_id ?? '']
  switch (name as HookName) {
    case 'set-metadata': {
      const { pmid = '', pmcode = '', issuerid = '', internalid = '' } = value
      state.setMetadata(client, { pmid, pmcode, issuerid, internalid })
      return {}
    }
    case 'delete-client':
      if (!state.clients.has(client)) throw new Error(`no client "${client}" is registered`)
      state.deleteClient(client)
      return {}
    case 'grant-role':
      state.grantRole(software, value.role ?? '')
      return {}
    case 'revoke-role':
      state.revokeRole(software, value.role ?? '')
      return {}
    case 'lock':
      state.lock(software)
      return {}
    case 'unlock':
      state.unlock(software)
      return {}
    case 'generate-statement':
      state.generateStatement(software)
      return {}
    case 'list-certificate': {
      const { certificate = '', kid } = value
      return {
        kid: state.listCertificate(software, value.use === 'tls' ? 'tls' : 'sig', certificate, kid || undefined).kid,
      }
    }
    case 'expire-certificates':
      state.expireCertificates(software, value.use === 'tls' ? 'tls' : 'sig')
      return {}
    case 'expire-statements':
      state.expireStatements(software)
      return {}
    case 'set-application-status':
      state.setApplicationStatus(software, value.status === 'Active' ? 'Active' : 'Inactive')
      return {}
    case 'set-organisation-status':
      state.setOrganisationStatus(value.organisation_id ?? '', value.status === 'Active' ? 'Active' : 'Inactive')
      return {}
    case 'advance-clock':
      state.advance(secondsOf(value.seconds) * 1000)
      return { now: state.now().toISOString() }
    case 'issue-initial-access-token':
      return { initial_access_token: state.issueInitialAccessToken(secondsOf(value.seconds)) }
    default:
      return name as never
  }
}

function valuesOf(name: HookName, given: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const parameters: Readonly<Record<string, Parameter>> = HOOKS[name].parameters
  for (const unknown of Object.keys(given)) {
    if (!Object.hasOwn(parameters, unknown)) throw new Error(`hook "${name}" has no parameter "${unknown}"`)
  }
  return Object.fromEntries(
    Object.entries(parameters).map(([parameter, { about, default: standing, values }]) => {
      const value = given[parameter] ?? standing
      if (value === undefined) throw new Error(`hook "${name}" needs "${parameter}": ${about}`)
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw new Error(`hook "${name}": "${parameter}" must be a text or a number`)
      }
      if (values !== undefined && !values.includes(String(value))) {
        throw new Error(`hook "${name}": "${parameter}" must be ${values.join(' or ')}; found "${value}"`)
      }
      return [parameter, String(value)]
    }),
  )
}

/** A hundred years at most: later dates would not fit a certificate. */
function secondsOf(text = ''): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 3_155_760_000) {
    throw new Error(`"seconds" must be a whole number from 0 to 3155760000; found "${text}"`)
  }
  return Number(text)
}
