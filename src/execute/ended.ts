/** Workflows that have ended, as others can read them: by their document and their name. */
import type { Flow, WorkflowName } from '../flow/index.ts'
import type { PlannedWorkflow } from '../plan/index.ts'
import type { WorkflowRecord } from '../record/index.ts'
import { WORDS } from './verdict.ts'

export interface Ended {
  readonly status: WorkflowRecord['status']
  readonly inputs: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<Record<string, unknown>>
  /** ids of the steps that passed */
  readonly passed: ReadonlySet<string>
}

export class EndedWorkflows {
  // By file, since several flows may lead to the same document.
  readonly #byFile = new Map<string, Map<string, Ended>>()
  readonly #earlier: EndedWorkflows | undefined

  /** With those of `earlier`, to which nothing is added. */
  constructor(earlier?: EndedWorkflows) {
    this.#earlier = earlier
  }

  add({ file }: Flow, workflowId: string, ended: Ended): void {
    this.#byFile.set(file, (this.#byFile.get(file) ?? new Map()).set(workflowId, ended))
  }

  /** Adds what was added to the other. */
  take(other: EndedWorkflows): void {
    for (const [file, ended] of other.#byFile)
      this.#byFile.set(file, new Map([...(this.#byFile.get(file) ?? []), ...ended]))
  }

  /** Those of one document, by workflowId. */
  of(flow: Flow): ReadonlyMap<string, Ended> {
    return new Map([...(this.#earlier?.of(flow) ?? []), ...(this.#byFile.get(flow.file) ?? [])])
  }

  /** The workflow that `flow` knows by that name. */
  find(flow: Flow, { source, workflowId }: WorkflowName): Ended | undefined {
    const place = source === undefined ? flow : flow.others.get(source)
    return place && this.of(place).get(workflowId)
  }

  /** The workflows that `planned` depends on and that have not run, the first to run first. */
  awaitedBy({ dependencies }: PlannedWorkflow): readonly PlannedWorkflow[] {
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
