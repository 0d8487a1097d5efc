/**
 * Which steps of a run prove which requirement: counted as the steps come by, with the first few by name, so that what is
 * kept does not grow with the run. Knows the catalogue; knows no format.
 */
import { type Clause, clauseOf, REQUIREMENTS, type Requirement } from '../record/clauses.ts'
import type { CheckRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import type { Placed } from './standing.ts'
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
/** A requirement that is not decided by a check says why not. */
export type RequirementStanding = (typeof REQUIREMENT_STANDINGS)[number]

/** The steps whose checks decide something. */
export interface Proofs {
  readonly steps: number
  /** the first of them, those with a bad check before others */
  readonly first: readonly Placed[]
}

export interface JudgedRequirement {
  readonly requirement: Requirement
  readonly clause: Clause
  readonly standing: RequirementStanding
  readonly because: string
  readonly proofs: Proofs
}

/** The requirements that a check of this step decides, in the order of the catalogue. */
export function decidedBy(step: StepRecord, checks: readonly CheckRecord[]): readonly Requirement[] {
  const found = new Set<Requirement>()
  // What holds of a request that was spoilt on purpose says nothing about a good one.
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
/** Ids and clauses of the catalogue. */
const KNOWN: ReadonlySet<string> = new Set(REQUIREMENTS.flatMap(({ id, clause }) => [id, clause]))

function orderOf(requirement: Requirement): number {
  return ORDER.get(requirement) ?? 0
}

type Status = CheckRecord['status']

/** Beyond this nobody reads on; the other direction lists every step. */
const MOST_STEPS = 8

class Tally {
  checks = 0
  steps = 0
  /** a check failed on an answer that was a verdict */
  hasFailed = false
  readonly #first: Readonly<Record<Status, Placed[]>> = { fail: [], warn: [], pass: [] }

  /** All checks of one step that belong here. */
  add(placed: Placed, checks: readonly CheckRecord[]): void {
    const worst = worstOf((status) => checks.some((check) => check.status === status))
    if (worst === undefined) return
    this.checks += checks.length
    this.steps += 1
    if (worst === 'fail' && placed.standing !== 'inconclusive') this.hasFailed = true
    const first = this.#first[worst]
    if (first.length < MOST_STEPS) first.push(placed)
  }

  get worst(): Status | undefined {
    return worstOf((status) => this.#first[status].length > 0)
  }

  get proofs(): Proofs {
    const { fail, warn, pass } = this.#first
    return { steps: this.steps, first: [...fail, ...warn, ...pass].slice(0, MOST_STEPS) }
  }
}

function worstOf(isThere: (status: Status) => boolean): Status | undefined {
  return (['fail', 'warn', 'pass'] as const).find(isThere)
}

export class Proving {
  readonly #tallies = new Map<Requirement, Tally>(REQUIREMENTS.map((one) => [one, new Tally()]))
  /** by clauses that the catalogue does not know */
  readonly #others = new Map<string, Tally>()
  /** operations of steps without a verdict, each with the first of them, in order of time */
  readonly #undecided = new Map<string, string>()

  workflow({ clauses }: WorkflowRecord): void {
    this.#name(clauses)
  }

  /** The requirements that the step says something about. */
  step(placed: Placed, step: StepRecord): readonly Requirement[] {
    const checksOf = new Map<Requirement, CheckRecord[]>()
    for (const check of step.checks) {
      for (const one of decidedBy(step, [check])) checksOf.set(one, [...(checksOf.get(one) ?? []), check])
    }
    for (const [one, checks] of checksOf) this.#tallies.get(one)?.add(placed, checks)
    this.#name(step.clauses ?? [])
    for (const id of this.#name(step.checks.flatMap(({ clauses }) => clauses))) {
      const naming = step.checks.filter(({ clauses }) => clauses.includes(id))
      this.#others.get(id)?.add(placed, naming)
    }
    const operation = step.operation?.operationId ?? ''
    if (step.status === 'errored' && !this.#undecided.has(operation)) this.#undecided.set(operation, step.stepId)
    return [...checksOf.keys()].sort((a, b) => orderOf(a) - orderOf(b))
  }

  get requirements(): readonly JudgedRequirement[] {
    return REQUIREMENTS.map((requirement) => {
      const tally = this.#tallies.get(requirement) ?? new Tally()
      const clause = clauseOf(requirement.clause)
      return { requirement, clause, proofs: tally.proofs, ...this.#judged(requirement, tally) }
    })
  }

  /** Clauses that the run names and the catalogue has no requirement for. */
  get otherClauses(): readonly { readonly clause: Clause; readonly proofs: Proofs }[] {
    const sorted = [...this.#others].sort(([a], [b]) => (a < b ? -1 : 1))
    return sorted.map(([id, tally]) => ({ clause: clauseOf(id), proofs: tally.proofs }))
  }

  /** Those of the ids that no requirement has, each once. */
  #name(ids: readonly string[]): readonly string[] {
    const others = [...new Set(ids)].filter((id) => !KNOWN.has(id))
    for (const id of others) if (!this.#others.has(id)) this.#others.set(id, new Tally())
    return others
  }

  #judged(
    { proof, by, flows = [] }: Requirement,
    { worst, hasFailed, checks }: Tally,
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
