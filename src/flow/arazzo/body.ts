/** The body of a request as a flow describes it: media type, payload, and replacements within it. */

import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { parseJsonPath } from '../expression/jsonpath.ts'
import { type ExpressionType, selectorKind } from '../expression/selector.ts'
import type { Operation } from '../openapi/description.ts'
import { bodyKind, boundaryOf, covers, isRange } from '../openapi/media-type.ts'
import type { Replacement, RequestBody, Value } from './model.ts'
import { items, type Scope, textOf } from './scope.ts'
import { ARAZZO, type Reader } from './structure.ts'

export function parseRequestBody(
  scope: Scope,
  operation: Operation | undefined,
  what: string,
  path: Path,
): RequestBody | undefined {
  const { reader } = scope
  if (!isRecord(reader.raw(path))) return undefined
  const fields = reader.object(path, `requestBody of ${what}`, ARAZZO.requestBody) ?? {}
  const content = operation?.requestBody?.content ?? new Map<string, RequestBody['encodings']>()
  const documented = [...content.keys()]
  const given = textOf(fields.contentType)
  const contentType = given ?? documented.find((key) => !isRange(key)) ?? 'application/json'
  const isSaid = given !== undefined || documented.some((one) => !isRange(one))
  const whole = contentType.toLowerCase()
  const key = content.has(whole) ? whole : documented.find((one) => isSaid && covers(one, contentType))
  const kind = bodyKind(contentType)
  // With replacements and no payload, the body starts empty.
  const payload = scope.value(fields.payload ?? (kind === 'text' ? '' : {}), [...path, 'payload'], 'request')
  const encodings = (key === undefined ? undefined : content.get(key)) ?? new Map()
  const body: RequestBody = {
    contentType,
    encodings,
    payload,
    replacements: parseReplacements(scope, items(fields.replacements), what, [...path, 'replacements']),
    at: reader.document.at(path),
  }
  const isKnown = operation?.description !== undefined
  if (isKnown && documented.length === 0) {
    reader.add(
      { code: 'FLOW_REFERENCE', message: `operation "${operation.operationId}" of ${what} takes no body` },
      path,
    )
  } else if (isKnown && key === undefined) {
    const message =
      given === undefined
        ? `requestBody of ${what} does not say its contentType`
        : `operation "${operation.operationId}" of ${what} does not take "${given}"`
    const place = given === undefined ? path : [...path, 'contentType']
    reader.add({ code: 'FLOW_REFERENCE', message, expected: documented.join(' or ') }, place)
  } else checkPayload(reader, body, what, path)
  return body
}

/** Checks that the payload can be written as the media type. */
function checkPayload(
  reader: Reader,
  { contentType, encodings, payload, replacements }: RequestBody,
  what: string,
  path: Path,
): void {
  const kind = bodyKind(contentType)
  const shape = shapeOf(payload)
  const place: Path = [...path, 'payload']
  for (const own of notFinite(reader.raw(place), place)) {
    const message = `the payload of ${what} has a number that is not finite`
    reader.add({ code: 'FLOW_STRUCTURE', message, expected: 'a number that can be written, or a text' }, own)
  }
  if (kind === 'text' && shape !== 'text' && shape !== 'open') {
    const message = `the payload of ${what} is no text, and nothing else can be written as "${contentType}"`
    reader.add({ code: 'FLOW_UNSUPPORTED', message, ...TEXT_ONLY }, place)
  }
  if (kind === 'text' && replacements.length > 0) {
    const message = `"replacements" of ${what} have no meaning in "${contentType}"`
    reader.add({ code: 'FLOW_UNSUPPORTED', message, ...TEXT_ONLY }, [...path, 'replacements'])
  }
  if ((kind === 'form' || kind === 'multipart') && shape === 'other') {
    const message = `the form of ${what} is not an object`
    const expected = 'an object with one member for each field, or one text'
    reader.add({ code: 'FLOW_STRUCTURE', message, expected }, place)
  }
  if (kind !== 'multipart') return
  if (shape === 'text' && boundaryOf(contentType) === undefined) {
    const message = `the payload of ${what} is the text of a form whose contentType does not say the boundary`
    const expected = 'multipart/form-data; boundary=<the one in the text>, or an object with one member for each part'
    reader.add({ code: 'FLOW_STRUCTURE', message, expected }, place)
  }
  for (const [name] of payload.kind === 'object' ? payload.members : []) {
    const [header] = encodings.get(name)?.headers.find(([, value]) => value === undefined) ?? []
    if (header === undefined) continue
    const message = `part "${name}" of ${what} needs the header "${header}", of which no value is known`
    const hint = 'give it a const or a default in the description, or write the whole body as one text'
    reader.add({ code: 'FLOW_UNSUPPORTED', message, hint }, [...place, name])
  }
}

/** The places of ".inf" and ".nan" of YAML, for which JSON and forms have no number (RFC 8259 section 6). */
function notFinite(value: unknown, path: Path): readonly Path[] {
  if (typeof value === 'number') return Number.isFinite(value) ? [] : [path]
  if (Array.isArray(value)) return value.flatMap((item, index) => notFinite(item, [...path, index]))
  return isRecord(value) ? Object.entries(value).flatMap(([name, item]) => notFinite(item, [...path, name])) : []
}

/** The value of a lone expression or a selector is known only when the request is sent. */
function shapeOf(payload: Value): 'text' | 'object' | 'open' | 'other' {
  switch (payload.kind) {
    case 'object':
      return 'object'
    case 'selector':
      return 'open'
    case 'template':
      return payload.template.kind === 'expression' ? 'open' : 'text'
    default:
      // A text that could not be read has its own problem already.
      return payload.kind === 'literal' && typeof payload.value === 'string' ? 'open' : 'other'
  }
}

/** Instead of data, and instead of XPath. */
const TEXT_ONLY = {
  expected: 'one text, with expressions in braces',
  hint: "for example payload: '<client><id>{$inputs.client_id}</id></client>'",
}

function parseReplacements(scope: Scope, list: readonly unknown[], what: string, path: Path): Replacement[] {
  const { reader } = scope
  return list.flatMap((_, index) => {
    const own: Path = [...path, index]
    const fields = reader.object(own, `replacement ${index + 1} of ${what}`, ARAZZO.replacement)
    if (typeof fields?.target !== 'string') return []
    const target = parseTarget(scope, fields.target, fields.targetSelectorType, own)
    const value = scope.value(fields.value, [...own, 'value'], 'request')
    return target === undefined ? [] : [{ target, text: fields.target, value, at: reader.document.at(own) }]
  })
}

/** Without a type it is a JSON Pointer: bodies are JSON or forms here, and XPath is for XML. */
function parseTarget(scope: Scope, text: string, type: unknown, path: Path): Replacement['target'] | undefined {
  const kind = scope.guarded(
    () => selectorKind((type ?? 'jsonpointer') as ExpressionType, ['jsonpath', 'jsonpointer', 'xpath']),
    [...path, 'targetSelectorType'],
  )
  if (kind === undefined) return undefined
  if (kind === 'jsonpath') {
    const found = scope.guarded(() => parseJsonPath(text), [...path, 'target'])
    if (found !== undefined) scope.reader.spend(found.size, path)
    return found && { kind, path: found }
  }
  const tokens = scope.pointer(text, [...path, 'target'])
  return tokens && { kind: 'jsonpointer', tokens }
}
