/** One step in full: its checks, scopes, requests and answers, JWTs, and the same calls with curl. */
import { render } from '../../record/errors.ts'
import { type CheckRecord, type Exchange, peerOf, type RecordHead, type StepRecord } from '../../record/index.ts'
import { curl } from '../curl.ts'
import { whyNotJudged } from '../findings.ts'
import { type StepRef, standingOf } from '../standing.ts'
import { type Token, type Tokens, textsOf } from '../tokens.ts'
import { count } from '../words.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { badge, clauses, code, duration, expectedAndActual, readable, stepId } from './parts.ts'

/** Characters of a body that the page shows; the record and the HAR file have more. */
const LONGEST_SHOWN = 16_000

export function stepDetails(
  step: StepRecord,
  position: StepRef['position'],
  {
    isFirst,
    isInFull,
    ...context
  }: Context & { readonly isFirst: (position: StepRef['position']) => boolean; readonly isInFull: boolean },
): Markup {
  const standing = standingOf(step)
  const last = step.exchanges.at(-1)
  const isBad = standing === 'fail' || standing === 'inconclusive'
  const isOpen = isBad && isFirst(position)
  return markup`<details class="step" id="${stepId(position)}" data-k="${standing}"${isOpen && markup` open`}>
<summary>${badge(standing)}<h4 class="title">${step.stepId}${step.description !== undefined && markup` <span>${step.description}</span>`}</h4><span class="soft small">${last !== undefined && duration(step.durationMs)}</span>
<span class="call mono">${callOf(step)}${last?.response !== undefined && markup` → ${last.response.status}`}</span></summary>
<div class="inner">
${step.because !== undefined && markup`<p class="soft">Not run: ${step.because}</p>`}
${step.error !== undefined && code(render(step.error), `error of ${step.stepId}`)}
${alterations(step)}
${checks(step)}
${notJudged(step)}
${scopes(step)}
${differences(step)}
${(isInFull || isBad) && step.exchanges.map((exchange, index) => onTheWire(exchange, index, { ...context, step }))}
<p class="soft small">Flow <span class="mono">${step.at.file}:${step.at.line}</span>${step.operation !== undefined && markup` · operation <span class="mono">${step.operation.source}.${step.operation.operationId}</span>`}${step.identity !== undefined && markup` · identity <span class="mono">${step.identity}</span>`}</p>
</div></details>`
}

function callOf({ operation, exchanges, workflowId }: StepRecord): string {
  const last = exchanges.at(-1)
  if (last !== undefined) return `${last.request.method} ${last.request.url}`
  return operation === undefined ? `workflow ${workflowId ?? ''}` : `${operation.method} ${operation.path}`
}

/** What was changed in the request on purpose. */
function alterations({ case: row, alterations = [] }: StepRecord): Content {
  if (row === undefined && alterations.length === 0) return undefined
  return markup`<h5>${row === undefined ? 'Changes to the request' : row.control ? `Control of ${row.of}: the unaltered request` : `Case ${row.id} of ${row.of}`}</h5>${alterations.length > 0 && markup`<ul>${alterations.map((one) => markup`<li>${one}</li>`)}</ul>`}`
}

function checks({ checks, stepId: name }: StepRecord): Content {
  if (checks.length === 0) return undefined
  const rank = { fail: 0, warn: 1, pass: 2 } as const
  const sorted = checks.toSorted((a, b) => rank[a.status] - rank[b.status])
  const passed = sorted.filter(({ status }) => status === 'pass')
  const list = (shown: readonly CheckRecord[], about: string) =>
    markup`<ul class="checks" aria-label="${about} of ${name}">${shown.map(check)}</ul>`
  const title = markup`<h5>${checks.length === 1 ? 'Check' : `${checks.length} checks`}</h5>`
  if (!checks.some(({ status }) => status === 'fail') || passed.length === 0)
    return markup`${title}${list(sorted, 'checks')}`
  // Beside what failed they would be most of the page.
  return markup`${title}${list(sorted.slice(0, -passed.length), 'checks')}<details class="more"><summary>${count(passed.length, 'check')} passed</summary>${list(passed, 'passed checks')}</details>`
}

function check({ status, title, expected, actual, level, clauses: ids, at }: CheckRecord): Markup {
  return markup`<li${status === 'pass' && markup` class="quiet"`}>${badge(status)} <span class="name">${title}</span> <span class="soft small">${level}${at !== undefined && ` · ${at.file}:${at.line}`}</span> ${clauses(ids)}${expectedAndActual(expected, actual, status)}</li>`
}

function notJudged({ notJudged = [], checks }: StepRecord): Content {
  const about = checks.find(({ status, member }) => status === 'fail' && member !== 'status')?.id ?? 'status'
  return (
    notJudged.length > 0 &&
    markup`<h5>Not judged, ${whyNotJudged({ about })}</h5><ul class="soft">${notJudged.map(({ title }) => markup`<li class="wrap">${title}</li>`)}</ul>`
  )
}

/** All of them: a check says which of them break a rule. */
function differences({ differences = [] }: StepRecord): Content {
  const text = (value: unknown) => (value === undefined ? 'no such member' : JSON.stringify(value))
  return (
    differences.length > 0 &&
    markup`<h5>Registered otherwise than asked</h5><div class="scroll" tabindex="0" role="region" aria-label="Members that came otherwise than asked"><table><thead><tr><th scope="col">member</th><th scope="col">asked for</th><th scope="col">registered</th></tr></thead><tbody>${differences.map(
      ({ member, asked, came }) =>
        markup`<tr><th scope="row" class="mono">${member}</th><td class="mono wrap">${text(asked)}</td><td class="mono wrap">${text(came)}</td></tr>`,
    )}</tbody></table></div>`
  )
}

function scopes({ scopes }: StepRecord): Content {
  if (scopes === undefined) return undefined
  const { requested, granted, missing, unrequested } = scopes
  const list = (names: readonly string[], tone: string, sign: string) =>
    names.map((name) => markup`<li class="${tone}">${sign} ${name}</li>`)
  const isAsAsked = missing.length + unrequested.length === 0
  const title = `Scopes: ${requested.length} requested, ${granted.length} granted`
  const all = markup`<ul class="scopes">
${list(missing, 'fail', '✗ not granted:')}${list(unrequested, 'warn', '! not requested:')}${list(
  granted.filter((scope) => !unrequested.includes(scope)),
  'pass',
  '✓',
)}</ul>`
  return isAsAsked
    ? markup`<details class="more"><summary>${title}</summary>${all}</details>`
    : markup`<h5>${title}</h5>${all}`
}

interface Context {
  readonly head: RecordHead
  readonly tokens: Tokens
}

function onTheWire(exchange: Exchange, index: number, context: Context & { readonly step: StepRecord }): Markup {
  const { stepId: id, exchanges } = context.step
  const attempt = exchanges.length > 1 && `, attempt ${index + 1} of ${exchanges.length}`
  const name = `${id}${exchanges.length > 1 ? `, attempt ${index + 1}` : ''}`
  return markup`<details class="more wire"><summary>What was on the wire${attempt}</summary>${wire(exchange, { ...context, name })}</details>`
}

/** Request, answer and the same call with curl; `name` is that of the exchange for screen readers. */
export function wire(
  exchange: Exchange,
  { step, head, tokens, name }: Context & { readonly step: StepRecord; readonly name: string },
): Markup {
  const { request, response, sent, tls, timing, error } = exchange
  const found = [...new Set(textsOf(exchange).flatMap((text) => tokens.in(text)))]
  const command = curl(exchange, {
    identity: step.identity ?? 'none',
    ownAuthorities: head.security?.ownAuthorities ?? false,
  })
  return markup`<h5>Request · ${readable(timing.startedAt)}</h5>${code(tokens.shortened(message(`${request.method} ${request.url}`, request)), `request of ${name}`)}${bodyFacts(request.body)}
<h5>Response</h5>${
    response === undefined
      ? markup`<p>None. Was the request sent? <strong>${sent}</strong>${error !== undefined && markup` · ${error.message}`}</p>`
      : markup`${code(tokens.shortened(message(String(response.status), response)), `response of ${name}`)}${bodyFacts(response.body)}`
  }
${found.length > 0 && markup`<p class="small">JWTs, decoded: ${found.map(tokenLink)}</p>`}
${correlation(exchange)}
${tls !== undefined && tlsFacts(tls)}
<h5>The same call with curl</h5>${code(command, `curl command of ${name}`)}`
}

/** Headers by which a server's operators find a call in their logs. */
const CORRELATION =
  /^(?:date|(?:x-)?(?:request|correlation|trace|amzn-trace|amzn-request|fapi-interaction|b3-trace)-?id|traceparent|cf-ray|via)$/i

function correlation({ request, response }: Exchange): Content {
  const headers = [...request.headers, ...(response?.headers ?? [])].filter(([name]) => CORRELATION.test(name))
  return (
    headers.length > 0 &&
    markup`<p class="small wrap">To ask the other side about this call: ${headers.map(([name, value], index) => markup`${index > 0 && ', '}<span class="mono">${name}: ${value}</span>`)}</p>`
  )
}

function tokenLink({ number, name }: Token): Markup {
  return markup`<a href="#token-${number}">${name} (${number})</a> `
}

function message(start: string, { headers, body }: Pick<Exchange['request'], 'headers' | 'body'>): string {
  const text = body.text ?? ''
  const shown = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}\n…` : text
  return [start, ...headers.map(([name, value]) => `${name}: ${value}`), ...(shown === '' ? [] : ['', shown])].join(
    '\n',
  )
}

function bodyFacts({ bytes, sha256, text = '', truncated }: Exchange['request']['body']): Content {
  if (bytes === 0) return undefined
  const cut = truncated || text.length > LONGEST_SHOWN ? ', shown in part' : ''
  return markup`<p class="soft small wrap">${bytes} bytes on the wire${cut}${sha256 !== undefined && markup`, SHA-256 <span class="mono">${sha256}</span>`}</p>`
}

/** The certificates are in a section of their own. */
function tlsFacts(tls: NonNullable<Exchange['tls']>): Markup {
  const { protocol, cipher, alpn, server, certificateRequested, configured } = tls
  const facts = [protocol, cipher, alpn, peerOf(tls)].filter((fact) => fact !== undefined).join(', ')
  return markup`<h5>TLS</h5><p class="small wrap">${facts}; client certificate configured: ${configured?.identity ?? 'none'}${
    certificateRequested === false && ', the server asked for none'
  }${
    server !== undefined &&
    markup`; server certificate ${server.subject}, SHA-256 <a class="mono" href="#certificate-${server.sha256.slice(0, 16)}">${server.sha256}</a>`
  }</p>`
}
