/** A sequence diagram and a timing table of one workflow. They show the calls of this client alone: no others are known. */
import type { Exchange, StepRecord, WorkflowRecord } from '../../record/index.ts'
import { type Standing, type StepRef, standingOf } from '../standing.ts'
import { workflowInWords } from '../words.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { duration, signOf, stepId, toneOf } from './parts.ts'

const LANES = ['Client', 'Directory', 'Keystore', 'Authorization server', 'API'] as const

/** Which lane a source description belongs to; any other is an API. */
const SOURCES: readonly (readonly [pattern: RegExp, lane: (typeof LANES)[number]])[] = [
  [/^directory/, 'Directory'],
  [/^keystore/, 'Keystore'],
  [/^authorization/, 'Authorization server'],
]

const WIDTH = 1040
const LEFT = 150
const LANE = (WIDTH - LEFT - 90) / (LANES.length - 1)
const TOP = 46
const ROW = 44

interface Row {
  readonly step: StepRecord
  readonly position: StepRef['position']
  readonly standing: Standing
  readonly exchange: Exchange
  /** from 1; undefined where the step was tried only once */
  readonly attempt?: number | undefined
}

function rowsOf(workflow: WorkflowRecord, index: number): Row[] {
  return workflow.steps.flatMap((step, number) =>
    step.exchanges.map((exchange, attempt) => ({
      step,
      position: [index, number],
      standing: standingOf(step),
      exchange,
      attempt: step.exchanges.length > 1 ? attempt + 1 : undefined,
    })),
  )
}

export function sequence(workflow: WorkflowRecord, index: number): Content {
  const rows = rowsOf(workflow, index)
  if (rows.length === 0) return undefined
  const height = TOP + rows.length * ROW + 14
  const used = new Set(rows.map(laneOf))
  const id = `sequence-${index + 1}`
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Sequence diagram of ${workflowInWords(workflow)}">
<svg class="sequence" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">Calls of ${workflowInWords(workflow)}</title>
<desc id="${id}-text">${rows.map(sentence).join(' ')}</desc>
${LANES.map((lane, number) => {
  const x = xOf(number)
  const idle = number > 0 && !used.has(number)
  return markup`<line class="life" x1="${x}" y1="34" x2="${x}" y2="${height - 4}"/><rect class="head" x="${x - 76}" y="4" width="152" height="30" rx="6"/><text class="lane${idle ? ' idle' : ''}" x="${x}" y="23">${lane}</text>`
})}
${rows.map(drawn)}
</svg></div>`
}

function sentence(row: Row): string {
  const { step, standing, exchange, attempt } = row
  const outcome = exchange.response === undefined ? 'no answer' : `status ${exchange.response.status}`
  return `${step.stepId}${attempt === undefined ? '' : `, attempt ${attempt}`}: client to ${LANES[laneOf(row)]?.toLowerCase()}, ${exchange.request.method}, ${outcome}, ${standing}.`
}

function drawn(row: Row, number: number): Markup {
  const { step, standing, exchange, attempt } = row
  const y = TOP + number * ROW + 16
  const from = xOf(0)
  const to = xOf(laneOf(row))
  const { method, url } = exchange.request
  const path = step.operation?.path ?? url
  const label = `${method} ${cut(path, Math.floor((to - from) / 6.6) - method.length - 2)}`
  const tone = toneOf(standing)
  const answer =
    exchange.response === undefined ? (exchange.error?.code ?? 'no answer') : String(exchange.response.status)
  const name = attempt === undefined ? step.stepId : `${step.stepId} (${attempt})`
  // The arrow of a call that was certainly not sent ends before the server's line.
  const end = exchange.sent === 'no' ? from + (to - from) * 0.6 : to - 7
  return markup`<g class="${tone}"><text class="verdict" x="0" y="${y + 4}">${signOf(standing)}</text><text x="16" y="${y + 4}">${cut(name, 30)}</text>
<line class="call" x1="${from}" y1="${y}" x2="${end}" y2="${y}"/>${exchange.sent !== 'no' && markup`<path class="call-tip" d="M${to} ${y} l-8 -4 v8 z"/>`}<text x="${from + 10}" y="${y - 5}">${label}</text>
${reply(from, to, y + 15, exchange.response !== undefined)}<text class="verdict" x="${from + 14}" y="${y + 12}">${answer}</text><text class="note" x="${from + 24 + answer.length * (exchange.response === undefined ? 9 : 7.5)}" y="${y + 12}">${duration(exchange.timing.totalMs)}</text></g>`
}

/** The arrow of an answer that did not arrive ends half-way, at a cross. */
function reply(from: number, to: number, y: number, arrived: boolean): Markup {
  if (arrived)
    return markup`<line class="reply" x1="${to}" y1="${y}" x2="${from + 7}" y2="${y}"/><path class="reply-tip" d="M${from} ${y} l8 -4 v8 z"/>`
  const x = (from + to) / 2
  return markup`<line class="reply" x1="${to}" y1="${y}" x2="${x}" y2="${y}"/><path class="lost" d="M${x - 4} ${y - 4} l8 8 m0 -8 l-8 8"/>`
}

function xOf(lane: number): number {
  return LEFT + 76 + lane * (LANE - 16)
}

function laneOf({ step }: Pick<Row, 'step'>): number {
  const source = step.operation?.source ?? ''
  return LANES.indexOf(SOURCES.find(([pattern]) => pattern.test(source))?.[1] ?? 'API')
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(1, length - 1))}…`
}

export function waterfall(workflow: WorkflowRecord, index: number): Content {
  const rows = rowsOf(workflow, index)
  if (rows.length === 0) return undefined
  const starts = rows.map(({ exchange }) => Date.parse(exchange.timing.startedAt))
  const zero = Math.min(...starts)
  const end = Math.max(...rows.map(({ exchange }, number) => (starts[number] ?? zero) + exchange.timing.totalMs))
  const scale = 1000 / Math.max(1, end - zero)
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Timing of ${workflowInWords(workflow)}"><table class="timing"><caption>
<svg class="key" aria-hidden="true"><rect class="connect" width="10" height="10"/></svg>connect
<svg class="key" aria-hidden="true"><rect class="wait" width="10" height="10"/></svg>wait for the first byte
<svg class="key" aria-hidden="true"><rect class="receive" width="10" height="10"/></svg>receive</caption>
<thead><tr><th scope="col">step</th><th scope="col" class="span">from the first call, ${duration(end - zero)} in all</th><th scope="col" class="number">start</th><th scope="col" class="number">ms</th></tr></thead><tbody>
${rows.map(({ step, position, exchange, attempt }, number) => {
  const offset = (starts[number] ?? zero) - zero
  return markup`<tr><th scope="row"><a href="#${stepId(position)}">${step.stepId}</a>${attempt !== undefined && ` (${attempt})`}</th><td>${bars(exchange, offset, scale)}</td><td class="number">+${Math.round(offset)}</td><td class="number">${Math.round(exchange.timing.totalMs)}</td></tr>`
})}</tbody></table></div>`
}

function bars({ timing }: Exchange, offset: number, scale: number): Markup {
  const connect = timing.connectMs ?? 0
  const wait = timing.firstByteMs ?? Math.max(0, timing.totalMs - connect)
  const parts = [
    ['connect', connect],
    ['wait', wait],
    ['receive', Math.max(0, timing.totalMs - connect - wait)],
  ] as const
  let x = offset * scale
  return markup`<svg class="bars" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true"><rect class="track" y="6" width="1000" height="2"/>${parts.map(
    ([part, milliseconds]) => {
      const width = milliseconds * scale
      const rectangle = markup`<rect class="${part}" x="${x.toFixed(1)}" y="2" width="${width.toFixed(1)}" height="10"/>`
      x += width
      return width > 0 && rectangle
    },
  )}</svg>`
}
