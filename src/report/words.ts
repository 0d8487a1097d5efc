/** Wording that screens and reports share. */
import type { RecordHead, WorkflowRecord } from '../record/index.ts'

/** Who ran it, for what and where: each as a label and its value. */
export function whoRan({
  origin = {},
}: Pick<RecordHead, 'origin'>): readonly (readonly [label: string, value: string])[] {
  const rows = [
    ['operator', origin.operator],
    ['organisation', origin.organisation],
    ['ticket or change', origin.reference],
    ['CI job', origin.job],
  ] as const
  return rows.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]))
}

/** "1 step", "2 steps" */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

type Row = NonNullable<WorkflowRecord['row']>

/** How the warning begins that says why a row was not started. */
export function notStartedInWords(number: number): string {
  return `row ${number} was not started: `
}

/** The rows of the list that were not started, each with why. */
export function rowsNotStarted({
  rows,
  warnings,
}: Pick<RecordHead, 'rows' | 'warnings'>): readonly { readonly number: number; readonly because: string }[] {
  return (rows?.notStarted ?? []).map((number) => {
    const said = notStartedInWords(number)
    const whys = warnings.filter((text) => text.startsWith(said)).map((text) => text.slice(said.length))
    return { number, because: whys.length === 0 ? 'the run ended before it' : whys.join('; ') }
  })
}

/** "row 3", "row 3 (b9f04639-…)": by the first of its values, which is the one that sets rows apart best. */
export function rowInWords({ number, values }: Row): string {
  const one = values.find(({ value }) => value !== '')
  return one === undefined ? `row ${number}` : `row ${number} (${one.value})`
}

/** The step in its workflow, with the row that it was run for. */
export function stepInWords(step: Pick<WorkflowRecord, 'workflowId' | 'row'> & { readonly stepId: string }): string {
  return `${workflowInWords(step)} / ${step.stepId}`
}

/** The workflow, with the row that it was run for. */
export function workflowInWords({ workflowId, row }: Pick<WorkflowRecord, 'workflowId' | 'row'>): string {
  return row === undefined ? workflowId : `${workflowId}, ${rowInWords(row)}`
}
