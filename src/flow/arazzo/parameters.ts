/**
 * Reads the parameters of a step and of its workflow, and checks that the operation takes what the step sends. src/execute
 * writes them into a request.
 */

import { nearest } from '../../record/errors.ts'
import { writeJson } from '../../record/json.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import type { Template } from '../expression/expression.ts'
import { isLocation, type Operation, type OperationParameter } from '../openapi/description.ts'
import { bodyKind } from '../openapi/media-type.ts'
import { placed, writtenAt } from './components.ts'
import type { Parameter } from './model.ts'
import { items, type Scope } from './scope.ts'
import { ARAZZO, type Reader } from './structure.ts'

/** What a workflow passes to all its steps: parameters of calls, and places of those that other workflows take. */
export interface Shared {
  readonly parameters: readonly PlacedParameter[]
  readonly toWorkflows: readonly Path[]
}

export type PlacedParameter = Parameter & { readonly path: Path }

/** Parameters that a workflow passes to all its steps; those without a place only to the workflows that they run. */
export function sharedParameters(scope: Scope, path: Path, what: string, hasWorkflowSteps: boolean): Shared {
  const { reader } = scope
  const all = items(reader.raw([...path, 'parameters'])).map((_, index): Path => [...path, 'parameters', index])
  const hasPlace = (one: Path) => {
    const written = writtenAt(reader, one, 'parameters')
    return isRecord(written) && written.in !== undefined
  }
  const toCalls = all.filter((one) => !hasWorkflowSteps || hasPlace(one))
  const parameters = distinct(
    reader,
    toCalls.flatMap((one) => parseParameter(scope, one, what) ?? []),
  )
  // A parameter without `in` is meant for workflows, and wins there.
  const toWorkflows = hasWorkflowSteps ? [...toCalls, ...all.filter((one) => !hasPlace(one))] : []
  return { parameters, toWorkflows }
}

/** What a step sends: its own parameters, and those its workflow passes to all steps unless the step has the same one. */
export function parametersOf(scope: Scope, path: Path, what: string, shared: Shared): readonly PlacedParameter[] {
  const list = items(scope.reader.raw([...path, 'parameters']))
  const own = distinct(
    scope.reader,
    list.flatMap((_, index) => parseParameter(scope, [...path, 'parameters', index], what) ?? []),
  )
  const inherited = shared.parameters.filter(
    (one) => !own.some((other) => other.name === one.name && other.in === one.in),
  )
  const all = [...inherited, ...own]
  const whole = all.find((one) => one.in === 'querystring')
  if (whole !== undefined && all.some((one) => one.in === 'query')) {
    const message = `${what} has a query string and parameters of the query`
    scope.reader.add({ code: 'FLOW_STRUCTURE', message, expected: 'one or the other' }, whole.path)
  }
  return all
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
        expected: 'in: path, query, querystring, header or cookie',
      },
      place.path,
    )
  } else if (typeof name === 'string' && isLocation(location)) return { name, in: location, value, path: written }
  return undefined
}

/** What the step sends must be what the operation takes. */
export function checkFit(
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
  // Without a description there is nothing to check the parameters against.
  if (operation.description === undefined) return
  for (const parameter of step.parameters) {
    if (parameter.in === 'header' && CLIENT_HEADERS.has(parameter.name.toLowerCase())) continue
    const sameName = (name: string) =>
      parameter.in === 'header' ? name.toLowerCase() === parameter.name.toLowerCase() : name === parameter.name
    const candidates = operation.parameters.filter((one) => one.in === parameter.in)
    const documented = candidates.find((one) => sameName(one.name))
    if (documented !== undefined) {
      checkContent(reader, parameter, documented, what)
      continue
    }
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
  for (const { name, in: location, required, default: usual } of operation.parameters) {
    if (!required || (step.url !== undefined && location === 'path')) continue
    if (location === 'header' && CLIENT_HEADERS.has(name.toLowerCase())) continue
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
        hint:
          usual === undefined
            ? undefined
            : `a default is what the server takes where it is not sent, and required means sent: write value: ${writeJson(usual)}`,
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

/** A parameter with `content` is written as its media type: structures as JSON alone, and any other text by the flow. */
function checkContent(
  reader: Reader,
  { name, value, path }: PlacedParameter,
  documented: OperationParameter,
  what: string,
): void {
  const { mediaType } = documented
  if (mediaType === undefined || documented.in === 'querystring' || bodyKind(mediaType) === 'json') return
  if (value.kind !== 'object' && value.kind !== 'array') return
  const message = `parameter "${name}" of ${what} is no text, and nothing else can be written as "${mediaType}"`
  reader.add({ code: 'FLOW_UNSUPPORTED', message, expected: 'one text, with expressions in braces' }, path)
}

/** Headers that OpenAPI describes elsewhere than in its parameters (OpenAPI 3.1 §4.8.12). */
const CLIENT_HEADERS = new Set(['authorization', 'accept', 'content-type'])
