/** Findings with the same cause as one: the same was expected, the same came, and the server said the same. Pure. */
import type { Requirement } from '../record/requirements.ts'
import type { PlacedFinding } from './findings.ts'
import type { StepRef } from './standing.ts'

export interface Cause extends PlacedFinding {
  /** in the order of the run; without those that are about a workflow as a whole */
  readonly steps: readonly StepRef[]
  readonly workflowIds: readonly string[]
  /** how many findings it joins */
  readonly count: number
}

/** In the order of their first findings. The rest of a cause is that of its first finding. */
export function causesOf(findings: readonly PlacedFinding[]): readonly Cause[] {
  return [...Map.groupBy(findings, keyOf).values()].map((group) => {
    const [first] = group as [PlacedFinding]
    return {
      ...first,
      steps: group.flatMap(({ step }) => step ?? []),
      workflowIds: [...new Set(group.map(({ workflowId }) => workflowId))],
      count: group.length,
      notJudged: group.reduce((sum, { notJudged }) => sum + notJudged, 0),
      clauses: [...new Set(group.flatMap(({ clauses }) => clauses))],
      requirements: unique(group.flatMap(({ requirements }) => requirements)),
    }
  })
}

/** By another check it may mean something else, and it has the same cause. The trace of an answer is another each time. */
function keyOf({ standing, title, said }: PlacedFinding): string {
  return JSON.stringify([standing, title, said?.status, said?.error, said?.description, said?.hint])
}

function unique(requirements: readonly Requirement[]): readonly Requirement[] {
  return [...new Set(requirements)]
}
