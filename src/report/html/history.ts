/** The page of the joined runs of one environment: may we go live, by which runs, and what has changed since the baseline. */
import { commandsFor } from '../../record/hints.ts'
import type { Cause } from '../causes.ts'
import { COUNTS_FOR, FEW_DAYS } from '../ends.ts'
import { type RunFacts, verdictOfRun } from '../history/facts.ts'
import type { History } from '../history/index.ts'
import { type JoinedRequirement, LAST } from '../history/requirement.ts'
import type { StepRef } from '../standing.ts'
import { count, stepInWords } from '../words.ts'
import { timeline } from './certificates.ts'
import { signOff } from './decided.ts'
import { advice, said } from './findings.ts'
import { document } from './index.ts'
import { mark } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { answerOn, gateTable, turnOf } from './overview.ts'
import { badge, COLUMN_LOOKS, duration, expectedAndActual, readable, stepId, time, toneOf } from './parts.ts'
import { pageBoxes } from './print.ts'
import { areasOf, filter } from './requirements.ts'

/** The name of the page of an environment, in the folder of the runs. */
export function pageOf({ name }: History['environment']): string {
  return `environment-${name.replace(/[^\w.-]/g, '_')}.html`
}

export function historyPage(history: History): Iterable<string> {
  const { environment, answer, now } = history
  const title = `${answer.headline} · ${environment.name} · ${count(history.runs.length, 'run')} joined · ${readable(now)}`
  const boxes = pageBoxes({
    top: `${environment.name}: may we go live? ${answer.headline}`,
    bottom: `${count(history.runs.length, 'run')} joined, ${readable(now)}`,
  })
  return document(title, page(history), boxes)
}

function* page(history: History): Generator<Markup> {
  const { environment, answer, gate, now, ends, validUntil, runs, requirements } = history
  yield markup`<header class="top"><strong>thredd-dcr</strong><span>Conformance over time</span><span class="stamp">${environment.name}</span><span>${readable(now)}</span><span class="push">${count(runs.length, 'run')} joined</span><button type="button" data-print hidden>Print</button></header>
<div class="layout">${rail(history)}<main id="main">
<section id="overview">${answerOn(answer)}
${gateTable(gate)}
${facts(history)}
${notes(history)}</section>
${findings(history)}
<section id="requirements"><div class="title"><h2>Requirements</h2><p class="soft small">${requirements.length} of the catalogue; the newest verdict on each, by the run that is named, and the last ${count(Math.min(runs.length, LAST), 'run')}.</p></div>
${noLongerTested(history)}
${filter({ requirements, gate })}
${areasOf({ requirements, gate }, { why: (row) => decidedBy(row, history), last })}
<p class="empty" hidden>No requirement fits.</p></section>
${changes(history)}
${runTable(history)}
<section id="certificates"><div class="title"><h2>What runs out</h2><p class="soft small">Days from ${readable(now).slice(0, 10)}. The dotted line is ${FEW_DAYS} days: the time a new certificate takes.</p></div>${timeline(ends, validUntil, now)}</section>
${signOff(history, history)}
<footer>Joined from the records of ${count(runs.length, 'run')} on ${readable(now)}. A stored record carries no signature; in an evidence pack it does. This page loads nothing and sends nothing; links lead to the reports of the runs and to the standards.</footer>
</main></div>`
}

function rail({ causes, requirements, baseline, runs, ends }: History): Markup {
  const soon = ends.some(({ days }) => days < FEW_DAYS)
  const items: readonly (readonly [id: string, title: string, note: Content])[] = [
    ['overview', 'Overview', undefined],
    ['findings', 'Findings', causes.length],
    ['requirements', 'Requirements', requirements.length],
    ['changes', 'Changes', baseline && changedIn(baseline.changes.columns)],
    ['runs', 'Runs', runs.length],
    ['certificates', 'What runs out', soon && mark('not-tested')],
    ['sign-off', 'Deviations, sign-off', undefined],
  ]
  return markup`<nav class="rail" aria-label="Sections"><ol>${items.map(([id, title, note]) => markup`<li><a href="#${id}">${title}<span class="note">${note}</span></a></li>`)}</ol></nav>`
}

function changedIn(groups: readonly { readonly ids: readonly string[] }[]): number {
  return groups.reduce((sum, { ids }) => sum + ids.length, 0)
}

function facts({ environment, runs, leftOut, validUntil, decisions }: History): Markup {
  const [newest] = runs as [RunFacts]
  return markup`<dl class="facts">
<div><dt>Environment</dt><dd><strong>${environment.name}</strong>, class ${environment.class}</dd></div>
<div><dt>Joined</dt><dd>${count(runs.length, 'run')}${leftOut.length > 0 && markup`, <a href="#left-out">${leftOut.length} left out</a>`}</dd></div>
<div><dt>Newest run</dt><dd>${runLink(newest)}</dd></div>
<div><dt>A verdict counts for</dt><dd>${COUNTS_FOR} days</dd></div>
<div><dt>May be quoted until</dt><dd>${time(validUntil)}</dd></div>
<div><dt>Decisions</dt><dd>${decisions === undefined ? 'none' : markup`<a href="#sign-off">${decisions.file}</a>`}</dd></div>
</dl>`
}

function notes({ notes: all }: History): Content {
  if (all.length === 0) return undefined
  return markup`<details class="fold" open><summary>${mark('remark')} ${count(all.length, 'thing')} to know about these runs</summary><ul class="plain">${all.map((one) => markup`<li>${one}</li>`)}</ul></details>`
}

function findings(history: History): Markup {
  const { causes } = history
  return markup`<section id="findings"><div class="title"><h2>Findings</h2><p class="soft small">${causes.length > 0 && 'What failed when it was last judged; same cause, one finding.'}</p></div>
${causes.length === 0 && markup`<p class="soft">None: no failure counts, and no call leaves a requirement without a verdict.</p>`}
${causes.map((cause, index) => finding(cause, index + 1, history))}</section>`
}

function finding(cause: Cause, number: number, { runOf }: History): Markup {
  const { standing, title, turn, next, checks, steps } = cause
  const [check] = checks
  const isBeside = check !== undefined && checks.length === 1 && check.member !== 'status' && check.id !== 'status'
  return markup`<article class="finding ${toneOf(standing)}" id="finding-${number}"><header>${badge(standing)}${next !== '' && turnOf(turn)}</header>
${said(cause)}<h3 class="wrap">${number}. ${title}</h3>${isBeside && expectedAndActual(check.expected, check.actual, standing)}${advice(cause, places(steps, runOf))}</article>`
}

/** So many steps are named. */
const MOST_STEPS = 6

function places(steps: readonly StepRef[], runOf: History['runOf']): Content {
  const more = steps.length - MOST_STEPS
  return [
    steps.slice(0, MOST_STEPS).map((step, index) => markup`${index > 0 && ', '}${stepIn(runOf(step), step)}`),
    more > 0 && ` and ${count(more, 'more step')}`,
  ]
}

function stepIn(run: RunFacts | undefined, step: StepRef): Markup {
  const name = stepInWords(step)
  return run === undefined
    ? markup`${name}`
    : markup`<a href="${reportOf(run)}#${stepId(step.position)}">${name}</a>, ${day(run)}`
}

/** Relative to the folder of the runs, where the page is. */
export function reportOf({ folder }: Pick<RunFacts, 'folder'>): string {
  return `${folder.toWellFormed().split('/').map(encodeURIComponent).join('/')}/report.html`
}

function day({ head }: RunFacts): string {
  return head.startedAt.slice(0, 10)
}

function runLink(run: RunFacts): Markup {
  const { startedAt, runId } = run.head
  return markup`<a href="${reportOf(run)}">${time(startedAt)}</a> <span class="mono">${runId.slice(-6)}</span>`
}

function decidedBy(row: JoinedRequirement, { runs }: History): Content {
  const { decidedIn, unansweredIn, because, standing } = row
  const [first] = decidedIn
  const others = new Set(decidedIn.map(({ run }) => run)).size - 1
  const asks = standing === 'accepted' || first === undefined
  return markup`${asks && because}${first !== undefined && markup`${asks && '; '}${first.run === runs[0] ? '' : 'earlier: '}${stepIn(first.run, first.step)} <span class="mono">${first.run.head.runId.slice(-6)}</span>${others > 0 && `, and ${count(others, 'earlier run')}`}`}${unansweredIn !== undefined && first !== undefined && markup`. No verdict on ${day(unansweredIn)}`}`
}

function last(row: JoinedRequirement): Content {
  if (row.last.length === 0) return undefined
  const label = row.last.map(({ run, column }) => `${day(run)} ${column}`).join(', ')
  return markup`<span class="dots" role="img" aria-label="${label}">${row.last.map(({ column }) => mark(column === 'not tested' ? 'open' : COLUMN_LOOKS[column].mark))}</span>`
}

function noLongerTested({ requirements }: History): Content {
  const rows = requirements.filter(({ noLongerTested }) => noLongerTested !== undefined)
  if (rows.length === 0) return undefined
  return markup`<div class="block" id="no-longer-tested"><h3>${mark('not-tested')} No longer tested: ${rows.length}</h3><ul class="plain">${rows.map(({ requirement: { id, text }, because }) => markup`<li><a href="#requirement-${id}">${id}</a> ${text} <span class="soft small">${because}.</span></li>`)}</ul></div>`
}

function changes({ baseline, decisions, environment }: History): Markup {
  const command = commandsFor(environment.flags ?? [])('compareRuns')
  if (baseline === undefined)
    return markup`<section id="changes"><div class="title"><h2>Changes</h2></div><p class="soft">Compared with no run: name a baseline in ${decisions?.file ?? `decisions.${environment.name}.yaml`}, or with <code>${command}</code>.</p></section>`
  const { run, changes: found } = baseline
  const nothing = found.columns.length + found.others.length === 0
  return markup`<section id="changes"><div class="title"><h2>Changes since ${day(run)}</h2><p class="soft small">Compared with how things stood after ${runLink(run)}.</p></div>
${nothing && markup`<p class="soft">None.</p>`}
<ul class="plain">${found.columns.map(({ from, to, ids }) => markup`<li>${mark(COLUMN_LOOKS[from].mark)} ${from} → ${mark(COLUMN_LOOKS[to].mark)} <strong>${to}</strong>, ${ids.length}: ${ids.map((id, index) => markup`${index > 0 && ', '}<a href="#requirement-${id}">${id}</a>`)}</li>`)}
${found.others.map((text) => markup`<li>${text}</li>`)}</ul></section>`
}

/** So many runs are listed; all are counted. */
const MOST_RUNS = 30

function runTable({ runs, baseline, leftOut }: History): Markup {
  const more = runs.length - MOST_RUNS
  const titles = ['run', 'verdict', 'scope', 'workflows', 'took']
  return markup`<section id="runs"><div class="title" id="made"><h2 id="clients">Runs</h2></div><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table><thead><tr>${titles.map((title) => markup`<th scope="col">${title}</th>`)}<th scope="col" class="number">proven</th><th scope="col" class="number">failed</th></tr></thead><tbody>${runs
    .slice(0, MOST_RUNS)
    .map((run) => rowOf(run, run === baseline?.run))}</tbody></table></div>
${more > 0 && markup`<p>And ${count(more, 'earlier run')}.</p>`}
${leftOut.length > 0 && markup`<details class="fold" id="left-out"><summary>${count(leftOut.length, 'stored run')} left out</summary><ul class="plain">${leftOut.map(({ folder, because }) => markup`<li><span class="mono wrap">${folder}</span>: ${because}</li>`)}</ul></details>`}</section>`
}

function rowOf(run: RunFacts, isBaseline: boolean): Markup {
  const { head, workflows, complete, columns } = run
  const number = (column: string) => [...columns.values()].filter((one) => one === column).length
  const names = [...new Set(workflows.map(({ workflowId }) => workflowId))].join(', ')
  const scope = complete
    ? markup`<span class="stamp">COMPLETE</span>`
    : markup`<span class="stamp partial">PARTIAL</span>`
  return markup`<tr><th scope="row">${runLink(run)}${isBaseline && markup` <span class="stamp">baseline</span>`}</th><td>${verdictOfRun(run)}</td><td>${scope}</td><td>${names}</td><td>${duration(head.durationMs)}</td><td class="number">${number('proven')}</td><td class="number">${number('failed')}</td></tr>`
}
