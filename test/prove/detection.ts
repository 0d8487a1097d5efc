/**
 * Shows that the checks of the flows can fail: breaks one rule of the twin after the other and looks which requirements no longer
 * pass. Fails for a fault that turns nothing red, for a requirement that its own fault leaves green, and where the list of
 * requirements without a fault is not the one in detection.json. `node test/prove/detection.ts [beginning of a fault]`.
 */
import { createTwin, faultsOf, switchesOf } from '../../mocks/index.ts'
import type { WorkflowRecord } from '../../src/record/index.ts'
import { REQUIREMENTS } from '../../src/record/requirements.ts'
import { summarise } from '../../src/report/summary.ts'
import { runOnTwin, sharedPki } from '../support/run.ts'
import table from './detection.json' with { type: 'json' }

interface Line {
  /** as for `thredd mock --fault`; or, where no fault of that kind is needed, a switch */
  readonly fault?: string
  readonly switch?: string
  readonly flows: readonly string[]
  /** the requirements that it breaks */
  readonly breaks: readonly string[]
}

const [only = ''] = process.argv.slice(2)
const { operations } = createTwin({ pki: await sharedPki() })
const lines = (table.faults as readonly Line[]).filter((line) => nameOf(line).startsWith(only))
const problems: string[] = []
const green = new Map<string, ReadonlySet<string>>()
const seen = new Set<string>()

for (const line of lines) {
  const flows = line.flows.join(' ')
  const before = green.get(flows) ?? (await passing(line.flows, {}))
  green.set(flows, before)
  const after = await passing(line.flows, line)
  const red = [...before].filter((id) => !after.has(id))
  for (const id of red) seen.add(id)
  const others = red.filter((id) => !line.breaks.includes(id))
  const left = line.breaks.filter((id) => !red.includes(id))
  process.stdout.write(
    `${nameOf(line)}\n  red: ${line.breaks.filter((id) => red.includes(id)).join(' ') || 'nothing'}\n`,
  )
  if (others.length > 0) process.stdout.write(`  and what follows from it: ${others.join(' ')}\n`)
  if (red.length === 0) problems.push(`${nameOf(line)}: turns nothing red`)
  for (const id of left)
    problems.push(`${nameOf(line)}: ${id} ${before.has(id) ? 'stays green' : 'did not pass before'}`)
}

const proven = REQUIREMENTS.filter(({ proof }) => proof !== undefined).map(({ id }) => id)
const own = new Set(lines.flatMap(({ breaks }) => breaks))
const without = proven.filter((id) => !own.has(id))
process.stdout.write(
  `\n${own.size} of ${proven.length} requirements with a check are turned red by a fault of their own, `,
)
process.stdout.write(`${proven.filter((id) => seen.has(id)).length} by some fault; ${lines.length} faults\n`)
if (only === '') {
  const unlisted = without.filter((id) => !table.withoutFault.includes(id))
  const needless = table.withoutFault.filter((id) => !without.includes(id))
  for (const id of unlisted) problems.push(`${id}: no fault breaks it`)
  for (const id of needless) problems.push(`${id}: has a fault, and is listed as one without`)
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

function nameOf(line: Pick<Line, 'fault' | 'switch'>): string {
  return line.fault ?? `switch ${line.switch}`
}

/** The requirements that pass in a run of the flows with the fault. */
async function passing(flows: readonly string[], line: Pick<Line, 'fault' | 'switch'>): Promise<ReadonlySet<string>> {
  const workflows: WorkflowRecord[] = []
  let head: Parameters<typeof summarise>[0] | undefined
  // Each on a twin of its own: a flow that registers meets no client of another.
  for (const flow of flows) {
    await using ran = await runOnTwin({
      flows: [flow],
      ...(line.fault === undefined ? {} : { faults: faultsOf(line.fault, operations) }),
      ...(line.switch === undefined ? {} : { switches: switchesOf([line.switch]) }),
    })
    head = ran.record
    workflows.push(...ran.record.workflows)
  }
  const requirements = head === undefined ? [] : summarise(head, workflows).requirements
  return new Set(requirements.filter(({ standing }) => standing === 'pass').map(({ requirement }) => requirement.id))
}
