/** The failures and the calls without a verdict that still count: those of the newest verdict on each step. Pure. */
import { isExplained } from '../accepted.ts'
import type { PlacedFinding } from '../findings.ts'
import type { RunFacts } from './facts.ts'
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
export function failuresOf(
  newest: ReturnType<typeof newestVerdicts>,
  timeline: Timeline,
  requirements: readonly JoinedRequirement[],
): readonly FoundIn[] {
  const standings = new Map(requirements.map(({ requirement, standing }) => [requirement.id, standing]))
  const stands = (id: string) => standings.get(id) === 'fail'
  return newest.flatMap(({ run, failed }) => {
    const counting = failed.filter((one) => !timeline.isGone(run, one) && !isExplained(one.checks, stands))
    if (counting.length === 0) return []
    const places = new Set(counting.map(placeOf))
    const findings = run.findings.filter((one) => one.standing === 'fail' && places.has(placeOfFinding(one)))
    return [{ run, findings }]
  })
}

/** Calls without a verdict in the runs that leave a requirement without one. */
export function unansweredOf(
  newest: ReturnType<typeof newestVerdicts>,
  requirements: readonly JoinedRequirement[],
): readonly FoundIn[] {
  const judged = new Set(newest.flatMap(({ places }) => places))
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
export function newestVerdicts(timeline: Timeline) {
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

function placeOf({ workflowId, stepId }: { readonly workflowId: string; readonly stepId: string }): string {
  return `${workflowId}/${stepId}`
}

function placeOfFinding({ workflowId, step }: PlacedFinding): string {
  return step === undefined ? workflowId : placeOf(step)
}
