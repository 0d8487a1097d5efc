import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs/promises'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { FilePort, Vault } from '../../src/vault/index.ts'
import { asLeft, body, CLIENT_ID, call, filesIn, register, temporaryFolder, thrown, vaultIn } from '../support/vault.ts'

const token = async (vault: Vault) => (await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()
const answer = (name: string) => ({ body: body(name), status: 200, step: 'read', runId: 'r', clientId: CLIENT_ID })
const journalsIn = async (folder: string) => (await filesIn(folder)).filter((name) => name.endsWith('.journal'))
const recordsIn = async (folder: string) => (await filesIn(folder)).filter((name) => name.endsWith('.jwe'))

/** The folder of a process that died: token-1 stands in the record, token-2 to token-4 in a journal. */
async function leftFolder() {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await register(vault)
  await vault.close()
  for (const name of ['token-2', 'token-3', 'token-4']) await vault.keep(answer(name))
  const left = await asLeft(folder)
  const [name = ''] = await journalsIn(left)
  const file = join(left, name)
  return { folder: left, file, lines: (await readFile(file, 'latin1')).split('\n').slice(0, -1) }
}

test('a line that was not finished counts as never written; check says so, and the next start clears it away', async () => {
  const { folder, file, lines } = await leftFolder()
  const cut = lines.join('\n').slice(0, -10)
  await writeFile(file, cut)
  const vault = await vaultIn(folder)

  expect(await token(vault)).toBe('token-3')
  expect(await vault.check()).toMatchObject({
    files: 2,
    problems: [],
    warnings: expect.arrayContaining([`"${file}" ends in an unfinished line, which counts as never written`]),
  })
  expect(await vault.prepare(CLIENT_ID)).toEqual([])
  expect([await token(vault), await journalsIn(folder)]).toEqual(['token-3', []])
  expect((await vault.check()).warnings).toEqual([])
})

test('a journal of which nothing was finished holds nothing, and space that was never filled is no line', async () => {
  for (const content of ['', 'eyJhbGciOiJkaXIi', '\0'.repeat(100)]) {
    const folder = await temporaryFolder()
    const vault = await vaultIn(folder)
    await register(vault)
    const left = await asLeft(folder)
    const [name = ''] = await journalsIn(left)
    await writeFile(join(left, name), content)

    expect(await (await vaultIn(left)).prepare(CLIENT_ID)).toEqual([])
    expect(await filesIn(left)).toEqual([])
  }
})

const line = (file: string, number: number, is: string) => `line ${number} of vault journal "${file}" ${is}`
const FOLLOWS = 'does not follow the line before it'

test.each<readonly [string, (lines: string[]) => string[], number, string]>([
  ['a line in the middle is damaged', ([a, b = '', ...rest]) => [a ?? '', flipped(b), ...rest], 2, 'was changed after'],
  ['a line in the middle is cut', ([a = '', b = '', ...rest]) => [a, b.slice(0, -30), ...rest], 2, 'is cut short'],
  ['a line is gone', ([a = '', , ...rest]) => [a, ...rest], 2, FOLLOWS],
  ['two lines have changed places', ([a = '', b = '', c = '', d = '']) => [a, c, b, d], 2, FOLLOWS],
  ['a line stands there twice', ([a = '', b = '', ...rest]) => [a, b, b, ...rest], 3, FOLLOWS],
  ['the first line is gone', ([, ...rest]) => rest, 1, 'opens with this key but is no record of this tool'],
  ['there is a line of something else', ([a = '', ...rest]) => [a, 'password', ...rest], 2, 'is not a vault record'],
])('%s: the file and the line are named, nothing is sent, and nothing is overwritten', async (_, spoil, number, is) => {
  const { folder, file, lines } = await leftFolder()
  const spoilt = `${spoil(lines).join('\n')}\n`
  await writeFile(file, spoilt)
  const vault = await vaultIn(folder)

  const error = await thrown(vault.prepare(CLIENT_ID))
  expect(error.problems[0]).toMatchObject({
    code: 'VAULT_UNREADABLE',
    message: expect.stringContaining(line(file, number, is)),
  })
  expect((await thrown(vault.begin(call('update')))).code).toBe('VAULT_UNREADABLE')
  // An answer that comes all the same is kept.
  expect(await vault.keep(answer('token-5'))).toMatchObject({ problem: { message: error.message } })
  await vault.close()
  await vault.prepare('another client')
  expect(await readFile(file, 'latin1')).toBe(spoilt)
})

test('a line of another journal, and a journal under the name of another one, are found', async () => {
  const [one, two] = [await leftFolder(), await leftFolder()]
  await writeFile(one.file, `${[...one.lines.slice(0, 2), two.lines[2], ...one.lines.slice(3)].join('\n')}\n`)
  const name = two.file.replace(/-\d+\.journal$/, '-99.journal')
  await rename(two.file, name)

  expect((await thrown((await vaultIn(one.folder)).prepare(CLIENT_ID))).message).toBe(line(one.file, 3, FOLLOWS))
  expect((await thrown((await vaultIn(two.folder)).prepare(CLIENT_ID))).problems).toEqual([
    {
      code: 'VAULT_UNREADABLE',
      message: line(name, 1, 'is of another file'),
      hint: 'it was renamed or copied; put it back where it came from',
    },
  ])
})

/** A process with a vault of its own that does as it is told and then waits. */
async function processAt(folder: string, script: string): Promise<ChildProcess> {
  const url = pathToFileURL(join(import.meta.dirname, '../../src/vault/index.ts'))
  const text = `
    import { openVault } from '${url}'
    const vault = await openVault({ folder: ${JSON.stringify(folder)}, key: Buffer.alloc(32, 7), environment: 'uat', now: () => new Date(), lockWaitMs: 20000 })
    const body = (token) => JSON.stringify({ client_id: '${CLIENT_ID}', registration_access_token: token, registration_client_uri: 'https://auth.example/1' })
    const call = (effect, runId) => ({ effect, method: 'X', url: 'https://auth.example/', step: effect, runId, clientId: '${CLIENT_ID}' })
    ${script}
    process.stdout.write('done')
    setInterval(() => vault, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'close')
  child.kill('SIGKILL')
  await gone
}

test('the journal of a dead process moves into the record and is gone; that of a live one is read and left alone', async () => {
  const folder = await temporaryFolder()
  const keeping = (name: string) => `await vault.keep({ body: body('${name}'), status: 200, step: 's', runId: 'r' })`
  const live = await processAt(folder, keeping('of the live one'))
  const [theirs = ''] = await journalsIn(folder)
  const dead = await processAt(folder, keeping('of the dead one'))
  await kill(dead)
  expect(await journalsIn(folder)).toHaveLength(2)

  const vault = await vaultIn(folder, { now: () => new Date() })
  await vault.prepare(CLIENT_ID)

  expect([await token(vault), await journalsIn(folder)]).toEqual(['of the dead one', [theirs]])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'rotated'])
  await kill(live)
  await vault.prepare(CLIENT_ID)
  expect([await token(vault), await journalsIn(folder), (await recordsIn(folder)).length]).toEqual([
    'of the dead one',
    [],
    1,
  ])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'rotated'])
})

test('two processes register, change and delete one client ten times each: nothing is lost or stays open', async () => {
  const folder = await temporaryFolder()
  const script = (name: string) => `
    for (let round = 0; round < 10; round++)
      for (const [effect, status] of [['register', 201], ['update', 200], ['delete', 204]]) {
        const intent = await vault.begin(call(effect, '${name}' + round))
        await intent.keep({ status, body: effect === 'delete' ? '' : body('${name}' + round + effect) })
        await intent.close('answered')
      }
    if ('${name}' === 'a') await vault.close()`
  const [, other] = await Promise.all([processAt(folder, script('a')), processAt(folder, script('b'))])
  const vault = await vaultIn(folder)
  expect(await vault.unsettled()).toEqual([])
  const runs = (await vault.history(CLIENT_ID)).map(({ runId, step }) => `${runId} ${step}`)
  expect(runs).toHaveLength(60)
  for (const name of ['a', 'b'])
    expect(runs.filter((run) => run.startsWith(name))).toEqual(
      Array.from({ length: 10 }, (_, round) =>
        ['register', 'update', 'delete'].map((step) => `${name}${round} ${step}`),
      ).flat(),
    )
  await kill(other)
  await vault.prepare(CLIENT_ID)
  expect([await vault.unsettled(), await journalsIn(folder)]).toEqual([[], []])
})

/** Files on a disk that is full from when `fill` is called, but for what is taken away again; half a line stays there. */
function smallDisk(isShort: boolean) {
  let free = Number.POSITIVE_INFINITY
  const files: FilePort = {
    ...fs,
    open: (async (path: string, flags: string | number, mode?: number) => {
      const handle = await fs.open(path, flags, mode)
      const { writeFile: write } = handle
      handle.writeFile = (async (data: string | Uint8Array) => {
        const fits = data.length <= free
        const part = fits ? data : isShort ? data.slice(0, data.length >> 1) : ''
        await write.call(handle, part)
        if (!fits) throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' })
        free -= data.length
      }) as typeof handle.writeFile
      handle.truncate = async () => {
        throw Object.assign(new Error('broken'), { code: 'EIO', syscall: 'ftruncate' })
      }
      return handle
    }) as unknown as FilePort['open'],
    unlink: async (path) => {
      free += (await fs.stat(path)).size
      await fs.unlink(path)
    },
  }
  return {
    files,
    fill: () => {
      free = 0
    },
  }
}

test.each([
  ['nothing of a line', false],
  ['half a line', true],
])(
  'a full disk takes %s: the answer goes into the space that was kept, and no call leaves without any',
  async (_, isShort) => {
    const folder = await temporaryFolder()
    const { files, fill } = smallDisk(isShort)
    const vault = await vaultIn(folder, { files })
    await register(vault)
    const intent = await vault.begin(call('update'))
    fill()

    expect(await intent.keep({ status: 200, body: body('token-2') })).toMatchObject({
      rotated: true,
      problem: undefined,
    })
    await intent.close('answered')
    expect(await vault.keep(answer('token-3'))).toMatchObject({ rotated: true })
    expect((await thrown(vault.begin(call('delete')))).problems[0]).toMatchObject({
      code: 'VAULT_UNWRITABLE',
      found: 'a full disk (ENOSPC)',
    })

    const next = await vaultIn(await asLeft(folder))
    expect([await token(next), await next.unsettled(), (await next.list()).unreadable]).toEqual(['token-3', [], []])
  },
)

test('an answer for which there is no space at all is refused, and what was kept before stays readable', async () => {
  const folder = await temporaryFolder()
  const { files, fill } = smallDisk(true)
  const vault = await vaultIn(folder, { files })
  await register(vault)
  const intent = await vault.begin(call('update'))
  await rm(join(folder, (await readdir(folder)).find((name) => name.endsWith('.room')) ?? ''))
  fill()

  expect((await thrown(intent.keep({ status: 200, body: body('token-2') }))).code).toBe('VAULT_UNWRITABLE')
  await intent.close('answered')

  for (const next of [vault, await vaultIn(await asLeft(folder))]) {
    expect([await token(next), (await next.list()).unreadable]).toEqual(['token-1', []])
    expect(await next.unsettled()).toMatchObject([{ effect: 'update', way: 'read' }])
  }
})

test('a folder that was taken away and made anew meanwhile is written to as a new one', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  await register(vault)
  await rm(folder, { recursive: true })

  expect(await token(vault)).toBeUndefined()
  await register(vault, 'token-2')
  expect([await token(vault), await token(await vaultIn(folder))]).toEqual(['token-2', 'token-2'])
  // It lives there too, and is left alone.
  const journals = await journalsIn(folder)
  await (await vaultIn(folder)).prepare(CLIENT_ID)
  expect([journals.length, await journalsIn(folder)]).toEqual([1, journals])
  await using _ = await vault.begin(call('update'))
  expect((await thrown((await vaultIn(folder)).begin(call('update')))).message).toContain('is being changed by another')
})

test('an answer that says it is about another client is found under that one, whenever the process dies', async () => {
  const folder = await temporaryFolder()
  let left = ''
  const vault = await vaultIn(folder, {
    checkpoint: async (name) => {
      if (name === 'answer: durable') left = await asLeft(folder)
    },
  })
  const intent = await vault.begin(call('register'))
  await intent.keep({ status: 201, body: body('theirs', { client_id: 'somebody-else' }) })
  await intent.close('answered')
  await vault.close()

  for (const at of [folder, left]) {
    const next = await vaultIn(at)
    await next.prepare()
    expect((await next.current('somebody-else'))?.registrationAccessToken?.reveal()).toBe('theirs')
    expect(await next.unsettled()).toEqual([])
  }
})

test('a client that is registered and deleted for the 300th time costs no more than for the 30th', async () => {
  const folder = await temporaryFolder()
  let written = 0
  const counting: FilePort = {
    ...fs,
    open: (async (path: string, flags: string | number, mode?: number) => {
      const handle = await fs.open(path, flags, mode)
      const { writeFile: write } = handle
      handle.writeFile = (async (data: string | Uint8Array) => {
        written += path.endsWith('.room') ? 0 : data.length
        await write.call(handle, data)
      }) as typeof handle.writeFile
      // What a disk does with it is of no interest here.
      handle.sync = async () => {}
      return handle
    }) as unknown as FilePort['open'],
  }
  const vault = await vaultIn(folder, { files: counting })
  const costs: number[] = []
  for (let life = 0; life < 300; life++) {
    written = 0
    for (const [effect, status] of [['register', 201] as const, ['delete', 204] as const]) {
      await using intent = await vault.begin(call(effect))
      const text = effect === 'delete' ? '' : body(`token-${effect}-${String(life).padStart(3, '0')}`)
      await intent.keep({ status, body: text })
      await intent.close('answered')
    }
    // With the record, in those that are compared.
    if (life < 30 || life > 297) await vault.close()
    costs.push(written)
  }

  // Some numbers have a digit more.
  expect((costs.at(-1) ?? 0) / (costs[29] ?? 0)).toBeLessThan(1.002)
  expect((await vault.ledger()).map(({ state }) => state)).toEqual(Array(20).fill('deleted'))
  const [first, ...rest] = await vault.history(CLIENT_ID)
  expect(first).toMatchObject({
    what: 'counted',
    note: 'registrations before: 280, the first of 2026-01-02T03:04:06.000Z; only their number is kept',
  })
  expect(rest).toHaveLength(40)
  expect((await vault.list()).registrations[0]?.past).toMatchObject({ lives: 280 })
})

test('what a dead process left of another environment in the same folder is put in its place too', async () => {
  const folder = await temporaryFolder()
  const production = await vaultIn(folder, { environment: 'prod' })
  await production.keep(answer('token-p'))
  const left = await asLeft(folder)

  const vault = await vaultIn(left)
  await vault.prepare()

  expect([await journalsIn(left), (await recordsIn(left)).length]).toEqual([[], 1])
  expect([await token(vault), await token(await vaultIn(left, { environment: 'prod' }))]).toEqual([
    undefined,
    'token-p',
  ])
})

test('a journal that comes back when its client has lived on for long brings nothing back to life', async () => {
  const folder = await temporaryFolder()
  const vault = await vaultIn(folder)
  const live = async (name: string) => {
    await register(vault, name)
    await vault.remove(CLIENT_ID)
  }
  await live('token-0')
  const [journal = ''] = await journalsIn(folder)
  const content = await readFile(join(folder, journal))
  await vault.close()
  for (let life = 1; life <= 25; life++) await live(`token-${life}`)
  await vault.close()
  const before = await vault.history(CLIENT_ID)
  await writeFile(join(folder, journal), content)

  expect(await vault.history(CLIENT_ID)).toEqual(before)
  await vault.prepare()
  expect([await vault.history(CLIENT_ID), await journalsIn(folder)]).toEqual([before, []])
})

test('a long run moves its journal into the record as it goes, and other processes see no difference', async () => {
  const folder = await temporaryFolder()
  const [vault, other] = [await vaultIn(folder), await vaultIn(folder)]
  const seen: number[] = []
  for (let count = 0; count < 60; count++) {
    await vault.keep({ ...answer(`token-${count}`), body: body(`token-${count}`, { padding: 'x'.repeat(8000) }) })
    if (count % 10 === 9) expect(await token(other)).toBe(`token-${count}`)
    const [journal = ''] = await journalsIn(folder)
    seen.push(journal === '' ? 0 : (await fs.stat(join(folder, journal))).size)
  }

  expect(Math.max(...seen)).toBeLessThan(256 * 1024)
  expect(seen.filter((size) => size === 0).length).toBeGreaterThan(1)
  expect(await other.history(CLIENT_ID)).toHaveLength(60)
})

function flipped(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  bytes[bytes.length - 30] = (bytes.at(-30) ?? 0) ^ 1
  return bytes.toString('latin1')
}
