/** The list of stored runs, newest first, each with a link to its report. */
import { type RunRecord, verdictInWords } from '../../record/index.ts'
import { summarise } from '../summary.ts'
import { document } from './index.ts'
import { type Markup, markup } from './markup.ts'
import { badge, duration, time } from './parts.ts'

export interface StoredRun {
  /** the run's folder, relative to the page */
  readonly folder: string
  /** the run, or why its record cannot be read */
  readonly run: RunRecord | { readonly problem: string }
}

export function runsPage(runs: readonly StoredRun[]): Iterable<string> {
  return document('Runs · DCR conformance', [
    markup`<header class="top"><strong>DCR conformance runs</strong><span>${runs.length} stored</span></header>
<main class="runs" id="main"><section><h1 class="unseen">Runs</h1><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table><thead><tr><th scope="col">started</th><th scope="col">may we go live?</th><th scope="col">verdict</th><th scope="col">scope</th><th scope="col">environment</th><th scope="col">workflows</th><th scope="col" class="number">failed</th><th scope="col" class="number">warnings</th><th scope="col" class="number">took</th></tr></thead><tbody>${runs.map(row)}</tbody></table></div></section></main>`,
  ])
}

function row({ folder, run }: StoredRun): Markup {
  const href = `${folder.toWellFormed().split('/').map(encodeURIComponent).join('/')}/report.html`
  if ('problem' in run)
    return markup`<tr><th scope="row">${folder}</th><td colspan="8">${badge('inconclusive')} ${run.problem}</td></tr>`
  const summary = summarise(run, run.workflows)
  const { tone, headline } = summary.answer
  return markup`<tr><th scope="row"><a href="${href}">${time(run.startedAt)}</a></th><td><strong class="${tone}">${headline}</strong></td><td>${verdictInWords(run)}</td><td><span class="stamp${!summary.complete && ' partial'}">${summary.complete ? 'COMPLETE' : 'PARTIAL'}</span></td><td>${run.environment.name}</td><td>${run.workflows.map(({ workflowId }) => workflowId).join(', ')}</td><td class="number">${summary.checkCounts.fail}</td><td class="number">${summary.checkCounts.warn}</td><td class="number">${duration(run.durationMs)}</td></tr>`
}
