/** The workflows, one line each; what did not pass stands open. */
import type { RecordHead, WorkflowRecord } from '../../record/index.ts'
import { checkCountsOf, STANDINGS, type StepRef } from '../standing.ts'
import type { Summary } from '../summary.ts'
import type { Tokens } from '../tokens.ts'
import { count, workflowInWords } from '../words.ts'
import { sequence, waterfall } from './diagram.ts'
import { mark } from './marks.ts'
import { type Markup, markup } from './markup.ts'
import { chip, clauses, duration, markOf, toneOf, wordOf } from './parts.ts'
import { stepDetails } from './steps.ts'

/** Of so many workflows the page shows every call; of those after them, the calls of steps that failed or have no verdict. */
export const SHOWN_IN_FULL = 50

export function* workflows(head: RecordHead, all: Iterable<WorkflowRecord>, summary: Summary): Generator<Markup> {
  const { workflows: lines, tokens, stepCounts, causes } = summary
  const firsts = new Set(causes.flatMap(({ step }) => step?.position.join() ?? []))
  const passed = lines.filter(({ status }) => status === 'passed').length
  yield markup`<section id="workflows" class="noprint"><div class="title"><h2>Workflows</h2><p class="soft small">${passed} of ${lines.length} passed.</p><button type="button" data-toggle="#workflows .workflow" hidden>Open all</button></div>
${lines.length > SHOWN_IN_FULL && markup`<p class="soft small">What was on the wire is shown of the first ${SHOWN_IN_FULL} workflows, and after them of steps that failed or have no verdict; record.json has it of all.</p>`}
<form class="filter" hidden role="search" aria-label="Filter steps" data-rows="#workflows details.step" data-groups="#workflows .workflow" data-what="steps"><fieldset><legend>Steps</legend>${STANDINGS.filter(
    (standing) => stepCounts[standing] > 0,
  ).map((standing) =>
    chip(
      { name: 'k', value: standing, tone: toneOf(standing) },
      markup`${mark(markOf(standing))}${wordOf(standing)} <b>${stepCounts[standing]}</b>`,
    ),
  )}</fieldset><input type="search" name="text" placeholder="Id, header, value, clause" aria-label="Search steps"><button type="reset">Show all</button><output aria-live="polite"></output></form>
`
  let index = 0
  for (const workflow of all) {
    yield one(workflow, index, {
      ...{ head, tokens, isInFull: index < SHOWN_IN_FULL },
      isFirst: (position) => firsts.has(position.join()),
    })
    index += 1
  }
  yield markup`</section>`
}

interface Context {
  readonly head: RecordHead
  readonly tokens: Tokens
  readonly isInFull: boolean
  /** whether a cause was first seen at this step: only such steps stand open */
  readonly isFirst: (position: StepRef['position']) => boolean
}

function one(workflow: WorkflowRecord, index: number, context: Context): Markup {
  const { summary, status, flow, effect, safety, clauses: ids, error, inputs, steps } = workflow
  const name = workflowInWords(workflow)
  const verdict = ({ passed: 'pass', failed: 'fail', errored: 'inconclusive', skipped: 'skip' } as const)[status]
  const { pass, warn, fail } = checkCountsOf(steps)
  const shown = verdict === 'pass' && warn > 0 ? 'warn' : verdict
  const isOpen = status === 'failed' || status === 'errored'
  const calls = steps.reduce((sum, { exchanges }) => sum + exchanges.length, 0)
  return markup`<details class="workflow" id="workflow-${index + 1}"${isOpen && markup` open data-hot`}><summary>${mark(markOf(shown), wordOf(shown))}<h3>${name}</h3><span class="what">${summary}</span><span class="numbers">${count(calls, 'call')} · ${count(pass + warn + fail, 'check')} · ${duration(workflow.durationMs)}</span></summary>
<div class="inner"><p class="soft small">effect ${effect}${safety !== undefined && `, safety class ${safety}`} ${clauses(ids)}</p>
${error !== undefined && markup`<p class="fail"><span class="mark">${error.code}</span> ${error.message}</p>`}
${
  (isOpen || context.isInFull) &&
  markup`<details class="more"${!isOpen && markup` open`}><summary>Who called whom</summary>${sequence(workflow, index) ?? markup`<p class="soft">Nothing was called.</p>`}</details>
<details class="more"><summary>Timing</summary>${waterfall(workflow, index)}</details>`
}
<details class="more"><summary>${count(inputs.length, 'input')} and where each came from</summary><div class="scroll" tabindex="0" role="region" aria-label="Inputs of ${name}"><table><thead><tr><th scope="col">input</th><th scope="col">value</th><th scope="col">from</th></tr></thead><tbody>${inputs.map(
    ({ name, source, value }) =>
      markup`<tr><th scope="row">${name}</th><td class="mono wrap">${typeof value === 'string' ? value : JSON.stringify(value)}</td><td class="soft">${source}</td></tr>`,
  )}</tbody></table></div></details>
<p class="soft small wrap">Flow <span class="mono">${flow.file}</span>, “${flow.title}”, SHA-256 <span class="mono">${flow.sha256}</span>${(flow.parts ?? []).map(({ file, sha256 }) => markup`<br>with <span class="mono">${file}</span>, SHA-256 <span class="mono">${sha256}</span>`)}</p>
${steps.map((step, number) => stepDetails(step, [index, number], context))}</div></details>`
}
