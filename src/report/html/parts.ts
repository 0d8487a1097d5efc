/** Markup that several sections of the report use: verdicts, clauses, code, times. */
import { type Clause, clauseOf } from '../../record/clauses.ts'
import type { Column } from '../gate.ts'
import type { Standing, StepRef } from '../standing.ts'
import { stepInWords } from '../words.ts'
import { type Mark, mark } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'

/** Each with a mark, a sign for drawings, a word and a class for its colour. */
const VERDICTS: Readonly<Record<Standing, readonly [mark: Mark, sign: string, word: string, tone: string]>> = {
  pass: ['proven', '✓', 'pass', 'pass'],
  warn: ['remark', '!', 'remark', 'warn'],
  fail: ['failed', '✗', 'failed', 'fail'],
  inconclusive: ['no-verdict', '?', 'no verdict', 'inconclusive'],
  skip: ['skipped', '–', 'skipped', 'skip'],
}

export function toneOf(verdict: Standing): string {
  return VERDICTS[verdict][3]
}

export function wordOf(verdict: Standing): string {
  return VERDICTS[verdict][2]
}

export function signOf(verdict: Standing): string {
  return VERDICTS[verdict][1]
}

export function badge(verdict: Standing): Markup {
  const [name, , word, tone] = VERDICTS[verdict]
  return markup`<span class="badge ${tone}">${mark(name)}${word}</span>`
}

export function markOf(verdict: Standing): Mark {
  return VERDICTS[verdict][0]
}

/** How each column of the gate is shown. */
export const COLUMN_LOOKS: Readonly<
  Record<Column, { readonly mark: Mark; readonly tone: string; readonly title: string }>
> = {
  proven: { mark: 'proven', tone: 'pass', title: 'proven' },
  failed: { mark: 'failed', tone: 'fail', title: 'failed' },
  'no verdict': { mark: 'no-verdict', tone: 'inconclusive', title: 'no verdict' },
  'not tested': { mark: 'not-tested', tone: 'warn', title: 'not tested (must)' },
  accepted: { mark: 'accepted', tone: 'skip', title: 'accepted deviation' },
  'by Thredd': { mark: 'by-thredd', tone: 'skip', title: 'by Thredd' },
  open: { mark: 'open', tone: 'skip', title: 'optional, open' },
}

/** For ids and class names. */
export function slug(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-')
}

export function stepId([workflow, step]: StepRef['position']): string {
  return `step-${workflow + 1}-${step + 1}`
}

export function stepLink(step: StepRef): Markup {
  return markup`<a href="#${stepId(step.position)}">${stepInWords(step)}</a>`
}

export function clauseLink(id: string): Markup {
  const { href, title }: Clause = clauseOf(id)
  return href === undefined
    ? markup`<span>${id}</span>`
    : markup`<a href="${href}" title="${title}" rel="noreferrer" target="_blank">${id}</a>`
}

export function clauses(ids: readonly string[]): Content {
  return ids.length > 0 && markup`<span class="clauses">${[...new Set(ids)].map(clauseLink)}</span>`
}

/** Text with a button that copies it; `about` names the text for screen readers. */
export function code(text: string, about: string): Markup {
  return markup`<div class="code"><button type="button" data-copy hidden aria-label="Copy ${about}">Copy</button><pre tabindex="0" role="group" aria-label="${about}">${text}</pre></div>`
}

export function expectedAndActual(expected: string, actual: string, verdict: Standing): Markup {
  return markup`<div class="pair mono"><div><span>expected</span>${expected}</div><div class="${verdict === 'pass' ? '' : `differs ${toneOf(verdict)}`}"><span>got</span>${actual}</div></div>`
}

/** A list of names and values; what has no value is left out. */
export function pairs(entries: readonly (readonly [name: string, value: Content])[]): Markup {
  const known = entries.filter(([, value]) => value !== undefined && value !== false && value !== '')
  return markup`<dl class="pairs">${known.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

export function mono(text: string | undefined): Content {
  return text !== undefined && markup`<span class="mono">${text}</span>`
}

export function time(instant: string): Markup {
  return markup`<time datetime="${instant}">${readable(instant)}</time>`
}

export function readable(instant: string): string {
  return `${instant.slice(0, 19).replace('T', ' ')} UTC`
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  return milliseconds < 60_000 ? `${(milliseconds / 1000).toFixed(1)} s` : `${Math.round(milliseconds / 60_000)} min`
}

/** A box of a filter; `label` says what it shows. */
export function chip(
  { name, value, tone }: Readonly<Record<'name' | 'value' | 'tone', string>>,
  label: Markup,
): Markup {
  return markup`<label class="chip ${tone}"><input type="checkbox" name="${name}" value="${value}">${label}</label>`
}
