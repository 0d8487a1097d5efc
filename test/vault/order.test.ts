/** In which order things reach the disk, what happens where they do not, and what is never written through or read. */
import { execFile } from 'node:child_process'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { RunVault } from '../../src/guard/run-vault.ts'
import { commandsFor } from '../../src/record/hints.ts'
import { Redactor } from '../../src/secret/index.ts'
import { fileError, unsynced, watched } from '../support/files.ts'
import { play } from '../support/script.ts'
import {
  answer,
  asLeft,
  body,
  CLIENT_ID,
  call,
  logIn,
  register,
  temporaryFolder,
  thrown,
  token,
  vaultIn,
} from '../support/vault.ts'

const onWindows = process.platform === 'win32'

/** What makes something durable, in words; the random part of a name is left out. */
const durable = (operation: string, file: string) =>
  ['write', 'fsync', 'rename', 'mkdir'].includes(operation) ? [`${operation} ${file.replace(/[0-9a-f]{16}/, '*')}`] : []

test.skipIf(onWindows)(
  'a call is on disk before it is sent; an answer is written before anything looks at it, and on disk before the step ends',
  async () => {
    const folder = await temporaryFolder()
    const seen: string[] = []
    const looked = Promise.withResolvers<void>()
    const own = watched((...what) => seen.push(...durable(...what)))
    const flush: typeof own.flush = async (file) => {
      const isOfAnswer = seen.includes('sent')
      // The disk is done with the answer only after it was looked at.
      if (isOfAnswer) await looked.promise
      await own.flush(file)
      seen.push('on disk')
    }
    const vault = vaultIn(folder, { files: { ...own, flush } })
    await vault.prepare()
    seen.length = 0
    class Looking extends Redactor {
      override learn(value: unknown): void {
        super.learn(value)
        if (!JSON.stringify(value)?.includes('registration_access_token')) return
        seen.push('looked at')
        looked.resolve()
      }
    }
    const command = commandsFor([])
    const means = { command, now: () => new Date(), thumbprintOf: () => undefined }
    const about = { runId: 'run', clientId: CLIENT_ID, softwareId: undefined, ...means }
    const { port } = new RunVault({ vault, ...about })
    const WORKFLOW = `
  - workflowId: one
    x-dcr: { effect: register }
    steps:
      - stepId: register
        operationId: registerClient
        requestBody: { payload: { client_name: x, redirect_uris: [] } }
`

    const { course } = await play(WORKFLOW, {
      replies: { 'POST /clients': [{ body: JSON.parse(body('token-1')) }] },
      ports: (own) => ({
        ...own,
        redactor: new Looking(new Uint8Array(32)),
        vault: port,
        transport: {
          ...own.transport,
          send: async (...sent) => {
            seen.push('sent')
            return await own.transport.send(...sent)
          },
        },
      }),
    })

    expect(course).toEqual(['one passed', '  register passed'])
    expect(seen).toEqual([
      'write uat.log',
      'fsync uat.log',
      'on disk',
      'sent',
      'write uat.log',
      'looked at',
      'fsync uat.log',
      'on disk',
    ])
  },
)

test.skipIf(onWindows)(
  'a new vault is on disk with its name, and its folder with its own, before the first call',
  async () => {
    const folder = join(await temporaryFolder(), 'deep', 'vault')
    const seen: string[] = []
    const vault = vaultIn(folder, { files: watched((...what) => seen.push(...durable(...what))) })

    await vault.begin(call('register'))

    expect(seen.map((one) => one.replace(/ vault-\w+$/, ' .'))).toEqual([
      'mkdir deep',
      'fsync .',
      'mkdir vault',
      'fsync deep',
      'write .gitignore',
      'write uat.log.new',
      'fsync uat.log.new',
      'rename uat.log.new',
      'fsync vault',
      'write uat.*.room',
      'write uat.log',
      'fsync uat.log',
    ])
  },
)

test('calls that wait for the disk share its next turn', async () => {
  const own = watched(() => {})
  const turns: PromiseWithResolvers<void>[] = []
  const begun: Promise<void>[] = []
  const flush: typeof own.flush = async (file) => {
    const turn = Promise.withResolvers<void>()
    turns.push(turn)
    await turn.promise
    await own.flush(file)
  }
  const vault = vaultIn(await temporaryFolder(), { files: { ...own, flush } })
  await vault.prepare()
  let onDisk = 0
  const begin = async (clientId: string) => {
    await vault.begin({ ...call('register'), clientId, softwareId: undefined })
    onDisk += 1
  }
  begun.push(begin('first'))
  await vi.waitFor(() => expect(turns).toHaveLength(1))
  begun.push(...['second', 'third', 'fourth'].map(begin))
  await vi.waitFor(async () => expect(await vault.unsettled()).toHaveLength(4))
  expect([turns.length, onDisk]).toEqual([1, 0])

  turns[0]?.resolve()
  await vi.waitFor(() => expect(turns).toHaveLength(2))
  expect(onDisk).toBe(1)
  turns[1]?.resolve()
  await Promise.all(begun)

  expect([turns.length, onDisk]).toEqual([2, 4])
})

test('room is set aside for the answer of each call under way', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  const room = async () => {
    const [name = ''] = (await readdir(folder)).filter((one) => one.endsWith('.room'))
    return (await stat(join(folder, name))).size / 1024
  }
  const rooms: number[] = []
  for (let count = 1; count <= 5; count += 1) {
    await vault.begin({ ...call('register'), clientId: `client-${count}`, softwareId: undefined })
    rooms.push(await room())
  }
  expect(rooms).toEqual([256, 256, 384, 512, 640])
})

test('where the vault is moved away in the middle of a run no call leaves, and an answer is kept all the same', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  const intent = await vault.begin(call('register'))
  await rename(folder, `${folder}-elsewhere`)
  await mkdir(folder)

  expect(await thrown(vault.begin(call('update')))).toMatchObject({
    code: 'VAULT_UNWRITABLE',
    message: expect.stringContaining('was there when this run began, and is gone; nothing was sent'),
  })
  expect(await thrown(intent.keep({ status: 201, body: body('token-1') }))).toMatchObject({
    code: 'VAULT_FAILED',
    message: expect.stringContaining('is gone; the answer that came after it was kept in a new one'),
  })
  expect(await token(vaultIn(folder))).toBe('token-1')
  expect((await thrown(vault.begin(call('update')))).code).toBe('VAULT_UNWRITABLE')
})

test('a call that the disk does not take does not leave, and is over', async () => {
  let fails = false
  const files = watched((operation) => {
    if (fails && operation === 'fsync') throw fileError('EIO', 'fsync')
  })
  const vault = vaultIn(await temporaryFolder(), { files })
  await vault.prepare()
  fails = true
  expect((await thrown(vault.begin(call('register')))).code).toBe('VAULT_UNWRITABLE')
  fails = false
  expect(await vault.unsettled()).toEqual([])
})

test('a call lists no folder and reads nothing that was stored', async () => {
  const folder = await temporaryFolder()
  const seen: string[] = []
  const vault = vaultIn(folder, { files: watched((operation) => void seen.push(operation)) })
  await register(vault)
  seen.length = 0

  const intent = await vault.begin(call('update'))
  await intent.keep({ status: 200, body: body('token-2') })
  await intent.close('answered')
  await vault.worked(CLIENT_ID)

  expect(seen).not.toContain('read')
  expect(seen).not.toContain('readdir')
  expect(seen.filter((operation) => operation === 'fsync')).toHaveLength(2)
})

/** POST, PUT with a new token, DELETE; how far it came, and whether it was refused before anything left. */
async function lifecycle(vault: ReturnType<typeof vaultIn>, sent: string[]): Promise<void> {
  await vault.prepare()
  for (const [effect, status, text] of [
    ['register', 201, body('token-1')],
    ['update', 200, body('token-2')],
    ['delete', 204, ''],
  ] as const) {
    await using intent = await vault.begin(call(effect))
    sent.push(effect)
    await intent.keep({ status, body: text })
    await intent.close('answered')
    if (effect !== 'delete') await vault.worked(CLIENT_ID)
  }
  await vault.close()
}

test.each(['EIO', 'ENOSPC'])(
  '%s at each file operation, once or from then on: what is known afterwards is true, and a call left only if its line stands',
  async (errno) => {
    for (const lasts of [false, true]) {
      for (let failAt = 1; ; failAt++) {
        const folder = await temporaryFolder()
        let count = 0
        let isDone = false
        const files = unsynced((operation) => {
          count += 1
          const needsNoRoom = ['unlink', 'readdir', 'read', 'facts', 'lstat'].includes(operation)
          if (!isDone && (count === failAt || (lasts && count > failAt)) && !(errno === 'ENOSPC' && needsNoRoom))
            throw fileError(errno, operation)
        })
        const sent: string[] = []
        const problem = await lifecycle(vaultIn(folder, { files }), sent).then(
          () => undefined,
          (error: { code?: string }) => error.code ?? error,
        )
        isDone = true

        const at = `${errno} ${lasts ? 'from' : 'at'} operation ${failAt}`
        expect([at, problem]).toEqual([at, problem === undefined ? undefined : expect.stringMatching(/^VAULT_UN/)])
        const next = vaultIn(await asLeft(folder).catch(() => folder))
        const [last] = sent.slice(-1)
        const open = (await next.unsettled()).map(({ effect }) => effect)
        const known = (await next.current(CLIENT_ID))?.registrationAccessToken?.reveal()
        // Each call that left is settled, or named.
        const truths = {
          undefined: [[], undefined],
          register: open.includes('register') ? [['register'], undefined] : [[], 'token-1'],
          update: open.includes('update') ? [['update'], 'token-1'] : [[], 'token-2'],
          delete: open.includes('delete') ? [['delete'], 'token-2'] : [[], undefined],
        }
        // One that did not leave may be named all the same, where its line was written and could not be taken back.
        const wrong = open.filter((effect) => effect !== last)
        expect([at, wrong.length <= 1, open.filter((effect) => effect === last), known]).toEqual([
          at,
          true,
          ...truths[(last ?? 'undefined') as keyof typeof truths],
        ])
        if (count < failAt) break
      }
    }
  },
)

test('a full disk takes half a line: the answer goes into the space that was kept, and no call leaves without any', async () => {
  const folder = await temporaryFolder()
  let free = Number.POSITIVE_INFINITY
  const files = watched((operation) => {
    if (operation === 'unlink') free += 256 * 1024
  })
  const small = {
    ...files,
    write(file: number, content: Uint8Array) {
      const fits = content.length <= free
      files.write(file, fits ? content : content.subarray(0, content.length >> 1))
      if (!fits) throw fileError('ENOSPC')
      free -= content.length
    },
  }
  const vault = vaultIn(folder, { files: small })
  await register(vault)
  const intent = await vault.begin(call('update'))
  free = 0

  expect(await intent.keep({ status: 200, body: body('token-2') })).toMatchObject({ rotated: true, problem: undefined })
  await intent.close('answered')
  expect(await vault.keep(answer(body('token-3')))).toMatchObject({ rotated: true })
  free = 0
  expect((await thrown(vault.begin(call('delete')))).problems[0]).toMatchObject({
    code: 'VAULT_UNWRITABLE',
    message: `vault folder "${folder}" cannot be written`,
    found: 'a full disk (ENOSPC)',
  })

  const next = vaultIn(await asLeft(folder))
  expect([await token(next), await next.unsettled(), (await next.list()).unreadable]).toEqual(['token-3', [], []])
})

test('a call whose answer cannot be kept stays open, and what was kept before stays readable', async () => {
  const folder = await temporaryFolder()
  let isBroken = false
  const files = watched((operation) => {
    if (isBroken && operation === 'write') throw fileError('EIO')
  })
  const vault = vaultIn(folder, { files })
  await register(vault)
  const intent = await vault.begin(call('update'))
  isBroken = true

  expect((await thrown(intent.keep({ status: 200, body: body('token-2') }))).code).toBe('VAULT_UNWRITABLE')
  await intent.close('answered')

  const next = vaultIn(await asLeft(folder))
  expect([await token(next), (await next.list()).unreadable]).toEqual(['token-1', []])
  expect(await next.unsettled()).toMatchObject([{ effect: 'update', way: 'read' }])
})

test('on a disk that becomes read-only every call says so, not that a file of the vault is in the way', async () => {
  const folder = await temporaryFolder()
  let isReadOnly = false
  const files = watched((operation) => {
    if (isReadOnly && ['write', 'unlink'].includes(operation)) throw fileError('EROFS')
  })
  const vault = vaultIn(folder, { files })
  await register(vault)
  const intent = await vault.begin(call('update'))
  isReadOnly = true
  await thrown(intent.keep({ status: 200, body: body('token-2') }))
  await intent.close('answered')

  expect((await thrown(vault.begin(call('delete')))).problems[0]).toEqual({
    code: 'VAULT_UNWRITABLE',
    message: `vault folder "${folder}" cannot be written`,
    found: 'a read-only file system (EROFS)',
    hint: 'make its disk writable, or name another folder with VAULT_DIR',
  })
})

test('an answer whose synchronising failed once is written again, and counts once', async () => {
  const folder = await temporaryFolder()
  let fails = 0
  const files = watched((operation) => {
    if (operation === 'fsync' && fails-- > 0) throw fileError('EIO', 'fsync')
  })
  const vault = vaultIn(folder, { files })
  const intent = await vault.begin(call('register'))
  fails = 1

  expect(await intent.keep({ status: 201, body: body('token-1') })).toMatchObject({ rotated: false })
  await intent.close('answered')

  const next = vaultIn(folder)
  expect((await next.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered'])
})

test.skipIf(onWindows)(
  'the folder is made for the owner only, and so is every file in it; git is told to leave it',
  async () => {
    const place = await temporaryFolder()
    const folder = join(place, '.vault', 'uat')
    const vault = vaultIn(folder)
    await register(vault)

    const modes = await Promise.all([folder, logIn(folder)].map(async (path) => (await stat(path)).mode & 0o777))
    expect(modes).toEqual([0o700, 0o600])
    expect(await readFile(join(place, '.vault', '.gitignore'), 'utf8')).toBe('*\n')
    await vault.close()
    expect((await readdir(folder)).sort()).toEqual(['uat.lock', 'uat.log'])
    // One that a person has changed is left as it is.
    await writeFile(join(place, '.vault', '.gitignore'), 'mine')
    await rm(folder, { recursive: true })
    await register(vaultIn(folder))
    expect(await readFile(join(place, '.vault', '.gitignore'), 'utf8')).toBe('mine')
  },
)

test.skipIf(onWindows)(
  'rights of others are taken away before a run, with a word; a folder that many share is refused',
  async () => {
    const folder = await temporaryFolder()
    await register(vaultIn(folder))
    await chmod(folder, 0o755)
    await chmod(logIn(folder), 0o640)
    expect((await vaultIn(folder).check()).warnings).toEqual(
      [
        `"${folder}" is open to other users (mode 755); the next run closes it`,
        `"${logIn(folder)}" is open to other users (mode 640); the next run closes it`,
        expect.stringContaining('.lock'),
        expect.stringContaining('.room'),
      ].slice(0, 2),
    )

    expect(await vaultIn(folder).prepare()).toEqual([
      `"${folder}" was open to other users (mode 755); it is closed now`,
      `"${logIn(folder)}" was open to other users (mode 640); it is closed now`,
    ])
    expect((await stat(logIn(folder))).mode & 0o777).toBe(0o600)

    await chmod(folder, 0o1777)
    expect((await thrown(vaultIn(folder).prepare())).problems).toEqual([
      {
        code: 'VAULT_UNWRITABLE',
        message: `vault folder "${folder}" is one that several users share`,
        expected: 'a folder of your own',
        found: 'mode 1777',
        hint: 'name a folder in it with VAULT_DIR',
      },
    ])
  },
)

test.skipIf(onWindows).each(['uat.log', 'uat.lock', '.gitignore'])(
  'nothing is written through a symbolic link in the place of %s',
  async (name) => {
    const place = await temporaryFolder()
    const folder = join(place, 'vault')
    const target = join(place, 'target')
    await mkdir(folder)
    await writeFile(target, '')
    await symlink(target, join(folder, name))

    const error = await vaultIn(folder)
      .keep(answer(body('token-1')))
      .then(
        () => undefined,
        (reason) => reason,
      )
    if (name !== '.gitignore')
      expect(error).toMatchObject({ problems: [{ found: expect.stringContaining('symbolic link') }] })
    expect([await readFile(target, 'utf8'), (await lstat(join(folder, name))).isSymbolicLink()]).toEqual(['', true])
  },
)

test.skipIf(onWindows)('a folder that is a symbolic link is refused with the way out', async () => {
  const place = await temporaryFolder()
  await mkdir(join(place, 'target', 'uat'), { recursive: true })
  await symlink(join(place, 'target'), join(place, '.vault'))
  await symlink(join(place, 'target'), join(place, 'link'))

  for (const [folder, link] of [
    [join(place, '.vault', 'uat'), join(place, '.vault')],
    [join(place, 'link'), join(place, 'link')],
  ] as const)
    expect((await thrown(vaultIn(folder).prepare())).problems[0]).toEqual({
      code: 'VAULT_UNWRITABLE',
      message: `vault folder "${link}" is a symbolic link, through which nothing is written`,
      hint: 'name the folder that it leads to with VAULT_DIR',
    })
  expect(await readdir(join(place, 'target', 'uat'))).toEqual([])
})

test.skipIf(onWindows)('a pipe in the place of the log is refused at once', async () => {
  const folder = await temporaryFolder()
  await register(vaultIn(folder))
  await rename(logIn(folder), join(folder, 'away'))
  await promisify(execFile)('mkfifo', [logIn(folder)])

  const found = 'a device, pipe or socket where a file should be'
  expect((await thrown(vaultIn(folder).current(CLIENT_ID))).problems[0]).toMatchObject({
    code: 'VAULT_UNREADABLE',
    found,
  })
  expect((await thrown(vaultIn(folder).prepare())).problems[0]).toMatchObject({ code: 'VAULT_UNWRITABLE', found })
})

test('a folder that cannot be made is refused before anything is sent', async () => {
  const place = await temporaryFolder()
  await writeFile(join(place, 'file'), '')

  for (const folder of [join(place, 'file'), join(place, 'file', 'vault')])
    expect((await thrown(vaultIn(folder).prepare())).problems[0]).toEqual({
      code: 'VAULT_UNWRITABLE',
      message: `vault folder "${folder}" cannot be written`,
      found: 'a file where a folder should be (ENOTDIR)',
      hint: 'make room or give access, or name another folder with VAULT_DIR',
    })
})

test.skipIf(onWindows || process.getuid?.() === 0)(
  'a folder that cannot be written refuses before anything is sent',
  async () => {
    const folder = await temporaryFolder()
    await register(vaultIn(folder))
    await chmod(folder, 0o500)

    expect((await thrown(vaultIn(folder).begin(call('update')))).code).toBe('VAULT_UNWRITABLE')
    await chmod(folder, 0o700)
  },
)
