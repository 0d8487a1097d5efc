/**
 * Reads what a step calls: an operation by its id or its place in a description, or a URL that is in no description.
 */

import type { Fields } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import type { Template } from '../expression/expression.ts'
import { type ApiDescription, findOperation, type Operation, placeOf } from '../openapi/description.ts'
import { unescaped } from '../openapi/reference.ts'
import { faultsOf, problemOf } from '../openapi/used.ts'
import { type Scope, sourceNames } from './scope.ts'
import { ARAZZO } from './structure.ts'

export interface Called {
  /** name of the source description, which names the server; '' for a URL of the step's own */
  readonly source: string
  readonly operation: Operation
  /** called instead of the operation's own URL */
  readonly url?: Template | undefined
}

/** The members of a step that say what it runs; a step has exactly one of them. */
export const TARGETS = ['operationId', 'operationPath', 'workflowId', 'x-operation'] as const

export function findCall(scope: Scope, fields: Fields, what: string, path: Path): Called | undefined {
  const { operationId, operationPath } = fields
  if (typeof operationId === 'string') return byId(scope, operationId, what, [...path, 'operationId'])
  if (typeof operationPath === 'string') return byPath(scope, operationPath, what, [...path, 'operationPath'])
  if (fields['x-operation'] !== undefined) return byUrl(scope, what, [...path, 'x-operation'])
  if (fields.channelPath === undefined) {
    const expected = 'operationId: $sourceDescriptions.<name>.<operationId>'
    scope.reader.add({ code: 'FLOW_STRUCTURE', message: `${what} does not say what to call`, expected }, path)
  }
  return undefined
}

function byId(scope: Scope, operationId: string, what: string, place: Path): Called | undefined {
  const { reader } = scope
  const qualified = /^\$sourceDescriptions\.([A-Za-z0-9_-]+)\.(.+)$/.exec(operationId)
  const names = sourceNames(reader, 'arazzo').filter((name) => !scope.others.has(name))
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
  const description = descriptionOf(scope, source, place)
  if (description === undefined) return undefined
  const operation = findOperation(description, qualified?.[2] ?? operationId)
  if (!('hint' in operation)) return used(scope, description, { source, operation })
  const message = `${what} calls operation "${qualified?.[2] ?? operationId}", which "${source}" does not have`
  reader.add({ code: 'FLOW_REFERENCE', message, hint: operation.hint }, place)
  return undefined
}

/** In braces with its field, as Arazzo shows it, or without, as its own cases have it. */
const OPERATION_PATH = /^\{?\$sourceDescriptions\.([A-Za-z0-9_-]+)(?:\.url)?\}?#\/paths\/([^/]+)\/([a-z]+)$/

function byPath(scope: Scope, operationPath: string, what: string, place: Path): Called | undefined {
  const { reader } = scope
  const [, source = '', pointer = '', method = ''] = OPERATION_PATH.exec(operationPath) ?? []
  if (source === '') {
    reader.add(
      {
        code: 'FLOW_EXPRESSION',
        message: `operationPath of ${what} does not lead to an operation`,
        expected: "'{$sourceDescriptions.<name>.url}#/paths/<path with ~1 for each slash>/<method>'",
        found: operationPath,
      },
      place,
    )
    return undefined
  }
  const description = descriptionOf(scope, source, place)
  if (description === undefined) return undefined
  const path = unescaped(pointer)
  const operation = description.places.get(placeOf(method, path))
  if (operation !== undefined) return used(scope, description, { source, operation })
  scope.unknownName('operation', placeOf(method, path), description.places.keys(), place, 0, ` in "${source}"`)
  return undefined
}

/** Reports what cannot be read of an operation, before anything is sent: judging its answer would end without a verdict. */
function used(scope: Scope, description: ApiDescription, called: Called): Called {
  for (const fault of faultsOf(description, called.operation))
    if (!fault.isWarning) scope.reader.problems.push(problemOf(description, fault))
  return called
}

/** Redocly's extension: a call that is in no description, so its answer is not documented. */
function byUrl(scope: Scope, what: string, path: Path): Called | undefined {
  const fields = scope.reader.object(path, `x-operation of ${what}`, ARAZZO['x-operation'])
  if (typeof fields?.url !== 'string' || typeof fields.method !== 'string') return undefined
  const url = scope.template(fields.url, [...path, 'url'], 'request')
  const method = fields.method.toUpperCase()
  const operation: Operation = {
    operationId: placeOf(method, fields.url),
    method,
    path: fields.url,
    parameters: [],
    requestBody: undefined,
    responses: new Map(),
    mutualTls: false,
    servers: [],
  }
  return url && { source: '', operation, url }
}

function descriptionOf(scope: Scope, source: string, place: Path) {
  const description = scope.sources.get(source)
  if (description !== undefined) return description
  if (scope.others.has(source)) {
    const message = `source description "${source}" is an Arazzo document, which has workflows and no operations`
    scope.reader.add({ code: 'FLOW_REFERENCE', message, hint: 'run one of its workflows with "workflowId"' }, place)
  } else {
    const names = sourceNames(scope.reader)
    // A source that could not be read has its own problem already.
    if (!names.includes(source)) scope.unknownName('source description', source, names, place)
  }
  return undefined
}
