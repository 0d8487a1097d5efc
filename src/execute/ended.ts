/** Workflows that have ended, as others can read them: by their document and their name. */
import type { Flow, WorkflowName } from '../flow/index.ts'
import type { WorkflowRecord } from '../record.ts'

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

  add({ file }: Flow, workflowId: string, ended: Ended): void {
    this.#byFile.set(file, (this.#byFile.get(file) ?? new Map()).set(workflowId, ended))
  }

  /** Those of one document, by workflowId. */
  of({ file }: Flow): ReadonlyMap<string, Ended> {
    return this.#byFile.get(file) ?? new Map()
  }

  /** The workflow that `flow` knows by that name. */
  find(flow: Flow, { source, workflowId }: WorkflowName): Ended | undefined {
    const place = source === undefined ? flow : flow.others.get(source)
    return place && this.of(place).get(workflowId)
  }
}
