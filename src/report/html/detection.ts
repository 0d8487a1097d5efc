/** The detection matrix: which fault of the twin turned each requirement red. Folded, for an auditor. */
import type { Detection } from '../detection.ts'
import { mark } from './marks.ts'
import { type Markup, markup } from './markup.ts'

/** So many faults of a requirement are named; the pack has all. */
const MOST_FAULTS = 2

export function detection(rows: readonly Detection[]): Markup {
  const stale = rows.filter((row) => row.stale.length > 0).length
  return markup`<details class="fold noprint" id="detection"><summary>What turns each requirement red: the detection matrix${stale > 0 && markup` ${mark('remark')} ${stale} of ${rows.length} stale`}</summary><p class="soft small">Before this run, one rule after the other was broken on the offline twin: a requirement that no fault turns red proves nothing. “Stale”: the flow or the catalogue of this run is another than the one it was shown with.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Detection matrix"><table><thead><tr><th scope="col">requirement</th><th scope="col">turned red by</th><th scope="col">in</th><th scope="col">shown with these files</th></tr></thead><tbody>${rows.map(row)}</tbody></table></div></details>`
}

function row({ id, faults, flows, stale }: Detection): Markup {
  const more = faults.length - MOST_FAULTS
  const named = faults.slice(0, MOST_FAULTS).map((one) => markup`<div class="mono">${one}</div>`)
  return markup`\n<tr id="detection-${id}"><th scope="row"><a href="#requirement-${id}">${id}</a></th><td class="wrap">${named}${more > 0 && `and ${more} more`}</td><td>${flows.join(', ')}</td><td>${stale.length === 0 ? 'yes' : markup`${mark('remark')} stale: ${stale.join(', ')}`}</td></tr>`
}
