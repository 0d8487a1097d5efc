/** Wording that screens and reports share. */
import type { RecordHead } from '../record/index.ts'

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
