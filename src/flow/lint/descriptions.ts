/** Checks the API descriptions that a flow names: also the operations that it does not call, and patterns that are not judged. */
import type { Problem } from '../../record/errors.ts'
import type { ApiDescription } from '../openapi/description.ts'
import type { Fault } from '../openapi/schema.ts'
import { faultsOf, faultsOfComponents, problemOf } from '../openapi/used.ts'
import type { Findings } from './findings.ts'

/** `refused` are the problems of reading the flow, which are not said again. */
export function lintDescriptions(
  descriptions: Iterable<ApiDescription>,
  refused: readonly Problem[],
  findings: Findings,
): void {
  const keyOf = ({ at, message }: Problem) => JSON.stringify([at, message])
  const said = new Set(refused.map(keyOf))
  for (const description of descriptions) {
    for (const fault of allFaults(description)) {
      const problem = problemOf(description, fault)
      if (said.has(keyOf(problem)) || problem.at === undefined) continue
      said.add(keyOf(problem))
      const { at, message, expected, found, hint } = problem
      const rule = fault.isWarning ? 'pattern-not-judged' : 'description-unread'
      findings.add(rule, at, message, { expected, found, ...(hint !== undefined && { hint }) })
    }
  }
}

function allFaults(description: ApiDescription): readonly Fault[] {
  const operations = [...description.places.values()]
  return [...operations.flatMap((operation) => faultsOf(description, operation)), ...faultsOfComponents(description)]
}
