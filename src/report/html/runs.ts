/** The list of stored runs, newest first, each with a link to its report; above it the joined answer of each environment. */
import { verdictOfRun } from '../history/facts.ts'
import type { History, Stored } from '../history/index.ts'
import { count } from '../words.ts'
import { pageOf, reportOf } from './history.ts'
import { document } from './index.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { badge, duration, time } from './parts.ts'

export function runsPage(runs: readonly Stored[], environments: readonly History[]): Iterable<string> {
  return document('Runs · DCR conformance', [
    markup`<header class="top"><strong>DCR conformance runs</strong><span>${runs.length} stored</span></header>
<main class="runs" id="main">${joined(environments)}<section><h2>Runs</h2><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table><thead><tr><th scope="col">started</th><th scope="col">may we go live?</th><th scope="col">verdict</th><th scope="col">scope</th><th scope="col">environment</th><th scope="col">workflows</th><th scope="col" class="number">failed</th><th scope="col" class="number">warnings</th><th scope="col" class="number">took</th></tr></thead><tbody>${runs.map(row)}</tbody></table></div></section></main>`,
  ])
}

function joined(environments: readonly History[]): Content {
  return markup`<section><h1>May we go live?</h1>${
    environments.length === 0
      ? markup`<p class="soft">No run can be joined.</p>`
      : markup`<ul class="plain">${environments.map(
          ({ environment, answer, runs }) =>
            markup`<li><a href="${encodeURIComponent(pageOf(environment))}">${environment.name}</a>: <strong class="${answer.tone}">${answer.headline}</strong> <span class="soft small">${count(runs.length, 'run')} joined. ${answer.lede}</span></li>`,
        )}</ul>`
  }</section>`
}

function row(stored: Stored): Markup {
  if ('problem' in stored)
    return markup`<tr><th scope="row">${stored.folder}</th><td colspan="8">${badge('inconclusive')} ${stored.problem}</td></tr>`
  const { head, answer, complete, workflows, checkCounts } = stored.facts
  const scope = complete ? 'COMPLETE' : 'PARTIAL'
  const names = workflows.map(({ workflowId }) => workflowId).join(', ')
  return markup`<tr><th scope="row"><a href="${reportOf(stored)}">${time(head.startedAt)}</a></th><td><strong class="${answer.tone}">${answer.headline}</strong></td><td>${verdictOfRun(stored.facts)}</td><td><span class="stamp${!complete && ' partial'}">${scope}</span></td><td>${head.environment.name}</td><td>${names}</td><td class="number">${checkCounts.fail}</td><td class="number">${checkCounts.warn}</td><td class="number">${duration(head.durationMs)}</td></tr>`
}
