/**
 * What a call does to a client: the one answer that guard, vault, record and reports go by. `plannedEffect` is known before
 * anything is built, and what is not known yet counts as the worst; `sentEffect` is read off the request as it will leave. A
 * call that would do more than was planned is not sent. Pure.
 */
import type { Alteration, CallStep, Flow, Replacement, Step, Value, Workflow } from '../flow/arazzo/model.ts'
import { areAlternatives, withDependencies, withInvoked, workflowOf } from '../flow/arazzo/needs.ts'
import type { Template } from '../flow/expression/expression.ts'
import type { Mark, Operation } from '../flow/openapi/description.ts'
import { type Change, type Effect, isChange, strongest, type WorkflowEffect } from '../record/effect.ts'

/** A call by all that its effect depends on. `open` stands for what is not known yet. */
interface Facts {
  readonly method: string
  readonly mark: Mark | undefined
  readonly place: 'registration' | 'clients' | 'elsewhere' | 'open'
  readonly body: 'metadata' | 'other' | 'open'
}

function effectOf({ method, mark, place, body }: Facts): Effect {
  const change = CHANGE_OF[method]
  const marked = mark === undefined || mark === 'safe' ? undefined : EFFECT_OF[mark]
  // Of an API that has clients of another kind the mark is believed.
  const isRegistration = place === 'registration' || (place === 'clients' && mark !== 'safe')
  if (SAFE_METHODS.includes(method)) return marked === 'read' || isRegistration ? 'read' : 'none'
  if (marked !== undefined) return marked
  if (change !== undefined && (isRegistration || body === 'metadata')) return change
  if (mark === 'safe') return 'none'
  return change !== undefined && (place === 'open' || body === 'open') ? change : 'other'
}

const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']
const CHANGE_OF: Readonly<Record<string, Change>> = {
  POST: 'register',
  PUT: 'update',
  PATCH: 'update',
  DELETE: 'delete',
}
const EFFECT_OF: Readonly<Record<Exclude<Mark, 'safe'>, Effect>> = {
  create: 'register',
  read: 'read',
  update: 'update',
  delete: 'delete',
}

/** Headers by which frameworks let a POST stand for another method. */
const METHOD_HEADERS: readonly string[] = ['x-http-method-override', 'x-http-method', 'x-method-override']

/** The strongest thing that the step can do, with all its cases. */
export function plannedEffect(step: CallStep): Effect {
  if (step.cases.length > 0) return strongest(step.cases.map((one) => plannedEffect(one.step)))
  const { operation, url } = step
  const place = url === undefined ? placeOf(operation.path) : plannedPlace(url)
  const body = plannedBody(step)
  const own = ownMethod(step)
  const mark = own === operation.method ? operation.mark : undefined
  return strongest(methodsOf(step, own).map((method) => effectOf({ method, mark, place, body })))
}

/** What an alteration makes of the operation's method; of another one the mark says nothing. */
function ownMethod({ operation, alterations }: CallStep): string {
  const set = alterations.flatMap((one) =>
    one.place === 'method' && one.value !== undefined ? (textOf(one.value) ?? []) : [],
  )
  return set.at(-1) ?? operation.method
}

function methodsOf({ parameters, alterations }: CallStep, own: string): readonly string[] {
  const isMethod = (name = '') => METHOD_HEADERS.includes(name.toLowerCase())
  const said = [
    ...parameters.flatMap((one) => (one.in === 'header' && isMethod(one.name) ? [one.value] : [])),
    ...alterations.flatMap((one) => (one.place === 'header' && isMethod(one.tokens[0]) ? (one.value ?? []) : [])),
  ]
  // One that is not known yet may be any.
  return [own, ...said.map((value) => textOf(value)?.trim().toUpperCase() ?? 'DELETE')]
}

/** What a base URL is, is not known here: the request as it will leave shows it. */
function plannedPlace(url: Template): Facts['place'] {
  if (url.kind === 'literal') return placeOf(url.text)
  if (url.kind === 'expression') return 'open'
  const [first = '', ...rest] = url.parts
  const [next] = rest
  const isBase = typeof first === 'string' || (typeof next === 'string' && next.startsWith('/'))
  return isBase ? placeOf(url.parts.map((part) => (typeof part === 'string' ? part : 'x')).join('')) : 'open'
}

function plannedBody({ requestBody, alterations }: CallStep): Facts['body'] {
  if (requestBody === undefined) return 'other'
  const changes = [...requestBody.replacements.map(replaced), ...alterations.map(altered)]
  return worstBody([bodyOfValue(requestBody.payload), ...changes])
}

function worstBody(bodies: readonly Facts['body'][]): Facts['body'] {
  return (['metadata', 'open'] as const).find((one) => bodies.includes(one)) ?? 'other'
}

function replaced({ target, value }: Replacement): Facts['body'] {
  // A query can find any place.
  return target.kind === 'jsonpath' ? 'open' : memberSet(target.tokens, value)
}

function altered(alteration: Alteration): Facts['body'] {
  if (alteration.place !== 'body' && alteration.place !== 'form') return 'other'
  if (alteration.value === undefined) return 'other'
  return memberSet(alteration.tokens, alteration.value)
}

function memberSet([name]: readonly string[], value: Value): Facts['body'] {
  return name === undefined ? bodyOfValue(value) : bodyOf({ [name]: true })
}

function bodyOfValue(value: Value): Facts['body'] {
  switch (value.kind) {
    case 'object':
      return bodyOf(Object.fromEntries(value.members))
    case 'literal':
    case 'array':
      return 'other'
    case 'selector':
      return 'open'
    case 'template':
      return value.template.kind === 'expression' ? 'open' : bodyOf(fixedText(value.template))
    default:
      return value satisfies never
  }
}

function fixedText(template: Template): string {
  if (template.kind !== 'embedded') return template.text
  return template.parts.map((part) => (typeof part === 'string' ? part : 'x')).join('')
}

function textOf(value: Value): string | undefined {
  if (value.kind === 'literal') return String(value.value)
  return value.kind === 'template' && value.template.kind === 'literal' ? value.template.text : undefined
}

/** A request as it will leave. */
export interface Leaving {
  readonly method: string
  /** absolute */
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body?: string | undefined
}

/**
 * What the request does, whatever its flow says. `managesKnown`: it goes to the URI of a client that is known, or carries
 * its token, which matters where `mayManage`.
 */
export function sentEffect(
  request: Leaving,
  operation: Pick<Operation, 'mark' | 'method'>,
  managesKnown: boolean,
): Effect {
  const mark = request.method === operation.method ? operation.mark : undefined
  const [place, body] = [placeOf(request.url), bodyOf(request.body)]
  return strongest(
    sentMethods(request).map((method) => {
      const isManaged = managesKnown && isManagement(method)
      return effectOf({ method, mark, place: isManaged ? 'registration' : place, body })
    }),
  )
}

/** Whether it depends on the client what the request does. */
export function mayManage(request: Pick<Leaving, 'method' | 'headers'>): boolean {
  return sentMethods(request).some(isManagement)
}

function isManagement(method: string): boolean {
  return CHANGE_OF[method] === 'update' || CHANGE_OF[method] === 'delete'
}

function sentMethods({ method, headers }: Pick<Leaving, 'method' | 'headers'>): readonly string[] {
  const said = headers.flatMap(([name, value]) => (METHOD_HEADERS.includes(name.toLowerCase()) ? [value] : []))
  return [method, ...said].map((one) => one.trim().toUpperCase())
}

/** RFC 7591 and RFC 7592 name no paths; these are the ones that servers have. */
const REGISTRATION = /^(?:reg|register|(?:[a-z]+[-_])*registrations?|dcr)(?:\.[a-z]+)?\.?$/i
const CLIENTS = /^clients?(?:\.[a-z]+)?\.?$/i

/** Whether one segment of a path, or of a path template, is that of a registration, however it is spelt. */
function placeOf(url: string): Exclude<Facts['place'], 'open'> {
  const path = url.replace(/[\t\r\n]/g, '').replace(/^[a-z][a-z0-9+.-]*:[\\/]+[^\\/?#]*|[?#].*$/gis, '')
  const names = decoded(path)
    .split(/[\\/]/)
    .map((segment) => segment.replace(/;.*$/s, '').trim())
  if (names.some((name) => REGISTRATION.test(name))) return 'registration'
  return names.some((name) => CLIENTS.test(name)) ? 'clients' : 'elsewhere'
}

/** Percent-encoding resolved, of percent signs too: a proxy in front of a server may resolve it once more. */
function decoded(text: string): string {
  let plain = text
  for (let round = 0; round < 4; round += 1)
    plain = plain.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  return plain
}

/** Members of client metadata (RFC 7591 section 2) that no other call has. */
const METADATA = ['software_statement', 'redirect_uris', 'token_endpoint_auth_method', 'grant_types']
/** The name of one in a form, a form of parts, or JSON that only a lenient server reads. */
const METADATA_IN_TEXT = new RegExp(`(?:^|[^\\w-])(?:${METADATA.join('|')})(?:\\[\\w*\\])?["']?\\s*[:=;\\r\\n]`, 'i')

/** Whether it holds client metadata: as an object, or as the text of one, of a form, or of a text within a text. */
function bodyOf(body: unknown, depth = 0): 'metadata' | 'other' {
  if (typeof body === 'object' && body !== null && !Array.isArray(body))
    return Object.keys(body).some((name) => METADATA.includes(name)) ? 'metadata' : 'other'
  if (typeof body !== 'string' || depth > 2) return 'other'
  const read = jsonIn(body)
  if (read !== undefined) return bodyOf(read, depth + 1)
  return METADATA_IN_TEXT.test(decoded(body)) ? 'metadata' : 'other'
}

/** An object or a text that is written as JSON. */
function jsonIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof value === 'object' && value !== null ? value : typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** The strongest of what a workflow says of itself, and of what it and the workflows that it runs can do. */
export function workflowEffect(flow: Flow, workflow: Workflow): WorkflowEffect {
  const all = withInvoked(flow, workflow)
  const calls = all.flatMap(({ steps }) => steps.filter((step) => step.kind === 'call'))
  const effect = strongest([...all.map((one) => one.effect), ...calls.map(plannedEffect)])
  return effect === 'none' ? 'read' : effect
}

/** A step that changes a registration. */
export interface ChangingStep {
  readonly step: Step
  readonly change: Change
}

/**
 * In the order in which they run, those of the workflows that steps run, and of what these depend on, in their place. Of steps
 * that make the same change and of which only one runs, the first stands for all.
 */
export function changingSteps(flow: Flow, workflow: Workflow): readonly ChangingStep[] {
  const known = changingStepsOf.get(workflow)
  if (known !== undefined) return known
  const all = allChangingSteps(flow, workflow)
  const steps = all.filter(
    ({ step, change }, index) =>
      !all.slice(0, index).some((one) => one.change === change && areAlternatives(workflow, one.step, step)),
  )
  changingStepsOf.set(workflow, steps)
  return steps
}

/** Of a workflow in its flow, which are asked for before each of its calls. */
const changingStepsOf = new WeakMap<Workflow, readonly ChangingStep[]>()

function allChangingSteps(flow: Flow, workflow: Workflow, within: readonly Workflow[] = []): ChangingStep[] {
  if (within.includes(workflow)) return []
  const hasRun = new Set(withDependencies(flow, workflow).map((one) => one.workflow))
  return workflow.steps.flatMap((step): ChangingStep[] => {
    if (step.kind === 'call') {
      const change = plannedEffect(step)
      return isChange(change) ? [{ step, change }] : []
    }
    const invoked = workflowOf(flow, step.invocation)
    const ran = invoked === undefined ? [] : withDependencies(invoked.flow, invoked.workflow)
    return ran
      .filter((one) => !hasRun.has(one.workflow))
      .flatMap((one) => allChangingSteps(one.flow, one.workflow, [...within, workflow]))
  })
}
