/**
 * Which steps of a run prove which requirement of the catalogue. Steps are counted, and only the first few are kept by name,
 * so that memory does not grow with the run.
 */
import { type Clause, clauseOf, REQUIREMENTS, type Requirement } from '../record/clauses.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import type { StepRef } from './standing.ts'
import { count } from './words.ts'

export const REQUIREMENT_STANDINGS = [
  'fail',
  'inconclusive',
  'warn',
  'pass',
  'not tested',
  'gap',
  'review',
  'by design',
] as const
/** after the verdicts: why no check decided it */
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
}

/** The requirements that a check of this step decides, in the order of the catalogue. */
export function decidedBy(step: StepRecord, checks: readonly CheckRecord[]): readonly Requirement[] {
  const found = new Set<Requirement>()
  // A request that was altered on purpose proves nothing about an unaltered one.
  const isGood = step.case === undefined || step.case.control
  for (const { id, title, clauses } of checks) {
    for (const clause of clauses) found.add(BY_ID.get(clause) as Requirement)
    if (!isGood) continue
    for (const name of [id, title])
      for (const one of BY_CHECK.get(`${step.operation?.operationId} ${name}`) ?? []) found.add(one)
  }
  return [...found].filter((one) => one !== undefined).sort((a, b) => orderOf(a) - orderOf(b))
}

const BY_ID: ReadonlyMap<string, Requirement> = new Map(REQUIREMENTS.map((one) => [one.id, one]))
const BY_CHECK: ReadonlyMap<string, readonly Requirement[]> = new Map(
  [
    ...Map.groupBy(
      REQUIREMENTS.flatMap((one) => one.proof.map(({ operation, check }) => ({ one, key: `${operation} ${check}` }))),
      ({ key }) => key,
    ),
  ].map(([key, rows]) => [key, rows.map(({ one }) => one)]),
)
const ORDER: ReadonlyMap<Requirement, number> = new Map(REQUIREMENTS.map((one, index) => [one, index]))
/** every requirement id and clause in the catalogue */
const KNOWN: ReadonlySet<string> = new Set(REQUIREMENTS.flatMap(({ id, clause }) => [id, clause]))

function orderOf(requirement: Requirement): number {
  return ORDER.get(requirement) ?? 0
}

type Status = CheckRecord['status']

/** So many steps are named for a requirement; the table by step has all of them. */
const MOST_STEPS = 8

/** Counts the checks that decide one requirement. */
class CheckTally {
  checks = 0
  /** a check failed in a step that had a verdict */
  hasFailed = false
  #steps = 0
  readonly #first: Readonly<Record<Status, StepRef[]>> = { fail: [], warn: [], pass: [] }

  /** `checks` are those of one step that decide the requirement. */
  add(checks: readonly CheckRecord[], ref: StepRef): void {
    const worst = worstOf((status) => checks.some((check) => check.status === status))
    if (worst === undefined) return
    this.checks += checks.length
    this.#steps += 1
    if (worst === 'fail' && ref.standing !== 'inconclusive') this.hasFailed = true
    const first = this.#first[worst]
    if (first.length < MOST_STEPS) first.push(ref)
  }

  get worst(): Status | undefined {
    return worstOf((status) => this.#first[status].length > 0)
  }

  get steps(): ProvingSteps {
    const { fail, warn, pass } = this.#first
    return { count: this.#steps, first: [...fail, ...warn, ...pass].slice(0, MOST_STEPS) }
  }
}

function worstOf(isThere: (status: Status) => boolean): Status | undefined {
  return (['fail', 'warn', 'pass'] as const).find(isThere)
}

export class ProofCollector {
  readonly #tallies = new Map<Requirement, CheckTally>(REQUIREMENTS.map((one) => [one, new CheckTally()]))
  /** by clause, for clauses that are not in the catalogue */
  readonly #otherTallies = new Map<string, CheckTally>()
  /** by operation, the first step that ended without a verdict */
  readonly #undecided = new Map<string, string>()

  addWorkflow({ clauses }: WorkflowRecord): void {
    this.#addOtherClauses(clauses)
  }

  /** Returns the requirements that the step's checks decide. */
  addStep(step: StepRecord, ref: StepRef): readonly Requirement[] {
    const checksOf = new Map<Requirement, CheckRecord[]>()
    for (const check of step.checks) {
      for (const one of decidedBy(step, [check])) checksOf.set(one, [...(checksOf.get(one) ?? []), check])
    }
    for (const [one, checks] of checksOf) this.#tallies.get(one)?.add(checks, ref)
    this.#addOtherClauses(step.clauses ?? [])
    for (const id of this.#addOtherClauses(step.checks.flatMap(({ clauses }) => clauses))) {
      const naming = step.checks.filter(({ clauses }) => clauses.includes(id))
      this.#otherTallies.get(id)?.add(naming, ref)
    }
    const operation = step.operation?.operationId ?? ''
    if (step.status === 'errored' && !this.#undecided.has(operation)) this.#undecided.set(operation, step.stepId)
    return [...checksOf.keys()].sort((a, b) => orderOf(a) - orderOf(b))
  }

  get requirements(): readonly JudgedRequirement[] {
    return REQUIREMENTS.map((requirement) => {
      const tally = this.#tallies.get(requirement) ?? new CheckTally()
      const clause = clauseOf(requirement.clause)
      return { requirement, clause, steps: tally.steps, ...this.#judge(requirement, tally) }
    })
  }

  /** Clauses that the run names and no requirement of the catalogue is about. */
  get otherClauses(): readonly { readonly clause: Clause; readonly steps: ProvingSteps }[] {
    const sorted = [...this.#otherTallies].sort(([a], [b]) => (a < b ? -1 : 1))
    return sorted.map(([id, tally]) => ({ clause: clauseOf(id), steps: tally.steps }))
  }

  /** Returns the ids that are not in the catalogue, each once. */
  #addOtherClauses(ids: readonly string[]): readonly string[] {
    const others = [...new Set(ids)].filter((id) => !KNOWN.has(id))
    for (const id of others) if (!this.#otherTallies.has(id)) this.#otherTallies.set(id, new CheckTally())
    return others
  }

  #judge(
    { proof, by, flows = [] }: Requirement,
    { worst, hasFailed, checks }: CheckTally,
  ): Pick<JudgedRequirement, 'standing' | 'because'> {
    const operations = new Set(proof.map(({ operation }) => operation))
    const undecided = [...this.#undecided].find(([operation]) => operations.has(operation))?.[1]
    if (worst === 'fail' && !hasFailed) return { standing: 'inconclusive', because: 'the answer was no verdict' }
    if (worst === 'fail') return { standing: 'fail', because: 'a check that decides it failed' }
    if (undecided !== undefined) return { standing: 'inconclusive', because: `"${undecided}" had no verdict` }
    if (worst !== undefined) return { standing: worst, because: count(checks, 'check') }
    if (by === 'person') return { standing: 'review', because: 'a person has to look' }
    if (by === 'tool') return { standing: 'by design', because: 'held by the tests of this tool, not by a run' }
    if (flows.length > 0) return { standing: 'not tested', because: `this run lacks ${flows.join(' and ')}` }
    if (proof.length === 0) return { standing: 'gap', because: 'nobody has written a check' }
    return { standing: 'not tested', because: 'no step of this run checks it' }
  }
}
