/** The documented hosts: the server each belongs to, and whether it demands a client certificate. */

/** One of the five counterparties, or a name that exists but answers nothing here. */
export type Server = 'directory' | 'directory-api' | 'keystore' | 'entities' | 'authorization' | 'cards' | 'api-hub'

interface Host {
  readonly server: Server
  /** required: no request without a certificate of the twin's CA; none: TLS never asks for one */
  readonly certificate: 'required' | 'none'
  readonly mark: 'documented' | 'inferred'
  readonly source: string
}

const CARDS_PAGE = 'cardsapidocs.thredd.com "Authenticating Cards API with mTLS"'
const DCR_PAGE = 'docs.thredd.com "Using DCR Endpoint Data"'
const REST_PAGE = 'docs.thredd.com "Connecting to the REST APIs"'

/** The UAT names; a certificate is demanded where the documents attach one, elsewhere the mark says inferred. */
const HOST_TABLE = {
  'auth.directory.sandbox.threddid.com': {
    server: 'directory',
    certificate: 'none',
    mark: 'documented',
    source: CARDS_PAGE,
  },
  'matls-auth.directory.sandbox.threddid.com': {
    server: 'directory',
    certificate: 'required',
    mark: 'documented',
    source: CARDS_PAGE,
  },
  'matls-api.directory.sandbox.threddid.com': {
    server: 'directory-api',
    certificate: 'required',
    mark: 'inferred',
    source: 'other deployments of the same directory product',
  },
  'keystore.directory.sandbox.threddid.com': {
    server: 'keystore',
    certificate: 'none',
    mark: 'documented',
    source: 'claims of the sample software statements',
  },
  'rp.directory.sandbox.threddid.com': {
    server: 'entities',
    certificate: 'none',
    mark: 'documented',
    source: 'client_id of the samples',
  },
  'uat-thredd.mtls.eu.authz.cloudentity.io': {
    server: 'authorization',
    certificate: 'required',
    mark: 'documented',
    source: CARDS_PAGE,
  },
  'auth.uat.threddid.com': { server: 'authorization', certificate: 'required', mark: 'inferred', source: DCR_PAGE },
  'api.uat.threddpay.com': { server: 'cards', certificate: 'required', mark: 'documented', source: CARDS_PAGE },
  'api-uat.thredd.com': { server: 'api-hub', certificate: 'required', mark: 'documented', source: CARDS_PAGE },
  'uat-mtls.thredd.com': { server: 'api-hub', certificate: 'required', mark: 'documented', source: REST_PAGE },
  'uat-api.thredd.com': { server: 'api-hub', certificate: 'none', mark: 'documented', source: REST_PAGE },
} as const satisfies Readonly<Record<string, Host>>

/** Every name the twin answers; its server certificate must carry them all. */
export const HOSTS: readonly string[] = Object.keys(HOST_TABLE)

export function hostOf(name: string): Host | undefined {
  return Object.hasOwn(HOST_TABLE, name) ? HOST_TABLE[name as keyof typeof HOST_TABLE] : undefined
}

/** The names under which one server answers. */
export function hostsOf(server: Server): readonly string[] {
  return HOSTS.filter((name) => hostOf(name)?.server === server)
}

export const MTLS_DIRECTORY = 'matls-auth.directory.sandbox.threddid.com'
export const KEYSTORE = 'https://keystore.directory.sandbox.threddid.com'
/** The two names of the authorization server; the custom domain has no tenant segment in its paths. */
export const AUTHORIZATION = {
  old: 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients',
  custom: 'https://auth.uat.threddid.com/confidential-clients',
} as const
