/**
 * The inputs of a workflow: a JSON Schema whose properties are read one by one, with references into the document's
 * components resolved, and what x-dcr adds to each. Knows nothing of where a value comes from.
 */
import { nearest, type Problem, suggestion } from '../errors.ts'
import { parseCondition } from './criterion.ts'
import type { Path } from './document.ts'
import { resolvePointer } from './expression.ts'
import type { Input, Mint } from './model.ts'
import { type Schema, unescaped } from './openapi.ts'
import { items, type Scope, textOf, texts } from './scope.ts'
import { ARAZZO, type Fields, isRecord, type Reader } from './structure.ts'

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
  // Conditions and audiences may speak of any input, so all names are known before the first expression is read.
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

/** Names of the inputs of the workflow at `path`, without a word about what is wrong with them. */
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
  })
}

function parseMint(scope: Scope, extension: Fields, name: string, path: Path): Mint | undefined {
  if (extension.mint === undefined) {
    for (const member of ['audience', 'alg', 'lifetimeSeconds']) {
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
    if (typeof extension[member] === 'string') return scope.template(extension[member], [...path, member], 'request')
    scope.reader.add(
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

/** May stand beside a reference: they say something about the input, not about its values. */
const BESIDE_REFERENCES = ['$ref', '$anchor', 'description', 'title', 'default', 'x-dcr']

/**
 * The place of the schema that stands at `path`, or of the component it refers to. Undefined where the reference leads
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

/**
 * The place in this document that a reference means: a JSON Pointer from its root, or the name of an `$anchor`
 * (Arazzo 1.1 Resolving URI Fragments), perhaps after the URI that the document gives itself.
 */
function referenced(
  reader: Reader,
  reference: string,
  blame: { readonly what: string; readonly path: Path } | undefined,
): Path | undefined {
  const refused = (problem: Omit<Problem, 'message'>, reason: string) => {
    if (blame === undefined) return undefined
    reader.add({ ...problem, message: `reference "${reference}" of ${blame.what} ${reason}` }, blame.path)
    return undefined
  }
  const [uri = '', fragment = ''] = reference.split('#')
  if (uri !== '' && uri !== reader.raw(['$self'])) {
    const hint = 'write the schema out, or put it into the components of this document'
    return refused(
      { code: 'FLOW_UNSUPPORTED', expected: '#/components/inputs/<name>', hint },
      'leads out of the document',
    )
  }
  if (!fragment.startsWith('/')) {
    const found = anchored(reader.document.data, fragment, [])
    if (found.length === 1) return found[0]
    const expected = `one schema with $anchor: ${fragment}`
    return refused({ code: 'FLOW_REFERENCE', expected, found: `${found.length}` }, 'leads nowhere')
  }
  const tokens = fragment.split('/').slice(1).map(unescaped)
  if (resolvePointer(reader.document.data, tokens) !== undefined) return tokens
  const [first, , third = ''] = tokens
  const known = Object.keys((reader.raw(['components', 'inputs']) ?? {}) as object)
  const hint =
    first === 'components'
      ? suggestion(third, known)
      : 'a pointer starts at the root of the document, as #/workflows/0/inputs/$defs/name does'
  return refused({ code: 'FLOW_REFERENCE', hint }, 'leads nowhere')
}

/** The schemas of the document with that `$anchor`. */
function anchored(value: unknown, name: string, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return []
  const inside = Object.entries(value).flatMap(([key, member]) =>
    DATA_KEYWORDS.has(key) ? [] : anchored(member, name, [...path, key]),
  )
  return isRecord(value) && value.$anchor === name ? [path, ...inside] : inside
}

/** Keywords whose values are data, in which nothing is a keyword. */
const DATA_KEYWORDS = new Set(['default', 'const', 'enum', 'examples', 'x-dcr'])
/** They make references mean something else than places of the document. */
const FOREIGN_BASES = ['$id', '$dynamicRef', '$dynamicAnchor']
const JSON_TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']

/**
 * The schema with its references resolved. What the validator would otherwise meet in the middle of a run is a problem
 * now; `within` are the references that led here.
 */
function checkedSchema(
  reader: Reader,
  schema: unknown,
  context: { readonly what: string; readonly path: Path; readonly within: readonly string[] },
): unknown {
  const { what, path, within } = context
  if (Array.isArray(schema)) {
    return schema.map((item, index) => checkedSchema(reader, item, { ...context, path: [...path, index] }))
  }
  if (!isRecord(schema)) return schema
  if (typeof schema.$ref === 'string') {
    const reference = schema.$ref
    if (within.includes(reference)) {
      const message = `reference "${reference}" of ${what} leads back to itself`
      reader.add({ code: 'FLOW_STRUCTURE', message }, [...path, '$ref'])
      return true
    }
    const target = referenced(reader, reference, { what, path: [...path, '$ref'] })
    if (target === undefined) return true
    const { $ref: _, ...rest } = schema
    const resolved = checkedSchema(reader, reader.raw(target), {
      what,
      path: target,
      within: [...within, reference],
    })
    if (Object.keys(rest).length === 0) return resolved
    return { ...(checkedSchema(reader, rest, context) as object), allOf: [resolved, ...items(rest.allOf)] }
  }
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, content]) => {
      const own: Path = [...path, keyword]
      if (DATA_KEYWORDS.has(keyword)) return [keyword, content]
      if (FOREIGN_BASES.includes(keyword) && typeof content === 'string') {
        const message = `"${keyword}" in the schema of ${what} is not supported`
        reader.add({ code: 'FLOW_UNSUPPORTED', message, hint: 'name a schema by "$anchor" or its place' }, own)
      }
      if (keyword === 'pattern' && typeof content === 'string' && !isPattern(content)) {
        reader.add({ code: 'FLOW_STRUCTURE', message: `the pattern of ${what} is not a regular expression` }, own)
      } else if (keyword === 'type' && (typeof content === 'string' || Array.isArray(content))) {
        checkType(reader, content, what, own)
        return [keyword, content]
      }
      return [keyword, checkedSchema(reader, content, { ...context, path: own })]
    }),
  )
}

function checkType(reader: Reader, content: string | readonly unknown[], what: string, path: Path): void {
  const unknown = [content].flat().find((type) => !JSON_TYPES.includes(String(type)))
  if (unknown === undefined) return
  const meant = nearest(String(unknown), JSON_TYPES)
  reader.add(
    {
      code: 'FLOW_STRUCTURE',
      message: `the schema of ${what} has an unknown type`,
      expected: JSON_TYPES.join(', '),
      found: `"${String(unknown)}"`,
      hint: meant && `did you mean "${meant}"?`,
    },
    path,
  )
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u')
    return true
  } catch {
    return false
  }
}
