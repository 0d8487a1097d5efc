/**
 * Reads the inputs of a workflow: a JSON Schema whose properties are read one by one, with references into the document's
 * components resolved, and the x-dcr members of each. src/plan decides where a value comes from.
 */

import { type Fields, isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { parseCondition } from '../expression/criterion.ts'
import type { Schema } from '../openapi/schema.ts'
import { checkedSchema, referenced } from './input-schema.ts'
import type { Input, Mint } from './model.ts'
import { type Scope, textOf, texts } from './scope.ts'
import { ARAZZO, type Reader } from './structure.ts'

/** Reads the inputs of the workflow at `path` into the scope. */
export function parseInputs(scope: Scope, path: Path, what: string): void {
  const { reader, inputs } = scope
  if (!isRecord(reader.raw([...path, 'inputs']))) return
  const place = schemaAt(reader, [...path, 'inputs'], `inputs of ${what}`)
  const fields = place && reader.object(place, `inputs of ${what}`, ARAZZO.inputs)
  if (place === undefined || fields === undefined) return
  const required = new Set(texts(fields.required))
  const properties = isRecord(fields.properties) ? fields.properties : {}
  for (const [index, name] of [...required].entries()) {
    if (!Object.hasOwn(properties, name))
      scope.unknownName('input', name, Object.keys(properties), [...place, 'required', index])
  }
  // Conditions and audiences may read any input, so all names are known before the first expression is read.
  const places = Object.keys(properties).map((name) => {
    const written: Path = [...place, 'properties', name]
    const own = schemaAt(reader, written, `input "${name}"`) ?? written
    inputs.set(name, parseInput(reader, name, { written, own, isRequired: required.has(name) }))
    return { name, places: own === written ? [own] : [written, own] }
  })
  for (const { name, places: candidates } of places) {
    for (const own of candidates) extend(scope, name, own)
  }
}

/** Names of the inputs of the workflow at `path`, without reporting their mistakes. */
export function inputNames(reader: Reader, path: Path): ReadonlySet<string> {
  const place = schemaAt(reader, [...path, 'inputs'])
  const fields = place && reader.raw(place)
  return new Set(isRecord(fields) && isRecord(fields.properties) ? Object.keys(fields.properties) : [])
}

function parseInput(
  reader: Reader,
  name: string,
  { written, own, isRequired }: { written: Path; own: Path; isRequired: boolean },
): Input {
  const schema = reader.raw(own)
  const fields = { ...(isRecord(schema) ? schema : {}), ...(own === written ? {} : (reader.raw(written) as Fields)) }
  if (!isRecord(schema) && typeof schema !== 'boolean') {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `input "${name}" has no schema`,
        expected: 'a JSON Schema, for example { type: string }',
      },
      own,
    )
  }
  return {
    name,
    schema: checkedSchema(reader, schema, { what: `input "${name}"`, path: own, within: [] }) as Schema,
    root: reader.document.data,
    required: isRequired,
    secret: fields.format === 'password',
    description: textOf(fields.description),
    default: fields.default,
    at: reader.document.keyAt(written),
  }
}

function extend(scope: Scope, name: string, path: Path): void {
  const extension = scope.reader.extension(path, `input "${name}"`, 'input')
  const input = scope.inputs.get(name)
  if (extension === undefined || input === undefined) return
  const mint = parseMint(scope, extension, name, [...path, 'x-dcr'])
  const when =
    typeof extension.when === 'string'
      ? scope.parsed(
          () => parseCondition({ condition: String(extension.when) }),
          'request',
          () => [...path, 'x-dcr', 'when'],
        )
      : undefined
  scope.inputs.set(name, {
    ...input,
    secret: input.secret || mint !== undefined,
    mint: mint ?? input.mint,
    when: when ?? input.when,
    isOfRoles: extension.default === 'roles' || input.isOfRoles,
  })
}

function parseMint(scope: Scope, extension: Fields, name: string, path: Path): Mint | undefined {
  if (extension.mint === undefined) {
    for (const member of ['audience', 'alg', 'key', 'lifetimeSeconds']) {
      if (!Object.hasOwn(extension, member)) continue
      scope.reader.add(
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
    const text = textOf(extension[member])
    return text === undefined ? undefined : scope.template(text, [...path, member], 'request')
  }
  const lifetimeSeconds = (extension.lifetimeSeconds ?? 300) as number
  const key = extension.key === 'renewed' ? 'renewed' : 'current'
  return { audience: template('audience'), alg: template('alg'), key, lifetimeSeconds }
}

/** Allowed beside a reference: they describe the input, not its values. */
const BESIDE_REFERENCES = ['$ref', '$anchor', 'description', 'title', 'default', 'x-dcr']

/**
 * The place of the schema at `path`, or of the component it refers to. Undefined where the reference leads
 * nowhere; `what` names the schema in the problems, and without it there are none.
 */
function schemaAt(reader: Reader, path: Path, what?: string): Path | undefined {
  const seen = new Set<string>()
  let place = path
  for (;;) {
    const schema = reader.raw(place)
    if (!isRecord(schema) || typeof schema.$ref !== 'string') return place
    const other = Object.keys(schema).find((keyword) => !BESIDE_REFERENCES.includes(keyword))
    if (other !== undefined && what !== undefined) {
      reader.add(
        { code: 'FLOW_UNSUPPORTED', message: `"${other}" beside a reference of ${what} is not supported yet` },
        [...place, other],
      )
    }
    const target = referenced(reader, schema.$ref, what === undefined ? undefined : { what, path: [...place, '$ref'] })
    if (target === undefined) return undefined
    if (seen.has(schema.$ref)) {
      if (what !== undefined) {
        const message = `reference "${schema.$ref}" of ${what} leads back to itself`
        reader.add({ code: 'FLOW_STRUCTURE', message }, [...place, '$ref'])
      }
      return undefined
    }
    seen.add(schema.$ref)
    place = target
  }
}
