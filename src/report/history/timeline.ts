/** The runs of one environment in their order: which of them still count, and what newer ones no longer check. Pure. */
import { basename } from 'node:path'
import type { Proof } from '../../record/requirements.ts'
import { COUNTS_FOR, DAY } from '../ends.ts'
import type { StepRef } from '../standing.ts'
import type { RunFacts, WorkflowFacts } from './facts.ts'

export class Timeline {
  /** the newest first */
  readonly runs: readonly RunFacts[]
  readonly #index: ReadonlyMap<RunFacts, number>
  readonly #countsFrom: string
  /** by workflow, its newest run that passed with all its steps */
  readonly #newestWhole = new Map<string, { readonly index: number; readonly workflow: WorkflowFacts }>()
  /** by workflow, the newest run that has it */
  readonly #newest = new Map<string, number>()
  /** the newest run that says what it left out */
  readonly #listing: number

  /** `now`: RFC 3339 */
  constructor(runs: readonly RunFacts[], now: string) {
    this.runs = runs
    this.#index = new Map(runs.map((run, index) => [run, index]))
    this.#countsFrom = new Date(Date.parse(now) - COUNTS_FOR * DAY).toISOString()
    for (const [index, { workflows }] of runs.entries())
      for (const workflow of workflows) {
        if (!this.#newest.has(workflow.workflowId)) this.#newest.set(workflow.workflowId, index)
        if (workflow.isWhole && workflow.status === 'passed' && !this.#newestWhole.has(workflow.workflowId))
          this.#newestWhole.set(workflow.workflowId, { index, workflow })
      }
    this.#listing = runs.findIndex(({ head }) => head.leftOut !== undefined)
  }

  counts({ head }: RunFacts): boolean {
    return head.startedAt >= this.#countsFrom
  }

  /** Whether newer runs lack the flow, the step, or the check of `proof` in the step. */
  isGone(run: RunFacts, { workflowId, stepId }: Pick<StepRef, 'workflowId' | 'stepId'>, proof?: Proof): boolean {
    const index = this.#index.get(run) ?? 0
    const newer = this.#newestWhole.get(workflowId)
    if (newer !== undefined && newer.index < index) return lacks(newer.workflow, stepId, proof)
    return this.#lacksFlow(run, workflowId, index)
  }

  #lacksFlow(run: RunFacts, workflowId: string, index: number): boolean {
    const listing = this.runs[this.#listing]
    const file = run.workflows.find((one) => one.workflowId === workflowId)?.flow.file
    // Only flows in this folder itself are listed where they were left out.
    if (listing === undefined || this.#listing >= index || file === undefined || !/(?:^|\/)flows\/[^/]+$/.test(file))
      return false
    if ((this.#newest.get(workflowId) ?? index) < index) return false
    const name = basename(file, '.arazzo.yaml')
    return !(listing.head.leftOut ?? []).some((one) => one === name || one.startsWith(`${name} / `))
  }
}

function lacks({ steps }: WorkflowFacts, stepId: string, proof: Proof | undefined): boolean {
  const step = steps.get(stepId)
  if (step !== undefined) return proof !== undefined && step.lacks.has(proof)
  // What a step that was skipped would have run is in no record.
  const parents = stepId.split('/').map((_, index, parts) => parts.slice(0, index).join('/'))
  return !parents.some((parent) => steps.get(parent)?.status === 'skipped')
}
