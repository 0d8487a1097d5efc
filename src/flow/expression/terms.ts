/**
 * What a condition asks of one member of an answer, in the words of the answer: "grant_types: expected with client_credentials".
 * Only for conditions of a known form; the others are shown as they are written. Pure.
 */
import { dereference, type SimpleNode, type SimpleValue } from './condition.ts'
import { type Expression, own } from './expression.ts'

export interface Terms {
  /** status, header Cache-Control, keys[0].kid */
  readonly member: string
  /** the name that the value has in the answer, by which a secret is known */
  readonly slot: string
  /** how the member has to relate to the values: "", "not", "at least" … */
  readonly relation: string
  /** one of them is enough; empty where any value will do */
  readonly wanted: readonly unknown[]
  /** undefined: there is no such member */
  readonly got: unknown
}

type Read = (expression: Expression) => unknown

const RELATIONS = {
  '==': '',
  '!=': 'not',
  '<': 'less than',
  '<=': 'at most',
  '>': 'more than',
  '>=': 'at least',
} as const

/** A comparison with a member of the answer, or several with the same member of which one is enough. */
export function termsOfSimple(root: SimpleNode, read: Read): Terms | undefined {
  if (root.kind === 'or') {
    const [first, ...rest] = root.operands.map((operand) => termsOfSimple(operand, read))
    if (first === undefined) return undefined
    const isAlike = rest.every((one) => one?.member === first.member && one.relation === '' && first.relation === '')
    return isAlike ? { ...first, wanted: [first, ...rest].flatMap((one) => one?.wanted ?? []) } : undefined
  }
  if (root.kind !== 'compare') return undefined
  const { left, right } = root
  const place = left.kind === 'value' ? placeOf(left) : undefined
  if (left.kind !== 'value' || place === undefined) return undefined
  if (right.kind !== 'value' && right.kind !== 'literal') return undefined
  const wanted = operandOf(right, read)
  if (wanted === undefined) return undefined
  return { ...place, relation: RELATIONS[root.operator], wanted: [wanted], got: operandOf(left, read) }
}

/** A pattern, whose text is `text`, on a part of the answer. */
export function termsOfPattern(context: Expression, text: string, got: unknown): Terms | undefined {
  const place = placeOf({ expression: context, path: [] })
  return place && { ...place, relation: /^[\w-]+$/.test(text) ? '' : 'a text that matches', wanted: [text], got }
}

const PATH = String.raw`\$(?:\.[\w-]+|\['[^'\\]+'\])+`
const LITERAL = String.raw`'(?:[^'\\]*)'|"(?:[^"\\]*)"|-?\d+(?:\.\d+)?|true|false|null`
const COMPARED = new RegExp(String.raw`^\$\[\?\s*(${PATH})\s*(==|!=|<=|>=|<|>)\s*(${LITERAL})\s*\]$`)
const AMONG = new RegExp(String.raw`^(${PATH})\[\?\s*@\s*==\s*(${LITERAL})\s*\]$`)
const ABSENT = new RegExp(String.raw`^\$\[\?\s*!\s*\(?(${PATH})\[\?\s*@\s*==\s*(${LITERAL})\s*\]\)?\s*\]$`)
const ITEM = new RegExp(String.raw`^(${PATH})\[\?\s*@\.([\w-]+)\s*(==|!=)\s*(${LITERAL})\s*\]$`)
const THERE = new RegExp(`^(${PATH})$`)

/** A query, with its values in place, on the body of the answer. */
export function termsOfPath(context: Expression, query: string, body: unknown): Terms | undefined {
  if (context.text !== '$response.body') return undefined
  const [, compared, operator = '==', value = ''] = COMPARED.exec(query) ?? []
  if (compared !== undefined)
    return at(compared, body, { relation: RELATIONS[operator as keyof typeof RELATIONS], wanted: [literal(value)] })
  const [, among, item = ''] = AMONG.exec(query) ?? []
  if (among !== undefined) return at(among, body, { relation: 'with', wanted: [literal(item)] })
  const [, without, unwanted = ''] = ABSENT.exec(query) ?? []
  if (without !== undefined) return at(without, body, { relation: 'without', wanted: [literal(unwanted)] })
  const [, list, name = '', sign, of = ''] = ITEM.exec(query) ?? []
  if (list !== undefined) return ofItems(at(list, body, { relation: '', wanted: [literal(of)] }), name, sign === '!=')
  const [, there] = THERE.exec(query) ?? []
  return there === undefined ? undefined : at(there, body, { relation: 'a value', wanted: [] })
}

function at(path: string, body: unknown, asked: Pick<Terms, 'relation' | 'wanted'>): Terms {
  const names = [...path.matchAll(/\.([\w-]+)|\['([^'\\]+)'\]/g)].map(([, plain, quoted]) => plain ?? quoted ?? '')
  return { member: memberOf(names), slot: names.at(-1) ?? '', ...asked, got: names.reduce<unknown>(own, body) }
}

/** Of a list of objects: what was asked is about the member `name` of one of them. */
function ofItems(terms: Terms, name: string, isOther: boolean): Terms {
  const { got } = terms
  const values = Array.isArray(got) ? got.map((item) => own(item, name)) : got
  return { ...terms, slot: name, relation: `an item with ${isOther ? 'another ' : ''}${name}`, got: values }
}

function operandOf(node: SimpleNode, read: Read): unknown {
  if (node.kind === 'literal') return node.value
  return node.kind === 'value' ? dereference(node, read(node.expression)) : undefined
}

/** Where in the answer an expression reads; undefined for what is no part of it. */
function placeOf({
  expression,
  path,
}: Pick<SimpleValue, 'expression' | 'path'>): Pick<Terms, 'member' | 'slot'> | undefined {
  if (expression.kind === 'statusCode') return { member: 'status', slot: 'status' }
  if (expression.kind !== 'response') return undefined
  if (expression.part === 'header') return { member: `header ${expression.name}`, slot: expression.name.toLowerCase() }
  if (expression.part !== 'body') return undefined
  const names = [...expression.pointer, ...path]
  if (names.length === 0) return { member: 'body', slot: '' }
  return { member: memberOf(names), slot: String(names.findLast((name) => !/^\d+$/.test(String(name))) ?? '') }
}

/** A place in JSON as an engineer writes it: keys[0].kid. */
export function memberOf(names: readonly (string | number)[]): string {
  return names
    .map((name, index) => (/^\d+$/.test(String(name)) ? `[${name}]` : index === 0 ? String(name) : `.${name}`))
    .join('')
}

function literal(text: string): unknown {
  return /^['"]/.test(text) ? text.slice(1, -1) : JSON.parse(text)
}
