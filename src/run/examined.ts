/** One thing that was looked at before a run, as `thredd doctor` shows it. */
import { basename } from 'node:path'
import type { Problem, ToolError } from '../record/errors.ts'

export const AREAS = [
  'settings',
  'certificates',
  'signing key',
  'vault',
  'flows',
  'clock',
  'hosts',
  'servers',
  'registration',
] as const

/** One thing that was looked at. */
export interface Examined {
  readonly area: (typeof AREAS)[number]
  readonly what: string
  /** remark: nothing has to be done today. unknown: it could not be found out, or was not asked */
  readonly state: 'good' | 'remark' | 'wrong' | 'unknown'
  /** one sentence, without its full stop */
  readonly sentence: string
  /** what to do */
  readonly remedy?: string | undefined
}

/** A problem as a row. */
export function problemRow(area: Examined['area'], what: string, problem: Problem): Examined {
  const { message, at, expected, found, hint } = problem
  const place = at === undefined ? '' : `${basename(at.file)}:${at.line}: `
  const parts = [
    `${place}${message.replace(/; nothing was sent$/, '')}`,
    expected && `expected ${expected}`,
    found && `found ${found}`,
  ]
  return {
    area,
    what,
    state: 'wrong',
    sentence: parts.filter(Boolean).join('; '),
    remedy: hint ?? (at && `correct it in ${at.file}`),
  }
}

/** What is wrong with the files of an environment, which then cannot be looked at any further. */
export function rowsOfRefusal({ problems, warnings }: ToolError): readonly Examined[] {
  return [
    ...problems.map((one) => problemRow('settings', 'files', one)),
    ...warnings.map((sentence): Examined => ({ area: 'settings', what: 'files', state: 'remark', sentence })),
  ]
}
