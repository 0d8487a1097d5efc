/** docs/tutorial.md, typed line by line into a terminal in an empty folder; the hosts of UAT are the twin's. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { Cli } from '../support/cli.ts'
import { startNetwork } from '../support/network.ts'
import { commandsOf, installCommands, typeLine } from '../support/typed-page.ts'
import { upload } from '../support/upload.ts'

/** Its first box, which CI types into a clean clone. */
const CLONE = ['git clone', 'npm ci && npm start']
const REGISTRATION = 'npx thredd run register --env uat'

/** What each command shows, by its first words. */
const SHOWS: readonly (readonly [command: RegExp, shows: RegExp])[] = [
  [/^npx thredd init .*CLIENT_ID/, /\.env\.uat\.local/],
  [/^npx thredd csr \w+ --env uat$/, /Upload CSR/],
  [/^npx thredd csr \w+ .*--certificate/, /^fits .*\n(?:.*\n)*into /m],
  [/^npx thredd init .*TRANSPORT_CERT_FILE/, /\.env\.uat\.local/],
  [/^npx thredd doctor /, /\b0 to mend\b/],
  [/^npx thredd run register .*--dry-run$/, /POST [^\n]*\/oauth2\/register/],
  [/^npx thredd run register --env uat/, /^waiting for Thredd /m],
  [/^npx thredd vault list/, /registered, answer of/],
  [/^npx thredd token/, /hidden; --reveal/],
  [/^npx thredd report/, /May we go live on uat\?/],
]

test('the tutorial works word for word, with at most fifteen commands to a registered client', {
  timeout: 300_000,
}, async () => {
  const commands = commandsOf('docs/tutorial.md')
  const now = Date.now()
  const authority = await createAuthority(
    'CN=The CA of the tutorial',
    new Date(now - 1000),
    new Date(now + 2 * 365 * 86_400_000),
  )
  await using network = await startNetwork({ metadataSet: 'when-asked' }, authority.certificate)
  await using cli = await Cli.make()
  await installCommands(cli)
  const { HTTPS_PROXY = '', THREDD_CA_FILE = '', THREDD_VAULT_KEY = '' } = network.variables
  // A build machine, whose own vault would end with it, wants both.
  const vault = { THREDD_VAULT_KEY, THREDD_VAULT_DIR: join(cli.folder, 'vault') }

  for (const { line, exitCode } of commands) {
    const { said, code } = await typeLine(line, cli.folder, { HTTPS_PROXY, THREDD_CA_FILE, ...vault })
    const [, shows] = SHOWS.find(([command]) => command.test(line)) ?? []
    expect(shows, `what "${line}" shows is not said here`).toBeDefined()
    expect(said, line).toMatch(shows ?? /^$/)
    expect([line, code]).toEqual([line, exitCode])
    const [, kind] = /^npx thredd csr (transport|signing) --env uat$/.exec(line) ?? []
    if (kind !== undefined)
      await upload(kind as 'transport' | 'signing', { name: 'uat', kid: 'my-signing-kid' }, { cli, network, authority })
  }

  const before = commands.findIndex(({ line }) => line.startsWith(REGISTRATION) && !line.includes('--dry-run'))
  expect(before).toBeGreaterThan(0)
  expect(CLONE.length + before + 1).toBeLessThanOrEqual(15)
  expect(network.changes()).toEqual(['POST 201'])
})
