import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { decryptDirect, encryptDirect } from '../../src/identity/jwt.ts'
import type { ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'
import { fingerprint, openVault, type Registration, resolveVaultKey, type Vault } from '../../src/vault/index.ts'
import { filesIn } from '../support/vault.ts'

const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/0c5b8a59'
const URI = 'https://auth.example/register/https%3A%2F%2Frp.example%2F0c5b8a59?x=%7e'
const KEPT_AT = '2026-01-02T03:04:05.678Z'
/** What is kept next counts as later, also where the clock stands still. */
const JUST_AFTER = '2026-01-02T03:04:05.679Z'
const KEY = randomBytes(32)
const onWindows = process.platform === 'win32'

const answerOf = (members: Record<string, unknown>, more: Partial<Parameters<Vault['keep']>[0]> = {}) => ({
  body: JSON.stringify(members),
  status: 201,
  step: 'register',
  runId: 'run-1',
  ...more,
})
const registered = (token: string) => ({
  client_id: CLIENT_ID,
  registration_access_token: token,
  registration_client_uri: URI,
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vault-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function vaultIn(folder: string, more: Partial<Parameters<typeof openVault>[0]> = {}): Promise<Vault> {
  return openVault({ folder, key: KEY, environment: 'uat', now: () => new Date(KEPT_AT), lockWaitMs: 200, ...more })
}

/** A vault with one registration in its record. */
async function filled() {
  const folder = join(await temporaryFolder(), 'vault')
  const vault = await vaultIn(folder)
  await vault.keep(answerOf(registered('token-1')))
  await vault.close()
  const file = (await filesIn(folder)).find((name) => name.endsWith('.jwe')) ?? ''
  return { folder, vault, file: join(folder, file) }
}

async function thrown(promise: Promise<unknown>): Promise<ToolError> {
  return (await promise.then(
    () => expect.unreachable('nothing was thrown'),
    (error: unknown) => error,
  )) as ToolError
}

function plain(registration: Registration | undefined) {
  return (
    registration && { ...registration, registrationAccessToken: registration.registrationAccessToken?.reveal() ?? null }
  )
}

/** What stands in the record, by the library's own means rather than the vault's. */
async function entriesOf(file: string): Promise<Record<string, unknown>[]> {
  const decrypted = await decryptDirect(await readFile(file, 'latin1'), KEY)
  if (!decrypted.ok) throw new Error(decrypted.because)
  return JSON.parse(Buffer.from(decrypted.plaintext).toString()).entries
}

/** The tokens of all answers in the record by fingerprint, oldest first. */
async function tokensIn(file: string): Promise<string[]> {
  return (await entriesOf(file)).map(({ token, body }) =>
    String(token ?? fingerprint(JSON.parse(String(body)).registration_access_token)),
  )
}

test('a registration is read back as it was answered, without its credentials among the metadata', async () => {
  const vault = await vaultIn(join(await temporaryFolder(), 'vault'))
  const answer = answerOf({
    ...registered('token-1'),
    client_secret: 's',
    hashed_secret: 'h',
    software_statement: 'a.b.c',
    scopes: ['cards.read'],
  })

  const kept = await vault.keep(answer)

  const expected = {
    clientId: CLIENT_ID,
    registrationAccessToken: 'token-1',
    registrationClientUri: URI,
    metadata: { client_id: CLIENT_ID, scopes: ['cards.read'] },
    scopes: ['cards.read'],
    softwareStatementSha256: createHash('sha256').update('a.b.c').digest('base64url'),
    fallback: undefined,
    workedAt: undefined,
    keptAt: KEPT_AT,
    runId: 'run-1',
    step: 'register',
    deletedAt: undefined,
    origin: { at: '2026-01-02T03:04:05.678Z', runId: 'run-1', step: 'register', purpose: 'kept' },
    past: undefined,
  }
  expect(plain(kept?.registration)).toEqual(expected)
  expect({ rotated: kept?.rotated, problem: kept?.problem }).toEqual({ rotated: false, problem: undefined })
  expect(plain(await vault.current(CLIENT_ID))).toEqual(expected)
})

test('the file holds the raw answer encrypted, under a name that tells nothing, for the owner only', async () => {
  const { folder, file } = await filled()

  expect(await filesIn(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.jwe$/)])
  const content = await readFile(file, 'latin1')
  expect(content).toMatch(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/)
  for (const secret of ['token-1', URI, CLIENT_ID]) expect(content).not.toContain(secret)
  expect(await entriesOf(file)).toEqual([
    {
      kind: 'answer',
      keptAt: KEPT_AT,
      runId: 'run-1',
      step: 'register',
      status: 201,
      body: JSON.stringify(registered('token-1')),
    },
  ])
})

test.skipIf(onWindows)('the folder is made for the owner only, and so is every file in it', async () => {
  const { folder, file } = await filled()

  expect([(await stat(folder)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600])
})

test.each([
  ['an answer without the two members', answerOf({ client_id: CLIENT_ID }), false],
  ['an error answer that repeats the token', answerOf(registered('token-1'), { status: 400 }), false],
  ['a redirect', answerOf(registered('token-1'), { status: 302 }), false],
  ['an empty answer', { ...answerOf({}), status: 204, body: '' }, false],
  ['only the token', answerOf({ client_id: CLIENT_ID, registration_access_token: 'token-1' }), true],
  ['only the URI', answerOf({ client_id: CLIENT_ID, registration_client_uri: URI }), true],
  ['a token that is a number', answerOf({ client_id: CLIENT_ID, registration_access_token: 7 }), true],
  ['a token that is null', answerOf({ client_id: CLIENT_ID, registration_access_token: null }), true],
  ['a client_id that is an object', answerOf({ ...registered('token-1'), client_id: {} }), true],
  ['members in a wrapper', answerOf({ data: registered('token-1') }), true],
  ['JSON cut in the middle', { ...answerOf({}), body: JSON.stringify(registered('token-1')).slice(0, -3) }, true],
  ['JSON behind a byte order mark', { ...answerOf({}), body: `\uFEFF${JSON.stringify(registered('token-1'))}` }, true],
  ['a name written with escapes', { ...answerOf({}), body: '{"registration\\u005faccess_token":"token-1"}' }, true],
  ['an unpaired surrogate', answerOf({ ...registered('token-1'), client_name: '\ud800' }), true],
])('%s: kept as it came, or not kept at all', async (_, answer, isKept) => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)

  const kept = await vault.keep(answer)
  await vault.close()

  expect(kept !== undefined).toBe(isKept)
  const files = await filesIn(folder)
  const bodies = await Promise.all(files.map(async (file) => (await entriesOf(join(folder, file)))[0]?.body))
  expect(bodies).toEqual(isKept ? [answer.body] : [])
})

test('an answer that names no client is kept for the client the request was about, else under its run and step', async () => {
  const vault = await vaultIn(await temporaryFolder())
  const answer = answerOf({ registration_access_token: 'token-2', registration_client_uri: URI })

  expect((await vault.keep({ ...answer, clientId: CLIENT_ID }))?.registration.clientId).toBe(CLIENT_ID)
  expect((await vault.keep(answer))?.registration.clientId).toBe('unknown (run run-1, step register)')
})

test('a new token becomes the current one and the earlier one stays in the record', async () => {
  const { vault, file } = await filled()

  const kept = await vault.keep(answerOf(registered('token-2'), { status: 200, step: 'update', runId: 'run-2' }))

  expect(kept?.rotated).toBe(true)
  expect((await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe('token-2')
  await vault.close()
  expect(
    (await entriesOf(file)).map(({ runId, body }) => [runId, JSON.parse(String(body)).registration_access_token]),
  ).toEqual([
    ['run-1', 'token-1'],
    ['run-2', 'token-2'],
  ])
})

test('an answer with only one of the two members leaves the other as it was', async () => {
  const { vault } = await filled()

  await vault.keep(answerOf({ client_id: CLIENT_ID, registration_access_token: 'token-2' }))
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({
    registrationAccessToken: 'token-2',
    registrationClientUri: URI,
  })

  await vault.keep(answerOf({ client_id: CLIENT_ID, registration_client_uri: 'https://other.example/' }))
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({
    registrationAccessToken: 'token-2',
    registrationClientUri: 'https://other.example/',
  })
})

test('an answer with unusable members is kept but replaces nothing', async () => {
  const { vault, file } = await filled()

  const kept = await vault.keep(answerOf({ client_id: CLIENT_ID, registration_access_token: 7 }, { step: 'update' }))

  expect(plain(kept?.registration)).toMatchObject({ registrationAccessToken: 'token-1', step: 'register' })
  expect(kept?.rotated).toBe(false)
  await vault.close()
  expect(await entriesOf(file)).toHaveLength(2)
})

test('reading a client again and again does not make the record grow', async () => {
  const { vault, file } = await filled()

  const kept = await vault.keep(answerOf(registered('token-1'), { status: 200, step: 'read', runId: 'run-2' }))

  expect(plain(kept?.registration)).toMatchObject({ registrationAccessToken: 'token-1', runId: 'run-1' })
  await vault.close()
  expect(await entriesOf(file)).toHaveLength(1)
})

test('a deleted client is marked, not destroyed, and a new registration takes nothing from the old one', async () => {
  const { vault, file } = await filled()

  await vault.remove(CLIENT_ID, { runId: 'run-2', step: 'delete' })
  await vault.remove(CLIENT_ID)
  await vault.remove('never seen')

  expect(await vault.current(CLIENT_ID)).toBeUndefined()
  expect((await vault.list()).registrations.map(plain)).toEqual([
    expect.objectContaining({ clientId: CLIENT_ID, registrationAccessToken: 'token-1', deletedAt: JUST_AFTER }),
  ])
  await vault.close()
  expect((await entriesOf(file)).at(-1)).toEqual({
    kind: 'deleted',
    keptAt: JUST_AFTER,
    runId: 'run-2',
    step: 'delete',
  })

  const kept = await vault.keep(answerOf({ client_id: CLIENT_ID, registration_access_token: 'token-9' }))
  expect(kept?.rotated).toBe(false)
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({
    registrationAccessToken: 'token-9',
    registrationClientUri: undefined,
  })
})

test('environments and clients do not mix, and a folder that does not exist yet holds none', async () => {
  const folder = join(await temporaryFolder(), 'vault')
  const uat = await vaultIn(folder)
  const production = await vaultIn(folder, { environment: 'prod' })
  expect([await uat.current(CLIENT_ID), await uat.list()]).toEqual([undefined, { registrations: [], unreadable: [] }])

  await uat.keep(answerOf({ ...registered('token-b'), client_id: 'b' }))
  await uat.keep(answerOf({ ...registered('token-a'), client_id: 'a' }))
  await production.keep(answerOf({ ...registered('token-p'), client_id: 'a' }))

  const tokens = async (vault: Vault) =>
    (await vault.list()).registrations.map(plain).map((one) => [one?.clientId, one?.registrationAccessToken])
  expect(await tokens(uat)).toEqual([
    ['a', 'token-a'],
    ['b', 'token-b'],
  ])
  expect(await tokens(production)).toEqual([['a', 'token-p']])
})

test.each([
  [
    'the wrong key',
    async () => undefined,
    randomBytes(32),
    'was made with another key',
    { hint: 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with' },
  ],
  [
    'a flipped bit',
    async (file: string) => {
      const bytes = await readFile(file)
      bytes[bytes.length - 30] = (bytes.at(-30) ?? 0) ^ 1
      await writeFile(file, bytes)
    },
    KEY,
    'was changed after it was written',
    { hint: 'put the file back from a backup' },
  ],
  [
    'a file cut short',
    async (file: string) => writeFile(file, (await readFile(file)).subarray(0, -40)),
    KEY,
    'is cut short',
    { hint: 'put the file back from a backup' },
  ],
  [
    'an empty file',
    async (file: string) => writeFile(file, ''),
    KEY,
    'is empty',
    { hint: 'put the file back from a backup' },
  ],
  [
    'a record of a newer format',
    async (file: string) => writeFile(file, await encryptDirect(Buffer.from('{"vaultVersion":4}'), KEY)),
    KEY,
    'was written by a newer version of this tool',
    { expected: 'format 3', found: 'format 4', hint: 'update the tool; the record is left as it is' },
  ],
  [
    'a record of a format that is no longer read',
    async (file: string) => writeFile(file, await encryptDirect(Buffer.from('{"vaultVersion":2}'), KEY)),
    KEY,
    'was written by an older version of this tool, whose format is no longer read',
    {
      expected: 'format 3',
      found: 'format 2',
      hint: 'read it with that version; the record is left as it is',
    },
  ],
  [
    'a foreign file',
    async (file: string) => writeFile(file, '{"registration_access_token":"in clear"}'),
    KEY,
    'is not a vault record',
    { hint: 'move it out of the vault folder' },
  ],
  [
    'foreign content under our key',
    async (file: string) => writeFile(file, await encryptDirect(Buffer.from('{"vaultVersion":3}'), KEY)),
    KEY,
    'opens with this key but is no record of this tool',
    { hint: 'move it out of the vault folder' },
  ],
  [
    'a folder in place of the record',
    async (file: string) => {
      await rm(file)
      await mkdir(file)
    },
    KEY,
    'cannot be read',
    { found: 'a folder where a file should be (EISDIR)' },
  ],
])(
  '%s has a message of its own, stops the run before it sends, and is never overwritten',
  async (_, spoil, key, is, rest) => {
    const { folder, file } = await filled()
    await spoil(file)
    const before = await contentOf(file)
    const vault = await vaultIn(folder, { key })

    const error = await thrown(vault.prepare(CLIENT_ID))
    expect(error.problems[0]).toMatchObject({
      code: 'VAULT_UNREADABLE',
      message: `vault record "${file}" ${is}`,
      ...rest,
    })
    expect(await thrown(vault.current(CLIENT_ID))).toMatchObject({ code: 'VAULT_UNREADABLE', message: error.message })
    expect(await thrown(vault.remove(CLIENT_ID))).toMatchObject({ code: 'VAULT_UNREADABLE', message: error.message })

    // An answer that comes all the same is kept in a journal, and stays there.
    const kept = await vault.keep(answerOf(registered('token-2')))
    expect(kept?.problem).toMatchObject({ code: 'VAULT_UNREADABLE', message: error.message })
    await vault.close()
    await vault.prepare()
    expect(await contentOf(file)).toEqual(before)
    const { registrations, unreadable } = await vault.list()
    expect(registrations.map(plain)).toEqual([expect.objectContaining({ registrationAccessToken: 'token-2' })])
    expect(unreadable.map(({ message }) => message)).toEqual([error.message])
  },
)

async function contentOf(file: string): Promise<Buffer | string> {
  return (await stat(file)).isDirectory() ? 'a folder' : readFile(file)
}

test('what could not move into the record moves there as soon as that can be read', async () => {
  const { folder, vault, file } = await filled()
  const record = await readFile(file)
  await writeFile(file, record.subarray(0, 100))
  await vault.keep(answerOf(registered('token-2')))
  await vault.close()
  expect(await filesIn(folder)).toHaveLength(2)
  await writeFile(file, record)

  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({ registrationAccessToken: 'token-2' })
  const kept = await vault.keep(answerOf(registered('token-3')))
  await vault.prepare()
  await vault.close()

  expect(kept).toMatchObject({ rotated: true, problem: undefined })
  expect(await filesIn(folder)).toHaveLength(1)
  const tokens = (await entriesOf(file)).map(({ body }) => JSON.parse(String(body)).registration_access_token)
  expect(tokens).toEqual(['token-1', 'token-2', 'token-3'])
})

test('a journal that comes back after it had moved into the record brings no news', async () => {
  const { folder, vault, file } = await filled()
  await vault.keep(answerOf(registered('token-2')))
  const journal = (await filesIn(folder)).find((name) => name.endsWith('.journal')) ?? ''
  const content = await readFile(join(folder, journal))
  await vault.close()
  await writeFile(join(folder, journal), content)

  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({ registrationAccessToken: 'token-2' })
  await vault.remove(CLIENT_ID)
  await vault.prepare()
  await vault.close()
  expect((await entriesOf(file)).map(({ kind }) => kind)).toEqual(['answer', 'answer', 'deleted'])
  expect(await filesIn(folder)).toHaveLength(1)
})

test('each byte of a record, flipped once, is found', async () => {
  const { vault, file } = await filled()
  const record = await readFile(file)

  const survivors: number[] = []
  for (let index = 0; index < record.length; index++) {
    const copy = Buffer.from(record)
    copy[index] = (copy[index] ?? 0) ^ (1 << (index % 8))
    await writeFile(file, copy)
    const found = await vault.current(CLIENT_ID).then(
      () => undefined,
      (error: ToolError) => error.code,
    )
    if (found !== 'VAULT_UNREADABLE') survivors.push(index)
  }

  expect(survivors).toEqual([])
  await writeFile(file, record)
  expect(await vault.current(CLIENT_ID)).toBeDefined()
})

test('a record under the name of another one is refused', async () => {
  const { folder, vault, file } = await filled()
  const production = await vaultIn(folder, { environment: 'prod' })
  await production.keep(answerOf(registered('token-p')))
  await production.close()
  const other = (await filesIn(folder)).map((name) => join(folder, name)).find((name) => name !== file) ?? ''
  await rename(other, file)

  const error = await thrown(vault.current(CLIENT_ID))
  expect(error.problems[0]).toEqual({
    code: 'VAULT_UNREADABLE',
    message: `vault record "${file}" has the name of another record`,
    found: `the record of client "${CLIENT_ID}" in environment "prod"`,
    hint: 'it was renamed or copied; put it back where it came from',
  })
})

test('members that a later release adds survive a rewrite by this one', async () => {
  const { vault, file } = await filled()
  const [entry] = await entriesOf(file)
  const entries = [{ ...entry, proven: true }]
  const record = { vaultVersion: 3, environment: 'uat', clientId: CLIENT_ID, entries, intents: [], folded: {} }
  await writeFile(file, await encryptDirect(Buffer.from(JSON.stringify(record)), KEY))

  await vault.keep(answerOf(registered('token-2')))
  await vault.close()

  expect((await entriesOf(file))[0]).toEqual({ ...entry, proven: true })
})

test('a prepared vault leaves nothing behind and has nothing to say', async () => {
  const folder = join(await temporaryFolder(), 'deep', 'vault')

  const vault = await vaultIn(folder)
  expect(await vault.prepare(CLIENT_ID)).toEqual([])
  await vault.close()
  expect(await readdir(folder)).toEqual(['vault.lock'])
})

test('a folder that cannot be written is refused before anything is sent', async () => {
  const place = await temporaryFolder()
  await writeFile(join(place, 'file'), '')

  const inPlace = await thrown((await vaultIn(join(place, 'file'))).prepare())
  expect(inPlace.problems[0]).toEqual({
    code: 'VAULT_UNWRITABLE',
    message: `vault folder "${join(place, 'file')}" cannot be written`,
    found: 'something else with the name of the folder (EEXIST)',
    hint: 'make room or give access, or name another folder with VAULT_DIR',
  })
  const below = await vaultIn(join(place, 'file', 'vault'))
  expect((await thrown(below.prepare())).problems[0]).toMatchObject({
    code: 'VAULT_UNWRITABLE',
    found: 'a file where a folder should be (ENOTDIR)',
  })
  expect(await thrown(below.keep(answerOf(registered('token-1'))))).toMatchObject({ code: 'VAULT_UNWRITABLE' })
  expect(await thrown(below.list())).toMatchObject({ code: 'VAULT_UNREADABLE' })
})

// A limit on the size of files (ulimit -f, in blocks) fails real writes where a full disk would, for root too.
test.skipIf(onWindows)(
  'a disk without room is noticed before sending, and a failed write leaves the record whole',
  async () => {
    const { folder, vault, file } = await filled()
    const before = await readFile(file)
    const script = (call: string) => `
    import { openVault } from '${pathToFileURL(join(import.meta.dirname, '../../src/vault/index.ts'))}'
    const vault = await openVault({ folder: '${folder}', key: Buffer.from('${KEY.toString('hex')}', 'hex'), environment: 'uat', now: () => new Date() })
    const body = JSON.stringify({ ...${JSON.stringify(registered('token-2'))}, padding: 'x'.repeat(100_000) })
    await vault.${call}.then(() => console.log('done'), (error) => console.log(error.code, error.problems[0].found))`
    const limited = (call: string) =>
      promisify(execFile)('sh', [
        '-c',
        'ulimit -f 16; exec "$0" --input-type=module -e "$1"',
        process.execPath,
        script(call),
      ])

    expect((await limited('prepare()')).stdout).toBe('VAULT_UNWRITABLE a limit on the size of files (EFBIG)\n')
    expect((await limited(`keep({ body, status: 200, step: 'update', runId: 'run-2' })`)).stdout).toBe(
      'VAULT_UNWRITABLE a limit on the size of files (EFBIG)\n',
    )
    expect(await readFile(file)).toEqual(before)
    expect(await vault.prepare(CLIENT_ID)).toEqual([])
    expect((await filesIn(folder)).map((name) => join(folder, name))).toEqual([file])
  },
)

test.skipIf(onWindows)('permissions open to other users are warned of', async () => {
  const { folder, vault, file } = await filled()
  await chmod(folder, 0o755)
  await chmod(file, 0o640)

  expect(await vault.prepare()).toEqual([
    `vault folder "${folder}" is open to other users (mode 755); close it with chmod 700`,
    `vault record "${file}" is open to other users (mode 640); close it with chmod 600`,
  ])
})

test('answers kept at the same moment in one process all stay, in order', async () => {
  const folder = await temporaryFolder()
  const [one, two] = [await vaultIn(folder), await vaultIn(folder)]
  const tokens = Array.from({ length: 20 }, (_, index) => `token-${index}`)

  await Promise.all(tokens.map((token) => one.keep(answerOf(registered(token)))))
  await one.close()
  await Promise.all(
    ['a', 'b'].flatMap((token) => [one, two].map((vault, n) => vault.keep(answerOf(registered(token + n))))),
  )
  await Promise.all([one.close(), two.close()])

  const [file = '', ...rest] = await filesIn(folder)
  expect(rest).toEqual([])
  const kept = await tokensIn(join(folder, file))
  expect(kept.slice(0, 20)).toEqual(tokens.map(fingerprint))
  expect(kept.slice(20).sort()).toEqual(['a0', 'a1', 'b0', 'b1'].map(fingerprint).sort())
})

test('two processes that keep answers of one client lose none of them', async () => {
  const folder = await temporaryFolder()
  const script = (name: string) => `
    import { openVault } from '${pathToFileURL(join(import.meta.dirname, '../../src/vault/index.ts'))}'
    const vault = await openVault({ folder: '${folder}', key: Buffer.from('${KEY.toString('hex')}', 'hex'), environment: 'uat', now: () => new Date() })
    for (let count = 0; count < 15; count++) {
      const body = JSON.stringify({ ...${JSON.stringify(registered(''))}, registration_access_token: '${name}' + count })
      const kept = await vault.keep({ body, status: 200, step: 'update', runId: '${name}' })
      if (kept.problem !== undefined) throw new Error(kept.problem.message)
    }
    if (process.argv.at(-1) === 'closed') await vault.close()`
  const run = (name: string, ...then: string[]) =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', script(name), '--', ...then])

  // One ends in order and the other does not.
  await Promise.all([run('a', 'closed'), run('b')])
  await (await vaultIn(folder)).prepare()

  const [file = '', ...rest] = await filesIn(folder)
  expect(rest).toEqual([])
  const kept = await tokensIn(join(folder, file))
  const expected = (name: string) => Array.from({ length: 15 }, (_, index) => fingerprint(name + index))
  expect(kept).toHaveLength(30)
  for (const name of ['a', 'b']) expect(kept.filter((token) => expected(name).includes(token))).toEqual(expected(name))
})

/** A process that takes the lock and holds it until it is killed. */
async function holder(lock: string) {
  const script = `
    import { DatabaseSync } from 'node:sqlite'
    const database = new DatabaseSync(process.argv[1])
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    process.stdout.write('held')
    setInterval(() => database, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, lock])
  const kill = async () => {
    const gone = once(child, 'close')
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await kill()
  })
  await once(child.stdout, 'data')
  return { kill }
}

test('a lock dies with the process that held it: nobody waits for a dead one', async () => {
  const { folder, vault } = await filled()
  const other = await holder(join(folder, 'vault.lock'))
  await other.kill()
  const patient = await vaultIn(folder, { lockWaitMs: 0 })

  expect(await patient.keep(answerOf(registered('token-2')))).toMatchObject({ rotated: true, problem: undefined })
  await patient.close()
  expect(await filesIn(folder)).toHaveLength(1)
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({ registrationAccessToken: 'token-2' })
})

test('a lock held for too long stops what destroys, and an answer is kept all the same', async () => {
  const { folder, vault, file } = await filled()
  const lock = join(folder, 'vault.lock')
  const before = await readFile(file)
  const other = await holder(lock)

  const error = await thrown(vault.forget(CLIENT_ID))
  const kept = await vault.keep(answerOf(registered('token-2')))
  await vault.close()

  const problem = {
    code: 'VAULT_UNWRITABLE',
    message: 'the vault has been locked by another process for too long',
    found: `lock file "${lock}", still in use`,
    hint: 'let the other run end, or stop it',
  }
  expect(error.problems).toEqual([problem])
  expect((await thrown(vault.prepare())).problems).toEqual([problem])
  expect(kept).toMatchObject({ rotated: true, problem: undefined })
  expect(await readFile(file)).toEqual(before)
  expect(await filesIn(folder)).toHaveLength(2)
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({ registrationAccessToken: 'token-2' })
  await other.kill()
  await vault.prepare()
  expect(await filesIn(folder)).toHaveLength(1)
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({ registrationAccessToken: 'token-2' })
})

test('a file that is no lock in its place stops the run before it sends', async () => {
  const { folder, vault } = await filled()
  await writeFile(join(folder, 'vault.lock'), 'not one of ours, and long enough to have a header of its own')

  expect((await thrown(vault.prepare())).problems).toEqual([
    {
      code: 'VAULT_UNWRITABLE',
      message: `vault lock "${join(folder, 'vault.lock')}" cannot be taken`,
      found: 'a file that is no lock of this tool',
      hint: 'move the file out of the vault folder',
    },
  ])
})

test('a key of the wrong length opens no vault', async () => {
  const folder = await temporaryFolder()

  expect((await thrown(vaultIn(folder, { key: randomBytes(16) }))).problems[0]).toEqual({
    code: 'VAULT_KEY',
    message: 'vault key has the wrong length',
    expected: '32 bytes',
    found: '16 bytes',
  })
})

const MAKE_KEY = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

test('VAULT_KEY comes first, then VAULT_KEY_FILE, then a key file made on first use', async () => {
  const place = await temporaryFolder()
  const keyFile = join(place, 'given.key')
  const given = randomBytes(32)
  await writeFile(keyFile, `${given.toString('base64url')}\n`, { mode: 0o600 })
  const where = { defaultKeyFile: join(place, 'made', 'vault.key'), vaultDir: join(place, 'vault') }
  const key = new Secret(KEY.toString('base64url'), 'VAULT_KEY')

  const keys = async (more: { key?: Secret; keyFile?: string } = {}) =>
    (await resolveVaultKey({ ...where, ...more })).ring.keys
  expect(await keys({ key, keyFile })).toEqual([new Uint8Array(KEY)])
  expect(await keys({ keyFile })).toEqual([new Uint8Array(given)])
  const made = await resolveVaultKey(where)
  expect(made.made).toBe(where.defaultKeyFile)
  expect(await keys()).toEqual(made.ring.keys)
  expect(await readdir(join(place, 'made'))).toEqual(['vault.key'])
  expect(await readFile(where.defaultKeyFile, 'utf8')).toMatch(/^[\w-]{43}\n$/)
})

test.skipIf(onWindows)('a made key file is for the owner only', async () => {
  const place = await temporaryFolder()
  const file = join(place, 'made', 'vault.key')

  await resolveVaultKey({ defaultKeyFile: file, vaultDir: join(place, 'vault') })

  expect([(await stat(dirname(file))).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600])
})

test('two first runs at the same moment agree on one key', async () => {
  const place = await temporaryFolder()
  const where = { defaultKeyFile: join(place, 'made', 'vault.key'), vaultDir: join(place, 'vault') }

  const keys = await Promise.all(Array.from({ length: 8 }, () => resolveVaultKey(where)))

  expect(new Set(keys.map(({ ring }) => Buffer.from(ring.keys[0] ?? []).toString('hex'))).size).toBe(1)
  expect(keys.filter(({ made }) => made !== undefined)).toHaveLength(1)
})

test.each([
  ['empty', ' ', 'nothing'],
  ['too short', randomBytes(31).toString('base64url'), '31 bytes'],
  ['hexadecimal', randomBytes(32).toString('hex'), '48 bytes'],
  ['a pass phrase', 'correct horse battery staple', 'text that is not base64url'],
  ['mistyped in its last character', `${'A'.repeat(42)}B`, 'text that is not base64url'],
])('a vault key that is %s is refused without being shown', async (_, value, found) => {
  const error = await thrown(
    resolveVaultKey({
      key: new Secret(value, 'VAULT_KEY'),
      defaultKeyFile: '/nowhere/key',
      vaultDir: '/nowhere/vault',
    }),
  )

  expect(error.problems[0]).toEqual({
    code: 'VAULT_KEY',
    message: 'vault key "VAULT_KEY" cannot be used',
    expected: '32 bytes as base64url (43 characters)',
    found,
    hint: MAKE_KEY,
  })
})

test('a key file that is missing, in the vault folder or unusable is named', async () => {
  const place = await temporaryFolder()
  const vaultDir = join(place, 'vault')
  const where = { defaultKeyFile: join(place, 'vault.key'), vaultDir }
  const problem = async (keyFile: string) => (await thrown(resolveVaultKey({ ...where, keyFile }))).problems[0]
  await mkdir(vaultDir)
  await symlink(vaultDir, join(place, 'link'))
  await writeFile(join(place, 'short.key'), 'AAAA', { mode: 0o600 })

  expect(await problem(join(place, 'none.key'))).toEqual({
    code: 'VAULT_KEY',
    message: `vault key file "${join(place, 'none.key')}" does not exist`,
    hint: MAKE_KEY,
  })
  for (const inside of [join(vaultDir, 'vault.key'), join(place, 'link', 'deeper', 'vault.key')]) {
    expect(await problem(inside)).toEqual({
      code: 'VAULT_KEY',
      message: `vault key file "${inside}" lies in the vault folder "${vaultDir}"`,
      hint: 'keep the key elsewhere: whoever copies the folder would have both',
    })
  }
  expect(await problem(join(place, 'short.key'))).toMatchObject({
    message: `vault key file "${join(place, 'short.key')}" cannot be used`,
    found: '3 bytes',
  })
  expect(await problem(place)).toMatchObject({ code: 'VAULT_KEY' })
})

test.skipIf(onWindows)('a key file open to other users is refused', async () => {
  const place = await temporaryFolder()
  const keyFile = join(place, 'vault.key')
  await writeFile(keyFile, KEY.toString('base64url'))
  await chmod(keyFile, 0o644)

  const error = await thrown(resolveVaultKey({ keyFile, defaultKeyFile: keyFile, vaultDir: join(place, 'vault') }))
  expect(error.problems[0]).toEqual({
    code: 'VAULT_KEY',
    message: `vault key file "${keyFile}" is open to other users`,
    expected: 'mode 600',
    found: 'mode 644',
    hint: `close it with: chmod 600 ${keyFile}`,
  })
})

test('no new key is made for a vault that already holds records, nor where none can be written', async () => {
  const { folder } = await filled()
  const place = dirname(folder)
  const defaultKeyFile = join(place, 'vault.key')

  const lost = await thrown(resolveVaultKey({ defaultKeyFile, vaultDir: folder }))
  expect(lost.problems[0]).toEqual({
    code: 'VAULT_KEY',
    message: `vault key file "${defaultKeyFile}" is missing`,
    found: `1 record(s) in "${folder}" that a new key could not open`,
    hint: 'put the key file back, or set VAULT_KEY or VAULT_KEY_FILE; to start anew, name another VAULT_DIR',
  })
  await writeFile(join(place, 'file'), '')
  const blocked = await thrown(
    resolveVaultKey({ defaultKeyFile: join(place, 'file', 'vault.key'), vaultDir: join(place, 'other') }),
  )
  expect(blocked.problems[0]).toMatchObject({ code: 'VAULT_KEY', found: 'a file where a folder should be (ENOTDIR)' })
})
