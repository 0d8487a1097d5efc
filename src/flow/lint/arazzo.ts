/**
 * Checks Arazzo's own rules for the parts that thredd does not run (steps on message channels, selectors, versions), so that
 * lint calls a document valid only where it is. Does not repeat the errors of reading a flow.
 * @see [Arazzo 1.1](https://spec.openapis.org/arazzo/v1.1.0.html)
 */

import { items } from '../arazzo/scope.ts'
import { TARGETS } from '../arazzo/target.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { ExpressionError } from '../expression/expression.ts'
import { selectorKind } from '../expression/selector.ts'
import type { Findings } from './findings.ts'
import { places, type StepView, type View } from './view.ts'

export function lintArazzo(view: View, findings: Findings): void {
  const { sources, workflows } = view
  for (const { path, what, fields } of sources) {
    if (fields.type === 'asyncapi') findings.add('asyncapi', [...path, 'type'], `${what} is an AsyncAPI description`)
  }
  for (const workflow of workflows) {
    repeats(workflow.fields.dependsOn, [...workflow.path, 'dependsOn'], `dependsOn of ${workflow.what}`, findings)
    outputs(workflow.fields.outputs, [...workflow.path, 'outputs'], workflow.what, findings)
    for (const step of workflow.steps) lintStep(step, findings)
  }
}

function structure(
  findings: Findings,
  path: Path,
  message: string,
  more: { expected?: string; found?: string; hint?: string | undefined; offset?: number } = {},
): void {
  findings.add('arazzo-structure', path, message, { hint: undefined, ...more })
}

/** Members that only a step on a message channel has. */
export const CHANNEL_MEMBERS = ['channelPath', 'action', 'correlationId'] as const

function lintStep(step: StepView, findings: Findings): void {
  const { path, what, fields } = step
  const other = TARGETS.find((member) => fields[member] !== undefined)
  if (fields.channelPath !== undefined && other !== undefined) {
    const message = `${what} has both "${other}" and "channelPath"`
    structure(findings, [...path, 'channelPath'], message, { expected: 'one of them' })
  }
  channel(step, findings)
  const { dependsOn, successCriteria } = fields
  if (Array.isArray(dependsOn) && dependsOn.length === 0) {
    structure(findings, [...path, 'dependsOn'], `dependsOn of ${what} is empty`, { expected: 'at least one step' })
  }
  repeats(dependsOn, [...path, 'dependsOn'], `dependsOn of ${what}`, findings)
  for (const [index, name] of items(dependsOn).entries()) {
    if (typeof name !== 'string' || DEPENDENCY.test(name)) continue
    structure(findings, [...path, 'dependsOn', index], `"${name}" does not name a step`, {
      expected:
        'a stepId, $workflows.<workflowId>.steps.<stepId> or $sourceDescriptions.<name>.<workflowId>.steps.<stepId>',
      hint: name.startsWith('$steps.') ? `did you mean "${name.slice('$steps.'.length)}"?` : undefined,
    })
  }
  if (Array.isArray(successCriteria) && successCriteria.length === 0) {
    structure(findings, [...path, 'successCriteria'], `successCriteria of ${what} is empty`, {
      expected: 'at least one criterion',
      hint: 'leave the member out: a step without criteria holds on a 2xx',
    })
  }
  parameters(step, findings)
  outputs(fields.outputs, [...path, 'outputs'], what, findings)
  for (const criterion of [step.criteria, ...step.cases, ...step.actions.map(({ criteria }) => criteria)].flat()) {
    const { type: flavour, context } = criterion.fields
    type(flavour, [...criterion.path, 'type'], CRITERIA, findings)
    if (flavour === undefined || context !== undefined) continue
    const hint = flavour === 'simple' ? 'simple is the default: leave out the type' : undefined
    const message = `${criterion.what} has a type and no context`
    structure(findings, [...criterion.path, 'type'], message, { expected: 'context: a runtime expression', hint })
  }
  const body = isRecord(fields.requestBody) ? fields.requestBody : {}
  for (const replacement of places(body.replacements, [...path, 'requestBody', 'replacements'], 'replacement')) {
    type(replacement.fields.targetSelectorType, [...replacement.path, 'targetSelectorType'], SELECTORS, findings)
    selector(replacement.fields.value, [...replacement.path, 'value'], `${replacement.what} of ${what}`, findings)
  }
}

const DEPENDENCY = /^(?!\$).|^\$workflows\.[^.]+\.steps\.[^.]+$|^\$sourceDescriptions\.[^.]+\.[^.]+\.steps\.[^.]+$/s

/** Members of steps that send to or receive from a message channel (Arazzo 1.1 Step Object). */
function channel({ path, what, fields }: StepView, findings: Findings): void {
  const [first] = CHANNEL_MEMBERS.filter((member) => fields[member] !== undefined)
  if (first === undefined) return
  const { action } = fields
  if (fields.workflowId !== undefined) {
    if (first === 'channelPath') return
    structure(findings, [...path, first], `${what} calls a workflow, which has no "${first}"`)
    return
  }
  findings.add('asyncapi', [...path, first], `${what} is a step on a message channel`)
  if (action === undefined) {
    structure(findings, path, `${what} has "${first}" and no "action"`, { expected: 'action: send | receive' })
  } else if (action !== 'send' && action !== 'receive') {
    const expected = 'send, receive'
    structure(findings, [...path, 'action'], `"action" of ${what} has an unknown value`, { expected })
  } else if (action === 'send' && fields.correlationId !== undefined) {
    const message = `${what} sends, and only a step that receives has a "correlationId"`
    structure(findings, [...path, 'correlationId'], message)
  }
}

function parameters({ path, what, fields }: StepView, findings: Findings): void {
  const seen = new Set<string>()
  for (const parameter of places(fields.parameters, [...path, 'parameters'], 'parameter', 'name')) {
    const { name, in: location, value, reference } = parameter.fields
    selector(value, [...parameter.path, 'value'], `${parameter.what} of ${what}`, findings)
    if (reference !== undefined) continue
    if (location === undefined && fields.workflowId === undefined) {
      structure(findings, parameter.path, `${parameter.what} of ${what} does not say where it goes`, {
        expected: 'in: path, query, querystring, header or cookie',
      })
    }
    const key = `${String(location)} ${String(name)}`
    if (seen.has(key)) structure(findings, parameter.path, `${parameter.what} of ${what} occurs twice`)
    seen.add(key)
  }
}

function outputs(raw: unknown, path: Path, what: string, findings: Findings): void {
  if (!isRecord(raw)) return
  for (const [name, content] of Object.entries(raw)) {
    const own = [...path, name]
    if (isRecord(content)) selector(content, own, `output "${name}" of ${what}`, findings, true)
    else if (typeof content !== 'string') {
      const message = `output "${name}" of ${what} is neither an expression nor a Selector Object`
      structure(findings, own, message)
    }
  }
}

const SELECTOR = ['context', 'selector', 'type'] as const

/** A Selector Object; where any object is allowed, one with a member "selector" is taken for it. */
function selector(raw: unknown, path: Path, what: string, findings: Findings, isOne = false): void {
  if (!isRecord(raw) || !(isOne || 'selector' in raw)) return
  const missing = SELECTOR.filter((member) => raw[member] === undefined)
  const strange = Object.keys(raw).find((name) => !(SELECTOR as readonly string[]).includes(name) && !/^x-/.test(name))
  if (missing.length > 0 || strange !== undefined) {
    structure(findings, path, `${what} is not a Selector Object`, {
      expected: '{ context, selector, type }',
      found: `{ ${Object.keys(raw).join(', ')} }`,
      hint: strange === 'expression' ? 'did you mean "context"?' : undefined,
    })
  }
  type(raw.type, [...path, 'type'], SELECTORS, findings)
}

const CRITERIA = ['simple', 'regex', 'jsonpath', 'xpath']
const SELECTORS = ['jsonpath', 'jsonpointer', 'xpath']
const XPATH_VERSIONS = ['xpath-31', 'xpath-30', 'xpath-20', 'xpath-10']

/** A type as a word, or an Expression Type Object with its version. */
function type(raw: unknown, path: Path, words: readonly string[], findings: Findings): void {
  if (raw === undefined) return
  const { type: name, version } = typeOf(raw)
  if (name === 'xpath') {
    findings.add('xpath', path, 'XPath is not supported')
    if (version === undefined || XPATH_VERSIONS.includes(version)) return
    structure(findings, [...path, 'version'], `version "${version}" of xpath is unknown`, {
      expected: XPATH_VERSIONS.join(', '),
    })
    return
  }
  try {
    selectorKind(raw as Parameters<typeof selectorKind>[0], words)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const { message, expected, hint, unsupported } = error
    if (!unsupported) structure(findings, path, message, { ...(expected === undefined ? {} : { expected }), hint })
  }
}

function typeOf(raw: unknown): { readonly type: unknown; readonly version?: string | undefined } {
  if (!isRecord(raw)) return { type: raw }
  const fields: Fields = raw
  return { type: fields.type, version: fields.version === undefined ? undefined : String(fields.version) }
}

function repeats(list: unknown, path: Path, what: string, findings: Findings): void {
  const seen = new Set<unknown>()
  for (const [index, name] of items(list).entries()) {
    if (seen.has(name)) structure(findings, [...path, index], `${what} names "${String(name)}" twice`)
    seen.add(name)
  }
}
