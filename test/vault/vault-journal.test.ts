import { execFile } from 'node:child_process'
import { chmod, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { Secret } from '../../src/secret/index.ts'
import { type Probe, proveToken, recover, resolveVaultKey, type Vault } from '../../src/vault/index.ts'
import {
  asLeft,
  body,
  CLIENT_ID,
  call,
  filesIn,
  register,
  temporaryFolder,
  thrown,
  URI,
  vaultIn,
} from '../support/vault.ts'

const token = async (vault: Vault) => (await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()
const fallback = async (vault: Vault) => (await vault.current(CLIENT_ID))?.fallback?.reveal()
const answers =
  (status: number, text = ''): Probe =>
  async () => ({ kind: 'answered', status, body: text })

const later = () => new Date('2026-01-03T00:00:00.000Z')

/** Leaves a call open, as a process that died would. */
async function left(vault: Vault, effect: 'register' | 'update' | 'delete', status?: number, text = ''): Promise<void> {
  const intent = await vault.begin(call(effect))
  if (status === undefined) return intent.close('unknown')
  await intent.keep({ status, body: text })
  return intent.close('answered')
}

test('a call is on disk, encrypted, before it leaves, and its answer is in the record when the run ends', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)

  const intent = await vault.begin(call('register'))
  const [name = '', ...rest] = await filesIn(folder)
  expect([name, rest]).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.[0-9a-f]{16}-1\.journal$/), []])
  const content = await readFile(join(folder, name), 'latin1')
  // What the file is, and the call.
  expect(content).toMatch(/^(?:[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+\n){2}$/)
  const room = (await readdir(folder)).filter((file) => file.endsWith('.room'))
  expect(room).toEqual([expect.stringMatching(/^[0-9a-f]{16}\.room$/)])
  expect((await stat(join(folder, room[0] ?? ''))).size).toBe(256 * 1024)
  expect(await vault.unsettled()).toMatchObject([{ id: intent.id, clientId: CLIENT_ID, way: 'wait' }])

  const kept = await intent.keep({ status: 201, body: body('token-1') })
  await intent.close('answered')

  expect(kept).toMatchObject({ rotated: false, problem: undefined })
  expect(await vault.unsettled()).toEqual([])
  expect(await token(vault)).toBe('token-1')
  await vault.close()
  expect((await readdir(folder)).sort()).toEqual([
    expect.stringMatching(/^[0-9a-f]{32}\.jwe$/),
    expect.stringMatching(/^[0-9a-f]{32}\.lock$/),
    'vault.lock',
  ])
  expect(await token(vault)).toBe('token-1')
})

test('a call that was not sent leaves nothing behind; any other end without an answer stays open', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)

  await (await vault.begin(call('register'))).close('not-sent')
  expect(await vault.unsettled()).toEqual([])
  await vault.close()
  expect(await filesIn(folder)).toEqual([])

  {
    await using _ = await vault.begin(call('register'))
  }
  expect(await vault.unsettled()).toEqual([
    {
      id: expect.any(String),
      clientId: CLIENT_ID,
      effect: 'register',
      method: 'POST',
      url: 'https://auth.example/register',
      step: 'register',
      runId: 'run-register',
      purpose: 'kept',
      begunAt: '2026-01-02T03:04:06.000Z',
      status: undefined,
      way: 'retry',
      known: 'POST of step "register" in run run-register left at 2026-01-02T03:04:06.000Z; no answer was kept',
      next: `register again: where the first registration took place the server refuses the second, and then ask Thredd to delete the client, quoting Client ID "${CLIENT_ID}"`,
    },
  ])
  expect(await (await vaultIn(folder)).prepare(CLIENT_ID)).toEqual([
    expect.stringMatching(/^open register of client ".*": POST of step .*; register again/),
  ])
})

test.each([
  ['a registration', 'register', 201, body('token-2'), []],
  ['a registration without its token', 'register', 201, '{"client_id":"x"}', ['ask']],
  ['a registration in HTML', 'register', 201, '<html>', ['ask']],
  ['a refused registration', 'register', 400, '{}', []],
  ['a registration and a gateway that gave up', 'register', 504, '', ['ask']],
  ['an update without a token', 'update', 200, '{}', []],
  ['an update whose answer cannot be read', 'update', 200, '{"registration_access', ['read']],
  ['a refused update', 'update', 401, '', []],
  ['an update and a server error', 'update', 500, '', ['read']],
  ['a deletion', 'delete', 204, '', []],
  ['a deletion and a request timeout', 'delete', 408, '', ['read']],
] as const)('%s: the answer settles the call or says too little', async (_, effect, status, text, ways) => {
  const vault = await vaultIn(await temporaryFolder())
  if (effect !== 'register') await register(vault)

  await left(vault, effect, status, text)

  expect((await vault.unsettled()).map(({ way }) => way)).toEqual(ways)
})

test('a success of DELETE marks the client deleted', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)

  await left(vault, 'delete', 204)

  expect(await vault.current(CLIENT_ID)).toBeUndefined()
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'deleted'])
})

test('an answer whose bytes are no text is kept byte for byte', async () => {
  const vault = await vaultIn(await temporaryFolder())
  const bytes = Uint8Array.from([0xef, 0xbb, 0xbf, ...Buffer.from(body('token-1')), 0xff])

  const intent = await vault.begin(call('register'))
  await intent.keep({ status: 201, body: bytes })
  await intent.close('answered')

  const [client] = await vault.export()
  expect(client?.entries).toMatchObject([{ encoding: 'base64', body: Buffer.from(bytes).toString('base64') }])
})

test('recovering an update: the stored token works, so the call is settled and stands in the history', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)
  await left(vault, 'update')
  const [open] = await vault.unsettled()
  if (open === undefined) throw new Error('nothing is open')

  expect(open.way).toBe('read')
  expect(await recover(vault, open, { runId: 'r' })).toEqual({ settled: false, words: open.next })
  const result = await recover(vault, open, { probe: answers(200, body('token-1')), runId: 'r' })

  expect(result).toEqual({
    settled: true,
    words: 'the stored token works; compare its metadata with what was sent, and repeat the update if it is missing',
  })
  expect(await vault.unsettled()).toEqual([])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'settled', 'worked'])
})

test('recovering an update: the token is gone, so Thredd must delete the client; its word settles the call', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)
  await left(vault, 'update')
  const [open] = await vault.unsettled()
  if (open === undefined) throw new Error('nothing is open')

  expect(await recover(vault, open, { probe: answers(401), runId: 'r' })).toEqual({
    settled: false,
    words: `the server refuses the stored token with status 401; no usable token is left: ask Thredd to delete the client, quoting Client ID "${CLIENT_ID}" (Thredd CA > Applications > Details); when Thredd confirms: thredd vault recover "${CLIENT_ID}" --deleted-by-thredd, then register again`,
  })
  expect(await vault.unsettled()).toHaveLength(1)

  await vault.remove(CLIENT_ID)
  expect(await vault.unsettled()).toEqual([])
})

test.each([
  ['still works', 200, body('token-1'), true, 'the client was not deleted', 'token-1'],
  ['is refused', 401, '', true, 'the client is deleted', undefined],
  ['meets an error', 503, '', false, 'status 503; try again later', 'token-1'],
])('recovering a deletion: the token %s', async (_, status, text, settled, words, after) => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)
  await left(vault, 'delete')
  const [open] = await vault.unsettled()
  if (open === undefined) throw new Error('nothing is open')

  const result = await recover(vault, open, { probe: answers(status, text), runId: 'r' })

  expect(result).toEqual({ settled, words: expect.stringContaining(words) })
  expect(await token(vault)).toBe(after)
  expect(await vault.unsettled()).toHaveLength(settled ? 0 : 1)
})

test('recovering a registration: a second one that succeeds settles the first, one that is refused leads to Thredd', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await left(vault, 'register')

  await left(vault, 'register', 400, '{"error":"invalid_client_metadata"}')
  expect(await vault.unsettled()).toMatchObject([
    { way: 'ask', known: expect.stringContaining('; a later attempt was refused with status 400') },
  ])

  await register(vault, 'token-2')
  expect(await vault.unsettled()).toEqual([])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'settled'])
})

test('an answer that only the journal has is current, and the next start puts it into the record', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await register(vault)
  const intent = await vault.begin(call('update'))
  await intent.keep({ status: 200, body: body('token-2') })
  // As if the process had died between the journal and the record.
  const left = await asLeft(folder)

  const next = await vaultIn(left)
  expect(await token(next)).toBe('token-2')
  expect(await filesIn(left)).toEqual([expect.stringMatching(/\.journal$/)])
  await next.prepare()
  expect(await filesIn(left)).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.jwe$/)])
  expect([await token(next), await fallback(next), await next.unsettled()]).toEqual(['token-2', 'token-1', []])
})

test('an old DELETE that is found late does not bury a client registered after it', async () => {
  const folder = await temporaryFolder()
  const [vault, other] = [await vaultIn(folder), await vaultIn(folder, { now: later })]
  await register(vault)
  await vault.close()
  await left(vault, 'delete', 204)
  const journal = (await filesIn(folder)).find((name) => name.endsWith('.journal')) ?? ''
  await copyFile(join(folder, journal), join(folder, 'saved'))
  await rm(join(folder, journal))
  await register(other, 'token-2')
  await other.close()
  await copyFile(join(folder, 'saved'), join(folder, journal))
  await rm(join(folder, 'saved'))

  expect(await token(other)).toBe('token-2')
  await vault.close()
  await other.prepare()

  expect(await filesIn(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.jwe$/)])
  expect(await token(other)).toBe('token-2')
  expect(await other.unsettled()).toEqual([])
})

test('the token before the newest stays until the newest has worked', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)
  await left(vault, 'update', 200, body('token-2'))
  expect([await token(vault), await fallback(vault)]).toEqual(['token-2', 'token-1'])

  await vault.worked(CLIENT_ID)

  expect([await token(vault), await fallback(vault)]).toEqual(['token-2', undefined])
})

test('a fallback that works becomes current again', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)
  await left(vault, 'update', 200, body('token-2'))
  const registration = await vault.current(CLIENT_ID)
  if (registration === undefined) throw new Error('no registration')
  const probe: Probe = async (_, used) => ({
    kind: 'answered',
    status: used.reveal() === 'token-1' ? 200 : 401,
    body: '{}',
  })

  expect(await proveToken(vault, registration, probe, 'r')).toEqual({
    token: 'works',
    words: 'the token before the newest works, and is current again',
  })
  expect([await token(vault), await fallback(vault)]).toEqual(['token-1', 'token-2'])
})

test('a read that brings a new token keeps it, and the one it was read with as the one to fall back to', async () => {
  const vault = await vaultIn(await temporaryFolder())
  await register(vault)
  const registration = await vault.current(CLIENT_ID)
  if (registration === undefined) throw new Error('no registration')

  expect(await proveToken(vault, registration, answers(200, body('token-2')), 'r')).toEqual({
    token: 'works',
    words: 'the stored token works; the answer replaced it by a new one',
  })
  expect([await token(vault), await fallback(vault)]).toEqual(['token-2', 'token-1'])
})

test('a record that rotates at every answer stays small: old answers are kept by their fingerprint', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  for (let count = 0; count < 60; count++) {
    const answer = { body: body(`token-${count}`, { padding: 'x'.repeat(2000) }), status: 200, step: 's', runId: 'r' }
    await vault.keep(answer)
  }

  await vault.close()
  const [client] = await vault.export()
  const kinds = client?.entries.map((entry) => (entry as { kind: string }).kind) ?? []
  expect(kinds).toEqual(['answer', ...Array(54).fill('reduced'), ...Array(5).fill('answer')])
  expect([await token(vault), await fallback(vault)]).toEqual(['token-59', 'token-58'])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', ...Array(59).fill('rotated')])
})

test('compaction never drops the answer that the URI comes from', async () => {
  const vault = await vaultIn(await temporaryFolder())
  for (let count = 0; count < 60; count++) {
    const members = { client_id: CLIENT_ID, registration_access_token: `token-${count}` }
    const uri = count === 10 ? { registration_client_uri: URI } : {}
    await vault.keep({ body: JSON.stringify({ ...members, ...uri }), status: 200, step: 's', runId: 'r' })
  }

  expect(await vault.current(CLIENT_ID)).toMatchObject({ registrationClientUri: URI })
})

test('of two processes that change one client the second waits, then says who is in the way and that nothing was sent', async () => {
  const folder = await temporaryFolder()
  const [one, two] = [await vaultIn(folder), await vaultIn(folder)]
  const intent = await one.begin(call('register'))

  const error = await thrown(two.begin(call('register')))
  expect(error.problems).toEqual([
    {
      code: 'VAULT_UNWRITABLE',
      message: `client "${CLIENT_ID}" is being changed by another process`,
      found: expect.stringMatching(/^lock file ".*\.lock", still in use$/),
      hint: 'let the other run end, or stop it; nothing was sent',
    },
  ])
  expect(await two.unsettled()).toMatchObject([{ way: 'wait', next: 'another process is at it; let it end' }])

  const waiting = (await vaultIn(folder, { lockWaitMs: 10_000 })).begin(call('register'))
  await intent.close('unknown')
  await (await waiting).close('not-sent')
})

test('a lock holds against other processes whatever this one does beside it', async () => {
  const folder = await temporaryFolder()
  const one = await vaultIn(folder)
  await using _ = await one.begin(call('register'))
  const lock = join(folder, (await readdir(folder)).find((name) => /^[0-9a-f]{32}\.lock$/.test(name)) ?? '')

  // POSIX locks end when their process closes any handle on the file.
  await thrown((await vaultIn(folder)).begin(call('register')))
  await (await vaultIn(folder)).prepare(CLIENT_ID)

  const script = `
    import { DatabaseSync } from 'node:sqlite'
    try {
      new DatabaseSync(process.argv[1], { timeout: 0 }).exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      process.stdout.write('taken')
    } catch (error) {
      process.stdout.write(error.message)
    }`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, lock])
  expect(stdout).toBe('database is locked')
})

test('what a killed process left is put in its place or cleared away at the next start', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await register(vault)
  await vault.close()
  const [file = ''] = await filesIn(folder)
  await vault.prepare()
  await vault.keep({ body: body('token-2'), status: 200, step: 's', runId: 'r' })
  const copy = await asLeft(folder)
  // Killed in the middle of writing a record, with its lock and the space that it kept.
  await writeFile(join(copy, `${file}.00000000-0000-4000-8000-000000000000.tmp`), 'half a reco')
  const next = await vaultIn(copy)
  const was = 'was left by a process that died, or is being written'
  expect((await next.check()).warnings.map((text) => text.replace(/[0-9a-f]{16}\.room/, '….room')).sort()).toEqual([
    `"${join(copy, `${file}.00000000-0000-4000-8000-000000000000.tmp`)}" ${was}`,
    `"${join(copy, '….room')}" ${was}`,
  ])

  await next.prepare()

  expect(await token(next)).toBe('token-2')
  expect((await next.check()).warnings).toEqual([])
  await next.keep({ body: body('token-3'), status: 200, step: 's', runId: 'r' })
  await next.close()
  expect((await readdir(copy)).sort()).toEqual([file, file.replace('.jwe', '.lock'), 'vault.lock'])
  expect(await fallback(next)).toBe('token-2')
})

test('a damaged journal stops its client before anything is sent, is left as it is, and stops nothing else', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await register(vault)
  await vault.close()
  await left(vault, 'update')
  const copy = await asLeft(folder)
  const name = (await filesIn(copy)).find((file) => file.endsWith('.journal')) ?? ''
  const content = await readFile(join(copy, name))
  content[content.length - 30] = (content.at(-30) ?? 0) ^ 1
  await writeFile(join(copy, name), content)
  const next = await vaultIn(copy)
  const is = `line 2 of vault journal "${join(copy, name)}" was changed after it was written`

  for (const ask of [() => next.prepare(CLIENT_ID), () => next.current(CLIENT_ID), () => next.begin(call('update'))])
    expect((await thrown(ask())).problems).toEqual([
      { code: 'VAULT_UNREADABLE', message: is, hint: 'put the file back from a backup' },
    ])
  expect(await next.prepare('another client')).toEqual([`${is}; put the file back from a backup`])
  expect((await next.list()).unreadable.map(({ message }) => message)).toEqual([is])
  expect(await readFile(join(copy, name))).toEqual(content)
})

test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
  'a folder that cannot be written refuses before anything is sent',
  async () => {
    const folder = await temporaryFolder()
    const vault = await vaultIn(folder)
    await register(vault)
    await chmod(folder, 0o500)

    expect((await thrown(vault.begin(call('update')))).code).toBe('VAULT_UNWRITABLE')
    await chmod(folder, 0o700)
  },
)

test('a new key is put before the old one, everything is encrypted with it, and the old one can then be dropped', async () => {
  const folder = await temporaryFolder()
  const place = await temporaryFolder()
  const where = { defaultKeyFile: join(place, 'vault.key'), vaultDir: folder }
  const { ring } = await resolveVaultKey(where)
  const vault = await vaultIn(folder, { key: ring })
  await register(vault)
  await left(vault, 'update')
  const bystander = await vaultIn(folder, { key: (await resolveVaultKey(where)).ring })
  const old = Buffer.from(ring.keys[0] ?? [])

  // The open call stands in the record from now on.
  expect(await vault.rotateKey()).toEqual({ files: 1, made: true })
  expect(await vault.unsettled()).toMatchObject([{ effect: 'update' }])

  expect((await readFile(where.defaultKeyFile, 'utf8')).split('\n')).toEqual([
    expect.stringMatching(/^[\w-]{43}$/),
    old.toString('base64url'),
    '',
  ])
  // Another process that has the old key alone reads the new one when it needs it, and writes with it.
  expect(await token(bystander)).toBe('token-1')
  await bystander.keep({ body: body('token-2'), status: 200, step: 's', runId: 'r' })
  expect((await thrown(vault.rotateKey({ dropEarlier: true }))).message).toBe(
    'the vault key cannot be changed while another process writes to the vault',
  )
  await bystander.close()

  expect(await vault.rotateKey({ dropEarlier: true })).toMatchObject({ made: false })
  expect(ring.keys).toHaveLength(1)
  const fresh = await vaultIn(folder, { key: (await resolveVaultKey(where)).ring })
  expect(await token(fresh)).toBe('token-2')
  await expect((await vaultIn(folder, { key: old })).current(CLIENT_ID)).rejects.toThrow('was made with another key')
})

test('a change of keys that dies at any moment leaves everything readable and is finished by the next', async () => {
  const place = await temporaryFolder()
  for (let dieAt = 1; ; dieAt++) {
    const folder = await temporaryFolder()
    const where = { defaultKeyFile: join(place, `${dieAt}.key`), vaultDir: folder }
    const { ring } = await resolveVaultKey(where)
    let count = 0
    let dies = false
    const vault = await vaultIn(folder, {
      key: ring,
      checkpoint: () => {
        if (dies && ++count === dieAt) throw new Error('died')
      },
    })
    await register(vault)
    await left(vault, 'update')
    dies = true
    const died = await vault.rotateKey().then(
      () => false,
      () => true,
    )
    const next = await vaultIn(await asLeft(folder), { key: (await resolveVaultKey(where)).ring })

    expect(await token(next)).toBe('token-1')
    expect(await next.unsettled()).toHaveLength(1)
    await next.rotateKey({ dropEarlier: true })
    expect((await next.check()).problems).toEqual([])
    expect(await token(next)).toBe('token-1')
    if (!died) break
  }
})

test('a key from a variable is changed by the user: the new one, a comma, the old one', async () => {
  const folder = await temporaryFolder()
  const [old, fresh] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)].map((key) => key.toString('base64url'))
  const vault = await vaultIn(folder)
  await register(vault)
  await vault.close()
  const ringOf = async (text: string) =>
    (await resolveVaultKey({ key: new Secret(text, 'VAULT_KEY'), defaultKeyFile: '/none', vaultDir: folder })).ring

  const refused = await thrown((await vaultIn(folder, { key: await ringOf(`${old}`) })).rotateKey())
  expect(refused.problems[0]).toMatchObject({
    code: 'VAULT_KEY',
    message: 'the vault key comes from VAULT_KEY, which this tool cannot change',
  })
  expect(await (await vaultIn(folder, { key: await ringOf(`${fresh},${old}`) })).rotateKey()).toEqual({
    files: 1,
    made: false,
  })
  expect(await token(await vaultIn(folder, { key: await ringOf(`${fresh}`) }))).toBe('token-1')
})

test('no key is changed while a call is in flight', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await using _ = await vault.begin(call('register'))

  for (const one of [vault, await vaultIn(folder)])
    expect((await thrown(one.rotateKey())).problems[0]).toMatchObject({
      message: 'the vault key cannot be changed while another process writes to the vault',
    })
})

test('forgetting destroys the record, but not while a call is open', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await register(vault)
  await left(vault, 'update')
  expect((await thrown(vault.forget(CLIENT_ID))).problems[0]?.message).toBe(
    `a call of client "${CLIENT_ID}" is open; its record is not destroyed`,
  )
  await vault.worked(CLIENT_ID)

  await vault.close()
  await register(vault, 'token-2')
  const other = await vaultIn(folder)
  expect((await thrown(other.forget(CLIENT_ID))).problems[0]?.message).toBe(
    `another process has written down answers of client "${CLIENT_ID}"; its record is not destroyed`,
  )

  await vault.forget(CLIENT_ID)

  expect(await filesIn(folder)).toEqual([])
  expect([await token(vault), await token(other)]).toEqual([undefined, undefined])
})
