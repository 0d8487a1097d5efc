/**
 * Joins the records of the shards of one list to the record that one run of the whole list would have made, but for ids and
 * times. Pure.
 */
import { enumerated, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import type { RecordHead, RunRecord, WorkflowRecord } from '../record/index.ts'
import { judge } from './accepted.ts'
import { count } from './words.ts'

/** A record, and what it is called in messages. */
export interface ShardRecord {
  readonly name: string
  readonly record: RunRecord
}

type Rows = NonNullable<RunRecord['rows']>
type Sharded = ShardRecord & {
  readonly record: { readonly rows: Rows & { readonly shard: NonNullable<Rows['shard']> } }
}

/** @throws ToolError USAGE for a record of another list, and for shards that are missing or there twice */
export function merged(
  all: readonly ShardRecord[],
  runId: string,
): { readonly head: RecordHead; readonly workflows: readonly WorkflowRecord[] } {
  const shards = shardsOf(all)
  const [first, ...others] = shards.map(({ record }) => record)
  if (first === undefined) throw new TypeError('nothing to merge')
  const records = [first, ...others]
  const workflows = records
    .flatMap((record) => record.workflows)
    .toSorted((one, other) => (one.row?.number ?? 0) - (other.row?.number ?? 0))
  const { workflows: _, ...head } = first
  const startedAt = records.map((one) => one.startedAt).toSorted()[0] ?? first.startedAt
  const endsAt = Math.max(...records.map((one) => Date.parse(one.startedAt) + one.durationMs))
  const messages = records.flatMap(({ messagesToThredd = [] }) => messagesToThredd)
  const whole: RecordHead = {
    ...head,
    runId,
    startedAt,
    durationMs: endsAt - Date.parse(startedAt),
    rows: rowsOf(shards),
    identities: unique(
      records.flatMap(({ identities }) => identities),
      ({ sha256 }) => sha256,
    ),
    signingKeys: unique(
      records.flatMap(({ signingKeys = [] }) => signingKeys),
      ({ thumbprint }) => thumbprint,
    ),
    warnings: [...new Set(records.flatMap(({ warnings }) => warnings))],
    ...(records.some(({ given }) => given !== undefined) && {
      given: unique(
        records.flatMap(({ given = [] }) => given),
        (one) => JSON.stringify(one),
      ),
    }),
    messagesToThredd: messages.length === 0 ? undefined : messages.toSorted(byClient),
    redaction: redactionOf(records, first),
  }
  const { verdict, exitCode, rows } = judge(whole, workflows)
  const { decisions } = whole
  return {
    head: { ...whole, ...(decisions && { decisions: { ...decisions, rows: [...rows] } }), verdict, exitCode },
    workflows,
  }
}

function shardsOf(all: readonly ShardRecord[]): readonly Sharded[] {
  const problems = all.flatMap(({ name, record }): readonly Problem[] =>
    record.rows?.shard === undefined
      ? [usage(`"${name}" is not the record of a shard`, { hint: 'a shard is made by a run with --shard i/n' })]
      : [],
  )
  const shards = all.filter((one): one is Sharded => one.record.rows?.shard !== undefined)
  const lacks = lacking(shards)
  // Of more shards than clients the last have no row, and no record.
  problems.push(...differences(shards), ...gaps(shards, { mayMiss: lacks.length === 0 }))
  if (problems.length === 0) problems.push(...lacks)
  if (isNonEmpty(problems)) throw new ToolError(problems)
  return shards.toSorted((one, other) => one.record.rows.shard.index - other.record.rows.shard.index)
}

/** What must be the same in all of them. */
const SAME: readonly (readonly [what: string, of: (record: Sharded['record']) => unknown])[] = [
  ['list', ({ rows }) => rows.list],
  ['number of shards', ({ rows }) => rows.shard.of],
  ['environment', ({ environment }) => `${environment.name} (${environment.class})`],
  ['counterparty', ({ counterparty }) => counterparty],
  [
    'set of servers',
    ({ environment }) => (environment.servers ?? []).map(({ source, url }) => `${source} ${url}`).join(', '),
  ],
  ['version of the tool', ({ tool }) => [tool.version, tool.commit].filter(Boolean).join(' ')],
  ['requirement catalogue', ({ catalogue }) => catalogue?.sha256],
  ['file of decisions', ({ decisions }) => decisions?.sha256],
]

function differences(shards: readonly Sharded[]): readonly Problem[] {
  const [first] = shards
  return SAME.flatMap(([what, of]) => {
    const other = shards.find(({ record }) => first !== undefined && of(record) !== of(first.record))
    if (first === undefined || other === undefined) return []
    return [
      usage(`"${other.name}" has another ${what} than "${first.name}"`, {
        expected: String(of(first.record)),
        found: String(of(other.record)),
      }),
    ]
  })
}

function gaps(shards: readonly Sharded[], { mayMiss }: { readonly mayMiss: boolean }): readonly Problem[] {
  const of = shards[0]?.record.rows.shard.of ?? 0
  const byIndex = Map.groupBy(shards, ({ record }) => record.rows.shard.index)
  const missing = Array.from({ length: of }, (_, index) => index + 1).filter((index) => !byIndex.has(index))
  const twice = [...byIndex].filter(([, same]) => same.length > 1)
  return [
    ...(missing.length === 0 || mayMiss
      ? []
      : [
          usage(
            `${missing.length === 1 ? 'shard' : 'shards'} ${enumerated(missing.map(String))} of ${of} is missing`.replace(
              /^(shards .*) is /,
              '$1 are ',
            ),
            {
              hint: `run the same command again with --shard ${missing[0]}/${of}, and name its record too`,
            },
          ),
        ]),
    ...twice.map(([index, same]) =>
      usage(`shard ${index} of ${of} is there ${same.length} times`, {
        found: same.map(({ name }) => `"${name}"`).join(', '),
        hint: 'name one record of each shard',
      }),
    ),
  ]
}

/** Rows that no record accounts for, or two do: each was run, left out or not started. */
function lacking(shards: readonly Sharded[]): readonly Problem[] {
  const again = ({ record: { rows } }: Sharded) =>
    `run the same command again with --shard ${rows.shard.index}/${rows.shard.of}`
  const all = shards.map((shard) => ({ shard, numbers: accountedFor(shard.record) }))
  const short = all.flatMap(({ shard, numbers }) => {
    const { rows = numbers.size } = shard.record.rows.shard
    if (numbers.size === rows) return []
    const facts = { expected: `${rows} rows`, found: String(numbers.size), hint: again(shard) }
    return [usage(`"${shard.name}" does not account for each of its rows`, facts)]
  })
  if (short.length > 0) return short
  const { total } = shards[0]?.record.rows ?? { total: 0 }
  const expected = Array.from({ length: total }, (_, index) => String(index + 1))
  const found = all.flatMap(({ numbers }) => [...numbers]).toSorted((one, other) => one - other)
  if (JSON.stringify(found.map(String)) === JSON.stringify(expected)) return []
  const times = Map.groupBy(found, (number) => number)
  const missing = expected.filter((number) => !times.has(Number(number)))
  const twice = [...times].flatMap(([number, { length }]) => (length > 1 ? [String(number)] : []))
  const beyond = [...times.keys()].filter((number) => number < 1 || number > total).map(String)
  const parts = [
    [missing, 'in none of the records'],
    [twice, 'in more than one of them'],
    [beyond, `not of a list of ${total}`],
  ] as const
  return parts.flatMap(([numbers, is]) =>
    numbers.length === 0
      ? []
      : [
          usage(`${count(numbers.length, 'row')} of the list ${numbers.length === 1 ? 'is' : 'are'} ${is}`, {
            found: shortened(numbers),
          }),
        ],
  )
}

const MOST_NUMBERS = 20

function shortened(numbers: readonly string[]): string {
  const more = numbers.length - MOST_NUMBERS
  return more > 0 ? `${numbers.slice(0, MOST_NUMBERS).join(', ')} and ${more} more` : enumerated(numbers)
}

/** Numbers of the rows that a record has something to say of. */
function accountedFor({ workflows, rows: { leftOut, notStarted } }: Sharded['record']): ReadonlySet<number> {
  const ran = workflows.flatMap(({ row }) => (row === undefined ? [] : [row.number]))
  return new Set([...ran, ...leftOut.map(({ number }) => number), ...notStarted])
}

function usage(message: string, rest: Partial<Problem> = {}): Problem {
  return { code: 'USAGE', message: `${message}; nothing was merged`, ...rest }
}

function rowsOf(shards: readonly Sharded[]): Rows {
  const all = shards.map(({ record }) => record.rows)
  const [{ shard: _, ...first }] = all as [Rows]
  return {
    ...first,
    leftOut: all.flatMap(({ leftOut }) => leftOut).toSorted((one, other) => one.number - other.number),
    notStarted: all.flatMap(({ notStarted }) => notStarted).toSorted((one, other) => one - other),
    merged: shards.map(({ record }) => ({ shard: record.rows.shard.index, runId: record.runId })),
  }
}

function unique<T>(all: readonly T[], keyOf: (one: T) => string): T[] {
  return [...new Map(all.toReversed().map((one) => [keyOf(one), one])).values()].toReversed()
}

function byClient(one: { readonly clientId: string }, other: { readonly clientId: string }): number {
  return one.clientId < other.clientId ? -1 : 1
}

/** What all of them have hidden, else as in the first. Secrets that several knew are counted by each. */
export function redactionOf(records: readonly RunRecord[], first: RunRecord): RunRecord['redaction'] {
  const sum = (count: (redaction: RunRecord['redaction']) => number | undefined) =>
    records.reduce((total, { redaction }) => total + (count(redaction) ?? 0), 0)
  const rules = new Set(records.flatMap(({ redaction }) => Object.keys(redaction.replaced ?? {})))
  return {
    ...first.redaction,
    secretsKnown: sum(({ secretsKnown }) => secretsKnown),
    replaced: Object.fromEntries([...rules].map((rule) => [rule, sum(({ replaced }) => replaced?.[rule])])),
    cardNumbers: sum(({ cardNumbers }) => cardNumbers),
  }
}
