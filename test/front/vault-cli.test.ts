import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { performVault, type VaultIo } from '../../src/front/cli/vault.ts'
import { Secret } from '../../src/secret/index.ts'
import { type Probe, resolveVaultKey, type Vault } from '../../src/vault/index.ts'
import { body, CLIENT_ID, call, register, temporaryFolder, thrown, URI, vaultIn } from '../support/vault.ts'

const PASSPHRASE = 'correct horse battery staple'

/** `thredd vault` at a vault of its own; `type` is what a person types behind it. */
async function prompt(more: Partial<VaultIo> = {}) {
  const folder = await temporaryFolder()
  const { ring } = await resolveVaultKey({ defaultKeyFile: join(folder, 'vault.key'), vaultDir: join(folder, 'vault') })
  const vault = await vaultIn(join(folder, 'vault'), { key: ring })
  return { folder, vault, type: typing(vault, { folder, ...more }, ring) }
}

function typing(vault: Vault, more: Partial<VaultIo>, ring: Awaited<ReturnType<typeof resolveVaultKey>>['ring']) {
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
        open: async () => ({ vault, ring, environment: 'uat', warnings: [] }),
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
      '  registered, answer of 2026-01-02T03:04:06.000Z',
      `open update of ${CLIENT_ID}`,
      '  PUT of step "update" in run run-update left at 2026-01-02T03:04:07.000Z; no answer was kept',
      `  next: read the client with the stored token: thredd vault recover "${CLIENT_ID}" --online; if the token no longer works, ask Thredd to delete the client, quoting this Client ID`,
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
      '2026-01-02T03:04:06.000Z  registered  status 201  token #…  step "register" of run run-register',
      '2026-01-02T03:04:07.000Z  worked      token #…  step "read" of run r',
      '',
    ].join('\n'),
  )
})

test('show and history mention earlier registrations that are only counted, and an import restores none of them', async () => {
  const { folder, vault, type } = await prompt()
  for (let life = 0; life < 20; life++) {
    await register(vault, `token-${life}`)
    await vault.remove(CLIENT_ID)
  }
  await type('export --out=before.jwe')
  for (let life = 20; life < 25; life++) {
    await register(vault, `token-${life}`)
    await vault.remove(CLIENT_ID)
  }
  await vault.close()

  const words = 'registrations before: 5, the first of 2026-01-02T03:04:06.000Z; only their number is kept'
  expect((await type('show')).written).toMatch(new RegExp(`^earlier {19}${words}$`, 'm'))
  expect((await type('history')).written.split('\n')[0]).toMatch(new RegExp(`^\\S+Z  counted     ${words}$`))
  expect((await type(`import ${join(folder, 'before.jwe')}`)).written).toBe(`${CLIENT_ID}\n  nothing new\n`)
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

  expect(await other.type(`import ${file}`)).toEqual({ code: 0, written: `${CLIENT_ID}\n  1 new entry\n` })
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

test('rotate-key says what it did and that the earlier key is still there', async () => {
  const { vault, type } = await prompt()
  await register(vault)

  expect((await type('rotate-key')).written).toMatch(
    /^1 file\(s\) encrypted with a new key of file ".*vault\.key"\nearlier keys are kept .*--drop-earlier\n$/,
  )
  expect((await type('rotate-key --drop-earlier')).written).toMatch(/^1 file\(s\) encrypted with the first key of file/)
  expect((await vault.check()).problems).toEqual([])
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

test('check counts what decrypts; with a connection it proves each token', async () => {
  const { folder, vault, type } = await prompt()
  await register(vault)
  expect(await type('check')).toEqual({ code: 0, written: '1 of 1 file(s) decrypt\n' })

  const status =
    (number: number): Probe =>
    async () => ({ kind: 'answered', status: number, body: '{}' })
  expect(await type('check', { probe: status(200) })).toMatchObject({ code: 0 })
  expect(await type('check', { probe: status(401) })).toEqual({
    code: 1,
    written: `1 of 1 file(s) decrypt\n${CLIENT_ID}\n  the server refuses the stored token with status 401\n`,
  })
  expect(await type('check', { probe: status(500) })).toMatchObject({ code: 3 })

  await writeFile(join(folder, 'vault', `${'0'.repeat(32)}.jwe`), 'foreign')
  expect(await type('check')).toEqual({
    code: 2,
    written: expect.stringMatching(/^1 of 2 file\(s\) decrypt\nerror\[VAULT_UNREADABLE\]: .* is not a vault record/),
  })
})

test('an unknown word is answered with the nearest one', async () => {
  const { type } = await prompt()

  expect((await thrown(type('lsit'))).problems).toEqual([
    { code: 'USAGE', message: 'there is no "thredd vault lsit"', hint: 'did you mean "list"?' },
  ])
})
