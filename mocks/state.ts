/**
 * The state of the servers: organisations, applications with their certificates and roles, registered clients, tokens, used
 * assertion ids, and the clock. Everything is bounded.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import roleScopes from '../fixtures/thredd/role-scopes.json' with { type: 'json' }
import sampleOfAugust from '../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }
import sampleOfSeptember from '../fixtures/thredd/ssa-claims-2024-09.json' with { type: 'json' }
import { BoundedMap, ExpiringMap } from './bounded-map.ts'
import { digestOf, subjectOf } from './digest.ts'
import {
  type AccessToken,
  type Application,
  type Client,
  type DirectoryToken,
  type Idempotent,
  KEPT_MAPS,
  type ListedCertificate,
  type Organisation,
  type PmMetadata,
  SNAPSHOT_VERSION,
  type Snapshot,
} from './model.ts'
import type { Pki } from './pki.ts'
import { type Claims, type Seed, USUAL_ROLES } from './seed.ts'

export interface StateOptions {
  readonly pki: Pki
  /** the state of an earlier twin; its certificates must be of the same PKI to be of use */
  readonly snapshot?: Snapshot | undefined
  /** applications and roles beside the documented ones; the PKI must have been made for its applications too */
  readonly seed?: Seed | undefined
  /** the time before any advance of the clock */
  readonly now: () => Date
  /** `size` unpredictable bytes */
  readonly random: (size: number) => Uint8Array
}

const SAMPLE_METADATA: PmMetadata = { pmid: '1', pmcode: 'TST', issuerid: '1', internalid: '1' }

export class State {
  readonly organisations = new BoundedMap<string, Organisation>()
  /** by software id */
  readonly applications = new BoundedMap<string, Application>()
  /** by client_id */
  readonly clients = new BoundedMap<string, Client>()
  readonly directoryTokens = new ExpiringMap<string, DirectoryToken>((token) => this.#isOver(token))
  /** by digest of the token */
  readonly accessTokens = new ExpiringMap<string, AccessToken>((token) => this.#isOver(token))
  /** the time of expiry in milliseconds, by token; 0: never */
  readonly initialAccessTokens = new BoundedMap<string, number>()
  /** registration access tokens of deleted clients, so that the refusal can say so */
  readonly deadTokens = new BoundedMap<string, true>()
  /** software id by digest of the statement */
  readonly issuedStatements = new BoundedMap<string, string>()
  /** by digest */
  readonly expiredStatements = new BoundedMap<string, true>()
  /** by idempotency key */
  readonly idempotent = new BoundedMap<string, Idempotent>()
  /** the time of expiry in seconds, by server, client and jti */
  readonly usedAssertions = new ExpiringMap<string, number>((end) => end < this.seconds())
  readonly ssaSigner: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }
  readonly tokenSigner: { readonly kid: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject }
  /** software id by client_id */
  readonly #owners = new Map<string, string>()
  /** by fingerprint of the certificate */
  readonly #listings = new Map<string, Set<ListedCertificate>>()
  readonly #options: StateOptions
  #offsetMs = 0

  /**
   * The state of the snapshot, and those of the documented sample applications and of the seed that are not in it, without a
   * registered client. Certificates are taken from the PKI.
   */
  constructor(options: StateOptions) {
    this.#options = options
    const { pki, snapshot, seed } = options
    const ssaKey = createPrivateKey(pki.ssaSigner.privateKey)
    this.ssaSigner = { privateKey: ssaKey, publicKey: createPublicKey(ssaKey) }
    if (snapshot === undefined) {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      // Decimal, as in the sample token.
      this.tokenSigner = { kid: BigInt(`0x${this.hex(16)}`).toString(), ...keys }
    } else {
      const privateKey = createPrivateKey(snapshot.tokenSigner.privateKey)
      this.tokenSigner = { kid: snapshot.tokenSigner.kid, privateKey, publicKey: createPublicKey(privateKey) }
      this.#restore(snapshot)
    }
    const { transport, signing, other } = pki.identities
    this.#settle(sampleOfAugust.payload, { transport, signing, signingKid: pki.signingKid })
    // The other application needs no second certificate: one serves for TLS and for signing.
    this.#settle(sampleOfSeptember.payload, { transport: other, signing: other })
    for (const { name, claims, roles } of seed?.applications ?? []) {
      const certificates = pki.applications[name]
      if (certificates === undefined) throw new Error(`the PKI has no certificates for application "${name}"`)
      this.#settle(claims, certificates, roles)
    }
  }

  /** Adds the application unless it exists, and lists its certificates, since the PKI may be newer than the snapshot. */
  #settle(
    claims: Claims,
    held: Pick<Pki['identities'], 'transport' | 'signing'> & { readonly signingKid?: string },
    roles?: readonly string[],
  ): void {
    const { certificates } = this.applications.get(claims.software_id) ?? this.addApplication(claims, roles)
    for (const [use, { certificate }, kid] of [
      ['tls', held.transport, undefined],
      ['sig', held.signing, held.signingKid],
    ] as const) {
      const { fingerprint256 } = new X509Certificate(certificate)
      if (certificates.some((one) => one.use === use && one.certificate.fingerprint256 === fingerprint256)) continue
      const replaced = certificates.findIndex((one) => one.kid === kid)
      if (replaced >= 0) {
        for (const listed of certificates.splice(replaced, 1))
          this.#listings.get(listed.certificate.fingerprint256)?.delete(listed)
      }
      this.listCertificate(claims.software_id, use, certificate, kid)
    }
  }

  snapshot(): Snapshot {
    return {
      version: SNAPSHOT_VERSION,
      clockMs: this.#offsetMs,
      tokenSigner: {
        kid: this.tokenSigner.kid,
        privateKey: this.tokenSigner.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      },
      applications: [...this.applications.values()].map((application) => ({
        ...application,
        roles: [...application.roles],
        certificates: application.certificates.map((listed) => ({
          ...listed,
          certificate: listed.certificate.toString(),
        })),
      })),
      maps: Object.fromEntries(KEPT_MAPS.map((name) => [name, [...this[name]]])) as unknown as Snapshot['maps'],
    }
  }

  #restore(snapshot: Snapshot): void {
    this.#offsetMs = snapshot.clockMs
    for (const { roles, certificates, ...application } of snapshot.applications) {
      const own = certificates.map((listed) => ({ ...listed, certificate: this.#certificate(listed.certificate) }))
      this.#add({ ...application, roles: new Set(roles), certificates: own })
      for (const listed of own) this.#list(listed)
    }
    for (const name of KEPT_MAPS) {
      // The type is right: `snapshot` of this version has written the file.
      const map = this[name] as Map<string, unknown>
      for (const [key, value] of snapshot.maps[name]) map.set(key, value)
    }
  }

  now(): Date {
    return new Date(this.#options.now().getTime() + this.#offsetMs)
  }

  /** Whole seconds since 1970. */
  seconds(): number {
    return Math.floor(this.now().getTime() / 1000)
  }

  advance(milliseconds: number): void {
    this.#offsetMs += milliseconds
  }

  /** `size` random bytes as base64url; 32 bytes give the 43 characters of the samples. */
  token(size = 32): string {
    return Buffer.from(this.#options.random(size)).toString('base64url')
  }

  hex(size: number): string {
    return Buffer.from(this.#options.random(size)).toString('hex')
  }

  uuid(): string {
    const bytes = Buffer.from(this.#options.random(16))
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }

  /** Adds an application made of the claims of a software statement, with the roles the documents recommend. */
  addApplication(sample: Claims, roles = USUAL_ROLES): Application {
    const { iat: _, ...claims } = sample
    const application: Application = {
      softwareId: sample.software_id,
      organisationId: sample.org_id,
      clientId: sample.client_id,
      claims,
      roles: new Set(roles),
      status: 'Active',
      locked: false,
      generated: false,
      certificates: [],
    }
    this.#add(application)
    if (!this.organisations.has(sample.org_id)) {
      this.organisations.set(sample.org_id, { id: sample.org_id, status: 'Active' })
    }
    return application
  }

  /** Lists a certificate (PEM) in the keystore; without a `kid` it gets an opaque one. */
  listCertificate(softwareId: string, use: ListedCertificate['use'], pem: string, kid?: string): ListedCertificate {
    const certificate = this.#certificate(pem)
    const opaque = createHash('sha256').update(`${use} `).update(certificate.raw).digest('base64url')
    const listed: ListedCertificate = { use, kid: kid ?? opaque, certificate, active: true, expired: false }
    this.application(softwareId).certificates.push(listed)
    this.#list(listed)
    return listed
  }

  #add(application: Application): void {
    this.applications.set(application.softwareId, application)
    this.#owners.set(application.clientId, application.softwareId)
  }

  #list(listed: ListedCertificate): void {
    const { fingerprint256 } = listed.certificate
    const others = this.#listings.get(fingerprint256)
    if (others === undefined) this.#listings.set(fingerprint256, new Set([listed]))
    else others.add(listed)
  }

  /** The one that is listed already, where several applications have the same. */
  #certificate(pem: string): X509Certificate {
    const certificate = new X509Certificate(pem)
    const [listed] = this.#listings.get(certificate.fingerprint256) ?? []
    return listed?.certificate ?? certificate
  }

  application(softwareId: string): Application {
    const application = this.applications.get(softwareId)
    if (application === undefined) throw new Error(`the twin has no application "${softwareId}"`)
    return application
  }

  /** The application that the subject of the certificate names. */
  ownerOf(certificate: X509Certificate | undefined): Application | undefined {
    return certificate === undefined ? undefined : this.applications.get(subjectOf(certificate).CN ?? '')
  }

  isRegistrationToken(value: string): boolean {
    return [...this.clients.values()].some(({ registrationToken }) => registrationToken.value === value)
  }

  applicationOfClient(clientId: string): Application | undefined {
    return this.applications.get(this.#owners.get(clientId) ?? '')
  }

  /** A role is set in the directory's user interface, and only on an application that is not locked. */
  grantRole(softwareId: string, role: string): void {
    this.#unlocked(softwareId).roles.add(role)
  }

  revokeRole(softwareId: string, role: string): void {
    this.#unlocked(softwareId).roles.delete(role)
  }

  #unlocked(softwareId: string): Application {
    const application = this.application(softwareId)
    if (application.locked) throw new Error(`application "${softwareId}" is locked; unlock it first`)
    return application
  }

  /** Treats the application's certificates of that use as expired: in TLS, in the keystore and for assertions. */
  expireCertificates(softwareId: string, use: ListedCertificate['use']): void {
    for (const listed of this.application(softwareId).certificates) {
      if (listed.use !== use) continue
      listed.expired = true
      listed.active = false
    }
  }

  /** The certificate as the applications list it: once for each use. */
  listings(certificate: X509Certificate): readonly ListedCertificate[] {
    return [...(this.#listings.get(certificate.fingerprint256) ?? [])]
  }

  /** Refuses from now on every software statement that was read for the application until now. */
  expireStatements(softwareId: string): void {
    this.application(softwareId)
    for (const [digest, owner] of this.issuedStatements) {
      if (owner === softwareId) this.expiredStatements.set(digest, true)
    }
  }

  setApplicationStatus(softwareId: string, status: Application['status']): void {
    this.application(softwareId).status = status
  }

  setOrganisationStatus(organisationId: string, status: Organisation['status']): void {
    const organisation = this.organisations.get(organisationId)
    if (organisation === undefined) throw new Error(`the twin has no organisation "${organisationId}"`)
    organisation.status = status
  }

  lock(softwareId: string): void {
    this.application(softwareId).locked = true
  }

  unlock(softwareId: string): void {
    const application = this.application(softwareId)
    application.locked = false
    application.generated = false
  }

  /** As a user does in the dashboard, which locks the application. */
  generateStatement(softwareId: string): void {
    const application = this.application(softwareId)
    application.locked = true
    application.generated = true
  }

  /** As Thredd does on request after a registration. */
  setMetadata(clientId: string, metadata: PmMetadata | undefined = SAMPLE_METADATA): void {
    const client = this.clients.get(clientId)
    if (client === undefined) throw new Error(`no client "${clientId}" is registered`)
    client.metadata = metadata
  }

  /** A token for one registration; it never expires where `lifeSeconds` is 0. */
  issueInitialAccessToken(lifeSeconds = 0): string {
    const token = this.token()
    this.initialAccessTokens.set(token, lifeSeconds === 0 ? 0 : this.now().getTime() + lifeSeconds * 1000)
    return token
  }

  /** Removes a client and by default its access tokens, as DELETE does, and Thredd's staff on request. */
  deleteClient(clientId: string, tokens: 'revoked' | 'alive' = 'revoked'): void {
    const client = this.clients.get(clientId)
    if (client === undefined) return
    this.clients.delete(clientId)
    this.deadTokens.set(client.registrationToken.value, true)
    if (tokens === 'revoked') this.revokeTokens(clientId)
  }

  revokeTokens(clientId: string): void {
    for (const [digest, token] of this.accessTokens) {
      if (token.clientId === clientId) this.accessTokens.delete(digest)
    }
  }

  #isOver({ expiresAt }: { readonly expiresAt: number }): boolean {
    return expiresAt <= this.now().getTime()
  }

  /** An access token that was issued here and is neither revoked nor expired. */
  livingToken(value: string): AccessToken | undefined {
    const token = this.accessTokens.get(digestOf(value))
    return token !== undefined && !this.#isOver(token) ? token : undefined
  }

  /** The scopes a role opens. The mapping is invented for the twin except where the fixture says documented. */
  scopesOf(role: string): readonly string[] {
    const mapping = { ...roleScopes.mock_default_mapping_inferred, ...this.#options.seed?.roles }
    return Object.hasOwn(mapping, role) ? (mapping[role as keyof typeof mapping] ?? []) : []
  }

  /** True the first time only; `until` in seconds. Must be called without an await between check and use. */
  useAssertion(id: string, until: number): boolean {
    const seen = this.usedAssertions.get(id)
    if (seen !== undefined && seen >= this.seconds()) return false
    this.usedAssertions.set(id, until)
    return true
  }
}
