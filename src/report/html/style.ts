/** The style sheet of the report; its hash is all that the report's policy admits. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f7f8f8; --surface: #fff; --raised: #f1f3f4; --text: #1c2226; --soft: #545e66; --line: #dce1e4; --accent: #1d4ed8;
  --pass: #176b3a; --warn: #805200; --fail: #b3261e; --inconclusive: #6b3fa0; --skip: #545e66;
  --pass-tint: #e6f3ea; --warn-tint: #fbf0dc; --fail-tint: #fbe9e7; --inconclusive-tint: #f0eaf8; --skip-tint: #eceff0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121517; --surface: #1a1e21; --raised: #22282c; --text: #e7ebed; --soft: #a7b1b8; --line: #30383d; --accent: #93b4ff;
    --pass: #6fd597; --warn: #ebbc5c; --fail: #ff9a91; --inconclusive: #c9adf7; --skip: #a7b1b8;
    --pass-tint: #17301f; --warn-tint: #352a13; --fail-tint: #3c1d1b; --inconclusive-tint: #2b2140; --skip-tint: #262c30;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
code, pre, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .8125rem; }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
h1, h2, h3, h4, h5 { line-height: 1.25; margin: 0; font-weight: 650; text-wrap: balance; }
h1 { font-size: 1.0625rem; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
h3 { font-size: 1.0625rem; }
h4, h5 { font-size: .8125rem; color: var(--soft); margin: 1.1rem 0 .4rem; }
p { margin: .4rem 0; max-width: 75ch; }
.soft { color: var(--soft); }
.small { font-size: .8125rem; }
.wrap { overflow-wrap: anywhere; }
.skip-link { position: absolute; left: -999px; }
.skip-link:focus { left: 1rem; top: .5rem; z-index: 9; background: var(--surface); padding: .5rem .75rem; }
.page { max-width: 1080px; margin: 0 auto; padding: 0 1.25rem; }
header.page { padding-top: 1.75rem; padding-bottom: .5rem; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; justify-content: space-between; }
main > section { margin: 2.25rem 0; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem; }
.card > h3 { margin-bottom: .5rem; }
.card + .card, .tallies + .card { margin-top: .75rem; }
.answer { border-left: 5px solid var(--tone); padding: 1.5rem; }
.answer .question { color: var(--soft); margin: 0; }
.answer .headline { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.15; margin: .15rem 0 .5rem; font-weight: 700; color: var(--tone); max-width: none; }
.answer ul { margin: .35rem 0 0; padding-left: 1.1rem; }
.good { --tone: var(--pass); } .caution { --tone: var(--warn); } .bad { --tone: var(--fail); } .unknown { --tone: var(--inconclusive); }
.stamp { display: inline-block; border: 2px solid var(--stamp, var(--soft)); color: var(--stamp, var(--soft)); border-radius: 4px; padding: 0 .5rem; font-weight: 700; letter-spacing: .06em; font-size: .8125rem; }
.stamp.partial { --stamp: var(--warn); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem 1.5rem; margin: 1.25rem 0 0; padding-top: 1.1rem; border-top: 1px solid var(--line); }
.facts div, dl.pairs > div { min-width: 0; }
dt { color: var(--soft); font-size: .8125rem; }
dd { margin: 0; overflow-wrap: anywhere; }
dl { margin: 0; }
dl.pairs { display: grid; gap: .4rem; }
dl.pairs > div { display: grid; grid-template-columns: minmax(7rem, 12rem) 1fr; gap: 1rem; border-bottom: 1px solid var(--line); padding-bottom: .4rem; }
dl.pairs > div:last-child { border: 0; padding: 0; }
.tallies { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem; margin-top: .75rem; }
.tallies .card { margin: 0; }
.meter rect { fill: var(--m, var(--c)); }
.tally .number { font-size: 1.5rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.meter { display: flex; height: 8px; border-radius: 4px; overflow: hidden; background: var(--skip-tint); margin: .35rem 0 .5rem; width: 100%; }
.meter svg { width: 100%; height: 8px; display: block; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem .9rem; padding: 0; margin: 0; list-style: none; font-size: .8125rem; }
.mark { font-weight: 650; white-space: nowrap; color: var(--c); }
.badge { display: inline-flex; gap: .35em; align-items: center; white-space: nowrap; border-radius: 5px; padding: .05rem .45rem; font-size: .8125rem; font-weight: 600; color: var(--c); background: var(--t); }
.pass { --c: var(--pass); --t: var(--pass-tint); } .warn { --c: var(--warn); --t: var(--warn-tint); } .fail { --c: var(--fail); --t: var(--fail-tint); }
.inconclusive, .review { --c: var(--inconclusive); --t: var(--inconclusive-tint); } .skip, .other { --c: var(--skip); --t: var(--skip-tint); --m: var(--line); }
.bar { position: sticky; top: 0; z-index: 5; background: var(--page); border-bottom: 1px solid var(--line); }
.bar nav { display: flex; gap: 1.1rem; overflow-x: auto; padding-top: .7rem; padding-bottom: .7rem; font-size: .875rem; scrollbar-width: none; }
.bar nav a { white-space: nowrap; text-decoration: none; color: var(--soft); }
.bar nav a:hover { color: var(--text); text-decoration: underline; }
.tools { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center; margin: 0 0 1rem; }
.tools[hidden] { display: none; }
.tools fieldset { border: 0; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: .4rem; min-width: 0; }
.unseen, .tools legend { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.chip { display: inline-flex; align-items: center; gap: .4rem; border: 1px solid var(--line); border-radius: 999px; padding: .2rem .7rem; background: var(--surface); font-size: .8125rem; cursor: pointer; }
.chip:has(:checked) { border-color: var(--c); color: var(--c); }
.chip input { margin: 0; accent-color: var(--c); }
input[type=search] { font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--line); border-radius: 7px; padding: .35rem .6rem; min-width: 0; flex: 1 1 13rem; }
button { font: inherit; font-size: .8125rem; color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: 7px; padding: .3rem .7rem; cursor: pointer; }
button:hover { border-color: var(--soft); }
output { font-size: .8125rem; color: var(--soft); }
.findings { list-style: none; padding: 0; margin: 0; }
.findings > li { border-left: 4px solid var(--c); }
.findings p { margin: .25rem 0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; margin: .4rem 0 .2rem; }
.pair > div { background: var(--raised); border-radius: 6px; padding: .35rem .6rem; min-width: 0; overflow-wrap: anywhere; }
.pair span { display: block; color: var(--soft); font-size: .75rem; }
.pair .differs { background: var(--t); }
.quiet .pair { margin: .15rem 0 0; color: var(--soft); } .quiet .pair > div { background: none; padding: 0; } .quiet .pair span { display: inline; margin-right: .5em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th, caption { color: var(--soft); font-weight: 500; font-size: .8125rem; text-align: left; }
tbody th { font-weight: 500; }
td { overflow-wrap: break-word; } td.whole { white-space: nowrap; } td:has(> .badge:only-child) { width: 1%; }
caption { padding-bottom: .35rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.workflow-head { display: flex; flex-wrap: wrap; gap: .4rem .75rem; align-items: center; }
svg.sequence { display: block; min-width: 880px; width: 100%; max-width: 1040px; height: auto; font-size: 12px; }
.sequence text { fill: var(--text); font-family: inherit; } .sequence .lane { font-weight: 600; text-anchor: middle; } .sequence .idle { fill: var(--soft); font-weight: 400; }
.sequence .life { stroke: var(--line); stroke-width: 1.5; } .sequence .head { fill: var(--raised); stroke: var(--line); }
.sequence .call { stroke: var(--text); stroke-width: 1.25; fill: none; } .sequence .call-tip { fill: var(--text); }
.sequence .reply { stroke: var(--c); stroke-width: 1.25; fill: none; stroke-dasharray: 4 3; } .sequence .reply-tip { fill: var(--c); }
.sequence .lost { stroke: var(--c); stroke-width: 2; fill: none; }
.sequence .verdict { fill: var(--c); font-weight: 600; } .sequence .note { fill: var(--soft); font-size: 11px; }
.sequence .label-back { fill: var(--surface); }
.timing td, .timing tbody th { padding-top: .25rem; padding-bottom: .25rem; vertical-align: middle; } .timing .span { width: 55%; min-width: 9rem; }
svg.bars { width: 100%; height: 14px; display: block; } .bars .track { fill: var(--raised); }
.bars .connect, .key .connect { fill: #8b9aa5; } .bars .wait, .key .wait { fill: #3f7fd1; } .bars .receive, .key .receive { fill: #2f9c73; }
.key { display: inline-block; width: 10px; height: 10px; margin-right: .3rem; }
details.step { background: var(--surface); border: 1px solid var(--line); border-radius: 9px; margin: .5rem 0; content-visibility: auto; contain-intrinsic-size: auto 3rem; }
details.step[open] { contain-intrinsic-size: auto 60rem; }
details.step > summary { display: grid; grid-template-columns: 7.5rem minmax(0, 1fr) auto; gap: .1rem .75rem; align-items: baseline; padding: .6rem 1rem; cursor: pointer; list-style-position: inside; }
details.step > summary::-webkit-details-marker { display: none; } details.step > summary { list-style: none; }
details.step > summary .badge { justify-self: start; } details.step > summary .title { font-size: inherit; color: inherit; margin: 0; font-weight: 600; overflow-wrap: anywhere; text-wrap: wrap; } details.step > summary .title span { font-weight: 400; color: var(--soft); margin-left: .25rem; }
details.step > summary .call { grid-column: 2 / -1; color: var(--soft); overflow-wrap: anywhere; }
details.step[open] > summary { border-bottom: 1px solid var(--line); }
.inner { padding: .25rem 1rem 1rem; }
details.more > summary { cursor: pointer; color: var(--soft); font-size: .875rem; padding: .35rem 0; }
.checks { list-style: none; margin: 0; padding: 0; } .checks > li { padding: .5rem 0; border-bottom: 1px solid var(--line); } .checks > li:last-child { border: 0; }
.checks .name { overflow-wrap: anywhere; }
.clauses { font-size: .8125rem; } .clauses a, .clauses span { margin-right: .6rem; display: inline-block; }
.code { position: relative; background: var(--raised); border-radius: 7px; margin: .35rem 0; }
.code pre { margin: 0; padding: .65rem .8rem; overflow: auto; max-height: 26rem; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 2; }
.code button { position: absolute; top: .4rem; right: .4rem; }
.code button + pre { padding-right: 4.5rem; }
.scopes { display: flex; flex-wrap: wrap; gap: .35rem; padding: 0; margin: .35rem 0; list-style: none; }
.scopes li { border-radius: 5px; padding: .05rem .45rem; font-size: .8125rem; color: var(--c); background: var(--t); }
.alert { border: 1px solid var(--c); border-left-width: 5px; border-radius: 10px; padding: .75rem 1.25rem; margin-top: .75rem; background: var(--t); overflow-wrap: anywhere; }
.alert strong { color: var(--c); }
.alert ul { margin: .25rem 0 0; padding-left: 1.1rem; }
.sign { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1.5rem; margin-top: 1.75rem; }
.sign div { border-top: 1px solid var(--soft); padding-top: .3rem; color: var(--soft); font-size: .8125rem; }
[hidden] { display: none !important; }
footer { color: var(--soft); font-size: .8125rem; border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1rem; padding-bottom: 2.5rem; }
@media (max-width: 40rem) {
  body { font-size: 14.5px; }
  .page { padding-left: .9rem; padding-right: .9rem; }
  .card { padding: .85rem .9rem; } .answer { padding: 1.1rem; }
  .pair { grid-template-columns: 1fr; }
  dl.pairs > div { grid-template-columns: 1fr; gap: 0; }
  details.step > summary { grid-template-columns: minmax(0, 1fr) auto; } details.step > summary .title { grid-column: 1 / -1; order: 3; } details.step > summary .call { grid-column: 1 / -1; order: 4; }
  .timing .span { width: auto; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --surface: #fff; --raised: #f4f5f5; --text: #000; --soft: #444; --line: #bbb; --accent: #000; --pass: #0f5a2d; --warn: #6b4400; --fail: #98170f; --inconclusive: #55308a; --skip: #444; --pass-tint: #fff; --warn-tint: #fff; --fail-tint: #fff; --inconclusive-tint: #fff; --skip-tint: #fff; }
  @page { margin: 16mm 14mm; }
  body { font-size: 10pt; }
  .bar, .tools, .code button, .skip-link { display: none !important; }
  .page { max-width: none; padding: 0; }
  .card, details.step { border-color: #bbb; } .findings > li, .checks > li, tr { break-inside: avoid; } h2, h3, h4, h5, summary { break-after: avoid; }
  details.step { content-visibility: visible; } details::details-content { content-visibility: visible; block-size: auto; }
  .pair .differs { outline: 1px solid var(--c); }
  .code pre { max-height: none; font-size: 7.5pt; line-height: 1.35; } table, .checks, dl { font-size: 9pt; } .scroll { overflow: visible; } svg.sequence { min-width: 0; }
  a[href^=http]::after { content: " (" attr(href) ")"; font-size: 7pt; overflow-wrap: anywhere; } .clauses a[href^=http]::after, td a[href^=http]::after { content: none; }
}
`
