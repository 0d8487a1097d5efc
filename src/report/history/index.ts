/**
 * The stored runs of one environment joined to one answer: the newest verdict on each requirement, by which run, what has changed
 * since a baseline, and what is no longer tested. Pure.
 */
import type { RecordHead } from '../../record/index.ts'
import { REQUIREMENTS } from '../../record/requirements.ts'
import { withDecisions } from '../accepted.ts'
import { type Answer, answerOf, type Grounds } from '../answer.ts'
import type { ServerCertificate } from '../calls.ts'
import { type Cause, causesOf } from '../causes.ts'
import { COUNTS_FOR, countsUntil, type End, endsOf, quotableUntil } from '../ends.ts'
import type { PlacedFinding } from '../findings.ts'
import { columnOf, type Gate, gateOf } from '../gate.ts'
import type { StepRef } from '../standing.ts'
import { type Changes, changesBetween } from './changes.ts'
import type { RunFacts } from './facts.ts'
import { failuresOf, newestVerdicts, unansweredOf } from './failures.ts'
import { notesOf } from './notes.ts'
import { type JoinedRequirement, joinRequirement, named } from './requirement.ts'
import { Timeline } from './timeline.ts'

export interface Joining {
  readonly environment: Pick<RecordHead['environment'], 'name' | 'class' | 'flags'>
  /** UTC */
  readonly now: string
  /** those of the file as it is now */
  readonly decisions: RecordHead['decisions']
  /** what is to be known beside them */
  readonly remarks?: readonly string[]
  /** the id of the run to compare with */
  readonly baseline?: string | undefined
}

/** A stored run, or why it is not one. */
export type Stored = { readonly folder: string } & ({ readonly facts: RunFacts } | { readonly problem: string })

export interface History {
  readonly environment: Joining['environment']
  readonly now: string
  readonly decisions: RecordHead['decisions']
  /** those that are joined, the newest first */
  readonly runs: readonly RunFacts[]
  /** those that are not, and why */
  readonly leftOut: readonly { readonly folder: string; readonly because: string }[]
  readonly answer: Answer
  /** 0 for a Yes, 1 for a No, 3 otherwise */
  readonly exitCode: number
  readonly requirements: readonly JoinedRequirement[]
  readonly gate: Gate
  readonly causes: readonly Cause[]
  /** the run that a step of a cause or of a requirement stands in */
  readonly runOf: (step: StepRef) => RunFacts | undefined
  readonly ends: readonly End[]
  readonly validUntil: string
  readonly notes: readonly string[]
  /** absent where none is named, or the named one is not among the runs */
  readonly baseline?: { readonly run: RunFacts; readonly changes: Changes } | undefined
}

/** Undefined where no run of the environment can be joined. */
export function historyOf(stored: readonly Stored[], joining: Joining): History | undefined {
  const { runs, leftOut } = sorted(stored, joining)
  if (runs.length === 0) return undefined
  const history = join(runs, joining)
  const run = runs.find(({ head }) => head.runId === joining.baseline)
  const notes = [
    ...(joining.remarks ?? []),
    ...(joining.baseline !== undefined && run === undefined
      ? [`the baseline ${joining.baseline} is not among the joined runs, so nothing is compared with it`]
      : []),
    ...notesOf(history),
  ]
  return {
    ...history,
    ...{ leftOut, notes },
    baseline: run && { run, changes: changesBetween(stateAt(run, runs, joining), history) },
  }
}

type Joined = Omit<History, 'leftOut' | 'notes' | 'baseline'>

/** How things stood as of the start of the run, that run included, with what was decided then. */
function stateAt(run: RunFacts, runs: readonly RunFacts[], { environment }: Joining): Joined {
  const { startedAt, decisions } = run.head
  return join(runs.slice(runs.indexOf(run)), { environment, now: startedAt, decisions })
}

function join(runs: readonly RunFacts[], { environment, now, decisions }: Joining): Joined {
  const timeline = new Timeline(runs, now)
  const rows = REQUIREMENTS.map((requirement) => joinRequirement(requirement, timeline))
  const requirements = withDecisions(rows, { decisions, startedAt: now })
  const newest = newestVerdicts(timeline)
  const failures = failuresOf(newest, timeline, requirements)
  const found = [...failures, ...unansweredOf(newest, requirements)]
  const findings = found.flatMap((one) => one.findings)
  const runOf = runsBySteps(requirements, found)
  const deciding = new Set(requirements.flatMap(({ decidedIn }) => decidedIn.map(({ run }) => run)))
  const grounds: Grounds = {
    complete: true,
    over: 'runs',
    noLongerTested: requirements.filter((one) => one.noLongerTested && columnOf(one) === 'not tested').length,
    findings,
    findingCounts: { fail: numberOf(findings, 'fail'), inconclusive: numberOf(findings, 'inconclusive'), warn: 0 },
    requirements,
    weaknesses: weaknessesOf(runs.filter((run) => deciding.has(run))),
    clients: runs.find(({ clients }) => clients.length > 0)?.clients ?? [],
    ends: endsOfRuns(runs, { now, requirements, deciding }),
  }
  const answer = answerOf(headFor(runs, failures.length > 0), grounds)
  return {
    ...{ environment, now, decisions, runs, answer, requirements, runOf },
    exitCode: { good: 0, bad: 1, caution: 3, unknown: 3 }[answer.tone],
    gate: gateOf(requirements, ({ decidedIn: [first] }) => first !== undefined && first.run !== runs[0]),
    causes: causesOf(findings),
    ends: grounds.ends,
    validUntil: quotableUntil(grounds.ends, now),
  }
}

/** Runs that are of the environment and answered by its servers; a copy of one counts once. */
function sorted(stored: readonly Stored[], joining: Joining): Pick<History, 'runs' | 'leftOut'> {
  const leftOut: { folder: string; because: string }[] = []
  const seen = new Set<string>()
  const runs = stored.flatMap((one): RunFacts[] => {
    const { folder } = one
    if ('problem' in one) {
      leftOut.push({ folder, because: one.problem })
      return []
    }
    const { facts } = one
    if (facts.head.environment.name !== joining.environment.name) return []
    const because = seen.has(facts.head.runId) ? 'it is a copy of another' : objectionTo(facts, joining)
    if (because === undefined) seen.add(facts.head.runId)
    else leftOut.push({ folder, because })
    return because === undefined ? [facts] : []
  })
  return { runs: runs.toSorted(newestFirst), leftOut }
}

function newestFirst({ head: a, folder: x }: RunFacts, { head: b, folder: y }: RunFacts): number {
  for (const [one, other] of [
    [a.startedAt, b.startedAt],
    [a.runId, b.runId],
    [x, y],
  ] as const)
    if (one !== other) return one < other ? 1 : -1
  return 0
}

/** A clock may be ahead by so many minutes. */
const MOST_AHEAD = 10

function objectionTo({ head }: RunFacts, { environment, now }: Joining): string | undefined {
  if (head.environment.class !== environment.class)
    return `it is of class ${head.environment.class}, and the environment of class ${environment.class}`
  if (environment.class !== 'mock' && head.counterparty !== 'network') return 'it ran on the offline twin'
  if (Date.parse(head.startedAt) > Date.parse(now) + MOST_AHEAD * 60_000) return 'its time lies in the future'
  return undefined
}

function headFor(runs: readonly RunFacts[], isFailed: boolean): Parameters<typeof answerOf>[0] {
  const [{ head }] = runs as [RunFacts]
  const cardNumbers = runs.reduce((sum, run) => sum + (run.head.redaction.cardNumbers ?? 0), 0)
  return {
    environment: head.environment,
    counterparty: head.counterparty,
    verdict: isFailed ? 'non-conformant' : 'conformant',
    exitCode: isFailed ? 1 : 0,
    leftOut: [],
    redaction: { ...head.redaction, cardNumbers },
  }
}

function numberOf(findings: readonly PlacedFinding[], standing: PlacedFinding['standing']): number {
  return findings.filter((one) => one.standing === standing).length
}

function runsBySteps(
  requirements: readonly JoinedRequirement[],
  found: readonly { readonly run: RunFacts; readonly findings: readonly PlacedFinding[] }[],
): History['runOf'] {
  const runs = new Map<StepRef, RunFacts>([
    ...requirements.flatMap(({ decidedIn }) => decidedIn.map(({ step, run }) => [step, run] as const)),
    ...found.flatMap(({ run, findings }) => findings.flatMap(({ step }) => (step ? [[step, run] as const] : []))),
  ])
  return (step) => runs.get(step)
}

function weaknessesOf(runs: readonly RunFacts[]): Grounds['weaknesses'] {
  return [...new Map(runs.flatMap(({ weaknesses }) => weaknesses.map((one) => [one.flag, one] as const))).values()]
}

/** Of each host the one that it showed last. */
function certificatesOf(runs: readonly RunFacts[]): readonly ServerCertificate[] {
  const shown = runs
    .toReversed()
    .flatMap(({ certificates }) => certificates.flatMap((one) => one.hosts.map((host) => [host, one] as const)))
  const byCertificate = Map.groupBy(new Map(shown), ([, { certificate }]) => certificate.sha256)
  return [...byCertificate.values()].flatMap((group) => {
    const [first] = group
    return first === undefined ? [] : [{ ...first[1], hosts: group.map(([host]) => host) }]
  })
}

/** Our certificates as the newest run has them, each server's as the newest that met it, decisions, and the oldest verdict. */
function endsOfRuns(
  runs: readonly RunFacts[],
  { now, requirements, deciding }: Pick<Joined, 'now' | 'requirements'> & { readonly deciding: ReadonlySet<RunFacts> },
): readonly End[] {
  const [newest] = runs as [RunFacts]
  const oldest = runs.findLast((run) => deciding.has(run))
  const verdicts = oldest && {
    kind: 'report' as const,
    what: 'the oldest verdict that counts here',
    detail: `that of ${named(oldest)}; a verdict counts for ${COUNTS_FOR} days`,
    at: countsUntil(oldest.head.startedAt),
  }
  return endsOf(newest.head, {
    certificates: certificatesOf(runs),
    requirements,
    endedAt: now,
    others: verdicts === undefined ? [] : [verdicts],
  })
}
