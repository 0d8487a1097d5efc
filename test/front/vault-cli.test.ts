import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { performVault } from '../../src/front/cli/vault.ts'
import type { VaultIo } from '../../src/front/cli/vault-call.ts'
import { Secret } from '../../src/secret/index.ts'
import { Files } from '../../src/vault/files.ts'
import type { Probe, Vault } from '../../src/vault/index.ts'
import { keySource } from '../../src/vault/key.ts'
import {
  body,
  CHALLENGE,
  CLIENT_ID,
  call,
  ended,
  logIn,
  PRESENTED,
  register,
  temporaryFolder,
  thrown,
  URI,
  vaultIn,
} from '../support/vault.ts'

const PASSPHRASE = 'correct horse battery staple'

/** `thredd vault` at a vault of its own; `type` is what a person types behind it. */
async function prompt(more: Partial<VaultIo> = {}) {
  const folder = await temporaryFolder()
  const place = { keyFolder: join(folder, 'keys'), vaultDir: join(folder, 'vault') }
  const vault = vaultIn(join(folder, 'vault'), { key: keySource(place, new Files()) })
  return { folder, vault, type: typing(vault, { folder, ...more }) }
}

function typing(vault: Vault, more: Partial<VaultIo>) {
  return async (line: string, at: Partial<VaultIo> = {}) => {
    const parts = line.split(' ')
    const flags = new Map(
      parts
        .filter((part) => part.startsWith('--'))
        .map((part): [string, string] => {
          const [name = '', value = 'true'] = part.slice(2).split('=')
          return [name, value]
        }),
    )
    let written = ''
    const code = await performVault(
      parts.filter((part) => part !== '' && !part.startsWith('--')),
      {
        has: (flag) => flags.get(flag) === 'true',
        text: (flag) => flags.get(flag),
        texts: (flag) => [flags.get(flag) ?? []].flat(),
      },
      {
        write: (text) => {
          written += text
        },
        warn: (text) => {
          written += `! ${text}`
        },
        isTerminal: false,
        folder: '.',
        now: () => new Date('2026-01-03T00:00:00Z'),
        runId: 'cli',
        open: async () => ({ vault, environment: 'uat', class: 'mock' }),
        passphrase: async () => new Secret(PASSPHRASE, 'passphrase'),
        ...more,
        ...at,
      },
    )
    return { code, written }
  }
}

test('list names the clients, and calls that are open with their next step', async () => {
  const { vault, type } = await prompt()
  expect(await type('list')).toEqual({ code: 0, written: 'the vault of "uat" holds no client\n' })
  await register(vault)
  await (await vault.begin(call('update'))).close('unknown')

  expect(await type('list')).toEqual({
    code: 3,
    written: [
      CLIENT_ID,
      '  registered, answer of 2026-01-02T03:04:07.000Z',
      `open update of ${CLIENT_ID}`,
      '  PUT of step "update" in run run-update left at 2026-01-02T03:04:08.000Z; no answer was kept',
      `  next: read the client with the stored token: thredd vault recover ${CLIENT_ID} --online --env uat; if the token no longer works, it says how to ask Thredd to delete the client`,
      '',
    ].join('\n'),
  })
})

test('show prints the token only at a terminal, and only with --reveal', async () => {
  const { vault, type } = await prompt()
  await register(vault)

  const hidden = await type('show')
  expect(hidden.written).toContain(`registration_client_uri   ${URI}\n`)
  expect(hidden.written).toMatch(/registration_access_token {1}#[\w-]{16} \(hidden; --reveal shows it\)\n/)
  expect((await type('show --reveal')).written).toContain('(shown on a terminal only)')
  expect((await type('show', { isTerminal: true })).written).not.toContain('token-1')
  expect((await type('show --reveal', { isTerminal: true })).written).toContain('registration_access_token token-1\n')
})

test('history tells what happened, with tokens by fingerprint', async () => {
  const { vault, type } = await prompt()
  await register(vault)
  await vault.worked(CLIENT_ID, { runId: 'r', step: 'read' })

  const { written } = await type('history 0c5b8a59')

  expect(written.replace(/#[\w-]{16}/g, '#…')).toBe(
    [
      '2026-01-02T03:04:07.000Z  registered  status 201  token #…  step "register" of run run-register',
      '2026-01-02T03:04:08.000Z  worked      token #…  step "read" of run r',
      '',
    ].join('\n'),
  )
})

test('an encrypted export is read by import in another vault, and adds nothing twice', async () => {
  const { folder, vault, type } = await prompt()
  await register(vault)
  const other = await prompt()

  expect(await type('export --out=clients.jwe')).toEqual({
    code: 0,
    written: '1 client(s) exported to clients.jwe\n',
  })
  const file = join(folder, 'clients.jwe')
  expect(await readFile(file, 'utf8')).not.toContain('token-1')
  if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await thrown(type('export --out=clients.jwe'))).message).toBe(
    'file "clients.jwe" cannot be written: it exists',
  )

  const imported = await other.type(`import ${file}`)
  expect([imported.code, imported.written.replace(/made: \S+;/, 'made: …;').replace(/#\S+/, '#…')]).toEqual([
    0,
    [
      CLIENT_ID,
      '  token #… is new to the vault: becomes the current one',
      `  registration_client_uri becomes ${URI}`,
      '! warning a vault key was made: …; without this file the vault cannot be read',
      'imported into the vault of "uat"; prove that it works: thredd vault check --online --env uat',
      '',
    ].join('\n'),
  ])
  expect((await other.type(`import ${file}`)).written).toMatch(
    /^\S+\n {2}nothing new: token #\S+ stays current\nnothing new\n$/,
  )
  expect((await other.vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe('token-1')
  const wrong = { passphrase: async () => new Secret('another passphrase', 'passphrase') }
  expect((await thrown(other.type(`import ${file}`, wrong))).message).toBe(
    `import "${file}" does not open with this passphrase`,
  )
  const short = { passphrase: async () => new Secret('short', 'passphrase') }
  expect((await thrown(type('export --out=other.jwe', short))).message).toBe(
    'the passphrase of the export is too short',
  )
})

test('variables in clear are exported only on request, and imported from Postman or a .env file', async () => {
  const { folder, vault, type } = await prompt()
  await register(vault)

  expect((await thrown(type('export --format=dotenv --out=x.env'))).problems[0]).toMatchObject({
    code: 'USAGE',
    message: 'format "dotenv" holds the registration access token in clear',
  })
  expect(await type('export --format=dotenv --reveal', { isTerminal: true })).toEqual({
    code: 0,
    written: `CLIENT_ID=${CLIENT_ID}\nREGISTRATION_ACCESS_TOKEN=token-1\nREGISTRATION_CLIENT_URI='${URI}'\n`,
  })
  for (const format of ['dotenv', 'postman']) {
    await type(`export --format=${format} --reveal --out=${format}.txt`)
    const other = await prompt()
    expect(await other.type(`import ${join(folder, `${format}.txt`)}`)).toMatchObject({ code: 0 })
    expect(await other.vault.current(CLIENT_ID)).toMatchObject({ registrationClientUri: URI })
    expect((await other.vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe('token-1')
  }
  await writeFile(join(folder, 'nothing.env'), 'FOO=bar\n')
  expect((await thrown(type(`import ${join(folder, 'nothing.env')}`))).message).toContain(
    'holds neither registration_access_token nor registration_client_uri',
  )
})

/** Three tokens, of which the newest is known to work. */
async function rotated(vault: Vault): Promise<void> {
  await register(vault)
  await ended(vault, 'update', 200, body('token-2'))
  await ended(vault, 'update', 200, body('token-3'))
  await vault.worked(CLIENT_ID)
}

test('stale files never take the place of the token that works, however many are imported', async () => {
  const { folder, vault, type } = await prompt()
  await rotated(vault)
  const file = async (token: string, more = {}) => {
    await writeFile(join(folder, `${token}.json`), JSON.stringify({ ...JSON.parse(body(token)), ...more }))
    return await type(`import ${token}.json`)
  }

  expect(await file('token-1')).toMatchObject({ code: 0, written: expect.stringContaining('nothing new: token #') })
  expect(await file('token-2')).toMatchObject({ code: 0, written: expect.stringContaining('stays current') })
  expect((await file('token-0', { registration_client_uri: 'https://old.example/' })).written).toMatch(
    /^\S+\n {2}token #(\S+) is new to the vault: is tried where #\S+ is refused\nimported into the vault of "uat"; prove that it works: thredd vault check --online --env uat\n$/,
  )

  const registration = await vault.current(CLIENT_ID)
  expect(registration?.registrationAccessToken?.reveal()).toBe('token-3')
  expect(registration?.registrationClientUri).toBe(URI)
  expect(registration?.fallbacks.map((one) => one.reveal())).toEqual(['token-0'])
})

test('of several saved answers the one that the vault has not seen is taken; of two such, none', async () => {
  const { folder, vault, type } = await prompt()
  await rotated(vault)
  const collection = (...tokens: string[]) => ({
    item: tokens.map((token) => ({ name: `answer ${token}`, response: [{ name: 'saved', body: body(token) }] })),
  })
  await writeFile(join(folder, 'one.json'), JSON.stringify(collection('token-1', 'token-2', 'token-4')))
  await writeFile(join(folder, 'two.json'), JSON.stringify(collection('token-1', 'token-5', 'token-6')))

  await type('import one.json')
  expect((await vault.tokens(CLIENT_ID)).map(({ state }) => state)).toEqual([
    'superseded',
    'superseded',
    'current',
    'fallback',
  ])

  const { problems } = await thrown(type('import two.json'))
  expect(problems[0]).toMatchObject({
    code: 'USAGE',
    message: `import "two.json" holds 2 registration access tokens of client "${CLIENT_ID}", and does not say which is the newest`,
    found: expect.stringMatching(/^#\S+ in "answer token-5" › "saved", #\S+ in "answer token-6" › "saved"$/),
    hint: 'remove or disable the older ones, and import again',
  })
})

test.each(['uat', 'prod'] as const)('on %s it shows what it would do, and asks', async (environmentClass) => {
  const { folder, vault, type } = await prompt()
  await writeFile(join(folder, 'answer.json'), body('token-1'))
  const at = { open: async () => ({ vault, environment: 'uat', class: environmentClass }) }
  let written = ''
  const shown = {
    ...at,
    write: (text: string) => {
      written += text
    },
  }

  expect((await thrown(type('import answer.json', shown))).problems).toEqual([
    {
      code: 'USAGE',
      message: `the import would change what the vault of "uat" holds of client "${CLIENT_ID}"; nothing was written`,
      expected: '--confirm <client_id> with the whole client id',
      hint: 'read above what would be done, then repeat the command with --confirm',
    },
  ])
  expect(written).toMatch(
    /^\S+\n {2}token #\S{16} is new to the vault: becomes the current one\n {2}registration_client_uri becomes \S+\n$/,
  )
  await thrown(type('import answer.json', { ...at, ask: async () => 'another' }))
  await thrown(type('import answer.json', { ...at, ask: async () => undefined }))
  await thrown(type('import answer.json --confirm=another', at))
  expect(await vault.current(CLIENT_ID)).toBeUndefined()

  expect((await type('import answer.json', { ...at, ask: async (id) => id })).code).toBe(0)
  expect((await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe('token-1')
  expect(await type('import answer.json', at)).toMatchObject({
    code: 0,
    written: expect.stringContaining('nothing new'),
  })
  expect(await type(`import answer.json --confirm=${CLIENT_ID}`, at)).toMatchObject({ code: 0 })
})

test('what is missing is added; which client is meant must be clear; what no server takes is refused unshown', async () => {
  const { folder, vault, type } = await prompt()
  const lines = (...text: string[]) => writeFile(join(folder, 'x.env'), text.join('\n'))

  await lines('RAT=token-1')
  expect((await thrown(type('import x.env'))).message).toBe('import "x.env" does not say which client it is of')
  await type(`import x.env ${CLIENT_ID}`)
  expect(await vault.current(CLIENT_ID)).toMatchObject({ registrationClientUri: undefined })
  await lines('RAT=token-1', `REGISTRATION_CLIENT_URI=${URI}`)
  await type(`import x.env ${CLIENT_ID}`)
  expect(await vault.current(CLIENT_ID)).toMatchObject({ registrationClientUri: URI })

  await writeFile(
    join(folder, 'two.json'),
    JSON.stringify([JSON.parse(body('token-1')), { ...JSON.parse(body('token-7')), client_id: 'other' }]),
  )
  expect((await thrown(type('import two.json'))).message).toBe('import "two.json" holds 2 client(s), and none is named')
  expect((await thrown(type('import two.json third'))).message).toBe(
    'import "two.json" holds 2 client(s), but not "third"',
  )
  await type('import two.json other')
  expect((await vault.current('other'))?.registrationAccessToken?.reveal()).toBe('token-7')

  for (const [line, member] of [
    ['RAT="two words"', 'registration_access_token'],
    ['REGISTRATION_CLIENT_URI=http://plain.example', 'registration_client_uri'],
  ] as const) {
    await lines(line)
    const { message } = await thrown(type(`import x.env ${CLIENT_ID}`))
    expect(message).toBe(`the ${member} of import "x.env" cannot be used`)
  }
  await expect(type('import .')).rejects.toThrow('file "." cannot be read: it is a folder')
})

test('a token that a shell would run is not written as a line of a .env file', async () => {
  const { vault, type } = await prompt()
  await register(vault, "it's$(touch owned)")

  expect((await thrown(type('export --format=dotenv --reveal', { isTerminal: true }))).problems[0]).toMatchObject({
    message:
      "the server's registration_access_token holds a quote, a line break or a character that cannot be seen, which no .env file carries safely",
    hint: 'export it with --format postman, or encrypted',
  })
})

test('rotate-key says what it did, and drops the earlier keys only when that is confirmed', async () => {
  const { vault, type } = await prompt()
  await register(vault)

  expect((await type('rotate-key')).written).toMatch(
    /^3 line\(s\) encrypted with a new key of file ".*\.key"\nearlier keys are kept for copies of the vault; remove them: thredd vault rotate-key --drop-earlier --confirm uat --env uat\n$/,
  )
  for (const line of ['rotate-key --drop-earlier', 'rotate-key --drop-earlier --confirm=prod'])
    expect((await thrown(type(line))).problems).toEqual([
      {
        code: 'USAGE',
        message:
          'the earlier keys would be dropped: whatever else was encrypted with them, such as a backup, is then lost',
        expected: '--confirm uat',
        hint: 'thredd vault rotate-key --drop-earlier --confirm uat --env uat',
      },
    ])
  expect(vault.ring?.keys).toHaveLength(2)
  expect((await type('rotate-key --drop-earlier --confirm=uat')).written).toMatch(
    /^3 line\(s\) encrypted with the first key of file ".*\.key"\n$/,
  )
  expect([vault.ring?.keys.length, (await vault.check()).problems]).toEqual([1, []])
})

test('forget needs the whole client id repeated', async () => {
  const { vault, type } = await prompt()
  await register(vault)

  expect((await thrown(type('forget 0c5b8a59'))).problems[0]).toMatchObject({
    message: `client "${CLIENT_ID}" is registered: without its record only Thredd can delete it`,
    expected: '--confirm <client_id> with the whole client id',
  })
  expect(await type(`forget 0c5b8a59 --confirm=${CLIENT_ID}`)).toEqual({
    code: 0,
    written: `forgotten: ${CLIENT_ID}\n`,
  })
})

test('recover goes through the open calls: it reads the client where it can, else prints what to do; --deleted-by-thredd settles them', async () => {
  const { vault, type } = await prompt()
  expect((await type('recover')).written).toBe('nothing is open: every call that changed a registration is settled\n')
  await (await vault.begin(call('register'))).close('unknown')
  expect(await type('recover')).toMatchObject({ code: 3, written: expect.stringContaining('open: register again') })

  const works: Probe = async () => ({
    kind: 'answered',
    status: 200,
    headers: [],
    body: body('token-1'),
    presented: PRESENTED,
  })
  const refuses: Probe = async () => ({
    kind: 'answered',
    status: 401,
    headers: CHALLENGE,
    body: '',
    presented: PRESENTED,
  })
  await register(vault)
  await (await vault.begin(call('update'))).close('unknown')
  expect(await type('recover', { probe: works })).toMatchObject({
    code: 0,
    written: expect.stringContaining('settled: the stored token works'),
  })
  await (await vault.begin(call('update'))).close('unknown')
  expect(await type('recover', { probe: refuses })).toMatchObject({
    code: 3,
    written: expect.stringContaining(`ask Thredd to delete the client, quoting Client ID "${CLIENT_ID}"`),
  })
  expect((await thrown(type('recover nobody --deleted-by-thredd'))).problems).toEqual([
    { code: 'USAGE', message: 'the vault holds no client "nobody"', hint: `there is "${CLIENT_ID}"` },
  ])
  expect(await type('recover 0c5b8a59 --deleted-by-thredd')).toEqual({
    code: 0,
    written: `${CLIENT_ID}\n  marked deleted by Thredd; 1 open call(s) settled\n`,
  })
  expect(await vault.unsettled()).toEqual([])
  expect(await vault.current(CLIENT_ID)).toBeUndefined()
})

const read = (lines: number) =>
  `all ${lines} line(s) decrypt, and follow each other; whether newer ones were cut off cannot be seen\n`

test('check counts what decrypts; with a connection it proves each token', async () => {
  const { folder, vault, type } = await prompt()
  await register(vault)
  expect(await type('check')).toEqual({ code: 0, written: read(3) })

  const status =
    (number: number): Probe =>
    async () => ({ kind: 'answered', status: number, headers: CHALLENGE, body: '{}', presented: PRESENTED })
  expect(await type('check', { probe: status(200) })).toMatchObject({ code: 0 })
  expect(await type('check', { probe: status(401) })).toEqual({
    code: 1,
    written: `${read(4)}${CLIENT_ID}\n  the server refuses the stored token with status 401\n`,
  })
  expect(await type('check', { probe: status(500) })).toMatchObject({ code: 3 })

  await appendFile(logIn(join(folder, 'vault')), 'foreign\n')
  expect(await type('check')).toEqual({
    code: 2,
    written: expect.stringMatching(/^error\[VAULT_UNREADABLE\]: line 6 of vault ".*" is no line of a vault/),
  })
})

test('an unknown word is answered with the nearest one', async () => {
  const { type } = await prompt()

  expect((await thrown(type('lsit'))).problems).toEqual([
    { code: 'USAGE', message: 'there is no "thredd vault lsit"', hint: 'did you mean "list"?' },
  ])
})
