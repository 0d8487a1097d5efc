/**
 * Reads what happens after a step: success and failure actions, and the arguments for a workflow that an action or a step
 * runs. Executing them is src/execute's work.
 */

import { type Fields, isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { placed, writtenAt } from './components.ts'
import type { Action, Invocation, Target, Value } from './model.ts'
import { items, type Scope, type Shape, type Stage, textOf } from './scope.ts'
import { ARAZZO, type Reader } from './structure.ts'

/** The actions of the list at `path`. */
export function parseActions(
  scope: Scope,
  path: Path,
  { kind, what, stage }: { readonly kind: 'success' | 'failure'; readonly what: string; readonly stage: Stage },
): readonly Action[] {
  const { reader } = scope
  const names = new Set<string>()
  return items(reader.raw(path)).flatMap((_, index): Action[] => {
    const written: Path = [...path, index]
    const named = `${kind} action ${index + 1} of ${what}`
    const place = placed(reader, written, named, `${kind}Actions`)
    const fields = place && reader.object(place.path, named, ARAZZO[`${kind}Action`])
    if (place === undefined || fields === undefined) return []
    const name = String(fields.name)
    if (names.has(name))
      reader.add({ code: 'FLOW_STRUCTURE', message: `${kind} action "${name}" of ${what} occurs twice` }, written)
    names.add(name)
    return parseAction(scope, fields, { path: place.path, named, stage })
  })
}

/**
 * The workflows that failure actions of the list at `path` may run before a step is tried again: what follows the step can
 * read what they returned. Reports no mistakes.
 */
export function retriedThrough(reader: Reader, path: Path): readonly string[] {
  return items(reader.raw(path)).flatMap((_, index) => {
    const action = writtenAt(reader, [...path, index], 'failureActions')
    return isRecord(action) && action.type === 'retry' ? (textOf(action.workflowId) ?? []) : []
  })
}

/** Own actions first, then the inherited ones of other names: what is defined for all steps can be overridden, not removed. */
export function merged(own: readonly Action[], inherited: readonly Action[]): readonly Action[] {
  return [...own, ...inherited.filter(({ name }) => !own.some((action) => action.name === name))]
}

interface Place {
  readonly path: Path
  readonly named: string
  readonly stage: Stage
}

function parseAction(scope: Scope, fields: Fields, place: Place): Action[] {
  const { reader } = scope
  const { path, named, stage } = place
  const criteria = scope.criteria([...path, 'criteria'], named, stage).map(({ condition }) => condition)
  const base = { name: String(fields.name), criteria }
  const to = parseTarget(scope, fields, place)
  if (fields.type === 'end') {
    if (to === undefined) return [{ ...base, type: 'end' }]
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${named} ends the workflow and goes on`,
        expected: 'type: goto, or no target',
      },
      path,
    )
  } else if (fields.type === 'retry') {
    const retryAfterMs = ((fields.retryAfter ?? 0) as number) * 1000
    return [{ ...base, type: 'retry', retryAfterMs, retryLimit: (fields.retryLimit ?? 1) as number, through: to }]
  } else if (to !== undefined) {
    return [{ ...base, type: 'goto', to }]
  } else if (fields.stepId === undefined && fields.workflowId === undefined) {
    reader.add(
      { code: 'FLOW_STRUCTURE', message: `${named} does not say where to go`, expected: 'stepId or workflowId' },
      path,
    )
  }
  return []
}

function parseTarget(scope: Scope, fields: Fields, { path, named, stage }: Place): Target | undefined {
  const { reader } = scope
  const stepId = textOf(fields.stepId)
  const workflowId = textOf(fields.workflowId)
  if (stepId !== undefined && workflowId !== undefined) {
    reader.add(
      { code: 'FLOW_STRUCTURE', message: `${named} names a step and a workflow`, expected: 'stepId or workflowId' },
      path,
    )
    return undefined
  }
  if (workflowId === undefined && items(fields.parameters).length > 0) {
    reader.add(
      { code: 'FLOW_STRUCTURE', message: `${named} has parameters for no workflow`, hint: 'a step takes none' },
      [...path, 'parameters'],
    )
  }
  if (workflowId !== undefined) {
    const found = parseInvocation(scope, workflowId, { path, named, stage })
    if (found === undefined) return undefined
    const { shape, ...invocation } = found
    return { kind: 'workflow', invocation }
  }
  if (stepId === undefined) return undefined
  if (scope.reachable.has(stepId)) return { kind: 'step', stepId }
  if (scope.stepIds.has(stepId)) {
    reader.add(
      { code: 'FLOW_STRUCTURE', message: `${named} leads to "${stepId}", which runs at the end whatever happens` },
      [...path, 'stepId'],
    )
  } else scope.unknownName('step', stepId, scope.reachable, [...path, 'stepId'])
  return undefined
}

/**
 * The workflow that the object at `path` names, with its `parameters` as arguments; of a step, also those of `shared`
 * places, which its workflow passes to all steps.
 * @see [Arazzo 1.1 Parameter Object in](https://spec.openapis.org/arazzo/v1.1.0.html#parameter-object)
 */
export function parseInvocation(
  scope: Scope,
  name: string,
  { path, named, stage, shared }: Place & { readonly shared?: readonly Path[] },
): (Invocation & { readonly shape: Shape }) | undefined {
  const { reader } = scope
  const place: Path = [...path, 'workflowId']
  const target = scope.workflowNamed(name, place)
  if (target === undefined) return undefined
  const { source, workflowId, shape } = target
  const values = new Map<string, Value>()
  const mustNotSayPlace = shared === undefined
  const ambiguous = new Map<string, Path>()
  const own = items(reader.raw([...path, 'parameters'])).map((_, index): Path => [...path, 'parameters', index])
  // A step's own overrides what the workflow passes to all.
  for (const [written, isOwn] of [
    ...(shared ?? []).map((one) => [one, false] as const),
    ...own.map((one) => [one, true] as const),
  ]) {
    const what = `${reader.nameOf(written, 'parameter', 'name')} of ${named}`
    const parameter = placed(reader, written, what, 'parameters')
    const fields = parameter && reader.object(parameter.path, what, ARAZZO.parameter)
    if (parameter === undefined || typeof fields?.name !== 'string') continue
    const { name } = fields
    // "All parameters map to workflow inputs", whatever their `in`; in an action `in` is not allowed.
    if (fields.in !== undefined && mustNotSayPlace) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `parameter "${name}" of ${named} says where it goes, which one of an action must not`,
          hint: 'remove "in": it becomes an input of the workflow',
        },
        [...parameter.path, 'in'],
      )
    }
    // A parameter for all steps is passed only to workflows that have such an input.
    if (!isOwn && !shape.inputs.has(name)) continue
    if (!shape.inputs.has(name))
      scope.unknownName('input', name, shape.inputs, written, 0, ` of workflow "${workflowId}"`)
    if (isOwn && own.some((other) => other !== written && isEarlier(other, written) && nameAt(scope, other) === name))
      reader.add({ code: 'FLOW_STRUCTURE', message: `parameter "${name}" of ${named} occurs twice` }, written)
    if (!isOwn && fields.in !== undefined && values.has(name)) ambiguous.set(name, written)
    else ambiguous.delete(name)
    const at = parameter.value ?? [...parameter.path, 'value']
    values.set(name, scope.value(reader.raw(at), at, stage))
  }
  for (const [name, written] of ambiguous) {
    const message = `two parameters "${name}" become one input of workflow "${workflowId}"`
    const hint = `say which on ${named}: parameters: [{ name: ${name}, value: … }]`
    reader.add({ code: 'FLOW_STRUCTURE', message, hint }, written)
  }
  return { shape, source, workflowId, arguments: values, at: reader.document.at(place) }
}

function isEarlier(a: Path, b: Path): boolean {
  return Number(a.at(-1)) < Number(b.at(-1))
}

function nameAt({ reader }: Scope, path: Path): unknown {
  const raw = reader.raw(path)
  return typeof raw === 'object' && raw !== null && 'name' in raw ? raw.name : undefined
}
