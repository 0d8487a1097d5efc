/**
 * Each command that a hint prints, in the situation that prints it, through a shell: what it does is read from the twin's log
 * and from the vault. Without the flags of its environment it would run on the embedded twin, and these servers would see nothing.
 */
import { readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority } from '../../mocks/authority.ts'
import { faultsOf, loseAnswer, performHook, type Switches } from '../../mocks/index.ts'
import { ANY_ENVIRONMENT, type Command, commandsFor, HINTS, type HintId } from '../../src/record/hints.ts'
import { type Ended, ROOT } from '../support/cli.ts'
import { CONFIRM, hold, installed, killedAt, type Person, person, shell, spoil } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

interface Row {
  readonly switches?: Partial<Switches>
  /** brings the situation about, and returns what was printed */
  readonly situation: (who: Person) => Promise<string>
  readonly about?: Parameters<Command>[1]
  /** the environment is not known where the hint is printed */
  readonly anywhere?: true
  /** what is set where the command is typed */
  readonly variables?: (who: Person) => Readonly<Record<string, string | undefined>>
  /** what the placeholders of the hint stand for */
  readonly placeholders?: Readonly<Record<string, string>>
  /** what the server sees of the command: methods and statuses of the calls that change the client, or its last calls */
  readonly proof: (who: Person, ended: Ended) => unknown
  readonly expected: unknown
}

const isLive = ({ network }: Person) => network.twin.state.clients.has(CLIENT_ID)
const changes = ({ network }: Person) => network.changes()
/** Whatever a command prints. */
const said = ({ stdout, stderr }: Ended) => stdout + stderr
const read = async (who: Person) => said(await who.thredd('run', 'read-registration'))
/** A vault with a key file of its own, in place of VAULT_KEY. */
const ownKey = ({ network }: Person) => ({ ...network.variables, THREDD_VAULT_KEY: undefined })
/** The vault as it is on a second machine. */
const loseVault = (who: Person) => rename(join(who.cli.folder, 'vault'), join(who.cli.folder, 'lost'))
const register = (who: Person, ...more: string[]) => who.thredd('run', 'register', ...more)
const refusedRegistration = async (who: Person) => {
  await register(who)
  return said(await register(who, '--register-again', ...CONFIRM))
}
const reportOf = async ({ cli }: Person) => await readFile(join(cli.folder, 'reports', 'latest', 'junit.xml'), 'utf8')

const ROWS: Readonly<Record<HintId, Row>> = {
  register: {
    situation: read,
    proof: (who) => [changes(who), isLive(who)],
    expected: [['POST 201'], true],
  },
  import: {
    situation: async (who) => {
      await register(who)
      await who.thredd('vault', 'export', '--format', 'dotenv', '--reveal', '--out', 'postman.env')
      await loseVault(who)
      return await read(who)
    },
    placeholders: { '<file>': 'postman.env' },
    proof: async (who) => [(await (await who.vault()).current(CLIENT_ID))?.clientId, changes(who)],
    expected: [CLIENT_ID, ['POST 201']],
  },
  importOne: {
    situation: async (who) => {
      const both = ['one', 'two'].map((name) => ({
        client_id: `https://${name}.example/client`,
        registration_access_token: `token-of-${name}`,
        registration_client_uri: `https://${name}.example/register`,
      }))
      await who.cli.write('two.json', JSON.stringify(both))
      return said(await who.thredd('vault', 'import', 'two.json'))
    },
    about: { file: 'two.json' },
    // Confirmed with it, since what is typed when it is asked for is the client of the environment.
    placeholders: { '<client>': 'https://two.example/client --confirm https://two.example/client' },
    proof: async (who) => (await (await who.vault()).list()).registrations.map(({ clientId }) => clientId),
    expected: ['https://two.example/client'],
  },
  dropKeys: {
    situation: async (who) => {
      const variables = ownKey(who)
      await who.cli.run(['run', 'register', '--env', 'uat'], { variables })
      return said(await who.cli.run(['vault', 'rotate-key', '--env', 'uat'], { variables }))
    },
    about: { environment: 'uat' },
    variables: (who) => ownKey(who),
    proof: (_who, { code, stdout }) => [code, stdout.includes('earlier keys')],
    expected: [0, false],
  },
  showFlow: {
    situation: async (who) => said(await who.thredd('list')),
    placeholders: { '<flow>': 'register' },
    proof: ({ network }, { code, stdout }) => [code, stdout.includes('CLIENT_ID of .env.uat'), network.twin.log],
    expected: [0, true, []],
  },
  askToDelete: {
    situation: async (who) => {
      await register(who)
      await loseVault(who)
      return await read(who)
    },
    proof: (who, { stdout }) => [stdout.includes('Subject: Please delete an OAuth client'), changes(who)],
    expected: [true, ['POST 201']],
  },
  update: {
    situation: refusedRegistration,
    proof: (who) => [changes(who), isLive(who)],
    expected: [['POST 201', 'POST 400', 'PUT 200'], true],
  },
  recreate: {
    situation: refusedRegistration,
    proof: (who) => [changes(who), isLive(who)],
    expected: [['POST 201', 'POST 400', 'DELETE 204', 'POST 201'], true],
  },
  askAfterRefusal: {
    situation: async (who) => {
      await killedAt(who, 'updateClient')
      return said(await who.thredd('vault', 'recover', '--online'))
    },
    about: { client: CLIENT_ID },
    proof: (who, { stdout }) => [stdout.includes('Subject: Please delete an OAuth client'), changes(who)],
    expected: [true, ['POST 201', 'PUT 200']],
  },
  deletedByThredd: {
    situation: async (who) => {
      await register(who)
      return said(await register(who, ...CONFIRM))
    },
    about: { client: CLIENT_ID },
    proof: async (who) => [(await (await who.vault()).current(CLIENT_ID))?.clientId, changes(who)],
    expected: [undefined, ['POST 201']],
  },
  checkTokens: {
    situation: async (who) => {
      await register(who)
      performHook(who.network.twin.state, 'delete-client')
      return await read(who)
    },
    proof: lastCall,
    expected: 'GET 401',
  },
  compareKeys: {
    situation: async (who) => {
      performHook(who.network.twin.state, 'expire-certificates', { use: 'sig' })
      return said(await register(who))
    },
    proof: ({ network }) => network.twin.log.at(-1)?.url.includes('keystore'),
    expected: true,
  },
  addRole: {
    switches: { scopeMode: 'filter' },
    situation: async (who) => said(await register(who, '--input', 'scopes=cards.read eds.read')),
    proof: changes,
    expected: ['POST 201', 'PUT 200'],
  },
  awaitMetadata: {
    switches: { metadataSet: 'when-asked', requirePmMetadata: true },
    situation: async (who) => {
      const ended = await register(who)
      performHook(who.network.twin.state, 'set-metadata')
      return said(ended)
    },
    proof: ({ network }, { code }) => [network.twin.log.at(-1)?.status, code],
    expected: [200, 0],
  },
  proveCertificate: {
    situation: async (who) => {
      await register(who)
      const { twin, pki } = who.network
      for (const fault of faultsOf('html400:readClient', twin.operations)) spoil(who.network, fault)
      const refused = await read(who)
      twin.reset()
      const { certificate } = pki.identities.renewed
      performHook(twin.state, 'list-certificate', { use: 'tls', certificate })
      return refused
    },
    variables: ({ network: { pki } }) => ({
      THREDD_IDENTITY_RENEWED_CERT_FILE: pki.identities.renewed.certificateFile,
      THREDD_IDENTITY_RENEWED_KEY_FILE: pki.identities.renewed.keyFile,
    }),
    proof: (who, { code, stdout }) => [lastCall(who), code, stdout.includes('conformant')],
    expected: ['GET 200', 0, true],
  },
  showOpen: {
    situation: async (who) => {
      spoil(who.network, loseAnswer('registerClient'))
      await register(who)
      return await reportOf(who)
    },
    proof: (_who, { stdout, code }) => [stdout.includes('POST of step "register"'), code],
    expected: [true, 3],
  },
  showLeft: {
    situation: async (who) => {
      // One workflow has ended, so that the run has left something to read.
      const held = hold(who.network, 'token')
      const running = who.start('run', 'discover', 'lifecycle')
      await held.arrived
      running.process.kill('SIGKILL')
      await running.ended
      const [run = ''] = (await readdir(join(who.cli.folder, 'reports'))).filter((name) => name !== 'latest')
      return said(await who.cli.run(['report', run]))
    },
    anywhere: true,
    placeholders: { '<name>': 'uat' },
    proof: (who, { stdout }) => [stdout.includes('left behind'), isLive(who)],
    expected: [true, true],
  },
  cleanUp: {
    situation: async (who) => {
      await killedAt(who, 'token')
      return said(await who.thredd('vault', 'list'))
    },
    proof: (who) => [changes(who), isLive(who)],
    expected: [['POST 201', 'DELETE 204'], false],
  },
  readClient: {
    situation: async (who) => {
      await register(who)
      spoil(who.network, loseAnswer('deleteClient'))
      await who.thredd('run', 'delete-registration', ...CONFIRM)
      return said(await who.thredd('vault', 'list'))
    },
    about: { client: CLIENT_ID },
    proof: async (who, { code }) => [lastCall(who), code, await (await who.vault()).unsettled()],
    expected: ['GET 401', 0, []],
  },
  makeRecord: {
    situation: async (who) => said(await who.cli.run(['report'])),
    anywhere: true,
    placeholders: { '<name>': 'mock' },
    proof: async (who) => (await reportOf(who)).length > 0,
    expected: true,
  },
  compareRuns: {
    situation: async (who) => {
      await who.thredd('run', 'discover')
      return said(await who.thredd('report'))
    },
    // Every run id of our time begins like this.
    placeholders: { '<run>': '01' },
    proof: (_, ended) => said(ended).includes('nothing has changed'),
    expected: true,
  },
  runNamed: {
    situation: async (who) => said(await who.thredd('run', '--workflow', 'register')),
    about: { flow: 'register' },
    proof: changes,
    expected: ['POST 201'],
  },
  csr: {
    situation: async (who) => {
      await withoutCertificates(who)
      return said(await who.cli.run(['doctor', '--env', 'uat'], { variables: await installed(who.cli) }))
    },
    about: { kind: 'transport' },
    proof: async ({ cli }) => (await readdir(join(cli.folder, 'certificates'))).sort(),
    expected: ['.gitignore', 'uat-rtstransport.csr', 'uat-rtstransport.key'],
  },
  takeCertificate: {
    situation: async (who) => {
      const made = await who.thredd('csr', 'transport')
      await certify(who)
      return said(made)
    },
    about: { kind: 'transport' },
    placeholders: { '<file>': 'downloaded.pem' },
    proof: (_, { stdout }) => /^fits .*uat-rtstransport\.key$/m.test(stdout),
    expected: true,
  },
  list: {
    situation: async ({ cli }) => said(await cli.run(['doctor', '--env', 'uat'], { variables: await installed(cli) })),
    proof: (_, { stdout }) => /^environment uat . ready for \d+ of \d+ workflows/m.test(stdout),
    expected: true,
  },
  doctor: {
    situation: async (who) => {
      await withoutCertificates(who)
      await who.cli.run(['csr', 'transport', '--env', 'uat'])
      await certify(who)
      return said(await who.cli.run(['csr', 'transport', '--certificate', 'downloaded.pem', '--env', 'uat']))
    },
    proof: (_, { stdout }) => /^environment uat . class uat\s+settings/m.test(stdout),
    expected: true,
  },
  runOnTwin: {
    situation: async (who) => {
      const flows = join(ROOT, 'flows')
      const discover = await readFile(join(flows, 'discover.arazzo.yaml'), 'utf8')
      const changed = discover.replaceAll('url: apis/', `url: ${flows}/apis/`).replace('safety: A', 'safety: X')
      await who.cli.write('flows/harmful.arazzo.yaml', changed)
      return said(await who.thredd('run', 'harmful'))
    },
    about: { flow: 'harmful' },
    proof: (who, { stdout }) => [stdout.includes('offline twin'), who.network.twin.log.length],
    expected: [true, 0],
  },
}

test.for(Object.entries(ROWS))('%s: the printed command does what it says', async ([id, row]) => {
  const { switches, situation, about, anywhere, placeholders = {}, variables, proof, expected } = row
  const who = await person(switches)
  const printed = await situation(who)
  const command = commandsFor(anywhere ? ANY_ENVIRONMENT : ['--env', 'uat'])(id as HintId, about)
  expect(printed).toContain(command)

  const typed = Object.entries(placeholders).reduce((text, [name, value]) => text.replaceAll(name, value), command)
  const ended = await shell(who, typed, variables?.(who))

  expect(await proof(who, ended), `${typed}\n${ended.stdout}`).toEqual(expected)
})

test('every hint says when it is printed', () => {
  for (const { words, when } of Object.values(HINTS)) {
    expect(when).not.toBe('')
    expect(words).toMatch(/ <env>$|--env mock$/)
  }
})

async function withoutCertificates({ cli, network }: Person): Promise<void> {
  await cli.write('.env.uat', network.environment.replaceAll(/^(?:TRANSPORT_|IDENTITY_).*$/gm, ''))
}

/** The certificate that Thredd CA would issue for the request "uat-rtstransport". */
async function certify({ cli }: Person): Promise<void> {
  const request = await readFile(join(cli.folder, 'certificates', 'uat-rtstransport.csr'), 'utf8')
  const dates = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + 86_400_000) }
  const authority = await createAuthority('CN=Some CA', dates.notBefore, dates.notAfter)
  await cli.write('downloaded.pem', await authority.certify(request, { use: 'any', ...dates }))
}

function lastCall({ network }: Person): string {
  const { method, status } = network.twin.log.at(-1) ?? { method: 'none', status: 0 }
  return `${method} ${status}`
}
