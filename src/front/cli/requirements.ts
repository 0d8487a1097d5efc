/** What a run of the whole catalogue shows of each requirement: how many of how many are proven, and each that is not. */
import { AREAS } from '../../record/requirements.ts'
import type { JudgedRequirement, RequirementStanding } from '../../report/proofs.ts'
import { count } from '../../report/words.ts'
import type { Printer } from './printer.ts'

/** In this order; what is proven is counted. */
const OPEN: readonly (readonly [standing: RequirementStanding, word: string, style: 'red' | 'yellow' | 'dim'])[] = [
  ['fail', 'failed', 'red'],
  ['inconclusive', 'no verdict', 'yellow'],
  ['warn', 'warning', 'yellow'],
  ['accepted', 'accepted', 'yellow'],
  ['not tested', 'not tested', 'yellow'],
  ['review', 'not by a run', 'dim'],
  ['confirmed', 'confirmed', 'dim'],
  ['reviewed', 'reviewed', 'dim'],
  ['by design', 'not by a run', 'dim'],
]

/** Those that are proven stand with the others where `all` are wanted. */
export function printRequirements(rows: readonly JudgedRequirement[], out: Printer, all = false): void {
  const byRun = rows.filter(({ requirement }) => requirement.by === 'run')
  out.line('', out.paint('bold', 'requirements'))
  for (const area of AREAS) {
    const own = byRun.filter(({ requirement }) => requirement.area === area)
    if (own.length > 0) out.line(`  ${area.padEnd(22)}${provenOf(own)} of ${own.length} proven`)
  }
  const shown = all
    ? [['pass', 'proven', 'green'] as const, ...OPEN]
    : OPEN.filter(([, word]) => word !== 'not by a run')
  const width = Math.max(0, ...rows.map(({ requirement }) => requirement.id.length))
  for (const [standing, word, style] of shown)
    for (const { requirement, because, ...row } of rows) {
      if (row.standing !== standing) continue
      const why = standing === 'pass' || because === '' ? '' : ` (${because})`
      out.line(
        `  ${out.paint(style, word.padEnd(12))}  ${requirement.id.padEnd(width)}  ${out.plain(`${requirement.text}${why}`)}`,
      )
    }
  out.line(`  ${inNumbers(rows)}`)
}

/** "118 of 125 requirements that a run can decide are proven: 2 failed, 5 not tested; 15 are decided otherwise" */
export function inNumbers(rows: readonly JudgedRequirement[]): string {
  const byRun = rows.filter(({ requirement }) => requirement.by === 'run')
  const open = OPEN.flatMap(([standing, word]) => {
    const number = byRun.filter((row) => row.standing === standing).length
    return number === 0 ? [] : [standing === 'warn' ? `${count(number, word)} among them` : `${number} ${word}`]
  })
  const others = rows.length - byRun.length
  return `${provenOf(byRun)} of ${byRun.length} requirements that a run can decide are proven${open.length === 0 ? '' : `: ${open.join(', ')}`}; ${others} are for Thredd, a person or the tests of this tool to decide`
}

/** A warning is a remark on something that is proven. */
function provenOf(rows: readonly JudgedRequirement[]): number {
  return rows.filter(({ standing }) => standing === 'pass' || standing === 'warn').length
}
