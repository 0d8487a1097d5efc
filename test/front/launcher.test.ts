/** Compiled code that is kept between starts lies where no other user of the machine can put code of theirs. */
import { execFile } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const LAUNCHER = fileURLToPath(new URL('../../bin/thredd.js', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-launcher-'))
  for (const name of ['home', 'temporary']) await mkdir(join(folder, name), { mode: 0o700 })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Starts it, and returns what lies in the folder then. */
async function started(...kept: readonly string[]): Promise<readonly string[]> {
  const env = { PATH: process.env.PATH, HOME: join(folder, 'home'), TMPDIR: join(folder, 'temporary') }
  await promisify(execFile)(process.execPath, [LAUNCHER, 'version'], { env })
  expect(await readdir(join(folder, 'temporary'))).toEqual([])
  return await readdir(join(folder, ...kept))
}

test('it is in a folder of the user alone', async () => {
  expect(await started('home', '.cache', 'thredd-dcr')).not.toEqual([])
  expect((await lstat(join(folder, 'home', '.cache', 'thredd-dcr'))).mode & 0o777).toBe(0o700)
})

test('nothing is kept in a folder that others can write to', async () => {
  const kept = ['home', '.cache', 'thredd-dcr'] as const
  await mkdir(join(folder, ...kept), { recursive: true })
  await chmod(join(folder, ...kept), 0o777)

  expect(await started(...kept)).toEqual([])
})

test('no home folder is made', async () => {
  await rm(join(folder, 'home'), { recursive: true })

  expect(await started()).toEqual(['temporary'])
})

test('nothing is kept where a link leads', async () => {
  await mkdir(join(folder, 'elsewhere'), { mode: 0o700 })
  await mkdir(join(folder, 'home', '.cache'), { mode: 0o700 })
  await symlink(join(folder, 'elsewhere'), join(folder, 'home', '.cache', 'thredd-dcr'))

  expect(await started('elsewhere')).toEqual([])
})
