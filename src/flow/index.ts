/**
 * Reads an Arazzo file into a Flow: checks structure and references, parses every expression, finds every operation. Runs
 * nothing and reads no environment. Reports all problems of a file at once, each with its place and remedy.
 */
import { isStronger } from '../record/effect.ts'
import { inReadingOrder, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import { openLibrary, type Volume } from './arazzo/library.ts'
import type { Flow, Invocation, Workflow } from './arazzo/model.ts'
import { expressionsIn, invocationsOf, withDependencies, workflowOf } from './arazzo/needs.ts'
import { awaitedBy, items, namedIn, textOf } from './arazzo/scope.ts'
import type { Reader } from './arazzo/structure.ts'
import { parseWorkflow } from './arazzo/workflow.ts'
import { readFlowDocument } from './document/document.ts'
import { isRecord } from './document/fields.ts'
import type { Document } from './document/model.ts'
import { namesOf } from './document/order.ts'
import type { ApiDescription } from './openapi/description.ts'

export type {
  Action,
  CallStep,
  Case,
  Criterion,
  Dependency,
  Flow,
  Input,
  Invocation,
  JwtAlteration,
  JwtHolder,
  MemberAlteration,
  Replacement,
  SigningUse,
  Step,
  Target,
  Value,
  Workflow,
  WorkflowName,
  WorkflowStep,
} from './arazzo/model.ts'

/** Reads a flow file and the API descriptions it names. Throws ToolError with all problems. */
export async function readFlow(file: string, named = 'flow'): Promise<Flow> {
  return parseFlow(await readFlowDocument(file, named))
}

async function parseFlow(document: Document): Promise<Flow> {
  const { flow, problems } = await parsedFlow(document)
  if (isNonEmpty(problems)) throw new ToolError(problems)
  return flow as Flow
}

interface Parsed {
  readonly flow: Flow | undefined
  readonly problems: readonly Problem[]
  /** the API descriptions that the document itself names */
  readonly descriptions: readonly ApiDescription[]
}

/** The readable part of a document and its problems; no flow where there are too many problems. */
export async function parsedFlow(document: Document): Promise<Parsed> {
  const problems: Problem[] = []
  try {
    const volume = await openLibrary(document, problems)
    const flow = flowOf(volume, new Map())
    checkDependencies(volume)
    checkInvocations(flow, problems)
    return {
      flow,
      problems: inReadingOrder(withoutRepetition(problems), document.file),
      descriptions: [...volume.sources.values()],
    }
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    const problems = inReadingOrder(withoutRepetition(error.problems), document.file)
    return { flow: undefined, problems, descriptions: [] }
  }
}

/** Visits each document once: documents may refer to each other. */
function flowOf(volume: Volume, known: Map<Volume, Flow>): Flow {
  const { reader, title, self } = volume
  const { file, text, sha256 } = reader.document
  const others = new Map<string, Flow>()
  const workflows: Workflow[] = []
  const sources = fieldsOfSources(reader)
  const description = textOf(reader.raw(['info', 'description']))
  const apis = filesBehind(volume)
  const flow: Flow = { file, apis, text, sha256, title, description, self, sources, others, workflows }
  known.set(volume, flow)
  for (const index of items(reader.raw(['workflows'])).keys())
    workflows.push(...[parseWorkflow(volume, ['workflows', index]) ?? []].flat())
  for (const [name, other] of volume.others) others.set(name, known.get(other) ?? flowOf(other, known))
  return flow
}

/** All other files that the document uses: API descriptions, and other Arazzo documents with their own. */
function filesBehind(volume: Volume): string[] {
  const volumes = new Set([volume])
  for (const one of volumes) for (const other of one.others.values()) volumes.add(other)
  const files = [...volumes].flatMap(({ reader, sources }) => [
    reader.document.file,
    ...[...sources.values()].map(({ document }) => document.file),
  ])
  return [...new Set(files)].filter((file) => file !== volume.reader.document.file)
}

function fieldsOfSources(reader: Reader): Flow['sources'] {
  const list = items(reader.raw(['sourceDescriptions'])).filter(isRecord)
  return new Map(list.map((fields) => [String(fields.name), fields]))
}

/** A component is read once for each reference to it; this removes the repeated problems. */
function withoutRepetition(problems: readonly Problem[]): readonly Problem[] {
  const said = new Set<string>()
  return problems.filter(({ code, at, message }) => {
    // Messages also differ in the step or workflow that has the reference.
    const key = JSON.stringify([code, at, message.replace(/(?: of)? (?:step|workflow) "[^"]*"/g, '')])
    const isNew = at === undefined || !said.has(key)
    said.add(key)
    return isNew
  })
}

/** Workflows that wait for each other, in this document or through others. */
function checkDependencies(volume: Volume): void {
  const { reader, shapes } = volume
  for (const [index, id] of [...shapes.keys()].entries()) {
    const named = namedIn(volume, id)
    const circle = named && awaitedBy(named).circle
    if (circle === undefined) continue
    const message = `workflows ${namesOf(circle.map((one) => one.workflowId))} depend on each other`
    reader.add({ code: 'FLOW_STRUCTURE', message }, ['workflows', index, 'dependsOn'])
    return
  }
}

/** A workflow must not run one with a stronger effect on the client than its own: the user is asked only about its own. */
function checkInvocations(flow: Flow, problems: Problem[]): void {
  for (const workflow of flow.workflows) {
    for (const invocation of invocationsOf(workflow)) {
      const called = workflowOf(flow, invocation)
      if (called === undefined) continue
      const ran = withDependencies(called.flow, called.workflow)
      checkEffects(workflow, invocation, ran, problems)
      if (
        called.workflow !== workflow &&
        comesBack(workflow, invocation) &&
        ran.some((one) => one.workflow === workflow)
      ) {
        problems.push({
          code: 'FLOW_STRUCTURE',
          message: `workflow "${workflow.workflowId}" runs "${called.workflow.workflowId}", which depends on "${workflow.workflowId}" and would have to wait for its end`,
          at: invocation.at,
          hint: 'run it by an action of type goto, which ends the workflow first, or remove dependsOn',
        })
      }
      checkArguments(invocation, called.workflow, problems)
      checkPassed(workflow, invocation, problems)
    }
  }
}

/** An action of type goto ends the workflow before the other one begins. */
function comesBack(workflow: Workflow, invocation: Invocation): boolean {
  const actions = workflow.steps.flatMap((step) => [...step.onSuccess, ...step.onFailure])
  return !actions.some(
    (action) => action.type === 'goto' && action.to.kind === 'workflow' && action.to.invocation === invocation,
  )
}

function checkEffects(
  workflow: Workflow,
  { at }: Invocation,
  ran: readonly { readonly workflow: Workflow }[],
  problems: Problem[],
): void {
  for (const { workflow: one } of ran) {
    if (!isStronger(one.effect, workflow.effect)) continue
    problems.push({
      code: 'FLOW_STRUCTURE',
      message: `workflow "${workflow.workflowId}" says effect: ${workflow.effect}, but runs "${one.workflowId}" with effect: ${one.effect}`,
      at,
      hint: `write effect: ${one.effect} on "${workflow.workflowId}"`,
    })
  }
}

/** Which source an assertion is for shows where a step sends it; a workflow that takes it may send it anywhere. */
function checkPassed({ workflowId, inputs }: Workflow, invocation: Invocation, problems: Problem[]): void {
  const passed = [...invocation.arguments.values()].flatMap(expressionsIn)
  for (const { name, mint } of inputs) {
    if (mint === undefined || (mint.audience !== undefined && mint.alg !== undefined)) continue
    if (!passed.some((one) => one.kind === 'inputs' && one.name === name)) continue
    problems.push({
      code: 'FLOW_STRUCTURE',
      message: `input "${name}" of workflow "${workflowId}" is minted for the source that a step sends it to, and cannot be passed to workflow "${invocation.workflowId}"`,
      at: invocation.at,
      hint: `let "${invocation.workflowId}" mint it, or say its audience and alg`,
    })
  }
}

/** Whether an input is minted, and for whom, is decided before the run; an argument is known only during it. */
function checkArguments(invocation: Invocation, called: Workflow, problems: Problem[]): void {
  for (const { name, mint, when } of called.inputs) {
    if (invocation.arguments.has(name)) continue
    const references = [mint?.audience, mint?.alg, when].flatMap((one) => one?.references ?? [])
    const passed = references.find((one) => one.kind === 'inputs' && invocation.arguments.has(one.name))
    if (passed?.kind !== 'inputs') continue
    problems.push({
      code: 'FLOW_UNSUPPORTED',
      message: `input "${name}" of workflow "${called.workflowId}" is made before the run and cannot depend on "${passed.name}", which is passed to it`,
      at: invocation.at,
      hint: `pass "${name}" too, or leave "${passed.name}" to the environment`,
    })
  }
}
