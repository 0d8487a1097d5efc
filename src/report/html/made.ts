/** How the report was made: circumstances, clients, JWTs, redaction, limits. Folded, for an auditor. */
import type { RecordHead } from '../../record/index.ts'
import { momentOf } from '../../record/time.ts'
import type { ClientHistory } from '../calls.ts'
import type { Summary } from '../summary.ts'
import type { Tokens } from '../tokens.ts'
import { count } from '../words.ts'
import { circumstances } from './circumstances.ts'
import { type Markup, markup } from './markup.ts'
import { code, pairs, readable, stepLink } from './parts.ts'

export function made(head: RecordHead, summary: Summary): Markup {
  return markup`<section id="made"><div class="title"><h2>How this was made</h2></div>
${circumstances(head, summary)}
${clients(summary)}
${jwts(summary.tokens)}
${limits(head, summary)}</section>`
}

function clients({ clients }: Summary): Markup {
  return markup`<details class="fold" id="clients"><summary>${count(clients.length, 'client')} that this run touched</summary><p>Every OAuth client that this run registered, changed or deleted, and how it was left.</p>${
    clients.length === 0 ? markup`<p class="soft">None.</p>` : clients.map(client)
  }</details>`
}

function client({ client: id, uri, events, outcome }: ClientHistory): Markup {
  const tone = (
    { 'left registered': 'warn', deleted: 'pass', 'deleted and found dead': 'pass', unknown: 'fail' } as const
  )[outcome]
  return markup`\n<div class="block"><p><span class="badge ${tone}">${outcome}</span> <span class="mono wrap">${id}</span></p>${uri !== undefined && markup`<p class="soft small wrap">${uri}</p>`}<ol>${events.map(({ what, step }) => markup`<li>${what} in ${stepLink(step)}</li>`)}</ol></div>`
}

function jwts({ all, more }: Tokens): Markup {
  return markup`<details class="fold" id="tokens"><summary>${count(all.length, 'JWT')}, decoded</summary><p>Header and claims of every JWT that was seen, without its signature: they can be read and not used.</p>${
    all.length === 0
      ? markup`<p class="soft">None.</p>`
      : all.map(
          ({ number, name, header, claims }) =>
            markup`<details class="step" id="token-${number}"><summary><span class="badge other">${String(header.alg ?? 'no alg')}</span><span class="title">${name} (${number})</span><span class="soft small"></span><span class="call">${tokenTimes(claims)}</span></summary><div class="inner"><h4>Header</h4>${code(JSON.stringify(header, null, 2), `header of JWT ${number}`)}<h4>Claims</h4>${code(JSON.stringify(claims, null, 2), `claims of JWT ${number}`)}</div></details>`,
        )
  }${more > 0 && markup`<p>And ${count(more, 'more JWT')}, in record.json.</p>`}</details>`
}

function tokenTimes(claims: Readonly<Record<string, unknown>>): string {
  return (['iat', 'nbf', 'exp'] as const)
    .flatMap((name) => {
      const moment = momentOf(claims[name])
      return moment === undefined ? [] : [`${name} ${readable(moment)}`]
    })
    .join(' · ')
}

function limits({ redaction, leftOut }: RecordHead, { findingCounts, steps }: Summary): Markup {
  const skipped = steps.filter(({ standing }) => standing === 'skip')
  const deviations = findingCounts.warn
  return markup`<details class="fold" id="limits"><summary>Redaction, integrity, and what this is not</summary>
<div class="block"><h3>Redaction</h3>${pairs([
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
<div class="block"><h3>Remarks and exclusions</h3><p>${deviations === 0 ? 'No check ended in a warning.' : `${count(deviations, 'check')} ended in a warning: a recommendation that was not met, or a tolerance of the profile. They stand among the findings.`} No check was hidden.</p>${
    skipped.length > 0 &&
    markup`<p>${count(skipped.length, 'step')} did not run:</p><ul>${skipped.map((step) => markup`<li>${stepLink(step)}: ${step.because ?? 'no reason given'}</li>`)}</ul>`
  }${leftOut !== undefined && leftOut.length > 0 && markup`<p>Not part of the run: ${leftOut.join(', ')}.</p>`}</div>
<div class="block"><h3>Integrity</h3><p>This page alone proves nothing about its origin. In an evidence pack, manifest.json lists every file with its size and SHA-256, and manifest.jws signs it; <code>thredd verify &lt;pack&gt;</code> recomputes all of it; signer.jwk.json is the key, and its kid is to be compared with the one its maker names. The hashes of bodies are those of the bytes on the wire, before redaction.</p></div>
<div class="block"><h3>What this is not</h3><p>The result of automated tests of one client at one time, not a certification, not an approval by Thredd, and not a statement about PCI DSS or any other scheme. A passed check shows that this behaviour was seen, not that it always holds. Only calls of this client are seen; what servers ask each other is not. Keep it as long as your audit asks for, which is twelve months in many schemes.</p></div></details>`
}
