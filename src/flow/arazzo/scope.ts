/**
 * What the expressions of one workflow may read. Parses its values, criteria and templates, checks their references, and
 * reports each error of a parser as a problem with its place in the file.
 */
import { suggestion } from '../../record/errors.ts'
import { LEVELS } from '../../record/profile.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { inOrder } from '../document/order.ts'
import { type Condition, type ConditionSource, exactCondition, parseCondition } from '../expression/criterion.ts'
import {
  type Expression,
  ExpressionError,
  parsePointer,
  parseTemplate,
  type Template,
} from '../expression/expression.ts'
import { parseSelector, type Selector, type SelectorSource } from '../expression/selector.ts'
import type { ApiDescription } from '../openapi/description.ts'
import type { Criterion, Input, Value, WorkflowName } from './model.ts'
import { ARAZZO, type Reader } from './structure.ts'

/** The names of a workflow that other workflows can use, read before any workflow is parsed. */
export interface Shape {
  readonly workflowId: string
  readonly inputs: ReadonlySet<string>
  readonly outputs: ReadonlySet<string>
  readonly stepIds: ReadonlySet<string>
  /** the workflows in its `dependsOn` */
  readonly dependsOn: readonly string[]
}

/** What is known of a file when a workflow of it is parsed. */
export interface Reading {
  readonly reader: Reader
  /** the document's own URI (`$self`), if it has one */
  readonly self: string | undefined
  /** API descriptions and other Arazzo documents, by the names of their source descriptions */
  readonly sources: ReadonlyMap<string, ApiDescription>
  readonly others: ReadonlyMap<string, Reading>
  readonly shapes: ReadonlyMap<string, Shape>
}

/** A workflow as other workflows name it. */
interface Named extends WorkflowName {
  readonly shape: Shape
  readonly reading: Reading
}

const FOREIGN = /^\$sourceDescriptions\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

/** The workflow that a text names, in the document or in another one; undefined where there is none. */
export function namedIn(reading: Reading, text: string): Named | undefined {
  const [, source, foreign] = FOREIGN.exec(text) ?? []
  const place = source === undefined ? reading : reading.others.get(source)
  const workflowId = foreign ?? text
  const shape = place?.shapes.get(workflowId)
  return place && shape && { source, workflowId, shape, reading: place }
}

/** All workflows that one depends on, also across documents, in running order; and a circle among them. */
export function awaitedBy(start: Named): ReturnType<typeof inOrder<Shape>> {
  const readings = new Map([[start.shape, start.reading]])
  return inOrder([start.shape], (shape) => {
    const reading = readings.get(shape)
    const found = reading === undefined ? [] : shape.dependsOn.flatMap((text) => namedIn(reading, text) ?? [])
    for (const one of found) readings.set(one.shape, one.reading)
    return found.map((one) => one.shape).filter((one) => one !== shape)
  })
}

/** The place of an expression decides what it may read; after a step that ran a workflow, also that workflow's outputs. */
export type Stage = 'request' | 'response' | 'inherited' | 'end' | { readonly called: Shape }

export class Scope {
  readonly reader: Reader
  readonly sources: ReadonlyMap<string, ApiDescription>
  readonly others: ReadonlyMap<string, Reading>
  readonly shapes: ReadonlyMap<string, Shape>
  readonly inputs = new Map<string, Input>()
  /** by the steps that come before the parser's place */
  readonly outputsOf = new Map<string, ReadonlySet<string>>()
  readonly stepIds: ReadonlySet<string>
  /** workflows that steps before the parser's place have run */
  readonly run = new Set<string>()
  /** steps that a path can lead to: not those that always run at the end */
  readonly reachable: ReadonlySet<string>
  readonly #workflowId: string
  readonly #reading: Reading
  #after: ReadonlySet<Shape> | undefined

  constructor(
    reading: Reading,
    own: {
      readonly workflowId: string
      readonly stepIds: ReadonlySet<string>
      readonly reachable: ReadonlySet<string>
    },
  ) {
    this.#reading = reading
    this.reader = reading.reader
    this.sources = reading.sources
    this.others = reading.others
    this.shapes = reading.shapes
    this.stepIds = own.stepIds
    this.reachable = own.reachable
    this.#workflowId = own.workflowId
  }

  /** Whether that workflow has ended before this one begins. */
  hasEnded(shape: Shape): boolean {
    if (this.#after === undefined) {
      const own = namedIn(this.#reading, this.#workflowId)
      const { order } = own === undefined ? { order: [] } : awaitedBy(own)
      this.#after = new Set(order.filter((one) => one !== own?.shape))
    }
    return this.#after.has(shape)
  }

  /** The workflow that the text at `path` names; undefined, and a problem, where there is none. */
  workflowNamed(text: string, path: Path): Named | undefined {
    const found = namedIn(this.#reading, text)
    if (found === undefined) this.#unknownWorkflow(text, path)
    return found
  }

  #unknownWorkflow(text: string, path: Path): void {
    const [, source, workflowId] = FOREIGN.exec(text) ?? []
    if (source === undefined || workflowId === undefined) {
      if (!text.startsWith('$')) this.unknownName('workflow', text, this.shapes.keys(), path)
      else
        this.reader.add(
          {
            code: 'FLOW_REFERENCE',
            message: `"${text}" does not name a workflow`,
            expected: 'a workflowId, or $sourceDescriptions.<name>.<workflowId> for one of another document',
          },
          path,
        )
      return
    }
    const other = this.others.get(source)
    const names = sourceNames(this.reader)
    if (other !== undefined) {
      this.unknownName('workflow', workflowId, other.shapes.keys(), path, 0, ` in "${source}"`)
    } else if (this.sources.has(source)) {
      const message = `source description "${source}" is an API description, which has no workflows`
      this.reader.add({ code: 'FLOW_REFERENCE', message, hint: 'call its operations with "operationId"' }, path)
    } else if (!names.includes(source)) this.unknownName('source description', source, names, path)
  }

  value(raw: unknown, path: Path, stage: Stage): Value {
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

  template(text: string, path: Path, stage: Stage): Template | undefined {
    return this.parsed(
      () => parseTemplate(text),
      stage,
      () => path,
    )
  }

  outputs(raw: unknown, path: Path, stage: Stage): ReadonlyMap<string, Value> {
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

  /** The criteria of the list at `path`; `what` names their owner in messages. */
  criteria(path: Path, what: string, stage: Stage): Criterion[] {
    const list = this.reader.raw(path)
    if (!Array.isArray(list)) return []
    return list.flatMap((_, index) => this.#criterion([...path, index], what, stage) ?? [])
  }

  #criterion(path: Path, what: string, stage: Stage): Criterion | undefined {
    const named = `criterion ${Number(path.at(-1)) + 1} of ${what}`
    const fields = this.reader.object(path, named, ARAZZO.criterion)
    const extension = this.reader.extension(path, named, 'criterion')
    if (typeof fields?.condition !== 'string') return undefined
    if (fields.context !== undefined && typeof fields.context !== 'string') return undefined
    const text = fields.condition
    const condition = this.parsed(
      () => parseCondition(fields as unknown as ConditionSource),
      stage,
      (field = 'condition') => [...path, field],
    )
    if (condition === undefined) return undefined
    const exact = extension?.exact === true
    const judged = exact ? exactCondition(condition) : condition
    if (judged === undefined) {
      this.reader.add(
        {
          code: 'FLOW_STRUCTURE',
          message: `"exact" of ${named} has no meaning`,
          expected: 'a simple condition that is one comparison with "==" and nothing else',
          found: text,
          hint: 'jsonpath and regex are exact as they are; a condition of several parts can be several criteria',
        },
        [...path, 'x-dcr', 'exact'],
      )
    }
    return (
      judged && {
        condition: judged,
        text: fields.context === undefined ? text : `${String(fields.context)}: ${text}`,
        level: LEVELS[String(extension?.levelOf)] ?? ((extension?.level ?? 'must') as Criterion['level']),
        optional: extension?.optional === true,
        clauses: texts(extension?.clauses),
        waitsFor: extension?.waitsFor as Criterion['waitsFor'],
        at: this.reader.document.at([...path, 'condition']),
      }
    )
  }

  pointer(text: string, path: Path): readonly string[] | undefined {
    return this.guarded(() => parsePointer(text), path)
  }

  /** Parses the text at `path`, and reports an error of the parser as a problem there. */
  guarded<T>(parse: () => T, path: Path): T | undefined {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      this.#refused(error, path)
      return undefined
    }
  }

  #refused({ message, expected, found, hint, unsupported, offset }: ExpressionError, path: Path): void {
    const code = unsupported ? 'FLOW_UNSUPPORTED' : 'FLOW_EXPRESSION'
    this.reader.add({ code, message, expected, found, hint }, path, offset)
  }

  /** Parses a text, and reports errors of the parser and wrong references as problems with their places. */
  parsed<T extends Template | Condition | Selector>(
    parse: () => T,
    stage: Stage,
    place: (field?: string) => Path,
  ): T | undefined {
    try {
      const result = parse()
      if ('size' in result) this.reader.spend(result.size, place())
      for (const expression of result.references) {
        const field = 'context' in result && expression === result.context ? 'context' : undefined
        this.#reference(expression, place(field), stage)
      }
      return result
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      this.#refused(error, place(error.field))
      return undefined
    }
  }

  #reference(expression: Expression, path: Path, stage: Stage): void {
    switch (expression.kind) {
      case 'inputs':
        if (!this.inputs.has(expression.name)) this.#unknownValue('input', expression, this.inputs, path)
        break
      case 'steps':
        this.#stepReference(expression, path, stage)
        break
      case 'workflows':
        this.#workflowReference(expression, path)
        break
      case 'outputs':
        this.#outputReference(expression, path, stage)
        break
      case 'url':
      case 'method':
      case 'request':
      case 'response':
      case 'statusCode':
        this.#exchangeReference(expression, path, stage)
        break
      case 'self':
        if (this.#reading.self === undefined) {
          const message = 'the document does not say its own URI'
          this.reader.add({ code: 'FLOW_REFERENCE', message, expected: '$self: <URI>' }, path, expression.offset)
        }
        break
      case 'sourceDescriptions':
        this.#sourceReference(expression, path)
        break
      case 'components': {
        const message = `"${expression.text}" has no value`
        const hint = 'a component is put in place by a reference: { reference: $components.… }'
        this.reader.add({ code: 'FLOW_UNSUPPORTED', message, hint }, path, expression.offset)
        break
      }
      default:
        expression satisfies never
    }
  }

  #exchangeReference({ kind, text, offset }: Expression, path: Path, stage: Stage): void {
    if (stage === 'response' || stage === 'inherited') return
    const isAnswer = kind === 'response' || kind === 'statusCode'
    this.reader.add(
      typeof stage === 'object'
        ? {
            // Arazzo does not say what a workflow that ran as a step sent or got; examples of it read that of its last call.
            code: 'FLOW_UNSUPPORTED',
            message: `"${text}" is not supported after a workflow that ran as a step`,
            hint: 'return it as an output of that workflow; this step reads $outputs.<name>, others $steps.<stepId>.outputs.<name>',
          }
        : {
            code: 'FLOW_REFERENCE',
            message: `there is no ${isAnswer ? 'answer' : 'request'} yet where "${text}" stands`,
          },
      path,
      offset,
    )
  }

  #stepReference(expression: Extract<Expression, { kind: 'steps' }>, path: Path, stage: Stage): void {
    const { stepId, name, text, offset } = expression
    const outputs = this.outputsOf.get(stepId)
    // An action of the whole workflow may run after any step; a step that has not run has no value there.
    if (outputs === undefined && this.stepIds.has(stepId)) {
      if (stage === 'inherited') return
      this.reader.add(
        {
          code: 'FLOW_REFERENCE',
          message: `step "${stepId}" has not run yet where "${text}" stands`,
          hint: 'a step can read the outputs of the steps above it',
        },
        path,
        offset,
      )
    } else if (outputs === undefined) {
      this.unknownName('step', stepId, this.outputsOf.keys(), path, offset)
    } else if (!outputs.has(name)) {
      this.#unknownValue('output', expression, outputs, path, ` of step "${stepId}"`)
    }
  }

  #workflowReference(expression: Extract<Expression, { kind: 'workflows' }>, path: Path): void {
    const { workflowId, field, name, text, offset } = expression
    const shape = this.shapes.get(workflowId)
    if (shape === undefined) {
      this.unknownName('workflow', workflowId, this.shapes.keys(), path, offset)
    } else if (!this.hasEnded(shape) && !this.run.has(workflowId)) {
      this.reader.add(
        {
          code: 'FLOW_REFERENCE',
          message: `workflow "${workflowId}" has not run yet where "${text}" stands`,
          hint:
            workflowId === this.#workflowId
              ? 'within a workflow write $inputs.<name> and $steps.<stepId>.outputs.<name>'
              : 'add it to dependsOn of this workflow',
        },
        path,
        offset,
      )
    } else if (!shape[field].has(name)) {
      this.#unknownValue(field.slice(0, -1), expression, shape[field], path, ` of workflow "${workflowId}"`)
    }
  }

  /** A field of a source description. Arazzo looks for an operation or a workflow first; neither is a value. */
  #sourceReference(expression: Extract<Expression, { kind: 'sourceDescriptions' }>, path: Path): void {
    const { source, reference, text, offset } = expression
    const names = sourceNames(this.reader)
    const fields = items(this.reader.raw(['sourceDescriptions'])).find((one) => isRecord(one) && one.name === source)
    if (!isRecord(fields)) {
      this.unknownName('source description', source, names, path, offset)
    } else if (this.sources.get(source)?.operations.has(reference) || this.others.get(source)?.shapes.has(reference)) {
      const message = `"${text}" names something to call, which is no value`
      this.reader.add({ code: 'FLOW_REFERENCE', message }, path, offset)
    } else if (/^servers\.(?!0(?:\.url)?$)/.test(reference)) {
      const message = `"${text}" is no server: the environment has one for each source description`
      const hint = `write $sourceDescriptions.${source}.servers.0.url; for another server, name the description once more`
      this.reader.add({ code: 'FLOW_UNSUPPORTED', message, hint }, path, offset)
    } else if (!Object.hasOwn(fields, reference) && !reference.startsWith('servers.')) {
      this.unknownName('field', reference, [...Object.keys(fields), 'servers.0.url'], path, offset, ` of "${source}"`)
    }
  }

  #outputReference(expression: Expression & { readonly name: string }, path: Path, stage: Stage): void {
    const { name, text, offset } = expression
    if (stage === 'inherited') return
    if (typeof stage !== 'object') {
      this.reader.add(
        {
          code: 'FLOW_REFERENCE',
          message: `"${text}" has no meaning here`,
          hint: 'it reads what the workflow returned that a step with "workflowId" ran; elsewhere write $steps.<stepId>.outputs.<name>',
        },
        path,
        offset,
      )
    } else if (!stage.called.outputs.has(name)) {
      this.#unknownValue('output', expression, stage.called.outputs, path, ' of the workflow')
    }
  }

  /**
   * A dot is part of a name here; in other tools it leads to a member of the value.
   * @see [Arazzo 1.1 Runtime Expressions](https://spec.openapis.org/arazzo/v1.1.0.html#runtime-expressions)
   */
  #unknownValue(
    kind: string,
    { name, text, offset }: Expression & { readonly name: string },
    names: { has(name: string): boolean; keys(): Iterable<string> },
    path: Path,
    of = '',
  ): void {
    const parts = name.split('.')
    const known = parts.findLastIndex((_, index) => index > 0 && names.has(parts.slice(0, index).join('.')))
    if (known === -1) {
      this.unknownName(kind, name, names.keys(), path, offset, of)
      return
    }
    const first = parts.slice(0, known).join('.')
    const [whole = '', pointer = ''] = text.split('#')
    const start = whole.slice(0, whole.length - name.length)
    const member = `/${parts.slice(known).join('/')}${pointer}`
    const hint = `a member of ${kind} "${first}" is read by a pointer: ${start}${first}#${member}`
    const message = `there is no ${kind} "${name}"${of}`
    this.reader.add({ code: 'FLOW_REFERENCE', message, found: text, hint }, path, offset)
  }

  unknownName(kind: string, name: string, names: Iterable<string>, path: Path, offset?: number, of = ''): void {
    const message = `there is no ${kind} "${name}"${of}`
    this.reader.add({ code: 'FLOW_REFERENCE', message, hint: suggestion(name, names) }, path, offset)
  }
}

/** Declared ones, also those that could not be read; but for a type. */
export function sourceNames(reader: Reader, except?: string): readonly string[] {
  const declared = items(reader.raw(['sourceDescriptions'])).filter(isRecord)
  const names = declared.filter(({ type }) => type === undefined || type !== except).map(({ name }) => name)
  return [...new Set(texts(names))]
}

export function unique(reader: Reader, path: Path, list: readonly unknown[], member: string): void {
  const seen = new Set<string>()
  for (const [index, item] of list.entries()) {
    const value = isRecord(item) ? item[member] : undefined
    if (typeof value !== 'string') continue
    if (seen.has(value))
      reader.add({ code: 'FLOW_STRUCTURE', message: `${member} "${value}" occurs twice` }, [...path, index, member])
    seen.add(value)
  }
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function texts(value: unknown): string[] {
  return items(value).filter((item) => typeof item === 'string')
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
