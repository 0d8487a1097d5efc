/**
 * The members of each Arazzo and x-dcr object as tables, and one reader that holds a document against them. What a table
 * does not name is an error with its place; what it marks as not supported yet is refused, never ignored.
 */
import { nearest, type Problem } from '../errors.ts'
import type { Document, Path } from './document.ts'

/** Each with the words a message has for it. */
const TYPES = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  texts: 'a list of strings',
  any: 'a value',
} as const

type Type = keyof typeof TYPES

interface Member {
  readonly type: Type
  /** it must be there, and a list must not be empty */
  readonly required?: true
  /** smallest number */
  readonly least?: number
  /** allowed texts */
  readonly oneOf?: readonly string[]
  /** texts that Arazzo allows and this version does not run */
  readonly later?: readonly string[]
  /** set where the member is valid Arazzo that this version does not run */
  readonly unsupported?: true
}

export type Members = Readonly<Record<string, Member>>

const text: Member = { type: 'string' }
const name: Member = { type: 'string', required: true }
const any: Member = { type: 'any' }
const list: Member = { type: 'array' }
const map: Member = { type: 'object' }
const texts: Member = { type: 'texts' }
const extension: Member = { type: 'any' }
const later = (type: Type): Member => ({ type, unsupported: true })

/** JSON Schema keywords that speak about an object as a whole, or pull its rules in from elsewhere. */
const RULES_OF_THE_WHOLE: Members = Object.fromEntries(
  [
    ...['$ref', '$dynamicRef', '$defs', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentRequired'],
    ...['dependentSchemas', 'minProperties', 'maxProperties', 'patternProperties', 'propertyNames'],
    ...['unevaluatedProperties'],
  ].map((keyword) => [keyword, later('any')]),
)

/** Arazzo 1.0.1 and 1.1 objects; members that only 1.1 has are all "later" ones. */
export const ARAZZO = {
  document: {
    arazzo: name,
    $self: later('string'),
    info: { type: 'object', required: true },
    sourceDescriptions: { type: 'array', required: true },
    workflows: { type: 'array', required: true },
    components: later('object'),
  },
  info: { title: name, summary: text, description: text, version: name },
  source: { name, url: name, type: { type: 'string', oneOf: ['openapi'], later: ['arazzo', 'asyncapi'] } },
  workflow: {
    workflowId: name,
    summary: text,
    description: text,
    inputs: map,
    dependsOn: later('array'),
    steps: { type: 'array', required: true },
    successActions: later('array'),
    failureActions: later('array'),
    outputs: map,
    parameters: list,
    'x-dcr': extension,
  },
  step: {
    stepId: name,
    description: text,
    operationId: text,
    operationPath: later('string'),
    workflowId: later('string'),
    channelPath: later('string'),
    action: later('string'),
    correlationId: later('any'),
    timeout: { type: 'integer', least: 1 },
    dependsOn: later('array'),
    parameters: list,
    requestBody: map,
    successCriteria: list,
    onSuccess: list,
    onFailure: list,
    outputs: map,
    'x-dcr': extension,
  },
  parameter: {
    name,
    in: { type: 'string', oneOf: ['path', 'query', 'header', 'cookie'], later: ['querystring', 'channel'] },
    value: { type: 'any', required: true },
  },
  /** Stands where a parameter could, and points to one in components. */
  reusable: { reference: later('string'), value: any },
  /** A JSON Schema of which the object's own members are read one by one; rules about the object as a whole are not. */
  inputs: {
    type: { type: 'string', oneOf: ['object'] },
    required: texts,
    properties: map,
    title: text,
    description: text,
    additionalProperties: any,
    $schema: text,
    $comment: text,
    examples: any,
    ...RULES_OF_THE_WHOLE,
  },
  requestBody: { contentType: text, payload: { type: 'any', required: true }, replacements: list },
  replacement: { target: name, targetSelectorType: later('any'), value: { type: 'any', required: true } },
  successAction: {
    name,
    type: { type: 'string', required: true, oneOf: ['end', 'goto'] },
    workflowId: later('string'),
    stepId: text,
    parameters: later('array'),
    criteria: list,
  },
  failureAction: {
    name,
    type: { type: 'string', required: true, oneOf: ['end', 'goto', 'retry'] },
    workflowId: later('string'),
    stepId: text,
    parameters: later('array'),
    retryAfter: { type: 'number', least: 0 },
    retryLimit: { type: 'integer', least: 0 },
    criteria: list,
  },
  criterion: { context: text, condition: name, type: any, 'x-dcr': extension },
} as const satisfies Record<string, Members>

/** The one extension key, by the object it stands on. See docs/decisions/0001-flow-format.md. */
export const X_DCR = {
  workflow: {
    effect: { type: 'string', oneOf: ['read', 'register', 'update', 'delete'], required: true },
    safety: { type: 'string', oneOf: ['A', 'B', 'C', 'D', 'X'] },
    clauses: texts,
    notice: text,
  },
  step: {
    identity: text,
    url: text,
    clauses: texts,
    expect: { type: 'string', oneOf: ['refused'] },
    finally: later('boolean'),
    alter: list,
    cases: later('array'),
    retrySafe: { type: 'boolean' },
  },
  alteration: {
    set: { type: 'string', oneOf: ['header', 'form', 'body'] },
    remove: { type: 'string', oneOf: ['header', 'form', 'body'] },
    name: text,
    at: text,
    value: any,
  },
  criterion: { clauses: texts, level: { type: 'string', oneOf: ['must', 'should', 'policy'] } },
  input: {
    mint: { type: 'string', oneOf: ['client_assertion'] },
    audience: text,
    alg: text,
    lifetimeSeconds: { type: 'integer', least: 1 },
    when: text,
  },
} as const satisfies Record<string, Members>

export type Fields = Readonly<Record<string, unknown>>

export class Reader {
  readonly document: Document
  readonly problems: Problem[]

  constructor(document: Document, problems: Problem[]) {
    this.document = document
    this.problems = problems
  }

  /** The object at `path`, checked against `members`; `what` names it in messages. Undefined where it is no object. */
  object(path: Path, what: string, members: Members): Fields | undefined {
    const value = valueAt(this.document.data, path)
    if (!isRecord(value)) {
      this.add(
        {
          code: 'FLOW_STRUCTURE',
          message: value === null && path.length === 0 ? 'the file is empty' : `${what} is not an object`,
          expected: 'an object',
          found: value === null ? 'nothing' : kindOf(value),
        },
        path,
      )
      return undefined
    }
    for (const [member, content] of Object.entries(value)) {
      const rule = Object.hasOwn(members, member) ? members[member] : undefined
      if (rule !== undefined) this.member([...path, member], what, rule, content)
      else if (!isForeign(member)) this.unknown([...path, member], what, members)
    }
    for (const [member, rule] of Object.entries(members)) {
      if (rule.required && !Object.hasOwn(value, member)) {
        this.add(
          {
            code: 'FLOW_STRUCTURE',
            message: `${what} has no "${member}"`,
            expected: rule.type === 'any' ? undefined : `${member}: ${rule.oneOf?.join(' | ') ?? TYPES[rule.type]}`,
          },
          path,
        )
      }
    }
    return value
  }

  /** The x-dcr object on the object at `path`, or undefined where there is none. */
  extension<P extends keyof typeof X_DCR>(path: Path, what: string, place: P): Fields | undefined {
    const holder = valueAt(this.document.data, path)
    if (!isRecord(holder) || !Object.hasOwn(holder, 'x-dcr')) return undefined
    return this.object([...path, 'x-dcr'], `x-dcr of ${what}`, X_DCR[place]) ?? {}
  }

  /** What a message calls the object at `path`: by its id where it has one, else by its number. */
  nameOf(path: Path, kind: string, idMember: string): string {
    const value = valueAt(this.document.data, path)
    const id = isRecord(value) ? value[idMember] : undefined
    return typeof id === 'string' ? `${kind} "${id}"` : `${kind} ${Number(path.at(-1)) + 1}`
  }

  add(problem: Problem, path: Path, offset?: number): void {
    this.problems.push({ ...problem, at: this.document.at(path, offset) })
  }

  private member(path: Path, what: string, rule: Member, content: unknown): void {
    const named = `"${path.at(-1)}" of ${what}`
    if (rule.unsupported) {
      this.problems.push({
        code: 'FLOW_UNSUPPORTED',
        message: `${named} is not supported yet`,
        at: this.document.keyAt(path),
        hint: 'remove it, or express the same with the members that docs/flow-format.md lists',
      })
    } else if (!isOfType(content, rule.type)) {
      this.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} has the wrong type`,
          expected: TYPES[rule.type],
          found: kindOf(content),
        },
        path,
      )
    } else if (rule.later?.includes(content as string)) {
      this.add(
        {
          code: 'FLOW_UNSUPPORTED',
          message: `${named} cannot be "${String(content)}" yet`,
          expected: rule.oneOf?.join(', '),
        },
        path,
      )
    } else if (rule.oneOf !== undefined && !rule.oneOf.includes(content as string)) {
      const meant = nearest(String(content), rule.oneOf)
      this.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} has an unknown value`,
          expected: rule.oneOf.join(', '),
          found: `"${String(content)}"`,
          hint: meant && `did you mean "${meant}"?`,
        },
        path,
      )
    } else if (rule.least !== undefined && (content as number) < rule.least) {
      this.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} is too small`,
          expected: `at least ${rule.least}`,
          found: String(content),
        },
        path,
      )
    } else if (rule.required && Array.isArray(content) && content.length === 0) {
      this.add({ code: 'FLOW_STRUCTURE', message: `${named} is empty`, expected: 'at least one' }, path)
    }
  }

  private unknown(path: Path, what: string, members: Members): void {
    const member = String(path.at(-1))
    const meant = nearest(member, [...Object.keys(members), 'x-dcr'])
    this.problems.push({
      code: 'FLOW_STRUCTURE',
      message: `${what} has no member "${member}"`,
      at: this.document.keyAt(path),
      ...(meant === undefined || meant === member
        ? { expected: quoted(Object.keys(members).filter((name) => !members[name]?.unsupported)) }
        : { hint: `did you mean "${meant}"?` }),
    })
  }
}

/**
 * Extensions of other tools are kept and ignored, as Arazzo demands. Not so ours where it has no meaning or is misspelt, and
 * not one that changes who may call.
 */
function isForeign(member: string): boolean {
  return member.startsWith('x-') && member !== 'x-security' && nearest(member, ['x-dcr']) === undefined
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, key) =>
      typeof node === 'object' && node !== null && Object.hasOwn(node, key) ? (node as Fields)[key] : undefined,
    data,
  )
}

function isOfType(value: unknown, type: Type): boolean {
  if (type === 'any') return true
  if (type === 'array') return Array.isArray(value)
  if (type === 'texts') return Array.isArray(value) && value.every((item) => typeof item === 'string')
  if (type === 'object') return isRecord(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) {
    const stranger = value.find((item) => typeof item !== 'string')
    return stranger === undefined ? 'a list' : `a list with ${kindOf(stranger)}`
  }
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)?.slice(0, 60)}`
}
