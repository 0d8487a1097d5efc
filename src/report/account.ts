/**
 * What a record amounts to: the answer to "may we go live?", counts, findings, requirements, hosts, clients. Said once
 * here, so that every report for people says the same. One walk through the workflows, of which facts are kept and no
 * exchange. Pure; knows no format.
 */
import { areaOf, CATALOGUE, type Requirement } from '../record/clauses.ts'
import { CODES, type ErrorCode } from '../record/errors.ts'
import {
  type CheckRecord,
  type ErrorRecord,
  errorBeyondSteps,
  type IdentityRecord,
  type RunRecord,
  type StepRecord,
  type WorkflowRecord,
} from '../record/index.ts'
import { Calls } from './calls.ts'
import { Tokens } from './html/tokens.ts'
import { decidedBy, Proving, REQUIREMENT_STANDINGS, type RequirementStanding } from './proofs.ts'
import { type Placed, STANDINGS, type Standing, standingOf } from './standing.ts'
import { wayOut } from './way-out.ts'
import { count } from './words.ts'

/** What a list of all steps says of one. */
export interface StepFacts extends Placed {
  readonly because?: string | undefined
  /** ids of those that it says something about */
  readonly requirements: readonly string[]
  readonly clauses: readonly string[]
}

/** What a list of all workflows says of one. */
export interface WorkflowFacts {
  readonly workflowId: string
  readonly status: WorkflowRecord['status']
  readonly durationMs: number
  readonly stepCounts: Readonly<Record<Standing, number>>
  readonly checkCounts: Readonly<Record<CheckRecord['status'], number>>
  /** it did not end as its steps did */
  readonly hasOwnError: boolean
}

export interface Finding {
  readonly standing: 'fail' | 'inconclusive' | 'warn'
  readonly workflowId: string
  /** absent where the workflow as a whole is meant */
  readonly at?: Placed | undefined
  readonly title: string
  readonly expected?: string | undefined
  readonly found?: string | undefined
  /** what it means for the client, in plain words */
  readonly impact: string
  readonly remedy?: string | undefined
  readonly level?: CheckRecord['level'] | undefined
  readonly clauses: readonly string[]
  /** those that the check decides */
  readonly requirements: readonly Requirement[]
}

export interface Account {
  readonly answer: {
    readonly tone: 'good' | 'caution' | 'bad' | 'unknown'
    readonly headline: string
    readonly because: readonly string[]
  }
  /** false for a run whose record does not say */
  readonly complete: boolean
  readonly workflows: readonly WorkflowFacts[]
  readonly steps: readonly StepFacts[]
  readonly stepCounts: Readonly<Record<Standing, number>>
  readonly checkCounts: Readonly<Record<CheckRecord['status'], number>>
  readonly levelCounts: Readonly<Record<CheckRecord['level'], Readonly<Record<CheckRecord['status'], number>>>>
  /** worst first; of each standing the first few hundred */
  readonly findings: readonly Finding[]
  readonly findingCounts: Readonly<Record<Finding['standing'], number>>
  readonly notices: readonly { readonly workflowId: string; readonly text: string }[]
  readonly requirements: Proving['requirements']
  readonly otherClauses: Proving['otherClauses']
  readonly catalogueChanged: boolean
  /** counts of requirements, by what they are about */
  readonly areas: readonly { readonly area: string; readonly counts: Readonly<Record<RequirementStanding, number>> }[]
  readonly hosts: Calls['hosts']
  readonly certificates: Calls['certificates']
  readonly endpoints: Calls['endpoints']
  /** what makes the evidence weaker than it looks */
  readonly weaknesses: readonly { readonly flag: string; readonly means: string }[]
  readonly ledger: Calls['ledger']
  readonly tokens: Tokens
  /** the run's end, and until when its result may be quoted: three months, or until a certificate expires */
  readonly endedAt: string
  readonly validUntil: string
}

const accounts = new WeakMap<RunRecord, Account>()

/** Made once for each record: several reports ask for it. */
export function account(record: RunRecord): Account {
  const known = accounts.get(record)
  if (known !== undefined) return known
  const fresh = accountOf(record)
  accounts.set(record, fresh)
  return fresh
}

function accountOf(record: RunRecord): Account {
  const proving = new Proving()
  const calls = new Calls(record)
  const findings = new Findings()
  const tokens = new Tokens()
  const alike = alikeLists()
  const workflows: WorkflowFacts[] = []
  const steps: StepFacts[] = []
  const levelCounts = { must: noChecks(), should: noChecks(), policy: noChecks() }
  const notices: { workflowId: string; text: string }[] = []
  let complete = record.leftOut?.length === 0
  for (const [index, workflow] of record.workflows.entries()) {
    const { workflowId, status, durationMs, notice } = workflow
    const [stepCounts, checkCounts] = [noSteps(), noChecks()]
    proving.workflow(workflow)
    for (const [number, step] of workflow.steps.entries()) {
      const { stepId, because } = step
      const placed: Placed = { workflowId, stepId, place: [index, number], standing: standingOf(step) }
      const clauses = [...new Set([...(step.clauses ?? []), ...step.checks.flatMap((check) => check.clauses)])]
      const requirements = proving.step(placed, step).map(({ id }) => id)
      steps.push({ ...placed, because, clauses: alike(clauses), requirements: alike(requirements) })
      stepCounts[placed.standing] += 1
      for (const { status: one, level } of step.checks) {
        checkCounts[one] += 1
        levelCounts[level][one] += 1
      }
      for (const finding of findingsOf(step, placed)) findings.add(finding)
      for (const exchange of step.exchanges) {
        calls.add(placed, step, exchange)
        tokens.add(step, exchange)
      }
    }
    const error = errorBeyondSteps(workflow)
    if (error !== undefined) findings.addFirst(findingOf(error, workflowId))
    workflows.push({ workflowId, status, durationMs, stepCounts, checkCounts, hasOwnError: error !== undefined })
    if (notice !== undefined && workflow.steps.some(({ exchanges }) => exchanges.length > 0))
      notices.push({ workflowId, text: notice })
    if (wasInterrupted(workflow)) complete = false
  }
  const { requirements } = proving
  const weaknesses = weaknessesOf(record, calls.hosts)
  const endedAt = new Date(Date.parse(record.startedAt) + record.durationMs).toISOString()
  const said = {
    complete,
    findings: findings.worstFirst,
    findingCounts: findings.counts,
    requirements,
    weaknesses,
    ledger: calls.ledger,
  }
  return {
    ...said,
    answer: answerOf(record, said),
    workflows,
    steps,
    stepCounts: summed(
      STANDINGS,
      workflows.map((one) => one.stepCounts),
    ),
    checkCounts: summed(
      CHECK_STATUSES,
      workflows.map((one) => one.checkCounts),
    ),
    levelCounts,
    notices,
    otherClauses: proving.otherClauses,
    catalogueChanged: record.catalogue !== undefined && record.catalogue.sha256 !== CATALOGUE.sha256,
    areas: areasOf(requirements),
    hosts: calls.hosts,
    certificates: calls.certificates,
    endpoints: calls.endpoints,
    tokens,
    endedAt,
    validUntil: validUntil(record, endedAt),
  }
}

/** Below this a certificate is a reservation: to get a new one from Thredd takes weeks, not hours. */
export const FEW_DAYS = 30

export function isExpiring({ daysLeft }: IdentityRecord): boolean {
  return daysLeft < FEW_DAYS
}

function wasInterrupted({ error, steps }: WorkflowRecord): boolean {
  return error?.code === 'INTERRUPTED' || steps.some((step) => step.error?.code === 'INTERRUPTED')
}

function answerOf(
  record: RunRecord,
  {
    complete,
    findings,
    findingCounts,
    requirements,
    weaknesses,
    ledger,
  }: Pick<Account, 'complete' | 'findings' | 'findingCounts' | 'requirements' | 'weaknesses' | 'ledger'>,
): Account['answer'] {
  const untested = requirements.filter(
    ({ requirement, standing }) => requirement.level === 'must' && (standing === 'gap' || standing === 'not tested'),
  ).length
  const partial = record.leftOut === undefined ? 'the record does not say whether all flows ran' : 'not all flows ran'
  const first = (standing: Finding['standing']) => {
    const found = findings.find((finding) => finding.standing === standing)
    return found === undefined ? '' : `, the first in ${found.workflowId}${found.at ? ` / ${found.at.stepId}` : ''}`
  }
  // Of an environment of class mock nobody expects anything else.
  const weaker = weaknesses.filter(
    ({ flag }) => record.environment.class !== 'mock' || !flag.startsWith('offline twin'),
  )
  const open = ledger.filter(({ disposition }) => disposition === 'unknown').length
  const reservations = [
    ...(open > 0 ? [`${count(open, 'call')} may have registered a client, and nobody knows`] : []),
    ...(complete ? [] : [`PARTIAL: ${partial}`]),
    ...(findingCounts.warn > 0 ? [count(findingCounts.warn, 'warning')] : []),
    ...(untested > 0 ? [`${count(untested, 'mandatory requirement')} not tested by this run`] : []),
    ...((record.redaction.cardNumbers ?? 0) > 0 ? ['numbers with the shape of a card number were found'] : []),
    ...(weaker.length > 0 ? [`weakened evidence: ${weaker.map(({ flag }) => flag).join(', ')}`] : []),
    ...[...record.identities, ...(record.signingKeys ?? []).flatMap(({ certificate }) => certificate ?? [])]
      .filter(isExpiring)
      .map(({ name, daysLeft }) =>
        daysLeft < 0
          ? `certificate "${name}" has expired`
          : `certificate "${name}" expires in ${count(daysLeft, 'day')}`,
      ),
  ]
  if (record.verdict === 'non-conformant')
    return {
      tone: 'bad',
      headline: 'No',
      because: [`${count(findingCounts.fail, 'failed check')}${first('fail')}`, ...reservations],
    }
  if (record.verdict === 'inconclusive')
    return {
      tone: 'unknown',
      headline: 'Not known',
      because: [
        `${count(findingCounts.inconclusive, 'call')} ended without a verdict${first('inconclusive')}`,
        ...reservations,
      ],
    }
  if (record.environment.class === 'mock')
    return {
      tone: 'unknown',
      headline: 'Not answered here: ready for UAT',
      because: ['everything passed on the offline twin, which says nothing about Thredd’s servers', ...reservations],
    }
  if (!complete) return { tone: 'caution', headline: 'Not yet: what ran has passed', because: reservations }
  if (reservations.length > 0)
    return { tone: 'caution', headline: 'Nothing found against it, with reservations', because: reservations }
  return { tone: 'good', headline: 'Yes', because: ['every check passed, and every mandatory requirement was tested'] }
}

/** Of each standing so many are kept; the rest is counted. */
const MOST_FINDINGS = 300

/** Those of whole workflows come before those of steps. */
class Findings {
  readonly counts = { fail: 0, inconclusive: 0, warn: 0 }
  readonly #whole: Finding[] = []
  readonly #ofSteps: Readonly<Record<Finding['standing'], Finding[]>> = { fail: [], inconclusive: [], warn: [] }

  addFirst(finding: Finding): void {
    this.#keep(this.#whole, finding)
  }

  add(finding: Finding): void {
    this.#keep(this.#ofSteps[finding.standing], finding)
  }

  get worstFirst(): readonly Finding[] {
    const { fail, inconclusive, warn } = this.#ofSteps
    return [...fail, ...this.#whole, ...inconclusive, ...warn]
  }

  #keep(findings: Finding[], finding: Finding): void {
    this.counts[finding.standing] += 1
    if (findings.length < MOST_FINDINGS) findings.push(finding)
  }
}

function findingsOf(step: StepRecord, at: Placed): Finding[] {
  const { workflowId } = at
  const fromChecks = step.checks
    .filter(({ status }) => status !== 'pass')
    .map((check): Finding => {
      const { title, expected, actual: found, level, clauses } = check
      const standing = check.status === 'fail' ? (step.status === 'errored' ? 'inconclusive' : 'fail') : 'warn'
      return {
        standing,
        workflowId,
        at,
        title,
        expected,
        found,
        level,
        clauses,
        requirements: decidedBy(step, [check]),
        impact: impactOf(check),
        remedy: check.status === 'fail' || check.id === 'scopes' ? wayOut(step) : undefined,
      }
    })
  return step.error === undefined ? fromChecks : [findingOf(step.error, workflowId, at, isOpen(step)), ...fromChecks]
}

function findingOf(
  { code, message, expected, found, hint }: ErrorRecord,
  workflowId: string,
  at?: Placed,
  mayHaveChanged = false,
): Finding {
  const impact = code in CODES ? CODES[code as ErrorCode].means : 'no verdict was possible'
  return {
    standing: 'inconclusive',
    workflowId,
    at,
    title: message,
    expected,
    found,
    impact,
    remedy: hint ?? (mayHaveChanged ? 'thredd vault list says what is open, and the way out' : undefined),
    clauses: [],
    requirements: [],
  }
}

/** Whether it is unknown what a call has done to a client. */
function isOpen({ exchanges, operation }: StepRecord): boolean {
  const last = exchanges.at(-1)
  return last?.response === undefined && last?.sent !== 'no' && CHANGES.has(operation?.operationId ?? '')
}

const CHANGES: ReadonlySet<string> = new Set(['registerClient', 'updateClient', 'deleteClient'])

/** What a check that is not green means to somebody who has to decide. By the check's id. */
const IMPACT: readonly (readonly [id: RegExp, impact: string])[] = [
  [/^status$/, 'the server answered with a status that its documentation does not know'],
  [/^content-type$/, 'clients that go by the documented content type cannot read the answer'],
  [/^schema/, 'the answer is not the documented one; a client built on the documentation may break'],
  [/^scopes$/, 'calls that need a missing scope will be refused, and a scope nobody asked for is a privilege too many'],
  [/^refused$/, 'the server accepted what it has to refuse'],
]

function impactOf({ id, level, status }: CheckRecord): string {
  const known = IMPACT.find(([pattern]) => pattern.test(id))?.[1]
  if (known !== undefined) return known
  if (status === 'warn') return level === 'policy' ? 'a tolerance of this profile' : 'recommended, and not met'
  return 'a condition of the flow does not hold'
}

function areasOf(requirements: Account['requirements']): Account['areas'] {
  return [...Map.groupBy(requirements, ({ requirement }) => areaOf(requirement))].map(([area, rows]) => ({
    area,
    counts: counts(
      REQUIREMENT_STANDINGS,
      rows.map(({ standing }) => standing),
    ),
  }))
}

/** Beyond this a server may take a fresh assertion for one of the future, or an old one. */
const MOST_OFFSET_SECONDS = 5

function weaknessesOf({ tool, security }: RunRecord, hosts: Calls['hosts']): Account['weaknesses'] {
  const offsets = hosts.flatMap(({ host, clockOffsetSeconds: offset = 0 }) =>
    Math.abs(offset) > MOST_OFFSET_SECONDS ? [`${offset.toFixed(0)} s to that of ${host}`] : [],
  )
  return [
    ...(tool.dirty
      ? [{ flag: 'changed files', means: 'the tool was run from files that differ from its commit' }]
      : []),
    ...(security?.weaknesses ?? []),
    ...(offsets.length > 0
      ? [{ flag: 'clock', means: `the clock of this machine is off: ${offsets.join(', ')}` }]
      : []),
  ]
}

function validUntil({ identities }: RunRecord, endedAt: string): string {
  const threeMonths = new Date(endedAt)
  threeMonths.setUTCMonth(threeMonths.getUTCMonth() + 3)
  const times = [threeMonths.getTime(), ...identities.map(({ notAfter }) => Date.parse(notAfter))]
  return new Date(Math.min(...times.filter((time) => !Number.isNaN(time)))).toISOString()
}

const CHECK_STATUSES = ['pass', 'warn', 'fail'] as const

function noSteps(): Record<Standing, number> {
  return { fail: 0, inconclusive: 0, warn: 0, pass: 0, skip: 0 }
}

function noChecks(): Record<CheckRecord['status'], number> {
  return { pass: 0, warn: 0, fail: 0 }
}

function summed<T extends string>(names: readonly T[], counts: readonly Readonly<Record<T, number>>[]) {
  const sums = names.map((name) => [name, counts.reduce((sum, one) => sum + one[name], 0)] as const)
  return Object.fromEntries(sums) as Record<T, number>
}

function counts<T extends string>(names: readonly T[], values: readonly T[]): Record<T, number> {
  return Object.fromEntries(names.map((name) => [name, values.filter((value) => value === name).length])) as Record<
    T,
    number
  >
}

/** Many steps are alike: equal lists are kept once. */
function alikeLists(): (texts: readonly string[]) => readonly string[] {
  const lists = new Map<string, readonly string[]>()
  return (texts) => {
    const key = texts.join('\n')
    const known = lists.get(key) ?? texts
    lists.set(key, known)
    return known
  }
}
