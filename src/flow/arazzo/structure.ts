/**
 * The members of each Arazzo and x-dcr object as tables, and one reader that checks a document against them. A member that
 * no table names is an error with its place; one that is marked as not supported yet is refused, never ignored.
 */

import { DECLARED_EFFECTS } from '../../record/effect.ts'
import { nearest, type Problem, ToolError } from '../../record/errors.ts'
import { writeJson } from '../../record/json.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { LEVELS } from '../../record/profile.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Document, Path } from '../document/model.ts'
import { LOCATIONS } from '../openapi/description.ts'
import { GIVEN } from './given.ts'
import { PROBES } from './probes.ts'
import { WAITS_FOR } from './waits.ts'

/** Each type with its name in messages. */
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
  /** smallest and largest number */
  readonly least?: number
  readonly most?: number
  /** allowed texts; of a list, for each of them */
  readonly oneOf?: readonly string[]
  /** texts that Arazzo allows and this version does not run */
  readonly later?: readonly string[]
  /** set where the member is valid Arazzo that this version does not run */
  readonly unsupported?: true
  /** what it does, for editors that show it */
  readonly about?: string
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
    ...[
      '$id',
      '$dynamicRef',
      '$dynamicAnchor',
      'allOf',
      'anyOf',
      'oneOf',
      'not',
      'if',
      'then',
      'else',
      'dependentRequired',
    ],
    ...['dependentSchemas', 'minProperties', 'maxProperties', 'patternProperties', 'propertyNames'],
    ...['unevaluatedProperties'],
  ].map((keyword) => [keyword, later('any')]),
)

/** In either case, as Redocly takes them. */
const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE'].flatMap((method) => [
  method,
  method.toLowerCase(),
])

/** Arazzo 1.0.1 and 1.1 objects; members that only 1.1 has are all "later" ones. */
export const ARAZZO = {
  document: {
    arazzo: name,
    $self: text,
    info: { type: 'object', required: true },
    sourceDescriptions: { type: 'array', required: true },
    workflows: { type: 'array', required: true },
    components: map,
  },
  info: { title: name, summary: text, description: text, version: name },
  source: {
    name,
    url: name,
    'x-serverUrl': text,
    type: { type: 'string', oneOf: ['openapi', 'arazzo'], later: ['asyncapi'] },
  },
  workflow: {
    workflowId: name,
    summary: text,
    description: text,
    inputs: map,
    dependsOn: texts,
    steps: { type: 'array', required: true },
    successActions: list,
    failureActions: list,
    outputs: map,
    parameters: list,
    'x-dcr': extension,
  },
  step: {
    stepId: name,
    description: text,
    operationId: text,
    operationPath: text,
    workflowId: text,
    channelPath: later('string'),
    action: later('string'),
    correlationId: later('any'),
    timeout: { type: 'integer', least: 1, most: FILE_LIMITS.stepTimeout.value },
    dependsOn: texts,
    parameters: list,
    requestBody: map,
    successCriteria: list,
    onSuccess: list,
    onFailure: list,
    outputs: map,
    'x-operation': map,
    'x-dcr': extension,
  },
  /** Redocly's extension of a step. */
  'x-operation': { url: name, method: { type: 'string', required: true, oneOf: METHODS } },
  parameter: {
    name,
    in: { type: 'string', oneOf: LOCATIONS, later: ['channel'] },
    value: { type: 'any', required: true },
  },
  /** Used instead of a parameter or an action; points to one in components. */
  reusable: { reference: name, value: any },
  components: { inputs: map, parameters: map, successActions: map, failureActions: map },
  /** A JSON Schema of which the object's own members are read one by one; rules about the object as a whole are not. */
  inputs: {
    type: { type: 'string', oneOf: ['object'] },
    required: texts,
    properties: map,
    title: text,
    description: text,
    additionalProperties: any,
    $ref: text,
    $anchor: text,
    $defs: map,
    $schema: text,
    $comment: text,
    examples: any,
    ...RULES_OF_THE_WHOLE,
  },
  requestBody: { contentType: text, payload: any, replacements: list },
  replacement: { target: name, targetSelectorType: any, value: { type: 'any', required: true } },
  successAction: {
    name,
    type: { type: 'string', required: true, oneOf: ['end', 'goto'] },
    workflowId: text,
    stepId: text,
    parameters: list,
    criteria: list,
  },
  failureAction: {
    name,
    type: { type: 'string', required: true, oneOf: ['end', 'goto', 'retry'] },
    workflowId: text,
    stepId: text,
    parameters: list,
    retryAfter: { type: 'number', least: 0 },
    retryLimit: { type: 'integer', least: 0, most: FILE_LIMITS.retries.value },
    criteria: list,
  },
  criterion: { context: text, condition: name, type: any, 'x-dcr': extension },
} as const satisfies Record<string, Members>

/** The members of the extension key x-dcr, by the object that has it. See docs/decisions/0001-flow-format.md. */
export const X_DCR = {
  workflow: {
    effect: {
      type: 'string',
      oneOf: DECLARED_EFFECTS,
      required: true,
      about: 'What the workflow does to the one OAuth client of the application.',
    },
    safety: {
      type: 'string',
      oneOf: ['A', 'B', 'C', 'D', 'X'],
      about: 'Class of the requirement catalogue: what running it on a shared UAT can cost.',
    },
    clauses: { type: 'texts', about: 'The clauses that the workflow exercises.' },
    tags: { type: 'texts', about: 'Words to select the workflow by, with --tag of run and list.' },
    notice: { type: 'string', about: 'What a person must do afterwards, for example contact Thredd.' },
    given: {
      type: 'texts',
      oneOf: Object.keys(GIVEN),
      about:
        'What must be so before. Made so on the embedded twin; elsewhere checked in the vault or told to a person.',
    },
  },
  step: {
    identity: {
      type: 'string',
      about: 'The certificate to present: a name of the environment, or none. Default: transport.',
    },
    url: { type: 'string', about: "Called instead of the operation's own URL, byte for byte." },
    clauses: { type: 'texts', about: 'The clauses that the step exercises.' },
    expect: {
      type: 'string',
      oneOf: ['refused'],
      about:
        'The step holds when the server refuses: a TLS alert, a closed connection, or a 4xx that gives nothing away.',
    },
    finally: {
      type: 'boolean',
      about: 'Always runs, after the other steps, the last written first; also after a failure and on Ctrl-C.',
    },
    alter: { type: 'array', about: 'Changes to the otherwise good request.' },
    cases: {
      type: 'array',
      about: 'A table of changes, each one run of the step; the unaltered request is the control.',
    },
    control: {
      type: 'string',
      oneOf: ['both', 'before', 'after'],
      about: 'When the unaltered request is run. Default: both, before and after the cases.',
    },
    retrySafe: { type: 'boolean', about: 'A repetition of the request does no harm.' },
    probe: {
      type: 'string',
      oneOf: Object.keys(PROBES),
      about: 'A named check in place of the call: what one HTTP call cannot express.',
    },
  },
  alteration: {
    set: { type: 'string', oneOf: ['header', 'form', 'body', 'jwt', 'method'], about: 'Where something is set.' },
    remove: { type: 'string', oneOf: ['header', 'form', 'body', 'jwt'], about: 'Where something is removed.' },
    name: {
      type: 'string',
      about: 'The name of a header or of a form field; of a JWT, of the header that carries it.',
    },
    at: { type: 'string', about: 'JSON Pointer to a member of the body.' },
    in: { type: 'string', about: 'The member of the payload that holds the JWT.' },
    header: { type: 'string', about: 'A member of the header of the JWT, which is then signed anew.' },
    claim: { type: 'string', about: 'A claim of the JWT, which is then signed anew.' },
    signature: { type: 'string', oneOf: ['damaged', 'none'], about: 'Another signature, or alg none without any.' },
    key: {
      type: 'string',
      oneOf: ['other', 'public', 'embedded'],
      about:
        'other: signed with a fresh key under the same kid; public: HS256 with the public key as the secret; embedded: signed with a fresh key that the header brings along.',
    },
    jwks: { type: 'any', about: 'With key: public of a JWT that others signed: the keys of which one signed it.' },
    secondsAhead: { type: 'integer', about: 'The claim as a time, in seconds from now; negative for the past.' },
    value: { type: 'any', about: 'The value that is set; expressions are evaluated.' },
  },
  case: {
    id: { type: 'string', required: true, about: 'Names the case in the record: <stepId>/<id>.' },
    description: text,
    clauses: { type: 'texts', about: 'The clauses that the case exercises.' },
    alter: { type: 'array', about: 'What is wrong with the request of this case.' },
    identity: { type: 'string', about: 'The certificate to present instead, or none.' },
    expect: { type: 'string', oneOf: ['refused'], about: 'The case holds when the server refuses.' },
    criteria: { type: 'array', about: 'What must hold of the answer, as successCriteria of a step.' },
  },
  criterion: {
    clauses: { type: 'texts', about: 'The clauses that the criterion proves.' },
    level: {
      type: 'string',
      oneOf: ['must', 'should', 'policy'],
      about: 'must (default): the step fails; should, policy: a warning.',
    },
    levelOf: {
      type: 'string',
      oneOf: Object.keys(LEVELS),
      about: 'In place of level: the level that the profile, fixtures/requirements/profile.json, has under that name.',
    },
    optional: {
      type: 'boolean',
      about: 'The member that it is about may be missing (an OPTIONAL one): that is a warning, another value is not.',
    },
    waitsFor: {
      type: 'string',
      oneOf: Object.keys(WAITS_FOR),
      about: 'Where it is the first that does not hold, the step has not failed: only Thredd can do what is missing.',
    },
    exact: {
      type: 'boolean',
      about: 'On a simple condition that is one comparison with ==: case and type must match too.',
    },
  },
  input: {
    mint: {
      type: 'string',
      oneOf: ['client_assertion'],
      about: 'A fresh client assertion (RFC 7523) each time a step reads the input.',
    },
    audience: {
      type: 'string',
      about: 'The audience, a single one. Default: ASSERTION_AUDIENCE_<SOURCE> of the source that the step calls.',
    },
    alg: {
      type: 'string',
      about: 'PS256, RS256 or ES256. Default: SIGNING_ALG, at the directory DIRECTORY_SIGNING_ALG.',
    },
    key: {
      type: 'string',
      oneOf: ['current', 'renewed'],
      about:
        'current (default): SIGNING_KEY_FILE and SIGNING_KID; renewed: RENEWED_SIGNING_KEY_FILE and RENEWED_SIGNING_KID.',
    },
    lifetimeSeconds: { type: 'integer', least: 1, about: 'Default: 300.' },
    when: { type: 'string', about: 'A simple condition; while it does not hold the input has no value.' },
    default: {
      type: 'string',
      oneOf: ['roles'],
      about:
        'roles: on UAT and production the scopes that the roles of ROLES cover (fixtures/roles/roles.json) come before the default of the schema.',
    },
  },
} as const satisfies Record<string, Members>

/** More mistakes than a person reads at once; reading stops here. */
const MOST_PROBLEMS = FILE_LIMITS.flowProblems.value
/** Instructions of all regular expressions of a document; compiling them takes less than a second. */
export const MOST_INSTRUCTIONS = FILE_LIMITS.patternInstructions.value

export class Reader {
  readonly document: Document
  readonly problems: Problem[]
  #instructions = 0

  constructor(document: Document, problems: Problem[]) {
    this.document = document
    this.problems = problems
  }

  /** The value at `path`, unchecked. */
  raw(path: Path): unknown {
    return valueAt(this.document.data, path)
  }

  /** The object at `path`, checked against `members`; `what` names it in messages. Undefined where it is no object. */
  object(path: Path, what: string, members: Members): Fields | undefined {
    const value = this.raw(path)
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
      else if (!isForeign(member) && !isIgnored(member, members)) this.unknown([...path, member], what, members)
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
    const holder = this.raw(path)
    if (!isRecord(holder) || !Object.hasOwn(holder, 'x-dcr')) return undefined
    return this.object([...path, 'x-dcr'], `x-dcr of ${what}`, X_DCR[place]) ?? {}
  }

  /** What a message calls the object at `path`: by its id where it has one, else by its number. */
  nameOf(path: Path, kind: string, idMember: string): string {
    const value = this.raw(path)
    const id = isRecord(value) ? value[idMember] : undefined
    return typeof id === 'string' ? `${kind} "${id}"` : `${kind} ${Number(path.at(-1)) + 1}`
  }

  /** Throws ToolError with all problems where there are too many. */
  add(problem: Problem, path: Path, offset?: number): void {
    this.#take({ ...problem, at: this.document.at(path, offset) })
  }

  /** Counts what the patterns at `path` cost. Throws ToolError, with all problems, beyond the budget of a document. */
  spend(instructions: number, path: Path): void {
    this.#instructions += instructions
    if (this.#instructions <= MOST_INSTRUCTIONS) return
    this.#giveUp({
      code: 'FLOW_STRUCTURE',
      message: 'the regular expressions of the document are too large together',
      at: this.document.at(path),
      expected: `at most ${MOST_INSTRUCTIONS} instructions`,
      hint: 'write fewer repetitions such as {1,1000}; what follows is not read',
    })
  }

  #take(problem: Problem): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(problem)
    else
      this.#giveUp({ ...problem, message: `${problem.message}; mistakes after these ${MOST_PROBLEMS} are not listed` })
  }

  #giveUp(problem: Problem): never {
    throw new ToolError([problem, ...this.problems])
  }

  private member(path: Path, what: string, rule: Member, content: unknown): void {
    const named = `"${path.at(-1)}" of ${what}`
    if (rule.unsupported) {
      this.#take({
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
    } else if (rule.oneOf !== undefined && unknownIn(content, rule.oneOf) !== undefined) {
      const found = unknownIn(content, rule.oneOf) ?? ''
      const meant = nearest(found, rule.oneOf)
      this.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} has an unknown value`,
          expected: rule.oneOf.join(', '),
          found: `"${found}"`,
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
    } else if (rule.most !== undefined && (content as number) > rule.most) {
      const expected = `at most ${rule.most}`
      this.add({ code: 'FLOW_STRUCTURE', message: `${named} is too large`, expected, found: String(content) }, path)
    } else if (rule.required && rule.type !== 'any' && Array.isArray(content) && content.length === 0) {
      this.add({ code: 'FLOW_STRUCTURE', message: `${named} is empty`, expected: 'at least one' }, path)
    }
  }

  private unknown(path: Path, what: string, members: Members): void {
    const member = String(path.at(-1))
    const meant = nearest(member, [...Object.keys(members), 'x-dcr'])
    this.#take({
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
 * Extensions of other tools are kept and ignored, as Arazzo demands. Refused are x-dcr where it has no meaning or is
 * misspelt, and an extension that changes who may call.
 */
function isForeign(member: string): boolean {
  return member.startsWith('x-') && member !== 'x-security' && nearest(member, ['x-dcr']) === undefined
}

/** "Any properties added MUST be ignored" (Arazzo 1.1 Reusable Object), unless one of its own seems misspelt. */
function isIgnored(member: string, members: Members): boolean {
  return members === ARAZZO.reusable && nearest(member, Object.keys(members)) === undefined
}

/** The first text, of one or of a list, that is not allowed. */
function unknownIn(content: unknown, allowed: readonly string[]): string | undefined {
  return [content]
    .flat()
    .map(String)
    .find((text) => !allowed.includes(text))
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
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
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${writeJson(value)?.slice(0, 60)}`
}
