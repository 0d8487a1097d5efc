/**
 * The report for people: one HTML file that loads nothing. Its content security policy admits only its own style and script,
 * by hash. What it says of the run as a whole is worked out in summary.ts.
 */
import { createHash } from 'node:crypto'
import { clauseOf } from '../../record/clauses.ts'
import { type RecordHead, verdictInWords, type WorkflowRecord } from '../../record/index.ts'
import { momentOf } from '../../record/time.ts'
import type { ClientHistory } from '../calls.ts'
import { type PlacedFinding, TURNS } from '../findings.ts'
import { type JudgedRequirement, type ProvingSteps, REQUIREMENT_STANDINGS } from '../proofs.ts'
import { inOneLine } from '../server-words.ts'
import { STANDINGS } from '../standing.ts'
import type { ReportedRun, Summary } from '../summary.ts'
import type { Tokens } from '../tokens.ts'
import { count } from '../words.ts'
import { certificates } from './certificates.ts'
import { circumstances } from './circumstances.ts'
import { sequence, waterfall } from './diagram.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { badge, clauseLink, clauses, code, duration, pairs, readable, stepLink, time, toneOf, wordOf } from './parts.ts'
import { SCRIPT } from './script.ts'
import { stepDetails } from './steps.ts'
import { STYLE } from './style.ts'

export function html(run: ReportedRun): Iterable<string> {
  const { head, summary } = run
  const { name } = head.environment
  const title = `${summary.complete ? '' : 'PARTIAL · '}${name} · ${readable(head.startedAt)} · DCR conformance report`
  return document(title, page(run))
}

function* page({ head, workflows, summary }: ReportedRun): Generator<Markup> {
  const { tokens } = summary
  yield markup`<header class="page"><h1>DCR conformance report</h1><span class="soft small">${head.tool.name} ${head.tool.version} · run <span class="mono">${head.runId}</span></span></header>
<div class="bar"><nav class="page" aria-label="Sections">${SECTIONS.map(([id, title]) => markup`<a href="#${id}">${title}</a>`)}</nav></div>
<main class="page" id="main">
${overview(head, summary)}
${findings(summary)}
<section id="workflows"><h2>Workflows</h2>
${tools(summary)}
`
  let index = 0
  for (const workflow of workflows) yield workflowSection(workflow, index++, { head, tokens })
  yield markup`</section>
${requirements(summary)}
${certificates(head, summary)}
${circumstances(head, summary)}
${clients(summary)}
${jwts(tokens)}
${limits(head, summary)}
</main>
<footer class="page">Made from record.json of run ${head.runId}, version ${head.recordVersion}, ended ${readable(summary.endedAt)}. This page loads nothing and sends nothing; links lead to the standards.</footer>`
}

/** A whole page around `body`; the list of runs is one too. */
export function* document(title: string, body: Iterable<Markup>): Generator<string> {
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(STYLE)}'`,
    `script-src '${hashOf(SCRIPT)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const head = markup`<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><title>${title}</title>`
  yield `<!doctype html>\n<html lang="en"><head>${head}<style>${STYLE}</style></head>\n<body><a class="skip-link" href="#main">Skip to the content</a>\n`
  for (const part of body) yield part.toString()
  yield `\n<script>${SCRIPT}</script></body></html>\n`
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

const SECTIONS = [
  ['overview', 'Overview'],
  ['findings', 'Findings'],
  ['workflows', 'Workflows'],
  ['requirements', 'Requirements'],
  ['certificates', 'Certificates and TLS'],
  ['circumstances', 'Circumstances'],
  ['clients', 'Clients'],
  ['tokens', 'JWTs'],
  ['limits', 'Redaction and limits'],
] as const

const COUNTERPARTIES: Readonly<Record<RecordHead['counterparty'], string>> = {
  network: 'the named servers; where mutual TLS with them is proven stands under certificates and TLS',
  twin: 'the offline twin on this machine, behind TLS',
  'twin-in-process': 'the offline twin in the same process, without TLS',
}

function overview(head: RecordHead, summary: Summary): Markup {
  const { tone, headline, because } = summary.answer
  const { name } = head.environment
  return markup`<section id="overview"><h2 class="unseen">Overview</h2>
<div class="card answer ${tone}"><p class="question">May we go live?</p><p class="headline">${headline}</p>
${because.length > 0 && markup`<ul>${because.map((reason) => markup`<li>${reason}</li>`)}</ul>`}
<dl class="facts">
<div><dt>Scope</dt><dd>${summary.complete ? markup`<span class="stamp">COMPLETE</span>` : markup`<span class="stamp partial">PARTIAL</span>`}</dd></div>
<div><dt>Verdict</dt><dd><strong>${verdictInWords(head)}</strong>, exit code ${head.exitCode}</dd></div>
<div><dt>Environment</dt><dd><strong>${name}</strong>, class ${head.environment.class}</dd></div>
<div><dt>Answered by</dt><dd>${COUNTERPARTIES[head.counterparty]}</dd></div>
<div><dt>Run</dt><dd>${time(head.startedAt)}, ${duration(head.durationMs)}</dd></div>
<div><dt>May be quoted until</dt><dd>${time(summary.validUntil)}</dd></div>
</dl></div>
${warnings(head, summary)}
<div class="tallies">${tallies(summary)}</div>
${toBeDone(head, summary)}
</section>`
}

/** What was assumed and not checked, the messages to Thredd, and what the flows ask of a person. */
function toBeDone({ given = [], messagesToThredd = [] }: RecordHead, { notices }: Summary): Content {
  const unchecked = given.filter(({ how }) => how === 'not checked')
  if (notices.length + messagesToThredd.length + unchecked.length === 0) return undefined
  return markup`<div class="card"><h3>To be done by a person</h3>
${unchecked.map(({ workflowId, means }) => markup`<p><strong>${workflowId}</strong>, given and not checked: ${means}</p>`)}
${notices.map(({ workflowId, text }) => markup`<p><strong>${workflowId}</strong>: ${text}</p>`)}
${messagesToThredd.map(
  ({ clientId, text }, index) =>
    markup`<details class="more"><summary>Message to Thredd about <span class="mono wrap">${clientId}</span></summary>${code(text, `message ${index + 1} to Thredd`)}</details>`,
)}</div>`
}

function warnings({ warnings, redaction: { cardNumbers = 0 } }: RecordHead, { weaknesses }: Summary): Content {
  const box = (title: string, tone: string, lines: readonly Content[]) =>
    lines.length > 0 &&
    markup`<div class="alert ${tone}"><strong>${title}</strong><ul>${lines.map((line) => markup`<li>${line}</li>`)}</ul></div>`
  return [
    box(
      'This weakens the evidence',
      'fail',
      weaknesses.map(({ flag, means }) => markup`<span class="mono">${flag}</span>: ${means}`),
    ),
    box('Card numbers', 'fail', cardNumbers === 0 ? [] : [CARD_NUMBERS(cardNumbers)]),
    box('Warnings of the run', 'warn', warnings),
  ]
}

const CARD_NUMBERS = (number: number) =>
  `${count(number, 'number')} with the shape of a card number stood in requests or answers and cannot be found here any more. Find out where they come from: live ones have no place in a test environment (PCI DSS 6.5.5).`

function tallies({ stepCounts, checkCounts, requirements }: Summary): Markup[] {
  const by = (standing: JudgedRequirement['standing']) => requirements.filter((one) => one.standing === standing).length
  return [
    tally(
      'Steps',
      STANDINGS.map((standing) => [standing, stepCounts[standing]]),
    ),
    tally('Checks', [
      ['fail', checkCounts.fail],
      ['warn', checkCounts.warn],
      ['pass', checkCounts.pass],
    ]),
    tally(
      'Requirements',
      REQUIREMENT_STANDINGS.map((one) => [one, by(one)]),
    ),
  ]
}

function tally(title: string, counts: readonly (readonly [Parameters<typeof badge>[0], number])[]): Markup {
  const all = counts.reduce((sum, [, number]) => sum + number, 0)
  let x = 0
  const order = counts.toReversed()
  return markup`<div class="card tally"><h3>${title}</h3><div class="number">${all}</div><div class="meter"><svg viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">${order.map(
    ([verdict, number]) => {
      const width = (1000 * number) / Math.max(1, all)
      const rectangle = markup`<rect class="${toneOf(verdict)}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="8"/>`
      x += width
      return number > 0 && rectangle
    },
  )}</svg></div><ul class="legend">${counts
    .filter(([, number]) => number > 0)
    .map(
      ([verdict, number]) =>
        markup`<li class="${toneOf(verdict)}"><span class="mark">${number}</span> ${wordOf(verdict)}</li>`,
    )}</ul></div>`
}

function findings({ findings, findingCounts: { fail, inconclusive, warn } }: Summary): Markup {
  const more = fail + inconclusive + warn - findings.length
  return markup`<section id="findings"><h2>Findings</h2>${
    findings.length === 0
      ? markup`<p class="soft">None: no check failed, warned or was without a verdict.</p>`
      : markup`<ul class="findings">${findings.map(finding)}</ul>${more > 0 && markup`<p>And ${count(more, 'more finding')}, which stand at their steps.</p>`}`
  }</section>`
}

function finding(finding: PlacedFinding): Markup {
  const {
    standing,
    workflowId,
    step,
    said,
    title,
    means,
    next,
    turn,
    level,
    clauses: ids,
    notJudged,
    requirements,
  } = finding
  return markup`<li class="card ${toneOf(standing)}">${badge(standing)} <strong class="wrap">${said === undefined ? title : inOneLine(said)}</strong>
${said !== undefined && markup`<p class="wrap">${title}</p>`}
<p>${means}.</p>
${next !== '' && markup`<p class="wrap"><strong>${TURNS[turn]}:</strong> ${next}</p>`}
${notJudged > 0 && markup`<p class="soft">${count(notJudged, 'further check')} not judged, since the status is another</p>`}
${requirements.map(({ id, text }) => markup`<p><a href="#requirement-${id}">${id}</a> ${text}</p>`)}
<p class="soft small">${step === undefined ? workflowId : stepLink(step)}${level !== undefined && ` · ${level}`} ${clauseNames(ids)}</p></li>`
}

function clauseNames(ids: readonly string[]): Content {
  return ids.map((id) => markup`<span> · ${clauseOf(id).title} ${clauseLink(id)}</span>`)
}

function tools({ stepCounts, steps }: Summary): Markup {
  return markup`<div class="tools" id="tools" hidden role="search"><fieldset><legend>Show steps with the verdict</legend>${STANDINGS.filter(
    (standing) => stepCounts[standing] > 0,
  ).map(
    (standing) =>
      markup`<label class="chip ${toneOf(standing)}"><input type="checkbox" value="${standing}" checked>${wordOf(standing)} ${stepCounts[standing]}</label>`,
  )}</fieldset><input type="search" id="search" placeholder="Search steps: id, header, value, clause" aria-label="Search steps"><button type="button" id="open">Open all</button><button type="button" id="close">Close all</button><output id="found" aria-live="polite">${count(steps.length, 'step')}</output></div>`
}

function workflowSection(
  workflow: WorkflowRecord,
  index: number,
  context: { readonly head: RecordHead; readonly tokens: Tokens },
): Markup {
  const { workflowId, summary, status, flow, effect, safety, clauses: ids, error, inputs } = workflow
  const verdict = ({ passed: 'pass', failed: 'fail', errored: 'inconclusive', skipped: 'skip' } as const)[status]
  return markup`<section id="workflow-${index + 1}" aria-label="Workflow ${workflowId}"><div class="card"><div class="workflow-head">${badge(verdict)}<h3>${workflowId}</h3><span class="soft small">effect ${effect}${safety !== undefined && `, safety class ${safety}`} · ${duration(workflow.durationMs)}</span></div>
${summary !== undefined && markup`<p>${summary}</p>`}${clauses(ids)}
${error !== undefined && markup`<p class="fail"><span class="mark">${error.code}</span> ${error.message}</p>`}
<h4>Who called whom</h4>${sequence(workflow, index) ?? markup`<p class="soft">Nothing was called.</p>`}
<details class="more" open><summary>Timing</summary>${waterfall(workflow, index)}</details>
<details class="more"><summary>${count(inputs.length, 'input')} and where each came from</summary><div class="scroll" tabindex="0" role="region" aria-label="Inputs of ${workflowId}"><table><thead><tr><th scope="col">input</th><th scope="col">value</th><th scope="col">from</th></tr></thead><tbody>${inputs.map(
    ({ name, source, value }) =>
      markup`<tr><th scope="row">${name}</th><td class="mono wrap">${typeof value === 'string' ? value : JSON.stringify(value)}</td><td class="soft">${source}</td></tr>`,
  )}</tbody></table></div></details>
<p class="soft small wrap">Flow <span class="mono">${flow.file}</span>, “${flow.title}”, SHA-256 <span class="mono">${flow.sha256}</span>${(flow.parts ?? []).map(({ file, sha256 }) => markup`<br>with <span class="mono">${file}</span>, SHA-256 <span class="mono">${sha256}</span>`)}</p></div>
${workflow.steps.map((step, number) => stepDetails(step, [index, number], context))}</section>`
}

function requirements(summary: Summary): Markup {
  const { requirements, otherClauses, levelCounts, catalogueChanged, steps } = summary
  const groups = Map.groupBy(requirements, ({ clause }) => clause.id)
  return markup`<section id="requirements"><h2>Requirements</h2>
<p>Each requirement of the catalogue with the checks that decide it. A requirement without a check is a gap and stays visible; “not tested” has a check that this run did not reach.</p>
${catalogueChanged && markup`<p class="warn"><span class="mark">!</span> The catalogue has changed since the run; this page judges by the present one.</p>`}
<p class="soft small">Checks by level: ${(['must', 'should', 'policy'] as const).map((level) => markup`${level} ${levelCounts[level].pass} passed, ${levelCounts[level].warn} warned, ${levelCounts[level].fail} failed${level !== 'policy' && '; '}`)}</p>
<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Requirements by area">${areas(summary)}</div></div>
<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Requirements by clause"><table><caption>From requirement to checks</caption><thead><tr><th scope="col">verdict</th><th scope="col">requirement</th></tr></thead>${[
    ...groups.values(),
  ].map(
    (rows) =>
      markup`<tbody><tr><th scope="rowgroup" colspan="2">${rows[0] !== undefined && markup`${clauseLink(rows[0].clause.id)} <span class="soft">${rows[0].clause.title}${rows[0].clause.unverified && ' (known from quotations only: read it there)'}</span>`}</th></tr>${rows.map(requirementRow)}</tbody>`,
  )}</table></div></div>
${
  otherClauses.length > 0 &&
  markup`<div class="card"><h3>Clauses without a row in the catalogue</h3><ul>${otherClauses.map(({ clause, steps }) => markup`<li>${clauseLink(clause.id)}: ${steps.count === 0 ? 'named by a flow, no check' : stepLinks(steps)}</li>`)}</ul></div>`
}
<div class="card"><details class="more" id="by-step"><summary>From step to requirements</summary><div class="scroll" tabindex="0" role="region" aria-label="Requirements by step"><table><thead><tr><th scope="col">step</th><th scope="col">requirements</th><th scope="col">clauses</th></tr></thead><tbody>${steps.map(
    (one) =>
      markup`<tr><th scope="row">${stepLink(one)}</th><td>${one.requirements.length === 0 ? markup`<span class="soft">none</span>` : one.requirements.join(', ')}</td><td>${clauses(one.clauses)}</td></tr>`,
  )}</tbody></table></div></details></div></section>`
}

function areas({ areas }: Summary): Markup {
  const used = REQUIREMENT_STANDINGS.filter((standing) => areas.some(({ counts }) => counts[standing] > 0))
  return markup`<table><caption>By area</caption><thead><tr><th scope="col">area</th>${used.map((standing) => markup`<th scope="col" class="number">${wordOf(standing)}</th>`)}</tr></thead><tbody>${areas.map(
    ({ area, counts }) =>
      markup`<tr><th scope="row">${area}</th>${used.map((standing) => markup`<td class="number">${counts[standing] === 0 ? markup`<span class="soft">–</span>` : markup`<span class="mark ${toneOf(standing)}">${counts[standing]}</span>`}</td>`)}</tr>`,
  )}</tbody></table>`
}

function requirementRow({ requirement, standing, because, steps }: JudgedRequirement): Markup {
  const { id, text, level, kind, safety } = requirement
  return markup`<tr id="requirement-${id}"><td>${badge(standing)}</td><td><strong>${id}</strong> ${text}<div class="soft small">${level} · ${kind} · safety class ${safety} · ${standing === 'accepted' && markup`${because} · `}${steps.count === 0 ? standing !== 'accepted' && because : stepLinks(steps)}</div></td></tr>`
}

function stepLinks({ count: all, first }: ProvingSteps): Content {
  const links = first.map((step, index) => markup`${index > 0 && ', '}${stepLink(step)}`)
  const more = all - first.length
  return more === 0 ? links : [...links, markup` and <a href="#by-step">${count(more, 'more step')}</a>`]
}

function clients({ clients }: Summary): Markup {
  return markup`<section id="clients"><h2>Clients</h2><p>Every OAuth client that this run registered, changed or deleted, and how it was left.</p>${
    clients.length === 0 ? markup`<p class="soft">None.</p>` : clients.map(client)
  }</section>`
}

function client({ client: id, uri, events, outcome }: ClientHistory): Markup {
  const tone = (
    { 'left registered': 'warn', deleted: 'pass', 'deleted and found dead': 'pass', unknown: 'fail' } as const
  )[outcome]
  return markup`<div class="card"><p><span class="badge ${tone}">${outcome}</span> <span class="mono wrap">${id}</span></p>${uri !== undefined && markup`<p class="soft small wrap">${uri}</p>`}<ol>${events.map(({ what, step }) => markup`<li>${what} in ${stepLink(step)}</li>`)}</ol></div>`
}

function jwts({ all, more }: Tokens): Markup {
  return markup`<section id="tokens"><h2>JWTs</h2><p>Header and claims of every JWT that was seen, without its signature: they can be read and not used.</p>${
    all.length === 0
      ? markup`<p class="soft">None.</p>`
      : all.map(
          ({ number, name, header, claims }) =>
            markup`<details class="step" id="token-${number}"><summary><span class="badge other">${String(header.alg ?? 'no alg')}</span><span class="title">${name} (${number})</span><span class="soft small"></span><span class="call">${tokenTimes(claims)}</span></summary><div class="inner"><h4>Header</h4>${code(JSON.stringify(header, null, 2), `header of JWT ${number}`)}<h4>Claims</h4>${code(JSON.stringify(claims, null, 2), `claims of JWT ${number}`)}</div></details>`,
        )
  }${more > 0 && markup`<p>And ${count(more, 'more JWT')}, in record.json.</p>`}</section>`
}

function acceptedDeviations(accepted: Summary['requirements'], decisions: RecordHead['decisions']): Markup {
  if (decisions === undefined) return markup`<p>No deviation was accepted in advance.</p>`
  return markup`<p>${count(accepted.length, 'accepted deviation')}, by ${decisions.file} with SHA-256 <span class="mono wrap">${decisions.sha256}</span>.</p>${
    accepted.length > 0 &&
    markup`<ul>${accepted.map(({ requirement: { id }, because }) => markup`<li><a href="#requirement-${id}">${id}</a>: ${because}</li>`)}</ul>`
  }`
}

function tokenTimes(claims: Readonly<Record<string, unknown>>): string {
  return (['iat', 'nbf', 'exp'] as const)
    .flatMap((name) => {
      const moment = momentOf(claims[name])
      return moment === undefined ? [] : [`${name} ${readable(moment)}`]
    })
    .join(' · ')
}

function limits(
  { redaction, leftOut, decisions }: RecordHead,
  { findingCounts, steps, requirements }: Summary,
): Markup {
  const accepted = requirements.filter(({ standing }) => standing === 'accepted')
  const skipped = steps.filter(({ standing }) => standing === 'skip')
  const deviations = findingCounts.warn
  return markup`<section id="limits"><h2>Redaction and limits</h2>
<div class="card"><h3>Redaction</h3>${pairs([
    ['rules', redaction.rules],
    ['secrets known to the run', String(redaction.secretsKnown)],
    ['further secret names', redaction.names?.join(', ')],
    [
      'replaced',
      redaction.replaced &&
        Object.entries(redaction.replaced).map(([rule, number]) => markup`<div>${number} × ${rule}</div>`),
    ],
    [
      'method',
      'Before anything is written, each secret is replaced by its name and a fingerprint, [name#01234567]. Fingerprints are keyed with a number that is made for the run and thrown away: equal fingerprints are the same secret, and no list of guesses can be tried on them. Card numbers are removed without one, and where anything was hidden in a body no hash of it is kept. Every file of the run is searched while it is written, for each known secret in all encodings and for whatever these rules would replace; a hit is hidden in its sentence, and the run says so.',
    ],
  ])}</div>
<div class="card"><h3>Deviations and exclusions</h3><p>${deviations === 0 ? 'No check ended in a warning.' : `${count(deviations, 'check')} ended in a warning: a recommendation that was not met, or a tolerance of the profile. They stand among the findings.`} No check was hidden.</p>${acceptedDeviations(accepted, decisions)}${
    skipped.length > 0 &&
    markup`<p>${count(skipped.length, 'step')} did not run:</p><ul>${skipped.map((step) => markup`<li>${stepLink(step)}: ${step.because ?? 'no reason given'}</li>`)}</ul>`
  }${leftOut !== undefined && leftOut.length > 0 && markup`<p>Not part of the run: ${leftOut.join(', ')}.</p>`}</div>
<div class="card"><h3>Integrity</h3><p>This page alone proves nothing about its origin. In an evidence pack, manifest.json lists every file with its size and SHA-256, and manifest.jws signs it; <code>thredd verify &lt;pack&gt;</code> recomputes all of it; signer.jwk.json is the key, and its kid is to be compared with the one its maker names. The hashes of bodies are those of the bytes on the wire, before redaction.</p></div>
<div class="card"><h3>What this is not</h3><p>The result of automated tests of one client at one time, not a certification, not an approval by Thredd, and not a statement about PCI DSS or any other scheme. A passed check shows that this behaviour was seen, not that it always holds. Only calls of this client are seen; what servers ask each other is not. Keep it as long as your audit asks for, which is twelve months in many schemes.</p></div>
<div class="sign"><div>Approved by</div><div>Role</div><div>Date and signature</div></div></section>`
}
