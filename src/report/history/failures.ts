/** What failed, or had no verdict, when each step was last judged, as far as nothing has made up for it since. Pure. */
import type { PlacedFinding } from '../findings.ts'
import type { FailedStep, RunFacts } from './facts.ts'
import type { JoinedRequirement } from './requirement.ts'
import type { Timeline } from './timeline.ts'

export interface FoundIn {
  readonly run: RunFacts
  readonly findings: readonly PlacedFinding[]
}

/**
 * The failures that count: those of the newest verdict on their step, unless all that they decide is accepted, or was proven by
 * another step since.
 */
export function failuresOf(timeline: Timeline, requirements: readonly JoinedRequirement[]): readonly FoundIn[] {
  const standings = new Map(requirements.map(({ requirement, standing }) => [requirement.id, standing]))
  return newestVerdicts(timeline).flatMap(({ run, failed }) => {
    const counting = failed.filter((one) => !timeline.isGone(run, one) && isOpen(one, standings))
    if (counting.length === 0) return []
    const places = new Set(counting.map(placeOf))
    const findings = run.findings.filter((one) => one.standing === 'fail' && places.has(placeOfFinding(one)))
    return [{ run, findings }]
  })
}

/** Calls without a verdict in the runs that leave a requirement without one. */
export function unansweredOf(timeline: Timeline, requirements: readonly JoinedRequirement[]): readonly FoundIn[] {
  const judged = new Set(newestVerdicts(timeline).flatMap(({ places }) => places))
  const runs = new Set(
    requirements.flatMap(({ standing, unansweredIn }) =>
      standing === 'inconclusive' && unansweredIn !== undefined ? [unansweredIn] : [],
    ),
  )
  return [...runs].map((run) => ({
    run,
    findings: run.findings.filter((one) => one.standing === 'inconclusive' && !judged.has(placeOfFinding(one))),
  }))
}

/** By run, the steps whose newest verdict it holds. */
function newestVerdicts(timeline: Timeline) {
  const seen = new Set<string>()
  return timeline.runs
    .filter((run) => timeline.counts(run))
    .map((run) => {
      const places = run.workflows.flatMap(({ workflowId, steps }) =>
        [...steps].flatMap(([stepId, { status }]) =>
          status === 'passed' || status === 'failed' ? [placeOf({ workflowId, stepId })] : [],
        ),
      )
      const newest = new Set(places.filter((place) => !seen.has(place)))
      for (const place of places) seen.add(place)
      return { run, places: [...newest], failed: run.failed.filter((one) => newest.has(placeOf(one))) }
    })
}

/** Checks that add up others, which count themselves. */
const SUMS: ReadonlySet<string> = new Set(['cases', 'workflow'])

function isOpen({ checks }: FailedStep, standings: ReadonlyMap<string, JoinedRequirement['standing']>): boolean {
  const verdicts = checks
    .filter(({ id }) => !SUMS.has(id))
    .map(({ id, requirements }) => {
      if (requirements.some((one) => standings.get(one) === 'fail')) return 'open'
      if (requirements.length > 0) return 'made up for'
      // That no description documents the status follows from the status, which another check is about.
      return id === 'status' ? 'follows' : 'open'
    })
  if (verdicts.includes('open')) return true
  return verdicts.includes('follows') && !verdicts.includes('made up for')
}

function placeOf({ workflowId, stepId }: { readonly workflowId: string; readonly stepId: string }): string {
  return `${workflowId}/${stepId}`
}

function placeOfFinding({ workflowId, step }: PlacedFinding): string {
  return step === undefined ? workflowId : placeOf(step)
}
