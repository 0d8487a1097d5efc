/** The section on certificates, keys and TLS: ours, and those that servers presented. */
import type { CertificateFacts, IdentityRecord, RecordHead, SigningKeyRecord } from '../../record/index.ts'
import { momentOf } from '../../record/time.ts'
import { isExpiring } from '../answer.ts'
import type { ServerCertificate } from '../calls.ts'
import type { Summary } from '../summary.ts'
import type { Tokens } from '../tokens.ts'
import { count } from '../words.ts'
import { type Content, type Markup, markup } from './markup.ts'
import { mono, pairs, readable } from './parts.ts'

export function certificates(head: RecordHead, summary: Summary): Markup {
  const { identities, signingKeys = [], security } = head
  const { hosts, mutualTls, tokens } = summary
  return markup`<section id="certificates"><h2>Certificates and TLS</h2>
<div class="card"><h3>Our client certificates</h3>${identities.length === 0 ? markup`<p class="soft">None was used.</p>` : identities.map(identity)}</div>
<div class="card"><h3>Our signing keys</h3>${signingKeys.length === 0 ? markup`<p class="soft">None was used.</p>` : signingKeys.map(signingKey)}</div>
${softwareStatements(tokens)}
<div class="card"><h3>Servers</h3>${
    hosts.length === 0
      ? markup`<p class="soft">No call was made.</p>`
      : markup`<div class="scroll" tabindex="0" role="region" aria-label="Servers"><table><thead><tr><th scope="col">host</th><th scope="col" class="number">calls</th><th scope="col">address</th><th scope="col">TLS</th><th scope="col">configured identity</th><th scope="col">mutual TLS</th><th scope="col" class="number">clock</th></tr></thead><tbody>${hosts.map(
          ({ host, calls, addresses, protocols, identities, asked, clockOffsetSeconds }) =>
            markup`<tr><th scope="row" class="wrap">${host}</th><td class="number">${calls}</td><td class="whole">${addresses.length === 0 ? '–' : lines(addresses)}</td><td>${protocols.length === 0 ? 'no TLS facts' : lines(protocols)}</td><td>${identities.join(', ')}</td><td>${mutualTlsWith(mutualTls.get(host), asked)}</td><td class="number">${clockOffsetSeconds === undefined ? '–' : `${clockOffsetSeconds >= 0 ? '+' : ''}${clockOffsetSeconds.toFixed(1)} s`}</td></tr>`,
        )}</tbody></table></div>
<p class="soft small">A configured certificate is one that the client was ready to present. Mutual TLS is proven where the host refused a call for lack of the certificate, or issued a token that is bound to it. The clock is the server’s Date header less ours, to about one second.</p>`
  }</div>
${summary.certificates.map(serverCertificate)}
${
  (security?.authorities ?? []).length > 0 &&
  markup`<div class="card"><details class="more"><summary>Further authorities that were trusted (CA_FILE)</summary>${(security?.authorities ?? []).map((one) => certificateFacts(one))}</details></div>`
}</section>`
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
  return markup`<div class="card" id="certificate-${certificate.sha256.slice(0, 16)}"><h3>Server certificate</h3>${pairs([['shown by', lines(hosts)]])}${certificateFacts(certificate)}${
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

function identity(one: IdentityRecord): Markup {
  return markup`<h4>${one.name}</h4>${ownCertificate(one)}`
}

/** With the days it has left. */
function ownCertificate(one: IdentityRecord): Markup {
  const tone = one.daysLeft < 0 ? 'fail' : isExpiring(one) ? 'warn' : 'pass'
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
  return markup`<h4>${kid}</h4>${pairs([
    ['key', key.kind],
    ['algorithms', algorithms.join(', ')],
    ['JWK thumbprint (RFC 7638)', mono(thumbprint)],
    ['SHA-256 of the key', mono(key.spkiSha256)],
    ['certificate', certificate === undefined && 'not known: SIGNING_CERT_FILE names it'],
  ])}${certificate !== undefined && markup`<h4>its certificate</h4>${ownCertificate(certificate)}`}`
}

/** Whose each statement is, and how old it was when it was fetched. */
function softwareStatements({ statements, moreStatements }: Tokens): Content {
  return (
    statements.length > 0 &&
    markup`<div class="card"><h3>Software statements</h3>${statements.map(({ token: { number, claims }, at, hash }) => {
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
    })}${moreStatements > 0 && markup`<p>And ${count(moreStatements, 'more answer')} with one, in record.json.</p>`}</div>`
  )
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
