/** What the manifest of an evidence pack says of its run, and what record.json makes of it. */

import { ToolError } from '../record/errors.ts'
import { RECORD_FILE, type RunRecord } from '../record/index.ts'
import { CATALOGUE } from '../record/requirements.ts'
import { z } from '../record/shape.ts'
import { parseRecord } from '../record/stored.ts'
import { judge } from './accepted.ts'
import { columnOf, columnsById } from './gate.ts'
import { oddStepIn } from './history/facts.ts'
import { checkCountsOf, countOf, isComplete, STANDINGS, standingOf, wasInterrupted } from './standing.ts'
import { type ReportedRun, reportedRun } from './summary.ts'
import { workflowInWords } from './words.ts'

export const manifestShape = z.object({
  manifestVersion: z.literal(4),
  runId: z.string(),
  verdict: z.string(),
  /** steps by how they came out, checks by their status */
  counts: z.object({ steps: z.record(z.string(), z.int()), checks: z.record(z.string(), z.int()) }),
  scope: z.enum(['COMPLETE', 'PARTIAL']),
  /** the answer to "may we go live?" */
  goLive: z.string(),
  /** the column of each requirement by its id */
  requirements: z.record(z.string(), z.string()),
  /** ids of the requirements that are accepted deviations; absent where nothing was decided */
  accepted: z.optional(z.array(z.string())),
  createdAt: z.string(),
  /** relative paths with "/" */
  files: z.array(z.object({ path: z.string(), bytes: z.int(), sha256: z.string() })),
  /** the files of the exchanges in the order of the run; each link is a hash of the previous link and the file's hash */
  chain: z.array(z.object({ path: z.string(), link: z.string() })),
})

export type Manifest = z.infer<typeof manifestShape>

type Facts = Pick<Manifest, 'runId' | 'verdict' | 'counts' | 'scope' | 'accepted'>

/** The verdict, the scope and the counts of a record, recomputed from its steps and from what was decided. */
export function factsOf(record: RunRecord): Facts {
  const { runId, workflows, decisions } = record
  const steps = workflows.flatMap((workflow) => workflow.steps)
  const { verdict, rows } = judge(record, workflows)
  return {
    runId,
    verdict,
    counts: { steps: countOf(STANDINGS, steps.map(standingOf)), checks: checkCountsOf(steps) },
    scope: isComplete(record, workflows.some(wasInterrupted)) ? 'COMPLETE' : 'PARTIAL',
    ...(decisions === undefined ? {} : { accepted: [...rows] }),
  }
}

/** What follows from the requirement catalogue. */
export function standingsOf({ summary }: ReportedRun): Pick<Manifest, 'goLive' | 'requirements'> {
  return { goLive: summary.answer.headline, requirements: columnsById(summary.requirements) }
}

/** What the manifest says of the run, against record.json; its verdict against the one that follows from its steps. */
export function contradictions({ runId, verdict, counts, accepted, ...said }: Manifest, text: string): string[] {
  let record: RunRecord
  try {
    record = parseRecord(text, RECORD_FILE)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return [`${RECORD_FILE} cannot be read: ${error.message}`]
  }
  const facts = factsOf(record)
  const odd = oddStepIn(record)
  // Which requirements a check decides is a matter of the catalogue: by another one they cannot be judged again.
  const sameCatalogue = record.catalogue?.sha256 === CATALOGUE.sha256
  const isRecomputable = record.decisions === undefined || sameCatalogue
  const pairs: readonly (readonly [what: string, said: unknown, found: unknown])[] = [
    ['run', runId, facts.runId],
    ['number of steps', counts.steps, facts.counts.steps],
    ['number of checks', counts.checks, facts.counts.checks],
    ['scope', said.scope, facts.scope],
    ...(sameCatalogue ? standingsAgainst(said, record) : []),
    ...(isRecomputable
      ? ([
          ['verdict', verdict, facts.verdict],
          ['verdict of the record', record.verdict, facts.verdict],
          ['list of accepted deviations', accepted, facts.accepted],
          ['list of accepted deviations of the record', record.decisions?.rows, facts.accepted],
        ] as const)
      : []),
  ]
  const differing = pairs
    .map(([what, said, found]) => [what, JSON.stringify(said), JSON.stringify(found)])
    .filter(([, said, found]) => said !== found)
    .map(([what, said, found]) => `the ${what} is said to be ${said}; the steps of ${RECORD_FILE} make it ${found}`)
  return [...(odd === undefined ? [] : [odd]), ...differing]
}

function standingsAgainst({ goLive, requirements }: Pick<Manifest, 'goLive' | 'requirements'>, record: RunRecord) {
  const { workflows, ...head } = record
  const found = standingsOf(reportedRun(head, workflows))
  return [
    ['answer', goLive, found.goLive],
    ['verdicts on requirements', requirements, found.requirements],
  ] as const
}

/** Each requirement with its verdict, why, and where it was decided. */
export function judged({ summary }: ReportedRun): unknown {
  return summary.requirements.map((one) => ({
    id: one.requirement.id,
    area: one.requirement.area,
    level: one.requirement.level,
    verdict: columnOf(one),
    standing: one.standing,
    because: one.because,
    steps: one.steps.first.map((step) => `${workflowInWords(step)}/${step.stepId}`),
    ...(one.acceptance === undefined ? {} : { acceptance: one.acceptance }),
  }))
}
