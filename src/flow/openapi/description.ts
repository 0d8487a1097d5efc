/**
 * What a step needs of an OpenAPI 3.1 description: its operations by operationId, their request shape, their documented
 * answers and whether they demand a client certificate. Reads any description; `used.ts` says what is wrong with an operation.
 */
import { nearest, type Problem, type SourceLocation } from '../../record/errors.ts'
import { readDocument } from '../document/document.ts'
import type { Document } from '../document/model.ts'
import { type Encoding, encodingsOf } from './media-type.ts'
import { resolve } from './reference.ts'
import type { Schema } from './schema.ts'

export interface ApiDescription {
  readonly document: Document
  readonly operations: ReadonlyMap<string, Operation>
  /** all of them, also those without an operationId, by `placeOf` */
  readonly places: ReadonlyMap<string, Operation>
  /** the URLs of its `servers`, with the defaults of variables filled in; never called unless a setting names them */
  readonly servers: readonly string[]
}

export interface Operation {
  readonly operationId: string
  /** upper-case */
  readonly method: string
  /** path template, relative to the server */
  readonly path: string
  readonly parameters: readonly OperationParameter[]
  /** media type or range of them → its form's fields, if the operation takes a body */
  readonly requestBody: { readonly required: boolean; readonly content: ReadonlyMap<string, Encodings> } | undefined
  /** "200", "4XX" or "default" → media type → schema; no media types means no body */
  readonly responses: ReadonlyMap<string, ReadonlyMap<string, Schema>>
  /** the operation's security names OpenAPI's own mutualTLS scheme */
  readonly mutualTls: boolean
  /** its own or its path's, else those of the description */
  readonly servers: readonly string[]
  /** its effect on a client, as x-dcr declares it */
  readonly mark?: Mark | undefined
  /** absent for a call that is in no description */
  readonly description?: ApiDescription | undefined
}

/** What an operation does to the registration of a client, or that it changes nothing at all. */
export type Mark = keyof typeof METHODS_OF | 'safe'

/** RFC 7591 section 3, RFC 7592 section 2 */
const METHODS_OF = { create: ['POST'], read: ['GET'], update: ['PUT', 'PATCH'], delete: ['DELETE'] } as const

type Encodings = ReadonlyMap<string, Encoding>

/** How a value is written (OpenAPI 3.1 §4.8.12): by style, or as its media type where the parameter has `content`. */
export interface OperationParameter {
  readonly name: string
  readonly in: (typeof LOCATIONS)[number]
  readonly required: boolean
  readonly style: string
  readonly explode: boolean
  readonly allowReserved: boolean
  readonly mediaType?: string | undefined
  /** it holds an API key of the operation's security, which is a secret */
  readonly isKey: boolean
  /** the value the server uses when the parameter is not sent; never used for a required parameter */
  readonly default?: unknown
}

/** Where a parameter may go (OpenAPI 3.2 §4.12). */
export const LOCATIONS = ['path', 'query', 'querystring', 'header', 'cookie'] as const

export function isLocation(value: unknown): value is OperationParameter['in'] {
  return (LOCATIONS as readonly unknown[]).includes(value)
}

/** Paths keep their parameters in braces. */
export function placeOf(method: string, path: string): string {
  return `${method.toUpperCase()} ${path}`
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']

/** Reads a description; problems are added to `problems`, so that all files report at once. */
export async function readApiDescription(
  file: string,
  at: SourceLocation,
  problems: Problem[],
): Promise<ApiDescription> {
  const document = await readDocument(file, 'API description', at)
  const known = faultless.get(document)
  if (known !== undefined) return known
  const found: Problem[] = []
  const description = descriptionOf(document, file, found)
  if (found.length === 0) faultless.set(document, description)
  problems.push(...found)
  return description
}
const faultless = new WeakMap<Document, ApiDescription>()

function descriptionOf(document: Document, file: string, problems: Problem[]): ApiDescription {
  const root = record(document.data)
  const operations = new Map<string, Operation>()
  const places = new Map<string, Operation>()
  const description: ApiDescription = { document, operations, places, servers: serversOf(root) ?? ['/'] }
  if (typeof root.openapi !== 'string' || !/^3\.[0-2]\.\d+/.test(root.openapi)) {
    problems.push({
      code: 'FLOW_STRUCTURE',
      message: `"${file}" is not an OpenAPI 3 description`,
      at: document.at(['openapi']),
      expected: 'openapi: 3.1.x',
      found: root.openapi === undefined ? 'no member "openapi"' : `openapi: ${JSON.stringify(root.openapi)}`,
    })
    return description
  }
  for (const [path, written] of Object.entries(record(root.paths))) {
    const item = record(resolveReference(root, written))
    for (const method of METHODS) {
      if (item[method] === undefined) continue
      const raw = record(item[method])
      const { operationId } = raw
      const name = typeof operationId === 'string' ? operationId : placeOf(method, path)
      const mark = markOf(raw['x-dcr'], method, (problem) =>
        problems.push({ ...problem, at: document.at(['paths', path, method, 'x-dcr']) }),
      )
      const found = operation({ root, item, raw, operationId: name, method, path, description, mark })
      places.set(placeOf(method, path), found)
      if (typeof operationId !== 'string') continue
      if (!operations.has(operationId)) operations.set(operationId, found)
      else {
        problems.push({
          code: 'FLOW_STRUCTURE',
          message: `operationId "${operationId}" occurs twice`,
          at: document.at(['paths', path, method, 'operationId']),
        })
      }
    }
  }
  return description
}

/** The x-dcr object of an operation. */
function markOf(extension: unknown, method: string, add: (problem: Problem) => void): Mark | undefined {
  if (extension === undefined) return undefined
  const { registration, safe, ...others } = record(extension)
  const isSafe = safe === true && registration === undefined
  const isKnown = safe === undefined && Object.hasOwn(METHODS_OF, String(registration))
  const methods: readonly string[] = isKnown ? METHODS_OF[registration as keyof typeof METHODS_OF] : []
  if (Object.keys(others).length > 0 || !(isSafe || methods.includes(method.toUpperCase()))) {
    const kinds = Object.entries(METHODS_OF).map(([kind, known]) => `${kind} (${known.join(', ')})`)
    add({
      code: 'FLOW_STRUCTURE',
      message: `x-dcr of ${method.toUpperCase()} does not say what the operation does to a client`,
      expected: `{ safe: true }, or { registration: … } with ${kinds.join(', ')}`,
      found: JSON.stringify(extension),
    })
    return undefined
  }
  return isSafe ? 'safe' : (registration as Mark)
}

interface Draft {
  readonly root: Readonly<Record<string, unknown>>
  readonly item: Readonly<Record<string, unknown>>
  readonly raw: Readonly<Record<string, unknown>>
  readonly operationId: string
  readonly method: string
  readonly path: string
  readonly description: ApiDescription
  readonly mark: Mark | undefined
}

function operation({ root, item, raw, operationId, method, path, description, mark }: Draft): Operation {
  const deref = (value: unknown) => record(resolveReference(root, value))
  const parameters = new Map<string, OperationParameter>()
  const schemes = record(record(root.components).securitySchemes)
  const security = list(raw.security ?? root.security)
    .flatMap((requirement) => Object.keys(record(requirement)))
    .map((name) => deref(schemes[name]))
  // An API key goes where a parameter would, and need not be described as one (OpenAPI 3.1 §4.8.27).
  const keys = security.filter(({ type }) => type === 'apiKey')
  for (const parameter of [...keys, ...list(item.parameters), ...list(raw.parameters)].map(deref)) {
    const { name, in: location } = parameter
    // Without a name or a place it is left out here, and reported by `used.ts`.
    if (typeof name !== 'string' || !isLocation(location)) continue
    const style = typeof parameter.style === 'string' ? parameter.style : DEFAULT_STYLE[location]
    parameters.set(`${location} ${name}`, {
      name,
      in: location,
      required: parameter.required === true || location === 'path',
      style,
      explode: typeof parameter.explode === 'boolean' ? parameter.explode : style === 'form' || style === 'cookie',
      allowReserved: parameter.allowReserved === true,
      mediaType: Object.keys(record(parameter.content))[0],
      isKey: keys.some((key) => key.in === location && key.name === name),
      default: deref(parameter.schema).default,
    })
  }
  const body = raw.requestBody === undefined ? undefined : deref(raw.requestBody)
  return {
    operationId,
    method: method.toUpperCase(),
    path,
    parameters: [...parameters.values()],
    requestBody: body && {
      required: body.required === true,
      content: new Map(
        Object.entries(record(body.content)).map(([type, media]) => [
          type.toLowerCase(),
          encodingsOf(type, media, deref),
        ]),
      ),
    },
    responses: new Map(
      Object.entries(record(raw.responses)).map(([status, answer]) => [status, content(deref(answer))]),
    ),
    mutualTls: security.some(({ type }) => type === 'mutualTLS'),
    servers: serversOf(raw) ?? serversOf(item) ?? description.servers,
    mark,
    description,
  }
}

const DEFAULT_STYLE: Readonly<Record<OperationParameter['in'], string>> = {
  path: 'simple',
  header: 'simple',
  query: 'form',
  cookie: 'form',
  querystring: 'form',
}

/** With the defaults of their variables in place (OpenAPI 3.1 §4.8.5); an empty list counts as none. */
function serversOf({ servers }: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const urls = list(servers).map((server) => {
    const { url, variables } = record(server)
    const filled = String(url).replace(/\{([^}]+)\}/g, (whole, name: string) =>
      String(record(record(variables)[name]).default ?? whole),
    )
    return filled.replace(/(?<=.)\/+$/, '')
  })
  return urls.length === 0 ? undefined : urls
}

/** "200" before "2XX" before "default" (OpenAPI 3.1 §4.8.16). */
export function documentedAnswer(operation: Operation, status: number): ReadonlyMap<string, Schema> | undefined {
  return (
    operation.responses.get(String(status)) ??
    operation.responses.get(`${Math.floor(status / 100)}XX`) ??
    operation.responses.get('default')
  )
}

/** The operation of that name, or the message to the author. */
export function findOperation(description: ApiDescription, operationId: string): Operation | { readonly hint: string } {
  const found = description.operations.get(operationId)
  if (found !== undefined) return found
  const meant = nearest(operationId, description.operations.keys())
  if (meant === undefined)
    return { hint: `it has ${[...description.operations.keys()].map((id) => `"${id}"`).join(', ')}` }
  const { path = '', method = '' } = description.operations.get(meant) ?? {}
  const { file, line } = description.document.at(['paths', path, method.toLowerCase(), 'operationId'])
  return { hint: `did you mean "${meant}" (${file}:${line})?` }
}

/** Follows `#/…` references, a bounded number of times. */
function resolveReference(root: Readonly<Record<string, unknown>>, value: unknown, hops = 0): unknown {
  const reference = record(value).$ref
  if (typeof reference !== 'string' || hops > 16) return value
  const target = resolve(root, reference)
  return 'code' in target ? undefined : resolveReference(root, target.value, hops + 1)
}

function content(value: Readonly<Record<string, unknown>>): ReadonlyMap<string, Schema> {
  return new Map(
    Object.entries(record(value.content)).map(([type, media]) => [type, (record(media).schema ?? true) as Schema]),
  )
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
