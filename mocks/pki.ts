/**
 * The twin's keys and certificates: made at first use, kept in one folder, and made again before they expire. They are laid out
 * like the documented certificates of Thredd's CA.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type Authority, type CertifiedKey, createAuthority, newKeys, newSerial, toPem } from './authority.ts'

/** Raised when the files change their meaning: an older folder is then made again. */
const LAYOUT = 3
const DAY_MS = 86_400_000
/** Documented life of a certificate made by Thredd's CA. */
const LIFE_DAYS = 350
/** Made again this long before they expire, so that no run warns of the twin's own certificates. */
const RESERVE_DAYS = 61

const ISSUER = 'C=GB, O=Thredd UK Limited, OU=Offline Twin Directory, CN=Offline Twin Issuing CA'
const OUR_APPLICATION = {
  organisation: '99b2b599-8cc2-499e-b805-e3d84233ae8e',
  software: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
}
const OTHER_APPLICATION = {
  organisation: 'fc507376-d795-45c2-bc5c-2afb3bd2bea8',
  software: '38b2f9a4-1bf0-4d84-832f-853529d88ad7',
}

/** A further application that gets certificates of the CA. */
interface CertifiedApplication {
  /** the names of its files begin with it */
  readonly name: string
  readonly claims: { readonly org_id: string; readonly software_id: string }
}

/** Not derived from the key, like the CA's own key ids, and always the same, so that .env.mock can name it. */
const SIGNING_KID = 'offline-twin-signing'
const RENEWED_SIGNING_KID = 'offline-twin-renewed-signing'

/** Every certificate a client may present, and its purpose. */
const IDENTITIES = {
  /** The one that each documented call expects. */
  transport: { ...OUR_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** Its replacement before it expires; both are valid at the same time. */
  renewed: { ...OUR_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** Its key signs client assertions; as in the documented signing certificate there is no extended key usage. */
  signing: { ...OUR_APPLICATION, use: 'any', days: [0, LIFE_DAYS] },
  /** The replacement of "signing": another key, under another kid. */
  'renewed-signing': { ...OUR_APPLICATION, use: 'any', days: [0, LIFE_DAYS] },
  /** Another application of the same CA: valid for TLS, wrong for every token bound to "transport". */
  other: { ...OTHER_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** Like "transport" but for its dates, so that only the dates can be the cause of a refusal. */
  expired: { ...OUR_APPLICATION, use: 'client', days: [-LIFE_DAYS - 1, -1] },
  /** Its validity begins after the folder has been made again, so it never becomes valid. */
  'not-yet-valid': { ...OUR_APPLICATION, use: 'client', days: [LIFE_DAYS, 2 * LIFE_DAYS] },
  /** Every printable fact of "transport", but signed by another CA: only a check of the signature shows the difference. */
  clone: { ...OUR_APPLICATION, use: 'client', days: [0, LIFE_DAYS] },
  /** From another CA, with another subject. */
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

export interface Pki {
  readonly folder: string
  /** the CA's certificate, PEM: servers check clients with it, and clients the server */
  readonly ca: string
  readonly caFile: string
  readonly server: CertifiedKey
  readonly identities: Readonly<Record<PkiIdentity, HeldCertificate>>
  /** the certificates of each further application, by its name */
  readonly applications: Readonly<
    Record<
      string,
      { readonly transport: HeldCertificate; readonly signing: HeldCertificate; readonly signingKid: string }
    >
  >
  /** key id of the signing certificate as the CA lists it; not a thumbprint */
  readonly signingKid: string
  /** of the certificate that is to replace it */
  readonly renewedSigningKid: string
  /** PKCS#8 PEM of the key with which the directory signs software statement assertions */
  readonly ssaSigner: { readonly privateKey: string }
}

/** What a folder must hold; otherwise it is made again. */
interface Demand {
  readonly hosts: readonly string[]
  readonly applications: readonly CertifiedApplication[]
  readonly now: Date
}

/**
 * The PKI in `folder`. It is made where there is none, and made again (with all keys) where it expires soon, its server
 * certificate lacks one of `hosts`, or one of `applications` has no certificates. When several processes start at once, the first
 * complete folder is used by all.
 */
export async function ensurePki(folder: string, demand: Partial<Demand> = {}): Promise<Pki> {
  const { hosts = [], applications = [], now = new Date() } = demand
  const path = resolve(folder)
  const kept = await load(path)
  if (kept !== undefined && isCurrent(kept.manifest, { hosts, applications, now })) return kept.pki

  await mkdir(dirname(path), { recursive: true })
  const made = await mkdtemp(join(dirname(path), `.${basename(path)}-`))
  // Keeps what earlier callers needed: otherwise two callers with different needs would replace each other's folder again and again.
  const { manifest } = kept ?? {}
  const names = applications.map(({ name }) => name)
  const further = manifest?.applications?.filter(({ name }) => !names.includes(name)) ?? []
  try {
    await make(made, {
      hosts: [...new Set([...(manifest?.hosts ?? []), ...hosts])],
      applications: [...applications, ...further],
      now,
    })
    await install(made, path, { hosts, applications, now })
  } finally {
    await rm(made, { recursive: true, force: true })
  }
  const pki = await load(path)
  if (pki === undefined) throw new Error(`the PKI in "${path}" could not be read back`)
  return pki.pki
}

interface Manifest {
  readonly layout: number
  /** another id each time the folder is made */
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
    // Another process may have replaced the folder between two reads; old and new files do not fit together.
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
        renewedSigningKid: RENEWED_SIGNING_KID,
        ssaSigner: { privateKey: ssaKey },
      },
    }
  } catch {
    // Missing or damaged: the folder is made again.
    return undefined
  }
}

/** The names of the files of a further application, without their extension. */
function filesOf({ name }: CertifiedApplication): [transport: string, signing: string] {
  return [`${name}-transport`, `${name}-signing`]
}

async function make(folder: string, { hosts, applications, now }: Demand): Promise<void> {
  const at = (days: number) => new Date(Math.floor(now.getTime() / 1000) * 1000 + days * DAY_MS)
  // The CA is valid longer than the expired and the not yet valid certificate, so that only their own dates are wrong.
  const caLife = [at(-2 * LIFE_DAYS), at(3 * LIFE_DAYS)] as const
  const [authority, other, ssaKeys] = await Promise.all([
    createAuthority(ISSUER, ...caLife),
    createAuthority('C=GB, O=Another Organisation, CN=Unrelated Issuing CA', ...caLife),
    newKeys(),
  ])
  const life = { notBefore: at(0), notAfter: at(LIFE_DAYS) }
  const [server, ...issued] = await Promise.all([
    authority.issue({
      subject: 'C=GB, O=Offline Twin, CN=localhost',
      use: 'server',
      ...life,
      hosts: [...new Set([...hosts, 'localhost', '127.0.0.1', '::1'])],
    }),
    ...identityCertificates(authority, other, at),
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
  await writeAll(folder, {
    'ca.crt': authority.certificate,
    'server.crt': server.certificate,
    'server.key': server.key,
    'ssa-signer.key': await toPem(ssaKeys.privateKey),
    // Keys stay out of version control wherever the folder is put.
    '.gitignore': '*\n',
    'pki.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
    ...Object.fromEntries(
      issued.flatMap(({ name, certificate, key }) => [
        [`${name}.crt`, certificate],
        [`${name}.key`, key],
      ]),
    ),
  })
}

/** `at` gives the date that many days from now. */
function identityCertificates(authority: Authority, other: Authority, at: (days: number) => Date) {
  const serial = newSerial()
  const special: Partial<Record<string, { by: Authority; serial?: string; issuer?: string }>> = {
    transport: { by: authority, serial },
    clone: { by: other, serial, issuer: ISSUER },
    rogue: { by: other },
  }
  return Object.entries(IDENTITIES).map(async ([name, { organisation, software, use, days }]) => {
    const { by, ...claims } = special[name] ?? { by: authority }
    const [notBefore, notAfter] = [at(days[0]), at(days[1])]
    return {
      name,
      ...(await by.issue({ subject: subjectOf(organisation, software), use, notBefore, notAfter, ...claims })),
    }
  })
}

async function writeAll(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await Promise.all(
    Object.entries(files).map(([name, text]) =>
      writeFile(join(folder, name), text, { mode: name.endsWith('.key') ? 0o600 : 0o644 }),
    ),
  )
}

function subjectOf(organisation: string, software: string): string {
  return `C=GB, O=thredd, OU=${organisation}, CN=${software}`
}

/** Moves the new folder into place, unless another process has done so before. */
async function install(made: string, path: string, demand: Demand): Promise<void> {
  for (;;) {
    try {
      // Fails where a folder with files exists, so that only one of several processes succeeds.
      await rename(made, path)
      return
    } catch (error) {
      if (!isOccupied(error)) throw error
    }
    const standing = await load(path)
    if (standing !== undefined && isCurrent(standing.manifest, demand)) return
    const aside = `${made}-old`
    await rename(path, aside).catch(ignoreMissing)
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
