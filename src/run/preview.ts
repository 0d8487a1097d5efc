/**
 * What a run would send, without sending it: each request as far as it is known before the first call, built by the same code
 * as in a run. A secret is shown by its name, a value that only an answer can give by its expression.
 */

import { buildRequest, evaluate, jwtAlterations, methodOf, OMITTED } from '../execute/request.ts'
import { PROBES } from '../flow/arazzo/probes.ts'
import { asText, type Context } from '../flow/expression/expression.ts'
import type { CallStep, Invocation, JwtHolder, MemberAlteration, Value } from '../flow/index.ts'
import {
  inputsWithin,
  type Plan,
  type PlannedCall,
  type PlannedInput,
  type PlannedWorkflow,
  plainValue,
} from '../plan/index.ts'
import { ToolError } from '../record/errors.ts'
import { readJson, writeJson } from '../record/json.ts'

export interface PreviewedWorkflow {
  readonly workflowId: string
  readonly summary: string | undefined
  readonly effect: string
  readonly inputs: readonly { readonly name: string; readonly source: string; readonly value: unknown }[]
  readonly steps: readonly PreviewedStep[]
}

export interface PreviewedStep {
  readonly stepId: string
  readonly identity: string
  readonly method: string
  /** absolute; a part that only an answer gives is its expression in braces */
  readonly url: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | undefined
  /** why the body or URL cannot be shown in full */
  readonly unknown: string | undefined
}

export function preview(plan: Plan, userAgent: string): readonly PreviewedWorkflow[] {
  return plan.workflows.map((planned) => previewWorkflow(planned, userAgent))
}

/** The scopes that a request would have registered. */
export function scopesAskedBy({ method, body }: PreviewedStep): readonly string[] {
  if (body === undefined || (method !== 'POST' && method !== 'PUT') || !body.startsWith('{')) return []
  try {
    const { scopes } = JSON.parse(body) as { scopes?: unknown }
    return Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : []
  } catch {
    return []
  }
}

function previewWorkflow(planned: PlannedWorkflow, userAgent: string): PreviewedWorkflow {
  const { workflow, inputs } = planned
  return {
    workflowId: workflow.workflowId,
    summary: workflow.summary,
    effect: workflow.effect,
    inputs: [...inputsWithin(planned)].map(([name, input]) => ({
      name,
      source: input.origin.label,
      value: standIn(name, input),
    })),
    steps: previewSteps(planned, inputs, { userAgent, prefix: '', within: [planned] }),
  }
}

/** How the steps of one workflow are shown. */
interface Frame {
  readonly userAgent: string
  /** stands before the step ids of a workflow that runs as a step of another */
  readonly prefix: string
  /** the workflow and those that run it; one that runs itself is not shown again */
  readonly within: readonly PlannedWorkflow[]
}

/** Each step as it would be sent: one with cases once for each case, one that runs a workflow as the steps of that workflow. */
function previewSteps(
  { flow, sources, steps, invoked, dependencies }: PlannedWorkflow,
  inputs: ReadonlyMap<string, PlannedInput>,
  { userAgent, prefix, within }: Frame,
): PreviewedStep[] {
  const context: Context = {
    inputs: (name) => standIn(name, inputs.get(name)),
    self: flow.self,
    sourceDescriptions: sources,
    steps: new Map(steps.map(({ step }) => [step.stepId, { outputs: expressionsOf(step.stepId, step.outputs) }])),
  }
  const hasRun = new Set(dependencies)
  return steps.flatMap((planned) => {
    if (planned.kind === 'call') {
      const { cases } = planned.step
      const variants = cases.length === 0 ? [planned] : cases.map(({ step }) => ({ ...planned, step }))
      return variants.map((one) => {
        const step = previewStep(one, context, inputs, userAgent)
        return { ...step, stepId: prefix + step.stepId }
      })
    }
    const { stepId, invocation } = planned.step
    const called = invoked.get(invocation)
    if (called === undefined || within.includes(called)) return []
    const inside = (one: PlannedWorkflow, known: PlannedWorkflow['inputs'], deeper: string) =>
      previewSteps(one, known, { userAgent, prefix: `${prefix}${stepId}/${deeper}`, within: [...within, called] })
    const before = called.dependencies.filter((one) => !hasRun.has(one))
    for (const one of before) hasRun.add(one)
    return [
      ...before.flatMap((one) => inside(one, one.inputs, `dependsOn/${one.workflow.workflowId}/`)),
      ...inside(called, passedInputs(called, invocation, context, inputs), ''),
    ]
  })
}

/** The inputs of a workflow that another one runs; an argument that only an answer gives is shown as its expression. */
function passedInputs(
  { inputs: planned }: PlannedWorkflow,
  invocation: Invocation,
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
): ReadonlyMap<string, PlannedInput> {
  const passed = [...invocation.arguments].map(([name, argument]): [string, PlannedInput] => {
    const { secret = false, origin = { label: 'passed' } } = planned.get(name) ?? {}
    const value = evaluate(argument, context, inputs)
    return [name, value === OMITTED ? { kind: 'absent', secret, origin } : { kind: 'value', value, secret, origin }]
  })
  return new Map([...planned, ...passed])
}

function previewStep(
  planned: PlannedCall,
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
  userAgent: string,
): PreviewedStep {
  const { step, server } = planned
  const base = { stepId: step.stepId, identity: step.identity, method: methodOf(step) }
  const shown = (one: PlannedCall, unknown?: string): PreviewedStep => {
    const { url, headers, body } = buildRequest(one, context, inputs, userAgent, alteredJwts(step)).outgoing
    const type = headers.find(([name]) => name === 'content-type')?.[1]
    return {
      ...base,
      url: url.replace(STAND_IN, decodeURIComponent),
      headers,
      body: body && readable(body, type),
      unknown,
    }
  }
  try {
    return shown(planned, step.probe && `a probe in place of the call: it ${PROBES[step.probe].about}`)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    try {
      return shown(unchanged(planned), `changed during the run: ${changesOf(step, context, inputs).join('; ')}`)
    } catch (deeper) {
      if (!(deeper instanceof ToolError)) throw deeper
      const url = step.url === undefined ? `${server}${step.operation.path}` : step.url.text
      return { ...base, url, headers: [], body: undefined, unknown: `known only during the run: ${deeper.message}` }
    }
  }
}

/** The same without changes of the payload, which cannot be made within a value that only an answer gives. */
function unchanged(planned: PlannedCall): PlannedCall {
  const { step } = planned
  return {
    ...planned,
    step: {
      ...step,
      requestBody: step.requestBody && { ...step.requestBody, replacements: [] },
      alterations: step.alterations.filter(({ place }) => place === 'header' || place === 'method'),
    },
  }
}

function changesOf(step: CallStep, context: Context, inputs: ReadonlyMap<string, PlannedInput>): string[] {
  const pointer = (tokens: readonly string[]) =>
    tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  const altered = step.alterations.filter(isInPayload).map(({ tokens, value }) => ({ text: pointer(tokens), value }))
  return [...(step.requestBody?.replacements ?? []), ...altered].map(({ text, value }) => {
    const known = value === undefined ? OMITTED : evaluate(value, context, inputs)
    return known === OMITTED ? `remove ${text}` : `set ${text} to ${asText(known)}`
  })
}

function isInPayload(alteration: CallStep['alterations'][number]): alteration is MemberAlteration {
  return alteration.place === 'form' || alteration.place === 'body'
}

/** What is shown for a JWT that is signed anew for the step, by what holds it. */
function alteredJwts(step: CallStep): ReadonlyMap<JwtHolder, string> {
  const altered = [...jwtAlterations(step)].map(([holder, alterations]): [JwtHolder, string] => [
    holder,
    `[${alterations.map(({ text }) => text).join('; ')}]`,
  ])
  return new Map(altered)
}

/** The value where it is known and public; else its name or its expression. */
function standIn(name: string, input: PlannedInput | undefined): unknown {
  if (input === undefined || input.kind === 'absent') return undefined
  if (input.kind === 'vault') return `{$inputs.${name}}`
  return input.kind === 'minted' || input.secret ? `[${name}]` : plainValue(input)
}

function expressionsOf(stepId: string, outputs: ReadonlyMap<string, Value>): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...outputs.keys()].map((name) => [name, `{$steps.${stepId}.outputs.${name}}`]))
}

/** Expressions and names in a path, where their braces and brackets are percent-encoded; a person reads them without. */
const STAND_IN = /%7B%24(?:inputs|steps)\.[\w.-]+%7D|%5B\w+%5D/g

/** A body that is neither JSON nor a form, perhaps broken on purpose, is shown as it is. */
function readable(body: string, type = ''): string {
  if (type.startsWith('application/x-www-form-urlencoded'))
    return [...new URLSearchParams(body)].map(([name, value]) => `${name}=${value}`).join('\n')
  const json = readJson(body)
  return json.ok ? writeJson(json.value, 2) : body
}
