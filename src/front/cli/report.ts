/** `thredd report`: stored runs again, in any format, compared, packed as evidence, or as a list. Sends nothing. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { ANY_ENVIRONMENT, commandsFor } from '../../record/hints.ts'
import { RECORD_FILE, type RunRecord } from '../../record/index.ts'
import { locateRun, readRecord } from '../../record/stored.ts'
import type { Artifacts } from '../../report/artifacts.ts'
import { compare, comparisonText } from '../../report/compare.ts'
import { historyPage, pageOf } from '../../report/html/history.ts'
import { runsPage } from '../../report/html/runs.ts'
import { FORMATS, type FormatName, USUAL_FORMATS } from '../../report/index.ts'
import { reportKey, writePack } from '../../report/pack.ts'
import { reportedRun } from '../../report/summary.ts'
import { artifactsIn } from './artifacts.ts'
import type { Invocation, Program } from './command.ts'
import { formatsOf } from './formats.ts'
import { factsIn, historiesOf, performGoLive } from './go-live.ts'
import { reportsFolder, runNamed } from './run-options.ts'

interface Surroundings {
  readonly here: string
  /** the folder of the user's files (default: the current one) */
  readonly project?: string
  readonly write: (text: string) => void
  /** default: the user's own */
  readonly home?: string
  readonly now?: () => Date
}

/** One run, with `--env` the joined runs of an environment, or with `--prune` old runs to delete. */
export async function performReports(invocation: Invocation, program: Program): Promise<number> {
  if (invocation.words[0] === 'merge') return await (await import('./merge.ts')).performMerge(invocation, program)
  if (invocation.has('prune')) return await (await import('./prune.ts')).performPrune(invocation, program)
  if (invocation.text('older') !== undefined || invocation.has('yes'))
    fail({ code: 'USAGE', message: '--older and --yes belong to --prune' })
  if (invocation.text('env') === undefined) {
    if (invocation.text('baseline') !== undefined)
      fail({ code: 'USAGE', message: '--baseline is of joined runs', hint: 'name their environment with --env' })
    return await performReport(invocation, program)
  }
  const { write } = program
  return await performGoLive(invocation, program, {
    reports: reportsFolder(invocation, program),
    now: new Date(),
    writeFile: async (file, pieces) => await (await artifactsIn(dirname(file), write)).write(basename(file), pieces),
  })
}

/** Resolves to 1 where a comparison finds a new failure, else to 0. Everything is read before anything is written. */
export async function performReport(invocation: Invocation, surroundings: Surroundings): Promise<number> {
  const { here, write, project = here } = surroundings
  const reports = reportsFolder(invocation, { here, project })
  if (invocation.words.length > 1)
    fail({ code: 'USAGE', message: 'thredd report takes one run', hint: 'compare two with --compare <run>' })
  if (invocation.has('index')) return await writeIndex(reports, surroundings)

  const formats = formatsOf(invocation)
  const file = await locateRun(runNamed(invocation.words[0], { here }), reports)
  const record = await readRecord(file)
  const other = invocation.text('compare')
  if (other !== undefined) {
    const before = await readRecord(await locateRun(runNamed(other, { here }), reports))
    const comparison = compare(before, record)
    write(line`${before.runId} -> ${record.runId}\n` + comparisonText(comparison))
    return comparison.failing.length > 0 ? 1 : 0
  }
  const pack = invocation.text('pack')
  if (pack !== undefined) return await writeEvidence(record, resolve(here, pack), invocation.text('key'), surroundings)
  const out = resolve(here, invocation.text('out') ?? dirname(file))
  for (const path of await render(
    record,
    await artifactsIn(out, write),
    formats.length === 0 ? USUAL_FORMATS : formats,
  ))
    write(line`${relative(here, path)}\n`)
  return 0
}

async function render(
  record: RunRecord,
  artifacts: Artifacts,
  formats: readonly FormatName[],
): Promise<readonly string[]> {
  const { workflows, ...head } = record
  const run = reportedRun(head, workflows)
  const paths: string[] = []
  for (const name of formats) paths.push(await artifacts.write(FORMATS[name].file, FORMATS[name].convert(run)))
  return paths
}

async function writeEvidence(
  record: RunRecord,
  pack: string,
  keyFile: string | undefined,
  { here, write, home = homedir(), now = () => new Date() }: Surroundings,
): Promise<number> {
  const file = keyFile === undefined ? join(home, '.config', 'thredd-dcr', 'report.key') : resolve(here, keyFile)
  if (keyFile !== undefined && !existsSync(file))
    fail({
      code: 'KEY_UNUSABLE',
      message: `report key "${file}" does not exist`,
      hint: 'leave out --key, and a key of reports is made',
    })
  const key = await reportKey(file)
  const signer = await writePack(record, { pack, key, now: now() })
  if (key.made) write(line`a report key was made: ${file}\n`)
  write(
    line`${relative(here, pack)}\nsigned by ${signer.kid} (${signer.alg})\nverify with: thredd verify ${relative(here, pack)} --signer=${signer.kid}\n`,
  )
  return 0
}

/** The list of runs, and the page of each environment that it leads to. */
async function writeIndex(reports: string, surroundings: Surroundings): Promise<number> {
  const { here, write, now = () => new Date(), project = here } = surroundings
  const stored = await factsIn(reports)
  if (stored.length === 0)
    fail({
      code: 'RECORD_UNREADABLE',
      message: `"${reports}" holds no run`,
      hint: `make one with ${commandsFor(ANY_ENVIRONMENT)('makeRecord')}`,
    })
  for (const { folder } of stored.filter((one) => 'facts' in one))
    if (!existsSync(join(reports, folder, FORMATS.html.file))) {
      const record = await readRecord(join(reports, folder, RECORD_FILE))
      await render(record, await artifactsIn(join(reports, folder), write), ['html'])
    }
  const histories = await historiesOf(stored, { folder: project, now: now() })
  const artifacts = await artifactsIn(reports, write)
  for (const history of histories) await artifacts.write(pageOf(history.environment), historyPage(history))
  write(line`${relative(here, await artifacts.write('index.html', runsPage(stored, histories)))}\n`)
  return 0
}
