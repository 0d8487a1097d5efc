/** Rules about criteria that check nothing, or not what their author meant. Reads conditions only, never an answer. */

import { items } from '../arazzo/scope.ts'
import { evaluateSimple, type SimpleNode, type SimpleValue } from '../expression/condition.ts'
import { type Condition, exactCondition } from '../expression/criterion.ts'
import { ExpressionError } from '../expression/expression.ts'
import { CHANNEL_MEMBERS } from './arazzo.ts'
import { knowsExtension } from './extension.ts'
import type { Findings } from './findings.ts'
import { type CriterionView, extensionOf, type View } from './view.ts'

export function lintCriteria({ root, workflows, sharedActions }: View, findings: Findings): void {
  const isOurs = knowsExtension(root)
  const steps = workflows.flatMap((workflow) => workflow.steps)
  for (const step of steps) {
    // What a refusal has to be is known: `expect: refused` is judged without any, and so is a probe.
    const { expect, probe } = extensionOf(step)
    const isJudged = expect === 'refused' || probe !== undefined
    if (!isJudged && NOTHING_TO_CHECK.every((member) => step.fields[member] === undefined))
      findings.add('no-criteria', step.path, `${step.what} has no criteria`)
  }
  const lists = [
    ...steps.flatMap(({ criteria, cases }) => [criteria, ...cases].map((list) => ({ list, isOfStep: true }))),
    ...[...steps.flatMap(({ actions }) => actions), ...sharedActions].map(({ criteria }) => ({
      list: criteria,
      isOfStep: false,
    })),
  ]
  // A criterion with a YAML anchor is one object in the data, however often it is used.
  const seen = new Set<unknown>()
  for (const { list, isOfStep } of lists) {
    if (!seen.has(list[0]?.fields)) repeated(list, findings)
    for (const criterion of list) {
      if (seen.has(criterion.fields)) continue
      seen.add(criterion.fields)
      constant(criterion, isOfStep, findings)
      nullInFilter(criterion, findings)
      withoutCase(criterion, isOurs, findings)
      const { level, clauses } = extensionOf(criterion)
      if (level === 'should' && items(clauses).length === 0) {
        const message = `${criterion.what} is a should of no clause`
        findings.add('should-without-clause', [...criterion.path, 'x-dcr', 'level'], message)
      }
    }
  }
}

/** A step that calls a workflow, or stands on a message channel, has no status to name. */
const NOTHING_TO_CHECK = ['successCriteria', 'workflowId', ...CHANNEL_MEMBERS] as const

function repeated(list: readonly CriterionView[], findings: Findings): void {
  const first = new Map<string, CriterionView>()
  for (const criterion of list) {
    const key = keyOf(criterion)
    const earlier = first.get(key)
    if (earlier === undefined) {
      first.set(key, criterion)
      continue
    }
    const { line } = findings.document.at(earlier.path)
    const message = `${criterion.what} repeats the one of line ${line}`
    findings.add('criterion-repeated', [...criterion.path, 'condition'], message)
  }
}

/** Equal where only blanks differ that mean nothing. */
function keyOf({ fields, text, condition }: CriterionView): string {
  const form = condition?.kind === 'regex' ? text : text.replace(/'[^']*'|"[^"]*"|\s+/g, (part) => part.trim())
  return JSON.stringify([fields.context ?? null, fields.type ?? 'simple', form])
}

function constant(criterion: CriterionView, isOfStep: boolean, findings: Findings): void {
  const { condition, path, what } = criterion
  if (condition === undefined) return
  const outcome = outcomeOf(condition)
  if (outcome === undefined) return
  // An action that is always taken says so by having such criteria; that one never is can only be a mistake.
  if (outcome.holds && !isOfStep) return
  findings.add(
    outcome.holds ? 'criterion-always-holds' : 'criterion-never-holds',
    [...path, 'condition'],
    `${what} ${outcome.holds ? 'can never fail' : 'can never hold'}: ${outcome.because}`,
  )
}

interface Outcome {
  readonly holds: boolean
  readonly because: string
}

/** What a condition comes to whatever the answer is; undefined where that depends on the answer, as it should. */
function outcomeOf(condition: Condition): Outcome | undefined {
  const { text } = condition
  switch (condition.kind) {
    case 'simple': {
      const holds =
        onStatuses(condition, statusesOf(text), (status) => truth(condition.root, status)) ??
        constantTruth(condition.root)
      if (holds === undefined) return undefined
      return { holds, because: condition.references.length === 0 ? 'it reads nothing of the answer' : verdict(holds) }
    }
    case 'regex': {
      const { pattern } = condition
      if (pattern === undefined) return undefined
      const statuses = pattern.size <= LARGEST_PATTERN ? STATUSES : []
      const holds = onStatuses(condition, statuses, (status) => pattern.test(String(status)))
      if (holds !== undefined) return { holds, because: verdict(holds) }
      return PROBES.every((probe) => pattern.test(probe))
        ? { holds: true, because: 'the pattern matches the empty string, so it is found in every text' }
        : undefined
    }
    case 'jsonpath':
      if (!/^\s*\$\s*(?:(?:\.\.?\s*\*|(?:\.\.)?\[\s*\*\s*\])\s*)*$/.test(text)) return undefined
      return { holds: true, because: text.trim() === '$' ? 'the root is always there' : 'it selects whatever is there' }
    case 'jsonpointer':
      return text === '' ? { holds: true, because: 'an empty pointer is the whole value' } : undefined
    default:
      return condition satisfies never
  }
}

function verdict(holds: boolean): string {
  return holds ? 'it holds for every answer' : 'it holds for no answer'
}

/** Texts so different that only a pattern that is found everywhere is found in all. */
const PROBES = ['', ' ', 'a', '0', '\n', '{"error":"invalid_client"}', 'é']
const STATUSES = Array.from({ length: 500 }, (_, index) => 100 + index)

/** Instructions of a pattern; a larger one is not tried on every status. */
const LARGEST_PATTERN = 200
/** Numbers of a condition; one with more is not tried. */
const MOST_NUMBERS = 32

/** Between the numbers that a condition mentions its outcome does not change. */
function statusesOf(text: string): readonly number[] {
  const numbers = Array.from(text.matchAll(/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g), ([number]) => Math.floor(Number(number)))
  if (numbers.length > MOST_NUMBERS) return []
  const around = numbers.flatMap((number) => [number - 1, number, number + 1, number + 2])
  return [100, 599, ...around.filter((status) => status >= 100 && status <= 599)]
}

/** The outcome of a condition that reads the status and nothing else: the same for each of `statuses`, or undefined. */
function onStatuses(
  { references }: Condition,
  statuses: readonly number[],
  test: (status: number) => boolean,
): boolean | undefined {
  const [some] = statuses
  if (some === undefined || references.length === 0 || references.some(({ kind }) => kind !== 'statusCode'))
    return undefined
  const first = test(some)
  return statuses.every((status) => test(status) === first) ? first : undefined
}

function truth(root: SimpleNode, status: number): boolean {
  try {
    return evaluateSimple(root, () => status) === true
  } catch (error) {
    if (error instanceof ExpressionError) return false
    throw error
  }
}

function constantTruth(node: SimpleNode): boolean | undefined {
  switch (node.kind) {
    case 'literal':
      return node.value === true
    case 'value':
      return undefined
    case 'not': {
      const inner = constantTruth(node.operand)
      return inner === undefined ? undefined : !inner
    }
    case 'and':
    case 'or': {
      const decisive = node.kind === 'or'
      const outcomes = node.operands.map(constantTruth)
      if (outcomes.includes(decisive)) return decisive
      return outcomes.includes(undefined) ? undefined : !decisive
    }
    case 'compare':
      if (node.left.kind === 'literal' && node.right.kind === 'literal') return truth(node, 0)
      if (node.left.kind !== 'value' || node.right.kind !== 'value' || node.left.text !== node.right.text)
        return undefined
      return node.operator === '==' || node.operator === '<=' || node.operator === '>='
    default:
      return node satisfies never
  }
}

const QUOTED = /'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"/g
const QUERY = String.raw`[$@](?:\.[\w-]+|\[[^\][]*\])*`
const WITH_NULL = new RegExp(String.raw`(${QUERY})\s*([!=]=)\s*null(?![\w-])|(?<![\w.$@-])null\s*([!=]=)\s*(${QUERY})`)

function nullInFilter({ condition, path, what, text }: CriterionView, findings: Findings): void {
  if (condition?.kind !== 'jsonpath') return
  // Quoted texts are blanked in place, so that offsets stay and a comparison written in one is none.
  const bare = text.replace(QUOTED, (quoted) => `${quoted[0]}${'x'.repeat(quoted.length - 2)}${quoted[0]}`)
  const match = WITH_NULL.exec(bare)
  if (match === null) return
  const isUnequal = (match[2] ?? match[3]) === '!='
  const first = match[1] === undefined ? match[0].length - (match[4] ?? '').length : 0
  const query = text.slice(match.index + first, match.index + first + (match[1] ?? match[4] ?? '').length)
  const [before, after] = [text.slice(0, match.index), text.slice(match.index + match[0].length)]
  const isWhole = /^\s*\$\s*\[\s*\?\s*\(?\s*$/.test(before) && /^\s*\)?\s*\]\s*$/.test(after)
  const exists = isWhole ? `$${query.slice(1)}` : `${before}${query}${after}`
  const missing = isWhole ? `$[?!$${query.slice(1)}]` : `${before}!${query}${after}`
  findings.add(
    'null-in-filter',
    [...path, 'condition'],
    `${what} compares with null, ${isUnequal ? 'and nothing is unequal to null: it holds where the member is missing' : 'which a missing member is not equal to'}`,
    {
      offset: match.index,
      hint: isUnequal ? `to say that it is there, write: ${exists}` : `to say that it is missing, write: ${missing}`,
    },
  )
}

/** Names whose values differ where only their case differs. */
const EXACT =
  /(?:^|_)(?:id|ids|token|secret|assertion|statement|thumbprint|uri|uris|url|urls|endpoint|issuer|iss|sub|aud|audience|jti|kid|nonce|jwt|etag)$/

function isExact(name: string): boolean {
  return EXACT.test(wordsOf(name))
}

/** `accessToken`, `access-token` and `access_token` are one name. */
export function wordsOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[-.\s]/g, '_')
    .toLowerCase()
}

function withoutCase({ condition, path, what }: CriterionView, isOurs: boolean, findings: Findings): void {
  if (condition?.kind !== 'simple') return
  for (const node of comparisons(condition.root)) {
    if ((node.operator !== '==' && node.operator !== '!=') || node.exact) continue
    const { left, right } = node
    const named = [left, right].filter((side) => side.kind === 'value').find((side) => isExact(nameOf(side)))
    const literal = [left, right].find((side) => side.kind === 'literal')?.value
    if (named === undefined || (literal !== undefined && (typeof literal !== 'string' || !/[a-z]/i.test(literal))))
      continue
    findings.add(
      'compared-without-case',
      [...path, 'condition'],
      `${what} compares "${named.text}" without regard to case`,
      { offset: named.offset, hint: isOurs && exactCondition(condition) ? EXACTLY : exactForm(node) },
    )
  }
}

const EXACTLY = 'add to the criterion: x-dcr: { exact: true }'

type Comparison = Extract<SimpleNode, { kind: 'compare' }>

function comparisons(node: SimpleNode): Comparison[] {
  switch (node.kind) {
    case 'literal':
    case 'value':
      return []
    case 'not':
      return comparisons(node.operand)
    case 'and':
    case 'or':
      return node.operands.flatMap(comparisons)
    case 'compare':
      return [node, ...comparisons(node.left), ...comparisons(node.right)]
    default:
      return node satisfies never
  }
}

/** The last name of what a value is read from: of its de-reference, its pointer, or the expression itself. */
function nameOf({ expression, path }: SimpleValue): string {
  const names = [...expression.pointer, ...path].filter((step) => typeof step === 'string' && !/^\d+$/.test(step))
  return String(names.at(-1) ?? ('name' in expression ? expression.name : expression.kind))
}

/** The same comparison as a criterion that minds case. */
function exactForm({ operator, left, right }: Comparison): string | undefined {
  const inBody = (side: SimpleNode) =>
    side.kind === 'value' && 'part' in side.expression && side.expression.part === 'body' ? side : undefined
  const subject = inBody(left) ?? inBody(right) ?? [left, right].find((side) => side.kind === 'value')
  const other = subject === left ? right : left
  if (subject?.kind !== 'value' || (other.kind !== 'value' && other.kind !== 'literal')) return undefined
  const isPlain = other.kind === 'literal' || other.path.length === 0
  if (!isPlain) return undefined
  const { expression, path } = subject
  const tokens = [...expression.pointer, ...path]
  if (inBody(subject) !== undefined && tokens.length > 0) {
    const value = other.kind === 'literal' ? String(other.value).replace(/['\\]/g, '\\$&') : `{${other.text}}`
    const query = `$${tokens.map(segment).join('')}`
    const context = expression.text.replace(/#.*$/s, '')
    return written(context, 'jsonpath', `$[?${query} ${operator} '${value}']`)
  }
  if (operator === '!=' || path.length > 0) return undefined
  const value = other.kind === 'literal' ? String(other.value) : `{${other.text}}`
  return written(expression.text, 'regex', `^\\Q${value}\\E$`)
}

/** Can be pasted as it is: a JSON string is a YAML one. */
function written(context: string, type: string, condition: string): string {
  return `write: { context: ${JSON.stringify(context)}, type: ${type}, condition: ${JSON.stringify(condition)} }`
}

function segment(token: string | number): string {
  if (/^[A-Za-z_][\w]*$/.test(String(token))) return `.${token}`
  return /^\d+$/.test(String(token)) ? `[${token}]` : `['${String(token).replace(/['\\]/g, '\\$&')}']`
}
