/** What the columns of a list may set. */
import { type Environment, isGuardFact, isSecretSetting, isSetting } from '../environment/index.ts'
import type { Input } from '../flow/index.ts'
import { isSecretInput } from '../plan/index.ts'
import { enumerated, nearest, type Problem, suggestion } from '../record/errors.ts'
import type { Slots } from '../secret/slots.ts'
import type { RunRequest } from './request.ts'
import type { RawRow, RawRows } from './row-file.ts'

const IDS = ['CLIENT_ID', 'ORG_ID', 'SOFTWARE_ID'] as const

/** The settings of an environment that a row may set, beside the inputs of the workflows. */
export const SETTINGS: readonly string[] = [
  ...IDS,
  'ROLES',
  'IDENTITY',
  'TRANSPORT_CERT_FILE',
  'TRANSPORT_KEY_FILE',
  'TRANSPORT_PFX_FILE',
  'TRANSPORT_PASSPHRASE',
  'SIGNING_KEY_FILE',
  'SIGNING_PASSPHRASE',
  'SIGNING_KID',
  'SIGNING_CERT_FILE',
]

/** Inputs whose values only the vault has: a URL among them decides where a call goes. */
const OF_VAULT: readonly string[] = ['registration_access_token', 'registration_client_uri']

export interface Column {
  readonly name: string
  /** the setting, or the input in capitals */
  readonly setting: string
  readonly isId: boolean
  /** a cell names a variable */
  readonly isSecret: boolean
  /** what a cell of JSON may be beside a text: `a list`; undefined: anything */
  readonly mayBe: readonly string[] | undefined
}

export function isOfCredentials({ setting }: Column): boolean {
  return /^(?:IDENTITY|TRANSPORT_|SIGNING_)/.test(setting)
}

/** What a cell of the column sets, or why a row may not set it; undefined for a name that nothing is called by. */
export function columnOf(
  name: string,
  {
    raw,
    request,
    inputs,
    slots,
  }: {
    readonly raw: RawRows
    readonly request: RunRequest
    readonly inputs: ReadonlyMap<string, Input>
    readonly slots: Slots
  },
): Column | Problem | undefined {
  const problem = (is: string, rest: Partial<Problem>): Problem => ({
    code: 'ROWS',
    message: `column "${name}" of "${raw.name}" ${is}; nothing was sent`,
    ...rest,
  })
  const setting = name.toUpperCase()
  const isId = (IDS as readonly string[]).includes(setting)
  const input = inputs.get(name)
  if (!isId && !mayBeColumn(name))
    return problem('decides where calls go, or what may be done there, and is no matter of a row', {
      expected: 'inputs of the flows, ids, and the files of certificates and keys',
      hint: 'take the column out; the environment sets it for all rows',
    })
  if (request.inputs.has(name) || (isId && request.inputs.has(name.toLowerCase())))
    return problem(`is also given by --input ${name.toLowerCase()}`, { hint: 'leave one of the two out' })
  const isKnown = isId || SETTINGS.includes(name) || input !== undefined
  const twice = raw.columns.filter((other) => other.toUpperCase() === setting)
  if (isKnown && twice.length > 1 && twice[0] !== name) return problem(`sets the same as column "${twice[0]}"`, {})
  if (isId || SETTINGS.includes(name)) return { name, setting, isId, isSecret: isSecretSetting(setting), mayBe: [] }
  if (input !== undefined) {
    const type = typeof input.schema === 'object' ? input.schema.type : undefined
    const mayBe = typeof type === 'string' ? KINDS[type] : undefined
    return { name, setting, isId: false, isSecret: isSecretInput(input, slots), mayBe }
  }
  if (isSetting(name))
    return problem('is a setting that is the same for all rows', {
      expected: 'inputs of the flows, ids, and the files of certificates and keys',
      hint: `write ${name} into ${request.environment.localFile}`,
    })
  const known = columnNames(inputs)
  if (nearest(name, known) === undefined) return undefined
  return problem('is no input of the named flows', { hint: suggestion(name, known) })
}

/** Whether the column is an input of other flows alone: a list serves those that register, read and delete. */
export function isUnused(
  name: string,
  own: ReadonlyMap<string, unknown>,
  others: ReadonlyMap<string, unknown>,
): boolean {
  // What is nearly the name of an own input is more likely a slip.
  const isOther = others.has(name) && !own.has(name) && nearest(name, [...own.keys()]) === undefined
  return isOther && !SETTINGS.includes(name.toUpperCase()) && mayBeColumn(name)
}

/**
 * Columns whose names nothing is called by. They are not printed: where a file has no line of names they are the cells of its
 * first row, which may be secrets.
 */
export function unknownColumns(
  unknown: readonly string[],
  { name, columns, isHeaded }: RawRows,
  inputs: ReadonlyMap<string, Input>,
): readonly Problem[] {
  const numbers = unknown.map((column) => String(columns.indexOf(column) + 1))
  if (numbers.length === 0) return []
  const [are, place] = numbers.length === 1 ? ['column', 'has a name that is'] : ['columns', 'have names that are']
  return [
    {
      code: 'ROWS',
      message: `${are} ${enumerated(numbers)} of ${isHeaded ? 'line 1 of ' : ''}"${name}" ${place} no input of the named flows and no setting; nothing was sent`,
      expected: `one of ${columnNames(inputs).join(', ')}`,
      hint: isHeaded ? 'the first line names the columns: put one above the rows where there is none' : undefined,
    },
  ]
}

function columnNames(inputs: ReadonlyMap<string, Input>): readonly string[] {
  return [...SETTINGS, ...[...inputs.keys()].filter(mayBeColumn)]
}

function mayBeColumn(name: string): boolean {
  return !isGuardFact(name.toUpperCase()) && !OF_VAULT.includes(name)
}

/** Settings that belong together: with one of them alone a row would be half of the application of the environment. */
export function missingColumns({ name, columns }: RawRows, environment: Environment): readonly Problem[] {
  const has = (setting: string) => columns.some((column) => column.toUpperCase() === setting)
  const lacks = (one: string, other: string, isSet: boolean): readonly Problem[] =>
    !has(one) || has(other) || !isSet
      ? []
      : [
          {
            code: 'ROWS',
            message: `"${name}" has the column ${one} without ${other}, so that a row would be about two applications; nothing was sent`,
            expected: `a column ${other} too`,
          },
        ]
  const isSet = (input: string) => environment.setting(input) !== undefined
  const transport = ['TRANSPORT_CERT_FILE', 'TRANSPORT_KEY_FILE', 'TRANSPORT_PFX_FILE'].filter(has)
  return [
    ...lacks('CLIENT_ID', 'SOFTWARE_ID', isSet('software_id')),
    ...lacks('SOFTWARE_ID', 'CLIENT_ID', isSet('client_id')),
    ...lacks('SIGNING_KEY_FILE', 'SIGNING_KID', true),
    ...lacks('TRANSPORT_CERT_FILE', 'TRANSPORT_KEY_FILE', true),
    ...lacks('TRANSPORT_KEY_FILE', 'TRANSPORT_CERT_FILE', true),
    ...(has('IDENTITY') && transport.length > 0
      ? [
          {
            code: 'ROWS' as const,
            message: `"${name}" has the columns IDENTITY and ${transport.join(', ')}, which set the same; nothing was sent`,
          },
        ]
      : []),
  ]
}

/** Of columns that set rows apart equally well, the ones that rows are called by, in this order. */
const CALLED_BY = ['IDENTITY', 'SOFTWARE_ID', 'CLIENT_ID', 'ORG_ID']

/** The columns that tell rows apart, the best first: their ids, else the first that holds no secret. */
export function namingColumns(columns: readonly Column[], rows: readonly RawRow[]): readonly Column[] {
  const shown = columns.filter(({ isSecret, setting }) => !isSecret && !setting.endsWith('_FILE'))
  const ids = shown.filter(({ isId, setting }) => isId || setting === 'IDENTITY')
  if (ids.length === 0) return shown.slice(0, 1)
  const kinds = new Map(ids.map((one) => [one, new Set(rows.map(({ cells }) => cells.get(one.name))).size]))
  const rank = (one: Column) => CALLED_BY.indexOf(one.setting)
  return ids.toSorted((one, other) => (kinds.get(other) ?? 0) - (kinds.get(one) ?? 0) || rank(one) - rank(other))
}

/** By the type of an input's schema, what a cell of JSON may be: without a value the input has its default. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  string: ['null'],
  array: ['null', 'a list'],
  object: ['null', 'an object'],
  integer: ['null', 'a number'],
  number: ['null', 'a number'],
  boolean: ['null', 'a boolean'],
}
