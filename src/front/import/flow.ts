/**
 * Requests that no flow makes yet, as one Arazzo document with a description for each server. Requests that hand values to
 * each other are the steps of one workflow; any other is a workflow of its own. What they need of a documented call, such as
 * an access token, a step of ours gets first.
 */

import { type Canned, cannedFor } from './canned.ts'
import type { ReadRequest } from './recognise.ts'
import { isOfRegistration, type Setting } from './settings.ts'
import { type Call, type Fate, originOf, translated } from './translate.ts'
import { free, InputNames, slug, Untranslatable, Values } from './values.ts'
import { referencesIn } from './variables.ts'

export interface Imported {
  /** plain data of the document, and of the descriptions by file name; undefined where nothing was translated */
  readonly flow: unknown
  readonly descriptions: ReadonlyMap<string, unknown>
  readonly settings: readonly Setting[]
  readonly workflows: readonly {
    readonly workflowId: string
    readonly requests: readonly string[]
    readonly asked: readonly string[]
  }[]
  readonly fates: readonly (Fate & { readonly request: ReadRequest })[]
  /** variables that the flow holds now */
  readonly carried: Values['carried']
  /** requests that could not be translated, with the reason */
  readonly left: readonly { readonly request: ReadRequest; readonly reason: string }[]
}

export interface Surroundings {
  /** of the collection */
  readonly name: string
  /** base URL → source description, of the servers that settings name */
  readonly known: ReadonlyMap<string, string>
  /** the path from the folder of the new flow to the folder flows of the package */
  readonly flows: string
}

interface Step {
  readonly read: ReadRequest
  readonly call: Call
  readonly stepId: string
}

interface Workflow {
  readonly workflowId: string
  readonly steps: readonly Step[]
  readonly canned: readonly Canned[]
  readonly values: Values
}

export function importedFlow(all: readonly ReadRequest[], around: Surroundings): Imported {
  const wanted = all.filter(({ documented }) => documented === undefined)
  const left: { request: ReadRequest; reason: string }[] = []
  const ids = new Set<string>()
  const names = new InputNames()
  const workflows = groupsOf(wanted).flatMap((group) => workflowOf(group, { all, around, ids, names, left }) ?? [])
  const sources = sourcesOf(workflows, around)
  const { files, paths } = descriptionsOf(workflows, sources)
  const base = slug(around.name, '-')
  const documents = new Map(
    [...files].map(([source, data]) => [`${base}-${source.replaceAll('_', '-')}.openapi.yaml`, data]),
  )
  return {
    flow: workflows.length === 0 ? undefined : documentOf(workflows, { sources, paths, around, base }),
    descriptions: documents,
    settings: [
      ...workflows.flatMap(({ values }) => values.settings),
      ...[...sources].map(([server, source]) => ({
        name: `SERVER_${source.toUpperCase()}`,
        value: server,
        from: 'the addresses of the collection',
      })),
    ],
    workflows: workflows.map(({ workflowId, steps, values }) => ({
      workflowId,
      requests: steps.map(({ read }) => read.request.name),
      asked: values.asked,
    })),
    fates: workflows.flatMap(({ steps }) =>
      steps.flatMap(({ read, call }) => call.fates.map((fate) => ({ ...fate, request: read }))),
    ),
    carried: workflows.flatMap(({ values }) => values.carried),
    left,
  }
}

/** Requests that read what another one captures stand together, in the order of the collection. */
function groupsOf(requests: readonly ReadRequest[]): readonly (readonly ReadRequest[])[] {
  const groupOf = new Map<ReadRequest, ReadRequest[]>(requests.map((one) => [one, [one]]))
  const captors = new Map<string, ReadRequest>()
  for (const one of requests) {
    for (const name of readBy(one)) {
      const captor = captors.get(name)
      const [from, to] = [captor && groupOf.get(captor), groupOf.get(one)]
      if (from === undefined || to === undefined || from === to) continue
      from.push(...to)
      for (const member of to) groupOf.set(member, from)
    }
    for (const { variable } of one.scripts.captures) captors.set(variable, one)
  }
  const order = (one: ReadRequest) => requests.indexOf(one)
  return [...new Set(groupOf.values())].map((group) => group.toSorted((a, b) => order(a) - order(b)))
}

function readBy({ request, scripts }: ReadRequest): ReadonlySet<string> {
  const { url, query, headers, body, auth } = request
  const texts = [
    url,
    ...[...query, ...headers, ...(body?.entries ?? [])].map(({ value }) => value),
    body?.text ?? '',
    ...(auth === undefined ? [] : auth.values.values()),
  ]
  const compared = scripts.demands.flatMap((one) => (one.is === 'variable' ? [one.variable] : []))
  return new Set([...texts.flatMap(referencesIn), ...compared])
}

interface Making {
  readonly all: readonly ReadRequest[]
  readonly around: Surroundings
  readonly ids: Set<string>
  readonly names: InputNames
  readonly left: { request: ReadRequest; reason: string }[]
}

function workflowOf(group: readonly ReadRequest[], { all, around, ids, names, left }: Making): Workflow | undefined {
  const [first] = group
  if (first === undefined) return undefined
  const stepIds = new Set<string>()
  const outputs = new Map<string, string>()
  const canned = new Map<string, Canned>()
  const valuesOf = ({ request }: ReadRequest, needed: Map<string, Canned>) => {
    const captured = (name: string) => outputs.get(name) ?? cannedValue(name, all, needed)
    return new Values(request.variables, captured, { from: request.name, names })
  }
  const values = valuesOf(first, canned)
  const steps = group.flatMap((read): Step[] => {
    try {
      const needed = new Map<string, Canned>()
      const own = valuesOf(read, needed)
      const call = translated(read, own, around.known)
      values.take(own)
      for (const [id, step] of needed) canned.set(id, step)
      const stepId = free(slug(read.request.name, '-'), stepIds)
      for (const { variable } of read.scripts.captures)
        outputs.set(variable, `$steps.${stepId}.outputs.${slug(variable, '_')}`)
      return [{ read, call, stepId }]
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error
      left.push({ request: read, reason: error.message })
      return []
    }
  })
  if (steps.length === 0) return undefined
  return { workflowId: free(steps[0]?.stepId ?? 'call', ids), steps, canned: [...canned.values()], values }
}

/** What a documented call captures in Postman, got by a step of ours. */
function cannedValue(name: string, all: readonly ReadRequest[], canned: Map<string, Canned>): string | undefined {
  for (const { documented, scripts } of all) {
    const capture = documented && scripts.captures.find(({ variable }) => variable === name)
    const found = capture && cannedFor(documented.call, capture.from)
    if (found === undefined) continue
    for (const one of found.steps) canned.set(one.stepId, one)
    return found.expression
  }
  return undefined
}

/** base URL → name of its source description; those of settings keep theirs. */
function sourcesOf(workflows: readonly Workflow[], { known }: Surroundings): ReadonlyMap<string, string> {
  const taken = new Set([
    'authorization',
    'directory',
    'directory_mtls',
    'directory_api',
    'keystore',
    'cards',
    'api_hub',
    'ssa',
  ])
  const names = new Map<string, string>()
  for (const { steps } of workflows)
    for (const { call } of steps)
      if (!names.has(call.server)) names.set(call.server, known.get(call.server) ?? free(call.source, taken))
  return names
}

interface Operation {
  readonly operationId: string
  readonly path: string
  readonly method: string
  readonly parameters: Map<string, Readonly<Record<string, unknown>>>
  readonly contentTypes: Set<string>
  readonly isBearer: boolean
  readonly summary: string
}

interface Described {
  /** source description → its document */
  readonly files: ReadonlyMap<string, unknown>
  /** of each call by server and key, since the first one names the parameters of a path */
  readonly paths: ReadonlyMap<string, string>
}

/** One description for each server; calls of the same method and path share an operation. */
function descriptionsOf(workflows: readonly Workflow[], sources: ReadonlyMap<string, string>): Described {
  const servers = new Map<string, Map<string, Operation>>()
  for (const { steps } of workflows) {
    for (const { call, read } of steps) {
      const operations = servers.get(call.server) ?? new Map<string, Operation>()
      servers.set(call.server, operations)
      const key = keyOf(call)
      const operation: Operation = operations.get(key) ?? {
        operationId: operationIdOf(call),
        path: call.path,
        method: call.method.toLowerCase(),
        parameters: new Map(),
        contentTypes: new Set(),
        isBearer: call.security !== undefined,
        summary: read.request.name,
      }
      operations.set(key, operation)
      if (call.body !== undefined) operation.contentTypes.add(call.body.contentType)
      for (const { name, in: place, value } of aligned(call, operation.path)) {
        if (/^(?:authorization|accept|content-type)$/i.test(name) && place === 'header') continue
        const schema = Array.isArray(value) ? { type: 'array', items: { type: 'string' } } : {}
        operation.parameters.set(`${place} ${place === 'header' ? name.toLowerCase() : name}`, {
          name,
          in: place,
          ...(place === 'path' ? { required: true } : {}),
          schema,
        })
      }
    }
  }
  return {
    files: new Map([...servers].map(([server, all]) => [sources.get(server) ?? '', descriptionOf(server, all)])),
    paths: new Map(
      [...servers].flatMap(([server, all]) => [...all].map(([key, { path }]) => [`${server} ${key}`, path] as const)),
    ),
  }
}

/** The parameters with the names that the path of the operation has for them. */
function aligned({ path, parameters }: Call, canonical: string): Call['parameters'] {
  const names = (text: string) => [...text.matchAll(/\{([^}]*)\}/g)].map(([, name = '']) => name)
  const renamed = new Map(names(path).map((name, index) => [name, names(canonical)[index] ?? name]))
  return parameters.map((one) => (one.in === 'path' ? { ...one, name: renamed.get(one.name) ?? one.name } : one))
}

/** The place of a call, whatever its path parameters are called. */
function keyOf({ method, path }: Call): string {
  return `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`
}

function operationIdOf({ method, path }: Call): string {
  const words = `${method.toLowerCase()}-${path.replaceAll(/\{([^}]*)\}/g, '_$1')}`
  return words
    .replaceAll(/[^A-Za-z0-9_]+/g, '-')
    .replace(/-$/, '')
    .slice(0, 100)
}

function descriptionOf(server: string, operations: ReadonlyMap<string, Operation>): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  const ids = new Set<string>()
  for (const one of operations.values()) {
    const item = paths[one.path] ?? {}
    paths[one.path] = item
    const content = Object.fromEntries([...one.contentTypes].map((type) => [type, {}]))
    item[one.method] = {
      operationId: free(one.operationId, ids),
      ...(one.isBearer ? { security: [{ token: [] }] } : {}),
      ...(one.parameters.size === 0 ? {} : { parameters: [...one.parameters.values()] }),
      ...(one.contentTypes.size === 0 ? {} : { requestBody: { content } }),
      responses: { default: { description: 'Any answer; the collection describes none' } },
    }
  }
  return {
    openapi: '3.1.1',
    info: { title: 'Calls imported from Postman', version: '1.0.0' },
    servers: [{ url: originOf(server) }],
    paths,
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}

interface Documented {
  readonly sources: ReadonlyMap<string, string>
  readonly paths: Described['paths']
  readonly around: Surroundings
  readonly base: string
}

function documentOf(workflows: readonly Workflow[], { sources, paths, around, base }: Documented): unknown {
  const own = [...sources.values()].map((name) => ({
    name,
    url: `apis/${base}-${name.replaceAll('_', '-')}.openapi.yaml`,
    type: 'openapi',
  }))
  const ours = workflows.flatMap(({ canned }) =>
    canned.map(({ source }) => ({ ...source, url: `${around.flows}/${source.url}` })),
  )
  const unique = new Map([...own, ...ours].map((one) => [one.name, one]))
  return {
    arazzo: '1.1.0',
    info: { title: `Imported from Postman: ${around.name}`, version: '1.0.0' },
    sourceDescriptions: [...unique.values()],
    workflows: workflows.map((one) => workflowData(one, { sources, paths })),
  }
}

type Places = Pick<Documented, 'sources' | 'paths'>

function workflowData({ workflowId, steps, canned, values }: Workflow, places: Places): unknown {
  const inputs = [...values.inputs.values(), ...canned.flatMap((one) => one.inputs)]
  const required = inputs.filter(({ isRequired }) => isRequired).map(({ name }) => name)
  const effect = effectOf(steps)
  const isGiven = inputs.some(({ name }) => isOfRegistration(name))
  const outputs = steps.flatMap(({ stepId, read }) =>
    read.scripts.captures.map(({ variable }): [string, string] => [
      slug(variable, '_'),
      `$steps.${stepId}.outputs.${slug(variable, '_')}`,
    ]),
  )
  return {
    workflowId,
    summary: summaryOf(steps),
    'x-dcr': {
      effect,
      ...(isGiven ? { given: ['registration'] } : {}),
      ...(effect === 'read' ? {} : { notice: 'Calls imported from Postman have changed what the server holds.' }),
    },
    ...(inputs.length === 0
      ? {}
      : {
          inputs: {
            type: 'object',
            ...(required.length === 0 ? {} : { required: [...new Set(required)] }),
            properties: Object.fromEntries(inputs.map(({ name, schema }) => [name, schema])),
          },
        }),
    steps: [...canned.map(({ data }) => data), ...steps.map((step) => stepData(step, places))],
    ...(outputs.length === 0 ? {} : { outputs: Object.fromEntries(outputs) }),
  }
}

function summaryOf(steps: readonly Step[]): string {
  const [first] = steps
  const place = first === undefined ? '' : [...first.read.request.folders, first.read.request.name].join(' › ')
  return steps.length === 1 ? place : `${place}, and ${steps.length - 1} more`
}

const CLIENTS = /\/(?:register|registration|reg|dcr|clients)(?:\/|$)/i

/** The least that the lint and the guard take for these calls. */
function effectOf(steps: readonly Step[]): 'read' | 'update' | 'delete' {
  const methods = steps.filter(({ call }) => !/^(?:GET|HEAD|OPTIONS|TRACE)$/.test(call.method))
  if (methods.some(({ call }) => call.method === 'DELETE' && CLIENTS.test(call.path))) return 'delete'
  return methods.length === 0 ? 'read' : 'update'
}

function stepData({ stepId, read, call }: Step, { sources, paths }: Places): unknown {
  const { request, scripts } = read
  const source = sources.get(call.server) ?? ''
  const outputs = scripts.captures.map(({ variable, from }): [string, string] => [
    slug(variable, '_'),
    from === 'body'
      ? '$response.body'
      : 'pointer' in from
        ? `$response.body${from.pointer === '' ? '' : `#${from.pointer}`}`
        : `$response.header.${from.header}`,
  ])
  const path = paths.get(`${call.server} ${keyOf(call)}`) ?? call.path
  const parameters = aligned(call, path)
  // A pointer within a fragment, in which % begins an escape.
  const place = `#/paths/${path.replaceAll('%', '%25').replaceAll('~', '~0').replaceAll('/', '~1')}/${call.method.toLowerCase()}`
  return {
    stepId,
    description: request.name,
    operationPath: `{$sourceDescriptions.${source}.url}${place}`,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(call.body === undefined ? {} : { requestBody: call.body }),
    ...(call.criteria.length === 0 ? {} : { successCriteria: call.criteria }),
    ...(outputs.length === 0 ? {} : { outputs: Object.fromEntries(outputs) }),
  }
}
