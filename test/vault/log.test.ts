/** The log: each line chained to the one before, found out when it is touched, and read back after a crash. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { Secret } from '../../src/secret/index.ts'
import { seal } from '../../src/vault/seal.ts'
import { watched } from '../support/files.ts'
import {
  answer,
  asLeft,
  body,
  CLIENT_ID,
  call,
  ended,
  eventsIn,
  KEY,
  logIn,
  register,
  temporaryFolder,
  thrown,
  token,
  vaultIn,
} from '../support/vault.ts'

/** A vault with a registration in a log of four lines: the id, what it is of, the call, the answer. */
async function filled() {
  const folder = join(await temporaryFolder(), 'vault')
  const vault = vaultIn(folder)
  await register(vault)
  await vault.close()
  return { folder, log: logIn(folder), vault }
}

const linesOf = async (log: string) => (await readFile(log, 'latin1')).split('\n').slice(0, -1)
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'read',
    (error: { code?: string }) => error.code,
  )

test('a log says in clear which vault it is; all else is encrypted, the raw answers too', async () => {
  const { log } = await filled()

  const content = await readFile(log, 'latin1')
  expect(content).toMatch(/^thredd-vault 1 [0-9a-f]{32}\n(?:[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+\n){3}$/)
  for (const secret of ['token-1', CLIENT_ID, 'uat']) expect(content).not.toContain(secret)
  expect(await eventsIn(log)).toMatchObject([
    { kind: 'vault', vaultVersion: 4, environment: 'uat' },
    { kind: 'call', clientId: CLIENT_ID, effect: 'register', step: 'register', runId: 'run-register' },
    { kind: 'answer', status: 201, body: body('token-1') },
  ])
})

test('a bit of each byte of a log, flipped, is found', async () => {
  const folder = await temporaryFolder()
  const writer = vaultIn(folder)
  await writer.keep(answer('{"client_id":"c","registration_access_token":"t"}'))
  const whole = await readFile(logIn(folder))

  const survivors: string[] = []
  for (const [index, byte] of whole.entries()) {
    // Of a line break all, since what follows from it is another matter each time.
    for (const bit of byte === 10 ? [0, 1, 2, 3, 4, 5, 6, 7] : [index % 8]) {
      const copy = Buffer.from(whole)
      copy[index] = byte ^ (1 << bit)
      const read = (_: number, position: number) => copy.subarray(position)
      const found = await code(vaultIn(folder, { files: { ...watched(() => {}), read } }).current('c'))
      if (found !== 'VAULT_UNREADABLE') survivors.push(`bit ${bit} of byte ${index}: ${found}`)
    }
  }

  expect(survivors).toEqual([])
})

test.each([
  ['taken out', (lines: string[]) => lines.filter((_, index) => index !== 3), 'line 4 of'],
  ['the first taken out', (lines: string[]) => lines.slice(1), 'line 1 of'],
  ['what it is of taken out', (lines: string[]) => lines.filter((_, index) => index !== 1), 'line 2 of'],
  ['swapped', ([a, b, c, d, ...rest]: string[]) => [a, b, d, c, ...rest] as string[], 'line 3 of'],
  ['repeated', (lines: string[]) => [...lines, lines.at(-1) ?? ''], 'line 7 of'],
  ['an empty one put in', ([a, ...rest]: string[]) => [a ?? '', '', ...rest], 'line 2 of'],
])('a line %s is found and named', async (_, change, where) => {
  const { folder, log, vault } = await filled()
  await ended(vault, 'update', 200, body('token-2'))
  await vault.close()
  await writeFile(
    log,
    change(await linesOf(log))
      .map((line) => `${line}\n`)
      .join(''),
  )

  const { problems } = await thrown(vaultIn(folder).prepare())

  expect(problems[0].code).toBe('VAULT_UNREADABLE')
  expect(problems[0].message).toContain(where)
})

test('a line of another log is found', async () => {
  const [one, two] = [await filled(), await filled()]
  await appendFile(one.log, `${(await linesOf(two.log)).at(-1)}\n`)

  expect((await thrown(vaultIn(one.folder).prepare())).message).toBe(
    `line 5 of vault "${one.log}" does not follow the line before it`,
  )
})

test('lines cut off at the end cannot be told from lines that were never written, and check says so of all', async () => {
  const { folder, log } = await filled()
  await writeFile(
    log,
    (await linesOf(log))
      .slice(0, 3)
      .map((line) => `${line}\n`)
      .join(''),
  )

  // The call is named, since its own line is there.
  expect(await vaultIn(folder).unsettled()).toMatchObject([{ effect: 'register', way: 'retry' }])
})

test('a log cut at each byte: what stands whole before the cut counts, and a line that was begun is named', async () => {
  const { folder, log, vault } = await filled()
  await vault.keep(answer(body('token-2')))
  await vault.keep(answer(body('token-3')))
  const whole = await readFile(log)
  const ends = [...whole.keys()].filter((at) => whole[at] === 10)

  for (let length = (ends[3] ?? 0) + 1; length <= whole.length; length++) {
    const read = (_: number, position: number) => whole.subarray(position, length)
    const next = vaultIn(folder, { files: { ...watched(() => {}), read } })
    const expected = length >= (ends[5] ?? 0) ? 'token-3' : length >= (ends[4] ?? 0) ? 'token-2' : 'token-1'
    const isBegun = ends.every((end) => length !== end && length !== end + 1)
    expect([length, await token(next)]).toEqual([length, expected])
    expect([length, (await next.check()).warnings.length]).toEqual([length, isBegun ? 1 : 0])
  }
})

test('a line that a dying process began is set aside and named, stays where it is, and the next one follows it', async () => {
  const { folder, log, vault } = await filled()
  const before = await readFile(log, 'latin1')
  const begun = (await linesOf(log)).at(-1)?.slice(0, 100) ?? ''
  await appendFile(log, begun)

  expect(await vaultIn(folder).prepare()).toEqual([
    `line 5 of vault "${log}" was not finished: a process died while it wrote; it is set aside, and counts as never written`,
  ])
  await vault.keep(answer(body('token-2')))

  const content = await readFile(log, 'latin1')
  expect(content.startsWith(`${before}${begun}!eyJ`)).toBe(true)
  // Killed again, in the middle of the line that was to follow.
  await writeFile(log, content.slice(0, before.length + 200))
  const next = vaultIn(folder)
  await next.keep(answer(body('token-3')))
  expect([await token(next), await token(vaultIn(folder))]).toEqual(['token-3', 'token-3'])
  // And what is set aside is as protected as the rest.
  const written = await readFile(log, 'latin1')
  await writeFile(log, `${before}eyJi${written.slice(before.length + 4)}`)
  expect(await code(vaultIn(folder).current(CLIENT_ID))).toBe('VAULT_UNREADABLE')
})

test('space that a file system gave and never filled counts as a line that was begun', async () => {
  const { folder, log, vault } = await filled()
  await appendFile(log, Buffer.alloc(300))

  expect(await token(vaultIn(folder))).toBe('token-1')
  await vault.keep(answer(body('token-2')))
  expect(await token(vaultIn(folder))).toBe('token-2')
})

test('a last line without its line break counts, and the next one follows it', async () => {
  const { folder, log, vault } = await filled()
  await writeFile(log, (await readFile(log)).subarray(0, -1))

  expect(await vaultIn(folder).prepare()).toEqual([])
  await vault.keep(answer(body('token-2')))
  expect(await token(vaultIn(folder))).toBe('token-2')
  expect(await linesOf(log)).toHaveLength(5)
})

test.each([
  [
    'the wrong key',
    async () => undefined,
    new Uint8Array(randomBytes(32)),
    'line 2 of vault "LOG" was made with another key',
    { hint: 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with' },
  ],
  [
    'an empty file',
    async (log: string) => writeFile(log, ''),
    KEY,
    'line 1 of vault "LOG" is not the first line of a vault',
    { hint: 'move the file out of the vault folder' },
  ],
  [
    'a foreign file',
    async (log: string) => writeFile(log, '{"registration_access_token":"in clear"}\n'),
    KEY,
    'line 1 of vault "LOG" is not the first line of a vault',
    {},
  ],
  [
    'foreign content under our key',
    async (log: string) => appendFile(log, `${seal(Buffer.from('text'), KEY)}\n`),
    KEY,
    'line 5 of vault "LOG" does not follow the line before it',
    {},
  ],
  [
    'the vault of another environment',
    async (log: string) => {
      const other = vaultIn(join(log, '..', 'other'), { environment: 'prod' })
      await register(other)
      await writeFile(log, await readFile(join(log, '..', 'other', 'prod.log')))
    },
    KEY,
    'line 2 of vault "LOG" is of environment "prod"',
    { expected: 'environment "uat"', hint: expect.stringContaining('nothing was sent') },
  ],
  [
    'a folder in its place',
    async (log: string) => {
      await rm(log)
      await mkdir(log)
    },
    KEY,
    'vault "LOG" cannot be read',
    { found: 'a folder where a file should be' },
  ],
])(
  '%s has a message of its own, stops the run before it sends, and is left as it is',
  async (_, spoil, key, is, rest) => {
    const { folder, log } = await filled()
    await spoil(log)
    const content = await readFile(log).catch(() => undefined)
    const vault = vaultIn(folder, { key })

    expect((await thrown(vault.current(CLIENT_ID))).problems[0]).toMatchObject({
      code: 'VAULT_UNREADABLE',
      message: is.replace('LOG', log),
      ...rest,
    })
    for (const ask of [() => vault.prepare(), () => vault.begin(call('update')), () => vault.remove(CLIENT_ID)])
      expect((await thrown(ask())).code).toMatch(/^VAULT_UN/)
    expect(await readFile(log).catch(() => undefined)).toEqual(content)
  },
)

test('another format is said, newer or older', async () => {
  const formats = async (vaultVersion: number) => {
    const { folder, log } = await filled()
    // What a version adds to what it is given stands in the line.
    const token = { accessToken: new Secret('a', 'access_token'), receivedAt: AT, expiresAt: AT, vaultVersion }
    await vaultIn(folder).keepAccessToken({ clientId: 'c', thumbprint: 't' }, token)
    return (await thrown(vaultIn(folder).prepare())).problems[0].message.replace(log, 'LOG')
  }

  expect(await formats(5)).toBe('line 5 of vault "LOG" was written by a newer version of this tool')
  expect(await formats(3)).toBe(
    'line 5 of vault "LOG" was written by an older version of this tool, whose format is no longer read',
  )
})
const AT = '2026-01-02T03:04:05.000Z'

test('an answer that comes when the log was damaged meanwhile is kept all the same, and what can be read is shown', async () => {
  const { folder, log, vault } = await filled()
  const intent = await vault.begin(call('update'))
  const lines = await linesOf(log)
  lines[2] = `${lines[2]?.slice(0, -4)}AAAA`
  await writeFile(log, lines.map((line) => `${line}\n`).join(''))

  const kept = await intent.keep({ status: 200, body: body('token-2') })

  expect(kept?.problem?.message).toBe(`line 3 of vault "${log}" was changed after it was written`)
  const { registrations, unreadable } = await vaultIn(folder).list()
  expect(registrations.map((one) => one.registrationAccessToken?.reveal())).toEqual(['token-2'])
  expect(unreadable).toHaveLength(1)
})

test('an answer that comes when the log was taken away meanwhile begins a new one, with the same key', async () => {
  const { folder, log, vault } = await filled()
  const intent = await vault.begin(call('update'))
  const [id] = await linesOf(log)
  await rm(folder, { recursive: true })

  expect((await thrown(intent.keep({ status: 200, body: body('token-2') }))).code).toBe('VAULT_FAILED')
  await intent.close('answered')

  expect((await linesOf(log))[0]).toBe(id)
  expect(await token(vaultIn(folder))).toBe('token-2')
})

test('what another process has written is seen at the next look, and a log that was replaced is read anew', async () => {
  const { folder, vault } = await filled()
  const other = vaultIn(folder)
  expect(await token(other)).toBe('token-1')

  await vault.keep(answer(body('token-2')))
  expect(await token(other)).toBe('token-2')
  await vault.rotateKey().catch(() => undefined)
  await vault.forget(CLIENT_ID)
  expect(await token(other)).toBeUndefined()
  await other.keep(answer(body('token-3')))
  expect(await token(vault)).toBe('token-3')
})

test('of two first runs at the same moment one makes the vault, and both use it', async () => {
  const folder = join(await temporaryFolder(), 'vault')
  const vaults = Array.from({ length: 8 }, () => vaultIn(folder))

  await Promise.all(vaults.map((vault, index) => vault.keep(answer(body(`token-${index}`)))))

  expect((await vaultIn(folder).history(CLIENT_ID)).length).toBe(8)
  expect(await linesOf(logIn(folder))).toHaveLength(10)
})

test('two processes that keep answers of one client lose none of them, and keep their order', async () => {
  const folder = await temporaryFolder()
  const script = (name: string) => `
    import { Vault } from '${pathToFileURL(join(import.meta.dirname, '../../src/vault/vault.ts'))}'
    const key = new Uint8Array(Buffer.from('${Buffer.from(KEY).toString('hex')}', 'hex'))
    const vault = new Vault({ folder: '${folder}', key, environment: 'uat', now: () => new Date() })
    for (let count = 0; count < 25; count++) {
      const body = JSON.stringify({ client_id: 'c', registration_access_token: '${name}' + count })
      const kept = await vault.keep({ body, status: 200, step: 'update', runId: '${name}' })
      if (kept.problem !== undefined) throw new Error(kept.problem.message)
    }`
  const run = (name: string) => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script(name)])

  await Promise.all([run('a'), run('b')])

  const bodies = (await eventsIn(logIn(folder))).flatMap(({ body }) => (body === undefined ? [] : String(body)))
  const tokens = bodies.map((text) => JSON.parse(text).registration_access_token as string)
  expect(tokens).toHaveLength(50)
  for (const name of ['a', 'b'])
    expect(tokens.filter((one) => one.startsWith(name))).toEqual(Array.from({ length: 25 }, (_, count) => name + count))
  expect(await vaultIn(folder).prepare()).toEqual([])
})

test('what processes that died have left is told by check and cleared away by the next run', async () => {
  const { folder, vault } = await filled()
  await vault.begin(call('update'))
  const copy = await asLeft(folder)
  await writeFile(join(copy, 'uat.log.new'), 'half a lo')
  const next = vaultIn(copy)
  expect((await next.check()).warnings).toEqual([
    expect.stringMatching(/uat\.[0-9a-f]{16}\.lock" was left by a process that died; the next run removes it$/),
    expect.stringMatching(/uat\.[0-9a-f]{16}\.room" was left by a process that died; the next run removes it$/),
  ])

  expect(await next.prepare()).toEqual([expect.stringContaining('open update of client')])
  await next.close()

  expect((await next.check()).warnings).toEqual([])
  expect((await readdir(copy)).sort()).toEqual(['.gitignore', 'uat.lock', 'uat.log'])
})

test('a run clears away nothing of another environment that has its vault in the same folder', async () => {
  const { folder } = await filled()
  const other = vaultIn(folder, { environment: 'prod' })
  await using _ = await other.begin(call('register'))

  await vaultIn(folder).prepare()

  expect(await vaultIn(folder, { environment: 'prod' }).unsettled()).toMatchObject([{ way: 'wait' }])
})
