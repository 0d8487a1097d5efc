/** The certificates and keys that an environment names: each file is read once, however many workflows need it. */
import { sep } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { type Identity, loadAuthorities, loadIdentity, loadSigningCertificate } from '../identity/certificate.ts'
import { loadSigningCommand } from '../identity/command.ts'
import { loadSigningKey, type SigningAlg, type SigningKey } from '../identity/signing.ts'
import type { Given } from '../identity/source.ts'
import type { AssertionPlan } from '../plan/index.ts'
import { type Attempt, attempt } from '../record/errors.ts'

export type LoadedIdentity = Awaited<ReturnType<typeof loadIdentity>>
export type LoadedSigningCertificate = Awaited<ReturnType<typeof loadSigningCertificate>>

export class Credentials {
  readonly #environment: Environment
  readonly #madeFolder: string | undefined
  readonly #read = new Map<string, Promise<Attempt<unknown>>>()

  /** `madeFolder`: the twin makes what lies there when it starts, so what is wrong with a file there is no problem yet. */
  constructor(environment: Environment, madeFolder?: string) {
    this.#environment = environment
    this.#madeFolder = madeFolder
  }

  /** Undefined where the environment names none. `anyDates`: it may be expired or not yet valid. */
  async identity(name: string, anyDates = false): Promise<Attempt<LoadedIdentity | undefined>> {
    const spec = this.#environment.identities.get(name)
    if (spec === undefined) return { value: undefined, problems: [] }
    const files = [
      spec.certificateFile ?? spec.certificateText,
      spec.keyFile ?? spec.keyText,
      spec.pfxFile ?? spec.pfxText,
    ]
    return await this.#once(`identity ${name} ${anyDates}`, files, () =>
      loadIdentity({ ...spec, allowInvalidDates: anyDates }, new Date()),
    )
  }

  /** PEM texts of CA_FILE. */
  async authorities(): Promise<Attempt<readonly string[] | undefined>> {
    const { ca } = this.#environment
    if (ca === undefined) return { value: [], problems: [] }
    return await this.#once('authorities', [ca], () => loadAuthorities(ca))
  }

  /** Undefined where key or key id is not configured. */
  async signingKey({ key: use, alg }: Pick<AssertionPlan, 'key' | 'alg'>): Promise<Attempt<SigningKey | undefined>> {
    const { signing, renewedSigning } = this.#environment
    const { key: given, kid, passphrase, command, certificateFile, jwk } = use === 'renewed' ? renewedSigning : signing
    if (command !== undefined && kid !== undefined) {
      const transport = await this.#transport()
      return await this.#once(`${use} signing key ${alg}`, [certificateFile], () =>
        loadSigningCommand({ command, alg: alg as SigningAlg, kid, certificateFile, jwk, transport }),
      )
    }
    if (given === undefined || kid === undefined) return { value: undefined, problems: [] }
    return await this.#once(`${use} signing key ${alg}`, [given], () =>
      loadSigningKey({ given, alg: alg as SigningAlg, kid, passphrase, prefix: use === 'renewed' ? 'RENEWED_' : '' }),
    )
  }

  /** SIGNING_CERT_FILE, which is optional; what is wrong with it is a warning. */
  async signingCertificate(key: SigningKey): Promise<LoadedSigningCertificate | undefined> {
    const { certificateFile } = this.#environment.signing
    if (certificateFile === undefined) return undefined
    const transport = await this.#transport()
    return await loadSigningCertificate(certificateFile, { key: key.publicKey, now: new Date(), transport })
  }

  /** SHA-256 of the transport certificate; undefined where there is none that can be read. */
  async #transport(): Promise<string | undefined> {
    return (await this.identity('transport', true)).value?.identity.record.sha256
  }

  async #once<T>(
    name: string,
    files: readonly (Given | undefined)[],
    read: () => Promise<T>,
  ): Promise<Attempt<T | undefined>> {
    const folder = this.#madeFolder
    const isMade =
      folder !== undefined &&
      files.every((file) => file === undefined || (typeof file === 'string' && file.startsWith(folder + sep)))
    const known = this.#read.get(name) ?? attempt(read)
    this.#read.set(name, known)
    const result = (await known) as Attempt<T>
    return isMade && result.problems.length > 0 ? { value: undefined, problems: [] } : result
  }
}

/** x5t#S256 of the transport certificate. @see [RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705.html#section-3.1) */
export function thumbprintOf({ record }: Identity): string {
  return Buffer.from(record.sha256, 'hex').toString('base64url')
}

/** Of a loaded identity by its name; "none" where none is presented. */
export function thumbprintsOf(
  identities: ReadonlyMap<string, Pick<LoadedIdentity, 'identity'>>,
): (name: string) => string | undefined {
  return (name) => {
    const loaded = identities.get(name)
    return loaded === undefined ? (name === 'none' ? name : undefined) : thumbprintOf(loaded.identity)
  }
}

/** Of the certificate that the environment names; undefined where it names none. @throws ToolError */
export async function transportThumbprint(environment: Environment): Promise<string | undefined> {
  const spec = environment.identities.get('transport')
  return spec && thumbprintOf((await loadIdentity(spec, new Date())).identity)
}
