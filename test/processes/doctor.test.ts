/** Everything that a run depends on, looked at before it: each mistake of a set-up is named, with its remedy and an exit code. */
import { readdir, stat, truncate } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'
import { loseAnswer, performHook } from '../../mocks/index.ts'
import type { Examined } from '../../src/run/examined.ts'
import { Cli, type Ended } from '../support/cli.ts'
import { type Person, person, spoil } from '../support/person.ts'

/** A person whose environment names no certificates but the one in use. */
async function whole(): Promise<Person> {
  const who = await person()
  await who.cli.write('.env.uat', who.network.environment.replaceAll(/^(?:IDENTITY_|RENEWED_).*$/gm, ''))
  return who
}

const rowsOf = ({ stdout }: Ended): readonly Examined[] => JSON.parse(stdout).rows
const inShort = (rows: readonly Examined[], state: Examined['state']) =>
  rows.filter((row) => row.state === state).map(({ area, what }) => `${area}: ${what}`)

test('on a set-up that is whole, the servers agree with it and nothing is changed', async () => {
  const who = await whole()
  await who.thredd('run', 'register')
  const changed = who.network.changes().length

  const ended = await who.thredd('doctor', '--online', '--json')

  const rows = rowsOf(ended)
  expect({ code: ended.code, stderr: ended.stderr, wrong: inShort(rows, 'wrong') }).toEqual({
    code: 0,
    stderr: '',
    wrong: [],
  })
  expect(inShort(rows, 'unknown')).toEqual([])
  for (const area of ['certificates', 'signing key', 'vault', 'flows', 'clock', 'hosts', 'servers', 'registration'])
    expect(
      rows.some((row) => row.area === area && row.state === 'good'),
      area,
    ).toBe(true)
  expect(
    rows
      .filter(({ area }) => area === 'hosts')
      .map(({ sentence }) => sentence)
      .join(),
  ).toContain('asks for a client certificate')
  expect(who.network.changes()).toHaveLength(changed)
})

test('as text: a mark, a sentence and a remedy each, and what was not asked is said', async () => {
  await using cli = await Cli.make({ '.env.uat': 'ENV_CLASS=uat\n' })

  const { stdout, code } = await cli.run(['doctor', '--env', 'uat'])

  expect(code).toBe(1)
  expect(stdout).toMatch(
    /✗ transport +no certificate for mutual TLS is configured\n +→ .*thredd\.js csr transport --env uat/,
  )
  expect(stdout).toMatch(/✗ signing +SIGNING_KEY_FILE, SIGNING_KID are not set/)
  expect(stdout).toContain('no server was asked: --online asks them')
})

test('the commands of remedies are found by the shell: by name, through npx, or by the path of the launcher', async () => {
  await using cli = await Cli.make({ '.env.uat': 'ENV_CLASS=uat\n' })
  const remedy = async (path: string) => {
    const { stdout } = await cli.run(['doctor', '--env', 'uat'], { variables: { PATH: path } })
    return /→ (.*) csr transport --env uat/.exec(stdout)?.[1]
  }
  const usual = process.env.PATH ?? ''

  expect(await remedy(usual)).toMatch(/^(?:.* )?node \S+bin\/thredd\.js$/)
  await cli.write('node_modules/.bin/thredd', '')
  // As npx and npm set it.
  expect(await remedy([join(cli.folder, 'node_modules', '.bin'), usual].join(delimiter))).toMatch(/\bnpx thredd$/)
  await cli.write('bin/thredd', '')
  expect(await remedy([join(cli.folder, 'bin'), usual].join(delimiter))).toMatch(/(?<!npx )\bthredd$/)
})

interface Mistake {
  readonly variables?: (who: Person) => Readonly<Record<string, string | undefined>>
  readonly before?: (who: Person) => Promise<unknown>
  readonly args?: readonly string[]
  readonly row: Partial<Examined>
  readonly says: RegExp
  readonly code: number
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'the transport certificate has expired': {
    variables: ({ network: { pki } }) => ({
      THREDD_TRANSPORT_CERT_FILE: pki.identities.expired.certificateFile,
      THREDD_TRANSPORT_KEY_FILE: pki.identities.expired.keyFile,
    }),
    row: { area: 'certificates', what: 'transport', state: 'wrong' },
    says: /^expired on/,
    code: 1,
  },
  'the key is that of another certificate': {
    variables: ({ network: { pki } }) => ({ THREDD_TRANSPORT_KEY_FILE: pki.identities.signing.keyFile }),
    row: { area: 'certificates', what: 'transport', state: 'wrong' },
    says: /key/,
    code: 1,
  },
  'the certificate is of another application': {
    variables: () => ({ THREDD_SOFTWARE_ID: '99999999-2222-4333-8444-555555555555' }),
    row: { area: 'certificates', what: 'transport', state: 'remark' },
    says: /does not hold SOFTWARE_ID/,
    code: 0,
  },
  'too few days are left': {
    args: ['--min-days', '9999'],
    row: { area: 'certificates', what: 'transport', state: 'wrong' },
    says: /fewer than 9999/,
    code: 1,
  },
  'the kid is not in the keystore': {
    variables: () => ({ THREDD_SIGNING_KID: 'another-kid' }),
    args: ['--online'],
    row: { area: 'servers', what: 'own-signing-key', state: 'wrong' },
    says: /another-kid/,
    code: 1,
  },
  'the keystore lists another key under the kid': {
    variables: ({ network: { pki } }) => ({
      THREDD_SIGNING_KEY_FILE: pki.identities['renewed-signing'].keyFile,
      THREDD_SIGNING_CERT_FILE: undefined,
    }),
    args: ['--online'],
    row: { area: 'servers', what: 'keystore', state: 'wrong' },
    says: /with another public key/,
    code: 1,
  },
  'client id and application do not belong together': {
    variables: () => ({ THREDD_SOFTWARE_ID: '99999999-2222-4333-8444-555555555555' }),
    row: { area: 'settings', what: 'client', state: 'remark' },
    says: /two applications/,
    code: 0,
  },
  'a server answers as another': {
    before: async ({ cli, network: { environment } }) => {
      const directory = /^SERVER_DIRECTORY=(.*)$/m.exec(environment)?.[1]
      await cli.write(
        '.env.uat',
        environment.replace(/^SERVER_AUTHORIZATION=.*$/m, `SERVER_AUTHORIZATION=${directory}`),
      )
    },
    args: ['--online'],
    row: {
      area: 'servers',
      what: 'authorization-discovery',
      state: 'wrong',
      remedy: expect.stringMatching(
        /^are SERVER_DIRECTORY, SERVER_AUTHORIZATION \(https:.*\) the right address\? The whole answer: thredd run discover --env uat -v$/,
      ),
    },
    says: /token_endpoint: expected/,
    code: 1,
  },
  'the proxy is of a scheme that is not spoken': {
    variables: () => ({ HTTPS_PROXY: 'socks5://127.0.0.1:9' }),
    args: ['--online'],
    row: { area: 'hosts', what: 'all', state: 'wrong', remedy: expect.stringContaining('name an HTTP proxy') },
    says: /HTTPS_PROXY names a proxy of scheme socks5/,
    code: 1,
  },
  'the user of the proxy is one of a domain': {
    variables: () => ({ HTTPS_PROXY: 'http://DOMAIN\\user:pw@127.0.0.1:9' }),
    args: ['--online'],
    row: { area: 'hosts', what: 'all', state: 'wrong', remedy: expect.stringContaining('%5C') },
    says: /HTTPS_PROXY cannot be used/,
    code: 1,
  },
  'a value is a variable of a shell': {
    before: async ({ cli, network: { environment } }) =>
      await cli.write('.env.uat', environment.replace(/^ENV_CLASS=.*$/m, '$&\nNOTE=“x”\nTIMEOUT_MS=$' + '{TIME}')),
    row: { area: 'settings', what: 'files', state: 'wrong', remedy: expect.stringContaining('write the value itself') },
    says: /^\.env\.uat:\d+: TIMEOUT_MS holds a placeholder of a shell/,
    code: 1,
  },
  'a host is down': {
    before: async ({ network }) => {
      for (const url of network.environment.matchAll(/^SERVER_KEYSTORE=https:\/\/([^/\s]+)/gm))
        network.down.add(url[1] ?? '')
    },
    args: ['--online'],
    row: { area: 'hosts', state: 'unknown' },
    says: /for keystore/,
    code: 3,
  },
  'the certificate authority of the servers is not known': {
    variables: () => ({ THREDD_CA_FILE: undefined }),
    args: ['--online'],
    row: { area: 'hosts', state: 'wrong' },
    says: /certificate/,
    code: 1,
  },
  'the server has fewer scopes than the roles cover': {
    before: async (who) => await who.thredd('run', 'register', '--input', 'scopes=cards.read'),
    variables: () => ({ THREDD_SCOPES: 'cards.read,cards.write' }),
    args: ['--online'],
    row: { area: 'registration', what: 'scopes', state: 'wrong' },
    says: /not registered: cards\.write/,
    code: 1,
  },
  'the clock of a server differs': {
    before: async ({ network }) => performHook(network.twin.state, 'advance-clock', { seconds: 400 }),
    args: ['--online'],
    row: { area: 'clock', state: 'wrong' },
    says: /seconds (?:ahead of|behind) a server/,
    code: 1,
  },
  'the last line of the vault is cut': {
    before: async ({ cli, thredd }) => {
      await thredd('run', 'register')
      const log = join(cli.folder, 'vault', 'uat.log')
      await truncate(log, (await stat(log)).size - 20)
    },
    row: { area: 'vault', what: 'log', state: 'remark' },
    says: /not finished/,
    code: 0,
  },
  'a call has no answer': {
    before: async (who) => {
      spoil(who.network, loseAnswer('registerClient'))
      await who.thredd('run', 'register')
    },
    row: { area: 'vault', what: 'open calls', state: 'wrong' },
    says: /got no answer/,
    code: 1,
  },
}

test.each(Object.entries(MISTAKES))('%s', async (_, { variables, before, args = [], row, says, code }) => {
  const who = await whole()
  await before?.(who)
  const situation = { variables: { ...who.network.variables, ...variables?.(who) } }

  const ended = await who.cli.run(['doctor', '--env', 'uat', '--json', ...args], situation)

  const rows = rowsOf(ended)
  expect(rows.filter(({ sentence }) => says.test(sentence))).toContainEqual(expect.objectContaining(row))
  expect(ended.code).toBe(code)
  for (const { state, remedy, what } of rows)
    if (state === 'wrong' && what !== 'ready') expect([what, remedy]).not.toEqual([what, ''])
})

test('without --online nothing is sent, and a folder is left as it was', async () => {
  const who = await whole()

  await who.thredd('doctor')

  expect(who.network.twin.log).toEqual([])
  expect(await readdir(who.cli.folder)).not.toContain('reports')
})
