/** The list of stored runs, newest first, each with a link to its report. */
import type { RunRecord } from '../../record/index.ts'
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
    markup`<header class="page"><h1>DCR conformance runs</h1><span class="soft small">${runs.length} stored</span></header>
<main class="page" id="main"><section class="card"><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table><thead><tr><th scope="col">started</th><th scope="col">verdict</th><th scope="col">environment</th><th scope="col">workflows</th><th scope="col" class="number">failed</th><th scope="col" class="number">warnings</th><th scope="col" class="number">took</th></tr></thead><tbody>${runs.map(row)}</tbody></table></div></section></main>`,
  ])
}

function row({ folder, run }: StoredRun): Markup {
  const href = `${folder.toWellFormed().split('/').map(encodeURIComponent).join('/')}/report.html`
  if ('problem' in run)
    return markup`<tr><th scope="row">${folder}</th><td colspan="6">${badge('inconclusive')} ${run.problem}</td></tr>`
  const summary = summarise(run, run.workflows)
  const verdict = ({ conformant: 'pass', 'non-conformant': 'fail', inconclusive: 'inconclusive' } as const)[run.verdict]
  return markup`<tr><th scope="row"><a href="${href}">${time(run.startedAt)}</a></th><td>${badge(verdict)}${!summary.complete && markup` <span class="soft small">PARTIAL</span>`}</td><td>${run.environment.name}</td><td>${run.workflows.map(({ workflowId }) => workflowId).join(', ')}</td><td class="number">${summary.checkCounts.fail}</td><td class="number">${summary.checkCounts.warn}</td><td class="number">${duration(run.durationMs)}</td></tr>`
}
