/** `thredd report --prune --older 90d`: deletes old runs, after a list of what would go and what stays. */
import { lstat, readdir, readlink, rmdir, unlink } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { loadEnvironment } from '../../environment/index.ts'
import { fail, ToolError } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { shellWord } from '../../record/hints.ts'
import { FINISHED_FILE, MESSAGE_FILE, RECORD_FILE, type RunRecord } from '../../record/index.ts'
import { readRecord, runNames } from '../../record/stored.ts'
import { GITLAB_FILE } from '../../report/annotations.ts'
import { FORMATS } from '../../report/index.ts'
import { count } from '../../report/words.ts'
import { readDecisions } from '../../run/decisions.ts'
import { vaultOf } from '../../vault/index.ts'
import type { Invocation, Program } from './command.ts'
import { environmentOptions, reportsFolder, typedWord } from './run-options.ts'

/** What a run may have written into its folder; the record goes last, so that what is cut short can be pruned again. */
const OWN_FILES = [
  ...Object.values(FORMATS).map(({ file }) => file),
  MESSAGE_FILE,
  FINISHED_FILE,
  GITLAB_FILE,
  RECORD_FILE,
]

/** A run that is old enough; `stays` says why it is kept all the same. */
interface OldRun {
  readonly name: string
  readonly stays?: string | undefined
}

/** Exit code 0, also where nothing is deleted because nobody agreed to it. Throws USAGE before anything is read. */
export async function performPrune(invocation: Invocation, program: Program): Promise<number> {
  const { here, write } = program
  const before = Date.now() - olderThan(invocation.text('older'))
  const reports = reportsFolder(invocation, program)
  const old = await oldRuns(reports, { before, only: invocation.text('env') }, program)
  const going = old.filter(({ stays }) => stays === undefined)
  for (const { name } of going) write(line`would go  ${name}\n`)
  for (const { name, stays } of old) if (stays !== undefined) write(line`stays     ${name}: ${stays}\n`)
  const what = `${count(going.length, 'run')} older than ${invocation.text('older')} in ${relative(here, reports) || '.'}`
  if (going.length === 0) {
    write(line`no ${what.replace(/^0 /, '')} to delete\n`)
    return 0
  }
  if (!(await mayDelete(invocation, what, program))) {
    write(line`${what}; nothing was deleted. With --yes they are: ${commandOf(invocation)} --yes\n`)
    return 0
  }
  let gone = 0
  for (const { name } of going) {
    const left = await remove(join(reports, name))
    if (left.length === 0) gone += 1
    else write(line`stays     ${name}: it holds ${left.join(', ')}, which no run has written\n`)
  }
  write(line`${count(gone, 'run')} deleted\n`)
  return 0
}

function commandOf(invocation: Invocation): string {
  const reports = invocation.text('reports')
  const env = invocation.text('env')
  return `thredd report --prune --older ${invocation.text('older')}${env === undefined ? '' : ` --env ${shellWord(env)}`}${reports === undefined ? '' : ` --reports ${shellWord(reports)}`}`
}

const DAY = 24 * 60 * 60 * 1000
const UNITS: Readonly<Record<string, number>> = { d: DAY, w: 7 * DAY }

/** In milliseconds. */
function olderThan(text: string | undefined): number {
  const [, number = '', unit = ''] = /^([1-9]\d{0,4})([dw])$/.exec(text ?? '') ?? []
  const length = UNITS[unit]
  if (length !== undefined) return Number(number) * length
  return fail({
    code: 'USAGE',
    message: text === undefined ? '--prune needs --older' : `--older "${text}" is no duration`,
    expected: 'a number of days or weeks, such as 90d or 12w',
    hint: 'thredd report --prune --older 90d',
  })
}

/** Newest first. Only folders with a record that can be read: what is not known to be an old run is not touched. */
async function oldRuns(
  reports: string,
  { before, only }: { readonly before: number; readonly only: string | undefined },
  program: Program,
): Promise<readonly OldRun[]> {
  const latest = await readlink(join(reports, 'latest')).then(basename, () => undefined)
  const protectedBy = keeper(program)
  const found: OldRun[] = []
  for (const name of await runNames(reports)) {
    const file = join(reports, name, RECORD_FILE)
    if (!(await lstat(file)).isFile()) continue
    const record = await readRecord(file).catch((error: unknown) => {
      if (error instanceof ToolError) return undefined
      throw error
    })
    if (record === undefined) {
      program.write(line`stays     ${name}: its record cannot be read\n`)
      continue
    }
    const { name: environment } = record.environment
    if (only !== undefined && environment !== only && envOf(record) !== only) continue
    if (Date.parse(record.startedAt) + record.durationMs >= before) continue
    found.push({ name, stays: name === latest ? '"latest" points at it' : await protectedBy(record) })
  }
  return found
}

/** As its command line named it. */
function envOf({ environment: { name, flags = [] } }: RunRecord): string {
  const at = flags.indexOf('--env')
  return (at < 0 ? undefined : flags[at + 1]) ?? name
}

interface Kept {
  readonly baseline: string | undefined
  /** ids of runs whose client is registered, or of which that is not known */
  readonly runIds: ReadonlySet<string>
}

/** Says why a run has to stay: by the vault and the decisions of its environment, each read once. */
function keeper(program: Program): (record: RunRecord) => Promise<string | undefined> {
  const known = new Map<string, Promise<Kept | string>>()
  return async (record) => {
    const { runId, environment, counterparty } = record
    const env = envOf(record)
    const kept = known.get(env) ?? keptOf(env, program)
    known.set(env, kept)
    const found = await kept
    if (typeof found === 'string') return found
    if (found.baseline === runId) return `decisions.${environment.name}.yaml names it as the baseline`
    // Registrations on the embedded twin end with it.
    return counterparty === 'network' && found.runIds.has(runId)
      ? 'the client that it registered is still open in the vault'
      : undefined
  }
}

async function keptOf(env: string, program: Program): Promise<Kept | string> {
  try {
    const options = environmentOptions({ text: () => env, pairs: () => new Map(), has: () => false }, program)
    const environment = await loadEnvironment(options)
    const decisions = await readDecisions(environment)
    await using stack = new AsyncDisposableStack()
    const vault = vaultOf(environment, { now: () => new Date() })
    stack.defer(async () => await vault.close())
    const { registrations, unreadable } = await vault.list()
    if (unreadable[0] !== undefined) return `the vault of "${env}" cannot be read: ${unreadable[0].message}`
    const open = (await vault.ledger()).filter(({ state }) => state !== 'deleted')
    const live = registrations.filter(({ deletedAt }) => deletedAt === undefined)
    return { baseline: decisions?.baseline, runIds: new Set([...open, ...live].map(({ runId }) => runId)) }
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return `whether a client of it is still open cannot be seen: ${error.message}`
  }
}

async function mayDelete(invocation: Invocation, what: string, program: Program): Promise<boolean> {
  if (invocation.has('yes')) return true
  if (!program.stdin.isTTY || !program.stderr.isTTY) return false
  return (await typedWord(`${what}. Type yes to delete: `, program)) === 'yes'
}

/** Removes the files that runs write, follows no link, and returns what else is in the folder, which then stays. */
async function remove(folder: string): Promise<readonly string[]> {
  if (!(await lstat(folder)).isDirectory()) return ['a link']
  const isOwn = (name: string) => OWN_FILES.includes(name.replace(/\.part$/, ''))
  const entries = await readdir(folder, { withFileTypes: true })
  const foreign = entries.filter((entry) => !entry.isFile() || !isOwn(entry.name)).map(({ name }) => name)
  if (foreign.length > 0) return foreign
  const rank = (name: string) => OWN_FILES.indexOf(name)
  for (const { name } of entries.toSorted((a, b) => rank(a.name) - rank(b.name))) await unlink(join(folder, name))
  await rmdir(folder)
  return []
}
