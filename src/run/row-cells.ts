/** What a row sets. No problem quotes the cell of a column that may hold a secret, nor one that looks like a secret. */
import { relative, resolve } from 'node:path'
import { type Environment, whyUnusable } from '../environment/index.ts'
import type { IdentitySpec } from '../identity/certificate.ts'
import type { Problem } from '../record/errors.ts'
import { settingsAsFlags } from '../record/hints.ts'
import { Secret, shapesOfSecrets } from '../secret/index.ts'
import { isRandom, isSearchable, RUN } from '../secret/randomness.ts'
import type { Slots } from '../secret/slots.ts'
import { type Column, SETTINGS } from './row-columns.ts'
import type { RawRow } from './row-file.ts'

/** Those of the process. */
export type Variables = Readonly<Record<string, string | undefined>>

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
