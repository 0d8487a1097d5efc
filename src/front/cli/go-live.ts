/** `thredd report --env`: the stored runs of one environment joined to one answer. Sends nothing. */
import { existsSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { fail, nearest, ToolError } from '../../record/errors.ts'
import { json, line } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import type { RecordHead } from '../../record/index.ts'
import { textIfReadable } from '../../record/regular-file.ts'
import { type StoredRun, storedRuns } from '../../record/stored.ts'
import { countsInWords } from '../../report/gate.ts'
import { contradictionIn, factsOf, type RunFacts } from '../../report/history/facts.ts'
import { type History, historyOf, type Stored } from '../../report/history/index.ts'
import { historyJson, historyMarkdown } from '../../report/history/text.ts'
import { historyPage, pageOf } from '../../report/html/history.ts'
import { count } from '../../report/words.ts'
import { decisionsOf } from '../../run/collect.ts'
import { readDecisions } from '../../run/decisions.ts'
import type { Invocation, Program } from './command.ts'
import { Printer } from './printer.ts'
import { environmentOptions } from './run-options.ts'

/** By the name that `--format` has for each. */
const FORMATS = {
  html: historyPage,
  md: historyMarkdown,
  json: (history: History) => [`${json(historyJson(history))}\n`],
} as const
type Format = keyof typeof FORMATS

export interface Place {
  /** the folder of the runs */
  readonly reports: string
  readonly now: Date
  /** writes a file, searched for secrets */
  readonly writeFile: (file: string, pieces: Iterable<string>) => Promise<string>
}

/** Resolves to 0 for a Yes, 1 for a No, 3 otherwise. */
export async function performGoLive(invocation: Invocation, program: Program, place: Place): Promise<number> {
  const format = formatOf(invocation)
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  const { name } = environment
  const decisions = decisionsOf({ decisions: await readDecisions(environment, place.now) })
  const stored = await factsIn(place.reports)
  const history = historyOf(stored, {
    environment: { name, class: environment.class, flags: [...environment.flags] },
    now: place.now.toISOString(),
    decisions,
    baseline: baselineOf(invocation.text('baseline'), stored) ?? decisions?.baseline,
  })
  if (history === undefined) return noRuns(environment, stored, place)
  const out = invocation.text('out')
  if (format !== 'html' && out === undefined) {
    for (const piece of FORMATS[format](history)) program.write(piece)
    return history.exitCode
  }
  const file = out === undefined ? join(place.reports, pageOf(history.environment)) : resolve(program.here, out)
  if (out !== undefined) demandOwn(file, out)
  const written = await place.writeFile(file, FORMATS[format](history))
  printHistory(history, new Printer({ write: program.write, stream: program.stdout, here: program.here }))
  program.write(line`report  ${relative(program.here, written)}\n`)
  return history.exitCode
}

/** Refuses to overwrite a file that is not an earlier joined report. */
function demandOwn(file: string, named: string): void {
  if (!existsSync(file)) return
  const text = textIfReadable(file)
  if (OWN.some((form) => form.test(text))) return
  fail({
    code: 'USAGE',
    message: `"${named}" is there and holds no joined report; nothing was written`,
    hint: 'name another file',
  })
}

const OWN: readonly RegExp[] = [
  /^<!doctype html>[\s\S]*<span>Conformance over time<\/span>/i,
  /^## \S+ May we go live on /,
  /^\{\s*"environment": \{/,
]

function formatOf(invocation: Invocation): Format {
  for (const flag of ['compare', 'pack', 'index', 'key'])
    if (invocation.has(flag) || invocation.text(flag) !== undefined)
      fail({
        code: 'USAGE',
        message: `--${flag} is of one run and cannot stand beside --env`,
        hint: 'leave one of them out',
      })
  if (invocation.words.length > 0)
    fail({
      code: 'USAGE',
      message: `--env joins the runs of an environment, and "${invocation.words[0]}" is one run`,
      hint: 'leave one of them out; to compare with a run, name it with --baseline',
    })
  const [format = 'html', ...more] = invocation.texts('format')
  if (more.length === 0 && Object.hasOwn(FORMATS, format)) return format as Format
  return fail({
    code: 'USAGE',
    message: `joined runs cannot be written as "${[format, ...more].join(',')}"`,
    expected: `one of ${Object.keys(FORMATS).join(', ')}`,
    hint: nearest(format, Object.keys(FORMATS)) ?? 'the other formats are of one run: leave out --env',
  })
}

/** The facts of all stored runs, or why one has none; each record is read, reduced and dropped. */
export async function factsIn(reports: string): Promise<readonly Stored[]> {
  const stored: Stored[] = []
  for await (const one of storedRuns(reports)) stored.push(factsFrom(one))
  return stored
}

/** A record whose verdict does not follow from its steps says nothing. */
function factsFrom({ folder, run }: StoredRun): Stored {
  if ('problem' in run) return { folder, problem: run.problem }
  const problem = contradictionIn(run)
  return problem === undefined ? { folder, facts: factsOf(folder, run) } : { folder, problem }
}

/** The id of the run that was typed: its id or folder, or how one of them begins or ends. */
function baselineOf(typed: string | undefined, stored: readonly Stored[]): string | undefined {
  if (typed === undefined) return undefined
  const runs = stored.flatMap((one) => ('facts' in one ? [one.facts] : []))
  const wanted = basename(typed.replace(/\/record\.json$/, ''))
  const namesOf = ({ folder, head }: RunFacts) => [folder, head.runId]
  const named = runs.filter((run) => namesOf(run).includes(wanted))
  const begun = runs.filter((run) => namesOf(run).some((name) => name.startsWith(wanted) || name.endsWith(wanted)))
  const alike = named.length > 0 ? named.slice(0, 1) : begun
  const [only] = alike
  if (alike.length === 1 && only !== undefined) return only.head.runId
  const meant = nearest(wanted, runs.flatMap(namesOf))
  return fail({
    code: 'RECORD_UNREADABLE',
    message:
      alike.length > 1
        ? `"${typed}" is the name of ${alike.length} runs`
        : `there is no run "${typed}" to compare with`,
    found: alike.length > 1 ? alike.map(({ folder }) => folder).join(', ') : undefined,
    hint: meant === undefined ? 'name the folder of a stored run, or its id' : `did you mean "${meant}"?`,
  })
}

function noRuns({ name, flags }: Environment, stored: readonly Stored[], { reports }: Place): never {
  const others = new Set(stored.flatMap((one) => ('facts' in one ? [one.facts.head.environment.name] : [])))
  const problems = stored.filter((one) => 'problem' in one).length
  return fail({
    code: 'RECORD_UNREADABLE',
    message: `"${reports}" holds no run of "${name}" that can be joined`,
    found:
      others.size === 0 && problems === 0
        ? 'no run'
        : [
            ...(others.size === 0 ? [] : [`runs of ${[...others].join(', ')}`]),
            ...(problems === 0 ? [] : [`${count(problems, 'record')} that cannot be read`]),
          ].join(', '),
    hint: `make one with ${commandsFor(flags)('makeRecord')}; only what the servers of the environment answered is joined`,
  })
}

const STYLE_OF = { good: 'green', bad: 'red', caution: 'yellow', unknown: 'yellow' } as const

function printHistory(history: History, out: Printer): void {
  const { environment, answer, runs, leftOut, gate, notes, baseline, requirements } = history
  out.line(
    `May we go live on ${out.plain(environment.name)}?  ${out.paint([STYLE_OF[answer.tone], 'bold'], answer.headline)}`,
  )
  out.line(out.plain(answer.lede), '')
  for (const { text, detail } of answer.reasons)
    out.line(`  ${out.plain(text)}${detail === undefined ? '' : out.paint('dim', ` · ${out.plain(detail)}`)}`)
  out.line('')
  for (const { area, ...row } of gate.areas) out.line(`  ${area.padEnd(22)}${countsInWords(row)}`)
  out.line(`  ${'all'.padEnd(22)}${countsInWords(gate.all)}`, '')
  const gone = requirements.filter(({ noLongerTested }) => noLongerTested !== undefined)
  if (gone.length > 0) out.line(`no longer tested: ${gone.map(({ requirement }) => requirement.id).join(', ')}`)
  if (baseline === undefined)
    out.line(`compare with an earlier run: ${commandsFor(environment.flags ?? [])('compareRuns')}`)
  else {
    out.line(`since the baseline of ${baseline.run.head.startedAt.slice(0, 10)}:`)
    const { columns, others } = baseline.changes
    for (const { from, to, ids } of columns) out.line(`  ${from} -> ${to}: ${ids.join(', ')}`)
    for (const text of others) out.line(`  ${out.plain(text)}`)
    if (columns.length + others.length === 0) out.line('  nothing has changed')
  }
  out.warnings(notes)
  for (const { folder, because } of leftOut.slice(0, MOST_LEFT_OUT)) out.warnings([`${folder} is left out: ${because}`])
  if (leftOut.length > MOST_LEFT_OUT) out.warnings([`${leftOut.length - MOST_LEFT_OUT} more runs are left out`])
  out.line(`runs    ${runs.length} joined, the newest of ${runs[0]?.head.startedAt.slice(0, 16).replace('T', ' ')} UTC`)
}

const MOST_LEFT_OUT = 5

/** The joined runs of each environment that there are runs of. */
export async function historiesOf(
  stored: readonly Stored[],
  { folder, now }: { readonly folder: string; readonly now: Date },
): Promise<readonly History[]> {
  const newest = new Map<string, RecordHead['environment']>()
  for (const one of stored)
    if ('facts' in one && !newest.has(one.facts.head.environment.name))
      newest.set(one.facts.head.environment.name, one.facts.head.environment)
  const histories = [...newest.values()].map(async ({ name, class: kind, flags }) => {
    const environment = { name, class: kind, flags }
    const remarks: string[] = []
    const decisions = await readDecisions({ name, folder }, now).catch((error: unknown) => {
      if (!(error instanceof ToolError)) throw error
      remarks.push(`nothing of decisions.${name}.yaml counts, since it cannot be used: ${error.message}`)
      return undefined
    })
    const decided = decisionsOf({ decisions })
    const joining = { environment, now: now.toISOString(), decisions: decided, baseline: decided?.baseline, remarks }
    return historyOf(stored, joining)
  })
  return (await Promise.all(histories)).flatMap((one) => one ?? [])
}
