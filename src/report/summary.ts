/**
 * What the reports for people and machines say of a run as a whole: the answer to "may we go live?", counts, findings,
 * requirements, servers, clients. It is worked out here once, so that every report says the same. One pass through the
 * workflows; no exchange is kept, so that the size of a run does not matter.
 */
import { CODES } from '../record/errors.ts'
import { errorBeyondSteps, exitCodeOf, type RecordHead, type StepRecord, type WorkflowRecord } from '../record/index.ts'
import { CATALOGUE } from '../record/requirements.ts'
import { withDecisions } from './accepted.ts'
import { type Answer, answerOf, type Grounds, weaknessesOf } from './answer.ts'
import { CallCollector } from './calls.ts'
import { type Cause, causesOf } from './causes.ts'
import { type Detection, detectionsOf } from './detection.ts'
import { endsOf, quotableUntil } from './ends.ts'
import { differencesOf, FindingCollector } from './findings.ts'
import { type Gate, gateOf } from './gate.ts'
import { MutualTls } from './mutual-tls.ts'
import { noticeOf } from './notice.ts'
import { ProofCollector } from './proofs.ts'
import {
  type CheckCounts,
  checkCountsOf,
  countOf,
  isComplete,
  STANDINGS,
  type Standing,
  type StepRef,
  standingOf,
  sumOf,
  sumOfChecks,
  wasInterrupted,
} from './standing.ts'
import { Tokens } from './tokens.ts'

type StepCounts = Readonly<Record<Standing, number>>

/** One row in a list of all steps. */
export interface StepSummary extends StepRef {
  readonly because?: string | undefined
  /** ids of the requirements that its checks decide */
  readonly requirements: readonly string[]
  readonly clauses: readonly string[]
}

/** One row in a list of all workflows. */
export interface WorkflowSummary {
  readonly workflowId: string
  readonly row?: WorkflowRecord['row']
  readonly status: WorkflowRecord['status']
  readonly startedAt: string
  readonly durationMs: number
  readonly stepCounts: StepCounts
  readonly checkCounts: CheckCounts
  /** it has an error that none of its steps has */
  readonly hasOwnError: boolean
  /** it has done all it can, and Thredd has to do the rest */
  readonly isWaiting: boolean
}

/** One line in a table of rows. */
export interface RowSummary {
  readonly row: NonNullable<WorkflowRecord['row']>
  /** the worst of its workflows */
  readonly status: WorkflowRecord['status'] | 'waiting'
  readonly durationMs: number
  /** indexes in the record, from 0 */
  readonly workflows: readonly number[]
}

export interface Summary extends Grounds {
  readonly answer: Answer
  readonly workflows: readonly WorkflowSummary[]
  /** of a run of rows */
  readonly rows: readonly RowSummary[]
  readonly steps: readonly StepSummary[]
  readonly stepCounts: StepCounts
  readonly checkCounts: CheckCounts
  readonly notices: readonly { readonly workflowId: string; readonly text: string }[]
  /** by step, the members of a registration that came otherwise than they were asked for; of the first steps */
  readonly differences: readonly (StepRef & { readonly texts: readonly string[] })[]
  readonly otherClauses: ProofCollector['otherClauses']
  /** the requirement catalogue is not the one that the run went by */
  readonly catalogueChanged: boolean
  /** how many requirements of each area stand in which column */
  readonly gate: Gate
  /** which fault turns each requirement red */
  readonly detections: readonly Detection[]
  /** the findings, those of one cause as one */
  readonly causes: readonly Cause[]
  readonly hosts: CallCollector['hosts']
  /** the hosts for which mutual TLS is proven, and by what */
  readonly mutualTls: MutualTls['proven']
  readonly certificates: CallCollector['certificates']
  readonly endpoints: CallCollector['endpoints']
  readonly tokens: Tokens
  readonly endedAt: string
  /** until when the result may be quoted */
  readonly validUntil: string
}

/** A run as every report reads it. `workflows` may be read from a file: each iteration begins with the first. */
export interface ReportedRun {
  readonly head: RecordHead
  readonly workflows: Iterable<WorkflowRecord>
  readonly summary: Summary
}

export function reportedRun(head: RecordHead, workflows: Iterable<WorkflowRecord>): ReportedRun {
  return { head, workflows, summary: summarise(head, workflows) }
}

export function summarise(head: RecordHead, workflows: Iterable<WorkflowRecord>): Summary {
  const collected = collect(head, workflows)
  const { proofs, calls, findings } = collected
  const { otherClauses } = proofs
  const requirements = withDecisions(proofs.requirements, head)
  const { hosts, clients, certificates, endpoints } = calls
  const endedAt = new Date(Date.parse(head.startedAt) + head.durationMs).toISOString()
  const grounds: Grounds = {
    complete: isComplete(head, collected.wasInterrupted),
    findings: findings.worstFirst,
    findingCounts: findings.counts,
    requirements,
    weaknesses: weaknessesOf(head, hosts),
    clients,
    ends: endsOf(head, { certificates, requirements, endedAt }),
  }
  return {
    ...grounds,
    answer: answerOf(head, grounds),
    workflows: collected.workflows,
    rows: rowsOf(collected.workflows),
    steps: collected.steps,
    stepCounts: sumOf(
      STANDINGS,
      collected.workflows.map(({ stepCounts }) => stepCounts),
    ),
    checkCounts: sumOfChecks(collected.workflows.map(({ checkCounts }) => checkCounts)),
    notices: collected.notices,
    differences: collected.differences,
    otherClauses,
    catalogueChanged: head.catalogue !== undefined && head.catalogue.sha256 !== CATALOGUE.sha256,
    gate: gateOf(requirements),
    detections: detectionsOf(head, collected.flows),
    causes: causesOf(grounds.findings),
    hosts,
    mutualTls: collected.mutualTls.proven,
    certificates,
    endpoints,
    tokens: collected.tokens,
    endedAt,
    validUntil: quotableUntil(grounds.ends, endedAt),
  }
}

/** From the worst on. */
const STATUSES = ['failed', 'errored', 'waiting', 'skipped', 'passed'] as const

function rowsOf(workflows: readonly WorkflowSummary[]): readonly RowSummary[] {
  const ofRows = workflows.flatMap(({ row, ...one }, index) => (row === undefined ? [] : [{ ...one, row, index }]))
  return [...Map.groupBy(ofRows, ({ row }) => row.number).values()].map((all) => {
    const [{ row }] = all as [(typeof all)[number]]
    return {
      row,
      status:
        STATUSES.find((status) => all.some((one) => (one.isWaiting ? 'waiting' : one.status) === status)) ?? 'passed',
      durationMs: all.reduce((sum, one) => sum + one.durationMs, 0),
      workflows: all.map(({ index }) => index),
    }
  })
}

type Collected = ReturnType<typeof nothingCollected>

function nothingCollected(head: RecordHead) {
  return {
    proofs: new ProofCollector(),
    calls: new CallCollector(head),
    mutualTls: new MutualTls(),
    findings: new FindingCollector(head.environment),
    tokens: new Tokens(),
    workflows: [] as WorkflowSummary[],
    steps: [] as StepSummary[],
    notices: [] as { workflowId: string; text: string }[],
    differences: [] as (StepRef & { texts: readonly string[] })[],
    /** SHA-256 of each flow file, by its path */
    flows: new Map<string, string>(),
    wasInterrupted: false,
    shared: sharedLists(),
  }
}

function collect(head: RecordHead, workflows: Iterable<WorkflowRecord>): Collected {
  const collected = nothingCollected(head)
  for (const workflow of workflows) collectWorkflow(workflow, head.environment, collected)
  return collected
}

function collectWorkflow(workflow: WorkflowRecord, environment: RecordHead['environment'], collected: Collected): void {
  const { workflowId, row, status, startedAt, durationMs } = workflow
  const refs = workflow.steps.map((step, number): StepRef => {
    const position = [collected.workflows.length, number] as const
    return { workflowId, row, stepId: step.stepId, position, standing: standingOf(step) }
  })
  for (const { file, sha256 } of [workflow.flow, ...(workflow.flow.parts ?? [])]) collected.flows.set(file, sha256)
  collected.proofs.addWorkflow(workflow)
  collected.mutualTls.add(workflow)
  collected.findings.addWorkflow(workflow)
  for (const [number, step] of workflow.steps.entries()) {
    const ref = refs[number] as StepRef
    collectStep(step, ref, collected)
    collected.findings.addStep(withoutRepetition(step, workflow.steps), ref)
  }
  collected.workflows.push({
    workflowId,
    row,
    status,
    startedAt,
    durationMs,
    stepCounts: countOf(
      STANDINGS,
      refs.map(({ standing }) => standing),
    ),
    checkCounts: checkCountsOf(workflow.steps),
    hasOwnError: errorBeyondSteps(workflow) !== undefined,
    isWaiting: exitCodeOf(workflow) === CODES.WAITING_FOR_THREDD.exit,
  })
  const notice = noticeOf(workflow, environment)
  // What a person must do after each row is said once.
  if (notice !== undefined && !collected.notices.some((one) => one.workflowId === workflowId && one.text === notice))
    collected.notices.push({ workflowId, text: notice })
  if (wasInterrupted(workflow)) collected.wasInterrupted = true
}

/**
 * A step that ran a workflow without the findings that repeat those of its steps: the check that adds them up, and the error
 * that ended one of them.
 */
function withoutRepetition(step: StepRecord, all: readonly StepRecord[]): StepRecord {
  if (step.workflowId === undefined) return step
  const { error, ...rest } = step
  const inner = all.filter(({ stepId }) => stepId.startsWith(`${step.stepId}/`))
  const isSaid = inner.some((one) => one.error?.code === error?.code && one.error?.message === error?.message)
  const checks = step.checks.filter(({ id }) => id !== 'workflow')
  return { ...rest, checks, ...(isSaid || error === undefined ? {} : { error }) }
}

function collectStep(step: StepRecord, ref: StepRef, collected: Collected): void {
  const { proofs, calls, differences, tokens, steps, shared } = collected
  const requirements = proofs.addStep(step, ref).map(({ id }) => id)
  steps.push({
    ...ref,
    because: step.because,
    clauses: shared(clausesOf(step)),
    requirements: shared(requirements),
  })
  const texts = differencesOf(step)
  if (texts.length > 0 && differences.length < MOST_DIFFERENCES) differences.push({ ...ref, texts })
  for (const exchange of step.exchanges) {
    calls.add(exchange, step, ref)
    tokens.add(exchange, step)
  }
}

/** The clauses that a step or one of its checks names, each once. */
export function clausesOf({ clauses = [], checks }: StepRecord): string[] {
  return [...new Set([...clauses, ...checks.flatMap((check) => check.clauses)])]
}

/** Steps whose differences are listed; all stand at their steps. */
const MOST_DIFFERENCES = 50

/** Returns an equal list that was seen before, if there is one: many steps have the same, and it is kept once. */
function sharedLists(): (texts: readonly string[]) => readonly string[] {
  const lists = new Map<string, readonly string[]>()
  return (texts) => {
    const key = texts.join('\n')
    const known = lists.get(key) ?? texts
    lists.set(key, known)
    return known
  }
}
