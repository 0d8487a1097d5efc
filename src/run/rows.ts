/**
 * A run of rows: the named flows once for each row of a file, or so many times over. What a row may set, and the request that it
 * makes of the run's own; which rows a shard has; what a person confirms of them. Sends nothing.
 */
import { hash } from 'node:crypto'
import { dirname } from 'node:path'
import { withInvoked } from '../flow/arazzo/needs.ts'
import type { Input } from '../flow/index.ts'
import { effectOf } from '../guard/confirmation.ts'
import { fail, type Problem } from '../record/errors.ts'
import type { RunRecord } from '../record/index.ts'
import { FILE_LIMITS } from '../record/limits.ts'
import { Slots } from '../secret/slots.ts'
import type { RowFacts } from './caller.ts'
import { clientNames, type RunRequest } from './request.ts'
import { halfFilled, type Variables, valuesOf, withRow } from './row-cells.ts'
import {
  type Column,
  columnOf,
  isOfCredentials,
  isUnused,
  missingColumns,
  namingColumns,
  unknownColumns,
} from './row-columns.ts'
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
export interface Shard {
  readonly index: number
  readonly of: number
}

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
  readonly parallel: number
  readonly warnings: readonly string[]
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

/** @throws ToolError with every problem of every row */
export function rowsOf(
  request: RunRequest,
  options: RowOptions,
  { variables, all }: { readonly variables: Variables; readonly all: Pick<RunRequest, 'selection'> },
): Rows {
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
  const [own, others] = [request, all].map(inputsOf) as [Inputs, Inputs]
  const unused = raw?.columns.filter((name) => isUnused(name, own, others)) ?? []
  const rows =
    raw === undefined
      ? equalRows(request, options.repeat ?? 1)
      : rowsIn(raw, request, { ...options, variables, unused })
  const mine = options.shard === undefined ? rows : ofShard(rows, options.shard)
  const { shard } = options
  return {
    rows: mine,
    total: rows.length,
    parallel: options.parallel,
    warnings: unused.map((name) => `column "${name}" of "${raw?.name}" is an input of other flows, and is not used`),
    record: {
      ...(raw === undefined ? {} : { file: raw.name }),
      list: listHash(rows, raw, request),
      total: rows.length,
      parallel: options.parallel,
      ...(shard === undefined ? {} : { shard: { ...shard, rows: mine.length } }),
    },
  }
}

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

/**
 * Of all that decides what the rows do: the environment with its hosts, the flows with their steps, what is given for all rows,
 * the file byte by byte, and the clients.
 */
function listHash(rows: readonly Row[], raw: RawRows | undefined, request: RunRequest): string {
  const { environment, selection, inputs, permissions } = request
  const flows = selection.map(({ flow, workflow }) => [
    flow.sha256,
    workflow.workflowId,
    workflow.steps.map(({ stepId }) => stepId),
  ])
  const settings = [...inputsOf(request).keys()].toSorted().map((name) => {
    const value = environment.setting(name)?.value
    return [name, typeof value === 'string' ? value : undefined]
  })
  const slots = new Slots(environment.secretNames)
  // The hash is in the record: of a secret its name must do.
  const given = [...inputs].toSorted().map(([name, value]) => (slots.of(name) === undefined ? [name, value] : [name]))
  const clients = rows.map(({ request: { client } }) => [client.clientId, client.softwareId, client.organisation])
  const servers = [...environment.servers].toSorted()
  const hosts = [...environment.allowedHosts].toSorted()
  const place: readonly unknown[] = [environment.name, environment.class, servers, hosts]
  const parts = [...place, flows, given, settings, permissions.registerAgain === true, raw?.sha256, clients]
  return hash('sha256', JSON.stringify(parts))
}

/** A client that a row would change by an id which the list does not have, but the vault. */
export interface VaultClient {
  readonly row: number
  readonly clientId: string
}

/**
 * What a person repeats to confirm a list: the number of rows, and the beginning of a hash of it, of the clients in the vault and
 * of the rows that wait: one that waits no longer was not confirmed.
 */
export function confirmationOf(
  { total, record }: Rows,
  { fromVault, waiting }: { readonly fromVault: readonly VaultClient[]; readonly waiting: readonly number[] },
): string {
  const ids = fromVault.map(({ row, clientId }) => [row, clientId])
  return `${total}-${hash('sha256', JSON.stringify([record.list, ids, waiting])).slice(0, 12)}`
}

type Inputs = ReadonlyMap<string, Input>

/** All that the selected workflows take, by name. */
function inputsOf({ selection }: Pick<RunRequest, 'selection'>): Inputs {
  const workflows = selection.flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
  return new Map(workflows.flatMap(({ inputs }) => inputs.map((input) => [input.name, input] as const)))
}

function rowsIn(
  raw: RawRows,
  request: RunRequest,
  { data = '', variables, unused }: RowOptions & { readonly variables: Variables; readonly unused: readonly string[] },
): readonly Row[] {
  const inputs = inputsOf(request)
  const { environment } = request
  const slots = new Slots(environment.secretNames)
  const used = raw.columns.filter((name) => !unused.includes(name))
  const columns = used.map((name) => columnOf(name, { raw, request, inputs, slots }))
  demandNone([
    ...columns.flatMap((one) => (one !== undefined && 'code' in one ? [one] : [])),
    ...unknownColumns(
      used.filter((_, index) => columns[index] === undefined),
      raw,
      inputs,
    ),
    ...missingColumns(raw, environment),
  ])
  const good = columns.flatMap((one) => (one === undefined || 'code' in one ? [] : [one]))
  const folder = dirname(data)
  const read = raw.rows.map((row) => ({ row, ...valuesOf(row, good, { folder, environment, variables, slots }) }))
  demandNone([
    ...read.flatMap((one) => one.problems),
    ...read.flatMap(({ row, problems }) => (problems.length > 0 ? [] : halfFilled(row, good))),
  ])
  const naming = namingColumns(good, raw.rows)
  const rows = read.map(({ row, values }) => {
    const own = withRow(environment, values, row)
    const client = clientNames(own, request.inputs)
    return {
      facts: {
        number: row.number,
        values: naming.map(({ name, setting }) => ({ name, value: String(values.get(setting) ?? '') })),
        flags: own.flags.slice(0, own.flags.length - environment.flags.length),
      },
      credentials: credentialsOf(row, good),
      place: row.place,
      request: { ...request, environment: own, client },
      client: clientOf({ ...request, client }),
    }
  })
  demandNone(clientsOfTwo(rows))
  return rows
}

function credentialsOf({ cells }: RawRow, columns: readonly Column[]): string {
  const filled = columns.filter((one) => isOfCredentials(one) && (cells.get(one.name) ?? '') !== '')
  return filled.length === 0 ? '' : JSON.stringify(filled.map(({ name }) => [name, cells.get(name)]))
}

/**
 * Rows that name one client for two applications, or two clients for one: they would run at once, or in two shards, about the
 * same client.
 */
function clientsOfTwo(rows: readonly Row[]): readonly Problem[] {
  return [
    ...differing(rows, { same: ['clientId', 'CLIENT_ID'], other: ['softwareId', 'SOFTWARE_ID'] }),
    ...differing(rows, { same: ['softwareId', 'SOFTWARE_ID'], other: ['clientId', 'CLIENT_ID'] }),
  ]
}

type Id = readonly [name: 'clientId' | 'softwareId', column: string]

function differing(
  rows: readonly Row[],
  { same: [same, sameColumn], other: [other, column] }: { readonly same: Id; readonly other: Id },
): readonly Problem[] {
  const first = new Map<string, Row>()
  return rows.flatMap((row): readonly Problem[] => {
    const id = row.request.client[same]
    if (id === undefined) return []
    const before = first.get(id) ?? row
    first.set(id, before)
    const [expected, found] = [before, row].map(({ request }) => request.client[other])
    if (expected === found) return []
    return [
      {
        code: 'ROWS',
        message: `${row.place}, column "${column}": ${before.place} has the same ${sameColumn} with another ${column}; nothing was sent`,
        expected: String(expected),
        found: String(found),
        hint: 'one application has one client: correct one of the two rows',
      },
    ]
  })
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
