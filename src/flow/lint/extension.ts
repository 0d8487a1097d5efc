/** x-dcr: whether an effect says what the steps do, and whether a person is told what is left to do. */

import type { Path } from '../document/document.ts'
import { isRecord } from '../document/fields.ts'
import { type ApiDescription, findOperation, type Operation } from '../openapi/description.ts'
import { EFFECTS, type Effect, effectOfOperation } from '../openapi/effect.ts'
import type { Findings } from './findings.ts'
import { extensionOf, type StepView, type View, type WorkflowView } from './view.ts'

/** `sources` are the API descriptions that could be read, by name. */
export function lintExtension(view: View, sources: ReadonlyMap<string, ApiDescription>, findings: Findings): void {
  for (const workflow of view.workflows) {
    if (!('x-dcr' in workflow.fields)) continue
    effect(workflow, sources, findings)
    const { effect: declared, notice, given } = extensionOf(workflow)
    const stored = storedInput(workflow)
    if (
      stored !== undefined &&
      !registers(workflow, sources) &&
      !(Array.isArray(given) && given.includes('registration'))
    ) {
      findings.add(
        'given-missing',
        stored,
        `${workflow.what} reads the stored registration and does not say that it is given`,
      )
    }
    if ((declared === 'register' || declared === 'update') && notice === undefined) {
      findings.add(
        'notice-missing',
        [...workflow.path, 'x-dcr'],
        `${workflow.what} has effect "${declared}" and no notice`,
      )
    }
  }
}

/** Where the workflow declares that it must have what the vault keeps of a registration. */
function storedInput({ path, fields }: WorkflowView): Path | undefined {
  const { inputs } = fields
  if (!isRecord(inputs) || !isRecord(inputs.properties) || !Array.isArray(inputs.required)) return undefined
  const required = inputs.required
  const name = Object.keys(inputs.properties).find(
    (one) => (one === 'registration_access_token' || one === 'registration_client_uri') && required.includes(one),
  )
  return name === undefined ? undefined : [...path, 'inputs', 'properties', name]
}

function registers({ steps }: WorkflowView, sources: ReadonlyMap<string, ApiDescription>): boolean {
  return steps.some((step) => {
    const operation = operationOf(step, sources)
    return operation !== undefined && effectOfOperation(operation) === 'register'
  })
}

function effect(workflow: WorkflowView, sources: ReadonlyMap<string, ApiDescription>, findings: Findings): void {
  const declared = EFFECTS.indexOf(extensionOf(workflow).effect as Effect)
  if (declared === -1) return
  const called = workflow.steps.flatMap((step) => {
    const operation = operationOf(step, sources)
    return operation === undefined ? [] : [{ step, operation, rank: EFFECTS.indexOf(effectOfOperation(operation)) }]
  })
  const strongest = called.toSorted((a, b) => b.rank - a.rank)[0]
  if (strongest === undefined || strongest.rank <= declared) return
  const { step, operation, rank } = strongest
  findings.add(
    'effect-too-weak',
    [...workflow.path, 'x-dcr', 'effect'],
    `${workflow.what} has effect "${EFFECTS[declared]}", but ${step.what} calls ${operation.method} ${operation.path}`,
    { expected: `effect: ${EFFECTS[rank]}` },
  )
}

function operationOf({ fields }: StepView, sources: ReadonlyMap<string, ApiDescription>): Operation | undefined {
  if (typeof fields.operationId !== 'string') return undefined
  const [, name, id] = /^\$sourceDescriptions\.([\w-]+)\.(.+)$/.exec(fields.operationId) ?? []
  const source = name === undefined ? [...sources.values()] : [sources.get(name)]
  for (const description of source) {
    const operation = description && findOperation(description, id ?? fields.operationId)
    if (operation !== undefined && !('hint' in operation)) return operation
  }
  return undefined
}

/** Whether anything in the document is ours. */
export function knowsExtension(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(knowsExtension)
  return isRecord(value) && ('x-dcr' in value || Object.values(value).some(knowsExtension))
}
