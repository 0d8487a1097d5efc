/** `thredd lint`: what it prints, and its exit codes. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Cli, ROOT } from '../support/cli.ts'
import { expectGolden } from '../support/golden.ts'
import { flowOfOneStep } from '../support/one-step.ts'

test('thredd lint prints every file, a summary, and ends with 2 where there is an error', async () => {
  await using cli = await Cli.make(await flows('five-mistakes', 'unused-output'))

  const { stdout, stderr, code } = await cli.run(['lint'])

  expect([stderr, code]).toEqual(['', 2])
  expectGolden(stdout, 'cli/lint.txt')
})

test('thredd lint --json prints one object of a stable shape', async () => {
  await using cli = await Cli.make(await flows('five-mistakes', 'unused-output'))

  const { stdout, stderr, code } = await cli.run(['lint', 'flows', 'nowhere', '--json'])

  expect([stderr, code]).toEqual(['', 2])
  expectGolden(stdout, 'cli/lint.json')
})

test('a warning ends with 0, and with --strict with 2; a hint never fails', async () => {
  await using cli = await Cli.make(await flows('unused-output', 'no-criteria'))
  const codeOf = async (...args: string[]) => (await cli.run(['lint', ...args])).code

  expect(await codeOf('unused-output')).toBe(0)
  expect(await codeOf('unused-output', '--strict')).toBe(2)
  expect(await codeOf('flows/no-criteria.arazzo.yaml', '--strict')).toBe(0)
})

test('a flow without mistakes, and a name that is none, are said in a line', async () => {
  await using cli = await Cli.make({
    ...(await flows()),
    'flows/good.arazzo.yaml': GOOD,
  })

  expect(await cli.run(['lint', 'goood'])).toEqual({
    stdout:
      'error[FLOW_FILE]: there is no file, folder or flow "goood"\n   = did you mean "good"?\n\n0 files: 1 error\n',
    stderr: '',
    code: 2,
  })
  expect((await cli.run(['lint', 'good'])).stdout).toMatch(/1 file: 1 hint\n$/)
})

/** A flow that nothing is to be said against but a hint. */
const GOOD = flowOfOneStep({ description: 'd' })

/** Samples and what they call, as files of a folder "flows". */
async function flows(...names: readonly string[]): Promise<Record<string, string>> {
  const files = ['clients.openapi.yaml', ...names.map((name) => `${name}.arazzo.yaml`)]
  return Object.fromEntries(
    await Promise.all(
      files.map(async (file) => [`flows/${file}`, await readFile(join(ROOT, 'test/golden/lint', file), 'utf8')]),
    ),
  )
}
