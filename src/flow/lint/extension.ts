/** Rules about x-dcr: whether the effect matches the steps, and whether a notice names what a person must still do. */

import { DECLARED_EFFECTS, EFFECTS, type Effect, isStronger } from '../../record/effect.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import type { CallStep, Flow } from '../index.ts'
import type { Findings } from './findings.ts'
import { extensionOf, type View, type WorkflowView } from './view.ts'

/** What a step can do to a client. */
export type EffectOf = (step: CallStep) => Effect

/** `flow` is the part of the file that could be read. */
export function lintExtension(
  view: View,
  { flow, effectOf }: { readonly flow: Flow | undefined; readonly effectOf: EffectOf },
  findings: Findings,
): void {
  for (const workflow of view.workflows) {
    if (!('x-dcr' in workflow.fields)) continue
    const read = flow?.workflows.find(({ workflowId }) => workflowId === workflow.fields.workflowId)
    const called = (read?.steps ?? []).flatMap((step) =>
      step.kind === 'call' ? [{ step, effect: effectOf(step) }] : [],
    )
    lintEffect(workflow, called, findings)
    const { effect: declared, notice, given } = extensionOf(workflow)
    const stored = storedInput(workflow)
    if (
      stored !== undefined &&
      !called.some(({ effect }) => effect === 'register') &&
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

interface Called {
  readonly step: CallStep
  readonly effect: Effect
}

function lintEffect(workflow: WorkflowView, called: readonly Called[], findings: Findings): void {
  const declared = DECLARED_EFFECTS.find((one) => one === extensionOf(workflow).effect)
  const [strongest] = called.toSorted((a, b) => EFFECTS.indexOf(b.effect) - EFFECTS.indexOf(a.effect))
  if (declared === undefined || strongest === undefined || !isStronger(strongest.effect, declared)) return
  const { step, effect } = strongest
  const { method, path } = step.operation
  const place = [...workflow.path, 'x-dcr', 'effect']
  const said = `${workflow.what} has effect "${declared}", but step "${step.stepId}" calls ${method} ${path}`
  if (effect === 'other') findings.add('call-unmarked', place, `${said}, which nothing marks as safe`)
  else findings.add('effect-too-weak', place, said, { expected: `effect: ${effect}` })
}

/** Whether anything in the document is ours. */
export function knowsExtension(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(knowsExtension)
  return isRecord(value) && ('x-dcr' in value || Object.values(value).some(knowsExtension))
}
