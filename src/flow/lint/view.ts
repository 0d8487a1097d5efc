/**
 * A flow file as the rules read it: its raw workflows, steps and criteria with their places, even where the file has other
 * mistakes. Members of the wrong shape are left out; reading the flow reports them.
 */

import { items } from '../arazzo/scope.ts'
import { MOST_INSTRUCTIONS } from '../arazzo/structure.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Document, Path } from '../document/model.ts'
import { type Condition, type ConditionSource, exactCondition, parseCondition } from '../expression/criterion.ts'
import { ExpressionError } from '../expression/expression.ts'

export interface Place {
  readonly path: Path
  /** what a message calls it */
  readonly what: string
  readonly fields: Fields
}

export interface View {
  readonly document: Document
  readonly root: Fields
  readonly sources: readonly Place[]
  readonly workflows: readonly WorkflowView[]
  /** those in components, and those that a workflow applies to all its steps */
  readonly sharedActions: readonly ActionView[]
}

export interface WorkflowView extends Place {
  /** also those reached by a reference, which other workflows may share */
  readonly inputs: readonly InputView[]
  readonly steps: readonly StepView[]
}

export interface InputView extends Place {
  readonly name: string
  /** what declares it */
  readonly of: string
}

export interface StepView extends Place {
  readonly stepId: string
  readonly criteria: readonly CriterionView[]
  /** of each case of x-dcr */
  readonly cases: readonly (readonly CriterionView[])[]
  readonly actions: readonly ActionView[]
}

export interface ActionView extends Place {
  readonly on: 'onSuccess' | 'onFailure'
  readonly criteria: readonly CriterionView[]
}

export interface CriterionView extends Place {
  readonly text: string
  /** undefined where it cannot be parsed */
  readonly condition: Condition | undefined
}

export function viewOf(document: Document): View {
  const root = isRecord(document.data) ? document.data : {}
  const conditions = new Conditions()
  const components = isRecord(root.components) ? root.components : {}
  const workflows = places(root.workflows, ['workflows'], 'workflow', 'workflowId')
  return {
    document,
    root,
    sources: places(root.sourceDescriptions, ['sourceDescriptions'], 'source description', 'name'),
    workflows: workflows.map((place) => workflowOf(place, components, conditions)),
    sharedActions: SHARED.flatMap(([member, on]) => [
      ...workflows.flatMap(({ path, what, fields }) =>
        actionsOf(places(fields[member], [...path, member], 'action', 'name'), { on, what, conditions }),
      ),
      ...actionsOf(members(components[member], ['components', member], 'action'), {
        on,
        what: 'components',
        conditions,
      }),
    ]),
  }
}

const SHARED = [
  ['successActions', 'onSuccess'],
  ['failureActions', 'onFailure'],
] as const

/** Parses conditions until the budget of a document is used up; reading the flow reports that. */
class Conditions {
  #instructions = 0

  parse(fields: Fields): Condition | undefined {
    const isShaped = fields.context === undefined || typeof fields.context === 'string'
    if (!isShaped || this.#instructions > MOST_INSTRUCTIONS) return undefined
    try {
      const condition = parseCondition(fields as unknown as ConditionSource)
      this.#instructions += condition.size
      const { exact } = isRecord(fields['x-dcr']) ? fields['x-dcr'] : {}
      return exact === true ? exactCondition(condition) : condition
    } catch (error) {
      if (error instanceof ExpressionError) return undefined
      throw error
    }
  }
}

function workflowOf(place: Place, components: Fields, conditions: Conditions): WorkflowView {
  const { path, what, fields } = place
  const own = isRecord(fields.inputs) ? fields.inputs : {}
  const name = /^#\/components\/inputs\/([\w.-]+)$/.exec(String(own.$ref))?.[1]
  const shared = name !== undefined && isRecord(components.inputs) ? components.inputs[name] : undefined
  const schema = isRecord(shared) ? shared : own
  const at: Path = isRecord(shared) ? ['components', 'inputs', name ?? ''] : [...path, 'inputs']
  return {
    ...place,
    inputs: members(schema.properties, [...at, 'properties'], 'input').map((input) => ({
      ...input,
      name: String(input.path.at(-1)),
      of: isRecord(shared) ? 'components' : what,
    })),
    steps: places(fields.steps, [...path, 'steps'], 'step', 'stepId').map((step) => stepOf(step, conditions)),
  }
}

function stepOf(place: Place, conditions: Conditions): StepView {
  const { path, what, fields } = place
  const actions = SHARED.flatMap(([, on]) =>
    actionsOf(places(fields[on], [...path, on], 'action', 'name'), { on, what, conditions }),
  )
  const criteria = criteriaOf(fields.successCriteria, [...path, 'successCriteria'], what, conditions)
  const cases = places(extensionOf(place).cases, [...path, 'x-dcr', 'cases'], 'case', 'id').map((one) =>
    criteriaOf(one.fields.criteria, [...one.path, 'criteria'], `${one.what} of ${what}`, conditions),
  )
  return { ...place, stepId: String(fields.stepId), criteria, cases, actions }
}

function actionsOf(
  list: readonly Place[],
  { on, what, conditions }: { readonly on: ActionView['on']; readonly what: string; readonly conditions: Conditions },
): ActionView[] {
  return list.map((action) => {
    const path = [...action.path, 'criteria']
    return {
      ...action,
      on,
      criteria: criteriaOf(action.fields.criteria, path, `${action.what} of ${what}`, conditions),
    }
  })
}

function criteriaOf(list: unknown, path: Path, what: string, conditions: Conditions): CriterionView[] {
  return places(list, path, 'criterion').flatMap((place) => {
    const { condition: text } = place.fields
    if (typeof text !== 'string') return []
    return [{ ...place, what: `${place.what} of ${what}`, text, condition: conditions.parse(place.fields) }]
  })
}

/** The objects of a list, each by its id where it has one, else by its number. */
export function places(list: unknown, path: Path, kind: string, idMember = ''): Place[] {
  return items(list).flatMap((fields, index) => {
    if (!isRecord(fields)) return []
    const id = fields[idMember]
    return [{ path: [...path, index], what: `${kind} ${typeof id === 'string' ? `"${id}"` : index + 1}`, fields }]
  })
}

/** The objects of a map, each by its name. */
function members(map: unknown, path: Path, kind: string): Place[] {
  return Object.entries(isRecord(map) ? map : {}).map(([name, fields]) => ({
    path: [...path, name],
    what: `${kind} "${name}"`,
    fields: isRecord(fields) ? fields : {},
  }))
}

export function extensionOf({ fields }: Place): Fields {
  return isRecord(fields['x-dcr']) ? fields['x-dcr'] : {}
}

/** Every text within `value` with its path; members in `except` are skipped. */
export function* texts(
  value: unknown,
  path: Path,
  except: ReadonlySet<string> = NONE,
): Generator<{ readonly text: string; readonly path: Path }> {
  if (typeof value === 'string') yield { text: value, path }
  else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* texts(item, [...path, index], except)
  } else if (isRecord(value)) {
    for (const [name, content] of Object.entries(value))
      if (!except.has(name)) yield* texts(content, [...path, name], except)
  }
}

const NONE: ReadonlySet<string> = new Set()
/** Members whose text is for people. */
export const PROSE: ReadonlySet<string> = new Set(['title', 'summary', 'description', 'notice', '$comment'])
