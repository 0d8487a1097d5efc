/**
 * One requirement over many runs: of every check that decides it, the newest verdict counts, for 90 days. A call without a verdict
 * takes no earlier verdict away. Pure.
 */

import { clauseOf } from '../../record/clauses.ts'
import { type Decision, type Proof, proofsIn, type Requirement } from '../../record/requirements.ts'
import { COUNTS_FOR } from '../ends.ts'
import { type Column, columnOf } from '../gate.ts'
import { type JudgedRequirement, judgedBy } from '../proofs.ts'
import type { StepRef } from '../standing.ts'
import type { RunFacts, Shown } from './facts.ts'
import type { Timeline } from './timeline.ts'

export interface JoinedRequirement extends JudgedRequirement {
  /** the steps that decide it, those of the newest run first */
  readonly decidedIn: readonly { readonly run: RunFacts; readonly step: StepRef }[]
  /** of the run alone, in each of the last ten runs, the oldest first; empty where no run can decide it */
  readonly last: readonly { readonly run: RunFacts; readonly column: Column }[]
  /** a run that is newer than those that decide it, and came to no verdict on it */
  readonly unansweredIn?: RunFacts | undefined
  /** what it was, in which run, where a newer run of its flow no longer makes the check */
  readonly noLongerTested?: { readonly run: RunFacts; readonly column: Column } | undefined
}

/** So many of the last runs are shown for each requirement. */
export const LAST = 10

interface Newest {
  readonly run: RunFacts
  readonly shown: Shown
}

export function joinRequirement(requirement: Requirement, timeline: Timeline): JoinedRequirement {
  const { runs } = timeline
  const find = (counts: (run: RunFacts, shown: Shown, proof: Proof) => boolean) =>
    judgeNewest(requirement, runs, counts)
  const isThere = (run: RunFacts, { ref }: Shown, proof: Proof) => !timeline.isGone(run, ref, proof)
  const counting = find((run, shown, proof) => timeline.counts(run) && isThere(run, shown, proof))
  const { standing, because, newest } = counting
  const decidedIn = placesOf(standing === 'fail' ? newest.filter(({ shown }) => shown.standing === 'fail') : newest)
  const last = requirement.by === 'run' ? lastOf(requirement, runs) : []
  const base = { requirement, clause: clauseOf(requirement.clause), last, decidedIn }
  const unanswered = runs.find((run) => timeline.counts(run) && run.columns.get(requirement.id) === 'no verdict')
  if (standing !== 'not tested') {
    const isNewer = unanswered !== undefined && runs.indexOf(unanswered) < indexOf(runs, decidedIn)
    return {
      ...base,
      ...{ standing, because },
      steps: stepsOf(decidedIn),
      unansweredIn: isNewer ? unanswered : undefined,
    }
  }
  const steps = stepsOf([])
  if (unanswered !== undefined)
    return {
      ...base,
      ...{ steps, decidedIn: [], standing: 'inconclusive', unansweredIn: unanswered },
      because: `${named(unanswered)} came to no verdict`,
    }
  const old = find(isThere)
  if (old.standing !== 'not tested')
    return { ...base, steps, decidedIn: [], standing, because: `its verdict is older than ${COUNTS_FOR} days` }
  const before = find(() => true)
  const [was] = before.newest
  if (before.standing === 'not tested' || was === undefined)
    return { ...base, steps, decidedIn: [], standing, because: missing(requirement, newest) }
  const column = columnOf({ requirement, standing: before.standing })
  const what = `${column} in ${named(was.run)}, and no longer tested: the flow that ran since lacks the check`
  return { ...base, steps, decidedIn: [], standing, because: what, noLongerTested: { run: was.run, column } }
}

/** "the run of 2026-11-30 06:03 (2f6e17)" */
export function named({ head: { startedAt, runId } }: RunFacts): string {
  return `the run of ${startedAt.slice(0, 16).replace('T', ' ')} (${runId.slice(-6)})`
}

function judgeNewest(
  requirement: Requirement,
  runs: readonly RunFacts[],
  counts: (run: RunFacts, shown: Shown, proof: Proof) => boolean,
): Pick<JudgedRequirement, 'standing' | 'because'> & { readonly newest: readonly Newest[] } {
  const newest = new Map(
    proofsIn(requirement.proof).flatMap((proof) => {
      const found = newestOf(requirement, proof, { runs, counts })
      return found.length === 0 ? [] : [[proof, found] as const]
    }),
  )
  const shownOf = (proof: Proof): Decision => {
    const [worst] = newest.get(proof) ?? []
    if (worst === undefined) return { standing: 'not tested', because: '' }
    const { standing, because } = worst.shown
    return { standing, because }
  }
  const all = [...newest.values()].flat()
  return {
    ...judgedBy(requirement, shownOf),
    newest: all.toSorted((a, b) => runs.indexOf(a.run) - runs.indexOf(b.run)),
  }
}

const WORST_FIRST: readonly Shown['standing'][] = ['fail', 'warn', 'pass']

/** What the newest run that shows the proof shows of it, the worst first. */
function newestOf(
  requirement: Requirement,
  proof: Proof,
  {
    runs,
    counts,
  }: { readonly runs: readonly RunFacts[]; readonly counts: (run: RunFacts, shown: Shown, proof: Proof) => boolean },
): readonly Newest[] {
  for (const run of runs) {
    const shown =
      run.shown
        .get(requirement)
        ?.get(proof)
        ?.filter((one) => counts(run, one, proof)) ?? []
    if (shown.length === 0) continue
    const sorted = shown.toSorted((a, b) => WORST_FIRST.indexOf(a.standing) - WORST_FIRST.indexOf(b.standing))
    return sorted.map((one) => ({ run, shown: one }))
  }
  return []
}

/** Each step once. */
function placesOf(newest: readonly Newest[]): JoinedRequirement['decidedIn'] {
  const places = newest.map(({ run, shown: { ref: step } }) => {
    const key = `${run.folder}\n${step.workflowId}\n${step.stepId}`
    return [key, { run, step }] as const
  })
  return [...new Map(places).values()]
}

function indexOf(runs: readonly RunFacts[], decidedIn: JoinedRequirement['decidedIn']): number {
  const [first] = decidedIn
  return first === undefined ? runs.length : runs.indexOf(first.run)
}

function lastOf({ id }: Requirement, runs: readonly RunFacts[]): JoinedRequirement['last'] {
  const last = runs.slice(0, LAST).toReversed()
  return last.map((run) => ({ run, column: run.columns.get(id) ?? 'not tested' }))
}

function stepsOf(decidedIn: JoinedRequirement['decidedIn']): JudgedRequirement['steps'] {
  return { count: decidedIn.length, first: decidedIn.slice(0, 1).map(({ step }) => step) }
}

/** Which flows would have to run. */
function missing({ proof }: Requirement, newest: readonly Newest[]): string {
  if (proof === undefined) return 'nobody has written a check'
  const shown = new Set(newest.map(({ shown: { ref } }) => `${ref.workflowId}/${ref.stepId}`))
  const open = proofsIn(proof).filter(({ at }) => !at.some((place) => shown.has(place)))
  const flows = open.map(({ at }) => [...new Set(at.map((place) => place.slice(0, place.indexOf('/'))))])
  const first = flows.toSorted((a, b) => a.length - b.length)[0] ?? []
  const some = newest.length > 0 ? 'only a part of it is shown' : 'no run has shown it'
  return `${some}: run ${first.slice(0, 3).join(' or ')}${first.length > 3 ? ' or another that checks it' : ''}`
}
