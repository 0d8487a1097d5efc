/** What a run of the whole catalogue shows of each requirement: how many of how many are proven, and each that is not. */
import { AREAS } from '../../record/requirements.ts'
import { columnOf, wordOf } from '../../report/gate.ts'
import type { JudgedRequirement, RequirementStanding } from '../../report/proofs.ts'
import type { Printer } from './printer.ts'

/** In this order; what is proven is counted. */
const OPEN: readonly (readonly [standing: RequirementStanding, style: 'red' | 'yellow' | 'dim'])[] = [
  ['fail', 'red'],
  ['inconclusive', 'yellow'],
  ['warn', 'yellow'],
  ['accepted', 'yellow'],
  ['not tested', 'yellow'],
  ['review', 'dim'],
  ['confirmed', 'dim'],
  ['reviewed', 'dim'],
  ['by design', 'dim'],
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
    ? [['pass', 'green'] as const, ...OPEN]
    : OPEN.filter(([standing]) => standing !== 'review' && standing !== 'by design')
  const width = Math.max(0, ...rows.map(({ requirement }) => requirement.id.length))
  for (const [standing, style] of shown)
    for (const { requirement, because, ...row } of rows) {
      if (row.standing !== standing) continue
      const why = standing === 'pass' || because === '' ? '' : ` (${because})`
      // Beside the reports, in whose columns all rows stand.
      const word = all ? columnOf({ requirement, standing }) : wordOf(standing)
      out.line(
        `  ${out.paint(style, word.padEnd(12))}  ${requirement.id.padEnd(width)}  ${out.plain(`${requirement.text}${why}`)}`,
      )
    }
  out.line(`  ${inNumbers(rows)}`)
}

/** "118 of 125 requirements that a run can decide are proven: 2 failed, 5 not tested; 15 are decided otherwise" */
export function inNumbers(rows: readonly JudgedRequirement[]): string {
  const byRun = rows.filter(({ requirement }) => requirement.by === 'run')
  const open = OPEN.flatMap(([standing]) => {
    const number = byRun.filter((row) => row.standing === standing).length
    return number === 0 ? [] : [`${number} ${standing === 'warn' ? 'of them with a remark' : wordOf(standing)}`]
  })
  const others = rows.length - byRun.length
  return `${provenOf(byRun)} of ${byRun.length} requirements that a run can decide are proven${open.length === 0 ? '' : `: ${open.join(', ')}`}; ${others} are for Thredd, a person or the tests of this tool to decide`
}

/** A warning is a remark on something that is proven. */
function provenOf(rows: readonly JudgedRequirement[]): number {
  return rows.filter(({ standing }) => standing === 'pass' || standing === 'warn').length
}
