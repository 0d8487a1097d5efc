/** What a person has to look at: checks that failed or warned, and what kept a verdict from being reached. */

import { isChange } from '../record/effect.ts'
import { CODES, type ErrorCode } from '../record/errors.ts'
import type { Command } from '../record/hints.ts'
import {
  type CheckRecord,
  type ErrorRecord,
  errorBeyondSteps,
  type StepRecord,
  type WorkflowRecord,
} from '../record/index.ts'
import type { Requirement } from '../record/requirements.ts'
import { decidedBy } from './proofs.ts'
import type { StepRef } from './standing.ts'
import { wayOut } from './way-out.ts'

export interface Finding {
  readonly standing: 'fail' | 'inconclusive' | 'warn'
  readonly workflowId: string
  /** absent where the finding is about the workflow as a whole */
  readonly step?: StepRef | undefined
  readonly title: string
  readonly expected?: string | undefined
  readonly found?: string | undefined
  /** what it means for the client, in plain words */
  readonly impact: string
  readonly remedy?: string | undefined
  readonly level?: CheckRecord['level'] | undefined
  readonly clauses: readonly string[]
  /** the requirements that the check decides */
  readonly requirements: readonly Requirement[]
}

/** At most so many findings of each kind are kept; all are counted. */
const MOST_FINDINGS = 300

export class FindingCollector {
  readonly counts = { fail: 0, inconclusive: 0, warn: 0 }
  readonly #command: Command
  readonly #ofWorkflows: Finding[] = []
  readonly #ofSteps: Readonly<Record<Finding['standing'], Finding[]>> = { fail: [], inconclusive: [], warn: [] }

  constructor(command: Command) {
    this.#command = command
  }

  addWorkflow(workflow: WorkflowRecord): void {
    const error = errorBeyondSteps(workflow)
    if (error !== undefined) this.#add(this.#ofWorkflows, findingOf(error, { workflowId: workflow.workflowId }))
  }

  addStep(step: StepRecord, ref: StepRef): void {
    for (const finding of findingsOf(step, ref, this.#command)) this.#add(this.#ofSteps[finding.standing], finding)
  }

  /** Failures first. Among those without a verdict, whole workflows come before steps. */
  get worstFirst(): readonly Finding[] {
    const { fail, inconclusive, warn } = this.#ofSteps
    return [...fail, ...this.#ofWorkflows, ...inconclusive, ...warn]
  }

  #add(list: Finding[], finding: Finding): void {
    this.counts[finding.standing] += 1
    if (list.length < MOST_FINDINGS) list.push(finding)
  }
}

function findingsOf(step: StepRecord, ref: StepRef, command: Command): Finding[] {
  const { workflowId } = ref
  const ofChecks = step.checks
    .filter(({ status }) => status !== 'pass')
    .map((check): Finding => {
      const { title, expected, actual: found, level, clauses } = check
      return {
        standing: check.status === 'warn' ? 'warn' : step.status === 'errored' ? 'inconclusive' : 'fail',
        workflowId,
        step: ref,
        title,
        expected,
        found,
        level,
        clauses,
        requirements: decidedBy(workflowId, step, [check]),
        impact: impactOf(check),
        remedy: check.status === 'fail' || check.id === 'scopes' ? wayOut(step, command) : undefined,
      }
    })
  if (step.error === undefined) return ofChecks
  const remedy = mayHaveChangedClient(step) ? `${command('showOpen')} says what is open, and the way out` : undefined
  return [findingOf(step.error, { workflowId, step: ref, remedy }), ...ofChecks]
}

/** `remedy` stands in where the error has no hint of its own. */
function findingOf(
  { code, message, expected, found, hint }: ErrorRecord,
  { workflowId, step, remedy }: Pick<Finding, 'workflowId' | 'step' | 'remedy'>,
): Finding {
  return {
    standing: 'inconclusive',
    workflowId,
    step,
    title: message,
    expected,
    found,
    impact: code in CODES ? CODES[code as ErrorCode].means : 'no verdict was possible',
    remedy: hint ?? remedy,
    clauses: [],
    requirements: [],
  }
}

/** Whether a call that changes a client got no answer, and may have reached the server. */
function mayHaveChangedClient({ exchanges, effect }: StepRecord): boolean {
  const last = exchanges.at(-1)
  return last !== undefined && last.response === undefined && last.sent !== 'no' && isChange(effect?.sent)
}

/** What a failed check or a warning means to somebody who has to decide, by the check's id. */
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
