/** The files that are written for every run, from its record alone. */
import type { RunRecord } from '../record.ts'
import { ctrf } from './ctrf.ts'
import { har } from './har.ts'
import { html } from './html.ts'
import { junit } from './junit.ts'
import { markdown } from './markdown.ts'

/** By the name that `--format` has for it: the file's name, and the conversion. */
export const FORMATS = {
  html: { file: 'report.html', convert: html },
  md: { file: 'report.md', convert: markdown },
  junit: { file: 'junit.xml', convert: junit },
  ctrf: { file: 'ctrf.json', convert: ctrf },
  har: { file: 'run.har', convert: har },
} as const satisfies Readonly<
  Record<string, { readonly file: string; readonly convert: (record: RunRecord) => string }>
>

export function reports(record: RunRecord): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.values(FORMATS).map(({ file, convert }) => [file, convert(record)]))
}
