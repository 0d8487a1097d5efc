/**
 * A run of rows: the named flows once for each row of a file, or so many times over. What a row may set, and the request that it
 * makes of the run's own; which rows a shard has; what a person confirms of them. Sends nothing.
 */
import { hash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { type Environment, isGuardFact, isSecretSetting, isSetting, whyUnusable } from '../environment/index.ts'
import { withInvoked } from '../flow/arazzo/needs.ts'
import type { Input } from '../flow/index.ts'
import { effectOf } from '../guard/confirmation.ts'
import type { IdentitySpec } from '../identity/certificate.ts'
import { isSecretInput } from '../plan/index.ts'
import { fail, type Problem, suggestion } from '../record/errors.ts'
import type { RunRecord } from '../record/index.ts'
import { FILE_LIMITS } from '../record/limits.ts'
import { Secret, shapesOfSecrets } from '../secret/index.ts'
import { isSearchable } from '../secret/randomness.ts'
import { Slots } from '../secret/slots.ts'
import type { RowFacts } from './caller.ts'
import { clientNames, type RunRequest } from './request.ts'
import { demandNone, type RawRow, type RawRows, readRows } from './row-file.ts'

/** What was typed about rows. */
export interface RowOptions {
  /** the absolute path of a file of rows */
  readonly data?: string | undefined
  /** in place of a file: so many equal rows */
  readonly repeat?: number | undefined
  /** rows at the same time */
  readonly parallel: number
  /** default: all rows */
  readonly shard?: Shard | undefined
}

/** The first shard has index 1. */
export type Shard = NonNullable<NonNullable<RunRecord['rows']>['shard']>

export interface Row {
  readonly facts: RowFacts
  /** the same for rows with the same certificates and keys; '' for those of the environment */
  readonly credentials: string
  /** where it stands, in words; undefined for one of equal rows */
  readonly place: string | undefined
  readonly request: RunRequest
  /** rows about the same client run one after another; each row without one is alone */
  readonly client: string | undefined
}

export interface Rows {
  readonly rows: readonly Row[]
  /** of the list, before a shard was taken of it */
  readonly total: number
  /** what a person repeats to confirm it: the number of rows, and the beginning of a hash of all that they set */
  readonly confirmation: string
  readonly parallel: number
  readonly record: Omit<NonNullable<RunRecord['rows']>, 'leftOut' | 'notStarted' | 'merged'>
}

export type RequestOfRows = RunRequest & { readonly rows: Rows }

/** Rows at the same time. */
export const MOST_PARALLEL = 64
/**
 * The same on UAT and production: Thredd's guide allows 20 connections at a time from one address, and a row may hold two to a
 * host, with its certificate and without one.
 */
const MOST_PARALLEL_LIVE = 10

const IDS = ['CLIENT_ID', 'ORG_ID', 'SOFTWARE_ID'] as const

/** The settings of an environment that a row may set, beside the inputs of the workflows. */
const SETTINGS: readonly string[] = [
  ...IDS,
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

/** @throws ToolError with every problem of every row */
export function rowsOf(request: RunRequest, options: RowOptions, variables: Variables): Rows {
  if (!request.isNamed)
    fail({
      code: 'USAGE',
      message: 'a run of rows needs the names of its flows; nothing was sent',
      hint: 'thredd list',
    })
  if (request.environment.class !== 'mock' && options.parallel > MOST_PARALLEL_LIVE)
    fail({
      code: 'USAGE',
      message: `--parallel is too much for "${request.environment.name}"; nothing was sent`,
      expected: `at most ${MOST_PARALLEL_LIVE}`,
      found: String(options.parallel),
      hint: 'Thredd allows 20 connections at a time from one address; machines with one address share them',
    })
  const raw = options.data === undefined ? undefined : readRows(options.data)
  const rows = raw === undefined ? equalRows(request, options.repeat ?? 1) : rowsIn(raw, request, options, variables)
  const mine = options.shard === undefined ? rows : ofShard(rows, options.shard)
  const { shard } = options
  return {
    rows: mine,
    total: rows.length,
    confirmation: confirmationOf(rows, raw, request),
    parallel: options.parallel,
    record: {
      ...(raw === undefined ? {} : { file: raw.name }),
      list: listHash(rows, raw, request),
      total: rows.length,
      parallel: options.parallel,
      ...(shard === undefined ? {} : { shard }),
    },
  }
}

export type Variables = Readonly<Record<string, string | undefined>>

function equalRows(request: RunRequest, count: number): readonly Row[] {
  const client = clientOf(request)
  return Array.from({ length: count }, (_, index) => ({
    facts: { number: index + 1, values: [] },
    credentials: '',
    place: undefined,
    request,
    client,
  }))
}

/** What rows must not be at once about; undefined where they only read. */
function clientOf({ selection, client: { clientId, softwareId } }: RunRequest): string | undefined {
  const isChanged = selection.some((one) => effectOf(one) !== 'read' || one.workflow.given.includes('registration'))
  return isChanged ? (softwareId ?? clientId) : undefined
}

/** Rows of one client are in one shard, so that no two machines change it at once. Shards differ by one client at most. */
function ofShard(rows: readonly Row[], { index, of }: Shard): readonly Row[] {
  const groups = [...Map.groupBy(rows, ({ client, facts }) => client ?? facts.number).values()]
  return groups.flatMap((group, at) => (at % of === index - 1 ? group : [])).toSorted(byNumber)
}

function byNumber(one: Row, other: Row): number {
  return one.facts.number - other.facts.number
}

/** Of all that decides what the rows do: the environment, the flows, the file byte by byte, and the clients. */
function listHash(rows: readonly Row[], raw: RawRows | undefined, { environment, selection }: RunRequest): string {
  const flows = selection.map(({ flow, workflow }) => [flow.sha256, workflow.workflowId])
  const clients = rows.map(({ request: { client } }) => [client.clientId, client.softwareId, client.organisation])
  return hash('sha256', JSON.stringify([environment.name, environment.class, flows, raw?.sha256, clients]))
}

function confirmationOf(...list: Parameters<typeof listHash>): string {
  return `${list[0].length}-${listHash(...list).slice(0, 12)}`
}

function rowsIn(raw: RawRows, request: RunRequest, { data = '' }: RowOptions, variables: Variables): readonly Row[] {
  const inputs = new Map(
    request.selection
      .flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
      .flatMap((workflow) => workflow.inputs.map((input) => [input.name, input] as const)),
  )
  const { environment } = request
  const slots = new Slots(environment.secretNames)
  const columns = raw.columns.map((name) => columnOf(name, { raw, request, inputs, slots }))
  demandNone([...columns.flatMap((one) => ('code' in one ? [one] : [])), ...missingColumns(raw, environment)])
  const good = columns.flatMap((one) => ('code' in one ? [] : [one]))
  const folder = dirname(data)
  const read = raw.rows.map((row) => ({ row, ...valuesOf(row, good, { folder, environment, variables, slots }) }))
  demandNone(read.flatMap((one) => one.problems))
  const naming = namingColumns(good)
  return read.map(({ row, values }) => {
    const own = withRow(environment, values, row)
    const client = clientNames(own, request.inputs)
    return {
      facts: {
        number: row.number,
        values: naming.map(({ name, setting }) => ({ name, value: String(values.get(setting) ?? '') })),
      },
      credentials: JSON.stringify(good.flatMap((one) => (isOfCredentials(one) ? [row.cells.get(one.name)] : []))),
      place: row.place,
      request: { ...request, environment: own, client },
      client: clientOf({ ...request, client }),
    }
  })
}

interface Column {
  readonly name: string
  /** the setting, or the input in capitals */
  readonly setting: string
  readonly isId: boolean
  /** a cell names a variable */
  readonly isSecret: boolean
}

function isOfCredentials({ setting }: Column): boolean {
  return /^(?:IDENTITY|TRANSPORT_|SIGNING_)/.test(setting)
}

/** What a cell of the column sets, or why a row may not set it. */
function columnOf(
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
): Column | Problem {
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
  const twice = raw.columns.filter((other) => other.toUpperCase() === setting)
  if (twice.length > 1 && twice[0] !== name) return problem(`sets the same as column "${twice[0]}"`, {})
  if (isId || SETTINGS.includes(name)) return { name, setting, isId, isSecret: isSecretSetting(setting) }
  if (input !== undefined) return { name, setting, isId: false, isSecret: isSecretInput(input, slots) }
  if (isSetting(name))
    return problem('is a setting that is the same for all rows', {
      expected: 'inputs of the flows, ids, and the files of certificates and keys',
      hint: `write ${name} into ${request.environment.localFile}`,
    })
  return problem('is no input of the named flows', {
    hint: suggestion(name, [...SETTINGS, ...[...inputs.keys()].filter(mayBeColumn)]),
  })
}

function mayBeColumn(name: string): boolean {
  return !isGuardFact(name.toUpperCase()) && !OF_VAULT.includes(name)
}

/** Settings that belong together: with one of them alone a row would be half of the application of the environment. */
function missingColumns({ name, columns }: RawRows, environment: Environment): readonly Problem[] {
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

/** The columns that tell rows apart: their ids, else the first that holds no secret. */
function namingColumns(columns: readonly Column[]): readonly Column[] {
  const shown = columns.filter(({ isSecret, setting }) => !isSecret && !setting.endsWith('_FILE'))
  const ids = shown.filter(({ isId, setting }) => isId || setting === 'IDENTITY')
  return ids.length > 0 ? ids : shown.slice(0, 1)
}

type Values = ReadonlyMap<string, string | Secret>

interface Means {
  /** where the paths of a row start */
  readonly folder: string
  readonly environment: Environment
  readonly variables: Variables
  readonly slots: Slots
}

/** What a row sets, by setting; empty cells set nothing. */
function valuesOf(
  row: RawRow,
  columns: readonly Column[],
  means: Means,
): { readonly values: Values; readonly problems: readonly Problem[] } {
  const values = new Map<string, string | Secret>()
  const problems: Problem[] = []
  for (const column of columns) {
    const cell = row.cells.get(column.name) ?? ''
    const read = cell === '' && !column.isId ? undefined : cellValue(cell, column, means)
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
    (slots.of(name) === 'opaque' && !setting.endsWith('_FILE') && isSearchable(cell))
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
  const expected = whyUnusable(setting, cell)
  if (expected !== undefined) return { message: 'it cannot be used', expected }
  return { value: setting.endsWith('_FILE') && SETTINGS.includes(setting) ? resolve(folder, cell) : cell }
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

/** The environment as it is for a row. */
function withRow(environment: Environment, values: Values, { number, place }: RawRow): Environment {
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

/** `--repeat` and `--parallel` as numbers. @throws USAGE */
export function rowCount(text: string, flag: string, most: number = FILE_LIMITS.rows.value): number {
  const number = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= most) return number
  return fail({
    code: 'USAGE',
    message: `${flag} cannot be used`,
    expected: `a whole number from 1 to ${most}`,
    found: text,
  })
}

/**
 * `--shard i/n`; `auto` takes both from the variables of GitLab CI, `auto/n` the index alone from those of a Kubernetes Indexed
 * Job, whose first is 0. @throws USAGE
 */
export function shardOf(text: string, variables: Variables): Shard {
  const [, index = '', of = ''] =
    /^(\d{1,4}|auto)\/(\d{1,4})$/.exec(text === 'auto' ? `auto/${variables.CI_NODE_TOTAL}` : text) ?? []
  const { CI_NODE_INDEX: inGitlab, JOB_COMPLETION_INDEX: inKubernetes } = variables
  const known = inGitlab ?? (inKubernetes && String(Number(inKubernetes) + 1))
  const shard = { index: Number(index === 'auto' ? known : index), of: Number(of) }
  if (shard.index >= 1 && shard.index <= shard.of) return shard
  const found = ['CI_NODE_INDEX', 'CI_NODE_TOTAL', 'JOB_COMPLETION_INDEX'].map(
    (name) => `${name}=${variables[name] ?? ''}`,
  )
  return fail({
    code: 'USAGE',
    message: '--shard cannot be used',
    expected:
      'i/n, such as 2/8 for the second of eight; auto where CI_NODE_INDEX and CI_NODE_TOTAL are set; auto/n where JOB_COMPLETION_INDEX is',
    found: text.startsWith('auto') ? `${text} with ${found.join(', ')}` : text,
  })
}
