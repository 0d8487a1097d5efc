/** Where the key of a vault comes from, what is refused as one, and how it is changed. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Secret } from '../../src/secret/index.ts'
import { Files } from '../../src/vault/files.ts'
import { type KeyPlace, keySource } from '../../src/vault/key.ts'
import { unsynced, watched } from '../support/files.ts'
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

const onWindows = process.platform === 'win32'
const MAKE_KEY = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

/** A folder with a vault that finds its key as a person's does. */
async function place(more: Partial<KeyPlace> = {}) {
  const folder = await temporaryFolder()
  const where = { keyFolder: join(folder, 'keys'), vaultDir: join(folder, 'vault'), ...more }
  const open = (at: Partial<KeyPlace> = {}, files = new Files()) =>
    vaultIn(where.vaultDir, { key: keySource({ ...where, ...at }, files) })
  return { folder, ...where, open }
}

/** What is said of a key before anything is asked of the vault, or when it is. */
async function problemWith(at: Partial<KeyPlace>) {
  const { open, ...where } = await place()
  const problem = (await thrown((async () => await open(at).prepare())())).problems[0]
  return { ...where, problem }
}

test('each vault makes a key of its own, named by the id in its first line, before the vault itself', async () => {
  const { keyFolder, vaultDir, open } = await place()
  const vault = open()
  const [warning] = await vault.prepare()

  const [first = ''] = (await readFile(logIn(vaultDir), 'utf8')).split('\n')
  const file = join(keyFolder, `${first.split(' ').at(-1)}.key`)
  expect(warning).toBe(`a vault key was made: ${file}; without this file the vault cannot be read`)
  expect(await readFile(file, 'utf8')).toMatch(/^[\w-]{43}\n$/)
  if (!onWindows)
    expect([(await stat(keyFolder)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600])
  // A second vault shares nothing with it.
  const other = await place({ keyFolder })
  await other.open().prepare()
  expect(await readdir(keyFolder)).toHaveLength(2)
  await register(vault)
  expect(await token(open())).toBe('token-1')
})

test.skipIf(onWindows)('the key is on disk with its name before the vault that needs it', async () => {
  const seen: string[] = []
  const { open } = await place()
  const files = watched((operation, file) => {
    if (['write', 'fsync', 'rename'].includes(operation)) seen.push(`${operation} ${file.replace(/[0-9a-f]{32}/, '*')}`)
  })
  const vault = open({}, new Files(files))
  await vault.prepare()

  expect(seen.slice(-3)).toEqual(['write *.key', 'fsync *.key', 'fsync keys'])
})

test('VAULT_KEY comes first, then VAULT_KEY_FILE', async () => {
  const { folder, vaultDir, open } = await place()
  const [given, filed] = [randomBytes(32), randomBytes(32)]
  const keyFile = join(folder, 'given.key')
  await writeFile(keyFile, `${text(filed)}\n`, { mode: 0o600 })

  await register(open({ key: new Secret(text(given), 'VAULT_KEY'), keyFile }))
  expect(await eventsIn(logIn(vaultDir), given)).toHaveLength(3)
  await rm(vaultDir, { recursive: true })
  await register(open({ keyFile }))
  expect(await eventsIn(logIn(vaultDir), filed)).toHaveLength(3)
})

const COPY_AGAIN = 'copy the key again, every character of it; a new key opens no vault that is there'

test.each<[string, string, string, string]>([
  ['empty', ' ', 'nothing', MAKE_KEY],
  ['too short', text(randomBytes(31)), '31 bytes', COPY_AGAIN],
  [
    'hexadecimal',
    randomBytes(32).toString('hex'),
    '64 hexadecimal digits',
    `turn them into base64url: node -p "Buffer.from('<digits>', 'hex').toString('base64url')"`,
  ],
  [
    'base64 of the other alphabet',
    `${Buffer.alloc(33, 0xfb).toString('base64').slice(0, 43)}=`,
    'base64 with the signs + or /',
    'base64url has - for + and _ for /: replace these two in the key, and nothing else',
  ],
  ['within quotes', `"${text(randomBytes(32))}"`, 'a key within quotes', 'leave the quotes out'],
  [
    'a pass phrase',
    'correct horse battery staple',
    'a text with blanks',
    'a pass phrase is no key: copy the key itself again',
  ],
  ['mistyped in its last character', `${'A'.repeat(42)}B`, 'text that is not base64url', COPY_AGAIN],
  ['all zero', text(new Uint8Array(32)), 'only 1 different bytes', MAKE_KEY],
  ['one byte again and again', text(new Uint8Array(32).fill(7)), 'only 1 different bytes', MAKE_KEY],
  ['a few bytes again and again', text(new Uint8Array(32).map((_, at) => at % 5)), 'only 5 different bytes', MAKE_KEY],
  [
    'bytes in a row',
    text(new Uint8Array(32).map((_, at) => at)),
    'bytes that follow each other at one distance',
    MAKE_KEY,
  ],
])('a vault key that is %s is refused without being shown', async (_, value, found, hint) => {
  expect((await problemWith({ key: new Secret(value, 'VAULT_KEY') })).problem).toEqual({
    code: 'VAULT_KEY',
    message: 'vault key "VAULT_KEY" cannot be used',
    expected: '32 random bytes as base64url (43 characters)',
    found,
    hint,
  })
})

test('a key file that is missing, in the vault folder or unusable is named', async () => {
  const { folder, vaultDir, open } = await place()
  const problem = async (keyFile: string) =>
    (await thrown((async () => await open({ keyFile }).prepare())())).problems[0]
  await mkdir(vaultDir)
  await symlink(vaultDir, join(folder, 'link'))
  await writeFile(join(folder, 'short.key'), 'AAAA', { mode: 0o600 })

  expect(await problem(join(folder, 'none.key'))).toEqual({
    code: 'VAULT_KEY',
    message: `vault key file "${join(folder, 'none.key')}" does not exist`,
    hint: MAKE_KEY,
  })
  for (const inside of [join(vaultDir, 'vault.key'), join(folder, 'link', 'deeper', 'vault.key')])
    expect(await problem(inside)).toEqual({
      code: 'VAULT_KEY',
      message: `vault key file "${inside}" lies in the vault folder "${vaultDir}"`,
      hint: 'keep the key elsewhere: whoever copies the folder would have both',
    })
  expect(await problem(join(folder, 'short.key'))).toMatchObject({
    message: `vault key file "${join(folder, 'short.key')}" cannot be used`,
    found: '3 bytes',
  })
  expect(await problem(folder)).toMatchObject({ found: 'a folder where a file should be' })
  if (!onWindows)
    expect(await problem('/dev/zero')).toMatchObject({ found: 'a device, pipe or socket where a file should be' })
  expect(await readdir(vaultDir)).toEqual([])
})

test.each([
  ['base64url', randomBytes(32).toString('base64url')],
  ['base64', 'Ya0/WnJ3+qmkdQ7pB2rX/5sTg8VhLk4eZ1uN9cOyA6w='],
  ['hex', randomBytes(32).toString('hex')],
  ['PEM', '-----BEGIN PRIVATE KEY-----\nMIIE\n'],
])('a key in %s that was pasted where the name of its file belongs is not shown', async (_, pasted) => {
  const { problem } = await problemWith({ keyFile: join('/somewhere', pasted) })

  expect(problem).toMatchObject({
    code: 'VAULT_KEY',
    message: expect.stringContaining('(not shown: its name looks like a key)'),
  })
  expect(JSON.stringify(problem)).not.toContain(pasted.slice(0, 12))
})

test.skipIf(onWindows)(
  'a key file open to other users is refused; a link to one is followed, as container platforms lay it out',
  async () => {
    const { folder, open } = await place()
    const keyFile = join(folder, 'vault.key')
    await writeFile(keyFile, text(KEY))
    await chmod(keyFile, 0o644)
    expect((await thrown((async () => open({ keyFile }))())).problems[0]).toEqual({
      code: 'VAULT_KEY',
      message: `vault key file "${keyFile}" is open to other users`,
      expected: 'mode 600',
      found: 'mode 644',
      hint: `close it with: chmod 600 "${keyFile}"`,
    })

    await chmod(keyFile, 0o600)
    await symlink(keyFile, join(folder, 'link.key'))
    const vault = open({ keyFile: join(folder, 'link.key') })
    await register(vault)
    // But nothing is written through it.
    expect((await thrown(vault.rotateKey())).problems[0]).toMatchObject({
      message: `vault key file "${join(folder, 'link.key')}" is a symbolic link, through which nothing is written`,
    })
    expect(await readFile(keyFile, 'utf8')).toBe(text(KEY))
  },
)

test('a vault whose key file is lost says where it was, and makes no other', async () => {
  const { keyFolder, open } = await place()
  await register(open())
  const [name = ''] = await readdir(keyFolder)
  await rm(join(keyFolder, name))

  for (const ask of [() => open().current(CLIENT_ID), () => open().prepare(), () => open().list()])
    expect((await thrown(ask())).problems[0]).toEqual({
      code: 'VAULT_KEY',
      message: `vault key file "${join(keyFolder, name)}" does not exist`,
      hint: 'put the key file back, or set VAULT_KEY or VAULT_KEY_FILE; to start anew, name another folder with VAULT_DIR',
    })
  expect(await readdir(keyFolder)).toEqual([])
})

test('a key that was made for a vault that then could not be made is taken away', async () => {
  const { keyFolder, open } = await place()
  const files = new Files(
    watched((operation, file) => {
      if (operation === 'write' && file === 'uat.log.new')
        throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' })
    }),
  )
  const source = keySource({ keyFolder, vaultDir: join(keyFolder, '..', 'vault') }, files)
  const vault = vaultIn(join(keyFolder, '..', 'vault'), {
    key: source,
    files: watched((operation, file) => {
      if (operation === 'write' && file === 'uat.log.new')
        throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' })
    }),
  })

  expect((await thrown(vault.prepare())).code).toBe('VAULT_UNWRITABLE')
  expect(await readdir(keyFolder)).toEqual([])
  await open().prepare()
})

test('a new key is put before the old one, everything is encrypted with it, and the old one can then be dropped', async () => {
  const { keyFolder, vaultDir, open } = await place()
  const vault = open()
  await register(vault)
  await ended(vault, 'update')
  const bystander = open()
  expect(await token(bystander)).toBe('token-1')
  const [name = ''] = await readdir(keyFolder)
  const old = (await readFile(join(keyFolder, name), 'utf8')).trim()

  expect(await vault.rotateKey()).toEqual({ lines: 5, made: true })

  const [fresh = '', ...rest] = (await readFile(join(keyFolder, name), 'utf8')).split('\n')
  expect(rest).toEqual([old, ''])
  expect(await eventsIn(logIn(vaultDir), new Uint8Array(Buffer.from(fresh, 'base64url')))).toHaveLength(5)
  expect(await vault.unsettled()).toMatchObject([{ effect: 'update' }])
  // Another process that has the old key alone reads the new one when it needs it, and writes with it.
  expect(await token(bystander)).toBe('token-1')
  await bystander.keep(answer(body('token-2')))

  expect(await vault.rotateKey({ dropEarlier: true })).toEqual({ lines: 6, made: false })
  expect((await readFile(join(keyFolder, name), 'utf8')).trim()).toBe(fresh)
  expect([await token(open()), await token(bystander)]).toEqual(['token-2', 'token-2'])
  const before = new Secret(old, 'VAULT_KEY')
  expect((await thrown(open({ key: before }).current(CLIENT_ID))).message).toContain('was made with another key')
})

test('a change of keys that dies at any file operation leaves everything readable and is finished by the next', async () => {
  for (let dieAt = 1; ; dieAt++) {
    const { vaultDir, keyFolder } = await place()
    let [count, dies] = [0, false]
    const files = unsynced(() => {
      if (dies && ++count >= dieAt) throw new Error('died')
    })
    const source = keySource({ keyFolder, vaultDir }, new Files(files))
    const vault = vaultIn(vaultDir, { key: source, files })
    await register(vault)
    await ended(vault, 'update')
    dies = true
    const died = await vault.rotateKey().then(
      () => false,
      () => true,
    )
    dies = false
    const left = await asLeft(vaultDir)
    const next = vaultIn(left, { key: keySource({ keyFolder, vaultDir: left }, new Files()) })

    expect([dieAt, await token(next), (await next.unsettled()).length]).toEqual([dieAt, 'token-1', 1])
    await next.rotateKey({ dropEarlier: true })
    expect((await next.check()).problems).toEqual([])
    expect(await token(vaultIn(left, { key: keySource({ keyFolder, vaultDir: left }, new Files()) }))).toBe('token-1')
    if (!died) break
  }
})

test('a key from a variable is changed by the user: the new one, a comma, the old one', async () => {
  const { open } = await place()
  const [old, fresh] = [text(randomBytes(32)), text(randomBytes(32))]
  const at = (value: string) => open({ key: new Secret(value, 'VAULT_KEY') })
  await register(at(old))

  expect((await thrown(at(old).rotateKey())).problems[0]).toMatchObject({
    code: 'VAULT_KEY',
    message: 'the vault key comes from VAULT_KEY, which this tool cannot change',
  })
  expect(await at(`${fresh},${old}`).rotateKey()).toMatchObject({ made: false })
  expect(await token(at(fresh))).toBe('token-1')
})

test('no key is changed while a call is on the way, of this process or of another', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  await using _ = await vault.begin(call('register'))

  for (const one of [vault, vaultIn(folder)])
    expect((await thrown(one.rotateKey())).problems[0]).toMatchObject({
      message: 'the vault key cannot be changed while a call is on the way',
      found: 'step "register" of run run-register',
    })
})
