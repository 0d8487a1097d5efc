/** The embedded twin where it cannot start. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { embeddedTwin } from '../../src/front/twin.ts'

test('a folder in which its certificates cannot be made is named, with what helps', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-twin-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'file'), '')
  const pki = join(folder, 'file', 'pki')

  await expect(embeddedTwin(pki)).rejects.toMatchObject({
    problems: [
      {
        code: 'TWIN',
        message: `the certificates of the offline twin cannot be made in "${pki}": a file is in the way`,
        hint: 'make room or give access',
      },
    ],
  })
})
