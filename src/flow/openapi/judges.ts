/**
 * What each keyword of JSON Schema 2020-12 demands of a value. A keyword that is not about values of its type holds. An answer
 * is true, false, or undefined where it cannot be judged.
 */
import { FILE_LIMITS } from '../../record/limits.ts'
import { onceForEach } from '../../record/once.ts'
import { canonical, isMultiple } from './equality.ts'
import { FORMATS } from './formats.ts'
import { type Answer, type Application, describe, type Judging } from './judging.ts'
import type { Rule, SchemaNode } from './schema.ts'

/** Characters of a value that are compared or read in about the time of one keyword. */
const CHARACTERS_OF_STEP = 3
const LONGEST_WITH_FORMAT = FILE_LIMITS.formatCharacters.value

type Judge = (judging: Judging, application: Application) => Answer

export const JUDGES: Readonly<Record<string, Judge | undefined>> = {
  $ref: (judging, one) => judging.inPlace(one, only(one.rule)),
  type: judgeType,
  enum: judgeEnum,
  const: judgeEnum,
  ...measured('string', {
    minLength: (length, limit) => length >= limit || `at least ${limit} characters`,
    maxLength: (length, limit) => length <= limit || `at most ${limit} characters`,
  }),
  ...measured('number', {
    minimum: (value, limit) => value >= limit || `at least ${limit}`,
    maximum: (value, limit) => value <= limit || `at most ${limit}`,
    exclusiveMinimum: (value, limit) => value > limit || `more than ${limit}`,
    exclusiveMaximum: (value, limit) => value < limit || `less than ${limit}`,
    multipleOf: (value, limit) => isMultiple(value, limit) || `a multiple of ${limit}`,
  }),
  ...measured('array', {
    minItems: (length, limit) => length >= limit || `at least ${limit} items`,
    maxItems: (length, limit) => length <= limit || `at most ${limit} items`,
  }),
  ...measured('object', {
    minProperties: (length, limit) => length >= limit || `at least ${limit} members`,
    maxProperties: (length, limit) => length <= limit || `at most ${limit} members`,
  }),
  pattern: judgePattern,
  format: judgeFormat,
  uniqueItems: judgeUnique,
  required: (judging, one) => judgeRequired(judging, one, one.rule.value as readonly string[]),
  dependentRequired: (judging, one) =>
    every(
      Object.entries(one.rule.value as Readonly<Record<string, readonly string[]>>).map(([name, others]) =>
        has(one, name) ? judgeRequired(judging, one, others) : true,
      ),
    ),
  dependentSchemas: (judging, one) =>
    every([...one.rule.named].map(([name, node]) => (has(one, name) ? judging.inPlace(one, node) : true))),
  propertyNames: judgeNames,
  allOf: (judging, one) => every(one.rule.nodes.map((node) => judging.inPlace(one, node))),
  anyOf: judgeAnyOf,
  oneOf: judgeOneOf,
  not: judgeNot,
  if: judgeIf,
  properties: (judging, one) =>
    every([...one.rule.named].map(([name, node]) => (has(one, name) ? judging.below(one, node, name) : true))),
  patternProperties: judgePatternProperties,
  additionalProperties: (judging, one) => every(namesOf(one).map((name) => judgeAdditional(judging, one, name))),
  prefixItems: (judging, one) =>
    every(one.rule.nodes.slice(0, itemsOf(one).length).map((node, index) => judging.below(one, node, index))),
  items: (judging, one) => judgeItems(judging, one, one.node.rules.get('prefixItems')?.nodes.length ?? 0),
  contains: judgeContains,
  unevaluatedProperties: (judging, one) => judgeRest(judging, one, namesOf(one)),
  unevaluatedItems: (judging, one) => judgeRest(judging, one, [...itemsOf(one).keys()]),
}

/** False if one is false, else undefined if one is. */
function every(answers: readonly Answer[]): Answer {
  return answers.includes(false) ? false : answers.includes(undefined) ? undefined : true
}

function only({ nodes: [node] }: Rule): SchemaNode {
  if (node === undefined) throw new Error('a keyword without its schema')
  return node
}

function has({ spot: { value } }: Application, name: string): boolean {
  return isObject(value) && Object.hasOwn(value, name)
}

function namesOf({ spot: { value } }: Application): readonly string[] {
  return isObject(value) ? Object.keys(value) : []
}

function itemsOf({ spot: { value } }: Application): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'bigint' ? 'number' : typeof value
}

/** Keywords that compare a number, a length or a count with a limit. */
function measured(
  type: 'string' | 'number' | 'array' | 'object',
  rules: Readonly<Record<string, (size: number, limit: number) => true | string>>,
): Readonly<Record<string, Judge>> {
  const judges = Object.entries(rules).map(([keyword, rule]): [string, Judge] => [
    keyword,
    (judging, one) => {
      const { value } = one.spot
      if (typeOf(value) !== type) return true
      const expected = rule(sizeOf(value), one.rule.value as number)
      return expected === true || judging.refuse(one, expected)
    },
  ])
  return Object.fromEntries(judges)
}

/** Code points, items, members, or the number itself; one beyond 2^53 may be a bigint. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return [...value].length
  if (Array.isArray(value)) return value.length
  return isObject(value) ? Object.keys(value).length : (value as number)
}

function judgeType(judging: Judging, one: Application): Answer {
  const { value } = one.spot
  const types = [one.rule.value].flat() as readonly string[]
  const type = typeOf(value)
  const isInteger = typeof value === 'bigint' || Number.isInteger(value)
  if (types.includes(type) || (isInteger && types.includes('integer'))) return true
  return judging.refuse(one, types.join(' or '), { actual: describe(value, true) })
}

function judgeEnum(judging: Judging, one: Application): Answer {
  const { value } = one.spot
  const { types, texts, words } = candidatesOf(one.rule)
  if (types.has(typeOf(value))) {
    const own = canonical(value)
    judging.spend(own.length / CHARACTERS_OF_STEP)
    if (texts.has(own)) return true
  }
  return judging.refuse(one, words)
}

/** Worked out once, since thousands of values may be compared with them. */
const candidatesOf = onceForEach(({ keyword, value }: Rule) => {
  const values: readonly unknown[] = keyword === 'const' ? [value] : (value as readonly unknown[])
  const words = values.map((one) => JSON.stringify(one))
  return {
    types: new Set(values.map(typeOf)),
    texts: new Set(values.map(canonical)),
    words: keyword === 'const' ? String(words[0]) : `one of ${words.join(', ')}`,
  }
})

function judgePattern(judging: Judging, one: Application): Answer {
  const { value } = one.spot
  if (typeof value !== 'string') return true
  const [pattern] = one.rule.patterns
  const answer = pattern === undefined ? judging.open(one.rule.unjudged) : judging.test(pattern, value)
  return answer === false ? judging.refuse(one, `text that matches ${String(one.rule.value)}`) : answer
}

function judgeFormat(judging: Judging, one: Application): Answer {
  const { value } = one.spot
  const format = String(one.rule.value)
  if (typeof value !== 'string' || !Object.hasOwn(FORMATS, format)) return true
  // The engine of patterns needs a stack that grows with the text.
  if (value.length > LONGEST_WITH_FORMAT)
    return judging.open([`a text of more than ${LONGEST_WITH_FORMAT} characters is compared with no format`])
  judging.spend(value.length / CHARACTERS_OF_STEP)
  return FORMATS[format]?.(value) === true || judging.refuse(one, `a ${format}`)
}

function judgeUnique(judging: Judging, one: Application): Answer {
  if (one.rule.value !== true) return true
  const first = new Map<string, number>()
  for (const [index, item] of itemsOf(one).entries()) {
    const text = canonical(item)
    judging.spend(text.length / CHARACTERS_OF_STEP)
    const earlier = first.get(text)
    if (earlier !== undefined)
      return judging.refuse(one, 'items that differ from each other', {
        actual: `items ${earlier} and ${index} are equal`,
      })
    first.set(text, index)
  }
  return true
}

function judgeRequired(judging: Judging, one: Application, names: readonly string[]): Answer {
  if (!isObject(one.spot.value)) return true
  const absent = names.filter((name) => !has(one, name))
  for (const key of absent) judging.refuse(one, 'the member to be there', { key, actual: 'absent' })
  return absent.length === 0
}

function judgeNames(judging: Judging, one: Application): Answer {
  return every(
    namesOf(one).map((name) => {
      const answer = judging.evaluate(only(one.rule), { value: name }, true)
      if (answer !== false) return answer
      return judging.refuse(one, 'a name that fits "propertyNames"', { key: name, actual: describe(name) })
    }),
  )
}

function judgeAnyOf(judging: Judging, one: Application): Answer {
  let answer: Answer = false
  for (const node of one.rule.nodes) {
    const branch = judging.inPlace({ spot: one.spot, silent: true }, node)
    if (branch === true && one.spot.seen === undefined) return true
    if (branch !== false && answer !== true) answer = branch
  }
  return answer === false ? judging.refuse(one, `to fit one of ${one.rule.nodes.length} schemas (anyOf)`) : answer
}

function judgeOneOf(judging: Judging, one: Application): Answer {
  const answers = one.rule.nodes.map((node) => judging.inPlace({ spot: one.spot, silent: true }, node))
  const fitting = answers.filter((answer) => answer === true).length
  const isOpen = answers.includes(undefined)
  if (fitting > 1 || (fitting === 0 && !isOpen)) {
    const actual = `${describe(one.spot.value)}, which fits ${fitting === 0 ? 'none' : fitting} of them`
    return judging.refuse(one, `to fit exactly one of ${answers.length} schemas (oneOf)`, { actual })
  }
  return isOpen ? undefined : true
}

function judgeNot(judging: Judging, one: Application): Answer {
  const { value, above, key, seen } = one.spot
  const spot = { value, above, key, seen: seen && new Set<string | number>() }
  const answer = judging.evaluate(only(one.rule), spot, true)
  if (answer === undefined) return undefined
  return !answer || judging.refuse(one, 'not to fit the schema of "not"')
}

function judgeIf(judging: Judging, one: Application): Answer {
  const answer = judging.inPlace({ spot: one.spot, silent: true }, only(one.rule))
  const [positive, negative] = ['then', 'else'].map((keyword) => one.node.rules.get(keyword))
  if (answer === undefined) return positive === undefined && negative === undefined ? true : undefined
  const rule = answer ? positive : negative
  return rule === undefined || judging.inPlace(one, only(rule))
}

function judgePatternProperties(judging: Judging, one: Application): Answer {
  return every(
    namesOf(one).flatMap((name) =>
      [...one.rule.named.values()].map((node, index) => {
        const matches = matchesName(judging, one.rule, index, name)
        return matches === true ? judging.below(one, node, name) : matches === undefined ? undefined : true
      }),
    ),
  )
}

function matchesName(judging: Judging, rule: Rule, index: number, name: string): Answer {
  const pattern = rule.patterns[index]
  return pattern === undefined ? judging.open(rule.unjudged) : judging.test(pattern, name)
}

/** A member that neither `properties` nor `patternProperties` beside it name. */
function judgeAdditional(judging: Judging, one: Application, name: string): Answer {
  const { rules } = one.node
  if (rules.get('properties')?.named.has(name)) return true
  const patterned = rules.get('patternProperties')
  const matches = patterned?.patterns.map((_, index) => matchesName(judging, patterned, index, name)) ?? []
  if (matches.includes(true)) return true
  return matches.includes(undefined) ? undefined : judging.below(one, only(one.rule), name)
}

function judgeItems(judging: Judging, one: Application, start: number): Answer {
  let answer: Answer = true
  for (let index = start; index < itemsOf(one).length; index += 1) {
    const item = judging.below(one, only(one.rule), index)
    if (item === false) answer = false
    else if (item === undefined && answer === true) answer = undefined
  }
  return answer
}

function judgeContains(judging: Judging, one: Application): Answer {
  if (!Array.isArray(one.spot.value)) return true
  const limit = (keyword: string, usual: number) => Number(one.node.rules.get(keyword)?.value ?? usual)
  const [least, most] = [limit('minContains', 1), limit('maxContains', Number.POSITIVE_INFINITY)]
  let [fitting, open] = [0, 0]
  for (const [index, value] of one.spot.value.entries()) {
    const seen = one.spot.seen && new Set<string | number>()
    const answer = judging.evaluate(only(one.rule), { value, above: one.spot, key: index, seen }, true)
    if (answer === undefined) open += 1
    if (answer !== true) continue
    fitting += 1
    one.spot.seen?.add(index)
  }
  if (fitting > most || fitting + open < least) {
    const bounds = most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`
    return judging.refuse(one, `${bounds} items that fit "contains"`, { actual: `${fitting}` })
  }
  return fitting >= least && fitting + open <= most ? true : undefined
}

/** Members or items that no other keyword has judged. */
function judgeRest(judging: Judging, one: Application, keys: readonly (string | number)[]): Answer {
  const rest = keys.filter((key) => !one.spot.seen?.has(key))
  return every(rest.map((key) => judging.below(one, only(one.rule), key)))
}
