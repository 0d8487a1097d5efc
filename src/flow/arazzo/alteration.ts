/**
 * Changes to an otherwise good request, alone or as a table of cases: x-dcr's `alter` and `cases`. Only describes
 * the change; src/execute makes it and signs changed JWTs again.
 */
import { writeJson } from '../../record/json.ts'
import type { Fields } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import type {
  Alteration,
  CallStep,
  Case,
  Input,
  JwtAlteration,
  JwtHolder,
  MemberAlteration,
  Parameter,
  Value,
} from './model.ts'
import { items, type Scope, textOf, texts } from './scope.ts'
import { X_DCR } from './structure.ts'

/** The content of the unaltered request. */
interface Request {
  readonly payload: Value | undefined
  readonly parameters: readonly Parameter[]
}

interface Place {
  readonly path: Path
  readonly named: string
  readonly request: Request
}

/** The alterations of the list at `path`. */
export function alterationsAt(
  scope: Scope,
  path: Path,
  { what, request }: { readonly what: string; readonly request: Request },
): Alteration[] {
  const { reader } = scope
  return items(reader.raw(path)).flatMap((_, index): Alteration[] => {
    const own: Path = [...path, index]
    const named = `alteration ${index + 1} of ${what}`
    const fields = reader.object(own, named, X_DCR.alteration)
    if (fields === undefined) return []
    const kinds = FORMS.filter(({ needs }) => needs.every((member) => Object.hasOwn(fields, member)))
    const form = kinds.find(({ verb, places, needs }) => {
      const isWhole = Object.keys(fields).every((member) => member === verb || needs.includes(member))
      return places.includes(String(fields[verb])) && isWhole
    })
    if (form === undefined) {
      const place = String(fields.set ?? fields.remove)
      const forms = FORMS.filter(({ places }) => places.includes(place))
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} is not whole`,
          expected: (forms.length === 0 ? FORMS : forms).map(({ text }) => text).join(' or '),
        },
        own,
      )
      return []
    }
    return form.places.includes('jwt')
      ? jwtAlteration(scope, fields, { path: own, named, request })
      : memberAlteration(scope, fields, own)
  })
}

interface Form {
  readonly verb: 'set' | 'remove'
  readonly places: readonly string[]
  readonly needs: readonly string[]
  readonly text: string
}

/** Every form of an alteration, as messages and the documentation show it. */
const FORMS: readonly Form[] = [
  { verb: 'set', places: ['header', 'form'], needs: ['name', 'value'], text: '{ set: header | form, name, value }' },
  { verb: 'remove', places: ['header', 'form'], needs: ['name'], text: '{ remove: header | form, name }' },
  { verb: 'set', places: ['body'], needs: ['at', 'value'], text: '{ set: body, at, value }' },
  { verb: 'remove', places: ['body'], needs: ['at'], text: '{ remove: body, at }' },
  { verb: 'set', places: ['method'], needs: ['value'], text: '{ set: method, value }' },
  ...(['in', 'name'] as const).flatMap((holder): Form[] => [
    {
      verb: 'set',
      places: ['jwt'],
      needs: [holder, 'header', 'value'],
      text: `{ set: jwt, ${holder}, header, value }`,
    },
    { verb: 'set', places: ['jwt'], needs: [holder, 'claim', 'value'], text: `{ set: jwt, ${holder}, claim, value }` },
    {
      verb: 'set',
      places: ['jwt'],
      needs: [holder, 'claim', 'secondsAhead'],
      text: `{ set: jwt, ${holder}, claim, secondsAhead }`,
    },
    { verb: 'remove', places: ['jwt'], needs: [holder, 'header'], text: `{ remove: jwt, ${holder}, header }` },
    { verb: 'remove', places: ['jwt'], needs: [holder, 'claim'], text: `{ remove: jwt, ${holder}, claim }` },
    { verb: 'set', places: ['jwt'], needs: [holder, 'signature'], text: `{ set: jwt, ${holder}, signature }` },
    { verb: 'set', places: ['jwt'], needs: [holder, 'key'], text: `{ set: jwt, ${holder}, key }` },
    {
      verb: 'set',
      places: ['jwt'],
      needs: [holder, 'key', 'jwks'],
      text: `{ set: jwt, ${holder}, key: public, jwks }`,
    },
  ]),
]

function memberAlteration(scope: Scope, fields: Fields, path: Path): MemberAlteration[] {
  const place = (fields.set ?? fields.remove) as MemberAlteration['place']
  if (place === 'method') return methodAlteration(scope, fields, path)
  const target = String(place === 'body' ? fields.at : fields.name)
  const tokens = place === 'body' ? scope.pointer(target, [...path, 'at']) : [target]
  const isSet = fields.set !== undefined
  const value = isSet ? scope.value(fields.value, [...path, 'value'], 'request') : undefined
  const text = isSet ? `set ${place} ${target} = ${shown(fields.value)}` : `remove ${place} ${target}`
  return tokens === undefined ? [] : [{ place, tokens, value, text, at: scope.reader.document.at(path) }]
}

/** Fixed, so that it is known before the run what the call may do. */
function methodAlteration(scope: Scope, fields: Fields, path: Path): MemberAlteration[] {
  const method = String(fields.value)
  if (!METHODS.includes(method)) {
    const message = `the method cannot be set to "${method}"`
    scope.reader.add({ code: 'FLOW_STRUCTURE', message, expected: METHODS.join(', ') }, [...path, 'value'])
    return []
  }
  const value = { kind: 'literal', value: method } as const
  return [{ place: 'method', tokens: [], value, text: `send it as ${method}`, at: scope.reader.document.at(path) }]
}

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

function jwtAlteration(scope: Scope, fields: Fields, { path, named, request }: Place): JwtAlteration[] {
  const { reader } = scope
  const holder = holderAt(scope, fields, { path, request })
  if (holder === undefined) return []
  const { value: held, where } = holder
  const input = held && mintedBy(held, scope.inputs)
  const base = { place: 'jwt', holder: holder.name, input: input?.name, at: reader.document.at(path) } as const
  if (fields.signature !== undefined) {
    const to = fields.signature as 'damaged' | 'none'
    const text = to === 'none' ? `unsigned JWT in ${where} (alg none)` : `damaged signature of the JWT in ${where}`
    return [{ ...base, change: { part: 'signature', to }, text }]
  }
  if (fields.key === 'other') {
    const text = `JWT in ${where} signed with another key under the same kid`
    return [{ ...base, change: { part: 'key', to: 'other' }, text }]
  }
  if (fields.key === 'embedded') {
    const text = `JWT in ${where} signed with another key that its header brings along`
    return [{ ...base, change: { part: 'key', to: 'embedded' }, text }]
  }
  const publicKey = `JWT in ${where} signed by HS256 with the public key as the secret`
  if (fields.key === 'public' && fields.jwks !== undefined) {
    const value = scope.value(fields.jwks, [...path, 'jwks'], 'request')
    return [{ ...base, change: { part: 'key', to: 'public', value }, text: publicKey }]
  }
  if (input === undefined) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${named} changes a JWT that others signed`,
        expected: 'signature: damaged, signature: none, key: other, key: embedded or key: public with jwks',
        hint: 'a changed claim would break the signature, and the server would refuse it for that; only a minted input is signed anew',
      },
      path,
    )
    return []
  }
  if (fields.key === 'public') {
    return [{ ...base, change: { part: 'key', to: 'public' }, text: publicKey }]
  }
  const part = fields.header === undefined ? 'claims' : 'header'
  const name = String(fields.header ?? fields.claim)
  if (fields.secondsAhead !== undefined) {
    const change = { part: 'claims', name, secondsAhead: Number(fields.secondsAhead) } as const
    return [{ ...base, change, text: `set claim ${name} of the JWT in ${where} = now and ${change.secondsAhead} s` }]
  }
  const isSet = fields.set !== undefined
  const value = isSet ? scope.value(fields.value, [...path, 'value'], 'request') : undefined
  const words = `${part === 'header' ? 'header' : 'claim'} ${name} of the JWT in ${where}`
  const text = isSet ? `set ${words} = ${shown(fields.value)}` : `remove ${words}`
  return [{ ...base, change: { part, name, value }, text }]
}

/** The member of the payload that `in` names, or the header that `name` does; its value where that is written out. */
function holderAt(
  scope: Scope,
  fields: Fields,
  { path, request: { payload, parameters } }: Pick<Place, 'path' | 'request'>,
): { readonly name: JwtHolder; readonly value: Value | undefined; readonly where: string } | undefined {
  if (fields.name !== undefined) {
    const name = String(fields.name)
    const headers = parameters.filter((one) => one.in === 'header')
    const value = headers.find((one) => one.name.toLowerCase() === name.toLowerCase())?.value
    if (value !== undefined) return { name: `header ${name.toLowerCase()}`, value, where: `header ${name}` }
    const names = headers.map((one) => one.name)
    scope.unknownName('header', name, names, [...path, 'name'], 0, ' among the parameters')
    return undefined
  }
  const member = String(fields.in)
  const names = payload?.kind === 'object' ? payload.members.map(([name]) => name) : undefined
  if (names === undefined || names.includes(member))
    return { name: `payload ${member}`, value: memberOf(payload, member), where: member }
  scope.unknownName('member', member, names, [...path, 'in'], 0, ' in the payload')
  return undefined
}

function memberOf(payload: Value | undefined, member: string): Value | undefined {
  return payload?.kind === 'object' ? payload.members.find(([name]) => name === member)?.[1] : undefined
}

/** The minted input that is the whole value, or the one thing in it that is no fixed text. */
function mintedBy(value: Value, inputs: ReadonlyMap<string, Input>): Input | undefined {
  if (value.kind !== 'template' || value.template.references.length !== 1) return undefined
  const [expression] = value.template.references
  const input = expression?.kind === 'inputs' ? inputs.get(expression.name) : undefined
  return input?.mint === undefined ? undefined : input
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : writeJson(value)
}

/** The runs of a step with cases, controls included; the step is the good request. */
export function casesAt(
  scope: Scope,
  path: Path,
  { what, step, control = 'both' }: { readonly what: string; readonly step: CallStep; readonly control: unknown },
): readonly Case[] {
  const { reader } = scope
  const list = items(reader.raw([...path, 'x-dcr', 'cases']))
  if (list.length === 0) {
    if (reader.raw([...path, 'x-dcr', 'control']) !== undefined)
      reader.add({ code: 'FLOW_STRUCTURE', message: `"control" of ${what} has no meaning without "cases"` }, [
        ...path,
        'x-dcr',
        'control',
      ])
    return []
  }
  if (step.expectRefused) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${what} expects a refusal, but its unaltered request is the control of its cases`,
        hint: 'put expect: refused on each case',
      },
      [...path, 'x-dcr', 'expect'],
    )
  }
  const ids = new Set(['control-before', 'control-after'])
  const retries = step.onFailure.filter(({ type }) => type === 'retry')
  const variant = (id: string): CallStep => ({
    ...step,
    stepId: `${step.stepId}/${id}`,
    cases: [],
    onSuccess: [],
    onFailure: retries,
  })
  const controlled = (id: string): Case => ({ id, isControl: true, step: variant(id) })
  const cases = list.flatMap((_, index): Case[] => {
    const own: Path = [...path, 'x-dcr', 'cases', index]
    const named = `${reader.nameOf(own, 'case', 'id')} of ${what}`
    const fields = reader.object(own, named, X_DCR.case)
    if (fields === undefined) return []
    const id = String(fields.id)
    if (!/^[A-Za-z0-9_-]+$/.test(id) || ids.has(id)) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: ids.has(id) ? `case "${id}" of ${what} occurs twice` : `case id "${id}" is not usable`,
          expected: 'letters, digits, "_" and "-", each id once; the controls are control-before and control-after',
        },
        [...own, 'id'],
      )
    }
    ids.add(id)
    const criteria = scope.criteria([...own, 'criteria'], named, 'response')
    if (fields.expect === undefined && items(fields.criteria).length === 0) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} does not say what the server should answer`,
          expected: 'expect: refused, or criteria',
        },
        own,
      )
    }
    if (items(fields.alter).length === 0 && fields.identity === undefined) {
      reader.add(
        { code: 'FLOW_STRUCTURE', message: `${named} changes nothing`, expected: 'alter, or another identity' },
        own,
      )
    }
    const request = { payload: step.requestBody?.payload, parameters: step.parameters }
    const alterations = alterationsAt(scope, [...own, 'alter'], { what: named, request })
    const identity = textOf(fields.identity)
    const altered: CallStep = {
      ...variant(id),
      description: typeof fields.description === 'string' ? fields.description : undefined,
      at: reader.document.at(own),
      clauses: texts(fields.clauses),
      criteria,
      outputs: new Map(),
      expectRefused: fields.expect === 'refused',
      alterations: [...step.alterations, ...alterations],
      ...(identity !== undefined && { identity, identityAt: reader.document.at([...own, 'identity']) }),
    }
    return [{ id, isControl: false, step: altered }]
  })
  return [
    ...(control === 'after' ? [] : [controlled('control-before')]),
    ...cases,
    ...(control === 'before' ? [] : [controlled('control-after')]),
  ]
}
