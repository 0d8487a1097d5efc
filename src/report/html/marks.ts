/** The marks of the report: each has a shape of its own, so that nothing is said by colour alone. */
import { type Markup, markup } from './markup.ts'

/** 16 units wide and high, in the colour of the text around them; `--bg` is that of the page. */
const SHAPES = {
  proven: markup`<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="M4.7 8.3l2.2 2.2 4.4-4.8" fill="none" stroke="var(--bg)" stroke-width="1.7"/>`,
  failed: markup`<rect x="1.2" y="1.2" width="13.6" height="13.6" rx="2" fill="currentColor"/><path d="M5 5l6 6m0-6l-6 6" stroke="var(--bg)" stroke-width="1.7"/>`,
  'not-tested': markup`<path d="M8 1.2l7.2 13.2H.8z" fill="currentColor"/><path d="M8 6v4" stroke="var(--bg)" stroke-width="1.6"/><circle cx="8" cy="12.2" r=".95" fill="var(--bg)"/>`,
  'no-verdict': markup`<circle cx="8" cy="8" r="6.7" fill="none" stroke="currentColor" stroke-width="1.4" stroke-dasharray="2.7 1.5"/><path d="M6 6.3c.2-2.4 4-2.3 4 .1 0 1.5-2 1.5-2 3" fill="none" stroke="currentColor" stroke-width="1.5"/><circle cx="8" cy="11.7" r=".9" fill="currentColor"/>`,
  accepted: markup`<path d="M8 1.2L14.8 8 8 14.8 1.2 8z" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M5.8 8.1l1.6 1.6 2.9-3.1" fill="none" stroke="currentColor" stroke-width="1.5"/>`,
  'by-thredd': markup`<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/>`,
  remark: markup`<path d="M8 1.7L15.1 14.2H.9z" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M8 6.2v3.6" stroke="currentColor" stroke-width="1.5"/><circle cx="8" cy="12" r=".85" fill="currentColor"/>`,
  open: markup`<circle cx="8" cy="8" r="4.4" fill="none" stroke="currentColor" stroke-width="1.4"/>`,
  skipped: markup`<path d="M4.3 8h7.4" stroke="currentColor" stroke-width="1.7"/>`,
} as const

export type Mark = keyof typeof SHAPES

/** Stands once in the page, before the first mark. */
export const SYMBOLS: Markup = markup`<svg class="defs" width="0" height="0" aria-hidden="true">${Object.entries(
  SHAPES,
).map(([name, shape]) => markup`<symbol id="m-${name}" viewBox="0 0 16 16">${shape}</symbol>`)}</svg>`

/** Says nothing to a screen reader: a word stands beside it, or `label`. */
export function mark(name: Mark, label?: string): Markup {
  const spoken = label === undefined ? markup` aria-hidden="true"` : markup` role="img" aria-label="${label}"`
  return markup`<svg class="m m-${name}"${spoken}><use href="#m-${name}"/></svg>`
}
