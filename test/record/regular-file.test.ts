/** What a user names is read only where it is a file on a disk: nothing waits for a pipe or reads a device for ever. */
import { execFileSync } from 'node:child_process'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import { loadIdentity } from '../../src/identity/certificate.ts'
import { readRoles } from '../../src/plan/roles.ts'
import { demandOrdinaryFolder, readTextFile, textIfReadable } from '../../src/record/regular-file.ts'
import { replaceFile } from '../../src/record/replace-file.ts'
import { readRecord } from '../../src/record/stored.ts'
import { createArtifacts } from '../../src/report/artifacts.ts'
import { reportKey, verifyPack } from '../../src/report/pack.ts'
import { Redactor } from '../../src/secret/index.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-files-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const onLinux = test.skipIf(process.platform !== 'linux')

async function pipe(): Promise<string> {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  return path
}

test('a file is read, and what a link to a file leads to', async () => {
  await writeFile(join(folder, 'file'), 'text')
  await symlink('file', join(folder, 'link'))

  expect(['file', 'link'].map((name) => readTextFile(join(folder, name)))).toEqual(['text', 'text'])
  expect(() => readTextFile(join(folder, 'file'), 3)).toThrow('it is larger than 3 bytes')
  expect(() => readTextFile(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  expect(() => readTextFile(folder)).toThrow(expect.objectContaining({ code: 'EISDIR' }))
})

onLinux('what is no file on a disk is refused with what it is', async () => {
  await using _ = createServer().listen(join(folder, 'socket'))
  await symlink('/dev/zero', join(folder, 'endless'))

  expect(() => readTextFile('/proc/self/status')).toThrow('it is made by the operating system, not a file on a disk')
  expect(() => readTextFile(join(folder, 'endless'))).toThrow('it is a device, not a file')
  const name = await pipe()
  expect(() => readTextFile(name)).toThrow('it is a pipe, not a file')
})

/** Each way by which a command reads what a user names. */
const READERS: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  'a flow': async (path) => await readFlow(path),
  'an environment': async (path) => await loadEnvironment({ env: path, folder, variables: {} }),
  'a record': readRecord,
  'a pack': async (path) => await verifyPack(path),
  'a key of reports': reportKey,
  'a certificate': async (path) =>
    await loadIdentity({ name: 'transport', certificateFile: path, keyFile: path }, new Date()),
  'a catalogue of roles': async (path) => {
    await mkdir(join(folder, 'fixtures/roles'), { recursive: true })
    await rm(join(folder, 'fixtures/roles/roles.json'), { force: true })
    await symlink(path, join(folder, 'fixtures/roles/roles.json'))
    await readRoles([folder])
  },
}

test.each(Object.entries(READERS))('%s is not read from a pipe or a device', async (_, read) => {
  await symlink('/dev/zero', join(folder, 'endless.zip'))

  await expect(read(await pipe())).rejects.toThrow(/it is a pipe, not a file/)
  await expect(read(join(folder, 'endless.zip'))).rejects.toThrow(/it is a device, not a file/)
})

test('what is only looked through is passed over where it is no file on a disk', async () => {
  await writeFile(join(folder, 'file'), 'text')

  expect(
    [join(folder, 'file'), await pipe(), folder, join(folder, 'none')].map((path) => textIfReadable(path)),
  ).toEqual(['text', '', '', ''])
})

test('a file that is replaced is not written where a link leads', async () => {
  await writeFile(join(folder, 'victim'), 'untouched', { mode: 0o644 })
  await symlink('victim', join(folder, 'link'))

  await replaceFile(join(folder, 'link'), 'new', 0o600)

  expect(await readFile(join(folder, 'victim'), 'utf8')).toBe('untouched')
  expect(await readFile(join(folder, 'link'), 'utf8')).toBe('new')
  expect((await lstat(join(folder, 'link'))).mode & 0o777).toBe(0o600)
  expect((await readdir(folder)).sort()).toEqual(['link', 'victim'])
})

test('a file that cannot be replaced leaves nothing behind', async () => {
  await mkdir(join(folder, 'taken'))

  await expect(replaceFile(join(folder, 'taken'), 'new', 0o600)).rejects.toMatchObject({ syscall: 'rename' })
  expect(await readdir(folder)).toEqual(['taken'])
})

test('an artifact is not written where a link leads', async () => {
  const victim = join(folder, 'victim')
  await writeFile(victim, 'untouched')
  await mkdir(join(folder, 'run'))
  for (const name of ['report.html.part', 'report.html']) await symlink(victim, join(folder, 'run', name))
  const redactor = new Redactor(new Uint8Array(32))
  const artifacts = await createArtifacts(folder, 'run', { redactor, warn: () => {} })

  await artifacts.write('report.html', ['new'])

  expect(await readFile(victim, 'utf8')).toBe('untouched')
  expect(await readFile(join(folder, 'run', 'report.html'), 'utf8')).toBe('new')
  expect(await readdir(join(folder, 'run'))).toEqual(['report.html'])
})

onLinux('no folder is made where the operating system makes up what is there, or below a file', async () => {
  await writeFile(join(folder, 'file'), '')
  const artifacts = createArtifacts('/proc/none', 'run', { redactor: new Redactor(new Uint8Array(32)), warn: () => {} })

  await expect(artifacts).rejects.toThrow('"/proc" is made by the operating system, not a folder on a disk')
  expect(() => demandOrdinaryFolder(join(folder, 'file', 'below'))).toThrow(`"${join(folder, 'file')}" is no folder`)
  expect(() => demandOrdinaryFolder(join(folder, 'new', 'below'))).not.toThrow()
})
