/**
 * Values, conditions and actions of a flow in plain words: where each value comes from in this environment, and which step it
 * is of. Secrets are named, never shown. Pure.
 */

import { basename } from 'node:path'
import type { SimpleNode } from '../flow/expression/condition.ts'
import type { Condition } from '../flow/expression/criterion.ts'
import type { Expression, Template } from '../flow/expression/expression.ts'
import type { Action, Input, Target, Value } from '../flow/index.ts'
import { type PlannedInput, plainValue } from '../plan/index.ts'
import { writeJson } from '../record/json.ts'

/** What words about one step of a workflow refer to. */
export interface Reference {
  readonly declared: readonly Input[]
  readonly inputs: ReadonlyMap<string, PlannedInput>
  /** what the workflow is passed by the step that runs it, in words */
  readonly passed: ReadonlyMap<string, string>
  /** the numbers of steps in the story, by stepId */
  readonly numbers: ReadonlyMap<string, string>
  /** the source that the step calls; '' for none */
  readonly source: string
  /** whether the environment has a setting of that name */
  readonly isSetting: (name: string) => boolean
  /** the words are part of a condition, where names say more than values */
  readonly isCompared?: true
}

export function valueInWords(value: Value, about: Reference): string {
  switch (value.kind) {
    case 'literal':
      return typeof value.value === 'string' ? value.value : writeJson(value.value)
    case 'template':
      return templateInWords(value.template, about)
    case 'selector': {
      const { context } = value.selector
      return `what a selector finds in ${expressionInWords(context, about)}`
    }
    case 'object':
      return `{ ${value.members.map(([name, member]) => `${name}: ${valueInWords(member, about)}`).join(', ')} }`
    case 'array':
      return value.items.map((item) => valueInWords(item, about)).join(', ')
    default:
      return value satisfies never
  }
}

export function templateInWords(template: Template, about: Reference): string {
  switch (template.kind) {
    case 'literal':
      return template.text
    case 'expression':
      return expressionInWords(template.expression, about)
    case 'embedded':
      return partsInWords(template.parts, about)
    default:
      return template satisfies never
  }
}

function partsInWords(parts: readonly (string | Expression)[], about: Reference): string {
  return parts.map((part) => (typeof part === 'string' ? part : `<${expressionInWords(part, about)}>`)).join('')
}

export function expressionInWords(expression: Expression, about: Reference): string {
  const { pointer } = expression
  const words = sourceInWords(expression, about)
  if (expression.kind === 'response' && expression.part === 'body' && pointer.length > 0)
    return `${pointer.join('.')} of the answer`
  return pointer.length === 0 ? words : `${pointer.join('.')} of ${words}`
}

function sourceInWords(expression: Expression, about: Reference): string {
  switch (expression.kind) {
    case 'inputs':
      return inputInWords(expression.name, about)
    case 'outputs':
      return `${expression.name} that it returns`
    case 'steps':
      return `${expression.name} of step ${stepInWords(expression.stepId, about)}`
    case 'workflows':
      return `${expression.name} of workflow ${expression.workflowId}`
    case 'statusCode':
      return 'the status'
    case 'response':
      return expression.part === 'body' ? 'the answer' : `the header ${expression.name} of the answer`
    case 'request':
      return expression.part === 'body'
        ? 'the body that was sent'
        : `the ${expression.part} ${expression.name} that was sent`
    case 'url':
      return 'the URL that was called'
    case 'method':
      return 'the method of the call'
    case 'self':
    case 'sourceDescriptions':
    case 'components':
      return expression.text
    default:
      return expression satisfies never
  }
}

function stepInWords(stepId: string, { numbers }: Reference): string {
  const number = numbers.get(stepId)
  return number === undefined ? stepId : `${number} ${stepId}`
}

function inputInWords(name: string, about: Reference): string {
  const input = about.inputs.get(name)
  switch (input?.kind) {
    case undefined:
      return `input ${name}`
    case 'passed':
      return about.passed.get(name) ?? `input ${name}`
    case 'vault':
      return `${input.member} from the vault`
    case 'minted':
      return mintedInWords(input, about.source)
    case 'absent': {
      const condition = about.declared.find((one) => one.name === name)?.when
      return condition === undefined || input.origin.label !== 'not needed here'
        ? 'left out: nothing sets it here'
        : `left out: only where ${conditionInWords(condition, about)}`
    }
    case 'value':
      return knownInWords(name, input, about)
    default:
      return input satisfies never
  }
}

function mintedInWords({ assertions }: Extract<PlannedInput, { kind: 'minted' }>, source: string): string {
  const assertion = assertions.get(source) ?? assertions.get('')
  const more = assertion === undefined ? '' : `, signed with ${assertion.alg} for ${assertion.audience}`
  return `a fresh client assertion${more}`
}

function knownInWords(name: string, input: Extract<PlannedInput, { kind: 'value' }>, about: Reference): string {
  const { label, at } = input.origin
  if (at !== undefined) return `${name.toUpperCase()} of ${basename(at.file)}:${at.line}`
  if (label === '--input') return `--input ${name}`
  if (label === 'certificate')
    return name === 'renewed_thumbprint'
      ? 'the thumbprint of the renewed certificate'
      : 'the thumbprint of the transport certificate'
  if (label !== 'default') return label
  const whose = about.isSetting(name) ? name.toUpperCase() : `input ${name}`
  if (input.secret) return `the default of ${whose}`
  const value = shown(plainValue(input))
  return about.isCompared ? `${whose} (${value} by default)` : `${value} (default of ${whose})`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
  return isList ? value.join(' ') : writeJson(value)
}

export function conditionInWords(condition: Condition, reference: Reference): string {
  const about: Reference = { ...reference, isCompared: true }
  switch (condition.kind) {
    case 'simple':
      return nodeInWords(condition.root, about)
    case 'regex':
      return `${expressionInWords(condition.context, about)} matches ${partsInWords(condition.parts, about)}`
    case 'jsonpath': {
      const parts = condition.parts.map((part) => (typeof part === 'string' ? part : part.expression))
      return pathInWords(partsInWords(parts, about), expressionInWords(condition.context, about))
    }
    case 'jsonpointer':
      return `${expressionInWords(condition.context, about)} has ${condition.text}`
    default:
      return condition satisfies never
  }
}

/** The forms of JSONPath that flows have, with the member that each looks at first. */
const PATHS: readonly (readonly [form: RegExp, words: (member: string, value: string, name: string) => string])[] = [
  [/^\$\[\?\$\.([\w.]+) == '([^']*)'\]$/, (member, value) => `${member} is exactly ${value}`],
  [/^\$\.([\w.]+)\[\?@ == '([^']*)'\]$/, (member, value) => `${member} has ${value}`],
  [/^\$\[\?!\(\$\.([\w.]+)\[\?@ == '([^']*)'\]\)\]$/, (member, value) => `${member} does not have ${value}`],
  [
    /^\$\.([\w.]+)\[\?@\.(?<name>\w+) == '([^']*)'\]$/,
    (member, value, name) => `${member} has one with ${name} ${value}`,
  ],
  [
    /^\$\.([\w.]+)\[\?@\.(?<name>\w+) != '([^']*)'\]$/,
    (member, value, name) => `${member} has one with another ${name} than ${value}`,
  ],
  [/^\$\.([\w.]+)$/, (member) => `${member} is there`],
]

function pathInWords(path: string, context: string): string {
  for (const [form, words] of PATHS) {
    const match = form.exec(path)
    if (match === null) continue
    const { name = '' } = match.groups ?? {}
    return words(`${match[1]} of ${context}`, match.at(-1) ?? '', name)
  }
  return `${context} has ${path}`
}

const OPERATORS = {
  '==': 'is',
  '!=': 'is not',
  '<': 'is less than',
  '<=': 'is at most',
  '>': 'is more than',
  '>=': 'is at least',
} as const

function nodeInWords(node: SimpleNode, about: Reference): string {
  switch (node.kind) {
    case 'literal':
      return String(node.value)
    case 'value': {
      const words = expressionInWords(node.expression, about)
      return node.path.length === 0 ? words : `${node.path.join('.')} of ${words}`
    }
    case 'not':
      return `not (${nodeInWords(node.operand, about)})`
    case 'and':
    case 'or':
      return node.operands.map((operand) => nodeInWords(operand, about)).join(` ${node.kind} `)
    case 'compare':
      return `${nodeInWords(node.left, about)} ${node.exact ? 'is exactly' : OPERATORS[node.operator]} ${nodeInWords(node.right, about)}`
    default:
      return node satisfies never
  }
}

/** What may follow a step: `if the status is 403, tried again after 60 s, at most 120 times`. */
export function actionInWords(action: Action, about: Reference): string {
  const criteria = action.criteria.map((condition) => conditionInWords(condition, about))
  const first = criteria.length === 0 ? '' : `if ${criteria.join(' and ')}, `
  switch (action.type) {
    case 'end':
      return `${first}the workflow ends`
    case 'goto':
      return `${first}on to ${targetInWords(action.to, about)}`
    case 'retry': {
      const through = action.through === undefined ? '' : `, from ${targetInWords(action.through, about)}`
      const times = action.retryLimit === 1 ? 'once' : `at most ${action.retryLimit} times`
      return `${first}tried again${through} after ${action.retryAfterMs / 1000} s, ${times}`
    }
    default:
      return action satisfies never
  }
}

function targetInWords(target: Target, about: Reference): string {
  return target.kind === 'step'
    ? `step ${stepInWords(target.stepId, about)}`
    : `workflow ${target.invocation.workflowId}`
}
