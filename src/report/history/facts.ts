/**
 * What a stored run says of requirements, steps and certificates, without its exchanges: small, so that hundreds of runs fit
 * into memory. Pure.
 */
import {
  type RecordHead,
  type RunRecord,
  type StepRecord,
  verdictInWords,
  type WorkflowRecord,
} from '../../record/index.ts'
import { ANY, CATALOGUE, decide, type Proof, type Proofs, type Requirement } from '../../record/requirements.ts'
import { judge } from '../accepted.ts'
import type { Answer } from '../answer.ts'
import type { ClientHistory, ServerCertificate } from '../calls.ts'
import type { PlacedFinding } from '../findings.ts'
import { type Column, columnOf } from '../gate.ts'
import { decidedBy, lacksCheckOf, shownAt } from '../proofs.ts'
import { type StepRef, standingOf } from '../standing.ts'
import { reportedRun, type Summary } from '../summary.ts'

/** A check that decides a requirement, as one step of a run showed it. */
export interface Shown {
  readonly standing: 'fail' | 'warn' | 'pass'
  readonly because: string
  readonly ref: StepRef
}

/** A step that failed, and what each of its failed checks decides. */
export interface FailedStep {
  readonly workflowId: string
  readonly stepId: string
  readonly checks: readonly { readonly id: string; readonly requirements: readonly string[] }[]
}

export interface WorkflowFacts {
  readonly workflowId: string
  readonly flow: WorkflowRecord['flow']
  readonly status: WorkflowRecord['status']
  /** none of its steps was left out by `--step` */
  readonly isWhole: boolean
  readonly steps: ReadonlyMap<string, { readonly status: StepRecord['status']; readonly lacks: ReadonlySet<Proof> }>
}

export interface RunFacts {
  /** the name of its folder in the reports */
  readonly folder: string
  readonly head: Pick<
    RecordHead,
    | 'runId'
    | 'startedAt'
    | 'durationMs'
    | 'environment'
    | 'counterparty'
    | 'verdict'
    | 'exitCode'
    | 'decisions'
    | 'identities'
    | 'signingKeys'
    | 'leftOut'
    | 'catalogue'
    | 'redaction'
  >
  readonly answer: Pick<Answer, 'headline' | 'tone'>
  readonly complete: boolean
  readonly checkCounts: Summary['checkCounts']
  readonly workflows: readonly WorkflowFacts[]
  /** of the run alone, by its checks alone */
  readonly columns: ReadonlyMap<string, Column>
  /** of requirements that a workflow of the run decides */
  readonly shown: ReadonlyMap<Requirement, ReadonlyMap<Proof, readonly Shown[]>>
  readonly failed: readonly FailedStep[]
  /** failures and calls without a verdict, at most so many */
  readonly findings: readonly PlacedFinding[]
  readonly clients: readonly ClientHistory[]
  readonly weaknesses: Summary['weaknesses']
  readonly certificates: readonly ServerCertificate[]
}

/** Of one run. */
const MOST_FINDINGS = 60

export function factsOf(folder: string, { workflows, ...record }: RunRecord): RunFacts {
  const { runId, startedAt, durationMs, environment, counterparty, verdict, exitCode } = record
  const { decisions, identities, signingKeys, leftOut, catalogue, redaction } = record
  const { summary } = reportedRun(record, workflows)
  return {
    folder,
    head: {
      ...{ runId, startedAt, durationMs, environment, counterparty, verdict, exitCode },
      ...{ decisions, identities, signingKeys, leftOut, catalogue, redaction },
    },
    answer: { headline: summary.answer.headline, tone: summary.answer.tone },
    complete: summary.complete,
    checkCounts: summary.checkCounts,
    workflows: workflows.map((workflow) => workflowFacts(workflow, leftOut)),
    columns: new Map(
      summary.requirements.map(({ requirement, standing, instead = standing }) => [
        requirement.id,
        columnOf({ requirement, standing: instead }),
      ]),
    ),
    shown: shownIn(workflows),
    failed: workflows.flatMap(failedSteps),
    findings: summary.findings.filter(({ standing }) => standing !== 'warn').slice(0, MOST_FINDINGS),
    clients: summary.clients,
    weaknesses: summary.weaknesses,
    certificates: summary.certificates,
  }
}

function workflowFacts({ workflowId, flow, status, steps }: WorkflowRecord, leftOut: RecordHead['leftOut']) {
  return {
    workflowId,
    flow,
    status,
    isWhole: leftOut !== undefined && !leftOut.some((name) => name.includes(` / ${workflowId} / `)),
    steps: new Map(
      steps.map((step) => {
        const lacks = shownAt(workflowId, step).flatMap(({ proof }) => (lacksCheckOf(proof, step) ? [proof] : []))
        return [step.stepId, { status: step.status, lacks: new Set(lacks) }] as const
      }),
    ),
  }
}

function failedSteps({ workflowId, steps }: WorkflowRecord): readonly FailedStep[] {
  return steps
    .filter(({ status }) => status === 'failed')
    .map((step) => ({
      workflowId,
      stepId: step.stepId,
      checks: step.checks
        .filter(({ status }) => status === 'fail')
        .map((check) => ({ id: check.id, requirements: decidedBy(workflowId, step, [check]).map(({ id }) => id) })),
    }))
}

/**
 * What the run shows of each requirement, workflow by workflow: a workflow counts where it decides all that it could decide of the
 * requirement, so that a refusal never counts without the good call that was sent beside it.
 */
function shownIn(workflows: readonly WorkflowRecord[]): RunFacts['shown'] {
  const all = new Map<Requirement, Map<Proof, Shown[]>>()
  for (const [number, workflow] of workflows.entries())
    for (const [requirement, shown] of shownBy(workflow, number)) {
      const known = all.get(requirement) ?? new Map<Proof, Shown[]>()
      all.set(requirement, known)
      for (const [proof, list] of shown) known.set(proof, [...(known.get(proof) ?? []), ...list])
    }
  return all
}

function shownBy({ workflowId, steps }: WorkflowRecord, number: number) {
  const claims = steps.flatMap((step, index) => {
    const ref: StepRef = {
      workflowId,
      stepId: step.stepId,
      position: [number, index],
      standing: standingOf(step),
    }
    return shownAt(workflowId, step).map((claim) => ({ ...claim, ref }))
  })
  const decided = [...Map.groupBy(claims, ({ requirement }) => requirement)].flatMap(([requirement, own]) => {
    const isHere = (proof: Proof) => proof.at.some((place) => place.startsWith(`${workflowId}/`))
    const proofs = requirement.proof && partOf(requirement.proof, isHere)
    const byProof = Map.groupBy(own, ({ proof }) => proof)
    const { standing } =
      proofs === undefined
        ? { standing: 'not tested' as const }
        : decide(proofs, (proof) => worstOf((byProof.get(proof) ?? []).map(({ decision }) => decision)))
    if (standing === 'not tested' || standing === 'inconclusive') return []
    const shown = [...byProof].map(
      ([proof, list]) =>
        [
          proof,
          list.flatMap(({ decision: { standing, because }, ref }): Shown[] =>
            standing === 'fail' || standing === 'warn' || standing === 'pass' ? [{ standing, because, ref }] : [],
          ),
        ] as const,
    )
    return [[requirement, shown.filter(([, list]) => list.length > 0)] as const]
  })
  return decided
}

type Decision = ReturnType<typeof decide>

/** The places of one proof: a failure counts, otherwise any of them will do. */
function worstOf(decisions: readonly Decision[]): Decision {
  const found = ANY.flatMap((standing) => decisions.find((one) => one.standing === standing) ?? [])[0]
  return found ?? { standing: 'not tested', because: 'no step checks it' }
}

/** The proofs that are `here`, in the same arrangement; undefined where none is. */
function partOf(proofs: Proofs, isHere: (proof: Proof) => boolean): Proofs | undefined {
  if ('at' in proofs) return isHere(proofs) ? proofs : undefined
  const parts = ('all' in proofs ? proofs.all : proofs.any).flatMap((one) => partOf(one, isHere) ?? [])
  if (parts.length === 0) return undefined
  return 'all' in proofs ? { all: parts } : { any: parts }
}

/**
 * What is wrong with a record whose verdicts do not follow from its checks; by another catalogue decisions cannot be judged again.
 */
export function contradictionIn({ workflows, ...head }: RunRecord): string | undefined {
  const odd = oddStepIn({ workflows })
  if (odd !== undefined) return odd
  if (head.decisions !== undefined && head.catalogue?.sha256 !== CATALOGUE.sha256) return undefined
  const { verdict, exitCode } = judge(head, workflows)
  return verdict === head.verdict && exitCode === head.exitCode
    ? undefined
    : `its record says ${head.verdict} with exit code ${head.exitCode}, and its steps make it ${verdict} with ${exitCode}: was it edited?`
}

/** The first step whose status does not follow from its checks. */
export function oddStepIn({ workflows }: Pick<RunRecord, 'workflows'>): string | undefined {
  for (const { workflowId, steps } of workflows) {
    const odd = steps.find((step) => !followsFromChecks(step))
    if (odd !== undefined)
      return `its record says that "${odd.stepId}" of "${workflowId}" ${odd.status}, and its checks say otherwise: was it edited?`
  }
  return undefined
}

function followsFromChecks({ status, checks }: StepRecord): boolean {
  const isFailed = checks.some((check) => check.status === 'fail')
  return status === 'failed' ? isFailed : status !== 'passed' || !isFailed
}

/** Whether the catalogue of the run is the present one. */
export function isOfPresentCatalogue({ head }: RunFacts): boolean {
  return head.catalogue === undefined || head.catalogue.sha256 === CATALOGUE.sha256
}

export function verdictOfRun({ head }: RunFacts): string {
  return verdictInWords(head)
}
