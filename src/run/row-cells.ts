/**
 * What the columns of a list may set, and what a row sets by them. No problem quotes the cell of a column that may hold a secret,
 * nor one that looks like a secret.
 */
import { relative, resolve } from 'node:path'
import { type Environment, isGuardFact, isSecretSetting, isSetting, whyUnusable } from '../environment/index.ts'
import type { Input } from '../flow/index.ts'
import type { IdentitySpec } from '../identity/certificate.ts'
import { isSecretInput } from '../plan/index.ts'
import { enumerated, nearest, type Problem, suggestion } from '../record/errors.ts'
import { settingsAsFlags } from '../record/hints.ts'
import { Secret, shapesOfSecrets } from '../secret/index.ts'
import { isRandom, isSearchable, RUN } from '../secret/randomness.ts'
import type { Slots } from '../secret/slots.ts'
import type { RunRequest } from './request.ts'
import type { RawRow, RawRows } from './row-file.ts'

/** Those of the process. */
export type Variables = Readonly<Record<string, string | undefined>>

const IDS = ['CLIENT_ID', 'ORG_ID', 'SOFTWARE_ID'] as const

/** The settings of an environment that a row may set, beside the inputs of the workflows. */
const SETTINGS: readonly string[] = [
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

/** What a row may not fill without one of the others: what is missing would be that of the environment. */
const BELONGS_TO: Readonly<Record<string, readonly string[]>> = {
  TRANSPORT_CERT_FILE: ['TRANSPORT_KEY_FILE'],
  TRANSPORT_KEY_FILE: ['TRANSPORT_CERT_FILE'],
  TRANSPORT_PASSPHRASE: ['TRANSPORT_KEY_FILE', 'TRANSPORT_PFX_FILE'],
  SIGNING_KEY_FILE: ['SIGNING_KID'],
  SIGNING_KID: ['SIGNING_KEY_FILE'],
  SIGNING_CERT_FILE: ['SIGNING_KEY_FILE'],
  SIGNING_PASSPHRASE: ['SIGNING_KEY_FILE'],
}

/** Why a row that fills one part of a certificate or a key, but not the other, cannot be used. */
export function halfFilled({ cells, place }: RawRow, columns: readonly Column[]): readonly Problem[] {
  const isFilled = (setting: string) =>
    columns.some((column) => column.setting === setting && (cells.get(column.name) ?? '') !== '')
  return Object.entries(BELONGS_TO).flatMap(([setting, others]): readonly Problem[] => {
    if (!isFilled(setting) || others.some(isFilled)) return []
    const missing = others.join(' or ')
    return [
      {
        code: 'ROWS',
        message: `${place}, column "${others[0]}": it is empty, and ${setting} is not; nothing was sent`,
        expected: `${missing} of the row, which belongs to its ${setting}`,
        found: 'an empty cell',
        hint: `fill in ${missing}, or leave ${setting} empty for the one of the environment`,
      },
    ]
  })
}

/** The columns that tell rows apart: their ids, else the first that holds no secret. */
export function namingColumns(columns: readonly Column[]): readonly Column[] {
  const shown = columns.filter(({ isSecret, setting }) => !isSecret && !setting.endsWith('_FILE'))
  const ids = shown.filter(({ isId, setting }) => isId || setting === 'IDENTITY')
  return ids.length > 0 ? ids : shown.slice(0, 1)
}

/** In a command, for the user to replace. */
const SECRET = '<secret>'

type Values = ReadonlyMap<string, string | Secret>

interface Means {
  /** where the paths of a row start */
  readonly folder: string
  readonly environment: Environment
  readonly variables: Variables
  readonly slots: Slots
}

/** What a row sets, by setting; empty cells set nothing. */
export function valuesOf(
  row: RawRow,
  columns: readonly Column[],
  means: Means,
): { readonly values: Values; readonly problems: readonly Problem[] } {
  const values = new Map<string, string | Secret>()
  const problems: Problem[] = []
  for (const column of columns) {
    const cell = row.cells.get(column.name) ?? ''
    const kind = row.kinds.get(column.name)
    const isKind = kind === undefined || column.isSecret || (column.mayBe?.includes(kind) ?? true)
    const isUnset = cell === '' && isKind && !column.isId
    const read = isUnset ? undefined : isKind ? cellValue(cell, column, means) : otherKind(kind, column)
    if (read === undefined) continue
    if ('value' in read) values.set(column.setting, read.value)
    else
      problems.push({
        code: 'ROWS',
        ...read,
        message: `${row.place}, column "${column.name}": ${read.message}; nothing was sent`,
      })
  }
  return { values, problems }
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

function otherKind(found: string, { mayBe = [] }: Column): Omit<Problem, 'code'> {
  const kinds = ['a text in double quotes', ...mayBe.filter((kind) => kind !== 'null')]
  return { message: 'it cannot be used', expected: kinds.join(' or '), found }
}

/** No problem quotes the cell of a column that may hold a secret, nor one that looks like a secret. */
function cellValue(
  cell: string,
  { name, setting, isId, isSecret }: Column,
  { folder, environment, variables, slots }: Means,
): { readonly value: string | Secret } | Omit<Problem, 'code'> {
  if (isSecret) return secretIn(cell, setting, variables)
  if (cell === '')
    return { message: 'it is empty', expected: `the ${name} of the row`, hint: 'fill it in, or take the column out' }
  if (
    shapesOfSecrets(cell).length > 0 ||
    (slots.of(name) === 'opaque' && !setting.endsWith('_FILE') && isSearchable(cell)) ||
    looksLikeToken(cell, { setting, isId })
  )
    return {
      message: 'it looks like a secret, which is not shown here',
      expected: 'no secret in a list of rows: the name of a file, or $NAME for the variable THREDD_NAME',
      hint: 'take it out of the file, and treat it as known to others',
    }
  const variable = VARIABLE.exec(cell)?.[1]
  if (variable !== undefined)
    return {
      message: `$${variable} is not replaced here`,
      expected: 'the value itself; a variable may stand for a secret alone',
    }
  if (isId && /\s/.test(cell)) return { message: 'it holds a blank', found: JSON.stringify(cell) }
  if (setting === 'IDENTITY') return identityIn(cell, environment)
  const why = whyUnusable(setting, cell)
  if (why !== undefined) return { message: 'it cannot be used', hint: why }
  return { value: setting.endsWith('_FILE') && SETTINGS.includes(setting) ? resolve(folder, cell) : cell }
}

/** A random text of so many characters may be a token; ids are often random, and shorter. */
const TOKEN_LENGTH = { id: 40, other: 20 } as const

/** A registration token in the wrong column would be shown. The names of keys are random, and in no way secret. */
function looksLikeToken(cell: string, { setting, isId }: Pick<Column, 'setting' | 'isId'>): boolean {
  if (setting === 'SIGNING_KID' || setting.endsWith('_FILE')) return false
  const least = isId ? TOKEN_LENGTH.id : TOKEN_LENGTH.other
  return Array.from(cell.matchAll(RUN)).some(([run]) => run.length >= least && isRandom(run))
}

const VARIABLE = /^\$(?:THREDD_)?([A-Z][A-Z0-9_]*)$/

function secretIn(cell: string, setting: string, variables: Variables): { value: Secret } | Omit<Problem, 'code'> {
  const name = VARIABLE.exec(cell)?.[1]
  if (name === undefined)
    return {
      message: 'it is a secret, and is not shown here',
      expected: '$NAME for the value of the variable THREDD_NAME',
      hint: 'take it out of the file, and treat it as known to others',
    }
  const text = variables[`THREDD_${name}`] ?? ''
  return text === ''
    ? { message: `the variable THREDD_${name} is not set`, hint: `set THREDD_${name}` }
    : { value: new Secret(text, setting.toLowerCase()) }
}

function identityIn(cell: string, { identities }: Environment): { value: string } | Omit<Problem, 'code'> {
  const name = cell.toLowerCase().replaceAll('_', '-')
  if (identities.has(name)) return { value: name }
  return {
    message: 'the environment has no identity of that name',
    expected: `one of ${[...identities.keys()].join(', ')}`,
    found: JSON.stringify(cell),
    hint: 'set IDENTITY_<NAME>_CERT_FILE and IDENTITY_<NAME>_KEY_FILE',
  }
}

/** What makes a command one about the application of the row. A secret is for the user to put there. */
function flagsOfRow(environment: Environment, values: Values, named?: IdentitySpec): readonly string[] {
  const ofIdentity: Readonly<Record<string, string | undefined>> = {
    TRANSPORT_CERT_FILE: named?.certificateFile,
    TRANSPORT_KEY_FILE: named?.keyFile,
    TRANSPORT_PFX_FILE: named?.pfxFile,
    TRANSPORT_PASSPHRASE: named?.passphrase && SECRET,
  }
  const all: Readonly<Record<string, string | Secret | undefined>> = {
    ...Object.fromEntries(values),
    ...(named === undefined ? {} : ofIdentity),
    IDENTITY: undefined,
  }
  const settings = Object.entries(all).flatMap(([name, value]): (readonly [string, string])[] => {
    if (value === undefined) return []
    if (value instanceof Secret) return [[name, SECRET]]
    const isPath = name.endsWith('_FILE') && SETTINGS.includes(name)
    return [[name, isPath ? relative(environment.folder, value) : value]]
  })
  const clientId = environment.setting('client_id')?.value
  const isOtherClient = values.has('CLIENT_ID') && clientId !== undefined && clientId !== values.get('CLIENT_ID')
  return settingsAsFlags(settings, { isOtherClient: isOtherClient && environment.class !== 'mock' })
}

/** The environment as it is for a row. */
export function withRow(environment: Environment, values: Values, { number, place }: RawRow): Environment {
  const text = (name: string) => {
    const value = values.get(name)
    return value === undefined || typeof value === 'string' ? value : undefined
  }
  const secret = (name: string) => {
    const value = values.get(name)
    return value instanceof Secret ? value : undefined
  }
  const named = environment.identities.get(text('IDENTITY') ?? '')
  const own: IdentitySpec = {
    name: `row-${number}`,
    certificateFile: text('TRANSPORT_CERT_FILE'),
    keyFile: text('TRANSPORT_KEY_FILE'),
    pfxFile: text('TRANSPORT_PFX_FILE'),
    passphrase: secret('TRANSPORT_PASSPHRASE'),
  }
  const transport = named ?? (own.certificateFile === undefined && own.pfxFile === undefined ? undefined : own)
  const key = text('SIGNING_KEY_FILE')
  const certificateFile = text('SIGNING_CERT_FILE')
  const origin = { label: place }
  return {
    ...environment,
    flags: [...flagsOfRow(environment, values, named), ...environment.flags],
    setting: (name) => {
      const value = values.get(name.toUpperCase())
      return value === undefined ? environment.setting(name) : { value, origin }
    },
    identities:
      transport === undefined ? environment.identities : new Map([...environment.identities, ['transport', transport]]),
    signing:
      key === undefined
        ? environment.signing
        : { key, kid: text('SIGNING_KID'), passphrase: secret('SIGNING_PASSPHRASE'), certificateFile },
  }
}
