/** The report files of a run, by the name that `--format` has for each. */
import { ctrf } from './ctrf.ts'
import { har } from './har.ts'
import { html } from './html/index.ts'
import { junit } from './junit.ts'
import { markdown } from './markdown.ts'
import type { ReportedRun } from './summary.ts'

export interface Format {
  readonly file: string
  /** The text of the file, piece by piece. */
  readonly convert: (run: ReportedRun) => Iterable<string>
}

export const FORMATS = {
  html: { file: 'report.html', convert: html },
  md: { file: 'report.md', convert: markdown },
  junit: { file: 'junit.xml', convert: junit },
  ctrf: { file: 'ctrf.json', convert: ctrf },
  har: { file: 'run.har', convert: har },
} as const satisfies Readonly<Record<string, Format>>

export type FormatName = keyof typeof FORMATS

/** What is written of every run beside its record; the others can be made from the record at any time. */
export const USUAL_FORMATS: readonly FormatName[] = ['html', 'junit']
