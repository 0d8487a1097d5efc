/**
 * `thredd mock compare <run>`: the requests of a stored run, made again from its flows and inputs with the twin's own keys,
 * sent to the twin. Lists how the answers differ in form, and finds by trying which switch makes the twin answer alike.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve as pathOf } from 'node:path'
import { fail } from '../../record/errors.ts'
import { oneLine } from '../../record/foreign.ts'
import type { RunRecord, WorkflowRecord } from '../../record/index.ts'
import { readRegularFile } from '../../record/regular-file.ts'
import { locateRun, readRecord } from '../../record/stored.ts'
import { count } from '../../report/words.ts'
import { type RunRequest, resolve, run } from '../../run/index.ts'
import { embeddedTwin, type Switches, switchesToTry } from '../twin.ts'
import { type Compared, compareAnswers, type Difference, REDACTED } from './answer-differences.ts'
import type { Program } from './command.ts'
import { foldersOf, twinFolder } from './run-options.ts'

export interface Comparison {
  readonly differences: readonly Difference[]
  /** for some of the differences, the switch as it is written on a command line; several where each is enough */
  readonly switches: ReadonlyMap<Difference, string>
  /** those that are left with all these switches set */
  readonly left: readonly Difference[]
}

type Surroundings = Pick<Program, 'root' | 'here' | 'project' | 'version'>

/** Resolves to 1 where an answer differs, else to 0. `given` are the switches the twin starts with. */
export async function performCompare(
  name: string,
  given: Partial<Switches>,
  { write, ...surroundings }: Surroundings & Pick<Program, 'write'>,
): Promise<number> {
  const record = await readRecord(await locateRun(name, pathOf(surroundings.project, 'reports')))
  const comparison = await compareWithTwin(record, given, surroundings)
  write(comparisonText(record, comparison))
  return comparison.differences.length > 0 ? 1 : 0
}

/** Throws RECORD_UNREADABLE where a flow is missing or has changed since. */
export async function compareWithTwin(
  record: RunRecord,
  given: Partial<Switches>,
  surroundings: Surroundings,
): Promise<Comparison> {
  const flows = await flowsOf(record, foldersOf(surroundings))
  const folder = await mkdtemp(join(tmpdir(), 'thredd-compare-'))
  const vault = join(folder, 'vault')
  try {
    const requests = await Promise.all(
      [...flows].map(([file, workflows]) => requestOf(file, workflows, vault, surroundings)),
    )
    const compareWith = async (switches: Partial<Switches>) => {
      const answered: WorkflowRecord[] = []
      for (const request of requests) {
        // What the vault holds is of the twin before, which is gone.
        await rm(vault, { recursive: true, force: true })
        answered.push(...(await answersTo(request, switches, surroundings)))
      }
      return compareAnswers(record.workflows, answered)
    }
    return await explained(await compareWith(given), given, compareWith)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Tries one switch after the other and keeps those that let differences vanish; what these had hidden is then looked at too. */
async function explained(
  first: Compared,
  given: Partial<Switches>,
  compareWith: (switches: Partial<Switches>) => Promise<Compared>,
): Promise<Comparison> {
  const switches = new Map<Difference, string>()
  const differences = [...first.differences]
  let [set, now] = [given, first]
  for (const candidate of switchesToTry(given, first.differences)) {
    if (now.differences.length === 0) break
    const trial = { ...set, ...candidate }
    const then = await compareWith(trial)
    const { gone, added } = change(now, then)
    if (gone.length === 0 || !isProgress(now, then, added)) continue
    const [[name, value] = []] = Object.entries(candidate)
    for (const one of differences) if (gone.some((other) => isSame(one, other))) switches.set(one, `${name}=${value}`)
    differences.push(...added)
    set = trial
    now = then
  }
  return { differences, switches, left: now.differences }
}

function change(now: Compared, then: Compared) {
  const without = (some: Compared, others: Compared) =>
    some.differences.filter((one) => !others.differences.some((other) => isSame(one, other)))
  return { gone: without(now, then), added: without(then, now) }
}

/** No step is lost, no status becomes another, and what else is new was hidden behind a status. */
function isProgress(now: Compared, then: Compared, added: readonly Difference[]): boolean {
  const hidden = new Set(now.differences.filter(({ what }) => what === 'status').map(({ step }) => step))
  return (
    [...now.steps].every((step) => then.steps.has(step)) &&
    added.every(({ what, step }) => what !== 'status' && (hidden.has(step) || !now.steps.has(step)))
  )
}

function isSame(one: Difference, other: Difference): boolean {
  return one.step === other.step && one.what === other.what && one.of === other.of && one.twin === other.twin
}

/** The workflows of each flow file, whose text is the one that was run. */
async function flowsOf(
  { workflows }: RunRecord,
  folders: readonly string[],
): Promise<ReadonlyMap<string, readonly WorkflowRecord[]>> {
  const files = new Map<string, readonly WorkflowRecord[]>()
  for (const [name, those] of Map.groupBy(workflows, ({ flow }) => flow.file)) {
    const flow = those[0]?.flow
    if (flow === undefined) continue
    files.set(await unchanged(name, flow.sha256, folders), those)
    for (const part of flow.parts ?? []) await unchanged(part.file, part.sha256, folders)
  }
  return files
}

/** Undefined where it cannot be read. */
function hashOf(file: string): string | undefined {
  try {
    return createHash('sha256').update(readRegularFile(file)).digest('hex')
  } catch {
    return undefined
  }
}

/** The path of the file with that text. */
async function unchanged(name: string, sha256: string, folders: readonly string[]): Promise<string> {
  let found: string | undefined
  for (const folder of folders) {
    const file = pathOf(folder, name)
    const hash = hashOf(file)
    if (hash === undefined) continue
    if (hash === sha256) return file
    found ??= hash
  }
  return fail({
    code: 'RECORD_UNREADABLE',
    message:
      found === undefined
        ? `flow "${name}" of the run is not here, so its requests cannot be made again`
        : `flow "${name}" has changed since the run, so its requests would be others`,
    expected: `sha256 ${sha256}`,
    found: found === undefined ? undefined : `sha256 ${found}`,
    hint: 'take the flow of that time from your version control, or run it again',
  })
}

/** The same workflows for the twin: client, keys and hosts are the twin's, all other inputs those of the run. */
async function requestOf(
  file: string,
  workflows: readonly WorkflowRecord[],
  vault: string,
  surroundings: Surroundings,
): Promise<RunRequest> {
  const { root, project } = surroundings
  const key = randomBytes(32).toString('base64url')
  const request = await resolve({
    environment: {
      env: join(root, '.env.mock'),
      folder: project,
      variables: { THREDD_VAULT_DIR: vault, THREDD_VAULT_KEY: key },
    },
    selection: {
      flows: [file],
      workflow: workflows.map(({ workflowId }) => workflowId),
      folders: foldersOf(surroundings),
    },
  })
  const inputs = new Map(workflows.flatMap((workflow) => workflow.inputs.flatMap(openInput)))
  for (const name of inputs.keys()) if (request.environment.setting(name) !== undefined) inputs.delete(name)
  return { ...request, inputs }
}

/** The workflows as a fresh twin answers them. */
async function answersTo(
  request: RunRequest,
  switches: Partial<Switches>,
  { version, ...surroundings }: Surroundings,
): Promise<readonly WorkflowRecord[]> {
  const answered: WorkflowRecord[] = []
  await run(request, {
    version,
    twin: () => embeddedTwin(twinFolder(surroundings), 'twin-in-process', switches),
    onFinished: (_, finished) => answered.push(...finished),
  })
  return answered
}

/** A value to use again: one that is in the record, and is about neither the client, its keys nor the servers. */
function openInput({ name, source, value }: WorkflowRecord['inputs'][number]): readonly [string, string][] {
  const isMade = /^(?:vault|minted|certificate|default)$/.test(source)
  if (typeof value !== 'string' || isMade || name.startsWith('server_') || REDACTED.test(value)) return []
  return [[name, value]]
}

/** Without a line break in what came from servers. */
export function comparisonText(
  { runId, counterparty }: Pick<RunRecord, 'runId' | 'counterparty'>,
  { differences, switches, left }: Comparison,
): string {
  const server = counterparty === 'network' ? 'the server' : 'the twin of that run'
  if (differences.length === 0) return `run ${runId}: the twin answers like ${server} wherever both were asked\n`
  const lines = [...Map.groupBy(differences, ({ step }) => step)].flatMap(([step, those]) => [
    step,
    ...those.flatMap((one) => {
      const name = switches.get(one)
      return [
        `  ${one.what}${one.of === '' ? '' : ` ${one.of}`}: ${server} ${one.recorded}, the twin ${one.twin}`,
        name === undefined
          ? '      no switch changes it'
          : `      the twin does the same with --switch ${quoted(name)}`,
      ]
    }),
  ])
  const all = [...new Set(switches.values())].map((name) => ` --switch ${quoted(name)}`).join('')
  const summary =
    all === ''
      ? []
      : [
          left.length === 0
            ? 'the twin answers like the server in all of this with'
            : `the twin differs in ${left.length} of these with`,
          `  thredd mock${all}`,
        ]
  const text = [`run ${runId}: ${count(differences.length, 'difference')}`, ...lines, ...summary]
  return `${text.map(oneLine).join('\n')}\n`
}

function quoted(text: string): string {
  return text.includes(' ') ? `'${text}'` : text
}
