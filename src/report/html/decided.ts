/** What the users of the project decided: accepted deviations, what was confirmed and reviewed, and who signs. */
import type { Signature } from '../../record/decisions.ts'
import type { RecordHead } from '../../record/index.ts'
import type { JudgedRequirement } from '../proofs.ts'
import { type Content, type Markup, markup } from './markup.ts'

export function signOff(
  { decisions }: Pick<RecordHead, 'decisions'>,
  { requirements }: { readonly requirements: readonly JudgedRequirement[] },
): Markup {
  return markup`<section id="sign-off"><div class="title"><h2>Deviations and sign-off</h2></div>${
    decisions === undefined
      ? markup`<p>No deviation was accepted in advance.</p>`
      : markup`<p>By ${decisions.file} with SHA-256 <span class="mono wrap">${decisions.sha256}</span>.</p>`
  }
${(['accepted', 'confirmed', 'reviewed'] as const).map((standing) => rowsOf(standing, requirements))}
<div class="sign">${signatures(decisions?.signOff ?? [])}</div></section>`
}

function rowsOf(standing: keyof typeof TITLES, requirements: readonly JudgedRequirement[]): Content {
  const rows = requirements.filter((row) => row.standing === standing)
  const [one, several] = TITLES[standing]
  if (rows.length === 0) return undefined
  return markup`<h3>${rows.length} ${rows.length === 1 ? one : several}</h3><ul>${rows.map(({ requirement: { id }, because }) => markup`<li><a href="#requirement-${id}">${id}</a>: ${because}</li>`)}</ul>`
}

const TITLES = {
  accepted: ['accepted deviation', 'accepted deviations'],
  confirmed: ['confirmed by Thredd', 'confirmed by Thredd'],
  reviewed: ['reviewed by a person', 'reviewed by a person'],
} as const

/** Those in the decisions file, and a line for one with a pen where there is none. */
function signatures(all: readonly Signature[]): Content {
  if (all.length === 0) return markup`<div>Approved by</div><div>Role</div><div>Date and signature</div>`
  return all.map(
    ({ name, role, date, note }) =>
      markup`<div><strong>${name}</strong><br>${role}<br>${date}${note !== undefined && markup`<br>${note}`}</div>`,
  )
}
