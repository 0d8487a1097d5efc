/** What a dry run and the beginning of a run print: the requests that would be sent, and what must be so before. */
import { count, rowInWords } from '../../report/words.ts'
import type { PreparedEvent, Rehearsal } from '../../run/index.ts'
import { indent, type Printer } from './printer.ts'

/** Every request of a dry run, and the source of each input. */
export function printPreview(
  { environment, warnings, given, reordered, waiting, rows, workflows }: Rehearsal,
  out: Printer,
): void {
  out.line(`environment ${out.paint('bold', out.plain(environment))} · dry run, nothing is sent`)
  out.warnings(warnings)
  printOrder(reordered, out)
  printGiven(given, out)
  printWaiting(waiting, out)
  if (rows !== undefined) {
    const left = [
      ...(rows.leftOut === 0 ? [] : [`, ${rows.leftOut} left out`]),
      ...(rows.notStarted === 0 ? [] : [`, ${rows.notStarted} not started`]),
    ].join('')
    if (rows.first === undefined) out.line(`rows        0${left}: nothing would be sent`)
    else
      out.line(
        `rows        ${rows.running}${left}, ${pace(rows)}; below are the requests of ${out.plain(rowInWords(rows.first))}`,
        ...rows.fromVault.map(({ row, clientId }) => `from vault  row ${row} is about client ${out.plain(clientId)}`),
        `to confirm  --confirm ${rows.confirmation}`,
      )
  }
  for (const workflow of workflows) printWorkflow(workflow, out)
}

/** So many rows that are left out are named. */
const MOST_LEFT_OUT = 10

/** How many rows there are, and which are left out. */
export function printRows(
  { file, total, shard, running, leftOut, ...numbers }: NonNullable<PreparedEvent['rows']>,
  out: Printer,
): void {
  const list = file === undefined ? `${total} times the same` : `${count(total, 'row')} of ${out.plain(file)}`
  const part = shard === undefined ? '' : `, shard ${shard.index} of ${shard.of}`
  out.line(`rows        ${list}${part}: ${running} to run, ${pace({ running, ...numbers })}`)
  for (const { number, because } of leftOut.slice(0, MOST_LEFT_OUT))
    out.line(`${out.paint('yellow', 'left out')} row ${number}: ${out.plain(because)}`)
  if (leftOut.length > MOST_LEFT_OUT)
    out.line(`${out.paint('yellow', 'left out')} ${leftOut.length - MOST_LEFT_OUT} more rows for the same`)
}

/** How many rows run at a time; said where it is fewer than were asked for. */
function pace({
  running,
  parallel,
  lanes,
}: {
  readonly running: number
  readonly parallel: number
  readonly lanes: number
}): string {
  if (lanes >= Math.min(running, parallel)) return `${parallel} at a time`
  return `${lanes === 1 ? 'one' : lanes} at a time, since those about one client run one after another`
}

/** The states that the workflows presuppose, each with what to do where this run does not bring it about itself. */
export function printGiven(given: Rehearsal['given'], out: Printer): void {
  for (const { workflowId, means, remedy, how } of given) {
    const text = how === 'not checked' ? `${means}; if not: ${remedy}` : `${means} (${how})`
    out.line(`${out.paint('cyan', 'before this run')} ${out.paint('bold', out.plain(workflowId))}: ${out.plain(text)}`)
  }
}

/** Said where it is not the order in which the flows were named. */
export function printOrder(reordered: Rehearsal['reordered'], out: Printer): void {
  if (reordered !== undefined)
    out.line(
      `order       ${out.plain(reordered.join(', '))}: what reads goes first, and a client is deleted before another is registered`,
    )
}

/** The workflows that a run without names leaves out. */
export function printWaiting(waiting: Rehearsal['waiting'], out: Printer): void {
  for (const { workflowId, because, hint } of waiting) {
    const text = `${because}${hint === undefined ? '' : `; ${hint}`}`
    out.line(`${out.paint('yellow', 'waiting')} ${out.paint('bold', out.plain(workflowId))}: ${out.plain(text)}`)
  }
}

function printWorkflow(
  { workflowId, summary, effect, inputs, steps }: Rehearsal['workflows'][number],
  out: Printer,
): void {
  out.line(
    '',
    `${out.paint('bold', out.plain(workflowId))}  ${out.plain(summary ?? '')} (effect: ${effect})`,
    '',
    '  inputs',
  )
  const width = Math.max(0, ...inputs.map(({ name }) => name.length))
  for (const { name, value, source } of inputs) {
    const text = value === undefined ? '(none)' : typeof value === 'string' ? value : JSON.stringify(value)
    out.line(`    ${out.plain(name).padEnd(width)}  ${out.plain(text)}  ${out.paint('dim', out.plain(source))}`)
  }
  for (const { stepId, identity, method, url, headers, body, unknown } of steps) {
    out.line(
      '',
      `  ${out.paint('bold', out.plain(stepId))}  identity ${out.plain(identity)}`,
      `    ${out.plain(method)} ${out.plain(url)}`,
    )
    for (const [name, value] of headers) out.line(`    ${out.plain(name)}: ${out.plain(value)}`)
    if (body !== undefined) out.line(...indent(body, 4).map((line) => out.plain(line)))
    if (unknown !== undefined) out.line(`    ${out.paint('dim', out.plain(unknown))}`)
  }
}
