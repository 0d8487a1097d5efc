import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { performVault, type VaultIo } from '../../src/front/cli/vault.ts'
import { Secret } from '../../src/secret/index.ts'
import { Files } from '../../src/vault/files.ts'
import type { Probe, Vault } from '../../src/vault/index.ts'
import { keySource } from '../../src/vault/key.ts'
import { body, CLIENT_ID, call, logIn, register, temporaryFolder, thrown, URI, vaultIn } from '../support/vault.ts'

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
      { has: (flag) => flags.get(flag) === 'true', text: (flag) => flags.get(flag) },
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
        open: async () => ({ vault, environment: 'uat' }),
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
      `  next: read the client with the stored token: thredd vault recover ${CLIENT_ID} --online --env uat; if the token no longer works, ask Thredd to delete the client, quoting this Client ID`,
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
  expect([imported.code, imported.written.replace(/made: \S+;/, 'made: …;')]).toEqual([
    0,
    `! warning a vault key was made: …; without this file the vault cannot be read\n${CLIENT_ID}\n  1 new entry\n`,
  ])
  expect(await other.type(`import ${file}`)).toEqual({ code: 0, written: `${CLIENT_ID}\n  nothing new\n` })
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
    written: `CLIENT_ID=${CLIENT_ID}\nREGISTRATION_ACCESS_TOKEN=token-1\nREGISTRATION_CLIENT_URI=${URI}\n`,
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

  const works: Probe = async () => ({ kind: 'answered', status: 200, body: body('token-1') })
  const refuses: Probe = async () => ({ kind: 'answered', status: 401, body: '' })
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
    async () => ({ kind: 'answered', status: number, body: '{}' })
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
