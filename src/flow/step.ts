/**
 * One step: what it calls, what it sends and whether the operation takes that, how its answer is judged, and its x-dcr
 * extensions. Knows the steps before it only by what the scope lets it read.
 */
import { nearest } from '../errors.ts'
import { parseActions, parseInvocation } from './actions.ts'
import { alterationsAt, casesAt } from './alteration.ts'
import { placed } from './components.ts'
import type { Path } from './document.ts'
import type { Template } from './expression.ts'
import type { CallStep, Dependency, Invocation, Parameter, Replacement, RequestBody, Step, Value } from './model.ts'
import { findOperation, type Operation } from './openapi.ts'
import { items, type Scope, type Stage, textOf, texts } from './scope.ts'
import { ARAZZO, type Fields, isRecord, type Reader } from './structure.ts'

/** What a workflow passes to all its steps: parameters of calls, and places of those that other workflows take. */
export interface Shared {
  readonly parameters: readonly PlacedParameter[]
  readonly toWorkflows: readonly Path[]
}

type PlacedParameter = Parameter & { readonly path: Path }

export function parseStep(scope: Scope, path: Path, shared: Shared): Step | undefined {
  const { reader } = scope
  const what = reader.nameOf(path, 'step', 'stepId')
  const fields = reader.object(path, what, ARAZZO.step)
  if (fields === undefined) return undefined
  const stepId = String(fields.stepId)
  if (!/^[A-Za-z0-9_-]+$/.test(stepId)) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `stepId "${stepId}" is not usable`,
        expected: 'letters, digits, "_" and "-"',
      },
      [...path, 'stepId'],
    )
  }
  const targets = ['operationId', 'workflowId'].filter((name) => fields[name] !== undefined)
  if (targets.length > 1) {
    const message = `${what} says twice what to call`
    reader.add({ code: 'FLOW_STRUCTURE', message, expected: 'operationId or workflowId' }, path)
    return undefined
  }
  const extension = reader.extension(path, what, 'step')
  const place: Place = { path, what, fields, extension, stepId }
  return fields.workflowId === undefined ? parseCall(scope, place, shared) : parseWorkflowStep(scope, place, shared)
}

interface Place {
  readonly path: Path
  readonly what: string
  readonly fields: Fields
  readonly extension: Fields | undefined
  readonly stepId: string
}

function parseCall(scope: Scope, place: Place, shared: Shared): CallStep | undefined {
  const { reader } = scope
  const { path, what, fields, extension } = place
  const found = findCall(scope, fields, what, path)
  const own = ownParameters(scope, path, what)
  const parameters = [
    ...shared.parameters.filter((one) => !own.some((other) => other.name === one.name && other.in === one.in)),
    ...own,
  ]
  const url =
    typeof extension?.url === 'string' ? scope.template(extension.url, [...path, 'x-dcr', 'url'], 'request') : undefined
  const requestBody = parseRequestBody(scope, found?.operation, what, [...path, 'requestBody'])
  const base = common(scope, place, 'response')
  const request = { payload: requestBody?.payload, parameters }
  const alterations = alterationsAt(scope, [...path, 'x-dcr', 'alter'], { what, request })
  if (found === undefined) return undefined
  checkFit(reader, found.operation, { parameters, url, hasBody: fields.requestBody !== undefined }, what, path)
  const step: CallStep = {
    ...base,
    kind: 'call',
    ...found,
    parameters: parameters.map(({ path: _, ...parameter }) => parameter),
    requestBody,
    identity: typeof extension?.identity === 'string' ? extension.identity : 'transport',
    identityAt: reader.document.at(extension?.identity === undefined ? path : [...path, 'x-dcr', 'identity']),
    url,
    expectRefused: extension?.expect === 'refused',
    alterations,
    cases: [],
  }
  return { ...step, cases: casesAt(scope, path, { what, step, control: extension?.control }) }
}

/** Members of x-dcr that speak of a request, which a step that runs a workflow does not send. */
const OF_REQUESTS = ['identity', 'url', 'expect', 'alter', 'cases', 'control']

function parseWorkflowStep(scope: Scope, place: Place, shared: Shared): Step | undefined {
  const { reader } = scope
  const { path, what, fields, extension } = place
  const misplaced = (member: string, own: Path) =>
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `"${member}" of ${what} has no meaning, since it runs a workflow`,
        hint: 'put it on a step of that workflow',
      },
      own,
    )
  if (fields.requestBody !== undefined) {
    const message = `"requestBody" of ${what} is not supported, since it runs a workflow`
    reader.add({ code: 'FLOW_UNSUPPORTED', message, hint: 'pass parameters' }, [...path, 'requestBody'])
  }
  for (const member of OF_REQUESTS.filter((name) => extension?.[name] !== undefined))
    misplaced(member, [...path, 'x-dcr', member])
  const workflowId = String(fields.workflowId)
  const shape = scope.shapes.get(workflowId)
  const invocation: Invocation | undefined = parseInvocation(scope, workflowId, {
    path,
    named: what,
    stage: 'request',
    more: shared.toWorkflows.filter((one) => shape === undefined || shape.inputs.has(String(nameAt(reader, one)))),
  })
  const none = {
    inputs: new Set<string>(),
    outputs: new Set<string>(),
    stepIds: new Set<string>(),
    dependsOn: [],
  }
  scope.run.add(workflowId)
  const base = common(scope, place, { called: shape ?? none })
  return invocation && { ...base, kind: 'workflow', invocation }
}

/** What all steps have. The step's outputs are known to the scope from here on. */
function common(scope: Scope, { path, what, fields, extension, stepId }: Place, stage: Stage) {
  const { reader } = scope
  const criteria = scope.criteria([...path, 'successCriteria'], what, stage)
  if (Array.isArray(fields.successCriteria) && fields.successCriteria.length === 0) {
    reader.add({ code: 'FLOW_STRUCTURE', message: `"successCriteria" of ${what} is empty`, expected: 'at least one' }, [
      ...path,
      'successCriteria',
    ])
  }
  const outputs = scope.outputs(fields.outputs, [...path, 'outputs'], stage)
  scope.outputsOf.set(stepId, new Set(outputs.keys()))
  const isFinal = extension?.finally === true
  const onSuccess = parseActions(scope, [...path, 'onSuccess'], { kind: 'success', what, stage })
  const onFailure = parseActions(scope, [...path, 'onFailure'], { kind: 'failure', what, stage })
  if (isFinal && [...onSuccess, ...onFailure].some(({ type }) => type !== 'retry')) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${what} always runs, so it leads nowhere`,
        expected: 'actions of type retry',
      },
      path,
    )
  }
  return {
    stepId,
    description: textOf(fields.description),
    at: reader.document.at(path),
    criteria,
    outputs,
    clauses: texts(extension?.clauses),
    timeoutMs: fields.timeout as number | undefined,
    dependsOn: dependencies(scope, texts(fields.dependsOn), { path: [...path, 'dependsOn'], what, stepId }),
    finally: isFinal,
    retrySafe: extension?.retrySafe === true,
    onSuccess,
    onFailure,
  }
}

function dependencies(
  scope: Scope,
  names: readonly string[],
  { path, what, stepId }: { readonly path: Path; readonly what: string; readonly stepId: string },
): Dependency[] {
  return names.flatMap((name, index): Dependency[] => {
    const own: Path = [...path, index]
    const [, workflowId, foreign] = /^\$workflows\.([A-Za-z0-9_-]+)\.steps\.([A-Za-z0-9_-]+)$/.exec(name) ?? []
    if (workflowId !== undefined && foreign !== undefined) {
      const shape = scope.shapes.get(workflowId)
      if (shape === undefined) scope.unknownName('workflow', workflowId, scope.shapes.keys(), own)
      else if (!shape.stepIds.has(foreign))
        scope.unknownName('step', foreign, shape.stepIds, own, 0, ` of workflow "${workflowId}"`)
      else if (scope.hasEnded(workflowId)) return [{ workflowId, stepId: foreign }]
      else {
        scope.reader.add(
          {
            code: 'FLOW_REFERENCE',
            message: `${what} depends on workflow "${workflowId}", which this workflow does not wait for`,
            hint: 'add it to dependsOn of this workflow',
          },
          own,
        )
      }
    } else if (name.startsWith('$')) {
      scope.reader.add(
        {
          code: 'FLOW_UNSUPPORTED',
          message: `${what} depends on a step of another document, which is not supported yet`,
          expected: 'a stepId, or $workflows.<workflowId>.steps.<stepId>',
          found: name,
        },
        own,
      )
    } else if (name === stepId) {
      scope.reader.add({ code: 'FLOW_STRUCTURE', message: `${what} depends on itself` }, own)
    } else if (!scope.stepIds.has(name)) {
      scope.unknownName('step', name, scope.stepIds, own)
    } else return [{ stepId: name }]
    return []
  })
}

function findCall(
  scope: Scope,
  fields: Fields,
  what: string,
  path: Path,
): { source: string; operation: Operation } | undefined {
  const { reader } = scope
  const { operationId } = fields
  if (typeof operationId !== 'string') {
    if (fields.operationPath === undefined && fields.channelPath === undefined) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${what} does not say what to call`,
          expected: 'operationId: $sourceDescriptions.<name>.<operationId>',
        },
        path,
      )
    }
    return undefined
  }
  const place: Path = [...path, 'operationId']
  const qualified = /^\$sourceDescriptions\.([A-Za-z0-9_-]+)\.(.+)$/.exec(operationId)
  const names = sourceNames(reader)
  const source = qualified?.[1] ?? (names.length === 1 ? names[0] : undefined)
  if (source === undefined) {
    if (names.length > 0)
      reader.add(
        {
          code: 'FLOW_REFERENCE',
          message: `${what} calls "${operationId}" without saying of which source description`,
          expected: `$sourceDescriptions.<name>.${operationId} with one of ${names.join(', ')}`,
        },
        place,
      )
    return undefined
  }
  const description = scope.sources.get(source)
  if (description === undefined) {
    // A source that could not be read has its own problem already.
    if (!names.includes(source)) scope.unknownName('source description', source, names, place)
    return undefined
  }
  const operation = findOperation(description, qualified?.[2] ?? operationId)
  if ('hint' in operation) {
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `${what} calls operation "${qualified?.[2] ?? operationId}", which "${source}" does not have`,
        hint: operation.hint,
      },
      place,
    )
    return undefined
  }
  return { source, operation }
}

function sourceNames(reader: Reader): readonly string[] {
  const declared = items(reader.raw(['sourceDescriptions']))
  return [...new Set(declared.flatMap((one) => (isRecord(one) && typeof one.name === 'string' ? [one.name] : [])))]
}

/** What the step sends must be what the operation takes. */
function checkFit(
  reader: Reader,
  operation: Operation,
  step: {
    readonly parameters: readonly PlacedParameter[]
    readonly url: Template | undefined
    readonly hasBody: boolean
  },
  what: string,
  path: Path,
): void {
  for (const parameter of step.parameters) {
    if (parameter.in === 'header' && CLIENT_HEADERS.has(parameter.name.toLowerCase())) continue
    const sameName = (name: string) =>
      parameter.in === 'header' ? name.toLowerCase() === parameter.name.toLowerCase() : name === parameter.name
    const candidates = operation.parameters.filter((one) => one.in === parameter.in)
    if (candidates.some((one) => sameName(one.name))) continue
    const meant = nearest(
      parameter.name,
      candidates.map(({ name }) => name),
    )
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `operation "${operation.operationId}" of ${what} has no ${parameter.in} parameter "${parameter.name}"`,
        hint: meant && `did you mean "${meant}"?`,
      },
      parameter.path,
    )
  }
  for (const { name, in: location, required } of operation.parameters) {
    if (!required || (step.url !== undefined && location === 'path')) continue
    if (
      step.parameters.some(
        (parameter) => parameter.in === location && parameter.name.toLowerCase() === name.toLowerCase(),
      )
    )
      continue
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `${what} lacks the ${location} parameter "${name}" that "${operation.operationId}" requires`,
      },
      path,
    )
  }
  if (operation.requestBody?.required && !step.hasBody) {
    reader.add(
      { code: 'FLOW_REFERENCE', message: `${what} lacks the body that "${operation.operationId}" requires` },
      path,
    )
  }
}

/** Headers that OpenAPI describes elsewhere than in its parameters (OpenAPI 3.1 §4.8.12). */
const CLIENT_HEADERS = new Set(['authorization', 'accept', 'content-type'])

/** Parameters that a workflow passes to all its steps; one without a place goes to the workflows that they run. */
export function sharedParameters(scope: Scope, path: Path, what: string, hasWorkflowSteps: boolean): Shared {
  const { reader } = scope
  const all = items(reader.raw([...path, 'parameters'])).map((_, index): Path => [...path, 'parameters', index])
  const toWorkflows = hasWorkflowSteps ? all.filter((one) => !hasLocation(reader, one)) : []
  const parameters = distinct(
    reader,
    all.filter((one) => !toWorkflows.includes(one)).flatMap((one) => parseParameter(scope, one, what) ?? []),
  )
  return { parameters, toWorkflows }
}

function hasLocation(reader: Reader, path: Path): boolean {
  const raw = reader.raw(path)
  const name = isRecord(raw) ? /^\$components\.parameters\.(.+)$/.exec(String(raw.reference))?.[1] : undefined
  const object = name === undefined ? raw : reader.raw(['components', 'parameters', name])
  return isRecord(object) && object.in !== undefined
}

function nameAt(reader: Reader, path: Path): unknown {
  const raw = reader.raw(path)
  const name = isRecord(raw) ? /^\$components\.parameters\.(.+)$/.exec(String(raw.reference))?.[1] : undefined
  const object = name === undefined ? raw : reader.raw(['components', 'parameters', name])
  return isRecord(object) ? object.name : undefined
}

function ownParameters(scope: Scope, path: Path, what: string): PlacedParameter[] {
  const list = items(scope.reader.raw([...path, 'parameters']))
  return distinct(
    scope.reader,
    list.flatMap((_, index) => parseParameter(scope, [...path, 'parameters', index], what) ?? []),
  )
}

function distinct(reader: Reader, parameters: PlacedParameter[]): PlacedParameter[] {
  const seen = new Set<string>()
  for (const { name, in: location, path } of parameters) {
    const message = `${location} parameter "${name}" occurs twice`
    if (seen.has(message)) reader.add({ code: 'FLOW_STRUCTURE', message }, path)
    seen.add(message)
  }
  return parameters
}

function parseParameter(scope: Scope, written: Path, what: string): PlacedParameter | undefined {
  const { reader } = scope
  const named = reader.nameOf(written, 'parameter', 'name')
  const place = placed(reader, written, `${named} of ${what}`, 'parameters')
  const fields = place && reader.object(place.path, `${named} of ${what}`, ARAZZO.parameter)
  if (place === undefined || fields === undefined) return undefined
  const at = place.value ?? [...place.path, 'value']
  const value = scope.value(reader.raw(at), at, 'request')
  const { name, in: location } = fields
  if (location === undefined) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${named} of ${what} does not say where it goes`,
        expected: 'in: path, query, header or cookie',
      },
      place.path,
    )
  } else if (typeof name === 'string' && isLocation(location)) return { name, in: location, value, path: written }
  return undefined
}

function isLocation(value: unknown): value is Parameter['in'] {
  return value === 'path' || value === 'query' || value === 'header' || value === 'cookie'
}

function parseRequestBody(
  scope: Scope,
  operation: Operation | undefined,
  what: string,
  path: Path,
): RequestBody | undefined {
  const { reader } = scope
  if (!isRecord(reader.raw(path))) return undefined
  const fields = reader.object(path, `requestBody of ${what}`, ARAZZO.requestBody) ?? {}
  const documented = [...(operation?.requestBody?.content.keys() ?? [])]
  const contentType = typeof fields.contentType === 'string' ? fields.contentType : documented[0]
  const type = mediaType(contentType ?? '')
  const isForm = type === 'application/x-www-form-urlencoded'
  const isJson = /[/+]json$/.test(type) || contentType === undefined
  // Replacements alone build the body up from nothing.
  const nothing = isJson || isForm ? {} : ''
  const payload = scope.value(fields.payload ?? nothing, [...path, 'payload'], 'request')
  if (operation !== undefined && documented.length === 0) {
    reader.add(
      { code: 'FLOW_REFERENCE', message: `operation "${operation.operationId}" of ${what} takes no body` },
      path,
    )
  } else if (contentType !== undefined && operation !== undefined && !documented.includes(type)) {
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `operation "${operation.operationId}" of ${what} does not take "${contentType}"`,
        expected: documented.join(' or '),
      },
      [...path, 'contentType'],
    )
  }
  if (documented.includes(type) && !isForm && !isJson && payload.kind !== 'template') {
    reader.add(
      {
        code: 'FLOW_UNSUPPORTED',
        message: `bodies of type "${contentType}" are not supported yet`,
        expected: 'JSON or application/x-www-form-urlencoded',
      },
      [...path, 'contentType'],
    )
  }
  if (isForm && Object.hasOwn(fields, 'payload') && !hasFields(payload)) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `the form of ${what} is not an object`,
        expected: 'an object with one member for each field, or one text',
      },
      [...path, 'payload'],
    )
  }
  return {
    contentType: contentType ?? 'application/json',
    payload,
    replacements: parseReplacements(scope, items(fields.replacements), what, [...path, 'replacements']),
  }
}

function parseReplacements(scope: Scope, list: readonly unknown[], what: string, path: Path): Replacement[] {
  const { reader } = scope
  return list.flatMap((_, index) => {
    const own: Path = [...path, index]
    const fields = reader.object(own, `replacement ${index + 1} of ${what}`, ARAZZO.replacement)
    if (typeof fields?.target !== 'string') return []
    const tokens = scope.pointer(fields.target, [...own, 'target'])
    const value = scope.value(fields.value, [...own, 'value'], 'request')
    return tokens === undefined ? [] : [{ tokens, value, at: reader.document.at(own) }]
  })
}

/** What can become name=value pairs; a template is known only when it is rendered. */
function hasFields(payload: Value): boolean {
  return payload.kind !== 'array' && (payload.kind !== 'literal' || typeof payload.value === 'string')
}

function mediaType(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}
