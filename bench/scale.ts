/**
 * How time and memory grow with the number of lifecycles (the six documented calls over mutual TLS, against a server that answers
 * at once), beside the script by hand (raw.ts) at the same numbers: one run with a workflow for each lifecycle, and one with a row
 * for each, in sequence; then rows side by side against the script with as many at once. In new processes, in turns. Ends with 1
 * where one has not made all its calls or not everything was conformant; an aim that is missed is printed.
 * `node bench/scale.ts [--turns 3] [--numbers 10,100,1000] [--many 0] [--lifecycles 200] [--parallel 8]`; `--many 2000` is one
 * number more. Numbers above 200 are measured once.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  type Contest,
  type Contestants,
  cpu,
  inTurns,
  middle,
  openContest,
  peak,
  ratio,
  type Usages,
  wall,
} from './contest.ts'
import type { Usage } from './measure.ts'

const SCRIPT = fileURLToPath(new URL('raw.ts', import.meta.url))
const BY_HAND = 'by hand'
/** How many times what the script by hand takes. */
const AIMS = { wall: 3, peak: 1.25, parallel: 2.5 } as const
/** What aims in sequence are about: the wall clock at the first number, memory at both. */
const AIMED_AT = [200, 2000]
/** A cost that stays within this factor from one number to the next is the same for each. */
const LINEAR = 1.25
const MEASURED_AGAIN = 200

const FIGURES = ['wall ms', 'cpu ms', 'peak MiB']
const RATIOS = ['times by hand: wall', 'cpu', 'peak']
const WIDTHS = [24, 20, 10, 10, 10, 20, 8, 12]

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '3' },
    numbers: { type: 'string', default: '10,100,1000' },
    many: { type: 'string', default: '0' },
    lifecycles: { type: 'string', default: '200' },
    parallel: { type: 'string', default: '8' },
  },
})
const turns = Number(values.turns)
const numbers = [...values.numbers.split(',').map(Number), Number(values.many)].filter((number) => number > 0)

await using contest = await openContest()
await inSequence(contest)
await sideBySide(contest, Number(values.lifecycles), values.parallel)

async function inSequence({ script, workflows, rows }: Contest): Promise<void> {
  const contestants: Contestants = {
    [BY_HAND]: script(SCRIPT),
    'a run of workflows': workflows(),
    'a run of rows': rows(1),
  }
  const measured = new Map<number, Usages>()
  line(['lifecycles in sequence', '', ...FIGURES, ...RATIOS])
  for (const number of numbers) {
    const usages = await inTurns(number > MEASURED_AGAIN ? 1 : turns, contestants, number)
    measured.set(number, usages)
    for (const name of Object.keys(contestants))
      line([String(number), name, ...figures(usages, name), ...ratios(usages, name)])
  }
  process.stdout.write('\n')
  line(['each further lifecycle', '', 'wall ms', 'cpu ms', 'peak KiB', 'of the last: wall', 'cpu', ''])
  for (const name of Object.keys(contestants)) growth(name, measured)
  process.stdout.write('\n')
  for (const [number, usages] of measured) if (AIMED_AT.includes(number)) aims(number, usages)
}

/** What a lifecycle more costs between one number and the next, and whether that stays the same. */
function growth(name: string, measured: ReadonlyMap<number, Usages>): void {
  let last: readonly number[] = []
  for (const [index, [number, usages]] of [...measured].entries()) {
    const [before, fewer] = [...measured][index - 1] ?? []
    if (before === undefined || fewer === undefined) continue
    const each = (of: (usage: Usage) => number) =>
      (middle(usages, name, of) - middle(fewer, name, of)) / (number - before)
    const now = [each(wall), each(cpu)]
    const factors = now.map((value, at) => value / (last[at] ?? Number.NaN))
    const [, ofProcessor = Number.NaN] = factors
    const judged = last.length === 0 ? '' : ofProcessor <= LINEAR ? 'linear' : 'NOT LINEAR'
    line([
      `${before} to ${number}`,
      name,
      ...now.map((value) => value.toFixed(1)),
      (each(peak) * 1024).toFixed(0),
      ...factors.map((factor) => (Number.isNaN(factor) ? '' : factor.toFixed(2))),
      judged,
    ])
    last = now
  }
}

function aims(number: number, usages: Usages): void {
  for (const name of usages.keys()) {
    if (name === BY_HAND) continue
    if (number === AIMED_AT[0]) aim(`${name}, ${number} in sequence, wall clock`, ratio(usages, name, wall), AIMS.wall)
    aim(`${name}, ${number} in sequence, peak memory`, ratio(usages, name, peak), AIMS.peak)
  }
}

async function sideBySide({ script, rows }: Contest, lifecycles: number, atOnce: string): Promise<void> {
  const name = `rows, --parallel ${atOnce}`
  const contestants: Contestants = { [BY_HAND]: script(SCRIPT, atOnce), [name]: rows(Number(atOnce)) }
  const usages = await inTurns(turns, contestants, lifecycles)
  line([`lifecycles, ${atOnce} at once`, '', ...FIGURES, ...RATIOS])
  for (const one of Object.keys(contestants))
    line([String(lifecycles), one, ...figures(usages, one), ...ratios(usages, one)])
  process.stdout.write('\n')
  aim(`${name}, wall clock`, ratio(usages, name, wall), AIMS.parallel)
  aim(`${name}, peak memory`, ratio(usages, name, peak), AIMS.peak)
}

function figures(usages: Usages, name: string): readonly string[] {
  return [wall, cpu, peak].map((of) => middle(usages, name, of).toFixed(0))
}

function ratios(usages: Usages, name: string): readonly string[] {
  return [wall, cpu, peak].map((of) => ratio(usages, name, of).toFixed(2))
}

function aim(what: string, reached: number, most: number): void {
  const verdict = reached <= most ? 'reached' : 'MISSED'
  process.stdout.write(`${what}: ${reached.toFixed(2)} times by hand, aim ${most}: ${verdict}\n`)
}

function line(cells: readonly string[]): void {
  const text = cells
    .map((cell, at) => (at < 2 ? cell.padEnd(WIDTHS[at] ?? 0) : cell.padStart(WIDTHS[at] ?? 0)))
    .join('')
  process.stdout.write(`${text.trimEnd()}\n`)
}
