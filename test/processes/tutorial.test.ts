/** docs/tutorial.md, typed line by line into a shell in an empty folder; the hosts of UAT are the twin's. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { performHook } from '../../mocks/index.ts'
import { Cli, ROOT } from '../support/cli.ts'
import { type Network, startNetwork } from '../support/network.ts'

/** Done by CI on a clean checkout, as the README's lines. */
const OF_CI = [/^git clone /, /^npm ci /]
const KID = 'my-signing-kid'
const YEAR_MS = 365 * 86_400_000

/** What each command shows, by its first words. */
const SHOWS: readonly (readonly [command: RegExp, shows: RegExp])[] = [
  [/^npx thredd init .*CLIENT_ID/, /\.env\.uat\.local/],
  [/^npx thredd csr \w+ --env uat$/, /Upload CSR/],
  [/^npx thredd csr \w+ .*--certificate/, /^fits .*\n(?:.*\n)*into /m],
  [/^npx thredd init .*TRANSPORT_CERT_FILE/, /\.env\.uat\.local/],
  [/^npx thredd doctor /, /\b0 to mend\b/],
  [/^npx thredd run register .*--dry-run$/, /POST [^\n]*\/oauth2\/register/],
  [/^npx thredd run register --env uat$/, /^conformant /m],
  [/^npx thredd vault list/, /registered, answer of/],
  [/^npx thredd token/, /hidden; --reveal/],
  [/^npx thredd report/, /May we go live on uat\?/],
]

test('the tutorial works word for word, with at most fifteen commands to a registered client', {
  timeout: 300_000,
}, async () => {
  const text = await readFile(join(ROOT, 'docs', 'tutorial.md'), 'utf8')
  const lines = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.trim().split('\n'))
  const now = Date.now()
  const authority = await createAuthority(
    'CN=The CA of the tutorial',
    new Date(now - 1000),
    new Date(now + 2 * YEAR_MS),
  )
  await using network = await startNetwork({}, authority.certificate)
  await using cli = await Cli.make()
  await cli.write('bin/npx', `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(ROOT, 'bin', 'thredd.js')}" "$@"\n`)
  await chmod(join(cli.folder, 'bin', 'npx'), 0o755)

  for (const line of lines.filter((one) => !OF_CI.some((form) => form.test(one)))) {
    const { said, code } = await type(line, cli, network)
    const [, shows] = SHOWS.find(([command]) => command.test(line)) ?? []
    expect(shows, `what "${line}" shows is not said here`).toBeDefined()
    expect(said, line).toMatch(shows ?? /^$/)
    // What is registered is not yet all that a go-live needs.
    expect([line, code]).toEqual([line, line.startsWith('npx thredd report --env') ? 3 : 0])
    const [, kind] = /^npx thredd csr (transport|signing) --env uat$/.exec(line) ?? []
    if (kind !== undefined) await upload(kind, { cli, network, authority })
  }

  expect(lines.indexOf('npx thredd run register --env uat')).toBeLessThan(15)
  expect(network.changes()).toEqual(['POST 201'])
})

/** What a person does in Thredd CA: uploads the request, and saves the certificate in the folder. */
async function upload(
  kind: string,
  {
    cli,
    network,
    authority,
  }: { readonly cli: Cli; readonly network: Network; readonly authority: Awaited<ReturnType<typeof createAuthority>> },
): Promise<void> {
  const request = await readFile(join(cli.folder, 'certificates', `uat-rts${kind}.csr`), 'utf8')
  const dates = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + YEAR_MS) }
  const certificate = await authority.certify(request, { use: kind === 'transport' ? 'client' : 'any', ...dates })
  await writeFile(join(cli.folder, `${kind}.pem`), certificate)
  performHook(network.twin.state, 'list-certificate', {
    software_id: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
    use: kind === 'transport' ? 'tls' : 'sig',
    certificate,
    ...(kind === 'signing' ? { kid: KID } : {}),
  })
}

async function type(line: string, { folder }: Cli, { variables }: Network): Promise<{ said: string; code: number }> {
  const { HTTPS_PROXY = '', THREDD_CA_FILE = '', THREDD_VAULT_KEY = '' } = variables
  const child = spawn('bash', ['-c', line], {
    cwd: folder,
    env: {
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      HOME: join(folder, 'home'),
      HTTPS_PROXY,
      THREDD_CA_FILE,
      // On a build machine, whose own vault would end with it.
      THREDD_VAULT_KEY,
      THREDD_VAULT_DIR: join(folder, 'vault'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = await once(child, 'close')
  return { said, code: Number(code) }
}
