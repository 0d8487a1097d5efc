/** Reusable objects: finds the component of a document that a reference names. */
import { suggestion } from '../../record/errors.ts'
import { isRecord } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import { ExpressionError, parseExpression } from '../expression/expression.ts'
import { ARAZZO, type Reader } from './structure.ts'

/** Kinds of components that a Reusable Object can name. Inputs are named by `$ref`, as JSON Schema has it. */
export type ComponentKind = 'parameters' | 'successActions' | 'failureActions'

const TABLES = {
  parameters: ['parameter', ARAZZO.parameter],
  successActions: ['success action', ARAZZO.successAction],
  failureActions: ['failure action', ARAZZO.failureAction],
} as const

/** Checks all components, also those that no reference uses. */
export function checkComponents(reader: Reader): void {
  const path: Path = ['components']
  if (reader.raw(path) === undefined) return
  const fields = reader.object(path, 'components', ARAZZO.components)
  for (const [kind, members] of Object.entries(fields ?? {})) {
    if (!isRecord(members) || !Object.hasOwn(ARAZZO.components, kind)) continue
    for (const name of Object.keys(members)) {
      const own: Path = [...path, kind, name]
      if (!/^[A-Za-z0-9._-]+$/.test(name)) {
        reader.add(
          {
            code: 'FLOW_STRUCTURE',
            message: `component name "${name}" is not usable`,
            expected: 'letters, digits, ".", "_" and "-"',
          },
          own,
        )
      }
      if (kind === 'inputs') continue
      const [what, table] = TABLES[kind as ComponentKind]
      reader.object(own, `${what} "${name}" of components`, table)
    }
  }
}

interface Placed {
  /** path of the object */
  readonly path: Path
  /** path of the value that replaces the parameter's own */
  readonly value?: Path | undefined
}

/** The object at `path`, or the component that a Reusable Object there names; undefined where it names none. */
export function placed(reader: Reader, path: Path, what: string, kind: ComponentKind): Placed | undefined {
  const raw = reader.raw(path)
  if (!isRecord(raw) || !Object.hasOwn(raw, 'reference')) return { path }
  const { reference } = reader.object(path, `reference of ${what}`, ARAZZO.reusable) ?? {}
  if (typeof reference !== 'string') return undefined
  const place: Path = [...path, 'reference']
  const name = componentName(reader, reference, place, kind)
  if (name === undefined) return undefined
  const known = Object.keys((reader.raw(['components', kind]) ?? {}) as object)
  if (!known.includes(name)) {
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `there is no "${name}" in components.${kind}`,
        hint: suggestion(name, known),
      },
      place,
    )
    return undefined
  }
  const hasValue = Object.hasOwn(raw, 'value')
  if (hasValue && kind !== 'parameters') {
    reader.add(
      { code: 'FLOW_STRUCTURE', message: '"value" has no meaning here', hint: 'it replaces the value of a parameter' },
      [...path, 'value'],
    )
  }
  return { path: ['components', kind, name], value: hasValue ? [...path, 'value'] : undefined }
}

/** The value at `path`, or of the component that is named there; reports no mistakes. */
export function writtenAt(reader: Reader, path: Path, kind: ComponentKind): unknown {
  const raw = reader.raw(path)
  const start = `$components.${kind}.`
  const reference = isRecord(raw) ? String(raw.reference) : ''
  return reference.startsWith(start) ? reader.raw(['components', kind, reference.slice(start.length)]) : raw
}

function componentName(reader: Reader, reference: string, path: Path, kind: ComponentKind): string | undefined {
  try {
    const expression = parseExpression(reference)
    if (expression.kind === 'components' && expression.component === kind) return expression.name
    reader.add(
      {
        code: 'FLOW_REFERENCE',
        message: `"${reference}" is not what can stand here`,
        expected: `$components.${kind}.<name>`,
      },
      path,
    )
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    const { message, expected, found, hint } = error
    reader.add({ code: 'FLOW_EXPRESSION', message, expected, found, hint }, path, error.offset)
  }
  return undefined
}
