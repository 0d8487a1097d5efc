/** Lists what steps use: the expressions of a step, the workflows it can run, the steps that it needs. */

import { inOrder } from '../document/order.ts'
import type { Expression } from '../expression/expression.ts'
import type {
  Action,
  Alteration,
  CallStep,
  Flow,
  Input,
  Invocation,
  Step,
  Target,
  Value,
  Workflow,
  WorkflowName,
} from './model.ts'

/** Every expression in a value, at any depth. */
export function expressionsIn(value: Value): readonly Expression[] {
  switch (value.kind) {
    case 'literal':
      return []
    case 'template':
      return value.template.references
    case 'selector':
      return value.selector.references
    case 'object':
      return value.members.flatMap(([, member]) => expressionsIn(member))
    case 'array':
      return value.items.flatMap(expressionsIn)
    default:
      return value satisfies never
  }
}

/** What a step reads to make its request and to judge the answer. */
export function expressionsOf(step: Step): readonly Expression[] {
  const criteria = step.criteria.flatMap(({ condition }) => condition.references)
  if (step.kind === 'workflow') return [...argumentsOf(step.invocation), ...criteria]
  const { requestBody, parameters, alterations, url } = step
  const values = [
    ...parameters.map(({ value }) => value),
    ...(requestBody === undefined ? [] : [requestBody.payload, ...requestBody.replacements.map(({ value }) => value)]),
    ...alterations.flatMap((alteration) => valueIn(alteration) ?? []),
  ]
  return [...values.flatMap(expressionsIn), ...(url === undefined ? [] : url.references), ...criteria]
}

/** The inputs that a step reads, so that minted and stored ones are made fresh for it. */
export function inputsReadBy(step: Step): ReadonlySet<string> {
  return new Set(expressionsOf(step).flatMap((expression) => (expression.kind === 'inputs' ? [expression.name] : [])))
}

function valueIn(alteration: Alteration): Value | undefined {
  if (alteration.place !== 'jwt') return alteration.value
  return 'value' in alteration.change ? alteration.change.value : undefined
}

/** The step itself, or its cases. */
export function runsOf(step: CallStep): readonly CallStep[] {
  return step.cases.length === 0 ? [step] : step.cases.map((one) => one.step)
}

/** All workflows that a workflow can run, as a step or by an action. */
export function invocationsOf(workflow: Workflow): readonly Invocation[] {
  const targets = (actions: readonly Action[]) => actions.flatMap((action) => targetOf(action) ?? [])
  const found = workflow.steps.flatMap((step) => [
    ...(step.kind === 'workflow' ? [step.invocation] : []),
    ...[...targets(step.onSuccess), ...targets(step.onFailure)].flatMap((target) =>
      target.kind === 'workflow' ? [target.invocation] : [],
    ),
  ])
  return [...new Set(found)]
}

export function targetOf(action: Action): Target | undefined {
  if (action.type === 'goto') return action.to
  return action.type === 'retry' ? action.through : undefined
}

/** A workflow with its document. */
export interface Chosen {
  readonly flow: Flow
  readonly workflow: Workflow
}

/** The workflow of that name in `flow`. */
export function workflowOf(flow: Flow, { source, workflowId }: WorkflowName): Chosen | undefined {
  const place = source === undefined ? flow : flow.others.get(source)
  const workflow = place?.workflows.find((one) => one.workflowId === workflowId)
  return place && workflow && { flow: place, workflow }
}

/** The workflow and all that it can run, with what those depend on. */
export function withInvoked(flow: Flow, workflow: Workflow): readonly Workflow[] {
  const found = new Map<Workflow, Flow>([[workflow, flow]])
  for (const [one, place] of found) {
    for (const name of invocationsOf(one)) {
      const called = workflowOf(place, name)
      const all = called === undefined ? [] : withDependencies(called.flow, called.workflow)
      for (const each of all) found.set(each.workflow, each.flow)
    }
  }
  return [...found.keys()]
}

/** A step of a workflow, or of one that a step of it runs. */
export interface NestedStep {
  /** as the record has it: `<stepId>/<stepId of the workflow that it runs>` */
  readonly id: string
  readonly step: Step
  /** where it stands */
  readonly flow: Flow
  readonly workflow: Workflow
  /** the step of the outermost workflow that it is, or is a part of */
  readonly outermost: Step
}

/** In the order of the record: those of a workflow that a step runs come before that step. */
export function nestedSteps(flow: Flow, workflow: Workflow): readonly NestedStep[] {
  const before = withDependencies(flow, workflow).map((one) => one.workflow)
  return stepsInside({ flow, workflow }, new Set(before), [])
}

/** `ran` are workflows that have run where the steps stand, `within` those that run each other. */
function stepsInside(
  { flow, workflow }: Chosen,
  ran: Set<Workflow>,
  within: readonly Workflow[],
): readonly NestedStep[] {
  return workflow.steps.flatMap((step) => {
    const own: NestedStep = { id: step.stepId, step, flow, workflow, outermost: step }
    const called = step.kind === 'workflow' ? workflowOf(flow, step.invocation) : undefined
    if (called === undefined || within.includes(called.workflow)) return [own]
    const inside = withDependencies(called.flow, called.workflow).flatMap((one) => {
      const isCalled = one.workflow === called.workflow
      if (ran.has(one.workflow) && !isCalled) return []
      ran.add(one.workflow)
      const prefix = isCalled ? '' : `dependsOn/${one.workflow.workflowId}/`
      const steps = stepsInside(one, ran, [...within, workflow])
      return steps.map((inner) => ({ ...inner, id: `${step.stepId}/${prefix}${inner.id}`, outermost: step }))
    })
    return [...inside, own]
  })
}

/**
 * Whether at most one of two steps of a workflow runs, since no path leads from the first to the second. What follows a step
 * by its actions counts, whatever their criteria say.
 */
export function areAlternatives({ steps }: Workflow, first: Step, second: Step): boolean {
  if (second.finally || !steps.includes(first) || !steps.includes(second)) return false
  const found = new Set([first])
  for (const step of found) for (const next of stepsAfter(step, steps)) found.add(next)
  return first !== second && !found.has(second)
}

function stepsAfter(step: Step, steps: readonly Step[]): readonly Step[] {
  const goesOn = !step.onSuccess.some(({ type, criteria }) => type !== 'retry' && criteria.length === 0)
  const next = goesOn ? steps[steps.indexOf(step) + 1] : undefined
  const targets = [...step.onSuccess, ...step.onFailure].flatMap((action) => targetOf(action) ?? [])
  const ids = targets.flatMap((target) => (target.kind === 'step' ? [target.stepId] : []))
  return [...(next === undefined ? [] : [next]), ...steps.filter(({ stepId }) => ids.includes(stepId))]
}

/** The workflows that must have passed before, the first to run first, and then the workflow itself. */
export function withDependencies(flow: Flow, workflow: Workflow): readonly Chosen[] {
  const places = new Map<Workflow, Flow>([[workflow, flow]])
  const { order } = inOrder([workflow], (one) => {
    const place = places.get(one) ?? flow
    const found = one.dependsOn.flatMap((name) => workflowOf(place, name) ?? [])
    for (const each of found) places.set(each.workflow, each.flow)
    return found.map((each) => each.workflow)
  })
  return order.map((one) => ({ flow: places.get(one) ?? flow, workflow: one }))
}

/**
 * The workflow with one step, or one case of it with its controls, and just the steps it needs: those whose outputs it
 * reads, those it depends on, and the final steps that undo what one of them did. Undefined where it has no such step.
 */
export function onlyStep(whole: Workflow, name: string): Workflow | undefined {
  const wanted = whole.steps.find((step) => namesOfStep(step).includes(name))
  if (wanted === undefined) return undefined
  const { stepId } = wanted
  const workflow = { ...whole, steps: whole.steps.map((step) => (step === wanted ? onlyCase(step, name) : step)) }
  const kept = new Set([stepId])
  for (let size = 0; size < kept.size; ) {
    size = kept.size
    for (const step of workflow.steps) {
      const needs = neededBy(step, workflow.steps)
      if (step.finally && needs.some((id) => kept.has(id))) kept.add(step.stepId)
      if (kept.has(step.stepId)) for (const id of needs) kept.add(id)
    }
  }
  const steps = workflow.steps.filter((step) => kept.has(step.stepId)).map((step) => confined(step, kept))
  const outputs = [...workflow.outputs].filter(([, value]) => stepsIn(expressionsIn(value)).every((id) => kept.has(id)))
  const reduced = { ...workflow, steps, outputs: new Map(outputs) }
  const read = inputsOf(reduced)
  return {
    ...reduced,
    // Inputs that only the dropped steps read are no longer required.
    inputs: workflow.inputs.map((input) => ({ ...input, required: input.required && read.has(input.name) })),
  }
}

/** What `--step` can name: a step, and each of its cases. */
export function namesOfStep(step: Step): readonly string[] {
  return [step.stepId, ...(step.kind === 'call' ? step.cases.map((one) => one.step.stepId) : [])]
}

function onlyCase(step: Step, name: string): Step {
  if (step.kind === 'workflow' || step.stepId === name) return step
  const chosen = step.cases.find((one) => one.step.stepId === name)
  return { ...step, cases: step.cases.filter((one) => one === chosen || (one.isControl && !chosen?.isControl)) }
}

/** Steps of the same workflow that must have run before, or that a retry leads through. */
function neededBy(step: Step, all: readonly Step[]): readonly string[] {
  const cases = step.kind === 'call' ? step.cases.flatMap((one) => expressionsOf(one.step)) : []
  const read = [...expressionsOf(step), ...[...step.outputs.values()].flatMap(expressionsIn), ...cases]
  const ran = new Set(read.flatMap((expression) => (expression.kind === 'workflows' ? [expression.workflowId] : [])))
  return [
    ...stepsIn(read),
    ...all.flatMap((one) => (one.kind === 'workflow' && ran.has(one.invocation.workflowId) ? [one.stepId] : [])),
    ...step.dependsOn.flatMap(({ workflow, stepId }) => (workflow === undefined ? [stepId] : [])),
    ...step.onFailure.flatMap((action) =>
      action.type === 'retry' && action.through?.kind === 'step' ? [action.through.stepId] : [],
    ),
  ].filter((id) => id !== step.stepId)
}

function stepsIn(expressions: readonly Expression[]): string[] {
  return expressions.flatMap((expression) => (expression.kind === 'steps' ? [expression.stepId] : []))
}

/** Without the actions that lead to steps which are not there. */
function confined(step: Step, kept: ReadonlySet<string>): Step {
  const stays = (action: Action) => {
    const target = action.type === 'goto' ? action.to : undefined
    return target === undefined || (target.kind === 'step' && kept.has(target.stepId))
  }
  return { ...step, onSuccess: step.onSuccess.filter(stays), onFailure: step.onFailure.filter(stays) }
}

/** Names of the inputs that a workflow reads anywhere, also by way of other inputs. */
function inputsOf(workflow: Workflow): ReadonlySet<string> {
  const named = (expressions: readonly Expression[]) =>
    expressions.flatMap((expression) => (expression.kind === 'inputs' ? [expression.name] : []))
  const found = new Set([
    ...workflow.steps.flatMap((step) => [
      ...named(expressionsOf(step)),
      ...named([...step.outputs.values()].flatMap(expressionsIn)),
      ...[...step.onSuccess, ...step.onFailure].flatMap((action) => [
        ...action.criteria.flatMap(({ references }) => named(references)),
        ...named(argumentsOf(invocationIn(action))),
      ]),
      ...(step.kind === 'call' ? step.cases.flatMap((one) => named(expressionsOf(one.step))) : []),
    ]),
    ...[...workflow.outputs.values()].flatMap((value) => named(expressionsIn(value))),
  ])
  for (const name of found) {
    const input: Input | undefined = workflow.inputs.find((one) => one.name === name)
    const references = [input?.mint?.audience, input?.mint?.alg, input?.when].flatMap((one) => one?.references ?? [])
    for (const other of named(references)) found.add(other)
    // RFC 7523 §3: the client is the issuer and the subject of what is minted.
    if (input?.mint !== undefined) found.add('client_id')
  }
  return found
}

function invocationIn(action: Action): Invocation | undefined {
  const target = targetOf(action)
  return target?.kind === 'workflow' ? target.invocation : undefined
}

function argumentsOf(invocation: Invocation | undefined): readonly Expression[] {
  return [...(invocation?.arguments.values() ?? [])].flatMap(expressionsIn)
}
