/**
 * Compares the runner with a program written by hand (raw.ts), with newman and with the Arazzo runner of Redocly (test/outside):
 * the six documented calls over mutual TLS against a server that answers at once. One lifecycle in a new process, many in
 * sequence, and peak memory; measured in turns, as medians and ratios. Whoever has not made all calls makes the bench fail.
 * `node bench/runner.ts [--turns 5] [--many 200] [--long 2000]`
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BIN, type Contestants, cpu, inTurns, openContest, report, say, wall } from './contest.ts'
import { measured, median, type Usage } from './measure.ts'

const SCRIPT = fileURLToPath(new URL('raw.ts', import.meta.url))
const OUTSIDE = fileURLToPath(new URL('../test/outside/clients', import.meta.url))
const MEMORY_DISK = '/dev/shm'

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '5' },
    many: { type: 'string', default: '200' },
    long: { type: 'string', default: '0' },
  },
})
const memory = existsSync(MEMORY_DISK) ? await mkdtemp(join(MEMORY_DISK, 'thredd-bench-')) : undefined
try {
  await compare(Number(values.turns), Number(values.many), Number(values.long))
} finally {
  if (memory !== undefined) await rm(memory, { recursive: true, force: true })
}

async function compare(turns: number, many: number, long: number): Promise<void> {
  await using contest = await openContest()
  const { folder, script, workflows } = contest
  const contestants: Contestants = {
    raw: script(SCRIPT),
    thredd: workflows(),
    ...(memory === undefined ? {} : { 'thredd, vault in memory': workflows({ vault: join(memory, 'vault') }) }),
    respect: script(join(OUTSIDE, 'six-calls-respect.js')),
    newman: script(join(OUTSIDE, 'six-calls-newman.js')),
  }
  const version = await inTurns(turns * 2, {
    'node -e 0': () => measured(['-e', '0'], { folder }),
    '--version': () => measured([BIN, '--version'], { folder }),
  })
  const cold = await inTurns(turns, { ...contestants, 'thredd --dry-run': contest.dryRun() }, 1)
  const sequence = await inTurns(turns, contestants, many)
  report(`start: --version against node -e 0`, version)
  report('cold: one lifecycle', cold)
  for (const [name, usages] of sequence) {
    const first = cold.get(name) ?? []
    const each = (of: (usage: Usage) => number) => (median(usages.map(of)) - median(first.map(of))) / (many - 1)
    say(
      `each of ${many} in sequence, less the first: ${name}`,
      `${each(wall).toFixed(1)} ms, ${each(cpu).toFixed(1)} ms of processor`,
    )
  }
  report(`${many} in sequence`, sequence)
  if (long > 0) report(`${long} in sequence`, await inTurns(1, contestants, long))
}
