/** Where each requirement stands on the way to production: each in exactly one column, so that the rows add up. Pure. */
import { AREAS, type Area, isMandatory } from '../record/requirements.ts'
import type { JudgedRequirement, RequirementStanding } from './proofs.ts'

export const COLUMNS = ['proven', 'failed', 'no verdict', 'not tested', 'accepted', 'by Thredd', 'open'] as const
/** `not tested` is mandatory, `open` is not; `by Thredd` is what no run can decide and people have to confirm */
export type Column = (typeof COLUMNS)[number]

/** The column of each standing, and the word for it where the column says too little. */
const STANDINGS: Readonly<Record<RequirementStanding, readonly [column: Column, word?: string]>> = {
  pass: ['proven'],
  warn: ['proven', 'remark'],
  'by design': ['proven', 'tool’s tests'],
  fail: ['failed'],
  inconclusive: ['no verdict'],
  accepted: ['accepted'],
  'not tested': ['not tested'],
  review: ['by Thredd'],
  confirmed: ['by Thredd', 'confirmed'],
  reviewed: ['by Thredd', 'reviewed'],
}

/** The word for a standing, on screens and in reports. */
export function wordOf(standing: RequirementStanding): string {
  const [column, word = column] = STANDINGS[standing]
  return word
}

export function columnOf({ requirement, standing }: Pick<JudgedRequirement, 'requirement' | 'standing'>): Column {
  const [column] = STANDINGS[standing]
  return column === 'not tested' && !isMandatory(requirement) ? 'open' : column
}

export interface GateRow {
  readonly counts: Readonly<Record<Column, number>>
  /** of the proven ones */
  readonly withRemark: number
  /** of the proven ones: by the tests of this tool, and not by the run */
  readonly byTool: number
  /** of those by Thredd or a person: nobody has confirmed or reviewed them yet */
  readonly awaited: number
  /** of the proven ones: by an earlier run than the newest, where runs are joined */
  readonly earlier: number
}

export interface Gate {
  readonly areas: readonly (GateRow & { readonly area: Area })[]
  readonly all: GateRow
}

export function gateOf<T extends JudgedRequirement>(
  requirements: readonly T[],
  isEarlier: (row: T) => boolean = () => false,
): Gate {
  const row = (rows: readonly T[]) => {
    const earlier = rows.filter((one) => columnOf(one) === 'proven' && isEarlier(one)).length
    return { ...rowOf(rows), earlier }
  }
  const areas = AREAS.map((area) => ({ area, ...row(requirements.filter((one) => one.requirement.area === area)) }))
  return { areas, all: row(requirements) }
}

function rowOf(requirements: readonly JudgedRequirement[]): Omit<GateRow, 'earlier'> {
  const by = (wanted: RequirementStanding) => requirements.filter(({ standing }) => standing === wanted).length
  const counts = COLUMNS.map(
    (column) => [column, requirements.filter((one) => columnOf(one) === column).length] as const,
  )
  return {
    counts: Object.fromEntries(counts) as Record<Column, number>,
    withRemark: by('warn'),
    byTool: by('by design'),
    awaited: by('review'),
  }
}

/** The counts that are not 0, as screens and reports in text print them. */
export function countsInWords({ counts, byTool, awaited }: GateRow): string {
  const notes: Readonly<Partial<Record<Column, string>>> = {
    ...(byTool > 0 ? { proven: ` (${byTool} by the tool’s tests)` } : {}),
    ...(awaited > 0 && awaited < counts['by Thredd'] ? { 'by Thredd': ` (${awaited} awaited)` } : {}),
  }
  const note = (column: Column) => notes[column] ?? ''
  return COLUMNS.filter((column) => counts[column] > 0)
    .map((column) => `${counts[column]} ${column}${note(column)}`)
    .join(' · ')
}

/** The column of each requirement by its id, in the order of the catalogue. */
export function columnsById(requirements: readonly JudgedRequirement[]): Readonly<Record<string, Column>> {
  return Object.fromEntries(requirements.map((one) => [one.requirement.id, columnOf(one)] as const))
}
