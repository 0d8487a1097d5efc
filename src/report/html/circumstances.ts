/** The section on who ran what, when, where and with which settings. */
import type { RecordHead } from '../../record/index.ts'
import type { Endpoint } from '../calls.ts'
import type { Summary } from '../summary.ts'
import { count, whoRan } from '../words.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { mono, pairs, stepLink, time } from './parts.ts'

export function circumstances(head: RecordHead, summary: Summary): Markup {
  const { tool, catalogue, origin, environment, security, leftOut } = head
  return markup`<details class="fold" id="circumstances"><summary>Who ran what, when, where and with which settings</summary>
<div class="block"><h3>Who and when</h3>${pairs([
    ...(origin?.operator === undefined ? [['operator', 'not named'] as const] : []),
    ...whoRan(head),
    ['started', time(head.startedAt)],
    ['ended', time(summary.endedAt)],
    ['run', mono(head.runId)],
    ['supersedes the report of run', mono(origin?.supersedes)],
    [
      'not part of the run',
      leftOut === undefined ? 'the record does not say' : leftOut.length === 0 ? 'nothing' : leftOut.join(', '),
    ],
  ])}</div>
<div class="block"><h3>With what</h3>${pairs([
    ['tool', `${tool.name} ${tool.version}`],
    [
      'commit',
      tool.commit === undefined
        ? 'not known'
        : markup`<span class="mono">${tool.commit}</span>${tool.dirty && ', with changed files'}`,
    ],
    ['lockfile SHA-256', mono(tool.lockfileSha256)],
    ['container image', mono(origin?.image)],
    ['Node.js, OpenSSL, platform', `${tool.node}, ${tool.openssl}, ${tool.platform}`],
    [
      'requirement catalogue',
      catalogue &&
        markup`version ${catalogue.version}, ${catalogue.requirements} requirements, SHA-256 <span class="mono">${catalogue.sha256}</span>`,
    ],
    [
      'server certificates',
      security &&
        `always verified, against ${security.ownAuthorities ? 'the authorities of CA_FILE' : 'the authorities of Node.js'}; TLS from ${security.minTlsVersion}`,
    ],
    ['weakened evidence', security?.weaknesses === undefined ? 'the record does not say' : weaknesses(summary)],
    ['randomness', 'from the operating system, without a seed'],
  ])}</div>
<div class="block"><h3>Where</h3>${pairs([
    ['environment', `${environment.name}, class ${environment.class}`],
    ['files', environment.files.join(', ')],
  ])}
${
  environment.servers !== undefined &&
  markup`<div class="scroll" tabindex="0" role="region" aria-label="Base URLs"><table><thead><tr><th scope="col">server</th><th scope="col">base URL</th><th scope="col">from</th></tr></thead><tbody>${environment.servers.map(({ source, url, from }) => markup`<tr><th scope="row">${source}</th><td class="mono wrap">${url}</td><td class="soft wrap">${from}</td></tr>`)}</tbody></table></div>`
}</div>
${
  summary.endpoints.length > 0 &&
  markup`<div class="block"><h3>Endpoints that were called</h3><div class="scroll" tabindex="0" role="region" aria-label="Endpoints"><table><thead><tr><th scope="col">URL</th><th scope="col">from</th></tr></thead><tbody>${summary.endpoints.map(endpoint)}</tbody></table></div></div>`
}
${
  environment.settings !== undefined &&
  markup`<div><details class="more"><summary>${count(environment.settings.length, 'setting')} of the run</summary><div class="scroll" tabindex="0" role="region" aria-label="Settings"><table><thead><tr><th scope="col">setting</th><th scope="col">value</th><th scope="col">from</th></tr></thead><tbody>${environment.settings.map(({ name, value, from }) => markup`<tr><th scope="row" class="mono">${name}</th><td class="mono wrap">${value}</td><td class="soft wrap">${from}</td></tr>`)}</tbody></table></div><p class="soft small wrap">SHA-256 of this table as JSON <span class="mono">${environment.settingsSha256}</span></p></details></div>`
}</details>`
}

function weaknesses({ weaknesses }: Summary): Content {
  if (weaknesses.length === 0) return 'by nothing: verification of servers cannot be switched off'
  return weaknesses.map(({ flag, means }) => markup`<div><span class="mark fail">${flag}</span> ${means}</div>`)
}

function endpoint({ method, url, configured, named }: Endpoint): Markup {
  const origins: Content[] = [
    ...(configured === undefined
      ? []
      : [markup`SERVER_${configured.source.toUpperCase()} (${configured.from}) and the path of the operation`]),
    ...(named === undefined
      ? []
      : [markup`<span class="mono">${named.member}</span> in the answer to ${stepLink(named.step)}`]),
  ]
  return markup`<tr><th scope="row" class="mono wrap">${method} ${url}</th><td class="soft">${origins.length === 0 ? 'given by the flow' : origins.map((origin) => markup`<div>${origin}</div>`)}</td></tr>`
}
