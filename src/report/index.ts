/** The files that are written for every run, from its record alone, each piece by piece. */
import type { RunRecord } from '../record/index.ts'
import { ctrf } from './ctrf.ts'
import { har } from './har.ts'
import { html } from './html/index.ts'
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
  Record<string, { readonly file: string; readonly convert: (record: RunRecord) => Iterable<string> }>
>

/** A file's name and its text. None is begun before it is read. */
export function* reports(record: RunRecord): Generator<readonly [file: string, chunks: Iterable<string>]> {
  for (const { file, convert } of Object.values(FORMATS)) yield [file, convert(record)]
}
