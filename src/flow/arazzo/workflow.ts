/** Reads one workflow: its inputs, its steps in running order, the actions that all steps share, its outputs. */

import { writeJson } from '../../record/json.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { inOrder, namesOf } from '../document/order.ts'
import { merged, parseActions, retriedThrough } from './actions.ts'
import { inputNames, parseInputs } from './inputs.ts'
import type { Action, Step, Workflow, WorkflowName } from './model.ts'
import { sharedParameters } from './parameters.ts'
import { items, namedIn, type Reading, Scope, type Shape, textOf, texts, unique } from './scope.ts'
import { parseStep } from './step.ts'
import { ARAZZO, type Reader } from './structure.ts'

export function parseWorkflow(reading: Reading, path: Path): Workflow | undefined {
  const { reader } = reading
  const what = reader.nameOf(path, 'workflow', 'workflowId')
  const fields = reader.object(path, what, ARAZZO.workflow)
  if (fields === undefined) return undefined
  const extension = reader.extension(path, what, 'workflow')
  if (extension === undefined) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${what} does not say what it does to the client`,
        expected: 'x-dcr: { effect: read | register | update | delete }',
        hint: 'without it nobody can be protected from running it by accident',
      },
      path,
    )
  }
  const raw = items(fields.steps)
  const scope = new Scope(reading, {
    workflowId: String(fields.workflowId),
    stepIds: stepIdsOf(raw),
    reachable: stepIdsOf(raw.filter((step) => !isFinal(step))),
  })
  parseInputs(scope, path, what)
  for (const workflowId of retriedThrough(reader, [...path, 'failureActions'])) scope.run.add(workflowId)
  const shared = sharedParameters(scope, path, what, raw.some(runsWorkflow))
  const order = runOrder(reader, raw, [...path, 'steps'])
  const parsed = order.flatMap((index) => parseStep(scope, [...path, 'steps', index], shared) ?? [])
  unique(reader, [...path, 'steps'], raw, 'stepId')
  demandStrictInput(reading, { steps: raw, order, path, what })
  const actions = (kind: 'success' | 'failure') =>
    parseActions(scope, [...path, `${kind}Actions`], { kind, what, stage: 'inherited' })
  const inherited = { onSuccess: actions('success'), onFailure: actions('failure') }
  return {
    workflowId: String(fields.workflowId),
    summary: textOf(fields.summary),
    description: textOf(fields.description),
    at: reader.document.at(path),
    effect: (extension?.effect ?? 'delete') as Workflow['effect'],
    safety: textOf(extension?.safety),
    clauses: texts(extension?.clauses),
    notice: textOf(extension?.notice),
    tags: texts(extension?.tags),
    // The reader has refused any other word.
    given: texts(extension?.given) as Workflow['given'],
    dependsOn: dependencies(scope, texts(fields.dependsOn), path, String(fields.workflowId)),
    inputs: [...scope.inputs.values()],
    steps: parsed.map((step) => withInherited(step, inherited)),
    outputs: scope.outputs(fields.outputs, [...path, 'outputs'], 'end'),
  }
}

function dependencies(scope: Scope, names: readonly string[], path: Path, own: string): WorkflowName[] {
  return names.flatMap((name, index) => {
    const place: Path = [...path, 'dependsOn', index]
    if (name === own) {
      scope.reader.add({ code: 'FLOW_STRUCTURE', message: `workflow "${name}" depends on itself` }, place)
      return []
    }
    const found = scope.workflowNamed(name, place)
    return found === undefined ? [] : [{ source: found.source, workflowId: found.workflowId }]
  })
}

/** What other workflows can name, by workflowId. */
export function shapesOf(reader: Reader): ReadonlyMap<string, Shape> {
  const raw = items(reader.raw(['workflows']))
  const places = new Map(
    raw.flatMap((workflow, index): [string, number][] =>
      isRecord(workflow) && typeof workflow.workflowId === 'string' ? [[workflow.workflowId, index]] : [],
    ),
  )
  return new Map(
    [...places].map(([id, index]): [string, Shape] => {
      const path: Path = ['workflows', index]
      const outputs = reader.raw([...path, 'outputs'])
      return [
        id,
        {
          workflowId: id,
          inputs: inputNames(reader, path),
          outputs: new Set(isRecord(outputs) ? Object.keys(outputs) : []),
          stepIds: stepIdsOf(items(reader.raw([...path, 'steps']))),
          dependsOn: texts(reader.raw([...path, 'dependsOn'])),
        },
      ]
    }),
  )
}

function withInherited(
  step: Step,
  { onSuccess, onFailure }: { readonly onSuccess: readonly Action[]; readonly onFailure: readonly Action[] },
): Step {
  const shared = {
    onSuccess: merged(step.onSuccess, onSuccess),
    onFailure: merged(step.onFailure, onFailure).map((action) => withoutItself(action, step)),
  }
  if (step.kind === 'workflow' || step.cases.length === 0) return { ...step, ...shared }
  const retries = shared.onFailure.filter(({ type }) => type === 'retry')
  const cases = step.cases.map((one) => ({ ...one, step: { ...one.step, onFailure: retries } }))
  return { ...step, ...shared, cases }
}

/**
 * A retry that names its own step just repeats the step.
 * @see [Arazzo 1.1 Failure Action Object](https://spec.openapis.org/arazzo/v1.1.0.html#failure-action-object)
 */
function withoutItself(action: Action, { stepId }: Step): Action {
  const isItself = action.type === 'retry' && action.through?.kind === 'step' && action.through.stepId === stepId
  return isItself ? { ...action, through: undefined } : action
}

/**
 * The indexes of the steps in the order in which they run: as written, unless `dependsOn` requires another; then those
 * that always run, the last written first.
 */
function runOrder(reader: Reader, raw: readonly unknown[], path: Path): readonly number[] {
  const indexes = [...raw.keys()]
  const normal = indexes.filter((index) => !isFinal(raw[index]))
  const last = indexes.filter((index) => isFinal(raw[index])).reverse()
  if (!normal.some((index) => dependenciesOf(raw[index]).length > 0)) return [...normal, ...last]

  const indexOf = new Map(normal.map((index): [string, number] => [idOf(raw[index]) ?? '', index]))
  // An output that is read is a dependency too, once a workflow says anything about its order (Arazzo 1.1 Tool Behavior).
  const { order, circle } = inOrder(normal, (index) =>
    [...dependenciesOf(raw[index]), ...readBy(raw[index])]
      .flatMap((id) => indexOf.get(id) ?? [])
      .filter((one) => one !== index),
  )
  if (circle !== undefined) {
    const first = circle.find((index) => dependenciesOf(raw[index]).length > 0) ?? 0
    const message = `steps ${namesOf(circle.map((index) => String(idOf(raw[index]))))} wait for each other`
    reader.add({ code: 'FLOW_STRUCTURE', message }, [...path, first, 'dependsOn'])
  }
  return [...order, ...last]
}

function readBy(step: unknown): string[] {
  return [...writeJson(step ?? null).matchAll(/\$steps\.([A-Za-z0-9_-]+)\./g)].map((match) => match[1] ?? '')
}

function dependenciesOf(step: unknown): readonly string[] {
  return isRecord(step) ? texts(step.dependsOn) : []
}

function stepIdsOf(steps: readonly unknown[]): ReadonlySet<string> {
  return new Set(steps.flatMap((step) => idOf(step) ?? []))
}

function idOf(step: unknown): string | undefined {
  return isRecord(step) && typeof step.stepId === 'string' ? step.stepId : undefined
}

function extensionOf(step: unknown): Fields {
  return isRecord(step) && isRecord(step['x-dcr']) ? step['x-dcr'] : {}
}

function isFinal(step: unknown): boolean {
  return extensionOf(step).finally === true
}

function runsWorkflow(step: unknown): boolean {
  return isRecord(step) && step.workflowId !== undefined
}

/** A runner that does not know these members would send something other than the author means. */
const CHANGES_THE_REQUEST = ['alter', 'cases', 'finally', 'expect', 'identity', 'probe']

/**
 * A foreign runner that is strict refuses a schema it cannot satisfy, so such a workflow must have one, or run a workflow
 * that has one before it sends what it changes.
 */
function demandStrictInput(
  reading: Reading,
  {
    steps,
    order,
    path,
    what,
  }: {
    readonly steps: readonly unknown[]
    readonly order: readonly number[]
    readonly path: Path
    readonly what: string
  },
): void {
  const { reader } = reading
  const changed = order.findIndex((index) => changeOf(steps[index]) !== undefined)
  const index = order[changed]
  const member = changeOf(steps[index ?? -1])
  if (index === undefined || member === undefined || hasExtension(reader.raw([...path, 'inputs']), reader)) return
  if (order.slice(0, changed).some((one) => runsStrictWorkflow(reading, steps[one]))) return
  reader.add(
    {
      code: 'FLOW_STRUCTURE',
      message: `${what} uses "${member}" but declares no input with x-dcr`,
      expected: 'an input with x-dcr, for example a minted client_assertion',
      hint: 'a runner that does not know x-dcr would send the request without it; such an input makes it refuse the workflow',
    },
    [...path, 'steps', index, 'x-dcr', member],
  )
}

function changeOf(step: unknown): string | undefined {
  return CHANGES_THE_REQUEST.find((member) => extensionOf(step)[member] !== undefined)
}

function runsStrictWorkflow(reading: Reading, step: unknown): boolean {
  if (!isRecord(step) || typeof step.workflowId !== 'string') return false
  const named = namedIn(reading, step.workflowId)
  if (named === undefined) return false
  const { reader } = named.reading
  const workflows = items(reader.raw(['workflows']))
  const index = workflows.findIndex((one) => isRecord(one) && one.workflowId === named.workflowId)
  return hasExtension(reader.raw(['workflows', index, 'inputs']), reader)
}

function hasExtension(schema: unknown, reader: Reader, depth = 0): boolean {
  if (!isRecord(schema) || depth > 16) return false
  if (isRecord(schema['x-dcr'])) return true
  if (typeof schema.$ref === 'string' && schema.$ref.startsWith('#/'))
    return hasExtension(reader.raw(schema.$ref.slice(2).split('/')), reader, depth + 1)
  return (
    isRecord(schema.properties) && Object.values(schema.properties).some((one) => hasExtension(one, reader, depth + 1))
  )
}
