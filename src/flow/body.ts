/** The body of a request as a flow describes it: media type, payload, and replacements within it. */
import type { Path } from './document.ts'
import { parseJsonPath } from './jsonpath.ts'
import type { Replacement, RequestBody, Value } from './model.ts'
import type { Operation } from './openapi.ts'
import { items, type Scope } from './scope.ts'
import { type ExpressionType, selectorKind } from './selector.ts'
import { ARAZZO, isRecord } from './structure.ts'

export function parseRequestBody(
  scope: Scope,
  operation: Operation | undefined,
  what: string,
  path: Path,
): RequestBody | undefined {
  const { reader } = scope
  if (!isRecord(reader.raw(path))) return undefined
  const fields = reader.object(path, `requestBody of ${what}`, ARAZZO.requestBody) ?? {}
  const documented = [...(operation?.requestBody?.content.keys() ?? [])]
  const contentType = typeof fields.contentType === 'string' ? fields.contentType : documented[0]
  const type = mediaType(contentType ?? '')
  const isForm = type === 'application/x-www-form-urlencoded'
  const isJson = /[/+]json$/.test(type) || contentType === undefined
  // Replacements alone build the body up from nothing.
  const nothing = isJson || isForm ? {} : ''
  const payload = scope.value(fields.payload ?? nothing, [...path, 'payload'], 'request')
  const isKnown = operation?.description !== undefined
  if (isKnown && documented.length === 0) {
    reader.add(
      { code: 'FLOW_REFERENCE', message: `operation "${operation.operationId}" of ${what} takes no body` },
      path,
    )
  } else if (contentType !== undefined && isKnown && !documented.includes(type)) {
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `operation "${operation.operationId}" of ${what} does not take "${contentType}"`,
        expected: documented.join(' or '),
      },
      [...path, 'contentType'],
    )
  }
  const isText = payload.kind === 'template' || (payload.kind === 'literal' && typeof payload.value === 'string')
  if ((documented.includes(type) || !isKnown) && !isForm && !isJson && !isText) {
    reader.add(
      {
        code: 'FLOW_UNSUPPORTED',
        message: `bodies of type "${contentType}" are not supported yet`,
        expected: 'JSON or application/x-www-form-urlencoded',
      },
      [...path, 'contentType'],
    )
  }
  if (isForm && Object.hasOwn(fields, 'payload') && !hasFields(payload)) {
    reader.add(
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
    replacements: parseReplacements(scope, items(fields.replacements), what, [...path, 'replacements']),
  }
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

/** What can become name=value pairs; a template is known only when it is rendered. */
function hasFields(payload: Value): boolean {
  return payload.kind !== 'array' && (payload.kind !== 'literal' || typeof payload.value === 'string')
}

function mediaType(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}
