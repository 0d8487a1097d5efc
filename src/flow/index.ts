/**
 * An Arazzo file to a Flow: structure and references checked, every expression parsed, every operation found. Nothing is
 * run here and no environment is known. All problems of a file are reported at once, each with its place and remedy.
 */
import { dirname, resolve } from 'node:path'
import { inReadingOrder, isNonEmpty, nearest, type Problem, type SourceLocation, ToolError } from '../errors.ts'
import { type Condition, type ConditionSource, parseCondition } from './criterion.ts'
import { type Document, type Path, readDocument } from './document.ts'
import { type Expression, ExpressionError, parsePointer, parseTemplate, type Template } from './expression.ts'
import { type ApiDescription, findOperation, type Operation, readApiDescription, type Schema } from './openapi.ts'
import { parseSelector, type Selector, type SelectorSource } from './selector.ts'
import { ARAZZO, type Fields, isRecord, Reader, X_DCR } from './structure.ts'

export interface Flow {
  readonly file: string
  readonly text: string
  readonly sha256: string
  readonly title: string
  readonly workflows: readonly Workflow[]
}

export interface Workflow {
  readonly workflowId: string
  readonly summary?: string | undefined
  readonly at: SourceLocation
  readonly effect: 'read' | 'register' | 'update' | 'delete'
  readonly safety?: string | undefined
  readonly clauses: readonly string[]
  /** what a person must do afterwards */
  readonly notice?: string | undefined
  readonly inputs: readonly Input[]
  readonly steps: readonly Step[]
  readonly outputs: ReadonlyMap<string, Value>
}

export interface Input {
  readonly name: string
  readonly schema: Schema
  /** the document that `#/…` references of the schema point into */
  readonly root: unknown
  readonly required: boolean
  /** `format: password`, or minted */
  readonly secret: boolean
  readonly description?: string | undefined
  readonly default?: unknown | undefined
  readonly mint?: Mint | undefined
  /** the input has a value only while this holds */
  readonly when?: Condition | undefined
  readonly at: SourceLocation
}

/** A client assertion to sign each time the input is read (RFC 7523 §2.2). */
interface Mint {
  readonly audience: Template
  readonly alg: Template
  readonly lifetimeSeconds: number
}

export interface Step {
  readonly stepId: string
  readonly description?: string | undefined
  readonly at: SourceLocation
  /** name of the source description, which names the server */
  readonly source: string
  readonly operation: Operation
  readonly parameters: readonly Parameter[]
  readonly requestBody?:
    | { readonly contentType: string; readonly payload: Value; readonly replacements: readonly Replacement[] }
    | undefined
  readonly criteria: readonly Criterion[]
  readonly outputs: ReadonlyMap<string, Value>
  /** a configured identity's name, or "none" */
  readonly identity: string
  /** called instead of the operation's own URL, byte for byte */
  readonly url?: Template | undefined
  readonly clauses: readonly string[]
  readonly timeoutMs?: number | undefined
  readonly identityAt: SourceLocation
  /** the step holds when the server refuses */
  readonly expectRefused: boolean
  readonly alterations: readonly Alteration[]
  /** a repetition does no harm */
  readonly retrySafe: boolean
  readonly onSuccess: readonly Action[]
  readonly onFailure: readonly Action[]
}

/** A member of the payload set to a value before it is sent. */
export interface Replacement {
  /** JSON Pointer, split and unescaped */
  readonly tokens: readonly string[]
  readonly value: Value
  readonly at: SourceLocation
}

/** One change to the otherwise good request. Without a value: removed. */
export interface Alteration {
  readonly place: 'header' | 'form' | 'body'
  /** a header's or field's name, or the tokens of a JSON Pointer */
  readonly tokens: readonly string[]
  readonly value?: Value | undefined
  readonly at: SourceLocation
}

/** What to do after a step; the first whose criteria all hold. */
export type Action = { readonly name: string; readonly criteria: readonly Condition[] } & (
  | { readonly type: 'end' }
  | { readonly type: 'goto'; readonly stepId: string }
  | { readonly type: 'retry'; readonly retryAfterMs: number; readonly retryLimit: number }
)

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header' | 'cookie'
  readonly value: Value
}

export interface Criterion {
  readonly condition: Condition
  /** as written in the file */
  readonly text: string
  readonly level: 'must' | 'should' | 'policy'
  readonly clauses: readonly string[]
  readonly at: SourceLocation
}

type PlacedParameter = Parameter & { readonly path: Path }

/** A value of the file in which each text may hold expressions. */
export type Value =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'template'; readonly template: Template; readonly at: SourceLocation }
  | { readonly kind: 'selector'; readonly selector: Selector; readonly at: SourceLocation }
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, value: Value])[] }
  | { readonly kind: 'array'; readonly items: readonly Value[] }

/** Reads a flow file and the API descriptions it names. Throws ToolError with all problems. */
export async function readFlow(file: string, named = 'flow'): Promise<Flow> {
  return parseFlow(await readDocument(file, named))
}

async function parseFlow(document: Document): Promise<Flow> {
  const problems: Problem[] = []
  const reader = new Reader(document, problems)
  const root = reader.object([], 'the document', ARAZZO.document) ?? {}
  if (typeof root.arazzo === 'string' && !/^1\.[01]\.\d+/.test(root.arazzo)) {
    reader.add(
      {
        code: 'FLOW_UNSUPPORTED',
        message: 'this version of Arazzo is not supported',
        expected: '1.0.x or 1.1.x',
        found: root.arazzo,
      },
      ['arazzo'],
    )
  }
  const info = root.info === undefined ? undefined : reader.object(['info'], 'info', ARAZZO.info)
  const sources = await readSources(reader, items(root.sourceDescriptions))
  const workflows = items(root.workflows).flatMap(
    (_, index) => new WorkflowParser(reader, sources, ['workflows', index]).parse() ?? [],
  )
  unique(reader, ['workflows'], items(root.workflows), 'workflowId')
  const sorted = inReadingOrder(problems, document.file)
  if (isNonEmpty(sorted)) throw new ToolError(sorted)
  return { file: document.file, text: document.text, sha256: document.sha256, title: String(info?.title), workflows }
}

async function readSources(reader: Reader, list: readonly unknown[]): Promise<ReadonlyMap<string, ApiDescription>> {
  const sources = new Map<string, ApiDescription>()
  const files = new Map<string, ApiDescription>()
  for (const index of list.keys()) {
    const path: Path = ['sourceDescriptions', index]
    const { name, url, type } =
      reader.object(path, reader.nameOf(path, 'source description', 'name'), ARAZZO.source) ?? {}
    if (typeof name !== 'string' || typeof url !== 'string') continue
    if (!/^[A-Za-z0-9_-]+$/.test(name)) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `source description name "${name}" is not usable`,
          expected: 'letters, digits, "_" and "-"',
        },
        [...path, 'name'],
      )
    }
    if (type !== undefined && type !== 'openapi') continue
    if (/^[a-z][a-z0-9+.-]+:/i.test(url)) {
      reader.add(
        {
          code: 'FLOW_UNSUPPORTED',
          message: `source description "${name}" is not a file`,
          expected: 'a relative path',
          found: url,
          hint: 'keep the API description beside the flow: a run opens no connection but to its target',
        },
        [...path, 'url'],
      )
      continue
    }
    const file = resolve(dirname(reader.document.file), url)
    try {
      const description =
        files.get(file) ?? (await readApiDescription(file, reader.document.at([...path, 'url']), reader.problems))
      files.set(file, description)
      sources.set(name, description)
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      reader.problems.push(...error.problems)
    }
  }
  unique(reader, ['sourceDescriptions'], list, 'name')
  return sources
}

/** Where an expression stands decides what it may read. */
type Stage = 'request' | 'response' | 'end'

class WorkflowParser {
  private readonly inputs = new Map<string, Input>()
  private readonly outputsOf = new Map<string, ReadonlySet<string>>()
  private readonly reader: Reader
  private readonly sources: ReadonlyMap<string, ApiDescription>
  private readonly path: Path
  private stepIds: readonly string[] = []

  constructor(reader: Reader, sources: ReadonlyMap<string, ApiDescription>, path: Path) {
    this.reader = reader
    this.sources = sources
    this.path = path
  }

  parse(): Workflow | undefined {
    const { reader, path } = this
    const what = reader.nameOf(path, 'workflow', 'workflowId')
    const fields = reader.object(path, what, ARAZZO.workflow)
    if (fields === undefined) return undefined
    const extension = reader.extension(path, what, 'workflow')
    if (extension === undefined) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${what} does not say what it does to the client`,
          expected: 'x-dcr: { effect: read | register | update | delete }',
          hint: 'without it nobody can be protected from running it by accident',
        },
        path,
      )
    }
    this.parseInputs(fields.inputs, what)
    const shared = this.parameters(items(fields.parameters), what, [...path, 'parameters'])
    const rawSteps = items(fields.steps)
    this.stepIds = rawSteps.flatMap((step) => (isRecord(step) && typeof step.stepId === 'string' ? [step.stepId] : []))
    const steps = rawSteps.flatMap((_, index) => this.step([...path, 'steps', index], shared) ?? [])
    unique(reader, [...path, 'steps'], rawSteps, 'stepId')
    return {
      workflowId: String(fields.workflowId),
      summary: textOf(fields.summary),
      at: reader.document.at(path),
      effect: (extension?.effect ?? 'delete') as Workflow['effect'],
      safety: textOf(extension?.safety),
      clauses: texts(extension?.clauses),
      notice: textOf(extension?.notice),
      inputs: [...this.inputs.values()],
      steps,
      outputs: this.outputs(fields.outputs, [...path, 'outputs'], 'end'),
    }
  }

  private parseInputs(raw: unknown, what: string): void {
    if (!isRecord(raw)) return
    const path: Path = [...this.path, 'inputs']
    const fields = this.reader.object(path, `inputs of ${what}`, ARAZZO.inputs)
    const required = new Set(texts(fields?.required))
    const properties = isRecord(fields?.properties) ? fields.properties : {}
    for (const [index, name] of [...required].entries()) {
      if (!Object.hasOwn(properties, name))
        this.unknownName('input', name, Object.keys(properties), [...path, 'required', index])
    }
    // Conditions and audiences may speak of any input, so all names are known before the first expression is read.
    for (const [name, schema] of Object.entries(properties)) {
      this.inputs.set(name, this.input(name, schema, required.has(name), [...path, 'properties', name]))
    }
    for (const name of Object.keys(properties)) {
      const own: Path = [...path, 'properties', name]
      const extension = this.reader.extension(own, `input "${name}"`, 'input')
      const input = this.inputs.get(name)
      if (extension === undefined || input === undefined) continue
      const mint = this.mint(extension, name, [...own, 'x-dcr'])
      const when =
        typeof extension.when === 'string'
          ? this.parsed(
              () => parseCondition({ condition: String(extension.when) }),
              'request',
              () => [...own, 'x-dcr', 'when'],
            )
          : undefined
      this.inputs.set(name, { ...input, secret: input.secret || mint !== undefined, mint, when })
    }
  }

  private input(name: string, schema: unknown, required: boolean, path: Path): Input {
    const fields = isRecord(schema) ? schema : {}
    if (!isRecord(schema) && typeof schema !== 'boolean') {
      this.reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `input "${name}" has no schema`,
          expected: 'a JSON Schema, for example { type: string }',
        },
        path,
      )
    }
    this.checkSchema(schema, `input "${name}"`, path)
    return {
      name,
      schema: schema as Schema,
      root: this.reader.document.data,
      required,
      secret: fields.format === 'password',
      description: textOf(fields.description),
      default: fields.default,
      at: this.reader.document.keyAt(path),
    }
  }

  /** What the validator would otherwise meet in the middle of a run. */
  private checkSchema(schema: unknown, what: string, path: Path): void {
    const { reader } = this
    if (Array.isArray(schema))
      for (const [index, item] of schema.entries()) this.checkSchema(item, what, [...path, index])
    if (!isRecord(schema)) return
    for (const [keyword, content] of Object.entries(schema)) {
      const own: Path = [...path, keyword]
      if (DATA_KEYWORDS.has(keyword)) continue
      if (keyword === '$ref' && typeof content === 'string') {
        reader.add(
          {
            code: 'FLOW_UNSUPPORTED',
            message: `references in the schema of ${what} are not supported yet`,
            hint: 'write the schema out',
          },
          own,
        )
      } else if (keyword === 'pattern' && typeof content === 'string' && !isPattern(content)) {
        reader.add({ code: 'FLOW_STRUCTURE', message: `the pattern of ${what} is not a regular expression` }, own)
      } else if (keyword === 'type' && (typeof content === 'string' || Array.isArray(content))) {
        const unknown = [content].flat().find((type) => !JSON_TYPES.includes(String(type)))
        if (unknown === undefined) continue
        const meant = nearest(String(unknown), JSON_TYPES)
        reader.add(
          {
            code: 'FLOW_STRUCTURE',
            message: `the schema of ${what} has an unknown type`,
            expected: JSON_TYPES.join(', '),
            found: `"${String(unknown)}"`,
            hint: meant && `did you mean "${meant}"?`,
          },
          own,
        )
      } else this.checkSchema(content, what, own)
    }
  }

  private mint(extension: Fields, name: string, path: Path): Mint | undefined {
    if (extension.mint === undefined) {
      for (const member of ['audience', 'alg', 'lifetimeSeconds']) {
        if (!Object.hasOwn(extension, member)) continue
        this.reader.add(
          {
            code: 'FLOW_STRUCTURE',
            message: `"${member}" of input "${name}" has no meaning without "mint"`,
            hint: 'add mint: client_assertion, or remove it',
          },
          [...path, member],
        )
      }
      return undefined
    }
    const template = (member: 'audience' | 'alg') => {
      if (typeof extension[member] === 'string') return this.template(extension[member], [...path, member], 'request')
      this.reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `minted input "${name}" has no "${member}"`,
          expected: `${member}: an expression or a text`,
        },
        path,
      )
      return undefined
    }
    const audience = template('audience')
    const alg = template('alg')
    const lifetimeSeconds = (extension.lifetimeSeconds ?? 300) as number
    return audience && alg && { audience, alg, lifetimeSeconds }
  }

  private step(path: Path, shared: readonly PlacedParameter[]): Step | undefined {
    const { reader } = this
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
    const extension = reader.extension(path, what, 'step')
    const found = this.operation(fields, what, path)
    const own = this.parameters(items(fields.parameters), what, [...path, 'parameters'])
    const parameters = [
      ...shared.filter((one) => !own.some((other) => other.name === one.name && other.in === one.in)),
      ...own,
    ]
    const url =
      typeof extension?.url === 'string'
        ? this.template(extension.url, [...path, 'x-dcr', 'url'], 'request')
        : undefined
    const requestBody = this.requestBody(fields.requestBody, found?.operation, what, [...path, 'requestBody'])
    const criteria = items(fields.successCriteria).flatMap(
      (_, index) => this.criterion([...path, 'successCriteria', index], what) ?? [],
    )
    const outputs = this.outputs(fields.outputs, [...path, 'outputs'], 'response')
    this.outputsOf.set(stepId, new Set(outputs.keys()))
    if (found === undefined) return undefined
    this.fit(found.operation, { parameters, url, hasBody: fields.requestBody !== undefined }, what, path)
    return {
      stepId,
      description: textOf(fields.description),
      at: reader.document.at(path),
      ...found,
      parameters: parameters.map(({ path: _, ...parameter }) => parameter),
      requestBody,
      criteria,
      outputs,
      identity: typeof extension?.identity === 'string' ? extension.identity : 'transport',
      identityAt: reader.document.at(extension?.identity === undefined ? path : [...path, 'x-dcr', 'identity']),
      url,
      clauses: texts(extension?.clauses),
      timeoutMs: fields.timeout as number | undefined,
      expectRefused: extension?.expect === 'refused',
      alterations: this.alterations(items(extension?.alter), what, [...path, 'x-dcr', 'alter']),
      retrySafe: extension?.retrySafe === true,
      onSuccess: this.actions(items(fields.onSuccess), 'success', what, [...path, 'onSuccess']),
      onFailure: this.actions(items(fields.onFailure), 'failure', what, [...path, 'onFailure']),
    }
  }

  private alterations(list: readonly unknown[], what: string, path: Path): Alteration[] {
    return list.flatMap((_, index) => {
      const own: Path = [...path, index]
      const named = `alteration ${index + 1} of ${what}`
      const fields = this.reader.object(own, named, X_DCR.alteration)
      if (fields === undefined) return []
      const place = (fields.set ?? fields.remove) as Alteration['place'] | undefined
      const target = place === 'body' ? fields.at : fields.name
      const isWhole = fields.set === undefined ? fields.value === undefined : fields.value !== undefined
      if ((fields.set === undefined) === (fields.remove === undefined) || typeof target !== 'string' || !isWhole) {
        this.reader.add(
          {
            code: 'FLOW_STRUCTURE',
            message: `${named} is not whole`,
            expected:
              '{ set: header | form | body, name or at, value } or { remove: header | form | body, name or at }',
          },
          own,
        )
        return []
      }
      const tokens = place === 'body' ? this.pointer(target, [...own, 'at']) : [target]
      const value = fields.set === undefined ? undefined : this.value(fields.value, [...own, 'value'], 'request')
      return tokens && place ? [{ place, tokens, value, at: this.reader.document.at(own) }] : []
    })
  }

  private replacements(list: readonly unknown[], what: string, path: Path): Replacement[] {
    return list.flatMap((_, index) => {
      const own: Path = [...path, index]
      const fields = this.reader.object(own, `replacement ${index + 1} of ${what}`, ARAZZO.replacement)
      if (typeof fields?.target !== 'string') return []
      const tokens = this.pointer(fields.target, [...own, 'target'])
      const value = this.value(fields.value, [...own, 'value'], 'request')
      return tokens === undefined ? [] : [{ tokens, value, at: this.reader.document.at(own) }]
    })
  }

  private pointer(text: string, path: Path): readonly string[] | undefined {
    try {
      return parsePointer(text)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      const { message, expected, found, hint } = error
      this.reader.add({ code: 'FLOW_EXPRESSION', message, expected, found, hint }, path, error.offset)
      return undefined
    }
  }

  private actions(list: readonly unknown[], kind: 'success' | 'failure', what: string, path: Path): Action[] {
    return list.flatMap((raw, index): Action[] => {
      const own: Path = [...path, index]
      const named = `${kind} action ${index + 1} of ${what}`
      if (isRecord(raw) && Object.hasOwn(raw, 'reference')) {
        this.reader.object(own, named, ARAZZO.reusable)
        return []
      }
      const fields = this.reader.object(own, named, ARAZZO[`${kind}Action`])
      if (fields === undefined) return []
      const criteria = items(fields.criteria).flatMap(
        (_, position) => this.criterion([...own, 'criteria', position], named)?.condition ?? [],
      )
      const base = { name: String(fields.name), criteria }
      if (fields.type === 'end') return [{ ...base, type: 'end' }]
      if (fields.type === 'retry') {
        const retryAfterMs = ((fields.retryAfter ?? 0) as number) * 1000
        return [{ ...base, type: 'retry', retryAfterMs, retryLimit: (fields.retryLimit ?? 1) as number }]
      }
      if (typeof fields.stepId !== 'string') {
        this.reader.add(
          { code: 'FLOW_STRUCTURE', message: `${named} does not say where to go`, expected: 'stepId' },
          own,
        )
        return []
      }
      if (!this.stepIds.includes(fields.stepId)) {
        this.unknownName('step', fields.stepId, this.stepIds, [...own, 'stepId'])
      }
      return [{ ...base, type: 'goto', stepId: fields.stepId }]
    })
  }

  private operation(fields: Fields, what: string, path: Path): { source: string; operation: Operation } | undefined {
    const { reader } = this
    const { operationId } = fields
    if (typeof operationId !== 'string') {
      if (fields.operationPath === undefined && fields.workflowId === undefined && fields.channelPath === undefined) {
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
    const names = this.sourceNames
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
    const description = this.sources.get(source)
    if (description === undefined) {
      // A source that could not be read has its own problem already.
      if (!names.includes(source)) this.unknownName('source description', source, names, place)
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

  private get sourceNames(): readonly string[] {
    const { data } = this.reader.document
    const declared = isRecord(data) ? items(data.sourceDescriptions) : []
    return [...new Set(declared.flatMap((one) => (isRecord(one) && typeof one.name === 'string' ? [one.name] : [])))]
  }

  /** What the step sends must be what the operation takes. */
  private fit(
    operation: Operation,
    step: {
      parameters: readonly PlacedParameter[]
      url: Template | undefined
      hasBody: boolean
    },
    what: string,
    path: Path,
  ): void {
    const { reader } = this
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

  private parameters(list: readonly unknown[], what: string, path: Path): PlacedParameter[] {
    const parsed = list.flatMap((raw, index) => this.parameter(raw, what, [...path, index]) ?? [])
    for (const [index, { name, in: location, path: own }] of parsed.entries()) {
      if (parsed.findIndex((other) => other.name === name && other.in === location) < index)
        this.reader.add({ code: 'FLOW_STRUCTURE', message: `${location} parameter "${name}" occurs twice` }, own)
    }
    return parsed
  }

  private parameter(raw: unknown, what: string, path: Path): PlacedParameter | undefined {
    const { reader } = this
    const named = reader.nameOf(path, 'parameter', 'name')
    const isReusable = isRecord(raw) && Object.hasOwn(raw, 'reference')
    const fields = reader.object(path, `${named} of ${what}`, isReusable ? ARAZZO.reusable : ARAZZO.parameter)
    if (fields === undefined || isReusable) return undefined
    const value = this.value(fields.value, [...path, 'value'], 'request')
    const { name, in: location } = fields
    if (location === undefined) {
      reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `${named} of ${what} does not say where it goes`,
          expected: 'in: path, query, header or cookie',
        },
        path,
      )
    } else if (typeof name === 'string' && isLocation(location)) return { name, in: location, value, path }
    return undefined
  }

  private requestBody(
    raw: unknown,
    operation: Operation | undefined,
    what: string,
    path: Path,
  ): Step['requestBody'] | undefined {
    if (!isRecord(raw)) return undefined
    const fields = this.reader.object(path, `requestBody of ${what}`, ARAZZO.requestBody) ?? {}
    const documented = [...(operation?.requestBody?.content.keys() ?? [])]
    const contentType = typeof fields.contentType === 'string' ? fields.contentType : documented[0]
    const type = mediaType(contentType ?? '')
    const isForm = type === 'application/x-www-form-urlencoded'
    const payload = this.value(fields.payload, [...path, 'payload'], 'request')
    if (operation !== undefined && documented.length === 0) {
      this.reader.add(
        { code: 'FLOW_REFERENCE', message: `operation "${operation.operationId}" of ${what} takes no body` },
        path,
      )
    } else if (contentType !== undefined && operation !== undefined && !documented.includes(type)) {
      this.reader.add(
        {
          code: 'FLOW_REFERENCE',
          message: `operation "${operation.operationId}" of ${what} does not take "${contentType}"`,
          expected: documented.join(' or '),
        },
        [...path, 'contentType'],
      )
    }
    if (documented.includes(type) && !isForm && !/[/+]json$/.test(type) && payload.kind !== 'template') {
      this.reader.add(
        {
          code: 'FLOW_UNSUPPORTED',
          message: `bodies of type "${contentType}" are not supported yet`,
          expected: 'JSON or application/x-www-form-urlencoded',
        },
        [...path, 'contentType'],
      )
    }
    if (isForm && Object.hasOwn(fields, 'payload') && !hasFields(payload)) {
      this.reader.add(
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
      replacements: this.replacements(items(fields.replacements), what, [...path, 'replacements']),
    }
  }

  private criterion(path: Path, what: string): Criterion | undefined {
    const named = `criterion ${Number(path.at(-1)) + 1} of ${what}`
    const fields = this.reader.object(path, named, ARAZZO.criterion)
    const extension = this.reader.extension(path, named, 'criterion')
    if (typeof fields?.condition !== 'string') return undefined
    const text = fields.condition
    const condition = this.parsed(
      () => parseCondition(fields as unknown as ConditionSource),
      'response',
      (field = 'condition') => [...path, field],
    )
    return (
      condition && {
        condition,
        text: fields.context === undefined ? text : `${String(fields.context)}: ${text}`,
        level: (extension?.level ?? 'must') as Criterion['level'],
        clauses: texts(extension?.clauses),
        at: this.reader.document.at([...path, 'condition']),
      }
    )
  }

  private outputs(raw: unknown, path: Path, stage: Stage): ReadonlyMap<string, Value> {
    if (!isRecord(raw)) return new Map()
    return new Map(
      Object.entries(raw).map(([name, content]) => {
        if (!/^[A-Za-z0-9._-]+$/.test(name)) {
          this.reader.add(
            {
              code: 'FLOW_STRUCTURE',
              message: `output name "${name}" is not usable`,
              expected: 'letters, digits, ".", "_" and "-"',
            },
            [...path, name],
          )
        }
        return [name, this.value(content, [...path, name], stage)]
      }),
    )
  }

  private value(raw: unknown, path: Path, stage: Stage): Value {
    if (typeof raw === 'string') {
      const template = this.template(raw, path, stage)
      return template === undefined
        ? { kind: 'literal', value: raw }
        : { kind: 'template', template, at: this.reader.document.at(path) }
    }
    if (Array.isArray(raw))
      return { kind: 'array', items: raw.map((item, index) => this.value(item, [...path, index], stage)) }
    if (!isRecord(raw)) return { kind: 'literal', value: raw }
    if (typeof raw.context === 'string' && typeof raw.selector === 'string' && raw.type !== undefined) {
      const selector = this.parsed(
        () => parseSelector(raw as unknown as SelectorSource),
        stage,
        (field) => (field === undefined ? path : [...path, field]),
      )
      return selector === undefined
        ? { kind: 'literal', value: raw }
        : { kind: 'selector', selector, at: this.reader.document.at(path) }
    }
    return {
      kind: 'object',
      members: Object.entries(raw).map(([name, member]) => [name, this.value(member, [...path, name], stage)]),
    }
  }

  private template(text: string, path: Path, stage: Stage): Template | undefined {
    return this.parsed(
      () => parseTemplate(text),
      stage,
      () => path,
    )
  }

  /** Parses, and turns what the parser or the references have against it into problems at their places. */
  private parsed<T extends Template | Condition | Selector>(
    parse: () => T,
    stage: Stage,
    place: (field?: string) => Path,
  ): T | undefined {
    try {
      const result = parse()
      for (const expression of result.references) {
        const field = 'context' in result && expression === result.context ? 'context' : undefined
        this.reference(expression, place(field), stage)
      }
      return result
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      const { message, expected, found, hint } = error
      const code = error.unsupported ? 'FLOW_UNSUPPORTED' : 'FLOW_EXPRESSION'
      this.reader.add({ code, message, expected, found, hint }, place(error.field), error.offset)
      return undefined
    }
  }

  private reference(expression: Expression, path: Path, stage: Stage): void {
    const { reader } = this
    if (expression.kind === 'inputs') {
      if (!this.inputs.has(expression.name))
        this.unknownName('input', expression.name, this.inputs.keys(), path, expression.offset)
    } else if (expression.kind === 'steps') {
      const outputs = this.outputsOf.get(expression.stepId)
      if (outputs === undefined && this.stepIds.includes(expression.stepId)) {
        reader.add(
          {
            code: 'FLOW_REFERENCE',
            message: `step "${expression.stepId}" has not run yet where "${expression.text}" stands`,
            hint: 'a step can read the outputs of the steps above it',
          },
          path,
          expression.offset,
        )
      } else if (outputs === undefined) {
        this.unknownName('step', expression.stepId, this.outputsOf.keys(), path, expression.offset)
      } else if (!outputs.has(expression.name)) {
        this.unknownName('output', expression.name, outputs, path, expression.offset, ` of step "${expression.stepId}"`)
      }
    } else if (stage !== 'response' && (expression.kind === 'response' || expression.kind === 'statusCode')) {
      reader.add(
        { code: 'FLOW_REFERENCE', message: `there is no answer yet where "${expression.text}" stands` },
        path,
        expression.offset,
      )
    } else if (stage === 'response' || expression.kind === 'self') {
      if (UNSUPPORTED.has(expression.kind)) this.unsupported(expression, path)
    } else {
      this.unsupported(expression, path)
    }
  }

  private unsupported(expression: Expression, path: Path): void {
    this.reader.add(
      { code: 'FLOW_UNSUPPORTED', message: `"${expression.text}" is not supported here yet` },
      path,
      expression.offset,
    )
  }

  private unknownName(kind: string, name: string, names: Iterable<string>, path: Path, offset?: number, of = ''): void {
    const known = [...names]
    const meant = nearest(name, known)
    this.reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `there is no ${kind} "${name}"${of}`,
        hint:
          meant === undefined
            ? known.length === 0
              ? 'none is declared'
              : `known: ${known.join(', ')}`
            : `did you mean "${meant}"?`,
      },
      path,
      offset,
    )
  }
}

/** Headers that OpenAPI describes elsewhere than in its parameters (OpenAPI 3.1 §4.8.12). */
const CLIENT_HEADERS = new Set(['authorization', 'accept', 'content-type'])
const UNSUPPORTED = new Set<Expression['kind']>(['workflows', 'components', 'sourceDescriptions', 'outputs'])

/** Keywords whose values are data, in which nothing is a keyword. */
const DATA_KEYWORDS = new Set(['default', 'const', 'enum', 'examples', 'x-dcr'])
const JSON_TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']

function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u')
    return true
  } catch {
    return false
  }
}

function isLocation(value: unknown): value is Parameter['in'] {
  return value === 'path' || value === 'query' || value === 'header' || value === 'cookie'
}

/** What can become name=value pairs; a template is known only when it is rendered. */
function hasFields(payload: Value): boolean {
  return payload.kind !== 'array' && (payload.kind !== 'literal' || typeof payload.value === 'string')
}

function unique(reader: Reader, path: Path, list: readonly unknown[], member: string): void {
  const values = list.map((item) => (isRecord(item) ? item[member] : undefined))
  for (const [index, value] of values.entries()) {
    if (typeof value !== 'string' || values.indexOf(value) === index) continue
    reader.add({ code: 'FLOW_STRUCTURE', message: `${member} "${value}" occurs twice` }, [...path, index, member])
  }
}

function mediaType(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}

function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function texts(value: unknown): string[] {
  return items(value).filter((item) => typeof item === 'string')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
