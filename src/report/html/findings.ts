/** The findings: same cause, one finding, each with what it means, what to do, whose turn it is, and its exchange. */
import { clauseOf } from '../../record/clauses.ts'
import type { RecordHead, StepRecord, WorkflowRecord } from '../../record/index.ts'
import { areAccepted } from '../answer.ts'
import type { Cause } from '../causes.ts'
import { whyNotJudged } from '../findings.ts'
import type { StepRef } from '../standing.ts'
import type { Summary } from '../summary.ts'
import type { Tokens } from '../tokens.ts'
import { count } from '../words.ts'
import { mark } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { turnOf } from './overview.ts'
import { badge, clauseLink, expectedAndActual, markOf, stepLink, toneOf } from './parts.ts'
import { wire } from './steps.ts'

/** So many are shown; the others stand at their steps. */
const MOST_CAUSES = 60
/** So many steps of a cause are named. */
const MOST_STEPS = 8

interface Context {
  readonly head: RecordHead
  readonly tokens: Tokens
  readonly rows: Summary['requirements']
  readonly stepAt: (position: StepRef['position']) => StepRecord | undefined
}

export function findings(head: RecordHead, summary: Summary, workflows: Iterable<WorkflowRecord>): Markup {
  const { causes, findingCounts: counts, tokens } = summary
  const shown = causes.slice(0, MOST_CAUSES)
  const context = { head, tokens, rows: summary.requirements, stepAt: stepsAt(shown, workflows) }
  const more = counts.fail + counts.inconclusive + counts.warn - shown.reduce((sum, one) => sum + one.count, 0)
  const found = [
    ...(counts.fail > 0 ? [count(counts.fail, 'failure')] : []),
    ...(counts.inconclusive > 0 ? [`${counts.inconclusive} without a verdict`] : []),
    ...(counts.warn > 0 ? [count(counts.warn, 'remark')] : []),
  ]
  const numbered = shown.map((cause, index) => finding(cause, index + 1, context))
  return markup`<section id="findings"><div class="title"><h2>Findings</h2><p class="soft small">${causes.length > 0 && `${found.join(', ')}: ${count(causes.length, 'cause')}. Same cause, one finding.`}</p></div>
${causes.length === 0 && markup`<p class="soft">None: no check failed, none ended with a remark, and no call was without a verdict.</p>`}
${numbered}${more > 0 && markup`<p>And ${count(more, 'more finding')}, which stand at their steps.</p>`}</section>`
}

/** The first step of each cause, kept from one pass: the exchanges of a run may not fit into memory. */
function stepsAt(causes: readonly Cause[], workflows: Iterable<WorkflowRecord>): Context['stepAt'] {
  const wanted = new Map(causes.flatMap(({ step }) => (step === undefined ? [] : [[step.position.join(), undefined]])))
  const steps = new Map<string, StepRecord>()
  let index = 0
  if (wanted.size > 0)
    for (const workflow of workflows) {
      for (const [number, step] of workflow.steps.entries()) {
        const key = `${index},${number}`
        if (wanted.has(key)) steps.set(key, step)
      }
      index += 1
    }
  return (position) => steps.get(position.join())
}

function finding(cause: Cause, number: number, context: Context): Markup {
  const { standing, turn, level, title, requirements, next } = cause
  const areas = [...new Set(requirements.map(({ area }) => area))]
  const facts = markup`${level !== undefined && markup`<span>${level}</span>`}${areas.length > 0 && markup`<span>${areas.join(', ')}</span>`}${areAccepted(requirements, context.rows) ? markup`<span>${mark('accepted')} accepted</span>` : next !== '' && turnOf(turn)}`
  const id = `finding-${number}`
  if (standing === 'warn')
    return markup`<details class="finding fold warn" id="${id}"><summary>${mark(markOf(standing), 'remark')}<h3 class="wrap">${number}. ${title}</h3><span class="facts-line">${cause.count > 1 && markup`<span>${count(cause.count, 'time')}</span>`}${facts}</span></summary>${body(cause, context)}</details>`
  return markup`<article class="finding ${toneOf(standing)}" id="${id}"><header>${badge(standing)}${facts}</header>
${said(cause)}<h3 class="wrap">${number}. ${title}</h3>${body(cause, context)}</article>`
}

export function said({ said }: Pick<Cause, 'said'>): Content {
  if (said === undefined) return undefined
  const { status, error, description, hint, trace } = said
  return markup`<div class="said"><b>${status}${error !== undefined && ` ${error}`}</b>${description !== undefined && markup` <q>${description}</q>`}${hint !== undefined && markup`<p class="wrap">hint: ${hint}</p>`}${trace !== undefined && markup`<p class="wrap">${trace}</p>`}</div>`
}

function body(cause: Cause, context: Context): Markup {
  const { standing, steps, workflowIds, checks, step } = cause
  const [check] = checks
  const wireStep = step && context.stepAt(step.position)
  const beside = check !== undefined && checks.length === 1 && check.id !== 'status' && check.member !== 'status'
  return markup`${beside && expectedAndActual(check.expected, check.actual, standing)}
${advice(cause, steps.length === 0 ? workflowIds.join(', ') : stepLinks(steps))}
${wireStep !== undefined && wireStep.exchanges.length > 0 && markup`<details class="more wire"><summary>Show the exchange</summary>${wireStep.exchanges.slice(-1).map((exchange) => wire(exchange, { ...context, step: wireStep, name: `finding in ${wireStep.stepId}` }))}</details>`}`
}

/** What a cause means, what to do, where it was seen, and what it decides. */
export function advice(cause: Cause, seenIn: Content): Markup {
  const { means, next, turn, notJudged, requirements, clauses } = cause
  return markup`<dl class="advice"><dt>What it means</dt><dd>${sentence(means)}</dd>
${next !== '' && markup`<dt>${turn === 'again' ? 'Run again' : 'What to do'}</dt><dd class="wrap">${sentence(next)}</dd>`}
<dt>Seen in</dt><dd class="small">${seenIn}${notJudged > 0 && markup` <span class="faint">${count(notJudged, 'further check')} not judged, ${whyNotJudged(cause)}</span>`}</dd>
${requirements.length > 0 && markup`<dt>Decides</dt><dd class="small">${requirements.map(({ id, text }, index) => markup`${index > 0 && ', '}<a href="#requirement-${id}" title="${text}">${id}</a>`)}</dd>`}
${clauses.length > 0 && markup`<dt>Clause</dt><dd class="small">${clauses.map((id, index) => markup`${index > 0 && markup`<br>`}${clauseOf(id).title} ${clauseLink(id)}`)}</dd>`}</dl>`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

function stepLinks(steps: readonly StepRef[]): Content {
  const more = steps.length - MOST_STEPS
  return [
    steps.slice(0, MOST_STEPS).map((step, index) => markup`${index > 0 && ', '}${stepLink(step)}`),
    more > 0 && ` and ${count(more, 'more step')}`,
  ]
}
