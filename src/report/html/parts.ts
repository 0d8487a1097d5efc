/** Markup that several sections of the report use: verdicts, clauses, code, times. */
import { type Clause, clauseOf } from '../../record/clauses.ts'
import type { RequirementStanding } from '../proofs.ts'
import type { Standing, StepRef } from '../standing.ts'
import { type Content, type Markup, markup } from './markup.ts'

/** Each with a sign and a word, so that nothing is said by colour alone. */
const VERDICTS: Readonly<Record<Standing | RequirementStanding, readonly [sign: string, word: string, tone: string]>> =
  {
    pass: ['✓', 'pass', 'pass'],
    warn: ['!', 'warning', 'warn'],
    fail: ['✗', 'fail', 'fail'],
    inconclusive: ['?', 'no verdict', 'inconclusive'],
    skip: ['–', 'skipped', 'skip'],
    accepted: ['◇', 'accepted', 'warn'],
    'not tested': ['○', 'not tested', 'other'],
    gap: ['○', 'gap', 'other'],
    review: ['◐', 'review', 'review'],
    'by design': ['◆', 'by design', 'other'],
  }

export type Verdict = keyof typeof VERDICTS

export function toneOf(verdict: Verdict): string {
  return VERDICTS[verdict][2]
}

export function wordOf(verdict: Verdict): string {
  return VERDICTS[verdict][1]
}

export function signOf(verdict: Verdict): string {
  return VERDICTS[verdict][0]
}

export function badge(verdict: Verdict): Markup {
  const [sign, word, tone] = VERDICTS[verdict]
  return markup`<span class="badge ${tone}"><span aria-hidden="true">${sign}</span>${word}</span>`
}

export function stepId([workflow, step]: StepRef['position']): string {
  return `step-${workflow + 1}-${step + 1}`
}

export function stepLink({ position, workflowId, stepId: name }: StepRef): Markup {
  return markup`<a href="#${stepId(position)}">${workflowId} / ${name}</a>`
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

export function expectedAndActual(expected: string, actual: string, verdict: Verdict): Markup {
  return markup`<div class="pair mono"><div><span>expected</span>${expected}</div><div class="${verdict === 'pass' ? '' : `differs ${toneOf(verdict)}`}"><span>found</span>${actual}</div></div>`
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
