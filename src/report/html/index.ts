/**
 * The report for people: one HTML file that loads nothing. Its content security policy admits only its own style and script,
 * by hash. What it says of the run as a whole is worked out in summary.ts.
 */
import { createHash } from 'node:crypto'
import type { RecordHead } from '../../record/index.ts'
import { FEW_DAYS } from '../ends.ts'
import type { ReportedRun, Summary } from '../summary.ts'
import { certificates } from './certificates.ts'
import { signOff } from './decided.ts'
import { findings } from './findings.ts'
import { made } from './made.ts'
import { mark, SYMBOLS } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { overview } from './overview.ts'
import { readable } from './parts.ts'
import { PRINT, pageBoxes } from './print.ts'
import { requirements } from './requirements.ts'
import { rows } from './rows.ts'
import { SCRIPT } from './script.ts'
import { STYLE } from './style.ts'
import { workflows } from './workflows.ts'

export function html(run: ReportedRun): Iterable<string> {
  const { head, summary } = run
  const { name } = head.environment
  const partial = summary.complete ? '' : 'PARTIAL · '
  const title = `${partial}${summary.answer.headline} · ${name} · ${readable(head.startedAt)} · DCR conformance report`
  const boxes = pageBoxes({
    top: `${name}: may we go live? ${summary.answer.headline}`,
    bottom: `run ${head.runId}, ${readable(head.startedAt)}`,
  })
  return document(title, page(run), boxes)
}

function* page({ head, workflows: all, summary }: ReportedRun): Generator<Markup> {
  yield markup`<header class="top"><strong>${head.tool.name}</strong><span>Conformance report</span><span class="stamp">${head.environment.name}</span><span>${readable(head.startedAt)}</span><span class="push">run <span class="mono">${head.runId.slice(-6)}</span></span><button type="button" data-print hidden>Print</button></header>
<div class="layout">${rail(summary, head)}<main id="main">
${overview(head, summary)}
${findings(head, summary, all)}
${rows(head, summary)}
`
  yield* requirements(summary)
  yield* workflows(head, all, summary)
  yield markup`${certificates(head, summary)}
${made(head, summary)}
${signOff(head, summary)}
<footer>${head.tool.name} ${head.tool.version}. Made from record.json of run <span class="mono wrap">${head.runId}</span>, version ${head.recordVersion}, ended ${readable(summary.endedAt)}. This page loads nothing and sends nothing; links lead to the standards.</footer>
</main></div>`
}

function rail(
  { causes, requirements: all, rows: ofRows, workflows: lines, gate, ends }: Summary,
  { rows: list }: RecordHead,
): Markup {
  const failedOf = (some: readonly { readonly status: string }[]) =>
    some.some(({ status }) => status === 'failed' || status === 'errored') && mark('failed')
  const soon = ends.filter(({ days }) => days < FEW_DAYS).length
  const items: readonly (readonly [id: string, title: string, note: Content])[] = [
    ['overview', 'Overview', undefined],
    ['findings', 'Findings', causes.length],
    ...(list === undefined ? [] : ([['rows', 'Rows', markup`${failedOf(ofRows)}${ofRows.length}`]] as const)),
    ['requirements', 'Requirements', markup`${gate.all.counts.failed > 0 && mark('failed')}${all.length}`],
    ['workflows', 'Workflows', markup`${failedOf(lines)}${lines.length}`],
    ['certificates', 'What runs out', soon > 0 && mark('not-tested')],
    ['made', 'How this was made', undefined],
    ['sign-off', 'Deviations, sign-off', undefined],
  ]
  return markup`<nav class="rail" aria-label="Sections"><ol>${items.map(([id, title, note]) => markup`<li><a href="#${id}">${title}<span class="note">${note}</span></a></li>`)}</ol></nav>`
}

/** A whole page around `body`; the list of runs is one too. `boxes` are those of the margins in print. */
export function* document(title: string, body: Iterable<Markup>, boxes = ''): Generator<string> {
  const style = `${STYLE}${PRINT}${boxes}`
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    `script-src '${hashOf(SCRIPT)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const head = markup`<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><title>${title}</title>`
  yield `<!doctype html>\n<html lang="en"><head>${head}<style>${style}</style></head>\n<body><a class="skip-link" href="#main">Skip to the answer</a>${SYMBOLS}\n`
  for (const part of body) yield part.toString()
  yield `\n<script>${SCRIPT}</script></body></html>\n`
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
