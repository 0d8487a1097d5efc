/** The first screen: the answer, what decides it, and how many requirements of each area stand where. */
import { type RecordHead, verdictInWords } from '../../record/index.ts'
import type { Answer, Reason } from '../answer.ts'
import { TURNS } from '../findings.ts'
import { COLUMNS, type Column, type Gate, type GateRow } from '../gate.ts'
import type { Summary } from '../summary.ts'
import { count, whoRan } from '../words.ts'
import { mark } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { COLUMN_LOOKS, code, duration, slug, time } from './parts.ts'

export function overview(head: RecordHead, summary: Summary): Markup {
  return markup`<section id="overview">${answerOn(summary.answer)}
${gateTable(summary.gate)}
${facts(head, summary)}
${runWarnings(head)}
${toBeDone(head, summary)}
</section>`
}

/** The answer, and what decides it. */
export function answerOn({ tone, headline, lede, reasons }: Answer): Markup {
  const sign = ({ good: 'proven', bad: 'failed', unknown: 'no-verdict', caution: 'not-tested' } as const)[tone]
  return markup`<h1><span class="question">May we go live?</span> <span class="headline ${tone}">${mark(sign)}${headline}</span></h1>
<p class="lede">${lede}</p>
${reasons.length > 0 && markup`<ul class="reasons" aria-label="What decides this">${reasons.map(reason)}</ul>`}`
}

function reason({ column, text, detail, turn, leads }: Reason): Markup {
  const look = COLUMN_LOOKS[column]
  const rows = leads === 'rows' && markup` data-k="${column}"`
  const target = typeof leads === 'object' ? `finding-${leads.cause}` : leads === 'rows' ? 'requirements' : leads
  return markup`<li class="${look.tone}">${mark(look.mark, look.title)}<span><a href="#${target}"${rows}>${text}</a>${detail !== undefined && markup`<span class="more">${detail}</span>`}</span>${turn !== undefined && turnOf(turn)}</li>`
}

export function turnOf(turn: keyof typeof TURNS): Markup {
  return markup`<span class="turn ${turn}">${TURNS[turn]}</span>`
}

export function gateTable({ areas, all }: Gate): Markup {
  const columns = COLUMNS.filter((column) => column !== 'no verdict' || all.counts[column] > 0)
  return markup`<table class="gate" id="gate"><caption>What is proven, by area <span>Each number leads to its requirements.</span></caption>
<thead><tr><th scope="col">Area</th>${columns.map((column) => markup`<th scope="col">${COLUMN_LOOKS[column].title}</th>`)}</tr></thead>
<tbody>${areas.map(
    ({ area, ...row }) =>
      markup`<tr><th scope="row"><a href="#area-${slug(area)}" data-area="${area}">${area}</a></th>${columns.map((column) => cell(column, row, area))}</tr>`,
  )}</tbody>
<tfoot><tr><th scope="row">All ${COLUMNS.reduce((sum, column) => sum + all.counts[column], 0)}</th>${columns.map((column) => cell(column, all))}</tr></tfoot></table>`
}

function cell(column: Column, row: GateRow, area?: string): Markup {
  const number = row.counts[column]
  const { mark: name, title } = COLUMN_LOOKS[column]
  if (number === 0) return markup`<td class="none"><span aria-hidden="true">·</span><span class="unseen">0</span></td>`
  const notes = [
    ...(column === 'proven' && row.withRemark > 0 ? [`${row.withRemark} with remark`] : []),
    ...(column === 'proven' && row.byTool > 0 ? [`${row.byTool} by the tool’s tests`] : []),
    ...(column === 'proven' && row.earlier > 0 ? [`${row.earlier} earlier`] : []),
    ...(column === 'by Thredd' && row.awaited > 0 && row.awaited < number ? [`${row.awaited} awaited`] : []),
  ]
  const of = area !== undefined && markup` data-area="${area}"`
  const href = area === undefined ? 'requirements' : `area-${slug(area)}`
  return markup`<td class="k-${slug(column)}"><a href="#${href}" data-k="${column}"${of}>${mark(name)}<span class="unseen">${area ?? 'All'}: </span><u>${number}</u> <span class="word">${title}</span>${notes.length > 0 && markup` <small>${notes.join(', ')}</small>`}</a></td>`
}

const COUNTERPARTIES: Readonly<Record<RecordHead['counterparty'], string>> = {
  network: 'the named servers; where mutual TLS is proven stands under certificates',
  twin: 'the offline twin on this machine, behind TLS',
  'twin-in-process': 'the offline twin in the same process, without TLS',
}

function facts(head: RecordHead, { complete, workflows, steps, checkCounts, validUntil }: Summary): Markup {
  const { name, class: kind } = head.environment
  const { pass, warn, fail } = checkCounts
  const checks = [
    count(pass + warn + fail, 'check'),
    ...(fail > 0 ? [`${fail} failed`] : []),
    ...(warn > 0 ? [count(warn, 'remark')] : []),
  ]
  const scope = complete
    ? markup`<span class="stamp">COMPLETE</span>`
    : markup`<span class="stamp partial">PARTIAL</span>`
  return markup`<dl class="facts">
<div><dt>Environment</dt><dd><strong>${name}</strong>, class ${kind}</dd></div>
<div><dt>Answered by</dt><dd>${COUNTERPARTIES[head.counterparty]}</dd></div>
<div><dt>Run</dt><dd>${time(head.startedAt)}, ${duration(head.durationMs)}</dd></div>
<div><dt>Scope</dt><dd>${scope} ${count(workflows.length, 'workflow')}, ${count(steps.length, 'step')}, ${checks.join(', ')}</dd></div>
<div><dt>Verdict of the run</dt><dd><strong>${verdictInWords(head)}</strong>, exit code ${head.exitCode}</dd></div>
<div><dt>May be quoted until</dt><dd>${time(validUntil)}</dd></div>
${whoRan(head).map(([label, value]) => markup`<div><dt>${label}</dt><dd>${value}</dd></div>`)}
</dl>`
}

function runWarnings({ warnings, redaction: { cardNumbers = 0 } }: RecordHead): Content {
  const lines = [...(cardNumbers === 0 ? [] : [CARD_NUMBERS(cardNumbers)]), ...warnings]
  if (lines.length === 0) return undefined
  return markup`<details class="fold"${cardNumbers > 0 && markup` open`}><summary>${mark('remark')} ${count(lines.length, 'warning')} of the run</summary><ul class="plain">${lines.map((line) => markup`<li>${line}</li>`)}</ul></details>`
}

const CARD_NUMBERS = (number: number) =>
  `${count(number, 'number')} with the shape of a card number stood in requests or answers and cannot be found here any more. Find out where they come from: live ones have no place in a test environment (PCI DSS 6.5.5).`

/** What was assumed and not checked, the messages to Thredd, and what the flows ask of a person. */
function toBeDone({ given = [], messagesToThredd = [] }: RecordHead, { notices }: Summary): Content {
  const unchecked = given.filter(({ how }) => how === 'not checked')
  const all = notices.length + messagesToThredd.length + unchecked.length
  if (all === 0) return undefined
  return markup`<details class="fold" id="to-be-done"><summary>${count(all, 'thing')} to be done by a person</summary>
${unchecked.map(({ workflowId, means }) => markup`<p><strong>${workflowId}</strong>, given and not checked: ${means}</p>`)}
${notices.map(({ workflowId, text }) => markup`<p><strong>${workflowId}</strong>: ${text}</p>`)}
${messagesToThredd.map(
  ({ clientId, text }, index) =>
    markup`<details class="more"><summary>Message to Thredd about <span class="mono wrap">${clientId}</span></summary>${code(text, `message ${index + 1} to Thredd`)}</details>`,
)}</details>`
}
