/** `thredd list`: the flows there are. As text of at most 100 columns, or as JSON. */
import { loadEnvironment } from '../../environment/index.ts'
import { EFFECT_WORDS } from '../../guard/confirmation.ts'
import { json, oneLine } from '../../record/foreign.ts'
import { type Command, commandsFor } from '../../record/hints.ts'
import { count } from '../../report/words.ts'
import { type Overview, overviewOf, type WorkflowOverview } from '../../run/overview.ts'
import type { Invocation, Program } from './command.ts'
import { Printer, type Screen } from './printer.ts'
import { environmentOptions, selectionOf, twinFolder } from './run-options.ts'

export const COLUMNS = 100

export async function performList(invocation: Invocation, program: Program): Promise<number> {
  const options = await surveyOptions(invocation, program)
  const overview = await overviewOf(options)
  if (invocation.has('json')) program.write(`${json(overview)}\n`)
  else writeList(overview, screenOf(program), commandsFor(options.environment.flags))
  return 0
}

export async function surveyOptions(
  invocation: Invocation,
  program: Program,
): Promise<Parameters<typeof overviewOf>[0]> {
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  new Printer({ write: program.warn, stream: program.stderr, here: program.here }).warnings(environment.warnings)
  return {
    environment,
    inputs: invocation.pairs('input'),
    twinFolder: twinFolder(program),
    selection: selectionOf(invocation, program),
  }
}

export function screenOf({ write, stdout, here }: Program): Screen {
  return { write, stream: stdout, here }
}

/** One block a workflow: what it does, changes and needs, and what is missing here. */
export function writeList({ environment, workflows }: Overview, screen: Screen, command: Command): void {
  const out = new Printer(screen)
  const ready = workflows.filter((one) => one.ready).length
  const width = Math.max(0, ...workflows.map((one) => nameOf(one).length))
  out.line(
    `environment ${out.paint('bold', out.plain(environment))} · ${ready === workflows.length ? 'ready for all of' : `ready for ${ready} of`} ${count(workflows.length, 'workflow')}`,
  )
  for (const one of workflows) {
    const mark = one.ready ? out.paint('green', '✓') : out.paint('red', '✗')
    out.line('', `${mark} ${out.paint('bold', out.plain(nameOf(one)).padEnd(width))}  ${out.plain(changesOf(one))}`)
    out.line(...wrapped(one.summary ?? one.title, '    '))
    if (one.tags.length > 0) out.line(...labelled('tags', one.tags.join(', '), 4, 9))
    for (const [label, text] of needsOf(one)) out.line(...labelled(label, text, 4, 9))
    for (const [label, text] of obstaclesOf(one))
      out.line(...labelled(label, out.relative(text), 4, 9).map((part) => out.paint('red', part)))
  }
  out.line('', `${command('showFlow')} tells all of one: its story, steps, inputs and criteria`)
}

export function changesOf({ effect, safety }: WorkflowOverview): string {
  return `${EFFECT_WORDS[effect]}${safety === undefined ? '' : ` · class ${safety}`}`
}

export function needsOf(one: WorkflowOverview): readonly (readonly [string, string])[] {
  const needs = [
    ...one.settings,
    ...(one.signs ? ['signing key'] : []),
    ...one.identities.map((name) => `certificate ${name}`),
  ]
  return [
    ...(needs.length === 0 ? [] : [['needs', needs.join(', ')] as const]),
    ...one.given.map(({ means, how }) => ['given', `${means}${SEEN_TO[how]}`] as const),
    ...(one.confirm ? [['confirm', 'the client id is asked for, or given with --confirm'] as const] : []),
  ]
}

/** What is not there by its name; of what is there and cannot be used, why. */
function obstaclesOf({ missing }: WorkflowOverview): readonly (readonly [string, string])[] {
  const absent = missing.filter(({ code }) => isAbsent(code)).map(({ what }) => what)
  const unusable = missing.filter(({ code }) => !isAbsent(code))
  return [
    ...(absent.length === 0 ? [] : [['missing', absent.join(', ')] as const]),
    ...unusable.map(({ message }) => ['because', message] as const),
  ]
}

export function isAbsent(code: string): boolean {
  return ['ENV_MISSING', 'IDENTITY_MISSING', 'INPUT_MISSING', 'PRECONDITION'].includes(code)
}

/** Who makes sure that the state holds before the workflow runs. */
const SEEN_TO: Readonly<Record<WorkflowOverview['given'][number]['how'], string>> = {
  'made on the twin': ' (made so on the twin)',
  'in the vault': '',
  'in the files': '',
  'in the keystore': ' (looked up in the keystore)',
  'not checked': ' (yours to see to)',
}

/** The name of the flow, with that of the workflow where they differ, since a file may hold several. */
export function nameOf({ flow, workflowId }: WorkflowOverview): string {
  return flow === workflowId ? flow : `${flow} --workflow ${workflowId}`
}

export function labelled(label: string, text: string, indent: number, width: number): string[] {
  const rest = ' '.repeat(indent + width)
  return wrapped(text, rest, `${' '.repeat(indent)}${oneLine(label).padEnd(width)}`)
}

/** Wraps each paragraph of a text anew. A word that is too long for a line, such as an address, stays whole. */
export function wrapped(text: string, indent: string, first = indent): string[] {
  return text
    .trim()
    .split(/\n\s*\n/)
    .flatMap((paragraph, index) => {
      const lines: string[] = []
      let line = index === 0 ? first : indent
      let isEmpty = true
      for (const word of paragraph.split(/\s+/).map(oneLine)) {
        if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
          lines.push(line)
          line = indent
          isEmpty = true
        }
        line += isEmpty ? word : ` ${word}`
        isEmpty = false
      }
      return [...(index === 0 ? [] : ['']), ...lines, line.trimEnd()]
    })
}
