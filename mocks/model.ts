/** The things in the servers' state, and their form in a state file. */
import type { X509Certificate } from 'node:crypto'

export interface Organisation {
  readonly id: string
  status: 'Active' | 'Inactive'
}

/** A certificate listed for an application; `kid` is not derived from the key, like the directory's key ids. */
export interface ListedCertificate {
  readonly use: 'sig' | 'tls'
  readonly kid: string
  readonly certificate: X509Certificate
  active: boolean
  /** treated as expired, whatever its dates are */
  expired: boolean
}

/** A software statement as the directory keeps it. */
export interface Application {
  readonly softwareId: string
  readonly organisationId: string
  readonly clientId: string
  /** the claims of its assertion in the sample's order, without `iat` */
  readonly claims: Readonly<Record<string, unknown>>
  readonly roles: Set<string>
  status: 'Active' | 'Inactive'
  locked: boolean
  /** whether its assertion was generated in the dashboard since it was last unlocked */
  generated: boolean
  readonly certificates: ListedCertificate[]
}

/** Metadata that Thredd's staff set for a client by hand; a PUT removes it. */
export interface PmMetadata {
  readonly pmid: string
  readonly pmcode: string
  readonly issuerid: string
  readonly internalid: string
}

export interface RegistrationToken {
  readonly value: string
  /** milliseconds; undefined never ends */
  readonly expiresAt: number | undefined
  /** x5t#S256 of the certificate that registered the client */
  readonly thumbprint: string | undefined
}

export interface Client {
  readonly clientId: string
  readonly softwareId: string
  readonly registrationClientUri: string
  /** all members of the client information response but the two of registration management */
  members: Readonly<Record<string, unknown>>
  scopes: readonly string[]
  registrationToken: RegistrationToken
  metadata: PmMetadata | undefined
}

export interface DirectoryToken {
  readonly clientId: string
  readonly organisationId: string
  readonly thumbprint: string
  readonly expiresAt: number
}

export interface AccessToken {
  readonly clientId: string
  readonly claims: Readonly<Record<string, unknown>> & {
    readonly cnf: { readonly 'x5t#S256': string }
    readonly scp: readonly string[]
  }
  readonly expiresAt: number
}

/** The answer to an idempotency key, which is given again to the same key. */
export interface Idempotent {
  /** digest of the request body */
  readonly request: string
  readonly answer: Promise<Readonly<Record<string, unknown>>>
  readonly until: number
}

export const SNAPSHOT_VERSION = 3

/**
 * The whole state as JSON, with documented addresses, wherever the twin is reached. Holds secrets, among them the key that signs
 * access tokens.
 */
export interface Snapshot {
  readonly version: typeof SNAPSHOT_VERSION
  readonly clockMs: number
  readonly tokenSigner: { readonly kid: string; readonly privateKey: string }
  readonly applications: readonly (Omit<Application, 'roles' | 'certificates'> & {
    readonly roles: readonly string[]
    readonly certificates: readonly (Omit<ListedCertificate, 'certificate'> & { readonly certificate: string })[]
  })[]
  /** the maps of the same names, entry by entry */
  readonly maps: Readonly<Record<(typeof KEPT_MAPS)[number], readonly (readonly [string, unknown])[]>>
}

/** Maps with values that are JSON already. The answers to idempotency keys are valid for a minute only and are left out. */
export const KEPT_MAPS = [
  'organisations',
  'clients',
  'directoryTokens',
  'accessTokens',
  'initialAccessTokens',
  'deadTokens',
  'issuedStatements',
  'expiredStatements',
  'usedAssertions',
] as const
