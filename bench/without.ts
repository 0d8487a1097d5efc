/**
 * What each part of a lifecycle costs: the same run without it, and without all of them, beside the script by hand (raw.ts).
 * From the sources, in turns; each of so many lifecycles in sequence, less the first. `node bench/without.ts [--turns 3] [--many 200]`
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Contestants, cpu, inTurns, openContest, say, type Usages, wall } from './contest.ts'
import { median, type Usage } from './measure.ts'

const SCRIPT = fileURLToPath(new URL('raw.ts', import.meta.url))
const PARTS = ['search', 'reports', 'console', 'schemas', 'disk']

const { values } = parseArgs({
  options: { turns: { type: 'string', default: '3' }, many: { type: 'string', default: '200' } },
})
const [turns, many] = [Number(values.turns), Number(values.many)]

await using contest = await openContest()
const contestants: Contestants = {
  'by hand': contest.script(SCRIPT),
  whole: contest.workflows({ without: '' }),
  ...Object.fromEntries(PARTS.map((part) => [`without ${part}`, contest.workflows({ without: part })])),
  'without all of them': contest.workflows({ without: PARTS.join(' ') }),
}
const [first, all] = [await inTurns(turns, contestants, 1), await inTurns(turns, contestants, many)]
const each = (usages: Usages, name: string, of: (usage: Usage) => number) => median((usages.get(name) ?? []).map(of))
for (const name of Object.keys(contestants)) {
  const [byClock, byProcessor] = [wall, cpu].map((of) => {
    const figure = (one: string) => (each(all, one, of) - each(first, one, of)) / (many - 1)
    return `${figure(name).toFixed(1)} ms, ${(figure(name) / figure('by hand')).toFixed(1)} times by hand`
  })
  say(`each of ${many}: ${name}`, `${byClock} by the clock; ${byProcessor} by processor time`)
}
