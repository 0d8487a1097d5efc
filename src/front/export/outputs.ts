/** Where an output of a step comes from in an answer, through the workflows that a step runs, and which status a step expects. */
import { dirname, resolve } from 'node:path'
import { readFlowDocument } from '../../flow/document/document.ts'
import { isRecord } from '../../flow/document/fields.ts'

/** An expression on the answer of one call. */
export interface Origin {
  /** the call, by its path in the run */
  readonly stepId: string
  readonly expression: string
}

type Fields = Readonly<Record<string, unknown>>

/** A document of a flow, with the workflows of others that it runs. */
export interface Outline {
  readonly data: Fields
  readonly others: ReadonlyMap<string, Outline>
}

export async function outlineOf(file: string, depth = 0): Promise<Outline> {
  const { data } = await readFlowDocument(file, 'flow')
  const fields = isRecord(data) ? data : {}
  const sources = list(fields.sourceDescriptions).filter((one) => one.type === 'arazzo' && depth < 4)
  const others = await Promise.all(
    sources.map(
      async (one) => [String(one.name), await outlineOf(resolve(dirname(file), String(one.url)), depth + 1)] as const,
    ),
  )
  return { data: fields, others: new Map(others) }
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

interface Place {
  readonly outline: Outline
  readonly workflow: Fields
  readonly step: Fields
}

/** A step by its path in the run, such as `software-statement/statement`. */
function stepAt(outline: Outline, workflowId: string, path: string): Place | undefined {
  const [stepId, ...deeper] = path.split('/')
  const workflow = list(outline.data.workflows).find((one) => one.workflowId === workflowId)
  const step = workflow && list(workflow.steps).find((one) => one.stepId === stepId)
  if (workflow === undefined || step === undefined) return undefined
  if (deeper.length === 0) return { outline, workflow, step }
  const called = calledBy(step, outline)
  return called && stepAt(called.outline, called.workflowId, deeper.join('/'))
}

function calledBy(
  { workflowId }: Fields,
  outline: Outline,
): { readonly outline: Outline; readonly workflowId: string } | undefined {
  if (typeof workflowId !== 'string') return undefined
  const [, source, inner] = /^\$sourceDescriptions\.([\w-]+)\.([\w-]+)$/.exec(workflowId) ?? []
  if (source === undefined || inner === undefined) return { outline, workflowId }
  const other = outline.others.get(source)
  return other && { outline: other, workflowId: inner }
}

/** Undefined where it is not simply a part of one answer. */
export function originOf(outline: Outline, workflowId: string, stepId: string, output: string): Origin | undefined {
  const place = stepAt(outline, workflowId, stepId)
  const outputs = place?.step.outputs
  const expression = isRecord(outputs) ? outputs[output] : undefined
  if (place === undefined || typeof expression !== 'string') return undefined
  const called = calledBy(place.step, place.outline)
  if (called === undefined) return { stepId, expression }
  const name = /^\$outputs\.([\w-]+)$/.exec(expression)?.[1]
  const workflow = list(called.outline.data.workflows).find((one) => one.workflowId === called.workflowId)
  const inner = isRecord(workflow?.outputs) && name !== undefined ? workflow.outputs[name] : undefined
  const [, step, of] = (typeof inner === 'string' && /^\$steps\.([\w-]+)\.outputs\.([\w-]+)$/.exec(inner)) || []
  if (step === undefined || of === undefined) return undefined
  const found = originOf(called.outline, called.workflowId, step, of)
  return found && { ...found, stepId: `${stepId}/${found.stepId}` }
}

/** Of the criterion that names one status alone. */
export function statusOf(outline: Outline, workflowId: string, stepId: string): number | undefined {
  const step = stepAt(outline, workflowId, stepId)?.step
  for (const { condition } of list(step?.successCriteria)) {
    const status = /^\$statusCode == (\d{3})$/.exec(String(condition))?.[1]
    if (status !== undefined) return Number(status)
  }
  return undefined
}
