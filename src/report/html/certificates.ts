/** The section on certificates, keys and TLS: ours, and those that servers presented. */
import type { CertificateFacts, IdentityRecord, RecordHead, SigningKeyRecord } from '../../record/index.ts'
import { momentOf } from '../../record/time.ts'
import type { ServerCertificate } from '../calls.ts'
import { DAY, type End, FEW_DAYS } from '../ends.ts'
import type { Summary } from '../summary.ts'
import type { Tokens } from '../tokens.ts'
import { count } from '../words.ts'
import { mark } from './marks.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { mono, pairs, readable } from './parts.ts'

export function certificates(head: RecordHead, summary: Summary): Markup {
  const { hosts, mutualTls, tokens, ends, validUntil, endedAt } = summary
  const { identities, signingKeys = [], security } = head
  const authorities = security?.authorities ?? []
  return markup`<section id="certificates"><div class="title"><h2>Certificates and what runs out</h2><p class="soft small">Days from the run on ${readable(endedAt).slice(0, 10)}. The dotted line is ${FEW_DAYS} days: the time a new certificate takes.</p></div>
${timeline(ends, validUntil, endedAt)}
${custody(head)}
<details class="fold open-in-print" id="fingerprints"><summary>Subjects, keys and fingerprints</summary><div class="columns">
${identities.map((one) => markup`<div><h3>Our certificate ${one.name}</h3>${ownCertificate(one)}</div>`)}
${signingKeys.map(signingKey)}
${summary.certificates.map(serverCertificate)}
${authorities.length > 0 && markup`<div><h3>Further authorities that were trusted (CA_FILE)</h3>${authorities.map((one) => certificateFacts(one))}</div>`}
${softwareStatements(tokens)}</div></details>
<details class="fold noprint" id="servers"><summary>${count(hosts.length, 'server')}, and with which mutual TLS is proven</summary>${
    hosts.length === 0
      ? markup`<p class="soft">No call was made.</p>`
      : markup`<div class="scroll" tabindex="0" role="region" aria-label="Servers"><table><thead><tr><th scope="col">host</th><th scope="col" class="number">calls</th><th scope="col">address</th><th scope="col">TLS</th><th scope="col">configured identity</th><th scope="col">mutual TLS</th><th scope="col" class="number">clock</th></tr></thead><tbody>${hosts.map(
          ({ host, calls, addresses, protocols, identities, asked, clockOffsetSeconds }) =>
            markup`<tr><th scope="row" class="wrap">${host}</th><td class="number">${calls}</td><td class="whole">${addresses.length === 0 ? '–' : lines(addresses)}</td><td>${protocols.length === 0 ? 'no TLS facts' : lines(protocols)}</td><td>${identities.join(', ')}</td><td>${mutualTlsWith(mutualTls.get(host), asked)}</td><td class="number">${clockOffsetSeconds === undefined ? '–' : `${clockOffsetSeconds >= 0 ? '+' : ''}${clockOffsetSeconds.toFixed(1)} s`}</td></tr>`,
        )}</tbody></table></div>
<p class="soft small">A configured certificate is one that the client was ready to present. Mutual TLS is proven where the host refused a call for lack of the certificate, or issued a token that is bound to it. The clock is the server’s Date header less ours, to about one second.</p>`
  }</details></section>`
}

/** Later ends are drawn to the edge. In days. */
const LONGEST_DRAWN = 3 * 366

/** Each end as a bar, the report's own among them: nothing may be quoted beyond it. */
export function timeline(ends: readonly End[], validUntil: string, endedAt: string): Markup {
  const days = Math.floor((Date.parse(validUntil) - Date.parse(endedAt)) / DAY)
  const report: End = { kind: 'report', what: 'this report', detail: 'may be quoted until then', at: validUntil, days }
  const furthest = Math.min(LONGEST_DRAWN, Math.max(FEW_DAYS * 4, ...[...ends, report].map((end) => end.days)))
  return markup`<table class="ends"><colgroup><col class="what"><col><col class="days"><col class="date"></colgroup><thead class="unseen"><tr><th scope="col">what</th><th scope="col">time line</th><th scope="col">left</th><th scope="col">ends</th></tr></thead><tbody>${[...ends, report].map((end) => row(end, furthest))}</tbody></table>`
}

function row({ what, detail, at, days }: End, furthest: number): Markup {
  const percent = (value: number) => `${((96 * Math.min(furthest, Math.max(0, value))) / furthest).toFixed(1)}%`
  const tone = days < 0 ? 'fail' : days < FEW_DAYS ? 'warn' : ''
  const left = days < 0 ? 'over' : count(days, 'day')
  return markup`<tr class="${tone}"><th scope="row" class="wrap">${what.charAt(0).toUpperCase()}${what.slice(1)}<small>${detail}</small></th><td class="bar"><svg class="line" aria-hidden="true"><rect class="track" y="7" width="96%" height="4"/><rect class="left" y="7" width="${percent(days)}" height="4"/><line class="lead" x1="${percent(FEW_DAYS)}" x2="${percent(FEW_DAYS)}" y1="1" y2="17"/><circle class="end" cx="${percent(days)}" cy="9" r="4"/></svg></td><td class="days">${tone !== '' && mark(tone === 'fail' ? 'failed' : 'not-tested')} ${left}</td><td class="date">${at.slice(0, 10)}</td></tr>`
}

/** Who holds each private key, by the settings of the run. */
function custody({ environment: { settings = [] } }: RecordHead): Content {
  const held = settings.flatMap(({ name, value }) => {
    const [, prefix, what] = /^(.+)_(KEY_FILE|PFX_FILE|KEY|PFX|COMMAND)$/.exec(name) ?? []
    if (prefix === undefined || what === undefined || prefix.startsWith('VAULT')) return []
    const of = prefix
      .replace(/^IDENTITY_/, '')
      .replaceAll('_', ' ')
      .toLowerCase()
    return [
      markup`<li><strong>${of}</strong>: ${what === 'COMMAND' ? 'held by another program, which signs; this tool never had it' : what.endsWith('_FILE') ? markup`read from the file <span class="mono">${value}</span> on the machine of the run` : 'given to the run as text'} <span class="faint mono">${name}</span></li>`,
    ]
  })
  if (held.length === 0) return undefined
  return markup`<h3>Who holds the private keys</h3><ul class="plain small">${held}</ul><p class="soft small">No private key is in this report, its record or its pack.</p>`
}

function mutualTlsWith(proof: string | undefined, asked: readonly boolean[]): Content {
  if (proof !== undefined) return `proven by: ${proof}`
  if (asked.length === 0) return 'not known'
  return asked.every(Boolean)
    ? 'asked for a certificate, not proven'
    : asked.some(Boolean)
      ? 'asked for a certificate in some connections, not proven'
      : 'asked for no certificate'
}

function lines(texts: readonly string[]): Content {
  return texts.map((text) => markup`<div>${text}</div>`)
}

function serverCertificate({ certificate, chain, hosts }: ServerCertificate): Markup {
  return markup`<div id="certificate-${certificate.sha256.slice(0, 16)}"><h3>Server certificate</h3>${pairs([['shown by', lines(hosts)]])}${certificateFacts(certificate)}${
    chain.length > 0 &&
    markup`<details class="more"><summary>${count(chain.length, 'issuer')} up to the trusted root</summary>${chain.map((one) => certificateFacts(one))}</details>`
  }</div>`
}

function certificateFacts({ subject, issuer, validFrom, validTo, sha256, key }: CertificateFacts): Markup {
  return pairs([
    ['subject', subject],
    ['issuer', issuer],
    ['valid', `${validFrom === undefined ? '' : `${readable(validFrom)} `}to ${readable(validTo)}`],
    ['key', key?.kind],
    ['SHA-256 of the key', mono(key?.spkiSha256)],
    ['SHA-256', mono(sha256)],
  ])
}

/** With the days it has left. */
function ownCertificate(one: IdentityRecord): Markup {
  const tone = one.daysLeft < 0 ? 'fail' : one.daysLeft < FEW_DAYS ? 'warn' : 'pass'
  return pairs([
    [
      'valid',
      markup`<span class="badge ${tone}">${one.daysLeft < 0 ? 'expired' : `${count(one.daysLeft, 'day')} left`}</span> ${readable(one.notBefore)} to ${readable(one.notAfter)}`,
    ],
    ['subject', one.subject],
    ['issuer', one.issuer],
    ['serial number', mono(one.serial)],
    ['key', one.key?.kind],
    ['SHA-256 of the key', mono(one.key?.spkiSha256)],
    ['SHA-256', mono(one.sha256)],
  ])
}

function signingKey({ kid, algorithms, key, thumbprint, certificate }: SigningKeyRecord): Markup {
  return markup`<div><h3>Our signing key ${kid}</h3>${pairs([
    ['key', key.kind],
    ['algorithms', algorithms.join(', ')],
    ['JWK thumbprint (RFC 7638)', mono(thumbprint)],
    ['SHA-256 of the key', mono(key.spkiSha256)],
    ['certificate', certificate === undefined && 'not known: SIGNING_CERT_FILE names it'],
  ])}${certificate !== undefined && markup`<h4>its certificate</h4>${ownCertificate(certificate)}`}</div>`
}

/** Whose each statement is, and how old it was when it was fetched. */
function softwareStatements({ statements, moreStatements }: Tokens): Content {
  return (
    statements.length > 0 &&
    markup`<div class="noprint"><h3>Software statements</h3>${statements.map(
      ({ token: { number, claims }, at, hash }) => {
        const issuedAt = momentOf(claims.iat)
        return markup`<h4><a href="#token-${number}">JWT ${number}</a></h4>${pairs([
          ['issuer', text(claims.iss)],
          [
            'issued',
            issuedAt &&
              `${readable(issuedAt)}, ${((Date.parse(at) - Date.parse(issuedAt)) / 1000).toFixed(0)} s before it was fetched`,
          ],
          ['software_id', text(claims.software_id)],
          ['org_id', text(claims.org_id)],
          ['SHA-256 of the answer', mono(hash)],
        ])}`
      },
    )}${moreStatements > 0 && markup`<p>And ${count(moreStatements, 'more answer')} with one, in record.json.</p>`}</div>`
  )
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
