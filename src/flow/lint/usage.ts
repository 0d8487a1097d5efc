/** Rules about unused inputs, outputs and steps; and about hosts, which belong to the environment. */
import { isRecord } from '../document/fields.ts'
import { wordsOf } from './criteria.ts'
import type { Findings } from './findings.ts'
import { extensionOf, type InputView, PROSE, type StepView, texts, type View, type WorkflowView } from './view.ts'

export function lintUsage(view: View, findings: Findings): void {
  unusedInputs(view, findings)
  for (const workflow of view.workflows) {
    unusedOutputs(workflow, referencesIn(workflow.fields), findings)
    unreachable(workflow, view, findings)
    for (const holder of [workflow, ...workflow.steps]) outputsWithoutExpression(holder, findings)
    hosts(workflow, findings)
  }
}

/** Searches the text, not the parsed expressions: an expression with a mistake still uses the name. */
const REFERENCE =
  /\$inputs\.([\w.-]{1,256})|\$steps\.([\w-]{1,256})\.outputs(?:\.([\w.-]{1,256}))?|\$workflows\.[\w-]{1,256}\.steps\.([\w-]{1,256})/g

interface References {
  readonly inputs: ReadonlySet<string>
  /** by step, the outputs read; '' for all of them at once */
  readonly outputs: ReadonlyMap<string, ReadonlySet<string>>
}

function referencesIn(value: unknown): References {
  const inputs = new Set<string>()
  const outputs = new Map<string, Set<string>>()
  for (const { text } of texts(value, [], PROSE)) {
    for (const [, input, step, output, elsewhere] of text.matchAll(REFERENCE)) {
      if (input !== undefined) for (const name of meanings(input)) inputs.add(name)
      const stepId = step ?? elsewhere
      if (stepId === undefined) continue
      const names = outputs.get(stepId) ?? new Set()
      for (const name of output === undefined ? [''] : meanings(output)) names.add(name)
      outputs.set(stepId, names)
    }
  }
  return { inputs, outputs }
}

/** A dot is part of a name or leads to a member, so `$inputs.user.id` reads "user.id" or "user". */
function meanings(text: string): string[] {
  const parts = text.split('.').slice(0, 16)
  return [text, ...parts.map((_, index) => parts.slice(0, index + 1).join('.'))]
}

/** An input shared by reference counts as used where one of the workflows reads it. */
function unusedInputs({ workflows, root }: View, findings: Findings): void {
  const shared = referencesIn(root.components).inputs
  const declared = new Map<string, { readonly input: InputView; isUsed: boolean }>()
  for (const { fields, inputs } of workflows) {
    const { inputs: used } = referencesIn(fields)
    for (const input of inputs) {
      const key = JSON.stringify(input.path)
      const known = declared.get(key) ?? { input, isUsed: false }
      // An input with x-dcr may be unused on purpose: it stops runners that do not know x-dcr.
      known.isUsed ||= used.has(input.name) || shared.has(input.name) || 'x-dcr' in input.fields
      declared.set(key, known)
    }
  }
  for (const { input, isUsed } of declared.values()) {
    if (isUsed) continue
    findings.add('unused-input', input.path, `${input.what} of ${input.of} is read nowhere`, { key: true })
  }
}

function unusedOutputs({ steps }: WorkflowView, { outputs }: References, findings: Findings): void {
  for (const step of steps) {
    const used = outputs.get(step.stepId)
    if (used?.has('') || !isRecord(step.fields.outputs)) continue
    for (const name of Object.keys(step.fields.outputs)) {
      if (used?.has(name)) continue
      const message = `output "${name}" of ${step.what} is read nowhere`
      findings.add('unused-output', [...step.path, 'outputs', name], message, { key: true })
    }
  }
}

function outputsWithoutExpression({ fields, path, what }: WorkflowView | StepView, findings: Findings): void {
  if (!isRecord(fields.outputs)) return
  for (const [name, content] of Object.entries(fields.outputs)) {
    if (typeof content !== 'string' || /^\$[A-Za-z]|\{\$[A-Za-z]/.test(content)) continue
    const isMeant = /^(?:response|request|inputs|steps|statusCode|url|method)\b/.test(content)
    const message = `output "${name}" of ${what} is a fixed text`
    const more = isMeant ? { hint: `did you mean "$${content}"?` } : {}
    findings.add('output-without-expression', [...path, 'outputs', name], message, more)
  }
}

function unreachable({ fields, steps }: WorkflowView, { root }: View, findings: Findings): void {
  const indexes = new Map(steps.map(({ stepId }, index) => [stepId, index]))
  const cleanups = steps.flatMap((step, index) => (extensionOf(step).finally === true ? [index] : []))
  const open = [0, ...cleanups]
  // Shared actions may lead anywhere: a step that one of them names counts as reached.
  const shared = [fields.successActions, fields.failureActions, root.components]
  for (const { text } of texts(shared, [])) open.push(indexes.get(text) ?? 0)
  const reached = new Set<StepView>()
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    const step = steps[index]
    if (step === undefined || reached.has(step)) continue
    reached.add(step)
    for (const { fields: action } of step.actions) open.push(indexes.get(String(action.stepId)) ?? 0)
    const leaves = step.actions.some(
      ({ on, fields: action, criteria }) =>
        on === 'onSuccess' && criteria.length === 0 && (action.type === 'end' || action.type === 'goto'),
    )
    if (!leaves) open.push(index + 1)
  }
  for (const step of steps) {
    if (!reached.has(step)) findings.add('unreachable-step', step.path, `${step.what} can never run`)
  }
}

/** Of a pattern, such as https://[^/]+, nothing. */
const HTTP = /https?:\/\/(\[[\da-fA-F:.]+\]|[^\s/?#'"{}\\:[\]]+)/
/** Names that the registries reserve for samples, and this machine. */
const NOBODY = /(?:^|\.)(?:example(?:\.(?:com|org|net))?|invalid|test|localhost)$|^127\.|^\[?::1/
/** Client metadata that the client itself decides (RFC 7591 section 2). */
const OWN_METADATA =
  /(?:^|_)(?:redirect|client|logo|policy|tos|jwks|initiate_login|logout|sector_identifier|request)_?uris?$/
const NOT_SENT = new Set([...PROSE, '$schema', '$id', '$ref', 'clauses'])

function hosts({ fields, path }: WorkflowView, findings: Findings): void {
  for (const { text, path: place } of texts(fields, path, NOT_SENT)) {
    const host = HTTP.exec(text)
    if (host === null || NOBODY.test(host[1] ?? '')) continue
    const names = place.filter((key) => typeof key === 'string').map((key) => wordsOf(String(key)))
    if (names.some((name) => OWN_METADATA.test(name))) continue
    findings.add('host-in-flow', place, `the host "${host[1]}" is written into the flow`, { offset: host.index })
  }
}
