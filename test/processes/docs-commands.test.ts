/**
 * Every shell block of every page, typed line by line into a terminal in a folder as the reader would have it. The hosts of UAT
 * are the twin's, where Thredd's staff does by hand what it does by hand.
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { appendFile, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Authority, createAuthority } from '../../mocks/authority.ts'
import { performHook, type Switches } from '../../mocks/index.ts'
import { Cli, ROOT } from '../support/cli.ts'
import { type Network, startNetwork } from '../support/network.ts'
import { addApplications, csvOf, numbers, SHARED_CERTIFICATE, SHARED_SETTING } from '../support/rows.ts'
import { CLIENT_ID } from '../support/twin.ts'
import { type Block, blocksOf, commandsOf, installCommands, notPrinted, typeLine } from '../support/typed-page.ts'
import { upload } from '../support/upload.ts'

/** Pages that a test of their own types. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'docs/tutorial.md': 'test/processes/tutorial.test.ts',
  'docs/how-to/leave-postman.md': 'test/processes/postman.test.ts',
}

interface Reader {
  readonly cli: Cli
  readonly network: Network
  readonly authority: Authority
  readonly variables: Record<string, string>
  type(line: string): ReturnType<typeof typeLine>
  /** what Thredd or its CA does when asked */
  hook(name: string, parameters?: Readonly<Record<string, unknown>>): void
}

interface Situation {
  readonly switches?: Partial<Switches>
  /** what the reader has done before the first command */
  readonly before?: (reader: Reader) => Promise<void> | void
  /** what happens beside the terminal before a command */
  readonly meanwhile?: readonly (readonly [command: RegExp, happens: (reader: Reader) => Promise<void> | void])[]
}

const registered = async ({ type }: Reader) => void (await type('npx thredd run register --env uat'))
const setMetadata = ({ hook }: Reader) => hook('set-metadata')
const lost = { value: 'a-token-that-nobody-here-has-seen-7f3a' }

const SITUATIONS: Readonly<Record<string, Situation>> = {
  'README.md': {
    before: ({ cli }) => {
      for (const name of ['flows', 'fixtures', 'mocks', 'src', 'vitest.config.ts', '.env.mock', '.env.uat'])
        cpSync(join(ROOT, name), join(cli.folder, name), { recursive: true })
      rmSync(join(cli.folder, 'node_modules'), { recursive: true })
      symlinkSync(join(ROOT, 'node_modules'), join(cli.folder, 'node_modules'))
    },
  },
  'docs/how-to/run-each-workflow.md': {
    meanwhile: [
      [/wait-for-metadata/, setMetadata],
      [
        /add-role-then-put/,
        ({ hook }) => {
          hook('unlock')
          hook('grant-role', { role: 'eds' })
          hook('generate-statement')
        },
      ],
    ],
  },
  'docs/how-to/renew-a-certificate.md': {
    before: registered,
    meanwhile: [
      [
        /^npx thredd csr transport .*--certificate/,
        async (reader) => {
          for (const kind of ['transport', 'signing'] as const)
            await upload(kind, { name: 'uat-2', kid: 'my-second-kid' }, reader)
        },
      ],
    ],
  },
  'docs/how-to/lost-token.md': {
    before: async (reader) => {
      await registered(reader)
      const client = reader.network.twin.state.clients.get(CLIENT_ID)
      Object.assign(client?.registrationToken ?? {}, lost)
    },
    meanwhile: [[/^npx thredd vault recover/, ({ hook }) => hook('delete-client')]],
  },
  'docs/how-to/second-machine.md': {
    before: registered,
    meanwhile: [[/^npx thredd doctor/, secondMachine]],
  },
  'docs/how-to/one-vault-for-a-team.md': {
    before: async (reader) => {
      await registered(reader)
      await reader.type('npx thredd vault export --format postman --reveal --out postman.json --env uat')
      secondMachine(reader)
      await keyInFile(reader)
    },
    meanwhile: [[/^npx thredd vault import clients/, secondMachine]],
  },
  'docs/how-to/go-live.md': {
    before: registered,
    meanwhile: [
      [/^npx thredd init --env prod/, onProduction],
      [/wait-for-metadata/, setMetadata],
    ],
  },
  'docs/how-to/many-clients.md': {
    switches: SHARED_CERTIFICATE,
    before: async ({ cli, network }) => {
      addApplications(network, numbers(4))
      await cli.write('clients.csv', csvOf(numbers(4)))
      await appendFile(join(cli.folder, '.env.uat.local'), `${SHARED_SETTING}PAUSE_MS=0\n`)
    },
    meanwhile: [
      [
        /^npx thredd vault import/,
        ({ cli }) => cpSync(join(cli.folder, 'vault'), join(cli.folder, 'shard-2', 'vault'), { recursive: true }),
      ],
    ],
  },
  'docs/how-to/proxy.md': {},
  'docs/how-to/as-a-dependency.md': {},
  'docs/how-to/decide-over-several-runs.md': { before: registered },
  'docs/testing.md': {
    before: async ({ cli }) => {
      for (const [, name = '', text = ''] of readFileSync(join(ROOT, 'docs/testing.md'), 'utf8').matchAll(
        /^```\w+ file=(\S+)\n([\s\S]*?)^```$/gm,
      ))
        await cli.write(name, text)
      for (const name of ['register', 'discover', 'access-token'])
        cpSync(join(ROOT, 'flows', `${name}.arazzo.yaml`), join(cli.folder, 'flows', `${name}.arazzo.yaml`))
      for (const name of ['apis', 'parts'])
        cpSync(join(ROOT, 'flows', name), join(cli.folder, 'flows', name), { recursive: true })
    },
  },
  'docs/twin.md': { switches: { uriForm: 'encoded' }, before: registered },
}

/** Another machine knows nothing of the vault of the first. */
function secondMachine({ cli }: Reader): void {
  rmSync(join(cli.folder, 'vault'), { recursive: true, force: true })
}

async function keyInFile({ cli, variables }: Reader): Promise<void> {
  const file = join(cli.folder, 'keys', 'team-uat.key')
  await writeFile(file, `${variables.THREDD_VAULT_KEY}\n`, { mode: 0o600 })
  await appendFile(join(cli.folder, '.env.uat.local'), 'VAULT_KEY_FILE=keys/team-uat.key\n')
  delete variables.THREDD_VAULT_KEY
}

/** The hosts of production are not here: its environment names those of the twin, which are of class uat. */
async function onProduction({ cli, variables, hook }: Reader): Promise<void> {
  const servers = readFileSync(join(ROOT, '.env.mock'), 'utf8').match(/^(?:SERVER_|EXPECTED_).*$/gm) ?? []
  const own = readFileSync(join(cli.folder, '.env.uat.local'), 'utf8')
  await cli.write('.env.prod.local', ['ENV_CLASS=uat', ...servers, own].join('\n'))
  variables.THREDD_VAULT_DIR = join(cli.folder, 'vault-prod')
  hook('delete-client')
}

const pages = [...globSync('*.md', { cwd: ROOT }), ...globSync('docs/**/*.md', { cwd: ROOT })].sort()
const blocks = new Map(pages.map((page) => [page, blocksOf(page)]))
const isShellBlock = ({ language }: Block) => ['sh', 'console'].includes(language)
const typed = pages.filter((page) => commandsOf(page).length > 0)

test('each block says what language it is in, and a shell is sh or console', () => {
  const all = [...blocks.values()].flat()
  const isNamed = ({ language }: Block) => !['', 'bash', 'shell', 'shellsession', 'zsh'].includes(language)

  expect(all.filter((block) => !isNamed(block)).map(({ place }) => place)).toEqual([])
  expect(all.filter((block) => isShellBlock(block) && block.commands.length === 0).map(({ place }) => place)).toEqual(
    [],
  )
})

test('each page with commands is typed', () => {
  expect(typed).toEqual([...Object.keys(SITUATIONS), ...Object.keys(ELSEWHERE)].sort())
  for (const [page, file] of Object.entries(ELSEWHERE))
    expect(readFileSync(join(ROOT, file), 'utf8')).toContain(`commandsOf('${page}')`)
})

test('what is not run says why, and is nothing that the twin could answer', () => {
  const marked = [...blocks.values()].flat().filter(({ notRun }) => notRun !== undefined)

  expect(marked.filter((block) => !isShellBlock(block) || block.notRun === '').map(({ place }) => place)).toEqual([])
  const isOurs = (line: string) => /^(?:\w+=\S+ )*(?:npx )?(?:thredd|vitest) /.test(line)
  expect(marked.filter(({ commands }) => commands.every(({ line }) => isOurs(line))).map(({ place }) => place)).toEqual(
    [],
  )
  const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8').split('\n')
  expect(ci).toEqual(expect.arrayContaining(['npm cit', 'npm start']))
  const lines = marked.flatMap(({ commands }) => commands)
  expect(lines.length).toBeLessThan(10)
  const run = typed.flatMap((page) => commandsOf(page))
  process.stdout.write(
    `commands of the pages: ${run.length} are typed, ${lines.length} in ${marked.length} blocks are marked\n`,
  )
})

test.each(Object.entries(SITUATIONS))('%s does what it says', { timeout: 900_000 }, async (page, situation) => {
  const authority = await createAuthority('CN=The CA of the pages', new Date(Date.now() - 1000), inAYear())
  await using network = await startNetwork({ metadataSet: 'when-asked', ...situation.switches }, authority.certificate)
  await using cli = await Cli.make({ 'package.json': '{ "type": "module" }' })
  const reader = await readerOf(cli, network, authority)
  await situation.before?.(reader)

  const wrong: object[] = []
  for (const { line, shows, exitCode } of commandsOf(page)) {
    for (const [command, happens] of situation.meanwhile ?? []) if (command.test(line)) await happens(reader)
    const { said, code } = await reader.type(line)
    const missing = notPrinted(shows, said)
    if (code !== exitCode || missing.length > 0) wrong.push({ line, exitCode, code, missing, said })
  }

  expect(wrong).toEqual([])
})

function inAYear(): Date {
  return new Date(Date.now() + 365 * 86_400_000)
}

/** Somebody whose settings are those of the tutorial's end. */
async function readerOf(cli: Cli, network: Network, authority: Authority): Promise<Reader> {
  const { identities, signingKid } = network.pki
  const ids = readFileSync(join(ROOT, '.env.mock'), 'utf8').match(/^(?:CLIENT_ID|ORG_ID|SOFTWARE_ID|ROLES)=.*$/gm) ?? []
  const own = [
    ...ids,
    `SIGNING_KID=${signingKid}`,
    ...['transport.crt', 'transport.key', 'signing.crt', 'signing.key'].map((name) => {
      const [kind = '', part] = name.split('.')
      return `${kind.toUpperCase()}_${part === 'crt' ? 'CERT' : 'KEY'}_FILE=keys/${name}`
    }),
  ]
  await cli.write('.env.uat.local', `${own.join('\n')}\n`)
  mkdirSync(join(cli.folder, 'keys'))
  for (const kind of ['transport', 'signing'] as const) {
    const { certificateFile, keyFile } = identities[kind]
    await copyFile(certificateFile, join(cli.folder, 'keys', `${kind}.crt`))
    await copyFile(keyFile, join(cli.folder, 'keys', `${kind}.key`))
  }
  mkdirSync(join(cli.folder, 'node_modules'))
  symlinkSync(ROOT, join(cli.folder, 'node_modules', 'thredd-dcr'))
  symlinkSync(join(ROOT, 'node_modules', 'vitest'), join(cli.folder, 'node_modules', 'vitest'))
  await installCommands(cli)
  const { HTTPS_PROXY = '', THREDD_CA_FILE = '', THREDD_VAULT_KEY = '' } = network.variables
  // A build machine, whose own vault would end with it, wants both.
  const variables: Record<string, string> = {
    HTTPS_PROXY,
    THREDD_CA_FILE,
    THREDD_VAULT_KEY,
    THREDD_VAULT_DIR: join(cli.folder, 'vault'),
  }
  let signer = ''
  return {
    cli,
    network,
    authority,
    variables,
    async type(line) {
      const ended = await typeLine(line.replaceAll('<key>', signer), cli.folder, variables)
      signer = /--signer[= ]([\w:-]+)/.exec(ended.said)?.[1] ?? signer
      return ended
    },
    hook: (name, parameters) => void performHook(network.twin.state, name, parameters),
  }
}
