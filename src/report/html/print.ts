/** How the report prints: A4, the run and the page number on each page, without workflows and what was on the wire. */
export const PRINT = `
@media print {
  :root { color-scheme: light; --t1: 6.8pt; --t2: 8pt; --t3: 9pt; --t4: 10.5pt; --t5: 14pt; --t6: 28pt; --ink-2: #333a41; --ink-3: #4b545d; --link: #15191e; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { line-height: 1.4; } a { text-decoration: none; }
  .top, .rail, .filter, .wire, .noprint, .skip-link, button, .strip, #made, footer { display: none !important; }
  .layout { display: block; padding: 0; max-width: none; }
  main > section { padding: 10pt 0 0; } main > section + section { margin: 10pt 0 0; }
  h2, h3, .title { break-after: avoid; } .finding header, .said, .rows tr, .ends tr, .reasons > li, .gate tr, .columns > div { break-inside: avoid; }
  :is(.area, .rest, .finding, #fingerprints)::details-content { content-visibility: visible; block-size: auto; }
  .area > summary { padding: 6pt 0 2pt; break-after: avoid; } .rest > summary { display: none; } summary::before { display: none; }
  .gate tr > * { height: auto; } .gate td a { min-height: 0; padding: 2.5pt 4pt; }
  .reasons > li { padding: 3pt 0; } .lede { margin-top: 3pt; }
  .rows { font-size: 7.4pt; line-height: 1.3; } .rows td { padding: 1.6pt 5pt 1.6pt 0; } .rows .id, .rows .why, .rows .level { font-size: 6.4pt; }
  .rows .verdict { width: 64pt; font-size: 7.2pt; } .rows .level { width: 48pt; } .rows .why { width: 118pt; } .rows .id { display: inline; }
  .finding { padding: 7pt 0; } .advice { grid-template-columns: 62pt 1fr; gap: 1.5pt 8pt; margin-top: 4pt; } .advice dd { max-width: none; }
  .columns { grid-template-columns: 1fr 1fr; gap: 4pt 14pt; } .columns > div { font-size: 6.2pt; } .columns h3, .columns h4 { font-size: 7.4pt; margin: 2pt 0; } .columns dt { font-size: 6.2pt; } dl.pairs { gap: 0; } dl.pairs > div { padding: .5pt 0; grid-template-columns: 60pt 1fr; gap: 6pt; }
  .ends th, .ends td { padding: 2pt 6pt 2pt 0; } .fold { padding: 3pt 0; } .sign div { margin-top: 30pt; }
  .facts { gap: 4pt 18pt; margin-top: 8pt; } .badge { font-size: 7.4pt; } .ends .what { width: 150pt; } .ends .days, .ends .date { width: 62pt; } .gate thead th:first-child { width: 90pt; } .gate thead th:nth-child(2) { width: 112pt; }
}
`

/** The boxes in the margins of each page. A browser without them prints none. */
export function pageBoxes({ top, bottom }: { readonly top: string; readonly bottom: string }): string {
  const box = (place: string, content: string, weight = 400) =>
    `@${place} { content: ${content}; font: ${weight} 7pt system-ui, sans-serif; color: #4b545d; }`
  return `@page { size: A4; margin: 15mm 14mm 16mm; ${box('top-left', '"DCR conformance report"')} ${box('top-right', text(top), 600)} ${box('bottom-left', text(bottom))} ${box('bottom-right', '"page " counter(page) " of " counter(pages)')} }\n`
}

/** As a string of CSS; what could end it, or the style sheet, is left out. */
function text(any: string): string {
  return `"${any.slice(0, 200).replace(/[^\p{L}\p{N} .,:?·-]/gu, '')}"`
}
