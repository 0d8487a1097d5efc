/** The requirements by area, each in one row, with filters; and the same by step. */
import { type Area, isMandatory, type Requirement } from '../../record/requirements.ts'
import { COLUMNS, type Column, columnOf, type Gate, type GateRow, wordOf } from '../gate.ts'
import type { JudgedRequirement, ProvingSteps } from '../proofs.ts'
import type { Summary } from '../summary.ts'
import { count } from '../words.ts'
import { detection } from './detection.ts'
import { mark } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { badge, COLUMN_LOOKS, chip, clauseLink, clauses, markOf, slug, stepLink } from './parts.ts'

export function* requirements(summary: Summary): Generator<Markup> {
  const { requirements, otherClauses, catalogueChanged, steps } = summary
  yield markup`<section id="requirements"><div class="title"><h2>Requirements</h2><p class="soft small">${requirements.length} of the catalogue, each with the checks that decide it. “Not tested”: this run did not reach the check.</p></div>
${catalogueChanged && markup`<p>${mark('remark')} The catalogue has changed since the run; this page judges by the present one.</p>`}
${filter(summary)}
${areasOf(summary, { why: decidedBy })}
<p class="empty" hidden>No requirement fits.</p>
<details class="fold noprint" id="by-step"><summary>From step to requirements${otherClauses.length > 0 && `, and ${count(otherClauses.length, 'clause')} without a row in the catalogue`}</summary>${
    otherClauses.length > 0 &&
    markup`<ul>${otherClauses.map(({ clause, steps }) => markup`<li>${clauseLink(clause.id)}: ${steps.count === 0 ? 'named by a flow, no check' : stepLinks(steps)}</li>`)}</ul>`
  }<div class="scroll" tabindex="0" role="region" aria-label="Requirements by step"><table><thead><tr><th scope="col">step</th><th scope="col">requirements</th><th scope="col">clauses</th></tr></thead><tbody>`
  for (const one of steps)
    yield markup`\n<tr><th scope="row">${stepLink(one)}</th><td>${one.requirements.length === 0 ? markup`<span class="soft">none</span>` : one.requirements.join(', ')}</td><td>${clauses(one.clauses)}</td></tr>`
  yield markup`</tbody></table></div></details>
${detection(summary.detections)}</section>`
}

const LEVELS = ['must', 'should', 'may', 'policy'] as const

function levelOf(requirement: Requirement): (typeof LEVELS)[number] {
  if (isMandatory(requirement)) return 'must'
  if (requirement.level === 'policy') return 'policy'
  return ['SHOULD', 'SHOULD NOT', 'RECOMMENDED'].includes(requirement.level) ? 'should' : 'may'
}

export function filter({ requirements, gate }: Judged): Markup {
  const columns = COLUMNS.filter((column) => gate.all.counts[column] > 0)
  const levels = LEVELS.map(
    (level) => [level, requirements.filter(({ requirement }) => levelOf(requirement) === level).length] as const,
  )
  return markup`<form class="filter" id="filter" hidden role="search" aria-label="Filter requirements" data-rows="#requirements tr[data-k]" data-groups="#requirements .area, #requirements .rest" data-what="requirements"><fieldset><legend>Show</legend>${columns.map(
    (column) => {
      const { title, tone, mark: name } = COLUMN_LOOKS[column]
      return chip({ name: 'k', value: column, tone }, markup`${mark(name)}${title} <b>${gate.all.counts[column]}</b>`)
    },
  )}</fieldset><fieldset><legend>Level</legend>${levels
    .filter(([, number]) => number > 0)
    .map(([level, number]) =>
      chip({ name: 'level', value: level, tone: 'skip' }, markup`${level} <b>${number}</b>`),
    )}</fieldset>
<input type="search" name="text" id="search" placeholder="Id, word, clause" aria-label="Search requirements"><button type="reset">Show all</button><output aria-live="polite"></output></form>`
}

interface Judged<T extends JudgedRequirement = JudgedRequirement> {
  readonly requirements: readonly T[]
  readonly gate: Gate
}

/** What the last cells of a row hold. */
interface Cells<T> {
  readonly why: (row: T) => Content
  /** its last verdicts; absent: no such cell */
  readonly last?: (row: T) => Content
}

export function areasOf<T extends JudgedRequirement>({ requirements, gate }: Judged<T>, cells: Cells<T>): Content {
  return gate.areas.map(({ area, counts }) =>
    areaOf(area, { rows: requirements.filter(({ requirement }) => requirement.area === area), counts, cells }),
  )
}

/** Open where something in it failed or has no verdict: that stands there alone, and the other rows a click away. */
function areaOf<T extends JudgedRequirement>(
  area: Area,
  {
    rows,
    counts,
    cells,
  }: { readonly rows: readonly T[]; readonly counts: GateRow['counts']; readonly cells: Cells<T> },
): Markup {
  const { hot = [], rest = [] } = Object.groupBy(rows, ({ standing }) =>
    standing === 'fail' || standing === 'inconclusive' ? 'hot' : 'rest',
  )
  const shown = COLUMNS.filter((column) => counts[column] > 0)
  return markup`<details class="area" id="area-${slug(area)}" data-area="${area}"${hot.length > 0 && markup` open data-hot`}><summary><h3>${area}</h3><span class="strip" aria-hidden="true">${rows.map((one) => mark(markOfRow(one)))}</span><span class="numbers">${shown.map((column, index) => markup`${index > 0 && ', '}${counts[column]} ${COLUMN_LOOKS[column].title}`)}</span></summary>
${hot.length > 0 && tableOf(hot, cells)}${
  rest.length > 0 &&
  (hot.length === 0
    ? tableOf(rest, cells)
    : markup`<details class="more rest"><summary>${count(rest.length, 'other requirement')} of this area</summary>${tableOf(rest, cells)}</details>`)
}</details>`
}

function tableOf<T extends JudgedRequirement>(rows: readonly T[], cells: Cells<T>): Markup {
  const { last } = cells
  return markup`<table class="rows"><colgroup><col class="verdict"><col><col class="level">${last && markup`<col class="last">`}<col class="why"></colgroup><thead class="unseen"><tr><th scope="col">verdict</th><th scope="col">requirement</th><th scope="col">level</th>${last && markup`<th scope="col">last runs</th>`}<th scope="col">decided by</th></tr></thead><tbody>${rows.map((row) => rowOf(row, cells))}</tbody></table>`
}

function markOfRow(one: JudgedRequirement) {
  return one.standing === 'warn' ? markOf('warn') : COLUMN_LOOKS[columnOf(one)].mark
}

function rowOf<T extends JudgedRequirement>(one: T, { why, last }: Cells<T>): Markup {
  const { requirement, standing, clause } = one
  const { id, text, kind, safety } = requirement
  const column = columnOf(one)
  const level = levelOf(requirement)
  const quoted = clause.unverified && ' (known from quotations only)'
  return markup`\n<tr id="requirement-${id}" data-k="${column}" data-level="${level}"><td class="verdict">${verdictOf(column, standing)}</td><td class="text">${text} <span class="id">${id} · ${clauseLink(clause.id)}${quoted}<span class="noprint"> · ${kind}, safety class ${safety}</span></span></td><td class="level">${requirement.level}</td>${last && markup`<td class="last">${last(one)}</td>`}<td class="why">${why(one)}</td></tr>`
}

function decidedBy({ standing, because, steps }: JudgedRequirement): Content {
  const accepted = standing === 'accepted' && markup`${because}${steps.count > 0 && '; '}`
  return [accepted, steps.count > 0 ? stepLinks(steps) : standing !== 'accepted' && because]
}

/** A mandatory row that was not tested is never grey. */
function verdictOf(column: Column, standing: JudgedRequirement['standing']): Markup {
  if (standing === 'warn') return badge(standing)
  const { mark: name, tone } = COLUMN_LOOKS[column]
  return markup`<span class="badge ${tone}">${mark(name)}${column === 'open' ? column : wordOf(standing)}</span>`
}

/** The first, which is the worst; the table by step has all. */
function stepLinks({ count: all, first: [first] }: ProvingSteps): Content {
  return [
    first !== undefined && stepLink(first),
    all > 1 &&
      markup` <a class="noprint" href="#by-step" aria-label="and ${count(all - 1, 'more step')}">+${all - 1}</a>`,
  ]
}
