/** The requirements as the command line prints them after a run. */
import { expect, test } from 'vitest'
import { columnOf } from '../../src/report/gate.ts'
import { Cli } from '../support/cli.ts'
import { summaryOf } from '../support/reports.ts'

test('--conformance prints the requirements on the screen, and as one event', async () => {
  await using cli = await Cli.make()

  const screen = await cli.run(['run', '--conformance', '--tag', 'conformance', '--workflow', 'metadata'])
  const events = await cli.run(['run', '--conformance', '--workflow', 'metadata', '--json'])
  const plain = await cli.run(['run', 'metadata'])

  expect(screen.stdout).toMatch(/\d+ of \d+ requirements that a run can decide are proven/)
  const event = events.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; rows?: readonly { id: string; standing: string }[] })
    .find(({ type }) => type === 'requirements')
  expect(event?.rows?.find(({ id }) => id === 'DISC-09')?.standing).toBe('pass')
  expect(plain.stdout).not.toContain('requirements that a run can decide')
})

test('--requirements prints the verdict on each requirement, the same as the reports', async () => {
  await using cli = await Cli.make()

  const { stdout } = await cli.run(['run', 'discover', '--requirements'])

  const rows = [...stdout.matchAll(/^ {2}(proven|failed|no verdict|not tested|accepted|by Thredd|open) +(\S+) {2}/gm)]
  const judged = summaryOf(await cli.record()).requirements
  expect(Object.fromEntries(rows.map(([, word, id]) => [id, word]))).toEqual(
    Object.fromEntries(judged.map((row) => [row.requirement.id, columnOf(row)])),
  )
})
