/**
 * An Arazzo file to a Flow: structure and references checked, every expression parsed, every operation found. Nothing is
 * run here and no environment is known. All problems of a file are reported at once, each with its place and remedy.
 */
import { dirname, resolve } from 'node:path'
import { inReadingOrder, isNonEmpty, type Problem, suggestion, ToolError } from '../errors.ts'
import { checkComponents } from './components.ts'
import { type Document, type Path, readFlowDocument } from './document.ts'
import { EFFECTS, type Flow, type Invocation, type Workflow } from './model.ts'
import { invocationsOf } from './needs.ts'
import { type ApiDescription, readApiDescription } from './openapi.ts'
import { inOrder, namesOf } from './order.ts'
import { items, type Shape, texts, unique } from './scope.ts'
import { ARAZZO, isRecord, Reader } from './structure.ts'
import { parseWorkflow, shapesOf } from './workflow.ts'

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
  Step,
  Target,
  Value,
  Workflow,
  WorkflowStep,
} from './model.ts'

/** Reads a flow file and the API descriptions it names. Throws ToolError with all problems. */
export async function readFlow(file: string, named = 'flow'): Promise<Flow> {
  return parseFlow(await readFlowDocument(file, named))
}

/** The same for a document that has been read. */
export async function parseFlow(document: Document): Promise<Flow> {
  try {
    return await parsed(new Reader(document, []))
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    const sorted = inReadingOrder(withoutRepetition(error.problems), document.file)
    throw isNonEmpty(sorted) ? new ToolError(sorted) : error
  }
}

async function parsed(reader: Reader): Promise<Flow> {
  const { document } = reader
  const root = reader.object([], 'the document', ARAZZO.document) ?? {}
  if (typeof root.arazzo === 'string' && !/^1\.[01]\.\d+/.test(root.arazzo)) {
    reader.add(
      {
        code: 'FLOW_UNSUPPORTED',
        message: 'this version of Arazzo is not supported',
        expected: '1.0.x or 1.1.x',
        found: root.arazzo,
      },
      ['arazzo'],
    )
  }
  const info = root.info === undefined ? undefined : reader.object(['info'], 'info', ARAZZO.info)
  const sources = await readSources(reader, items(root.sourceDescriptions))
  checkComponents(reader)
  const shapes = shapesOf(reader)
  const workflows = items(root.workflows).flatMap(
    (_, index) => parseWorkflow({ reader, sources, shapes }, ['workflows', index]) ?? [],
  )
  unique(reader, ['workflows'], items(root.workflows), 'workflowId')
  checkDependencies(reader, shapes)
  checkInvocations(reader, workflows)
  if (isNonEmpty(reader.problems)) throw new ToolError(reader.problems)
  const { file, text, sha256 } = document
  const apis = [...new Set([...sources.values()].map((source) => source.document.file))]
  return { file, apis, text, sha256, title: String(info?.title), workflows }
}

/** A component is read once for each reference to it, and what is wrong with it would be said as often. */
function withoutRepetition(problems: readonly Problem[]): readonly Problem[] {
  const said = new Set<string>()
  return problems.filter(({ code, at, message }) => {
    // Who refers to it is part of the message.
    const key = JSON.stringify([code, at, message.replace(/(?: of)? (?:step|workflow) "[^"]*"/g, '')])
    const isNew = at === undefined || !said.has(key)
    said.add(key)
    return isNew
  })
}

function checkDependencies(reader: Reader, shapes: ReadonlyMap<string, Shape>): void {
  for (const [index, workflow] of items(reader.raw(['workflows'])).entries()) {
    const path: Path = ['workflows', index, 'dependsOn']
    const own = (workflow as { readonly workflowId?: unknown } | null)?.workflowId
    for (const [position, name] of texts(reader.raw(path)).entries()) {
      const place: Path = [...path, position]
      if (name.startsWith('$')) {
        reader.add(
          {
            code: 'FLOW_UNSUPPORTED',
            message: `workflow "${String(own)}" depends on a workflow of another document, which is not supported yet`,
            expected: 'the workflowId of a workflow of this document',
            found: name,
          },
          place,
        )
      } else if (!shapes.has(name)) {
        reader.add(
          {
            code: 'FLOW_REFERENCE',
            message: `there is no workflow "${name}"`,
            hint: suggestion(name, shapes.keys()),
          },
          place,
        )
      } else if (name === own) {
        reader.add({ code: 'FLOW_STRUCTURE', message: `workflow "${name}" depends on itself` }, place)
      }
    }
  }
  const { circle } = inOrder(shapes.keys(), (id) => (shapes.get(id)?.dependsOn ?? []).filter((one) => one !== id))
  if (circle === undefined) return
  const index = items(reader.raw(['workflows'])).findIndex((one) => isRecord(one) && one.workflowId === circle[0])
  const message = `workflows ${namesOf(circle)} depend on each other`
  reader.add({ code: 'FLOW_STRUCTURE', message }, ['workflows', index, 'dependsOn'])
}

/** What a workflow runs must not do more to the client than it says itself; nobody would be warned. */
function checkInvocations(reader: Reader, workflows: readonly Workflow[]): void {
  const weight = ({ effect }: Workflow) => EFFECTS.indexOf(effect)
  const byId = new Map(workflows.map((workflow) => [workflow.workflowId, workflow]))
  for (const workflow of workflows) {
    for (const invocation of invocationsOf(workflow)) {
      const called = byId.get(invocation.workflowId)
      if (called === undefined) continue
      if (weight(called) > weight(workflow)) {
        reader.problems.push({
          code: 'FLOW_STRUCTURE',
          message: `workflow "${workflow.workflowId}" says effect: ${workflow.effect}, but runs "${called.workflowId}" with effect: ${called.effect}`,
          at: invocation.at,
          hint: `write effect: ${called.effect} on "${workflow.workflowId}"`,
        })
      }
      checkArguments(reader, invocation, called)
    }
  }
}

/** Whether an input is minted, and for whom, is decided before the run; an argument is known only during it. */
function checkArguments(reader: Reader, invocation: Invocation, called: Workflow): void {
  for (const { name, mint, when } of called.inputs) {
    if (invocation.arguments.has(name)) continue
    const references = [mint?.audience, mint?.alg, when].flatMap((one) => one?.references ?? [])
    const passed = references.find((one) => one.kind === 'inputs' && invocation.arguments.has(one.name))
    if (passed?.kind !== 'inputs') continue
    reader.problems.push({
      code: 'FLOW_UNSUPPORTED',
      message: `input "${name}" of workflow "${called.workflowId}" is made before the run and cannot depend on "${passed.name}", which is passed to it`,
      at: invocation.at,
      hint: `pass "${name}" too, or leave "${passed.name}" to the environment`,
    })
  }
}

async function readSources(reader: Reader, list: readonly unknown[]): Promise<ReadonlyMap<string, ApiDescription>> {
  const sources = new Map<string, ApiDescription>()
  const files = new Map<string, ApiDescription>()
  for (const index of list.keys()) {
    const path: Path = ['sourceDescriptions', index]
    const { name, url, type } =
      reader.object(path, reader.nameOf(path, 'source description', 'name'), ARAZZO.source) ?? {}
    if (typeof name !== 'string' || typeof url !== 'string') continue
    if (!/^[A-Za-z0-9_-]+$/.test(name)) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `source description name "${name}" is not usable`,
          expected: 'letters, digits, "_" and "-"',
        },
        [...path, 'name'],
      )
    }
    if (type !== undefined && type !== 'openapi') continue
    if (/^[a-z][a-z0-9+.-]+:/i.test(url)) {
      reader.add(
        {
          code: 'FLOW_UNSUPPORTED',
          message: `source description "${name}" is not a file`,
          expected: 'a relative path',
          found: url,
          hint: 'keep the API description beside the flow: a run opens no connection but to its target',
        },
        [...path, 'url'],
      )
      continue
    }
    const file = resolve(dirname(reader.document.file), url)
    try {
      const description =
        files.get(file) ?? (await readApiDescription(file, reader.document.at([...path, 'url']), reader.problems))
      files.set(file, description)
      sources.set(name, description)
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      reader.problems.push(...error.problems)
    }
  }
  unique(reader, ['sourceDescriptions'], list, 'name')
  return sources
}
