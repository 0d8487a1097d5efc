/** The rows of a run, one line each, with links to their workflows. */
import type { RecordHead } from '../../record/index.ts'
import type { RowSummary, Summary } from '../summary.ts'
import { count } from '../words.ts'
import { mark } from './marks.ts'
import { type Markup, markup } from './markup.ts'
import { badge, duration } from './parts.ts'

/** Undefined for a run without rows. */
export function rows({ rows: list }: RecordHead, { rows: all, workflows }: Summary): Markup | undefined {
  if (list === undefined) return undefined
  const { file, total, shard, leftOut, notStarted } = list
  const names = [...new Set(all.flatMap(({ row }) => row.values.map(({ name }) => name)))]
  const number = (wanted: RowSummary['status']) => all.filter(({ status }) => status === wanted).length
  const waiting = number('waiting') === 0 ? '' : `, ${number('waiting')} wait for Thredd`
  const of = file === undefined ? `${total} times the same` : `${count(total, 'row')} of ${file}`
  const part = shard === undefined ? '' : `, shard ${shard.index} of ${shard.of}`
  const line = ({ row, status, durationMs, workflows: indexes }: RowSummary) =>
    markup`\n<tr><th scope="row">${row.number}</th>${names.map((name) => markup`<td class="mono wrap">${row.values.find((one) => one.name === name)?.value}</td>`)}<td>${status === 'waiting' ? markup`<span class="badge skip">${mark('by-thredd')}waiting for Thredd</span>` : badge(VERDICTS[status])}</td><td class="number">${duration(durationMs)}</td><td>${indexes.map((index, at) => markup`${at > 0 && ', '}<a href="#workflow-${index + 1}">${workflows[index]?.workflowId}</a>`)}</td></tr>`
  return markup`<section id="rows"><div class="title"><h2>Rows</h2><p class="soft small">${of}${part}: ${number('passed')} of ${all.length} passed${waiting}.</p></div>
<div class="scroll" tabindex="0" role="region" aria-label="Rows"><table><thead><tr><th scope="col">row</th>${names.map((name) => markup`<th scope="col">${name}</th>`)}<th scope="col">verdict</th><th scope="col">time</th><th scope="col">workflows</th></tr></thead><tbody>${all.map(line)}</tbody></table></div>
${leftOut.length > 0 && markup`<p>Left out, and nothing was sent for them:</p><ul class="plain">${leftOut.map(({ number, because }) => markup`<li>row ${number}: ${because}</li>`)}</ul>`}
${notStarted.length > 0 && markup`<p>${count(notStarted.length, 'row')} not started: ${notStarted.join(', ')}.</p>`}</section>`
}

const VERDICTS = { passed: 'pass', failed: 'fail', errored: 'inconclusive', skipped: 'skip' } as const
