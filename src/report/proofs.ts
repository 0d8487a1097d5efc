/**
 * Which steps of a run prove which requirement of the catalogue. Steps are counted, and only the first few are kept by name,
 * so that memory does not grow with the run.
 */
import { type Clause, clauseOf } from '../record/clauses.ts'
import type { Acceptance } from '../record/decisions.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import {
  ANY,
  type Decision,
  decide,
  type Proof,
  proofsIn,
  REQUIREMENTS,
  type Requirement,
} from '../record/requirements.ts'
import type { StepRef } from './standing.ts'
import { count } from './words.ts'

export const REQUIREMENT_STANDINGS = [
  'fail',
  'inconclusive',
  'warn',
  'pass',
  'accepted',
  'not tested',
  'review',
  'confirmed',
  'reviewed',
  'by design',
] as const
/** after the verdicts: why no check decided it; `review` waits for Thredd or a person, who have `confirmed` or `reviewed` others */
export type RequirementStanding = (typeof REQUIREMENT_STANDINGS)[number]

/** The steps whose checks decide a requirement. */
export interface ProvingSteps {
  readonly count: number
  /** the first few of them; those with a failed check, then those with a warning, come before others */
  readonly first: readonly StepRef[]
}

export interface JudgedRequirement {
  readonly requirement: Requirement
  readonly clause: Clause
  readonly standing: RequirementStanding
  readonly because: string
  readonly steps: ProvingSteps
  /** of an accepted row: how it stands by the checks alone, and who accepts that */
  readonly instead?: RequirementStanding
  readonly acceptance?: Acceptance
}

interface Claim {
  readonly requirement: Requirement
  readonly proof: Proof
}

/** By `<workflowId>/<stepId>`, what a check there proves. */
const CLAIMS: ReadonlyMap<string, readonly Claim[]> = new Map(
  [
    ...Map.groupBy(
      REQUIREMENTS.flatMap((requirement) =>
        proofsIn(requirement.proof).flatMap((proof) =>
          proof.at.map((place) => ({ place, claim: { requirement, proof } })),
        ),
      ),
      ({ place }) => place,
    ),
  ].map(([place, rows]) => [place, rows.map(({ claim }) => claim)]),
)

/** The requirements that these checks of a step decide, in the order of the catalogue. */
export function decidedBy(
  workflowId: string,
  step: StepRecord,
  checks: readonly CheckRecord[],
): readonly Requirement[] {
  const found = (CLAIMS.get(`${workflowId}/${step.stepId}`) ?? []).filter(
    ({ proof }) => isAnsweredAs(proof, step) && checks.some((check) => isNamed(check, proof)),
  )
  return [...new Set(found.map(({ requirement }) => requirement))]
}

/** The ids of all requirements that a check of the step may decide, whether or not it has run. */
export function rowsAt(workflowId: string, { stepId }: Pick<StepRecord, 'stepId'>): readonly string[] {
  return (CLAIMS.get(`${workflowId}/${stepId}`) ?? []).map(({ requirement }) => requirement.id)
}

/** What a step shows of each proof that a check of it may be. */
export function shownAt(workflowId: string, step: StepRecord): readonly (Claim & { readonly decision: Decision })[] {
  return (CLAIMS.get(`${workflowId}/${step.stepId}`) ?? []).map((claim) => ({
    ...claim,
    decision: shownBy(claim.proof, step),
  }))
}

/** The step passed, was answered as the proof presupposes, and has no such check. */
export function lacksCheckOf(proof: Proof, step: StepRecord): boolean {
  return step.status === 'passed' && isAnsweredAs(proof, step) && !step.checks.some((check) => isNamed(check, proof))
}

function isNamed({ id, title }: CheckRecord, { check }: Proof): boolean {
  return id === check || title === check || (check === 'schema' && id.startsWith('schema '))
}

/** A check of an answer of another kind than the proof presupposes says nothing about the requirement. */
function isAnsweredAs({ answered }: Proof, { exchanges }: StepRecord): boolean {
  if (answered === 'any') return true
  const status = exchanges.at(-1)?.response?.status
  return status !== undefined && `${Math.floor(status / 100)}xx` === answered
}

/** What one step shows of one proof. */
function shownBy(proof: Proof, step: StepRecord): Decision {
  const { status, stepId, because } = step
  if (status === 'skipped') {
    return { standing: 'not tested', because: `"${stepId}" was skipped${because === undefined ? '' : `: ${because}`}` }
  }
  if (status === 'errored') return { standing: 'inconclusive', because: `"${stepId}" had no verdict` }
  if (!isAnsweredAs(proof, step)) {
    const answer = step.exchanges.at(-1)?.response?.status ?? 'nothing'
    return { standing: 'not tested', because: `"${stepId}" was answered with ${answer}, not ${proof.answered}` }
  }
  const worst = (['fail', 'warn', 'pass'] as const).find((one) =>
    step.checks.some((check) => check.status === one && isNamed(check, proof)),
  )
  if (worst === undefined) return { standing: 'not tested', because: `"${stepId}" did not come to that check` }
  if (worst === 'fail' && proof.control) return { standing: 'inconclusive', because: `the control "${stepId}" failed` }
  return { standing: worst, because: worst === 'fail' ? 'a check that decides it failed' : '' }
}

type Shown = { readonly [S in Decision['standing']]?: Decision }

/** So many steps are named for a requirement; the table by step has all of them. */
const MOST_STEPS = 8

/** The steps with a check that decides one requirement. */
class StepTally {
  #count = 0
  readonly #first: Readonly<Record<'fail' | 'warn' | 'pass', StepRef[]>> = { fail: [], warn: [], pass: [] }

  add(worst: 'fail' | 'warn' | 'pass', ref: StepRef): void {
    this.#count += 1
    const first = this.#first[worst]
    if (first.length < MOST_STEPS) first.push(ref)
  }

  get steps(): ProvingSteps {
    const { fail, warn, pass } = this.#first
    return { count: this.#count, first: [...fail, ...warn, ...pass].slice(0, MOST_STEPS) }
  }
}

const NO_STEPS: ProvingSteps = { count: 0, first: [] }

export class ProofCollector {
  readonly #shown = new Map<Proof, Shown>()
  readonly #steps = new Map<Requirement, StepTally>()
  /** by clause, for clauses that are not in the catalogue */
  readonly #otherSteps = new Map<string, StepTally>()
  readonly #workflows = new Set<string>()

  addWorkflow({ workflowId, clauses }: Pick<WorkflowRecord, 'workflowId' | 'clauses'>): void {
    this.#workflows.add(workflowId)
    this.#addOtherClauses(clauses)
  }

  /** Returns the requirements that the step's checks decide. */
  addStep(step: StepRecord, ref: StepRef): readonly Requirement[] {
    const decisive = new Map<Requirement, Decision[]>()
    for (const { requirement, proof, decision: shown } of shownAt(ref.workflowId, step)) {
      this.#shown.set(proof, { [shown.standing]: shown, ...this.#shown.get(proof) })
      decisive.set(requirement, [...(decisive.get(requirement) ?? []), shown])
    }
    const decided = [...decisive].flatMap(([requirement, shown]) => {
      const worst = (['fail', 'warn', 'pass'] as const).find((one) => shown.some(({ standing }) => standing === one))
      if (worst === undefined) return []
      stepsOf(this.#steps, requirement).add(worst, ref)
      return [requirement]
    })
    this.#addOtherClauses(step.clauses ?? [])
    for (const id of this.#addOtherClauses(step.checks.flatMap(({ clauses }) => clauses))) {
      const naming = step.checks.filter(({ clauses }) => clauses.includes(id))
      const worst = (['fail', 'warn', 'pass'] as const).find((one) => naming.some(({ status }) => status === one))
      if (worst !== undefined) stepsOf(this.#otherSteps, id).add(worst, ref)
    }
    return decided
  }

  get requirements(): readonly JudgedRequirement[] {
    return REQUIREMENTS.map((requirement) => ({
      requirement,
      clause: clauseOf(requirement.clause),
      steps: this.#steps.get(requirement)?.steps ?? NO_STEPS,
      ...judgedBy(requirement, (proof) => this.#shownOf(proof)),
    }))
  }

  /** Clauses that the run names and no requirement of the catalogue is about. */
  get otherClauses(): readonly { readonly clause: Clause; readonly steps: ProvingSteps }[] {
    const sorted = [...this.#otherSteps].sort(([a], [b]) => (a < b ? -1 : 1))
    return sorted.map(([id, { steps }]) => ({ clause: clauseOf(id), steps }))
  }

  /** Returns the ids that are not in the catalogue, each once. */
  #addOtherClauses(ids: readonly string[]): readonly string[] {
    const others = [...new Set(ids)].filter((id) => !KNOWN.has(id))
    for (const id of others) stepsOf(this.#otherSteps, id)
    return others
  }

  #shownOf(proof: Proof): Decision {
    const shown = this.#shown.get(proof)
    const standing = ANY.find((one) => shown?.[one] !== undefined)
    const decision = standing && shown?.[standing]
    if (decision !== undefined) return decision
    const flows = [...new Set(proof.at.map((place) => place.slice(0, place.indexOf('/'))))]
    const missing = flows.filter((flow) => !this.#workflows.has(flow))
    const because =
      missing.length === flows.length ? `this run lacks ${missing.join(' and ')}` : 'no step of this run checks it'
    return { standing: 'not tested', because }
  }
}

/** A requirement by what each of its proofs shows. */
export function judgedBy(
  requirement: Requirement,
  shownOf: (proof: Proof) => Decision,
): Pick<JudgedRequirement, 'standing' | 'because'> {
  const { by, proof, because } = requirement
  if (by === 'person') return { standing: 'review', because: because ?? 'a person has to look' }
  if (by === 'thredd') return { standing: 'review', because: because ?? 'only Thredd can tell' }
  if (by === 'tool') return { standing: 'by design', because: 'held by the tests of this tool, not by a run' }
  if (proof === undefined) return { standing: 'not tested', because: 'nobody has written a check' }
  const decision = decide(proof, shownOf)
  const checks = proofsIn(proof).length
  return { ...decision, because: decision.because === '' ? count(checks, 'check') : decision.because }
}

/** every requirement id and clause in the catalogue */
const KNOWN: ReadonlySet<string> = new Set(REQUIREMENTS.flatMap(({ id, clause, also = [] }) => [id, clause, ...also]))

function stepsOf<K>(tallies: Map<K, StepTally>, key: K): StepTally {
  const tally = tallies.get(key) ?? new StepTally()
  tallies.set(key, tally)
  return tally
}
