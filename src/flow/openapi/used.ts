/**
 * What is wrong with an operation of a description: its parameters, its documented answers and their schemas. An operation that
 * a flow calls is refused with these before anything is sent; lint names those of all other operations too.
 */
import type { Problem } from '../../record/errors.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { type ApiDescription, isLocation, LOCATIONS, type Operation } from './description.ts'
import { resolve } from './reference.ts'
import { type Fault, faultsWithin, type SchemaNode, schemasOf } from './schema.ts'

/** Faults of one operation; those that are warnings do not keep a flow from running. */
export function faultsOf({ document }: ApiDescription, operation: Operation): readonly Fault[] {
  const known = inspected.get(operation)
  if (known !== undefined) return known
  const faults = new Inspection(document.data).operation(operation.path, operation.method.toLowerCase())
  inspected.set(operation, faults)
  return faults
}
const inspected = new WeakMap<Operation, readonly Fault[]>()

/** Faults of all schemas below `components`, whether an operation names them or not. */
export function faultsOfComponents({ document }: ApiDescription): readonly Fault[] {
  const components = isRecord(document.data) ? document.data.components : undefined
  const schemas = isRecord(components) && isRecord(components.schemas) ? Object.entries(components.schemas) : []
  const reader = schemasOf(document.data)
  return faultsWithin(schemas.map(([name, schema]) => reader.read(schema, ['components', 'schemas', name])))
}

export function problemOf(
  { document }: ApiDescription,
  { path, offset, isName, isWarning: _, ...fault }: Fault,
): Problem {
  return { ...fault, at: isName ? document.keyAt(path) : document.at(path, offset) }
}

class Inspection {
  readonly #root: unknown
  readonly #faults: Fault[] = []
  readonly #schemas: SchemaNode[] = []

  constructor(root: unknown) {
    this.#root = root
  }

  operation(path: string, method: string): readonly Fault[] {
    const item = this.#object(valueAt(this.#root, ['paths', path]), ['paths', path], 'the path')
    if (item === undefined) return this.#faults
    this.#parameters(item.value.parameters, [...item.path, 'parameters'])
    const operation = this.#object(item.value[method], [...item.path, method], 'the operation')
    if (operation === undefined) return this.#faults
    const { parameters, requestBody, responses } = operation.value
    this.#parameters(parameters, [...operation.path, 'parameters'])
    if (requestBody !== undefined) this.#content(requestBody, [...operation.path, 'requestBody'], 'the request body')
    const answers = this.#map(responses, [...operation.path, 'responses'], 'the list of answers')
    for (const [status, answer] of Object.entries(answers)) {
      if (!/^(?:[1-5]\d\d|[1-5]XX|default|x-.*)$/.test(status)) {
        const expected = 'a status such as "200", a range such as "4XX", or "default"'
        this.#add(`"${status}" is no status of an answer`, [...operation.path, 'responses', status], { expected })
      }
      if (status.startsWith('x-')) continue
      this.#content(answer, [...operation.path, 'responses', status], `the answer "${status}"`, true)
    }
    return [...this.#faults, ...faultsWithin(this.#schemas)]
  }

  #parameters(list: unknown, path: Path): void {
    if (list === undefined) return
    if (!Array.isArray(list)) this.#add('the parameters are no list', path, { expected: 'a list', found: shown(list) })
    for (const [index, item] of (Array.isArray(list) ? list : []).entries()) {
      const found = this.#object(item, [...path, index], 'the parameter')
      if (found === undefined) continue
      const { name, in: where } = found.value
      if (typeof name !== 'string' || name === '')
        this.#add('the parameter has no name', found.path, { expected: 'name: …', found: shown(name) })
      if (!isLocation(where))
        this.#add('the parameter does not say where it goes', found.path, {
          expected: `in: ${LOCATIONS.join(' | ')}`,
          found: shown(where),
        })
    }
  }

  /** The media types of a body. Only an answer is judged by its schemas. */
  #content(value: unknown, path: Path, what: string, isJudged = false): void {
    const found = this.#object(value, path, what)
    if (found === undefined || found.value.content === undefined) return
    const place = [...found.path, 'content']
    for (const [type, media] of Object.entries(this.#map(found.value.content, place, `the content of ${what}`))) {
      const own = this.#object(media, [...place, type], `the media type of ${what}`)
      if (own === undefined || !isJudged || own.value.schema === undefined) continue
      this.#schemas.push(schemasOf(this.#root).read(own.value.schema, [...own.path, 'schema']))
    }
  }

  /** An object, perhaps behind references. */
  #object(start: unknown, from: Path, what: string): { readonly value: Fields; readonly path: Path } | undefined {
    let [value, path] = [start, from]
    for (let hops = 0; isRecord(value) && value.$ref !== undefined; hops += 1) {
      const place = [...path, '$ref']
      if (typeof value.$ref !== 'string' || hops >= MOST_HOPS) {
        const problem = { expected: 'a reference that leads to it', found: shown(value.$ref) }
        this.#add(`the reference of ${what} cannot be followed`, place, problem)
        return undefined
      }
      const target = resolve(this.#root, value.$ref)
      if ('code' in target) {
        this.#faults.push({ ...target, path: place })
        return undefined
      }
      value = target.value
      path = target.path
    }
    if (isRecord(value)) return { value, path }
    this.#add(`${what} is no object`, path, { expected: 'an object', found: shown(value) })
    return undefined
  }

  #map(value: unknown, path: Path, what: string): Fields {
    if (isRecord(value)) return value
    this.#add(`${what} is no object`, path, { expected: 'an object', found: shown(value) })
    return {}
  }

  #add(message: string, path: Path, more: Pick<Fault, 'expected' | 'found'>): void {
    this.#faults.push({ code: 'FLOW_STRUCTURE', message, path, ...more })
  }
}

const MOST_HOPS = FILE_LIMITS.references.value

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) => (isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    root,
  )
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
