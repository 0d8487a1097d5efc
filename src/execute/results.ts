/** The results of workflows that have run, as other workflows can read them: by document and name. */
import type { Flow, WorkflowName } from '../flow/index.ts'
import { type PlannedInput, type PlannedWorkflow, plainValue } from '../plan/index.ts'
import type { WorkflowRecord } from '../record/index.ts'
import { WORDS } from './statuses.ts'

export interface WorkflowResult {
  readonly status: WorkflowRecord['status']
  readonly inputs: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<Record<string, unknown>>
  /** ids of the steps that passed */
  readonly passed: ReadonlySet<string>
}

export class WorkflowResults {
  // By file, since several flows may lead to the same document.
  readonly #byFile = new Map<string, Map<string, WorkflowResult>>()
  readonly #earlier: WorkflowResults | undefined

  /** With those of `earlier`, to which nothing is added. */
  constructor(earlier?: WorkflowResults) {
    this.#earlier = earlier
  }

  add({ file }: Flow, workflowId: string, result: WorkflowResult): void {
    this.#byFile.set(file, (this.#byFile.get(file) ?? new Map()).set(workflowId, result))
  }

  /** Adds the results that were added to the other. */
  addAll(other: WorkflowResults): void {
    for (const [file, results] of other.#byFile)
      this.#byFile.set(file, new Map([...(this.#byFile.get(file) ?? []), ...results]))
  }

  /** Those of one document, by workflowId. */
  of(flow: Flow): ReadonlyMap<string, WorkflowResult> {
    return new Map([...(this.#earlier?.of(flow) ?? []), ...(this.#byFile.get(flow.file) ?? [])])
  }

  /** The workflow that `flow` knows by that name. */
  find(flow: Flow, { source, workflowId }: WorkflowName): WorkflowResult | undefined {
    const place = source === undefined ? flow : flow.others.get(source)
    return place && this.of(place).get(workflowId)
  }

  /** The workflows that `planned` depends on and that have not run, the first to run first. */
  missingDependencies({ dependencies }: PlannedWorkflow): readonly PlannedWorkflow[] {
    return dependencies.filter(({ flow, workflow }) => !this.of(flow).has(workflow.workflowId))
  }

  /** Why a workflow cannot begin: one that it depends on has not passed. */
  obstacle({ flow, workflow }: PlannedWorkflow): string | undefined {
    const missing = workflow.dependsOn.find((name) => this.find(flow, name)?.status !== 'passed')
    if (missing === undefined) return undefined
    const status = this.find(flow, missing)?.status ?? 'skipped'
    return `it depends on workflow "${missing.workflowId}", which ${WORDS[status]}`
  }
}

/** The values of inputs, as `$workflows` reads them. */
export function plainInputs(inputs: ReadonlyMap<string, PlannedInput>): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...inputs].map(([name, input]) => [name, plainValue(input)]))
}
