/**
 * The twin's certificate authority: keys and certificates made at first use, kept in one folder, remade before they
 * expire. Laid out like the documented certificates of Thredd's CA; refuses to know how the twin or the client uses them.
 */
import { randomBytes, randomUUID, webcrypto } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'

/** Raised when the files change their meaning: an older folder is then remade. */
const LAYOUT = 2
const DAY_MS = 86_400_000
/** Documented life of a certificate made by Thredd's CA. */
const LIFE_DAYS = 350
/** Remade this long before the end, so that no run ever meets a twin that is about to expire. */
const RESERVE_DAYS = 61

const ISSUER = 'C=GB, O=Thredd UK Limited, OU=Offline Twin Directory, CN=Offline Twin Issuing CA'
const CERTIFICATE_POLICY = '1.3.6.1.4.1.56623.113.1.2'
const OUR_APPLICATION = {
  organisation: '99b2b599-8cc2-499e-b805-e3d84233ae8e',
  software: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
}
const OTHER_APPLICATION = {
  organisation: 'fc507376-d795-45c2-bc5c-2afb3bd2bea8',
  software: '38b2f9a4-1bf0-4d84-832f-853529d88ad7',
}

/** Somebody who is given certificates of the CA beside the identities above. */
interface CertifiedApplication {
  /** begins the names of its files */
  readonly name: string
  readonly claims: { readonly org_id: string; readonly software_id: string }
}

/** Opaque like the CA's own key ids, and always the same, so that .env.mock can name it. */
const SIGNING_KID = 'offline-twin-signing'

/** Every certificate a client may hold, and why it exists. */
const IDENTITIES = {
  /** The right one: what each documented call expects. */
  transport: { ...OUR_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** What it is replaced with when it comes to its end: both are good at the same time. */
  renewed: { ...OUR_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** Its key signs client assertions; as in the documented signing certificate there is no extended key usage. */
  signing: { ...OUR_APPLICATION, use: 'any', days: [0, LIFE_DAYS] },
  /** Another application of the same CA: valid for TLS, wrong for every token bound to "transport". */
  other: { ...OTHER_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** Ours but for its dates, so that only the dates can be the cause of a refusal. */
  expired: { ...OUR_APPLICATION, use: 'client', days: [-LIFE_DAYS - 1, -1] },
  /** Begins after the folder is remade, so it can never become valid while it is kept. */
  'not-yet-valid': { ...OUR_APPLICATION, use: 'client', days: [LIFE_DAYS, 2 * LIFE_DAYS] },
  /** Every printable fact of "transport", but a foreign signature: only checking the chain tells them apart. */
  clone: { ...OUR_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** Plainly from somebody else's CA. */
  rogue: {
    organisation: '00000000-0000-4000-8000-000000000000',
    software: '00000000-0000-4000-8000-000000000001',
    use: 'client',
    days: [0, LIFE_DAYS],
  },
} as const

export type PkiIdentity = keyof typeof IDENTITIES

interface HeldCertificate {
  readonly certificateFile: string
  readonly keyFile: string
  /** PEM */
  readonly certificate: string
}

interface CertifiedKey {
  /** PEM */
  readonly certificate: string
  /** PKCS#8 PEM */
  readonly key: string
}

export interface Pki {
  readonly folder: string
  /** the CA's certificate, PEM: what servers check clients with, and clients the server */
  readonly ca: string
  readonly caFile: string
  readonly server: CertifiedKey
  readonly identities: Readonly<Record<PkiIdentity, HeldCertificate>>
  /** of each further application, by its name */
  readonly applications: Readonly<
    Record<
      string,
      { readonly transport: HeldCertificate; readonly signing: HeldCertificate; readonly signingKid: string }
    >
  >
  /** key id of the signing certificate as the CA lists it: opaque, no thumbprint */
  readonly signingKid: string
  /** PKCS#8 PEM of the key with which the directory signs software statement assertions */
  readonly ssaSigner: { readonly privateKey: string }
}

/** What a folder must hold to be kept as it is. */
interface Demand {
  readonly hosts: readonly string[]
  readonly applications: readonly CertifiedApplication[]
  readonly now: Date
}

/**
 * The PKI in `folder`, made where there is none and remade (with all keys) where it is near its end, its server certificate
 * lacks one of `hosts`, or one of `applications` has no certificates yet. Safe when several processes start at once: the
 * first complete folder wins.
 */
export async function ensurePki(folder: string, demand: Partial<Demand> = {}): Promise<Pki> {
  const { hosts = [], applications = [], now = new Date() } = demand
  const place = resolve(folder)
  const kept = await load(place)
  if (kept !== undefined && isCurrent(kept.manifest, { hosts, applications, now })) return kept.pki

  await mkdir(dirname(place), { recursive: true })
  const made = await mkdtemp(join(dirname(place), `.${basename(place)}-`))
  // Demands add up: two callers with different ones would otherwise remake the folder in turns.
  const { manifest } = kept ?? {}
  const names = applications.map(({ name }) => name)
  const further = manifest?.applications?.filter(({ name }) => !names.includes(name)) ?? []
  try {
    await make(made, {
      hosts: [...new Set([...(manifest?.hosts ?? []), ...hosts])],
      applications: [...applications, ...further],
      now,
    })
    await install(made, place, { hosts, applications, now })
  } finally {
    await rm(made, { recursive: true, force: true })
  }
  const pki = await load(place)
  if (pki === undefined) throw new Error(`the PKI in "${place}" could not be read back`)
  return pki.pki
}

/** What a certificate is for: extended key usage clientAuth, serverAuth, or none (usable for anything). */
type Use = 'client' | 'server' | 'any'

interface CertificateRequest {
  /** as in RFC 4514 but read from left to right: `C=GB, O=thredd` */
  readonly subject: string
  readonly use: Use
  readonly notBefore: Date
  readonly notAfter: Date
  /** subject alternative names, host names or IP addresses */
  readonly hosts?: readonly string[]
  /** hexadecimal; random by default */
  readonly serial?: string
  /** replaces the authority's own name, for certificates that claim what they are not */
  readonly issuer?: string
}

export interface Authority extends CertifiedKey {
  issue(request: CertificateRequest): Promise<CertifiedKey>
}

/** A new root CA. The building block of `ensurePki`, and of tests that need servers and clients that are wrong. */
export async function createAuthority(name: string, notBefore: Date, notAfter: Date): Promise<Authority> {
  const x509 = await loadX509()
  const keys = await newKeys()
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name,
    notBefore,
    notAfter,
    signingAlgorithm: RSA,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const usage =
    x509.KeyUsageFlags.digitalSignature |
    x509.KeyUsageFlags.keyEncipherment |
    x509.KeyUsageFlags.dataEncipherment |
    x509.KeyUsageFlags.keyAgreement
  return {
    certificate: `${root.toString('pem')}\n`,
    key: await toPem(keys.privateKey),
    async issue(request) {
      const own = await newKeys()
      // No OCSP or CRL address, though the documented certificate has both: nothing answers offline, and a strict
      // outside client must not be sent to the real ones. No key identifiers, so that a clone differs only in its key.
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: request.serial ?? newSerial(),
        subject: request.subject,
        issuer: request.issuer ?? name,
        notBefore: request.notBefore,
        notAfter: request.notAfter,
        signingAlgorithm: RSA,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(usage, true),
          new x509.CertificatePolicyExtension([CERTIFICATE_POLICY]),
          ...(request.use === 'any' ? [] : [new x509.ExtendedKeyUsageExtension([EXTENDED_KEY_USAGE[request.use]])]),
          ...(request.hosts === undefined
            ? []
            : [
                new x509.SubjectAlternativeNameExtension(
                  request.hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
                ),
              ]),
        ],
      })
      return { certificate: `${certificate.toString('pem')}\n`, key: await toPem(own.privateKey) }
    },
  }
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
const EXTENDED_KEY_USAGE = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' }

interface Manifest {
  readonly layout: number
  /** tells one making of the folder from the next */
  readonly generation: string
  readonly hosts: readonly string[]
  readonly applications?: readonly CertifiedApplication[]
  /** RFC 3339 */
  readonly madeAt: string
  readonly remakeAfter: string
}

function isCurrent(manifest: Manifest, { hosts, applications, now }: Demand): boolean {
  return (
    now >= new Date(manifest.madeAt) &&
    now < new Date(manifest.remakeAfter) &&
    hosts.every((host) => manifest.hosts.includes(host)) &&
    applications.every(({ name, claims }) => manifest.applications?.some((kept) => isSame(kept, { name, claims })))
  )
}

function isSame(one: CertifiedApplication, other: CertifiedApplication): boolean {
  return (
    one.name === other.name &&
    one.claims.org_id === other.claims.org_id &&
    one.claims.software_id === other.claims.software_id
  )
}

async function load(folder: string): Promise<{ readonly manifest: Manifest; readonly pki: Pki } | undefined> {
  const read = (name: string) => readFile(join(folder, name), 'utf8')
  try {
    const manifest = JSON.parse(await read('pki.json')) as Manifest
    if (manifest.layout !== LAYOUT) return undefined
    const { applications = [] } = manifest
    const names = [...Object.keys(IDENTITIES), ...applications.flatMap(filesOf)]
    const [ca, serverCertificate, serverKey, ssaKey, ...certificates] = await Promise.all([
      read('ca.crt'),
      read('server.crt'),
      read('server.key'),
      read('ssa-signer.key'),
      ...names.map((name) => read(`${name}.crt`)),
    ])
    // Another process may have replaced the folder between two reads: files of two makings do not fit together.
    const again = JSON.parse(await read('pki.json')) as Manifest
    if (again.generation !== manifest.generation) return await load(folder)
    const held = (name: string): HeldCertificate => ({
      certificateFile: join(folder, `${name}.crt`),
      keyFile: join(folder, `${name}.key`),
      certificate: certificates[names.indexOf(name)] ?? '',
    })
    const identities = Object.fromEntries(
      Object.keys(IDENTITIES).map((name) => [name, held(name)]),
    ) as Pki['identities']
    return {
      manifest,
      pki: {
        folder,
        ca,
        caFile: join(folder, 'ca.crt'),
        server: { certificate: serverCertificate, key: serverKey },
        identities,
        applications: Object.fromEntries(
          applications.map((application) => {
            const [transport, signing] = filesOf(application)
            const signingKid = `offline-twin-${signing}`
            return [application.name, { transport: held(transport), signing: held(signing), signingKid }]
          }),
        ),
        signingKid: SIGNING_KID,
        ssaSigner: { privateKey: ssaKey },
      },
    }
  } catch {
    // Missing or damaged: everything here can be made again.
    return undefined
  }
}

/** The names of the certificates of a further application, without their ending. */
function filesOf({ name }: CertifiedApplication): [transport: string, signing: string] {
  return [`${name}-transport`, `${name}-signing`]
}

async function make(folder: string, { hosts, applications, now }: Demand): Promise<void> {
  const at = (days: number) => new Date(Math.floor(now.getTime() / 1000) * 1000 + days * DAY_MS)
  const life = { notBefore: at(0), notAfter: at(LIFE_DAYS) }
  // The CA covers the expired and the not yet valid certificate too: they must fail by their own dates alone.
  const caLife = [at(-2 * LIFE_DAYS), at(3 * LIFE_DAYS)] as const
  const [authority, stranger, ssaKeys] = await Promise.all([
    createAuthority(ISSUER, ...caLife),
    createAuthority('C=GB, O=Somebody Else, CN=Unrelated Issuing CA', ...caLife),
    newKeys(),
  ])
  const transportSerial = newSerial()
  const impostures: Partial<Record<string, { by: Authority; serial?: string; issuer?: string }>> = {
    transport: { by: authority, serial: transportSerial },
    clone: { by: stranger, serial: transportSerial, issuer: ISSUER },
    rogue: { by: stranger },
  }
  const [server, ...issued] = await Promise.all([
    authority.issue({
      subject: 'C=GB, O=Offline Twin, CN=localhost',
      use: 'server',
      ...life,
      hosts: [...new Set([...hosts, 'localhost', '127.0.0.1', '::1'])],
    }),
    ...Object.entries(IDENTITIES).map(async ([name, { organisation, software, use, days }]) => {
      const { by, ...claims } = impostures[name] ?? { by: authority }
      const subject = subjectOf(organisation, software)
      const certified = await by.issue({ subject, use, notBefore: at(days[0]), notAfter: at(days[1]), ...claims })
      return { name, ...certified }
    }),
    ...applications.flatMap((application) =>
      filesOf(application).map(async (name, index) => {
        const subject = subjectOf(application.claims.org_id, application.claims.software_id)
        return { name, ...(await authority.issue({ subject, use: index === 0 ? 'client' : 'any', ...life })) }
      }),
    ),
  ])
  const manifest: Manifest = {
    layout: LAYOUT,
    generation: randomUUID(),
    hosts,
    applications: applications.map(({ name, claims: { org_id, software_id } }) => ({
      name,
      claims: { org_id, software_id },
    })),
    madeAt: life.notBefore.toISOString(),
    remakeAfter: at(LIFE_DAYS - RESERVE_DAYS).toISOString(),
  }
  const files: Record<string, string> = {
    'ca.crt': authority.certificate,
    'server.crt': server.certificate,
    'server.key': server.key,
    'ssa-signer.key': await toPem(ssaKeys.privateKey),
    // Keys stay out of version control wherever the folder is put.
    '.gitignore': '*\n',
    'pki.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
  }
  for (const { name, certificate, key } of issued) {
    files[`${name}.crt`] = certificate
    files[`${name}.key`] = key
  }
  await Promise.all(
    Object.entries(files).map(([name, text]) =>
      writeFile(join(folder, name), text, { mode: name.endsWith('.key') ? 0o600 : 0o644 }),
    ),
  )
}

function subjectOf(organisation: string, software: string): string {
  return `C=GB, O=thredd, OU=${organisation}, CN=${software}`
}

/** Puts the made folder into place unless another process was faster. */
async function install(made: string, place: string, demand: Demand): Promise<void> {
  for (;;) {
    try {
      // Fails where a folder with content stands: of several processes one wins.
      await rename(made, place)
      return
    } catch (error) {
      if (!isOccupied(error)) throw error
    }
    const standing = await load(place)
    if (standing !== undefined && isCurrent(standing.manifest, demand)) return
    const aside = `${made}-old`
    await rename(place, aside).catch(ignoreMissing)
    await rm(aside, { recursive: true, force: true })
  }
}

function isOccupied(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'ENOTDIR'].includes(codeOf(error))
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  const parameters = { ...RSA, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
  return webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify'])
}

async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

/** Positive and without a leading zero byte, so that every tool prints it alike. */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/**
 * The library's dependency injection demands a metadata polyfill of Reflect merely to be imported, though nothing in it
 * reads metadata. An empty one stands in for the moment of the import and is taken away again. Loaded on demand: with a
 * kept PKI no run pays for it.
 */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  loading ??= (async () => {
    if ('getMetadata' in Reflect) return await import('@peculiar/x509')
    const nothing = () => undefined
    const polyfill = { getMetadata: nothing, getOwnMetadata: nothing, defineMetadata: nothing, hasOwnMetadata: nothing }
    Object.assign(Reflect, polyfill)
    try {
      return await import('@peculiar/x509')
    } finally {
      for (const name of Object.keys(polyfill)) Reflect.deleteProperty(Reflect, name)
    }
  })()
  return await loading
}

let loading: Promise<typeof import('@peculiar/x509')> | undefined
