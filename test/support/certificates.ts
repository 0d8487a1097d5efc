/** A PKI for each test file, in a temporary folder, and servers that are wrong in exactly one way. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createAuthority } from '../../mocks/authority.ts'
import { ensurePki, type Pki } from '../../mocks/pki.ts'
import { type Identity, loadIdentity } from '../../src/identity/certificate.ts'

/** The name under which tests meet their servers; it resolves nowhere, `connectTo` leads to loopback. */
export const SERVER_NAME = 'server.example'

/** Of the twin's hosts one that demands a certificate. */
export const TOKEN_HOST = 'matls-auth.directory.sandbox.threddid.com'

const MADE_ONCE = fileURLToPath(new URL('../../node_modules/.cache/test-pki', import.meta.url))

export interface TestPki extends AsyncDisposable {
  readonly folder: string
  readonly pki: Pki
  readonly identities: ReadonlyMap<string, Identity>
}

/** A copy of one that is made once on this machine: thirteen RSA keys take seconds. */
export async function makeTestPki(): Promise<TestPki> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-pki-'))
  const hosts = [SERVER_NAME, TOKEN_HOST]
  await ensurePki(MADE_ONCE, { hosts })
  await cp(MADE_ONCE, join(folder, 'pki'), { recursive: true })
  const pki = await ensurePki(join(folder, 'pki'), { hosts })
  const loaded = await Promise.all(
    Object.entries(pki.identities).map(async ([name, { certificateFile, keyFile }]) => {
      const spec = { name, certificateFile, keyFile, allowInvalidDates: true }
      return [name, (await loadIdentity(spec, new Date())).identity] as const
    }),
  )
  return {
    folder,
    pki,
    identities: new Map(loaded),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const DAY_MS = 86_400_000

/** Servers our client must refuse. `ca` is what the client trusts: all but "unknown-ca" fail for their own reason alone. */
export async function makeWrongServers() {
  const at = (days: number) => new Date(Date.now() + days * DAY_MS)
  const authority = await createAuthority('CN=Test CA', at(-400), at(400))
  const unknown = await createAuthority('CN=Unknown CA', at(-400), at(400))
  const request = {
    subject: `CN=${SERVER_NAME}`,
    use: 'server',
    notBefore: at(-1),
    notAfter: at(1),
    hosts: [SERVER_NAME],
  } as const
  const [wrongName, expired, notYetValid, unknownCa] = await Promise.all([
    authority.issue({ ...request, hosts: ['elsewhere.example'] }),
    authority.issue({ ...request, notBefore: at(-10), notAfter: at(-1) }),
    authority.issue({ ...request, notBefore: at(1), notAfter: at(10) }),
    unknown.issue(request),
  ])
  return {
    ca: authority.certificate,
    servers: { 'wrong name': wrongName, expired, 'not yet valid': notYetValid, 'unknown CA': unknownCa },
  }
}
