/** What a person does in Thredd CA after `thredd csr`: uploads the request, and saves the certificate in the folder. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Authority } from '../../mocks/authority.ts'
import { performHook } from '../../mocks/index.ts'
import type { Cli } from './cli.ts'
import type { Network } from './network.ts'
import { SOFTWARE } from './twin.ts'

const YEAR_MS = 365 * 86_400_000

interface Uploading {
  readonly cli: Cli
  readonly network: Network
  /** the CA, which the twin has to trust */
  readonly authority: Authority
}

/** `name` begins the name of the request's file; `kid` is listed for a signing certificate. Saved as `<kind>.pem`. */
export async function upload(
  kind: 'transport' | 'signing',
  { name, kid }: { readonly name: string; readonly kid: string },
  { cli, network, authority }: Uploading,
): Promise<void> {
  const request = await readFile(join(cli.folder, 'certificates', `${name}-rts${kind}.csr`), 'utf8')
  const dates = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + YEAR_MS) }
  const certificate = await authority.certify(request, { use: kind === 'transport' ? 'client' : 'any', ...dates })
  await writeFile(join(cli.folder, `${kind}.pem`), certificate)
  performHook(network.twin.state, 'list-certificate', {
    software_id: SOFTWARE,
    use: kind === 'transport' ? 'tls' : 'sig',
    certificate,
    ...(kind === 'signing' ? { kid } : {}),
  })
}
