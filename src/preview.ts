/**
 * What a run would send, without sending it: each request as far as it is known before the first call. Secrets stand as
 * names, values that only an answer can give as their expressions. The requests are built by the code that builds them.
 */
import { ToolError } from './errors.ts'
import type { Context } from './flow/expression.ts'
import type { Value } from './flow/index.ts'
import { type Plan, type PlannedInput, type PlannedStep, type PlannedWorkflow, plainValue } from './plan.ts'
import { buildRequest } from './request.ts'

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
  /** absolute; expressions stand in braces where an answer decides */
  readonly url: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | undefined
  /** why the body or URL cannot be shown in full */
  readonly unknown: string | undefined
}

export function preview(plan: Plan, userAgent: string): readonly PreviewedWorkflow[] {
  return plan.workflows.map((planned) => previewWorkflow(planned, userAgent))
}

function previewWorkflow(planned: PlannedWorkflow, userAgent: string): PreviewedWorkflow {
  const { workflow, inputs, steps } = planned
  const context: Context = {
    inputs: (name) => standIn(name, inputs.get(name)),
    steps: new Map(steps.map(({ step }) => [step.stepId, { outputs: expressionsOf(step.stepId, step.outputs) }])),
  }
  return {
    workflowId: workflow.workflowId,
    summary: workflow.summary,
    effect: workflow.effect,
    inputs: [...inputs].map(([name, input]) => ({ name, source: input.origin.label, value: standIn(name, input) })),
    steps: steps.map((step) => previewStep(step, context, inputs, userAgent)),
  }
}

function previewStep(
  planned: PlannedStep,
  context: Context,
  inputs: ReadonlyMap<string, PlannedInput>,
  userAgent: string,
): PreviewedStep {
  const { step, server } = planned
  const base = { stepId: step.stepId, identity: step.identity, method: step.operation.method }
  try {
    const { outgoing } = buildRequest(planned, context, inputs, userAgent)
    const { url, headers, body } = outgoing
    return { ...base, url, headers, body: body && readable(body), unknown: undefined }
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    // A change within a value that only an answer gives.
    const url = step.url === undefined ? `${server}${step.operation.path}` : step.url.text
    return { ...base, url, headers: [], body: undefined, unknown: `known only during the run: ${error.message}` }
  }
}

/** The value where it is plain and public; else its name or expression. */
function standIn(name: string, input: PlannedInput | undefined): unknown {
  if (input === undefined || input.kind === 'absent') return undefined
  if (input.kind === 'vault') return `{$inputs.${name}}`
  return input.kind === 'minted' || input.secret ? `[${name}]` : plainValue(input)
}

function expressionsOf(stepId: string, outputs: ReadonlyMap<string, Value>): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...outputs.keys()].map((name) => [name, `{$steps.${stepId}.outputs.${name}}`]))
}

/** Braces and brackets of stand-ins are not worth percent signs in what a person reads. */
function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return decodeURIComponent(body.replaceAll('+', ' ')).replaceAll('&', '\n')
  }
}
